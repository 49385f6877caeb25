# SPDX-License-Identifier: Apache-2.0
"""The networks of the GHL paper in PyTorch: DeepHebb, FastHebb and a multi-layer perceptron.

Convolutions and linear layers come from two factories, so that a net can be built from plain layers or from layers that
compute a local update (rules.py). "Plain" batch norm has no scale and no shift. Names of parameters are those of ghl's
checkpoints. Every net has `inverse_temperatures`: the t of its Hebbian layers, by name.
"""
import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

Factory = Callable[..., nn.Module]


def plain_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, affine=False)


def init_he(layer: nn.Module) -> None:
    """N(0, 2/F) with F = C R S: what GHL, backprop and Sign start from."""
    nn.init.normal_(layer.weight, 0.0, math.sqrt(2.0 / layer.weight[0].numel()))


class Net(nn.Module):
    """Runs its children in order; `outputs`, if it is a dict, receives each child's output by name."""

    inverse_temperatures: dict[str, float] = {}

    def __init__(self) -> None:
        super().__init__()
        self.outputs: dict[str, torch.Tensor] | None = None

    def finish(self) -> None:
        for layer in self.children():
            if isinstance(layer, nn.Conv2d):
                init_he(layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name, layer in self.named_children():
            x = layer(x)
            if self.outputs is not None:
                self.outputs[name] = x
        return x


class DeepHebb(Net):
    """Three blocks of plain BN, convolution, ReLU, pool; dropout; one linear layer."""

    inverse_temperatures = {"conv1": 1.0, "conv2": 0.65, "conv3": 0.25}

    def __init__(self, image: Sequence[int] = (3, 32, 32), classes: int = 10, channels: Sequence[int] = (96, 384, 1536),
                 dropout: float = 0.5, conv: Factory = nn.Conv2d, linear: Factory = nn.Linear) -> None:
        super().__init__()
        before = [image[0], *channels[:2]]
        kernels = [5, 3, 3]
        pools = [nn.MaxPool2d(4, 2, 1), nn.MaxPool2d(4, 2, 1), nn.AvgPool2d(2, 2)]
        height, width = image[1:]
        for i in range(3):
            self.add_module(f"bn{i + 1}", plain_norm(before[i]))
            self.add_module(f"conv{i + 1}", conv(before[i], channels[i], kernels[i], padding=kernels[i] // 2, bias=False))
            self.add_module(f"relu{i + 1}", nn.ReLU())
            self.add_module(f"pool{i + 1}", pools[i])
            height, width = (height - 2) // 2 + 1, (width - 2) // 2 + 1      # 4/2/1 and 2/2/0 give the same sizes
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.classifier = linear(channels[2] * height * width, classes)
        self.finish()


class FastHebb(Net):
    """Four convolutions without padding, each ReLU, (max-pool), plain BN; a hidden linear layer; a classifier."""

    inverse_temperatures = {"conv1": 1.0, "conv2": 1.0, "conv3": 1.0, "conv4": 1.0}

    def __init__(self, image: Sequence[int] = (3, 32, 32), classes: int = 10, channels: Sequence[int] = (96, 128, 192, 256),
                 hidden: int = 4096, dropout: float = 0.5, conv: Factory = nn.Conv2d, linear: Factory = nn.Linear) -> None:
        super().__init__()
        before = [image[0], *channels[:3]]
        kernels = [5, 3, 3, 3]
        height, width = image[1:]
        for i in range(4):
            self.add_module(f"conv{i + 1}", conv(before[i], channels[i], kernels[i], bias=False))
            self.add_module(f"relu{i + 1}", nn.ReLU())
            height, width = height - kernels[i] + 1, width - kernels[i] + 1
            if i in (0, 2):
                self.add_module(f"pool{i + 1}", nn.MaxPool2d(2, 2))
                height, width = height // 2, width // 2
            self.add_module(f"bn{i + 1}", plain_norm(channels[i]))
        self.flatten = nn.Flatten()
        self.fc5 = linear(channels[3] * height * width, hidden)
        self.relu5 = nn.ReLU()
        self.bn5 = nn.BatchNorm1d(hidden)
        self.dropout = nn.Dropout(dropout)
        self.classifier = linear(hidden, classes)
        self.finish()


class Mlp(Net):
    """Flatten, then linear and ReLU for each hidden size, then a classifier."""

    def __init__(self, image: Sequence[int] = (1, 28, 28), classes: int = 10, hidden: Sequence[int] = (256,),
                 linear: Factory = nn.Linear) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        width = math.prod(image)
        for i, size in enumerate(hidden):
            self.add_module(f"fc{i + 1}", linear(width, size))
            self.add_module(f"relu{i + 1}", nn.ReLU())
            width = size
        self.classifier = linear(width, classes)


NETS = {"deephebb": DeepHebb, "fasthebb": FastHebb, "mlp": Mlp}
