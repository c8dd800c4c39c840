"""Tables of what memory is taken: by entries, by connections, by nothing, and after most was deleted."""

import resource
import time

from measure.loads import load, table
from measure.servers import encode

# Entries, bytes of a value; keys have 16 bytes.
SIZES = ((1_000_000, 16), (1_300_000, 21), (700_000, 100))
KEY_BYTES = 16
CONNECTIONS = 5000


def settle(scale):
    """Lets a server end what it does after its last answer."""
    time.sleep(1.5 if scale >= 1 else 0.1)


def fill(server, count, value_bytes, with_ttl):
    if not with_ttl:
        load(server, "fill", pipeline=64, requests=count, keys=count, value_bytes=value_bytes)
        return
    connection = server.connect()
    value = b"v" * value_bytes
    for start in range(0, count, 10_000):
        numbers = range(start, min(count, start + 10_000))
        # From an hour to a day away.
        ends = ((b"key:%012d" % number, 3600 + number % 82_800) for number in numbers)
        connection.store([encode("SET", key, value, "EX", seconds) for key, seconds in ends])
    connection.close()


def overhead(starters, scale, idle_s):
    """Bytes of private memory for an entry, those of its key and value not counted: at once, and after idling."""
    later = f"after {idle_s} s idle"
    rows = [["entries of key + value", "server", "without TTL", later, "with TTL", later]]
    found = {}
    for name, start in starters.items():
        servers = []
        try:
            for count, value_bytes in SIZES:
                count = max(1000, int(count * scale))
                for with_ttl in (False, True):
                    server = start()
                    servers.append((server, count, value_bytes, with_ttl))
                    settle(scale)
                    before = server.private_kb()
                    fill(server, count, value_bytes, with_ttl)
                    settle(scale)
                    found[name, value_bytes, with_ttl] = [before, server.private_kb()]
            time.sleep(idle_s)
            for server, count, value_bytes, with_ttl in servers:
                before, after = found[name, value_bytes, with_ttl]
                each = [(kb - before) * 1024 / count - KEY_BYTES - value_bytes for kb in (after, server.private_kb())]
                found[name, value_bytes, with_ttl] = [f"{one:.1f}" for one in each]
        finally:
            for server, *_ in servers:
                server.end()
    for count, value_bytes in SIZES:
        for name in starters:
            plain, ttl = found[name, value_bytes, False], found[name, value_bytes, True]
            rows.append([f"{max(1000, int(count * scale)):,} of {KEY_BYTES} + {value_bytes}", name, *plain, *ttl])
    return table(*rows)


def idle(server, scale):
    """Private kilobytes of a server that nobody has used."""
    settle(scale)
    return server.private_kb()


def connections(server, scale):
    """Bytes for a connection that has made one request and is silent since."""
    count = max(100, int(CONNECTIONS * scale))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 500), hard))
    before = server.private_kb()
    opened = [server.connect() for _ in range(count)]
    for connection in opened:
        connection.ask("PING")
    settle(scale)
    each = (server.private_kb() - before) * 1024 / count
    for connection in opened:
        connection.close()
    return each


def held(server, scale):
    """Which part of the memory is still held ten seconds after 90 % of 500,000 entries were deleted."""
    count = max(10_000, int(500_000 * scale))
    before = server.private_kb()
    fill(server, count, 16, False)
    settle(scale)
    full = server.private_kb() - before
    connection = server.connect()
    keys = [b"key:%012d" % number for number in range(count) if number % 10]
    for at in range(0, len(keys), 1000):
        connection.ask("DEL", *keys[at : at + 1000])
    connection.close()
    time.sleep(10 if scale >= 1 else 1)
    return 100 * (server.private_kb() - before) / full


def rest(starters, scale):
    rows = [["", *starters]]
    found = []
    for start in starters.values():
        with start() as server:
            nothing = idle(server, scale)
            each = connections(server, scale)
        with start() as server:
            settle(scale)
            found.append([f"{nothing:,}", f"{each:.0f}", f"{held(server, scale):.0f} %"])
    names = ("idle, private kB", "bytes an idle connection", "still held after deleting 90 % of 500,000 entries")
    rows += [[name, *(one[place] for one in found)] for place, name in enumerate(names)]
    return table(*rows)
