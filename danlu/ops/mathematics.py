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
from danlu.messages import Phrase
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


def in_double(emit: Any) -> Any:
    """The rule computed in float64 for float32 too."""

    def wide(b, *xs):
        if xs[0].dtype is dt.float64:
            return emit(b, *xs)
        return b.cast(emit(b, *(b.cast(x, dt.float64) for x in xs)), dt.float32)

    return wide


def floating(name: str, doc: str, numpy: Any, emit: Any, sample: Any, **derivative: Any) -> None:
    """A function of floats: integers become the default dtype before it."""
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
    if b.scales and y.dtype is dt.float32:
        return b.scaled(y, b.sub(bits, integer(b, pattern_of(1.5 * 2.0**23 + 254, y), y)))
    place = integer(b, mantissa_bits(y), y)
    half = b.shr(bits, integer(b, 1, y))
    first, second = b.shl(half, place), b.shl(b.sub(bits, half), place)
    return b.mul(b.mul(y, b.from_bits(first)), b.from_bits(second))


def power_of_two(b, bits, x, less: int = 0):
    """2ⁿ⁻ˡᵉˢˢ where that is a normal number."""
    bias = int(by_size(x, 127, 1023))
    return b.from_bits(b.shl(b.sub(bits, integer(b, bias + less, x)), integer(b, mantissa_bits(x), x)))


def exp_parts(b, x, low=None):
    """r and t with eˣ⁺ˡᵒʷ = 2ⁿ·(1 + r + t), and the bits of n. x = n·(a part of ln 2) + r exactly, |r| ≤ ln 2 / 2."""
    n, bits = nearest(b, x, constants("LOG2E", x)[0])
    two_high, two_low = (number(b, -part, x) for part in constants("LN2", x))
    r = b.fma(n, two_high, x)
    rest = b.mul(n, two_low) if low is None else b.fma(n, two_low, low)
    near = b.add(r, rest)
    return r, b.fma(b.mul(near, near), polynomial(b, near, constants("EXP", x)), rest), bits


def one_plus(b, r, t):
    """1 + r + t with one rounding that counts; |t| ≪ 1, |r| < 1."""
    one = number(b, 1, r)
    total = b.add(r, one)
    return b.add(total, b.add(t, b.sub(r, b.sub(total, one))))


def exp_of(b, x, low=None, factor=None, halvings: int = 0):
    """factor·eˣ⁺ˡᵒʷ / 2ʰᵃˡᵛⁱⁿᵍˢ; what is subnormal is rounded once, at the end."""
    x = at_least(b, at_most(b, x, by_size(x, 89.5, 711.0)), by_size(x, -104.0, -746.0))
    if x.dtype is dt.float32 and low is None:
        r, p, bits = _short_exp(b, x)
        y = b.fma(r, p, number(b, 1, x))
    else:
        r, t, bits = exp_parts(b, x, low)
        y = one_plus(b, r, t)
    if halvings:
        bits = b.sub(bits, integer(b, halvings, x))
    return scale(b, y if factor is None else b.mul(y, factor), bits)


def _short_exp(b, x, sign: int = 1):
    """r, p and the bits of n with e^±ˣ = 2ⁿ·(1 + r·p): to one unit of the last place instead of a half, with two thirds of the instructions."""
    n, bits = nearest(b, x, sign * constants("LOG2E", x)[0])
    high, low = (number(b, -sign * part, x) for part in constants("LN2", x))
    r = b.fma(n, low, b.fma(n, high, x))
    return r, polynomial(b, r, [sign ** (k + 1) * term for k, term in enumerate((1, *constants("EXP", x)))]), bits


def small_exp_of(b, x):
    """eˣ to three units of the last place where neither it nor x is large: half the instructions of `exp_of`."""
    shift = number(b, 1.5 * 2.0 ** mantissa_bits(x), x)
    moved = b.fma(x, number(b, constants("LOG2E", x)[0], x), shift)
    r = b.fma(b.sub(moved, shift), number(b, -math.log(2), x), x)
    y = b.fma(b.mul(r, r), polynomial(b, r, constants("EXP", x)), b.add(r, number(b, 1, x)))
    return b.from_bits(b.add(b.bits(y), b.shl(b.bits(moved), integer(b, mantissa_bits(x), x))))


