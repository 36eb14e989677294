"""L2. Opaque elementwise ops without rounding: greatest common divisors, the next float, a float taken apart. Operands of one shape and dtype."""

from __future__ import annotations

import numpy as np

from danlu import dtype as dt
from danlu.errors import DTypeError
from danlu.graph import OPAQUE, Node, Op, Spec
from danlu.ops.elementwise import quiet
from danlu.ops.table import composite, register, together


def _pair(name: str, doc: str, function: np.ufunc) -> None:
    """An op on two operands of one shape and dtype; the derivative is that of the first one itself."""
    register(
        Op(name, OPAQUE, doc, infer=lambda x, y: Spec(x.shape, x.dtype), numpy=quiet(function), vjp=lambda o, g, z, x, y: (g, None),
           jvp=lambda o, z, xs, dxs: dxs[0])
    )  # fmt: skip


_pair("common_divisor", "The greatest common divisor of integers of one shape and dtype.", np.gcd)
_pair("common_multiple", "The least common multiple of integers of one shape and dtype.", np.lcm)
_pair("next_float", "The float that follows x on the way to y, of one shape and dtype.", np.nextafter)


@composite
def gcd(o, x: Node, y: Node) -> Node:
    """The greatest common divisor, not negative."""
    return o.common_divisor(*together(o, "gcd", x, y, whole=True))


@composite
def lcm(o, x: Node, y: Node) -> Node:
    """The least common multiple, not negative."""
    return o.common_multiple(*together(o, "lcm", x, y, whole=True))


@composite
def nextafter(o, x: Node, y: Node) -> Node:
    """The float that follows x on the way to y."""
    if dt.bfloat16 in (x.dtype, y.dtype):
        raise DTypeError("nextafter: an input has dtype bfloat16; expected float32 or float64: write x.float()")
    return o.next_float(*together(o, "nextafter", x, y))


def _frexp_infer(x: Spec) -> tuple[Spec, Spec]:
    return Spec(x.shape, x.dtype), Spec(x.shape, dt.int32)


def _frexp_slope(o, exponent: Node, g: Node) -> Node:
    return o.mul(g, o.exp2(o.neg(o.cast(exponent, dtype=g.dtype))))


register(
    Op("frexp", OPAQUE, "m and n with x = m · 2ⁿ, ½ ≤ |m| < 1.", infer=_frexp_infer, numpy=quiet(lambda x: tuple(np.frexp(x))),
       vjp=lambda o, gs, ys, x: (_frexp_slope(o, ys[1], gs[0]),), jvp=lambda o, ys, xs, dxs: (_frexp_slope(o, ys[1], dxs[0]), None))
)  # fmt: skip
