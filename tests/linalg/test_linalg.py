"""danlu.linalg against NumPy: values on stacks, compiled and uncompiled; gradients where a formula has a special case."""

from __future__ import annotations

import numpy as np
import pytest

import danlu
from danlu.config import config

rng = np.random.default_rng(5)
A = rng.normal(size=(2, 3, 3)) + 2 * np.eye(3)
B = rng.normal(size=(2, 3, 2))
TALL, WIDE = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 3, 5))
POSITIVE = A @ np.swapaxes(A, -1, -2) + np.eye(3)
LOW_RANK = TALL[0] @ rng.normal(size=(3, 5))
LINALG = danlu.linalg


@pytest.fixture(params=[True, False], ids=["compiled", "interpreted"], autouse=True)
def mode(request, monkeypatch):
    monkeypatch.setattr(config, "optimize", request.param)


def t(x, dtype=danlu.float64) -> danlu.Tensor:
    return danlu.tensor(x).to(dtype)


def close(got, expected, rtol=1e-9) -> None:
    np.testing.assert_allclose(got.numpy(), expected, rtol=rtol, atol=1e-10)
    assert got.dtype is danlu.float64 or got.numpy().dtype.kind != "f"


def test_equations():
    close(LINALG.inv(t(A)), np.linalg.inv(A))
    close(LINALG.solve(t(A), t(B)), np.linalg.solve(A, B))
    close(LINALG.solve(t(A), t(B[:, :, 0])), np.linalg.solve(A, B[:, :, :1])[..., 0])
    close(LINALG.solve(t(A[0]), t(B)), np.linalg.solve(A[:1], B))
    close(LINALG.solve(t(A), t(np.swapaxes(B, -1, -2).copy()), left=False) @ t(A), np.swapaxes(B, -1, -2))


@pytest.mark.parametrize("upper", [True, False])
@pytest.mark.parametrize("unit", [True, False])
def test_triangular_equations_read_one_triangle(upper, unit):
    full = np.triu(A) if upper else np.tril(A)
    if unit:
        full = full - full * np.eye(3) + np.eye(3)
    close(LINALG.solve_triangular(t(A), t(B), upper=upper, unitriangular=unit), np.linalg.solve(full, B))


def test_determinants():
    close(LINALG.det(t(A)), np.linalg.det(A))
    sign, size = LINALG.slogdet(t(-A))
    close(sign, np.linalg.slogdet(-A)[0])
    close(size, np.linalg.slogdet(-A)[1])
    close(danlu.logdet(t(POSITIVE)), np.log(np.linalg.det(POSITIVE)))
    assert danlu.logdet(t(np.diag([1.0, -1.0]))).isnan().item()
    assert danlu.logdet(t(np.zeros((2, 2)))).item() == -np.inf


def test_the_gradient_of_the_determinant_of_singular_matrices_is_the_cofactors():
    x = t([[1.0, 2.0], [2.0, 4.0]]).requires_grad_()
    LINALG.det(x).backward()
    close(x.grad, [[4.0, -2.0], [-2.0, 1.0]])


def test_factorisations_multiply_to_the_matrix():
    close(LINALG.cholesky(t(POSITIVE)), np.linalg.cholesky(POSITIVE))
    close(LINALG.cholesky(t(POSITIVE), upper=True), np.swapaxes(np.linalg.cholesky(POSITIVE), -1, -2))
    for x in (TALL, WIDE):
        for mode in ("reduced", "complete"):
            q, r = LINALG.qr(t(x), mode)
            close(q @ r, x)
            close(q.mT @ q, np.broadcast_to(np.eye(q.shape[-1]), (2, q.shape[-1], q.shape[-1])))
            close(danlu.zeros(1, dtype=danlu.float64) + abs(np.tril(r.numpy(), -1)).max(), [0.0])
        u, s, vt = LINALG.svd(t(x), full_matrices=False)
        close((u * s.unsqueeze(-2)) @ vt, x)
        close(LINALG.svdvals(t(x)), np.linalg.svd(x, compute_uv=False))
    w, v = LINALG.eigh(t(POSITIVE))
    close((v * w.unsqueeze(-2)) @ v.mT, POSITIVE)
    close(LINALG.eigvalsh(t(A), UPLO="U"), np.linalg.eigvalsh(A, "U"))


