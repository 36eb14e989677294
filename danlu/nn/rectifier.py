"""L7. Further rectifiers, and shrinkage, as layers: each holds the options of its function in danlu.nn.functional."""

from __future__ import annotations

from typing import Any

from danlu.dtype import DType
from danlu.functional import activation as F
from danlu.nn.module import Module
from danlu.nn.parameter import Parameter, filled
from danlu.tensor import Tensor, no_grad


class CELU(Module):
    """x where x > 0, else α (exp(x / α) − 1) (Barron 2017).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> round(nn.CELU()(danlu.tensor(-1.0)).item(), 4)
        -0.6321
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha, self.inplace = alpha, inplace

    def forward(self, input: Tensor) -> Tensor:
        """x where x > 0, else α (exp(x / α) − 1)."""
        return F.celu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        """The options."""
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class Hardshrink(Module):
    """x where |x| > λ, else 0.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Hardshrink()(danlu.tensor([-1.0, 0.25])).tolist()
        [-1.0, 0.0]
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        """x where |x| > λ, else 0."""
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """The options."""
        return f"{self.lambd}"


class Softshrink(Module):
    """x − λ where x > λ, x + λ where x < −λ, else 0.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Softshrink()(danlu.tensor([-1.0, 0.25])).tolist()
        [-0.5, 0.0]
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        """x moved towards 0 by λ."""
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """The options."""
        return f"{self.lambd}"


class Tanhshrink(Module):
    """x − tanh(x).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Tanhshrink()(danlu.tensor([0.0])).tolist()
        [0.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """x − tanh(x)."""
        return F.tanhshrink(input)


class Threshold(Module):
    """x where x > threshold, else value.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Threshold(2.0, -1.0)(danlu.tensor([1.0, 3.0])).tolist()
        [-1.0, 3.0]
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold, self.value, self.inplace = threshold, value, inplace

    def forward(self, input: Tensor) -> Tensor:
        """x where x > threshold, else value."""
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        """The options."""
        return f"threshold={self.threshold}, value={self.value}" + (", inplace=True" if self.inplace else "")


class RReLU(Module):
    """leaky_relu with a slope drawn for each element while training, else with the mean one (Xu et al. 2015).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.RReLU(0.25, 0.75).eval()(danlu.tensor([-2.0, 2.0])).tolist()
        [-1.0, 2.0]
    """

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False) -> None:
        super().__init__()
        self.lower, self.upper, self.inplace = lower, upper, inplace

    def forward(self, input: Tensor) -> Tensor:
        """x where x > 0, else slope · x."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        """The options."""
        return f"lower={self.lower}, upper={self.upper}" + (", inplace=True" if self.inplace else "")


class PReLU(Module):
    """x where x > 0, else w · x with a learned w, one for all or one a channel, which begins as 0.25 (He et al. 2015).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.PReLU()(danlu.tensor([-2.0, 2.0])).tolist()
        [-0.5, 2.0]
    """

    weight: Parameter

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: DType | None = None) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(filled((num_parameters,), init, dtype, device))

    def reset_parameters(self) -> None:
        """The initial slope."""
        with no_grad():
            self.weight.fill_(self.init)

    def forward(self, input: Tensor) -> Tensor:
        """x where x > 0, else w · x."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """The number of slopes."""
        return f"num_parameters={self.num_parameters}"


__all__ = ["CELU", "Hardshrink", "PReLU", "RReLU", "Softshrink", "Tanhshrink", "Threshold"]
