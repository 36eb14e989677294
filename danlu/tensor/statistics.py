"""L5. Statistics: medians and quantiles, moments in pairs, and reductions that look away from NaN."""

from __future__ import annotations

from math import prod
from typing import Any

from danlu import dtype as dt
from danlu.dtype import DType
from danlu.errors import DTypeError, ShapeError
from danlu.ops.movement import normalize_axis
from danlu.tensor.core import TensorCore, apply
from danlu.tensor.rearrange import as_axes, at_least_1d
from danlu.tensor.shape import Extremum, _named_axis, extremum

INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _float(name: str, x: Any) -> None:
    if not x._spec.dtype.is_floating_point:
        raise DTypeError("{name} of {dtype}; expected a floating dtype: write x.float()", name=name, dtype=x._spec.dtype.name)


class Statistics(TensorCore):
    """Statistics of all elements, or along axes."""

    __slots__ = ()

    # ---- order ----------------------------------------------------------------------------------------------------------
    @_named_axis
    def median(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """The middle element in order, of two the lower; with `dim` the pair (values, indices). NaN where there is one.

        values = x₍ₖ₎, k = ⌊(n + 1) / 2⌋, in rising order

        Shapes: (*) → (); with dim a pair without this axis (keepdim leaves it with size 1), indices of int64.
        """
        return self._middle("median", dim, keepdim, False)

    @_named_axis
    def nanmedian(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """`median` of the elements that are not NaN.

        values = x₍ₖ₎, k = ⌊(n + 1) / 2⌋ of the n that are numbers, in rising order

        Shapes: (*) → (); with dim a pair without this axis (keepdim leaves it with size 1), indices of int64.
        """
        return self._middle("nanmedian", dim, keepdim, True)

    def _middle(self, name: str, dim: int | None, keepdim: bool, skip_nan: bool) -> Any:
        if dim is None:
            if not self._spec.size:
                _float(name, self)
                return apply("full", float("nan"), shape=(), dtype=self._spec.dtype)
            return self.reshape(-1)._middle(name, 0, False, skip_nan)[0]  # type: ignore[attr-defined]
        x: Any = at_least_1d(self)
        axis = normalize_axis(name, dim, self._spec.ndim)
        n = x._spec.shape[axis]
        if not n:
            raise ShapeError(
                "{name}: axis {axis} of shape {shape} has no elements, and there is no middle one",
                name=name,
                axis=axis,
                shape=self._spec.shape,
            )
        values, indices = x.sort(axis)
        at: Any = apply("full", (n - 1) // 2, shape=_one(x, axis), dtype=dt.int64)
        if x._spec.dtype.is_floating_point:
            count = apply("sum", x.isnan().logical_not(), dims=(axis,), keepdim=True)
            at = ((count - 1) // 2).clamp_min(0) if skip_nan else apply("where", count == n, at, count)
        return _reduced(name, self, [values.gather(axis, at), indices.gather(axis, at)], axis, keepdim)

    @_named_axis
    def mode(self, dim: int = -1, keepdim: bool = False) -> Any:
        """(values, indices): the most frequent element along an axis, of several the smallest, and the last place where it is.

        values = the smallest v for which #{i: x[i] = v} is largest

        Shapes: (*, n, *) → values and indices (*, *), without the axis dim; keepdim leaves it with size 1.
        """
        x = at_least_1d(self)
        axis = normalize_axis("mode", dim, self._spec.ndim)
        if not x._spec.shape[axis]:
            raise ShapeError("mode: axis {axis} of shape {shape} has no elements", axis=axis, shape=self._spec.shape)
        return _reduced("mode", self, list(apply("mode", x, dim=axis)), axis, keepdim)

    @_named_axis
    def quantile(self, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear") -> Any:
        """The value below which a share q of the elements lies; between two elements it is interpolated. NaN where there is one.

        y = x₍ₖ₎ + (r - k) · (x₍ₖ₊₁₎ - x₍ₖ₎), r = q (n - 1), k = ⌊r⌋, in rising order from x₍₀₎ (interpolation "linear")

        Shapes: (*) with q a number → (), or without the axis dim; with q (m) an axis (m, …) in front.
        """
        return self._quantile("quantile", q, dim, keepdim, interpolation, False)

    @_named_axis
    def nanquantile(self, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear") -> Any:
        """`quantile` of the elements that are not NaN.

        y = x₍ₖ₎ + (r - k) · (x₍ₖ₊₁₎ - x₍ₖ₎), r = q (n - 1), k = ⌊r⌋ of the n that are numbers (interpolation "linear")

        Shapes: (*) with q a number → (), or without the axis dim; with q (m) an axis (m, …) in front.
        """
        return self._quantile("nanquantile", q, dim, keepdim, interpolation, True)

    def _quantile(self, name: str, q: Any, dim: int | None, keepdim: bool, interpolation: str, skip_nan: bool) -> Any:
        shares = _shares(name, self, q, interpolation)
        axis = 0 if dim is None else normalize_axis(name, dim, self._spec.ndim)
        x: Any = self.reshape(-1) if dim is None else at_least_1d(self)  # type: ignore[attr-defined]
        row = x.movedim(axis, -1).sort(-1).values
        n = row._spec.shape[-1]
        if not n:
            raise ShapeError("{name}: shape {shape} has no elements along axis {dim}", name=name, shape=self._spec.shape, dim=dim)
        count = row.isnan().logical_not().sum(-1, True)
        rank = shares * ((count - 1).clamp_min(0) if skip_nan else n - 1)
        out = _between(row, rank.expand(*row._spec.shape[:-1], shares._spec.size), interpolation)
        if not skip_nan:
            out = apply("where", count == n, out, float("nan"))
        kept = tuple(1 if dim is None or k == axis else m for k, m in enumerate(self._spec.shape))
        out = out.movedim(-1, 0).reshape(shares._spec.size, *(kept if keepdim else row._spec.shape[:-1]))
        return out if isinstance(q, TensorCore) and q._spec.ndim else out.squeeze(0)

    # ---- moments --------------------------------------------------------------------------------------------------------
    @_named_axis
    def var_mean(self, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: Any = None) -> tuple:
        """(var, mean) over axes.

        var = Σ (x - mean)² / (n - correction), mean = Σ x / n

        Shapes: (*) → twice (), or without the axes of dim; keepdim leaves them with size 1.
        """
        axes = None if isinstance(dim, bool) else dim
        return self.var(dim, unbiased, keepdim, correction=correction), self.mean(axes, keepdim)  # type: ignore[attr-defined]

    @_named_axis
    def std_mean(self, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: Any = None) -> tuple:
        """(std, mean) over axes.

        std = √(Σ (x - mean)² / (n - correction)), mean = Σ x / n

        Shapes: (*) → twice (), or without the axes of dim; keepdim leaves them with size 1.
        """
        axes = None if isinstance(dim, bool) else dim
        return self.std(dim, unbiased, keepdim, correction=correction), self.mean(axes, keepdim)  # type: ignore[attr-defined]

    @_named_axis
    def logsumexp(self, dim: Any, keepdim: bool = False) -> Any:
        """log Σ eˣ over axes, without overflow.

        Shapes: (*) → without the axes of dim; keepdim leaves them with size 1.
        """
        if self._spec.dtype.is_complex:
            z: Any = self
            most = z.real.detach().amax(dim, True)
            total = (z - most).exp().sum(dim, True).log() + most
            return total if keepdim else total.sum(dim)
        x: Any = self.to(dt.as_float(self._spec.dtype))  # type: ignore[attr-defined]
        axes = x._axes("logsumexp", dim)
        if not prod(x._spec.shape[k] for k in axes):
            return x.sum(dim, keepdim).log()
        return apply("logsumexp", x, dims=axes, keepdim=bool(keepdim))

    @_named_axis
    def softmax(self, dim: int, dtype: DType | None = None) -> Any:
        """eˣ / Σ eˣ along an axis, computed in `dtype` where it is given.

        Shapes: (*) → (*).
        """
        return self._normalised("softmax", dim, dtype)

    @_named_axis
    def log_softmax(self, dim: int, dtype: DType | None = None) -> Any:
        """x - log Σ eˣ along an axis, computed in `dtype` where it is given.

        Shapes: (*) → (*).
        """
        return self._normalised("log_softmax", dim, dtype)

    def _normalised(self, name: str, dim: int, dtype: DType | None) -> Any:
        x: Any = self if dtype is None else self.to(dtype)  # type: ignore[attr-defined]
        _float(name, x)
        axis = normalize_axis(name, dim, self._spec.ndim)
        if not self._spec.size:
            return x.clone()
        return apply(name, at_least_1d(x), dim=axis).reshape(self._spec.shape)

    @_named_axis
    def aminmax(self, *, dim: int | None = None, keepdim: bool = False) -> Any:
        """(min, max) of all elements, or along an axis.

        min x, max x over the axes

        Shapes: (*) → twice (), or without the axis dim; keepdim leaves it with size 1.
        """
        return MinMax((self.amin(dim, keepdim), self.amax(dim, keepdim)))  # type: ignore[attr-defined]

    @_named_axis
    def count_nonzero(self, dim: Any = None) -> Any:
        """How many elements are not zero.

        y = Σ [x ≠ 0]

        Shapes: (*) → () of int64, or without the axes of dim.
        """
        axes = tuple(range(self._spec.ndim)) if dim is None else as_axes("count_nonzero", dim, self._spec.ndim)
        return apply("sum", apply("ne", self, 0), dims=axes if self._spec.ndim else (), keepdim=False)

    @_named_axis
    def nansum(self, dim: Any = None, keepdim: bool = False, *, dtype: DType | None = None) -> Any:
        """Σ x over axes, NaN counted as 0.

        Shapes: (*) → (), or without the axes of dim; keepdim leaves them with size 1.
        """
        x: Any = self
        if self._spec.dtype.is_floating_point:
            x = apply("where", self.isnan(), 0.0, self)  # type: ignore[attr-defined]
        return x.sum(dim, keepdim, dtype=dtype)

    @_named_axis
    def nanmean(self, dim: Any = None, keepdim: bool = False, *, dtype: DType | None = None) -> Any:
        """The mean over axes of the elements that are not NaN.

        y = Σ x / #x over the x that are not NaN

        Shapes: (*) → (), or without the axes of dim; keepdim leaves them with size 1.
        """
        _float("nanmean", self if dtype is None else self.to(dtype))  # type: ignore[attr-defined]
        present = self.isnan().logical_not()  # type: ignore[attr-defined]
        return self.nansum(dim, keepdim, dtype=dtype) / present.sum(dim, keepdim)


class MinMax(tuple):
    """(min, max) of aminmax."""

    __slots__ = ()
    min = property(lambda self: self[0], doc="The smallest elements.")
    max = property(lambda self: self[1], doc="The largest elements.")


def _one(x: Any, axis: int) -> tuple[int, ...]:
    return tuple(1 if k == axis else n for k, n in enumerate(x._spec.shape))


def _reduced(name: str, x: Any, parts: list, axis: int, keepdim: bool) -> Extremum:
    """(values, indices) with the reduced axis kept, or left out."""
    if not x._spec.ndim:
        return extremum(name)(part.reshape(()) for part in parts)
    return extremum(name)(parts if keepdim else [part.squeeze(axis) for part in parts])


def _shares(name: str, x: Any, q: Any, interpolation: str) -> Any:
    """q as a vector in the dtype of x."""
    _float(name, x)
    if interpolation not in INTERPOLATIONS:
        raise ShapeError(
            "{name}: interpolation={interpolation!r}; expected one of {names}",
            name=name,
            interpolation=interpolation,
            names=", ".join(INTERPOLATIONS),
        )
    if not isinstance(q, TensorCore):
        if not 0 <= q <= 1:
            raise ShapeError("{name}: q={q} is not inside 0 … 1", name=name, q=q)
        return apply("full", float(q), shape=(1,), dtype=x._spec.dtype)
    if q._spec.ndim > 1 or q._spec.dtype is not x._spec.dtype:
        raise DTypeError(
            "{name}: q has shape {shape} and dtype {dtype}; expected a number or a vector of {expected}",
            name=name,
            shape=q._spec.shape,
            dtype=q._spec.dtype.name,
            expected=x._spec.dtype.name,
        )
    return at_least_1d(q)


def _between(row: Any, rank: Any, interpolation: str) -> Any:
    """The value of a sorted row at a rank that need not be whole."""
    if interpolation == "nearest":
        return row.gather(-1, rank.round().long())
    low, high = rank.floor(), rank.ceil()
    if interpolation in ("lower", "higher"):
        return row.gather(-1, (low if interpolation == "lower" else high).long())
    a, b = row.gather(-1, low.long()), row.gather(-1, high.long())
    weight = rank - low if interpolation == "linear" else (high > low).to(row._spec.dtype) * 0.5
    return a + (b - a) * weight
