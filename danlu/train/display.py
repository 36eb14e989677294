"""L8. What a running training shows: a live bar in a terminal, plain lines elsewhere. The one importer of rich's progress bar."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from danlu.train.loop import Callback, Loop

REFRESH = 0.1  # seconds between two updates of the bar
LINE_EVERY = 2.0  # seconds between two plain lines at most, besides the first and the last


def progress(stream: TextIO | None = None) -> Callback:
    """The live bar when `stream` (stdout by default) is a terminal, plain lines otherwise.

    >>> from danlu.train import progress
    >>> import io
    >>> import numpy as np
    >>> from danlu import nn
    >>> from danlu.train import fit
    >>> lines = io.StringIO()
    >>> _ = fit(nn.Linear(3, 3), (np.eye(3, dtype=np.float32), np.arange(3)), epochs=2, callbacks=[progress(lines)])
    >>> lines.getvalue().split()[:4]
    ['epoch', '1/2', 'step', '1']
    """
    out: TextIO = sys.stdout if stream is None else stream
    return ProgressBar() if out.isatty() else ProgressLines(lambda text: print(text, file=out, flush=True))


def figures(row: Mapping[str, Any]) -> str:
    """The figures of one epoch in words.

    >>> figures({"epoch": 1, "loss": 0.5, "validation_loss": 0.25, "validation_accuracy": 0.9})
    'loss 0.5000  validation loss 0.2500  validation accuracy 90.0 %'
    """
    shown = {name: value for name, value in row.items() if name == "loss" or name.startswith("validation")}
    return "  ".join(f"{name.replace('_', ' ')} {figure(name, value)}" for name, value in shown.items())


def figure(name: str, value: float) -> str:
    """One figure: a share in per cent for accuracies, else about four digits.

    >>> figure("accuracy", 0.975), figure("rmse", 51234.5), figure("loss", 0.01234)
    ('97.5 %', '51,234', '0.0123')
    """
    if name.endswith("accuracy"):
        return f"{100 * value:.1f} %"
    if 1e3 <= abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 10 else f"{value:.4g}"


class ProgressLines(Callback):
    """A line for the first epoch, for the last, and at most one every LINE_EVERY seconds between."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.write = write
        self._last_time, self._last_row = 0.0, 0

    def on_epoch_end(self, loop: Loop) -> None:
        """Write the epoch's line, if it is time for one."""
        if time.monotonic() - self._last_time >= LINE_EVERY:
            self._show(loop)

    def on_end(self, loop: Loop) -> None:
        """Write the last epoch's line, unless it stands there already."""
        if len(loop.history) > self._last_row:
            self._show(loop)

    def _show(self, loop: Loop) -> None:
        row = loop.history.rows[-1]
        self._last_time, self._last_row = time.monotonic(), len(loop.history)
        self.write(
            f"epoch {row['epoch']}/{loop.epochs}  step {row['step']}  {figures(row)}  {row['samples_per_second']:,} samples/s"
        )


class ProgressBar(Callback):
    """A live bar: epoch, step, loss, validation figures, samples a second, time left."""

    sees_every_step = False

    def __init__(self, console: Any = None) -> None:
        self.console = console
        self._bar: Any = None
        self._next = 0.0

    def on_start(self, loop: Loop) -> None:
        """Open the bar."""
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=self.console, transient=True)
        total = loop.epochs * loop.steps_per_epoch
        self._task = self._bar.add_task("train", total=total, epoch=f"0/{loop.epochs}", figures="")
        self._began, self._rows_before = time.monotonic(), loop.rows_seen
        self._bar.start()

    def on_step(self, loop: Loop) -> None:
        """Move the bar, at most every REFRESH seconds: a step of a small network is shorter than an update."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + REFRESH
            self._update(loop, now)

    def _update(self, loop: Loop, now: float) -> None:
        speed = (loop.rows_seen - self._rows_before) / max(now - self._began, 1e-9)
        row = {"loss": loop.recent_loss} if math.isfinite(loop.recent_loss) else {}  # no loss was read yet
        last = loop.history.rows[-1] if loop.history.rows else {}
        row |= {name: value for name, value in last.items() if name.startswith("validation_") and name != "validation_loss"}
        text = f"step {loop.step}  {figures(row)}  {speed:,.0f} samples/s"
        self._bar.update(self._task, completed=loop.step, epoch=f"{min(loop.epoch + 1, loop.epochs)}/{loop.epochs}", figures=text)

    def on_end(self, loop: Loop) -> None:
        """Show the last state."""
        self._update(loop, time.monotonic())

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
