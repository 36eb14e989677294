"""L5. Products of tensors and what belongs to a matrix, as methods of the Tensor; and the products of several tensors: einsum, tensordot, cdist."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, NamedTuple

from danlu.dtype import DType
from danlu.errors import DTypeError, ShapeError
from danlu.ops.linear_algebra import check_real, check_square
from danlu.ops.movement import normalize_axis
from danlu.ops.products import LETTERS
from danlu.tensor.core import TensorCore, apply
from danlu.tensor.shape import _named_axis


class QR(NamedTuple):
    """Q with orthonormal columns, R upper triangular."""

    Q: Any
    R: Any


class SVD(NamedTuple):
    """U, singular values, V (not transposed)."""

    U: Any
    S: Any
    V: Any


class SlogDet(NamedTuple):
    """Sign and logarithm of the size of a determinant."""

    sign: Any
    logabsdet: Any


class TriangularSolution(NamedTuple):
    """The solution, and the matrix as it was given."""

    solution: Any
    cloned_coefficient: Any


def _binary(op: str, doc: str) -> Any:
    def method(self: TensorCore, other: Any) -> Any:
        return apply(op, self, other)

    method.__name__, method.__doc__ = op, doc
    return method


def _addition(op: str, doc: str) -> Any:
    def method(self: TensorCore, first: Any, second: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
        return apply(op, self, first, second, beta, alpha, ignore=beta == 0)

    method.__name__, method.__doc__ = op, doc
    return method


def _in_place(op: str) -> Any:
    def method(self: Any, first: Any, second: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
        return self._assign(getattr(self, op)(first, second, beta=beta, alpha=alpha)._value())

    method.__name__, method.__doc__ = f"{op}_", f"`{op}` in place."
    return method


def floating(name: str, x: Any, dtype: DType | None) -> Any:
    """x in the dtype that is asked for, which must be a float's."""
    out = x if dtype is None else x.to(dtype)
    if not out.dtype.differentiable:
        raise DTypeError(
            "{name}: the input has dtype {dtype}; a norm is a float: write x.float(), or pass dtype=danlu.float32",
            name=name,
            dtype=out.dtype.name,
        )
    return out


def vector_norm(name: str, x: Any, ord: float, dim: Any, keepdim: bool, dtype: DType | None) -> Any:
    """(Σ |x|ᵖ)^(1/p) over some axes."""
    if isinstance(ord, str) or ord is None:
        raise ShapeError(
            "{name}: the order of a vector norm is a number, got {order!r}; 'fro' and 'nuc' are norms of matrices (2 axes)",
            name=name,
            order=ord,
        )
    return apply("vector_norm", floating(name, x, dtype), p=float(ord), dims=x._axes(name, dim), keepdim=bool(keepdim))


def matrix_norm(name: str, x: Any, ord: Any, dim: tuple[int, int], keepdim: bool, dtype: DType | None) -> Any:
    """A norm of the matrices on two axes."""
    x = floating(name, x, dtype)
    if x.ndim < 2:
        raise ShapeError(
            "{name}: a matrix norm needs a matrix, got shape {shape}; danlu.linalg.vector_norm takes vectors",
            name=name,
            shape=tuple(x.shape),
        )
    rows, columns = (normalize_axis(name, d, x.ndim) for d in dim)
    if rows == columns:
        raise ShapeError("{name}: dim={dim} names one axis twice; a matrix has two", name=name, dim=dim)
    if ord == "fro":
        return vector_norm(name, x, 2, (rows, columns), keepdim, None)
    if ord in ("nuc", 2, -2):
        return _spectral(x, ord, rows, columns, keepdim)
    if ord not in (1, -1, inf, -inf):
        raise ShapeError(
            "{name}: order {order!r} is no matrix norm; expected 'fro', 'nuc', 1, -1, 2, -2, inf or -inf", name=name, order=ord
        )
    inner, outer = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = x.abs().sum(inner, True)
    out = _largest(sums, outer, True) if ord > 0 else sums.amin(outer, True)
    return out if keepdim else out.squeeze((rows, columns))


def _largest(x: Any, dim: int, keepdim: bool) -> Any:
    """The largest of numbers that are not negative: 0 if there are none."""
    return x.amax(dim, keepdim) if x.shape[dim] else x.sum(dim, keepdim)


def _spectral(x: Any, ord: Any, rows: int, columns: int, keepdim: bool) -> Any:
    """What the singular values give: their sum, the largest, the smallest."""
    rest = [k for k in range(x.ndim) if k not in (rows, columns)]
    s = apply("svdvals", x.permute(*rest, rows, columns))
    out = s.sum(-1) if ord == "nuc" else _largest(s, -1, False) if ord == 2 else s.amin(-1)
    if keepdim:
        for axis in sorted((rows, columns)):
            out = out.unsqueeze(axis)
    return out


