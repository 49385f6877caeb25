# SPDX-License-Identifier: Apache-2.0
"""One PyTorch contestant of bench/compare: a process that trains one net by one rule in one mode.

    python bench/peer.py --net deephebb --rule ghl --layout contiguous --dtype f32 --batch 64 --threads 2 [--compiled] [--device cuda]

It makes a batch in memory and a few warm-up steps, prints a line of JSON with its versions, and then obeys lines on standard
input: `SECONDS` runs whole steps for at least that long and answers {"images_per_s": ...} (of the median step); end of input
ends it. So several contestants can wait, loaded and warm, and take turns. A process of its own, since jemalloc has to be
preloaded. Rules: `backprop`; `ghl`, as published; `ghl_by_identity`, which takes Oja's decay once and not for each image;
`softhebb`, `swta`, `hpca`, `hwta_bcm` for all weights, without a backward pass (tests/oracle/local_rules.py: unfold and matmul).
bf16 is autocast; --compiled is torch.compile of forward, loss and their backward (on a CPU it needs a C++ compiler, not Triton), on
a GPU with mode="reduce-overhead", which is CUDA graphs. There f32 is TF32. The optimiser is PyTorch's fused one, the fastest it has.
"""
import argparse
import json
import re
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "oracle"))
import nets  # noqa: E402
import rules  # noqa: E402



@dataclass(frozen=True)
class Net:
    """As the recipes of bench/compare. kind and options: in tests/oracle/nets.py. momentum: of its backprop; GHL has none."""

    kind: str
    options: dict = field(default_factory=dict)
    momentum: float = 0.0
    image: tuple[int, int, int] = (3, 32, 32)
    classes: int = 10


IMAGENET = {"image": (3, 224, 224), "classes": 1000}
NETS = {"deephebb": Net("deephebb"), "fasthebb": Net("fasthebb"), "resnet_cifar": Net("resnet_cifar", {"depth": 20}, 0.9),
        "vgg": Net("vgg", {"depth": 16}, 0.9), "resnet18": Net("resnet", {"depth": 18}, 0.9, **IMAGENET),
        "resnet50": Net("resnet", {"depth": 50}, 0.9, **IMAGENET)}
BACKPROP = (rules.Row("backprop", 5e-2, 5e-4), rules.Row("backprop", 5e-2, 5e-4))
LAYERS = {"ghl": rules.HebbConv2d, "ghl_by_identity": rules.HebbConv2dByIdentity}
LOCAL = ("softhebb", "swta", "hpca", "hwta_bcm")
WARM_UP = 3
AHEAD = 4       # steps queued on a GPU, as `ghl bench` does


class Watch:
    """Marks ends of steps by the clock."""

    def mark(self) -> float:
        return time.perf_counter()

    def wait(self, mark: float) -> None:
        pass

    def between(self, first: float, second: float) -> float:
        return second - first


class CudaWatch(Watch):
    """By events, which the GPU passes when all that was queued before is done."""

    def mark(self) -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def wait(self, mark: torch.cuda.Event) -> None:
        mark.synchronize()

    def between(self, first: torch.cuda.Event, second: torch.cuda.Event) -> float:
        return first.elapsed_time(second) / 1000


class Contestant:
    def __init__(self, options: argparse.Namespace):
        torch.manual_seed(1)
        torch.set_num_threads(options.threads)
        device = torch.device(options.device)
        self.kind, on_gpu = device.type, device.type == "cuda"
        if on_gpu:
            torch.cuda.set_device(device.index or 0)
            torch.set_float32_matmul_precision("high")
            torch.backends.cudnn.benchmark = True
        self.watch = CudaWatch() if on_gpu else Watch()
        self.local = options.rule in LOCAL
        hebbian = self.local or options.rule in LAYERS
        net = NETS[options.net]
        rows = (rules.Row(options.rule),) * 2 if self.local else rules.RATES[net.kind] if hebbian else BACKPROP
        layers = {"conv": LAYERS.get(options.rule, rules.HebbConv2d)} if hebbian else {}
        layers |= {"linear": rules.HebbLinear} if self.local else {}
        self.learn = dict(zip(("conv", "linear"), rows))
        layout = torch.channels_last if options.layout == "channels_last" else torch.contiguous_format
        self.model = nets.NETS[net.kind](image=net.image, classes=net.classes, **net.options, **layers).train()
        self.model.to(device=device, memory_format=layout)
        rules.prepare(self.model, self.learn)
        self.optimiser = torch.optim.SGD(rules.groups(self.model, self.learn), lr=0.0, momentum=0.0 if hebbian else net.momentum, fused=True)
        self.images = torch.randn(options.batch, *net.image).to(device=device, memory_format=layout)
        self.labels = torch.randint(0, net.classes, (options.batch,)).to(device)
        self.half = options.dtype == "bf16"
        self.loss = torch.compile(self.forward, mode="reduce-overhead" if on_gpu else None) if options.compiled else self.forward

    def forward(self) -> torch.Tensor:
        with torch.autocast(self.kind, torch.bfloat16, enabled=self.half):
            return F.cross_entropy(self.model(self.images), self.labels)

    def step(self) -> None:
        self.optimiser.zero_grad()      # first: a captured step's gradients lie where the next one writes
        with torch.set_grad_enabled(not self.local):
            loss = self.loss()
        if not self.local:
            loss.backward()
        rules.guide(self.model, self.learn)
        self.optimiser.step()

    def measure(self, seconds: float) -> float:
        """Images a second of the median step, which lasts from the end of the one before to its own."""
        marks, start = [self.watch.mark()], time.perf_counter()
        while len(marks) < 2 or time.perf_counter() - start < seconds:
            self.step()
            marks.append(self.watch.mark())
            self.watch.wait(marks[max(0, len(marks) - AHEAD)])
        self.watch.wait(marks[-1])
        return len(self.images) / statistics.median(map(self.watch.between, marks, marks[1:]))


def libraries(kind: str) -> str:
    if kind == "cuda":
        return f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    found = re.search(r"MKL-DNN v(\S+)", torch.__config__.show())
    return f"oneDNN {found[1] if found else 'none'}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--net", required=True, choices=list(NETS))
    parser.add_argument("--rule", required=True, choices=["backprop", *LAYERS, *LOCAL])
    parser.add_argument("--layout", default="contiguous", choices=["contiguous", "channels_last"])
    parser.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:1")
    contestant = Contestant(parser.parse_args())
    for _ in range(WARM_UP):
        contestant.step()
    print(json.dumps({"torch": torch.__version__, "libraries": libraries(contestant.kind)}), flush=True)
    for line in sys.stdin:
        print(json.dumps({"images_per_s": contestant.measure(float(line))}), flush=True)


if __name__ == "__main__":
    main()
