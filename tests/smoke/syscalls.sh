#!/bin/sh
# The system calls that the programs make are those of this list, all of them older than the oldest kernel that is
# promised, 4.4. A call that is not here, as from a new library, is looked up before it is added: one that is newer wants
# a way without it, and a test of that way. Of the names that differ between processors, all are here.
# shellcheck disable=SC2016
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=lib.sh
. tests/smoke/lib.sh

need nc
need strace
if ! strace -o "$SCRATCH/try" true 2>/dev/null; then
    echo "skipped: this process may not look at others (ptrace)"
    [ "${CI:-}" != true ]
    exit
fi

# Each call, and the kernel that brought it. 2.6.16 stands for that and all before.
sort >"$SCRATCH/known" <<'CALLS'
accept4 2.6.28
arch_prctl 2.6.16
bind 2.6.16
brk 2.6.16
clock_gettime 2.6.16
clone 2.6.16
close 2.6.16
connect 2.6.16
epoll_create1 2.6.27
epoll_ctl 2.6.16
epoll_pwait 2.6.19
epoll_wait 2.6.16
eventfd2 2.6.27
execve 2.6.16
exit 2.6.16
exit_group 2.6.16
fcntl 2.6.16
fstat 2.6.16
futex 2.6.16
getpid 2.6.16
getpeername 2.6.16
getrandom 3.17
getrlimit 2.6.16
getrusage 2.6.16
getsockname 2.6.16
getsockopt 2.6.16
gettid 2.6.16
ioctl 2.6.16
listen 2.6.16
lseek 2.6.16
lstat 2.6.16
madvise 2.6.16
mmap 2.6.16
mprotect 2.6.16
mremap 2.6.16
munmap 2.6.16
nanosleep 2.6.16
newfstatat 2.6.16
open 2.6.16
openat 2.6.16
poll 2.6.16
ppoll 2.6.16
prlimit64 2.6.36
read 2.6.16
readlink 2.6.16
readv 2.6.16
recvfrom 2.6.16
restart_syscall 2.6.16
rt_sigaction 2.6.16
rt_sigprocmask 2.6.16
rt_sigreturn 2.6.16
sched_getaffinity 2.6.16
sendmsg 2.6.16
sendto 2.6.16
set_robust_list 2.6.17
set_tid_address 2.6.16
setrlimit 2.6.16
setsockopt 2.6.16
shutdown 2.6.16
sigaltstack 2.6.16
signalfd4 2.6.27
socket 2.6.16
stat 2.6.16
sysinfo 2.6.16
timerfd_create 2.6.25
timerfd_settime 2.6.25
umask 2.6.16
uname 2.6.16
unlink 2.6.16
unlinkat 2.6.16
write 2.6.16
writev 2.6.16
CALLS

# Calls that C libraries try first and do without: the answer that the call is not known is then given to them here, by
# strace, so that the way without is what is tested.
OPTIONAL=getrandom,rseq,statx,clone3,faccessat2,close_range,epoll_pwait2,openat2
INJECT="inject=$OPTIONAL:error=ENOSYS"

# The whole server: both protocols, a Unix socket, long values that grow, a manager that is told, its end.
: >"$SCRATCH/log"
NOTIFY_SOCKET=/nonexistent/notify WATCHDOG_USEC=100000 \
    strace -f -qq -e "$INJECT" -o "$SCRATCH/server" "$BIN/memento" -p 0 -s "$SCRATCH/sock" >>"$SCRATCH/log" 2>&1 </dev/null &
SERVER=$!
eventually "the line 'listening on'" listening
PORT=$(sed -n 's/.*listening on .*:\([0-9][0-9]*\)$/\1/p' "$SCRATCH/log" | head -n 1)
check 'SET a 1\r\nGET a\r\nQUIT\r\n' 'OK\r\n1\r\n'
head -c 300000 /dev/zero | tr '\0' x >"$SCRATCH/value"
{
    for word in 'SET long' 'APPEND long' 'PREPEND long'; do
        printf '%s ' "$word"
        cat "$SCRATCH/value"
        printf '\r\n'
    done
    printf '*2\r\n$3\r\nGET\r\n$4\r\nlong\r\nDEL long\r\nINFO\r\nPEXPIRE a 1\r\nKEYS *\r\nFLUSH\r\nQUIT\r\n'
} | nc -w 10 127.0.0.1 "$PORT" >"$SCRATCH/got"
[ "$(wc -c <"$SCRATCH/got")" -gt 900000 ] || fail 'a value of 900,000 bytes' 'the value' "$(head -c 300 "$SCRATCH/got")"
printf 'PING\r\nQUIT\r\n' | nc -w 10 -U "$SCRATCH/sock" >"$SCRATCH/got"
[ "$(cat "$SCRATCH/got")" = "$(printf 'PONG\r\n')" ] || fail 'PING on the Unix socket' PONG "$(cat "$SCRATCH/got")"

# The tools.
printf 'ECHO a\nQUIT\n' |
    strace -f -qq -e "$INJECT" -o "$SCRATCH/cli" "$BIN/memento-cli" localhost "$PORT" >"$SCRATCH/got"
