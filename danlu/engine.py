"""L4. The engine: what was recorded becomes one program and runs.

Recording appends to a `Trace`: a list of entries that refer to earlier ones by number. The entries are the key of the program, made
while recording, so that a flush that was seen before costs one look-up: nothing is walked. Only where the key is new are the
entries played back into a graph of primitive ops (entries.py), differentiated where they say so, and compiled.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import get_ident
from typing import Any

from danlu import dtype as dt
from danlu.config import config
from danlu.dtype import DType
from danlu.entries import Lines, refuse_traced
from danlu.errors import DanluError
from danlu.graph import Op, Spec
from danlu.guidance import user_line
from danlu.ops.source import BUFFER, CONST, NUMBER
from danlu.ops.table import PLACEHOLDER, number_spec
from danlu.programs import counted, look_up, note_allocated, recorded_dtype, switch
from danlu.rehearsal import (
    Hold,
    begin,
    count,
    follow,
    follow_backward,
    follow_end,
    fulfilled,
    rewind,
    scripts,
    turn,
)
from danlu.repeated_update import RepeatedUpdate, follow_repeated, repeated_update
from danlu.runtime.buffers import Buffer
from danlu.runtime.executable import both_kinds
from danlu.trace import MAX_PINNED, Runtime, Trace, Value, is_folded, note_line

MAX_PENDING = 4096  # values that may wait: a loop that never reads anything is flushed at this bound

_lock = threading.RLock()


class State:
    """What one thread records, and how. `grad`: whether that has derivatives. `updated`: the trace that ended with the last foreseen update,
    and its script. `updates`, `dry`, `differentiated`: see danlu/tensor/modes.py."""

    __slots__ = ("differentiated", "dry", "grad", "thread", "trace", "updated", "updates")

    def __init__(self) -> None:
        self.thread = get_ident()
        self.trace = Trace()
        self.updated: tuple[Any, Any] = None, None
        self.grad, self.dry = True, False
        self.updates: list[tuple] | None = None
        self.differentiated: tuple = ()


class _Local(threading.local):
    def __init__(self) -> None:
        global _first, _threads
        self.state = State()
        _first, _threads = _first or self.state, _threads + 1
        _find_only()
        while _following and _threads > 1:
            time.sleep(1e-5)


# While a single thread has recorded, and nobody looks at what, `only` is its state: calls that are foreseen are recorded without the lock, which
# takes 0.1 of their time. Another thread that begins to record waits until that one is not in the middle of a call.
only: State | None = None
_following = False  # that thread is in the middle of a call
_first: State | None = None  # that of the thread that was the first
_capture: Capture | None = None
_watchers: tuple[Callable[[Sequence[Any], Any], None], ...] = ()
_threads = 0  # that have recorded


def _find_only() -> None:
    """Whether there is one thread and nobody who looks has changed."""
    global only
    only = _first if _threads == 1 and _capture is None and not _watchers else None


def state() -> State:
    """What this thread records, and how."""
    here = only
    return here if here is not None and here.thread == get_ident() else _local.state


_local = _Local()
_local.state  # noqa: B018  # of the thread that imports danlu


class Capture:
    """What is noted of a function while it is recorded to be run again without Python (danlu/watching.py): a subclass says what it does.

    `numbers`: every changing number, and in which place of which trace it stands.
    """

    def __init__(self) -> None:
        self.thread = get_ident()
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


changes = 0  # grows when something changes that a recorded function depends on: the mode or the parts of a module, what is a leaf


def changed() -> None:
    """Says that functions which were recorded before may do something else now."""
    global changes
    changes += 1


def capturing() -> Capture | None:
    """The capture of this thread, if it records a function."""
    return _capture if _capture is not None and _capture.thread == get_ident() else None


@contextmanager
def captured(capture: Capture) -> Iterator[None]:
    """Inside, `capture` is told of what this thread records. One at a time."""
    global _capture
    try:
        _capture = capture
        _find_only()
        yield
    finally:
        _capture = None
        _find_only()


def _current() -> Trace:
    here = state()
    trace = here.trace
    # It has run, perhaps because another thread needed a value of it; or another thread has changed the default dtype.
    if trace.running is not None or trace.default is not dt.default():
        trace = here.trace = Trace()
    return trace


# ---- the default dtype --------------------------------------------------------------------------------------------------------


def set_default_dtype(dtype: DType) -> None:
    """What Python floats become from now on, and whole numbers where a float comes out; in all threads.

    What was recorded before, here or in other threads, keeps the dtypes that it was recorded with.
    """
    flush()
    with _lock:
        switch(dtype)
    changed()


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


@contextmanager
def watch(watcher: Callable[[Sequence[Any], Any], None]) -> Iterator[None]:
    """Inside, `watcher(inputs, result)` is told of everything that this thread records."""
    global _watchers
    thread = get_ident()

    def mine(inputs: Sequence[Any], result: Any) -> None:
        if get_ident() == thread:
            watcher(inputs, result)

    try:
        _watchers = (*_watchers, mine)
        _find_only()
        yield
    finally:
        _watchers = tuple([w for w in _watchers if w is not mine])
        _find_only()


def record(op: Op, inputs: tuple, attrs: tuple, differentiable: bool) -> Any:
    """One call of an op on values and Python numbers; nothing is computed. Shapes and dtypes are checked now."""
    here = only
    if here is not None and here.thread == get_ident():
        return record_alone(here, op, inputs, attrs, differentiable)
    return _record(op, inputs, attrs, differentiable)


def record_alone(here: State, op: Op, inputs: tuple, attrs: tuple, differentiable: bool) -> Any:
    """`record` for the thread of which `only` is the state."""
    global _following
    trace = here.trace
    if trace.script is not None and trace.running is None:
        _following = True
        try:
            result = follow(trace, op, inputs, attrs, differentiable)
        except BaseException:
            rewind(trace)
            raise
        finally:
            _following = False
        if result is not None:
            return result
    return _record(op, inputs, attrs, differentiable)


def _record(op: Op, inputs: tuple, attrs: tuple, differentiable: bool) -> Any:
    with _lock:
        trace = _current()
        try:
            result = _foreseen(trace, op, inputs, attrs, differentiable)
        except BaseException:
            rewind(trace)
            raise
        if result is not None:
            return result
        mark = trace.mark()
        try:
            result = _append(trace, op, inputs, attrs, differentiable)
        except BaseException:
            trace.cut_back(mark)
            raise
    results = result if type(result) is tuple else (result,)
    if config.profile:
        trace.lines[len(trace.values) - len(results)] = user_line()
    if op.blamed:
        note_line(op, results)
    for watcher in _watchers:
        watcher(inputs, result)
    if len(trace.values) > MAX_PENDING or trace.pinned > MAX_PINNED:
        _flush_with(results)
    return result


def _foreseen(trace: Trace, op: Op, inputs: tuple, attrs: tuple, differentiable: bool) -> Any:
    """What the call records, if a script tells that."""
    attempt = partial(follow, trace, op, inputs, attrs, differentiable)
    if trace.script is None:
        return _begin(trace, op, attrs, attempt) if not trace.values and scripts else None
    if _watchers:
        trace.leave()
        return None
    result = attempt()
    return turn(trace, attempt) if result is None else result


def _append(trace: Trace, op: Op, inputs: tuple, attrs: tuple, differentiable: bool) -> Any:
    """The call as a new entry with its results."""
    slots, specs, grad = [], [], False
    for x in inputs:
        if type(x) is Value:
            if x.trace is not trace:
                _adopt(trace, x)
            slots.append(x.slot)
            specs.append(x.spec)
            grad = grad or x.grad
        else:
            slots.append(_number(trace, x))
            x = x.value if type(x) is Runtime else x
            specs.append(number_spec(x))
    spec = op.result(tuple(specs), attrs)
    cut = grad and not differentiable  # recorded under no_grad: no derivative passes
    grad = grad and differentiable
    entry = (op, attrs, tuple(slots), cut)
    if type(spec) is not tuple:
        result = Value(op, inputs, attrs, spec, grad and spec.dtype.differentiable)
        trace.append(entry, result)
        return result
    trace.entries.append(entry)
    values = trace.values
    for k, s in enumerate(spec):
        value = Value(op, inputs, attrs, s, grad and s.dtype.differentiable, k)
        value.trace, value.slot = trace, len(values)
        values.append(value)
    return tuple(values[-len(spec) :]) if spec else ()


def record_in_turn(value: Any, calls: Sequence[tuple[Op, tuple]], differentiable: bool) -> Any:
    """Ops of one result, each on the result of the one before and inputs of its own: what `record` gives for one after the other. An error
    has the number of the call as its `turn`."""
    turn = 0
    try:
        for op, more in calls:
            value = record(op, (value, *more), (), differentiable)
            turn += 1
    except DanluError as error:
        error.turn = turn  # type: ignore[attr-defined]
        raise
    return value


def update(op: Op, inputs: tuple, attrs: tuple, targets: Sequence[Any], kind: type) -> bool:
    """Records an update in place and runs it with all that waits, where that is how a program is foreseen to end; else nothing is done.

    `targets`: tensors whose storages are of a `kind`. They keep their values, which nobody else has: other threads that read one wait.
    """

    def follows(trace: Trace) -> bool:
        attempt = partial(follow_end, trace, op, inputs, attrs, targets, kind)
        return attempt() if trace.script is not None else not trace.values and bool(_begin(trace, op, attrs, attempt))

    return _run_to_end(follows)


def update_again(last: RepeatedUpdate, read: tuple, numbers: Callable[[], Sequence[float] | None]) -> bool:
    """`update` once more, with new numbers, if all that it reads and writes is what it was the last time; `read`: the values of gradients."""
    return _run_to_end(lambda trace: trace.script is last.script and follow_repeated(trace, last, read, numbers))


def last_update(inputs: Sequence[Any], targets: Sequence[Any]) -> RepeatedUpdate | None:
    """What `update_again` takes to make the update with these inputs (tensors and numbers) once more, if that was foreseen and is the last
    thing that this thread has recorded."""
    here = state()
    trace, script = here.updated
    return repeated_update(trace, script, inputs, targets) if trace is not None and trace is here.trace else None


def _begin(trace: Trace, op: Op, attrs: tuple, attempt: Callable[[], Any]) -> Any:
    """The first call of a trace that has a script from now on; None where none begins with it."""
    return begin(trace, op, attrs, attempt) if _may_follow() else None


def _may_follow() -> bool:
    """Whether traces may follow scripts: nobody looks at what is recorded, and programs are compiled."""
    return not (_watchers or _capture is not None or config.profile or not config.optimize)


def backward(ys: tuple, hold: Hold, full: Op | None = None) -> tuple[list[Value], list[Any]] | None:
    """A backward pass over `ys` that lets go the history, if it is foreseen: the leaves and the tensors of their gradients. `ys`: roots and
    seeds, or one root whose seed is the 1 that `full` makes. `hold`: what makes a tensor of a gradient, and what tells the values of
    tensors that nobody has."""
    with _lock:
        trace = _current()
        if trace.script is None or _watchers:
            return None
        try:
            return follow_backward(trace, ys, hold, full) or turn(trace, partial(follow_backward, trace, ys, hold, full))
        except BaseException:
            rewind(trace)
            raise


def passed(order: Sequence[Value], leaves: Sequence[Value], grads: Sequence[Value]) -> None:
    """A backward pass that was recorded lets go the histories of `order`; without `leaves` it is one that no script can tell."""
    trace = _current()
    if trace.script is not None:
        trace.leave()
    if leaves and all(v.trace is trace for v in order) and all(g.trace is trace for g in grads):
        trace.passes[grads[0]] = tuple(v.slot for v in order if v.inputs), tuple(v.slot for v in leaves)
    else:
        trace.unforeseen = True


def settle() -> None:
    """Makes up for what a script left out: from now on `held` counts histories."""
    trace = _current()
    if trace.script is not None:
        trace.leave()


def _number(trace: Trace, x: Any) -> int:
    if type(x) is Runtime:
        if _capture is not None:
            _capture.numbers.append((trace, len(trace.numbers) // 2, x))
        x = x.value
    elif is_folded(x):
        return trace.append((CONST, x, type(x)), None)
    trace.numbers += both_kinds(x)
    return trace.append((NUMBER, type(x), len(trace.numbers) // 2 - 1), None)


def _adopt(trace: Trace, value: Value) -> None:
    """Makes a value of an earlier program (or of another thread) an entry of this trace, with its history if a derivative may
    still be asked of it."""
    if trace.script is not None:
        trace.leave()
    if value.buffer is not None and not (value.grad and value.inputs):  # plain memory: nearly always
        trace.append((BUFFER, value.spec, trace.place(value.buffer)), value)
        return
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
            _flush_with((value,))
        elif trace is not None and trace.values:
            _finish(trace)
        if value.buffer is None:  # known only through its history
            with _lock:
                trace = _current()
                mark = trace.mark()
                try:
                    _adopt(trace, value)
                except BaseException:
                    trace.cut_back(mark)
                    raise
            _flush_with((value,))
    return value.buffer  # type: ignore[return-value]


# A signal's handler (Ctrl-C) may raise after any call and where any function begins. Before the program of a trace has run, storages are
# then what they were before it was recorded; once it has run, and may have written over their memory, its results are handed out
# first. What must be done in any case stands in the function itself that has the `try`, and may be done twice.


def _run(trace: Trace) -> None:
    mine, run = _taken(), Run(trace)
    try:
        with _lock:
            if trace.running is None:
                trace.running = mine
        if trace.running is mine:
            run.start()
    except BaseException as error:
        if trace.running is mine:
            run.recover(error)
        raise
    finally:
        if trace.running is mine:
            try:
                trace.forget()
            finally:
                mine.release()
    if trace.running is not mine:  # another thread was faster
        _finish(trace)


def _run_to_end(follows: Callable[[Trace], bool]) -> bool:
    """Runs what waits with an update at its end, if that `follows` the script of the trace."""
    trace = _current()
    mine, run = _taken(), UpdateRun(trace)
    try:
        with _lock:
            if not (_may_follow() and follows(trace)):
                return False
            state().updated = trace, trace.script
            count(trace)
            counted["foreseen"] += 1
            trace.running = mine
        run.start()
    except BaseException as error:
        if trace.running is mine:
            run.recover(error)
        else:
            trace.give_back()
            rewind(trace)
        raise
    finally:
        if trace.running is mine:
            try:
                trace.give_back()
            except BaseException:
                trace.give_back()
                raise
            finally:
                try:
                    trace.forget()
                finally:
                    mine.release()
    return True


def _taken() -> Any:
    """A lock that this thread has."""
    lock = threading.Lock()
    lock.acquire()
    return lock


class Run:
    """One run of the program of a trace. `found`: the program, the slots of its results, which replaced values lose their memory; `new`:
    the memory of new results; `ran[0]`: what the program reported, once it has run and if it did not fail."""

    __slots__ = ("found", "new", "ran", "trace")

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.found: Any = None
        self.new: list[Buffer] = []
        self.ran: list[Any] = [None]

    def start(self) -> None:
        """Finds the program, runs it, hands out its results."""
        trace = self.trace
        with _lock:
            found = self.found = _program(trace)
        if found is not None:
            counted["runs"] += 1
            self.new = found[0].memory()
            found[0].write(trace.buffers, trace.numbers, self.new, self.ran)
            self.hand_out()

    def recover(self, error: BaseException) -> None:
        """After an exception in `start`, which is raised again (one of the data with the user's line)."""
        if self.ran[0] is not None:
            try:
                self.found[0].check(self.ran)
            except BaseException as failure:
                error = failure
            else:
                self.hand_out()
                return
        _fail(self.trace, None if self.found is None else self.found[1], error)

    def hand_out(self) -> None:
        """Gives results their memory."""
        trace = self.trace
        executable, slots, lost = self.found
        buffers = executable.arranged(trace.buffers, self.new)
        if _capture is not None:
            capture = capturing()
            if capture is not None:
                capture.ran(trace, executable, slots, buffers)
        if config.profile:
            note_allocated(trace, slots, buffers)
        values: list[Any] = trace.values
        for value, buffer in zip(map(values.__getitem__, slots), buffers):
            value.buffer = buffer
            if not value.grad:
                value.inputs = ()
            elif value.note is not None and value.note.gate is not None:
                value.forget()
        _lose(trace, lost)


class UpdateRun(Run):
    """Of a trace that ends with an update whose values stay: only the results of earlier calls are new."""

    __slots__ = ()

    def start(self) -> None:
        """Runs the program of the script, hands out results."""
        trace, script = self.trace, self.trace.script
        executable, spare = script.executable, trace.spare
        self.found = executable, script.slots, script.overwritten
        counted["runs"] += 1
        self.new = executable.memory({k: spare[slot] for slot, k in script.kept.made if slot in spare} if spare else spare)
        executable.write(trace.buffers, trace.numbers, self.new, self.ran)
        self.hand_out()

    def hand_out(self) -> None:
        """Gives the results of earlier calls their memory."""
        trace, new = self.trace, self.new
        values: list[Any] = trace.values
        for slot, k in trace.script.kept.made:
            value = values[slot]
            value.buffer = new[k]
            if not value.grad:
                value.inputs = ()
        _lose(trace, self.found[2])


def _program(trace: Trace) -> tuple[Any, tuple[int, ...], list[bool]] | None:
    """What `Run.found` is."""
    if trace.script is not None and _is_foreseen(trace):
        script = trace.script
        return script.executable, script.slots, script.overwritten
    return look_up(trace)


def _is_foreseen(trace: Trace) -> bool:
    """Whether the trace ends as a script does; if not, it has none from now on."""
    if config.profile or not config.optimize or capturing() is not None:
        trace.leave()
        return False
    if not (fulfilled(trace) or turn(trace, partial(fulfilled, trace))):
        return False
    count(trace)
    counted["foreseen"] += 1
    return True


def _lose(trace: Trace, lost: Sequence[bool]) -> None:
    for (_, old), gone in zip(trace.replaced, lost):
        if gone:
            old.buffer = None  # its memory was given away


def _fail(trace: Trace, slots: Sequence[int] | None, error: BaseException) -> None:
    """After an exception before the program has written: storages hold again what they held before it was recorded, so that a bad label or
    Ctrl-C costs a step and not the model. An error in the data (there was a program, with results in `slots`) is raised with the user's line."""
    if trace.script is not None:
        trace.leave()
    for reference, old in reversed(trace.replaced):
        storage = reference()
        if storage is not None and storage.value.trace is trace and storage.value.buffer is None:
            storage.set(old)
    if slots is not None and isinstance(error, DanluError):
        with _lock, recorded_dtype(trace):
            raise Lines(trace.entries, trace.values, slots).blamed(error, trace.buffers, trace.numbers) from None


def _after_fork() -> None:
    global _lock, _following
    _lock, _following = threading.RLock(), False  # another thread may have held it, or was in the middle of a call


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
