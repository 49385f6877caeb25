# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/*.safetensors: one training step of small nets, computed by PyTorch in float64, stored as float32.

    .venv/bin/python tests/oracle/golden.py [FOLDER]

A file holds the inputs (images, labels, weights/NAME) and what `ghl trace` must give back (loss, correct, out/, grad/, local/,
direction/, after/); its metadata holds the recipe. golden_check.py compares. The same PyTorch writes the same bytes.

A case is refused if its answer hangs on rounding: the same step in float32 must agree, no gradient whose sign is used may be
nearly zero, and GHL's local update must equal the published sum over positions, term by term.
"""
import sys
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

import nets
import rules
import step
import tensors
from rules import Row

LARGEST_OUTPUT = 140      # elements: larger outputs are left out of the files


@dataclass
class Case:
    net: str
    image: tuple[int, int, int]
    learn: dict[str, Row]
    size: dict = field(default_factory=dict)       # of the model, as PyTorch takes it
    recipe: str = ""                               # the same, as a recipe writes it
    optimiser: dict = field(default_factory=lambda: {"kind": "sgd"})
    images: int = 4
    classes: int = 4
    seed: int = 1
    branch: float = 1.0                            # times the scale of the last norm of a bottleneck: small for deep nets


GHL = {"conv": Row("ghl", 1e-2, 5e-2), "linear": Row("backprop", 5e-3)}
SIGN = {"conv": Row("sign", 1e-3, 1e-2), "linear": Row("backprop", 5e-3)}
BACKPROP = {"conv": Row("backprop", 5e-2, 5e-4), "linear": Row("backprop", 5e-2, 5e-4)}
DEEP = {"size": {"channels": (2, 3, 5)}, "recipe": "channels: [2, 3, 5]"}
FAST = {"size": {"channels": (3, 5, 6, 7), "hidden": 33}, "recipe": "channels: [3, 5, 6, 7], hidden: 33", "seed": 28}
RESNET = {"size": {"depth": 20, "channels": (2, 3, 4)}, "recipe": "depth: 20, channels: [2, 3, 4]"}
TORCHVISION = {"size": {"depth": 18, "channels": (2, 3, 3, 4)}, "recipe": "depth: 18, channels: [2, 3, 3, 4]"}
BOTTLENECKS = {"size": {"depth": 50, "channels": (4, 4, 4, 4)}, "recipe": "depth: 50, channels: [4, 4, 4, 4]", "branch": 0.1}
DEEP_LARGE = {"size": {"channels": (2, 2, 3, 3, 4), "temperatures": (1.1, 0.7, 0.5, 0.4, 0.25)},
              "recipe": "depth: 5, channels: [2, 2, 3, 3, 4], inverse_temperature: [1.1, 0.7, 0.5, 0.4, 0.25]"}
FAST_LARGE = {"size": {"channels": (2, 3, 3, 4, 5), "first_kernel": 7, "pools": (3, 1, 1, 2, 1), "hidden": 9},
              "recipe": "depth: 6, channels: [2, 3, 3, 4, 5], first_kernel: 7, pools: [3, 1, 1, 2, 1], hidden: 9"}
VGG = {"size": {"depth": 16, "channels": (2, 2, 3, 3, 4), "hidden": 9},
       "recipe": "depth: 16, channels: [2, 2, 3, 3, 4], hidden: 9"}
MLP = {"net": "mlp", "image": (1, 5, 3), "size": {"hidden": (7, 5)}, "recipe": "hidden: [7, 5]"}


def mlp(rule: str = "ghl", **options) -> Case:
    return Case(**MLP, learn={"conv": Row(), "linear": Row(rule, 1e-2, 5e-2, options)})


def local(rule: str, **options) -> dict[str, Row]:
    """Convolutions by a rule without a gradient."""
    return {"conv": Row(rule, 5e-2, 0.0, options), "linear": Row("backprop", 5e-3)}


CASES = {
    "deephebb_ghl": Case("deephebb", (3, 11, 9), GHL, **DEEP),
    "deephebb_sign": Case("deephebb", (1, 8, 8), SIGN, **DEEP),
    "deephebb_backprop": Case("deephebb", (3, 9, 12), BACKPROP, **DEEP),
    "deephebb_one_image": Case("deephebb", (1, 17, 18), GHL, **DEEP | {"images": 1}),
    "fasthebb_ghl": Case("fasthebb", (1, 24, 25), GHL, **FAST),
    "fasthebb_backprop": Case("fasthebb", (1, 24, 24), BACKPROP, **FAST | {"seed": 2}),
    "resnet20_ghl": Case("resnet_cifar", (1, 8, 9), GHL, **RESNET),
    "resnet20_sign": Case("resnet_cifar", (1, 8, 8), SIGN, **RESNET | {"seed": 2}),
    "resnet20_backprop": Case("resnet_cifar", (3, 9, 8), BACKPROP, **RESNET),
    "resnet18_ghl": Case("resnet", (1, 40, 36), GHL, **TORCHVISION),
    "resnet50_ghl": Case("resnet", (1, 40, 36), GHL, **BOTTLENECKS),
    "deephebb5_ghl": Case("deephebb", (1, 33, 35), GHL, **DEEP_LARGE),
    "fasthebb6_ghl": Case("fasthebb", (1, 42, 43), GHL, **FAST_LARGE),
    "vgg_ghl": Case("vgg", (1, 33, 32), GHL, **VGG),
    "vgg_backprop": Case("vgg", (1, 32, 35), BACKPROP, **VGG),
    "mlp_ghl": mlp(),
    "mlp_ghl_t": mlp(inverse_temperature=0.5),
    "mlp_ghl_neuron_max": mlp(scale="neuron_max"),
    "mlp_ghl_layer_rms": mlp(scale="layer_rms", power=0.5),
    "mlp_ghl_neuron_rms": mlp(scale="neuron_rms"),
    "deephebb_softhebb": Case("deephebb", (3, 11, 9), local("softhebb"), **DEEP),
    "deephebb_softhebb_soft": Case("deephebb", (1, 8, 8), local("softhebb", variant="soft", rate_power=0.75), **DEEP),
    "deephebb_softhebb_hard": Case("deephebb", (1, 9, 8), local("softhebb", variant="hard"), **DEEP),
    "deephebb_softhebb_supervised": Case("deephebb", (1, 8, 9), local("softhebb") | {"linear": Row("softhebb", 1e-2, 0.0,
                                                                                                    {"variant": "supervised"})}, **DEEP),
    "deephebb_ghl_swta": Case("deephebb", (1, 9, 8), local("ghl", local="swta"), **DEEP),
    "fasthebb_swta": Case("fasthebb", (1, 24, 24), local("swta"), **FAST),
    "fasthebb_hpca": Case("fasthebb", (1, 24, 25), local("hpca"), **FAST),
    "deephebb_hwta_bcm": Case("deephebb", (2, 9, 8), local("hwta_bcm"), **DEEP),
    "deephebb_hwta_hard": Case("deephebb", (2, 8, 9), local("hwta_bcm", variant="hard"), **DEEP),
    "deephebb_hwta_basic": Case("deephebb", (2, 8, 8), local("hwta_bcm", variant="basic"), **DEEP),
    "resnet20_oja": Case("resnet_cifar", (1, 8, 9), local("oja"), **RESNET),
    "mlp_hebb": mlp("hebb"),
    "mlp_swta_hard": mlp("swta", variant="hard", winners=2),
    "mlp_swta_power": mlp("swta", variant="power", power=5),
    "mlp_hpca_linear": mlp("hpca", response="linear"),
    "mlp_sign": Case(**MLP, learn={"conv": Row(), "linear": Row("sign", 1e-3, 1e-2)}),
    "mlp_backprop": Case(**MLP, learn=BACKPROP),
    "mlp_nesterov": Case(**MLP, learn=BACKPROP, optimiser={"kind": "sgd", "momentum": 0.9, "nesterov": True}),
    "mlp_adam": Case(**MLP, learn=BACKPROP, optimiser={"kind": "adam"}),
}


def flow(pairs: dict) -> str:
    """A YAML flow mapping of plain values."""
    text = {True: "true", False: "false"}
    return "{" + ", ".join(f"{key}: {text[value] if isinstance(value, bool) else value}" for key, value in pairs.items()) + "}"


def recipe_of(name: str, case: Case) -> str:
    rows = {kind: flow({"rule": row.rule, "lr": row.lr, "weight_decay": row.weight_decay, **row.options})
            for kind, row in case.learn.items() if kind != "conv" or case.net != "mlp"}
    return "\n".join([
        f"name: {name}",
        f"model: {{kind: {case.net}, {case.recipe}}}",
        f"data: {{kind: synthetic, shape: {list(case.image)}, classes: {case.classes}, size: 64, augment: none}}",
        f"train: {{epochs: 1, batch: {case.images}}}",
        "learn:",
        *(f"  {kind}: {row}" for kind, row in rows.items()),
        f"optimiser: {flow(case.optimiser)}",
        "schedule: {kind: constant}",
        "",
    ])


def build(case: Case) -> nn.Module:
    layers = {"linear": rules.HebbLinear} | ({} if case.net == "mlp" else {"conv": rules.HebbConv2d})
    return nets.NETS[case.net](image=case.image, classes=case.classes, **case.size, **layers)


def inputs_of(case: Case) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Random float32 images, labels and weights; running statistics and counters as a trained net would have."""
    torch.manual_seed(case.seed)
    state = build(case).state_dict()
    for name, value in state.items():
        if name.endswith("num_batches_tracked"):
            value.fill_(7)
        elif name.endswith("running_var") or (".weight" in name and value.dim() == 1):
            value.uniform_(0.5, 1.5)
            if name.endswith("bn3.weight"):
                value *= case.branch
        elif value.dim() == 1:
            value.uniform_(-0.5, 0.5)
    return torch.randn(case.images, *case.image), torch.randint(0, case.classes, (case.images,)), state


