#!/bin/sh
# A minute of the soak: real traffic whose every answer is checked, kills in a cluster, memory and descriptors at the end.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=lib.sh
. tests/smoke/lib.sh

need python3
code=0
scripts/soak.sh 1 >"$SCRATCH/log" 2>&1 </dev/null || code=$?
cat "$SCRATCH/log"
[ "$code" -eq 0 ] || fail 'scripts/soak.sh 1' 'exit code 0' "$code"
