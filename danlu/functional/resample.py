"""L6. Signals and images at another size; public in `danlu.nn.functional`.

A resampling is a product with a small matrix along each axis, made in NumPy once for each size: its derivative is a product too, and
nothing is scattered.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from danlu.dtype import float32, uint8
from danlu.errors import DataError, DTypeError, ShapeError
from danlu.functional.pooling import adaptive_average, along_axes
from danlu.functional.vision import rounded_once, sizes
from danlu.messages import either
from danlu.tensor import Tensor, apply, from_array


def _sources(n: int, out: int, step: float, align_corners: bool, number: type) -> np.ndarray:
    """Where on the old axis each element of the new one lies, in the precision of the elements as PyTorch has it."""
    i = np.arange(out)
    if align_corners:
        return (i * number((n - 1) / max(out - 1, 1) * (out > 1))).astype(number)
    return ((i + 0.5) * np.float64(number(step)) - 0.5).astype(number)


def _taps(n: int, columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The matrix (new, n) with the given weights in the given columns; columns beyond the edge count for the edge."""
    matrix = np.zeros((len(columns), n))
    np.add.at(matrix, (np.arange(len(columns))[:, None], np.clip(columns, 0, n - 1)), weights)
    return matrix


def _linear_weights(n: int, source: np.ndarray) -> np.ndarray:
    source = np.clip(source, 0, n - 1)
    first = np.floor(source).astype(np.int64)
    part = source - first
    return _taps(n, first[:, None] + np.arange(2), np.stack([1 - part, part], 1))


