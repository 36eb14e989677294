"""L3. A graph → one program: the table of contents of the compiler.

    planes → simplify → schedule → lower → passes → plan memory → LLVM IR

A program is a list of steps: which kernel runs, and where the memory lies that it works on. Memory is told as an entry of the program's
table of addresses (`body.ERROR` … `FIRST`) and an offset. Kernels that do the same on other memory have the same text, and
become machine code once (runtime/steps.py).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import prod
from typing import Any

from danlu.compile import kernel as ir
from danlu.compile import target
from danlu.compile.alike import Alike
from danlu.compile.bfloat16 import in_float32
from danlu.compile.body import FIRST, WORKSPACE, Place
from danlu.compile.lower import Lowering
from danlu.compile.passes import optimize, optimize_slice
from danlu.compile.passes.memory import in_place, may_fail, over_each_other, plan_memory, results_last, touched
from danlu.compile.passes.memory import written as written_by
from danlu.compile.passes.placing import place
from danlu.compile.passes.rows import fuse
from danlu.compile.passes.slices import slice_by_slice
from danlu.compile.planes import in_planes
from danlu.compile.schedule import Group, instructions, same_memory, schedule
from danlu.compile.simplify import simplify
from danlu.config import config
from danlu.graph import CONTRACT, ELEMENTWISE, MOVEMENT, REDUCE, Node, Spec, is_memory, toposort
from danlu.graph import render as render_graph


@dataclass(frozen=True)
class Output:
    """Where a result is: new memory of `nbytes`, or (`same`) that of an "input", written "over" an input, or an earlier "output"."""

    nbytes: int
    same: tuple[str, int] | None = None


Memory = tuple[int, int, Spec]  # (entry of the table, offset in bytes, what lies there)


@dataclass(frozen=True)
class LibraryCall:
    """One opaque op of a program: its NumPy function runs on memory. A result that nobody reads has no place."""

    op: str
    attrs: tuple
    inputs: tuple[Memory, ...]
    outputs: tuple[Memory | None, ...]


@dataclass(frozen=True)
class Label:
    """What is known of a kernel that is profiled: its ops, its work and where it comes from."""

    ops: tuple[str, ...]
    flops: int
    nbytes: int
    chunks: int
    lines: tuple[Any, ...]


@dataclass(frozen=True)
class Step:
    """One step: the chunks of a function (`Program.texts`) on the memory of `places`; or, by its `kind`, library call `number`, or
    the end of the program if an error was reported. `label`: which kernel it belongs to, of those that run. `turns`: what a function
    runs that itself runs others, slice after slice, `each` slices a chunk and `count` in all."""

    kind: str  # "run", "slices", "call" or "check"
    number: int = 0
    chunks: int = 0
    label: int = 0
    places: tuple[Place, ...] = ()
    turns: tuple[Turn, ...] = ()
    each: int = 0
    count: int = 0


@dataclass(frozen=True)
class Turn:
    """A function of each slice, and the memory that it works on: which place of the step, and by how many bytes it lies further on for
    each chunk of the step, where a chunk has memory of its own."""

    number: int
    places: tuple[tuple[int, int], ...]


@dataclass
class Program:
    """Steps, the texts of the functions that they run, each once, and what a caller must provide: addresses in the order of the table."""

    steps: list[Step]
    texts: list[str]
    num_inputs: int
    outputs: list[Output]
    workspace: int
    checks: bool
    calls: list[LibraryCall] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)  # of a profiled program: one for each kernel, in the order of its counters


def build(
    roots: Sequence[Node], num_inputs: int, replace: dict[int, Node] | None = None, given: Sequence[tuple[int, int]] = ()
) -> Program:
    """The program that computes the roots. Inputs are nodes of sources with a slot and a spec, slots 0 … num_inputs-1.

    `given`: (input that nobody reads after the program, the root that takes its place or -1); results may be written into its memory."""
    roots = simplify(*in_planes(*in_float32(roots, replace)))
    _log("graph", lambda: render_graph(roots))
    outputs, computed = _outputs(roots)
    groups = schedule(computed)
    inputs = _inputs(groups)
    slots = _slots(groups, inputs, computed, num_inputs)
    alike = Alike()
    kernels = _kernels(groups, slots, {slots[id(n)] for n in computed}, target.host(), alike)
    for k in kernels:
        _log("kernels", lambda k=k: ir.render(k))
    kernels = results_last(kernels)
    if config.verify:
        empty = {slots[id(n)] for g in groups for n in g.stored if not n.spec.size}
        ir.verify_order(kernels, {*range(num_inputs), *empty})
    free = _free(given, roots, computed, outputs, slots)
    written = in_place(kernels, _results(computed, num_inputs), {x.attrs[0]: x.spec for x in inputs}, free)
    outputs = _settled(outputs, written, num_inputs)
    places, workspace = _places(groups, computed, slots, kernels, num_inputs, written)
    labels = [_label(k, groups, slots) for k in kernels] if config.profile else []
    steps, texts, calls = _steps(kernels, alike, places, set(written))
    _log("ir", lambda: "\n".join(texts))
    bytes_of_ir = sum(map(len, texts))
    _log(
        "compile", lambda: f"{len(kernels)} kernels, {len(texts)} different, {bytes_of_ir} bytes of IR, {workspace} of workspace"
    )
    return Program(steps, texts, num_inputs, outputs, workspace, any(map(may_fail, kernels)), calls, labels)


def _log(stage: str, text) -> None:
    if stage in config.log:
        print(f"danlu: {text()}" if stage == "compile" else text(), file=sys.stderr)


# ---- results --------------------------------------------------------------------------------------------------------------


def _outputs(roots: Sequence[Node]) -> tuple[list[Output], list[Node]]:
    """Where each root will be, and the nodes that kernels must compute for that, each once."""
    outputs: list[Output] = []
    computed: list[Node] = []
    for root in roots:
        node = same_memory(root)
        nbytes = node.spec.size * node.dtype.itemsize
        known = next((k for k, n in enumerate(computed) if n is node), None)
        if is_memory(node):
            outputs.append(Output(nbytes, ("input", node.attrs[0])))
        elif known is not None:
            outputs.append(Output(nbytes, ("output", known)))
        else:
            outputs.append(Output(nbytes))
            computed.append(node)
    return outputs, computed


def _free(
    given: Sequence[tuple[int, int]], roots: Sequence[Node], computed: list[Node], outputs: list[Output], slots: dict[int, int]
) -> dict[int, int | None]:
    """The inputs that may be overwritten, each with the slot of the result that takes its place."""
    still_read = {o.same[1] for o in outputs if o.same and o.same[0] == "input"}
    made = {id(n) for n in computed}
    heirs = {k: same_memory(roots[root]) for k, root in given if root >= 0 and k not in still_read}
    free: dict[int, int | None] = {k: None for k, _ in given if k not in still_read}
    return free | {k: slots[id(n)] for k, n in heirs.items() if id(n) in made}


# ---- kernels --------------------------------------------------------------------------------------------------------------


def _slots(groups: list[Group], inputs: list[Node], computed: list[Node], num_inputs: int) -> dict[int, int]:
    """A number for every piece of memory: inputs first, then results, then what lives only inside the program."""
    slots = {id(x): x.attrs[0] for x in inputs}
    for k, node in enumerate(computed):
        slots[id(node)] = num_inputs + k
    following = num_inputs + len(computed)
    for node in (n for g in groups for n in g.stored):
        if id(node) not in slots:
            slots[id(node)] = following
            following += 1
    return slots


def _kernels(
    groups: list[Group], slots: dict[int, int], results: set[int], machine: target.Target, alike: Alike
) -> list[ir.Kernel]:
    """A kernel for each group or for several that walk the same rows, as fast as the passes make them; equal ones share the work."""
    lowered = [ir.Kernel(f"k{n}", Lowering(g, slots).run(), groups=(n,)) for n, g in enumerate(groups) if not _empty(g)]
    lowered = [k for k in lowered if k.body]
    _count_readers(lowered)

    def whole(kernel: ir.Kernel) -> ir.Kernel:
        return optimize(kernel, machine, config.verify)

    def piece(kernel: ir.Kernel) -> ir.Kernel:
        return optimize_slice(kernel, machine, config.verify)

    made = []
    for k in slice_by_slice(fuse(place(lowered, results), results, machine), results):
        if isinstance(k.body[0], ir.Slices):
            k.body[0].members[:] = [alike.kernel(m, piece, k.local) for m in k.body[0].members]
            made.append(k)
        else:
            made.append(alike.kernel(k, whole))
    return made


SHARED = 16  # products that read one operand, at most: from there on packing costs nothing


def _count_readers(kernels: list[ir.Kernel]) -> None:
    """Tells each contraction how many of the program read its operands as it does: the steps of a recurrent layer share their weight."""
    found = [k.body[0] for k in kernels if isinstance(k.body[0], ir.Contract)]
    forms = [[(side, x.slot, c.a.index, c.b.index, c.axes) for side, x in enumerate((c.a, c.b))] for c in found]
    readers = Counter(form for both in forms for form in both)
    for c, (a, b) in zip(found, forms):
        c.shared = min(readers[a], SHARED), min(readers[b], SHARED)


def _share_panels(kernels: list[ir.Kernel], fresh: Iterator[int]) -> dict[int, int]:
    """Gives products their workspaces: {slot: bytes}. Those with one plan that pack the same operand, and nothing else, share one; the
    first of them packs."""
    first: dict[tuple, int] = {}
    sizes: dict[int, int] = {}
    for k, c in ((k, k.body[0]) for k in kernels if isinstance(k.body[0], ir.Contract)):
        if not c.plan.workspace:
            continue
        side, c.workspace = None if c.slices else c.plan.reusable, next(fresh)
        if side is not None:
            slot = (c.a, c.b)[side].slot
            own, key = c.workspace, (c.plan, slot, k.begins.get(slot))
            c.workspace = first.setdefault(key, own)
            c.packed = c.workspace != own
        sizes[c.workspace] = c.plan.workspace
    return sizes


def _empty(group: Group) -> bool:
    return bool(group.stored) and all(0 in n.shape for n in group.stored)


def _label(kernel: ir.Kernel, groups: list[Group], slots: dict[int, int]) -> Label:
    """What a kernel does, told from its group: multiplications and additions of its core and instructions of the elementwise work
    around it; each piece of memory that it reads or writes once."""
    mine = [groups[n] for n in kernel.groups]
    nodes = [n for g in mine for n in g.nodes]
    inner = {id(n) for n in nodes}
    stored = [n for g in mine for n in g.stored]
    memory = [*stored, *{id(x): x for n in nodes for x in n.inputs if id(x) in slots and id(x) not in inner}.values()]
    outside = touched(kernel) - kernel.local.keys()
    nbytes = sum(n.spec.size * n.dtype.itemsize for n in memory if type(n.spec) is Spec and slots[id(n)] in outside)
    lines = Counter(n.origin for n in nodes if n.origin is not None)
    work = [n for g in mine for n in (*g.core, *g.nodes) if n.op.family != MOVEMENT]
    ops = dict.fromkeys(n.op.name for n in work or nodes)
    return Label(tuple(ops), sum(map(_work, nodes)), nbytes, kernel.chunks, tuple(line for line, _ in lines.most_common()))


def _work(node: Node) -> int:
    """Floating-point operations of a node."""
    if type(node.spec) is not Spec or node.op.family not in (ELEMENTWISE, REDUCE, CONTRACT):
        return 0
    if node.op.family == ELEMENTWISE:
        return node.spec.size * instructions(node)
    if node.op.family == REDUCE:
        return node.inputs[0].spec.size
    first, second, _ = node.named_attrs["labels"]
    sizes = dict(zip(first, node.inputs[0].shape)) | dict(zip(second, node.inputs[1].shape))
    return 2 * prod(sizes.values())


# ---- memory and text ------------------------------------------------------------------------------------------------------


def _results(computed: list[Node], num_inputs: int) -> dict[int, Spec]:
    """The slots of the results."""
    return {num_inputs + k: n.spec for k, n in enumerate(computed)}


def _inputs(groups: list[Group]) -> list[Node]:
    """The inputs of the program that kernels reach."""
    return [x for x in toposort([n for g in groups for n in g.nodes]) if is_memory(x)]


def _settled(outputs: list[Output], written: dict[int, int], num_inputs: int) -> list[Output]:
    """The outputs, those that are written into an input's memory marked so."""
    fresh = [k for k in range(len(outputs)) if num_inputs + k not in written]
    settled, computed = [], 0
    for o in outputs:
        kind, k = o.same or ("output", computed)
        computed += o.same is None
        if kind == "input":
            settled.append(o)
        elif num_inputs + k in written:
            settled.append(Output(o.nbytes, ("over" if o.same is None else "input", written[num_inputs + k])))
        else:
            settled.append(Output(o.nbytes, None if o.same is None else ("output", fresh.index(k))))
    return settled


