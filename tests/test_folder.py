# SPDX-License-Identifier: Apache-2.0
#
# A folder of photographs as a user meets it: it trains, stops and goes on to the same bytes, whatever the number of workers; damaged files
# are named once and replaced, too many of them end the run with their names and a state to go on from; what is wrong with a folder is said.
# ghl-test: timeout=300
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from photos import GHL, RECIPE, Case, png, speckled  # noqa: E402

COLOURS = {"ash": (200, 40, 40), "beech tree": (40, 200, 40), "ceder": (40, 40, 200)}


class Folder(Case):
    def setUp(self):
        super().setUp()
        self.write("r.yaml", RECIPE.encode())
        draw = random.Random(1)
        for part, count in (("train", 11), ("val", 4)):
            for name, colour in COLOURS.items():
                for i in range(count):
                    self.write(f"photos/{part}/{name}/{i}.{'JPEG' if i % 3 else 'png'}",
                               speckled(draw.randrange(10, 60), draw.randrange(10, 60), colour, draw))

    def train(self, run, *words, status=0):
        return self.ghl("train", "r.yaml", *words, "--run", run, status=status)

    def tensors(self, name):
        """What is behind the header, which has the recipe, and so the number of workers."""
        data = self.read(name)
        return data[8 + struct.unpack("<Q", data[:8])[0]:]

    def same(self, a, b):
        for name in ("state", "last.safetensors", "best.safetensors"):
            self.assertTrue(self.tensors(f"{a}/{name}") == self.tensors(f"{b}/{name}"), (b, name))
        self.assertEqual(self.read(f"{a}/metrics.csv"), self.read(f"{b}/metrics.csv"), b)
        self.assertEqual(len(self.read(f"{a}/log.jsonl")), len(self.read(f"{b}/log.jsonl")), b)
        self.assertEqual(self.notes(a), self.notes(b))

    def notes(self, run):
        rows = [json.loads(line) for line in self.read(f"{run}/log.jsonl").splitlines()]
        return [(row["step"], row["note"]) for row in rows if "note" in row]

    def test_stops_and_goes_on(self):
        done = self.train("whole", "train.workers=1", "data.normalise=mean_std")
        self.assertIn("33 training and 12 test images", done.stderr)
        self.assertEqual(self.notes("whole"), [])
        self.train("cut", "train.workers=4", "data.normalise=mean_std", "--stop-after", "3", status=75)
        self.train("cut", "train.workers=3", "data.normalise=mean_std", "--stop-after", "10", status=75)
        self.train("cut", "data.normalise=mean_std")
        self.same("whole", "cut")
        self.assertTrue(b"beech tree" in self.read("whole/last.safetensors"))
        self.assertIn("images 12", self.ghl("eval", "whole").stdout)
        self.train("other", "data.normalise=mean_std", "data.scale=[0.5,1]")
        self.assertNotEqual(self.read("whole/metrics.csv"), self.read("other/metrics.csv"))
        for run in ("one", "three"):
            self.train(run, "data.jitter=[0.4,0.4,0.4]", "data.crop=centre", f"train.workers={1 + 2 * (run == 'three')}")
        self.same("one", "three")
        self.train("still", "data.crop=centre")
        self.assertNotEqual(self.read("one/metrics.csv"), self.read("still/metrics.csv"))

    def test_moved(self):
        """Where the photographs lie is not what a run is; which they are is."""
        self.train("whole")
        self.train("cut", "--stop-after", "3", status=75)
        shutil.move(self.path("photos"), self.path("moved"))
        shutil.copytree(self.path("moved"), self.path("other"))
        for part in ("train", "val"):
            for name, labels in (("another name", "ash/0.png ash/zero.png"), ("another class", "ash/0.png ceder/10.png")):
                old, new = (self.path(f"other/{part}/{n}") for n in labels.split())
                os.rename(old, new)
                done = self.train("cut", "data.path=other", status=3)
                self.assertRegex(done.stderr, '^ghl: the images of "other" are not those that cut was begun with\n', name)
                os.rename(new, old)
        self.train("cut", "data.path=moved")
        self.same("whole", "cut")

    def test_learns(self):
        self.train("centre", "data.crop=centre", "train.epochs=10", "learn.conv.rule=backprop")
        self.assertGreater(float(self.read("centre/metrics.csv").split()[-1].split(b",")[7]), 90)  # best_top1: three colours

    def test_as_the_binary_layout(self):
        """Images of 32 x 32, whole, are trained on as CIFAR-10's binary layout has them in the folder's order."""
        draw = random.Random(2)
        for part, batch in (("train", "data_batch_1.bin"), ("val", "test_batch.bin")):
            records = b""
            for label, name in enumerate("abc"):
                for i in range(8):
                    pixels = bytes(draw.randrange(60 * label, 136 + 60 * label) for _ in range(3072))
                    self.write(f"small/{part}/{name}/{i}.png", png(32, 32, 3, pixels))
                    records += bytes([label]) + pixels[0::3] + pixels[1::3] + pixels[2::3]
            self.write("binary/" + batch, records)
        self.train("files", "data.path=small", "data.size=32", "data.resize=32", "data.crop=centre", "model.classes=10")
        self.train("records", "data.kind=cifar10", "data.path=binary", "model.classes=10")
        self.assertEqual(self.read("files/metrics.csv"), self.read("records/metrics.csv"))
        self.assertTrue(self.tensors("files/last.safetensors") == self.tensors("records/last.safetensors"))

    def test_damaged_files(self):
        whole = self.read("photos/train/ash/4.JPEG")
        for name, data, words in (("empty", b"", ""), ("cut", whole[:len(whole) // 2], ""), ("text", b"no photograph\n" * 9, ""),
                                  ("gone", None, "No such file"), ("folder", "", ""), ("pipe", 0, "is not a file")):
            path = self.path("photos/train/ash/4.JPEG")
            os.remove(path)
            if data is None:
                os.symlink("nowhere", path)
            elif data == 0:
                os.mkfifo(path)
            elif data != "":
                self.write("photos/train/ash/4.JPEG", data)
            else:
                self.write("photos/train/ash/4.JPEG", b"\xff\xd8\xff" + b"\0" * 99)
            done = self.train(name)
            notes = [note for _, note in self.notes(name)]
            self.assertEqual(len([n for n in notes if "damaged training image ash/4.JPEG, replaced by the next: " in n]), 1, notes)
            self.assertEqual([n for n in notes if "were replaced" in n],
                             ["1 damaged images of epoch 1 were replaced", "1 damaged images of epoch 2 were replaced"])
            self.assertEqual(done.stderr.count("ash/4.JPEG"), 2 if data is None or data == 0 else done.stderr.count("ash/4.JPEG"))
            self.assertIn(words, "".join(notes))
            os.remove(path)
            self.write("photos/train/ash/4.JPEG", whole)
        os.remove(self.path("photos/train/ash/4.JPEG"))
        os.symlink("nowhere", self.path("photos/train/ash/4.JPEG"))
        self.train("stopped", "train.workers=3", "--stop-after", "6", status=75)
        self.train("stopped", "train.workers=1", "--stop-after", "9", status=75)
        self.train("stopped")
        self.same("gone", "stopped")

    def test_too_many(self):
        self.train("run", "--stop-after", "9", status=75)  # in the second epoch
        names = ["train/ash/1.JPEG", "train/beech tree/2.JPEG", "train/ceder/4.JPEG"]
        for name in names:
            self.write("photos/" + name, b"")
        done = self.train("run", status=3)
        self.assertRegex(done.stderr, r"ghl: 2 of 33 training images are damaged, more than data.error_budget = 0.0001 allows: "
                                      r"(ash/1|beech tree/2|ceder/4).JPEG, (ash/1|beech tree/2|ceder/4).JPEG\n")
        done = self.train("run", "data.error_budget=0.1")
        self.assertIn("continues", done.stderr)
        told = " ".join(note for _, note in self.notes("run"))
        for name in names:
            self.assertEqual(told.count(name[6:] + ", replaced"), 1, told)
        for name in os.listdir(self.path("photos/val/ash")):
            self.write("photos/val/ash/" + name, b"")
        self.assertIn("at least 4 of 12 test images are damaged", self.ghl("eval", "run", "data.error_budget=0.1", status=3).stderr)
        self.ghl("eval", "run", "data.error_budget=0.5")
        for part, _, files in os.walk(self.path("photos/train")):
            for name in files:
                self.write(os.path.join(part, name), b"")
        self.assertIn("at least ", self.train("none", status=3).stderr)
        self.assertIn("at least ", self.train("measured", "data.normalise=mean_std", status=3).stderr)

    def test_probes_and_sweep(self):
        self.train("run", "train.probes=true", "train.batch=8")
        rows = self.read("run/metrics.csv").split()
        self.assertGreater(len(rows[0].split(b",")), 20)
        self.assertNotIn(b"", rows[1].split(b",")[9:20])
        done = self.ghl("sweep", "r.yaml", "learn.conv.lr=1e-3,1e-2", "train.epochs=1")
        self.assertIn("4 of the 33 training images are held out", done.stderr)

    def test_killed(self):
        self.train("whole", "train.epochs=6")
        command = [GHL, "train", "r.yaml", "train.epochs=6", "--run", "killed"]
        for wait in (0.05, 0.1, 0.15):
            child = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(wait)
            child.kill()
            child.wait()
        self.train("killed", "train.epochs=6")
        self.same("whole", "killed")

    def test_hold_out(self):
        shutil.rmtree(self.path("photos/val"))
        self.assertIn("no val/ or test/", self.train("run", status=3).stderr)
        done = self.train("run", "data.holdout=8", "data.limit=20", "data.path=photos/train")
        self.assertIn("20 training and 8 held-out images", done.stderr)
        self.assertIn("images 8", self.ghl("eval", "run").stdout)

    def test_features(self):
        frozen = ["learn.conv.rule=frozen", "learn.norm.rule=frozen", "data.augment=none", "data.crop=centre"]
        for where in ("none", "memory", "file"):
            done = self.train(where, f"train.features={where}", *frozen)
            self.assertEqual("features of layer" in done.stderr, where != "none")
            self.assertTrue(self.tensors("none/last.safetensors") == self.tensors(f"{where}/last.safetensors"), where)
        self.write("photos/train/ash/4.JPEG", b"")  # once computed, the features of the next in the folder stand in for it
        self.train("damaged", "train.features=memory", *frozen)
        self.train("stopped", "train.features=file", *frozen, "--stop-after", "9", status=75)
        self.train("stopped", "train.features=file", *frozen)
        self.same("damaged", "stopped")
        self.assertNotIn("features of layer", self.train("random", "train.features=memory", *frozen[:-1]).stderr)

    def test_refusals(self):
        for status, words, keys in ((3, "data.path is not set", ["data.path="]), (3, "no data folder", ["data.path=nowhere"]),
                                    (3, "holds no class folders", ["data.path=photos/train/ash"]),
                                    (2, "data.whiten", ["data.whiten=zca"]), (2, "smaller than data.size", ["data.resize=8"]),
                                    (2, "data.ratio must be two numbers", ["data.ratio=[1]"]), (2, "data.jitter must be three", ["data.jitter=[1]"]), (2, "crop of data format folder", ["data.crop=middle"]),
                                    (2, "scale of data format folder", ["data.scale=[0,1]"])):
            self.assertIn(words, self.train("bad", *keys, status=status).stderr)
        os.makedirs(self.path("photos/train/dogwood"))
        self.assertIn("class folders without images: dogwood", self.train("bad", status=3).stderr)
        os.rmdir(self.path("photos/train/dogwood"))
        self.write("photos/val/elm/1.png", b"")
        self.assertIn("does not have: elm", self.train("bad", status=3).stderr)
        shutil.rmtree(self.path("photos/val/elm"))
        self.assertIn("parameters", self.ghl("plan", "r.yaml", "data.path=nowhere").stdout)
        self.train("run", "train.epochs=1")
        shutil.copytree(self.path("photos"), self.path("fewer"))
        for part in ("train", "val"):
            shutil.rmtree(self.path(f"fewer/{part}/ash"))
        self.assertIn("have 2 classes, run/best.safetensors was trained on 3", self.ghl("eval", "run", "data.path=fewer", status=3).stderr)
        self.assertNotIn("warning", self.ghl("eval", "run").stderr)
        self.write("photos/classes.txt", b"ash Fraxinus\n")
        self.assertIn('class 0 is "Fraxinus" in the data, and was "ash" in training', self.ghl("eval", "run").stderr)
        for part in ("train", "val"):
            shutil.copytree(self.path(f"photos/{part}/ash"), self.path(f"photos/{part}/elm"))
        self.assertIn("classifier.weight is [3,64], but the net's is [4,64]", self.ghl("eval", "run", status=3).stderr)


if __name__ == "__main__":
    if not GHL:
        print("skipped: no command is built")
        sys.exit(77)
    unittest.main()
