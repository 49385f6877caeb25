# SPDX-License-Identifier: Apache-2.0
"""Who races in bench/compare: `ghl` with a recipe, and processes of peer.py; and what is known of the nets that they train."""
import argparse
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from table import Figures

ROOT = Path(__file__).resolve().parent.parent
# PyTorch's memory is not returned to the kernel after each step; in bf16, huge pages for the allocator's own data too.
JEMALLOC = {"f32": "oversize_threshold:1,dirty_decay_ms:-1,muzzy_decay_ms:-1"}
JEMALLOC["bf16"] = JEMALLOC["f32"] + ",metadata_thp:auto"
BACKPROP = "conv: {rule: backprop, lr: 5e-2, weight_decay: 5e-4}\n  linear: {rule: backprop, lr: 5e-2, weight_decay: 5e-4}"

IMAGENET = "{kind: synthetic, shape: [3, 224, 224], classes: 1000, size: 128}"


@dataclass(frozen=True)
class Net:
    """As in peer.py. momentum: of its backprop; GHL has none."""

    model: str
    batch: int
    momentum: float
    rates: tuple[str, str, str]    # GHL: rate and decay of convolutions, rate of linear layers
    data: str = "{kind: synthetic, size: 1024}"

    def recipe(self, rule: str, threads: int, batch: int | None) -> str:
        conv, decay, linear = self.rates
        learn = f"conv: {{rule: {rule}, lr: {conv}}}\n  linear: {{rule: {rule}, lr: {conv}}}"      # rules that need no gradient
        if rule == "backprop":
            learn = BACKPROP
        elif rule == "ghl":
            learn = f"conv: {{rule: ghl, lr: {conv}, weight_decay: {decay}}}\n  linear: {{rule: backprop, lr: {linear}}}"
        momentum = self.momentum if rule == "backprop" else 0
        return (f"name: compare\nmodel: {self.model}\ndata: {self.data}\n"
                f"train: {{epochs: 1, batch: {batch or self.batch}, device: cpu, threads: {threads}}}\n"
                f"optimiser: {{kind: sgd, momentum: {momentum}}}\nlearn:\n  {learn}\n")


NETS = {
    "resnet_cifar": Net("{kind: resnet_cifar, depth: 20}", 128, 0.9, ("1e-2", "1e-2", "5e-3")),
    "deephebb": Net("{kind: deephebb}", 64, 0, ("1e-2", "5e-2", "5e-3")),
    "fasthebb": Net("{kind: fasthebb}", 64, 0, ("5e-2", "1e-2", "1e-4")),
    "vgg": Net("{kind: vgg, depth: 16}", 64, 0.9, ("1e-2", "1e-2", "5e-3")),
    "resnet18": Net("{kind: resnet, depth: 18}", 32, 0.9, ("1e-2", "1e-2", "5e-2"), IMAGENET),
    "resnet50": Net("{kind: resnet, depth: 50}", 16, 0.9, ("1e-2", "1e-2", "5e-2"), IMAGENET),
}


class Ours:
    """`ghl` with a recipe on synthetic data; `settings` are key=value words."""

    mode = ""

    def __init__(self, options: argparse.Namespace, folder: Path, net: str, rule: str, *settings: str):
        self.ghl, self.seconds, self.settings = options.ghl, options.seconds, (f"train.device={options.device}", *settings)
        self.recipe = folder / f"{net}-{rule}.yaml"
        self.recipe.write_text(NETS[net].recipe(rule, options.threads, options.batch))
        self.steps = 2
        self.steps = max(2, round(1000 * self.seconds / self.bench()["step_ms"]["median"]))

    def ask(self, command: str, *arguments: str) -> dict:
        done = subprocess.run([self.ghl, command, self.recipe, *self.settings, *arguments, "--json"], capture_output=True, text=True,
                              timeout=600)
        if done.returncode != 0:
            raise SystemExit(f"compare: ghl {command} gave status {done.returncode}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def bench(self, *arguments: str) -> dict:
        return self.ask("bench", "--steps", str(self.steps), *arguments)

    def block(self) -> float:
        return self.bench()["images_per_s"]["median"]

    def close(self) -> None:
        pass


class PeerFailed(SystemExit):
    """PyTorch's process ended: the end of the comparison, unless somebody can do without."""


@dataclass(frozen=True)
class Mode:
    """A way to run PyTorch."""

    layout: str
    dtype: str
    compiled: bool

    def __str__(self) -> str:
        return f"{self.dtype} {self.layout}" + (", compiled" if self.compiled else "")


# torch.compile lays memory out as it likes, so one layout is enough for it.
MODES = [Mode(layout, dtype, compiled) for dtype in ("f32", "bf16")
         for layout, compiled in (("contiguous", False), ("channels_last", False), ("channels_last", True))]
CUDA_MODES = {"backprop": [Mode("channels_last", "bf16", True), Mode("channels_last", "bf16", False)],
              "ghl": [Mode("contiguous", "f32", False), Mode("contiguous", "bf16", False), Mode("channels_last", "bf16", False)]}


class Peer:
    """A process of peer.py that waits between its turns."""

    def __init__(self, options: argparse.Namespace, folder: Path, net: str, rule: str, mode: Mode):
        self.seconds, self.mode = options.seconds, str(mode)
        environment = dict(os.environ, OMP_NUM_THREADS=str(options.threads), TORCHINDUCTOR_CACHE_DIR=str(folder / "inductor"),
                           TORCHINDUCTOR_COMPILE_THREADS="1")    # no pool of workers that outlives its parent
        if options.jemalloc:
            environment |= {"LD_PRELOAD": options.jemalloc, "MALLOC_CONF": JEMALLOC[mode.dtype]}
        command = [options.python, ROOT / "bench" / "peer.py", "--net", net, "--rule", rule, "--layout", mode.layout, "--dtype", mode.dtype,
                   "--batch", str(options.batch or NETS[net].batch), "--threads", str(options.threads), "--device", options.device]
        with open(folder / "peer.err", "w") as errors:
            self.process = subprocess.Popen(command + ["--compiled"] * mode.compiled, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=errors, text=True, env=environment)
        self.versions = self.answer()

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise PeerFailed(f"compare: PyTorch's process ended with status {self.process.wait()}")
        return json.loads(line)

    def block(self, seconds: float | None = None) -> float:
        self.process.stdin.write(f"{seconds or self.seconds}\n")
        self.process.stdin.flush()
        return self.answer()["images_per_s"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def take_turns(running: dict[str, Ours | Peer], repeats: int) -> dict[str, Figures]:
    """Lets the contestants run block by block in turn, and ends them."""
    found = {name: Figures(mode=contestant.mode) for name, contestant in running.items()}
    try:
        for _ in range(repeats):
            for name, contestant in running.items():
                found[name].blocks.append(contestant.block())
        return found
    finally:
        for contestant in running.values():
            contestant.close()
