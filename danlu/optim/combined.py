"""L7. Schedules made of schedules (one after another, all at once, after a warm-up), and the one that listens to a metric."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from danlu.engine import capturing
from danlu.errors import DataError, DTypeError, GradientError
from danlu.messages import Phrase
from danlu.optim.optimizer import Optimizer, check_option
from danlu.optim.schedule import LinearLR, LRScheduler, for_each_group, write_rate
from danlu.tensor import Tensor


class _Several(LRScheduler):
    """What schedules of schedules share: the check of the parts, and their state."""

    def _take(self, optimizer: Optimizer, schedulers: Sequence[Any]) -> None:
        name = type(self).__name__
        for scheduler in schedulers:
            if not isinstance(scheduler, LRScheduler):
                raise DTypeError(
                    "{name}: one of the schedules is {kind}; expected schedules that need no metric",
                    name=name,
                    kind=type(scheduler).__name__,
                )
            if scheduler.optimizer is not optimizer:
                raise DataError("{name}: {kind} belongs to another optimizer", name=name, kind=type(scheduler).__name__)
        if not schedulers:
            raise DataError("{name}: got no schedules; expected at least one", name=name)
        self.optimizer, self._schedulers = optimizer, list(schedulers)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; the parts' states as "_schedulers"."""
        own = {k: v for k, v in super().state_dict().items() if k != "_schedulers"}
        return own | {"_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` gave."""
        self.__dict__.update(
            {k: v for k, v in state_dict.items() if k in self.__dict__ and k not in ("optimizer", "_schedulers")}
        )
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"]):
            scheduler.load_state_dict(state)
        self._load_rates()

    def _load_rates(self) -> None:
        """Each part has written the rates of its own state; the one in force writes last."""


class SequentialLR(_Several):
    """Schedules one after another: at each milestone the next one begins, from the initial rates and its first step.

    lr = rateₖ(step − milestoneₖ) for milestoneₖ ≤ step < milestoneₖ₊₁

    Example:
        >>> import danlu
        >>> from danlu.optim.lr_scheduler import ConstantLR, ExponentialLR, SequentialLR
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0)
        >>> parts = [ConstantLR(optimizer, factor=0.5, total_iters=9), ExponentialLR(optimizer, gamma=0.5)]
        >>> schedule = SequentialLR(optimizer, parts, milestones=[2])
        >>> [(schedule.step(), schedule.get_last_lr()[0])[1] for _ in range(4)]
        [0.5, 1.0, 0.5, 0.25]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1
    ) -> None:
        self._take(optimizer, schedulers)
        self._milestones, self.last_epoch = list(milestones), last_epoch + 1
        if len(self._milestones) != len(self._schedulers) - 1:
            raise DataError(
                "SequentialLR: got {given} milestones for {count} schedules; expected one less than schedules",
                given=len(self._milestones),
                count=len(self._schedulers),
            )
        for group in optimizer.param_groups:
            write_rate(group, group["initial_lr"])
        self._schedulers[bisect_right(self._milestones, self.last_epoch)].restart()

    def _step(self, epoch: float | None = None) -> Sequence[float]:
        self.last_epoch += 1
        number = bisect_right(self._milestones, self.last_epoch)
        if number and self._milestones[number - 1] == self.last_epoch:
            self._schedulers[number].restart()
        else:
            self._schedulers[number]._step()
        return ()

    def restart(self) -> None:
        """From the first schedule."""
        self.last_epoch = 0
        self._schedulers[bisect_right(self._milestones, 0)].restart()

    def _load_rates(self) -> None:
        current = self._schedulers[bisect_right(self._milestones, self.last_epoch)]
        current.load_state_dict(current.state_dict())


class WarmUpLR(SequentialLR):
    """A warm-up in a straight line, then any schedule from its beginning.

    lr = initial lr · (step + 1) / steps while step < steps, then the rates of `after`.

    Example:
        >>> import danlu
        >>> from danlu.optim.lr_scheduler import CosineAnnealingLR, WarmUpLR
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0)
        >>> schedule = WarmUpLR(CosineAnnealingLR(optimizer, T_max=2), steps=4)
        >>> schedule.get_last_lr() + [(schedule.step(), round(schedule.get_last_lr()[0], 6))[1] for _ in range(6)]
        [0.25, 0.5, 0.75, 1.0, 1.0, 0.5, 0.0]
    """

    def __init__(self, after: LRScheduler, steps: int) -> None:
        check_option("WarmUpLR", "steps", steps, isinstance(steps, int) and steps >= 1, Phrase("an integer ≥ 1"))
        if not isinstance(after, LRScheduler):
            raise DTypeError("WarmUpLR: after is {kind}; expected a schedule", kind=type(after).__name__)
        line = LinearLR(after.optimizer, 1.0 / steps, 1.0, steps - 1)
        super().__init__(after.optimizer, [line, after], [steps])


class ChainedScheduler(_Several):
    """Several schedules at once: each multiplies the rates as it would alone.

    lr = initial lr · factor₁(step) · factor₂(step) · … for schedules that multiply the initial lr by a factor

    Example:
        >>> import danlu
        >>> from danlu.optim.lr_scheduler import ChainedScheduler, ConstantLR, ExponentialLR
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0)
        >>> parts = [ConstantLR(optimizer, factor=0.5, total_iters=2), ExponentialLR(optimizer, gamma=0.5)]
        >>> schedule = ChainedScheduler(parts)
        >>> schedule.get_last_lr() + [(schedule.step(), schedule.get_last_lr()[0])[1] for _ in range(3)]
        [0.5, 0.25, 0.25, 0.125]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        first = schedulers[0] if schedulers else None
        self._take(optimizer or getattr(first, "optimizer", None), schedulers)  # type: ignore[arg-type]
        self.rates = self.get_last_lr()

    def _step(self, epoch: float | None = None) -> Sequence[float]:
        for scheduler in self._schedulers:
            scheduler._step()
        self.rates = self.get_last_lr()
        return ()

    def restart(self) -> None:
        """All from their first steps."""
        for k, scheduler in enumerate(self._schedulers):
            scheduler.last_epoch = -1
            scheduler.restart() if k == 0 else scheduler.begin()

    def _load_rates(self) -> None:
        for group, rate in zip(self.optimizer.param_groups, self.rates):
            write_rate(group, rate)


