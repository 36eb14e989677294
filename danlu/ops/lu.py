"""L2. The factorisation P L U of matrices, with partial pivoting: Gauss's elimination in NumPy, all matrices of a batch at once.

The order of the rows is found first and has no derivative; the elimination of the ordered square part has one, and what a wide or a
tall matrix has beyond it follows from triangular equations.
"""

from __future__ import annotations

import numpy as np

from danlu import dtype as dt
from danlu.graph import OPAQUE, Node, Op, Spec
from danlu.ops.linear_algebra import (
    _square_spec,
    check_matrix,
    eye_like,
    lower,
    opaque,
    part,
    product,
    transposed,
    upper,
)  # fmt: skip
from danlu.ops.table import composite, register

# ---- the order of the rows ----------------------------------------------------------------------------------------------------


def _rows_spec(x: Spec) -> tuple[Spec, Spec]:
    check_matrix("linalg.lu", x)
    *lead, m, n = x.shape
    return Spec((*lead, m), dt.int64), Spec((*lead, min(m, n)), dt.int32)


def _eliminated(a: np.ndarray, k: int) -> None:
    """One step of the elimination, in place: column k below the diagonal becomes that of L."""
    pivot = a[:, k, k, None]
    a[:, k + 1 :, k] /= np.where(pivot == 0, 1, pivot)
    a[:, k + 1 :, k + 1 :] -= a[:, k + 1 :, k, None] * a[:, k, None, k + 1 :]


