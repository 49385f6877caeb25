# SPDX-License-Identifier: Apache-2.0
"""The table of bench/compare: what is demanded, how each row follows from what a lab measured, and the report. Runs nothing itself.

A lab (lab.py) answers: half (does this machine take bf16?), turns(net, dtype) (figures of contestants that took turns; empty where
the dtype is refused), profile(net, rule, dtype), arena(net), depth(), head(), weight_gradient(), first_step(); on a GPU
large_turns(net, batch) and training() too. What it could not measure is None, and the row says "not run".
"""
import re
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

TITLES = {"resnet_cifar": "ResNet-20", "deephebb": "DeepHebb", "fasthebb": "FastHebb", "vgg": "VGG-16",
          "resnet18": "ResNet-18", "resnet50": "ResNet-50"}
OUR_BP, OUR_GHL = "ghl backprop", "ghl GHL"
PEER_BP, PEER_GHL, PEER_IDENTITY = "PyTorch backprop", "PyTorch GHL as published", "PyTorch GHL, decay by our identity"
RUNNER_UP = ", next mode"
PROFILES = (("resnet_cifar", "backprop"), ("resnet_cifar", "ghl"), ("deephebb", "ghl"))
OWN_KERNELS = ("batch_norm", "relu", "add", "softmax_channels", "max_pool", "average_pool", "direction")
HAND_BEGIN = "<!-- from here on by hand: bench/compare keeps it -->"


@dataclass
class Figures:
    """Images a second of each block of a contestant, and the mode that it ran in."""

    blocks: list[float] = field(default_factory=list)
    mode: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.blocks)

    def over(self, other: "Figures") -> float:
        """How many times as fast: the median of the ratios block by block."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.blocks, other.blocks, strict=True))

    def __str__(self) -> str:
        return f"{min(self.blocks):.1f} / **{self.median:.1f}** / {max(self.blocks):.1f}" + (f" ({self.mode})" if self.mode else "")


# ---- How a row is measured --------------------------------------------------------------------------------------------------------

Measure = Callable[["Lab"], float | None]


def ratio(net: str, dtype: str, mine: str, other: str) -> Measure:
    def measure(lab) -> float | None:
        found = lab.turns(net, dtype)
        others = [found[name] for name in (other, other + RUNNER_UP) if name in found]
        return found[mine].over(max(others, key=lambda figures: figures.median)) if found else None
    return measure


def local_ratio(net: str, rule: str, other: str) -> Measure:
    def measure(lab) -> float | None:
        found = lab.local_turns(net, rule)
        others = [found[name] for name in (other, other + RUNNER_UP) if name in found]
        return found[f"ghl {rule}"].over(max(others, key=lambda figures: figures.median))
    return measure


def captured(net: str) -> Measure:
    """Our backprop against PyTorch's as CUDA graphs, whether or not that is its fastest."""
    def measure(lab) -> float | None:
        found = lab.turns(net, "bf16")
        others = [figures for figures in found.values() if "compiled" in figures.mode]
        return found[OUR_BP].over(others[0]) if others else None
    return measure


def published(net: str) -> Measure:
    """Each side in its faster dtype."""
    return lambda lab: ratio(net, "bf16" if lab.half else "f32", OUR_GHL, PEER_GHL)(lab)


def convolutions(profile: dict) -> tuple[float, float]:
    """(milliseconds, 10^9 operations) of a step's convolutions."""
    rows = [row for row in profile["profile"] if row["op"].startswith("conv") and row["node"].startswith("conv")]
    return sum(row["ms"] for row in rows), sum(row["ms"] * row["gflops_s"] / 1000 for row in rows)


def convolutions_share(lab) -> float:
    """Per cent of the fp32 peak, DeepHebb and FastHebb together."""
    profiles = [lab.profile(net, "ghl", "f32") for net in ("deephebb", "fasthebb")]
    work = [convolutions(profile) for profile in profiles]
    return 100 * sum(done for _, done in work) / (sum(ms for ms, _ in work) / 1000) / max(p["machine_gflops_s"] for p in profiles)


