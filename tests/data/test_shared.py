"""Memory that workers and the loader share: no copies, used again, never while somebody can see it."""

from __future__ import annotations

import gc
import multiprocessing
import os

import numpy as np
import pytest

from danlu.data import shared
from danlu.data.dataset import Dataset, IterableDataset
from danlu.data.loader import DataLoader, default_collate
from danlu.data.shared import KEEP, LARGE, Borrower, Lender

linux = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="batches cross the pipe where there are no anonymous files")
WIDTH = LARGE // 2 if hasattr(os, "memfd_create") else 1 << 15  # float32 numbers: a sample alone is large


class Wide(Dataset):
    """Sample i is i everywhere."""

    def __init__(self, count: int = 40, widths: tuple[int, ...] = (WIDTH,)) -> None:
        self.count, self.widths = count, widths

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, place: int) -> tuple[np.ndarray, int]:
        return np.full(self.widths[place // 2 % len(self.widths)], place, np.float32), place


def memory_of(loader: DataLoader) -> list[dict]:
    return [borrower.memory for borrower in loader._workers.borrowers]  # type: ignore[union-attr]


def right(batch, place: int) -> bool:
    x, y = batch
    return y.tolist() == [2 * place, 2 * place + 1] and all((row == number).all() for row, number in zip(x.numpy(), y.tolist()))


@linux
def test_blocks_are_used_again():
    loader = DataLoader(Wide(), batch_size=2, num_workers=2, persistent_workers=True)
    for _ in range(3):
        assert all(right(batch, place) for place, batch in enumerate(loader))
    assert all(1 <= len(memory) <= 5 for memory in memory_of(loader))  # the one here, two ahead, one in work, one on its way back


@linux
def test_batches_that_are_kept_stay_what_they_are():
    loader = DataLoader(Wide(80), batch_size=2, num_workers=1, persistent_workers=True)
    kept = list(loader)
    assert len(memory_of(loader)[0]) <= KEEP + 4  # the others are copies
    more = list(loader)
    assert all(right(batch, place) for batches in (kept, more) for place, batch in enumerate(batches))


@linux
def test_a_tensor_may_be_written_and_outlives_its_loader():
    loader = DataLoader(Wide(8), batch_size=2, num_workers=1)
    first, *_ = [x for x, _ in loader]
    first += 1
    view = first.numpy()
    del loader, first
    gc.collect()
    assert multiprocessing.active_children() == [] and (view[0] == 1).all() and (view[1] == 2).all()


@linux
def test_batches_of_other_sizes():
    """Blocks that are too small give way: there are never more of them than are in use at once."""
    widths = tuple(WIDTH * n for n in (1, 3, 2, 5, 4, 9, 7, 12))
    loader = DataLoader(Wide(96, widths), batch_size=2, num_workers=1, persistent_workers=True)
    assert all(right(batch, place) for place, batch in enumerate(loader))
    assert len(memory_of(loader)[0]) <= 6


@linux
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_block_that_a_fork_may_see_is_not_used_again():
    loader = DataLoader(Wide(), batch_size=2, num_workers=1, persistent_workers=True, prefetch_factor=1)
    passing = iter(loader)
    held = next(passing)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # reads what it holds when the loader has gone on
        os.read(read, 1)
        os._exit(0 if right(held, 0) else 1)
    del held
    assert all(right(batch, place) for place, batch in enumerate(passing, 1))
    os.write(write, b".")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(read), os.close(write)


@linux
def test_files_are_closed():
    before = len(os.listdir("/proc/self/fd"))
    passing = iter(DataLoader(Wide(), batch_size=2, num_workers=2))
    next(passing)
    del passing
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


class Cached(IterableDataset):
    """Gives the same batch again and again, and a part of it."""

    def __iter__(self):
        batch = default_collate([np.full(WIDTH, 3, np.float32)] * 2)
        for _ in range(4):
            yield batch
            yield batch[1:]


@pytest.mark.parametrize("count", [0, 1])
def test_what_the_data_set_keeps(count):
    for _ in range(2):
        for place, batch in enumerate(DataLoader(Cached(), batch_size=None, num_workers=count)):
            assert batch.shape == (1 if place % 2 else 2, WIDTH) and (batch == 3).all()


@linux
def test_spawned_workers_share_memory():
    loader = DataLoader(Wide(6), batch_size=2, num_workers=1, multiprocessing_context="spawn", persistent_workers=True)
    assert all(right(batch, place) for place, batch in enumerate(loader))
    assert memory_of(loader)[0]


def test_small_batches_and_other_dtypes(monkeypatch):
    monkeypatch.setattr(shared, "lender", None)
    assert shared.room((2,), np.dtype(object)) is None and shared.room((2,), np.dtype("U3")) is None
    assert shared.room((0, 3), np.dtype(np.int8)).shape == (0, 3)  # type: ignore[union-attr]
    assert [shared.room((4,), np.dtype(kind)).dtype for kind in "fdlB?"] == [np.dtype(kind) for kind in "fdlB?"]  # type: ignore[union-attr]


@linux
def test_one_lender_and_one_borrower():
    """An array in a block crosses as three numbers; the block is idle when both sides have let go."""
    here, there = multiprocessing.get_context("fork").Pipe()
    lender, borrower = Lender(), Borrower()
    array, files = lender.room(LARGE), []
    array[:] = 7
    part = lender.part(memoryview(array.data), files)
    assert part == (0, LARGE, lender.blocks[0].size) and files == lender.blocks
    lender.hand_over(here, files)
    seen = borrower.array(part, there)
    array[0] = 8
    assert seen[0] == 8 and (seen[1:] == 7).all() and not lender.blocks[0].idle()
    del array
    assert not lender.blocks[0].idle() and borrower.freed() == []
    del seen
    lender.take_back(borrower.freed())
    assert lender.blocks[0].idle() and borrower.lent == 0
    assert lender.part(memoryview(np.ones(LARGE, np.uint8).data), files) == (0, LARGE, 0)  # copied into it, the file is known
    assert lender.part(memoryview(b"ab"), files) == b"ab" and len(files) == 1
    here.close(), there.close()
