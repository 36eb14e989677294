"""L6. Sequences of different lengths in one batch; public as `danlu.nn.utils.rnn`.

A packed batch is kept padded, with its lengths: a recurrent layer runs over the padded form and masks what is padding, so that one
program serves all batches of one longest length. PyTorch's packed form, `PackedSequence.data`, is made when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from danlu.errors import DataError, ShapeError
from danlu.messages import message
from danlu.tensor import Tensor, apply, from_array
from danlu.tensor.creation import stack


def _mask(lengths: np.ndarray, steps: int) -> np.ndarray:
    """Whether step t belongs to sequence n, (T, N)."""
    return np.arange(steps)[:, None] < lengths[None, :]


class PackedSequence:
    """Sequences of different lengths as one batch, the longest first; made by `pack_padded_sequence` and `pack_sequence`.

    data[batch_sizes₀ + … + batch_sizesₜ₋₁ + k] = step t of the k-th sequence

    data holds the first steps of all sequences, then the second steps of those that have one, and so on; batch_sizes how many there
    are of each. sorted_indices says which sequence of the batch comes first, second, …; unsorted_indices turns that round.

    Shapes: data (Σ lengths, …), batch_sizes (T,).

    Example:
        >>> import danlu
        >>> from danlu.nn.utils.rnn import PackedSequence, pad_packed_sequence
        >>> packed = PackedSequence(danlu.tensor([1.0, 2.0, 3.0]), danlu.tensor([2, 1]))  # 1, 3 and 2
        >>> pad_packed_sequence(packed, batch_first=True)[0].tolist()
        [[1.0, 3.0], [2.0, 0.0]]
    """

    def __init__(
        self, data: Tensor, batch_sizes: Any, sorted_indices: Tensor | None = None, unsorted_indices: Tensor | None = None
    ) -> None:
        sizes = np.asarray(batch_sizes.tolist() if isinstance(batch_sizes, Tensor) else batch_sizes, np.int64)
        if sizes.ndim != 1 or not sizes.size or sizes[-1] < 1 or (np.diff(sizes) > 0).any() or sizes.sum() != data.shape[0]:
            raise ShapeError(
                "PackedSequence: data has shape {shape} and the batch sizes are {sizes}; expected sizes ≥ 1 that never grow, with "
                "the sum {total}",
                shape=tuple(data.shape),
                sizes=sizes.tolist(),
                total=data.shape[0],
            )
        if sorted_indices is not None and unsorted_indices is None:
            unsorted_indices = from_array(np.argsort(sorted_indices.numpy()))
        self._data: Any = data
        self._padded: Any = None
        self.lengths = (sizes[:, None] > np.arange(sizes[0])).sum(0)  # (N,)
        self.sorted_indices, self.unsorted_indices = sorted_indices, unsorted_indices

    @classmethod
    def from_padded(cls, padded: Tensor, lengths: np.ndarray, like: PackedSequence | None, order: Any = None) -> PackedSequence:
        """The batch whose padded form (T, N, …) is known, the longest first; in the order of another one, or `order`."""
        made = object.__new__(cls)
        made._data, made._padded, made.lengths = None, padded, lengths
        if like is not None:
            made.sorted_indices, made.unsorted_indices = like.sorted_indices, like.unsorted_indices
        else:
            made.sorted_indices = None if order is None else from_array(order)
            made.unsorted_indices = None if order is None else from_array(np.argsort(order))
        return made

    @property
    def data(self) -> Tensor:
        """All steps, (Σ lengths, …)."""
        if self._data is None:
            padded: Any = self._padded
            places = np.flatnonzero(_mask(self.lengths, padded.shape[0]))
            self._data = padded.reshape(-1, *padded.shape[2:]).index_select(0, from_array(places))
        return self._data

    @property
    def batch_sizes(self) -> Tensor:
        """How many sequences have a first step, a second, …"""
        return from_array(_mask(self.lengths, int(self.lengths.max())).sum(1))

    @property
    def padded(self) -> Tensor:
        """The steps as (T, N, …), the longest sequence first; what stands behind the end of one is no part of it."""
        if self._padded is None:
            data: Any = self._data
            steps, count = int(self.lengths.max()), len(self.lengths)
            inside = _mask(self.lengths, steps)
            places = np.where(inside, np.cumsum(inside).reshape(inside.shape) - 1, 0)
            rows = data.index_select(0, from_array(places.reshape(-1)))
            self._padded = rows.reshape(steps, count, *data.shape[1:])
        return self._padded

    def mask(self) -> Tensor:
        """Whether step t belongs to sequence n, (T, N)."""
        return from_array(_mask(self.lengths, int(self.lengths.max())))

    def _fields(self) -> tuple[Any, ...]:
        return self.data, self.batch_sizes, self.sorted_indices, self.unsorted_indices

    def __iter__(self) -> Iterator[Any]:
        return iter(self._fields())

    def __getitem__(self, index: int) -> Any:
        return self._fields()[index]

    def __len__(self) -> int:
        return 4

    def _replace(self, data: Tensor) -> PackedSequence:
        """The same lengths and order with other data."""
        return PackedSequence(data, self.batch_sizes, self.sorted_indices, self.unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The data as another dtype."""
        return self._replace(self.data.to(*args, **kwargs))

    def cpu(self) -> PackedSequence:
        """Itself: danlu computes on the CPU."""
        return self

    pin_memory = cpu
    is_cuda = False

    def is_pinned(self) -> bool:
        """False: there is no GPU to copy to."""
        return False

    def __getattr__(self, name: str) -> Any:
        """`double()`, `half()`, `cuda()`, …: the same of the data."""
        if name not in ("bfloat16", "bool", "byte", "char", "cuda", "double", "float", "half", "int", "long", "short"):
            raise AttributeError(message("a PackedSequence has no attribute {name!r}", name=name))
        return lambda *args: self._replace(getattr(self.data, name)(*args))

    def __repr__(self) -> str:
        names = ("data", "batch_sizes", "sorted_indices", "unsorted_indices")
        return f"PackedSequence({', '.join(f'{name}={value!r}' for name, value in zip(names, self._fields()))})"


