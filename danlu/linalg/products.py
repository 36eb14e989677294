"""L6. Products of matrices and vectors, powers and the exponential of a matrix."""

from danlu.errors import ShapeError
from danlu.ops.movement import normalize_axis
from danlu.tensor import Tensor, apply
from danlu.tensor.creation import cat
from danlu.tensor.products import floating


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
