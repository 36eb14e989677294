"""L5. Factorisations P L U of matrices under PyTorch's names, and the forms of linear algebra that report failures instead of raising."""

from __future__ import annotations

from typing import Any, NamedTuple

from danlu import dtype as dt
from danlu.errors import ShapeError
from danlu.messages import Phrase
from danlu.ops.linear_algebra import check_real
from danlu.tensor import Tensor, apply


class LU(NamedTuple):
    """L (without its ones) and U in one matrix, and the exchanges of rows, counted from 1."""

    LU: Tensor
    pivots: Tensor


class LUInfo(NamedTuple):
    """`LU`, and the first pivot that is 0, counted from 1 (0: none)."""

    LU: Tensor
    pivots: Tensor
    info: Tensor


class PLU(NamedTuple):
    """P L U = A: a permutation, a lower triangle with ones on its diagonal, an upper triangle."""

    P: Tensor
    L: Tensor
    U: Tensor


class Checked(NamedTuple):
    """A result, and for each matrix where the computation failed (0: it did not)."""

    result: Tensor
    info: Tensor


def _check_pivot(name: str, pivot: bool) -> None:
    if not pivot:
        raise ShapeError("{name}: pivot=False, and rows are always exchanged on the CPU; leave pivot out", name=name)


def lu_factor(A: Tensor, *, pivot: bool = True) -> LU:
    """L U of the matrix with its rows exchanged (Gauss's elimination with partial pivoting), packed into one matrix.

    P L U = A

    Shapes: A (*, m, n) → LU (*, m, n), pivots (*, min(m, n)) as LAPACK has them.

    >>> import danlu
    >>> danlu.linalg.lu_factor(danlu.tensor([[0.0, 1.0], [2.0, 3.0]])).pivots
    tensor([2, 2], dtype=danlu.int32)
    """
    _check_pivot("linalg.lu_factor", pivot)
    return LU(*apply("lu_factor", A))


def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> LUInfo:
    """`lu_factor`, and the number of the first pivot that is 0.

    P L U = A

    Shapes: (*, m, n) → LU (*, m, n), pivots (*, min(m, n)) of int32, info (*) of int32.

    >>> import danlu
    >>> danlu.linalg.lu_factor_ex(danlu.eye(2)).info
    tensor(0, dtype=danlu.int32)
    """
    packed, pivots = lu_factor(A, pivot=pivot)
    zero = packed.detach().diagonal(0, -2, -1) == 0
    first = zero.to(dt.int32).argmax(-1) + 1 if zero.shape[-1] else zero.sum(-1)
    info = apply("where", zero.any(-1), first, 0).to(dt.int32)
    if check_errors and bool(info.ne(0).any()):
        raise ShapeError(
            "linalg.lu_factor_ex: the matrix is singular, pivot {number} is 0; leave check_errors out", number=int(info.max())
        )
    return LUInfo(packed, pivots, info)


def _permutation(order: Tensor, dtype: Any) -> Tensor:
    """The matrix P with P[order[k], k] = 1: A = P (A's rows in this order)."""
    rows = apply("iota", shape=(order.shape[-1],), dtype=dt.int64).reshape(-1, 1)
    return (rows == order.unsqueeze(-2)).to(dtype)


def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> PLU:
    """P, L and U of what `lu_factor` gives; what is not asked for is empty.

    P L U = A

    Shapes: LU_data (*, m, n), LU_pivots (*, k), k = min(m, n) → P (*, m, m), L (*, m, k), U (*, k, n).

    >>> import danlu
    >>> danlu.lu_unpack(*danlu.linalg.lu_factor(danlu.eye(1) * 2)).U
    tensor([[2.]])
    """
    m, n = LU_data.shape[-2:]
    k = min(m, n)
    if tuple(LU_pivots.shape) != (*LU_data.shape[:-2], k) or LU_pivots.dtype is not dt.int32:
        raise ShapeError(
            "lu_unpack: the pivots have shape {shape} and dtype {dtype}; expected {expected} and int32, as lu_factor gives them",
            shape=tuple(LU_pivots.shape),
            dtype=LU_pivots.dtype.name,
            expected=(*LU_data.shape[:-2], k),
        )
    nothing = LU_data.new_zeros((0,))
    p = _permutation(apply("order_of_pivots", LU_pivots, m=m), LU_data.dtype) if unpack_pivots else nothing
    if not unpack_data:
        return PLU(p, nothing, nothing)
    left = LU_data.narrow(-1, 0, k)
    ones = (left.detach() * 0).diagonal_scatter(left.detach().diagonal(0, -2, -1) * 0 + 1, 0, -2, -1)
    return PLU(p, left.tril(-1) + ones, LU_data.narrow(-2, 0, k).triu())


def lu(A: Tensor, *, pivot: bool = True) -> PLU:
    """P L U = A.

    Shapes: (*, m, n) → P (*, m, m), L (*, m, k), U (*, k, n), k = min(m, n).

    >>> import danlu
    >>> P, L, U = danlu.linalg.lu(danlu.tensor([[1.0, 2.0], [4.0, 4.0]]))
    >>> L
    tensor([[1.0000, 0.0000],
            [0.2500, 1.0000]])
    """
    _check_pivot("linalg.lu", pivot)
    return lu_unpack(*lu_factor(A))


