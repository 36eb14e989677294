"""L0. Data types, their names as in PyTorch, and the rules by which two of them become one."""

from __future__ import annotations

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
        self.numpy = np.dtype(name)
        self.itemsize, self.kind = self.numpy.itemsize, self.numpy.kind
        self.is_complex = self.kind == "c"
        self.differentiable = self.kind in "fc"  # a derivative may be asked of such values

    @property
    def is_floating_point(self) -> bool:
        """True for float16, float32 and float64."""
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
float32 = DType("float32", 10)
float64 = DType("float64", 11)
complex64 = DType("complex64", 12)
complex128 = DType("complex128", 13)

ALL = (bool_, uint8, int8, int16, int32, int64, uint16, uint32, uint64, float16, float32, float64, complex64, complex128)
NAMES = {d.name: d for d in ALL}
_BY_NUMPY = {d.numpy: d for d in ALL}


def to_complex(dtype: DType) -> DType:
    """The complex dtype whose parts hold this one."""
    return complex128 if dtype is float64 or dtype is complex128 else complex64


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
        names = ", ".join(d.name for d in ALL)
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
    return complex128 if high is complex64 and low is float64 else high


def _with_sign(unsigned: DType, signed: DType) -> DType:
    """The smallest signed integers that hold both; beyond 64 bits float64, as in NumPy."""
    if unsigned.itemsize < signed.itemsize:
        return signed
    return {1: int16, 2: int32, 4: int64, 8: float64}[unsigned.itemsize]
