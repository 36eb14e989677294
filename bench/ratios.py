"""The arithmetic of fair comparison, as pure functions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise


def paired_ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """ours / theirs, round by round.

    >>> paired_ratios([1.0, 4.0], [2.0, 2.0])
    [0.5, 2.0]
    """
    if len(ours) != len(theirs) or not ours:
        raise ValueError(f"paired rounds need two equally long lists that are not empty, got {len(ours)} and {len(theirs)}")
    return [a / b for a, b in zip(ours, theirs)]


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over rounds of ours / theirs: a slow spell of the machine meets both sides of its round.

    >>> median_ratio([1.0, 10.0, 3.0], [2.0, 20.0, 3.0])
    0.5
    """
    return statistics.median(paired_ratios(ours, theirs))


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """The lower and the upper quartile (linear between the values).

    >>> quartiles([1.0, 2.0, 3.0, 4.0, 5.0])
    (2.0, 4.0)
    """
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def geometric_mean(values: Sequence[float]) -> float:
    """The n-th root of the product: the mean that suits ratios.

    >>> geometric_mean([0.5, 2.0])
    1.0
    """
    if not values or min(values) <= 0:
        raise ValueError(f"a geometric mean needs positive numbers, got {list(values)}")
    return math.exp(sum(map(math.log, values)) / len(values))


def rotated(names: Sequence[str], turn: int) -> list[str]:
    """The order of a round: every name is first equally often, and the direction alternates, so that each also follows each.

    >>> rotated("abc", 1), rotated("abc", 2)
    (['a', 'c', 'b'], ['b', 'c', 'a'])
    """
    first = (turn // 2) % len(names)
    order = [*names[first:], *names[:first]]
    return order if turn % 2 == 0 else [order[0], *reversed(order[1:])]


def largest_difference(losses: Mapping[str, Sequence[float]]) -> float:
    """The largest relative difference between two series at the same step; infinite where one is not finite or shorter.

    >>> largest_difference({"a": [1.0, 2.0], "b": [1.0, 1.0]})
    0.5
    """
    if not all(math.isfinite(x) for series in losses.values() for x in series):
        return math.inf
    if len({len(series) for series in losses.values()}) > 1:
        return math.inf
    worst = 0.0
    for row in zip(*losses.values()):
        low, high = min(row), max(row)
        worst = max(worst, (high - low) / max(abs(low), abs(high), 1e-30))
    return worst


def moved(series: Sequence[float], by: float = 1e-6) -> bool:
    """Whether the loss changes from step to step: a step that updates nothing would agree with itself.

    >>> moved([1.0, 1.0]), moved([1.0, 0.9])
    (False, True)
    """
    return any(abs(b - a) > by * max(abs(a), 1e-30) for a, b in pairwise(series))
