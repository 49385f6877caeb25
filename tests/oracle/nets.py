# SPDX-License-Identifier: Apache-2.0
"""The networks of the GHL paper in PyTorch: DeepHebb, FastHebb, VGG, residual nets and a multi-layer perceptron.

Convolutions and linear layers come from two factories, so that a net can be built from plain layers or from layers that
compute a local update (rules.py). "Plain" batch norm has no scale and no shift. Names of parameters are those of ghl's
checkpoints. Every net has `inverse_temperatures`: the t of its Hebbian layers, by name.
"""
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn

Factory = Callable[..., nn.Module]


def plain_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, affine=False)


def init_he(layer: nn.Module) -> None:
    """N(0, 2/F) with F = C R S: what GHL, backprop and Sign start from."""
    nn.init.normal_(layer.weight, 0.0, math.sqrt(2.0 / layer.weight[0].numel()))


class Net(nn.Module):
    """Runs its children in order."""

    inverse_temperatures: dict[str, float] = {}

    def finish(self) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                init_he(layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.children():
            x = layer(x)
        return x


class DeepHebb(Net):
    """Blocks of plain BN, convolution, ReLU, pool, the last one of means; dropout; one linear layer."""

    def __init__(self, image: Sequence[int] = (3, 32, 32), classes: int = 10, channels: Sequence[int] = (96, 384, 1536),
                 temperatures: Sequence[float] = (1.0, 0.65, 0.25), dropout: float = 0.5, conv: Factory = nn.Conv2d,
                 linear: Factory = nn.Linear) -> None:
        super().__init__()
        self.inverse_temperatures = {f"conv{i + 1}": t for i, t in enumerate(temperatures)}
        width, height, columns = image
        for i, size in enumerate(channels):
            kernel = 3 if i else 5
            self.add_module(f"bn{i + 1}", plain_norm(width))
            self.add_module(f"conv{i + 1}", conv(width, size, kernel, padding=kernel // 2, bias=False))
            self.add_module(f"relu{i + 1}", nn.ReLU())
            self.add_module(f"pool{i + 1}", nn.AvgPool2d(2, 2) if i + 1 == len(channels) else nn.MaxPool2d(4, 2, 1))
            width, height, columns = size, (height - 2) // 2 + 1, (columns - 2) // 2 + 1      # 4/2/1 and 2/2/0 give the same sizes
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.classifier = linear(width * height * columns, classes)
        self.finish()


class FastHebb(Net):
    """Convolutions without padding, each ReLU, (max-pool), plain BN; a hidden linear layer; a classifier."""

    def __init__(self, image: Sequence[int] = (3, 32, 32), classes: int = 10, channels: Sequence[int] = (96, 128, 192, 256),
                 first_kernel: int = 5, pools: Sequence[int] = (2, 1, 2, 1), hidden: int = 4096, dropout: float = 0.5,
                 conv: Factory = nn.Conv2d, linear: Factory = nn.Linear) -> None:
        super().__init__()
        self.inverse_temperatures = {f"conv{i + 1}": 1.0 for i in range(len(channels))}
        width, height, columns = image
        for i, (size, pool) in enumerate(zip(channels, pools)):
            kernel = 3 if i else first_kernel
            self.add_module(f"conv{i + 1}", conv(width, size, kernel, bias=False))
            self.add_module(f"relu{i + 1}", nn.ReLU())
            if pool > 1:
                self.add_module(f"pool{i + 1}", nn.MaxPool2d(pool, pool))
            width, height, columns = size, (height - kernel + 1) // pool, (columns - kernel + 1) // pool
            self.add_module(f"bn{i + 1}", plain_norm(size))
        self.flatten = nn.Flatten()
        last = len(channels) + 1
        self.add_module(f"fc{last}", linear(width * height * columns, hidden))
        self.add_module(f"relu{last}", nn.ReLU())
        self.add_module(f"bn{last}", nn.BatchNorm1d(hidden))
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


class Vgg(Net):
    """VGG-16's thirteen convolutions with plain BN; a head of one linear layer (depth 14) or three (depth 16)."""

    def __init__(self, image: Sequence[int] = (3, 32, 32), classes: int = 10, depth: int = 16,
                 channels: Sequence[int] = (64, 128, 256, 512, 512), hidden: int = 4096, dropout: float = 0.5,
                 conv: Factory = nn.Conv2d, linear: Factory = nn.Linear) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = image[0]
        for count, size in zip((2, 2, 3, 3, 3), channels):
            for _ in range(count):
                layers += [conv(width, size, 3, padding=1, bias=False), plain_norm(size), nn.ReLU()]
                width = size
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.flatten = nn.Flatten()
        width *= (image[1] // 32) * (image[2] // 32)
        head: list[nn.Module] = []
        for _ in range(2 if depth == 16 else 0):
            head += [linear(width, hidden), nn.ReLU(), nn.Dropout(dropout)]
            width = hidden
        self.classifier = nn.Sequential(*head, linear(width, classes))
        self.finish()


class Add(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a + b


class Subsample(nn.Module):
    """Shortcut A: every stride-th place, and channels of zero, half before and half after."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.channels, self.stride = channels, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        more = self.channels - x.shape[1]
        return F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, more // 2, more - more // 2))


class Block(nn.Module):
    """Convolutions with norm and ReLU between, the sum with a shortcut, ReLU. `convs` are (channels, kernel, stride)."""

    def __init__(self, width: int, convs: Sequence[tuple[int, int, int]], free_shortcut: bool, norm: Factory, conv: Factory) -> None:
        super().__init__()
        channels, stride = convs[-1][0], math.prod(each[2] for each in convs)
        self.path: list[str] = []
        before = width
        for i, (size, kernel, step) in enumerate(convs, 1):
            self.append(f"conv{i}", conv(before, size, kernel, stride=step, padding=kernel // 2, bias=False))
            self.append(f"bn{i}", norm(size))
            if i < len(convs):
                self.append(f"relu{i}", nn.ReLU())
            before = size
        shortcut = "" if stride == 1 and channels == width else "shortcut" if free_shortcut else "downsample"
        if shortcut:
            self.add_module(shortcut, Subsample(channels, stride) if free_shortcut else nn.Sequential(
                conv(width, channels, 1, stride=stride, bias=False), norm(channels)))
        self.around = shortcut
        self.add = Add()
        self.last = f"relu{len(convs)}"
        self.add_module(self.last, nn.ReLU())

    def append(self, name: str, layer: nn.Module) -> None:
        self.add_module(name, layer)
        self.path.append(name)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x
        for name in self.path:
            y = getattr(self, name)(y)
        return getattr(self, self.last)(self.add(y, getattr(self, self.around)(x) if self.around else x))


class ResNetCifar(Net):
    """6n + 2 layers: a 3x3 convolution, three stages of n blocks with free shortcuts, the mean of the map, a linear layer."""

    def __init__(self, image: Sequence[int] = (3, 32, 32), classes: int = 10, depth: int = 20, channels: Sequence[int] = (16, 32, 64),
                 conv: Factory = nn.Conv2d, linear: Factory = nn.Linear) -> None:
        super().__init__()
        self.conv1 = conv(image[0], channels[0], 3, padding=1, bias=False)
        self.bn1 = plain_norm(channels[0])
        self.relu = nn.ReLU()
        width = channels[0]
        for stage, size in enumerate(channels):
            blocks = []
            for i in range((depth - 2) // 6):
                stride = 2 if stage > 0 and i == 0 else 1
                blocks.append(Block(width, [(size, 3, stride), (size, 3, 1)], True, plain_norm, conv))
                width = size
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = linear(width, classes)
        self.finish()


class ResNet(Net):
    """Torchvision's, depth 18 or 50, its BN with scale and shift; every convolution starts as `init_he` says."""

    def __init__(self, image: Sequence[int] = (3, 224, 224), classes: int = 1000, depth: int = 18,
                 channels: Sequence[int] = (64, 128, 256, 512), conv: Factory = nn.Conv2d, linear: Factory = nn.Linear) -> None:
        super().__init__()
        self.conv1 = conv(image[0], channels[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        width = channels[0]
        for stage, (count, size) in enumerate(zip({18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}[depth], channels)):
            blocks = []
            for i in range(count):
                stride = 2 if stage > 0 and i == 0 else 1
                convs = {18: [(size, 3, stride), (size, 3, 1)], 50: [(size, 1, 1), (size, 3, stride), (4 * size, 1, 1)]}[depth]
                blocks.append(Block(width, convs, False, nn.BatchNorm2d, conv))
                width = convs[-1][0]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = linear(width, classes)
        self.finish()


NETS = {"deephebb": DeepHebb, "fasthebb": FastHebb, "mlp": Mlp, "resnet": ResNet, "resnet_cifar": ResNetCifar, "vgg": Vgg}
