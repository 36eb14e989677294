"""L7. Stochastic gradient descent, plain, with momentum, and averaged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from danlu.messages import Phrase
from danlu.ops import optimizers
from danlu.optim.optimizer import Group, Numbers, Optimizer, Row, check_not_negative, check_option, in_lists, single, zero_state
from danlu.tensor import Tensor, changing, update_


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if asked for.

    g ← g + λ p;   v ← μ v + (1 − τ) g (first step: v = g);   p ← p − η v     (Nesterov: p ← p − η (g + μ v))

    η is lr, λ weight_decay, μ momentum, τ dampening. Source: Sutskever et al. 2013, "On the importance of initialization and
    momentum in deep learning", in PyTorch's form: the learning rate multiplies the velocity and is not part of it.

    `foreach`, `fused` and `differentiable` are accepted for PyTorch's sake: the update of all parameters is one fused program in any case.

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

    cycled = ("momentum",)

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
        differentiable: bool = False,
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
            update_(optimizers.sgd, params, *numbers, *params, *grads, maximize=group["maximize"])

    def numbers_again(self) -> Numbers | None:
        """The learning rate of a single group, and the momentum where there is one; dampening has a first step of its own."""
        group = self.param_groups[0]
        if len(self.param_groups) > 1 or group["dampening"] or isinstance(group["lr"], Tensor):
            return None
        return lambda: [group["lr"], float(group["momentum"])] if group["momentum"] else [group["lr"]]

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
                numbers = changing(group["lr"]), float(group["weight_decay"]), changing(float(group["momentum"])), rate
                flags = {"nesterov": group["nesterov"], "maximize": group["maximize"]}
                update_(optimizers.sgd_momentum, [*params, *velocities], *numbers, *params, *grads, *velocities, **flags)


class ASGD(Optimizer):
    """Averaged stochastic gradient descent: beside each parameter, its average over the steps after t0, in the state as `ax`.

    p ← p (1 − λ' η) − η g;   a ← a + μ (p − a);   η ← lr / (1 + λ' lr t)^α;   μ ← 1 / max(1, t − t0)

    λ' is lambd; weight decay adds λ p to g. Source: Polyak & Juditsky 1992, "Acceleration of stochastic approximation by
    averaging", with the rate of Bottou's SGD.

    `foreach`, `capturable` and `differentiable` are accepted for PyTorch's sake and mean nothing here.

    Raises:
        DataError: a negative lr or weight_decay.

    Example:
        >>> import danlu
        >>> p = danlu.nn.Parameter(danlu.ones(2))
        >>> p.sum().backward()
        >>> danlu.optim.ASGD([p], lr=0.5, lambd=0.0).step()
        >>> p.tolist()
        [0.5, 0.5]
    """

    numbers = ("step", "eta", "mu")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults)

    def check_group(self, group: Group) -> None:
        """Numbers ≥ 0."""
        check_not_negative("ASGD", **{k: group[k] for k in ("lr", "weight_decay")})

    def update_group(self, group: Group) -> None:
        """Records the update; parameters with the same history go together."""
        lr, lambd = float(group["lr"]), group["lambd"]
        for step, rows in self.stepped(group, lambda p: {"eta": single(lr), "mu": 1.0}).items():
            alike: dict[tuple[float, float], list[Row]] = {}
            for row in rows:
                alike.setdefault((row[1]["eta"], row[1]["mu"]), []).append(row)
            for (eta, mu), members in alike.items():
                targets, tensors = in_lists(members, "ax")
                numbers = changing(eta), changing(1.0 - lambd * eta), changing(mu), float(group["weight_decay"])
                update_(optimizers.asgd, targets, *numbers, *tensors, maximize=group["maximize"])
            for _, state in rows:
                state["eta"] = single(lr / (1 + lambd * lr * step) ** group["alpha"])
                state["mu"] = single(1 / max(1.0, step - group["t0"]))


__all__ = ["ASGD", "SGD"]
