#!/bin/sh
# Runs the benchmark against a server of its own, and prints what a figure is worth nothing without.
set -eu
cd "$(dirname "$0")/.."
BIN=bin
# shellcheck source=../tests/smoke/lib.sh
. tests/smoke/lib.sh
# shellcheck disable=SC2119
start_server

commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
if [ -n "$(git status --porcelain 2>/dev/null)" ]; then
    commit="$commit, with changes"
fi
processor=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)

echo "machine: $(uname -srm), $(nproc) x ${processor:-unknown processor}"
echo "commit:  $commit"
echo "profile: release (lto=fat, codegen-units=1, panic=abort, static), $(rustc --version)"
echo "server:  memento -p $PORT on 127.0.0.1, one thread; client on the same machine"
echo
"$BIN/memento-benchmark" 127.0.0.1 "$PORT"
