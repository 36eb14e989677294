"""L7. The Transformer (Vaswani et al. 2017): layers of encoder and decoder, stacks of them, and both together."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from math import inf
from typing import Any

from danlu.dtype import DType, default
from danlu.errors import DataError, ShapeError
from danlu.functional import common as F
from danlu.nn import init
from danlu.nn.attention import MultiheadAttention
from danlu.nn.containers import ModuleList
from danlu.nn.dropout import Dropout
from danlu.nn.linear import Linear
from danlu.nn.module import Module
from danlu.nn.normalization import LayerNorm
from danlu.random import Generator
from danlu.tensor import Tensor, apply

Activation = str | Callable[[Tensor], Tensor]


def _activation(activation: Activation) -> Callable[[Tensor], Tensor]:
    known = {"relu": F.relu, "gelu": F.gelu}
    if isinstance(activation, str) and activation not in known:
        raise DataError("activation is {activation!r}; expected 'relu', 'gelu' or a function", activation=activation)
    return known[activation] if isinstance(activation, str) else activation


class _Layer(Module):
    """What a layer of the encoder and one of the decoder share: attention to itself, a feed-forward network, normalisation."""

    activation: Any

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1, activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5, batch_first: bool = False, norm_first: bool = False, bias: bool = True, device: Any = None,
        dtype: DType | None = None, *, generator: Generator | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        place = {"device": device, "dtype": dtype}
        drawn = {**place, "generator": generator}
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **drawn)
        self._other_attention(lambda: MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **drawn))
        self.linear1 = Linear(d_model, dim_feedforward, bias, **drawn)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **drawn)
        self.norm_first = norm_first
        for k in range(1, self.parts + 1):
            self.register_module(f"norm{k}", LayerNorm(d_model, layer_norm_eps, bias=bias, **place))
        for k in range(1, self.parts + 1):
            self.register_module(f"dropout{k}", Dropout(dropout))
        self.activation = _activation(activation)

    parts = 2

    def _other_attention(self, make: Callable[[], MultiheadAttention]) -> None:
        """The decoder's attention to the encoder's results."""

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))

    def _attend(self, attention: Module, x: Tensor, memory: Tensor | None, mask: Any, padding: Any, is_causal: bool) -> Tensor:
        keys = x if memory is None else memory
        return attention(x, keys, keys, padding, False, mask, is_causal=is_causal)[0]

    def _residual(self, k: int, x: Tensor, part: Callable[[Tensor], Tensor]) -> Tensor:
        """x + part(norm(x)) with norm_first, else norm(x + part(x))."""
        norm, drop = self.__dict__[f"norm{k}"], self.__dict__[f"dropout{k}"]
        return x + drop(part(norm(x))) if self.norm_first else norm(x + drop(part(x)))


class TransformerEncoderLayer(_Layer):
    """Attention to itself, then a feed-forward network, each with a residual connection and layer normalisation.

    x ← norm(x + attention(x));  x ← norm(x + W₂ activation(W₁ x + b₁) + b₂);  norm_first: x ← x + part(norm(x)) (Xiong et al. 2020)

    Shapes: src (L, N, E), (N, L, E) with batch_first, or (L, E) → the same; masks as in MultiheadAttention.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16)(danlu.zeros(5, 2, 8)).shape)
        (5, 2, 8)
    """

    def forward(
        self, src: Tensor, src_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None, is_causal: bool = False
    ) -> Tensor:
        """Both parts."""
        x = self._residual(1, src, lambda x: self._attend(self.self_attn, x, None, src_mask, src_key_padding_mask, is_causal))
        return self._residual(2, x, self._feed_forward)


class TransformerDecoderLayer(_Layer):
    """Attention to itself, attention to the encoder's results, then a feed-forward network, each with a residual connection.

    a = norm₁(x + self-attention(x)),   b = norm₂(a + attention(a, memory)),   y = norm₃(b + feed-forward(b)); norm_first: norms inside

    Shapes: tgt (L, N, E) and memory (S, N, E), with batch_first (N, L, E) and (N, S, E), or both without N → the shape of tgt.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.TransformerDecoderLayer(8, nhead=2, dim_feedforward=16)(danlu.zeros(5, 2, 8), danlu.zeros(7, 2, 8)).shape)
        (5, 2, 8)
    """

    parts = 3

    def _other_attention(self, make: Callable[[], MultiheadAttention]) -> None:
        self.multihead_attn = make()

    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None, memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None, tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        """All three parts."""
        own = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        other = (memory_mask, memory_key_padding_mask, memory_is_causal)
        x = self._residual(1, tgt, lambda x: self._attend(self.self_attn, x, None, *own))
        x = self._residual(2, x, lambda x: self._attend(self.multihead_attn, x, memory, *other))
        return self._residual(3, x, self._feed_forward)


class _Stack(Module):
    """Copies of one layer after one another, and a normalisation at the end."""

    norm: Module | None

    def _build(self, layer: Module, num_layers: int, norm: Module | None) -> None:
        super().__init__()
        self.layers = ModuleList(deepcopy(layer) for _ in range(num_layers))
        self.num_layers = num_layers
        self.register_module("norm", norm)

    def _through(self, x: Tensor, *inputs: Any, **named: Any) -> Tensor:
        for layer in self.layers:
            x = layer(x, *inputs, **named)
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """num_layers copies of an encoder layer, each with weights of its own (all begin alike), then an optional normalisation.

    y = norm(layerₙ(… layer₁(src)))

    enable_nested_tensor and mask_check are taken for PyTorch's sake and change nothing.

    Shapes: src (S, N, E) → (S, N, E), as in TransformerEncoderLayer.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16), num_layers=2)
        >>> tuple(encoder(danlu.zeros(5, 2, 8)).shape)
        (5, 2, 8)
    """

    def __init__(
        self, encoder_layer: Module, num_layers: int, norm: Module | None = None, enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:  # fmt: skip
        self._build(encoder_layer, num_layers, norm)

    def forward(
        self, src: Tensor, mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None, is_causal: bool | None = None
    ) -> Tensor:
        """Every layer in turn."""
        return self._through(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=bool(is_causal))


class TransformerDecoder(_Stack):
    """num_layers copies of a decoder layer, each with weights of its own (all begin alike), then an optional normalisation.

    y = norm(layerₙ(… layer₁(tgt, memory) …, memory))

    Shapes: tgt (T, N, E), memory (S, N, E) → (T, N, E), as in TransformerDecoderLayer.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, nhead=2, dim_feedforward=16), num_layers=2)
        >>> tuple(decoder(danlu.zeros(5, 2, 8), danlu.zeros(7, 2, 8)).shape)
        (5, 2, 8)
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        self._build(decoder_layer, num_layers, norm)

    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None, memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None, memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        """Every layer in turn."""
        return self._through(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=bool(tgt_is_causal), memory_is_causal=memory_is_causal,
        )  # fmt: skip


