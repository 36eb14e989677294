"""L6. Functions of the array API namespace that reduce or accumulate axes."""

from __future__ import annotations

from typing import Any

from danlu import dtype as dt
from danlu.array_api.manipulation import Sizes, concat
from danlu.dtype import DType
from danlu.ops.movement import normalize_axis
from danlu.tensor import Tensor


def _over(x: Tensor, axis: Any, keepdims: bool, work: Any) -> Tensor:
    """work(x, axes, keepdims); an empty tuple of axes reduces an axis of size 1 that is put there for it."""
    return work(x.unsqueeze(0), 0, False) if axis == () else work(x, axis, keepdims)


def _accumulated(x: Tensor, dtype: DType | None) -> DType:
    """The dtype of a sum: integers are added as 64-bit ones."""
    if dtype is not None:
        return dtype
    return {"u": dt.uint64, "i": dt.int64, "b": dt.int64}.get(x.dtype.kind, x.dtype)


def sum(x: Tensor, /, *, axis: Any = None, dtype: DType | None = None, keepdims: bool = False) -> Tensor:
    """Σ x over axes; integers are added as 64-bit ones.

    >>> from danlu import array_api as xp
    >>> xp.sum(xp.asarray([1.0, 2.0]))
    tensor(3.)
    """
    kind = _accumulated(x, dtype)
    return _over(x, axis, keepdims, lambda x, axis, keepdims: x.sum(axis, keepdims, dtype=kind))


def prod(x: Tensor, /, *, axis: Any = None, dtype: DType | None = None, keepdims: bool = False) -> Tensor:
    """Π x over axes; integers are multiplied as 64-bit ones.

    >>> from danlu import array_api as xp
    >>> xp.prod(xp.asarray([3.0, 2.0]))
    tensor(6.)
    """
    kind = _accumulated(x, dtype)
    return _over(x, axis, keepdims, lambda x, axis, keepdims: x.prod(axis, keepdims, dtype=kind))


def max(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The largest element over axes.

    >>> from danlu import array_api as xp
    >>> xp.max(xp.asarray([1.0, 2.0]))
    tensor(2.)
    """
    return _over(x, axis, keepdims, Tensor.amax)


def min(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The smallest element over axes.

    >>> from danlu import array_api as xp
    >>> xp.min(xp.asarray([1.0, 2.0]))
    tensor(1.)
    """
    return _over(x, axis, keepdims, Tensor.amin)


def mean(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The mean over axes.

    >>> from danlu import array_api as xp
    >>> xp.mean(xp.asarray([1.0, 2.0]))
    tensor(1.5000)
    """
    return _over(x, axis, keepdims, Tensor.mean)


def var(x: Tensor, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """Σ (x - mean)² / (n - correction) over axes.

    >>> from danlu import array_api as xp
    >>> xp.var(xp.asarray([1.0, 3.0]))
    tensor(1.)
    """
    return _over(x, axis, keepdims, lambda x, axis, keepdims: x.var(axis, keepdim=keepdims, correction=correction))


def std(x: Tensor, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    """The square root of `var`.

    >>> from danlu import array_api as xp
    >>> xp.std(xp.asarray([1.0, 3.0]))
    tensor(1.)
    """
    return _over(x, axis, keepdims, lambda x, axis, keepdims: x.std(axis, keepdim=keepdims, correction=correction))


def all(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """True where every element is not zero.

    >>> from danlu import array_api as xp
    >>> xp.all(xp.asarray([True, False]))
    tensor(False)
    """
    return _over(x.to(dt.bool_), axis, keepdims, Tensor.all)


def any(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """True where any element is not zero.

    >>> from danlu import array_api as xp
    >>> xp.any(xp.asarray([True, False]))
    tensor(True)
    """
    return _over(x.to(dt.bool_), axis, keepdims, Tensor.any)


def count_nonzero(x: Tensor, /, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """How many elements over axes are not zero.

    >>> from danlu import array_api as xp
    >>> xp.count_nonzero(xp.asarray([0, 5]))
    tensor(1)
    """
    return sum(x.ne(0), axis=axis, keepdims=keepdims)


def _running(name: str, x: Tensor, axis: int | None, dtype: DType | None, start: int | None) -> Tensor:
    if axis is None:
        if x.ndim != 1:
            raise Sizes("cumulative_{name} of shape {shape} without axis=; give the axis", name=name, shape=tuple(x.shape))
        axis = 0
    axis, kind = normalize_axis(f"cumulative_{name}", axis, x.ndim), _accumulated(x, dtype)
    out = getattr(x.to(kind), f"cum{name}")(axis).to(kind)
    if start is None:
        return out
    shape = tuple(1 if k == axis else n for k, n in enumerate(x.shape))
    return concat([x.new_full(shape, start, kind), out], axis=axis)


def cumulative_sum(x: Tensor, /, *, axis: int | None = None, dtype: DType | None = None, include_initial: bool = False) -> Tensor:
    """The sums of the elements up to each place.

    >>> from danlu import array_api as xp
    >>> xp.cumulative_sum(xp.asarray([1, 2, 3]), include_initial=True)
    tensor([0, 1, 3, 6])
    """
    return _running("sum", x, axis, dtype, 0 if include_initial else None)


def cumulative_prod(
    x: Tensor, /, *, axis: int | None = None, dtype: DType | None = None, include_initial: bool = False
) -> Tensor:
    """The products of the elements up to each place.

    >>> from danlu import array_api as xp
    >>> xp.cumulative_prod(xp.asarray([1, 2, 3]))
    tensor([1, 2, 6])
    """
    return _running("prod", x, axis, dtype, 1 if include_initial else None)


def diff(x: Tensor, /, *, axis: int = -1, n: int = 1, prepend: Tensor | None = None, append: Tensor | None = None) -> Tensor:
    """The differences of neighbours, n times.

    >>> from danlu import array_api as xp
    >>> xp.diff(xp.asarray([1, 3, 6]))
    tensor([2, 3])
    """
    return x.diff(n, axis, prepend, append)
