# SPDX-License-Identifier: Apache-2.0
"""One PyTorch contestant of bench/compare: a process that trains one net by one rule in one memory layout.

    python bench/peer.py --net deephebb --rule ghl --layout contiguous --batch 64 --threads 2

It makes a batch in memory and two warm-up steps, prints a line of JSON with its versions, and then obeys lines on standard
input: `SECONDS` runs whole steps for at least that long and answers {"images_per_s": ...}; end of input ends it. So several
contestants can wait, loaded and warm, and take turns. A process of its own, since jemalloc has to be preloaded.
"""
import argparse
import json
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "oracle"))
import nets  # noqa: E402
import rules  # noqa: E402

RATES = {  # the published rates (systems' protocols); they do not change the speed
    ("deephebb", "ghl"): (rules.Row("ghl", 1e-2, 5e-2), rules.Row("backprop", 5e-3)),
    ("fasthebb", "ghl"): (rules.Row("ghl", 5e-2, 1e-2), rules.Row("backprop", 1e-4)),
}
BACKPROP = (rules.Row("backprop", 5e-2, 5e-4), rules.Row("backprop", 5e-2, 5e-4))


class Contestant:
    def __init__(self, options: argparse.Namespace):
        torch.manual_seed(1)
        torch.set_num_threads(options.threads)
        conv, linear = RATES.get((options.net, options.rule), BACKPROP)
        self.learn = {"conv": conv, "linear": linear}
        layers = {"conv": rules.HebbConv2d} if options.rule == "ghl" else {}
        layout = torch.channels_last if options.layout == "channels_last" else torch.contiguous_format
        self.model = nets.NETS[options.net](**layers).to(memory_format=layout).train()
        rules.prepare(self.model, self.learn)
        self.optimiser = torch.optim.SGD(rules.groups(self.model, self.learn), lr=0.0)
        self.images = torch.randn(options.batch, 3, 32, 32).to(memory_format=layout)
        self.labels = torch.randint(0, 10, (options.batch,))

    def step(self) -> None:
        loss = F.cross_entropy(self.model(self.images), self.labels)
        self.optimiser.zero_grad()
        loss.backward()
        rules.guide(self.model, self.learn)
        self.optimiser.step()

    def measure(self, seconds: float) -> float:
        start = time.perf_counter()
        steps = 0
        while steps == 0 or time.perf_counter() - start < seconds:
            self.step()
            steps += 1
        return steps * len(self.images) / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--net", required=True, choices=["deephebb", "fasthebb"])
    parser.add_argument("--rule", required=True, choices=["backprop", "ghl"])
    parser.add_argument("--layout", default="contiguous", choices=["contiguous", "channels_last"])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    contestant = Contestant(parser.parse_args())
    for _ in range(2):
        contestant.step()
    print(json.dumps({"torch": torch.__version__, "onednn": torch.backends.mkldnn.is_available()}), flush=True)
    for line in sys.stdin:
        print(json.dumps({"images_per_s": contestant.measure(float(line))}), flush=True)


if __name__ == "__main__":
    main()
