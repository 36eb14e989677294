"""L8. ResNet: networks of residual blocks (He et al. 2016), with torchvision's names, so that its state dicts fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from danlu.errors import DataError
from danlu.nn import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Linear, MaxPool2d, Module, ReLU, Sequential, init
from danlu.tensor import Tensor
from danlu.vision.models.weights import built, draw

Norm = Callable[[int], Module]


def conv3x3(in_planes: int, out_planes: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> Conv2d:
    """A 3 × 3 convolution without bias that keeps the size of the image (at stride 1)."""
    return Conv2d(in_planes, out_planes, 3, stride, dilation, dilation, groups, bias=False)


def conv1x1(in_planes: int, out_planes: int, stride: int = 1) -> Conv2d:
    """A 1 × 1 convolution without bias: a linear layer over the channels of each pixel."""
    return Conv2d(in_planes, out_planes, 1, stride, bias=False)


class BasicBlock(Module):
    """Two 3 × 3 convolutions beside a shortcut: the block of ResNet-18 and 34 (He et al. 2016, fig. 5 left).

    y = relu(bn₂(w₂ ∗ relu(bn₁(w₁ ∗ x))) + downsample(x))

    Shapes: input (N, inplanes, H, W) → (N, planes, H / stride, W / stride).

    Raises: DataError for groups, a width or a dilation other than the usual one, which Bottleneck has.

    Example:
        >>> import danlu
        >>> from danlu.vision.models import BasicBlock
        >>> tuple(BasicBlock(4, 4)(danlu.ones(1, 4, 8, 8)).shape)
        (1, 4, 8, 8)
    """

    expansion = 1

    def __init__(
        self, inplanes: int, planes: int, stride: int = 1, downsample: Module | None = None, groups: int = 1,
        base_width: int = 64, dilation: int = 1, norm_layer: Norm | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if (groups, base_width, dilation) != (1, 64, 1):
            raise DataError(
                "BasicBlock: groups is {groups}, base_width {width} and dilation {dilation}; expected 1, 64 and 1: write Bottleneck",
                groups=groups,
                width=base_width,
                dilation=dilation,
            )
        norm = norm_layer or BatchNorm2d
        self.conv1, self.bn1 = conv3x3(inplanes, planes, stride), norm(planes)
        self.relu = ReLU(inplace=True)
        self.conv2, self.bn2 = conv3x3(planes, planes), norm(planes)
        self.downsample, self.stride = downsample, stride

    def forward(self, x: Tensor) -> Tensor:
        """relu(F(x) + shortcut)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(Module):
    """Convolutions 1 × 1, 3 × 3 and 1 × 1, the middle one narrow, beside a shortcut: the block of ResNet-50 and deeper (fig. 5 right).

    y = relu(bn₃(w₃ ∗ relu(bn₂(w₂ ∗ relu(bn₁(w₁ ∗ x))))) + downsample(x))

    The stride is that of the 3 × 3 convolution, as in torchvision; the paper has it in the first 1 × 1.

    Shapes: input (N, inplanes, H, W) → (N, 4 · planes, H / stride, W / stride).

    Example:
        >>> import danlu
        >>> from danlu.vision.models import Bottleneck
        >>> tuple(Bottleneck(8, 2)(danlu.ones(1, 8, 4, 4)).shape)
        (1, 8, 4, 4)
    """

    expansion = 4

    def __init__(
        self, inplanes: int, planes: int, stride: int = 1, downsample: Module | None = None, groups: int = 1,
        base_width: int = 64, dilation: int = 1, norm_layer: Norm | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        norm, width, out = norm_layer or BatchNorm2d, planes * base_width // 64 * groups, planes * self.expansion
        self.conv1, self.bn1 = conv1x1(inplanes, width), norm(width)
        self.conv2, self.bn2 = conv3x3(width, width, stride, groups, dilation), norm(width)
        self.conv3, self.bn3 = conv1x1(width, out), norm(out)
        self.relu = ReLU(inplace=True)
        self.downsample, self.stride = downsample, stride

    def forward(self, x: Tensor) -> Tensor:
        """relu(F(x) + shortcut)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(Module):
    """A 7 × 7 convolution, four stages of residual blocks, the mean over the image, and a linear layer (He et al. 2016, table 1).

    y = fc(mean over H, W of layer4(layer3(layer2(layer1(maxpool(relu(bn1(conv1(x)))))))))

    layers holds the number of blocks of each stage; zero_init_residual lets every block begin as the identity (Goyal et al. 2017, section 5.1);
    groups and width_per_group make ResNeXt (Xie et al. 2017) and wide networks; replace_stride_with_dilation says for each of the last three
    stages whether it keeps the size of the image and spreads its windows instead (Yu & Koltun 2016).

    Shapes: input (N, 3, H, W) → (N, num_classes).

    Raises: DataError where replace_stride_with_dilation has not three members.

    Source: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016.

    Example:
        >>> import danlu
        >>> from danlu.vision.models import BasicBlock, ResNet
        >>> net = ResNet(BasicBlock, [1, 1, 0, 0], num_classes=10)
        >>> net.layer2[0].downsample[0].weight.shape
        danlu.Size([128, 64, 1, 1])
    """

    def __init__(
        self, block: type[BasicBlock | Bottleneck], layers: Sequence[int], num_classes: int = 1000, zero_init_residual: bool = False,
        groups: int = 1, width_per_group: int = 64, replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: Norm | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        dilated = replace_stride_with_dilation or (False, False, False)
        if len(dilated) != 3:
            raise DataError(
                "ResNet: replace_stride_with_dilation is {given}; expected three values, for layer2, layer3 and layer4",
                given=dilated,
            )
        self.groups, self.base_width, self.norm_layer = groups, width_per_group, norm_layer or BatchNorm2d
        self.inplanes, self.dilation = 64, 1
        self.conv1 = Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1, self.relu = self.norm_layer(64), ReLU(inplace=True)
        self.maxpool = MaxPool2d(3, 2, 1)
        self.layer1 = self._stage(block, 64, layers[0], 1, False)
        self.layer2 = self._stage(block, 128, layers[1], 2, dilated[0])
        self.layer3 = self._stage(block, 256, layers[2], 2, dilated[1])
        self.layer4 = self._stage(block, 512, layers[3], 2, dilated[2])
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.fc = Linear(512 * block.expansion, num_classes)
        draw(self)
        if zero_init_residual:
            for last in (
                m.bn3 if isinstance(m, Bottleneck) else m.bn2 for m in self.modules() if isinstance(m, (BasicBlock, Bottleneck))
            ):
                init.zeros_(last.get_parameter("weight"))

    def _stage(self, block: type[BasicBlock | Bottleneck], planes: int, count: int, stride: int, dilated: bool) -> Sequential:
        """Blocks of one width; the first one changes the size and the channels, and its shortcut does so too."""
        before = self.dilation
        if dilated:
            self.dilation, stride = self.dilation * stride, 1
        out, shortcut = planes * block.expansion, None
        if stride != 1 or self.inplanes != out:
            shortcut = Sequential(conv1x1(self.inplanes, out, stride), self.norm_layer(out))
        rest = (self.groups, self.base_width)
        blocks = [block(self.inplanes, planes, stride, shortcut, *rest, before, self.norm_layer)]
        self.inplanes = out
        blocks += [block(out, planes, 1, None, *rest, self.dilation, self.norm_layer) for _ in range(count - 1)]
        return Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        """The scores of the classes."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # N, 64, H / 4, W / 4
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # N, 512 · expansion, H / 32, W / 32
        return self.fc(self.avgpool(x).flatten(1))


def resnet18(pretrained: Any = False, progress: bool = True, *, weights: Any = None, **options: Any) -> ResNet:
    """ResNet-18: two BasicBlocks a stage, 11,689,512 parameters (He et al. 2016, table 1). The options are those of ResNet.

    y = fc(mean over H, W of layer4(layer3(layer2(layer1(maxpool(relu(bn1(conv1(x)))))))))

    Shapes: input (N, 3, H, W) → (N, num_classes).

    Raises: DataError for weights that would have to be downloaded: `weights=` takes None or the path of a state dict.

    Example:
        >>> import danlu
        >>> from danlu.vision.models import resnet18
        >>> resnet18(num_classes=10).fc
        Linear(in_features=512, out_features=10, bias=True)
    """
    return built("resnet18", lambda: ResNet(BasicBlock, (2, 2, 2, 2), **options), pretrained, weights)


def resnet34(pretrained: Any = False, progress: bool = True, *, weights: Any = None, **options: Any) -> ResNet:
    """ResNet-34: 3, 4, 6 and 3 BasicBlocks, 21,797,672 parameters (He et al. 2016, table 1). The options are those of ResNet.

    y = fc(mean over H, W of layer4(layer3(layer2(layer1(maxpool(relu(bn1(conv1(x)))))))))

    Shapes: input (N, 3, H, W) → (N, num_classes).

    Raises: DataError for weights that would have to be downloaded: `weights=` takes None or the path of a state dict.

    Example:
        >>> import danlu
        >>> from danlu.vision.models import resnet34
        >>> resnet34(num_classes=10).fc
        Linear(in_features=512, out_features=10, bias=True)
    """
    return built("resnet34", lambda: ResNet(BasicBlock, (3, 4, 6, 3), **options), pretrained, weights)


def resnet50(pretrained: Any = False, progress: bool = True, *, weights: Any = None, **options: Any) -> ResNet:
    """ResNet-50: 3, 4, 6 and 3 Bottlenecks, 25,557,032 parameters (He et al. 2016, table 1). The options are those of ResNet.

    y = fc(mean over H, W of layer4(layer3(layer2(layer1(maxpool(relu(bn1(conv1(x)))))))))

    Shapes: input (N, 3, H, W) → (N, num_classes).

    Raises: DataError for weights that would have to be downloaded: `weights=` takes None or the path of a state dict.

    Example:
        >>> import danlu
        >>> from danlu.vision.models import resnet50
        >>> resnet50(num_classes=10).fc
        Linear(in_features=2048, out_features=10, bias=True)
    """
    return built("resnet50", lambda: ResNet(Bottleneck, (3, 4, 6, 3), **options), pretrained, weights)


def resnet101(pretrained: Any = False, progress: bool = True, *, weights: Any = None, **options: Any) -> ResNet:
    """ResNet-101: 3, 4, 23 and 3 Bottlenecks, 44,549,160 parameters (He et al. 2016, table 1). The options are those of ResNet.

    y = fc(mean over H, W of layer4(layer3(layer2(layer1(maxpool(relu(bn1(conv1(x)))))))))

    Shapes: input (N, 3, H, W) → (N, num_classes).

    Raises: DataError for weights that would have to be downloaded: `weights=` takes None or the path of a state dict.

    Example:
        >>> import danlu
        >>> from danlu.vision.models import resnet101
        >>> resnet101(num_classes=10).fc
        Linear(in_features=2048, out_features=10, bias=True)
    """
    return built("resnet101", lambda: ResNet(Bottleneck, (3, 4, 23, 3), **options), pretrained, weights)


def resnet152(pretrained: Any = False, progress: bool = True, *, weights: Any = None, **options: Any) -> ResNet:
    """ResNet-152: 3, 8, 36 and 3 Bottlenecks, 60,192,808 parameters (He et al. 2016, table 1). The options are those of ResNet.

    y = fc(mean over H, W of layer4(layer3(layer2(layer1(maxpool(relu(bn1(conv1(x)))))))))

    Shapes: input (N, 3, H, W) → (N, num_classes).

    Raises: DataError for weights that would have to be downloaded: `weights=` takes None or the path of a state dict.

    Example:
        >>> import danlu
        >>> from danlu.vision.models import resnet152
        >>> resnet152(num_classes=10).fc
        Linear(in_features=2048, out_features=10, bias=True)
    """
    return built("resnet152", lambda: ResNet(Bottleneck, (3, 8, 36, 3), **options), pretrained, weights)


def wide_resnet50_2(pretrained: Any = False, progress: bool = True, *, weights: Any = None, **options: Any) -> ResNet:
    """Wide ResNet-50-2: ResNet-50 with 3 × 3 convolutions of twice the width, 68,883,240 parameters
    (Zagoruyko & Komodakis 2016). The options are those of ResNet.

    y = fc(mean over H, W of layer4(layer3(layer2(layer1(maxpool(relu(bn1(conv1(x)))))))))

    Shapes: input (N, 3, H, W) → (N, num_classes).

    Raises: DataError for weights that would have to be downloaded: `weights=` takes None or the path of a state dict.

    Example:
        >>> import danlu
        >>> from danlu.vision.models import wide_resnet50_2
        >>> wide_resnet50_2(num_classes=10).fc
        Linear(in_features=2048, out_features=10, bias=True)
    """
    return built(
        "wide_resnet50_2", lambda: ResNet(Bottleneck, (3, 4, 6, 3), **{"width_per_group": 128, **options}), pretrained, weights
    )
