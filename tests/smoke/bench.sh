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

# Every kind of load in either protocol, each reply checked, by TCP and by the Unix socket.
# load NAME WORD...: a load of the server NAME on $AT; its figures go to $SCRATCH/rows.
load() {
    name=$1
    shift
    "$BIN/memento-benchmark" "$@" >"$SCRATCH/rows" 2>&1 || fail "memento-benchmark $* ($name)" success "$(cat "$SCRATCH/rows")"
}
tests=fill,get,set,inc,dec,incf,append,exists,ping,del
start_server -s "$SCRATCH/sock"
for protocol in resp text; do
    load memento 127.0.0.1 "$PORT" -t "$tests" --protocol "$protocol" -n 3000 -r 1000 -P 7 -c 3 --threads 2 --verify \
        -d 1-300 --keys zipf:0.99 -q
    awk '!/^ \[[A-Z]*\] - Elapsed time: [0-9.]* s  Op\/s: [0-9.]*  p50: [0-9.]*  p99: [0-9.]*  max: [0-9.]*/ { exit 1 }
        END { if (NR != 10) exit 1 }' "$SCRATCH/rows" || fail "-t $tests" "ten lines of figures" "$(cat "$SCRATCH/rows")"
    load memento -s "$SCRATCH/sock" -t fill --mix get:90,set:10 --protocol "$protocol" -n 3000 -r 1000 --verify --json \
        --ttl 100 --rate 100000
    python3 - "$SCRATCH/rows" <<'END' || fail "--mix get:90,set:10 --json" "four rows, no misses" "$(cat "$SCRATCH/rows")"
import json, sys
rows = json.load(open(sys.argv[1]))["results"]
assert [row["test"] for row in rows] == ["fill", "get:90,set:10", "get", "set"]
assert [row["requests"] for row in rows[:2]] == [1000, 3000] and rows[2]["requests"] + rows[3]["requests"] == 3000
assert not any(row["misses"] for row in rows)
END
done
# Values that no socket's buffer holds, and that come in many pieces.
load memento -s "$SCRATCH/sock" -t set,get -d 1-400000 -n 300 -r 40 -P 4 -c 3 --verify -q
# A number is one that servers take as such.
load memento 127.0.0.1 "$PORT" --command 'INCRBY many __rand__' -n 1000 -q

# A terminal sees how it goes on, a picture and nothing of what was written over.
if command -v script >/dev/null; then
    script -qec "$BIN/memento-benchmark 127.0.0.1 $PORT -t get --time 1.2 -c 2 --histogram" /dev/null \
        </dev/null >"$SCRATCH/screen"
    for wanted in '\[GET\] [0-9]* s  Op/s: [0-9]*  mean: [0-9.]* us' '^ *[0-9.]* us *[0-9.]*% #'; do
        grep -q "$wanted" "$SCRATCH/screen" || fail "memento-benchmark --histogram" "$wanted" "$(cat "$SCRATCH/screen")"
    done
elif [ "${CI:-}" = true ]; then
    fail "progress on a terminal" "the program 'script' (util-linux)" "it is missing"
fi

# The same work for redis-server, side by side with memento.
if command -v redis-server >/dev/null; then
    redis=$((21000 + $$ % 3000))
    : >"$SCRATCH/redis"
    redis-server --port "$redis" --bind 127.0.0.1 --save '' --dir "$SCRATCH" >>"$SCRATCH/redis" 2>&1 </dev/null &
    other=$!
    trap 'kill "$other" 2>/dev/null || true; cleanup' EXIT
    eventually "redis-server's start" grep -q 'Ready to accept' "$SCRATCH/redis"
    load both 127.0.0.1 "$PORT" -t "$tests" -n 3000 -r 1000 -P 7 -c 3 --verify --compare "127.0.0.1:$redis" --csv
    awk -F , 'NR > 1 && $4 > 0 && $1 != "del" { exit 1 } NR > 1 && NR % 2 == 0 && !($7 > 0) { exit 1 }
        END { if (NR != 21) exit 1 }' "$SCRATCH/rows" || fail "--compare" "two rows a test" "$(cat "$SCRATCH/rows")"
    kill "$other"
    wait "$other" || true
elif [ "${CI:-}" = true ]; then
    fail "--compare" "the program redis-server" "it is missing"
else
    echo "bench.sh: skipped redis-server: it is not installed"
fi

# All nodes of a cluster are asked.
first=$((24000 + $$ % 3000))
for node in 0 1; do
    awk -v first="$first" -v own="$node" 'BEGIN { for (i = 0; i < 2; i++)
        print "127.0.0.1", first + 100 + i, "node" i, (i == own) }' >"$SCRATCH/node$node.conf"
done
: >"$SCRATCH/node0.log"
: >"$SCRATCH/node1.log"
"$BIN/memento" -f "$SCRATCH/node0.conf" >>"$SCRATCH/node0.log" 2>&1 </dev/null &
node0=$!
"$BIN/memento" -f "$SCRATCH/node1.conf" >>"$SCRATCH/node1.log" 2>&1 </dev/null &
node1=$!
trap 'kill "$node0" "$node1" 2>/dev/null || true; cleanup' EXIT
eventually "a cluster" grep -q 'Cluster successfully formed' "$SCRATCH/node0.log"
eventually "a cluster" grep -q 'Cluster successfully formed' "$SCRATCH/node1.log"
load cluster 127.0.0.1 "$first" --cluster -t fill,get -n 3000 -r 1000 -c 4 --verify --csv
awk -F , 'NR > 1 && $4 > 0 { exit 1 }' "$SCRATCH/rows" || fail "--cluster" "no misses" "$(cat "$SCRATCH/rows")"
for node in 0 1; do
    came=$("$BIN/memento-cli" 127.0.0.1 "$((first + node))" INFO | sed -n 's/^total_connections_received:\([0-9]*\).*/\1/p')
    [ "${came:-0}" -ge 5 ] || fail "--cluster" "two connections for each test to node $node" "${came:-none}"
done
