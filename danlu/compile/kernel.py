"""L3. The kernel IR: loop nests over memory. What the scheduler makes, the passes change and `codegen` writes as LLVM IR.

    kernel     ::= Kernel(name, slots, body, chunks)
    statement  ::= Loop(var, kind, lanes, chunk, body)        kind: serial | vector; chunk > 0: cut into pieces that run in parallel
                 | Begin(total, lanes)                        an accumulator starts at the identity of its reduction
                 | Fold(total)                                the lanes of an accumulator become one
                 | Accumulate(total, expression)              total ← combine(total, expression)
                 | Scan(total, expression, var)               the same, and what follows reads the total so far, in every turn of var
                 | Store(slot, index, expression, mode)       mode: set | add
                 | Call(op, attrs, inputs, outputs)           a library call on whole pieces of memory, alone in its kernel
                 | Contract(a, b, total, axes, body, plan)    a product; the body runs for each finished vector of it
    expression ::= Load(slot, index, guard)                   guard: conditions under which the element exists
                 | Constant(value) | Number(position) | Count(index)
                 | Apply(op, arguments, attrs)                an elementwise op of the table, or a Machine operation
                 | Choose(guard, expression, expression)
                 | Total(name, op)                            the finished value of a reduction
    index      ::= see index.py

A slot is a number of the program's table of memory. Every expression knows its dtype.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from operator import is_
from typing import Any

from danlu.compile.index import Atom, Index, Position, Var, atoms_of, substitute
from danlu.dtype import DType
from danlu.graph import Op

Guard = tuple[tuple, ...]


class Expression:
    """What has a value at a point of the loops; it never changes (a frozen dataclass takes four times as long to make)."""

    def __repr__(self) -> str:
        return show(self)


@dataclass(eq=False, repr=False)
class Load(Expression):
    slot: int
    index: Index
    dtype: DType
    guard: Guard = ()


@dataclass(eq=False, repr=False)
class Constant(Expression):
    value: Any
    dtype: DType


@dataclass(eq=False, repr=False)
class Number(Expression):
    position: int
    dtype: DType


@dataclass(eq=False, repr=False)
class Count(Expression):
    index: Index
    dtype: DType


@dataclass(eq=False, repr=False)
class Apply(Expression):
    op: Op | Machine
    args: tuple
    attrs: tuple
    dtype: DType


@dataclass(eq=False, repr=False)
class Choose(Expression):
    guard: Guard
    yes: Any
    no: Any
    dtype: DType


@dataclass(eq=False, repr=False)
class Total(Expression):
    name: str
    op: Op | Machine
    dtype: DType


@dataclass(eq=False)
class Loop:
    var: Var
    body: list
    kind: str = "serial"
    lanes: int = 1
    chunk: int = 0


@dataclass(eq=False)
class Begin:
    total: Total
    lanes: int = 1


@dataclass(eq=False)
class Fold:
    total: Total


@dataclass(eq=False)
class Accumulate:
    total: Total
    value: Any


@dataclass(eq=False)
class Scan(Accumulate):
    var: Var


@dataclass(eq=False)
class Store:
    slot: int
    index: Index
    value: Any
    dtype: DType
    mode: str = "set"


@dataclass(eq=False)
class Contract:
    """A matrix product over loop variables. Before the pass `contraction`: `axes` are those of the result, a and b loads over
    them and over summed variables. After it: `plan` is a plan of gemm.py, and `axes` is (batch …, m, n). `slices`: axes of
    the batch of which a chunk has one piece; `shared`: how many products of the program read a, and b, as this one does;
    `packed`: an earlier one has left its panels in the workspace."""

    a: Load
    b: Load
    total: Total
    axes: tuple[Var, ...]
    body: list
    plan: Any = None
    workspace: int | None = None
    slices: tuple[Var, ...] = ()
    shared: tuple[int, int] = (1, 1)
    packed: bool = False


@dataclass(eq=False)
class Call:
    """A library call: an opaque op on whole pieces of memory (its NumPy function). A result that nobody reads has no slot."""

    op: Op
    attrs: tuple
    inputs: tuple[tuple[int, Any], ...]  # (slot, spec)
    outputs: tuple[tuple[int | None, Any], ...]


@dataclass(eq=False)
class Slices:
    """Kernels of `count` chunks each, which run chunk by chunk: the first of each, then the second of each (passes/slices.py).
    `workspace`: the slot of what a call keeps of a slice."""

    count: int
    members: list[Kernel]
    workspace: int | None = None


@dataclass(eq=False)
class Kernel:
    """One function of the program, or (a contraction) one for each phase. `chunks` is the number of independent pieces of its
    outermost loop, fixed by the shapes. `local`: slots that hold one piece of work at a time, with the bytes of it; each call of the
    function has them for itself. `partial`: slots for sums of each piece, with their bytes, which a later kernel adds.
    `chunk`: how long the pieces are, of how many `rows`, where that is decided. `groups`: the numbers of the groups of nodes that it computes.
    `begins`: slots of which it sees only what lies so many bytes behind their beginning, or later."""

    name: str
    body: list
    chunks: int = 1
    local: dict[int, int] = field(default_factory=dict)
    partial: dict[int, int] = field(default_factory=dict)
    chunk: int = 0
    rows: int = 0
    groups: tuple[int, ...] = ()
    begins: dict[int, int] = field(default_factory=dict)


# ---- what kernels need besides the ops of the table ------------------------------------------------------------------------


class Machine:
    """An operation of the kernel language itself: it has an `emit` and, as a reduction, an identity, like a record of the table."""

    def __init__(self, name: str, emit: Any, identity: Any = None) -> None:
        self.name, self.emit, self.identity = name, emit, identity


def _locate(b, x, exists, size):
    """A position counted from the front; one that is not there is reported, where its element `exists`, and becomes 0."""
    zero = b.const(0, x.dtype)
    wrapped = b.select(b.lt(x, zero), b.add(x, b.const(size, x.dtype)), x)
    bad = b.or_(b.lt(wrapped, zero), b.ge(wrapped, b.const(size, x.dtype)))
    b.report(b.and_(bad, exists), x, size)
    return b.select(bad, zero, wrapped)


CONVERT = Machine("convert", lambda b, x, dtype: b.cast(x, dtype))
LOCATE = Machine("locate", _locate)
CHECKED = Machine("checked", lambda b, x, *positions: x)  # x does not depend on the positions, which are looked at all the same
PRODUCT = Machine("product", lambda b, x, y: b.mul(x, y) if x.dtype.kind != "b" else b.and_(x, y))
TURNS = Machine("turns", lambda b, x, y: b.in_turns(x, y))  # twice the lanes: x0 y0 x1 y1 …
PLUS = Machine("plus", lambda b, a, x: b.add(a, x) if x.dtype.kind != "b" else b.or_(a, x), lambda dtype: 0)

# ---- walking ------------------------------------------------------------------------------------------------------------


def statements(body: list) -> list[Any]:
    """Every statement, outer ones first."""
    found, stack = [], body[::-1]
    while stack:
        s = stack.pop()
        found.append(s)
        kind = type(s)
        if kind is Loop or kind is Contract:
            stack += s.body[::-1]
        elif kind is Slices:
            stack += [x for member in reversed(s.members) for x in reversed(member.body)]
    return found


def members(kernel: Kernel) -> list[Kernel]:
    """The kernels that run slice by slice in one; a kernel without such is its own only member."""
    return kernel.body[0].members if kernel.body and isinstance(kernel.body[0], Slices) else [kernel]


def children(e: Any) -> tuple:
    """The expressions directly under an expression, those inside its index included; found once, as it never changes."""
    found = getattr(e, "children", None)
    if found is None and isinstance(e, Expression):
        under = e.args if type(e) is Apply else (e.yes, e.no) if type(e) is Choose else ()
        found = (*under, *[a.expression for ix in own_indices(e) for a in atoms_of(ix) if type(a) is Position])
        e.__dict__["children"] = found
    return found or ()


def own_indices(e: Any) -> list[Index]:
    """The indices that an expression mentions itself."""
    kind = type(e)
    if kind is Load:
        return [e.index, *[condition[1] for condition in e.guard]] if e.guard else [e.index]
    if kind is Choose:
        return [condition[1] for condition in e.guard]
    return [e.index] if kind is Count else []


def expressions(body: list, seen: set[int] | None = None) -> list[Any]:
    """Every expression of the statements, each once; none of those (by id) that were `seen` before."""
    found: list[Any] = []
    seen = set() if seen is None else seen
    for s in statements(body):
        if isinstance(s, Store):
            roots = [s.value, *[a.expression for a in atoms_of(s.index) if type(a) is Position]]
        else:
            roots = [s.value] if isinstance(s, Accumulate) else []
        while roots:
            e = roots.pop()
            if id(e) not in seen:
                seen.add(id(e))
                found.append(e)
                roots += getattr(e, "children", None) or children(e)
    return found


def all_expressions(kernel: Kernel) -> list:
    """Every expression of a kernel, found once: passes make new kernels and leave those that are there as they are."""
    found = kernel.__dict__.get("expressions")
    if found is None:
        found = kernel.__dict__["expressions"] = expressions(kernel.body)
    return found


def indices(body: list) -> Iterator[Index]:
    """Every index of the statements."""
    for s in statements(body):
        if isinstance(s, Store):
            yield s.index
    for e in expressions(body):
        yield from own_indices(e)


def reports(kernel: Kernel) -> bool:
    """Whether a kernel may find an error in the data: a position that does not exist."""
    return any(isinstance(e, Apply) and e.op is LOCATE for e in all_expressions(kernel))


# ---- rewriting ------------------------------------------------------------------------------------------------------------


class Rewriter:
    """Builds a body again with every index mapped by a function; shared expressions stay shared."""

    def __init__(self, replace: dict[Var, Index]) -> None:
        self.replace = replace
        self.done: dict[int, Any] = {}

    def index(self, ix: Index) -> Index:
        """The index with variables replaced, also where it holds positions read from memory."""
        for a in atoms_of(ix):
            if a in self.replace or type(a) is Position:
                return substitute(ix, self.replace, self.expression)
        return ix

    def guard(self, guard: Guard) -> Guard:
        """The conditions with variables replaced."""
        return tuple((kind, self.index(x), n) for kind, x, n in guard)

    def expression(self, e: Any) -> Any:
        """The expression with variables replaced; its parts first, without recursion."""
        done, stack = self.done, [e]
        while stack:
            x = stack[-1]
            if id(x) not in done:
                missing = [c for c in children(x) if id(c) not in done]
                if missing:
                    stack += missing
                    continue
                done[id(x)] = (x, self._expression(x))
            stack.pop()
        return done[id(e)][1]

    def _expression(self, e: Any) -> Any:
        """The expression with its parts rewritten; itself where they are the same, so that its register is, too."""
        kind = type(e)
        if kind is Load:
            index, guard = self.index(e.index), self.guard(e.guard)
            return e if (index, guard) == (e.index, e.guard) else Load(e.slot, index, e.dtype, guard)
        if kind is Count:
            index = self.index(e.index)
            return e if index == e.index else Count(index, e.dtype)
        if kind is Apply:
            args = tuple([self.done[id(x)][1] for x in e.args])
            return e if all(map(is_, args, e.args)) else Apply(e.op, args, e.attrs, e.dtype)
        if kind is Choose:
            guard, yes, no = self.guard(e.guard), self.expression(e.yes), self.expression(e.no)
            return e if guard == e.guard and yes is e.yes and no is e.no else Choose(guard, yes, no, e.dtype)
        return e

    def body(self, body: list) -> list:
        """The statements with variables replaced."""
        return [self._statement(s) for s in body]

    def _statement(self, s: Any) -> Any:
        if isinstance(s, Store):
            return Store(s.slot, self.index(s.index), self.expression(s.value), s.dtype, s.mode)
        if isinstance(s, Accumulate):
            return replace(s, value=self.expression(s.value))
        if isinstance(s, Loop):
            return Loop(s.var, self.body(s.body), s.kind, s.lanes, s.chunk)
        if isinstance(s, Contract):
            return replace(s, a=self.expression(s.a), b=self.expression(s.b), body=self.body(s.body))
        return s


# ---- printer --------------------------------------------------------------------------------------------------------------


def render(kernel: Kernel) -> str:
    """The kernel as text; what `DANLU_LOG=kernels` prints and golden files hold."""
    local = "".join(f" b{slot}:{nbytes}" for slot, nbytes in kernel.local.items())
    begins = "".join(f" b{slot}+{nbytes}" for slot, nbytes in kernel.begins.items())
    lines = [f"kernel {kernel.name} chunks={kernel.chunks}{' local' if local else ''}{local}{' from' if begins else ''}{begins}"]
    _render_body(kernel.body, 1, lines)
    return "\n".join(lines)


def _render_body(body: list, depth: int, lines: list[str]) -> None:
    pad = "  " * depth
    for s in body:
        if isinstance(s, Loop):
            words = [f"lanes={s.lanes}"] * (s.lanes > 1) + [f"chunk={s.chunk}"] * (s.chunk > 0)
            lines.append(f"{pad}{s.kind} {s.var} < {s.var.extent} {' '.join(words)}".rstrip())
            _render_body(s.body, depth + 1, lines)
        elif isinstance(s, Begin):
            lines.append(
                f"{pad}{s.total.name} = begin {s.total.op.name} {s.total.dtype.name}{f' lanes={s.lanes}' if s.lanes > 1 else ''}"
            )
        elif isinstance(s, Call):
            given = ", ".join(f"b{slot}" for slot, _ in s.inputs)
            made = ", ".join("_" if slot is None else f"b{slot}" for slot, _ in s.outputs)
            lines.append(f"{pad}{made} = call {s.op.name}({given})")
        elif isinstance(s, Slices):
            lines.append(f"{pad}each of {s.count} slices")
            for member in s.members:
                _render_body(member.body, depth + 1, lines)
        elif isinstance(s, Fold):
            lines.append(f"{pad}{s.total.name} = fold {s.total.name}")
        elif isinstance(s, Accumulate):
            lines.append(f"{pad}{s.total.name} <- {f'scan {s.var} of ' if isinstance(s, Scan) else ''}{show(s.value)}")
        elif isinstance(s, Store):
            lines.append(f"{pad}b{s.slot}[{s.index}] {'+=' if s.mode == 'add' else '='} {show(s.value)}")
        else:
            lines.append(
                f"{pad}{s.total.name}[{', '.join(map(str, s.axes))}] = contract {show(s.a)}, {show(s.b)}{_show_plan(s.plan)}"
            )
            _render_body(s.body, depth + 1, lines)


def _show_plan(plan: Any) -> str:
    if plan is None:
        return ""
    staging = plan.contraction.staging
    boxes = f", boxes {'x'.join(str(side.extent) for side in staging.box.sides)}" if staging else ""
    return f" by {plan.variant}, tile {plan.tile.rows}x{plan.width}, k by {plan.k_block}, workspace {plan.workspace}{boxes}"


def show(e: Any) -> str:
    """An expression as text."""
    if isinstance(e, Load):
        return f"b{e.slot}[{e.index}]{_show_guard(e.guard)}"
    if isinstance(e, Constant):
        return repr(e.value)
    if isinstance(e, Number):
        return f"number{e.position}"
    if isinstance(e, Count):
        return f"count({e.index})"
    if isinstance(e, Total):
        return e.name
    if isinstance(e, Choose):
        return f"choose({_show_guard(e.guard).strip(' if')}: {show(e.yes)}, {show(e.no)})"
    attrs = "".join(f", {a}" for a in e.attrs)
    return f"{e.op.name}({', '.join(map(show, e.args))}{attrs})"


def _show_guard(guard: Guard) -> str:
    words = [f"{x} in 0..{n}" if kind == "within" else f"{n} | {x}" for kind, x, n in guard]
    return " if " + " and ".join(words) if words else ""


# ---- verifier -------------------------------------------------------------------------------------------------------------


class MalformedKernel(Exception):
    """A pass made a kernel that the grammar does not allow: an error of danlu's own."""


