"""Writes docs/accuracy.md: the greatest error of every elementwise function, and its speed.

`python tools/accuracy.py [--full] [NAME …]`: the default grid takes a minute, `--full` tries every float32 (5 to 15 minutes for a
function of one input). With names, only their rows are made anew.
"""

from __future__ import annotations

import argparse
import math
import platform
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "ops")]

from native import compiled  # noqa: E402
from precise import MPMATH, OPS, SLOW, WIDE, computed, points32, points64, worst  # noqa: E402

from danlu import dtype as dt  # noqa: E402
from danlu.compile.llvm import host_machine, version  # noqa: E402
from danlu.ops import TABLE  # noqa: E402

PAGE = ROOT / "docs" / "accuracy.md"
SLICES = 1 << 14  # of all float32: 2 MiB of numbers at a time stay in the cache
HEAD = """# Accuracy and speed of the elementwise functions

Written by `python tools/accuracy.py`. The unit is one ulp, the distance of neighbouring floats: a result rounded as well as
can be is wrong by at most 0.5. float32 is compared with float64 on the numbers that the column `of` names: `all` 2³² of them
(`--full`), or every n-th one and numbers of everyday sizes; subnormal numbers, infinities and NaN are among them. float64 is compared
with 64-bit mantissas or mpmath on random bit patterns and such numbers. Nanoseconds are per element of an array of 65,536 standard
normal numbers (their sizes where a function wants that) that lies in the cache, on one core, best of 50.
{machine}.

| function | float32: ulp | at | of | ns | float64: ulp | at | ns |
|---|---:|---|---|---:|---:|---|---:|
"""


def speed(name: str, dtype: dt.DType, count: int = 65536) -> float:
    """Nanoseconds per element."""
    op = TABLE[OPS.get(name, name)]
    x = np.random.default_rng(0).normal(size=count).astype(dtype.numpy)
    x = np.modf(x)[0] if name in ("asin", "acos", "atanh", "erfinv") else x
    if name in MPMATH:
        call = lambda: computed(name, [x])  # noqa: E731
    else:
        x = np.abs(x) if op.sample[0][2] == "positive" or name == "log1p" else x
        out, inputs = np.empty_like(x), [x] * len(op.sample)
        run = compiled(op, (dtype,) * len(inputs), dtype, ())
        call = lambda: run(out.ctypes.data, *(v.ctypes.data for v in inputs), count)  # noqa: E731
    best = float("inf")
    for _ in range(50):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best / count * 1e9


def step_of(name: str) -> int:
    """Which float32 the default grid tries."""
    return 1_000_003 if name in MPMATH else 40_009 if name in SLOW else 257


def row(name: str, full: bool) -> str:
    """One line of the table."""
    single = everything(name) if full else worst(name, points32(name, step_of(name)))
    cells = [_cells(*single), "— | —"]
    if name not in MPMATH:  # near their roots float64 terms cancel: no error relative to the result is promised
        cells[1] = _cells(*worst(name, points64(name, 2_000 if name in SLOW else 500_000)))
    grid = "all" if full else f"1/{step_of(name)}"
    return f"| {name} | {cells[0]} | {grid} | {speed(name, dt.float32):.2f} | {cells[1]} | {speed(name, dt.float64):.2f} |"


def _cells(error: float, where: tuple[float, ...]) -> str:
    """The error, rounded up, and where it is."""
    return f"{math.ceil(error * 100) / 100:.2f} | {', '.join(f'{v:.6g}' for v in where)}"


def everything(name: str) -> tuple[float, tuple[float, ...]]:
    """The greatest error over every float32, slice by slice."""
    return max(worst(name, points32(name, SLICES, offset)) for offset in range(SLICES))


def known() -> dict[str, str]:
    """The rows that stand in the page."""
    lines = PAGE.read_text("utf-8").splitlines() if PAGE.exists() else []
    return {line.split()[1]: line for line in lines if line.startswith("| ") and not line.startswith("| function")}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="every float32")
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    for name in given.names or [*WIDE, *SLOW]:
        made = row(name, given.full)
        print(made, flush=True)
        rows = {**known(), name: made}
        machine = f"Measured {time.strftime('%Y-%m-%d')} on {platform.machine()} with {compiler()}"
        lines = [rows[n] for n in [*WIDE, *SLOW] if n in rows]
        PAGE.write_text(HEAD.format(machine=machine) + "\n".join(lines) + "\n", "utf-8")


def compiler() -> str:
    """The processor and the vectors that the code was made for."""
    machine = host_machine()
    width = "AVX-512" if "+avx512f" in machine.features else "the vectors it has"
    return f"{machine.cpu}, {width}; {version()}"


if __name__ == "__main__":
    main()