def run(case: Case, dtype: torch.dtype, inputs: tuple) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    images, labels, state = inputs
    model = build(case)
    model.load_state_dict(state)
    return model, step.traced_step(model.to(dtype), images.to(dtype), labels, case.learn, case.optimiser)


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    a, b = a.double(), b.double()
    return float((a - b).norm() / (b.norm() + 1e-300)) if (a - b).any() else 0.0


def refuse_if_fragile(name: str, case: Case, inputs: tuple, trace: dict[str, torch.Tensor]) -> None:
    _, single = run(case, torch.float32, inputs)
    for key, value in trace.items():
        if relative(single[key], value) > 1e-5:
            raise SystemExit(f"{name}: {key} depends on rounding ({relative(single[key], value):.1e}); take another seed")
    for kind, found in rules.weights_by_kind(build(case)).items():
        for weight, *_ in found:
            g = trace[f"grad/{weight}"].abs()
            if rules.complete(case.learn)[kind].rule in ("ghl", "sign") and ((g > 0) & (g < 1e-5 * g.max())).any():
                raise SystemExit(f"{name}: {weight} has a gradient near zero; take another seed")


def refuse_if_wrong(name: str, case: Case, inputs: tuple, trace: dict[str, torch.Tensor]) -> None:
    """local/ against the sum over positions as the paper writes it."""
    _, _, state = inputs
    model = build(case)
    rules.prepare(model, case.learn)
    for key in [key for key in trace if key.startswith("local/")]:
        layer = key[len("local/"):-len(".weight")]
        if model.get_submodule(layer).local_rule:      # is that sum already, over columns
            continue
        x = trace[f"in/{layer}"]
        w = state[f"{layer}.weight"].double()
        module = model.get_submodule(layer)
        if w.dim() == 4:
            x = F.unfold(x, module.kernel_size, padding=module.padding, stride=module.stride).transpose(1, 2).flatten(0, 1)
        bias = state.get(f"{layer}.bias")
        d = rules.local_by_definition(x, w.flatten(1), None if bias is None else bias.double(), module.inverse_temperature)
        if relative(trace[key], d.view_as(w)) > 1e-12:
            raise SystemExit(f"{name}: {key} differs from the sum over positions by {relative(trace[key], d.view_as(w)):.1e}")


