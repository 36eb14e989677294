"""All benchmarks in one run: prints them and writes bench/RESULTS.md.

python -m bench [--rounds 15] [--processes 5] [--quick] [--out FILE]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import danlu
from bench import busy, costs, epochs, kernels, machine, startup, tiny_step, train_digits, training
from bench.process import ProcessError, python

HERE = Path(__file__).resolve().parent
# Measurements that are scripts of their own, and where they find what they import.
SCRIPTS = {"gemm.py": ("GEMM", "tests/compile"), "runtime.py": ("Runtime", "")}


def script(name: str) -> list[str]:
    """What a script prints, as a block."""
    _, path = SCRIPTS[name]
    print(f"  bench/{name} ...", file=sys.stderr, flush=True)
    start = f"import sys, runpy; sys.path.insert(0, {str(HERE.parent / path)!r}); sys.argv = [{name!r}]; "
    try:
        life = python(["-c", start + f"runpy.run_path({str(HERE / name)!r}, run_name='__main__')"])
    except ProcessError as error:
        return [f"`bench/{name}` failed: {str(error).splitlines()[-1]}"]
    return ["```", *life.output.rstrip().splitlines(), "```"]


def sections(rounds: int, processes: int) -> Iterator[tuple[str, list[str]]]:
    """Title and lines of each part, measured when it is asked for."""
    yield "One step of a tiny MLP", tiny_step.report(rounds)
    yield "Training steps, one thread", training.report([], rounds)
    if len(machine.cores()) > 1:
        yield "Training steps, two threads", training.report([], rounds, threads=2)
        yield "Two threads beside a busy process", busy.report(rounds)
    yield "`fit` beside `lax.scan`, one thread", epochs.report(rounds)
    yield "Single computations, one thread", kernels.report(rounds)
    yield "Inference, one thread", kernels.inference(rounds)
    yield "Start-up", startup.report(processes)
    yield "Cost by depth, memory, second batch size, bits", costs.report(rounds, processes)
    yield "`danlu train digits`, the whole process", train_digits.report(max(1, processes // 2))
    for name, (title, _) in SCRIPTS.items():
        if (HERE / name).exists():
            yield title, script(name)


def commit() -> str:
    """The commit that is measured, with a + where files differ from it."""
    try:
        told = subprocess.run(["git", "describe", "--always", "--dirty=+"], cwd=HERE, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return told.stdout.strip()


def main() -> None:
    """Prints all parts and writes them to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="5 rounds, 1 process: to see that all works")
    parser.add_argument("--out", type=Path, default=HERE / "RESULTS.md")
    given = parser.parse_args()
    rounds, processes = (5, 1) if given.quick else (given.rounds, given.processes)
    head = ["# Results", "", "Written by `python -m bench`; what is measured and how stands in [README.md](README.md).", ""]
    lines = [*head, *machine.describe(danlu.__version__), f"- commit {commit()}"]
    print("\n".join(lines))
    for title, body in sections(rounds, processes):
        part = ["", f"## {title}", "", *body]
        lines += part
        print("\n".join(part), flush=True)
    lines += ["", f"Load average at the end: {machine.load()}."]
    given.out.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
