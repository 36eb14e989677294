"""L2. Ops of complex numbers: made of two real ones, taken apart, conjugated; absolute value and angle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.errors import DTypeError, ShapeError
from danlu.graph import Node, Spec
from danlu.ops.planes import Planes, halves, side_by_side
from danlu.ops.table import TABLE, as_dtype, broadcast_shapes, composite, elementwise, o, promote_specs


def _zero(o, x: Node) -> Node:
    return o.like(0, x)


def _pair_infer(re: Spec, im: Spec) -> Spec:
    dtype = promote_specs([re, im])
    if not dtype.is_floating_point:
        raise DTypeError(
            "complex: the parts are {re_dtype} and {im_dtype}; expected float32 or float64: write x.float()",
            re_dtype=re.dtype.name,
            im_dtype=im.dtype.name,
        )
    return Spec(broadcast_shapes("complex", [re.shape, im.shape]), dt.to_complex(dtype), re.weak and im.weak)


def _pair_numpy(re: np.ndarray, im: np.ndarray) -> np.ndarray:
    out = np.empty(re.shape, dt.to_complex(dt.from_numpy(re.dtype)).numpy)
    out.real, out.imag = re, im
    return out


def _pair_jvp(o, z, xs, dxs):
    re, im = (_zero(o, x) if d is None else d for x, d in zip(xs, dxs))
    return o.complex(re, im)


def _part_infer(x: Spec) -> Spec:
    return Spec(x.shape, dt.to_real(x.dtype), x.weak)


def _no_emit(b, *xs):
    raise DTypeError("an op of complex numbers has no machine code: it is taken apart first")


_PART: dict[str, Any] = {
    "infer": _part_infer,
    "operands": lambda specs, out: (None,),
    "emit": _no_emit,
    "wirtinger": True,
}

elementwise(
    "complex", "The complex number re + i·im of two real ones.", infer=_pair_infer,
    operands=lambda specs, out: (dt.to_real(out.dtype),) * 2, numpy=_pair_numpy, emit=_no_emit, planes=lambda o, re, im: Planes(re, im),
    vjp=lambda o, g, z, re, im: (o.real(g), o.imag(g)), jvp=_pair_jvp, wirtinger=True,
)  # fmt: skip
elementwise(
    "real", "The real part; a real number itself.", numpy=lambda x: x.real, planes=lambda o, x: x.re,
    rewrite=lambda x: x, vjp=lambda o, g, y, x: (_lifted(o, g, x),), jvp=lambda o, y, xs, dxs: o.real(dxs[0]), **_PART,
)  # fmt: skip
elementwise(
    "imag", "The imaginary part; 0 for a real number.", numpy=lambda x: np.array(x.imag), planes=lambda o, x: x.im,
    rewrite=lambda x: o.like(0, x),
    vjp=lambda o, g, y, x: (o.complex(_zero(o, g), g) if x.dtype.is_complex else None,),
    jvp=lambda o, y, xs, dxs: o.imag(dxs[0]), **_PART,
)  # fmt: skip
elementwise(
    "conj", "re - i·im", numpy=np.conj, planes=lambda o, x: Planes(x.re, o.neg(x.im)), rewrite=lambda x: x,
    vjp=lambda o, g, y, x: (conjugate(o, g),), jvp=lambda o, y, xs, dxs: conjugate(o, dxs[0]), **{**_PART, "infer": lambda x: x},
)  # fmt: skip


def conjugate(o, x: Node) -> Node:
    """The complex conjugate; a real node itself."""
    return o.conj(x) if x.dtype.is_complex else x


def _lifted(o, g: Node, x: Node) -> Node:
    """A real gradient for an input that may be complex."""
    return as_dtype(g, x.dtype)


@composite
def complex_number(o, re: Node, im: Node) -> Node:
    """A Python complex number: like other numbers it takes the dtype of what it meets, with all its digits."""
    pair = o.complex(as_dtype(re, dt.float64), as_dtype(im, dt.float64))
    return Node(pair.op, pair.inputs, (), Spec((), dt.to_complex(dt.default()), True))


@composite
def sgn(o, x: Node) -> Node:
    """x / |x|, and 0 at 0: the sign of a real number, the direction of a complex one."""
    if not x.dtype.is_complex:
        return o.sign(x)
    size = o.abs(x)
    none = o.eq(size, 0)
    return o.complex(*(o.div(o.where(none, 0, part), o.where(none, 1, size)) for part in (o.real(x), o.imag(x))))


@composite
def angle(o, x: Node) -> Node:
    """The angle of x in the plane of complex numbers, in [-π, π]; of a negative real number it is π. The derivative at 0 is 0."""
    if x.dtype.is_complex:
        none = o.eq(x, 0)
        im, re = o.imag(x), o.real(x)
        return o.where(none, o.stop(o.atan2(im, re)), o.atan2(o.where(none, 0, im), o.where(none, 1, re)))
    x = as_dtype(x, dt.as_float(x.dtype))
    return o.where(o.isnan(x), o.stop(x), o.where(o.lt(x, 0), math.pi, o.like(0, x)))


@composite
def polar(o, size: Node, angle: Node) -> Node:
    """size · e^(i·angle)"""
    return o.complex(o.mul(size, o.cos(angle)), o.mul(size, o.sin(angle)))


@composite
def view_as_real(o, x: Node) -> Node:
    """(*) complex → (*, 2) real: the real and the imaginary part side by side, as they lie in memory."""
    if not x.dtype.is_complex:
        raise DTypeError("view_as_real: the input has dtype {dtype}; expected complex64 or complex128", dtype=x.dtype.name)
    return side_by_side(o, o.real(x), o.imag(x))


@composite
def view_as_complex(o, x: Node) -> Node:
    """(*, 2) real → (*) complex."""
    if not x.shape or x.shape[-1] != 2 or x.dtype not in (dt.float32, dt.float64):
        raise ShapeError(
            "view_as_complex: the input has shape {shape} and dtype {dtype}; expected a last axis of 2 (real, imaginary) of "
            "float32 or float64",
            shape=x.shape,
            dtype=x.dtype.name,
        )
    return o.complex(*halves(o, x))


# What NumPy sees through such a view of memory.
TABLE["view_as_real"].numpy = lambda x: (
    x.view(x.real.dtype).reshape(*x.shape, 2) if x.flags.c_contiguous else np.stack([x.real, x.imag], -1)
)
