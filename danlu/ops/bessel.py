"""L2. Opaque elementwise ops: Bessel functions of order 0 and 1, of the first kind (J) and modified (I, times e⁻ˣ), in float64.

Up to 25 the mean of Bessel's integral over a quarter of the circle, which converges faster than any power; beyond, Hankel's asymptotic
series (Abramowitz & Stegun 1964, 9.1.18, 9.6.16, 9.2.5 and 9.7.1). Errors: about 1e-15, of J relative to the size of the waves.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from danlu.graph import OPAQUE, Op
from danlu.ops.gamma import _in_double, _infer
from danlu.ops.table import composite, register

FAR, POINTS, TERMS = 25.0, 24, 24  # at 25 the first term left out is 1e-17, and so is the error of the mean


def _mean(wave: Any, x: np.ndarray, order: int) -> np.ndarray:
    """The mean of cosᵒʳᵈᵉʳ θ · wave(x cos θ) over a quarter of the circle."""
    cosines = np.cos((np.arange(POINTS) + 0.5) * (math.pi / 2 / POINTS))
    total = np.zeros_like(x)
    for c in cosines:
        total += c**order * wave(x * c)
    return total / POINTS


def _hankel(order: int, x: np.ndarray) -> list[np.ndarray]:
    """The terms aₖ / xᵏ of the series, aₖ = aₖ₋₁ (4 order² - (2k - 1)²) / 8k."""
    terms = [np.ones_like(x)]
    for k in range(1, TERMS):
        terms.append(terms[-1] * ((4 * order**2 - (2 * k - 1) ** 2) / (8 * k)) / x)
    return terms


def _scaled(order: int) -> Any:
    """Iₙ(x) e^(-|x|)"""

    def function(x: np.ndarray) -> np.ndarray:
        size = np.abs(x)
        near, far = np.minimum(size, FAR), np.maximum(size, FAR)
        inner = _mean(np.sinh if order else np.cosh, near, order) * np.exp(-near)
        outer = sum((-1) ** k * term for k, term in enumerate(_hankel(order, far))) / np.sqrt(2 * math.pi * far)
        value = np.where(size <= FAR, inner, outer)
        return np.where(np.isnan(x), np.nan, np.copysign(value, x) if order else value)

    return _in_double(function)


def _first_kind(order: int) -> Any:
    """Jₙ(x)"""

    def function(x: np.ndarray) -> np.ndarray:
        size = np.abs(x)
        far = np.where(size > FAR, size, 2 * FAR)
        terms, angle = _hankel(order, far), far - (order / 2 + 0.25) * math.pi
        even = sum((-1) ** k * term for k, term in enumerate(terms[0::2]))
        odd = sum((-1) ** k * term for k, term in enumerate(terms[1::2]))
        outer = np.sqrt(2 / (math.pi * far)) * (np.cos(angle) * even - np.sin(angle) * odd)
        value = np.where(size <= FAR, _mean(np.sin if order else np.cos, np.minimum(size, FAR), order), outer)
        value = np.where(np.isinf(size), 0.0, value)
        return np.where(np.isnan(x), np.nan, value * np.where(x < 0, -1.0, 1.0) if order else value)

    return _in_double(function)


def _over(o, y, x):
    """y / x, and ½ at 0: the limit for both functions of order 1."""
    zero = o.eq(x, 0)
    return o.where(zero, 0.5, o.div(y, o.where(zero, 1, x)))


def _function(name: str, doc: str, numpy: Any, slope: Any) -> None:
    register(
        Op(name, OPAQUE, doc, infer=_infer, numpy=numpy, vjp=lambda o, g, y, x: (o.mul(g, slope(o, y, x)),),
           jvp=lambda o, y, xs, dxs: o.mul(dxs[0], slope(o, y, xs[0])))
    )  # fmt: skip


_function("i0e", "I₀(x) e^(-|x|)", _scaled(0), lambda o, y, x: o.sub(o.i1e(x), o.mul(o.sign(x), y)))
_function("i1e", "I₁(x) e^(-|x|)", _scaled(1), lambda o, y, x: o.sub(o.sub(o.i0e(x), o.mul(o.sign(x), y)), _over(o, y, x)))
_function("bessel_j0", "J₀(x) = Σ (-1)ᵏ (x/2)²ᵏ / (k!)²", _first_kind(0), lambda o, y, x: o.neg(o.bessel_j1(x)))
_function(
    "bessel_j1", "J₁(x) = Σ (-1)ᵏ (x/2)²ᵏ⁺¹ / k! (k + 1)!", _first_kind(1), lambda o, y, x: o.sub(o.bessel_j0(x), _over(o, y, x))
)


@composite
def i0(o, x):
    """I₀(x) = Σ (x/2)²ᵏ / (k!)², the modified Bessel function of the first kind of order 0."""
    y = o.i0e(x)
    return o.mul(y, o.exp(o.abs(o.cast(x, dtype=y.dtype))))


@composite
def i1(o, x):
    """I₁(x) = Σ (x/2)²ᵏ⁺¹ / k! (k + 1)!, the modified Bessel function of the first kind of order 1."""
    y = o.i1e(x)
    return o.mul(y, o.exp(o.abs(o.cast(x, dtype=y.dtype))))
