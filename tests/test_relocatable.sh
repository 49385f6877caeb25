# SPDX-License-Identifier: Apache-2.0
#
# Installs the whole, and component gpu alone, moves both, and runs them where there is nothing but glibc (as root, in a folder that is made
# the root of all; else only by looking at what they load): no path of this build is left in them, the part for GPU machines is small, lacks
# oneDNN, and says so by name where that is asked for.
# ghl-test: no-sanitize
[ -n "$GHL" ] || { echo "skipped: no command is built"; exit 77; }
command -v readelf >/dev/null || { echo "skipped: no readelf"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
unset LD_LIBRARY_PATH GHL_CUDNN_PATH
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }

cat >"$work/r.yaml" <<'Y'
name: r
model: {kind: deephebb, channels: [4, 4, 4]}
data: {kind: synthetic, shape: [1, 16, 16], classes: 4, size: 16, test_size: 8}
train: {epochs: 1, batch: 8, threads: 1}
learn: {conv: {rule: ghl, lr: 1e-2}, linear: {rule: backprop, lr: 1e-2}}
Y

# A root with glibc, as ldd finds it for this shell, and nothing else.
root=$work/root
mkdir -p "$root/tmp"
cp "$work/r.yaml" "$root/tmp/"
for library in libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1; do
    path=$(ldconfig -p 2>/dev/null | sed -n "s|^.*$library.*x86-64.* => ||p" | head -1)
    [ -n "$path" ] && install -D "$path" "$root$path"
done
loader=$(readelf -l "$GHL" | sed -n 's/.*interpreter: \(.*\)]/\1/p')
install -D "$loader" "$root$loader"
bare=0
if chroot "$root" "$loader" --version >/dev/null 2>&1; then
    bare=1
    inside() { LD_ORIGIN_PATH=/$part/bin chroot "$root" "/$part/bin/ghl" "$@"; }
else
    echo "not root, or not on x86-64: run where other libraries are too"
    inside() { (cd "$root" && "$root/$part/bin/ghl" "$@"); }
fi

# run STATUS WORDS COMMAND...: its status, and words in what it says
run() {
    local status=$1 words=$2
    shift 2
    inside "$@" >"$work/out" 2>&1
    local got=$?
    [ $got = "$status" ] || { fail "$part, $*: status $got, not $status"; cat "$work/out"; }
    grep -q "$words" "$work/out" || { fail "$part, $*: no \"$words\" but:"; cat "$work/out"; }
}

# add COMPONENT FOLDER: installs that into a folder which is moved; no run path in it leads anywhere but to where it is
add() {
    mkdir -p "$work/installed"
    [ -d "$2" ] && rmdir "$work/installed" && mv "$2" "$work/installed"
    cmake --install "$BUILD_DIR" --component "$1" --prefix "$work/installed" --strip >"$work/log" 2>&1 || { tail -n 5 "$work/log"; fail "$1: cmake --install"; }
    mv "$work/installed" "$2"
    find "$2" -name '*.so*' -o -path '*/bin/ghl' | while read -r file; do
        readelf -d "$file" | grep -E 'R(UN)?PATH' | grep -vE '\[(\$ORIGIN[^:]*:?)+\]' | sed "s|^|$file: |"
    done >"$work/paths"
    [ -s "$work/paths" ] && { fail "$1: run paths:"; cat "$work/paths"; }
}

part=gpu
add gpu "$root/gpu"
run 0 '^ghl [0-9]' --version
run 0 'epoch' train tmp/r.yaml train.device=ref --run tmp/ref
if [ -e "$BUILD_DIR/libghl_cuda.so" ]; then
    run 5 'device cuda: no GPU found' train tmp/r.yaml train.device=cuda --run tmp/cuda
fi
if [ $bare = 1 ]; then
    run 5 'device cpu: oneDNN cannot be loaded: libdnnl' train tmp/r.yaml train.device=cpu --run tmp/none
    run 0 'device cpu .*cannot be used: .*libdnnl' doctor
fi
find "$root/gpu" -name '*dnnl*' | grep . && fail "gpu: oneDNN is in it"
kilobytes=$(du -sk "$root/gpu" | cut -f1)
echo "component gpu: $kilobytes KiB"
[ "$kilobytes" -lt 15360 ] || fail "component gpu has $kilobytes KiB, 15 MiB at most"

part=whole
mv "$root/gpu" "$root/whole"
add Unspecified "$root/whole"
run 0 '^ghl [0-9]' --version
run 0 'epoch' train tmp/r.yaml train.device=cpu --run tmp/cpu
[ $failures = 0 ]
