"""L6. PyTorch's .pt and .pth, zip and legacy, without running any code: tensors are built from storages, all else from containers.

A pickle names the storages that tensors view, the bytes stand beside it. The pickle becomes a structure of descriptions first; when
the bytes are known, descriptions become tensors. Two tensors with the same view of one storage become one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from math import prod
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.errors import DataError
from danlu.formats.archive import Archive
from danlu.formats.numbers import STORED, decoded, stored_dtype
from danlu.formats.unpickle import Name, Unpickler, is_metadata
from danlu.messages import Phrase, message
from danlu.tensor import from_array

LEGACY = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the pickled number that a legacy file begins with
_PROTOCOL, _MOST_AXES, _DEEPEST = 1001, 32, 64
_STORAGES = {
    f"torch.{kind}Storage": dtype
    for kind, dtype in {
        "Float": "float32", "Double": "float64", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64", "Int": "int32",
        "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool", "ComplexFloat": "complex64", "ComplexDouble": "complex128",
        "Untyped": "uint8",
    }.items()
} | {"torch.storage.UntypedStorage": "uint8"}  # fmt: skip
_DTYPES = {f"torch.{name}": name for name in STORED} | {
    "torch.half": "float16", "torch.float": "float32", "torch.double": "float64", "torch.long": "int64", "torch.int": "int32",
    "torch.short": "int16", "torch.cfloat": "complex64", "torch.cdouble": "complex128",
}  # fmt: skip


@dataclass(eq=False)
class _Storage:
    """Elements of one dtype; the bytes come later."""

    key: str
    dtype: str
    count: int
    data: memoryview | None = None


@dataclass(eq=False)
class _View:
    """A tensor of the file: a dtype, an offset, sizes and strides (in elements) over a storage."""

    storage: _Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    requires_grad: bool


# ---- what a pickle may "call" -------------------------------------------------------------------------------------------------


def _counts(value: Any) -> tuple[int, ...]:
    """A shape or strides: whole numbers ≥ 0."""
    if type(value) not in (tuple, list) or len(value) > _MOST_AXES or not all(type(n) is int and 0 <= n < 1 << 60 for n in value):
        raise ValueError(message("sizes or strides that are no lists of numbers ≥ 0"))
    return tuple(value)


def _text(value: Any) -> str:
    """A name, or what kind of thing stands in its place: never a container written out, which may take for ever."""
    return value.text if isinstance(value, Name) else type(value).__name__


def _bytes(text: Any, encoding: Any) -> bytes:
    """Bytes in the pickles of protocol 2."""
    if type(text) is not str or encoding != "latin1":
        raise ValueError(message("an encoding that is not latin1"))
    return text.encode("latin1")


def _device(kind: Any, index: Any = None) -> str:
    if type(kind) is not str or not (index is None or type(index) is int):
        raise ValueError(message("a device without a name"))
    return kind if index is None else f"{kind}:{index}"


def _tensor(
    storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any = False, hooks: Any = None, metadata: Any = None
) -> _View:
    return _tensor_of(storage, offset, size, stride, requires_grad, hooks, None)


def _tensor_of(
    storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, hooks: Any, dtype: Any, metadata: Any = None
) -> _View:
    shape, strides = _counts(size), _counts(stride)
    if not isinstance(storage, _Storage) or type(offset) is not int or offset < 0 or len(shape) != len(strides):
        raise ValueError(message("a tensor without storage, offset, sizes and strides"))
    name = storage.dtype
    if dtype is not None:
        name = _DTYPES.get(dtype.text, "") if isinstance(dtype, Name) else ""
    if not name:
        raise ValueError(message("a tensor of {what}, which danlu does not know", what=_text(dtype)))
    return _View(storage, name, offset, shape, strides, requires_grad is True)


def _parameter(data: Any, requires_grad: Any = True, hooks: Any = None, state: Any = None) -> _View:
    if not isinstance(data, _View):
        raise ValueError(message("a parameter without a tensor"))
    return _View(data.storage, data.dtype, data.offset, data.shape, data.strides, requires_grad is True)


def _of_type(build: Any, kind: Any, arguments: Any, state: Any = None) -> Any:
    plain = isinstance(kind, Name) and kind.text in ("torch.Tensor", "torch.nn.parameter.Parameter", "torch._tensor.Tensor")
    if not plain or not isinstance(build, Name) or build.text not in _BUILDERS or type(arguments) is not tuple:
        raise ValueError(message("a subclass of Tensor"))
    return _BUILDERS[build.text](*arguments)


def _dictionary(items: Any = ()) -> dict[Any, Any]:
    pairs = list(items.items()) if isinstance(items, dict) else items
    if type(pairs) not in (tuple, list) or not all(
        type(p) in (tuple, list) and len(p) == 2 and type(p[0]) in (str, int) for p in pairs
    ):
        raise ValueError(message("a dictionary of other things than pairs"))
    return dict(pairs)  # type: ignore[arg-type]


_BUILDERS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": lambda items=(): OrderedDict(_dictionary(items)),
    "collections.Counter": _dictionary,
    "collections.defaultdict": lambda factory=None, items=(): _dictionary(items),
    "torch.Size": lambda sizes=(): _counts(sizes),
    "torch.device": _device,
    "_codecs.encode": _bytes,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _of_type,
}


# ---- from descriptions to tensors -----------------------------------------------------------------------------------------------


class _Reader:
    """What both kinds of files share: the storages met, and the way from descriptions to tensors."""

    def __init__(self, name: str, size: int, order: str) -> None:
        self.name, self.order = name, order
        self.budget = 2 * size  # bytes that all tensors may take together: views with stride 0 could claim any number
        self.storages: dict[str, _Storage] = {}
        self.made: dict[tuple, Any] = {}
        self.visits = 0

    def unpickle(self, stream: BytesIO) -> tuple[Any, int]:
        """A structure of descriptions, and of how many opcodes."""
        self.machine = Unpickler(stream, self.name, _BUILDERS, self.storage)
        return self.machine.load(), self.machine.count

    def storage(self, identity: Any) -> _Storage:
        """("storage", type, key, location, number of elements (, view of another storage: legacy))."""
        parts: list[Any] = list(identity) if type(identity) is tuple else []
        if parts[:1] == ["module"] and len(parts) > 1 and isinstance(parts[1], Name):
            raise self.machine.refused(parts[1].text, parts[1].place)  # a legacy file of a whole model
        if len(parts) not in (5, 6) or type(parts[0]) is not str or parts[0] != "storage":
            raise ValueError(message("a persistent id that is no storage"))
        _, kind, key, _, count, *view = parts
        if (
            not isinstance(kind, Name)
            or kind.text not in _STORAGES
            or type(key) is not str
            or type(count) is not int
            or count < 0
        ):
            raise ValueError(message("a storage of {what}, which danlu does not know", what=_text(kind)))
        if view and view[0] is not None:
            raise ValueError(message("a storage that is a view of another"))
        found = self.storages.setdefault(key, _Storage(key, _STORAGES[kind.text], count))
        return found if found.dtype == _STORAGES[kind.text] else _Storage(key, _STORAGES[kind.text], count)

    def finished(self, value: Any, count: int) -> Any:
        """The structure with tensors; `count` bounds its size as a tree, which shared or circular containers could blow up."""
        self.visits = 1000 + 4 * count
        return self._finish(value, 0)

    def _finish(self, value: Any, depth: int) -> Any:
        self.visits -= 1
        if self.visits < 0 or depth > _DEEPEST:
            raise DataError("{name}: containers that hold themselves, or one another too often", name=self.name)
        if isinstance(value, _View):
            return self._made(value)
        if isinstance(value, Name):
            return self._named(value)
        if type(value) in (dict, OrderedDict):
            return self._with_metadata(type(value)((k, self._finish(v, depth + 1)) for k, v in value.items()), value, depth)
        if type(value) in (list, tuple):
            return type(value)([self._finish(v, depth + 1) for v in value])
        if isinstance(value, _Storage):
            raise DataError("{name}: a storage that no tensor views; save tensors", name=self.name)
        return value

    def _with_metadata(self, finished: Any, value: Any, depth: int) -> Any:
        """A dictionary with the versions of modules that a state_dict carries, if this is one."""
        if hasattr(value, "_metadata"):
            finished._metadata = self._finish(value._metadata, depth + 1)
            if not is_metadata(finished._metadata):
                raise DataError("{name}: the versions in a state_dict are no table; the file is damaged", name=self.name)
        return finished

    def _named(self, name: Name) -> Any:
        found = getattr(dt, _DTYPES.get(name.text, ""), None)
        if found is None:
            raise DataError(
                "{name}: refused: {what} at byte {place}; danlu reads tensors, numbers, strings and containers",
                name=self.name,
                what=name.text,
                place=name.place,
            )
        return found

    def _made(self, view: _View) -> Any:
        key = (view.storage.key, view.dtype, view.offset, view.shape, view.strides)
        if key not in self.made:
            self.made[key] = from_array(self._array(view))
        tensor = self.made[key]
        return tensor.requires_grad_() if view.requires_grad and not tensor.requires_grad else tensor

    def _array(self, view: _View) -> np.ndarray:
        dtype, count = stored_dtype(view.dtype, self.order), prod(view.shape)
        data = view.storage.data
        last = view.offset + sum((n - 1) * s for n, s in zip(view.shape, view.strides)) if count else -1
        self.budget -= count * dtype.itemsize
        held = 0 if data is None else len(data) // dtype.itemsize
        if last >= held or self.budget < 0:
            problem = (
                Phrase("its storage holds {held} elements", held=held) if last >= held else Phrase("the file is too small for it")
            )
            raise DataError(
                "{name}: a tensor of shape {shape}, strides {strides} and offset {offset}, but {problem}; save it with .contiguous()",
                name=self.name,
                shape=view.shape,
                strides=view.strides,
                offset=view.offset,
                problem=problem,
            )
        if not count:
            return decoded(view.dtype, np.empty(view.shape, dtype))
        flat = np.frombuffer(data, dtype, held)[view.offset :]  # type: ignore[arg-type]
        strides = tuple(s * dtype.itemsize if n > 1 else 0 for n, s in zip(view.shape, view.strides))
        return decoded(view.dtype, np.lib.stride_tricks.as_strided(flat, view.shape, strides, writeable=False))


def read_zip(archive: Archive) -> Any:
    """What torch.save wrote since 2020: data.pkl, and each storage as a member of its own."""
    pickles = [member for member in archive.members if member == "data.pkl" or member.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise DataError("{name}: {count} members named data.pkl; expected one", name=archive.name, count=len(pickles))
    root = pickles[0][: -len("data.pkl")]
    if f"{root}constants.pkl" in archive.members:
        raise DataError("{name}: refused: a TorchScript program; danlu reads state dicts", name=archive.name)
    marker = f"{root}byteorder"
    order = ">" if marker in archive.members and bytes(archive.read(marker)) == b"big" else "<"
    reader = _Reader(archive.name, len(archive.data), order)
    value, count = reader.unpickle(BytesIO(archive.read(pickles[0])))
    for storage in reader.storages.values():
        storage.data = archive.read(f"{root}data/{storage.key}")
    return reader.finished(value, count)


def read_legacy(data: bytes, name: str) -> Any:
    """What torch.save wrote before: five pickles one after another, then length and bytes of each storage."""
    stream, reader = BytesIO(data), _Reader(name, len(data), "<")
    reader.unpickle(stream)  # the magic number
    protocol, _ = reader.unpickle(stream)
    system, _ = reader.unpickle(stream)
    if protocol != _PROTOCOL or type(system) is not dict or system.get("little_endian") is not True:
        raise DataError(
            "{name}: a legacy PyTorch file of another version or byte order than {version}", name=name, version=_PROTOCOL
        )
    value, count = reader.unpickle(stream)
    keys, _ = reader.unpickle(stream)
    position = stream.tell()
    for key in keys if type(keys) is list else []:
        storage = reader.storages.get(key) if type(key) is str else None
        length = int.from_bytes(data[position : position + 8], "little")
        size = 0 if storage is None else length * np.dtype(STORED[storage.dtype]).itemsize
        if storage is None or length != storage.count or position + 8 + size > len(data):
            raise DataError(
                "{name}: the lengths of the storage {key!r} do not fit the file",
                name=name,
                key=key[:80] if type(key) is str else type(key).__name__,
            )
        storage.data = memoryview(data)[position + 8 : position + 8 + size]
        position += 8 + size
    return reader.finished(value, count)


__all__ = ["LEGACY", "read_legacy", "read_zip"]
