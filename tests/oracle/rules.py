# SPDX-License-Identifier: Apache-2.0
"""Global-guided Hebbian Learning in PyTorch, the straightforward way.

A Hebbian layer remembers, in a training step's forward pass, the local update of its weight

    d_k = sum over positions m of  r_mk (x_m - u_mk w_k),      r_m = softmax over channels of t (u_m + b)

with x the unfolded patches and u = x w^T (Hua et al. 2026, "Hebbian Learning with Global Direction"). After the backward
pass `guide` puts into each gradient's place what the rule descends:

    ghl       |h| sign(g),  h = d / (max|d| + 1e-30)
    sign      sign(g)
    backprop  g

    others    as local_rules.py has them
and torch.optim.SGD with one group of rates per kind of layer makes the step.
"""
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

import local_rules

TINY = 1e-30
CLIP = 3.0


class Hebbian(nn.Module):
    """What the two Hebbian layers share: t, and the local update of the last training step."""

    inverse_temperature = 1.0
    learns_locally = True
    local: torch.Tensor | None = None
    local_rule: Callable | None = None      # of local_rules.py; None: the softmax rule of GHL
    published: dict = {}                    # what the layer does beside a product, as LAYERS of local_rules.py has it

    def response(self, u: torch.Tensor) -> torch.Tensor:
        """softmax over channels (dimension 1) of t times the layer's output."""
        return torch.softmax(self.inverse_temperature * u, dim=1)


class HebbConv2d(Hebbian, nn.Conv2d):
    """As published: unfold + matmul, the update of each image, then the sum over images."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.other(x) if self.published else super().forward(x)
        if self.training and self.learns_locally:
            with torch.no_grad():
                self.remember(x, y)
        return y

    def columns(self, x: torch.Tensor) -> torch.Tensor:
        rows, columns = self.padding
        mode = "reflect" if self.published.get("padding_mode") == "reflect" and (rows or columns) else "constant"
        return F.unfold(F.pad(x, (columns, columns, rows, rows), mode), self.kernel_size, stride=self.stride)        # [N,F,L]

    def other(self, x: torch.Tensor) -> torch.Tensor:
        u = local_rules.respond(self.columns(x).transpose(1, 2), self.weight, self.published.get("response", "dot"))
        size = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(x.shape[2:], self.padding, self.kernel_size, self.stride)]
        y = u.transpose(1, 2).unflatten(2, size)
        if self.published.get("inhibition") == "dog" and self.kernel_size != (1, 1):
            y = local_rules.inhibit(y)
        return y if self.bias is None else y + self.bias[:, None, None]

    def remember(self, x: torch.Tensor, y: torch.Tensor) -> None:
        columns = self.columns(x)
        flat = y.flatten(2)                                                                      # [N,K,L]
        u = self.weight.flatten(1) @ columns
        if self.local_rule:
            by_row = [t.transpose(1, 2).flatten(0, 1) for t in (columns, u, flat)]               # [M,F], [M,K] twice
            self.local = self.local_rule(by_row[0], self.weight.flatten(1), *by_row[1:]).view_as(self.weight)
            return
        r = self.response(flat)
        product = torch.matmul(r, columns.transpose(1, 2))                                       # [N,K,F]
        decay = (r * u).sum(2, keepdim=True) * self.weight.flatten(1)                            # [N,K,F]
        self.local = (product - decay).sum(0).view_as(self.weight)


class HebbConv2dByIdentity(HebbConv2d):
    """The same number by less work: sum_m r_mk u_mk w_k is taken once, not for each image. Not the published way."""

    def remember(self, x: torch.Tensor, y: torch.Tensor) -> None:
        columns = F.unfold(x, self.kernel_size, padding=self.padding, stride=self.stride)
        flat = y.flatten(2)
        r = self.response(flat)
        u = flat if self.bias is None else flat - self.bias[:, None]
        product = torch.matmul(r, columns.transpose(1, 2)).sum(0)                                # [K,F]
        self.local = (product - (r * u).sum((0, 2))[:, None] * self.weight.flatten(1)).view_as(self.weight)


class HebbLinear(Hebbian, nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = super().forward(x)
        if self.published:
            y = local_rules.respond(x, self.weight[:, :, None, None], self.published.get("response", "dot"))
            y = y if self.bias is None else y + self.bias
        if self.training and self.learns_locally:
            with torch.no_grad():
                u = x @ self.weight.t()                                                              # [N,K]
                if self.local_rule:
                    self.local = self.local_rule(x, self.weight, u, y)
                else:
                    r = self.response(y)
                    self.local = r.t() @ x - (r * u).sum(0)[:, None] * self.weight
        return y


def local_by_definition(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None, t: float) -> torch.Tensor:
    """The published sum written out, for columns x [M,F] and weight w [K,F]: slow, small, meant for float64."""
    u = x @ w.t()
    r = torch.softmax(t * (u if b is None else u + b), dim=1)
    d = torch.zeros_like(w)
    for m in range(x.shape[0]):
        for k in range(w.shape[0]):
            d[k] += r[m, k] * (x[m] - u[m, k] * w[k])
    return d


def magnitude(d: torch.Tensor, scale: str = "layer_max", power: float = 1.0) -> torch.Tensor:
    """|h|: the local update over its scale, to a power. Scopes: the whole layer, or each output neuron."""
    rows = d.flatten(1).abs()
    scope, kind = scale.split("_")
    dims = (0, 1) if scope == "layer" else (1,)
    if kind == "max":
        h = rows / (rows.amax(dims, keepdim=True) + TINY)
    else:
        h = (rows / ((rows * rows).mean(dims, keepdim=True).sqrt() + TINY)).clamp(max=CLIP)
    return h.pow(power).view_as(d) if power != 1.0 else h.view_as(d)


@dataclass
class Row:
    """A `learn` row of a recipe: what one kind of layer learns by."""

    rule: str = "backprop"
    lr: float = 1e-2
    weight_decay: float = 0.0
    options: dict = field(default_factory=dict)

    def direction(self, layer: nn.Module, g: torch.Tensor) -> torch.Tensor:
        if self.rule == "backprop":
            return g
        if self.rule == "sign":
            return g.sign()
        if self.rule == "ghl":
            return magnitude(layer.local, self.options.get("scale", "layer_max"), self.options.get("power", 1.0)) * g.sign()
        if self.rule in local_rules.RULES:
            return local_rules.direction(self.rule, layer.local, layer.weight, self.options)
        raise ValueError(f"unknown rule: {self.rule}")

    def local_rule(self, inverse_temperature: float, labels: torch.Tensor | None) -> Callable | None:
        rule = self.options.get("local", self.rule)
        if rule not in local_rules.RULES:
            return None
        options = {} if "local" in self.options else dict(self.options)
        if rule == "softhebb":
            options |= {"inverse_temperature": inverse_temperature, "labels": labels}
        return partial(local_rules.RULES[rule], **options)


# GHL's rows for convolutions and linear layers, by net: the published ones, and ours where none are published (vgg, resnet_cifar).
RATES = {
    "deephebb": (Row("ghl", 1e-2, 5e-2), Row("backprop", 5e-3)),
    "fasthebb": (Row("ghl", 5e-2, 1e-2), Row("backprop", 1e-4)),
    "resnet": (Row("ghl", 1e-2, 1e-2), Row("backprop", 5e-2)),
    "resnet_cifar": (Row("ghl", 1e-2, 1e-2), Row("backprop", 5e-3)),
    "vgg": (Row("ghl", 1e-2, 1e-2), Row("backprop", 5e-3)),
}


def weights_by_kind(model: nn.Module) -> dict[str, list[tuple[str, nn.Module, str, nn.Parameter]]]:
    """Parameters as `learn` sorts them: weights of convolutions, of linear layers, and all the rest ("norm")."""
    kinds: dict[str, list] = {"conv": [], "linear": [], "norm": []}
    for name, layer in model.named_modules():
        for part, parameter in layer.named_parameters(recurse=False):
            kind = "conv" if isinstance(layer, nn.Conv2d) else "linear" if isinstance(layer, nn.Linear) else "norm"
            kinds[kind if part == "weight" else "norm"].append((f"{name}.{part}", layer, part, parameter))
    return kinds


def complete(learn: dict[str, Row]) -> dict[str, Row]:
    """Row `norm` (scales, shifts, all biases) defaults to backprop at the linear layers' rate without decay."""
    return {"norm": Row("backprop", learn["linear"].lr), **learn}


