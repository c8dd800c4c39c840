// node-redis and ioredis as their users use them, with their defaults.

import { createRequire } from "node:module";
import assert from "node:assert/strict";

const [port, folder] = process.argv.slice(2);
// The packages stand in a folder of the test's own.
const require = createRequire(`${folder}/index.js`);

const { createClient } = require("redis");
for (const RESP of [undefined, 2, 3]) {
  const client = createClient({ url: `redis://127.0.0.1:${port}`, ...(RESP && { RESP }) });
  await client.connect();
  assert.equal(await client.set("node:a", "1"), "OK");
  assert.equal(await client.get("node:a"), "1");
  assert.equal(await client.get("node:missing"), null);
  assert.equal(await client.incrBy("node:a", 41), 42);
  assert.deepEqual(await client.mGet(["node:a", "node:missing"]), ["42", null]);
  assert.deepEqual(await client.multi().set("node:b", "x").get("node:b").exec(), ["OK", "x"]);
  const answers = await Promise.all(Array.from({ length: 1000 }, (_, n) => client.set(`node:key:${n}`, `${n}`)));
  assert.ok(answers.every((answer) => answer === "OK"));
  const found = new Set();
  for await (const keys of client.scanIterator({ MATCH: "node:key:*", COUNT: 100 })) {
    for (const key of [keys].flat()) found.add(key);
  }
  assert.equal(found.size, 1000);
  assert.equal(await client.del([...found]), 1000);
  assert.ok((await client.info()).includes("redis_version:7.0."));
  await client.close();
}
console.log("node-redis is content");

const Redis = require("ioredis");
const client = new (Redis.default ?? Redis)(Number(port), "127.0.0.1");
assert.equal(await client.set("io:a", "1", "PX", 100000), "OK");
assert.ok((await client.pttl("io:a")) > 90000);
assert.equal(await client.incr("io:a"), 2);
const bytes = Buffer.from([0, 255, 13, 10]);
await client.set("io:binary", bytes);
assert.deepEqual(await client.getBuffer("io:binary"), bytes);
assert.deepEqual(await client.multi().set("io:b", "x").get("io:b").exec(), [[null, "OK"], [null, "x"]]);
assert.deepEqual(await client.pipeline().get("io:b").get("io:missing").exec(), [[null, "x"], [null, null]]);
await client.quit();
console.log("ioredis is content");
