"""L4. What is recorded: values, and the trace of a thread that holds them until they are computed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from math import copysign
from typing import Any

from danlu import dtype
from danlu.graph import Node, Op, Spec
from danlu.guidance import Line, user_line
from danlu.runtime.buffers import Buffer

# Numbers that are part of a program; every other Python number is given to it when it runs and may change from step to step.
FOLDED = frozenset({0, 1, 2, -1, 0.5})
MAX_PINNED = 1 << 31  # bytes of memory that waiting work may hold


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
        self.op = op
        self.inputs = inputs
        self.attrs = attrs
        self.spec = spec
        self.grad = grad
        self.index = index
        self.buffer: Buffer | None = None
        self.handles = self.held = 0
        self.freed = False
        self.leaf: Any = None
        self.trace: Trace | None = None
        self.slot = -1
        self.note: Note | None = None
        if grad and inputs:
            read_by(self)

    def noted(self) -> Note:
        """The note of this value, which has one from now on."""
        self.step_out()
        if self.note is None:
            self.note = Note()
        return self.note

    def track(self) -> Value:
        """A derivative may be asked of this value from now on."""
        self.step_out()
        if not self.grad:
            self.grad = True
            read_by(self)
        return self

    def step_out(self) -> None:
        """Something is done with this value that no script foresees (danlu/rehearsal.py)."""
        if self.trace is not None and self.trace.script is not None:
            self.trace.leave()

    def forget(self) -> None:
        """Lets the history go."""
        inputs, self.inputs = self.inputs, ()  # before the counts: one too high costs memory, one too low a value
        if self.grad:
            for x in inputs:
                if type(x) is Value:
                    x.held -= 1


def read_by(value: Value) -> None:
    """The history of a value reads its inputs."""
    for x in value.inputs:
        if type(x) is Value:
            x.held += 1


def note_line(op: Op, values: Sequence[Value]) -> None:
    """Keeps the user's line of an op that may fail on its data."""
    line = user_line()
    for value in values:
        note = value.note
        if note is None:
            note = value.note = Note()
        note.line, note.explain = line, op.explain


class Runtime:
    """A Python number that changes from call to call: never part of a program, also where it happens to be 0 or 1."""

    __slots__ = ("value",)

    def __init__(self, value: float | int) -> None:
        self.value = value


_NOTHING: Any = ()


class Trace:
    """What one thread has recorded and not yet run."""

    __slots__ = (
        "at", "buffers", "default", "entries", "kept", "lines", "numbers", "passes", "pinned", "places", "replaced", "running", "script",
        "spare", "unforeseen", "values",
    )  # fmt: skip

    def __init__(self) -> None:
        self.entries: list[tuple] = []
        self.values: list[Value | None] = []  # by slot; None for a number
        self.buffers: list[Buffer] = []
        self.places: dict[int, int] = {}  # id of a buffer → its number
        self.numbers: list[float | int] = []
        self.lines: dict[int, Any] = {}  # slot → the user's line, while programs are profiled
        self.replaced: list[tuple[Any, Value]] = []  # (storage, weakly; the value that it held before it was written in place)
        # First gradient of a backward pass → the slots of what it let go, and of the leaves.
        self.passes: dict[Value, tuple[tuple[int, ...], tuple[int, ...]]] = {}
        self.unforeseen = False  # histories were let go in ways that a script does not know
        self.script: Any = None  # what is foreseen (danlu/rehearsal.py), and how many of its calls have come
        self.spare: dict[int, Buffer] = {}  # memory for results of these slots (danlu/rehearsal.py)
        # Values that the last call writes over and which stay, and their memory, which they have not while it runs (danlu/rehearsal.py).
        self.kept: tuple[tuple[Value, ...], tuple[Buffer, ...]] = (), ()
        self.at = self.pinned = 0
        self.running: Any = None
        self.default = dtype.default()  # the default dtype under which it is recorded

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
        self.entries = self.values = self.buffers = self.numbers = self.replaced = _NOTHING
        self.places, self.passes, self.spare = {}, {}, {}
        self.script, self.kept = None, ((), ())

    def give_back(self) -> None:
        """The values that the last call has written over have their memory again."""
        for value, buffer in zip(*self.kept):
            value.buffer = buffer

    def mark(self) -> tuple[int, ...]:
        """What there is, for `cut_back`."""
        return len(self.entries), len(self.values), len(self.buffers), len(self.numbers), self.pinned

    def cut_back(self, mark: tuple[int, ...]) -> None:
        """After an exception in the middle of a call: the trace is what it was at the mark."""
        entries, values, buffers, numbers, self.pinned = mark
        for v in self.values[values:]:
            if v is not None:
                v.trace = None
        del self.entries[entries:], self.values[values:], self.buffers[buffers:], self.numbers[numbers:]
        self.places = {key: place for key, place in self.places.items() if place < buffers}

    def append(self, entry: tuple, value: Value | None) -> int:
        """One more entry with one result; its slot."""
        slot = len(self.values)
        self.entries.append(entry)
        self.values.append(value)
        if value is not None:
            value.trace, value.slot = self, slot
        return slot

    def leave(self) -> None:
        """Goes on without a script: entries, places and histories are what they were without one. (The script goes last: if a signal's
        handler raises here, all is done again.)"""
        script = self.script
        self.entries = script.entries[: script.calls[self.at].entries]
        self.places = {id(b): k for k, b in enumerate(self.buffers)}
        self.pinned = sum([b.nbytes for b in self.buffers])
        slot = 0
        for call in script.calls[: self.at]:
            slot += len(call.new)
            if call.freed is not None:
                self.passes[self.values[slot]] = call.freed, call.leaves  # type: ignore[index]
            slot += len(call.results)
        for v in self.values:
            if v is not None and v.grad:
                read_by(v)
        script.misses += 1
        self.script = None


def is_folded(x: Any) -> bool:
    """Whether a Python number is part of a program; -0.0 equals 0 and is another number."""
    return x in FOLDED and (bool(x) or copysign(1, x) > 0)


def is_free(old: Value, count: int = 0) -> bool:
    """Whether nothing can read a value any more, or its memory: only the value and its trace hold that."""
    buffer = old.buffer
    return (
        buffer is not None
        and not (old.handles or old.held or buffer.shared or buffer.borrowed)
        and sys.getrefcount(buffer) == (count or _ALONE)
    )


_ALONE = 0


def _alone() -> int:
    """What `getrefcount` says in `is_free` of memory that nobody else holds; it differs between Pythons."""
    old = Value(None, (), (), None, False)  # type: ignore[arg-type]
    old.buffer = Buffer(4)
    held = [old.buffer]
    return next(n for n in range(1, 9) if held and is_free(old, n))


_ALONE = _alone()
