"""L7. MNIST's IDX format, plain or gzip'd: every length of a header is held against the file before memory is taken."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from danlu.errors import DataError
from danlu.files import check_exists
from danlu.messages import Phrase, message

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP_MAGIC = b"\x1f\x8b"
_DEFLATE_RATIO = 1032  # the most bytes that one byte of a deflate stream can stand for (zlib's technical notes)
_MOST_AXES = 8
_CHUNK = 1 << 20
_IMAGES_NAME = re.compile(r"(?P<stem>.*)images(?P<dot>[-.])idx3-ubyte(?P<gz>\.gz)?")
_LABELS_NAME = re.compile(r"(?P<stem>.*)labels(?P<dot>[-.])idx1-ubyte(?P<gz>\.gz)?")


def read_idx(path: str | Path) -> np.ndarray:
    """The array of one IDX file (the format of MNIST's files), gzip'd or not, in the machine's byte order.

    Layout: two zero bytes, a byte for the element type, a byte for the number of axes, each axis as a big-endian uint32, the
    elements in big-endian order.

    Shapes: as the header says; images are [N, height, width], labels [N].

    Raises: DataError for a wrong magic, a length that the file does not hold, a damaged `.gz`. Memory grows with what the
    file really holds, never with what its header claims.

    >>> from danlu.data import read_idx
    >>> read_idx("train-labels-idx1-ubyte.gz")  # doctest: +SKIP
    array([5, 0, 4, ...], dtype=uint8)

    Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database", section "File formats".
    """
    path = Path(path)
    check_exists(path)
    size = path.stat().st_size
    with path.open("rb") as raw:
        packed = raw.read(2) == _GZIP_MAGIC
        raw.seek(0)
        if path.suffix == ".gz" and not packed:
            raise DataError("{path} is named .gz but is not gzip data; rename it, or fetch it again", path=path)
        if not packed:
            return _read_stream(raw, path, size)
        try:
            with gzip.open(raw) as stream:
                return _read_stream(stream, path, size * _DEFLATE_RATIO)  # type: ignore[arg-type]
        except (EOFError, zlib.error, gzip.BadGzipFile) as problem:
            raise DataError(
                "{path} is a truncated or damaged .gz file ({problem}); fetch it again", path=path, problem=problem
            ) from None


def _read_stream(stream: BinaryIO, path: Path, most: int) -> np.ndarray:
    """The array in an unpacked stream that can hold at most `most` bytes."""
    dtype, shape = _read_header(stream, path)
    needed = math.prod(shape) * dtype.itemsize
    if needed > most:
        raise DataError(
            "{path}: the header says shape {shape}, {needed} bytes, but the file can hold at most {most}; its length lies",
            path=path,
            shape=shape,
            needed=needed,
            most=most,
        )
    data = bytearray()
    while len(data) <= needed and (piece := stream.read(min(_CHUNK, needed + 1 - len(data)))):
        data += piece
    if len(data) != needed:
        held = Phrase("more") if len(data) > needed else len(data)
        raise DataError(
            "{path}: the header says shape {shape}, {needed} bytes of data, but the file holds {held}; its length lies",
            path=path,
            shape=shape,
            needed=needed,
            held=held,
        )
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _read_header(stream: BinaryIO, path: Path) -> tuple[np.dtype, tuple[int, ...]]:
    """Element type and shape, read and checked."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES or not 1 <= magic[3] <= _MOST_AXES:
        expected = Phrase("00 00, a type 08..0e, a number of axes; MNIST's images begin 00 00 08 03, its labels 00 00 08 01")
        raise DataError(
            "{path} is not an IDX file: it begins with {found}, expected {expected}",
            path=path,
            found=magic.hex(" ") or Phrase("nothing"),
            expected=expected,
        )
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(
            "{path} ends inside its header: {announced} axes are announced, {held} sizes are there",
            path=path,
            announced=magic[3],
            held=len(sizes) // 4,
        )
    shape = tuple(np.frombuffer(sizes, ">u4").tolist())
    if 0 in shape:
        raise DataError("{path} holds no elements: its header says shape {shape}", path=path, shape=shape)
    return np.dtype(_DTYPES[magic[2]]), shape


@dataclass(frozen=True)
class Images:
    """Labelled images: images [N, height, width] in the file's dtype, labels int64 [N], the files, sentences for the user."""

    images: np.ndarray
    labels: np.ndarray
    files: list[Path]
    notes: list[str]


def is_idx_name(path: Path) -> bool:
    """Whether a name is one of MNIST's: `*images-idx3-ubyte` or `*labels-idx1-ubyte`, with or without `.gz`."""
    return bool(_IMAGES_NAME.fullmatch(path.name) or _LABELS_NAME.fullmatch(path.name))


def labels_path(images: Path) -> Path | None:
    """The labels beside an images file, `X-images-idx3-ubyte` ↔ `X-labels-idx1-ubyte`, each plain or `.gz`; None without."""
    return _partner(images, _IMAGES_NAME, "labels{dot}idx1-ubyte")


def _partner(path: Path, pattern: re.Pattern[str], ending: str) -> Path | None:
    """The other file of a pair: the same packing first, then the other one, then the other separator."""
    match = pattern.fullmatch(path.name)
    if match is None:
        return None
    packings = (".gz", "") if match["gz"] else ("", ".gz")
    dots = (match["dot"], "." if match["dot"] == "-" else "-")
    names = (match["stem"] + ending.format(dot=dot) + packing for dot in dots for packing in packings)
    return next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)


