"""The larger networks of the steps as danlu's users write them. Parameters come in the order of `steps.py`."""

from __future__ import annotations

from itertools import pairwise

import danlu
from danlu import nn
from danlu.nn import functional as F


def mlp() -> nn.Module:
    """784-256-10."""
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))


def deep(layers: int) -> nn.Module:
    """A chain of layers of width 8."""
    return nn.Sequential(*[m for _ in range(layers - 1) for m in (nn.Linear(8, 8), nn.Tanh())], nn.Linear(8, 8))


def lenet() -> nn.Module:
    """LeNet-5 with sigmoids and average pooling, 1×28×28."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10),
    )  # fmt: skip


def normed(inputs: int, outputs: int) -> list[nn.Module]:
    """A 3×3 convolution and its batch norm."""
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)]


def cnn() -> nn.Module:
    """Three convolutions, each with batch norm, ReLU and max pooling, 3×32×32."""
    layers = [m for i, o in pairwise((3, 32, 64, 128)) for m in (*normed(i, o), nn.ReLU(), nn.MaxPool2d(2))]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 4 * 4, 10))


class Residual(nn.Module):
    """relu(x + f(x)), f of two convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(*normed(channels, channels), nn.ReLU(), *normed(channels, channels))

    def forward(self, x: danlu.Tensor) -> danlu.Tensor:
        """(N, C, H, W) → the same."""
        return F.relu(x + self.inner(x))


def residual() -> nn.Module:
    """A first convolution and two residual blocks of 64 channels on 32×32."""
    return nn.Sequential(
        *normed(3, 64), nn.ReLU(), Residual(64), Residual(64), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)
    )


class Characters(nn.Module):
    """A recurrent layer over 28 one-hot characters and the logits of the next one: (T, N, 28) → (T, N, 28)."""

    def __init__(self, kind: type[nn.Module]) -> None:
        super().__init__()
        self.rnn, self.head = kind(28, 256), nn.Linear(256, 28)

    def forward(self, x: danlu.Tensor) -> danlu.Tensor:
        """All steps from a zero state."""
        return self.head(self.rnn(x)[0])


def attend(qkv: danlu.Tensor, heads: int) -> danlu.Tensor:
    """Causal attention of each head: (N, T, 3 width) → (N, T, width)."""
    n, t, width = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
    q, k, v = qkv.view(n, t, 3, heads, width // heads).permute(2, 0, 3, 1, 4).unbind(0)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(n, t, width)


class Encoder(nn.Module):
    """Two encoder layers, the mean over the positions, ten classes: (N, T, 128) → (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*[nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, batch_first=True) for _ in range(2)])
        self.head = nn.Linear(128, 10)

    def forward(self, x: danlu.Tensor) -> danlu.Tensor:
        """Classes."""
        return self.head(self.layers(x).mean(1))


class Block(nn.Module):
    """x + attention(norm(x)), then x + perceptron(norm(x))."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: danlu.Tensor) -> danlu.Tensor:
        """(N, T, width) → the same."""
        x = x + self.out(attend(self.qkv(self.norm1(x)), self.heads))
        return x + self.narrow(F.gelu(self.widen(self.norm2(x))))


class GPT(nn.Module):
    """Four causal blocks over 65 characters: (N, T) → (N, T, 65)."""

    def __init__(self) -> None:
        super().__init__()
        self.characters, self.positions = nn.Embedding(65, 128), nn.Embedding(64, 128)
        self.blocks = nn.Sequential(*[Block(128, 4) for _ in range(4)])
        self.norm, self.head = nn.LayerNorm(128), nn.Linear(128, 65)

    def forward(self, x: danlu.Tensor) -> danlu.Tensor:
        """Logits of the next character."""
        x = self.characters(x) + self.positions(danlu.arange(x.shape[1]))
        return self.head(self.norm(self.blocks(x)))


class Factors(nn.Module):
    """The dot product of a user's and an item's vector: (N, 2) → (N,)."""

    def __init__(self) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(10_000, 32), nn.Embedding(10_000, 32)

    def forward(self, x: danlu.Tensor) -> danlu.Tensor:
        """Guessed ratings."""
        return (self.users(x[:, 0]) * self.items(x[:, 1])).sum(1)
