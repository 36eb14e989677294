"""L6. `danlu.compile`: a function whose Python runs while it is recorded; later calls only bind memory and run its programs.

What a call reads and writes is found by watching one call (watching.py): arguments, storages that existed before (parameters, the state
of an optimizer, running statistics), gradients of leaves, and numbers that come anew each time (the step count of an optimizer, the
next key of a random generator). A `Plan` holds that. It is left, and the function recorded again, when a module or a leaf changed.
"""

from __future__ import annotations

import functools
import gc
import random
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from danlu import engine
from danlu.compile.body import NUMBERS
from danlu.config import config
from danlu.dtype import readable
from danlu.engine import Value
from danlu.errors import DanluError, ShapeError
from danlu.graph import Spec
from danlu.runtime.buffers import Buffer
from danlu.runtime.executable import Bound, both_kinds
from danlu.tensor.core import TensorCore, from_array, set_reader, tensors_in, wrap
from danlu.tensor.modes import is_grad_enabled
from danlu.tensor.storage import copied
from danlu.watching import Gradient, Source, Stale, Watch, foreign

ATTEMPTS = 4  # recordings of one signature in a row, after which its calls stay plain
_one_at_a_time = threading.RLock()


# ---- a plan ----------------------------------------------------------------------------------------------------------------


class Plan:
    """How to run a function again without its Python."""

    def __init__(self, watch: Watch, before: dict[int, Any], result: Any) -> None:
        self.changes = engine.changes
        self.programs = [p.bound for p in watch.programs]
        self.actions, self.guards = watch.actions(), watch.guards
        self.arguments: list[tuple[Bound, int, int]] = []
        self.links: list[list[tuple[int, int, int]]] = []  # of each program: (input, program before, its result)
        self.states = list(watch.states.values())
        self.shared = [s for s in self.states if s.shared]
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
        if any(s.shared and (s.written or any(s is t for t, _ in self.targets)) for s in self.states):
            raise Stale("memory that is shared with NumPy is written inside")
        self.result, self.outputs = result, [_output(watch, t) for t in tensors_in(result)]
        self.fresh = [
            [(k, n) for k, n in enumerate(p.executable.fresh) if (number, k) not in places]
            for number, p in enumerate(watch.programs)
        ]

    def _bind_inputs(self, watch: Watch) -> None:
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

    def _gradient(self, watch: Watch, leaf: TensorCore, before: Any, places: set[tuple[int, int]]) -> None:
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
            tables[:, NUMBERS] = numbers.ctypes.data + np.arange(count, dtype=np.uint64) * np.uint64(numbers.strides[0])
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
        found = readable(results.as_numpy((count * width,), spec.dtype.numpy)[::width][:ran].copy())
        if ran < count:
            for gradient in self.gradients:
                gradient.leaf.grad = None
            bound.check(tables[ran])
        return found

    def _numbers(self, bound: Bound, count: int, before: Callable[[int], None]) -> np.ndarray:
        """The numbers of each of several calls, float64 [count, 2 × numbers], where every second one is an int64."""
        rows = np.tile(np.frombuffer(bound.numbers, np.float64), (count, 1)) if bound.numbers else np.empty((count, 0))
        calls = [action.call for action in self.actions]
        found: list[list[Sequence[float | int]]] = [[] for _ in calls]
        for n in range(count):
            before(n)
            for call, made in zip(calls, found):
                made.append(call())
        for action, made in zip(self.actions, found):
            for column, places in zip(zip(*made), action.places):
                values, whole = _both_kinds(column)
                for _, k in places:
                    rows[:, 2 * k], rows.view(np.int64)[:, 2 * k + 1] = values, whole
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
        for state in self.shared:
            _ = state.storage.now  # takes notice of what was written there
        for state in foreign(self.states):
            state.bind()
        if self.gradients:
            self._renew_gradients()

    def _renew_gradients(self) -> None:
        """Before the programs run: gradients that somebody else holds, or has taken away, get a new tensor."""
        count = sys.getrefcount
        held = {id(s) for s in foreign(self.gradient_states)}
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


def _both_kinds(column: Sequence[float | int]) -> tuple[Any, Any]:
    """`both_kinds` of each number of a sequence."""
    if set(map(type, column)) != {float}:
        return tuple(zip(*map(both_kinds, column)))  # type: ignore[return-value]
    x = np.array(column)
    return x, np.where((x >= -(2.0**63)) & (x < 2.0**63), x, 0.0).astype(np.int64)


Output = tuple[Any, Source, Any]  # (the tensor itself, if it is one that was there before; the source of its memory; its spec)


def _output(watch: Watch, tensor: TensorCore) -> Output:
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
        watch = Watch(found, values, self._strict)
        before = {k: t.grad for k, t in self._leaves.items()}
        drawn = _drawn()
        set_reader(watch.sees)
        try:
            with engine.captured(watch):
                result = call()
                if _drawn() != drawn:
                    watch.cannot("random numbers of Python or NumPy are drawn inside")
                if any(map(_has_history, tensors_in(result))):  # to be differentiated by the caller: part of the caller's step
                    self._failures[key] = ATTEMPTS
                    return result
                whole = _rebuilt(result, iter([_whole(t) for t in tensors_in(result)]))
                engine.flush()
        finally:
            set_reader(None)
        self._leaves |= watch.leaves
        self._plan(key, watch, before, whole)
        return result

    def _plan(self, key: Any, watch: Watch, before: dict[int, Any], result: Any) -> None:
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


def _leaked(watch: Watch, result: Any) -> bool:
    """Whether a tensor that the call made is kept by somebody else than its result, a storage that was there before, or a .grad."""
    owners = [t._storage for t in tensors_in(result)]
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


__all__ = ["CompiledFunction", "compile"]
