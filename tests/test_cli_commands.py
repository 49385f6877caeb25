# SPDX-License-Identifier: Apache-2.0
#
# The commands that take a recipe, as a user types them: what is on which stream, exit statuses, JSON that parses, signals, a bar on a
# terminal and nowhere else, and one line of error that names the file, key or word for input that is wrong.
# ghl-test: timeout=300
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
GHL = os.environ.get("GHL", "")
RECIPE = """name: tiny
model: {kind: mlp, hidden: [16]}
data: {kind: synthetic, shape: [1, 12, 12], classes: 4, size: 256}
train: {epochs: 3, batch: 48, log_every: 4}
learn:
  linear: {rule: backprop, lr: 1e-2}
"""


def read(path, mode="r"):
    with open(path, mode) as f:
        return f.read()


class Commands(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ghl cli ")
        self.write("tiny.yaml", RECIPE)

    def tearDown(self):
        shutil.rmtree(self.folder)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def ghl(self, *words, status=0):
        done = subprocess.run([GHL, *words], cwd=self.folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, status, (words, done.stdout, done.stderr))
        return done

    def refused(self, pattern, *words, status=2):
        done = self.ghl(*words, status=status)
        lines = done.stderr.splitlines()
        self.assertEqual(done.stdout, "", words)
        errors = [line for line in lines if line.startswith("ghl: ") and not line.startswith("ghl: warning")]
        self.assertEqual(len(errors), 1, lines)
        self.assertRegex(errors[0], pattern)
        self.assertLessEqual(len(lines) - lines.index(errors[0]), 4, lines)

    def test_train_and_its_folder(self):
        done = self.ghl("train", "tiny.yaml")
        self.assertRegex(done.stdout, r"^test_top1 \d+\.\d\d  best_top1 \d+\.\d\d  best_epoch [123]  epoch 3  step 18\n$")
        self.assertNotIn("\r", done.stderr)
        self.assertEqual(len(re.findall(r"^epoch \d/3 ", done.stderr, re.M)), 3)
        run = self.path("runs", "tiny")
        for name in ("recipe.yaml", "env.json", "metrics.csv", "log.jsonl", "last.safetensors", "best.safetensors", "state"):
            self.assertTrue(os.path.exists(os.path.join(run, name)), name)
        rows = read(os.path.join(run, "metrics.csv")).splitlines()
        self.assertEqual(rows[0], "epoch,step,train_loss,train_top1,test_loss,test_top1,test_top5,best_top1,lr")
        self.assertEqual([row.split(",")[:2] for row in rows[1:]], [["1", "6"], ["2", "12"], ["3", "18"]])
        steps = [json.loads(line) for line in read(os.path.join(run, "log.jsonl")).splitlines()]
        self.assertEqual([row["step"] for row in steps], [4, 8, 12, 16])
        json.loads(read(os.path.join(run, "env.json")))

    def test_stopped_runs_continue_to_the_byte(self):
        self.ghl("train", "tiny.yaml", "--run", "whole")
        for step in (1, 4, 7, 12, 17):
            done = self.ghl("train", "tiny.yaml", "--run", "parts", "--stop-after", str(step), status=75)
            self.assertEqual(done.stdout, "")
            self.assertIn("ghl: ", done.stderr)
        self.ghl("train", "tiny.yaml", "--run", "parts")
        for name in ("metrics.csv", "last.safetensors", "best.safetensors", "state"):
            self.assertEqual(read(self.path("whole", name), "rb"), read(self.path("parts", name), "rb"), name)
        before = read(self.path("parts", "state"), "rb")
        self.ghl("train", "tiny.yaml", "--run", "parts")
        self.assertEqual(before, read(self.path("parts", "state"), "rb"))
        self.ghl("train", "tiny.yaml", "--run", "parts", "--fresh", "--stop-after", "2", status=75)
        self.assertEqual(len(read(self.path("parts", "metrics.csv")).splitlines()), 1)

    def test_signals(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            run = "by-%d" % number
            child = subprocess.Popen([GHL, "train", "tiny.yaml", "train.epochs=1000000", "--run", run], cwd=self.folder,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            while not os.path.exists(self.path(run, "metrics.csv")) or len(read(self.path(run, "metrics.csv")).splitlines()) < 3:
                self.assertIsNone(child.poll(), "ended by itself")
                time.sleep(0.02)
            child.send_signal(number)
            out, err = child.communicate(timeout=60)
            self.assertEqual(child.returncode, 75, err)
            self.assertEqual(out, "")
            self.assertTrue(os.path.exists(self.path(run, "state")))

    def test_bar_on_a_terminal_only(self):
        leader, follower = pty.openpty()
        import fcntl
        import struct
        import termios
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        child = subprocess.Popen([GHL, "train", "tiny.yaml", "train.epochs=40", "--run", "bar"], cwd=self.folder, stdout=subprocess.PIPE,
                                 stderr=follower, stdin=subprocess.DEVNULL, env=dict(os.environ, TERM="xterm"))
        os.close(follower)
        shown = b""
        while True:
            if not select.select([leader], [], [], 60)[0]:
                self.fail("nothing for a minute")
            try:
                part = os.read(leader, 65536)
            except OSError:
                break
            if not part:
                break
            shown += part
        os.close(leader)
        out = child.communicate()[0]
        self.assertEqual(child.returncode, 0, shown)
        self.assertEqual(len(out.splitlines()), 1)
        text = shown.decode()
        bars = [piece for piece in re.split(r"\r\n|\r\x1b\[K", text) if re.match(r"epoch +\d+/40 +\d+%", piece)]
        self.assertGreater(len(bars), 0, text[-400:])
        self.assertTrue(any("█" in bar or "▕" in bar for bar in bars), bars[:3])
        self.assertLess(max(len(bar) for bar in bars), 100)
        self.assertEqual(len(re.findall(r"epoch \d+/40  step", text)), 40)

    def test_eval_bench_plan_trace(self):
        self.ghl("train", "tiny.yaml", "--run", "run")
        best = max(float(row.split(",")[5]) for row in read(self.path("run", "metrics.csv")).splitlines()[1:])
        shown = json.loads(self.ghl("eval", "run", "--json").stdout)
        self.assertTrue(any(isinstance(v, (int, float)) and abs(v - best) < 0.01 for v in shown.values()), (best, shown))
        self.assertRegex(self.ghl("eval", self.path("run", "best.safetensors")).stdout, r"%.2f" % best)

        figures = json.loads(self.ghl("bench", "tiny.yaml", "--steps", "5", "--json").stdout)
        for key in ("model", "rule", "device", "dtype", "batch", "threads", "steps", "flops_per_step", "flops_share_of_peak", "peak_bytes"):
            self.assertIn(key, figures)
        for key in ("images_per_s", "step_ms"):
            self.assertEqual(set(figures[key]), {"min", "median", "max"})
        self.assertEqual(list(figures["machine_copy_gbytes_s"]), ["L2", "L3", "memory"])
        self.check_profile(json.loads(self.ghl("bench", "tiny.yaml", "--steps", "3", "--profile", "--json").stdout))
        shown = self.ghl("bench", "tiny.yaml", "--steps", "3", "--profile").stdout
        self.assertRegex(shown, r"(?m)^op +calls +ms +share +of what limits it$")
        self.assertRegex(shown, r"(?m)^conv +classifier .* % of (fp32 peak|(L2|L3|memory) copy) ")

        plan = json.loads(self.ghl("plan", "tiny.yaml", "--json").stdout)
        self.assertEqual(plan["parameters"], 144 * 16 + 16 + 16 * 4 + 4)
        self.assertGreater(plan["flops_per_step"], 0)
        self.assertGreater(plan["arena_bytes"], 0)
        self.assertIn("linear", self.ghl("plan", "tiny.yaml").stdout)

        self.ghl("trace", "tiny.yaml", "--output", "t.safetensors")
        head = read(self.path("t.safetensors"), "rb")
        names = json.loads(head[8:8 + int.from_bytes(head[:8], "little")])
        for name in ("loss", "correct", "before/classifier.weight", "grad/classifier.weight", "after/classifier.weight"):
            self.assertIn(name, names)

    def check_profile(self, run):
        rows, ops = run["profile"], run["profile_ops"]
        for row in rows:
            self.assertEqual(set(row), set("op node ms share gflops_s gbytes_s share_of_peak peak share_of_copy level note".split()))
            self.assertEqual(row["peak"], "fp32")
            self.assertAlmostEqual(row["share_of_peak"], row["gflops_s"] / run["machine_gflops_s"])
            self.assertAlmostEqual(row["share_of_copy"], row["gbytes_s"] / run["machine_copy_gbytes_s"][row["level"]])
        for total in (rows, ops):
            self.assertAlmostEqual(sum(row["share"] for row in total), 1)
            self.assertAlmostEqual(sum(row["ms"] for row in total), sum(row["ms"] for row in rows))
        self.assertEqual([op["ms"] for op in ops], sorted((op["ms"] for op in ops), reverse=True))
        for op in ops:
            mine = [row for row in rows if row["op"] == op["op"]]
            self.assertEqual(op["calls"], len(mine))
            ideal = sum(row["ms"] * max(row["share_of_peak"], row["share_of_copy"]) for row in mine)
            self.assertAlmostEqual(op["share_of_limit"], ideal / op["ms"], delta=1e-3 * op["share_of_limit"])

    def test_refusals(self):
        for command in ("train", "bench", "plan", "trace", "eval"):
            self.refused("is missing", command)
        for command in ("train", "bench", "plan"):
            self.refused(r'"word" is not a setting', command, "tiny.yaml", "word")
            self.refused(r"none\.yaml", command, "none.yaml")
            self.refused(r"epochs", command, "tiny.yaml", "train.epoch=3")
            self.refused(r"train\.threads|threads", command, "tiny.yaml", "train.threads=-1")
        self.refused("--output is missing", "trace", "tiny.yaml")
        for number in ("0", "-1", "x", "1e3", "99999999999999999999"):
            self.refused("stop-after", "train", "tiny.yaml", "--stop-after=" + number)
        self.write("cifar.yaml", "name: c\nmodel: {kind: mlp}\ndata: {kind: cifar10, path: nowhere}\n")
        self.refused(r"nowhere", "train", "cifar.yaml", status=3)
        self.refused(r"nowhere", "eval", "nowhere", status=3)
        self.refused(r"train.batch", "train", "tiny.yaml", "train.batch=1000", status=3)
        self.refused(r"cuda", "train", "tiny.yaml", "train.device=cuda", status=5)
        self.write("file", "")
        self.refused(r"file", "train", "tiny.yaml", "--run", "file/run", status=3)


if __name__ == "__main__":
    if not GHL:
        print("skipped: no command is built")
        sys.exit(77)
    unittest.main()
