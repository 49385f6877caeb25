# SPDX-License-Identifier: Apache-2.0
"""bench/compare --data FOLDER: loading photographs, beside PyTorch's DataLoader with torchvision and a plain decode by libjpeg-turbo.

As a program, of the environment's Python, it is the DataLoader:

    python bench/loading.py FOLDER --workers 2 --size 224 --batch 32

reads FOLDER/train by ImageFolder, RandomResizedCrop and RandomHorizontalFlip, in two ways: `bytes` stops at 8 bits (PILToTensor), which is
what ghl's loader hands out, `floats` goes on to normalised floats (ToTensor, Normalize), as trainings in PyTorch mostly have it. Workers
live on, and the files come over and over again, so that no start is timed. It prints a line when it is ready and obeys lines
`WAY SECONDS` on standard input, each answered by {"images_per_s": ...}.
"""
import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WAYS = ("bytes", "floats")


# ---- The DataLoader ----

def endless(options: argparse.Namespace, way: str):
    from torch.utils.data import ConcatDataset, DataLoader
    from torchvision import datasets, transforms as t
    last = [t.PILToTensor()] if way == "bytes" else [t.ToTensor(), t.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]
    view = t.Compose([t.RandomResizedCrop(options.size), t.RandomHorizontalFlip(), *last])
    images = datasets.ImageFolder(str(options.folder / "train"), view)
    many = ConcatDataset([images] * max(1, 20000 // len(images)))
    loader = DataLoader(many, options.batch, shuffle=True, num_workers=options.workers, persistent_workers=options.workers > 0)
    while True:
        for batch, _ in loader:
            yield len(batch)


def peer(options: argparse.Namespace) -> None:
    import torch
    import torchvision
    torch.set_num_threads(1)
    streams = {way: endless(options, way) for way in WAYS}
    print(json.dumps({"torch": torch.__version__, "torchvision": torchvision.__version__}), flush=True)
    for line in sys.stdin:
        way, seconds = line.split()
        for _ in range(4 * options.workers):    # what was made ready while nobody asked
            next(streams[way])
        began, done = time.monotonic(), 0
        while time.monotonic() - began < float(seconds):
            done += next(streams[way])
        print(json.dumps({"images_per_s": done / (time.monotonic() - began)}), flush=True)


class DataLoaderPeer:
    def __init__(self, python: Path, folder: Path, workers: int):
        self.process = subprocess.Popen([python, __file__, folder, "--workers", str(workers)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.versions = self.answer()

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"compare: the DataLoader ended with status {self.process.wait()}")
        return json.loads(line)

    def block(self, way: str, seconds: float) -> float:
        self.process.stdin.write(f"{way} {seconds}\n")
        self.process.stdin.flush()
        return self.answer()["images_per_s"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


# ---- Ours ----

def ours(ghl: Path, path: Path) -> dict:
    return json.loads(subprocess.run([ghl, "data", "bench", path, "--json"], check=True, capture_output=True, text=True).stdout)


def plain_decode(program: Path, folder: Path, seconds: float) -> float:
    """Images a second of one thread, by its own time."""
    text = subprocess.run([program, folder / "train", "224", str(seconds)], check=True, capture_output=True, text=True).stdout
    line = next(line for line in text.splitlines() if line.startswith("full decode"))
    return float(line.split("images/s")[0].split()[-1])


def table(rows: list[tuple[str, list[float], list[float] | None]]) -> str:
    lines = ["| images/s | ghl | other | ratio |", "|---|---|---|---|"]
    for title, mine, other in rows:
        ratio = f"{statistics.median(a / b for a, b in zip(mine, other)):.2f}" if other else ""
        lines.append(f"| {title} | {statistics.median(mine):,.0f} | {f'{statistics.median(other):,.0f}' if other else ''} | {ratio} |")
    return "\n".join(lines) + "\n"


def compare(options: argparse.Namespace, workers: int) -> str:
    """Takes turns, so that what else the machine does falls on all; a ratio is the median of those of neighbours."""
    loader = DataLoaderPeer(options.python, options.data, workers)
    found: dict[str, list] = {name: [] for name in ("folder", "jpeg", "raw", "decode", *WAYS)}
    with tempfile.TemporaryDirectory() as name:
        files = {"jpeg": Path(name) / "jpeg.ghl", "raw": Path(name) / "raw.ghl"}
        for form, file in files.items():
            subprocess.run([options.ghl, "data", "pack", options.data, file] + ["--raw"] * (form == "raw"), check=True)
        for _ in range(options.repeats):
            found["folder"].append(ours(options.ghl, options.data))
            for way in WAYS:
                found[way].append(loader.block(way, options.seconds))
            found["decode"].append(plain_decode(options.ghl.parent / "bench" / "ghl_bench_picture", options.data, options.seconds / 2))
            for form, file in files.items():
                found[form].append(ours(options.ghl, file))
    loader.close()
    everything = {name: [run["loader_images_per_s"]["all"] for run in found[name]] for name in ("folder", "jpeg", "raw")}
    thread = {name: [run["thread_images_per_s"] for run in found[name]] for name in ("folder", "jpeg", "raw")}
    return f"PyTorch {loader.versions['torch']}, torchvision {loader.versions['torchvision']}\n\n" + table([
        (f"folder to 224 x 224, {workers} workers; DataLoader and torchvision to bytes", everything["folder"], found["bytes"]),
        ("the same; to normalised floats", everything["folder"], found["floats"]),
        ("the same, one thread by its own time; plain full decode by libjpeg-turbo", thread["folder"], found["decode"]),
        (f"packed JPEG 256, {workers} workers; DataLoader and torchvision of the folder, to bytes", everything["jpeg"], found["bytes"]),
        ("packed JPEG 256, one thread by its own time", thread["jpeg"], None),
        ("packed raw 256, one thread by its own time", thread["raw"], None),
    ])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="PyTorch's DataLoader with torchvision, timed on demand")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    peer(parser.parse_args())
