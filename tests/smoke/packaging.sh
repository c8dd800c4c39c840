#!/bin/sh
# What make install puts in place: programs, manual pages, units and init scripts, each as its reader wants it.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=lib.sh
. tests/smoke/lib.sh
need make
need python3

# Run from within make test, the inner make must not take the outer one's flags for its own.
unset MAKEFLAGS MFLAGS MAKELEVEL
image=$SCRATCH/image
make install "DESTDIR=$image" PREFIX=/usr >"$SCRATCH/log" 2>&1 || fail 'make install' 'exit code 0' "$?"
for name in memento memento-cli memento-benchmark; do
    "$image/usr/bin/$name" -V | grep -q "^$name [0-9]" || fail "$name -V" "$name and its version" "$("$image/usr/bin/$name" -V)"
    [ -s "$image/usr/share/man/man1/$name.1" ] || fail 'make install' "$name.1" "$(find "$image")"
done

# libmemento is found by pkg-config, and a program linked either way runs with what is installed.
if command -v pkg-config >/dev/null && command -v cc >/dev/null; then
    flags() { PKG_CONFIG_SYSROOT_DIR=$image PKG_CONFIG_LIBDIR=$image/usr/lib/pkgconfig pkg-config "$@" memento; }
    [ "$(flags --modversion)" = "$("$image/usr/bin/memento" -V | sed 's/.* //')" ] ||
        fail 'pkg-config --modversion' 'the version of memento' "$(flags --modversion)"
    # shellcheck disable=SC2046
    cc -o "$SCRATCH/counter" ffi/examples/counter.c $(flags --cflags --libs)
    status=0
    LD_LIBRARY_PATH=$image/usr/lib "$SCRATCH/counter" 127.0.0.1 1 k 2>"$SCRATCH/got" || status=$?
    [ "$status $(cut -c 1-14 "$SCRATCH/got")" = '1 cannot connect' ] || fail counter 'cannot connect' "$(cat "$SCRATCH/got")"
    # shellcheck disable=SC2046
    cc -static -o "$SCRATCH/counter" ffi/examples/counter.c $(flags --static --cflags --libs)
    status=0
    "$SCRATCH/counter" 127.0.0.1 1 k 2>"$SCRATCH/got" || status=$?
    [ "$status" -eq 1 ] || fail 'counter, linked statically' 'exit code 1' "$status"
else
    echo "skipped: pkg-config or cc is not installed"
    [ "${CI:-}" != true ] || exit 1
fi

# Each option that --help has is in the page, and troff has nothing to say against it.
if command -v man >/dev/null; then
    for page in "$image"/usr/share/man/man*/*; do
        MANWIDTH=100 LC_ALL=C.UTF-8 man --warnings=w -l "$page" >"$SCRATCH/page" 2>"$SCRATCH/warnings" </dev/null ||
            fail "man -l $page" 'exit code 0' "$?"
        [ ! -s "$SCRATCH/warnings" ] || fail "man -l $page" 'no warnings' "$(cat "$SCRATCH/warnings")"
        [ "$(wc -l <"$SCRATCH/page")" -gt 20 ] || fail "man -l $page" 'a page' "$(cat "$SCRATCH/page")"
    done
    for name in memento memento-cli memento-benchmark; do
        MANWIDTH=100 LC_ALL=C.UTF-8 man -l "$image/usr/share/man/man1/$name.1" >"$SCRATCH/page" 2>/dev/null
        "$image/usr/bin/$name" --help | grep -o -e '^  *-.*' | grep -o -e '--[a-z-]*' | sort -u >"$SCRATCH/options"
        [ -s "$SCRATCH/options" ] || fail "$name --help" 'options' nothing
        while read -r option; do
            grep -q -e "$option" "$SCRATCH/page" || fail "man $name" "$option" "$(cat "$SCRATCH/page")"
        done <"$SCRATCH/options"
    done
    grep -q 'node0' "$SCRATCH/page" && fail 'memento-benchmark(1)' 'nothing of the cluster' "$(cat "$SCRATCH/page")"
else
    echo "skipped: man is not installed"
    [ "${CI:-}" != true ] || exit 1
fi

# What memento.conf(5) names is there.
python3 "$image/usr/share/memento/build_cluster.py" --dir "$SCRATCH" 127.0.0.1:18081 127.0.0.1:18082 >"$SCRATCH/got" 2>&1 ||
    fail 'build_cluster.py' 'exit code 0' "$(cat "$SCRATCH/got")"

# The init scripts start the program where it is.
for script in init procd; do
    grep -q 'PROGRAM=.*/usr/bin/memento' "$image/usr/share/memento/memento.$script" ||
        fail 'make install PREFIX=/usr' "memento.$script with /usr/bin/memento" "$(cat "$image/usr/share/memento/memento.$script")"
done

# The units name the program where it is, which verify looks for; and they ask for nothing that systemd does not know.
if command -v systemd-analyze >/dev/null; then
    grep -q '^ExecStart=/usr/bin/memento$' "$image/usr/lib/systemd/system/memento.service" ||
        fail 'make install PREFIX=/usr' 'ExecStart=/usr/bin/memento' "$(cat "$image/usr/lib/systemd/system/memento.service")"
    for unit in service socket; do
        sed "s|=/usr/bin/|=$image/usr/bin/|" "$image/usr/lib/systemd/system/memento.$unit" >"$SCRATCH/memento.$unit"
    done
    systemd-analyze verify --man=no "$SCRATCH/memento.service" "$SCRATCH/memento.socket" >"$SCRATCH/got" 2>&1 ||
        fail 'systemd-analyze verify' 'exit code 0' "$(cat "$SCRATCH/got")"
    grep 'memento\.' "$SCRATCH/got" && fail 'systemd-analyze verify' 'nothing to say' "$(cat "$SCRATCH/got")"
    echo 'NoSuchSetting=yes' >>"$SCRATCH/memento.socket"
    systemd-analyze verify --man=no "$SCRATCH/memento.socket" 2>&1 | grep -q NoSuchSetting ||
        fail 'systemd-analyze verify' 'a word against NoSuchSetting' nothing
