# SPDX-License-Identifier: Apache-2.0
"""What bench/compare measures, each thing when a row first asks for it, and once."""
import argparse
import json
import statistics
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

from contestants import CUDA_MODES, MODES, NETS, ROOT, Mode, Ours, Peer, PeerFailed, take_turns
from table import OUR_BP, OUR_GHL, PEER_BP, PEER_GHL, PEER_IDENTITY, RUNNER_UP, TITLES, Figures, weight_gradients

DEEP_BATCH = 32
TABLE_1 = ROOT / "recipes" / "table1-deephebb-ghl-cifar10.yaml"
SCOUT_SECONDS = 1.5
CLOSE = 0.9
HEAD = """name: head
model: {{kind: deephebb, channels: [8, 8, 1536]}}
data: {{kind: synthetic, size: {images}, test_size: 64}}
train: {{epochs: {epochs}, batch: 64, device: cpu, threads: {threads}, log_every: {rows}}}
optimiser: {{kind: adam}}
phases:
  - {{name: head, frozen_to: flatten, learn: {{linear: {{rule: backprop, lr: 1e-3}}}}}}
"""


def note(text: str) -> None:
    print(f"compare: {text}", file=sys.stderr, flush=True)


def run_json(*command: str | Path) -> dict:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise SystemExit(f"compare: {command[0]} failed: {done.stderr.strip()}")
    return json.loads(done.stdout)


def train(ghl: Path, recipe: Path, run: Path, *settings: str, timeout: int = 300) -> tuple[float, list[dict]]:
    """Seconds by the clock, and the log's rows."""
    start = time.perf_counter()
    done = subprocess.run([ghl, "train", recipe, *settings, "--run", run], capture_output=True, text=True, timeout=timeout)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        raise SystemExit(f"compare: ghl train gave status {done.returncode}: {done.stderr.strip()}")
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return seconds, [row for row in rows if "images_per_s" in row]


