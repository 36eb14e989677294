"""L2. Movement: ops that only say where an element comes from. They cost nothing by themselves: a kernel that reads their result
reads their input at another index.

`emit(i, index, shapes, **attrs)` maps an output index to pieces `(which input, its index, conditions)`, in the language `i` of
index arithmetic; the first piece whose conditions all hold gives the element. `fill(**attrs)` gives the value where none does.
A piece is read only where its conditions hold: they must keep its index within its input.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from danlu.errors import AxisError, ShapeError
from danlu.graph import CONTRACT, MOVEMENT, Node, Op, Spec
from danlu.ops.source import zeros_like
from danlu.ops.table import o, register


def normalize_axis(name: str, axis: int, ndim: int) -> int:
    """The axis counted from the left; AxisError where there is none."""
    bound = max(ndim, 1)
    if not -bound <= axis < bound:
        raise AxisError(
            "{name}: Dimension out of range: axis {axis} of a {ndim}-d tensor; expected one of {lowest} … {highest} (negative "
            "axes count from the end)",
            name=name,
            axis=axis,
            ndim=ndim,
            lowest=-bound,
            highest=bound - 1,
        )
    return axis + bound if axis < 0 else axis


def _linear_jvp(name: str) -> Callable[..., Any]:
    """The tangent of a linear op is the op on the tangents; a missing one among several inputs is zero."""

    def jvp(o, y, xs, dxs, **attrs):
        filled = [zeros_like(o, x) if d is None else d for x, d in zip(xs, dxs)]
        return getattr(o, name)(*filled, **attrs)

    return jvp


def _movement(name: str, doc: str, *, fill: Callable[..., Any] | None = None, **fields: Any) -> Op:
    fields.setdefault("jvp", _linear_jvp(name))
    return register(Op(name, MOVEMENT, doc, folds=fill, **fields))


# ---- reshape ----------------------------------------------------------------------------------------------------------


def _reshape_infer(x: Spec, shape: tuple[int, ...]) -> Spec:
    if prod(shape) != x.size:
        raise ShapeError(
            "reshape: shape {shape} ({size} elements) cannot become {wanted} ({wanted_size} elements); one size may be -1: it "
            "is computed",
            shape=x.shape,
            size=x.size,
            wanted=shape,
            wanted_size=prod(shape),
        )
    return Spec(tuple(shape), x.dtype)


def _reshape_emit(i, index, shapes, shape):
    """Runs of axes that hold the same elements before and after, each by itself: an axis that stays keeps its index as it is."""
    source, a, moved = shapes[0], 0, []
    if 0 in shape:
        return [(0, i.unravel(i.ravel(index, shape), source), ())]
    for b, n in enumerate(source):
        if b < len(moved):
            continue
        if n == 1:
            moved.append(i.zero)
            continue
        first, m, end = a, 1, b + 1
        while m != n:
            if m < n:
                m, a = m * shape[a], a + 1
            else:
                n, end = n * source[end], end + 1
        moved += i.unravel(i.ravel(index[first:a], shape[first:a]), source[b:end])
    return [(0, tuple(moved), ())]


def _reshape_again(x: Node, shape: tuple[int, ...]) -> Node | None:
    if x.op.name == "reshape":
        x = x.inputs[0]
        return x if x.shape == shape else o.reshape(x, shape=shape)
    return x if x.shape == shape else None


_movement(
    "reshape", "The same elements in row-major order under another shape.", attrs=("shape",), infer=_reshape_infer,
    numpy=lambda x, shape: x.reshape(shape),
    vjp=lambda o, g, y, x, shape: (o.reshape(g, shape=x.shape),),
    emit=_reshape_emit, rewrite=_reshape_again,
)  # fmt: skip

_movement(
    "again", "The same tensor; what is computed from it is not shared with what is computed from the tensor itself, but computed again.",
    infer=lambda x: x, numpy=lambda x: x, vjp=lambda o, g, y, x: (g,), emit=lambda i, index, shapes: [(0, index, ())],
)  # fmt: skip

# ---- permute ----------------------------------------------------------------------------------------------------------


def _permute_infer(x: Spec, dims: tuple[int, ...]) -> Spec:
    if sorted(dims) != list(range(x.ndim)):
        raise ShapeError(
            "permute: dims {dims} are no ordering of the {ndim} axes of shape {shape}; each axis must occur once",
            dims=dims,
            ndim=x.ndim,
            shape=x.shape,
        )
    return Spec(tuple(x.shape[d] for d in dims), x.dtype)


def _permute_emit(i, index, shapes, dims):
    return [(0, tuple(index[dims.index(axis)] for axis in range(len(dims))), ())]


def _into_contraction(x: Node, dims: tuple[int, ...]) -> Node | None:
    """A contraction gives its result with the axes in any order."""
    if x.op.family != CONTRACT:
        return None
    first, second, out = x.attrs[0]
    labels = first, second, "".join(out[d] for d in dims)
    return Node(x.op, x.inputs, (labels,), Spec(tuple(x.shape[d] for d in dims), x.dtype))


_movement(
    "permute", "The axes in another order: y.shape[i] = x.shape[dims[i]].", attrs=("dims",), infer=_permute_infer,
    numpy=lambda x, dims: np.transpose(x, dims),
    vjp=lambda o, g, y, x, dims: (o.permute(g, dims=tuple(int(d) for d in np.argsort(dims))),),
    emit=_permute_emit, rewrite=lambda x, dims: x if dims == tuple(range(len(dims))) else None, absorb=_into_contraction,
)  # fmt: skip

# ---- expand -----------------------------------------------------------------------------------------------------------


def _expand_infer(x: Spec, shape: tuple[int, ...]) -> Spec:
    if len(shape) < x.ndim or any(n not in (1, m) for n, m in zip(reversed(x.shape), reversed(shape))):
        raise ShapeError(
            "expand: shape {shape} cannot be expanded to {wanted}: only axes of size 1 stretch, and new axes come in front",
            shape=x.shape,
            wanted=shape,
        )
    return Spec(tuple(shape), x.dtype)


def _expand_vjp(o, g: Node, y: Node, x: Node, shape):
    lead = len(shape) - len(x.shape)
    stretched = tuple(k for k in range(len(shape)) if k < lead or (x.shape[k - lead] == 1 and shape[k] != 1))
    return (o.reshape(o.sum(g, dims=stretched, keepdim=False), shape=x.shape) if stretched else o.reshape(g, shape=x.shape),)


def _expand_emit(i, index, shapes, shape):
    tail = index[len(index) - len(shapes[0]) :]
    return [(0, tuple(i.zero if n == 1 else ix for n, ix in zip(shapes[0], tail)), ())]


_movement(
    "expand", "Axes of size 1 repeated without copying; new axes in front.", attrs=("shape",), infer=_expand_infer,
    numpy=lambda x, shape: np.broadcast_to(x, shape), vjp=_expand_vjp, emit=_expand_emit,
    rewrite=lambda x, shape: x if x.shape == shape else None,
)  # fmt: skip

# ---- slice, dilate, pad, flip -----------------------------------------------------------------------------------------


def _slice_infer(x: Spec, starts, stops, steps) -> Spec:
    return Spec(tuple(max(0, -(-(b - a) // s)) for a, b, s in zip(starts, stops, steps)), x.dtype)


def _slice_vjp(o, g: Node, y: Node, x: Node, starts, stops, steps):
    if 0 in y.shape:
        return (zeros_like(o, x),)
    spread = o.dilate(g, steps=steps) if any(s != 1 for s in steps) else g
    high = tuple(n - a - m for n, a, m in zip(x.shape, starts, spread.shape))
    return (o.pad(spread, low=starts, high=high, value=0),)


def _slice_of_contraction(x: Node, starts, stops, steps) -> Node | None:
    """A part of a contraction is the contraction of parts."""
    if x.op.family != CONTRACT:
        return None
    first, second, out = x.attrs[0]
    parts = []
    for word, y in zip((first, second), x.inputs):
        at = [out.find(label) for label in word]
        cuts = [(0, n, 1) if k < 0 else (starts[k], stops[k], steps[k]) for k, n in zip(at, y.shape)]
        lows, highs, strides = zip(*cuts) if cuts else ((), (), ())
        parts.append(o.slice(y, starts=lows, stops=highs, steps=strides) if cuts != [(0, n, 1) for n in y.shape] else y)
    return o.contract(*parts, labels=x.attrs[0])


_movement(
    "slice", "x[start:stop:step] on every axis; 0 ≤ start ≤ stop ≤ size, step ≥ 1.", attrs=("starts", "stops", "steps"), infer=_slice_infer,
    numpy=lambda x, starts, stops, steps: x[tuple(map(slice, starts, stops, steps))], vjp=_slice_vjp,
    emit=lambda i, index, shapes, starts, stops, steps: [(0, tuple(i.affine(ix, s, a) for ix, a, s in zip(index, starts, steps)), ())],
    absorb=_slice_of_contraction,
)  # fmt: skip


def _dilate_numpy(x, steps):
    out = np.zeros(_dilated(x.shape, steps), x.dtype)
    out[tuple(slice(None, None, s) for s in steps)] = x
    return out


def _dilated(shape, steps) -> tuple[int, ...]:
    return tuple(max(0, (n - 1) * s + 1) for n, s in zip(shape, steps))


def _dilate_emit(i, index, shapes, steps):
    conditions = tuple(i.divides(s, ix) for ix, s in zip(index, steps) if s != 1)
    return [(0, tuple(i.floordiv(ix, s) for ix, s in zip(index, steps)), conditions)]


_movement(
    "dilate", "step - 1 zeros between neighbours of each axis: the adjoint of a slice with steps.", attrs=("steps",),
    infer=lambda x, steps: Spec(_dilated(x.shape, steps), x.dtype), numpy=_dilate_numpy,
    vjp=lambda o, g, y, x, steps: (o.slice(g, starts=(0,) * len(steps), stops=y.shape, steps=steps),),
    emit=_dilate_emit, fill=lambda steps: 0,
)  # fmt: skip


def _pad_infer(x: Spec, low, high, value) -> Spec:
    shape = tuple(a + n + b for a, n, b in zip(low, x.shape, high))
    if min((*low, *high), default=0) < 0:
        raise ShapeError("pad: low {low} and high {high} must not be negative; take a slice to cut", low=low, high=high)
    return Spec(shape, x.dtype)


def _pad_vjp(o, g: Node, y: Node, x: Node, low, high, value):
    return (o.slice(g, starts=low, stops=tuple(a + n for a, n in zip(low, x.shape)), steps=(1,) * len(low)),)


def _pad_emit(i, index, shapes, low, high, value):
    moved = tuple(i.affine(ix, 1, -a) for ix, a in zip(index, low))
    conditions = tuple(i.within(ix, n) for ix, n, a, b in zip(moved, shapes[0], low, high) if a or b)
    return [(0, moved, conditions)]


def _pad_jvp(o, y, xs, dxs, low, high, value):
    return o.pad(dxs[0], low=low, high=high, value=0)


_movement(
    "pad", "`value` around the tensor: low before and high after each axis.", attrs=("low", "high", "value"), infer=_pad_infer,
    numpy=lambda x, low, high, value: np.pad(x, tuple(zip(low, high)), constant_values=value) if x.ndim else x,
    vjp=_pad_vjp, jvp=_pad_jvp, emit=_pad_emit, fill=lambda low, high, value: value,
)  # fmt: skip


def _flip_emit(i, index, shapes, dims):
    return [(0, tuple(i.affine(ix, -1, n - 1) if k in dims else ix for k, (ix, n) in enumerate(zip(index, shapes[0]))), ())]


_movement(
    "flip", "The order of the elements turned round on some axes.", attrs=("dims",), infer=lambda x, dims: x,
    numpy=lambda x, dims: np.flip(x, dims), vjp=lambda o, g, y, x, dims: (o.flip(g, dims=dims),), emit=_flip_emit,
)  # fmt: skip

# ---- several inputs: cat, and writing into a part ------------------------------------------------------------------------


def _cat_infer(*xs: Spec, dim: int) -> Spec:
    first = xs[0]
    for k, x in enumerate(xs):
        if x.ndim != first.ndim or any(n != m for a, (n, m) in enumerate(zip(x.shape, first.shape)) if a != dim):
            raise ShapeError(
                "cat: tensor {number} has shape {shape}, tensor 0 has {first}; all sizes but that of axis {dim} must be equal",
                number=k,
                shape=x.shape,
                first=first.shape,
                dim=dim,
            )
    return Spec((*first.shape[:dim], sum(x.shape[dim] for x in xs), *first.shape[dim + 1 :]), first.dtype)


def _cat_vjp(o, g: Node, y: Node, *xs: Node, dim):
    grads, start = [], 0
    for x in xs:
        starts = tuple(start if k == dim else 0 for k in range(len(x.shape)))
        stops = tuple(a + n for a, n in zip(starts, x.shape))
        grads.append(o.slice(g, starts=starts, stops=stops, steps=(1,) * len(starts)))
        start += x.shape[dim]
    return tuple(grads)


def _cat_emit(i, index, shapes, dim):
    pieces, start = [], 0
    for k, shape in enumerate(shapes):
        moved = i.affine(index[dim], 1, -start)
        pieces.append((k, (*index[:dim], moved, *index[dim + 1 :]), (i.within(moved, shape[dim]),)))
        start += shape[dim]
    return pieces


_movement(
    "cat", "Tensors of one dtype one after another along an axis.", attrs=("dim",), infer=_cat_infer,
    numpy=lambda *xs, dim: np.concatenate(xs, dim), vjp=_cat_vjp, emit=_cat_emit,
)  # fmt: skip


def side_by_side(parts: list[Node]) -> list[Node]:
    """The parts of a sum, pads with zeros that lie side by side along one axis as one: what a tensor gets back that was split.

    before: [pad(a, low 0, high 4), pad(b, low 2, high 2), pad(c, low 4, high 0)]       after: [cat(a, b, c)]
    """
    alike: dict[Any, list[Node]] = {}  # pads along one axis under the same movements
    for p in parts:
        *moves, pad = _under(p)
        axes = [k for k, ends in enumerate(zip(*pad.attrs[:2])) if ends != (0, 0)] if pad.op.name == "pad" else []
        if len(axes) == 1 and pad.attrs[2] == 0:
            alike.setdefault((axes[0], pad.shape, *((m.op, m.attrs) for m in moves)), []).append(p)
    for (axis, *_), found in alike.items():
        pads = sorted((_under(p)[-1] for p in found), key=lambda x: x.attrs[0][axis])
        lows, highs = zip(*((x.attrs[0][axis], x.shape[axis] - x.attrs[1][axis]) for x in pads))
        if len(pads) == 1 or lows[1:] != highs[:-1]:
            continue
        whole = o.cat(*(x.inputs[0] for x in pads), dim=axis)
        if (lows[0], highs[-1]) != (0, pads[0].shape[axis]):
            whole = o.pad(whole, low=pads[0].attrs[0], high=pads[-1].attrs[1], value=0)
        for move in reversed(_under(found[0])[:-1]):
            whole = move.on((whole,))
        parts = [whole, *(p for p in parts if all(p is not q for q in found))]
    return parts


def _under(x: Node) -> list[Node]:
    """A node, those that it only moves, and the first one that is another op or fills gaps."""
    chain = [x]
    while x.op.family == MOVEMENT and x.op.folds is None and len(x.inputs) == 1:
        x = x.inputs[0]
        chain.append(x)
    return chain


def _slice_update_infer(x: Spec, v: Spec, starts, steps) -> Spec:
    return x


def _slice_update_numpy(x, v, starts, steps):
    out = x.copy()
    out[tuple(slice(a, a + (n - 1) * s + 1 if n else a, s) for a, n, s in zip(starts, v.shape, steps))] = v
    return out


def _slice_update_vjp(o, g: Node, y: Node, x: Node, v: Node, starts, steps):
    stops = tuple(a + (n - 1) * s + 1 if n else a for a, n, s in zip(starts, v.shape, steps))
    return (o.slice_update(g, zeros_like(o, v), starts=starts, steps=steps), o.slice(g, starts=starts, stops=stops, steps=steps))


def _slice_update_emit(i, index, shapes, starts, steps):
    moved = tuple(i.affine(ix, 1, -a) for ix, a in zip(index, starts))
    conditions = []
    for ix, n, m, a, s in zip(moved, shapes[1], shapes[0], starts, steps):
        if (a, n, s) != (0, m, 1):
            conditions.append(i.within(ix, (n - 1) * s + 1 if n else 0))
        if s != 1:
            conditions.append(i.divides(s, ix))
    part = tuple(i.floordiv(ix, s) for ix, s in zip(moved, steps))
    return [(1, part, tuple(conditions)), (0, index, ())]


_movement(
    "slice_update", "x with x[start::step] replaced by v: what writing into a view means.", attrs=("starts", "steps"),
    infer=_slice_update_infer, numpy=_slice_update_numpy, vjp=_slice_update_vjp, emit=_slice_update_emit,
)  # fmt: skip
