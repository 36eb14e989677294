"""L7. Batch norm at evaluation taken into the layer before it, and layers whose first values nobody needs."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from danlu.errors import DataError
from danlu.nn.module import Module
from danlu.nn.parameter import Parameter
from danlu.random import get_rng_state, set_rng_state
from danlu.tensor import Tensor, no_grad

M = TypeVar("M", bound=Module)


def _fused(
    w: Tensor, b: Tensor | None, mean: Tensor, var: Tensor, eps: float, scale: Tensor | None, shift: Tensor | None, axis: int
) -> tuple[Parameter, Parameter]:
    with no_grad():
        factor = (var + eps).rsqrt() if scale is None else (var + eps).rsqrt() * scale
        bias = -mean * factor if b is None else (b - mean) * factor
        weight = w * factor.reshape([-1 if d == axis else 1 for d in range(w.ndim)])
        trained = w.requires_grad, b is not None and b.requires_grad
        bias = bias if shift is None else bias + shift
        return Parameter(weight.to(w.dtype), trained[0]), Parameter(bias.to((w if b is None else b).dtype), trained[1])


def _fold(name: str, layer: M, bn: Any, axis: int) -> M:
    if layer.training or bn.training or bn.running_mean is None:
        raise DataError("{name}: expected layers at evaluation, with running statistics: write layer.eval()", name=name)
    fused: Any = copy.deepcopy(layer)
    fused.weight, fused.bias = _fused(fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, axis)
    return fused


def fuse_conv_bn_eval(conv: M, bn: Module, transpose: bool = False) -> M:
    """A convolution that does what it and the batch norm after it do at evaluation.

    w' = w γ / √(σ² + ε);   b' = (b − μ) γ / √(σ² + ε) + β

    Raises:
        DataError: one of the two is in training, or the batch norm has no running statistics.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> conv, bn, x = nn.Conv2d(3, 4, 3).eval(), nn.BatchNorm2d(4).eval(), danlu.rand(1, 3, 5, 5)
        >>> danlu.allclose(nn.utils.fuse_conv_bn_eval(conv, bn)(x), bn(conv(x)), atol=1e-6)
        True
    """
    return _fold("fuse_conv_bn_eval", conv, bn, int(transpose))


def fuse_linear_bn_eval(linear: M, bn: Module) -> M:
    """A linear layer that does what it and the batch norm after it do at evaluation; see `fuse_conv_bn_eval`.

    Raises:
        DataError: one of the two is in training, or the batch norm has no running statistics.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> linear, bn, x = nn.Linear(3, 4).eval(), nn.BatchNorm1d(4).eval(), danlu.rand(2, 3)
        >>> danlu.allclose(nn.utils.fuse_linear_bn_eval(linear, bn)(x), bn(linear(x)), atol=1e-6)
        True
    """
    return _fold("fuse_linear_bn_eval", linear, bn, 0)


def skip_init(module_cls: type[M], *args: Any, **kwargs: Any) -> M:
    """A layer whose parameters are 0 instead of drawn, for values that come from elsewhere; no random numbers are used up.

    Example:
        >>> from danlu import nn
        >>> nn.utils.skip_init(nn.Linear, 2, 1).weight.tolist()
        [[0.0, 0.0]]
    """
    state = get_rng_state()
    module = module_cls(*args, **kwargs)
    set_rng_state(state)
    with no_grad():
        for p in module.parameters():
            p.zero_()
    return module


__all__ = ["fuse_conv_bn_eval", "fuse_linear_bn_eval", "skip_init"]