def test_equal_eigenvalues_have_a_gradient_where_only_values_are_used():
    x = t(np.eye(3)).requires_grad_()
    LINALG.eigh(x).eigenvalues.sum().backward()
    close(x.grad, np.eye(3))


def test_pseudo_inverse_and_rank():
    close(LINALG.pinv(t(WIDE)), np.linalg.pinv(WIDE))
    close(LINALG.pinv(t(LOW_RANK)), np.linalg.pinv(LOW_RANK, 1e-12), rtol=1e-7)
    close(LINALG.pinv(t(POSITIVE), hermitian=True), np.linalg.inv(POSITIVE))
    close(LINALG.pinv(t(np.diag([4.0, 1.0])), rtol=0.5), np.diag([0.25, 0.0]))
    close(LINALG.pinv(t(np.diag([4.0, 1.0])), atol=danlu.tensor(2.0)), np.diag([0.25, 0.0]))
    assert LINALG.matrix_rank(t(LOW_RANK)).item() == 3
    assert LINALG.matrix_rank(t(np.diag([4.0, 1.0])), atol=2.0).item() == 1
    assert LINALG.matrix_rank(t(np.diag([-4.0, 1.0])), hermitian=True, rtol=0.5).item() == 1
    assert LINALG.matrix_rank(t(A)).tolist() == [3, 3]


def test_least_squares():
    right = rng.normal(size=(5, 2))
    found = LINALG.lstsq(t(TALL[0]), t(right), driver="gelsd")
    solution, residuals, rank, values = np.linalg.lstsq(TALL[0], right, rcond=None)
    close(found.solution, solution)
    close(found.residuals, residuals)
    close(found.singular_values, values)
    assert found.rank.item() == rank
    assert LINALG.lstsq(t(TALL[0]), t(right)).residuals.numel() == 0
    close(LINALG.lstsq(t(WIDE), t(B[..., 0])).solution, (np.linalg.pinv(WIDE) @ B[..., :1])[..., 0])


@pytest.mark.parametrize("scale", [0.0, 1e-3, 1.0, 30.0])
def test_the_exponential_of_a_matrix(scale):
    """Against the exponentials of eigenvalues, for a symmetric matrix."""
    symmetric = scale * (A[0] + A[0].T) / 8
    w, v = np.linalg.eigh(symmetric)
    close(LINALG.matrix_exp(t(symmetric)), (v * np.exp(w)) @ v.T, rtol=1e-10 * max(1.0, np.exp(w.max() - w.min())))


def test_powers():
    for n in (-3, -1, 0, 1, 2, 7):
        close(LINALG.matrix_power(t(A), n), np.linalg.matrix_power(A, n))


