"""L8. AlexNet and VGG: plain chains of convolutions, then three linear layers, with torchvision's names, so that its state dicts fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from danlu.nn import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Dropout, Linear, MaxPool2d, Module, ReLU, Sequential
from danlu.tensor import Tensor
from danlu.vision.models.weights import built, draw


class AlexNet(Module):
    """Five convolutions and three linear layers, in the narrower form of Krizhevsky 2014 that runs on one processor.

    y = classifier(avgpool(features(x)))

    Shapes: input (N, 3, H, W), H and W ≥ 63 → (N, num_classes).

    Source: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014.

    Example:
        >>> import danlu
        >>> from danlu.vision.models import AlexNet
        >>> AlexNet(num_classes=10).classifier[6]
        Linear(in_features=4096, out_features=10, bias=True)
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = Sequential(
            Conv2d(3, 64, 11, stride=4, padding=2), ReLU(inplace=True), MaxPool2d(3, 2),
            Conv2d(64, 192, 5, padding=2), ReLU(inplace=True), MaxPool2d(3, 2),
            Conv2d(192, 384, 3, padding=1), ReLU(inplace=True),
            Conv2d(384, 256, 3, padding=1), ReLU(inplace=True),
            Conv2d(256, 256, 3, padding=1), ReLU(inplace=True), MaxPool2d(3, 2),
        )  # fmt: skip
        self.avgpool = AdaptiveAvgPool2d((6, 6))
        self.classifier = Sequential(
            Dropout(dropout), Linear(256 * 6 * 6, 4096), ReLU(inplace=True),
            Dropout(dropout), Linear(4096, 4096), ReLU(inplace=True),
            Linear(4096, num_classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """The scores of the classes."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def alexnet(pretrained: Any = False, progress: bool = True, *, weights: Any = None, **options: Any) -> AlexNet:
    """AlexNet with 61,100,840 parameters. The options are those of AlexNet.

    y = classifier(avgpool(features(x)))

    Shapes: input (N, 3, H, W), H and W ≥ 63 → (N, num_classes).

    Raises: DataError for weights that would have to be downloaded: `weights=` takes None or the path of a state dict.

    Source: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014.

    Example:
        >>> import danlu
        >>> from danlu.vision.models import alexnet
        >>> sum(p.numel() for p in alexnet().parameters())
        61100840
    """
    return built("alexnet", lambda: AlexNet(**options), pretrained, weights)


WIDTHS = (64, 128, 256, 512, 512)
DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}  # columns A, B, D, E of table 1


def chain(depth: int, norm: bool = False) -> Sequential:
    """The convolutions of VGG with so many layers, each with a ReLU, and with batch norm if asked for; a pooling ends each width."""
    layers: list[Module] = []
    channels = 3
    for width, count in zip(WIDTHS, DEPTHS[depth]):
        for _ in range(count):
            layers += [Conv2d(channels, width, 3, padding=1), *[BatchNorm2d(width)] * norm, ReLU(inplace=True)]
            channels = width
        layers.append(MaxPool2d(2, 2))
    return Sequential(*layers)


class VGG(Module):
    """Convolutions 3 × 3, pooled to 7 × 7, and three linear layers (Simonyan & Zisserman 2015, table 1).

    y = classifier(avgpool(features(x)))

    features gives 512 channels; init_weights=False leaves the layers as they draw themselves.

    Shapes: input (N, 3, H, W), H and W ≥ 32 for the features of vgg11 to vgg19 → (N, num_classes).

    Source: Simonyan, Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> from danlu.vision.models import VGG
        >>> VGG(nn.Conv2d(3, 512, 3), num_classes=10).classifier[6]
        Linear(in_features=4096, out_features=10, bias=True)
    """

    def __init__(self, features: Module, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = features
        self.avgpool = AdaptiveAvgPool2d((7, 7))
        self.classifier = Sequential(
            Linear(512 * 7 * 7, 4096), ReLU(inplace=True), Dropout(dropout),
            Linear(4096, 4096), ReLU(inplace=True), Dropout(dropout),
            Linear(4096, num_classes),
        )  # fmt: skip
        if init_weights:
            draw(self, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        """The scores of the classes."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def _maker(depth: int, norm: bool, parameters: str) -> Callable[..., VGG]:
    """The function that makes VGG with so many layers, with or without batch norm."""
    name = f"vgg{depth}_bn" if norm else f"vgg{depth}"

    def make(pretrained: Any = False, progress: bool = True, *, weights: Any = None, **options: Any) -> VGG:
        return built(name, lambda: VGG(chain(depth, norm), **options), pretrained, weights)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"""VGG with {depth} layers{" and batch norm" * norm}: {parameters} parameters. The options are those of VGG.

    y = classifier(avgpool(features(x)))

    Shapes: input (N, 3, H, W), H and W ≥ 32 → (N, num_classes).

    Raises: DataError for weights that would have to be downloaded: `weights=` takes None or the path of a state dict.

    Source: Simonyan, Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015, table 1.

    Example:
        >>> import danlu
        >>> from danlu.vision.models import {name}
        >>> {name}(num_classes=10).classifier[6]
        Linear(in_features=4096, out_features=10, bias=True)
    """
    return make


vgg11, vgg11_bn = _maker(11, False, "132,863,336"), _maker(11, True, "132,868,840")
vgg13, vgg13_bn = _maker(13, False, "133,047,848"), _maker(13, True, "133,053,736")
vgg16, vgg16_bn = _maker(16, False, "138,357,544"), _maker(16, True, "138,365,992")
vgg19, vgg19_bn = _maker(19, False, "143,667,240"), _maker(19, True, "143,678,248")
