"""The single computations as JAX's users write them, jitted; images are (N, H, W, C)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from bench import nets_jax as nets
from bench.kernels import ALL, INFERENCE, checksum
from bench.steps import Problem
from bench.steps_jax import VERSION, set_threads, threads

Results = tuple[jax.Array, ...]


def read(results: Results) -> float:
    """A number that stands for the results."""
    return checksum(np.asarray(r) for r in results)


def conv_grads(x: jax.Array, w: jax.Array, g: jax.Array) -> Results:
    """Forward and both gradients."""
    y, back = jax.vjp(partial(nets.conv, padding="SAME"), x, w)
    return y, *back(g)


def layer_norm(x: jax.Array, scale: jax.Array, shift: jax.Array, g: jax.Array) -> Results:
    """Forward and all gradients."""
    y, back = jax.vjp(nets.layer_norm, x, scale, shift)
    return y, *back(g)


FUNCTIONS: dict[str, Callable[..., jax.Array | Results]] = {
    "gemm": lambda a, b: a @ b,
    "conv": partial(nets.conv, padding="SAME"),
    "conv_grads": conv_grads,
    "chain": lambda x: jax.nn.relu(jnp.tanh(x * 0.5 + 1.0) * x - 0.25) * 2.0 + x,
    "softmax": jax.nn.softmax,
    "layer_norm": layer_norm,
    "sum0": lambda x: x.sum(0),
    "sum1": lambda x: x.sum(1),
    "gather": lambda rows, index: rows[index],
    "cumsum": jnp.cumsum,
    "argsort": jnp.argsort,
}
NETS: dict[str, Callable[..., jax.Array]] = {
    "mlp": nets.layers(jax.nn.relu),
    "cnn": lambda params, x: nets.cnn_inference(params, nets.first_statistics((32, 64, 128)), x),
    "encoder": nets.encoder,
}


def _channels_last(a: np.ndarray) -> np.ndarray:
    """Images (N, C, H, W) → (N, H, W, C), filters (O, I, 3, 3) → (3, 3, I, O)."""
    if a.ndim != 4:
        return a
    return a.transpose(2, 3, 1, 0) if a.shape[-1] == 3 else a.transpose(0, 2, 3, 1)


def step(name: str) -> Callable[[], Results]:
    """A call of the function on the row's arrays."""
    function, arrays = jax.jit(FUNCTIONS[name]), [jnp.asarray(_channels_last(a)) for a in ALL[name].arrays()]

    def run() -> Results:
        results = jax.block_until_ready(function(*arrays))
        return results if isinstance(results, tuple) else (results,)

    return run


def infer(name: str) -> Callable[[], Results]:
    """A call of the network."""
    kind = name.partition("_")[0]
    x, *weights = ALL[name].arrays()
    if kind == "cnn":
        x, _, weights = nets.channels_last(Problem(x, x, weights), flat=(128, 4, 4))
    function, params, given = jax.jit(NETS[kind]), [jnp.asarray(w) for w in weights], jnp.asarray(x)
    return lambda: (jax.block_until_ready(function(params, given)),)


STEPS = {**dict.fromkeys(FUNCTIONS, step), **dict.fromkeys(INFERENCE, infer)}

__all__ = ["STEPS", "VERSION", "read", "set_threads", "threads"]