class Products(TensorCore):
    """Products, norms, and the properties of matrices."""

    __slots__ = ()

    matmul = _binary(
        "matmul",
        "The matrix product, by NumPy's rules for vectors and leading axes.\n\n"
        "y[…, i, k] = Σ_j x[…, i, j] · z[…, j, k]\n\n"
        "Shapes: (*, n, m), (*, m, p) → (*, n, p), leading axes broadcast; (m) counts as (1, m) on the left and (m, 1) on the\n"
        "right, and the 1 is left out.",
    )
    mm = _binary("mm", "The product of two matrices.\n\ny[i, k] = Σ_j x[i, j] · z[j, k]\n\nShapes: (n, m), (m, p) → (n, p).")
    bmm = _binary(
        "bmm",
        "The products of two stacks of matrices.\n\n"
        "y[b, i, k] = Σ_j x[b, i, j] · z[b, j, k]\n\n"
        "Shapes: (b, n, m), (b, m, p) → (b, n, p).",
    )
    mv = _binary("mv", "The product of a matrix and a vector.\n\ny[i] = Σ_j x[i, j] · v[j]\n\nShapes: (n, m), (m) → (n).")
    dot = _binary("dot", "Σ x·y of two vectors.\n\nShapes: (n), (n) → ().")
    vdot = _binary("vdot", "Σ conj(x)·y of two vectors.\n\nShapes: (n), (n) → ().")
    inner = _binary(
        "inner", "Σ x·y over the last axis of both.\n\nShapes: (*, n), (+, n) → (*, +); with a 0-d tensor the product of both."
    )
    outer = ger = _binary("outer", "xᵢ · yⱼ of two vectors.\n\nShapes: (n), (m) → (n, m).")
    kron = _binary(
        "kron",
        "The Kronecker product: every element of x times the whole of y.\n\n"
        "y[i · p + k, j · q + l] = x[i, j] · z[k, l]\n\n"
        "Shapes: (m, n), (p, q) → (m p, n q); any number of axes, missing ones are 1.",
    )
    addmm = _addition(
        "addmm",
        "beta · x + alpha · (a @ b) of matrices.\n\n"
        "Shapes: input (n, p), first (n, m), second (m, p) → (n, p); the input is broadcast to it.",
    )
    addmv = _addition(
        "addmv",
        "beta · x + alpha · (a @ b) of a matrix and a vector.\n\n"
        "Shapes: input (n), first (n, m), second (m) → (n); the input is broadcast to it.",
    )
    addr = _addition(
        "addr",
        "beta · x + alpha · (a ⊗ b) of two vectors.\n\n"
        "Shapes: input (n, m), first (n), second (m) → (n, m); the input is broadcast to it.",
    )
    addbmm = _addition(
        "addbmm",
        "beta · x + alpha · Σ (a @ b) over stacks of matrices.\n\n"
        "y = beta · x + alpha · Σ_b first[b] @ second[b]\n\n"
        "Shapes: input (n, p), first (b, n, m), second (b, m, p) → (n, p); the input is broadcast to it.",
    )
    baddbmm = _addition(
        "baddbmm",
        "beta · x + alpha · (a @ b) of stacks of matrices.\n\n"
        "Shapes: input (b, n, p), first (b, n, m), second (b, m, p) → (b, n, p); the input is broadcast to it.",
    )
    addmm_, addmv_, addr_, addbmm_, baddbmm_ = (_in_place(x) for x in ("addmm", "addmv", "addr", "addbmm", "baddbmm"))

    def cross(self, other: Any, dim: int | None = None) -> Any:
        """The vector product along an axis of size 3 (the first one, unless `dim` names it).

        y₀ = a₁ b₂ - a₂ b₁, y₁ = a₂ b₀ - a₀ b₂, y₂ = a₀ b₁ - a₁ b₀

        Shapes: input (*, 3, *), other (*, 3, *) → (*, 3, *).
        """
        shape, second = self._spec.shape, other._spec.shape
        if dim is None:
            common = shape if len(shape) == len(second) else ()
            dim = next((k for k, n in enumerate(common) if n == 3 and second[k] == 3), None)
            if dim is None:
                raise ShapeError(
                    "cross: no axis of shapes {shape} and {other} has size 3; the product is defined in three dimensions",
                    shape=shape,
                    other=second,
                )
        ndim = max(len(shape), 1)
        return apply("cross", self, other, dim=normalize_axis("cross", dim, ndim) - ndim)

    def trace(self) -> Any:
        """Σ of the diagonal of a matrix.

        y = Σᵢ x[i, i]

        Shapes: (n, m) → ().
        """
        return apply("matrix_trace", self)

    @_named_axis
    def norm(self, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: DType | None = None) -> Any:
        """(Σ |x|ᵖ)^(1/p) over all axes, or over those named; "fro" is p = 2, "nuc" the sum of the singular values.

        Shapes: (*) → (), or without the axes of dim; keepdim leaves them with size 1.
        """
        if p == "nuc":
            return matrix_norm("norm", self, p, (0, 1) if dim is None else dim, keepdim, dtype)
        return vector_norm("norm", self, 2 if p in ("fro", None) else p, dim, keepdim, dtype)

    def dist(self, other: Any, p: float = 2) -> Any:
        """The p-norm of x - y.

        y = (Σ |x - z|ᵖ)^(1/p)

        Shapes: input (*), other (*), broadcast together → ().
        """
        return vector_norm("dist", self - other, p, None, False, None)  # type: ignore[operator]

    # ---- matrices -------------------------------------------------------------------------------------------------------------
    def inverse(self) -> Any:
        """A⁻¹ of square matrices.

        A · A⁻¹ = I

        Shapes: (*, n, n) → (*, n, n).
        """
        return apply("inv", self)

    def det(self) -> Any:
        """The determinant.

        det A = Σ over permutations σ of sign(σ) Π A[i, σ(i)]

        Shapes: (*, n, n) → (*).
        """
        return apply("det", self)

    def logdet(self) -> Any:
        """ln det A; NaN for a negative determinant, -∞ for 0.

        Shapes: (*, n, n) → (*).
        """
        return apply("logdet", self)

    def slogdet(self) -> SlogDet:
        """The sign of the determinant and the logarithm of its size.

        det A = sign · exp(logabsdet)

        Shapes: (*, n, n) → sign (*) and logabsdet (*).
        """
        return SlogDet(*apply("slogdet", self))

    def matrix_power(self, n: int) -> Any:
        """A · A · … · A, n times; the inverse for n < 0.

        Shapes: (*, n, n) → (*, n, n).
        """
        return apply("matrix_power", self, n=int(n))

    def matrix_exp(self) -> Any:
        """Σ Aᵏ / k!

        Shapes: (*, n, n) → (*, n, n).
        """
        return apply("matrix_exp", self)

    def cholesky(self, upper: bool = False) -> Any:
        """The lower L with L Lᵀ = A, or its transpose.

        Shapes: (*, n, n) → (*, n, n).

        Raises LinAlgError (when the value is computed) where A is not positive-definite.
        """
        out = apply("cholesky", self.mH if upper else self)  # type: ignore[attr-defined]
        return out.mH if upper else out

    def cholesky_solve(self, factor: Any, upper: bool = False) -> Any:
        """X with (L Lᵀ) X = self for a Cholesky factor.

        Shapes: input (*, n, k), factor (*, n, n) → (*, n, k).
        """
        lower = factor.mH if upper else factor
        check_real("cholesky_solve", self._spec)
        first = apply("solve_triangular", lower, self, upper_=False, left=True, unitriangular=False)
        return apply("solve_triangular", lower.mH, first, upper_=True, left=True, unitriangular=False)

    def cholesky_inverse(self, upper: bool = False) -> Any:
        """(L Lᵀ)⁻¹ of a Cholesky factor.

        Shapes: (*, n, n) → (*, n, n).
        """
        check_square("cholesky_inverse", self._spec)
        inverse = apply("solve_triangular", self, _identity(self), upper_=bool(upper), left=True, unitriangular=False)
        return inverse @ inverse.mH if upper else inverse.mH @ inverse

    def triangular_solve(self, A: Any, upper: bool = True, transpose: bool = False, unitriangular: bool = False) -> Any:
        """X with A X = self for a triangular A.

        Shapes: input (*, n, k), A (*, n, n) → solution (*, n, k), cloned_coefficient (*, n, n).

        Raises LinAlgError (when the value is computed) where a diagonal element of A is 0.
        """
        matrix = A.mT if transpose else A
        solution = apply(
            "solve_triangular", matrix, self, upper_=bool(upper) != bool(transpose), left=True, unitriangular=bool(unitriangular)
        )
        return TriangularSolution(solution, A.clone())

    def qr(self, some: bool = True) -> QR:
        """Q R = A; `some` leaves out the columns of Q that R does not need.

        Shapes: (*, m, n) → Q (*, m, k), R (*, k, n), k = min(m, n); some=False: k = m.
        """
        return QR(*apply("qr", self, complete=not some))

    def svd(self, some: bool = True, compute_uv: bool = True) -> SVD:
        """U diag(S) Vᵀ = A; note that V is not transposed, unlike danlu.linalg.svd.

        Shapes: (*, m, n) → U (*, m, k), S (*, k), V (*, n, k), k = min(m, n); some=False: square U and V.
        """
        u, s, vt = apply("svd", self, full=not some)
        return SVD(u, s, vt.mH) if compute_uv else _values_alone(self)

    def pinverse(self, rcond: float = 1e-15) -> Any:
        """The pseudo-inverse; singular values below rcond · the largest count as 0.

        A · A⁺ · A = A

        Shapes: (*, m, n) → (*, n, m).
        """
        return apply("pinv", self, rcond, given="rtol", hermitian=False)


