# SPDX-License-Identifier: Apache-2.0
"""What tests of photographs share: PNG files made without a library, and a command that runs in a folder of its own."""
import os
import shutil
import struct
import subprocess
import tempfile
import unittest
import zlib

GHL = os.environ.get("GHL", "")
RECIPE = """name: photos
model: {kind: deephebb, channels: [8, 8, 16]}
data: {kind: folder, path: photos, size: 16, augment: flip, normalise: imagenet}
train: {epochs: 2, batch: 5, device: cpu, threads: 1, save_every: 4, log_every: 3}
learn: {conv: {rule: ghl, lr: 1e-2}, linear: {rule: backprop, lr: 1e-2}}
"""


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, channels, pixels):
    """Of 8 bits: channels 1 (grey) or 3."""
    rows = b"".join(b"\0" + bytes(pixels[y * width * channels:(y + 1) * width * channels]) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def speckled(width, height, colour, draw):
    return png(width, height, 3, bytes(min(255, c + draw.randrange(56)) for _ in range(width * height) for c in colour))


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ghl photos ")

    def tearDown(self):
        shutil.rmtree(self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, data):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as f:
            f.write(data)

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def ghl(self, *words, status=0):
        done = subprocess.run([GHL, *map(str, words)], cwd=self.folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, status, (words, done.stdout, done.stderr))
        return done
