"""L3. Pass over the whole program: products that share a batch, and what lies between them, run slice after slice.

before: b6[d0, d1, :, :] = contract b1, b2;  b7[…] = softmax of b6's rows;  b8[d0, d1, :, :] = contract b7, b3
after:  each of 128 slices { b6[:, :] = contract b1[slice], b2[slice];  b7[:, :] = …;  b8[slice] = contract b7, b3[slice] }

A slice is one piece of the batch axes of the products (in attention: one head of one sample). What only the kernels of a family touch
shrinks to one slice for each call, in the workspace: the matrices of attention, T × T for each head, are never stored as a whole, and stay
in the caches where they are small. Needs: kernels before `optimize`, those of rows already joined (rows.py).
Guarantees: each member has one chunk for each slice, and its memory of a slice is begun and left by the same call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod

from danlu.compile.index import ZERO, Index, Var, i
from danlu.compile.kernel import Contract, Kernel, Loop, Rewriter, Slices
from danlu.compile.passes.contraction import affine, summed
from danlu.compile.passes.families import Members, in_step, join, pieces
from danlu.compile.passes.memory import read, touched, written
from danlu.compile.passes.rows import Local, accesses, plain_store, walks

FEWEST = 8  # slices: with fewer, too few threads could share them
CALLS = 16  # at most: each has memory for what it keeps of a slice,
ROOM = 1 << 26  # bytes of all of them, if that does not make them fewer than FEWEST
LARGE = 1 << 18  # bytes of what need not be stored any more, at least: less stays in the second cache anyway


def slice_by_slice(kernels: list[Kernel], results: set[int]) -> list[Kernel]:
    """The kernels, those that work on the same slices as one; `results` are slots that are read after the program."""
    counts = [*map(_slices_of, kernels)]
    if max(counts, default=0) < FEWEST:
        batch.cache_clear()
        return kernels
    families: list[Family] = []
    for kernel, count in zip(kernels, counts):
        families.append(Family((kernel,), touched(kernel), written(kernel), count))
        join(families, len(families) - 1, _related, _both)
    readers = Counter(slot for f in families for k in f.members for slot in touched(k))
    made: list[Kernel] = []
    for f in families:
        mine = Counter(slot for k in f.members for slot in touched(k))
        own = {slot for slot in f.writes if readers[slot] == mine[slot] > 1} - results
        together = _kernel(f, own) if len(f.members) > 1 else None
        made += f.members if together is None else (together,)
    view.cache_clear()
    batch.cache_clear()
    return made


@dataclass(frozen=True)
class Family(Members):
    """`count` slices, 0 where any number will do or, for one kernel, none."""

    count: int


def _slices_of(kernel: Kernel) -> int:
    """How many slices a product has."""
    return prod(v.extent for v in batch(kernel.body[0])) if isinstance(kernel.body[0], Contract) else 0


@lru_cache(maxsize=4096)
def batch(c: Contract) -> list[Var]:
    """The axes that both operands of a product have, and all that it stores; none where it is no product of matrices."""
    if not (affine(c) and c.total.dtype.is_floating_point and len(summed(c)) == 1 and all(map(plain_store, c.body))):
        return []
    everywhere = [c.a.index, c.b.index, *(s.index for s in c.body)]
    return [v for v in c.axes if v.extent > 1 and all(ix.coefficient(v) for ix in everywhere)]


def _related(first: Family, second: Family) -> bool:
    return max(first.count, second.count) >= FEWEST and bool(first.writes & second.touches)


def _both(first: Family, second: Family) -> Family | None:
    """Both as one, where what one writes and the other touches is cut into the same slices. What nobody of them reads need not be: each
    writes its own part of it (the gradients of queries, keys and values, side by side)."""
    count = max(first.count, second.count)
    members = first.members + second.members
    views = [v for k in members if (v := view(k, count))]
    fit = {first.count, second.count} <= {0, count} and len(views) == len(members)
    used = {slot for k in members for slot in read(k)}
    one, other = (replace(f, writes=f.writes & used) for f in (first, second))
    if not fit or not in_step(one, other, (v.strides for v in views)):
        return None
    return Family(members, first.touches | second.touches, first.writes | second.writes, count)


# ---- a kernel as slices -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class View:
    """A kernel as slices. `variables`: whose values, row-major, are the number of the slice; `strides`: for each slot the elements from
    slice to slice where all accesses lie inside the slice's piece, else 0; `sizes`: the bytes of these pieces."""

    body: list
    variables: list[Var]
    strides: dict[int, int]
    sizes: dict[int, int]


@lru_cache(maxsize=4096)
def view(kernel: Kernel, count: int) -> View | None:
    """The kernel as so many slices; None where it cannot be cut so."""
    if not isinstance(kernel.body[0], Contract):
        body, variables = _outermost(kernel, count), [Var("piece", count)]
    elif _slices_of(kernel) == count:
        body, variables = kernel.body, batch(kernel.body[0])
    else:
        return None
    return View(body, variables, *pieces(_accesses(body), *variables)) if body else None


def _outermost(kernel: Kernel, count: int) -> list:
    """The body of a slice of a kernel of loops, its outer ones cut so that `piece` counts them; nothing where that cannot be."""
    if kernel.partial or kernel.rows or not walks(kernel.body):
        return []
    body, parts, size = kernel.body, [], 1
    while size < count and len(body) == 1 and isinstance(body[0], Loop):
        parts.append(body[0].var)
        size, body = size * body[0].var.extent, body[0].body
    if size < count or size % count:
        return []
    inner, number = size // count, i.var(Var("piece", count))
    rest = Var(f"{parts[-1].name}.rest", inner)
    if parts[-1].extent % inner:
        return []
    number = i.add(i.affine(number, inner, 0), i.var(rest))
    body = Rewriter(dict(zip(parts, i.unravel(number, [v.extent for v in parts])))).body(body)
    return [Loop(rest, body)] if inner > 1 or len(kernel.groups) > 1 else body


def _accesses(body: list) -> Iterator[tuple[int, Index, int]]:
    yield from accesses(body)
    for s in body:
        if isinstance(s, Contract):
            yield from ((x.slot, x.index, x.dtype.itemsize) for x in (s.a, s.b))


# ---- the kernel of a family ---------------------------------------------------------------------------------------------


def _kernel(family: Family, own: set[int]) -> Kernel | None:
    """One kernel of many, `own` slots of which hold a slice; None where that saves too little."""
    views = [v for k in family.members if (v := view(k, family.count))]
    sizes = {slot: v.sizes[slot] for v in views for slot in own & v.sizes.keys()}
    if not sizes or sum(sizes.values()) * family.count < LARGE:
        return None
    members = []
    for kernel, v in zip(family.members, views, strict=True):
        body = Local(own, dict.fromkeys(v.variables, ZERO)).body(v.body)
        if isinstance(body[0], Contract):
            body = [replace(body[0], slices=tuple(v.variables), shared=(1, 1))]
        else:
            body = [Loop(v.variables[0], body)]
        members.append(replace(kernel, body=body, chunk=0))
    calls = min(CALLS, max(FEWEST, ROOM // sum(sizes.values())))
    each = -(-family.count // calls)
    groups = tuple(g for k in family.members for g in k.groups)
    return Kernel(
        family.members[0].name, [Slices(family.count, members)], -(-family.count // each), sizes, chunk=each, groups=groups
    )
