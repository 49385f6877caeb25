#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Recomputes the golden numbers of numbers.txt from the published equations and writes numbers.h for the C tests.

    tests/golden/numbers.py            check numbers.txt, and that numbers.h is what it gives; status 1 if not
    tests/golden/numbers.py --write    check, then write numbers.h

GHL (Hua et al. 2026): r_m = softmax(t u_m); d_k = sum_m r_mk (x_m - u_mk w_k); h = d / max|d|;
w <- w - lr (|h| sign(g) + wd w). Sign: |h| = 1.
SoftHebb (Journe et al. 2023): r as above, negative but for the largest u; d and h as above; w_k <- w_k + rate_k h_k.
SWTA (Lagani et al. 2022): s = ((cos(w_k, x_m) + 1) / 2)^2; z_m = softmax(s_m / kappa);
d_k = sum_m z_mk^2 (x_m - w_k) / sum_m z_mk.
HPCA (the same): y = relu(u); d_k = sum_m y_mk (x_m - sum_{j <= k} y_mj w_j) / (M sqrt(F)).
HWTA-BCM (Nimmo & Mondragon 2025): v = y at the winner, else 0; theta = theta/2 + mean_m(v^2)/2; d = sum_m v (v - theta) x_m.
Standard library, double precision.
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


def columns(image: Matrix, kernel: int, padding: int, stride: int, reflect: bool = False) -> Matrix:
    """Patches of the padded image, one row a position. Padding is zero, or reflects without repeating the edge."""
    size = len(image)

    def at(i: int, j: int) -> float:
        if reflect:
            i, j = (abs(k) if k < size else 2 * size - 2 - k for k in (i, j))
        return image[i][j] if 0 <= i < size and 0 <= j < size else 0.0

    places = range(-padding, size + padding - kernel + 1, stride)
    return [[at(i + a, j + b) for a in range(kernel) for b in range(kernel)] for i in places for j in places]


def columns_of(case: dict[str, list[float]]) -> Matrix:
    if "image" not in case:
        return rows(case["x"], 2)
    return columns(rows(case["image"], math.isqrt(len(case["image"]))), 2, int(case["padding"][0]), int(case["stride"][0]),
                   "reflect" in case)


def solve_layer(case: dict[str, list[float]]) -> dict[str, list[float]]:
    """G1 .. G4: u, r, d, h and, where there is a gradient, the weights after the step."""
    x = columns_of(case)
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


def rates(case: dict[str, list[float]], w: Matrix) -> list[float]:
    return [case["eta"][0] * (abs(math.sqrt(dot(row, row)) - 1) + 1e-10) ** case["q"][0] for row in w]


def solve_rates(case: dict[str, list[float]]) -> dict[str, list[float]]:
    w = rows(case["w"], 2)
    return {"norm": [math.sqrt(dot(row, row)) for row in w], "rate": rates(case, w)}


def solve_softhebb(case: dict[str, list[float]]) -> dict[str, list[float]]:
    x = columns_of(case)
    w = rows(case["w"], len(x[0]))
    u = preactivation(x, w)
    r = [[q if k == row.index(max(row)) else -q for k, q in enumerate(softmax([case["t"][0] * value for value in row]))] for row in u]
    d = local_update(x, w, u, r)
    h = layer_max(d)
    found = {"r": flat(r), "d": flat(d), "h": flat(h)}
    if "eta" in case:
        found["rate"] = rates(case, w)
        found["w_after"] = [a + rate * b for old, new, rate in zip(w, h, found["rate"]) for a, b in zip(old, new)]
    return found


def solve_swta(case: dict[str, list[float]]) -> dict[str, list[float]]:
    x = columns_of(case)
    w = rows(case["w"], len(x[0]))
    s = [[((dot(a, b) / math.sqrt((dot(a, a) or 1) * (dot(b, b) or 1)) + 1) / 2) ** 2 for b in w] for a in x]
    z = [softmax([value / case["kappa"][0] for value in row]) for row in s]
    d = [[sum(z[m][k] ** 2 * (x[m][f] - w[k][f]) for m in range(len(x))) / sum(row[k] for row in z) for f in range(len(w[0]))]
         for k in range(len(w))]
    y = [[max(0.0, dot(a, b) / math.sqrt(dot(b, b) or 1)) for b in w] for a in x]
    return {"s": flat(s), "z": flat(z), "d": flat(d), "y": flat(y)}