def own_kernels_share(lab) -> float:
    """Per cent of the copy bandwidth of the levels that each call's bytes lie in, weighted by time."""
    rows = [row for net, rule in PROFILES for row in lab.profile(net, rule, "bf16" if lab.half else "f32")["profile"]
            if row["op"].startswith(OWN_KERNELS)]
    return 100 * sum(row["ms"] * row["share_of_copy"] for row in rows) / sum(row["ms"] for row in rows)


def weight_gradients(text: str) -> dict[str, float]:
    """GFLOP/s by way, from the line "weights" of ghl_bench_conv's first shape: "  weights   onednn16 890  amx tiles16 2400"."""
    found: dict[str, float] = {}
    line = re.search(r"^ +weights +(.*)$", text, re.M)
    name: list[str] = []
    for word in line[1].split() if line else []:
        if re.fullmatch(r"\d+(\.\d+)?", word):
            found[" ".join(name)] = float(word)
            name = []
        else:
            name.append(word)
    return found


# ---- The rows ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """at_least: larger is better."""

    title: str
    must: float
    aim: float
    measure: Measure
    at_least: bool = True
    form: str = "{:.2f}"

    def line(self, measured: float | None) -> str:
        must, aim = self.form.format(self.must), self.form.format(self.aim)
        sign = ">=" if self.at_least else "<="
        if measured is None:
            return f"| {self.title} | {sign} {must} | {aim} | - | not run |"
        met = measured >= self.must if self.at_least else measured <= self.must
        return f"| {self.title} | {sign} {must} | {aim} | {self.form.format(measured)} | {'met' if met else 'missed'} |"


def all_rows() -> list[Row]:
    bp = [("resnet_cifar", "f32", "BP ResNet-20 batch 128, fp32", 1.05, 1.25), ("resnet_cifar", "bf16", "BP ResNet-20, bf16", 1.4, 2.3),
          ("deephebb", "bf16", "BP DeepHebb batch 64, bf16", 1.3, 2.5), ("fasthebb", "bf16", "BP FastHebb batch 64, bf16", 1.3, 2.2),
          ("vgg", "bf16", "BP VGG-16 batch 64 (CIFAR), bf16", 1.5, 2.5),
          ("deephebb", "f32", "BP DeepHebb, fp32", 1.05, 1.25), ("fasthebb", "f32", "BP FastHebb, fp32", 1.15, 1.4),
          ("resnet18", "f32", "BP ResNet-18 at 224, batch 32, fp32", 1.0, 1.3),
          ("resnet50", "f32", "BP ResNet-50 at 224, batch 16, fp32", 1.0, 1.2),
          ("resnet50", "bf16", "BP ResNet-50 at 224, batch 16, bf16", 1.0, 1.2)]
    ghl = [("resnet_cifar", 4.5, 8), ("deephebb", 2.6, 6), ("fasthebb", 2.4, 4.9)]
    rows = [Row(title, must, aim, ratio(net, dtype, OUR_BP, PEER_BP)) for net, dtype, title, must, aim in bp]
    rows += [Row(f"GHL {TITLES[net]} against the published way, each in its faster dtype", must, aim, published(net))
             for net, must, aim in ghl]
    rows += [Row(f"GHL {TITLES[net]} against the published way, fp32", must, aim, ratio(net, "f32", OUR_GHL, PEER_GHL))
             for net, must, aim in (("deephebb", 1.7, 2.1), ("fasthebb", 1.8, 2.2))]
    costs = [(net, dtype, 1.28) for net in ("resnet_cifar", "vgg", "deephebb") for dtype in ("f32", "bf16")] + [("fasthebb", "f32", 1.3)]
    rows += [Row(f"GHL step / own BP step, {TITLES[net]}, {dtype.replace('f32', 'fp32')}", 1.40, aim,
                 ratio(net, dtype, OUR_BP, OUR_GHL), at_least=False) for net, dtype, aim in costs]
    local = [("deephebb", "softhebb"), ("deephebb", "hwta_bcm"), ("fasthebb", "swta"), ("fasthebb", "hpca")]
    rows += [Row(f"{rule} {TITLES[net]} against PyTorch (unfold, matmul), fp32", 2, 4, local_ratio(net, rule, f"PyTorch {rule}"))
             for net, rule in local]
    rows += [Row(f"{rule} against own BP step, {TITLES[net]}, times as fast, fp32", 1.33, 1.6, local_ratio(net, rule, OUR_BP))
             for net, rule in local]
    return rows + [
        Row("ResNet-1202 / ResNet-110, time of an image", 12.0, 11.4, lambda lab: lab.depth(), at_least=False),
        Row("head epochs on kept features, DeepHebb's 24,576, fp32", 20000, 26000, lambda lab: lab.head(), form="{:.0f} images/s"),
        Row("weight gradient 384->1536 at 8x8, batch 64, bf16", 2000, 3000, lambda lab: lab.weight_gradient(), form="{:.0f} GFLOP/s"),
        Row("own kernels (BN, ReLU, add, softmax, pools, direction), share of copy bandwidth", 80, 95, own_kernels_share, form="{:.0f} %"),
        Row("convolutions of DeepHebb and FastHebb, share of measured fp32 peak", 65, 80, convolutions_share, form="{:.0f} %"),
        Row("start of `ghl train` to the end of its first step, Fashion-MNIST", 0.5, 0.2, lambda lab: lab.first_step(), at_least=False,
            form="{:.2f} s"),
        *(Row(f"arena of GHL against own BP, {TITLES[net]}", 1.20, 1.10, lambda lab, net=net: lab.arena(net), at_least=False)
          for net in ("deephebb", "fasthebb"))]


