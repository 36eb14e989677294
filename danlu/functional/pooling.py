"""L6. Pooling; public in `danlu.nn.functional`.

What depends on sizes alone (how many elements a window holds, which positions a part reads) is made in NumPy, once for each size,
and enters the program as a tensor. Averages of parts that overlap are products with a small matrix along each axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from math import prod
from typing import Any

import numpy as np

from danlu.dtype import as_float
from danlu.errors import DataError, ShapeError
from danlu.functional.vision import Size, batched, rounded_once, sizes
from danlu.ops import pooling as ops
from danlu.tensor import Tensor, apply, from_array

# ---- windows ------------------------------------------------------------------------------------------------------------------


def _options(name: str, d: int, kernel_size: Size, stride: Size | None, padding: Size) -> tuple[tuple, tuple, tuple]:
    """Kernel, stride (the kernel by default) and padding, at most half of the kernel."""
    kernel = sizes(name, "kernel_size", kernel_size, d)
    strides = kernel if stride is None or stride in ((), []) else sizes(name, "stride", stride, d)
    padding = sizes(name, "padding", padding, d, 0)
    if any(2 * p > k for p, k in zip(padding, kernel)):
        raise DataError(
            "{name}: padding is {padding}; expected at most half of the kernel size {kernel}",
            name=name,
            padding=padding,
            kernel=kernel,
        )
    return kernel, strides, padding


def _after(shape: tuple, kernel: tuple, stride: tuple, padding: tuple, dilation: tuple, ceil_mode: bool) -> tuple[int, ...]:
    """How much padding follows each axis: more than before it where ceil_mode lets a last window begin inside but end outside."""
    if not ceil_mode:
        return padding
    after = []
    for n, k, s, p, e in zip(shape, kernel, stride, padding, dilation):
        reach = e * (k - 1) + 1
        count = -(-(n + 2 * p - reach) // s) + 1
        count -= (count - 1) * s >= n + p  # a window that would begin in the padding is left out
        after.append(max(p, (count - 1) * s + reach - n - p))
    return tuple(after)


def _max_pool(
    d: int, input: Tensor, kernel_size: Size, stride: Any, padding: Size, dilation: Size, ceil_mode: bool, return_indices: bool
) -> Any:
    name = f"max_pool{d}d"
    kernel, strides, low = _options(name, d, kernel_size, stride, padding)
    dilations = sizes(name, "dilation", dilation, d)
    if input.ndim > d and input.shape[-d - 1] == 0:
        raise ShapeError(
            "{name}: the input has shape {shape}, and no channels; expected (N, C, …) with 1 or more of them",
            name=name,
            shape=tuple(input.shape),
        )

    def run(x: Tensor) -> tuple[Tensor, Tensor]:
        high = _after(tuple(x.shape[2:]), kernel, strides, low, dilations, ceil_mode)
        return apply(ops.max_pool, x, kernel=kernel, stride=strides, low=low, high=high, dilation=dilations)

    y, index = batched(name, input, d, run)
    return (y, index) if return_indices else y


def max_pool1d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest element of each window of (N, C, L); with return_indices also where it lies.

    y[…, p] = max_k x[…, p · stride + k · dilation − padding]

    Of equal elements the first counts: the derivative goes to it alone.

    Shapes: input (N, C, L) or (C, L) → sizes ⌊(n + 2 · padding − dilation · (K − 1) − 1) / stride⌋ + 1; ceil_mode rounds up.
    return_indices: twice.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.max_pool1d(danlu.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2).tolist()
        [[[3.0, 2.0]]]
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest element of each window of (N, C, H, W); with return_indices also where it lies in the plane.

    y[…, p] = max_k x[…, p · stride + k · dilation − padding], p and k pairs

    Of equal elements the first counts: the derivative goes to it alone.

    Shapes: input (N, C, H, W) or (C, H, W) → sizes ⌊(n + 2 · padding − dilation · (K − 1) − 1) / stride⌋ + 1; ceil_mode
    rounds up. return_indices: twice.

    Raises:
        DataError: the padding is more than half of the window.
        ShapeError: the window is larger than the padded image.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.max_pool2d(danlu.arange(16.0).reshape(1, 1, 4, 4), 2).tolist()
        [[[[5.0, 7.0], [13.0, 15.0]]]]
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest element of each window of (N, C, D, H, W).

    y[…, p] = max_k x[…, p · stride + k · dilation − padding], p and k triples

    Shapes: input (N, C, D, H, W) or (C, D, H, W) → sizes ⌊(n + 2 · padding − dilation · (K − 1) − 1) / stride⌋ + 1; ceil_mode
    rounds up. return_indices: twice.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.max_pool3d(danlu.arange(8.0).reshape(1, 1, 2, 2, 2), 2).item()
        7.0
    """
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@lru_cache(maxsize=256)
def _counts(shape: tuple, kernel: tuple, stride: tuple, low: tuple, high: tuple, include: bool, dtype: np.dtype) -> np.ndarray:
    """How many elements the average of each window divides by: those of the input, and of the padding if it counts."""
    total = np.ones((), np.int64)
    for n, k, s, p, after in zip(shape, kernel, stride, low, high):
        start = np.arange((n + p + after - k) // s + 1) * s - p
        stop = np.minimum(start + k, n + p)
        length = stop - start if include else np.minimum(stop, n) - np.maximum(start, 0)
        total = total[..., None] * length
    return total.astype(dtype)


def _avg_pool(
    d: int, input: Tensor, kernel_size: Size, stride: Any, padding: Size, ceil_mode: bool, include: bool, divisor: int | None
) -> Tensor:
    name = f"avg_pool{d}d"
    kernel, strides, low = _options(name, d, kernel_size, stride, padding)
    if divisor == 0:
        raise DataError("{name}: divisor_override is 0; expected another number, or None for the size of the window", name=name)

    def run(x: Tensor) -> Tensor:
        shape = tuple(x.shape[2:])
        high = _after(shape, kernel, strides, low, (1,) * d, ceil_mode)
        y = apply(ops.sum_pool, x, kernel=kernel, stride=strides, low=low, high=high)
        if divisor is not None or not any((*low, *high)) or (include and high == low):
            y = y / float(divisor or prod(kernel))
        else:
            y = y / from_array(_counts(shape, kernel, strides, low, high, include, as_float(x.dtype).numpy))
        return y if x.dtype.is_floating_point else y.trunc().to(x.dtype)

    return batched(name, input, d, partial(rounded_once, run))


def avg_pool1d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False, count_include_pad: bool = True
) -> Tensor:  # fmt: skip
    """The mean of each window of (N, C, L).

    y[…, p] = Σ_k x[…, p · stride + k − padding] / K

    Shapes: input (N, C, L) or (C, L) → (N, C, ⌊(L + 2 · padding − K) / stride⌋ + 1); ceil_mode rounds up.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.avg_pool1d(danlu.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2).tolist()
        [[[2.0, 1.0]]]
    """
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False, count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window of (N, C, H, W); zeros of the padding count unless count_include_pad=False.

    y[…, p, q] = Σ_{k, l} x[…, p · stride + k − padding, q · stride + l − padding] / K²

    Shapes: input (N, C, H, W) or (C, H, W) → sizes ⌊(n + 2 · padding − K) / stride⌋ + 1; ceil_mode rounds up.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.avg_pool2d(danlu.arange(16.0).reshape(1, 1, 4, 4), 2).tolist()
        [[[[2.5, 4.5], [10.5, 12.5]]]]
    """
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False, count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window of (N, C, D, H, W).

    y[…, p] = Σ_k x[…, p · stride + k − padding] / K³, p and k triples

    Shapes: input (N, C, D, H, W) or (C, D, H, W) → sizes ⌊(n + 2 · padding − K) / stride⌋ + 1; ceil_mode rounds up.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.avg_pool3d(danlu.arange(8.0).reshape(1, 1, 2, 2, 2), 2).item()
        3.5
    """
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _lp_pool(d: int, input: Tensor, norm_type: float, kernel_size: Size, stride: Any, ceil_mode: bool) -> Tensor:
    count = prod(sizes(f"lp_pool{d}d", "kernel_size", kernel_size, d))
    mean = _avg_pool(d, input.pow(norm_type), kernel_size, stride, 0, ceil_mode, True, None)
    return (mean.sign() * mean.abs().relu() * count).pow(1.0 / norm_type)


