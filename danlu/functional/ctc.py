"""L6. The loss of sequences without an alignment (connectionist temporal classification); public in `danlu.nn.functional`.

The target is spread out with a blank before, between and behind its labels. A path stays at its place, goes on to the next, or
leaps over a blank between two different labels; which steps are allowed is worked out here in NumPy, the sum over all paths is the op.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from danlu.dtype import in_memory
from danlu.errors import DataError, DTypeError, ShapeError
from danlu.functional.common import _check_reduction
from danlu.tensor import Tensor, apply, from_array


def _lengths(name: str, given: Any, count: int, limit: int) -> np.ndarray:
    values = np.asarray(given.detach().numpy() if isinstance(given, Tensor) else given).reshape(-1)
    if values.dtype.kind not in "iu" or len(values) != count:
        raise ShapeError(
            "ctc_loss: {name} has {found} elements of dtype {dtype}; expected {count} integers, one for each sequence",
            name=name,
            found=len(values),
            dtype=values.dtype,
            count=count,
        )
    if count and (values.min() < 0 or values.max() > limit):
        raise DataError(
            "ctc_loss: {name} goes from {low} to {high}; expected 0 … {limit}",
            name=name,
            low=values.min(),
            high=values.max(),
            limit=limit,
        )
    return values.astype(np.int64)


def _rows(targets: Tensor, lengths: np.ndarray, classes: int, blank: int) -> np.ndarray:
    """The targets as rows (N, longest): given so, or one after another."""
    labels = targets.detach().numpy()
    if labels.dtype.kind not in "iu":
        raise DTypeError(
            "ctc_loss: the targets have dtype {dtype}; expected the numbers of classes: write targets.long()", dtype=labels.dtype
        )
    longest = int(lengths.max(initial=0))
    if labels.ndim == 1:
        if labels.size != lengths.sum():
            raise ShapeError(
                "ctc_loss: {found} targets for lengths that add up to {total}; expected as many of both",
                found=labels.size,
                total=lengths.sum(),
            )
        rows, starts = np.full((len(lengths), longest), blank), np.cumsum(lengths) - lengths
        for row, start, n in zip(rows, starts, lengths):
            row[:n] = labels[start : start + n]
    else:
        rows = labels[:, :longest]
    used = rows[np.arange(longest) < lengths[:, None]]
    if used.size and (used.min() < 0 or used.max() >= classes):
        raise DataError(
            "ctc_loss: a target is {label}; expected classes 0 … {highest}",
            label=used.min() if used.min() < 0 else used.max(),
            highest=classes - 1,
        )
    return rows


def _places(rows: np.ndarray, lengths: np.ndarray, inputs: np.ndarray, steps: int, blank: int) -> tuple[np.ndarray, ...]:
    """The class of each place, where a path may begin, which steps it may take, and where it may end."""
    count, longest = rows.shape
    states = np.full((count, 2 * longest + 1), blank)
    states[:, 1::2] = rows
    place = np.arange(states.shape[1])
    there = place < 2 * lengths[:, None] + 1  # (N, S): places beyond the target are never reached
    leap = np.zeros_like(there)
    leap[:, 2:] = (states[:, 2:] != blank) & (states[:, 2:] != states[:, :-2])
    first = there & (place < 2)
    moving = np.arange(steps)[:, None, None] < inputs[:, None]
    ways = [moving & (there & way) for way in (np.ones_like(there), place > 0, leap)]
    final = (place >= 2 * lengths[:, None] - 1) & there & (np.arange(steps)[:, None, None] == inputs[:, None] - 1)
    states = np.where(there, np.clip(states, 0, None), blank)
    return np.broadcast_to(states, (steps, *states.shape)), first, *ways, final


def ctc_loss(
    log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any, blank: int = 0, reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """−log of the probability that a network spells the target, summed over all alignments (Graves et al. 2006).

    p(target) = Σ over paths π that become the target without repetitions and blanks of Π_t p(π_t at time t)

    Shapes: log_probs (T, N, C) logarithms of probabilities, targets (N, S) or all labels one after another, lengths (N,); or (T, C), (S,)
    and numbers. "mean" divides each loss by the length of its target first. zero_infinity: 0 where no path fits the input.

    Raises:
        ShapeError, DataError, DTypeError: lengths, classes or dtypes do not fit.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> round(F.ctc_loss(danlu.zeros(2, 1, 3).log_softmax(-1), danlu.tensor([[1]]), [2], [1]).item(), 4)
        1.0986
    """
    _check_reduction("ctc_loss", reduction)
    if log_probs.ndim not in (2, 3) or not log_probs.dtype.is_floating_point:
        raise ShapeError(
            "ctc_loss: log_probs has shape {shape} and dtype {dtype}; expected floats (T, N, C) or (T, C)",
            shape=tuple(log_probs.shape),
            dtype=log_probs.dtype.name,
        )
    single = log_probs.ndim == 2
    log_p = log_probs.unsqueeze(1) if single else log_probs
    steps, count, classes = log_p.shape
    if not 0 <= blank < classes:
        raise DataError("ctc_loss: blank={blank}; expected a class, 0 … {highest}", blank=blank, highest=classes - 1)
    inputs = _lengths("input_lengths", input_lengths, count, steps)
    longest = targets.shape[-1] if targets.ndim else 0
    lengths = _lengths("target_lengths", target_lengths, count, longest)
    rows = _rows(targets.reshape(1, -1) if single and targets.ndim == 1 else targets, lengths, classes, blank)
    given = [from_array(np.ascontiguousarray(a)) for a in _places(rows, lengths, inputs, steps, blank)]
    loss = _reduced(apply("ctc_loss", log_p, *given), inputs, lengths, reduction, zero_infinity)
    return loss.squeeze(0) if single and reduction == "none" else loss


def _reduced(loss: Tensor, inputs: np.ndarray, lengths: np.ndarray, reduction: str, zero_infinity: bool) -> Tensor:
    if (inputs == 0).any():  # nothing was heard: an empty target is certain, any other impossible
        nothing = from_array(in_memory(np.where(lengths == 0, 0.0, np.inf), loss.dtype))
        loss = apply("where", from_array(inputs == 0), nothing, loss)
    if zero_infinity:
        loss = apply("where", loss == float("inf"), 0.0, loss)
    if reduction == "mean":
        return (loss / from_array(in_memory(np.maximum(lengths, 1), loss.dtype))).mean()
    return loss.sum() if reduction == "sum" else loss


__all__ = ["ctc_loss"]
