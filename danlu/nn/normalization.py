"""L7. Normalisation layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from danlu import functional as F
from danlu.dtype import DType, int64
from danlu.errors import ShapeError
from danlu.nn import init
from danlu.nn.linear import check_size
from danlu.nn.module import Module
from danlu.nn.parameter import Parameter, filled
from danlu.tensor import Tensor, no_grad


class LayerNorm(Module):
    """Mean 0 and variance 1 over the last axes, then a learned scale and shift.

    y = (x − mean) / √(var + ε) · w + b (Ba et al. 2016, eq. 3)

    Shapes: input (..., *normalized_shape), weight and bias of normalized_shape; they begin as 1 and 0.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.LayerNorm(2, eps=0.0)(danlu.tensor([[1.0, 3.0]])).tolist()
        [[-1.0, 1.0]]
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: DType | None = None,
    ) -> None:
        super().__init__()
        sizes = normalized_shape if isinstance(normalized_shape, Sequence) else (normalized_shape,)
        self.normalized_shape = tuple(check_size("LayerNorm", "normalized_shape", n) for n in sizes)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.register_parameter(
            "weight", Parameter(filled(self.normalized_shape, 1.0, dtype, device)) if elementwise_affine else None
        )
        self.register_parameter(
            "bias", Parameter(filled(self.normalized_shape, 0.0, dtype, device)) if elementwise_affine and bias else None
        )

    def reset_parameters(self) -> None:
        """Scale 1 and shift 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """(x − mean) / √(var + ε) · w + b."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Shape, ε and whether there is a scale."""
        options = f"eps={self.eps}, elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        return f"{self.normalized_shape}, {options}"


class _BatchNorm(Module):
    """Batch normalisation; subclasses say which ranks they take."""

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    ranks: tuple[int, ...]
    expected: str

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: DType | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        n = self.num_features = check_size(type(self).__name__, "num_features", num_features)
        self.eps, self.momentum, self.affine, self.track_running_stats = eps, momentum, affine, track_running_stats
        self.register_parameter("weight", Parameter(filled((n,), 1.0, dtype, device)) if affine else None)
        self.register_parameter("bias", Parameter(filled((n,), 0.0, dtype, device)) if affine and bias else None)
        self.register_buffer("running_mean", filled((n,), 0.0, dtype, device) if track_running_stats else None)
        self.register_buffer("running_var", filled((n,), 1.0, dtype, device) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", filled((), 0, int64, device) if track_running_stats else None)

    def reset_running_stats(self) -> None:
        """Running mean 0 and variance 1."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1.0)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Scale 1, shift 0, no statistics."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _average_factor(self) -> float | Tensor:
        """How far the running statistics move: the momentum, or 1/n for the mean over all batches (momentum=None)."""
        count = self.num_batches_tracked
        if not self.training or count is None:
            return self.momentum or 0.0
        with no_grad():
            count += 1
        return 1.0 / count if self.momentum is None else self.momentum

    def forward(self, input: Tensor) -> Tensor:
        """(x − mean) / √(var + ε) · w + b; the batch's statistics while training, the running ones otherwise."""
        name = type(self).__name__
        if input.ndim not in self.ranks or input.shape[1] != self.num_features:
            raise ShapeError(
                f"{name}: the input has shape {tuple(input.shape)}; expected {self.expected.format(C=self.num_features)}"
            )
        use_batch = self.training or self.running_mean is None
        return F.batch_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            use_batch,
            self._average_factor(),
            self.eps,
        )

    def extra_repr(self) -> str:
        """Size and options."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Mean 0 and variance 1 of every feature over the batch, then a learned scale and shift (Ioffe & Szegedy 2015).

    y = (x − mean) / √(var + ε) · w + b

    Shapes: input (N, C) or (N, C, L); weight, bias, running_mean, running_var (C,). The running variance is the unbiased one.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.BatchNorm1d(1, eps=0.0)(danlu.tensor([[1.0], [3.0]])).tolist()
        [[-1.0], [1.0]]
    """

    ranks = (2, 3)
    expected = "(N, {C}) or (N, {C}, L)"


__all__ = ["BatchNorm1d", "LayerNorm"]
