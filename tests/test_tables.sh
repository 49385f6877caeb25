#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# ghl reproduce and ghl compare as a user meets them: a table of small trainings from a file, its figures checked against the runs' own
# rows, stopped and continued to the same bytes, shortened, with data missing, and what is refused; then runs side by side.
# ghl-test: timeout=300
[ -n "$GHL" ] || { echo "skipped: no command is built"; exit 77; }
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }

mkdir -p recipes/tables
recipe() { # NAME RATE
    cat >"recipes/$1.yaml" <<Y
name: $1
seed: 4
model: {kind: mlp, hidden: [8]}
data: {kind: synthetic, shape: [1, 8, 8], classes: 4, size: 256, test_size: 40}
train: {epochs: 4, batch: 32, device: cpu, threads: 1}
learn: {linear: {rule: backprop, lr: $2}}
Y
}
recipe t-slow 1e-3
recipe fast 1e-1
cat >recipes/tables/t.yaml <<'Y'
title: "A table | of < two"
source: nobody
axis: depth
rows:
  - {row: slow, network: Net, method: A, data: Noise, paper: 50, chart: rates, line: A one, at: 1}
  - {row: fast, network: Net, method: A, data: Noise, paper: 90.5, recipe: fast, chart: rates, line: A one, at: 2}
  - {row: wide, network: Net, method: B, data: Noise, recipe: fast, settings: "model.hidden=[8, 8] train.batch=64", chart: rates, line: B one, at: 1}
  - {row: cited, network: Net, method: C, data: Noise, paper: 12.25, note: "cited, from a curve"}
Y
# expect STATUS WORDS...: ghl WORDS; leaves out and err
expect() {
    local status=$1
    shift
    "$GHL" "$@" >out 2>err </dev/null
    local got=$?
    [ $got = "$status" ] || { fail "$*: status $got, not $status"; cat err; }
}
says() { grep -q -- "$2" "$1" || { fail "no \"$2\" in $1:"; cat "$1"; }; }
# the runs of two folders have the same bytes
same() {
    local run file
    for run in "$1"/*/; do
        run=$(basename "$run")
        for file in metrics.csv state best.safetensors; do
            cmp "$1/$run/$file" "$2/$run/$file" || fail "$2/$run/$file is not that of $1"
        done
    done
}

# --- the list, the undisturbed table, its files
expect 0 reproduce
says out "^  t/slow *50.00  recipes/t-slow.yaml$"
says out "^  t/cited *12.25  not built$"
[ -e runs ] && fail "listing makes folders"
expect 0 reproduce t --seeds 2
mv runs/reproduce whole || exit 1
[ "$(ls -d whole/*/ | wc -l)" = 6 ] && [ -d whole/t-slow+seed=4 ] && [ -d whole/fast+seed=5 ] || { fail "folders"; ls whole; }
says err "^run 1 of 6: t-slow seed=4$"
says err "^run 6 of 6: fast model.hidden=\[8, 8\] train.batch=64 seed=5  ETA of the table [0-9]"
says out "^  cited  *12.25 .*  not built$"
says out "^  slow .*  preliminary$"
says out "preliminary: all of 3 with results have n < 5"
says out "^paper: nobody; difference: best - paper$"
says out "^cited: cited, from a curve$"
cat >check.py <<'Y'
import csv, glob, os, re, statistics, sys, xml.dom.minidom
folder, name, runs = sys.argv[1:4]
rows = {r["row"]: r for r in csv.DictReader(open(f"{folder}/{name}.csv"))}
assert list(rows) == ["slow", "fast", "wide", "cited"], rows
for row, pattern in (("slow", "t-slow+seed=*"), ("fast", "fast+seed=*"), ("wide", "fast+model*")):
    last, best = [], []
    for run in sorted(glob.glob(f"{folder}/{pattern}")):
        top1 = [float(r["test_top1"]) for r in csv.DictReader(open(run + "/metrics.csv"))]
        last.append(top1[-1])
        best.append(max(top1))
    r = rows[row]
    assert r["n"] == runs == str(len(last)), (row, r, last)
    for key, values in (("last", last), ("best", best)):
        assert abs(float(r[key]) - statistics.mean(values)) < 0.006, (row, key, r, values)
        assert abs(float(r[key + "_sd"]) - statistics.stdev(values)) < 0.006, (row, key, r, values)
    assert not float(r["paper"] or 0) or abs(float(r["difference"]) - statistics.mean(best) + float(r["paper"])) < 0.011, r
    assert r["epochs"] == "4" and float(r["images_per_s"]) > 0, r