def _values_alone(x: Any) -> SVD:
    *lead, m, n = x.shape
    return SVD(x.new_zeros((*lead, m, m)), apply("svdvals", x), x.new_zeros((*lead, n, n)))


def _identity(x: Any) -> Any:
    return apply("matrix_power", x, n=0)


# ---- several tensors ------------------------------------------------------------------------------------------------------------


def einsum(equation: str, *operands: Any) -> Any:
    """Σ of products over labelled axes: a label that the result lacks is summed, a label twice in one operand is its diagonal.

    y[i, k] = Σ_j a[i, j] · b[j, k] for "ij,jk->ik"

    equation: "ik,kj->ij"; `...` stands for the axes without a letter; without an arrow the result has the labels that occur once.
    Also as einsum(x, [0, 1], y, [1, 2], [0, 2]). Several operands are contracted pair by pair, the smallest growth first.

    Shapes: operands with one axis for each of their labels → one axis for each label of the result.

    Raises ShapeError where labels and axes do not fit, DTypeError for operands of several dtypes.

    >>> import danlu
    >>> x = danlu.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> danlu.einsum("ij,kj->ik", x, x)
    tensor([[ 5., 11.],
            [11., 25.]])
    >>> danlu.einsum("ii", x)
    tensor(5.)
    """
    if not isinstance(equation, str):
        equation, operands = _from_sublists((equation, *operands))
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    return apply("einsum", *operands, equation=equation)


