"""L6. Files that are whole or absent: nested state in safetensors, JSON, and the atomic write under both.

A state (dicts, lists, tuples of tensors, arrays, numbers, strings, None) becomes one safetensors file: the tensors under
readable names, the structure and a checksum as JSON in the file's metadata. Nothing is ever unpickled; other programs' files are
read by formats/.
"""

from __future__ import annotations

import json
import os
import secrets
import struct
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from danlu.dtype import bfloat16
from danlu.errors import DataError, DTypeError, MissingFileError
from danlu.formats.archive import Archive
from danlu.formats.numbers import decoded, stored_dtype
from danlu.formats.numpy_file import MAGIC as NUMPY_MAGIC
from danlu.formats.numpy_file import as_leaf, read_npy, read_npz
from danlu.formats.torch_file import LEGACY, read_legacy, read_zip
from danlu.formats.unpickle import is_metadata
from danlu.guidance import meant
from danlu.messages import Phrase, message
from danlu.tensor import Tensor, from_array

STRUCTURE = "danlu"  # the metadata key that holds the structure
MAX_HEADER = 100 << 20  # bytes; the bound of the safetensors format itself
MAX_DEPTH = 64  # levels of nesting of a state
_DTYPES = {  # the format's name → ours
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64", "U16": "uint16", "U32": "uint32",
    "U64": "uint64", "F16": "float16", "F32": "float32", "F64": "float64", "C64": "complex64", "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
}  # fmt: skip
_WRITTEN = (
    "bool",
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
)


# ---- writing whole files