assert rows["cited"]["status"] == "not built" and rows["cited"]["n"] == "0" and rows["cited"]["last"] == ""
page = open(f"{folder}/{name}.html").read()
assert "<caption>A table | of &lt; two</caption>" in page and page.count("<svg") == 3 and page.count("<tr>") == 5
for chart in ("rates", "accuracy", "loss"):
    text = open(f"{folder}/{name}-{chart}.svg").read()
    xml.dom.minidom.parseString(text)
    assert text in page
assert ">depth</text>" in page and ">B one</text>" in page
lines = re.findall(r'stroke="(#\w+)" stroke-width="1.8" stroke-dasharray="([\d ]*)"', open(f"{folder}/{name}-rates.svg").read())
assert lines == [("#0072B2", ""), ("#0072B2", "7 3")], lines # of method A and B
markdown = open(f"{folder}/{name}.md").read()
assert re.search(r"^\| slow \| Net \| A \| Noise \| 50.00 \|", markdown, re.M) and "\n|---|---|---|---|--:|" in markdown
Y
python3 check.py whole t 2 || fail "the table's figures"

# --- again: nothing is trained, the table is the same; one more seed is one more run each; --show trains nothing
cp -rp whole again && cp out table
expect 0 reproduce t --run again
cmp out table || fail "the second table differs"
grep -q "^epoch\|^run" err && fail "the second call trains"
expect 0 reproduce t --run again --seeds 3
[ "$(grep -c "^run" err)" = 3 ] || fail "a third seed trains other runs than its own"
python3 check.py again t 3 || fail "the figures of three seeds"
expect 0 reproduce t --run nothing --show
says out "^  slow .*  not run$"
[ "$(ls nothing | wc -l)" = 3 ] || { fail "--show leaves more than the table's files"; ls nothing; }
expect 0 reproduce t --run again --show --json
python3 -c 'import json; r = json.load(open("out")); assert r[0]["n"] == 3 and r[3]["last"] is None and r[1]["row"] == "fast", r' || fail "--json"

# --- stopped within and between runs, and continued: the same bytes
for steps in 1 32 40 100; do
    expect 75 reproduce t --seeds 2 --run parts --stop-after $steps
    [ -s out ] && fail "a stopped table is printed"
done
expect 0 reproduce t --run parts --show
says out "^  wide .*  under way$\|^  fast .*  preliminary$"
expect 0 reproduce t --seeds 2 --run parts
same whole parts

# --- one row; shortened schedules, other settings: apart from the rest, and said
expect 0 reproduce t/f* --run one
[ "$(ls -d one/*/)" = "one/fast+seed=4/" ] || fail "t/f* trains other rows"
says out "^  slow .*  not run$"
expect 0 reproduce t/slow --run one --epochs-scale 0.5 train.batch=64
says out "^shortened: --epochs-scale 0.5 "
says out "^changed in every recipe: train.batch=64$"
[ "$(wc -l <one/t-slow+train.batch=64+train.epochs=2+seed=4/metrics.csv)" = 3 ] || fail "not two epochs"
[ -e one/t+train.batch=64+epochs-scale=0.5.html ] || { fail "the shortened table's files"; ls one; }

# --- phases are shortened one by one, and are trained as one run
cat >recipes/w-parts.yaml <<'Y'
name: w-parts
seed: 4
model: {kind: mlp, hidden: [8]}
data: {kind: synthetic, shape: [1, 8, 8], classes: 4, size: 256, test_size: 40}
phases:
  - {name: one, train: {epochs: 4, batch: 32, threads: 1}, learn: {linear: {rule: backprop, lr: 1e-2}}}
  - {name: two, train: {epochs: 2, batch: 32, threads: 1}, learn: {linear: {rule: backprop, lr: 1e-2}}}
