#!/bin/sh
# The first minute with memento: the README's lines through nc, and what a newcomer tries next.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=lib.sh
. tests/smoke/lib.sh

need nc
# shellcheck disable=SC2119
start_server

check 'SET greeting hello world\r\nGET greeting\r\nQUIT\r\n' 'OK\r\nhello world\r\n'
check 'get greeting\nquit\n' 'hello world\r\n'
check 'GET nothing\r\nEXIT\r\n' '(null)\r\n'
check 'SET k  two words \r\nGET k\r\nSTRLEN k\r\nQUIT\r\n' 'OK\r\n two words \r\n11\r\n'
check 'INC hits\r\nINC hits 41\r\nDEC hits 2\r\nQUIT\r\n' '1\r\n42\r\n40\r\n'
check 'INCF sum 0.1\r\nINCF sum 0.2\r\nQUIT\r\n' '0.1\r\n0.3\r\n'
check 'APPEND greeting !\r\nPREPEND greeting >\r\nGET greeting\r\nQUIT\r\n' 'OK\r\nOK\r\n>hello world!\r\n'
check 'DEL greeting\r\nDEL greeting\r\nQUIT\r\n' 'OK\r\n(null)\r\n'
check 'MSET a 1 b 2\r\nMGET a b c\r\nQUIT\r\n' 'OK\r\n1\n2\n(null)\r\n'
check 'HELLOO\r\nGET\r\nQUIT\r\n' "(Unknown command)\r\n(error) wrong number of arguments for 'get' command\r\n"
check 'SETEX k 100 v\r\nTTL k\r\nQUIT\r\n' 'OK\r\n100\r\n'
check 'FLUSH\r\nDBSIZE\r\nKEYS *\r\nQUIT\r\n' 'OK\r\n0\r\n(empty)\r\n'

# Messages, as the README shows them.
mkfifo "$SCRATCH/lines"
nc -w 10 127.0.0.1 "$PORT" <"$SCRATCH/lines" >"$SCRATCH/heard" &
listener=$!
exec 9>"$SCRATCH/lines"
printf 'SUBSCRIBE news\r\n' >&9
eventually 'the subscription' grep -q 'subscribe news 1' "$SCRATCH/heard"
check 'PUBLISH news it rains\r\nQUIT\r\n' '1\r\n'
eventually 'the message' grep -q 'message news it rains' "$SCRATCH/heard"
printf 'QUIT\r\n' >&9
exec 9>&-
wait "$listener"
printf 'subscribe news 1\r\nmessage news it rains\r\n' >"$SCRATCH/wanted"
cmp -s "$SCRATCH/wanted" "$SCRATCH/heard" || fail 'SUBSCRIBE news' 'the message' "$(cat "$SCRATCH/heard")"

# A line of half a megabyte goes through as well as a short one.
{
    printf 'SET big '
    head -c 500000 /dev/zero | tr '\0' x
    printf '\r\nSTRLEN big\r\nQUIT\r\n'
} | nc -w 10 127.0.0.1 "$PORT" >"$SCRATCH/got"
printf 'OK\r\n500000\r\n' >"$SCRATCH/wanted"
cmp -s "$SCRATCH/wanted" "$SCRATCH/got" || fail 'SET big (500000 bytes)' 'OK, 500000' "$(cat "$SCRATCH/got")"

# SHUTDOWN ends the server in good order.
printf 'SHUTDOWN\r\n' | nc -w 10 127.0.0.1 "$PORT" >"$SCRATCH/got"
eventually 'the end of the server after SHUTDOWN' gone
status=0
wait "$SERVER" || status=$?
SERVER=
[ "$status" -eq 0 ] || fail SHUTDOWN 'exit code 0' "$status"