def verify(kernel: Kernel) -> None:
    """Checks the grammar: statements, expressions and conditions of known kinds, variables in scope and of one loop each,
    accumulators begun before they are used, one loop of vectors at most on each path, chunks of outermost loops alone.
    Raises MalformedKernel."""
    _verify_body(kernel, kernel.body, frozenset(), frozenset(), False)


def _fail(kernel: Kernel, what: str) -> None:
    raise MalformedKernel(f"{kernel.name}: {what}\n{render(kernel)}")


def _verify_body(kernel: Kernel, body: list, scope: frozenset[Atom], totals: frozenset[str], vector: bool) -> None:
    for s in body:
        if isinstance(s, Loop):
            _verify_loop(kernel, s, scope, vector)
            _verify_body(kernel, s.body, scope | {s.var}, totals, vector or s.kind == "vector")
        elif isinstance(s, Contract):
            _verify_body(kernel, s.body, scope | {*s.axes}, totals | {s.total.name}, True)
        elif isinstance(s, Slices):
            for member in s.members:
                verify(member)
        elif isinstance(s, Begin):
            totals = totals | {s.total.name}
        elif isinstance(s, (Accumulate, Fold, Store)):
            if not isinstance(s, Store) and s.total.name not in totals:
                _fail(kernel, f"{s.total.name} is used before it begins")
            if isinstance(s, Store) and s.mode not in ("set", "add"):
                _fail(kernel, f"a store of mode {s.mode!r} is unknown")
            _verify_names(kernel, s, scope, totals)
        elif not isinstance(s, Call):
            raise MalformedKernel(f"{kernel.name}: {s!r} is no statement")


