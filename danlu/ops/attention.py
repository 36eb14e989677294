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


@composite(attrs=("heads", "parts", "turned"))
def projected_heads(o, x: Node, w: Node, b: Node | None = None, *, heads: int, parts: int, turned: bool) -> tuple[Node, ...]:
    """x wᵀ + b cut into `parts`, each with its heads apart: (N, L, E), or (L, N, E) if turned → (N, heads, L, d) of each part."""
    y = o.linear(o.permute(x, dims=(1, 0, 2)) if turned else x, w, *(() if b is None else (b,)))
    batch, rows, features = y.shape
    size = features // parts
    cut = [(k * size, (k + 1) * size) for k in range(parts)]
    found = (
        [o.slice(y, starts=(0, 0, low), stops=(batch, rows, high), steps=(1, 1, 1)) for low, high in cut] if parts > 1 else [y]
    )
    return tuple(o.permute(o.reshape(p, shape=(batch, rows, heads, size // heads)), dims=(0, 2, 1, 3)) for p in found)


@composite(attrs=("turned",))
def joined_heads(o, y: Node, w: Node, b: Node | None = None, *, turned: bool) -> Node:
    """The heads (N, heads, L, d) side by side, through a matrix: (N, L, E), or (L, N, E) if turned."""
    batch, heads, rows, size = y.shape
    z = o.reshape(o.permute(y, dims=(0, 2, 1, 3)), shape=(batch, rows, heads * size))
    z = o.linear(z, w, *(() if b is None else (b,)))
    return o.permute(z, dims=(1, 0, 2)) if turned else z


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