def solve_hpca(case: dict[str, list[float]]) -> dict[str, list[float]]:
    x = columns_of(case)
    w = rows(case["w"], len(x[0]))
    y = [[max(0.0, value) for value in row] for row in preactivation(x, w)]
    scale = len(x) * math.sqrt(len(w[0]))
    return {"d": [sum(y[m][k] * (x[m][f] - sum(y[m][j] * w[j][f] for j in range(k + 1))) for m in range(len(x))) / scale
                  for k in range(len(w)) for f in range(len(w[0]))]}


def solve_triangle(case: dict[str, list[float]]) -> dict[str, list[float]]:
    """S5: max(x - mean over channels, 0)^power, for each power."""
    x = case["x"]
    above = [max(value - sum(x) / len(x), 0.0) for value in x]
    return {"y": [value ** power for power in case["power"] for value in above]}


def cosine(x: list[float], w: list[float], taps: int) -> float:
    """Of x with w, each of whose taps is over its own norm; F in the order channel, tap."""
    norms = [math.sqrt(sum(value * value for value in w[tap::taps])) for tap in range(taps)]
    return sum(a * b / norms[f % taps] for f, (a, b) in enumerate(zip(x, w))) / math.sqrt(dot(x, x) + 1e-8)


def gaussians(i: int, j: int) -> float:
    return sum(s * math.exp(-(i * i + j * j) / (2 * a * a)) / (2 * math.pi * a * a) for s, a in ((1, 1.2), (-1, 1.4)))


def inhibited(y: Matrix) -> Matrix:
    """Columns y [M][K] of a square map, each channel under the difference of Gaussians."""
    size = math.isqrt(len(y))

    def at(i: int, j: int, k: int) -> float:
        return y[i * size + j][k] if 0 <= i < size and 0 <= j < size else 0.0

    return [[sum(gaussians(a, b) / gaussians(0, 0) * at(i + a, j + b, k) for a in range(-2, 3) for b in range(-2, 3))
             for k in range(len(y[0]))] for i in range(size) for j in range(size)]


def solve_bcm(case: dict[str, list[float]]) -> dict[str, list[float]]:
    x = rows(case["x"], 8) if "cosine_taps" in case else columns_of(case)
    w = rows(case["w"], len(x[0]))
    y = preactivation(x, w)
    if "cosine_taps" in case:
        y = [[cosine(column, filter_, int(case["cosine_taps"][0])) for filter_ in w] for column in x]
    if "inhibition" in case:
        y = inhibited(y)
    v = [[value if k == row.index(max(row)) else 0.0 for k, value in enumerate(row)] for row in y]
    if "hard" in case:
        return {"d": [sum(v[m][k] * (x[m][f] - w[k][f]) for m in range(len(x))) for k in range(len(w)) for f in range(len(w[0]))]}
    before = case.get("theta_before", [1.0] * len(w))
    theta = [old / 2 + sum(row[k] ** 2 for row in v) / len(v) / 2 for k, old in enumerate(before)]
    d = [[sum(v[m][k] * (v[m][k] - theta[k]) * x[m][f] for m in range(len(x))) for f in range(len(w[0]))] for k in range(len(w))]
    return {"y": flat(y), "theta": theta, "d": flat(d), "h": flat(layer_max(d))}


SOLVERS = {"G": solve_layer, "G5": solve_step, "N": solve_sign, "S": solve_softhebb, "S4": solve_rates, "S5": solve_triangle,
           "W": solve_swta, "P": solve_hpca, "B": solve_bcm}      # by case, or by its letter
RESULTS = {"u", "r", "d", "h", "w_after", "loss", "head_after", "bias_after", "norm", "rate", "s", "z", "y",
           "theta"}      # and g in G5; the rest are inputs


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
        found = SOLVERS.get(name, SOLVERS[name[0]])({quantity: values for quantity, values in case.items() if quantity not in results})
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
