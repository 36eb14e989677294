"""L7. Linear layers and layers that only change shapes."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

from danlu.dtype import DType
from danlu.errors import DataError, DTypeError
from danlu.functional import common as F
from danlu.functional.sparse import bilinear
from danlu.nn import init
from danlu.nn.module import Module, as_one_op
from danlu.nn.parameter import Parameter, filled
from danlu.ops import composite
from danlu.random import Generator
from danlu.tensor import Tensor


def check_size(layer: str, name: str, size: Any) -> int:
    """A size as an int ≥ 1; DataError otherwise."""
    if isinstance(size, bool) or not hasattr(size, "__index__"):
        raise DTypeError(
            "{layer}: {name} is {size!r}, a {kind}; expected an integer ≥ 1: write int(n), or n // 2 instead of n / 2",
            layer=layer,
            name=name,
            size=size,
            kind=type(size).__name__,
        )
    if size < 1:
        raise DataError("{layer}: {name} is {size!r}; expected an integer ≥ 1", layer=layer, name=name, size=size)
    return int(size)


class Identity(Module):
    """Gives back what it gets; takes and ignores any arguments, to stand in for another layer.

    y = x

    Shapes: whatever it gets.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Identity()(danlu.ones(2)).tolist()
        [1.0, 1.0]
    """

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """x."""
        return input


class Flatten(Module):
    """Makes the axes from start_dim to end_dim one.

    y[n, i₁ · d₂ + i₂] = x[n, i₁, i₂] for two axes

    Shapes: (N, d1, d2, …) → (N, d1 · d2 · …) by default.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.Flatten()(danlu.zeros(2, 3, 4)).shape)
        (2, 12)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        """The same elements under another shape."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The range of axes."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


@as_one_op(composite.linear, lambda m: (m.weight,) if m.bias is None else (m.weight, m.bias))
class Linear(Module):
    """A matrix and a bias on the last axis.

    y = x wᵀ + b

    Shapes: input (..., in_features) → (..., out_features); weight (out_features, in_features); bias (out_features,).
    Weight and bias begin uniform in ±1/√in_features, as in PyTorch, from `generator` or the default one.

    Raises:
        DataError: a size that is not an integer ≥ 1.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.Linear(4, 3)(danlu.zeros(2, 4)).shape)
        (2, 3)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: DType | None = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_features = check_size("Linear", "in_features", in_features)
        self.out_features = check_size("Linear", "out_features", out_features)
        self.weight = Parameter(filled((self.out_features, self.in_features), 0.0, dtype, device))
        self.bias = Parameter(filled((self.out_features,), 0.0, dtype, device)) if bias else None
        if self.bias is None:
            self.register_parameter("bias", None)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draws weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=sqrt(5), generator=generator)  # gain √(1/3): bound √3 · √(1/3) / √in = 1/√in
        if self.bias is not None:
            bound = 1 / sqrt(self.in_features)
            init.uniform_(self.bias, -bound, bound, generator=generator)

    def forward(self, input: Tensor) -> Tensor:
        """x wᵀ + b."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """y = x₁ᵀ W x₂ + b for each output.

    Shapes: inputs (..., in1_features) and (..., in2_features) → (..., out_features); weight (out, in1, in2); bias (out,).
    Weight and bias begin uniform in ±1/√in1_features.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.Bilinear(2, 3, 4)(danlu.ones(5, 2), danlu.ones(5, 3)).shape)
        (5, 4)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: DType | None = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.in1_features = check_size("Bilinear", "in1_features", in1_features)
        self.in2_features = check_size("Bilinear", "in2_features", in2_features)
        self.out_features = check_size("Bilinear", "out_features", out_features)
        self.weight = Parameter(filled((self.out_features, self.in1_features, self.in2_features), 0.0, dtype, device))
        self.register_parameter("bias", Parameter(filled((self.out_features,), 0.0, dtype, device)) if bias else None)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draws weight and bias anew."""
        bound = 1 / sqrt(self.in1_features)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """x₁ᵀ W x₂ + b."""
        return bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes."""
        sizes = f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}"
        return f"{sizes}, bias={self.bias is not None}"


class Unflatten(Module):
    """Makes one axis several: the inverse of Flatten.

    y[…, i₁, i₂, …] = x[…, i₁ · n₂ + i₂, …] for two sizes

    Shapes: input (*, n, *) → (*, *unflattened_size, *).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.Unflatten(1, (3, 4))(danlu.zeros(2, 12)).shape)
        (2, 3, 4)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        """The same elements under another shape."""
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        """The axis and its new sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


__all__ = ["Bilinear", "Flatten", "Identity", "Linear", "Unflatten"]
