#!/bin/sh
# A box that has its keys again: after SAVE and a crash, after an end; and a file that is spoilt.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=lib.sh
. tests/smoke/lib.sh

need nc
file=$SCRATCH/keys.memento

# loaded: whether keys are there to be asked for, which a file that is not there yet takes a moment to tell.
loaded() { printf 'PING\r\nQUIT\r\n' | nc -w 5 127.0.0.1 "$PORT" | grep -q PONG; }

start_server --snapshot "$file"
eventually 'PONG' loaded
check 'SET greeting hello world\r\nSAVE\r\nSET later 1\r\nQUIT\r\n' 'OK\r\nOK\r\nOK\r\n'
kill -KILL "$SERVER"
wait "$SERVER" 2>/dev/null || true
SERVER=

start_server --snapshot "$file"
eventually 'PONG' loaded
check 'GET greeting\r\nGET later\r\nSET later 2\r\nQUIT\r\n' 'hello world\r\n(null)\r\nOK\r\n'
stop_server TERM
[ ! -e "$file.tmp" ] || fail 'SIGTERM' 'no file that is not whole' "$file.tmp"

start_server --snapshot "$file"
eventually 'PONG' loaded
check 'GET later\r\nTTL later\r\nQUIT\r\n' '2\r\n-1\r\n'
stop_server TERM

# What is spoilt is neither served nor touched.
printf 'x' >>"$file"
cp "$file" "$SCRATCH/spoilt"
status=0
"$BIN/memento" -p 0 --snapshot "$file" >"$SCRATCH/log" 2>&1 || status=$?
if [ "$status" -ne 1 ] || ! grep -q 'goes on behind its end' "$SCRATCH/log"; then
    fail 'a spoilt file' 'exit code 1 and what is wrong' "$status"
fi
cmp -s "$file" "$SCRATCH/spoilt" || fail 'a spoilt file' 'what it was' 'something else'
