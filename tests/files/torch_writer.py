"""PyTorch files written by hand, opcode by opcode, so that the reader is tested without PyTorch."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np

MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


class Name(str):
    """`module attribute`: pickled as a global."""


class Call(tuple):
    """(name, arguments): pickled as a call."""


class Storage(tuple):
    """(type, key, count) or (type, key, count, view): pickled as a persistent id."""


def pickled(x) -> bytes:
    """Protocol 2, without memo."""
    if isinstance(x, Name):
        module, attribute = x.split()
        return b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"
    if isinstance(x, Call):
        return pickled(x[0]) + pickled(tuple(x[1])) + b"R"
    if isinstance(x, Storage):
        kind, key, count, *view = x
        return pickled(("storage", Name(f"torch {kind}Storage"), key, "cpu", count, *view)) + b"Q"
    if x is None or isinstance(x, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[x]
    if isinstance(x, int):
        raw = x.to_bytes((x.bit_length() + 8) // 8, "little", signed=True)
        return b"\x8a" + bytes([len(raw)]) + raw
    if isinstance(x, float):
        return b"G" + struct.pack(">d", x)
    if isinstance(x, str):
        return b"X" + struct.pack("<I", len(x.encode())) + x.encode()
    if isinstance(x, dict):
        return b"}(" + b"".join(pickled(k) + pickled(v) for k, v in x.items()) + b"u"
    if isinstance(x, list):
        return b"](" + b"".join(map(pickled, x)) + b"e"
    return b"(" + b"".join(map(pickled, x)) + b"t"


def tensor(kind, key, count, offset, size, stride, requires_grad=False):
    """A tensor over a storage."""
    hooks = Call((Name("collections OrderedDict"), ()))
    return Call(
        (Name("torch._utils _rebuild_tensor_v2"), (Storage((kind, key, count)), offset, size, stride, requires_grad, hooks))
    )


def zipped(value, storages, members=(), compression=zipfile.ZIP_STORED) -> bytes:
    """A .pt file: `value` as its pickle (bytes as they are), `storages` key → array."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as file:
        file.writestr("archive/data.pkl", value if isinstance(value, bytes) else b"\x80\x02" + pickled(value) + b".")
        for key, array in storages.items():
            file.writestr(f"archive/data/{key}", np.ascontiguousarray(array).tobytes())
        for name, content in dict(members).items():
            file.writestr(f"archive/{name}", content)
    return out.getvalue()


def legacy(value, storages) -> bytes:
    """A file of the time before zip."""
    parts = [1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}, value, list(storages)]
    head = MAGIC + b"".join(b"\x80\x02" + pickled(p) + b"." for p in parts)
    return head + b"".join(struct.pack("<q", a.size) + a.tobytes() for a in storages.values())


WEIGHT, COUNTS = np.arange(12, dtype=np.float32), np.arange(5, dtype=np.int64)
STATE = {
    "weight": tensor("Float", "0", 12, 0, (3, 4), (4, 1)),
    "transposed": tensor("Float", "0", 12, 2, (2, 3), (1, 4)),
    "counts": tensor("Long", "1", 5, 0, (5,), (1,)),
    "state": {
        0: {"step": 3.0, "names": ["a", None, True]},
        "size": Call((Name("torch Size"), ([2, 3],))),
        "dtype": Name("torch float32"),
    },
}
STORAGES = {"0": WEIGHT, "1": COUNTS}
