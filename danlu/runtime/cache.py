"""L4. Compiled code on disk. A damaged file is a miss, a folder that cannot be used is no cache: nothing here raises.

A file is a header and the object code: 8 bytes that name the format, the length of the code (8 bytes, little endian) and
a 32-byte BLAKE2b hash of its key and the code. It is written under a temporary name and renamed, so that two processes
may write the same key at once.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import os
import struct
import sys
import tempfile
import time
from pathlib import Path

from danlu.compile import llvm
from danlu.config import config
from danlu.messages import message

MAGIC = b"danlu\0c\1"
_HEADER = struct.Struct("<8sQ32s")
_EVERY = 64  # the folder is measured at the first of so many writes of a process
_writes = itertools.count()


@functools.cache
def _identity() -> bytes:
    """What makes code of another time or machine useless: danlu's own generator, LLVM, the CPU and its features."""
    found = hashlib.blake2b(repr((llvm.version(), llvm.host_machine())).encode())
    package = Path(__file__).parents[1]
    for folder in (package, package / "ops", package / "compile", package / "runtime"):
        for path in sorted(
            [*folder.glob("*.py"), *folder.glob("passes/*.py")]
        ):  # 2 ms; a version number would not notice an edited generator
            found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.digest()


def _digest(key: str) -> bytes:
    return hashlib.blake2b(_identity() + key.encode(), digest_size=20).digest()


def _path(digest: bytes) -> Path:
    return config.cache_dir / f"{digest.hex()}.bin"


def _checksum(digest: bytes, code: bytes) -> bytes:
    return hashlib.blake2b(digest + code, digest_size=32).digest()


def _log(text: str) -> None:
    if "compile" in config.log:
        print(f"danlu: {text}", file=sys.stderr)


def get(key: str) -> bytes | None:
    """The bytes that `put` kept under a key, on this machine and by this danlu; None where there are none to trust."""
    if config.cache_mb <= 0:
        return None
    digest = _digest(key)
    path = _path(digest)
    try:
        code = _read(path, digest)
        if code is None:
            _log(f"{path} is damaged and is deleted")
            path.unlink()
        else:
            _touch(path)
    except OSError:
        return None
    return code


def _read(path: Path, digest: bytes) -> bytes | None:
    """The code in a file, None where it is damaged; OSError where it cannot be read or belongs to another user."""
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        if hasattr(os, "getuid") and status.st_uid != os.getuid():
            raise PermissionError(message("{path} belongs to another user, whose code is not run", path=path))
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return None
        magic, length, checksum = _HEADER.unpack(header)
        if magic != MAGIC or length != status.st_size - _HEADER.size:
            return None
        code = file.read(length)
    return code if _checksum(digest, code) == checksum else None


def _touch(path: Path) -> None:
    """Marks a file as used now; in a read-only folder its age stays."""
    with contextlib.suppress(OSError):
        os.utime(path)


def put(key: str, code: bytes) -> None:
    """Keeps bytes under a key; where the folder cannot be written, `DANLU_LOG=compile` says so and nothing else happens."""
    if config.cache_mb <= 0:
        return
    digest = _digest(key)
    try:
        config.cache_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(_path(digest), _HEADER.pack(MAGIC, len(code), _checksum(digest, code)) + code)
        if next(_writes) % _EVERY == 0:
            _evict()
    except OSError as error:
        _log(f"compiled code is not kept on disk: {error}")


def _write(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


def _files() -> list[tuple[float, int, str]]:
    """(last use, size, path) of every file in the folder that is ours, oldest first."""
    found = []
    with contextlib.suppress(OSError), os.scandir(config.cache_dir) as entries:
        for entry in entries:
            if entry.name.endswith((".bin", ".tmp")):
                with contextlib.suppress(OSError):  # another process may have deleted it
                    status = entry.stat()
                    found.append((status.st_mtime, status.st_size, entry.path))
    return sorted(found)


def _evict() -> None:
    """Deletes the least recently used files until four fifths of the bound hold; temporary files of dead processes too."""
    files = _files()
    total, bound = sum(size for _, size, _ in files), config.cache_mb << 20
    keep = bound * 4 // 5 if total > bound else bound
    for used, size, path in files:
        if total > keep or (path.endswith(".tmp") and used < time.time() - 3600):
            total -= size
            with contextlib.suppress(OSError):
                os.unlink(path)


def size() -> int:
    """Bytes on disk."""
    return sum(size for _, size, _ in _files())


def clear() -> int:
    """Deletes every file of the cache; their number."""
    removed = 0
    for _, _, path in _files():
        with contextlib.suppress(OSError):
            os.unlink(path)
            removed += 1
    return removed
