"""L7. Averages of a model's weights over a training: stochastic weight averaging and exponential moving averages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from math import cos, pi
from typing import Any

from danlu.errors import DataError
from danlu.messages import Phrase
from danlu.nn.module import Module
from danlu.nn.normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d
from danlu.ops import optimizers
from danlu.optim.optimizer import Optimizer, check_option
from danlu.optim.schedule import LRScheduler, for_each_group, write_rate
from danlu.tensor import Tensor, changing, no_grad, update_
from danlu.tensor.creation import tensor


def get_ema_avg_fn(decay: float = 0.999) -> Callable[[Tensor, Tensor, Any], Tensor]:
    """avg_fn of an exponential moving average of one tensor: a ← decay · a + (1 − decay) · p.

    Shapes: averages and parameters of any one shape.

    Example:
        >>> import danlu
        >>> average = danlu.optim.swa_utils.get_ema_avg_fn(0.5)
        >>> average(danlu.tensor([0.0]), danlu.tensor([1.0]), 1).tolist()
        [0.5]
    """
    _check_decay(decay)
    return lambda average, current, count: decay * average + (1.0 - decay) * current


def get_swa_avg_fn() -> Callable[[Tensor, Tensor, Any], Tensor]:
    """avg_fn of the mean of all models so far, of one tensor: a ← a + (p − a) / (n + 1).

    Shapes: averages and parameters of any one shape.

    Example:
        >>> import danlu
        >>> average = danlu.optim.swa_utils.get_swa_avg_fn()
        >>> average(danlu.tensor([0.0]), danlu.tensor([1.0]), 1).tolist()
        [0.5]
    """
    return lambda average, current, count: average + (current - average) / (count + 1)


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]:
    """multi_avg_fn of an exponential moving average of many tensors, in place and in one program: a ← decay · a + (1 − decay) · p.

    Shapes: averages and parameters of any shapes, pair by pair equal.

    Example:
        >>> import danlu
        >>> averages = [danlu.tensor([0.0])]
        >>> danlu.optim.swa_utils.get_ema_multi_avg_fn(0.5)(averages, [danlu.tensor([1.0])], 1)
        >>> averages
        [tensor([0.5000])]
    """
    _check_decay(decay)
    return lambda averages, current, count: _toward(averages, current, 1.0 - decay)


def get_swa_multi_avg_fn() -> Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]:
    """multi_avg_fn of the mean of all models so far, of many tensors, in place and in one program: a ← a + (p − a) / (n + 1).

    Shapes: averages and parameters of any shapes, pair by pair equal.

    Example:
        >>> import danlu
        >>> averages = [danlu.tensor([0.0])]
        >>> danlu.optim.swa_utils.get_swa_multi_avg_fn()(averages, [danlu.tensor([1.0])], 1)
        >>> averages
        [tensor([0.5000])]
    """
    return lambda averages, current, count: _toward(averages, current, 1.0 / (float(count) + 1.0))


def _check_decay(decay: float) -> None:
    check_option("EMA", "decay", decay, 0.0 <= decay <= 1.0, Phrase("a number from 0 to 1"))


def _toward(averages: Sequence[Tensor], current: Sequence[Tensor], rate: float) -> None:
    """a ← a + rate (p − a), all at once; what is not floating-point is copied."""
    pairs = [(a, p.detach()) for a, p in zip(averages, current)]
    floating = [(a, p) for a, p in pairs if a.dtype.is_floating_point]
    if floating:
        own, given = zip(*floating)
        update_(optimizers.average, list(own), changing(rate), *own, *given)
    with no_grad():
        for a, p in pairs:
            if not a.dtype.is_floating_point:
                a.copy_(p)


class AveragedModel(Module):
    """A copy of a model whose weights are an average of those that the model had at each `update_parameters`.

    a ← a + (p − a) / (n + 1), n the number of earlier updates

    The mean of all (stochastic weight averaging), unless avg_fn(average, current, n) or multi_avg_fn(averages, currents, n) says
    otherwise. Buffers are copied, or averaged too with use_buffers; else call `update_bn` at the end. Source: Izmailov et al. 2018,
    "Averaging weights leads to wider optima and better generalization", algorithm 1.

    Shapes: those of the model.

    Raises:
        DataError: both avg_fn and multi_avg_fn.

    Example:
        >>> import danlu
        >>> model = danlu.nn.Linear(1, 1, bias=False)
        >>> averaged = danlu.optim.swa_utils.AveragedModel(model)
        >>> for value in (1.0, 3.0):
        ...     with danlu.no_grad():
        ...         _ = model.weight.fill_(value)
        ...     averaged.update_parameters(model)
        >>> averaged(danlu.ones(1, 1)).item()
        2.0
    """

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Callable[[Tensor, Tensor, Any], Tensor] | None = None,
        multi_avg_fn: Callable[[Sequence[Tensor], Sequence[Tensor], Any], None] | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise DataError("AveragedModel: got avg_fn and multi_avg_fn; expected one of the two")
        self.module = deepcopy(model)
        if device is not None:
            self.module.to(device)
        self.register_buffer("n_averaged", tensor(0))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **named: Any) -> Any:
        """The averaged model's result."""
        return self.module(*args, **named)

    def _tensors(self, model: Module) -> list[Tensor]:
        return [*model.parameters(), *(model.buffers() if self.use_buffers else ())]

    def update_parameters(self, model: Module) -> None:
        """Takes the model's weights of this moment into the average."""
        averages, current = self._tensors(self.module), self._tensors(model)
        if not int(self.n_averaged):
            with no_grad():
                for a, p in zip(averages, current):
                    a.copy_(p.detach())
        elif self.avg_fn is not None:
            with no_grad():
                for a, p in zip(averages, current):
                    a.copy_(self.avg_fn(a.detach(), p.detach(), self.n_averaged))
        else:
            (self.multi_avg_fn or get_swa_multi_avg_fn())(averages, current, int(self.n_averaged))
        if not self.use_buffers:
            with no_grad():
                for a, b in zip(self.module.buffers(), model.buffers()):
                    a.copy_(b.detach())
        self.n_averaged += 1


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """The running statistics of all batch normalisations anew: the mean over one pass of the data, with the weights of now.

    m = the mean over batches of their means, v = that of their variances

    Args:
        loader: yields batches; of a tuple or list the first part is the input.

    Shapes: those of the model's input.

    Example:
        >>> import danlu
        >>> model = danlu.nn.BatchNorm1d(1)
        >>> danlu.optim.swa_utils.update_bn([danlu.tensor([[1.0], [3.0]])], model)
        >>> model.running_mean.tolist()
        [2.0]
    """
    kinds = (BatchNorm1d, BatchNorm2d, BatchNorm3d)
    layers = [m for m in model.modules() if isinstance(m, kinds) and m.running_mean is not None]
    if not layers:
        return
    momenta, training = [m.momentum for m in layers], model.training
    for m in layers:
        m.reset_running_stats()
        m.momentum = None
    model.train()
    try:
        with no_grad():
            for batch in loader:
                x = batch[0] if isinstance(batch, (list, tuple)) else batch
                model(x if device is None else x.to(device))
    finally:
        for m, momentum in zip(layers, momenta):
            m.momentum = momentum
        model.train(training)


