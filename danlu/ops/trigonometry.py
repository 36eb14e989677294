"""L2. Elementwise records: trigonometry, its inverses and its hyperbolic relatives."""

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
    by_size,
    constants,
    exp_of,
    expm1_of,
    floating,
    in_double,
    integer,
    log1p_of,
    nearest,
    number,
    polynomial,
)

# ---- sine and cosine ------------------------------------------------------------------------------------------------------


def quarter_turns(b, x):
    """n (in the last bits of an integer) and r with x = n·π/2 + r, |r| ≤ π/4, by Cody and Waite's three parts of π/2."""
    n, bits = nearest(b, x, 2 / math.pi)
    r = x
    for part in constants("HALF_PI", x):
        r = b.fma(n, number(b, -part, x), r)
    return b.sub(bits, integer(b, int(by_size(x, 254, 2046)), x)), r


def sine_and_cosine(b, r):
    """sin r and cos r for |r| ≤ π/4."""
    r2 = b.mul(r, r)
    sine = b.fma(b.mul(r, r2), polynomial(b, r2, constants("SIN", r)), r)
    main = b.fma(r2, number(b, -0.5, r), number(b, 1, r))
    return sine, b.fma(b.mul(r2, r2), polynomial(b, r2, constants("COS", r)), main)


# 64 zeros, then the first 1280 bits of 2/π, in words of 64.
TURNS = (0, *c.TWO_OVER_PI)


def far_quarter_turns(b, x):
    """The same for one float64 from 2^16 to the largest, by Payne and Hanek: x = m·2ᵉ with an integer m; of x·2/π only its last
    two integer bits and its fraction are wanted, so of 2/π only the 192 bits from bit e - 2 on are multiplied."""

    def word(value: int):
        return b.const(value, dt.uint64)

    pattern = b.cast(b.bits(b.abs(x)), dt.uint64)
    m = b.or_(b.and_(pattern, word(2**52 - 1)), word(2**52))
    start = b.sub(b.add(b.shr(pattern, word(52)), word(62)), word(1075))
    first, shift = b.shr(start, word(6)), b.and_(start, word(63))
    words = [b.table("two_over_pi", TURNS, b.add(first, word(k)), dt.uint64) for k in range(4)]
    high, middle, low = (b.call("llvm.fshl.i64", dt.uint64, 1, words[k], words[k + 1], shift) for k in range(3))
    upper = b.add(b.mul(m, high), b.mul_high(m, middle))
    lower, carried = b.mul(m, middle), b.mul_high(m, low)
    total = b.add(lower, carried)
    upper = b.add(upper, b.select(b.lt(total, lower), word(1), word(0)))
    n = b.shr(b.add(upper, word(2**61)), word(62))
    fraction = b.cast(b.or_(b.shl(upper, word(2)), b.shr(total, word(62))), dt.int64)  # of one quarter turn, from -½ to ½
    near = b.cast(fraction, dt.float64)
    left = b.cast(b.sub(fraction, b.cast(near, dt.int64)), dt.float64)
    left = b.fma(b.cast(b.shl(total, word(2)), dt.float64), number(b, 2.0**-64, x), left)
    angle, rest = (number(b, part * 2.0**-64, x) for part in c.HALF_PI_64[:2])
    r = b.mul(near, angle)
    r = b.add(r, b.fma(near, rest, b.fma(left, angle, b.fma(near, angle, b.neg(r)))))
    positive = b.gt(x, number(b, 0, x))
    n = b.cast(n, dt.int64)
    return b.select(positive, n, b.neg(n)), b.select(positive, r, b.neg(r))


def sine_at(b, n, r, turn: int):
    """sin((n + turn)·π/2 + r)"""
    n = b.add(n, integer(b, turn, r)) if turn else n
    sine, cosine = sine_and_cosine(b, r)
    y = b.select(b.ne(b.and_(n, integer(b, 1, r)), integer(b, 0, r)), cosine, sine)
    sign = b.shl(b.and_(n, integer(b, 2, r)), integer(b, int(by_size(r, 30, 62)), r))
    return b.from_bits(b.xor(b.bits(y), sign))


def with_far(b, x, name: str, of_turns: Any):
    """of_turns(b, n, r) of an angle; angles too large for Cody and Waite take the long way."""

    def far(b, x):
        return b.cast(of_turns(b, *far_quarter_turns(b, b.cast(x, dt.float64))), x.dtype)

    size = b.abs(x)
    seldom = b.and_(b.gt(size, number(b, by_size(x, 1e5, 1e9), x)), b.lt(size, number(b, INFINITY, x)))
    return b.rarely(name, seldom, of_turns(b, *quarter_turns(b, x)), far, x)


def _sin_emit(b, x):
    y = with_far(b, x, "sin_far", lambda b, n, r: sine_at(b, n, r, 0))
    return b.select(b.eq(x, number(b, 0, x)), x, y)  # -0 stays -0