def _verify_loop(kernel: Kernel, s: Loop, scope: frozenset[Atom], vector: bool) -> None:
    if s.kind not in ("serial", "vector") or (s.kind == "vector" and vector):
        _fail(kernel, f"loop {s.var} of kind {s.kind!r} does not belong here")
    if s.var in scope:
        _fail(kernel, f"loop {s.var} is inside a loop of the same name")
    if s.chunk and scope:
        _fail(kernel, f"loop {s.var} has chunks and is not the outermost")


def _verify_names(kernel: Kernel, statement: Any, scope: frozenset[Atom], totals: frozenset[str]) -> None:
    for e in expressions([statement]):
        if not isinstance(e, Expression):
            raise MalformedKernel(f"{kernel.name}: {e!r} is no expression")
        if isinstance(e, Total) and e.name not in totals:
            _fail(kernel, f"{e.name} is used before it begins")
        for kind, *_ in e.guard if isinstance(e, (Load, Choose)) else ():
            if kind not in ("within", "divides"):
                _fail(kernel, f"a condition of kind {kind!r} is unknown")
    for ix in indices([statement]):
        for atom in atoms_of(ix):
            if isinstance(atom, Var) and atom not in scope:
                _fail(kernel, f"{atom} is not in scope")


def verify_order(kernels: list[Kernel], ready: set[int]) -> None:
    """Checks that every piece of memory that is not `ready` is written by an earlier kernel than those that read it, or by an earlier
    part of the same row."""
    written = set(ready)
    for kernel in (member for k in kernels for member in members(k)):
        for part in _parts(kernel):
            reads, stores = _memory(part)
            if missing := reads - written - kernel.partial.keys():
                _fail(kernel, f"b{min(missing)} is read before a kernel has written it")
            written |= stores


def _parts(kernel: Kernel) -> list[list]:
    """The body, or, where it goes row by row, the parts of a row."""
    if len(kernel.groups) == 1:
        return [kernel.body]
    body = kernel.body[0].body
    return [[s] for s in (body[0].body if len(body) == 1 and isinstance(body[0], Loop) else body)]


def _memory(body: list) -> tuple[set[int], set[int]]:
    """The slots that statements read, and those that they write."""
    reads = {e.slot for e in expressions(body) if isinstance(e, Load)}
    stores = {s.slot for s in statements(body) if isinstance(s, Store)}
    for s in body:
        if isinstance(s, Contract):
            reads |= {s.a.slot, s.b.slot}
        elif isinstance(s, Call):
            reads |= {slot for slot, _ in s.inputs}
            stores |= {slot for slot, _ in s.outputs if slot is not None}
    return reads, stores
