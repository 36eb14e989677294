"""L2. bfloat16 to and from the float32 that computes for it: the only two ops that know how such a number lies in memory.

A bfloat16 is the upper half of a float32: sign, 8 bits of exponent, 7 of fraction. Programs hold it as uint16 (compile/bfloat16.py).
"""

from __future__ import annotations

from danlu import dtype as dt
from danlu.graph import Node, Spec
from danlu.ops.table import elementwise


def _bits_emit(b, x):
    """Adds a little less than half of the last place that stays, or half where that place is odd; a NaN only gets its quiet bit."""
    pattern = b.cast(b.bits(x), dt.uint32)
    upper = b.shr(pattern, b.const(16, dt.uint32))
    step = b.add(b.and_(upper, b.const(1, dt.uint32)), b.const(0x7FFF, dt.uint32))
    rounded = b.shr(b.add(pattern, step), b.const(16, dt.uint32))
    return b.cast(b.select(b.is_nan(x), b.or_(upper, b.const(0x40, dt.uint32)), rounded), dt.uint16)


def _bits_rewrite(x: Node) -> Node | None:
    return x.inputs[0] if x.op is VALUES else None


BITS = elementwise(
    "bfloat16_bits", "The 16 bits of the bfloat16 nearest to a float32, of two the even one.",
    infer=lambda x: Spec(x.shape, dt.uint16), operands=lambda specs, out: (dt.float32,), numpy=dt.bfloat16_bits, emit=_bits_emit,
    rewrite=_bits_rewrite, partials=(None,),
)  # fmt: skip

VALUES = elementwise(
    "bfloat16_values", "The float32 that equals the bfloat16 of these 16 bits.",
    infer=lambda x: Spec(x.shape, dt.float32), operands=lambda specs, out: (dt.uint16,), numpy=dt.bfloat16_values,
    emit=lambda b, x: b.from_bits(b.shl(b.cast(x, dt.uint32), b.const(16, dt.uint32))), partials=(None,),
)  # fmt: skip
