"""L2. Linear algebra: factorisations and matrix functions that LAPACK computes (through numpy.linalg), with both derivatives in `o`.

Every op works on the last two axes; leading axes are a batch. `T` in a formula is the transpose, `g` the gradient that comes in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.errors import DanluError, DTypeError, GradientError, ShapeError
from danlu.graph import OPAQUE, Node, Op, Spec
from danlu.messages import Phrase, both
from danlu.ops.complex_numbers import conjugate
from danlu.ops.planes import LIBRARY
from danlu.ops.table import composite, register


class LinAlgError(DanluError, RuntimeError):
    """A matrix without the property that an operation needs: singular, not positive-definite.

    >>> import danlu
    >>> issubclass(danlu.linalg.LinAlgError, RuntimeError)
    True
    """


# ---- checks ---------------------------------------------------------------------------------------------------------------


def check_matrix(name: str, x: Spec | Node) -> None:
    """At least two axes, and a dtype in which LAPACK computes."""
    if len(x.shape) < 2:
        raise ShapeError(
            "{name}: the input has shape {shape}, and a matrix has at least 2 axes; give it shape (*, m, n): x.unsqueeze(0)",
            name=name,
            shape=x.shape,
        )
    check_real(name, x)


def check_real(name: str, x: Spec | Node) -> None:
    """float32 or float64, or complex numbers of them."""
    if dt.to_real(x.dtype) not in (dt.float32, dt.float64):
        raise DTypeError(
            "{name}: the input has dtype {dtype}; linear algebra is computed in float32 or float64: write x.float()",
            name=name,
            dtype=x.dtype.name,
        )


def check_square(name: str, x: Spec | Node) -> None:
    """A batch of square matrices."""
    check_matrix(name, x)
    if x.shape[-1] != x.shape[-2]:
        raise ShapeError(
            "{name}: the matrices have shape {matrix} (input {shape}); they must be square, (*, n, n). Write "
            "danlu.linalg.lstsq or pinv for matrices that are not",
            name=name,
            matrix=x.shape[-2:],
            shape=x.shape,
        )


# ---- pieces that the derivatives are made of --------------------------------------------------------------------------------


def transposed(o, x: Node) -> Node:
    """The last two axes exchanged."""
    n = len(x.shape)
    return o.permute(x, dims=(*range(n - 2), n - 1, n - 2))


def adjoint(o, x: Node) -> Node:
    """The conjugate transpose; of a real matrix the transpose."""
    return transposed(o, conjugate(o, x))


def real_part(o, x: Node) -> Node:
    """The real part, in the dtype of x."""
    return o.cast(o.real(x), dtype=x.dtype) if x.dtype.is_complex else x


def part(o, x: Node, axis: int, start: int, stop: int) -> Node:
    """x[…, start:stop, …] on one axis (counted from the end)."""
    axis += len(x.shape)
    starts = tuple(start if k == axis else 0 for k in range(len(x.shape)))
    stops = tuple(stop if k == axis else n for k, n in enumerate(x.shape))
    return o.slice(x, starts=starts, stops=stops, steps=(1,) * len(x.shape))


def _diagonal_range(m: int, n: int, offset: int) -> tuple[int, int]:
    """Where a diagonal of an m × n matrix begins in row-major order, and its length."""
    start = offset if offset >= 0 else -offset * n
    return start, max(0, min(m + min(offset, 0), n - max(offset, 0)))


def diagonal_of(o, x: Node, offset: int = 0) -> Node:
    """(*, m, n) → (*, k): every (n+1)-th element of a matrix in row-major order."""
    *lead, m, n = x.shape
    start, length = _diagonal_range(m, n, offset)
    if not length:
        return (
            o.reshape(part(o, part(o, x, -1, 0, 0), -2, 0, min(m, 1)), shape=(*lead, 0))
            if m
            else part(o, o.reshape(x, shape=(*lead, 0)), -1, 0, 0)
        )
    flat = o.reshape(x, shape=(*lead, m * n))
    zeros, ones = (0,) * len(lead), (1,) * len(lead)
    return o.slice(flat, starts=(*zeros, start), stops=(*lead, start + (length - 1) * (n + 1) + 1), steps=(*ones, n + 1))


def diagonal_matrix(o, d: Node) -> Node:
    """(*, n) → (*, n, n) with d on the diagonal."""
    *lead, n = d.shape
    if not n:
        return o.reshape(d, shape=(*lead, 0, 0))
    spread = o.dilate(d, steps=(*(1,) * len(lead), n + 1))
    return o.reshape(spread, shape=(*lead, n, n))


def eye_like(o, x: Node) -> Node:
    """The identity, (n, n) in the dtype of x of shape (*, m, n)."""
    n = x.shape[-1]
    return diagonal_matrix(o, o.expand(o.const(value=1.0, dtype=x.dtype), shape=(n,)))


def _columns_minus_rows(o, m: int, n: int) -> Node:
    column = o.expand(o.iota(shape=(n,), dtype=dt.int64), shape=(m, n))
    row = o.expand(o.reshape(o.iota(shape=(m,), dtype=dt.int64), shape=(m, 1)), shape=(m, n))
    return o.sub(column, row)


def lower(o, x: Node, offset: int = 0) -> Node:
    """The lower triangle: zero where column - row > offset."""
    return o.where(o.le(_columns_minus_rows(o, *x.shape[-2:]), offset), x, o.like(0, x))


def upper(o, x: Node, offset: int = 0) -> Node:
    """The upper triangle: zero where column - row < offset."""
    return o.where(o.ge(_columns_minus_rows(o, *x.shape[-2:]), offset), x, o.like(0, x))


def _half_lower(o, x: Node) -> Node:
    """The lower triangle with half of the diagonal: Φ(X + Xᵀ)'s inverse for symmetric matrices."""
    return o.sub(lower(o, x), o.mul(0.5, diagonal_matrix(o, diagonal_of(o, x))))


