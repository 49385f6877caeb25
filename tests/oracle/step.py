# SPDX-License-Identifier: Apache-2.0
"""One training step in PyTorch, every tensor named as `ghl trace` names it."""
from collections.abc import Iterable
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

import rules
import tensors


def to_file(value: torch.Tensor) -> tensors.Tensor:
    """Floating point is stored as float32, whole numbers as int64."""
    value = value.detach().contiguous()
    if value.dtype == torch.int64:
        return tensors.Tensor.make("I64", tuple(value.shape), value.flatten().tolist())
    found = tensors.Tensor("F32", tuple(value.shape), tensors.array("f"))
    found.values.frombytes(value.float().numpy().tobytes())
    return found


def from_file(value: tensors.Tensor) -> torch.Tensor:
    kind = torch.int64 if value.dtype == "I64" else torch.float32
    return torch.frombuffer(value.values, dtype=kind).reshape(value.shape).clone()


def optimiser_of(model: nn.Module, learn: dict[str, rules.Row], settings: dict) -> torch.optim.Optimizer:
    options = {key: value for key, value in settings.items() if key != "kind"}
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[settings["kind"]]
    return kind(rules.groups(model, learn), **options)


def traced_step(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, learn: dict[str, rules.Row],
                settings: dict) -> dict[str, torch.Tensor]:
    """loss, correct, in/LAYER, out/LAYER, grad/NAME, local/NAME, direction/NAME, after/NAME. The model is changed by the step."""
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    rules.prepare(model.train(), learn, labels)
    optimiser = optimiser_of(model, learn, settings)
    seen: dict[str, torch.Tensor] = {}
    hooks = [layer.register_forward_hook(partial(remember, seen, name)) for name, layer in model.named_modules()
             if not list(layer.children())]
    logits = model(images)
    for hook in hooks:
        hook.remove()
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    trace = {"loss": loss.detach(), "correct": (logits.argmax(1) == labels).sum()}
    trace |= seen
    trace |= {f"grad/{name}": p.grad.clone() for name, p in model.named_parameters()}
    trace |= {f"local/{name}.weight": layer.local for name, layer in hebbian(model)}
    rules.guide(model, learn)
    trace |= {f"direction/{name}": p.grad.clone() for name, p in model.named_parameters()}
    optimiser.step()
    trace |= {f"after/{name}": value.detach().clone() for name, value in model.state_dict().items()}
    return trace


def remember(seen: dict[str, torch.Tensor], name: str, layer: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
    """A forward hook; inputs are kept of layers that learn by them."""
    seen[f"out/{name}"] = output.detach()
    if isinstance(layer, rules.Hebbian):
        seen[f"in/{name}"] = inputs[0].detach()


def hebbian(model: nn.Module) -> Iterable[tuple[str, rules.Hebbian]]:
    for name, layer in model.named_modules():
        if isinstance(layer, rules.Hebbian) and layer.local is not None:
            yield name, layer
