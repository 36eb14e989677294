"""L3. Graph → graph without complex numbers: each complex node becomes two real ones, as its record says (ops/planes.py).

    before: mul(x, y) : complex64[3]      after: sub(mul(x.re, y.re), mul(x.im, y.im)), add(mul(x.re, y.im), mul(x.im, y.re)) : float32[3]

Complex memory is read as (*, 2) real numbers, and results are put together to such memory again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from danlu.graph import PICK, Node, is_memory, known_as, toposort
from danlu.ops.planes import Planes, in_planes_of, memory_of, together


def in_planes(roots: Sequence[Node], replace: dict[int, Node] | None = None) -> tuple[Sequence[Node], dict[int, Node]]:
    """The roots in real numbers, and what is left of `replace`: (by id) nodes whose value is known as another node."""
    replace = replace or {}
    order = toposort([*replace.values(), *roots], stop=lambda n: id(n) in replace)
    if not any(map(_is_complex, order)):
        return roots, replace
    new: dict[int, Any] = {}
    for node in order:
        if id(node) not in replace:
            new[id(node)] = _rebuilt(node, tuple(new[id(known_as(x, replace))] for x in node.inputs))
    return [_whole(new[id(known_as(r, replace))]) for r in roots], {}


def _is_complex(node: Node) -> bool:
    return type(node.spec) is not tuple and node.dtype.is_complex


def _rebuilt(node: Node, xs: tuple) -> Any:
    """Planes, a real node, or a tuple of them for the results of a library call."""
    if node.op.family == PICK and type(xs[0]) is tuple:
        return xs[0][node.attrs[0]]
    specs = node.spec if type(node.spec) is tuple else (node.spec,)
    if any(type(x) is Planes for x in xs) or any(s.dtype.is_complex for s in specs):
        return memory_of(node) if is_memory(node) else in_planes_of(node, xs)
    return node.on(xs)


def _whole(x: Any) -> Node:
    return together(x) if type(x) is Planes else x