def product(o, *factors: Node) -> Node:
    """Matrices multiplied from left to right."""
    out = factors[0]
    for f in factors[1:]:
        out = o.matmul(out, f)
    return out


def as_column(o, x: Node) -> Node:
    """(*, n) → (*, n, 1)"""
    return o.reshape(x, shape=(*x.shape, 1))


def as_row(o, x: Node) -> Node:
    """(*, n) → (*, 1, n)"""
    return o.reshape(x, shape=(*x.shape[:-1], 1, x.shape[-1]))


def _plus(o, a: Node | None, b: Node | None) -> Any:
    return b if a is None else a if b is None else o.add(a, b)


_COMPLAINTS = {
    "singular matrix": Phrase("singular matrix"),
    "matrix is not positive definite": Phrase("matrix is not positive definite"),
    "eigenvalues did not converge": Phrase("eigenvalues did not converge"),
    "svd did not converge": Phrase("svd did not converge"),
}


def blamed(name: str, function: Callable[..., Any], advice: Phrase | str) -> Callable[..., Any]:
    """The function with LAPACK's complaint in words that say what to do."""

    def call(*arrays: np.ndarray, **attrs: Any) -> Any:
        try:
            return function(*arrays, **attrs)
        except np.linalg.LinAlgError as error:
            shapes = both(str(a.shape) for a in arrays)
            raise LinAlgError(
                "{name} of shape {shapes}: {problem}. {advice}",
                name=name,
                shapes=shapes,
                problem=_COMPLAINTS.get(str(error).lower(), str(error).lower()),
                advice=advice,
            ) from None

    return call


_SINGULAR = Phrase("No inverse exists; write danlu.linalg.lstsq or pinv, or add a little to the diagonal")
ITERATION = Phrase("The input holds NaN or infinity, or the iteration did not converge; check it with x.isfinite().all()")


def opaque(name: str, doc: str, **fields: Any) -> Op:
    """Registers a library call, which may refuse its data. It takes complex numbers too, and its rules conjugate where that matters
    (unless `wirtinger` is False: then it is a holomorphic function, and they do not)."""
    op = register(Op(name, OPAQUE, doc, **{"planes": LIBRARY, "wirtinger": True, **fields}))
    op.blamed = True
    return op


def _square_spec(name: str) -> Callable[..., Spec]:
    def infer(x: Spec, **attrs: Any) -> Spec:
        check_square(name, x)
        return x

    return infer


def _quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arrays: np.ndarray, **attrs: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*arrays, **attrs)

    return call


# ---- inverse and equations ----------------------------------------------------------------------------------------------------


def _inv_vjp(o, g, y, x):
    yt = adjoint(o, y)
    return (o.neg(product(o, yt, g, yt)),)


