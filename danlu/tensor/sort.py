"""L5. Methods that sort, search and count."""

from __future__ import annotations

from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.errors import DTypeError, ShapeError
from danlu.ops.movement import normalize_axis
from danlu.tensor.core import TensorCore, apply, from_array
from danlu.tensor.rearrange import at_least_1d
from danlu.tensor.shape import _named_axis, extremum


def _array(x: Any) -> np.ndarray:
    return dt.readable(x._array())


def _tensor(array: Any) -> Any:
    return from_array(np.asarray(array, order="C"))


class Sorting(TensorCore):
    """Sorting, searching and counting."""

    __slots__ = ()

    @_named_axis
    def sort(self, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
        """(values, indices): the elements along an axis in order; equal ones keep their order, NaN counts as the largest.

        values[i] = x[indices[i]] ≤ values[i + 1] (descending: ≥)

        Shapes: (*) → values (*) and indices (*) of int64.
        """
        if not self._spec.ndim:
            normalize_axis("sort", dim, 0)
            return extremum("sort")((self.clone(), apply("full", 0, shape=(), dtype=dt.int64)))  # type: ignore[attr-defined]
        return extremum("sort")(
            apply("sort", self, dim=normalize_axis("sort", dim, self._spec.ndim), descending=bool(descending))
        )

    @_named_axis
    def argsort(self, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
        """The indices that sort an axis.

        x[y[i]] ≤ x[y[i + 1]] (descending: ≥)

        Shapes: (*) → (*) of int64.
        """
        return self.sort(dim, descending).indices

    def msort(self) -> Any:
        """The elements in order along the first axis.

        y[i] ≤ y[i + 1]

        Shapes: (n, *) → (n, *).
        """
        return self.sort(0).values

    @_named_axis
    def topk(self, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
        """(values, indices) of the k largest (or smallest) elements along an axis, in order.

        values[i] = x[indices[i]], the k largest (largest=False: smallest)

        Shapes: (*, n, *) → values and indices (*, k, *), on the axis dim.
        """
        x: Any = at_least_1d(self)
        axis = normalize_axis("topk", dim, self._spec.ndim)
        if not 0 <= k <= x._spec.shape[axis]:
            raise ShapeError(
                "topk: k={k} is not inside 0 … {size}, the size of axis {axis} of shape {shape}",
                k=k,
                size=x._spec.shape[axis],
                axis=axis,
                shape=self._spec.shape,
            )
        parts = [part.narrow(axis, 0, k) for part in x.sort(axis, largest)]
        return extremum("topk")(parts if self._spec.ndim else [part.reshape(()) if k else part for part in parts])

    @_named_axis
    def kthvalue(self, k: int, dim: int = -1, keepdim: bool = False) -> Any:
        """(values, indices) of the k-th smallest element along an axis, k from 1.

        values = x[indices], larger than or equal to k - 1 others

        Shapes: (*, n, *) → values and indices (*, *), without the axis dim; keepdim leaves it with size 1.
        """
        x: Any = at_least_1d(self)
        axis = normalize_axis("kthvalue", dim, self._spec.ndim)
        if not 1 <= k <= x._spec.shape[axis]:
            raise ShapeError(
                "kthvalue: k={k} is not inside 1 … {size}, the size of axis {axis} of shape {shape}",
                k=k,
                size=x._spec.shape[axis],
                axis=axis,
                shape=self._spec.shape,
            )
        parts = [part.narrow(axis, k - 1, 1) for part in x.sort(axis)]
        if not self._spec.ndim:
            return extremum("kthvalue")(part.reshape(()) for part in parts)
        return extremum("kthvalue")(parts if keepdim else [part.squeeze(axis) for part in parts])

    # ---- distinct values ------------------------------------------------------------------------------------------------
    @_named_axis
    def unique(
        self, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
    ) -> Any:
        """The distinct elements (or slices of an axis) in order; with where each is among them, and how often it occurs.

        y[0] < y[1] < …, {y[k]} = {x[i]}; x[i] = y[inverse[i]]

        How many there are depends on the data, so it is computed now, and no derivative passes.

        Shapes: (*) with m distinct elements → (m) in rising order, with return_inverse (*) and return_counts (m); with dim
        (*, m, *).
        """
        array, axis = _array(self), None if dim is None else normalize_axis("unique", dim, self._spec.ndim)
        _check_slices("unique", array, axis)
        values, inverse, counts = np.unique(array, return_inverse=True, return_counts=True, axis=axis)
        shape = array.shape if axis is None else (array.shape[axis],)
        values = dt.in_memory(values, self._spec.dtype)
        return _chosen(values, inverse.reshape(shape), counts, return_inverse, return_counts)

    @_named_axis
    def unique_consecutive(self, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
        """The elements (or slices of an axis) without those equal to the one before.

        y[k] ≠ y[k + 1]; x[i] = y[inverse[i]]

        Shapes: (*) → (m); with return_inverse (*), with return_counts (m); with dim (*, m, *).
        """
        array = _array(self)
        axis = None if dim is None else normalize_axis("unique_consecutive", dim, self._spec.ndim)
        _check_slices("unique_consecutive", array, axis)
        rows = array.reshape(-1) if axis is None else np.moveaxis(array, axis, 0)
        fresh = np.ones(len(rows), bool)
        if len(rows) > 1:
            fresh[1:] = (rows[1:] != rows[:-1]).reshape(len(rows) - 1, -1).any(1)
        values = rows[fresh] if axis is None else np.moveaxis(rows[fresh], 0, axis)
        starts = np.flatnonzero(fresh)
        inverse = (np.cumsum(fresh) - 1).reshape(array.shape if axis is None else len(rows))
        values = dt.in_memory(values, self._spec.dtype)
        return _chosen(values, inverse, np.diff(starts, append=len(rows)), return_inverse, return_counts)

    # ---- counting -------------------------------------------------------------------------------------------------------
    def bincount(self, weights: Any = None, minlength: int = 0) -> Any:
        """How often each of 0, 1, 2 … occurs in a vector of integers; or the sum of the weights of each.

        y[k] = Σ [x[i] = k], with weights Σ weights[i] [x[i] = k]

        Shapes: (n) of integers, weights (n) → (max(x) + 1), or (minlength) where that is more.
        """
        if self._spec.ndim != 1 or self._spec.dtype.kind not in "iu":
            raise ShapeError(
                "bincount takes a vector of integers, got shape {shape}, dtype {dtype}",
                shape=self._spec.shape,
                dtype=self._spec.dtype.name,
            )
        if minlength < 0:
            raise ShapeError("bincount: minlength={minlength}; expected 0 or more", minlength=minlength)
        array = _array(self)
        if array.size and array.min() < 0:
            raise ShapeError("bincount: {min} occurs; expected no negative numbers", min=array.min())
        size = max(minlength, int(array.max()) + 1 if array.size else 0)
        if weights is None:
            return _tensor(np.bincount(array, minlength=size).astype(np.int64))
        if weights._spec.shape != self._spec.shape:
            raise ShapeError(
                "bincount: weights of shape {weights} for a vector of shape {shape}; expected one each",
                weights=weights._spec.shape,
                shape=self._spec.shape,
            )
        weights = weights if weights._spec.dtype.is_floating_point else weights.double()
        return apply("full", 0, shape=(size,), dtype=weights._spec.dtype).scatter_add(0, self.to(dt.int64), weights)  # type: ignore[attr-defined]

    def histc(self, bins: int = 100, min: float = 0, max: float = 0) -> Any:
        """How many elements fall into each of `bins` equal intervals from min to max (both 0: of the data), the last one closed.

        y[k] = #{x: k ≤ bins · (x - min) / (max - min) < k + 1}

        Shapes: (*) → (bins).
        """
        if not self._spec.dtype.is_floating_point or bins < 1 or max < min:
            raise ShapeError(
                "histc: dtype {dtype}, {bins} bins from {min} to {max}; expected floats, 1 or more bins, min ≤ max",
                dtype=self._spec.dtype.name,
                bins=bins,
                min=min,
                max=max,
            )
        array = _array(self).reshape(-1)
        if min == max and array.size:
            min, max = float(array.min()), float(array.max())
        if min == max:
            min, max = min - 1, max + 1
        if not np.isfinite([min, max]).all():
            raise ShapeError("histc: the range {min} … {max} is not finite; give min= and max=", min=min, max=max)
        counts = np.histogram(array[(array >= min) & (array <= max)], bins, (min, max))[0]
        return _tensor(dt.in_memory(counts, self._spec.dtype))

    # ---- searching ------------------------------------------------------------------------------------------------------
    def searchsorted(
        self, input: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None, sorter: Any = None
    ) -> Any:
        """Where the values of `input` belong in this sorted row (or in the row of their own line), so that it stays sorted.

        y = #{k: row[k] < value} (right, or side "right": ≤)

        Shapes: the sorted rows (*, n), values (*, m) → (*, m); one row (n) takes values of any shape. int64, or int32 with
        out_int32.
        """
        if side not in (None, "left", "right") or (right and side == "left"):
            raise ShapeError(
                "searchsorted: right={right} with side={side!r}; expected one of them, side 'left' or 'right'",
                right=right,
                side=side,
            )
        row: Any = self if sorter is None else self.gather(-1, _checked_sorter(self, sorter))  # type: ignore[attr-defined]
        if not row._spec.ndim:
            raise ShapeError("searchsorted: the sorted row is 0-d; expected at least 1 axis")
        if not isinstance(input, TensorCore):
            row = row.to(dt.as_float(row._spec.dtype)) if isinstance(input, float) else row
            input = apply("full", input, shape=(), dtype=row._spec.dtype)
        if row._spec.dtype is not input._spec.dtype:
            raise DTypeError(
                "searchsorted: the row is {row}, the values {values}; write input.to(row.dtype)",
                row=row._spec.dtype.name,
                values=input._spec.dtype.name,
            )
        found = apply("searchsorted", row, input, right=right or side == "right")
        return found.to(dt.int32) if out_int32 else found

    def bucketize(self, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Any:
        """The number of the interval, between sorted boundaries, that each element falls into.

        y = #{k: boundaries[k] < x} (right: ≤)

        Shapes: input (*), boundaries (n) → (*) of int64, or of int32 with out_int32.
        """
        if boundaries._spec.ndim != 1:
            raise ShapeError(
                "bucketize: the boundaries have shape {shape}; expected a sorted vector", shape=boundaries._spec.shape
            )
        return boundaries.searchsorted(self, out_int32=out_int32, right=right)

    def isin(self, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Any:
        """True where an element is one of those given (invert: where it is none).

        y = [x ∈ test_elements]

        Shapes: input (*), test_elements (*) of any other shape → (*) of bool.
        """
        row = (test_elements if isinstance(test_elements, TensorCore) else _tensor(np.array(test_elements))).reshape(-1)  # type: ignore[attr-defined]
        if not row._spec.size:
            return apply("full", bool(invert), shape=self._spec.shape, dtype=dt.bool_)
        dtype = dt.promote(row._spec.dtype, self._spec.dtype)
        row, x = row.to(dtype).sort(0).values, self.to(dtype)  # type: ignore[attr-defined]
        at = apply("searchsorted", row, x, right=False).clamp(0, row._spec.size - 1)
        return apply("ne" if invert else "eq", row.take(at), x)


def _check_slices(name: str, array: np.ndarray, axis: int | None) -> None:
    if axis is not None and array.size == 0 and 0 in array.shape[:axis] + array.shape[axis + 1 :]:
        raise ShapeError(
            "{name}: shape {shape} has no elements beside axis {axis}; there is nothing to compare",
            name=name,
            shape=array.shape,
            axis=axis,
        )


def _checked_sorter(row: Any, sorter: Any) -> Any:
    if sorter._spec.shape != row._spec.shape or sorter._spec.dtype is not dt.int64:
        raise ShapeError(
            "searchsorted: the sorter has shape {shape} and dtype {dtype}; expected {expected} and int64",
            shape=sorter._spec.shape,
            dtype=sorter._spec.dtype.name,
            expected=row._spec.shape,
        )
    return sorter


def _chosen(values: Any, inverse: Any, counts: Any, return_inverse: bool, return_counts: bool) -> Any:
    """The results that were asked for: one tensor, or a tuple."""
    out = [values]
    out += [inverse.astype(np.int64)] if return_inverse else []
    out += [counts.astype(np.int64)] if return_counts else []
    return tuple(map(_tensor, out)) if len(out) > 1 else _tensor(values)
