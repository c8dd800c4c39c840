#!/bin/sh
# Runs every test there is: cargo's, the sanitizer's run over the store, the smoke scripts against bin/.
# The last line counts them all; the exit code says whether one failed.
set -u
cd "$(dirname "$0")/.." || exit 1

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The status goes through a file, since a pipeline's is that of its last command.
{
    ${CARGO:-cargo} test --locked --no-fail-fast 2>&1
    echo $? >"$scratch/status"
} | tee "$scratch/cargo"

passed=$(awk '/^test result: / { n += $4 } END { print n + 0 }' "$scratch/cargo")
failed=$(awk '/^test result: / { n += $6 } END { print n + 0 }' "$scratch/cargo")
# A build that fails, or a test program that dies, counts as one failure although no result line tells of it.
if [ "$(cat "$scratch/status")" -ne 0 ] && [ "$failed" -eq 0 ]; then
    failed=1
fi

for script in scripts/sanitize.sh tests/smoke/*.sh; do
    if [ "$script" = tests/smoke/lib.sh ]; then
        continue
    fi
    # A script that hangs is a failure too.
    if timeout 900 sh "$script" >"$scratch/output" 2>&1; then
        echo "ok   $script"
        # What was skipped is said even when all is well.
        grep -i '^skipped' "$scratch/output"
        passed=$((passed + 1))
    else
        echo "FAIL $script"
        cat "$scratch/output"
        failed=$((failed + 1))
    fi
done

if [ "$failed" -ne 0 ]; then
    echo
    grep -E '^test .* \.\.\. FAILED$' "$scratch/cargo"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
