"""L2. Contractions: sums of products over labelled axes. One primitive covers matmul, dot, outer and every two-operand einsum;
its derivative is again a contraction, and a transpose is only another order of labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from danlu.errors import DTypeError, ShapeError
from danlu.graph import CONTRACT, Node, Op, Spec
from danlu.messages import Phrase
from danlu.ops.table import composite, register


def _infer(a: Spec, b: Spec, labels: tuple[str, str, str]) -> Spec:
    first, second, out = labels
    sizes: dict[str, int] = {}
    for spec, word in ((a, first), (b, second)):
        for label, n in zip(word, spec.shape):
            if sizes.setdefault(label, n) != n:
                raise ShapeError(
                    "contract {first},{second}->{out}: axis {label!r} has sizes {left_size} and {right_size} (shapes {left} and {right})",
                    first=first,
                    second=second,
                    out=out,
                    label=label,
                    left_size=sizes[label],
                    right_size=n,
                    left=a.shape,
                    right=b.shape,
                )
    if a.dtype is not b.dtype:
        raise DTypeError(
            "expected both operands of one dtype, but found {left_dtype} and {right_dtype}; convert one: x.to(danlu.{left_dtype})",
            left_dtype=a.dtype.name,
            right_dtype=b.dtype.name,
        )
    return Spec(tuple(sizes[x] for x in out), a.dtype)


def _numpy(a, b, labels):
    first, second, out = labels
    if a.dtype == np.bool_:
        return np.einsum(f"{first},{second}->{out}", a.astype(np.int64), b.astype(np.int64)) > 0
    return np.asarray(np.einsum(f"{first},{second}->{out}", a, b))


def _vjp(o, g: Node, y: Node, a: Node, b: Node, labels):
    first, second, out = labels
    return o.contract(g, b, labels=(out, second, first)), o.contract(a, g, labels=(first, out, second))


def _jvp(o, y, xs, dxs, labels):
    terms = []
    if dxs[0] is not None:
        terms.append(o.contract(dxs[0], xs[1], labels=labels))
    if dxs[1] is not None:
        terms.append(o.contract(xs[0], dxs[1], labels=labels))
    return o.add(*terms) if len(terms) == 2 else terms[0]


CONTRACTION = register(
    Op("contract", CONTRACT, "Σ a·b over the labels that the result lacks; every label of an operand is in the other or in the result.",
       attrs=("labels",), infer=_infer, numpy=_numpy, vjp=_vjp, jvp=_jvp)
)  # fmt: skip


def matmul_message(a: Sequence[int], b: Sequence[int]) -> Phrase:
    """What to say when two matrices do not fit, with the transposes that would."""
    inner, axis = (b[-2], Phrase("last but one axis")) if len(b) > 1 else (b[-1], Phrase("axis"))
    hint = Phrase("; the first transposed would fit: a.mT @ b") if len(a) > 1 and a[-2] == inner else ""
    if len(b) > 1 and a[-1] == b[-1]:
        hint = Phrase("; the second transposed would fit: a @ b.mT")
    return Phrase(
        "matmul: shapes {left} and {right} cannot be multiplied: the last axis of the first ({last}) must equal the {axis} "
        "of the second ({inner}){hint}",
        left=a,
        right=b,
        last=a[-1],
        axis=axis,
        inner=inner,
        hint=hint,
    )


@composite
def matmul(o, a: Node, b: Node):
    """a @ b by NumPy's rules: vectors lose their axis, leading axes broadcast."""
    if not a.shape or not b.shape:
        raise ShapeError(
            "matmul: both operands need at least one axis, got shapes {left} and {right}; multiply by a scalar with *",
            left=a.shape,
            right=b.shape,
        )
    if a.shape[-1] != b.shape[max(len(b.shape) - 2, 0)]:
        raise ShapeError(matmul_message(a.shape, b.shape))
    left = "k" if len(a.shape) == 1 else "mk"
    right = "k" if len(b.shape) == 1 else "kn"
    if len(a.shape) <= 2 and len(b.shape) <= 2:
        return o.contract(a, b, labels=(left, right, left[:-1] + right[1:]))
    if len(b.shape) <= 2:  # leading axes of the first alone: no batch, only more rows
        lead = "abcdefgh"[: len(a.shape) - 2]
        return o.contract(a, b, labels=(lead + left, right, lead + left[:-1] + right[1:]))
    shape = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    lead = "abcdefgh"[: len(shape)]
    a = a if len(a.shape) == 1 else o.expand(a, shape=(*shape, *a.shape[-2:]))
    b = o.expand(b, shape=(*shape, *b.shape[-2:]))
    words = (left if len(a.shape) == 1 else lead + left, lead + right, lead + left[:-1] + right[1:])
    return o.contract(a, b, labels=words)
