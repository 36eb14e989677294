"""L2. Elementwise records: the error function and its relatives, and sums and products of two that need care."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.ops import coefficients as c
from danlu.ops.elementwise import REAL
from danlu.ops.mathematics import (
    INFINITY,
    NAN,
    POSITIVE,
    UNIT,
    at_least,
    at_most,
    constants,
    exp_of,
    floating,
    in_double,
    log1p_of,
    log_of,
    number,
    polynomial,
    product,
    small_exp_of,
)  # fmt: skip

# ---- the error function -----------------------------------------------------------------------------------------------------
# |x| < 1: x + x·P(x²). Beyond, erfc(x) = e^(-x²)·E(t) / (1 + 2x) with t = (x - 4) / (x + 4), x² taken in two parts.


def _erf_near(b, x):
    return b.fma(x, polynomial(b, b.mul(x, x), constants("ERF", x)), x)


def _erf_emit(b, x):
    size = b.abs(x)
    if x.dtype is dt.float32:  # erfc = e^P directly
        complement = small_exp_of(b, polynomial(b, at_most(b, size, 4.0), c.ERF_TAIL_32))
    else:
        beyond = at_least(b, at_most(b, size, 6.0), 0.5)
        complement = exp_of(b, *_minus_square(b, beyond), _erfc_scaled(b, beyond))
    far = b.copysign(b.sub(number(b, 1, x), complement), x)
    return b.select(b.ge(size, number(b, 1, x)), far, _erf_near(b, x))  # near is NaN for NaN


def _erfc_scaled(b, x):
    """e^(x²)·erfc(x), x ≥ ½"""
    t = b.div(b.sub(x, number(b, 4, x)), b.add(x, number(b, 4, x)))
    return b.div(polynomial(b, t, c.ERFC_64), b.add(b.add(x, x), number(b, 1, x)))


def _minus_square(b, x):
    """-x² as a sum of two floats."""
    high, low = product(b, b.neg(x), x)
    return high, low


def _erfc_emit(b, x):
    size = at_least(b, at_most(b, b.abs(x), 28.0), 0.5)
    far = exp_of(b, *_minus_square(b, size), _erfc_scaled(b, size))
    far = b.select(b.lt(x, number(b, 0, x)), b.sub(number(b, 2, x), far), far)
    near = b.sub(number(b, 1, x), _erf_near(b, at_least(b, at_most(b, x, 1.0), -1.0)))
    return b.select(b.lt(b.abs(x), number(b, 0.5, x)), near, far)


def _erfinv_emit(b, x):
    """A polynomial in w = -log(1 - x²) or in √w, to 2⁻²², made good by one step of Halley's method."""
    one, size = number(b, 1, x), b.abs(x)
    rest = b.sub(one, size)
    w = b.neg(log_of(b, b.mul(rest, b.add(one, size))))
    root = b.sqrt(w)
    guess = b.select(b.lt(w, number(b, 5, x)), polynomial(b, w, c.ERFINV_64), polynomial(b, root, c.ERFINV_TAIL_64))
    y = b.mul(size, guess)
    inverse = b.div(one, exp_of(b, *_minus_square(b, y)))  # e^(y²)
    near = b.mul(b.sub(_erf_near(b, at_most(b, y, 1.0)), size), inverse)
    far = b.sub(b.mul(rest, inverse), _erfc_scaled(b, at_least(b, y, 0.45)))
    u = b.mul(b.select(b.le(size, number(b, 0.5, x)), near, far), number(b, math.sqrt(math.pi) / 2, x))
    y = b.sub(y, b.div(u, b.fma(y, u, one)))
    y = b.select(b.eq(size, one), number(b, INFINITY, x), b.select(b.gt(size, one), number(b, NAN, x), y))
    return b.copysign(y, x)


def _each(function: Any) -> Any:
    """A function of Python's math on arrays."""
    return lambda x: np.vectorize(function, otypes=[np.float64])(x).astype(x.dtype)


