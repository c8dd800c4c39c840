#!/bin/sh
# Runs the tests of the store, the protocol and the system calls where a pointer has 32 bits: for i686, whose programs
# an x86-64 machine runs itself. Where rustup has no standard library for it, Debian's compiler builds one from its
# source: four minutes of processor time in all, so that it is no part of make test. What cannot be had is skipped; in
# CI it must be there.
set -eu
cd "$(dirname "$0")/.."

triple=i686-unknown-linux-gnu
packages="rustc-web rust-web-src gcc-i686-linux-gnu libc6-dev-i386-cross"
folder=${CARGO_TARGET_DIR:-target}/test32

skip() {
    echo "skipped: $1"
    [ "${CI:-}" != true ]
    exit
}

if [ "$(uname -m)" != x86_64 ]; then
    skip "this machine does not run programs for i686"
fi
if ! command -v i686-linux-gnu-gcc >/dev/null || [ ! -e /usr/i686-linux-gnu/lib/crt1.o ]; then
    skip "no C compiler and library for i686, packages $packages"
fi
# Without -Z build-std where the library is there already.
if [ -d "$(rustc --print target-libdir --target "$triple")" ]; then
    build_std=
elif [ -x /usr/bin/rustc ] && [ -d "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library/std" ]; then
    # What stands behind -Z is not promised by a compiler's release, which must be told to allow it.
    export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
    build_std=-Zbuild-std=std,panic_abort,test
else
    skip "no standard library for $triple and no source of one, packages $packages"
fi

# The same package without what only the tests of whole processes need: that is most of what would be compiled.
mkdir -p "$folder"
sed '/^\[dev-dependencies\]/,/^$/d' Cargo.toml >"$folder/Cargo.toml"
printf '\n[workspace]\n' >>"$folder/Cargo.toml"
cp Cargo.lock "$folder/Cargo.lock"
ln -sfn "$PWD/src" "$folder/src"
ln -sfn "$PWD/tests" "$folder/tests"

# Linked statically, the tests run without a 32-bit C library in place. The library itself and other crates are
# compiled as fast as can be: what is tested is ours.
export CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_LINKER=i686-linux-gnu-gcc
export CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C target-feature=+crt-static"
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0 CARGO_PROFILE_TEST_OPT_LEVEL=1 CARGO_INCREMENTAL=0
export MEMENTO_SEEDS="${MEMENTO_SEEDS:-1}"
others='profile.test.package."*"'
"${CARGO:-cargo}" test --quiet --lib --target "$triple" --target-dir "$folder/target" ${build_std:+"$build_std"} \
    --manifest-path "$folder/Cargo.toml" --config "$others.opt-level=0" --config "$others.debug-assertions=false" \
    --config "$others.overflow-checks=false" -- store:: sys:: proto:: >"$folder/out" 2>&1 ||
    { cat "$folder/out"; exit 1; }
cat "$folder/out"
# A filter that matches nothing would look like success.
grep -Eq '^test result: ok\. [1-9]' "$folder/out"