[ "$(cat "$SCRATCH/got")" = a ] || fail 'ECHO a by memento-cli' a "$(cat "$SCRATCH/got")"
strace -f -qq -e "$INJECT" -o "$SCRATCH/load" "$BIN/memento-benchmark" -t set -n 500 --rate 50000 --threads 2 127.0.0.1 "$PORT" \
    >"$SCRATCH/got" || fail 'memento-benchmark -t set' 'exit code 0' "$(cat "$SCRATCH/got")"
exchange 'SHUTDOWN\r\n' >/dev/null || true
STATUS=0
wait "$SERVER" || STATUS=$?
SERVER=
[ "$STATUS" -eq 0 ] || fail SHUTDOWN 'exit code 0' "$STATUS"

# Two nodes of a cluster, which find each other.
first=$((20000 + $$ % 3000))
for node in 0 1; do
    awk -v first="$first" -v own="$node" 'BEGIN { for (i = 0; i < 2; i++)
        print "127.0.0.1", first + 100 + i, "node" i, (i == own) }' >"$SCRATCH/node$node.conf"
done
strace -f -qq -e "$INJECT" -o "$SCRATCH/node" "$BIN/memento" -f "$SCRATCH/node0.conf" >"$SCRATCH/log" 2>&1 </dev/null &
SERVER=$!
"$BIN/memento" -f "$SCRATCH/node1.conf" >"$SCRATCH/other" 2>&1 </dev/null &
other=$!
trap 'kill "$other" 2>/dev/null || true; cleanup' EXIT
formed() { grep -q 'Cluster successfully formed' "$SCRATCH/log"; }
eventually 'a cluster of two' formed
PORT=$first
check 'SET a 1\r\nSET b 2\r\nGET a\r\nGET b\r\nQUIT\r\n' 'OK\r\nOK\r\n1\r\n2\r\n'
exchange 'SHUTDOWN\r\n' >/dev/null || true
wait "$SERVER" || fail 'SHUTDOWN of a node' 'exit code 0' "$?"
SERVER=
kill -TERM "$other"

# A name is what stands before the parenthesis, or, where another thread's call came between, in the line of its end;
# what was answered by strace is not in use.
cat "$SCRATCH/server" "$SCRATCH/cli" "$SCRATCH/load" "$SCRATCH/node" | grep -v -e '(INJECTED)$' -e '<unfinished \.\.\.>$' |
    sed -n -e 's/^[0-9]* *\([a-z0-9_]*\)(.*/\1/p' -e 's/^[0-9]* *<\.\.\. \([a-z0-9_]*\) resumed>.*/\1/p' |
    sort -u >"$SCRATCH/used"
[ "$(wc -l <"$SCRATCH/used")" -ge 30 ] || fail 'strace' 'thirty calls' "$(cat "$SCRATCH/used")"
cut -d ' ' -f 1 "$SCRATCH/known" | sort | comm -13 - "$SCRATCH/used" >"$SCRATCH/new"
[ ! -s "$SCRATCH/new" ] || fail 'the system calls' 'those that tests/smoke/syscalls.sh lists' "$(cat "$SCRATCH/new")"
awk '{ split($2, v, "."); if (v[1] > 4 || (v[1] == 4 && v[2] > 4)) print }' "$SCRATCH/known" >"$SCRATCH/new"
[ ! -s "$SCRATCH/new" ] || fail 'the list of calls' 'none newer than 4.4' "$(cat "$SCRATCH/new")"

# The unit of systemd lets all of them through.
if command -v systemd-analyze >/dev/null; then
    # calls_of SET: the calls in a set of systemd's; sets may stand in it.
    calls_of() {
        systemd-analyze --no-pager syscall-filter "$1" | sed '1d; s/^ *//; /^#/d; /^$/d' | while read -r word; do
            case $word in
                @*) calls_of "$word" ;;
                *) echo "$word" ;;
            esac
        done
    }
    : >"$SCRATCH/allowed"
    sed -n 's/^SystemCallFilter=//p' scripts/memento.service | while read -r words; do
        for word in ${words#\~}; do
            case $word in
                @*) calls_of "$word" ;;
                *) echo "$word" ;;
            esac
        done | sort -u >"$SCRATCH/set"
        case $words in
            '~'*) comm -23 "$SCRATCH/allowed" "$SCRATCH/set" >"$SCRATCH/sum" ;;
            *) sort -u "$SCRATCH/allowed" "$SCRATCH/set" >"$SCRATCH/sum" ;;
        esac
        mv "$SCRATCH/sum" "$SCRATCH/allowed"
    done
    [ "$(wc -l <"$SCRATCH/allowed")" -gt 100 ] || fail 'systemd-analyze syscall-filter' 'calls' "$(cat "$SCRATCH/allowed")"
    comm -13 "$SCRATCH/allowed" "$SCRATCH/used" >"$SCRATCH/new"
    [ ! -s "$SCRATCH/new" ] || fail 'SystemCallFilter in memento.service' 'every call that is used' "$(cat "$SCRATCH/new")"
else
    echo "skipped: systemd-analyze is not installed"
    [ "${CI:-}" != true ] || exit 1
fi
