"""L6. Number formats that NumPy lacks: bfloat16 stays what it is, the two float8 become float16, which holds them exactly."""

from __future__ import annotations

import numpy as np

from danlu.dtype import bfloat16


def from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """uint16 → the same bits, as tensors of bfloat16 hold them.

    >>> from_bfloat16(np.array([0x3FC0], np.uint16)).dtype == bfloat16.numpy
    True
    """
    return bits.view(bfloat16.numpy)


def from_float8_e5m2(bits: np.ndarray) -> np.ndarray:
    """uint8 → float16: an E5M2 is the upper half of a float16 (Micikevicius et al. 2022, table 1).

    >>> from_float8_e5m2(np.array([0x3E], np.uint8))
    array([1.5], dtype=float16)
    """
    return (bits.astype(np.uint16) << np.uint16(8)).view(np.float16)


def _e4m3(code: int) -> float:
    """One E4M3: bias 7, no infinity, NaN where all bits but the sign are 1."""
    exponent, mantissa = code >> 3 & 15, code & 7
    if code & 127 == 127:
        return float("nan")
    size = mantissa * 2.0**-9 if exponent == 0 else (1 + mantissa / 8) * 2.0 ** (exponent - 7)
    return -size if code & 128 else size


_E4M3 = np.array([_e4m3(code) for code in range(256)], np.float16)


def from_float8_e4m3(bits: np.ndarray) -> np.ndarray:
    """uint8 → float16 (Micikevicius et al. 2022, table 1).

    >>> from_float8_e4m3(np.array([0x3C], np.uint8))
    array([1.5], dtype=float16)
    """
    return _E4M3[bits]


OTHERS = {
    "bfloat16": (np.uint16, from_bfloat16),
    "float8_e5m2": (np.uint8, from_float8_e5m2),
    "float8_e4m3fn": (np.uint8, from_float8_e4m3),
}
STORED = {
    "bool": np.uint8, "uint8": np.uint8, "int8": np.int8, "int16": np.int16, "int32": np.int32, "int64": np.int64,
    "uint16": np.uint16, "uint32": np.uint32, "uint64": np.uint64, "float16": np.float16, "float32": np.float32,
    "float64": np.float64, "complex64": np.complex64, "complex128": np.complex128,
} | {name: stored for name, (stored, _) in OTHERS.items()}  # fmt: skip


def stored_dtype(name: str, order: str = "<") -> np.dtype:
    """What the elements of a dtype look like in a file: bools are bytes, since a byte may be anything."""
    return np.dtype(STORED[name]).newbyteorder(order)  # type: ignore[arg-type]


def decoded(name: str, stored: np.ndarray) -> np.ndarray:
    """Elements as they stood in a file → an array of its own, in the machine's byte order."""
    native = stored.astype(stored.dtype.newbyteorder("="), order="C")  # a copy
    if name in OTHERS:
        return OTHERS[name][1](native)
    return native != 0 if name == "bool" else native


__all__ = ["STORED", "decoded", "stored_dtype"]