def lp_pool1d(input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False) -> Tensor:
    """(Σ xᵖ)^(1/p) of each window of (N, C, L).

    Shapes: input (N, C, L) or (C, L) → sizes ⌊(n − K) / stride⌋ + 1; ceil_mode rounds up.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.lp_pool1d(danlu.tensor([[[3.0, 4.0]]]), 2, 2).item()
        5.0
    """
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False) -> Tensor:
    """(Σ xᵖ)^(1/p) of each window of (N, C, H, W).

    Shapes: input (N, C, H, W) or (C, H, W) → sizes ⌊(n − K) / stride⌋ + 1; ceil_mode rounds up.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.lp_pool2d(danlu.tensor([[[[3.0, 4.0]]]]), 2, (1, 2)).item()
        5.0
    """
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input: Tensor, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False) -> Tensor:
    """(Σ xᵖ)^(1/p) of each window of (N, C, D, H, W).

    Shapes: input (N, C, D, H, W) or (C, D, H, W) → sizes ⌊(n − K) / stride⌋ + 1; ceil_mode rounds up.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.lp_pool3d(danlu.tensor([[[[[3.0, 4.0]]]]]), 2, (1, 1, 2)).item()
        5.0
    """
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


def _max_unpool(
    d: int, input: Tensor, indices: Tensor, kernel_size: Size, stride: Any, padding: Size, output_size: Sequence[int] | None
) -> Tensor:
    name = f"max_unpool{d}d"
    kernel = sizes(name, "kernel_size", kernel_size, d)
    strides, low = kernel if stride is None else sizes(name, "stride", stride, d), sizes(name, "padding", padding, d, 0)
    if input.shape != indices.shape:
        raise ShapeError(
            "{name}: the input has shape {input_shape}, the indices {indices_shape}; expected equal shapes: both results of "
            "max_pool{d}d(return_indices=True)",
            name=name,
            input_shape=tuple(input.shape),
            indices_shape=tuple(indices.shape),
            d=d,
        )
    if output_size is None:
        out = tuple((n - 1) * s - 2 * p + k for n, k, s, p in zip(input.shape[-d:], kernel, strides, low))
    else:
        out = tuple(output_size)[-d:]
    lead = tuple(input.shape[:-d])
    zeros, at, x = input.new_zeros(*lead, prod(out)), indices.reshape(*lead, -1), input.reshape(*lead, -1)
    # an element that several windows chose is written once, and each of them gets its derivative, as in PyTorch
    flat = apply("carry", zeros.scatter(-1, at, x.detach()), zeros.scatter_add(-1, at, x))
    return flat.reshape(*lead, *out)


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """The elements that max_pool1d chose, back where they came from; 0 elsewhere.

    y[…, indices[…, p]] = x[…, p], else 0

    Shapes: input and indices (N, C, L) → (N, C, (L − 1) · stride − 2 · padding + K), or output_size.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> y, at = F.max_pool1d(danlu.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2, return_indices=True)
        >>> F.max_unpool1d(y, at, 2).tolist()
        [[[0.0, 3.0, 2.0, 0.0]]]
    """
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """The elements that max_pool2d chose, back where they came from; 0 elsewhere.

    y[…, indices[…, p]] = x[…, p], else 0, on the flattened plane

    Shapes: input and indices (N, C, H, W) → sizes (n − 1) · stride − 2 · padding + K, or output_size.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.max_unpool2d(danlu.ones(1, 1, 1, 1), danlu.tensor([[[[3]]]]), 2).tolist()
        [[[[0.0, 0.0], [0.0, 1.0]]]]
    """
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """The elements that max_pool3d chose, back where they came from; 0 elsewhere.

    y[…, indices[…, p]] = x[…, p], else 0, on the flattened volume

    Shapes: input and indices (N, C, D, H, W) → sizes (n − 1) · stride − 2 · padding + K, or output_size.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.max_unpool3d(danlu.ones(1, 1, 1, 1, 1), danlu.tensor([[[[[7]]]]]), 2).sum().item()
        1.0
    """
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)


