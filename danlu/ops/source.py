"""L2. Sources: values that no other value gives. And three nodes of bookkeeping: `pick`, `stop`, `carry`."""

from __future__ import annotations

import numpy as np

from danlu.dtype import DType, bfloat16, float32
from danlu.graph import ELEMENTWISE, OPAQUE, SOURCE, Node, Op, Spec
from danlu.graph import PICK as PICK_FAMILY
from danlu.ops.table import as_dtype, composite, register


def _const_infer(value, dtype: DType) -> Spec:
    return Spec((), dtype)


def _const_numpy(value: float, dtype: DType) -> np.ndarray:
    if dtype.kind in "iu":  # integers wrap: -1 as uint8 is 255
        return np.asarray(value).astype(dtype.numpy)
    return np.asarray(value, dtype.numpy)


def _iota_infer(shape: tuple[int, ...], dtype: DType) -> Spec:
    return Spec(tuple(shape), dtype)


def _iota_numpy(shape: tuple[int, ...], dtype: DType):
    return np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape).astype(dtype.numpy)


CONST = register(
    Op("const", SOURCE, "A scalar that is part of the program.", attrs=("value", "dtype"), infer=_const_infer,
       numpy=_const_numpy)
)  # fmt: skip

NUMBER = register(
    Op("number", SOURCE, "A Python number given to the program at run time, so that it may change from call to call.",
       attrs=("slot", "dtype"), infer=lambda slot, dtype: Spec((), dtype))
)  # fmt: skip

IOTA = register(
    Op("iota", SOURCE, "The number of each element in row-major order: 0, 1, 2 …", attrs=("shape", "dtype"), infer=_iota_infer, numpy=_iota_numpy)
)  # fmt: skip

BUFFER = register(
    Op("buffer", SOURCE, "Memory that already holds its value: an input of a program.", attrs=("slot", "spec"), infer=lambda slot, spec: spec)
)  # fmt: skip

STOP = register(
    Op("stop", ELEMENTWISE, "The same value, with no derivative (detach).", infer=lambda x: x, numpy=lambda x: x,
       emit=lambda b, x: x, rewrite=lambda x: x, vjp=lambda o, g, y, x: (None,), jvp=lambda o, y, xs, dxs: None, folds=lambda specs, out: (None,))
)  # fmt: skip

# The value of the first input, the derivative of the second: a value that was computed by an earlier program (first) keeps its
# history (second), and a straight-through estimator is the same thing.
CARRY = register(
    Op("carry", ELEMENTWISE, "The value of the first input with the derivative of the second.", infer=lambda v, x: x, numpy=lambda v, x: v,
       emit=lambda b, v, x: v, rewrite=lambda v, x: v, vjp=lambda o, g, y, v, x: (None, g), jvp=lambda o, y, xs, dxs: dxs[1],
       folds=lambda specs, out: (None, None))
)  # fmt: skip

# A product that is computed twice may be rounded in one place and, as part of a multiply-add, not in the other: x·y − max(x·y) would not
# be 0 at the maximum, and at 10¹⁰ hundreds away from it.
register(
    Op("rounded", ELEMENTWISE, "The same value, rounded to its dtype: no part of a multiply-add.", infer=lambda x: x, numpy=lambda x: x,
       emit=lambda b, x: b.rounded(x), rewrite=lambda x: x if x.op.family == SOURCE else None, vjp=lambda o, g, y, x: (g,),
       jvp=lambda o, y, xs, dxs: dxs[0], folds=lambda specs, out: (None,))
)  # fmt: skip

# A library call whose results are parts of its input says with `folds(index, *xs)` which movement one is: then it need not be made.
PICK = register(
    Op("pick", PICK_FAMILY, "One result of an op that has several.", attrs=("index",), infer=lambda x, index: x[index],
       numpy=lambda x, index: x[index],
       rewrite=lambda x, index: x.op.folds(index, *x.inputs) if x.op.family == OPAQUE and x.op.folds else None)
)  # fmt: skip


def stopped(x: Node) -> Node:
    """The same value, with no derivative."""
    return Node(STOP, (x,), (), x.spec)


def aliased(x: Node) -> Node:
    """The same value and derivative as a node of its own."""
    return Node(CARRY, (x, x), (), x.spec)


def zeros_like(o, x: Node) -> Node:
    """A zero of x's shape and dtype."""
    return o.like(0, x)


@composite(attrs=("shape", "dtype"))
def full(o, value: Node, shape: tuple[int, ...], dtype: DType):
    """One number everywhere."""
    if dtype is bfloat16:  # a number is rounded where it becomes an element, not where it is computed with
        value = as_dtype(value, float32)
    return o.expand(as_dtype(value, dtype), shape=shape)