def _erfinv_numpy(x):
    """Newton's method on erf, from a rough guess; on erfc where x is near 1."""
    size = np.clip(np.abs(x.astype(np.float64)), 0, 1)
    with np.errstate(all="ignore"):
        logarithm = np.log1p(-size * size)
        middle = 2 / (math.pi * 0.147) + logarithm / 2
        y = np.sqrt(np.maximum(np.sqrt(middle * middle - logarithm / 0.147) - middle, 0))
        for _ in range(4):
            left = np.where(size < 0.5, _each(math.erf)(y) - size, (1 - size) - _each(math.erfc)(y))
            y = y - left * math.sqrt(math.pi) / 2 * np.exp(y * y)
        y = np.where(np.abs(x) > 1, np.nan, np.where(size == 1, np.inf, y))
    return np.copysign(y, x).astype(x.dtype)


def _gauss(o, x, factor: float):
    """factor·e^(-x²)"""
    return o.mul(o.exp(o.neg(o.mul(x, x))), factor)


TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)
floating(
    "erf", "2/√π ∫₀ˣ e^(-t²) dt", _each(math.erf), _erf_emit, [REAL], partials=(lambda o, y, x: _gauss(o, x, TWO_OVER_ROOT_PI),)
)
floating("erfc", "1 - erf x, without cancellation.", _each(math.erfc), in_double(_erfc_emit), [REAL],
         partials=(lambda o, y, x: _gauss(o, x, -TWO_OVER_ROOT_PI),))  # fmt: skip
floating("erfinv", "y with erf y = x, |x| ≤ 1: the inverse of erf.", _erfinv_numpy, in_double(_erfinv_emit), [UNIT],
         partials=(lambda o, y, x: o.mul(o.exp(o.mul(y, y)), math.sqrt(math.pi) / 2),))  # fmt: skip

# ---- of two -----------------------------------------------------------------------------------------------------------------


def _logaddexp_emit(b, x, y):
    larger, difference = b.maximum(x, y), b.neg(b.abs(b.sub(x, y)))
    total = b.add(larger, log1p_of(b, exp_of(b, difference)))
    return b.select(b.eq(x, y), b.add(x, number(b, math.log(2), x)), total)


def _xlogy_emit(b, x, y):
    return b.select(b.and_(b.eq(x, number(b, 0, x)), b.eq(y, y)), number(b, 0, x), b.mul(x, log_of(b, y)))


def _xlogy_numpy(x, y):
    return np.where((x == 0) & (y == y), x.dtype.type(0), x * np.log(y))


def _xlogy_first(o, z, x, y):
    """log y, and 0 where x = 0 and y ≤ 0."""
    flat = o.logical_and(o.eq(x, 0), o.le(y, 0))
    return o.where(flat, 0, o.log(o.where(flat, 1, y)))


def _hypot_emit(b, x, y):
    size_x, size_y = b.abs(x), b.abs(y)
    larger = b.maximum(size_x, size_y)
    one = number(b, 1, x)
    up = b.select(b.lt(larger, number(b, 2.0**-500, x)), number(b, 2.0**600, x), one)
    scale = b.select(b.gt(larger, number(b, 2.0**500, x)), number(b, 2.0**-600, x), up)
    x, y = b.mul(x, scale), b.mul(y, scale)
    root = b.div(b.sqrt(b.fma(x, x, b.mul(y, y))), scale)
    infinity = number(b, INFINITY, x)
    return b.select(b.or_(b.eq(size_x, infinity), b.eq(size_y, infinity)), infinity, root)


floating("logaddexp", "log(eˣ + eʸ)", np.logaddexp, in_double(_logaddexp_emit), [REAL, REAL],
         partials=(lambda o, z, x, y: o.sigmoid(o.sub(x, y)), lambda o, z, x, y: o.sigmoid(o.sub(y, x))))  # fmt: skip
floating("xlogy", "x·log y, and 0 where x is 0.", _xlogy_numpy, _xlogy_emit, [REAL, POSITIVE],
         partials=(_xlogy_first, lambda o, z, x, y: o.div(x, y)))  # fmt: skip
floating("hypot", "√(x² + y²), without overflow on the way.", np.hypot, in_double(_hypot_emit), [POSITIVE, POSITIVE],
         partials=(lambda o, z, x, y: o.div(x, z), lambda o, z, x, y: o.div(y, z)))  # fmt: skip
floating("copysign", "|x| with the sign of y.", np.copysign, lambda b, x, y: b.copysign(x, y), [REAL, POSITIVE],
         partials=(lambda o, z, x, y: o.mul(o.sign(x), o.copysign(1.0, y)), None))  # fmt: skip