LARGE = ("deephebb", 1024)


def cuda_rows() -> list[Row]:
    ghl = [("deephebb", 64, 6, 10), ("fasthebb", 64, 8, 15), ("resnet_cifar", 128, 15, 25)]
    rows = [Row(f"GHL {TITLES[net]} batch {batch}, bf16, against the published way (eager)", must, aim, published(net))
            for net, batch, must, aim in ghl]
    rows += [Row(f"BP {TITLES[net]}, bf16, against PyTorch (compiled, reduce-overhead, channels_last)", 1.0, 1.5, captured(net))
             for net in ("deephebb", "resnet_cifar")]
    return rows + [
        Row("GHL step / own BP step, DeepHebb batch 1024, bf16", 1.36, 1.30,
            lambda lab: lab.large_turns(*LARGE)[OUR_BP].over(lab.large_turns(*LARGE)[OUR_GHL]), at_least=False),
        Row("GHL step / own BP step, ResNet-20 batch 128, bf16", 1.25, 1.15, ratio("resnet_cifar", "bf16", OUR_BP, OUR_GHL),
            at_least=False),
        Row("GHL DeepHebb batch 1024, bf16", 100000, 133000, lambda lab: lab.large_turns(*LARGE)[OUR_GHL].median, form="{:.0f} images/s"),
        Row("GHL DeepHebb batch 64, CIFAR-10's size, 100 epochs reckoned from 4, bf16", 60, 45, lambda lab: lab.training()[0],
            at_least=False, form="{:.1f} s"),
        Row("own kernels (BN, ReLU, add, softmax, pools, direction), share of copy bandwidth", 75, 90, own_kernels_share, form="{:.0f} %"),
        Row("arena of GHL against own BP, DeepHebb batch 1024, bf16", 1.05, 1.02, lambda lab: lab.arena(LARGE[0], "bf16", LARGE[1]),
            at_least=False),
        Row("waiting for data in that training", 1, 0, lambda lab: lab.training()[1], at_least=False, form="{:.1f} %")]


# ---- The report -------------------------------------------------------------------------------------------------------------------


