"""L6. `danlu.compile`: a function whose Python runs while it is recorded; later calls only bind memory and run its programs.

What a call reads and writes is found by watching one call (`_Watch`): arguments, storages that existed before (parameters, the state
of an optimizer, running statistics), gradients of leaves, and numbers that come anew each time (the step count of an optimizer, the
next key of a random generator). A `Plan` holds that. It is left, and the function recorded again, when a module or a leaf changed.
"""

from __future__ import annotations

import functools
import gc
import random
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from danlu import engine
from danlu.config import config
from danlu.engine import Runtime, Trace, Value
from danlu.errors import DanluError, GradientError, ShapeError
from danlu.graph import Op, Spec
from danlu.runtime.buffers import Buffer
from danlu.runtime.executable import Bound, Compiled
from danlu.tensor.core import TensorCore, from_array, is_grad_enabled, set_reader, updates, wrap
from danlu.tensor.storage import Storage, copied

Source = tuple[
    str, Any
]  # where memory comes from: ("argument", k), ("state", State), ("made", (program, k)), ("constant", Buffer)
ATTEMPTS = 4  # recordings of one signature in a row, after which its calls stay plain
_one_at_a_time = threading.RLock()


class Stale(Exception):
    """A plan does not fit any more what it was made for."""


# ---- what a plan is made of ------------------------------------------------------------------------------------------------


class State:
    """A storage that the function uses and did not make itself."""

    __slots__ = ("places", "storage", "value", "written")

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.value: Any = None  # the Value whose memory stands in the tables
        self.places: list[tuple[Bound, int]] = []
        self.written = False  # a program writes into its memory

    def bind(self) -> None:
        """Puts the memory of the current value into the tables; of a copy, where others hold what would be written over."""
        if _is_shared(self.storage):
            raise Stale("memory that is shared with NumPy")
        engine.realize(self.storage.value)
        self.value = self.storage.value
        if _foreign([self]):
            self.value = None
            self.storage.set(copied(self.storage.value))
            self.value = self.storage.value
        for bound, k in self.places:
            bound.set_input(k, self.value.buffer)  # type: ignore[arg-type]


def _is_shared(storage: Storage) -> bool:
    """Whether NumPy (or another library) writes and reads the memory too: `now` finds out."""
    return type(storage) is not Storage and storage.now is not None and type(storage) is not Storage


def _foreign(states: Sequence[State], values: int = 0, buffers: int = 0) -> list[State]:
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
    """What `getrefcount` says in `_foreign` of a value and of a buffer that nobody else holds; it differs between Pythons."""
    state = State(Storage(engine.leaf(Buffer(4), engine.number_spec(1.0))))
    state.value, state.written = state.storage.value, True
    many = 1 << 20
    value = next(n for n in range(1, 9) if not _foreign([state], n, many))
    return value, next(n for n in range(1, 9) if not _foreign([state], many, n))


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


class _Program:
    """One program of a call: what it reads, by source, and what became of its results."""

    def __init__(self, executable: Compiled, trace: Trace, inputs: list[Source]) -> None:
        self.executable, self.trace, self.inputs = executable, trace, inputs
        self.bound = Bound(executable, len(inputs), trace.numbers)


