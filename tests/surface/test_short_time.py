"""The short-time Fourier transform: against NumPy's spectra of frames, its own inverse, differences, and PyTorch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import danlu
from danlu import DTypeError, ShapeError
from danlu.testing import gradcheck

RNG = np.random.default_rng(0)
SIGNAL = RNG.normal(size=(2, 40))


def test_a_frame_is_transformed_as_numpy_does():
    window = np.hanning(7)[:-1]
    found = danlu.stft(danlu.tensor(SIGNAL[0]), 8, 3, 6, danlu.tensor(window), return_complex=True).numpy()
    padded, whole = np.pad(SIGNAL[0], 4, mode="reflect"), np.pad(window, 1)
    wanted = np.stack([np.fft.rfft(padded[t : t + 8] * whole) for t in range(0, 41, 3)], 1)
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    pairs = danlu.stft(danlu.tensor(SIGNAL[0]), 8, 3, 6, danlu.tensor(window), return_complex=False)
    np.testing.assert_array_equal(danlu.view_as_complex(pairs).numpy(), found)


@pytest.mark.parametrize("given", [{}, {"normalized": True}, {"onesided": False}, {"hop_length": 2, "win_length": 6}])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_inverse_gives_the_signal_back(given, dtype):
    x = danlu.tensor(SIGNAL.astype(dtype))
    window = danlu.hann_window(given.get("win_length", 8), dtype=x.dtype)
    y = danlu.stft(x, 8, window=window, return_complex=True, **given)
    found = danlu.istft(y, 8, window=window, **given)
    assert found.dtype is x.dtype
    np.testing.assert_allclose(found.numpy(), SIGNAL, atol=1e-12 if dtype == "float64" else 1e-5)
    for length in (33,) if given else (33, 50):
        wanted = np.pad(SIGNAL, [(0, 0), (0, 10)])[:, :length]
        found = danlu.istft(y, 8, window=window, length=length, **given)
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found.numpy()[:, :38], wanted[:, :38], atol=1e-12 if dtype == "float64" else 1e-5)


def test_derivatives():
    window = danlu.hann_window(8, dtype=danlu.float64)
    x = danlu.tensor(SIGNAL[0, :12], requires_grad=True)
    assert gradcheck(lambda x: danlu.stft(x, 8, window=window, return_complex=True), [x])
    y = danlu.stft(x.detach(), 8, window=window, return_complex=True).requires_grad_()
    assert gradcheck(lambda y: danlu.istft(y, 8, window=window), [y])


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore:A window was not provided")
@pytest.mark.parametrize(
    "win, center", [(None, True), (None, False), (6, True)]
)  # 6 points of 8: without centring the ends have weight 0
@pytest.mark.parametrize("hop, normalized", list(itertools.product((None, 3), (True, False))))
def test_every_argument_means_what_pytorch_means(hop, win, center, normalized):
    torch = pytest.importorskip("torch")
    for x, onesided in ((SIGNAL, True), (SIGNAL[0], False), (SIGNAL + 1j * SIGNAL[::-1], None)):
        given = {"center": center, "normalized": normalized, "onesided": onesided, "return_complex": True}
        window = np.hanning((win or 8) + 2)[1:-1]
        ours = danlu.stft(danlu.tensor(x), 8, hop, win, danlu.tensor(window), **given)
        theirs = torch.stft(torch.tensor(x), 8, hop, win, torch.tensor(window), **given)
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-12)
        given["return_complex"] = np.iscomplexobj(x)
        ours = danlu.istft(ours, 8, hop, win, danlu.tensor(window), length=30, **given)
        theirs = torch.istft(theirs, 8, hop, win, torch.tensor(window), length=30, **given)
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-12)


X, Y = danlu.tensor(SIGNAL), danlu.ones(2, 5, 3, dtype=danlu.complex64)
REFUSED = [
    (lambda: danlu.stft(X, 8, 0), ShapeError, "stft: n_fft=8, hop_length=0, win_length=8; expected hop_length of 1 or more"),
    (lambda: danlu.stft(X, 8, window=danlu.ones(9)), ShapeError, r"the window has shape \(9,\); expected \(8,\)"),
    (lambda: danlu.stft(X[None], 8, return_complex=True), ShapeError, r"the input has shape \(1, 2, 40\); expected \(L\) or \(N, L\)"),
    (lambda: danlu.stft(X, 8), DTypeError, "stft of a real signal: write return_complex=True"),
    (lambda: danlu.stft(X + 0j, 8, onesided=True), DTypeError, "their spectrum has two sides; leave onesided out"),
    (lambda: danlu.stft(X, 80, center=False, return_complex=True), ShapeError, "40 points are less than one frame of n_fft=80"),
    (lambda: danlu.istft(X, 8), DTypeError, "istft: the input is float64; expected complex numbers"),
    (lambda: danlu.istft(Y[:, :4], 8), ShapeError, r"the input has shape \(2, 4, 3\); expected \(5, T\) or \(N, 5, T\) for n_fft=8"),
    (lambda: danlu.istft(Y, 8, window=danlu.zeros(8)), ShapeError, "the squares of the windows add up to 0 at some points"),
]  # fmt: skip


@pytest.mark.parametrize("call, kind, text", REFUSED)
def test_what_is_refused(call, kind, text):
    with pytest.raises(kind, match=text):
        call()
