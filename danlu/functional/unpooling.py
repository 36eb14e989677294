"""L6. Max unpooling: the partial inverse of max pooling, from the places that `return_indices=True` gave."""

from __future__ import annotations

from math import prod
from typing import Any

from danlu.errors import ShapeError
from danlu.functional.vision import Size, sizes
from danlu.tensor import Tensor


def max_unpool(
    d: int, input: Tensor, indices: Tensor, kernel_size: Size, stride: Size | None, padding: Size, output_size: Any
) -> Tensor:
    """What `max_unpool1d` to `3d` have in common; d axes behind (N, C) or (C)."""
    name = f"max_unpool{d}d"
    if tuple(input.shape) != tuple(indices.shape) or input.ndim not in (d + 1, d + 2):
        raise ShapeError(
            "{name}: the input has shape {shape}, the indices {indices}; expected both from max_pool{d}d(..., return_indices=True)",
            name=name,
            shape=tuple(input.shape),
            indices=tuple(indices.shape),
            d=d,
        )
    kernel = sizes(name, "kernel_size", kernel_size, d)
    steps = kernel if stride is None else sizes(name, "stride", stride, d)
    edges = sizes(name, "padding", padding, d, 0)
    smallest = [(n - 1) * s + k - 2 * p for n, s, k, p in zip(input.shape[-d:], steps, kernel, edges)]
    out = smallest if output_size is None else [int(n) for n in list(output_size)[-d:]]
    if len(out) != d or any(abs(n - m) >= s for n, m, s in zip(out, smallest, steps)):
        raise ShapeError(
            "{name}: output_size is {given}; expected {expected}, each less than a stride away from it",
            name=name,
            given=tuple(out),
            expected=tuple(smallest),
        )
    lead = tuple(input.shape[:-d])
    flat = input.new_zeros((*lead, prod(out))).scatter(-1, indices.flatten(-d), input.flatten(-d))
    return flat.reshape((*lead, *out))


def max_unpool1d(
    input: Tensor, indices: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, output_size: Any = None
) -> Tensor:
    """The largest elements back at their places in a signal, zeros between them.

    y[…, indices[…, i]] = x[…, i]

    Shapes: input and indices (N, C, L) or (C, L) → (N, C, output_size), without one (L − 1) · stride + kernel − 2 · padding.

    Raises: ShapeError for indices of another shape, or an output_size that pooling would not have come from.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> y, places = F.max_pool1d(danlu.tensor([[1.0, 4.0, 3.0, 2.0]]), 2, return_indices=True)
        >>> F.max_unpool1d(y, places, 2)
        tensor([[0., 4., 3., 0.]])
    """
    return max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Tensor, indices: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, output_size: Any = None
) -> Tensor:
    """The largest elements back at their places in an image, zeros between them.

    y[…, indices[…, i]] = x[…, i]

    Shapes: input and indices (N, C, H, W) or (C, H, W) → (N, C, *output_size), without one (n − 1) · stride + kernel − 2 · padding.

    Raises: ShapeError for indices of another shape, or an output_size that pooling would not have come from.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> y, places = F.max_pool2d(danlu.tensor([[[1.0, 2.0], [4.0, 3.0]]]), 2, return_indices=True)
        >>> F.max_unpool2d(y, places, 2)
        tensor([[[0., 0.],
                 [4., 0.]]])
    """
    return max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Tensor, indices: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, output_size: Any = None
) -> Tensor:
    """The largest elements back at their places in a volume, zeros between them.

    y[…, indices[…, i]] = x[…, i]

    Shapes: input and indices (N, C, D, H, W) or (C, D, H, W) → (N, C, *output_size), without one (n − 1) · stride + kernel − 2 · padding.

    Raises: ShapeError for indices of another shape, or an output_size that pooling would not have come from.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> y, places = F.max_pool3d(danlu.arange(8.0).reshape(1, 2, 2, 2), 2, return_indices=True)
        >>> F.max_unpool3d(y, places, 2).flatten()
        tensor([0., 0., 0., 0., 0., 0., 0., 7.])
    """
    return max_unpool(3, input, indices, kernel_size, stride, padding, output_size)


__all__ = ["max_unpool1d", "max_unpool2d", "max_unpool3d"]
