"""L7. Schedules that follow half a cosine or go round in cycles, some with the momentum going the other way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import cos, floor, pi
from typing import Any

from danlu.errors import DataError
from danlu.messages import Phrase
from danlu.optim.optimizer import Group, Optimizer, check_option
from danlu.optim.schedule import LRScheduler, for_each_group, write_rate


def _half_cosine(start: float, end: float, share: float) -> float:
    """From start (share 0) to end (share 1)."""
    return end + (start - end) * (1 + cos(pi * share)) / 2


def _write_momentum(group: Group, momentum: float) -> None:
    """The momentum of a group: β₁ where it has betas."""
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum


def _begin_momentum(name: str, optimizer: Any, low: Any, high: Any, last_epoch: int) -> None:
    """Writes the momenta that a schedule cycles between into the groups.

    Raises: DataError for an optimizer without a momentum that could be cycled.
    """
    groups = getattr(optimizer, "param_groups", ())  # what is no optimizer the base refuses
    for group in groups:
        if "momentum" not in group and "betas" not in group:
            raise DataError(
                "{name}: cycle_momentum is True, but {optimizer} has neither momentum nor betas; write cycle_momentum=False",
                name=name,
                optimizer=type(optimizer).__name__,
            )
    bounds = {
        option: for_each_group(name, option, x, optimizer) for option, x in (("base_momentum", low), ("max_momentum", high))
    }
    for k, group in enumerate(groups if last_epoch < 0 else ()):
        group.update({option: values[k] for option, values in bounds.items()})
        _write_momentum(group, group["max_momentum"])


class CosineAnnealingLR(LRScheduler):
    """lr = η_min + (initial lr − η_min) (1 + cos(π step / T_max)) / 2 (Loshchilov & Hutter 2017, eq. 5, without restarts).

    Example:
        >>> import danlu
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0)
        >>> schedule = danlu.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
        >>> [(schedule.step(), round(schedule.get_last_lr()[0], 6))[1] for _ in range(2)]
        [0.5, 0.0]
    """

    keeps = True

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        if T_max < 1:
            raise DataError("CosineAnnealingLR: T_max is {t_max}; expected an integer ≥ 1", t_max=T_max)
        self.T_max, self.eta_min, self.floor = T_max, eta_min, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, index: int, step: int) -> float:
        """η_min + (lr − η_min) (1 + cos(π step / T_max)) / 2."""
        return _half_cosine(self.base_lrs[index], self.eta_min, step / self.T_max)


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half cosines one after another, each beginning at the initial lr (Loshchilov & Hutter 2017, eq. 5).

    lr = η_min + (initial lr − η_min) (1 + cos(π t / T)) / 2, t steps after a restart; T is T_0, then T_0 · T_mult, T_0 · T_mult², …
    `step(epoch)` also takes parts of an epoch, such as epoch + batch / number of batches.

    Example:
        >>> import danlu
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0)
        >>> schedule = danlu.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2, T_mult=2)
        >>> [(schedule.step(), round(schedule.get_last_lr()[0], 4))[1] for _ in range(6)]
        [0.5, 1.0, 0.8536, 0.5, 0.1464, 1.0]
    """

    absolute = True

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        for name, value in (("T_0", T_0), ("T_mult", T_mult)):
            fits = isinstance(value, int) and value >= 1
            check_option("CosineAnnealingWarmRestarts", name, value, fits, Phrase("an integer ≥ 1"))
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        super().__init__(optimizer, last_epoch)

    def _step(self, epoch: float | None = None) -> Sequence[float]:
        super()._step(epoch)
        self.last_epoch = floor(self.last_epoch)
        return ()

    def rate(self, index: int, step: float) -> float:
        """The rate t steps after the last restart."""
        length = self.T_0
        if self.T_mult == 1:
            step %= length
        while step >= length:
            step, length = step - length, length * self.T_mult
        return _half_cosine(self.base_lrs[index], self.eta_min, step / length)


