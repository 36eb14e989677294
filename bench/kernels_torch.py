"""The single computations as PyTorch's users write them (eager)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F

from bench import nets_torch as nets
from bench.kernels import ALL, INFERENCE, checksum
from bench.steps_torch import VERSION, fill, set_threads, threads

Results = tuple[torch.Tensor, ...]


def read(results: Results) -> float:
    """A number that stands for the results."""
    return checksum(r.detach().numpy() for r in results)


def conv_grads(x: torch.Tensor, w: torch.Tensor, g: torch.Tensor) -> Results:
    """Forward and both gradients."""
    x, w = x.requires_grad_(), w.requires_grad_()
    y = F.conv2d(x, w, padding=1)
    return y, *torch.autograd.grad(y, (x, w), g)


def layer_norm(x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor, g: torch.Tensor) -> Results:
    """Forward and all gradients."""
    inputs = tuple(t.requires_grad_() for t in (x, scale, shift))
    y = F.layer_norm(x, (512,), scale, shift)
    return y, *torch.autograd.grad(y, inputs, g)


FUNCTIONS: dict[str, Callable[..., torch.Tensor | Results]] = {
    "gemm": lambda a, b: a @ b,
    "conv": lambda x, w: F.conv2d(x, w, padding=1),
    "conv_grads": conv_grads,
    "chain": lambda x: F.relu(torch.tanh(x * 0.5 + 1.0) * x - 0.25) * 2.0 + x,
    "softmax": lambda x: F.softmax(x, -1),
    "layer_norm": layer_norm,
    "sum0": lambda x: x.sum(0),
    "sum1": lambda x: x.sum(1),
    "gather": lambda rows, index: rows[index],
    "cumsum": lambda x: x.cumsum(0),
    "argsort": lambda x: x.argsort(),
}
NETS = {"mlp": nets.mlp, "cnn": nets.cnn, "encoder": nets.Encoder}


def step(name: str) -> Callable[[], Results]:
    """A call of the function on the row's arrays."""
    function, tensors = FUNCTIONS[name], [torch.from_numpy(a) for a in ALL[name].arrays()]

    def run() -> Results:
        results = function(*tensors)
        return results if isinstance(results, tuple) else (results,)

    return run


def infer(name: str) -> Callable[[], Results]:
    """A call of the network."""
    x, *weights = ALL[name].arrays()
    net, given = NETS[name.partition("_")[0]]().eval(), torch.from_numpy(x)
    fill(net, weights)

    def run() -> Results:
        with torch.no_grad():
            return (net(given),)

    return run


STEPS = {**dict.fromkeys(FUNCTIONS, step), **dict.fromkeys(INFERENCE, infer)}

__all__ = ["STEPS", "VERSION", "read", "set_threads", "threads"]
