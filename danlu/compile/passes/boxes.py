"""L3. Of the pass `contraction`: a product one operand of which is seen through windows (windows.py) becomes one over boxes (box.py).

before: t0[d0, d1, d2, d3] = contract b1[576*d1 + 9*kc + 3*ki + kj], b0[… 32*d2 + 32*ki + d3 + kj - 33 …] if …
after:  t0[d0, d2 / 8, d1, (d2 % 8, d3)] = the same, each unit (d0, d2 / 8) with a box [kc, kj, d2 % 8 + ki, d3] of b0

Positions and what meets them in a window get the strides of the box; the outermost position is split, so that a box fits the second
cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from danlu.compile import gemm
from danlu.compile.box import Box, Side, Source
from danlu.compile.index import Index, Var, i
from danlu.compile.kernel import Contract, Load, Rewriter
from danlu.compile.target import Target
from danlu.compile.tiling import Staging
from danlu.compile.windows import Places, Window, is_guarded, variables, window
from danlu.dtype import DType

SHARE = 3 / 8  # of the second cache for a box: the rest is for the other operand and for sums


def boxed(c: Contract, target: Target) -> Contract | None:
    """The contraction over boxes; None where no operand is seen through windows."""
    for mine, other in ((c.b, c.a), (c.a, c.b)):
        if mine.guard and not other.guard:
            found = window(_places(mine), [a for a, _ in other.index.terms if isinstance(a, Var)], c.axes)
            if found is not None:
                return _planned(c, found, mine, other, target)
    return None


def _places(load: Load) -> Places:
    """The places of an operand along the axes of its memory, which lower.py writes in its guard."""
    return tuple((ix, n) for _, ix, n in load.guard)


@dataclass(frozen=True)
class _Layout:
    """A box and the variables that walk it: `leading` (with stride `plane`), the one that meets the outermost position (`near`, with
    its stride in the box, or None where it is one of the leading ones), `positions`; `offset` of the first element."""

    box: Box
    leading: tuple[Var, ...]
    plane: int
    near: tuple[Var, int] | None
    positions: tuple[Var, ...]
    offset: int


def _planned(c: Contract, w: Window, mine: Load, other: Load, target: Target) -> Contract:
    outermost = w.positions[0]
    places = _places(mine)
    block = _block(w, places, target, mine.dtype)
    outer, split = Var(f"{outermost.name}o", outermost.extent // block), Var(f"{outermost.name}i", block)
    rewriter = Rewriter({outermost: i.add(i.affine(i.var(outer), block, 0), i.var(split))})
    mine, other, body = rewriter.expression(mine), rewriter.expression(other), rewriter.body(c.body)
    w = replace(w, positions=(split, *w.positions[1:]), unit=(*w.unit, outer))
    units = [v for v in w.unit if v in c.axes or (w.inner and v is outer)]
    members = [v for v in w.unit if v not in units]
    made = _layout(w, _places(mine), [*units, *members])
    make = _over_positions if w.inner else _over_windows
    problem, axes, merged = make(w, made, other.index, mine.dtype, units, members)
    body = Rewriter(merged).body(body)
    load = replace(mine, guard=())
    a, b = (other, load) if w.inner else (load, other)
    return replace(c, a=a, b=b, axes=axes, body=body, plan=gemm.plan(problem, target, "n"))


def _over_positions(w: Window, made: _Layout, other: Index, dtype: DType, units: Sequence[Var], members: Sequence[Var]):
    """Rows are the other operand's, columns the positions, k goes over the leading variables and the near one."""
    column, batch = Var("column", prod(v.extent for v in made.positions)), tuple(v.extent for v in units)
    depth = [*made.leading, *([made.near[0]] if made.near else [])]
    count = prod(v.extent for v in made.leading)
    columns = ((count, made.plane), (made.near[0].extent, made.near[1])) if made.near else ()
    digits = tuple((v.extent, other.coefficient(v)) for v in depth)
    staging = Staging(made.box, 1, len(units), columns, digits)
    problem = gemm.Contraction(
        batch, w.other.extent, column.extent, prod(v.extent for v in depth),
        (*(other.coefficient(v) for v in units), other.coefficient(w.other), 0),
        (*(0 for _ in units), made.plane, 1),
        other.const, made.offset, dtype, staging=staging,
    )  # fmt: skip
    return problem, (*units, w.other, column), _digits_of(column, made.positions)


