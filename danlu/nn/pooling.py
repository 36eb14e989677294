"""L7. Pooling layers: each holds the options of its function in danlu.nn.functional."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from danlu.errors import DataError
from danlu.functional import pooling as F
from danlu.functional.fractional import fractional_max_pool
from danlu.functional.unpooling import max_unpool
from danlu.nn.module import Module
from danlu.tensor import Tensor

Size = int | Sequence[int]


class _MaxPool(Module):
    """The largest element of each window."""

    dims: int

    def __init__(
        self, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation, self.return_indices, self.ceil_mode = padding, dilation, return_indices, ceil_mode

    def forward(self, input: Tensor) -> Any:
        """max over windows; with return_indices also where they lie."""
        options = (self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices)
        return getattr(F, f"max_pool{self.dims}d")(input, *options)

    def extra_repr(self) -> str:
        """The window and its options."""
        window = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
        return f"{window}, dilation={self.dilation}, ceil_mode={self.ceil_mode}"


class _AvgPool(Module):
    """The mean of each window."""

    dims: int

    def __init__(
        self, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False, count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, kernel_size if stride is None else stride, padding
        self.ceil_mode, self.count_include_pad, self.divisor_override = ceil_mode, count_include_pad, divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """mean over windows."""
        options = (self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)
        divisor = () if self.dims == 1 else (self.divisor_override,)
        return getattr(F, f"avg_pool{self.dims}d")(input, *options, *divisor)

    def extra_repr(self) -> str:
        """The window."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _LPPool(Module):
    """(Σ xᵖ)^(1/p) of each window."""

    dims: int

    def __init__(self, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False) -> None:
        super().__init__()
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        """(Σ xᵖ)^(1/p) over windows."""
        return getattr(F, f"lp_pool{self.dims}d")(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        """p and the window."""
        return f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, ceil_mode={self.ceil_mode}"


class _AdaptiveAvgPool(Module):
    """The mean of each of a given number of parts."""

    dims: int

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """mean over parts."""
        return getattr(F, f"adaptive_avg_pool{self.dims}d")(input, self.output_size)

    def extra_repr(self) -> str:
        """The number of parts."""
        return f"output_size={self.output_size}"


class _AdaptiveMaxPool(Module):
    """The largest element of each of a given number of parts."""

    dims: int

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input: Tensor) -> Any:
        """max over parts; with return_indices also where they lie."""
        return getattr(F, f"adaptive_max_pool{self.dims}d")(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        """The number of parts."""
        return f"output_size={self.output_size}"


class _FractionalMaxPool(Module):
    """The largest element of windows whose distances are drawn."""

    dims: int
    _random_samples: Tensor | None

    def __init__(
        self, kernel_size: Size, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if (output_size is None) == (output_ratio is None):
            raise DataError("{name}: expected either output_size or output_ratio", name=type(self).__name__)
        self.kernel_size, self.output_size, self.output_ratio = kernel_size, output_size, output_ratio
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)

    def forward(self, input: Tensor) -> Any:
        """max over the windows; with return_indices also where they lie."""
        options = (self.kernel_size, self.output_size, self.output_ratio, self.return_indices, self._random_samples)
        return fractional_max_pool(self.dims, input, *options)


class FractionalMaxPool2d(_FractionalMaxPool):
    """The largest element of windows whose distances are drawn, of (N, C, H, W); see danlu.nn.functional.fractional_max_pool2d.

    Raises: DataError unless one of output_size and output_ratio is given.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.FractionalMaxPool2d(2, output_ratio=0.7)(danlu.ones(1, 1, 10, 10)).shape)
        (1, 1, 7, 7)
    """

    dims = 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """The largest element of windows whose distances are drawn, of (N, C, D, H, W); see danlu.nn.functional.fractional_max_pool3d.

    Raises: DataError unless one of output_size and output_ratio is given.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.FractionalMaxPool3d(2, output_size=3)(danlu.ones(1, 1, 6, 6, 6)).shape)
        (1, 1, 3, 3, 3)
    """

    dims = 3


class _MaxUnpool(Module):
    """The partial inverse of max pooling."""

    dims: int

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        super().__init__()
        name, d = type(self).__name__, self.dims
        self.kernel_size = F.sizes(name, "kernel_size", kernel_size, d)
        self.stride = self.kernel_size if stride is None else F.sizes(name, "stride", stride, d)
        self.padding = F.sizes(name, "padding", padding, d, 0)

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        """The elements back at their places, zeros between them."""
        return max_unpool(self.dims, input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        """The windows."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """The partial inverse of MaxPool1d(return_indices=True); see danlu.nn.functional.max_unpool1d.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.MaxUnpool1d(2)(*nn.MaxPool1d(2, return_indices=True)(danlu.tensor([[1.0, 4.0]])))
        tensor([[0., 4.]])
    """

    dims = 1


class MaxUnpool2d(_MaxUnpool):
    """The partial inverse of MaxPool2d(return_indices=True); see danlu.nn.functional.max_unpool2d.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.MaxUnpool2d(2)(*nn.MaxPool2d(2, return_indices=True)(danlu.arange(4.0).reshape(1, 2, 2)))
        tensor([[[0., 0.],
                 [0., 3.]]])
    """

    dims = 2


class MaxUnpool3d(_MaxUnpool):
    """The partial inverse of MaxPool3d(return_indices=True); see danlu.nn.functional.max_unpool3d.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.MaxUnpool3d(2)(*nn.MaxPool3d(2, return_indices=True)(danlu.ones(1, 2, 2, 2))).shape)
        (1, 2, 2, 2)
    """

    dims = 3


class MaxPool1d(_MaxPool):
    """The largest element of each window of (N, C, L); see danlu.nn.functional.max_pool1d.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.MaxPool1d(2)(danlu.ones(1, 1, 4)).shape)
        (1, 1, 2)
    """

    dims = 1


class MaxPool2d(_MaxPool):
    """The largest element of each window of (N, C, H, W); see danlu.nn.functional.max_pool2d.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.MaxPool2d(2)(danlu.ones(1, 1, 4, 4)).shape)
        (1, 1, 2, 2)
    """

    dims = 2


class MaxPool3d(_MaxPool):
    """The largest element of each window of (N, C, D, H, W); see danlu.nn.functional.max_pool3d.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.MaxPool3d(2)(danlu.ones(1, 1, 4, 4, 4)).shape)
        (1, 1, 2, 2, 2)
    """

    dims = 3


class AvgPool1d(_AvgPool):
    """The mean of each window of (N, C, L); see danlu.nn.functional.avg_pool1d.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.AvgPool1d(2)(danlu.ones(1, 1, 4)).shape)
        (1, 1, 2)
    """

    dims = 1

    def __init__(
        self, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False, count_include_pad: bool = True
    ) -> None:  # fmt: skip
        kernel = F.sizes("AvgPool1d", "kernel_size", kernel_size, 1)
        stride = kernel if stride is None else F.sizes("AvgPool1d", "stride", stride, 1)
        super().__init__(kernel, stride, F.sizes("AvgPool1d", "padding", padding, 1, 0), ceil_mode, count_include_pad)


class AvgPool2d(_AvgPool):
    """The mean of each window of (N, C, H, W); see danlu.nn.functional.avg_pool2d.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.AvgPool2d(2)(danlu.ones(1, 1, 4, 4)).shape)
        (1, 1, 2, 2)
    """

    dims = 2


class AvgPool3d(_AvgPool):
    """The mean of each window of (N, C, D, H, W); see danlu.nn.functional.avg_pool3d.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.AvgPool3d(2)(danlu.ones(1, 1, 4, 4, 4)).shape)
        (1, 1, 2, 2, 2)
    """

    dims = 3


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The mean of each of a given number of parts of (N, C, L); see danlu.nn.functional.adaptive_avg_pool1d.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.AdaptiveAvgPool1d(2)(danlu.ones(1, 1, 4)).shape)
        (1, 1, 2)
    """

    dims = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The mean of each of a given number of parts of (N, C, H, W); see danlu.nn.functional.adaptive_avg_pool2d.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.AdaptiveAvgPool2d(2)(danlu.ones(1, 1, 4, 4)).shape)
        (1, 1, 2, 2)
    """

    dims = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The mean of each of a given number of parts of (N, C, D, H, W); see danlu.nn.functional.adaptive_avg_pool3d.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.AdaptiveAvgPool3d(2)(danlu.ones(1, 1, 4, 4, 4)).shape)
        (1, 1, 2, 2, 2)
    """

    dims = 3


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest element of each of a given number of parts of (N, C, L); see danlu.nn.functional.adaptive_max_pool1d.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.AdaptiveMaxPool1d(2)(danlu.ones(1, 1, 4)).shape)
        (1, 1, 2)
    """

    dims = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest element of each of a given number of parts of (N, C, H, W); see danlu.nn.functional.adaptive_max_pool2d.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.AdaptiveMaxPool2d(2)(danlu.ones(1, 1, 4, 4)).shape)
        (1, 1, 2, 2)
    """

    dims = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest element of each of a given number of parts of (N, C, D, H, W); see danlu.nn.functional.adaptive_max_pool3d.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.AdaptiveMaxPool3d(2)(danlu.ones(1, 1, 4, 4, 4)).shape)
        (1, 1, 2, 2, 2)
    """

    dims = 3


class LPPool1d(_LPPool):
    """(Σ xᵖ)^(1/p) of each window of (N, C, L); see danlu.nn.functional.lp_pool1d.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.LPPool1d(2, 2)(danlu.ones(1, 1, 4)).shape)
        (1, 1, 2)
    """

    dims = 1


class LPPool2d(_LPPool):
    """(Σ xᵖ)^(1/p) of each window of (N, C, H, W); see danlu.nn.functional.lp_pool2d.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.LPPool2d(2, 2)(danlu.ones(1, 1, 4, 4)).shape)
        (1, 1, 2, 2)
    """

    dims = 2


class LPPool3d(_LPPool):
    """(Σ xᵖ)^(1/p) of each window of (N, C, D, H, W); see danlu.nn.functional.lp_pool3d.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.LPPool3d(2, 2)(danlu.ones(1, 1, 4, 4, 4)).shape)
        (1, 1, 2, 2, 2)
    """

    dims = 3


__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
]
