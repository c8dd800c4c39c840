#!/bin/bash
# bench-ffi.sh [ROUNDS]: SETs a second of a program in C that pipelines, through libmemento and through Debian's hiredis,
# in alternating rounds against one memento. The server is not what is measured: look at the client's own time, too.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=${1:-3}
commands=${COMMANDS:-2000000}
scratch=$(mktemp -d)
server=
cleanup() {
    [[ -z $server ]] || kill "$server" 2>/dev/null || true
    rm -rf "$scratch"
}
trap cleanup EXIT

[[ -e /usr/include/hiredis/hiredis.h ]] || { echo "bench-ffi.sh: hiredis is missing: apt-get install libhiredis-dev" >&2; exit 1; }
cc -O2 -Wall -Wextra ffi/bench/pipeline.c -I bin/ffi bin/ffi/libmemento.a -o "$scratch/libmemento"
cc -O2 -Wall -Wextra -DHIREDIS ffi/bench/pipeline.c -lhiredis -o "$scratch/hiredis"

: >"$scratch/log"
${MEMENTO:-bin/memento} -p 0 >"$scratch/log" &
server=$!
until port=$(sed -n 's/.*listening on .*:\([0-9]*\)$/\1/p' "$scratch/log") && [[ -n $port ]]; do
    kill -0 "$server" || { cat "$scratch/log" >&2; exit 1; }
    sleep 0.05
done

echo "$(nproc) processors, load $(cut -d ' ' -f 1 /proc/loadavg); $commands SETs of 12 and 32 bytes a run"
for batch in 1000 100 1; do
    count=$((batch == 1 ? commands / 20 : commands))
    for client in libmemento hiredis; do : >"$scratch/$client.$batch"; done
    for ((round = 0; round < rounds; round++)); do
        for client in libmemento hiredis; do
            "$scratch/$client" "$port" "$count" "$batch" >>"$scratch/$client.$batch"
        done
    done
done

# The median of the rounds.
median() { # file column
    awk -v column="$2" '{ print $column }' "$1" | sort -g | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'
}
echo
echo "| at once | libmemento, SETs/s | hiredis | ratio | libmemento, client CPU us | hiredis | ratio |"
echo "| --- | --- | --- | --- | --- | --- | --- |"
for batch in 1000 100 1; do
    ours=$(median "$scratch/libmemento.$batch" 1) theirs=$(median "$scratch/hiredis.$batch" 1)
    our_cpu=$(median "$scratch/libmemento.$batch" 2) their_cpu=$(median "$scratch/hiredis.$batch" 2)
    awk -v b="$batch" -v o="$ours" -v t="$theirs" -v oc="$our_cpu" -v tc="$their_cpu" \
        'BEGIN { printf "| %d | %d | %d | %.2f | %.3f | %.3f | %.2f |\n", b, o, t, o / t, oc, tc, oc / tc }'
done
