"""L6. Attention: scaled dot products, and several heads of them with their projections; public in `danlu.nn.functional`."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt
from typing import Any, NamedTuple

from danlu.errors import DataError, DTypeError, ShapeError
from danlu.functional.common import dropout, dropped
from danlu.ops import attention as ops
from danlu.tensor import Tensor, apply
from danlu.tensor.creation import cat


def _check_shapes(q: Tensor, k: Tensor, v: Tensor) -> None:
    fit = min(q.ndim, k.ndim, v.ndim) >= 2 and q.shape[-1] == k.shape[-1] and k.shape[-2] == v.shape[-2]
    if not fit:
        raise ShapeError(
            "scaled_dot_product_attention: query, key and value have shapes {query}, {key} and {value}; expected (..., L, D), "
            "(..., S, D) and (..., S, E)",
            query=tuple(q.shape),
            key=tuple(k.shape),
            value=tuple(v.shape),
        )


def _shared(query: Tensor, x: Tensor) -> Tensor:
    """Heads of keys or values repeated, one for each head of queries."""
    if query.ndim < 3 or x.ndim < 3 or query.shape[-3] % x.shape[-3]:
        raise ShapeError(
            "scaled_dot_product_attention: enable_gqa with shapes {query} and {key}; expected a number of query heads (axis -3) that "
            "the number of key heads divides",
            query=tuple(query.shape),
            key=tuple(x.shape),
        )
    times = query.shape[-3] // x.shape[-3]
    return x.unsqueeze(-3).expand(*x.shape[:-2], times, *x.shape[-2:]).flatten(-4, -3)


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """softmax(q kᵀ / √d + mask) v (Vaswani et al. 2017, eq. 1).

    attn_mask: True where a key may be looked at, or numbers that are added; a query that may look at no key gets zeros. is_causal: each
    query looks at the keys up to its own place. enable_gqa: several heads of queries share one of keys and values.

    Shapes: query (..., L, D), key (..., S, D), value (..., S, E), attn_mask that broadcasts to (..., L, S) → (..., L, E).

    Raises:
        ShapeError: the shapes do not fit.
        DataError: attn_mask together with is_causal.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.scaled_dot_product_attention(danlu.zeros(1, 2), danlu.zeros(2, 2), danlu.tensor([[1.0], [3.0]])).item()
        2.0
    """
    if is_causal and attn_mask is not None:
        raise DataError("scaled_dot_product_attention: attn_mask together with is_causal=True; expected one of the two")
    if enable_gqa:
        key, value = _shared(query, key), _shared(query, value)
    _check_shapes(query, key, value)
    options = {"scale": 1.0 / sqrt(max(query.shape[-1], 1)) if scale is None else float(scale), "causal": is_causal}
    masks = () if attn_mask is None else (attn_mask,)
    if dropout_p:
        return apply(ops.attention_dropped, query, key, value, *dropped(dropout_p), *masks, **options)
    return apply(ops.attention, query, key, value, *masks, **options)


# ---- several heads ------------------------------------------------------------------------------------------------------------


class _Sizes(NamedTuple):
    """The sizes of one call: queries, keys, batch, heads, features of a head."""

    rows: int
    columns: int
    batch: int
    heads: int
    features: int


def _added(mask: Tensor | None, like: Tensor) -> Tensor | None:
    """A mask as numbers that are added to the scores: −∞ where one of bools is true."""
    if mask is None or mask.dtype.is_floating_point:
        return mask
    if mask.dtype.kind != "b":
        raise DTypeError(
            "multi_head_attention_forward: a mask has dtype {dtype}; expected bool (true: not to be looked at) or floating point: "
            "write mask.bool()",
            dtype=mask.dtype.name,
        )
    return apply("where", mask, -inf, apply("full", 0, shape=(), dtype=like.dtype))


def _mask_of_scores(mask: Tensor | None, padding: Tensor | None, s: _Sizes, extra: int) -> Tensor | None:
    """Both masks as one that broadcasts to (N, heads, L, S); the `extra` keys behind the given ones may be looked at."""
    columns = s.columns - extra
    if mask is not None:
        shapes = {2: (s.rows, columns), 3: (s.batch * s.heads, s.rows, columns)}
        if tuple(mask.shape) != shapes.get(mask.ndim):
            raise ShapeError(
                "multi_head_attention_forward: attn_mask has shape {shape}; expected {plain}, or {full} for each head of each sample",
                shape=tuple(mask.shape),
                plain=shapes[2],
                full=shapes[3],
            )
        mask = mask if mask.ndim == 2 else mask.reshape(s.batch, s.heads, s.rows, columns)
    if padding is not None:
        if tuple(padding.shape) != (s.batch, columns):
            raise ShapeError(
                "multi_head_attention_forward: key_padding_mask has shape {shape}; expected {wanted}, one row per sample",
                shape=tuple(padding.shape),
                wanted=(s.batch, columns),
            )
        padding = padding.reshape(s.batch, 1, 1, columns)
        mask = padding if mask is None else mask + padding
    if mask is None or not extra:
        return mask
    return apply("pad", mask, low=(0,) * mask.ndim, high=(*(0,) * (mask.ndim - 1), extra), value=0)


def _projected(
    inputs: tuple[Tensor, Tensor, Tensor], weight: Tensor | None, weights: tuple[Any, Any, Any], bias: Tensor | None, heads: int,
    turned: bool,
) -> Sequence[Tensor]:  # fmt: skip
    """Query, key and value through their matrices, (N, heads, L, d): `weight` holds all three, or `weights` are three."""
    q, k, v = inputs
    if weight is not None and q is k and k is v:  # one matrix product
        whole = (q, weight) if bias is None else (q, weight, bias)
        return apply(ops.projected_heads, *whole, heads=heads, parts=3, turned=turned)
    parts = list(weights) if weight is None else list(weight.chunk(3, 0))
    given = [*zip(inputs, parts)] if bias is None else [*zip(inputs, parts, bias.chunk(3, 0))]
    return [apply(ops.projected_heads, *one, heads=heads, parts=1, turned=turned)[0] for one in given]


def _check_attention(inputs: tuple[Tensor, Tensor, Tensor], embed_dim: int, heads: int) -> None:
    q, k, v = inputs
    if q.ndim not in (2, 3) or k.ndim != q.ndim or v.ndim != q.ndim or k.shape[:-1] != v.shape[:-1]:
        raise ShapeError(
            "multi_head_attention_forward: query, key and value have shapes {query}, {key} and {value}; expected (L, N, E), (S, N, E) and "
            "(S, N, E), or all without the batch N",
            query=tuple(q.shape),
            key=tuple(k.shape),
            value=tuple(v.shape),
        )
    if q.shape[-1] != embed_dim or embed_dim % heads:
        raise ShapeError(
            "multi_head_attention_forward: the query has shape {query}; expected embed_dim = {embed_dim} features, a multiple of the "
            "{heads} heads",
            query=tuple(q.shape),
            embed_dim=embed_dim,
            heads=heads,
        )


def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int, in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None, add_zero_attn: bool, dropout_p: float,
    out_proj_weight: Tensor, out_proj_bias: Tensor | None, training: bool = True, key_padding_mask: Tensor | None = None,
    need_weights: bool = True, attn_mask: Tensor | None = None, use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None, k_proj_weight: Tensor | None = None, v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None, static_v: Tensor | None = None, average_attn_weights: bool = True, is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """What danlu.nn.MultiheadAttention computes, with its parameters as arguments: see danlu.nn.MultiheadAttention.

    static_k, static_v: keys and values of shape (N · heads, S, d) that are taken instead of projected ones.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> x, w = danlu.ones(3, 1, 2), danlu.eye(2)
        >>> y, weights = F.multi_head_attention_forward(
        ...     x, x, x, 2, 1, w.repeat(3, 1), None, None, None, False, 0.0, w, None)
        >>> y.flatten().tolist(), tuple(weights.shape)
        ([1.0, 1.0, 1.0, 1.0, 1.0, 1.0], (1, 3, 3))
    """
    masks, biases = (attn_mask, key_padding_mask), (in_proj_bias, bias_k, bias_v, out_proj_bias)
    weights = (None if use_separate_proj_weight else in_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight, out_proj_weight)
    sizes, rate = (embed_dim_to_check, num_heads), dropout_p if training else 0.0
    return attend(
        (query, key, value), sizes, weights, biases, add_zero_attn, rate, masks, (static_k, static_v), need_weights,
        average_attn_weights, is_causal, batch_first=False,
    )  # fmt: skip


def attend(
    inputs: tuple[Tensor, Tensor, Tensor], sizes: tuple[int, int], weights: tuple[Any, ...], biases: tuple[Any, ...], zero: bool,
    rate: float, masks: tuple[Any, Any], static: tuple[Any, Any], need_weights: bool, average: bool, is_causal: bool, batch_first: bool,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """`multi_head_attention_forward`, its arguments in groups: query, key, value; features and heads; the matrices of all three, of each,
    and of the results; biases of these, of key and value, and of the results."""
    attn_mask, padding = masks
    _check_attention(inputs, *sizes)
    if is_causal and attn_mask is None:
        raise DataError("multi_head_attention_forward: is_causal=True without attn_mask; give the mask that it describes")
    single = inputs[0].ndim == 2
    if single:
        first = inputs[0].unsqueeze(0)
        inputs = (first, *(first if x is inputs[0] else x.unsqueeze(0) for x in inputs[1:]))  # type: ignore[assignment]
        padding = None if padding is None else padding.unsqueeze(0)
    turned, extra = not (batch_first or single), (biases[1] is not None) + zero
    q, k, v = _projected(inputs, weights[0], weights[1:4], biases[0], sizes[1], turned)
    k = _keys(k, biases[1], static[0], zero, q)
    v = _keys(v, biases[2], static[1], zero, q)
    batch, heads, rows, features = q.shape
    causal = is_causal and padding is None and not need_weights and not extra
    parts = (None if causal else _added(attn_mask, q), _added(padding, q))
    mask = _mask_of_scores(*parts, _Sizes(rows, k.shape[2], batch, heads, features), extra)
    y, shares = _weighted(q, k, v, mask, rate, causal, need_weights)
    y = apply(ops.joined_heads, y, weights[4], *(() if biases[3] is None else (biases[3],)), turned=turned)
    if shares is not None and average:
        shares = shares.mean(1)
    if single:
        return y[0], None if shares is None else shares[0]
    return y, shares


def _weighted(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, rate: float, causal: bool, need_weights: bool
) -> tuple[Any, Any]:  # fmt: skip
    """The values (N, heads, L, d) weighted, and the weights where they are asked for."""
    if not need_weights:
        return scaled_dot_product_attention(q, k, v, mask, rate, causal), None
    options = {"scale": 1.0 / sqrt(q.shape[-1]), "causal": False}
    shares = dropout(apply(ops.attention_weights, q, k, *(() if mask is None else (mask,)), **options), rate)
    return shares @ v, shares


def _keys(x: Tensor, row: Tensor | None, given: Tensor | None, zero: bool, q: Tensor) -> Tensor:
    """Keys or values (N, heads, S, d), projected ones or those given, with a learned row behind the former, then one of zeros."""
    batch, heads, _, size = q.shape
    if given is not None:
        x = given.reshape(batch, heads, given.shape[1], size)
    elif row is not None:
        x = cat([x, row.reshape(1, heads, 1, size).expand(batch, heads, 1, size)], 2)
    return apply("pad", x, low=(0,) * 4, high=(0, 0, 1, 0), value=0) if zero else x


__all__ = ["multi_head_attention_forward", "scaled_dot_product_attention"]
