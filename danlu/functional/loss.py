"""L6. Distances of vectors and further losses; public in `danlu.nn.functional`."""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi
from typing import Any

import numpy as np

from danlu.errors import DataError, DTypeError, ShapeError
from danlu.functional.common import _check_equal_shapes, _check_reduction, logsigmoid
from danlu.ops.movement import normalize_axis
from danlu.ops.table import broadcast_shapes
from danlu.tensor import Tensor, apply, from_array


def _reduced(name: str, loss: Tensor, reduction: str) -> Tensor:
    _check_reduction(name, reduction)
    return loss if reduction == "none" else loss.sum() if reduction == "sum" else loss.mean()


def _at_least(x: Any, low: float) -> Tensor:
    """max(x, low); the derivative is 1 where they are equal."""
    return apply("where", x < low, low, x)


# ---- distances ------------------------------------------------------------------------------------------------------------------


def _floating(name: str, x: Tensor) -> None:
    if not x.dtype.is_floating_point:
        raise DTypeError(
            "{name}: the input has dtype {dtype}; expected a floating-point dtype: write x.float()", name=name, dtype=x.dtype.name
        )


def _length(x: Tensor, p: float, dim: Any, keepdim: bool) -> Tensor:
    """(Σ |x|ᵖ)^(1/p), with derivative 0 where it is 0."""
    x = x.abs() if x.dtype.is_complex else x
    if p == 0:  # a count: its derivative is 0
        return apply("carry", apply("ne", x, 0).to(x.dtype).sum(dim, keepdim), (x * 0.0).sum(dim, keepdim))
    if p in (1, float("inf")):
        return x.norm(p, dim, keepdim)
    total = (x * x if p == 2 else x.abs() ** p).sum(dim, keepdim)
    zero = total == 0
    safe = apply("where", zero, 1.0, total)
    return apply("where", zero, 0.0, safe.sqrt() if p == 2 else safe ** (1.0 / p))


def normalize(input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12) -> Tensor:
    """x / max(‖x‖ₚ, ε) along an axis.

    Shapes: input (*) → (*).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> [round(x, 4) for x in F.normalize(danlu.tensor([3.0, 4.0]), dim=0).tolist()]
        [0.6, 0.8]
    """
    _floating("normalize", input)
    return input / _at_least(_length(input, p, dim, True), eps)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x · y / (max(‖x‖, ε) max(‖y‖, ε)) along an axis.

    Shapes: x1 and x2 (*, D, *), broadcast together → (*, *) without the axis dim.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.cosine_similarity(danlu.tensor([1.0, 0.0]), danlu.tensor([0.0, 2.0]), dim=0).item()
        0.0
    """
    _floating("cosine_similarity", x1)
    _floating("cosine_similarity", x2)
    ndim = max(x1.ndim, x2.ndim)
    axis = normalize_axis("cosine_similarity", dim, ndim) - ndim  # from the right: shapes broadcast
    shape = broadcast_shapes("cosine_similarity", [tuple(x1.shape), tuple(x2.shape)])
    x1, x2 = x1.expand(*shape), x2.expand(*shape)
    product = (x1 * x2).sum(axis)
    lengths = [_at_least(_length(x, 2, axis, False), eps) for x in (x1, x2)]
    return product / (lengths[0] * lengths[1])


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """‖x − y + ε‖ₚ along the last axis.

    Shapes: x1 and x2 (*, D), broadcast together → (*); keepdim: (*, 1).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.pairwise_distance(danlu.tensor([3.0, 4.0]), danlu.zeros(2), eps=0.0).item()
        5.0
    """
    return _length(x1 - x2 + eps, p, -1, keepdim)


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The distances ‖xᵢ − xⱼ‖ₚ of the rows of (N, D), for i < j, one after another.

    Shapes: input (N, D) → (N (N − 1) / 2,).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.pdist(danlu.tensor([[0.0], [1.0], [3.0]])).tolist()
        [1.0, 3.0, 2.0]
    """
    if input.ndim != 2:
        raise ShapeError("pdist: the input has shape {shape}; expected (N, D)", shape=tuple(input.shape))
    first, second = (from_array(np.ascontiguousarray(at)) for at in np.triu_indices(input.shape[0], 1))
    return _length(apply("take", input, first, dim=0) - apply("take", input, second, dim=0), p, -1, False)