class ReduceLROnPlateau:
    """lr ← factor · lr when a metric has not improved for more than `patience` steps.

    Better is: below best · (1 − threshold) ("min", "rel"), below best − threshold ("min", "abs"), above for "max". After a
    reduction `cooldown` steps are not judged; no rate falls below min_lr, or changes by less than eps.

    Example:
        >>> import danlu
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0)
        >>> schedule = danlu.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
        >>> [(schedule.step(loss), schedule.get_last_lr()[0])[1] for loss in (3.0, 2.0, 2.0, 2.0, 2.0)]
        [1.0, 1.0, 1.0, 0.5, 0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        name = "ReduceLROnPlateau"
        if not isinstance(optimizer, Optimizer):
            raise DTypeError("{name}: the optimizer is {kind}; expected an Optimizer", name=name, kind=type(optimizer).__name__)
        check_option(name, "factor", factor, factor < 1.0, Phrase("a number below 1"))
        check_option(name, "mode", mode, mode in ("min", "max"), Phrase("'min' or 'max'"))
        check_option(name, "threshold_mode", threshold_mode, threshold_mode in ("rel", "abs"), Phrase("'rel' or 'abs'"))
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown, self.eps = threshold, threshold_mode, cooldown, eps
        self.min_lrs = for_each_group(name, "min_lr", min_lr, optimizer)
        self.last_epoch, self.cooldown_counter, self.num_bad_epochs = 0, 0, 0
        self.best = inf if mode == "min" else -inf

    def step(self, metrics: float | Tensor) -> None:
        """Judges the metric of one epoch."""
        if capturing() is not None:
            raise GradientError(
                "ReduceLROnPlateau.step inside danlu.compile: it reads the metric, but the function's Python does not run again; "
                "return the metric and call step outside"
            )
        current = float(metrics)
        self.last_epoch += 1
        if self.is_better(current):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def is_better(self, metric: float) -> bool:
        """Whether a metric counts as an improvement on the best so far."""
        sign = 1.0 if self.mode == "min" else -1.0
        if self.threshold_mode == "abs":
            return sign * metric < sign * self.best - self.threshold
        return sign * metric < sign * (self.best * (1.0 - sign * self.threshold))

    def _reduce(self) -> None:
        for group, least in zip(self.optimizer.param_groups, self.min_lrs):
            before = float(group["lr"])
            rate = max(before * self.factor, least)
            if before - rate > self.eps:
                write_rate(group, rate)

    def get_last_lr(self) -> list[float]:
        """The current learning rate of every group."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer."""
        return {k: v for k, v in self.__dict__.items() if k != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` gave."""
        self.__dict__.update({k: v for k, v in state_dict.items() if k in self.__dict__ and k != "optimizer"})


def scale_lr(lr: float, batch_size: int, base_batch_size: int = 256) -> float:
    """The learning rate for another batch size by the linear rule: lr · batch_size / base_batch_size.

    Large rates need a warm-up (`WarmUpLR`). Source: Goyal et al. 2017, "Accurate, large minibatch SGD", section 2.1.

    >>> import danlu
    >>> danlu.optim.lr_scheduler.scale_lr(0.1, batch_size=1024)
    0.4
    """
    check_option("scale_lr", "base_batch_size", base_batch_size, base_batch_size >= 1, Phrase("an integer ≥ 1"))
    return lr * batch_size / base_batch_size


__all__ = ["ChainedScheduler", "ReduceLROnPlateau", "SequentialLR", "WarmUpLR", "scale_lr"]
