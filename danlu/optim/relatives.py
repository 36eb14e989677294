"""L7. Relatives of Adam: Adamax, NAdam, RAdam, and SparseAdam for embeddings."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Any

from danlu.ops import optimizers
from danlu.optim.optimizer import Group, Optimizer, Row, check_betas, check_not_negative, in_lists, single
from danlu.tensor import Tensor, changing, update_


def _check(optimizer: str, group: Group, *more: str) -> None:
    check_not_negative(optimizer, **{k: group[k] for k in ("lr", "eps", *more)})
    check_betas(optimizer, group["betas"])


class Adamax(Optimizer):
    """Adam with the largest gradient so far, fading, in place of the root of the mean square.

    m ← β₁ m + (1 − β₁) g;   u ← max(β₂ u, |g| + ε);   p ← p − η / (1 − β₁ᵗ) · m / u

    Weight decay adds λ p to g. Source: Kingma & Ba 2015, algorithm 2; ε inside the maximum, as in PyTorch.

    `foreach`, `capturable` and `differentiable` are accepted for PyTorch's sake and mean nothing here.

    Raises:
        DataError: a negative option, or a β that is not in [0, 1).

    Example:
        >>> import danlu
        >>> p = danlu.nn.Parameter(danlu.ones(2))
        >>> p.sum().backward()
        >>> danlu.optim.Adamax([p], lr=0.5).step()
        >>> p.tolist()
        [0.5, 0.5]
    """

    cycled = ("betas",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize})

    def check_group(self, group: Group) -> None:
        """Numbers ≥ 0; each β in [0, 1)."""
        _check("Adamax", group, "weight_decay")

    def update_group(self, group: Group) -> None:
        """Records the update."""
        beta1, beta2 = group["betas"]
        for step, rows in self.stepped(group).items():
            targets, tensors = in_lists(rows, "exp_avg", "exp_inf")
            numbers = changing(group["lr"]), changing(1 / (1 - beta1**step)), changing(1.0 - beta1), changing(float(beta2))
            fixed = float(group["eps"]), float(group["weight_decay"])
            update_(optimizers.adamax, targets, *numbers, *fixed, *tensors, maximize=group["maximize"])


class NAdam(Optimizer):
    """Adam with Nesterov's momentum: the step looks ahead along the momentum of the next step.

    m, v as in Adam;   μₜ = β₁ (1 − 0.96^(t ψ) / 2);   p ← p − η (μₜ₊₁ m / (1 − Π₁ᵗ⁺¹ μ) + (1 − μₜ) g / (1 − Π₁ᵗ μ)) / (√v̂ + ε)

    ψ is momentum_decay. Weight decay adds λ p to g, or shrinks p by 1 − η λ (`decoupled_weight_decay`). Source: Dozat 2016,
    "Incorporating Nesterov momentum into Adam", algorithm 2.

    `foreach`, `capturable` and `differentiable` are accepted for PyTorch's sake and mean nothing here.

    Raises:
        DataError: a negative option, or a β that is not in [0, 1).

    Example:
        >>> import danlu
        >>> p = danlu.nn.Parameter(danlu.ones(1))
        >>> p.sum().backward()
        >>> danlu.optim.NAdam([p], lr=0.5).step()
        >>> round(p.item(), 3)
        0.472
    """

    cycled = ("betas",)
    numbers = ("step", "mu_product")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay}
        super().__init__(params, defaults | {"decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize})

    def check_group(self, group: Group) -> None:
        """Numbers ≥ 0; each β in [0, 1)."""
        _check("NAdam", group, "weight_decay", "momentum_decay")

    def update_group(self, group: Group) -> None:
        """Records the update; parameters with the same history go together."""
        for step, rows in self.stepped(group, lambda p: {"mu_product": 1.0}).items():
            by_product: dict[float, list[Row]] = {}
            for row in rows:
                by_product.setdefault(row[1]["mu_product"], []).append(row)
            for product, members in by_product.items():
                self._record(group, step, product, members)

    def _record(self, group: Group, step: int, product: float, rows: list[Row]) -> None:
        (beta1, beta2), psi = group["betas"], group["momentum_decay"]
        mu, following = (beta1 * (1 - 0.5 * 0.96 ** (t * psi)) for t in (step, step + 1))
        product = single(single(mu) * product)
        for _, state in rows:
            state["mu_product"] = product
        targets, tensors = in_lists(rows, "exp_avg", "exp_avg_sq")
        shares = changing((1 - mu) / (1 - product)), changing(following / (1 - product * following))
        rates = changing(1.0 - beta1), changing(1.0 - beta2), changing(1 / sqrt(1 - beta2**step))
        fixed = float(group["eps"]), float(group["weight_decay"])
        flags = {"decoupled": group["decoupled_weight_decay"], "maximize": group["maximize"]}
        update_(optimizers.nadam, targets, changing(group["lr"]), *shares, *rates, *fixed, *tensors, **flags)


class RAdam(Optimizer):
    """Adam that waits: as long as too few gradients were seen to know their variance, the step is not scaled by it.

    m, v as in Adam;   ρ = ρ∞ − 2 t β₂ᵗ / (1 − β₂ᵗ),   ρ∞ = 2 / (1 − β₂) − 1
    ρ > 5:  p ← p − η m̂ r √(1 − β₂ᵗ) / (√v + ε),   r² = (ρ − 4)(ρ − 2) ρ∞ / ((ρ∞ − 4)(ρ∞ − 2) ρ);   else  p ← p − η m̂

    Weight decay adds λ p to g, or shrinks p by 1 − η λ (`decoupled_weight_decay`). Source: Liu et al. 2020, "On the variance of the
    adaptive learning rate and beyond", algorithm 2, with 5 for 4 as the bound, as in PyTorch.

    `foreach`, `capturable` and `differentiable` are accepted for PyTorch's sake and mean nothing here.

    Raises:
        DataError: a negative option, or a β that is not in [0, 1).

    Example:
        >>> import danlu
        >>> p = danlu.nn.Parameter(danlu.ones(2))
        >>> p.sum().backward()
        >>> danlu.optim.RAdam([p], lr=0.5).step()
        >>> p.tolist()
        [0.5, 0.5]
    """

    cycled = ("betas",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults | {"decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize})

    def check_group(self, group: Group) -> None:
        """Numbers ≥ 0; each β in [0, 1)."""
        _check("RAdam", group, "weight_decay")

    def update_group(self, group: Group) -> None:
        """Records the update."""
        beta1, beta2 = group["betas"]
        for step, rows in self.stepped(group).items():
            targets, tensors = in_lists(rows, "exp_avg", "exp_avg_sq")
            rates = changing(1.0 - beta1), changing(1.0 - beta2), changing(_rectification(beta2, step))
            fixed = float(group["eps"]), float(group["weight_decay"])
            flags = {"decoupled": group["decoupled_weight_decay"], "maximize": group["maximize"]}
            numbers = changing(group["lr"]), changing(1 / (1 - beta1**step)), *rates, *fixed
            update_(optimizers.radam, targets, *numbers, *tensors, **flags)


def _rectification(beta2: float, step: int) -> float:
    """r √(1 − β₂ᵗ), or 0 while ρ ≤ 5."""
    rest, top = 1 - beta2**step, 2 / (1 - beta2) - 1
    rho = top - 2 * step * beta2**step / rest
    if rho <= 5:
        return 0.0
    return sqrt((rho - 4) * (rho - 2) * top / ((top - 4) * (top - 2) * rho) * rest)


class SparseAdam(Optimizer):
    """Adam for embeddings: only rows (of axis 0) that were used move, and only their averages change.

    Of each row whose gradient is not all zero:  m, v as in Adam;   p ← p − η √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε)

    PyTorch's takes sparse gradients alone. danlu's gradients are dense: a row counts as used where its gradient is not zero, so
    `nn.Embedding(…, sparse=True)` trains as there. Of a gradient without zero rows this is Adam.

    Raises:
        DataError: a negative option, or a β that is not in [0, 1).

    Example:
        >>> import danlu
        >>> table = danlu.nn.Embedding(3, 1, _weight=danlu.ones(3, 1))
        >>> table(danlu.tensor([2])).sum().backward()
        >>> danlu.optim.SparseAdam(table.parameters(), lr=0.5).step()
        >>> [round(x, 4) for x in table.weight.flatten().tolist()]
        [1.0, 1.0, 0.5]
    """

    cycled = ("betas",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})

    def check_group(self, group: Group) -> None:
        """Numbers ≥ 0; each β in [0, 1)."""
        _check("SparseAdam", group)

    def update_group(self, group: Group) -> None:
        """Records the update."""
        beta1, beta2 = group["betas"]
        for step, rows in self.stepped(group).items():
            targets, tensors = in_lists(rows, "exp_avg", "exp_avg_sq")
            alpha = changing(sqrt(1 - beta2**step) / (1 - beta1**step))
            numbers = changing(group["lr"]), alpha, changing(1.0 - beta1), changing(1.0 - beta2), float(group["eps"])
            update_(optimizers.sparse_adam, targets, *numbers, *tensors, maximize=group["maximize"])


__all__ = ["Adamax", "NAdam", "RAdam", "SparseAdam"]