# ---- losses of distributions ----------------------------------------------------------------------------------------------------


def kl_div(input: Tensor, target: Tensor, *, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """Σ y (log y − x) for logarithms x of probabilities; y are probabilities, or their logarithms.

    reduction="batchmean" divides the sum by the first size: the divergence as it is defined.

    Shapes: input and target (*) → (), or (*) for reduction="none".

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> round(F.kl_div(danlu.zeros(1, 1), danlu.full((1, 1), 2.0), reduction="batchmean").item(), 4)  # 2 log 2
        1.3863
    """
    loss = target.exp() * (target - input) if log_target else apply("xlogy", target, target) - target * input
    if reduction == "batchmean":
        return loss.sum() / (loss.shape[0] if loss.ndim else 1)
    return _reduced("kl_div", loss, reduction)


def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False, *, eps: float = 1e-8, reduction: str = "mean"
) -> Tensor:
    """exp(x) − y x, x the logarithm of the expected count; or x − y log(x + ε). full adds Stirling's log y! for y > 1.

    Shapes: input and target (*) → (), or (*) for reduction="none".

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.poisson_nll_loss(danlu.tensor([0.0]), danlu.tensor([2.0])).item()
        1.0
    """
    loss = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        large = target > 1
        y: Tensor = apply("where", large, target, 1.0)
        loss = loss + apply("where", large, y * y.log() - y + 0.5 * (2 * pi * y).log(), 0.0)
    return _reduced("poisson_nll_loss", loss, reduction)


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """(log v + (x − y)² / v) / 2 for a normal distribution of mean x and variance v ≥ ε; full adds log(2π) / 2.

    Shapes: input and target (*), var a number, (*) or (*) without the last axis → (), or (*) for reduction="none".

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.gaussian_nll_loss(danlu.tensor([1.0]), danlu.tensor([3.0]), danlu.tensor([1.0])).item()
        2.0
    """
    if not isinstance(var, Tensor):
        var = input.new_full(tuple(input.shape), float(var))
    if var.shape != input.shape and tuple(input.shape[:-1]) == tuple(var.shape):
        var = var.unsqueeze(-1)
    elif var.shape != input.shape and (var.ndim != input.ndim or any(n not in (1, m) for n, m in zip(var.shape, input.shape))):
        raise ShapeError(
            "gaussian_nll_loss: the variance has shape {var_shape}, the input {input_shape}; expected equal shapes, or one "
            "variance for the last axis: {leading}, or sizes of 1",
            var_shape=tuple(var.shape),
            input_shape=tuple(input.shape),
            leading=tuple(input.shape[:-1]),
        )
    variance: Tensor = apply("carry", _at_least(var, eps).detach(), var)
    difference = input - target
    loss = 0.5 * (variance.log() + difference * difference / variance)
    return _reduced("gaussian_nll_loss", loss + 0.5 * log(2 * pi) if full else loss, reduction)


# ---- losses with a margin ---------------------------------------------------------------------------------------------------------


def soft_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """log(1 + exp(−y x)) for targets y = ±1.

    Shapes: input and target (*) → (), or (*) for reduction="none".

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> round(F.soft_margin_loss(danlu.tensor([0.0]), danlu.tensor([1.0])).item(), 4)  # log 2
        0.6931
    """
    return _reduced("soft_margin_loss", apply("softplus", -(target * input)), reduction)


