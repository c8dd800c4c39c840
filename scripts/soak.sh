#!/bin/sh
# Real traffic for so many minutes, each answer checked, against a server, one that evicts, and a cluster whose nodes
# are killed: soak.sh MINUTES [--only SCENE]. The programs are those in BIN (bin). Status 1: an answer was wrong, or
# memory or descriptors leaked. MEMENTO_SEED=n runs a seed again.
set -eu
cd "$(dirname "$0")/.."

if [ $# -eq 0 ]; then
    echo "usage: scripts/soak.sh MINUTES [--only plain|evicting|cluster]" >&2
    exit 2
fi
if ! command -v python3 >/dev/null; then
    echo "soak: python3 is missing; it drives the servers" >&2
    exit 1
fi
BIN=${BIN:-bin}
case $BIN in
    /*) ;;
    *) BIN=$PWD/$BIN ;;
esac
export BIN
exec python3 scripts/soak.py "$@"
