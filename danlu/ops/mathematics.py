"""L2. Elementwise records: exponentials, logarithms, powers, trigonometry and their relatives.

Each function is a range reduction and a minimax polynomial; the coefficients are made by tools/coefficients.py, the errors are
measured by tools/accuracy.py. The rare functions compute float32 in float64: half the lanes, no second polynomial.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.ops import coefficients as c
from danlu.ops.elementwise import REAL, no_bool, quiet
from danlu.ops.table import elementwise

POSITIVE, UNIT = (0.1, 4.0, "positive"), (-0.9, 0.9, "unit")
INFINITY, NAN = float("inf"), float("nan")


def constants(name: str, x: Any) -> Sequence[float]:
    """The coefficients of this name for the dtype of x."""
    return getattr(c, f"{name}_{x.dtype.itemsize * 8}")


def polynomial(b, x, terms: Sequence[float]):
    """Σ terms[i]·xⁱ by Horner's rule: the loop around it overlaps the chains of several vectors."""
    y = b.const(terms[-1], x.dtype)
    for term in reversed(terms[:-1]):
        y = b.fma(y, x, b.const(term, x.dtype))
    return y


def number(b, value: float, x):
    """A constant of x's dtype."""
    return b.const(value, x.dtype)


def integer(b, value: int, x):
    """A constant of the integer type that holds the bits of x's dtype."""
    return b.const(value, dt.int32 if x.dtype is dt.float32 else dt.int64)


def mantissa_bits(x) -> int:
    """The stored bits of the mantissa: 23 or 52."""
    return 23 if x.dtype is dt.float32 else 52


def pattern_of(value: float, x) -> int:
    """The bits of a number in x's dtype, as an integer."""
    return int(np.asarray(value, x.dtype.numpy).view(np.int32 if x.dtype is dt.float32 else np.int64))


def by_size(x, single: float, double: float) -> float:
    """The limit for float32 or for float64."""
    return single if x.dtype is dt.float32 else double


def at_most(b, x, high: float):
    """min(x, high); NaN stays NaN."""
    return b.select(b.gt(x, number(b, high, x)), number(b, high, x), x)


def at_least(b, x, low: float):
    """max(x, low); NaN stays NaN."""
    return b.select(b.lt(x, number(b, low, x)), number(b, low, x), x)


def floating(name: str, doc: str, numpy: Any, emit: Any, sample: Any, **derivative: Any) -> None:
    """A function of floats: integers become float32 before it."""
    elementwise(name, doc, numpy=quiet(numpy), emit=emit, result="float", sample=sample, **derivative)


# ---- exponentials ---------------------------------------------------------------------------------------------------------
# n = round(x·log₂e) is found by adding 1.5·2^23 (1.5·2^52): the sum has n in its last bits. 2·bias is added to it as well, so
# that the bits, halved and shifted into the place of the exponent, are two powers of two whose product is 2ⁿ, even where 2ⁿ or
# the result is subnormal or too large for one factor.


def nearest(b, x, factor: float):
    """The integer n next to x·factor as a float, and the bits whose end is n + 2·bias."""
    shift = 1.5 * 2.0 ** mantissa_bits(x) + by_size(x, 254, 2046)
    moved = b.fma(x, number(b, factor, x), number(b, shift, x))
    return b.sub(moved, number(b, shift, x)), b.bits(moved)


def scale(b, y, bits):
    """y·2ⁿ, rounded once."""
    place = integer(b, mantissa_bits(y), y)
    half = b.shr(bits, integer(b, 1, y))
    first, second = b.shl(half, place), b.shl(b.sub(bits, half), place)
    return b.mul(b.mul(y, b.from_bits(first)), b.from_bits(second))


def power_of_two(b, bits, x, less: int = 0):
    """2ⁿ⁻ˡᵉˢˢ where that is a normal number."""
    bias = int(by_size(x, 127, 1023))
    return b.from_bits(b.shl(b.sub(bits, integer(b, bias + less, x)), integer(b, mantissa_bits(x), x)))


def exp_parts(b, x):
    """q = eʳ - 1 and the bits of n, where x = n·ln 2 + r and |r| ≤ ln 2 / 2."""
    n, bits = nearest(b, x, constants("LOG2E", x)[0])
    r = x
    for part in constants("LN2", x):
        r = b.fma(n, number(b, -part, x), r)
    return b.fma(b.mul(r, r), polynomial(b, r, constants("EXP", x)), r), bits


