"""L3. Boxes: what one unit of a contraction reads of an operand through windows, copied to memory of its own.

    y[n, f, p, q] = Σ_{c, i, j} w[f, c, i, j] · x[n, c, p + i - 1, q + j - 1]       box of x[n]: [c, j, p + i, q]

In the box the positions (p, q) are one walk with stride 1, whatever the size of the image, zeros stand where x has no element, and
the tiles read vectors that lie side by side. It repeats x as often as a window is wide (j), not as often as a window has elements,
and stays in the second cache while the tiles of its unit run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from danlu import dtype as dt
from danlu.compile import micro
from danlu.compile.emit import Emitter, Value, ir_type
from danlu.compile.micro import at, linear, loop, plus, times
from danlu.dtype import DType

OUTSIDE = -(1 << 30)  # a place that no axis has


@dataclass(frozen=True)
class Source:
    """An axis of the operand's memory: a unit begins at start + Σ coordinate · units; `guarded`: places outside 0 … size-1 occur."""

    size: int
    stride: int
    start: int
    units: tuple[int, ...]
    guarded: bool


@dataclass(frozen=True)
class Side:
    """An axis of the box: `step` places further along axis `source` for each of its `extent`, `stride` apart in the box."""

    extent: int
    source: int
    step: int
    stride: int


@dataclass(frozen=True)
class Box:
    """What is copied from where; the last side has stride 1. `size` in elements."""

    sources: tuple[Source, ...]
    sides: tuple[Side, ...]
    size: int


def fill(b: Emitter, box: Box, memory: str, goal: str, units: Sequence[str], dtypes: tuple[DType, DType], lanes: int) -> None:
    """Copies the box of the unit with coordinates `units` from `memory` to `goal`; dtypes: there and in the box."""
    places = [linear(b, units, s.units, s.start) for s in box.sources]
    _fill(b, box, 0, memory, goal, places, dtypes, lanes)


def _fill(
    b: Emitter, box: Box, k: int, memory: str, goal: str, places: list[str], dtypes: tuple[DType, DType], lanes: int
) -> None:
    if k == len(box.sides) - 1:
        _fill_row(b, box, memory, goal, places, dtypes, lanes)
        return
    side = box.sides[k]
    with loop(b, "0", str(side.extent)) as turn:
        moved = [plus(b, x, times(b, turn.index, side.step)) if t == side.source else x for t, x in enumerate(places)]
        _fill(b, box, k + 1, memory, at(b, goal, times(b, turn.index, side.stride), dtypes[1]), moved, dtypes, lanes)


def _fill_row(b: Emitter, box: Box, memory: str, goal: str, places: list[str], dtypes: tuple[DType, DType], lanes: int) -> None:
    """The last side: vectors, with zeros in the lanes whose place does not exist."""
    side = box.sides[-1]
    source, first = box.sources[side.source], places[side.source]
    line = at(b, memory, linear(b, places, [s.stride for s in box.sources]), dtypes[0])
    others = [(s, x) for t, (s, x) in enumerate(zip(box.sources, places, strict=True)) if s.guarded and t != side.source]
    guarded = bool(others) or source.guarded
    if others:
        first = _where_others_exist(b, first, others)
    whole = side.extent // lanes * lanes
    for start, stop in ((0, whole), (whole, side.extent)):
        if start == stop:
            continue
        tail = micro.first_lanes(stop - start, lanes) if stop - start < lanes else None
        with loop(b, str(start), str(stop), lanes) as x:
            mask = tail
            if guarded:
                inside = _inside(b, plus(b, first, times(b, x.index, side.step)), side.step, source.size, lanes)
                mask = inside if tail is None else b.and_(inside, tail)
            step = side.step * source.stride
            y = micro.load_apart(b, at(b, line, times(b, x.index, step), dtypes[0]), step, dtypes[0], lanes, mask)
            micro.store(b, b.cast(y, dtypes[1]), at(b, goal, x.index, dtypes[1]), tail)


def _where_others_exist(b: Emitter, place: str, others: Sequence[tuple[Source, str]]) -> str:
    """The place, or one that does not exist where one of the others does not."""
    exists: Value | None = None
    for source, x in others:
        one = b.instruction(f"icmp ult i64 {x}, {source.size}", dt.bool_)
        exists = one if exists is None else b.and_(exists, one)
    return b.instruction(f"select i1 {exists.ref}, i64 {place}, i64 {OUTSIDE}", dt.int64).ref  # type: ignore[union-attr]


def _inside(b: Emitter, place: str, step: int, size: int, lanes: int) -> Value:
    """Whether 0 ≤ place + lane · step < size."""
    if lanes == 1:
        return b.instruction(f"icmp ult i64 {place}, {size}", dt.bool_)
    narrow = b.splat(b.instruction(f"trunc i64 {place} to i32", dt.int32), lanes)
    numbers = Value("<" + ", ".join(f"i32 {k * step}" for k in range(lanes)) + ">", dt.int32, lanes)
    bound = Value("<" + ", ".join([f"i32 {size}"] * lanes) + ">", dt.int32, lanes)
    there = b.add(narrow, numbers)
    return b.instruction(f"icmp ult {ir_type(dt.int32, lanes)} {there.ref}, {bound.ref}", dt.bool_, lanes)
