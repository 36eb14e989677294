"""Checkpoints: the same bits, less memory."""

from __future__ import annotations

import numpy as np
import pytest

import danlu
from danlu import nn
from danlu.runtime import buffers
from danlu.utils.checkpoint import checkpoint, checkpoint_sequential


def blocks(count, width=32):
    danlu.manual_seed(0)
    return [
        nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(0.2), nn.Linear(4 * width, width)) for _ in range(count)
    ]


def run(layers, x, use, read):
    """Loss, gradients of the parameters and of the input."""
    danlu.manual_seed(1)
    h = x
    for layer in layers:
        h = h + (checkpoint(layer, h) if use else layer(h))
    loss = (h * h).mean()
    if read:
        loss.item()
    return loss, danlu.autograd.grad(loss, [x, *[p for layer in layers for p in layer.parameters()]])


@pytest.mark.parametrize("read", [False, True])
def test_the_same_bits(read):
    layers, x = blocks(3), danlu.randn(8, 32, requires_grad=True)
    (loss, grads), (again, same) = (run(layers, x, use, read) for use in (False, True))
    np.testing.assert_allclose(again.item(), loss.item(), rtol=1e-6)
    for a, b in zip(grads, same):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-4, atol=1e-7)  # other programs, other orders of summation


def test_less_memory():
    """What is held between the passes: the inputs of the checkpoints instead of everything inside."""
    layers, x = blocks(6), danlu.randn(512, 32, requires_grad=True)
    kept = {}
    for use in (False, True):
        danlu.manual_seed(1)
        h = x
        for layer in layers:
            h = h + (checkpoint(layer, h) if use else layer(h))
        loss = (h * h).mean()
        danlu.engine.flush()
        buffers.release_free()
        kept[use] = buffers.statistics()["held"]
        del h, loss
    inside = 6 * 512 * 4 * 32 * 4  # one activation of each block, bytes
    assert kept[False] - kept[True] >= inside


def test_nested_twice_differentiated_and_hooked():
    def inner(x):
        return (x * 2).sin()

    def outer(x):
        y = checkpoint(inner, x)
        y.register_hook(lambda g: g * 3)
        return y.exp(), x

    x = danlu.tensor([0.1, 0.2], dtype=danlu.float64, requires_grad=True)
    y, same = checkpoint(outer, x)
    assert same is x
    (g,) = danlu.autograd.grad(y.sum(), x, create_graph=True)
    a = np.array([0.1, 0.2])
    np.testing.assert_allclose(g.detach().numpy(), 6 * np.exp(np.sin(2 * a)) * np.cos(2 * a))
    (h,) = danlu.autograd.grad(danlu.autograd.grad(checkpoint(inner, x).sum(), x, create_graph=True)[0].sum(), x)
    np.testing.assert_allclose(h.numpy(), -4 * np.sin(2 * a))


def test_a_buffer_that_is_replaced_in_between():
    """What is computed again reads the values of then, also where their memory could be used for those of now."""
    state, x = (
        danlu.from_numpy(np.array([1.0, -1.0, 2.0])) * 1,
        danlu.tensor([1.0, 2.0, 3.0], dtype=danlu.float64, requires_grad=True),
    )
    danlu.engine.flush()
    loss = checkpoint(lambda x: ((state > 0).to(danlu.float64) * x.exp()).sin(), x).sum()
    with danlu.no_grad():
        state.mul_(-1)
    loss.item()
    assert state.tolist() == [-1.0, 1.0, -2.0]
    loss.backward()
    expected = np.array([1.0, 0.0, 1.0]) * np.exp([1.0, 2.0, 3.0]) * np.cos(np.exp([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(x.grad.numpy(), expected)


def test_sequential():
    steps = [danlu.sin, danlu.exp, danlu.tanh, danlu.sin, danlu.exp]
    x = danlu.tensor([0.3], requires_grad=True)
    y = checkpoint_sequential(steps, 2, x)
    z = x
    for step in steps:
        z = step(z)
    assert y.item() == z.item()
    assert checkpoint_sequential(nn.Sequential(nn.ReLU(), nn.ReLU()), 1, danlu.ones(1)).item() == 1
    np.testing.assert_allclose(*[danlu.autograd.grad(v.sum(), x)[0].item() for v in (y, z)], rtol=1e-6)
    with pytest.raises(danlu.GradientError, match="6 segments for 5 functions"):
        checkpoint_sequential(steps, 6, x)


def test_without_grad():
    with danlu.no_grad():
        assert checkpoint(danlu.exp, danlu.zeros(1)).item() == 1
