"""The networks of danlu.vision.models, written again in PyTorch from the tables of their papers; the names are those of torchvision's files."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F


class Shortcut(nn.Module):
    """A residual block: convolutions (kernel, width) one after the other, the stride at the first 3 × 3."""

    def __init__(self, before: int, convolutions: list[tuple[int, int]], stride: int) -> None:
        super().__init__()
        self.count, channels = len(convolutions), before
        first = next(i for i, (k, _) in enumerate(convolutions) if k == 3)
        for i, (k, width) in enumerate(convolutions):
            conv = nn.Conv2d(channels, width, k, stride if i == first else 1, k // 2, bias=False)
            self.add_module(f"conv{i + 1}", conv)
            self.add_module(f"bn{i + 1}", nn.BatchNorm2d(width))
            channels = width
        if stride == 2 or before != channels:
            self.downsample = nn.Sequential(nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            if i < self.count:
                y = torch.relu(y)
        return torch.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class Residual(nn.Module):
    """ResNet (He et al. 2016, table 1); `wide`: how many times as many channels the inner convolutions have (Zagoruyko, Komodakis 2016)."""

    def __init__(self, counts: tuple[int, ...], deep: bool, classes: int, wide: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        before = 64
        for stage, count in enumerate(counts):
            width, blocks = 64 * 2**stage, []
            inner = wide * width
            convolutions = [(1, inner), (3, inner), (1, 4 * width)] if deep else [(3, width), (3, width)]
            for i in range(count):
                blocks.append(Shortcut(before, convolutions, 2 if stage and not i else 1))
                before = convolutions[-1][1]
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(before, classes)

    def forward(self, x):
        x = F.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        return self.fc(x.mean((2, 3)))


class Chain(nn.Module):
    """Features, pooling to a square, linear layers."""

    def __init__(self, features: nn.Module, square: int, classifier: nn.Module) -> None:
        super().__init__()
        self.features, self.square, self.classifier = features, square, classifier

    def forward(self, x):
        return self.classifier(F.adaptive_avg_pool2d(self.features(x), self.square).flatten(1))


def alexnet(classes: int) -> nn.Module:
    """AlexNet (Krizhevsky 2014): the layers as a text, `c` a convolution (out, kernel, stride, padding), `p` a pooling."""
    plan = [(64, 11, 4, 2), "p", (192, 5, 1, 2), "p", (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1), "p"]
    layers, channels = [], 3
    for item in plan:
        if item == "p":
            layers.append(nn.MaxPool2d(3, 2))
        else:
            layers += [nn.Conv2d(channels, *item), nn.ReLU()]
            channels = item[0]
    dense = nn.Sequential(
        nn.Dropout(), nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, classes)
    )
    return Chain(nn.Sequential(*layers), 6, dense)


def vgg(columns: str, norm: bool, classes: int) -> nn.Module:
    """VGG (Simonyan & Zisserman 2015, table 1): a column as numbers of channels and M for a pooling."""
    layers, channels = [], 3
    for item in columns.split():
        if item == "M":
            layers.append(nn.MaxPool2d(2))
            continue
        layers.append(nn.Conv2d(channels, int(item), 3, padding=1))
        layers += [nn.BatchNorm2d(int(item))] if norm else []
        layers.append(nn.ReLU())
        channels = int(item)
    dense = nn.Sequential(
        nn.Linear(25088, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, classes)
    )
    return Chain(nn.Sequential(*layers), 7, dense)


def convolution(
    before: int, out: int, kernel: int, stride: int = 1, groups: int = 1, act: nn.Module | None = None, **norm
) -> nn.Sequential:
    parts = [nn.Conv2d(before, out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(out, **norm)]
    return nn.Sequential(*parts, *([act] if act else []))


class Inverted(nn.Module):
    """Widen, filter, (weigh,) narrow; the input is added where the shapes agree."""

    def __init__(self, name: str, body: nn.Sequential, added: bool) -> None:
        super().__init__()
        self.added, self.name = added, name
        self.add_module(name, body)

    def forward(self, x):
        y = getattr(self, self.name)(x)
        return x + y if self.added else y


class Weigh(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(width, narrow, 1), nn.Conv2d(narrow, width, 1)

    def forward(self, x):
        return x * F.hardsigmoid(self.fc2(torch.relu(self.fc1(x.mean((2, 3), keepdim=True)))))


def mobilenet_v2(classes: int) -> nn.Module:
    """MobileNetV2 (Sandler et al. 2018, table 2), width 1."""
    layers, before = [convolution(3, 32, 3, 2, act=nn.ReLU6())], 32
    for t, c, n, s in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
        for i in range(n):
            stride, wide = (s if i == 0 else 1), t * before
            parts = [convolution(before, wide, 1, act=nn.ReLU6())] if t > 1 else []
            parts += [convolution(wide, wide, 3, stride, wide, nn.ReLU6()), *convolution(wide, c, 1)]
            layers.append(Inverted("conv", nn.Sequential(*parts), stride == 1 and before == c))
            before = c
    layers.append(convolution(320, 1280, 1, act=nn.ReLU6()))
    return Chain(nn.Sequential(*layers), 1, nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes)))


V3 = {  # kernel, expansion, out, squeeze and excitation, hard swish, stride (Howard et al. 2019, tables 1 and 2)
    "large": (
        "3 16 16 0 0 1, 3 64 24 0 0 2, 3 72 24 0 0 1, 5 72 40 1 0 2, 5 120 40 1 0 1, 5 120 40 1 0 1, 3 240 80 0 1 2, 3 200 80 0 1 1, "
        "3 184 80 0 1 1, 3 184 80 0 1 1, 3 480 112 1 1 1, 3 672 112 1 1 1, 5 672 160 1 1 2, 5 960 160 1 1 1, 5 960 160 1 1 1"
    ),
    "small": (
        "3 16 16 1 0 2, 3 72 24 0 0 2, 3 88 24 0 0 1, 5 96 40 1 1 2, 5 240 40 1 1 1, 5 240 40 1 1 1, 5 120 48 1 1 1, 5 144 48 1 1 1, "
        "5 288 96 1 1 2, 5 576 96 1 1 1, 5 576 96 1 1 1"
    ),
}
NARROW = {
    16: 8,
    72: 24,
    96: 24,
    120: 32,
    144: 40,
    240: 64,
    288: 72,
    480: 120,
    576: 144,
    672: 168,
    960: 240,
}  # a quarter, in multiples of 8


def mobilenet_v3(size: str, classes: int) -> nn.Module:
    """MobileNetV3."""
    norm = {"eps": 0.001, "momentum": 0.01}
    layers, before = [convolution(3, 16, 3, 2, act=nn.Hardswish(), **norm)], 16
    for row in V3[size].split(", "):
        k, wide, out, se, hs, stride = map(int, row.split())
        parts = [convolution(before, wide, 1, act=nn.Hardswish() if hs else nn.ReLU(), **norm)] if wide != before else []
        parts.append(convolution(wide, wide, k, stride, wide, nn.Hardswish() if hs else nn.ReLU(), **norm))
        parts += [Weigh(wide, NARROW[wide])] if se else []
        parts.append(convolution(wide, out, 1, **norm))
        layers.append(Inverted("block", nn.Sequential(*parts), stride == 1 and before == out))
        before = out
    last = {"large": 1280, "small": 1024}[size]
    layers.append(convolution(before, 6 * before, 1, act=nn.Hardswish(), **norm))
    dense = nn.Sequential(nn.Linear(6 * before, last), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(last, classes))
    return Chain(nn.Sequential(*layers), 1, dense)


COLUMNS = {
    11: "64 M 128 M 256 256 M 512 512 M 512 512 M",
    13: "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    16: "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    19: "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


def make(name: str, classes: int = 1000) -> nn.Module:
    """A network by torchvision's name."""
    if name.startswith("vgg"):
        return vgg(COLUMNS[int(name[3:5])], name.endswith("_bn"), classes)
    return {
        "resnet18": lambda: Residual((2, 2, 2, 2), False, classes),
        "resnet34": lambda: Residual((3, 4, 6, 3), False, classes),
        "resnet50": lambda: Residual((3, 4, 6, 3), True, classes),
        "resnet101": lambda: Residual((3, 4, 23, 3), True, classes),
        "resnet152": lambda: Residual((3, 8, 36, 3), True, classes),
        "wide_resnet50_2": lambda: Residual((3, 4, 6, 3), True, classes, wide=2),
        "alexnet": lambda: alexnet(classes),
        "mobilenet_v2": lambda: mobilenet_v2(classes),
        "mobilenet_v3_large": lambda: mobilenet_v3("large", classes),
        "mobilenet_v3_small": lambda: mobilenet_v3("small", classes),
    }[name]()


def entries(name: str, classes: int = 1000) -> OrderedDict[str, tuple[int, ...]]:
    """Key → shape of the state dict; nothing is drawn."""
    with torch.device("meta"):
        return OrderedDict((key, tuple(value.shape)) for key, value in make(name, classes).state_dict().items())
