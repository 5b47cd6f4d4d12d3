#!/bin/bash
# Sets up or adjusts a meson build directory: tools/configure.sh DIR [-Doption=value ...]
# Options given earlier for the same directory stay as they were.
set -euo pipefail
dir=$1
shift
asked=$dir/.configured # what has been asked of meson so far: asking again for the same would cost seconds
quietly() {
    local log
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        exit 1
    fi
    rm -f "$log"
}
remember() {
    local option
    for option in "$@"; do
        { grep -v "^${option%%=*}=" "$asked" 2>/dev/null || true; echo "$option"; } >"$asked.new"
        mv "$asked.new" "$asked"
    done
}
if [[ ! -f $dir/build.ninja ]]; then
    quietly meson setup "$dir" --buildtype=debugoptimized -Dtests=false -Dbench=false "$@"
    rm -f "$asked"
    remember "$@"
    exit 0
fi
changed=()
for option in "$@"; do
    grep -qxF -e "$option" "$asked" 2>/dev/null || changed+=("$option")
done
if [[ ${#changed[@]} -gt 0 ]]; then
    quietly meson configure "$dir" "${changed[@]}"
    remember "${changed[@]}"
fi
