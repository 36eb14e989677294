"""L7. The loader: batches of a data set, in an order that depends on seed and epoch alone, and a position that can be saved."""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from danlu.data.dataset import Dataset, IterableDataset, Subset, TensorDataset, seed_of, seeded
from danlu.data.sampler import BatchSampler, RandomSampler, SequentialSampler
from danlu.data.shared import keep_heap, room
from danlu.data.workers import Exhausted, Plan, Workers, drawing
from danlu.errors import DataError, DTypeError
from danlu.random import Generator, get_state
from danlu.tensor import Tensor, from_array
from danlu.tensor.exchange import from_numpy

BLOCK = 1 << 23  # bytes of a block of batches: it is read again soon, from the cache


def to_array(value: Any) -> np.ndarray:
    """The elements of an array, or of a Tensor, which stays out of every gradient."""
    return value.detach().numpy() if isinstance(value, Tensor) else np.asarray(value)


class DataLoader:
    """Batches of a data set as Tensors, with PyTorch's semantics.

    Each pass over the loader is the next epoch. A shuffled order is the permutation that PCG64 draws from (seed, epoch): it does
    not depend on anything else, so a run that is resumed with `load_state_dict` sees the batches that it would have seen.
    A batch of a TensorDataset (or a Subset of one) is one indexing of each array, made in this process. Samples of any other data set
    are loaded by `num_workers` processes (danlu/data/workers.py), `prefetch_factor` batches ahead each, or in this process for 0: the batches are
    the same ones in the same order, random transforms included. An exception in a worker is raised here, with the worker's traceback.
    `pin_memory`, `pin_memory_device` and `in_order` are taken so that PyTorch's calls run, and change nothing.

    Shapes: a batch of tensors [N, ...] is [batch, ...].

    Raises: DataError for a batch size that is no positive integer, and for arguments that exclude each other, as in PyTorch.

    >>> import numpy as np
    >>> from danlu.data import DataLoader, TensorDataset
    >>> loader = DataLoader(TensorDataset(np.arange(10)), batch_size=4, shuffle=True, seed=0)
    >>> len(loader), [len(x) for (x,) in loader]
    (3, [4, 4, 2])
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = False,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[list[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        seed: int | None = None,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        iterable = isinstance(dataset, IterableDataset)
        if not iterable:
            _check_dataset(dataset, sampler is None and batch_sampler is None)
        _check_arguments(batch_size, bool(shuffle), sampler, batch_sampler, drop_last)
        _check_workers(num_workers, prefetch_factor, timeout, persistent_workers)
        if iterable and (shuffle or sampler is not None or batch_sampler is not None):
            raise DataError("an IterableDataset gives its samples in its own order: leave shuffle, sampler and batch_sampler out")
        self.dataset = dataset
        self.batch_size = None if batch_sampler is not None else batch_size
        self.shuffle, self.drop_last = bool(shuffle), drop_last
        self._sampler, self._batch_sampler, self._collate = sampler, batch_sampler, collate_fn
        self.num_workers, self.timeout, self.worker_init_fn = num_workers, timeout, worker_init_fn
        self.multiprocessing_context, self.prefetch_factor = multiprocessing_context, prefetch_factor or 2
        self.persistent_workers, self.pin_memory = persistent_workers, pin_memory
        self._drawn = (
            bool(shuffle) or generator is not None or seed is not None
        )  # a loader without an order of its own draws nothing
        self.seed = seed_of(generator, seed) if self._drawn else 0
        self._epoch = 0  # the epoch that state_dict speaks of
        self._position = 0  # batches of it that were handed out
        self._started = False  # whether a pass over it has begun
        self._workers: Workers | None = None  # those that wait for the next epoch

    @property
    def sampler(self) -> Any:
        """What gives the places: the sampler that was given, or one of PyTorch's that stands for the loader's own order."""
        if self._sampler is not None:
            return self._sampler
        return RandomSampler(self.dataset) if self.shuffle else SequentialSampler(self.dataset)

    @property
    def batch_sampler(self) -> Any:
        """What gives the places of a batch; None without batches."""
        if self._batch_sampler is not None or self.batch_size is None:
            return self._batch_sampler
        return BatchSampler(self.sampler, self.batch_size, self.drop_last)

    @property
    def collate_fn(self) -> Callable[[Any], Any]:
        """What makes a batch of samples."""
        batched = self.batch_size is not None or self._batch_sampler is not None
        return self._collate or (default_collate if batched else default_convert)

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        if self._batch_sampler is not None:
            return len(self._batch_sampler)  # type: ignore[arg-type]
        samples = len(self.dataset if self._sampler is None else self._sampler)  # type: ignore[arg-type]
        if self.batch_size is None:
            return samples
        return samples // self.batch_size if self.drop_last else math.ceil(samples / self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        return self._pass(self._begin_pass(), self._position)

    def _begin_pass(self) -> int:
        """The epoch of the pass that begins: the next one, or the one that a loaded state stands in."""
        if self._started:
            self._epoch, self._position = self._epoch + 1, 0
        self._started = True
        return self._epoch

    def _end_pass(self, epoch: int) -> None:
        self._epoch, self._position, self._started = epoch + 1, 0, False

    def _pass(self, epoch: int, position: int) -> Iterator[Any]:
        """The batches of one epoch from a position on."""
        for place, batch in enumerate(self._batches(epoch, position), position):
            self._epoch, self._position = epoch, place + 1
            yield batch
        self._end_pass(epoch)

    def _batches(self, epoch: int, position: int) -> Iterator[Any]:
        """The batches themselves, from arrays, from this process or from workers."""
        indices = itertools.islice(self.batches(epoch), position, None)
        if self._collate is None and _columns(self.dataset) is not None:
            yield from map(self._fetcher(self.dataset), indices)
            return
        source = (self.seed,) if self._drawn else tuple(get_state().values())
        tasks = (((*source, epoch, place), where) for place, where in enumerate(indices, position))
        if self.num_workers == 0:
            yield from _made(self._fetcher(self.dataset), tasks)
            return
        workers, self._workers = self._workers or self._new_workers(source), None
        kept = False
        try:
            yield from workers.batches(tasks)
            kept = self.persistent_workers
        finally:
            if kept:
                self._workers = workers
            else:
                workers.close()

    def _new_workers(self, source: tuple[int, ...]) -> Workers:
        seed = int(np.random.SeedSequence(source).generate_state(1, np.uint64)[0]) >> 3
        plan = Plan(
            self.dataset,
            Maker(self.batch_size, self._batch_sampler is not None, self._collate, self.drop_last),
            self.worker_init_fn,
            seed,
        )
        ahead = self.prefetch_factor
        workers = Workers(plan, self.num_workers, self.multiprocessing_context, self.timeout, ahead)
        weakref.finalize(self, workers.close)
        return workers

    def blocks(self, most: Callable[[], int]) -> Iterator[tuple[int, Any]]:
        """A pass in blocks of up to `most()` whole batches of one size: (their number n, a batch of n times the rows). Only arrays come in
        blocks; of any other data set each block is one batch."""
        columns = self._collate is None and self.batch_size is not None and self._batch_sampler is None and _columns(self.dataset)
        if not columns:
            for batch in self:
                yield 1, batch
            return
        epoch, size, fetch = self._begin_pass(), self.batch_size, self._fetcher(self.dataset)
        order = self._order(epoch)
        bound = BLOCK // max(1, size * sum(array.nbytes // max(1, len(array)) for array in columns[0]))  # type: ignore[operator]
        while self._position < len(self):
            first = self._position * size  # type: ignore[operator]
            count = max(1, min(most(), bound, (len(order) - first) // size))  # type: ignore[operator]
            self._position += count
            yield count, fetch(order[first : first + count * size])  # type: ignore[operator]
        self._end_pass(epoch)

    def batches(self, epoch: int) -> Iterator[Any]:
        """The indices of each batch of an epoch, without loading anything: int64 [batch], or what the sampler gives."""
        if isinstance(self.dataset, IterableDataset):
            yield from itertools.repeat(0)  # as many as it has
        elif self._batch_sampler is not None:
            yield from self._batch_sampler
        elif self.batch_size is None:
            yield from self._order(epoch).tolist()
        else:
            order = self._order(epoch)
            end = len(self) * self.batch_size
            for first in range(0, min(end, len(order)), self.batch_size):
                yield order[first : first + self.batch_size]

    def _order(self, epoch: int) -> np.ndarray:
        """All indices of an epoch in their order, int64 [samples]."""
        if self._sampler is not None:
            places = list(self._sampler)
            return np.array(places, np.int64 if all(isinstance(place, int | np.integer) for place in places) else object)
        if not self.shuffle:
            return np.arange(len(self.dataset))
        return seeded(self.seed, epoch).permutation(len(self.dataset))

    def _fetcher(self, dataset: Any) -> Callable[[Any], Any]:
        """The function from a batch's indices to the batch."""
        columns = _columns(dataset) if self._collate is None else None
        if columns is not None and (self.batch_size is not None or self._batch_sampler is not None):
            arrays, places = columns
            return lambda indices: [from_numpy(array[indices if places is None else places[indices]]) for array in arrays]
        return Maker(self.batch_size, self._batch_sampler is not None, self._collate, self.drop_last)(dataset)

    def state_dict(self) -> dict[str, int]:
        """Where the loader stands, as plain integers: the epoch, the batches of it that were handed out, and the seed."""
        return {"epoch": self._epoch, "position": self._position, "seed": self.seed}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Makes the next pass go on where `state_dict` was taken. A sampler of the user's own must be restored by the user.

        Raises: DataError for a state that lacks a field or holds no integer of 0 or more.
        """
        for name in ("epoch", "position", "seed"):
            value = state.get(name)
            if type(value) is not int or value < 0:
                raise DataError(
                    "the loader's state should hold {name!r}, an integer of 0 or more, got {value!r}", name=name, value=value
                )
        self._epoch, self._position, self.seed = state["epoch"], state["position"], state["seed"]
        self._started = False


@dataclass(frozen=True)
class Maker:
    """How batches are made of a data set: `maker(dataset)` is the function from indices to a batch, in this process or in a worker."""

    batch_size: int | None
    batched: bool  # by a batch_sampler
    collate_fn: Callable[[Any], Any] | None
    drop_last: bool

    def __call__(self, dataset: Any) -> Callable[[Any], Any]:
        keep_heap()
        if isinstance(dataset, IterableDataset):
            return self._streamed(iter(dataset))
        if self.batch_size is None and not self.batched:
            convert = self.collate_fn or as_tensors
            return lambda index: convert(dataset[index])
        collate, many = self.collate_fn or default_collate, getattr(dataset, "__getitems__", None)
        if many is not None:
            return lambda indices: collate(many([_place(index) for index in indices]))
        return lambda indices: collate([dataset[_place(index)] for index in indices])

    def _streamed(self, samples: Iterator[Any]) -> Callable[[Any], Any]:
        """The next batch of an iterable data set, whatever the index."""

        def fetch(_: Any) -> Any:
            if self.batch_size is None:
                for sample in samples:
                    return (self.collate_fn or as_tensors)(sample)
                raise Exhausted
            batch = list(itertools.islice(samples, self.batch_size))
            if not batch or (self.drop_last and len(batch) < self.batch_size):
                raise Exhausted
            return (self.collate_fn or default_collate)(batch)

        return fetch


def _place(index: Any) -> Any:
    """An index as a data set gets it: Python's integers; the keys that a sampler of one's own may give stay."""
    return int(index) if isinstance(index, np.integer) else index


def _made(fetch: Callable[[Any], Any], tasks: Iterable[tuple[tuple[int, ...], Any]]) -> Iterator[Any]:
    """The batches of tasks, made here, with the random numbers that a worker would have."""
    for seeds, indices in tasks:
        with drawing(seeds):
            try:
                batch = fetch(indices)
            except Exhausted:
                return
        yield batch


def _check_workers(num_workers: Any, prefetch_factor: Any, timeout: Any, persistent: bool) -> None:
    """The arguments that speak of worker processes."""
    if isinstance(num_workers, bool) or not isinstance(num_workers, int | np.integer) or num_workers < 0:
        raise DataError("num_workers should be an integer of 0 or more, got {num_workers!r}", num_workers=num_workers)
    if prefetch_factor is not None and (num_workers == 0 or not isinstance(prefetch_factor, int) or prefetch_factor < 1):
        raise DataError(
            "prefetch_factor should be an integer above 0, beside num_workers above 0, got {prefetch_factor!r}",
            prefetch_factor=prefetch_factor,
        )
    if persistent and num_workers == 0:
        raise DataError("persistent_workers=True needs num_workers above 0")
    if timeout < 0:
        raise DataError("timeout should be 0 (none) or a number of seconds above it, got {timeout!r}", timeout=timeout)


def _check_dataset(dataset: Any, counted: bool) -> None:
    """What a data set must define: samples by place and, unless a sampler says the places, their number."""
    needed = {"__getitem__": "(self, place)", "__len__": "(self)"} if counted else {"__getitem__": "(self, place)"}
    for name, arguments in needed.items():
        found = getattr(type(dataset), name, None)
        if found is None or found is getattr(Dataset, name):
            raise DTypeError(
                "DataLoader: {kind} defines no {name}; write `def {name}{arguments}: ...` in the class, or pass a list",
                kind=type(dataset).__name__,
                name=name,
                arguments=arguments,
            )


def _check_arguments(batch_size: Any, shuffle: bool, sampler: Any, batch_sampler: Any, drop_last: bool) -> None:
    """The combinations that PyTorch refuses too."""
    if batch_size is not None and (
        isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1
    ):
        raise DataError("batch_size should be an integer above 0, got {batch_size!r}", batch_size=batch_size)
    if sampler is not None and shuffle:
        raise DataError("a sampler decides the order: leave shuffle out, or the sampler")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
        raise DataError("a batch_sampler decides the batches: leave batch_size, shuffle, sampler and drop_last out")
    if batch_size is None and drop_last:
        raise DataError("batch_size=None makes no batches: leave drop_last out")


def _columns(dataset: Any) -> tuple[list[np.ndarray], np.ndarray | None] | None:
    """The arrays of a TensorDataset and the places in them that count (None: all); None for any other data set."""
    if type(dataset) is TensorDataset:
        return [to_array(tensor) for tensor in dataset.tensors], None
    inner = _columns(dataset.dataset) if type(dataset) is Subset else None
    if inner is None:
        return None
    arrays, places = inner
    chosen = np.asarray(dataset.indices, dtype=np.int64)
    return arrays, chosen if places is None else places[chosen]


def as_tensors(sample: Any) -> Any:
    """A sample with its NumPy arrays and NumPy numbers as tensors; everything else stays.

    >>> import numpy as np
    >>> from danlu.data import default_convert
    >>> default_convert([np.ones(2), "text"])
    [tensor([1., 1.], dtype=danlu.float64), 'text']
    """
    if isinstance(sample, np.ndarray | np.number | np.bool_):
        return from_numpy(np.asarray(sample))
    if isinstance(sample, Mapping):
        return {key: as_tensors(value) for key, value in sample.items()}
    if isinstance(sample, tuple | list):
        return _rebuild(sample, [as_tensors(value) for value in sample])
    return sample


default_convert = as_tensors


def default_collate(samples: Sequence[Any]) -> Any:
    """One batch of a list of samples: tensors, arrays and numbers are stacked, texts stay what they are, fields go one by one.

    Python floats become float64, as in PyTorch.

    Shapes: samples (*) → a batch (N, *).

    Raises: DataError for samples of different shapes or lengths, and for a type that cannot be stacked.

    >>> from danlu.data import default_collate
    >>> default_collate([(1, "a"), (2, "b")])
    [tensor([1, 2]), ('a', 'b')]
    """
    first = samples[0]
    if isinstance(first, str | bytes):
        return samples
    if isinstance(first, Mapping):
        return {key: default_collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, tuple | list):
        if len({len(sample) for sample in samples}) > 1:
            raise DataError("the samples of a batch have different numbers of fields; give collate_fn to join them")
        return _rebuild(first, [default_collate(field) for field in zip(*samples)])
    return from_array(_stack(samples))


def _rebuild(like: Any, values: list[Any]) -> Any:
    """A named tuple stays one; any other sequence becomes a list, as in PyTorch."""
    return type(like)(*values) if hasattr(like, "_fields") else values


class NotStackable(DataError, TypeError):
    """A sample of a type that no batch is made of."""


def _stack(samples: Sequence[Any]) -> np.ndarray:
    """Arrays, tensors or numbers as one array [batch, ...]."""
    for sample in samples:
        if not isinstance(sample, Tensor | np.ndarray | np.generic | bool | int | float):
            raise NotStackable(
                "samples of type {kind} cannot be stacked; give collate_fn to join them", kind=type(sample).__name__
            )
    arrays = [to_array(sample) for sample in samples]
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) > 1:
        raise DataError(
            "samples of different shapes, {first_shape} and {second_shape}, cannot be stacked; give collate_fn to join them",
            first_shape=shapes[0],
            second_shape=shapes[1],
        )
    dtype = np.result_type(*{array.dtype for array in arrays})
    return np.stack(arrays, out=room((len(arrays), *arrays[0].shape), dtype))
