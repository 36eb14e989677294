"""L7. Blocks of which networks are built and that PyTorch leaves to its users: residual connections, squeeze and excitation, and what
tells a Transformer where a token stands."""

from __future__ import annotations

from math import log, pi
from typing import Any

import numpy as np

from danlu.dtype import default, in_memory
from danlu.errors import DataError, ShapeError
from danlu.functional.common import relu
from danlu.nn import init
from danlu.nn.activation import ReLU, Sigmoid
from danlu.nn.containers import Sequential
from danlu.nn.conv import Conv2d
from danlu.nn.dropout import Dropout
from danlu.nn.linear import Identity, Linear, check_size
from danlu.nn.module import Module
from danlu.nn.normalization import BatchNorm2d
from danlu.nn.parameter import Parameter, filled
from danlu.random import Generator
from danlu.tensor import Tensor, apply, from_array, tensor
from danlu.tensor.creation import cat


class Residual(Module):
    """y = F(x) + x, or F(x) + shortcut(x) where F changes the shape (He et al. 2016, eq. 1 and 2).

    Shapes: input (*) → the shape of F(input).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Residual(nn.ReLU())(danlu.tensor([-1.0, 2.0])).tolist()
        [-1.0, 4.0]
    """

    def __init__(self, body: Module, shortcut: Module | None = None) -> None:
        super().__init__()
        self.body, self.shortcut = body, Identity() if shortcut is None else shortcut

    def forward(self, input: Tensor) -> Tensor:
        """F(x) + shortcut(x)."""
        y, x = self.body(input), self.shortcut(input)
        if y.shape != x.shape:
            raise ShapeError(
                "Residual: the body gives shape {body} and the shortcut {shortcut}; expected one shape: give a shortcut that changes "
                "the input as the body does",
                body=tuple(y.shape),
                shortcut=tuple(x.shape),
            )
        return y + x


