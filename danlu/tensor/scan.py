"""L5. Cumulative methods: what has come so far along an axis, and differences of neighbours."""

from __future__ import annotations

from typing import Any

from danlu.dtype import DType
from danlu.errors import DTypeError, ShapeError
from danlu.ops.movement import normalize_axis
from danlu.ops.table import promote_specs
from danlu.tensor.core import TensorCore, apply
from danlu.tensor.shape import _named_axis, extremum


def _scanned(name: str, x: Any, dim: int) -> Any:
    """The op along an axis; a 0-d tensor counts as a vector of one element."""
    axis = normalize_axis(name, dim, x._spec.ndim)
    if x._spec.ndim:
        return apply(name, x, dim=axis)
    out = apply(name, x.reshape(1), dim=0)
    return tuple(part.reshape(()) for part in out) if isinstance(out, tuple) else out.reshape(())


class Scanning(TensorCore):
    """Running sums, products and extrema."""

    __slots__ = ()

    @_named_axis
    def cumsum(self, dim: int, *, dtype: DType | None = None) -> Any:
        """y[i] = Σ x[j] over j ≤ i.

        Shapes: (*) → (*).
        """
        out = _scanned("cumsum", self if dtype is None else self.to(dtype), dim)  # type: ignore[attr-defined]
        return out if dtype is None else out.to(dtype)

    @_named_axis
    def cumprod(self, dim: int, *, dtype: DType | None = None) -> Any:
        """y[i] = Π x[j] over j ≤ i.

        Shapes: (*) → (*).
        """
        out = _scanned("cumprod", self if dtype is None else self.to(dtype), dim)  # type: ignore[attr-defined]
        return out if dtype is None else out.to(dtype)

    @_named_axis
    def cummax(self, dim: int) -> Any:
        """(values, indices): the largest element so far, and the last place where it is.

        values[i] = max x[j] over j ≤ i

        Shapes: (*) → values (*) and indices (*) of int64.
        """
        return extremum("cummax")(_scanned("cummax", self, dim))

    @_named_axis
    def cummin(self, dim: int) -> Any:
        """(values, indices): the smallest element so far, and the last place where it is.

        values[i] = min x[j] over j ≤ i

        Shapes: (*) → values (*) and indices (*) of int64.
        """
        return extremum("cummin")(_scanned("cummin", self, dim))

    @_named_axis
    def logcumsumexp(self, dim: int) -> Any:
        """y[i] = log Σ exp x[j] over j ≤ i, without overflow.

        Shapes: (*) → (*).
        """
        if not self._spec.dtype.is_floating_point:
            raise DTypeError("logcumsumexp of {dtype}; expected a floating dtype: write x.float()", dtype=self._spec.dtype.name)
        return _scanned("logcumsumexp", self, dim)

    @_named_axis
    def diff(self, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
        """x[i + 1] - x[i] along an axis, n times; `prepend` and `append` are joined to the axis first.

        Shapes: (*, m, *) → (*, m - n, *), on the axis dim.
        """
        if not self._spec.ndim:
            raise ShapeError("diff needs at least 1 axis, the tensor is 0-d")
        axis = normalize_axis("diff", dim, self._spec.ndim)
        if n < 0:
            raise ShapeError("diff: n={n}; expected 0 or more", n=n)
        if n == 0:
            return self.clone()  # type: ignore[attr-defined]
        out = _joined([part for part in (prepend, self, append) if part is not None], axis)
        for _ in range(min(n, out._spec.shape[axis])):
            m = max(0, out._spec.shape[axis] - 1)
            later, earlier = out.narrow(axis, min(1, out._spec.shape[axis]), m), out.narrow(axis, 0, m)
            out = apply("ne" if out._spec.dtype.kind == "b" else "sub", later, earlier)
        return out


def _joined(parts: list, axis: int) -> Any:
    """Tensors one after another along an axis, in their common dtype."""
    for part in parts:
        if part._spec.ndim != parts[-1]._spec.ndim:
            raise ShapeError(
                "diff: prepend and append need as many axes as the tensor, got shapes {shapes}",
                shapes=[tuple(p._spec.shape) for p in parts],
            )
    dtype = promote_specs([part._spec for part in parts])
    return parts[0] if len(parts) == 1 else apply("cat", *[part.to(dtype) for part in parts], dim=axis)
