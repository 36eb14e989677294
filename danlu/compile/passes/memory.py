"""L3. Pass over the whole program: places in one workspace for what lives only between kernels.

A place is free again after the last kernel that reads it, so a deep network needs little more than its widest moments.
"""

from __future__ import annotations

import sys
from collections import Counter

from danlu.compile.index import Index, Var, atoms_of
from danlu.compile.kernel import Call, Contract, Kernel, Load, Slices, Store, all_expressions, expressions, reports, statements
from danlu.graph import Spec

ALIGNMENT = 64


def touched(kernel: Kernel) -> set[int]:
    """The slots that a kernel reads or writes; found once, but for workspaces, which it gets late."""
    found = kernel.__dict__.get("touched")
    if found is None:
        found = kernel.__dict__["touched"] = read(kernel) | written(kernel)
    first = kernel.body[0] if kernel.body else None
    late = [first, *(m.body[0] for m in first.members)] if isinstance(first, Slices) else [first]
    spaces = {s.workspace for s in late if isinstance(s, (Contract, Slices)) and s.workspace is not None}
    return found | spaces if spaces else found


def read(kernel: Kernel) -> set[int]:
    """The slots that a kernel reads."""
    found = {e.slot for e in all_expressions(kernel) if isinstance(e, Load)}
    for s in statements(kernel.body):
        if isinstance(s, Store) and s.mode != "set":
            found.add(s.slot)
        elif isinstance(s, Call):
            found |= {slot for slot, _ in s.inputs}
        elif isinstance(s, Contract):
            found |= {s.a.slot, s.b.slot}
    return found


def written(kernel: Kernel) -> set[int]:
    """The slots that a kernel writes; found once."""
    found = kernel.__dict__.get("written")
    if found is None:
        found = {s.slot for s in statements(kernel.body) if isinstance(s, Store)}
        found |= {slot for s in kernel.body if isinstance(s, Call) for slot, _ in s.outputs if slot is not None}
        kernel.__dict__["written"] = found
    return found


def results_last(kernels: list[Kernel]) -> list[Kernel]:
    """The kernels with those at the end whose results no other kernel reads (the updates of parameters), so that all who read an
    old value, and all who may find an error in the data, come before the kernel that overwrites it. Those that write one memory, as a
    scatter goes on where its input lies, stay in their order."""
    read = set().union(*(touched(k) - written(k) for k in kernels))
    ranks: list[int] = []
    least: dict[int, int] = {}  # of the kernels behind that write a slot
    for k in reversed(kernels):
        own = 0 if written(k) & read else 1 if may_fail(k) else 2
        ranks.append(min([own, *(least[slot] for slot in written(k) & least.keys())]))
        least |= dict.fromkeys(written(k), ranks[-1])
    return [k for _, k in sorted(zip(reversed(ranks), kernels), key=lambda pair: pair[0])]


def may_fail(kernel: Kernel) -> bool:
    """Whether a kernel may find an error in the data."""
    return reports(kernel) or any(isinstance(s, Call) for s in kernel.body)


def in_place(
    kernels: list[Kernel], results: dict[int, Spec], inputs: dict[int, Spec], free: dict[int, int | None]
) -> dict[int, int]:
    """Results (slots) that may be written into the memory of an input: {result: input}. `free` are inputs that nobody reads later, each
    with the result that takes its place, if there is one: a parameter stays where it is.

    The kernel that makes the result must be the last one that reads the input, and reads of it only the element that it writes.
    Neither it nor a later one may find an error in the data: a program that fails must not have overwritten anything.
    """
    uses = [touched(k) for k in kernels]
    last = {slot: k for k, used in enumerate(uses) for slot in used}
    made = Counter(slot for kernel in kernels for slot in written(kernel))  # what several kernels write is begun by the first
    safe = max((k + 1 for k, kernel in enumerate(kernels) if may_fail(kernel)), default=0)
    ends: dict[int, set[int]] = {}
    for j in free.keys() & last.keys():
        ends.setdefault(last[j], set()).add(j)
    chosen: dict[int, int] = {}
    for k, kernel in enumerate(kernels[safe:], safe):
        dying = ends.get(k, set())
        stores = [s for s in statements(kernel.body) if isinstance(s, Store)] if dying else []
        for s in stores:
            if s.slot not in results or s.slot in chosen or made[s.slot] > 1 or sum(x.slot == s.slot for x in stores) > 1:
                continue
            known = [j for j in dying if free[j] in (s.slot, None) and j not in chosen.values()]
            fits = sorted((free[j] is None, j) for j in known if inputs.get(j) is results[s.slot])
            source = next((j for _, j in fits if _only_at(kernel, j, s)), None)
            if source is not None:
                chosen[s.slot] = source
    return chosen


