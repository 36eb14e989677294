"""L7. AdaptiveLogSoftmaxWithLoss: a softmax over many classes in which rare ones share a small projection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from danlu.dtype import DType
from danlu.errors import DataError, ShapeError
from danlu.nn.containers import ModuleList, Sequential
from danlu.nn.linear import Linear
from danlu.nn.module import Module
from danlu.tensor import Tensor
from danlu.tensor.creation import cat


class ASMoutput(NamedTuple):
    """The logarithm of the target's probability, [N], and the mean of its negative."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Softmax over classes sorted by frequency: the frequent ones in one layer, the rare ones in clusters behind smaller layers.

    log p(c | x) = log p(head) for c < cutoffs₀, else log p(cluster of c | x) + log p(c | cluster, x)

    Cluster i has the classes from cutoffsᵢ up to cutoffsᵢ₊₁ and a projection to in_features / div_valueⁱ⁺¹ numbers.
    Source: Grave et al. 2017, "Efficient softmax approximation for GPUs".

    Shapes: input (N, in_features) or (in_features), target (N) or () of classes → output (N) or (), loss ().

    Raises:
        DataError: cutoffs that do not grow, or that are not between 0 and n_classes.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> layer = nn.AdaptiveLogSoftmaxWithLoss(32, 100, cutoffs=[10, 50])
        >>> found = layer(danlu.ones(2, 32), danlu.tensor([3, 70]))
        >>> tuple(found.output.shape), tuple(layer.log_prob(danlu.ones(2, 32)).shape)
        ((2,), (2, 100))
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        bounds = list(cutoffs)
        if not bounds or bounds != sorted(set(bounds)) or bounds[0] <= 0 or bounds[-1] >= n_classes:
            raise DataError(
                "AdaptiveLogSoftmaxWithLoss: cutoffs are {cutoffs}; expected numbers that grow, from 1 to n_classes − 1 = {last}",
                cutoffs=bounds,
                last=n_classes - 1,
            )
        self.in_features, self.n_classes, self.div_value, self.head_bias = in_features, n_classes, div_value, head_bias
        self.cutoffs, self.shortlist_size, self.n_clusters = [*bounds, n_classes], bounds[0], len(bounds)
        self.head_size = self.shortlist_size + self.n_clusters
        options: dict[str, Any] = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **options)
        self.tail = ModuleList()
        for k, (first, end) in enumerate(zip(self.cutoffs, self.cutoffs[1:]), 1):
            width = int(in_features // div_value**k)
            self.tail.append(
                Sequential(Linear(in_features, width, bias=False, **options), Linear(width, end - first, bias=False, **options))
            )

    def reset_parameters(self) -> None:
        """New first values."""
        for module in self.modules():
            if isinstance(module, Linear):
                module.reset_parameters()

    def log_prob(self, input: Tensor) -> Tensor:
        """The logarithms of all probabilities: (N, in_features) → (N, n_classes)."""
        head = self.head(input).log_softmax(-1)
        tails = [
            tail(input).log_softmax(-1) + head[..., self.shortlist_size + k : self.shortlist_size + k + 1]
            for k, tail in enumerate(self.tail)
        ]
        return cat([head[..., : self.shortlist_size], *tails], -1)

    def predict(self, input: Tensor) -> Tensor:
        """The most probable class: (N, in_features) → (N)."""
        return self.log_prob(input).argmax(-1)

    def forward(self, input: Tensor, target: Tensor) -> ASMoutput:
        """The logarithm of the target's probability, and the loss."""
        if tuple(input.shape[:-1]) != tuple(target.shape) or input.shape[-1] != self.in_features:
            raise ShapeError(
                "AdaptiveLogSoftmaxWithLoss: the input has shape {shape}, the target {target}; expected (N, {size}) and (N)",
                shape=tuple(input.shape),
                target=tuple(target.shape),
                size=self.in_features,
            )
        output = self.log_prob(input).gather(-1, target.unsqueeze(-1)).squeeze(-1)
        return ASMoutput(output, -output.mean())


__all__ = ["AdaptiveLogSoftmaxWithLoss"]
