"""L7. Convolution layers. A window of learned weights slides over one, two or three axes; each class says which."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt
from typing import Any

from danlu.dtype import DType
from danlu.errors import DataError
from danlu.functional import vision as F
from danlu.nn import init
from danlu.nn.linear import check_size
from danlu.nn.module import Module
from danlu.nn.parameter import Parameter, filled
from danlu.random import Generator
from danlu.tensor import Tensor

Size = int | Sequence[int]
_MODES = ("zeros", "reflect", "replicate", "circular")


class _Conv(Module):
    """What all convolutions share: sizes, weight, bias, initial values and their text."""

    weight: Parameter
    bias: Parameter | None
    dims: int
    transposed = False

    def _build(
        self, channels: tuple[int, int], kernel_size: Size, stride: Size, padding: Size | str, output_padding: Size, dilation: Size,
        groups: int, bias: bool, padding_mode: str, device: Any, dtype: DType | None, generator: Generator | None,
    ) -> None:  # fmt: skip
        name, d = type(self).__name__, self.dims
        self.in_channels = check_size(name, "in_channels", channels[0])
        self.out_channels = check_size(name, "out_channels", channels[1])
        self.groups = check_size(name, "groups", groups)
        for word, size in (("in_channels", self.in_channels), ("out_channels", self.out_channels)):
            if size % self.groups:
                raise DataError(
                    "{name}: {word} is {size} and groups {groups}; expected groups that divides {word}",
                    name=name,
                    word=word,
                    size=size,
                    groups=groups,
                )
        if padding_mode not in _MODES:
            raise DataError(
                "{name}: padding_mode is {padding_mode!r}; expected one of {modes}",
                name=name,
                padding_mode=padding_mode,
                modes=", ".join(_MODES),
            )
        self.kernel_size = F.sizes(name, "kernel_size", kernel_size, d)
        self.stride, self.dilation = F.sizes(name, "stride", stride, d), F.sizes(name, "dilation", dilation, d)
        self.padding = padding if isinstance(padding, str) else F.sizes(name, "padding", padding, d, 0)
        self.output_padding, self.padding_mode = F.sizes(name, "output_padding", output_padding, d, 0), padding_mode
        first, second = (self.in_channels, self.out_channels) if self.transposed else (self.out_channels, self.in_channels)
        self.weight = Parameter(filled((first, second // self.groups, *self.kernel_size), 0.0, dtype, device))
        self.register_parameter("bias", Parameter(filled((self.out_channels,), 0.0, dtype, device)) if bias else None)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draws weight and bias anew, uniform in ±1/√(fan_in)."""
        init.kaiming_uniform_(self.weight, a=sqrt(5), generator=generator)  # gain √(1/3): bound √3 · √(1/3) / √fan_in
        if self.bias is not None:
            bound = 1 / sqrt(prod(self.weight.shape[1:]))
            init.uniform_(self.bias, -bound, bound, generator=generator)

    def extra_repr(self) -> str:
        """Channels, window, and the options that are not the usual ones."""
        none, one = (0,) * self.dims, (1,) * self.dims
        words = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        words += [f"padding={self.padding}"] * (self.padding != none)
        words += [f"dilation={self.dilation}"] * (self.dilation != one)
        words += [f"output_padding={self.output_padding}"] * (self.output_padding != none)
        words += [f"groups={self.groups}"] * (self.groups != 1)
        words += ["bias=False"] * (self.bias is None)
        words += [f"padding_mode={self.padding_mode}"] * (self.padding_mode != "zeros")
        return ", ".join(words)