class SWALR(LRScheduler):
    """From the rate of now to swa_lr in anneal_epochs steps, along half a cosine ("linear": a line), and then constant.

    lr = swa_lr + (first lr − swa_lr) (1 + cos(π t)) / 2, t = min(1, step / anneal_epochs)

    Example:
        >>> import danlu
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0)
        >>> schedule = danlu.optim.swa_utils.SWALR(optimizer, swa_lr=0.5, anneal_epochs=2, anneal_strategy="linear")
        >>> [(schedule.step(), schedule.get_last_lr()[0])[1] for _ in range(3)]
        [0.75, 0.5, 0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | Sequence[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        check_option(
            "SWALR", "anneal_strategy", anneal_strategy, anneal_strategy in ("cos", "linear"), Phrase("'cos' or 'linear'")
        )
        fits = isinstance(anneal_epochs, int) and anneal_epochs >= 0
        check_option("SWALR", "anneal_epochs", anneal_epochs, fits, Phrase("an integer ≥ 0"))
        self.anneal_epochs, self.anneal_strategy = anneal_epochs, anneal_strategy
        if getattr(optimizer, "param_groups", ()):
            self.swa_lrs = for_each_group("SWALR", "swa_lr", swa_lr, optimizer)
        super().__init__(optimizer, last_epoch)

    def share(self, step: int) -> float:
        """How far from the first rate to swa_lr: 0 to 1."""
        t = min(1.0, max(0, step) / self.anneal_epochs) if self.anneal_epochs else 1.0
        return t if self.anneal_strategy == "linear" else (1 - cos(pi * t)) / 2

    def begin(self) -> None:
        """The constructor leaves the rates as they are, unless there is nothing to anneal."""
        groups = self.optimizer.param_groups
        self.started = [float(group["lr"]) for group in groups]
        self.last_epoch, self.others = self.last_epoch + 1, [1.0] * len(groups)
        self.written = [self.rate(k, 0) for k in range(len(groups))]
        for group, rate in zip(groups, self.written):
            write_rate(group, rate)

    def restart(self) -> None:
        """From the rates of now."""
        self.last_epoch = -1
        self.begin()

    def _step(self, epoch: float | None = None) -> Sequence[float]:
        before = self.share(self.last_epoch)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        for k, group in enumerate(self.optimizer.param_groups):
            found = float(group["lr"])
            if found != self.written[k] and before < 1.0:  # another schedule ran meanwhile: from where it stands
                self.started[k] = (found - before * self.swa_lrs[k]) / (1.0 - before)
            self.written[k] = self.rate(k, self.last_epoch)
            write_rate(group, self.written[k])
        return ()

    def rate(self, index: int, step: int) -> float:
        """(1 − share) · first rate + share · swa_lr."""
        share = self.share(step)
        return self.swa_lrs[index] * share + self.started[index] * (1.0 - share)


__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]
