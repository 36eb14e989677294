"""Single computations and inference: danlu (plain and compiled) beside PyTorch eager, JAX's jit and NumPy.

    python -m bench.kernels [--rounds 15] [name ...]

Every call is settled before the next one starts. Rates are of the arithmetic or the bytes that the task needs (each array in and out
once), whatever an implementation does. How each framework writes them stands in `kernels_*.py` under the same name.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from bench.harness import Harness, Result
from bench.ratios import geometric_mean
from bench.steps import Arrays, Case, case
from bench.table import duration, ratio, table

WAYS = {"danlu": "danlu", "danlu compiled": "compiled", "torch": "PyTorch", "jax": "JAX", "numpy": "NumPy"}
PEERS = ("torch", "jax", "numpy")


class Kernel(NamedTuple):
    """One row: its arrays, how much it moves or computes (`unit`: GFLOP/s, GB/s or "" for time alone), and what it has to reach."""

    case: Case
    arrays: Callable[[], Arrays]
    amount: float
    unit: str
    target: str


def _numbers(*shapes: Sequence[int]) -> Callable[[], Arrays]:
    def arrays() -> Arrays:
        random = np.random.default_rng(0)
        return [random.standard_normal(shape).astype(np.float32) for shape in shapes]

    return arrays


def _gathered() -> Arrays:
    random = np.random.default_rng(0)
    return [random.standard_normal((100_000, 64)).astype(np.float32), random.integers(0, 100_000, 100_000)]


def _unordered() -> Arrays:
    """A million different numbers: where two are equal, unstable sorts may differ."""
    return [np.random.default_rng(0).permutation(1_000_000).astype(np.float32)]


def _row(name: str, title: str, arrays: Callable[[], Arrays], amount: float, unit: str, target: str, steps: int = 10) -> Kernel:
    made = Case(name, title, case("xor").problem, 0, steps, 0, 0, learns=False)
    return Kernel(made, arrays, amount, unit, target)


IMAGES, FILTERS, MEGA = (32, 64, 32, 32), (64, 64, 3, 3), 1_000_000
CONV = 2.0 * prod(IMAGES) * prod(FILTERS[1:])  # multiplications and additions of the forward pass
KERNELS = {
    row.case.name: row
    for row in (
        _row("gemm", "GEMM 1024³", _numbers((1024, 1024), (1024, 1024)), 2.0 * 1024**3, "GFLOP/s", "", 2),
        _row("conv", "conv2d 3×3, N32 C64 32×32, forward", _numbers(IMAGES, FILTERS), CONV, "GFLOP/s", "≥ 90 % of GEMM", 2),
        _row(
            "conv_grads",
            "the same, forward and both gradients",
            _numbers(IMAGES, FILTERS, IMAGES),
            3 * CONV,
            "GFLOP/s",
            "≥ 85 % of GEMM",
            1,
        ),
        _row("chain", "elementwise chain of 8 (one tanh) on 1e6", _numbers((MEGA,)), 8.0 * MEGA, "GB/s", "≥ 1.5 × peers", 30),
        _row("softmax", "softmax 1000²", _numbers((1000, 1000)), 8.0 * MEGA, "GB/s", "≥ 1.5 × peers", 30),
        _row(
            "layer_norm",
            "layer norm 4096×512, forward and backward",
            _numbers((4096, 512), (512,), (512,), (4096, 512)),
            16.0 * 4096 * 512,
            "GB/s",
            "≥ 1.5 × peers",
            8,
        ),
        _row("copy", "copy 2000² (NumPy, into a given array)", _numbers((2000, 2000)), 32.0 * MEGA, "GB/s", "", 10),
        _row("sum0", "sum over axis 0 of 2000²", _numbers((2000, 2000)), 16.0 * MEGA, "GB/s", "≥ 70 % of copy", 15),
        _row("sum1", "sum over axis 1 of 2000²", _numbers((2000, 2000)), 16.0 * MEGA, "GB/s", "≥ 70 % of copy", 15),
        _row("gather", "gather of 1e5 rows of 64", _gathered, 0, "", "≤ 1 × peers", 4),
        _row("cumsum", "cumsum of 1e6", _numbers((MEGA,)), 0, "", "≤ 1 × peers", 15),
        _row("argsort", "argsort of 1e6", _unordered, 0, "", "≤ 1 × peers", 1),
    )
}


def _inference(of: str, batch: int, steps: int) -> Kernel:
    def arrays() -> Arrays:
        problem = case(f"{of}:{batch}").problem()
        x = np.resize(problem.x, (batch, *problem.x.shape[1:]))
        return [x, *problem.weights]

    return _row(f"{of}_{batch}", f"{of.upper() if of != 'encoder' else of}, batch {batch}", arrays, 0, "", "", steps)


INFERENCE = {
    row.case.name: row
    for row in (
        _inference("mlp", 1, 200),
        _inference("mlp", 64, 80),
        _inference("cnn", 1, 20),
        _inference("cnn", 64, 1),
        _inference("encoder", 1, 20),
        _inference("encoder", 64, 1),
    )
}
ALL = {**KERNELS, **INFERENCE}
INFERENCE_TARGETS = (0.6, 0.9)  # plain / PyTorch eager, danlu.compile(net) / JAX


def checksum(results: Iterable[np.ndarray]) -> float:
    """The sum of absolute values; along a single axis with weights, so that an order counts.

    >>> checksum([np.array([2.0, -1.0])]), checksum([np.array([[2.0, -1.0]])])
    (4.0, 3.0)
    """
    found = 0.0
    for r in results:
        values = np.abs(np.asarray(r, np.float64))
        found += float(values @ np.linspace(1, 2, len(values))) if r.ndim == 1 else float(values.sum())
    return found


def measure(rows: Mapping[str, Kernel], names: Sequence[str], rounds: int, threads: int = 1) -> tuple[list[str], list[Result]]:
    """The harness's description and the results of the named rows (all, if none is named)."""
    results = []
    with Harness(family="kernels", threads=threads) as harness:
        for name in [n for n in names if n in rows] or rows:
            print(f"  {rows[name].case.title} ...", file=sys.stderr, flush=True)
            results.append(harness.measure(rows[name].case, rounds))
        return harness.describe(), results