opaque(
    "inv", "The inverse of square matrices.", infer=_square_spec("linalg.inv"), numpy=blamed("linalg.inv", np.linalg.inv, _SINGULAR), vjp=_inv_vjp,
    jvp=lambda o, y, xs, dxs: o.neg(product(o, y, dxs[0], y)),
)  # fmt: skip


def _solve_infer(a: Spec, b: Spec) -> Spec:
    check_square("linalg.solve", a)
    return b


def _solve_vjp(o, g, y, a, b):
    gb = o.solve_matrices(adjoint(o, a), g)
    return o.neg(o.matmul(gb, adjoint(o, y))), gb


def _solve_jvp(o, y, xs, dxs):
    db = _plus(o, dxs[1], None if dxs[0] is None else o.neg(o.matmul(dxs[0], y)))
    return o.solve_matrices(xs[0], db)


opaque(
    "solve_matrices", "X with A X = B for matrices of one batch shape.", infer=_solve_infer,
    numpy=blamed("linalg.solve", np.linalg.solve, _SINGULAR), vjp=_solve_vjp, jvp=_solve_jvp,
)  # fmt: skip


def batched(o, name: str, a: Node, b: Node) -> tuple[Node, Node]:
    """Two stacks of matrices with their leading axes broadcast."""
    try:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(
            "{name}: shapes {left} and {right}: the batch axes {left_batch} and {right_batch} cannot be broadcast together; "
            "they must be equal or 1",
            name=name,
            left=a.shape,
            right=b.shape,
            left_batch=a.shape[:-2],
            right_batch=b.shape[:-2],
        ) from None
    return o.expand(a, shape=(*lead, *a.shape[-2:])), o.expand(b, shape=(*lead, *b.shape[-2:]))


def _check_equation(name: str, a: Node, b: Node, left: bool) -> None:
    check_square(name, a)
    check_matrix(name, b)
    if a.dtype is not b.dtype:
        raise DTypeError(
            "{name}: A has dtype {left_dtype} and B {right_dtype}; expected one dtype: write B.to(danlu.{left_dtype})",
            name=name,
            left_dtype=a.dtype.name,
            right_dtype=b.dtype.name,
        )
    if a.shape[-1] != b.shape[-2 if left else -1]:
        raise ShapeError(
            "{name}: A has shape {left} and B {right}: the {rows} of B must be as many as A has, {size}",
            name=name,
            left=a.shape,
            right=b.shape,
            rows=Phrase("rows") if left else Phrase("columns"),
            size=a.shape[-1],
        )


@composite(attrs=("left",))
def solve(o, a: Node, b: Node, left: bool):
    """X with A X = B (left), or X A = B; B may be a vector, or a stack of vectors with A's batch shape."""
    vector = len(b.shape) == 1 or (len(a.shape) - 1 == len(b.shape) and b.shape == a.shape[:-1])
    if vector:
        b = as_column(o, b) if left else as_row(o, b)
    _check_equation("linalg.solve", a, b, left)
    a, b = batched(o, "linalg.solve", a, b)
    x = o.solve_matrices(a, b) if left else transposed(o, o.solve_matrices(transposed(o, a), transposed(o, b)))
    return o.reshape(x, shape=x.shape[:-1] if left else (*x.shape[:-2], x.shape[-1])) if vector else x


@composite(attrs=("upper_", "left", "unitriangular"))
def solve_triangular(o, a: Node, b: Node, upper_: bool, left: bool, unitriangular: bool):
    """X with A X = B for a triangular A, of which only that triangle is read (and not the diagonal, if it is all ones)."""
    _check_equation("linalg.solve_triangular", a, b, left)
    a, b = batched(o, "linalg.solve_triangular", a, b)
    strict = 1 if unitriangular else 0
    a = upper(o, a, strict) if upper_ else lower(o, a, -strict)
    if unitriangular:
        a = o.add(a, eye_like(o, a))
    return o.solve(a, b, left=left)


# ---- determinants -----------------------------------------------------------------------------------------------------------------


def _scalar_infer(name: str) -> Callable[..., Spec]:
    def infer(x: Spec) -> Spec:
        check_square(name, x)
        return Spec(x.shape[:-2], x.dtype)

    return infer


def _stretched(o, g: Node, x: Node) -> Node:
    """One number a matrix, for every element of it."""
    return o.expand(o.reshape(g, shape=(*g.shape, 1, 1)), shape=x.shape)