def write_atomic(path: str | os.PathLike, data: bytes) -> None:
    """Write `data` to `path` so that a reader, or a crash at any moment, sees the old file or the new one, never a part.

    The bytes go to a temporary name in the same folder, are forced to disk, and the name is moved over the old one.

    Raises:
        DataError: the folder does not exist or cannot be written, or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        try:
            _write_synced(temporary, data)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise DataError(
            "cannot write {path}: {problem}; choose a folder that you may write to", path=path, problem=error.strerror or error
        ) from error


def _write_synced(path: Path, data: bytes) -> None:
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Force a folder's list of names to disk (Windows has no such call and needs none)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bytes(path: str | os.PathLike) -> bytes:
    """The bytes of a file; DataError that names the file where it cannot be read."""
    check_exists(Path(path))
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError("cannot read {path}: {problem}", path=path, problem=error.strerror or error) from error


def check_exists(path: Path) -> None:
    """MissingFileError, with the nearest name in the folder, for a path where nothing is."""
    if not path.exists():
        raise MissingFileError("cannot read {path}: {problem}", path=path, problem=_not_there(path))


def _not_there(path: Path) -> Phrase:
    folder = path.absolute().parent
    if not folder.is_dir():
        return Phrase("the folder {folder} does not exist", folder=folder)
    hint = meant(path.name, [entry.name for entry in folder.iterdir()])
    return Phrase("there is no such file in {folder}{hint}", folder=folder, hint=hint)


# ---- JSON


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write a JSON document atomically, indented for people to read."""
    write_atomic(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: str | os.PathLike) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        DataError: the file cannot be read, is not UTF-8 JSON, or holds no object.
    """
    value = parse_json(read_bytes(path), str(path))
    if not isinstance(value, dict):
        raise DataError("{path}: expected a JSON object {{...}}, found {kind}", path=path, kind=type(value).__name__)
    return value


def parse_json(data: bytes, name: str) -> Any:
    """Parse JSON that is not trusted; DataError names the file (and the line) where it is damaged."""
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        raise DataError(
            "{name}: not UTF-8 text at byte {position}; the file is damaged", name=name, position=error.start
        ) from error
    except json.JSONDecodeError as error:
        raise DataError(
            "{name}: not JSON at line {line}: {problem}; the file is damaged", name=name, line=error.lineno, problem=error.msg
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            "{name}: {problem}; the file is damaged", name=name, problem=str(error) or Phrase("nested too deep")
        ) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(message("a key stands twice in one object"))
    return found


# ---- nested state <-> safetensors


def save(state: Any, path: str | os.PathLike | IO[bytes], metadata: Mapping[str, str] | None = None) -> None:
    """Save tensors, or any nesting of dict, list and tuple around them, as one safetensors file, written atomically.

    Leaves may be tensors, NumPy arrays, numbers, strings, bools and None; keys of dicts may be strings and integers.
    A flat `state_dict` keeps its own names in the file, so every other reader of safetensors understands it. `metadata` is a table of
    strings (an author, a licence), which `danlu.files.read_metadata` gives back.

    Raises:
        DataError: a leaf or key of another type (with its place), or a folder that cannot be written.

    >>> from danlu import load, save
    >>> import danlu, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "state.safetensors")
    >>> save({"weight": danlu.tensor([1.0, 2.0]), "step": 3}, path)
    >>> load(path)["step"]
    3
    """
    if hasattr(path, "write"):
        path.write(pack(state, metadata))  # type: ignore[union-attr]
        return
    if not isinstance(path, (str, os.PathLike)):
        raise DTypeError(
            "save: the path is {kind}; expected a string or a Path: write danlu.save(state, path)", kind=type(path).__name__
        )
    write_atomic(path, pack(state, metadata))


def load(path: str | os.PathLike | IO[bytes], map_location: Any = None, *, weights_only: bool = True, mmap: Any = None) -> Any:
    """Load what `save` wrote, a PyTorch file (.pt, .pth), NumPy's .npy and .npz, or another program's safetensors.

    What a file is follows from its content. No code in it is run: of a PyTorch file, tensors, numbers, strings and containers are
    built, and anything else is refused by name. All lengths are checked against the size of the file before memory is taken.
    float8 becomes float16. Arrays of strings or dates stay NumPy's. PyTorch's `map_location`,
    `weights_only` and `mmap` are accepted and mean nothing here.

    Raises:
        DataError: no such file, one of another kind, or one that is damaged or would run code, with the fault.

    >>> from danlu import load, save
    >>> import danlu, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "state.safetensors")
    >>> save({"layers": [danlu.tensor([1.0, 2.0]), None]}, path)
    >>> load(path)
    {'layers': [tensor([1., 2.]), None]}
    """
    if hasattr(path, "read"):
        return parse(path.read(), message("the file"))  # type: ignore[union-attr]
    return parse(read_bytes(path), str(path))  # type: ignore[arg-type]


def parse(data: bytes, name: str) -> Any:
    """What `load` gives for the bytes of a file; `name` stands in error messages."""
    if data[8:9] == b"{":  # safetensors: eight bytes of length, then JSON
        return unpack(data, name)
    if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        archive = Archive(data, name)
        kinds = {member.rpartition(".")[2] for member in archive.members}
        return read_zip(archive) if "pkl" in kinds else read_npz(archive) if kinds <= {"npy"} else _unknown_archive(archive)
    if data[:6] == NUMPY_MAGIC:
        return as_leaf(read_npy(data, name))
    if LEGACY in data[:24]:
        return read_legacy(data, name)
    if (data[:1] == b"\x80" and data[1:2] <= b"\x05") or data[257:262] == b"ustar":
        raise DataError(
            "{name}: refused: a pickle of Python objects, or a PyTorch file from before 2018; loading it would run its code. Save "
            "it again with torch.save(model.state_dict(), path)",
            name=name,
        )
    return unpack(data, name)


def _unknown_archive(archive: Archive) -> Any:
    members = ", ".join(sorted(archive.members)[:3])
    raise DataError(
        "{name}: a zip archive of {members}; danlu reads those of PyTorch and NumPy", name=archive.name, members=members[:200]
    )


def pack(state: Any, metadata: Mapping[str, str] | None = None) -> bytes:
    """The bytes of the file that `save` writes."""
    from safetensors.numpy import save as serialize

    if metadata is not None and not all(type(x) is str for pair in metadata.items() for x in pair):
        raise DataError("save: the metadata {metadata!r} is not a table of strings: write {{name: text}}", metadata=metadata)
    arrays: dict[str, np.ndarray] = {}
    structure = json.dumps(_flatten(state, "", arrays, 0))
    record = {"checksum": _checksum(structure, arrays), "structure": structure} | (
        {"metadata": dict(metadata)} if metadata else {}
    )
    # one key only: safetensors writes several in an order that changes from run to run, and equal states shall give equal bytes
    halves = {k for k, x in arrays.items() if x.dtype == bfloat16.numpy}
    known = {k: x.view(np.uint16) if k in halves else x for k, x in arrays.items()}
    data = serialize(known, {STRUCTURE: json.dumps(record)})
    return _renamed(data, halves) if halves else data


def _renamed(data: bytes, halves: set[str]) -> bytes:
    """A safetensors file, some of its uint16 tensors named what they are: bfloat16, which NumPy, and so the library, does not have."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    for name in halves:
        header[name]["dtype"] = "BF16"
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def read_metadata(path: str | os.PathLike) -> dict[str, str]:
    """The table of strings that a safetensors file carries beside its tensors.

    >>> import danlu, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "state.safetensors")
    >>> save({"weight": danlu.tensor([1.0])}, path, metadata={"author": "Ada"})
    >>> read_metadata(path)
    {'author': 'Ada'}
    """
    _, metadata, _ = _read_header(read_bytes(path), str(path))
    if STRUCTURE not in metadata:
        return metadata
    record = parse_json(metadata[STRUCTURE].encode(), f"{path} (metadata)")
    found = record.get("metadata", {}) if isinstance(record, dict) else None
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise DataError("{name}: the metadata is not a table of strings; the file is damaged", name=path)
    return found


