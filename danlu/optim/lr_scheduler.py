"""L7. Learning-rate schedules: each gives the learning rate of every group as a formula of the number of steps taken.

A learning rate is a number given to the program at run time: changing it compiles nothing. Schedules multiply the rates that the
groups had when the schedule began (`initial_lr`), so at any step the rate is known without replaying the steps before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from math import cos, pi
from typing import Any

from danlu.engine import capturing
from danlu.errors import DataError, DTypeError
from danlu.guidance import unknown
from danlu.messages import message
from danlu.optim.optimizer import Group, Optimizer


class LRScheduler:
    """The base: subclasses define `factor(step)`, by which the initial learning rates are multiplied, or `rate(group, step)`.

    lr = initial lr · factor(step)

    The constructor sets the rates of step `last_epoch + 1`; each call of `step()` those of the next.

    Shapes: no tensors.

    Example:
        >>> import danlu
        >>> class Halving(danlu.optim.lr_scheduler.LRScheduler):
        ...     def factor(self, step):
        ...         return 0.5**step
        >>> schedule = Halving(danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0))
        >>> schedule.step()
        >>> schedule.get_last_lr()
        [0.5]
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise DTypeError(
                "{name}: the optimizer is {kind}; expected an Optimizer", name=type(self).__name__, kind=type(optimizer).__name__
            )
        self.optimizer, self.last_epoch = optimizer, last_epoch
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.step()

    def factor(self, step: int) -> float:
        """What the initial learning rates are multiplied by at a step; subclasses define it."""
        raise NotImplementedError(message("{name} has no factor; define `def factor(self, step): ...`", name=type(self).__name__))

    def rate(self, index: int, step: int) -> float:
        """The learning rate of group `index` at a step."""
        return self.base_lrs[index] * self.factor(step)

    def step(self) -> None:
        """The learning rates of the next step; call it after optimizer.step()."""
        capture = capturing()
        if capture is not None:
            capture.repeat((), self._step)
        self._step()

    def _step(self) -> Sequence[float]:
        self.last_epoch += 1
        for index, group in enumerate(self.optimizer.param_groups):
            self.apply(group, index)
        return ()

    def apply(self, group: Group, index: int) -> None:
        """Writes the current rate into a group."""
        group["lr"] = self.rate(index, self.last_epoch)

    def get_last_lr(self) -> list[float]:
        """The current learning rate of every group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and functions."""
        return {k: v for k, v in self.__dict__.items() if k != "optimizer" and not callable(v) and k != "functions"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave, and sets the groups' rates from it."""
        self.__dict__.update(state_dict)
        for index, group in enumerate(self.optimizer.param_groups):
            self.apply(group, index)


class LambdaLR(LRScheduler):
    """lr = initial lr · lr_lambda(step); a list gives one function for each group.

    Shapes: no tensors.

    Example:
        >>> import danlu
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0)
        >>> schedule = danlu.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
        >>> schedule.step()
        >>> schedule.get_last_lr()
        [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]], last_epoch: int = -1
    ) -> None:
        count = len(optimizer.param_groups)
        self.functions = [lr_lambda] * count if callable(lr_lambda) else list(lr_lambda)
        if len(self.functions) != count:
            raise DataError(
                "LambdaLR: got {given} functions for {count} parameter groups; expected one for each",
                given=len(self.functions),
                count=count,
            )
        super().__init__(optimizer, last_epoch)

    def rate(self, index: int, step: int) -> float:
        """initial lr · lr_lambda(step)."""
        return self.base_lrs[index] * self.functions[index](step)


class StepLR(LRScheduler):
    """lr = initial lr · γ^⌊step / step_size⌋.

    Shapes: no tensors.

    Example:
        >>> import danlu
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0)
        >>> schedule = danlu.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
        >>> [(schedule.step(), schedule.get_last_lr()[0])[1] for _ in range(4)]
        [1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        if step_size < 1:
            raise DataError("StepLR: step_size is {step_size}; expected an integer ≥ 1", step_size=step_size)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        """γ^⌊step / step_size⌋."""
        return self.gamma ** (step // self.step_size)


class MultiStepLR(LRScheduler):
    """lr = initial lr · γ^(how many milestones have been reached).

    Shapes: no tensors.

    Example:
        >>> import danlu
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0)
        >>> schedule = danlu.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5)
        >>> [(schedule.step(), schedule.get_last_lr()[0])[1] for _ in range(4)]
        [0.5, 0.5, 0.25, 0.25]
    """

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        """γ^(milestones ≤ step)."""
        return self.gamma ** bisect_right(self.milestones, step)


class ExponentialLR(LRScheduler):
    """lr = initial lr · γ^step.

    Shapes: no tensors.

    Example:
        >>> import danlu
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0)
        >>> schedule = danlu.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        >>> [(schedule.step(), schedule.get_last_lr()[0])[1] for _ in range(3)]
        [0.5, 0.25, 0.125]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        """γ^step."""
        return self.gamma**step


class LinearLR(LRScheduler):
    """The factor goes in a straight line from start_factor to end_factor in total_iters steps, and stays there.

    lr = initial lr · (start_factor + (end_factor − start_factor) · min(step, total_iters) / total_iters)

    Shapes: no tensors.

    Example:
        >>> import danlu
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0)
        >>> schedule = danlu.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
        >>> [(schedule.step(), schedule.get_last_lr()[0])[1] for _ in range(3)]
        [0.75, 1.0, 1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0.0 < start_factor <= 1.0 or not 0.0 <= end_factor <= 1.0:
            raise DataError(
                "LinearLR: the factors are {start_factor} and {end_factor}; expected 0 < start ≤ 1 and 0 ≤ end ≤ 1",
                start_factor=start_factor,
                end_factor=end_factor,
            )
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        """start + (end − start) · min(step / total, 1)."""
        return self.start_factor + (self.end_factor - self.start_factor) * min(step, self.total_iters) / self.total_iters


class CosineAnnealingLR(LRScheduler):
    """lr = η_min + (initial lr − η_min) (1 + cos(π step / T_max)) / 2 (Loshchilov & Hutter 2017, eq. 5, without restarts).

    Shapes: no tensors.

    Example:
        >>> import danlu
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0)
        >>> schedule = danlu.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
        >>> [(schedule.step(), round(schedule.get_last_lr()[0], 6))[1] for _ in range(2)]
        [0.5, 0.0]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        if T_max < 1:
            raise DataError("CosineAnnealingLR: T_max is {t_max}; expected an integer ≥ 1", t_max=T_max)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, index: int, step: int) -> float:
        """η_min + (lr − η_min) (1 + cos(π step / T_max)) / 2."""
        return self.eta_min + (self.base_lrs[index] - self.eta_min) * (1 + cos(pi * step / self.T_max)) / 2


def _check_cycle(total_steps: int, pct_start: float, anneal_strategy: str) -> None:
    if total_steps < 1:
        raise DataError(
            "OneCycleLR: total_steps is {total_steps}; expected total_steps ≥ 1, or epochs and steps_per_epoch",
            total_steps=total_steps,
        )
    if not 0.0 <= pct_start <= 1.0:
        raise DataError("OneCycleLR: pct_start is {pct_start}; expected a share from 0 to 1", pct_start=pct_start)
    if anneal_strategy not in ("cos", "linear"):
        raise DataError(
            "OneCycleLR: anneal_strategy is {anneal_strategy!r}; expected 'cos' or 'linear'", anneal_strategy=anneal_strategy
        )


class OneCycleLR(LRScheduler):
    """Up from max_lr / div_factor to max_lr and down to a tiny rate, while the momentum goes the other way (Smith & Topin 2018).

    lr = end + (start − end) (1 + cos(π t)) / 2 in each phase, t from 0 to 1 ("linear": start + (end − start) t)

    Phase 1 takes the share pct_start of total_steps − 1 steps, phase 2 the rest; both follow half a cosine ("linear": a line).
    The last rate is max_lr / div_factor / final_div_factor. The momentum is `momentum`, or β₁ for optimizers that have betas.

    Shapes: no tensors.

    Example:
        >>> import danlu
        >>> optimizer = danlu.optim.Adam([danlu.nn.Parameter(danlu.ones(1))])
        >>> schedule = danlu.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=5, pct_start=0.6)
        >>> [(schedule.step(), round(schedule.get_last_lr()[0], 6))[1] for _ in range(4)]
        [0.52, 1.0, 0.500002, 4e-06]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None:
            total_steps = (epochs or 0) * (steps_per_epoch or 0)
        _check_cycle(total_steps, pct_start, anneal_strategy)
        count = len(optimizer.param_groups)
        self.max_lrs = [max_lr] * count if isinstance(max_lr, (int, float)) else list(max_lr)
        if len(self.max_lrs) != count:
            raise DataError(
                "OneCycleLR: got {given} rates max_lr for {count} parameter groups; expected one for each",
                given=len(self.max_lrs),
                count=count,
            )
        self.total_steps, self.pct_start, self.anneal_strategy = total_steps, pct_start, anneal_strategy
        self.cycle_momentum, self.base_momentum, self.max_momentum = cycle_momentum, base_momentum, max_momentum
        self.div_factor, self.final_div_factor = div_factor, final_div_factor
        super().__init__(optimizer, last_epoch)

    def _between(self, low: float, high: float, last: float, step: int) -> float:
        """From low to high in phase 1, from high to last in phase 2."""
        top, end = self.pct_start * self.total_steps - 1, self.total_steps - 1
        if step <= top:
            return self._anneal(low, high, step / top if top > 0 else 1.0)
        return self._anneal(high, last, (step - top) / (end - top) if end > top else 1.0)

    def _anneal(self, start: float, end: float, share: float) -> float:
        if self.anneal_strategy == "linear":
            return start + (end - start) * share
        return end + (start - end) / 2.0 * (1 + cos(pi * share))

    def rate(self, index: int, step: int) -> float:
        """The learning rate at a step."""
        if step >= self.total_steps:
            raise DataError(
                "OneCycleLR: step {step} lies past the end of the cycle; total_steps is {total_steps}",
                step=step,
                total_steps=self.total_steps,
            )
        top = self.max_lrs[index]
        return self._between(top / self.div_factor, top, top / self.div_factor / self.final_div_factor, step)

    def apply(self, group: Group, index: int) -> None:
        """Writes rate and momentum into a group."""
        super().apply(group, index)
        if not self.cycle_momentum:
            return
        momentum = self._between(self.max_momentum, self.base_momentum, self.max_momentum, self.last_epoch)
        if "betas" in group:
            group["betas"] = (momentum, *group["betas"][1:])
        elif "momentum" in group:
            group["momentum"] = momentum


__getattr__ = unknown(__name__, globals())

__all__ = [
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "StepLR",
]
