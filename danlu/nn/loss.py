"""L7. Losses as layers: each holds the options of its function in danlu.nn.functional."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from danlu.errors import DataError
from danlu.functional import common as F
from danlu.functional.ctc import ctc_loss
from danlu.nn.module import Module
from danlu.tensor import Tensor


def _with_old_words(init: Callable[..., None]) -> Callable[..., None]:
    """A constructor that takes PyTorch's older words too: size_average=False is reduction="sum", reduce=False is reduction="none"."""

    @functools.wraps(init)
    def constructor(self: Any, *args: Any, size_average: bool | None = None, reduce: bool | None = None, **named: Any) -> None:
        if size_average is not None or reduce is not None:
            named["reduction"] = "none" if reduce is False else "sum" if size_average is False else "mean"
        init(self, *args, **named)

    own, old = inspect.signature(init), inspect.signature(constructor, follow_wrapped=False).parameters
    words = [old["size_average"], old["reduce"]]
    named = [p for p in own.parameters.values() if p.kind is p.VAR_KEYWORD]
    constructor.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[*(p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD), *words, *named]
    )
    return constructor


class Loss(Module):
    """A loss: the base that holds what becomes of the single losses, "mean", "sum" or "none"."""

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        if "__init__" in vars(cls):
            cls.__init__ = _with_old_words(cls.__init__)

    @_with_old_words
    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        if reduction not in ("mean", "sum", "none"):
            raise DataError(
                "{name}: reduction is {reduction!r}; expected 'mean', 'sum' or 'none'",
                name=type(self).__name__,
                reduction=reduction,
            )
        self.reduction = reduction


class MSELoss(Loss):
    """The mean of (x − y)².

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.MSELoss()(danlu.tensor([1.0, 2.0]), danlu.tensor([0.0, 0.0])).item()
        2.5
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """(x − y)²."""
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(Loss):
    """The mean of |x − y|.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.L1Loss()(danlu.tensor([1.0, 2.0]), danlu.tensor([0.0, 0.0])).item()
        1.5
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """|x − y|."""
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(Loss):
    """The mean of d² / 2β where d = |x − y| < β, else d − β/2.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.SmoothL1Loss(reduction="none")(danlu.tensor([0.5, 3.0]), danlu.tensor([0.0, 0.0])).tolist()
        [0.125, 2.5]
    """

    def __init__(self, *, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Quadratic near 0, linear beyond β."""
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(Loss):
    """The mean of d²/2 where d = |x − y| < δ, else δ (d − δ/2) (Huber 1964).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.HuberLoss("none")(danlu.tensor([0.5, 3.0]), danlu.tensor([0.0, 0.0])).tolist()
        [0.125, 2.5]
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Quadratic near 0, linear beyond δ."""
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class BCELoss(Loss):
    """The mean of −(y log p + (1 − y) log(1 − p)) for probabilities p.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> round(nn.BCELoss()(danlu.tensor([0.5]), danlu.tensor([1.0])).item(), 4)
        0.6931
    """

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, *, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """−(y log p + (1 − y) log(1 − p))."""
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(Loss):
    """BCELoss of sigmoid(z), computed from z without overflow.

    the mean of −(y log σ(z) + (1 − y) log(1 − σ(z))), y log σ(z) times pos_weight where it is given

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> round(nn.BCEWithLogitsLoss()(danlu.tensor([0.0]), danlu.tensor([1.0])).item(), 4)
        0.6931
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, *, reduction: str = "mean", pos_weight: Tensor | None = None) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """−(y log σ(z) + (1 − y) log(1 − σ(z)))."""
        options = {"reduction": self.reduction, "pos_weight": self.pos_weight}
        return F.binary_cross_entropy_with_logits(input, target, self.weight, **options)


class NLLLoss(Loss):
    """−log p of the target class, from logarithms of probabilities.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.NLLLoss()(danlu.tensor([[-1.0, -2.0]]), danlu.tensor([1])).item()
        2.0
    """

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, *, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.ignore_index = ignore_index
        self.register_buffer("weight", weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """−log p[t]."""
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class CrossEntropyLoss(Loss):
    """−log softmax(x)[t]: the loss of a classifier, from logits; see danlu.nn.functional.cross_entropy.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> round(nn.CrossEntropyLoss()(danlu.zeros(2, 4), danlu.tensor([3, 0])).item(), 4)
        1.3863
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing
        self.register_buffer("weight", weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """−log softmax(x)[t]."""
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class CTCLoss(Loss):
    """−log of the probability that a network spells a target, over all alignments; see danlu.nn.functional.ctc_loss.

    Shapes: see danlu.nn.functional.ctc_loss: log_probs (T, N, C), targets (N, S), lengths (N,) → (), or (N,) for
    reduction="none".

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> log_p = danlu.zeros(2, 1, 3).log_softmax(-1)
        >>> round(nn.CTCLoss()(log_p, danlu.tensor([[1]]), [2], [1]).item(), 4)
        1.0986
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__(reduction)
        self.blank, self.zero_infinity = blank, zero_infinity

    def forward(self, log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any) -> Tensor:
        """−log p(targets)."""
        return ctc_loss(log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity)


__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CTCLoss",
    "CrossEntropyLoss",
    "HuberLoss",
    "L1Loss",
    "MSELoss",
    "NLLLoss",
    "SmoothL1Loss",
]
