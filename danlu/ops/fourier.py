"""L2. Fourier transforms, through numpy.fft. Each is linear, so its derivative is its adjoint, again a transform."""

from __future__ import annotations

from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.graph import OPAQUE, Node, Op, Spec
from danlu.ops.planes import LIBRARY
from danlu.ops.table import as_dtype, composite, register

# The factor of a transform of n points: 1 or 1/n ("backward": of the inverse alone, "forward": of the other), or 1/√n for both.
ADJOINT_NORM = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def _transform(name: str, doc: str, attrs: tuple[str, ...], **fields: Any) -> None:
    register(Op(name, OPAQUE, doc, attrs=attrs, planes=LIBRARY, wirtinger=True, **fields))


_transform(
    "transform", "yₖ = Σ xⱼ e^(∓2πi jk/n) over each axis of dims; - forward, + backward.", ("dims", "norm", "forward"),
    infer=lambda x, dims, norm, forward: Spec(x.shape, x.dtype),
    numpy=lambda x, dims, norm, forward: (np.fft.fftn if forward else np.fft.ifftn)(x, axes=dims, norm=norm),
    vjp=lambda o, g, y, x, dims, norm, forward: (o.transform(g, dims=dims, norm=ADJOINT_NORM[norm], forward=not forward),),
    jvp=lambda o, y, xs, dxs, dims, norm, forward: o.transform(dxs[0], dims=dims, norm=norm, forward=forward),
)  # fmt: skip

# ---- real input: half of the result ------------------------------------------------------------------------------------------


def _with_size(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    return tuple(size if k == axis else n for k, n in enumerate(shape))


def _real_infer(x: Spec, dims: tuple[int, ...], norm: str) -> Spec:
    return Spec(_with_size(x.shape, dims[-1], x.shape[dims[-1]] // 2 + 1), dt.to_complex(x.dtype))


def _real_vjp(o, g: Node, y: Node, x: Node, dims: tuple[int, ...], norm: str) -> tuple[Node]:
    """The frequencies that were left out get no gradient: zeros in their place, then the adjoint of the whole transform."""
    whole = resized(o, g, (dims[-1],), (x.shape[dims[-1]],))
    return (o.real(o.transform(whole, dims=dims, norm=ADJOINT_NORM[norm], forward=False)),)


_transform(
    "real_transform", "The forward transform of real numbers; of the last axis of dims the first half.", ("dims", "norm"),
    infer=_real_infer, numpy=lambda x, dims, norm: np.fft.rfftn(x, axes=dims, norm=norm), vjp=_real_vjp,
    jvp=lambda o, y, xs, dxs, dims, norm: o.real_transform(dxs[0], dims=dims, norm=norm),
)  # fmt: skip


def _half_infer(x: Spec, dims: tuple[int, ...], norm: str, size: int) -> Spec:
    return Spec(_with_size(x.shape, dims[-1], size), dt.to_real(x.dtype))


def _half_numpy(x: np.ndarray, dims: tuple[int, ...], norm: Any, size: int) -> np.ndarray:
    return np.fft.irfftn(x, s=(*(x.shape[d] for d in dims[:-1]), size), axes=dims, norm=norm)


def _half_vjp(o, g: Node, y: Node, x: Node, dims: tuple[int, ...], norm: str, size: int) -> tuple[Node]:
    """Every frequency but the first, and the last of an even size, stands for two."""
    n = x.shape[dims[-1]]
    place = o.iota(shape=tuple(n if k == dims[-1] else 1 for k in range(len(x.shape))), dtype=dt.int64)
    once = o.logical_or(o.eq(place, 0), o.eq(o.mul(place, 2), size))
    return (
        o.mul(o.real_transform(g, dims=dims, norm=ADJOINT_NORM[norm]), o.where(once, o.number(1.0, dt.to_real(g.dtype)), 2.0)),
    )


_transform(
    "half_transform", "The backward transform to real numbers from the first half of the frequencies.", ("dims", "norm", "size"),
    infer=_half_infer, numpy=_half_numpy, vjp=_half_vjp,
    jvp=lambda o, y, xs, dxs, dims, norm, size: o.half_transform(dxs[0], dims=dims, norm=norm, size=size),
)  # fmt: skip

# ---- what users call ----------------------------------------------------------------------------------------------------------


def resized(o, x: Node, dims: tuple[int, ...], sizes: tuple[int, ...]) -> Node:
    """x cut, or filled up with zeros, at the end of some axes."""
    wanted = dict(zip(dims, sizes))
    stops = tuple(min(n, wanted.get(k, n)) for k, n in enumerate(x.shape))
    zeros = (0,) * len(stops)
    if stops != x.shape:
        x = o.slice(x, starts=zeros, stops=stops, steps=(1,) * len(stops))
    high = tuple(wanted.get(k, n) - n for k, n in enumerate(x.shape))
    return o.pad(x, low=zeros, high=high, value=0) if any(high) else x


def _as_complex(o, x: Node) -> Node:
    return as_dtype(x, dt.to_complex(x.dtype))


@composite(attrs=("sizes", "dims", "norm", "forward"))
def fourier(o, x: Node, sizes: tuple[int, ...], dims: tuple[int, ...], norm: str, forward: bool) -> Node:
    """The transform over some axes, each first brought to a size."""
    x = resized(o, _as_complex(o, x), dims, sizes)
    return o.transform(x, dims=dims, norm=norm, forward=forward) if dims else x


@composite(attrs=("sizes", "dims", "norm"))
def real_fourier(o, x: Node, sizes: tuple[int, ...], dims: tuple[int, ...], norm: str) -> Node:
    """The half of the forward transform that says all about real numbers."""
    return o.real_transform(resized(o, as_dtype(x, dt.as_float(x.dtype)), dims, sizes), dims=dims, norm=norm)


@composite(attrs=("sizes", "dims", "norm"))
def half_fourier(o, x: Node, sizes: tuple[int, ...], dims: tuple[int, ...], norm: str) -> Node:
    """Real numbers from half of their transform; the last size is that of the result."""
    x = resized(o, _as_complex(o, x), dims, (*sizes[:-1], sizes[-1] // 2 + 1))
    return o.half_transform(x, dims=dims, norm=norm, size=sizes[-1])
