"""The table of training steps: plain danlu loops beside PyTorch eager and JAX's jitted steps.

    python -m bench.training [--rounds 15] [--threads 1] [--cores 1] [name ...]

With one thread the figures are CPU time; with more they are wall time, and mean something on an idle machine only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bench import table
from bench.harness import Harness, Result
from bench.steps import CASES


def measure(
    names: Sequence[str], rounds: int, threads: int = 1, cores: Sequence[int] | None = None, verbose: bool = False
) -> tuple[list[str], list[Result]]:
    """The harness's description and the results of the named cases (all, if none is named)."""
    results = []
    with Harness(threads=threads, cores=cores, verbose=verbose) as harness:
        for name in names or CASES:
            print(f"  {CASES[name].title}, {threads} thread{'s' * (threads > 1)} ...", file=sys.stderr, flush=True)
            results.append(harness.measure(CASES[name], rounds))
        return harness.describe(), results


def report(names: Sequence[str], rounds: int, threads: int = 1, cores: Sequence[int] | None = None, **options) -> list[str]:
    """Markdown."""
    clock = "cpu" if threads == 1 else "wall"
    described, results = measure(names, rounds, threads, cores, **options)
    said = f"{'CPU' if threads == 1 else 'Wall'} time of one step, median of {rounds} interleaved rounds; ratios are medians of paired"
    lines = [f"{said} rounds (quartiles).", "", *described, "", *table.steps(results, clock), "", *table.checks(results)]
    return lines


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cores", default="", help="the cores to keep the workers on, for example 0,1")
    parser.add_argument("--verbose", action="store_true", help="show what the workers print")
    parser.add_argument("names", nargs="*", choices=[[], *CASES])
    given = parser.parse_args()
    cores = [int(c) for c in given.cores.split(",") if c]
    print("\n".join(report(given.names, given.rounds, given.threads, cores, verbose=given.verbose)))


if __name__ == "__main__":
    main()