class Transformer(Module):
    """Encoder and decoder: what a sequence becomes, given another (Vaswani et al. 2017).

    y = decoder(tgt, encoder(src))

    custom_encoder and custom_decoder take the places of the usual ones. Embeddings, position encoding and the last linear layer are
    the caller's.

    Shapes: src (S, N, E), tgt (T, N, E) → (T, N, E); with batch_first (N, S, E), (N, T, E) → (N, T, E). Matrices begin uniform by
    Xavier's rule.

    Raises:
        ShapeError: src and tgt differ in batch size or features.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> model = nn.Transformer(8, nhead=2, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=16)
        >>> mask = nn.Transformer.generate_square_subsequent_mask(5)
        >>> tuple(model(danlu.zeros(7, 2, 8), danlu.zeros(5, 2, 8), tgt_mask=mask).shape)
        (5, 2, 8)
    """

    def __init__(
        self, d_model: int = 512, nhead: int = 8, num_encoder_layers: int = 6, num_decoder_layers: int = 6,
        dim_feedforward: int = 2048, dropout: float = 0.1, activation: Activation = F.relu, custom_encoder: Any = None,
        custom_decoder: Any = None, layer_norm_eps: float = 1e-5, batch_first: bool = False, norm_first: bool = False,
        bias: bool = True, device: Any = None, dtype: DType | None = None, *, generator: Generator | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        options = (
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            device,
            dtype,
        )
        norm = (d_model, layer_norm_eps, True, bias, device, dtype)
        self.encoder = custom_encoder or TransformerEncoder(
            TransformerEncoderLayer(*options, generator=generator), num_encoder_layers, LayerNorm(*norm)
        )
        self.decoder = custom_decoder or TransformerDecoder(
            TransformerDecoderLayer(*options, generator=generator), num_decoder_layers, LayerNorm(*norm)
        )
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        for p in self.parameters():
            if p.ndim > 1:
                init.xavier_uniform_(p, generator=generator)

    def forward(
        self, src: Tensor, tgt: Tensor, src_mask: Tensor | None = None, tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None, tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None, src_is_causal: bool | None = None, tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        """The decoder's results."""
        batch = 0 if self.batch_first else 1
        if src.ndim != tgt.ndim or src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model or (
            src.ndim == 3 and src.shape[batch] != tgt.shape[batch]
        ):  # fmt: skip
            raise ShapeError(
                "Transformer: src has shape {src} and tgt {tgt}; expected one batch size, on axis {axis}, and d_model = {size} features",
                src=tuple(src.shape),
                tgt=tuple(tgt.shape),
                axis=batch,
                size=self.d_model,
            )
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal, memory_is_causal=memory_is_causal,
        )  # fmt: skip

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: DType | None = None) -> Tensor:
        """0 where a place may look, at itself and before, −∞ behind it: (sz, sz).

        Example:
            >>> from danlu import nn
            >>> nn.Transformer.generate_square_subsequent_mask(2).tolist()
            [[0.0, -inf], [0.0, 0.0]]
        """
        return apply("full", -inf, shape=(sz, sz), dtype=dtype or default()).triu(1)


__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]
