"""L8. MobileNetV2 and V3: networks of inverted residuals for small machines, with torchvision's names, so that its state dicts fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from danlu.errors import DataError
from danlu.nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Hardsigmoid,
    Hardswish,
    Linear,
    Module,
    ReLU,
    ReLU6,
    Sequential,
)
from danlu.tensor import Tensor
from danlu.vision.models.weights import built, draw

Norm = Callable[[int], Module]


def rounded(channels: float, divisor: int = 8) -> int:
    """The multiple of divisor nearest to a number of channels, and not below 90 % of it.

    >>> rounded(24 * 0.35), rounded(18)
    (8, 24)
    """
    near = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return near + divisor if near < 0.9 * channels else near


def unit(
    channels: int, out: int, kernel: int, norm: Norm, activation: type[Module] | None, stride: int = 1, groups: int = 1
) -> Sequential:
    """A convolution that keeps the size of the image (at stride 1), its norm, and an activation."""
    conv = Conv2d(channels, out, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
    return Sequential(conv, norm(out), *([] if activation is None else [activation(inplace=True)]))


class InvertedResidual(Module):
    """Few channels, many, few: widened by a 1 × 1 convolution, filtered channel by channel, narrowed without activation.

    y = x + conv(x) where stride is 1 and oup = inp, otherwise y = conv(x) (Sandler et al. 2018, fig. 3)

    Shapes: input (N, inp, H, W) → (N, oup, H / stride, W / stride).

    Raises: DataError for a stride that is neither 1 nor 2.

    Example:
        >>> import danlu
        >>> from danlu.vision.models import InvertedResidual
        >>> tuple(InvertedResidual(4, 8, 2, 6)(danlu.ones(1, 4, 8, 8)).shape)
        (1, 8, 4, 4)
    """

    def __init__(self, inp: int, oup: int, stride: int, expand_ratio: float, norm_layer: Norm | None = None) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise DataError("InvertedResidual: stride is {stride}; expected 1 or 2", stride=stride)
        norm, hidden = norm_layer or BatchNorm2d, round(inp * expand_ratio)
        widen = [] if expand_ratio == 1 else [unit(inp, hidden, 1, norm, ReLU6)]
        narrow = [Conv2d(hidden, oup, 1, bias=False), norm(oup)]
        self.conv = Sequential(*widen, unit(hidden, hidden, 3, norm, ReLU6, stride, hidden), *narrow)
        self.stride, self.use_res_connect = stride, stride == 1 and inp == oup

    def forward(self, x: Tensor) -> Tensor:
        """x + conv(x), or conv(x)."""
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


# Expansion, channels, number of blocks, stride of the first (Sandler et al. 2018, table 2).
V2_ROWS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class MobileNetV2(Module):
    """A 3 × 3 convolution, inverted residuals, a 1 × 1 convolution, the mean over the image, and a linear layer.

    y = classifier(mean over H, W of features(x))

    width_mult scales the channels, which stay multiples of round_nearest; inverted_residual_setting holds the rows (expansion, channels, number of
    blocks, stride of the first) of table 2.

    Shapes: input (N, 3, H, W) → (N, num_classes).

    Raises: DataError for rows that have not four members.

    Source: Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: Inverted residuals and linear bottlenecks", CVPR 2018.

    Example:
        >>> import danlu
        >>> from danlu.vision.models import MobileNetV2
        >>> MobileNetV2(num_classes=10, width_mult=0.5).features[1].conv[0][0]
        Conv2d(16, 16, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), groups=16, bias=False)
    """

    def __init__(
        self, num_classes: int = 1000, width_mult: float = 1.0, inverted_residual_setting: Sequence[Sequence[int]] | None = None,
        round_nearest: int = 8, block: Callable[..., Module] | None = None, norm_layer: Norm | None = None, dropout: float = 0.2,
    ) -> None:  # fmt: skip
        super().__init__()
        norm, rows = norm_layer or BatchNorm2d, inverted_residual_setting or V2_ROWS
        if any(len(row) != 4 for row in rows):
            raise DataError(
                "MobileNetV2: inverted_residual_setting is {given}; expected rows (expansion, channels, blocks, stride)",
                given=rows,
            )
        channels = rounded(32 * width_mult, round_nearest)
        self.last_channel = rounded(1280 * max(1.0, width_mult), round_nearest)
        layers: list[Module] = [unit(3, channels, 3, norm, ReLU6, 2)]
        for expansion, width, count, stride in rows:
            out = rounded(width * width_mult, round_nearest)
            for place in range(count):
                layers.append((block or InvertedResidual)(channels, out, 1 if place else stride, expansion, norm_layer=norm))
                channels = out
        self.features = Sequential(*layers, unit(channels, self.last_channel, 1, norm, ReLU6))
        self.classifier = Sequential(Dropout(dropout), Linear(self.last_channel, num_classes))
        draw(self, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        """The scores of the classes."""
        return self.classifier(self.features(x).mean((2, 3)))


class SqueezeExcitation(Module):
    """Every channel weighted by what the whole image says of it (Hu et al. 2018, eq. 3), with 1 × 1 convolutions as its linear layers.

    y = x · hardsigmoid(fc2(relu(fc1(mean over H, W of x))))

    Shapes: input (N, input_channels, H, W) → the same.

    Example:
        >>> import danlu
        >>> from danlu.vision.models import SqueezeExcitation
        >>> tuple(SqueezeExcitation(8, 2)(danlu.ones(1, 8, 4, 4)).shape)
        (1, 8, 4, 4)
    """

    def __init__(self, input_channels: int, squeeze_channels: int) -> None:
        super().__init__()
        self.avgpool = AdaptiveAvgPool2d(1)
        self.fc1, self.fc2 = Conv2d(input_channels, squeeze_channels, 1), Conv2d(squeeze_channels, input_channels, 1)
        self.activation, self.scale_activation = ReLU(), Hardsigmoid()

    def forward(self, input: Tensor) -> Tensor:
        """The input, weighted."""
        return input * self.scale_activation(self.fc2(self.activation(self.fc1(self.avgpool(input)))))


class MobileBlock(Module):
    """The inverted residual of MobileNetV3: widened, filtered, weighted by squeeze and excitation if asked for, narrowed.

    y = x + block(x) where stride is 1 and out = channels, otherwise y = block(x) (Howard et al. 2019, fig. 4)

    Shapes: input (N, channels, H, W) → (N, out, H / stride, W / stride).

    Example:
        >>> import danlu
        >>> from danlu.vision.models import MobileBlock
        >>> tuple(MobileBlock(8, 3, 16, 8, True, "HS", 1)(danlu.ones(1, 8, 4, 4)).shape)
        (1, 8, 4, 4)
    """

    def __init__(
        self, channels: int, kernel: int, hidden: int, out: int, squeezed: bool, activation: str, stride: int,
        norm_layer: Norm | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        norm, active = norm_layer or BatchNorm2d, ReLU if activation == "RE" else Hardswish
        widen = [] if hidden == channels else [unit(channels, hidden, 1, norm, active)]
        weigh = [SqueezeExcitation(hidden, rounded(hidden // 4))] if squeezed else []
        filtered = unit(hidden, hidden, kernel, norm, active, stride, hidden)
        self.block = Sequential(*widen, filtered, *weigh, unit(hidden, out, 1, norm, None))
        self.use_res_connect = stride == 1 and channels == out

    def forward(self, input: Tensor) -> Tensor:
        """x + block(x), or block(x)."""
        return input + self.block(input) if self.use_res_connect else self.block(input)


# Window, widened channels, channels, squeeze and excitation, activation, stride (Howard et al. 2019, tables 1 and 2).
Row = tuple[int, int, int, bool, str, int]
LARGE: tuple[Row, ...] = (
    (3, 16, 16, False, "RE", 1), (3, 64, 24, False, "RE", 2), (3, 72, 24, False, "RE", 1), (5, 72, 40, True, "RE", 2),
    (5, 120, 40, True, "RE", 1), (5, 120, 40, True, "RE", 1), (3, 240, 80, False, "HS", 2), (3, 200, 80, False, "HS", 1),
    (3, 184, 80, False, "HS", 1), (3, 184, 80, False, "HS", 1), (3, 480, 112, True, "HS", 1), (3, 672, 112, True, "HS", 1),
    (5, 672, 160, True, "HS", 2), (5, 960, 160, True, "HS", 1), (5, 960, 160, True, "HS", 1),
)  # fmt: skip
SMALL: tuple[Row, ...] = (
    (3, 16, 16, True, "RE", 2), (3, 72, 24, False, "RE", 2), (3, 88, 24, False, "RE", 1), (5, 96, 40, True, "HS", 2),
    (5, 240, 40, True, "HS", 1), (5, 240, 40, True, "HS", 1), (5, 120, 48, True, "HS", 1), (5, 144, 48, True, "HS", 1),
    (5, 288, 96, True, "HS", 2), (5, 576, 96, True, "HS", 1), (5, 576, 96, True, "HS", 1),
)  # fmt: skip


class MobileNetV3(Module):
    """A 3 × 3 convolution, inverted residuals with squeeze and excitation, the mean over the image, and two linear layers.

    y = classifier(mean over H, W of features(x))

    rows holds (window, widened channels, channels, squeeze and excitation, "RE" or "HS", stride) of each block, last_channel the width of the
    linear layer before the last.

    Shapes: input (N, 3, H, W) → (N, num_classes).

    Source: Howard et al., "Searching for MobileNetV3", ICCV 2019.

    Example:
        >>> import danlu
        >>> from danlu.vision.models import MobileNetV3
        >>> MobileNetV3([(3, 16, 24, True, "RE", 2)], 64, num_classes=10).classifier[3]
        Linear(in_features=64, out_features=10, bias=True)
    """

    def __init__(
        self,
        rows: Sequence[Row],
        last_channel: int,
        num_classes: int = 1000,
        norm_layer: Norm | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        norm = norm_layer or partial(BatchNorm2d, eps=0.001, momentum=0.01)
        layers: list[Module] = [unit(3, 16, 3, norm, Hardswish, 2)]
        channels = 16
        for kernel, hidden, out, squeezed, activation, stride in rows:
            layers.append(MobileBlock(channels, kernel, hidden, out, squeezed, activation, stride, norm))
            channels = out
        self.features = Sequential(*layers, unit(channels, 6 * channels, 1, norm, Hardswish))
        self.avgpool = AdaptiveAvgPool2d(1)
        self.classifier = Sequential(
            Linear(6 * channels, last_channel),
            Hardswish(inplace=True),
            Dropout(dropout, inplace=True),
            Linear(last_channel, num_classes),
        )
        draw(self, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        """The scores of the classes."""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def mobilenet_v2(pretrained: Any = False, progress: bool = True, *, weights: Any = None, **options: Any) -> MobileNetV2:
    """MobileNetV2 with 3,504,872 parameters. The options are those of MobileNetV2.

    y = classifier(mean over H, W of features(x))

    Shapes: input (N, 3, H, W) → (N, num_classes).

    Raises: DataError for weights that would have to be downloaded: `weights=` takes None or the path of a state dict.

    Source: Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: Inverted residuals and linear bottlenecks", CVPR 2018.

    Example:
        >>> import danlu
        >>> from danlu.vision.models import mobilenet_v2
        >>> sum(p.numel() for p in mobilenet_v2().parameters())
        3504872
    """
    return built("mobilenet_v2", lambda: MobileNetV2(**options), pretrained, weights)


def mobilenet_v3_large(pretrained: Any = False, progress: bool = True, *, weights: Any = None, **options: Any) -> MobileNetV3:
    """MobileNetV3-Large with 5,483,032 parameters. The options are those of MobileNetV3.

    y = classifier(mean over H, W of features(x))

    Shapes: input (N, 3, H, W) → (N, num_classes).

    Raises: DataError for weights that would have to be downloaded: `weights=` takes None or the path of a state dict.

    Source: Howard et al., "Searching for MobileNetV3", ICCV 2019, table 1.

    Example:
        >>> import danlu
        >>> from danlu.vision.models import mobilenet_v3_large
        >>> sum(p.numel() for p in mobilenet_v3_large().parameters())
        5483032
    """
    return built("mobilenet_v3_large", lambda: MobileNetV3(LARGE, 1280, **options), pretrained, weights)


def mobilenet_v3_small(pretrained: Any = False, progress: bool = True, *, weights: Any = None, **options: Any) -> MobileNetV3:
    """MobileNetV3-Small with 2,542,856 parameters. The options are those of MobileNetV3.

    y = classifier(mean over H, W of features(x))

    Shapes: input (N, 3, H, W) → (N, num_classes).

    Raises: DataError for weights that would have to be downloaded: `weights=` takes None or the path of a state dict.

    Source: Howard et al., "Searching for MobileNetV3", ICCV 2019, table 2.

    Example:
        >>> import danlu
        >>> from danlu.vision.models import mobilenet_v3_small
        >>> sum(p.numel() for p in mobilenet_v3_small().parameters())
        2542856
    """
    return built("mobilenet_v3_small", lambda: MobileNetV3(SMALL, 1024, **options), pretrained, weights)
