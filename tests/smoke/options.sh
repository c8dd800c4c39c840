#!/bin/sh
# The options as a user meets them: help, version, mistakes, a port that is taken, a Unix socket.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=lib.sh
. tests/smoke/lib.sh

need nc

"$BIN/memento" -h >"$SCRATCH/got" || fail 'memento -h' 'exit code 0' "$?"
for option in --address --port --socket --socket-mode --verbose --help --version --maxclients --timeout \
    --tcp-keepalive --tcp-backlog --cluster --cluster-file --node-name --cluster-secret-file; do
    grep -q -e "$option" "$SCRATCH/got" || fail 'memento -h' "$option in it" "$(cat "$SCRATCH/got")"
done

version=$("$BIN/memento" -V)
case $version in
    memento\ [0-9]*.[0-9]*.[0-9]*) ;;
    *) fail 'memento -V' 'memento X.Y.Z' "$version" ;;
esac

# refused CODE OPTION...: the program ends with the code and one line on standard error.
refused() {
    wanted=$1
    shift
    code=0
    "$BIN/memento" "$@" >/dev/null 2>"$SCRATCH/got" </dev/null || code=$?
    [ "$code" -eq "$wanted" ] || fail "memento $*" "exit code $wanted" "$code"
    [ "$(wc -l <"$SCRATCH/got")" -eq 1 ] || fail "memento $*" 'one line' "$(cat "$SCRATCH/got")"
    grep -q '^memento: ' "$SCRATCH/got" || fail "memento $*" 'memento: what: why' "$(cat "$SCRATCH/got")"
}

refused 2 --no-such-option
refused 2 -p 65536
refused 2 -p word
refused 2 -c cluster.conf
refused 2 -c -f "$SCRATCH/none"
refused 2 -i name

start_server -s "$SCRATCH/sock"
refused 1 -p "$PORT"
refused 1 -p 0 -s "$SCRATCH/sock"
printf 'SET a 1\r\nGET a\r\nQUIT\r\n' | nc -w 10 -U "$SCRATCH/sock" >"$SCRATCH/got"
printf 'OK\r\n1\r\n' >"$SCRATCH/wanted"
cmp -s "$SCRATCH/wanted" "$SCRATCH/got" || fail 'SET and GET on the Unix socket' 'OK, 1' "$(cat "$SCRATCH/got")"
check 'GET a\r\nQUIT\r\n' '1\r\n'

# One client over the limit is told so.
stop_server TERM
start_server --maxclients 1
mkfifo "$SCRATCH/held"
nc 127.0.0.1 "$PORT" <"$SCRATCH/held" >"$SCRATCH/first" &
held=$!
exec 9>"$SCRATCH/held"
printf 'PING\r\n' >&9
answered() { [ -s "$SCRATCH/first" ]; }
eventually 'the answer to the first client' answered
# In the form of the protocol that it speaks, if it was faster than the refusal; else in RESP's.
case "$(exchange 'PING\r\nQUIT\r\n')" in
    '(error) max number of clients reached'* | '-ERR max number of clients reached'*) ;;
    *) fail 'PING beyond --maxclients' 'max number of clients reached' "$(exchange 'PING\r\n')" ;;
esac
exec 9>&-
kill "$held"
wait "$held" 2>/dev/null || true
answers() { [ "$(exchange 'PING\r\nQUIT\r\n')" = "$(printf 'PONG\r\n')" ]; }
eventually 'room for another client' answers
