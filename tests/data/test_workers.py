"""The loader with worker processes: the same batches as without, exceptions with their lines, nothing left behind."""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import signal
import time
from collections import Counter

import numpy as np
import pytest

from danlu.data import workers as workers_file
from danlu.data.dataset import ChainDataset, ConcatDataset, Dataset, IterableDataset, StackDataset, TensorDataset
from danlu.data.loader import DataLoader
from danlu.data.sampler import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from danlu.data.workers import Workers, get_worker_info
from danlu.errors import DataError, ShapeError
from danlu.random import Generator, get_state, manual_seed, rand
from danlu.tensor import Tensor
from danlu.tensor.exchange import from_numpy

linux = pytest.mark.skipif(os.name == "nt", reason="forks, and sends signals")


class Noisy(Dataset):
    """Sample i has i and numbers of three generators."""

    def __init__(self, size: int = 10) -> None:
        self.size, self.kept = size, from_numpy(np.arange(size, dtype=np.float32))

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, place: int) -> tuple:
        return self.kept[place], rand(2), np.random.rand(), random.random(), {"worker": "text"}


class Failing(Noisy):
    """Sample 5 cannot be had."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def __getitem__(self, place: int) -> tuple:
        if place == 5:
            raise self.error  # the line of the mistake
        return super().__getitem__(place)


class Odd(Exception):
    """An exception that no pickle takes apart."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"odd {one} {two}")


class Count(IterableDataset):
    """0, 1, ..., each worker its share."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __iter__(self):
        info = get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(first, self.size, step))


class Who(Dataset):
    """Which process a sample was made in, and what it knows of itself."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, place: int) -> tuple:
        info = get_worker_info()
        return os.getpid(), -1 if info is None else info.id, marks.get("init", -1)


marks: dict[str, int] = {}


def mark(number: int) -> None:
    marks["init"] = 10 + number


def plain(batch) -> object:
    if isinstance(batch, Tensor):
        return batch.tolist()
    if isinstance(batch, dict):
        return {key: plain(value) for key, value in batch.items()}
    return [plain(part) for part in batch] if isinstance(batch, (list, tuple)) else batch


def passes(count: int, epochs: int = 2, **options) -> list:
    manual_seed(3)
    loader = DataLoader(Noisy(), batch_size=3, num_workers=count, **options)
    return [[plain(batch) for batch in loader] for _ in range(epochs)]


@pytest.mark.parametrize("options", [{"shuffle": True}, {"shuffle": True, "seed": 4, "drop_last": True}, {}])
def test_the_same_batches_whatever_the_number_of_workers(options):
    before = get_state()
    none = passes(0, **options)
    state = get_state()
    assert none[0] != none[1] or not options
    for count in (1, 2):
        assert passes(count, **options) == none
        assert get_state() == state != before
    assert passes(2, persistent_workers=True, prefetch_factor=5, **options) == none


def test_the_process_keeps_its_own_random_numbers():
    random.seed(1), np.random.seed(1), manual_seed(1)
    expected = random.random(), np.random.rand(), rand(1).item()
    random.seed(1), np.random.seed(1), manual_seed(1)
    list(DataLoader(Noisy(), batch_size=3))
    assert (random.random(), np.random.rand(), rand(1).item()) == expected


def test_spawned_workers():
    manual_seed(3)
    loader = DataLoader(Noisy(4), batch_size=2, num_workers=2, multiprocessing_context="spawn")
    manual_seed(3)
    assert [plain(b) for b in loader] == [plain(b) for b in DataLoader(Noisy(4), batch_size=2)]


def test_a_pass_goes_on_where_a_state_says():
    loader = DataLoader(Noisy(), batch_size=2, shuffle=True, seed=1, num_workers=2)
    whole = [plain(batch) for batch in loader]
    other = DataLoader(Noisy(), batch_size=2, shuffle=True, seed=1, num_workers=2)
    passing = iter(other)
    next(passing), next(passing)
    state = other.state_dict()
    passing.close()
    assert state == {"epoch": 0, "position": 2, "seed": 1}
    resumed = DataLoader(Noisy(), batch_size=2, shuffle=True, seed=1)
    resumed.load_state_dict(state)
    assert [plain(batch) for batch in resumed] == whole[2:]


@pytest.mark.parametrize("count", [0, 2])
def test_an_exception_comes_with_its_line(count):
    with pytest.raises(ShapeError, match="no good") as caught:
        list(DataLoader(Failing(ShapeError("{word} good", word="no")), batch_size=2, num_workers=count))
    if count:
        assert "raise self.error  # the line of the mistake" in str(caught.value.__cause__) and "in __getitem__" in str(
            caught.value.__cause__
        )
    seen = []
    with pytest.raises(KeyError):
        for batch in DataLoader(Failing(KeyError("x")), batch_size=2, num_workers=count):
            seen.append(batch[0].tolist())
    assert seen == [[0, 1], [2, 3]]


