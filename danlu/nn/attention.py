"""L7. Attention layers: several heads of scaled dot products; and attention with any score."""

from __future__ import annotations

from math import inf, sqrt
from typing import Any

from danlu.dtype import DType
from danlu.errors import DataError
from danlu.functional.attention import attend
from danlu.functional.common import dropout, softmax
from danlu.nn import init
from danlu.nn.linear import Linear, check_size
from danlu.nn.module import Module
from danlu.nn.parameter import Parameter, filled
from danlu.random import Generator
from danlu.tensor import Tensor, apply


class NonDynamicallyQuantizableLinear(Linear):
    """A linear layer by the name that PyTorch prints for the one inside attention."""


class MultiheadAttention(Module):
    """Several heads of attention beside one another, their results through one matrix (Vaswani et al. 2017, §3.2.2).

    y = W concat(head₁, …, headₕ) + b,  headᵢ = softmax(qᵢ kᵢᵀ / √d) vᵢ  with qᵢ, kᵢ, vᵢ projections of query, key and value

    kdim and vdim are the features of key and value where they are not embed_dim; add_bias_kv puts a learned key and value behind
    the others, add_zero_attn one of zeros.

    Shapes: query (L, N, E), key (S, N, kdim), value (S, N, vdim), with batch_first (N, L, E) and so on, or all without N;
    key_padding_mask (N, S) and attn_mask (L, S) or (N · heads, L, S): true where a key is not to be looked at, or numbers that are
    added. Gives (L, N, E) and the weights (N, L, S), their mean over the heads; (N, heads, L, S) with average_attn_weights=False,
    None with need_weights=False. A query that may look at no key gets zeros.

    Raises:
        ShapeError: inputs or masks of other shapes.
        DataError: embed_dim is no multiple of num_heads.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> x = danlu.zeros(5, 2, 8)
        >>> y, weights = nn.MultiheadAttention(8, num_heads=2)(x, x, x)
        >>> tuple(y.shape), tuple(weights.shape)
        ((5, 2, 8), (2, 5, 5))
    """

    in_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None
    out_proj: Linear

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, add_bias_kv: bool = False,
        add_zero_attn: bool = False, kdim: int | None = None, vdim: int | None = None, batch_first: bool = False,
        device: Any = None, dtype: DType | None = None, *, generator: Generator | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        e = self.embed_dim = check_size("MultiheadAttention", "embed_dim", embed_dim)
        self.num_heads = check_size("MultiheadAttention", "num_heads", num_heads)
        if e % self.num_heads:
            raise DataError(
                "MultiheadAttention: embed_dim is {embed_dim} and num_heads {num_heads}; expected a number of heads that divides it",
                embed_dim=e,
                num_heads=self.num_heads,
            )
        self.kdim, self.vdim, self.head_dim = kdim or e, vdim or e, e // self.num_heads
        self.dropout, self.batch_first, self.add_zero_attn = float(dropout), batch_first, add_zero_attn
        self._qkv_same_embed_dim = self.kdim == e == self.vdim
        shapes = {"in_proj_weight": (3 * e, e)} if self._qkv_same_embed_dim else {}
        if not self._qkv_same_embed_dim:
            shapes |= {"q_proj_weight": (e, e), "k_proj_weight": (e, self.kdim), "v_proj_weight": (e, self.vdim)}
        shapes |= {"in_proj_bias": (3 * e,)} if bias else {}
        shapes |= {"bias_k": (1, 1, e), "bias_v": (1, 1, e)} if add_bias_kv else {}
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight", "in_proj_bias", "bias_k", "bias_v"):
            self.register_parameter(name, Parameter(filled(shapes[name], 0.0, dtype, device)) if name in shapes else None)
        self.out_proj = NonDynamicallyQuantizableLinear(e, e, bias, device, dtype, generator=generator)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Projections uniform by Xavier's rule, learned key and value normal by it, biases 0; out_proj as it is."""
        for name, p in self._parameters.items():
            if p is not None and name.endswith("weight"):
                init.xavier_uniform_(p, generator=generator)
            elif p is not None and name.startswith("bias"):
                init.xavier_normal_(p, generator=generator)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None, need_weights: bool = True,
        attn_mask: Tensor | None = None, average_attn_weights: bool = True, is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """The results of all heads through out_proj, and the weights; is_causal says that attn_mask is the causal one."""
        weights = (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight, self.out_proj.weight)
        biases = (self.in_proj_bias, self.bias_k, self.bias_v, self.out_proj.bias)
        sizes, rate = (self.embed_dim, self.num_heads), self.dropout if self.training else 0.0
        return attend(
            (query, key, value), sizes, weights, biases, self.add_zero_attn, rate, (attn_mask, key_padding_mask), (None, None),
            need_weights, average_attn_weights, is_causal, self.batch_first,
        )  # fmt: skip


