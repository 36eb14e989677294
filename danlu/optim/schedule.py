"""L7. Learning-rate schedules: the base, and those that multiply the rate by a factor that follows from the number of steps.

A learning rate is a number given to the program at run time: changing it compiles nothing. The rate of any step follows from its
number alone. Several schedules may share an optimizer: what others did to a rate is kept as one more factor.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import exp
from typing import Any

from danlu.engine import capturing
from danlu.errors import DataError, DTypeError
from danlu.messages import message
from danlu.optim.optimizer import Group, Optimizer
from danlu.tensor import Tensor, no_grad


def write_rate(group: Group, rate: float) -> None:
    """The learning rate of a group; one that is a tensor keeps its memory."""
    if not isinstance(group["lr"], Tensor):
        group["lr"] = rate
        return
    capture = capturing()
    if capture is not None:
        capture.cannot("a schedule writes a learning rate that is a tensor")
    with no_grad():
        group["lr"].fill_(rate)


def for_each_group(name: str, option: str, value: Any, optimizer: Optimizer) -> list[Any]:
    """One value for each group: a list as it is, anything else repeated."""
    count = len(optimizer.param_groups)
    values = list(value) if isinstance(value, (list, tuple)) else [value] * count
    if len(values) != count:
        raise DataError(
            "{name}: got {given} values of {option} for {count} parameter groups; expected one for each",
            name=name,
            given=len(values),
            option=option,
            count=count,
        )
    return values


class ResumeError(DataError, KeyError):
    """A schedule that begins at a later step, for an optimizer whose groups lack what it wrote into them (PyTorch raises KeyError)."""

    __str__ = Exception.__str__


class LRScheduler:
    """The base: subclasses define `factor(step)`, by which the initial learning rates are multiplied, or `rate(group, step)`.

    lr = initial lr · factor(step)

    The constructor sets the rates of step `last_epoch + 1`; each call of `step()` those of the next. PyTorch's way of a subclass,
    `get_lr()` with a list of rates, works as well.

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

    keeps = False  # whether a schedule that begins at a later step leaves the rates as it finds them, as PyTorch's does
    absolute = False  # whether the rates stand for themselves, whatever others did to them
    written_options: tuple[str, ...] = ("initial_lr",)  # what the groups hold of it
    last_epoch: Any  # the number of the current step; a part of an epoch while `step(epoch)` runs
    floor = 0.0  # the part of every rate that no factor touches

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        name = type(self).__name__
        if not isinstance(optimizer, Optimizer):
            raise DTypeError("{name}: the optimizer is {kind}; expected an Optimizer", name=name, kind=type(optimizer).__name__)
        self.optimizer, self.last_epoch = optimizer, last_epoch
        for group in optimizer.param_groups:
            missing = [option for option in self.written_options if last_epoch >= 0 and option not in group]
            if missing:
                raise ResumeError(
                    "{name}: last_epoch is {last_epoch}, but the groups of the optimizer have no {option}; load the optimizer's "
                    "state_dict first, or set group['{option}']",
                    name=name,
                    last_epoch=last_epoch,
                    option=missing[0],
                )
            group.setdefault("initial_lr", float(group["lr"]))
        self.base_lrs: list[float] = [float(group["initial_lr"]) for group in optimizer.param_groups]
        self.begin()

    def begin(self) -> None:
        """From `last_epoch` to the step after it, as the constructor does."""
        groups = self.optimizer.param_groups
        self.others, self._step_count = [1.0] * len(groups), 0
        started = self.last_epoch >= 0 and not self.absolute
        if started and self.keeps:
            self.last_epoch, self._step_count = self.last_epoch + 1, 1
            self.written = [self.rate(k, self.last_epoch) for k in range(len(groups))]
            return
        self.written = [self.rate(k, self.last_epoch) if started else self.base_lrs[k] for k in range(len(groups))]
        self._step()

    def factor(self, step: int) -> float:
        """What the initial learning rates are multiplied by at a step; subclasses define it."""
        raise NotImplementedError(message("{name} has no factor; define `def factor(self, step): ...`", name=type(self).__name__))

    def rate(self, index: int, step: int) -> float:
        """The learning rate of group `index` at a step."""
        return self.base_lrs[index] * self.factor(step)

    def get_lr(self) -> list[float]:
        """The rates of the current step; subclasses may define it instead of `factor`."""
        return [self._rate(k) for k in range(len(self.optimizer.param_groups))]

    def step(self, epoch: float | None = None) -> None:
        """The learning rates of the next step, or of a given one; call it after optimizer.step()."""
        capture = capturing()
        if capture is not None:
            if epoch is not None:
                capture.cannot("a schedule steps to an epoch that is given")
            capture.repeat((), self._step)
        self._step(epoch)

    def _step(self, epoch: float | None = None) -> Sequence[float]:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self._step_count += 1
        groups = self.optimizer.param_groups
        own = type(self).get_lr is LRScheduler.get_lr
        if own and not self.absolute:
            self._note_others()
        for k, (group, rate) in enumerate(zip(groups, self.get_lr())):
            write_rate(group, rate)
            self.written[k] = rate
            self.cycle(group, k)
        return ()

    def _rate(self, index: int) -> float:
        rate, others = self.rate(index, self.last_epoch), self.others[index]
        return rate if others == 1.0 else self.floor + (rate - self.floor) * others

    def _note_others(self) -> None:
        """By what others (another schedule, the user) have multiplied the rates since this schedule wrote them."""
        for k, group in enumerate(self.optimizer.param_groups):
            found, written = float(group["lr"]), self.written[k]
            if found != written and written != self.floor:
                self.others[k] *= (found - self.floor) / (written - self.floor)

    def cycle(self, group: Group, index: int) -> None:
        """What else a schedule writes into a group, such as a momentum."""

    def restart(self) -> None:
        """The first step again, as if nobody had touched the rates: for schedules that follow one another."""
        for group, rate in zip(self.optimizer.param_groups, self.base_lrs):
            write_rate(group, rate)
        self.last_epoch = -1
        self.begin()

    def get_last_lr(self) -> list[float]:
        """The current learning rate of every group."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    # ---- state -----------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and functions."""
        state = {k: v for k, v in self.__dict__.items() if k not in ("optimizer", "functions") and not callable(v)}
        return {k: list(v) if isinstance(v, list) else v for k, v in state.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` gave, and sets the groups' rates from it; PyTorch's leaves them as the optimizer has them."""
        taken = {k: self.restored(k, v) for k, v in state_dict.items() if k in self.__dict__ and k != "optimizer"}
        self.__dict__.update({k: list(v) if isinstance(v, list) else v for k, v in taken.items()})
        groups, own = self.optimizer.param_groups, "others" in state_dict
        if own and type(self).get_lr is LRScheduler.get_lr:
            for k, (group, rate) in enumerate(zip(groups, self.get_lr())):
                write_rate(group, rate)
                self.cycle(group, k)
        elif not own:
            self.others = [1.0] * len(groups)
            self.written = self.get_lr() if type(self).get_lr is LRScheduler.get_lr else self.get_last_lr()

    def restored(self, key: str, value: Any) -> Any:
        """One entry of a state_dict as this schedule holds it."""
        return value


def _functions(name: str, given: Any, optimizer: Optimizer) -> list[Callable[[int], float]]:
    """One function for each group."""
    functions = for_each_group(name, "lr_lambda", given, optimizer)
    for function in functions:
        if not callable(function):
            raise DTypeError(
                "{name}: lr_lambda is {kind}; expected a function of the number of the step",
                name=name,
                kind=type(function).__name__,
            )
    return functions


class LambdaLR(LRScheduler):
    """lr = initial lr · lr_lambda(step); a list gives one function for each group.

    Example:
        >>> import danlu
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0)
        >>> schedule = danlu.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
        >>> schedule.step()
        >>> schedule.get_last_lr()
        [0.5]
    """

    absolute = True

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]], last_epoch: int = -1
    ) -> None:
        self.functions = _functions("LambdaLR", lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def rate(self, index: int, step: int) -> float:
        """initial lr · lr_lambda(step)."""
        return self.base_lrs[index] * self.functions[index](step)


class MultiplicativeLR(LRScheduler):
    """lr = initial lr · lr_lambda(1) · … · lr_lambda(step); a list gives one function for each group.

    Example:
        >>> import danlu
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0)
        >>> schedule = danlu.optim.lr_scheduler.MultiplicativeLR(optimizer, lambda step: 0.5)
        >>> [(schedule.step(), schedule.get_last_lr()[0])[1] for _ in range(3)]
        [0.5, 0.25, 0.125]
    """

    keeps = True

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]], last_epoch: int = -1
    ) -> None:
        self.functions = _functions("MultiplicativeLR", lr_lambda, optimizer)
        self.products = [(0, 1.0)] * len(self.functions)  # of each group: a step and the product up to it
        super().__init__(optimizer, last_epoch)

    def rate(self, index: int, step: int) -> float:
        """initial lr · Π lr_lambda(k), k from 1 to step."""
        reached, product = self.products[index] if self.products[index][0] <= step else (0, 1.0)
        for k in range(reached + 1, step + 1):
            product *= self.functions[index](k)
        self.products[index] = (max(step, 0), product)
        return self.base_lrs[index] * product


class StepLR(LRScheduler):
    """lr = initial lr · γ^⌊step / step_size⌋.

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

    def restored(self, key: str, value: Any) -> Any:
        """PyTorch counts how often a milestone occurs: {milestone: count}."""
        if key == "milestones" and isinstance(value, dict):
            return sorted(m for m, count in value.items() for _ in range(count))
        return value


class ExponentialLR(LRScheduler):
    """lr = initial lr · γ^step.

    Example:
        >>> import danlu
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0)
        >>> schedule = danlu.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        >>> [(schedule.step(), schedule.get_last_lr()[0])[1] for _ in range(3)]
        [0.5, 0.25, 0.125]
    """

    keeps = True

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        """γ^step."""
        return self.gamma**step


class NaturalExponentialLR(LRScheduler):
    """lr = initial lr · exp(−decay · step).

    Example:
        >>> import danlu
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0)
        >>> schedule = danlu.optim.lr_scheduler.NaturalExponentialLR(optimizer, decay=0.5)
        >>> [(schedule.step(), round(schedule.get_last_lr()[0], 4))[1] for _ in range(2)]
        [0.6065, 0.3679]
    """

    def __init__(self, optimizer: Optimizer, decay: float, last_epoch: int = -1) -> None:
        self.decay = decay
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        """exp(−decay · step)."""
        return exp(-self.decay * step)


class InverseTimeLR(LRScheduler):
    """lr = initial lr / (1 + decay · step).

    Example:
        >>> import danlu
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0)
        >>> schedule = danlu.optim.lr_scheduler.InverseTimeLR(optimizer, decay=1.0)
        >>> [(schedule.step(), round(schedule.get_last_lr()[0], 4))[1] for _ in range(3)]
        [0.5, 0.3333, 0.25]
    """

    def __init__(self, optimizer: Optimizer, decay: float, last_epoch: int = -1) -> None:
        if decay < 0:
            raise DataError("InverseTimeLR: decay is {decay}; expected a number ≥ 0", decay=decay)
        self.decay = decay
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        """1 / (1 + decay · step)."""
        return 1.0 / (1.0 + self.decay * step)


class ConstantLR(LRScheduler):
    """lr = initial lr · factor in the first total_iters steps, then the initial lr.

    Example:
        >>> import danlu
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0)
        >>> schedule = danlu.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
        >>> [(schedule.step(), schedule.get_last_lr()[0])[1] for _ in range(3)]
        [0.5, 1.0, 1.0]
    """

    def __init__(self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        if not 0.0 <= factor <= 1.0:
            raise DataError("ConstantLR: factor is {factor}; expected a number from 0 to 1", factor=factor)
        self.constant, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        """The factor, or 1 from total_iters on."""
        return self.constant if step < self.total_iters else 1.0


class LinearLR(LRScheduler):
    """The factor goes in a straight line from start_factor to end_factor in total_iters steps, and stays there.

    lr = initial lr · (start_factor + (end_factor − start_factor) · min(step, total_iters) / total_iters)

    Example:
        >>> import danlu
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0)
        >>> schedule = danlu.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
        >>> [(schedule.step(), schedule.get_last_lr()[0])[1] for _ in range(3)]
        [0.75, 1.0, 1.0]
    """

    keeps = True

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
        if step >= self.total_iters:
            return self.end_factor
        return self.start_factor + (self.end_factor - self.start_factor) * step / self.total_iters


class PolynomialLR(LRScheduler):
    """lr = initial lr · (1 − min(step / total_iters, 1))^power.

    Example:
        >>> import danlu
        >>> optimizer = danlu.optim.SGD([danlu.nn.Parameter(danlu.ones(1))], lr=1.0)
        >>> schedule = danlu.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=4, power=2.0)
        >>> [(schedule.step(), schedule.get_last_lr()[0])[1] for _ in range(5)]
        [0.5625, 0.25, 0.0625, 0.0, 0.0]
    """

    keeps = True

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        if total_iters < 1:
            raise DataError("PolynomialLR: total_iters is {total_iters}; expected an integer ≥ 1", total_iters=total_iters)
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def factor(self, step: int) -> float:
        """(1 − min(step / total, 1))^power."""
        return (1.0 - min(step, self.total_iters) / self.total_iters) ** self.power


__all__ = [
    "ConstantLR",
    "ExponentialLR",
    "InverseTimeLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "NaturalExponentialLR",
    "PolynomialLR",
    "StepLR",
    "for_each_group",
    "write_rate",
]
