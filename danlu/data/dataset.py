"""L7. Data sets with PyTorch's semantics: `len(dataset)` samples, `dataset[i]` the one at place i."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from danlu.errors import DataError
from danlu.messages import message
from danlu.random import Generator, next_key


class Dataset:
    """Base of data sets: a subclass defines `__getitem__(place)` and `__len__()`.

    Shapes: those of the samples, which the subclass decides.

    >>> from danlu.data import Dataset
    >>> class Squares(Dataset):
    ...     def __len__(self): return 4
    ...     def __getitem__(self, place): return place, place**2
    >>> Squares()[3]
    (3, 9)
    """

    def __getitem__(self, place: int) -> Any:
        raise NotImplementedError(
            message("{name} defines no __getitem__(place); write it to return one sample", name=type(self).__name__)
        )

    def __len__(self) -> int:
        raise NotImplementedError(
            message("{name} defines no __len__(); write it to return the number of samples", name=type(self).__name__)
        )

    def __add__(self, other: Any) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """Base of data sets that are read in one direction: a subclass defines `__iter__()`.

    In a loader with workers each worker reads a copy of it; `get_worker_info()` tells which part it should give.

    >>> from danlu.data import IterableDataset
    >>> class Count(IterableDataset):
    ...     def __iter__(self): return iter(range(3))
    >>> list(Count())
    [0, 1, 2]
    """

    __len__: Any = None  # it has a length only where a subclass says so

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(message("{name} defines no __iter__(); write it to give the samples", name=type(self).__name__))


class ConcatDataset(Dataset):
    """Data sets one after the other; `a + b` of two data sets makes one.

    Raises: DataError without data sets, and for a place beyond the end.

    >>> from danlu.data import ConcatDataset
    >>> data = ConcatDataset([range(3), range(10, 12)])
    >>> len(data), data[3], data[-1]
    (5, 10, 11)
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets or any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise DataError(
                "ConcatDataset needs data sets with places; write ConcatDataset([first, second]), or ChainDataset for iterables"
            )
        self.cumulative_sizes = np.cumsum([len(dataset) for dataset in self.datasets]).tolist()

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, place: int) -> Any:
        if not -len(self) <= place < len(self):
            raise IndexError(message("place {place} of a data set of {size} samples", place=place, size=len(self)))
        place %= len(self)
        number = bisect.bisect_right(self.cumulative_sizes, place)
        return self.datasets[number][place - (self.cumulative_sizes[number - 1] if number else 0)]


