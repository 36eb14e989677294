"""L3. One group of nodes → one kernel: plain serial loops, in the order of the axes. The passes then make them fast.

Movements and gathers become index arithmetic here, elementwise work becomes expressions, and only what the schedule stores
touches memory.
"""

from __future__ import annotations

from math import prod
from typing import Any

from danlu.compile.index import Index, Position, Var, atoms_of, i, substitute
from danlu.compile.kernel import (
    CHECKED,
    CONVERT,
    LOCATE,
    PLUS,
    PRODUCT,
    Accumulate,
    Apply,
    Begin,
    Call,
    Choose,
    Constant,
    Contract,
    Count,
    Guard,
    Load,
    Loop,
    Number,
    Scan,
    Store,
    Total,
)  # fmt: skip
from danlu.compile.schedule import Group, same_memory
from danlu.compile.windows import labelled, reading
from danlu.dtype import DType, bool_, int64
from danlu.graph import CONTRACT, ELEMENTWISE, GATHER, MOVEMENT, OPAQUE, REDUCE, SCAN, SCATTER, SOURCE, Node, is_plain_movement

Point = tuple[Index, ...]
PARTS = 4  # parts of a movement that are worth loops of their own, however short
RUN = 16  # elements side by side from which on fewer are: 3 × (2048, 128) side by side: 0.10 ms, asking each element 0.17; 3 × (65536, 4): 0.19, 0.16


