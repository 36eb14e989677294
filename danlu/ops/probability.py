"""L2. Functions of probabilities: the normal distribution's, entropies and x·log(1 + y); erfcx, on which they stand."""

from __future__ import annotations

import math

import numpy as np

from danlu.graph import OPAQUE, Node, Op
from danlu.ops.elementwise import REAL
from danlu.ops.gamma import _in_double, _infer
from danlu.ops.mathematics import INFINITY, at_least, at_most, exp_of, floating, in_double, number, polynomial, product
from danlu.ops.pointwise import _real
from danlu.ops.special import TWO_OVER_ROOT_PI, _each, _erfc_emit, _erfc_scaled
from danlu.ops.table import composite, register, together

# erfcx(x) · x √π for large x: Σ (-1)ᵏ (2k - 1)!! / (2x²)ᵏ (Abramowitz & Stegun 1964, 7.1.23)
TAIL = tuple((-1) ** k * math.prod(range(1, 2 * k, 2)) / 2**k for k in range(8))


# ---- e^(x²) erfc x ------------------------------------------------------------------------------------------------------------


def _erfcx_emit(b, x):
    """Three parts: e^(x²) times erfc up to ½, the polynomial of erfc up to 26, the asymptotic series beyond."""
    high, low = product(b, at_least(b, at_most(b, x, 1.0), -27.0), at_least(b, at_most(b, x, 1.0), -27.0))
    left = b.mul(exp_of(b, high, low), _erfc_emit(b, at_most(b, x, 1.0)))
    middle = _erfc_scaled(b, at_least(b, at_most(b, x, 26.0), 0.5))
    inverse = b.div(number(b, 1, x), x)
    far = b.mul(b.mul(polynomial(b, b.mul(inverse, inverse), TAIL), inverse), number(b, 1 / math.sqrt(math.pi), x))
    value = b.select(b.gt(x, number(b, 26, x)), far, middle)
    value = b.select(b.lt(x, number(b, 0.5, x)), left, value)
    return b.select(b.lt(x, number(b, -26.7, x)), number(b, INFINITY, x), value)


def _erfcx(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    near, far = np.clip(x, -27, 26), np.maximum(x, 26)
    high = near.astype(np.float32).astype(np.float64)  # its square is exact, and what is left of near² is small
    inner = np.exp(high * high) * np.exp((near - high) * (near + high)) * _each(math.erfc)(near)
    outer = np.polynomial.polynomial.polyval(1 / (far * far), TAIL) / (far * math.sqrt(math.pi))
    return np.where(x > 26, outer, np.where(x < -26.7, np.inf, inner))


floating("erfcx", "e^(x²) erfc x, which neither overflows nor vanishes for large x.", lambda x: _erfcx(x).astype(x.dtype),
         in_double(_erfcx_emit), [REAL], partials=(lambda o, y, x: o.sub(o.mul(o.mul(x, y), 2.0), TWO_OVER_ROOT_PI),))  # fmt: skip

# ---- the normal distribution --------------------------------------------------------------------------------------------------


@composite
def ndtr(o, x: Node) -> Node:
    """Φ(x), the share of the normal distribution below x."""
    return o.mul(o.erfc(o.mul(_real(o, x), -math.sqrt(0.5))), 0.5)


@composite
def log_ndtr(o, x: Node) -> Node:
    """log Φ(x), also where Φ(x) is too small for a float."""
    t = o.mul(_real(o, x), math.sqrt(0.5))
    low = o.lt(t, -0.5)
    left = o.sub(o.log(o.mul(o.erfcx(o.neg(o.where(low, t, -1.0))), 0.5)), o.where(low, o.mul(t, t), 0.0))
    return o.where(low, left, o.log1p(o.mul(o.erfc(o.where(low, 1.0, t)), -0.5)))


# The first guess, to 4.5e-4 (Abramowitz & Stegun 1964, 26.2.23).
_ABOVE, _BELOW = (2.515517, 0.802853, 0.010328), (1.0, 1.432788, 0.189269, 0.001308)


def _ndtri(p: np.ndarray) -> np.ndarray:
    """Newton's method on log Φ, for the smaller one of p and 1 - p."""
    q = np.minimum(p, 1 - p)
    inside = (q > 0) & (q <= 0.5)
    q = np.where(inside, q, 0.25)
    t = np.sqrt(-2 * np.log(q))
    y = np.polynomial.polynomial.polyval(t, _ABOVE) / np.polynomial.polynomial.polyval(t, _BELOW) - t
    for _ in range(3):
        scaled = _erfcx(-y / math.sqrt(2))
        y = y - (np.log(scaled / 2) - y * y / 2 - np.log(q)) * scaled * math.sqrt(math.pi / 2)
    edge = np.where(p == 0, -np.inf, np.where(p == 1, np.inf, np.nan))
    return np.where(inside, np.where(p > 0.5, -y, y), edge)


def _ndtri_slope(o, y: Node) -> Node:
    """√(2π) e^(y²/2)"""
    return o.mul(o.exp(o.mul(o.mul(y, y), 0.5)), math.sqrt(2 * math.pi))


register(
    Op("ndtri", OPAQUE, "y with Φ(y) = p: the point below which a share p of the normal distribution lies.", infer=_infer,
       numpy=_in_double(_ndtri), vjp=lambda o, g, y, p: (o.mul(g, _ndtri_slope(o, y)),),
       jvp=lambda o, y, xs, dxs: o.mul(dxs[0], _ndtri_slope(o, y)))
)  # fmt: skip

# ---- entropy and its like -----------------------------------------------------------------------------------------------------


@composite
def entr(o, x: Node) -> Node:
    """-x log x, 0 at 0 and -∞ below."""
    x = _real(o, x)
    outside = o.le(x, 0.0)
    return o.where(outside, o.where(o.eq(x, 0.0), 0.0, -math.inf), o.neg(o.mul(x, o.log(o.where(outside, 1.0, x)))))


@composite
def xlog1py(o, x: Node, y: Node) -> Node:
    """x log(1 + y), and 0 where x is 0."""
    x, y = together(o, "xlog1py", x, y)
    flat = o.logical_and(o.eq(x, 0.0), o.logical_or(o.le(y, -1.0), o.eq(y, math.inf)))
    return o.where(flat, 0.0, o.mul(x, o.log1p(o.where(flat, 1.0, y))))


@composite
def logaddexp2(o, x: Node, y: Node) -> Node:
    """log₂(2ˣ + 2ʸ)"""
    x, y = together(o, "logaddexp2", x, y)
    return o.mul(o.logaddexp(o.mul(x, math.log(2)), o.mul(y, math.log(2))), 1 / math.log(2))


@composite(attrs=("p",))
def mvlgamma(o, x: Node, p: int) -> Node:
    """log Γₚ(x) = p (p - 1) / 4 log π + Σ log Γ(x - i / 2) over i < p (Wishart's density)."""
    x = _real(o, x)
    total = o.lgamma(x)
    for i in range(1, p):
        total = o.add(total, o.lgamma(o.sub(x, i / 2)))
    return o.add(total, p * (p - 1) / 4 * math.log(math.pi))


@composite
def heaviside(o, x: Node, at_zero: Node) -> Node:
    """0 below 0, 1 above, `at_zero` at 0."""
    x, at_zero = together(o, "heaviside", x, at_zero, whole=True)
    return o.stop(o.where(o.eq(x, 0), at_zero, o.cast(o.gt(x, 0), dtype=x.dtype)))
