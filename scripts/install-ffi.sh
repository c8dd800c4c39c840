#!/bin/sh
# install-ffi.sh DESTDIR PREFIX: puts libmemento in place: header, both libraries, and what pkg-config reads.
set -eu
cd "$(dirname "$0")/.."

image=$1$2
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' ffi/Cargo.toml | head -n 1)
soname=libmemento.so.${version%%.*}

install -d "$image/include" "$image/lib/pkgconfig"
install -m 644 bin/ffi/memento.h "$image/include/memento.h"
install -m 644 bin/ffi/libmemento.a "$image/lib/libmemento.a"
install -m 755 "bin/ffi/$soname" "$image/lib/$soname.new"
mv -f "$image/lib/$soname.new" "$image/lib/$soname"
ln -sf "$soname" "$image/lib/libmemento.so"
sed "s|@PREFIX@|$2|; s|@VERSION@|$version|" ffi/memento.pc.in >"$image/lib/pkgconfig/memento.pc"
chmod 644 "$image/lib/pkgconfig/memento.pc"
