"""`danlu train digits` as a whole process, with an empty and with a warm cache.

    python -m bench.train_digits [--processes 3] [--threads N]

Targets: ≤ 10 s with an empty cache, ≤ 5 s with a warm one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from bench.process import Life, ProcessError, python
from bench.table import duration, table

COMMAND = "import sys; from danlu.cli import main; sys.exit(main())"
TARGETS = {"empty cache": 10, "warm cache": 5}


def _train(cache: Path, threads: int | None) -> tuple[Life, dict]:
    """One process, and what its line of JSON says."""
    with tempfile.TemporaryDirectory() as out:
        life = python(
            ["-c", COMMAND, "train", "digits", "--quiet", "--json", "--out", out], {"DANLU_CACHE_DIR": str(cache)}, threads
        )
    return life, json.loads(life.output.splitlines()[-1])


def _row(kind: str, runs: list[tuple[Life, dict]]) -> list[str]:
    middle = [duration(statistics.median(getattr(life, key) for life, _ in runs)) for key in ("wall", "cpu")]
    said = runs[-1][1]
    inside = ", ".join(f"{key} {value:.2f}" for key, value in said["seconds"].items())
    return [kind, *middle, f"≤ {TARGETS[kind]} s", inside, json.dumps(said["test"])]


def report(processes: int, threads: int | None = None) -> list[str]:
    """Markdown."""
    print("  danlu train digits ...", file=sys.stderr, flush=True)
    cold, warm = [], []
    try:
        for _ in range(processes):
            with tempfile.TemporaryDirectory() as folder:
                cold.append(_train(Path(folder), threads))
                warm.append(_train(Path(folder), threads))
    except ProcessError as error:
        return [f"`danlu train digits` failed: {error}"]
    rows = [_row("empty cache", cold), _row("warm cache", warm)]
    return table(["danlu train digits", "wall", "CPU", "target (wall)", "seconds as the command tells them", "test"], rows)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--threads", type=int, help="default: danlu's own choice")
    given = parser.parse_args()
    print("\n".join(report(given.processes, given.threads)))


if __name__ == "__main__":
    main()
