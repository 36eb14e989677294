"""L8. The training loop: epochs, steps, its whole state for resuming, and what callbacks may hook into."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from danlu import random
from danlu.data.loader import DataLoader
from danlu.errors import DataError, NumericError
from danlu.messages import Phrase, message
from danlu.nn import Module
from danlu.optim import Optimizer
from danlu.replay import CompiledFunction
from danlu.tensor import Tensor
from danlu.tensor.exchange import from_numpy
from danlu.train.blame import origin_of_fault
from danlu.train.evaluation import predict
from danlu.train.metrics import Metric

INTERRUPTED = "interrupted"  # the `stop` of a loop that shall be gone on with
READ_EVERY = (
    64  # steps between two readings of the losses: a reading costs a flush, a NaN is noticed this late (or after a blink)
)
MOST = 512  # steps that run without Python
BLINK = 0.05  # seconds of steps that run without Python
Schedule = Callable[[float], float]
LossFunction = Callable[[Tensor, Tensor], Tensor]
Part = tuple[np.ndarray, np.ndarray]


class Callback:
    """What happens around the loop; a subclass overrides what it needs.

    `on_start`, `on_step` and `on_epoch_end` run in the order of the list, `on_end` and `close` in the reverse order, so
    that what came first sees what the others left. `loop.stop = "reason"` ends the training after the current step
    (from `on_step`) or epoch.

    >>> import numpy as np
    >>> from danlu.train import Callback
    >>> from danlu import nn
    >>> from danlu.train import fit
    >>> class StopEarly(Callback):
    ...     def on_step(self, loop):
    ...         loop.stop = "enough" if loop.step == 2 else ""
    >>> fit(nn.Linear(3, 3), (np.eye(3, dtype=np.float32), np.arange(3)), epochs=5, batch_size=1, callbacks=[StopEarly()])
    History(epochs=0, stop='enough')
    """

    sees_every_step = True  # of one that overrides `on_step`; False: several steps may run before it is called

    def on_start(self, loop: Loop) -> None:
        """Before the first step; a place to load a saved state."""

    def on_step(self, loop: Loop) -> None:
        """After every optimizer step."""

    def on_epoch_end(self, loop: Loop) -> None:
        """After the epoch's row stands in `loop.history`."""

    def on_end(self, loop: Loop) -> None:
        """After the last epoch, or when the loop was stopped."""

    def close(self) -> None:
        """At the very end, also after an error."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know of this callback."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` gave."""


