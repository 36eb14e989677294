"""L5. Reading and writing at computed positions: take, gather, scatter, masks and their relatives."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.errors import DTypeError, ShapeError
from danlu.ops.movement import normalize_axis
from danlu.ops.table import broadcast_shapes
from danlu.tensor.core import TensorCore, apply, from_array
from danlu.tensor.index import _Advanced
from danlu.tensor.rearrange import at_least_1d


class Picking(TensorCore):
    """Elements and slices that other tensors name."""

    __slots__ = ()

    # ---- reading at positions -------------------------------------------------------------------------------------------
    def take(self, index: TensorCore) -> Any:
        """The elements at positions counted in row-major order.

        y[i] = x.flatten()[index[i]]

        Shapes: input (*), index (*) of any other shape → the shape of index.
        """
        return apply("take", self.reshape(-1), index, dim=0)  # type: ignore[attr-defined]

    def index_select(self, dim: int, index: TensorCore) -> Any:
        """The slices of an axis that a vector of integers names.

        y[…, i, …] = x[…, index[i], …]

        Shapes: input (*, n, *), index (m) of int64 or int32 → (*, m, *).
        """
        x, axis = at_least_1d(self), normalize_axis("index_select", dim, self._spec.ndim)
        out = apply("take", x, _vector("index_select", index), dim=axis)
        return out if self._spec.ndim else out.reshape(())

    def gather(self, dim: int, index: TensorCore, *, sparse_grad: bool = False) -> Any:
        """y[i, j] = x[index[i, j], j] for dim 0, and so on.

        Shapes: input (*, n, *), index (*, m, *) of int64 → the shape of index.
        """
        axis = normalize_axis("gather", dim, self._spec.ndim)
        out = apply("take_along", at_least_1d(self), _index_like(index), dim=axis)
        return out.reshape(index._spec.shape)

    def take_along_dim(self, indices: TensorCore, dim: int | None = None) -> Any:
        """`gather`, the other axes broadcast; without `dim` in the flattened tensor.

        y[…, i, …] = x[…, index[…, i, …], …] on the axis dim

        Shapes: input (*, n, *), index (*, m, *), the other axes broadcast → (*, m, *); without dim (k) for an index of k
        elements.
        """
        if dim is None:
            return self.reshape(-1).gather(0, indices.reshape(-1))  # type: ignore[attr-defined]
        axis, own, given = normalize_axis("take_along_dim", dim, self._spec.ndim), self._spec.shape, indices._spec.shape
        if len(own) != len(given):
            raise ShapeError(
                "take_along_dim: the indices have shape {given}, the tensor {shape}; both need the same number of axes",
                given=given,
                shape=own,
            )
        common = broadcast_shapes("take_along_dim", [_with(own, axis, 1), _with(given, axis, 1)])
        x, index = self.expand(_with(common, axis, own[axis])), indices.expand(_with(common, axis, given[axis]))  # type: ignore[attr-defined]
        return x.gather(axis, index)

    def masked_select(self, mask: TensorCore) -> Any:
        """The elements where the mask is True, on one axis; both are broadcast.

        y[k] = x at the k-th place, in row-major order, where mask = True

        Shapes: input (*), mask (*) of bool, broadcast together → (m), m the number of True.
        """
        if mask._spec.dtype is not dt.bool_:
            raise DTypeError(
                "masked_select: the mask has dtype {dtype}; expected bool: write mask.bool()", dtype=mask._spec.dtype.name
            )
        shape = broadcast_shapes("masked_select", [self._spec.shape, mask._spec.shape])
        flat = self.expand(shape).reshape(-1)  # type: ignore[attr-defined]
        return flat[mask.expand(shape).reshape(-1)]  # type: ignore[attr-defined]

    def nonzero(self, *, as_tuple: bool = False) -> Any:
        """The indices of the elements that are not zero: one row each, or (as_tuple) one vector for each axis.

        x[y[k, 0], y[k, 1], …] ≠ 0

        Shapes: (*) with m elements that are not 0 and d axes → (m, d) of int64; as_tuple: d times (m).
        """
        array = dt.readable(self._array())  # type: ignore[attr-defined]
        found = np.argwhere(array)
        if as_tuple:
            return tuple(from_array(np.ascontiguousarray(column)) for column in np.nonzero(np.atleast_1d(array)))
        return from_array(np.ascontiguousarray(found.astype(np.int64)))

    def argwhere(self) -> Any:
        """The indices of the elements that are not zero, one row each.

        x[y[k, 0], y[k, 1], …] ≠ 0

        Shapes: (*) with m elements that are not 0 and d axes → (m, d) of int64.
        """
        return self.nonzero()

    # ---- writing at positions -------------------------------------------------------------------------------------------
    def _along(self, name: str, dim: int, index: TensorCore, source: Any, op: str, **attrs: Any) -> Any:
        """A scatter: a number or the leading part of a source goes where an index says."""
        axis, dtype = normalize_axis(name, dim, self._spec.ndim), self._spec.dtype
        places = _index_like(index)
        if not isinstance(source, TensorCore):
            source = apply("full", source, shape=places._spec.shape, dtype=dtype)
        source = at_least_1d(source)
        _check_source(name, places._spec.shape, source, dtype)
        part = source[tuple(slice(n) for n in places._spec.shape)]
        return apply(op, at_least_1d(self), places, part, dim=axis, **attrs).reshape(self._spec.shape)

    def scatter(self, dim: int, index: TensorCore, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Any:
        """x with x[index[i, j], j] = src[i, j] for dim 0, and so on; reduce "add" or "multiply" combines with what is there.

        Shapes: input (n, *), index (m, *) of int64, src a number or at least (m, *) → (n, *), for dim 0.
        """
        if reduce not in (None, "add", "multiply"):
            raise ShapeError("scatter: reduce={reduce!r}; expected 'add' or 'multiply'. scatter_reduce knows more", reduce=reduce)
        source = value if src is None else src
        if reduce == "multiply":
            return self._along("scatter", dim, index, source, "scatter_reduce", reduce="prod")
        return self._along("scatter", dim, index, source, "scatter_add" if reduce else "scatter_set")

    def scatter_add(self, dim: int, index: TensorCore, src: TensorCore) -> Any:
        """x with x[index[i, j], j] += src[i, j] for dim 0, and so on.

        Shapes: input (n, *), index (m, *) of int64, src at least (m, *) → (n, *), for dim 0.
        """
        return self._along("scatter_add", dim, index, src, "scatter_add")

    def scatter_reduce(self, dim: int, index: TensorCore, src: TensorCore, reduce: str, *, include_self: bool = True) -> Any:
        """x with the sources of each place combined with it: "sum", "prod", "mean", "amax" or "amin".

        y[k, j] = reduce(x[k, j], {src[i, j]: index[i, j] = k}) for dim 0, and so on

        Shapes: input (n, *), index (m, *) of int64, src at least (m, *) → (n, *), for dim 0.
        """
        if reduce not in ("sum", "prod", "mean", "amax", "amin"):
            raise ShapeError("scatter_reduce: reduce={reduce!r}; expected 'sum', 'prod', 'mean', 'amax' or 'amin'", reduce=reduce)
        x: Any = self
        if not include_self:
            x = self.scatter(dim, index, _NEUTRAL[reduce](self._spec.dtype))
        if reduce == "sum":
            return x.scatter_add(dim, index, src)
        if reduce == "mean":
            return _scatter_mean(x, dim, index, src, include_self)
        return x._along("scatter_reduce", dim, index, src, "scatter_reduce", reduce=reduce)

    def _sliced(self, name: str, dim: int, index: TensorCore, source: Any, op: str) -> Any:
        """Whole slices of an axis written where a vector of integers says."""
        axis, x, at = normalize_axis(name, dim, self._spec.ndim), at_least_1d(self), _vector(name, index)
        shape = _with(x._spec.shape, axis, at._spec.shape[0])
        if source._spec.shape != shape and source._spec.size != prod(shape):
            raise ShapeError(
                "{name}: the source has shape {shape}; expected {expected}", name=name, shape=source._spec.shape, expected=shape
            )
        if source._spec.dtype is not self._spec.dtype:
            raise DTypeError(
                "{name}: the source is {dtype}, the tensor {expected}; write source.to(x.dtype)",
                name=name,
                dtype=source._spec.dtype.name,
                expected=self._spec.dtype.name,
            )
        return apply(op, x, at, source.reshape(shape), dim=axis).reshape(self._spec.shape)

    def index_add(self, dim: int, index: TensorCore, source: TensorCore, *, alpha: float = 1) -> Any:
        """x with slices of a source, times alpha, added where a vector of integers says.

        y[index[i]] = x[index[i]] + alpha · source[i]

        Shapes: input (n, *), index (m), source (m, *) → (n, *), for dim 0.
        """
        scaled = source if alpha == 1 else apply("mul", source, alpha).to(source._spec.dtype)
        return self._sliced("index_add", dim, index, scaled, "index_add")

    def index_copy(self, dim: int, index: TensorCore, source: TensorCore) -> Any:
        """x with slices replaced by those of a source where a vector of integers says.

        y[index[i]] = source[i]

        Shapes: input (n, *), index (m), source (m, *) → (n, *), for dim 0.
        """
        return self._sliced("index_copy", dim, index, source, "index_set")

    def index_fill(self, dim: int, index: TensorCore, value: Any) -> Any:
        """x with one number in the slices that a vector of integers names.

        y[index[i]] = value

        Shapes: input (n, *), index (m), value a number or () → (n, *), for dim 0.
        """
        axis, x, at = normalize_axis("index_fill", dim, self._spec.ndim), at_least_1d(self), _vector("index_fill", index)
        if isinstance(value, TensorCore) and value._spec.ndim:
            raise ShapeError("index_fill takes a number or a 0-d tensor, got a tensor of shape {shape}", shape=value._spec.shape)
        marks = apply("full", True, shape=_with(x._spec.shape, axis, at._spec.shape[0]), dtype=dt.bool_)
        hit = apply("index_set", apply("full", False, shape=x._spec.shape, dtype=dt.bool_), at, marks, dim=axis)
        return apply("where", hit, value, x).to(self._spec.dtype).reshape(self._spec.shape)

    def index_put(self, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Any:
        """x with x[indices] = values, or (accumulate) x[indices] += values where equal places add up.

        Shapes: input (*), indices one tensor for each of the first axes, values broadcast to x[indices] → (*).

        Raises AxisError where an index does not exist, DTypeError for an index of floats.
        """
        out: Any = self.clone()  # type: ignore[attr-defined]
        if not accumulate:
            out[tuple(indices)] = values
            return out
        view, advanced = out._basic(tuple(indices))
        place = _Advanced(view, advanced)
        flat, at, _ = place._front()
        shape = (*flat._spec.shape[:at], *place.shape, *flat._spec.shape[at + 1 :])
        flat._assign(apply("index_add", flat, place.position, values.to(self._spec.dtype).expand(shape), dim=at)._value())
        return out

    def masked_scatter(self, mask: TensorCore, source: TensorCore) -> Any:
        """x with its elements where the mask is True replaced, in order, by those of a source.

        y = source[k] at the k-th place, in row-major order, where mask = True, else x

        Shapes: input (*), mask (*) of bool, broadcast together, source (*) with as many elements as the mask has True → (*).
        """
        if mask._spec.dtype is not dt.bool_ or source._spec.dtype is not self._spec.dtype:
            raise DTypeError(
                "masked_scatter: the mask is {mask_dtype} and the source {dtype}; expected bool and {expected}",
                mask_dtype=mask._spec.dtype.name,
                dtype=source._spec.dtype.name,
                expected=self._spec.dtype.name,
            )
        shape = broadcast_shapes("masked_scatter", [self._spec.shape, mask._spec.shape])
        x, chosen = self.expand(shape), mask.expand(shape)  # type: ignore[attr-defined]
        if not source._spec.size or not prod(shape):
            return x.clone()
        order = apply("cumsum", chosen.reshape(-1), dim=0) - 1
        values = source.reshape(-1).take(order.clamp(0, source._spec.size - 1)).reshape(shape)  # type: ignore[attr-defined]
        return apply("where", chosen, values, x)


def _with(shape: Sequence[int], axis: int, n: int) -> tuple[int, ...]:
    """The shape with another size on one axis."""
    return (*shape[:axis], n, *shape[axis + 1 :])


def _vector(name: str, index: TensorCore) -> Any:
    if index._spec.ndim > 1:
        raise ShapeError("{name}: the index has shape {shape}; expected a vector", name=name, shape=index._spec.shape)
    if index._spec.dtype not in (dt.int32, dt.int64):
        raise DTypeError(
            "{name}: the index has dtype {dtype}; expected int64 or int32: write index.long()",
            name=name,
            dtype=index._spec.dtype.name,
        )
    return at_least_1d(index)


def _index_like(index: TensorCore) -> Any:
    if index._spec.dtype not in (dt.int32, dt.int64):
        raise DTypeError("the index has dtype {dtype}; expected int64: write index.long()", dtype=index._spec.dtype.name)
    return at_least_1d(index)


def _check_source(name: str, shape: tuple[int, ...], source: TensorCore, dtype: dt.DType) -> None:
    own = source._spec.shape
    if len(own) != len(shape) or any(n > m for n, m in zip(shape, own)):
        raise ShapeError(
            "{name}: the source has shape {shape} and the index {expected}; expected as many axes, the source not shorter",
            name=name,
            shape=own,
            expected=shape,
        )
    if source._spec.dtype is not dtype:
        raise DTypeError(
            "{name}: the source is {dtype}, the tensor {expected}; write src.to(x.dtype)",
            name=name,
            dtype=source._spec.dtype.name,
            expected=dtype.name,
        )


def _limit(which: str) -> Any:
    def limit(dtype: dt.DType) -> Any:
        if dtype.is_floating_point:
            return float("-inf") if which == "min" else float("inf")
        return which == "max" if dtype is dt.bool_ else int(getattr(np.iinfo(dtype.numpy), which))

    return limit


_NEUTRAL = {"sum": lambda d: 0, "mean": lambda d: 0, "prod": lambda d: 1, "amax": _limit("min"), "amin": _limit("max")}


def _scatter_mean(x: Any, dim: int, index: TensorCore, src: TensorCore, include_self: bool) -> Any:
    ones = apply("full", 1, shape=index._spec.shape, dtype=x._spec.dtype)
    start = apply("full", int(include_self), shape=x._spec.shape, dtype=x._spec.dtype)
    count = start.scatter_add(dim, index, ones).clamp_min(1)
    total = x.scatter_add(dim, index, src)
    return total / count if x._spec.dtype.is_floating_point else total // count