class Lowering:
    """Makes the body of one group's kernel. `slots` says where each node that is memory lies."""

    def __init__(self, group: Group, slots: dict[int, int]) -> None:
        self.group, self.slots = group, slots
        self.memo: dict[tuple, object] = {}
        self.totals: dict[int, Total] = {}
        self.members = {id(n) for n in group.nodes}
        self.point: Point = ()

    def run(self) -> list:
        """The statements of the kernel."""
        family = self.group.core[0].op.family if self.group.core else ELEMENTWISE
        makers = {
            REDUCE: self._reduction,
            SCAN: self._scan,
            CONTRACT: self._contraction,
            SCATTER: self._scatter,
            OPAQUE: self._call,
        }
        return makers.get(family, self._map)()

    # ---- the shapes of work ---------------------------------------------------------------------------------------------
    def _axes(self, shape: tuple[int, ...], letter: str = "d") -> list[Var]:
        return [Var(f"{letter}{k}", n) for k, n in enumerate(shape)]

    def _map(self) -> list:
        axes = self._axes(self.group.shape)
        self.point = tuple(map(i.var, axes))
        return self._parts() or nest(axes, self._stores())

    def _parts(self) -> list:
        """A loop for each part of a movement of several tensors one after another: asking each element whose it is takes longer the more
        there are."""
        home = self.group.nodes[-1]
        if len(self.group.nodes) > 1 or home.op.family != MOVEMENT:
            return []
        node = first = same_memory(home, self._elsewhere)
        axes = self._axes(node.shape)
        whole = point = tuple(map(i.var, axes))
        while is_plain_movement(node) and (node is first or not self._elsewhere(node)):
            [(_, point, _)] = node.op.emit(i, point, [node.inputs[0].shape], **node.named_attrs)  # type: ignore[misc]
            node = node.inputs[0]
        if node.op.family != MOVEMENT or len(node.inputs) < 2 or (node is not first and self._elsewhere(node)):
            return []
        pieces = node.op.emit(i, point, [x.shape for x in node.inputs], **node.named_attrs)  # type: ignore[misc]
        along = {a for _, _, guard in pieces for _, ix, _ in guard for a, c in ix.terms if c == 1 and isinstance(a, Var)}
        if len(along) != 1 or any([(kind, len(ix.terms)) for kind, ix, _ in guard] != [("within", 1)] for _, _, guard in pieces):
            return []
        (along,) = along
        spans = [(-ix.const, n) for _, _, [(_, ix, n)] in pieces]
        run = prod(v.extent for v in axes[axes.index(along) + 1 :]) * min(n for _, n in spans)
        tiled = all(first >= 0 and first + n <= along.extent for first, n in spans) and sum(n for _, n in spans) == along.extent
        if not tiled or (len(pieces) < PARTS and run < RUN):
            return []
        loops = []
        for source, index, [(_, place, size)] in pieces:
            part = Var(along.name, size)
            here = {along: i.affine(i.var(part), 1, -place.const)}
            at = tuple(substitute(ix, here) for ix in whole)
            value = self.value(node.inputs[source], tuple(substitute(ix, here) for ix in index), ())
            store = Store(self.slots[id(home)], i.ravel(at, first.shape), value, home.dtype)
            loops += nest([part if v == along else v for v in axes], [store])
        return loops

    def _elsewhere(self, node: Node) -> bool:
        """Whether a node is memory that another kernel makes."""
        return id(node) in self.slots and id(node) not in self.members

    def _stores(self) -> list:
        return [self._store(n) for n in self.group.stored]

    def _store(self, node: Node) -> Store:
        index = i.ravel(self.point, node.shape)
        return Store(self.slots[id(node)], index, self.value(node, self.point, ()), node.dtype)

    def _reduction(self) -> list:
        first = self.group.core[0]
        dims, keepdim = first.attrs
        source = first.inputs[0].shape
        axes = self._axes(self.group.shape)
        self.point = tuple(map(i.var, axes))
        kept = iter(self.point if not keepdim else [x for k, x in enumerate(self.point) if k not in dims])
        reduced = [Var(f"r{k}", source[k]) for k in dims]
        by_axis = dict(zip(dims, map(i.var, reduced)))
        inner = tuple(by_axis[k] if k in by_axis else next(kept) for k in range(len(source)))
        begins, updates = [], []
        for node in self.group.core:
            total = self.totals[id(node)] = Total(f"t{len(self.totals)}", node.op, node.dtype)
            begins.append(Begin(total))
            updates.append(Accumulate(total, convert(self.value(node.inputs[0], inner, ()), node.dtype)))
        return nest(axes, [*begins, *nest(reduced, updates), *self._stores()])

    def _scan(self) -> list:
        node = self.group.core[0]
        axes = self._axes(node.shape)
        self.point = tuple(map(i.var, axes))
        along = axes.pop(node.attrs[0]) if axes else Var("single", 1)
        total = self.totals[id(node)] = Total("t0", node.op, node.dtype)
        value = convert(self.value(node.inputs[0], self.point, ()), node.dtype)
        return nest(axes, [Begin(total), *nest([along], [Scan(total, value, along), *self._stores()])])

    def _contraction(self) -> list:
        node = self.group.core[0]
        axes = self._axes(node.shape)
        self.point = tuple(map(i.var, axes))
        total = self.totals[id(node)] = Total("t0", PLUS, node.dtype)
        a, b, summed = self._operands(node, axes)
        plain = isinstance(a, Load) and isinstance(b, Load)
        if plain and {v for v in summed if v.extent != 1} <= {*atoms_of(a.index), *atoms_of(b.index)}:
            return [Contract(a, b, total, tuple(axes), self._stores())]
        # Both operands are stretched along a summed axis, which no stride shows, or one is no memory: a plain sum.
        product = Accumulate(total, Apply(PRODUCT, (a, b), (), total.dtype))
        return nest(axes, [Begin(total), *nest(summed, [product]), *self._stores()])

    def _operands(self, node: Node, axes: list[Var]) -> tuple[Any, Any, list[Var]]:
        """Both operands over the labelled axes, and the summed axes. Loads, whose strides are all that a contraction kernel needs; the one
        that is read through windows says with its guard where it lies along each axis of its memory."""
        first, second, _ = node.attrs[0]
        by_label = labelled(node)
        loads = [self.value(x, tuple(i.var(by_label[c]) for c in word), ()) for word, x in zip((first, second), node.inputs)]
        seen = reading(node, lambda x: id(x) in self.slots)
        if seen is not None:
            side, memory, places = seen
            guard = tuple(("within", ix, n) for ix, n in places)
            point = tuple(ix for ix, _ in places)
            loads[side] = Load(self.slots[id(memory)], i.ravel(point, memory.shape), memory.dtype, guard)
        return loads[0], loads[1], [v for v in by_label.values() if v not in axes]

    def _scatter(self) -> list:
        node = self.group.core[0]
        base, _, source = node.inputs
        axes = self._axes(node.shape)
        self.point = tuple(map(i.var, axes))
        slot = self.slots[id(node)]
        start = Store(slot, i.ravel(self.point, node.shape), self.value(base, self.point, ()), node.dtype)
        sources = self._axes(source.shape, "s")
        at = tuple(map(i.var, sources))
        where, mode = node.op.folds
        element = run(self._element(node, where, at, ()), self.value)
        write = Store(slot, i.ravel(element, node.shape), self.value(source, at, ()), node.dtype, mode)
        return [*nest(axes, [start]), *nest(sources, [write])]

    def _call(self) -> list:
        node, *picks = self.group.nodes
        inputs = tuple((self.slots[id(x)], x.spec) for x in node.inputs)
        if type(node.spec) is not tuple:
            return [Call(node.op, node.attrs, inputs, ((self.slots[id(node)], node.spec),))]
        by_index = {p.attrs[0]: self.slots[id(p)] for p in picks if id(p) in self.slots}
        return [Call(node.op, node.attrs, inputs, tuple((by_index.get(k), spec) for k, spec in enumerate(node.spec)))]

    # ---- values -------------------------------------------------------------------------------------------------------
    def value(self, node: Node, point: Point, guard: Guard):
        """The expression of one element of a node.

        The rules below are generators that yield what they need, so that a deep graph needs no deep stack."""
        first = (id(node), point, guard)
        if first in self.memo:
            return self.memo[first]
        stack: list[tuple[Any, Any]] = [(first, self._value(node, point, guard))]
        answer = None
        while stack:
            key, rule = stack[-1]
            try:
                wanted = rule.send(answer)
            except StopIteration as done:
                answer = self.memo[key] = done.value
                stack.pop()
                continue
            key = (id(wanted[0]), *wanted[1:])
            answer = self.memo.get(key)
            if answer is None:
                source, index, conditions = wanted
                stack.append((key, self._value(source, index, conditions)))
        return answer

    def _value(self, node: Node, point: Point, guard: Guard):
        at_home = id(node) in self.members and point == self.point
        if at_home and id(node) in self.totals:
            return self.totals[id(node)]
        if id(node) in self.slots and not at_home:
            return Load(self.slots[id(node)], i.ravel(point, node.shape), node.dtype, guard)
        if node.op.family == SOURCE:
            return self._source(node, point)
        if node.op.family == MOVEMENT:
            return (yield from self._movement(node, point, guard))
        if node.op.family == GATHER:
            element = yield from self._element(node, node.op.folds, point, guard)
            return _checked((yield node.inputs[0], element, guard), element)
        args = []
        for x in node.inputs:
            args.append((yield x, point, guard))
        return Apply(node.op, tuple(args), node.attrs, node.dtype)

    def _source(self, node: Node, point: Point):
        first = node.op.attrs[0]
        if first == "value":
            return Constant(node.attrs[0], node.dtype)
        if first == "slot":
            return Number(node.attrs[0], node.dtype)
        return Count(i.ravel(point, node.shape), node.dtype)

    def _movement(self, node: Node, point: Point, guard: Guard):
        shapes = [x.shape for x in node.inputs]
        pieces = node.op.emit(i, point, shapes, **node.named_attrs)  # type: ignore[misc]
        fill = node.op.folds
        result = None if fill is None else Constant(fill(**node.named_attrs), node.dtype)
        for source, index, conditions in reversed(_possible(pieces) or (pieces[-1:] if result is None else [])):
            piece = yield node.inputs[source], index, (*guard, *conditions)
            result = piece if result is None or not conditions else Choose(tuple(conditions), piece, result, node.dtype)
        return result

    def _element(self, node: Node, where, point: Point, guard: Guard):
        """The index of the element that a gather or scatter names at a point, its position read from memory."""
        shapes = [x.shape for x in node.inputs]
        marker = Index(((Position(None, 1), 1),))
        axis = next(k for k, ix in enumerate(node.op.emit(i, point, marker, shapes, **node.named_attrs)) if ix is marker)  # type: ignore[misc]
        read = yield node.inputs[1], where(i, point, shapes, **node.named_attrs), guard
        size = shapes[0][axis]
        position = Position(Apply(LOCATE, (convert(read, int64), holds(guard)), (size,), int64), size)
        return node.op.emit(i, point, Index(((position, 1),)), shapes, **node.named_attrs)  # type: ignore[misc]