class History:
    """One row an epoch: `history["loss"]` is a column, `history.rows[-1]` the last epoch, `history.stop` why it ended.

    >>> from danlu.train import History
    >>> history = History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    >>> history["loss"]
    [0.5, 0.25]
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]] = (), stop: str = "") -> None:
        self.rows = [dict(row) for row in rows]
        self.stop = stop

    def __getitem__(self, name: str) -> list[Any]:
        if not any(name in row for row in self.rows):
            names = ", ".join(self.rows[0]) if self.rows else Phrase("no epoch has ended yet")
            raise KeyError(message("the history has no column {name!r}; it has: {names}", name=name, names=names))
        return [row.get(name) for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"History(epochs={len(self)}, stop={self.stop!r})"


def constant(progress: float) -> float:
    """The schedule that leaves the learning rate alone."""
    return 1.0


def cosine(progress: float) -> float:
    """A warm-up over the first 5 % of the steps, then half a cosine down to zero.

    factor(p) = min(1, p / 0.05) (1 + cos(πp)) / 2,  p in (0, 1)

    Source: I. Loshchilov and F. Hutter, "SGDR", 2017, equation (5), without restarts.

    >>> cosine(0.0), round(cosine(0.5), 6)
    (0.0, 0.5)
    """
    return min(1.0, progress / 0.05) * 0.5 * (1.0 + math.cos(math.pi * progress))


SCHEDULES: dict[str, Schedule] = {"constant": constant, "cosine": cosine}


def clone_state(value: Any) -> Any:
    """A copy of a state whose tensors share nothing with the original."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, Mapping):
        return {key: clone_state(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(clone_state(item) for item in value)
    return value


class Loop:
    """The state of one training and its engine; made by `fit`, handed to every callback.

    `epoch` counts the finished epochs, `step` all steps, `position` the steps of the current epoch; `recent_loss` is the
    last loss that was read; `stop` the reason to end, empty while there is none.

    >>> import numpy as np
    >>> from danlu.train import Callback
    >>> from danlu import nn
    >>> from danlu.train import fit
    >>> class Show(Callback):
    ...     def on_end(self, loop):
    ...         print(loop.epoch, loop.step, loop.steps_per_epoch, loop.finished)
    >>> _ = fit(nn.Linear(3, 3), (np.eye(3, dtype=np.float32), np.arange(3)), epochs=2, batch_size=2, callbacks=[Show()])
    2 4 2 True
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        loss: LossFunction,
        loader: DataLoader,
        validation: Part | None,
        metrics: Mapping[str, Metric],
        epochs: int,
        schedule: Schedule,
        callbacks: Sequence[Callback],
        compiled: bool = True,
    ) -> None:
        self.model, self.optimizer, self.loss, self.loader = model, optimizer, loss, loader
        self.validation, self.metrics, self.epochs, self.schedule = validation, metrics, epochs, schedule
        self.callbacks = list(callbacks)
        self.history = History()
        self.epoch = self.step = self.position = self.rows_seen = 0
        self.stop = ""
        self.recent_loss = math.nan
        self.steps_per_epoch = len(loader)
        self._train = CompiledFunction(self._update, strict=False) if compiled else self._update
        self._step_seconds = math.inf  # of the last block
        self._rates = [group["lr"] for group in optimizer.param_groups]
        self._loss_sum, self._loss_rows, self._epoch_seconds = 0.0, 0, 0.0
        self._pending: list[tuple[Tensor | float, int]] = []
        self._snapshot: dict[str, Any] = {}

    # -- the loop

    def run(self) -> History:
        """Train until the epochs are done or somebody says stop."""
        try:
            for callback in self.callbacks:
                callback.on_start(self)
            while self.epoch < self.epochs and not self.stop:
                self._run_epoch()
            for callback in reversed(self.callbacks):
                callback.on_end(self)
        finally:
            for callback in reversed(self.callbacks):
                callback.close()
        self.history.stop = self.stop or "all epochs done"
        return self.history

    @property
    def finished(self) -> bool:
        """True when all epochs are done."""
        return self.epoch >= self.epochs

    def _run_epoch(self) -> None:
        self.model.train()
        self._snapshot = self._training_state()
        began = time.perf_counter() - self._epoch_seconds
        for count, (x, y) in self.loader.blocks(self._most):
            self._run_block(count, x, y)
            self._epoch_seconds = time.perf_counter() - began
            for callback in self.callbacks:
                callback.on_step(self)
            if self.stop and self.position < self.steps_per_epoch:
                self.read_losses()
                return
        self.read_losses()
        self._end_epoch()

    def _most(self) -> int:
        """How many steps may run before Python looks again: one where a callback wants to see each, else for about a blink."""
        if isinstance(self._train, CompiledFunction) and not any(
            type(c).on_step is not Callback.on_step and c.sees_every_step for c in self.callbacks
        ):
            return min(MOST, max(1, int(BLINK / self._step_seconds)))
        return 1

    def _run_block(self, count: int, x: Any, y: Any) -> None:
        """The steps of a block of `count` batches: in native code where that can be, else one by one."""
        began, rows = time.perf_counter(), len(x) // count
        inputs, targets = as_tensor(x), as_tensor(y)
        losses = None
        if count > 1:
            losses = self._train.many(count, [inputs, targets], lambda n: self._set_rates(self.step + n))  # type: ignore[union-attr]
        if losses is None:
            for n in range(count):
                self._run_step(inputs[n * rows : (n + 1) * rows], targets[n * rows : (n + 1) * rows])
        else:
            self._count(count, rows, losses.tolist())
        self._step_seconds = (time.perf_counter() - began) / count

    def _set_rates(self, step: int) -> None:
        # the middle of the step, never 0 or 1: a learning rate of exactly 0 would be a constant, and a program of its own
        factor = self.schedule((step + 0.5) / (self.epochs * self.steps_per_epoch))
        for group, rate in zip(self.optimizer.param_groups, self._rates):
            group["lr"] = rate * factor

    def _run_step(self, x: Any, y: Any) -> None:
        """One step of plain gradient descent."""
        self._set_rates(self.step)
        self._count(1, len(x), [self._train(as_tensor(x), as_tensor(y)).detach()])

    def _update(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """zero_grad, forward, loss, backward, step."""
        self.optimizer.zero_grad()
        loss = self.loss(self.model(inputs), targets)
        loss.backward()
        self.optimizer.step()
        return loss

    def _count(self, steps: int, rows: int, losses: Sequence[Tensor | float]) -> None:
        """Steps of `rows` rows each were made, with these losses."""
        self._pending += [(loss, rows) for loss in losses]
        self.step, self.position, self.rows_seen = self.step + steps, self.position + steps, self.rows_seen + steps * rows
        if len(self._pending) >= READ_EVERY:
            self.read_losses()

    def read_losses(self) -> None:
        """Read the losses of the steps since the last reading, add them up, and blame the first that is not finite."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        values = [loss if type(loss) is float else float(loss.item()) for loss, _ in pending]  # type: ignore[union-attr]
        total = self._loss_sum
        for value, (_, rows) in zip(values, pending):
            total += value * rows
        if not math.isfinite(total):
            wrong = next((k for k, value in enumerate(values) if not math.isfinite(value)), None)
            if wrong is not None:
                self._blame(self.position - len(pending) + wrong, values[wrong])
        self.recent_loss, self._loss_sum = values[-1], total
        self._loss_rows += sum(rows for _, rows in pending)

    def _end_epoch(self) -> None:
        row: dict[str, Any] = {"epoch": self.epoch + 1, "step": self.step, "loss": self._loss_sum / self._loss_rows}
        if self.validation is not None:
            row |= self._validate(self.validation)
        row["learning_rate"] = self.optimizer.param_groups[0]["lr"]
        row["seconds"] = round(self._epoch_seconds, 4)
        row["samples_per_second"] = round(self._loss_rows / max(self._epoch_seconds, 1e-9))
        self.history.rows.append(row)
        self.epoch, self.position = self.epoch + 1, 0
        self._loss_sum, self._loss_rows, self._epoch_seconds = 0.0, 0, 0.0
        for callback in self.callbacks:
            callback.on_epoch_end(self)

    def _validate(self, validation: Part) -> dict[str, float]:
        x, y = validation
        outputs = predict(self.model, x)
        loss = float(self.loss(from_numpy(outputs), from_numpy(y)).item())
        if not math.isfinite(loss):
            raise NumericError(
                "the validation loss became {loss} after epoch {epoch} (step {step}), though every training loss was finite; try "
                "a smaller learning rate and look for extreme values in the validation rows",
                loss=loss,
                epoch=self.epoch + 1,
                step=self.step,
            )
        return {"validation_loss": loss} | {
            f"validation_{name}": float(metric(outputs, y)) for name, metric in self.metrics.items()
        }

    # -- blame

    def _blame(self, position: int, value: float) -> None:
        """Repeat the epoch up to the faulty step, whose forward pass then shows where the value began; always raises."""
        target = self.step - self.position + position + 1  # counted from 1 over the whole training
        self._load_training_state(self._snapshot)
        self.model.train()
        for batch in self.loader:
            if self.step + 1 == target:
                where = origin_of_fault(self.model, self.loss, *map(as_tensor, batch))
                self.stop = f"the loss became {value} at step {target}"
                raise NumericError(
                    "the loss became {value} at step {step} (epoch {epoch}): it began {where}. "
                    "Try a smaller learning rate ({smaller:g} instead of {rate:g}), or scaled inputs (standard or minmax).",
                    value=value,
                    step=target,
                    epoch=self.epoch + 1,
                    where=where,
                    smaller=self._rates[0] / 10,
                    rate=self._rates[0],
                )
            self._run_step(*batch)
            self._pending.clear()
        raise NumericError(
            "the loss became {value} at step {step}, but not when the steps were repeated; is the model deterministic?",
            value=value,
            step=target,
        )

    # -- state

    def _training_state(self) -> dict[str, Any]:
        """Everything that the following steps depend on, copied."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "position": self.position,
            "loader": dict(self.loader.state_dict()),
            "random": dict(random.get_state()),
            "model": clone_state(self.model.state_dict()),
            "optimizer": clone_state(self.optimizer.state_dict()),
        }

    def _load_training_state(self, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.loader.load_state_dict(state["loader"])
        random.set_state(state["random"])
        self.epoch, self.step, self.position = state["epoch"], state["step"], state["position"]

    def state_dict(self) -> dict[str, Any]:
        """Everything a later process needs to go on with the same bits."""
        self.read_losses()
        return self._training_state() | {
            "loss_sum": self._loss_sum,
            "loss_rows": self._loss_rows,
            "epoch_seconds": self._epoch_seconds,
            "steps_per_epoch": self.steps_per_epoch,
            "history": [dict(row) for row in self.history.rows],
            "stop": "" if self.stop == INTERRUPTED else self.stop,
            "callbacks": {name: clone_state(callback.state_dict()) for name, callback in self._named_callbacks().items()},
        }

    def _named_callbacks(self) -> dict[str, Callback]:
        """The callbacks that keep a state, by class (and number, for the second of a class)."""
        kinds = [type(callback).__name__ for callback in self.callbacks]
        names = [f"{kind}#{kinds[:place].count(kind)}" for place, kind in enumerate(kinds)]
        return {name: callback for name, callback in zip(names, self.callbacks) if callback.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what `state_dict` gave.

        Raises:
            DataError: the state is of other data, another batch size or other callbacks.
        """
        callbacks = self._named_callbacks()
        if state["steps_per_epoch"] != self.steps_per_epoch or state["callbacks"].keys() != callbacks.keys():
            raise DataError(
                "the saved state has {steps} steps an epoch and callbacks {callbacks}, this training {own_steps} and "
                "{own_callbacks}; resume with the same data, batch size and callbacks",
                steps=state["steps_per_epoch"],
                callbacks=sorted(state["callbacks"]),
                own_steps=self.steps_per_epoch,
                own_callbacks=sorted(callbacks),
            )
        self._load_training_state(state)
        self._loss_sum, self._loss_rows, self._epoch_seconds = state["loss_sum"], state["loss_rows"], state["epoch_seconds"]
        self.history, self.stop = History(state["history"]), state["stop"]
        for name, saved in state["callbacks"].items():
            callbacks[name].load_state_dict(saved)


def _sees_every_step(callback: Callback) -> bool:
    return type(callback).on_step is not Callback.on_step and callback.sees_every_step


def as_tensor(batch: Any) -> Tensor:
    """A batch as a tensor; arrays become one without a copy."""
    return batch if isinstance(batch, Tensor) else from_numpy(batch)
