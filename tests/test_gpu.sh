#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The GPU part of the suite: device cuda on a machine that has a GPU, from self-test to resuming on another device. Skipped where there is
# none; there CTest runs the same on an emulated one (test_gpu.sh_emulated). It needs the command, and of a build the tests in C, if at all:
#
#     GHL=ghl/bin/ghl SOURCE_DIR=. BUILD_DIR=build bash tests/test_gpu.sh
# ghl-test: timeout=1800 serial gpu-emulated
[ -n "$GHL" ] || { echo "skipped: no command is built"; exit 77; }
if [ -z "$GHL_DEVICE" ] && ! nvidia-smi -L 2>/dev/null | grep -q . && ! [ -e /dev/nvidia0 ]; then
    echo "skipped: no GPU found"
    exit 77
fi
export GHL_DEVICE=cuda
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }

cat >s.yaml <<'Y'
name: s
model: {kind: deephebb, channels: [4, 6, 8]}
data: {kind: synthetic, shape: [1, 16, 16], classes: 4, size: 56, test_size: 10, augment: crop_flip}
train: {epochs: 2, batch: 8, device: cuda, threads: 1, save_every: 3, log_every: 2}
learn: {conv: {rule: ghl, direction: ema_sign, lr: 1e-2}, linear: {rule: backprop, lr: 1e-2}}
optimiser: {kind: sgd, momentum: 0.9}
schedule: {kind: cosine}
Y
cat >p.yaml <<'Y'
name: p
model: {kind: deephebb, channels: [4, 6, 8]}
data: {kind: synthetic, shape: [1, 16, 16], classes: 4, size: 24, test_size: 10}
train: {device: cuda, threads: 1, batch: 8}
phases:
  - {name: features, root: pool3, train: {epochs: 1, probes: true}, learn: {conv: {rule: softhebb, lr: 1e-2}}}
  - {name: head, frozen_to: flatten, train: {epochs: 2}, learn: {conv: {rule: frozen}, linear: {rule: backprop, lr: 1e-2}}}
Y

# train STATUS RECIPE RUN [WORDS]: trains, and must end with that status
train() {
    local expected=$1 recipe=$2 run=$3 status
    shift 3
    "$GHL" train "$recipe" --run "$run" "$@" >out 2>err
    status=$?
    [ $status = "$expected" ] || { fail "$recipe in $run, $*: status $status, not $expected"; cat err; }
}
same() {
    for file in state last.safetensors best.safetensors metrics.csv; do
        cmp "$1/$file" "$2/$file" || fail "$2: $file is not that of $1"
    done
}

"$GHL" doctor | grep -E -A1 '(device cuda|gpu) '

# --- every op, and a step by every rule, against ref; an op or rule that is lacking is a failed group
"$GHL" selftest --device cuda >out 2>&1 || { fail "selftest"; grep -v '^ok' out; }
tail -n 1 out

# --- memory and races, by NVIDIA's tool; the step that is a graph is the third
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)
if [ -n "$GHL_SLOW" ]; then # stands for the tool on the emulated GPU: runs what it is given
    printf '#!/bin/bash\nwhile [ "${1:0:2}" = -- ]; do shift; [ "${1:0:1}" = - ] || [ "${1:0:1}" = / ] || shift; done\nexec "$@"\n' >tool
    chmod +x tool
    sanitizer=./tool
fi
if [ -n "$sanitizer" ]; then
    for tool in memcheck racecheck; do
        "$sanitizer" --tool $tool --error-exitcode 9 "$GHL" train s.yaml train.epochs=1 data.size=32 --run "checked_$tool" >out 2>&1
        status=$?
        [ $status = 0 ] || { fail "compute-sanitizer --tool $tool: status $status"; tail -n 40 out; }
        [ -s "checked_$tool/last.safetensors" ] || fail "compute-sanitizer --tool $tool: nothing was trained"
    done
else
    echo "skipped: compute-sanitizer is not installed"
fi

# --- the same bytes again, after a stop, and after a kill in mid-epoch
for dtype in f32 bf16; do
    train 0 s.yaml whole_$dtype train.dtype=$dtype
    train 75 s.yaml cut_$dtype train.dtype=$dtype --stop-after 5
    train 0 s.yaml cut_$dtype train.dtype=$dtype
    same whole_$dtype cut_$dtype
done
"$GHL" train s.yaml train.dtype=bf16 --run killed >out 2>err &
pid=$!
for _ in $(seq 1000); do [ -s killed/state ] && break; sleep 0.01; done
kill -9 $pid 2>/dev/null && wait $pid 2>/dev/null
train 0 s.yaml killed train.dtype=bf16
same whole_bf16 killed

