"""L6. Images read at computed places: the sampler of a spatial transformer (Jaderberg et al. 2015); public in `danlu.nn.functional`."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.errors import DataError, ShapeError
from danlu.functional.vision import rounded_once
from danlu.tensor import Tensor, apply, from_array
from danlu.tensor.creation import cat, ones_like


def affine_grid(theta: Tensor, size: Any, align_corners: bool | None = None) -> Tensor:
    """The places of an affine map, for grid_sample: theta (N, 2, 3) and size (N, C, H, W) → (N, H, W, 2); (N, 3, 4) for volumes.

    place = theta · (x, y, 1), x and y from −1 to 1: between the centres of the corner pixels (align_corners) or their outer edges.

    Shapes: theta (N, 2, 3), size (N, C, H, W) → (N, H, W, 2); theta (N, 3, 4), size (N, C, D, H, W) → (N, D, H, W, 3).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.affine_grid(danlu.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]), (1, 1, 1, 2)).tolist()
        [[[[-0.5, 0.0], [0.5, 0.0]]]]
    """
    d = len(size) - 2
    if d not in (2, 3) or tuple(theta.shape) != (size[0], d, d + 1) or min(size) < 1:
        raise ShapeError(
            "affine_grid: theta has shape {shape} and size is {size}; expected (N, 2, 3) with (N, C, H, W), or (N, 3, 4) with "
            "(N, C, D, H, W)",
            shape=tuple(theta.shape),
            size=tuple(size),
        )
    return rounded_once(lambda matrix: _mapped(matrix, tuple(size), bool(align_corners)), theta)


def _mapped(theta: Tensor, size: tuple[int, ...], align_corners: bool) -> Tensor:
    d = len(size) - 2
    lines = [_centres(n, align_corners) for n in size[2:]]
    axes = [*reversed(np.meshgrid(*lines, indexing="ij")), np.ones(size[2:])]  # x is the last axis
    base = from_array(dt.in_memory(np.stack(axes, -1).reshape(-1, d + 1), theta.dtype))  # (pixels, d + 1)
    return (base @ theta.transpose(1, 2)).reshape(size[0], *size[2:], d)


def _centres(n: int, align_corners: bool) -> np.ndarray:
    if align_corners:
        return np.linspace(-1, 1, n) if n > 1 else np.zeros(1)
    return (2 * np.arange(n) + 1) / n - 1


# ---- places beyond the edge -----------------------------------------------------------------------------------------------------


def _reflected(x: Tensor, low: float, high: float) -> Tensor:
    """x folded back between two mirrors."""
    span = high - low
    if span <= 0:
        return x * 0.0
    x = (x - low).abs()
    turns = (x / span).floor().detach()
    rest = x - turns * span
    return apply("where", apply("eq", turns % 2, 0), rest + low, high - rest)


def _bounded(x: Tensor, n: int, padding_mode: str, align_corners: bool) -> Tensor:
    """Places in pixels, brought onto the axis where the padding asks for it."""
    if padding_mode == "zeros":
        return x
    if padding_mode == "reflection":
        x = _reflected(x, 0, n - 1) if align_corners else _reflected(x, -0.5, n - 0.5)
    kept = x.clamp(0, n - 1)
    return apply("where", apply("eq", kept, x) & (x > 0) & (x < n - 1), x, kept.detach())  # on the edge no derivative passes


def _read(image: Tensor, places: list[Tensor], weights: Tensor) -> Tensor:
    """Σₖ weights[n, k, p] · image[n, c, places[n, k, p]], 0 beyond the edge: (N, C, …) → (N, C, P)"""
    sizes, (n, c), (_, taps, count) = tuple(image.shape[2:]), image.shape[:2], places[0].shape
    inside, at = places[0] == places[0], places[0].to(dt.int64) * 0
    for place, m in zip(places, sizes):
        here = (place >= 0) & (place <= m - 1)
        inside, at = inside & here, at * m + apply("where", here, place, 0.0).to(dt.int64)
    at = at.reshape(n, 1, taps * count).expand(n, c, taps * count)
    values = image.reshape(n, c, prod(sizes)).gather(2, at).reshape(n, c, taps, count)
    return (values * apply("where", inside, weights, 0.0).unsqueeze(1)).sum(2)


def _linear(places: list[Tensor]) -> tuple[list[Tensor], Tensor]:
    """The 2ᵈ pixels around each place (N, 1, P), each with the product of its distances to the other side."""
    corners = np.array(list(product((0.0, 1.0), repeat=len(places))), places[0].dtype.numpy)  # (2ᵈ, d)
    at, weight = [], places[0] * 0.0 + 1.0
    for x, up in zip(places, corners.T):
        side = from_array(np.ascontiguousarray(up)).reshape(-1, 1)
        low = x.floor().detach()
        at.append(low + side)
        weight = weight * ((1 - side) + (2 * side - 1) * (x - low))
    return at, weight


def _cubic_weights(t: Tensor) -> Tensor:
    """Keys's kernel (1981, eq. 4) with a = −3/4 at the distances 1 + t, t, 1 − t, 2 − t: (N, 1, P) → (N, 4, P)."""
    a = -0.75

    def far(x: Tensor) -> Tensor:
        return ((x - 5) * x + 8) * x * a - 4 * a

    def near(x: Tensor) -> Tensor:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    return cat([far(t + 1), near(t), near(1 - t), far(2 - t)], 1)


