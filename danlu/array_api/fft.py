"""L6. The fft extension of the array API namespace: danlu.fft under the standard's signatures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from danlu import fft as transforms
from danlu.dtype import DType
from danlu.tensor import Tensor
from danlu.tensor.arithmetic import check_device


def _one(name: str) -> Any:
    work = getattr(transforms, name)

    def function(x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Tensor:
        return work(x, n, axis, norm)

    return _documented(function, name)


def _several(name: str) -> Any:
    work = getattr(transforms, name)

    def function(
        x: Tensor, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: str = "backward"
    ) -> Tensor:
        return work(x, s, axes, norm)

    return _documented(function, name)


def _documented(function: Any, name: str) -> Any:
    text = (getattr(transforms, name).__doc__ or "").partition("\n")[0]
    size = _size(name)
    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"{text}\n\n>>> from danlu import array_api as xp\n>>> xp.fft.{name}(xp.ones(4)).shape\ndanlu.Size([{size}])\n"
    )
    return function


def _size(name: str) -> int:
    """The number of values that four become."""
    return {"r": 3, "ir": 6, "h": 6, "ih": 3}.get(name.partition("fft")[0], 4)


fft = _one("fft")
ifft = _one("ifft")
rfft = _one("rfft")
irfft = _one("irfft")
hfft = _one("hfft")
ihfft = _one("ihfft")
fftn = _several("fftn")
ifftn = _several("ifftn")
rfftn = _several("rfftn")
irfftn = _several("irfftn")


def fftfreq(n: int, /, *, d: float = 1.0, dtype: DType | None = None, device: Any = None) -> Tensor:
    """The frequencies of `fft`, in its order.

    >>> from danlu import array_api as xp
    >>> xp.fft.fftfreq(4)
    tensor([ 0.0000,  0.2500, -0.5000, -0.2500])
    """
    check_device(device)
    return transforms.fftfreq(n, d, dtype=dtype)


def rfftfreq(n: int, /, *, d: float = 1.0, dtype: DType | None = None, device: Any = None) -> Tensor:
    """The frequencies of `rfft`.

    >>> from danlu import array_api as xp
    >>> xp.fft.rfftfreq(4)
    tensor([0.0000, 0.2500, 0.5000])
    """
    check_device(device)
    return transforms.rfftfreq(n, d, dtype=dtype)


def fftshift(x: Tensor, /, *, axes: Any = None) -> Tensor:
    """The zero frequency moved to the middle.

    >>> from danlu import array_api as xp
    >>> xp.fft.fftshift(xp.arange(4))
    tensor([2, 3, 0, 1])
    """
    return transforms.fftshift(x, axes)


def ifftshift(x: Tensor, /, *, axes: Any = None) -> Tensor:
    """The inverse of `fftshift`.

    >>> from danlu import array_api as xp
    >>> xp.fft.ifftshift(xp.arange(4))
    tensor([2, 3, 0, 1])
    """
    return transforms.ifftshift(x, axes)
