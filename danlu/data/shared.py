"""L7. Memory that a worker of the loader and the loader share: a batch is collated where the loader's tensor will lie.

A `Lender`, in the worker, owns blocks: anonymous files of the operating system, which a `Borrower` maps in the loader too. The descriptor of a block
crosses the pipe once. A block has no name, so nothing can be left behind: its memory goes with the last process that maps it. When the last array
on a block is gone in the loader, its number goes back with the next task, and the block is used again. Small arrays cross the pipe as bytes, and
all of them do where the operating system has no such files.
"""

from __future__ import annotations

import mmap
import os
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from danlu.runtime.buffers import Buffer, View

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

LARGE = 1 << 16 if hasattr(os, "memfd_create") else 1 << 62  # bytes from which on an array lies in a block
KEEP = 8  # blocks of one worker that the loader's arrays lie on: who keeps more batches than that gets copies

# An array on its way: its bytes, or (number of a block, bytes, size of the block if it is new, else 0).
Part = bytes | tuple[int, int, int]


class Lease:
    """What an array on a block holds; in the loader its end is told to the worker. A block that a forked process may see is not used again."""

    __slots__ = ("__weakref__", "forks", "free", "memory", "number")

    def __init__(self, memory: mmap.mmap, number: int = 0, free: deque[tuple[int, bool]] | None = None) -> None:
        self.memory, self.number, self.free, self.forks = memory, number, free, _forks

    def __del__(self) -> None:
        if self.free is not None:
            self.free.append((self.number, self.forks != _forks))


_forks = 0  # how often this process was forked


def _forked() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_forked)


def _array(lease: Lease, nbytes: int) -> np.ndarray:
    """The memory of a lease as bytes, uint8 [nbytes]."""
    view: Any = View.from_address(np.frombuffer(lease.memory, np.uint8).__array_interface__["data"][0])
    view.buffer = lease
    return np.ndarray((nbytes,), np.uint8, view)


# ---- in the worker


class _Block:
    """A mapped file, how many arrays of the loader lie on it, and the lease of this process's own array."""

    def __init__(self, number: int, size: int) -> None:
        self.file = os.memfd_create("danlu-batch")  # type: ignore[attr-defined]
        os.ftruncate(self.file, size)
        self.memory, self.number, self.size = mmap.mmap(self.file, size), number, size
        self.address = np.frombuffer(self.memory, np.uint8).__array_interface__["data"][0]
        self.sent, self.retired, self.announced = 0, False, False
        self.own: Any = lambda: None  # a weak reference

    def idle(self) -> bool:
        return self.sent == 0 and self.own() is None

    def rank(self) -> tuple[bool, int]:
        """Of idle blocks the least is given up first."""
        return not self.retired, self.size


