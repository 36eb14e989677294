"""L6. NumPy's .npy and .npz, without pickles: the header is read by a pattern, every length held against the file."""

from __future__ import annotations

import re
from math import prod
from typing import Any

import numpy as np

from danlu.errors import DataError
from danlu.formats.archive import Archive
from danlu.tensor import from_array

MAGIC = b"\x93NUMPY"
_HEADER = re.compile(
    rb"\{ *'descr': *'([^']{1,40})', *'fortran_order': *(True|False), *'shape': *\(((?:\d{1,19}L?, *)*(?:\d{1,19}L?)?)\),? *\}\s*"
)
_KINDS = "biufcUSmM"


def read_npy(data: bytes | memoryview, name: str) -> np.ndarray:
    """The array of a .npy file, a copy.

    Raises: DataError for Python objects (which are pickles), records, other headers than NumPy writes, lengths that do not fit.

    Source: NumPy enhancement proposal 1, "A simple file format for NumPy arrays".
    """
    view = memoryview(data)
    if len(view) < 12 or bytes(view[:6]) != MAGIC or view[6] not in (1, 2, 3):
        raise DataError("{name}: no .npy data of version 1, 2 or 3; the file is damaged", name=name)
    width = 2 if view[6] == 1 else 4
    start = 8 + width + int.from_bytes(view[8 : 8 + width], "little")
    header = bytes(view[8 + width : min(start, 8 + width + 10_000)])
    match = _HEADER.fullmatch(header) if start <= len(view) else None
    if match is None:
        raise DataError("{name}: the header {header!r} is none of NumPy's for one plain dtype", name=name, header=header[:80])
    dtype, order = _dtype(match[1].decode("latin-1"), name), "F" if match[2] == b"True" else "C"
    shape = tuple(int(n.strip(b" L")) for n in match[3].split(b",") if n.strip())
    needed = prod(shape) * dtype.itemsize
    if needed != len(view) - start or len(shape) > 32:
        raise DataError(
            "{name}: shape {shape} of {dtype} needs {needed} bytes, the file holds {held}; it is cut off or damaged",
            name=name,
            shape=shape,
            dtype=dtype,
            needed=needed,
            held=len(view) - start,
        )
    array = np.frombuffer(view[start:], np.uint8 if dtype.kind == "b" else dtype).reshape(shape, order=order)
    return array != 0 if dtype.kind == "b" else array.astype(dtype.newbyteorder("="), order="C")


def _dtype(text: str, name: str) -> np.dtype:
    if text.strip("|=<>") in ("O", "object"):
        raise DataError("{name}: refused: an array of Python objects, which is a pickle; save numbers or strings", name=name)
    try:
        dtype = np.dtype(text)
    except (TypeError, ValueError) as error:
        raise DataError("{name}: unknown dtype {text!r}", name=name, text=text) from error
    if dtype.kind not in _KINDS or not dtype.itemsize or dtype.subdtype is not None:
        raise DataError("{name}: the dtype {text!r} is not one of numbers, strings or dates", name=name, text=text)
    return dtype


def as_leaf(array: np.ndarray) -> Any:
    """Numbers as a tensor; strings and dates as they are."""
    return from_array(array) if array.dtype.kind in "biufc" else array


def read_npz(archive: Archive) -> dict[str, Any]:
    """{name: tensor} of the members of a .npz file."""
    total = sum(len(archive.read(member)) for member in archive.members if member.endswith(".npy"))
    if total > max(2 * len(archive.data), sum(info.file_size for info in archive.members.values())):
        raise DataError("{name}: members that lie upon each other; the file is damaged", name=archive.name)
    return {
        member[: -len(".npy")]: as_leaf(read_npy(archive.read(member), f"{archive.name}: {member}"))
        for member in archive.members
        if member.endswith(".npy")
    }


__all__ = ["MAGIC", "as_leaf", "read_npy", "read_npz"]
