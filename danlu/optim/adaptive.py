"""L7. Steps scaled by the gradients so far: Adagrad, Adadelta, RMSprop, Adafactor, and Rprop, which only looks at their signs."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod, sqrt
from typing import Any

from danlu.dtype import limits
from danlu.messages import Phrase
from danlu.ops import optimizers
from danlu.optim.optimizer import Group, Optimizer, Row, check_not_negative, check_option, filled_state, in_lists
from danlu.tensor import Tensor, changing, update_


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients: what was seldom moved moves more.

    s ← s + g²;   p ← p − η / (1 + (t − 1) lr_decay) · g / (√s + ε)

    s begins at initial_accumulator_value. Weight decay adds λ p to g. Source: Duchi, Hazan & Singer 2011, equation 1 (diagonal).

    `foreach`, `fused` and `differentiable` are accepted for PyTorch's sake and mean nothing here.

    Raises:
        DataError: a negative option.

    Example:
        >>> import danlu
        >>> p = danlu.nn.Parameter(danlu.ones(2))
        >>> p.sum().backward()
        >>> danlu.optim.Adagrad([p], lr=0.5).step()
        >>> p.tolist()
        [0.5, 0.5]
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {"lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults | {"initial_accumulator_value": initial_accumulator_value, "maximize": maximize})

    def check_group(self, group: Group) -> None:
        """Numbers ≥ 0."""
        names = ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")
        check_not_negative("Adagrad", **{k: group[k] for k in names})

    def update_group(self, group: Group) -> None:
        """Records the update."""
        start = group["initial_accumulator_value"]
        for step, rows in self.stepped(group, lambda p: {"sum": filled_state(p, start)}).items():
            targets, tensors = in_lists(rows, "sum")
            shrink = changing(1 / (1 + (step - 1) * group["lr_decay"]))
            numbers = changing(group["lr"]), shrink, float(group["eps"]), float(group["weight_decay"])
            update_(optimizers.adagrad, targets, *numbers, *tensors, maximize=group["maximize"])


class Adadelta(Optimizer):
    """Steps with a unit of their own: the root of the mean square of past steps over that of past gradients.

    v ← ρ v + (1 − ρ) g²;   Δ = √(u + ε) / √(v + ε) · g;   u ← ρ u + (1 − ρ) Δ²;   p ← p − η Δ

    Weight decay adds λ p to g. Source: Zeiler 2012, "Adadelta: an adaptive learning rate method", algorithm 1 (there η is 1).

    `foreach`, `capturable` and `differentiable` are accepted for PyTorch's sake and mean nothing here.

    Raises:
        DataError: a negative option, or a ρ that is not in [0, 1].

    Example:
        >>> import danlu
        >>> p = danlu.nn.Parameter(danlu.ones(1))
        >>> p.sum().backward()
        >>> danlu.optim.Adadelta([p], lr=100.0).step()
        >>> round(p.item(), 3)
        0.684
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize})

    def check_group(self, group: Group) -> None:
        """Numbers ≥ 0; ρ in [0, 1]."""
        check_not_negative("Adadelta", **{k: group[k] for k in ("lr", "eps", "weight_decay")})
        check_option("Adadelta", "rho", group["rho"], 0 <= group["rho"] <= 1, Phrase("a number from 0 to 1"))

    def update_group(self, group: Group) -> None:
        """Records the update."""
        rows = [row for same in self.stepped(group).values() for row in same]
        if rows:
            targets, tensors = in_lists(rows, "square_avg", "acc_delta")
            numbers = changing(group["lr"]), 1.0 - group["rho"], float(group["eps"]), float(group["weight_decay"])
            update_(optimizers.adadelta, targets, *numbers, *tensors, maximize=group["maximize"])


class RMSprop(Optimizer):
    """Steps divided by the root of the mean square of recent gradients.

    v ← α v + (1 − α) g²;   p ← p − η g / (√v + ε)
    centered:  ḡ ← α ḡ + (1 − α) g, and v − ḡ² for v;   momentum:  b ← μ b + g / (√v + ε);   p ← p − η b

    Weight decay adds λ p to g. Source: Tieleman & Hinton 2012, lecture 6.5; centered: Graves 2013, equations 38 to 40.

    `foreach`, `capturable` and `differentiable` are accepted for PyTorch's sake and mean nothing here.

    Raises:
        DataError: a negative option.

    Example:
        >>> import danlu
        >>> p = danlu.nn.Parameter(danlu.ones(2))
        >>> p.sum().backward()
        >>> danlu.optim.RMSprop([p], lr=0.25, alpha=0.75).step()
        >>> p.tolist()
        [0.5, 0.5]
    """

    cycled = ("momentum",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered}
        super().__init__(params, defaults | {"weight_decay": weight_decay, "maximize": maximize})

    def check_group(self, group: Group) -> None:
        """Numbers ≥ 0."""
        check_not_negative("RMSprop", **{k: group[k] for k in ("lr", "eps", "momentum", "weight_decay", "alpha")})

    def update_group(self, group: Group) -> None:
        """Records the update."""
        rows = [row for same in self.stepped(group).values() for row in same]
        if not rows:
            return
        centered, momentum = bool(group["centered"]), bool(group["momentum"])
        names = ["square_avg"] + ["grad_avg"] * centered + ["momentum_buffer"] * momentum
        targets, tensors = in_lists(rows, *names)
        fixed = 1.0 - group["alpha"], float(group["eps"]), float(group["weight_decay"])
        mu = changing(float(group["momentum"])) if momentum else 0.0
        flags = {"centered": centered, "momentum": momentum, "maximize": group["maximize"]}
        update_(optimizers.rmsprop, targets, changing(group["lr"]), *fixed, mu, *tensors, **flags)