class _ConvForward(_Conv):
    """y = b + Σ w · x over windows."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Size, stride: Size = 1, padding: Size | str = 0, dilation: Size = 1,
        groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Any = None, dtype: DType | None = None,
        *, generator: Generator | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        channels, rest = (in_channels, out_channels), (groups, bias, padding_mode, device, dtype, generator)
        self._build(channels, kernel_size, stride, padding, 0, dilation, *rest)
        if self.padding not in ("same", "valid") and isinstance(self.padding, str):
            raise DataError(
                "{name}: padding is {padding!r}; expected 'valid', 'same', an integer or {dims} of them",
                name=type(self).__name__,
                padding=padding,
                dims=self.dims,
            )

    def forward(self, input: Tensor) -> Tensor:
        """The windows of the (padded) input, each multiplied by the weight and summed, plus the bias."""
        function = getattr(F, f"conv{self.dims}d")
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._edges(), self.padding_mode), 0
        return function(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _edges(self) -> list[int]:
        """The padding as F.pad takes it: the last axis first."""
        if isinstance(self.padding, str):
            total = [0 if self.padding == "valid" else e * (k - 1) for e, k in zip(self.dilation, self.kernel_size)]
            pairs = [(t // 2, t - t // 2) for t in total]
        else:
            pairs = [(p, p) for p in self.padding]
        return [n for pair in reversed(pairs) for n in pair]


class _ConvTransposed(_Conv):
    """The adjoint of a convolution."""

    transposed = True

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Size, stride: Size = 1, padding: Size = 0, output_padding: Size = 0,
        groups: int = 1, bias: bool = True, dilation: Size = 1, padding_mode: str = "zeros", device: Any = None,
        dtype: DType | None = None, *, generator: Generator | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if padding_mode != "zeros":
            raise DataError(
                "{name}: padding_mode is {padding_mode!r}; expected 'zeros'", name=type(self).__name__, padding_mode=padding_mode
            )
        channels, rest = (in_channels, out_channels), (groups, bias, padding_mode, device, dtype, generator)
        self._build(channels, kernel_size, stride, padding, output_padding, dilation, *rest)

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Every element of the input times the weight, added into the output, plus the bias."""
        function = getattr(F, f"conv_transpose{self.dims}d")
        extra = self.output_padding if output_size is None else self._extra(input, output_size)
        return function(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def _extra(self, input: Tensor, output_size: Sequence[int]) -> tuple[int, ...]:
        """The output padding that gives an output of this size."""
        d = self.dims
        options = zip(input.shape[-d:], self.stride, self.padding, self.dilation, self.kernel_size)
        least = [(n - 1) * s - 2 * int(p) + e * (k - 1) + 1 for n, s, p, e, k in options]
        wanted = tuple(output_size)[-d:]
        if any(not 0 <= w - m < s for w, m, s in zip(wanted, least, self.stride)):
            most = [m + s - 1 for m, s in zip(least, self.stride)]
            raise DataError(
                "{name}: output_size is {output_size}; expected sizes from {least} to {most}",
                name=type(self).__name__,
                output_size=tuple(output_size),
                least=least,
                most=most,
            )
        return tuple(w - m for w, m in zip(wanted, least))


class Conv1d(_ConvForward):
    """Slides a window over one axis.

    y[n, f, p] = b[f] + Σ w[f, c, k] · x[n, c, p · stride + k · dilation − padding]

    Shapes: input (N, C, L) or (C, L); weight (out_channels, in_channels / groups, K); bias (out_channels,).
    Sizes become ⌊(n + 2 · padding − dilation · (K − 1) − 1) / stride⌋ + 1. Weight and bias begin uniform in ±1/√(C / groups · K).

    Raises:
        DataError: an option that is no size, or groups that do not divide the channels.
        ShapeError: the input has other channels, or is smaller than the window.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.Conv1d(2, 4, 3)(danlu.zeros(1, 2, 8)).shape)
        (1, 4, 6)
    """

    dims = 1


class Conv2d(_ConvForward):
    """Slides a window over an image.

    y[n, f, p] = b[f] + Σ w[f, c, k] · x[n, c, p · stride + k · dilation − padding]

    Shapes: input (N, C, H, W) or (C, H, W); weight (out_channels, in_channels / groups, K, K); bias (out_channels,).
    Sizes become ⌊(n + 2 · padding − dilation · (K − 1) − 1) / stride⌋ + 1. Weight and bias begin uniform in ±1/√(C / groups · K²).

    Raises:
        DataError: an option that is no size, or groups that do not divide the channels.
        ShapeError: the input has other channels, or is smaller than the window.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.Conv2d(3, 8, 3, padding=1)(danlu.zeros(1, 3, 6, 6)).shape)
        (1, 8, 6, 6)
    """

    dims = 2


class Conv3d(_ConvForward):
    """Slides a window over a volume.

    y[n, f, p] = b[f] + Σ w[f, c, k] · x[n, c, p · stride + k · dilation − padding]

    Shapes: input (N, C, D, H, W) or (C, D, H, W); weight (out_channels, in_channels / groups, K, K, K); bias (out_channels,).
    Sizes become ⌊(n + 2 · padding − dilation · (K − 1) − 1) / stride⌋ + 1. Weight and bias begin uniform in ±1/√(C / groups · K³).

    Raises:
        DataError: an option that is no size, or groups that do not divide the channels.
        ShapeError: the input has other channels, or is smaller than the window.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.Conv3d(1, 2, 2)(danlu.zeros(1, 1, 3, 3, 3)).shape)
        (1, 2, 2, 2, 2)
    """

    dims = 3


class ConvTranspose1d(_ConvTransposed):
    """The adjoint of Conv1d: every element of the input adds a scaled window to the output.

    y[n, f, p · stride + k · dilation − padding] = b[f] + Σ w[c, f, k] · x[n, c, p]

    Shapes: input (N, C, L) or (C, L); weight (in_channels, out_channels / groups, K); bias (out_channels,).
    Sizes become (n − 1) · stride − 2 · padding + dilation · (K − 1) + output_padding + 1.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.ConvTranspose1d(2, 4, 3)(danlu.zeros(1, 2, 8)).shape)
        (1, 4, 10)
    """

    dims = 1


class ConvTranspose2d(_ConvTransposed):
    """The adjoint of Conv2d: every element of the input adds a scaled window to the output.

    y[n, f, p · stride + k · dilation − padding] = b[f] + Σ w[c, f, k] · x[n, c, p], p and k pairs

    Shapes: input (N, C, H, W) or (C, H, W); weight (in_channels, out_channels / groups, K, K); bias (out_channels,).
    Sizes become (n − 1) · stride − 2 · padding + dilation · (K − 1) + output_padding + 1.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.ConvTranspose2d(3, 8, 2, stride=2)(danlu.zeros(1, 3, 6, 6)).shape)
        (1, 8, 12, 12)
    """

    dims = 2


class ConvTranspose3d(_ConvTransposed):
    """The adjoint of Conv3d: every element of the input adds a scaled window to the output.

    y[n, f, p · stride + k · dilation − padding] = b[f] + Σ w[c, f, k] · x[n, c, p], p and k triples

    Shapes: input (N, C, D, H, W) or (C, D, H, W); weight (in_channels, out_channels / groups, K, K, K); bias (out_channels,).
    Sizes become (n − 1) · stride − 2 · padding + dilation · (K − 1) + output_padding + 1.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.ConvTranspose3d(1, 2, 2)(danlu.zeros(1, 1, 3, 3, 3)).shape)
        (1, 2, 4, 4, 4)
    """

    dims = 3


__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]
