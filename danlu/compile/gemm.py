"""L3. Contractions C[..., m, n] = Σ_k A[..., m, k] · B[..., k, n]: a plan made from shape and strides, and its machine code.

    c = Contraction(batch, m, n, k, a_strides, b_strides, a_offset, b_offset, dtype)
    p = plan(c, target)                      # variant, register tile, packing, chunks; p.workspace bytes are needed
    for phase in emit_phases(p):             # run one after the other, each phase.chunks chunks in any order or grouping
        phase.emit(b, Pointers(a, b, workspace), begin, end, epilogue)   # the body of `void f(ptr args, i64 begin, i64 end)`

`begin` and `end` satisfy 0 ≤ begin < end ≤ chunks. The body starts in the function's entry block (it allocates its tile
there) and leaves the emitter in the block after it: the caller writes `ret void`. Chunks depend on shape and target alone,
and no element's sum depends on who ran which chunk.

Nothing is stored to C here. Every finished vector is handed over once, `epilogue(b, value, batch, m, n, mask, axis)`: `value`
has `lanes` neighbours along `axis` ('m' or 'n') that begin at (m, n), a multiple of the lanes; `mask` is None or the constant
<lanes x i1> of a partial last vector (its other lanes hold anything); batch, m and n are i64 registers or numbers. The
text of an epilogue is written up to twice, in blocks of which neither dominates the other: it must not reuse registers of
an earlier call. Vectors come along the axis asked for, except that an axis of extent 1 gives way to the other one.

tiling.py makes the plan, micro.py has the kernels of one tile and the loops. Tiles at the end of rows or columns are moved
back inside and hand over only what is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, prod

from danlu import dtype as dt
from danlu.compile import box, micro, tiling
from danlu.compile.emit import Emitter, Value, ir_type
from danlu.compile.micro import Operand, PanelShape, loop
from danlu.compile.tiling import Contraction, Plan, plan

Epilogue = Callable[[Emitter, Value, list[str], str, str, Value | None, str], None]


Fetch = Callable[[list[str], str, str, str, tuple[int, int, int]], None]


@dataclass(frozen=True)
class Pointers:
    """The registers that hold the addresses of A, B and the workspace. `fetch(batch, m, n, axis, (rows, vectors, lanes))` asks for the memory
    that the epilogue of a tile will touch, before its sums are made."""

    a: str
    b: str
    workspace: str
    fetch: Fetch | None = None


@dataclass(frozen=True)
class Phase:
    """One parallel loop over `chunks`; `emit(b, pointers, begin, end, epilogue)` writes its body."""

    name: str
    chunks: int
    emit: Callable[[Emitter, Pointers, str, str, Epilogue], None]


# ---- the phases ----------------------------------------------------------------------------------------------------
def emit_phases(p: Plan, packed: bool = False) -> list[Phase]:
    """The parallel loops of a plan, in their order: pack, tiles, finish (the first and the last only where needed). packed: the workspace
    holds the panels of an earlier product."""
    phases, packing = [], sum(_pack_chunks(p, side) for side in range(2))
    if p.contraction.slices:
        packing = p.chunks if packing else 0
    if packing and not packed:
        phases.append(_phase(p, "pack", packing, _emit_pack))
    phases.append(_phase(p, "tiles", p.chunks, _emit_units if p.contraction.staging else _emit_tiles))
    if p.partial:
        lines = p.rows * prod(p.contraction.results)
        phases.append(_phase(p, "finish", p.chunks if p.contraction.slices else ceil(lines / _finish_grain(p)), _emit_finish))
    return phases


def _phase(p: Plan, name: str, chunks: int, write: Callable) -> Phase:
    def emit(b: Emitter, at: Pointers, begin: str, end: str, epilogue: Epilogue) -> None:
        write(p, b, at, begin, end, epilogue)

    return Phase(name, chunks, emit)


@contextmanager
def _units(p: Plan, b: Emitter, begin: str, end: str, grain: int, box: tuple[int, ...]) -> Iterator[list[str]]:
    """The units of chunks begin … end-1, each as its digits in the box; all units of a piece, its digits before them, where a chunk is one."""
    pieces, units = p.contraction.pieces, prod(box)
    if not pieces and units == 1:
        yield micro.unravel(b, "0", box, b.size)
        return
    if pieces:
        first, last = "0", b.size(units)
    else:
        each = b.size(grain)
        first, last = micro.times(b, begin, each), micro.at_most(b, micro.times(b, end, each), units)
    piece = micro.unravel(b, begin, pieces, b.size) if pieces else []
    with loop(b, first, last) as unit:
        yield [*piece, *micro.unravel(b, unit.index, box, b.size)]


FETCH = 16  # k from which on memory has time to come while a tile is summed


# ---- packing -------------------------------------------------------------------------------------------------------
PACK_ELEMENTS = 1 << 14  # elements of a unit


def _pack_units(p: Plan, side: int) -> tuple[tuple[int, ...], int, int]:
    """The box of units (batch..., panels, blocks of k), how much of k a block has, and the grain."""
    source = p.sources[side]
    if source is None or (p.local and side == 1):
        return (0,), 1, 1
    extent, width = _panel_width(p, side)
    block = min(max(1, p.contraction.k), max(16, PACK_ELEMENTS // width // 16 * 16))
    apart = [*zip(p.contraction.batch, source.strides, strict=True)][p.contraction.slices :]
    batch = (size if stride else 1 for size, stride in apart)
    grain = max(1, PACK_ELEMENTS // (block * width))
    return (*batch, ceil(extent / width), ceil(p.contraction.k / block)), block, grain


def _panel_width(p: Plan, side: int) -> tuple[int, int]:
    """The extent of one side and the width of its panels."""
    extent = (p.rows, p.columns)[side]
    return extent, 1 if p.variant == "k" else (p.tile.rows, p.width)[side]


def _pack_chunks(p: Plan, side: int) -> int:
    box, _, grain = _pack_units(p, side)
    return ceil(prod(box) / grain)


def _emit_pack(p: Plan, b: Emitter, at: Pointers, begin: str, end: str, epilogue: Epilogue) -> None:
    """Chunks of the left operand, then those of the right one."""
    chunks, (left, right) = _pack_chunks(p, 0), p.sources
    if p.contraction.slices:
        for side, source in enumerate(p.sources):
            if source:
                _emit_pack_side(p, b, at, side, source, begin, end)
        return
    if left:
        _emit_pack_side(p, b, at, 0, left, begin, micro.at_most(b, end, chunks))
    if right and not p.local:
        first = micro.at_least(b, micro.minus(b, begin, str(chunks)), 0)
        _emit_pack_side(p, b, at, 1, right, first, micro.minus(b, end, str(chunks)))


def _emit_pack_side(p: Plan, b: Emitter, at: Pointers, side: int, source: Operand, begin: str, end: str) -> None:
    packed = (p.left, p.right)[side]
    extent, width = _panel_width(p, side)
    box, block, grain = _pack_units(p, side)
    shape = PanelShape(width, min(width, extent), p.contraction.k, _pack_lanes(p, width), _pack_block(p))
    pointer = at.a if (side == 0) == (p.axis == "n") else at.b
    with _units(p, b, begin, end, grain, box) as (*batch, panel, part):
        x = _inside(b, micro.times(b, panel, width), width, extent)
        start = micro.times(b, part, block)
        stop = micro.at_most(b, micro.plus(b, start, block), p.contraction.k)
        origin = source.start(b, pointer, batch, panel, x)
        goal = packed.start(b, at.workspace, batch, panel, x)
        micro.pack_panel(b, origin, goal, source, packed, shape, (start, stop))


def _pack_lanes(p: Plan, width: int) -> int:
    """The widest vectors that divide a panel."""
    lanes = p.lane_limit
    while width % lanes:
        lanes //= 2
    return lanes


def _pack_block(p: Plan) -> int:
    return min(4, p.lane_limit)


# ---- tiles ---------------------------------------------------------------------------------------------------------
def _room(p: Plan, b: Emitter) -> str:
    """Memory for the sums of a tile."""
    room = b.name("tile")
    size = p.tile.rows * p.width + p.lanes
    b.line(f"{room} = alloca [{size} x {ir_type(p.tile.dtype)}], align 64")
    return room


def _emit_tiles(p: Plan, b: Emitter, at: Pointers, begin: str, end: str, epilogue: Epilogue) -> None:
    room = _room(p, b)
    pointers = (at.a, at.b) if p.axis == "n" else (at.b, at.a)
    tiles = ceil(p.rows / p.tile.rows)
    places = [at.workspace if source else pointer for source, pointer in zip(p.sources, pointers, strict=True)]
    with _units(p, b, begin, end, p.grain, p.units) as (*batch, part, block, panel):
        block, panel = (panel, block) if p.down else (block, panel)
        first = micro.times(b, block, b.size(p.row_tiles))
        last = micro.at_most(b, micro.plus(b, first, b.size(p.row_tiles)), tiles)
        give = _partial_store(p, at, part) if p.partial else epilogue
        with loop(b, first, last) as tile:
            _emit_tile(p, b, places, room, batch, part, tile.index, panel, give, fetch=None if p.partial else at.fetch)


def _emit_tile(
    p: Plan,
    b: Emitter,
    places: Sequence[str],
    room: str,
    batch: list[str],
    part: str,
    row: str,
    panel: str,
    give: Epilogue,
    members: Sequence[str] = (),
    fetch: Fetch | None = None,
) -> None:
    """One tile: its sums go to `room`, from there vector by vector to the epilogue."""
    height, width, k = p.tile.rows, p.width, p.contraction.k
    first_row, first_column = micro.times(b, row, height), micro.times(b, panel, width)
    y, x = micro.at_most(b, first_row, p.rows - height), _inside(b, first_column, width, p.columns)
    kernel = micro.tile_along_columns if p.variant == "columns" else micro.tile_along_k
    if fetch is not None and p.variant == "columns" and k >= FETCH:
        fetch(batch, *((y, x) if p.axis == "n" else (x, y)), p.axis, (height, p.tile.vectors, p.tile.lanes))

    def sums(batch: list[str], ks: tuple[str, str]) -> Iterator[tuple[str, Value]]:
        left = p.left.start(b, places[0], batch, row, y)
        right = p.right.start(b, places[1], batch, panel, x)
        _fetch_rows(p, b, left)
        for i, value in enumerate(kernel(b, left, right, (p.left, p.right), p.tile, ks)):
            yield micro.at(b, room, str(i * p.lanes), p.tile.dtype), value

    if p.contraction.outer and not p.contraction.staging:
        first = micro.times(b, part, p.group)
        last = micro.at_most(b, micro.plus(b, first, p.group), p.contraction.batch[-1])
        for i in range(p.tile.rows * p.width // p.lanes):
            micro.store(b, micro.zero(p.tile.dtype, p.lanes), micro.at(b, room, str(i * p.lanes), p.tile.dtype))
        with loop(b, first, last) as member:
            for place, value in sums([*batch, member.index], ("0", str(k))):
                micro.store(b, b.add(micro.load(b, place, p.tile.dtype, p.lanes), value), place)
    else:
        start = micro.times(b, part, b.size(p.k_block))
        split = p.k_blocks > 1 and not members
        stop = micro.at_most(b, micro.plus(b, start, b.size(p.k_block)), k) if split else str(k)
        for place, value in sums([*batch, *members], (start, stop)):
            micro.store(b, value, place)
    _hand_over(p, b, room, batch, (first_row, y), (first_column, x), give)


def _fetch_rows(p: Plan, b: Emitter, left: str) -> None:
    """Asks for the rows of the next tile, where they lie apart and are short: their lines would come one after the other (64 × 64 × 32
    with rows of 128 bytes, 1.5 KiB apart)."""
    size, across = p.left.dtype.itemsize, p.left.across
    if p.sources[0] or p.panels > 1 or p.left.along != 1 or across <= p.contraction.k or p.contraction.k * size > 256:
        return
    for i in range(p.tile.rows):
        for line in range(0, p.contraction.k, 64 // size):
            micro.prefetch(b, micro.at(b, left, str((p.tile.rows + i) * across + line), p.left.dtype))


# ---- tiles of boxes ------------------------------------------------------------------------------------------------
def _emit_units(p: Plan, b: Emitter, at: Pointers, begin: str, end: str, epilogue: Epilogue) -> None:
    """Each unit copies a box, or one after the other those of its part of the sum. A call has one place for them, that of its first chunk."""
    c, room, tiles = p.contraction, _room(p, b), ceil(p.rows / p.tile.rows)
    place = micro.plus(b, micro.times(b, begin, p.scratch[1]), b.size(p.scratch[0]))
    scratch = micro.at(b, at.workspace, place, p.tile.dtype)
    with _units(p, b, begin, end, p.grain, p.units) as (*batch, part, block):
        first = micro.times(b, block, b.size(p.row_tiles))
        rows = first, micro.at_most(b, micro.plus(b, first, b.size(p.row_tiles)), tiles)
        if c.outer:
            start = micro.times(b, part, b.size(p.group))
            stop = micro.at_most(b, micro.plus(b, start, b.size(p.group)), prod(c.members))
            with loop(b, start, stop) as member:
                give = _partial_sum(p, at, part, b.instruction(f"icmp eq i64 {member.index}, {start}", dt.bool_))
                _emit_box(p, b, at, (scratch, room), batch, micro.unravel(b, member.index, c.members, b.size), rows, give)
        else:
            _emit_box(p, b, at, (scratch, room), batch, [], rows, epilogue)


def _emit_box(
    p: Plan,
    b: Emitter,
    at: Pointers,
    own: tuple[str, str],
    batch: list[str],
    members: list[str],
    rows: tuple[str, str],
    give: Epilogue,
) -> None:
    """The tiles of one box, which is copied first; own: memory for it and for the sums of a tile."""
    c, pointers = p.contraction, (at.a, at.b)
    staging: tiling.Staging = c.staging  # type: ignore[assignment]
    side, dtypes = staging.side, (c.dtype, p.tile.dtype)
    box.fill(b, staging.box, pointers[side], own[0], [*batch, *members], dtypes, _box_lanes(p, staging.box))
    places = [at.workspace if source else pointer for source, pointer in zip(p.sources, pointers, strict=True)]
    places[side] = own[0]
    inner = c.results[staging.units :]
    if p.local:
        places[1] = micro.at(b, own[0], str(tiling.aligned(staging.box.size)), p.tile.dtype)
        _pack_locally(p, b, at.b, places[1], [*batch, *["0"] * len(inner), *members])
    with loop(b, "0", str(prod(inner) * p.panels)) as turn:
        *digits, panel = micro.unravel(b, turn.index, (*inner, p.panels))
        with loop(b, *rows) as tile:
            _emit_tile(p, b, places, own[1], [*batch, *digits], "0", tile.index, panel, give, members)


def _box_lanes(p: Plan, made: box.Box) -> int:
    return max(2, min(p.lane_limit, 1 << (made.sides[-1].extent - 1).bit_length()))


def _pack_locally(p: Plan, b: Emitter, pointer: str, goal: str, batch: list[str]) -> None:
    """All panels of the columns, for one box."""
    source: Operand = p.sources[1]  # type: ignore[assignment]
    shape = PanelShape(p.width, min(p.width, p.columns), p.contraction.k, _pack_lanes(p, p.width), _pack_block(p))
    with loop(b, "0", str(p.panels)) as panel:
        x = _inside(b, micro.times(b, panel.index, p.width), p.width, p.columns)
        origin = source.start(b, pointer, batch, panel.index, x)
        target = micro.at(b, goal, micro.times(b, panel.index, p.right.panel_size), p.right.dtype)
        micro.pack_panel(b, origin, target, source, p.right, shape, ("0", str(p.contraction.k)))


def _partial_sum(p: Plan, at: Pointers, part: str, fresh: Value) -> Epilogue:
    """Adds to the partial sums; to nothing where they are `fresh`."""
    sums = _partials(p)

    def add(b: Emitter, value: Value, batch: list[str], m: str, n: str, mask: Value | None, axis: str) -> None:
        start = sums.start(b, at.workspace, batch, "0", m)
        place = micro.at(b, start, micro.plus(b, micro.times(b, part, sums.along), n), sums.dtype)
        old = b.select(fresh, micro.zero(sums.dtype, value.lanes), micro.load(b, place, sums.dtype, value.lanes, mask))
        micro.store(b, b.add(old, value), place, mask)

    return add


def _inside(b: Emitter, first: str, size: int, extent: int) -> str:
    """Where a tile that should begin at `first` begins, so that it ends inside."""
    return first if extent % size == 0 else micro.at_most(b, first, max(0, extent - size))


def _hand_over(
    p: Plan, b: Emitter, room: str, batch: list[str], rows: tuple[str, str], columns: tuple[str, str], give: Epilogue
) -> None:
    """What is new in a tile. rows, columns: the first one that is new, and the first one of the tile."""
    skipped = micro.minus(b, *columns)
    have = str(p.width)
    if p.columns % p.width:
        have = micro.at_most(b, micro.minus(b, str(p.columns), columns[0]), p.width)
    with loop(b, micro.minus(b, *rows), str(p.tile.rows)) as i:
        line = micro.at(b, room, micro.plus(b, micro.times(b, i.index, p.width), skipped), p.tile.dtype)
        y = micro.plus(b, rows[1], i.index)
        for start, stop, mask, lanes in _spans(p, b, have, p.width):
            with loop(b, start, stop, lanes) as j:
                value = micro.load(b, micro.at(b, line, j.index, p.tile.dtype), p.tile.dtype, lanes)
                _give(p, b, value, batch, y, micro.plus(b, columns[0], j.index), mask, give)


def _spans(p: Plan, b: Emitter, have: str, most: int) -> list[tuple[str, str, Value | None, int]]:
    """Where the full vectors of `have` columns are, `most` in a full tile, and the partial one; and how many lanes they have. Where all
    tiles are full, several vectors go side by side: one alone waits for each of its own results (gelu after 2048×128 @ 128×512: 7.6 ms
    one by one, 3.4 ms four at a time)."""
    if not (p.columns % p.width or p.width % p.lanes):
        wide = max(p.lanes, 1 << (p.width.bit_length() - 1))
        end = most - most % wide
        spans = [("0", str(end), None, wide), (str(end), str(most), None, p.lanes)]
        return [span for span in spans if span[0] != span[1]]
    ragged = p.columns % p.lanes
    if not ragged:
        return [("0", have, None, p.lanes)]
    whole = micro.minus(b, have, micro.split(b, have, p.lanes)[1])
    full = [("0", whole, None, p.lanes)] if p.columns >= p.lanes else []
    return [*full, (whole, have, micro.first_lanes(ragged, p.lanes), p.lanes)]


def _give(p: Plan, b: Emitter, value: Value, batch: list[str], y: str, x: str, mask: Value | None, give: Epilogue) -> None:
    m, n = (y, x) if p.axis == "n" else (x, y)
    give(b, value, batch, m, n, mask, p.axis)


# ---- long k: partial sums, then their sum -------------------------------------------------------------------------
def _partials(p: Plan) -> Operand:
    """Partial sums in the workspace: [part, batch..., row, column]; `along` is the stride of the parts."""
    lengths, size = p.contraction.results, p.rows * p.columns
    apart = [k >= p.contraction.slices for k in range(len(lengths))]
    whole = size * prod(lengths[p.contraction.slices :])
    return Operand(p.tile.dtype, tiling.one_after_another(lengths, apart, size), p.columns, whole, p.partial_offset)


def _partial_store(p: Plan, at: Pointers, part: str) -> Epilogue:
    sums = _partials(p)

    def store(b: Emitter, value: Value, batch: list[str], m: str, n: str, mask: Value | None, axis: str) -> None:
        row, column = (m, n) if axis == "n" else (n, m)
        start = sums.start(b, at.workspace, batch, "0", row)
        micro.store(b, value, micro.at(b, start, micro.plus(b, micro.times(b, part, sums.along), column), sums.dtype), mask)

    return store


def _finish_grain(p: Plan) -> int:
    return max(1, tiling.CHUNK_WORK // (8 * p.k_blocks * p.columns))


def _emit_finish(p: Plan, b: Emitter, at: Pointers, begin: str, end: str, epilogue: Epilogue) -> None:
    """Sums the parts in their order, row by row."""
    sums, box = _partials(p), (*p.contraction.results[p.contraction.slices :], p.rows)
    with _units(p, b, begin, end, _finish_grain(p), box) as (*batch, row):
        line = sums.start(b, at.workspace, batch, "0", row)
        for start, stop, mask, lanes in _spans(p, b, str(p.columns), p.columns):
            with loop(b, start, stop, lanes) as x:
                place = micro.at(b, line, x.index, sums.dtype)
                with loop(b, "0", str(p.k_blocks), 1, [micro.zero(sums.dtype, lanes)]) as part:
                    found = micro.at(b, place, micro.times(b, part.index, sums.along), sums.dtype)
                    part.values = [b.add(part.values[0], micro.load(b, found, sums.dtype, lanes, mask))]
                _give(p, b, part.values[0], batch, row, x.index, mask, epilogue)


__all__ = ["Contraction", "Epilogue", "Phase", "Plan", "Pointers", "emit_phases", "plan"]
