#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Device cuda on a machine without a GPU: what is missing is said in one line, with exit status 5, and ghl doctor lists what was found.
# Where the plug-in was not built (no CUDA toolkit, sanitizers), that is what is missing. Skipped where there is a GPU: tests on it are test_gpu.sh's.
[ -n "$GHL" ] || { echo "skipped: no command is built"; exit 77; }
if command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q .; then
    echo "skipped: this machine has a GPU"
    exit 77
fi
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }

# refused WORDS DEVICE: training there is status 5 with WORDS in one line, and nothing is left behind
refused() {
    local words=$1 device=$2 status
    "$GHL" train "$SOURCE_DIR/recipes/quickstart.yaml" data.kind=synthetic train.device="$device" --run "$work/run" >"$work/out" 2>"$work/err"
    status=$?
    [ $status = 5 ] || fail "$device: status $status, not 5"
    head -1 "$work/err" | grep -q "^ghl: device cuda.*$words" || { fail "$device: no \"$words\" but:"; cat "$work/err"; }
    [ "$(wc -l <"$work/err")" = 2 ] || fail "$device: not one line and a hint"
    [ -e "$work/run/state" ] && fail "$device: a run was begun"
}

# doctor WORDS [VARIABLE=VALUE...]: its row "gpu" has WORDS
doctor() {
    local words=$1
    shift
    env "$@" "$GHL" doctor >"$work/out" 2>&1 || fail "doctor: status $?"
    grep -q "^[ !]* gpu .*$words" "$work/out" || { fail "doctor $*: no \"$words\" but:"; grep gpu "$work/out"; }
}

# cache FOLDER: the doctor that was just run names it
cache() {
    grep -q "^ *cache  *$1: " "$work/out" || { fail "doctor: no cache folder $1 but:"; grep cache "$work/out"; }
}

if [ ! -e "$BUILD_DIR/libghl_cuda.so" ]; then
    refused "its library cannot be loaded" cuda
    doctor "its library cannot be loaded"
else
    refused "no GPU found" cuda
    refused "no GPU found" cuda:7
    doctor "no NVIDIA driver" GHL_CUDNN_PATH=
    # cuDNN in the folder that is named, in a lib/ of it, in the Python that is in use, in the user's own
    pretended="$BUILD_DIR/tests/pretended"
    doctor "cuDNN 9.19.0 ($pretended/91900/libcudnn.so.9)" GHL_CUDNN_PATH="$pretended/91900" XDG_CACHE_HOME="$work/xdg"
    cache "$work/xdg/ghl"
    doctor "cuDNN 8.9.7 ($pretended/8907/libcudnn.so.9)" GHL_CUDNN_PATH="$pretended/8907" XDG_CACHE_HOME=relative HOME="$work/user"
    cache "$work/user/.cache/ghl"
    grep -A1 "^! *gpu " "$work/out" | grep -q "pip install --target FOLDER nvidia-cudnn-cu1[0-9] " || fail "doctor: no word of how to get cuDNN 9"
    for place in named/lib target/nvidia/cudnn/lib venv/lib/python3.11/site-packages/nvidia/cudnn/lib home/.local/lib/python3.12/site-packages/nvidia/cudnn/lib; do
        mkdir -p "$work/$place"
        cp "$pretended/91900/libcudnn.so.9" "$work/$place/"
    done
    doctor "($work/named/lib/libcudnn.so.9)" GHL_CUDNN_PATH="$work/named" VIRTUAL_ENV="$work/venv"
    doctor "($work/target/nvidia/cudnn/lib/libcudnn.so.9)" GHL_CUDNN_PATH="$work/target"
    doctor "($work/venv/lib/python3.11/site-packages/nvidia/cudnn/lib/libcudnn.so.9)" -u GHL_CUDNN_PATH -u XDG_CACHE_HOME -u HOME VIRTUAL_ENV="$work/venv"
    grep -q "^ *cache  *none: " "$work/out" || fail "doctor: a cache folder of nobody"
    doctor "($work/home/.local/lib/python3.12/site-packages/nvidia/cudnn/lib/libcudnn.so.9)" -u GHL_CUDNN_PATH -u VIRTUAL_ENV -u CONDA_PREFIX -u XDG_CACHE_HOME HOME="$work/home"
    cache "$work/home/.cache/ghl"
    # a plug-in of another version is refused before it is asked for anything
    mkdir "$work/other"
    cp "$pretended/91900/libcudnn.so.9" "$work/other/libghl_cuda.so"
    doctor "belongs to another version of ghl" LD_LIBRARY_PATH="$work/other"
    exported=$(nm -D --defined-only "$BUILD_DIR/libghl_cuda.so" 2>/dev/null | awk '{print $3}')
    [ -z "$exported" ] || [ "$exported" = ghl_device_plugin ] || fail "libghl_cuda.so exports: $exported"
fi
[ $failures = 0 ]
