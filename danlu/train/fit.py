"""L8. `fit`: the training loop as one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from danlu.data.dataset import TensorDataset
from danlu.data.loader import DataLoader
from danlu.errors import DataError, ShapeError
from danlu.nn import CrossEntropyLoss, Module, MSELoss
from danlu.optim import Adam, Optimizer
from danlu.tensor import Tensor
from danlu.train.loop import SCHEDULES, Callback, History, Loop, LossFunction, Part, Schedule
from danlu.train.metrics import Metric, metric_named


def fit(
    model: Module,
    train_data: Any,
    validation_data: Any = None,
    *,
    loss: LossFunction | None = None,
    optimizer: Optimizer | None = None,
    epochs: int = 10,
    metrics: Sequence[str] | Mapping[str, Metric] = (),
    callbacks: Sequence[Callback] = (),
    batch_size: int = 32,
    schedule: str | Schedule = "constant",
    seed: int = 0,
    compiled: bool = True,
) -> History:
    """Train `model` on `train_data` and return one row of figures for every epoch.

    Every step is: zero_grad, forward, loss, backward, step. Without `loss` it is CrossEntropyLoss for integer targets and
    MSELoss for real ones; without `optimizer` it is Adam with its own defaults. `metrics` are names (accuracy, mse, rmse,
    mae, r2) or functions of NumPy (predictions, targets), measured on the validation data after each epoch. `schedule` is
    "constant", "cosine", or a function of the progress in (0, 1) that gives a factor of the learning rate.

    With `compiled` the step is recorded as by `danlu.compile`, and several steps run in one native loop: the model's own Python does not
    run in each step. A model that sets attributes in its forward, reads values or draws Python's random numbers is left plain.

    Shapes: train_data is a pair x [rows, ...], y [rows] or [rows, ...] of arrays or tensors, or a DataLoader of such
    batches (whose own batch size and seed then count); validation_data is such a pair. Real targets [rows] become
    [rows, 1], the shape of a network's single output.

    Raises:
        ShapeError: x and y differ in rows, or there are none.
        DataError: sizes below 1, an unknown name, data of another kind.
        NumericError: a loss became NaN or infinite; the message names the step and the layer where it began, and the model
            is left as it was before that step.

    >>> import numpy as np
    >>> from danlu.train import fit
    >>> import danlu
    >>> from danlu import nn
    >>> x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    >>> history = fit(nn.Linear(1, 1), (x, 3 * x), epochs=2)
    >>> len(history["loss"])
    2
    """
    _at_least_one(epochs=epochs, batch_size=batch_size)
    loader = train_data if isinstance(train_data, DataLoader) else _loader(train_data, batch_size, seed)
    if len(loader) == 0:
        raise DataError(
            "the DataLoader gives no batch: fewer rows than its batch size with drop_last=True; use a smaller batch size"
        )
    validation = None if validation_data is None else pair(validation_data, "validation_data")
    loss = loss if loss is not None else _default_loss(train_data, validation)
    chosen: Optimizer = Adam(model.parameters()) if optimizer is None else optimizer
    loop = Loop(model, chosen, loss, loader, validation, _named(metrics), epochs, _schedule(schedule), callbacks, compiled)
    return loop.run()


def pair(data: Any, name: str) -> Part:
    """Arrays x and y out of a pair of arrays or tensors, of the same number of rows; real y [rows] becomes [rows, 1]."""
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise DataError(
            "{name} is a {kind}; expected a pair (x, y) of arrays or tensors, or for train_data a DataLoader",
            name=name,
            kind=type(data).__name__,
        )
    x, y = (item.detach().numpy() if isinstance(item, Tensor) else np.asarray(item) for item in data)
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y) or len(x) == 0:
        raise ShapeError(
            "{name} has x of shape {x} and y of shape {y}; expected the same number of rows, at least 1",
            name=name,
            x=x.shape,
            y=y.shape,
        )
    return x, y[:, None] if y.dtype.kind == "f" and y.ndim == 1 else y


def _loader(train_data: Any, batch_size: int, seed: int) -> DataLoader:
    x, y = pair(train_data, "train_data")
    return DataLoader(TensorDataset(x, y), batch_size=batch_size, shuffle=True, seed=seed)


def _default_loss(train_data: Any, validation: Part | None) -> LossFunction:
    """Cross-entropy for integer targets, squared error for real ones; a DataLoader is asked through the validation data."""
    if isinstance(train_data, DataLoader) and validation is None:
        raise DataError("loss=None needs targets to look at; with a DataLoader pass for example loss=nn.CrossEntropyLoss()")
    targets = validation[1] if isinstance(train_data, DataLoader) and validation else pair(train_data, "train_data")[1]
    return MSELoss() if targets.dtype.kind == "f" else CrossEntropyLoss()


def _named(metrics: Sequence[str] | Mapping[str, Metric]) -> dict[str, Metric]:
    return dict(metrics) if isinstance(metrics, Mapping) else {name: metric_named(name) for name in metrics}


def _schedule(schedule: str | Schedule) -> Schedule:
    if callable(schedule):
        return schedule
    if schedule not in SCHEDULES:
        raise DataError(
            "unknown schedule {schedule!r}; choose from {schedules}, or pass a function of the progress in (0, 1)",
            schedule=schedule,
            schedules=", ".join(SCHEDULES),
        )
    return SCHEDULES[schedule]


def _at_least_one(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise DataError("{name}={size} must be at least 1", name=name, size=size)