def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """X with A X = B (left), or X A = B, from what `lu_factor` gives of A; adjoint: with Aᵀ.

    Shapes: LU (*, n, n), pivots (*, n), B (*, n, k) → (*, n, k).

    >>> import danlu
    >>> danlu.linalg.lu_solve(*danlu.linalg.lu_factor(danlu.eye(1) * 2), danlu.ones(1, 1))
    tensor([[0.5000]])
    """
    check_real("linalg.lu_solve", LU._spec)
    if LU.ndim < 2 or B.ndim < 2 or LU.shape[-1] != LU.shape[-2] or B.shape[-2 if left else -1] != LU.shape[-1]:
        raise ShapeError(
            "linalg.lu_solve: LU has shape {left} and B {right}; expected (*, n, n), and n {word} in B",
            left=tuple(LU.shape),
            right=tuple(B.shape),
            word=Phrase("rows") if left else Phrase("columns"),
        )
    if not left:  # X A = B is Aᵀ Xᵀ = Bᵀ
        return lu_solve(LU, pivots, B.mT, adjoint=not adjoint).mT  # type: ignore[attr-defined]
    order = _permutation(apply("order_of_pivots", pivots, m=LU.shape[-1]), LU.dtype)
    lower, upper = {"upper_": False, "unitriangular": True}, {"upper_": True, "unitriangular": False}
    if not adjoint:
        first = apply("solve_triangular", LU, order.mT @ B, left=True, **lower)  # type: ignore[attr-defined]
        return apply("solve_triangular", LU, first, left=True, **upper)
    turned = LU.mT  # type: ignore[attr-defined]
    first = apply("solve_triangular", turned, B, left=True, upper_=False, unitriangular=False)
    return order @ apply("solve_triangular", turned, first, left=True, upper_=True, unitriangular=True)


def _raised(name: str, info: Tensor, check_errors: bool) -> None:
    if check_errors and bool(info.ne(0).any()):
        raise ShapeError(
            "{name}: it fails at row {row} of a matrix; leave check_errors out to get info instead",
            name=name,
            row=int(info.max()),
        )


def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> Checked:
    """Cholesky's factor, and for each matrix the size of the first leading block that is not positive-definite (0: all are).

    L Lᵀ = A

    Where there is no factor the identity stands.

    Shapes: (*, n, n) → factor (*, n, n), info (*) of int32.

    >>> import danlu
    >>> danlu.linalg.cholesky_ex(-danlu.eye(2)).info
    tensor(1, dtype=danlu.int32)
    """
    factor, info = apply("cholesky_checked", A.mT if upper else A)  # type: ignore[attr-defined]
    _raised("linalg.cholesky_ex", info, check_errors)
    return Checked(factor.mT if upper else factor, info)


def inv_ex(A: Tensor, *, check_errors: bool = False) -> Checked:
    """The inverse, and for each matrix the number of the pivot that is 0 (0: none is). Where there is none the identity stands.

    A · A⁻¹ = I

    Shapes: (*, n, n) → inverse (*, n, n), info (*) of int32.

    >>> import danlu
    >>> danlu.linalg.inv_ex(danlu.zeros(2, 2)).info
    tensor(1, dtype=danlu.int32)
    """
    inverse, info = apply("inv_checked", A)
    _raised("linalg.inv_ex", info, check_errors)
    return Checked(inverse, info)


def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Checked:
    """X with A X = B (left), or X A = B, and the number of the pivot that is 0 (0: none is). Where there is no X, B stands.

    Shapes: A (*, n, n), B (*, n, k) or (*, n) → result of the shape of B, info (*) of int32.

    >>> import danlu
    >>> danlu.linalg.solve_ex(danlu.eye(1) * 2, danlu.ones(1)).result
    tensor([0.5000])
    """
    solution, info = apply("solve_checked", A, B, left=bool(left))
    _raised("linalg.solve_ex", info, check_errors)
    return Checked(solution, info)


def _lu_method(A: Tensor, pivot: bool = True, get_infos: bool = False) -> Any:
    """(LU, pivots), and with get_infos where a pivot is 0; see linalg.lu_factor.

    P L U = A

    Shapes: (*, m, n) → LU (*, m, n), pivots (*, min(m, n)) of int32, infos (*).
    """
    packed, pivots, info = lu_factor_ex(A, pivot=pivot)
    return (packed, pivots, info) if get_infos else (packed, pivots)


def _lu_solve_method(b: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """X with A X = b from what lu_factor gives of A; see linalg.lu_solve.

    Shapes: input (*, n, k), LU (*, n, n), pivots (*, n) → (*, n, k).
    """
    return lu_solve(LU_data, LU_pivots, b)


Tensor.lu, Tensor.lu_solve = _lu_method, _lu_solve_method  # type: ignore[attr-defined]
