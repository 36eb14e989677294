"""L7. Gradient clipping, all parameters as one vector, normalized and pruned weights, and sequences of different lengths (`rnn`)."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, isfinite

from danlu.errors import DataError, NumericError, ShapeError
from danlu.nn.utils import parametrizations, parametrize, prune, rnn
from danlu.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval, skip_init
from danlu.nn.utils.norms import remove_spectral_norm, remove_weight_norm, spectral_norm, weight_norm
from danlu.ops import composite
from danlu.tensor import Tensor, apply, no_grad
from danlu.tensor.creation import cat, stack, zeros


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p.grad for p in tensors if p.grad is not None]


def get_total_norm(
    tensors: Tensor | Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Tensor:
    """The norm of all elements of several tensors together: (Σ |x|^p)^(1/p), or max |x| for p = ∞.

    Shapes: gradients of any shapes → the norm, ().

    Raises:
        DataError: norm_type is not positive.
        NumericError: error_if_nonfinite, and the norm is infinite or no number.

    Example:
        >>> import danlu
        >>> danlu.nn.utils.get_total_norm([danlu.tensor([3.0]), danlu.tensor([4.0])]).item()
        5.0
    """
    if not norm_type > 0:
        raise DataError("get_total_norm: norm_type is {norm_type}; expected a number > 0", norm_type=norm_type)
    parts = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not parts:
        return zeros(())
    with no_grad():
        norm = _norm([x.abs() for x in parts], float(norm_type))
    if error_if_nonfinite and not isfinite(norm.item()):
        raise NumericError(
            "the norm of the gradients is {norm}; look for what became infinite, or clip without this check", norm=norm.item()
        )
    return norm


def _norm(sizes: list[Tensor], p: float) -> Tensor:
    """Of tensors of numbers ≥ 0."""
    if p == inf:
        return stack([x.max() for x in sizes if x.numel()] or [zeros(())]).max()
    return stack([(x * x if p == 2 else x**p).sum() for x in sizes]).sum() ** (1 / p)


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scales the gradients in place by min(1, max_norm / (total_norm + 10⁻⁶)): the second half of `clip_grad_norm_`.

    Shapes: gradients of any shapes; total_norm ().

    Example:
        >>> import danlu
        >>> p = danlu.nn.Parameter(danlu.ones(1))
        >>> p.grad = danlu.tensor([8.0])
        >>> danlu.nn.utils.clip_grads_with_norm_(p, 2.0, danlu.tensor(16.0))
        >>> round(p.grad.item(), 4)
        1.0
    """
    with no_grad():
        factor = (max_norm / (total_norm + 1e-6)).clamp(max=1.0)
        for g in _gradients(parameters):
            g.mul_(factor.to(g.dtype))


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scales all gradients together, in place, so that their norm is at most `max_norm`; gives the norm they had.

    g ← g · min(1, max_norm / (‖all g‖ + 10⁻⁶)), with the Euclidean norm or that of norm_type (1, ∞, …)

    Nothing is computed here (unless error_if_nonfinite asks for the norm): the clipping becomes part of the optimizer's step.

    Shapes: gradients of any shapes → the norm, ().

    Raises:
        DataError: max_norm is negative, or norm_type is not positive.
        NumericError: error_if_nonfinite, and the norm is infinite or no number.

    Example:
        >>> import danlu
        >>> p = danlu.nn.Parameter(danlu.ones(2))
        >>> p.grad = danlu.tensor([3.0, 4.0])
        >>> danlu.nn.utils.clip_grad_norm_([p], max_norm=2.5).item()
        5.0
        >>> [round(g, 4) for g in p.grad.tolist()]
        [1.5, 2.0]
    """
    if max_norm < 0:
        raise DataError("clip_grad_norm_: max_norm is {max_norm}; expected a number ≥ 0", max_norm=max_norm)
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    grads = _gradients(parameters)
    if norm_type != 2 or error_if_nonfinite or not grads:
        norm = get_total_norm(grads, norm_type, error_if_nonfinite)
        clip_grads_with_norm_(parameters, max_norm, norm)
        return norm
    with no_grad():
        norm, *clipped = apply(composite.clip_norm, float(max_norm), *grads)
        for g, c in zip(grads, clipped):
            g.copy_(c)
    return norm


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Keeps every element of the gradients, in place, between −clip_value and clip_value.

    g ← min(max(g, −clip_value), clip_value)

    Shapes: gradients of any shapes.

    Raises:
        DataError: clip_value is negative.

    Example:
        >>> import danlu
        >>> p = danlu.nn.Parameter(danlu.ones(2))
        >>> p.grad = danlu.tensor([3.0, -0.5])
        >>> danlu.nn.utils.clip_grad_value_([p], 1.0)
        >>> p.grad.tolist()
        [1.0, -0.5]
    """
    if not 0 <= clip_value < inf:
        raise DataError("clip_grad_value_: clip_value is {clip_value}; expected a number ≥ 0", clip_value=clip_value)
    with no_grad():
        for g in _gradients(parameters):
            g.clamp_(-clip_value, clip_value)


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters in one line, one after another; differentiable.

    v = (p₁ flattened, p₂ flattened, …)

    Shapes: parameters of any shapes → (Σ sizes).

    Example:
        >>> import danlu
        >>> danlu.nn.utils.parameters_to_vector([danlu.ones(1, 2), danlu.zeros(1)]).tolist()
        [1.0, 1.0, 0.0]
    """
    return cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Writes a vector, as `parameters_to_vector` gives it, into the parameters.

    p₁ ← the first elements of v, p₂ ← those that follow, …

    Shapes: vec (Σ sizes), parameters of any shapes.

    Raises:
        ShapeError: the vector holds more or fewer elements than the parameters.

    Example:
        >>> import danlu
        >>> layer = danlu.nn.Linear(1, 1)
        >>> danlu.nn.utils.vector_to_parameters(danlu.tensor([2.0, 3.0]), layer.parameters())
        >>> layer.weight.item(), layer.bias.item()
        (2.0, 3.0)
    """
    targets = list(parameters)
    count = sum(p.numel() for p in targets)
    if tuple(vec.shape) != (count,):
        raise ShapeError(
            "vector_to_parameters: the vector has shape {shape}; expected ({count},), one element for each of the parameters",
            shape=tuple(vec.shape),
            count=count,
        )
    start = 0
    with no_grad():
        for p in targets:
            p.copy_(vec[start : start + p.numel()].reshape(p.shape))
            start += p.numel()


__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "fuse_conv_bn_eval",
    "fuse_linear_bn_eval",
    "get_total_norm",
    "parameters_to_vector",
    "parametrizations",
    "parametrize",
    "prune",
    "remove_spectral_norm",
    "remove_weight_norm",
    "rnn",
    "skip_init",
    "spectral_norm",
    "vector_to_parameters",
    "weight_norm",
]
