#!/bin/sh
# Builds libmemento, memento from C, into bin/ffi/: memento.h, libmemento.a and libmemento.so (with its soname).
#
# Both libraries are made of one object: what the functions of memento.h need of Rust's archive, linked into one piece in
# which no other name is for others. So what a program links beside it, another Rust library with a standard library of
# its own among it, never meets ours.
set -eu
cd "$(dirname "$0")/.."

out=bin/ffi
build=${CARGO_TARGET_DIR:-target}
soname=libmemento.so.$(sed -n 's/^version = "\([0-9]*\)\..*/\1/p' ffi/Cargo.toml)

"${CARGO:-cargo}" build --locked --profile ffi -p memento-ffi

mkdir -p "$out"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Each function of the header is a root of what is kept.
roots=$(sed -n 's/^.*[ *]\(memento_[a-z_]*\)(.*/-u \1/p' ffi/include/memento.h | sort -u)
# shellcheck disable=SC2086
ld -r --gc-sections --force-group-allocation $roots -o "$scratch/all.o" "$build/ffi/libmemento_ffi.a"
# A group that another archive has as well would be thrown away with the names that are ours alone.
if readelf -gW "$scratch/all.o" | grep -q 'section \['; then
    echo "build-ffi.sh: the object still has groups of sections" >&2
    exit 1
fi
objcopy --wildcard --keep-global-symbol='memento_*' --strip-debug --strip-unneeded \
    --remove-section=.llvmbc --remove-section=.llvmcmd "$scratch/all.o" "$scratch/libmemento.o"
ar rcD "$scratch/libmemento.a" "$scratch/libmemento.o"
cc -shared -o "$scratch/libmemento.so" "$scratch/libmemento.o" -Wl,-soname,"$soname" -Wl,--version-script=ffi/libmemento.map \
    -Wl,--gc-sections -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,-z,defs -Wl,--build-id
strip "$scratch/libmemento.so"

mv -f "$scratch/libmemento.so" "$out/$soname"
ln -sf "$soname" "$out/libmemento.so"
cp -f ffi/include/memento.h "$out/memento.h"
# The archive is what make looks at: it comes last, and whole.
cp -f "$scratch/libmemento.a" "$out/libmemento.a.new"
mv -f "$out/libmemento.a.new" "$out/libmemento.a"
wc -c "$out/libmemento.a" "$out/$soname" | sed '$d'