def _only_at(kernel: Kernel, slot: int, store: Store) -> bool:
    """Whether a kernel reads a slot only at the element that the store writes, or, where its rows have several parts, in parts of
    the same row that come before that."""
    if any(isinstance(s, Slices) or (isinstance(s, Contract) and slot in (s.a.slot, s.b.slot)) for s in kernel.body):
        return False
    if kernel.begins.get(slot) != kernel.begins.get(store.slot):
        return False
    parts, row = kernel.body, None
    if len(kernel.groups) > 1:
        parts, row = kernel.body[0].body, kernel.body[0].var
    writes = next(k for k, part in enumerate(parts) if any(s is store for s in statements([part])))
    for k, loads in enumerate(_loads(kernel, parts)):
        for e in (e for e in loads if e.slot == slot):
            here = k <= writes and e.index == store.index and not e.guard
            if not here and not (row and k < writes and row_stride(e.index, row) == row_stride(store.index, row) > 0):
                return False
    return True


def _loads(kernel: Kernel, parts: list) -> list[list[Load]]:
    """The loads of each part of a kernel, found once."""
    found = kernel.__dict__.get("loads")
    if found is None:
        found = kernel.__dict__["loads"] = [[e for e in expressions([part]) if isinstance(e, Load)] for part in parts]
    return found


def row_stride(index: Index, *rows: Var) -> int:
    """The elements from row to row of an access that lies inside its row's piece of memory, else 0. Of several variables the values,
    row-major, are the number of the row."""
    stride, inner = index.coefficient(rows[-1]), 1
    for v in reversed(rows):
        if index.coefficient(v) != stride * inner:
            return 0
        inner *= v.extent
    rest = Index([(a, c) for a, c in index.terms if a not in rows], index.const)
    low, high = rest.bounds()
    return stride if low >= 0 and high < stride and {*rows}.isdisjoint(atoms_of(rest)) else 0


def over_each_other(kernels: list[Kernel], specs: dict[int, Spec]) -> dict[int, int]:
    """Of what lives only inside a program (slots with their specs): {slot: the one it is written over}. As in `in_place`, the kernel
    that writes the one is the last that reads the other, and reads of it only the element that it writes."""
    uses = [touched(k) for k in kernels]
    last = {slot: k for k, used in enumerate(uses) for slot in used}
    chosen: dict[int, int] = {}
    known: set[int] = set()
    for k, kernel in enumerate(kernels):
        stores = [s for s in statements(kernel.body) if isinstance(s, Store)]
        dying = {slot for slot in uses[k] & specs.keys() & known if last[slot] == k}
        for s in stores:
            if s.slot in specs and s.slot not in known and sum(x.slot == s.slot for x in stores) == 1:
                fits = [r for r in sorted(dying) if specs[r] is specs[s.slot] and _only_at(kernel, r, s)]
                if fits:
                    chosen[s.slot] = fits[0]
                    dying.discard(fits[0])
        known |= uses[k]
    return chosen


def plan_memory(
    kernels: list[Kernel], sizes: dict[int, int], results: dict[int, int] | None = None, over: dict[int, int] | None = None
) -> tuple[dict[int, tuple[int | None, int]], int]:
    """Where the slots in `sizes` (slot → bytes) lie: (a result in whose memory, None for the workspace; offset), and the bytes of the
    workspace. First fit, the largest first: a small piece in the way of a large one would cost a place as large. The memory of a
    result (slot → bytes) serves until its own kernel runs; slots that are written `over` another lie where that lies.

    >>> plan_memory([], {7: 100})
    ({7: (None, 0)}, 128)
    """
    first, last = _lifetimes(kernels)
    home = _homes(over or {})
    for slot, root in home.items():
        first[root], last[root] = min(first[root], first[slot]), max(last[root], last[slot])
    arenas = [(slot, size, first.get(slot, 0)) for slot, size in (results or {}).items()]
    placed: dict[int | None, list[tuple[int, int, int, int]]] = {None: []}  # arena → (first, last, offset, end)
    found: dict[int, tuple[int | None, int]] = {}
    for slot in sorted(sizes.keys() - home.keys(), key=lambda s: (-sizes[s], first.get(s, 0), s)):
        needed = max(sizes[slot], 1)
        size = -(-needed // ALIGNMENT) * ALIGNMENT
        start, stop = first.get(slot, 0), last.get(slot, 0)
        rooms = ((r, n) for r, n, until in arenas if stop < until and needed <= n)
        for arena, room in (*rooms, (None, sys.maxsize)):
            there = placed.setdefault(arena, [])
            offset = _first_gap(sorted((a, b) for since, until, a, b in there if since <= stop and until >= start), size)
            if offset + needed <= room:
                break
        found[slot] = arena, offset
        there.append((start, stop, offset, offset + size))
    workspace = max((end for *_, end in placed[None]), default=0)
    return found | {slot: found[root] for slot, root in home.items()}, workspace


def _lifetimes(kernels: list[Kernel]) -> tuple[dict[int, int], dict[int, int]]:
    """The first and the last kernel that touches each slot."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for k, kernel in enumerate(kernels):
        for slot in touched(kernel):
            first.setdefault(slot, k)
            last[slot] = k
    return first, last


def _homes(over: dict[int, int]) -> dict[int, int]:
    """The first of the chain of slots that each is written over."""
    home = {}
    for slot, root in over.items():
        while root in over:
            root = over[root]
        home[slot] = root
    return home


def _first_gap(busy: list[tuple[int, int]], size: int) -> int:
    """The lowest offset at which `size` bytes are free."""
    offset = 0
    for a, b in busy:
        if offset + size <= a:
            break
        offset = max(offset, b)
    return offset
