#!/usr/bin/env python3
"""Measures memento, beside redis-server where there is one, and writes tables in Markdown.

    scripts/bench.py [--rounds N] [--quick] [--only PART] [--out FILE] [--readme]

The load comes from memento-benchmark, whatever the server. Servers take turns within a round and figures are medians
over the rounds. CPU is the server's own processor time, the kernel's work for it included, as /proc/PID/stat tells it:
of all the figures the one that other work on the machine moves least. With --quick all is done on a small scale: that
tells that the script works, and nothing else. With --readme the tables go into README.md, between its two markers.

The status is 1 if crafted keys cost more than four times what others do.
"""

import argparse
import os
import platform
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from measure import loads, memory, stalls  # noqa: E402
from measure.servers import ROOT, memento, program, starters  # noqa: E402

PARTS = ("throughput", "large", "memory", "stalls", "keys", "collisions")
QUICK_SCALE = 0.005
START = "<!-- figures: make bench-readme writes them -->\n"
END = "<!-- /figures -->"


def output_of(*command):
    """What a program prints; nothing where it is missing or fails."""
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def processor():
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith(("model name", "Model", "Hardware")):
                return line.split(":", 1)[1].strip()
    return "unknown processor"


def head(options):
    """What a figure is worth nothing without."""
    commit = output_of("git", "rev-parse", "--short", "HEAD") or "unknown"
    # The tables themselves are no change.
    changed = output_of("git", "status", "--porcelain", "--", ".", ":!README.md")
    redis = output_of("redis-server", "--version").split()
    versions = [output_of(program("memento"), "--version"), output_of("rustc", "--version")]
    if len(redis) > 2:
        versions.insert(1, f"redis-server {redis[2].removeprefix('v=')} without persistence")
    uname = os.uname()
    rounds = "one round" if options.rounds == 1 else f"medians of {options.rounds} rounds"
    if options.quick:
        rounds = "quick: these figures mean nothing"
    # More than one or two of load is other work on the machine.
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    return "\n".join(
        [
            f"- machine: {uname.sysname} {uname.release} {uname.machine}, {os.cpu_count()} cores, {processor()};"
            f" load averages before: {load}",
            f"- commit {commit}{', with changes' if changed else ''}; {rounds}",
            "- profile: release (lto=fat, codegen-units=1, panic=abort), linked statically",
            f"- {'; '.join(version for version in versions if version)}; Python {platform.python_version()}",
            "- the load: memento-benchmark on the same machine, 50 connections in one thread, over loopback; keys of 16"
            " bytes, values of 32",
        ]
    )


def parts(options):
    """The title and table of each part that is wanted, as they are finished; whether all is within bounds."""
    rounds, scale = (1, QUICK_SCALE) if options.quick else (options.rounds, 1)
    wanted = [options.only] if options.only else PARTS
    all_servers = starters()
    if "throughput" in wanted:
        title = "Requests among 100,000 keys: operations a second, times to an answer in us, server CPU us an operation"
        yield title, loads.throughput(all_servers, rounds, scale), True
    if "large" in wanted:
        yield "Requests among 5,000,000 keys", loads.large(all_servers, rounds, scale), True
    if "memory" in wanted:
        title = "Private bytes an entry beyond its key and value"
        yield title, memory.overhead(all_servers, scale, 10 if scale == 1 else 1), True
        yield "Other memory", memory.rest(all_servers, scale), True
    if "stalls" in wanted:
        title = "How long others wait, in ms by the clock; turns are the server's passes of its loop, as it counts them"
        yield title, stalls.stalls(all_servers, scale), True
    if "keys" in wanted:
        title = "Kinds of keys: 200,000 each, server CPU us, 128 requests pipelined on one connection"
        yield title, loads.structured_keys(memento, rounds, scale), True
    if "collisions" in wanted:
        text, is_bounded = loads.collisions(memento, rounds)
        title = "Crafted collisions: 32,768 keys in each of 8 slots, server CPU us, 128 requests pipelined"
        yield title, text, is_bounded


def write_readme(text):
    path = os.path.join(ROOT, "README.md")
    with open(path) as file:
        readme = file.read()
    start = readme.index(START) + len(START)
    with open(path, "w") as file:
        file.write(readme[:start] + "\n" + text + "\n" + readme[readme.index(END, start) :])


def main():
    parser = argparse.ArgumentParser(description="Measures memento, beside redis-server where there is one.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="on a small scale, to see that it works")
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--out", help="write the tables to this file too")
    parser.add_argument("--readme", action="store_true", help="write the tables into README.md")
    options = parser.parse_args()
    texts = [head(options)]
    print(texts[0], flush=True)
    failures = []
    for title, text, is_bounded in parts(options):
        texts.append(f"**{title}**\n\n{text}")
        print(f"\n{texts[-1]}", flush=True)
        if not is_bounded:
            failures.append(title)
    whole = "\n\n".join(texts) + "\n"
    if options.out:
        with open(options.out, "w") as file:
            file.write(whole)
    if options.readme:
        write_readme(whole)
    if failures:
        print(f"out of bounds: {'; '.join(failures)}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
