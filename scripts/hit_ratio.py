#!/usr/bin/env python3
"""Holds memento's memory policies against redis-server's: how many accesses hit, at the same number of entries.

A trace of keys is played to each server as a cache is used: GET, and where there is nothing, SET. While it is played,
maxmemory is moved, so that the server holds the number of entries that was asked for; what comes behind the first part
is measured.
Both servers get the same trace, one after the other. Last, keys that are all new are set, and the processor time of the
server is told for each.
"""

import argparse
import bisect
import itertools
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

POLICIES = [
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
]
TRACES = ["zipf", "uniform", "loop", "shift"]
VALUE = b"v" * 64
BATCH = 64
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def zipf(keys, count, draw):
    """Ranks by Zipf's law with the exponent that caches are usually tried with."""
    weights = itertools.accumulate(1 / rank**0.99 for rank in range(1, keys + 1))
    sums = list(weights)
    return [bisect.bisect_left(sums, draw.random() * sums[-1]) for _ in range(count)]


def trace(kind, keys, count, entries):
    """The numbers of the keys that are asked for, the same ones each time."""
    draw = random.Random(1)
    if kind == "uniform":
        return [draw.randrange(keys) for _ in range(count)]
    if kind == "loop":
        # Over somewhat more keys than there is room for: what was used last is what is needed last.
        return [number % (entries * 5 // 4) for number in range(count)]
    names = list(range(keys))
    draw.shuffle(names)
    ranks = zipf(keys, count, draw)
    if kind == "shift":
        # Every tenth of the trace, other keys are the popular ones.
        step = max(count // 10, 1)
        return [names[(rank + at // step * (keys // 50)) % keys] for at, rank in enumerate(ranks)]
    return [names[rank] for rank in ranks]


def request(*words):
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
    return b"".join(parts)


class Server:
    """A server on a free port of 127.0.0.1, and a client of it."""

    def __init__(self, kind, program, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        if kind == "memento":
            command = [program, "-a", "127.0.0.1", "-p", str(self.port)]
        else:
            command = [program, "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--dir", folder]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, **quiet)
        deadline = time.monotonic() + 10
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", self.port))
                break
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    sys.exit(f"{program} does not serve")
                time.sleep(0.02)
        self.socket.settimeout(60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.left = b""

    def stop(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait()

    def ask(self, *words):
        """One request; a status or an integer as text, a value as bytes."""
        self.socket.sendall(request(*(word.encode() for word in words)))
        return self.replies(1)[0]

    def replies(self, count):
        """So many replies; what is not there is None, an error ends the program."""
        found, data, at = [], self.left, 0
        while len(found) < count:
            end = data.find(b"\r\n", at)
            kind = data[at : at + 1]
            if end >= 0 and kind in (b"+", b":", b"-"):
                if kind == b"-":
                    sys.exit(f"{self.process.args[0]} answers {data[at:end].decode()}")
                found.append(data[at + 1 : end].decode())
                at = end + 2
                continue
            if end >= 0 and kind == b"*":
                # Of an array each item counts.
                count += int(data[at + 1 : end]) - 1
                at = end + 2
                continue
            if end >= 0:
                length = int(data[at + 1 : end])
                if length < 0:
                    found.append(None)
                    at = end + 2
                    continue
                if len(data) >= end + 4 + length:
                    found.append(data[end + 2 : end + 2 + length])
                    at = end + 4 + length
                    continue
            more = self.socket.recv(1 << 18)
            if not more:
                sys.exit(f"{self.process.args[0]} has closed the connection")
            data, at = data[at:] + more, 0
        self.left = data[at:]
        return found

    def entries(self):
        return int(self.ask("DBSIZE"))

    def info(self, field):
        text = self.ask("INFO", "all").decode()
        return next(line.split(":")[1] for line in text.splitlines() if line.startswith(field + ":"))

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND

    def play(self, keys, ends):
        """Plays a part of the trace; gives how many hit."""
        hits = 0
        for start in range(0, len(keys), BATCH):
            batch = keys[start : start + BATCH]
            self.socket.sendall(b"".join(b"*2\r\n$3\r\nGET\r\n$10\r\nkey:%06d\r\n" % key for key in batch))
            missed = {key for key, value in zip(batch, self.replies(len(batch))) if value is None}
            # Of several accesses to a missing key in one batch, the first would have stored it for the others.
            hits += len(batch) - len(missed)
            if missed:
                self.socket.sendall(b"".join(store(b"key:%06d" % key, ends) for key in missed))
                self.replies(len(missed))
        return hits


def store(key, ends):
    if not ends:
        return request(b"SET", key, VALUE)
    # All for equally long, as caches mostly have it.
    return request(b"SET", key, VALUE, b"EX", b"100000")


def measure(server, policy, keys, entries):
    """Percent of hits, and the mean number of entries, once the server holds about as many as asked for."""
    ends = policy.startswith("volatile")
    server.ask("CONFIG", "SET", "maxmemory-policy", policy)
    parts = [keys[start : start + len(keys) // 40] for start in range(0, len(keys), len(keys) // 40)]
    at = 0
    empty_bytes = int(server.info("used_memory"))
    while server.entries() < entries and at < len(parts) // 4:
        server.play(parts[at], ends)
        at += 1
    held = server.entries()
    used = int(server.info("used_memory"))
    entry_bytes = (used - empty_bytes) / held
    limit = used + (entries - held) * entry_bytes
    warm = at + len(parts) // 4
    hits, count, sizes = 0, 0, []
    for number, part in enumerate(parts[at:], at):
        server.ask("CONFIG", "SET", "maxmemory", str(int(limit)))
        found = server.play(part, ends)
        limit += (entries - server.entries()) * entry_bytes * 0.7
        if number >= warm:
            hits += found
            count += len(part)
            sizes.append(server.entries())
    return 100 * hits / count, sum(sizes) / len(sizes)


def cpu_per_set(server, count, ends):
    """Microseconds of processor time for a SET of a new key where another one has to go for it."""
    requests = [store(b"new:%08d" % number, ends) for number in range(count)]
    batches = [b"".join(requests[start : start + BATCH]) for start in range(0, count, BATCH)]
    evicted, before = int(server.info("evicted_keys")), server.cpu_seconds()
    for batch in batches:
        server.socket.sendall(batch)
        server.replies(batch.count(b"SET"))
    spent = server.cpu_seconds() - before
    return spent / count * 1e6, (int(server.info("evicted_keys")) - evicted) / count


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--memento", default=os.path.join(here, "..", "bin", "memento"), metavar="PATH")
    parser.add_argument("--redis", default=shutil.which("redis-server"), metavar="PATH")
    parser.add_argument("--policies", default=",".join(POLICIES), help="separated by commas (all)")
    parser.add_argument("--traces", default=",".join(TRACES), help="of zipf, uniform, loop and shift (all)")
    parser.add_argument("--keys", type=int, default=200_000, help="how many keys are asked for (200000)")
    parser.add_argument("--entries", type=int, default=0, help="how many there is room for (a fifth of them)")
    parser.add_argument("--accesses", type=int, default=1_000_000, help="how long the traces are (1000000)")
    parser.add_argument("--sets", type=int, default=300_000, help="how many SETs are timed (300000; 0: none)")
    parser.add_argument("--margin", type=float, help="fail where redis-server hits so many percent more on a Zipf trace")
    asked = parser.parse_args()
    if not asked.redis:
        sys.exit("hit_ratio: there is no redis-server; --redis PATH says where it is")
    entries = asked.entries or asked.keys // 5
    programs = {"memento": asked.memento, "redis": asked.redis}
    worse = []
    print("| trace | policy | memento: hits | entries | redis: hits | entries | CPU us/SET, evicted/SET: memento | redis |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for kind in asked.traces.split(","):
        keys = trace(kind, asked.keys, asked.accesses, entries)
        for policy in asked.policies.split(","):
            row, costs, ratios = [kind, policy], [], {}
            for name, program in programs.items():
                with tempfile.TemporaryDirectory() as folder:
                    server = Server(name, program, folder)
                    try:
                        ratios[name], held = measure(server, policy, keys, entries)
                        row += [f"{ratios[name]:.2f} %", f"{held:.0f}"]
                        if asked.sets and kind == "zipf":
                            cost, gone = cpu_per_set(server, asked.sets, policy.startswith("volatile"))
                            costs.append(f"{cost:.2f}, {gone:.2f}")
                    finally:
                        server.stop()
            print("| " + " | ".join(row + (costs or ["", ""])) + " |", flush=True)
            if kind == "zipf" and asked.margin is not None and ratios["memento"] < ratios["redis"] * (1 - asked.margin / 100):
                worse.append(policy)
    if worse:
        sys.exit("hit_ratio: redis-server hits more under " + ", ".join(worse))


if __name__ == "__main__":
    main()