def test_an_exception_that_cannot_travel_and_a_batch_that_cannot():
    with pytest.raises(DataError, match=r"worker 1 of the loader: Odd: odd 1 2"):
        list(DataLoader(Failing(Odd(1, 2)), batch_size=2, num_workers=3, prefetch_factor=1, sampler=[0, 1, 5]))
    with pytest.raises(Exception, match="pickle"):
        list(DataLoader(Noisy(), batch_size=2, num_workers=1, collate_fn=lambda samples: lambda: samples))

    def broken(number: int) -> None:
        raise RuntimeError("a bad beginning")

    with pytest.raises(RuntimeError, match="a bad beginning"):
        list(DataLoader(Noisy(), num_workers=1, worker_init_fn=broken))


@linux
def test_a_worker_that_dies_is_reported():
    class Deadly(Noisy):
        def __getitem__(self, place: int) -> tuple:
            os.kill(os.getpid(), signal.SIGKILL)
            return ()

    with pytest.raises(
        DataError, match=r"worker 0 of the loader died \(exit code -9\): out of memory, or killed; fewer num_workers"
    ):
        list(DataLoader(Deadly(), num_workers=1))
    assert multiprocessing.active_children() == []


@linux
def test_a_worker_that_waits_is_reported():
    class Slow(Noisy):
        def __getitem__(self, place: int) -> tuple:
            time.sleep(60)
            return ()

    with pytest.raises(DataError, match=r"worker 0 of the loader gave no batch in 0.2 seconds; give a larger timeout"):
        list(DataLoader(Slow(), num_workers=1, timeout=0.2))
    assert multiprocessing.active_children() == []


@linux
def test_nothing_is_left_behind():
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(3):
        passing = iter(DataLoader(Noisy(100), num_workers=2))
        next(passing)
        del passing
        gc.collect()
        assert multiprocessing.active_children() == []
    loader = DataLoader(Noisy(), num_workers=2, persistent_workers=True)
    first = {plain(b)[0][0] for b in loader}
    children = {process.pid for process in multiprocessing.active_children()}
    assert len(children) == 2 and {plain(b)[0][0] for b in loader} == first
    assert {process.pid for process in multiprocessing.active_children()} == children
    del loader
    gc.collect()
    assert multiprocessing.active_children() == []
    assert not before or len(os.listdir("/proc/self/fd")) == before


@linux
def test_workers_know_what_they_are():
    assert get_worker_info() is None
    rows = [plain(batch) for batch in DataLoader(Who(), num_workers=2, worker_init_fn=mark)]
    assert [(row[1], row[2]) for row in rows] == [([0], [10]), ([1], [11])] * 3
    assert len({row[0][0] for row in rows} - {os.getpid()}) == 2
    assert {row[0][0] for row in (plain(batch) for batch in DataLoader(Who()))} == {os.getpid()}


@linux
def test_large_batches_and_many_indices_do_not_block():
    class Large(Dataset):
        def __len__(self) -> int:
            return 60_000

        def __getitem__(self, place: int) -> np.ndarray:
            return np.full(4, place)

    rows = [batch[:, 0].tolist() for batch in DataLoader(Large(), batch_size=20_000, num_workers=2, prefetch_factor=4)]
    assert [place for row in rows for place in row] == list(range(60_000))
    batch = next(iter(DataLoader(Large(), batch_size=4, num_workers=1)))
    batch += 1  # its memory is its own
    assert batch[:, 0].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("count", [0, 2, 3])
def test_an_iterable_data_set(count):
    batches = DataLoader(Count(11), batch_size=2, num_workers=count)
    assert Counter(number for batch in batches for number in batch.tolist()) == Counter(range(11))
    loader = DataLoader(Count(11), batch_size=None, num_workers=count)
    assert sorted(loader) == list(range(11)) and sorted(loader) == list(range(11))
    if count < 2:
        assert [b.tolist() for b in DataLoader(Count(5), batch_size=2, num_workers=count)] == [[0, 1], [2, 3], [4]]
        assert [b.tolist() for b in DataLoader(Count(5), batch_size=2, drop_last=True)] == [[0, 1], [2, 3]]


def test_iterable_data_sets_are_read_in_turn():
    """Three workers with 4, 4 and 3 samples: one after the other, and the turn passes over one that has no more."""
    assert list(DataLoader(Count(11), batch_size=None, num_workers=3)) == list(range(11))
    assert list(DataLoader(Count(2), batch_size=None, num_workers=3)) == [0, 1]