def _checksum(structure: str, arrays: dict[str, np.ndarray]) -> int:
    """CRC-32 of the structure and of all tensors in the order of their names: tells a flipped bit, which no length shows."""
    checksum = zlib.crc32(structure.encode())
    for name in sorted(arrays):
        checksum = zlib.crc32(arrays[name].tobytes(), checksum)
    return checksum


def unpack(data: bytes, name: str = "") -> Any:
    """The state in the bytes of a safetensors file; `name` stands in error messages."""
    name = name or message("the file")
    entries, metadata, start = _read_header(data, name)
    arrays = {key: _array(data, start, *entry) for key, entry in entries.items()}
    if STRUCTURE not in metadata:
        return {key: from_array(array) for key, array in arrays.items()}
    record = parse_json(metadata[STRUCTURE].encode(), f"{name} (metadata)")
    if not isinstance(record, dict) or not isinstance(record.get("structure"), str):
        raise DataError("{name}: the structure of the state is damaged", name=name)
    if record.get("checksum") != _checksum(record["structure"], arrays):
        raise DataError("{name}: the checksum does not fit the content; the file is damaged", name=name)
    return _restore(parse_json(record["structure"].encode(), f"{name} (structure)"), arrays, name, 0)


def _flatten(value: Any, place: str, arrays: dict[str, np.ndarray], depth: int) -> Any:
    """The JSON form of `value`, whose tensors move to `arrays`: {"tensor": name}, {"dict": [[key, value], ...]}, ..."""
    if depth > MAX_DEPTH:
        raise DataError(
            "cannot save a state nested deeper than {max_depth} levels (at {place!r})", max_depth=MAX_DEPTH, place=place[:80]
        )
    if isinstance(value, Tensor):
        return {"tensor": _store(value._array(), place, arrays)}
    if isinstance(value, np.ndarray):
        return {"array": _store(value, place, arrays)}
    if isinstance(value, dict):
        pairs = [[_key(k, place), _flatten(v, f"{place}.{k}" if place else str(k), arrays, depth + 1)] for k, v in value.items()]
        if not isinstance(value, OrderedDict):
            return {"dict": pairs}
        return {"ordered": [pairs, _flatten(getattr(value, "_metadata", None), f"{place}._metadata", arrays, depth + 1)]}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_flatten(v, f"{place}.{i}" if place else str(i), arrays, depth + 1) for i, v in enumerate(value)]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.bool_, np.integer, np.floating)):
        return value.item()
    if hasattr(value, "state_dict"):
        raise DataError(
            "cannot save {kind} at {place!r}: write danlu.save(x.state_dict(), path), and x.load_state_dict(danlu.load(path)) to read it",
            kind=type(value).__name__,
            place=place or Phrase("the top"),
        )
    raise DataError(
        "cannot save {kind} at {place!r}: a state holds tensors, arrays, numbers, strings, None and dicts or lists of them",
        kind=type(value).__name__,
        place=place or Phrase("the top"),
    )


