#!/bin/sh
# What every commit must pass: formatting, clippy without a warning, shellcheck where it exists.
set -eu
cd "$(dirname "$0")/.."

cargo=${CARGO:-cargo}
"$cargo" fmt --all --check
"$cargo" clippy --locked --quiet --all-targets -- -D warnings
"$cargo" clippy --locked --quiet -p memento-ffi --all-targets -- -D warnings

# The C of libmemento: each file by itself, as strictly as its users may compile it.
if command -v cc >/dev/null; then
    for file in ffi/examples/*.c ffi/tests/*.c; do
        cc -std=c99 -Wall -Wextra -Wpedantic -Wstrict-prototypes -Werror -fsyntax-only -I ffi/include "$file"
    done
    cc -std=c99 -Wall -Wextra -Wpedantic -Wstrict-prototypes -Werror -fsyntax-only -x c ffi/include/memento.h
    cc -std=gnu99 -Wall -Wextra -Werror -fsyntax-only -I ffi/include ffi/bench/pipeline.c
elif [ "${CI:-}" = true ]; then
    echo "check: cc is missing" >&2
    exit 1
else
    echo "skipped: cc is not installed"
fi

if command -v python3 >/dev/null; then
    # Compiled in memory: nothing is left beside the scripts.
    python3 -c 'import sys; [compile(open(name).read(), name, "exec") for name in sys.argv[1:]]' \
        scripts/*.py scripts/measure/*.py
fi

if command -v shellcheck >/dev/null; then
    shellcheck --external-sources --source-path=SCRIPTDIR .ci/run scripts/*.sh tests/smoke/*.sh
    shellcheck --shell=sh scripts/memento.init scripts/memento.procd
elif [ "${CI:-}" = true ]; then
    echo "check: shellcheck is missing" >&2
    exit 1
else
    echo "skipped: shellcheck is not installed"
fi
