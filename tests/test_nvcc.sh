# SPDX-License-Identifier: Apache-2.0
#
# What the build says of compilers of CUDA, by pretended ones: none, broken, too old, one that does not know the newest cards.
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failures=0

# says EXPECTED VERSION KNOWN...: of a compiler of that version, which knows these cards
says() {
    local expected=$1 version=$2 said
    shift 2
    {
        echo '#!/bin/sh'
        echo "[ \"\$1\" = --list-gpu-arch ] && { for a in $*; do echo compute_\$a; done; exit; }"
        echo "echo 'Cuda compilation tools, release $version, V$version.99'"
    } >"$work/nvcc"
    chmod +x "$work/nvcc"
    said=$(cmake -D NVCC="$work/nvcc" -D WANTED="80-real;90-real;100-real;120" -P "$SOURCE_DIR/cmake/GhlNvcc.cmake" 2>&1)
    [ "$said" = "$expected" ] || { echo "FAILED: CUDA $version: $said, not $expected"; failures=$((failures + 1)); }
}
says "80-real;90-real;100-real;120|CUDA 13.0, architectures 80-real 90-real 100-real 120" 13.0 75 80 90 100 120
says "80-real;90|CUDA 12.4, architectures 80-real 90 (it does not know 100-real 120)" 12.4 50 80 90
says "|CUDA 12.3 is too old: 12.4 is needed" 12.3 50 80 90
says "|CUDA 11.8 is too old: 12.4 is needed" 11.8 50 80 90
printf '#!/bin/sh\nexit 1\n' >"$work/nvcc"
for nvcc in "$work/nvcc" "$work/none"; do
    said=$(cmake -D NVCC="$nvcc" -D WANTED=80 -P "$SOURCE_DIR/cmake/GhlNvcc.cmake" 2>&1)
    [ "$said" = "|$nvcc does not run" ] || { echo "FAILED: $said"; failures=$((failures + 1)); }
done
said=$(cmake -D NVCC= -D WANTED=80 -P "$SOURCE_DIR/cmake/GhlNvcc.cmake" 2>&1)
[ "$said" = "|no nvcc" ] || { echo "FAILED: $said"; failures=$((failures + 1)); }
[ $failures = 0 ]