def _cubic(places: list[Tensor], sizes: tuple[int, ...], padding_mode: str, align_corners: bool) -> tuple[list[Tensor], Tensor]:
    """The 16 pixels around each place and their weights."""
    (n, _, count), steps = places[0].shape, from_array(np.arange(-1, 3).astype(places[0].dtype.numpy)).reshape(4, 1)
    floors = [x.floor().detach() for x in places]
    rows, columns = (_bounded(low + steps, m, padding_mode, align_corners) for low, m in zip(floors, sizes))  # (N, 4, P)
    vertical, horizontal = (_cubic_weights(x - low) for x, low in zip(places, floors))
    shape = (n, 4, 4, count)
    at = [rows.unsqueeze(2).expand(*shape).reshape(n, 16, count), columns.unsqueeze(1).expand(*shape).reshape(n, 16, count)]
    return at, (vertical.unsqueeze(2) * horizontal.unsqueeze(1)).reshape(n, 16, count)


def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Tensor:
    """The input read at the places of a grid: (N, C, H, W) at (N, H', W', 2) gives (N, C, H', W'); volumes have one axis more.

    y[n, c, p] = Σ_k w_k x[n, c, k], w the weights (bilinear: of the 4 or 8 neighbours) of the place grid[n, p]

    grid[..., 0] is the place on the last axis, from −1 to 1, grid[..., 1] that on the axis before it. mode: "bilinear", "nearest", "bicubic"
    (images alone). padding_mode beyond the edge: "zeros", "border" (the edge), "reflection" (a mirror at the edge).
    align_corners: −1 and 1 are the centres of the corner pixels, instead of their outer edges.

    Shapes: input (N, C, H, W), grid (N, H', W', 2) → (N, C, H', W'); volumes have one axis more.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.grid_sample(danlu.tensor([[[[1.0, 3.0]]]]), danlu.zeros(1, 1, 1, 2)).item()
        2.0
    """
    d = input.ndim - 2
    if d not in (2, 3) or grid.ndim != d + 2 or grid.shape[-1] != d or grid.shape[0] != input.shape[0] or 0 in input.shape[1:]:
        raise ShapeError(
            "grid_sample: the input has shape {input_shape} and the grid {grid_shape}; expected (N, C, H, W) and (N, H', W', "
            "2), or (N, C, D, H, W) and (N, D', H', W', 3), and no empty axis",
            input_shape=tuple(input.shape),
            grid_shape=tuple(grid.shape),
        )
    if mode not in ("bilinear", "nearest", "bicubic") or (mode == "bicubic" and d == 3):
        raise DataError("grid_sample: mode is {mode!r}; expected 'bilinear' or 'nearest', for images also 'bicubic'", mode=mode)
    if padding_mode not in ("zeros", "border", "reflection"):
        raise DataError(
            "grid_sample: padding_mode is {padding_mode!r}; expected 'zeros', 'border' or 'reflection'", padding_mode=padding_mode
        )
    if grid.dtype is not input.dtype:
        raise DataError(
            "grid_sample: the input is {input_dtype} and the grid {grid_dtype}; write grid.to(input.dtype)",
            input_dtype=input.dtype.name,
            grid_dtype=grid.dtype.name,
        )
    return rounded_once(lambda x: _sampled(x, grid.to(x.dtype), mode, padding_mode, bool(align_corners)), input)


def _sampled(input: Tensor, grid: Tensor, mode: str, padding_mode: str, align: bool) -> Tensor:
    d, sizes = input.ndim - 2, tuple(input.shape[2:])
    flat = grid.reshape(grid.shape[0], 1, -1, d)
    places = [_pixels(flat.select(-1, d - 1 - k), n, align) for k, n in enumerate(sizes)]  # (N, 1, P)
    if mode == "bicubic":
        out = _read(input, *_cubic(places, sizes, padding_mode, align))
    else:
        places = [_bounded(x, n, padding_mode, align) for x, n in zip(places, sizes)]
        nearest = [x.round().detach() for x in places], ones_like(places[0])
        out = _read(input, *(_linear(places) if mode == "bilinear" else nearest))
    return out.reshape(*input.shape[:2], *grid.shape[1:-1])


def _pixels(x: Tensor, n: int, align_corners: bool) -> Tensor:
    """Places from −1 to 1 as places in pixels."""
    return (x + 1) * ((n - 1) / 2) if align_corners else ((x + 1) * n - 1) * 0.5


__all__ = ["affine_grid", "grid_sample"]
