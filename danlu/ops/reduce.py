"""L2. Reductions over axes. `emit(b, a, x)` says how two partial results become one; `identity(dtype)` changes nothing.

The elements are cast to the dtype of the result first: a sum of integers is int64, as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.dtype import DType
from danlu.errors import ShapeError
from danlu.graph import CONTRACT, REDUCE, Node, Op, Spec
from danlu.ops.table import composite, o, register


def reduced_shape(shape: tuple[int, ...], dims: tuple[int, ...], keepdim: bool) -> tuple[int, ...]:
    """The shape after a reduction over `dims`."""
    if keepdim:
        return tuple(1 if k in dims else n for k, n in enumerate(shape))
    return tuple(n for k, n in enumerate(shape) if k not in dims)


def _infer(result: str) -> Callable[..., Spec]:
    def infer(x: Spec, dims, keepdim) -> Spec:
        dtype = {"bool": dt.bool_, "same": x.dtype}.get(result) or (x.dtype if x.dtype.differentiable else dt.int64)
        return Spec(reduced_shape(x.shape, dims, keepdim), dtype)

    return infer


def spread(o, g: Node, x: Node, dims) -> Node:
    """A reduced value (its axes kept or not) stretched back over the shape it came from."""
    return o.expand(o.reshape(g, shape=reduced_shape(x.shape, dims, True)), shape=x.shape)


# A reduction of everything is done in parts when it is at least this large: the parts may run on several threads (how many there
# are depends on the shape alone, and so do the bits), and a sum of parts loses fewer digits than one long sum.
IN_PARTS = 1 << 17
MOST_PARTS = 64


def _in_parts(name: str) -> Callable[..., Node | None]:
    """The rewrite of a large reduction over all axes: (n,) → (parts, n/parts) → (parts,) → ()."""

    def rewrite(x: Node, dims, keepdim) -> Node | None:
        size = x.spec.size
        parts = next((p for p in range(MOST_PARTS, 1, -1) if size % p == 0), 1)
        if size < IN_PARTS or len(dims) != len(x.shape) or parts == 1:
            return None
        first = getattr(o, name)(o.reshape(x, shape=(parts, size // parts)), dims=(1,), keepdim=False)
        last = getattr(o, name)(first, dims=(0,), keepdim=False)
        return o.reshape(last, shape=reduced_shape(x.shape, dims, True)) if keepdim else last

    return rewrite


def _reduce(name: str, doc: str, *, result: str, **fields: Any) -> Op:
    fields["rewrite"] = _in_parts(name)
    return register(Op(name, REDUCE, doc, attrs=("dims", "keepdim"), infer=fields.pop("infer", _infer(result)), **fields))


def _numpy(function: Callable[..., Any], result: str) -> Callable[..., Any]:
    def numpy(x, dims, keepdim):
        if result == "sum":
            dtype = x.dtype if x.dtype.kind in "fc" else np.int64
            return np.asarray(function(x, axis=dims, keepdims=keepdim, dtype=dtype))
        return np.asarray(function(x, axis=dims, keepdims=keepdim))

    return numpy


# ---- sum and product --------------------------------------------------------------------------------------------------


def _sum_of_contraction(x: Node, dims: tuple[int, ...], keepdim: bool) -> Node | None:
    """The contraction sums the windows that were put back in it itself."""
    if x.op.family != CONTRACT or all(y.op.name != "unslide" for y in x.inputs):
        return None
    first, second, out = x.attrs[0]
    if keepdim or any(out[k] not in first or out[k] not in second for k in dims):
        return None
    return o.contract(*x.inputs, labels=(first, second, "".join(label for k, label in enumerate(out) if k not in dims)))


_reduce(
    "sum", "Σ x over axes.", result="sum", numpy=_numpy(np.sum, "sum"), identity=lambda dtype: 0, emit=lambda b, a, x: b.add(a, x),
    absorb=_sum_of_contraction,
    vjp=lambda o, g, y, x, dims, keepdim: (spread(o, g, x, dims),),
    jvp=lambda o, y, xs, dxs, dims, keepdim: o.sum(dxs[0], dims=dims, keepdim=keepdim),
)  # fmt: skip


def _prod_partial(o, x: Node, dims) -> Node:
    """∂(Π x)/∂xᵢ = Π of the others: those that are not zero by division, the zeros among them written out (`zeros_product`), so that
    derivatives of it are right as well."""
    is_zero = o.eq(x, 0.0)
    safe = o.where(is_zero, 1.0, x)
    mark, zeros = o.cast(is_zero, dtype=x.dtype), o.where(is_zero, x, 0.0)

    def others(part: Node) -> Node:
        return o.sub(spread(o, o.sum(part, dims=dims, keepdim=True), x, dims), part)

    rest = o.div(spread(o, o.prod(safe, dims=dims, keepdim=True), x, dims), safe)
    return o.mul(rest, zeros_product(o, others(mark), others(zeros), others(o.mul(zeros, zeros))))


def zeros_product(o, count: Node, total: Node, squares: Node) -> Node:
    """The product of `count` factors that are zero, as a function of them, from their sum and the sum of their squares: 1, x, x·y =
    ((x + y)² - x² - y²) / 2; of three and more its value and first two derivatives are 0."""
    pair = o.mul(o.sub(o.mul(total, total), squares), 0.5)
    return o.where(o.eq(count, 0.0), 1.0, o.where(o.eq(count, 1.0), total, o.where(o.eq(count, 2.0), pair, 0.0)))


_reduce(
    "prod", "Π x over axes.", result="sum", numpy=_numpy(np.prod, "sum"), identity=lambda dtype: 1, emit=lambda b, a, x: b.mul(a, x),
    vjp=lambda o, g, y, x, dims, keepdim: (o.mul(spread(o, g, x, dims), _prod_partial(o, x, dims)),),
    jvp=lambda o, y, xs, dxs, dims, keepdim: o.sum(o.mul(dxs[0], _prod_partial(o, xs[0], dims)), dims=dims, keepdim=keepdim),
)  # fmt: skip

# ---- extrema ------------------------------------------------------------------------------------------------------------


def _not_empty(name: str) -> Callable[..., Spec]:
    def infer(x: Spec, dims, keepdim) -> Spec:
        if prod(x.shape[d] for d in dims) == 0:
            raise ShapeError(
                "{name}: shape {shape} has no element on axes {dims}, and an empty {name} has no value; check the size first",
                name=name,
                shape=x.shape,
                dims=dims,
            )
        return Spec(reduced_shape(x.shape, dims, keepdim), x.dtype)

    return infer


def _extremum_weight(o, y: Node, x: Node, dims) -> Node:
    """1/n on each of the n elements that are the extremum, 0 elsewhere (PyTorch's amax and amin)."""
    hit = o.cast(o.eq(x, spread(o, y, x, dims)), dtype=x.dtype)
    return o.div(hit, spread(o, o.sum(hit, dims=dims, keepdim=True), x, dims))


def _extremum_vjp(o, g, y, x, dims, keepdim):
    return (o.mul(spread(o, g, x, dims), _extremum_weight(o, y, x, dims)),)


def _extremum_jvp(o, y, xs, dxs, dims, keepdim):
    return o.sum(o.mul(dxs[0], _extremum_weight(o, y, xs[0], dims)), dims=dims, keepdim=keepdim)


def lowest(dtype: DType) -> Any:
    """The smallest value of a dtype (-inf for floats)."""
    return -np.inf if dtype.kind == "f" else False if dtype is dt.bool_ else int(np.iinfo(dtype.numpy).min)


def highest(dtype: DType) -> Any:
    """The largest value of a dtype (inf for floats)."""
    return np.inf if dtype.kind == "f" else True if dtype is dt.bool_ else int(np.iinfo(dtype.numpy).max)


_reduce(
    "max", "The largest element over axes; NaN if there is one.", result="same", infer=_not_empty("max"), numpy=_numpy(np.max, "same"),
    identity=lowest, emit=lambda b, a, x: b.maximum(a, x), vjp=_extremum_vjp, jvp=_extremum_jvp,
)  # fmt: skip
_reduce(
    "min", "The smallest element over axes; NaN if there is one.", result="same", infer=_not_empty("min"), numpy=_numpy(np.min, "same"),
    identity=highest, emit=lambda b, a, x: b.minimum(a, x), vjp=_extremum_vjp, jvp=_extremum_jvp,
)  # fmt: skip

# ---- truth ----------------------------------------------------------------------------------------------------------------

_reduce("any", "True where any element over axes is not zero.", result="bool", numpy=_numpy(np.any, "bool"), identity=lambda dtype: False,
        emit=lambda b, a, x: b.or_(a, x))  # fmt: skip
_reduce("all", "True where every element over axes is not zero.", result="bool", numpy=_numpy(np.all, "bool"), identity=lambda dtype: True,
        emit=lambda b, a, x: b.and_(a, x))  # fmt: skip

# ---- positions: composites of the above -----------------------------------------------------------------------------------


def _position(o, x: Node, best: Node, dim: int, keepdim: bool) -> Node:
    """The first index along `dim` at which x equals `best` (or is NaN, which wins over every number, as in NumPy)."""
    n = x.shape[dim]
    hit = o.eq(x, best)
    if x.dtype.is_floating_point:
        hit = o.logical_or(hit, o.isnan(x))
    along = tuple(n if k == dim else 1 for k in range(len(x.shape)))
    index = o.expand(o.reshape(o.iota(shape=(n,), dtype=dt.int64), shape=along), shape=x.shape)
    return o.min(o.where(hit, index, n), dims=(dim,), keepdim=keepdim)


@composite(attrs=("dim", "keepdim"))
def argmax(o, x: Node, dim: int, keepdim: bool):
    """The index of the first largest element along an axis."""
    return _position(o, x, o.max(x, dims=(dim,), keepdim=True), dim, keepdim)


@composite(attrs=("dim", "keepdim"))
def argmin(o, x: Node, dim: int, keepdim: bool):
    """The index of the first smallest element along an axis."""
    return _position(o, x, o.min(x, dims=(dim,), keepdim=True), dim, keepdim)
