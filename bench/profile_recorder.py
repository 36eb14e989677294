"""Where the time of a plain training step goes: Python's, function by function, and the native program's.

    python -m bench.profile_recorder [--case tiny] [--rows 40] [--seconds 2]

A profiler makes every call slower, and small functions most. So three things are measured:

1. the step undisturbed: CPU time of the thread, the fastest of short rounds, as for all that follows;
2. its parts, each timed alone by one pair of clock readings around it (`zero_grad`, forward, loss, `backward`, `optimizer.step`;
   within it the flush, the run of the program and the native call), less what reading the clock costs;
3. every function's own time and calls under cProfile, less what the profiler adds to a call. That is measured on calls of
   functions that do nothing (apart for Python's and C's functions, for the part that falls on the callee and that on the caller), and scaled
   so that the rows add up to the undisturbed step.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import os
import pstats
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import machine, steps, steps_danlu
from bench.table import table
from bench.worker import pin
from danlu import engine
from danlu.nn import Module
from danlu.optim import Adam, Optimizer
from danlu.runtime import executable
from danlu.tensor import Tensor

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 200  # of which the fastest counts: the clock that profilers read goes on while another process has the core
ROUND_MICROS = 2000.0  # short enough to fit between two turns of the system's scheduler
Key = tuple[str, int, str]  # a function as pstats names it: file, line, name

# What is timed alone: where the function is found, its name there, and its title. Indented titles are parts of the one above.
PARTS = (
    (Optimizer, "zero_grad", "optimizer.zero_grad"),
    (Module, "__call__", "modules: forward and loss"),
    (Tensor, "backward", "loss.backward"),
    (Optimizer, "step", "optimizer.step, the run included"),
    (Adam, "update_group", "– optimizer.update_group (Adam)"),
    (engine, "_run", "– engine._run: key, look-up, program, results"),
    (engine, "_run_to_end", "– the same with the update at its end"),
    (executable.Compiled, "write", "– – Compiled.write: table, native code"),
)


def cpu_micros(step: Callable[[], Any], seconds: float) -> float:
    """The µs of a step on this thread: the fastest of many short rounds, as for its parts."""
    found, count, end = [], 50, time.perf_counter() + seconds
    gc.collect()
    while len(found) < 5 or time.perf_counter() < end:
        began = time.thread_time_ns()
        for _ in range(count):
            step()
        found.append((time.thread_time_ns() - began) / count / 1e3)
    return min(found)


class Timed:
    """A function that reads the clock before and after; `total` counts its outermost calls only, in ns."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.total, self.calls, self.depth = function, 0, 0, 0

    def call(self, *given: Any, **named: Any) -> Any:
        """The function's result."""
        self.depth += 1
        began = time.perf_counter_ns()
        try:
            return self.function(*given, **named)
        finally:
            took = time.perf_counter_ns() - began
            self.depth -= 1
            if self.depth == 0:
                self.total += took
                self.calls += 1


def timed_part(step: Callable[[], Any], owner: Any, name: str, count: int) -> tuple[float, float]:
    """µs a step and calls a step of one function, timed alone: the best of many short rounds."""
    original = getattr(owner, name)
    timer = Timed(original)
    setattr(owner, name, lambda *given, **named: timer.call(*given, **named))
    best = float("inf")
    try:
        for _ in range(ROUNDS):
            timer.total = timer.calls = 0
            for _ in range(count):
                step()
            best = min(best, timer.total / count / 1e3)
    finally:
        setattr(owner, name, original)
    return max(best - timer.calls / count * _timer_cost(), 0.0), timer.calls / count


def _timer_cost() -> float:
    """µs that `Timed` counts for a function that does nothing."""
    timer, best = Timed(lambda: None), float("inf")
    for _ in range(5):
        timer.total = 0
        for _ in range(2000):
            timer.call()
        best = min(best, timer.total / 2000 / 1e3)
    return best


# ---- what the profiler adds --------------------------------------------------------------------------------------------------


@dataclass
class Overhead:
    """ns that cProfile adds to one call: on the callee's row and on the caller's."""

    callee: float
    caller: float


def _nothing() -> None:
    pass


def _calls(function: Callable[[], Any], count: int) -> None:
    for _ in range(count):
        function()


def _empty_loop(count: int) -> None:
    for _ in range(count):
        pass


def _fastest(function: Callable[..., None], *given: Any) -> float:
    """The fastest of seven runs, in ns."""
    found = []
    for _ in range(7):
        began = time.perf_counter_ns()
        function(*given)
        found.append(time.perf_counter_ns() - began)
    return min(found)


def overhead(function: Callable[[], Any], count: int = 20_000) -> Overhead:
    """Measured on a function that does nothing."""
    loop = _fastest(_empty_loop, count) / count
    plain = _fastest(_calls, function, count) / count - loop  # of which half is the call, half the callee: it is 20 to 40 ns
    best: Overhead | None = None
    for _ in range(7):
        profile = cProfile.Profile()
        profile.enable()
        _calls(function, count)
        profile.disable()
        rows = profile_rows(profile)
        callee = next(row for key, row in rows.items() if row.calls >= count)
        caller = next(row for key, row in rows.items() if key[2] == "_calls")
        found = Overhead(callee.own / count - plain / 2, caller.own / count - loop - plain / 2)
        if best is None or found.callee + found.caller < best.callee + best.caller:
            best = found
    assert best is not None
    return best


# ---- the profile -------------------------------------------------------------------------------------------------------------


