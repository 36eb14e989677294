"""L5. Functions of several tensors: stacked along rows, columns or depth, broadcast together, spread on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations as _combinations
from typing import Any

from danlu.errors import DTypeError, ShapeError
from danlu.ops.table import broadcast_shapes as _common_shape
from danlu.tensor import Size, Tensor
from danlu.tensor.creation import cat, tensor, zeros
from danlu.tensor.results import with_out


def _listed(tensors: tuple) -> list[Tensor]:
    """Tensors given as f(x, y) or f([x, y])."""
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    for x in given:
        if not isinstance(x, Tensor):
            raise DTypeError("expected tensors, got {kind}; write danlu.tensor(...) around it", kind=type(x).__name__)
    return list(given)


def _each(one: Any, tensors: tuple) -> Any:
    """One result for one tensor, a tuple for several."""
    listed = _listed(tensors)
    if len(tensors) == 1 and isinstance(tensors[0], Tensor):
        return one(listed[0])
    return tuple(one(x) for x in listed)


def atleast_1d(*tensors: Any) -> Any:
    """The tensors, 0-d ones as vectors of one element.

    Shapes: () → (1), others as they are.

    >>> import danlu
    >>> danlu.atleast_1d(danlu.tensor(3))
    tensor([3])
    """
    return _each(lambda x: x if x.ndim else x.reshape(1), tensors)


def atleast_2d(*tensors: Any) -> Any:
    """The tensors with at least two axes; new ones come in front.

    Shapes: () → (1, 1), (n) → (1, n), others as they are.

    >>> import danlu
    >>> danlu.atleast_2d(danlu.tensor([1, 2]))
    tensor([[1, 2]])
    """
    return _each(lambda x: x if x.ndim > 1 else x.reshape(1, -1), tensors)


def atleast_3d(*tensors: Any) -> Any:
    """The tensors with at least three axes; a matrix gets a last one, a vector one on both sides.

    Shapes: () → (1, 1, 1), (n) → (1, n, 1), (m, n) → (m, n, 1), others as they are.

    >>> import danlu
    >>> danlu.atleast_3d(danlu.tensor([1, 2])).shape
    danlu.Size([1, 2, 1])
    """
    return _each(lambda x: x if x.ndim > 2 else x.unsqueeze(2) if x.ndim == 2 else x.reshape(1, -1, 1), tensors)


@with_out
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Side by side: along the second axis, vectors along the first.

    y[:, n₀ + … + nₖ₋₁ + j] = tensors[k][:, j]

    Shapes: tensors (m, nₖ, *) → (m, Σ nₖ, *); vectors (nₖ) → (Σ nₖ).

    >>> import danlu
    >>> danlu.hstack([danlu.ones(1), danlu.zeros(2)])
    tensor([1., 0., 0.])
    """
    listed = [atleast_1d(x) for x in _several("hstack", tensors)]
    return cat(listed, 0 if listed[0].ndim == 1 else 1)


@with_out
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """One below the other: along the first axis, vectors as rows.

    y[m₀ + … + mₖ₋₁ + i] = tensors[k][i]

    Shapes: tensors (mₖ, n, *) → (Σ mₖ, n, *); vectors (n) count as (1, n).

    >>> import danlu
    >>> danlu.vstack([danlu.ones(2), danlu.zeros(2)])
    tensor([[1., 1.],
            [0., 0.]])
    """
    return cat([atleast_2d(x) for x in _several("vstack", tensors)], 0)


row_stack = vstack


@with_out
def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """One behind the other: along the third axis.

    y[:, :, l₀ + … + lₖ₋₁ + i] = tensors[k][:, :, i]

    Shapes: tensors (m, n, lₖ, *) → (m, n, Σ lₖ, *); matrices count as (m, n, 1), vectors as (1, n, 1).

    >>> import danlu
    >>> danlu.dstack([danlu.ones(2), danlu.zeros(2)]).shape
    danlu.Size([1, 2, 2])
    """
    return cat([atleast_3d(x) for x in _several("dstack", tensors)], 2)


@with_out
def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Side by side; vectors as columns.

    y[:, n₀ + … + nₖ₋₁ + j] = tensors[k][:, j]

    Shapes: tensors (m, nₖ) → (m, Σ nₖ); vectors (m) count as (m, 1).

    >>> import danlu
    >>> danlu.column_stack([danlu.ones(2), danlu.zeros(2)])
    tensor([[1., 0.],
            [1., 0.]])
    """
    return cat([x if x.ndim > 1 else x.reshape(-1, 1) for x in _several("column_stack", tensors)], 1)


def _several(name: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    if not isinstance(tensors, (tuple, list)) or not tensors:
        raise ShapeError("{name} takes a list of at least one tensor, got {kind}", name=name, kind=type(tensors).__name__)
    return _listed((tensors,))


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that tensors of these shapes have together.

    Shapes: shapes → one Size: on each axis, counted from the right, the size that is not 1.

    >>> import danlu
    >>> danlu.broadcast_shapes((3, 1), (4,))
    danlu.Size([3, 4])
    """
    given = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    if any(n < 0 for s in given for n in s):
        raise ShapeError("broadcast_shapes: {given} has a negative size; sizes are 0 or more", given=given)
    return Size(_common_shape("broadcast_shapes", given))


