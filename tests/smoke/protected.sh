#!/bin/sh
# Protected mode, in a network of its own whose loopback interface has two more addresses: who comes from one to the
# other is no local client, as if it sat on another box.
# shellcheck disable=SC2016
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=lib.sh
. tests/smoke/lib.sh
need nc
need ip
need unshare

if [ -z "${MEMENTO_OWN_NETWORK:-}" ]; then
    if ! unshare -n true 2>/dev/null; then
        echo "skipped: no right to make a network of its own"
        [ "${CI:-}" != true ]
        exit
    fi
    MEMENTO_OWN_NETWORK=1 unshare -n sh tests/smoke/protected.sh
    exit
fi
ip link set lo up
ip address add 192.0.2.1/32 dev lo
ip address add 192.0.2.2/32 dev lo

# ask FROM REQUESTS: what the server at 192.0.2.1 says to a client at FROM.
ask() {
    # shellcheck disable=SC2059
    printf "$2" | nc -N -s "$1" 192.0.2.1 "$PORT"
}

# says FROM REQUESTS START: the answer begins so.
says() {
    got=$(ask "$1" "$2")
    case "$got" in
        "$3"*) ;;
        *) fail "$2 from $1" "$3..." "$got" ;;
    esac
}

start_server -a 0.0.0.0
grep -q 'protected mode' "$SCRATCH/log" || fail 'the log' 'a line about protected mode' "$(cat "$SCRATCH/log")"
says 192.0.2.2 'SET k v\r\n' '(error) DENIED memento is running in protected mode'
says 192.0.2.2 '*2\r\n$3\r\nGET\r\n$1\r\nk\r\n' '-DENIED '
says 192.0.2.2 'PING\r\n' 'PONG'
says 192.0.2.2 '*2\r\n$3\r\nGET\r\n$400000000\r\n' '-ERR Protocol error: unauthenticated bulk length'
says 192.0.2.1 'SET k v\r\n' 'OK'
stop_server TERM

start_server -a 0.0.0.0 --protected-mode no
says 192.0.2.2 'SET k v\r\n' 'OK'
stop_server TERM

echo secret >"$SCRATCH/password"
start_server -a 0.0.0.0 --password-file "$SCRATCH/password"
says 192.0.2.2 'SET k v\r\n' '(error) NOAUTH '
says 192.0.2.2 'AUTH secret\r\nSET k v\r\n' 'OK'
stop_server TERM

MEMENTO_PASSWORD=other
export MEMENTO_PASSWORD
start_server -a 0.0.0.0
says 192.0.2.2 'AUTH other\r\n' 'OK'
stop_server TERM
