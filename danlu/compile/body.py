"""L3. The function that a kernel becomes, as LLVM's text: its addresses, loops, memory, and how it reports an error.

`void kernel(ptr %args, i64 %begin, i64 %end)` runs the chunks begin … end of the kernel's outermost loop. `args` are the addresses that
the kernel asks for, in the order in which it first does: its text says nothing of where they lie in the program, so that kernels
which do the same have the same text. Bounds of loops are given to it in the same way: another batch size is the same kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from danlu import dtype as dt
from danlu.compile.emit import Emitter, Value, ir_type
from danlu.compile.index import Atom, Var
from danlu.compile.target import host
from danlu.dtype import DType

# The program's table of addresses: the error report, the Python numbers, the function that makes library calls, the workspace, the
# steps of the program (runtime/steps.py), 0 (the offset of such a place is a number), then inputs and outputs.
ERROR, NUMBERS, CALLBACK, WORKSPACE, STEPS, NOWHERE, FIRST = range(7)


@dataclass(frozen=True)
class Place:
    """Where a slot lies: an entry of the table of addresses, and an offset in bytes."""

    entry: int
    offset: int = 0


@dataclass(frozen=True)
class Function:
    """A kernel, or a phase of one, as a module of LLVM IR; the places that it asks for, and how many chunks it has."""

    text: str
    places: tuple[Place, ...]
    chunks: int


class Body(Emitter):
    """The emitter of one kernel: loops, memory and accumulators on top of arithmetic."""

    def __init__(self, places: dict[int, Place], local: Mapping[int, int] = MappingProxyType({})) -> None:
        super().__init__()
        self.scales = host().name == "AVX-512"
        self.places, self.local = places, local
        self.allocas: list[str] = []
        self.pointers: dict[Place, str] = {}
        self.slices: dict[int, str] = {}
        self.sizes: list[int] = []
        self.registers: dict[Atom, str] = {}  # loop variable → its register (of lane 0 for the vector variable)
        self.vector: Var | None = None
        self.lanes = 1
        self.mask: Value | None = None  # the lanes that exist, in the tail of a vector loop
        self.accumulators: dict[str, tuple[str, int]] = {}  # total → (its memory, lanes)
        self.memo: list[dict[Any, Value]] = [{}]  # values already in registers, a layer for each open block

    # ---- memory -------------------------------------------------------------------------------------------------------
    def pointer(self, slot: int) -> str:
        """The register that holds a slot's address. Of a local slot a call has the slice of its first chunk, which no other call runs."""
        register = self.place(self.places[slot])
        if slot not in self.local:
            return register
        if slot not in self.slices:
            self.slices[slot], offset = f"{register}.slice", self.name("o")
            self.allocas += [
                f"  {offset} = mul i64 %begin, {self.local[slot]}",
                f"  {self.slices[slot]} = getelementptr i8, ptr {register}, i64 {offset}",
            ]
        return self.slices[slot]

    def place(self, place: Place) -> str:
        """The register that holds an address; loaded at the entry of the function."""
        if place not in self.pointers:
            self.pointers[place] = f"%p{len(self.pointers)}"
        return self.pointers[place]

    def size(self, n: int, least: int = 2) -> str:
        """The register that holds a size; each has its own, as two that are equal need not be so for another batch. Below `least` it
        stays in the text."""
        if n < least:
            return str(n)
        self.sizes.append(n)
        return f"%n.{len(self.sizes) - 1}"

    def alloca(self, type_: str) -> str:
        """Memory of the function itself, made at its entry (LLVM turns it into registers)."""
        name = self.name("a")
        self.allocas.append(f"  {name} = alloca {type_}, align 64")
        return name

    def address(self, slot: int, dtype: DType, offset: str) -> str:
        """The address of an element, `offset` a register or a literal."""
        ref = self.name()
        self.lines.append(f"  {ref} = getelementptr {memory_type(dtype)}, ptr {self.pointer(slot)}, i64 {offset}")
        return ref

    def in_turns(self, x: Value, y: Value) -> Value:
        """Twice the lanes: x0 y0 x1 y1 …"""
        n = self.lanes
        x, y = self.splat(x, n), self.splat(y, n)
        picked = ", ".join(f"i32 {k}" for pair in zip(range(n), range(n, 2 * n)) for k in pair)
        return self.instruction(f"shufflevector {x!r}, {y!r}, <{2 * n} x i32> <{picked}>", x.dtype, 2 * n)

    # ---- blocks and loops -----------------------------------------------------------------------------------------------
    def scoped(self, run: Callable[[], None]) -> None:
        """Runs with a layer of remembered values that is forgotten after: they are not known outside the block."""
        self.memo.append({})
        run()
        self.memo.pop()

    def loop(self, start: str, stop: str, step: int, body: Callable[[str], None]) -> None:
        """for (i = start; i < stop; i += step) body(i)"""
        pre, head, inside, latch, done = (self.name(x) for x in ("pre", "head", "body", "latch", "done"))
        counter, following, test = self.name("i"), self.name("n"), self.name("c")
        self.line(f"br label {pre}")
        self.label(pre)
        self.line(f"br label {head}")
        self.label(head)
        self.line(f"{counter} = phi i64 [ {start}, {pre} ], [ {following}, {latch} ]")
        self.line(f"{test} = icmp slt i64 {counter}, {stop}")
        self.line(f"br i1 {test}, label {inside}, label {done}")
        self.label(inside)
        self.scoped(lambda: body(counter))
        self.line(f"br label {latch}")
        self.label(latch)
        self.line(f"{following} = add nsw i64 {counter}, {step}")
        self.line(f"br label {head}")
        self.label(done)

    def when(self, condition: str, body: Callable[[], None]) -> None:
        """if (condition) body()"""
        inside, done = self.name("then"), self.name("fi")
        self.line(f"br i1 {condition}, label {inside}, label {done}")
        self.label(inside)
        self.scoped(body)
        self.line(f"br label {done}")
        self.label(done)

    def integer(self, text: str) -> str:
        """An instruction on i64 scalars; its register."""
        return self.instruction(text, dt.int64).ref

    # ---- errors in the data ---------------------------------------------------------------------------------------------
    def report(self, bad: Value, position: Value, size: int) -> None:
        """Notes one position that does not exist, and the size of its axis plus 1, in the error report."""
        if self.mask is not None and bad.lanes > 1:
            bad = self.and_(bad, self.mask)
        worst = self.select(bad, position, self.const(0, position.dtype))
        anything = bad.ref
        if bad.lanes > 1:
            anything = self.call(f"llvm.vector.reduce.or.v{bad.lanes}i1", dt.bool_, 1, bad).ref
            worst = self._farthest(worst)

        def write() -> None:
            error, second = self.place(Place(ERROR)), self.name()
            self.line(f"store i64 {size + 1}, ptr {error}")
            self.line(f"{second} = getelementptr i64, ptr {error}, i64 1")
            self.line(f"store i64 {worst.ref}, ptr {second}")

        self.when(anything, write)

    def _farthest(self, x: Value) -> Value:
        """Of a vector of positions the largest, or the smallest if that is negative."""
        low = self.call(f"llvm.vector.reduce.smin.v{x.lanes}i64", dt.int64, 1, x)
        high = self.call(f"llvm.vector.reduce.smax.v{x.lanes}i64", dt.int64, 1, x)
        return self.select(self.lt(low, self.const(0, dt.int64)), low, high)


