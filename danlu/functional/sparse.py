"""L6. Tables of vectors, and bilinear maps; public in `danlu.nn.functional`."""

from __future__ import annotations

from math import inf

import numpy as np

from danlu.dtype import int64
from danlu.errors import DataError, DTypeError, ShapeError
from danlu.functional.loss import _length
from danlu.ops.composite import named_rows
from danlu.tensor import Tensor, apply, from_array, no_grad

# ---- embeddings -----------------------------------------------------------------------------------------------------------------


def _padding_row(name: str, padding_idx: int | None, weight: Tensor) -> int | None:
    if padding_idx is None:
        return None
    n = weight.shape[0]
    if not -n <= padding_idx < n:
        raise DataError(
            "{name}: padding_idx is {padding_idx}; expected one of {lowest} … {highest} for {count} embeddings",
            name=name,
            padding_idx=padding_idx,
            lowest=-n,
            highest=n - 1,
            count=n,
        )
    return padding_idx % n


def _used(weight: Tensor, index: Tensor) -> Tensor:
    """How often each row is named."""
    ones = weight.new_ones(*index.shape)
    return apply("index_add", weight.new_zeros(weight.shape[0]), index, ones, dim=0)


def _renormalize(weight: Tensor, index: Tensor, max_norm: float, norm_type: float) -> None:
    """The rows that are read and are longer than max_norm are shortened, in place."""
    with no_grad():
        length = _length(weight, norm_type, 1, True)
        long = (length > max_norm).logical_and(apply("gt", _used(weight, index), 0.0).unsqueeze(1))
        weight.copy_(apply("where", long, weight * (max_norm / (length + 1e-7)), weight))


def _looked_up(name: str, weight: Tensor, index: Tensor, padding_idx: int | None, by_frequency: bool) -> Tensor:
    """The rows, (…, D); no derivative to the padding row, and each divided by how often it is read where that is wanted."""
    y = apply(named_rows, weight, index, name=name)
    padding = _padding_row(name, padding_idx, weight)
    if by_frequency:
        times = apply("take", _used(weight.detach(), index), index, dim=0).unsqueeze(-1)
        y = apply("carry", y, y / times)
    return y if padding is None else apply("where", apply("eq", index, padding).unsqueeze(-1), y.detach(), y)


def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None, norm_type: float = 2.0,
    scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """The rows of a table named by an index: y[…, :] = w[x[…], :].

    padding_idx: a row that gets no gradient. max_norm: rows that are read and longer are shortened in the table first.

    Shapes: input (...) of integers, weight (V, D) → (..., D).

    Raises:
        DTypeError: the index is not of an integer dtype.
        AxisError: an index is below 0 or not below V; reported when the value is computed.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.embedding(danlu.tensor([1, 0]), danlu.tensor([[1.0, 2.0], [3.0, 4.0]])).tolist()
        [[3.0, 4.0], [1.0, 2.0]]
    """
    if max_norm is not None:
        _renormalize(weight, input, float(max_norm), float(norm_type))
    return _looked_up("embedding", weight, input, padding_idx, scale_grad_by_freq)


def _bags(input: Tensor, offsets: Tensor | None, include_last: bool) -> tuple[Tensor, int]:
    """The bag of every index, and their number."""
    if input.ndim == 2:
        if offsets is not None:
            raise DataError(
                "embedding_bag: offsets with an input of shape {shape}; expected offsets with one axis of indices alone",
                shape=tuple(input.shape),
            )
        rows, length = input.shape
        return from_array(np.repeat(np.arange(rows), length)), rows
    if input.ndim != 1 or offsets is None or offsets.ndim != 1:
        raise ShapeError(
            "embedding_bag: the input has shape {shape}; expected (bags, length), or one axis of indices and offsets of shape "
            "(bags,)",
            shape=tuple(input.shape),
        )
    starts = offsets[:-1] if include_last else offsets
    position = from_array(np.arange(input.shape[0]))
    began = (starts.to(int64).unsqueeze(0) <= position.unsqueeze(1)).to(int64)
    return began.sum(1) - 1, starts.shape[0]


