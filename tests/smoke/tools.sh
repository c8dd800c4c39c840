#!/bin/sh
# The shipped tools against the shipped server: BIN is the directory with the three names (bin).
# TOOLS_BENCHMARK=no leaves out the benchmark, which takes the most time by far.
# Needs nothing but the binaries and POSIX tools; the prompt is tried where util-linux's script is installed,
# and must be where CI=true.
set -eu

BIN=${BIN:-bin}
dir=$(mktemp -d)
server=
cleanup() {
    status=$?
    trap - EXIT
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || :
        wait "$server" 2>/dev/null || :
    fi
    rm -rf "$dir"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

fail() { # request, wanted, got
    printf 'tools.sh: failed\n  request: %s\n  wanted:  %s\n  got:     %s\n' "$1" "$2" "$3" >&2
    if [ -s "$dir/err" ]; then
        printf '  standard error: %s\n' "$(cat "$dir/err")" >&2
    fi
    exit 1
}

equal() { # request, wanted, got
    [ "$2" = "$3" ] || fail "$1" "$2" "$3"
}

# Runs the rest of the words; leaves what they print in $dir/out and $dir/err, and the status in $status.
run() {
    status=0
    "$@" >"$dir/out" 2>"$dir/err" || status=$?
}

"$BIN/memento" -p 0 >"$dir/log" 2>&1 &
server=$!
port=
tries=0
while [ -z "$port" ]; do
    port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9][0-9]*\).*/\1/p' "$dir/log" | head -n 1)
    if [ -z "$port" ]; then
        tries=$((tries + 1))
        kill -0 "$server" 2>/dev/null || fail "memento -p 0" "a server" "$(cat "$dir/log")"
        [ "$tries" -lt 100 ] || fail "memento -p 0" "listening on 127.0.0.1:PORT" "$(cat "$dir/log")"
        sleep 0.1
    fi
done

# One command each: words, the answer, the status.
say() { # wanted status, wanted answer, words...
    wanted_status=$1
    wanted=$2
    shift 2
    run "$BIN/memento-cli" 127.0.0.1 "$port" "$@"
    equal "memento-cli $*" "$wanted ($wanted_status)" "$(cat "$dir/out") ($status)"
}
say 0 PONG PING
say 0 OK SET smoke 'two  words '
say 0 'two  words ' GET smoke
say 0 '(null)' get nothing
say 0 7 INC counter 7
say 0 2 DEC counter 5
say 1 '(Unknown command)' nonsense
say 1 "(error) wrong number of arguments for 'get' command" GET
say 0 '' QUIT
say 0 OK DEL smoke counter nothing
say 0 '(null)' DEL smoke
run "$BIN/memento" cli localhost "$port" PING
equal "memento cli localhost PORT PING" "PONG (0)" "$(cat "$dir/out") ($status)"

# Lines: every answer in its order, none for blanks, none after QUIT.
printf 'SET a 1\n\n  \nGETP a\nGET b\nINC a\nDEL a\nQUIT\nSET a 2\n' >"$dir/lines"
run "$BIN/memento-cli" 127.0.0.1 "$port" <"$dir/lines"
sed 's/^\(creation_time: \)[0-9][0-9]*$/\1T/' "$dir/out" >"$dir/out.T"
printf 'OK\nkey: a\nvalue: 1\ncreation_time: T\nexpire_time: -1\n(null)\n2\nOK\n' >"$dir/wanted"
cmp -s "$dir/wanted" "$dir/out.T" || fail "$(cat "$dir/lines")" "$(cat "$dir/wanted")" "$(cat "$dir/out.T")"
equal "the status of the lines above" 0 "$status"
say 0 '(null)' GET a

# Many lines, far more than any buffer on the way holds.
awk 'BEGIN { for (i = 0; i < 200000; i++) print "ECHO line " i }' >"$dir/lines"
sed 's/^ECHO //' "$dir/lines" >"$dir/wanted"
run "$BIN/memento-cli" 127.0.0.1 "$port" <"$dir/lines"
equal "200000 lines" 0 "$status"
cmp "$dir/wanted" "$dir/out" >"$dir/difference" 2>&1 || fail "200000 lines" "each in its order" "$(cat "$dir/difference")"

# A reader that goes away.
first=$("$BIN/memento-cli" 127.0.0.1 "$port" <"$dir/lines" 2>"$dir/err" | head -n 1)
equal "200000 lines | head -n 1" "line 0" "$first"
equal "its standard error" "" "$(cat "$dir/err")"

# Wrong usage, and nobody there: port 1 has no server on any sane machine.
run "$BIN/memento-cli" --nonsense
equal "memento-cli --nonsense" 2 "$status"
run "$BIN/memento-benchmark" 127.0.0.1 seventy
equal "memento-benchmark 127.0.0.1 seventy" 2 "$status"
for tool in memento-cli memento-benchmark; do
    run "$BIN/$tool" 127.0.0.1 1 </dev/null
    equal "$tool 127.0.0.1 1" "$tool: cannot connect to 127.0.0.1:1: Connection refused (1)" "$(cat "$dir/err") ($status)"
done

# The prompt.
if command -v script >/dev/null 2>&1; then
    # The terminal echoes what is typed whenever it takes it, so an answer may follow a prompt on its line.
    printf 'PING\n\nEXIT\n' >"$dir/lines"
    run script -qec "$BIN/memento-cli 127.0.0.1 $port" /dev/null <"$dir/lines"
    equal "the status of the prompt" 0 "$status"
    tr -d '\r' <"$dir/out" >"$dir/screen"
    grep -q 'PONG$' "$dir/screen" || fail "PING at the prompt" PONG "$(cat "$dir/screen")"
    grep -q "127.0.0.1:$port> " "$dir/screen" || fail "the prompt" "127.0.0.1:$port> " "$(cat "$dir/screen")"
elif [ "${CI:-}" = true ]; then
    fail "the prompt" "the program 'script' (util-linux)" "it is missing"
else
    echo "tools.sh: skipped the prompt: the program 'script' (util-linux) is missing"
fi

if [ "${TOOLS_BENCHMARK:-yes}" = no ]; then
    echo "tools.sh: passed, the benchmark was not run"
    exit 0
fi

# The benchmark prints what was asked for and leaves nothing behind.
run "$BIN/memento-benchmark" 127.0.0.1 "$port"
equal "memento-benchmark" 0 "$status"
cat "$dir/out"
sed 's/: [0-9][0-9]*\.[0-9]\{6\} s  Op\/s: [0-9][0-9]*\.[0-9][0-9]$/: N/' "$dir/out" >"$dir/out.N"
cat >"$dir/wanted" <<'END'
 Nr. operations 100000
 1) SET keyone valueone
 2) GET keyone
 3) SET with growing keys
 4) All previous operations in 10 threads, each one performing 8000 requests per type
 [SET] - Elapsed time: N
 [GET] - Elapsed time: N
 [SET growing keys] - Elapsed time: N
 [SET, GET, SET growing keys in 10 threads] - Elapsed time: N
END
cmp -s "$dir/wanted" "$dir/out.N" || fail memento-benchmark "$(cat "$dir/wanted")" "$(cat "$dir/out.N")"
say 0 0 DBSIZE

echo "tools.sh: passed"
