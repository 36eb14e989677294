"""L7. Normalisation layers."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from danlu.dtype import DType, int64
from danlu.errors import DataError, ShapeError
from danlu.functional import common as F
from danlu.functional.norm import group_norm, instance_norm, local_response_norm, rms_norm
from danlu.messages import either
from danlu.nn import init
from danlu.nn.linear import check_size
from danlu.nn.module import Module
from danlu.nn.parameter import Parameter, filled
from danlu.tensor import Tensor


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
    expected: tuple[str, ...]
    _version, _since = 2, MappingProxyType({"num_batches_tracked": 2})

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
        count += 1
        return 1.0 / count if self.momentum is None else self.momentum

    def forward(self, input: Tensor) -> Tensor:
        """(x − mean) / √(var + ε) · w + b; the batch's statistics while training, the running ones otherwise."""
        name = type(self).__name__
        if input.ndim not in self.ranks or input.shape[1] != self.num_features:
            raise ShapeError(
                "{name}: the input has shape {shape}; expected {expected}",
                name=name,
                shape=tuple(input.shape),
                expected=either(shape.format(C=self.num_features) for shape in self.expected),
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
    expected = ("(N, {C})", "(N, {C}, L)")


class BatchNorm2d(_BatchNorm):
    """Mean 0 and variance 1 of every channel over batch and image, then a learned scale and shift (Ioffe & Szegedy 2015).

    y = (x − mean) / √(var + ε) · w + b

    Shapes: input (N, C, H, W); weight, bias, running_mean, running_var (C,). The running variance is the unbiased one.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.BatchNorm2d(1, eps=0.0)(danlu.tensor([[[[1.0, 3.0]]]])).tolist()
        [[[[-1.0, 1.0]]]]
    """

    ranks = (4,)
    expected = ("(N, {C}, H, W)",)


class BatchNorm3d(_BatchNorm):
    """Mean 0 and variance 1 of every channel over batch and volume, then a learned scale and shift.

    y = (x − mean) / √(var + ε) · w + b

    Shapes: input (N, C, D, H, W); weight, bias, running_mean, running_var (C,).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.BatchNorm3d(2)(danlu.ones(2, 2, 1, 1, 1)).shape)
        (2, 2, 1, 1, 1)
    """

    ranks = (5,)
    expected = ("(N, {C}, D, H, W)",)


class _InstanceNorm(_BatchNorm):
    """Instance normalisation; subclasses say which ranks they take (with and without a batch)."""

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False, track_running_stats: bool = False,
        device: Any = None, dtype: DType | None = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """(x − mean) / √(var + ε) · w + b with statistics of each channel of each sample."""
        single = input.ndim == self.ranks[0] - 1
        x = input.unsqueeze(0) if single else input
        if x.ndim not in self.ranks or x.shape[1] != self.num_features:
            raise ShapeError(
                "{name}: the input has shape {shape}; expected {expected}",
                name=type(self).__name__,
                shape=tuple(input.shape),
                expected=either(shape.format(C=self.num_features) for shape in self.expected),
            )
        use_input = self.training or self.running_mean is None
        running = (self.running_mean, self.running_var)
        y = instance_norm(x, *running, self.weight, self.bias, use_input, self.momentum or 0.0, self.eps)
        return y.squeeze(0) if single else y


class InstanceNorm1d(_InstanceNorm):
    """Mean 0 and variance 1 of every channel of every sample (Ulyanov et al. 2016).

    y = (x − mean) / √(var + ε) · w + b

    Shapes: input (N, C, L) or (C, L); with affine=True weight and bias (C,).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.InstanceNorm1d(1, eps=0.0)(danlu.tensor([[[1.0, 3.0]]])).tolist()
        [[[-1.0, 1.0]]]
    """

    ranks = (3,)
    expected = ("(N, {C}, L)", "({C}, L)")


class InstanceNorm2d(_InstanceNorm):
    """Mean 0 and variance 1 of every channel of every image: input (N, C, H, W) or (C, H, W).

    y = (x − mean) / √(var + ε) · w + b

    Shapes: input (N, C, H, W) or (C, H, W) → the same; with affine=True weight and bias (C,).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.InstanceNorm2d(2)(danlu.ones(1, 2, 3, 3)).shape)
        (1, 2, 3, 3)
    """

    ranks = (4,)
    expected = ("(N, {C}, H, W)", "({C}, H, W)")


class InstanceNorm3d(_InstanceNorm):
    """Mean 0 and variance 1 of every channel of every volume: input (N, C, D, H, W) or (C, D, H, W).

    y = (x − mean) / √(var + ε) · w + b

    Shapes: input (N, C, D, H, W) or (C, D, H, W) → the same; with affine=True weight and bias (C,).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.InstanceNorm3d(2)(danlu.ones(1, 2, 2, 2, 2)).shape)
        (1, 2, 2, 2, 2)
    """

    ranks = (5,)
    expected = ("(N, {C}, D, H, W)", "({C}, D, H, W)")


class GroupNorm(Module):
    """Mean 0 and variance 1 over each group of channels of each sample, then a scale and shift a channel (Wu & He 2018).

    y = (x − mean) / √(var + ε) · w + b

    Shapes: input (N, num_channels, …); weight and bias (num_channels,), which begin as 1 and 0.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.GroupNorm(1, 2, eps=0.0)(danlu.tensor([[1.0, 3.0]])).tolist()
        [[-1.0, 1.0]]
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, device: Any = None, dtype: DType | None = None,
        *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_groups = check_size("GroupNorm", "num_groups", num_groups)
        self.num_channels = check_size("GroupNorm", "num_channels", num_channels)
        if num_channels % num_groups:
            raise DataError(
                "GroupNorm: num_channels is {num_channels} and num_groups {num_groups}; expected groups that divide the channels",
                num_channels=num_channels,
                num_groups=num_groups,
            )
        self.eps, self.affine, shape = eps, affine, (self.num_channels,)
        self.register_parameter("weight", Parameter(filled(shape, 1.0, dtype, device)) if affine else None)
        self.register_parameter("bias", Parameter(filled(shape, 0.0, dtype, device)) if affine and bias else None)

    def reset_parameters(self) -> None:
        """Scale 1 and shift 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """(x − mean) / √(var + ε) · w + b."""
        return group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Groups, channels, ε and whether there is a scale."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"


class RMSNorm(Module):
    """x / √(mean x² + ε) · w over the last axes (Zhang & Sennrich 2019); eps=None takes the machine epsilon of the dtype.

    Shapes: input (*, *normalized_shape), weight of normalized_shape, which begins as 1 → the shape of the input.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.RMSNorm(2)(danlu.tensor([2.0, 2.0])).tolist()
        [1.0, 1.0]
    """

    weight: Parameter | None

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float | None = None, elementwise_affine: bool = True, device: Any = None,
        dtype: DType | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        sizes = normalized_shape if isinstance(normalized_shape, Sequence) else (normalized_shape,)
        self.normalized_shape = tuple(check_size("RMSNorm", "normalized_shape", n) for n in sizes)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        weight = Parameter(filled(self.normalized_shape, 1.0, dtype, device)) if elementwise_affine else None
        self.register_parameter("weight", weight)

    def reset_parameters(self) -> None:
        """Scale 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        """x / √(mean x² + ε) · w."""
        return rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """Shape, ε and whether there is a scale."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class LocalResponseNorm(Module):
    """x / (k + α · mean of x² over `size` neighbouring channels)^β (Krizhevsky et al. 2012, §3.3).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.LocalResponseNorm(2)(danlu.zeros(1, 2, 1)).flatten().tolist()
        [0.0, 0.0]
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        """x / (k + α · mean of x²)^β."""
        return local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """The constants."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "LayerNorm",
    "LocalResponseNorm", "RMSNorm",
]  # fmt: skip
