"""L0. Data types, their names as in PyTorch, and the rules by which two of them become one."""

from __future__ import annotations

import numpy as np

from danlu.errors import DTypeError


class DType:
    """One element type: its name, its kind (`b`ool, `u`nsigned, `i`nteger, `f`loat), its size in bytes and NumPy's twin.

    >>> import danlu
    >>> danlu.float32.itemsize, danlu.int64.is_floating_point
    (4, False)
    """

    __slots__ = ("itemsize", "kind", "name", "numpy", "rank")

    def __init__(self, name: str, rank: int) -> None:
        self.name, self.rank = name, rank
        self.numpy = np.dtype(name)
        self.itemsize, self.kind = self.numpy.itemsize, self.numpy.kind

    @property
    def is_floating_point(self) -> bool:
        """True for float16, float32 and float64."""
        return self.kind == "f"

    @property
    def is_signed(self) -> bool:
        """True where negative values exist."""
        return self.kind in "if"

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
uint32 = DType("uint32", 6)  # random bits; not a type of the public API
uint64 = DType("uint64", 7)
float16 = DType("float16", 8)
float32 = DType("float32", 9)
float64 = DType("float64", 10)

ALL = (bool_, uint8, int8, int16, int32, int64, uint32, uint64, float16, float32, float64)
NAMES = {d.name: d for d in ALL}
_BY_NUMPY = {d.numpy: d for d in ALL}


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
    """The smallest dtype that holds both, as in PyTorch: `float` wins over `int`, `int` over `bool`; uint8 with a signed type gives int16 and up."""
    if a is b:
        return a
    low, high = (a, b) if a.rank < b.rank else (b, a)
    if low is uint8 and high is int8:
        return int16
    return high
