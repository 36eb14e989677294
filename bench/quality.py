"""What `danlu train` reaches with its default options: accuracy, error, time, and the same bits on any number of threads.

    python -m bench.quality [--seeds 10] [--mnist FOLDER] [--california FILE]

Targets: digits mean ≥ 97.5 % and none below 96.0 %; MNIST (10,000 images) ≥ 95.0 %; California housing RMSE ≤ 55,000 within 20 s;
model.safetensors bit-identical on 1, 2, 4 and 8 threads.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
from pathlib import Path

from bench.process import python
from bench.table import table
from bench.train_digits import COMMAND

THREADS = (1, 2, 4, 8)


def train(what: list[str], *options: str) -> tuple[dict, str]:
    """The JSON of one training, and the digest of its model."""
    with tempfile.TemporaryDirectory() as out:
        life = python(["-c", COMMAND, "train", *what, "--quiet", "--json", "--out", out, *options], {}, None)
        said = json.loads(life.output.splitlines()[-1])
        model = Path(said["run"]) / "model.safetensors"
        return said, hashlib.sha256(model.read_bytes()).hexdigest()[:16]


def _row(title: str, what: list[str], seeds: int, target: str, scale: float, form: str) -> list[str]:
    print(f"  {title} ...", file=sys.stderr, flush=True)
    runs = [train(what, "--seed", str(seed))[0] for seed in range(seeds)]
    tests = [run["test"] * scale for run in runs]
    seconds = statistics.median(run["seconds"]["total"] for run in runs)
    low, high = format(min(tests), form), format(max(tests), form)
    return [title, str(seeds), format(statistics.fmean(tests), form), f"{low} … {high}", target, f"{seconds:.1f}"]


def report(seeds: int, mnist: Path | None, california: Path | None) -> list[str]:
    """Markdown."""
    rows = [_row("digits, test accuracy %", ["digits"], seeds, "mean ≥ 97.5, none < 96.0", 100, ".2f")]
    few = max(1, seeds // 3)
    if mnist is not None:
        rows.append(_row("MNIST-10k, test accuracy %", [str(mnist)], few, "≥ 95.0", 100, ".2f"))
    if california is not None:
        what = [str(california), "--target", "median_house_value"]
        rows.append(_row("California housing, test RMSE", what, few, "≤ 55,000 within 20 s", 1, ",.0f"))
    digests = {threads: train(["digits"], "--threads", str(threads))[1] for threads in THREADS}
    same = "identical" if len(set(digests.values())) == 1 else f"DIFFERENT: {digests}"
    head = ["danlu train, default options", "seeds", "mean", "from … to", "target", "seconds (median)"]
    return [*table(head, rows), "", f"model.safetensors of digits on {', '.join(map(str, THREADS))} threads: {same}"]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--mnist", type=Path, help="a folder of MNIST's IDX files")
    parser.add_argument("--california", type=Path, help="the CSV of California housing")
    given = parser.parse_args()
    print("\n".join(report(given.seeds, given.mnist, given.california)))


if __name__ == "__main__":
    main()
