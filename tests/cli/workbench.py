"""What the tests of the commands share: a small table, the command in this process, a Ctrl-C at a given step."""

from __future__ import annotations

import signal

import numpy as np
import pytest

from danlu import cli
from danlu.train.loop import Callback

pd = pytest.importorskip("pandas")


def write_table(path="table.csv", rows=120, seed=0):
    """Two numbers with holes, a category, a class that follows from them, a value that follows from them."""
    generator = np.random.default_rng(seed)
    a, b = generator.normal(size=rows), generator.normal(size=rows)
    colour = generator.choice(["red", "green", "blue"], rows)
    kind = np.where(a + b + (colour == "red") > 0, "yes", "no")
    frame = pd.DataFrame(
        {"a": a.round(3), "b": b.round(3), "colour": colour, "kind": kind, "price": (1000 * (3 * a - b + 5)).round(2)}
    )
    frame.loc[::9, "a"] = np.nan
    frame.to_csv(path, index=False)
    return path


def run(*words: str) -> int:
    return cli.main([str(word) for word in words])


class StopAt(Callback):
    """Sends Ctrl-C at a step."""

    def __init__(self, step: int, times: int = 1) -> None:
        self.step, self.times = step, times

    def on_step(self, loop):
        if loop.step == self.step:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)


def interrupted(monkeypatch, step: int, *words: str, times: int = 1) -> int:
    """Train the table with Ctrl-C at a step."""
    with monkeypatch.context() as patched:
        patched.setattr(cli, "progress", lambda: StopAt(step, times))
        return run(
            "train",
            write_table(),
            "--hidden",
            "8",
            "--epochs",
            "6",
            "--batch-size",
            "16",
            "--dropout",
            "0.3",
            "--target",
            "kind",
            *words,
        )
