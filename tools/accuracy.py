"""Writes docs/accuracy.md: the greatest error of every elementwise function, and its speed.

`python tools/accuracy.py [--full] [NAME …]`: the default grid takes a minute, `--full` tries every float32 (hours).
With names, prints their rows and writes nothing.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "ops")]

from native import compiled  # noqa: E402
from precise import SLOW, WIDE, points32, points64, worst  # noqa: E402

from danlu import dtype as dt  # noqa: E402
from danlu.compile.llvm import host_machine, version  # noqa: E402
from danlu.ops import TABLE  # noqa: E402

HEAD = """# Accuracy and speed of the elementwise functions

Written by `python tools/accuracy.py`. The unit is one ulp, the distance of neighbouring floats: a result rounded as well as
can be is wrong by at most 0.5. float32 is compared with float64 on every {step}th float32 (the last three on every {slow_step}th;
subnormal numbers, infinities and NaN are among them) and on numbers of everyday sizes; float64 with 64-bit mantissas or
mpmath on random bit patterns and such numbers. Nanoseconds are per element of an array of 65,536 standard normal numbers
(their sizes where a function wants that) that lies in the cache, on one core, best of 50. {machine}.

| function | float32: ulp | at | ns | float64: ulp | at | ns |
|---|---:|---|---:|---:|---|---:|
"""


def speed(name: str, dtype: dt.DType, count: int = 65536) -> float:
    """Nanoseconds per element."""
    op = TABLE[name]
    x = np.random.default_rng(0).normal(size=count).astype(dtype.numpy)
    x = np.modf(x)[0] if name in ("asin", "acos", "atanh", "erfinv") else x
    x = np.abs(x) if op.sample[0][2] == "positive" or name == "log1p" else x
    out, inputs = np.empty_like(x), [x] * len(op.sample)
    run = compiled(op, (dtype,) * len(inputs), dtype, ())
    best = float("inf")
    for _ in range(50):
        start = time.perf_counter()
        run(out.ctypes.data, *(v.ctypes.data for v in inputs), count)
        best = min(best, time.perf_counter() - start)
    return best / count * 1e9


def row(name: str, step: int, count: int) -> str:
    """One line of the table."""
    cells = [name]
    for dtype, points in ((dt.float32, points32(name, step)), (dt.float64, points64(name, count))):
        error, where = worst(name, points)
        cells += [f"{error:.2f}", ", ".join(f"{v:.6g}" for v in where), f"{speed(name, dtype):.2f}"]
    return "| " + " | ".join(cells) + " |"


def everything(name: str) -> str:
    """The row of every float32, slice by slice, so that memory suffices."""
    slices = [worst(name, points32(name, 64, offset)) for offset in range(64)]
    error, where = max(slices)
    return f"{name}: {error:.3f} ulp at {where}"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="every float32")
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    step, slow_step, names = 257, 40_009, given.names or [*WIDE, *SLOW]
    rows = []
    for name in names:
        if given.full:
            print(everything(name), flush=True)
            continue
        rows.append(row(name, slow_step if name in SLOW else step, 2_000 if name in SLOW else 500_000))
        print(rows[-1], flush=True)
    if not given.names and not given.full:
        machine = f"Measured {time.strftime('%Y-%m-%d')} on {platform.machine()} with {compiler()}"
        text = HEAD.format(step=step, slow_step=slow_step, machine=machine) + "\n".join(rows) + "\n"
        (ROOT / "docs").mkdir(exist_ok=True)
        (ROOT / "docs" / "accuracy.md").write_text(text, "utf-8")


def compiler() -> str:
    """The processor and the vectors that the code was made for."""
    machine = host_machine()
    width = "AVX-512" if "+avx512f" in machine.features else "the vectors it has"
    return f"{machine.cpu}, {width}; {version()}"


if __name__ == "__main__":
    main()
