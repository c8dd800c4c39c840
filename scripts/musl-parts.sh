#!/bin/sh
# Lays musl's library for another processor into target/static/parts/ARCH, where scripts/build-static.sh looks for it:
# Debian's package musl-dev of that processor, unpacked and not installed, so that the machine's own packages stay as
# they are. ARCH is Debian's name: arm64, armhf, s390x or riscv64. Needs no rights, but apt-get and Debian's sources.
set -eu
cd "$(dirname "$0")/.."

arch=${1:?"Usage: scripts/musl-parts.sh ARCH"}
parts=$PWD/target/static/parts/$arch
if [ -n "$(find "$parts/usr/lib" -name libc.a 2>/dev/null)" ]; then
    exit
fi

# apt keeps what it knows of this processor here. Of the machine's sources those of Debian itself are taken: not the one
# of security updates, which has not all processors, nor what others offer.
state=$PWD/target/static/apt/$arch
rm -rf "$state" "$parts"
mkdir -p "$state/parts" "$state/lists/partial" "$state/cache/archives/partial" "$state/debs"
for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] || continue
    awk 'BEGIN { RS = ""; ORS = "\n\n" } /debian-archive-keyring/ && !/security/' "$file"
done >"$state/parts/debian.sources"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -e "$file" ] || continue
    grep '^deb .*debian' "$file" | grep -v security || true
done >"$state/parts/debian.list"
# Debian has riscv64 from its 13th release on.
if [ "$arch" = riscv64 ]; then
    sed -i 's/\<bookworm\(-updates\)*\>/trixie/g' "$state/parts/debian.sources" "$state/parts/debian.list"
fi

apt() {
    apt-get -qq -o "Dir::State=$state" -o "Dir::State::status=/dev/null" -o "Dir::Cache=$state/cache" \
        -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$state/parts" \
        -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o APT::Sandbox::User= "$@"
}
apt update
(cd "$state/debs" && apt download musl-dev)
mkdir -p "$parts"
dpkg-deb -x "$state"/debs/musl-dev_*.deb "$parts"
rm -rf "$state"
[ -n "$(find "$parts/usr/lib" -name libc.a)" ] || { echo "musl-parts.sh: no libc.a in musl-dev of $arch" >&2; exit 1; }
