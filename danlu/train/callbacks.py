"""L8. Callbacks of the training loop: early stopping, checkpoints, the metrics log and a clean Ctrl-C."""

from __future__ import annotations

import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from danlu.errors import DataError
from danlu.files import write_atomic
from danlu.train.loop import INTERRUPTED, Callback, Loop, clone_state

HIGHER_IS_BETTER = ("accuracy", "r2")


class EarlyStopping(Callback):
    """Keep the weights of the best epoch, and stop after `patience` epochs that were not better.

    `monitor` is a column of the history; without one it is the validation loss, or the training loss where nothing is
    validated. Names with accuracy or r2 in them are better when higher. Of equal epochs the later one counts as best, but does
    not renew the patience. When the training ends (not when it is interrupted) the model gets the best weights.

    Raises:
        DataError: a patience below 1, or a column that the history does not have.

    >>> from danlu.train import EarlyStopping
    >>> import numpy as np
    >>> from danlu import nn
    >>> from danlu.train import fit
    >>> x, wrong = np.eye(3, dtype=np.float32), np.array([1, 2, 0])
    >>> stopping = EarlyStopping(patience=2)
    >>> len(fit(nn.Linear(3, 3), (x, np.arange(3)), (x, wrong), epochs=50, callbacks=[stopping])) - stopping.best_epoch
    2
    """

    def __init__(self, patience: int = 10, monitor: str | None = None) -> None:
        if patience < 1:
            raise DataError("patience={patience} must be at least 1 epoch", patience=patience)
        self.patience, self.monitor = patience, monitor
        self.best_value, self.best_epoch, self.waited = math.inf, 0, 0
        self.best_weights: dict[str, Any] | None = None

    def on_epoch_end(self, loop: Loop) -> None:
        """Compare the epoch with the best so far."""
        value = self._value(loop.history.rows[-1])
        self.waited = 0 if value < self.best_value else self.waited + 1
        if value <= self.best_value:
            self.best_value, self.best_epoch = value, loop.epoch
            self.best_weights = clone_state(loop.model.state_dict())
        if self.waited >= self.patience and not loop.finished:
            loop.stop = f"no better epoch in the last {self.patience} (best was {self.best_epoch})"

    def on_end(self, loop: Loop) -> None:
        """Give the model its best weights back."""
        if self.best_weights is not None and loop.stop != INTERRUPTED:
            loop.model.load_state_dict(self.best_weights)

    def _value(self, row: Mapping[str, Any]) -> float:
        """The monitored figure, turned so that lower is better."""
        name = self.monitor or ("validation_loss" if "validation_loss" in row else "loss")
        if name not in row:
            raise DataError(
                "EarlyStopping(monitor={name!r}): the history has no such column; it has {names}", name=name, names=", ".join(row)
            )
        return -row[name] if name.endswith(HIGHER_IS_BETTER) else row[name]

    def state_dict(self) -> dict[str, Any]:
        """The best epoch so far, with its weights."""
        return {"best_value": self.best_value, "best_epoch": self.best_epoch, "waited": self.waited, "weights": self.best_weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up the best epoch so far."""
        self.best_value, self.best_epoch, self.waited = state["best_value"], state["best_epoch"], state["waited"]
        self.best_weights = state["weights"]


class Checkpoint(Callback):
    """Call `save(loop)` before the first step, after epochs, and at the end.

    Saving never takes more than about `share` of the time: after an epoch it is left out while the last save is not yet
    1/share times its own duration ago. `restore(loop)`, where given, runs first and loads an earlier state.

    >>> from danlu.train import Checkpoint
    >>> import danlu, os, tempfile
    >>> import numpy as np
    >>> from danlu import nn
    >>> from danlu.train import fit
    >>> path = os.path.join(tempfile.mkdtemp(), "state.safetensors")
    >>> x, y = np.eye(3, dtype=np.float32), np.arange(3)
    >>> saving = Checkpoint(lambda loop: danlu.save(loop.state_dict(), path))
    >>> _ = fit(nn.Linear(3, 3), (x, y), epochs=2, callbacks=[saving])
    >>> danlu.load(path)["epoch"]
    2
    """

    def __init__(self, save: Callable[[Loop], None], restore: Callable[[Loop], None] | None = None, share: float = 0.05) -> None:
        self.save, self.restore, self.share = save, restore, share
        self._next = 0.0

    def on_start(self, loop: Loop) -> None:
        """Load the earlier state, or save the first one."""
        if self.restore is not None:
            self.restore(loop)
        else:
            self._save(loop)

    def on_epoch_end(self, loop: Loop) -> None:
        """Save when enough time has gone by."""
        if time.monotonic() >= self._next:
            self._save(loop)

    def on_end(self, loop: Loop) -> None:
        """Save the last state."""
        self._save(loop)

    def _save(self, loop: Loop) -> None:
        began = time.monotonic()
        self.save(loop)
        ended = time.monotonic()
        self._next = ended + (ended - began) / self.share


class MetricsLog(Callback):
    """Write one line of JSON for every epoch; when the loop starts, the file is brought in step with the loop's history.

    >>> import json, tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from danlu import nn
    >>> from danlu.train import MetricsLog, fit
    >>> path = Path(tempfile.mkdtemp()) / "metrics.jsonl"
    >>> _ = fit(nn.Linear(3, 3), (np.eye(3, dtype=np.float32), np.arange(3)), epochs=2, callbacks=[MetricsLog(path)])
    >>> [json.loads(line)["epoch"] for line in path.read_text().splitlines()]
    [1, 2]
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)

    def on_start(self, loop: Loop) -> None:
        """Write the epochs of a resumed run, or an empty file."""
        write_atomic(self.path, b"".join(map(_line, loop.history.rows)))

    def on_epoch_end(self, loop: Loop) -> None:
        """Append the epoch."""
        try:
            with open(self.path, "ab") as file:
                file.write(_line(loop.history.rows[-1]))
        except OSError as error:
            raise DataError("cannot write {path}: {problem}", path=self.path, problem=error.strerror or error) from error


def _line(row: Mapping[str, Any]) -> bytes:
    return (json.dumps(row) + "\n").encode()


class Interrupt(Callback):
    """Ctrl-C ends the loop after the current step, with `loop.stop == INTERRUPTED`; a second one raises KeyboardInterrupt.

    Only the main thread can take signals; in any other thread this does nothing. `notify` is called with a line of text at the
    first Ctrl-C, from the signal handler: it must not use a buffered stream, which may be in the middle of a write.

    >>> import signal
    >>> import numpy as np
    >>> from danlu import nn
    >>> from danlu.train import Callback, Interrupt, fit
    >>> class PressCtrlC(Callback):
    ...     def on_step(self, loop):
    ...         signal.raise_signal(signal.SIGINT)
    >>> data = np.eye(3, dtype=np.float32), np.arange(3)
    >>> fit(nn.Linear(3, 3), data, batch_size=1, callbacks=[PressCtrlC(), Interrupt()])
    History(epochs=0, stop='interrupted')
    """

    sees_every_step = False

    def __init__(self, notify: Callable[[str], None] | None = None) -> None:
        self.notify = notify
        self._asked = False
        self._before: Any = None

    def on_start(self, loop: Loop) -> None:
        """Take over SIGINT."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._handle)

    def _handle(self, number: int, frame: Any) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        if self.notify is not None:
            self.notify("stopping after this step; Ctrl-C again ends at once, without saving")

    def on_step(self, loop: Loop) -> None:
        """Pass the wish on to the loop."""
        if self._asked and not loop.stop:
            loop.stop = INTERRUPTED

    def close(self) -> None:
        """Give SIGINT back."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