def _places(
    groups: list[Group],
    computed: list[Node],
    slots: dict[int, int],
    kernels: list[ir.Kernel],
    num_inputs: int,
    written: dict[int, int],
):
    """Where each slot lies: an entry of the table, or an offset into the workspace."""
    places = {k: Place(FIRST + k) for k in range(num_inputs)}
    fresh = 0
    for slot in range(num_inputs, num_inputs + len(computed)):
        places[slot] = places[written[slot]] if slot in written else Place(FIRST + num_inputs + fresh)
        fresh += slot not in written
    specs = {slots[id(n)]: n.spec for g in groups for n in g.stored if slots[id(n)] >= len(places)}
    alive = set().union(*map(touched, kernels))
    inner = {slot: spec.size * spec.dtype.itemsize for slot, spec in specs.items() if slot in alive}
    pieces = [m for k in kernels for m in ir.members(k)]
    for k in pieces:
        inner |= {slot: k.chunks * nbytes for slot, nbytes in k.local.items()} | k.partial
    fresh_slots = count(max([-1, *places, *specs, *inner]) + 1)
    inner |= _share_panels(pieces, fresh_slots)
    whole_slices = [k for k in kernels if isinstance(k.body[0], ir.Slices)]
    inside = {slot: where for k in whole_slices for slot, where in _inside(k, inner, fresh_slots).items()}
    local = set().union(*(k.local for k in (*kernels, *pieces)))
    whole = {slot: spec for slot, spec in specs.items() if slot not in local}
    results = {num_inputs + k: n.spec.size * n.dtype.itemsize for k, n in enumerate(computed) if num_inputs + k not in written}
    found, workspace = plan_memory(kernels, inner, results, over_each_other(kernels, whole))
    for slot, (result, offset) in found.items():
        places[slot] = Place(WORKSPACE if result is None else places[result].entry, offset)
    for slot, (whole, offset) in inside.items():
        places[slot] = Place(places[whole].entry, places[whole].offset + offset)
    return places, workspace


