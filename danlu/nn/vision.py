"""L7. Layers that move or resample the elements of images, and similarities: each holds the options of its function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from danlu.functional import loss, resample, vision
from danlu.nn.module import Module
from danlu.tensor import Tensor

Size = int | Sequence[int]


class Unfold(Module):
    """The windows of an image as columns: (N, C, H, W) → (N, C · K · K, number of windows).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.Unfold(2)(danlu.ones(1, 3, 4, 4)).shape)
        (1, 12, 9)
    """

    def __init__(self, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> None:
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        """The matrix of windows."""
        return vision.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """The window."""
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """The adjoint of Unfold: columns added to an image where they come from.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.Fold((4, 4), 2)(danlu.ones(1, 12, 9)).shape)
        (1, 3, 4, 4)
    """

    def __init__(self, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> None:
        super().__init__()
        self.output_size, self.kernel_size = output_size, kernel_size
        self.dilation, self.padding, self.stride = dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        """The image."""
        options = (self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)
        return vision.fold(input, *options)

    def extra_repr(self) -> str:
        """The size of the image and the window."""
        window = f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"
        return f"output_size={self.output_size}, {window}"


class Upsample(Module):
    """A signal or an image of another size; see danlu.nn.functional.interpolate.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Upsample(scale_factor=2)(danlu.tensor([[[1.0, 2.0]]])).tolist()
        [[[1.0, 1.0, 2.0, 2.0]]]
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.size, self.mode, self.align_corners = size, mode, align_corners
        several = isinstance(scale_factor, (tuple, list))
        self.scale_factor = tuple(map(float, scale_factor)) if several else float(scale_factor) if scale_factor else None
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        """The resampled input."""
        options = (self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor)
        return resample.interpolate(input, *options)

    def extra_repr(self) -> str:
        """The size or factor, and the mode."""
        first = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        return f"{first}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Upsample of images by the nearest element.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.UpsamplingNearest2d(scale_factor=2)(danlu.ones(1, 1, 2, 2)).shape)
        (1, 1, 4, 4)
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor)


class UpsamplingBilinear2d(Upsample):
    """Upsample of images by bilinear interpolation with aligned corners.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.UpsamplingBilinear2d(scale_factor=2)(danlu.ones(1, 1, 2, 2)).shape)
        (1, 1, 4, 4)
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, "bilinear", True)


class PixelShuffle(Module):
    """Channels become pixels: (…, C · r², H, W) → (…, C, H · r, W · r).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.PixelShuffle(2)(danlu.ones(1, 8, 3, 3)).shape)
        (1, 2, 6, 6)
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """The larger image."""
        return vision.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        """r."""
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Pixels become channels: (…, C, H · r, W · r) → (…, C · r², H, W).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.PixelUnshuffle(2)(danlu.ones(1, 2, 6, 6)).shape)
        (1, 8, 3, 3)
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        """The smaller image."""
        return vision.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        """r."""
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """The channels of each group dealt out in turn.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.ChannelShuffle(2)(danlu.arange(4.0).reshape(1, 4, 1, 1)).flatten().tolist()
        [0.0, 2.0, 1.0, 3.0]
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        """The channels in another order."""
        return vision.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        """The number of groups."""
        return f"groups={self.groups}"


class CosineSimilarity(Module):
    """x · y / (max(‖x‖, ε) max(‖y‖, ε)) along an axis.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.CosineSimilarity(dim=0)(danlu.tensor([1.0, 0.0]), danlu.tensor([0.0, 2.0])).item()
        0.0
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """The cosine of the angle."""
        return loss.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """‖x − y + ε‖ₚ along the last axis.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.PairwiseDistance(eps=0.0)(danlu.tensor([3.0, 4.0]), danlu.zeros(2)).item()
        5.0
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """The distance."""
        return loss.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


__all__ = [
    "ChannelShuffle",
    "CosineSimilarity",
    "Fold",
    "PairwiseDistance",
    "PixelShuffle",
    "PixelUnshuffle",
    "Unfold",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]