else
    echo "skipped: systemd-analyze is not installed"
    [ "${CI:-}" != true ] || exit 1
fi

# The init script of BusyBox, with a port and files of its own.
if command -v busybox >/dev/null && [ "$(id -u)" -eq 0 ]; then
    mkdir "$SCRATCH/path"
    for name in start-stop-daemon sh sleep rm echo printf; do
        ln -s "$(command -v busybox)" "$SCRATCH/path/$name"
    done
    port=$((18000 + $$ % 1000))
    chmod 755 "$SCRATCH" "$image"
    : >"$SCRATCH/daemon.log"
    chmod 666 "$SCRATCH/daemon.log"
    cat >"$SCRATCH/default" <<END
PROGRAM=$image/usr/bin/memento
PID_FILE=$SCRATCH/memento.pid
LOG_FILE=$SCRATCH/daemon.log
OPTIONS='-p $port --maxmemory 4mb'
END
    init() { SETTINGS=$SCRATCH/default PATH=$SCRATCH/path "$(command -v busybox)" sh scripts/memento.init "$1"; }
    says() {
        got=$(init "$1" 2>&1) || true
        [ "$got" = "$2" ] || fail "memento.init $1" "$2" "$got: $(cat "$SCRATCH/daemon.log")"
    }
    says status 'memento does not run'
    # A server that ends at once has not started, nor does a start leave something for the next one to stop.
    cp "$SCRATCH/default" "$SCRATCH/default.right"
    echo "OPTIONS='-p $port --no-such-option'" >>"$SCRATCH/default"
    says start "Starting memento: FAIL: see why with $image/usr/bin/memento -p $port --no-such-option"
    [ ! -e "$SCRATCH/memento.pid" ] || fail 'memento.init start' 'no file of a process that has ended' "$(cat "$SCRATCH/memento.pid")"
    mv "$SCRATCH/default.right" "$SCRATCH/default"
    says start 'Starting memento: OK'
    SERVER=$(cat "$SCRATCH/memento.pid")
    PORT=$port
    answers() { [ "$(exchange 'PING\r\nQUIT\r\n' 2>/dev/null)" = "$(printf 'PONG\r\n')" ]; }
    answers || fail 'PING right behind memento.init start' PONG "$(cat "$SCRATCH/daemon.log")"
    says status 'memento runs'
    grep -q 'Max open files  *16384  *16384' "/proc/$SERVER/limits" || fail 'memento.init start' '16384 files' "$(cat "/proc/$SERVER/limits")"
    says start 'memento runs already'
    [ "$(stat -c %U "/proc/$SERVER")" = nobody ] || fail 'memento.init start' 'a process of nobody' "$(stat "/proc/$SERVER")"
    says restart "$(printf 'Stopping memento: OK\nStarting memento: OK')"
    SERVER=$(cat "$SCRATCH/memento.pid")
    eventually 'an answer of the daemon' answers
    says stop 'Stopping memento: OK'
    says status 'memento does not run'
    SERVER=
    grep -q 'SIGTERM, ending' "$SCRATCH/daemon.log" || fail 'memento.init stop' 'SIGTERM' "$(cat "$SCRATCH/daemon.log")"
else
    echo "skipped: busybox is not installed, or this is not root"
    [ "${CI:-}" != true ] || exit 1
fi
sh -n scripts/memento.procd || fail 'sh -n scripts/memento.procd' 'exit code 0' "$?"

# The package of the static program, where that has been built: unpacked over an empty root, it runs there.
processor=$(uname -m)
if [ -x "bin/static/$processor/memento" ]; then
    scripts/dist.sh "$processor-unknown-linux-musl" >"$SCRATCH/got" 2>&1 || fail 'scripts/dist.sh' 'exit code 0' "$(cat "$SCRATCH/got")"
    mkdir "$SCRATCH/root"
    tar -C "$SCRATCH/root" --strip-components=1 -xzf "$(echo bin/dist/memento-*-"$processor".tar.gz)"
    for file in bin/memento-cli share/man/man5/memento.conf.5 share/doc/memento/LICENSE share/memento/memento.init; do
        [ -s "$SCRATCH/root/usr/$file" ] || fail 'tar -xzf memento-*.tar.gz' "$file" "$(find "$SCRATCH/root")"
    done
    "$SCRATCH/root/usr/bin/memento-benchmark" -V | grep -q '^memento-benchmark [0-9]' ||
        fail 'memento-benchmark -V of the package' 'name and version' nothing
    BIN=$SCRATCH/root/usr/bin start_server
    check 'SET a 1\r\nGET a\r\nQUIT\r\n' 'OK\r\n1\r\n'
    stop_server TERM
else
    echo "skipped: bin/static/$processor/memento has not been built"
fi

make uninstall "DESTDIR=$image" PREFIX=/usr >"$SCRATCH/got" 2>&1 || fail 'make uninstall' 'exit code 0' "$(cat "$SCRATCH/got")"
left=$(find "$image" ! -type d)
[ -z "$left" ] || fail 'make uninstall' 'nothing left' "$left"