class ChainDataset(IterableDataset):
    """Iterable data sets one after the other.

    >>> from danlu.data import ChainDataset
    >>> list(ChainDataset([[1, 2], [3]]))
    [1, 2, 3]
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(self.datasets)


class StackDataset(Dataset):
    """Data sets side by side: sample i is the tuple (or, with names, the dict) of their samples i.

    Raises: DataError for data sets of different lengths.

    >>> from danlu.data import StackDataset
    >>> StackDataset("abc", [1, 2, 3])[1], StackDataset(x="abc", y=[1, 2, 3])[0]
    (('b', 2), {'x': 'a', 'y': 1})
    """

    def __init__(self, *datasets: Any, **named: Any) -> None:
        self.datasets: Any = named or datasets
        sizes = {len(dataset) for dataset in (named.values() if named else datasets)}
        if len(sizes) != 1 or (named and datasets):
            raise DataError(
                "StackDataset needs data sets of one length, all of them with a name or none, got lengths {sizes}",
                sizes=sorted(sizes),
            )
        self._size = sizes.pop()

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: int) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[place] for name, dataset in self.datasets.items()}
        return tuple(dataset[place] for dataset in self.datasets)


class TensorDataset(Dataset):
    """Samples from arrays or tensors of one length: sample i is `(first[i], second[i], ...)`.

    Shapes: every tensor [N, ...].

    Raises: DataError without tensors, for one without axes, and for different lengths.

    >>> import numpy as np
    >>> from danlu.data import TensorDataset
    >>> dataset = TensorDataset(np.zeros((3, 2)), np.array([5, 6, 7]))
    >>> len(dataset), int(dataset[1][1])
    (3, 6)
    """

    def __init__(self, *tensors: Any) -> None:
        if not tensors:
            raise DataError("TensorDataset needs at least one tensor; write TensorDataset(features, targets)")
        shapes = [tuple(tensor.shape) for tensor in tensors]
        if any(not shape for shape in shapes) or len({shape[0] for shape in shapes}) > 1:
            raise DataError(
                "TensorDataset needs tensors of one length on axis 0, got shapes {shapes}", shapes=", ".join(map(str, shapes))
            )
        self.tensors = tensors

    def __getitem__(self, place: Any) -> tuple[Any, ...]:
        return tuple(tensor[place] for tensor in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].shape[0]


class Subset(Dataset):
    """The samples of another data set at some places, in their order.

    self[i] = dataset[indices[i]]

    Shapes: those of the samples.

    >>> from danlu.data import Subset
    >>> list(Subset(range(10, 20), [0, 5]))
    [10, 15]
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, place: int) -> Any:
        return self.dataset[self.indices[place]]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(
    dataset: Any, lengths: Sequence[float], generator: Generator | None = None, seed: int | None = None
) -> list[Subset]:
    """Parts of a data set that do not overlap, drawn at random: `lengths` are numbers of samples, or shares that add up to 1.

    Shares are rounded down; the samples that are left over go to the parts in turn, as in PyTorch.

    Shapes: those of the samples.

    Raises: DataError for lengths that do not add up to the data set.

    >>> from danlu.data import random_split
    >>> [len(part) for part in random_split(range(10), [0.75, 0.25], seed=0)]
    [8, 2]
    """
    counts = _counts(len(dataset), lengths)
    order = seeded(seed_of(generator, seed)).permutation(len(dataset))
    return [Subset(dataset, part.tolist()) for part in np.split(order, np.cumsum(counts)[:-1])]


def _counts(size: int, lengths: Sequence[float]) -> list[int]:
    """Numbers of samples that add up to `size`."""
    if not lengths or min(lengths) < 0:
        raise DataError("random_split needs lengths of 0 or more, got {lengths}", lengths=list(lengths))
    if all(isinstance(length, int | np.integer) for length in lengths):
        counts = [int(length) for length in lengths]
    elif abs(sum(lengths) - 1) < 1e-6:
        counts = [int(size * share) for share in lengths]
        for place in range(size - sum(counts)):
            counts[place % len(counts)] += 1
    else:
        raise DataError(
            "random_split got shares {lengths}, which add up to {total:g}, expected 1", lengths=list(lengths), total=sum(lengths)
        )
    if sum(counts) != size:
        raise DataError(
            "random_split got lengths {counts}, {total} together, but the data set has {size} samples",
            counts=counts,
            total=sum(counts),
            size=size,
        )
    return counts


def seed_of(generator: Generator | None, seed: int | None) -> int:
    """The seed that a caller gave, else the next draw of the generator (danlu's default one unless given) as a seed.

    So `danlu.manual_seed` decides every order that no seed was given for, and two loaders of one generator differ.

    Raises: DataError for both at once, another kind of generator, or a seed that is no integer of 0 or more.
    """
    if generator is not None and seed is not None:
        raise DataError("give a generator or a seed, not both")
    if generator is not None and not isinstance(generator, Generator):
        raise DataError("generator should be a danlu.Generator, got {kind}; write seed=0 instead", kind=type(generator).__name__)
    if seed is not None:
        return _check_seed(seed)
    return int(np.random.SeedSequence(next_key(generator)).generate_state(1, np.uint64)[0]) >> 2


def seeded(*seeds: int) -> np.random.Generator:
    """NumPy's PCG64 from one seed or several.

    Raises: DataError for a seed that is no integer of 0 or more.
    """
    checked = [_check_seed(seed) for seed in seeds]
    return np.random.Generator(np.random.PCG64(checked[0] if len(checked) == 1 else checked))


def _check_seed(seed: Any) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise DataError("a seed should be an integer of 0 or more, got {seed!r}", seed=seed)
    return int(seed)
