"""L5. Methods of the Tensor that move elements, and those that reduce axes."""

from __future__ import annotations

import functools
from math import prod
from operator import index
from typing import Any

from danlu import dtype as dt
from danlu.dtype import DType
from danlu.errors import DTypeError, ShapeError
from danlu.ops.movement import normalize_axis
from danlu.tensor.core import TensorCore, apply
from danlu.tensor.storage import copied
from danlu.tensor.strides import in_order, is_in_order, of_view, reshaped


def sizes(args: tuple) -> tuple[int, ...]:
    """Sizes given as f(2, 3) or f((2, 3))."""
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = tuple(args[0])
    try:
        return tuple([index(a) for a in args])
    except TypeError:
        raise DTypeError("sizes are {given}; expected integers: write int(n), or n // 2 instead of n / 2", given=args) from None


def complete(name: str, shape: tuple[int, ...], count: int) -> tuple[int, ...]:
    """The shape with its one -1 computed."""
    if shape.count(-1) > 1 or any(n < -1 for n in shape):
        raise ShapeError(
            "{name}: shape {shape} is not possible: one size may be -1, the others must not be negative", name=name, shape=shape
        )
    if -1 not in shape:
        return shape
    rest = prod(n for n in shape if n != -1)
    if rest == 0 or count % rest:
        raise ShapeError(
            "{name}: {count} elements do not fill shape {shape}: {count} is no multiple of {rest}",
            name=name,
            count=count,
            shape=shape,
            rest=rest,
        )
    return tuple(count // rest if n == -1 else n for n in shape)


def _named_axis(method: Any) -> Any:
    """`axis` and `keepdims`, NumPy's names, are taken for `dim` and `keepdim`."""

    @functools.wraps(method)
    def call(*args: Any, **given: Any) -> Any:
        if given:
            if "axis" in given:
                given["dim"] = given.pop("axis")
            if "keepdims" in given:
                given["keepdim"] = given.pop("keepdims")
        return method(*args, **given)

    return call


def _away_from_zero(x: Any, root: Any) -> Any:
    """root(x), and 0 with derivative 0 where x is 0: the derivative of a root there is infinite, and 0 · ∞ is no number."""
    zero = apply("eq", x, 0)
    return apply("where", zero, 0, root(apply("where", zero, 1, x)))


def _reshaping(name: str) -> Any:
    """The form with `_`: the tensor itself takes the other shape."""

    def method(self: Any, *args: Any, **given: Any) -> Any:
        return self._become(getattr(self, name)(*args, **given))

    method.__name__, method.__doc__ = f"{name}_", f"`{name}` in place."
    return method


class Shape(TensorCore):
    """Movement and reduction."""

    __slots__ = ()

    # ---- movement -------------------------------------------------------------------------------------------------------
    def reshape(self, *shape: Any) -> Any:
        """The same elements in row-major order under another shape, one size may be -1: a view, or a copy where PyTorch makes one.

        y.flatten()[k] = x.flatten()[k]

        Shapes: (*) → shape, with as many elements.
        """
        return self._reshaped(complete("reshape", sizes(shape), self._spec.size))

    def _reshaped(self, shape: tuple[int, ...]) -> Any:
        """A view where strides describe it: of a transposed tensor, for example, they do not."""
        if self._chain and reshaped(self._spec.shape, of_view(self._base._spec, self._chain), shape) is None:
            return apply("reshape", self, shape=shape)
        return self._view("reshape", (shape,))

    def view(self, *shape: Any) -> Any:
        """Like `reshape`, always a view (a danlu tensor has no strides that could forbid it).

        y.flatten()[k] = x.flatten()[k]

        Shapes: (*) → shape, with as many elements. Always a view.

        >>> import danlu
        >>> danlu.arange(4).view(2, -1)
        tensor([[0, 1],
                [2, 3]])
        """
        if len(shape) == 1 and isinstance(shape[0], DType):
            raise DTypeError("view(dtype) is not supported; x.to(dtype) converts the values")
        return self._view("reshape", (complete("reshape", sizes(shape), self._spec.size),))

    def view_as(self, other: TensorCore) -> Any:
        """This tensor with the shape of another.

        y.flatten()[k] = x.flatten()[k]

        Shapes: input (*), other (*) with as many elements → the shape of other.
        """
        return self.reshape(other._spec.shape)

    reshape_as = view_as

    def permute(self, *dims: Any) -> Any:
        """The axes in another order.

        y.shape[k] = x.shape[dims[k]]

        Shapes: (n₁, …, n_d) → the same sizes in the order of dims. A view.
        """
        ndim = self._spec.ndim
        return self._view("permute", (tuple(normalize_axis("permute", d, ndim) for d in sizes(dims)),))

    def transpose(self, dim0: int, dim1: int) -> Any:
        """Two axes exchanged.

        y[…, j, …, i, …] = x[…, i, …, j, …]

        Shapes: (*, m, *, n, *) → (*, n, *, m, *).
        """
        ndim = self._spec.ndim
        a, b = normalize_axis("transpose", dim0, ndim), normalize_axis("transpose", dim1, ndim)
        order = list(range(ndim))
        if ndim:
            order[a], order[b] = order[b], order[a]
        return self._view("permute", (tuple(order),))

    swapaxes = swapdims = transpose

    def t(self) -> Any:
        """The transpose of a matrix; vectors stay.

        y[j, i] = x[i, j]

        Shapes: (m, n) → (n, m); (n) → (n); () → ().
        """
        if self._spec.ndim > 2:
            raise ShapeError(
                "t() takes at most 2 axes, the tensor has shape {shape}; write x.mT or x.transpose(dim0, dim1)",
                shape=self._spec.shape,
            )
        return self.transpose(0, 1) if self._spec.ndim == 2 else self

    @property
    def T(self) -> Any:
        """All axes in reverse order.

        y[j, i] = x[i, j] of a matrix

        Shapes: (n₁, n₂, …, n_d) → (n_d, …, n₂, n₁).

        >>> import danlu
        >>> danlu.zeros(2, 3).T.shape
        danlu.Size([3, 2])
        """
        return self.permute(*reversed(range(self._spec.ndim)))

    @property
    def mT(self) -> Any:
        """The last two axes exchanged.

        y[…, j, i] = x[…, i, j]

        Shapes: (*, m, n) → (*, n, m).

        >>> import danlu
        >>> danlu.tensor([[1, 2]]).mT
        tensor([[1],
                [2]])
        """
        if self._spec.ndim < 2:
            raise ShapeError("mT needs at least 2 axes, the tensor has shape {shape}", shape=self._spec.shape)
        return self.transpose(-2, -1)

    def expand(self, *shape: Any) -> Any:
        """Axes of size 1 stretched without copying; -1 leaves an axis as it is, new axes come in front.

        y[…, i, …] = x[…, 0, …] on the axes that are stretched

        Shapes: (*) → shape, whose sizes are those of the tensor where they are not 1. A view.

        >>> import danlu
        >>> danlu.tensor([[1], [2]]).expand(-1, 3)
        tensor([[1, 1, 1],
                [2, 2, 2]])
        """
        given, own = sizes(shape), self._spec.shape
        lead = len(given) - len(own)
        if lead < 0:
            raise ShapeError(
                "expand: {count} sizes {given} for a tensor of {ndim} axes, shape {shape}; give at least as many",
                count=len(given),
                given=given,
                ndim=len(own),
                shape=own,
            )
        return self._view("expand", (tuple(own[k - lead] if n == -1 and k >= lead else n for k, n in enumerate(given)),))

    def expand_as(self, other: TensorCore) -> Any:
        """This tensor expanded to the shape of another.

        Shapes: input (*), other (*) → the shape of other. A view.

        >>> import danlu
        >>> danlu.ones(1).expand_as(danlu.zeros(3))
        tensor([1., 1., 1.])
        """
        return self.expand(other._spec.shape)

    def unsqueeze(self, dim: int) -> Any:
        """A new axis of size 1 at `dim`.

        y[…, 0, …] = x[…]

        Shapes: (*) → (*, 1, *), the new axis at dim. A view.
        """
        shape = self._spec.shape
        at = normalize_axis("unsqueeze", dim, len(shape) + 1)
        return self._view("reshape", ((*shape[:at], 1, *shape[at:]),))

    def squeeze(self, dim: Any = None) -> Any:
        """Axes of size 1 left out: all of them, or those named (others are kept).

        y[…] = x[…, 0, …]

        Shapes: (*) → without axes of size 1. A view.
        """
        shape = self._spec.shape
        chosen = (
            range(len(shape))
            if dim is None
            else [normalize_axis("squeeze", d, len(shape)) for d in (dim if isinstance(dim, (tuple, list)) else [dim])]
        )
        return self._view("reshape", (tuple(n for k, n in enumerate(shape) if not (n == 1 and k in chosen)),))

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Any:
        """The axes start_dim … end_dim as one.

        y[…, i₁ · n₂ + i₂, …] = x[…, i₁, i₂, …] for two axes

        Shapes: (*, n₁, …, n_k, *) → (*, n₁ · … · n_k, *).
        """
        shape = self._spec.shape
        if not shape:
            return self.reshape(1)
        a, b = normalize_axis("flatten", start_dim, len(shape)), normalize_axis("flatten", end_dim, len(shape))
        if a > b:
            raise ShapeError(
                "flatten: start_dim {start_dim} comes after end_dim {end_dim} of shape {shape}; exchange them",
                start_dim=start_dim,
                end_dim=end_dim,
                shape=shape,
            )
        return self._reshaped((*shape[:a], prod(shape[a : b + 1]), *shape[b + 1 :]))

    def ravel(self) -> Any:
        """All elements on one axis.

        y[i₁ · n₂ + i₂] = x[i₁, i₂] for two axes

        Shapes: (*) with n elements → (n).
        """
        return self.reshape(-1)

    def unbind(self, dim: int = 0) -> tuple:
        """The slices of an axis, without it.

        pieces[k] = x[…, k, …]

        Shapes: (*, n, *) → n tensors (*, *) without the axis dim, views.
        """
        at = normalize_axis("unbind", dim, self._spec.ndim)
        return tuple(self.narrow(at, k, 1).squeeze(at) for k in range(self._spec.shape[at]))  # type: ignore[attr-defined]

    def clone(self) -> Any:
        """A copy in a storage of its own; derivatives pass.

        y = x

        Shapes: (*) → (*).
        """
        value = self._value()
        if value.grad:  # a node of its own: its gradient is not that of the original
            return apply("reshape", self, shape=value.spec.shape)
        return type(self)._plain(value if value.buffer is None else copied(value))

    squeeze_, unsqueeze_, t_ = _reshaping("squeeze"), _reshaping("unsqueeze"), _reshaping("t")
    transpose_ = swapaxes_ = swapdims_ = _reshaping("transpose")

    def contiguous(self) -> Any:
        """The tensor itself, or a copy of a view whose elements do not lie in row-major order.

        y = x

        Shapes: (*) → (*).

        >>> import danlu
        >>> danlu.ones(2, 3).T.contiguous().is_contiguous()
        True
        """
        return self if self.is_contiguous() else self.clone()

    def is_contiguous(self) -> bool:
        """Whether the elements lie in row-major order: False for a transposed view, for example.

        Shapes: any tensor → a Python bool.

        >>> import danlu
        >>> danlu.zeros(2, 3).T.is_contiguous()
        False
        """
        return not self._chain or is_in_order(self._spec.shape, of_view(self._base._spec, self._chain))

    def stride(self, dim: int | None = None) -> Any:
        """How many elements lie from one index of an axis to the next: of all axes, or of one.

        x[i, j] lies at i · stride(0) + j · stride(1)

        Shapes: any tensor → a tuple of as many Python ints as it has axes; with dim one int.

        >>> import danlu
        >>> danlu.zeros(2, 3).T.stride()
        (1, 3)
        """
        strides = of_view(self._base._spec, self._chain) if self._chain else in_order(self._spec.shape)
        return strides if dim is None else strides[normalize_axis("stride", dim, self._spec.ndim)]

    # ---- reduction ------------------------------------------------------------------------------------------------------
    def _axes(self, name: str, dim: Any) -> tuple[int, ...]:
        ndim = self._spec.ndim
        if dim is None or (isinstance(dim, (tuple, list)) and not dim):
            return tuple(range(ndim))
        given = dim if isinstance(dim, (tuple, list)) else [dim]
        axes = tuple(sorted({normalize_axis(name, d, ndim) for d in given}))
        if len(axes) < len(given):
            raise ShapeError("{name}: dim={given} names one axis twice; name each once", name=name, given=tuple(given))
        return axes if ndim else ()

    def _reduced(self, name: str, dim: Any, keepdim: bool) -> Any:
        return apply(name, self, dims=self._axes(name, dim), keepdim=bool(keepdim))

    @_named_axis
    def sum(self, dim: Any = None, keepdim: bool = False, dtype: DType | None = None) -> Any:
        """Σ x over all axes, or over those named.

        Shapes: (*) → (), or without the axes of dim; keepdim leaves them with size 1.
        """
        if dtype is not None:
            return self.to(dtype)._reduced("sum", dim, keepdim).to(dtype)  # type: ignore[attr-defined]
        return self._reduced("sum", dim, keepdim)

    @_named_axis
    def prod(self, dim: Any = None, keepdim: bool = False, dtype: DType | None = None) -> Any:
        """Π x over all axes, or over one.

        Shapes: (*) → (), or without the axis dim; keepdim leaves it with size 1.
        """
        if dtype is not None:
            return self.to(dtype)._reduced("prod", dim, keepdim).to(dtype)  # type: ignore[attr-defined]
        return self._reduced("prod", dim, keepdim)

    @_named_axis
    def mean(self, dim: Any = None, keepdim: bool = False, dtype: DType | None = None) -> Any:
        """Σ x / n over all axes, or over those named; floating dtypes.

        Shapes: (*) → (), or without the axes of dim; keepdim leaves them with size 1.
        """
        if dtype is None and not self._spec.dtype.differentiable:
            raise DTypeError(
                "mean(): could not infer output dtype: the tensor is {dtype}, a mean is a float. Write x.float().mean()",
                dtype=self._spec.dtype.name,
            )
        out = self if dtype is None else self.to(dtype)  # type: ignore[attr-defined]
        return apply("mean", out, dims=self._axes("mean", dim), keepdim=bool(keepdim))

    def _spread(self, name: str, dim: Any, unbiased: bool, keepdim: bool, correction: float | None) -> Any:
        if isinstance(dim, bool):  # var(False): the old way to say `unbiased`
            dim, unbiased = None, dim
        by = int(unbiased) if correction is None else correction
        return apply("var", self, dims=self._axes(name, dim), keepdim=bool(keepdim), correction=by)

    @_named_axis
    def var(self, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None) -> Any:
        """Σ (x - mean)² / (n - correction); correction 1 (Bessel's) unless said otherwise.

        Shapes: (*) → (), or without the axes of dim; keepdim leaves them with size 1.
        """
        return self._spread("var", dim, unbiased, keepdim, correction)

    @_named_axis
    def std(self, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None) -> Any:
        """The square root of `var`; where it is 0, its derivative is taken as 0.

        y = √(Σ (x - mean)² / (n - correction))

        Shapes: (*) → (), or without the axes of dim; keepdim leaves them with size 1.
        """
        return _away_from_zero(self._spread("std", dim, unbiased, keepdim, correction), lambda v: v.sqrt())

    @_named_axis
    def amax(self, dim: Any = None, keepdim: bool = False) -> Any:
        """The largest element over axes; a tie shares the gradient.

        y = max x over the axes

        Shapes: (*) → (), or without the axes of dim; keepdim leaves them with size 1.
        """
        return self._reduced("max", dim, keepdim)

    @_named_axis
    def amin(self, dim: Any = None, keepdim: bool = False) -> Any:
        """The smallest element over axes; a tie shares the gradient.

        y = min x over the axes

        Shapes: (*) → (), or without the axes of dim; keepdim leaves them with size 1.
        """
        return self._reduced("min", dim, keepdim)

    @_named_axis
    def any(self, dim: Any = None, keepdim: bool = False) -> Any:
        """True where any element is not zero (1 of uint8, which stays uint8).

        y = max [x ≠ 0]

        Shapes: (*) → (), or without the axes of dim; keepdim leaves them with size 1.
        """
        return self._truth("any", dim, keepdim)

    @_named_axis
    def all(self, dim: Any = None, keepdim: bool = False) -> Any:
        """True where every element is not zero (1 of uint8, which stays uint8).

        y = Π [x ≠ 0]

        Shapes: (*) → (), or without the axes of dim; keepdim leaves them with size 1.
        """
        return self._truth("all", dim, keepdim)

    def _truth(self, name: str, dim: Any, keepdim: bool) -> Any:
        """Of bool; PyTorch's of uint8, in which truth values once were, stays uint8."""
        found = self.to(dt.bool_)._reduced(name, dim, keepdim)  # type: ignore[attr-defined]
        return found.to(dt.uint8) if self._spec.dtype is dt.uint8 else found

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

    @_named_axis
    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """The position of the largest element: of all (flattened), or along an axis.

        y = the smallest i with x[i] = max x

        Shapes: (*) → () of int64, or without the axis dim; keepdim leaves it with size 1.
        """
        return self._position("argmax", dim, keepdim)

    @_named_axis
    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """The position of the smallest element: of all (flattened), or along an axis.

        y = the smallest i with x[i] = min x

        Shapes: (*) → () of int64, or without the axis dim; keepdim leaves it with size 1.
        """
        return self._position("argmin", dim, keepdim)

    def _extremum(self, name: str, dim: Any, keepdim: bool) -> Any:
        if dim is None:
            return self._reduced(name, None, False)
        if isinstance(dim, TensorCore):
            return apply(f"{name}imum", self, dim)
        if not self._spec.ndim:
            return extremum(name)((self.clone(), self._position(f"arg{name}", dim, False)))
        position = self._position(f"arg{name}", dim, True)
        axis = normalize_axis(name, dim, self._spec.ndim)
        if not self._spec.shape:
            return extremum(name)((self.clone(), position))
        values = apply("take_along", self, position, dim=axis)
        return extremum(name)((values, position) if keepdim else (values.squeeze(axis), position.squeeze(axis)))

    @_named_axis
    def max(self, dim: Any = None, keepdim: bool = False) -> Any:
        """The largest element; with `dim` the pair (values, indices) along it; with a tensor the larger of each pair.

        y = max x

        Shapes: (*) → (); with dim a pair without this axis (keepdim leaves it with size 1), indices of int64; with a tensor
        both are broadcast → (*).
        """
        return self._extremum("max", dim, keepdim)

    @_named_axis
    def min(self, dim: Any = None, keepdim: bool = False) -> Any:
        """The smallest element; with `dim` the pair (values, indices) along it; with a tensor the smaller of each pair.

        y = min x

        Shapes: (*) → (); with dim a pair without this axis (keepdim leaves it with size 1), indices of int64; with a tensor
        both are broadcast → (*).
        """
        return self._extremum("min", dim, keepdim)


class Extremum(tuple):
    """(values, indices) of max, sort, topk … along an axis; each has a class of its own name."""

    __slots__ = ()
    library = "danlu"  # as what it is printed
    values = property(lambda self: self[0], doc="The extreme elements.")
    indices = property(lambda self: self[1], doc="Where they are along the axis.")

    def __repr__(self) -> str:
        return f"{self.library}.return_types.{type(self).__name__}(\nvalues={self[0]!r},\nindices={self[1]!r})"

    def __reduce__(self) -> Any:
        return _pair, (type(self).__name__, tuple(self))


@functools.cache
def extremum(name: str) -> type[Extremum]:
    """The class of the pairs that a function gives."""
    return type(name, (Extremum,), {"__slots__": (), "__doc__": Extremum.__doc__})


def _pair(name: str, parts: tuple) -> Extremum:
    """What an Extremum is read back with from another process."""
    return extremum(name)(parts)
