#!/bin/sh
# A cluster on this box, for trying things: its files, logs and process ids are in a folder of their own.
set -eu

usage() {
    cat <<'END'
Usage: scripts/cluster.sh start [N [FIRST_PORT]]   start N nodes (3) on 127.0.0.1, ports from FIRST_PORT (8081)
       scripts/cluster.sh stop                     end all nodes; logs and files stay
       scripts/cluster.sh status                   tell of the nodes; status 1 where one does not run
       scripts/cluster.sh kill I                   end node I (from 0) at once, as a crash would
       scripts/cluster.sh restart I                end node I if it runs, and start it again

The folder is MEMENTO_CLUSTER_DIR, else memento-cluster-UID under TMPDIR (/tmp). The programs are those in BIN (bin).
END
}

# die TEXT: the script fails.
die() {
    echo "cluster.sh: $1" >&2
    exit 1
}

# misuse TEXT: the command line is wrong.
misuse() {
    echo "cluster.sh: $1" >&2
    usage >&2
    exit 2
}

# Nothing here takes a second on an idle box.
DEADLINE_S=30
NODES_MAX=32

DIR=${MEMENTO_CLUSTER_DIR:-${TMPDIR:-/tmp}/memento-cluster-$(id -u)}
case $DIR in
    /*) ;;
    *) DIR=$PWD/$DIR ;;
esac
BIN=${BIN:-bin}
cd "$(dirname "$0")/.."
case $BIN in
    /*) ;;
    *) BIN=$PWD/$BIN ;;
esac

conf() { echo "$DIR/node$1.conf"; }
log() { echo "$DIR/node$1.log"; }
pid_file() { echo "$DIR/node$1.pid"; }

# Under /tmp everybody may make a folder of this name before we do, and would choose what is started.
own_folder() {
    [ -n "$(find "$DIR" -prune -type d -user "$(id -u)" 2>/dev/null)" ]
}

# How many nodes the cluster in the folder has; 0: there is none.
count() {
    if own_folder && [ -f "$(conf 0)" ]; then
        grep -c '^[0-9a-fA-F]' "$(conf 0)"
    else
        echo 0
    fi
}

# address I: how clients reach the node, HOST PORT.
address() {
    awk '/^[0-9a-fA-F]/ && $4 == 1 { print $1, $2 - 100 }' "$(conf "$1")"
}

# pid I: the node's process id, if that process is this very node; another program may have got the number since.
pid() {
    [ -f "$(pid_file "$1")" ] || return 1
    pid=$(cat "$(pid_file "$1")")
    case $pid in
        '' | *[!0-9]*) return 1 ;;
    esac
    words=$(tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline") || return 1
    case $(echo "$words" | head -n 1) in
        */memento) ;;
        *) return 1 ;;
    esac
    echo "$words" | grep -Fqx "$(conf "$1")" || return 1
    echo "$pid"
}

# wait_for COMMAND...: until it succeeds; fails after the deadline.
wait_for() {
    tries=$((DEADLINE_S * 20))
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.05
    done
}

# launch I: starts the node and remembers its process id, and in which line of its log this start begins.
launch() {
    touch "$(log "$1")"
    wc -l <"$(log "$1")" >"$DIR/node$1.start"
    # So that it outlives the terminal; an end that was typed at this script is not meant for it either.
    nohup "$BIN/memento" -f "$(conf "$1")" >>"$(log "$1")" 2>&1 </dev/null &
    echo $! >"$(pid_file "$1")"
    # Until then it is no process that would be ended by its number.
    wait_for started "$1" || die "node $1 does not start"
}

# Is it the program by now, or has it ended again?
started() {
    runs "$1" || ! launched "$1"
}

# says I TEXT: has the node written this since it was started?
says() {
    tail -n "+$(($(cat "$DIR/node$1.start") + 1))" "$(log "$1")" | grep -q "$2"
}

# Has it written this, or ended?
says_or_ended() {
    says "$1" "$2" || ! launched "$1"
}

# Is the process that was started here still there? It may not have become memento yet.
launched() {
    [ -n "$(tr -d '\0' 2>/dev/null <"/proc/$(cat "$(pid_file "$1")")/cmdline")" ]
}

# await I TEXT: waits until the node has written this; else shows its log, and fails.
await() {
    if wait_for says_or_ended "$1" "$2" && says "$1" "$2"; then
        return
    fi
    {
        echo "cluster.sh: node $1 has not said '$2'; the end of $(log "$1"):"
        tail -n 20 "$(log "$1")"
    } >&2
    return 1
}

runs() { pid "$1" >/dev/null; }
ended() { ! runs "$1"; }

