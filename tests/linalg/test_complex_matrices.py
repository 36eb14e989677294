"""Linear algebra of complex matrices, and eigenvalues of any matrices: defining equations, and derivatives against differences."""

from __future__ import annotations

import numpy as np
import pytest

import danlu
from danlu.errors import ShapeError
from danlu.testing import gradcheck

RNG = np.random.default_rng(3)


def numbers(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


A, TALL, WIDE = numbers(3, 3), numbers(3, 2), numbers(2, 3)
la = danlu.linalg


def hermitian(a):
    return a @ a.mH + danlu.eye(a.shape[-1], dtype=a.dtype)


CASES = {
    "inv": (la.inv, A), "det": (la.det, A), "slogdet": (lambda a: tuple(la.slogdet(a)), A), "solve": (lambda a: la.solve(a, a[:, :2].conj()), A),
    "cholesky": (lambda a: la.cholesky(hermitian(a)), A), "cholesky upper": (lambda a: la.cholesky(hermitian(a), upper=True), A),
    "qr": (lambda a: tuple(la.qr(a)), TALL), "qr wide": (lambda a: tuple(la.qr(a)), WIDE), "eigvalsh": (lambda a: la.eigvalsh(hermitian(a)), A),
    "eigh": (lambda a: _product(*la.eigh(hermitian(a))), A), "svd": (lambda a: _spectrum(*la.svd(a, False)), TALL),
    "svd wide": (lambda a: _spectrum(*la.svd(a, False)), WIDE), "svdvals": (la.svdvals, TALL), "pinv": (la.pinv, TALL), "pinv wide": (la.pinv, WIDE),
    "matrix_exp": (la.matrix_exp, A), "matrix_power": (lambda a: la.matrix_power(a, 3), A), "nuclear": (lambda a: la.matrix_norm(a, "nuc"), A),
    "eigvals": (lambda a: la.eigvals(a).abs().sum(), A), "eig": (lambda a: _eigen(*la.eig(a)), A),
    "eigvals of real": (lambda a: la.eigvals(a).abs().sum(), A.real), "eig of real": (lambda a: _eigen(*la.eig(a)), A.real),
}  # fmt: skip


def _product(w, v):
    return (v * w.exp()) @ v.mH, w


def _spectrum(u, s, vh):
    return (u * s.exp()) @ vh, s, u.abs()


def _eigen(w, v):
    return v.abs().sum(0).sum(), (v * w.exp()) @ la.inv(v)


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name):
    f, a = CASES[name]
    assert gradcheck(f, [danlu.tensor(a, requires_grad=True)], order=1)


@pytest.mark.parametrize("name", ["inv", "det", "cholesky", "qr", "eigh", "svd", "eig", "eig of real", "slogdet", "eigvals"])
def test_forward_derivatives_agree_with_reverse(name):
    f, a = CASES[name]
    x, dx = danlu.tensor(a), danlu.tensor(numbers(*a.shape) if a.dtype.kind == "c" else RNG.normal(size=a.shape))
    ys, tangents = danlu.func.jvp(f, (x,), (dx,))
    ys, tangents = (r if isinstance(r, tuple) else (r,) for r in (ys, tangents))
    gs = tuple(danlu.tensor(numbers(*y.shape) if y.is_complex() else RNG.normal(size=y.shape)) for y in ys)
    _, pull = danlu.func.vjp(f, x)
    (gx,) = pull(gs if len(gs) > 1 else gs[0])
    left = sum((t * g.conj()).sum().real.item() for t, g in zip(tangents, gs))
    assert left == pytest.approx((dx * gx.conj()).sum().real.item(), rel=1e-8)


@pytest.mark.parametrize("name", ["inv", "det", "eigvalsh", "matrix_power"])
def test_second_derivatives(name):
    f, a = CASES[name]
    assert gradcheck(f, [danlu.tensor(a, requires_grad=True)])


@pytest.mark.parametrize("a", [A, A.real, numbers(2, 4, 4), numbers(0, 0)], ids=["complex", "real", "batch", "empty"])
def test_eigenvectors(a):
    x = danlu.tensor(a)
    w, v = la.eig(x)
    assert w.dtype is v.dtype is danlu.complex128
    np.testing.assert_allclose((x.cdouble() @ v).numpy(), (v * w.unsqueeze(-2)).numpy(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(v.norm(dim=-2).numpy(), np.ones(w.shape), rtol=1e-9)
    np.testing.assert_allclose(np.sort_complex(la.eigvals(x).numpy()), np.sort_complex(w.numpy()), rtol=1e-8)


def test_single_precision():
    x = danlu.tensor(A.astype(np.complex64))
    assert la.eig(x.real).eigenvalues.dtype is danlu.complex64 and la.inv(x).dtype is danlu.complex64
    assert la.svdvals(x).dtype is danlu.float32


def test_message():
    with pytest.raises(ShapeError, match=r"linalg.eig: the matrices have shape \(2, 3\)"):
        la.eig(danlu.ones(2, 3))
