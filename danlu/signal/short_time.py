"""L6. The short-time Fourier transform: the spectra of a signal's windowed frames, and the signal back from them.

Source: J. B. Allen, L. R. Rabiner, A Unified Approach to Short-Time Fourier Analysis and Synthesis, Proc. IEEE 65, 1977; the inverse is the
least-squares one of D. W. Griffin, J. S. Lim, Signal Estimation from Modified Short-Time Fourier Transform, 1984.
"""

from __future__ import annotations

from danlu import fft
from danlu.dtype import to_real
from danlu.errors import DTypeError, ShapeError
from danlu.functional.vision import pad
from danlu.tensor import Tensor
from danlu.tensor.creation import arange, ones, zeros


def _framing(
    name: str, x: Tensor, n_fft: int, hop_length: int | None, win_length: int | None, given: Tensor | None
) -> tuple[int, Tensor]:
    """The step from frame to frame, and the window in the middle of n_fft points."""
    hop = n_fft // 4 if hop_length is None else hop_length
    length = n_fft if win_length is None else win_length
    if not (n_fft > 0 and hop > 0 and 0 < length <= n_fft):
        raise ShapeError(
            "{name}: n_fft={n_fft}, hop_length={hop}, win_length={length}; expected hop_length of 1 or more and win_length in 1 … n_fft",
            name=name,
            n_fft=n_fft,
            hop=hop,
            length=length,
        )
    window: Tensor = ones(length, dtype=to_real(x.dtype)) if given is None else given
    if tuple(window.shape) != (length,):
        raise ShapeError(
            "{name}: the window has shape {shape}; expected ({length},), one weight for each of win_length points",
            name=name,
            shape=tuple(window.shape),
            length=length,
        )
    low = (n_fft - length) // 2
    return hop, pad(window, (low, n_fft - length - low))