class _Watch(engine.Capture):
    """Everything that one call of a function does."""

    def __init__(self, arguments: Sequence[TensorCore], values: Sequence[Value], strict: bool) -> None:
        super().__init__()
        self.strict = strict
        self.states: dict[int, State] = {}
        self.leaves: dict[int, TensorCore] = {}
        self.programs: list[_Program] = []
        self.made: list[Value] = []
        self.repeated: list[tuple[Sequence[Runtime], Callable[[], Sequence[float | int]]]] = []
        self.guards: list[tuple[Callable[[], Any], Any]] = []
        self.obstacle = ""  # why the call cannot be repeated from memory alone
        self.born: set[int] = set()
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
        if _is_shared(storage):
            self.obstacle = "memory that is shared with NumPy"
        buffer = storage.value.buffer
        if buffer is None or id(buffer) in self.born:
            return
        kind = self.source(buffer)[0]
        if kind in ("argument", "state"):  # two storages with one value: from now on each has its own memory
            storage.set(copied(storage.value))
        if kind != "made":
            state = self.states[id(storage)] = State(storage)
            self._know(storage.value.buffer, ("state", state))  # type: ignore[arg-type]

    def leaf(self, value: Value) -> None:
        """Memory became a value: a constant of the function, unless it is known."""
        buffer: Buffer = value.buffer  # type: ignore[assignment]
        if self.source(buffer)[0] == "constant":
            buffer.borrowed = True  # no program may write over it: the next call reads it again
            self.born.add(id(buffer))
            self.kept_constants.append(buffer)

    @functools.cached_property
    def kept_constants(self) -> list[Buffer]:
        """What was made of Python data during the call."""
        return []

    def ran(self, trace: Trace, executable: Any, slots: Sequence[int], buffers: Sequence[Buffer]) -> None:
        """A program has run."""
        if not isinstance(executable, Compiled):
            self.obstacle = "DANLU_OPT=0 runs no programs"
            return
        number = len(self.programs)
        program = _Program(executable, trace, [self.source(b) for b in trace.buffers])
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
                    self.obstacle = f"an {kind} is written over"

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
    update: Callable[[], None], options: Callable[[], Any], shorter: Callable[[], Callable[[], list[float]] | None]
) -> None:
    """Runs `update`, which hands its work to `update_`. In a function that is recorded, later calls run it again for its numbers only, or
    what `shorter()` gives for that; where `options()` are other ones by then, the function is recorded again."""
    capture = engine.capturing()
    if capture is None:
        return update()
    capture.guard(options)
    first = updates(update, dry=False)

    def again() -> list[float | int]:
        found = updates(update, dry=True)
        if len(found) != len(first) or not all(map(_alike, found, first)):
            raise DanluError(
                "danlu.compile: an optimizer's update is another one than when the function was recorded, though its options are the same; "
                "leave its step outside of the compiled function"
            )
        return [x.value for *_, numbers in found for x in numbers if type(x) is Runtime]

    capture.repeat([x for *_, numbers in first for x in numbers if type(x) is Runtime], shorter() or again)


def _alike(a: tuple[Op, dict, int, list], b: tuple[Op, dict, int, list]) -> bool:
    """Whether two updates differ in changing numbers only."""
    same = a[0] is b[0] and a[2] == b[2] and a[1] == b[1] and len(a[3]) == len(b[3])
    return same and all(x == y or (type(x) is Runtime and type(y) is Runtime) for x, y in zip(a[3], b[3]))


# ---- a plan ----------------------------------------------------------------------------------------------------------------


