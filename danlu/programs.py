"""L4. The programs of traces: the key of a trace is looked up, and where it is new, its entries become a graph and that a program.

All of this runs under the engine's lock.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from danlu import dtype as dt
from danlu.compile import program
from danlu.config import config
from danlu.dtype import DType
from danlu.entries import graph_of
from danlu.ops.table import TABLE
from danlu.rehearsal import learn
from danlu.runtime.buffers import Buffer
from danlu.runtime.executable import Compiled, Interpreted, compiled
from danlu.trace import Trace, Value, is_free

_programs: dict[Any, tuple[Compiled | Interpreted, tuple[int, ...]]] = {}
allocated: dict[Any, int] = {}  # line → bytes of the results that programs gave it, while they are profiled
counted = {"compile_seconds": 0.0, "programs": 0, "from_disk": 0, "runs": 0, "foreseen": 0}


def switch(dtype: DType) -> None:
    """The default dtype from now on; what ops have told of shapes and dtypes is forgotten."""
    dt.set_default(dtype)
    for op in TABLE.values():
        op.cache.clear()


@contextmanager
def recorded_dtype(trace: Trace) -> Iterator[None]:
    """Inside, the default dtype is that with which the trace was recorded."""
    now = dt.default()
    if trace.default is now:
        yield
        return
    switch(trace.default)
    try:
        yield
    finally:
        switch(now)


def look_up(trace: Trace) -> tuple[Any, tuple[int, ...], list[bool]] | None:
    """The program of a trace, made now if there is none, the slots of its results, and which replaced values lose their memory."""
    values: list[Any] = trace.values
    live = tuple([k for k, v in enumerate(values) if v is not None and v.handles and v.buffer is None and not _is_traced(v)])
    if not live:
        return None
    kept = tuple([s for s in live if values[s].grad and values[s].inputs])
    _hold_recipes(trace)
    given = _given(trace)
    again = tuple([k for k, v in enumerate(values) if v is not None and v.note and v.note.recompute]) if kept else ()
    key = (tuple(trace.entries), live, kept, given, again, trace.default)
    key = (*key, tuple(trace.lines.items())) if config.profile else key
    found = _programs.get(key)
    if found is None or config.optimize is isinstance(found[0], Interpreted):
        with recorded_dtype(trace):
            found = _programs[key] = _make(trace, live, kept, given, again)
    elif isinstance(found[0], Compiled) and found[0].unrehearsed and not (kept or again or config.profile):
        found[0].unrehearsed -= 1
        with recorded_dtype(trace):
            learn(trace, found, given)
    places = {place for place, _ in given}
    return *found, [old.buffer is not None and trace.places.get(id(old.buffer)) in places for _, old in trace.replaced]


def read_later(inputs: Sequence[Any]) -> None:
    """Says of the inputs of a value that it will be computed again from them: their memory is not given away."""
    for x in inputs:
        if type(x) is Value:
            x.held += 1


def _is_traced(value: Value) -> bool:
    return value.note is not None and value.note.traced


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
        place = trace.places.get(id(old.buffer))
        if place is not None and is_free(old):
            heir = reference()
            found[place] = heir.value.slot if heir is not None and heir.value.trace is trace else -1
    return tuple(sorted(found.items()))


def _make(
    trace: Trace, live: tuple[int, ...], kept: tuple[int, ...], given: tuple[tuple[int, int], ...], again: tuple[int, ...]
) -> tuple[Compiled | Interpreted, tuple[int, ...]]:
    began = time.perf_counter()
    collected = gc.isenabled()
    gc.disable()  # graphs and kernels have no cycles: walking them for some is a fifth of the time of a large program
    try:
        result = _made(trace, live, kept, given, again)
    finally:
        if collected:
            gc.enable()
    seconds = time.perf_counter() - began
    counted["compile_seconds"] += seconds
    counted["programs"] += 1
    if "compile" in config.log:
        print(
            f"danlu: program {len(_programs)}: {len(trace.entries)} entries, {len(result[1])} results, {seconds * 1e3:.1f} ms",
            file=sys.stderr,
        )
    return result


def _made(
    trace: Trace, live: tuple[int, ...], kept: tuple[int, ...], given: tuple[tuple[int, int], ...], again: tuple[int, ...]
) -> tuple[Compiled | Interpreted, tuple[int, ...]]:
    if config.optimize:
        text = repr((trace.entries, live, kept, given, again, trace.default.name))

        def build() -> tuple[program.Program, dict]:
            roots, replace, slots = graph_of(trace.entries, live, kept, again, trace.lines)
            heirs = [(place, slots.index(slot) if slot in slots else -1) for place, slot in given]
            return program.build(roots, len(trace.buffers), replace, heirs), {"slots": slots}

        executable, extra = compiled(text, build, kept=not config.profile)
        counted["from_disk"] += executable.from_disk
        return executable, tuple(extra["slots"])
    roots, replace, slots = graph_of(trace.entries, live, kept, again)
    return Interpreted(roots, replace), tuple(slots)


def note_allocated(trace: Trace, slots: Sequence[int], buffers: Sequence[Buffer]) -> None:
    """Counts the bytes of results for the lines that recorded them. (Of an op with several results the first one has the line.)"""
    for slot, buffer in zip(slots, buffers):
        line = trace.lines.get(max((s for s in trace.lines if s <= slot), default=-1))
        allocated[line] = allocated.get(line, 0) + buffer.nbytes


def profiled() -> list[Compiled]:
    """The programs with counters."""
    return [p for p, _ in _programs.values() if isinstance(p, Compiled) and p.program.labels]


def largest_workspace() -> int:
    """Bytes that the hungriest program needs between its kernels."""
    return max((p.program.workspace for p, _ in _programs.values() if isinstance(p, Compiled)), default=0)


def forget_profiled() -> None:
    """Lets the programs with counters go."""
    for key in [k for k, (p, _) in _programs.items() if isinstance(p, Compiled) and p.program.labels]:
        del _programs[key]


def statistics() -> dict[str, float]:
    """What the engine has done: seconds spent making programs, programs made, of these read from disk, runs, of these foreseen."""
    return dict(counted)
