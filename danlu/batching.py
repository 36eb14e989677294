"""L3. Batching: from a graph for one element to the graph for many at once (vmap), graph → graph.

The axis of the batch is always the first. What does not depend on the batch stays as it is. Elementwise operations, movements,
reductions, contractions and gathers work on all elements at once; an operation without a rule here is written out once for
each element and put together, which is right for every operation, and slow for large batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from string import ascii_letters
from typing import Any

from danlu.graph import COMPOSITE, ELEMENTWISE, PICK, REDUCE, Node, Op, Spec, toposort
from danlu.ops.table import o, register


def batch(ys: Sequence[Node], xs: Sequence[Node], fulls: Sequence[Node], size: int) -> list[Node]:
    """ys as functions of xs, for `size` elements at once: fulls[k] has the values of xs[k] along its first axis."""
    known: dict[int, Any] = {id(x): full for x, full in zip(xs, fulls)}
    for node in toposort(ys):
        if id(node) in known or not any(id(x) in known for x in node.inputs):
            continue
        if node.op.family == PICK:
            known[id(node)] = known[id(node.inputs[0])][node.attrs[0]]
        else:
            known[id(node)] = _batched(node, [known.get(id(x)) for x in node.inputs], size)
    return [known[id(y)] if id(y) in known else _lift(y, size) for y in ys]


def _lift(x: Node, size: int) -> Node:
    """The same for every element."""
    return o.expand(x, shape=(size, *x.shape))


def _batched(node: Node, given: list[Node | None], size: int) -> Any:
    if node.op.family == ELEMENTWISE:
        spec = Spec((size, *node.shape), node.dtype)
        return Node(node.op, tuple(_filled(node, given, size)), node.attrs, spec)
    rule = _RULES.get(node.op.name)
    if rule is None and node.op.family == REDUCE:
        rule = _reduce
    result = None if rule is None else rule(node, given, size)
    return _one_by_one(node, given, size) if result is None else result


def _filled(node: Node, given: list[Node | None], size: int) -> list[Node]:
    return [_lift(x, size) if g is None else g for x, g in zip(node.inputs, given)]


def _rebuilt(node: Node, inputs: Sequence[Node], **attrs: Any) -> Any:
    return getattr(o, node.op.name)(*inputs, **{**node.named_attrs, **attrs})


def _one_by_one(node: Node, given: list[Node | None], size: int) -> Any:
    """The operation once for each element."""
    rows = [_rebuilt(node, [x if g is None else _row(g, k) for x, g in zip(node.inputs, given)]) for k in range(size)]
    if type(node.spec) is tuple:
        return tuple(
            _stacked(column, spec, size) for column, spec in zip(zip(*rows) if rows else [()] * len(node.spec), node.spec)
        )
    return _stacked(rows, node.spec, size)


def _row(x: Node, k: int) -> Node:
    rest = x.shape[1:]
    part = o.slice(x, starts=(k, *[0] * len(rest)), stops=(k + 1, *rest), steps=(1,) * len(x.shape))
    return o.reshape(part, shape=rest)


def _stacked(rows: Sequence[Node], spec: Spec, size: int) -> Node:
    if not rows:
        return o.expand(o.const(value=0, dtype=spec.dtype), shape=(size, *spec.shape))
    return o.cat(*[o.reshape(r, shape=(1, *spec.shape)) for r in rows], dim=0)


# ---- rules: (node, the batched inputs or None, size) → the batched result, or None where one by one is the way ------------------


def _reshape(node: Node, given: list, size: int) -> Node:
    return o.reshape(given[0], shape=(size, *node.shape))


def _permute(node: Node, given: list, size: int) -> Node:
    return o.permute(given[0], dims=(0, *[d + 1 for d in node.attrs[0]]))


def _expand(node: Node, given: list, size: int) -> Node:
    shape = node.inputs[0].shape
    x = o.reshape(given[0], shape=(size, *[1] * (len(node.shape) - len(shape)), *shape))
    return o.expand(x, shape=(size, *node.shape))


def _slice(node: Node, given: list, size: int) -> Node:
    starts, stops, steps = node.attrs
    return o.slice(given[0], starts=(0, *starts), stops=(size, *stops), steps=(1, *steps))


def _dilate(node: Node, given: list, size: int) -> Node:
    return o.dilate(given[0], steps=(1, *node.attrs[0]))


def _pad(node: Node, given: list, size: int) -> Node:
    low, high, value = node.attrs
    return o.pad(given[0], low=(0, *low), high=(0, *high), value=value)


def _slice_update(node: Node, given: list, size: int) -> Node:
    starts, steps = node.attrs
    return o.slice_update(*_filled(node, given, size), starts=(0, *starts), steps=(1, *steps))


def _reduce(node: Node, given: list, size: int) -> Node:
    dims, keepdim = node.attrs
    return _rebuilt(node, given, dims=tuple(d + 1 for d in dims), keepdim=keepdim)


def _flip(node: Node, given: list, size: int) -> Node:
    return o.flip(given[0], dims=tuple(d + 1 for d in node.attrs[0]))


def _along(node: Node, given: list, size: int) -> Any:
    """Operations along one axis, of inputs that all have the axis of the batch."""
    if not node.inputs[0].shape:
        return None
    return _rebuilt(node, _filled(node, given, size), dim=node.named_attrs["dim"] + 1)


def _contract(node: Node, given: list, size: int) -> Node:
    first, second, out = node.attrs[0]
    label = next(c for c in ascii_letters if c not in first + second)
    words = [label + word if g is not None else word for word, g in zip((first, second), given)]
    inputs = [x if g is None else g for x, g in zip(node.inputs, given)]
    return o.contract(*inputs, labels=(*words, label + out))


def _take(node: Node, given: list, size: int) -> Any:
    (x, index), dim = given, node.attrs[0]
    if x is not None and index is not None:
        return None
    if index is None:
        return o.take(x, node.inputs[1], dim=dim + 1)
    y = o.take(node.inputs[0], index, dim=dim)  # the batch stands where the axis was taken
    order = (dim, *[k for k in range(len(y.shape)) if k != dim])
    return o.permute(y, dims=order)


def _index_write(node: Node, given: list, size: int) -> Any:
    index = given[1]
    if index is not None:
        return None
    filled = _filled(node, given, size)
    return _rebuilt(node, (filled[0], node.inputs[1], filled[2]), dim=node.attrs[0] + 1)


_RULES: dict[str, Callable[[Node, list, int], Any]] = {
    "reshape": _reshape, "permute": _permute, "expand": _expand, "slice": _slice, "dilate": _dilate, "pad": _pad, "flip": _flip,
    "slice_update": _slice_update, "cat": _along, "sort": _along, "take_along": _along, "scatter_add": _along, "scatter_set": _along,
    "contract": _contract, "take": _take, "index_add": _index_write, "index_set": _index_write,
}  # fmt: skip


def _expand_batch(_, *nodes: Node, num_ys: int, size: int) -> tuple[Node, ...]:
    ys, rest = nodes[:num_ys], nodes[num_ys:]
    half = len(rest) // 2
    return tuple(batch(ys, rest[:half], rest[half:], size))


BATCH = register(
    Op("batch", COMPOSITE, "Each y as a function of xs, for many elements at once (vmap).", attrs=("num_ys", "size"),
       infer=lambda *specs, num_ys, size: tuple(Spec((size, *s.shape), s.dtype) for s in specs[:num_ys]), expand=_expand_batch)
)  # fmt: skip