# --- a card that is lost in mid-run, and one that cannot capture: the emulated one does as it is told
if [ -n "$GHL_SLOW" ]; then
    EMULATED_LOST_AFTER=700 train 5 s.yaml lost train.dtype=bf16
    grep -q 'cudaErrorIllegalAddress' err || { fail "lost: not by its name but:"; cat err; }
    grep -q 'last save is intact' err || fail "lost: no word of the last save"
    [ -s lost/state ] || fail "lost: nothing was saved before"
    train 0 s.yaml lost train.dtype=bf16
    same whole_bf16 lost
    EMULATED_CAPTURE_FAILS=1 train 0 s.yaml plain train.dtype=bf16
    cmp whole_bf16/last.safetensors plain/last.safetensors || fail "plain launches have other bits than graphs"
    for file in err plain/log.jsonl; do
        [ "$(grep -c 'steps are no graph: cudaErrorStreamCaptureInvalidated' $file)" = 1 ] || fail "$file: that a capture failed is not said once"
    done
fi
train 0 p.yaml phases
train 75 p.yaml phases_cut --stop-after 5
train 0 p.yaml phases_cut
same phases phases_cut
head -n 1 phases/metrics.csv | grep -q , || fail "phases: no figures"

# --- begun on one device, continued on another: as near as sums in another order are, and said
near() {
    python3 - "$1" "$2" <<'P' || fail "$2 is not near $1"
import json, struct, sys

def values(run):
    with open(run + "/last.safetensors", "rb") as f:
        head = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    names = sorted(n for n, t in head.items() if n != "__metadata__" and t["dtype"] == "F32")
    blocks = [data[slice(*head[n]["data_offsets"])] for n in names]
    return {n: struct.unpack(f"<{len(b) // 4}f", b) for n, b in zip(names, blocks)}

a, b = values(sys.argv[1]), values(sys.argv[2])
assert a.keys() == b.keys() and len(a) > 5
for name in a:
    error = sum((x - y) ** 2 for x, y in zip(a[name], b[name])) ** 0.5 / (1e-3 + sum(x * x for x in a[name]) ** 0.5)
    assert error < 0.01, (name, error)
P
}
host=cpu
"$GHL" plan s.yaml train.device=cpu >/dev/null 2>&1 || host=ref # component gpu is without device cpu
train 0 s.yaml whole_host train.device=$host train.dtype=f32
train 75 s.yaml moved train.device=$host train.dtype=f32 --stop-after 4
train 75 s.yaml moved train.device=cuda train.dtype=f32 --stop-after 9
grep -q 'not to the last bit' err || fail "that the device is another is not said"
train 0 s.yaml moved train.device=$host train.dtype=f32
train 75 s.yaml moved_ref train.device=cuda train.dtype=f32 --stop-after 4
train 0 s.yaml moved_ref train.device=ref train.dtype=f32
if command -v python3 >/dev/null; then
    near whole_host moved
    near whole_host whole_f32
    near whole_host moved_ref
fi

# --- two processes on one card, which measure its plans at the same time, and write them to one file
for i in 1 2; do
    XDG_CACHE_HOME=$work/cache "$GHL" train s.yaml train.dtype=f32 --run both_$i >both_$i.out 2>&1 &
    pids[i]=$!
done
for i in 1 2; do
    wait "${pids[i]}" || { fail "two on one card: status $?"; cat both_$i.out; }
done
command -v python3 >/dev/null && near both_1 both_2 && near both_1 whole_f32
XDG_CACHE_HOME=$work/cache train 0 s.yaml both_again train.dtype=f32
grep -qa 'passed over' err both_again/* && fail "two on one card: a line of the plans' file is broken"

# --- its speed is measured against the card's own copies and products
"$GHL" bench s.yaml --profile --steps 3 >out 2>&1 || { fail "bench"; cat out; }
grep -q 'in cache, .* in memory' out || fail "bench: no copies of the card"

# --- what is refused, and what a card that is full says
refused() {
    local status=$1 words=$2
    shift 2
    train "$status" s.yaml refused "$@"
    grep -q "$words" err || { fail "$*: no \"$words\" but:"; cat err; }
}
refused 5 'device cuda:99 does not exist' train.device=cuda:99
[ -n "$GHL_SLOW" ] && refused 5 "of the device's own memory, and .* is what there is" data.shape=[1,256,256] data.size=56 model.channels=[64,4,4] train.batch=56

# --- the tests that wish it, on a card that is there
wish='ghl-test:.* gpu(-emulated)?( |$)'
for file in $(grep -lE "$wish" "$SOURCE_DIR"/tests/test_${GHL_SLOW:+optim}*); do # CTest runs the others itself on an emulated one
    name=$(basename "$file")
    case "$name" in
        test_gpu.sh) continue ;;
        *.c) command=("$BUILD_DIR/tests/${name%.c}") ;;
        *.py) command=(python3 "$file") ;;
        *) command=(bash "$file") ;;
    esac
    [ -x "${command[0]}" ] || command -v "${command[0]}" >/dev/null || { echo "skipped: $name is not built"; continue; }
    "${command[@]}" >log 2>&1
    status=$?
    case $status in
        0) echo "ok      $name" ;;
        77) echo "skipped $name" ;;
        *) fail "$name: status $status"; tail -n 20 log ;;
    esac
done
[ $failures = 0 ]
