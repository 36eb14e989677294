"""L3. What hand-tiled kernels are written with: index arithmetic, loops, vector loads and stores, transposes, fixed sum trees.

Indices are i64 and stand as text: a register (`%v12`) or a number (`48`); arithmetic on two numbers is done here, so
that the text of a kernel holds only what depends on something. Every loop tests at its head and may carry values from
turn to turn; its values after the loop are those of the last turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from danlu import dtype as dt
from danlu.compile.emit import Emitter, Value, ir_type
from danlu.dtype import DType


# ---- index arithmetic ----------------------------------------------------------------------------------------------
def is_number(x: str) -> bool:
    """True of an index that is known while the text is written."""
    return not x.startswith("%")


def _index(b: Emitter, word: str, x: str, y: str) -> str:
    return b.instruction(f"{word} i64 {x}, {y}", dt.int64).ref


def plus(b: Emitter, x: str, y: str | int) -> str:
    """x + y"""
    y = str(y)
    if is_number(x) and is_number(y):
        return str(int(x) + int(y))
    if y == "0":
        return x
    return y if x == "0" else _index(b, "add nsw", x, y)


def minus(b: Emitter, x: str, y: str) -> str:
    """x - y"""
    if is_number(x) and is_number(y):
        return str(int(x) - int(y))
    if x == y:
        return "0"
    return x if y == "0" else _index(b, "sub nsw", x, y)


def times(b: Emitter, x: str, factor: int | str) -> str:
    """x · factor"""
    if isinstance(factor, str) and not is_number(factor):
        return x if x == "0" else _index(b, "mul nsw", x, factor)
    factor = int(factor)
    if is_number(x):
        return str(int(x) * factor)
    return {0: "0", 1: x}.get(factor) or _index(b, "mul nsw", x, str(factor))


def at_most(b: Emitter, x: str, bound: int) -> str:
    """min(x, bound)"""
    if is_number(x):
        return str(min(int(x), bound))
    most = b.size(bound)
    less = b.instruction(f"icmp slt i64 {x}, {most}", dt.bool_)
    return b.instruction(f"select i1 {less.ref}, i64 {x}, i64 {most}", dt.int64).ref


def at_least(b: Emitter, x: str, bound: int) -> str:
    """max(x, bound)"""
    if is_number(x):
        return str(max(int(x), bound))
    more = b.instruction(f"icmp sgt i64 {x}, {bound}", dt.bool_)
    return b.instruction(f"select i1 {more.ref}, i64 {x}, i64 {bound}", dt.int64).ref


def split(b: Emitter, x: str, size: int) -> tuple[str, str]:
    """(x div size, x mod size) of x ≥ 0."""
    if is_number(x):
        return str(int(x) // size), str(int(x) % size)
    if size == 1:
        return x, "0"
    return _index(b, "udiv", x, str(size)), _index(b, "urem", x, str(size))


def unravel(b: Emitter, x: str, sizes: Sequence[int], written: Callable[[int], str] = str) -> list[str]:
    """The coordinates of place x in a row-major box of these sizes; where the box has one place, zeros."""
    found = []
    for size in reversed(sizes[1:]):
        if size == 1 or is_number(x):
            x, rest = split(b, x, size)
        else:
            divisor = written(size)
            x, rest = _index(b, "udiv", x, divisor), _index(b, "urem", x, divisor)
        found.append("0" if size == 1 else rest)
    head = [] if not sizes else ["0" if sizes[0] == 1 else x]
    return head + found[::-1]


def linear(b: Emitter, xs: Sequence[str], strides: Sequence[int], offset: int = 0) -> str:
    """offset + Σ x · stride"""
    total = str(offset)
    for x, stride in zip(xs, strides, strict=True):
        total = plus(b, times(b, x, stride), total)
    return total


# ---- loops ---------------------------------------------------------------------------------------------------------
class Loop:
    """A running loop: `index`, and `values`, which the body replaces by those of the next turn."""

    def __init__(self, index: str, values: Sequence[Value]) -> None:
        self.index, self.values = index, list(values)


@contextmanager
def loop(b: Emitter, start: str, stop: str, step: int = 1, carried: Sequence[Value] = ()) -> Iterator[Loop]:
    """for index in range(start, stop, step); what is known to run once is written without a loop."""
    if is_number(start) and is_number(stop) and 0 < int(stop) - int(start) <= step:
        yield Loop(start, carried)
        return
    stop = b.size(int(stop)) if is_number(stop) else stop
    before, head, body, latch, after = (b.name(stem) for stem in ("before", "head", "body", "latch", "after"))
    b.line(f"br label {before}")
    b.label(before)
    b.line(f"br label {head}")
    b.label(head)
    index, following = b.name("i"), b.name("i")
    phis = [Value(b.name("phi"), x.dtype, x.lanes) for x in carried]
    place = len(b.lines)
    b.lines += [""] * (1 + len(phis))
    again = b.instruction(f"icmp slt i64 {index}, {stop}", dt.bool_)
    b.line(f"br i1 {again.ref}, label {body}, label {after}")
    b.label(body)
    running = Loop(index, phis)
    yield running
    b.line(f"br label {latch}")
    b.label(latch)
    b.line(f"{following} = add nsw i64 {index}, {step}")
    b.line(f"br label {head}")
    b.label(after)
    b.lines[place] = f"  {index} = phi i64 [ {start}, {before} ], [ {following}, {latch} ]"
    for i, (phi, first, last) in enumerate(zip(phis, carried, running.values, strict=True)):
        b.lines[place + 1 + i] = f"  {phi.ref} = phi {phi.type} [ {first.ref}, {before} ], [ {last.ref}, {latch} ]"
    running.values = phis


# ---- memory --------------------------------------------------------------------------------------------------------
def at(b: Emitter, pointer: str, index: str, dtype: DType) -> str:
    """The address of element `index`."""
    if index == "0":
        return pointer
    place = b.name("a")
    b.line(f"{place} = getelementptr {ir_type(dtype)}, ptr {pointer}, i64 {index}")
    return place


def in_registers(dtype: DType) -> DType:
    """What a memory type becomes in registers: float16 computes as float32."""
    return dt.float32 if dtype is dt.float16 else dtype


def load(b: Emitter, place: str, dtype: DType, lanes: int = 1, mask: Value | None = None) -> Value:
    """`lanes` neighbours from `place`, zero where `mask` is false; float16 is widened."""
    kind = ir_type(dtype, lanes)
    if mask is None:
        x = b.instruction(f"load {kind}, ptr {place}, align {dtype.itemsize}", dtype, lanes)
    else:
        name = f"llvm.masked.load.v{lanes}{_suffix(dtype)}.p0"
        b.declared.add(f"declare {kind} @{name}(ptr, i32, <{lanes} x i1>, {kind})")
        given = f"ptr {place}, i32 {dtype.itemsize}, {mask!r}, {kind} zeroinitializer"
        x = b.instruction(f"call {kind} @{name}({given})", dtype, lanes)
    return b.cast(x, in_registers(dtype))


def load_apart(b: Emitter, place: str, step: int, dtype: DType, lanes: int, mask: Value | None) -> Value:
    """`lanes` elements `step` apart, zero where `mask` is false."""
    if step == 1:
        return load(b, place, dtype, lanes, mask)
    kind, name = ir_type(dtype, lanes), f"llvm.masked.gather.v{lanes}{_suffix(dtype)}.v{lanes}p0"
    offsets = "<" + ", ".join(f"i64 {k * step}" for k in range(lanes)) + ">"
    places = b.name("places")
    b.line(f"{places} = getelementptr {ir_type(dtype)}, ptr {place}, <{lanes} x i64> {offsets}")
    b.declared.add(f"declare {kind} @{name}(<{lanes} x ptr>, i32, <{lanes} x i1>, {kind})")
    chosen = mask or b.splat(b.const(True, dt.bool_), lanes)
    given = f"<{lanes} x ptr> {places}, i32 {dtype.itemsize}, {chosen!r}, {kind} zeroinitializer"
    return b.cast(b.instruction(f"call {kind} @{name}({given})", dtype, lanes), in_registers(dtype))


def store(b: Emitter, x: Value, place: str, mask: Value | None = None) -> None:
    """Writes the lanes of x to neighbours from `place`, only where `mask` is true."""
    if mask is None:
        b.line(f"store {x!r}, ptr {place}, align {x.dtype.itemsize}")
        return
    name = f"llvm.masked.store.v{x.lanes}{_suffix(x.dtype)}.p0"
    b.declared.add(f"declare void @{name}({x.type}, ptr, i32, <{x.lanes} x i1>)")
    b.line(f"call void @{name}({x!r}, ptr {place}, i32 {x.dtype.itemsize}, {mask!r})")


def prefetch(b: Emitter, place: str, write: bool = False) -> None:
    """Asks for the cache line at `place`, which need not exist."""
    b.declared.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
    b.line(f"call void @llvm.prefetch.p0(ptr {place}, i32 {int(write)}, i32 3, i32 1)")


def _suffix(dtype: DType) -> str:
    return f"{dtype.kind if dtype.kind == 'f' else 'i'}{8 * dtype.itemsize}"


def first_lanes(count: int, lanes: int) -> Value:
    """The constant mask that is true in the first `count` lanes."""
    return Value("<" + ", ".join(f"i1 {'true' if i < count else 'false'}" for i in range(lanes)) + ">", dt.bool_, lanes)


def lanes_below(b: Emitter, start: str, stop: str, lanes: int) -> Value:
    """The mask that is true where start + lane < stop."""
    places = b.add(b.lane_numbers(lanes), Value(start, dt.int64))
    return b.lt(places, Value(stop, dt.int64))


def zero(dtype: DType, lanes: int) -> Value:
    """Zero in every lane."""
    return Value("zeroinitializer" if lanes > 1 else "0.0" if dtype.kind == "f" else "0", dtype, lanes)


# ---- vectors among each other --------------------------------------------------------------------------------------
def multiply_add(b: Emitter, x: Value, y: Value, z: Value, fused: bool) -> Value:
    """x · y + z: with one rounding where it is fused; integers wrap."""
    return b.fma(x, y, z) if fused and x.dtype.kind == "f" else b.add(b.mul(x, y), z)


def shuffle(b: Emitter, x: Value, y: Value, picks: Sequence[int]) -> Value:
    """The lanes `picks` of x followed by y."""
    mask = ", ".join(f"i32 {i}" for i in picks)
    return b.instruction(f"shufflevector {x!r}, {y!r}, <{len(picks)} x i32> <{mask}>", x.dtype, len(picks))


def transpose(b: Emitter, rows: Sequence[Value]) -> list[Value]:
    """The columns of a square of as many vectors as each has lanes (a power of two): log2 steps of pairwise shuffles."""
    rows, size, width = list(rows), len(rows), 1
    while width < size:
        low = [i + size * (i // width % 2) - width * (i // width % 2) for i in range(size)]
        high = [i + width + (size - width) * (i // width % 2) for i in range(size)]
        for i in range(size):
            if not i & width:
                x, y = rows[i], rows[i + width]
                rows[i], rows[i + width] = shuffle(b, x, y, low), shuffle(b, x, y, high)
        width *= 2
    return rows


def sum_lanes(b: Emitter, vectors: Sequence[Value]) -> Value:
    """Lane i of the result is the sum of the lanes of vectors[i]: a fixed tree. Their number is a power of two ≤ lanes."""
    vectors, width = list(vectors), vectors[0].lanes
    while len(vectors) > 1:
        vectors = [_fold(b, x, y, width) for x, y in zip(vectors[::2], vectors[1::2], strict=True)]
        width //= 2
    x = vectors[0]
    while width > 2 or (width == 2 and x.lanes > 2):
        x, width = _fold(b, x, None, width), width // 2
    if width == 1:
        return x
    low, high = (b.instruction(f"extractelement {x!r}, i32 {i}", x.dtype) for i in range(2))
    return b.add(low, high)


def _fold(b: Emitter, x: Value, y: Value | None, width: int) -> Value:
    """Adds the upper half of every group of `width` lanes to its lower half; the groups of y come after those of x."""
    low = [i for i in range(x.lanes * (1 if y is None else 2)) if i % width < width // 2]
    y = x if y is None else y
    return b.add(shuffle(b, x, y, low), shuffle(b, x, y, [i + width // 2 for i in low]))


# ---- operands of a contraction and the kernels on one tile of it ----------------------------------------------------
PAGE = 4096
AHEAD = 384  # multiply-adds before a line is needed that is asked for: the time that the third cache takes


@dataclass(frozen=True)
class Operand:
    """Where element (batch, x, k) of an operand lies: x goes over rows (left) or columns (right).

    Plain: offset + Σ batch · strides + x · across + k · along. In panels of `panel` neighbours x (0: plain), panel by
    panel, k by k: offset + Σ batch · strides + tile · panel_size + k · along + (x - first x of the tile).
    `digits`: k is the number of an element in a box, row-major; (extent, stride) of its axes instead of `along`.
    """

    dtype: DType
    strides: tuple[int, ...]
    across: int
    along: int
    offset: int = 0
    panel_size: int = 0
    digits: tuple[tuple[int, int], ...] = ()

    @property
    def lonely(self) -> bool:
        """Whether neighbours are side by side and each k begins another page, as far as the processor's own prefetchers look."""
        return self.across == 1 and not self.panel_size and abs(self.along) * self.dtype.itemsize >= PAGE // 2

    def at_k(self, b: Emitter, k: str) -> str:
        """How far element k lies from element 0."""
        if not self.digits:
            return times(b, k, self.along)
        return linear(b, unravel(b, k, [n for n, _ in self.digits]), [stride for _, stride in self.digits])

    def start(self, b: Emitter, pointer: str, batch: Sequence[str], tile: str, x: str) -> str:
        """The address of the first element of a tile that begins at x, at k = 0."""
        if not self.panel_size:
            place = plus(b, times(b, x, self.across), linear(b, batch, self.strides))
        else:
            place = times(b, tile, b.size(self.panel_size))
            for y, stride in zip(batch, self.strides, strict=True):
                place = plus(b, times(b, y, b.size(stride)), place)
        return at(b, pointer, plus(b, place, b.size(self.offset)), self.dtype)