opaque(
    "det", "The determinant.", infer=_scalar_infer("linalg.det"), numpy=np.linalg.det,
    vjp=lambda o, g, y, x: (o.mul(_stretched(o, g, x), conjugate(o, o.cofactor(x))),),
    jvp=lambda o, y, xs, dxs: _sum_matrix(o, o.mul(o.cofactor(xs[0]), dxs[0])),
)  # fmt: skip


def _sum_matrix(o, x: Node) -> Node:
    n = len(x.shape)
    return o.sum(x, dims=(n - 2, n - 1), keepdim=False)


def _cofactor_numpy(x: np.ndarray) -> np.ndarray:
    """det(A) A⁻ᵀ, defined for singular matrices too: from conj(A) = U S Vᴴ it is conj(det(U) det(Vᴴ)) U diag(Π_{j≠i} sⱼ) Vᴴ."""
    if not x.shape[-1]:
        return x
    u, s, vt = np.linalg.svd(x.conj())
    others = np.where(np.eye(s.shape[-1], dtype=bool), np.ones((), s.dtype), s[..., None, :]).prod(-1)
    sign = np.conj(np.linalg.det(u) * np.linalg.det(vt))
    sign = sign / np.abs(sign)
    return (u * (others * sign[..., None])[..., None, :]) @ vt


def _cofactor_vjp(o, g, y, x):
    yt = transposed(o, o.inv(x))
    return (o.sub(o.mul(_stretched(o, _sum_matrix(o, o.mul(g, y)), x), yt), product(o, y, transposed(o, g), yt)),)


def _cofactor_jvp(o, y, xs, dxs):
    inverse = o.inv(xs[0])
    trace = _sum_matrix(o, o.mul(transposed(o, inverse), dxs[0]))
    return o.sub(o.mul(_stretched(o, trace, y), y), product(o, transposed(o, o.matmul(dxs[0], inverse)), y))


opaque(
    "cofactor", "The matrix of cofactors, the gradient of the determinant; its own derivative needs an inverse.", infer=_square_spec("linalg.det"),
    numpy=blamed("linalg.det", _cofactor_numpy, ITERATION), vjp=_cofactor_vjp, jvp=_cofactor_jvp, wirtinger=False,
)  # fmt: skip


def _slogdet_infer(x: Spec) -> tuple[Spec, Spec]:
    spec = _scalar_infer("linalg.slogdet")(x)
    return spec, Spec(spec.shape, dt.to_real(spec.dtype))


def _slogdet_vjp(o, g, y, x):
    """A⁻ᴴ · (g of the logarithm); the sign of a complex determinant turns: its gradient adds i·im(g · conj(sign))."""
    scale = g[1]
    if x.dtype.is_complex:
        scale = o.complex(scale, o.imag(o.mul(g[0], o.conj(y[0]))))
    return (o.mul(_stretched(o, scale, x), adjoint(o, o.inv(x))),)


def _slogdet_jvp(o, y, xs, dxs):
    trace = _sum_matrix(o, o.mul(transposed(o, o.inv(xs[0])), dxs[0]))
    if not trace.dtype.is_complex:
        return None, trace
    turn = o.imag(trace)
    return o.mul(y[0], o.complex(o.like(0, turn), turn)), o.real(trace)


opaque(
    "slogdet", "The sign of the determinant and the logarithm of its size.", infer=_slogdet_infer,
    numpy=_quiet(lambda x: tuple(np.linalg.slogdet(x))),
    vjp=_slogdet_vjp, jvp=_slogdet_jvp,
)  # fmt: skip


@composite
def logdet(o, x: Node):
    """ln det A; NaN where the determinant is negative, -∞ where it is 0."""
    sign, size = o.slogdet(x)
    if x.dtype.is_complex:
        return o.add(o.log(sign), size)
    return o.where(o.lt(sign, 0.0), float("nan"), size)


# ---- cholesky -----------------------------------------------------------------------------------------------------------------------


def _cholesky_vjp(o, g, y, x):
    """½ (S + Sᵀ), S = L⁻ᵀ Φ(Lᵀ g) L⁻¹ (Murray 2016, equation 9)."""
    inner = _half_lower(o, o.matmul(adjoint(o, y), g))
    left = o.solve_matrices(adjoint(o, y), inner)
    s = adjoint(o, o.solve_matrices(adjoint(o, y), adjoint(o, left)))
    return (o.mul(0.5, o.add(s, adjoint(o, s))),)