def _cos_emit(b, x):
    return with_far(b, x, "cos_far", lambda b, n, r: sine_at(b, n, r, 1))


floating("sin", "The sine of an angle in radians.", np.sin, _sin_emit, [REAL], partials=(lambda o, y, x: o.cos(x),))
floating("cos", "The cosine of an angle in radians.", np.cos, _cos_emit, [REAL], partials=(lambda o, y, x: o.neg(o.sin(x)),))


def _tan_turns(b, n, r):
    sine, cosine = sine_and_cosine(b, r)
    odd = b.ne(b.and_(n, integer(b, 1, r)), integer(b, 0, r))
    return b.div(b.select(odd, cosine, sine), b.select(odd, b.neg(sine), cosine))


def _tan_emit(b, x):
    return b.select(b.eq(x, number(b, 0, x)), x, with_far(b, x, "tan_far", _tan_turns))


floating(
    "tan",
    "The tangent of an angle in radians.",
    np.tan,
    in_double(_tan_emit),
    [UNIT],
    partials=(lambda o, y, x: o.add(o.mul(y, y), 1),),
)

# ---- inverse functions ------------------------------------------------------------------------------------------------------


def _asin_near(b, x):
    """asin x for |x| ≤ ½."""
    x2 = b.mul(x, x)
    return b.fma(b.mul(x, x2), polynomial(b, x2, c.ASIN_64), x)


def _asin_parts(b, x):
    """|x| ≤ ½, and asin of what stands for x: x itself, or √((1 - |x|) / 2), of which asin is half of acos |x|."""
    size = b.abs(x)
    small = b.le(size, number(b, 0.5, x))
    rest = b.sqrt(b.fma(size, number(b, -0.5, x), number(b, 0.5, x)))
    return small, _asin_near(b, b.select(small, x, rest))


def _asin_emit(b, x):
    small, y = _asin_parts(b, x)
    half_pi, low = c.HALF_PI_64[:2]
    far = b.add(b.fma(y, number(b, -2, x), number(b, half_pi, x)), number(b, low, x))
    return b.select(small, y, b.copysign(far, x))


def _acos_emit(b, x):
    small, y = _asin_parts(b, x)
    half_pi, low = (number(b, part, x) for part in c.HALF_PI_64[:2])
    far = b.add(y, y)
    left = b.add(b.sub(b.add(half_pi, half_pi), far), b.add(low, low))
    far = b.select(b.lt(x, number(b, 0, x)), left, far)
    return b.select(small, b.sub(half_pi, b.sub(y, low)), far)


def _atan2_emit(b, y, x):
    """With a ≤ c the smaller and larger size: atan(a/c), from π/4 on if a/c > √2 - 1, then reflected into its octant."""
    zero = number(b, 0, x)
    size_x, size_y = b.abs(x), b.abs(y)
    steep = b.gt(size_y, size_x)
    small, large = b.select(steep, size_x, size_y), b.select(steep, size_y, size_x)
    down = b.select(b.gt(large, number(b, 2.0**1000, x)), number(b, 2.0**-10, x), number(b, 1, x))  # a + c stays finite
    small, large = b.mul(small, down), b.mul(large, down)
    turned = b.gt(small, b.mul(large, number(b, math.sqrt(2) - 1, x)))
    t = b.div(b.select(turned, b.sub(small, large), small), b.select(turned, b.add(small, large), large))
    both_infinite = b.and_(b.eq(size_x, number(b, INFINITY, x)), b.eq(size_y, size_x))
    t = b.select(b.or_(both_infinite, b.eq(large, zero)), zero, t)
    t2 = b.mul(t, t)
    angle = b.fma(b.mul(t, t2), polynomial(b, t2, c.ATAN_64), t)
    half_pi, low = (number(b, part, x) for part in c.HALF_PI_64[:2])
    half = number(b, 0.5, x)
    eighth = b.or_(b.and_(turned, b.gt(large, zero)), both_infinite)
    angle = b.add(angle, b.select(eighth, b.mul(half_pi, half), zero))
    angle = b.add(angle, b.select(eighth, b.mul(low, half), zero))
    angle = b.select(steep, b.sub(half_pi, b.sub(angle, low)), angle)
    left = b.lt(b.copysign(number(b, 1, x), x), zero)
    angle = b.select(left, b.sub(b.add(half_pi, half_pi), b.sub(angle, b.add(low, low))), angle)
    angle = b.select(b.or_(b.is_nan(x), b.is_nan(y)), number(b, NAN, x), angle)
    # Not copysign: where it is rounded to float16 in the end, LLVM makes a call of __truncdfhf2 out of it, which is not there.
    below = b.lt(b.copysign(number(b, 1, y), y), zero)
    return b.select(below, b.neg(angle), angle)


def _root_of_one_less_square(o, x):
    """√(1 - x²), without cancellation near 1."""
    return o.sqrt(o.mul(o.sub(1, x), o.add(x, 1)))