class ResidualBlock(Module):
    """The block of ResNet-18 and -34: relu(F(x) + shortcut(x)), F two 3 × 3 convolutions with batch normalisation (He et al. 2016, fig. 2).

    The shortcut is the input itself, or a 1 × 1 convolution with batch normalisation where stride or channels change.

    Shapes: (N, in_channels, H, W) → (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.ResidualBlock(3, 8, stride=2)(danlu.ones(1, 3, 6, 6)).shape)
        (1, 8, 3, 3)
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, *, generator: Generator | None = None
    ) -> None:  # fmt: skip
        super().__init__()
        body = Sequential(
            Conv2d(in_channels, out_channels, 3, stride, 1, bias=False, generator=generator),
            BatchNorm2d(out_channels),
            ReLU(),
            Conv2d(out_channels, out_channels, 3, padding=1, bias=False, generator=generator),
            BatchNorm2d(out_channels),
        )
        shortcut = None
        if stride != 1 or in_channels != out_channels:
            projection = Conv2d(in_channels, out_channels, 1, stride, bias=False, generator=generator)
            shortcut = Sequential(projection, BatchNorm2d(out_channels))
        self.sum = Residual(body, shortcut)

    def forward(self, input: Tensor) -> Tensor:
        """relu(F(x) + shortcut(x))."""
        return relu(self.sum(input))


class SqueezeExcitation(Module):
    """Each channel times a number from 0 to 1 that follows from the means of all channels (Hu et al. 2018, eq. 2-4).

    s = σ(W₂ relu(W₁ mean(x) + b₁) + b₂);  y = x · s

    Shapes: (N, channels, …) → the same; W₁ has channels / reduction rows.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.SqueezeExcitation(32, reduction=8)(danlu.ones(2, 32, 4, 4)).shape)
        (2, 32, 4, 4)
    """

    def __init__(self, channels: int, reduction: int = 16, *, generator: Generator | None = None) -> None:
        super().__init__()
        self.channels = check_size("SqueezeExcitation", "channels", channels)
        hidden = max(1, channels // check_size("SqueezeExcitation", "reduction", reduction))
        self.excite = Sequential(
            Linear(channels, hidden, generator=generator), ReLU(), Linear(hidden, channels, generator=generator), Sigmoid()
        )

    def forward(self, input: Tensor) -> Tensor:
        """x · s."""
        if input.ndim < 3 or input.shape[1] != self.channels:
            raise ShapeError(
                "SqueezeExcitation: the input has shape {shape}; expected (N, {channels}, …)",
                shape=tuple(input.shape),
                channels=self.channels,
            )
        s = self.excite(input.flatten(2).mean(2))  # (N, C)
        return input * s.reshape(*s.shape, *(1,) * (input.ndim - 2))


# ---- positions ----------------------------------------------------------------------------------------------------------------


class SinusoidalEncoding(Module):
    """Adds to each place of a sequence sines and cosines of the place (Vaswani et al. 2017, §3.5); nothing is learned.

    P[p, 2i] = sin(p / 10000^(2i / D)), P[p, 2i + 1] = cos(p / 10000^(2i / D));  y = dropout(x + P)

    Shapes: (..., L, embed_dim) with L ≤ max_len → the same.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.SinusoidalEncoding(4)(danlu.zeros(1, 1, 4)).tolist()
        [[[0.0, 1.0, 0.0, 1.0]]]
    """

    encoding: Tensor

    def __init__(self, embed_dim: int, max_len: int = 5000, dropout: float = 0.0) -> None:
        super().__init__()
        size, self.max_len = check_size("SinusoidalEncoding", "embed_dim", embed_dim), max_len
        angles = np.arange(max_len)[:, None] * np.exp(-log(10000.0) * (np.arange(size) // 2 * 2) / size)  # (max_len, D)
        table = np.where(np.arange(size) % 2 == 0, np.sin(angles), np.cos(angles))
        self.register_buffer("encoding", tensor(table, default()), persistent=False)
        self.dropout = Dropout(dropout)

    def forward(self, input: Tensor) -> Tensor:
        """x + P."""
        return self.dropout(input + _places("SinusoidalEncoding", input, self.encoding))


def _places(name: str, x: Tensor, table: Tensor) -> Tensor:
    """The first rows of a table, one for each place of x."""
    if x.ndim < 2 or x.shape[-1] != table.shape[1] or x.shape[-2] > table.shape[0]:
        raise ShapeError(
            "{name}: the input has shape {shape}; expected (..., L, {size}) with L ≤ {most}",
            name=name,
            shape=tuple(x.shape),
            size=table.shape[1],
            most=table.shape[0],
        )
    return table[: x.shape[-2]]


class PositionEmbedding(Module):
    """Adds to each place of a sequence a vector that is learned: y = x + W[: L].

    Shapes: (..., L, embed_dim) with L ≤ num_positions → the same; weight (num_positions, embed_dim), normal of standard deviation 0.02.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.PositionEmbedding(10, 4)(danlu.zeros(2, 7, 4)).shape)
        (2, 7, 4)
    """

    weight: Parameter

    def __init__(self, num_positions: int, embed_dim: int, *, generator: Generator | None = None) -> None:
        super().__init__()
        shape = (
            check_size("PositionEmbedding", "num_positions", num_positions),
            check_size("PositionEmbedding", "embed_dim", embed_dim),
        )
        self.weight = Parameter(filled(shape, 0.0))
        init.normal_(self.weight, 0.0, 0.02, generator=generator)

    def forward(self, input: Tensor) -> Tensor:
        """x + W[: L]."""
        return input + _places("PositionEmbedding", input, self.weight)


class FrequencyEncoding(Module):
    """Coordinates as sines and cosines of rising frequency, so that a network can follow fine detail (Mildenhall et al. 2020, eq. 4).

    γ(p) = (sin 2⁰πp, cos 2⁰πp, …, sin 2^(L−1)πp, cos 2^(L−1)πp), for each coordinate; include_input puts the coordinates in front.

    Shapes: (..., D) → (..., D · 2 · num_frequencies), (+ D with include_input).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> [round(x, 4) for x in nn.FrequencyEncoding(2)(danlu.tensor([0.25])).tolist()]
        [0.7071, 0.7071, 1.0, -0.0]
    """

    def __init__(self, num_frequencies: int, include_input: bool = False) -> None:
        super().__init__()
        self.num_frequencies = check_size("FrequencyEncoding", "num_frequencies", num_frequencies)
        self.include_input = include_input

    def forward(self, input: Tensor) -> Tensor:
        """γ of each coordinate."""
        if not input.ndim:
            raise ShapeError("FrequencyEncoding: the input is a scalar; expected (..., D): write x.reshape(1)")
        frequencies = from_array(in_memory(2.0 ** np.arange(self.num_frequencies) * pi, input.dtype))
        angles: Any = input.unsqueeze(-1) * frequencies  # (..., D, L)
        pairs = cat([angles.sin().unsqueeze(-1), angles.cos().unsqueeze(-1)], -1)  # (..., D, L, 2)
        encoded = pairs.flatten(-3)
        return cat([input, encoded], -1) if self.include_input else encoded

    def extra_repr(self) -> str:
        """The options."""
        return f"num_frequencies={self.num_frequencies}, include_input={self.include_input}"


class PatchEmbedding(Module):
    """An image as a sequence of vectors, one for each square patch (Dosovitskiy et al. 2021, eq. 1): W · pixels + b.

    Shapes: (N, in_channels, H, W) with sides that patch_size divides → (N, H · W / patch_size², embed_dim), row by row.

    Raises:
        ShapeError: patches do not fill the image.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.PatchEmbedding(patch_size=4, in_channels=3, embed_dim=16)(danlu.zeros(2, 3, 8, 12)).shape)
        (2, 6, 16)
    """

    def __init__(
        self, patch_size: int, in_channels: int = 3, embed_dim: int = 768, *, generator: Generator | None = None
    ) -> None:  # fmt: skip
        super().__init__()
        self.patch_size = check_size("PatchEmbedding", "patch_size", patch_size)
        self.projection = Conv2d(in_channels, embed_dim, patch_size, stride=patch_size, generator=generator)

    def forward(self, input: Tensor) -> Tensor:
        """The patches through one matrix."""
        if input.ndim != 4 or input.shape[2] % self.patch_size or input.shape[3] % self.patch_size:
            raise ShapeError(
                "PatchEmbedding: the input has shape {shape}; expected (N, C, H, W) with sides that patch_size = {size} divides",
                shape=tuple(input.shape),
                size=self.patch_size,
            )
        return self.projection(input).flatten(2).transpose(1, 2)


# ---- the perceptron -----------------------------------------------------------------------------------------------------------


class Step(Module):
    """1 where x > 0, else 0. Its derivative is 0 everywhere, so no gradient passes: see `Perceptron.fit` for how to learn with it.

    Shapes: input (*) → (*): element by element.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Step()(danlu.tensor([-1.0, 0.0, 2.0])).tolist()
        [0.0, 0.0, 1.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """1 where x > 0, else 0."""
        return apply("where", input > 0, 1.0, 0.0).to(input.dtype)


class Perceptron(Module):
    """A threshold of a weighted sum (Rosenblatt 1958): y = 1 where w · x + b > 0, else 0.

    One of them separates classes by a straight line: AND, OR and NAND, but not XOR, for which it takes two layers.

    Shapes: (..., in_features) → (...); weight (in_features,) and bias () begin as 0.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> x, y = danlu.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), danlu.tensor([0.0, 0.0, 0.0, 1.0])
        >>> gate = nn.Perceptron(2)
        >>> gate.fit(x, y)[-1], gate(x).tolist()
        (0, [0.0, 0.0, 0.0, 1.0])
    """

    weight: Parameter
    bias: Parameter

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.in_features = check_size("Perceptron", "in_features", in_features)
        self.weight, self.bias = Parameter(filled((self.in_features,), 0.0)), Parameter(filled((), 0.0))
        self.step = Step()

    def forward(self, input: Tensor) -> Tensor:
        """step(w · x + b)."""
        if not input.ndim or input.shape[-1] != self.in_features:
            raise ShapeError(
                "Perceptron: the input has shape {shape}; expected (..., {size})", shape=tuple(input.shape), size=self.in_features
            )
        return self.step((input * self.weight).sum(-1) + self.bias)

    def fit(self, x: Tensor, y: Tensor, epochs: int = 100, lr: float = 1.0) -> list[int]:
        """The perceptron's rule: after each sample w ← w + η (y − ŷ) x and b ← b + η (y − ŷ); ends with an epoch without mistakes.

        Gives the number of mistakes of each epoch; that of separable classes reaches 0 (Novikoff 1962), that of others never.

        Raises:
            ShapeError: x is not (N, in_features), or y not (N,).
            DataError: y holds other numbers than 0 and 1.
        """
        points, labels = x.detach().numpy().astype(np.float64), y.detach().numpy()
        if points.ndim != 2 or points.shape[1] != self.in_features or labels.shape != points.shape[:1]:
            raise ShapeError(
                "Perceptron: x has shape {points} and y {labels}; expected (N, {size}) and (N,)",
                points=points.shape,
                labels=labels.shape,
                size=self.in_features,
            )
        if not np.isin(labels, (0, 1)).all():
            raise DataError("Perceptron: y holds other numbers than 0 and 1; write (y > 0).float() for labels -1 and 1")
        w, b, mistakes = self.weight.detach().numpy().astype(np.float64), self.bias.item(), []
        for _ in range(epochs):
            wrong = 0
            for point, label in zip(points, labels):
                error = float(label) - float(w @ point + b > 0)
                w, b, wrong = w + lr * error * point, b + lr * error, wrong + (error != 0)
            mistakes.append(wrong)
            if not wrong:
                break
        self.weight.data, self.bias.data = tensor(w, self.weight.dtype), tensor(b, self.bias.dtype)
        return mistakes


__all__ = [
    "FrequencyEncoding",
    "PatchEmbedding",
    "Perceptron",
    "PositionEmbedding",
    "Residual",
    "ResidualBlock",
    "SinusoidalEncoding",
    "SqueezeExcitation",
    "Step",
]
