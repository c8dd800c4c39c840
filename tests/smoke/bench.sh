#!/bin/sh
# make bench, on a small scale: every table has its rows, and crafted keys cost little enough.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=lib.sh
. tests/smoke/lib.sh
need python3

BIN=$BIN python3 scripts/bench.py --quick --out "$SCRATCH/tables" >"$SCRATCH/printed"
cmp -s "$SCRATCH/printed" "$SCRATCH/tables" || fail "scripts/bench.py --out" "what it prints" "$(cat "$SCRATCH/tables")"
for wanted in '^- machine: ' '^- commit ' '^| GET | 64 | memento |' '^| SET | 16 | memento | [0-9,]* | [0-9.]* |' \
    '^| .* of 16 + 100 | memento |' '^| idle, private kB |' '^| .* keys expiring at once | memento |' '^| UUIDs |' \
    '^| crafted |'; do
    grep -q "$wanted" "$SCRATCH/tables" || fail "scripts/bench.py --quick" "$wanted" "$(cat "$SCRATCH/tables")"
done
