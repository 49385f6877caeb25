#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ghl-test: timeout=300
#
# Exact resume as a user meets it: a run that is killed, stopped or told to stop, and started again by the same command, ends in the same
# bytes as one that never was. A save that fails does not stop a training.
[ -n "$GHL" ] || { echo "skipped: no command is built"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'kill $(jobs -p) 2>/dev/null; wait; rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }

cat >r.yaml <<'Y'
name: r
model: {kind: deephebb, channels: [8, 8, 16]}
data: {kind: synthetic, shape: [1, 16, 16], classes: 4, size: 1000, test_size: 50, augment: crop_flip}
train: {epochs: 3, batch: 16, device: cpu, threads: 1, save_every: 7, log_every: 10}
learn: {conv: {rule: ghl, direction: ema_sign, lr: 1e-2}, linear: {rule: backprop, lr: 1e-2}}
optimiser: {kind: sgd, momentum: 0.9}
schedule: {kind: cosine}
Y
run() { local folder=$1; shift; "$GHL" train r.yaml "$@" --run "$folder" >out 2>err; }
same() {
    for file in state last.safetensors best.safetensors metrics.csv; do
        cmp "$1/$file" "$2/$file" || fail "$2: $file is not that of $1"
    done
    [ "$(grep -c . "$1/log.jsonl")" = "$(grep -c . "$2/log.jsonl")" ] || fail "$2: log.jsonl has other rows"
}
milliseconds() { echo $(($(date +%s%N) / 1000000)); }

begin=$(milliseconds)
run whole || { cat err; fail "the undisturbed run"; exit 1; }
length=$(($(milliseconds) - begin))
[ "$(wc -l <whole/metrics.csv)" = 4 ] || fail "metrics.csv has $(wc -l <whole/metrics.csv) lines, not 4"

# --- SIGKILL at twenty random moments; a run that ends in between is compared, and another is begun
RANDOM=$$
kills=0 number=0
while [ $kills -lt 20 ] && [ $number -lt 60 ]; do
    folder=killed$number
    "$GHL" train r.yaml --run $folder >out 2>err &
    pid=$!
    sleep "$(printf '0.%03d' $((RANDOM % (length > 900 ? 900 : length))))"
    if kill -9 $pid 2>/dev/null; then kills=$((kills + 1)); fi
    wait $pid 2>/dev/null
    status=$?
    [ $status = 137 ] || [ $status = 0 ] || { fail "a run after a kill ends with $status"; cat err; break; }
    if [ $status = 0 ]; then
        same whole $folder
        number=$((number + 1))
    fi
done
[ $kills -ge 20 ] || fail "only $kills kills"
run killed$number || { cat err; fail "the run after the last kill"; }
same whole killed$number

# --- the same with two threads, killed once in the middle of an epoch
run whole2 train.threads=2 && run cut2 train.threads=2 --stop-after 90
status=$?
[ $status = 75 ] || { fail "--stop-after with two threads ends with $status"; cat err; }
run cut2 train.threads=2 || fail "two threads, continued"
same whole2 cut2

# --- in bf16, where the processor has it, and with calls that run again in the backward pass, which changes nothing
if "$GHL" plan r.yaml train.dtype=bf16 >out 2>err; then
    run whole16 train.dtype=bf16 && run cut16 train.dtype=bf16 --stop-after 90
    [ $? = 75 ] || fail "--stop-after in bf16"
    run cut16 train.dtype=bf16 || fail "bf16, continued"
    same whole16 cut16
    run saving16 train.dtype=bf16 --stop-after 90
    run saving16 train.dtype=bf16 train.recompute=auto || fail "bf16, continued in less memory"
    cmp whole16/metrics.csv saving16/metrics.csv || fail "bf16 in less memory: other figures"
    cmp -s whole/last.safetensors whole16/last.safetensors && fail "bf16 is f32"
else
    [ $? = 5 ] || fail "bf16 is refused with status $?, not 5"
fi

# --- a large linear layer, whose gradient is never stored, and whose copies in bf16 are written beside it
sed -e "s/^model:.*/model: {kind: mlp, hidden: [64, 4352]}/" -e "s/epochs: 3/epochs: 1/" \
    -e "s/^learn:.*/learn: {linear: {rule: backprop, lr: 1e-2}}/" r.yaml >large.yaml
for dtype in f32 bf16; do
    "$GHL" plan large.yaml train.dtype=$dtype >out 2>err || continue # refused above
    grep -q sgd_product out || fail "$dtype: the plan shows no sgd_product"
    large() { "$GHL" train large.yaml train.dtype=$dtype --run "$@" >out 2>err; }
    large whole_large_$dtype && large cut_large_$dtype --stop-after 30
    [ $? = 75 ] || fail "--stop-after, a large layer in $dtype"
    large cut_large_$dtype || fail "a large layer in $dtype, continued"
    same whole_large_$dtype cut_large_$dtype
done
grep -q '"kernels"' whole/env.json || fail "env.json does not say which kernels ran"

# --- SIGTERM and SIGINT: status 75, soon, and saved
for signal in TERM INT; do
    "$GHL" train r.yaml --run stopped$signal >out 2>err &
    pid=$!
    for _ in $(seq 200); do [ -s stopped$signal/state ] && break; sleep 0.02; done
    kill -$signal $pid 2>/dev/null
    wait $pid
    status=$?
    [ $status = 75 ] || [ $status = 0 ] || fail "SIG$signal: status $status, not 75"
    [ $status = 75 ] && ! grep -q "same command again" err && fail "SIG$signal: no word of how to go on"
    run stopped$signal || fail "SIG$signal: continued"
    same whole stopped$signal
done

# --- --stop-after, in the first step, at and around the end of an epoch (63 steps), and past the end
for steps in 1 62 63 64 189 500; do
    run after$steps --stop-after $steps
    status=$?
    [ $steps -lt 189 ] && { [ $status = 75 ] || fail "--stop-after $steps: status $status, not 75"; }
    [ $steps -ge 189 ] && { [ $status = 0 ] || fail "--stop-after $steps: status $status, not 0"; }
    run after$steps || fail "--stop-after $steps: continued"
    same whole after$steps
done

# --- a finished run says so, and changes nothing
cp -r whole finished
run finished || fail "a finished run, again"
grep -q "finished" err || fail "a finished run does not say so"
same whole finished

# --- two runs in one folder
"$GHL" train r.yaml train.epochs=100000 schedule.kind=constant --run locked >out_a 2>err_a &
pid=$!
for _ in $(seq 200); do [ -s locked/state ] && break; sleep 0.02; done
run locked train.epochs=100000 schedule.kind=constant
[ $? = 3 ] || fail "a second run in a folder is not refused with status 3"
grep -q "locked" err || fail "a second run: the message does not name the folder"

# --- saves that fail: the folder is away for a while. Training goes on; when it is back, so are the saves
mv locked away
for _ in $(seq 400); do grep -q "not saved" err_a && break; sleep 0.02; done
grep -q "not saved" err_a || fail "a save that fails is not told"
kill -0 $pid 2>/dev/null || fail "a save that fails ends the training"
cp away/state state_before
mv away locked
for _ in $(seq 400); do grep -q "saved again" err_a && break; sleep 0.02; done
grep -q "saved again" err_a || fail "a folder that is back is not saved to"
cmp -s locked/state state_before && fail "the state is still the old one"
kill -TERM $pid
wait $pid
[ $? = 75 ] || fail "SIGTERM after a save that failed"
# --- the last save fails: status 3, the previous state as it was, and the run goes on from it
"$GHL" train r.yaml --run gone >out_a 2>err_a &
pid=$!
for _ in $(seq 400); do [ -s gone/state ] && break; sleep 0.005; done
mv gone moved
cp moved/state state_before
wait $pid
status=$?
if grep -q "not saved" err_a; then
    [ $status = 3 ] || fail "the last save failed: status $status, not 3"
    cmp moved/state state_before || fail "a failed save changed the previous state"
fi
run moved || fail "continuing after saves that failed"
same whole moved

[ $failures = 0 ] || { echo "$failures failures"; exit 1; }
echo "$kills kills, $((number + 1)) runs compared"
