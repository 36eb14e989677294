"""L8. `danlu.profile`: where the time of a step goes, kernel by kernel, with the user's lines that each came from; and
`danlu.memory_summary`: who holds the memory."""

from __future__ import annotations

import ctypes
import functools
import gc
import json
import linecache
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from danlu import engine, programs
from danlu.compile import llvm
from danlu.compile.program import Label
from danlu.compile.target import host
from danlu.config import config
from danlu.engine import Value
from danlu.errors import DataError
from danlu.optim import Optimizer
from danlu.replay import CompiledFunction
from danlu.runtime import buffers
from danlu.tensor.core import TensorCore, from_array


@dataclass
class Row:
    """One kernel: seconds of one step, and what it does."""

    name: str
    label: Label
    seconds: float

    @property
    def gflops(self) -> float:
        """Thousand million operations a second."""
        return self.label.flops / max(self.seconds, 1e-12) * 1e-9

    @property
    def bandwidth(self) -> float:
        """Thousand million bytes a second, each piece of memory counted once."""
        return self.label.nbytes / max(self.seconds, 1e-12) * 1e-9

    def roofline(self, peak: float, bandwidth: float) -> float:
        """The time that the machine's limits allow over the time that was taken: 1 is the best there is."""
        return max(self.label.flops / (peak * 1e9), self.label.nbytes / (bandwidth * 1e9)) / max(self.seconds, 1e-12)


class Profile:
    """What `danlu.profile` has measured; `print` it, or `save` it for Chrome's tracing page or ui.perfetto.dev.

    `rows`: the kernels, slowest first. `seconds`: wall time of one step; `python`: what of it was not spent in kernels.
    `peak` (GFLOP/s) and `bandwidth` (GB/s): what a matrix product and a copy reach on this machine, one thread or as many as are set.
    """

    def __init__(self, rows: list[Row], seconds: float, steps: int, order: list[Row]) -> None:
        self.rows, self.seconds, self.steps, self.order = rows, seconds, steps, order
        self.peak, self.bandwidth = limits()
        self.python = max(0.0, seconds - sum(r.seconds for r in rows))

    def __str__(self) -> str:
        head = f"{self.seconds * 1e3:.3f} ms a step (mean of {self.steps}), {len(self.rows)} kernels, Python and the rest {self.python * 1e3:.3f} ms"
        limit = f"limits of this machine: {self.peak:.0f} GFLOP/s (a matrix product), {self.bandwidth:.1f} GB/s (a copy)"
        lines = [head, limit, "", f"{'µs':>9} {'share':>6} {'GFLOP/s':>8} {'GB/s':>7} {'roof':>5} {'chunks':>6}  ops, lines"]
        for r in self.rows:
            roof = f"{100 * r.roofline(self.peak, self.bandwidth):.0f}%"
            numbers = f"{r.seconds * 1e6:9.1f} {100 * r.seconds / self.seconds:5.1f}% {r.gflops:8.1f} {r.bandwidth:7.1f} {roof:>5} {r.label.chunks:6}"
            lines.append(f"{numbers}  {' '.join(r.label.ops[:8])}{' …' if len(r.label.ops) > 8 else ''}")
            lines += [" " * 47 + text for text in map(_told, r.label.lines[:3])]
        return "\n".join(lines)

    def save(self, path: str | Path) -> None:
        """Writes one step as a trace: the kernels in the order in which they ran, with their figures.

        Raises:
            DataError: a name that does not end in .json.
        """
        if Path(path).suffix != ".json":
            raise DataError("profile.save: {path} does not end in .json; write profile.save('step.json')", path=str(path))
        events, now = [], 0.0
        for r in self.order:
            figures = {
                "GFLOP/s": r.gflops,
                "GB/s": r.bandwidth,
                "ops": " ".join(r.label.ops),
                "lines": list(map(_told, r.label.lines)),
            }
            name = r.label.ops[0] if r.label.ops else r.name
            events.append({"name": name, "ph": "X", "ts": now * 1e6, "dur": r.seconds * 1e6, "pid": 1, "tid": 1, "args": figures})
            now += r.seconds
        Path(path).write_text(json.dumps({"traceEvents": events, "displayTimeUnit": "ns"}), "utf-8")


def _told(line: Any) -> str:
    code = linecache.getline(*line).strip()
    return f"{Path(line[0]).name}:{line[1]}  {code[:70]}"


def profile(function: Callable[[], Any], repeat: int = 20) -> Profile:
    """Runs a function (a training step) and says how long each kernel took, with its ops, its share of the machine's limits and the lines
    of yours that it came from.

    GFLOP/s = operations / time;   GB/s = bytes read or written / time;   roof = max(operations / peak, bytes / bandwidth) / time

    The first calls compile programs that count and are not measured. A function from `danlu.compile` is measured as the plain function:
    the kernels are the same.

    Raises:
        DataError: repeat is below 1, or danlu runs without compiled code (DANLU_OPT=0).

    >>> import danlu
    >>> x = danlu.ones(64, 64)
    >>> measured = danlu.profile(lambda: (x @ x).relu_())
    >>> measured.rows[0].label.flops >= 2 * 64**3
    True
    """
    if repeat < 1 or not config.optimize:
        raise DataError(
            "profile: repeat={repeat}, DANLU_OPT={opt}; expected 1 or more, and compiled code",
            repeat=repeat,
            opt=int(config.optimize),
        )
    plain = function._function if isinstance(function, CompiledFunction) else function
    limits()
    engine.flush()
    config.profile = True
    try:
        for _ in range(3):
            _run(plain)
        before = {id(p): (p, p.ticks()) for p in programs.profiled()}
        began = time.perf_counter()
        for _ in range(repeat):
            _run(plain)
        seconds = (time.perf_counter() - began) / repeat
    finally:
        config.profile = False
    order = []
    for number, program in enumerate(programs.profiled()):
        ticks = program.ticks()
        old = before.get(id(program), (None, [0] * len(ticks)))[1]
        for k, label in enumerate(program.program.labels):
            if ticks[k] > old[k]:
                order.append(Row(f"program {number} kernel {k}", label, (ticks[k] - old[k]) / repeat * second_per_tick()))
    programs.forget_profiled()
    return Profile(sorted(order, key=lambda r: -r.seconds), seconds, repeat, order)


