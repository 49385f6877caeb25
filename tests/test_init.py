# SPDX-License-Identifier: Apache-2.0
"""`train.init=FILE`: what fits is loaded before the first step, and only then; what does not is named; files that cannot serve are refused.
ghl-test: timeout=300
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent / "oracle"))
import tensors  # noqa: E402

GHL = os.environ.get("GHL", "")
RECIPE = """name: tiny
model: {{kind: deephebb, channels: [3, 4, 5], norm: affine}}
data: {{kind: synthetic, shape: [1, 12, 12], classes: {classes}, size: 64}}
train: {{epochs: {epochs}, batch: 16}}
learn:
  conv: {{rule: {rule}, lr: 1e-2}}
  linear: {{rule: backprop, lr: 1e-2}}
  norm: {{rule: {norm}}}
"""


class Init(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="ghl init "))
        self.recipe("first.yaml")
        self.ghl("train", "first.yaml", "--run", "first", "seed=5")
        shutil.copy(self.folder / "first" / "last.safetensors", self.folder / "w.safetensors")
        self.weights = tensors.read(self.folder / "w.safetensors")[0]

    def tearDown(self):
        shutil.rmtree(self.folder)

    def recipe(self, name, classes=4, epochs=1, rule="ghl", norm="backprop", more=""):
        (self.folder / name).write_text(RECIPE.format(classes=classes, epochs=epochs, rule=rule, norm=norm) + more)

    def ghl(self, *words, status=0):
        done = subprocess.run([GHL, *words], cwd=self.folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, status, (words, done.stdout, done.stderr))
        return done

    def read(self, run):
        return tensors.read(self.folder / run / "last.safetensors")[0]

    def note(self, run):
        notes = [json.loads(line).get("note", "") for line in (self.folder / run / "log.jsonl").read_text().splitlines()]
        notes = [note for note in notes if note.startswith("train.init")]
        self.assertEqual(len(notes), 1, notes)
        return notes[0]

    def test_frozen_layers_keep_what_was_loaded(self):
        self.recipe("tuned.yaml", rule="frozen", norm="frozen")
        done = self.ghl("train", "tuned.yaml", "--run", "tuned", "train.init=w.safetensors")
        got = self.read("tuned")
        for name, value in self.weights.items():
            same = got[name].values == value.values
            self.assertEqual(same, name != "classifier.weight", name)
        count = len(self.weights)
        self.assertEqual(self.note("tuned"), f"train.init w.safetensors: {count} of {count} tensors loaded")
        self.assertIn(self.note("tuned"), done.stderr)
        self.assertIn("init: w.safetensors", (self.folder / "tuned" / "recipe.yaml").read_text())

    def test_all_layers_start_from_it(self):
        """With rates of 0 nothing moves but running statistics."""
        self.recipe("still.yaml")
        self.ghl("train", "still.yaml", "--run", "still", "train.init=w.safetensors", "learn.conv.lr=0", "learn.linear.lr=0")
        got = self.read("still")
        for name, value in self.weights.items():
            if "running" not in name and "tracked" not in name:
                self.assertEqual(got[name].values, value.values, name)

    def test_another_number_of_classes(self):
        self.recipe("other.yaml", classes=6, rule="frozen", norm="frozen")
        self.ghl("train", "other.yaml", "--run", "other", "train.init=w.safetensors")
        note = self.note("other")
        count = len(self.weights)
        self.assertIn(f"{count - 2} of {count} tensors loaded", note)
        self.assertIn("not in the file, so initialised: classifier.weight [6,5], classifier.bias [6];", note)
        self.assertTrue(note.endswith("not used of the file: classifier.bias [4], classifier.weight [4,5]") or
                        note.endswith("not used of the file: classifier.weight [4,5], classifier.bias [4]"), note)
        self.assertEqual(self.read("other")["conv2.weight"].values, self.weights["conv2.weight"].values)

    def test_long_lists_are_cut(self):
        more = {f"extra{i}": tensors.Tensor.make("F32", (2,), [0, 0]) for i in range(7)}
        few = {"conv1.weight": self.weights["conv1.weight"]} | more
        tensors.write(self.folder / "few.safetensors", few)
        self.recipe("few.yaml")
        self.ghl("train", "few.yaml", "--run", "few", "train.init=few.safetensors")
        note = self.note("few")
        self.assertIn(f"1 of {len(self.weights)} tensors loaded", note)
        self.assertIn("extra0 [2], extra1 [2], extra2 [2], extra3 [2] and 3 more", note)
        self.assertIn(f"and {len(self.weights) - 1 - 4} more; not used", note)

    def test_a_run_that_goes_on_does_not_load_again(self):
        self.recipe("long.yaml", epochs=3)
        self.ghl("train", "long.yaml", "--run", "whole", "train.init=w.safetensors")
        self.ghl("train", "long.yaml", "--run", "parts", "train.init=w.safetensors", "--stop-after", "6", status=75)
        os.remove(self.folder / "w.safetensors")
        self.ghl("train", "long.yaml", "--run", "parts", "train.init=w.safetensors")
        for name in ("last.safetensors", "state", "metrics.csv"):
            self.assertEqual((self.folder / "parts" / name).read_bytes(), (self.folder / "whole" / name).read_bytes(), name)
        self.note("parts")
        self.assertIn("train.init", self.ghl("train", "long.yaml", "--run", "parts", status=2).stderr)

    def test_features_of_frozen_layers_are_those_of_the_file(self):
        """With features kept or computed in every epoch, the same bytes."""
        self.recipe("kept.yaml", epochs=2, rule="frozen", norm="frozen")
        self.ghl("train", "kept.yaml", "--run", "kept", "train.init=w.safetensors", "train.features=memory")
        self.ghl("train", "kept.yaml", "--run", "anew", "train.init=w.safetensors", "train.features=none")
        self.assertEqual(self.read("kept")["classifier.weight"].values, self.read("anew")["classifier.weight"].values)

    def test_phases(self):
        phases = ("phases:\n- {name: one, learn: {conv: {rule: softhebb, lr: 0.0}, linear: {rule: frozen}, norm: {rule: frozen}}}\n"
                  "- {name: two, learn: {conv: {rule: frozen}, linear: {rule: backprop, lr: 1e-2}, norm: {rule: frozen}}}\n")
        text = RECIPE.format(classes=4, epochs=1, rule="ghl", norm="frozen")
        (self.folder / "p.yaml").write_text(text[:text.index("learn:")] + phases)
        self.ghl("train", "p.yaml", "--run", "p", "train.init=w.safetensors")
        got = self.read("p")
        self.assertEqual(got["conv3.weight"].values, self.weights["conv3.weight"].values)
        self.assertNotEqual(got["classifier.weight"].values, self.weights["classifier.weight"].values)
        done = self.ghl("train", "p.yaml", "--run", "q", "phases.two.train.init=w.safetensors", status=2)
        self.assertIn("phase two", done.stderr)

    def test_files_that_cannot_serve(self):
        whole = (self.folder / "w.safetensors").read_bytes()
        (self.folder / "cut.safetensors").write_bytes(whole[:-5])
        (self.folder / "flipped.safetensors").write_bytes(whole[:-5] + bytes([whole[-5] ^ 64]) + whole[-4:])
        (self.folder / "text.safetensors").write_text("hello, this is not it")
        tensors.write(self.folder / "strange.safetensors", {"a": tensors.Tensor.make("F32", (2,), [1, 2])})
        counters = {name: value for name, value in self.weights.items() if name.endswith("num_batches_tracked")}
        self.assertTrue(counters)
        tensors.write(self.folder / "counters.safetensors", counters)
        wide = {name: tensors.Tensor.make("F64", value.shape, value.values) for name, value in self.weights.items()}
        tensors.write(self.folder / "wide.safetensors", wide)
        broken = {"conv1.weight": tensors.Tensor.make("F32", (3, 1, 5, 5), [float("nan")] * 75)}
        tensors.write(self.folder / "nan.safetensors", broken)
        self.recipe("r.yaml")
        for name, pattern in (("cut", "cut short|damaged|ends at"), ("flipped", "checksum"), ("text", "header|bytes"), ("missing", "missing"),
                              ("strange", "none of its 1 tensors fits"), ("counters", "none of its 3 tensors fits"),
                              ("wide", "none of its"), ("nan", "not finite")):
            done = self.ghl("train", "r.yaml", "--run", "refused", f"train.init={name}.safetensors", status=3)
            self.assertRegex(done.stderr, pattern)
            self.assertIn(f"{name}.safetensors", done.stderr)


if __name__ == "__main__":
    if not GHL:
        sys.exit(77)
    unittest.main()
