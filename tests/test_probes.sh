#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A run with probes and one without have the same weights to the last bit; its figures are where they can be, repeat, and go on exactly
# after an interruption. ghl compare --probes shows their means, of a net of many layers too, and says where there are none.
# ghl-test: timeout=300 gpu
[ -n "$GHL" ] || { echo "skipped: no command is built"; exit 77; }
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
device=${GHL_DEVICE:-cpu}
cat >p.yaml <<Y
name: p
model: {kind: deephebb, width: 0.08}
data: {kind: synthetic, size: 200, test_size: 40, augment: crop_flip}
train: {epochs: 3, batch: 48, device: $device, threads: 2}
learn:
  conv1:  {rule: ghl, lr: 1e-2, weight_decay: 5e-2}
  conv2:  {rule: sign, lr: 1e-3, direction: ema_sign}
  conv3:  {rule: frozen}
  linear: {rule: backprop, lr: 5e-3}
optimiser: {kind: sgd, momentum: 0.9}
Y
train() { "$GHL" train p.yaml --run "$@" >out 2>&1; }
train plain || { cat out; exit 1; }
train probed train.probes=true || { cat out; exit 1; }
train parts train.probes=true --stop-after 7
[ $? = 75 ] || { cat out; exit 1; }
train parts train.probes=true || { cat out; exit 1; }
sed 's/^train:.*//; /^learn:/,$d' p.yaml >f.yaml
cat >>f.yaml <<'Y'
phases:
  - {name: features, root: pool3, train: {epochs: 2, batch: 48, threads: 2, probes: true}, learn: {conv: {rule: softhebb, lr: 1e-2}}}
  - {name: head, frozen_to: flatten, train: {epochs: 2, batch: 48, threads: 2, probes: true}, learn: {conv: {rule: frozen},
     linear: {rule: backprop, lr: 1e-2}}}
Y
"$GHL" train f.yaml --run phases >out 2>&1 || { cat out; exit 1; }
"$GHL" train f.yaml --run unprobed phases.0.train.probes=false phases.1.train.probes=false >out 2>&1 || { cat out; exit 1; }
train half train.probes=true train.dtype=bf16
half=$?
[ $half = 0 ] || [ $half = 5 ] || { cat out; exit 1; } # 5: no bf16 here
train seed2 train.probes=true seed=2 || { cat out; exit 1; }
deep='model={kind: mlp, hidden: [3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3]}'
sed "s/^model:.*/${deep/model=/model: }/; /^learn:/,\$d" p.yaml >d.yaml
echo 'learn: {linear: {rule: ghl, lr: 1e-2}}' >>d.yaml
"$GHL" train d.yaml --run deep train.probes=true >out 2>&1 || { cat out; exit 1; }
"$GHL" compare probed plain deep seed2 --probes --json --output shown >shown.json 2>out || { cat out; exit 1; }
"$GHL" compare phases --probes --output heads >heads.txt 2>out || { cat out; exit 1; }
"$GHL" compare plain --probes --output none >out 2>&1
[ $? = 3 ] && grep -q "^ghl: no run has figures of probes" out || { cat out; exit 1; }
cat >check.py <<'P'
import csv, json, struct, sys

def tensors(path):
    with open(path, "rb") as f:
        head = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    return {n: data[slice(*t["data_offsets"])] for n, t in head.items() if n != "__metadata__"}

def rows(run):
    with open(run + "/metrics.csv") as f:
        return list(csv.DictReader(f))

for name in ("last", "best"):
    a, b = (tensors(f"{run}/{name}.safetensors") for run in ("plain", "probed"))
    assert a == b and len(a) > 5, name
plain, probed = rows("plain"), rows("probed")
assert [{k: r[k] for k in plain[0]} for r in probed] == plain and list(probed[0])[:9] == list(plain[0])
assert open("probed/metrics.csv", "rb").read() == open("parts/metrics.csv", "rb").read()
for run in ["probed"] + ["half"] * (sys.argv[1] == "0"):
    for r in rows(run):
        value = lambda figure, weight: float(r[f"{figure}/{weight}.weight"] or "nan")
        bins = [value(h, "conv1") for h in ("h_below_1e-3", "h_to_1e-2", "h_to_1e-1", "h_to_1")]
        assert abs(sum(bins) - 1) < 1e-5 and 0 < value("step", "conv1") < 1, (run, bins)
        assert 0 < value("sign_agreement", "conv1") < 1 and 0 < value("cosine", "conv1") < 1
        for weight, neurons in (("conv1", 8), ("conv2", 31), ("conv3", 123), ("classifier", 10)):
            assert 1 / neurons <= value("win_most", weight) <= 1 and 0 <= value("dead", weight) < 1, (run, weight)
            assert 0 < value("norm", weight) <= value("norm_most", weight)
        assert r["sign_agreement/conv2.weight"] == r["h_to_1/conv2.weight"] == r["step/conv3.weight"] == "", r
        assert abs(value("step", "conv2") - 1) < 1e-3 and value("cosine", "conv2") > 0
        assert abs(value("cosine", "classifier") - 1) < 1e-6 # its update is the gradient
a, b = (tensors(f"{run}/last.safetensors") for run in ("phases", "unprobed"))
assert a == b
features, head = rows("phases")[0], rows("phases")[-1]
assert features["phase"] == "features" and features["cosine/conv1.weight"] == "" and float(features["h_to_1/conv1.weight"]) > 0, features
assert head["phase"] == "head" and head["step/conv1.weight"] == "" and abs(float(head["cosine/classifier.weight"]) - 1) < 1e-6, head
norms = {r["norm/conv3.weight"] for r in probed}
assert len(norms) == 1, norms
with open("shown/compare-probes.csv") as f:
    shown = list(csv.DictReader(f))
with open("shown.json") as f:
    assert len(json.load(f)) == len(shown)
figures = list(shown[0])[2:]
for run, folders in (("probed", ["probed", "seed2"]), ("deep", ["deep"])):
    read = [r for folder in folders for r in rows(folder)]
    layers = dict.fromkeys(c.split("/")[1] for c in read[0] if "/" in c)
    assert [r["layer"] for r in shown if r["run"] == run] == list(layers), (run, shown)
    for layer in layers:
        (row,) = [r for r in shown if (r["run"], r["layer"]) == (run, layer)]
        for figure in figures:
            values = [float(r[f"{figure}/{layer}"]) for r in read if r[f"{figure}/{layer}"]]
            mean = f"{sum(values) / len(values):.3g}" if values else ""
            assert row[figure] == mean or abs(float(row[figure]) - float(mean)) <= 2e-2 * abs(float(mean)), (run, layer, figure, row, mean)
assert {r["run"] for r in shown} == {"probed", "deep"} and len(layers) == 28 and len(rows("deep")[0]) > 256
P
python3 check.py $half && echo "probes look and do not touch"
