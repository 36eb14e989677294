"""L2. What eigenvalues and singular values give: eigh, svd, rank and pseudo-inverse, through numpy.linalg, with both derivatives in `o`."""

from __future__ import annotations

from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.errors import GradientError
from danlu.graph import Node, Spec
from danlu.ops.linear_algebra import (
    ITERATION,
    adjoint,
    as_column,
    as_row,
    blamed,
    check_matrix,
    check_square,
    diagonal_matrix,
    diagonal_of,
    eye_like,
    opaque,
    part,
    product,
    real_part,
)
from danlu.ops.table import as_dtype, composite

# ---- symmetric eigenvalues --------------------------------------------------------------------------------------------------------------


def quotient(o, x: Node, by: Node) -> Node:
    """x / by, where 0 / 0 is 0: a gap between equal eigenvalues matters only to what is not zero there."""
    nothing = o.logical_and(o.eq(x, 0.0), o.eq(by, 0.0))
    return o.div(x, o.where(nothing, 1.0, by))


def _eigh_infer(x: Spec, lower: bool) -> tuple[Spec, Spec]:
    check_square("linalg.eigh", x)
    return Spec(x.shape[:-1], dt.to_real(x.dtype)), x


def _gaps(o, w: Node) -> Node:
    """wⱼ - wᵢ, with 1 on the diagonal."""
    gap = o.sub(as_row(o, w), as_column(o, w))
    return o.add(gap, eye_like(o, gap))


def _without_diagonal(o, x: Node) -> Node:
    return o.sub(x, diagonal_matrix(o, diagonal_of(o, x)))


def _eigh_vjp(o, gs, ys, x, lower):
    """V (diag(gw) + ½ (Vᴴ gV - gVᴴ V) / (wⱼ - wᵢ)) Vᴴ: V stays unitary, so only the skew part of Vᴴ gV turns it."""
    (gw, gv), (w, v) = gs, ys
    vt = adjoint(o, v)
    turn = quotient(o, o.mul(0.5, _without_diagonal(o, _skew(o, o.matmul(vt, gv)))), _gaps(o, w))
    return (product(o, v, o.add(turn, diagonal_matrix(o, gw)), vt),)


def _eigh_jvp(o, ys, xs, dxs, lower):
    (w, v) = ys
    inner = product(o, adjoint(o, v), dxs[0], v)
    return o.real(diagonal_of(o, inner)), o.matmul(v, quotient(o, _without_diagonal(o, inner), _gaps(o, w)))


opaque(
    "eigh", "Eigenvalues in rising order and orthonormal eigenvectors of symmetric matrices; reads one triangle.", attrs=("lower",),
    infer=_eigh_infer,
    numpy=blamed("linalg.eigh", lambda x, lower: tuple(np.linalg.eigh(x, "L" if lower else "U")), ITERATION), vjp=_eigh_vjp, jvp=_eigh_jvp,
)  # fmt: skip


def _eigvalsh_vjp(o, g, y, x, lower):
    v = o.eigh(x, lower=lower)[1]
    return (o.matmul(o.mul(v, as_row(o, g)), adjoint(o, v)),)


def _eigvalsh_jvp(o, y, xs, dxs, lower):
    v = o.eigh(xs[0], lower=lower)[1]
    return o.real(diagonal_of(o, product(o, adjoint(o, v), dxs[0], v)))


opaque(
    "eigvalsh", "Eigenvalues of symmetric matrices in rising order; reads one triangle.", attrs=("lower",),
    infer=lambda x, lower: _eigh_infer(x, lower)[0],
    numpy=blamed("linalg.eigvalsh", lambda x, lower: np.linalg.eigvalsh(x, "L" if lower else "U"), ITERATION), vjp=_eigvalsh_vjp, jvp=_eigvalsh_jvp,
)  # fmt: skip


# ---- eigenvalues of any square matrix -----------------------------------------------------------------------------------------------------


def _eig_infer(x: Spec) -> tuple[Spec, Spec]:
    check_square("linalg.eig", x)
    dtype = dt.to_complex(x.dtype)
    return Spec(x.shape[:-1], dtype), Spec(x.shape, dtype)


def _eig_numpy(x: np.ndarray) -> tuple[np.ndarray, ...]:
    return tuple(part.astype(np.result_type(x, np.complex64), copy=False) for part in np.linalg.eig(x))


def _complex_gaps(o, w: Node) -> Node:
    """wⱼ - wᵢ, with 1 on the diagonal."""
    gap = o.sub(as_row(o, w), as_column(o, w))
    return o.add(gap, eye_like(o, gap))


