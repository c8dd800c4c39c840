#!/bin/sh
# Builds the one executable against musl, with nothing beside it, as bin/static/PROCESSOR/{memento,memento-cli,
# memento-benchmark}: for this processor, or for the target that is named (x86_64-, aarch64-, s390x- or
# riscv64gc-unknown-linux-musl, armv7-unknown-linux-musleabihf).
#
# Where rustup has the target, that is all it takes. Else Debian's compiler builds the standard library from its source,
# and the linker is Debian's (cross) gcc with musl's start files and library, from its package musl-dev: installed, or
# laid by scripts/musl-parts.sh into target/static/parts. What is missing is said, with the packages that bring it.
set -eu
cd "$(dirname "$0")/.."

target=${1:-$(uname -m)-unknown-linux-musl}

# gnu: the prefix of the C compiler; arch: Debian's name; folder: where musl-dev has its library.
case $target in
    x86_64-unknown-linux-musl) gnu=x86_64-linux-gnu arch=amd64 folder=x86_64-linux-musl ;;
    aarch64-unknown-linux-musl) gnu=aarch64-linux-gnu arch=arm64 folder=aarch64-linux-musl ;;
    armv7-unknown-linux-musleabihf) gnu=arm-linux-gnueabihf arch=armhf folder=arm-linux-musleabihf ;;
    s390x-unknown-linux-musl) gnu=s390x-linux-gnu arch=s390x folder=s390x-linux-musl ;;
    riscv64gc-unknown-linux-musl) gnu=riscv64-linux-gnu arch=riscv64 folder=riscv64-linux-musl ;;
    *)
        echo "build-static.sh: no way is known to build for '$target'; see the head of scripts/build-static.sh" >&2
        exit 2
        ;;
esac
processor=${target%%-*}
processor=${processor%gc}
out=bin/static/$processor
build=${CARGO_TARGET_DIR:-target}/static
variable=$(echo "$target" | tr 'a-z-' 'A-Z_')
cargo=${CARGO:-cargo}
# Whether the compiler knows the marks of what is to be fast; what it is told of the program's last crate.
small=0
last=

cc=$gnu-gcc
command -v "$cc" >/dev/null || [ "$(uname -m)" != "$processor" ] || cc=cc

# missing TEXT PACKAGE...: nothing can be built without.
missing() {
    what=$1
    shift
    cat >&2 <<END
build-static.sh: $what is missing. One of these makes 'make static TARGET=$target' work:
    rustup target add $target        (and apt-get install gcc-$(echo "$gnu" | tr _ -))
    apt-get install rustc-web rust-web-src $*
END
    exit 1
}

# Without tables for unwinding, since a panic ends the program.
flags="-C target-feature=+crt-static -C force-unwind-tables=no"
# Seconds beyond 2038 on processors of 32 bits, which musl has and Rust's libc has to be asked for.
export RUST_LIBC_UNSTABLE_MUSL_V1_2_3=1

if command -v rustup >/dev/null && [ -d "$(rustc --print target-libdir --target "$target" 2>/dev/null)" ]; then
    command -v "$cc" >/dev/null || missing "$cc" "gcc-$(echo "$gnu" | tr _ -)"
    linker=$cc
    way="rustup's library"
    set --
else
    # A compiler's library is of no use to another one: both are Debian's.
    RUSTC=/usr/bin/rustc
    gcc_package=gcc-$(echo "$gnu" | tr _ -)
    if [ "$arch" = "$(dpkg --print-architecture 2>/dev/null)" ]; then
        gcc_package=gcc
        hint="musl-dev"
    else
        hint="and scripts/musl-parts.sh $arch"
    fi
    [ -x "$RUSTC" ] || missing "Debian's rustc" "$gcc_package" "$hint"
    [ -d "$("$RUSTC" --print sysroot)/lib/rustlib/src/rust/library/std" ] ||
        missing "the standard library's source" "$gcc_package" "$hint"
    command -v "$cc" >/dev/null || missing "$cc" "$gcc_package" "$hint"
    musl=
    for each in "/usr/lib/$folder" "$PWD/target/static/parts/$arch/usr/lib/$folder"; do
        [ -n "$musl" ] || [ ! -e "$each/libc.a" ] || musl=$each
    done
    [ -n "$musl" ] || missing "musl's libc.a for $arch" "$gcc_package" "$hint"

    link=$build/$target/link
    mkdir -p "$link"
    link=$(cd "$link" && pwd)
    # The standard library asks for these when a panic is to show where it came from; without tables there is nothing
    # to show. _Unwind_Backtrace answers that it is at the end of the stack.
    cat >"$link/unwind.c" <<'END'