@pytest.mark.parametrize("order", ["fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
@pytest.mark.parametrize("keepdim", [True, False])
def test_norms_of_matrices(order, keepdim):
    close(LINALG.matrix_norm(t(TALL), order, keepdim=keepdim), np.linalg.norm(TALL, order, (-2, -1), keepdim))
    close(LINALG.norm(t(TALL), order, (2, 0), keepdim), np.linalg.norm(TALL, order, (2, 0), keepdim))
    if order not in (-2, -1, -np.inf):
        assert LINALG.norm(danlu.zeros(0, 0, dtype=danlu.float64), order).item() == 0


@pytest.mark.parametrize("order", [0, 0.5, 1, 2, 3.5, -1, -2, np.inf, -np.inf])
def test_norms_of_vectors(order):
    close(LINALG.vector_norm(t(A), order, 1), np.linalg.norm(A, order, 1))
    close(danlu.norm(t(A), order, 1, True), np.linalg.norm(A, order, 1, True))
    close(LINALG.norm(t(A)), np.sqrt((A**2).sum()))


def test_the_gradient_of_a_norm_at_zero_is_zero():
    for order in (0.5, 1, 2, 3):
        x = danlu.zeros(3, requires_grad=True)
        LINALG.vector_norm(x, order).backward()
        assert x.grad.tolist() == [0, 0, 0]


def test_condition_numbers():
    for order in (None, 1, -1, 2, -2, np.inf, "fro", "nuc"):
        close(LINALG.cond(t(A), order), np.linalg.cond(A, order))


def test_tensors_as_matrices():
    x = rng.normal(size=(2, 3, 6))
    close(LINALG.tensorinv(t(x)), np.linalg.tensorinv(x, 2))
    close(LINALG.tensorsolve(t(x), t(B[0].T.copy())), np.linalg.tensorsolve(x, B[0].T))
    moved = np.moveaxis(x, -1, 0).copy()
    close(LINALG.tensorsolve(t(moved), t(B[0].T.copy()), dims=(0,)), np.linalg.tensorsolve(x, B[0].T))


def test_pieces():
    close(LINALG.vander(t([1.0, 2.0, 3.0])), np.vander([1.0, 2.0, 3.0], increasing=True))
    for offset in (-6, -4, -1, 0, 1, 3):
        close(LINALG.diagonal(t(TALL), offset=offset), np.diagonal(TALL, offset, -2, -1))
    close(LINALG.vecdot(t(A), t(A[0])), (A * A[0]).sum(-1))
    close(
        LINALG.multi_dot([t(A[0, 0]), t(A[0]), t(B[0]), t(B[1].T.copy()), t(A[1, 0])]),
        np.linalg.multi_dot([A[0, 0], A[0], B[0], B[1].T, A[1, 0]]),
    )
    reflectors = LINALG.householder_product(t(TALL[0]), t([0.0, 0.0]))
    close(reflectors, np.eye(5, 3))


def test_solutions_from_a_factor():
    factor = LINALG.cholesky(t(POSITIVE))
    for upper in (False, True):
        given = factor.mT if upper else factor
        close(danlu.cholesky_solve(t(B), given, upper), np.linalg.solve(POSITIVE, B))
        close(danlu.cholesky_inverse(given, upper), np.linalg.inv(POSITIVE))
    close(danlu.triangular_solve(t(B), t(A), transpose=True).solution, np.linalg.solve(np.swapaxes(np.triu(A), -1, -2), B))
    u, s, v = t(TALL).svd()
    close((u * s.unsqueeze(-2)) @ v.mT, TALL)
    close(t(TALL).svd(compute_uv=False).S, s.numpy())
    q, r = t(TALL).qr()
    close(q @ r, TALL)
    close(t(WIDE).pinverse(), np.linalg.pinv(WIDE))


def test_empty_matrices():
    empty = danlu.zeros(2, 0, 0, dtype=danlu.float64)
    assert LINALG.det(empty).tolist() == [1, 1]
    assert LINALG.inv(empty).shape == (2, 0, 0)
    assert LINALG.matrix_exp(empty).shape == (2, 0, 0)
    assert LINALG.matrix_rank(empty).tolist() == [0, 0]


def test_float32_stays_float32():
    x = t(A, danlu.float32)
    for y in (
        LINALG.inv(x),
        LINALG.det(x),
        LINALG.svdvals(x),
        LINALG.matrix_exp(x),
        LINALG.pinv(x),
        LINALG.norm(x),
        LINALG.cond(x),
    ):
        assert y.dtype is danlu.float32
    np.testing.assert_allclose(LINALG.inv(x).numpy(), np.linalg.inv(A), rtol=1e-4)
