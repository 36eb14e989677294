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


def _place(o, windows: Node, best: Node, d: int) -> tuple[Node, Node]:
    """The number of each element within its window, and in each window that of the first best one (or of a NaN)."""
    kernel, dims = windows.shape[-d:], tuple(range(len(windows.shape) - d, len(windows.shape)))
    numbers = o.expand(o.iota(shape=kernel, dtype=dt.int32), shape=windows.shape)
    hit = o.eq(windows, best)
    if windows.dtype.is_floating_point:
        hit = o.logical_or(hit, o.isnan(windows))
    return numbers, o.min(o.where(hit, numbers, o.number(prod(kernel), dt.int32)), dims=dims, keepdim=True)


def _chosen(o, windows: Node, d: int) -> tuple[Node, Node]:
    """The largest element of each window, and its number within the window; the derivative goes to the first largest one."""
    dims, shape = tuple(range(len(windows.shape) - d, len(windows.shape))), windows.shape[:-d]
    best = o.stop(o.max(windows, dims=dims, keepdim=True))
    numbers, first = _place(o, windows, best, d)
    value, index = o.reshape(best, shape=shape), o.cast(o.reshape(first, shape=shape), dtype=dt.int64)
    if not windows.dtype.is_floating_point:
        return value, index
    chosen = o.sum(o.where(o.eq(numbers, first), windows, o.like(0, windows)), dims=dims, keepdim=False)
    return o.carry(value, chosen), index


@composite(attrs=("kernel", "stride", "low", "high", "dilation"))
def max_pool(o, x: Node, kernel: Sizes, stride: Sizes, low: Sizes, high: Sizes, dilation: Sizes) -> tuple[Node, Node]:
    """The largest element of each window, and where it lies in the plane it comes from."""
    d, sizes = len(kernel), x.shape[len(x.shape) - len(kernel) :]
    padded = _padded(o, x, low, high, lowest(x.dtype))
    check_window(f"max_pool{d}d", padded.shape[-d:], kernel, dilation)
    y, first = _chosen(o, o.window(padded, kernel=kernel, strides=stride, dilations=dilation), d)
    return y, _plane_index(o, first, sizes, kernel, stride, low, dilation)


def _plane_index(o, first: Node, sizes: Sizes, kernel: Sizes, stride: Sizes, low: Sizes, dilation: Sizes) -> Node:
    """The row-major index in the plane of the element with a number within its window."""
    d, index = len(kernel), None
    for axis in range(d):
        inside = o.remainder(o.floor_divide(first, prod(kernel[axis + 1 :])), kernel[axis])
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


@composite(attrs=("sizes",))
def adaptive_max_pool(o, x: Node, *parts: Node, sizes: Sizes) -> tuple[Node, Node]:
    """The largest element of each part of the last axes, and where it lies in the plane. `parts`: for each axis the positions
    that a part reads, (O, K), the last one repeated where a part is shorter."""
    d, lead = len(parts), len(x.shape) - len(parts)
    for axis, part in enumerate(parts):
        x = o.take(x, part, dim=lead + 2 * axis)
    windows = o.permute(x, dims=(*range(lead), *range(lead, lead + 2 * d, 2), *range(lead + 1, lead + 2 * d, 2)))
    y, first = _chosen(o, windows, d)
    kernel, index = windows.shape[-d:], None
    for axis, part in enumerate(parts):
        inside = o.remainder(o.floor_divide(first, prod(kernel[axis + 1 :])), kernel[axis])
        shape = tuple(n if k == lead + axis else 1 for k, n in enumerate(first.shape))
        start = o.slice(part, starts=(0, 0), stops=(part.shape[0], 1), steps=(1, 1))
        position = o.add(inside, o.reshape(start, shape=shape))
        index = position if index is None else o.add(o.mul(index, sizes[axis]), position)
    return y, index  # type: ignore[return-value]