def _from_sublists(arguments: tuple) -> tuple[str, tuple]:
    """einsum(x, [0, 1], y, [1, ...], [0, ...]) as an equation and operands."""

    def word(labels: Sequence) -> str:
        return "".join("..." if label is Ellipsis else LETTERS[label] for label in labels)

    pairs = len(arguments) // 2
    equation = ",".join(word(labels) for labels in arguments[1 : 2 * pairs : 2])
    return equation + (f"->{word(arguments[-1])}" if len(arguments) % 2 else ""), arguments[: 2 * pairs : 2]


def tensordot(a: Any, b: Any, dims: Any = 2) -> Any:
    """Σ over pairs of axes: the last `dims` of a with the first of b, or those of the two lists in `dims`.

    y[i, j] = Σ_k a[i, k] · b[k, j], where i, j and k may be several axes each

    Shapes: a (*, n₁ … n_k), b (n₁ … n_k, +) → (*, +) for dims = k.

    Raises ShapeError where the axes of a pair differ in size.

    >>> import danlu
    >>> danlu.tensordot(danlu.ones(2, 3), danlu.ones(3, 4), dims=1).shape
    danlu.Size([2, 4])
    """
    if isinstance(dims, TensorCore):
        dims = dims.tolist()  # type: ignore[attr-defined]
    first, second = _paired_axes(a, b, dims)
    left = list(LETTERS[: a.ndim])
    right = list(LETTERS[a.ndim : a.ndim + b.ndim])
    for i, j in zip(first, second):
        right[j] = left[i]
    out = [x for k, x in enumerate(left) if k not in first] + [x for k, x in enumerate(right) if k not in second]
    return apply("einsum", a, b, equation=f"{''.join(left)},{''.join(right)}->{''.join(out)}")