class Plan:
    """How to run a function again without its Python."""

    def __init__(self, watch: _Watch, before: dict[int, Any], result: Any) -> None:
        self.changes = engine.changes
        self.programs = [p.bound for p in watch.programs]
        self.actions, self.guards = watch.actions(), watch.guards
        self.arguments: list[tuple[Bound, int, int]] = []
        self.links: list[list[tuple[int, int, int]]] = []  # of each program: (input, program before, its result)
        self.states = list(watch.states.values())
        self._bind_inputs(watch)
        self.required: list[tuple[TensorCore, Any]] = []  # (leaf, the .grad it must have at the beginning)
        self.gradients: list[Gradient] = []
        self.read_again: list[tuple[int, Gradient]] = []  # those that a later program reads, each with the number of its own
        self.cleared: list[TensorCore] = []
        places: set[tuple[int, int]] = set()
        for key, leaf in watch.leaves.items():
            self._gradient(watch, leaf, before[key], places)
        self.gradient_states = [g.state for g in self.gradients]
        self.targets = [(s, watch.source(s.storage.value.buffer)) for s in self.states]  # type: ignore[arg-type]
        self.targets = [(s, source) for s, source in self.targets if source != ("state", s)]
        self.result, self.outputs = result, [_output(watch, t) for t in _tensors(result)]
        self.fresh = [
            [(k, n) for k, n in enumerate(p.executable.fresh) if (number, k) not in places]
            for number, p in enumerate(watch.programs)
        ]

    def _bind_inputs(self, watch: _Watch) -> None:
        for program in watch.programs:
            self.links.append([])
            for k, (kind, what) in enumerate(program.inputs):
                if kind == "argument":
                    self.arguments.append((program.bound, k, what))
                elif kind == "made":
                    self.links[-1].append((k, *what))
                elif kind == "state":
                    what.places.append((program.bound, k))
                else:
                    program.bound.set_input(k, what)
        self.constants = [what for p in watch.programs for kind, what in p.inputs if kind == "constant"]

    def _gradient(self, watch: _Watch, leaf: TensorCore, before: Any, places: set[tuple[int, int]]) -> None:
        """What a call needs of the .grad of a leaf, and what it does with it."""
        after = leaf.grad
        if after is before or before is None:
            self.required.append((leaf, before))
        if after is None and before is not None:
            self.cleared.append(leaf)
        if after is not None and after is not before:
            kind, what = watch.source(after._value().buffer)
            if kind != "made" or what in places:
                raise Stale("a gradient is the memory of something else")
            places.add(what)
            self.gradients.append(Gradient(leaf, self.programs[what[0]], what[1]))
            if any(link[1:] == what for links in self.links for link in links):
                self.read_again.append((what[0], self.gradients[-1]))

    def run(self, given: Sequence[Value]) -> Any:
        """One call of the function."""
        self._begin()
        for action in self.actions:
            action.run()
        for bound, k, number in self.arguments:
            bound.set_input(k, given[number].buffer)  # type: ignore[arg-type]
        made = self._run_programs()
        return self._finish(given, made)

    def run_many(self, count: int, blocks: Sequence[Value], before: Callable[[int], None]) -> np.ndarray:
        """`count` calls in one native loop: argument k of call n is the n-th part of block k. `before(n)` runs before the numbers of call n
        are asked for. Returns the results, each one number, of the calls that were made; an error of the data is raised after them.
        """
        self._begin()
        (bound,), ((_, (_, (_, result)), spec),) = self.programs, self.outputs
        tables = np.tile(np.ctypeslib.as_array(bound.table), (count, 1))
        numbers = self._numbers(bound, count, before)
        if numbers.size:
            tables[:, 1] = numbers.ctypes.data + np.arange(count, dtype=np.uint64) * np.uint64(numbers.strides[0])
        for _, k, number in self.arguments:
            buffer = blocks[number].buffer
            part = buffer.nbytes // count  # type: ignore[union-attr]
            tables[:, bound.first_input + k] = buffer.address + np.arange(count) * part  # type: ignore[union-attr]
        made = {k: Buffer(nbytes) for k, nbytes in self.fresh[0]}
        results = Buffer(64 * count)  # each on a cache line of its own: programs take new memory for aligned
        for k, buffer in made.items():
            tables[:, bound.first_result + k] = buffer.address
        tables[:, bound.first_result + result] = results.address + 64 * np.arange(count)
        ran = bound.run_many(tables)
        width = 64 // spec.dtype.itemsize
        found = results.as_numpy((count * width,), spec.dtype.numpy)[::width][:ran].copy()
        if ran < count:
            for gradient in self.gradients:
                gradient.leaf.grad = None
            bound.check()
        return found

    def _numbers(self, bound: Bound, count: int, before: Callable[[int], None]) -> np.ndarray:
        """The numbers of each of several calls, float64 [count, 2 × numbers], where every second one is an int64."""
        rows = np.tile(np.frombuffer(bound.numbers, np.float64), (count, 1)) if bound.numbers else np.empty((count, 0))
        places = [k for action in self.actions for places in action.places for _, k in places]
        found: list[list[float | int]] = []
        for n in range(count):
            before(n)
            found.append([x for a in self.actions for x, p in zip(a.call(), a.places) for _ in p])
        for column, k in enumerate(places):
            values = [row[column] for row in found]
            rows[:, 2 * k] = values
            rows.view(np.int64)[:, 2 * k + 1] = [int(x) if -(2**63) <= x < 2**63 else 0 for x in values]
        return rows

    @property
    def repeatable(self) -> bool:
        """Whether `run_many` can run it: one program that gives one new number and hands nothing on by other ways."""
        return (
            len(self.programs) == 1
            and type(self.result) is not tuple
            and len(self.outputs) == 1
            and self.outputs[0][1][0] == "made"
            and self.outputs[0][2].size == 1
            and not (self.targets or self.required or self.cleared)
        )

    def _begin(self) -> None:
        """Before the programs run: is the plan still right, and where does everything lie?"""
        if engine.changes != self.changes:
            raise Stale
        for options, value in self.guards:
            if options() != value:
                raise Stale
        for leaf, grad in self.required:
            if leaf.grad is not grad:
                raise Stale
        for state in _foreign(self.states):
            state.bind()
        if self.gradients:
            self._renew_gradients()

    def _renew_gradients(self) -> None:
        """Before the programs run: gradients that somebody else holds, or has taken away, get a new tensor."""
        count = sys.getrefcount
        held = {id(s) for s in _foreign(self.gradient_states)}
        stale = [g for g in self.gradients if g.leaf.grad is not g.tensor or count(g.tensor) > g.count or id(g.state) in held]
        for gradient in stale:
            gradient.renew()
        if stale:
            self.gradient_states = [g.state for g in self.gradients]

    def _run_programs(self) -> list[dict[int, Buffer]]:
        made = [{k: Buffer(nbytes) for k, nbytes in fresh} for fresh in self.fresh]
        for number, gradient in self.read_again:
            made[number][gradient.k] = gradient.state.value.buffer  # type: ignore[union-attr, assignment]
        try:
            for bound, new, links in zip(self.programs, made, self.links):
                for k, buffer in new.items():
                    bound.set_result(k, buffer)
                for k, number, result in links:
                    bound.set_input(k, made[number][result])
                bound.run()
        except BaseException:
            for gradient in self.gradients:
                gradient.leaf.grad = None  # half written
            raise
        return made

    def _finish(self, given: Sequence[Value], made: list[dict[int, Buffer]]) -> Any:
        """Storages, gradients and results after the programs."""
        for leaf in self.cleared:
            leaf.grad = None
        if self.targets:
            values = [_resolved(source, state.storage.value.spec, given, made) for state, source in self.targets]
            for (state, _), value in zip(self.targets, values):
                state.storage.set(value)
        tensors = iter([_produced(output, given, made) for output in self.outputs])
        return _rebuilt(self.result, tensors)


