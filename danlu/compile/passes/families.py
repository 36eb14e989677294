"""L3. What the passes over the whole program share that make one kernel of many (rows.py, slices.py): families of kernels, and which pieces
of memory they keep to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from danlu.compile.index import Index, Var
from danlu.compile.kernel import Kernel
from danlu.compile.passes.memory import row_stride


@dataclass(frozen=True)
class Members:
    """Kernels that become one, in order, and the slots that they touch and write."""

    members: tuple[Kernel, ...]
    touches: set[int]
    writes: set[int]


Family = TypeVar("Family", bound=Members)


def join(
    families: list[Family], at: int, related: Callable[[Family, Family], bool], both: Callable[[Family, Family], Family | None]
) -> bool:
    """A family becomes one with each earlier one that is `related` to it, the latest first, where there is `both`; in the place of the one or
    of the other, as what lies between them allows. Whether there was one."""
    joined = False
    for k in reversed(range(at)):
        first, second = families[k], families[at]
        if not related(first, second):
            continue
        between = families[k + 1 : at]
        up = not any(f.writes & second.touches for f in between)
        down = not any(f.touches & first.writes for f in between)
        found = both(first, second) if up or down else None
        if found is not None:
            families[k : at + 1] = [found, *between] if up else [*between, found]
            at, joined = k if up else at - 1, True
    return joined


def pieces(accesses: Iterable[tuple[int, Index, int]], *rows: Var) -> tuple[dict[int, int], dict[int, int]]:
    """For each slot the elements from row to row where all accesses (slot, index, bytes of an element) lie inside the row's piece, else 0;
    and the bytes of that piece."""
    strides: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for slot, index, nbytes in accesses:
        stride = row_stride(index, *rows)
        if strides.setdefault(slot, stride) != stride:
            strides[slot] = 0
        sizes[slot] = strides[slot] * nbytes
    return strides, sizes


def in_step(first: Members, second: Members, strides: Iterable[dict[int, int]]) -> bool:
    """Whether all that one writes and the other touches is cut into the same pieces; `strides`: of each member."""
    strides = list(strides)
    shared = (first.writes | second.writes) & first.touches & second.touches
    found = [{known[slot] for known in strides if slot in known} for slot in shared]
    return all(len(each) == 1 and 0 not in each for each in found)