# ---- a given number of parts --------------------------------------------------------------------------------------------------


def _bounds(n: int, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the parts of an axis begin and end: ⌊i n / parts⌋ … ⌈(i + 1) n / parts⌉. They may overlap."""
    i = np.arange(parts)
    return i * n // parts, -(-(i + 1) * n // parts)


def _parts(name: str, output_size: Any, shape: Sequence[int]) -> tuple[int, ...]:
    given = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * len(shape)
    given = tuple(given) * len(shape) if len(given) == 1 else tuple(given)
    return sizes(name, "output_size", tuple(n if m is None else m for n, m in zip(shape, given)), len(shape), 0)


@lru_cache(maxsize=256)
def _averages(n: int, parts: int, dtype: np.dtype) -> np.ndarray:
    """The matrix (parts, n) whose rows average the parts of an axis."""
    start, stop = _bounds(n, parts)
    at = np.arange(n)
    inside = (at >= start[:, None]) & (at < stop[:, None])
    return (inside / (stop - start)[:, None]).astype(dtype)


def along_axes(x: Tensor, matrices: Sequence[np.ndarray | None]) -> Tensor:
    """Each of the last axes multiplied by a matrix (new, old)."""
    letters = "abcdefgh"[: x.ndim]
    for letter, matrix in zip(letters[x.ndim - len(matrices) :], matrices):
        if matrix is not None:
            x = apply("contract", x, from_array(matrix), labels=(letters, f"z{letter}", letters.replace(letter, "z")))
    return x


def adaptive_average(d: int, input: Tensor, output_size: Any) -> Tensor:
    """The mean of each part of the last d axes."""
    name = f"adaptive_avg_pool{d}d"

    def run(x: Tensor) -> Tensor:
        shape = tuple(x.shape[2:])
        parts = _parts(name, output_size, shape)
        _check_not_empty(name, x, shape)
        if all(m and n % m == 0 for n, m in zip(shape, parts)):
            kernel = tuple(n // m for n, m in zip(shape, parts))
            return apply(ops.sum_pool, x, kernel=kernel, stride=kernel, low=(0,) * d, high=(0,) * d) / float(prod(kernel))
        return along_axes(x, [_averages(n, m, x.dtype.numpy) for n, m in zip(shape, parts)])

    return batched(name, input, d, partial(rounded_once, run))


def _check_not_empty(name: str, x: Tensor, shape: tuple) -> None:
    if 0 in shape:
        raise ShapeError(
            "{name}: the input has shape {shape}; expected axes with at least one element", name=name, shape=tuple(x.shape)
        )


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """The mean of each of `output_size` parts of (N, C, L).

    y[…, p] = mean of x[…, i] for ⌊p L / n⌋ ≤ i < ⌈(p + 1) L / n⌉, n = output_size

    Shapes: input (N, C, L) or (C, L) → (N, C, n) or (C, n).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.adaptive_avg_pool1d(danlu.tensor([[[1.0, 3.0, 2.0]]]), 2).tolist()
        [[[2.0, 2.5]]]
    """
    return adaptive_average(1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """The mean of each of `output_size` parts of (N, C, H, W); None keeps an axis.

    y[…, p] = mean of x[…, i] for ⌊p H / n⌋ ≤ i < ⌈(p + 1) H / n⌉ on each axis, n = output_size

    Shapes: input (N, C, H, W) or (C, H, W) → (N, C, n, n) for a number n, (N, C, n, m) for a pair.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.adaptive_avg_pool2d(danlu.arange(16.0).reshape(1, 1, 4, 4), 1).item()
        7.5
    """
    return adaptive_average(2, input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """The mean of each of `output_size` parts of (N, C, D, H, W).

    y[…, p] = mean of x[…, i] for ⌊p H / n⌋ ≤ i < ⌈(p + 1) H / n⌉ on each axis, n = output_size

    Shapes: input (N, C, D, H, W) or (C, D, H, W) → (N, C, n, n, n) for a number n.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.adaptive_avg_pool3d(danlu.arange(8.0).reshape(1, 1, 2, 2, 2), 1).item()
        3.5
    """
    return adaptive_average(3, input, output_size)


@lru_cache(maxsize=256)
def _reads(n: int, parts: int) -> np.ndarray:
    """(parts, K): the positions that each part of an axis reads; shorter parts repeat their last one."""
    start, stop = _bounds(n, parts)
    longest = int((stop - start).max(initial=1))
    return np.minimum(start[:, None] + np.arange(longest), stop[:, None] - 1)


def _adaptive_max_pool(d: int, input: Tensor, output_size: Any, return_indices: bool) -> Any:
    name = f"adaptive_max_pool{d}d"

    def run(x: Tensor) -> tuple[Tensor, Tensor]:
        shape = tuple(x.shape[2:])
        parts = _parts(name, output_size, shape)
        _check_not_empty(name, x, shape)
        if all(m and n % m == 0 for n, m in zip(shape, parts)):
            kernel, none = tuple(n // m for n, m in zip(shape, parts)), (0,) * d
            return apply(ops.max_pool, x, kernel=kernel, stride=kernel, low=none, high=none, dilation=(1,) * d)
        reads = [from_array(_reads(n, m)) for n, m in zip(shape, parts)]
        return apply(ops.adaptive_max_pool, x, *reads, sizes=shape)

    y, index = batched(name, input, d, run)
    return (y, index) if return_indices else y


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest element of each of `output_size` parts of (N, C, L).

    y[…, p] = max of x[…, i] for ⌊p L / n⌋ ≤ i < ⌈(p + 1) L / n⌉, n = output_size

    Shapes: input (N, C, L) or (C, L) → (N, C, n) or (C, n); return_indices: twice.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.adaptive_max_pool1d(danlu.tensor([[[1.0, 3.0, 2.0]]]), 2).tolist()
        [[[3.0, 3.0]]]
    """
    return _adaptive_max_pool(1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest element of each of `output_size` parts of (N, C, H, W).

    y[…, p] = max of x[…, i] for ⌊p H / n⌋ ≤ i < ⌈(p + 1) H / n⌉ on each axis, n = output_size

    Shapes: input (N, C, H, W) or (C, H, W) → (N, C, n, n) for a number n; return_indices: twice.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.adaptive_max_pool2d(danlu.arange(16.0).reshape(1, 1, 4, 4), 1).item()
        15.0
    """
    return _adaptive_max_pool(2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest element of each of `output_size` parts of (N, C, D, H, W).

    y[…, p] = max of x[…, i] for ⌊p H / n⌋ ≤ i < ⌈(p + 1) H / n⌉ on each axis, n = output_size

    Shapes: input (N, C, D, H, W) or (C, D, H, W) → (N, C, n, n, n) for a number n; return_indices: twice.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.adaptive_max_pool3d(danlu.arange(8.0).reshape(1, 1, 2, 2, 2), 1).item()
        7.0
    """
    return _adaptive_max_pool(3, input, output_size, return_indices)


__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
]