Output = tuple[Any, Source, Any]  # (the tensor itself, if it is one that was there before; the source of its memory; its spec)


def _output(watch: _Watch, tensor: TensorCore) -> Output:
    value = tensor._value()
    there = id(tensor._storage) in watch.states
    return tensor if there else None, watch.source(value.buffer), value.spec  # type: ignore[arg-type]


def _produced(output: Output, given: Sequence[Value], made: list[dict[int, Buffer]]) -> Any:
    tensor, source, spec = output
    return tensor if tensor is not None else wrap(_resolved(source, spec, given, made))


def _resolved(source: Source, spec: Any, given: Sequence[Value], made: list[dict[int, Buffer]]) -> Value:
    kind, what = source
    if kind == "made":
        return engine.leaf(made[what[0]][what[1]], spec)
    if kind == "argument":
        return engine.leaf(given[what].buffer, spec)  # type: ignore[arg-type]
    if kind == "state":
        return copied(what.storage.value)
    return engine.leaf(what, spec)


def _tensors(x: Any) -> list[TensorCore]:
    if isinstance(x, TensorCore):
        return [x]
    if isinstance(x, dict):
        return [t for item in x.values() for t in _tensors(item)]
    return [t for item in x for t in _tensors(item)] if isinstance(x, (list, tuple)) else []


def _rebuilt(x: Any, tensors: Any) -> Any:
    """The same nest with other tensors."""
    if isinstance(x, TensorCore):
        return next(tensors)
    if isinstance(x, dict):
        return type(x)((key, _rebuilt(item, tensors)) for key, item in x.items())
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*[_rebuilt(item, tensors) for item in x])
    return type(x)(_rebuilt(item, tensors) for item in x) if isinstance(x, (list, tuple)) else x