floating("asin", "The angle in [-π/2, π/2] whose sine is x.", np.arcsin, in_double(_asin_emit), [UNIT],
         partials=(lambda o, y, x: o.reciprocal(_root_of_one_less_square(o, x)),))  # fmt: skip
floating("acos", "The angle in [0, π] whose cosine is x.", np.arccos, in_double(_acos_emit), [UNIT],
         partials=(lambda o, y, x: o.neg(o.reciprocal(_root_of_one_less_square(o, x))),))  # fmt: skip
floating("atan", "The angle in [-π/2, π/2] whose tangent is x.", np.arctan,
         in_double(lambda b, x: _atan2_emit(b, x, number(b, 1, x))), [REAL],
         partials=(lambda o, y, x: o.reciprocal(o.add(o.mul(x, x), 1)),))  # fmt: skip


def _over_square(o, a, y, x):
    """a / (x² + y²), and 0 at the origin, where the angle has no derivative."""
    square = o.add(o.mul(x, x), o.mul(y, y))
    origin = o.eq(square, 0)
    return o.where(origin, 0, o.div(a, o.where(origin, 1, square)))


floating("atan2", "The angle of the point (x, y), in [-π, π]; written atan2(y, x).", np.arctan2, in_double(_atan2_emit), [POSITIVE, REAL],
         partials=(lambda o, z, y, x: _over_square(o, x, y, x), lambda o, z, y, x: o.neg(_over_square(o, y, y, x))))  # fmt: skip

# ---- hyperbolic functions ---------------------------------------------------------------------------------------------------


def _sinh_emit(b, x):
    size = b.abs(x)
    m = expm1_of(b, at_most_one(b, size))
    near = b.mul(b.add(m, b.div(m, b.add(m, number(b, 1, x)))), number(b, 0.5, x))
    half = exp_of(b, size, halvings=1)
    far = b.sub(half, b.div(number(b, 0.25, x), half))
    return b.copysign(b.select(b.lt(size, number(b, 1, x)), near, far), x)


def at_most_one(b, x):
    """min(x, 1): what lies beyond takes another formula."""
    return b.select(b.gt(x, number(b, 1, x)), number(b, 1, x), x)


def _cosh_emit(b, x):
    half = exp_of(b, b.abs(x), halvings=1)
    return b.add(half, b.div(number(b, 0.25, x), half))


HUGE = 2.0**60  # beyond it x² + 1 is x², and log(2x) is log(1 + x) + log 2


def _asinh_emit(b, x):
    size = b.abs(x)
    huge = b.gt(size, number(b, HUGE, x))
    square = b.mul(size, size)
    more = b.div(square, b.add(number(b, 1, x), b.sqrt(b.add(square, number(b, 1, x)))))
    y = log1p_of(b, b.select(huge, size, b.add(size, more)))
    return b.copysign(b.select(huge, b.add(y, number(b, math.log(2), x)), y), x)


def _acosh_emit(b, x):
    huge = b.gt(x, number(b, HUGE, x))
    t = b.sub(x, number(b, 1, x))
    root = b.sqrt(b.mul(t, b.add(t, number(b, 2, x))))
    y = log1p_of(b, b.select(huge, x, b.add(t, root)))
    y = b.select(huge, b.add(y, number(b, math.log(2), x)), y)
    return b.select(b.lt(x, number(b, 1, x)), number(b, NAN, x), y)


def _atanh_emit(b, x):
    size = b.abs(x)
    y = log1p_of(b, b.div(b.add(size, size), b.sub(number(b, 1, x), size)))
    return b.copysign(b.mul(y, number(b, 0.5, x)), x)


floating("sinh", "The hyperbolic sine.", np.sinh, in_double(_sinh_emit), [REAL], partials=(lambda o, y, x: o.cosh(x),))
floating("cosh", "The hyperbolic cosine.", np.cosh, in_double(_cosh_emit), [REAL], partials=(lambda o, y, x: o.sinh(x),))
floating("asinh", "The inverse of sinh.", np.arcsinh, in_double(_asinh_emit), [REAL],
         partials=(lambda o, y, x: o.rsqrt(o.add(o.mul(x, x), 1)),))  # fmt: skip
floating("acosh", "The inverse of cosh, x ≥ 1.", np.arccosh, in_double(_acosh_emit), [(1.1, 4.0, "positive")],
         partials=(lambda o, y, x: o.mul(o.rsqrt(o.sub(x, 1)), o.rsqrt(o.add(x, 1))) if x.dtype.is_complex  # another branch than √(x² - 1)
                   else o.rsqrt(o.mul(o.sub(x, 1), o.add(x, 1))),))  # fmt: skip
floating("atanh", "The inverse of tanh, |x| ≤ 1.", np.arctanh, in_double(_atanh_emit), [UNIT],
         partials=(lambda o, y, x: o.reciprocal(o.mul(o.sub(1, x), o.add(x, 1))),))  # fmt: skip