# ---- scores -------------------------------------------------------------------------------------------------------------------


class AdditiveScore(Module):
    """s(k, q) = vᵀ tanh(W k + U q) (Bahdanau et al. 2015, §A.1.2).

    Shapes: query (..., L, query_size), key (..., S, key_size) → (..., L, S).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.AdditiveScore(4, 3, 8)(danlu.zeros(2, 5, 4), danlu.zeros(2, 6, 3)).shape)
        (2, 5, 6)
    """

    def __init__(self, query_size: int, key_size: int, hidden_size: int, *, generator: Generator | None = None) -> None:
        super().__init__()
        self.query = Linear(query_size, hidden_size, bias=False, generator=generator)
        self.key = Linear(key_size, hidden_size, bias=False, generator=generator)
        self.value = Linear(hidden_size, 1, bias=False, generator=generator)

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """vᵀ tanh(W k + U q)."""
        hidden = self.query(query).unsqueeze(-2) + self.key(key).unsqueeze(-3)  # (..., L, S, hidden)
        return self.value(hidden.tanh()).squeeze(-1)


class DotScore(Module):
    """s(k, q) = kᵀ q, or kᵀ q / √D where it is scaled (Vaswani et al. 2017, §3.2.1): of variance 1 for any D.

    Shapes: query (..., L, D), key (..., S, D) → (..., L, S).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.DotScore()(danlu.ones(1, 4), danlu.ones(1, 4)).item(), nn.DotScore(scaled=True)(danlu.ones(1, 4), danlu.ones(1, 4)).item()
        (4.0, 2.0)
    """

    def __init__(self, scaled: bool = False) -> None:
        super().__init__()
        self.scaled = scaled

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """kᵀ q."""
        scores = query @ key.transpose(-2, -1)
        return scores / sqrt(query.shape[-1]) if self.scaled else scores

    def extra_repr(self) -> str:
        """Whether it is scaled."""
        return f"scaled={self.scaled}"


class BilinearScore(Module):
    """s(k, q) = kᵀ W q (Luong et al. 2015, eq. 8).

    Shapes: query (..., L, query_size), key (..., S, key_size) → (..., L, S).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.BilinearScore(4, 3)(danlu.zeros(5, 4), danlu.zeros(6, 3)).shape)
        (5, 6)
    """

    def __init__(self, query_size: int, key_size: int, *, generator: Generator | None = None) -> None:
        super().__init__()
        self.map = Linear(query_size, key_size, bias=False, generator=generator)

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """kᵀ W q."""
        return self.map(query) @ key.transpose(-2, -1)


class Attention(Module):
    """The mean of values, weighted by the softmax of a score: y = Σₛ softmax(s(k, q))ₛ vₛ.

    Shapes: query (..., L, Dq), key (..., S, Dk), value (..., S, E), mask that broadcasts to (..., L, S), true where a key may be looked at
    → (..., L, E); with need_weights=True also the weights (..., L, S).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> attend = nn.Attention(nn.DotScore(scaled=True))
        >>> attend(danlu.zeros(1, 2), danlu.zeros(2, 2), danlu.tensor([[1.0], [3.0]])).item()
        2.0
    """

    def __init__(self, score: Module, dropout: float = 0.0) -> None:
        super().__init__()
        self.score, self.dropout = score, dropout

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, need_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """The weighted values."""
        scores = self.score(query, key)
        weights = softmax(scores if mask is None else apply("where", mask, scores, -inf), -1)
        y = dropout(weights, self.dropout, self.training) @ value
        return (y, weights) if need_weights else y

    def extra_repr(self) -> str:
        """The rate of dropout."""
        return f"dropout={self.dropout}"


__all__ = ["AdditiveScore", "Attention", "BilinearScore", "DotScore", "MultiheadAttention"]
