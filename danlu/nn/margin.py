"""L7. Further losses as layers: each holds the options of its function in danlu.nn.functional."""

from __future__ import annotations

from collections.abc import Callable

from danlu.functional import loss as F
from danlu.nn.loss import Loss
from danlu.tensor import Tensor


class KLDivLoss(Loss):
    """Σ y (log y − x) for logarithms x of probabilities; reduction="batchmean" divides the sum by the first size.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> round(nn.KLDivLoss(reduction="batchmean")(danlu.zeros(1, 1), danlu.full((1, 1), 2.0)).item(), 4)
        1.3863
    """

    def __init__(self, *, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__("mean" if reduction == "batchmean" else reduction)
        self.reduction, self.log_target = reduction, log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """y (log y − x)."""
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class GaussianNLLLoss(Loss):
    """(log v + (x − y)² / v) / 2 for a normal distribution of mean x and variance v.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.GaussianNLLLoss()(danlu.tensor([1.0]), danlu.tensor([3.0]), danlu.tensor([1.0])).item()
        2.0
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.full, self.eps = full, eps

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        """(log v + (x − y)² / v) / 2."""
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


class PoissonNLLLoss(Loss):
    """exp(x) − y x, x the logarithm of the expected count.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.PoissonNLLLoss()(danlu.tensor([0.0]), danlu.tensor([2.0])).item()
        1.0
    """

    def __init__(self, log_input: bool = True, full: bool = False, eps: float = 1e-8, *, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of each, then their mean, sum or all of them."""
        return F.poisson_nll_loss(input, target, log_input=self.log_input, full=self.full, eps=self.eps, reduction=self.reduction)


class SoftMarginLoss(Loss):
    """log(1 + exp(−y x)) for targets y = ±1.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> round(nn.SoftMarginLoss()(danlu.tensor([0.0]), danlu.tensor([1.0])).item(), 4)
        0.6931
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of each, then their mean, sum or all of them."""
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class HingeEmbeddingLoss(Loss):
    """x where y = 1, max(0, margin − x) where y = −1.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.HingeEmbeddingLoss()(danlu.tensor([0.25]), danlu.tensor([-1])).item()
        0.75
    """

    def __init__(self, margin: float = 1.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of each, then their mean, sum or all of them."""
        return F.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class MarginRankingLoss(Loss):
    """max(0, margin − y (x₁ − x₂)).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.MarginRankingLoss()(danlu.tensor([1.0]), danlu.tensor([3.0]), danlu.tensor([1.0])).item()
        2.0
    """

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """The loss of each, then their mean, sum or all of them."""
        return F.margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(Loss):
    """1 − cos(x₁, x₂) where y = 1, max(0, cos(x₁, x₂) − margin) where y = −1.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.CosineEmbeddingLoss()(danlu.tensor([1.0, 0.0]), danlu.tensor([0.0, 1.0]), danlu.tensor(1)).item()
        1.0
    """

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """The loss of each, then their mean, sum or all of them."""
        return F.cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class MultiLabelSoftMarginLoss(Loss):
    """The mean over classes of −(y log σ(x) + (1 − y) log(1 − σ(x))).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> round(nn.MultiLabelSoftMarginLoss()(danlu.zeros(1, 2), danlu.tensor([[1.0, 0.0]])).item(), 4)
        0.6931
    """

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, *, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of each, then their mean, sum or all of them."""
        return F.multilabel_soft_margin_loss(input, target, weight=self.weight, reduction=self.reduction)


class MultiLabelMarginLoss(Loss):
    """Σ over targets j and other classes i of max(0, 1 − (x[j] − x[i])) / C. A row of targets ends at its first −1.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.MultiLabelMarginLoss()(danlu.tensor([[0.0, 0.5]]), danlu.tensor([[0, -1]])).item()
        0.75
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of each, then their mean, sum or all of them."""
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiMarginLoss(Loss):
    """Σ_{i ≠ t} w[t] max(0, margin − x[t] + x[i])ᵖ / C, t the class of each row.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.MultiMarginLoss()(danlu.tensor([[0.0, 0.5]]), danlu.tensor([0])).item()
        0.75
    """

    weight: Tensor | None

    def __init__(self, p: int = 1, margin: float = 1.0, weight: Tensor | None = None, *, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.p, self.margin = p, margin
        self.register_buffer("weight", weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of each, then their mean, sum or all of them."""
        return F.multi_margin_loss(input, target, p=self.p, margin=self.margin, weight=self.weight, reduction=self.reduction)


class TripletMarginLoss(Loss):
    """max(0, d(a, p) − d(a, n) + margin) (Balntas et al. 2016).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> round(nn.TripletMarginLoss()(danlu.zeros(1, 2), danlu.tensor([[3.0, 4.0]]), danlu.zeros(1, 2)).item(), 3)
        6.0
    """

    def __init__(
        self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False, *, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """The loss of each, then their mean, sum or all of them."""
        return F.triplet_margin_loss(
            anchor, positive, negative, margin=self.margin, p=self.p, eps=self.eps, swap=self.swap, reduction=self.reduction
        )


class TripletMarginWithDistanceLoss(Loss):
    """TripletMarginLoss with any distance d(x, y) of tensors.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.TripletMarginWithDistanceLoss()(danlu.zeros(1, 2), danlu.zeros(1, 2), danlu.zeros(1, 2)).item()
        1.0
    """

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction)
        self.distance_function, self.margin, self.swap = distance_function or F.pairwise_distance, margin, swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """max(0, d(a, p) − d(a, n) + margin)."""
        options = {"distance_function": self.distance_function, "margin": self.margin, "swap": self.swap}
        return F.triplet_margin_with_distance_loss(anchor, positive, negative, **options, reduction=self.reduction)


__all__ = [
    "CosineEmbeddingLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "KLDivLoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "PoissonNLLLoss",
    "SoftMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]
