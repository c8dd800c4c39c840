#!/bin/sh
# Makes bin/dist/memento-VERSION-PROCESSOR.tar.gz of the static program of a target: what make install puts in place,
# below one folder, with README and licence. Unpacked over / of a box as `tar -C / --strip-components=1`, it is installed.
set -eu
cd "$(dirname "$0")/.."

target=${1:?"Usage: scripts/dist.sh TARGET"}
processor=${target%%-*}
processor=${processor%gc}
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
name=memento-$version-$processor
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"${MAKE:-make}" --silent install "DESTDIR=$scratch/$name" PREFIX=/usr "PROGRAM=bin/static/$processor/memento" FFI=
mkdir -p "$scratch/$name/usr/share/doc/memento" bin/dist
cp README.md CHANGELOG.md LICENSE "$scratch/$name/usr/share/doc/memento/"
# The same bytes from the same files: neither times nor owners of this machine.
tar -C "$scratch" --sort=name --owner=0 --group=0 --numeric-owner --mtime='2026-01-01 00:00:00 UTC' -cf - "$name" |
    gzip -9n >"bin/dist/$name.tar.gz.new"
mv -f "bin/dist/$name.tar.gz.new" "bin/dist/$name.tar.gz"
wc -c "bin/dist/$name.tar.gz"