def _conjugated(o, v: Node, inner: Node) -> Node:
    """V⁻ᴴ · inner · Vᴴ"""
    vt = adjoint(o, v)
    return o.solve_matrices(vt, o.matmul(inner, vt))


def _eig_vjp(o, gs, ys, x):
    """V⁻ᴴ (diag(gw) + (Vᴴ gV - Vᴴ V diag(re Vᴴ gV)) / conj(wⱼ - wᵢ)) Vᴴ (Boeddeker et al. 2017, equation 4.77; columns of length 1)"""
    (gw, gv), (w, v) = gs, ys
    vt = adjoint(o, v)
    turn = o.matmul(vt, gv)
    turn = o.sub(turn, o.matmul(vt, o.mul(v, as_row(o, o.real(diagonal_of(o, turn))))))
    turn = o.div(_without_diagonal(o, turn), o.conj(_complex_gaps(o, w)))
    return (_conjugated(o, v, o.add(turn, diagonal_matrix(o, gw))),)


def _eig_jvp(o, ys, xs, dxs):
    """dw = diag(V⁻¹ dA V); of dV what would change the length of a column is taken away."""
    w, v = ys
    inner = o.solve_matrices(v, o.matmul(as_dtype(dxs[0], v.dtype), v))
    dv = o.matmul(v, o.div(_without_diagonal(o, inner), _complex_gaps(o, w)))
    stretch = o.real(o.sum(o.mul(o.conj(v), dv), dims=(len(v.shape) - 2,), keepdim=True))
    return diagonal_of(o, inner), o.sub(dv, o.mul(v, stretch))


opaque(
    "eig", "Eigenvalues and eigenvectors of length 1, both complex, of square matrices.", infer=_eig_infer,
    numpy=blamed("linalg.eig", _eig_numpy, ITERATION), vjp=_eig_vjp, jvp=_eig_jvp,
)  # fmt: skip
opaque(
    "eigvals", "The eigenvalues, complex, of square matrices.", infer=lambda x: _eig_infer(x)[0],
    numpy=blamed("linalg.eigvals", lambda x: np.linalg.eigvals(x).astype(np.result_type(x, np.complex64), copy=False), ITERATION),
    vjp=lambda o, g, y, x: (_conjugated(o, o.eig(x)[1], diagonal_matrix(o, g)),),
    jvp=lambda o, y, xs, dxs: _eig_jvp(o, o.eig(xs[0]), xs, dxs)[0],
)  # fmt: skip


# ---- singular values --------------------------------------------------------------------------------------------------------------------


def _svd_infer(x: Spec, full: bool) -> tuple[Spec, Spec, Spec]:
    check_matrix("linalg.svd", x)
    *lead, m, n = x.shape
    k = min(m, n)
    return (
        Spec((*lead, m, m if full else k), x.dtype),
        Spec((*lead, k), dt.to_real(x.dtype)),
        Spec((*lead, n if full else k, n), x.dtype),
    )


def _svd_numpy(x: np.ndarray, full: bool) -> tuple[np.ndarray, ...]:
    return tuple(np.linalg.svd(x, full_matrices=full))


def _square_gaps(o, s: Node) -> Node:
    """sⱼ² - sᵢ², with 1 on the diagonal."""
    row, column = as_row(o, s), as_column(o, s)
    gap = o.mul(o.sub(row, column), o.add(row, column))
    return o.add(gap, eye_like(o, gap))


def _outside(o, u: Node, x: Node) -> Node:
    """x without its part in the columns of u: (I - u uᵀ) x"""
    return o.sub(x, o.matmul(u, o.matmul(adjoint(o, u), x)))


def _svd_vjp(o, gs, ys, x, full):
    """Townsend 2016, equations 1-3. Of full matrices only the first min(m, n) columns are determined; the rest gives no gradient."""
    k = ys[1].shape[-1]
    gu, gs_, gvt = part(o, gs[0], -1, 0, k), gs[1], part(o, gs[2], -2, 0, k)
    u, s, vt = part(o, ys[0], -1, 0, k), ys[1], part(o, ys[2], -2, 0, k)
    ut, v, gv, gap = adjoint(o, u), adjoint(o, vt), adjoint(o, gvt), _square_gaps(o, s)
    row, column = as_row(o, s), as_column(o, s)
    turn_u = o.mul(quotient(o, _skew(o, o.matmul(ut, gu)), gap), row)
    turn_v = o.mul(column, quotient(o, _skew(o, o.matmul(vt, gv)), gap))
    inner = o.add(o.add(turn_u, turn_v), diagonal_matrix(o, gs_))
    if x.dtype.is_complex:  # a column of U and the row of Vᴴ may turn together: what is left of their gradients
        inner = o.add(inner, diagonal_matrix(o, o.div(diagonal_of(o, _skew(o, o.matmul(ut, gu))), o.mul(s, 2.0))))
    out = product(o, u, inner, vt)
    m, n = x.shape[-2:]
    if m > k:
        out = o.add(out, o.matmul(quotient(o, _outside(o, u, gu), row), vt))
    if n > k:
        out = o.add(out, o.matmul(u, adjoint(o, quotient(o, _outside(o, v, gv), row))))
    return (out,)


