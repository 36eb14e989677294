"""Contractions against the core's multiply-add peak and NumPy's BLAS, one thread each.

    OPENBLAS_NUM_THREADS=1 PYTHONPATH=.:tests/compile python bench/gemm.py [--rounds 15] [--avx2] [part of a name ...]

Every row is measured in rounds: peak, danlu, NumPy, one after the other, and the medians are shown, so that a slow spell
of the machine meets all three. `of peak` is danlu's share of the peak of the same rounds.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import statistics
import sys
import time
from dataclasses import replace

import numpy as np
from gemm_runner import compile_plan, strides_of

from danlu import dtype as dt
from danlu.compile import gemm, llvm, micro
from danlu.compile.emit import Emitter
from danlu.compile.target import Target, host

# name, batch, m, n, k, A transposed, B transposed
SHAPES = [
    ("512 cubed NN", (), 512, 512, 512, False, False),
    ("512 cubed NT", (), 512, 512, 512, False, True),
    ("512 cubed TN", (), 512, 512, 512, True, False),
    ("512 cubed TT", (), 512, 512, 512, True, True),
    ("1024 cubed NN", (), 1024, 1024, 1024, False, False),
    ("1024 cubed NT", (), 1024, 1024, 1024, False, True),
    ("1024 cubed TN", (), 1024, 1024, 1024, True, False),
    ("1024 cubed TT", (), 1024, 1024, 1024, True, True),
    ("odd 771 NN", (), 771, 515, 333, False, False),
    ("mlp 256 x 784 x 256 NT", (), 256, 256, 784, False, True),
    ("mlp 256 x 784 x 256 NN", (), 256, 256, 784, False, False),
    ("mlp 256 x 256 x 10 NT", (), 256, 10, 256, False, True),
    ("mlp 256 x 256 x 10 NN", (), 256, 10, 256, False, False),
    ("dW 256 x 784 TN", (), 256, 784, 256, True, False),
    ("dW 10 x 256 TN", (), 10, 256, 256, True, False),
    ("dX 256 x 10 x 256 NN", (), 256, 256, 10, False, False),
    ("small 32 x 784 x 256 NT", (), 32, 256, 784, False, True),
    ("small 32 x 784 x 256 NN", (), 32, 256, 784, False, False),
    ("digits 64 x 64 x 128 NT", (), 64, 128, 64, False, True),
    ("tiny 16 x 4 x 16 NT", (), 16, 16, 4, False, True),
    ("tiny 16 x 4 x 16 NN", (), 16, 16, 4, False, False),
    ("tiny 16 x 16 x 3 NN", (), 16, 3, 16, False, False),
    ("batch 32 of 64 cubed NN", (32,), 64, 64, 64, False, False),
    ("matvec 1024 x 1024", (), 1024, 1, 1024, False, False),
    ("vecmat 1024 x 1024", (), 1, 1024, 1024, False, False),
    ("long k 64 x 65536 x 64 TN", (), 64, 64, 65536, True, False),
]


def peak_text(target: Target, turns: int) -> str:
    """A function that does `turns` turns of 24 (or 12) independent vector multiply-adds."""
    b, lanes = Emitter(), target.vector_bytes // 4
    sums = 24 if target.registers >= 32 else 12
    x = b.splat(b.instruction("load float, ptr %args", dt.float32), lanes)
    starts = [micro.load(b, micro.at(b, "%args", str(i), dt.float32), dt.float32, lanes) for i in range(sums)]
    with micro.loop(b, "0", str(turns), 1, starts) as turn:
        turn.values = [b.fma(x, x, y) for y in turn.values]
    total = turn.values[0]
    for y in turn.values[1:]:
        total = b.add(total, y)
    micro.store(b, total, "%args")
    declared = "\n".join(b.declared)
    return "define void @peak(ptr %args) {\nentry:\n" + "\n".join(b.lines) + "\n  ret void\n}\n" + declared


def peak_function(target: Target, turns: int):
    """The compiled peak loop as a function of how often, and its flops."""
    module = llvm.load(llvm.compile_text(peak_text(target, turns), machine=target))
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(module.address("peak"))
    room = np.ones(64, np.float32)

    def run(times: int, keep=module) -> None:
        for _ in range(times):
            function(room.ctypes.data)

    flops = turns * (24 if target.registers >= 32 else 12) * target.vector_bytes // 4 * 2
    return run, flops


def narrow(target: Target) -> Target:
    """This machine with 256-bit vectors and 16 registers."""
    off = ",".join(
        f.replace("+", "-") if f.startswith("+avx512") else f for f in target.features.split(",") if f != "-prefer-256-bit"
    )
    return replace(target, features=off, vector_bytes=32, registers=16, name="AVX2")


def operands(batch, m, n, k, ta, tb, dtype):
    """Random A and B, transposed as views, and an empty C."""
    random = np.random.default_rng(0)
    a = random.standard_normal((*batch, k, m) if ta else (*batch, m, k)).astype(dtype)
    b = random.standard_normal((*batch, n, k) if tb else (*batch, k, n)).astype(dtype)
    return (a.swapaxes(-1, -2) if ta else a), (b.swapaxes(-1, -2) if tb else b), np.empty((*batch, m, n), dtype)


def prepare(shape, target: Target, dtype=np.float32, **forced):
    """(danlu, NumPy as functions of how often, flops, program, milliseconds to plan and compile). danlu repeats natively."""
    _, batch, m, n, k, ta, tb = shape
    a, b, c = operands(batch, m, n, k, ta, tb, dtype)
    contraction = gemm.Contraction(tuple(batch), m, n, k, strides_of(a), strides_of(b), 0, 0, dt.from_numpy(dtype))
    start = time.thread_time()
    program = compile_plan(gemm.plan(contraction, target, **forced), strides_of(c), target=target)
    spent = (time.thread_time() - start) * 1e3
    program.run(a, b, c)
    reference = a.astype(np.float64) @ b.astype(np.float64)
    assert np.abs(c - reference).max() <= 1e-5 * np.abs(reference).max() + 1e-4
    space = np.zeros(program.plan.workspace // 4 + 64, np.float32)
    args = (ctypes.c_void_p * 5)(a.ctypes.data, b.ctypes.data, -(-space.ctypes.data // 64) * 64, c.ctypes.data, 0)
    function = program.function("repeat")

    def ours(times: int, keep=(a, b, c, space, program)) -> None:
        function(args, times, 0)

    def numpy(times: int) -> None:
        for _ in range(times):
            np.matmul(a, b, out=c)

    return ours, numpy, 2 * int(np.prod(batch)) * m * n * k, program, spent


def seconds(function, times: int) -> float:
    """Seconds of one call on this thread's own clock, which stands while another process has the core."""
    start = time.thread_time()
    function(times)
    return (time.thread_time() - start) / times


