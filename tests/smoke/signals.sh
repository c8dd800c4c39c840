#!/bin/sh
# SIGTERM and SIGINT end the server with code 0, and nothing is left behind.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=lib.sh
. tests/smoke/lib.sh

need nc

for signal in TERM INT; do
    start_server -s "$SCRATCH/sock"
    check 'PING\r\nQUIT\r\n' 'PONG\r\n'
    [ -S "$SCRATCH/sock" ] || fail "memento -s $SCRATCH/sock" 'a socket' "$(ls -l "$SCRATCH")"
    stop_server "$signal"
    [ "$STATUS" -eq 0 ] || fail "SIG$signal" 'exit code 0' "$STATUS"
    [ ! -e "$SCRATCH/sock" ] || fail "SIG$signal" 'the socket removed' "$(ls -l "$SCRATCH")"
done

# With no client ever, and no Unix socket.
start_server
stop_server TERM
[ "$STATUS" -eq 0 ] || fail 'SIGTERM without a client' 'exit code 0' "$STATUS"