def prepare(model: nn.Module, learn: dict[str, Row], labels: torch.Tensor | None = None) -> None:
    """Sets each Hebbian layer's t and whether it computes its local update at all. labels: of the step, for rules that read them."""
    for kind, rows in weights_by_kind(model).items():
        for name, layer, part, _ in rows:
            if isinstance(layer, Hebbian) and part == "weight":
                row = learn[kind]
                layer.learns_locally = row.rule == "ghl" or row.rule in local_rules.RULES
                default = model.inverse_temperatures.get(name.rsplit(".", 1)[0], 1.0)
                layer.inverse_temperature = row.options.get("inverse_temperature", default)
                layer.local_rule = row.local_rule(layer.inverse_temperature, labels)
                layer.published = local_rules.LAYERS.get(row.rule, {})


def groups(model: nn.Module, learn: dict[str, Row]) -> Iterable[dict]:
    """Parameter groups for torch.optim: one per kind of layer."""
    rows = complete(learn)
    for kind, found in weights_by_kind(model).items():
        if found:
            yield {"params": [p for *_, p in found], "lr": rows[kind].lr, "weight_decay": rows[kind].weight_decay}


def guide(model: nn.Module, learn: dict[str, Row]) -> None:
    """After backward, before the optimiser: replaces gradients by the rules' directions."""
    rows = complete(learn)
    with torch.no_grad():
        for kind, found in weights_by_kind(model).items():
            if rows[kind].rule != "backprop":
                for _, layer, _, parameter in found:
                    parameter.grad = rows[kind].direction(layer, parameter.grad)