Y
printf 'title: W\nsource: us\nrows:\n  - {row: parts}\n' >recipes/tables/w.yaml
expect 0 reproduce w --epochs-scale 0.3 --run phased
says out "^  parts .* 2 .*  preliminary$"
[ "$(cut -d, -f10 phased/w-parts+phases.0*/metrics.csv | tr '\n' ' ')" = "phase one two " ] || fail "not one epoch a phase"
rm recipes/tables/w.yaml recipes/w-parts.yaml

# --- heads on each layer: a run for three rows, a phase each, the best of them; compare shows every head
cat >recipes/h-heads.yaml <<'Y'
name: h-heads
seed: 4
model: {kind: mlp, hidden: [16, 8]}
data: {kind: synthetic, shape: [1, 8, 8], classes: 4, size: 256, test_size: 80}
train: {epochs: 3, batch: 32, threads: 1, log_every: 4}
learn: {linear: {rule: backprop, lr: 1e-1}}
phases:
  - {name: features, root: fc2, train: {epochs: 2}, learn: {linear: {rule: oja, lr: 1e-3}, norm: {rule: frozen, statistics: batch}}}
  - {name: head1, model: {hidden: [16]}, frozen_to: relu1}
  - {name: head2, frozen_to: relu2}
Y
cat >recipes/tables/h.yaml <<'Y'
title: Heads
source: us
rows:
  - {row: heads, paper: 90, phase: head2}
  - {row: first, recipe: h-heads, phase: head1}
  - {row: best, recipe: h-heads, phase: "head*"}
  - {row: whole, recipe: h-heads}
Y
expect 0 reproduce h --run heads --seeds 2
[ "$(grep -c "^run " err)" = 2 ] && [ "$(ls -d heads/*/ | wc -l)" = 2 ] || { fail "four rows are not two runs"; ls heads; }
cat >heads.py <<'Y'
import csv, glob
rows = {r["row"]: r for r in csv.DictReader(open("heads/h.csv"))}
runs = [list(csv.DictReader(open(run + "/metrics.csv"))) for run in sorted(glob.glob("heads/h-heads+seed=*"))]
heads = [[[float(r["test_top1"]) for r in run if r["phase"] == head] for head in ("head1", "head2")] for run in runs]
assert all(len(h) == 3 for run in heads for h in run)
mean = lambda values: sum(values) / len(values)
wanted = {"first": [run[0] for run in heads], "heads": [run[1] for run in heads],
          "best": [max(run, key=max) if max(run[0]) != max(run[1]) else run[0] for run in heads]}
for row, runs in wanted.items():
    r = rows[row]
    assert abs(float(r["best"]) - mean([max(h) for h in runs])) < 0.006 and abs(float(r["last"]) - mean([h[-1] for h in runs])) < 0.006, r
    assert abs(float(r["epoch"]) - mean([h.index(max(h)) + 1 for h in runs])) < 0.06 and r["epochs"] == "3" and r["n"] == "2", r
    assert float(r["images_per_s"]) > 0 and r["status"] == "preliminary", r
