// node-redis's createCluster and ioredis's Cluster as their users use them, with their defaults.

import { createRequire } from "node:module";
import assert from "node:assert/strict";

const [folder, ...ports] = process.argv.slice(2);
// The packages stand in a folder of the test's own.
const require = createRequire(`${folder}/index.js`);
const COUNT = 500;
const numbers = Array.from({ length: COUNT }, (_, n) => n);

const { createCluster } = require("redis");
const cluster = createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${ports[0]}` }] });
await cluster.connect();
assert.equal(cluster.masters.length, ports.length);
await Promise.all(numbers.map((n) => cluster.set(`nodec:${n}`, `${n}`)));
assert.deepEqual(await Promise.all(numbers.map((n) => cluster.get(`nodec:${n}`))), numbers.map(String));
assert.equal(await cluster.get("nodec:missing"), null);
assert.deepEqual(await cluster.multi().set("{nodec}a", "1").incr("{nodec}a").exec(), ["OK", 2]);
assert.deepEqual(await cluster.mGet(["{nodec}a", "{nodec}b"]), ["2", null]);
await cluster.close();
console.log("createCluster is content");

const Redis = require("ioredis");
const client = new (Redis.default ?? Redis).Cluster([{ host: "127.0.0.1", port: Number(ports[1]) }]);
await Promise.all(numbers.map((n) => client.set(`ioc:${n}`, n)));
assert.deepEqual(await Promise.all(numbers.map((n) => client.get(`ioc:${n}`))), numbers.map(String));
assert.equal(client.nodes("master").length, ports.length);
assert.deepEqual(await client.multi().set("{ioc}a", "1").incr("{ioc}a").exec(), [[null, "OK"], [null, 2]]);
assert.deepEqual(await client.pipeline().set("{ioc}b", "x").get("{ioc}b").exec(), [[null, "OK"], [null, "x"]]);
const found = [];
for (const node of client.nodes("master")) {
  await node.readonly();
  let cursor = "0";
  do {
    const [next, keys] = await node.scan(cursor, "MATCH", "ioc:*", "COUNT", 50);
    cursor = next;
    found.push(...keys);
  } while (cursor !== "0");
}
assert.equal(found.length, COUNT);
assert.equal(new Set(found).size, COUNT);
await client.quit();
console.log("ioredis's Cluster is content");
