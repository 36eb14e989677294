"""L6. danlu.fft: discrete Fourier transforms under PyTorch's names, with derivatives. The work is done by numpy.fft.

norm: "backward" (the default: the inverse transforms divide by n), "forward" (the others do) or "ortho" (all divide by √n).
An axis is cut, or filled up with zeros at its end, to the size that is asked for (`n`, or `s` for several axes).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from danlu.dtype import DType, default
from danlu.errors import AxisError, DTypeError, ShapeError
from danlu.ops.fourier import ADJOINT_NORM
from danlu.ops.movement import normalize_axis
from danlu.tensor import Tensor, apply
from danlu.tensor.creation import arange, cat

# ---- what is asked for ----------------------------------------------------------------------------------------------------------


def _norm(name: str, norm: str | None) -> str:
    if norm not in (None, *ADJOINT_NORM):
        raise ShapeError("fft.{name}: norm={norm!r} is unknown; expected 'backward', 'ortho' or 'forward'", name=name, norm=norm)
    return norm or "backward"


def _several(x: Any) -> Any:
    return (x,) if isinstance(x, int) else x


def _axes(name: str, x: Tensor, s: Any, dim: Any) -> tuple[int, ...]:
    """The axes of a transform, counted from the left."""
    dim = _several(dim)
    if dim is None:
        dim = range(x.ndim) if s is None else range(x.ndim - len(s), x.ndim)
        if s is not None and len(s) > x.ndim:
            raise ShapeError(
                "fft.{name}: s={s} names {count} sizes, and the shape {shape} has {ndim} axes",
                name=name,
                s=tuple(s),
                count=len(s),
                shape=tuple(x.shape),
                ndim=x.ndim,
            )
    axes = tuple(normalize_axis(f"fft.{name}", d, x.ndim) for d in dim)
    if len(set(axes)) < len(axes):
        raise AxisError("fft.{name}: dim={dim} names one axis twice; name each once", name=name, dim=tuple(dim))
    if s is not None and len(s) != len(axes):
        raise ShapeError(
            "fft.{name}: s={s} and dim={dim} differ in length; give one size for each axis", name=name, s=tuple(s), dim=tuple(dim)
        )
    return axes


def _sizes(name: str, x: Tensor, s: Any, axes: tuple[int, ...], half: bool) -> tuple[int, ...]:
    """The size of each axis; `half`: the input has half of the frequencies of the last one."""
    own = [x.shape[a] for a in axes]
    if half and own:
        own[-1] = 2 * (own[-1] - 1)
    sizes = tuple(n if given is None or given == -1 else int(given) for n, given in zip(own, s or own))
    if any(n < 1 for n in sizes):
        raise ShapeError(
            "fft.{name}: shape {shape} gives transforms of {sizes} points; expected 1 or more: give a larger size",
            name=name,
            shape=tuple(x.shape),
            sizes=sizes,
        )
    return sizes


def _checked(name: str, x: Tensor, real: bool) -> None:
    if real and x.is_complex():
        raise DTypeError(
            "fft.{name}: the input has dtype {dtype}; expected real numbers: take x.real, or fft.fft for complex ones",
            name=name,
            dtype=x.dtype.name,
        )
    if x.dtype.itemsize == 2 and x.is_floating_point():
        raise DTypeError("fft.{name}: the input has dtype float16; expected float32 or float64: write x.float()", name=name)


def _complex(name: str, x: Tensor, s: Any, dim: Any, norm: str | None, forward: bool) -> Tensor:
    _checked(name, x, False)
    s = _several(s)
    axes = _axes(name, x, s, dim)
    return apply("fourier", x, sizes=_sizes(name, x, s, axes, False), dims=axes, norm=_norm(name, norm), forward=forward)


def _from_real(name: str, x: Tensor, s: Any, dim: Any, norm: str) -> Tensor:
    _checked(name, x, True)
    s = _several(s)
    axes = _not_none(name, _axes(name, x, s, dim))
    return apply("real_fourier", x, sizes=_sizes(name, x, s, axes, False), dims=axes, norm=norm)


def _to_real(name: str, x: Tensor, s: Any, dim: Any, norm: str) -> Tensor:
    _checked(name, x, False)
    s = _several(s)
    axes = _not_none(name, _axes(name, x, s, dim))
    return apply("half_fourier", x, sizes=_sizes(name, x, s, axes, True), dims=axes, norm=norm)


def _not_none(name: str, axes: tuple[int, ...]) -> tuple[int, ...]:
    if not axes:
        raise ShapeError("fft.{name}: there is no axis to transform; expected at least one in dim", name=name)
    return axes


def _swapped(name: str, norm: str | None) -> str:
    return ADJOINT_NORM[_norm(name, norm)]


# ---- the transforms -------------------------------------------------------------------------------------------------------------


def fft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The transform along one axis: yₖ = Σⱼ xⱼ e^(-2πi jk/n).

    Shapes: (*, n) → (*, n) complex, on the axis dim; with n given this size.

    Raises ShapeError for no points or an unknown norm.

    >>> import danlu
    >>> danlu.fft.fft(danlu.tensor([1.0, 0.0, 0.0]))
    tensor([1.+0.j, 1.+0.j, 1.+0.j])
    """
    return _complex("fft", input, (n,), (dim,), norm, True)


