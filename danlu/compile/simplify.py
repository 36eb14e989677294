"""L3. Graph → smaller graph with the same values: equal nodes become one, constants are computed, neutral elements and
movements that move nothing disappear. The rules themselves stand in the records (`neutral`, `rewrite`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from danlu.graph import ELEMENTWISE, SOURCE, Node, from_line, is_plain_movement, known_as, toposort
from danlu.ops.table import o


def constant_of(node: Node) -> Any:
    """The Python value of a node that is one constant everywhere, else None."""
    while is_plain_movement(node):
        node = node.inputs[0]
    if node.op.family == SOURCE and node.op.attrs == ("value", "dtype"):
        return node.op.numpy(*node.attrs)[()]  # type: ignore[misc]
    return None


def simplify(roots: Sequence[Node], replace: dict[int, Node] | None = None) -> list[Node]:
    """The roots rebuilt bottom-up. `replace` names (by id) nodes whose value is already known as another node.

    before: add(mul(x, 1), expand(const 0))      after: x
    """
    replace = replace or {}
    known: dict[tuple, Node] = {}
    new: dict[int, Node] = {}
    # A replaced node is not looked into: what only it needed is dead.
    order = toposort([*replace.values(), *roots], stop=lambda n: id(n) in replace)
    for node in order:
        if id(node) not in replace:
            new[id(node)] = _rebuild(node, tuple(new[id(known_as(x, replace))] for x in node.inputs), known)
    found = _absorbed([new[id(known_as(r, replace))] for r in roots])
    from_line(None)
    return found


def _absorbed(roots: list[Node]) -> list[Node]:
    """Nodes that are alone in reading their input become one node with it, where their record says how.

    before: permute(contract(a, b, mk,kn->mn))      after: contract(a, b, mk,kn->nm)
    """
    order = toposort(roots)
    readers = Counter([id(x) for n in order for x in n.inputs] + [id(r) for r in roots])
    new: dict[int, Node] = {}
    for node in order:
        inputs = tuple(new[id(x)] for x in node.inputs)
        found = None
        if node.op.absorb is not None and readers[id(node.inputs[0])] == 1:
            from_line(node.origin)
            found = node.op.absorb(inputs[0], **node.named_attrs)
        new[id(node)] = node.on(inputs) if found is None else found
    return [new[id(r)] for r in roots]


def _rebuild(node: Node, inputs: tuple[Node, ...], known: dict[tuple, Node]) -> Node:
    from_line(node.origin)
    better = _local(node, inputs)
    if better is not None:
        node, inputs = better, better.inputs
    key = (node.op, tuple(map(_exact, node.attrs)), node.spec, tuple(map(id, inputs)))
    found = known.get(key)
    if found is None:
        found = known[key] = node.on(inputs)
    return found


def _exact(attr: Any) -> Any:
    """An attribute as a part of a key: -0.0 equals 0.0 and is another number."""
    return str(attr) if type(attr) is float else attr


def _local(node: Node, inputs: tuple[Node, ...]) -> Node | None:
    """An equal node that is simpler, by the op's own rules."""
    op = node.op
    if op.rewrite is not None:
        found = op.rewrite(*inputs, **node.named_attrs)
        if found is not None:
            return found
    if op.family != ELEMENTWISE or not inputs:
        return None
    values = [constant_of(x) for x in inputs]
    if all(v is not None for v in values) and op.numpy is not None:
        return _folded(node, values)
    if op.neutral is not None and len(inputs) == 2:
        for side in (0, 1):
            if op.neutral[side] is not None and values[side] is not None and values[side] == op.neutral[side]:
                other = inputs[1 - side]
                return other if other.spec is node.spec else None
    return None


def _folded(node: Node, values: list) -> Node:
    with np.errstate(all="ignore"):
        value = np.asarray(node.op.numpy(*values, **node.named_attrs)).astype(node.dtype.numpy).item()  # type: ignore[misc]
    return o.like(value, node)
