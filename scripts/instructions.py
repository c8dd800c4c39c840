#!/usr/bin/env python3
"""Counts the instructions that the server executes for one request, outside of the kernel.

The finished program runs under callgrind and serves a load that is the same each time: requests on one connection, so
many at a time, for keys that exist. Two runs of the load differ in length alone, so that what they differ by in
instructions, divided by the requests, is the cost of one, without the start and the end of the program. Other work on
the machine hardly moves these figures: a turn of the loop that took long is cut in two, which is all.

With a figure above its ceiling the status is 1. The ceilings are what was measured, and 8 % more; after a change
that is worth its price, `scripts/instructions.py --renew` writes them into this file, and the commit says why.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from measure.servers import Server, encode, program  # noqa: E402

MARGIN = 1.08
KEYS = 1000
VALUE = b"v" * 32

# How many requests are counted: all divide by the requests at a time.
REQUESTS = 19_200
REQUESTS_ALONE = 4_800

# Protocol, request, requests at a time.
CASES = [(protocol, name, depth) for protocol in ("RESP", "text") for name in ("GET", "SET") for depth in (1, 16, 64)]

# The instructions that one request of each case may cost.
CEILINGS = {
    ("RESP", "GET", 1): 3696,
    ("RESP", "GET", 16): 1423,
    ("RESP", "GET", 64): 1309,
    ("RESP", "SET", 1): 3927,
    ("RESP", "SET", 16): 1654,
    ("RESP", "SET", 64): 1541,
    ("text", "GET", 1): 3981,
    ("text", "GET", 16): 1727,
    ("text", "GET", 64): 1615,
    ("text", "SET", 1): 4207,
    ("text", "SET", 16): 1942,
    ("text", "SET", 64): 1828,
}


def request(protocol, name, number):
    words = [name.encode(), b"key:%012d" % (number * 7919 % KEYS)] + ([VALUE] if name == "SET" else [])
    return encode(*words) if protocol == "RESP" else b" ".join(words) + b"\r\n"


def answer_bytes(protocol, name):
    """How long each answer is."""
    if name == "SET":
        return len(b"+OK\r\n") if protocol == "RESP" else len(b"OK\r\n")
    return (len(b"$32\r\n") if protocol == "RESP" else 0) + len(VALUE) + 2


def load(server, case, count):
    """So many requests on a connection of their own."""
    protocol, name, depth = case
    connection = server.connect()
    for start in range(0, count, depth):
        batch = b"".join(request(protocol, name, number) for number in range(start, start + depth))
        connection.exchange(batch, answer_bytes(protocol, name) * depth)
    connection.close()


def total(case=None, count=0):
    """The instructions of a whole run: all cases begin alike, then so many requests of one of them follow."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=counts", program("memento")]
    with Server("memento", [*command, "-a", "127.0.0.1", "-p", "PORT"]) as server:
        filling = server.connect()
        filling.store([encode("SET", b"key:%012d" % number, VALUE) for number in range(KEYS)], 16)
        for each in CASES:
            load(server, each, each[2] * 4)
        if case:
            load(server, case, count)
        filling.socket.sendall(encode("SHUTDOWN"))
        server.process.wait(60)
        with open(os.path.join(server.folder, "counts")) as file:
            return int(re.search(r"^(?:summary|totals): (\d+)", file.read(), re.MULTILINE).group(1))


def renew(measured):
    """Writes the table of this file anew."""
    path = os.path.abspath(__file__)
    with open(path) as file:
        text = file.read()
    lines = "".join(f'    ("{p}", "{n}", {d}): {round(count * MARGIN)},\n' for (p, n, d), count in measured.items())
    start = text.index("CEILINGS = {\n") + len("CEILINGS = {\n")
    with open(path, "w") as file:
        file.write(text[:start] + lines + text[text.index("}\n", start) :])


def main():
    parser = argparse.ArgumentParser(description="Counts the instructions of a request, and compares with ceilings.")
    parser.add_argument("--renew", action="store_true", help="write what is measured, and 8 %% more, into this file")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        print("skipped: valgrind is not installed")
        return 1 if os.environ.get("CI") == "true" else 0
    base = total()
    measured, failures = {}, 0
    print("| protocol | request | at a time | instructions each | ceiling |\n| --- | --- | --- | --- | --- |")
    for case in CASES:
        count = REQUESTS_ALONE if case[2] == 1 else REQUESTS
        measured[case] = (total(case, count) - base) / count
        ceiling = CEILINGS.get(case, 0)
        is_over = measured[case] > ceiling
        failures += is_over
        protocol, name, depth = case
        mark = " EXCEEDED" if is_over else ""
        print(f"| {protocol} | {name} | {depth} | {measured[case]:.0f} | {ceiling}{mark} |", flush=True)
    if options.renew:
        renew(measured)
        return 0
    if failures:
        print(f"{failures} above the ceiling: see the head of scripts/instructions.py")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
