"""L6. Derivatives of composites as textbooks write them, where the one that follows from the parts would be long.

A rule is given the gradient g of the result, the letter y of the result, those of the inputs, its recorded inputs, its attributes and a
function that reads a value; it gives one expression for each input (None: no derivative), or None where it does not apply.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from danlu.dtype import int64
from danlu.engine import Value
from danlu.ops.table import TABLE
from danlu.teaching.expression import ONE, Expression, call, named, number, plus, product, times, total


def _softmax(z: Expression, axis: int) -> Expression:
    return call(TABLE["softmax"], (z,), (axis,), z.shape)


def _sum(e: Expression, axis: int) -> Expression:
    """Σ along an axis, which stays with size 1."""
    shape = tuple(1 if k == axis else n for k, n in enumerate(e.shape))
    return call(TABLE["sum"], (e,), ((axis,), True), shape)


def _one_hot(t: Expression, classes: int, axis: int) -> Expression:
    """1 at the class of each target."""
    shape = (*t.shape[:axis], classes, *t.shape[axis:])
    column = call(TABLE["reshape"], (t,), (tuple(1 if k == axis else n for k, n in enumerate(shape)),), shape)
    numbers = call(TABLE["iota"], (), ((classes,), int64), (classes,))
    row = call(TABLE["reshape"], (numbers,), (tuple(n if k == axis else 1 for k, n in enumerate(shape)),), shape)
    return named("onehot", r"\operatorname{onehot}", [t], call(TABLE["eq"], (column, row), (), shape))


def _share(g: Expression, count: int, reduction: str) -> Expression:
    """The gradient that each element's loss receives."""
    return times(g, number(1 / count)) if reduction == "mean" else g


def softmax(g: Expression, y: Expression, xs: list[Expression], given: tuple, attrs: dict, read: Callable) -> Any:
    """y ⊙ (g − Σ g ⊙ y)"""
    inner = times(g, y)
    if inner.shape != y.shape:
        return None
    return [times(y, total((1.0, g), (-1.0, _sum(inner, attrs["dim"]))))]


def log_softmax(g: Expression, y: Expression, xs: list[Expression], given: tuple, attrs: dict, read: Callable) -> Any:
    """g − softmax(x) ⊙ Σ g"""
    if g.shape != y.shape:
        return None
    return [total((1.0, g), (-1.0, times(_softmax(xs[0], attrs["dim"]), _sum(g, attrs["dim"]))))]


def cross_entropy(g: Expression, y: Expression, xs: list[Expression], given: tuple, attrs: dict, read: Callable) -> Any:
    """(softmax(z) − onehot(t)) / N, without weights, smoothing and ignored targets."""
    z, t = xs[0], xs[1]
    if len(xs) > 2 or attrs["label_smoothing"] or attrs["reduction"] == "none" or not isinstance(given[1], Value):
        return None
    if (read(given[1]) == attrs["ignore_index"]).any():
        return None
    axis = 1 if len(z.shape) > 1 else 0
    error = total((1.0, _softmax(z, axis)), (-1.0, _one_hot(t, z.shape[axis], axis)))
    return [times(_share(g, prod(t.shape), attrs["reduction"]), error), None]


def bce_with_logits(g: Expression, y: Expression, xs: list[Expression], given: tuple, attrs: dict, read: Callable) -> Any:
    """(σ(z) − y) / n"""
    if len(xs) > 2 or attrs["reduction"] == "none":
        return None
    z, target = xs
    probability = call(TABLE["sigmoid"], (z,), (), z.shape)
    return [times(_share(g, prod(z.shape), attrs["reduction"]), total((1.0, probability), (-1.0, target))), None]


def binary_cross_entropy(g: Expression, y: Expression, xs: list[Expression], given: tuple, attrs: dict, read: Callable) -> Any:
    """(p − y) / (p (1 − p)) / n, where no logarithm is cut off."""
    if len(xs) > 2 or attrs["reduction"] == "none" or not isinstance(given[0], Value):
        return None
    probabilities = np.asarray(read(given[0]))
    if not ((probabilities > 1e-30) & (probabilities < 1)).all():
        return None
    p, target = xs
    error = total((1.0, p), (-1.0, target))
    spread = product((error, 1), (p, -1), (plus(ONE, total((-1.0, p))), -1))
    return [times(_share(g, prod(p.shape), attrs["reduction"]), spread), None]


TEXTBOOK: dict[str, Callable[..., Any]] = {
    "softmax": softmax, "log_softmax": log_softmax, "cross_entropy": cross_entropy, "bce_with_logits": bce_with_logits,
    "binary_cross_entropy": binary_cross_entropy,
}  # fmt: skip