def _cholesky_jvp(o, y, xs, dxs):
    """dL = L Φ(L⁻¹ dA L⁻ᵀ) (Murray 2016, equation 8), dA read as symmetric."""
    dx = o.mul(0.5, o.add(dxs[0], adjoint(o, dxs[0])))
    inner = o.solve_matrices(y, adjoint(o, o.solve_matrices(y, dx)))
    return o.matmul(y, _half_lower(o, inner))


opaque(
    "cholesky", "The lower L with L Lᵀ = A, for symmetric positive-definite A; reads the lower triangle.", infer=_square_spec("linalg.cholesky"),
    numpy=blamed("linalg.cholesky", np.linalg.cholesky,
                  Phrase("All eigenvalues of a symmetric A must be > 0: check it with danlu.linalg.eigvalsh(A), or add a little to the diagonal")),
    vjp=_cholesky_vjp, jvp=_cholesky_jvp,
)  # fmt: skip


# ---- qr -----------------------------------------------------------------------------------------------------------------------------


def _qr_infer(x: Spec, complete: bool) -> tuple[Spec, Spec]:
    check_matrix("linalg.qr", x)
    *lead, m, n = x.shape
    k = m if complete else min(m, n)
    return Spec((*lead, m, k), x.dtype), Spec((*lead, k, n), x.dtype)


def _qr_numpy(x: np.ndarray, complete: bool) -> tuple[np.ndarray, np.ndarray]:
    if x.size == 0:
        *lead, m, n = x.shape
        k = m if complete else min(m, n)
        return np.broadcast_to(np.eye(m, k, dtype=x.dtype), (*lead, m, k)), np.zeros((*lead, k, n), x.dtype)
    q, r = np.linalg.qr(x, "complete" if complete else "reduced")
    return q, r


def _no_complete(x: Node) -> None:
    if x.shape[-2] > x.shape[-1]:
        raise GradientError(
            "linalg.qr(mode='complete') of shape {shape} has no derivative: the last columns of Q are not determined. Write "
            "mode='reduced'",
            shape=x.shape,
        )


def _qr_vjp(o, gs, ys, x, complete):
    """(gQ + Q C) R⁻ᵀ, C = the symmetric matrix with the upper triangle of gR Rᵀ - ... (Walter, Lehmann & Lamour 2012), m ≥ n."""
    (gq, gr), (q, r) = gs, ys
    _no_complete(x) if complete else None
    inner = o.sub(o.matmul(r, adjoint(o, gr)), o.matmul(adjoint(o, gq), q))
    below = lower(o, inner, -1)
    symmetric = o.add(o.add(below, adjoint(o, below)), diagonal_matrix(o, real_part(o, diagonal_of(o, inner))))
    return (adjoint(o, o.solve_matrices(r, adjoint(o, o.add(gq, o.matmul(q, symmetric))))),)


def _qr_jvp(o, ys, xs, dxs, complete):
    """Ω = QᵀdQ is antisymmetric and dR R⁻¹ is upper: the lower triangle of Qᵀ dA R⁻¹ gives Ω."""
    (q, r) = ys
    _no_complete(xs[0]) if complete else None
    scaled = adjoint(o, o.solve_matrices(adjoint(o, r), adjoint(o, dxs[0])))
    both = o.matmul(adjoint(o, q), scaled)
    below = lower(o, both, -1)
    rest = o.sub(both, o.sub(below, adjoint(o, below)))
    if both.dtype.is_complex:  # the diagonal of R is real: what is imaginary belongs to Ω
        rest = o.sub(rest, diagonal_matrix(o, o.sub(diagonal_of(o, both), real_part(o, diagonal_of(o, both)))))
    return o.sub(scaled, o.matmul(q, rest)), o.matmul(rest, r)


opaque("tall_qr", "Q with orthonormal columns and upper R with Q R = A; at least as many rows as columns for a derivative.", attrs=("complete",),
        infer=_qr_infer, numpy=_qr_numpy, vjp=_qr_vjp, jvp=_qr_jvp)  # fmt: skip


