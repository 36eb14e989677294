"""L7. Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from danlu.messages import Phrase
from danlu.ops import composite
from danlu.optim.optimizer import Group, Optimizer, check_not_negative, check_option, zero_state
from danlu.tensor import Tensor, changing, update_


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if asked for.

    g ← g + λ p;   v ← μ v + (1 − τ) g (first step: v = g);   p ← p − η v     (Nesterov: p ← p − η (g + μ v))

    η is lr, λ weight_decay, μ momentum, τ dampening. Source: Sutskever et al. 2013, "On the importance of initialization and
    momentum in deep learning", in PyTorch's form: the learning rate multiplies the velocity and is not part of it.

    `foreach` and `fused` are accepted for PyTorch's sake: the update of all parameters is one fused program in any case.

    Shapes: parameters p of any shapes; g and v have the same.

    Raises:
        DataError: a negative option, or nesterov without momentum or with dampening.

    Example:
        >>> import danlu
        >>> p = danlu.nn.Parameter(danlu.ones(2))
        >>> p.sum().backward()
        >>> danlu.optim.SGD([p], lr=0.5).step()
        >>> p.tolist()
        [0.5, 0.5]
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, defaults | {"nesterov": nesterov, "maximize": maximize})

    def check_group(self, group: Group) -> None:
        """Numbers ≥ 0; Nesterov's form needs a momentum and no dampening."""
        check_not_negative("SGD", **{k: group[k] for k in ("lr", "momentum", "weight_decay")})
        fits = not group["nesterov"] or (group["momentum"] > 0 and group["dampening"] == 0)
        check_option("SGD", "nesterov", group["nesterov"], fits, Phrase("False, or momentum > 0 and dampening = 0 with it"))

    def update_group(self, group: Group) -> None:
        """Records the update."""
        if group["momentum"]:
            return self._update_with_momentum(group)
        params = [p for p in group["params"] if p.grad is not None]
        if params:
            grads = [p.grad for p in params]
            numbers = changing(group["lr"]), float(group["weight_decay"])
            update_(composite.sgd, params, *numbers, *params, *grads, maximize=group["maximize"])

    def _update_with_momentum(self, group: Group) -> None:
        first: list[tuple[Tensor, ...]] = []
        later: list[tuple[Tensor, ...]] = []
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p]
            velocity = state.get("momentum_buffer")
            rows = first if velocity is None and group["dampening"] else later
            if velocity is None:
                velocity = state["momentum_buffer"] = zero_state(p)
            rows.append((p, p.grad, velocity))
        for rows, rate in ((first, 1.0), (later, 1.0 - group["dampening"])):
            if rows:
                params, grads, velocities = zip(*rows)
                numbers = changing(group["lr"]), float(group["weight_decay"]), float(group["momentum"]), rate
                flags = {"nesterov": group["nesterov"], "maximize": group["maximize"]}
                update_(composite.sgd_momentum, [*params, *velocities], *numbers, *params, *grads, *velocities, **flags)


__all__ = ["SGD"]
