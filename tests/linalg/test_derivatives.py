"""Every op of linear algebra: both first derivatives and the second, against differences in float64, on stacks of matrices."""

from __future__ import annotations

import numpy as np
import pytest
from differences import check_derivatives

from danlu.ops.table import o

rng = np.random.default_rng(3)
SQUARE = rng.normal(size=(2, 3, 3)) + 2 * np.eye(3)
OTHER = rng.normal(size=(2, 3, 3)) - 2 * np.eye(3)
TALL, WIDE = rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 2, 4))
SYMMETRIC = SQUARE + np.swapaxes(SQUARE, -1, -2)
POSITIVE = SQUARE @ np.swapaxes(SQUARE, -1, -2) + np.eye(3)
RIGHT = rng.normal(size=(2, 3, 2))


def second(x):
    """Vectors with a sign that LAPACK chose: their squares are what is determined."""
    return o.mul(x, x)


GENERAL = {
    "inv": (lambda x: o.inv(x), SQUARE),
    "solve": (lambda a, b: o.solve(a, b, left=True), SQUARE, RIGHT),
    "solve from the right": (lambda a, b: o.solve(a, b, left=False), SQUARE, np.swapaxes(RIGHT, -1, -2).copy()),
    "solve a vector": (lambda a, b: o.solve(a, b, left=True), SQUARE[0], RIGHT[0, :, 0].copy()),
    "solve upper": (lambda a, b: o.solve_triangular(a, b, upper_=True, left=True, unitriangular=False), SQUARE, RIGHT),
    "solve lower, ones": (lambda a, b: o.solve_triangular(a, b, upper_=False, left=True, unitriangular=True), SQUARE, RIGHT),
    "det": (lambda x: o.det(x), SQUARE),
    "cofactor": (lambda x: o.cofactor(x), SQUARE),
    "logdet": (lambda x: o.logdet(x), POSITIVE),
    "slogdet": (lambda x: o.slogdet(x)[1], SQUARE),
    "qr: Q": (lambda x: o.qr(x, complete=False)[0], TALL),
    "qr: R": (lambda x: o.qr(x, complete=False)[1], TALL),
    "wide qr": (lambda x: o.matmul(o.qr(x, complete=False)[0], o.qr(x, complete=False)[1]), WIDE),
    "wide qr: R": (lambda x: o.qr(x, complete=True)[1], WIDE),
    "svd: U": (lambda x: second(o.svd(x, full=False)[0]), TALL),
    "svd: S": (lambda x: o.svd(x, full=False)[1], TALL),
    "svd: V": (lambda x: second(o.svd(x, full=False)[2]), WIDE),
    "svdvals": (lambda x: o.svdvals(x), WIDE),
    "pinv, tall": (lambda x: o.pinv(x, given="", hermitian=False), TALL),
    "pinv, wide": (lambda x: o.pinv(x, given="", hermitian=False), WIDE),
    "matrix_exp": (lambda x: o.matrix_exp(x), SQUARE),
    "matrix_power": (lambda x: o.matrix_power(x, n=5), SQUARE / 3),
    "a negative power": (lambda x: o.matrix_power(x, n=-2), SQUARE),
    "householder": (lambda x, tau: o.householder_product(x, tau), TALL, rng.normal(size=(2, 2))),
    "einsum": (lambda x, y, z: o.einsum(x, y, z, equation="bij,bjk,bkl->bil"), SQUARE, OTHER, RIGHT),
    "a diagonal": (lambda x: o.einsum(x, equation="bii->bi"), SQUARE),
    "cross": (lambda x, y: o.cross(x, y, dim=-1), SQUARE, OTHER),
    "kron": (lambda x, y: o.kron(x, y), SQUARE[0], RIGHT[0]),
    "cdist": (lambda x, y: o.cdist(x, y, p=2.0), SQUARE, OTHER),
    "cdist, p = 3": (lambda x, y: o.cdist(x, y, p=3.0), SQUARE, OTHER),
    "matrix_trace": (lambda x: o.matrix_trace(x), SQUARE[0]),
    "inner": (lambda x, y: o.inner(x, y), SQUARE[0], OTHER[1]),
}
IN_SYMMETRIC = {
    "cholesky": (lambda x: o.cholesky(x), POSITIVE),
    "eigh: values": (lambda x: o.eigh(x, lower=True)[0], SYMMETRIC),
    "eigh: vectors": (lambda x: second(o.eigh(x, lower=True)[1]), SYMMETRIC),
    "eigvalsh": (lambda x: o.eigvalsh(x, lower=True), SYMMETRIC),
    "pinv": (lambda x: o.pinv(x, given="", hermitian=True), SYMMETRIC),
}


@pytest.mark.parametrize("name", GENERAL)
def test_derivatives(name):
    build, *arrays = GENERAL[name]
    check_derivatives(build, *arrays)


@pytest.mark.parametrize("name", IN_SYMMETRIC)
def test_derivatives_among_symmetric_matrices(name):
    build, *arrays = IN_SYMMETRIC[name]
    check_derivatives(build, *arrays, symmetric=True)


@pytest.mark.parametrize("p", [0.5, 1.0, 1.5, 2.0, 3.0, -1.0, float("inf"), float("-inf")])
def test_derivatives_of_norms(p):
    check_derivatives(lambda x: o.vector_norm(x, p=p, dims=(1,), keepdim=False), SQUARE)