def exp_of(b, x):
    """eˣ"""
    x = at_least(b, at_most(b, x, by_size(x, 88.8, 709.9)), by_size(x, -104.0, -746.0))
    q, bits = exp_parts(b, x)
    return scale(b, b.add(q, number(b, 1, x)), bits)


def exp2_of(b, x):
    """2ˣ"""
    x = at_least(b, at_most(b, x, by_size(x, 128.0, 1024.0)), by_size(x, -151.0, -1076.0))
    n, bits = nearest(b, x, 1.0)
    r = b.sub(x, n)
    return scale(b, b.fma(r, polynomial(b, r, constants("EXP2", x)), number(b, 1, x)), bits)


def expm1_of(b, x):
    """eˣ - 1 = 2ⁿ·q + (2ⁿ - 1), halved until the end so that 2ⁿ exists for the largest n."""
    inside = at_least(b, at_most(b, x, by_size(x, 88.8, 709.9)), by_size(x, -25.0, -45.0))
    q, bits = exp_parts(b, inside)
    half = power_of_two(b, bits, x, 1)
    y = b.fma(half, q, b.sub(half, number(b, 0.5, x)))
    tiny = b.lt(b.abs(x), number(b, by_size(x, 2.0**-25, 2.0**-54), x))
    return b.select(tiny, x, b.add(y, y))


def sigmoid_of(b, x):
    """e⁻ˣ is never larger than 1 here, so nothing overflows and small results keep all their digits."""
    e = exp_of(b, b.neg(b.abs(x)))
    top = b.select(b.lt(x, number(b, 0, x)), e, number(b, 1, x))
    return b.div(top, b.add(e, number(b, 1, x)))


def tanh_of(b, x):
    """(e²ˣ - 1) / (e²ˣ + 1) of |x|, with the sign of x."""
    doubled = at_most(b, b.abs(b.add(x, x)), by_size(x, 20.0, 40.0))
    q, bits = exp_parts(b, doubled)
    power = power_of_two(b, bits, x)
    less_one = b.fma(power, q, b.sub(power, number(b, 1, x)))
    return b.copysign(b.div(less_one, b.add(less_one, number(b, 2, x))), x)


def _sigmoid_numpy(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1).astype(x.dtype) / (1 + e)


floating("exp", "eˣ", np.exp, exp_of, [REAL], partials=(lambda o, y, x: y,))
floating("exp2", "2ˣ", np.exp2, exp2_of, [REAL], partials=(lambda o, y, x: o.mul(y, math.log(2)),))
floating("expm1", "eˣ - 1, accurate near 0.", np.expm1, expm1_of, [REAL], partials=(lambda o, y, x: o.add(y, 1),))
floating("sigmoid", "1 / (1 + e⁻ˣ)", _sigmoid_numpy, sigmoid_of, [REAL], partials=(lambda o, y, x: o.mul(y, o.sub(1, y)),))
floating("tanh", "The hyperbolic tangent.", np.tanh, tanh_of, [REAL], partials=(lambda o, y, x: o.sub(1, o.mul(y, y)),))

# ---- logarithms -----------------------------------------------------------------------------------------------------------


def log_parts(b, x):
    """k and f with x = 2ᵏ·(1 + f), √½ ≤ 1 + f < √2, for finite x > 0."""
    size = mantissa_bits(x)
    smallest, lift = by_size(x, 2.0**-126, 2.0**-1022), 2.0**size
    small = b.lt(x, number(b, smallest, x))
    x = b.select(small, b.mul(x, number(b, lift, x)), x)
    low = integer(b, pattern_of(math.sqrt(0.5), x), x)
    k = b.shr(b.sub(b.bits(x), low), integer(b, size, x))
    f = b.sub(b.from_bits(b.sub(b.bits(x), b.shl(k, integer(b, size, x)))), number(b, 1, x))
    k = b.sub(b.cast(k, x.dtype), b.select(small, number(b, size, x), number(b, 0, x)))
    return k, f


def log_tail(b, f):
    """log(1 + f) - f"""
    half_square = b.mul(b.mul(f, f), number(b, 0.5, f))
    if f.dtype is dt.float32:
        return b.sub(b.mul(b.mul(b.mul(f, f), f), polynomial(b, f, c.LOG_32)), half_square)
    s = b.div(f, b.add(f, number(b, 2, f)))  # log(1 + f) = 2·artanh(s)
    s2 = b.mul(s, s)
    rest = b.mul(s2, polynomial(b, s2, c.LOG_64))
    return b.sub(b.mul(s, b.add(half_square, rest)), half_square)


