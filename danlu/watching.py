"""L6. What one call of a function reads and writes, found by watching it while it is recorded: what the plans of replay.py are made of."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from danlu import engine
from danlu.engine import Runtime, Trace, Value
from danlu.entries import Lines
from danlu.errors import DanluError, GradientError
from danlu.ops.table import number_spec
from danlu.runtime.buffers import Buffer
from danlu.runtime.executable import Bound, Compiled
from danlu.tensor.core import TensorCore, updates, wrap
from danlu.tensor.storage import Storage, copied

# Where memory comes from: ("argument", k), ("state", State), ("made", (program, k)), ("constant", Buffer).
Source = tuple[str, Any]


class Stale(Exception):
    """A plan does not fit any more what it was made for."""


# ---- what a plan is made of ------------------------------------------------------------------------------------------------


class State:
    """A storage that the function uses and did not make itself."""

    __slots__ = ("places", "shared", "storage", "value", "written")

    def __init__(self, storage: Storage, shared: bool = False) -> None:
        self.storage = storage
        self.shared = shared  # NumPy (or another library) has the memory too: it is looked at before each call, and never written
        self.value: Any = None  # the Value whose memory stands in the tables
        self.places: list[tuple[Bound, int]] = []
        self.written = False  # a program writes into its memory

    def bind(self) -> None:
        """Puts the memory of the current value into the tables; of a copy, where others hold what would be written over."""
        if is_shared(self.storage) and (self.written or not self.shared):
            raise Stale("memory that is shared with NumPy")
        engine.realize(self.storage.value)
        self.value = self.storage.value
        if foreign([self]):
            self.value = None
            self.storage.set(copied(self.storage.value))
            self.value = self.storage.value
        for bound, k in self.places:
            bound.set_input(k, self.value.buffer)  # type: ignore[arg-type]


def is_shared(storage: Storage) -> bool:
    """Whether NumPy (or another library) writes and reads the memory too."""
    if type(storage) is not Storage:
        _ = storage.now  # makes it an ordinary one, where nobody else holds the memory any more
    return type(storage) is not Storage


def foreign(states: Sequence[State], values: int = 0, buffers: int = 0) -> list[State]:
    """The states that must be bound again: they have another value, or somebody else can see what would be written over."""
    values, buffers, count = values or _ALONE[0], buffers or _ALONE[1], sys.getrefcount
    return [
        s
        for s in states
        if s.storage.value is not s.value
        or (
            s.written
            and (
                s.value.handles > 1
                or count(s.value) > values
                or count(s.value.buffer) > buffers
                or s.value.buffer.shared
                or s.value.buffer.borrowed
            )
        )
    ]


def _alone() -> tuple[int, int]:
    """What `getrefcount` says in `foreign` of a value and of a buffer that nobody else holds; it differs between Pythons."""
    state = State(Storage(engine.leaf(Buffer(4), number_spec(1.0))))
    state.value, state.written = state.storage.value, True
    many = 1 << 20
    value = next(n for n in range(1, 9) if not foreign([state], n, many))
    return value, next(n for n in range(1, 9) if not foreign([state], many, n))


_ALONE = (0, 0)
_ALONE = _alone()


class Gradient:
    """The `.grad` that a call gives a leaf: the same tensor on the same memory each time, unless somebody else holds it."""

    __slots__ = ("bound", "count", "k", "leaf", "state", "tensor")

    def __init__(self, leaf: TensorCore, bound: Bound, k: int) -> None:
        self.leaf, self.bound, self.k = leaf, bound, k
        self.tensor, self.state, self.count = None, State(leaf._storage), 0  # the first run makes them

    def renew(self) -> None:
        """A new tensor on new memory, which the program will write."""
        spec = self.leaf._spec
        buffer = Buffer(spec.size * spec.dtype.itemsize)
        self.bound.set_result(self.k, buffer)
        self.tensor = wrap(engine.leaf(buffer, spec))
        self.state = State(self.tensor._storage)
        self.state.value, self.state.written = self.tensor._storage.value, True
        self.leaf.grad = self.tensor
        self.count = sys.getrefcount(self.tensor)


class Action:
    """A part of the function that is Python each time: `call()` gives the numbers for its places in the tables."""

    __slots__ = ("call", "places")

    def __init__(self, call: Callable[[], Sequence[float | int]], places: list[list[tuple[Bound, int]]]) -> None:
        self.call, self.places = call, places

    def run(self) -> None:
        """Once for every call of the function."""
        for x, places in zip(self.call(), self.places):
            for bound, k in places:
                bound.set_number(k, x)


# ---- watching a call -------------------------------------------------------------------------------------------------------


class Program:
    """One program of a call: what it reads, by source, and what became of its results."""

    def __init__(self, executable: Compiled, trace: Trace, inputs: list[Source], slots: Sequence[int]) -> None:
        self.executable, self.trace, self.inputs = executable, trace, inputs
        self.bound = Bound(executable, len(inputs), trace.numbers, Lines(trace.entries, trace.values, slots).blamed)


class Watch(engine.Capture):
    """Everything that one call of a function does."""

    def __init__(self, arguments: Sequence[TensorCore], values: Sequence[Value], strict: bool) -> None:
        super().__init__()
        self.strict = strict
        self.states: dict[int, State] = {}
        self.leaves: dict[int, TensorCore] = {}
        self.programs: list[Program] = []
        self.made: list[Value] = []
        self.repeated: list[tuple[Sequence[Runtime], Callable[[], Sequence[float | int]]]] = []
        self.guards: list[tuple[Callable[[], Any], Any]] = []
        self.obstacle = ""  # why the call cannot be repeated from memory alone
        self.born: dict[int, Buffer] = {}  # by id: memory made of Python data during the call
        self._memory: dict[int, tuple[weakref.ref, Source]] = {}  # id of a buffer → (the buffer, where it comes from)
        self._arguments = {id(x._storage) for x in arguments}
        for k, value in enumerate(values):
            self._know(value.buffer, ("argument", k))  # type: ignore[arg-type]

    def _know(self, buffer: Buffer, source: Source) -> None:
        self._memory[id(buffer)] = weakref.ref(buffer), source

    def source(self, buffer: Buffer) -> Source:
        """Where memory comes from; what nobody knows was there and never changes."""
        reference, source = self._memory.get(id(buffer), (None, None))
        return source if reference is not None and reference() is buffer else ("constant", buffer)  # type: ignore[return-value]

    def sees(self, tensor: TensorCore) -> None:
        """A tensor becomes an input of an operation, or is written."""
        storage = tensor._storage
        if tensor._leaf:
            self.leaves[id(tensor)] = tensor
        if threading.get_ident() != self.thread or id(storage) in self.states or id(storage) in self._arguments:
            return
        shared = is_shared(storage)
        buffer = storage.value.buffer
        if buffer is None or id(buffer) in self.born:
            return
        kind = self.source(buffer)[0]
        if shared and kind != "constant":
            self.cannot("memory that is shared with NumPy")
        elif kind in ("argument", "state"):  # two storages with one value: from now on each has its own memory
            storage.set(copied(storage.value))
        if kind != "made":
            state = self.states[id(storage)] = State(storage, shared)
            self._know(storage.value.buffer, ("state", state))  # type: ignore[arg-type]

    def leaf(self, value: Value) -> None:
        """Memory became a value: a constant of the function, unless it is known."""
        buffer: Buffer = value.buffer  # type: ignore[assignment]
        if threading.get_ident() == self.thread and self.source(buffer)[0] == "constant":
            buffer.borrowed = True  # no program may write over it: the next call reads it again
            self.born[id(buffer)] = buffer

    def ran(self, trace: Trace, executable: Any, slots: Sequence[int], buffers: Sequence[Buffer]) -> None:
        """A program has run."""
        if not isinstance(executable, Compiled):
            self.cannot("DANLU_OPT=0 runs no programs")
            return
        number = len(self.programs)
        program = Program(executable, trace, [self.source(b) for b in trace.buffers], slots)
        self.programs.append(program)
        for slot, buffer, (old, k), output in zip(slots, buffers, executable.arrangement, executable.outputs):
            self.made.append(trace.values[slot])  # type: ignore[arg-type]
            if not old:
                self._know(buffer, ("made", (number, k)))
            elif output.same[0] == "over":  # type: ignore[index]
                kind, what = program.inputs[k]
                if kind == "state":
                    what.written = True
                elif kind != "made":
                    self.cannot(f"memory of kind {kind} is written over")

    def read(self) -> None:
        """A value is read: what Python does with it cannot be repeated."""
        self.cannot("the value of a tensor is read inside")
        if not self.strict:
            return
        raise GradientError(
            "danlu.compile: the value of a tensor is read inside the function (item(), numpy(), print, `if x > 0:` ...), but the "
            "function's Python does not run again. Return the tensor and read it outside, or write danlu.where instead of `if`"
        )

    def repeat(self, targets: Sequence[Runtime], call: Callable[[], Sequence[float | int]]) -> None:
        """`call` runs each time."""
        self.repeated.append((targets, call))

    def cannot(self, reason: str) -> None:
        """The function stays plain."""
        self.obstacle = self.obstacle or reason

    def guard(self, options: Callable[[], Any]) -> None:
        """What must be the same in later calls."""
        self.guards.append((options, options()))

    def actions(self) -> list[Action]:
        """The parts that are Python each time, with the places of their numbers."""
        programs = {id(p.trace): p.bound for p in self.programs}
        places: dict[int, list[tuple[Bound, int]]] = {}
        for trace, k, number in self.numbers:
            if id(trace) in programs:
                places.setdefault(id(number), []).append((programs[id(trace)], k))
        return [Action(call, [places.get(id(t), []) for t in targets]) for targets, call in self.repeated]


def repeat_updates(
    update: Callable[[], None], options: Callable[[], Any], shorter: Callable[[], Callable[[], list[float] | None] | None]
) -> None:
    """Runs `update`, which hands its work to `update_`. In a function that is recorded, later calls run it again for its numbers only, or
    what `shorter()` gives for that; where `options()` are other ones by then, the function is recorded again."""
    capture = engine.capturing()
    if capture is None:
        return update()
    capture.guard(options)
    first = [u[:4] for u in updates(update, dry=False)]  # without the tensors, which must not be held

    def again() -> list[float | int]:
        found = updates(update, dry=True)
        if len(found) != len(first) or not all(map(_alike, found, first)):
            raise DanluError(
                "danlu.compile: an optimizer's update is another one than when the function was recorded, though its options are the same; "
                "leave its step outside of the compiled function"
            )
        return [x.value for u in found for x in u[3] if type(x) is Runtime]

    quick = shorter()

    def quickly() -> list[float]:
        found = quick()  # type: ignore[misc]
        if found is None:
            raise Stale
        return found

    capture.repeat([x for u in first for x in u[3] if type(x) is Runtime], again if quick is None else quickly)


def _alike(a: tuple, b: tuple) -> bool:
    """Whether two updates differ in changing numbers only."""
    same = a[0] is b[0] and a[2] == b[2] and a[1] == b[1] and len(a[3]) == len(b[3])
    return same and all(x == y or (type(x) is Runtime and type(y) is Runtime) for x, y in zip(a[3], b[3]))


__all__ = ["Action", "Gradient", "Source", "Stale", "State", "Watch", "foreign", "repeat_updates"]
