"""L2. The incomplete gamma function and gamma-distributed numbers, with derivatives in both arguments of every order.

With x = e^l and q = x^a e^(-x) / Γ(a), the density of l = log x, the nearer tail of the distribution is q·T₀ of the integrals

    T_k(a, l) = ∫₀^∞ t^k exp(s a t - x (e^(s t) - 1)) dt,   s = -1 (lower tail) where x ≤ a, +1 (upper tail) elsewhere.

Their integrand falls from t^k without a wave, for every a and x: two Gauss-Legendre rules of 32 points up to where it is below e⁻⁴⁰
give 12 digits, where series need √a terms. Differentiated under the integral and by parts, they stay among themselves:

    ∂T_k/∂a = s T_(k+1),   ∂T_k/∂l = (x - a) T_k - s ([k = 0] + k T_(k-1)).

A draw is differentiated along the quantile function, du = 0: ∂l/∂a = -(∂P/∂a) / q = s (l - ψ(a)) T₀ + T₁
(Figurnov, Mohamed & Mnih 2018, "Implicit reparameterization gradients", equation 5).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.errors import DTypeError
from danlu.graph import OPAQUE, Node, Op, Spec
from danlu.ops.random import open_uniforms
from danlu.ops.table import composite, register, together

POINTS, FALLEN = 32, 40.0  # the integrand is cut where it is below e^-FALLEN
BLOCK = 512  # elements at a time: with all their points they stay in the cache
SETTLED = 30.0  # beyond this t, e^-t is gone, and e^(-at) alone is left: for small a it reaches far

# ---- the integrals ------------------------------------------------------------------------------------------------------------


@cache
def _rule() -> tuple[np.ndarray, np.ndarray]:
    """Points and weights on (0, 1), as columns."""
    points, weights = np.polynomial.legendre.leggauss(POINTS)
    return (points[:, None] + 1) / 2, weights[:, None] / 2


def _reach(a: np.ndarray, x: np.ndarray, s: np.ndarray) -> np.ndarray:
    """The t with x (e^(st) - 1) - s a t = FALLEN, by Newton's method from above: the function is convex and rises."""
    third = FALLEN / 3
    below = (third + np.sqrt(third * third + 2 * FALLEN * a)) / a
    root = np.sqrt(2 * FALLEN / a)
    t = np.where(s < 0, below, np.minimum(root, np.log1p((FALLEN + a * root) / x)))
    for _ in range(5):
        slope = s * (x * np.exp(s * t) - a)
        t = np.where(slope > 0, t - (x * np.expm1(s * t) - s * a * t - FALLEN) / slope, t)
    return t