def _skew(o, x: Node) -> Node:
    return o.sub(x, adjoint(o, x))


def _symmetric(o, x: Node) -> Node:
    return o.add(x, adjoint(o, x))


def _svd_jvp(o, ys, xs, dxs, full):
    (u, s, vt), dx = ys, dxs[0]
    if u.shape[-1] != vt.shape[-2]:
        raise GradientError(
            "linalg.svd(full_matrices=True) of shape {shape} has no forward derivative; write full_matrices=False",
            shape=xs[0].shape,
        )
    ut, v, gap = adjoint(o, u), adjoint(o, vt), _square_gaps(o, s)
    row, column = as_row(o, s), as_column(o, s)
    inner = product(o, ut, dx, v)
    du = o.matmul(u, _without_diagonal(o, quotient(o, _symmetric(o, o.mul(inner, row)), gap)))
    dv = o.matmul(v, _without_diagonal(o, quotient(o, _symmetric(o, o.mul(column, inner)), gap)))
    du = o.add(du, quotient(o, _outside(o, u, o.matmul(dx, v)), row))
    dv = o.add(dv, quotient(o, _outside(o, v, o.matmul(adjoint(o, dx), u)), row))
    if dx.dtype.is_complex:  # the turn of each pair of columns, half on either side
        turn = o.div(o.sub(diagonal_of(o, inner), real_part(o, diagonal_of(o, inner))), o.mul(s, 2.0))
        du, dv = o.add(du, o.mul(u, as_row(o, turn))), o.sub(dv, o.mul(v, as_row(o, turn)))
    return du, o.real(diagonal_of(o, inner)), adjoint(o, dv)


opaque(
    "svd", "U, the singular values in falling order, and Vᵀ with U diag(S) Vᵀ = A.", attrs=("full",), infer=_svd_infer,
    numpy=blamed("linalg.svd", _svd_numpy, ITERATION), vjp=_svd_vjp, jvp=_svd_jvp,
)  # fmt: skip


def _svdvals_vjp(o, g, y, x):
    u, _, vt = o.svd(x, full=False)
    return (o.matmul(o.mul(u, as_row(o, g)), vt),)


def _svdvals_jvp(o, y, xs, dxs):
    u, _, vt = o.svd(xs[0], full=False)
    return o.real(diagonal_of(o, product(o, adjoint(o, u), dxs[0], adjoint(o, vt))))


opaque(
    "svdvals", "The singular values in falling order.", infer=lambda x: _svd_infer(x, False)[1],
    numpy=blamed("linalg.svdvals", lambda x: np.linalg.svd(x, compute_uv=False), ITERATION), vjp=_svdvals_vjp, jvp=_svdvals_jvp,
)  # fmt: skip


# ---- rank and pseudo-inverse ------------------------------------------------------------------------------------------------------------


def _kept(s: np.ndarray, atol: np.ndarray, rtol: np.ndarray) -> np.ndarray:
    """Which singular values count: those above max(atol, rtol · the largest)."""
    largest = s.max(-1, keepdims=True, initial=0)
    return s > np.maximum(np.asarray(atol, s.dtype)[..., None], np.asarray(rtol, s.dtype)[..., None] * largest)


def _magnitudes(x: np.ndarray, hermitian: bool) -> np.ndarray:
    return np.abs(np.linalg.eigvalsh(x)) if hermitian else np.linalg.svd(x, compute_uv=False)


def _rank_infer(x: Spec, atol: Spec, rtol: Spec, hermitian: bool) -> Spec:
    (check_square if hermitian else check_matrix)("linalg.matrix_rank", x)
    return Spec(np.broadcast_shapes(x.shape[:-2], atol.shape, rtol.shape), dt.int64)


def _rank_numpy(x: np.ndarray, atol: np.ndarray, rtol: np.ndarray, hermitian: bool) -> np.ndarray:
    return _kept(_magnitudes(x, hermitian), atol, rtol).sum(-1)


