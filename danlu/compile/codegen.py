"""L3. Kernel IR → LLVM IR, as text: what each statement and expression of a kernel becomes in the function of body.py."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import takewhile
from math import prod
from typing import Any

from danlu import dtype as dt
from danlu.compile import gemm, micro
from danlu.compile.body import (
    NUMBERS,
    Body,
    Function,
    Place,
    function,
    memory_suffix,
    memory_type,
    register_dtype,
)
from danlu.compile.emit import Value, ir_type
from danlu.compile.index import Atom, Index, Position, Quotient, Var, atoms_of, is_linear
from danlu.compile.kernel import (
    TURNS,
    Accumulate,
    Apply,
    Begin,
    Choose,
    Constant,
    Contract,
    Count,
    Fold,
    Guard,
    Kernel,
    Load,
    Loop,
    Number,
    Scan,
    Store,
    Total,
    children,
    expressions,
    own_indices,
    statements,
)  # fmt: skip
from danlu.dtype import DType
from danlu.messages import message

FAR = 1 << 19  # bytes of which too little stays in the second cache
COUNTS = 1 << 10  # from here on a whole number is taken for a count


class Writer:
    """Writes the statements of one kernel into a Body."""

    def __init__(self, b: Body) -> None:
        self.b = b
        self.needed: dict[int, tuple[frozenset[Atom], frozenset[str | int]]] = {}

    # ---- statements -----------------------------------------------------------------------------------------------------
    def statements(self, body: list) -> None:
        """The statements in order. Every value is computed before the first is stored: a store may overwrite what another, or a sum, reads."""
        for k, s in enumerate(body):
            if isinstance(s, Loop):
                self.loop(s)
            elif isinstance(s, Begin):
                self.begin(s.total, s.lanes)
            elif isinstance(s, Fold):
                self.fold(s.total)
            elif isinstance(s, Scan):
                self.scan(s)
            elif isinstance(s, Accumulate):
                self.accumulate(s)
            elif isinstance(s, Store):
                for following in takewhile(lambda x: type(x) in (Store, Accumulate), body[k:]):
                    self.value(following.value)
                self.store(s)
            else:
                raise TypeError(message("no code for {kind} here", kind=type(s).__name__))

    def loop(self, s: Loop) -> None:
        """A loop; with chunks it runs the part of its range that the function was called for."""
        if s.chunk:
            chunk = self.b.size(s.chunk, 1)
            start = self.b.integer(f"mul i64 %begin, {chunk}")
            last = self.b.integer(f"mul i64 %end, {chunk}")
            stop = self.at_most(last, self.b.size(s.var.extent))
        else:
            start, stop = "0", self.b.size(s.var.extent)
        self.hoist(s)
        if s.kind == "vector":
            self.vector_loop(s, start, stop)
        else:
            self.b.loop(start, stop, 1, lambda at: self.at(s.var, at, s.body))

    def at_most(self, x: str, bound: str) -> str:
        """min(x, bound)"""
        return self.b.call("llvm.smin.i64", dt.int64, 1, Value(x, dt.int64), Value(bound, dt.int64)).ref

    def hoist(self, s: Loop) -> None:
        """Computes, before a loop, what is the same in all its turns."""
        under = statements(s.body)
        inside = {s.var} | {x.var for x in under if isinstance(x, Loop)}
        if any(v.extent == 0 for v in inside):
            return
        begun = {x.total.name for x in under if isinstance(x, (Begin, Scan))} | {x.slot for x in under if isinstance(x, Store)}
        for e in expressions(s.body):
            turns = isinstance(e, Apply) and e.op is TURNS  # they have lanes only inside their loop
            if isinstance(e, (Apply, Number)) and not turns:
                variables, sources = self.needed.get(id(e)) or self.needs(e)
                if variables.isdisjoint(inside) and sources.isdisjoint(begun):
                    self.value(e)

    def needs(self, root: Any) -> tuple[frozenset[Atom], frozenset[str | int]]:
        """The loop variables that an expression depends on, and the accumulators and slots that it reads."""
        stack = [root]
        while stack:
            e = stack[-1]
            under = children(e)
            missing = [c for c in under if id(c) not in self.needed]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            parts = [self.needed[id(c)] for c in under]
            own, read = own_indices(e), (e.name,) if isinstance(e, Total) else (e.slot,) if isinstance(e, Load) else ()
            variables = frozenset([a for ix in own for a in atoms_of(ix) if isinstance(a, Var)])
            self.needed[id(e)] = variables.union(*[v for v, _ in parts]), frozenset(read).union(*[t for _, t in parts])
        return self.needed[id(root)]

    def at(self, var: Var, register: str, body: list) -> None:
        """The body with the loop variable in a register."""
        self.b.registers[var] = register
        self.statements(body)

    def vector_loop(self, s: Loop, start: str, stop: str) -> None:
        """Full vectors, then the rest under a mask."""
        b = self.b
        b.vector, b.lanes = s.var, s.lanes
        rest = s.var.extent % s.lanes
        full = b.size(s.var.extent - rest) if rest else stop
        if full != "0":
            limit = self.at_most(stop, full) if rest and s.chunk else full
            b.loop(start, limit, s.lanes, lambda at: self.at(s.var, at, s.body))
        if rest:
            self.tail(s, full, stop)
        b.vector, b.lanes = None, 1

    def tail(self, s: Loop, full: str, stop: str) -> None:
        """The lanes after the last full vector; in a chunked loop only the chunk that holds the end has them."""
        b = self.b
        rest = b.cast(Value(b.integer(f"sub i64 {stop}, {full}"), dt.int64), dt.int32)
        b.mask = b.lt(b.lane_numbers(s.lanes, dt.int32), rest)
        if s.chunk:
            here = b.name()
            b.line(f"{here} = icmp eq i64 {stop}, {b.size(s.var.extent)}")
            b.when(here, lambda: self.at(s.var, full, s.body))
        else:
            b.scoped(lambda: self.at(s.var, full, s.body))
        b.mask = None

    def store(self, s: Store) -> None:
        """Memory gets a value; mode "add" adds to what is there."""
        b = self.b
        value = self.value(s.value)
        if isinstance(s.value, Apply) and s.value.op is TURNS:
            mask = None if b.mask is None else b.in_turns(b.mask, b.mask)
            self.memory_store(s.slot, s.dtype, value, "row", self.index_value(s.index, scalar=True).ref, mask)
            return
        kind, offset = self.offset(s.index)
        if s.mode == "add":
            old = self.memory_load(s.slot, register_dtype(s.dtype), s.dtype, kind, offset, b.mask)
            value = b.add(old, value) if s.dtype is not dt.bool_ else b.or_(old, value)
        self.memory_store(s.slot, s.dtype, value, kind, offset, b.mask)

    # ---- accumulators ---------------------------------------------------------------------------------------------------
    def begin(self, total: Total, lanes: int) -> None:
        """Memory for an accumulator, at the identity of its reduction."""
        b = self.b
        dtype = register_dtype(total.dtype)
        name = b.alloca(ir_type(dtype, max(lanes, b.lanes)))
        start = b.splat(b.const(total.op.identity(dtype), dtype), max(lanes, b.lanes))  # type: ignore[misc]
        b.line(f"store {start!r}, ptr {name}")
        b.accumulators[total.name] = (name, max(lanes, b.lanes))
        for layer in b.memo:
            layer.pop(total.name, None)

    def accumulate(self, s: Accumulate) -> None:
        """total ← combine(total, value), the lanes that do not exist left out."""
        b = self.b
        name, lanes = b.accumulators[s.total.name]
        value = b.splat(self.value(s.value), lanes)
        old = b.instruction(f"load {ir_type(value.dtype, lanes)}, ptr {name}", value.dtype, lanes)
        if b.mask is not None:
            value = b.select(b.mask, value, b.const(s.total.op.identity(value.dtype), value.dtype))  # type: ignore[misc]
        b.line(f"store {s.total.op.emit(b, old, value)!r}, ptr {name}")  # type: ignore[misc]

    def scan(self, s: Scan) -> None:
        """total ← combine(total, value), which is the value of the total from here on. Where the lanes are turns of the scan they are
        combined in log2 steps, and the total is the last one, in every lane."""
        b = self.b
        name, lanes = b.accumulators[s.total.name]
        value = b.splat(self.value(s.value), lanes)
        neutral = b.splat(b.const(s.total.op.identity(value.dtype), value.dtype), lanes)  # type: ignore[misc]
        old = b.instruction(f"load {value.type}, ptr {name}", value.dtype, lanes)
        value = value if b.mask is None else b.select(b.mask, value, neutral)
        along, step = b.vector == s.var and lanes > 1, 1
        while along and step < lanes:
            picked = ", ".join(f"i32 {lanes + k - step}" for k in range(lanes))
            shifted = f"shufflevector {neutral!r}, {value!r}, <{lanes} x i32> <{picked}>"
            value = s.total.op.emit(b, b.instruction(shifted, value.dtype, lanes), value)  # type: ignore[misc]
            step *= 2
        value = s.total.op.emit(b, old, value)  # type: ignore[misc]
        b.line(f"store {self.shuffle(value, [lanes - 1] * lanes) if along else value!r}, ptr {name}")
        b.memo[-1][s.total.name] = value

    def fold(self, total: Total) -> None:
        """The lanes of an accumulator become one, halves first: a tree fixed by the number of lanes."""
        b = self.b
        name, lanes = b.accumulators[total.name]
        dtype = register_dtype(total.dtype)
        x = b.instruction(f"load {ir_type(dtype, lanes)}, ptr {name}", dtype, lanes)
        while x.lanes > 1:
            half = x.lanes // 2
            low, high = (self.shuffle(x, range(k, k + half)) for k in (0, half))
            x = total.op.emit(b, low, high)  # type: ignore[misc]
        scalar = b.alloca(ir_type(dtype))
        b.line(f"store {x!r}, ptr {scalar}")
        b.accumulators[total.name] = (scalar, 1)

    def shuffle(self, x: Value, lanes: Sequence[int]) -> Value:
        """Some lanes of a vector, as a vector or a scalar."""
        if len(lanes) == 1:
            return self.b.instruction(f"extractelement {x!r}, i64 {lanes[0]}", x.dtype)
        picked = ", ".join(f"i32 {k}" for k in lanes)
        return self.b.instruction(f"shufflevector {x!r}, {x.type} poison, <{len(lanes)} x i32> <{picked}>", x.dtype, len(lanes))

    # ---- expressions ----------------------------------------------------------------------------------------------------
    def value(self, root: Any) -> Value:
        """The register that holds an expression; computed once in the block that needs it. Without recursion: graphs are deep."""
        stack = [root]
        while stack:
            e = stack[-1]
            if self.known(e) is not None:
                stack.pop()
                continue
            missing = [c for c in children(e) if self.known(c) is None]
            if missing:
                stack.extend(missing)
                continue
            self.b.memo[-1][self.key(e)] = self.compute(e)
            stack.pop()
        return self.known(root)  # type: ignore[return-value]

    @staticmethod
    def key(e: Any) -> Any:
        return e.name if isinstance(e, Total) else id(e)

    def known(self, e: Any) -> Value | None:
        """The register of an expression, if an open block has computed it."""
        key = self.key(e)
        for layer in reversed(self.b.memo):
            if key in layer:
                return layer[key]
        return None

    def compute(self, e: Any) -> Value:
        """The instructions of one expression, its parts being in registers."""
        b = self.b
        if isinstance(e, Load):
            return self.load(e)
        if isinstance(e, Constant):
            return self.constant(e)
        if isinstance(e, Number):
            return self.number(e)
        if isinstance(e, Count):
            return b.cast(self.index_value(e.index), register_dtype(e.dtype))
        if isinstance(e, Total):
            name, lanes = b.accumulators[e.name]
            return b.instruction(f"load {ir_type(register_dtype(e.dtype), lanes)}, ptr {name}", register_dtype(e.dtype), lanes)
        if isinstance(e, Choose):
            return b.select(self.guard(e.guard), self.known(e.yes), self.known(e.no))  # type: ignore[arg-type]
        result = self.apply(e)
        if e.dtype is dt.float16:  # every op rounds, fused or not
            half = b.instruction(f"fptrunc {result!r} to {ir_type(e.dtype, result.lanes)}", e.dtype, result.lanes)
            return b.instruction(f"fpext {half!r} to {result.type}", result.dtype, result.lanes)
        return result

    def apply(self, e: Apply) -> Value:
        """The instructions of an op."""
        b = self.b
        args: list[Any] = [self.known(a) for a in e.args]
        names = getattr(e.op, "attrs", None)
        if names is None:  # an operation of the kernel language takes its attributes in order
            attrs = [register_dtype(a) if isinstance(a, DType) else a for a in e.attrs]
            return e.op.emit(b, *args, *attrs)  # type: ignore[misc]
        given = {k: register_dtype(a) if isinstance(a, DType) else a for k, a in zip(names, e.attrs)}
        return e.op.emit(b, *args, **given)  # type: ignore[misc]

    def constant(self, e: Constant) -> Value:
        """A constant. A large whole one is a count of elements, of which a mean is taken: an argument, as the bounds of loops are."""
        dtype = register_dtype(e.dtype)
        if dtype.is_floating_point and COUNTS <= e.value < 2**53 and e.value == int(e.value):
            return self.b.cast(Value(self.b.size(int(e.value)), dt.int64), dtype)
        return self.b.const(e.value, dtype)

    def number(self, e: Number) -> Value:
        """A Python number: the table holds it twice, as float64 and as int64."""
        b = self.b
        wide = dt.float64 if e.dtype.kind == "f" else dt.int64
        at = b.place(Place(NUMBERS, 16 * e.position + 8 * (e.dtype.kind != "f")))
        return b.cast(b.instruction(f"load {ir_type(wide)}, ptr {at}", wide), register_dtype(e.dtype))

    # ---- indices --------------------------------------------------------------------------------------------------------
    def varies(self, index: Index) -> bool:
        """Whether an index differs between the lanes in a way that a stride does not say."""
        return any(self.atom_varies(a) for a, _ in index.terms if a != self.b.vector)

    def atom_varies(self, atom: Atom) -> bool:
        if isinstance(atom, Position):
            return self.value(atom.expression).lanes > 1
        inner = atom.inner()
        return inner is not None and any(a == self.b.vector or self.atom_varies(a) for a in atoms_of(inner))

    def offset(self, index: Index) -> tuple[str, Any]:
        """How the lanes lie in memory: ("one", register), ("row", register), or ("many", vector of offsets)."""
        b = self.b
        coefficient = index.coefficient(b.vector) if b.vector is not None else 0
        if b.lanes > 1 and (self.varies(index) or coefficient not in (0, 1)):
            return "many", self.index_value(index)
        return ("row" if coefficient == 1 and b.lanes > 1 else "one"), self.index_value(index, scalar=True).ref

    def index_value(self, index: Index, scalar: bool = False) -> Value:
        """An index in a register; a vector where it differs between lanes, unless only lane 0 is asked for."""
        key = ("index", index, scalar)
        found = next((layer[key] for layer in reversed(self.b.memo) if key in layer), None)
        if found is None:
            found = self.b.memo[-1][key] = self._index_value(index, scalar)
        return found

    def _index_value(self, index: Index, scalar: bool) -> Value:
        b = self.b
        total: Value | None = None
        for atom, c in index.terms:
            x = self.atom(atom, scalar)
            term = x if c == 1 else b.mul(x, b.const(c, dt.int64))
            total = term if total is None else b.add(total, term)
        const = b.const(index.const, dt.int64)
        if total is None:
            return const
        return b.add(total, const) if index.const else total

    def atom(self, atom: Atom, scalar: bool) -> Value:
        """One atom of an index. Quotients are of numbers that are not negative wherever the element exists."""
        b = self.b
        if isinstance(atom, Var):
            lane0 = Value(b.registers[atom], dt.int64)
            if atom == b.vector and b.lanes > 1 and not scalar:
                return b.add(lane0, b.lane_numbers(b.lanes))
            return lane0
        if isinstance(atom, Position):
            return self.value(atom.expression)
        x = self.index_value(atom.inner(), scalar)  # type: ignore[arg-type]
        x, n = b.match(x, b.const(atom.divisor, dt.int64))  # type: ignore[attr-defined]
        return b.instruction(f"{'udiv' if isinstance(atom, Quotient) else 'urem'} {x!r}, {n.ref}", dt.int64, x.lanes)

    def guard(self, guard: Guard) -> Value:
        """All conditions together, as a bool."""
        b = self.b
        result: Value | None = None
        for kind, index, n in guard:
            x = self.index_value(index)
            x, bound = b.match(x, b.const(n, dt.int64))
            if kind == "within":
                one = b.instruction(f"icmp ult {x!r}, {bound.ref}", dt.bool_, x.lanes)
            else:
                rest = b.instruction(f"srem {x!r}, {bound.ref}", dt.int64, x.lanes)
                one = b.eq(rest, b.const(0, dt.int64))
            result = one if result is None else b.and_(result, one)
        return result or b.const(True, dt.bool_)

    # ---- memory ---------------------------------------------------------------------------------------------------------
    def load(self, e: Load) -> Value:
        """An element for each lane; where the guard does not hold nothing is read."""
        b = self.b
        guard = self.guard(e.guard) if e.guard else None
        kind, offset = self.offset(e.index)
        if kind == "one" and guard is not None and guard.lanes > 1:
            kind, offset = "many", b.splat(Value(offset, dt.int64), guard.lanes)
        mask = b.mask if kind != "one" else None
        if guard is not None and mask is not None:
            mask = b.and_(guard, mask)
        if guard is None and mask is None and (told := "pairs" if self.is_every_second(e.index) else self.is_twice(e.index)):
            kind, offset = told, self.index_value(e.index, scalar=True).ref
        return self.memory_load(
            e.slot, register_dtype(e.dtype), e.dtype, kind, offset, mask if guard is None or mask is not None else guard
        )

    def is_every_second(self, index: Index) -> bool:
        """Whether the lanes are every second element of memory: two vectors and a shuffle, where a gather takes ten times as long."""
        b = self.b
        return b.vector is not None and b.lanes > 2 and index.coefficient(b.vector) == 2 and not self.varies(index)

    def is_twice(self, index: Index) -> str:
        """ "twice" where neighbours in memory are each read by two lanes, which half a vector and a shuffle do."""
        b = self.b
        varying = [(a, c) for a, c in index.terms if a == b.vector or self.atom_varies(a)]
        if b.lanes < 4 or len(varying) != 1:
            return ""
        atom, c = varying[0]
        half = isinstance(atom, Quotient) and (atom.divisor, atom.index.terms, atom.index.const) == (2, ((b.vector, 1),), 0)
        return "twice" if half and c == 1 else ""

    def memory_load(self, slot: int, dtype: DType, stored: DType, kind: str, offset: Any, mask: Value | None) -> Value:
        """Memory → registers, converting bool and float16."""
        b = self.b
        memory = memory_type(stored)
        if kind == "one":
            if mask is not None:
                offset = b.select(mask, Value(offset, dt.int64), b.const(0, dt.int64)).ref
            raw = b.instruction(f"load {memory}, ptr {b.address(slot, stored, offset)}, align {stored.itemsize}", stored)
            lanes = 1
        else:
            lanes = b.lanes
            raw = self.vector_load(slot, stored, kind, offset, mask)
        if stored is dt.bool_:
            zero = "0" if lanes == 1 else "zeroinitializer"
            return b.instruction(f"icmp ne {memory if lanes == 1 else f'<{lanes} x i8>'} {raw.ref}, {zero}", dt.bool_, lanes)
        if stored is dt.float16:
            return b.instruction(f"fpext {raw!r} to {ir_type(dtype, lanes)}", dtype, lanes)
        return raw

    def vector_load(self, slot: int, stored: DType, kind: str, offset: Any, mask: Value | None) -> Value:
        b = self.b
        vector = f"<{b.lanes} x {memory_type(stored)}>"
        suffix = f"v{b.lanes}{memory_suffix(stored)}"
        if kind == "row":
            at = b.address(slot, stored, offset)
            if mask is None:
                return b.instruction(f"load {vector}, ptr {at}, align {stored.itemsize}", stored, b.lanes)
            mask = b.splat(mask, b.lanes)
            b.declared.add(f"declare {vector} @llvm.masked.load.{suffix}.p0(ptr, i32, <{b.lanes} x i1>, {vector})")
            text = f"call {vector} @llvm.masked.load.{suffix}.p0(ptr {at}, i32 {stored.itemsize}, {mask!r}, {vector} zeroinitializer)"
            return b.instruction(text, stored, b.lanes)
        if kind == "pairs":  # the second vector ends with the last element that is asked for, so that nothing behind it is read
            n = b.lanes
            first = b.instruction(f"load {vector}, ptr {b.address(slot, stored, offset)}, align {stored.itemsize}", stored, n)
            later = b.instruction(f"add i64 {offset}, {n - 1}", dt.int64).ref
            second = b.instruction(f"load {vector}, ptr {b.address(slot, stored, later)}, align {stored.itemsize}", stored, n)
            picked = ", ".join(f"i32 {k}" for k in [*range(0, n, 2), *range(n + 1, 2 * n, 2)])
            text = f"shufflevector {vector} {first.ref}, {vector} {second.ref}, <{n} x i32> <{picked}>"
            return b.instruction(text, stored, n)
        if kind == "twice":
            half = f"<{b.lanes // 2} x {memory_type(stored)}>"
            text = f"load {half}, ptr {b.address(slot, stored, offset)}, align {stored.itemsize}"
            few, picked = b.instruction(text, stored, b.lanes // 2), ", ".join(f"i32 {k // 2}" for k in range(b.lanes))
            return b.instruction(f"shufflevector {half} {few.ref}, {half} poison, <{b.lanes} x i32> <{picked}>", stored, b.lanes)
        pointers = self.pointers(slot, stored, offset)
        mask = b.splat(mask if mask is not None else b.const(True, dt.bool_), b.lanes)
        b.declared.add(
            f"declare {vector} @llvm.masked.gather.{suffix}.v{b.lanes}p0(<{b.lanes} x ptr>, i32, <{b.lanes} x i1>, {vector})"
        )
        text = f"call {vector} @llvm.masked.gather.{suffix}.v{b.lanes}p0({pointers}, i32 {stored.itemsize}, {mask!r}, {vector} zeroinitializer)"
        return b.instruction(text, stored, b.lanes)

    def pointers(self, slot: int, stored: DType, offset: Value) -> str:
        """A vector of addresses."""
        b = self.b
        offset = b.splat(offset, b.lanes)
        ref = b.name()
        b.line(f"{ref} = getelementptr {memory_type(stored)}, ptr {b.pointer(slot)}, {offset!r}")
        return f"<{b.lanes} x ptr> {ref}"

    def memory_store(self, slot: int, stored: DType, value: Value, kind: str, offset: Any, mask: Value | None) -> None:
        """Registers → memory, converting bool and float16."""
        b = self.b
        lanes = 1 if kind == "one" else max(b.lanes, value.lanes)
        value = self.to_memory(b.splat(value, lanes), stored)
        typed = f"{memory_type(stored) if lanes == 1 else f'<{lanes} x {memory_type(stored)}>'} {value.ref}"
        if kind == "one":
            b.line(f"store {typed}, ptr {b.address(slot, stored, offset)}, align {stored.itemsize}")
            return
        vector, suffix = f"<{lanes} x {memory_type(stored)}>", f"v{lanes}{memory_suffix(stored)}"
        if kind == "row" and mask is None:
            b.line(f"store {typed}, ptr {b.address(slot, stored, offset)}, align {stored.itemsize}")
        elif kind == "row":
            mask = b.splat(mask, lanes)  # type: ignore[arg-type]
            b.declared.add(f"declare void @llvm.masked.store.{suffix}.p0({vector}, ptr, i32, <{lanes} x i1>)")
            b.line(
                f"call void @llvm.masked.store.{suffix}.p0({typed}, ptr {b.address(slot, stored, offset)}, i32 {stored.itemsize}, {mask!r})"
            )
        else:
            mask = b.splat(mask if mask is not None else b.const(True, dt.bool_), lanes)
            b.declared.add(
                f"declare void @llvm.masked.scatter.{suffix}.v{lanes}p0({vector}, <{lanes} x ptr>, i32, <{lanes} x i1>)"
            )
            pointers = self.pointers(slot, stored, offset)
            b.line(f"call void @llvm.masked.scatter.{suffix}.v{lanes}p0({typed}, {pointers}, i32 {stored.itemsize}, {mask!r})")

    def to_memory(self, value: Value, stored: DType) -> Value:
        b = self.b
        if stored is dt.bool_:
            value = b.ne(value, b.const(0, value.dtype)) if value.dtype is not dt.bool_ else value
            return b.instruction(
                f"zext {value!r} to {'i8' if value.lanes == 1 else f'<{value.lanes} x i8>'}", dt.uint8, value.lanes
            )
        if stored is dt.float16:
            return b.instruction(f"fptrunc {value!r} to {ir_type(stored, value.lanes)}", stored, value.lanes)
        return b.cast(value, stored)


def write_kernel(kernel: Kernel, places: dict[int, Place]) -> list[Function]:
    """The functions of one kernel in the order in which they run: one, or one for each phase of a contraction."""
    if kernel.body and isinstance(kernel.body[0], Contract):
        return [
            _write_phase(phase, kernel.body[0], places) for phase in gemm.emit_phases(kernel.body[0].plan, kernel.body[0].packed)
        ]
    b = Body(places, kernel.local)
    Writer(b).statements(kernel.body)
    return [function(b, kernel.chunks)]


def _write_phase(phase: gemm.Phase, s: Contract, places: dict[int, Place]) -> Function:
    b = Body(places)
    workspace = b.pointer(s.workspace) if s.workspace is not None else "null"
    epilogue = Epilogue(Writer(b), s)
    at = gemm.Pointers(b.pointer(s.a.slot), b.pointer(s.b.slot), workspace, epilogue.fetch if epilogue.far() else None)
    phase.emit(b, at, "%begin", "%end", epilogue)
    return function(b, phase.chunks)


class Epilogue:
    """What happens to each finished vector of a contraction: the statements of its body."""

    def __init__(self, writer: Writer, contract: Contract) -> None:
        self.writer, self.contract = writer, contract

    def __call__(self, _, value: Value, batch: list[str], m: str, n: str, mask: Value | None, axis: str) -> None:
        b = self.writer.b
        *outer, row, column = self.contract.axes
        b.registers.update(zip((*outer, row, column), (*batch, m, n)))
        along = column if axis == "n" else row
        if along.extent == 1 and value.lanes > 1:
            value, mask = self.writer.shuffle(value, [0]), None
        b.vector, b.lanes, b.mask = along, value.lanes, mask
        b.memo.append({self.contract.total.name: value})
        self.writer.statements(self.contract.body)
        b.memo.pop()
        b.vector, b.lanes, b.mask = None, 1, None

    def far(self) -> bool:
        """Whether what is touched lies beyond the second cache."""
        return sum(size for _, size in self.touched) >= FAR

    @cached_property
    def touched(self) -> list[tuple[Load | Store, int]]:
        """The loads and stores of a place for each result, once each, and how many bytes of memory each of them walks through."""
        *_, row, column = axes = self.contract.axes
        found = [*(e for e in expressions(self.contract.body) if isinstance(e, Load) and not e.guard), *self.contract.body]
        once = {(x.slot, x.index): x for x in found if isinstance(x, (Load, Store)) and is_linear(x.index)}
        both = [x for x in once.values() if x.index.coefficient(row) and x.index.coefficient(column)]
        return [(x, x.dtype.itemsize * prod(v.extent for v in axes if x.index.coefficient(v))) for x in both]

    def fetch(self, batch: list[str], m: str, n: str, axis: str, tile: tuple[int, int, int]) -> None:
        """Asks for what the vectors of a tile will touch, where they lie side by side."""
        b, (rows, vectors, lanes) = self.writer.b, tile
        *outer, row, column = self.contract.axes
        along, across = (column, row) if axis == "n" else (row, column)
        b.registers.update(zip((*outer, row, column), (*batch, m, n)))
        first = b.registers[across]
        with micro.loop(b, "0", str(rows)) as turn:
            b.registers[across] = micro.plus(b, first, turn.index)
            b.memo.append({})  # the same indices mean other places for each vector of the tile
            for x, size in self.touched:
                if x.index.coefficient(along) == 1 and 8 * size >= FAR:
                    start = b.address(x.slot, x.dtype, self.writer.index_value(x.index, scalar=True).ref)
                    for v in range(vectors):
                        micro.prefetch(b, micro.at(b, start, str(v * lanes), x.dtype), isinstance(x, Store))
            b.memo.pop()


__all__ = ["Writer", "write_kernel"]
