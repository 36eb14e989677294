"""L2. Composites of attention: the weights of a query over keys, and the values weighted with them."""

from __future__ import annotations

from math import inf

from danlu import dtype as dt
from danlu.graph import Node
from danlu.ops.composite import check_floating
from danlu.ops.table import composite


def _causal(o, rows: int, columns: int) -> Node:
    """Whether query i may look at key j: j ≤ i."""
    i = o.reshape(o.iota(shape=(rows,), dtype=dt.int64), shape=(rows, 1))
    return o.ge(i, o.reshape(o.iota(shape=(columns,), dtype=dt.int64), shape=(1, columns)))


@composite(attrs=("scale", "causal"))
def attention_weights(o, q: Node, k: Node, mask: Node | None = None, *, scale: float, causal: bool) -> Node:
    """softmax(q kᵀ · scale + mask); a mask of bools is true where a key may be looked at; a query that may look at none gets zeros."""
    check_floating("attention_weights", q)
    s = o.mul(o.matmul(q, o.permute(k, dims=(*range(len(k.shape) - 2), len(k.shape) - 1, len(k.shape) - 2))), scale)
    last = len(s.shape) - 1
    if causal:
        s = o.where(_causal(o, *s.shape[-2:]), s, -inf)
    if mask is None:  # every query may look at the first key
        return o.softmax(s, dim=last)
    s = o.where(mask, s, -inf) if mask.dtype is dt.bool_ else o.add(s, mask)
    none = o.eq(o.stop(o.max(s, dims=(last,), keepdim=True)), -inf)
    return o.where(none, 0.0, o.softmax(o.where(none, 0.0, s), dim=last))


@composite(attrs=("scale", "causal"))
def attention(o, q: Node, k: Node, v: Node, mask: Node | None = None, *, scale: float, causal: bool) -> Node:
    """softmax(q kᵀ · scale + mask) v (Vaswani et al. 2017, eq. 1)."""
    given = () if mask is None else (mask,)
    return o.matmul(o.attention_weights(q, k, *given, scale=scale, causal=causal), v)
