"""Tables of what requests cost: throughput, latency, the server's processor time; and what kinds of keys change."""

import itertools
import json
import statistics
import subprocess
import uuid

from measure import hashing
from measure.servers import encode, program

# So many crafted keys in one slot cost at most so many times what others do. That is over in some hundredths of a
# second, so that it is done to several slots.
COLLISIONS = 32_768
COLLISION_SLOTS = 8
COLLISIONS_FACTOR = 4.0


def table(*rows):
    """Markdown; the first row is the head."""
    rows = [[str(cell) for cell in row] for row in rows]
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


# What memento-benchmark calls the options of a load.
OPTIONS = {
    "pipeline": "--pipeline",
    "requests": "--requests",
    "connections": "--clients",
    "keys": "--key-space",
    "value_bytes": "--data",
}


def load(server, kind, **options):
    """One load by memento-benchmark; gives operations a second, the times in microseconds, and CPU for one."""
    words = [[OPTIONS[name], str(value)] for name, value in options.items()]
    command = [program("memento-benchmark"), "127.0.0.1", str(server.port), "--tests", kind, "--json", "--verify"]
    command += itertools.chain(*words)
    before = server.cpu_us()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    cpu_us = server.cpu_us() - before
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    [found] = json.loads(done.stdout)["results"]
    if found["misses"]:
        raise SystemExit(f"{' '.join(command)}: {found['misses']} keys are not there")
    times = found["us"]
    return {
        "ops": found["rate"],
        **{"p50": times["p50"], "p99": times["p99"], "p999": times["p99.9"], "max": times["max"]},
        "cpu": cpu_us / found["requests"],
    }


def medians(runs):
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def ratio(ours, theirs):
    # Where processor time is told in hundredths of a second, a short run may have used none.
    return f"{ours / theirs:.2f}" if theirs else "-"


def throughput(starters, rounds, scale):
    """Servers take turns within a round, so that what else the machine does meets all of them."""
    rows = [["request", "pipelined", "server", "op/s", "p50", "p99", "p99.9", "max", "CPU", "to redis"]]
    for depth, requests in ((1, 150_000), (16, 800_000), (64, 1_500_000)):
        for kind in ("set", "get", "inc", "append", "exists"):
            servers = [start() for start in starters.values()]
            try:
                runs = {server.name: [] for server in servers}
                options = {"pipeline": depth, "requests": max(1000, int(requests * scale))}
                if kind == "append":
                    options["value_bytes"] = 8
                for server in servers:
                    load(server, "fill", pipeline=64)
                    # The counters and values of these kinds are made before they are measured.
                    load(server, kind, **{**options, "pipeline": 64, "requests": max(1000, int(300_000 * scale))})
                for _ in range(rounds):
                    for server in servers:
                        runs[server.name].append(load(server, kind, **options))
            finally:
                for server in servers:
                    server.end()
            found = {name: medians(each) for name, each in runs.items()}
            for name, one in found.items():
                to_redis = ratio(one["cpu"], found["redis"]["cpu"]) if name != "redis" and "redis" in found else ""
                times = [f"{one[part]:.0f}" for part in ("p50", "p99", "p999", "max")]
                rows.append([kind.upper(), depth, name, f"{one['ops']:,.0f}", *times, f"{one['cpu']:.3f}", to_redis])
    return table(*rows)


def large(starters, rounds, scale):
    """The same of a store that no cache of a processor holds."""
    keys = max(1000, int(5_000_000 * scale))
    servers = [start() for start in starters.values()]
    rows = [["request", "pipelined", "server", "op/s", "CPU", "to redis"]]
    try:
        for server in servers:
            load(server, "fill", pipeline=64, requests=keys, keys=keys)
        for depth, kind in itertools.product((16, 64), ("set", "get")):
            runs = {server.name: [] for server in servers}
            for _ in range(rounds):
                for server in servers:
                    options = {"pipeline": depth, "requests": max(1000, int(800_000 * scale)), "keys": keys}
                    runs[server.name].append(load(server, kind, **options))
            found = {name: medians(each) for name, each in runs.items()}
            for name, one in found.items():
                to_redis = ratio(one["cpu"], found["redis"]["cpu"]) if name != "redis" and "redis" in found else ""
                rows.append([kind.upper(), depth, name, f"{one['ops']:,.0f}", f"{one['cpu']:.3f}", to_redis])
    finally:
        for server in servers:
            server.end()
    return table(*rows)


