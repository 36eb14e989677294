"""L3. Groups that do the same on other memory: the layers of a deep network, the updates of its parameters. They are lowered, made fast and
written once; the others are copies of the first kernel with their own slots and numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

from danlu.compile.body import NOWHERE, NUMBERS, Function, Place
from danlu.compile.codegen import write_kernel
from danlu.compile.index import Index, Position, atoms_of
from danlu.compile.kernel import Contract, Kernel, Load, Number, Rewriter, Store
from danlu.compile.schedule import Group
from danlu.graph import ELEMENTWISE, OPAQUE, SOURCE, is_memory, toposort

# The slots and the Python numbers that a kernel works on, in the order of its graph.
Own = tuple[tuple[int, ...], tuple[int, ...]]


class Alike:
    """The kernels of one program; `slots` says where each node that is memory lies."""

    def __init__(self, slots: dict[int, int]) -> None:
        self.slots = slots
        self.first: dict[Hashable, tuple[Kernel, Own]] = {}
        self.known: dict[int, tuple[Kernel, Hashable, Own]] = {}
        self.written: dict[Hashable, tuple[list[Function], list[Place]]] = {}

    def kernel(self, group: Group, name: str, make: Callable[[], Kernel]) -> Kernel:
        """The kernel of a group: `make()`, or a copy of an equal group's kernel."""
        if group.core and group.core[0].op.family == OPAQUE:
            return make()
        key, own = _described(group, self.slots)
        if key in self.first:
            template, other = self.first[key]
            kernel = _Moved(other, own).kernel(template, name)
        else:
            kernel = make()
            self.first[key] = kernel, own
        self.known[id(kernel)] = kernel, key, own
        return kernel

    def functions(self, kernel: Kernel, places: dict[int, Place]) -> list[Function]:
        """The functions of a kernel, taken from an equal one where its memory is told apart in the same way."""
        if id(kernel) not in self.known:  # a pass made it of others
            return write_kernel(kernel, places)
        _, key, own = self.known[id(kernel)]
        mine = _places(kernel, own, places)
        apart = key, tuple(map(mine.index, mine)), isinstance(kernel.body[0], Contract) and kernel.body[0].packed
        if apart not in self.written:
            self.written[apart] = write_kernel(kernel, places), mine
        found, theirs = self.written[apart]
        moved = dict(zip(theirs, mine))
        return [replace(f, places=tuple(p if p.entry == NOWHERE else moved.get(p, p) for p in f.places)) for f in found]


def _described(group: Group, slots: dict[int, int]) -> tuple[Hashable, Own]:
    """All that the kernel of a group follows from, with its slots and numbers counted from 0; and which they are."""
    members = {id(n) for n in group.nodes}
    order = toposort(group.nodes, stop=lambda n: id(n) in slots and id(n) not in members)
    local: dict[int, int] = {}
    own: dict[int, int] = {}
    numbers: dict[int, int] = {}
    described: list[tuple] = []
    for n in order:
        local[id(n)] = len(local)
        where = own.setdefault(slots[id(n)], len(own)) if id(n) in slots else -1
        if where >= 0 and id(n) not in members:
            described.append((where, n.spec, is_memory(n)))
        elif n.op.family == SOURCE and n.op.attrs[0] == "slot":
            described.append((n.op, numbers.setdefault(n.attrs[0], len(numbers)), n.spec))
        else:
            # -0.0 equals 0 and is another number.
            attrs = repr(n.attrs) if n.attrs and n.op.family in (SOURCE, ELEMENTWISE) else n.attrs
            described.append((n.op, attrs, n.spec, tuple(local[id(x)] for x in n.inputs), where))
    parts = tuple(tuple(local[id(n)] for n in nodes) for nodes in (group.nodes, group.core, group.stored))
    return (tuple(described), parts, group.shape, group.shared), (tuple(own), tuple(numbers))


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

    def kernel(self, template: Kernel, name: str) -> Kernel:
        """The kernel on other memory."""
        return replace(template, name=name, body=self.body(template.body))

    def index(self, ix: Index) -> Index:
        """The same index, but for what it reads from memory."""
        return super().index(ix) if any(isinstance(a, Position) for a in atoms_of(ix)) else ix

    def _expression(self, e: Any) -> Any:
        if isinstance(e, Load):
            return Load(self.slots[e.slot], self.index(e.index), e.dtype, self.guard(e.guard))
        return Number(self.numbers[e.position], e.dtype) if isinstance(e, Number) else super()._expression(e)

    def _statement(self, s: Any) -> Any:
        made = super()._statement(s)
        return replace(made, slot=self.slots[s.slot]) if isinstance(s, Store) else made