class Lender:
    """The blocks of a worker."""

    def __init__(self) -> None:
        self.blocks: list[_Block] = []

    def room(self, nbytes: int) -> np.ndarray:
        """Memory for a batch, uint8 [nbytes], undefined; sending an array that begins there copies nothing."""
        block = self._block(nbytes)
        lease = Lease(block.memory)
        block.own = weakref.ref(lease)
        return _array(lease, nbytes)

    def _block(self, nbytes: int) -> _Block:
        """The smallest idle block that is large enough; else a new one, in the place of an idle one if there is any."""
        idle = [block for block in self.blocks if block.idle()]
        fitting = [block for block in idle if block.size >= nbytes and not block.retired]
        if fitting:
            return min(fitting, key=_Block.rank)
        step = max(mmap.PAGESIZE, 1 << (nbytes.bit_length() - 3))  # batches of slightly other sizes take it too
        size = -(-nbytes // step) * step
        if not idle:
            self.blocks.append(_Block(len(self.blocks), size))
            return self.blocks[-1]
        number = min(idle, key=_Block.rank).number
        self._close(self.blocks[number])
        self.blocks[number] = _Block(number, size)
        return self.blocks[number]

    def part(self, raw: memoryview, files: list[_Block]) -> Part:
        """An array on its way to the loader; blocks whose file must follow the message are added to `files`."""
        if raw.nbytes < LARGE:
            return bytes(raw)
        given = np.frombuffer(raw, np.uint8)
        address = given.__array_interface__["data"][0]
        block = next((block for block in self.blocks if block.address == address), None)
        if block is None:
            block = self._block(raw.nbytes)
            np.frombuffer(block.memory, np.uint8, raw.nbytes)[:] = given
        block.sent += 1
        new, block.announced = not block.announced, True
        files.extend([block] * new)
        return block.number, raw.nbytes, block.size * new

    def hand_over(self, pipe: Connection, files: list[_Block]) -> None:
        """Sends the files of new blocks."""
        from multiprocessing import reduction  # needed by workers only

        for block in files:
            reduction.send_handle(pipe, block.file, None)  # type: ignore[attr-defined]
            self._close(block)

    def _close(self, block: _Block) -> None:
        if block.file >= 0:
            os.close(block.file)
        block.file = -1

    def take_back(self, freed: list[tuple[int, bool]]) -> None:
        """Arrays that are gone in the loader, as its `Borrower` says."""
        for number, retired in freed:
            self.blocks[number].sent -= 1
            self.blocks[number].retired |= retired


lender: Lender | None = None  # of this process, if it is a worker


def begin_lending() -> Lender:
    """Makes this process a worker: what it collates lies in shared memory."""
    global lender
    lender = Lender()
    return lender


def room(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
    """Memory for a batch, undefined: shared if this is a worker, else of danlu's own; None for a dtype that is no number.

    >>> room((2, 3), np.dtype(np.float32)).shape
    (2, 3)
    """
    if dtype.kind not in "biufc":
        return None
    nbytes = dtype.itemsize
    for length in shape:
        nbytes *= length
    if lender is None or nbytes < LARGE:
        return Buffer(nbytes).as_numpy(shape, dtype)
    return np.ndarray(shape, dtype, lender.room(nbytes).base)  # type: ignore[arg-type]


def keep_heap() -> None:
    """Makes glibc keep the memory of what a sample needs on its way instead of giving it back and asking for it again, page by page.

    It raises its bound when a large piece is freed, up to 32 MiB. Cutting, scaling and normalizing images takes 10 % less time then.
    """
    np.empty(31 << 20, np.uint8)


# ---- in the loader


class Borrower:
    """The blocks of one worker as the loader sees them."""

    def __init__(self) -> None:
        self.memory: dict[int, mmap.mmap] = {}
        self.lent = 0  # arrays on blocks that the worker does not know to be gone
        self._free: deque[tuple[int, bool]] = deque()

    def array(self, part: Part, pipe: Connection) -> np.ndarray:
        """What the worker sent, uint8 [bytes]: on its block, or a copy of small ones and for a reader who keeps many."""
        if isinstance(part, bytes):
            return _copy(np.frombuffer(part, np.uint8))
        number, nbytes, size = part
        if size:
            self.memory[number] = _mapped(pipe, size)
        self.lent += 1
        array = _array(Lease(self.memory[number], number, self._free), nbytes)
        return array if self.lent <= KEEP else _copy(array)

    def freed(self) -> list[tuple[int, bool]]:
        """Blocks that an array is gone from, and whether they must not be used again; said once."""
        found = [self._free.popleft() for _ in range(len(self._free))]
        self.lent -= len(found)
        return found


def _copy(array: np.ndarray) -> np.ndarray:
    own = Buffer(array.nbytes).as_numpy(array.shape, np.uint8)
    own[:] = array
    return own


def _mapped(pipe: Connection, size: int) -> mmap.mmap:
    """The memory of a file that follows in the pipe."""
    from multiprocessing import reduction  # needed beside workers only

    file = reduction.recv_handle(pipe)  # type: ignore[attr-defined]
    try:
        return mmap.mmap(file, size)
    finally:
        os.close(file)