def shapes(count):
    """Kinds of keys that people have, by how they are written."""
    rng = hashing.random_numbers()
    letters = b"abcdefghijklmnopqrstuvwxyz"
    return {
        "16 random letters": [bytes(letters[next(rng) % 26] for _ in range(16)) for _ in range(count)],
        "`k%015d`": [b"k%015d" % number for number in range(count)],
        "`key:%d`": [b"key:%d" % number for number in range(count)],
        "UUIDs": [str(uuid.UUID(int=next(rng) << 64 | next(rng), version=4)).encode() for _ in range(count)],
        "`/usr/lib/x86_64-linux-gnu/%d/lib%d.so`": [
            b"/usr/lib/x86_64-linux-gnu/%d/lib%d.so" % (number // 100, number) for number in range(count)
        ],
        "`{tag}key:%d`, one slot": [b"{tag}key:%d" % number for number in range(count)],
    }


def costs(start, key_sets, repeats):
    """Server CPU in microseconds to insert a key and to look it up, for each set of keys; the sets take turns."""
    spent = {name: [[], []] for name in key_sets}
    for _ in range(repeats):
        for name, keys in key_sets.items():
            with start() as server:
                connection = server.connect()
                sets = [encode("SET", key, "0123456789abcdef") for key in keys]
                gets = [encode("GET", key) for key in keys]
                before = server.cpu_us()
                connection.store(sets, 128)
                inserted = server.cpu_us()
                # Several passes, for a time that is long enough to be told.
                passes = max(1, 200_000 // len(keys))
                for at in list(range(0, len(gets), 128)) * passes:
                    part = gets[at : at + 128]
                    connection.exchange(b"".join(part), len(b"$16\r\n0123456789abcdef\r\n") * len(part))
                looked_up = server.cpu_us()
                spent[name][0].append((inserted - before) / len(keys))
                spent[name][1].append((looked_up - inserted) / len(keys) / passes)
    return {name: [statistics.median(runs) for runs in both] for name, both in spent.items()}


def structured_keys(start, rounds, scale):
    count = max(1000, int(200_000 * scale))
    sets = shapes(count)
    cost = costs(start, sets, rounds)
    base = next(iter(cost.values()))
    evenness = ["slots used", "keys a slot, most to mean", "compares a lookup"]
    rows = [["keys", *evenness, "CPU to insert", "to look up", "both to random"]]
    for name, keys in sets.items():
        used, most_to_mean = hashing.slot_fill(keys)
        insert, lookup = cost[name]
        evenness = [used, f"{most_to_mean:.2f}", f"{hashing.compares(keys):.3f}"]
        to_random = f"{ratio(insert, base[0])}, {ratio(lookup, base[1])}"
        rows.append([name, *evenness, f"{insert:.2f}", f"{lookup:.2f}", to_random])
    return table(*rows)


def collisions(start, rounds):
    """Crafted keys beside others of the same slot; the second value says whether they cost little enough."""
    tags = [b"{%03d}..." % number for number in range(COLLISION_SLOTS)]
    sets = {
        "numbered": [tag + b"%016d" % number for tag in tags for number in range(COLLISIONS)],
        "crafted": [hashing.colliding_key(tag, number) for tag in tags for number in range(COLLISIONS)],
    }
    cost = costs(start, sets, rounds)
    rows = [["keys", "CPU to insert", "to look up"]]
    rows += [[name, *(f"{each:.2f}" for each in cost[name])] for name in sets]
    factors = [crafted / max(other, 0.01) for other, crafted in zip(cost["numbered"], cost["crafted"])]
    rows.append(["ratio", *(f"{factor:.2f}" for factor in factors)])
    return table(*rows), max(factors) <= COLLISIONS_FACTOR
