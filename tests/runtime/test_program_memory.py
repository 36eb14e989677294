"""The memory of whole programs, by the buffers' own accounting: inputs + results + 2 temporaries for 50 ops on 10⁶ floats."""

from __future__ import annotations

import numpy as np
import pytest

import danlu
from danlu.runtime import buffers
from danlu.utils.checkpoint import checkpoint

SIDE = 1000
BLOCK = 1 << 22  # bytes of the block that holds a tensor of 10⁶ floats and small things beside it


def chain(x):
    """50 elementwise ops."""
    for _ in range(10):
        x = ((x * 1.01).sin() + x).tanh() * 0.5
    return x


def reduced(x):
    """A number of all elements in the middle."""
    for k in range(8):
        x = (x * 1.01).sin() + 0.1 * k
    x = x - x.mean()
    for _ in range(8):
        x = (x * 0.9).cos() + x
    return x


def softmax(x):
    """Rows that are normalised again and again."""
    x = x.reshape(SIDE, SIDE)
    for _ in range(6):
        x = (x * 1.5).softmax(-1) + x.tanh()
    return x


def layer_norm(x):
    """Two moments of each row."""
    x = x.reshape(SIDE, SIDE)
    for _ in range(4):
        centred = x - x.mean(-1, keepdim=True)
        x = centred / ((centred**2).mean(-1, keepdim=True) + 1e-5).sqrt() * 1.1 + 0.2
        x = x * x.sigmoid()
    return x


def in_place(x):
    """51 writes in place."""
    y = x.clone()
    for _ in range(17):
        y.mul_(1.01).sin_().add_(0.3)
    return y


def transposed(x):
    """Views that other elements are read through."""
    x = x.reshape(SIDE, SIDE)
    for _ in range(12):
        x = (x + x.T * 0.5).tanh()
    return x


def mixed(x):
    """50 ops of all kinds: elementwise, sums of rows and columns, softmax, rows and columns broadcast, views, a write in place."""
    x = x.reshape(SIDE, SIDE)
    for k in range(3):
        x = (x * 1.1 + 0.1 * k).tanh()
        x = x - x.mean(0)
        x = x.softmax(1) * x.sigmoid()
        x = x.T / (1 + x.abs().sum(1))
        x = danlu.where(x > 0, x, 0.1 * x).flip(0)
        x[: SIDE // 2] *= 0.5
        x = x + x[:, :1] * x[:1]
    return x


def products(x):
    """Matrix products: each packs its operands beside the temporaries."""
    x = x.reshape(SIDE, SIDE)
    for _ in range(3):
        x = (x @ x * 1e-3).tanh() + x.sigmoid()
    return x


def peak(function, requires_grad: bool = False) -> tuple[float, float]:
    """(the most memory while the function runs, what is held after it), in tensors beside the input; the result is one of them."""
    x = danlu.from_numpy(np.random.default_rng(0).normal(size=SIDE * SIDE).astype(np.float32)).clone()
    danlu.engine.flush()
    x.requires_grad_(requires_grad)
    buffers.release_free()
    before = buffers.statistics()["used"]
    buffers.reset_peak()
    y = function(x)
    danlu.engine.flush()
    after = buffers.statistics()
    assert y.numel() == x.numel()
    return (after["peak"] - before) / BLOCK, (after["used"] - before) / BLOCK


FIGURES = [
    (chain, 0), (in_place, 0), (transposed, 0), (layer_norm, 0.1), (reduced, 1), (softmax, 1), (mixed, 2),
    (products, 2),  # one of them the packed operand
]  # fmt: skip


@pytest.mark.parametrize("function, temporaries", FIGURES)
def test_a_program_needs_at_most_two_temporaries(function, temporaries):
    """The figure of each program; none needs more than two."""
    most, held = peak(function)
    assert most <= 1 + temporaries + 0.02
    assert held <= 1.001


def test_what_a_derivative_needs_is_kept_and_no_more():
    """Of 50 ops the 30 results that derivatives read (one of them the result itself): what an eager engine would store."""
    most, held = peak(chain, True)
    assert held <= 31.01 and most - held <= 0.01


def test_a_checkpoint_keeps_its_inputs_only():
    plain = peak(chain, True)[1]
    kept = peak(lambda x: checkpoint(chain, x), True)[1]
    assert kept <= 1.01 < plain / 20


def test_the_peak_begins_anew():
    x = danlu.zeros(SIDE, SIDE) + 1
    danlu.engine.flush()
    buffers.release_free()
    buffers.reset_peak()
    assert buffers.statistics()["peak"] == buffers.statistics()["held"]
    y = x + 1
    danlu.engine.flush()
    assert buffers.statistics()["peak"] - buffers.statistics()["held"] <= BLOCK and y.shape == x.shape
