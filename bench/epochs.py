"""Whole epochs: `danlu.train.fit` beside a JAX `lax.scan` over the batches, on the same data in the same order.

    python -m bench.epochs [--rounds 15] [name ...]

A timed round is some epochs of one training that goes on over all rounds: `fit` compiles its step once and then runs blocks of steps
natively; the scan is jitted over all batches of the epoch. Shown is the time of one step.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from bench.harness import Harness, Result
from bench.ratios import geometric_mean
from bench.steps import Case, Problem, case
from bench.table import duration, ratio, table


class Epochs(NamedTuple):
    """One row: the case whose network, optimizer and batch size are taken, and how many batches an epoch has."""

    case: Case
    of: str
    batches: int
    target: float  # fit / lax.scan
    micros: float | None = None  # of danlu, absolute


def _many(name: str, batches: int) -> Callable[[], Problem]:
    """So many different batches in a row, of the case's kind."""

    def problem() -> Problem:
        x, y, weights = case(name).problem()
        random = np.random.default_rng(1)
        rows = len(x) * batches
        return Problem(
            random.standard_normal((rows, *x.shape[1:])).astype(np.float32), random.integers(0, y.max() + 1, rows), weights
        )

    return problem


def _row(of: str, batches: int, epochs: int, target: float, micros: float | None = None) -> Epochs:
    whole = case(of)
    return Epochs(whole._replace(problem=_many(of, batches), steps=epochs), of, batches, target, micros)


EPOCHS = {row.of: row for row in (_row("tiny", 256, 8, 1.0, 5.0), _row("mlp32", 64, 1, 1.0))}


def measure(names: Sequence[str], rounds: int) -> tuple[list[str], list[Result]]:
    """The harness's description and the results."""
    results = []
    with Harness(family="epochs") as harness:
        for name in names or EPOCHS:
            print(f"  epochs of {EPOCHS[name].case.title} ...", file=sys.stderr, flush=True)
            results.append(harness.measure(EPOCHS[name].case, rounds))
        return harness.describe(), results


def report(rounds: int, names: Sequence[str] = ()) -> list[str]:
    """Markdown."""
    described, results = measure(names, rounds)
    rows = []
    for r in results:
        row = EPOCHS[r.case.name]
        times = [duration(None if (m := r.micros(way)) is None else m * 1e-6 / row.batches) for way in ("danlu fit", "jax scan")]
        least = f"≤ {row.target:g}" + (f"; ≤ {row.micros:g} µs" if row.micros else "")
        rows.append(
            [r.case.title, str(row.batches), *times, ratio(r, "jax scan", "cpu", "danlu fit"), least, f"{r.difference:.0e}"]
        )
    ratios = [x for r in results if (x := r.ratio("jax scan", "cpu", "danlu fit")) is not None]
    head = ["training step in an epoch", "batches", "fit", "lax.scan", "fit / lax.scan", "target", "losses agree to"]
    lines = ["CPU time of one step, median of interleaved rounds, one thread.", "", *described, "", *table(head, rows)]
    failures = [f"- {r.case.title}, {way}: not timed, {why}" for r in results for way, why in r.failed.items()]
    mean = [f"Geometric mean of fit / lax.scan: {geometric_mean(ratios):.2f}."] if ratios else []
    return [*lines, "", *failures, *mean]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("names", nargs="*", choices=[[], *EPOCHS])
    given = parser.parse_args()
    print("\n".join(report(given.rounds, given.names)))


if __name__ == "__main__":
    main()
