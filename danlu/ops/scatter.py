"""L2. Scattering with a product or an extremum: an opaque op, because equal places must meet in an order that is safe."""

from __future__ import annotations

import numpy as np

from danlu.graph import OPAQUE, Node, Op, Spec
from danlu.ops.gather import _along_grid, _scatter_infer
from danlu.ops.source import zeros_like
from danlu.ops.table import register

_UFUNC = {"prod": np.multiply, "amax": np.maximum, "amin": np.minimum}


def _infer(x: Spec, index: Spec, source: Spec, dim: int, reduce: str) -> Spec:
    return _scatter_infer(x, index, source, dim)


def _numpy(x: np.ndarray, index: np.ndarray, source: np.ndarray, dim: int, reduce: str) -> np.ndarray:
    out = x.copy()
    _UFUNC[reduce].at(out, _along_grid(index, dim, x.shape[dim]), source)
    return out


def _product_weights(o, x: Node, index: Node, source: Node, dim: int) -> tuple[Node, Node]:
    """For x and for each source: the product of all others at its place, right where elements are zero."""
    of_x = o.scatter_reduce(o.like(1, x), index, source, dim=dim, reduce="prod")
    zero_x, zero_source = o.eq(x, 0.0), o.eq(source, 0.0)
    count = o.scatter_add(o.cast(zero_x, dtype=x.dtype), index, o.cast(zero_source, dtype=x.dtype), dim=dim)
    safe = o.where(zero_source, 1.0, source)
    product = o.scatter_reduce(o.where(zero_x, 1.0, x), index, safe, dim=dim, reduce="prod")
    others = o.div(o.take_along(product, index, dim=dim), safe)
    zeros = o.take_along(count, index, dim=dim)
    alone = o.logical_or(o.eq(zeros, 0.0), o.logical_and(zero_source, o.eq(zeros, 1.0)))
    return of_x, o.where(alone, others, 0.0)


def _extremum_weights(o, y: Node, x: Node, index: Node, source: Node, dim: int) -> tuple[Node, Node]:
    """For x and for each source: 1/n where it is one of the n extrema of its place, else 0."""
    hit_x = o.cast(o.eq(x, y), dtype=x.dtype)
    hit_source = o.cast(o.eq(source, o.take_along(y, index, dim=dim)), dtype=x.dtype)
    count = o.scatter_add(hit_x, index, hit_source, dim=dim)
    return o.div(hit_x, o.where(o.eq(count, 0.0), 1.0, count)), o.div(hit_source, o.take_along(count, index, dim=dim))


def _weights(o, y: Node, x: Node, index: Node, source: Node, dim: int, reduce: str) -> tuple[Node, Node]:
    if reduce == "prod":
        return _product_weights(o, x, index, source, dim)
    return _extremum_weights(o, y, x, index, source, dim)


def _vjp(o, g, y, x, index, source, dim: int, reduce: str):
    of_x, of_source = _weights(o, y, x, index, source, dim, reduce)
    return o.mul(g, of_x), None, o.mul(o.take_along(g, index, dim=dim), of_source)


def _jvp(o, y, xs, dxs, dim: int, reduce: str):
    of_x, of_source = _weights(o, y, xs[0], xs[1], xs[2], dim, reduce)
    dx = zeros_like(o, xs[0]) if dxs[0] is None else o.mul(dxs[0], of_x)
    return dx if dxs[2] is None else o.scatter_add(dx, xs[1], o.mul(dxs[2], of_source), dim=dim)


register(
    Op("scatter_reduce", OPAQUE, "x with the product or the extremum of itself and the sources of each place.", attrs=("dim", "reduce"),
       infer=_infer, numpy=_numpy, vjp=_vjp, jvp=_jvp)
)  # fmt: skip