def exp2_of(b, x):
    """2ˣ"""
    x = at_least(b, at_most(b, x, by_size(x, 128.0, 1024.0)), by_size(x, -151.0, -1076.0))
    n, bits = nearest(b, x, 1.0)
    r = b.sub(x, n)
    return scale(b, b.fma(r, polynomial(b, r, constants("EXP2", x)), number(b, 1, x)), bits)


def expm1_of(b, x):
    """eˣ - 1 = 2ⁿ·q + (2ⁿ - 1), halved until the end so that 2ⁿ exists for the largest n."""
    inside = at_least(b, at_most(b, x, by_size(x, 88.8, 709.9)), by_size(x, -25.0, -45.0))
    r, t, bits = exp_parts(b, inside)
    half = power_of_two(b, bits, x, 1)
    y = b.fma(half, b.add(r, t), b.sub(half, number(b, 0.5, x)))
    tiny = b.lt(b.abs(x), number(b, by_size(x, 2.0**-25, 2.0**-54), x))
    return b.select(tiny, x, b.add(y, y))


def sigmoid_of(b, x):
    """1 / (1 + e⁻ˣ); the denominator times 2⁻⁶⁴ is finite where the result is subnormal."""
    inside = at_least(b, at_most(b, x, 40.0), by_size(x, -104.0, -746.0))
    r, p, bits = _short_exp(b, inside, -1)
    power, down = power_of_two(b, bits, x, 64), number(b, 2.0**-64, x)
    return b.mul(b.div(number(b, 1, x), b.add(b.fma(power, b.mul(r, p), down), power)), down)


def tanh_of(b, x):
    """(1 - e) / (1 + e) with the sign of x, e = e^-|2x| = 2ⁿ·(1 - part): of quotients like it the one whose two parts are rounded least."""
    size, one = b.abs(x), number(b, 1, x)
    inside = at_most(b, size, by_size(x, 10.0, 20.0))
    n, bits = nearest(b, inside, -2 * constants("LOG2E", x)[0])
    half = b.fma(n, number(b, constants("LN2", x)[0] / 2, x), inside)
    terms = [-4 * (-2.0) ** k * term for k, term in enumerate(constants("EXP", x))]
    part = b.fma(b.mul(half, half), polynomial(b, half, terms), b.add(half, half))
    power = power_of_two(b, bits, x)
    less, more = b.fma(power, part, b.sub(one, power)), b.fma(b.neg(power), part, b.add(one, power))
    return b.copysign(b.div(less, more), x)


def _sigmoid_numpy(x):
    if x.dtype.kind == "c":
        return 1 / (1 + np.exp(-x))
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1).astype(x.dtype) / (1 + e)


def _expm1_numpy(x):
    """NumPy's, of complex numbers with what C99 says of eˣ: its own formula makes NaN of 0 · ∞. At infinity the one less is exact."""
    out: Any = np.asarray(np.expm1(x))
    if x.dtype.kind == "c":
        e = np.exp(x)
        out.real, out.imag = np.where(np.isinf(x.real), e.real - 1, out.real), e.imag
    return out


floating("exp", "eˣ", np.exp, exp_of, [REAL], partials=(lambda o, y, x: y,))
floating("exp2", "2ˣ", np.exp2, exp2_of, [REAL], partials=(lambda o, y, x: o.mul(y, math.log(2)),))
floating("expm1", "eˣ - 1, accurate near 0.", _expm1_numpy, expm1_of, [REAL], partials=(lambda o, y, x: o.add(y, 1),))
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
    y = log_limits(b, x, log_sum(b, b.cast(k, x.dtype), f, log_tail(b, f)), -1.0)
    return b.select(b.eq(x, number(b, 0, x)), x, y)  # -0 stays -0


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


def product(b, x, y):
    """x·y as a sum of two floats, exact."""
    high = b.mul(x, y)
    return high, b.fma(x, y, b.neg(high))


def sum_in_order(b, x, y):
    """x + y as a sum of two floats, exact where |x| ≥ |y| or x = 0."""
    high = b.add(x, y)
    return high, b.sub(y, b.sub(high, x))


