#!/bin/bash
# ThreadSanitizer over what runs on several threads: tools/tsan.sh BUILD_DIR. The programs below alone, then the real server in
# placement `threads`. Its first finding ends a program with exit code 66, which every test takes for a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "$1")
export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1"
export JACKDAW="$build/jackdaw"
export JACKDAW_TEST_WAIT="${JACKDAW_TEST_WAIT:-60}"
for test in link_thread loop store; do
    echo "-- $test"
    "$build/tests/unit/test_$test"
done
exec /usr/bin/python3 -m pytest -q -p no:cacheprovider --placement threads \
    tests/integration/test_threads.py tests/integration/test_two_users.py tests/integration/test_life.py
