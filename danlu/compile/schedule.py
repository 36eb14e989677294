"""L3. Cutting a graph into kernels. A group becomes one kernel: at most one core (reductions over the same axes, a contraction,
a scatter, a library call) and the elementwise work around it.

1. Every elementwise node joins the group of its latest input where shape and index agree (an epilogue), else begins its own.
   Groups are kept in the order of their creation, and a node only joins the latest group that it needs: no cycle can arise.
2. Elementwise groups that are read in one place, or that are cheap, are dissolved into their readers (a prologue).
3. What then crosses from one group to another, or leaves the program, is stored; all else stays in registers.
4. Of what is stored, a large elementwise value that follows from others which lie in memory as long is computed again by those
   who read it (a GELU keeps its input, and not three functions of it for the derivative).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod

from danlu.compile.emit import Emitter, Value
from danlu.compile.index import Var, i, is_linear
from danlu.compile.windows import reading
from danlu.dtype import DType, float32
from danlu.graph import (
    CONTRACT,
    ELEMENTWISE,
    GATHER,
    MOVEMENT,
    OPAQUE,
    PICK,
    REDUCE,
    SCAN,
    SCATTER,
    SOURCE,
    Node,
    Op,
    is_memory,
    is_plain_movement,
    toposort,
)

# Instructions per element up to which computing twice beats storing and loading: a load and a store of 4 bytes each cost as
# much as about 8 vector instructions from the second cache on.
CHEAP = 8
AGAIN = (
    96  # instructions per element that its readers may spend on a value that is not stored: 4 bytes written and read take 2 ns
)
FAR = 1 << 18  # bytes from which on a value is worth that: it does not stay in the second cache until it is read
FEW = 4096  # elements that stay in the first cache: rows and columns of factors, whose work codegen moves out of loops
LARGE = 128  # nodes of one group at most: past it registers spill, and LLVM's time grows faster than the code


@dataclass(eq=False)
class Group:
    """The nodes of one kernel. `nodes` are in topological order; `core` is empty for elementwise work alone."""

    shape: tuple[int, ...]
    core: list[Node] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    stored: list[Node] = field(default_factory=list)
    position: int = 0


def instructions(node: Node) -> int:
    """How many instructions an elementwise node costs per element: its own `emit`, counted."""
    if node.op.family != ELEMENTWISE or node.op.emit is None:
        return 1
    return emitted(node.op, tuple(float32 if x.dtype.name == "float16" else x.dtype for x in node.inputs), node.attrs)


@lru_cache(maxsize=1024)
def emitted(op: Op, dtypes: tuple[DType, ...], attrs: tuple) -> int:
    """The instructions that an op emits for inputs of these dtypes; counted once, as graphs hold the same op many times."""
    b = Emitter()
    op.emit(b, *[Value("%x", dtype) for dtype in dtypes], **dict(zip(op.attrs, attrs)))  # type: ignore[misc]
    return max(1, len(b.lines))


class Scheduler:
    """The steps of the module's docstring, on one graph."""

    def __init__(self, roots: Sequence[Node]) -> None:
        self.root_ids = {id(r) for r in roots}
        self.order = toposort(roots)
        self.groups: list[Group] = []
        self.group_of: dict[int, Group] = {}
        self.users: dict[int, list[Node]] = {id(n): [] for n in self.order}
        for n in self.order:
            for x in n.inputs:
                self.users[id(x)].append(n)

    def run(self) -> list[Group]:
        """The groups in an order in which they can run, with what each must store."""
        memory = self.root_ids | self._operands()
        for node in self.order:
            if node.op.family in (REDUCE, SCAN, CONTRACT, SCATTER, OPAQUE):
                self._begin_core(node)
            elif node.op.family == ELEMENTWISE:
                self._place_elementwise(node)
            elif node.op.family == PICK:
                self._join_producer(node)
            elif id(node) in memory:
                self._new_group(node, core=False)
        self._dissolve()
        self._mark_stored()
        self._compute_again()
        return [g for g in self.groups if g.stored]

    # ---- step 1 -------------------------------------------------------------------------------------------------------
    def _new_group(self, node: Node, core: bool) -> Group:
        shape = () if type(node.spec) is tuple else node.shape
        group = Group(shape, [node] if core else [], [node], position=len(self.groups))
        self.groups.append(group)
        self.group_of[id(node)] = group
        return group

    def _begin_core(self, node: Node) -> None:
        if node.op.family == REDUCE:
            needed = {id(g) for g in self._inputs(node)}
            for group in reversed(self.groups):  # a second reduction over the same axes shares the loop
                if id(group) in needed:
                    break
                if self._same_reduction(group, node):
                    group.core.append(node)
                    group.nodes.append(node)
                    self.group_of[id(node)] = group
                    return
        self._new_group(node, core=True)

    def _operands(self) -> set[int]:
        """The ids of the movements, gathers and sources that must become memory for a contraction or a library call: all that are not memory
        seen with other strides or through windows, and gathers under windows, which are read several times. Known before the first group is
        made: what reads them comes after."""
        contractions = [node for node in self.order if node.op.family == CONTRACT]
        gathered = {id(x) for node in contractions for x in map(_gathered, node.inputs) if x is not None}
        found = set(gathered)
        for node in self.order:
            if node.op.family == CONTRACT:
                seen = reading(node, lambda x: id(x) in gathered)
                found |= {id(x) for k, x in enumerate(node.inputs) if not (strided_view(x) or (seen and seen[0] == k))}
            elif node.op.family == OPAQUE:
                found |= {id(x) for x in node.inputs if not (x.op.family == SOURCE and strided_view(x))}
        return found

    def _join_producer(self, node: Node) -> None:
        """One of several results belongs to the group that makes them all."""
        group = self.group_of[id(node.inputs[0])]
        group.nodes.append(node)
        self.group_of[id(node)] = group

    def _same_reduction(self, group: Group, node: Node) -> bool:
        return (
            len(group.nodes) == len(group.core) > 0
            and group.core[0].op.family == REDUCE
            and group.core[0].inputs[0].shape == node.inputs[0].shape
            and group.core[0].attrs == node.attrs
            and all(g.position < group.position for g in self._inputs(node))
        )

    def _inputs(self, node: Node) -> list[Group]:
        """The groups that a node reads, movements looked through."""
        found, stack, seen = [], list(node.inputs), set()
        while stack:
            x = stack.pop()
            if id(x) in seen:
                continue
            seen.add(id(x))
            if id(x) in self.group_of:
                found.append(self.group_of[id(x)])
            else:
                stack.extend(x.inputs)
        return found

    def _place_elementwise(self, node: Node) -> None:
        groups = self._inputs(node)
        if groups:
            latest = max(groups, key=lambda g: g.position)
            if len(latest.nodes) < LARGE and self._aligned(node, latest):
                latest.nodes.append(node)
                self.group_of[id(node)] = latest
                return
        self._new_group(node, core=False)

    def _aligned(self, node: Node, group: Group) -> bool:
        """Whether the node can be computed at the points of the group: same shape, and reading its members nowhere else."""
        if node.shape != group.shape or (group.core and group.core[0].op.family in (SCATTER, OPAQUE)):
            return False
        return all(self.group_of.get(id(x)) is group or group not in self._inputs_of_value(x) for x in node.inputs)

    def _inputs_of_value(self, x: Node) -> list[Group]:
        return [self.group_of[id(x)]] if id(x) in self.group_of else self._inputs(x)

    # ---- step 2 -------------------------------------------------------------------------------------------------------
    def _dissolve(self) -> None:
        """Moves elementwise groups that need no memory into those that read them."""
        self.inlined: dict[int, int] = {}
        for group in self.groups:
            if group.core or not group.nodes:
                continue
            outlets = self._outlets(group)
            if not outlets or any(self._must_be_memory(n) for n in outlets):
                continue
            readers = {id(self.group_of[id(u)]): self.group_of[id(u)] for n in outlets for u in self._readers(n)}
            cost = sum(map(instructions, group.nodes)) + sum(
                self.inlined.get(id(x), 0) for n in group.nodes for x in self._values(n)
            )
            size = group.nodes[-1].spec.size
            repeats = sum(max(1, iterations(g) // max(size, 1)) for g in readers.values())
            if repeats <= 1 or (cost <= CHEAP and (size < FEW or (repeats - 1) * cost <= 2 * CHEAP)):
                for n in group.nodes:
                    del self.group_of[id(n)]
                    self.inlined[id(n)] = cost
                group.nodes = []

    def _values(self, node: Node) -> list[Node]:
        """The inputs of a node, movements looked through."""
        found, stack = [], list(node.inputs)
        while stack:
            x = stack.pop()
            if x.op.family == MOVEMENT and id(x) not in self.group_of:
                stack.extend(x.inputs)
            else:
                found.append(x)
        return found

    def _outlets(self, group: Group) -> list[Node]:
        """The members of a group that something outside it reads."""
        return [
            n
            for n in group.nodes
            if id(n) in self.root_ids or any(self.group_of.get(id(u)) is not group for u in self.users[id(n)])
        ]

    def _readers(self, node: Node) -> list[Node]:
        """The grouped nodes that read a node, through movements and dissolved work."""
        found, stack, seen = [], list(self.users[id(node)]), set()
        while stack:
            u = stack.pop()
            if id(u) in seen:
                continue
            seen.add(id(u))
            if id(u) in self.group_of:
                found.append(u)
            else:
                stack.extend(self.users[id(u)])
        return found

    def _must_be_memory(self, node: Node) -> bool:
        """Whether a node's readers need it in memory: results, operands of contractions, what is read at computed positions."""
        if id(node) in self.root_ids:
            return True
        stack, seen = [(node, u) for u in self.users[id(node)]], set()
        while stack:
            value, user = stack.pop()
            if user.op.family in (CONTRACT, OPAQUE) or (user.op.family == GATHER and user.inputs[0] is value):
                return True
            if id(user) not in seen and user.op.family in (MOVEMENT, GATHER):
                seen.add(id(user))
                if id(user) in self.root_ids:
                    continue
                stack.extend((user, u) for u in self.users[id(user)])
        return False

    # ---- step 3 -------------------------------------------------------------------------------------------------------
    def _mark_stored(self) -> None:
        for group in self.groups:
            group.stored = [
                n for n in group.nodes if type(n.spec) is not tuple and (id(n) in self.root_ids or self._read_elsewhere(n, group))
            ]

    # ---- step 4 -------------------------------------------------------------------------------------------------------
    def _compute_again(self) -> None:
        memory = {id(n) for g in self.groups for n in g.stored} | {id(n) for n in self.order if is_memory(n)}
        for group in self.groups:
            until = {id(n): last for n in group.stored if (last := self._read_cheaply_until(n, group))}
            gone = self._computed_again(group, until, memory)
            for base in group.nodes if len(until) > len(gone) + 1 else ():  # one more value in memory for two or more less
                wanted = base.op.family in (ELEMENTWISE, CONTRACT, REDUCE) and id(base) not in memory
                if wanted and base.spec.size <= group.stored[-1].spec.size:
                    found = self._computed_again(group, until, memory | {id(base)})
                    if len(found) > len(gone) + 1:
                        gone, group.stored = found, [base, *group.stored]
                        break
            group.stored = [n for n in group.stored if id(n) not in gone]
            memory = (memory | {id(n) for n in group.stored}) - gone

    def _read_cheaply_until(self, node: Node, group: Group) -> int:
        """The last group that reads a large elementwise value; 0 if it must lie in memory, or is read more than once an element."""
        if node.op.family != ELEMENTWISE or node.spec.size * node.dtype.itemsize < FAR or self._must_be_memory(node):
            return 0
        outside = [u for u in self.users[id(node)] if self.group_of.get(id(u)) is not group or u in group.core]
        readers = [self.group_of[id(r)] for u in outside for r in ([u] if id(u) in self.group_of else self._readers(u))]
        if any(g is group or iterations(g) > node.spec.size or (g.core and g.core[0].op.family == SCATTER) for g in readers):
            return 0
        return max(g.position for g in readers)

    def _computed_again(self, group: Group, until: dict[int, int], memory: set[int]) -> set[int]:
        """Which of the stored values (`until`: id → last reader) follow from the others and from what else is in memory as long."""
        gone: set[int] = set()
        for node in reversed(group.stored):
            made = self._made_of(node, memory - gone) if id(node) in until else None
            if made is not None and made[0] <= AGAIN:
                large = [x for x in made[1] if 8 * x.spec.size > node.spec.size and self.group_of.get(id(x)) is not group]
                kept = sum(x.spec.size * x.dtype.itemsize for x in large if self._last_read(x) < until[id(node)])
                if kept <= node.spec.size * node.dtype.itemsize:  # memory that lives longer instead of it
                    gone.add(id(node))
        return gone

    def _made_of(self, node: Node, memory: set[int]) -> tuple[int, list[Node]] | None:
        """The instructions that compute a value from what is in memory, and what that is; None where more than elementwise work is needed."""
        cost, found, stack, seen = instructions(node), [], list(node.inputs), set()
        while stack:
            x = stack.pop()
            if id(x) in seen:
                continue
            seen.add(id(x))
            if id(x) in memory:
                found.append(x)
            elif x.op.family in (ELEMENTWISE, MOVEMENT, SOURCE):
                cost += instructions(x) if x.op.family == ELEMENTWISE else 0
                stack.extend(x.inputs)
            else:
                return None
        return cost, found

    def _last_read(self, node: Node) -> int:
        """The position of the last group that reads a value; beyond all others for the inputs of the program."""
        if is_memory(node):
            return len(self.groups)
        return max((self.group_of[id(u)].position for u in self._readers(node)), default=0)

    def _read_elsewhere(self, node: Node, group: Group) -> bool:
        """Whether something reads the node from memory: another group, or this one at another index or through a core."""
        for user in self.users[id(node)]:
            if self.group_of.get(id(user)) is group and user not in group.core:
                continue
            if id(user) in self.group_of or self._readers(user):
                return True
        return False


def _gathered(x: Node) -> Node | None:
    """The gather under movements that read each of its elements several times (windows of a convolution)."""
    size = x.spec.size
    while x.op.family == MOVEMENT and len(x.inputs) == 1:
        x = x.inputs[0]
    return x if x.op.family == GATHER and size > x.spec.size else None


def iterations(group: Group) -> int:
    """How many points a group computes: those of its result, or of what it reduces."""
    if group.core and group.core[0].op.family == REDUCE:
        return group.core[0].inputs[0].spec.size
    return prod(group.shape)


def strided_view(x: Node) -> bool:
    """Whether x is memory, or a view of it that strides alone describe: no fill, no quotient or remainder left."""
    point = variables = tuple(i.var(Var(f"d{k}", n)) for k, n in enumerate(x.shape))
    while x.op.family == MOVEMENT:
        pieces = x.op.emit(i, point, [y.shape for y in x.inputs], **x.named_attrs)  # type: ignore[misc]
        if len(pieces) != 1 or pieces[0][2]:
            return False
        x, point = x.inputs[0], pieces[0][1]
    linear = point is variables or is_linear(i.ravel(point, x.shape))
    return linear and x.op.family != GATHER and (x.op.family != SOURCE or is_memory(x))


def same_memory(node: Node, known: Callable[[Node], bool] = lambda x: False) -> Node:
    """The node under movements that leave every element in its place in memory (a reshape), down to one that is `known`."""
    while is_plain_movement(node) and _in_place(node):
        node = node.inputs[0]
        if known(node):
            break
    return node


def _in_place(node: Node) -> bool:
    source = node.inputs[0]
    if source.spec.size != node.spec.size:
        return False
    point = tuple(i.var(Var(f"d{k}", n)) for k, n in enumerate(node.shape))
    pieces = node.op.emit(i, point, [source.shape], **node.named_attrs)  # type: ignore[misc]
    return not pieces[0][2] and i.ravel(pieces[0][1], source.shape) == i.ravel(point, node.shape)


def schedule(roots: Sequence[Node]) -> list[Group]:
    """The kernels of a program, as groups of nodes in the order in which they run."""
    return Scheduler(roots).run()