def _lengths(name: str, lengths: Any, count: int, steps: int) -> np.ndarray:
    """The lengths as numbers from 1 to `steps`, one for each sequence."""
    given = np.asarray(lengths.tolist() if isinstance(lengths, Tensor) else [int(n) for n in lengths], np.int64)
    if given.shape != (count,):
        raise ShapeError(
            "{name}: {given} lengths for a batch of {count} sequences; expected one for each",
            name=name,
            given=given.size,
            count=count,
        )
    if count and not 1 <= given.min() <= given.max() <= steps:
        raise DataError(
            "{name}: the lengths are {lengths}; expected numbers from 1 to {steps}, the size of the axis of time",
            name=name,
            lengths=given.tolist(),
            steps=steps,
        )
    return given


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:  # fmt: skip
    """The sequences of a padded batch without their padding, for a recurrent layer.

    data[batch_sizes₀ + … + batch_sizesₜ₋₁ + k] = input[t, sorted_indices[k]]

    enforce_sorted=False takes them in any order and gives results back in that order.

    Shapes: input (T, N, …), or (N, T, …) with batch_first; lengths (N,).

    Raises:
        ShapeError: not one length for each sequence.
        DataError: a length below 1 or above T; lengths that grow, with enforce_sorted.

    Example:
        >>> import danlu
        >>> from danlu.nn.utils.rnn import pack_padded_sequence
        >>> pack_padded_sequence(danlu.tensor([[1, 2], [3, 0]]), [2, 1], batch_first=True).data.tolist()
        [1, 3, 2]
    """
    if input.ndim < 2:
        raise ShapeError(
            "pack_padded_sequence: the input has shape {shape}; expected a batch (T, N, …), or (N, T, …) with batch_first=True",
            shape=tuple(input.shape),
        )
    x: Any = input.transpose(0, 1) if batch_first else input
    sizes = _lengths("pack_padded_sequence", lengths, x.shape[1], x.shape[0])
    order = None if enforce_sorted else np.argsort(-sizes, kind="stable")
    if order is None and (np.diff(sizes) > 0).any():
        raise DataError(
            "pack_padded_sequence: the lengths {lengths} are not sorted, the longest first; write enforce_sorted=False",
            lengths=sizes.tolist(),
        )
    if order is not None:
        x, sizes = x.index_select(1, from_array(order)), sizes[order]
    return PackedSequence.from_padded(x[: int(sizes.max())], sizes, None, order)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """The inverse of `pack_padded_sequence`: the padded batch and the lengths, in their first order.

    y[t, n] = the step t of the sequence n, or padding_value from its length on

    Raises:
        DataError: total_length is less than the longest sequence.

    Example:
        >>> import danlu
        >>> from danlu.nn.utils.rnn import pack_sequence, pad_packed_sequence
        >>> x, lengths = pad_packed_sequence(pack_sequence([danlu.tensor([1, 2]), danlu.tensor([3])]), batch_first=True)
        >>> x.tolist(), lengths.tolist()
        ([[1, 2], [3, 0]], [2, 1])
    """
    x: Any = sequence.padded
    steps, count = x.shape[:2]
    if total_length is not None and total_length < steps:
        raise DataError(
            "pad_packed_sequence: total_length is {total_length}; expected at least {steps}, the longest length",
            total_length=total_length,
            steps=steps,
        )
    number = padding_value if x.dtype.is_floating_point else int(padding_value)
    x = apply("where", sequence.mask().reshape(steps, count, *(1,) * (x.ndim - 2)), x, number)
    lengths = from_array(sequence.lengths.astype(np.int64))
    if sequence.unsorted_indices is not None:
        x, lengths = x.index_select(1, sequence.unsorted_indices), lengths.index_select(0, sequence.unsorted_indices)
    if total_length is not None and total_length > steps:
        x = _pad_end(x, total_length - steps, number)
    return (x.transpose(0, 1) if batch_first else x), lengths


