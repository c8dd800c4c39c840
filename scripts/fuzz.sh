#!/bin/sh
# Feeds a target of tests/fuzz/ with ever new bytes: fuzz.sh TARGET SECONDS; without a target each gets the seconds.
# Needs a nightly compiler and cargo-fuzz, which CARGO_FUZZ may name. What it found useful is kept beside the build.
set -eu
cd "$(dirname "$0")/.."

seconds=${2:-60}
targets=${1:-"parser parser_pieces bus"}
fuzz=${CARGO_FUZZ:-$(command -v cargo-fuzz || true)}
if [ -z "$fuzz" ]; then
    echo "fuzz: cargo-fuzz is missing; cargo install cargo-fuzz brings it" >&2
    exit 1
fi
if ! command -v rustup >/dev/null || ! rustc +nightly --version >/dev/null 2>&1; then
    echo "fuzz: a nightly compiler is missing; rustup toolchain install nightly brings it" >&2
    exit 1
fi

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
for name in $targets; do
    dictionary=
    case $name in
        parser*) dictionary=-dict=tests/fuzz/resp.dict ;;
    esac
    mkdir -p "$target/corpus/$name" "$target/artifacts/$name"
    # Inputs longer than this show nothing that shorter ones do not, and cost time.
    RUSTUP_TOOLCHAIN=nightly "$fuzz" run --fuzz-dir tests/fuzz --target "$host" --target-dir "$target" \
        "$name" "$target/corpus/$name" -- -max_total_time="$seconds" -max_len=4096 \
        ${dictionary:+"$dictionary"} -artifact_prefix="$target/artifacts/$name/" -print_final_stats=1
done
