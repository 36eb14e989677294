"""L2. Composites of attention: the weights of a query over keys, and the values weighted with them."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, prod

from danlu import dtype as dt
from danlu.graph import Node
from danlu.ops.composite import check_floating
from danlu.ops.table import composite

HEADS = 8  # as many slices as pay (compile/passes/slices.py)
LARGE = (
    1 << 20
)  # weights in all; of fewer the second computation costs more (0.7 of 3.3 ms for half as many) than memory is worth


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

    def weighted(q: Node, k: Node, v: Node) -> Node:
        return o.matmul(_weights(o, q, k, mask, scale, causal), v)

    return _derived_anew(o, weighted, q, k, v)


@composite(attrs=("scale", "causal"))
def attention_dropped(
    o, q: Node, k: Node, v: Node, seed: Node, counter: Node, p: Node, kept: Node, mask: Node | None = None, *, scale: float, causal: bool
) -> Node:  # fmt: skip
    """dropout(softmax(q kᵀ · scale + mask)) v; seed, counter, p and kept are those of `dropout`."""

    def weighted(q: Node, k: Node, v: Node) -> Node:
        return o.matmul(o.dropout(_weights(o, q, k, mask, scale, causal), seed, counter, p, kept), v)

    return _derived_anew(o, weighted, q, k, v)


def _weights(o, q: Node, k: Node, mask: Node | None, scale: float, causal: bool) -> Node:
    return o.attention_weights(q, k, *(() if mask is None else (mask,)), scale=scale, causal=causal)


def _derived_anew(o, weighted: Callable[..., Node], q: Node, k: Node, v: Node) -> Node:
    """Many large weights are not kept: the derivative is that of the same computed again, head by head (compile/passes/slices.py), as in
    Dao et al., FlashAttention (2022)."""
    y = weighted(q, k, v)
    heads = prod(y.shape[:-2])
    if heads < HEADS or heads * q.shape[-2] * k.shape[-2] < LARGE:
        return y
    return o.carry(y, weighted(o.again(q), o.again(k), o.again(v)))
