# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/torchvision/*.safetensors: what nets of torchvision's kind, narrow and with made-up weights, make of images.

    .venv/bin/python tests/oracle/torchvision_nets.py [FOLDER]

A file holds pixels u8 [N,H,W,3], weights/NAME as torchvision's state_dict names them, and the logits f32 [N,classes] of the net in
evaluation mode, computed in float64 on (pixel/255 - 0.5)/0.5; its metadata holds the model as a recipe writes it.

With the argument "names" it prints instead the names and shapes of the real nets' state_dict (tests/golden/torchvision.txt), which is
all that torchvision itself is needed for.
"""
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

import nets
import step
import tensors

IMAGE, IMAGES, CLASSES = (3, 33, 40), 3, 6
NAMED = ("resnet18", "resnet50", "vgg16", "vgg16_bn")


def vgg(channels: tuple[int, ...], hidden: int, norm: bool) -> nn.Module:
    """Torchvision's vgg16 or vgg16_bn; its mean to 7x7 is left out, as maps of 224x224 images are that already."""
    layers: list[nn.Module] = []
    width = IMAGE[0]
    for count, size in zip((2, 2, 3, 3, 3), channels):
        for _ in range(count):
            layers += [nn.Conv2d(width, size, 3, padding=1)] + [nn.BatchNorm2d(size)] * norm + [nn.ReLU()]
            width = size
        layers.append(nn.MaxPool2d(2, 2))
    model = nn.Sequential()
    model.features = nn.Sequential(*layers)
    model.flatten = nn.Flatten()
    model.classifier = nn.Sequential(nn.Linear(width * (IMAGE[1] // 32) * (IMAGE[2] // 32), hidden), nn.ReLU(), nn.Dropout(),
                                     nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, CLASSES))
    return model


CASES: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "resnet18": ("kind: resnet, depth: 18, channels: [3, 4, 4, 5]", lambda: nets.ResNet(IMAGE, CLASSES, 18, (3, 4, 4, 5))),
    "resnet50": ("kind: resnet, depth: 50, channels: [2, 2, 2, 2]", lambda: nets.ResNet(IMAGE, CLASSES, 50, (2, 2, 2, 2))),
    "vgg16": ("kind: vgg, norm: none, bias: true, channels: [4, 5, 6, 7, 8], hidden: 12", lambda: vgg((4, 5, 6, 7, 8), 12, False)),
    "vgg16_bn": ("kind: vgg, norm: affine, bias: true, channels: [4, 5, 6, 7, 8], hidden: 12", lambda: vgg((4, 5, 6, 7, 8), 12, True)),
}


def made_up(model: nn.Module) -> None:
    """Weights that keep activations from dying out, and statistics as a trained net would have."""
    for name, value in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            value.fill_(7)
        elif name.endswith("running_var") or (name.endswith("weight") and value.dim() == 1):
            value.uniform_(0.7, 1.4)
        elif value.dim() == 1:
            value.uniform_(-0.3, 0.3)
        else:
            value.normal_(0, ((2 if value.dim() == 4 else 8) / value[0].numel()) ** 0.5)


def write(path: Path, recipe: str, build: Callable[[], nn.Module]) -> None:
    torch.manual_seed(1)
    model = build()
    made_up(model)
    smooth = F.interpolate(torch.rand(IMAGES, IMAGE[0], 3, 4), IMAGE[1:], mode="bilinear")      # noise alone would average out
    pixels = (smooth * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    state = {f"weights/{name}": step.to_file(value) for name, value in model.state_dict().items()}
    with torch.no_grad():
        logits = model.double().eval()((pixels.permute(0, 3, 1, 2).double() / 255 - 0.5) / 0.5)
    images = tensors.Tensor.make("U8", tuple(pixels.shape), pixels.flatten().tolist())
    tensors.write(path, state | {"pixels": images, "logits": step.to_file(logits)}, {"model": recipe, "torch": torch.__version__})
    print(f"{path.stat().st_size:7d} {path.name}: logits of deviation {float(logits.std(0).mean()):.2f} between images")


def print_names() -> None:
    import torchvision
    for name in NAMED:
        print(f"net {name}")
        for key, value in getattr(torchvision.models, name)().state_dict().items():
            print(f"{key} {str(list(value.shape)).replace(' ', '')}")


def main() -> None:
    if sys.argv[1:] == ["names"]:
        print_names()
        return
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent / "golden" / "torchvision"
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name, (recipe, build) in CASES.items():
        write(folder / f"{name}.safetensors", recipe, build)


if __name__ == "__main__":
    main()
