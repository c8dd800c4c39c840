#!/bin/sh
# Feeds a target of tests/fuzz/ with ever new bytes: fuzz.sh TARGET SECONDS; without a target each gets the seconds.
# Needs a nightly compiler and cargo-fuzz, which CARGO_FUZZ may name; without them it says so and does nothing, which is
# a failure in CI alone. It begins with the inputs in tests/fuzz/corpus/; what else it found useful is kept beside the
# build, and what made a target fail becomes an input in tests/fuzz/corpus/, which tests/corpora.rs tries.
set -eu
cd "$(dirname "$0")/.."

seconds=${2:-60}
targets=${1:-"parser parser_pieces text resp bus nodes collisions restore snapshot server"}

# skip WHY: ends the script.
skip() {
    echo "skipped: $1"
    [ "${CI:-}" != true ]
    exit
}

fuzz=${CARGO_FUZZ:-$(command -v cargo-fuzz || true)}
if [ -z "$fuzz" ]; then
    skip "cargo-fuzz is missing; cargo install cargo-fuzz brings it"
fi
if ! command -v rustup >/dev/null || ! rustc +nightly --version >/dev/null 2>&1; then
    skip "a nightly compiler is missing; rustup toolchain install nightly brings it"
fi

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
# The sockets of servers under test go with it.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for name in $targets; do
    dictionary=
    case $name in
        parser* | text | server) dictionary=-dict=tests/fuzz/resp.dict ;;
    esac
    mkdir -p "$target/corpus/$name" "$target/artifacts/$name"
    # Inputs longer than this show nothing that shorter ones do not, and cost time.
    TMPDIR=$scratch RUSTUP_TOOLCHAIN=nightly "$fuzz" run --fuzz-dir tests/fuzz --target "$host" --target-dir "$target" \
        "$name" "$target/corpus/$name" "$PWD/tests/fuzz/corpus/$name" -- -max_total_time="$seconds" -max_len=4096 \
        ${dictionary:+"$dictionary"} -artifact_prefix="$target/artifacts/$name/" -print_final_stats=1
    # cargo-fuzz makes these, and nothing is put there.
    rmdir "tests/fuzz/artifacts/$name" tests/fuzz/artifacts 2>/dev/null || true
done
