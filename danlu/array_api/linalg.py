"""L6. The linalg extension of the array API namespace: danlu.linalg under the standard's signatures."""

from __future__ import annotations

from typing import Any

from danlu import linalg
from danlu.array_api.elementwise import conj
from danlu.array_api.manipulation import Sizes, matrix_transpose
from danlu.array_api.statistics import sum
from danlu.array_api.types import together
from danlu.dtype import DType
from danlu.linalg import SVD, Eigh
from danlu.tensor import Tensor, products
from danlu.tensor.joining import broadcast_tensors
from danlu.tensor.products import QR, SlogDet


def cholesky(x: Tensor, /, *, upper: bool = False) -> Tensor:
    """L with L Lᵀ = x (upper: U with Uᵀ U = x).

    >>> from danlu import array_api as xp
    >>> xp.linalg.cholesky(xp.asarray([[4.0]]))
    tensor([[2.]])
    """
    return linalg.cholesky(x, upper=upper)


def cross(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """x1 × x2 along an axis of size 3.

    >>> from danlu import array_api as xp
    >>> xp.linalg.cross(xp.asarray([1, 0, 0]), xp.asarray([0, 1, 0]))
    tensor([0, 0, 1])
    """
    a, b = broadcast_tensors(*together(x1, x2))
    return linalg.cross(a, b, dim=axis)


def det(x: Tensor, /) -> Tensor:
    """The determinant.

    >>> from danlu import array_api as xp
    >>> xp.linalg.det(xp.eye(2) * 3)
    tensor(9.)
    """
    return linalg.det(x)


def diagonal(x: Tensor, /, *, offset: int = 0) -> Tensor:
    """The elements of a diagonal of the last two axes.

    >>> from danlu import array_api as xp
    >>> xp.linalg.diagonal(xp.asarray([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    return x.diagonal(offset, -2, -1)


def eigh(x: Tensor, /) -> Eigh:
    """Eigenvalues in rising order and eigenvectors of a symmetric matrix.

    >>> from danlu import array_api as xp
    >>> xp.linalg.eigh(xp.eye(2)).eigenvalues
    tensor([1., 1.])
    """
    return linalg.eigh(x)


def eigvalsh(x: Tensor, /) -> Tensor:
    """The eigenvalues of a symmetric matrix in rising order.

    >>> from danlu import array_api as xp
    >>> xp.linalg.eigvalsh(xp.eye(2))
    tensor([1., 1.])
    """
    return linalg.eigvalsh(x)


def inv(x: Tensor, /) -> Tensor:
    """x⁻¹

    >>> from danlu import array_api as xp
    >>> xp.linalg.inv(xp.asarray([[2.0]]))
    tensor([[0.5000]])
    """
    return linalg.inv(x)


def matmul(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The matrix product.

    >>> from danlu import array_api as xp
    >>> xp.matmul(xp.asarray([[1.0, 2.0]]), xp.asarray([3.0, 4.0]))
    tensor([11.])
    """
    a, b = together(x1, x2)
    return a.matmul(b)


def matrix_norm(x: Tensor, /, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    """A norm of the matrices in the last two axes.

    >>> from danlu import array_api as xp
    >>> xp.linalg.matrix_norm(xp.asarray([[3.0, 4.0]]))
    tensor(5.)
    """
    return linalg.matrix_norm(x, ord, keepdim=keepdims)


def matrix_power(x: Tensor, n: int, /) -> Tensor:
    """xⁿ

    >>> from danlu import array_api as xp
    >>> xp.linalg.matrix_power(xp.asarray([[2.0]]), 3)
    tensor([[8.]])
    """
    return linalg.matrix_power(x, n)


def matrix_rank(x: Tensor, /, *, rtol: Any = None) -> Tensor:
    """The number of singular values above rtol · the largest.

    >>> from danlu import array_api as xp
    >>> xp.linalg.matrix_rank(xp.eye(2))
    tensor(2)
    """
    return linalg.matrix_rank(x, rtol=rtol)


def outer(x1: Tensor, x2: Tensor, /) -> Tensor:
    """x1 x2ᵀ of two vectors.

    >>> from danlu import array_api as xp
    >>> xp.linalg.outer(xp.asarray([1, 2]), xp.asarray([3]))
    tensor([[3],
            [6]])
    """
    a, b = together(x1, x2)
    return a.outer(b)


def pinv(x: Tensor, /, *, rtol: Any = None) -> Tensor:
    """The pseudoinverse.

    >>> from danlu import array_api as xp
    >>> xp.linalg.pinv(xp.asarray([[2.0]]))
    tensor([[0.5000]])
    """
    return linalg.pinv(x, rtol=rtol)


def qr(x: Tensor, /, *, mode: str = "reduced") -> QR:
    """Q R = x, Q orthogonal and R upper triangular.

    >>> from danlu import array_api as xp
    >>> xp.linalg.qr(xp.eye(2)).R.shape
    danlu.Size([2, 2])
    """
    return linalg.qr(x, mode)


def slogdet(x: Tensor, /) -> SlogDet:
    """The sign of the determinant and the logarithm of its absolute value.

    >>> from danlu import array_api as xp
    >>> xp.linalg.slogdet(xp.eye(2)).sign
    tensor(1.)
    """
    return linalg.slogdet(x)


def solve(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The X with x1 X = x2; x2 is a vector where it has one axis, else matrices.

    >>> from danlu import array_api as xp
    >>> xp.linalg.solve(xp.asarray([[2.0]]), xp.asarray([4.0]))
    tensor([2.])
    """
    a, b = together(x1, x2)
    if b.ndim == 1:
        return linalg.solve(a, b.unsqueeze(1)).squeeze(-1)
    lead = broadcast_tensors(a[..., :1, :1], b[..., :1, :1])[0].shape[:-2]
    return linalg.solve(a.expand(*lead, *a.shape[-2:]), b.expand(*lead, *b.shape[-2:]))


def svd(x: Tensor, /, *, full_matrices: bool = True) -> SVD:
    """U diag(S) Vh = x

    >>> from danlu import array_api as xp
    >>> xp.linalg.svd(xp.eye(2)).S
    tensor([1., 1.])
    """
    return linalg.svd(x, full_matrices)


def svdvals(x: Tensor, /) -> Tensor:
    """The singular values, largest first.

    >>> from danlu import array_api as xp
    >>> xp.linalg.svdvals(xp.eye(2))
    tensor([1., 1.])
    """
    return linalg.svdvals(x)


def tensordot(x1: Tensor, x2: Tensor, /, *, axes: Any = 2) -> Tensor:
    """Σ over pairs of axes.

    >>> from danlu import array_api as xp
    >>> xp.tensordot(xp.ones((2, 3)), xp.ones((3, 1)), axes=1)
    tensor([[3.],
            [3.]])
    """
    a, b = together(x1, x2)
    return products.tensordot(a, b, axes if isinstance(axes, int) else [list(part) for part in axes])


def trace(x: Tensor, /, *, offset: int = 0, dtype: DType | None = None) -> Tensor:
    """The sum of a diagonal of the last two axes.

    >>> from danlu import array_api as xp
    >>> xp.linalg.trace(xp.eye(2))
    tensor(2.)
    """
    return sum(x.diagonal(offset, -2, -1), axis=-1, dtype=dtype)


def vecdot(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """Σ conj(x1) x2 along an axis.

    >>> from danlu import array_api as xp
    >>> xp.vecdot(xp.asarray([1, 2]), xp.asarray([3, 4]))
    tensor(11)
    """
    a, b = together(x1, x2)
    if a.shape[axis] != b.shape[axis]:
        raise Sizes(
            "vecdot: axis {axis} has sizes {left} and {right}; expected equal ones",
            axis=axis,
            left=a.shape[axis],
            right=b.shape[axis],
        )
    a, b = broadcast_tensors(a.movedim(axis, -1), b.movedim(axis, -1))
    return sum(conj(a) * b, axis=-1, dtype=a.dtype)


def vector_norm(x: Tensor, /, *, axis: Any = None, keepdims: bool = False, ord: float = 2) -> Tensor:
    """(Σ |x|ᵒʳᵈ)^(1/ord) over axes.

    >>> from danlu import array_api as xp
    >>> xp.linalg.vector_norm(xp.asarray([3.0, 4.0]))
    tensor(5.)
    """
    if axis == ():
        return x.ne(0).to(x.abs().dtype) if ord == 0 else x.abs()
    return linalg.vector_norm(x.abs() if x.dtype.kind == "c" else x, ord, axis, keepdims)


__all__ = [
    "cholesky", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "matmul", "matrix_norm", "matrix_power", "matrix_rank", "matrix_transpose",
    "outer", "pinv", "qr", "slogdet", "solve", "svd", "svdvals", "tensordot", "trace", "vecdot", "vector_norm",
]  # fmt: skip