assert rows["first"]["phase"] == "head1" and rows["heads"]["phase"] == "head2" and rows["whole"]["phase"] == "", rows
assert set(rows["best"]["phase"].split()) <= {"head1", "head2"} and rows["best"]["phase"], rows
assert rows["whole"]["epochs"] == "8" and float(rows["whole"]["best"]) == float(rows["best"]["best"]), rows
assert len({r["hours"] for r in rows.values()}) == 1
Y
python3 heads.py || { fail "the heads' figures"; cat heads/h.csv; }
says out "^phase: the row is of that phase of its run"
grep -q ">head1</text>\|>first</text>" heads/h.html || fail "no curve of a head"
expect 0 reproduce h/best --run chosen
[ "$(ls -d chosen/*/)" = "chosen/h-heads+seed=4/" ] || fail "a row that shares its run is not trained alone"
expect 0 compare heads/h-heads+seed=4 heads/h-heads+seed=5
says out "^  h-heads+seed=4 head1 .*  2$"
says out "^  h-heads+seed=4 head2 .*  2$"
[ "$(grep -c "^  h-heads" out)" = 2 ] || fail "compare shows other rows than the heads"
sed -i 's/phase: head1/phase: head9/' recipes/tables/h.yaml
expect 2 reproduce h --run heads
says err "row first of h: recipes/h-heads.yaml has no phase \"head9\""
# a key that is newer than the run
sed -i 's/phase: head9/phase: head1/' recipes/tables/h.yaml
sed -i '/^ *dropout:/d' heads/h-heads+seed=4/recipe.yaml
expect 0 reproduce h --run heads --show
rm recipes/tables/h.yaml recipes/h-heads.yaml

# --- NaN is a row; a changed recipe is refused; --fresh starts over
sed 's/rule: backprop, lr: 1e-1/rule: backprop, lr: 1e6, weight_decay: 1e6/' recipes/fast.yaml >f.yaml && mv f.yaml recipes/fast.yaml
expect 2 reproduce t --run again
says err "^ghl: .*fast+seed=4 is a run of another recipe: learn.linear.lr, learn.linear.weight_decay, learn.norm.lr differ"
expect 0 reproduce t/fast --run one --fresh
says out "^  fast .*  nan$"
recipe fast 1e-1

# --- data: found in --data, or missing, with what to get
sed 's/{kind: synthetic.*}/{kind: cifar10, path: data\/cifar-10-batches-bin, limit: 64}/' recipes/fast.yaml >recipes/real.yaml
sed -i 's/name: fast/name: real/' recipes/real.yaml
printf 'title: U\nsource: us\nrows:\n  - {row: slow, recipe: t-slow}\n  - {row: real, recipe: real}\n' >recipes/tables/u.yaml
expect 0 reproduce u
says err "^ghl: warning: rows on cifar10 are not run: .*data/cifar-10-batches-bin.*CIFAR-10 binary version.*data_batch_1.bin"
says out "^  real .*  no data$"
says out "^  slow .*  preliminary$"
expect 3 reproduce u/real
says err "^ghl: no data folder data/cifar-10-batches-bin"
mkdir -p elsewhere/cifar-10-batches-bin
python3 -c '
for name in ["data_batch_%d.bin" % i for i in range(1, 6)] + ["test_batch.bin"]:
    with open("elsewhere/cifar-10-batches-bin/" + name, "wb") as f:
        for i in range(20):
            f.write(bytes([i % 10]) + bytes(3072))'
for data in elsewhere elsewhere/cifar-10-batches-bin; do
    expect 0 reproduce u/real --data $data --run "found in ${data//\//-}"
    says out "^  real .*  preliminary$"
    says err "cifar-10-batches-bin has 100 of the 50000 training images of cifar10$"
done
# A finished run is shown wherever its data lie, or none; one that goes on needs the images it was begun with.
cp -r elsewhere beyond
expect 0 reproduce u/real --data beyond --run "found in elsewhere"
says out "^  real .*  preliminary$"
expect 0 reproduce u/real --data nowhere --run "found in elsewhere" --show
says out "^  real .*  preliminary$"
expect 75 reproduce u/real --data elsewhere --run half --stop-after 1
printf '\001' | dd of=beyond/cifar-10-batches-bin/data_batch_1.bin bs=1 seek=3000 conv=notrunc status=none
expect 3 reproduce u/real --data beyond --run half
says err "the images of \"beyond/cifar-10-batches-bin\" are not those that half/real+seed=4 was begun with"
expect 0 reproduce u/real --data elsewhere --run half
rm -r beyond
rm elsewhere/cifar-10-batches-bin/test_batch.bin
expect 3 reproduce u/real --data elsewhere --run missing
says err "elsewhere/cifar-10-batches-bin/test_batch.bin: No such file"

