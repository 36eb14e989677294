"""L2. Opaque draws of whole numbers, by NumPy's samplers under a Philox key; they have no derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from danlu.graph import OPAQUE, Op, Spec
from danlu.ops.table import broadcast_shapes, register

MOST = 2.0**62  # NumPy counts in int64


def _source(seed: Any, counter: Any) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[int(seed), int(counter)]))


def _poisson_numpy(seed: np.ndarray, counter: np.ndarray, rate: np.ndarray) -> np.ndarray:
    known = (rate >= 0) & (rate <= MOST)
    drawn = _source(seed, counter).poisson(np.where(known, rate, 0).astype(np.float64))
    return np.where(known, drawn, np.nan).astype(rate.dtype)


def _binomial_numpy(seed: np.ndarray, counter: np.ndarray, count: np.ndarray, p: np.ndarray) -> np.ndarray:
    known = (count >= 0) & (count <= MOST) & (p >= 0) & (p <= 1)
    n, chance = np.where(known, count, 0).astype(np.int64), np.where(known, p, 0).astype(np.float64)
    return np.where(known, _source(seed, counter).binomial(n, chance), np.nan).astype(p.dtype)


def _nothing(o, g, y, *xs):
    return (None,) * len(xs)


register(
    Op("poisson_draw", OPAQUE, "k with probability rateᵏ e^(-rate) / k!, in the dtype of rate.",
       infer=lambda seed, counter, rate: Spec(rate.shape, rate.dtype), numpy=_poisson_numpy, vjp=_nothing, jvp=lambda o, y, xs, dxs: None)
)  # fmt: skip
register(
    Op("binomial_draw", OPAQUE, "How many of `count` trials succeed, each with probability p; in the dtype of p.",
       infer=lambda seed, counter, count, p: Spec(broadcast_shapes("binomial", [count.shape, p.shape]), p.dtype), numpy=_binomial_numpy,
       vjp=_nothing, jvp=lambda o, y, xs, dxs: None)
)  # fmt: skip