def _run(function: Callable[[], Any]) -> None:
    result = function()  # held until its program has run
    engine.flush()
    del result


@dataclass
class Memory:
    """What `danlu.memory_summary` has found, in bytes; `print` it.

    `kinds`: parameters, gradients, optimizer, other tensors, activations (what histories keep for a derivative). `used` by all of them,
    `waiting` for reuse, `peak` of both since the start or `reset_peak`; `workspace` of the largest program. `lines`: what each line's
    results took, largest first, if a function was given.
    """

    kinds: dict[str, int]
    used: int
    waiting: int
    peak: int
    workspace: int
    lines: list[tuple[Any, int]]

    def __str__(self) -> str:
        rows = [*self.kinds.items(), ("used in all", self.used), ("waiting for reuse", self.waiting), ("peak", self.peak)]
        text = [f"{name:24}{_size(n):>12}" for name, n in [*rows, ("workspace of a program", self.workspace)]]
        return "\n".join([*text, *[f"{_size(n):>36}  {_told(line) if line else 'elsewhere'}" for line, n in self.lines[:10]]])


def _size(nbytes: int) -> str:
    return f"{nbytes / 2**20:.2f} MiB"


def memory_summary(function: Callable[[], Any] | None = None) -> Memory:
    """How many bytes of memory tensors hold, by kind; with a function, which of its lines the largest results come from.

    The function (a training step) runs twice: the peak is that of its second run.

    >>> import danlu
    >>> w = danlu.ones(256, 256, requires_grad=True)
    >>> (w * w).sum().backward()
    >>> found = danlu.memory_summary()
    >>> found.kinds["parameters"] >= 4 * 256 * 256, found.kinds["gradients"] >= 4 * 256 * 256
    (True, True)
    """
    lines: list[tuple[Any, int]] = []
    if function is not None:
        lines = _allocations(function._function if isinstance(function, CompiledFunction) else function)
    engine.flush()
    owner: dict[int, str] = {}
    sizes: dict[int, int] = {}
    for kind, value in _holders():
        buffer = value.buffer
        if buffer is not None and id(buffer) not in owner:
            owner[id(buffer)], sizes[id(buffer)] = kind, buffer.nbytes
    kinds = {kind: sum(sizes[b] for b, k in owner.items() if k == kind) for kind in KINDS}
    told = buffers.statistics()
    return Memory(kinds, told["used"], told["free"], told["peak"], programs.largest_workspace(), lines)


KINDS = ("parameters", "gradients", "optimizer", "other tensors", "activations")


def _holders() -> list[tuple[str, Value]]:
    """Every value in memory with its kind, the more telling kind first."""
    alive = gc.get_objects()
    tensors = [x for x in alive if issubclass(type(x), TensorCore)]  # isinstance would run `__class__` of strange objects
    states = [
        t
        for x in alive
        if issubclass(type(x), Optimizer)
        for s in x.state.values()
        for t in s.values()
        if isinstance(t, TensorCore)
    ]
    leaves = [t for t in tensors if t._leaf]
    by_kind = (leaves, [t.grad for t in leaves if t.grad is not None], states, tensors)
    found = [(kind, t._storage.value) for kind, group in zip(KINDS, by_kind) for t in group]
    return found + [("activations", x) for x in alive if type(x) is Value]


def _allocations(function: Callable[[], Any]) -> list[tuple[Any, int]]:
    engine.flush()
    _run(function)
    config.profile = True
    try:
        programs.allocated.clear()
        buffers.reset_peak()
        _run(function)
    finally:
        config.profile = False
        programs.forget_profiled()
    return sorted(programs.allocated.items(), key=lambda item: -item[1])


@functools.cache
def second_per_tick() -> float:
    """What one tick of the programs' counter lasts."""
    declared = "declare i64 @llvm.readcyclecounter()\n"
    text = f"{declared}define i64 @now() {{\n  %t = {host().clock}\n  ret i64 %t\n}}\n"
    module = llvm.load(llvm.compile_text(text))
    now = ctypes.CFUNCTYPE(ctypes.c_int64)(module.address("now"))
    ticks, began = now(), time.perf_counter()
    time.sleep(0.02)
    return (time.perf_counter() - began) / max(1, now() - ticks)


@functools.cache
def limits() -> tuple[float, float]:
    """(GFLOP/s of a product of 512 × 512 float32 matrices, GB/s of a copy of 32 MiB), the best of a few runs with the threads in force."""
    x = from_array(np.ones((512, 512), np.float32))
    y = from_array(np.ones(1 << 22, np.float32))
    products = min(_seconds(lambda: x @ x) for _ in range(8))
    copies = min(_seconds(lambda: y.clone()) for _ in range(8))
    return 2 * 512**3 / products * 1e-9, 2 * y.numel() * 4 / copies * 1e-9


def _seconds(function: Callable[[], Any]) -> float:
    began = time.perf_counter()
    _run(function)
    return time.perf_counter() - began


__all__ = ["Memory", "Profile", "Row", "memory_summary", "profile"]
