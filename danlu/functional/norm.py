"""L6. Normalisation over groups, samples and neighbouring channels; public in `danlu.nn.functional`."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from danlu.dtype import limits
from danlu.errors import DataError, ShapeError
from danlu.functional.common import _affine, batch_norm
from danlu.ops import normalization as ops
from danlu.ops import pooling
from danlu.tensor import Tensor, apply, no_grad


def _check_channels(name: str, x: Tensor, **values: Tensor | None) -> None:
    for word, value in values.items():
        if value is not None and tuple(value.shape) != (x.shape[1],):
            raise ShapeError(
                "{name}: the {word} has shape {shape}; expected ({channels},), one value per channel",
                name=name,
                word=word,
                shape=tuple(value.shape),
                channels=x.shape[1],
            )


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """(x − mean) / √(var + ε) · w + b, with statistics over each group of channels of each sample (Wu & He 2018).

    Shapes: input (N, C, *), weight and bias (C,) → the shape of the input.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.group_norm(danlu.tensor([[1.0, 3.0]]), 1, eps=0.0).tolist()
        [[-1.0, 1.0]]
    """
    if input.ndim < 2 or num_groups < 1 or input.shape[1] % num_groups:
        raise ShapeError(
            "group_norm: the input has shape {shape}; expected (N, C, …) with a number of channels that {num_groups} divides",
            shape=tuple(input.shape),
            num_groups=num_groups,
        )
    _check_channels("group_norm", input, weight=weight, bias=bias)
    if prod(input.shape) == 0:
        return input.clone()
    return apply(ops.group_norm, input, *_affine(weight, bias), groups=num_groups, eps=float(eps))


def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None, weight: Tensor | None = None,
    bias: Tensor | None = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """(x − mean) / √(var + ε) · w + b, with statistics of each channel of each sample (Ulyanov et al. 2016).

    use_input_stats=False takes the running statistics; otherwise these, where given, move towards the mean over the samples.

    Shapes: input (N, C, *), weight and bias (C,) → the shape of the input.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.instance_norm(danlu.tensor([[[1.0, 3.0]]]), eps=0.0).tolist()
        [[[-1.0, 1.0]]]
    """
    shape = tuple(input.shape)
    if len(shape) < 2:
        raise ShapeError("instance_norm: the input has shape {shape}; expected (N, C, …)", shape=shape)
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if prod(shape[2:]) < 2:
        raise ShapeError(
            "instance_norm: Expected more than 1 spatial element when training, got input of shape {shape}; write "
            "use_input_stats=False, or call model.eval()",
            shape=shape,
        )
    _check_channels("instance_norm", input, weight=weight, bias=bias)
    if running_mean is not None and running_var is not None:
        _follow(input, running_mean, running_var, momentum)
    return apply(ops.group_norm, input, *_affine(weight, bias), groups=shape[1], eps=float(eps))


def _follow(x: Tensor, running_mean: Tensor, running_var: Tensor, momentum: float) -> None:
    """The running statistics moved towards those of x, averaged over the samples."""
    with no_grad():
        dims = tuple(range(2, x.ndim))
        running_mean.copy_(running_mean + momentum * (x.mean(dims).mean(0) - running_mean))
        running_var.copy_(running_var + momentum * (x.var(dims).mean(0) - running_var))


def rms_norm(input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """x / √(mean x² + ε) · w over the last axes, those of `normalized_shape` (Zhang & Sennrich 2019).

    eps is the machine epsilon of the dtype where it is None.

    Shapes: input (*, *normalized_shape), weight of normalized_shape → the shape of the input.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.rms_norm(danlu.tensor([2.0, 2.0]), [2]).tolist()
        [1.0, 1.0]
    """
    shape = tuple(normalized_shape)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        raise ShapeError(
            "rms_norm: the input has shape {input_shape}; expected (..., {axes})",
            input_shape=tuple(input.shape),
            axes=", ".join(map(str, shape)),
        )
    if weight is not None and tuple(weight.shape) != shape:
        raise ShapeError("rms_norm: the weight has shape {shape}; expected {expected}", shape=tuple(weight.shape), expected=shape)
    small = limits(input.dtype).eps if eps is None and input.dtype.is_floating_point else eps
    return apply(ops.rms_norm, input, *(() if weight is None else (weight,)), ndim=len(shape), eps=float(small or 0.0))


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x / (k + α · mean of x² over `size` neighbouring channels)^β (Krizhevsky et al. 2012, §3.3).

    Shapes: input (N, C, *) → the shape of the input.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.local_response_norm(danlu.zeros(1, 2, 1), 2).flatten().tolist()
        [0.0, 0.0]
    """
    if input.ndim < 3:
        raise ShapeError(
            "local_response_norm: the input has shape {shape}; expected (N, C, …) with at least 3 axes", shape=tuple(input.shape)
        )
    if size < 1:
        raise DataError("local_response_norm: size is {size}; expected an integer ≥ 1", size=size)
    if prod(input.shape) == 0:
        return input
    squares: Any = (input * input).movedim(1, -1)
    options = {"kernel": (size,), "stride": (1,), "low": (size // 2,), "high": ((size - 1) // 2,)}
    sums = apply(pooling.sum_pool, squares, **options).movedim(-1, 1)
    return input / (sums * (alpha / size) + k) ** beta


__all__ = ["group_norm", "instance_norm", "local_response_norm", "rms_norm"]
