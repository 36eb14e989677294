"""L6. From graphs to formulas: a node of primitive ops becomes an expression, simplified on the way.

What only serves the machine is left out: casts, copies, and the stretching of numbers (an expression is broadcast where it is used).
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from danlu.graph import SOURCE, Node, toposort
from danlu.ops.source import CONST
from danlu.ops.table import TABLE
from danlu.teaching.expression import (
    CALL,
    NUMBER,
    ZERO,
    Expression,
    call,
    number,
    plus,
    product,
    split,
    times,
    total,
)  # fmt: skip

Rule = Callable[..., Any]


def expression_of(root: Node, known: dict[int, Expression]) -> Expression:
    """The formula of a node; `known` has those of the nodes (by id) where it ends."""
    found = dict(known)
    for node in toposort([root], stop=lambda n: id(n) in known):
        if id(node) not in found:
            found[id(node)] = _convert(node, [found[id(x)] for x in node.inputs])
    return found[id(root)]


def _convert(node: Node, args: list[Expression]) -> Expression:
    if node.op is CONST:
        return number(float(node.attrs[0]))
    rule = RULES.get(node.op.name)
    if rule is not None:
        result = rule(node, *args)
        if result is not None:
            return result
    if node.op.family == SOURCE or type(node.spec) is tuple or type(node.inputs[0].spec) is tuple:
        return call(node.op, args, node.attrs, () if type(node.spec) is tuple else node.shape)
    if node.op.family != "elementwise":
        args = [stretched(a, x.shape) for a, x in zip(args, node.inputs)]
    return call(node.op, args, node.attrs, node.shape)


def stretched(e: Expression, shape: tuple[int, ...]) -> Expression:
    """e with all axes of `shape` written out."""
    return e if e.shape == shape else call(TABLE["expand"], (e,), (shape,), shape)


# ---- rules: op → (node, expressions of its inputs) → expression, or None where the rule does not apply -------------------------


def _power(node: Node, x: Expression, p: Expression) -> Expression | None:
    return product((x, p.data)) if p.kind == NUMBER else None


def _where(node: Node, condition: Expression, x: Expression, y: Expression) -> Expression | None:
    if condition.kind == NUMBER:
        return x if condition.data else y
    return x if x is y else None


def _same(node: Node, *args: Expression) -> Expression:
    return args[-1]


def _cast(node: Node, x: Expression) -> Expression | None:
    lossy = node.inputs[0].dtype.is_floating_point and not node.dtype.is_floating_point
    return None if lossy else x


def _moved(node: Node, x: Expression) -> Expression | None:
    """Numbers look the same in every order; so does what is moved onto its own shape."""
    return x if x.shape == () or x.shape == node.shape == node.inputs[0].shape else None


def _permuted(node: Node, x: Expression) -> Expression | None:
    dims = node.attrs[0]
    if x.shape == () or dims == tuple(range(len(dims))):
        return x
    c, e = split(x)
    if e.kind == CALL and e.data[0].name == "permute":
        inner = e.data[1][0]
        dims, e = tuple(inner[d] for d in dims), e.args[0]
        if dims == tuple(range(len(dims))):
            return total((c, e))
    elif e.shape != node.inputs[0].shape:
        return None
    if e.kind == CALL and e.data[0].name == "contract":
        first, second, out = e.data[1][0]
        return _scaled(c, call(e.data[0], e.args, ((first, second, "".join(out[d] for d in dims)),), node.shape))
    return _scaled(c, call(node.op, (e,), (dims,), node.shape))


def _scaled(c: float, e: Expression) -> Expression:
    return times(number(c), e)


def _summed(node: Node, x: Expression) -> Expression | None:
    """Σ over axes. An axis that the expression does not have is a factor: its size."""
    shape, (dims, keepdim) = node.inputs[0].shape, node.attrs
    c, e = split(x)
    lacking = len(shape) - len(e.shape)
    missing = [d for d in dims if d < lacking or e.shape[d - lacking] == 1]
    own = tuple(d - lacking for d in dims if d not in missing)
    factor = c * prod(shape[d] for d in missing)
    if not own and (not missing or keepdim or all(d < lacking for d in missing)):
        return _scaled(factor, e)
    if missing and not keepdim and any(d >= lacking for d in missing):
        return None if c == 1 else _scaled(c, _convert(node, [e]))
    kept = tuple(1 if k in own else n for k, n in enumerate(e.shape)) if keepdim else None
    out = kept or tuple(n for k, n in enumerate(e.shape) if k not in own)
    return _scaled(factor, call(node.op, (e,), (own, keepdim), out))


def _contracted(node: Node, a: Expression, b: Expression) -> Expression | None:
    """Numbers come out in front, and a transposed operand is another order of labels."""
    first, second, out = node.attrs[0]
    (c, a), (d, b) = split(a), split(b)
    if a is ZERO or b is ZERO:
        return ZERO
    if out == first + second and "" in (first, second):
        return times(number(c * d), a, b)
    a, first = _untransposed(a, first, node.inputs[0].shape)
    b, second = _untransposed(b, second, node.inputs[1].shape)
    return _scaled(c * d, call(node.op, (a, b), ((first, second, out),), node.shape))


def _untransposed(e: Expression, labels: str, shape: tuple[int, ...]) -> tuple[Expression, str]:
    if e.kind == CALL and e.data[0].name == "permute" and e.shape == shape:
        dims = e.data[1][0]
        return e.args[0], "".join(labels[dims.index(k)] for k in range(len(dims)))
    return stretched(e, shape), labels


RULES: dict[str, Rule] = {
    "add": lambda node, x, y: plus(x, y),
    "sub": lambda node, x, y: total((1.0, x), (-1.0, y)),
    "neg": lambda node, x: total((-1.0, x)),
    "mul": lambda node, x, y: times(x, y),
    "div": lambda node, x, y: product((x, 1), (y, -1)),
    "reciprocal": lambda node, x: product((x, -1)),
    "sqrt": lambda node, x: product((x, 0.5)),
    "rsqrt": lambda node, x: product((x, -0.5)),
    "pow": _power,
    "where": _where,
    "cast": _cast,
    "stop": _same,
    "rounded": _same,
    "carry": _same,
    "shares": lambda node, value, x: value,
    "contiguous": _same,
    "expand": _same,
    "reshape": _moved,
    "permute": _permuted,
    "sum": _summed,
    "contract": _contracted,
}  # fmt: skip
