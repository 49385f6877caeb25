# SPDX-License-Identifier: Apache-2.0
"""The local updates of the rules that need no gradient, in PyTorch, the straightforward way: columns are unfolded, products are matmuls.

A function gets the columns x [M,F], the weights w [K,F], u = x w^T [M,K] and the output y = u + bias of one layer, and gives d [K,F], to
be ascended:

    hebb      y^T x                                          oja   the same, less (sum_m y_mk u_mk) w_k
    softhebb  r = q at the largest y, -q elsewhere, q = softmax(t y); d_k = sum_m r_mk (x_m - u_mk w_k); supervised: r = 1 at the label
    swta      s = ((cos + 1) / 2)^2; z = softmax(s / kappa); d_k = sum_m z_mk^2 (x_m - w_k) / sum_m z_mk
    hpca      a = relu(y); d = (a^T x - tril(a^T a) w) / (M sqrt(F))
    hwta_bcm  v = y at the largest y, else 0; theta = 0.5 + 0.5 mean_m(v^2), from 1; d = (v (v - theta))^T x

Moraitis et al. 2022, Journe et al. 2023 (softhebb); Lagani et al. 2022 (swta, hpca); Nimmo & Mondragon 2025 (hwta_bcm). The layers that
they were published with are in LAYERS: `respond` and `inhibit` are what those do beside a convolution.
"""
import math

import torch
import torch.nn.functional as F

Tensor = torch.Tensor


def hebb(x: Tensor, w: Tensor, u: Tensor, y: Tensor) -> Tensor:
    return y.t() @ x


def decayed(r: Tensor, x: Tensor, w: Tensor, u: Tensor) -> Tensor:
    return r.t() @ x - (r * u).sum(0)[:, None] * w


def oja(x: Tensor, w: Tensor, u: Tensor, y: Tensor) -> Tensor:
    return decayed(y, x, w, u)


def softhebb(x: Tensor, w: Tensor, u: Tensor, y: Tensor, inverse_temperature: float = 1.0, variant: str = "signed",
             rate_power: float = 0.5, labels: Tensor | None = None) -> Tensor:
    q, winner = torch.softmax(inverse_temperature * y, 1), F.one_hot(y.argmax(1), y.shape[1]).to(y.dtype)
    if variant == "supervised":
        return decayed(F.one_hot(labels, y.shape[1]).to(y.dtype), x, w, u)
    return decayed({"signed": q * (2 * winner - 1), "soft": q, "hard": winner}[variant], x, w, u)


def swta(x: Tensor, w: Tensor, u: Tensor, y: Tensor, kappa: float = 0.02, variant: str = "soft", winners: int = 1,
         power: float = 20.0) -> Tensor:
    length = [torch.where(v.norm(dim=1) == 0, 1.0, v.norm(dim=1)) for v in (x, w)]
    s = ((u / length[0][:, None] / length[1] + 1) / 2) ** 2
    if variant == "soft":
        z = torch.softmax(s / kappa, 1)
    elif variant == "power":
        z = s ** power / (s ** power).sum(1, keepdim=True)
    else:
        z = (s >= s.topk(winners, 1).values[:, -1:]).to(s.dtype)
    total = z.sum(0)
    return (z.square().t() @ x - z.square().sum(0)[:, None] * w) / torch.where(total == 0, 1.0, total)[:, None]


def hpca(x: Tensor, w: Tensor, u: Tensor, y: Tensor, response: str = "relu") -> Tensor:
    a = {"relu": torch.relu, "tanh": torch.tanh, "linear": torch.clone}[response](y)
    return (a.t() @ x - torch.tril(a.t() @ a) @ w) / (len(x) * math.sqrt(x.shape[1]))


def hwta_bcm(x: Tensor, w: Tensor, u: Tensor, y: Tensor, variant: str = "bcm", memory: float = 0.5) -> Tensor:
    v = y * F.one_hot(y.argmax(1), y.shape[1]).to(y.dtype)
    if variant == "bcm":
        theta = memory + (1 - memory) * v.square().mean(0)
        return (v * (v - theta)).t() @ x
    r = {"hard": v, "basic": y}[variant]
    return r.t() @ x - r.sum(0)[:, None] * w


RULES = {"hebb": hebb, "oja": oja, "softhebb": softhebb, "swta": swta, "hpca": hpca, "hwta_bcm": hwta_bcm}
LAYERS = {"softhebb": {"padding_mode": "reflect"}, "swta": {"response": "unit_norm"},
          "hwta_bcm": {"padding_mode": "reflect", "response": "cosine_tap", "inhibition": "dog"}}


def respond(columns: Tensor, w: Tensor, kind: str) -> Tensor:
    """columns [.., F] against w [K,C,R,S]: products with w, w over its norm, or cosines, the weight's norm by filter or by tap."""
    dims = 1 if kind == "cosine_tap" else (1, 2, 3)
    if kind != "dot":
        w = w / w.square().sum(dims, keepdim=True).sqrt()
    u = columns @ w.flatten(1).t()
    return u / (columns.square().sum(-1, keepdim=True) + 1e-8).sqrt() if kind.startswith("cosine") else u


def inhibit(y: Tensor) -> Tensor:
    """Each channel of y [N,K,P,Q] under a difference of Gaussians, 5x5, over its value at the centre."""
    rho = torch.tensor([[i * i + j * j for j in range(-2, 3)] for i in range(-2, 3)], dtype=torch.float64)
    kernel = sum(s * torch.exp(-rho / (2 * a * a)) / (2 * math.pi * a * a) for s, a in ((1, 1.2), (-1, 1.4)))
    kernel = (kernel / kernel[2, 2]).to(y.dtype).expand(y.shape[1], 1, 5, 5)
    return F.conv2d(y, kernel, padding=2, groups=y.shape[1])


def direction(rule: str, d: Tensor, w: Tensor, options: dict) -> Tensor:
    """What the optimiser is to descend; d and w as the layer has them."""
    if rule in ("swta", "hpca"):
        return -d
    h = d / (d.abs().max() + 1e-30)
    if rule == "softhebb":
        off = (w.flatten(1).norm(dim=1) - 1).abs() + 1e-10
        h = h * (off ** options.get("rate_power", 0.5)).view(-1, *[1] * (d.dim() - 1))
    return -h
