"""L3. Differentiation: functions from graph to graph, so that every order of derivative is again a graph and can be compiled.

Reverse: `gradient(y, gy, xs)` gives Σ gy · ∂y/∂x for each x. Forward: `tangent(ys, xs, dxs)` gives Σ ∂y/∂x · dx for each y.
The rules themselves stand in the records of `ops/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from danlu.dtype import bfloat16
from danlu.errors import GradientError
from danlu.graph import COMPOSITE, CONTRACT, MOVEMENT, PICK, Node, Op, from_line, toposort
from danlu.ops.movement import side_by_side
from danlu.ops.table import narrowed, o, register, widened


def _dependents(order: list[Node], xs: Sequence[Node]) -> set[int]:
    """The ids of the nodes in `order` (inputs first) whose value depends on one of xs."""
    active = {id(x) for x in xs}
    for node in order:
        if any(id(i) in active for i in node.inputs):
            active.add(id(node))
    return active


def gradient(y: Node, gy: Node, xs: Sequence[Node]) -> list[Node | None]:
    """Reverse mode: the gradient of y with respect to each x, given gy, the gradient with respect to y; None where y does not depend on x."""
    return gradients([y], [gy], xs)


def gradients(ys: Sequence[Node], gys: Sequence[Node], xs: Sequence[Node], cuts: int = 0) -> list[Node | None]:
    """`gradient` of Σ ys · gys. What reaches one of the first `cuts` of xs stays there: no gradient passes on to its inputs."""
    order = toposort(ys)
    active, ends = _dependents(order, xs), {id(x) for x in xs[:cuts]}
    grads: dict[int, Any] = {}
    for y, gy in zip(ys, gys):
        _collect(grads, y, gy)
    for node in reversed(order):
        g = _total(grads, node)
        if g is not None and node.op.family == PICK:  # collected until the op itself is reached
            results = grads.setdefault(id(node.inputs[0]), [None] * len(node.inputs[0].spec))
            known = results[node.attrs[0]]
            results[node.attrs[0]] = g if known is None else o.add(known, g)
            continue
        if g is None or id(node) in ends or id(node) not in active or not any(id(i) in active for i in node.inputs):
            continue
        from_line(node.origin or Node.line)
        for x, gx in zip(node.inputs, _vjp(node, g)):
            if gx is not None and id(x) in active:
                _collect(grads, x, gx)
    return [_total(grads, x) for x in xs]


def _collect(grads: dict[int, Any], x: Node, gx: Node) -> None:
    grads.setdefault(id(x), []).append(gx)


def _total(grads: dict[int, Any], x: Node) -> Any:
    """The sum of what was collected for a node; for a node with several results the list of theirs."""
    found = grads.get(id(x))
    if found is None or type(x.spec) is tuple:
        return found
    if len(found) > 1:
        parts = side_by_side(_stacked(found))
        total = parts[0]
        for part in parts[1:]:
            total = o.add(total, part)
        found[:] = [total]
    return found[0]


SEVERAL = 4  # contractions that are worth a copy of their operands


def _stacked(parts: list[Node]) -> list[Node]:
    """The parts of a sum, those that are contractions of one form with operands smaller than their result as one: a weight that was used
    at every step of a sequence gets its gradient from one long product, where T products are written and added."""
    first = next((p for p in parts if p.op.family == CONTRACT), None)
    if first is None:
        return parts
    form = first.op, first.attrs, *(x.spec for x in first.inputs)
    alike = [p for p in parts if p.op is first.op and (p.op, p.attrs, *(x.spec for x in p.inputs)) == form]
    if len(alike) < SEVERAL or sum(x.spec.size for x in first.inputs) > first.spec.size or first.dtype is bfloat16:
        return parts
    left, right, out = first.attrs[0]
    step = next(label for label in "tuvwxyzabc" if label not in left + right)
    sides = [[o.reshape(p.inputs[k], shape=(1, *p.inputs[k].shape)) for p in reversed(alike)] for k in range(2)]
    whole = o.contract(*(o.cat(*side, dim=0) for side in sides), labels=(step + left, step + right, out))
    return [whole, *(p for p in parts if p not in alike)]


def _vjp(node: Node, g: Any) -> tuple[Node | None, ...]:
    """The gradients of the inputs. That of a complex z is ∂L/∂(real z) + i ∂L/∂(imag z), PyTorch's convention: for a holomorphic y of z it
    is conj(∂y/∂z) · g, so the rule that was written for real numbers is applied between two conjugations."""
    if node.op.wirtinger or not _is_complex(node):
        return _fitted(_rule(node, g), node.inputs) if node.op.wirtinger else _rule(node, g)
    conjugated = [_conj(part) for part in g] if type(node.spec) is tuple else _conj(g)
    return _fitted([_conj(gx) for gx in _rule(node, conjugated)], node.inputs)


def _is_complex(node: Node) -> bool:
    specs = node.spec if type(node.spec) is tuple else (node.spec,)
    return any(s.dtype.is_complex for s in specs) or any(x.dtype.is_complex for x in node.inputs)


def _conj(g: Node | None) -> Any:
    return o.conj(g) if g is not None and g.dtype.is_complex else g


def _fitted(gs: Sequence[Node | None], xs: Sequence[Node]) -> tuple[Node | None, ...]:
    """A real input takes the real part of a complex gradient."""
    return tuple(o.real(g) if g is not None and g.dtype.is_complex and not x.dtype.is_complex else g for g, x in zip(gs, xs))


def _rule(node: Node, g: Any) -> tuple[Node | None, ...]:
    """The rule of the op; of bfloat16 it is computed in float32 and rounded once."""
    if node.op.family == MOVEMENT or all(x.dtype is not bfloat16 for x in node.inputs):
        return _plain_rule(node, g, node.inputs)
    gs = _plain_rule(node, g, widened(node.inputs))
    return tuple(None if gx is None else narrowed(gx, x.spec) for gx, x in zip(gs, node.inputs))


def _plain_rule(node: Node, g: Any, xs: tuple[Node, ...]) -> tuple[Node | None, ...]:
    if node.op.vjp is None:
        if type(node.spec) is tuple or node.dtype.differentiable:
            raise GradientError(
                "{op} has no derivative; call it on x.detach(), or write one with autograd.Function", op=node.op.name
            )
        return (None,) * len(node.inputs)
    if type(node.spec) is tuple:
        picks = tuple(o.pick(node, index=k) for k in range(len(node.spec)))
        gs = tuple(o.like(0, p) if part is None else part for part, p in zip(g, picks))  # type: ignore[arg-type]
        y, g = picks, gs
    else:
        y = node
    if xs is not node.inputs:
        y, g = widened(y), widened(g)
    return node.op.vjp(o, g, y, *xs, **node.named_attrs)


def tangent(ys: Sequence[Node], xs: Sequence[Node], dxs: Sequence[Node]) -> list[Node | None]:
    """Forward mode: the change of each y when each x changes by dx; None where y does not depend on any x."""
    tangents: dict[int, Any] = {id(x): dx for x, dx in zip(xs, dxs)}
    for node in toposort(ys):
        given = [tangents.get(id(i)) for i in node.inputs]
        if node.op.family == PICK and given[0] is not None:
            tangents[id(node)] = given[0][node.attrs[0]]
            continue
        if id(node) in tangents or all(d is None for d in given):
            continue
        if node.op.jvp is None:
            _refuse_tangent(node)
            continue
        y = tuple(o.pick(node, index=k) for k in range(len(node.spec))) if type(node.spec) is tuple else node
        result = node.op.jvp(o, y, node.inputs, given, **node.named_attrs)
        if result is not None:
            tangents[id(node)] = result
    return [tangents.get(id(y)) for y in ys]


def _refuse_tangent(node: Node) -> None:
    if type(node.spec) is tuple or node.dtype.differentiable:
        raise GradientError(
            "{op} has no forward derivative; take the reverse one (vjp, jacrev), or call it on x.detach()", op=node.op.name
        )


def _or_zero(g: Node | None, x: Node) -> Node:
    return o.like(0, x) if g is None else g


def _expand_gradient(_, *nodes: Node, num_ys: int, cuts: int) -> tuple[Node, ...]:
    ys, gys, xs = nodes[:num_ys], nodes[num_ys : 2 * num_ys], nodes[2 * num_ys :]
    return tuple(_or_zero(g, x) for g, x in zip(gradients(ys, gys, xs, cuts), xs))


def _expand_tangent(_, *nodes: Node, num_ys: int) -> tuple[Node, ...]:
    ys, rest = nodes[:num_ys], nodes[num_ys:]
    xs, dxs = rest[: len(rest) // 2], rest[len(rest) // 2 :]
    return tuple(_or_zero(d, y) for d, y in zip(tangent(ys, xs, dxs), ys))


# While recording, a whole backward pass is one node: it is written out when the program is compiled.
GRADIENT = register(
    Op(
        "gradient",
        COMPOSITE,
        "The gradients of Σ ys · gys with respect to each x (reverse mode); none passes through the first `cuts` of xs.",
        attrs=("num_ys", "cuts"),
        infer=lambda *specs, num_ys, cuts: specs[2 * num_ys :],
        expand=_expand_gradient,
    )
)
TANGENT = register(
    Op("tangent", COMPOSITE, "The tangents of each y for tangents of each x (forward mode).", attrs=("num_ys",),
       infer=lambda *specs, num_ys: specs[:num_ys], expand=_expand_tangent)
)  # fmt: skip
