"""L7. Gradient clipping, and sequences of different lengths (`rnn`)."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from danlu.errors import DataError
from danlu.nn.utils import rnn
from danlu.ops import composite
from danlu.tensor import Tensor, apply, no_grad
from danlu.tensor.creation import zeros


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p.grad for p in tensors if p.grad is not None]


def clip_grad_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0) -> Tensor:
    """Scales all gradients together, in place, so that their norm is at most `max_norm`; gives the norm they had.

    g ← g · min(1, max_norm / (‖all g‖₂ + 10⁻⁶))

    Nothing is computed here: the clipping becomes part of the optimizer's step.

    Shapes: gradients of any shapes → the norm, ().

    Raises:
        DataError: max_norm is negative, or norm_type is not 2.

    Example:
        >>> import danlu
        >>> p = danlu.nn.Parameter(danlu.ones(2))
        >>> p.grad = danlu.tensor([3.0, 4.0])
        >>> danlu.nn.utils.clip_grad_norm_([p], max_norm=2.5).item()
        5.0
        >>> [round(g, 4) for g in p.grad.tolist()]
        [1.5, 2.0]
    """
    if norm_type != 2:
        raise DataError("clip_grad_norm_: norm_type is {norm_type}; expected 2, the Euclidean norm", norm_type=norm_type)
    if max_norm < 0:
        raise DataError("clip_grad_norm_: max_norm is {max_norm}; expected a number ≥ 0", max_norm=max_norm)
    grads = _gradients(parameters)
    if not grads:
        return zeros(())
    with no_grad():
        norm, *clipped = apply(composite.clip_norm, float(max_norm), *grads)
        for g, c in zip(grads, clipped):
            g.copy_(c)
    return norm


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
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


__all__ = ["clip_grad_norm_", "clip_grad_value_", "rnn"]
