"""L5. Methods of the Tensor that move elements, and those that reduce axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from danlu import dtype as dt
from danlu.dtype import DType
from danlu.errors import DTypeError, ShapeError
from danlu.ops.movement import normalize_axis
from danlu.tensor_core import TensorCore, apply


def sizes(args: tuple) -> tuple[int, ...]:
    """Sizes given as f(2, 3) or f((2, 3))."""
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = tuple(args[0])
    return tuple(int(a) for a in args)


def complete(name: str, shape: tuple[int, ...], count: int) -> tuple[int, ...]:
    """The shape with its one -1 computed."""
    if shape.count(-1) > 1 or any(n < -1 for n in shape):
        raise ShapeError(f"{name}: shape {shape} is not possible: one size may be -1, the others must not be negative")
    if -1 not in shape:
        return shape
    rest = prod(n for n in shape if n != -1)
    if rest == 0 or count % rest:
        raise ShapeError(f"{name}: {count} elements do not fill shape {shape}: {count} is no multiple of {rest}")
    return tuple(count // rest if n == -1 else n for n in shape)


class Shape(TensorCore):
    """Movement and reduction."""

    __slots__ = ()

    # ---- movement -------------------------------------------------------------------------------------------------------
    def reshape(self, *shape: Any) -> Any:
        """The same elements in row-major order under another shape; one size may be -1."""
        return self._view("reshape", (complete("reshape", sizes(shape), self._spec.size),))

    def view(self, *shape: Any) -> Any:
        """The same as `reshape` (a danlu tensor has no strides that could forbid it)."""
        if len(shape) == 1 and isinstance(shape[0], DType):
            raise DTypeError("view(dtype) is not supported; x.to(dtype) converts the values")
        return self.reshape(*shape)

    def view_as(self, other: TensorCore) -> Any:
        """This tensor with the shape of another."""
        return self.reshape(other._spec.shape)

    reshape_as = view_as

    def permute(self, *dims: Any) -> Any:
        """The axes in another order."""
        ndim = self._spec.ndim
        return self._view("permute", (tuple(normalize_axis("permute", d, ndim) for d in sizes(dims)),))

    def transpose(self, dim0: int, dim1: int) -> Any:
        """Two axes exchanged."""
        ndim = self._spec.ndim
        a, b = normalize_axis("transpose", dim0, ndim), normalize_axis("transpose", dim1, ndim)
        order = list(range(ndim))
        if ndim:
            order[a], order[b] = order[b], order[a]
        return self._view("permute", (tuple(order),))

    swapaxes = swapdims = transpose

    def t(self) -> Any:
        """The transpose of a matrix; vectors stay."""
        if self._spec.ndim > 2:
            raise ShapeError(
                f"t() takes at most 2 axes, the tensor has shape {self._spec.shape}; write x.mT or x.transpose(dim0, dim1)"
            )
        return self.transpose(0, 1) if self._spec.ndim == 2 else self

    @property
    def T(self) -> Any:
        """All axes in reverse order."""
        return self.permute(*reversed(range(self._spec.ndim)))

    @property
    def mT(self) -> Any:
        """The last two axes exchanged."""
        if self._spec.ndim < 2:
            raise ShapeError(f"mT needs at least 2 axes, the tensor has shape {self._spec.shape}")
        return self.transpose(-2, -1)

    def movedim(self, source: int, destination: int) -> Any:
        """One axis at another place."""
        ndim = self._spec.ndim
        a, b = normalize_axis("movedim", source, ndim), normalize_axis("movedim", destination, ndim)
        order = [k for k in range(ndim) if k != a]
        order.insert(b, a)
        return self.permute(*order)

    def expand(self, *shape: Any) -> Any:
        """Axes of size 1 stretched without copying; -1 leaves an axis as it is, new axes come in front."""
        given, own = sizes(shape), self._spec.shape
        lead = len(given) - len(own)
        if lead < 0:
            raise ShapeError(
                f"expand: {len(given)} sizes {given} for a tensor of {len(own)} axes, shape {own}; give at least as many"
            )
        return self._view("expand", (tuple(own[k - lead] if n == -1 and k >= lead else n for k, n in enumerate(given)),))

    def expand_as(self, other: TensorCore) -> Any:
        """This tensor expanded to the shape of another."""
        return self.expand(other._spec.shape)

    def unsqueeze(self, dim: int) -> Any:
        """A new axis of size 1 at `dim`."""
        shape = self._spec.shape
        at = normalize_axis("unsqueeze", dim, len(shape) + 1)
        return self._view("reshape", ((*shape[:at], 1, *shape[at:]),))

    def squeeze(self, dim: Any = None) -> Any:
        """Axes of size 1 left out: all of them, or those named (others are kept)."""
        shape = self._spec.shape
        chosen = (
            range(len(shape))
            if dim is None
            else [normalize_axis("squeeze", d, len(shape)) for d in (dim if isinstance(dim, (tuple, list)) else [dim])]
        )
        return self._view("reshape", (tuple(n for k, n in enumerate(shape) if not (n == 1 and k in chosen)),))

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Any:
        """The axes start_dim … end_dim as one."""
        shape = self._spec.shape
        if not shape:
            return self.reshape(1)
        a, b = normalize_axis("flatten", start_dim, len(shape)), normalize_axis("flatten", end_dim, len(shape))
        return self._view("reshape", ((*shape[:a], prod(shape[a : b + 1]), *shape[b + 1 :]),))

    def ravel(self) -> Any:
        """All elements on one axis."""
        return self.reshape(-1)

    def unflatten(self, dim: int, shape: Sequence[int]) -> Any:
        """One axis as several."""
        own = self._spec.shape
        at = normalize_axis("unflatten", dim, len(own))
        return self.reshape(*own[:at], *complete("unflatten", tuple(shape), own[at]), *own[at + 1 :])

    def flip(self, *dims: Any) -> Any:
        """The order of elements turned round on some axes."""
        ndim = self._spec.ndim
        return apply("flip", self, dims=tuple(normalize_axis("flip", d, ndim) for d in sizes(dims)))

    def repeat(self, *counts: Any) -> Any:
        """The tensor tiled: counts[i] copies along axis i."""
        given, own = sizes(counts), self._spec.shape
        lead = (1,) * (len(given) - len(own)) + own
        interleaved = tuple(x for c, n in zip(given, lead) for x in (c, n))
        spread = self.reshape(tuple(x for n in lead for x in (1, n))).expand(interleaved)
        return spread.reshape(tuple(c * n for c, n in zip(given, lead))).clone()

    tile = repeat

    def narrow(self, dim: int, start: int, length: int) -> Any:
        """`length` elements of an axis from `start` on."""
        shape = self._spec.shape
        at = normalize_axis("narrow", dim, len(shape))
        if not 0 <= start <= start + length <= shape[at]:
            raise ShapeError(f"narrow: {start} … {start + length} is not inside axis {at} of size {shape[at]}")
        starts = tuple(start if k == at else 0 for k in range(len(shape)))
        stops = tuple(start + length if k == at else n for k, n in enumerate(shape))
        return self._view("slice", (starts, stops, (1,) * len(shape)))

    def split(self, split_size: Any, dim: int = 0) -> tuple:
        """Pieces of an axis: of one size (the last may be smaller), or of the sizes given."""
        n = self._spec.shape[normalize_axis("split", dim, self._spec.ndim)]
        if isinstance(split_size, int):
            lengths = [min(split_size, n - k) for k in range(0, n, split_size)] or [0]
        else:
            lengths = list(split_size)
            if sum(lengths) != n:
                raise ShapeError(f"split: sizes {lengths} add up to {sum(lengths)}; axis {dim} has {n}")
        starts = [sum(lengths[:k]) for k in range(len(lengths))]
        return tuple(self.narrow(dim, a, length) for a, length in zip(starts, lengths))

    def chunk(self, chunks: int, dim: int = 0) -> tuple:
        """At most `chunks` pieces of an axis, equal but for the last."""
        n = self._spec.shape[normalize_axis("chunk", dim, self._spec.ndim)]
        return self.split(max(1, -(-n // chunks)), dim)

    def unbind(self, dim: int = 0) -> tuple:
        """The slices of an axis, without it."""
        at = normalize_axis("unbind", dim, self._spec.ndim)
        return tuple(self.narrow(at, k, 1).squeeze(at) for k in range(self._spec.shape[at]))

    def clone(self) -> Any:
        """A copy in a storage of its own; derivatives pass."""
        return type(self)._plain(self._value())

    def contiguous(self) -> Any:
        """The tensor itself (a danlu tensor has no other layout)."""
        return self

    # ---- reduction ------------------------------------------------------------------------------------------------------
    def _axes(self, name: str, dim: Any) -> tuple[int, ...]:
        ndim = self._spec.ndim
        if dim is None or (isinstance(dim, (tuple, list)) and not dim):
            return tuple(range(ndim))
        axes = tuple(sorted({normalize_axis(name, d, ndim) for d in (dim if isinstance(dim, (tuple, list)) else [dim])}))
        return axes if ndim else ()

    def _reduced(self, name: str, dim: Any, keepdim: bool) -> Any:
        return apply(name, self, dims=self._axes(name, dim), keepdim=bool(keepdim))

    def sum(self, dim: Any = None, keepdim: bool = False, dtype: DType | None = None) -> Any:
        """Σ x over all axes, or over those named."""
        out = self if dtype is None else self.to(dtype)  # type: ignore[attr-defined]
        return out._reduced("sum", dim, keepdim)

    def prod(self, dim: Any = None, keepdim: bool = False, dtype: DType | None = None) -> Any:
        """Π x over all axes, or over one."""
        out = self if dtype is None else self.to(dtype)  # type: ignore[attr-defined]
        return out._reduced("prod", dim, keepdim)

    def mean(self, dim: Any = None, keepdim: bool = False, dtype: DType | None = None) -> Any:
        """Σ x / n over all axes, or over those named; floating dtypes."""
        if dtype is None and not self._spec.dtype.is_floating_point:
            raise DTypeError(
                f"mean(): could not infer output dtype: the tensor is {self._spec.dtype.name}, a mean is a float. Write x.float().mean()"
            )
        axes = self._axes("mean", dim)
        count = prod(self._spec.shape[k] for k in axes)
        return self.sum(dim, keepdim, dtype) / (count if count else float("nan"))

    def var(self, dim: Any = None, unbiased: bool = True, keepdim: bool = False, correction: int | None = None) -> Any:
        """Σ (x - mean)² / (n - correction); correction 1 (Bessel's) unless said otherwise."""
        dim, unbiased = (None, dim) if isinstance(dim, bool) else (dim, unbiased)
        axes = self._axes("var", dim)
        count = prod(self._spec.shape[k] for k in axes)
        by = count - (correction if correction is not None else int(unbiased))
        centred = self - self.mean(dim, True)  # type: ignore[operator]
        total = (centred * centred).sum(dim, keepdim)
        return total / (by if by > 0 else 0.0) if by != 1 else total

    def std(self, dim: Any = None, unbiased: bool = True, keepdim: bool = False, correction: int | None = None) -> Any:
        """The square root of `var`."""
        return self.var(dim, unbiased, keepdim, correction).sqrt()

    def amax(self, dim: Any = None, keepdim: bool = False) -> Any:
        """The largest element over axes; a tie shares the gradient."""
        return self._reduced("max", dim, keepdim)

    def amin(self, dim: Any = None, keepdim: bool = False) -> Any:
        """The smallest element over axes; a tie shares the gradient."""
        return self._reduced("min", dim, keepdim)

    def any(self, dim: Any = None, keepdim: bool = False) -> Any:
        """True where any element is not zero."""
        return self.to(dt.bool_)._reduced("any", dim, keepdim)  # type: ignore[attr-defined]

    def all(self, dim: Any = None, keepdim: bool = False) -> Any:
        """True where every element is not zero."""
        return self.to(dt.bool_)._reduced("all", dim, keepdim)  # type: ignore[attr-defined]

    def _position(self, name: str, dim: int | None, keepdim: bool) -> Any:
        if dim is None:
            return apply(name, self.reshape(-1), dim=0, keepdim=False)
        flat = self._spec.ndim == 0
        return apply(
            name,
            self.reshape(1) if flat else self,
            dim=normalize_axis(name, dim, self._spec.ndim),
            keepdim=bool(keepdim) and not flat,
        )

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """The position of the largest element: of all (flattened), or along an axis."""
        return self._position("argmax", dim, keepdim)

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """The position of the smallest element: of all (flattened), or along an axis."""
        return self._position("argmin", dim, keepdim)

    def _extremum(self, name: str, dim: Any, keepdim: bool) -> Any:
        if dim is None:
            return self._reduced(name, None, False)
        if isinstance(dim, TensorCore):
            return apply(f"{name}imum", self, dim)
        if not self._spec.ndim:
            return Extremum((self.clone(), self._position(f"arg{name}", dim, False)))
        position = self._position(f"arg{name}", dim, True)
        axis = normalize_axis(name, dim, self._spec.ndim)
        values = apply("take_along", self, position, dim=axis)
        return Extremum((values, position) if keepdim else (values.squeeze(axis), position.squeeze(axis)))

    def max(self, dim: Any = None, keepdim: bool = False) -> Any:
        """The largest element; with `dim` the pair (values, indices) along it; with a tensor the larger of each pair."""
        return self._extremum("max", dim, keepdim)

    def min(self, dim: Any = None, keepdim: bool = False) -> Any:
        """The smallest element; with `dim` the pair (values, indices) along it; with a tensor the smaller of each pair."""
        return self._extremum("min", dim, keepdim)

    def softmax(self, dim: int) -> Any:
        """eˣ / Σ eˣ along an axis."""
        return apply("softmax", self, dim=normalize_axis("softmax", dim, self._spec.ndim))

    def log_softmax(self, dim: int) -> Any:
        """x - ln Σ eˣ along an axis."""
        return apply("log_softmax", self, dim=normalize_axis("log_softmax", dim, self._spec.ndim))

    def norm(self, p: float = 2.0, dim: Any = None, keepdim: bool = False) -> Any:
        """(Σ |x|ᵖ)^(1/p) over all axes, or over those named."""
        if p == float("inf"):
            return self.abs().amax(dim, keepdim)  # type: ignore[attr-defined]
        if p == 2:
            return (self * self).sum(dim, keepdim).sqrt()  # type: ignore[operator]
        if p == 1:
            return self.abs().sum(dim, keepdim)  # type: ignore[attr-defined]
        return (self.abs() ** p).sum(dim, keepdim) ** (1.0 / p)  # type: ignore[attr-defined]

    # ---- products -------------------------------------------------------------------------------------------------------
    def matmul(self, other: Any) -> Any:
        """The matrix product, by NumPy's rules for vectors and leading axes."""
        return apply("matmul", self, other)

    mm = bmm = matmul

    def dot(self, other: Any) -> Any:
        """Σ x·y of two vectors."""
        if self._spec.ndim != 1 or other._spec.ndim != 1:
            raise ShapeError(
                f"dot takes two vectors, got shapes {self._spec.shape} and {other._spec.shape}; matmul takes matrices"
            )
        return apply("matmul", self, other)


class Extremum(tuple):
    """(values, indices) of max or min along an axis."""

    __slots__ = ()
    values = property(lambda self: self[0], doc="The extreme elements.")
    indices = property(lambda self: self[1], doc="Where they are along the axis.")

    def __repr__(self) -> str:
        return f"(values={self[0]!r}, indices={self[1]!r})"
