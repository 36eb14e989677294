"""L2. Opaque ops over time with a state of several places, as the alignment of a label sequence needs: each place is reached from itself,
from the one before it and from the one before that.

`banded_scan` is linear, and its derivatives are banded scans again; `log_alignment` adds in the space of logarithms, and its
derivative is a banded scan whose weights are the shares of the three ways that lead to a place.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from danlu.graph import OPAQUE, Node, Op, Spec
from danlu.ops.table import composite, register

WAYS = 3


def _shifted_numpy(x: np.ndarray, by: int, fill: float) -> np.ndarray:
    """The last axis moved on by some places."""
    if not by:
        return x
    out = np.full_like(x, fill)
    out[..., by:] = x[..., :-by] if by < x.shape[-1] else x[..., :0]
    return out


def _shifted(o, x: Node, by: int, axis: int, fill: float = 0.0) -> Node:
    """One axis moved on by some places (by < 0: back); a number comes in."""
    n, ndim = x.shape[axis], len(x.shape)
    by = max(-n, min(n, by))
    starts = tuple(max(0, -by) if k == axis else 0 for k in range(ndim))
    stops = tuple(n - max(0, by) if k == axis else m for k, m in enumerate(x.shape))
    low = tuple(max(0, by) if k == axis else 0 for k in range(ndim))
    high = tuple(max(0, -by) if k == axis else 0 for k in range(ndim))
    return o.pad(o.slice(x, starts=starts, stops=stops, steps=(1,) * ndim), low=low, high=high, value=fill)


# ---- y[t, s] = x[t, s] + Σₖ wₖ[t, s] y[t - 1, s - k] -----------------------------------------------------------------------------


def _scan_numpy(x: np.ndarray, *w: np.ndarray) -> np.ndarray:
    y = x.copy()
    for t in range(1, len(x)):
        for k in range(WAYS):
            y[t] += w[k][t] * _shifted_numpy(y[t - 1], k, 0.0)
    return y


def _turned(o, x: Node) -> Node:
    """Time and places in reverse order."""
    return o.flip(x, dims=(0, len(x.shape) - 1))


def _adjoint(o, g: Node, ws: tuple[Node, ...]) -> Node:
    """a[t, s] = g[t, s] + Σₖ wₖ[t + 1, s + k] a[t + 1, s + k]: a scan in the other direction."""
    last = len(g.shape) - 1
    back = [_shifted(o, _shifted(o, w, -1, 0), -k, last) for k, w in enumerate(ws)]
    return _turned(o, o.banded_scan(_turned(o, g), *(_turned(o, w) for w in back)))


def _before(o, y: Node, k: int) -> Node:
    """y[t - 1, s - k]"""
    return _shifted(o, _shifted(o, y, 1, 0), k, len(y.shape) - 1)


def _scan_vjp(o, g, y, x, *ws):
    a = _adjoint(o, g, ws)
    return (a, *(o.mul(a, _before(o, y, k)) for k in range(WAYS)))


def _scan_jvp(o, y, xs, dxs):
    total = dxs[0]
    for k, dw in enumerate(dxs[1:]):
        if dw is not None:
            term = o.mul(dw, _before(o, y, k))
            total = term if total is None else o.add(total, term)
    return o.banded_scan(total, *xs[1:])


register(
    Op("banded_scan", OPAQUE, "y[t, s] = x[t, s] + Σₖ wₖ[t, s] y[t - 1, s - k] for k = 0, 1, 2; (T, N, S).",
       infer=lambda x, *w: Spec(x.shape, x.dtype), numpy=_scan_numpy, vjp=_scan_vjp, jvp=_scan_jvp)
)  # fmt: skip

# ---- the same with + for ·, and log(e^a + e^b + e^c) for + ---------------------------------------------------------------------------


def _alignment_numpy(x: np.ndarray, *allowed: np.ndarray) -> np.ndarray:
    y = x.astype(np.float64)
    with np.errstate(all="ignore"):
        for t in range(1, len(x)):
            ways = [np.where(allowed[k][t], _shifted_numpy(y[t - 1], k, -np.inf), -np.inf) for k in range(WAYS)]
            y[t] = x[t] + np.logaddexp(np.logaddexp(ways[0], ways[1]), ways[2])
    return y.astype(x.dtype)


def _ways(o, y: Node, x: Node, allowed: tuple[Node, ...]) -> tuple[Node, ...]:
    """The share of each way in what arrives at a place: e^(y[t - 1, s - k] + x[t, s] - y[t, s]), 0 where nothing arrives."""
    last = len(y.shape) - 1
    reached = o.gt(y, float("-inf"))
    shares = []
    for k in range(WAYS):
        earlier = _shifted(o, _shifted(o, y, 1, 0, float("-inf")), k, last, float("-inf"))
        open_ = o.logical_and(o.logical_and(allowed[k], reached), o.gt(earlier, float("-inf")))
        exponent = o.sub(o.add(o.where(open_, earlier, 0.0), o.where(open_, x, 0.0)), o.where(open_, y, 0.0))
        shares.append(o.where(open_, o.exp(exponent), 0.0))
    return tuple(shares)


def _alignment_jvp(o, y, xs, dxs) -> Any:
    return o.banded_scan(dxs[0], *_ways(o, y, xs[0], xs[1:]))


register(
    Op("log_alignment", OPAQUE, "y[t, s] = x[t, s] + log Σₖ e^y[t - 1, s - k] over the ways k = 0, 1, 2 that are allowed[k][t, s]; (T, N, S).",
       infer=lambda x, *allowed: Spec(x.shape, x.dtype), numpy=_alignment_numpy,
       vjp=lambda o, g, y, x, *allowed: (_adjoint(o, g, _ways(o, y, x, allowed)), None, None, None), jvp=_alignment_jvp)
)  # fmt: skip


@composite
def ctc_loss(o, log_p: Node, states: Node, first: Node, ways0: Node, ways1: Node, ways2: Node, final: Node) -> Node:
    """-log Σ p(path) over the paths that a target allows (Graves et al. 2006, eq. 6-8).

    log_p: (T, N, C). states: (T, N, S), the class of each place. first: (N, S), where a path may begin. ways: (T, N, S), which steps are
    allowed. final: (T, N, S), where it may end. → (N,)
    """
    emitted = o.take_along(log_p, states, dim=2)
    nothing = float("-inf")
    start = o.reshape(o.eq(o.iota(shape=(log_p.shape[0],), dtype=states.dtype), 0), shape=(log_p.shape[0], 1, 1))
    begins = o.logical_or(o.logical_not(start), o.reshape(first, shape=(1, *first.shape)))
    paths = o.log_alignment(o.where(begins, emitted, nothing), ways0, ways1, ways2)
    ends = o.where(final, paths, nothing)
    top = o.stop(o.max(ends, dims=(0, 2), keepdim=True))
    reached = o.gt(top, nothing)
    shares = o.where(o.logical_and(final, reached), o.exp(o.sub(ends, o.where(reached, top, 0.0))), 0.0)
    total = o.sum(shares, dims=(0, 2), keepdim=True)
    loss = o.where(reached, o.neg(o.add(o.log(o.where(reached, total, 1.0)), top)), float("inf"))
    return o.reshape(loss, shape=log_p.shape[1:2])