@dataclass(frozen=True)
class Tile:
    """A register tile: `rows` × `vectors` accumulators of `lanes`, `unroll` of each.

    `ragged` counts the lanes that exist of what is read last (0: all): of the last vector of columns, or of k;
    `fused`: the machine has a fused multiply-add (without one llvm.fma would call a library).
    """

    rows: int
    vectors: int
    lanes: int
    dtype: DType
    unroll: int = 1
    ragged: int = 0
    fused: bool = True


Turn = Callable[[str, list[Value], bool], list[Value]]


def _accumulate(b: Emitter, start: str, stop: str, step: int, sums: list[Value], turn: Callable) -> list[Value]:
    """`turn(k, sums)` for k in range(start, stop, step)."""
    if is_number(start) and is_number(stop) and int(start) >= int(stop):
        return sums
    with loop(b, start, stop, step, sums) as running:
        running.values = turn(running.index, running.values)
    return running.values


def _blocked(b: Emitter, start: str, stop: str, tile: Tile, step: int, turn: Turn) -> list[Value]:
    """Sums over k by turns of `step`: `unroll` turns at once into sums of their own, then one by one; then a fixed tree."""
    count, wide = tile.rows * tile.vectors, step * tile.unroll

    def wide_turn(k: str, sums: list[Value]) -> list[Value]:
        parts = [turn(plus(b, k, u * step), sums[u * count : (u + 1) * count], True) for u in range(tile.unroll)]
        return [x for part in parts for x in part]

    rest = split(b, minus(b, stop, start), wide)[1]
    whole = minus(b, stop, rest)
    sums = _accumulate(b, start, whole, wide, [zero(tile.dtype, tile.lanes)] * (count * tile.unroll), wide_turn)
    head = sums[:count]
    if rest != "0":
        head = _accumulate(b, whole, stop, step, head, lambda k, xs: turn(k, xs, False))
    return _sum_parts(b, [head] + [sums[u * count : (u + 1) * count] for u in range(1, tile.unroll)])


