"""L6. Functions of the array API namespace that move, join, search and sort."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from danlu import dtype as dt
from danlu.array_api.types import together
from danlu.errors import ShapeError
from danlu.ops.movement import normalize_axis
from danlu.tensor import Tensor, apply, from_array
from danlu.tensor import creation as made
from danlu.tensor.joining import broadcast_tensors


class Sizes(ShapeError, ValueError):
    """A shape that the standard calls a ValueError."""


# ---- movement -------------------------------------------------------------------------------------------------------------------


def broadcast_arrays(*arrays: Tensor) -> list[Tensor]:
    """The arrays in their common shape.

    >>> from danlu import array_api as xp
    >>> [x.shape for x in xp.broadcast_arrays(xp.ones(2), xp.ones((3, 1)))]
    [danlu.Size([3, 2]), danlu.Size([3, 2])]
    """
    return list(broadcast_tensors(*arrays)) if arrays else []


def broadcast_to(x: Tensor, /, shape: tuple[int, ...]) -> Tensor:
    """x in another shape, its axes of size 1 stretched.

    >>> from danlu import array_api as xp
    >>> xp.broadcast_to(xp.asarray([1]), (2,))
    tensor([1, 1])
    """
    return x.broadcast_to(tuple(shape))


def concat(arrays: Any, /, *, axis: int | None = 0) -> Tensor:
    """Arrays one after another along an axis; flattened first where it is None.

    >>> from danlu import array_api as xp
    >>> xp.concat([xp.asarray([1]), xp.asarray([2.5])])
    tensor([1.0000, 2.5000])
    """
    parts = together(*arrays)
    if axis is None:
        parts, axis = [x.reshape(-1) for x in parts], 0
    return apply("cat", *parts, dim=normalize_axis("concat", axis, parts[0].ndim))


def expand_dims(x: Tensor, /, axis: int) -> Tensor:
    """A new axis of size 1.

    >>> from danlu import array_api as xp
    >>> xp.expand_dims(xp.ones(2), 0).shape
    danlu.Size([1, 2])
    """
    return x.unsqueeze(axis)


def flip(x: Tensor, /, *, axis: Any = None) -> Tensor:
    """The elements of all axes, or of those named, in reverse order.

    >>> from danlu import array_api as xp
    >>> xp.flip(xp.asarray([1, 2]))
    tensor([2, 1])
    """
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return x.flip(axes)


def matrix_transpose(x: Tensor, /) -> Tensor:
    """The last two axes exchanged.

    >>> from danlu import array_api as xp
    >>> xp.matrix_transpose(xp.asarray([[1, 2]]))
    tensor([[1],
            [2]])
    """
    return x.mT


def moveaxis(x: Tensor, source: Any, destination: Any, /) -> Tensor:
    """Axes moved to other places.

    >>> from danlu import array_api as xp
    >>> xp.moveaxis(xp.ones((2, 3, 4)), 0, -1).shape
    danlu.Size([3, 4, 2])
    """
    return x.movedim(source, destination)


def permute_dims(x: Tensor, /, axes: tuple[int, ...]) -> Tensor:
    """The axes in another order.

    >>> from danlu import array_api as xp
    >>> xp.permute_dims(xp.ones((2, 3)), (1, 0)).shape
    danlu.Size([3, 2])
    """
    return x.permute(tuple(axes))


def repeat(x: Tensor, repeats: Any, /, *, axis: int | None = None) -> Tensor:
    """Each element several times in a row.

    >>> from danlu import array_api as xp
    >>> xp.repeat(xp.asarray([1, 2]), 2)
    tensor([1, 1, 2, 2])
    """
    if isinstance(repeats, Tensor):
        repeats = repeats.to(dt.int64)
        repeats = int(repeats) if repeats.numel() == 1 else repeats
    return x.repeat_interleave(repeats, axis)


def reshape(x: Tensor, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Tensor:
    """The same elements under another shape.

    >>> from danlu import array_api as xp
    >>> xp.reshape(xp.arange(4), (2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    return (x.clone() if copy else x).reshape(tuple(shape))


def roll(x: Tensor, /, shift: Any, *, axis: Any = None) -> Tensor:
    """The elements pushed along; what falls out comes in at the other end.

    >>> from danlu import array_api as xp
    >>> xp.roll(xp.arange(3), 1)
    tensor([2, 0, 1])
    """
    if isinstance(axis, tuple) and not isinstance(shift, tuple):
        shift = (shift,) * len(axis)
    return x.roll(shift, axis)


def squeeze(x: Tensor, /, axis: Any) -> Tensor:
    """Axes of size 1 left out.

    >>> from danlu import array_api as xp
    >>> xp.squeeze(xp.ones((1, 2)), 0).shape
    danlu.Size([2])
    """
    axes = [normalize_axis("squeeze", a, x.ndim) for a in (axis if isinstance(axis, tuple) else (axis,))]
    for a in axes:
        if x.shape[a] != 1:
            raise Sizes(
                "squeeze: axis {axis} of shape {shape} has size {size}; expected 1",
                axis=a,
                shape=tuple(x.shape),
                size=x.shape[a],
            )
    return x.squeeze(axes)


def stack(arrays: Any, /, *, axis: int = 0) -> Tensor:
    """Arrays of one shape along a new axis.

    >>> from danlu import array_api as xp
    >>> xp.stack([xp.asarray(1), xp.asarray(2)])
    tensor([1, 2])
    """
    return made.stack(together(*arrays), axis)


def tile(x: Tensor, repetitions: tuple[int, ...], /) -> Tensor:
    """The whole array several times along its axes.

    >>> from danlu import array_api as xp
    >>> xp.tile(xp.asarray([1, 2]), (2,))
    tensor([1, 2, 1, 2])
    """
    return x.tile(*repetitions)


def unstack(x: Tensor, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices of an axis.

    >>> from danlu import array_api as xp
    >>> xp.unstack(xp.asarray([1, 2]))
    (tensor(1), tensor(2))
    """
    return x.unbind(axis)


# ---- searching and indexing -----------------------------------------------------------------------------------------------------


def take(x: Tensor, indices: Tensor, /, *, axis: int | None = None) -> Tensor:
    """The slices of an axis at these positions; negative ones count from the end.

    >>> from danlu import array_api as xp
    >>> xp.take(xp.asarray([5, 6, 7]), xp.asarray([2, 0]))
    tensor([7, 5])
    """
    if axis is None:
        if x.ndim != 1:
            raise Sizes("take of shape {shape} without axis=; give the axis", shape=tuple(x.shape))
        axis = 0
    return apply("take", x, indices.to(dt.int64), dim=normalize_axis("take", axis, x.ndim))


def take_along_axis(x: Tensor, indices: Tensor, /, *, axis: int = -1) -> Tensor:
    """Along an axis, for each place the element at its own position.

    >>> from danlu import array_api as xp
    >>> xp.take_along_axis(xp.asarray([[1, 2], [3, 4]]), xp.asarray([[1], [0]]))
    tensor([[2],
            [3]])
    """
    at = indices.to(dt.int64)
    n = x.shape[normalize_axis("take_along_axis", axis, x.ndim)]
    return x.take_along_dim(apply("where", at < 0, at + n, at), axis)


def _extreme(x: Tensor, name: str, axis: int | None, keepdims: bool) -> Tensor:
    if axis is None:
        out = getattr(x.reshape(-1), name)(0)
        return out.reshape((1,) * x.ndim) if keepdims else out
    return getattr(x, name)(axis, keepdims)


def argmax(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the largest element.

    >>> from danlu import array_api as xp
    >>> xp.argmax(xp.asarray([1, 3, 2]))
    tensor(1)
    """
    return _extreme(x, "argmax", axis, keepdims)


def argmin(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the smallest element.

    >>> from danlu import array_api as xp
    >>> xp.argmin(xp.asarray([3, 1, 2]))
    tensor(1)
    """
    return _extreme(x, "argmin", axis, keepdims)


def nonzero(x: Tensor, /) -> tuple[Tensor, ...]:
    """Where the elements are not zero: one vector for each axis.

    >>> from danlu import array_api as xp
    >>> xp.nonzero(xp.asarray([0, 5]))
    (tensor([1]),)
    """
    if not x.ndim:
        raise Sizes("nonzero of a 0-d array; it has no axis")
    return x.nonzero(as_tuple=True)


def searchsorted(x1: Tensor, x2: Any, /, *, side: str = "left", sorter: Tensor | None = None) -> Tensor:
    """Where the elements of x2 would be put into the sorted x1.

    >>> from danlu import array_api as xp
    >>> xp.searchsorted(xp.asarray([1, 3, 5]), xp.asarray([4]))
    tensor([2])
    """
    row, values = together(x1, x2)
    if sorter is not None:
        row = take(row, sorter)
    return row.searchsorted(values, side=side)


def where(condition: Tensor, x1: Any, x2: Any, /) -> Tensor:
    """x1 where the condition holds, else x2.

    >>> from danlu import array_api as xp
    >>> xp.where(xp.asarray([True, False]), 1, 2.5)
    tensor([1.0000, 2.5000])
    """
    a, b = together(x1, x2)
    return made.where(condition, a, b)


# ---- sets and sorting -----------------------------------------------------------------------------------------------------------


class UniqueAll(NamedTuple):
    """What `unique_all` returns."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """What `unique_counts` returns."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """What `unique_inverse` returns."""

    values: Tensor
    inverse_indices: Tensor


def unique_all(x: Tensor, /) -> UniqueAll:
    """The distinct elements in order, where each is first, which each element is, and how often; every NaN is distinct.

    >>> from danlu import array_api as xp
    >>> xp.unique_all(xp.asarray([3, 1, 3])).counts
    tensor([1, 2])
    """
    found = np.unique(x.detach().numpy(), return_index=True, return_inverse=True, return_counts=True, equal_nan=False)
    values, indices, inverse, counts = (from_array(np.ascontiguousarray(part)) for part in found)
    return UniqueAll(values, indices, inverse.reshape(x.shape), counts)


def unique_counts(x: Tensor, /) -> UniqueCounts:
    """The distinct elements, and how often each occurs.

    >>> from danlu import array_api as xp
    >>> xp.unique_counts(xp.asarray([3, 1, 3])).values
    tensor([1, 3])
    """
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x: Tensor, /) -> UniqueInverse:
    """The distinct elements, and which each element is.

    >>> from danlu import array_api as xp
    >>> xp.unique_inverse(xp.asarray([3, 1, 3])).inverse_indices
    tensor([1, 0, 1])
    """
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_values(x: Tensor, /) -> Tensor:
    """The distinct elements.

    >>> from danlu import array_api as xp
    >>> xp.unique_values(xp.asarray([3, 1, 3]))
    tensor([1, 3])
    """
    return unique_all(x).values


def argsort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The positions that sort an axis.

    >>> from danlu import array_api as xp
    >>> xp.argsort(xp.asarray([3, 1, 2]))
    tensor([1, 2, 0])
    """
    return x.argsort(axis, descending, stable)


def sort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The elements along an axis in order.

    >>> from danlu import array_api as xp
    >>> xp.sort(xp.asarray([3, 1, 2]))
    tensor([1, 2, 3])
    """
    return x.sort(axis, descending, stable)[0]
