"""The tails of the gamma distribution against exact values, and the derivatives of its distribution function."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import danlu
from danlu.tensor import apply
from danlu.testing import gradcheck

RATIOS = [1e-8, 0.01, 0.5, 0.9, 1.0, 1.0001, 1.1, 2.0, 10.0]


@pytest.mark.parametrize("a", [1e-8, 1e-3, 0.3, 1.0, 3.0, 30.0, 1e3, 1e5])
def test_the_nearer_tail_over_the_density(a):
    logs = np.log(a * np.array(RATIOS))
    found = apply("gamma_tail", danlu.full((len(logs),), a, dtype=danlu.float64), danlu.tensor(logs), k=0)[0].numpy()
    with mpmath.workdps(40):
        for log_x, got in zip(map(float, logs), found):
            x = mpmath.mpf(float(np.exp(log_x)))
            density = mpmath.exp(a * mpmath.log(x) - x - mpmath.loggamma(a))
            ends = (0, x) if x <= a else (x, mpmath.inf)
            assert got == pytest.approx(float(mpmath.gammainc(a, *ends, regularized=True) / density), rel=1e-12)


def test_moments_of_a_tail():
    """T_k(a, log x) for x → 0 is ∫ t^k e^(-at) dt = k! / a^(k+1)."""
    a = danlu.tensor([0.5, 2.0, 9.0], dtype=danlu.float64)
    for k, factorials in enumerate([(1, 1), (1, 2), (2, 6)]):
        both = apply("gamma_tail", a, danlu.full((3,), -300.0, dtype=danlu.float64), k=k)
        for n, (found, factorial) in enumerate(zip(both, factorials), k + 1):
            np.testing.assert_allclose(found.numpy(), factorial / a.numpy() ** n, rtol=1e-11)


def test_distribution_function():
    special = pytest.importorskip("scipy.special")
    a, x = np.meshgrid([0.01, 0.5, 1, 7, 300], [0, 1e-300, 1e-3, 0.4, 1, 6, 300, 1e4, np.inf])
    np.testing.assert_allclose(danlu.tensor(a).igamma(danlu.tensor(x)).numpy(), special.gammainc(a, x), rtol=1e-12)
    np.testing.assert_allclose(danlu.tensor(a).igammac(danlu.tensor(x)).numpy(), special.gammaincc(a, x), rtol=1e-12)
    assert np.isnan(danlu.tensor([1.0]).igamma(danlu.tensor([np.nan])).numpy()).all()
    assert danlu.tensor([2.0]).igamma(danlu.tensor([1.0])).dtype is danlu.float32


def test_distribution_function_is_differentiable_in_both_arguments():
    a = danlu.tensor([0.4, 2.0, 5.0, 30.0], dtype=danlu.float64, requires_grad=True)
    x = danlu.tensor([0.1, 3.0, 4.0, 33.0], dtype=danlu.float64, requires_grad=True)
    for function in (danlu.igamma, danlu.igammac):
        assert gradcheck(function, [a, x])


def test_at_0_the_slope_is_the_density():
    x = danlu.zeros(3, requires_grad=True)
    danlu.tensor([1.0, 2.0, 0.5]).igamma(x).sum().backward()
    assert x.grad.tolist() == [1.0, 0.0, float("inf")]


def test_refusals():
    with pytest.raises(
        danlu.DTypeError, match=r"^gamma_tail: a is float32\[2\] and log x is float32\[3\]; expected one shape and dtype"
    ):
        apply("gamma_tail", danlu.zeros(2), danlu.zeros(3), k=0)
