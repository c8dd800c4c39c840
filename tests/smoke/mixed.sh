#!/bin/sh
# A cluster of two programs that may be built for different processors, those of BIN and of OTHER_BIN: each answers for
# the other's keys, whatever the order of the bytes in its numbers.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=lib.sh
. tests/smoke/lib.sh
need nc

OTHER_BIN=${OTHER_BIN:-$BIN}
first=$((24000 + $$ % 3000))
echo 'a secret of more than sixteen bytes' >"$SCRATCH/secret"
for node in 0 1; do
    awk -v first="$first" -v own="$node" 'BEGIN { for (i = 0; i < 2; i++)
        print "127.0.0.1", first + 100 + i, "node" i, (i == own) }' >"$SCRATCH/node$node.conf"
done
"$BIN/memento" -f "$SCRATCH/node0.conf" --cluster-secret-file "$SCRATCH/secret" >"$SCRATCH/log" 2>&1 </dev/null &
SERVER=$!
"$OTHER_BIN/memento" -f "$SCRATCH/node1.conf" --cluster-secret-file "$SCRATCH/secret" >"$SCRATCH/other" 2>&1 </dev/null &
other=$!
trap 'kill "$other" 2>/dev/null || true; cleanup' EXIT
formed() { grep -q 'Cluster successfully formed' "$SCRATCH/log" && grep -q 'Cluster successfully formed' "$SCRATCH/other"; }
eventually 'a cluster of two' formed

# Of a hundred keys each node has some. What one is told, the other one knows: short values, long ones, times.
awk 'BEGIN { for (i = 0; i < 100; i++) print "SET key" i " value" i; for (i = 0; i < 100; i++) print "PEXPIRE key" i " 90000"
    print "QUIT" }' | nc -w 20 127.0.0.1 "$first" >"$SCRATCH/got"
[ "$(grep -c '^OK' "$SCRATCH/got")" -eq 100 ] || fail 'SET of 100 keys' '100 times OK' "$(cat "$SCRATCH/got")"
{
    awk 'BEGIN { for (i = 0; i < 100; i++) print "GET key" i; print "DBSIZE" }'
    echo QUIT
} | nc -w 20 127.0.0.1 "$((first + 1))" | tr -d '\r' >"$SCRATCH/got"
awk 'BEGIN { for (i = 0; i < 100; i++) print "value" i; print 100 }' >"$SCRATCH/wanted"
cmp -s "$SCRATCH/wanted" "$SCRATCH/got" || fail 'GET of 100 keys by the other node' 'their values' "$(cat "$SCRATCH/got")"
{
    printf 'SET key7 '
    head -c 300000 /dev/zero | tr '\0' x
    printf '\r\nQUIT\r\n'
} | nc -w 20 127.0.0.1 "$first" >/dev/null
for port in "$first" "$((first + 1))"; do
    PORT=$port
    check 'STRLEN key7\r\nQUIT\r\n' '300000\r\n'
    exchange 'GET key7\r\nQUIT\r\n' >"$SCRATCH/got"
    [ "$(wc -c <"$SCRATCH/got")" -eq 300002 ] || fail 'GET of a long value' '300002 bytes' "$(head -c 200 "$SCRATCH/got")"
done
for key in 1 2 3 4 5 6; do
    left=$(exchange "PTTL key$key\r\nQUIT\r\n" | tr -d '\r')
    if [ "$left" -le 0 ] || [ "$left" -gt 90000 ]; then
        fail "PTTL key$key" '1 to 90000' "$left"
    fi
done
kill -TERM "$SERVER" "$other"
wait "$SERVER" || fail 'SIGTERM' 'exit code 0' "$?"
SERVER=
wait "$other" || fail 'SIGTERM to the other node' 'exit code 0' "$?"
trap cleanup EXIT
