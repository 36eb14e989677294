"""L7. Muon: momentum whose matrix is made orthogonal before the step."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Any

from danlu.errors import DTypeError, ShapeError
from danlu.messages import Phrase
from danlu.ops import optimizers
from danlu.optim.optimizer import Group, Optimizer, check_not_negative, check_option, in_lists
from danlu.tensor import Tensor, changing, update_


class Muon(Optimizer):
    """Muon: momentum whose matrix is made orthogonal before the step. For the matrices of hidden layers; biases, embeddings and
    the last layer go to AdamW.

    m ← μ m + (1 − μ) g;   p ← p − η λ p − η s orthogonal(μ m + (1 − μ) g)     (nesterov=False: orthogonal(m))

    orthogonal(x) is about U Vᵀ where x = U S Vᵀ: x / ‖x‖, then ns_steps times x ← a x + (b A + c A²) x with A = x xᵀ and
    ns_coefficients a, b, c, in bfloat16. s is √max(1, rows / columns), or 0.2 √max(rows, columns) for adjust_lr_fn
    "match_rms_adamw". Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; Liu et al. 2025,
    "Muon is scalable for LLM training" (s).

    Shapes: parameters p of two axes; g and m have the same.

    Raises:
        DataError: a negative option, 100 steps or more, or an adjust_lr_fn that is not there.
        ShapeError: a parameter that is no matrix.
        DTypeError: a complex parameter.

    Example:
        >>> import danlu
        >>> p = danlu.nn.Parameter(danlu.zeros(2, 3))
        >>> (p * danlu.tensor([[3.0, 0.0, 0.0], [0.0, 1.0, 0.0]])).sum().backward()
        >>> danlu.optim.Muon([p], lr=1.0, ns_steps=12).step()
        >>> bool((p[0, 0] < -0.6) and (p[1, 1] < -0.6))
        True
    """

    cycled = ("momentum",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov}
        iteration = {"ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps}
        super().__init__(params, defaults | iteration | {"adjust_lr_fn": adjust_lr_fn})

    def check_group(self, group: Group) -> None:
        """Numbers ≥ 0; three coefficients; matrices of real numbers."""
        check_not_negative("Muon", **{k: group[k] for k in ("lr", "weight_decay", "momentum")})
        coefficients, steps, adjust = group["ns_coefficients"], group["ns_steps"], group["adjust_lr_fn"]
        check_option("Muon", "ns_coefficients", coefficients, len(coefficients) == 3, Phrase("three numbers"))
        check_option("Muon", "ns_steps", steps, 0 <= steps < 100, Phrase("a number from 0 to 99"))
        known = (None, "original", "match_rms_adamw")
        check_option("Muon", "adjust_lr_fn", adjust, adjust in known, Phrase("None, 'original' or 'match_rms_adamw'"))
        for p in group["params"]:
            if p.ndim != 2:
                raise ShapeError(
                    "Muon: a parameter has shape {shape}; expected matrices alone: give biases, embeddings and filters to AdamW",
                    shape=tuple(p.shape),
                )
            if p.dtype.is_complex:
                raise DTypeError("Muon: a parameter is {dtype}; expected real numbers", dtype=p.dtype.name)

    def update_group(self, group: Group) -> None:
        """Records the update."""
        rows = [(p, self.state[p]) for p in group["params"] if p.grad is not None]
        if not rows:
            return
        targets, tensors = in_lists(rows, "momentum_buffer")
        lr, matched = float(group["lr"]), group["adjust_lr_fn"] == "match_rms_adamw"
        numbers = changing(lr), changing(1.0 - lr * group["weight_decay"]), changing(1.0 - group["momentum"])
        ratios = tuple(_ratio(p, matched) for p, _ in rows)
        flags = {"nesterov": group["nesterov"], "coefficients": tuple(group["ns_coefficients"]), "eps": float(group["eps"])}
        update_(optimizers.muon, targets, *numbers, *tensors, steps=group["ns_steps"], ratios=ratios, **flags)


def _ratio(p: Tensor, matched: bool) -> float:
    """What the learning rate is multiplied with for a matrix of this shape."""
    rows, columns = p.shape
    return 0.2 * sqrt(max(rows, columns)) if matched else sqrt(max(1.0, rows / columns))


__all__ = ["Muon"]
