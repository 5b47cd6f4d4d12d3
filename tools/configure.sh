#!/bin/bash
# Sets up or adjusts a meson build directory: tools/configure.sh DIR [-Doption=value ...]
# Options given earlier for the same directory stay as they were.
set -euo pipefail
dir=$1
shift
if [[ -f $dir/build.ninja ]]; then
    # Asking meson costs a second; the same request as last time needs no question.
    if [[ ! -f $dir/.configured ]] || [[ $(<"$dir/.configured") != "$*" ]]; then
        meson configure "$dir" "$@"
        echo "$*" >"$dir/.configured"
    fi
else
    log=$(mktemp)
    if ! meson setup "$dir" --buildtype=debugoptimized -Dtests=false -Dbench=false "$@" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        exit 1
    fi
    rm -f "$log"
    echo "$*" >"$dir/.configured"
fi
