"""The single computations as danlu's users write them, each one settled by reading it as an array."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import danlu
from bench import nets_danlu as nets
from bench.kernels import ALL, INFERENCE, checksum
from bench.steps_danlu import VERSION, fill, set_threads, threads
from danlu.nn import functional as F

Results = list[np.ndarray]


def read(results: Results) -> float:
    """A number that stands for the results."""
    return checksum(results)


def settled(results: danlu.Tensor | tuple[danlu.Tensor, ...]) -> Results:
    """The values, computed now."""
    return [r.detach().numpy() for r in (results if isinstance(results, tuple) else (results,))]


def conv_grads(x: danlu.Tensor, w: danlu.Tensor, g: danlu.Tensor) -> tuple[danlu.Tensor, ...]:
    """Forward and both gradients."""
    x, w = x.requires_grad_(), w.requires_grad_()
    y = F.conv2d(x, w, padding=1)
    return y, *danlu.autograd.grad(y, (x, w), g)


def layer_norm(x: danlu.Tensor, scale: danlu.Tensor, shift: danlu.Tensor, g: danlu.Tensor) -> tuple[danlu.Tensor, ...]:
    """Forward and all gradients."""
    inputs = tuple(t.requires_grad_() for t in (x, scale, shift))
    y = F.layer_norm(x, (512,), scale, shift)
    return y, *danlu.autograd.grad(y, inputs, g)


FUNCTIONS: dict[str, Callable[..., danlu.Tensor | tuple[danlu.Tensor, ...]]] = {
    "gemm": lambda a, b: a @ b,
    "conv": lambda x, w: F.conv2d(x, w, padding=1),
    "conv_grads": conv_grads,
    "chain": lambda x: F.relu(danlu.tanh(x * 0.5 + 1.0) * x - 0.25) * 2.0 + x,
    "softmax": lambda x: F.softmax(x, -1),
    "layer_norm": layer_norm,
    "sum0": lambda x: x.sum(0),
    "sum1": lambda x: x.sum(1),
    "gather": lambda rows, index: rows[index],
    "cumsum": lambda x: x.cumsum(0),
    "argsort": lambda x: x.argsort(),
}
NETS = {"mlp": nets.mlp, "cnn": nets.cnn, "encoder": nets.Encoder}


def step(name: str, compiled: bool = False) -> Callable[[], Results]:
    """A call of the function on the row's arrays."""
    function, tensors = FUNCTIONS[name], [danlu.from_numpy(a) for a in ALL[name].arrays()]
    called = danlu.compile(function) if compiled else function
    return lambda: settled(called(*tensors))


def infer(name: str, compiled: bool = False) -> Callable[[], Results]:
    """A call of the network."""
    x, *weights = ALL[name].arrays()
    net, given = NETS[name.partition("_")[0]]().eval(), danlu.from_numpy(x)
    fill(net, weights)
    called = danlu.compile(net) if compiled else net

    def run() -> Results:
        with danlu.no_grad():
            return settled(called(given))

    return run


STEPS = {**dict.fromkeys(FUNCTIONS, step), **dict.fromkeys(INFERENCE, infer)}

__all__ = ["STEPS", "VERSION", "read", "set_threads", "threads"]
