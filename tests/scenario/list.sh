#!/bin/sh
# Every scenario below this folder, one path a line: meson makes two tests of each.
cd "$(dirname "$0")" && find . -name '*.scn' | sed 's|^\./||' | LC_ALL=C sort
