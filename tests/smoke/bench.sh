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

# Every kind of load in either protocol: each reply is checked, and one line of figures comes.
start_server
for protocol in resp text; do
    for kind in fill set get inc append exists ping; do
        load="--load $kind --protocol $protocol --requests 3000 --keys 1000 --pipeline 7 --connections 3"
        # shellcheck disable=SC2086
        "$BIN/memento-benchmark" 127.0.0.1 "$PORT" $load >"$SCRATCH/line" 2>&1 ||
            fail "memento-benchmark $load" "success" "$(cat "$SCRATCH/line")"
        grep -q '^ \[[A-Z]*\] - Elapsed time: [0-9.]* s  Op/s: [0-9.]*  p50: [0-9]* us ' "$SCRATCH/line" ||
            fail "memento-benchmark $load" "a line of figures" "$(cat "$SCRATCH/line")"
    done
done
if "$BIN/memento-benchmark" 127.0.0.1 "$PORT" --load get --prefix none: --requests 10 >"$SCRATCH/line" 2>&1; then
    fail "GET of keys that are not there" "a failure" "$(cat "$SCRATCH/line")"
fi
grep -q 'wrong answer' "$SCRATCH/line" || fail "GET of keys that are not there" "wrong answer" "$(cat "$SCRATCH/line")"
