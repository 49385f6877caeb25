#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""DeepHebb, FastHebb, ResNet-20 and VGG-16 in full size, one step by GHL: `ghl trace` against PyTorch, same weights and batch.

    .venv/bin/python tests/oracle/trace_compare.py build/ghl [--data FOLDER] [--net NAME] [--batch 16] [--device cpu] [--bf16]

FOLDER holds CIFAR-10's binary files; without it the images are random. Needs bench/venv's environment. Per tensor it prints the
relative L2 difference of ghl (float32) from PyTorch in float32, and of both from PyTorch in float64, the third witness: two
float32 programs differ where a ReLU or a maximum is nearly tied. Fails over: local/ 1e-4, grad/ 1e-2; gradients whose sign
differs hold at most 1e-3 of the gradient's absolute mass; and where |g| is above a thousandth of its maximum and both signs
agree, which must be nearly everywhere, the weight makes the same step. (At batch 16 one tie in VGG's last maps, which hold 8192
errors that are not 0, weighs 1.1e-2 in grad/: a larger batch or another seed tells it from a mistake.)

--bf16: how far a step in bf16 is from the same step in float32, ghl's beside that of PyTorch's bf16 autocast and beside a floor: float32
throughout, but that each convolution's output is rounded to bf16 once, which nobody who keeps activations in bf16 avoids. Each rounding
flips ReLUs and maxima that are nearly tied, and through 13 layers of VGG that adds up. Fails over local/ 3e-2, grad/ 0.3, or 3 % of the
gradient's absolute mass with another sign; where 1.5 times the floor's distance (2.25 times its flips, which grow with the square of the
distance: more signs flip, and larger ones) is more, over that.
"""
import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

import nets
import rules
import step
import tensors

LIMIT = {"local": 1e-4, "grad": 1e-2}
FLIPPED_MASS = 1e-3
LARGE = 1e-3              # of the largest |g|
HALF_LIMIT = {"local": 3e-2, "grad": 0.3}
HALF_FLIPPED_MASS = 0.03
FLOORS = (1.5, 2.25)      # a step in bf16 rounds normalised activations, errors and weights as well
STEP = 1e-3               # relative L2 difference of the steps where the gradient is large


def batch_of(folder: Path | None, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images in -1..1 [N,3,32,32] and labels."""
    if folder is None:
        return torch.randn(count, 3, 32, 32).clamp(-1, 1), torch.randint(0, 10, (count,))
    record = 1 + 3 * 32 * 32
    content = bytearray((folder / "data_batch_1.bin").read_bytes()[:count * record])
    records = torch.frombuffer(content, dtype=torch.uint8).view(count, record)
    return (records[:, 1:].float() / 255 - 0.5).div(0.5).view(count, 3, 32, 32), records[:, 0].long()


def recipe_of(net: str, count: int, device: str, dtype: str = "f32") -> str:
    rows = "\n".join(f"  {kind}: {{rule: {row.rule}, lr: {row.lr}, weight_decay: {row.weight_decay}}}"
                     for kind, row in zip(("conv", "linear"), rules.RATES[net]))
    return (f"name: trace-{net}\nmodel: {{kind: {net}}}\ndata: {{kind: synthetic, size: 64}}\n"
            f"train: {{epochs: 1, batch: {count}, device: {device}, dtype: {dtype}}}\nlearn:\n{rows}\n"
            "optimiser: {kind: sgd}\nschedule: {kind: constant}\n")


def ours(ghl: str, recipe: str, images: torch.Tensor, labels: torch.Tensor, state: dict) -> dict[str, torch.Tensor]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "recipe.yaml").write_text(recipe)
        tensors.write(folder / "input.safetensors", {"images": step.to_file(images), "labels": step.to_file(labels)})
        tensors.write(folder / "weights.safetensors", {key: step.to_file(value) for key, value in state.items()})
        subprocess.run([ghl, "trace", folder / "recipe.yaml", "--input", folder / "input.safetensors", "--weights",
                        folder / "weights.safetensors", "--output", folder / "output.safetensors", "--grad"], check=True, timeout=600,
                       stdout=subprocess.DEVNULL)
        return {key: step.from_file(value) for key, value in tensors.read(folder / "output.safetensors")[0].items()}


def round_once(module: torch.nn.Module, inputs: tuple, output: torch.Tensor) -> torch.Tensor:
    """The output as bf16 holds it; the error passes as it is."""
    return output + (output.detach().bfloat16().to(output.dtype) - output.detach())


def pytorch(net: str, dtype: torch.dtype, images: torch.Tensor, labels: torch.Tensor, state: dict,
            autocast: bool = False, rounded: bool = False) -> dict[str, torch.Tensor]:
    model = nets.NETS[net](conv=rules.HebbConv2d)
    model.load_state_dict(state)
    for module in model.modules() if rounded else ():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(round_once)
    learn = dict(zip(("conv", "linear"), rules.RATES[net]))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        return step.traced_step(model.to(dtype), images.to(dtype), labels, learn, {"kind": "sgd"})


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a.double() - b.double()).norm() / b.double().norm()) if (a != b).any() else 0.0


