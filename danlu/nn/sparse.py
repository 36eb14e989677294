"""L7. Tables of learned vectors."""

from __future__ import annotations

from typing import Any

from danlu.dtype import DType
from danlu.errors import DataError, ShapeError
from danlu.functional import sparse as F
from danlu.nn import init
from danlu.nn.linear import check_size
from danlu.nn.module import Module
from danlu.nn.parameter import Parameter, filled
from danlu.random import Generator
from danlu.tensor import Tensor, no_grad


class _Table(Module):
    """A table of vectors with the options of how it is read."""

    weight: Parameter

    def _build(
        self,
        sizes: tuple[int, int],
        padding_idx: int | None,
        weight: Tensor | None,
        place: tuple[Any, DType | None],
        generator: Generator | None,
    ) -> None:
        name = type(self).__name__
        n = self.num_embeddings = check_size(name, "num_embeddings", sizes[0])
        d = self.embedding_dim = check_size(name, "embedding_dim", sizes[1])
        if padding_idx is not None and not -n <= padding_idx < n:
            raise DataError(
                "{name}: padding_idx is {padding_idx}; expected one of {lowest} … {highest} for {count} embeddings",
                name=name,
                padding_idx=padding_idx,
                lowest=-n,
                highest=n - 1,
                count=n,
            )
        self.padding_idx = None if padding_idx is None else padding_idx % n
        if weight is not None and tuple(weight.shape) != (n, d):
            raise ShapeError(
                "{name}: the given weight has shape {shape}; expected {expected}",
                name=name,
                shape=tuple(weight.shape),
                expected=(n, d),
            )
        device, dtype = place
        self.weight = Parameter(filled((n, d), 0.0, dtype, device) if weight is None else weight)
        if weight is None:
            self.reset_parameters(generator)

    @classmethod
    def _sizes(cls, embeddings: Tensor) -> tuple[int, int]:
        """Those of given vectors (V, D)."""
        if embeddings.ndim != 2:
            raise ShapeError(
                "{layer}.from_pretrained: the vectors have shape {shape}; expected (V, D)",
                layer=cls.__name__,
                shape=tuple(embeddings.shape),
            )
        return embeddings.shape[0], embeddings.shape[1]

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draws the vectors anew, normal of mean 0 and variance 1; that of the padding is 0."""
        init.normal_(self.weight, generator=generator)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0.0


class Embedding(_Table):
    """A learned vector for each integer: y[…, :] = w[x[…], :].

    Shapes: input (...) of integers from 0 to num_embeddings − 1 → (..., embedding_dim); weight (num_embeddings, embedding_dim),
    which begins normal of mean 0 and variance 1. The row padding_idx begins as 0 and gets no gradient.

    Raises:
        DataError: padding_idx names no row.
        AxisError: an index that does not exist; reported when the value is computed.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.Embedding(10, 3)(danlu.tensor([[1, 2], [4, 5]])).shape)
        (2, 2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: DType | None = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse = max_norm, norm_type, scale_grad_by_freq, sparse
        self._build((num_embeddings, embedding_dim), padding_idx, _weight, (device, dtype), generator)
        if _freeze:
            self.weight.requires_grad_(False)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """A layer with given vectors (V, D); freeze=True does not train them."""
        options = (padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
        return cls(*cls._sizes(embeddings), *options, _weight=embeddings, _freeze=freeze)

    def forward(self, input: Tensor) -> Tensor:
        """The rows that the input names."""
        options = (self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse)
        return F.embedding(input, self.weight, *options)

    def extra_repr(self) -> str:
        """The sizes, and the options that are not the usual ones."""
        words = [f"{self.num_embeddings}, {self.embedding_dim}"]
        words += [f"padding_idx={self.padding_idx}"] * (self.padding_idx is not None)
        words += [f"max_norm={self.max_norm}"] * (self.max_norm is not None)
        words += [f"norm_type={self.norm_type}"] * (self.norm_type != 2)
        words += ["scale_grad_by_freq=True"] * self.scale_grad_by_freq + ["sparse=True"] * self.sparse
        return ", ".join(words)


class EmbeddingBag(_Table):
    """The sum, mean or maximum of the vectors of each bag of integers; see danlu.nn.functional.embedding_bag.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.EmbeddingBag(10, 3)(danlu.tensor([[1, 2], [4, 5]])).shape)
        (2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: DType | None = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse = max_norm, norm_type, scale_grad_by_freq, sparse
        self.mode, self.include_last_offset = mode, include_last_offset
        self._build((num_embeddings, embedding_dim), padding_idx, _weight, (device, dtype), generator)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """A layer with given vectors (V, D); freeze=True does not train them."""
        options = (max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings, include_last_offset, padding_idx)
        made = cls(*cls._sizes(embeddings), *options)
        made.weight.requires_grad_(not freeze)
        return made

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        """One vector for each bag."""
        options = (self.max_norm, self.norm_type, self.scale_grad_by_freq, self.mode, self.sparse)
        return F.embedding_bag(
            input, self.weight, offsets, *options, per_sample_weights, self.include_last_offset, self.padding_idx
        )

    def extra_repr(self) -> str:
        """The sizes, the mode, and the options that are not the usual ones."""
        words = [f"{self.num_embeddings}, {self.embedding_dim}"]
        words += [f"max_norm={self.max_norm}"] * (self.max_norm is not None)
        words += [f"norm_type={self.norm_type}"] * (self.norm_type != 2)
        words += ["scale_grad_by_freq=True"] * self.scale_grad_by_freq
        words += [f"mode={self.mode!r}"]
        words += [f"padding_idx={self.padding_idx}"] * (self.padding_idx is not None)
        return ", ".join(words)


__all__ = ["Embedding", "EmbeddingBag"]
