"""The training steps that are compared: for each its data, first weights and options, as NumPy arrays. How each framework writes
the step stands in `steps_danlu.py`, `steps_torch.py` and `steps_jax.py`, in that framework's own idiom, under the same name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import prod, sqrt
from typing import NamedTuple

import numpy as np

Arrays = list[np.ndarray]


class Problem(NamedTuple):
    """One batch (x, y) and the first weights, in the order of the layers: weight (out, in, ...), bias (out,); scale, shift."""

    x: np.ndarray
    y: np.ndarray
    weights: Arrays


class Case(NamedTuple):
    """One row of the table."""

    name: str
    title: str
    problem: Callable[[], Problem]
    lr: float
    steps: int  # of one timed round: about 20 to 50 ms of the slower peer
    plain: float  # the target of danlu's plain loop / PyTorch eager
    compiled: float  # the target of danlu.compile(step) / JAX's jitted step
    tolerance: float = 2e-3  # relative, of the losses of the first steps
    learns: bool = True  # the loss changes from step to step; False for a computation that is only repeated


def _uniform(random: np.random.Generator, bound: float, *sizes: Sequence[int]) -> Arrays:
    return [random.uniform(-bound, bound, size).astype(np.float32) for size in sizes]


def _linear(random: np.random.Generator, inputs: int, outputs: int) -> Arrays:
    """PyTorch's first weights of a linear layer: uniform in ± 1/√inputs."""
    return _uniform(random, 1 / sqrt(inputs), (outputs, inputs), (outputs,))


def _conv(random: np.random.Generator, inputs: int, outputs: int, size: int, bias: bool = True) -> Arrays:
    """PyTorch's first weights of a convolution: uniform in ± 1/√(inputs · size²)."""
    weight = (outputs, inputs, size, size)
    return _uniform(random, 1 / sqrt(prod(weight[1:])), weight, *[(outputs,)] * bias)


def _norm(size: int) -> Arrays:
    """Scale 1 and shift 0."""
    return [np.ones(size, np.float32), np.zeros(size, np.float32)]


def _xor() -> Problem:
    random = np.random.default_rng(0)
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    return Problem(x, np.array([[0], [1], [1], [0]], np.float32), [*_linear(random, 2, 8), *_linear(random, 8, 1)])


def _line() -> Problem:
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, (10, 1)).astype(np.float32)
    y = (3 * x + 1 + 0.1 * random.standard_normal((10, 1))).astype(np.float32)
    return Problem(x, y, [np.zeros((1, 1), np.float32), np.zeros(1, np.float32)])


def classifier(batch: int, *sizes: int, norm: bool = False) -> Callable[[], Problem]:
    """Random inputs with random classes, and the weights of a chain of linear layers."""

    def problem() -> Problem:
        random = np.random.default_rng(0)
        x = random.standard_normal((batch, sizes[0])).astype(np.float32)
        y = random.integers(0, sizes[-1], batch)
        weights: Arrays = []
        for number, (i, o) in enumerate(pairwise(sizes)):
            weights += _linear(random, i, o)
            if norm and number < len(sizes) - 2:
                weights += _norm(o)
        return Problem(x, y, weights)

    return problem


def deep(layers: int) -> Callable[[], Problem]:
    """A chain of layers of width 8, whose outputs are the targets' guesses."""

    def problem() -> Problem:
        random = np.random.default_rng(0)
        x, y = (random.standard_normal((8, 8)).astype(np.float32) for _ in range(2))
        return Problem(x, y, [w for _ in range(layers) for w in _linear(random, 8, 8)])

    return problem


