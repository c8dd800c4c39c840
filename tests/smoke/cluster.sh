#!/bin/sh
# A cluster of three by scripts/cluster.sh: any node answers for any key; one is killed, and comes back empty.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=lib.sh
. tests/smoke/lib.sh

need nc
need python3
MEMENTO_CLUSTER_DIR=$SCRATCH/cluster
export MEMENTO_CLUSTER_DIR BIN
# Nodes that are left over are ended before their folder goes.
trap 'BIN=$BIN scripts/cluster.sh stop >/dev/null 2>&1; cleanup' EXIT

# cluster WORD...: runs the script, and shows what it said and all logs where it fails.
cluster() {
    code=0
    scripts/cluster.sh "$@" >"$SCRATCH/said" 2>&1 </dev/null || code=$?
    if [ "$code" -ne 0 ]; then
        cat "$MEMENTO_CLUSTER_DIR"/node*.log >"$SCRATCH/log" 2>/dev/null || true
        fail "scripts/cluster.sh $*" 'exit code 0' "$code: $(cat "$SCRATCH/said")"
    fi
}

# Below the ports that the kernel gives out by itself; another program may still sit there.
first=$((15000 + $$ % 15000))
tries=5
until scripts/cluster.sh start 3 "$first" >"$SCRATCH/said" 2>&1 </dev/null; do
    tries=$((tries - 1))
    if [ "$tries" -eq 0 ] || ! grep -q 'cannot listen' "$MEMENTO_CLUSTER_DIR"/node*.log; then
        cat "$MEMENTO_CLUSTER_DIR"/node*.log >"$SCRATCH/log" 2>/dev/null || true
        fail 'scripts/cluster.sh start 3' 'exit code 0' "$(cat "$SCRATCH/said")"
    fi
    first=$((first + 7))
done
for node in 0 1 2; do
    formed=$(grep -c '^\[INF\]\[[-0-9 ]*\] - Cluster successfully formed$' "$MEMENTO_CLUSTER_DIR/node$node.log" || true)
    [ "$formed" = 1 ] || fail "the log of node $node" 'that the cluster formed, once' "$formed times"
done
cluster status

# on NODE BYTES WANTED: what that node answers; both are formats of printf.
on() {
    PORT=$((first + $1))
    check "$2" "$3"
}

# Every node answers for every key, and all of them for the whole. Each node owns some of these.
on 0 'SET hits 0\r\nQUIT\r\n' 'OK\r\n'
for key in a b c d e f g h i j one; do
    on 0 "SET $key value-$key\r\nQUIT\r\n" 'OK\r\n'
done
for node in 0 1 2; do
    on "$node" 'GET a\r\nGET b\r\nGET c\r\nGET one\r\nGET none\r\nQUIT\r\n' \
        'value-a\r\nvalue-b\r\nvalue-c\r\nvalue-one\r\n(null)\r\n'
    on "$node" 'MGET j i h g f e\r\nDBSIZE\r\nQUIT\r\n' \
        'value-j\nvalue-i\nvalue-h\nvalue-g\nvalue-f\nvalue-e\r\n12\r\n'
    on "$node" 'INC hits\r\nQUIT\r\n' "$((node + 1))\r\n"
    got=$("$BIN/memento-cli" 127.0.0.1 "$((first + node))" GET a)
    [ "$got" = value-a ] || fail "GET a of node $node by memento-cli" value-a "$got"
done
on 1 'RENAME a b\r\nRENAME {a}1 {a}2\r\nQUIT\r\n' \
    "(error) CROSSSLOT Keys in request don't hash to the same slot\r\n(error) no such key\r\n"

# The last node owns the upper third of the slots; a (CRC16 15495, slot 7303) is there.
lost=a
cluster kill 2
if scripts/cluster.sh status >"$SCRATCH/said" 2>&1 </dev/null; then
    fail 'scripts/cluster.sh status after kill 2' 'exit code 1' "0: $(cat "$SCRATCH/said")"
fi
# After the close is seen, the error comes at once.
refused() {
    PORT=$((first + $1))
    exchange "GET $lost\r\nQUIT\r\n" | grep -q '^(error) CLUSTERDOWN '
}
for node in 0 1; do
    eventually "an error for a key of the killed node through node $node" refused "$node"
done
# b (slot 3300) and f (slot 3168) are the second node's, which goes on.
on 0 'GET b\r\nQUIT\r\n' 'value-b\r\n'
on 1 'GET b\r\nSET f again\r\nGET f\r\nQUIT\r\n' 'value-b\r\nOK\r\nagain\r\n'

# It comes back empty, and is served through all.
cluster restart 2
served() {
    PORT=$((first + $1))
    [ "$(exchange "GET $lost\r\nQUIT\r\n")" = "$(printf '(null)\r\n')" ]
}
for node in 0 1 2; do
    eventually "the key of the node that came back, through node $node" served "$node"
done
on 0 "SET $lost again\r\nQUIT\r\n" 'OK\r\n'
on 1 "GET $lost\r\nQUIT\r\n" 'again\r\n'
cluster status

# Nothing is left running.
pids=$(cat "$MEMENTO_CLUSTER_DIR"/node*.pid)
cluster stop
for pid in $pids; do
    if tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q memento; then
        fail 'scripts/cluster.sh stop' 'no process left' "$pid"
    fi
done
set -- "$MEMENTO_CLUSTER_DIR"/*.pid
[ ! -e "$1" ] || fail 'scripts/cluster.sh stop' 'no file with a process id' "$*"
