"""Runs the `emit` of one elementwise op on arrays: one loop over vectors of 16 lanes, then one over single elements.

The compiler proper is not needed for it, so an op can be tested by itself; tools/accuracy.py uses it too.
"""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np

from danlu import dtype as dt
from danlu.compile.emit import Emitter, Value, ir_type
from danlu.compile.llvm import Module, compile_text, load
from danlu.compile.target import host
from danlu.dtype import DType
from danlu.graph import Op, Spec
from danlu.ops.table import operand_dtype

LANES = 16
_ALIVE: list[Module] = []  # code lives as long as its module


def _memory(dtype: DType, lanes: int) -> str:
    return ir_type(dt.uint8 if dtype is dt.bool_ else dtype, lanes)


def _load(b: Emitter, pointer: str, index: str, dtype: DType, lanes: int) -> Value:
    place, kind = b.name("p"), _memory(dtype, lanes)
    b.line(f"{place} = getelementptr {_memory(dtype, 1)}, ptr {pointer}, i64 {index}")
    if dtype is dt.bool_:
        return b.cast(b.instruction(f"load {kind}, ptr {place}, align 1", dt.uint8, lanes), dt.bool_)
    return _register(b, b.instruction(f"load {kind}, ptr {place}, align 1", dtype, lanes))


def _register(b: Emitter, x: Value) -> Value:
    return b.cast(x, dt.float32) if x.dtype is dt.float16 else x


def _store(b: Emitter, x: Value, pointer: str, index: str, dtype: DType, lanes: int) -> None:
    if dtype in (dt.bool_, dt.float16):
        x = b.cast(x, dt.uint8 if dtype is dt.bool_ else dtype)
    x = b.splat(x, lanes)
    place = b.name("p")
    b.line(f"{place} = getelementptr {_memory(dtype, 1)}, ptr {pointer}, i64 {index}")
    b.line(f"store {x!r}, ptr {place}, align 1")


def _loop(b: Emitter, lanes: int, stop: str, before: str, start: str, body) -> str:
    """for (i = start; i + lanes <= stop; i += lanes); gives the label that follows."""
    head, inside, after, index, following, fits = (b.name(s) for s in ("head", "body", "after", "i", "next", "fits"))
    latch = b.name("latch")
    b.line(f"br label {head}")
    b.label(head)
    b.line(f"{index} = phi i64 [ {start}, {before} ], [ {following}, {latch} ]")
    b.line(f"{following} = add i64 {index}, {lanes}")
    b.line(f"{fits} = icmp sle i64 {following}, {stop}")
    b.line(f"br i1 {fits}, label {inside}, label {after}")
    b.label(inside)
    body(index)
    b.line(f"br label {latch}")
    b.label(latch)
    b.line(f"br label {head}")
    b.label(after)
    return index, after


def text_of(op: Op, ins: tuple[DType, ...], out: DType, attrs: tuple, scales: bool) -> str:
    """The module that holds `void run(out, in…, n)`."""
    b = Emitter()
    b.scales = scales
    named = dict(zip(op.attrs, attrs))

    def body(lanes: int):
        def write(index: str) -> None:
            xs = [_load(b, f"%in{k}", index, d, lanes) for k, d in enumerate(ins)]
            _store(b, op.emit(b, *xs, **named), "%out", index, out, lanes)

        return write

    last, label = _loop(b, LANES, "%n", "%entry", "0", body(LANES))
    _loop(b, 1, "%n", label, last, body(1))
    parameters = ", ".join(["ptr noalias %out", *(f"ptr noalias %in{k}" for k in range(len(ins))), "i64 %n"])
    lines = [*sorted(b.declared), f"define void @run({parameters}) {{", "entry:", *b.lines, "  ret void", "}"]
    return "\n".join(lines) + "\n"


@cache
def compiled(op: Op, ins: tuple[DType, ...], out: DType, attrs: tuple, scales: bool = host().name == "AVX-512"):
    """The machine code as a Python function of addresses."""
    module = load(compile_text(text_of(op, ins, out, attrs, scales)))
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (1 + len(ins)), ctypes.c_int64)(module.address("run"))
    _ALIVE.append(module)
    return function


def operands(op: Op, arrays: tuple[np.ndarray, ...], attrs: tuple) -> tuple[list[np.ndarray], DType]:
    """The arrays in the dtypes in which the op computes them, and the dtype of its result."""
    specs = tuple(Spec(a.shape, dt.from_numpy(a.dtype)) for a in arrays)
    out = op.result(specs, attrs)
    wanted = operand_dtype(op, specs, out)
    return [np.ascontiguousarray(a if d is None else a.astype(d.numpy)) for a, d in zip(arrays, wanted)], out.dtype


def native(op: Op, *arrays: np.ndarray, **attrs) -> np.ndarray:
    """The op computed by its own machine code; arrays of one shape."""
    values = tuple(attrs[a] for a in op.attrs)
    ins, dtype = operands(op, arrays, values)
    out = np.empty(arrays[0].shape, dtype.numpy)
    run = compiled(op, tuple(dt.from_numpy(a.dtype) for a in ins), dtype, values)
    run(out.ctypes.data, *(a.ctypes.data for a in ins), out.size)
    return out


def reference(op: Op, *arrays: np.ndarray, **attrs) -> np.ndarray:
    """The op computed by its NumPy reference, with the same conversions before it."""
    ins, dtype = operands(op, arrays, tuple(attrs[a] for a in op.attrs))
    with np.errstate(all="ignore"):
        out = op.numpy(*ins, **attrs)
    if out.dtype != dtype.numpy:
        raise TypeError(f"{op.name}: the reference gives {out.dtype}, the shape rule says {dtype.name}")
    return out


def ulps(got: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The error in units of the last place of `got`'s dtype; `wanted` in a wider type. Where either is not finite: 0 if equal."""
    info = np.finfo(got.dtype)
    if info.bits == 32:
        return _single_ulps(got, wanted.astype(np.float64, copy=False))
    finite = np.isfinite(wanted) & np.isfinite(got)
    size = np.where(finite, np.abs(wanted), 1).astype(np.longdouble)
    exponent = np.maximum(np.frexp(size)[1] - 1, info.minexp)
    step = np.ldexp(np.longdouble(1), exponent + info.machep)
    error = np.abs(np.where(finite, got, 0).astype(np.longdouble) - np.where(finite, wanted, 0)) / step
    rounded = wanted.astype(got.dtype)
    same = (rounded == got) | (np.isnan(got) & np.isnan(wanted))
    return np.where(finite, error, np.where(same, 0, np.inf)).astype(np.float64)


def _single_ulps(got: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """`ulps` of float32 against float64: by the bits of the exponent, ten times faster, for the grids of all numbers."""
    exponent = np.maximum((wanted.view(np.int64) >> 52) & 0x7FF, 1023 - 126)
    per_step = ((2 * 1023 + 23 - exponent) << 52).view(np.float64)
    with np.errstate(all="ignore"):
        error = np.abs(got - wanted) * per_step
        odd = np.flatnonzero(~(np.isfinite(error) & np.isfinite(got)))
        g, w = got[odd], wanted[odd]
        error[odd] = np.where((w.astype(np.float32) == g) | (np.isnan(g) & np.isnan(w)), 0, np.inf)
    return error