def _inside(kernel: ir.Kernel, sizes: dict[int, int], fresh: Iterator[int]) -> dict[int, tuple[int, int]]:
    """Where what a call keeps of a slice lies: {slot: (that of all of it, offset)}. Instead of these slots `sizes` gets the one of all."""
    slices = kernel.body[0]
    scratch = {m.body[0].workspace for m in slices.members if isinstance(m.body[0], ir.Contract)} & sizes.keys()
    found, room = plan_memory(slices.members, kernel.local | {slot: sizes[slot] for slot in scratch})
    slices.workspace = next(fresh)
    kernel.local = dict.fromkeys(found, room)
    for slot in found:
        sizes.pop(slot, None)
    sizes[slices.workspace] = kernel.chunks * room
    return {slot: (slices.workspace, offset) for slot, (_, offset) in found.items()}


def _steps(
    kernels: list[ir.Kernel], alike: Alike, places: dict[int, Place], over: set[int]
) -> tuple[list[Step], list[str], list[LibraryCall]]:
    """The steps of the program, the texts of the functions that they run, and the library calls that they make, both by number. Before
    the first kernel that writes over an input (slots `over`) it ends if an error was reported."""
    guarded = not any(map(may_fail, kernels))
    texts: dict[str, int] = {}
    steps, library = [], []
    for label, k in enumerate(kernels):
        first = k.body[0]
        if isinstance(first, ir.Call):
            steps.append(Step("call", len(library), label=label))
            library.append(_located(first, places))
            continue
        if not guarded and written_by(k) & over:
            steps.append(Step("check", label=label))
            guarded = True
        if isinstance(first, ir.Slices):
            steps.append(_sliced(k, alike, places, texts, label))
            continue
        for f in alike.functions(k, places):
            steps.append(Step("run", texts.setdefault(f.text, len(texts)), f.chunks, label, f.places))
    return steps, list(texts), library


def _sliced(kernel: ir.Kernel, alike: Alike, places: dict[int, Place], texts: dict[str, int], label: int) -> Step:
    """The step of kernels that run slice after slice."""
    functions = [f for m in ir.members(kernel) for f in alike.functions(m, places)]
    own = {places[slot]: nbytes for slot, nbytes in kernel.local.items()}
    used = [*dict.fromkeys(place for f in functions for place in f.places)]
    turns = [
        Turn(texts.setdefault(f.text, len(texts)), tuple((used.index(p), own.get(p, 0)) for p in f.places)) for f in functions
    ]
    count = kernel.body[0].count
    return Step("slices", 0, kernel.chunks, label, tuple(used), tuple(turns), kernel.chunk, count)


def _located(call: ir.Call, places: dict[int, Place]) -> LibraryCall:
    def memory(slot: int | None, spec: Spec) -> Memory | None:
        return None if slot is None else (places[slot].entry, places[slot].offset, spec)

    inputs = tuple((places[s].entry, places[s].offset, spec) for s, spec in call.inputs)
    return LibraryCall(call.op.name, call.attrs, inputs, tuple(memory(s, spec) for s, spec in call.outputs))