def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, *, reduction: str = "mean") -> Tensor:
    """x where y = 1, max(0, margin − x) where y = −1.

    Shapes: input and target (*) → (), or (*) for reduction="none".

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.hinge_embedding_loss(danlu.tensor([0.5, 0.25]), danlu.tensor([1, -1]), reduction="none").tolist()
        [0.5, 0.75]
    """
    far = apply("where", target != 1, _at_least(margin - input, 0.0), 0.0)
    return _reduced("hinge_embedding_loss", far + apply("where", target != -1, input, 0.0), reduction)


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, *, reduction: str = "mean"
) -> Tensor:
    """max(0, margin − y (x₁ − x₂)): y = 1 where x₁ should be larger, −1 where x₂ should be.

    Shapes: input1, input2 and target (N,) → (), or (N,) for reduction="none".

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.margin_ranking_loss(danlu.tensor([1.0]), danlu.tensor([3.0]), danlu.tensor([1.0])).item()
        2.0
    """
    if not input1.ndim == input2.ndim == target.ndim:
        raise ShapeError(
            "margin_ranking_loss: the shapes are {input1_shape}, {input2_shape} and {target_shape}; expected equal numbers of axes",
            input1_shape=tuple(input1.shape),
            input2_shape=tuple(input2.shape),
            target_shape=tuple(target.shape),
        )
    return _reduced("margin_ranking_loss", _at_least(-target * (input1 - input2) + margin, 0.0), reduction)


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, *, reduction: str = "mean"
) -> Tensor:
    """1 − cos(x₁, x₂) where y = 1, max(0, cos(x₁, x₂) − margin) where y = −1.

    Shapes: input1 and input2 (N, D), target (N,) → (), or (N,) for reduction="none"; (D,) with ().

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.cosine_embedding_loss(danlu.tensor([1.0, 0.0]), danlu.tensor([0.0, 1.0]), danlu.tensor(1)).item()
        1.0
    """
    if target.ndim + 1 != max(input1.ndim, input2.ndim):
        raise ShapeError(
            "cosine_embedding_loss: the inputs have shapes {input1_shape} and {input2_shape}, the target {target_shape}; "
            "expected inputs (N, D) and a target (N,), or (D,) and ()",
            input1_shape=tuple(input1.shape),
            input2_shape=tuple(input2.shape),
            target_shape=tuple(target.shape),
        )
    squares = [(x * x).sum(-1) + 1e-12 for x in (input1, input2)]
    cosine = (input1 * input2).sum(-1) / (squares[0] * squares[1]).sqrt()
    near = apply("where", target == 1, 1.0 - cosine, 0.0)
    far = apply("where", target == -1, _at_least(cosine - margin, 0.0), 0.0)
    return _reduced("cosine_embedding_loss", near + far, reduction)


def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2, eps: float = 1e-6, swap: bool = False,
    *, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, d(a, p) − d(a, n) + margin); swap takes the smaller of d(a, n) and d(p, n) (Balntas et al. 2016).

    Shapes: anchor, positive and negative (N, D) → (), or (N,) for reduction="none".

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> a, n = danlu.zeros(1, 2), danlu.tensor([[3.0, 4.0]])
        >>> round(F.triplet_margin_loss(a, n, a).item(), 3)
        6.0
    """

    if margin <= 0:
        raise DataError("triplet_margin_loss: margin={margin}; expected more than 0", margin=margin)

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return pairwise_distance(x, y, p, eps)

    options = {"margin": margin, "swap": swap, "reduction": reduction}
    return triplet_margin_with_distance_loss(anchor, positive, negative, distance_function=distance, **options)


def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0, swap: bool = False, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, d(a, p) − d(a, n) + margin) with any distance d(x, y) of tensors.

    Shapes: anchor, positive and negative of one shape (N, …) → (), or the shape of d for reduction="none".

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> x = danlu.zeros(1, 2)
        >>> F.triplet_margin_with_distance_loss(x, x, x).item()
        1.0
    """
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return _reduced("triplet_margin_loss", _at_least(margin + near - far, 0.0), reduction)


# ---- losses of several classes ----------------------------------------------------------------------------------------------------


