"""L4. The engine: what was recorded becomes one program and runs.

Recording appends to a `Trace`: a list of entries that refer to earlier ones by number. The entries are the key of the program, made
while recording, so that a flush that was seen before costs one look-up: nothing is walked. Only where the key is new are the
entries played back into a graph of primitive ops (entries.py), differentiated where they say so, and compiled.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import copysign
from typing import Any

from danlu.compile import program
from danlu.config import config
from danlu.entries import Lines, graph_of, refuse_traced
from danlu.errors import DanluError
from danlu.graph import Node, Op, Spec
from danlu.guidance import Line, user_line
from danlu.ops.source import BUFFER, CONST, NUMBER
from danlu.ops.table import PLACEHOLDER, number_spec
from danlu.runtime.buffers import Buffer
from danlu.runtime.executable import Compiled, Interpreted, both_kinds, compiled

# Numbers that are part of a program; every other Python number is given to it when it runs and may change from step to step.
FOLDED = frozenset({0, 1, 2, -1, 0.5})
MAX_PENDING = 4096  # values that may wait: a loop that never reads anything is flushed at this bound
MAX_PINNED = 1 << 31  # bytes of memory that waiting work may hold

_NUMBERS = {kind: number_spec(kind(0)) for kind in (bool, int, float)}
_lock = threading.RLock()
_local = threading.local()
_programs: dict[Any, tuple[Compiled | Interpreted, tuple[int, ...]]] = {}
allocated: dict[Any, int] = {}  # line → bytes of the results that programs gave it, while they are profiled
_statistics = {"compile_seconds": 0.0, "programs": 0, "from_disk": 0, "runs": 0}


class Note:
    """What is said of a few values only.

    `gate`: its derivative is a Python function, `(gate, which of its results)` (danlu/backward.py). `hooks`: what its gradient passes.
    `line`: the user's line that recorded it, of ops that may fail on data. `explain(position, size)`: what an index that does not exist
    means there, more clearly than "out of range". `recompute`: never kept for a derivative, but computed again (a checkpoint).
    `traced`: it stands for one element of a batch and never has a value (vmap).
    """

    __slots__ = ("explain", "gate", "hooks", "line", "recompute", "traced")

    def __init__(self) -> None:
        self.gate: Any = None
        self.hooks: dict[int, Callable[[Any], Any]] | None = None
        self.line: Line | None = None
        self.explain: Callable[[int, int], Any] | None = None
        self.recompute = self.traced = False


class Value(Node):
    """A recorded value: a node with, once it is computed, its memory.

    `inputs` are values and Python numbers. `grad`: a derivative may be asked of it. `handles`: how many storages hold it.
    `leaf`: the tensor whose `.grad` it feeds.
    `held`: how many histories will read it. `freed`: its history was used by a backward pass and let go. `index`: which result of its op it is.
    """

    __slots__ = ("buffer", "freed", "grad", "handles", "held", "index", "leaf", "note", "slot", "trace")

    def __init__(self, op: Op, inputs: tuple, attrs: tuple, spec: Spec, grad: bool, index: int = 0) -> None:
        self.op, self.inputs, self.attrs, self.spec = op, inputs, attrs, spec
        self.grad, self.index = grad, index
        self.buffer: Buffer | None = None
        self.handles, self.held, self.freed = 0, 0, False
        self.leaf: Any = None
        self.trace: Trace | None = None
        self.slot = -1
        self.note: Note | None = None
        if grad:
            for x in inputs:
                if type(x) is Value:
                    x.held += 1

    def noted(self) -> Note:
        """The note of this value, which has one from now on."""
        if self.note is None:
            self.note = Note()
        return self.note

    def track(self) -> Value:
        """A derivative may be asked of this value from now on."""
        if not self.grad:
            self.grad = True
            for x in self.inputs:
                if type(x) is Value:
                    x.held += 1
        return self

    def forget(self) -> None:
        """Lets the history go."""
        if self.grad:
            for x in self.inputs:
                if type(x) is Value:
                    x.held -= 1
        self.inputs = ()


class Runtime:
    """A Python number that changes from call to call: never part of a program, also where it happens to be 0 or 1."""

    __slots__ = ("value",)

    def __init__(self, value: float | int) -> None:
        self.value = value


class Capture:
    """What is noted of a function while it is recorded to be run again without Python (danlu/watching.py): a subclass says what it does.

    `numbers`: every changing number, and in which place of which trace it stands.
    """

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.numbers: list[tuple[Trace, int, Runtime]] = []

    def ran(self, trace: Trace, executable: Any, slots: Sequence[int], buffers: Sequence[Buffer]) -> None:
        """A program has run; its results are not yet the memory of their values."""

    def read(self) -> None:
        """The user reads a value."""

    def leaf(self, value: Value) -> None:
        """Memory became a value."""

    def cannot(self, reason: str) -> None:
        """The function does what only Python can do again."""

    def guard(self, options: Callable[[], Any]) -> None:
        """What the function does depends on `options()`."""

    def repeat(self, targets: Sequence[Runtime], call: Callable[[], Sequence[float | int]]) -> None:
        """`call` is part of the function each time it runs; it returns the numbers that the targets stand for."""


_capture: Capture | None = None
changes = 0  # grows when something changes that a recorded function depends on: the mode or the parts of a module, what is a leaf


def changed() -> None:
    """Says that functions which were recorded before may do something else now."""
    global changes
    changes += 1


def capturing() -> Capture | None:
    """The capture of this thread, if it records a function."""
    return _capture if _capture is not None and _capture.thread == threading.get_ident() else None


@contextmanager
def captured(capture: Capture) -> Iterator[None]:
    """Inside, `capture` is told of what this thread records. One at a time."""
    global _capture
    _capture = capture
    try:
        yield
    finally:
        _capture = None


class Trace:
    """What one thread has recorded and not yet run."""

    __slots__ = ("buffers", "entries", "lines", "numbers", "pinned", "places", "replaced", "running", "values")

    def __init__(self) -> None:
        self.entries: list[tuple] = []
        self.values: list[Value | None] = []  # by slot; None for a number
        self.buffers: list[Buffer] = []
        self.places: dict[int, int] = {}  # id of a buffer → its number
        self.numbers: list[float | int] = []
        self.lines: dict[int, Any] = {}  # slot → the user's line, while programs are profiled
        self.replaced: list[tuple[Any, Value]] = []  # (storage, weakly; the value that it held before it was written in place)
        self.pinned = 0
        self.running: Any = None

    def place(self, buffer: Buffer) -> int:
        """The number of a buffer among the inputs of the program."""
        found = self.places.get(id(buffer))
        if found is None:
            found = self.places[id(buffer)] = len(self.buffers)
            self.buffers.append(buffer)
            self.pinned += MAX_PINNED + 1 if buffer.exchanged else buffer.nbytes  # the first: runs as soon as it is recorded
        return found

    def forget(self) -> None:
        """Lets everything go: values that were computed still know their trace, and must not keep its inputs alive."""
        self.entries, self.values, self.buffers, self.places, self.numbers, self.replaced = [], [], [], {}, [], []

    def append(self, entry: tuple, value: Value | None) -> int:
        """One more entry with one result; its slot."""
        slot = len(self.values)
        self.entries.append(entry)
        self.values.append(value)
        if value is not None:
            value.trace, value.slot = self, slot
        return slot


def _current() -> Trace:
    trace = getattr(_local, "trace", None)
    if trace is None or trace.running is not None:  # the second: another thread needed a value of it and ran it
        trace = _local.trace = Trace()
    return trace


# ---- recording --------------------------------------------------------------------------------------------------------------


def leaf(buffer: Buffer, spec: Spec, grad: bool = False) -> Value:
    """A value that is memory already."""
    value = Value(BUFFER, (), (), spec, grad)
    value.buffer = buffer
    if _capture is not None:
        _capture.leaf(value)
    return value


def placeholder(spec: Spec, grad: bool) -> Value:
    """A value that stands for others: what is computed from it is a recipe and has no memory."""
    value = Value(PLACEHOLDER, (), (), spec, grad)
    value.noted().traced = True
    return value


def read_later(inputs: Sequence[Any]) -> None:
    """Says of the inputs of a value that it will be computed again from them: their memory is not given away."""
    for x in inputs:
        if type(x) is Value:
            x.held += 1


_watchers: tuple[Callable[[Sequence[Any], Any], None], ...] = ()


@contextmanager
def watch(watcher: Callable[[Sequence[Any], Any], None]) -> Iterator[None]:
    """Inside, `watcher(inputs, result)` is told of everything that this thread records."""
    global _watchers
    thread = threading.get_ident()

    def mine(inputs: Sequence[Any], result: Any) -> None:
        if threading.get_ident() == thread:
            watcher(inputs, result)

    _watchers = (*_watchers, mine)
    try:
        yield
    finally:
        _watchers = tuple(w for w in _watchers if w is not mine)


def record(op: Op, inputs: Sequence[Any], attrs: tuple, differentiable: bool) -> Any:
    """One call of an op on values and Python numbers; nothing is computed. Shapes and dtypes are checked now."""
    with _lock:
        trace = _current()
        slots, specs, grad = [], [], False
        for x in inputs:
            if type(x) is Value:
                if x.trace is not trace:
                    trace = _adopt(trace, x)
                slots.append(x.slot)
                specs.append(x.spec)
                grad = grad or x.grad
            else:
                slots.append(_number(trace, x))
                x = x.value if type(x) is Runtime else x
                specs.append(_NUMBERS.get(type(x)) or number_spec(x))
        spec = op.result(tuple(specs), attrs)
        given = tuple(inputs)
        cut = grad and not differentiable  # recorded under no_grad: no derivative passes
        grad = grad and differentiable
        entry = (op, attrs, tuple(slots), cut)
        if type(spec) is not tuple:
            result = Value(op, given, attrs, spec, grad and spec.dtype.differentiable)
            trace.append(entry, result)
        else:
            trace.entries.append(entry)
            values = trace.values
            for k, s in enumerate(spec):
                value = Value(op, given, attrs, s, grad and s.dtype.differentiable, k)
                value.trace, value.slot = trace, len(values)
                values.append(value)
            result = tuple(values[-len(spec) :]) if spec else ()
    if config.profile:
        trace.lines[len(trace.values) - (len(spec) if type(spec) is tuple else 1)] = user_line()
    if op.blamed:
        _note_line(op, result if type(result) is tuple else (result,))  # type: ignore[arg-type]
    if _watchers:
        for watcher in _watchers:
            watcher(inputs, result)
    if len(trace.values) > MAX_PENDING or trace.pinned > MAX_PINNED:
        _flush_with(result if type(result) is tuple else (result,))  # type: ignore[arg-type]
    return result


def _note_line(op: Op, values: Sequence[Value]) -> None:
    line = user_line()
    for value in values:
        note = value.noted()
        note.line, note.explain = line, op.explain


def _number(trace: Trace, x: Any) -> int:
    if type(x) is Runtime:
        if _capture is not None:
            _capture.numbers.append((trace, len(trace.numbers) // 2, x))
        x = x.value
    elif x in FOLDED and (x or copysign(1, x) > 0):  # -0.0 equals 0 and is another number
        return trace.append((CONST, x, type(x)), None)
    trace.numbers += both_kinds(x)
    return trace.append((NUMBER, type(x), len(trace.numbers) // 2 - 1), None)


def _adopt(trace: Trace, value: Value) -> Trace:
    """Makes a value of an earlier program (or of another thread) an entry of this trace, with its history if a derivative may
    still be asked of it."""
    if value.buffer is not None and not (value.grad and value.inputs):  # plain memory: nearly always
        trace.append((BUFFER, value.spec, trace.place(value.buffer)), value)
        return trace
    stack = [value]
    while stack:
        x = stack[-1]
        if x.trace is trace:
            stack.pop()
            continue
        if x.op is PLACEHOLDER:
            trace.append((PLACEHOLDER, x.spec), x)
            stack.pop()
            continue
        if x.buffer is None and x.trace is not None and x.trace.values:
            _finish(x.trace)
        history = x.buffer is None or (x.grad and x.inputs)
        if x.buffer is None and x.freed:
            raise DanluError(
                "a value is read whose program failed, and its history was used by a backward pass and let go; compute it again"
            )
        missing = [y for y in x.inputs if type(y) is Value and y.trace is not trace] if history else []
        if missing:
            stack.extend(missing)
            continue
        stack.pop()
        place = -1 if x.buffer is None else trace.place(x.buffer)
        if history:
            numbers = _history_slots(trace, x)
            trace.append(("history", x.op, x.attrs, numbers, x.index, place, x.grad, x.spec), x)
        else:
            trace.append((BUFFER, x.spec, place), x)
    return trace


def _history_slots(trace: Trace, x: Value) -> tuple[int, ...]:
    return tuple(y.slot if type(y) is Value else _number(trace, y) for y in x.inputs)


def _finish(trace: Trace) -> None:
    """Runs, or waits for, the work of another trace."""
    running = trace.running
    if running is None:
        _run(trace)
    else:
        with running:
            pass


# ---- running ----------------------------------------------------------------------------------------------------------------


def flush() -> None:
    """Runs everything that this thread has recorded, as one program."""
    trace = _current()
    if trace.values:
        _local.trace = Trace()
        _run(trace)


def _flush_with(values: Sequence[Value]) -> None:
    """Runs what was recorded; these values, which nobody holds yet, are among the results."""
    for value in values:
        value.handles += 1
    try:
        flush()
    finally:
        for value in values:
            value.handles -= 1


def realize(value: Value) -> Buffer:
    """The memory of a value, computed now if it was not."""
    if value.buffer is None:
        if value.note is not None and value.note.traced:
            refuse_traced()
        trace = value.trace
        if trace is _current():
            value.handles += 1
            flush()
            value.handles -= 1
        elif trace is not None and trace.values:
            _finish(trace)
        if value.buffer is None:  # known only through its history
            with _lock:
                _adopt(_current(), value)
            value.handles += 1
            flush()
            value.handles -= 1
    return value.buffer  # type: ignore[return-value]


def _is_traced(value: Value) -> bool:
    return value.note is not None and value.note.traced


def _run(trace: Trace) -> None:
    with _lock:
        running = trace.running
        if running is None:
            trace.running = threading.Lock()
            trace.running.acquire()
    if running is None:
        try:
            _execute(trace)
        finally:
            trace.forget()
            trace.running.release()
    else:  # another thread was faster
        with running:
            pass


def _execute(trace: Trace) -> None:
    with _lock:
        live = tuple(
            [k for k, v in enumerate(trace.values) if v is not None and v.handles and v.buffer is None and not _is_traced(v)]
        )
        if not live:
            return
        kept = tuple([s for s in live if trace.values[s].grad and trace.values[s].inputs])  # type: ignore[union-attr]
        _hold_recipes(trace)
        given = _given(trace)
        again = tuple([k for k, v in enumerate(trace.values) if v is not None and v.note and v.note.recompute]) if kept else ()
        key = (tuple(trace.entries), live, kept, given, again)
        key = (*key, tuple(trace.lines.items())) if config.profile else key
        found = _programs.get(key)
        if found is None or config.optimize is isinstance(found[0], Interpreted):
            found = _programs[key] = _make(trace, live, kept, given, again)
    executable, slots = found
    _statistics["runs"] += 1
    try:
        buffers = executable.run(trace.buffers, trace.numbers)
    except DanluError as error:
        _undo(trace)
        raise Lines(trace.entries, trace.values, slots).blamed(error, trace.buffers, trace.numbers) from None
    except BaseException:
        _undo(trace)
        raise
    capture = capturing()
    if capture is not None:
        capture.ran(trace, executable, slots, buffers)
    if config.profile:
        for slot, buffer in zip(slots, buffers):
            line = _line_of(trace, slot)
            allocated[line] = allocated.get(line, 0) + buffer.nbytes
    for slot, buffer in zip(slots, buffers):
        value: Value = trace.values[slot]  # type: ignore[assignment]
        value.buffer = buffer
        if not value.grad:
            value.inputs = ()
        elif value.note is not None and value.note.gate is not None:
            value.forget()
    lost = {place for place, _ in given}
    for _, old in trace.replaced:
        if old.buffer is not None and trace.places.get(id(old.buffer)) in lost:
            old.buffer = None  # its memory was given away


def _undo(trace: Trace) -> None:
    """After an error in the data: storages hold again what they held before this program, so that a bad label costs a step and
    not the model (a program overwrites no memory before it has looked for errors)."""
    for reference, old in reversed(trace.replaced):
        storage = reference()
        if storage is not None and storage.value.trace is trace and storage.value.buffer is None:
            storage.set(old)


# ---- making a program ---------------------------------------------------------------------------------------------------------


def _hold_recipes(trace: Trace) -> None:
    """What a history reads and nobody holds may be computed again from its inputs later: their memory is not given away."""
    for v in reversed(trace.values):
        if v is not None and v.held and not v.grad and not v.handles and v.buffer is None:
            read_later(v.inputs)


def _given(trace: Trace) -> tuple[tuple[int, int], ...]:
    """The inputs whose memory the program may overwrite: values that were replaced in place and that nothing can read any more.
    With each the slot of the value that took its place, or -1."""
    found: dict[int, int] = {}
    for reference, old in trace.replaced:
        buffer = old.buffer
        # The buffer is held by the old value, by trace.buffers, by `buffer` here and by the argument of getrefcount: by nobody else.
        if (
            not old.handles
            and not old.held
            and buffer is not None
            and not (buffer.shared or buffer.borrowed)
            and sys.getrefcount(buffer) == 4
        ):
            place = trace.places.get(id(buffer))
            if place is not None:
                heir = reference()
                found[place] = heir.value.slot if heir is not None and heir.value.trace is trace else -1
    return tuple(sorted(found.items()))


def _make(
    trace: Trace, live: tuple[int, ...], kept: tuple[int, ...], given: tuple[tuple[int, int], ...], again: tuple[int, ...]
) -> tuple[Compiled | Interpreted, tuple[int, ...]]:
    began = time.perf_counter()
    if config.optimize:
        text = repr((trace.entries, live, kept, given, again))

        def build() -> tuple[program.Program, dict]:
            roots, replace, slots = graph_of(trace.entries, live, kept, again, trace.lines)
            heirs = [(place, slots.index(slot) if slot in slots else -1) for place, slot in given]
            return program.build(roots, len(trace.buffers), replace, heirs), {"slots": slots}

        executable, extra = compiled(text, build, kept=not config.profile)
        result: tuple = executable, tuple(extra["slots"])
        _statistics["from_disk"] += executable.from_disk
    else:
        roots, replace, slots = graph_of(trace.entries, live, kept, again)
        result = Interpreted(roots, replace), tuple(slots)
    seconds = time.perf_counter() - began
    _statistics["compile_seconds"] += seconds
    _statistics["programs"] += 1
    if "compile" in config.log:
        print(
            f"danlu: program {len(_programs)}: {len(trace.entries)} entries, {len(result[1])} results, {seconds * 1e3:.1f} ms",
            file=sys.stderr,
        )
    return result


def _line_of(trace: Trace, slot: int) -> Any:
    """The line that recorded a slot: of an op with several results the first one has it."""
    return trace.lines.get(max((s for s in trace.lines if s <= slot), default=-1))


def profiled() -> list[Compiled]:
    """The programs with counters."""
    return [p for p, _ in _programs.values() if isinstance(p, Compiled) and p.program.labels]


def largest_workspace() -> int:
    """Bytes that the hungriest program needs between its kernels."""
    return max((p.program.workspace for p, _ in _programs.values() if isinstance(p, Compiled)), default=0)


def forget_profiled() -> None:
    """Lets the programs with counters go."""
    with _lock:
        for key in [k for k, (p, _) in _programs.items() if isinstance(p, Compiled) and p.program.labels]:
            del _programs[key]


def statistics() -> dict[str, float]:
    """What the engine has done: seconds spent making programs, programs made, of these read from disk, runs."""
    return dict(_statistics)


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()  # another thread may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
