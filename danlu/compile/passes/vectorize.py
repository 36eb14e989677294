"""L3. Pass: one loop of each nest becomes the loop of vectors, and moves innermost in its nest.

before: serial d0 < 10 { t = begin sum; serial r0 < 256 { t <- b0[10*r0 + d0] }; b1[d0] = t }
after:  vector d0 < 10 lanes=16 { t = begin sum lanes=16; serial r0 < 256 { … }; b1[d0] = t }

The loop is the one along which most accesses are to neighbours in memory. A vectorised reduction has one accumulator a lane, and
a Fold after its loops. Needs: serial loops. Guarantees: at most one vector loop on each path.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from danlu.compile.body import register_dtype
from danlu.compile.index import ZERO, Index, Position, Var, atoms_of
from danlu.compile.kernel import (
    TURNS,
    Accumulate,
    Apply,
    Begin,
    Contract,
    Fold,
    Kernel,
    Load,
    Loop,
    Rewriter,
    Scan,
    Store,
    expressions,
    indices,
    own_indices,
    statements,
)
from danlu.compile.schedule import emitted
from danlu.compile.target import Target
from danlu.graph import Op

GATHER_COST = 4  # a gather of 16 lanes costs as much as several vector loads; measured 3–6 on AVX-512
WASTED = 12  # most lanes idle: 76 against 25 ms for a million complex products, whose two parts lie side by side
THREADS = 16  # turns of the outer loops that threads share
DEAR, LONG = (
    16,
    8,
)  # instructions of which the machine sees too few vectors ahead: two side by side, of so many (tanh: 0.87 of the time)
MANY = 4  # registers a reduction keeps in flight: fused multiply-add and add take 4 cycles, and start every half


def vectorize(kernel: Kernel, target: Target) -> Kernel:
    """The kernel with its loops of vectors chosen, nest by nest."""
    if len(kernel.groups) > 1:
        (rows,) = kernel.body
        return replace(kernel, body=[replace(rows, body=_pieces(rows.body, target))])
    return replace(kernel, body=_nests(kernel.body, target))


@dataclass
class Nest:
    """A nest taken apart: outer loops, then (for reductions) inner loops around the accumulation."""

    outer: list[Var]
    before: list
    inner: list[Var]
    updates: list
    after: list


def _nests(body: list, target: Target) -> list:
    if body and isinstance(body[0], Contract):
        return body
    if any(isinstance(s, Begin) for s in body):
        return _rebuild(_take_apart([], body), target)
    return [x for s in body for x in (_rebuild(_take_apart([], [s]), target) if isinstance(s, Loop) else [s])]


def _pieces(body: list, target: Target) -> list:
    """The loops of a row, each with vectors of its own; its sums begin before it and are folded after it."""
    begins = {s.total.name: s for s in body if isinstance(s, Begin)}
    made: list = []
    for s in body:
        if isinstance(s, Loop):
            summed = {x.total.name for x in statements([s]) if isinstance(x, Accumulate)}
            made += _nests([*(begins.pop(name) for name in [*begins] if name in summed), s], target)
        elif isinstance(s, Accumulate) and s.total.name in begins:
            made += [begins.pop(s.total.name), s]
        elif not isinstance(s, Begin):
            made.append(s)
    return made


def _take_apart(outer: list[Var], body: list) -> Nest:
    while len(body) == 1 and isinstance(body[0], Loop):
        outer, body = [*outer, body[0].var], body[0].body
    loops = [s for s in body if isinstance(s, Loop)]
    if not loops:
        return Nest(outer, [], [], body, []) if not any(isinstance(s, Begin) for s in body) else Nest(outer, [], [], [], body)
    at = body.index(loops[0])
    inner, updates = [], [loops[0]]
    while len(updates) == 1 and isinstance(updates[0], Loop):
        inner, updates = [*inner, updates[0].var], updates[0].body
    return Nest(outer, body[:at], inner, updates, body[at + 1 :])


def _rebuild(nest: Nest, target: Target) -> list:
    var = _best_of(nest)
    if var is None:
        return _join(nest, None, 1)
    lanes = _lanes([*nest.updates, *nest.after], target)
    if 1 < var.extent < lanes and var.extent & (var.extent - 1) == 0:  # then all of them are full, and nothing needs a mask
        lanes = var.extent
    scans = any(isinstance(s, Scan) for s in nest.updates)
    if var in nest.inner and var.extent >= MANY * lanes and not scans:
        lanes *= MANY
    elif (
        nest.inner
        and var.extent % (MANY * lanes) == 0
        and prod(v.extent for v in nest.outer) >= THREADS * var.extent
        and not scans
    ):
        lanes *= MANY  # a line of 256 bytes at once: the sums of (64, 1024, 64) over its middle take half the time
    elif not nest.inner and var.extent >= LONG * lanes and _instructions(nest.updates) >= DEAR:
        lanes *= 2
    return _join(nest, var, lanes)


def _instructions(body: list) -> int:
    """Roughly the instructions of all expressions."""
    found = (e for e in expressions(body) if isinstance(e, Apply) and isinstance(e.op, Op))
    return sum(emitted(e.op, tuple(register_dtype(a.dtype) for a in e.args), e.attrs) for e in found)


def _lanes(body: list, target: Target) -> int:
    """Lanes of one register of the widest dtype that is stored or accumulated (4 bytes at least)."""
    sizes = [s.dtype.itemsize for s in statements(body) if isinstance(s, Store)]
    sizes += [s.total.dtype.itemsize for s in statements(body) if isinstance(s, Accumulate)]
    return max(1, target.vector_bytes // max(4, *sizes, 4))


def _join(nest: Nest, var: Var | None, lanes: int) -> list:
    """The nest put together again, the vector loop innermost in its part."""
    inner_vector = var in nest.inner
    body = nest.updates
    for v in _order(nest.inner, var):
        body = [Loop(v, body, "vector", lanes) if v is var else Loop(v, body)]
    totals = [s.total for s in nest.before if isinstance(s, Begin)]
    if inner_vector:
        before = [Begin(s.total, lanes) if isinstance(s, Begin) else s for s in nest.before]
        folds = [] if any(isinstance(s, Scan) for s in nest.updates) else [Fold(t) for t in totals]
        body = [*before, *body, *folds, *nest.after]
    else:
        body = [*nest.before, *body, *nest.after]
    outer = _order(nest.outer, var)
    if var is not None and not inner_vector and len(outer) > 1 and _in_turns(body, var, outer[1]):
        body = [_side_by_side(s, outer.pop(1)) for s in body]
    for v in outer:
        body = [Loop(v, body, "vector", lanes) if v is var else Loop(v, body)]
    return body


def _in_turns(body: list, var: Var, other: Var) -> bool:
    """Whether the results of the two turns of another loop lie between one another: an image and the windows of 2 × 2 that tile it."""
    return (
        other.extent == 2
        and len(body) == 1
        and isinstance(body[0], Store)
        and body[0].mode == "set"
        and body[0].index.coefficient(var) == 2
        and body[0].index.coefficient(other) == 1
        and not _inside(body[0].index, var)
        and not _inside(body[0].index, other)
    )


def _side_by_side(s: Store, other: Var) -> Store:
    """Both turns of a loop at once: their lanes, in turns, are neighbours in memory (stores that leave gaps take ten times as long)."""
    first, second = (Rewriter({other: Index((), k)}) for k in (0, 1))
    value = Apply(TURNS, (first.expression(s.value), second.expression(s.value)), (), s.dtype)
    return Store(s.slot, first.index(s.index), value, s.dtype)


def _order(loops: list[Var], var: Var | None) -> list[Var]:
    """Inside out: the vector loop first, the others from the last axis to the first."""
    return [v for v in loops if v is var] + [v for v in reversed(loops) if v is not var]


def best_variable(body: list) -> Var | None:
    """The variable of a nest that becomes its loop of vectors; None where vectors would be wrong or of no use."""
    return _best_of(_take_apart([], body))


def _best_of(nest: Nest) -> Var | None:
    """The variable with the most accesses to neighbours, those after a sum counted as seldom as they are."""
    scored, turns = [], max(1, prod(v.extent for v in nest.inner))
    parts = _accesses([*nest.before, *nest.updates]), _accesses(nest.after)
    for k, v in enumerate([*nest.outer, *nest.inner]):
        inside, after = (_score(v, *accesses) for accesses in parts)
        if inside is not None and after is not None:
            scored.append((inside + after / turns - (WASTED if v.extent < 3 else 0), v.extent, k, v))
    return max(scored)[3] if scored else None


def _accesses(body: list) -> tuple[list[Store], list[Load], list[Index]]:
    """The stores and loads of statements, and those of all indices that hold more than variables."""
    found = [*expressions(body)]
    stores = [s for s in statements(body) if isinstance(s, Store)]
    everywhere = [*(s.index for s in stores), *(ix for e in found for ix in own_indices(e))]
    return (
        stores,
        [e for e in found if isinstance(e, Load)],
        [ix for ix in everywhere if any(type(a) is not Var for a, _ in ix.terms)],
    )


def _score(var: Var, stores: list[Store], loads: list[Load], indices: list[Index]) -> float | None:
    """+1 for an access to neighbours, 0 for one element for all lanes, minus the cost of gathers; None where lanes would collide."""
    total = 0.0
    for s in stores:
        if s.mode == "add" and (s.index.coefficient(var) == 0 or _inside(s.index, var)):
            return None
        if any(isinstance(a, Position) for a in atoms_of(s.index)) and s.index.coefficient(var) == 0:
            return None
        total += _access(s.index, var)
    for e in loads:
        every_second = e.index.coefficient(var) == 2 and not e.guard and not _inside(e.index, var)
        total += -1.0 if every_second else _access(e.index, var)
    return total - sum(_inside(ix, var) for ix in indices)


def _access(ix: Index, var: Var) -> float:
    if _inside(ix, var):
        return -GATHER_COST
    return {1: 1.0, 0: 0.0}.get(ix.coefficient(var), -GATHER_COST)


def _inside(ix: Index, var: Var) -> bool:
    """Whether the variable stands inside a quotient, a remainder or a position read from memory."""
    for atom, _ in ix.terms:
        if type(atom) is Var:
            continue
        inner = _position_indices(atom) if isinstance(atom, Position) else [atom.inner() or ZERO]
        if any(var in atoms_of(within) for within in inner):
            return True
    return False


def _position_indices(atom: Position) -> list[Index]:
    return list(indices([Accumulate(None, atom.expression)]))  # type: ignore[arg-type]
