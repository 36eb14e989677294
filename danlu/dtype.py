"""L0. Data types, their names as in PyTorch, and the rules by which two of them become one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from danlu.errors import DTypeError


class DType:
    """One element type: its name, its kind (`b`ool, `u`nsigned, `i`nteger, `f`loat, `c`omplex), its size in bytes and NumPy's twin.

    >>> import danlu
    >>> danlu.float32.itemsize, danlu.int64.is_floating_point
    (4, False)
    """

    __slots__ = ("differentiable", "is_complex", "itemsize", "kind", "name", "numpy", "rank")

    def __init__(self, name: str, rank: int) -> None:
        self.name, self.rank = name, rank
        self.numpy = np.dtype(
            "V2" if name == "bfloat16" else name
        )  # NumPy has no bfloat16: for it these are two bytes that it can move
        self.itemsize, self.kind = self.numpy.itemsize, "f" if name == "bfloat16" else self.numpy.kind
        self.is_complex = self.kind == "c"
        self.differentiable = self.kind in "fc"  # a derivative may be asked of such values

    @property
    def is_floating_point(self) -> bool:
        """True for float16, bfloat16, float32 and float64."""
        return self.kind == "f"

    @property
    def is_signed(self) -> bool:
        """True where negative values exist."""
        return self.kind in "ifc"

    def __repr__(self) -> str:
        return f"danlu.{self.name}"

    def __reduce__(self) -> str:
        return self.name


bool_ = DType("bool", 0)
uint8 = DType("uint8", 1)
int8 = DType("int8", 2)
int16 = DType("int16", 3)
int32 = DType("int32", 4)
int64 = DType("int64", 5)
uint16 = DType("uint16", 6)
uint32 = DType("uint32", 7)
uint64 = DType("uint64", 8)
float16 = DType("float16", 9)
bfloat16 = DType("bfloat16", 10)
float32 = DType("float32", 11)
float64 = DType("float64", 12)
complex64 = DType("complex64", 13)
complex128 = DType("complex128", 14)

ALL = (
    bool_,
    uint8,
    int8,
    int16,
    int32,
    int64,
    uint16,
    uint32,
    uint64,
    float16,
    bfloat16,
    float32,
    float64,
    complex64,
    complex128,
)
NAMES = {d.name: d for d in ALL}
_BY_NUMPY = {d.numpy: d for d in ALL}


_default = float32


def default() -> DType:
    """What Python floats become, and whole numbers where a float comes out: float32, unless `danlu.set_default_dtype` said otherwise."""
    return _default


def set_default(dtype: DType) -> None:
    """Changes it (engine.py does, which knows what depends on it)."""
    global _default
    _default = dtype


def as_float(dtype: DType) -> DType:
    """A floating dtype is its own; of every other it is the default."""
    return dtype if dtype.kind == "f" else _default


def to_complex(dtype: DType) -> DType:
    """The complex dtype whose parts hold this one; whole numbers become those of the default dtype."""
    wide = float64 if _default is float64 and not dtype.differentiable else dtype
    return complex128 if wide is float64 or wide is complex128 else complex64


def to_real(dtype: DType) -> DType:
    """The dtype of the real and of the imaginary part; a real dtype is its own."""
    return float64 if dtype is complex128 else float32 if dtype is complex64 else dtype


def check_dtype(dtype: object) -> None:
    """DTypeError for what is no dtype of danlu: its name, NumPy's or Python's."""
    if type(dtype) is not DType:
        meant = NAMES.get(str(getattr(dtype, "__name__", dtype)), float32)
        raise DTypeError("dtype is {dtype!r}; expected a dtype of danlu: write {meant!r}", dtype=dtype, meant=meant)


def from_numpy(dtype) -> DType:
    """The danlu dtype of a NumPy dtype; DTypeError where there is none."""
    found = _BY_NUMPY.get(np.dtype(dtype))
    if found is None:
        names = ", ".join(d.name for d in ALL if d is not bfloat16)
        raise DTypeError(
            "danlu has no dtype for NumPy's {dtype}; it has {names}. Convert first: array.astype('float32')",
            dtype=np.dtype(dtype),
            names=names,
        )
    return found


def promote(a: DType, b: DType) -> DType:
    """The smallest dtype that holds both, as in PyTorch: `complex` wins over `float`, `float` over `int`, `int` over `bool`;
    uint8 with a signed type gives int16 and up, float64 with complex64 complex128."""
    if a is b:
        return a
    low, high = (a, b) if a.rank < b.rank else (b, a)
    if {low.kind, high.kind} == {"u", "i"}:
        return _with_sign(*((low, high) if low.kind == "u" else (high, low)))
    if low is float16 and high is bfloat16:  # neither holds the other
        return float32
    return complex128 if high is complex64 and low is float64 else high


def _with_sign(unsigned: DType, signed: DType) -> DType:
    """The smallest signed integers that hold both; beyond 64 bits float64, as in NumPy."""
    if unsigned.itemsize < signed.itemsize:
        return signed
    return {1: int16, 2: int32, 4: int64, 8: float64}[unsigned.itemsize]


# ---- bfloat16, which NumPy lacks: the upper half of a float32 -----------------------------------------------------------------


def bfloat16_bits(x: np.ndarray) -> np.ndarray:
    """float32 → the 16 bits of the nearest bfloat16, the even one of two; a NaN stays one.

    >>> bfloat16_bits(np.array([1.5], np.float32))
    array([16320], dtype=uint16)
    """
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32).reshape(np.shape(x))
    upper = bits >> np.uint32(16)
    rounded = (bits + (np.uint32(0x7FFF) + (upper & np.uint32(1)))) >> np.uint32(16)
    return np.where(np.isnan(x), upper | np.uint32(0x40), rounded).astype(np.uint16)


def bfloat16_values(bits: np.ndarray) -> np.ndarray:
    """The 16 bits of bfloat16 numbers → the same numbers as float32.

    >>> bfloat16_values(np.array([0x3FC0], np.uint16))
    array([1.5], dtype=float32)
    """
    return (np.asarray(bits).astype(np.uint32) << np.uint32(16)).view(np.float32)


def in_memory(numbers: Any, dtype: DType) -> np.ndarray:
    """Numbers as an array of this dtype, as tensors hold it; a copy."""
    if dtype is not bfloat16:
        return np.array(numbers, dtype.numpy, order="C")
    with np.errstate(over="ignore"):
        return bfloat16_bits(np.asarray(numbers).astype(np.float32)).view(bfloat16.numpy)


def readable(array: np.ndarray) -> np.ndarray:
    """An array of tensor memory as NumPy can compute with it: bfloat16 becomes float32, which holds it exactly."""
    if array.dtype != bfloat16.numpy:
        return array
    return bfloat16_values(np.ascontiguousarray(array).view(np.uint16).reshape(array.shape))


class Limits(NamedTuple):
    """What a floating dtype can hold, under NumPy's names."""

    bits: int
    eps: float
    max: float
    min: float
    tiny: float
    nmant: int


def limits(dtype: DType) -> Limits:
    """The limits of a floating dtype, or of the parts of a complex one.

    >>> limits(bfloat16).eps
    0.0078125
    """
    if dtype is bfloat16:
        largest = (2 - 2.0**-7) * 2.0**127
        return Limits(16, 2.0**-7, largest, -largest, 2.0**-126, 7)
    found = np.finfo(dtype.numpy)
    return Limits(found.bits, float(found.eps), float(found.max), float(found.min), float(found.tiny), found.nmant)
