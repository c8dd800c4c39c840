#!/bin/sh
# The cluster's files: what scripts/build_cluster.py writes, what it refuses, and that memento takes what it writes.
set -eu
cd "$(dirname "$0")/../.."
# shellcheck source=lib.sh
. tests/smoke/lib.sh

need python3
HERE=$PWD
case $BIN in
    /*) ;;
    *) BIN=$HERE/$BIN ;;
esac
FILES=$SCRATCH/files
mkdir "$FILES"
cd "$FILES"

# build WORD...: runs the script; its output and status are in $SCRATCH/got and CODE.
build() {
    CODE=0
    python3 "$HERE/scripts/build_cluster.py" "$@" >"$SCRATCH/got" 2>&1 </dev/null || CODE=$?
}

# built FILE LINE...: the file has these lines beside its comments.
built() {
    file=$1
    shift
    printf '%s\n' "$@" >"$SCRATCH/wanted"
    grep -v '^#' "$file" >"$SCRATCH/lines" || true
    cmp -s "$SCRATCH/wanted" "$SCRATCH/lines" || fail "$file" "$(cat "$SCRATCH/wanted")" "$(cat "$file")"
    head -n 1 "$file" | grep -q '^# A memento cluster of ' || fail "$file" 'a comment on top' "$(head -n 1 "$file")"
}

# there NAME...: these are all files in the folder.
there() {
    got=$(find . -mindepth 1 | sort | tr '\n' ' ')
    [ "$got" = "$*${*:+ }" ] || fail 'the files in the folder' "$*" "$got"
}

# What the folder has of that name is written over; the rest stays.
echo old >node0.conf
echo mine >node7.conf
echo mine >other
build 127.0.0.1:8081 127.0.0.1:8082 127.0.0.1:8083
[ "$CODE" -eq 0 ] || fail 'build_cluster.py' 'exit code 0' "$CODE: $(cat "$SCRATCH/got")"
there ./node0.conf ./node1.conf ./node2.conf ./node7.conf ./other
built node0.conf '127.0.0.1 8181 node0 1' '127.0.0.1 8182 node1 0' '127.0.0.1 8183 node2 0'
built node1.conf '127.0.0.1 8181 node0 0' '127.0.0.1 8182 node1 1' '127.0.0.1 8183 node2 0'
built node2.conf '127.0.0.1 8181 node0 0' '127.0.0.1 8182 node1 0' '127.0.0.1 8183 node2 1'
[ "$(cat node7.conf other)" = "$(printf 'mine\nmine')" ] || fail 'node7.conf' mine "$(cat node7.conf other)"

# In the order given, IPv6 in brackets, from any directory.
rm -f ./*
build '[fd00:0::2]:65435' '[::1]:8081' --dir "$FILES" '[fd00::3]:1'
[ "$CODE" -eq 0 ] || fail 'build_cluster.py' 'exit code 0' "$CODE: $(cat "$SCRATCH/got")"
built node2.conf 'fd00::2 65535 node0 0' '::1 8181 node1 0' 'fd00::3 101 node2 1'
build localhost:8081
built node0.conf '127.0.0.1 8181 node0 1'
rm -f ./*

# refused TEXT WORD...: exit code 2, a message with the text, and nothing written.
refused() {
    wanted=$1
    shift
    build "$@"
    [ "$CODE" -eq 2 ] || fail "build_cluster.py $*" 'exit code 2' "$CODE"
    tail -n 1 "$SCRATCH/got" | grep -Fq -e "$wanted" || fail "build_cluster.py $*" "$wanted" "$(cat "$SCRATCH/got")"
    there
}
good=127.0.0.1:8081
refused '127.0.0.1 and ::1: the nodes need all IPv4 addresses or all IPv6' $good '[::1]:8082'
refused 'HOST:PORT'
refused '127.0.0.1: HOST:PORT is wanted' $good 127.0.0.1
refused '::1:8081: HOST:PORT is wanted, for IPv6 [ADDRESS]:PORT' $good ::1:8081
refused 'the port is to be from 1 to 65435' 127.0.0.1:0
refused 'the port is to be from 1 to 65435' 127.0.0.1:65436
refused 'the port is to be from 1 to 65435' 127.0.0.1:x
refused 'the port is to be from 1 to 65435' 127.0.0.1:
refused 'is no numeric IP address' example.org:8081
refused 'is no numeric IP address' 127.0.0.01:8081
refused 'is no numeric IP address' 127.0.0.256:8081
refused 'stands for every address' 0.0.0.0:8081
refused 'stands for every address' '[::]:8081'
refused 'is no address of one box' '[ff02::1]:8081'
refused '127.0.0.1:8081 is given twice' $good localhost:8081
refused '127.0.0.1:8081 is given twice' $good '[::ffff:127.0.0.1]:8081'
refused 'port 8181 is the bus port of one and the client port of the other' $good 127.0.0.1:8181
refused "there is no directory '$FILES/none'" --dir "$FILES/none" $good
# shellcheck disable=SC2046
refused '257 nodes are too many' $(seq -f '10.0.0.1:%g' 200 200 51400)
build --help
[ "$CODE" -eq 0 ] || fail 'build_cluster.py --help' 'exit code 0' "$CODE"

# Where one file cannot be written, none is.
mkdir node1.conf
build $good 127.0.0.1:8082
[ "$CODE" -eq 1 ] || fail 'build_cluster.py' 'exit code 1' "$CODE"
there ./node1.conf
rmdir node1.conf

# memento SAYS OPTION...: it ends with code 2 and one line that begins so.
memento() {
    wanted=$1
    shift
    code=0
    "$BIN/memento" "$@" >/dev/null 2>"$SCRATCH/got" </dev/null || code=$?
    [ "$code" -eq 2 ] || fail "memento $*" 'exit code 2' "$code: $(cat "$SCRATCH/got")"
    [ "$(wc -l <"$SCRATCH/got")" -eq 1 ] || fail "memento $*" 'one line' "$(cat "$SCRATCH/got")"
    grep -Fq -e "memento: $wanted" "$SCRATCH/got" || fail "memento $*" "memento: $wanted" "$(cat "$SCRATCH/got")"
}

# The port is wrong on purpose: memento tells of the line that it takes for its own, and ends.
build $good '127.0.0.2:8082'
memento '-p 1: node0.conf:3 says that this node'"'"'s bus port is 8181' -f node0.conf -p 1
memento '-p 1: node1.conf:4 says that this node'"'"'s bus port is 8182' -c -f node1.conf -p 1
HOME=$FILES
export HOME
memento "$FILES/.memento: No such file or directory" -c
cp node1.conf .memento
memento "-p 1: $FILES/.memento:4 says" -c -p 1
echo '127.0.0.1 8181 a 2' >.memento
memento "$FILES/.memento:1: SELF is '2'; it is 1 on" -c
build 10.0.0.1:8081
memento 'node0.conf: node node0 (10.0.0.1:8181) is beyond loopback, and there is no secret' -f node0.conf