class CyclicLR(LRScheduler):
    """Up from base_lr to max_lr in step_size_up steps and down again in step_size_down, for ever (Smith 2017).

    lr = base_lr + (max_lr − base_lr) · h · scale, h from 0 to 1 in step_size_up steps and back to 0 in step_size_down

    mode "triangular": the height stays; "triangular2": it halves with each cycle; "exp_range": it is multiplied by γ^step. Or
    scale_fn, a function of the number of the cycle or ("iterations") of the step, by which the height is multiplied. The momentum
    (β₁ of optimizers that have betas) goes down from max_momentum to base_momentum while the rate goes up.

    Example:
        >>> import danlu
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0, momentum=0.9)
        >>> schedule = danlu.optim.lr_scheduler.CyclicLR(optimizer, base_lr=0.0, max_lr=1.0, step_size_up=2)
        >>> [(schedule.step(), schedule.get_last_lr()[0])[1] for _ in range(5)]
        [0.5, 1.0, 0.5, 0.0, 0.5]
    """

    absolute = True

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        modes = ("triangular", "triangular2", "exp_range")
        check_option("CyclicLR", "mode", mode, mode in modes or scale_fn is not None, Phrase("one of {modes}", modes=modes))
        check_option("CyclicLR", "step_size_up", step_size_up, step_size_up >= 1, Phrase("an integer ≥ 1"))
        self.up, self.total = step_size_up, step_size_up + (step_size_up if step_size_down is None else step_size_down)
        self.mode, self.gamma, self.scale_fn, self.cycle_momentum = mode, gamma, scale_fn, cycle_momentum
        own = "iterations" if mode == "exp_range" else "cycle"
        self.scale_mode = own if scale_fn is None else scale_mode
        groups = getattr(optimizer, "param_groups", ())  # what is no optimizer the base refuses
        low, self.max_lrs = (for_each_group("CyclicLR", "lr", x, optimizer) if groups else [] for x in (base_lr, max_lr))
        for group, rate in zip(groups if last_epoch < 0 else (), low):
            write_rate(group, rate)
        if groups and cycle_momentum:
            _begin_momentum("CyclicLR", optimizer, base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = low

    def _height(self, step: int) -> float:
        """How far up the rates are: 0 to 1, times the scale."""
        cycle, place = divmod(step, self.total)
        rising = place <= self.up
        share = place / self.up if rising else (self.total - place) / (self.total - self.up)
        x = cycle + 1 if self.scale_mode == "cycle" else step
        if self.scale_fn is not None:
            return share * self.scale_fn(x)
        return share * {"triangular": 1.0, "triangular2": 0.5 ** (x - 1), "exp_range": self.gamma**x}[self.mode]

    def rate(self, index: int, step: int) -> float:
        """base_lr + (max_lr − base_lr) · height."""
        return self.base_lrs[index] + (self.max_lrs[index] - self.base_lrs[index]) * self._height(step)

    def cycle(self, group: Group, index: int) -> None:
        """max_momentum − (max_momentum − base_momentum) · height."""
        if self.cycle_momentum:
            low, high = group["base_momentum"], group["max_momentum"]
            _write_momentum(group, high - (high - low) * self._height(self.last_epoch))


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

    Phase 1 takes the share pct_start of the steps, phase 2 the rest; both follow half a cosine ("linear": a line). With three_phase
    the second one takes as long as the first and ends at max_lr / div_factor. The last rate is max_lr / div_factor /
    final_div_factor. The momentum is `momentum`, or β₁ for optimizers that have betas.

    Example:
        >>> import danlu
        >>> optimizer = danlu.optim.Adam([danlu.nn.Parameter(danlu.ones(1))])
        >>> schedule = danlu.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=5, pct_start=0.6)
        >>> [(schedule.step(), round(schedule.get_last_lr()[0], 6))[1] for _ in range(4)]
        [0.52, 1.0, 0.500002, 4e-06]
    """

    absolute = True
    written_options = ("initial_lr", "max_lr", "min_lr")

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
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None:
            total_steps = (epochs or 0) * (steps_per_epoch or 0)
        _check_cycle(total_steps, pct_start, anneal_strategy)
        self.total_steps, self.pct_start, self.anneal_strategy = total_steps, pct_start, anneal_strategy
        self.cycle_momentum, self.three_phase = cycle_momentum, three_phase
        if getattr(optimizer, "param_groups", ()):  # else the base says what is wrong
            top = for_each_group("OneCycleLR", "max_lr", max_lr, optimizer)
            for group, rate in zip(optimizer.param_groups if last_epoch < 0 else (), top):
                low = rate / div_factor
                group.update(initial_lr=low, max_lr=rate, min_lr=low / final_div_factor)
            if cycle_momentum:
                _begin_momentum("OneCycleLR", optimizer, base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def _between(self, low: float, high: float, last: float, step: int) -> float:
        """From low to high, back to low (three phases), to last."""
        first, end = self.pct_start * self.total_steps - 1, self.total_steps - 1
        phases = [(0.0, first, low, high), (first, end, high, last)]
        if self.three_phase:
            second = 2 * self.pct_start * self.total_steps - 2
            phases[1:] = [(first, second, high, low), (second, end, low, last)]
        for begin, stop, a, b in phases[:-1]:
            if step <= stop:
                return self._anneal(a, b, (step - begin) / (stop - begin) if stop > begin else 1.0)
        begin, stop, a, b = phases[-1]
        return self._anneal(a, b, (step - begin) / (stop - begin) if stop > begin else 1.0)

    def _anneal(self, start: float, end: float, share: float) -> float:
        return start + (end - start) * share if self.anneal_strategy == "linear" else _half_cosine(start, end, share)

    def rate(self, index: int, step: int) -> float:
        """The learning rate at a step; one step more than total_steps − 1 is allowed, since loops end with schedule.step()."""
        if step > self.total_steps:
            raise DataError(
                "OneCycleLR: step {step} lies past the end of the cycle; total_steps is {total_steps}",
                step=step,
                total_steps=self.total_steps,
            )
        group = self.optimizer.param_groups[index]
        return self._between(group["initial_lr"], group["max_lr"], group["min_lr"], step)

    def cycle(self, group: Group, index: int) -> None:
        """The momentum, which goes down while the rate goes up."""
        if self.cycle_momentum:
            high = group["max_momentum"]
            _write_momentum(group, self._between(high, group["base_momentum"], high, self.last_epoch))


__all__ = ["CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR"]
