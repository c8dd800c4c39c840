#!/bin/sh
# Runs the tests of the store and of long values, and of the memory below them, where reads and writes of memory are
# watched: under AddressSanitizer where a nightly compiler can be had, else under valgrind. Neither is an error on a
# developer's machine; in CI one of them must be there. Inside the store's own memory a block that was freed is watched
# by the tests themselves: they fill it.
set -eu
cd "$(dirname "$0")/.."

# A watched run is ten to fifty times slower, so that the random tests take one seed and the largest tests are left out.
export MEMENTO_SEEDS="${MEMENTO_SEEDS:-1}"
if [ -n "${MEMENTO_SANITIZE:-}" ]; then
    set -- "$MEMENTO_SANITIZE"
else
    set -- store:: blob:: snapshot:: sys::mapping sys::pages sys::simd
fi
host=$(rustc -vV | sed -n 's/^host: //p')
target=${CARGO_TARGET_DIR:-target}

# Whether a test ran is told by cargo's result line: a filter that matches nothing would look like success.
ran() {
    grep -Eq '^test result: ok\. [1-9]' "$1"
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

runtime=
if command -v rustup >/dev/null && library=$(rustc +nightly --print target-libdir 2>/dev/null); then
    runtime=$(find "$library" -name 'librustc*_rt.asan.a' | head -n 1)
fi
if [ -n "$runtime" ]; then
    echo "AddressSanitizer, $(rustc +nightly --version)"
    RUSTFLAGS=-Zsanitizer=address cargo +nightly test --locked --quiet --lib --target "$host" \
        --target-dir "$target/sanitize" -- "$@" >"$scratch/out" 2>&1 || { cat "$scratch/out"; exit 1; }
elif command -v valgrind >/dev/null; then
    echo "$(valgrind --version), no nightly compiler"
    # Cargo would start the tests through this runner, so that their path need not be guessed.
    runner="CARGO_TARGET_$(echo "$host" | tr 'a-z-' 'A-Z_')_RUNNER"
    env "$runner=valgrind --quiet --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite" \
        cargo test --locked --quiet --lib --target "$host" --target-dir "$target/sanitize" \
        -- --test-threads=1 "$@" >"$scratch/out" 2>&1 || { cat "$scratch/out"; exit 1; }
else
    echo "skipped: neither a nightly compiler nor valgrind is installed"
    [ "${CI:-}" != true ]
    exit
fi
cat "$scratch/out"
ran "$scratch/out" || { echo "no test matches $*"; exit 1; }
