"""L6. Elementwise functions of the array API namespace: the Tensor's methods, with the standard's promotion."""

from __future__ import annotations

from typing import Any

import numpy as np

from danlu.array_api.types import together
from danlu.errors import DTypeError
from danlu.tensor import Tensor, apply, from_array


def _of_one(name: str, example: str, shown: str, method: str = "") -> Any:
    work = getattr(Tensor, method or name)

    def function(x: Tensor, /) -> Tensor:
        return work(x)

    return _documented(function, name, work.__doc__, f"xp.asarray({example})", shown)


def _of_whole(name: str, example: str, shown: str) -> Any:
    """Rounding: integers stay as they are."""
    work = getattr(Tensor, name)

    def function(x: Tensor, /) -> Tensor:
        return x.clone() if x.dtype.kind in "iu" else work(x)

    return _documented(function, name, work.__doc__, f"xp.asarray({example})", shown)


def _of_two(name: str, example: str, shown: str, method: str = "") -> Any:
    work = getattr(Tensor, method or name)

    def function(x1: Any, x2: Any, /) -> Tensor:
        a, b = together(x1, x2)
        return work(a, b)

    return _documented(function, name, work.__doc__, example, shown)


def _documented(function: Any, name: str, text: str, example: str, shown: str) -> Any:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{text}\n\n>>> from danlu import array_api as xp\n>>> xp.{name}({example})\n{shown}\n"
    return function


_TWO = "xp.asarray([1.0, 2.0]), xp.asarray([3.0, 2.0])"
_BOOLS = "xp.asarray([True, False]), True"

abs = _of_one("abs", "[-1.0, 2.0]", "tensor([1., 2.])")
acos = _of_one("acos", "[1.0, 0.0]", "tensor([0.0000, 1.5708])")
acosh = _of_one("acosh", "[1.0, 2.0]", "tensor([0.0000, 1.3170])")
asin = _of_one("asin", "[0.0, 1.0]", "tensor([0.0000, 1.5708])")
asinh = _of_one("asinh", "[0.0, 1.0]", "tensor([0.0000, 0.8814])")
atan = _of_one("atan", "[0.0, 1.0]", "tensor([0.0000, 0.7854])")
atanh = _of_one("atanh", "[0.0, 0.5]", "tensor([0.0000, 0.5493])")
bitwise_invert = _of_one("bitwise_invert", "[6]", "tensor([-7])", "bitwise_not")
cos = _of_one("cos", "[0.0, 1.0]", "tensor([1.0000, 0.5403])")
cosh = _of_one("cosh", "[0.0, 1.0]", "tensor([1.0000, 1.5431])")
exp = _of_one("exp", "[0.0, 1.0]", "tensor([1.0000, 2.7183])")
expm1 = _of_one("expm1", "[0.0, 1.0]", "tensor([0.0000, 1.7183])")
isfinite = _of_one("isfinite", "[0.0, float('inf')]", "tensor([ True, False])")
isinf = _of_one("isinf", "[0.0, float('inf')]", "tensor([False,  True])")
isnan = _of_one("isnan", "[0.0, float('nan')]", "tensor([False,  True])")
log = _of_one("log", "[1.0, 2.0]", "tensor([0.0000, 0.6931])")
log1p = _of_one("log1p", "[0.0, 1.0]", "tensor([0.0000, 0.6931])")
log2 = _of_one("log2", "[1.0, 8.0]", "tensor([0., 3.])")
log10 = _of_one("log10", "[1.0, 100.0]", "tensor([0., 2.])")
logical_not = _of_one("logical_not", "[True, False]", "tensor([False,  True])")
negative = _of_one("negative", "[1.0, -2.0]", "tensor([-1.,  2.])")
positive = _of_one("positive", "[1.0, -2.0]", "tensor([ 1., -2.])")
reciprocal = _of_one("reciprocal", "[2.0, 4.0]", "tensor([0.5000, 0.2500])")
signbit = _of_one("signbit", "[-1.0, 0.0]", "tensor([ True, False])")
sin = _of_one("sin", "[0.0, 1.0]", "tensor([0.0000, 0.8415])")
sinh = _of_one("sinh", "[0.0, 1.0]", "tensor([0.0000, 1.1752])")
sqrt = _of_one("sqrt", "[4.0, 9.0]", "tensor([2., 3.])")
square = _of_one("square", "[2.0, 3.0]", "tensor([4., 9.])")
tan = _of_one("tan", "[0.0, 1.0]", "tensor([0.0000, 1.5574])")
tanh = _of_one("tanh", "[0.0, 1.0]", "tensor([0.0000, 0.7616])")

ceil = _of_whole("ceil", "[-1.5, 1.5]", "tensor([-1.,  2.])")
floor = _of_whole("floor", "[-1.5, 1.5]", "tensor([-2.,  1.])")
round = _of_whole("round", "[0.5, 1.5]", "tensor([0., 2.])")
trunc = _of_whole("trunc", "[-1.5, 1.5]", "tensor([-1.,  1.])")

