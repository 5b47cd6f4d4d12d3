#!/bin/sh
# Every scenario below this folder in each placement it runs in, as lines "PLACEMENT PATH": meson makes a test of each.
cd "$(dirname "$0")" || exit 1
find . -name '*.scn' | sed 's|^\./||' | LC_ALL=C sort | while read -r path; do
    only=$(sed -n 's/^placement \([a-z]*\)$/\1/p' "$path")
    for placement in ${only:-inline processes threads}; do
        echo "$placement $path"
    done
done