def log_sum(b, k, f, tail):
    """k·ln 2 + f + tail"""
    high, low = constants("LN2", f)
    return b.fma(k, number(b, high, f), b.add(f, b.fma(k, number(b, low, f), tail)))


def log_limits(b, x, y, zero: float = 0.0):
    """y where x is positive and finite; the limits of a logarithm elsewhere, `zero` being where it is -∞."""
    at_zero = b.select(b.eq(x, number(b, zero, x)), number(b, -INFINITY, x), number(b, NAN, x))
    y = b.select(b.lt(x, number(b, INFINITY, x)), y, x)
    return b.select(b.le(x, number(b, zero, x)), at_zero, y)


def log_of(b, x):
    """The natural logarithm."""
    k, f = log_parts(b, x)
    return log_limits(b, x, log_sum(b, k, f, log_tail(b, f)))


def log1p_of(b, x):
    """1 + x = 2ᵏ·(1 + f) with k from the rounded sum; f = 2⁻ᵏ·x + (2⁻ᵏ - 1) has no rounding of 1 + x in it."""
    size = mantissa_bits(x)
    low = integer(b, pattern_of(math.sqrt(0.5), x), x)
    k = b.shr(b.sub(b.bits(b.add(x, number(b, 1, x))), low), integer(b, size, x))
    place = b.shl(k, integer(b, size, x))
    four = b.from_bits(b.sub(integer(b, pattern_of(4.0, x), x), place))  # 4·2⁻ᵏ: 2⁻ᵏ itself may be subnormal
    scaled = b.from_bits(b.sub(b.bits(x), place))
    f = b.add(scaled, b.fma(four, number(b, 0.25, x), number(b, -1, x)))
    return log_limits(b, x, log_sum(b, b.cast(k, x.dtype), f, log_tail(b, f)), -1.0)


def _other_base(name: str, whole: Sequence[float] | None):
    """log in another base: (k·ln 2 + f + tail)·factor, the products in two parts."""

    def emit(b, x):
        k, f = log_parts(b, x)
        tail = log_tail(b, f)
        high, low = constants(name, x)
        small = b.fma(tail, number(b, high, x), b.mul(f, number(b, low, x)))
        if whole is None:  # base 2: k itself
            return log_limits(b, x, b.add(k, b.fma(f, number(b, high, x), small)))
        two_high, two_low = constants("LOG10_2", x)
        rest = b.fma(f, number(b, high, x), b.fma(k, number(b, two_low, x), small))
        return log_limits(b, x, b.fma(k, number(b, two_high, x), rest))

    return emit


floating("log", "The natural logarithm.", np.log, log_of, [POSITIVE], partials=(lambda o, y, x: o.reciprocal(x),))
floating(
    "log1p",
    "log(1 + x), accurate near 0.",
    np.log1p,
    log1p_of,
    [(-0.9, 4.0, "real")],
    partials=(lambda o, y, x: o.reciprocal(o.add(x, 1)),),
)
floating("log2", "The logarithm to base 2.", np.log2, _other_base("LOG2E", None), [POSITIVE],
         partials=(lambda o, y, x: o.reciprocal(o.mul(x, math.log(2))),))  # fmt: skip
floating("log10", "The logarithm to base 10.", np.log10, _other_base("LOG10E", c.LOG10_2_64), [POSITIVE],
         partials=(lambda o, y, x: o.reciprocal(o.mul(x, math.log(10))),))  # fmt: skip

# ---- roots and powers -------------------------------------------------------------------------------------------------------


def _rsqrt_emit(b, x):
    return b.div(number(b, 1, x), b.sqrt(x))


floating("sqrt", "The square root; its derivative at 0 is ∞.", np.sqrt, lambda b, x: b.sqrt(x), [POSITIVE],
         partials=(lambda o, y, x: o.div(0.5, y),))  # fmt: skip
floating(
    "rsqrt",
    "1 / √x",
    lambda x: 1 / np.sqrt(x),
    _rsqrt_emit,
    [POSITIVE],
    partials=(lambda o, y, x: o.mul(-0.5, o.mul(y, o.mul(y, y))),),
)


