"""L2. Sliding windows as index arithmetic: a convolution is a contraction over a strided view, a pooling a reduction of one.

`slide` and `unslide` are each other's adjoint, so every derivative of a window is made of the two; both are movements and cost
nothing by themselves. The last 2·d axes of what they see are d axes of positions and d axes inside the window.
"""

from __future__ import annotations

import numpy as np

from danlu.graph import CONTRACT, MOVEMENT, Node, Op, Spec
from danlu.ops.table import composite, elementwise, o, register

Sizes = tuple[int, ...]


def window_counts(sizes: Sizes, kernel: Sizes, strides: Sizes, dilations: Sizes) -> Sizes:
    """How many windows fit on each axis: ⌊(n − dilation · (k − 1) − 1) / stride⌋ + 1."""
    return tuple((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(sizes, kernel, strides, dilations))


def _grid(counts: Sizes, kernel: Sizes, strides: Sizes, dilations: Sizes) -> tuple:
    """The NumPy index of every element of every window."""
    at = np.ogrid[tuple(map(slice, (*counts, *kernel)))]
    inside = at[len(counts) :]
    return (..., *[o * s + k * d for o, k, s, d in zip(at, inside, strides, dilations)], *inside)


def _slide_infer(x: Spec, counts: Sizes, strides: Sizes, dilations: Sizes) -> Spec:
    d = len(strides)
    return Spec((*x.shape[: -2 * d], *counts, *x.shape[-d:]), x.dtype)


def _slide_emit(i, index, shapes, counts: Sizes, strides: Sizes, dilations: Sizes):
    d = len(strides)
    lead, at, inside = index[: -2 * d], index[-2 * d : -d], index[-d:]
    moved = tuple(i.add(i.affine(o, s, 0), i.affine(k, e, 0)) for o, k, s, e in zip(at, inside, strides, dilations))
    return [(0, (*lead, *moved, *inside), ())]


def _slide_vjp(o, g: Node, y: Node, x: Node, counts: Sizes, strides: Sizes, dilations: Sizes):
    d = len(strides)
    return (o.unslide(g, sizes=x.shape[-2 * d : -d], strides=strides, dilations=dilations),)


register(
    Op("slide", MOVEMENT, "y[…, o, k] = x[…, o · stride + k · dilation, k].", attrs=("counts", "strides", "dilations"), infer=_slide_infer,
       numpy=lambda x, counts, strides, dilations: x[_grid(counts, x.shape[-len(strides) :], strides, dilations)],
       emit=_slide_emit, vjp=_slide_vjp, jvp=lambda o, y, xs, dxs, **attrs: o.slide(dxs[0], **attrs))
)  # fmt: skip


def _unslide_infer(x: Spec, sizes: Sizes, strides: Sizes, dilations: Sizes) -> Spec:
    d = len(strides)
    return Spec((*x.shape[: -2 * d], *sizes, *x.shape[-d:]), x.dtype)


def _unslide_numpy(x: np.ndarray, sizes: Sizes, strides: Sizes, dilations: Sizes) -> np.ndarray:
    d = len(strides)
    counts, kernel = x.shape[-2 * d : -d], x.shape[-d:]
    out = np.zeros((*x.shape[: -2 * d], *sizes, *kernel), x.dtype)
    out[_grid(counts, kernel, strides, dilations)] = x
    return out


def _unslide_emit(i, index, shapes, sizes: Sizes, strides: Sizes, dilations: Sizes):
    d = len(strides)
    lead, at, inside = index[: -2 * d], index[-2 * d : -d], index[-d:]
    moved, conditions = [], []
    for position, k, count, s, e in zip(at, inside, shapes[0][-2 * d : -d], strides, dilations):
        offset = i.add(position, i.affine(k, -e, 0))
        conditions.append(i.within(offset, max(0, (count - 1) * s + 1)))
        if s != 1:
            conditions.append(i.divides(s, offset))
        moved.append(i.floordiv(offset, s))
    return [(0, (*lead, *moved, *inside), tuple(conditions))]


def _unslide_vjp(o, g: Node, y: Node, x: Node, sizes: Sizes, strides: Sizes, dilations: Sizes):
    d = len(strides)
    return (o.slide(g, counts=x.shape[-2 * d : -d], strides=strides, dilations=dilations),)


def _unslide_of_contraction(x: Node, sizes: Sizes, strides: Sizes, dilations: Sizes) -> Node | None:
    """Where one operand has the positions and the other the insides of the windows, the first is put back instead: the places inside a
    window then belong to both, and their sum to the contraction. Only for strides of 1: else most products would be with zeros."""
    d = len(strides)
    if x.op.family != CONTRACT or any(s != 1 for s in strides):
        return None
    *words, out = x.attrs[0]
    at, inside = set(out[-2 * d : -d]), set(out[-d:])
    for k, (word, other) in enumerate((words, words[::-1])):
        if at <= {*word} - {*other} and inside <= {*other} - {*word}:
            order = [label for label in word if label not in at] + list(out[-2 * d : -d])
            y = o.permute(x.inputs[k], dims=tuple(word.index(label) for label in order))
            y = o.expand(o.reshape(y, shape=(*y.shape, *(1,) * d)), shape=(*y.shape, *x.shape[-d:]))
            y = o.unslide(y, sizes=sizes, strides=strides, dilations=dilations)
            words[k] = "".join(order) + out[-d:]
            inputs = [*x.inputs[:k], y, *x.inputs[k + 1 :]]
            return o.contract(*inputs, labels=(*words, out))
    return None


register(
    Op("unslide", MOVEMENT, "y[…, o · stride + k · dilation, k] = x[…, o, k], 0 elsewhere.", attrs=("sizes", "strides", "dilations"),
       infer=_unslide_infer, numpy=_unslide_numpy, emit=_unslide_emit, vjp=_unslide_vjp,
       jvp=lambda o, y, xs, dxs, **attrs: o.unslide(dxs[0], **attrs), folds=lambda sizes, strides, dilations: 0,
       absorb=_unslide_of_contraction)
)  # fmt: skip


def _in_blocks(o, x: Node, kernel: Sizes, counts: Sizes) -> Node:
    """Windows that touch but do not overlap: a reshape, whose derivative is a reshape too."""
    d, lead = len(kernel), x.shape[: len(x.shape) - len(kernel)]
    used = tuple(c * k for c, k in zip(counts, kernel))
    ones, n = (1,) * len(x.shape), len(lead)
    if used != x.shape[n:]:
        x = o.slice(x, starts=(0,) * len(x.shape), stops=(*lead, *used), steps=ones)
    x = o.reshape(x, shape=(*lead, *[size for pair in zip(counts, kernel) for size in pair]))
    return o.permute(x, dims=(*range(n), *range(n, n + 2 * d, 2), *range(n + 1, n + 2 * d, 2)))


@composite(attrs=("kernel", "strides", "dilations"))
def window(o, x: Node, kernel: Sizes, strides: Sizes, dilations: Sizes) -> Node:
    """The windows of the last axes: (…, L…) → (…, O…, K…), y[…, o, k] = x[…, o · stride + k · dilation]."""
    lead = x.shape[: len(x.shape) - len(kernel)]
    counts = window_counts(x.shape[len(lead) :], kernel, strides, dilations)
    if strides == kernel and dilations == (1,) * len(kernel):
        return _in_blocks(o, x, kernel, counts)
    x = o.expand(o.reshape(x, shape=(*x.shape, *(1,) * len(kernel))), shape=(*x.shape, *kernel))
    return o.slide(x, counts=counts, strides=strides, dilations=dilations)


@composite(attrs=("sizes", "strides", "dilations"))
def unwindow(o, x: Node, sizes: Sizes, strides: Sizes, dilations: Sizes) -> Node:
    """The adjoint of `window`: every element of every window added where it came from, (…, O…, K…) → (…, L…)."""
    ndim, d = len(x.shape), len(strides)
    spread = o.unslide(x, sizes=sizes, strides=strides, dilations=dilations)
    return o.sum(spread, dims=tuple(range(ndim - d, ndim)), keepdim=False)


# A contraction reads its operands by strides. Where those of a view do not merge to one summed axis, the view is copied once, in
# the order in which one matrix product reads it; the derivative of the copy is the copy of the derivative, for the same reason.
elementwise(
    "contiguous", "The same values, in memory of their own in row-major order.", infer=lambda x: x, operands=lambda specs, out: (None,),
    numpy=lambda x: x, emit=lambda b, x: x, vjp=lambda o, g, y, x: (o.contiguous(g),), jvp=lambda o, y, xs, dxs: o.contiguous(dxs[0]),
)  # fmt: skip
