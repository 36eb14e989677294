"""L2. Composites of elementwise ops: everyday functions that are a line or two of others."""

from __future__ import annotations

import math

from danlu import dtype as dt
from danlu.graph import Node
from danlu.ops.table import composite


def _real(o, x: Node) -> Node:
    """x as a float: integers and bools become the default dtype."""
    return x if x.dtype.differentiable else o.cast(x, dtype=dt.default())


@composite
def frac(o, x: Node) -> Node:
    """x without its whole part, with the sign of x."""
    return o.sub(x, o.trunc(x))


@composite
def sinc(o, x: Node) -> Node:
    """sin(πx) / (πx), and 1 at 0; near 0 the series 1 - z²/6 + z⁴/120 - z⁶/5040, whose derivatives do not cancel there."""
    z = o.mul(_real(o, x), math.pi)
    small = o.lt(o.abs(z), 0.02)
    safe, square = o.where(small, 1.0, z), o.where(small, o.mul(z, z), 0.0)
    series = o.sub(1.0, o.mul(square, o.sub(1 / 6, o.mul(square, o.sub(1 / 120, o.div(square, 5040.0))))))
    return o.where(small, series, o.div(o.sin(safe), safe))


@composite
def deg2rad(o, x: Node) -> Node:
    """Degrees as radians."""
    return o.mul(_real(o, x), math.pi / 180)


@composite
def rad2deg(o, x: Node) -> Node:
    """Radians as degrees."""
    return o.mul(_real(o, x), 180 / math.pi)


@composite(attrs=("eps",))
def logit(o, x: Node, eps: float | None) -> Node:
    """log(x / (1 - x)), x first kept inside [ε, 1 - ε] where ε is given; else NaN outside 0 … 1, and so is the derivative."""
    x = _real(o, x)
    if eps is None:
        x = o.mul(x, o.where(o.logical_or(o.lt(x, 0.0), o.gt(x, 1.0)), math.nan, 1.0))
    else:
        x = o.clamp_max(o.clamp_min(x, o.number(eps, x.dtype)), o.number(1 - eps, x.dtype))
    return o.log(o.div(x, o.sub(1.0, x)))


@composite
def clamp_min(o, x: Node, low: Node) -> Node:
    """x, or the bound where x is below it (or the bound is NaN); the derivative at the bound is that of x."""
    return o.where(o.logical_or(o.lt(x, low), o.ne(low, low)), low, x)


@composite
def clamp_max(o, x: Node, high: Node) -> Node:
    """x, or the bound where x is above it (or the bound is NaN); the derivative at the bound is that of x."""
    return o.where(o.logical_or(o.gt(x, high), o.ne(high, high)), high, x)


@composite
def lerp(o, x: Node, end: Node, weight: Node) -> Node:
    """x + weight · (end - x)"""
    return o.add(x, o.mul(weight, o.sub(end, x)))


@composite
def addcmul(o, x: Node, first: Node, second: Node, value: Node) -> Node:
    """x + value · first · second"""
    return o.add(x, o.mul(o.mul(value, first), second))


@composite
def addcdiv(o, x: Node, first: Node, second: Node, value: Node) -> Node:
    """x + value · first / second"""
    return o.add(x, o.div(o.mul(value, first), second))


@composite(attrs=("nan", "posinf", "neginf"))
def nan_to_num(o, x: Node, nan: float | None, posinf: float | None, neginf: float | None) -> Node:
    """NaN and the infinities replaced: by 0 and by the largest numbers of the dtype, if nothing else is said."""
    if not x.dtype.is_floating_point:
        return o.stop(x)
    limits = dt.limits(x.dtype)
    high = float(limits.max) if posinf is None else float(posinf)
    low = float(limits.min) if neginf is None else float(neginf)
    x = o.where(o.isnan(x), float(nan or 0.0), x)
    return o.where(o.eq(x, math.inf), high, o.where(o.eq(x, -math.inf), low, x))


@composite(attrs=("decimals",))
def round_decimals(o, x: Node, decimals: int) -> Node:
    """x rounded to a number of decimals (negative: to tens, hundreds …), halves to even."""
    power = 10.0 ** abs(decimals)
    if decimals >= 0:
        return o.div(o.round(o.mul(x, power)), power)
    return o.mul(o.round(o.div(x, power)), power)


@composite
def div_trunc(o, x: Node, y: Node) -> Node:
    """x / y rounded toward zero, in the dtype of the inputs."""
    quotient = o.div(x, y)
    whole = o.sub(x, o.fmod(x, y))
    return o.trunc(quotient) if whole.dtype.is_floating_point else o.floor_divide(whole, y)


@composite(attrs=("rtol", "atol", "equal_nan"))
def isclose(o, x: Node, y: Node, rtol: float, atol: float, equal_nan: bool) -> Node:
    """|x - y| ≤ atol + rtol |y|, or x = y."""
    equal = o.eq(x, y)
    if x.dtype.differentiable and equal_nan:
        equal = o.logical_or(equal, o.logical_and(o.isnan(x), o.isnan(y)))
    difference, size = o.abs(o.sub(_real(o, x), _real(o, y))), o.abs(_real(o, y))
    near = o.logical_and(o.le(difference, o.add(o.mul(size, rtol), atol)), o.isfinite(difference))
    return o.logical_or(equal, near)


@composite
def signbit(o, x: Node) -> Node:
    """True where the sign is negative, also of -0."""
    if not x.dtype.is_floating_point:
        return o.lt(x, 0)
    return o.lt(o.copysign(1.0, x), 0.0)


@composite
def ldexp(o, x: Node, exponent: Node) -> Node:
    """x · 2ⁿ"""
    return o.mul(_real(o, x), o.exp2(_real(o, exponent)))
