"""L6. Data types of the array API namespace: promotion as the standard has it (a 0-d array counts as any other), finfo, iinfo, isdtype."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from danlu import dtype as dt
from danlu.dtype import DType
from danlu.errors import DTypeError
from danlu.tensor import Tensor, tensor

KNOWN: dict[str, DType] = {
    "bool": dt.bool_, "int8": dt.int8, "int16": dt.int16, "int32": dt.int32, "int64": dt.int64,
    "uint8": dt.uint8, "uint16": dt.uint16, "uint32": dt.uint32, "uint64": dt.uint64,
    "float32": dt.float32, "float64": dt.float64, "complex64": dt.complex64, "complex128": dt.complex128,
}  # fmt: skip
KINDS = {
    "bool": "b", "signed integer": "i", "unsigned integer": "u", "integral": "iu", "real floating": "f", "complex floating": "c",
    "numeric": "iufc",
}  # fmt: skip


class finfo(NamedTuple):
    """What floating numbers of a dtype can say.

    >>> from danlu import array_api as xp
    >>> xp.finfo(xp.float32).bits
    32
    """

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType


class iinfo(NamedTuple):
    """The range of an integer dtype.

    >>> from danlu import array_api as xp
    >>> xp.iinfo(xp.int8).max
    127
    """

    bits: int
    max: int
    min: int
    dtype: DType


def _dtype_of(x: Any) -> DType:
    return x.dtype if isinstance(x, Tensor) else x


def float_limits(type: DType | Tensor, /) -> finfo:
    """The limits of a floating dtype, or of the parts of a complex one.

    >>> from danlu import array_api as xp
    >>> xp.finfo(xp.float64).smallest_normal
    2.2250738585072014e-308
    """
    dtype = _dtype_of(type)
    if dtype.kind not in "fc":
        raise DTypeError("finfo of {name}; expected a floating dtype: write iinfo for integers", name=dtype.name)
    found = dt.limits(dtype)
    return finfo(found.bits, found.eps, found.max, found.min, found.tiny, dt.to_real(dtype))


def integer_limits(type: DType | Tensor, /) -> iinfo:
    """The limits of an integer dtype.

    >>> from danlu import array_api as xp
    >>> xp.iinfo(xp.uint8).max
    255
    """
    dtype = _dtype_of(type)
    if dtype.kind not in "iu":
        raise DTypeError("iinfo of {name}; expected an integer dtype: write finfo for floating ones", name=dtype.name)
    found = np.iinfo(dtype.numpy)
    return iinfo(found.bits, int(found.max), int(found.min), dtype)


def isdtype(dtype: DType, kind: Any) -> bool:
    """Whether a dtype is another, or of a kind ("bool", "integral", "real floating" …), or of one of several.

    >>> from danlu import array_api as xp
    >>> xp.isdtype(xp.int8, ("integral", xp.float32))
    True
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    if isinstance(kind, DType):
        return dtype is kind
    if kind not in KINDS:
        raise DTypeError("isdtype: kind={kind!r}; expected a dtype or one of {kinds}", kind=kind, kinds=", ".join(KINDS))
    return dtype.kind in KINDS[kind]


def _level(kind: str) -> int:
    return "biufc".index(kind) - (kind in "ufc")  # bool, integers, floats, complex


def _level_of(number: Any) -> int:
    return next(k for k, kind in enumerate((bool, int, float, complex)) if isinstance(number, kind))


def scalar_dtype(number: Any, dtype: DType | None) -> DType:
    """The dtype that a Python number takes beside arrays of `dtype`: theirs, if they are of its kind or a higher one."""
    level = _level_of(number)
    if dtype is not None and _level(dtype.kind) >= level:
        return dtype
    if level == 3 and dtype is dt.float64:
        return dt.complex128
    return (dt.bool_, dt.int64, dt.default(), dt.to_complex(dt.default()))[level]


def result_type(*arrays_and_dtypes: Any) -> DType:
    """The dtype to which arrays, dtypes and Python numbers promote together.

    >>> from danlu import array_api as xp
    >>> xp.result_type(xp.int8, xp.uint8)
    danlu.int16
    """
    found: DType | None = None
    for x in arrays_and_dtypes:
        if isinstance(x, (Tensor, DType)):
            found = _dtype_of(x) if found is None else dt.promote(found, _dtype_of(x))
    for x in arrays_and_dtypes:
        if not isinstance(x, (Tensor, DType)):
            found = scalar_dtype(x, found)
    if found is None:
        raise DTypeError("result_type of nothing; give arrays or dtypes")
    return found


def can_cast(from_: DType | Tensor, to: DType, /) -> bool:
    """Whether promotion leads from one dtype to the other.

    >>> from danlu import array_api as xp
    >>> xp.can_cast(xp.int8, xp.int16), xp.can_cast(xp.int16, xp.int8)
    (True, False)
    """
    return dt.promote(_dtype_of(from_), to) is to


def together(*xs: Any) -> list[Tensor]:
    """Arrays and Python numbers as arrays of their common dtype."""
    dtype = result_type(*xs)
    return [x.to(dtype) if isinstance(x, Tensor) else tensor(x, dtype) for x in xs]