@composite(attrs=("complete",))
def qr(o, x: Node, complete: bool):
    """Q R = A. A wide A = [X | Y] is the factorisation of X: R = [U | Qᵀ Y]."""
    check_matrix("linalg.qr", x)
    m, n = x.shape[-2:]
    if m >= n:
        return o.tall_qr(x, complete=complete)
    q, r = o.tall_qr(part(o, x, -1, 0, m), complete=False)
    return q, o.cat(r, o.matmul(adjoint(o, q), part(o, x, -1, m, n)), dim=len(x.shape) - 1)


# ---- functions of a matrix ----------------------------------------------------------------------------------------------------------------

# Higham 2005, table 2.3: the coefficients of the [13/13] Padé approximant of exp, and the norm up to which it is exact in float64.
_PADE = (64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600, 670442572800,
         33522128640, 1323241920, 40840800, 960960, 16380, 182, 1)  # fmt: skip
_PADE_NORM = 5.371920351148152


def _matrix_exp_numpy(x: np.ndarray) -> np.ndarray:
    """Scaling and squaring (Higham 2005, algorithm 2.3), in float64."""
    if x.size == 0:
        return x
    norm = np.abs(x).sum(-2).max()
    if not np.isfinite(norm):
        return np.full_like(x, np.nan)
    squarings = max(0, int(np.ceil(np.log2(norm / _PADE_NORM)))) if norm else 0
    a = x.astype(np.result_type(x, np.float64)) / 2.0**squarings
    identity = np.broadcast_to(np.eye(x.shape[-1]), x.shape)
    square = a @ a
    powers = [identity, square, square @ square, square @ square @ square]
    even, odd = (sum(_PADE[2 * k + first] * powers[k] for k in range(4)) for first in (0, 1))
    high_even, high_odd = (sum(_PADE[2 * k + first + 6] * powers[k] for k in range(1, 4)) for first in (0, 1))
    u, v = a @ (odd + powers[3] @ high_odd), even + powers[3] @ high_even
    out = np.linalg.solve(v - u, v + u)
    for _ in range(squarings):
        out = out @ out
    return out.astype(x.dtype)


def _frechet(o, x: Node, dx: Node) -> Node:
    """The derivative of exp at x towards dx: the upper right block of exp([[x, dx], [0, x]]) (Higham 2008, equation 3.16)."""
    n, axis = x.shape[-1], len(x.shape) - 1
    top = o.cat(x, dx, dim=axis)
    bottom = o.cat(o.like(0, x), x, dim=axis)
    return part(o, part(o, o.matrix_exp(o.cat(top, bottom, dim=axis - 1)), -1, n, 2 * n), -2, 0, n)


opaque(
    "matrix_exp", "e to the power of a matrix: Σ Aᵏ / k!", infer=_square_spec("linalg.matrix_exp"), numpy=_matrix_exp_numpy,
    vjp=lambda o, g, y, x: (_frechet(o, adjoint(o, x), g),), jvp=lambda o, y, xs, dxs: _frechet(o, xs[0], dxs[0]),
)  # fmt: skip


@composite(attrs=("n",))
def matrix_power(o, x: Node, n: int):
    """A · A · … · A by repeated squaring; the inverse for n < 0."""
    if n < 0:
        x, n = o.inv(x), -n
    if len(x.shape) < 2 or x.shape[-1] != x.shape[-2]:
        check_square("linalg.matrix_power", x)
    if n == 0:
        return o.expand(eye_like(o, x), shape=x.shape)
    out = None
    while True:
        if n & 1:
            out = x if out is None else o.matmul(out, x)
        n >>= 1
        if not n:
            return out
        x = o.matmul(x, x)


@composite
def householder_product(o, x: Node, tau: Node):
    """(I - τ₁ v₁ v₁ᵀ) … (I - τₖ vₖ vₖᵀ), the first n columns."""
    m, n = x.shape[-2:]
    *lead, k = tau.shape
    v = o.add(lower(o, x, -1), _tall_eye(o, x))
    out = o.expand(_tall_eye(o, x), shape=(*lead, m, n))
    for i in reversed(range(k)):
        column = part(o, v, -1, i, i + 1)
        scale = o.reshape(part(o, tau, -1, i, i + 1), shape=(*lead, 1, 1))
        out = o.sub(out, o.mul(o.mul(scale, column), o.matmul(adjoint(o, column), out)))
    return out


def _tall_eye(o, x: Node) -> Node:
    """The first n columns of the identity of m rows."""
    return o.cast(o.eq(_columns_minus_rows(o, *x.shape[-2:]), 0), dtype=x.dtype)