def _over_windows(w: Window, made: _Layout, other: Index, dtype: DType, units: Sequence[Var], members: Sequence[Var]):
    """Rows are the leading variables, columns the other operand's, the near one is a batch axis; positions are summed."""
    row = Var("row", prod(v.extent for v in made.leading))
    inner = [made.near[0]] if made.near else []
    batch = (*units, *inner, *members)
    digits = _merged([(v.extent, other.coefficient(v)) for v in made.positions])
    along = digits[0][1] if len(digits) == 1 else 0
    staging = Staging(made.box, 0, len(units), (), () if len(digits) == 1 else tuple(digits))
    problem = gemm.Contraction(
        tuple(v.extent for v in batch), row.extent, w.other.extent, prod(v.extent for v in made.positions),
        (*(made.near[1] if made.near and v is made.near[0] else 0 for v in batch), made.plane, 1),
        (*(other.coefficient(v) for v in batch), along, other.coefficient(w.other)),
        made.offset, other.const, dtype, len(members), staging,
    )  # fmt: skip
    return problem, (*units, *inner, row, w.other), _digits_of(row, made.leading)


def _digits_of(merged: Var, parts: Sequence[Var]) -> dict[Var, Index]:
    """The variables that one stands for, outermost first, as its quotients and remainders."""
    return dict(zip(parts, i.unravel(i.var(merged), [v.extent for v in parts])))


def _merged(digits: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """(extent, stride) of axes, outermost first, with neighbours that are one walk made one."""
    found: list[tuple[int, int]] = []
    for extent, stride in digits:
        if found and found[-1][1] == stride * extent:
            found[-1] = found[-1][0] * extent, stride
        elif extent > 1 or not found:
            found.append((extent, stride))
    return found


def _joined(w: Window, places: Places) -> bool:
    """Whether the outermost position and its partner are one axis of the box."""
    return w.inside[0] is not None and _axis(places, w.positions[0])[1] == 1


def _axis(places: Places, var: Var) -> tuple[int, int]:
    """The axis of the memory along which a variable moves (the last one, where it has extent 1), and by how much."""
    t = next((t for t, place in enumerate(places) if var in variables((place,))), len(places) - 1)
    return t, places[t][0].coefficient(var)


def _reach(w: Window, places: Places) -> int:
    """By how many places a window goes on along the outermost axis, where position and window are joined."""
    first = w.inside[0]
    return (first.extent - 1) * abs(_axis(places, first)[1]) if first and _joined(w, places) else 0


def _leading(w: Window, places: Places) -> list[Var]:
    """The outer variables of the box: what windows span, and the places inside a window, but for those that are joined."""
    inside = w.inside[1:] if _joined(w, places) else (*w.inside[1:], w.inside[0])
    return [*w.carried, *(v for v in inside if v)]


def _block(w: Window, places: Places, target: Target, dtype: DType) -> int:
    """How many of the outermost positions a box has: the largest divisor with which it fits."""
    row = prod(v.extent for v in (*w.positions[1:], *_leading(w, places))) * max(4, dtype.itemsize)
    most, size = int(target.l2 * SHARE), w.positions[0].extent
    fits = [n for n in range(1, size + 1) if size % n == 0 and (n + _reach(w, places)) * row <= most]
    return max(fits, default=1)


def _layout(w: Window, places: Places, units: Sequence[Var]) -> _Layout:
    """Leading variables, then the outermost position with what meets it there, then the other positions side by side."""
    leading, reach = _leading(w, places), _reach(w, places)
    row = prod(v.extent for v in w.positions[1:])
    height = w.positions[0].extent + reach
    plane = (-(-height * row // 16) | 1) * 16  # whole cache lines, an odd number of them: planes do not share cache sets
    extents = (height, *(v.extent for v in w.positions[1:]))
    sides = [
        Side(n, *_axis(places, v), prod(extents[k + 1 :])) for k, (v, n) in enumerate(zip(w.positions, extents, strict=True))
    ]
    size = plane
    for v in reversed(leading):
        sides.insert(0, Side(v.extent, *_axis(places, v), size))
        size *= v.extent
    first = w.inside[0] if _joined(w, places) else None
    step = _axis(places, first)[1] if first else 0
    below = reach if step < 0 else 0
    outermost = _axis(places, w.positions[0])[0]
    sources = [
        Source(
            n,
            _stride(places, t),
            ix.const - (below if t == outermost else 0),
            tuple(ix.coefficient(v) for v in units),
            is_guarded(ix, n),
        )
        for t, (ix, n) in enumerate(places)
    ]
    near = (first, step * row) if first else None
    return _Layout(Box(tuple(sources), tuple(sides), size), tuple(leading), plane, near, w.positions, below * row)


def _stride(places: Places, axis: int) -> int:
    """The stride of an axis of memory in row-major order."""
    return prod(n for _, n in places[axis + 1 :])
