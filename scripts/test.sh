#!/bin/sh
# Runs every test there is: cargo's, the sanitizer's run over the store, the smoke scripts against bin/.
# The last line counts them all; the exit code says whether one failed.
set -u
cd "$(dirname "$0")/.." || exit 1

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The status goes through a file, since a pipeline's is that of its last command.
{
    ${CARGO:-cargo} test --locked --no-fail-fast --workspace 2>&1
    echo $? >"$scratch/status"
} | tee "$scratch/cargo"

passed=$(awk '/^test result: / { n += $4 } END { print n + 0 }' "$scratch/cargo")
failed=$(awk '/^test result: / { n += $6 } END { print n + 0 }' "$scratch/cargo")
# A build that fails, or a test program that dies, counts as one failure although no result line tells of it.
if [ "$(cat "$scratch/status")" -ne 0 ] && [ "$failed" -eq 0 ]; then
    failed=1
fi

# run SCRIPT...: one after the other; each leaves its output and status in files.
run() {
    for script in "$@"; do
        name=$(basename "$script")
        # A script that hangs is a failure too.
        timeout 900 sh "$script" >"$scratch/$name.output" 2>&1 </dev/null
        echo $? >"$scratch/$name.status"
    done
}

# tell SCRIPT...: what became of them.
tell() {
    for script in "$@"; do
        name=$(basename "$script")
        if [ "$(cat "$scratch/$name.status")" -eq 0 ]; then
            echo "ok   $script"
            # What was skipped is said even when all is well.
            grep -i '^skipped' "$scratch/$name.output"
            passed=$((passed + 1))
        else
            echo "FAIL $script"
            cat "$scratch/$name.output"
            failed=$((failed + 1))
        fi
    done
}

# beside "SCRIPT..." "SCRIPT...": both lists side by side; nothing in them measures time.
beside() {
    # shellcheck disable=SC2086
    run $1 &
    # shellcheck disable=SC2086
    run $2
    wait
    # shellcheck disable=SC2086
    tell $1 $2
}

smoke=tests/smoke
# The sanitizer's build keeps one processor busy, and the soak waits for its minute to pass while counting instructions
# takes a processor.
beside scripts/sanitize.sh \
    "$smoke/basic.sh $smoke/cluster_files.sh $smoke/tools.sh $smoke/signals.sh $smoke/cluster.sh $smoke/options.sh
    $smoke/protected.sh $smoke/packaging.sh"
beside "$smoke/soak.sh" "$smoke/instructions.sh"
others=
for script in "$smoke"/*.sh; do
    case $script in
        */lib.sh) ;;
        *) [ -e "$scratch/$(basename "$script").status" ] || others="$others $script" ;;
    esac
done
# shellcheck disable=SC2086
run $others
# shellcheck disable=SC2086
tell $others

# The static programs where they were built, as by the continuous integration.
for program in bin/static/*/memento; do
    [ -x "$program" ] || continue
    scripts/test-static.sh "$(basename "$(dirname "$program")")" >"$scratch/static"
    sed '$d' "$scratch/static"
    counts=$(tail -n 1 "$scratch/static")
    passed=$((passed + ${counts%% *}))
    counts=${counts#*, }
    failed=$((failed + ${counts%% *}))
done

if [ "$failed" -ne 0 ]; then
    echo
    grep -E '^test .* \.\.\. FAILED$' "$scratch/cargo"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
