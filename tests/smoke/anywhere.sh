#!/bin/sh
# One file is all that is needed: an empty folder as the root, read-only, without /proc and /dev; 16 MB of memory;
# standard output closed; the first process of a container.
# shellcheck disable=SC2016
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=lib.sh
. tests/smoke/lib.sh
need nc
need prlimit
need unshare

if [ "$(id -u)" -ne 0 ] || ! unshare -p -f true 2>/dev/null; then
    echo "skipped: only root may change the root of a process, or make a container"
    [ "${CI:-}" != true ]
    exit
fi

ROOT=$SCRATCH/root
mkdir "$ROOT"
cp "$BIN/memento" "$ROOT/memento"

# start_within COMMAND...: as start_server, with a whole command.
start_within() {
    : >"$SCRATCH/log"
    "$@" >>"$SCRATCH/log" 2>&1 </dev/null &
    SERVER=$!
    eventually "the line 'listening on'" listening
    PORT=$(sed -n 's/.*listening on .*:\([0-9][0-9]*\)$/\1/p' "$SCRATCH/log" | head -n 1)
    [ -n "$PORT" ] || fail "$*" "listening on ADDRESS:PORT" "$(cat "$SCRATCH/log")"
}

# ends_with STATUS TEXT COMMAND...: the program ends so, and says so.
ends_with() {
    wanted=$1
    text=$2
    shift 2
    status=0
    timeout 20 "$@" >"$SCRATCH/got" 2>&1 </dev/null || status=$?
    if [ "$status" -ne "$wanted" ] || ! grep -Fq "$text" "$SCRATCH/got"; then
        fail "$*" "$text ($wanted)" "$(cat "$SCRATCH/got") ($status)"
    fi
}

serves() {
    check 'SET a 1\r\nINC a\r\nSETEX b 100 x\r\nGET b\r\nDBSIZE\r\nDEL a b\r\nQUIT\r\n' 'OK\r\n2\r\nOK\r\nx\r\n2\r\nOK\r\n'
}

ends() {
    stop_server TERM
    [ "$STATUS" -eq 0 ] || fail "SIGTERM $1" 'exit code 0' "$STATUS"
}

# An empty root. The tools, too.
start_within chroot "$ROOT" /memento -p 0
serves
got=$(chroot "$ROOT" /memento cli 127.0.0.1 "$PORT" ECHO 'out of nothing')
[ "$got" = 'out of nothing' ] || fail 'ECHO in an empty root' 'out of nothing' "$got"
got=$(chroot "$ROOT" /memento cli localhost "$PORT" PING)
[ "$got" = PONG ] || fail 'PING localhost in an empty root' PONG "$got"
chroot "$ROOT" /memento benchmark -t set -n 1000 127.0.0.1 "$PORT" >/dev/null ||
    fail 'the benchmark in an empty root' 'exit code 0' "$?"
ends 'in an empty root'

# Names want /etc/hosts, and nothing else.
ends_with 1 "host 'box' cannot be looked up, /etc/hosts: No such file or directory; give a numeric address" \
    chroot "$ROOT" /memento -p 0 -a box
ends_with 1 "host 'box' cannot be looked up" chroot "$ROOT" /memento cli box 1 PING
mkdir "$ROOT/etc"
echo '127.0.0.1 box' >"$ROOT/etc/hosts"
start_within chroot "$ROOT" /memento -p 0 -a box
serves
ends 'with a name'
ends_with 1 "no host 'other' in /etc/hosts; give a numeric address" chroot "$ROOT" /memento -p 0 -a other
rm -r "${ROOT:?}/etc"

# Standard input, output and error closed, and no /dev/null to put in their place.
port=$((19000 + $$ % 1000))
chroot "$ROOT" /memento -p "$port" <&- >&- 2>&- &
SERVER=$!
PORT=$port
served() { [ "$(chroot "$ROOT" /memento cli 127.0.0.1 "$PORT" PING 2>/dev/null)" = PONG ]; }
eventually 'an answer with all standard descriptors closed' served
serves
ends 'with all standard descriptors closed'

# A root that cannot be written to; still without /proc.
start_within unshare -m sh -c 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec chroot "$0" /memento -p 0' \
    "$ROOT"
serves
ends 'with a read-only root'

# 16 MB of addresses: what does not fit is refused, and all goes on.
start_within prlimit --as=16777216 "$BIN/memento" -p 0 --maxmemory 4mb
serves
awk 'BEGIN { for (i = 0; i < 200; i++) { printf "SET k%d ", i; for (j = 0; j < 4000; j++) printf "0123456789"; print "" }
    print "PING"; print "QUIT" }' | nc -w 20 127.0.0.1 "$PORT" >"$SCRATCH/got"
grep -q '^OK' "$SCRATCH/got" || fail '8 MB of values with 16 MB' 'OK for some' "$(head -c 300 "$SCRATCH/got")"
grep -q '^(error) OOM ' "$SCRATCH/got" || fail '8 MB of values with 16 MB' 'OOM for some' "$(head -c 300 "$SCRATCH/got")"
tail -n 1 "$SCRATCH/got" | grep -q '^PONG' || fail 'PING behind them' PONG "$(tail -c 300 "$SCRATCH/got")"
ends 'with 16 MB'

# The first process of a container: signals reach it, and children of others that end leave nothing behind.
start_within unshare -p -f --kill-child sh -c 'mkdir "$0" && exec "$1/memento" -p 0' "$SCRATCH/own" "$BIN"
serves
first=$(cat "/proc/$SERVER/task/$SERVER/children")
first=${first%% *}
# A process whose parent ends at once becomes a child of the first one.
nsenter -t "$first" -p sh -c 'sh -c "exec sleep 0.2" & exit'
children() { cat "/proc/$first/task/$first/children" 2>/dev/null; }
reaped() { [ -z "$(children)" ]; }
eventually 'that nothing is left of a child of others' reaped
kill -TERM "$first"
eventually 'the end of the first process' gone
STATUS=0
wait "$SERVER" || STATUS=$?
SERVER=
[ "$STATUS" -eq 0 ] || fail 'SIGTERM to the first process' 'exit code 0' "$STATUS"
