"""L6. Determinants, factorisations, eigenvalues, and what follows from singular values: rank and pseudo-inverse."""

from typing import Any, NamedTuple

from danlu.errors import ShapeError
from danlu.tensor import Tensor, apply
from danlu.tensor.creation import zeros
from danlu.tensor.products import QR, SlogDet


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
