#!/bin/sh
# Prints how large the static program is, and how much memory it takes while it idles as a node of a cluster. With
# --check more than the bounds below is a failure; they are x86_64's.
set -eu
cd "$(dirname "$0")/.."

BIN=${BIN:-bin/static/$(uname -m)}
SIZE_MAX=600000
RESIDENT_KB_MAX=1024

scratch=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$scratch"
}
trap cleanup EXIT

first=$((28000 + $$ % 2000))
for node in 0 1 2; do
    echo "127.0.0.1 $((first + 100 + node)) node$node $((node == 0))"
done >"$scratch/nodes"
"$BIN/memento" -f "$scratch/nodes" >"$scratch/log" 2>&1 &
server=$!
tries=100
until grep -q 'listening on' "$scratch/log"; do
    tries=$((tries - 1))
    if [ "$tries" -eq 0 ] || ! kill -0 "$server" 2>/dev/null; then
        cat "$scratch/log" >&2
        exit 1
    fi
    sleep 0.1
done
# Behind the first tries to reach the other nodes.
sleep 2

# field NAME: a line of the process's status, in kB.
field() { awk -v name="$1:" '$1 == name { print $2 }' "/proc/$server/status"; }
size=$(wc -c <"$BIN/memento")
resident=$(field VmRSS)
echo "$BIN/memento: $size bytes, $(file -bL "$BIN/memento" 2>/dev/null | grep -o 'stat[a-z-]* linked' || true)"
echo "idle as a node of a cluster: $resident kB resident, of which $(field RssAnon) kB are its own and $(field RssFile) kB" \
    "are pages of the program"
if [ "${1:-}" = --check ]; then
    # A compiler that does not know what is to be small (scripts/build-static.sh) makes more of it.
    grep -q rustup "$BIN/built-with" 2>/dev/null ||
        [ "$size" -le "$SIZE_MAX" ] || { echo "more than $SIZE_MAX bytes" >&2; exit 1; }
    [ "$resident" -le "$RESIDENT_KB_MAX" ] || { echo "more than $RESIDENT_KB_MAX kB" >&2; exit 1; }
fi
