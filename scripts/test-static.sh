#!/bin/sh
# Runs the smoke tests against bin/static/PROCESSOR/: this machine's as they are, and in a root with nothing in it;
# others' under qemu-user. PROCESSOR is x86_64, aarch64, armv7, s390x or riscv64; the default is this machine's.
# The last line counts.
set -u
cd "$(dirname "$0")/.." || exit 1

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0
failed=0

# smoke WHAT SCRIPT...: each script against the programs in $BIN; the scripts of one call run side by side.
smoke() {
    what=$1
    shift
    for script in "$@"; do
        (
            timeout 600 sh "tests/smoke/$script.sh" >"$scratch/$script.out" 2>&1 </dev/null
            echo $? >"$scratch/$script.status"
        ) &
    done
    wait
    for script in "$@"; do
        if [ "$(cat "$scratch/$script.status")" -eq 0 ]; then
            echo "ok   $what: tests/smoke/$script.sh"
            grep -i '^skipped' "$scratch/$script.out"
            passed=$((passed + 1))
        else
            echo "FAIL $what: tests/smoke/$script.sh"
            cat "$scratch/$script.out"
            failed=$((failed + 1))
        fi
    done
}

# called_by FOLDER: the three names in a folder, as scripts that call a program with their own name; the lines that do
# it come from standard input, with NAME for the name.
called_by() {
    mkdir -p "$1"
    cat >"$scratch/caller"
    for name in memento memento-cli memento-benchmark; do
        sed "s/NAME/$name/g" "$scratch/caller" >"$1/$name"
        chmod +x "$1/$name"
    done
}

native() {
    folder=$PWD/bin/static/$1
    BIN=$folder
    export BIN
    smoke "$1" basic options signals tools
    smoke "$1" anywhere syscalls mixed
    if scripts/size.sh --check >"$scratch/size" 2>&1; then
        echo "ok   $1: scripts/size.sh --check"
        passed=$((passed + 1))
    else
        echo "FAIL $1: scripts/size.sh --check"
        failed=$((failed + 1))
    fi
    cat "$scratch/size"
    if [ "$(id -u)" -ne 0 ]; then
        echo "skipped: only root may change the root of a process"
        [ "${CI:-}" != true ] || failed=$((failed + 1))
        return
    fi
    # The scripts' own folders are in the new root; there they are called without the path that leads to it.
    root=$scratch/root
    mkdir -p "$root/tmp"
    for name in memento memento-cli memento-benchmark; do
        ln -f "$folder/$name" "$root/$name" 2>/dev/null || cp "$folder/$name" "$root/$name"
    done
    called_by "$scratch/chroot" <<END
#!/bin/sh
for word in "\$@"; do
    shift
    set -- "\$@" "\${word#"$root"}"
done
exec chroot "$root" /NAME "\$@"
END
    BIN=$scratch/chroot
    TMPDIR=$root/tmp
    # The benchmark has been run on the same program above.
    TOOLS_BENCHMARK=no
    export BIN TMPDIR TOOLS_BENCHMARK
    smoke "$1 in an empty root" basic options signals tools mixed
    unset TMPDIR TOOLS_BENCHMARK
}

foreign() {
    case $1 in
        armv7) qemu='qemu-arm-static' ;;
        *) qemu=qemu-$1-static ;;
    esac
    if ! command -v "$qemu" >/dev/null; then
        echo "skipped: $qemu is not installed (package qemu-user-static)"
        [ "${CI:-}" != true ] || failed=$((failed + 1))
        return
    fi
    called_by "$scratch/$1" <<END
#!/bin/sh
exec $qemu -0 NAME "$PWD/bin/static/$1/NAME" "\$@"
END
    BIN=$scratch/$1
    OTHER_BIN=$PWD/bin/static/$(uname -m)
    [ -x "$OTHER_BIN/memento" ] || OTHER_BIN=$PWD/bin
    export BIN OTHER_BIN
    smoke "$1 under qemu" basic options signals mixed
    # Kernels of this processor may have pages of 64 kB, and load no program that was laid out for smaller ones.
    case $1 in
        aarch64)
            if readelf -lW "bin/static/$1/memento" | awk '$1 == "LOAD" && $NF != "0x10000" { exit 1 }'; then
                echo "ok   $1: laid out for pages of 64 kB"
                passed=$((passed + 1))
            else
                echo "FAIL $1: not laid out for pages of 64 kB"
                failed=$((failed + 1))
            fi
            ;;
    esac
    unset OTHER_BIN
}

[ $# -gt 0 ] || set -- "$(uname -m)"
for processor in "$@"; do
    if [ ! -x "bin/static/$processor/memento" ]; then
        echo "FAIL $processor: no bin/static/$processor/memento; scripts/build-static.sh builds it"
        failed=$((failed + 1))
    elif [ "$processor" = "$(uname -m)" ]; then
        native "$processor"
    else
        foreign "$processor"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