def log_in_two(b, x):
    """log x of a positive float64 as a sum of two floats, to 2⁻⁶⁴: 2·artanh(s), the first terms of its series in two parts."""
    k, f = log_parts(b, x)
    whole, lost = sum_in_order(b, number(b, 2, x), f)
    s = b.div(f, whole)
    s_low = b.div(b.fma(b.neg(s), lost, b.fma(b.neg(s), whole, f)), whole)
    s2, s2_low = product(b, s, s)
    s2_low = b.fma(b.add(s, s), s_low, s2_low)
    third = c.LOG_64_FIRST  # 2 / 3 in two parts
    p, p_low = sum_in_order(b, number(b, third[0], x), b.mul(s2, polynomial(b, s2, c.LOG_64_REST)))
    p_low = b.add(p_low, number(b, third[1], x))
    q, q_low = product(b, p, s2)
    q_low = b.add(q_low, b.fma(p, s2_low, b.mul(p_low, s2)))
    tail = b.mul(q, s)
    tail_low = b.fma(q, s_low, b.fma(q_low, s, b.fma(q, s, b.neg(tail))))
    doubled, low = sum_in_order(b, b.add(s, s), tail)
    high_two, low_two = (number(b, part, x) for part in c.LN2_64)
    power, power_low = product(b, k, high_two)
    total, rest = sum_in_order(b, power, doubled)
    rest = b.add(rest, b.add(b.add(low, b.fma(k, low_two, power_low)), b.fma(s_low, number(b, 2, x), tail_low)))
    return total, rest


def _power_of_positive(b, x, y):
    """xʸ of float64, x ≥ 0; 64 bits of log x where the result has to be good to 53."""
    log, log_low = log_in_two(b, x)
    log_low = b.select(b.and_(b.gt(x, number(b, 0, x)), b.lt(x, number(b, INFINITY, x))), log_low, number(b, 0, x))
    exponent, low = product(b, y, log_limits(b, x, log))
    low = b.fma(y, log_low, low)
    inside = b.lt(b.abs(exponent), number(b, 800.0, x))
    return exp_of(b, exponent, b.select(inside, low, number(b, 0, x)))


def _pow_float(b, x, y):
    if x.dtype is dt.float32:
        x, y = b.cast(x, dt.float64), b.cast(y, dt.float64)
        return b.cast(_pow_cases(b, x, y, exp_of(b, b.mul(y, log_of(b, b.abs(x))))), dt.float32)
    return _pow_cases(b, x, y, _power_of_positive(b, b.abs(x), y))


def _pow_cases(b, x, y, power):
    """The sign of a negative base, and what C's pow says of 0, 1, infinity and NaN; `power` is |x|ʸ elsewhere."""
    one, zero, infinity = number(b, 1, x), number(b, 0, x), number(b, INFINITY, x)
    half = b.mul(y, number(b, 0.5, y))
    whole = b.eq(b.floor(y), y)
    odd = b.and_(whole, b.ne(b.floor(half), half))
    power = b.select(odd, b.copysign(power, x), power)
    undefined = b.and_(b.and_(b.lt(x, zero), b.not_(whole)), b.gt(x, b.neg(infinity)))
    power = b.select(undefined, number(b, NAN, x), power)
    unit = b.and_(b.eq(b.abs(x), one), b.eq(b.abs(y), infinity))
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
    if x.dtype.kind in "fc":
        return np.power(x, y)
    inverse = np.where(np.abs(x) == 1, np.where(y % 2 == 1, x, 1), 0)
    return np.where(y < 0, inverse, np.power(x, np.where(y < 0, 0, y))).astype(x.dtype)


def _pow_base(o, z, x, y):
    """y·xʸ⁻¹, and 0 for y = 0 whatever x is: the exponent is made harmless there."""
    exponent = o.where(o.eq(y, 0), 1, y)
    return o.mul(y, o.pow(x, o.sub(exponent, 1)))


def _pow_exponent(o, z, x, y):
    """xʸ·log x; 0 where x = 0 and y ≥ 0. The logarithm of 0 is never taken there, so that no 0·∞ comes in later derivatives."""
    flat = o.logical_and(o.eq(x, 0), o.ge(o.real(y) if y.dtype.is_complex else y, 0))
    return o.mul(z, o.where(flat, 0, o.log(o.where(flat, 1, x))))


elementwise("pow", "xʸ; for integers with y < 0: 1/x⁻ʸ towards zero.", numpy=quiet(_pow_numpy),
            emit=lambda b, x, y: (_pow_float if x.dtype.kind == "f" else _pow_integer)(b, x, y),
            partials=(_pow_base, _pow_exponent), sample=[POSITIVE, REAL],
            infer=no_bool("pow", "same", Phrase("Convert first: x.to(danlu.int64)")))  # fmt: skip