def compare(got: dict, single: dict, double: dict, state: dict) -> int:
    """Prints a line a tensor; returns the number of tensors over a limit."""
    wrong = 0
    print(f"  {'tensor':28s} {'ghl-torch32':>11s} {'ghl-torch64':>11s} {'torch32-64':>11s} {'flips':>9s} {'steps':>9s}")
    for name in sorted(key for key in single if key.split("/")[0] in LIMIT or key in ("loss", "correct")):
        if name not in got:
            print(f"! {name:28s} is not in the trace")
            wrong += 1
            continue
        errors = [relative(got[name], single[name]), relative(got[name], double[name]), relative(single[name], double[name])]
        bad = not errors[0] <= LIMIT.get(name.split("/")[0], 1e-5)
        flips = steps = None
        if name.startswith("grad/"):
            flips, steps = follow(name[len("grad/"):], got, single, state)
            bad |= not flips <= FLIPPED_MASS or not steps <= STEP
        columns = [f"{value:11.2e}" for value in errors] + [f"{value:9.1e}" for value in (flips, steps) if value is not None]
        print("!" if bad else " ", f"{name:28s}", *columns)
        wrong += bad
    return wrong


def flipped(got: torch.Tensor, want: torch.Tensor) -> float:
    """The share of the absolute mass of `want` whose sign is another in `got`."""
    return float(want.double().abs()[got.sign() != want.sign()].sum() / want.double().abs().sum())


def compare_half(ghl: dict, ghl_half: dict, torch32: dict, torch_half: dict, torch_rounded: dict) -> int:
    """Prints a line a tensor, bf16 against float32 in either program; returns the number of ghl's over a limit."""
    wrong = 0
    print(f"  {'bf16 - float32':28s} {'ghl':>9s} {'flips':>9s} {'autocast':>9s} {'flips':>9s} {'floor':>9s} {'flips':>9s}")
    for name in sorted(key for key in torch32 if key.split("/")[0] in HALF_LIMIT and key in ghl and torch32[key].dim() > 1):
        columns = []
        for half, single in ((ghl_half, ghl), (torch_half, torch32), (torch_rounded, torch32)):
            columns += [relative(half[name], single[name]), flipped(half[name], single[name])]
        bad = not columns[0] <= max(HALF_LIMIT[name.split("/")[0]], FLOORS[0] * columns[4])
        bad |= name.startswith("grad/") and not columns[1] <= max(HALF_FLIPPED_MASS, FLOORS[1] * columns[5])
        print("!" if bad else " ", f"{name:28s}", *(f"{value:9.1e}" for value in columns))
        wrong += bad
    return wrong


def follow(weight: str, got: dict, single: dict, state: dict) -> tuple[float, float]:
    """(share of |g| whose sign differs, relative difference of the steps where |g| is large in both)."""
    g, h = single[f"grad/{weight}"].double(), got[f"grad/{weight}"].double()
    differs = g.sign() != h.sign()
    flips = float(g.abs()[differs].sum() / g.abs().sum())
    large = (g.abs() > LARGE * g.abs().max()) & ~differs
    before = state[weight].double()
    wanted, made = (trace[f"after/{weight}"].double()[large] - before[large] for trace in (single, got))
    # a step is the difference of two rounded weights: what rounding alone may put there is forgiven
    rounding = before[large].norm() * torch.finfo(torch.float32).eps
    return flips, float(((made - wanted).norm() - 2 * rounding).clamp(min=0) / wanted.norm())


def main() -> int:
    parser = argparse.ArgumentParser(description="full-size `ghl trace` against PyTorch")
    parser.add_argument("ghl")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--net", choices=sorted(rules.RATES), action="append")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bf16", action="store_true", help="a step in bf16 against the same in float32")
    options = parser.parse_args()
    wrong = 0
    for net in options.net or sorted(rules.RATES):
        torch.manual_seed(options.seed)
        state = nets.NETS[net]().state_dict()
        images, labels = batch_of(options.data, options.batch)
        print(f"{net}, batch {options.batch}, {options.data or 'random images'}, PyTorch {torch.__version__}")
        got = ours(options.ghl, recipe_of(net, options.batch, options.device), images, labels, state)
        single = pytorch(net, torch.float32, images, labels, state)
        if options.bf16:
            half = ours(options.ghl, recipe_of(net, options.batch, options.device, "bf16"), images, labels, state)
            wrong += compare_half(got, half, single, pytorch(net, torch.float32, images, labels, state, autocast=True),
                                  pytorch(net, torch.float32, images, labels, state, rounded=True))
            continue
        wrong += compare(got, single, pytorch(net, torch.float64, images, labels, state), state)
    print("all tensors agree" if not wrong else f"{wrong} tensors are over a limit")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