def grid(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = list(head)
    return ["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *("| " + " | ".join(row) + " |" for row in rows), ""]


def contestants_grid(turns: dict[tuple[str, str], dict[str, Figures]], dtype: str) -> list[str]:
    found = {net: figures for (net, kind), figures in turns.items() if kind == dtype and figures}
    names = list(dict.fromkeys(name for figures in found.values() for name in figures))
    return grid([dtype.replace("f32", "fp32"), *(TITLES[net] for net in found)],
                ([name, *(str(figures.get(name, "-")) for figures in found.values())] for name in names)) if found else []


def modes_grid(scouted: dict[tuple[str, str], dict[str, float | None]]) -> list[str]:
    """Images a second of PyTorch's modes by (net, rule); None: failed."""
    modes = list(dict.fromkeys(mode for found in scouted.values() for mode in found))

    def cell(found: dict, mode: str) -> str:
        return "-" if mode not in found else "fails" if found[mode] is None else f"{found[mode]:.1f}"
    return grid(["PyTorch", *(f"{TITLES[net]} {rule}" for net, rule in scouted)],
                ([mode, *(cell(found, mode) for found in scouted.values())] for mode in modes))


def limit(row: dict) -> str:
    if row["share_of_peak"] > row["share_of_copy"]:
        return f"{100 * row['share_of_peak']:.0f} % of {row['peak']} peak"
    return f"{100 * row['share_of_copy']:.0f} % of {row['level']} copy"


def profile_section(net: str, rule: str, profile: dict, calls: int = 6) -> list[str]:
    ops = [op for op in profile["profile_ops"] if op["share"] >= 0.02]
    rows = sorted(profile["profile"], key=lambda row: -row["ms"])[:calls]
    lines = [f"{TITLES[net]}, {rule}, {profile['dtype']}, batch {profile['batch']}: {profile['step_ms']['median']:.2f} ms a step.", ""]
    lines += grid(["op", "calls", "ms", "share", "of what limits it"],
                  ([op["op"], str(op["calls"]), f"{op['ms']:.3f}", f"{100 * op['share']:.1f} %", f"{100 * op['share_of_limit']:.0f} %"]
                   for op in ops))
    return lines + grid(["slowest calls", "layer", "ms", "limit", "runs as"],
                        ([row["op"], row["node"], f"{row['ms']:.3f}", limit(row), row["note"]] for row in rows))


def report(measured: list[tuple[Row, float | None]], facts: dict[str, str], turns: dict, scouted: dict, profiles: dict,
           set_on: str = "a machine with AMX") -> str:
    lines = ["# Performance", "",
             f"Written by `bench/compare`; the targets were set on {set_on}. Differences below 10 % mean little on a shared one.",
             "", *(f"- {name}: {value}" for name, value in facts.items()), ""]
    lines += ["| one run | must | aim | measured | |", "|---|---|---|---|---|", *(row.line(value) for row, value in measured), ""]
    if turns:
        lines += ["Training images a second, min / **median** / max of the blocks; PyTorch in its fastest mode:", ""]
        lines += contestants_grid(turns, "f32") + contestants_grid(turns, "bf16")
    if scouted:
        lines += ["PyTorch's modes, a short block each (images a second); the fastest of a net and rule took part:", ""]
        lines += modes_grid(scouted)
    if profiles:
        lines += ["## What limits it", "",
                  "Rows of `ghl bench --profile`. A call is limited by arithmetic (of the type of its products) or by copying, whichever",
                  "would take longer; the share is of that limit. Each byte is copied at the speed of the level of caches that it lies in:",
                  "of the smallest that holds all that the program touched since that byte, or since what lay in its place, where the call",
                  "writes (`src/plan/reuse.c`). Named is the level that takes the most of the time.", ""]
        for (net, rule, _), profile in profiles.items():
            lines += profile_section(net, rule, profile)
    return "\n".join(lines)


def with_hand_part(text: str, old: str) -> str:
    """The report with what stood by hand in the file that it replaces."""
    at = old.find(HAND_BEGIN)
    return text.rstrip("\n") + "\n\n" + (old[at:] if at >= 0 else HAND_BEGIN + "\n")