def read_labelled(path: str | Path) -> Images:
    """Images with labels from one IDX file (its partner is found by name) or from a folder.

    In a folder, every pair `X-images-idx3-ubyte` / `X-labels-idx1-ubyte` counts: the rows of all pairs follow one another in the
    order of their names, and `notes` says so. A file that is there both plain and `.gz` is read once.

    Raises: DataError without a pair, for lengths that differ, for pairs of different image shapes.
    """
    path = Path(path)
    pairs, notes = _pairs_in(path) if path.is_dir() else ([_pair_of(path)], [])
    parts = [_read_pair(images, labels) for images, labels in pairs]
    first = parts[0][0]
    for (images, _), (file, _) in zip(parts, pairs):
        if images.shape[1:] != first.shape[1:]:
            raise DataError(
                "{file} holds images {shape}, {other} {other_shape}; give one file instead of {path}",
                file=file,
                shape=images.shape[1:],
                other=pairs[0][0],
                other_shape=first.shape[1:],
                path=path,
            )
    if len(pairs) > 1:
        names = ", ".join(f"{images.name} ({len(part[0])})" for (images, _), part in zip(pairs, parts))
        notes.append(message("The rows of all pairs in the folder are used together: {names}.", names=names))
    return Images(
        np.concatenate([images for images, _ in parts]),
        np.concatenate([labels for _, labels in parts]),
        [file for pair in pairs for file in pair],
        notes,
    )


def _pair_of(path: Path) -> tuple[Path, Path]:
    """The pair that one given file, images or labels, belongs to."""
    images = _partner(path, _LABELS_NAME, "images{dot}idx3-ubyte")
    if images is not None:
        return images, path
    labels = labels_path(path)
    if labels is not None:
        return path, labels
    wanted = (
        re.sub(r"images([-.])idx3", r"labels\1idx1", path.name) if _IMAGES_NAME.fullmatch(path.name) else "X-labels-idx1-ubyte"
    )
    raise DataError(
        "{path}: images without labels; training needs {wanted} (or its .gz) beside X-images-idx3-ubyte", path=path, wanted=wanted
    )


def _pairs_in(folder: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    """All pairs of a folder in the order of their names, and notes on images that have no labels."""
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):  # a plain file sorts before its .gz
        match = _IMAGES_NAME.fullmatch(file.name)
        if match and file.is_file():
            found.setdefault(match["stem"], file)
    pairs = [(file, labels) for file in found.values() if (labels := labels_path(file))]
    alone = [file.name for file in found.values() if labels_path(file) is None]
    if not found:
        raise DataError(
            "{folder} holds no IDX files; expected a pair X-images-idx3-ubyte and X-labels-idx1-ubyte (.gz or not)", folder=folder
        )
    if not pairs:
        raise DataError(
            "{folder}: images without labels ({names}); expected X-labels-idx1-ubyte beside X-images-idx3-ubyte",
            folder=folder,
            names=", ".join(alone),
        )
    return pairs, [message("{name} has no labels and is left out.", name=name) for name in alone]


def _read_pair(images_file: Path, labels_file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images [N, height, width] and labels int64 [N] of one pair."""
    images, labels = read_idx(images_file), read_idx(labels_file)
    if images.ndim != 3:
        raise DataError(
            "{images_file} holds an array of shape {shape}; expected images [N, height, width]",
            images_file=images_file,
            shape=images.shape,
        )
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(
            "{labels_file} holds {dtype} of shape {shape}; expected integer labels [N]",
            labels_file=labels_file,
            dtype=labels.dtype,
            shape=labels.shape,
        )
    if len(images) != len(labels):
        raise DataError(
            "{images_file} holds {image_count} images, {labels_file} {label_count} labels; they must be as many",
            images_file=images_file,
            image_count=len(images),
            labels_file=labels_file,
            label_count=len(labels),
        )
    return images, labels.astype(np.int64)
