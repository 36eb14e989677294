"""L6. danlu.linalg: linear algebra under PyTorch's names. The work is LAPACK's (through NumPy); every function has derivatives in both directions
unless its text says otherwise. Functions work on the last two axes; leading axes are a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from danlu.dtype import DType, to_real
from danlu.errors import ShapeError
from danlu.guidance import unknown
from danlu.ops.linear_algebra import LinAlgError
from danlu.ops.movement import normalize_axis
from danlu.tensor import Tensor, apply
from danlu.tensor.creation import cat, zeros
from danlu.tensor.factor import cholesky_ex, inv_ex, lu, lu_factor, lu_factor_ex, lu_solve, solve_ex
from danlu.tensor.products import QR, SlogDet, floating, multi_dot
from danlu.tensor.products import matrix_norm as _matrix_norm
from danlu.tensor.products import vector_norm as _vector_norm


class SVD(NamedTuple):
    """U, singular values, Vᵀ.

    A = U diag(S) Vh

    Shapes: U (*, m, k), S (*, k), Vh (*, k, n).

    >>> import danlu
    >>> danlu.linalg.svd(danlu.eye(2)).S
    tensor([1., 1.])
    """

    U: Tensor
    S: Tensor
    Vh: Tensor


class Eigh(NamedTuple):
    """Eigenvalues in rising order, and eigenvectors as columns.

    A V = V diag(w)

    Shapes: eigenvalues w (*, n), eigenvectors V (*, n, n).

    >>> import danlu
    >>> danlu.linalg.eigh(danlu.eye(2)).eigenvalues
    tensor([1., 1.])
    """

    eigenvalues: Tensor
    eigenvectors: Tensor


class Eig(NamedTuple):
    """Eigenvalues, and eigenvectors as columns, both complex.

    A V = V diag(w)

    Shapes: eigenvalues w (*, n), eigenvectors V (*, n, n).

    >>> import danlu
    >>> danlu.linalg.eig(danlu.eye(2)).eigenvalues
    tensor([1.+0.j, 1.+0.j])
    """

    eigenvalues: Tensor
    eigenvectors: Tensor


class LeastSquares(NamedTuple):
    """What `lstsq` returns.

    Shapes: solution (*, n, k), residuals (*, k), rank (*), singular_values (*, min(m, n)); what is not computed is empty.

    >>> import danlu
    >>> danlu.linalg.lstsq(danlu.eye(2), danlu.ones(2, 1)).rank
    tensor(2)
    """

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


# ---- norms ------------------------------------------------------------------------------------------------------------------------


def vector_norm(x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: DType | None = None) -> Tensor:
    """(Σ |x|ᵖ)^(1/p) over all axes or those of `dim`; max |x| for p = inf, min |x| for -inf, the number of non-zeros for 0.

    The gradient at a zero vector is 0.

    Shapes: (*) → (), or without the axes of dim; keepdim leaves them with size 1.

    >>> import danlu
    >>> danlu.linalg.vector_norm(danlu.tensor([3.0, -4.0]), 1)
    tensor(7.)
    """
    return _vector_norm("linalg.vector_norm", x, ord, dim, keepdim, dtype)


def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: tuple[int, int] = (-2, -1), keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """A norm of matrices: "fro" √Σ a², "nuc" the sum of the singular values, 2 the largest and -2 the smallest of them,
    1 and -1 the largest and smallest column sum of |a|, inf and -inf the same of the rows.

    Shapes: (*, m, n) → (*); keepdim leaves both axes with size 1.

    Raises ShapeError for another order, or for less than two axes.

    >>> import danlu
    >>> danlu.linalg.matrix_norm(danlu.tensor([[1.0, -2.0], [3.0, 4.0]]), float("inf"))
    tensor(7.)
    """
    return _matrix_norm("linalg.matrix_norm", A, ord, dim, keepdim, dtype)


def norm(A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: DType | None = None) -> Tensor:
    """The vector norm over one axis, the matrix norm over two; without an order the 2-norm of all elements.

    ‖x‖₂ = √Σ |x|²

    Shapes: (*) → (), or without the axes of dim; keepdim leaves them with size 1.

    Raises ShapeError where an order is given for a tensor of more than two axes and no `dim`.

    >>> import danlu
    >>> danlu.linalg.norm(danlu.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor(5.)
    """
    if ord is None:
        return _vector_norm("linalg.norm", A, 2, dim, keepdim, dtype)
    if dim is None:
        if A.ndim not in (1, 2):
            raise ShapeError(
                "linalg.norm: order {order!r} of shape {shape}: say with dim= which axis (vector) or axes (matrix) are meant",
                order=ord,
                shape=tuple(A.shape),
            )
        dim = tuple(range(A.ndim))
    axes = (dim,) if isinstance(dim, int) else tuple(dim)
    if len(axes) == 2:
        return _matrix_norm("linalg.norm", A, ord, axes, keepdim, dtype)
    if len(axes) != 1:
        raise ShapeError(
            "linalg.norm: dim={dim} names {count} axes; a norm of order {order!r} is taken over 1 (vector) or 2 (matrix)",
            dim=dim,
            count=len(axes),
            order=ord,
        )
    return _vector_norm("linalg.norm", A, ord, axes, keepdim, dtype)


def cond(A: Tensor, p: Any = None) -> Tensor:
    """‖A‖ · ‖A⁻¹‖ in the norm p of `matrix_norm`; for 2 (as a rule) the largest singular value over the smallest.

    Shapes: (*, m, n) → (*).

    >>> import danlu
    >>> danlu.linalg.cond(danlu.tensor([[1.0, 0.0], [0.0, 4.0]]))
    tensor(4.)
    """
    if p in (None, 2, -2):
        s = svdvals(A)
        large, small = s.narrow(-1, 0, 1).squeeze(-1), s.narrow(-1, s.shape[-1] - 1, 1).squeeze(-1)
        return small / large if p == -2 else large / small
    return matrix_norm(A, p) * matrix_norm(inv(A), p)


# ---- equations --------------------------------------------------------------------------------------------------------------------


def inv(A: Tensor) -> Tensor:
    """A⁻¹ of square matrices.

    Shapes: (*, n, n) → (*, n, n).

    Raises ShapeError where they are not square, LinAlgError (when the value is computed) where one is singular.

    >>> import danlu
    >>> danlu.linalg.inv(danlu.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return apply("inv", A)


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X with A X = B, or with X A = B for left=False.

    Shapes: A (*, n, n), B (*, n, k) or (*, n), leading axes broadcast → X of the shape of B.

    Raises ShapeError where the shapes do not fit, LinAlgError (when the value is computed) where A is singular.

    >>> import danlu
    >>> danlu.linalg.solve(danlu.tensor([[2.0, 0.0], [0.0, 4.0]]), danlu.tensor([2.0, 2.0]))
    tensor([1.0000, 0.5000])
    """
    return apply("solve", A, B, left=bool(left))


def solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """X with A X = B (or X A = B) for a triangular A; the other triangle is not read.

    Shapes: A (*, n, n), B (*, n, k) → (*, n, k), leading axes broadcast.

    Raises ShapeError where the shapes do not fit, LinAlgError (when the value is computed) where a diagonal element is 0.

    >>> import danlu
    >>> danlu.linalg.solve_triangular(danlu.tensor([[1.0, 9.0], [1.0, 2.0]]), danlu.tensor([[1.0], [3.0]]), upper=False)
    tensor([[1.],
            [1.]])
    """
    return apply("solve_triangular", A, B, upper_=bool(upper), left=bool(left), unitriangular=bool(unitriangular))


def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> LeastSquares:
    """The X of the least ‖A X - B‖ (of several, the shortest), by singular values.

    rcond: singular values below rcond · the largest count as 0 (max(m, n) · ε). As in PyTorch residuals
    are empty for driver "gelsy" (the default), for m ≤ n and for less than full rank; the rank is empty for "gels", the singular values
    for "gels" and "gelsy".

    Shapes: A (*, m, n), B (*, m, k) or (*, m) → solution (*, n, k), residuals ‖A X - B‖² (*, k), rank (*), singular values
    (*, min(m, n)).

    Raises ShapeError where the shapes do not fit.

    >>> import danlu
    >>> danlu.linalg.lstsq(danlu.tensor([[1.0], [1.0]]), danlu.tensor([[1.0], [3.0]])).solution
    tensor([[2.0000]])
    """
    driver = driver or "gelsy"
    if driver not in ("gels", "gelsy", "gelsd", "gelss"):
        raise ShapeError(
            "linalg.lstsq: driver {driver!r} is unknown; expected 'gels', 'gelsy', 'gelsd' or 'gelss'", driver=driver
        )
    if A.ndim < 2 or A.shape[-2] != B.shape[-1 if B.ndim == A.ndim - 1 else -2]:
        raise ShapeError(
            "linalg.lstsq: A has shape {a_shape} and B {b_shape}; expected (*, m, n) and (*, m, k) or (*, m)",
            a_shape=tuple(A.shape),
            b_shape=tuple(B.shape),
        )
    vector = B.ndim == A.ndim - 1
    right = B.unsqueeze(-1) if vector else B
    solution = pinv(A, rtol=rcond) @ right
    rank = matrix_rank(A, rtol=rcond)
    residuals = _residuals(A, right, solution, rank, driver)
    empty = zeros(0, dtype=A.dtype)
    return LeastSquares(
        solution.squeeze(-1) if vector else solution,
        residuals.squeeze(-1) if vector and residuals.ndim else residuals,
        zeros(0, dtype=rank.dtype) if driver == "gels" else rank,
        svdvals(A) if driver in ("gelsd", "gelss") else empty,
    )


def _residuals(A: Tensor, B: Tensor, X: Tensor, rank: Tensor, driver: str) -> Tensor:
    m, n = A.shape[-2:]
    if m <= n or driver == "gelsy" or (driver != "gels" and not (rank == n).all()):
        return zeros(0, dtype=to_real(A.dtype))
    return ((A @ X - B).abs() ** 2).sum(-2)


def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The X with tensordot(A, X, ind) the identity: the first `ind` axes of A are the rows.

    Σ_k A[i, k] · X[k, j] = [i = j], i, j and k index tuples

    Shapes: (n₁ … n_ind, m₁ …) with equal products → (m₁ …, n₁ … n_ind).

    >>> import danlu
    >>> danlu.linalg.tensorinv(danlu.eye(4).reshape(2, 2, 4), 2).shape
    danlu.Size([4, 2, 2])
    """
    rows, columns = A.shape[:ind], A.shape[ind:]
    if ind <= 0 or _count(rows) != _count(columns):
        raise ShapeError(
            "linalg.tensorinv: ind={ind} cuts shape {shape} into {rows} and {columns}; ind must be positive and both must "
            "have as many elements",
            ind=ind,
            shape=tuple(A.shape),
            rows=tuple(rows),
            columns=tuple(columns),
        )
    return inv(A.reshape(_count(rows), _count(columns))).reshape(*columns, *rows)


def _count(shape: Sequence[int]) -> int:
    out = 1
    for n in shape:
        out *= n
    return out


def tensorsolve(A: Tensor, B: Tensor, dims: Sequence[int] | None = None) -> Tensor:
    """The X with tensordot(A, X, X.ndim) = B; `dims` are moved to the end of A first.

    Shapes: A (n₁ …, m₁ …), B (n₁ …) with equal products → (m₁ …).

    >>> import danlu
    >>> danlu.linalg.tensorsolve(danlu.eye(4).reshape(2, 2, 4), danlu.ones(2, 2))
    tensor([1., 1., 1., 1.])
    """
    if dims is not None:
        moved = [normalize_axis("linalg.tensorsolve", d, A.ndim) for d in dims]
        A = A.permute(*(k for k in range(A.ndim) if k not in moved), *moved)
    shape = A.shape[B.ndim :]
    if _count(shape) != B.numel() or B.numel() ** 2 != A.numel():
        raise ShapeError(
            "linalg.tensorsolve: A has shape {a_shape} and B {b_shape}; A must have B.numel()² elements, B's axes first",
            a_shape=tuple(A.shape),
            b_shape=tuple(B.shape),
        )
    return solve(A.reshape(B.numel(), B.numel()), B.reshape(-1)).reshape(*shape)


# ---- determinants and factorisations ------------------------------------------------------------------------------------------------


def det(A: Tensor) -> Tensor:
    """The determinant of square matrices; its gradient, the cofactors, is right for singular ones too.

    det A = Σ over permutations σ of sign(σ) Π A[i, σ(i)]

    Shapes: (*, n, n) → (*).

    >>> import danlu
    >>> danlu.linalg.det(danlu.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor(8.)
    """
    return apply("det", A)


def slogdet(A: Tensor) -> SlogDet:
    """The sign of the determinant and ln |det A|.

    det A = sign · exp(logabsdet)

    Shapes: (*, n, n) → sign (*) and logabsdet (*).

    >>> import danlu
    >>> danlu.linalg.slogdet(danlu.eye(2) * -1)
    SlogDet(sign=tensor(1.), logabsdet=tensor(0.))
    """
    return SlogDet(*apply("slogdet", A))


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """The lower L with L Lᵀ = A for symmetric positive-definite A (one triangle is read), or its transpose.

    Shapes: (*, n, n) → (*, n, n).

    Raises LinAlgError (when the value is computed) where A is not positive-definite.

    >>> import danlu
    >>> danlu.linalg.cholesky(danlu.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    return A.cholesky(upper)


def qr(A: Tensor, mode: str = "reduced") -> QR:
    """Q R = A with orthonormal columns in Q and an upper triangular R; mode "complete" gives a square Q, mode "r" no Q.

    A derivative of "complete" exists for m ≤ n alone.

    Shapes: A (*, m, n) → Q (*, m, k), R (*, k, n), k = min(m, n); "complete": k = m.

    Raises ShapeError for an unknown mode.

    >>> import danlu
    >>> danlu.linalg.qr(danlu.eye(2) * 2).R.abs()
    tensor([[2., 0.],
            [0., 2.]])
    """
    if mode not in ("reduced", "complete", "r"):
        raise ShapeError("linalg.qr: mode {mode!r} is unknown; expected 'reduced', 'complete' or 'r'", mode=mode)
    q, r = apply("qr", A, complete=mode == "complete")
    return QR(zeros(0, dtype=A.dtype) if mode == "r" else q, r)


def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> SVD:
    """U diag(S) Vᵀ = A, S in falling order.

    Shapes: A (*, m, n) → U (*, m, k), S (*, k), Vh (*, k, n), k = min(m, n); square U and Vh for full_matrices.

    The gradient is that of U and V up to their signs: it exists where the singular values are distinct.

    >>> import danlu
    >>> danlu.linalg.svd(danlu.tensor([[3.0, 0.0], [0.0, 4.0]])).S
    tensor([4., 3.])
    """
    return SVD(*apply("svd", A, full=bool(full_matrices)))


def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values in falling order.

    A = U diag(y) Vᵀ

    Shapes: (*, m, n) → (*, min(m, n)).

    >>> import danlu
    >>> danlu.linalg.svdvals(danlu.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor([4., 3.])
    """
    return apply("svdvals", A)


def _is_lower(name: str, uplo: str) -> bool:
    if uplo.upper() not in ("L", "U"):
        raise ShapeError(
            "{name}: UPLO={uplo!r}; expected 'L' (read the lower triangle) or 'U' (the upper one)", name=name, uplo=uplo
        )
    return uplo.upper() == "L"


def eig(A: Tensor) -> Eig:
    """Eigenvalues w and eigenvectors V with A V = V diag(w), of any square matrices; always complex.

    Shapes: A (*, n, n), real or complex → eigenvalues (*, n), in no order, eigenvectors (*, n, n), columns of length 1.

    A gradient exists where the eigenvalues are distinct, for what does not depend on the phases of the columns.

    Raises ShapeError where A is not square.

    >>> import danlu
    >>> danlu.linalg.eig(danlu.tensor([[0.0, 1.0], [-1.0, 0.0]])).eigenvalues.abs()
    tensor([1., 1.])
    """
    return Eig(*apply("eig", A))


def eigvals(A: Tensor) -> Tensor:
    """The eigenvalues of any square matrices, complex, in no order.

    A v = w v for a vector v ≠ 0

    Shapes: (*, n, n) → (*, n) complex.

    Raises ShapeError where A is not square.

    >>> import danlu
    >>> danlu.linalg.eigvals(danlu.tensor([[0.0, 1.0], [-1.0, 0.0]])).real.abs()
    tensor([0., 0.])
    """
    return apply("eigvals", A)


def eigh(A: Tensor, UPLO: str = "L") -> Eigh:
    """Eigenvalues in rising order and orthonormal eigenvectors of symmetric matrices: A = V diag(w) Vᵀ; one triangle is read.

    The gradient of the vectors exists where the eigenvalues are distinct.

    Shapes: (*, n, n) → eigenvalues (*, n) real, eigenvectors (*, n, n).

    >>> import danlu
    >>> danlu.linalg.eigh(danlu.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    return Eigh(*apply("eigh", A, lower=_is_lower("linalg.eigh", UPLO)))


def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of symmetric matrices in rising order.

    A v = w v for a vector v ≠ 0

    Shapes: (*, n, n) → (*, n) real.

    >>> import danlu
    >>> danlu.linalg.eigvalsh(danlu.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor([1., 2.])
    """
    return apply("eigvalsh", A, lower=_is_lower("linalg.eigvalsh", UPLO))


# ---- rank and pseudo-inverse ----------------------------------------------------------------------------------------------------------


def _tolerances(**given: Any) -> tuple[list[Any], str]:
    """The tolerances that were given, and their names."""
    known = {name: value for name, value in given.items() if value is not None}
    return [float(v) if isinstance(v, int) else v for v in known.values()], " ".join(known)


def pinv(A: Tensor, rcond: Any = None, *, atol: Any = None, rtol: Any = None, hermitian: bool = False) -> Tensor:
    """The pseudo-inverse: singular values above max(atol, rtol · the largest) are inverted, the others become 0.

    A · A⁺ · A = A

    rtol: max(m, n) · ε unless given (rcond is its old name). The gradient is that of a rank that does not change.

    Shapes: (*, m, n) → (*, n, m).

    >>> import danlu
    >>> danlu.linalg.pinv(danlu.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    values, names = _tolerances(atol=atol, rtol=rcond if rtol is None else rtol)
    return apply("pinv", A, *values, given=names, hermitian=bool(hermitian))


def matrix_rank(A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """How many singular values lie above max(atol, rtol · the largest); int64, no derivative. `tol` is an absolute tolerance alone.

    rank = #{i: σᵢ > max(atol, rtol · σ₁)}

    Shapes: (*, m, n) → (*) of int64.

    >>> import danlu
    >>> danlu.linalg.matrix_rank(danlu.ones(3, 3))
    tensor(1)
    """
    if tol is not None:
        atol, rtol = tol, 0.0
    values, names = _tolerances(atol=atol, rtol=rtol)
    return apply("matrix_rank", A, *values, given=names, hermitian=bool(hermitian))


# ---- functions and products -----------------------------------------------------------------------------------------------------------


def matrix_power(A: Tensor, n: int) -> Tensor:
    """A · A · … · A by repeated squaring; powers of the inverse for n < 0.

    Shapes: (*, n, n) → (*, n, n).

    >>> import danlu
    >>> danlu.linalg.matrix_power(danlu.tensor([[1.0, 1.0], [0.0, 1.0]]), 3)
    tensor([[1., 3.],
            [0., 1.]])
    """
    return apply("matrix_power", A, n=int(n))


def matrix_exp(A: Tensor) -> Tensor:
    """Σ Aᵏ / k! (Higham 2005: scaling and squaring of a Padé approximant).

    Shapes: (*, n, n) → (*, n, n).

    >>> import danlu
    >>> danlu.linalg.matrix_exp(danlu.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    return apply("matrix_exp", A)


def matmul(A: Tensor, B: Tensor) -> Tensor:
    """A @ B.

    y[…, i, k] = Σ_j A[…, i, j] · B[…, j, k]

    Shapes: A (*, n, m), B (*, m, p) → (*, n, p), leading axes broadcast.

    >>> import danlu
    >>> danlu.linalg.matmul(danlu.eye(2), danlu.ones(2))
    tensor([1., 1.])
    """
    return apply("matmul", A, B)


def cross(A: Tensor, B: Tensor, *, dim: int = -1) -> Tensor:
    """The vector product along an axis of size 3.

    y₀ = a₁ b₂ - a₂ b₁, y₁ = a₂ b₀ - a₀ b₂, y₂ = a₀ b₁ - a₁ b₀

    Shapes: A (*, 3, *) and B (*, 3, *) of as many axes, 3 on the axis dim, the others broadcast → (*, 3, *).

    >>> import danlu
    >>> danlu.linalg.cross(danlu.tensor([1.0, 0.0, 0.0]), danlu.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    return A.cross(B, dim)


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """Σ x̄·y along an axis, x̄ the conjugate of a complex x; the others broadcast.

    Shapes: x (*, n), y (*, n) → (*), on the axis dim.

    >>> import danlu
    >>> danlu.linalg.vecdot(danlu.ones(2, 3), danlu.ones(3))
    tensor([3., 3.])
    """
    out = x.conj() * y
    return out.sum(dim, dtype=out.dtype)


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices, as the last axis.

    y[…, i] = A[…, i, i + offset]

    Shapes: (*, m, n) → (*, min(m, n)) for offset 0.

    >>> import danlu
    >>> danlu.linalg.diagonal(danlu.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    a, b = normalize_axis("linalg.diagonal", dim1, A.ndim), normalize_axis("linalg.diagonal", dim2, A.ndim)
    if a == b or A.ndim < 2:
        raise ShapeError(
            "linalg.diagonal: dim1={dim1} and dim2={dim2} of shape {shape}; a diagonal needs two different axes",
            dim1=dim1,
            dim2=dim2,
            shape=tuple(A.shape),
        )
    return apply("matrix_diagonal", A, offset=int(offset), dim1=a, dim2=b)


def vander(x: Tensor, N: int | None = None) -> Tensor:
    """Powers 0 … N - 1 of each element, as a new last axis: the Vandermonde matrix.

    y[…, i, j] = x[…, i]ʲ

    Shapes: (*, n) → (*, n, N), N = n unless given.

    >>> import danlu
    >>> danlu.linalg.vander(danlu.tensor([1.0, 2.0]), 3)
    tensor([[1., 1., 1.],
            [1., 2., 4.]])
    """
    x = x.reshape(1) if x.ndim == 0 else x
    count = x.shape[-1] if N is None else N
    if count < 2:
        raise ShapeError("linalg.vander: N={columns}; expected at least 2 columns", columns=count)
    columns = [x * 0 + 1]
    for _ in range(count - 1):
        columns.append(columns[-1] * x)
    return cat([c.unsqueeze(-1) for c in columns], -1)


def householder_product(A: Tensor, tau: Tensor) -> Tensor:
    """H₁ H₂ … Hₖ cut to n columns, Hᵢ = I - τᵢ vᵢ vᵢᵀ; vᵢ is the i-th column of A below its diagonal, with 1 on it.

    Shapes: A (*, m, n), m ≥ n, tau (*, k), k ≤ n → (*, m, n).

    >>> import danlu
    >>> danlu.linalg.householder_product(danlu.eye(2), danlu.zeros(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    if A.ndim < 2 or A.shape[-2] < A.shape[-1] or tau.shape[-1] > A.shape[-1] or tau.shape[:-1] != A.shape[:-2]:
        raise ShapeError(
            "linalg.householder_product: A has shape {a_shape} and tau {tau_shape}; expected (*, m, n) with m ≥ n and (*, k) "
            "with k ≤ n",
            a_shape=tuple(A.shape),
            tau_shape=tuple(tau.shape),
        )
    return apply("householder_product", floating("linalg.householder_product", A, None), tau)


__getattr__ = unknown(__name__, globals())

__all__ = [
    "SVD",
    "Eig",
    "Eigh",
    "LeastSquares",
    "LinAlgError",
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "householder_product",
    "inv",
    "inv_ex",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "lu_solve",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]  # fmt: skip
