"""L6. Fractional max pooling: windows at drawn places, so that an image shrinks by a factor that need not be whole."""

from __future__ import annotations

from math import prod
from typing import Any

from danlu.errors import DataError, ShapeError
from danlu.functional.vision import Size, batched, sizes
from danlu.random import rand
from danlu.tensor import Tensor, apply
from danlu.tensor.creation import arange


def fractional_max_pool(
    d: int, input: Tensor, kernel_size: Size, output_size: Any, output_ratio: Any, return_indices: bool, samples: Tensor | None
) -> Any:
    """What `fractional_max_pool2d` and `3d` have in common; input (N, C, *) or (C, *) with d axes behind."""
    name = f"fractional_max_pool{d}d"

    def run(x: Any) -> tuple[Tensor, Tensor]:
        shape = tuple(x.shape[2:])
        kernel, out = sizes(name, "kernel_size", kernel_size, d), _output(name, d, shape, output_size, output_ratio)
        _check_room(name, shape, out, kernel)
        u = rand((x.shape[0], x.shape[1], d), dtype=x.dtype) if samples is None else samples[: x.shape[0]]
        places = _places(u, shape, out, kernel)  # N, C, outputs, elements of a window
        values, k = x.flatten(2).gather(2, places.flatten(2)).reshape(tuple(places.shape)).max(-1)
        whole = (*x.shape[:2], *out)
        return values.reshape(whole), places.gather(-1, k.unsqueeze(-1)).reshape(whole)

    found = batched(name, input, d, run)
    return found if return_indices else found[0]


def _check_room(name: str, shape: tuple[int, ...], out: tuple[int, ...], kernel: tuple[int, ...]) -> None:
    if any(m < 1 or m + k - 1 > n for n, m, k in zip(shape, out, kernel)):
        raise ShapeError(
            "{name}: {out} windows of {kernel} do not fit into {shape}; expected output_size + kernel_size - 1 ≤ the size, on each axis",
            name=name,
            out=out,
            kernel=kernel,
            shape=shape,
        )


def _output(name: str, d: int, shape: tuple[int, ...], output_size: Any, output_ratio: Any) -> tuple[int, ...]:
    if (output_size is None) == (output_ratio is None):
        raise DataError("{name}: expected either output_size or output_ratio", name=name)
    if output_size is not None:
        return sizes(name, "output_size", output_size, d)
    ratios = tuple(output_ratio) if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * d
    if not all(0 < r < 1 for r in ratios):
        raise DataError("{name}: output_ratio is {ratio}; expected numbers between 0 and 1", name=name, ratio=output_ratio)
    return tuple(int(n * r) for n, r in zip(shape, ratios))


def _places(u: Any, shape: tuple[int, ...], out: tuple[int, ...], kernel: tuple[int, ...]) -> Any:
    """The place in the flat image of each element of each window: (N, C, ∏ out, ∏ kernel)."""
    d, flat = len(shape), 0
    for axis, (n, m, k) in enumerate(zip(shape, out, kernel)):
        begins = _begins(u[..., d - 1 - axis if d == 2 else axis], n, m, k)  # PyTorch's draws for images name the width first
        at = begins.reshape(*begins.shape[:2], *_on(axis, m, d), *(1,) * d) + arange(k).reshape(_on(axis, k, d))
        flat = flat * n + at
    return flat.reshape(*u.shape[:2], prod(out), prod(kernel))  # type: ignore[attr-defined]


def _on(axis: int, n: int, d: int) -> tuple[int, ...]:
    return tuple(n if k == axis else 1 for k in range(d))


def _begins(u: Any, n: int, m: int, k: int) -> Any:
    """Where the m windows of an axis of size n begin: (N, C, m)."""
    alpha, i = (n - k) / max(1, m - 1), arange(m)
    begins = ((i + u.unsqueeze(-1)) * alpha).floor() - (u * alpha).floor().unsqueeze(-1)
    return apply("where", i == m - 1, n - k, begins.long())


def fractional_max_pool2d(
    input: Tensor, kernel_size: Size, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """The largest element of windows whose distances are drawn (Graham 2014); output_ratio is a share of each size.

    y[…, i] = max of x[…, bᵢ + j] for 0 ≤ j < k on each axis, bᵢ = ⌊α (i + u)⌋ - ⌊α u⌋, α = (n - k) / (m - 1), u ~ U[0, 1)

    Shapes: input (N, C, H, W) or (C, H, W), output_size (m, m') → (N, C, m, m'); return_indices: twice.

    Raises: DataError unless one of output_size and output_ratio is given; ShapeError where the windows do not fit.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.fractional_max_pool2d(danlu.ones(1, 1, 7, 7), 2, output_size=4).shape
        danlu.Size([1, 1, 4, 4])
    """
    return fractional_max_pool(2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


def fractional_max_pool3d(
    input: Tensor, kernel_size: Size, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """The largest element of windows whose distances are drawn, of volumes; see `fractional_max_pool2d`.

    y[…, i] = max of x[…, bᵢ + j] for 0 ≤ j < k on each axis, bᵢ = ⌊α (i + u)⌋ - ⌊α u⌋, α = (n - k) / (m - 1), u ~ U[0, 1)

    Shapes: input (N, C, D, H, W) or (C, D, H, W), output_size (m, m', m'') → (N, C, m, m', m''); return_indices: twice.

    Raises: DataError unless one of output_size and output_ratio is given; ShapeError where the windows do not fit.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.fractional_max_pool3d(danlu.ones(1, 4, 4, 4), 2, output_ratio=0.5).shape
        danlu.Size([1, 2, 2, 2])
    """
    return fractional_max_pool(3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


__all__ = ["fractional_max_pool2d", "fractional_max_pool3d"]
