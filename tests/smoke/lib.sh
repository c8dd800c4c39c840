# shellcheck shell=sh
# Sourced by the smoke scripts: a scratch directory, and a server on a free port whose number is in $PORT.
# The server is stopped by its own process id, whatever way the script ends.

BIN=${BIN:-bin}
SCRATCH=$(mktemp -d)
SERVER=
PORT=

cleanup() {
    if [ -n "$SERVER" ]; then
        kill -KILL "$SERVER" 2>/dev/null || true
        wait "$SERVER" 2>/dev/null || true
    fi
    rm -rf "$SCRATCH"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# fail REQUEST WANTED GOT
fail() {
    printf 'request: %s\nwanted:  %s\ngot:     %s\n' "$1" "$2" "$3" >&2
    if [ -s "$SCRATCH/log" ]; then
        printf 'log:\n' >&2
        cat "$SCRATCH/log" >&2
    fi
    exit 1
}

# need PROGRAM: ends the script with success where the program is missing, with failure in CI.
need() {
    if command -v "$1" >/dev/null; then
        return
    fi
    echo "skipped: $1 is not installed"
    if [ "${CI:-}" = true ]; then
        exit 1
    fi
    exit 0
}

# eventually WHAT COMMAND...: waits until the command succeeds, at most ten seconds.
eventually() {
    what=$1
    shift
    tries=200
    while ! "$@"; do
        tries=$((tries - 1))
        if [ "$tries" -eq 0 ]; then
            fail "$what" "within ten seconds" "not yet"
        fi
        sleep 0.05
    done
}

listening() {
    grep -q 'listening on ' "$SCRATCH/log" || ! kill -0 "$SERVER" 2>/dev/null
}

gone() {
    ! kill -0 "$SERVER" 2>/dev/null
}

# start_server OPTION...: sets SERVER and PORT.
# shellcheck disable=SC2120
start_server() {
    # Made here, since the background process may come to make it only after the first look at it.
    : >"$SCRATCH/log"
    "$BIN/memento" -p 0 "$@" >>"$SCRATCH/log" 2>&1 </dev/null &
    SERVER=$!
    eventually "the line 'listening on'" listening
    # A Unix socket has a line of its own, which ends in no port.
    PORT=$(sed -n 's/.*listening on .*:\([0-9][0-9]*\)$/\1/p' "$SCRATCH/log" | head -n 1)
    if [ -z "$PORT" ]; then
        fail "memento -p 0 $*" "listening on ADDRESS:PORT" "$(cat "$SCRATCH/log")"
    fi
}

# stop_server SIGNAL: sets STATUS, which the scripts read, to what the server exited with.
# shellcheck disable=SC2034
stop_server() {
    kill -"$1" "$SERVER"
    eventually "the end of the server after SIG$1" gone
    STATUS=0
    wait "$SERVER" || STATUS=$?
    SERVER=
}

# exchange BYTES: prints what the server answers until it closes; BYTES is a format of printf and ends in QUIT.
exchange() {
    # shellcheck disable=SC2059
    printf "$1" | nc -w 10 127.0.0.1 "$PORT"
}

# check BYTES WANTED: both are formats of printf, so that line ends show and nothing is trimmed.
check() {
    exchange "$1" >"$SCRATCH/got"
    # shellcheck disable=SC2059
    printf "$2" >"$SCRATCH/wanted"
    if ! cmp -s "$SCRATCH/wanted" "$SCRATCH/got"; then
        fail "$1" "$2" "$(od -c "$SCRATCH/got")"
    fi
}
