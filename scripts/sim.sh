#!/bin/sh
# Runs one seed of the simulated cluster and tells all that happens: sim.sh SEED. Without a fault the last line has the
# counts of what was seen; with one it names what was wrong.
set -eu
cd "$(dirname "$0")/.."

case ${1:-} in
    '' | *[!0-9]*)
        echo "usage: sim.sh SEED" >&2
        exit 2
        ;;
esac
MEMENTO_SEED=$1 exec "${CARGO:-cargo}" test --locked --quiet --lib cluster::sim::every_promise -- --nocapture
