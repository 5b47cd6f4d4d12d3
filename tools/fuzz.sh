#!/bin/bash
# Every fuzzer for FUZZ_SECONDS each, from its seed corpus, with clang's libFuzzer under ASan and UBSan. What it finds
# stays in build-fuzz/findings; new inputs go to build-fuzz/corpus, not into the tree. tools/fuzz.sh [NAME ...]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${FUZZ_SECONDS:-30}
build=build-fuzz
[[ -f $build/build.ninja ]] || CC=clang meson setup $build --buildtype=debugoptimized -Dtests=true -Dbench=false \
    -Dfuzzers=true -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
ninja -C $build $(cd $build && ninja -t targets all | sed -n 's/^\(tests\/fuzz\/fuzz_[a-z0-9_]*\):.*/\1/p')
mkdir -p $build/findings
bad=0
for program in $build/tests/fuzz/fuzz_*; do
    [[ -f $program && -x $program ]] || continue
    name=${program##*/fuzz_}
    if [[ $# -gt 0 && " $* " != *" $name "* ]]; then continue; fi
    mkdir -p "$build/corpus/$name"
    log=$build/findings/$name.log
    if ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=70000 -print_final_stats=1 \
        -artifact_prefix="$build/findings/$name-" "$build/corpus/$name" "tests/fuzz/corpus/$name" \
        >"$log" 2>&1 </dev/null; then
        echo "fuzz $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs, nothing found"
    else
        echo "fuzz $name: FAILED, see $log and $build/findings/$name-*"
        tail -n 20 "$log"
        bad=1
    fi
done
exit $bad