def _sum_parts(b: Emitter, parts: list[list[Value]]) -> list[Value]:
    """The sums of equally placed values: neighbours first, then neighbours of those."""
    while len(parts) > 1:
        pairs = [[b.add(x, y) for x, y in zip(p, q, strict=True)] for p, q in zip(parts[::2], parts[1::2])]
        parts = pairs + parts[2 * len(pairs) :]
    return parts[0]


def tile_along_columns(
    b: Emitter, left: str, right: str, operands: tuple[Operand, Operand], tile: Tile, ks: tuple[str, str]
) -> list[Value]:
    """rows × vectors sums over k of a broadcast of left times a vector of right; `left`, `right`: starts of the tile."""
    rows, columns = operands
    if columns.digits:
        return _in_two_steps(b, left, right, operands, tile)

    def turn(k: str, sums: list[Value], whole: bool) -> list[Value]:
        return _products(
            b,
            at(b, left, times(b, k, rows.along), rows.dtype),
            at(b, right, times(b, k, columns.along), columns.dtype),
            operands,
            tile,
            sums,
        )

    return _blocked(b, *ks, tile, 1, turn)


def _in_two_steps(b: Emitter, left: str, right: str, operands: tuple[Operand, Operand], tile: Tile) -> list[Value]:
    """The same where the columns' k has two digits: those of the second one, a few, are written out in each turn of the first."""
    rows, columns = operands
    (count, far), (few, near) = columns.digits

    def turn(k: str, sums: list[Value], whole: bool) -> list[Value]:
        x, y = at(b, left, times(b, k, few * rows.along), rows.dtype), at(b, right, times(b, k, far), columns.dtype)
        for j in range(few):
            places = at(b, x, str(j * rows.along), rows.dtype), at(b, y, str(j * near), columns.dtype)
            sums = _products(b, *places, operands, tile, sums)
        return sums

    return _blocked(b, "0", str(count), tile, 1, turn)


