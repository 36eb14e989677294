"""L3. Graph → graph without bfloat16: each such node becomes a float32 one that is rounded, and memory becomes 16 bits (ops/bfloat16.py).

    before: mul(x, y) : bfloat16[3]      after: bfloat16_bits(mul(bfloat16_values(x), bfloat16_values(y))) : uint16[3]

Every op rounds once, fused or not, and accumulates in float32. Movements and gathers move the bits. Python numbers are not rounded before
they are computed with.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import copysign
from typing import Any, NamedTuple

from danlu import dtype as dt
from danlu.graph import GATHER, MOVEMENT, SOURCE, Node, Spec, from_line, is_memory, known_as, toposort
from danlu.ops.bfloat16 import BITS, VALUES


class Half(NamedTuple):
    """A bfloat16 value: as float32, and as 16 bits (None: a Python number, which is not rounded yet)."""

    wide: Node
    bits: Node | None


def in_float32(roots: Sequence[Node], replace: dict[int, Node] | None = None) -> tuple[Sequence[Node], dict[int, Node]]:
    """The roots without bfloat16, and what is left of `replace`: (by id) nodes whose value is known as another node."""
    replace = replace or {}
    order = toposort([*replace.values(), *roots], stop=lambda n: id(n) in replace)
    if not any(_is_half(s) for node in order for s in _specs(node)):
        return roots, replace
    new: dict[int, Any] = {}
    for node in order:
        if id(node) not in replace:
            from_line(node.origin)
            new[id(node)] = _rebuilt(node, [new[id(known_as(x, replace))] for x in node.inputs])
    from_line(None)
    return [_as_memory(new[id(known_as(r, replace))]) for r in roots], {}


def _specs(node: Node) -> tuple[Spec, ...]:
    return node.spec if type(node.spec) is tuple else (node.spec,)


def _is_half(spec: Spec) -> bool:
    return spec.dtype is dt.bfloat16


def _rebuilt(node: Node, xs: list) -> Any:
    """A Half, or a node where the result is no bfloat16."""
    if not any(map(_is_half, _specs(node))) and not any(type(x) is Half for x in xs) and dt.bfloat16 not in node.attrs:
        return node.on(tuple(xs))
    if is_memory(node):
        spec = Spec(node.shape, dt.uint16)
        return _from_bits(Node(node.op, (), (node.attrs[0], spec), spec))
    if node.op.family in (MOVEMENT, GATHER) and _moves_bits(node, xs):
        return _from_bits(_with(node, map(_as_memory, xs), dt.uint16))
    wide = _with(node, (x.wide if type(x) is Half else x for x in xs), dt.float32)
    if type(node.spec) is tuple or not _is_half(node.spec):
        return wide
    return Half(wide, None) if _is_number(node, xs) else _from_bits(_bits_of(wide))


def _with(node: Node, xs: Any, instead: dt.DType) -> Node:
    """The same op on other inputs, another dtype wherever it says bfloat16."""
    attrs = tuple(instead if a is dt.bfloat16 else a for a in node.attrs)
    specs = tuple(Spec(s.shape, instead, s.weak) if _is_half(s) else s for s in _specs(node))
    return Node(node.op, tuple(xs), attrs, specs if type(node.spec) is tuple else specs[0])


def _is_number(node: Node, xs: list) -> bool:
    """A Python number, or one that is everywhere."""
    if node.op.family == SOURCE:
        return node.op.attrs[0] in ("value", "slot")
    return node.op.family == MOVEMENT and len(xs) == 1 and xs[0].bits is None


def _moves_bits(node: Node, xs: list) -> bool:
    """Whether the bits can be moved for the numbers: they are there, and what fills gaps is 0, whose bits are 0."""
    if type(xs[0]) is not Half or (len(xs) == 1 and xs[0].bits is None):
        return False
    if node.op.family == GATHER or node.op.folds is None:
        return True
    fill = node.op.folds(**node.named_attrs)
    return fill == 0 and copysign(1, fill) > 0


def _bits_of(wide: Node) -> Node:
    return Node(BITS, (wide,), (), Spec(wide.shape, dt.uint16))


def _from_bits(bits: Node) -> Half:
    return Half(Node(VALUES, (bits,), (), Spec(bits.shape, dt.float32)), bits)


def _as_memory(x: Any) -> Node:
    """The bits of a Half; any other node is itself."""
    return x if type(x) is not Half else _bits_of(x.wide) if x.bits is None else x.bits