def _key(key: Any, place: str) -> str | int:
    if type(key) in (str, int):
        return key
    raise DataError(
        "cannot save the key {key!r} at {place!r}: keys are strings or integers", key=key, place=place or Phrase("the top")
    )


def _name_of(array: np.ndarray) -> str:
    return "bfloat16" if array.dtype == bfloat16.numpy else array.dtype.name


def _store(array: np.ndarray, place: str, arrays: dict[str, np.ndarray]) -> str:
    """Put an array under its place as name; a name that is taken (`a.b` twice) gets a number."""
    if _name_of(array) not in _WRITTEN:
        raise DataError(
            "cannot save the dtype {dtype} at {place!r}: known are {known}",
            dtype=array.dtype,
            place=place or Phrase("the top"),
            known=", ".join(_WRITTEN),
        )
    place = place if place != "__metadata__" else "metadata"
    name, count = place, 1
    while name in arrays:
        count += 1
        name = f"{place}#{count}"
    arrays[name] = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")).reshape(array.shape)
    return name


def _restore(value: Any, arrays: dict[str, np.ndarray], name: str, depth: int) -> Any:
    """The inverse of `_flatten`."""
    if not isinstance(value, (dict, list)):
        return value
    if isinstance(value, list) or len(value) != 1 or depth > MAX_DEPTH:
        raise DataError("{name}: the structure of the state is damaged", name=name)
    ((kind, body),) = value.items()
    if kind in ("tensor", "array"):
        if not isinstance(body, str) or body not in arrays:
            raise DataError("{name}: the structure names the tensor {key!r}, which the file does not hold", name=name, key=body)
        return from_array(arrays[body]) if kind == "tensor" else arrays[body]
    if kind not in ("dict", "list", "tuple", "ordered") or not isinstance(body, list):
        raise DataError("{name}: the structure of the state is damaged", name=name)
    if kind == "dict":
        return {_pair(item, name)[0]: _restore(item[1], arrays, name, depth + 1) for item in body}
    if kind == "ordered":
        return _ordered(body, arrays, name, depth)
    items = [_restore(item, arrays, name, depth + 1) for item in body]
    return tuple(items) if kind == "tuple" else items


def _ordered(body: list[Any], arrays: dict[str, np.ndarray], name: str, depth: int) -> OrderedDict[Any, Any]:
    """[pairs, versions of modules or None] as what `state_dict()` gives."""
    pairs, metadata = body if len(body) == 2 else (None, None)
    versions = _restore(metadata, arrays, name, depth + 1)
    if not isinstance(pairs, list) or not (versions is None or is_metadata(versions)):
        raise DataError("{name}: the structure of the state is damaged", name=name)
    found = OrderedDict((_pair(item, name)[0], _restore(item[1], arrays, name, depth + 1)) for item in pairs)
    if versions is not None:
        setattr(found, "_metadata", versions)  # noqa: B010 (PyTorch's name)
    return found


def _pair(item: Any, name: str) -> list:
    if isinstance(item, list) and len(item) == 2 and type(item[0]) in (str, int):
        return item
    raise DataError("{name}: the structure of the state is damaged", name=name)


# ---- the safetensors format: 8 bytes length of the header, the header as JSON, the data


Entry = tuple[str, tuple[int, ...], int, int]  # name of the dtype, shape, first byte, one past the last


