"""danlu.fft: values against numpy.fft and the definition, derivatives of both orders and directions against differences."""

from __future__ import annotations

import numpy as np
import pytest

import danlu
from danlu.errors import AxisError, DTypeError, ShapeError
from danlu.testing import gradcheck

RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(3, 4, 5))
X = REAL + 1j * RNG.normal(size=(3, 4, 5))
ONE = ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"]
SEVERAL = ["fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn"]


def suited(name: str) -> np.ndarray:
    """Real numbers for the transforms that take no others."""
    return REAL if name.startswith(("rfft", "ihfft")) else X


def test_the_definition():
    n, x = 7, X[0, 0].repeat(2)[:7]
    wanted = [sum(x[j] * np.exp(-2j * np.pi * j * k / n) for j in range(n)) for k in range(n)]
    np.testing.assert_allclose(danlu.fft.fft(danlu.tensor(x)).numpy(), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize("name", ONE)
def test_one_axis(name, norm):
    x = suited(name)
    for n, dim in ((None, -1), (3, 0), (8, 1)):
        found = getattr(danlu.fft, name)(danlu.tensor(x), n, dim, norm).numpy()
        np.testing.assert_allclose(found, getattr(np.fft, name)(x, n, dim, norm), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", SEVERAL)
def test_several_axes(name):
    x = suited(name)
    for s, dim in ((None, None), ((4, 6), (0, 2)), ((2, 9), (1, 0))):
        if dim is None and name.endswith("2"):
            continue
        found = getattr(danlu.fft, name)(danlu.tensor(x), s, dim).numpy()
        np.testing.assert_allclose(found, getattr(np.fft, name)(x, s, dim), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["hfft2", "hfftn"])
def test_hermitian_transforms_of_several_axes(name):
    """The definition: the real transform of the conjugate, and back."""
    x = danlu.tensor(X)
    y = getattr(danlu.fft, name)(x, (4, 5), (0, 2))
    np.testing.assert_allclose(y.numpy(), np.fft.irfftn(X.conj(), (4, 5), (0, 2), norm="forward"), rtol=1e-12, atol=1e-12)
    back = getattr(danlu.fft, "i" + name)(y, (4, 5), (0, 2))
    again = getattr(danlu.fft, name)(back, (4, 5), (0, 2))
    np.testing.assert_allclose(again.numpy(), y.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", [*ONE, "fft2", "irfft2", "rfftn", "hfftn", "ihfft2"])
def test_derivatives(name):
    x = danlu.tensor(suited(name)[:2, :2, :3], requires_grad=True)
    for sizes in ((None, None), (4, 3)):
        if name in ONE:
            assert gradcheck(lambda x, n=sizes[0]: getattr(danlu.fft, name)(x, n).abs() ** 2, [x])
        else:
            s = None if sizes[0] is None else sizes
            assert gradcheck(lambda x, s=s: getattr(danlu.fft, name)(x, s, (0, 2), "ortho").abs() ** 2, [x], order=1)


@pytest.mark.parametrize("name", ONE)
def test_forward_derivatives_are_transforms_of_the_tangent(name):
    x, dx = danlu.tensor(suited(name)), danlu.tensor(suited(name) * 2 - 1)
    _, tangent = danlu.func.jvp(getattr(danlu.fft, name), (x,), (dx,))
    np.testing.assert_allclose(tangent.numpy(), getattr(danlu.fft, name)(dx).numpy(), rtol=1e-12, atol=1e-12)


def test_dtypes():
    single = danlu.tensor(REAL.astype(np.float32))
    assert danlu.fft.rfft(single).dtype is danlu.complex64 and danlu.fft.irfft(danlu.fft.rfft(single)).dtype is danlu.float32
    assert (
        danlu.fft.fft(danlu.arange(4)).dtype is danlu.complex64 and danlu.fft.rfft(danlu.tensor(REAL)).dtype is danlu.complex128
    )
    assert danlu.fft.fftfreq(4, dtype=danlu.float64, requires_grad=True).requires_grad


def test_a_convolution_is_a_product_of_transforms():
    x, w = danlu.randn(8), danlu.randn(8)
    wanted = [sum(x[j].item() * w[(k - j) % 8].item() for j in range(8)) for k in range(8)]
    found = danlu.fft.irfft(danlu.fft.rfft(x) * danlu.fft.rfft(w))
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4, atol=1e-5)


def test_vmap():
    x = danlu.tensor(X[0])
    np.testing.assert_allclose(danlu.func.vmap(danlu.fft.fft)(x).numpy(), np.fft.fft(X[0]), rtol=1e-12)


x = danlu.ones(2, 3)
MESSAGES = [
    (
        lambda: danlu.fft.fft(x, norm="both"),
        ShapeError,
        "fft.fft: norm='both' is unknown; expected 'backward', 'ortho' or 'forward'",
    ),
    (lambda: danlu.fft.fft(x, 0), ShapeError, r"fft.fft: shape \(2, 3\) gives transforms of \(0,\) points; expected 1 or more"),
    (lambda: danlu.fft.fftn(x, dim=(0, -2)), AxisError, r"fft.fftn: dim=\(0, -2\) names one axis twice; name each once"),
    (
        lambda: danlu.fft.fftn(x, (1, 2), (0,)),
        ShapeError,
        r"fft.fftn: s=\(1, 2\) and dim=\(0,\) differ in length; give one size for each",
    ),
    (
        lambda: danlu.fft.fftn(x, (1, 2, 3)),
        ShapeError,
        r"fft.fftn: s=\(1, 2, 3\) names 3 sizes, and the shape \(2, 3\) has 2 axes",
    ),
    (
        lambda: danlu.fft.rfft(x.cfloat()),
        DTypeError,
        "fft.rfft: the input has dtype complex64; expected real numbers: take x.real, or fft",
    ),
    (
        lambda: danlu.fft.fft(x.half()),
        DTypeError,
        "fft.fft: the input has dtype float16; expected float32 or float64: write x.float",
    ),
    (lambda: danlu.fft.rfftn(x, dim=()), ShapeError, "fft.rfftn: there is no axis to transform; expected at least one in dim"),
]


@pytest.mark.parametrize("call, error, text", MESSAGES)
def test_messages(call, error, text):
    with pytest.raises(error, match=text):
        call()