int _Unwind_Backtrace(void *function, void *argument) { (void)function; (void)argument; return 5; }
unsigned long _Unwind_GetIP(void *context) { (void)context; return 0; }
unsigned long _Unwind_GetIPInfo(void *context, int *before) { (void)context; *before = 0; return 0; }
unsigned long _Unwind_GetCFA(void *context) { (void)context; return 0; }
void *_Unwind_FindEnclosingFunction(void *address) { (void)address; return 0; }
#ifdef __ARM_EABI__
void __aeabi_unwind_cpp_pr0(void) {}
#endif
/* A thread names itself: musl's own, which names others too, brings all of printf with it (11 kB). 15: PR_SET_NAME. */
int prctl(int, ...);
int pthread_setname_np(void *thread, const char *name) { (void)thread; return prctl(15, name, 0, 0, 0); }
END
    "$cc" -O2 -fPIC -c "$link/unwind.c" -o "$link/unwind.o"
    rm -f "$link/libunwind.a"
    ar rc "$link/libunwind.a" "$link/unwind.o"
    # rustc calls this as its linker. The program may lie anywhere in memory (static PIE), which rustc asks for on some
    # processors alone: rcrt1.o moves the program's own pointers at the start. It knows nothing of names,
    # which the linker is to settle: no name is for others.
    echo '{ local: *; };' >"$link/names"
    # On riscv64 the linker leaves there where variables of a thread lie, so that the program has its fixed place.
    # Code and constants share pages (noseparate-code): else two pages are half empty, in the file and in memory. And
    # nothing makes pages read-only once their pointers are moved, so that no page begins with these (norelro). Nothing
    # unwinds the stack.
    kind="-static-pie -Wl,--no-dynamic-linker" start=$musl/rcrt1.o
    case $arch in
        riscv64) kind="-static -no-pie" start=$musl/crt1.o ;;
        # Where the pointers lie is told in a bit each, not in 24 bytes (a 25th of the program), which Debian's linker
        # can for this processor alone; musl cannot read it, so that a start of our own moves them. And what is written
        # to need not begin a page of the file: the page of both is in memory twice, and in the file once.
        amd64)
            "$cc" -Os -fPIC -fno-stack-protector -c scripts/relr-start.c -o "$link/start.o"
            kind="$kind -Wl,-z,pack-relative-relocs,-z,common-page-size=64,--entry=relr_start"
            kind="$kind -Wl,--no-ld-generated-unwind-info"
            start="$link/start.o $start"
            ;;
    esac
    cat >"$link/linker.new" <<END
#!/bin/sh
for word in "\$@"; do
    shift
    case \$word in
        -static | -no-pie | -pie | -static-pie) ;;
        *) set -- "\$@" "\$word" ;;
    esac
done
# $(cat "$link/unwind.c" scripts/relr-start.c | cksum)
exec $cc -nostdlib $kind $start "$musl/crti.o" "\$@" -L "$musl" -Wl,-z,noseparate-code,-z,norelro,--build-id=none \\
    -Wl,--no-eh-frame-hdr \\
    -Wl,--version-script="$link/names" -Wl,-Bstatic -Wl,--start-group -lc -lgcc -Wl,--end-group "$musl/crtn.o"
