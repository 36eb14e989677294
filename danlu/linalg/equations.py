"""L6. Inverses and solutions of linear equations, exact and least-squares."""

from collections.abc import Sequence
from typing import NamedTuple

from danlu.dtype import to_real
from danlu.errors import ShapeError
from danlu.linalg.factorisations import matrix_rank, pinv, svdvals
from danlu.ops.movement import normalize_axis
from danlu.tensor import Tensor, apply
from danlu.tensor.creation import zeros


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