# end I SIGNAL: ends the node and waits for that; one that does not obey is killed.
end() {
    if running=$(pid "$1"); then
        kill -"$2" "$running" 2>/dev/null || true
        if ! wait_for ended "$1"; then
            echo "cluster.sh: node $1 (process $running) did not end by SIG$2; it is killed" >&2
            kill -KILL "$running" 2>/dev/null || true
            wait_for ended "$1" || die "process $running does not end"
        fi
    fi
    rm -f "$(pid_file "$1")"
}

# each COMMAND [WORD...]: runs it for every node, the number behind the command's name.
each() {
    command=$1
    shift
    node=0
    nodes=$(count)
    while [ "$node" -lt "$nodes" ]; do
        "$command" "$node" "$@"
        node=$((node + 1))
    done
}

# number WORD: is it one, in decimal digits, of at most five?
number() {
    case $1 in
        '' | *[!0-9]* | 0?* | ??????*) return 1 ;;
    esac
}

# node_number WORD: fails where the cluster has no such node.
node_number() {
    number "$1" || misuse "'$1' is not the number of a node"
    [ "$(count)" -gt 0 ] || die "there is no cluster in $DIR; cluster.sh start makes one"
    [ "$1" -lt "$(count)" ] || die "there is no node $1; the last one is $(($(count) - 1))"
}

refuse_running() {
    if runs "$1"; then
        die "node $1 of a cluster in $DIR runs; cluster.sh stop ends it"
    fi
}

forget() {
    rm -f "$(log "$1")" "$(pid_file "$1")" "$DIR/node$1.start" "$(conf "$1")"
}

start() {
    if ! number "$1" || [ "$1" -lt 1 ] || [ "$1" -gt "$NODES_MAX" ]; then
        misuse "'$1' is not a number of nodes, 1 to $NODES_MAX"
    fi
    # The last node's bus is a hundred above its clients' port.
    if ! number "$2" || [ "$2" -lt 1 ] || [ $(($2 + $1)) -gt 65436 ]; then
        misuse "'$2' is not a first port for $1 nodes"
    fi
    [ -x "$BIN/memento" ] || die "$BIN/memento is missing; make builds it"
    command -v python3 >/dev/null || die "python3 is missing; it writes the nodes' files"
    (umask 077 && mkdir -p "$DIR")
    own_folder || die "$DIR is not a folder of yours; MEMENTO_CLUSTER_DIR names another"
    each refuse_running
    each forget
    addresses=
    port=$2
    while [ "$port" -lt $(($2 + $1)) ]; do
        addresses="$addresses 127.0.0.1:$port"
        port=$((port + 1))
    done
    # shellcheck disable=SC2086
    python3 scripts/build_cluster.py --dir "$DIR" $addresses >/dev/null
    # What was started is not left behind by a failure, nor by an end that is typed.
    trap 'each end TERM' EXIT
    trap 'exit 1' HUP INT TERM
    each launch
    each await 'Cluster successfully formed'
    trap - EXIT HUP INT TERM
    each show
    cat <<END

Any node answers for any key:
    $BIN/memento-cli 127.0.0.1 $2 SET greeting 'hello world'
    printf 'GET greeting\r\nQUIT\r\n' | nc 127.0.0.1 $((port - 1))
    $BIN/memento-cli 127.0.0.1 $2 CLUSTERINFO
Files and logs are in $DIR; scripts/cluster.sh stop ends all nodes.
END
}

# show I: a line about the node; sets all_run to 1 where it does not run.
show() {
    if running=$(pid "$1"); then
        state="process $running"
    else
        state="does not run"
        all_run=1
    fi
    echo "node$1  $(address "$1" | tr ' ' ':')  $state"
}

# Prints what the first node that runs says of the cluster.
table() {
    if [ -z "$told" ] && runs "$1"; then
        told=yes
        # shellcheck disable=SC2046
        "$BIN/memento-cli" $(address "$1") CLUSTERINFO || true
    fi
}

status() {
    if [ "$(count)" -eq 0 ]; then
        echo "there is no cluster in $DIR"
        exit 1
    fi
    all_run=0
    told=
    each show
    each table
    exit "$all_run"
}

restart() {
    node_number "$1"
    end "$1" TERM
    launch "$1"
    await "$1" 'listening on '
    all_run=0
    each show
    # While another node is missing, the cluster cannot form.
    if [ "$all_run" -eq 0 ]; then
        await "$1" 'Cluster successfully formed'
    fi
}

action=${1:-}
[ $# -eq 0 ] || shift
case $action:$# in
    start:[0-2]) start "${1:-3}" "${2:-8081}" ;;
    stop:0) each end TERM ;;
    status:0) status ;;
    kill:1)
        node_number "$1"
        runs "$1" || die "node $1 does not run"
        end "$1" KILL
        ;;
    restart:1) restart "$1" ;;
    -h:0 | --help:0 | help:0) usage ;;
    :*) misuse "what is to be done?" ;;
    *) misuse "'$action' with $# more words is nothing to do" ;;
esac
