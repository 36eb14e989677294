"""L2. Opaque elementwise ops: the logarithm of the gamma function and its derivatives of every order, and Hurwitz's zeta, in float64.

For z ≥ 10 the asymptotic series (Abramowitz & Stegun 1964, 6.1.41 and 6.4.11); below, the recurrence leads up to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.graph import OPAQUE, Node, Op, Spec
from danlu.ops.table import composite, register, together

BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)  # B₂, B₄ …
# ζ(2) … ζ(27) by Euler and Maclaurin's formula from 40 on
ZETA = tuple(
    sum(n ** -float(k) for n in range(1, 40)) + 40 ** (1.0 - k) / (k - 1) + 40**-float(k) / 2 + k / 12 * 40 ** (-1.0 - k)
    - k * (k + 1) * (k + 2) / 720 * 40 ** (-3.0 - k) + k * (k + 1) * (k + 2) * (k + 3) * (k + 4) / 30240 * 40 ** (-5.0 - k)
    for k in range(2, 28)
)  # fmt: skip
FAR = 10  # the series begins here: its first term left out is below 1e-17


def _infer(x: Spec, *rest: Spec, **attrs: Any) -> Spec:
    return Spec(x.shape, dt.as_float(x.dtype))


def _in_double(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """The function computed in float64, its result in the dtype of x (of integers it is left as it is)."""

    def numpy(x: np.ndarray, *rest: np.ndarray, **attrs: Any) -> np.ndarray:
        dtype = x.dtype if x.dtype.kind == "f" else np.float64
        with np.errstate(all="ignore"):
            return np.asarray(function(*(a.astype(np.float64) for a in (x, *rest)), **attrs)).astype(dtype)

    return numpy


def _lgamma_right(x: np.ndarray) -> np.ndarray:
    """log Γ(x), x ≥ ½"""
    product, z = np.ones_like(x), x
    for _ in range(FAR):
        near = z < FAR
        product, z = np.where(near, product * z, product), np.where(near, z + 1, z)
    series = sum(b / ((2 * k + 2) * (2 * k + 1) * z ** (2 * k + 1)) for k, b in enumerate(BERNOULLI))
    value = (z - 0.5) * (np.log(z) - 1) - 0.5 + 0.5 * math.log(2 * math.pi) + series - np.log(product)
    z = x - 1
    value = np.where(np.abs(z) < 0.25, _near_one(z), value)
    value = np.where(
        np.abs(z - 1) < 0.25, np.log1p(np.clip(z - 1, -0.25, 0.25)) + _near_one(z - 1), value
    )  # Γ(2 + z) = (1 + z) Γ(1 + z)
    return np.where(np.isposinf(x), np.inf, value)


def _near_one(z: np.ndarray) -> np.ndarray:
    """log Γ(1 + z) = -γz + Σ ζ(k) (-z)ᵏ / k (6.1.33), |z| < ¼: accurate beside the roots, where other terms cancel."""
    z = np.clip(z, -0.25, 0.25)
    total = np.zeros_like(z)
    for k in range(len(ZETA) + 1, 1, -1):
        total = (total + ZETA[k - 2] * (1 if k % 2 == 0 else -1) / k) * z
    return (total - np.euler_gamma) * z + 0.0  # no -0


def _lgamma(x: np.ndarray) -> np.ndarray:
    """log |Γ(x)|; left of ½ by the reflection Γ(x) Γ(1 - x) = π / sin πx."""
    left = x < 0.5
    value = _lgamma_right(np.where(left, 1 - x, x))
    sine = np.abs(np.sin(np.pi * (x - np.round(x))))
    pole = np.isinf(x) | ((x <= 0) & (x == np.round(x)))
    return np.where(pole, np.inf, np.where(left, math.log(math.pi) - np.log(sine) - value, value))


def _digamma(x: np.ndarray) -> np.ndarray:
    """Γ'(x) / Γ(x)"""
    left = x < 0
    z, total = np.where(left, 1 - x, x), np.zeros_like(x)
    for _ in range(FAR):
        near = z < FAR
        total, z = np.where(near, total - 1 / z, total), np.where(near, z + 1, z)
    series = sum(b / ((2 * k + 2) * z ** (2 * k + 2)) for k, b in enumerate(BERNOULLI))
    value = np.log(z) - 0.5 / z - series + total
    value = np.where(left, value - np.pi / np.tan(np.pi * (x - np.round(x))), value)
    return np.where(x == 0, np.copysign(np.inf, -x), np.where(left & (x == np.round(x)), np.nan, value))


def _zeta(s: float | np.ndarray, q: np.ndarray) -> np.ndarray:
    """Σ (q + k)⁻ˢ over k ≥ 0 (Hurwitz), by Euler and Maclaurin's formula from q ≥ 10 on."""
    total, z, power = np.zeros_like(q), q, -1.0 * s
    while (z < FAR).any():
        near = z < FAR
        total, z = np.where(near, total + z**power, total), np.where(near, z + 1, z)
    tail, rising = z ** (1.0 + power) / (s - 1) + 0.5 * z**power, -power
    for k, b in enumerate(BERNOULLI):
        tail = tail + b / math.factorial(2 * k + 2) * rising * z ** (power - 2.0 * k - 1)
        rising = rising * (s + 2 * k + 1) * (s + 2 * k + 2)
    return total + tail


def _polygamma(x: np.ndarray, n: int) -> np.ndarray:
    """(-1)ⁿ⁺¹ n! ζ(n + 1, x); the far negative side by the reflection of the trigamma function, NaN for higher n."""
    if n == 0:
        return _digamma(x)
    if n == 1:
        left = x < 0.5
        value = _zeta(2, np.where(left, 1 - x, x))
        return np.where(left, (np.pi / np.sin(np.pi * (x - np.round(x)))) ** 2 - value, value)
    return (-1) ** (n + 1) * math.factorial(n) * _zeta(n + 1, np.where(x < -1000, np.nan, x))


register(
    Op("lgamma", OPAQUE, "log |Γ(x)|", infer=_infer, numpy=_in_double(_lgamma),
       vjp=lambda o, g, y, x: (o.mul(g, o.polygamma(x, n=0)),), jvp=lambda o, y, xs, dxs: o.mul(dxs[0], o.polygamma(xs[0], n=0)))
)  # fmt: skip
register(
    Op("polygamma", OPAQUE, "The n-th derivative of the digamma function Γ'/Γ.", attrs=("n",), infer=_infer, numpy=_in_double(_polygamma),
       vjp=lambda o, g, y, x, n: (o.mul(g, o.polygamma(x, n=n + 1)),),
       jvp=lambda o, y, xs, dxs, n: o.mul(dxs[0], o.polygamma(xs[0], n=n + 1)))
)  # fmt: skip


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