def _pow_float(b, x, y):
    if x.dtype is dt.float32:
        return b.cast(_pow_float(b, b.cast(x, dt.float64), b.cast(y, dt.float64)), dt.float32)
    one, zero = number(b, 1, x), number(b, 0, x)
    half = b.mul(y, number(b, 0.5, y))
    whole = b.eq(b.floor(y), y)
    odd = b.and_(whole, b.ne(b.floor(half), half))
    size = b.abs(x)
    power = exp_of(b, b.mul(y, log_of(b, size)))
    power = b.select(odd, b.copysign(power, x), power)
    undefined = b.and_(b.and_(b.lt(x, zero), b.not_(whole)), b.lt(size, number(b, INFINITY, x)))
    power = b.select(b.and_(undefined, b.eq(y, y)), number(b, NAN, x), power)
    unit = b.and_(b.eq(size, one), b.eq(b.abs(y), number(b, INFINITY, y)))
    return b.select(b.or_(b.or_(b.eq(y, zero), b.eq(x, one)), unit), one, power)


def _pow_integer(b, x, y):
    """By squaring, one step a bit of the exponent; a negative exponent gives what is left of 1/xⁿ towards zero."""
    one, zero = b.const(1, x.dtype), b.const(0, x.dtype)
    result, square = one, x
    for place in range(x.dtype.itemsize * 8 - (x.dtype.kind == "i")):
        bit = b.and_(b.shr(y, b.const(place, y.dtype)), one)
        result = b.select(b.ne(bit, zero), b.mul(result, square), result)
        square = b.mul(square, square)
    if x.dtype.kind != "i":
        return result
    sign = b.select(b.ne(b.and_(y, one), zero), x, one)
    fraction = b.select(b.or_(b.eq(x, one), b.eq(x, b.const(-1, x.dtype))), sign, zero)
    return b.select(b.lt(y, zero), fraction, result)


def _pow_numpy(x, y):
    if x.dtype.kind == "f":
        return np.power(x, y)
    inverse = np.where(np.abs(x) == 1, np.where(y % 2 == 1, x, 1), 0)
    return np.where(y < 0, inverse, np.power(x, np.where(y < 0, 0, y))).astype(x.dtype)


def _pow_base(o, z, x, y):
    """y·xʸ⁻¹, and 0 for y = 0 whatever x is: the exponent is made harmless there."""
    exponent = o.where(o.eq(y, 0), 1, y)
    return o.mul(y, o.pow(x, o.sub(exponent, 1)))


def _pow_exponent(o, z, x, y):
    """xʸ·log x; 0 where x = 0 and y ≥ 0. The logarithm of 0 is never taken there, so that no 0·∞ comes in later derivatives."""
    flat = o.logical_and(o.eq(x, 0), o.ge(y, 0))
    return o.mul(z, o.where(flat, 0, o.log(o.where(flat, 1, x))))


elementwise("pow", "xʸ; for integers with y < 0: 1/x⁻ʸ towards zero.", numpy=quiet(_pow_numpy),
            emit=lambda b, x, y: (_pow_float if x.dtype.kind == "f" else _pow_integer)(b, x, y),
            partials=(_pow_base, _pow_exponent), sample=[POSITIVE, REAL],
            infer=no_bool("pow", "same", "Convert first: x.to(danlu.int64)"))  # fmt: skip

# ---- trigonometry -----------------------------------------------------------------------------------------------------------


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


def _circle(turn: int):
    """sin(x + turn·π/2)"""

    def emit(b, x):
        n, r = quarter_turns(b, x)
        n = b.add(n, integer(b, turn, x)) if turn else n
        sine, cosine = sine_and_cosine(b, r)
        one, two = integer(b, 1, x), integer(b, 2, x)
        y = b.select(b.ne(b.and_(n, one), integer(b, 0, x)), cosine, sine)
        sign = b.shl(b.and_(n, two), integer(b, int(by_size(x, 30, 62)), x))
        return b.from_bits(b.xor(b.bits(y), sign))

    return emit


floating("sin", "The sine of an angle in radians.", np.sin, _circle(0), [REAL], partials=(lambda o, y, x: o.cos(x),))
floating("cos", "The cosine of an angle in radians.", np.cos, _circle(1), [REAL], partials=(lambda o, y, x: o.neg(o.sin(x)),))
