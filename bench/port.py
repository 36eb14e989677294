"""Scripts of plain PyTorch code under PyTorch and under `danlu run`: the same lines, the same figure, the time that each takes.

    python -m bench.port FOLDER [--threads 1] [--only lenet|gpt] [--seeds 1]

FOLDER holds MNIST's 10,000 test images (`*t10k-images-idx3-ubyte.gz` and the labels) and a text, `tinyshakespeare.txt`. Times are of whole
processes, import and compilation included; danlu's compiled programs are kept in an empty folder. Targets: LeNet ≥ 98 % and both within
0.5 points; GPT ≤ 1.70 nats per character, both within 0.03, and danlu's time ≤ 0.7 of PyTorch's.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import danlu
from bench import machine
from bench.process import Life, python
from bench.table import duration, table

SCRIPTS = Path(__file__).resolve().parent / "scripts"
# name → script, the file or folder that it reads, what its last line tells, the target
CASES = {
    "lenet": ("lenet_mnist.py", "", "test accuracy", "≥ 0.98, within 0.005"),
    "gpt": ("char_gpt.py", "tinyshakespeare.txt", "validation loss", "≤ 1.70, within 0.03, CPU ≤ 0.7"),
}
WAYS = {"PyTorch": (), "danlu run": ("-m", "danlu.cli", "run")}


def figure(life: Life) -> float:
    """The number at the end of what a script prints."""
    return float(life.output.split()[-1])


def measure(case: str, folder: Path, threads: int, seed: int, options: tuple[str, ...] = ()) -> dict[str, Life]:
    """One process of each way, one after the other."""
    script, data, *_ = CASES[case]
    lives = {}
    for way, words in WAYS.items():
        print(f"  {script} under {way}, seed {seed} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as cache:
            command = [*words, str(SCRIPTS / script), str((folder / data).resolve()), "--seed", str(seed), *options]
            lives[way] = python(command, {"DANLU_CACHE_DIR": cache}, threads)
    return lives


def row(case: str, runs: list[dict[str, Life]]) -> list[str]:
    """Means of the figures, medians of the times, and danlu's CPU time over PyTorch's in the same run."""
    script, _, what, target = CASES[case]
    means = [statistics.fmean(figure(run[way]) for run in runs) for way in WAYS]
    cells = [f"{script}, {what}", *(f"{mean:.4f}" for mean in means), f"{means[1] - means[0]:+.4f}"]
    for clock in ("cpu", "wall"):
        cells += [duration(statistics.median(getattr(run[way], clock) for run in runs)) for way in WAYS]
    ratio = statistics.median(run["danlu run"].cpu / run["PyTorch"].cpu for run in runs)
    return [*cells, f"**{ratio:.2f}**", target]


def report(folder: Path, cases: list[str], threads: int = 1, seeds: int = 1) -> list[str]:
    """Markdown."""
    head = ["script", *WAYS, "difference", *(f"{way}, {clock}" for clock in ("CPU", "wall") for way in WAYS)]
    rows = [row(case, [measure(case, folder, threads, seed) for seed in range(seeds)]) for case in cases]
    return table([*head, "CPU, danlu / PyTorch", "target"], rows)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--seeds", type=int, default=1, help="figures are means over so many seeds")
    given = parser.parse_args()
    cases = [given.only] if given.only else list(CASES)
    about = [*machine.describe(danlu.__version__), f"- {given.threads} thread(s), {given.seeds} seed(s)", ""]
    print("\n".join([*about, *report(given.folder, cases, given.threads, given.seeds)]))


if __name__ == "__main__":
    main()