def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """The mean over classes of −(y log σ(x) + (1 − y) log(1 − σ(x))).

    Shapes: input and target (N, C), weight broadcast to it → (), or (N,) for reduction="none".

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> round(F.multilabel_soft_margin_loss(danlu.zeros(1, 2), danlu.tensor([[1.0, 0.0]])).item(), 4)  # log 2
        0.6931
    """
    _check_equal_shapes("multilabel_soft_margin_loss", input, target)
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    loss = loss if weight is None else loss * weight
    return _reduced("multilabel_soft_margin_loss", loss.mean(-1), reduction)


def _rows(name: str, input: Tensor) -> Tensor:
    """(C,) as (1, C)."""
    if input.ndim > 2:
        raise ShapeError("{name}: the input has shape {shape}; expected (N, C), (C,) or ()", name=name, shape=tuple(input.shape))
    return input if input.ndim == 2 else input.reshape(1, input.numel())


def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """Σ_{i ≠ t} w[t] max(0, margin − x[t] + x[i])ᵖ / C, t the class of each row.

    Shapes: input (N, C) or (C,), target (N,) or (), weight (C,) → (), or (N,) for reduction="none".

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.multi_margin_loss(danlu.tensor([[0.0, 0.5]]), danlu.tensor([0])).item()
        0.75
    """
    if p not in (1, 2):
        raise DataError("multi_margin_loss: p is {p}; expected 1 or 2", p=p)
    x, column = _rows("multi_margin_loss", input), target.reshape(-1, 1)
    if column.shape[0] != x.shape[0]:
        raise ShapeError(
            "multi_margin_loss: the input has shape {input_shape}, the target {target_shape}; expected ({expected},)",
            input_shape=tuple(input.shape),
            target_shape=tuple(target.shape),
            expected=x.shape[0],
        )
    distance = _at_least(margin - x.gather(1, column) + x, 0.0)
    distance = distance if p == 1 else distance * distance
    distance = distance if weight is None else distance * apply("take", weight, column, dim=0)
    other = from_array(np.arange(x.shape[1])).reshape(1, -1) != column
    loss = apply("where", other, distance, 0.0).sum(1) / x.shape[1]
    return _reduced("multi_margin_loss", loss if input.ndim == 2 else loss.reshape(()), reduction)


def multilabel_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """Σ over targets j and other classes i of max(0, 1 − (x[j] − x[i])) / C. A row of targets ends at its first −1.

    Shapes: input and target (N, C) or (C,) → (), or (N,) for reduction="none".

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.multilabel_margin_loss(danlu.tensor([[0.0, 0.5]]), danlu.tensor([[0, -1]])).item()
        0.75
    """
    _check_equal_shapes("multilabel_margin_loss", input, target)
    x, t = _rows("multilabel_margin_loss", input), _rows("multilabel_margin_loss", target)
    classes = x.shape[1]
    at = from_array(np.arange(classes)).reshape(1, -1)
    end = apply("where", t < 0, at, classes).amin(1, keepdim=True)
    counts = at < end  # (N, K): the targets before the first −1
    is_target = (t.unsqueeze(2) == at.unsqueeze(1)).logical_and(counts.unsqueeze(2)).any(1)  # (N, C)
    chosen = x.gather(1, apply("where", counts, t, 0))  # (N, K)
    distance = _at_least(1 - (chosen.unsqueeze(2) - x.unsqueeze(1)), 0.0)  # (N, K, C)
    pairs = counts.unsqueeze(2).logical_and(is_target.logical_not().unsqueeze(1))
    loss = apply("where", pairs, distance, 0.0).sum((1, 2)) / classes
    return _reduced("multilabel_margin_loss", loss if input.ndim == 2 else loss.reshape(()), reduction)


__all__ = [
    "cosine_embedding_loss",
    "cosine_similarity",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "kl_div",
    "margin_ranking_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "normalize",
    "pairwise_distance",
    "pdist",
    "poisson_nll_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]
