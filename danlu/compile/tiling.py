"""L3. How a contraction is tiled: which kernel, which register tile, what is packed, what a chunk is. Data and costs, no code.

The axis along which vectors go is called columns and the other one rows. Two kernels (micro.py): `columns` multiplies a
broadcast of the left operand (rows) with vectors of the right one (columns); `k` multiplies vectors along k and sums lanes
at the end. Everything follows from shape, strides and target, so that no sum depends on the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import ceil, prod
from typing import NamedTuple

from danlu import dtype as dt
from danlu.compile import micro
from danlu.compile.box import Box
from danlu.compile.micro import Operand, Tile
from danlu.compile.target import Target
from danlu.dtype import DType
from danlu.errors import DTypeError, ShapeError


@dataclass(frozen=True)
class Staging:
    """One operand is read through windows: each unit copies a box of it (box.py) and reads that. `side`: 0 for A, 1 for B, whose
    strides are those in the box.

    `units`: how many of the leading batch axes of C the boxes differ by (the summed ones always do); `columns`: the two digits of B's k
    in the box, if one stride does not do; `digits`: those of the other operand's k in its memory.
    """

    box: Box
    side: int
    units: int
    columns: tuple[tuple[int, int], ...] = ()
    digits: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Contraction:
    """C[batch, m, n] = Σ_k A[batch, m, k] · B[batch, k, n]; strides in elements: (batch..., m, k) and (batch..., k, n).

    `outer`: so many of the last axes of the batch are summed as well, and C lacks them (the images, in the gradient of a convolution's
    weight). `slices`: each chunk is one piece of so many of the first axes, whatever it takes, and has the workspace for itself
    (passes/slices.py). `shared`: how many products read A, and B, as this one does: the weight of a recurrent layer is packed once for
    all steps.
    """

    batch: tuple[int, ...]
    m: int
    n: int
    k: int
    a_strides: tuple[int, ...]
    b_strides: tuple[int, ...]
    a_offset: int = 0
    b_offset: int = 0
    dtype: DType = dt.float32
    outer: int = 0
    staging: Staging | None = None
    slices: int = 0
    shared: tuple[int, int] = (1, 1)

    @property
    def results(self) -> tuple[int, ...]:
        """The batch axes of C."""
        return self.batch[: len(self.batch) - self.outer]

    @property
    def pieces(self) -> tuple[int, ...]:
        """The batch axes of which each chunk has one piece."""
        return self.batch[: self.slices]

    @property
    def members(self) -> tuple[int, ...]:
        """The batch axes that are summed."""
        return self.batch[len(self.batch) - self.outer :]


@dataclass(frozen=True)
class Plan:
    """How one contraction is done. `rows`, `columns`: extents; `axis`: which of m, n the columns are.

    `tile`: the register tile; `left`, `right`: the operands as the tiles read them, `sources` as they came, None where they
    are the same; `k_block`: how much of k one tile sums; `row_tiles`: tiles that a unit goes through down its panel of columns;
    `group`: how many of the outer summed axis one tile sums; `grain`: units in a chunk; `partial_offset`: where partial sums begin in
    the workspace (elements), `scratch` where the chunks' boxes begin and how many elements each of them has; `workspace`: its bytes.
    """

    contraction: Contraction
    axis: str
    variant: str
    tile: Tile
    left: Operand
    right: Operand
    sources: tuple[Operand | None, Operand | None]
    k_block: int
    row_tiles: int
    grain: int
    partial_offset: int
    lane_limit: int
    workspace: int = 0
    group: int = 1
    scratch: tuple[int, int] = (0, 0)

    @property
    def rows(self) -> int:
        """Extent of the axis whose elements are broadcast."""
        return self.contraction.m if self.axis == "n" else self.contraction.n

    @property
    def columns(self) -> int:
        """Extent of the axis along which vectors are handed over."""
        return self.contraction.n if self.axis == "n" else self.contraction.m

    @property
    def width(self) -> int:
        """Columns of a tile."""
        return self.tile.vectors * (self.tile.lanes if self.variant == "columns" else 1)

    @property
    def lanes(self) -> int:
        """Lanes of the vectors handed over."""
        return self.tile.lanes if self.variant == "columns" else self.tile.vectors

    @property
    def panels(self) -> int:
        """Tiles in the direction of columns."""
        return ceil(self.columns / self.width)

    @property
    def row_blocks(self) -> int:
        """Units in the direction of rows."""
        return ceil(ceil(self.rows / self.tile.rows) / self.row_tiles)

    @property
    def k_blocks(self) -> int:
        """Parts that k, or the outer summed axis, is cut into; more than one: partial sums in the workspace."""
        if self.contraction.outer:
            return ceil(prod(self.contraction.members) / self.group)
        return max(1, ceil(self.contraction.k / self.k_block))

    @property
    def partial(self) -> bool:
        """Whether tiles make partial sums, which are added up at the end."""
        return self.k_blocks > 1 or bool(self.contraction.staging and self.contraction.outer)

    @property
    def reusable(self) -> int | None:
        """Which operand of the contraction (0: A, 1: B) is all that lies in the workspace, so that equal plans can share it."""
        sides = [k for k, source in enumerate(self.sources) if source]
        if len(sides) != 1 or self.partial or self.contraction.staging:
            return None
        return sides[0] if self.axis == "n" else 1 - sides[0]

    @property
    def local(self) -> bool:
        """Whether the other operand of a box is packed by each unit for itself."""
        return bool(self.contraction.staging and self.contraction.outer and self.sources[1])

    @property
    def units(self) -> tuple[int, ...]:
        """The box of units: (batch..., k blocks, row blocks, panels); those that share a box are one."""
        staging = self.contraction.staging
        if staging:
            return (*self.contraction.results[: staging.units], self.k_blocks, self.row_blocks)
        blocks = (self.panels, self.row_blocks) if self.down else (self.row_blocks, self.panels)
        return (*self.contraction.results[self.contraction.slices :], self.k_blocks, *blocks)

    @property
    def down(self) -> bool:
        """Whether units go down the rows first and then to the next panel, which stays in the second cache meanwhile: where all panels would
        not (512 × 128 × 2048, A transposed: 85 % of the peak instead of 80)."""
        return self.columns > self.rows and self.columns * self.k_block * self.tile.dtype.itemsize >= FAR

    @property
    def chunks(self) -> int:
        """Pieces that the tiles are cut into."""
        return prod(self.contraction.pieces) if self.contraction.slices else ceil(prod(self.units) / self.grain)


# ---- the plan ------------------------------------------------------------------------------------------------------
CHUNK_WORK = 1 << 20  # flops or bytes in a chunk: about 10 µs, a hundred times what claiming one costs
PARALLEL = 64  # chunks that large work is cut into, at least
CODE = 12  # what a register of a tile costs once: a small product is not worth the time that LLVM takes for a large tile
FAR = 1 << 20  # bytes of panels that do not stay in the second cache
PARTIALS = 1 << 28  # bytes of partial sums, at most
ALIKE = 0.006  # of the cost: what the model cannot tell apart, 6 × 64 and 4 × 64 of an encoder's products,
SMALL = 3000  # cost: a microsecond a step, where compiling a product takes ten milliseconds;
MOST = 20 * SMALL  # that much of a product that takes long, where no time of compiling makes up for it


@dataclass(frozen=True)
class _Problem:
    """A contraction turned so that vectors go along columns."""

    c: Contraction
    target: Target
    axis: str
    left: Operand
    right: Operand
    rows: int
    columns: int

    @cached_property
    def dtype(self) -> DType:
        return micro.in_registers(self.c.dtype)

    @cached_property
    def wide(self) -> int:
        """Lanes of a full register."""
        return max(1, self.target.vector_bytes // self.dtype.itemsize)

    @cached_property
    def copying(self) -> list[tuple[float, float]]:
        """What it costs to pack left and right: where single elements are copied, or vectors and transposed squares. Vector copies and
        transposed squares take half a cycle an element, single elements two; what batches share is copied once."""
        readers = self.c.shared if self.axis == "n" else self.c.shared[::-1]
        found = []
        for operand, extent, of in zip((self.left, self.right), (self.rows, self.columns), readers, strict=True):
            shared = zip(self.c.batch[self.c.slices :], operand.strides[self.c.slices :], strict=True)
            elements = extent * self.c.k / prod(size for size, stride in shared if stride == 0)
            each = (2, 0.5 if operand.across == 1 or operand.along == 1 else 2)
            found.append([e * elements * 64 / self.target.vector_bytes / of for e in each])
        return [*zip(*found)]


class _Choice(NamedTuple):
    """One way to do it and its cost in the time of a vector multiply-add."""

    cost: float
    variant: str
    shape: tuple
    pack: tuple[bool, bool]

    @property
    def tile(self) -> Tile:
        return Tile(*self.shape)


@lru_cache(maxsize=1024)
def plan(c: Contraction, target: Target, axis: str = "n", **forced) -> Plan:
    """The plan of a contraction; `axis`: the axis along which the results lie side by side.

    forced: `variant` ('columns', 'k'), `tile` (rows, vectors), `pack` (left, right), `k_block`, `unroll`: for tests and
    measurements.

    Example:
        >>> from danlu.compile.target import TARGETS
        >>> plan(Contraction((), 512, 512, 512, (512, 1), (512, 1)), TARGETS[0]).variant
        'columns'
    """
    problem = _problem(c, target, axis)
    return _finish(problem, _best(list(_choices(problem, forced))), forced.get("k_block"))


def _best(choices: list[_Choice]) -> _Choice:
    """The cheapest choice. Of those that are as good, the one that another batch size would make too: what is known need not be compiled."""
    least = min(choice.cost for choice in choices)
    most = least + max(min(ALIKE * least, MOST), min(SMALL, least / 5))
    return min(
        (c for c in choices if c.cost <= most),
        key=lambda c: (c.variant, c.shape[0] % 2, abs(c.shape[1] - 4) + abs(c.shape[0] - 4)),
    )


def _problem(c: Contraction, target: Target, axis: str) -> _Problem:
    if c.dtype is dt.bool_:
        raise DTypeError("a contraction of bool was asked for; it takes numbers. Convert first: x.float()")
    for name, strides in (("a_strides", c.a_strides), ("b_strides", c.b_strides)):
        if len(strides) != len(c.batch) + 2:
            raise ShapeError(
                "{name} has {count} entries; expected {expected}: one per batch axis of {batch} and two more",
                name=name,
                count=len(strides),
                expected=len(c.batch) + 2,
                batch=c.batch,
            )
    if (c.n if axis == "n" else c.m) == 1 and not c.staging:
        axis = "m" if axis == "n" else "n"
    a = Operand(c.dtype, c.a_strides[:-2], c.a_strides[-2], c.a_strides[-1], c.a_offset)
    b = Operand(c.dtype, c.b_strides[:-2], c.b_strides[-1], c.b_strides[-2], c.b_offset)
    if c.staging:
        sides, (x, y) = (c.staging.side, 1 - c.staging.side), (c.staging.columns, c.staging.digits)
        a, b = (
            replace(operand, digits=(x, y)[sides.index(k)], dtype=(micro.in_registers(c.dtype), c.dtype)[sides.index(k)])
            for k, operand in enumerate((a, b))
        )
    if axis == "n":
        return _Problem(c, target, axis, a, b, c.m, c.n)
    return _Problem(c, target, axis, b, a, c.n, c.m)


def _choices(p: _Problem, forced: dict) -> Iterator[_Choice]:
    """Every register tile of both kernels that fits the registers."""
    for variant, maker in (("columns", _columns_choice), ("k", _k_choice)):
        if forced.get("variant", variant) != variant or (variant == "k" and "variant" not in forced and p.c.k < p.wide):
            continue
        if variant == "k" and p.c.staging and (p.left.along != 1 or p.right.along != 1 or p.right.digits):
            continue
        for rows, vectors in [forced["tile"]] if "tile" in forced else _shapes(p, variant):
            yield maker(p, min(rows, p.rows), vectors, forced)


def _shapes(p: _Problem, variant: str) -> Iterator[tuple[int, int]]:
    """(rows, vectors) of register tiles; an eighth of the registers stays free: for the operand that is used at once, and for what LLVM
    keeps across the loop (with none to spare, a hoisted mask made it spill sums: 4×3 of 16 registers ran at half speed; the constants of a
    sigmoid after the product, 4×6 of 32: at two thirds)."""
    most = ceil(p.columns / p.wide) if variant == "columns" else p.columns
    if p.rows == 1 and variant == "columns":  # bound by memory: bursts of 512 bytes (128: six times slower, 4 KiB apart)
        yield 1, min(most, 512 // p.target.vector_bytes, p.target.registers - 4)
        return
    for vectors in range(1, 9):
        if vectors > most or (variant == "k" and vectors & (vectors - 1)):
            continue
        for rows in range(1, min(p.rows, 24) + 1):
            if rows * vectors + vectors + p.target.registers // 8 <= p.target.registers:
                yield rows, vectors


def _unroll(p: _Problem, sums: int, turns: int, forced: dict) -> int:
    """Independent sums that hide the latency of a multiply-add: eight or more, while k lasts."""
    unroll = forced.get("unroll", 1)
    while "unroll" not in forced and sums * unroll < 8 and turns >= 8 * unroll:
        unroll *= 2
    return unroll


# Costs are in the time of one full vector multiply-add. They were fitted on one core of Zen 4 with 512-bit vectors:
# share of the multiply-add peak, float32, A and B unpacked | B packed | A packed | both
#
# | m, n, k                       |      |      |      |      |
# |-------------------------------|------|------|------|------|
# | 512, 512, 512                 | 89.0 | 93.2 | 86.3 | 88.6 |  lines of B 2 KiB apart
# | 512, 512, 512, A transposed   | 84.5 | 84.4 | 83.9 | 88.2 |
# | 1024, 1024, 1024              | 78.6 | 95.6 | 81.0 | 94.9 |  lines of B 4 KiB apart: they share a set of L1
# | 1024, 1024, 1024, A transposed| 73.3 | 89.5 | 79.0 | 91.8 |
# | 600, 600, 600                 | 85.6 | 91.5 | 83.6 | 88.7 |
# | 256, 256, 784                 | 88.8 | 84.4 | 85.4 | 77.3 |  lines of B 1 KiB apart
# | 32, 256, 784                  | 95.4 | 80.1 | 94.2 | 80.3 |


def _columns_choice(p: _Problem, rows: int, vectors: int, forced: dict) -> _Choice:
    lanes = min(p.wide, _power_of_two(p.columns))
    vectors = min(vectors, ceil(p.columns / lanes))
    width, k = vectors * lanes, p.c.k
    unroll = _unroll(p, rows * vectors, k, forced)
    far = k * width * p.dtype.itemsize > p.target.l1 // 2  # then every vector comes from L2, at 16 bytes a cycle
    full = 1 if lanes * p.dtype.itemsize > 32 or p.target.vector_bytes <= 32 else 0.5  # 256 bits take half the time of 512
    turn = (
        max(full * rows * vectors, full * (rows + vectors), 4 * vectors if far else 0, 4 / unroll)
        + (rows + vectors) * 4 / p.target.vector_bytes
    )
    cost = ceil(p.rows / rows) * ceil(p.columns / width) * (turn * k + 3.5 * rows * vectors + 10)
    must = p.right.across != 1 and p.columns > 1 and not p.c.staging
    burst = 1.3 if far and width * p.dtype.itemsize < 128 else 1  # single cache lines here and there are not prefetched
    pack, cost = _packing(p, cost, (_far_left(p, rows), 99 if must else burst * _far(p, p.right.along)), forced)
    pack = (pack[0], pack[1] or must)
    ragged = p.columns % lanes if p.columns < width and not pack[1] else 0
    tile = rows, vectors, lanes, p.dtype, unroll, ragged, p.target.fma
    return _Choice(cost + CODE * rows * vectors, "columns", tile, pack)


def _far(p: _Problem, stride: int) -> float:
    """How much longer it takes when each k begins another line, `stride` elements on: TLB misses, shared cache sets."""
    step = abs(stride) * p.c.dtype.itemsize
    if step < 2048 or p.c.k < 128:
        return 1
    return 1.06 if step % 4096 else 1.2


def _far_left(p: _Problem, rows: int) -> float:
    """The same for single elements of `rows` lines of the left operand, which the first k of a cache line fetches for 16; a line that
    is asked for ahead comes in time (1024 × 28 × 1120, A transposed: 1650 → 850 µs)."""
    if abs(p.left.along) != 1:
        return 1 if p.left.lonely else 1 + (_far(p, p.left.along) - 1) * 32 / p.target.vector_bytes
    shared = p.rows > 1 and p.left.across * p.c.dtype.itemsize % 4096 == 0 and rows > 8 and p.c.k >= 128
    return 1.2 if shared else 1  # more lines in one set than it has places


def _packing(
    p: _Problem, cost: float, factors: tuple[float, float], forced: dict, squares: bool = True
) -> tuple[tuple[bool, bool], float]:
    """What to pack, and the cost with it: each operand where copying costs less than what its strides do. Of two of which one is a box it
    is the other, unless both lie along k.
    """
    if p.c.staging:
        return (p.c.staging.side == 1 and squares, p.c.staging.side == 0 and squares), cost
    pack = []
    for copying, factor in zip(p.copying[squares], factors):
        wanted = forced["pack"][len(pack)] if "pack" in forced else copying < cost * (factor - 1)
        cost = cost + copying if wanted else cost * factor
        pack.append(wanted)
    return (pack[0], pack[1]), cost


def _k_choice(p: _Problem, rows: int, vectors: int, forced: dict) -> _Choice:
    lanes = min(p.wide, _power_of_two(max(p.c.k, 1)))
    vectors = min(vectors, lanes, 1 << p.columns.bit_length() - 1)  # a power of two
    turns = ceil(p.c.k / lanes)
    unroll = _unroll(p, rows * vectors, turns, forced)
    lines = max(0, rows + vectors - 8)  # more than eight lines read side by side crowd L1
    turn = max(rows * vectors, 1.8 * (rows + vectors), 4 / unroll) * (1 + 0.03 * lines)
    cost = ceil(p.rows / rows) * ceil(p.columns / vectors) * (turn * turns + rows * (1.5 * vectors + 5))
    must = p.left.along != 1, p.right.along != 1
    pack, cost = _packing(p, cost, (99 if must[0] else 1, 99 if must[1] else 1), forced, squares=False)
    tile = rows, vectors, lanes, p.dtype, unroll, p.c.k % lanes, p.target.fma
    return _Choice(cost + CODE * rows * vectors, "k", tile, (pack[0] or must[0], pack[1] or must[1]))


def _power_of_two(x: int) -> int:
    """The smallest power of two ≥ x."""
    return 1 << (x - 1).bit_length()


def _finish(p: _Problem, choice: _Choice, k_block: int | None) -> Plan:
    """Packed operands, blocks of k and of rows, chunks and the workspace."""
    tile, place, sources, packed = choice.tile, 0, [], []
    c, local = p.c, 0
    for operand, wanted, extent, width in _panels(p, choice):
        sources.append(operand if wanted else None)
        if wanted and c.staging and c.outer:  # each unit packs its own, behind its box
            local = aligned(ceil(extent / width) * width * c.k)
            packed.append(Operand(p.dtype, (0,) * len(c.batch), 1, width, 0, width * c.k))
            continue
        packed.append(_packed(p, operand, extent, width, place) if wanted else operand)
        place += aligned(_packed_size(p, operand, extent, width)) if wanted else 0
    k_block = c.k if c.outer or c.staging else k_block or _k_block(p, choice)
    draft = Plan(
        c, p.axis, choice.variant, tile, packed[0], packed[1], (sources[0], sources[1]), max(k_block, 1), 1, 1, place, p.wide
    )
    draft = replace(draft, group=_group(p, draft))
    draft = replace(draft, row_tiles=_row_tiles(p, draft))
    columns = prod(c.results[c.staging.units :]) * p.columns if c.staging else draft.width
    work = max(1, _work(p, draft.row_tiles * tile.rows, columns, k_block * draft.group))
    draft = replace(draft, grain=max(1, CHUNK_WORK // work))
    place += aligned(draft.k_blocks * prod(c.results[c.slices :]) * c.m * c.n) if draft.partial else 0
    room = aligned(c.staging.box.size) + local if c.staging else 0
    return replace(draft, workspace=(place + draft.chunks * room) * p.dtype.itemsize, scratch=(place, room))


def _group(p: _Problem, draft: Plan) -> int:
    """How many of the outer summed axis one tile adds up: their part of the right operand fits half of L2, and the parts, whose sums are
    stored, are few enough for memory but enough for threads."""
    if not p.c.outer:
        return 1
    count, size = prod(p.c.members), p.dtype.itemsize
    if p.c.staging:  # as many parts as threads can use, while their sums stay in the second cache
        parts = max(PARALLEL // 4, p.target.l2 // 2 // max(1, prod(p.c.results) * p.rows * p.columns * size))
        return ceil(count / min(count, max(1, min(parts, PARALLEL // max(1, prod(p.c.results[: p.c.staging.units]))))))
    near = p.target.l2 // 2 // max(1, draft.width * p.c.k * size)
    most = PARTIALS // 8 // max(1, prod(p.c.results) * p.rows * p.columns * size)
    tiles = draft.row_blocks * draft.panels * prod(p.c.results)
    return max(1, ceil(count / max(1, most)), min(near, ceil(count / max(1, ceil(PARALLEL / tiles)))))


def _panels(p: _Problem, choice: _Choice) -> Iterator[tuple[Operand, bool, int, int]]:
    """(operand, whether it is packed, extent, width of its panels) of left and right."""
    outer, tile = choice.variant == "columns", choice.tile
    yield p.left, choice.pack[0], p.rows, tile.rows if outer else 1
    yield p.right, choice.pack[1], p.columns, tile.vectors * tile.lanes if outer else 1


def _packed_size(p: _Problem, operand: Operand, extent: int, width: int) -> int:
    apart = zip(p.c.batch[p.c.slices :], operand.strides[p.c.slices :], strict=True)
    return prod(size for size, stride in apart if stride) * ceil(extent / width) * width * p.c.k


def _packed(p: _Problem, operand: Operand, extent: int, width: int, offset: int) -> Operand:
    """The operand in panels of `width`, the batch axes that it does not depend on left out."""
    apart = [k >= p.c.slices and stride != 0 for k, stride in enumerate(operand.strides)]
    strides = one_after_another(p.c.batch, apart, ceil(extent / width) * width * p.c.k)
    if width == 1:
        return Operand(p.dtype, strides, p.c.k, 1, offset)
    return Operand(p.dtype, strides, 1, width, offset, width * p.c.k)


def one_after_another(lengths: Sequence[int], apart: Sequence[bool], size: int) -> tuple[int, ...]:
    """The strides of axes, row-major, of which one element takes `size`; 0 for those along which all is the same, which take no room."""
    strides: list[int] = []
    for length, own in zip(reversed(lengths), reversed(apart), strict=True):
        strides.insert(0, size if own else 0)
        size *= length if own else 1
    return tuple(strides)


def aligned(elements: int) -> int:
    """Rounded up to whole cache lines of any dtype."""
    return -(-elements // 64) * 64


def _work(p: _Problem, rows: int, columns: int, k: int) -> int:
    """Flops, or bytes where the unit is bound by memory."""
    return max(2 * rows * columns * k, 2 * p.dtype.itemsize * (rows + columns) * k)


def _k_block(p: _Problem, choice: _Choice) -> int:
    """All of k, unless there are too few tiles for parallel work, or k is so long that tiles no longer share it in L2."""
    tile, k, batch = choice.tile, p.c.k, prod(p.c.batch)
    width = tile.vectors * (tile.lanes if choice.variant == "columns" else 1)
    tiles = ceil(p.rows / tile.rows) * ceil(p.columns / width) * batch
    chunks = min(PARALLEL, _work(p, p.rows, p.columns, k) * batch // CHUNK_WORK)
    near = max(1, (k if choice.variant == "columns" else k + _near(p, choice) - 1) // _near(p, choice)) if tiles > 1 else 1
    most = PARTIALS // (batch * p.rows * p.columns * p.dtype.itemsize)
    blocks = min(max(min(chunks // tiles, k // 1024), near), most)
    if blocks < 2:
        return k
    step = tile.unroll * (tile.lanes if choice.variant == "k" else 1)
    return -(-ceil(k / blocks) // step) * step


def _near(p: _Problem, choice: _Choice) -> int:
    """How much of k tiles share in L1 and L2.

    Of peak, k whole, in parts of 4096, 2048, 1024, 512: 64 × 64 × 16384, A transposed: 64 74 79 76 75; 256 × 256 × 16384,
    A transposed: 28 69 82 81 84; 512 × 512 × 16384: 71 93 94 93 90; 512 × 512 × 4096: 96 96 94 95 94. One part and a half is better
    left whole where vectors go along columns (512 × 512 × 1536: 96, in two 91), not where they go along k (74, in two 82).
    """
    if abs(p.left.along) != 1 and not choice.pack[0] and p.c.k > 1024:
        return p.target.l1 // 64  # a cache line for every k: 512 × 128 × 1088: 83, in two 95; 128 × 512 × 1800: 88, in three 97
    shared = p.target.l2 // 2 // ((p.rows + p.columns) * p.dtype.itemsize)
    lowest, highest = (p.target.l2 // (size * p.dtype.itemsize) for size in (256, 64))
    return min(max(lowest, shared), highest)


def _row_tiles(p: _Problem, draft: Plan) -> int:
    """Tiles of a unit: their rows of the left operand fit half of L2, and large work still makes enough units."""
    tiles = ceil(p.rows / draft.tile.rows)
    if p.c.staging:  # all of them share a box, unless there are too few boxes for many threads
        return ceil(tiles / max(1, min(tiles, PARALLEL // 4 // prod(draft.units))))
    line = draft.tile.rows * draft.k_block
    fitting = max(1, p.target.l2 // 2 // max(1, line * p.dtype.itemsize))
    total = _work(p, p.rows, p.columns, p.c.k) * prod(p.c.batch)
    sized = max(CHUNK_WORK, total // (4 * PARALLEL)) // max(1, _work(p, draft.tile.rows, draft.width, draft.k_block))
    blocks = ceil(tiles / max(1, min(tiles, fitting, sized)))
    return ceil(tiles / blocks)