def broadcast_tensors(*tensors: Any) -> tuple:
    """The tensors, each stretched to the shape that they have together.

    Shapes: tensors (*) of shapes that fit → as many views of one shape.

    >>> import danlu
    >>> x, y = danlu.broadcast_tensors(danlu.ones(2, 1), danlu.ones(3))
    >>> x.shape == y.shape == (2, 3)
    True
    """
    listed = _listed(tensors)
    shape = _common_shape("broadcast_tensors", [tuple(x.shape) for x in listed])
    return tuple(x.expand(shape) for x in listed)


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple:
    """The coordinates of a grid: of n vectors n tensors of n axes. indexing="xy" exchanges the first two axes.

    yₖ[i₁, …, i_d] = xₖ[iₖ]

    Shapes: d vectors (nₖ) → d tensors (n₁, …, n_d); "xy": the first two axes exchanged.

    >>> import danlu
    >>> danlu.meshgrid(danlu.tensor([1, 2]), danlu.tensor([3, 4]), indexing="ij")[0]
    tensor([[1, 1],
            [2, 2]])
    """
    listed = _listed(tensors)
    _check_grid(listed, indexing)
    swap = indexing == "xy" and len(listed) > 1
    listed = [listed[1], listed[0], *listed[2:]] if swap else listed
    shape = tuple(x.numel() for x in listed)
    grid = [x.reshape(tuple(-1 if k == at else 1 for k in range(len(shape)))).expand(shape) for at, x in enumerate(listed)]
    return (grid[1], grid[0], *grid[2:]) if swap else tuple(grid)


def _check_grid(listed: list[Tensor], indexing: str | None) -> None:
    if indexing not in (None, "ij", "xy"):
        raise ShapeError("meshgrid: indexing={indexing!r}; expected 'ij' or 'xy'", indexing=indexing)
    if not listed or any(x.ndim > 1 for x in listed):
        raise ShapeError("meshgrid takes vectors, at least one; got shapes {shapes}", shapes=[tuple(x.shape) for x in listed])
    if any(x.dtype is not listed[0].dtype for x in listed):
        raise DTypeError("meshgrid: dtypes {dtypes} differ; write x.to(dtype)", dtypes=[x.dtype.name for x in listed])


def cartesian_prod(*tensors: Any) -> Tensor:
    """Every choice of one element from each vector, one row each.

    y[k] = one choice, the last vector's place running fastest

    Shapes: vectors (nₖ), d of them → (Π nₖ, d); one vector (n) → (n).

    >>> import danlu
    >>> danlu.cartesian_prod(danlu.tensor([1, 2]), danlu.tensor([3, 4])).shape
    danlu.Size([4, 2])
    """
    listed = _listed(tensors)
    if len(listed) == 1:
        return listed[0]
    return column_stack([x.reshape(-1) for x in meshgrid(*listed, indexing="ij")])


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """Every choice of r elements of a vector, in order, one row each.

    y[k] = (x[i₁], …, x[i_r]) with i₁ < … < i_r (with_replacement: ≤)

    Shapes: (n) → (m, r), m = n! / r! (n - r)!, or (n + r - 1)! / r! (n - 1)! with_replacement.

    >>> import danlu
    >>> danlu.combinations(danlu.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    if input.ndim != 1 or r < 0:
        raise ShapeError("combinations takes a vector and r ≥ 0, got shape {shape} and r={r}", shape=tuple(input.shape), r=r)
    if r == 0:
        return zeros(0, dtype=input.dtype)
    n = input.numel()
    rows = list(_combinations(range(n + r - 1 if with_replacement else n), r))
    if with_replacement:  # the k-th of a choice without repetition, less k, is one with it
        rows = [tuple(c - k for k, c in enumerate(row)) for row in rows]
    return input[tensor(rows).reshape(-1, r)] if rows else zeros(0, r, dtype=input.dtype)


def block_diag(*tensors: Any) -> Tensor:
    """Matrices along the diagonal of a larger one, zeros elsewhere.

    y[m₀ + … + mₖ₋₁ + i, n₀ + … + nₖ₋₁ + j] = tensors[k][i, j], else 0

    Shapes: matrices (mₖ, nₖ) → (Σ mₖ, Σ nₖ); vectors count as (1, n), numbers as (1, 1).

    >>> import danlu
    >>> danlu.block_diag(danlu.ones(1, 2), danlu.ones(1, 1))
    tensor([[1., 1., 0.],
            [0., 0., 1.]])
    """
    blocks = [atleast_2d(x) for x in _listed(tensors)]
    if any(x.ndim > 2 for x in blocks):
        raise ShapeError("block_diag takes matrices, got shapes {shapes}", shapes=[tuple(x.shape) for x in blocks])
    total = sum(x.shape[1] for x in blocks)
    rows, before = [], 0
    for x in blocks:
        left, right = zeros(x.shape[0], before, dtype=x.dtype), zeros(x.shape[0], total - before - x.shape[1], dtype=x.dtype)
        rows.append(cat([left, x, right], 1))
        before += x.shape[1]
    return cat(rows, 0)
