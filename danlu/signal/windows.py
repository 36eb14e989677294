"""L6. Windows: weights that let a signal fade in and out before its spectrum is taken.

M points; sym=True for filters (the last point mirrors the first), sym=False for spectra (the window goes on periodically).
Source: F. J. Harris, On the Use of Windows for Harmonic Analysis with the Discrete Fourier Transform, 1978.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.dtype import DType
from danlu.errors import DTypeError, ShapeError
from danlu.tensor import Tensor
from danlu.tensor.creation import tensor


def _window(name: str, M: int, sym: bool, dtype: DType | None, shape: Callable[[np.ndarray], Any], requires_grad: bool) -> Tensor:
    """shape(t) at M points t from -1 to 1 (or to just before it)."""
    if isinstance(M, bool) or not isinstance(M, int) or M < 0:
        raise ShapeError("{name}: M={M!r}; expected a whole number of points, 0 or more", name=name, M=M)
    dtype = dtype or dt.default()
    if not dtype.is_floating_point:
        raise DTypeError("{name}: dtype={dtype_name}; expected a floating dtype", name=name, dtype_name=dtype.name)
    period = M - 1 if sym else M
    t = 2 * np.arange(M) / max(1, period) - 1 if M > 1 else np.zeros(M)
    return tensor(np.asarray(shape(t), np.float64) * np.ones(M), dtype, requires_grad)


def general_cosine(
    M: int, *, a: Sequence[float], sym: bool = True, dtype: DType | None = None, requires_grad: bool = False
) -> Tensor:
    """Σ (-1)ⁱ aᵢ cos(2π i k / (M - 1)), the family of hann, hamming and blackman.

    Shapes: → (M).

    >>> import danlu
    >>> danlu.signal.windows.general_cosine(3, a=[0.5, 0.5])
    tensor([0., 1., 0.])
    """
    if not len(a):
        raise ShapeError("general_cosine: a is empty; expected the weights of the cosines, the constant first")
    return _cosines("general_cosine", M, a, sym, dtype, requires_grad)


def _cosines(name: str, M: int, a: Sequence[float], sym: bool, dtype: DType | None, requires_grad: bool = False) -> Tensor:
    def shape(t: np.ndarray) -> np.ndarray:
        return sum((w * np.cos(i * math.pi * t) for i, w in enumerate(a)), np.zeros(len(t)))

    return _window(name, M, sym, dtype, shape, requires_grad)


def general_hamming(
    M: int, *, alpha: float = 0.54, sym: bool = True, dtype: DType | None = None, requires_grad: bool = False
) -> Tensor:
    """α - (1 - α) cos(2π k / (M - 1))

    Shapes: → (M).

    >>> import danlu
    >>> danlu.signal.windows.general_hamming(3, alpha=0.5)
    tensor([0., 1., 0.])
    """
    return _cosines("general_hamming", M, (alpha, 1 - alpha), sym, dtype, requires_grad)


def hann(M: int, *, sym: bool = True, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """½ - ½ cos(2π k / (M - 1)): one arch that begins and ends at 0.

    Shapes: → (M).

    >>> import danlu
    >>> danlu.signal.windows.hann(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    return _cosines("hann", M, (0.5, 0.5), sym, dtype, requires_grad)


def hamming(M: int, *, sym: bool = True, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """0.54 - 0.46 cos(2π k / (M - 1)): hann on a step, which lowers the nearest side lobe.

    Shapes: → (M).

    >>> import danlu
    >>> danlu.signal.windows.hamming(3)
    tensor([0.0800, 1.0000, 0.0800])
    """
    return _cosines("hamming", M, (0.54, 0.46), sym, dtype, requires_grad)


def blackman(M: int, *, sym: bool = True, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """0.42 - 0.5 cos(2π k / (M - 1)) + 0.08 cos(4π k / (M - 1))

    Shapes: → (M).

    >>> import danlu
    >>> danlu.signal.windows.blackman(5, dtype=danlu.float64)[1:4]
    tensor([0.3400, 1.0000, 0.3400], dtype=danlu.float64)
    """
    return _cosines("blackman", M, (0.42, 0.5, 0.08), sym, dtype, requires_grad)


def bartlett(M: int, *, sym: bool = True, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """1 - |2k / (M - 1) - 1|: a triangle.

    y[k] = 1 - |2k / (M - 1) - 1|

    Shapes: → (M).

    >>> import danlu
    >>> danlu.signal.windows.bartlett(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    return _window("bartlett", M, sym, dtype, lambda t: 1 - np.abs(t), requires_grad)


def kaiser(M: int, *, beta: float = 12.0, sym: bool = True, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """I₀(β √(1 - t²)) / I₀(β), t from -1 to 1: the larger β, the wider the main lobe and the lower the others.

    Shapes: → (M).

    >>> import danlu
    >>> danlu.signal.windows.kaiser(3, beta=1.0)
    tensor([0.7898, 1.0000, 0.7898])
    """
    if beta < 0:
        raise ShapeError("kaiser: beta={beta}; expected 0 or more", beta=beta)
    return _window(
        "kaiser", M, sym, dtype, lambda t: np.i0(beta * np.sqrt(np.maximum(0, 1 - t * t))) / np.i0(beta), requires_grad
    )


def gaussian(M: int, *, std: float = 1.0, sym: bool = True, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """e^(-½ (d / std)²), d the distance from the middle in points.

    Shapes: → (M).

    >>> import danlu
    >>> danlu.signal.windows.gaussian(3, std=1.0)
    tensor([0.6065, 1.0000, 0.6065])
    """
    if std <= 0:
        raise ShapeError("gaussian: std={std}; expected more than 0", std=std)
    half = (M - 1 if sym else M) / 2
    return _window("gaussian", M, sym, dtype, lambda t: np.exp(-0.5 * (t * half / std) ** 2), requires_grad)


def exponential(
    M: int,
    *,
    center: float | None = None,
    tau: float = 1.0,
    sym: bool = True,
    dtype: DType | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """e^(-|k - center| / tau); the center is the middle unless sym=False says where it is.

    Shapes: → (M).

    >>> import danlu
    >>> danlu.signal.windows.exponential(3)
    tensor([0.3679, 1.0000, 0.3679])
    """
    if tau <= 0 or (sym and center is not None):
        raise ShapeError(
            "exponential: tau={tau}, center={center}; expected tau above 0, and a center with sym=False alone",
            tau=tau,
            center=center,
        )
    middle = (M - 1 if sym or M == 1 else M) / 2 if center is None else center
    return _window("exponential", M, sym, dtype, lambda t: np.exp(-np.abs(np.arange(M) - middle) / tau), requires_grad)


def cosine(M: int, *, sym: bool = True, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """sin(π (k + ½) / M): half a wave; M + 1 instead of M with sym=False.

    Shapes: → (M).

    >>> import danlu
    >>> danlu.signal.windows.cosine(3)
    tensor([0.5000, 1.0000, 0.5000])
    """
    points = max(1, M if sym or M == 1 else M + 1)
    return _window("cosine", M, sym, dtype, lambda t: np.sin(math.pi / points * (np.arange(M) + 0.5)), requires_grad)


def nuttall(M: int, *, sym: bool = True, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """Σ (-1)ⁱ aᵢ cos(2π i k / (M - 1)), a = 0.3635819, 0.4891775, 0.1365995, 0.0106411: side lobes below -98 dB.

    Shapes: → (M).

    >>> import danlu
    >>> danlu.signal.windows.nuttall(5, dtype=danlu.float64)[1:4]
    tensor([0.2270, 1.0000, 0.2270], dtype=danlu.float64)
    """
    return _cosines("nuttall", M, (0.3635819, 0.4891775, 0.1365995, 0.0106411), sym, dtype, requires_grad)


# ---- the older names: periodic windows of the top level ---------------------------------------------------------------------------


def hann_window(window_length: int, periodic: bool = True, *, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """`signal.windows.hann` for spectra (periodic) or filters.

    y[k] = ½ - ½ cos(2π k / N), N = window_length (periodic) or window_length - 1

    Shapes: → (window_length).

    >>> import danlu
    >>> danlu.hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return hann(window_length, sym=not periodic, dtype=dtype, requires_grad=requires_grad)


def hamming_window(
    window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, *, dtype: DType | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """α - β cos(2π k / N)

    Shapes: → (window_length); N = window_length (periodic) or window_length - 1.

    >>> import danlu
    >>> danlu.hamming_window(2)
    tensor([0.0800, 1.0000])
    """
    return _cosines("hamming_window", window_length, (alpha, beta), not periodic, dtype, requires_grad)


def blackman_window(
    window_length: int, periodic: bool = True, *, dtype: DType | None = None, requires_grad: bool = False
) -> Tensor:
    """`signal.windows.blackman` for spectra (periodic) or filters.

    y[k] = 0.42 - 0.5 cos(2π k / N) + 0.08 cos(4π k / N), N = window_length (periodic) or window_length - 1

    Shapes: → (window_length).

    >>> import danlu
    >>> danlu.blackman_window(4)[1:]
    tensor([0.3400, 1.0000, 0.3400])
    """
    return blackman(window_length, sym=not periodic, dtype=dtype, requires_grad=requires_grad)


def bartlett_window(
    window_length: int, periodic: bool = True, *, dtype: DType | None = None, requires_grad: bool = False
) -> Tensor:
    """`signal.windows.bartlett` for spectra (periodic) or filters.

    y[k] = 1 - |2k / N - 1|, N = window_length (periodic) or window_length - 1

    Shapes: → (window_length).

    >>> import danlu
    >>> danlu.bartlett_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return bartlett(window_length, sym=not periodic, dtype=dtype, requires_grad=requires_grad)


def kaiser_window(
    window_length: int, periodic: bool = True, beta: float = 12.0, *, dtype: DType | None = None, requires_grad: bool = False
) -> Tensor:
    """`signal.windows.kaiser` for spectra (periodic) or filters.

    y[k] = I₀(β √(1 - t²)) / I₀(β), t = 2k / N - 1, N = window_length (periodic) or window_length - 1

    Shapes: → (window_length).

    >>> import danlu
    >>> danlu.kaiser_window(2, beta=1.0)
    tensor([0.7898, 1.0000])
    """
    return kaiser(window_length, beta=beta, sym=not periodic, dtype=dtype, requires_grad=requires_grad)


__all__ = [
    "bartlett", "blackman", "cosine", "exponential", "gaussian", "general_cosine", "general_hamming", "hamming", "hann", "kaiser", "nuttall",
]  # fmt: skip
