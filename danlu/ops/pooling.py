"""L2. Pooling: reductions over sliding windows."""

from __future__ import annotations

from math import prod

from danlu import dtype as dt
from danlu.graph import Node
from danlu.ops.convolution import check_window
from danlu.ops.reduce import lowest
from danlu.ops.table import composite
from danlu.ops.window import Sizes


def _padded(o, x: Node, low: Sizes, high: Sizes, value) -> Node:
    lead = (0,) * (len(x.shape) - len(low))
    return o.pad(x, low=lead + low, high=lead + high, value=value) if any((*low, *high)) else x


def _place(o, windows: Node, d: int) -> tuple[Node, Node]:
    """The number of each element within its window, and in each window that of the first largest one (or of a NaN)."""
    kernel, dims = windows.shape[-d:], tuple(range(len(windows.shape) - d, len(windows.shape)))
    numbers = o.expand(o.iota(shape=kernel, dtype=dt.int32), shape=windows.shape)
    best = o.max(windows, dims=dims, keepdim=True)
    hit = o.eq(windows, best)
    if windows.dtype.is_floating_point:
        hit = o.logical_or(hit, o.isnan(windows))
    return numbers, o.min(o.where(hit, numbers, o.number(prod(kernel), dt.int32)), dims=dims, keepdim=True)


@composite(attrs=("kernel", "stride", "low", "high", "dilation"))
def max_pool(o, x: Node, kernel: Sizes, stride: Sizes, low: Sizes, high: Sizes, dilation: Sizes) -> tuple[Node, Node]:
    """The largest element of each window, and where it lies in the plane it comes from; the derivative goes to the first largest one."""
    d, sizes = len(kernel), x.shape[len(x.shape) - len(kernel) :]
    padded = _padded(o, x, low, high, lowest(x.dtype))
    check_window(f"max_pool{d}d", padded.shape[-d:], kernel, dilation)
    windows = o.window(padded, kernel=kernel, strides=stride, dilations=dilation)
    dims = tuple(range(len(windows.shape) - d, len(windows.shape)))
    numbers, first = _place(o, windows, d)
    chosen = o.sum(o.where(o.eq(numbers, first), windows, o.like(0, windows)), dims=dims, keepdim=False)
    y = o.carry(o.stop(o.max(windows, dims=dims, keepdim=False)), chosen)
    first = o.cast(o.reshape(first, shape=y.shape), dtype=dt.int64)
    return y, _plane_index(o, first, sizes, kernel, stride, low, dilation)


def _plane_index(o, first: Node, sizes: Sizes, kernel: Sizes, stride: Sizes, low: Sizes, dilation: Sizes) -> Node:
    """The row-major index in the plane of the element with a number within its window."""
    d, index = len(kernel), None
    for axis in range(d):
        inside = o.floor_divide(first, prod(kernel[axis + 1 :])) if axis < d - 1 else first
        inside = o.remainder(inside, kernel[axis]) if axis else inside
        count = first.shape[len(first.shape) - d + axis]
        along = tuple(count if k == len(first.shape) - d + axis else 1 for k in range(len(first.shape)))
        start = o.sub(o.mul(o.reshape(o.iota(shape=(count,), dtype=dt.int64), shape=along), stride[axis]), low[axis])
        position = o.add(o.mul(inside, dilation[axis]), start)
        index = position if index is None else o.add(o.mul(index, sizes[axis]), position)
    return index  # type: ignore[return-value]


@composite(attrs=("kernel", "stride", "low", "high"))
def sum_pool(o, x: Node, kernel: Sizes, stride: Sizes, low: Sizes, high: Sizes) -> Node:
    """The sum of each window, zeros around the input."""
    x, d = _padded(o, x, low, high, 0), len(kernel)
    check_window(f"avg_pool{d}d", x.shape[-d:], kernel, (1,) * d)
    windows = o.window(x, kernel=kernel, strides=stride, dilations=(1,) * d)
    return o.sum(windows, dims=tuple(range(len(windows.shape) - d, len(windows.shape))), keepdim=False)
