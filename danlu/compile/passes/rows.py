"""L3. Pass over the whole program: kernels that walk the same rows become one kernel, which keeps a row in the caches.

before: serial d0 < 1000 { t0 = begin max; serial r1 < 512 { t0 <- b0[512*d0 + r1] }; b2[d0] = t0 }
        serial d0 < 1000 { serial d1 < 512 { b3[512*d0 + d1] = exp(sub(b0[512*d0 + d1], b2[d0])) } }   and a sum, and a quotient
after:  serial row < 1000 { t0 = begin max; t1 = begin sum; serial c0 < 512 { t0 <- b0[512*row + c0] };
                            serial c0 < 512 { b3[c0] = exp(sub(b0[512*row + c0], t0)); t1 <- exp(…) }; … }

Two kernels may become one where both begin with loops over equally many rows, and what one writes and the other touches lies, for
both, in the piece of memory that belongs to the row. Then scalars of a row stay in registers, neighbouring loops of the same extents
become one, and what no other kernel reads shrinks to one row: a slice of the workspace for each thread that runs.
Needs: serial loops, each slot written by one kernel. Guarantees: the same numbers, summed in an order that shapes fix.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count
from math import prod
from typing import Any

from danlu.compile.body import register_dtype
from danlu.compile.index import ZERO, Index, Position, Var, atoms_of, i, substitute
from danlu.compile.kernel import (
    CONVERT,
    Accumulate,
    Apply,
    Begin,
    Choose,
    Constant,
    Kernel,
    Load,
    Loop,
    Rewriter,
    Scan,
    Store,
    Total,
    all_expressions,
    children,
    expressions,
    own_indices,
    statements,
)
from danlu.compile.lower import convert, nest
from danlu.compile.passes.families import Members, in_step, join, pieces
from danlu.compile.passes.memory import ALIGNMENT, row_stride, touched, written
from danlu.compile.passes.vectorize import best_variable
from danlu.compile.schedule import emitted
from danlu.compile.target import Target
from danlu.dtype import bool_, float16
from danlu.graph import Op

FEWEST = 16  # rows: with fewer, and much work in each, too few threads could share them
LONG = 64  # elements of a row from which on its scalars cost less between its loops than in a kernel of their own, as vectors
SMALL = 32768  # elements that one thread computes anyway
CHEAP = 6  # instructions and loads with which a value is computed again in each loop of its row instead of stored for them
PARTS = 64  # of the rows, at most, each with sums over its columns of its own
PART = 8192  # elements that a part has at least
WIDE = 2048  # bytes of a row from which on a walk down a column touches a page for every few lines


def fuse(kernels: list[Kernel], results: set[int], target: Target) -> list[Kernel]:
    """The kernels, those that walk the same rows as one; `results` are slots that are read after the program."""
    families: list[Family] = []
    fresh = count(max(results.union(*map(touched, kernels)), default=0) + 1)
    divided: list[tuple[Kernel, ...]] = []
    for kernel in kernels:
        families.append(_family(kernel))
        if not _join(families, len(families) - 1, target) and (parts := _in_parts(kernel, fresh)):
            families[-1:] = map(_family, parts)
            _join(families, len(families) - 2, target)
            divided.append((kernel, *parts))
    for kernel, sums, end in divided:  # those that stayed alone as they were, where that is faster
        alone = [k for k, f in enumerate(families) if f.members in ((sums,), (end,))]
        if len(alone) == 2 and not _wide(sums, target):
            strips = _in_strips(kernel, sums, target)
            families[alone[1]] = _family(end if strips else kernel)
            families[alone[0] : alone[0] + 1] = [_family(strips)] if strips else []
    readers = Counter(slot for f in families for k in f.members for slot in touched(k))
    made = []
    for f in families:
        if len(f.members) == 1:
            made.append(f.members[0])
            continue
        mine = Counter(slot for k in f.members for slot in touched(k))
        made.append(_kernel(f, results | {slot for slot in mine if readers[slot] > mine[slot]}, fresh))
    for known in (_view, _touching, _vector):
        known.cache_clear()
    return made


# ---- which kernels --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Family(Members):
    """`rows`: the numbers of rows in which the kernels can be seen; one number once they are several."""

    rows: set[int]


def _family(kernel: Kernel) -> Family:
    rows = {kernel.rows} if kernel.rows else _rows_of(kernel)
    return Family((kernel,), touched(kernel), written(kernel), rows)


def _rows_of(kernel: Kernel) -> set[int]:
    """The sizes of the outer loops of a kernel, multiplied from the outermost inwards; none where rows depend on one another."""
    found, size, body = set(), 1, kernel.body if walks(kernel.body) else []
    while len(body) == 1 and isinstance(body[0], Loop):
        size, body = size * body[0].var.extent, body[0].body
        found.add(size)
    return found - {0}


def walks(body: list) -> bool:
    """Whether statements are loops, sums and stores alone, each element stored once."""
    found = [*statements(body)]
    known = all(isinstance(s, (Loop, Begin, Accumulate, Store)) and not isinstance(s, Scan) for s in found)
    return known and all(plain_store(s) for s in found if isinstance(s, Store))


def plain_store(s: Store) -> bool:
    """Whether a store writes elements that the loops count, once."""
    return s.mode == "set" and not any(isinstance(a, Position) for a in atoms_of(s.index))


def _join(families: list[Family], at: int, target: Target) -> bool:
    """A family becomes one with each earlier one that shares its rows. Whether there was one."""
    return join(families, at, _related, lambda first, second: _both(first, second, target))


def _related(first: Family, second: Family) -> bool:
    if first.rows.isdisjoint(second.rows):
        return False
    return not first.writes.isdisjoint(second.touches) or _read_together(first, second)


def _read_together(first: Family, second: Family) -> bool:
    """Whether one sums over columns rows that the other reads, too: the gradients of a norm's weight and of its input."""
    return any(k.partial for k in first.members) != any(k.partial for k in second.members) and bool(
        first.touches & second.touches
    )


