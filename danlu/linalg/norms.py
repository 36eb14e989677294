"""L6. Norms of vectors and matrices, and the condition number."""

from typing import Any

from danlu.dtype import DType
from danlu.errors import ShapeError
from danlu.linalg.equations import inv
from danlu.linalg.factorisations import svdvals
from danlu.tensor import Tensor
from danlu.tensor.products import matrix_norm as _matrix_norm
from danlu.tensor.products import vector_norm as _vector_norm


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
