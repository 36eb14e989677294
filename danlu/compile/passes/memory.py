"""L3. Pass over the whole program: places in one workspace for what lives only between kernels.

A place is free again after the last kernel that reads it, so a deep network needs little more than its widest moments.
"""

from __future__ import annotations

from danlu.compile.kernel import Call, Contract, Kernel, Load, Store, expressions, statements

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
