"""L6. Convolution, padding, and what else moves or mixes the elements of an image; public in `danlu.nn.functional`.

Layouts are PyTorch's: (N, C, L), (N, C, H, W), (N, C, D, H, W), each also without N.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from danlu.dtype import float32
from danlu.errors import DataError, ShapeError
from danlu.messages import Phrase
from danlu.ops import convolution as ops
from danlu.tensor import Tensor, apply, from_array

Size = int | Sequence[int]
_INTEGERS = {int}


def sizes(name: str, word: str, value: Size, d: int, least: int = 1) -> tuple[int, ...]:
    """An option as one integer an axis; DataError where it is not, or is too small."""
    if type(value) is int and value >= least:
        return (value,) * d
    if type(value) is tuple and len(value) == d and set(map(type, value)) == _INTEGERS and min(value) >= least:
        return value
    given = (value,) * d if isinstance(value, int) else tuple(value)
    given = given * d if len(given) == 1 else given
    if len(given) != d or any(isinstance(n, bool) or not hasattr(n, "__index__") or n < least for n in given):
        raise DataError(
            "{name}: {word} is {value!r}; expected an integer ≥ {least}, or {dims} of them",
            name=name,
            word=word,
            value=value,
            least=least,
            dims=d,
        )
    return tuple(int(n) for n in given)


def batched(name: str, x: Tensor, d: int, function: Callable[[Tensor], Any]) -> Any:
    """A function of (N, C, …) called on (C, …) too; several results each lose the axis again."""
    if x.ndim == d + 2:
        return function(x)
    if x.ndim != d + 1:
        raise ShapeError(
            "{name}: the input has shape {shape}; expected {ndim} axes (batch, channels, then {dims}), or "
            "{ndim_without_batch} without the batch",
            name=name,
            shape=tuple(x.shape),
            ndim=d + 2,
            dims=d,
            ndim_without_batch=d + 1,
        )
    y = function(x.unsqueeze(0))
    return tuple(part.squeeze(0) for part in y) if isinstance(y, tuple) else y.squeeze(0)


def rounded_once(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """function(x), computed in float32 where x has two bytes an element: the result alone is rounded."""
    if x.dtype.is_floating_point and x.dtype.itemsize == 2:
        return function(x.to(float32)).to(x.dtype)
    return function(x)


# ---- convolution --------------------------------------------------------------------------------------------------------------


def _padding(name: str, padding: Size | str, kernel: tuple, stride: tuple, dilation: tuple) -> tuple[tuple, tuple]:
    """Zeros before and after each axis."""
    d = len(kernel)
    if not isinstance(padding, str):
        both = sizes(name, "padding", padding, d, 0)
        return both, both
    if padding not in ("valid", "same"):
        raise DataError(
            "{name}: padding is {padding!r}; expected 'valid', 'same', an integer or {dims} of them",
            name=name,
            padding=padding,
            dims=d,
        )
    if padding == "valid":
        return (0,) * d, (0,) * d
    if any(s != 1 for s in stride):
        raise DataError(
            "{name}: padding='same' with stride {stride}; expected stride 1: write the padding as numbers",
            name=name,
            stride=stride,
        )
    total = tuple(e * (k - 1) for e, k in zip(dilation, kernel))
    return tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)


def _convolve(d: int, input: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Tensor:
    name = f"conv{d}d"
    strides, dilations = sizes(name, "stride", stride, d), sizes(name, "dilation", dilation, d)
    low, high = _padding(name, padding, tuple(weight.shape[2:]), strides, dilations)
    options = {"stride": strides, "low": low, "high": high, "dilation": dilations, "groups": groups}
    rest = () if bias is None else (bias,)
    return batched(name, input, d, lambda x: apply(ops.convolution, x, weight, *rest, **options))


def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size = 1, padding: Size | str = 0, dilation: Size = 1, groups: int = 1
) -> Tensor:  # fmt: skip
    """Slides a window over one axis: y[n, f, p] = b[f] + Σ w[f, c, k] · x[n, c, p · stride + k · dilation − padding].

    Shapes: input (N, C, L), weight (F, C / groups, K), bias (F,) → (N, F, ⌊(L + 2 · padding − dilation · (K − 1) − 1) / stride⌋ + 1).

    Raises:
        ShapeError: channels, groups or the size of the window do not fit.
        DTypeError: input and weight have different dtypes.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.conv1d(danlu.tensor([[[1.0, 2.0, 4.0]]]), danlu.tensor([[[-1.0, 1.0]]])).tolist()
        [[[1.0, 2.0]]]
    """
    return _convolve(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size = 1, padding: Size | str = 0, dilation: Size = 1, groups: int = 1
) -> Tensor:  # fmt: skip
    """Slides a window over an image; "convolution" as in deep learning, without turning the kernel round.

    y[n, f, p] = b[f] + Σ w[f, c, k] · x[n, c, p · stride + k · dilation − padding], p and k pairs

    Shapes: input (N, C, H, W), weight (F, C / groups, K, K), bias (F,) → (N, F, H', W'), sizes as in conv1d.

    Raises:
        ShapeError: channels, groups or the size of the window do not fit.
        DTypeError: input and weight have different dtypes.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.conv2d(danlu.ones(1, 1, 3, 3), danlu.ones(1, 1, 2, 2)).tolist()
        [[[[4.0, 4.0], [4.0, 4.0]]]]
    """
    return _convolve(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size = 1, padding: Size | str = 0, dilation: Size = 1, groups: int = 1
) -> Tensor:  # fmt: skip
    """conv2d with one axis more: input (N, C, D, H, W), weight (F, C / groups, K, K, K).

    y[n, f, p] = b[f] + Σ w[f, c, k] · x[n, c, p · stride + k · dilation − padding], p and k triples

    Shapes: input (N, C, D, H, W), weight (F, C / groups, K, K, K), bias (F,) → (N, F, D', H', W'), sizes as in conv1d.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.conv3d(danlu.ones(1, 1, 2, 2, 2), danlu.ones(1, 1, 2, 2, 2)).item()
        8.0
    """
    return _convolve(3, input, weight, bias, stride, padding, dilation, groups)


def _convolve_transposed(
    d: int, input: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, output_padding: Any, groups: int, dilation: Any
) -> Tensor:
    name = f"conv_transpose{d}d"
    strides, dilations = sizes(name, "stride", stride, d), sizes(name, "dilation", dilation, d)
    extra = sizes(name, "output_padding", output_padding, d, 0)
    if any(e and e >= max(s, n) for e, s, n in zip(extra, strides, dilations)):
        raise DataError(
            "{name}: output_padding is {extra}; expected less than the stride {strides} or the dilation {dilations}",
            name=name,
            extra=extra,
            strides=strides,
            dilations=dilations,
        )
    options = {
        "stride": strides,
        "padding": sizes(name, "padding", padding, d, 0),
        "output_padding": extra,
        "dilation": dilations,
    }
    rest = () if bias is None else (bias,)
    return batched(name, input, d, lambda x: apply(ops.convolution_transposed, x, weight, *rest, **options, groups=groups))


def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size = 1, padding: Size = 0, output_padding: Size = 0,
    groups: int = 1, dilation: Size = 1,
) -> Tensor:  # fmt: skip
    """The adjoint of conv1d: every element of the input adds a scaled kernel to the output.

    y[n, f, p · stride + k · dilation − padding] = b[f] + Σ w[c, f, k] · x[n, c, p]

    Shapes: input (N, C, L), weight (C, F / groups, K) → (N, F, (L − 1) · stride − 2 · padding + dilation · (K − 1) + output_padding + 1).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.conv_transpose1d(danlu.tensor([[[1.0, 2.0]]]), danlu.ones(1, 1, 2)).tolist()
        [[[1.0, 3.0, 2.0]]]
    """
    return _convolve_transposed(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size = 1, padding: Size = 0, output_padding: Size = 0,
    groups: int = 1, dilation: Size = 1,
) -> Tensor:  # fmt: skip
    """The adjoint of conv2d: input (N, C, H, W), weight (C, F / groups, K, K); sizes as in conv_transpose1d.

    y[n, f, p · stride + k · dilation − padding] = b[f] + Σ w[c, f, k] · x[n, c, p], p and k pairs

    Shapes: input (N, C, H, W), weight (C, F / groups, K, K), bias (F,) → (N, F, H', W'), sizes as in conv_transpose1d.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> tuple(F.conv_transpose2d(danlu.ones(1, 2, 3, 3), danlu.ones(2, 4, 2, 2), stride=2).shape)
        (1, 4, 6, 6)
    """
    return _convolve_transposed(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size = 1, padding: Size = 0, output_padding: Size = 0,
    groups: int = 1, dilation: Size = 1,
) -> Tensor:  # fmt: skip
    """The adjoint of conv3d: input (N, C, D, H, W), weight (C, F / groups, K, K, K).

    y[n, f, p · stride + k · dilation − padding] = b[f] + Σ w[c, f, k] · x[n, c, p], p and k triples

    Shapes: input (N, C, D, H, W), weight (C, F / groups, K, K, K), bias (F,) → (N, F, D', H', W'), sizes as in
    conv_transpose1d.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> tuple(F.conv_transpose3d(danlu.ones(1, 1, 2, 2, 2), danlu.ones(1, 1, 2, 2, 2)).shape)
        (1, 1, 3, 3, 3)
    """
    return _convolve_transposed(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def unfold(input: Tensor, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> Tensor:
    """The windows of an image as columns: (N, C, H, W) → (N, C · K · K, number of windows).

    y[n, c · K · K + k, p] = x[n, c, p · stride + k · dilation − padding], k and p counted in row-major order

    Shapes: input (N, C, H, W) → (N, C · K · K, windows).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.unfold(danlu.tensor([[[[1.0, 2.0, 3.0]]]]), (1, 2)).tolist()
        [[[1.0, 2.0], [2.0, 3.0]]]
    """
    kernel, strides = sizes("unfold", "kernel_size", kernel_size, 2), sizes("unfold", "stride", stride, 2)
    options = {"kernel": kernel, "stride": strides, "padding": sizes("unfold", "padding", padding, 2, 0)}
    dilations = sizes("unfold", "dilation", dilation, 2)
    return batched("unfold", input, 2, lambda x: apply(ops.unfold, x, **options, dilation=dilations))


def fold(input: Tensor, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> Tensor:
    """The adjoint of unfold: columns added to an image where they come from, (N, C · K · K, windows) → (N, C, H, W).

    y[n, c, i] = Σ x[n, c · K · K + k, p] over k and p with p · stride + k · dilation − padding = i

    Shapes: input (N, C · K · K, windows) → (N, C, H, W), output_size being (H, W).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.fold(danlu.tensor([[[1.0, 2.0], [2.0, 3.0]]]), (1, 3), (1, 2)).tolist()
        [[[[1.0, 4.0, 3.0]]]]
    """
    names = {"kernel": kernel_size, "stride": stride, "dilation": dilation, "output": output_size}
    options = {word: sizes("fold", word, value, 2) for word, value in names.items()}
    options["padding"] = sizes("fold", "padding", padding, 2, 0)
    return batched("fold", input, 1, lambda x: apply(ops.fold, x, **options))


# ---- padding ------------------------------------------------------------------------------------------------------------------


def _part(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    return x.narrow(axis, start, stop - start)


def _mirrored(x: Tensor, axis: int, low: int, high: int) -> list[Tensor]:
    n = x.shape[axis]
    return [_part(x, axis, 1, low + 1).flip(axis), x, _part(x, axis, n - 1 - high, n - 1).flip(axis)]


def _repeated(x: Tensor, axis: int, low: int, high: int) -> list[Tensor]:
    n = x.shape[axis]

    def edge(start: int, count: int) -> Tensor:
        return _part(x, axis, start, start + 1).expand(*[count if k == axis else m for k, m in enumerate(x.shape)])

    return [edge(0, low), x, edge(n - 1, high)]


def _wrapped(x: Tensor, axis: int, low: int, high: int) -> list[Tensor]:
    n = x.shape[axis]
    return [_part(x, axis, n - low, n), x, _part(x, axis, 0, high)]


_EDGES = {"reflect": (_mirrored, 1), "replicate": (_repeated, None), "circular": (_wrapped, 0)}


def _pad_axis(x: Tensor, axis: int, low: int, high: int, mode: str) -> Tensor:
    edges, less = _EDGES[mode]
    n = x.shape[axis]
    if n == 0 or (less is not None and max(low, high) > n - less):
        bound = Phrase("at most {count}", count=n - less) if less is not None and n else Phrase("an axis with elements")
        raise ShapeError(
            "pad: padding {padding} of axis {axis} (size {size}) with mode {mode!r}; expected {expected}: pad in several steps",
            padding=(low, high),
            axis=axis,
            size=n,
            mode=mode,
            expected=bound,
        )
    parts = edges(x, axis, low, high)
    parts = [part for part, wanted in zip(parts, (low, 1, high)) if wanted]
    return apply("cat", *parts, dim=axis) if len(parts) > 1 else x


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Elements around the last axes: `pad` is (low, high) of the last axis, then of the one before it, …; below 0 it cuts.

    y[…, i, …] = x[…, i − low, …] for low ≤ i < low + n, else the value, the mirror image, the edge or the other end

    mode: "constant" (the value, 0 by default), "reflect" (a mirror in the edge), "replicate" (the edge), "circular" (the other end).

    Shapes: input (*, n) → (*, low + n + high), and so on for the axes before it.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.pad(danlu.tensor([[1.0, 2.0, 3.0]]), (1, 2), "reflect").tolist()
        [[2.0, 1.0, 2.0, 3.0, 2.0, 1.0]]
    """
    widths = tuple(int(n) for n in pad)
    if len(widths) % 2 or len(widths) > 2 * input.ndim:
        raise ShapeError(
            "pad: pad is {pad} for an input of shape {shape}; expected pairs (low, high), the last axis first, at most {ndim} "
            "of them",
            pad=widths,
            shape=tuple(input.shape),
            ndim=input.ndim,
        )
    if mode != "constant" and mode not in _EDGES:
        raise DataError("pad: mode is {mode!r}; expected 'constant', 'reflect', 'replicate' or 'circular'", mode=mode)
    if mode != "constant" and value:
        raise DataError(
            "pad: value {value} with mode {mode!r}; expected a value with mode='constant' alone", value=value, mode=mode
        )
    axes = [(input.ndim - 1 - k // 2, widths[k], widths[k + 1]) for k in range(0, len(widths), 2)]
    for axis, low, high in axes:
        if mode == "replicate" and min(low, high) < 0:  # an axis that is cut away whole can still be repeated
            at = np.clip(np.arange(max(0, input.shape[axis] + low + high)) - low, 0, input.shape[axis] - 1)
            input = apply("take", input, from_array(at), dim=axis)
        elif low < 0 or high < 0:
            input = _cut(input, axis, max(0, -low), max(0, -high))
    axes = [(k, max(0, a), max(0, b)) for k, a, b in axes if mode != "replicate" or min(a, b) >= 0]
    if mode == "constant":
        return _pad_constant(input, axes, value)
    for axis, low, high in axes:
        input = _pad_axis(input, axis, low, high, mode)
    return input


def _cut(x: Tensor, axis: int, low: int, high: int) -> Tensor:
    n = x.shape[axis]
    if low + high > n:
        raise ShapeError(
            "pad: {low} and {high} elements are cut from axis {axis}, which has {size}; expected at most {size} together",
            low=low,
            high=high,
            axis=axis,
            size=n,
        )
    return _part(x, axis, low, n - high)


def _pad_constant(x: Tensor, axes: list[tuple[int, int, int]], value: float | None) -> Tensor:
    low, high = [0] * x.ndim, [0] * x.ndim
    for axis, before, after in axes:
        low[axis], high[axis] = before, after
    number = value or 0
    number = float(number) if x.dtype.is_floating_point else bool(number) if x.dtype.kind == "b" else int(number)
    return apply("pad", x, low=tuple(low), high=tuple(high), value=number) if any((*low, *high)) else x.clone()


# ---- moving channels and pixels -----------------------------------------------------------------------------------------------


def _check_image(name: str, x: Tensor) -> None:
    if x.ndim < 3:
        raise ShapeError("{name}: the input has shape {shape}; expected (…, C, H, W)", name=name, shape=tuple(x.shape))


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Channels become pixels: (…, C · r², H, W) → (…, C, H · r, W · r) (Shi et al. 2016).

    y[…, c, h · r + i, w · r + j] = x[…, c · r² + i · r + j, h, w]

    Shapes: input (*, C · r², H, W) → (*, C, H · r, W · r).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.pixel_shuffle(danlu.arange(4.0).reshape(4, 1, 1), 2).tolist()
        [[[0.0, 1.0], [2.0, 3.0]]]
    """
    _check_image("pixel_shuffle", input)
    (r,) = sizes("pixel_shuffle", "upscale_factor", upscale_factor, 1)
    *lead, c, h, w = input.shape
    if c % (r * r):
        raise ShapeError(
            "pixel_shuffle: the input has {channels} channels (shape {shape}); expected a multiple of {factor}² = {square}",
            channels=c,
            shape=tuple(input.shape),
            factor=r,
            square=r * r,
        )
    n = len(lead)
    if not input.numel():
        return input.reshape(*lead, c // (r * r), h * r, w * r)
    x = input.reshape(*lead, c // (r * r), r, r, h, w).permute(*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return x.reshape(*lead, c // (r * r), h * r, w * r)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """Pixels become channels: (…, C, H · r, W · r) → (…, C · r², H, W); the inverse of pixel_shuffle.

    y[…, c · r² + i · r + j, h, w] = x[…, c, h · r + i, w · r + j]

    Shapes: input (*, C, H · r, W · r) → (*, C · r², H, W).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.pixel_unshuffle(danlu.arange(4.0).reshape(1, 2, 2), 2).flatten().tolist()
        [0.0, 1.0, 2.0, 3.0]
    """
    _check_image("pixel_unshuffle", input)
    (r,) = sizes("pixel_unshuffle", "downscale_factor", downscale_factor, 1)
    *lead, c, h, w = input.shape
    if h % r or w % r:
        raise ShapeError(
            "pixel_unshuffle: the input has shape {shape}; expected a height and width that {factor} divides",
            shape=tuple(input.shape),
            factor=r,
        )
    n = len(lead)
    if not input.numel():
        return input.reshape(*lead, c * r * r, h // r, w // r)
    x = input.reshape(*lead, c, h // r, r, w // r, r).permute(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return x.reshape(*lead, c * r * r, h // r, w // r)


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """The channels of each group dealt out in turn: (N, g · c, …) seen as (g, c), transposed (Zhang et al. 2018).

    y[:, j · g + i] = x[:, i · c + j] for g groups of c channels

    Shapes: input (N, C, *) → (N, C, *).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.channel_shuffle(danlu.arange(4.0).reshape(1, 4, 1, 1), 2).flatten().tolist()
        [0.0, 2.0, 1.0, 3.0]
    """
    if input.ndim < 3 or groups < 1 or input.shape[1] % groups:
        raise ShapeError(
            "channel_shuffle: the input has shape {shape}; expected (N, C, …) with C a multiple of {groups}",
            shape=tuple(input.shape),
            groups=groups,
        )
    n, c, *rest = input.shape
    x = input.reshape(n, groups, c // groups, prod(rest)).transpose(1, 2)
    return x.reshape(n, c, *rest)


__all__ = [
    "channel_shuffle",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "fold",
    "pad",
    "pixel_shuffle",
    "pixel_unshuffle",
    "unfold",
]
