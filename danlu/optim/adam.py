"""L7. Adam and AdamW: steps scaled by running averages of the gradient and of its square."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Any

from danlu.ops import optimizers
from danlu.optim.optimizer import Group, Numbers, Optimizer, check_betas, check_not_negative, in_lists
from danlu.tensor import Tensor, changing, update_


class Adam(Optimizer):
    """Adam: steps scaled by running averages of the gradient and of its square.

    m ← β₁ m + (1 − β₁) g;   v ← β₂ v + (1 − β₂) g²;   p ← p − η m̂ / (√v̂ + ε)
    with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ)

    η is lr. Weight decay adds λ p to g; AdamW is the form that does not scale it. Source: Kingma & Ba 2015, algorithm 1; AMSGrad,
    which divides by the largest v̂ so far: Reddi et al. 2018.

    `foreach`, `fused`, `capturable` and `differentiable` are accepted for PyTorch's sake: the update of all parameters is one fused program in
    any case.

    Shapes: parameters p of any shapes; g, m and v have the same.

    Raises:
        DataError: a negative option, or a β that is not in [0, 1).

    Example:
        >>> import danlu
        >>> p = danlu.nn.Parameter(danlu.ones(2))
        >>> p.sum().backward()
        >>> danlu.optim.Adam([p], lr=0.5).step()
        >>> p.tolist()
        [0.5, 0.5]
    """

    decoupled = False
    cycled = ("betas",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad, "maximize": maximize}
        super().__init__(params, defaults)

    def check_group(self, group: Group) -> None:
        """Numbers ≥ 0; each β in [0, 1)."""
        check_not_negative(type(self).__name__, **{k: group[k] for k in ("lr", "eps", "weight_decay")})
        check_betas(type(self).__name__, group["betas"])

    def update_group(self, group: Group) -> None:
        """Records the update; parameters that have taken the same number of steps go together."""
        largest = ("max_exp_avg_sq",) if group["amsgrad"] else ()
        for step, rows in self.stepped(group).items():
            targets, tensors = in_lists(rows, "exp_avg", "exp_avg_sq", *largest)
            alpha, scale, rate1, rate2, decay = _rates(group, step, self.decoupled)
            factor = group["lr"] if isinstance(group["lr"], Tensor) else 1.0
            shrinking = changing(decay) if group["weight_decay"] else 0
            numbers = changing(alpha), changing(rate1), changing(rate2), changing(scale), group["eps"], shrinking
            flags = {"decoupled": self.decoupled, "amsgrad": group["amsgrad"], "maximize": group["maximize"]}
            update_(optimizers.adam, targets, factor, *numbers, *tensors, **flags)

    def numbers_again(self) -> Numbers | None:
        """One more step of parameters that have all taken the same number of steps."""
        groups = [(g, [self.state[p] for p in g["params"] if p.grad is not None]) for g in self.param_groups]
        groups, decoupled = [(g, states) for g, states in groups if states], self.decoupled

        def uneven() -> bool:
            return any(len({state["step"] for state in states}) > 1 for _, states in groups)

        def numbers() -> list[float] | None:
            found: list[float] = []
            if uneven():
                return None
            for group, states in groups:
                step = states[0]["step"] + 1
                for state in states:
                    state["step"] = step
                alpha, scale, rate1, rate2, decay = _rates(group, step, decoupled)
                found += (alpha, rate1, rate2, scale, decay) if group["weight_decay"] else (alpha, rate1, rate2, scale)
            return found

        return None if uneven() else numbers


def _rates(group: Group, step: int, decoupled: bool) -> tuple[float, float, float, float, float]:
    """What changes from step to step: η / (1 − β₁ᵗ), 1 / √(1 − β₂ᵗ), 1 − β₁, 1 − β₂ and the decay; η is 1 where it is a tensor."""
    (beta1, beta2), lr = group["betas"], group["lr"]
    lr = 1.0 if isinstance(lr, Tensor) else lr
    decay = group["weight_decay"] * (lr if decoupled else 1.0)
    return lr / (1 - beta1**step), 1 / sqrt(1 - beta2**step), 1 - beta1, 1 - beta2, decay


class AdamW(Adam):
    """Adam with decoupled weight decay: p ← p − η λ p − η m̂ / (√v̂ + ε).

    Shapes: parameters p of any shapes; g, m and v have the same.

    Source: Loshchilov & Hutter 2019, "Decoupled weight decay regularization", algorithm 2.

    `foreach`, `fused`, `capturable` and `differentiable` are accepted for PyTorch's sake: the update of all parameters is one fused program in
    any case.

    Raises:
        DataError: a negative option, or a β that is not in [0, 1).

    Example:
        >>> import danlu
        >>> p = danlu.nn.Parameter(danlu.ones(2))
        >>> p.sum().backward()
        >>> danlu.optim.AdamW([p], lr=0.5, weight_decay=0.5).step()
        >>> p.tolist()
        [0.25, 0.25]
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)


__all__ = ["Adam", "AdamW"]
