"""L6. Formulas as values: sums, products and calls that simplify themselves when they are made, and their numbers by NumPy.

    e = number(c) | symbol(name) | Σ cᵢ·eᵢ | Π eᵢ^pᵢ | op(e₁, …; attributes) | name(e₁, …) := formula

Equal expressions are one object, so that equality is identity and a sum collects its like terms by looking them up. An expression may
have fewer axes than the value it stands for: it is broadcast, as in NumPy, and `expand` is never written down for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from danlu.dtype import from_numpy
from danlu.graph import ELEMENTWISE, Node, Op, Spec
from danlu.ops.source import BUFFER
from danlu.ops.table import o
from danlu.runtime.buffers import Buffer
from danlu.runtime.executable import Interpreted

NUMBER, SYMBOL, SUM, PRODUCT, CALL, NAMED = "number", "symbol", "sum", "product", "call", "named"

_known: WeakValueDictionary[tuple, Expression] = WeakValueDictionary()


class Expression:
    """One formula. `data`: the number; the names (text, LaTeX) of a symbol; the coefficients of a sum; the exponents of a product;
    (op, attributes) of a call; the names of a named function, whose last argument is the formula that it stands for."""

    __slots__ = ("__weakref__", "args", "data", "kind", "shape")

    args: tuple[Expression, ...]
    kind: str
    data: Any
    shape: tuple[int, ...]

    def __new__(cls, kind: str, args: tuple[Expression, ...], data: Any, shape: tuple[int, ...]) -> Expression:
        key = (kind, tuple(map(id, args)), data, shape)
        found = _known.get(key)
        if found is None:
            found = object.__new__(cls)
            found.kind, found.args, found.data, found.shape = kind, args, data, shape
            _known[key] = found
        return found


def number(value: float) -> Expression:
    """A constant."""
    return Expression(NUMBER, (), float(value), ())


ZERO, ONE = number(0), number(1)


def symbol(text: str, latex: str, shape: tuple[int, ...]) -> Expression:
    """A letter with its LaTeX."""
    return Expression(SYMBOL, (), (text, latex), shape)


def named(text: str, latex: str, args: Sequence[Expression], meaning: Expression) -> Expression:
    """A function that is written by its name, such as σ′(z), and computed by the formula `meaning`."""
    return Expression(NAMED, (*args, meaning), (text, latex), meaning.shape)


def _broadcast(args: Iterable[Expression]) -> tuple[int, ...]:
    return np.broadcast_shapes(*[a.shape for a in args])


# ---- the algebra ----------------------------------------------------------------------------------------------------------


def total(*terms: tuple[float, Expression]) -> Expression:
    """Σ c·e, like terms collected."""
    found: dict[Any, tuple[float, Expression]] = {}
    for c, e in _flat_terms(terms):
        if e.kind == NUMBER:
            c, e = c * e.data, ONE
        known = found.get(_unordered(e), (0.0, e))
        found[_unordered(e)] = known[0] + c, known[1]
    kept = [(c, e) for c, e in found.values() if c != 0]
    if not kept:
        return ZERO
    if len(kept) == 1 and kept[0][1] is ONE:
        return number(kept[0][0])
    if len(kept) == 1 and kept[0][0] == 1:
        return kept[0][1]
    args = tuple(e for _, e in kept)
    return Expression(SUM, args, tuple(c for c, _ in kept), _broadcast(args))


def _unordered(e: Expression) -> Any:
    """What tells an expression from others; the order of factors and of terms does not."""
    return (e.kind, frozenset(zip(e.args, e.data))) if e.kind in (SUM, PRODUCT) else e


def _flat_terms(terms: Sequence[tuple[float, Expression]]) -> Iterable[tuple[float, Expression]]:
    """The terms of inner sums, where that multiplies nothing out."""
    for c, e in terms:
        if e.kind == SUM and (abs(c) == 1 or len(e.args) == 1):
            yield from ((c * inner, arg) for inner, arg in zip(e.data, e.args))
        else:
            yield c, e


def product(*factors: tuple[Expression, float]) -> Expression:
    """Π e^p, equal bases collected; the number in front becomes the coefficient of a sum of one term."""
    coefficient, found = np.float64(1), {}  # of what tells a base from others: (base, exponent)
    waiting = list(reversed(factors))
    while waiting:
        e, p = waiting.pop()
        whole = p == int(p)
        if e.kind == NUMBER and (whole or e.data > 0):
            with np.errstate(all="ignore"):
                coefficient *= np.float64(e.data) ** p
        elif e.kind == SUM and len(e.args) == 1 and (whole or e.data[0] > 0):
            coefficient *= np.float64(e.data[0]) ** p
            waiting.append((e.args[0], p))
        elif e.kind == PRODUCT and whole:
            waiting += reversed([(base, inner * p) for base, inner in zip(e.args, e.data)])
        else:
            known = found.get(_unordered(e), (e, 0.0))
            found[_unordered(e)] = known[0], known[1] + p
    kept = [(e, p) for e, p in found.values() if p != 0]
    if coefficient == 0 or not kept:
        return number(float(coefficient))
    args = tuple(e for e, _ in kept)
    if len(kept) == 1 and kept[0][1] == 1:
        body = args[0]
    else:
        body = Expression(PRODUCT, args, tuple(float(p) for _, p in kept), _broadcast(args))
    return body if coefficient == 1 else _scaled(float(coefficient), body)


def _scaled(c: float, e: Expression) -> Expression:
    return total((c, e)) if e.kind != SUM or abs(c) == 1 else Expression(SUM, (e,), (c,), e.shape)


def times(*args: Expression) -> Expression:
    """The product of its arguments."""
    return product(*[(e, 1) for e in args])


def plus(*args: Expression) -> Expression:
    """The sum of its arguments."""
    return total(*[(1.0, e) for e in args])


def split(e: Expression) -> tuple[float, Expression]:
    """c·e as (c, e)."""
    return (e.data[0], e.args[0]) if e.kind == SUM and len(e.args) == 1 else (1.0, e)


def call(op: Op, args: Sequence[Expression], attrs: tuple, shape: tuple[int, ...]) -> Expression:
    """An op of the table on expressions; of numbers alone, a number."""
    if args and op.family == ELEMENTWISE and op.numpy is not None and all(a.kind == NUMBER for a in args):
        with np.errstate(all="ignore"):
            return number(float(op.numpy(*[np.float64(a.data) for a in args], **dict(zip(op.attrs, attrs)))))
    return Expression(CALL, tuple(args), (op, attrs), shape)


# ---- walking and numbers ----------------------------------------------------------------------------------------------------


def walk(root: Expression) -> list[Expression]:
    """Every expression inside, arguments before what is made of them; each once."""
    order: list[Expression] = []
    done: set[Expression] = set()
    stack = [(root, False)]
    while stack:
        e, expanded = stack.pop()
        if expanded:
            order.append(e)
        elif e not in done:
            done.add(e)
            stack.append((e, True))
            stack.extend((a, False) for a in reversed(e.args) if a not in done)
    return order


def size(root: Expression) -> int:
    """How many letters, numbers and signs the formula has when it is written out: what is shared counts each time."""
    sizes: dict[Expression, int] = {}
    for e in walk(root):
        args = e.args[:-1] if e.kind == NAMED else e.args
        own = 1
        if e.kind == SUM:
            own = len(args) - 1 + 2 * sum(abs(c) != 1 for c in e.data)
        elif e.kind == PRODUCT:
            own = len(args) - 1 + 2 * sum(p != 1 for p in e.data)
        sizes[e] = own + sum(sizes[a] for a in args)
    return sizes[root]


def evaluate(root: Expression, values: dict[Expression, Any]) -> np.ndarray:
    """The value of a formula, by NumPy, given those of its symbols."""
    found: dict[Expression, Any] = {}
    for e in walk(root):
        with np.errstate(all="ignore"):
            found[e] = values[e] if e in values else _value(e, [found.get(a) for a in e.args])
    return np.asarray(found[root])


def _value(e: Expression, args: list[Any]) -> Any:
    if e.kind == NUMBER:
        return e.data
    if e.kind == SUM:
        return sum(c * a for c, a in zip(e.data, args))
    if e.kind == PRODUCT:
        return np.prod(np.broadcast_arrays(*[np.power(a, p) for a, p in zip(args, e.data)]), axis=0)
    if e.kind == NAMED:
        return args[-1]
    op, attrs = e.data
    return apply(op, [a if isinstance(a, tuple) else np.asarray(a) for a in args], attrs)


def apply(op: Op, arrays: list[Any], attrs: tuple) -> Any:
    """An op on arrays, by its NumPy reference; a composite by those of its parts."""
    if op.numpy is not None:
        return op.numpy(*arrays, **dict(zip(op.attrs, attrs)))
    nodes = inputs_like(arrays)
    result = getattr(o, op.name)(*nodes, **dict(zip(op.attrs, attrs)))
    return compute(result if isinstance(result, tuple) else (result,), arrays)[0]


def inputs_like(arrays: Sequence[np.ndarray]) -> list[Node]:
    """Nodes that stand for arrays: input k of a graph is arrays[k]."""
    specs = [Spec(a.shape, from_numpy(a.dtype)) for a in arrays]
    return [Node(BUFFER, (), (k, spec), spec) for k, spec in enumerate(specs)]


def compute(roots: Sequence[Node], arrays: Sequence[np.ndarray], holes: Sequence[Node] = ()) -> list[np.ndarray]:
    """The values of a graph by the NumPy references of its ops: of input k, or of `holes[k]`, arrays[k]."""
    buffers = [Buffer.from_numpy(np.ascontiguousarray(a), True) for a in arrays]
    inputs = [Node(BUFFER, (), (k, n.spec), n.spec) for k, n in enumerate(holes)]
    with np.errstate(all="ignore"):
        results = Interpreted(roots, {id(n): x for n, x in zip(holes, inputs)}).run(buffers, ())
    return [b.as_numpy(r.shape, r.dtype.numpy) for b, r in zip(results, roots)]
