#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Lets libFuzzer look for new files that break a reader; for the night. Needs clang with its runtime libraries (Debian: clang libomp-dev).
#
#   tests/fuzz.sh [SECONDS [TARGET...]]       default: 60 s for each of tests/fuzz_*.c
#
# What it finds stays in build-fuzz/found/TARGET; a file that shows a fault belongs, mended, into tests/corpus/TARGET. Exit status 0: no fault.
cd "$(dirname "$0")/.." || exit 2
seconds="${1:-60}"
shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || for file in tests/fuzz_*.c; do name=${file##*/fuzz_}; targets+=("${name%.c}"); done

cmake --preset fuzz >/dev/null || exit 2
faults=0
for target in "${targets[@]}"; do
    cmake --build --preset fuzz --target "fuzz_$target" || exit 2
    found="build-fuzz/found/$target"
    mkdir -p "$found"
    "build-fuzz/tests/fuzz_$target" "$found" "tests/corpus/$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
        -max_len=65536 -artifact_prefix="$found/fault-" -print_final_stats=1 || faults=$((faults + 1))
done
echo "$faults of ${#targets[@]} targets show faults"
[ "$faults" = 0 ]