def test_turns_when_a_worker_ends():
    assert workers_file._without([0, 1, 2], 1, 5) == (1, [0, 2])
    assert workers_file._without([0, 1, 2], 0, 4) == (0, [1, 2])
    assert workers_file._without([0], 0, 3) == (0, []) and workers_file._without([1], 0, 3) == (3, [1])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"num_workers": -1}, "num_workers should be an integer of 0 or more, got -1"),
        ({"prefetch_factor": 2}, "prefetch_factor should be an integer above 0, beside num_workers above 0, got 2"),
        ({"persistent_workers": True}, "persistent_workers=True needs num_workers above 0"),
        ({"num_workers": 1, "timeout": -1}, "timeout should be 0 (none) or a number of seconds above it, got -1"),
    ],
)
def test_refusals(options, text):
    with pytest.raises(DataError) as caught:
        DataLoader(Noisy(), **options)
    assert str(caught.value) == text
    with pytest.raises(DataError, match="an IterableDataset gives its samples in its own order"):
        DataLoader(Count(3), shuffle=True)
    with pytest.raises(NotImplementedError, match=r"IterableDataset defines no __iter__\(\); write it"):
        iter(IterableDataset())
    with pytest.raises(NotImplementedError, match=r"Sampler defines no __iter__\(\); write it"):
        iter(Sampler())


def test_closing_twice_is_fine():
    workers = Workers(workers_file.Plan(range(2), lambda data: lambda place: data[place], None, 0), 1, None, 0, 1)
    workers.close(), workers.close()
    assert workers.pipes == []


# ---- samplers and joined data sets


def test_samplers():
    generator = Generator().manual_seed(1)
    assert list(SequentialSampler(range(3))) == [0, 1, 2] and len(SequentialSampler("ab")) == 2
    sampler = RandomSampler(range(6), generator=generator)
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(6)) and first != second
    assert Counter(RandomSampler(range(3), num_samples=7)).most_common(1)[0][1] == 3
    assert len(list(RandomSampler(range(3), replacement=True, num_samples=50))) == 50
    assert sorted(SubsetRandomSampler([3, 5, 8])) == [3, 5, 8]
    assert list(BatchSampler(range(5), 2, True)) == [[0, 1], [2, 3]] and len(BatchSampler(range(5), 2, False)) == 3
    counts = Counter(WeightedRandomSampler([1.0, 3.0, 0.0], 4000, generator=generator))
    assert counts[2] == 0 and abs(counts[1] / 4000 - 0.75) < 0.05
    assert sorted(WeightedRandomSampler([1.0, 3.0, 0.0], 2, replacement=False)) == [0, 1]
    shares = [DistributedSampler(range(10), 3, rank, seed=1) for rank in range(3)]
    assert {place for share in shares for place in share} == set(range(10)) and {len(share) for share in shares} == {4}
    before = list(shares[0])
    shares[0].set_epoch(1)
    assert list(shares[0]) != before
    loader = DataLoader(TensorDataset(np.arange(6)), batch_sampler=BatchSampler(SequentialSampler(range(6)), 4, False))
    assert [batch[0].tolist() for batch in loader] == [[0, 1, 2, 3], [4, 5]]


def test_samplers_refuse():
    for call, text in (
        (
            lambda: WeightedRandomSampler([-1.0], 1),
            "weights should be finite numbers of 0 or more, one for each sample, and not all 0",
        ),
        (
            lambda: WeightedRandomSampler([1.0, 0.0], 2, False),
            "2 samples without replacement, but only 1 have a weight above 0; write",
        ),
        (lambda: BatchSampler(range(3), 0, False), "a number of samples should be an integer above 0, got 0"),
        (lambda: DistributedSampler(range(3), 2, 2), "rank is 2; expected 0 to 1"),
        (lambda: ConcatDataset([]), "ConcatDataset needs data sets with places; write ConcatDataset([first, second])"),
        (
            lambda: StackDataset([1], [1, 2]),
            "StackDataset needs data sets of one length, all of them with a name or none, got lengths [1, 2]",
        ),
    ):
        with pytest.raises(DataError) as caught:
            call()
        assert str(caught.value).startswith(text)


def test_joined_data_sets():
    both = Noisy(3) + Noisy(2)
    assert isinstance(both, ConcatDataset) and len(both) == 5 and both[4][0].item() == 1 and both[-5][0].item() == 0
    with pytest.raises(IndexError, match="place 5 of a data set of 5 samples"):
        both[5]
    assert list(ChainDataset([Count(2), Count(3)])) == [0, 1, 0, 1, 2]
    assert len(StackDataset(a=[1, 2], b="xy")) == 2