def stft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None, window: Tensor | None = None,
    center: bool = True, pad_mode: str = "reflect", normalized: bool = False, onesided: bool | None = None,
    return_complex: bool | None = None,
) -> Tensor:  # fmt: skip
    """The spectra of overlapping frames of a signal.

    y[k, t] = Σⱼ w[j] x[t·hop + j] e^(-2πi jk/n), n = n_fft, 0 ≤ j < n

    hop_length is n_fft // 4 unless given. A window of win_length < n_fft points stands in the middle of the frame; without one all weights
    are 1. center: frame t has t·hop in its middle; the signal goes on at both ends as pad_mode says. normalized divides by √n. onesided: the
    frequencies 0 … n/2 alone, as for real signals if nothing is said. return_complex=False gives (real, imaginary) on a last axis.

    Shapes: (L) or (N, L) → (n // 2 + 1, T) or (N, n // 2 + 1, T) complex, T = 1 + L // hop with center; n instead of n // 2 + 1 unless onesided.

    Raises ShapeError for another rank, a signal shorter than a frame, and sizes that do not fit; DTypeError where return_complex is not
    given for a real signal, or one side of a complex one is asked for.

    >>> import danlu
    >>> danlu.stft(danlu.ones(8), 4, hop_length=4, return_complex=True)
    tensor([[4.+0.j, 4.+0.j, 4.+0.j],
            [0.+0.j, 0.+0.j, 0.+0.j],
            [0.+0.j, 0.+0.j, 0.+0.j]])
    """
    hop, window = _framing("stft", input, n_fft, hop_length, win_length, window)
    if input.ndim not in (1, 2):
        raise ShapeError("stft: the input has shape {shape}; expected (L) or (N, L)", shape=tuple(input.shape))
    is_complex = input.is_complex() or window.is_complex()
    if return_complex is None and not is_complex:
        raise DTypeError(
            "stft of a real signal: write return_complex=True; the result is complex (False: two real numbers for each)"
        )
    if onesided and is_complex:
        raise DTypeError("stft: onesided=True of complex numbers: their spectrum has two sides; leave onesided out")
    x = input.reshape(-1, 1, input.shape[-1])  # (N, 1, L): pad knows images
    if center:
        x = pad(x, (n_fft // 2, n_fft // 2), pad_mode)
    if x.shape[-1] < n_fft:
        raise ShapeError("stft: {length} points are less than one frame of n_fft={n_fft}", length=x.shape[-1], n_fft=n_fft)
    frames = x.squeeze(1).unfold(-1, n_fft, hop) * window  # (N, T, n)
    transform = fft.fft if is_complex or onesided is False else fft.rfft
    y = transform(frames, norm="ortho" if normalized else None).transpose(1, 2)
    y = y if input.ndim == 2 else y[0]
    return y if return_complex is not False else y.view_as_real()


def istft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None, window: Tensor | None = None,
    center: bool = True, normalized: bool = False, onesided: bool | None = None, length: int | None = None, return_complex: bool = False,
) -> Tensor:  # fmt: skip
    """The signal whose `stft` is nearest to the input: the frames overlap and are added.

    x[j] = Σₜ w[j - t·hop] fₜ[j - t·hop] / Σₜ w[j - t·hop]², fₜ the inverse transform of y[:, t]

    The arguments are those of `stft`. center cuts n_fft // 2 points off both ends; length cuts or fills up with zeros.

    Shapes: (n // 2 + 1, T) or (N, n // 2 + 1, T) complex → (L) or (N, L), L = hop (T - 1) with center, or length.

    Raises ShapeError for another shape, and where the squares of the windows add up to 0; DTypeError for real numbers.

    >>> import danlu
    >>> w = danlu.hann_window(4)
    >>> danlu.istft(danlu.stft(danlu.arange(6.0), 4, 2, window=w, return_complex=True), 4, 2, window=w).numpy().round(4)
    array([0., 1., 2., 3., 4., 5.], dtype=float32)
    """
    hop, window = _framing("istft", input, n_fft, hop_length, win_length, window)
    if not input.is_complex():
        raise DTypeError(
            "istft: the input is {dtype}; expected complex numbers, as stft(…, return_complex=True) gives", dtype=input.dtype.name
        )
    half = input.shape[-2] != n_fft if onesided is None and input.ndim > 1 else bool(onesided)
    rows = n_fft // 2 + 1 if half else n_fft
    if input.ndim not in (2, 3) or input.shape[-2] != rows or input.shape[-1] == 0:
        raise ShapeError(
            "istft: the input has shape {shape}; expected ({rows}, T) or (N, {rows}, T) for n_fft={n_fft}",
            shape=tuple(input.shape),
            rows=rows,
            n_fft=n_fft,
        )
    spectra = input.reshape(-1, *input.shape[-2:]).transpose(1, 2)  # (N, T, K)
    norm = "ortho" if normalized else None
    frames = fft.irfft(spectra, n_fft, norm=norm) if half else fft.ifft(spectra, norm=norm)
    frames = frames if return_complex or not frames.is_complex() else frames.real
    at = (arange(frames.shape[1]).unsqueeze(1) * hop + arange(n_fft)).reshape(-1)  # (T·n)
    size = n_fft + hop * (frames.shape[1] - 1)

    def added(x: Tensor) -> Tensor:
        return zeros(x.shape[0], size, dtype=x.dtype).index_add(1, at, x.reshape(x.shape[0], -1))

    first = n_fft // 2 if center else 0
    last = size - first if length is None else min(size, first + length)
    weights = added((window * window).expand(1, *frames.shape[1:]))[:, first:last]
    if last > first and bool((weights.abs() < 1e-11).any()):
        raise ShapeError(
            "istft: the squares of the windows add up to 0 at some points; write a smaller hop_length, or another window"
        )
    x = added(frames * window)[:, first:last] / weights
    if length is not None:
        x = pad(x, (0, length - x.shape[-1]))
    return x if input.ndim == 3 else x[0]


__all__ = ["istft", "stft"]
