"""L4. Memory of tensors: aligned blocks, recycled when their last reference goes; NumPy arrays in and out without a copy."""

from __future__ import annotations

import ctypes
import os
import threading
from typing import Any

import numpy as np

from danlu.errors import ShapeError

ALIGNMENT = 64  # a cache line, and the widest vector
SMALL = 1 << 18  # blocks below it: a bound for each size class; from it on: one exact bound for all
KEEP_SMALL = 1 << 22  # bytes that one class of small blocks keeps, but never fewer than 16 blocks
KEEP_LARGE = 1 << 30  # bytes of large blocks kept for reuse
LARGER = 4  # times as large as a workspace may be what serves as one: new memory costs 1 ms a MiB when it is first touched

_lock = threading.RLock()  # re-entrant: the garbage collector may run Buffer.__del__ anywhere
_classes: dict[int, _Class] = {}
_held = _peak = _kept_large = 0  # bytes from the operating system, their maximum, large ones waiting for reuse


class _Class:
    """All free blocks of one size."""

    __slots__ = ("free", "limit", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.limit = max(16, KEEP_SMALL // size) if size < SMALL else 0
        self.free: list[_Block] = []


class _Block:
    """Aligned memory from the operating system, of a class."""

    __slots__ = ("address", "free", "home", "limit", "memory")

    def __init__(self, home: _Class) -> None:
        self.memory = np.empty(home.size + ALIGNMENT, np.uint8)
        self.address = -(-self.memory.__array_interface__["data"][0] // ALIGNMENT) * ALIGNMENT
        self.home, self.free, self.limit = home, home.free, home.limit


def _round(nbytes: int) -> int:
    """The size of the class that holds nbytes: multiples of 64 up to 512, then four steps to each power of two.

    >>> [_round(n) for n in (0, 1, 64, 65, 513, 1025)]
    [64, 64, 64, 128, 640, 1280]
    """
    step = 64 if nbytes <= 512 else 1 << ((nbytes - 1).bit_length() - 3)
    return -(-max(nbytes, 1) // step) * step


class Buffer:
    """nbytes of memory at an address. What keeps the memory alive is `owner`: a block of ours, or a NumPy array.

    `borrowed` memory belongs to somebody else too: programs read it and never write it. `shared` is the memory of several values.

    Contents of a new buffer are undefined. The address is a multiple of 64, except where a NumPy array owns the memory.

    >>> x = Buffer(8)
    >>> x.as_numpy((2,), np.float32)[:] = 1, 2
    >>> x.as_numpy((2,), np.float32)
    array([1., 2.], dtype=float32)
    """

    __slots__ = ("__weakref__", "address", "borrowed", "nbytes", "owner", "shared")
    exchanged = False

    def __init__(self, nbytes: int) -> None:
        try:
            block = _by_nbytes[nbytes].pop()  # 0.2 µs with the buffer's whole life; safe between threads
        except (KeyError, IndexError):
            block = _find(nbytes)
        self.owner, self.address, self.nbytes, self.shared = block, block.address, nbytes, False
        self.borrowed = False

    @classmethod
    def from_numpy(cls, array: np.ndarray, borrowed: bool = True) -> Buffer:
        """The memory of a C-contiguous array, not copied. `borrowed`: others hold the array, so no program may write into it.

        Raises ShapeError where the array has gaps, is transposed or lies across its items' alignment.
        """
        if not (array.flags.c_contiguous and array.flags.aligned):
            raise ShapeError(
                "a buffer wraps a C-contiguous, aligned NumPy array; this one has shape {shape} and strides {strides}. Write "
                "Buffer.from_numpy(array.copy())",
                shape=array.shape,
                strides=array.strides,
            )
        self = cls.__new__(cls)
        frozen = not array.flags.writeable
        self.owner, self.nbytes, self.shared, self.borrowed = array, array.nbytes, False, borrowed or frozen
        if frozen or not self.nbytes:
            self.address = array.__array_interface__["data"][0]
        else:  # 0.4 instead of 2 µs
            self.address = ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type]
        return self

    def as_numpy(self, shape: tuple[int, ...], dtype) -> np.ndarray:
        """A NumPy array on this memory, not copied; it keeps the buffer alive. Read-only if the wrapped array is.

        Raises ShapeError where shape and dtype need more bytes than there are.
        """
        dtype = np.dtype(dtype)
        needed = dtype.itemsize
        for length in shape:
            needed *= length
        if needed > self.nbytes:
            raise ShapeError(
                "shape {shape} of {dtype} needs {needed} bytes; the buffer has {nbytes}",
                shape=tuple(shape),
                dtype=dtype,
                needed=needed,
                nbytes=self.nbytes,
            )
        owner: Any = self.owner
        if isinstance(owner, np.ndarray) and not owner.flags.writeable:
            return np.ndarray(shape, dtype, owner)
        view: Any = View.from_address(self.address)
        view.buffer = self
        return np.ndarray(shape, dtype, view)

    def __del__(self) -> None:
        try:
            block = self.owner
        except AttributeError:  # Ctrl-C came before it had one
            return
        if type(block) is _Block:
            if len(block.free) < block.limit:
                block.free.append(block)
            else:
                _give_back(block)

    def __repr__(self) -> str:
        return f"Buffer({self.nbytes} bytes at 0x{self.address:x})"


class Exchanged(Buffer):
    """Memory that others may write at any time (danlu/tensor/storage.py): work that reads it must not wait."""

    __slots__ = ()
    exchanged = True


class View(ctypes.c_char * (1 << 46)):
    """What an array of NumPy has for its base: memory from an address on, as much as is asked for; it holds the buffer."""

    __slots__ = ("buffer",)


_by_nbytes: dict[int, list[_Block]] = {}  # the free list of each small byte count that was asked for


def workspace(nbytes: int) -> Buffer:
    """Memory for the time of one run, for which a larger free block serves, too: that of another batch size."""
    if nbytes < SMALL:
        return Buffer(nbytes)
    self, size = Buffer.__new__(Buffer), _round(nbytes)
    with _lock:
        fits = [home.size for home in _classes.values() if size <= home.size <= LARGER * size and home.free]
    block = _find(min(fits, default=size))
    self.owner, self.address, self.nbytes, self.shared, self.borrowed = block, block.address, nbytes, False, False
    return self


def _find(nbytes: int) -> _Block:
    """A block for nbytes: a free one of its class, else new memory."""
    global _kept_large
    size = _round(nbytes)
    with _lock:
        home = _classes.get(size) or _classes.setdefault(size, _Class(size))
        if size < SMALL:
            if len(_by_nbytes) > 10_000:
                _by_nbytes.clear()
            _by_nbytes[nbytes] = home.free
        try:
            block = home.free.pop()
        except IndexError:
            return _new(home)
        _kept_large -= size if size >= SMALL else 0
        return block


def _new(home: _Class) -> _Block:
    """A block from the operating system."""
    global _held, _peak
    block = _Block(home)
    _held += home.size
    _peak = max(_peak, _held)
    return block


def _give_back(block: _Block) -> None:
    """Keeps a large block while the bound allows it; any other one's memory goes."""
    global _held, _kept_large
    size = block.home.size
    with _lock:
        if size >= SMALL and _kept_large + size <= KEEP_LARGE:
            _kept_large += size
            block.free.append(block)
        else:
            _held -= size


def statistics() -> dict[str, int]:
    """Bytes: `used` by living buffers, `free` for reuse, `held` (both) and the `peak` of held; wrapped arrays do not count."""
    with _lock:
        free = sum(home.size * len(home.free) for home in _classes.values())
        return {"used": _held - free, "free": free, "held": _held, "peak": _peak}


def reset_peak() -> None:
    """The peak is what is held now."""
    global _peak
    with _lock:
        _peak = _held


def release_free() -> None:
    """Gives all blocks that wait for reuse back to the operating system."""
    global _held, _kept_large
    with _lock:
        for home in _classes.values():
            while home.free:  # one by one: other threads take and return blocks without the lock
                _held -= _discard(home)
        _kept_large = 0


def _discard(home: _Class) -> int:
    """Drops one free block of a class; its bytes, 0 if another thread was faster."""
    try:
        home.free.pop()
    except IndexError:
        return 0
    return home.size


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
