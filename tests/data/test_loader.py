"""Data sets and the loader: PyTorch's semantics, seeded orders, a position that can be saved, and every refusal."""

from __future__ import annotations

import re
from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from danlu import dtype as danlu
from danlu.data.dataset import Dataset, Subset, TensorDataset, random_split
from danlu.data.loader import DataLoader, default_collate, default_convert
from danlu.data.sampler import SequentialSampler
from danlu.errors import DataError
from danlu.random import Generator, get_state, manual_seed
from danlu.tensor import Tensor
from danlu.tensor.exchange import from_numpy


class Pairs(Dataset):
    """Sample i is (i, i²), as an array and a number."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, place: int) -> tuple[np.ndarray, int]:
        return np.array([place, place + 0.5], dtype=np.float32), place**2


def arrays(size: int = 10) -> TensorDataset:
    return TensorDataset(np.arange(size * 2.0).reshape(size, 2), np.arange(size))


def values(batch) -> list:
    return np.asarray(batch).tolist()


def seen(loader: DataLoader) -> list[list[int]]:
    return [values(batch[1]) for batch in loader]


def refused(text: str, call, *arguments, **options) -> None:
    with pytest.raises(DataError, match=re.escape(text)):
        call(*arguments, **options)


def test_batches_follow_the_data() -> None:
    loader = DataLoader(arrays(), batch_size=4)
    assert len(loader) == 3 and seen(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    batch = next(iter(loader))
    assert isinstance(batch, list) and values(batch[0]) == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert seen(DataLoader(arrays(), 4, drop_last=True)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(DataLoader(arrays(), 4, drop_last=True)) == 2 and seen(DataLoader(arrays(2))) == [[0], [1]]
    assert seen(DataLoader(arrays(3), 4, drop_last=True)) == []
    assert seen(DataLoader(arrays(3), 4, num_workers=2, pin_memory=True)) == [[0, 1, 2]]


def test_a_batch_is_made_of_tensors() -> None:
    made = TensorDataset(from_numpy(np.ones((3, 2), np.float32)).requires_grad_(), np.array([1, 2, 3], dtype=np.int32))
    for data in (made, Subset(made, [2, 0]), Subset(Pairs(3), [2, 0])):
        for options in ({"batch_size": 2}, {"batch_size": 2, "collate_fn": default_collate}):
            x, y = next(iter(DataLoader(data, **options)))
            assert isinstance(x, Tensor) and isinstance(y, Tensor) and x.shape == (2, 2) and not x.requires_grad
    x, y = next(iter(DataLoader(made, 2)))
    assert (x.dtype, y.dtype) == (danlu.float32, danlu.int32)
    x, y = next(iter(DataLoader(TensorDataset(np.ones((3, 2)), np.arange(3)), batch_size=None)))
    assert x.dtype == danlu.float64 and y.shape == () and y.item() == 0


def test_a_batch_does_not_share_memory_with_the_data() -> None:
    array = np.zeros((4, 2), dtype=np.float32)
    for (batch,) in DataLoader(TensorDataset(array), 2):
        batch += 1
        assert batch.sum().item() == 4
    assert array.sum() == 0


@given(size=st.integers(1, 50), batch=st.integers(1, 12), seed=st.integers(0, 2**60), drop=st.booleans())
def test_an_epoch_holds_every_sample_once(size: int, batch: int, seed: int, drop: bool) -> None:
    loader = DataLoader(arrays(size), batch, shuffle=True, drop_last=drop, seed=seed)
    batches = seen(loader)
    assert len(batches) == len(loader)
    flat = [place for part in batches for place in part]
    assert len(set(flat)) == len(flat) == (size // batch * batch if drop else size)


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    first = DataLoader(arrays(40), 8, shuffle=True, seed=3)
    epochs = [seen(first), seen(first)]
    assert epochs[0] != epochs[1]
    other = DataLoader(Subset(Pairs(40), range(40)), 5, shuffle=True, seed=3)
    assert [place**2 for part in epochs[0] for place in part] == [square for part in seen(other) for square in part]
    assert seen(DataLoader(arrays(40), 8, shuffle=True, seed=4)) != epochs[0]


def test_without_a_seed_the_generator_decides() -> None:
    def order(generator: Generator | None = None) -> list[list[int]]:
        return seen(DataLoader(arrays(40), 8, shuffle=True, generator=generator))

    manual_seed(5)
    first, second = order(), order()
    manual_seed(5)
    assert order() == first != second
    own = Generator().manual_seed(5)
    assert [order(own), order(own)] == [first, second]
    parts = [list(part) for part in random_split(range(30), [10, 20], generator=Generator().manual_seed(5))]
    manual_seed(5)
    assert [list(part) for part in random_split(range(30), [10, 20])] == parts


def test_a_loader_without_an_order_of_its_own_draws_nothing() -> None:
    state = get_state()
    DataLoader(arrays())
    DataLoader(arrays(), shuffle=True, seed=3)
    assert get_state() == state


def test_a_pass_that_was_left_is_not_continued() -> None:
    loader = DataLoader(arrays(40), 8, shuffle=True, seed=3)
    next(iter(loader))
    fresh = DataLoader(arrays(40), 8, shuffle=True, seed=3)
    seen(fresh)
    assert seen(loader) == seen(fresh)


def test_columns_and_samples_give_the_same_batches() -> None:
    data = arrays(23)
    inner = Subset(Subset(data, [place for place in range(23) if place % 2]), range(1, 10))
    slow = DataLoader(inner, 4, shuffle=True, seed=0, collate_fn=default_collate)
    for fast_batch, slow_batch in zip(DataLoader(inner, 4, shuffle=True, seed=0), slow, strict=True):
        assert [values(x) for x in fast_batch] == [values(x) for x in slow_batch]


@given(stop=st.integers(0, 14), kind=st.sampled_from(["arrays", "samples", "none", "sampler"]))
def test_a_loaded_state_goes_on_where_it_was_saved(stop: int, kind: str) -> None:
    def make(seed: int) -> DataLoader:
        if kind == "arrays":
            return DataLoader(arrays(19), 4, shuffle=True, seed=seed)
        if kind == "samples":
            return DataLoader(Pairs(19), 4, shuffle=True, seed=seed)
        if kind == "sampler":
            return DataLoader(arrays(19), 4, sampler=range(18, -1, -1), seed=seed)
        return DataLoader(arrays(5), None, shuffle=True, seed=seed)

    def stream(loader: DataLoader):
        while True:
            yield from ([values(part) for part in batch] for batch in loader)

    loader = make(9)
    running = stream(loader)
    for _ in range(stop):
        next(running)
    state = loader.state_dict()
    assert all(type(value) is int for value in state.values()) and state["seed"] == 9
    resumed = make(123)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    again = stream(resumed)
    assert [next(again) for _ in range(12)] == [next(running) for _ in range(12)]


def test_the_state_counts_epochs_and_batches() -> None:
    loader = DataLoader(arrays(8), 4, seed=1)
    assert loader.state_dict() == {"epoch": 0, "position": 0, "seed": 1}
    running = iter(loader)
    next(running)
    assert loader.state_dict() == {"epoch": 0, "position": 1, "seed": 1}
    list(running)
    assert loader.state_dict() == {"epoch": 1, "position": 0, "seed": 1}


@pytest.mark.parametrize("state", [{}, {"epoch": 1, "position": -1, "seed": 0}, {"epoch": 1, "position": 0, "seed": 1.5}])
def test_a_damaged_state(state: dict) -> None:
    refused("an integer of 0 or more, got", DataLoader(arrays()).load_state_dict, state)


def test_a_sampler_and_a_batch_sampler() -> None:
    assert seen(DataLoader(arrays(), 2, sampler=[5, 1, 3])) == [[5, 1], [3]]
    assert len(DataLoader(arrays(), 2, sampler=[5, 1, 3])) == 2
    loader = DataLoader(arrays(), batch_sampler=[[1, 2], [7]])
    assert seen(loader) == [[1, 2], [7]] and len(loader) == 2


def test_without_batches() -> None:
    loader = DataLoader(Pairs(3), batch_size=None)
    assert len(loader) == 3 and [values(x) for x, _ in loader] == [[0, 0.5], [1, 1.5], [2, 2.5]]
    assert [square for _, square in loader] == [0, 1, 4]
    assert list(DataLoader(Pairs(3), batch_size=None, collate_fn=lambda sample: sample[1])) == [0, 1, 4]


def test_collate_of_the_users_own() -> None:
    assert list(DataLoader(Pairs(4), 2, collate_fn=lambda samples: sum(square for _, square in samples))) == [1, 13]


def test_collating_goes_through_structures() -> None:
    Point = namedtuple("Point", "x y")
    made = default_collate([Point(1, {"a": 1.5, "b": "p"}), Point(2, {"a": 2.5, "b": "q"})])
    assert type(made) is Point and values(made.x) == [1, 2] and values(made.y["a"]) == [1.5, 2.5] and made.y["b"] == ["p", "q"]
    assert values(default_collate([np.float32(1), np.float32(2)])) == [1, 2]
    assert values(default_collate([True, False])) == [True, False]


def test_what_cannot_be_collated() -> None:
    refused(
        "samples of different shapes, (2,) and (3,), cannot be stacked; give collate_fn",
        default_collate,
        [np.ones(2), np.ones(3)],
    )
    refused("samples of type object cannot be stacked; give collate_fn", default_collate, [object()])
    refused("have different numbers of fields; give collate_fn", default_collate, [(1, 2), (1,)])


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "8"])
def test_batch_sizes_that_are_none(size: object) -> None:
    refused(f"batch_size should be an integer above 0, got {size!r}", DataLoader, arrays(), size)


def test_arguments_that_exclude_each_other() -> None:
    refused("a sampler decides the order: leave shuffle out", DataLoader, arrays(), shuffle=True, sampler=[1])
    refused("a batch_sampler decides the batches: leave batch_size", DataLoader, arrays(), 4, batch_sampler=[[1]])
    refused("batch_size=None makes no batches: leave drop_last out", DataLoader, arrays(), None, drop_last=True)
    refused("give a generator or a seed, not both", DataLoader, arrays(), generator=Generator(), seed=1)
    refused("generator should be a danlu.Generator, got int; write seed=0 instead", DataLoader, arrays(), generator=5)
    refused("a seed should be an integer of 0 or more, got 'x'", DataLoader, arrays(), shuffle=True, seed="x")


def test_a_tensor_dataset() -> None:
    data = arrays(5)
    assert len(data) == 5 and values(data[2][0]) == [4, 5] and values(data[1:3][1]) == [1, 2]
    refused("TensorDataset needs at least one tensor; write TensorDataset(features, targets)", TensorDataset)
    refused("TensorDataset needs tensors of one length on axis 0, got shapes (2,), (3,)", TensorDataset, np.ones(2), np.ones(3))
    refused("TensorDataset needs tensors of one length on axis 0, got shapes ()", TensorDataset, np.ones(()))


def test_a_dataset_must_be_written() -> None:
    with pytest.raises(
        NotImplementedError, match=re.escape("Dataset defines no __getitem__(place); write it to return one sample")
    ):
        Dataset()[0]
    with pytest.raises(
        NotImplementedError, match=re.escape("Dataset defines no __len__(); write it to return the number of samples")
    ):
        len(Dataset())


@given(size=st.integers(0, 40), seed=st.integers(0, 99))
def test_random_split_gives_parts_that_do_not_overlap(size: int, seed: int) -> None:
    for lengths in ([0.6, 0.3, 0.1], [size // 2, size - size // 2]):
        parts = random_split(range(size), lengths, seed=seed)
        assert sorted(sample for part in parts for sample in part) == list(range(size))
        assert [list(part) for part in parts] == [list(part) for part in random_split(range(size), lengths, seed=seed)]


def test_what_is_left_over_goes_to_the_parts_in_turn() -> None:
    assert [len(part) for part in random_split(range(11), [1 / 3, 1 / 3, 1 / 3])] == [4, 4, 3]


def test_lengths_that_do_not_add_up() -> None:
    refused("random_split got lengths [3, 4], 7 together, but the data set has 10 samples", random_split, range(10), [3, 4])
    refused("random_split got shares [0.5, 0.4], which add up to 0.9, expected 1", random_split, range(10), [0.5, 0.4])
    refused("random_split needs lengths of 0 or more, got [11, -1]", random_split, range(10), [11, -1])
    refused("random_split needs lengths of 0 or more, got []", random_split, range(10), [])


@pytest.mark.oracle
@pytest.mark.parametrize(
    "options", [{"batch_size": 4}, {"batch_size": 4, "drop_last": True}, {"batch_size": None}, {"sampler": [3, 1, 2]}]
)
def test_batches_are_those_of_pytorch(options: dict) -> None:
    peer = pytest.importorskip("torch.utils.data")
    torch = pytest.importorskip("torch")
    theirs = peer.TensorDataset(*(torch.from_numpy(tensor) for tensor in arrays().tensors))
    expected = peer.DataLoader(theirs, **options)
    loader = DataLoader(arrays(), **options)
    assert len(loader) == len(expected)
    for ours, other in zip(loader, expected, strict=True):
        assert [values(x) for x in ours] == [x.tolist() for x in other]


@pytest.mark.oracle
@pytest.mark.parametrize("size", range(10, 40, 3))
def test_shares_are_rounded_as_in_pytorch(size: int) -> None:
    peer = pytest.importorskip("torch.utils.data")
    for shares in ([0.7, 0.2, 0.1], [0.5, 0.25, 0.25], [0.9, 0.1]):
        assert [len(part) for part in random_split(range(size), shares)] == [
            len(part) for part in peer.random_split(range(size), shares)
        ]


def test_a_loader_says_what_it_works_with():
    data = TensorDataset(np.arange(10))
    before = get_state()
    loader = DataLoader(data, 4)
    assert (len(loader.sampler), len(loader.batch_sampler), list(loader.batch_sampler)[2]) == (10, 3, [8, 9])
    assert loader.collate_fn is default_collate and DataLoader(data, None).collate_fn is default_convert
    assert DataLoader(data, None).batch_sampler is None and get_state() == before
    own = SequentialSampler(data)
    assert DataLoader(data, sampler=own).sampler is own and sorted(DataLoader(data, shuffle=True, seed=1).sampler) == list(
        range(10)
    )


def test_what_a_batch_is_made_of():
    assert default_collate([(1, "a"), (2, "b")])[1] == ("a", "b") and default_collate(["a", "b"]) == ["a", "b"]
    with pytest.raises(TypeError, match="samples of type object cannot be stacked"):
        default_collate([object(), object()])
