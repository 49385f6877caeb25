# SPDX-License-Identifier: Apache-2.0
#
# Memory as a user meets it: what `ghl plan` predicts is what a training and a benchmark then take, to 5 %; a run that the machine has no
# room for is refused before it starts, with the batch that would fit, and that batch does; train.recompute gives the same bytes.
# ghl-test: timeout=300 no-sanitize
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
GHL = os.environ.get("GHL", "")
RECIPE = """name: memory
model: {kind: deephebb, width: 0.5}
data: {kind: synthetic, shape: [3, 32, 32], classes: 10, size: 400, test_size: 100}
train: {epochs: 1, batch: 400, threads: 2}
learn: {conv: {rule: ghl, lr: 1e-3}, linear: {rule: backprop, lr: 1e-3}}
optimiser: {kind: sgd, momentum: 0.9}
"""


class Memory(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ghl memory ")
        with open(os.path.join(self.folder, "r.yaml"), "w") as f:
            f.write(RECIPE)

    def tearDown(self):
        shutil.rmtree(self.folder)

    def run_ghl(self, *words, limit=None):
        """Status, standard output, standard error, and the peak resident size."""
        bound = None if limit is None else (lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
        with open(os.path.join(self.folder, "out"), "w+") as out, open(os.path.join(self.folder, "err"), "w+") as err:
            child = subprocess.Popen([GHL, *words], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err, preexec_fn=bound)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            err.seek(0)
            return child.returncode, out.read(), err.read(), usage.ru_maxrss * 1024

    def plan(self, *settings):
        status, out, err, resident = self.run_ghl("plan", "r.yaml", "--json", *settings)
        self.assertEqual(status, 0, err)
        return json.loads(out), err, resident

    def near(self, predicted, measured):
        self.assertLess(abs(predicted / measured - 1), 0.05, (predicted, measured))

    def test_prediction(self):
        for settings in ((), ("train.recompute=auto", "optimiser.momentum=0", "train.batch=300")):
            plan, _, resident = self.plan(*settings)
            self.assertLess(resident, 60e6)  # a plan takes none of what it tells of
            status, out, err, _ = self.run_ghl("bench", "r.yaml", "--json", "--steps", "1", *settings)
            self.assertEqual(status, 0, err)
            self.near(plan["steps_peak_bytes"], json.loads(out)["peak_bytes"])
            status, _, err, resident = self.run_ghl("train", "r.yaml", "--fresh", *settings)
            self.assertEqual(status, 0, err)
            self.near(plan["peak_bytes"], resident)
        self.assertGreater(plan["peak_bytes"], 200e6)

    def test_plan_of_what_no_machine_holds(self):
        plan, err, resident = self.plan("train.batch=65536", "model.width=8")
        self.assertGreater(plan["peak_bytes"], 400e9)
        self.assertLess(resident, 60e6)
        self.assertIn("more memory than there is", err)
        status, out, err, _ = self.run_ghl("bench", "r.yaml", "train.batch=65536", "model.width=8")
        self.assertEqual((status, out), (5, ""))
        self.assertRegex(err, r"ghl: batch 65536 needs \d+\.\d\d GB of memory, and \d+\.\d\d GB is what there is; batch \d+ would fit")

    def test_refusal_names_what_fits(self):
        limit = 700 << 20
        words = ("r.yaml", "data.size=2000")
        for command in (("train", *words, "train.batch=2000"), ("bench", *words, "train.batch=2000"),
                        ("trace", *words, "train.batch=2000", "--output", "t")):
            status, _, err, _ = self.run_ghl(*command, limit=limit)
            self.assertEqual(status, 5, err)
            self.assertIn("would fit", err)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "runs", "memory", "state")))
        status, _, err, _ = self.run_ghl("train", *words, "train.batch=2000", limit=limit)
        most = int(re.search(r"batch (\d+) would fit", err).group(1))
        fits = ("train", *words, "data.test_size=10", f"train.batch={most}", "--stop-after", "1")
        status, _, err, _ = self.run_ghl(*fits, limit=limit)
        self.assertEqual(status, 75, err)

    def deep(self, depth, width, device):
        with open(os.path.join(self.folder, "r.yaml"), "w") as f:
            f.write(RECIPE.replace("{kind: deephebb, width: 0.5}", "{kind: mlp, hidden: [%s]}" % ", ".join([str(width)] * depth))
                    .replace("train: {", "train: {device: %s, " % device).replace("rule: backprop", "rule: ghl"))

    def test_recompute_is_offered(self):
        self.deep(400, 64, "ref")
        plain, _, _ = self.plan("train.batch=8192")
        less, _, _ = self.plan("train.batch=8192", "train.recompute=auto")
        self.assertLess(less["arena_bytes"], plain["arena_bytes"] / 2)
        limit = (plain["steps_peak_bytes"] + less["steps_peak_bytes"]) // 2 + (128 << 20)
        status, _, err, _ = self.run_ghl("bench", "r.yaml", "train.batch=8192", limit=limit)
        self.assertEqual(status, 5, err)
        self.assertIn("with train.recompute=auto it would fit", err)

    def test_recompute_goes_on_with_the_same_bytes(self):
        self.deep(30, 32, "cpu")
        small = ("train.batch=150", "train.epochs=4", "data.shape=[1,8,8]")
        plain, _, _ = self.plan(*small)
        less, _, _ = self.plan("train.recompute=auto", *small)
        self.assertLess(less["arena_bytes"], 0.9 * plain["arena_bytes"])
        for run, how, stop in (("a", "none", ()), ("b", "auto", ("--stop-after", "8")), ("b", "none", ())):
            status, _, err, _ = self.run_ghl("train", "r.yaml", "--run", run, *small, "train.recompute=" + how, *stop)
            self.assertEqual(status, 75 if stop else 0, err)
        for name in ("state", "last.safetensors", "metrics.csv"):
            with open(os.path.join(self.folder, "a", name), "rb") as a, open(os.path.join(self.folder, "b", name), "rb") as b:
                one, other = a.read(), b.read()
            self.assertTrue(one == other or name == "metrics.csv" and one.count(b"\n") == other.count(b"\n"), name)


if __name__ == "__main__":
    if not GHL:
        print("skipped: no command is built")
        sys.exit(77)
    unittest.main()