# ---- the function ----------------------------------------------------------------------------------------------------------


class CompiledFunction:
    """What `danlu.compile` returns; attributes are those of the function or module."""

    def __init__(self, function: Callable[..., Any], strict: bool = True) -> None:
        self._strict = strict
        functools.update_wrapper(self, function, updated=())
        self._function = function
        self._plans: dict[Any, Plan] = {}
        self._failures: dict[Any, int] = {}
        self._leaves: dict[int, TensorCore] = {}
        self._lock = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)

    def __call__(self, *args: Any, **named: Any) -> Any:
        """The function's result; recorded when the signature is new."""
        if engine.capturing() is not None:
            return self._function(*args, **named)
        found: list[TensorCore] = []
        args = tuple([from_array(a, borrowed=True) if type(a) is np.ndarray else a for a in args])
        key = (is_grad_enabled(), *[_signature(a, found) for a in args])
        if named:
            key += tuple((name, _signature(a, found)) for name, a in sorted(named.items()))
        with self._lock:
            plan = self._plans.get(key)
            if plan is not None and config.optimize:
                values = [t._value() for t in found]
                for value in values:
                    engine.realize(value)
                try:
                    return plan.run(values)
                except Stale:
                    del self._plans[key]
            return self._record(key, found, args, named)

    def many(self, count: int, blocks: Sequence[TensorCore], before: Callable[[int], None]) -> np.ndarray | None:
        """`count` calls on the parts of blocks (along their first axis) in one native loop, see `Plan.run_many`; None, and nothing has been
        done, where no plan allows that."""
        parts = [Spec((b._spec.shape[0] // count, *b._spec.shape[1:]), b._spec.dtype) for b in blocks]
        with self._lock:
            plan = self._plans.get((is_grad_enabled(), *parts))
            if plan is None or not plan.repeatable or not config.optimize or engine.capturing() is not None:
                return None
            values = [b._value() for b in blocks]
            for value in values:
                engine.realize(value)
            try:
                return plan.run_many(count, values, before)
            except Stale:
                return None

    def _record(self, key: Any, found: list[TensorCore], args: tuple, named: dict[str, Any]) -> Any:
        """Calls the function; where it can be repeated from memory alone, there is a plan from now on."""
        call = functools.partial(self._function, *args, **named)
        if self._failures.get(key, 0) >= ATTEMPTS or any(t.requires_grad for t in found) or not config.optimize:
            return call()
        engine.flush()
        values = [t._value() for t in found]
        buffers = {id(engine.realize(value)) for value in values}
        if len(buffers) < len(values):  # one memory twice
            return call()
        with _one_at_a_time:
            return self._watched(key, call, found, values)

    def _watched(self, key: Any, call: Callable[[], Any], found: list[TensorCore], values: list[Value]) -> Any:
        watch = _Watch(found, values, self._strict)
        before = {k: t.grad for k, t in self._leaves.items()}
        drawn = _drawn()
        set_reader(watch.sees)
        try:
            with engine.captured(watch):
                result = call()
                if _drawn() != drawn:
                    watch.cannot("random numbers of Python or NumPy are drawn inside")
                if any(
                    _has_history(t) for t in _tensors(result)
                ):  # to be differentiated by the caller: part of the caller's step
                    self._failures[key] = ATTEMPTS
                    return result
                whole = _rebuilt(result, iter([_whole(t) for t in _tensors(result)]))
                engine.flush()
        finally:
            set_reader(None)
        self._leaves |= watch.leaves
        self._plan(key, watch, before, whole)
        return result

    def _plan(self, key: Any, watch: _Watch, before: dict[int, Any], result: Any) -> None:
        known = watch.leaves.keys() <= before.keys()  # else nobody knows what gradients there were before
        try:
            if not known or watch.obstacle or _leaked(watch, result):
                raise Stale(watch.obstacle)
            self._plans[key] = Plan(watch, before, result)
            self._failures.pop(key, None)
        except Stale as reason:
            self._failures[key] = self._failures.get(key, 0) + 1
            if self._failures[key] == ATTEMPTS:
                _tell(self, reason)


def _drawn() -> tuple:
    """Where the random generators of Python and NumPy stand."""
    _, keys, position, *_ = np.random.get_state()
    return hash(random.getstate()), position, keys.tobytes()  # type: ignore[union-attr]


def _tell(function: CompiledFunction, reason: Stale) -> None:
    if "compile" in config.log:
        print(f"danlu: {function!r} is not repeated: {reason}", file=sys.stderr)


def _whole(tensor: TensorCore) -> Any:
    """A result that is more than a view: its value is computed by the program."""
    return tensor if tensor._base is None and not tensor._cut else wrap(tensor._value())


def _has_history(tensor: TensorCore) -> bool:
    value = tensor._value()
    return value.grad and bool(value.inputs)


def _leaked(watch: _Watch, result: Any) -> bool:
    """Whether a tensor that the call made is kept by somebody else than its result, a storage that was there before, or a .grad."""
    owners = [t._storage for t in _tensors(result)]
    owners += [s.storage for s in watch.states.values()]
    owners += [t.grad._storage for t in watch.leaves.values() if t.grad is not None]
    counts: dict[int, int] = {}
    for storage in {id(s): s for s in owners}.values():
        counts[id(storage.value)] = counts.get(id(storage.value), 0) + 1
    if any(v.handles > counts.get(id(v), 0) for v in watch.made):
        gc.collect()  # what lies in a cycle is nobody's
    return any(v.handles > counts.get(id(v), 0) for v in watch.made)


def _signature(x: Any, found: list[TensorCore]) -> Any:
    """What of an argument makes another program; tensors are collected."""
    if isinstance(x, TensorCore):
        found.append(x)
        return x._spec
    if x is None or isinstance(x, (bool, int, float, str)):
        return type(x), x
    if isinstance(x, dict):
        return dict, tuple((key, _signature(item, found)) for key, item in x.items())
    if isinstance(x, (list, tuple)):
        return type(x), tuple([_signature(item, found) for item in x])
    return "same", id(x)


def compile(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """A function (a whole training step, or a module) that is recorded once for every signature and then runs without its Python.

    step(x, y) → the same results, state and gradients as the plain function, for less time a call: arguments are bound to the
    program, parameters and optimizer state are updated in place, learning rates and random numbers go on as they would.

    A signature is the shapes and dtypes of the tensors and the values of all other arguments. Also a decorator. The Python of the
    function runs while it is recorded (the first calls, and again after `train()`/`eval()` or another change of a module): its own
    side effects, such as `list.append`, do not happen later. Results have no history: call backward inside. A function whose
    result is to be differentiated, like a module in a larger step, is recorded into that step as if it were not compiled.
    PyTorch's options (`mode`, `fullgraph`, `dynamic`, `backend`) are taken and mean nothing here.

    Raises:
        GradientError: the function reads a value (`item()`, `print`, `if x > 0:`).

    >>> import danlu
    >>> w = danlu.zeros(1, requires_grad=True)
    >>> optimizer = danlu.optim.SGD([w], lr=0.25)
    >>> @danlu.compile
    ... def step(x, y):
    ...     optimizer.zero_grad()
    ...     loss = ((w * x - y) ** 2).mean()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> losses = [step(danlu.ones(4), danlu.ones(4)).item() for _ in range(4)]
    >>> losses
    [1.0, 0.25, 0.0625, 0.015625]
    """
    unknown = options.keys() - {"mode", "fullgraph", "dynamic", "backend", "options", "disable"}
    if unknown:
        raise DanluError(
            "danlu.compile: unknown option {option!r}; expected mode, fullgraph, dynamic, backend or disable",
            option=sorted(unknown)[0],
        )
    if function is None:
        return functools.partial(compile, **options)
    if not callable(function):
        raise ShapeError(
            "danlu.compile: {kind} is not callable; write danlu.compile(step), not danlu.compile(step(x, y))",
            kind=type(function).__name__,
        )
    return function if options.get("disable") else CompiledFunction(function)


__all__ = ["CompiledFunction", "compile", "repeat_updates"]