END
    # Cargo knows its name alone: where it links in another way, what was linked is to go.
    if ! cmp -s "$link/linker.new" "$link/linker"; then
        rm -f "$build/$target/release/deps"/memento-*
        mv -f "$link/linker.new" "$link/linker"
    fi
    chmod +x "$link/linker"
    linker=$link/linker
    export RUSTC RUSTC_BOOTSTRAP=1
    flags="$flags -C link-self-contained=no -C relocation-model=pie -L native=$link -L native=$musl"
    # What the processor does at a panic is to stop, with no message: a twelfth of the size, and fewer instructions.
    # Nothing tells then where it was, and nothing is written as {:?} writes it. Musl is called where it lies.
    flags="$flags -Z unstable-options -C panic=immediate-abort -Z location-detail=none -Z fmt-debug=none -Z plt=yes"
    way="$("$RUSTC" --version) and its library's source"
    # Of the library, what sorts, prints numbers and the like in the smaller of two ways.
    set -- -Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size
    small=1
fi

if [ "$small" = 1 ]; then
    # Everything for size, but for the functions that are marked (src/lib.rs tells of them). What is said for the last
    # crate alone is how the whole is optimised when it is linked: each function by its own mark.
    export CARGO_PROFILE_RELEASE_OPT_LEVEL=z
    flags="$flags --cfg memento_small"
    last="-C opt-level=2"
    # What calls others is put into its caller more seldom than the compiler would, what has a large frame never: what
    # lies far away on the stack takes longer instructions. Registers are saved where it takes the fewest bytes.
    last="$last -C llvm-args=-inline-call-penalty=40 -C llvm-args=-inline-max-stacksize=1000"
    last="$last -C llvm-args=-split-spill-mode=size"
    # What several functions have in common becomes a function of its own where that is worth some bytes, which the
    # compiler does by itself on some processors. No loop is moved to where a line of the cache begins.
    case $arch in
        amd64)
            last="$last -C llvm-args=-enable-machine-outliner=always -C llvm-args=-machine-outliner-reruns=1"
            last="$last -C llvm-args=-outliner-benefit-threshold=4"
            last="$last -C llvm-args=-x86-experimental-pref-innermost-loop-alignment=0"
            ;;
    esac
else
    # A compiler that knows no marks: less is put into its caller than usually, other than where the source asks for it.
    # opt-level=s costs many more instructions and gains nothing.
    export CARGO_PROFILE_RELEASE_OPT_LEVEL=2
    flags="$flags -C llvm-args=-inline-threshold=25"
fi

echo "$target: $way"
# shellcheck disable=SC2086 # $last is words.
env "CARGO_TARGET_${variable}_LINKER=$linker" RUSTFLAGS="${RUSTFLAGS:-} $flags" \
    "$cargo" rustc --locked --release --bin memento --target "$target" --target-dir "$build" "$@" -- $last
# What moves the program's pointers at its start knows one kind of them. A name that nothing has is 0, as it should be.
if readelf -rW "$build/$target/release/memento" |
    awk '/ R_/ && !/_RELATIVE |_NONE/ && $4 !~ /^0*$/ { print; found = 1 } END { exit !found }'; then
    echo "build-static.sh: $target: the linker has left what nobody will settle" >&2
    exit 1
fi
mkdir -p "$out"
# Where its sections are, nothing asks when it runs: that table, behind all that is loaded, is left out.
program=$build/$target/release/memento
behind=$(readelf -lW "$program" | awk '$1 == "LOAD" { offset = $2; bytes = $5 } END { print offset, bytes }')
head -c "$((${behind% *} + ${behind#* }))" "$program" >"$out/memento.new"
# The header of 32 bits has its three numbers elsewhere.
case $processor in
    armv7) fields="32:4 48:4" ;;
    *) fields="40:8 60:4" ;;
esac
for field in $fields; do
    dd if=/dev/zero of="$out/memento.new" bs=1 seek="${field%:*}" count="${field#*:}" conv=notrunc 2>/dev/null
done
chmod +x "$out/memento.new"
# What scripts/size.sh has bounds for is built in one of the two ways.
echo "$way" >"$out/built-with"
mv -f "$out/memento.new" "$out/memento"
for name in memento-cli memento-benchmark; do
    ln -f "$out/memento" "$out/$name"
done
wc -c "$out/memento"