def measure(functions, flops: int, rounds: int) -> list[float]:
    """Medians of the seconds of each function over paired rounds; the first one is the peak loop."""
    times = [20, *[max(1, int(2e8 // max(flops, 20_000)))] * (len(functions) - 1)]
    found = [[seconds(f, n) for f, n in zip(functions, times, strict=True)] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*found, strict=True)]


def describe(plan: gemm.Plan) -> str:
    """The plan in a few letters."""
    packed = "".join(name for name, source in zip("LR", plan.sources, strict=True) if source) or "-"
    tile = f"{plan.tile.rows}x{plan.tile.vectors}x{plan.tile.lanes}" + (f" u{plan.tile.unroll}" if plan.tile.unroll > 1 else "")
    chunks = "+".join(str(phase.chunks) for phase in gemm.emit_phases(plan))
    return f"{plan.variant} {plan.axis} {tile} pack {packed} chunks {chunks}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--avx2", action="store_true", help="256-bit vectors and 16 registers")
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        sys.exit("NumPy would use all cores: set OPENBLAS_NUM_THREADS=1 before Python starts")
    target = narrow(host()) if given.avx2 else host()
    peak, peak_flops = peak_function(target, 20_000)
    print(target.describe())
    print(
        f"{'contraction':28s}{'danlu':>10s}{'GFLOP/s':>9s}{'of peak':>9s}{'NumPy':>8s}{'danlu/NumPy':>13s}{'compile':>9s}  plan"
    )
    for shape in SHAPES:
        if given.names and not any(name in shape[0] for name in given.names):
            continue
        ours, numpy, flops, program, spent = prepare(shape, target)
        best, mine, other = measure((peak, ours, numpy), flops, given.rounds)
        rate, share = flops / mine / 1e9, flops / mine / (peak_flops / best)
        print(
            f"{shape[0]:28s}{mine * 1e6:8.2f}us{rate:9.1f}{share:9.1%}{flops / other / 1e9:8.1f}{other / mine:12.2f}x"
            f"{spent:7.1f}ms  {describe(program.plan)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
