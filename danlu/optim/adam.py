"""L7. Adam and AdamW: steps scaled by running averages of the gradient and of its square."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import sqrt
from typing import Any

from danlu.messages import Phrase
from danlu.ops import composite
from danlu.optim.optimizer import Group, Optimizer, check_not_negative, check_option, zero_state
from danlu.tensor import Tensor, changing, update_


class Adam(Optimizer):
    """Adam: steps scaled by running averages of the gradient and of its square.

    m ← β₁ m + (1 − β₁) g;   v ← β₂ v + (1 − β₂) g²;   p ← p − η m̂ / (√v̂ + ε)
    with m̂ = m / (1 − β₁ᵗ), v̂ = v / (1 − β₂ᵗ)

    η is lr. Weight decay adds λ p to g; AdamW is the form that does not scale it. Source: Kingma & Ba 2015, algorithm 1; AMSGrad,
    which divides by the largest v̂ so far: Reddi et al. 2018.

    `foreach` and `fused` are accepted for PyTorch's sake: the update of all parameters is one fused program in any case.

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
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad, "maximize": maximize}
        super().__init__(params, defaults)

    def check_group(self, group: Group) -> None:
        """Numbers ≥ 0; each β in [0, 1)."""
        name, betas = type(self).__name__, group["betas"]
        check_not_negative(name, **{k: group[k] for k in ("lr", "eps", "weight_decay")})
        fits = isinstance(betas, (tuple, list)) and len(betas) == 2 and all(0.0 <= b < 1.0 for b in betas)
        check_option(name, "betas", betas, fits, Phrase("two numbers from 0 up to but not including 1"))

    def update_group(self, group: Group) -> None:
        """Records the update; parameters that have taken the same number of steps go together."""
        by_step: dict[int, list[tuple[Tensor, ...]]] = {}
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p] or self._begin(p, group["amsgrad"])
            step = state["step"] = state["step"] + 1
            row = (p, p.grad, state["exp_avg"], state["exp_avg_sq"])
            by_step.setdefault(step, []).append((*row, state["max_exp_avg_sq"]) if group["amsgrad"] else row)
        for step, rows in by_step.items():
            self._record(group, step, rows)

    def _begin(self, p: Tensor, amsgrad: bool) -> dict[str, Any]:
        state = self.state[p]
        state.update(step=0, exp_avg=zero_state(p), exp_avg_sq=zero_state(p))
        if amsgrad:
            state["max_exp_avg_sq"] = zero_state(p)
        return state

    def _record(self, group: Group, step: int, rows: list[tuple[Tensor, ...]]) -> None:
        params, grads, *averages = zip(*rows)
        tensors = [*params, *grads, *(a for kind in averages for a in kind)]
        targets = [*params, *tensors[2 * len(params) :]]
        (beta1, beta2), (alpha, scale, decay) = group["betas"], self._rates(group, step)
        shrinking = changing(decay) if group["weight_decay"] else 0
        numbers = changing(alpha), 1 - beta1, 1 - beta2, changing(scale), group["eps"], shrinking
        flags = {"decoupled": self.decoupled, "amsgrad": group["amsgrad"], "maximize": group["maximize"]}
        update_(composite.adam, targets, *numbers, *tensors, **flags)

    def _rates(self, group: Group, step: int) -> tuple[float, float, float]:
        """What changes from step to step: η / (1 − β₁ᵗ), 1 / √(1 − β₂ᵗ) and the decay."""
        (beta1, beta2), lr = group["betas"], group["lr"]
        decay = group["weight_decay"] * (lr if self.decoupled else 1.0)
        return lr / (1 - beta1**step), 1 / sqrt(1 - beta2**step), decay

    def numbers_again(self) -> Callable[[], list[float]] | None:
        """One more step of parameters that have all taken the same number of steps."""
        groups = [(g, [self.state[p] for p in g["params"] if p.grad is not None]) for g in self.param_groups]
        groups = [(g, states) for g, states in groups if states]
        if any(len({s["step"] for s in states}) > 1 or isinstance(g["lr"], Tensor) for g, states in groups):
            return None

        def numbers() -> list[float]:
            found: list[float] = []
            for group, states in groups:
                for state in states:
                    state["step"] += 1
                count = 3 if group["weight_decay"] else 2
                found += self._rates(group, states[0]["step"])[:count]
            return found

        return numbers


class AdamW(Adam):
    """Adam with decoupled weight decay: p ← p − η λ p − η m̂ / (√v̂ + ε).

    Shapes: parameters p of any shapes; g, m and v have the same.

    Source: Loshchilov & Hutter 2019, "Decoupled weight decay regularization", algorithm 2.

    `foreach` and `fused` are accepted for PyTorch's sake: the update of all parameters is one fused program in any case.

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
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)


__all__ = ["Adam", "AdamW"]
