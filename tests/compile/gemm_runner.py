"""Runs planned contractions on NumPy arrays: the text of a module for a plan, an epilogue that stores, the call."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np

from danlu.compile import gemm, llvm, micro
from danlu.compile.emit import Emitter
from danlu.compile.target import Target, host


def store_to(result: str, c: gemm.Contraction, strides, bias: str | None = None, added: bool = False):
    """An epilogue that stores to `result` with these strides (batch..., m, n), or adds; with `bias`: max(x + bias[n], 0)."""

    def epilogue(b, value, batch, m, n, mask, axis):
        if bias:
            place = micro.at(b, bias, n, c.dtype)
            shift = micro.load(b, place, c.dtype, value.lanes, mask) if axis == "n" else micro.load(b, place, c.dtype)
            value = b.maximum(b.add(value, shift), b.const(0, value.dtype))
        value = b.cast(value, c.dtype)
        place = micro.linear(b, [*batch, m, n], strides)
        step = strides[-1] if axis == "n" else strides[-2]
        if step == 1:
            spot = micro.at(b, result, place, c.dtype)
            old = micro.load(b, spot, c.dtype, value.lanes, mask) if added else b.const(0, value.dtype)
            micro.store(b, b.add(value, old) if added else value, spot, mask)
            return
        for lane in range(value.lanes):
            if mask is not None and "true" not in mask.ref.split(",")[lane]:
                continue
            one = b.instruction(f"extractelement {value!r}, i32 {lane}", value.dtype) if value.lanes > 1 else value
            spot = micro.at(b, result, micro.plus(b, place, lane * step), c.dtype)
            micro.store(b, b.add(one, micro.load(b, spot, c.dtype)) if added else one, spot)

    return epilogue


def module_text(p: gemm.Plan, strides, with_bias: bool = False, add: bool = False) -> str:
    """One function `phase0`, `phase1` … for each phase; its args are the addresses of A, B, the workspace, C and the bias."""
    declared: set[str] = set()
    texts = []
    for i, phase in enumerate(gemm.emit_phases(p)):
        b = Emitter(declared)
        names = []
        for slot in range(5):
            names.append(b.name("ptr"))
            place = b.name("slot")
            b.line(f"{place} = getelementptr ptr, ptr %args, i64 {slot}")
            b.line(f"{names[-1]} = load ptr, ptr {place}")
        give = store_to(names[3], p.contraction, strides, names[4] if with_bias else None, add)
        phase.emit(b, gemm.Pointers(*names[:3]), "%begin", "%end", give)
        body = "\n".join(b.lines)
        texts.append(f"define void @phase{i}(ptr %args, i64 %begin, i64 %end) {{\nentry:\n{body}\n  ret void\n}}")
    return "\n".join([*texts, _repeat_text([phase.chunks for phase in gemm.emit_phases(p)]), *sorted(declared)])


def _repeat_text(chunks: list[int]) -> str:
    """The function `repeat(args, times, _)`: all phases one after the other, several times."""
    b = Emitter()
    with micro.loop(b, "0", "%times"):
        for i, count in enumerate(chunks):
            b.line(f"call void @phase{i}(ptr %args, i64 0, i64 {count})")
    body = "\n".join(b.lines)
    return f"define void @repeat(ptr %args, i64 %times, i64 %unused) {{\nentry:\n{body}\n  ret void\n}}"


@dataclass
class Program:
    """Compiled phases of one plan."""

    plan: gemm.Plan
    phases: list
    module: object
    text: str

    def run(self, a, b, c, bias=None, order=None) -> None:
        """All phases on these arrays (of which only the addresses count); `order(chunks)` gives the ranges to run."""
        size = self.plan.workspace + 64
        space = np.full(size // 4 + 16, np.nan, np.float32)
        args = (ctypes.c_void_p * 5)(*(x.ctypes.data if x is not None else 0 for x in (a, b, space, c, bias)))
        args[2] = -(-args[2] // 64) * 64
        for i, phase in enumerate(self.phases):
            for begin, end in order(phase.chunks) if order else [(0, phase.chunks)]:
                self.function(f"phase{i}")(args, begin, end)

    def function(self, name: str):
        """`phase0` … as a function of (args, begin, end), `repeat` as one of (args, times, 0)."""
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
        return kind(self.module.address(name))


def compile_plan(p: gemm.Plan, strides, with_bias: bool = False, target: Target | None = None) -> Program:
    """Text, machine code and functions of a plan; strides: those of C, (batch..., m, n)."""
    text = module_text(p, strides, with_bias)
    return Program(p, gemm.emit_phases(p), llvm.load(llvm.compile_text(text, machine=target or host())), text)


def strides_of(x: np.ndarray) -> tuple[int, ...]:
    """Strides in elements."""
    return tuple(s // x.itemsize for s in x.strides)
