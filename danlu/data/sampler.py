"""L7. Samplers: in which order, and how often, the samples of a data set are visited."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any

import numpy as np

from danlu.data.dataset import seed_of, seeded
from danlu.errors import DataError
from danlu.messages import message
from danlu.random import Generator


class Sampler:
    """Base of samplers: a subclass defines `__iter__()`, the places of an epoch in their order, and perhaps `__len__()`.

    >>> from danlu.data import Sampler
    >>> class Backwards(Sampler):
    ...     def __iter__(self): return iter([2, 1, 0])
    >>> list(Backwards())
    [2, 1, 0]
    """

    def __init__(self, data_source: Any = None) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(message("{name} defines no __iter__(); write it to give the places", name=type(self).__name__))


class SequentialSampler(Sampler):
    """0, 1, 2, ...

    >>> from danlu.data import SequentialSampler
    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler):
    """A new random order each time; with `replacement`, or for more samples than there are, places may come more than once.

    >>> from danlu.data import RandomSampler
    >>> sorted(RandomSampler("abc"))
    [0, 1, 2]
    """

    def __init__(
        self, data_source: Sized, replacement: bool = False, num_samples: int | None = None, generator: Generator | None = None
    ) -> None:
        self.data_source, self.replacement, self.generator = data_source, replacement, generator
        self.num_samples = len(data_source) if num_samples is None else num_samples
        _check_count(self.num_samples)

    def __iter__(self) -> Iterator[int]:
        numbers, size = seeded(seed_of(self.generator, None)), len(self.data_source)
        if self.replacement:
            yield from numbers.integers(0, size, self.num_samples).tolist()
            return
        for first in range(0, self.num_samples, size):
            yield from numbers.permutation(size)[: self.num_samples - first].tolist()

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """Some places, in a new random order each time.

    >>> from danlu.data import SubsetRandomSampler
    >>> sorted(SubsetRandomSampler([4, 7]))
    [4, 7]
    """

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices, self.generator = indices, generator

    def __iter__(self) -> Iterator[int]:
        return (self.indices[place] for place in seeded(seed_of(self.generator, None)).permutation(len(self.indices)).tolist())

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """Places drawn with probabilities in proportion to `weights`: rare classes as often as frequent ones.

    Raises: DataError for weights that are negative, not finite or all zero, and for more draws than weights without replacement.

    >>> from danlu.data import WeightedRandomSampler
    >>> list(WeightedRandomSampler([0.0, 1.0], 3))
    [1, 1, 1]
    """

    def __init__(
        self, weights: Sequence[float], num_samples: int, replacement: bool = True, generator: Generator | None = None
    ) -> None:
        self.weights = np.asarray(weights, dtype=np.float64)
        self.num_samples, self.replacement, self.generator = num_samples, replacement, generator
        _check_count(num_samples)
        if self.weights.ndim != 1 or not np.isfinite(self.weights).all() or (self.weights < 0).any() or not self.weights.any():
            raise DataError("weights should be finite numbers of 0 or more, one for each sample, and not all 0")
        if not replacement and num_samples > np.count_nonzero(self.weights):
            raise DataError(
                "{count} samples without replacement, but only {held} have a weight above 0; write replacement=True",
                count=num_samples,
                held=int(np.count_nonzero(self.weights)),
            )

    def __iter__(self) -> Iterator[int]:
        numbers = seeded(seed_of(self.generator, None))
        share = self.weights / self.weights.sum()
        return iter(numbers.choice(len(share), self.num_samples, self.replacement, share).tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler):
    """The places of another sampler in lists of `batch_size`.

    >>> from danlu.data import BatchSampler
    >>> list(BatchSampler(range(5), 2, False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[Any], batch_size: int, drop_last: bool) -> None:
        _check_count(batch_size)
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self) -> Iterator[list[Any]]:
        batch: list[Any] = []
        for place in self.sampler:
            batch.append(place)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        whole, rest = divmod(len(self.sampler), self.batch_size)  # type: ignore[arg-type]
        return whole + (rest > 0 and not self.drop_last)


class DistributedSampler(Sampler):
    """The share of process `rank` of `num_replicas`; all shares are of one length, for which some places come twice (or are dropped).

    `set_epoch` before each epoch changes a shuffled order, in every process alike.

    >>> from danlu.data import DistributedSampler
    >>> [list(DistributedSampler(range(5), 2, rank, shuffle=False)) for rank in (0, 1)]
    [[0, 2, 4], [1, 3, 0]]
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        self.dataset, self.num_replicas, self.rank = dataset, num_replicas or 1, rank or 0
        self.shuffle, self.seed, self.drop_last, self.epoch = shuffle, seed, drop_last, 0
        if not 0 <= self.rank < self.num_replicas:
            raise DataError("rank is {rank}; expected 0 to {last}", rank=self.rank, last=self.num_replicas - 1)
        whole, rest = divmod(len(dataset), self.num_replicas)
        self.num_samples = whole + (rest > 0 and not drop_last)

    def set_epoch(self, epoch: int) -> None:
        """Says which epoch is next."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        size, total = len(self.dataset), self.num_samples * self.num_replicas
        order = seeded(self.seed, self.epoch).permutation(size) if self.shuffle else np.arange(size)
        return iter(np.resize(order, total)[self.rank :: self.num_replicas].tolist())

    def __len__(self) -> int:
        return self.num_samples


def _check_count(count: Any) -> None:
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
        raise DataError("a number of samples should be an integer above 0, got {count!r}", count=count)