class Rprop(Optimizer):
    """Steps of a size of their own for each weight, which grows while the gradient keeps its sign; for whole-batch training.

    s ← s η⁺ where g keeps its sign, s η⁻ where it turns (and g ← 0 for this step);   p ← p − sign(g) s

    s begins at lr and stays within step_sizes; etas is (η⁻, η⁺). Source: Riedmiller & Braun 1993, without weight backtracking.

    `foreach`, `capturable` and `differentiable` are accepted for PyTorch's sake and mean nothing here.

    Raises:
        DataError: a negative lr, or etas without 0 < η⁻ < 1 < η⁺.

    Example:
        >>> import danlu
        >>> p = danlu.nn.Parameter(danlu.ones(2))
        >>> p.sum().backward()
        >>> danlu.optim.Rprop([p], lr=0.5).step()
        >>> p.tolist()
        [0.5, 0.5]
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize})

    def check_group(self, group: Group) -> None:
        """lr ≥ 0; 0 < η⁻ < 1 < η⁺."""
        check_not_negative("Rprop", lr=group["lr"])
        down, up = group["etas"]
        check_option("Rprop", "etas", group["etas"], 0 < down < 1 < up, Phrase("two numbers, one below and one above 1"))

    def update_group(self, group: Group) -> None:
        """Records the update."""
        found = self.stepped(group, lambda p: {"step_size": filled_state(p, float(group["lr"]))})
        rows = [row for same in found.values() for row in same]
        if rows:
            targets, tensors = in_lists(rows, "prev", "step_size")
            numbers = [float(x) for x in (*group["etas"], *group["step_sizes"])]
            update_(optimizers.rprop, targets, *numbers, *tensors, maximize=group["maximize"])


class Adafactor(Optimizer):
    """Adam for large matrices: no running mean, and the mean square kept as one number a row and one a column.

    r ← β r + (1 − β) mean(g², −1),  c alike over −2,  v = r c / mean(r);   u = g / √v, divided by max(1, rms(u) / d)
    p ← p − max(ε₂, rms(p)) min(η, 1/√t) u,   1 − β = t^beta2_decay

    Weight decay shrinks p by 1 − η λ. ε₁ is eps[0] (None: the precision of the dtype), ε₂ is eps[1]; a vector keeps all of v.
    Source: Shazeer & Stern 2018, algorithms 4 and 5; the learning rate bounds the relative step, as in PyTorch.

    `foreach` is accepted for PyTorch's sake: the update of all parameters is one fused program in any case.

    Shapes: parameters p of any shapes; of (*, m, n) r is (*, m, 1) and c (*, 1, n), of a vector v is whole.

    Raises:
        DataError: a negative option, d < 1, or a positive beta2_decay.

    Example:
        >>> import danlu
        >>> p = danlu.nn.Parameter(danlu.ones(2, 2))
        >>> p.sum().backward()
        >>> danlu.optim.Adafactor([p], lr=0.5).step()
        >>> p.tolist()
        [[0.5, 0.5], [0.5, 0.5]]
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d}
        super().__init__(params, defaults | {"weight_decay": weight_decay, "maximize": maximize})

    def check_group(self, group: Group) -> None:
        """Numbers ≥ 0; d ≥ 1; beta2_decay ≤ 0."""
        check_not_negative("Adafactor", **{k: group[k] for k in ("lr", "weight_decay")})
        eps, decay = group["eps"], group["beta2_decay"]
        check_option("Adafactor", "eps", eps, all(e is None or e >= 0 for e in eps), Phrase("numbers ≥ 0"))
        check_option("Adafactor", "d", group["d"], group["d"] >= 1, Phrase("a number ≥ 1"))
        check_option("Adafactor", "beta2_decay", decay, decay <= 0, Phrase("a number ≤ 0"))

    def state_shape(self, key: str, p: Tensor) -> tuple[int, ...]:
        """One number a row, one a column, or the shape of the parameter."""
        shape = tuple(p.shape)
        if key == "row_var":
            return (*shape[:-1], 1)
        return (*shape[:-2], 1, shape[-1]) if key == "col_var" else shape

    def _begin(self, p: Tensor) -> dict[str, Any]:
        names = ("row_var", "col_var") if p.ndim > 1 else ("variance",)
        return {name: filled_state(p, 0.0, self.state_shape(name, p)) for name in names}

    def update_group(self, group: Group) -> None:
        """Records the update; matrices and vectors apart, and each dtype."""
        for step, rows in self.stepped(group, self._begin).items():
            kinds: dict[tuple[bool, Any], list[Row]] = {}
            for p, state in rows:
                if prod(p.shape):
                    kinds.setdefault((p.ndim > 1, p.dtype), []).append((p, state))
            for (factored, dtype), members in kinds.items():
                self._record(group, step, members, factored, dtype)

    def _record(self, group: Group, step: int, rows: list[Row], factored: bool, dtype: Any) -> None:
        targets, tensors = in_lists(rows, *(("row_var", "col_var") if factored else ("variance",)))
        eps1, eps2 = group["eps"]
        eps1 = limits(dtype).eps if eps1 is None else float(eps1)
        rates = changing(group["lr"]), changing(float(step ** group["beta2_decay"])), changing(1 / sqrt(step))
        fixed = float(eps2), float(group["d"]), float(group["weight_decay"])
        flags = {"factored": factored, "eps1": eps1, "maximize": group["maximize"]}
        update_(optimizers.adafactor, targets, *rates, *fixed, *tensors, **flags)


__all__ = ["Adadelta", "Adafactor", "Adagrad", "RMSprop", "Rprop"]