@dataclass
class Row:
    """One function: calls, its own and its cumulative ns, and the calls that it makes (of Python's and of C's functions)."""

    calls: float = 0
    own: float = 0.0
    total: float = 0.0
    python_calls: float = 0
    c_calls: float = 0


def profile_rows(profile: cProfile.Profile) -> dict[Key, Row]:
    """The rows of a profile by function."""
    rows: dict[Key, Row] = defaultdict(Row)
    for key, (_, calls, own, total, callers) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        row = rows[key]
        row.calls, row.own, row.total = calls, own * 1e9, total * 1e9
        for caller, numbers in callers.items():
            if is_c(key):
                rows[caller].c_calls += numbers[1]
            else:
                rows[caller].python_calls += numbers[1]
    return dict(rows)


def is_c(key: Key) -> bool:
    """Whether the function is a built-in one."""
    return key[0] == "~"


def corrected(rows: dict[Key, Row], python: Overhead, c: Overhead, whole: float) -> dict[Key, float]:
    """Each function's own ns without the profiler's part; that part is scaled so that the sum is `whole`."""
    added = {}
    for key, row in rows.items():
        own = (c if is_c(key) else python).callee * row.calls
        added[key] = own + python.caller * row.python_calls + c.caller * row.c_calls
    scale = (sum(row.own for row in rows.values()) - whole) / sum(added.values())
    return {key: row.own - scale * added[key] for key, row in rows.items()}


def where(key: Key) -> str:
    """file:line name, as an editor finds it."""
    file, line, name = key
    if is_c(key):
        return name.removeprefix("<").removesuffix(">")
    path = Path(file)
    return f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name}:{line} {name}"


def profiled(step: Callable[[], Any], count: int) -> tuple[int, cProfile.Profile]:
    """The ns of a round under the profiler, and its profile."""
    profile = cProfile.Profile()
    began = time.perf_counter_ns()
    profile.enable()
    for _ in range(count):
        step()
    profile.disable()
    return time.perf_counter_ns() - began, profile


def function_table(step: Callable[[], Any], micros: float, count: int, rows_shown: int) -> list[str]:
    """Own time by function, then by file."""
    profile = min((profiled(step, count) for _ in range(ROUNDS)), key=lambda pair: pair[0])[1]
    rows = {key: row for key, row in profile_rows(profile).items() if "disable" not in key[2] or not is_c(key)}
    own = corrected(rows, overhead(_nothing), overhead(gc.isenabled), micros * 1e3 * count)
    ordered = sorted(rows, key=lambda key: -own[key])
    shown = [
        [where(key), f"{rows[key].calls / count:.1f}", f"{own[key] / count / 1e3:.2f}", f"{own[key] / rows[key].calls:.0f}"]
        for key in ordered[:rows_shown]
    ]
    files: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for key in ordered:
        file = "built-in functions" if is_c(key) else where(key).rpartition(":")[0]
        files[file][0] += rows[key].calls / count
        files[file][1] += own[key] / count / 1e3
    by_file = sorted(([file, f"{calls:.1f}", f"{t:.1f}"] for file, (calls, t) in files.items()), key=lambda r: -float(r[2]))
    return [
        *table(["function", "calls a step", "own µs a step", "own ns a call"], shown),
        "",
        *table(["file", "calls a step", "own µs a step"], by_file[:20]),
    ]


def native_micros(step: Callable[[], Any], count: int) -> float:
    """µs a step inside the compiled code and the ctypes call of it."""
    programs: list[Any] = [
        found for found, _ in engine._programs.values() if isinstance(found, executable.Compiled) and found.main
    ]
    timers = [(program, program.main, Timed(program.main)) for program in programs]
    best = float("inf")
    try:
        for program, _, timer in timers:
            program.main = timer.call
        for _ in range(ROUNDS):
            before = sum(timer.total for *_, timer in timers)
            for _ in range(count):
                step()
            best = min(best, (sum(timer.total for *_, timer in timers) - before) / count / 1e3)
    finally:
        for program, main_function, _ in timers:
            program.main = main_function
    return best


def parts_table(step: Callable[[], Any], micros: float, count: int) -> list[str]:
    """The stages of a step."""
    rows = [["the whole step, undisturbed", f"{micros:.1f}", "1.0"]]
    for owner, name, title in PARTS:
        part, calls = timed_part(step, owner, name, count)
        if calls:
            rows.append([title, f"{part:.1f}", f"{calls:.1f}"])
    rows.append(["– – – native code with its ctypes call", f"{native_micros(step, count):.1f}", "1.0"])
    return table(["part", "µs a step", "outermost calls a step"], rows)


def report(case: str, rows: int, seconds: float) -> list[str]:
    """Markdown."""
    steps_danlu.set_threads(1)
    step = steps_danlu.STEPS[case](case)
    for _ in range(300):
        step()
    before = engine.statistics()["runs"]
    step()
    runs = engine.statistics()["runs"] - before
    micros = cpu_micros(step, seconds)
    count = max(1, int(ROUND_MICROS / micros))
    title = f"{steps.case(case).title}: plain loop, one thread, {micros:.1f} µs of CPU time a step, {runs:.0f} program a step."
    return [title, "", *parts_table(step, micros, count), "", *function_table(step, micros, count, rows)]


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=steps_danlu.STEPS, default="tiny")
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=2.0)
    given = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    pin(machine.cores()[-1:])
    print("\n".join(report(given.case, given.rows, given.seconds)))


if __name__ == "__main__":
    main()
