# SPDX-License-Identifier: Apache-2.0
#
# `ghl data` as a user meets it: info on every format, check lists just what is damaged, a packed file trains as its folder does, packing that
# was killed goes on, bench says its stages, and wrong words are refused.
# ghl-test: timeout=300
import gzip
import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from photos import GHL, RECIPE, Case, chunk, speckled  # noqa: E402


class Data(Case):
    def photos(self, parts=("train", "val"), count=9):
        draw = random.Random(1)
        for part in parts:
            for k, name in enumerate(("ash", "beech tree")):
                for i in range(count - 5 * (part == "val")):
                    self.write(f"photos/{part}/{name}/{i}.png", speckled(20 + i % 9, 40 - i % 9, (200, 40, 40) if k else (30, 90, 150), draw))

    def info(self, path):
        return json.loads(self.ghl("data", "info", path, "--json").stdout)

    def test_info(self):
        self.photos()
        for path in ("photos", "photos.ghl"):
            if path == "photos.ghl":
                self.assertIn("18 training and 8 test images of 2 classes, 0 damaged", self.ghl("data", "pack", "photos", path).stderr)
            found = self.info(path)
            self.assertEqual(found["format"], "packed" if path == "photos.ghl" else "folder")
            self.assertEqual((found["classes"], found["class_names"]), (2, ["ash", "beech tree"]))
            self.assertEqual((found["training"]["images"], found["test"]["images"]), (18, 8))
            self.assertEqual(found["training"]["width"], {"least": 20, "median": 24, "most": 28})
            self.assertEqual(found["training"]["height"], {"least": 32, "median": 36, "most": 40})
            self.assertEqual(found["training"]["images_a_class"], {"least": 9, "median": 9, "most": 9})
            self.assertEqual(found["training"]["damaged"], [])
            expected = [(200 + 30) / 2 + 27.5, (40 + 90) / 2 + 27.5, (40 + 150) / 2 + 27.5]
            for c in range(3):
                self.assertAlmostEqual(found["mean"][c] * 255, expected[c], delta=2)
            self.assertGreater(found["deviation"][0], found["deviation"][1])
            text = self.ghl("data", "info", path).stdout
            self.assertIn("width 20 to 28, median 24", text)
            self.assertIn("ash, beech tree", text)

    def test_info_in_memory(self):
        self.write("mnist/train-images-idx3-ubyte", struct.pack(">4I", 0x803, 4, 2, 2) + bytes([0, 255] * 8))
        self.write("mnist/train-labels-idx1-ubyte", struct.pack(">2I", 0x801, 4) + bytes([0, 1, 2, 2]))
        self.write("mnist/t10k-images-idx3-ubyte.gz", gzip.compress(struct.pack(">4I", 0x803, 1, 2, 2) + bytes(4)))
        self.write("mnist/t10k-labels-idx1-ubyte", struct.pack(">2I", 0x801, 1) + b"\1")
        for n, names in ((1, ("data_batch_2.bin", "test_batch.bin")), (2, ("train.bin", "test.bin"))):
            for name in names:
                self.write(f"cifar{n}/{name}", (bytes([1] * n) + bytes([51] * 3072)) * 3)
        found = self.info("mnist")
        self.assertEqual((found["format"], found["classes"], found["channels"], found["height"]), ("idx", 3, 1, 2))
        self.assertEqual((found["training"]["images"], found["test"]["images"]), (4, 1))
        self.assertEqual(found["training"]["images_a_class"], {"least": 1, "median": 1, "most": 2})
        self.assertEqual((found["mean"], found["deviation"]), ([0.5], [0.5]))
        for n, kind in ((1, "cifar10"), (2, "cifar100")):
            found = self.info(f"cifar{n}")
            self.assertEqual((found["format"], found["training"]["images"], found["test"]["images"]), (kind, 3, 3))
            self.assertEqual((found["mean"], found["deviation"]), ([0.2] * 3, [0] * 3))
            self.assertIn("none damaged", self.ghl("data", "check", f"cifar{n}").stderr)
        self.write("cifar1/test_batch.bin", bytes(100))
        self.assertIn("test_batch.bin", self.ghl("data", "check", "cifar1", status=3).stderr)
        self.assertGreater(json.loads(self.ghl("data", "bench", "mnist", "--json").stdout)["loader_images_per_s"]["one"], 0)

    def test_check(self):
        self.photos()
        self.assertIn("26 images, none damaged", self.ghl("data", "check", "photos").stderr)
        good = self.read("photos/train/ash/3.png")
        huge = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 65500, 65500, 8, 2, 0, 0, 0)) + good[33:]
        planted = {("training", "ash/3.png"): good[:-600], ("training", "ash/text.jpg"): b"not a picture\n\x1b[2J",
                   ("training", "beech tree/none.jpeg"): b"", ("test", "beech tree/1.png"): huge}
        for (part, name), data in planted.items():
            self.write(f"photos/{'train' if part == 'training' else 'val'}/{name}", data)
        self.write("photos/val/ash/notes.txt", b"no image, and not taken for one")
        done = self.ghl("data", "check", "photos", "--json", status=3)
        found = json.loads(done.stdout)
        self.assertEqual({(d["part"], d["name"]) for d in found["damaged"]}, set(planted))
        self.assertEqual((len(found["damaged"]), found["images"]), (4, 28))
        self.assertIn("4 of 28 images", done.stderr)
        lines = self.ghl("data", "check", "photos", status=3).stdout.splitlines()
        self.assertEqual([line.split(":")[0] for line in lines], ["ash/3.png", "ash/text.jpg", "beech tree/none.jpeg", "beech tree/1.png"])
        self.assertIn("megapixels", lines[3])
        self.assertNotIn("\x1b", "".join(lines))
        self.assertEqual(len(self.info("photos")["training"]["damaged"]), 3)
        self.ghl("data", "pack", "photos", "photos.ghl")
        found = json.loads(self.ghl("data", "check", "photos.ghl", "--json", status=3).stdout)
        self.assertEqual({(d["part"], d["name"]) for d in found["damaged"]}, set(planted))

    def test_trains_as_the_folder(self):
        self.photos()
        self.write("photos/train/ash/broken.png", b"\x89PNG")
        self.write("r.yaml", RECIPE.encode())
        self.ghl("data", "pack", "photos", "raw.ghl", "--raw")
        self.ghl("data", "pack", "photos", "jpeg.ghl", "--quality", "95")
        for run, words in (("a", []), ("b", ["data.kind=packed", "data.path=raw.ghl"]), ("c", ["data.kind=packed", "data.path=jpeg.ghl"])):
            done = self.ghl("train", "r.yaml", *words, "data.error_budget=0.1", "--run", run)
            self.assertIn("damaged training image ash/broken.png", done.stderr)
        self.assertEqual(self.read("a/metrics.csv"), self.read("b/metrics.csv"))
        losses = [float(self.read(f"{run}/metrics.csv").decode().splitlines()[-1].split(",")[2]) for run in "ac"]
        self.assertAlmostEqual(*losses, delta=0.1)
        self.ghl("train", "r.yaml", "data.kind=packed", "data.path=jpeg.ghl", "data.error_budget=0.1", "--run", "d", "--stop-after", "3",
                 status=75)
        self.ghl("train", "r.yaml", "data.kind=packed", "data.path=jpeg.ghl", "data.error_budget=0.1", "--run", "d")
        self.assertEqual(self.read("c/metrics.csv"), self.read("d/metrics.csv"))
        self.write("short.ghl", self.read("jpeg.ghl")[:-1000])
        self.assertIn("cut short", self.ghl("train", "r.yaml", "data.kind=packed", "data.path=short.ghl", status=3).stderr)

    def test_one_tree(self):
        self.photos(parts=("",))
        self.ghl("data", "pack", "photos", "one.ghl")
        for path in ("photos", "one.ghl"):
            self.assertNotIn("test", self.info(path))
            self.assertIn("18 images, none damaged", self.ghl("data", "check", path).stderr)
        self.write("r.yaml", RECIPE.encode())
        self.ghl("train", "r.yaml", "data.kind=packed", "data.path=one.ghl", "data.holdout=4", "--run", "run")

    def test_killed(self):
        self.photos(parts=("train",), count=300)
        self.ghl("data", "pack", "photos", "whole.ghl", "--raw")
        for number, status in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 75)):
            running = subprocess.Popen([GHL, "data", "pack", "photos", "killed.ghl", "--raw"], cwd=self.folder, stderr=subprocess.DEVNULL)
            until = time.time() + 60
            while not os.path.exists(self.path("killed.ghl.partial")) and running.poll() is None and time.time() < until:
                time.sleep(0.001)
            running.send_signal(number)
            self.assertIn(running.wait(), (0, status))
            if not os.path.exists(self.path("killed.ghl")):
                self.ghl("data", "pack", "photos", "killed.ghl", "--raw")
            self.assertEqual(self.read("killed.ghl"), self.read("whole.ghl"))
            os.remove(self.path("killed.ghl"))

    def test_bench(self):
        self.photos()
        self.ghl("data", "pack", "photos", "raw.ghl", "--raw")
        for path in ("photos", "raw.ghl"):
            found = json.loads(self.ghl("data", "bench", path, "--json").stdout)
            self.assertEqual(list(found["stage_images_per_s"]), ["read", "decode", "resize", "augment", "copy"])
            for rate in (*found["stage_images_per_s"].values(), found["thread_images_per_s"], *found["loader_images_per_s"].values()):
                self.assertGreater(rate, 0)
            self.assertEqual((found["height"], found["width"], found["images"]), (224, 224, 18))
        self.assertIn("loader, 1 worker", self.ghl("data", "bench", "photos").stdout)

    def test_wrong_words(self):
        self.photos()
        for words in (("data",), ("data", "inof", "photos"), ("data", "info"), ("data", "info", "a", "b"), ("data", "pack", "photos"),
                      ("data", "info", "photos", "--raw"), ("data", "pack", "photos", "x", "--json"),
                      ("data", "pack", "photos", "x", "--quality", "101"), ("data", "pack", "photos", "x", "--size", "0")):
            self.ghl(*words, status=2)
        self.write("empty", b"")
        os.makedirs(self.path("bare"))
        for words in (("info", "nothing"), ("check", "empty"), ("info", "bare"), ("pack", "bare", "x"), ("pack", "nothing", "x"),
                      ("bench", "empty"), ("pack", "photos", "empty"), ("pack", "photos", "no/such/place")):
            done = self.ghl("data", *words, status=3)
            self.assertTrue(done.stderr.startswith("ghl: "), done.stderr)


if __name__ == "__main__":
    unittest.main()