def _tail_numpy(a: np.ndarray, log_x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    flat = [v.astype(np.float64).ravel() for v in (a, log_x)]
    out = np.empty((2, a.size))
    with np.errstate(all="ignore"):
        for start in range(0, a.size, BLOCK):
            here = slice(start, start + BLOCK)
            out[:, here] = _moments(flat[0][here], np.exp(flat[1][here]), k)
    return tuple(out.reshape(2, *a.shape).astype(a.dtype))  # type: ignore[return-value]


def _moments(a: np.ndarray, x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """T_k and T_(k+1) of some elements: the points are the rows."""
    s = np.where(x > a, 1.0, -1.0)
    reach, (points, weights) = _reach(a, x, s), _rule()
    middle = np.minimum(reach / 2, SETTLED)
    t = np.concatenate([middle * points, middle + (reach - middle) * points])
    values = np.concatenate([middle * weights, (reach - middle) * weights])
    values *= np.exp(s * a * t - x * np.expm1(s * t)) * t**k
    return values.sum(0), (values * t).sum(0)


def _tail_infer(a: Spec, log_x: Spec, k: int) -> tuple[Spec, Spec]:
    if a.shape != log_x.shape or a.dtype is not log_x.dtype:
        raise DTypeError("gamma_tail: a is {a} and log x is {log_x}; expected one shape and dtype", a=a, log_x=log_x)
    return Spec(a.shape, a.dtype), Spec(a.shape, a.dtype)


def _sign(o, a: Node, log_x: Node) -> Node:
    return o.where(o.gt(o.exp(log_x), a), o.like(1.0, a), o.like(-1.0, a))


def _tail_slopes(o, ys: tuple, a: Node, log_x: Node, k: int) -> list[tuple[Node, Node]]:
    """For both results their derivatives by a and by l."""
    s = _sign(o, a, log_x)
    over = o.sub(o.exp(log_x), a)
    before = o.mul(o.gamma_tail(a, log_x, k=k - 1)[0], float(k)) if k else 1.0
    edges = before, o.mul(ys[0], float(k + 1))
    after = o.gamma_tail(a, log_x, k=k + 1)
    return [(o.mul(s, t), o.sub(o.mul(over, y), o.mul(s, edge))) for t, y, edge in zip(after, ys, edges)]


def _tail_vjp(o, gs, ys, a, log_x, k: int):
    first, second = _tail_slopes(o, ys, a, log_x, k)
    return tuple(o.add(o.mul(gs[0], d), o.mul(gs[1], e)) for d, e in zip(first, second))


def _tail_jvp(o, ys, xs, dxs, k: int) -> Any:
    moved = []
    for slopes in _tail_slopes(o, ys, xs[0], xs[1], k):
        terms = [o.mul(d, slope) for d, slope in zip(dxs, slopes) if d is not None]
        moved.append(terms[0] if len(terms) == 1 else o.add(*terms))
    return tuple(moved)


register(
    Op("gamma_tail", OPAQUE, "T_k(a, l) and T_(k+1): the nearer tail of the gamma distribution over its density, and moments of it.", attrs=("k",),
       infer=_tail_infer, numpy=_tail_numpy, vjp=_tail_vjp, jvp=_tail_jvp)
)  # fmt: skip


def _share(o, name: str, a: Node, x: Node, lower: bool) -> Node:
    """The share of the distribution below x, or above it: the nearer tail, or what it leaves of 1."""
    dtype = together(o, name, a, x)[0].dtype
    a, x = together(o, name, o.cast(a, dtype=dt.float64), o.cast(x, dtype=dt.float64))
    inside = o.logical_and(*(o.logical_and(o.gt(v, 0.0), o.lt(v, float("inf"))) for v in (a, x)))
    sure, log_x = o.where(inside, a, 1.0), o.log(o.where(inside, x, 1.0))
    density = o.exp(o.sub(o.sub(o.mul(sure, log_x), o.exp(log_x)), o.lgamma(sure)))
    tail = o.mul(density, o.gamma_tail(sure, log_x, k=0)[0])
    far = o.gt(o.exp(log_x), sure)
    value = o.where(far if lower else o.logical_not(far), o.sub(1.0, tail), tail)
    return o.cast(o.where(inside, value, _at_the_edge(o, a, x, lower)), dtype=dtype)


def _at_the_edge(o, a: Node, x: Node, lower: bool) -> Node:
    """Where a or x is 0 or ∞: all lies below x if x/a is ∞, nothing if it is 0; NaN for 0/0, ∞/∞ and negative numbers. At x = 0 it
    rises as the density x^(a-1) there."""
    below = o.tanh(o.div(o.sqrt(o.stop(x)), o.sqrt(o.stop(a))))
    rise = o.exp(o.minimum(o.xlogy(o.sub(o.stop(a), 1.0), o.stop(x)), 700.0))
    below = o.where(o.logical_and(o.eq(x, 0.0), o.gt(a, 0.0)), o.mul(x, rise), below)
    return below if lower else o.sub(1.0, below)


@composite
def igamma(o, a: Node, x: Node) -> Node:
    """P(a, x) = 1/Γ(a) ∫₀ˣ tᵃ⁻¹ e⁻ᵗ dt, the regularised lower incomplete gamma function."""
    return _share(o, "igamma", a, x, lower=True)


@composite
def igammac(o, a: Node, x: Node) -> Node:
    """Q(a, x) = 1 - P(a, x), without cancellation."""
    return _share(o, "igammac", a, x, lower=False)


# ---- draws --------------------------------------------------------------------------------------------------------------------


def _draw_numpy(seed: np.ndarray, counter: np.ndarray, a: np.ndarray) -> np.ndarray:
    """Marsaglia & Tsang (2000), "A simple method for generating gamma variables": d (1 + c z)³ with z normal, until accepted;
    for a < 1 a draw of a + 1 times u^(1/a). In logarithms, so nothing underflows. Each element has random bits of its own."""
    flat = a.astype(np.float64).ravel()
    with np.errstate(all="ignore"):
        out, waiting = np.full(flat.shape, np.nan), np.flatnonzero(np.isfinite(flat) & (flat > 0))
        d = np.where(flat < 1, flat + 1, flat) - 1 / 3
        attempt = 0
        while waiting.size:
            (u, v), (accept, power) = _uniforms(waiting, attempt, seed, counter)
            z, here = np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v), d[waiting]
            log_v = 3 * np.log(1 + z / np.sqrt(9 * here))
            taken = np.log(accept) < z * z / 2 + here * (
                1 - np.exp(log_v) + log_v
            )  # False where 1 + cz ≤ 0: its logarithm is NaN
            shape = flat[waiting]
            value = np.log(here) + log_v + np.where(shape < 1, np.log(power) / shape, 0)
            out[waiting[taken]] = value[taken]
            waiting, attempt = waiting[~taken], attempt + 1
    return out.reshape(a.shape).astype(a.dtype)


def _uniforms(places: np.ndarray, attempt: int, seed: Any, counter: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Four uniform numbers of each element, new ones at each attempt."""
    return [open_uniforms(places + ((2 * attempt + k) << 40), seed, counter) for k in (0, 1)]


def _draw_slope(o, log_x: Node, a: Node) -> Node:
    """∂l/∂a at a fixed quantile."""
    from_mean = o.mul(_sign(o, a, log_x), o.sub(log_x, o.polygamma(a, n=0)))
    tail, moment = o.gamma_tail(a, log_x, k=0)
    return o.add(o.mul(from_mean, tail), moment)


register(
    Op("log_gamma_draw", OPAQUE, "The logarithm of a number with the density x^(a-1) e^(-x) / Γ(a); differentiated at a fixed quantile.",
       infer=lambda seed, counter, a: Spec(a.shape, a.dtype), numpy=_draw_numpy,
       vjp=lambda o, g, y, seed, counter, a: (None, None, o.mul(g, _draw_slope(o, y, a))),
       jvp=lambda o, y, xs, dxs: None if dxs[2] is None else o.mul(dxs[2], _draw_slope(o, y, xs[2])))
)  # fmt: skip
