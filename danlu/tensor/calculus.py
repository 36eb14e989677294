"""L5. Functions of samples: slopes and areas under a curve, covariances, histograms; and positions in a shape."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from danlu import dtype as dt
from danlu.dtype import DType
from danlu.errors import DTypeError, ShapeError
from danlu.messages import Phrase
from danlu.ops.movement import normalize_axis
from danlu.tensor import Tensor
from danlu.tensor.creation import cat, tensor
from danlu.tensor.rearrange import as_axes

# ---- areas --------------------------------------------------------------------------------------------------------------------


def _along(x: Tensor, axis: int, ndim: int) -> Tensor:
    """A vector on one of several axes."""
    return x.reshape(*(-1 if k == axis else 1 for k in range(ndim)))


def _strips(name: str, y: Tensor, x: Tensor | None, dx: Any, dim: int) -> tuple[Tensor, int]:
    """The area between each two neighbours."""
    axis = normalize_axis(name, dim, y.ndim)
    if not y.ndim:
        raise ShapeError("{name} of a 0-d tensor; it has no axis", name=name)
    n = y.shape[axis]
    count = max(0, n - 1)
    sums = y.narrow(axis, min(1, n), count) + y.narrow(axis, 0, count)
    if x is None:
        return sums * (dx / 2), axis
    if x.ndim == 1 and y.ndim > 1:
        x = _along(x, axis, y.ndim)
    along = x.ndim - y.ndim + axis
    if along < 0 or x.shape[along] != n:
        raise ShapeError(
            "{name}: x has shape {input_shape} and y {other_shape}; expected {size} points along axis {axis}",
            name=name,
            input_shape=tuple(x.shape),
            other_shape=tuple(y.shape),
            size=n,
            axis=axis,
        )
    return sums * x.diff(dim=along) / 2, max(axis, along)


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """The area under y by the trapezoidal rule, at the points x or at distances dx.

    y = Σ (xᵢ₊₁ - xᵢ) (yᵢ + yᵢ₊₁) / 2

    Shapes: y (*, n, *) → (*, *) without the axis dim; x (n), or of the shape of y.

    >>> import danlu
    >>> danlu.trapezoid(danlu.tensor([0.0, 1.0, 2.0]))
    tensor(2.)
    """
    strips, axis = _strips("trapezoid", y, x, dx, dim)
    return strips.sum(axis)


trapz = trapezoid


def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = 1, dim: int = -1) -> Tensor:
    """The area under y up to each point after the first, by the trapezoidal rule.

    yₖ = Σ_{i<k} (xᵢ₊₁ - xᵢ) (yᵢ + yᵢ₊₁) / 2

    Shapes: y (*, n, *) → (*, n - 1, *); x (n), or of the shape of y.

    >>> import danlu
    >>> danlu.cumulative_trapezoid(danlu.tensor([0.0, 1.0, 2.0]))
    tensor([0.5000, 2.0000])
    """
    strips, axis = _strips("cumulative_trapezoid", y, x, dx, dim)
    return strips.cumsum(axis)


# ---- slopes -------------------------------------------------------------------------------------------------------------------


def gradient(input: Tensor, *, spacing: Any = None, dim: Any = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """The slope along each axis: central differences inside, one-sided ones (of edge_order 1 or 2) at the ends.

    y[i] = (x[i + 1] - x[i - 1]) / 2h inside, at equal distances h

    spacing: the distance of the points (one number, or one for each axis; 1), or their positions (one vector for each axis).

    Shapes: (*) → a tuple with (*) for each axis of dim (all axes).

    >>> import danlu
    >>> danlu.gradient(danlu.tensor([0.0, 1.0, 4.0, 9.0]))
    (tensor([1., 2., 4., 5.]),)
    """
    axes = tuple(range(input.ndim)) if dim is None else as_axes("gradient", dim, input.ndim)
    if edge_order not in (1, 2):
        raise ShapeError("gradient: edge_order={edge_order}; expected 1 or 2", edge_order=edge_order)
    steps = list(spacing) if isinstance(spacing, (list, tuple)) else [1 if spacing is None else spacing] * len(axes)
    if len(steps) != len(axes):
        raise ShapeError(
            "gradient: {found} spacings for {count} axes {axes}; expected one number, or one for each",
            found=len(steps),
            count=len(axes),
            axes=axes,
        )
    return tuple(_slope(input, axis, step, edge_order) for axis, step in zip(axes, steps))


def _slope(y: Tensor, axis: int, step: Any, edge_order: int) -> Tensor:
    n = y.shape[axis]
    if n < edge_order + 1:
        raise ShapeError(
            "gradient: axis {axis} of shape {shape} has {size} points; expected {expected} or more",
            axis=axis,
            shape=tuple(y.shape),
            size=n,
            expected=edge_order + 1,
        )
    y = y.to(dt.as_float(y.dtype))
    if isinstance(step, Tensor) and step.ndim == 1:
        if step.shape[0] != n:
            raise ShapeError(
                "gradient: {found} positions for axis {axis} of size {size}; expected {size}",
                found=step.shape[0],
                axis=axis,
                size=n,
            )
        widths = _along(step.diff(), axis, y.ndim)
    else:
        widths = _along(y.new_ones(n - 1) * step, axis, y.ndim)
    rises = y.diff(dim=axis) / widths  # (…, n - 1, …): the slope between each two neighbours
    return cat(
        [_edge(rises, widths, axis, 0, edge_order), _inner(rises, widths, axis), _edge(rises, widths, axis, -1, edge_order)], axis
    )


def _inner(rises: Tensor, widths: Tensor, axis: int) -> Tensor:
    """(a · right + b · left) / (a + b), a the width on the left and b on the right: exact for parabolas."""
    m = rises.shape[axis] - 1
    left, right = rises.narrow(axis, 0, m), rises.narrow(axis, 1, m)
    a, b = widths.narrow(axis, 0, m), widths.narrow(axis, 1, m)
    return (right * a + left * b) / (a + b)


def _edge(rises: Tensor, widths: Tensor, axis: int, at: int, order: int) -> Tensor:
    """The slope at an end: that of the last strip, for order 2 carried on from the last two."""
    n = rises.shape[axis]
    first, second = (at % n, (1 if at == 0 else n - 2))
    slope = rises.narrow(axis, first, 1)
    if order == 1:
        return slope
    near, far = widths.narrow(axis, first, 1), widths.narrow(axis, second, 1)
    return slope + (slope - rises.narrow(axis, second, 1)) * near / (near + far)


# ---- covariance ---------------------------------------------------------------------------------------------------------------


def cov(input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None) -> Tensor:
    """The covariances of the rows, whose columns are observations, each counted fweights times and weighed by aweights.

    C[i, j] = Σ_k w[k] (x[i, k] - mean[i]) (x[j, k] - mean[j]) / (Σ w - correction), w = 1 or fweights

    Shapes: (n, m): n variables, m observations → (n, n); (m) → (). fweights and aweights (m).

    >>> import danlu
    >>> danlu.cov(danlu.tensor([[0.0, 2.0], [1.0, 5.0]]))
    tensor([[2., 4.],
            [4., 8.]])
    """
    if input.ndim > 2 or input.dtype.kind == "b":
        raise ShapeError(
            "cov: shape {shape} and dtype {dtype}; expected numbers as (variables, observations)",
            shape=tuple(input.shape),
            dtype=input.dtype.name,
        )
    x = input.reshape(1, -1) if input.ndim < 2 else input
    weights = _weights(x, fweights, aweights)
    x = x.to(dt.as_float(x.dtype))
    if weights is None:
        centred = x - x.mean(1, True)
        total, spread = float(x.shape[1]), centred
    else:
        weights = weights.to(x.dtype) if not weights.dtype.is_floating_point else weights
        total = weights.sum()
        centred = x - (x * weights).sum(1, True) / total
        spread = centred * weights
    if aweights is not None and weights is not None and correction:
        shares = aweights * weights
        norm: Any = total - correction * shares.sum() / total
    else:
        norm = total - correction
    norm = norm.clamp(min=0) if isinstance(norm, Tensor) else max(0.0, norm)
    out = spread @ centred.mT / norm  # type: ignore[attr-defined]
    return out.reshape(()) if x.shape[0] == 1 else out


def _weights(x: Tensor, fweights: Tensor | None, aweights: Tensor | None) -> Tensor | None:
    """fweights · aweights, checked."""
    for name, w, kinds in (("fweights", fweights, "iu"), ("aweights", aweights, "f")):
        if w is not None and (w.dtype.kind not in kinds or tuple(w.shape) not in ((x.shape[1],), ())):
            kind = Phrase("integers") if kinds == "iu" else Phrase("floats")
            raise ShapeError(
                "cov: {name} has shape {shape} and dtype {dtype}; expected {count} {kind}",
                name=name,
                shape=tuple(w.shape),
                dtype=w.dtype.name,
                count=x.shape[1],
                kind=kind,
            )
        if w is not None and bool((w < 0).any()):
            raise ShapeError("cov: {name} has negative elements; expected 0 or more", name=name)
    if fweights is None or aweights is None:
        return fweights if aweights is None else aweights
    return fweights * aweights


def corrcoef(input: Tensor) -> Tensor:
    """The correlations of the rows: covariances divided by both standard deviations.

    R[i, j] = C[i, j] / √(C[i, i] C[j, j]), C the covariances

    Shapes: (n, m): n variables, m observations → (n, n); (m) → ().

    >>> import danlu
    >>> danlu.corrcoef(danlu.tensor([[0.0, 1.0], [1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    c = cov(input)
    if not c.ndim:
        return c / c
    spread = c.diagonal().sqrt()
    return (c / spread.unsqueeze(1) / spread.unsqueeze(0)).clamp(-1, 1)


# ---- histograms ---------------------------------------------------------------------------------------------------------------


class Histogram(NamedTuple):
    """What `histogram` returns."""

    hist: Tensor
    bin_edges: Tensor


def histogram(
    input: Tensor, bins: Any, *, range: Sequence[float] | None = None, weight: Tensor | None = None, density: bool = False
) -> Histogram:
    """How many elements (or how much weight) fall between each two edges, the last one closed; `bins` is their number, or the edges.

    hist[k] = #{x: edges[k] ≤ x < edges[k + 1]}; density divides by the total and by the width

    The edges may depend on the data, so it is computed now, and no derivative passes.

    Shapes: (*) → hist (bins), bin_edges (bins + 1).

    >>> import danlu
    >>> danlu.histogram(danlu.tensor([1.0, 2.0, 1.0]), 4, range=(0, 3)).hist
    tensor([0., 2., 1., 0.])
    """
    if not input.dtype.is_floating_point:
        raise DTypeError("histogram of {dtype}; expected a floating dtype: write x.float()", dtype=input.dtype.name)
    if weight is not None and (weight.shape != input.shape or weight.dtype is not input.dtype):
        raise ShapeError(
            "histogram: weight has shape {weight_shape} and dtype {weight_dtype}; expected {input_shape} and {input_dtype}",
            weight_shape=tuple(weight.shape),
            weight_dtype=weight.dtype.name,
            input_shape=tuple(input.shape),
            input_dtype=input.dtype.name,
        )
    array = input.detach().numpy().reshape(-1)
    edges = bins.detach().numpy() if isinstance(bins, Tensor) else _edges(array, bins, range)
    given = None if weight is None else weight.detach().numpy().reshape(-1)
    inside = (array >= edges[0]) & (array <= edges[-1])
    counts = np.histogram(array[inside], edges, weights=None if given is None else given[inside])[0].astype(np.float64)
    if density:
        counts = counts / counts.sum() / np.diff(edges.astype(np.float64))
    return Histogram(tensor(counts, input.dtype), tensor(edges, input.dtype))


def _edges(array: np.ndarray, bins: int, span: Sequence[float] | None) -> np.ndarray:
    if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1 or (span is not None and span[0] > span[1]):
        raise ShapeError(
            "histogram: bins={bins} in range {span}; expected 1 or more bins, or the edges as a tensor, and low ≤ high",
            bins=bins,
            span=span,
        )
    low, high = span if span is not None else (array.min(), array.max()) if array.size else (0.0, 1.0)
    low, high = (low - 0.5, high + 0.5) if low == high else (low, high)
    if not np.isfinite([low, high]).all():
        raise ShapeError("histogram: the range {low} … {high} is not finite; give range=(low, high)", low=low, high=high)
    return np.linspace(low, high, bins + 1).astype(array.dtype)


# ---- positions and numbers ------------------------------------------------------------------------------------------------------


def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """For positions counted in row-major order their index on each axis of a shape.

    indices = Σ_k yₖ · Π_{j>k} shape[j]

    Shapes: indices (*), a shape of d sizes → d tensors (*).

    >>> import danlu
    >>> danlu.unravel_index(danlu.tensor([5]), (2, 3))
    (tensor([1]), tensor([2]))
    """
    if indices.dtype.kind not in "iu":
        raise DTypeError(
            "unravel_index: the indices have dtype {dtype}; expected integers: write indices.long()", dtype=indices.dtype.name
        )
    given = shape.tolist() if isinstance(shape, Tensor) else shape
    own = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    if any(not isinstance(n, int) or n < 0 for n in own):
        raise ShapeError("unravel_index: shape {shape!r}; expected whole sizes, 0 or more", shape=shape)
    return tuple(indices // max(1, prod(own[k + 1 :])) % max(1, n) for k, n in enumerate(own))


def scalar_tensor(s: Any, *, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """A 0-d tensor of a number; the default dtype if nothing else is said.

    y = s

    Shapes: a number → ().

    >>> import danlu
    >>> danlu.scalar_tensor(3)
    tensor(3.)
    """
    return tensor(s, dtype or dt.default(), requires_grad)


# These functions make tensors, and the Tensor is made before them: so their methods join here.
Tensor.cov, Tensor.corrcoef, Tensor.histogram = cov, corrcoef, histogram  # type: ignore[attr-defined]
