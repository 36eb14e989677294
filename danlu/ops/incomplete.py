"""L2. Opaque elementwise ops of two: the incomplete gamma functions and Hurwitz's zeta, in float64; and what is made of them.

The opaque ops take operands of one shape and dtype; the composites with the public names bring them there.
"""

from __future__ import annotations

import numpy as np

from danlu import dtype as dt
from danlu.graph import OPAQUE, Node, Op
from danlu.ops.gamma import _in_double, _infer, _lgamma, _zeta
from danlu.ops.table import as_dtype, broadcast_shapes, composite, promote_specs, register

STEPS = 2000  # of the series and of the continued fraction; √a of them are needed where x is near a large a


def together(o, name: str, *xs: Node, whole: bool = False) -> list[Node]:
    """The operands with one shape and one dtype; integers become float32 unless `whole`."""
    shape, dtype = broadcast_shapes(name, [x.shape for x in xs]), promote_specs([x.spec for x in xs])
    if not whole and not dtype.is_floating_point:
        dtype = dt.float32
    xs = tuple(as_dtype(x, dtype) for x in xs)
    return [x if x.shape == shape else o.expand(x, shape=shape) for x in xs]


# ---- the incomplete gamma functions -------------------------------------------------------------------------------------------


def _series(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """P(a, x) Γ(a) eˣ x⁻ᵃ = Σ xᵏ / (a (a + 1) … (a + k)) (Abramowitz & Stegun 1964, 6.5.29)."""
    term = total = 1 / a
    for k in range(1, STEPS):
        term = term * x / (a + k)
        total = total + term
        if not (term > 1e-17 * total).any():
            break
    return total


def _fraction(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Q(a, x) Γ(a) eˣ x⁻ᵃ as a continued fraction (Abramowitz & Stegun 1964, 6.5.31), by Lentz's method."""
    b = x + 1 - a
    d = value = 1 / b
    c = np.full_like(x, 1e300)
    for k in range(1, STEPS):
        b, factor = b + 2, k * (a - k)
        d, c = 1 / (factor * d + b), b + factor / c
        value = value * c * d
        if not (np.abs(c * d - 1) > 1e-16).any():
            break
    return value


def _incomplete(a: np.ndarray, x: np.ndarray, lower: bool) -> np.ndarray:
    """P(a, x), or Q = 1 - P: each where it is the smaller one by its own formula."""
    valid = (a > 0) & (x > 0) & np.isfinite(a) & np.isfinite(x)
    by_series = valid & (x <= a + 1)
    sure_a, sure_x = np.where(valid, a, 1.0), np.where(valid, x, 1.0)
    scale = np.exp(sure_a * np.log(sure_x) - sure_x - _lgamma(sure_a))
    p = scale * _series(sure_a, np.where(by_series, sure_x, 0.5))
    q = scale * _fraction(np.where(by_series, 1.0, sure_a), np.where(by_series, 4.0, sure_x))
    value = np.where(by_series, p if lower else 1 - p, 1 - q if lower else q)
    return np.where(valid, value, _at_the_edge(a, x, lower))


def _at_the_edge(a: np.ndarray, x: np.ndarray, lower: bool) -> np.ndarray:
    """0 or 1 where x or a is 0 or ∞; NaN where neither formula means anything."""
    full = (x > 0) & (a == 0) | np.isposinf(x) & np.isfinite(a) & (a >= 0)
    none = (x == 0) & (a > 0) | np.isposinf(a) & np.isfinite(x) & (x >= 0)
    return np.where(full, float(lower), np.where(none, float(not lower), np.nan))


def _density(o, a: Node, x: Node) -> Node:
    """∂P/∂x = xᵃ⁻¹ e⁻ˣ / Γ(a)"""
    a = o.cast(a, dtype=x.dtype)
    return o.exp(o.sub(o.sub(o.xlogy(o.sub(a, 1.0), x), x), o.lgamma(a)))


def _share(name: str, lower: bool) -> None:
    sign = 1.0 if lower else -1.0
    register(
        Op(name, OPAQUE, "The share of Γ(a) that lies below x, or above it; of x and a of one shape.", infer=_infer,
           numpy=_in_double(lambda x, a: _incomplete(a, x, lower)),
           vjp=lambda o, g, y, x, a: (o.mul(o.mul(g, sign), _density(o, a, x)), None),
           jvp=lambda o, y, xs, dxs: o.mul(o.mul(dxs[0], sign), _density(o, xs[1], xs[0])))
    )  # fmt: skip


_share("lower_gamma", True)
_share("upper_gamma", False)


@composite
def igamma(o, a: Node, x: Node) -> Node:
    """P(a, x) = 1/Γ(a) ∫₀ˣ tᵃ⁻¹ e⁻ᵗ dt; no derivative with respect to a."""
    a, x = together(o, "igamma", a, x)
    return o.lower_gamma(x, o.stop(a))


@composite
def igammac(o, a: Node, x: Node) -> Node:
    """Q(a, x) = 1 - P(a, x), without cancellation; no derivative with respect to a."""
    a, x = together(o, "igammac", a, x)
    return o.upper_gamma(x, o.stop(a))


# ---- zeta ---------------------------------------------------------------------------------------------------------------------


def _hurwitz(s: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Σ (q + k)⁻ˢ; ∞ at its poles, NaN for s < 1, for q < 0 with a broken s, and left of -1000."""
    whole, pole = q == np.round(q), (q <= 0) & (q == np.round(q))
    usual = (s > 1) & np.isfinite(q) & ~pole & (q > -1000) & ((q > 0) | (s == np.round(s)))
    value = _zeta(np.where(usual, s, 2.0), np.where(usual, q, 1.0))
    edge = np.where((s == 1) | (s > 1) & whole & (q <= 0), np.inf, np.where((s > 1) & np.isposinf(q), 0.0, np.nan))
    return np.where(usual, value, edge)


def _zeta_slope(o, s: Node, q: Node) -> Node:
    return o.neg(o.mul(s, o.hurwitz_zeta(q, o.add(s, 1.0))))


register(
    Op("hurwitz_zeta", OPAQUE, "Σ (q + k)⁻ˢ over k ≥ 0, of q and s of one shape.", infer=_infer,
       numpy=_in_double(lambda q, s: _hurwitz(s, q)), vjp=lambda o, g, y, q, s: (o.mul(g, _zeta_slope(o, s, q)), None),
       jvp=lambda o, y, xs, dxs: o.mul(dxs[0], _zeta_slope(o, xs[1], xs[0])))
)  # fmt: skip


@composite
def zeta(o, s: Node, q: Node) -> Node:
    """Hurwitz's zeta function Σ (q + k)⁻ˢ over k ≥ 0; no derivative with respect to s."""
    s, q = together(o, "zeta", s, q)
    return o.hurwitz_zeta(q, o.stop(s))
