"""L3. Kernels that do the same on other memory: the layers of a deep network, the steps of a recurrent one, the updates of parameters.
They are made fast and written once; the others are copies of the first kernel with their own slots and numbers.

before: b9[d1 + 256*d0] = add(b4[d1 + 768*d0 + 24576], b4[d1 + 768*d0 + 24832])
after:  b9[d1 + 256*d0] = add(b4[d1 + 768*d0], b4[d1 + 768*d0 + 256]), with b4 from byte 98304 on

What each step reads of the memory of all lies at constants of its own: where a slot begins for a kernel is told by its place.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

from danlu.compile.body import NOWHERE, NUMBERS, Function, Place
from danlu.compile.codegen import write_kernel
from danlu.compile.index import Index, Position, Quotient, Remainder, atoms_of
from danlu.compile.kernel import (
    Accumulate,
    Apply,
    Begin,
    Call,
    Choose,
    Constant,
    Contract,
    Count,
    Kernel,
    Load,
    Loop,
    Number,
    Rewriter,
    Scan,
    Store,
    Total,
    all_expressions,
    children,
    statements,
)  # fmt: skip

# The slots and the Python numbers that a kernel works on, in the order of its statements.
Own = tuple[tuple[int, ...], tuple[int, ...]]
Make = Callable[[Kernel], Kernel]


class Alike:
    """The kernels of one program."""

    def __init__(self) -> None:
        self.first: dict[Hashable, tuple[Kernel, Own]] = {}
        self.known: dict[int, tuple[Kernel, Hashable, Own]] = {}
        self.written: dict[Hashable, tuple[list[Function], list[Place]]] = {}

    def kernel(self, kernel: Kernel, make: Make, local: dict[int, int] | None = None) -> Kernel:
        """What `make` makes of a kernel, or a copy of what it made of an equal one. `local`: slots with a piece for each call besides its own."""
        if isinstance(kernel.body[0], Call):
            return make(kernel)
        kernel = based(kernel, local or {})
        described = _Described(kernel)
        key, own = (make, described.key), described.own
        if key in self.first:
            template, other = self.first[key]
            made = _Moved(other, own).kernel(template, kernel)
        else:
            made = make(kernel)
            self.first[key] = made, own
        self.known[id(made)] = made, key, own
        return made

    def functions(self, kernel: Kernel, places: dict[int, Place]) -> list[Function]:
        """The functions of a kernel, taken from an equal one where its memory is told apart in the same way."""
        _, key, own = self.known[id(kernel)]
        begins = {slot: Place(places[slot].entry, places[slot].offset + nbytes) for slot, nbytes in kernel.begins.items()}
        places = {**places, **begins} if begins else places
        mine = _places(kernel, own, places)
        apart = key, tuple(map(mine.index, mine)), isinstance(kernel.body[0], Contract) and kernel.body[0].packed
        if apart not in self.written:
            self.written[apart] = write_kernel(kernel, places), mine
        found, theirs = self.written[apart]
        moved = dict(zip(theirs, mine))
        return [replace(f, places=tuple(p if p.entry == NOWHERE else moved.get(p, p) for p in f.places)) for f in found]


# ---- where slots begin -----------------------------------------------------------------------------------------------------


def based(kernel: Kernel, local: dict[int, int]) -> Kernel:
    """The kernel with each slot beginning at the first constant of its indices. Not what is `local`, whose pieces are counted from its
    beginning, and not what exists under a condition only: where it does not, element 0 is read."""
    first: dict[int, int] = {}
    nbytes: dict[int, int] = {}
    fixed = {*local, *kernel.local}
    products = [x for s in kernel.body if isinstance(s, Contract) for x in (s.a, s.b)]
    for e in (*all_expressions(kernel), *products, *statements(kernel.body)):
        if isinstance(e, (Load, Store)):
            first[e.slot] = min(e.index.const, first.get(e.slot, e.index.const))
            nbytes[e.slot] = e.dtype.itemsize
            if isinstance(e, Load) and e.guard:
                fixed.add(e.slot)
    begins = {slot: k for slot, k in first.items() if k > 0 and slot not in fixed}
    if not begins:
        return kernel
    return replace(kernel, body=_Based(begins).body(kernel.body), begins={s: k * nbytes[s] for s, k in begins.items()})


class _Based(Rewriter):
    """Counts the elements of some slots from a later one on."""

    def __init__(self, first: dict[int, int]) -> None:
        super().__init__({})
        self.first = first

    def _expression(self, e: Any) -> Any:
        e = super()._expression(e)
        return replace(e, index=self._later(e)) if isinstance(e, Load) and e.slot in self.first else e

    def _statement(self, s: Any) -> Any:
        s = super()._statement(s)
        return replace(s, index=self._later(s)) if isinstance(s, Store) and s.slot in self.first else s

    def _later(self, access: Any) -> Index:
        return Index(access.index.terms, access.index.const - self.first[access.slot])


# ---- what a kernel says -----------------------------------------------------------------------------------------------------


class _Described:
    """`key`: all that a kernel says, with its slots and numbers counted from 0; `own`: which they are."""

    def __init__(self, kernel: Kernel) -> None:
        self.slots: dict[int, int] = {}
        self.numbers: dict[int, int] = {}
        self.local: dict[int, int] = {}
        self.said: list[Hashable] = []
        self._body(kernel.body)
        sizes = tuple((self._slot(slot), n) for known in (kernel.local, kernel.partial) for slot, n in known.items())
        self.key = (*self.said, sizes, len(kernel.local), kernel.chunks, kernel.chunk, kernel.rows, len(kernel.groups) > 1)
        self.own: Own = tuple(self.slots), tuple(self.numbers)

    def _slot(self, slot: int) -> int:
        return self.slots.setdefault(slot, len(self.slots))

    def _index(self, ix: Index) -> Hashable:
        """The index itself; told in words where it has a position, which is known by its expression."""
        if not any(isinstance(a, Position) for a in atoms_of(ix)):
            return ix
        return tuple((self._atom(a), c) for a, c in ix.terms), ix.const

    def _atom(self, a: Any) -> Hashable:
        if isinstance(a, Position):
            return Position, self._value(a.expression), a.extent
        return (type(a), self._index(a.index), a.divisor) if isinstance(a, (Quotient, Remainder)) else a

    def _guard(self, guard: tuple) -> Hashable:
        return tuple((kind, self._index(ix), n) for kind, ix, n in guard)

    def _body(self, body: list) -> None:
        for s in body:
            if isinstance(s, Loop):
                self.said.append((Loop, s.var.name, s.var.extent, s.kind, s.lanes, s.chunk, len(s.body)))
                self._body(s.body)
            elif isinstance(s, Store):
                value = self._value(s.value)
                self.said.append((Store, self._slot(s.slot), self._index(s.index), value, s.dtype, s.mode))
            elif isinstance(s, Contract):
                self._contract(s)
            else:
                value = self._value(s.value) if isinstance(s, Accumulate) else -1
                more = s.var.name if isinstance(s, Scan) else s.lanes if isinstance(s, Begin) else 0
                self.said.append((type(s), s.total.name, s.total.op, s.total.dtype, value, more))

    def _contract(self, s: Contract) -> None:
        """Its summed axes have no loop that says how long they are."""
        axes = tuple((a, a.extent) for x in (s.a, s.b) for a in atoms_of(x.index))
        operands = self._value(s.a), self._value(s.b), axes, tuple((a, a.extent) for a in s.axes), s.slices
        self.said.append((Contract, *operands, s.total.name, s.total.dtype, s.shared, len(s.body)))
        self._body(s.body)

    def _value(self, root: Any) -> int:
        """The number of an expression, said at its first mention; its parts before it, without recursion."""
        stack = [root]
        while stack:
            e = stack[-1]
            missing = [c for c in children(e) if id(c) not in self.local]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            if id(e) not in self.local:
                self.said.append(self._expression(e))
                self.local[id(e)] = len(self.local)
        return self.local[id(root)]

    def _expression(self, e: Any) -> Hashable:
        if isinstance(e, Load):
            return Load, self._slot(e.slot), self._index(e.index), e.dtype, self._guard(e.guard)
        if isinstance(e, Apply):  # -0.0 equals 0 and is another number
            return e.op, tuple(map(self._value, e.args)), repr(e.attrs) if e.attrs else "", e.dtype
        if isinstance(e, Choose):
            return Choose, self._guard(e.guard), self._value(e.yes), self._value(e.no), e.dtype
        if isinstance(e, Constant):
            return Constant, repr(e.value), e.dtype
        if isinstance(e, Number):
            return Number, self.numbers.setdefault(e.position, len(self.numbers)), e.dtype
        return (Count, self._index(e.index), e.dtype) if isinstance(e, Count) else (Total, e.name, e.op, e.dtype)


def _places(kernel: Kernel, own: Own, places: dict[int, Place]) -> list[Place]:
    """Where the slots and the numbers of a kernel lie, in their order; nowhere, where no kernel is left that touches a slot."""
    first = kernel.body[0]
    slots = [*own[0], *([first.workspace] if isinstance(first, Contract) and first.workspace is not None else [])]
    return [*(places.get(s, Place(NOWHERE)) for s in slots), *(Place(NUMBERS, 16 * k + half) for k in own[1] for half in (0, 8))]


class _Moved(Rewriter):
    """Builds a kernel again with other slots and numbers."""

    def __init__(self, old: Own, new: Own) -> None:
        super().__init__({})
        self.slots, self.numbers = (dict(zip(a, b)) for a, b in zip(old, new))

    def kernel(self, template: Kernel, like: Kernel) -> Kernel:
        """The template on the memory of a kernel like it."""
        local, partial = ({self.slots[slot]: n for slot, n in known.items()} for known in (template.local, template.partial))
        body = self.body(template.body)
        return replace(template, name=like.name, body=body, local=local, partial=partial, groups=like.groups, begins=like.begins)

    def _expression(self, e: Any) -> Any:
        if isinstance(e, Load):
            return Load(self.slots[e.slot], self.index(e.index), e.dtype, self.guard(e.guard))
        return Number(self.numbers[e.position], e.dtype) if isinstance(e, Number) else super()._expression(e)

    def _statement(self, s: Any) -> Any:
        made = super()._statement(s)
        return replace(made, slot=self.slots[s.slot]) if isinstance(s, Store) else made