def _both(first: Family, second: Family, target: Target) -> Family | None:
    """Both families as one, with as many rows as can be; None where it is not allowed or does not pay."""
    members = first.members + second.members
    for rows in sorted(first.rows & second.rows, reverse=True):
        views = [_view(k, rows) for k in members]
        if not any(v.reduces for v in views) or not in_step(first, second, (v.strides for v in views)):
            continue
        if _pays(members, views, rows, target) and not any(_across(k, rows) for k in members):
            return Family(members, first.touches | second.touches, first.writes | second.writes, {rows})
    return None


def _pays(members: tuple[Kernel, ...], views: list[View], rows: int, target: Target) -> bool:
    """The rule of cost: what a row touches stays in half of the second cache, threads find enough rows, and scalars are few beside
    the elements of their row."""
    sizes: dict[int, int] = {}
    for v in views:
        sizes |= v.sizes
    longest = max(v.length for v in views)
    if min(v.length for v in views) == 1 and longest < LONG:
        return False
    if len({k.chunk for k in members if k.chunk}) > 1:
        return False
    return sum(sizes.values()) <= target.l2 // 2 and (rows >= FEWEST or rows * longest <= SMALL)


# ---- sums over columns ----------------------------------------------------------------------------------------------------


def _in_parts(kernel: Kernel, fresh: Iterator[int]) -> list[Kernel] | None:
    """A kernel that sums over rows, column by column, as two: the sums of each part of the rows, row after row, and the sum of those.
    None where it is no such kernel, or too little work."""
    columns, body = _loops(kernel.body)
    begins = [s for s in body if isinstance(s, Begin)]
    loops = [s for s in body if isinstance(s, Loop)]
    if not columns or not begins or len(loops) != 1 or any(s.total.dtype in (float16, bool_) for s in begins):
        return None
    summed, updates = _loops(loops)
    extents = [v.extent for v in columns]
    rows, width = prod(v.extent for v in summed), prod(extents)
    length = _power(-(-rows // max(1, min(PARTS, rows * width // PART))))
    if rows * width < SMALL * 2 or length < FEWEST // 2 or not all(type(s) is Accumulate for s in updates):
        return None
    if _vector(kernel) not in columns:
        return None
    row = i.ravel([i.var(v) for v in summed], [v.extent for v in summed])
    column = i.ravel([i.var(v) for v in columns], extents)
    part = Var("part", -(-rows // length))
    slots = {s.total.name: next(fresh) for s in begins}
    stores = [
        _add(s, slots[s.total.name], i.add(i.affine(i.floordiv(row, length), width, 0), column), row, length) for s in updates
    ]
    sizes = {slots[s.total.name]: part.extent * width * s.total.dtype.itemsize for s in begins}
    at = i.add(i.affine(i.var(part), width, 0), column)
    loads = [Accumulate(s.total, Load(slots[s.total.name], at, s.total.dtype)) for s in begins]
    rest = [s for s in body if not isinstance(s, (Begin, Loop))]
    return [
        replace(kernel, body=nest([*summed, *columns], stores), partial=sizes, chunk=length, rows=rows),
        replace(kernel, body=nest(columns, [*begins, Loop(part, loads), *rest])),
    ]


def _in_strips(kernel: Kernel, sums: Kernel, target: Target) -> Kernel | None:
    """The sums of the same parts, each of a part and a strip of columns kept in registers: 65536 × 64 in a quarter of the time. None where the
    parts are not equal, or all of it lies in the second cache."""
    columns, body = _loops(kernel.body)
    begins = [s for s in body if isinstance(s, Begin)]
    summed, updates = _loops([s for s in body if isinstance(s, Loop)])
    extents, width = [v.extent for v in summed], prod(v.extent for v in columns)
    if prod(extents) % sums.chunk or max(_view(sums, sums.rows).sizes.values()) * sums.rows < target.l2:
        return None
    part, turn = Var("part", prod(extents) // sums.chunk), Var("turn", sums.chunk)
    row = i.add(i.affine(i.var(part), sums.chunk, 0), i.var(turn))
    column = i.ravel([i.var(v) for v in columns], [v.extent for v in columns])
    at = i.add(i.affine(i.var(part), width, 0), column)
    stores = [Store(slot, at, s.total, s.total.dtype) for slot, s in zip(sums.partial, begins, strict=True)]
    inside = Rewriter(dict(zip(summed, i.unravel(row, extents)))).body(updates)
    return replace(kernel, body=nest([part, *columns], [*begins, Loop(turn, inside), *stores]), partial=sums.partial)


def _power(n: int) -> int:
    """The power of two that is not less: lengths of parts that several batch sizes have, and that divide by shifts."""
    return 1 << (n - 1).bit_length()


def _wide(sums: Kernel, target: Target) -> bool:
    """Whether sums over columns are faster row by row, with the sums in the first cache, than column by column, with them in registers:
    one sum of 2048 × 512: 70 against 140 µs, of 2048 × 128: 30 against 29, two sums of 2000 × 2000: 0.77 against 0.37 ms."""
    row = max(_view(sums, sums.rows).sizes.values())
    return len(sums.partial) == 1 and row >= WIDE and row * sums.rows >= target.l2


def _add(s: Accumulate, slot: int, index: Index, row: Index, length: int) -> Store:
    """One more value in the sum of a part; the first row of the part begins it."""
    dtype = s.total.dtype
    start = Constant(s.total.op.identity(dtype), dtype)  # type: ignore[misc]
    before = Choose((i.divides(length, row),), start, Load(slot, index, dtype), dtype)
    return Store(slot, index, Apply(s.total.op, (before, s.value), (), dtype), dtype)


def _loops(body: list) -> tuple[list[Var], list]:
    """The variables of loops with nothing between them, and what is inside."""
    variables = []
    while len(body) == 1 and isinstance(body[0], Loop):
        variables, body = [*variables, body[0].var], body[0].body
    return variables, body


# ---- a kernel as rows -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class View:
    """A kernel seen as rows. `strides`: for each slot the elements from row to row where all accesses lie inside the row's
    piece, else 0; `sizes`: the bytes of these pieces; `length`: the elements of its longest loop inside; `reduces`: whether it sums
    within a row."""

    strides: dict[int, int]
    sizes: dict[int, int]
    length: int
    reduces: bool


ROW = "row"


def row_variable(rows: int) -> Var:
    """The variable of the loop over rows."""
    return Var(ROW, rows)


@lru_cache(maxsize=4096)
def _view(kernel: Kernel, rows: int) -> View:
    parts, body = _outermost(kernel, rows)
    strides, sizes = pieces(_touching(kernel), *(parts or [row_variable(rows)]))
    return View(strides, sizes, _length(body), bool(kernel.partial) or any(isinstance(s, Begin) for s in statements(body)))


@lru_cache(maxsize=4096)
def _touching(kernel: Kernel) -> list[tuple[int, Index, int]]:
    return [*accesses(kernel.body, all_expressions(kernel))]


def _outermost(kernel: Kernel, rows: int) -> tuple[list[Var], list]:
    """The variables of the loops that are the rows, and what is inside."""
    body, parts, size = kernel.body, [], 1
    while size < rows:
        parts.append(body[0].var)
        size, body = size * body[0].var.extent, body[0].body
    return parts, body


def _across(kernel: Kernel, rows: int) -> bool:
    """Whether the vectors of a kernel should rather go over its rows, which are neighbours in memory."""
    parts, body = _outermost(kernel, rows)
    return _length(body) > 1 and _vector(kernel) in parts


@lru_cache(maxsize=4096)
def _vector(kernel: Kernel) -> Var | None:
    return best_variable(kernel.body)


def accesses(body: list, inside: list | None = None) -> Iterator[tuple[int, Index, int]]:
    """(slot, index, bytes of an element) of every load and store; `inside`: all expressions, where they are known."""
    for s in statements(body):
        if isinstance(s, Store):
            yield s.slot, s.index, s.dtype.itemsize
    for e in expressions(body) if inside is None else inside:
        if isinstance(e, Load):
            yield e.slot, e.index, e.dtype.itemsize


def _length(body: list) -> int:
    return max((s.var.extent * _length(s.body) for s in body if isinstance(s, Loop)), default=1)


# ---- the kernel of a family -----------------------------------------------------------------------------------------------


def _kernel(family: Family, read: set[int], fresh: Iterator[int]) -> Kernel:
    """One kernel of many; `read` are the slots that others read."""
    (rows,) = family.rows
    row = _Row(family.writes - read)
    for member in family.members:
        row.add(member, rows)
    items = _needed(row.items, set(read))
    sizes: dict[int, int] = {}
    for slot, index, nbytes in accesses(items):
        if slot in family.writes - read:
            sizes[slot] = -(-row_stride(index, row_variable(rows)) * nbytes // ALIGNMENT) * ALIGNMENT
    items = _Same(sizes.keys(), {row_variable(rows): ZERO}).body(items)
    more = _computed_once(items, fresh)
    groups = tuple(g for m in family.members for g in m.groups)
    chunk = max(k.chunk for k in family.members)
    partial = {slot: nbytes for m in family.members for slot, nbytes in m.partial.items()}
    body: list = [Loop(row_variable(rows), [*row.begins, *items])]
    return replace(family.members[0], body=body, local=sizes | more, groups=groups, partial=partial, chunk=chunk)


class _Row:
    """The statements of one row, which grow member by member."""

    def __init__(self, private: set[int]) -> None:
        self.private = private  # slots that no other kernel reads
        self.begins: list[Begin] = []
        self.items: list = []
        self.known: dict[tuple[int, Index], Any] = {}  # what was stored and costs less to compute again
        self.variables: dict[tuple[int, ...], list[Var]] = {}  # for loops of these extents
        self.totals = 0

    def add(self, member: Kernel, rows: int) -> None:
        """The statements of a row of one more member, after the others."""
        parts, body = _outermost(member, rows)
        rewriter = _Renamed(self.known)
        rewriter.replace |= zip(parts, i.unravel(i.var(row_variable(rows)), [v.extent for v in parts]))
        for s in statements(body):
            if isinstance(s, Begin):
                rewriter.totals[s.total.name] = Total(f"t{self.totals}", s.total.op, s.total.dtype)
                self.totals += 1
        for s in body:
            if isinstance(s, Loop) and (nest := _nest(s)):
                old, _ = nest
                rewriter.loops |= zip(old, self._named(old))
                rewriter.replace |= {v: i.var(new) for v, new in zip(old, self._named(old))}
            (s,) = rewriter.body([s])
            if isinstance(s, Begin):
                self.begins.append(s)
            elif isinstance(s, Loop):
                self._add_loop(s)
            else:
                self.items.append(s)
                if isinstance(s, Store):
                    self.known[s.slot, s.index] = _as_stored(s)

    def _named(self, old: list[Var]) -> list[Var]:
        """The variables of all loops of these extents."""
        extents = tuple(v.extent for v in old)
        if extents not in self.variables:
            first = sum(map(len, self.variables))
            self.variables[extents] = [Var(f"c{first + k}", n) for k, n in enumerate(extents)]
        return self.variables[extents]

    def _add_loop(self, loop: Loop) -> None:
        """A loop goes into the first one of the same extents after all that it needs, where values are still in registers."""
        nest = _nest(loop)
        best = None
        for other in reversed(self.items if nest else []):
            into = _nest(other) if isinstance(other, Loop) else None
            if nest and into and into[0] == nest[0]:
                stored = {(s.slot, s.index): _as_stored(s) for s in into[1] if isinstance(s, Store)}
                body = _Renamed(stored).body(nest[1])
                if not _depends(body, into[1]):
                    best = into[1], body
            if _depends([loop], [other]):
                break
        if best is None:
            self.items.append(loop)
        else:
            best[0].extend(best[1])
        for s in nest[1] if nest else []:
            if isinstance(s, Store) and s.slot in self.private and _cost(s.value) <= CHEAP:
                self.known[s.slot, s.index] = _as_stored(s)


def _nest(loop: Loop) -> tuple[list[Var], list] | None:
    """The variables of loops with nothing between them, and the statements inside; None where a sum begins inside."""
    variables, body = _loops([loop])
    return (variables, body) if all(isinstance(s, (Store, Accumulate)) for s in body) else None


def _cost(e: Any) -> int:
    """The instructions of an expression and its loads, those of single numbers left out."""
    stack, seen, total = [e], set(), 0
    while stack and total <= 2 * CHEAP:
        x = stack.pop()
        if id(x) in seen or not _varies(x):
            continue
        seen.add(id(x))
        total += (
            emitted(x.op, tuple(register_dtype(a.dtype) for a in x.args), x.attrs)
            if isinstance(x, Apply) and isinstance(x.op, Op)
            else 1
        )
        stack.extend(children(x))
    return total


def _varies(root: Any) -> bool:
    """Whether an expression differs from element to element of a row."""
    return any(
        a.name != ROW
        for e in expressions([Store(0, ZERO, root, root.dtype)])
        for ix in own_indices(e)
        for a in atoms_of(ix)
        if isinstance(a, Var)
    )


def _as_stored(s: Store) -> Any:
    """The value as a load would find it: totals are rounded by the store."""
    if isinstance(s.value, Total) and s.dtype is float16:
        return Apply(CONVERT, (s.value,), (s.dtype,), s.dtype)
    return convert(s.value, s.dtype)


def _depends(body: list, before: list) -> bool:
    """Whether statements need what others compute: a total, or memory."""
    totals = {s.total.name for s in statements(before) if isinstance(s, Accumulate)}
    slots = {s.slot for s in statements(before) if isinstance(s, Store)}
    return any(
        (isinstance(e, Load) and e.slot in slots) or (isinstance(e, Total) and e.name in totals) for e in expressions(body)
    )


def _computed_once(items: list, fresh: Iterator[int]) -> dict[int, int]:
    """What several loops of the same extents compute, and what is dear, is stored by the first; the bytes of the new slots."""
    nests = [nest for s in items if isinstance(s, Loop) and (nest := _nest(s))]
    sizes: dict[int, int] = {}
    for k, (variables, first) in enumerate(nests):
        later = [body for other, body in nests[k + 1 :] if other == variables]
        elsewhere = {id(e) for body in later for e in expressions(body)}
        kept: dict[int, Any] = {}
        for e in _dear(first, elsewhere):
            at = i.ravel([i.var(v) for v in variables], [v.extent for v in variables])
            slot = next(fresh)
            sizes[slot] = -(-prod(v.extent for v in variables) * e.dtype.itemsize // ALIGNMENT) * ALIGNMENT
            kept[id(e)] = Load(slot, at, e.dtype)
            first.append(Store(slot, at, e, e.dtype))
        for body in later if kept else []:
            body[:] = _Kept(kept).body(body)
    return sizes


def _dear(body: list, elsewhere: set[int]) -> list:
    """The expressions of statements that occur `elsewhere` (ids) and are dear, without those inside another one."""
    found, seen = [], set()
    stack = [s.value for s in body]
    while stack:
        e = stack.pop()
        if id(e) in seen:
            continue
        seen.add(id(e))
        if isinstance(e, Apply) and id(e) in elsewhere and e.dtype is not float16 and _cost(e) > 2 * CHEAP:
            found.append(e)
        else:
            stack.extend(children(e))
    return found


class _Kept(Rewriter):
    """Some expressions (by id) are loaded instead of computed."""

    def __init__(self, loads: dict[int, Any]) -> None:
        super().__init__({})
        self.loads = loads

    def _expression(self, e: Any) -> Any:
        return self.loads[id(e)] if id(e) in self.loads else super()._expression(e)


def _needed(body: list, read: set[int]) -> list:
    """The statements without stores that nobody reads later; `read` grows to what these statements read, too."""
    kept = []
    for s in reversed(body):
        if isinstance(s, Loop):
            inside = _needed(s.body, read)
            kept += [replace(s, body=inside)] if inside else []
        elif not isinstance(s, Store) or s.slot in read:
            read |= {e.slot for e in expressions([s]) if isinstance(e, Load)}
            kept.append(s)
    return kept[::-1]


class _Renamed(Rewriter):
    """Gives loops and totals other names, and takes what was stored at the same index from its register."""

    def __init__(self, known: dict[tuple[int, Index], Any]) -> None:
        super().__init__({})
        self.known = known
        self.loops: dict[Var, Var] = {}
        self.totals: dict[str, Total] = {}

    def _expression(self, e: Any) -> Any:
        if isinstance(e, Total):
            return self.totals.get(e.name, e)
        e = super()._expression(e)
        return self.known.get((e.slot, e.index), e) if isinstance(e, Load) and not e.guard else e

    def _statement(self, s: Any) -> Any:
        if isinstance(s, Begin):
            return Begin(self.totals[s.total.name])
        if isinstance(s, Accumulate):
            return Accumulate(self.totals.get(s.total.name, s.total), self.expression(s.value))
        if isinstance(s, Loop):
            return Loop(self.loops.get(s.var, s.var), self.body(s.body))
        return super()._statement(s)


class Local(Rewriter):
    """Some slots hold one row."""

    def __init__(self, slots: Collection[int], first: dict[Var, Index]) -> None:
        super().__init__({})
        self.slots, self.first = slots, first

    def _expression(self, e: Any) -> Any:
        e = super()._expression(e)
        return (
            Load(e.slot, substitute(e.index, self.first), e.dtype, e.guard) if isinstance(e, Load) and e.slot in self.slots else e
        )

    def _statement(self, s: Any) -> Any:
        s = super()._statement(s)
        return (
            Store(s.slot, substitute(s.index, self.first), s.value, s.dtype)
            if isinstance(s, Store) and s.slot in self.slots
            else s
        )


class _Same(Local):
    """The same, where equal expressions become one object."""

    def __init__(self, slots: Collection[int], first: dict[Var, Index]) -> None:
        super().__init__(slots, first)
        self.known: dict[tuple, Any] = {}

    def _expression(self, e: Any) -> Any:
        e = super()._expression(e)
        kind = type(e)
        if kind is Apply:
            own: tuple = e.op, repr(e.attrs) if e.attrs else "", *map(id, e.args)
        elif kind is Load:
            own = e.slot, e.index, e.guard
        elif kind is Choose:
            own = e.guard, id(e.yes), id(e.no)
        else:
            own = getattr(e, "op", None), getattr(e, "index", None), repr(e)
        return self.known.setdefault((kind, e.dtype, own), e)