add = _of_two("add", _TWO, "tensor([4., 4.])")
atan2 = _of_two("atan2", _TWO, "tensor([0.3218, 0.7854])")
bitwise_and = _of_two("bitwise_and", "xp.asarray([6]), 3", "tensor([2])")
bitwise_left_shift = _of_two("bitwise_left_shift", "xp.asarray([6]), 3", "tensor([48])")
bitwise_or = _of_two("bitwise_or", "xp.asarray([6]), 3", "tensor([7])")
bitwise_right_shift = _of_two("bitwise_right_shift", "xp.asarray([6]), 1", "tensor([3])")
bitwise_xor = _of_two("bitwise_xor", "xp.asarray([6]), 3", "tensor([5])")
copysign = _of_two("copysign", "xp.asarray([3.0]), -1.0", "tensor([-3.])")
divide = _of_two("divide", "xp.asarray([1.0, 2.0]), 2", "tensor([0.5000, 1.0000])")
equal = _of_two("equal", _TWO, "tensor([False,  True])", "eq")
greater = _of_two("greater", _TWO, "tensor([False, False])")
greater_equal = _of_two("greater_equal", _TWO, "tensor([False,  True])")
hypot = _of_two("hypot", "xp.asarray([3.0]), 4.0", "tensor([5.])")
less = _of_two("less", _TWO, "tensor([ True, False])")
less_equal = _of_two("less_equal", _TWO, "tensor([True, True])")
logaddexp = _of_two("logaddexp", "xp.asarray([0.0]), 0.0", "tensor([0.6931])")
logical_and = _of_two("logical_and", _BOOLS, "tensor([ True, False])")
logical_or = _of_two("logical_or", _BOOLS, "tensor([True, True])")
logical_xor = _of_two("logical_xor", _BOOLS, "tensor([False,  True])")
maximum = _of_two("maximum", _TWO, "tensor([3., 2.])")
minimum = _of_two("minimum", _TWO, "tensor([1., 2.])")
multiply = _of_two("multiply", _TWO, "tensor([3., 4.])")
not_equal = _of_two("not_equal", _TWO, "tensor([ True, False])")
pow = _of_two("pow", "xp.asarray([2.0, 3.0]), 2", "tensor([4., 9.])")
remainder = _of_two("remainder", "xp.asarray([7, -7]), 2", "tensor([1, 1])")
subtract = _of_two("subtract", _TWO, "tensor([-2.,  0.])")


def floor_divide(x1: Any, x2: Any, /) -> Tensor:
    """⌊x1 / x2⌋, with the standard's values where one of the two is infinite (`x1 // x2` gives PyTorch's there).

    >>> from danlu import array_api as xp
    >>> xp.floor_divide(xp.asarray([7, -7]), 2)
    tensor([ 3, -4])
    """
    a, b = together(x1, x2)
    out = a.floor_divide(b)
    return out if a.dtype.kind != "f" else apply("where", a.isfinite().logical_and(b.isfinite()), out, (a / b).floor())


def sign(x: Tensor, /) -> Tensor:
    """-1, 0 or 1; x / |x| of complex numbers; NaN stays NaN.

    >>> from danlu import array_api as xp
    >>> xp.sign(xp.asarray([-3.0, 0.0]))
    tensor([-1.,  0.])
    """
    if x.dtype.kind == "c":
        return x.sgn()
    found = Tensor.sign(x)
    return apply("where", x.isnan(), x, found) if x.dtype.kind == "f" else found


def clip(x: Tensor, /, min: Any = None, max: Any = None) -> Tensor:
    """The elements cut to min … max, in the dtype of x.

    >>> from danlu import array_api as xp
    >>> xp.clip(xp.asarray([-1.0, 2.0]), 0, 1)
    tensor([0., 1.])
    """
    shape = np.broadcast_shapes(*(b._spec.shape for b in (x, min, max) if isinstance(b, Tensor)))
    out = x.broadcast_to(shape)
    for bound, beyond in ((min, "lt"), (max, "gt")):
        if bound is not None:
            a, b = together(out, bound)
            out = apply("where", apply(beyond, a, b).logical_or(b.isnan()), b.to(x.dtype), out)
    return out.clone()


def nextafter(x1: Any, x2: Any, /) -> Tensor:
    """The floating number after x1 on the way to x2. Computed now, and without a derivative.

    >>> from danlu import array_api as xp
    >>> float(xp.nextafter(xp.asarray(1.0, dtype=xp.float64), 2.0)) - 1
    2.220446049250313e-16
    """
    a, b = together(x1, x2)
    if a.dtype.kind != "f":
        raise DTypeError("nextafter of {dtype}; expected a floating dtype: write xp.astype(x, xp.float32)", dtype=a.dtype.name)
    return from_array(np.nextafter(a.detach().numpy(), b.detach().numpy()))


def real(x: Tensor, /) -> Tensor:
    """The real part.

    >>> from danlu import array_api as xp
    >>> xp.real(xp.asarray([1.0]))
    tensor([1.])
    """
    return x.real if x.dtype.kind == "c" else x.clone()


def imag(x: Tensor, /) -> Tensor:
    """The imaginary part of a complex array.

    >>> from danlu import array_api as xp
    >>> xp.imag(xp.asarray([1 + 2j]))
    tensor([2.])
    """
    if x.dtype.kind != "c":
        raise DTypeError("imag of {dtype}; expected a complex dtype", dtype=x.dtype.name)
    return x.imag


def conj(x: Tensor, /) -> Tensor:
    """The complex conjugate; real numbers stay.

    >>> from danlu import array_api as xp
    >>> xp.conj(xp.asarray([1.0]))
    tensor([1.])
    """
    return x.conj() if x.dtype.kind == "c" else x.clone()
