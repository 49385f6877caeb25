#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs `ghl trace` on the golden files and compares every tensor. Standard library only.

    tests/oracle/golden_check.py build/ghl [--device ref] [FILE ...]      (default: tests/golden/*.safetensors)

A golden file (golden.py) holds a step's inputs, PyTorch's answers and the recipe. Compared: the relative L2 difference of each
tensor; whole numbers exactly. On failure every tensor's error is listed. Status 0: all agree; 1: some do not; 2: wrong usage.
"""
import argparse
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import tensors

TOLERANCE = {"grad": 5e-5, "direction": 5e-5, "local": 1e-5, "after": 1e-5}      # of float32 against float64
DEFAULT = 1e-5


def difference(got: tensors.Tensor, want: tensors.Tensor) -> float:
    """Relative L2; infinite where shapes, types or finiteness differ."""
    if got.shape != want.shape or got.dtype != want.dtype and {got.dtype, want.dtype} - {"F32", "F64", "I64"}:
        return math.inf
    if got.dtype == "I64" and got.values != want.values:
        return math.inf
    error = math.sqrt(sum((a - b) ** 2 for a, b in zip(got.values, want.values)))
    norm = math.sqrt(sum(b * b for b in want.values))
    if not math.isfinite(error):
        return math.inf
    return error / norm if norm > 0 else error


def trace(ghl: str, recipe: str, inputs: dict[str, tensors.Tensor], weights: dict[str, tensors.Tensor], overrides: list[str],
          folder: Path) -> dict[str, tensors.Tensor]:
    (folder / "recipe.yaml").write_text(recipe)
    tensors.write(folder / "input.safetensors", inputs)
    tensors.write(folder / "weights.safetensors", weights)
    command = [ghl, "trace", str(folder / "recipe.yaml"), *overrides, "--input", str(folder / "input.safetensors"),
               "--weights", str(folder / "weights.safetensors"), "--output", str(folder / "output.safetensors"), "--grad"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(f"status {done.returncode}: {done.stderr.strip()}")
    return tensors.read(folder / "output.safetensors")[0]


def compare(path: Path, ghl: str, overrides: list[str]) -> list[tuple[str, float, float]]:
    """(name, error, tolerance) of every expected tensor; a missing one has an infinite error."""
    golden, metadata = tensors.read(path)
    weights = {name[len("weights/"):]: value for name, value in golden.items() if name.startswith("weights/")}
    inputs = {name: golden[name] for name in ("images", "labels")}
    with tempfile.TemporaryDirectory() as folder:
        got = trace(ghl, metadata["recipe"], inputs, weights, overrides, Path(folder))
    rows = []
    for name, want in sorted(golden.items()):
        if name not in inputs and not name.startswith("weights/"):
            error = difference(got[name], want) if name in got else math.inf
            rows.append((name, error, TOLERANCE.get(name.split("/")[0], DEFAULT)))
    rows += [(f"before/{name}", difference(got[f"before/{name}"], want), 0.0) for name, want in weights.items()
             if f"before/{name}" in got]
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description="compares `ghl trace` with the golden files")
    parser.add_argument("ghl", help="the program, e.g. build/ghl")
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--device", default="", help="ref or cpu (default: the recipe's)")
    parser.add_argument("--verbose", action="store_true", help="list every tensor of files that agree, too")
    options = parser.parse_args()
    files = options.files or sorted((Path(__file__).resolve().parent.parent / "golden").glob("*.safetensors"))
    if not files:
        print("golden_check: no golden files", file=sys.stderr)
        return 2
    overrides = [f"train.device={options.device}"] if options.device else []
    wrong = compared = 0
    for path in files:
        try:
            rows = compare(path, options.ghl, overrides)
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            print(f"FAIL {path.name}: {error}")
            wrong += 1
            continue
        bad = [name for name, error, tolerance in rows if error > tolerance]
        worst = max(rows, key=lambda row: row[1])
        compared += len(rows)
        print(f"{'FAIL' if bad else 'ok  '} {path.name}: {len(rows)} tensors, worst {worst[1]:.1e} {worst[0]}")
        if bad or options.verbose:
            for name, error, tolerance in rows:
                print(f"    {'!' if error > tolerance else ' '} {name:40s} {error:.2e} (at most {tolerance:.0e})")
        wrong += bool(bad)
    print(f"golden files: {len(files) - wrong} of {len(files)} agree, {compared} tensors compared")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
