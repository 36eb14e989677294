"""L2. Opaque ops: a NumPy function on whole arrays, called from the middle of a program. For what a library does well and a compiler
cannot improve: LAPACK, FFT, sorting. They have derivatives like every other op."""

from __future__ import annotations

from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.graph import OPAQUE, Op, Spec
from danlu.ops.source import zeros_like
from danlu.ops.table import register

# ---- sorting ------------------------------------------------------------------------------------------------------------------


def _sort_infer(x: Spec, dim: int, descending: bool) -> tuple[Spec, Spec]:
    return Spec(x.shape, x.dtype), Spec(x.shape, dt.int64)


def _sort_numpy(x: np.ndarray, dim: int, descending: bool) -> tuple[np.ndarray, np.ndarray]:
    if not x.ndim:
        return x, np.zeros((), np.int64)
    if descending:  # a stable descending order: sort backwards, and count positions from the end
        order = x.shape[dim] - 1 - np.flip(np.argsort(np.flip(x, dim), axis=dim, kind="stable"), dim)
    else:
        order = np.argsort(x, axis=dim, kind="stable")
    return np.take_along_axis(x, order, dim), order


def _sort_vjp(o, gs, ys, x, dim: int, descending: bool):
    return (gs[0] if not x.shape else o.scatter_add(zeros_like(o, x), ys[1], gs[0], dim=dim),)


def _sort_jvp(o, ys, xs, dxs, dim: int, descending: bool) -> Any:
    return (dxs[0] if not xs[0].shape else o.take_along(dxs[0], ys[1], dim=dim), None)


register(
    Op("sort", OPAQUE, "The elements along an axis in order, and where they came from; equal ones keep their order.", attrs=("dim", "descending"),
       infer=_sort_infer, numpy=_sort_numpy, vjp=_sort_vjp, jvp=_sort_jvp)
)  # fmt: skip