class Lab:
    """A net trains in "f32" and in "bf16", where the machine takes that; each has its own turns."""

    def __init__(self, options: argparse.Namespace, folder: Path):
        self.options, self.folder = options, folder
        self.programs = options.ghl.parent / "bench"
        self.doctor = run_json(options.ghl, "doctor", "--json")
        self.on_gpu = options.device != "cpu"
        self.half = self.on_gpu or not self.doctor["bf16"]["value"].startswith("refused")
        self.peak = None if self.on_gpu else run_json(self.programs / "ghl_bench_ops", "--peak", "--threads", str(options.threads))
        self.raced: dict[tuple[str, str], dict[str, Figures]] = {}
        self.raced_local: dict[tuple[str, str], dict[str, Figures]] = {}
        self.scouted: dict[tuple[str, str], dict[str, float | None]] = {}
        self.profiles: dict[tuple[str, str, str], dict] = {}
        self.gradients: dict[str, float] = {}
        self.versions: dict[str, str] = {}

    def ours(self, net: str, rule: str, *settings: str, batch: int | None = None) -> Ours:
        large = (f"train.batch={batch}",) if batch and not self.options.batch else ()
        return Ours(self.options, self.folder, net, rule, *settings, *large)

    def scout(self, net: str, rule: str, mode: Mode) -> float | None:
        """Images a second of one short block; None where PyTorch cannot."""
        found = self.scouted.setdefault((net, rule), {})
        if str(mode) not in found:
            note(f"{TITLES[net]}, {rule}: PyTorch, {mode}")
            found[str(mode)] = None
            try:
                peer = Peer(self.options, self.folder, net, rule, mode)
                found[str(mode)] = peer.block(min(SCOUT_SECONDS, self.options.seconds))
                self.versions = peer.versions
                peer.close()
            except PeerFailed as failure:
                note(f"{failure}; {(self.folder / 'peer.err').read_text().strip()[-500:]}")
        return found[str(mode)]

    def fastest(self, net: str, rule: str, dtypes: list[str], name: str) -> dict[str, Peer]:
        """PyTorch in its fastest mode of these types, and in the next one where a short block cannot tell which is faster; on a GPU
        always, since a row is about the captured mode, the fastest or not."""
        modes = CUDA_MODES[rule] if self.on_gpu else MODES
        speeds = {mode: self.scout(net, rule, mode) or 0 for mode in modes if mode.dtype in dtypes}
        best, second = sorted(speeds, key=lambda mode: -speeds[mode])[:2]
        if speeds[best] == 0:
            raise SystemExit(f"compare: PyTorch trains {net} by {rule} in no mode")
        found = {name: Peer(self.options, self.folder, net, rule, best)}
        if speeds[second] > (0 if self.on_gpu else CLOSE * speeds[best]):
            found[name + RUNNER_UP] = Peer(self.options, self.folder, net, rule, second)
        return found

    @cache
    def turns(self, net: str, dtype: str) -> dict[str, Figures]:
        """The published way takes part in its faster type beside our faster one; for the first two nets also f32 beside f32. For large
        nets it would take minutes a step."""
        if dtype == "bf16" and not self.half:
            return {}
        dtypes = ["f32", "bf16"] if dtype == "bf16" else ["f32"]
        setting = f"train.dtype={dtype}"
        running: dict[str, Ours | Peer] = {OUR_BP: self.ours(net, "backprop", setting), OUR_GHL: self.ours(net, "ghl", setting)}
        running |= self.fastest(net, "backprop", dtypes, PEER_BP)
        published = not self.options.backprop_only and net not in ("vgg", "resnet18", "resnet50")
        if published and (dtype == "bf16" or not self.half or net != "resnet_cifar"):
            running |= self.fastest(net, "ghl", dtypes, PEER_GHL)
        if not self.options.backprop_only and dtype == "f32" and net in ("deephebb", "fasthebb"):
            running[PEER_IDENTITY] = Peer(self.options, self.folder, net, "ghl_by_identity", MODES[0])
        note(f"{TITLES[net]}, {dtype}: {len(running)} contestants in turn")
        self.raced[net, dtype] = take_turns(running, self.options.repeats)
        return self.raced[net, dtype]

    @cache
    def large_turns(self, net: str, batch: int) -> dict[str, Figures]:
        """Our own two, bf16."""
        note(f"{TITLES[net]}, batch {batch}")
        running = {name: self.ours(net, rule, "train.dtype=bf16", batch=batch) for name, rule in ((OUR_BP, "backprop"), (OUR_GHL, "ghl"))}
        return take_turns(running, self.options.repeats)

    @cache
    def local_turns(self, net: str, rule: str) -> dict[str, Figures]:
        """A step by a rule without a gradient, ours and PyTorch's, and our own backprop's; fp32."""
        running: dict[str, Ours | Peer] = {OUR_BP: self.ours(net, "backprop"), f"ghl {rule}": self.ours(net, rule)}
        running |= self.fastest(net, rule, ["f32"], f"PyTorch {rule}")
        note(f"{TITLES[net]}, {rule}: {len(running)} contestants in turn")
        self.raced_local[net, rule] = take_turns(running, self.options.repeats)
        return self.raced_local[net, rule]

    @cache
    def profile(self, net: str, rule: str, dtype: str) -> dict:
        note(f"{TITLES[net]}, {rule}, {dtype}: profile")
        self.profiles[net, rule, dtype] = self.ours(net, rule, f"train.dtype={dtype}").bench("--profile")
        return self.profiles[net, rule, dtype]

    @cache
    def arena(self, net: str, dtype: str = "f32", batch: int | None = None) -> float:
        ghl, backprop = (self.ours(net, rule, f"train.dtype={dtype}", batch=batch).ask("plan")["arena_bytes"]
                         for rule in ("ghl", "backprop"))
        return ghl / backprop

    @cache
    def depth(self) -> float:
        """By GHL, in the faster type, a batch that fits any machine."""
        note("ResNet-110 and ResNet-1202")
        settings = (f"train.dtype={'bf16' if self.half else 'f32'}", f"train.batch={self.options.batch or DEEP_BATCH}")
        shallow, deep = (self.ours("resnet_cifar", "ghl", f"model.depth={depth}", *settings) for depth in (110, 1202))
        found = take_turns({"110": shallow, "1202": deep}, min(self.options.repeats, 3))
        return found["110"].over(found["1202"])

    @cache
    def head(self, images: int = 4096, epochs: int = 12) -> float:
        """Images a second of a classifier on as many kept features as DeepHebb has, median of epochs; the layers that make them, once,
        are narrower."""
        note("head on kept features")
        recipe, run = self.folder / "head.yaml", self.folder / "head"
        recipe.write_text(HEAD.format(images=images, epochs=epochs, rows=images // 64, threads=self.options.threads))
        _, rows = train(self.options.ghl, recipe, run)
        return statistics.median([row["images_per_s"] for row in rows][1:])

    @cache
    def training(self, images: int = 50000, tests: int = 10000, epochs: int = 4, *settings: str) -> tuple[float, float]:
        """Table 1's DeepHebb on a synthetic set of CIFAR-10's size, bf16: seconds of 100 epochs with start, evaluations and saves, which
        are those of a few and so many more of their median one; and per cent of its time that a median epoch waits for data."""
        note("DeepHebb trains on a set of CIFAR-10's size")
        settings = ("data.kind=synthetic", f"data.size={images}", f"data.test_size={tests}", f"train.epochs={epochs}",
                    f"train.device={self.options.device}", "train.dtype=bf16", f"train.log_every={-(-images // 64)}", *settings)
        seconds, rows = train(self.options.ghl, TABLE_1, self.folder / "training", *settings)
        ends = [row["elapsed_s"] for row in rows]
        epoch = statistics.median(second - first for first, second in zip(ends, ends[1:]))
        return seconds + (100 - epochs) * epoch, statistics.median(row["wait_percent"] for row in rows[1:])

    def weight_gradient(self) -> float | None:
        """GFLOP/s of our best way for one gradient."""
        if self.half:
            note("weight gradients")
            command = [self.programs / "ghl_bench_conv", str(self.options.threads), "1000", "deephebb conv3", "16"]
            self.gradients = weight_gradients(subprocess.run(command, capture_output=True, text=True, timeout=300).stdout)
        ours = [speed for way, speed in self.gradients.items() if not way.startswith("onednn") and not way.endswith("pair")]
        return max(ours, default=None)

    @cache
    def first_step(self) -> float | None:
        """Seconds from the start of `ghl train` on Fashion-MNIST to the end of its first step, saved; None without the data set."""
        times = []
        for i in range(self.options.repeats):
            start = time.perf_counter()
            done = subprocess.run([self.options.ghl, "train", ROOT / "recipes" / "quickstart.yaml", "--run", self.folder / f"run{i}",
                                   "--stop-after", "1"], capture_output=True, text=True, timeout=60)
            times.append(time.perf_counter() - start)
            if done.returncode == 3:
                return None
            if done.returncode != 75:
                raise SystemExit(f"compare: ghl train gave status {done.returncode}: {done.stderr.strip()}")
        return statistics.median(times)
