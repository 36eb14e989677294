"""The training steps that are compared: for each its data, first weights and options, as NumPy arrays. How each framework writes
the step stands in `steps_danlu.py`, `steps_torch.py` and `steps_jax.py`, in that framework's own idiom, under the same name."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

import numpy as np

Arrays = list[np.ndarray]


class Problem(NamedTuple):
    """One batch (x, y) and the first weights, in the order of the layers: weight (out, in), bias (out,)."""

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


def _linear(random: np.random.Generator, inputs: int, outputs: int) -> Arrays:
    """PyTorch's first weights of a linear layer: uniform in ± 1/√inputs."""
    bound = 1 / sqrt(inputs)
    return [random.uniform(-bound, bound, size).astype(np.float32) for size in ((outputs, inputs), (outputs,))]


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
                weights += [np.ones(o, np.float32), np.zeros(o, np.float32)]
        return Problem(x, y, weights)

    return problem


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
    )
}