def _products(b: Emitter, left: str, right: str, operands: tuple[Operand, Operand], tile: Tile, sums: list[Value]) -> list[Value]:
    """The sums with one k more; `left`, `right`: where it lies."""
    y, fresh = _vectors(b, right, operands[1].dtype, tile), []
    if operands[0].lonely:
        prefetch(b, at(b, left, str(-(-AHEAD // len(sums)) * operands[0].along), operands[0].dtype))
    for i in range(tile.rows):
        x = load(b, at(b, left, str(i * operands[0].across), operands[0].dtype), operands[0].dtype)
        wide = b.splat(x, tile.lanes)
        fresh += [multiply_add(b, wide, y[v], sums[i * tile.vectors + v], tile.fused) for v in range(tile.vectors)]
    return fresh


def _vectors(b: Emitter, place: str, dtype: DType, tile: Tile) -> list[Value]:
    """The neighbouring vectors of a tile's columns."""
    masks = [None] * (tile.vectors - 1) + [first_lanes(tile.ragged, tile.lanes) if tile.ragged else None]
    return [load(b, at(b, place, str(v * tile.lanes), dtype), dtype, tile.lanes, mask) for v, mask in enumerate(masks)]


def tile_along_k(
    b: Emitter, left: str, right: str, operands: tuple[Operand, Operand], tile: Tile, ks: tuple[str, str]
) -> list[Value]:
    """For each of `rows` rows one vector of `vectors` lanes: sums over k, `lanes` neighbours k at a time, of left times right."""
    rows, columns = operands

    def turn(k: str, sums: list[Value], whole: bool) -> list[Value]:
        mask = None if whole or not tile.ragged else lanes_below(b, k, ks[1], tile.lanes)
        y = _strip(b, at(b, right, k, columns.dtype), columns, tile.vectors, tile.lanes, mask)
        x = _strip(b, at(b, left, k, rows.dtype), rows, tile.rows, tile.lanes, mask)
        return [multiply_add(b, x[i // tile.vectors], y[i % tile.vectors], total, tile.fused) for i, total in enumerate(sums)]

    sums = _blocked(b, *ks, tile, tile.lanes, turn)
    return [sum_lanes(b, sums[i * tile.vectors : (i + 1) * tile.vectors]) for i in range(tile.rows)]


def _strip(b: Emitter, place: str, operand: Operand, count: int, lanes: int, mask: Value | None) -> list[Value]:
    """`lanes` neighbours k of each of `count` neighbouring x."""
    return [load(b, at(b, place, str(i * operand.across), operand.dtype), operand.dtype, lanes, mask) for i in range(count)]


# ---- packing -------------------------------------------------------------------------------------------------------
def pack_panel(
    b: Emitter, source: str, target: str, operand: Operand, packed: Operand, shape: PanelShape, ks: tuple[str, str]
) -> None:
    """Copies one panel, target[k, x] = source[x, k] for k in `ks`; columns that do not exist become zero.

    `source`, `target`: their addresses at the panel's first x and k = 0.
    """
    if operand.across == 1 and not operand.digits:
        _pack_rows(b, source, target, operand, packed, shape, ks)
        return
    if operand.along == 1 and not operand.digits and min(shape.valid, shape.k) >= shape.block:
        _pack_blocks(b, source, target, operand, packed, shape, ks)
    else:
        _pack_scalars(b, source, target, operand, packed, shape, ks)
    if shape.valid < shape.width:
        with loop(b, *ks) as k, loop(b, str(shape.valid), str(shape.width)) as x:
            place = plus(b, times(b, k.index, packed.along), x.index)
            store(b, zero(packed.dtype, 1), at(b, target, place, packed.dtype))


@dataclass(frozen=True)
class PanelShape:
    """A panel of `width` x, of which `valid` exist, and k; copied by vectors of `lanes` or transposed in squares of `block`."""

    width: int
    valid: int
    k: int
    lanes: int
    block: int


def _pack_rows(
    b: Emitter, source: str, target: str, operand: Operand, packed: Operand, shape: PanelShape, ks: tuple[str, str]
) -> None:
    """Neighbours x lie side by side: vector copies."""
    with loop(b, *ks) as k:
        line = at(b, source, times(b, k.index, operand.along), operand.dtype)
        goal = at(b, target, times(b, k.index, packed.along), packed.dtype)
        for x in range(0, shape.width, shape.lanes):
            have = shape.valid - x
            mask = None if have >= shape.lanes else first_lanes(max(have, 0), shape.lanes)
            y = load(b, at(b, line, str(x), operand.dtype), operand.dtype, shape.lanes, mask)
            store(b, y, at(b, goal, str(x), packed.dtype))


def _pack_blocks(
    b: Emitter, source: str, target: str, operand: Operand, packed: Operand, shape: PanelShape, ks: tuple[str, str]
) -> None:
    """Neighbours k lie side by side: transposed squares; the last one overlaps the one before it and writes the same bits."""
    size = shape.block
    with loop(b, *ks, step=size) as outer, loop(b, "0", str(shape.valid), step=size) as inner:
        k, x = at_most(b, outer.index, shape.k - size), at_most(b, inner.index, shape.valid - size)
        corner = at(b, source, plus(b, times(b, x, operand.across), k), operand.dtype)
        goal = at(b, target, plus(b, times(b, k, packed.along), x), packed.dtype)
        for i, y in enumerate(transpose(b, _strip(b, corner, operand, size, size, None))):
            store(b, y, at(b, goal, str(i * packed.along), packed.dtype))


def _pack_scalars(
    b: Emitter, source: str, target: str, operand: Operand, packed: Operand, shape: PanelShape, ks: tuple[str, str]
) -> None:
    """Any strides: element by element."""
    with loop(b, *ks) as k:
        line = at(b, source, operand.at_k(b, k.index), operand.dtype)
        goal = at(b, target, times(b, k.index, packed.along), packed.dtype)
        with loop(b, "0", str(shape.valid)) as x:
            y = load(b, at(b, line, times(b, x.index, operand.across), operand.dtype), operand.dtype)
            store(b, y, at(b, goal, times(b, x.index, packed.across), packed.dtype))
