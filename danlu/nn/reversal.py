"""L7. GradientReversal: the identity whose gradient is turned round, for training against an adversary."""

from __future__ import annotations

from danlu.nn.module import Module
from danlu.tensor import Tensor, apply, changing


class GradientReversal(Module):
    """y = x, ∂L/∂x = −alpha · ∂L/∂y.

    Between features and a classifier of domains it makes the features tell nothing about the domain: the classifier learns to tell
    domains apart, what lies before it learns the opposite. `alpha` may change during training: `layer.alpha = 0.3`.

    Shape: any; the result has that of the input.

    Source: Y. Ganin, V. Lempitsky, Unsupervised Domain Adaptation by Backpropagation (2015), section 3.2.

    Example:
        >>> import danlu
        >>> x = danlu.ones(2, requires_grad=True)
        >>> danlu.nn.GradientReversal(0.5)(x).sum().backward()
        >>> x.grad
        tensor([-0.5000, -0.5000])
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        """The input itself; its derivative is that of −alpha · x."""
        return apply("carry", x, apply("mul", x, changing(-float(self.alpha))))

    def extra_repr(self) -> str:
        """alpha"""
        return f"alpha={self.alpha}"