def _rows_numpy(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each row of P⁻¹ A comes from, and LAPACK's list of exchanges, counted from 1."""
    *lead, m, n = x.shape
    a = x.reshape(int(np.prod(lead)), m, n).copy()
    order, pivots = np.tile(np.arange(m), (len(a), 1)), np.zeros((len(a), min(m, n)), np.int32)
    each = np.arange(len(a))
    with np.errstate(all="ignore"):
        for k in range(min(m, n)):
            at = k + np.abs(a[:, k:, k]).argmax(1)
            pivots[:, k] = at + 1
            for swapped in (a, order):
                swapped[each, k], swapped[each, at] = swapped[each, at], swapped[each, k].copy()
            _eliminated(a, k)
    return order.reshape(*lead, m), pivots.reshape(*lead, min(m, n))


register(
    Op("pivoted_rows", OPAQUE, "The order of the rows that partial pivoting gives, and its exchanges.", infer=_rows_spec, numpy=_rows_numpy,
       vjp=lambda o, gs, ys, x: (None,), jvp=lambda o, ys, xs, dxs: (None, None))
)  # fmt: skip


def _order_numpy(pivots: np.ndarray, m: int) -> np.ndarray:
    *lead, k = pivots.shape
    flat = pivots.reshape(int(np.prod(lead)), k)
    order, each = np.tile(np.arange(m), (len(flat), 1)), np.arange(len(flat))
    for j in range(k):
        at = flat[:, j] - 1
        order[each, j], order[each, at] = order[each, at], order[each, j].copy()
    return order.reshape(*lead, m)


register(
    Op("order_of_pivots", OPAQUE, "The order of m rows that a list of exchanges makes.", attrs=("m",), numpy=_order_numpy,
       infer=lambda pivots, m: Spec((*pivots.shape[:-1], m), dt.int64), vjp=lambda o, g, y, x, m: (None,), jvp=lambda o, y, xs, dxs, m: None)
)  # fmt: skip

# ---- the elimination ----------------------------------------------------------------------------------------------------------


def _packed_numpy(x: np.ndarray) -> np.ndarray:
    a = x.reshape(int(np.prod(x.shape[:-2])), *x.shape[-2:]).copy()
    with np.errstate(all="ignore"):
        for k in range(a.shape[-1]):
            _eliminated(a, k)
    return a.reshape(x.shape)


def unpacked(o, y: Node) -> tuple[Node, Node]:
    """L with ones on its diagonal and U, of a square matrix that holds both."""
    return o.add(lower(o, y, -1), eye_like(o, y)), upper(o, y)


def _packed_vjp(o, g, y, x):
    """L⁻ᵀ (tril₋₁(Lᵀ gL) + triu(gU Uᵀ)) U⁻ᵀ"""
    low, up = unpacked(o, y)
    inner = o.add(lower(o, o.matmul(transposed(o, low), lower(o, g, -1)), -1), upper(o, o.matmul(upper(o, g), transposed(o, up))))
    left = o.solve_matrices(transposed(o, low), inner)
    return (transposed(o, o.solve_matrices(up, transposed(o, left))),)


def _packed_jvp(o, y, xs, dxs):
    """F = L⁻¹ dA U⁻¹: dL = L tril₋₁(F), dU = triu(F) U"""
    low, up = unpacked(o, y)
    inner = o.solve_matrices(low, transposed(o, o.solve_matrices(transposed(o, up), transposed(o, dxs[0]))))
    return o.add(product(o, low, lower(o, inner, -1)), product(o, upper(o, inner), up))


opaque("packed_lu", "L (without its ones) and U in one square matrix, the rows as they stand.", infer=_square_spec("linalg.lu"),
       numpy=_packed_numpy, vjp=_packed_vjp, jvp=_packed_jvp)  # fmt: skip


def _ordered(o, x: Node, order: Node) -> Node:
    """The rows of x in another order."""
    index = o.expand(o.reshape(order, shape=(*order.shape, 1)), shape=x.shape)
    return o.take_along(x, index, dim=len(x.shape) - 2)


@composite
def lu_factor(o, x: Node) -> tuple[Node, Node]:
    """L (without its ones) and U in one matrix, and the exchanges of rows."""
    order, pivots = o.pivoted_rows(x)
    m, n = x.shape[-2:]
    x, k, rank = _ordered(o, x, order), min(m, n), len(x.shape)
    y = o.packed_lu(part(o, part(o, x, -2, 0, k), -1, 0, k))
    low, up = unpacked(o, y)
    if m < n:  # [A₁ | A₂] = L [U₁ | L⁻¹ A₂]
        y = o.cat(y, o.solve_matrices(low, part(o, x, -1, m, n)), dim=rank - 1)
    elif m > n:  # [A₁ ; A₂] = [L₁ ; A₂ U⁻¹] U
        below = transposed(o, o.solve_matrices(transposed(o, up), transposed(o, part(o, x, -2, n, m))))
        y = o.cat(y, below, dim=rank - 2)
    return y, pivots


# ---- which matrix fails -------------------------------------------------------------------------------------------------------


def _leading_numpy(x: np.ndarray) -> np.ndarray:
    """The size of the first leading block that is not positive-definite, 0 if all are."""

    def first(a: np.ndarray) -> int:
        for k in range(1, len(a) + 1):
            try:
                np.linalg.cholesky(a[:k, :k])
            except np.linalg.LinAlgError:
                return k
        return 0

    flat = x.reshape(int(np.prod(x.shape[:-2])), *x.shape[-2:])
    return np.array([first(a) for a in flat], np.int32).reshape(x.shape[:-2])


def _zero_pivot_numpy(x: np.ndarray) -> np.ndarray:
    """The number of the first pivot that is 0, counted from 1; 0 if there is none."""
    zero = np.diagonal(_packed_numpy(np.take_along_axis(x, _rows_numpy(x)[0][..., None], -2)), 0, -2, -1) == 0
    return np.where(zero.any(-1), zero.argmax(-1) + 1, 0).astype(np.int32) if x.shape[-1] else np.zeros(x.shape[:-2], np.int32)


def _diagnosis(name: str, doc: str, of: str, numpy) -> None:
    def infer(x: Spec) -> Spec:
        _square_spec(of)(x)
        return Spec(x.shape[:-2], dt.int32)

    register(
        Op(
            name,
            OPAQUE,
            doc,
            infer=infer,
            numpy=numpy,
            vjp=lambda o, g, y, x: (None,),
            jvp=lambda o, y, xs, dxs: None,
        )
    )


_diagnosis(
    "cholesky_failure", "Where Cholesky's factorisation fails, from 1; 0 where it does not.", "linalg.cholesky_ex", _leading_numpy
)
_diagnosis("zero_pivot", "The first pivot that is 0, from 1; 0 where none is.", "linalg.inv_ex", _zero_pivot_numpy)


def _sound(o, x: Node, info: Node) -> Node:
    """The matrices, an identity instead of one that fails."""
    bad = o.expand(o.reshape(o.ne(info, 0), shape=(*info.shape, 1, 1)), shape=x.shape)
    return o.where(bad, o.expand(eye_like(o, x), shape=x.shape), x)


@composite
def cholesky_checked(o, x: Node) -> tuple[Node, Node]:
    """Cholesky's factor and where it fails; the identity stands where there is none."""
    info = o.cholesky_failure(x)
    return o.cholesky(_sound(o, x, info)), info


@composite
def inv_checked(o, x: Node) -> tuple[Node, Node]:
    """The inverse and the pivot that is 0; the identity stands where there is none."""
    info = o.zero_pivot(x)
    return o.inv(_sound(o, x, info)), info


@composite(attrs=("left",))
def solve_checked(o, a: Node, b: Node, left: bool) -> tuple[Node, Node]:
    """X with A X = B (or X A = B) and the pivot that is 0; B itself stands where there is no X."""
    info = o.zero_pivot(a)
    return o.solve(_sound(o, a, info), b, left=left), info
