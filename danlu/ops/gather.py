"""L2. Reading and writing at computed positions. An index below 0 counts from the end; one that does not exist is an error.

`emit(i, index, position, shapes, **attrs)` gives, for one element of the result (gather) or of the source (scatter), where its
position is read and which element of `x` it names, in the language `i` of index arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from danlu.dtype import int64
from danlu.errors import AxisError, DTypeError, ShapeError
from danlu.graph import GATHER, SCATTER, Node, Op, Spec
from danlu.messages import Phrase
from danlu.ops.source import zeros_like
from danlu.ops.table import register


def _check_integer(name: str, index: Spec) -> None:
    if index.dtype.kind not in "iu":
        raise DTypeError(
            "{name}: the index has dtype {dtype}; expected an integer dtype: write index.long()",
            name=name,
            dtype=index.dtype.name,
        )


def checked(index: np.ndarray, size: int) -> np.ndarray:
    """The index with negative entries counted from the end; AxisError at the first one that does not exist."""
    bad = (index < -size) | (index >= size)
    if bad.any():
        raise index_error(int(index[bad][0]), size)
    return np.where(index < 0, index + size, index)


def index_error(position: int, size: int) -> AxisError:
    """The error of an index that does not exist; `missing` tells the engine what to explain."""
    error = AxisError(index_message(position, size))
    error.missing = position, size  # type: ignore[attr-defined]
    return error


def index_message(index: int, size: int) -> Phrase:
    """What to say of an index that does not exist."""
    if size == 0:
        return Phrase("index {index} is out of range: the axis has no elements", index=index)
    return Phrase(
        "index {index} is out of range for an axis of size {size}; expected {lowest} … {highest}",
        index=index,
        size=size,
        lowest=-size,
        highest=size - 1,
    )


def _set_vjp(put: str, get: str) -> Callable[..., Any]:
    """The gradient of what was kept of x, and of the elements of the source that were not written over by later ones."""

    def vjp(o, g, y, x, index, source, dim):
        number = o.iota(shape=source.shape, dtype=int64)
        nobody = o.expand(o.number(-1, int64), shape=x.shape)
        winner = getattr(o, get)(getattr(o, put)(nobody, index, number, dim=dim), index, dim=dim)
        lasting = o.where(o.eq(winner, number), getattr(o, get)(g, index, dim=dim), 0)
        return getattr(o, put)(g, index, zeros_like(o, source), dim=dim), None, lasting

    return vjp


# ---- take: whole slices along one axis (embedding, index_select, x[idx]) --------------------------------------------------


def _take_infer(x: Spec, index: Spec, dim: int) -> Spec:
    _check_integer("take", index)
    return Spec((*x.shape[:dim], *index.shape, *x.shape[dim + 1 :]), x.dtype)


def _take_parts(i, index, ndim_index: int, dim: int):
    """An output index cut into (before the axis, the position's own index, after it)."""
    return index[:dim], index[dim : dim + ndim_index], index[dim + ndim_index :]


def _take_position(i, index, shapes, dim):
    return _take_parts(i, index, len(shapes[1]), dim)[1]


def _take_element(i, index, position, shapes, dim):
    before, _, after = _take_parts(i, index, len(shapes[1]), dim)
    return (*before, position, *after)


register(
    Op("take", GATHER, "The slices of x along an axis named by an index: y[…, j…, …] = x[…, index[j…], …].", attrs=("dim",), infer=_take_infer,
       numpy=lambda x, index, dim: np.take(x, checked(index, x.shape[dim]), dim),
       vjp=lambda o, g, y, x, index, dim: (o.index_add(zeros_like(o, x), index, g, dim=dim), None),
       jvp=lambda o, y, xs, dxs, dim: o.take(dxs[0], xs[1], dim=dim) if dxs[0] is not None else None,
       emit=_take_element, folds=_take_position)
)  # fmt: skip


def _index_add_infer(x: Spec, index: Spec, source: Spec, dim: int) -> Spec:
    _check_integer("index_add", index)
    expected = (*x.shape[:dim], *index.shape, *x.shape[dim + 1 :])
    if source.shape != expected:
        raise ShapeError(
            "index_add: the source has shape {source_shape}; expected {expected} for x {shape}, index {index_shape}, axis {dim}",
            source_shape=source.shape,
            expected=expected,
            shape=x.shape,
            index_shape=index.shape,
            dim=dim,
        )
    return Spec(x.shape, x.dtype)


def _index_put(x, index, source, dim, add: bool):
    out = np.moveaxis(x.copy(), dim, 0)
    rows = np.moveaxis(source, range(dim, dim + index.ndim), range(index.ndim))
    where = checked(index, x.shape[dim])
    if add:
        np.add.at(out, where, rows)
    else:
        out[where] = rows
    return np.ascontiguousarray(np.moveaxis(out, 0, dim))


register(
    Op("index_add", SCATTER, "x with slices of a source added where an index says: the adjoint of take.", attrs=("dim",), infer=_index_add_infer,
       numpy=lambda x, index, source, dim: _index_put(x, index, source, dim, True),
       vjp=lambda o, g, y, x, index, source, dim: (g, None, o.take(g, index, dim=dim)),
       jvp=lambda o, y, xs, dxs, dim: o.index_add(_or_zero(o, dxs[0], xs[0]), xs[1], _or_zero(o, dxs[2], xs[2]), dim=dim),
       emit=_take_element, folds=(_take_position, "add"))
)  # fmt: skip
register(
    Op("index_set", SCATTER, "x with slices replaced by those of a source where an index says; of equal indices the last wins.", attrs=("dim",),
       infer=_index_add_infer, numpy=lambda x, index, source, dim: _index_put(x, index, source, dim, False),
       vjp=_set_vjp("index_set", "take"),
       jvp=lambda o, y, xs, dxs, dim: o.index_set(_or_zero(o, dxs[0], xs[0]), xs[1], _or_zero(o, dxs[2], xs[2]), dim=dim),
       emit=_take_element, folds=(_take_position, "set"))
)  # fmt: skip


def _or_zero(o, dx, x: Node) -> Node:
    return zeros_like(o, x) if dx is None else dx


# ---- take_along: one element each (torch.gather) --------------------------------------------------------------------------


def _along_infer(x: Spec, index: Spec, dim: int) -> Spec:
    _check_integer("gather", index)
    if index.ndim != x.ndim or any(m > n for k, (n, m) in enumerate(zip(x.shape, index.shape)) if k != dim):
        raise ShapeError(
            "gather: the index has shape {index_shape}, the tensor {shape}; both need the same number of axes, and on every "
            "axis but {dim} the index must not be longer",
            index_shape=index.shape,
            shape=x.shape,
            dim=dim,
        )
    return Spec(index.shape, x.dtype)


def _along_grid(index, dim, size):
    grid = list(np.ogrid[tuple(map(slice, index.shape))])
    grid[dim] = checked(index, size)
    return tuple(grid)


def _scatter(x, index, source, dim, add: bool):
    out = x.copy()
    where = _along_grid(index, dim, x.shape[dim])
    if add:
        np.add.at(out, where, source)
    else:
        out[where] = source
    return out


def _scatter_infer(x: Spec, index: Spec, source: Spec, dim: int) -> Spec:
    _along_infer(x, index, dim)
    if source.shape != index.shape:
        raise ShapeError(
            "scatter: the source has shape {source_shape} and the index {index_shape}; expected equal shapes",
            source_shape=source.shape,
            index_shape=index.shape,
        )
    return Spec(x.shape, x.dtype)


def _along_position(i, index, shapes, dim):
    return index


def _along_element(i, index, position, shapes, dim):
    return (*index[:dim], position, *index[dim + 1 :])


register(
    Op("take_along", GATHER, "y[i, j] = x[index[i, j], j] for axis 0 (torch.gather).", attrs=("dim",), infer=_along_infer,
       numpy=lambda x, index, dim: x[_along_grid(index, dim, x.shape[dim])],
       vjp=lambda o, g, y, x, index, dim: (o.scatter_add(zeros_like(o, x), index, g, dim=dim), None),
       jvp=lambda o, y, xs, dxs, dim: o.take_along(dxs[0], xs[1], dim=dim) if dxs[0] is not None else None,
       emit=_along_element, folds=_along_position)
)  # fmt: skip
register(
    Op("scatter_add", SCATTER, "x with x[index[i, j], j] += source[i, j] for axis 0.", attrs=("dim",), infer=_scatter_infer,
       numpy=lambda x, index, source, dim: _scatter(x, index, source, dim, True),
       vjp=lambda o, g, y, x, index, source, dim: (g, None, o.take_along(g, index, dim=dim)),
       jvp=lambda o, y, xs, dxs, dim: o.scatter_add(_or_zero(o, dxs[0], xs[0]), xs[1], _or_zero(o, dxs[2], xs[2]), dim=dim),
       emit=_along_element, folds=(_along_position, "add"))
)  # fmt: skip
register(
    Op("scatter_set", SCATTER, "x with x[index[i, j], j] = source[i, j] for axis 0; of equal indices the last wins.", attrs=("dim",),
       infer=_scatter_infer, numpy=lambda x, index, source, dim: _scatter(x, index, source, dim, False),
       vjp=_set_vjp("scatter_set", "take_along"),
       jvp=lambda o, y, xs, dxs, dim: o.scatter_set(_or_zero(o, dxs[0], xs[0]), xs[1], _or_zero(o, dxs[2], xs[2]), dim=dim),
       emit=_along_element, folds=(_along_position, "set"))
)  # fmt: skip