def _possible(pieces: list) -> list[tuple[int, Point, Guard]]:
    """The pieces of a movement that an element may come from, with the conditions that its index leaves open."""
    found = []
    for source, index, conditions in pieces:
        ranges = [(c, *c[1].bounds()) if c[0] == "within" else (c, -1, c[2]) for c in conditions]
        if all(low < n and high >= 0 for (_, _, n), low, high in ranges):
            found.append((source, index, tuple(c for c, low, high in ranges if low < 0 or high >= c[2])))
            if not found[-1][2]:
                break
    return found


def run(rule, value):
    """The result of a rule whose wishes are granted by `value`."""
    answer = None
    while True:
        try:
            wanted = rule.send(answer)
        except StopIteration as done:
            return done.value
        answer = value(*wanted)


def _checked(e, element: Point):
    """An element with the positions that name it looked at, also where its value does not depend on it (a constant's element)."""
    if isinstance(e, Load) and any(isinstance(a, Position) for a in atoms_of(e.index)):
        return e
    positions = (a.expression for ix in element for a in atoms_of(ix) if isinstance(a, Position) and a.expression.op is LOCATE)
    return Apply(CHECKED, (e, *positions), (), e.dtype)


def holds(guard: Guard):
    """Whether every condition holds, as an expression."""
    yes = Constant(True, bool_)
    return Choose(guard, yes, Constant(False, bool_), bool_) if guard else yes


def convert(e, dtype: DType):
    """The expression as another dtype."""
    return e if e.dtype is dtype else Apply(CONVERT, (e,), (dtype,), dtype)


def nest(axes: list[Var], body: list) -> list:
    """The statements inside one loop for each axis; axes of size 1 need none."""
    for axis in reversed(axes):
        if axis.extent != 1:
            body = [Loop(axis, body)]
    return body