opaque(
    "rank_above", "How many singular values lie above max(atol, rtol · the largest).", attrs=("hermitian",), infer=_rank_infer,
    numpy=blamed("linalg.matrix_rank", _rank_numpy, ITERATION),
)  # fmt: skip


def _pinv_infer(x: Spec, atol: Spec, rtol: Spec, hermitian: bool) -> Spec:
    (check_square if hermitian else check_matrix)("linalg.pinv", x)
    *lead, m, n = x.shape
    return Spec((*np.broadcast_shapes(tuple(lead), atol.shape, rtol.shape), n, m), x.dtype)


def _pinv_numpy(x: np.ndarray, atol: np.ndarray, rtol: np.ndarray, hermitian: bool) -> np.ndarray:
    if hermitian:
        w, u = np.linalg.eigh(x)
        vt, s = np.swapaxes(u, -1, -2).conj() * np.sign(w)[..., None], np.abs(w)
    else:
        u, s, vt = np.linalg.svd(x, full_matrices=False)
    kept = _kept(s, atol, rtol)
    inverse = np.where(kept, 1 / np.where(kept, s, 1), 0).astype(x.dtype)
    return np.swapaxes(vt, -1, -2).conj() @ (inverse[..., None] * np.swapaxes(u, -1, -2).conj())


def _pinv_vjp(o, g, y, x, atol, rtol, hermitian):
    """Golub & Pereyra 1973, theorem 4.3, for a rank that does not change."""
    xs, yt, gt = x, adjoint(o, y), adjoint(o, g)
    beside = product(o, o.sub(gt, product(o, xs, y, gt)), y, yt)
    above = product(o, yt, y, o.sub(gt, product(o, gt, y, xs)))
    total = o.sub(o.add(beside, above), product(o, yt, g, yt))
    lead = len(total.shape) - len(x.shape)
    return (o.sum(total, dims=tuple(range(lead)), keepdim=False) if lead else total, None, None)


def _pinv_jvp(o, y, xs, dxs, hermitian):
    x, dxt = xs[0], adjoint(o, dxs[0])
    yt = adjoint(o, y)
    beside = product(o, y, yt, o.sub(dxt, product(o, dxt, x, y)))
    above = product(o, o.sub(dxt, product(o, y, x, dxt)), yt, y)
    return o.sub(o.add(beside, above), product(o, y, dxs[0], y))


opaque(
    "pseudo_inverse", "The pseudo-inverse: singular values above max(atol, rtol · the largest) inverted, the others 0.", attrs=("hermitian",),
    infer=_pinv_infer, numpy=blamed("linalg.pinv", _pinv_numpy, ITERATION), vjp=_pinv_vjp, jvp=_pinv_jvp,
)  # fmt: skip


def _tolerance(o, x: Node, atol: Any, rtol: Any) -> tuple[Node, Node]:
    """PyTorch's defaults: no absolute tolerance, and max(m, n) · ε as the relative one unless atol > 0 was given alone."""
    default = max(x.shape[-2:]) * dt.limits(x.dtype).eps
    real = dt.to_real(x.dtype)
    if rtol is None:
        rtol = o.const(value=default, dtype=real)
        if atol is not None:
            rtol = o.where(o.gt(atol, 0.0), o.const(value=0.0, dtype=real), rtol)
    if atol is None:
        atol = o.const(value=0.0, dtype=real)
    return o.maximum(as_dtype(atol, real), 0.0), o.maximum(as_dtype(rtol, real), 0.0)


def _chosen(tolerances: tuple[Node, ...], given: str) -> tuple[Node | None, Node | None]:
    named = dict(zip(given.split(), tolerances))
    return named.get("atol"), named.get("rtol")


@composite(attrs=("given", "hermitian"))
def pinv(o, x: Node, *tolerances: Node, given: str, hermitian: bool):
    """The pseudo-inverse; `given` names the tolerances that come with it."""
    check_matrix("linalg.pinv", x)
    atol, rtol = _tolerance(o, x, *_chosen(tolerances, given))
    return o.pseudo_inverse(x, atol, rtol, hermitian=hermitian)


@composite(attrs=("given", "hermitian"))
def matrix_rank(o, x: Node, *tolerances: Node, given: str, hermitian: bool):
    """The number of singular values that count."""
    check_matrix("linalg.matrix_rank", x)
    atol, rtol = _tolerance(o, x, *_chosen(tolerances, given))
    return o.rank_above(x, atol, rtol, hermitian=hermitian)
