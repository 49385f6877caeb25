# SPDX-License-Identifier: Apache-2.0
"""`ghl predict`: probabilities that are known beforehand, by name or number, of colour and grey images of any size, in batches; images
that cannot be read; and weights in torchvision's names, whose logits are PyTorch's.
ghl-test: timeout=300
"""
import json
import math
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent / "oracle"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
import tensors  # noqa: E402
from photos import GHL, png  # noqa: E402

GOLDEN = Path(__file__).resolve().parent / "golden" / "torchvision"
NAMES = ["apple", "Birne, süß", "cherry", "date", "elder", "fig", "grape"]


def softmax(logits):
    powers = [math.exp(z - max(logits)) for z in logits]
    return [p / sum(powers) for p in powers]


def input_note(height, width, channels, classes):
    """Pixels as `normalise: half` scales them."""
    numbers = [2 / 255] * channels + [-1.0] * channels
    return " ".join([str(n) for n in (height, width, channels, classes)] + [float(n).hex() for n in numbers])


class Predict(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="ghl predict "))

    def tearDown(self):
        shutil.rmtree(self.folder)

    def ghl(self, *words, status=0):
        done = subprocess.run([GHL, *map(str, words)], cwd=self.folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, status, (words, done.stdout, done.stderr))
        return done

    def checkpoint(self, name, weights, model, image, classes, notes=None):
        channels, height, width = image
        recipe = (f"name: x\nmodel: {{{model}}}\ndata: {{kind: synthetic, shape: [{channels}, {height}, {width}], classes: {classes}}}\n"
                  "learn: {conv: {rule: backprop, lr: 0}, linear: {rule: backprop, lr: 0}}\n")
        tensors.write(self.folder / name, weights, {"ghl.recipe": recipe, "ghl.input": input_note(height, width, channels, classes)}
                      | (notes or {}))

    def linear(self, channels=3, named=True, classes=7):
        """Logits of an image of 2x4 are k/4 times the mean of its pixels (grey, or red alone), scaled to -1..1."""
        features = channels * 8
        values = [k / 4 / 8 if i < 8 else 0.0 for k in range(classes) for i in range(features)]
        weights = {"classifier.weight": tensors.Tensor.make("F32", (classes, features), values),
                   "classifier.bias": tensors.Tensor.make("F32", (classes,), [0.0] * classes)}
        notes = {"ghl.class_names": json.dumps(NAMES)} if named else {}
        self.checkpoint("linear.safetensors", weights, "kind: mlp, hidden: []", (channels, 2, 4), classes, notes)

    def image(self, name, red, width=4, height=2, channels=3):
        one = [red] if channels == 1 else [red, 10, 200]
        (self.folder / name).write_bytes(png(width, height, channels, one * (width * height)))
        return name

    def expected(self, red, classes=7):
        return softmax([k / 4 * (red / 127.5 - 1) for k in range(classes)])

    def assert_classes(self, row, red, classes=7, top=5):
        p = self.expected(red, classes)
        order = sorted(range(classes), key=lambda k: -p[k])[:top]
        self.assertEqual([c["class"] for c in row["classes"]], order, row["image"])
        for c in row["classes"]:
            self.assertAlmostEqual(c["probability"], p[c["class"]], delta=1e-4)

    def test_names_and_probabilities(self):
        self.linear()
        done = self.ghl("predict", "linear.safetensors", self.image("a.png", 255))
        p = self.expected(255)
        self.assertEqual(done.stdout, "a.png\n" + "".join(f"  {100 * p[k]:6.2f} %  {NAMES[k]}\n" for k in (6, 5, 4, 3, 2)))
        self.assertEqual(done.stderr, "")
        row, = json.loads(self.ghl("predict", "linear.safetensors", "a.png", "--json", "--top", "2").stdout)["images"]
        self.assert_classes(row, 255, top=2)
        self.assertEqual([c["name"] for c in row["classes"]], ["grape", "fig"])
        row, = json.loads(self.ghl("predict", "linear.safetensors", "a.png", "--json", "--top", "99").stdout)["images"]
        self.assert_classes(row, 255, top=7)

    def test_classes_without_names(self):
        self.linear(named=False)
        done = self.ghl("predict", "linear.safetensors", self.image("a.png", 0), "--top", "1")
        self.assertEqual(done.stdout, f"a.png\n  {100 * self.expected(0)[0]:6.2f} %  0\n")

    def test_a_runs_folder(self):
        self.linear()
        (self.folder / "run").mkdir()
        shutil.copy(self.folder / "linear.safetensors", self.folder / "run" / "best.safetensors")
        got = json.loads(self.ghl("predict", "run", self.image("a.png", 30), "--json").stdout)
        self.assertEqual(got["checkpoint"], "run/best.safetensors")
        self.assert_classes(got["images"][0], 30)

    def test_grey_nets_and_other_sizes(self):
        self.linear(channels=1)
        names = [self.image("grey.png", 200, channels=1), self.image("wide.png", 200, 31, 9, channels=1), self.image("colour.png", 90)]
        rows = json.loads(self.ghl("predict", "linear.safetensors", *names, "--json").stdout)["images"]
        self.assert_classes(rows[0], 200)
        self.assert_classes(rows[1], 200)
        self.assert_classes(rows[2], (90 * 19595 + 10 * 38470 + 200 * 7471 + 32768) >> 16)

    def test_views_of_photographs(self):
        """The centre, as tests of data of kind folder see it: of 12x6 the columns 3 to 8, and a filter reaches one further; and a size that a setting changes."""
        features = 3 * 16
        values = [k / 4 / 16 if i < 16 else 0.0 for k in range(7) for i in range(features)]
        weights = {"classifier.weight": tensors.Tensor.make("F32", (7, features), values),
                   "classifier.bias": tensors.Tensor.make("F32", (7,), [0.0] * 7)}
        recipe = ("name: x\nmodel: {kind: mlp, hidden: []}\ndata: {kind: folder, size: 4, resize: 4}\n"
                  "learn: {linear: {rule: backprop, lr: 0}}\n")
        tensors.write(self.folder / "c.safetensors", weights, {"ghl.recipe": recipe, "ghl.input": input_note(4, 4, 3, 7)})
        pixels = [value for y in range(6) for x in range(12) for value in ((200 if 2 <= x < 10 else 0), 0, 0)]
        (self.folder / "a.png").write_bytes(png(12, 6, 3, pixels))
        row, = json.loads(self.ghl("predict", "c.safetensors", "a.png", "--json").stdout)["images"]
        self.assert_classes(row, 200)
        done = self.ghl("predict", "c.safetensors", "a.png", "data.size=5", "data.resize=5", status=3)
        self.assertIn("classifier.weight is [7,48], but the net's is [7,75]", done.stderr)

    def test_from_a_folder_to_names(self):
        """Two classes of colours, learned and told apart."""
        for part, n in (("train", 16), ("val", 4)):
            for name, base in (("blue sky", 40), ("red", 210)):
                (self.folder / "data" / part / name).mkdir(parents=True)
                for i in range(n):
                    self.image(f"data/{part}/{name}/{i}.png", base + i, 9, 9)
        (self.folder / "r.yaml").write_text("name: r\nmodel: {kind: mlp, hidden: []}\ndata: {kind: folder, path: data, size: 8}\n"
                                            "train: {epochs: 8, batch: 8}\nlearn: {linear: {rule: backprop, lr: 0.1}}\n")
        self.ghl("train", "r.yaml")
        done = self.ghl("predict", "runs/r", "data/val/red/0.png", "data/val/blue sky/3.png")
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 6)
        self.assertRegex(lines[1], r"^ +\d+\.\d\d %  red$")
        self.assertRegex(lines[4], r"^ +\d+\.\d\d %  blue sky$")

    def test_many_images_and_damaged_ones(self):
        self.linear()
        names = [self.image(f"{i}.png", i * 3) for i in range(70)]
        (self.folder / "text.jpg").write_text("no picture")
        (self.folder / "empty.png").write_text("")
        (self.folder / "cut.png").write_bytes((self.folder / "1.png").read_bytes()[:50])
        words = names[:10] + ["text.jpg"] + names[10:40] + ["missing.png", "empty.png"] + names[40:] + ["cut.png"]
        done = self.ghl("predict", "linear.safetensors", *words, "--json", status=3)
        rows = json.loads(done.stdout)["images"]
        self.assertEqual(sorted(row["image"] for row in rows), sorted(words))
        good = [row for row in rows if "classes" in row]
        self.assertEqual([row["image"] for row in good], names)
        for i, row in enumerate(good):
            self.assert_classes(row, i * 3)
        for name in ("text.jpg", "missing.png", "empty.png", "cut.png"):
            self.assertRegex(done.stderr, rf"(?m)^ghl: warning: .*{name}: ")
        self.assertRegex(done.stderr, r"(?m)^ghl: 4 of 74 images could not be read$")
        done = self.ghl("predict", "linear.safetensors", "missing.png", status=3)
        self.assertEqual(done.stdout, "")

    def test_words(self):
        self.linear()
        self.image("a=b.png", 30)
        (self.folder / "x=y").mkdir()
        self.image("x=y/c.png", 30)
        rows = json.loads(self.ghl("predict", "linear.safetensors", "a=b.png", "train.threads=1", "./x=y/c.png", "train.device=ref",
                                   "--json").stdout)["images"]
        self.assertEqual([row["image"] for row in rows], ["a=b.png", "./x=y/c.png"])
        self.assertIn("IMAGE is missing", self.ghl("predict", "linear.safetensors", "train.threads=1", status=2).stderr)
        self.assertIn("does not exist", self.ghl("predict", "nothing.safetensors", "a=b.png", status=3).stderr)
        self.assertIn("threads", self.ghl("predict", "linear.safetensors", "a=b.png", "train.thread=1", status=2).stderr)

    def test_nets_that_are_not_of_images(self):
        self.linear(channels=2)
        self.assertIn("2 channels", self.ghl("predict", "linear.safetensors", self.image("a.png", 1), status=3).stderr)

    def test_torchvision(self):
        """In evaluation mode: the logits of a trace, and the probabilities of the same pixels as pictures."""
        files = sorted(GOLDEN.glob("*.safetensors"))
        self.assertEqual([file.stem for file in files], ["resnet18", "resnet50", "vgg16", "vgg16_bn"])
        for file in files:
            golden, notes = tensors.read(file)
            weights = {name[len("weights/"):]: value for name, value in golden.items() if name.startswith("weights/")}
            images, height, width, channels = golden["pixels"].shape
            classes = golden["logits"].shape[1]
            logits = [golden["logits"].values[i * classes:(i + 1) * classes] for i in range(images)]
            for got, want in zip(self.traced(file.stem, golden, weights, notes["model"]), logits):
                for a, b in zip(got, want):
                    self.assertAlmostEqual(a, b, delta=1e-3, msg=file.stem)
            self.checkpoint("c.safetensors", weights, notes["model"], (channels, height, width), classes)
            size = height * width * channels
            for i in range(images):
                (self.folder / f"{i}.png").write_bytes(png(width, height, channels, golden["pixels"].values[i * size:(i + 1) * size]))
            rows = json.loads(self.ghl("predict", "c.safetensors", "0.png", "1.png", "2.png", "--json", "--top", classes).stdout)["images"]
            for row, want in zip(rows, map(softmax, logits)):
                for c in row["classes"]:
                    self.assertAlmostEqual(c["probability"], want[c["class"]], delta=1e-3, msg=file.stem)

    def traced(self, name, golden, weights, model):
        """The logits by `ghl trace`, of the pixels as PyTorch preprocesses them."""
        images, height, width, channels = golden["pixels"].shape
        pixels, classes = golden["pixels"].values, golden["logits"].shape[1]
        nchw = [(pixels[((n * height + h) * width + w) * channels + c] / 255 - 0.5) / 0.5
                for n in range(images) for c in range(channels) for h in range(height) for w in range(width)]
        (self.folder / "recipe.yaml").write_text(
            f"name: x\nmodel: {{{model}}}\ndata: {{kind: synthetic, shape: [{channels}, {height}, {width}], classes: {classes}}}\n"
            f"train: {{batch: {images}}}\n"
            "learn: {conv: {rule: frozen}, linear: {rule: backprop, lr: 0}, norm: {rule: frozen}}\n")
        tensors.write(self.folder / "w.safetensors", weights)
        tensors.write(self.folder / "i.safetensors", {"images": tensors.Tensor.make("F32", (images, channels, height, width), nchw),
                                                      "labels": tensors.Tensor.make("I64", (images,), [0] * images)})
        self.ghl("trace", "recipe.yaml", "--input", "i.safetensors", "--weights", "w.safetensors", "--output", "o.safetensors")
        out = tensors.read(self.folder / "o.safetensors")[0]["out/classifier.6" if name.startswith("vgg") else "out/fc"]
        return [out.values[i * classes:(i + 1) * classes] for i in range(images)]


if __name__ == "__main__":
    if not GHL:
        sys.exit(77)
    unittest.main()
