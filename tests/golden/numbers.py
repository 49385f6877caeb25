#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Recomputes the golden numbers of numbers.txt from the published equations and writes numbers.h for the C tests.

    tests/golden/numbers.py            check numbers.txt, and that numbers.h is what it gives; status 1 if not
    tests/golden/numbers.py --write    check, then write numbers.h

GHL (Hua et al. 2026): r_m = softmax(t u_m); d_k = sum_m r_mk (x_m - u_mk w_k); h = d / max|d|;
w <- w - lr (|h| sign(g) + wd w). Sign: |h| = 1. Standard library, double precision.
"""
import math
import sys
from pathlib import Path

Matrix = list[list[float]]
TOLERANCE = 1e-7      # of the largest entry: the numbers have eight digits
FOLDER = Path(__file__).resolve().parent


def rows(values: list[float], width: int) -> Matrix:
    return [values[i:i + width] for i in range(0, len(values), width)]


def flat(matrix: Matrix) -> list[float]:
    return [value for row in matrix for value in row]


def dot(a: list[float], b: list[float]) -> float:
    return sum(p * q for p, q in zip(a, b))


def sign(value: float) -> int:
    return (value > 0) - (value < 0)


def softmax(values: list[float]) -> list[float]:
    powers = [math.exp(value - max(values)) for value in values]
    return [power / sum(powers) for power in powers]


def preactivation(x: Matrix, w: Matrix) -> Matrix:
    return [[dot(column, filter_) for filter_ in w] for column in x]


def local_update(x: Matrix, w: Matrix, u: Matrix, r: Matrix) -> Matrix:
    return [[sum(r[m][k] * (x[m][f] - u[m][k] * w[k][f]) for m in range(len(x))) for f in range(len(w[0]))]
            for k in range(len(w))]


def layer_max(d: Matrix) -> Matrix:
    largest = max(abs(value) for value in flat(d))
    return [[value / (largest + 1e-30) for value in row] for row in d]


def step(w: list[float], h: list[float], g: list[float], lr: float, wd: float) -> list[float]:
    return [a - lr * (abs(b) * sign(c) + wd * a) for a, b, c in zip(w, h, g)]


def columns(image: Matrix, kernel: int, padding: int, stride: int) -> Matrix:
    """Patches of the zero-padded image, one row a position."""
    size = len(image)
    at = {(i, j): image[i][j] for i in range(size) for j in range(size)}
    places = range(-padding, size + padding - kernel + 1, stride)
    return [[at.get((i + a, j + b), 0.0) for a in range(kernel) for b in range(kernel)] for i in places for j in places]


def solve_layer(case: dict[str, list[float]]) -> dict[str, list[float]]:
    """G1 .. G4: u, r, d, h and, where there is a gradient, the weights after the step."""
    if "image" in case:
        size = math.isqrt(len(case["image"]))
        x = columns(rows(case["image"], size), 2, int(case["padding"][0]), int(case["stride"][0]))
    else:
        x = rows(case["x"], 2)
    w = rows(case["w"], len(x[0]))
    u = preactivation(x, w)
    r = [softmax([case["t"][0] * value for value in row]) for row in u]
    d = local_update(x, w, u, r)
    h = layer_max(d)
    found = {"u": flat(u), "r": flat(r), "d": flat(d), "h": flat(h)}
    if "g" in case:
        found["w_after"] = step(case["w"], flat(h), case["g"], case["lr"][0], case["wd"][0])
    return found


def solve_step(case: dict[str, list[float]]) -> dict[str, list[float]]:
    """G5: the whole step of a two-layer net on one image."""
    (x,) = rows(case["x"], 2)
    w, head = rows(case["w"], 2), rows(case["head"], 2)
    label = int(case["label"][0])
    (u,) = preactivation([x], w)
    hidden = [max(0.0, value) for value in u]
    logits = [dot(hidden, row) + b for row, b in zip(head, case["head_bias"])]
    p = softmax(logits)
    error = [p[c] - (c == label) for c in range(2)]
    back = [sum(error[c] * head[c][k] for c in range(2)) * (u[k] > 0) for k in range(2)]
    g = [back[k] * x[f] for k in range(2) for f in range(2)]
    h = flat(layer_max(local_update([x], w, [u], [softmax([case["t"][0] * value for value in u])])))
    lr = case["head_lr"][0]
    return {"u": u, "loss": [-math.log(p[label])], "g": g, "h": h,
            "w_after": step(case["w"], h, g, case["lr"][0], case["wd"][0]),
            "head_after": [head[c][k] - lr * error[c] * hidden[k] for c in range(2) for k in range(2)],
            "bias_after": [b - lr * e for b, e in zip(case["head_bias"], error)]}


def solve_sign(case: dict[str, list[float]]) -> dict[str, list[float]]:
    return {"w_after": step(case["w"], [1.0] * len(case["w"]), case["g"], case["lr"][0], case["wd"][0])}


SOLVERS = {"G1": solve_layer, "G2": solve_layer, "G3": solve_layer, "G3b": solve_layer, "G4": solve_layer, "G5": solve_step,
           "N1": solve_sign}
RESULTS = {"u", "r", "d", "h", "w_after", "loss", "head_after", "bias_after"}      # and g in G5; the rest are inputs


def read() -> dict[str, dict[str, list[str]]]:
    cases: dict[str, dict[str, list[str]]] = {}
    for line in (FOLDER / "numbers.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, values = line.partition(" = ")
            case, _, quantity = name.partition(".")
            cases.setdefault(case, {})[quantity] = values.split()
    return cases


def check(cases: dict[str, dict[str, list[str]]]) -> list[str]:
    wrong = []
    compared = 0
    for name, texts in cases.items():
        case = {quantity: [float(text) for text in values] for quantity, values in texts.items()}
        results = RESULTS | ({"g"} if name == "G5" else set())
        found = SOLVERS[name]({quantity: values for quantity, values in case.items() if quantity not in results})
        for quantity in results & case.keys():
            want, got = case[quantity], found[quantity]
            largest = max(abs(value) for value in got)
            if len(want) != len(got) or any(abs(a - b) > TOLERANCE * largest for a, b in zip(want, got)):
                wrong.append(f"{name}.{quantity}: numbers.txt has {want}, the equations give {got}")
            compared += 1
    print(f"golden numbers: {compared} compared, {len(wrong)} wrong")
    return wrong


def header(cases: dict[str, dict[str, list[str]]]) -> str:
    lines = ["/* SPDX-License-Identifier: Apache-2.0", " *",
             " * Written by numbers.py from numbers.txt, which says what the quantities are. */",
             "#ifndef GHL_TESTS_GOLDEN_NUMBERS_H", "#define GHL_TESTS_GOLDEN_NUMBERS_H", ""]
    lines += [f"static const double {case.lower()}_{quantity}[{len(values)}] = {{{', '.join(values)}}};"
              for case, quantities in cases.items() for quantity, values in quantities.items()]
    return "\n".join([*lines, "", "#endif", ""])


def main() -> int:
    cases = read()
    wrong = check(cases)
    path = FOLDER / "numbers.h"
    if not wrong and "--write" in sys.argv[1:]:
        path.write_text(header(cases))
    if not path.exists() or path.read_text() != header(cases):
        wrong.append("numbers.h is not what numbers.txt gives: run tests/golden/numbers.py --write")
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