def _pad_end(x: Tensor, count: int, value: float, before: bool = False) -> Tensor:
    """x with `count` rows of a value behind it (or before)."""
    rest = (0,) * (x.ndim - 1)
    low, high = ((count, *rest), (0, *rest)) if before else ((0, *rest), (count, *rest))
    return apply("pad", x, low=low, high=high, value=value)


def pad_sequence(
    sequences: Tensor | Sequence[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Sequences of different lengths stacked, the shorter ones filled up.

    y[t, n] = sequences[n][t] for t < Tₙ, else padding_value

    Shapes: N tensors (Tₙ, …) → (max T, N, …), or (N, max T, …) with batch_first.

    Example:
        >>> import danlu
        >>> from danlu.nn.utils.rnn import pad_sequence
        >>> pad_sequence([danlu.tensor([1, 2]), danlu.tensor([3])], batch_first=True).tolist()
        [[1, 2], [3, 0]]
    """
    if padding_side not in ("left", "right"):
        raise DataError("pad_sequence: padding_side is {padding_side!r}; expected 'left' or 'right'", padding_side=padding_side)
    given = list(sequences)
    if not given or min(x.ndim for x in given) < 1 or any(x.shape[1:] != given[0].shape[1:] for x in given):
        raise ShapeError(
            "pad_sequence: the sequences have shapes {shapes}; expected at least one, all with the same sizes but the first",
            shapes=[tuple(x.shape) for x in given],
        )
    steps = max(x.shape[0] for x in given)
    number = padding_value if given[0].dtype.is_floating_point else int(padding_value)
    left = padding_side == "left"
    return stack([_pad_end(x, steps - x.shape[0], number, left) for x in given], 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    """The sequences of a padded batch: the inverse of `pad_sequence`.

    sequences[n] = padded[:Tₙ, n]

    Shapes: padded (T, N, …), or (N, T, …) with batch_first, lengths (N,) → N tensors (Tₙ, …).

    Example:
        >>> import danlu
        >>> from danlu.nn.utils.rnn import unpad_sequence
        >>> [x.tolist() for x in unpad_sequence(danlu.tensor([[1, 2], [3, 0]]), danlu.tensor([2, 1]), batch_first=True)]
        [[1, 2], [3]]
    """
    x = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    sizes = _lengths("unpad_sequence", lengths, x.shape[0], x.shape[1])
    return [x[k, :n] for k, n in enumerate(sizes.tolist())]


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed batch, in the order they had before it was packed.

    xₙ = the steps t < lengths[n] of sequence n

    Shapes: packed → tensors (lengths[n], *).

    Example:
        >>> import danlu
        >>> from danlu.nn.utils.rnn import pack_sequence, unpack_sequence
        >>> [x.tolist() for x in unpack_sequence(pack_sequence([danlu.tensor([1, 2]), danlu.tensor([3])]))]
        [[1, 2], [3]]
    """
    return unpad_sequence(*pad_packed_sequence(packed_sequences))


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Sequences of different lengths as one packed batch.

    data[batch_sizes₀ + … + batch_sizesₜ₋₁ + k] = sequences[sorted_indices[k]][t]

    Shapes: N tensors (Tₙ, …) → data (Σ Tₙ, …), batch_sizes (max T,).

    Example:
        >>> import danlu
        >>> from danlu.nn.utils.rnn import pack_sequence
        >>> pack_sequence([danlu.tensor([1, 2]), danlu.tensor([3])]).data.tolist()
        [1, 3, 2]
    """
    lengths = [x.shape[0] for x in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


__all__ = [
    "PackedSequence",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]