def _keys(distance: np.ndarray, a: float) -> np.ndarray:
    """Keys's kernel (1981, eq. 4)."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))


def _cubic_weights(n: int, source: np.ndarray) -> np.ndarray:
    first = np.floor(source).astype(np.int64)
    return _taps(n, first[:, None] + np.arange(-1, 3), _keys(np.abs((source - first)[:, None] - np.arange(-1, 3)), -0.75))


def _averaging_weights(n: int, out: int, step: float, cubic: bool, number: type) -> np.ndarray:
    """Those of antialias: the filter is as wide as the elements of the coarser grid; a = −½ as in Pillow."""
    places = (np.arange(out, dtype=number)[:, None] + number(0.5)) * number(step)
    distance = np.abs((np.arange(n, dtype=number) - places + number(0.5)) * number(1 / max(step, 1.0)))
    weights = _keys(distance, -0.5) if cubic else np.maximum(1 - distance, 0)
    return weights / weights.sum(1, keepdims=True)


@lru_cache(maxsize=256)
def resampling(
    n: int, out: int, step: float, align_corners: bool, cubic: bool, antialias: bool, dtype: np.dtype
) -> np.ndarray | None:
    """The matrix (out, n) of a resampling along one axis; None where it changes nothing."""
    number = np.float32 if dtype == np.float32 else np.float64
    source = _sources(n, out, step, align_corners, number)
    if n == out and np.array_equal(source, np.arange(n)):
        return None
    if antialias:
        step = (n - 1) / max(out - 1, 1) * (out > 1) if align_corners else step
        weights = _averaging_weights(n, out, step, cubic, number)
    else:
        weights = (_cubic_weights if cubic else _linear_weights)(n, source)
    return _fixed_point(weights) if dtype == np.uint8 else weights.astype(dtype)


def _fixed_point(weights: np.ndarray) -> np.ndarray:
    """Weights for bytes as PyTorch has them, numbers of 16 bits with a common point; sums of their products are exact in float32."""
    most = weights.max()
    scale = max(2.0**k for k in range(23) if int(0.5 + most * 2**k) < 1 << 15)
    return (np.trunc(weights * scale + np.copysign(0.5, weights)) / scale).astype(np.float32)


@lru_cache(maxsize=256)
def _nearest(n: int, out: int, step: float, exact: bool) -> np.ndarray:
    """The position on the old axis whose element each new one takes, computed in float32 as PyTorch does."""
    i = np.arange(out, dtype=np.float32)
    at = np.floor((i + np.float32(0.5)) * np.float32(step)) if exact else np.floor(i * np.float32(step))
    return np.minimum(at.astype(np.int64), n - 1)


def _new_size(x: Tensor, size: Any, scale_factor: Any) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """The sizes of the result, and the given factors."""
    d, shape = x.ndim - 2, tuple(x.shape[2:])
    if (size is None) == (scale_factor is None):
        raise DataError(
            "interpolate: size is {size!r} and scale_factor {scale_factor!r}; expected exactly one of the two",
            size=size,
            scale_factor=scale_factor,
        )
    if size is not None:
        return sizes("interpolate", "size", size, d), (None,) * d
    factors = tuple(scale_factor) if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * d
    if len(factors) != d:
        raise DataError(
            "interpolate: scale_factor is {scale_factor!r}; expected a number, or {dims} for an input of shape {shape}",
            scale_factor=scale_factor,
            dims=d,
            shape=tuple(x.shape),
        )
    out = tuple(int(n * f) for n, f in zip(shape, factors))
    if min(out) < 1:
        raise DataError(
            "interpolate: scale_factor {scale_factor!r} makes {shape} to {out}; expected sizes ≥ 1",
            scale_factor=scale_factor,
            shape=shape,
            out=out,
        )
    return out, tuple(map(float, factors))


_RANKS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}


def _check_mode(x: Tensor, mode: str, align_corners: bool | None, antialias: bool) -> None:
    if mode not in ("nearest", "nearest-exact", "area", *_RANKS):
        raise DataError(
            "interpolate: mode is {mode!r}; expected nearest, nearest-exact, area, {modes}", mode=mode, modes=", ".join(_RANKS)
        )
    if antialias and mode not in ("bilinear", "bicubic"):
        raise DataError("interpolate: antialias=True with mode {mode!r}; expected it with bilinear and bicubic alone", mode=mode)
    if align_corners is not None and mode not in _RANKS:
        raise DataError(
            "interpolate: align_corners={align_corners} with mode {mode!r}; expected it with {modes} alone",
            align_corners=align_corners,
            mode=mode,
            modes=", ".join(_RANKS),
        )
    if mode in _RANKS and not (x.dtype.is_floating_point or x.dtype is uint8):
        raise DTypeError(
            "interpolate: the input is {dtype}; mode {mode!r} expects floats, or uint8 images: write x.float()",
            dtype=x.dtype.name,
            mode=mode,
        )
    ranks = (_RANKS[mode],) if mode in _RANKS else (1, 2, 3)
    if x.ndim - 2 not in ranks:
        expected = either(str(r + 2) for r in ranks)
        raise ShapeError(
            "interpolate: the input has shape {shape}; mode {mode!r} expects {expected} axes (N, C, …)",
            shape=tuple(x.shape),
            mode=mode,
            expected=expected,
        )


def interpolate(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Tensor:  # fmt: skip
    """A signal or an image of another size: (N, C, …) to `size`, or to its size times scale_factor.

    y[…, p] = Σ_k w_k x[…, k], w the weights of the place (p + ½) · n / m − ½ (align_corners: p · (n − 1) / (m − 1)) among n elements

    mode: nearest, nearest-exact, linear (3 axes), bilinear or bicubic (4 axes), trilinear (5 axes), area (averages).
    align_corners: the centres of the corner elements keep their place, instead of the outer edges.
    antialias (bilinear and bicubic): where the result is smaller, its elements average all that they cover, as Pillow's do.

    Shapes: input (N, C, *) → (N, C, *size).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.interpolate(danlu.tensor([[[0.0, 2.0]]]), size=3, mode="linear", align_corners=True).tolist()
        [[[0.0, 1.0, 2.0]]]
    """
    _check_mode(input, mode, align_corners, antialias)
    out, factors = _new_size(input, size, scale_factor)
    if mode == "area":
        return adaptive_average(input.ndim - 2, input, out)
    shape = tuple(input.shape[2:])
    steps = [1 / f if f and not recompute_scale_factor else n / m for n, m, f in zip(shape, out, factors)]
    if mode in _RANKS:
        options = (bool(align_corners), mode == "bicubic", antialias)

        def run(x: Tensor) -> Tensor:
            return along_axes(x, [resampling(n, m, s, *options, x.dtype.numpy) for n, m, s in zip(shape, out, steps)])

        if input.dtype is not uint8:
            return rounded_once(run, input)
        for k in reversed(range(len(out))):  # bytes again after each axis, the last one first
            matrix = resampling(shape[k], out[k], steps[k], *options, uint8.numpy)
            rest = len(out) - 1 - k
            input = (along_axes(input.to(float32), [matrix] + [None] * rest) + 0.5).floor().clamp(0, 255).to(uint8)
        return input
    for axis, (n, m, s) in enumerate(zip(shape, out, steps)):
        input = _take_nearest(input, axis + 2, n, m, s, mode == "nearest-exact")
    return input


def _take_nearest(x: Tensor, axis: int, n: int, out: int, step: float, exact: bool) -> Tensor:
    """One axis at another size; whole multiples repeat each element, which needs no positions read from memory."""
    at = _nearest(n, out, step, exact)
    times = out // n
    if out == n * times and np.array_equal(at, np.repeat(np.arange(n), times)):
        x = x.unsqueeze(axis + 1).expand(*x.shape[: axis + 1], times, *x.shape[axis + 1 :])
        return x.flatten(axis, axis + 1)
    return apply("take", x, from_array(at), dim=axis)


def upsample(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Tensor:
    """Another name of interpolate: see danlu.nn.functional.interpolate.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.upsample(danlu.tensor([[[1.0, 2.0]]]), scale_factor=2).tolist()
        [[[1.0, 1.0, 2.0, 2.0]]]
    """
    return interpolate(input, size, scale_factor, mode, align_corners)


def _upsampled(mode: str, align_corners: bool | None) -> Callable[..., Tensor]:
    def function(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
        return interpolate(input, size, scale_factor, mode, align_corners)

    function.__name__ = function.__qualname__ = f"upsample_{mode}"
    function.__doc__ = (
        f"`interpolate` by mode {mode!r} and align_corners {align_corners}: see danlu.nn.functional.interpolate.\n\n"
        ">>> import danlu\n>>> from danlu.nn import functional as F\n"
        f">>> tuple(F.upsample_{mode}(danlu.ones(1, 1, 2, 2), scale_factor=2).shape)\n(1, 1, 4, 4)\n"
    )
    return function


upsample_nearest = _upsampled("nearest", None)
upsample_bilinear = _upsampled("bilinear", True)

__all__ = ["interpolate", "upsample", "upsample_bilinear", "upsample_nearest"]