def _rate(row: Kernel, result: Result, way: str) -> float | None:
    """GFLOP/s or GB/s."""
    micros = result.micros(way)
    return row.amount / micros * 1e-3 if micros and row.amount else None


def _reached(row: Kernel, result: Result, marks: Mapping[str, float]) -> str:
    """danlu's part of the mark that the target speaks of; the better of the plain and the compiled call."""
    ways = [way for way in ("danlu", "danlu compiled") if way in result.cpu]
    peers = [way for way in PEERS if way in result.cpu]
    for mark, best in marks.items():
        if row.target.endswith(mark):
            return f"**{max(_rate(row, result, way) or 0 for way in ways) / best:.0%}**" if ways else "–"
    if not ways or not peers or not row.target:
        return "–"
    ours, theirs = (min(names, key=lambda way: statistics.median(result.cpu[way])) for names in (ways, peers))
    value = result.ratio(theirs, ours=ours)
    if value is None:
        return "–"
    return f"**{1 / value:.2f}** × {WAYS[theirs]}" if row.unit else f"**{value:.2f}** × {WAYS[theirs]}"


def _marks(results: Sequence[Result]) -> dict[str, float]:
    """The best GEMM and the copy of this run."""
    found = {}
    for name, mark in (("gemm", "of GEMM"), ("copy", "of copy")):
        rates = [rate for r in results if r.case.name == name for way in r.cpu if (rate := _rate(KERNELS[name], r, way))]
        if rates:
            found[mark] = max(rates)
    return found


def _cell(row: Kernel, result: Result, way: str) -> str:
    """The rate, or the time of a call."""
    rate, micros = _rate(row, result, way), result.micros(way)
    if rate is not None:
        return f"{rate:.1f}"
    return duration(None if micros is None else micros * 1e-6)


def report(rounds: int, names: Sequence[str] = ()) -> list[str]:
    """Markdown: the table of computations."""
    described, results = measure(KERNELS, names, rounds)
    marks = _marks(results)
    rows = []
    for r in results:
        row = KERNELS[r.case.name]
        cells = [_cell(row, r, way) for way in WAYS]
        rows.append([r.case.title, row.unit or "time", *cells, _reached(row, r, marks), row.target])
    head = ["computation", "unit", *WAYS.values(), "danlu reaches", "target"]
    return ["Median of interleaved rounds, CPU time.", "", *described, "", *table(head, rows), "", *_failures(results)]


def inference(rounds: int, names: Sequence[str] = ()) -> list[str]:
    """Markdown: the table of inference."""
    described, results = measure(INFERENCE, names, rounds)
    pairs = (("danlu", "torch"), ("danlu compiled", "jax"))
    rows = []
    for r in results:
        times = [_cell(INFERENCE[r.case.name], r, way) for way in ("danlu", "danlu compiled", "torch", "jax")]
        ratios = [ratio(r, peer, "cpu", ours) for ours, peer in pairs]
        rows.append([r.case.title, *times, *ratios])
    means = [[x for r in results if (x := r.ratio(peer, ours=ours)) is not None] for ours, peer in pairs]
    rows.append(["geometric mean", *[""] * 4, *(f"**{geometric_mean(m):.2f}**" if m else "–" for m in means)])
    titles = [f"{said} (≤ {least})" for said, least in zip(("plain / PyTorch", "compiled / JAX"), INFERENCE_TARGETS)]
    head = ["inference", "danlu, plain", "danlu.compile(net)", "PyTorch eager", "JAX jit", *titles]
    return [
        "CPU time of one call, median of interleaved rounds.",
        "",
        *described,
        "",
        *table(head, rows),
        "",
        *_failures(results),
    ]


def _failures(results: Sequence[Result]) -> list[str]:
    return [f"- {r.case.title}, {way}: not timed, {why}" for r in results for way, why in r.failed.items()]


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("names", nargs="*", choices=[[], *ALL])
    given = parser.parse_args()
    if not given.names or set(given.names) & KERNELS.keys():
        print("\n".join(report(given.rounds, given.names)))
    if not given.names or set(given.names) & INFERENCE.keys():
        print("\n".join(["", *inference(given.rounds, given.names)]))


if __name__ == "__main__":
    main()
