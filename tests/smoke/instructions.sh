#!/bin/sh
# No request costs more instructions than its ceiling in scripts/instructions.py: what noise cannot move.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=lib.sh
. tests/smoke/lib.sh
need valgrind
need python3
BIN=$BIN python3 scripts/instructions.py
