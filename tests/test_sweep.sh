#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# ghl sweep as a user meets it: a grid of small trainings, its table and files, stopped and continued to the same bytes, points that end
# in NaN, what is refused before anything is trained.
[ -n "$GHL" ] || { echo "skipped: no command is built"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'kill $(jobs -p) 2>/dev/null; wait; rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }

cat >t.yaml <<'Y'
name: t
model: {kind: mlp, hidden: [8]}
data: {kind: synthetic, shape: [1, 8, 8], classes: 4, size: 256, test_size: 40}
train: {epochs: 2, batch: 32, device: cpu, threads: 1}
learn: {linear: {rule: backprop, lr: 1e-2}}
Y
grid=(learn.linear.lr=1e-2,1e-1 train.batch=16,32)
# expect STATUS WORDS...: ghl sweep t.yaml WORDS; leaves out and err
expect() {
    local status=$1
    shift
    "$GHL" sweep t.yaml "$@" >out 2>err </dev/null
    local got=$?
    [ $got = "$status" ] || { fail "sweep $*: status $got, not $status"; cat err; }
}
# the runs of two sweeps have the same bytes
same() {
    local point file
    for point in "$1"/*/; do
        point=$(basename "$point")
        for file in metrics.csv state best.safetensors; do
            cmp "$1/$point/$file" "$2/$point/$file" || fail "$2/$point/$file is not that of $1"
        done
    done
}

# --- the undisturbed sweep: table and sweep.csv, best first; the runs are ordinary runs
expect 0 "${grid[@]}"
mv runs/t-sweep whole || exit 1
[ "$(ls -d whole/*/ | wc -l)" = 4 ] || fail "not four runs"
[ -d whole/learn.linear.lr=1e-2+train.batch=32 ] || fail "no folder with the point's values"
[ "$(wc -l <out)" = 6 ] || { fail "the table has not a head, four rows and a line"; cat out; }
[ "$(grep -c '^\* ' out)" = 1 ] && sed -n 2p out | grep -q '^\* ' || fail "the first row alone is the best"
tail -1 out | grep -qx "accuracy on 26 held-out training images; the test set was not looked at" || fail "what judged it is not said"
grep -q "26 of the 256 training images are held out" err || fail "the hold-out is not announced"
grep -q "^t: mlp, .* 230 training and 26 held-out images" err || fail "a run does not say what it is tested on"
grep -q "point 1 of 4: learn.linear.lr=1e-2 train.batch=16" err || fail "no progress line"
grep -q "point 4 of 4: learn.linear.lr=1e-1 train.batch=32  ETA of the sweep [0-9]" err || fail "no ETA"
head -1 whole/sweep.csv | grep -q '^learn.linear.lr,train.batch,best_top1,best_epoch,last_top1,train_loss,images_per_s,epochs,steps,status,folder$' ||
    fail "head of sweep.csv"
cut -d, -f3 whole/sweep.csv | tail -n +2 >best
sort -rn best | cmp -s - best && [ "$(wc -l <best)" = 4 ] || fail "sweep.csv is not sorted"
while IFS=, read -r _ _ best epoch last _ _ epochs _ status folder; do
    row=$(tail -1 "whole/$folder/metrics.csv")
    [ "$epochs" = 2 ] && [ "$status" = done ] || fail "$folder: $epochs epochs, $status"
    [ "$(printf '%.2f %.2f' "$(echo "$row" | cut -d, -f6)" "$(echo "$row" | cut -d, -f8)")" = "$last $best" ] || fail "$folder: other accuracies"
    [ "$(cut -d, -f6 "whole/$folder/metrics.csv" | sed -n $((epoch + 1))p | xargs printf '%.2f')" = "$best" ] || fail "$folder: epoch $epoch"
done < <(tail -n +2 whole/sweep.csv)
grep -q "holdout: 26$" whole/learn.linear.lr=1e-2+train.batch=16/recipe.yaml || fail "the run's recipe does not say its hold-out"

# --- again: nothing is trained, the table is the same
cp -rp whole again && cp out table
expect 0 "${grid[@]}" --run again
cmp out table || fail "the second table differs"
grep -q "epoch\|point 1" err && fail "the second call trains"
same whole again
[ again/learn.linear.lr=1e-2+train.batch=16/state -nt whole/sweep.csv ] && fail "the second call saves"
expect 0 "${grid[@]}" --run again --json
if command -v python3 >/dev/null; then
    python3 -c '
import json, sys
o = json.load(open("out"))
points = o["points"]
assert o["holdout"] == 26 and o["best"] == points[0]["folder"] and len(points) == 4
assert [p["best_top1"] for p in points] == sorted((p["best_top1"] for p in points), reverse=True)
assert all(set(p["values"]) == {"learn.linear.lr", "train.batch"} and p["status"] == "done" and p["epochs"] == 2 for p in points)' ||
        fail "--json"
fi

# --- stopped at and between points (30, 16, 30, 16 steps), killed by a signal, and continued: the same bytes
for steps in 1 30 40 91; do
    expect 75 "${grid[@]}" --run parts --stop-after $steps
    [ -s out ] && fail "a stopped sweep prints a table"
done
[ "$(wc -l <parts/sweep.csv)" = 4 ] || fail "sweep.csv of a stopped sweep has not the three rows that are over"
expect 0 "${grid[@]}" --run parts
same whole parts
grep -q "3 of 4 points of parts are done" err || fail "no word of the points that are done"
"$GHL" sweep t.yaml learn.linear.lr=1e-2,1e-1 train.epochs=1000000 --run signalled >out 2>err &
pid=$!
for _ in $(seq 500); do [ -s signalled/learn.linear.lr=1e-2/state ] && break; sleep 0.02; done
kill -TERM $pid
wait $pid
status=$?
[ $status = 75 ] || fail "SIGTERM: status $status, not 75"
grep -q "same command again" err || fail "SIGTERM: no word of how to go on"
"$GHL" sweep t.yaml "${grid[@]}" --run killed >out 2>err &
pid=$!
for _ in $(seq 500); do [ -e killed/learn.linear.lr=1e-2+train.batch=32/metrics.csv ] && break; sleep 0.01; done
kill -9 $pid 2>/dev/null
wait $pid 2>/dev/null
expect 0 "${grid[@]}" --run killed
same whole killed

# --- a larger grid adds its points; more epochs go on; another recipe is refused; --fresh starts over
expect 0 learn.linear.lr=1e-2,1e-1,3e-2 train.batch=16,32 --run again
[ "$(grep -c "^point . of 6" err)" = 2 ] || fail "an added value trains other points than its own"
same whole again
expect 2 "${grid[@]}" seed=3 --run again
grep -q "^ghl: again/.* is a run of another recipe: seed differs" err || fail "another recipe is not refused"
expect 0 "${grid[@]}" train.epochs=3 --run again
[ "$(wc -l <again/learn.linear.lr=1e-2+train.batch=16/metrics.csv)" = 4 ] || fail "more epochs do not go on"
for folder in again new; do
    expect 0 "${grid[@]}" --run $folder --fresh
    same whole $folder
done

# --- a point that ends in NaN is a row, the last one, and is not tried again
sed 's/rule: backprop/rule: backprop, weight_decay: 1e6/' t.yaml >n.yaml
for round in 1 2; do
    "$GHL" sweep n.yaml learn.linear.lr=1e6,1e-9 train.epochs=40 --run nan >out 2>err || { fail "NaN: status $?"; cat err; }
    sed -n 3p out | grep -q "^  1e6 .* nan$" || { fail "NaN: not the last row"; cat out; }
    sed -n 2p out | grep -q "^\* 1e-9 .* done$" || fail "NaN: the other point is not the best"
    [ $round = 1 ] && { grep -q "warning: learn.linear.lr=1e6: the point ends here" err || fail "NaN: no warning"; }
    [ $round = 2 ] && grep -q "^point" err && fail "NaN: tried again"
done

# --- brackets protect commas; the hold-out of a recipe stands
expect 0 'model.hidden=[4],[4,4]' data.holdout=40 train.epochs=1 --run lists
[ "$(ls -d lists/*/ | wc -l)" = 2 ] && ls lists | grep -q '^model.hidden=4,4-[0-9a-f]*$' || { fail "folders of lists"; ls lists; }
grep -q '^"\[4,4\]",' lists/sweep.csv || fail "a value with a comma is not quoted in sweep.csv"
tail -1 out | grep -q "on 40 held-out" || fail "the recipe's hold-out does not stand"

# --- refused, and nothing is trained
refused() {
    local word=$1
    shift
    expect 2 "$@" --run refused
    head -1 err | grep -q "^ghl: .*$word" || { fail "sweep $*: no \"ghl: ... $word\" but:"; cat err; }
    [ -s out ] && fail "sweep $*: an error on standard output"
    [ -e refused ] && fail "sweep $*: something was begun"
}
refused "nothing to sweep over"
refused "nothing to sweep over" learn.linear.lr=1e-2
refused "learn.linear.lr=1e-2,,3: value 2 is empty" learn.linear.lr=1e-2,,3
refused "learn.linear.lr=1e-2,: value 2 is empty" learn.linear.lr=1e-2,
refused "learn.linear.lr=abc" learn.linear.lr=1e-2,abc
refused "learn.linear.lr = -1" train.batch=16,32 learn.linear.lr=-1
refused "train has no key \"epoch\"" train.epoch=1,2
refused "learn.liner speaks of no layer" learn.liner.lr=1e-2,1e-1
refused "train.batch=64: the key is given twice" train.batch=16,32 train.batch=64
refused "train.batch=16 is given twice" train.batch=16,32,16
refused "without its other" 'model.hidden=[4],[4'
refused "more than 4096 points" "seed=$(seq -s, 100)" "train.batch=$(seq -s, 100)"
refused "data.holdout=0: a sweep is not judged on the test set" train.batch=16,32 data.holdout=0
refused "data.holdout=0: a sweep is not judged on the test set" data.holdout=26,0
refused "data.holdout differs" data.holdout=20,40
refused "stop-after" train.batch=16,32 --stop-after 0
mkdir held && : >held/lock
if command -v flock >/dev/null; then
    flock held/lock "$GHL" sweep t.yaml "${grid[@]}" --run held >out 2>err
    [ $? = 3 ] && grep -q "^ghl: .*held" err || { fail "two sweeps in one folder"; cat err; }
fi

[ $failures = 0 ] || { echo "$failures failures"; exit 1; }
echo "sweeps are as documented"