def contents(case: Case, inputs: tuple, trace: dict[str, torch.Tensor]) -> dict[str, tensors.Tensor]:
    images, labels, state = inputs
    followed = {name for kind, found in rules.weights_by_kind(build(case)).items() for name, *_ in found
                if rules.complete(case.learn)[kind].rule != "backprop"}
    kept = {"images": images, "labels": labels} | {f"weights/{name}": value for name, value in state.items()}
    for key, value in trace.items():
        what, _, name = key.partition("/")
        if what == "in" or what == "out" and value.numel() > LARGEST_OUTPUT:
            continue
        if what == "direction" and name not in followed:      # backprop's direction is the gradient
            continue
        kept[key] = value
    return {key: step.to_file(value) for key, value in kept.items()}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "golden"
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    total = 0
    for name, case in CASES.items():
        inputs = inputs_of(case)
        _, trace = run(case, torch.float64, inputs)
        refuse_if_fragile(name, case, inputs, trace)
        refuse_if_wrong(name, case, inputs, trace)
        path = folder / f"{name}.safetensors"
        tensors.write(path, contents(case, inputs, trace), {"recipe": recipe_of(name, case), "torch": torch.__version__})
        total += path.stat().st_size
        print(f"{path.stat().st_size:7d} {path.name}")
    print(f"{total:7d} bytes in {len(CASES)} files")


if __name__ == "__main__":
    main()