def _refuse_pickle(data: bytes, name: str) -> None:
    """What `torch.save` and `pickle.dump` write: a ZIP archive, or the opcode of the protocol (which may also begin a length)."""
    if data.startswith(b"PK\x03\x04") or (data[0] == 0x80 and data[1] <= 5):
        raise DataError(
            "{name} is a file of torch.save or pickle; danlu never reads these: reading one can run any code. In PyTorch write "
            "safetensors.torch.save_file(model.state_dict(), 'model.safetensors') and load that",
            name=name,
        )


def _read_header(data: bytes, name: str) -> tuple[dict[str, Entry], dict[str, str], int]:
    """Every tensor's entry, the metadata, and where the data starts; all of it checked."""
    if len(data) < 8:
        raise DataError(
            "{name}: {count} bytes are too few for a safetensors file; it is cut off or of another kind",
            name=name,
            count=len(data),
        )
    (length,) = struct.unpack("<Q", data[:8])
    if length > min(len(data) - 8, MAX_HEADER):
        _refuse_pickle(data, name)
        raise DataError(
            "{name}: the header claims {length} bytes, the file has {held}; it is cut off or of another kind",
            name=name,
            length=length,
            held=len(data) - 8,
        )
    header = parse_json(data[8 : 8 + length], f"{name} (header)")
    if not isinstance(header, dict):
        raise DataError("{name}: the header is no JSON object; the file is damaged", name=name)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise DataError("{name}: the metadata is not a table of strings; the file is damaged", name=name)
    entries = {key: _entry(key, record, name) for key, record in header.items()}
    _check_layout(entries, len(data) - 8 - length, name)
    return entries, metadata, 8 + length


def _entry(key: str, record: Any, name: str) -> Entry:
    """One tensor's record of the header, checked in itself."""
    fault = Phrase("{name}: the tensor {key!r} has", name=name, key=key)
    if not isinstance(record, dict) or not {"dtype", "shape", "data_offsets"} <= record.keys():
        raise DataError("{fault} no dtype, shape and data_offsets; the file is damaged", fault=fault)
    dtype, shape, offsets = record["dtype"], record["shape"], record["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise DataError("{fault} the dtype {dtype!r}; danlu reads {known}", fault=fault, dtype=dtype, known=", ".join(_DTYPES))
    if not _counts(shape) or not _counts(offsets) or len(offsets) != 2:
        raise DataError(
            "{fault} shape {shape!r} and data_offsets {offsets!r}; expected lists of sizes >= 0; the file is damaged",
            fault=fault,
            shape=shape,
            offsets=offsets,
        )
    kind, size = stored_dtype(_DTYPES[dtype]), 1
    for extent in shape:
        size *= extent
    if offsets[1] - offsets[0] != size * kind.itemsize:
        raise DataError(
            "{fault} {held} bytes, but {dtype} of shape {shape} needs {needed}",
            fault=fault,
            held=offsets[1] - offsets[0],
            dtype=dtype,
            shape=tuple(shape),
            needed=size * kind.itemsize,
        )
    return _DTYPES[dtype], tuple(shape), offsets[0], offsets[1]


def _counts(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= 32 and all(type(v) is int and v >= 0 for v in value)


def _check_layout(entries: dict[str, Entry], size: int, name: str) -> None:
    """The tensors must tile the data: no gap, no overlap, no byte too many or too few."""
    position = 0
    for key, (_, _, begin, end) in sorted(entries.items(), key=lambda item: item[1][2:]):
        if begin != position or end > size:
            raise DataError(
                "{name}: the tensor {key!r} is said to lie at bytes {begin} to {end}, expected from {position} within {size}; the "
                "file is cut off or damaged",
                name=name,
                key=key,
                begin=begin,
                end=end,
                position=position,
                size=size,
            )
        position = end
    if position != size:
        raise DataError(
            "{name}: {size} bytes of data, but the tensors fill {position}; the file is cut off or damaged",
            name=name,
            size=size,
            position=position,
        )


def _array(data: bytes, start: int, kind: str, shape: tuple[int, ...], begin: int, end: int) -> np.ndarray:
    dtype = stored_dtype(kind)
    stored = np.frombuffer(data, dtype, (end - begin) // dtype.itemsize, start + begin)
    return decoded(kind, stored).reshape(shape)  # a copy: writable and aligned
