"""L2. Opaque ops beside `sort`: the most frequent element, and the place of a value in a sorted row."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.errors import ShapeError
from danlu.graph import OPAQUE, Op, Spec
from danlu.ops.source import zeros_like
from danlu.ops.table import register

# ---- mode ---------------------------------------------------------------------------------------------------------------------


def _mode_infer(x: Spec, dim: int) -> tuple[Spec, Spec]:
    shape = tuple(1 if k == dim else n for k, n in enumerate(x.shape))
    return Spec(shape, x.dtype), Spec(shape, dt.int64)


def _mode_of_row(row: np.ndarray) -> tuple[Any, int]:
    values, counts = np.unique(row, return_counts=True)
    best = values[np.argmax(counts)]
    return best, int(np.flatnonzero((row == best) | ((row != row) & (best != best)))[-1])


def _mode_numpy(x: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
    moved = np.moveaxis(x, dim, -1)
    found = [_mode_of_row(row) for row in moved.reshape(-1, moved.shape[-1])]
    shape = tuple(1 if k == dim else n for k, n in enumerate(x.shape))
    values = np.array([value for value, _ in found], x.dtype).reshape(shape)
    return values, np.array([place for _, place in found], np.int64).reshape(shape)


def _mode_vjp(o, gs, ys, x, dim: int):
    return (o.scatter_add(zeros_like(o, x), ys[1], gs[0], dim=dim),)


def _mode_jvp(o, ys, xs, dxs, dim: int) -> Any:
    return (o.take_along(dxs[0], ys[1], dim=dim), None)


register(
    Op("mode", OPAQUE, "The most frequent element along an axis (the smallest of several), and the last place where it is.", attrs=("dim",),
       infer=_mode_infer, numpy=_mode_numpy, vjp=_mode_vjp, jvp=_mode_jvp)
)  # fmt: skip

# ---- searchsorted ---------------------------------------------------------------------------------------------------------------


def _search_infer(row: Spec, x: Spec, right: bool) -> Spec:
    if row.ndim != 1 and row.shape[:-1] != x.shape[:-1]:
        raise ShapeError(
            "searchsorted: sorted rows of shape {row} and values of shape {values}; expected one sorted row, or equal shapes "
            "but for the last axis",
            row=row.shape,
            values=x.shape,
        )
    return Spec(x.shape, dt.int64)


def _search_numpy(row: np.ndarray, x: np.ndarray, right: bool) -> np.ndarray:
    side = "right" if right else "left"
    if row.ndim == 1:
        return np.asarray(np.searchsorted(row, x, side), np.int64)
    count = prod(row.shape[:-1])
    rows, values = row.reshape(count, row.shape[-1]), x.reshape(count, x.shape[-1])
    found = [np.searchsorted(r, v, side) for r, v in zip(rows, values)]
    return np.array(found, np.int64).reshape(x.shape)


register(
    Op("searchsorted", OPAQUE, "How many elements of a sorted row are smaller than each value (right: not larger).", attrs=("right",),
       infer=_search_infer, numpy=_search_numpy)
)  # fmt: skip