def embedding_bag(
    input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None, norm_type: float = 2.0,
    scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False, padding_idx: int | None = None,
) -> Tensor:  # fmt: skip
    """The sum, mean or maximum of the rows of each bag of indices; an empty bag gives 0.

    y[b, :] = Σ w[x[b, i], :] over i (mode "sum"), divided by their number ("mean"), or their maximum ("max")

    Shapes: input (bags, length), or (indices,) with offsets (bags,) where each bag begins; weight (V, D) → (bags, D).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.embedding_bag(danlu.tensor([[0, 1]]), danlu.tensor([[1.0, 2.0], [3.0, 4.0]])).tolist()
        [[2.0, 3.0]]
    """
    if mode not in ("sum", "mean", "max"):
        raise DataError("embedding_bag: mode is {mode!r}; expected 'sum', 'mean' or 'max'", mode=mode)
    if per_sample_weights is not None and mode != "sum":
        raise DataError("embedding_bag: per_sample_weights with mode {mode!r}; expected mode='sum'", mode=mode)
    bag, count = _bags(input, offsets, include_last_offset)
    index = input.reshape(-1)
    if max_norm is not None:
        _renormalize(weight, index, float(max_norm), float(norm_type))
    rows = _looked_up("embedding_bag", weight, index, padding_idx, scale_grad_by_freq)  # (L, D)
    padding = _padding_row("embedding_bag", padding_idx, weight)
    kept: Tensor = apply("ne", index, -1 if padding is None else padding)
    if mode == "max":
        return _bag_max(rows, bag, kept, count)
    if per_sample_weights is not None:
        if per_sample_weights.shape != input.shape:
            raise ShapeError(
                "embedding_bag: per_sample_weights have shape {shape}; expected {input_shape}",
                shape=tuple(per_sample_weights.shape),
                input_shape=tuple(input.shape),
            )
        rows = rows * per_sample_weights.reshape(-1, 1)
    rows = apply("where", kept.unsqueeze(1), rows, 0.0)
    total = apply("index_add", rows.new_zeros(count, rows.shape[1]), bag, rows, dim=0)
    if mode == "sum":
        return total
    sizes = apply("index_add", rows.new_zeros(count), bag, kept.to(rows.dtype), dim=0)
    return total / sizes.clamp(min=1.0).unsqueeze(1)


def _bag_max(rows: Tensor, bag: Tensor, kept: Tensor, count: int) -> Tensor:
    """The largest of each column in each bag; the derivative goes to the first largest one."""
    if rows.shape[0] == 0:
        return rows.new_zeros(count, rows.shape[1])
    inside = (from_array(np.arange(count)).unsqueeze(1) == bag.unsqueeze(0)).logical_and(kept.unsqueeze(0))  # (bags, L)
    table = apply("where", inside.unsqueeze(2), rows.detach().unsqueeze(0), -inf)  # (bags, L, D)
    best = rows.gather(0, table.argmax(1))
    return apply("where", inside.any(1, keepdim=True), best, 0.0)


def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """A new last axis, 1 at the class and 0 elsewhere; num_classes=-1 takes the largest class that occurs, plus 1.

    y[…, k] = [x[…] = k]

    Shapes: input (*) of integers → (*, num_classes) of int64.

    Raises:
        DataError: a class is negative or not below num_classes.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.one_hot(danlu.tensor([1, 0]), 2).tolist()
        [[0, 1], [1, 0]]
    """
    if input.dtype is not int64:
        raise DTypeError("one_hot: the input has dtype {dtype}; expected int64: write input.long()", dtype=input.dtype.name)
    low, high = (int(input.min().item()), int(input.max().item())) if input.numel() else (0, -1)
    if low < 0:
        raise DataError("one_hot: class {low} is negative; expected classes from 0", low=low)
    if num_classes == -1 and not input.numel():
        raise DataError("one_hot: an empty input has no largest class; write num_classes")
    if num_classes == -1:
        num_classes = high + 1
    if num_classes < 1 or high >= num_classes:
        raise DataError(
            "one_hot: class {high} with num_classes={num_classes}; expected num_classes ≥ {expected}, or -1",
            high=high,
            num_classes=num_classes,
            expected=high + 1,
        )
    return (input.unsqueeze(-1) == from_array(np.arange(num_classes))).to(int64)


# ---- bilinear maps ---------------------------------------------------------------------------------------------------------------


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x₁ᵀ W x₂ + b for each output: Σ w[o, i, j] x₁[i] x₂[j].

    Shapes: input1 (..., I), input2 (..., J), weight (O, I, J), bias (O,) → (..., O).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.bilinear(danlu.ones(1, 2), danlu.ones(1, 3), danlu.ones(1, 2, 3)).item()
        6.0
    """
    lead, shape = tuple(input1.shape[:-1]), tuple(weight.shape)
    if len(shape) != 3 or tuple(input2.shape[:-1]) != lead or (input1.shape[-1], input2.shape[-1]) != shape[1:]:
        raise ShapeError(
            "bilinear: the inputs have shapes {input1_shape} and {input2_shape}, the weight {weight_shape}; expected (..., "
            "I), (..., J) and (O, I, J)",
            input1_shape=tuple(input1.shape),
            input2_shape=tuple(input2.shape),
            weight_shape=shape,
        )
    x1, x2 = input1.reshape(-1, shape[1]), input2.reshape(-1, shape[2])
    half = apply("contract", x1, weight, labels=("na", "oab", "nob"))
    y = apply("contract", half, x2, labels=("nob", "nb", "no")).reshape(*lead, shape[0])
    return y if bias is None else y + bias


__all__ = ["bilinear", "embedding", "embedding_bag", "one_hot"]