def _images(random: np.random.Generator, batch: int, channels: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    return random.standard_normal((batch, channels, size, size)).astype(np.float32), random.integers(0, 10, batch)


def _lenet() -> Problem:
    random = np.random.default_rng(0)
    weights = _conv(random, 1, 6, 5) + _conv(random, 6, 16, 5)
    for i, o in pairwise((400, 120, 84, 10)):
        weights += _linear(random, i, o)
    return Problem(*_images(random, 256, 1, 28), weights)


def _cnn() -> Problem:
    random = np.random.default_rng(0)
    weights: Arrays = []
    for i, o in pairwise((3, 32, 64, 128)):
        weights += _conv(random, i, o, 3, bias=False) + _norm(o)
    return Problem(*_images(random, 64, 3, 32), weights + _linear(random, 128 * 4 * 4, 10))


def _residual() -> Problem:
    """A first convolution 3-64, two blocks of two convolutions each, the mean over the image, a linear layer."""
    random = np.random.default_rng(0)
    weights: Arrays = []
    for i in (3, 64, 64, 64, 64):
        weights += _conv(random, i, 64, 3, bias=False) + _norm(64)
    return Problem(*_images(random, 32, 3, 32), weights + _linear(random, 64, 10))


def recurrent(gates: int) -> Callable[[], Problem]:
    """35 one-hot characters of 28, and the characters that follow: x (T, N, 28), y (T, N)."""

    def problem() -> Problem:
        random = np.random.default_rng(0)
        text = random.integers(0, 28, (36, 32))
        sizes = ((gates * 256, 28), (gates * 256, 256), (gates * 256,), (gates * 256,))
        weights = _uniform(random, 1 / 16, *sizes) + _linear(random, 256, 28)
        return Problem(np.eye(28, dtype=np.float32)[text[:-1]], text[1:], weights)

    return problem


def _attention_block(random: np.random.Generator, width: int) -> Arrays:
    """Projection to query, key and value, projection back, the two linear layers, the two norms."""
    weights = _linear(random, width, 3 * width) + _linear(random, width, width)
    weights += _linear(random, width, 4 * width) + _linear(random, 4 * width, width)
    return weights + _norm(width) + _norm(width)


def _encoder() -> Problem:
    """x (N, T, 128), classes of the mean over T."""
    random = np.random.default_rng(0)
    weights = [w for _ in range(2) for w in _attention_block(random, 128)] + _linear(random, 128, 10)
    return Problem(random.standard_normal((32, 64, 128)).astype(np.float32), random.integers(0, 10, 32), weights)


def _gpt() -> Problem:
    """64 characters of 65, and the characters that follow: x, y (N, T)."""
    random = np.random.default_rng(0)
    text = random.integers(0, 65, (32, 65))
    weights = [0.02 * random.standard_normal((n, 128)).astype(np.float32) for n in (65, 64)]
    weights += [w for _ in range(4) for w in _attention_block(random, 128)] + _norm(128) + _linear(random, 128, 65)
    return Problem(text[:, :-1].copy(), text[:, 1:].copy(), weights)


def _factors() -> Problem:
    """x (N, 2): a user and an item; y (N,): the user's rating of it."""
    random = np.random.default_rng(0)
    weights = [0.3 * random.standard_normal((10_000, 32)).astype(np.float32) for _ in range(2)]
    return Problem(random.integers(0, 10_000, (1024, 2)), random.uniform(1, 5, 1024).astype(np.float32), weights)


def shorter(problem: Callable[[], Problem], rows: int) -> Callable[[], Problem]:
    """The same with the first rows of the batch."""

    def first() -> Problem:
        x, y, weights = problem()
        return Problem(x[:rows].copy(), y[:rows].copy(), weights)

    return first


# The learning rates are small enough for thousands of steps to stay ordinary numbers: a loss that reached 0 would make gradients
# denormal, whose arithmetic takes another time.
CASES = {
    case.name: case
    for case in (
        Case("xor", "xor 2-8-1 tanh, batch 4, SGD", _xor, 0.01, 200, 0.2, 1.0),
        Case("line", "linear regression by hand, batch 10", _line, 0.02, 200, 0.3, 1.0),
        Case("tiny", "MLP 4-16-3, batch 16, Adam", classifier(16, 4, 16, 3), 1e-4, 150, 0.125, 0.35),
        Case("softmax", "softmax regression 784-10, batch 256, SGD", classifier(256, 784, 10), 1e-3, 80, 0.6, 0.8),
        Case("mlp", "MLP 784-256-10 ReLU, batch 256, SGD", classifier(256, 784, 256, 10), 1e-2, 16, 0.85, 0.95),
        Case("mlp32", "the same, batch 32, Adam", classifier(32, 784, 256, 10), 1e-5, 50, 0.45, 0.9),
        Case(
            "norm",
            "MLP 784-512-512-10 with BatchNorm1d, batch 256, Adam",
            classifier(256, 784, 512, 512, 10, norm=True),
            1e-5,
            4,
            0.8,
            0.95,
        ),
        Case("lenet", "LeNet (sigmoid, average pooling) 1×28×28, batch 256, SGD", _lenet, 0.1, 2, 0.6, 0.3),
        Case("cnn", "CNN 3×32×32: conv 32-64-128 3×3 + BN + ReLU + max pooling, batch 64, Adam", _cnn, 1e-4, 1, 0.75, 0.45),
        Case("residual", "two residual blocks of 64 channels on 32×32, batch 32, momentum", _residual, 1e-3, 1, 0.95, 0.75),
        Case("gru", "GRU hidden 256, 35 steps, batch 32, Adam, clipping by norm", recurrent(3), 1e-4, 2, 0.8, 0.9),
        Case("lstm", "LSTM hidden 256, 35 steps, batch 32, Adam, clipping by norm", recurrent(4), 1e-4, 2, 0.8, 0.9),
        Case("encoder", "Transformer encoder, 2 layers d 128 heads 4, length 64, batch 32, AdamW", _encoder, 1e-5, 1, 0.75, 0.65),
        Case("gpt", "character GPT, 4 layers d 128 heads 4, context 64, batch 32, AdamW", _gpt, 1e-4, 1, 0.75, 0.55),
        Case("factors", "matrix factorisation, 10,000 × 32 embeddings, batch 1024, SGD", _factors, 1.0, 40, 0.35, 0.9),
    )
}
# Cost by depth. The targets are in µs a layer and stand in costs.py.
DEPTHS = {
    f"depth{n}": Case(f"depth{n}", f"{n} layers of width 8, SGD", deep(n), 1e-2, 2 + 600 // n, 0, 0) for n in (2, 8, 32, 128)
}


def case(name: str) -> Case:
    """The case of that name; "NAME:8" is the same with the first 8 rows of the batch.

    >>> case("tiny:8").problem().x.shape
    (8, 4)
    """
    whole, _, rows = name.partition(":")
    found = {**CASES, **DEPTHS}[whole]
    return found._replace(name=name, problem=shorter(found.problem, int(rows))) if rows else found