# --- refused, and nothing is trained
refused() {
    local word=$1
    shift
    expect 2 reproduce "$@" --run refused
    head -1 err | grep -q -- "^ghl: .*$word" || { fail "reproduce $*: no \"ghl: ... $word\" but:"; cat err; }
    [ -s out ] && fail "reproduce $*: an error on standard output"
    [ -e refused ] && fail "reproduce $*: something was begun"
}
refused "there is no table \"v\": there are t, u" v
refused "there is no table" ../t
refused "t has no row \"x\": there are slow, fast, wide, cited" t/x
refused "row slow of t: .*train has no key \"epoch\"" t train.epoch=2
refused "not a setting" t learn
refused "--seeds: \"0\" is not a number of seeds" t --seeds 0
refused "--epochs-scale: \"-1\"" t --epochs-scale=-1
refused "no tables in none/tables" t --recipes none
broken() {
    printf "%s\n" "$2" >recipes/tables/broken.yaml
    refused "$1" broken
}
broken "broken.yaml:1:1: a table needs a list of rows" "title: x"
broken "broken.yaml:2:14: .*papre" "$(printf 'rows:\n  - {row: a, papre: 2}')"
broken "two rows are called \"a\"" "$(printf 'rows:\n  - {row: a}\n  - {row: a}')"
broken "a row needs a name" "$(printf 'rows:\n  - {paper: 2}')"
rm recipes/tables/broken.yaml

python3 -c '
print("rows:")
for i in range(70):
    print("  - {row: a-row-of-a-long-table-%d}" % i)' >recipes/tables/long.yaml
refused "long has no row \"x\": there are a-row-of-a-long-table-0, .*, a-row-of-a-long-table-69$" long/x
rm recipes/tables/long.yaml

# --- compare: seeds are one row, what differs stands below
expect 0 compare whole/t-slow+seed=4 whole/fast+seed=4 whole/t-slow+seed=5
says out "^  t-slow+seed=4 .*  2$"
says out "^  fast+seed=4 .*  1$"
says out "^  learn.linear.lr  *0.001  *0.1$"
grep -q "^  seed\|^  name" out && fail "seed or name among the settings that differ"
says err "curves are in runs/compare/compare.html"
grep -q "fast+seed=4</text>" runs/compare/compare.html || fail "no curve of a run"
[ -s runs/compare/compare.csv ] && [ -s runs/compare/compare.md ] && [ -s runs/compare/compare-loss.svg ] || fail "files of compare"
expect 0 compare whole/t-slow+seed=4 --output o --json
python3 -c 'import json; assert json.load(open("out"))[0]["n"] == 1' || fail "compare --json"
expect 3 compare recipes
says err "^ghl: recipes is no run: no recipe.yaml"
expect 2 compare whole/fast+seed=4 whole/fast+seed=4
expect 2 compare

# --- the tree's own tables: every row's recipe and settings read, and every recipe of a table is a row of one
cd "$SOURCE_DIR" || exit 1
"$GHL" reproduce >"$work/out" || fail "the tree's tables"
for file in recipes/table*.yaml; do
    grep -q " $file$" "$work/out" || fail "$file is in no table"
done
while read -r row paper file; do # a recipe says which number was published for it, and where its rates are from
    case "$file" in recipes/*) ;; *) continue ;; esac
    grep "^#" "$file" >"$work/head"
    grep -q "ublished\|released demo\|chosen on a hold-out\|docs/results.md" "$work/head" || fail "$file does not say where its rates are from"
    [ "$paper" = - ] || grep -q "[ (]${paper%0} %\|[ (]$paper %" "$work/head" || fail "$row: $file does not say $paper %"
done <"$work/out"
for file in recipes/tables/*.yaml; do
    "$GHL" reproduce "$(basename "$file" .yaml)" --show --run "$work/shown" >"$work/out" 2>"$work/err" || { cat "$work/err"; fail "$file"; }
done

[ $failures = 0 ] || { echo "$failures failures"; exit 1; }
echo "tables are as documented"
