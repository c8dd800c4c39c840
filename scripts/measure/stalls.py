"""A table of how long others wait while a server does something large."""

import threading
import time

from measure.loads import load, table
from measure.servers import encode


def spin(seconds):
    """What the machine itself does to anybody: the longest gap, in ms, of a loop that only reads the clock."""
    last = time.perf_counter()
    end, worst = last + seconds, 0.0
    while last < end:
        now = time.perf_counter()
        worst, last = max(worst, now - last), now
    return worst * 1e3


class Bystander:
    """A client that asks for nothing but PING, now and then, and keeps its longest wait in milliseconds."""

    def __init__(self, server):
        self.connection = server.connect()
        self.waits = []
        self.is_done = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.is_done.is_set():
            began = time.perf_counter()
            self.connection.ask("PING")
            self.waits.append((time.perf_counter() - began) * 1e3)
            time.sleep(0.0005)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_done.set()
        self.thread.join()
        self.connection.close()


def watched(server, what, work):
    """Does the work beside a bystander; a row of its waits, and of the turns as the server itself counts them."""
    asking = server.connect()
    asking.ask("CONFIG", "RESETSTAT")
    with Bystander(server) as bystander:
        work()
    waits = sorted(bystander.waits)
    row = [what, server.name, f"{waits[-1]:.1f}", f"{waits[len(waits) * 999 // 1000]:.2f}"]
    asking.close()
    fields = server.info("memento")
    if "turn_count" not in fields:
        return [*row, "", "", ""]
    p999 = dict(part.split("=") for part in fields["turn_percentiles_usec"].split(","))["p99.9"]
    return [*row, fields["turn_count"], f"{float(p999) / 1000:.2f}", f"{int(fields['turn_longest_usec']) / 1000:.2f}"]


def expiring(server, count, lead_s):
    """Keys that all end at one moment."""
    at_ms = int((time.time() + lead_s) * 1000)
    connection = server.connect()
    connection.store([encode("SET", f"e{number}", "v" * 16, "PXAT", at_ms) for number in range(count)])
    connection.close()
    return at_ms / 1000


def wait_until_empty(server, limit_s=30):
    asking = server.connect()
    end = time.monotonic() + limit_s
    while asking.ask("DBSIZE") > 0 and time.monotonic() < end:
        time.sleep(0.02)
    asking.close()


def of_server(server, scale):
    entries, expiring_keys = max(10_000, int(8_000_000 * scale)), max(1000, int(300_000 * scale))
    large = max(1 << 20, int(256_000_000 * scale))
    asking = server.connect()

    def grow():
        load(server, "fill", connections=4, pipeline=8, requests=entries, keys=entries, value_bytes=16)

    def flush():
        asking.ask("FLUSHALL")
        time.sleep(2 * min(1, scale * 5))

    def delete():
        asking.ask("DEL", "large")
        time.sleep(1 * min(1, scale * 5))

    rows = [watched(server, f"growing to {entries:,} entries", grow)]
    rows.append(watched(server, "FLUSHALL of them", flush))
    asking.ask("SET", "large", b"x" * large)
    rows.append(watched(server, f"DEL of {large // 1_000_000} MB", delete))
    # Made before the bystander looks on: what is watched is their end.
    lead_s = max(1, 8 * scale)
    at_s = expiring(server, expiring_keys, lead_s)

    def expire():
        time.sleep(max(0.0, at_s - time.time()))
        wait_until_empty(server)

    rows.append(watched(server, f"{expiring_keys:,} keys expiring at once", expire))
    asking.close()
    return rows


def stalls(starters, scale):
    head = ["ms", "server", "bystander's longest wait", "p99.9", "turns", "turn p99.9", "longest turn"]
    rows = [head, ["nothing: a loop that spins", "the machine", f"{spin(3 * min(1, scale * 5)):.1f}", "", "", "", ""]]
    for start in starters.values():
        with start() as server:
            rows += of_server(server, scale)
    return table(*rows)