def _paired_axes(a: Any, b: Any, dims: Any) -> tuple[list[int], list[int]]:
    first, second = _axes_of(a, b, dims)
    if len(first) != len(second):
        raise ShapeError(
            "tensordot: dims={dims} pairs {left_count} axes with {right_count}; both lists must be equally long",
            dims=dims,
            left_count=len(first),
            right_count=len(second),
        )
    pair = [normalize_axis("tensordot", d, a.ndim) for d in first], [normalize_axis("tensordot", d, b.ndim) for d in second]
    for i, j in zip(*pair):
        if a.shape[i] != b.shape[j] and 1 not in (a.shape[i], b.shape[j]):
            raise ShapeError(
                "tensordot: axis {left_axis} of shape {left} and axis {right_axis} of shape {right} are summed together; they "
                "have sizes {left_size} and {right_size} and must be equal",
                left_axis=i,
                left=tuple(a.shape),
                right_axis=j,
                right=tuple(b.shape),
                left_size=a.shape[i],
                right_size=b.shape[j],
            )
    return pair


def _axes_of(a: Any, b: Any, dims: Any) -> tuple[list[int], list[int]]:
    """The two lists of axes that `dims` stands for."""
    if not isinstance(dims, int):
        first, second = ([d] if isinstance(d, int) else list(d) for d in dims)
        return first, second
    if not 0 <= dims <= min(a.ndim, b.ndim):
        raise ShapeError(
            "tensordot: dims={dims} axes of shapes {left} and {right}; expected 0 … {highest}",
            dims=dims,
            left=tuple(a.shape),
            right=tuple(b.shape),
            highest=min(a.ndim, b.ndim),
        )
    return list(range(a.ndim - dims, a.ndim)), list(range(dims))


def cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: str | None = None) -> Any:
    """The p-norm of xᵢ - yⱼ for all pairs of rows: (*, n, d) and (*, m, d) give (*, n, m).

    y[…, i, j] = (Σ_k |x1[…, i, k] - x2[…, j, k]|ᵖ)^(1/p)

    `compute_mode` is accepted for PyTorch's sake; the differences are always taken exactly.

    Shapes: x1 (*, n, d), x2 (*, m, d) → (*, n, m).

    Raises ShapeError where the rows differ in length.

    >>> import danlu
    >>> danlu.cdist(danlu.zeros(1, 2), danlu.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5., 1.]])
    """
    return apply("cdist", x1, x2, p=float(p))


def multi_dot(tensors: Sequence[Any]) -> Any:
    """The product of several matrices in the cheapest order; the first and the last may be vectors.

    y = A₁ A₂ … A_k

    Shapes: matrices (n₀, n₁), (n₁, n₂), … → (n₀, n_k).

    Source: Cormen et al., Introduction to Algorithms, section 15.2 (matrix-chain multiplication).

    >>> import danlu
    >>> danlu.linalg.multi_dot([danlu.ones(2, 3), danlu.ones(3, 4), danlu.ones(4)])
    tensor([12., 12.])
    """
    tensors = list(tensors)
    if len(tensors) < 2:
        raise ShapeError("multi_dot: expected at least 2 tensors, got {count}", count=len(tensors))
    _check_chain(tensors)
    sizes = [tensors[0].shape[0] if tensors[0].ndim == 2 else 1]
    sizes += [x.shape[-1] if x.ndim == 2 or k == 0 else 1 for k, x in enumerate(tensors)]
    return _multiplied(tensors, _splits(sizes), 0, len(tensors) - 1)


def _check_chain(tensors: Sequence[Any]) -> None:
    for k, x in enumerate(tensors):
        if x.ndim != 2 and not (x.ndim == 1 and k in (0, len(tensors) - 1)):
            raise ShapeError(
                "multi_dot: tensor {number} has shape {shape}; expected matrices (only the first and the last may be vectors)",
                number=k,
                shape=tuple(x.shape),
            )


def _splits(sizes: list[int]) -> dict[tuple[int, int], int]:
    """For each run of factors where to cut it last."""
    count = len(sizes) - 1
    cost = {(i, i): 0 for i in range(count)}
    split: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            options = [(cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)]
            cost[i, j], split[i, j] = min(options)
    return split


def _multiplied(tensors: list[Any], split: dict[tuple[int, int], int], i: int, j: int) -> Any:
    if i == j:
        return tensors[i]
    k = split[i, j]
    return apply("matmul", _multiplied(tensors, split, i, k), _multiplied(tensors, split, k + 1, j))


def chain_matmul(*matrices: Any) -> Any:
    """The product of several matrices in the cheapest order.

    y = A₁ A₂ … A_k

    Shapes: matrices (n₀, n₁), (n₁, n₂), … → (n₀, n_k).

    >>> import danlu
    >>> danlu.chain_matmul(danlu.ones(1, 2), danlu.ones(2, 3), danlu.ones(3, 1))
    tensor([[6.]])
    """
    return matrices[0] if len(matrices) == 1 else multi_dot(matrices)


__all__ = ["Products", "cdist", "chain_matmul", "einsum", "tensordot"]
