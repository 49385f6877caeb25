# SPDX-License-Identifier: Apache-2.0
#
# The documents' commands work as they stand: every fenced sh block of README.md, CONTRIBUTING.md and docs/ runs, in order, in a folder of
# its own with the tree's recipes and tiny data sets. `build/ghl train` gets settings that make it short. A block after a comment
# <!-- test: skip, REASON --> is not run (tests/house.py still checks that what it names exists).
# ghl-test: timeout=300 serial
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
SOURCE = os.environ.get("SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("BUILD_DIR") or os.path.join(SOURCE, "build")
GHL = os.environ.get("GHL") or os.path.join(BUILD, "ghl")
SANITIZED = bool(os.environ.get("GHL_SANITIZE"))
TINY = "train.epochs=2 data.limit=128 train.threads=1"

SHIM = """#!/bin/bash
command="$1"
shift
case "$command" in
    train|bench|sweep) exec {ghl} "$command" "$@" {tiny} ;;
    *) exec {ghl} "$command" "$@" ;;
esac
"""


def blocks(path):
    """(line, text, reason for not running it or "") of the sh blocks of a document."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    for m in re.finditer(r"(?:<!-- test: skip, ([^>]+) -->\n)?```sh\n(.*?)^```", text, re.M | re.S):
        yield text.count("\n", 0, m.start(2)) + 1, m.group(2), m.group(1) or ""


def write_idx(path, sizes, values):
    with open(path, "wb") as f:
        f.write(struct.pack(">I%dI" % len(sizes), 0x800 + len(sizes), *sizes) + bytes(values))


def small_data(folder):
    draw = random.Random(1)
    digits = os.path.join(folder, "data", "my-digits")
    os.makedirs(digits)
    for part, n in (("train", 240), ("t10k", 40)):
        write_idx(os.path.join(digits, part + "-images-idx3-ubyte"), (n, 28, 28), draw.randbytes(n * 784))
        write_idx(os.path.join(digits, part + "-labels-idx1-ubyte"), (n,), [i % 10 for i in range(n)])
    cifar = os.path.join(folder, "data", "cifar-10-batches-bin")
    os.makedirs(cifar)
    for name in ["data_batch_%d.bin" % i for i in range(1, 6)] + ["test_batch.bin"]:
        with open(os.path.join(cifar, name), "wb") as f:
            for i in range(48):
                f.write(bytes([i % 10]) + draw.randbytes(3072))


class Readme(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ghl-readme-")
        for name in ("recipes", "examples", "include", "src", "cmake", "docs"):
            os.symlink(os.path.join(SOURCE, name), os.path.join(self.folder, name))
        build = os.path.join(self.folder, "build")
        os.mkdir(build)
        for name in os.listdir(BUILD):
            if name != "ghl" and not name.startswith("plugin_"):
                os.symlink(os.path.join(BUILD, name), os.path.join(build, name))
        with open(os.path.join(build, "ghl"), "w") as f:
            f.write(SHIM.format(ghl=GHL, tiny=TINY))
        os.chmod(os.path.join(build, "ghl"), 0o755)
        small_data(self.folder)
        self.replace_fashion()

    def replace_fashion(self):
        """Ten thousand test images after each of the many trainings would be most of the time."""
        os.remove(os.path.join(self.folder, "recipes"))
        shutil.copytree(os.path.join(SOURCE, "recipes"), os.path.join(self.folder, "recipes"))
        path = os.path.join(self.folder, "recipes", "quickstart.yaml")
        with open(path) as f:
            text = f.read()
        with open(path, "w") as f:
            f.write(text.replace("/usr/share/datasets/fashion-mnist", "data/my-digits"))

    def tearDown(self):
        shutil.rmtree(self.folder)

    def run_document(self, name, least):
        ran = 0
        for line, block, reason in blocks(os.path.join(SOURCE, name)):
            if reason or (SANITIZED and "cc " in block):
                continue
            done = subprocess.run(["bash", "-eu", "-o", "pipefail", "-c", block], cwd=self.folder, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True)
            said = (done.stdout + done.stderr)[-2000:]
            self.assertEqual(done.returncode, 0, f"{name}:{line}: the block\n{block}ended with {done.returncode}:\n{said}")
            ran += 1
        self.assertGreaterEqual(ran, least, f"{name}: only {ran} blocks ran; is the pattern for blocks broken?")

    def test_readme(self):
        self.run_document("README.md", 4)

    def test_others(self):
        self.run_document("CONTRIBUTING.md", 0)
        for name in sorted(os.listdir(os.path.join(SOURCE, "docs"))):
            if name.endswith(".md"):
                self.run_document("docs/" + name, 0)

    def test_a_wrong_block_fails(self):
        """The test has teeth: a command that is not there ends it."""
        path = os.path.join(self.folder, "wrong.md")
        with open(path, "w") as f:
            f.write("```sh\nbuild/ghl dance\ntrue\n```\n")
        with self.assertRaises(AssertionError):
            self.run_document(path, 1)


class Reference(unittest.TestCase):
    def test_generated_pages_are_what_the_command_says(self):
        done = subprocess.run([sys.executable, os.path.join(SOURCE, "docs", "generate.py"), "--check", GHL], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    if os.environ.get("GHL") == "":     # nothing built yet to run the commands with
        sys.exit(77)
    unittest.main(verbosity=1)
