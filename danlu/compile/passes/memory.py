"""L3. Pass over the whole program: places in one workspace for what lives only between kernels.

A place is free again after the last kernel that reads it, so a deep network needs little more than its widest moments.
"""

from __future__ import annotations

from danlu.compile.index import Index
from danlu.compile.kernel import Call, Contract, Kernel, Load, Store, expressions, reports, statements
from danlu.graph import Spec

ALIGNMENT = 64


def touched(kernel: Kernel) -> set[int]:
    """The slots that a kernel reads or writes."""
    found = {e.slot for e in expressions(kernel.body) if isinstance(e, Load)}
    for s in statements(kernel.body):
        if isinstance(s, Store):
            found.add(s.slot)
        elif isinstance(s, Call):
            found |= {slot for slot, _ in (*s.inputs, *s.outputs) if slot is not None}
        elif isinstance(s, Contract):
            found |= {s.a.slot, s.b.slot} | ({s.workspace} if s.workspace is not None else set())
    return found


def written(kernel: Kernel) -> set[int]:
    """The slots that a kernel writes."""
    stores = {s.slot for s in statements(kernel.body) if isinstance(s, Store)}
    return stores | {slot for s in kernel.body if isinstance(s, Call) for slot, _ in s.outputs if slot is not None}


def results_last(kernels: list[Kernel]) -> list[Kernel]:
    """The kernels with those at the end whose results no other kernel reads (the updates of parameters), so that all who read an
    old value, and all who may find an error in the data, come before the kernel that overwrites it."""
    needed = [(touched(k) - written(k)) for k in kernels]
    read = set().union(*needed) if needed else set()
    return sorted(kernels, key=lambda k: 0 if written(k) & read else 1 if may_fail(k) else 2)


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
    chosen: dict[int, int] = {}
    for k, kernel in enumerate(kernels):
        later = set().union(*map(touched, kernels[k + 1 :]), set())
        stores = [s for s in statements(kernel.body) if isinstance(s, Store)] if not any(map(may_fail, kernels[k:])) else []
        for s in stores:
            if s.slot not in results or s.slot in chosen or sum(x.slot == s.slot for x in stores) > 1:
                continue
            known = [j for j, result in free.items() if result in (s.slot, None) and j not in later and j not in chosen.values()]
            fits = sorted((free[j] is None, j) for j in known if inputs.get(j) is results[s.slot])
            source = next((j for _, j in fits if j in touched(kernel) and _only_at(kernel, j, s.index)), None)
            if source is not None:
                chosen[s.slot] = source
    return chosen


def _only_at(kernel: Kernel, slot: int, index: Index) -> bool:
    """Whether a kernel reads a slot at this index alone."""
    if any(isinstance(s, Contract) and slot in (s.a.slot, s.b.slot) for s in kernel.body):
        return False
    return all(e.index == index and not e.guard for e in expressions(kernel.body) if isinstance(e, Load) and e.slot == slot)


def plan_memory(kernels: list[Kernel], sizes: dict[int, int]) -> tuple[dict[int, int], int]:
    """Offsets of the slots in `sizes` (slot → bytes) and the bytes of the workspace. First fit, in the order of first use.

    >>> plan_memory([], {7: 100})
    ({7: 0}, 128)
    """
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for k, kernel in enumerate(kernels):
        for slot in touched(kernel) & sizes.keys():
            first.setdefault(slot, k)
            last[slot] = k
    placed: list[tuple[int, int, int]] = []  # (offset, end, slot)
    offsets: dict[int, int] = {}
    for slot in sorted(sizes, key=lambda s: (first.get(s, 0), s)):
        size = -(-max(sizes[slot], 1) // ALIGNMENT) * ALIGNMENT
        start, stop = first.get(slot, 0), last.get(slot, 0)
        busy = sorted((a, b) for a, b, other in placed if first.get(other, 0) <= stop and last.get(other, 0) >= start)
        offset = 0
        for a, b in busy:
            if offset + size <= a:
                break
            offset = max(offset, b)
        offsets[slot] = offset
        placed.append((offset, offset + size, slot))
    return offsets, max((b for _, b, _ in placed), default=0)
