"""What each mistake with matrices is answered; where the mistake is in the values, when they are computed."""

from __future__ import annotations

import re

import pytest

import danlu
from danlu import linalg

ones, eye = danlu.ones, danlu.eye
SINGULAR = [[1.0, 2.0], [2.0, 4.0]]


def integers(*shape):
    return danlu.ones(*shape, dtype=danlu.int64)


MISTAKES = {
    "inv of a vector": (lambda: linalg.inv(ones(3)), "linalg.inv: the input has shape (3,), and a matrix has at least 2 axes"),
    "inv, not square": (
        lambda: linalg.inv(ones(2, 3)),
        "matrices have shape (2, 3) (input (2, 3)); they must be square, (*, n, n)",
    ),
    "inv of integers": (
        lambda: linalg.inv(integers(2, 2)),
        "the input has dtype int64; linear algebra is computed in float32 or float64",
    ),
    "det, not square": (lambda: linalg.det(ones(2, 3)), "they must be square"),
    "solve, rows": (lambda: linalg.solve(eye(2), ones(3, 1)), "the rows of B must be as many as A has, 2"),
    "solve, columns": (lambda: linalg.solve(eye(2), ones(1, 3), left=False), "the columns of B must be as many as A has, 2"),
    "solve, dtypes": (lambda: linalg.solve(eye(2), ones(2, 1).double()), "A has dtype float32 and B float64; expected one dtype"),
    "solve, batches": (
        lambda: linalg.solve(ones(2, 3, 3), ones(4, 3, 1)),
        "batch axes (2,) and (4,) cannot be broadcast together",
    ),
    "lstsq, rows": (lambda: linalg.lstsq(ones(3, 2), ones(4, 1)), "A has shape (3, 2) and B (4, 1); expected (*, m, n)"),
    "lstsq, driver": (lambda: linalg.lstsq(ones(3, 2), ones(3, 1), driver="qr"), "driver 'qr' is unknown"),
    "qr, mode": (lambda: linalg.qr(eye(2), "full"), "mode 'full' is unknown; expected 'reduced', 'complete' or 'r'"),
    "eigh, UPLO": (lambda: linalg.eigh(eye(2), "X"), "UPLO='X'; expected 'L'"),
    "matrix_power": (lambda: linalg.matrix_power(ones(2, 3), 2), "they must be square"),
    "norm, order": (lambda: linalg.matrix_norm(eye(2), 3), "order 3 is no matrix norm; expected 'fro', 'nuc'"),
    "norm of a vector": (lambda: linalg.matrix_norm(ones(2)), "a matrix norm needs a matrix, got shape (2,)"),
    "norm, one axis twice": (lambda: linalg.matrix_norm(eye(2), "fro", (0, -2)), "names one axis twice"),
    "norm, word": (lambda: linalg.vector_norm(ones(2), "nuc"), "the order of a vector norm is a number, got 'nuc'"),
    "norm of integers": (lambda: linalg.norm(integers(2)), "has dtype int64; a norm is a float: write x.float()"),
    "norm, which axes": (lambda: linalg.norm(ones(2, 2, 2), 1), "say with dim= which axis (vector) or axes (matrix) are meant"),
    "norm, three axes": (lambda: linalg.norm(ones(2, 2, 2), 1, (0, 1, 2)), "names 3 axes"),
    "tensorinv": (lambda: linalg.tensorinv(ones(2, 3), 1), "cuts shape (2, 3) into (2,) and (3,)"),
    "tensorsolve": (lambda: linalg.tensorsolve(ones(2, 3), ones(2)), "A must have B.numel()² elements"),
    "diagonal": (lambda: linalg.diagonal(eye(2), dim1=0, dim2=-2), "a diagonal needs two different axes"),
    "vander": (lambda: linalg.vander(ones(3), 1), "expected at least 2 columns"),
    "householder": (lambda: linalg.householder_product(ones(2, 3), ones(2)), "expected (*, m, n) with m ≥ n"),
    "multi_dot, one": (lambda: linalg.multi_dot([eye(2)]), "expected at least 2 tensors, got 1"),
    "multi_dot, shape": (lambda: linalg.multi_dot([eye(2), ones(2), eye(2)]), "tensor 1 has shape (2,); expected matrices"),
    "mm of vectors": (lambda: eye(2).mm(ones(2)), "mm: got shapes (2, 2) and (2,); expected two matrices"),
    "mm, inner": (lambda: ones(2, 3).mm(ones(2, 3)), "mm: shapes (2, 3) and (2, 3) cannot be multiplied"),
    "mm, dtypes": (
        lambda: eye(2).mm(eye(2).double()),
        "found float32 of shape (2, 2) and float64 of shape (2, 2); convert one: x.to(danlu.float32)",
    ),
    "bmm, batch": (lambda: ones(2, 3, 4).bmm(ones(1, 4, 3)), "bmm: got shapes (2, 3, 4) and (1, 4, 3); expected two stacks"),
    "mv": (lambda: eye(2).mv(ones(3)), "the last axis of the first (2) must equal the only axis of the second (3)"),
    "dot": (lambda: ones(2).dot(eye(2)), "dot: got shapes (2,) and (2, 2); expected two vectors"),
    "inner": (lambda: danlu.inner(ones(2), ones(3)), "the last axes must be equally long, got 2 and 3"),
    "outer": (
        lambda: danlu.outer(eye(2), ones(2)),
        "outer: got shapes (2, 2) and (2,); expected two vectors; flatten them first",
    ),
    "trace": (lambda: danlu.trace(ones(2)), "trace: expected a matrix, got shape (2,)"),
    "addmm, shape": (lambda: danlu.addmm(ones(3, 3), eye(2), eye(2)), "addmm: shapes (3, 3) and (2, 2) cannot be broadcast"),
    "addmm, larger": (
        lambda: danlu.addmm(ones(1, 2, 2), eye(2), eye(2)),
        "has shape (1, 2, 2), and the product (2, 2); expected a shape",
    ),
    "addmm, factor": (
        lambda: danlu.addmm(integers(2, 2), integers(2, 2), integers(2, 2), alpha=0.5),
        "a factor that is no integer",
    ),
    "cross": (lambda: linalg.cross(ones(2), ones(2)), "size 3 on the axis of the product; choose it with dim="),
    "cross, no axis": (lambda: danlu.cross(ones(2), ones(2)), "no axis of shapes (2,) and (2,) has size 3"),
    "cdist": (lambda: danlu.cdist(ones(2, 3), ones(2, 4)), "expected floating (*, n, d) and (*, m, d) with one d"),
    "tensordot, count": (lambda: danlu.tensordot(eye(2), eye(2), 3), "expected 0 … 2"),
    "tensordot, pairs": (lambda: danlu.tensordot(eye(2), eye(2), ([0], [0, 1])), "pairs 1 axes with 2"),
    "tensordot, sizes": (lambda: danlu.tensordot(ones(2, 3), ones(2, 3), 1), "they have sizes 3 and 2 and must be equal"),
    "einsum, operands": (lambda: danlu.einsum("ij,jk", eye(2)), "names 2 operands and 1 were given"),
    "einsum, label": (lambda: danlu.einsum("i1->i", eye(2)), "'1' is no label; labels are letters"),
    "einsum, axes": (lambda: danlu.einsum("ijk->i", eye(2)), "'ijk' names 3 axes, and the operand has 2, shape (2, 2)"),
    "einsum, result": (lambda: danlu.einsum("ij->ik", eye(2)), "label 'k' of the result is in no operand"),
    "einsum, twice": (lambda: danlu.einsum("ij->ii", eye(2)), "label 'i' of the result occurs twice"),
    "einsum, sizes": (
        lambda: danlu.einsum("ij,jk", ones(2, 3), ones(2, 3)),
        "label 'j' has sizes 3 and 2 (shapes (2, 3), (2, 3))",
    ),
    "einsum, diagonal": (lambda: danlu.einsum("ii->i", ones(1, 3)), "'i' is repeated on axes of sizes 1 and 3"),
    "einsum, dtypes": (lambda: danlu.einsum("i,i", ones(2), ones(2).double()), "einsum: expected operands of one dtype"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_at_the_call(name):
    call, text = MISTAKES[name]
    with pytest.raises(danlu.DanluError, match=re.escape(text)):
        call()


IN_VALUES = {
    "inv": (
        lambda x: linalg.inv(x),
        "linalg.inv of shape (2, 2): singular matrix. No inverse exists; write danlu.linalg.lstsq or pinv",
    ),
    "solve": (lambda x: linalg.solve(x, ones(2, 1)), "linalg.solve of shape (2, 2) and (2, 1): singular matrix"),
    "cholesky": (lambda x: linalg.cholesky(-x), "not positive definite. All eigenvalues of a symmetric A must be > 0"),
    "svd": (lambda x: linalg.svd(x * float("nan")).S, "The input holds NaN or infinity"),
}


@pytest.mark.parametrize("name", IN_VALUES)
def test_a_matrix_without_the_property_is_named_when_it_is_computed(name):
    call, text = IN_VALUES[name]
    with pytest.raises(linalg.LinAlgError, match=re.escape(text)):
        call(danlu.tensor(SINGULAR)).numpy()


def test_factors_that_are_not_determined_have_no_derivative():
    x = ones(3, 2, requires_grad=True)
    with pytest.raises(danlu.GradientError, match=re.escape("linalg.qr(mode='complete') of shape (3, 2) has no derivative")):
        linalg.qr(x, "complete").R.sum().backward()
        x.grad.numpy()
