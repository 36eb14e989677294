"""L2. Ops along one axis in which each result depends on all elements before it: running sums and products, which have machine code
(`emit` says how two neighbouring parts become one, `identity` changes nothing), and opaque ones: extrema and logarithms of sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.graph import OPAQUE, SCAN, Node, Op, Spec
from danlu.ops.reduce import zeros_product
from danlu.ops.source import zeros_like
from danlu.ops.table import register


def _sum_infer(x: Spec, dim: int) -> Spec:
    return Spec(x.shape, x.dtype if x.dtype.differentiable else dt.int64)


def _same_infer(x: Spec, dim: int) -> Spec:
    return Spec(x.shape, x.dtype)


def _accumulate(function: np.ufunc) -> Callable[..., Any]:
    """A running sum or product in the dtype of the result."""

    def numpy(x: np.ndarray, dim: int) -> np.ndarray:
        return function.accumulate(x, axis=dim, dtype=x.dtype if x.dtype.kind in "fc" else np.int64)

    return numpy


def _scan(name: str, doc: str, family: str = OPAQUE, **fields: Any) -> Op:
    return register(Op(name, family, doc, attrs=("dim",), **fields))


def _backwards(o, x: Node, dim: int) -> Node:
    """y[i] = Σ x[j] over j ≥ i: the adjoint of the running sum."""
    return o.flip(o.cumsum(o.flip(x, dims=(dim,)), dim=dim), dims=(dim,))


# ---- sum and product ----------------------------------------------------------------------------------------------------------

_scan(
    "cumsum", "y[i] = Σ x[j] over j ≤ i.", SCAN, infer=_sum_infer, numpy=_accumulate(np.add),
    emit=lambda b, a, x: b.add(a, x), identity=lambda dtype: 0,
    vjp=lambda o, g, y, x, dim: (_backwards(o, g, dim),), jvp=lambda o, y, xs, dxs, dim: o.cumsum(dxs[0], dim=dim),
)  # fmt: skip


def _product_parts(o, x: Node, dim: int) -> tuple[Any, ...]:
    """Of y[i] without x[k] = C[i] / (x[k], or 1 if that is zero) · (the zeros up to i, but for k): C, where x is not zero, where it is,
    the number of zeros so far, their sum and half of (their sum² - their squares), the product of two."""
    is_zero = o.eq(x, 0.0)
    zeros = o.where(is_zero, x, 0.0)
    count, total, squares = (o.cumsum(part, dim=dim) for part in (o.cast(is_zero, dtype=x.dtype), zeros, o.mul(zeros, zeros)))
    safe = o.where(is_zero, 1.0, x)
    return o.cumprod(safe, dim=dim), is_zero, safe, count, total, squares


def _cumprod_vjp(o, g: Node, y: Node, x: Node, dim: int) -> tuple[Node]:
    """gₖ = Σ g[i] · (y[i] without x[k]) over i ≥ k; with the zeros written out, so that derivatives of it are right as well."""
    c, is_zero, safe, count, total, squares = _product_parts(o, x, dim)
    g = o.mul(g, c)
    plain = o.div(_backwards(o, o.mul(g, zeros_product(o, count, total, squares)), dim), safe)
    # Of a zero x[k] itself: one less, Π = 1, t - x[k], ((t - x[k])² - (s - x[k]²)) / 2 = (t² - s) / 2 - x[k] t + x[k]².
    second, third = (o.where(o.eq(count, float(k)), g, 0.0) for k in (2, 3))
    alone = _backwards(o, o.mul(g, zeros_product(o, o.sub(count, 1.0), total, squares)), dim)
    linear = o.mul(x, _backwards(o, o.add(second, o.mul(third, total)), dim))
    return (o.where(is_zero, o.add(o.sub(alone, linear), o.mul(o.mul(x, x), _backwards(o, third, dim))), plain),)


def _cumprod_jvp(o, y: Node, xs: tuple, dxs: list, dim: int) -> Node:
    """Σ dx[k] · (y[i] without x[k]) over k ≤ i."""
    x, dx = xs[0], dxs[0]
    c, is_zero, safe, count, total, squares = _product_parts(o, x, dim)
    plain = o.cumsum(o.where(is_zero, 0.0, o.div(dx, safe)), dim=dim)
    at = o.where(is_zero, dx, 0.0)
    zeroth, first, second = (o.cumsum(part, dim=dim) for part in (at, o.mul(at, x), o.mul(at, o.mul(x, x))))
    found = o.mul(plain, zeros_product(o, count, total, squares))
    found = o.add(found, o.mul(zeroth, zeros_product(o, o.sub(count, 1.0), total, squares)))
    found = o.sub(found, o.where(o.eq(count, 2.0), first, 0.0))
    return o.mul(c, o.add(found, o.where(o.eq(count, 3.0), o.sub(second, o.mul(total, first)), 0.0)))


_scan(
    "cumprod", "y[i] = Π x[j] over j ≤ i.", SCAN, infer=_sum_infer, numpy=_accumulate(np.multiply), vjp=_cumprod_vjp, jvp=_cumprod_jvp,
    emit=lambda b, a, x: b.mul(a, x), identity=lambda dtype: 1,
)  # fmt: skip

# ---- extrema ------------------------------------------------------------------------------------------------------------------


def _extremum_infer(x: Spec, dim: int) -> tuple[Spec, Spec]:
    return Spec(x.shape, x.dtype), Spec(x.shape, dt.int64)


def _extremum_numpy(function: np.ufunc) -> Callable[..., Any]:
    """The running extremum and the last place where it was met; a NaN stays."""

    def numpy(x: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
        values = function.accumulate(x, axis=dim)
        along = tuple(-1 if k == dim else 1 for k in range(x.ndim))
        hit = (x == values) | (x != x)
        places = np.where(hit, np.arange(x.shape[dim], dtype=np.int64).reshape(along), 0)
        return values, np.maximum.accumulate(places, axis=dim)

    return numpy


def _extremum_vjp(o, gs, ys, x, dim: int):
    return (o.scatter_add(zeros_like(o, x), ys[1], gs[0], dim=dim),)


def _extremum_jvp(o, ys, xs, dxs, dim: int):
    return (o.take_along(dxs[0], ys[1], dim=dim), None)


_scan("cummax", "The largest element so far, and where it is.", infer=_extremum_infer, numpy=_extremum_numpy(np.maximum),
      vjp=_extremum_vjp, jvp=_extremum_jvp)  # fmt: skip
_scan("cummin", "The smallest element so far, and where it is.", infer=_extremum_infer, numpy=_extremum_numpy(np.minimum),
      vjp=_extremum_vjp, jvp=_extremum_jvp)  # fmt: skip

# ---- log of the sum of exponentials -------------------------------------------------------------------------------------------


def _logcumsumexp_numpy(x: np.ndarray, dim: int) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.logaddexp.accumulate(x, axis=dim)


def _log_or_lowest(o, g: Node) -> Node:
    """log g where g > 0, else a number whose exponential is 0."""
    positive = o.gt(g, 0.0)
    return o.where(positive, o.log(o.where(positive, g, 1.0)), dt.limits(g.dtype).min / 2)


def _logcumsumexp_vjp(o, g: Node, y: Node, x: Node, dim: int) -> tuple[Node]:
    """Σ g[i] e^(x - y[i]) over i after x, the positive and the negative g apart, both as logarithms: nothing overflows."""

    def part(weights: Node) -> Node:
        terms = o.flip(o.sub(_log_or_lowest(o, weights), y), dims=(dim,))
        return o.exp(o.add(x, o.flip(o.logcumsumexp(terms, dim=dim), dims=(dim,))))

    return (o.sub(part(g), part(o.neg(g))),)


def _logcumsumexp_jvp(o, y: Node, xs: tuple, dxs: list, dim: int) -> Node:
    def part(weights: Node) -> Node:
        return o.exp(o.sub(o.logcumsumexp(o.add(_log_or_lowest(o, weights), xs[0]), dim=dim), y))

    return o.sub(part(dxs[0]), part(o.neg(dxs[0])))


_scan("logcumsumexp", "y[i] = log Σ exp x[j] over j ≤ i.", infer=_same_infer, numpy=_logcumsumexp_numpy, vjp=_logcumsumexp_vjp,
      jvp=_logcumsumexp_jvp)  # fmt: skip
