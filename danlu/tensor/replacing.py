"""L5. Methods that give a tensor with a part of it replaced or combined, and lengths cut to a limit."""

from __future__ import annotations

from math import prod
from typing import Any

from danlu.errors import DTypeError, ShapeError
from danlu.ops.movement import normalize_axis
from danlu.tensor.arithmetic import _in_place
from danlu.tensor.core import TensorCore, apply
from danlu.tensor.picking import _vector, _with
from danlu.tensor.rearrange import at_least_1d


def _written(name: str, out: Any, view: Any, src: TensorCore) -> Any:
    """`out` with src in the place that a view of it shows."""
    if src._spec.shape != view._spec.shape:
        raise ShapeError(
            "{name}: src has shape {src_shape}; expected that of the part it replaces, {view_shape}",
            name=name,
            src_shape=src._spec.shape,
            view_shape=view._spec.shape,
        )
    view._assign(src.to(out._spec.dtype)._value())  # type: ignore[attr-defined]
    return out


class Replacing(TensorCore):
    """Parts replaced."""

    __slots__ = ()

    def diagonal_scatter(self, src: TensorCore, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
        """x with a diagonal replaced: the opposite of `diagonal`.

        y[…, i, i + offset] = src[…, i]

        Shapes: input (*, m, n), src (*, min(m, n)) for offset 0 → (*, m, n).
        """
        out: Any = self.clone()  # type: ignore[attr-defined]
        return _written("diagonal_scatter", out, out.diagonal(offset, dim1, dim2), src)

    def select_scatter(self, src: TensorCore, dim: int, index: int) -> Any:
        """x with one slice of an axis replaced: the opposite of `select`.

        y[…, index, …] = src

        Shapes: input (*, n, *), src (*, *) without the axis dim → (*, n, *).
        """
        out: Any = self.clone()  # type: ignore[attr-defined]
        return _written("select_scatter", out, out.select(dim, index), src)

    def slice_scatter(
        self, src: TensorCore, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
    ) -> Any:
        """x with x[start:end:step] of an axis replaced.

        y[…, start:end:step, …] = src

        Shapes: input (*, n, *), src the shape of the slice → (*, n, *).
        """
        out: Any = self.clone()  # type: ignore[attr-defined]
        axis = normalize_axis("slice_scatter", dim, self._spec.ndim)
        return _written("slice_scatter", out, out[(slice(None),) * axis + (slice(start, end, step),)], src)

    def put(self, index: TensorCore, source: TensorCore, accumulate: bool = False) -> Any:
        """x with the elements at positions counted in row-major order replaced (or, accumulate, added to).

        y.flatten()[index[i]] = source[i] (accumulate: +=)

        Shapes: input (*), index (*) and source (*) with as many elements → the shape of the input.
        """
        if source._spec.dtype is not self._spec.dtype or source._spec.size != index._spec.size:
            raise ShapeError(
                "put: source has shape {shape} and dtype {source_dtype}; expected {size} elements of {tensor_dtype}, one for each index",
                shape=source._spec.shape,
                source_dtype=source._spec.dtype.name,
                size=index._spec.size,
                tensor_dtype=self._spec.dtype.name,
            )
        flat, index, source = self.reshape(-1), index.reshape(-1), source.reshape(-1)  # type: ignore[attr-defined]
        return apply("index_add" if accumulate else "index_set", flat, index, source, dim=0).reshape(self._spec.shape)

    def index_reduce(self, dim: int, index: TensorCore, source: TensorCore, reduce: str, *, include_self: bool = True) -> Any:
        """x with slices of a source combined with it where a vector of integers says: "prod", "mean", "amax" or "amin".

        y[k] = reduce(x[k], {source[i]: index[i] = k})

        Shapes: input (n, *), index (m), source (m, *) → (n, *), for dim 0.
        """
        if reduce not in ("prod", "mean", "amax", "amin"):
            raise ShapeError(
                "index_reduce: reduce={reduce!r}; expected 'prod', 'mean', 'amax' or 'amin'; index_add adds", reduce=reduce
            )
        axis, x, at = normalize_axis("index_reduce", dim, self._spec.ndim), at_least_1d(self), _vector("index_reduce", index)
        shape = _with(x._spec.shape, axis, at._spec.shape[0])
        if at_least_1d(source)._spec.shape != shape:
            raise ShapeError(
                "index_reduce: the source has shape {source_shape}; expected {shape}",
                source_shape=source._spec.shape,
                shape=shape,
            )
        along = tuple(at._spec.shape[0] if k == axis else 1 for k in range(len(shape)))
        places = at.reshape(along).expand(shape)
        out = x.scatter_reduce(axis, places, at_least_1d(source), reduce, include_self=include_self)
        return out.reshape(self._spec.shape)

    def fill_diagonal_(self, fill_value: Any, wrap: bool = False) -> Any:
        """One number on the main diagonal, in place; wrap: of a tall matrix the diagonal begins anew below a row left out.

        x[i, i] ← fill_value

        Shapes: (m, n), or several axes of one size → the tensor itself.

        >>> import danlu
        >>> danlu.zeros(2, 2).fill_diagonal_(1)
        tensor([[1., 0.],
                [0., 1.]])
        """
        shape = self._spec.shape
        if len(shape) < 2 or (len(shape) > 2 and len(set(shape)) > 1):
            raise ShapeError("fill_diagonal_: shape {shape}; expected a matrix, or several axes of one size", shape=shape)
        step = sum(prod(shape[k + 1 :]) for k in range(len(shape)))
        stop = prod(shape) if wrap or len(shape) > 2 else min(shape[0], shape[1]) * shape[1]
        self.reshape(-1)[:stop:step] = fill_value  # type: ignore[attr-defined]
        return self

    def renorm(self, p: float, dim: int, maxnorm: float) -> Any:
        """x with every slice of an axis scaled down to a p-norm of at most maxnorm.

        y[i] = x[i] · min(1, maxnorm / ‖x[i]‖ₚ) for each slice i of the axis dim

        Shapes: (*) of 2 axes or more → (*).
        """
        if self._spec.ndim < 2 or p <= 0 or maxnorm < 0:
            raise ShapeError(
                "renorm: shape {shape}, p={p}, maxnorm={maxnorm}; expected 2 axes or more, p > 0, maxnorm ≥ 0",
                shape=self._spec.shape,
                p=p,
                maxnorm=maxnorm,
            )
        if not self._spec.dtype.is_floating_point:
            raise DTypeError("renorm of {dtype}; expected a floating dtype: write x.float()", dtype=self._spec.dtype.name)
        axis = normalize_axis("renorm", dim, self._spec.ndim)
        norm = self.norm(p, tuple(k for k in range(self._spec.ndim) if k != axis), True)  # type: ignore[attr-defined]
        return self * apply("where", norm > maxnorm, maxnorm / (norm + 1e-7), 1.0)  # type: ignore[operator]


for _name in ("put", "index_reduce", "renorm"):
    setattr(Replacing, f"{_name}_", _in_place(_name))