def memory_type(dtype: DType) -> str:
    """LLVM's type of an element in memory: bool is a byte."""
    return "i8" if dtype is dt.bool_ else ir_type(dtype)


def register_dtype(dtype: DType) -> DType:
    """The dtype that computes: float16 is float32 in registers."""
    return dt.float32 if dtype is dt.float16 else dtype


def memory_suffix(dtype: DType) -> str:
    """The part of an intrinsic's name that says the element type in memory."""
    return {"float": "f32", "double": "f64", "half": "f16"}.get(memory_type(dtype), memory_type(dtype))


ATTRIBUTES = 'attributes #0 = { nounwind "no-trapping-math"="true" "denormal-fp-math"="ieee,ieee" }'


def function(b: Body, chunks: int) -> Function:
    """The function of a finished body: `work` has the code, `kernel` loads the addresses for it, of which no two are the same memory."""
    kinds = ["ptr"] * len(b.pointers) + ["i64"] * len(b.sizes)
    wanted = [f"ptr noalias {register}" for register in b.pointers.values()] + [f"i64 %n.{k}" for k in range(len(b.sizes))]
    entry = []
    for k, kind in enumerate(kinds):
        entry += [f"  %s{k} = getelementptr i64, ptr %args, i64 {k}", f"  %q{k} = load {kind}, ptr %s{k}"]
    parameters, given = ", ".join([*wanted, ""]), "".join(f"{kind} %q{k}, " for k, kind in enumerate(kinds))
    lines = [
        *sorted(b.declared),
        f"define internal void @work({parameters}i64 %begin, i64 %end) #0 {{",
        "entry:",
        *b.allocas,
        *b.lines,
        "  ret void",
        "}",
        "define void @kernel(ptr %args, i64 %begin, i64 %end) {",
        *entry,
        f"  call void @work({given}i64 %begin, i64 %end)",
        "  ret void",
        "}",
        ATTRIBUTES,
    ]
    return Function("\n".join(lines) + "\n", (*b.pointers, *(Place(NOWHERE, n) for n in b.sizes)), chunks)


__all__ = [
    "CALLBACK",
    "ERROR",
    "FIRST",
    "NOWHERE",
    "NUMBERS",
    "STEPS",
    "WORKSPACE",
    "Body",
    "Function",
    "Place",
    "function",
    "memory_suffix",
    "memory_type",
    "register_dtype",
]