def ifft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `fft`: yₖ = Σⱼ xⱼ e^(2πi jk/n) / n.

    Shapes: (*, n) → (*, n) complex, on the axis dim; with n given this size.

    Raises ShapeError for no points or an unknown norm.

    >>> import danlu
    >>> danlu.fft.ifft(danlu.ones(2))
    tensor([1.+0.j, 0.+0.j])
    """
    return _complex("ifft", input, (n,), (dim,), norm, False)


def rfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """`fft` of real numbers, the first n // 2 + 1 frequencies: the others are their conjugates.

    yₖ = Σⱼ xⱼ e^(-2πi jk/n) for 0 ≤ k ≤ ⌊n/2⌋

    Shapes: (*, n) real → (*, ⌊n/2⌋ + 1) complex, on the axis dim.

    Raises ShapeError for no points or an unknown norm, DTypeError for complex numbers.

    >>> import danlu
    >>> danlu.fft.rfft(danlu.ones(3))
    tensor([3.+0.j, 0.+0.j])
    """
    return _from_real("rfft", input, (n,), (dim,), _norm("rfft", norm))


def irfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `rfft`; n is the size of the result, 2 (m - 1) for m frequencies unless it is given.

    yⱼ = Σₖ xₖ e^(2πi jk/n) / n over -n/2 < k ≤ n/2, x₋ₖ = conj(xₖ)

    Shapes: (*, m) → (*, n) real, on the axis dim; n = 2 (m - 1) unless given.

    Raises ShapeError for no points or an unknown norm.

    >>> import danlu
    >>> danlu.fft.irfft(danlu.tensor([3.0, 0.0]), n=3)
    tensor([1., 1., 1.])
    """
    return _to_real("irfft", input, (n,), (dim,), _norm("irfft", norm))


def hfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """`fft` of a signal whose second half is the conjugate of the first, which alone is given: a real result of size n.

    yₖ = Σⱼ xⱼ e^(-2πi jk/n) over -n/2 < j ≤ n/2, x₋ⱼ = conj(xⱼ)

    Shapes: (*, m) → (*, n) real, on the axis dim; n = 2 (m - 1) unless given.

    Raises ShapeError for no points or an unknown norm.

    >>> import danlu
    >>> danlu.fft.hfft(danlu.ones(2), n=3)
    tensor([3., 0., 0.])
    """
    return _to_real("hfft", input.conj(), (n,), (dim,), _swapped("hfft", norm))


def ihfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `hfft`.

    yⱼ = Σₖ xₖ e^(2πi jk/n) / n for 0 ≤ j ≤ ⌊n/2⌋

    Shapes: (*, n) real → (*, ⌊n/2⌋ + 1) complex, on the axis dim.

    Raises ShapeError for no points or an unknown norm, DTypeError for complex numbers.

    >>> import danlu
    >>> danlu.fft.ihfft(danlu.tensor([3.0, 0.0, 0.0]))
    tensor([1.-0.j, 1.-0.j])
    """
    return _from_real("ihfft", input, (n,), (dim,), _swapped("ihfft", norm)).conj()


def fft2(input: Tensor, s: Sequence[int] | None = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """`fft` over the two axes of `dim`.

    y[k, l] = Σᵢⱼ x[i, j] e^(-2πi (ik/m + jl/n))

    Shapes: (*, m, n) → (*, m, n) complex; with s given these sizes.

    Raises ShapeError for no points or an unknown norm, AxisError for an axis named twice.

    >>> import danlu
    >>> danlu.fft.fft2(danlu.ones(1, 2))
    tensor([[2.+0.j, 0.+0.j]])
    """
    return _complex("fft2", input, s, dim, norm, True)


def ifft2(input: Tensor, s: Sequence[int] | None = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """The inverse of `fft2`.

    y[i, j] = Σₖₗ x[k, l] e^(2πi (ik/m + jl/n)) / mn

    Shapes: (*, m, n) → (*, m, n) complex; with s given these sizes.

    Raises ShapeError for no points or an unknown norm, AxisError for an axis named twice.

    >>> import danlu
    >>> danlu.fft.ifft2(danlu.ones(1, 2))
    tensor([[1.+0.j, 0.+0.j]])
    """
    return _complex("ifft2", input, s, dim, norm, False)


def rfft2(input: Tensor, s: Sequence[int] | None = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """`rfft` over the last of the two axes of `dim`, `fft` over the others.

    y[k, l] = Σᵢⱼ x[i, j] e^(-2πi (ik/m + jl/n)) for 0 ≤ l ≤ ⌊n/2⌋

    Shapes: (*, m, n) real → (*, m, ⌊n/2⌋ + 1) complex.

    Raises ShapeError for no points or an unknown norm, AxisError for an axis named twice.

    >>> import danlu
    >>> danlu.fft.rfft2(danlu.ones(1, 2))
    tensor([[2.+0.j, 0.+0.j]])
    """
    return _from_real("rfft2", input, s, dim, _norm("rfft2", norm))


def irfft2(input: Tensor, s: Sequence[int] | None = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """The inverse of `rfft2`.

    irfft2(rfft2(y), s=(m, n)) = y for real y

    Shapes: (*, m, l) → (*, m, n) real; n = 2 (l - 1) unless s gives it.

    Raises ShapeError for no points or an unknown norm, AxisError for an axis named twice.

    >>> import danlu
    >>> danlu.fft.irfft2(danlu.ones(1, 2))
    tensor([[1., 0.]])
    """
    return _to_real("irfft2", input, s, dim, _norm("irfft2", norm))


def hfft2(input: Tensor, s: Sequence[int] | None = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """`hfft` over the last of the two axes of `dim`, `fft` over the others.

    hfft2(ihfft2(y), s=(m, n)) = y for real y

    Shapes: (*, m, l) → (*, m, n) real; n = 2 (l - 1) unless s gives it.

    Raises ShapeError for no points or an unknown norm, AxisError for an axis named twice.

    >>> import danlu
    >>> danlu.fft.hfft2(danlu.ones(1, 2))
    tensor([[2., 0.]])
    """
    return _to_real("hfft2", input.conj(), s, dim, _swapped("hfft2", norm))


def ihfft2(input: Tensor, s: Sequence[int] | None = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """The inverse of `hfft2`.

    hfft2(ihfft2(x), s=(m, n)) = x for real x

    Shapes: (*, m, n) real → (*, m, ⌊n/2⌋ + 1) complex.

    Raises ShapeError for no points or an unknown norm, AxisError for an axis named twice.

    >>> import danlu
    >>> danlu.fft.ihfft2(danlu.ones(1, 2))
    tensor([[1.-0.j, 0.-0.j]])
    """
    return _from_real("ihfft2", input, s, dim, _swapped("ihfft2", norm)).conj()


def fftn(input: Tensor, s: Sequence[int] | None = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """`fft` over the axes of `dim` (all).

    y[k] = Σᵢ x[i] e^(-2πi Σ iₐ kₐ / nₐ), i and k with one number for each axis a of dim

    Shapes: (*) → (*) complex; with s given these sizes.

    Raises ShapeError for no points or an unknown norm, AxisError for an axis named twice.

    >>> import danlu
    >>> danlu.fft.fftn(danlu.ones(1, 2))
    tensor([[2.+0.j, 0.+0.j]])
    """
    return _complex("fftn", input, s, dim, norm, True)


def ifftn(input: Tensor, s: Sequence[int] | None = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """The inverse of `fftn`.

    y[i] = Σₖ x[k] e^(2πi Σ iₐ kₐ / nₐ) / Π nₐ, i and k with one number for each axis a of dim

    Shapes: (*) → (*) complex; with s given these sizes.

    Raises ShapeError for no points or an unknown norm, AxisError for an axis named twice.

    >>> import danlu
    >>> danlu.fft.ifftn(danlu.ones(1, 2))
    tensor([[1.+0.j, 0.+0.j]])
    """
    return _complex("ifftn", input, s, dim, norm, False)


def rfftn(input: Tensor, s: Sequence[int] | None = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """`rfft` over the last of the axes of `dim` (all), `fft` over the others.

    y[k] = Σᵢ x[i] e^(-2πi Σ iₐ kₐ / nₐ), the last kₐ from 0 to ⌊nₐ/2⌋

    Shapes: (*, n) real → (*, ⌊n/2⌋ + 1) complex.

    Raises ShapeError for no points or an unknown norm, AxisError for an axis named twice.

    >>> import danlu
    >>> danlu.fft.rfftn(danlu.ones(1, 2))
    tensor([[2.+0.j, 0.+0.j]])
    """
    return _from_real("rfftn", input, s, dim, _norm("rfftn", norm))


def irfftn(input: Tensor, s: Sequence[int] | None = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """The inverse of `rfftn`.

    irfftn(rfftn(y), s=y.shape) = y for real y

    Shapes: (*, m) → (*, n) real; n = 2 (m - 1) unless s gives it.

    Raises ShapeError for no points or an unknown norm, AxisError for an axis named twice.

    >>> import danlu
    >>> danlu.fft.irfftn(danlu.ones(1, 2))
    tensor([[1., 0.]])
    """
    return _to_real("irfftn", input, s, dim, _norm("irfftn", norm))


def hfftn(input: Tensor, s: Sequence[int] | None = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """`hfft` over the last of the axes of `dim` (all), `fft` over the others.

    hfftn(ihfftn(y), s=y.shape) = y for real y

    Shapes: (*, m) → (*, n) real; n = 2 (m - 1) unless s gives it.

    Raises ShapeError for no points or an unknown norm, AxisError for an axis named twice.

    >>> import danlu
    >>> danlu.fft.hfftn(danlu.ones(1, 2))
    tensor([[2., 0.]])
    """
    return _to_real("hfftn", input.conj(), s, dim, _swapped("hfftn", norm))


def ihfftn(input: Tensor, s: Sequence[int] | None = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """The inverse of `hfftn`.

    hfftn(ihfftn(x), s=x.shape) = x for real x

    Shapes: (*, n) real → (*, ⌊n/2⌋ + 1) complex.

    Raises ShapeError for no points or an unknown norm, AxisError for an axis named twice.

    >>> import danlu
    >>> danlu.fft.ihfftn(danlu.ones(1, 2))
    tensor([[1.-0.j, 0.-0.j]])
    """
    return _from_real("ihfftn", input, s, dim, _swapped("ihfftn", norm)).conj()


# ---- frequencies ----------------------------------------------------------------------------------------------------------------


def fftfreq(n: int, d: float = 1.0, *, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """The frequencies of `fft` of n points at a distance d: 0, 1 … , then the negative ones, divided by n·d.

    y[k] = k / nd for k < n/2, else (k - n) / nd

    Shapes: → (n).

    >>> import danlu
    >>> danlu.fft.fftfreq(4)
    tensor([ 0.0000,  0.2500, -0.5000, -0.2500])
    """
    half = (n + 1) // 2
    whole = cat([arange(0, half, dtype=dtype or default()), arange(-(n // 2), 0, dtype=dtype or default())])
    return _required(whole / (n * d), requires_grad)


def rfftfreq(n: int, d: float = 1.0, *, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """The frequencies of `rfft` of n points at a distance d: 0, 1 … n // 2, divided by n·d.

    y[k] = k / nd

    Shapes: → (⌊n/2⌋ + 1).

    >>> import danlu
    >>> danlu.fft.rfftfreq(4)
    tensor([0.0000, 0.2500, 0.5000])
    """
    return _required(arange(0, n // 2 + 1, dtype=dtype or default()) / (n * d), requires_grad)


def _required(x: Tensor, requires_grad: bool) -> Tensor:
    return x.requires_grad_() if requires_grad else x


def fftshift(input: Tensor, dim: Any = None) -> Tensor:
    """The frequency 0 moved to the middle of the axes (all, or those of `dim`).

    y[(k + ⌊n/2⌋) mod n] = x[k]

    Shapes: (*) → (*).

    >>> import danlu
    >>> danlu.fft.fftshift(danlu.tensor([0, 1, -2, -1]))
    tensor([-2, -1,  0,  1])
    """
    return _rolled(input, dim, lambda n: n // 2)


def ifftshift(input: Tensor, dim: Any = None) -> Tensor:
    """The inverse of `fftshift`.

    y[k] = x[(k + ⌊n/2⌋) mod n]

    Shapes: (*) → (*).

    >>> import danlu
    >>> danlu.fft.ifftshift(danlu.tensor([-2, -1, 0, 1]))
    tensor([ 0,  1, -2, -1])
    """
    return _rolled(input, dim, lambda n: (n + 1) // 2)


def _rolled(x: Tensor, dim: Any, by: Any) -> Tensor:
    axes = range(x.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    for axis in axes:
        x = x.roll(by(x.shape[axis]), axis)
    return x
