"""The larger networks of the steps as JAX's users write them: pure functions of parameters and batch. Parameters come in the order
of `steps.py`; images are (N, H, W, C), as JAX's libraries of networks keep them, and `channels_last` turns data and weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from bench.steps import Problem

Params = list[jax.Array]
Statistics = list[tuple[jax.Array, jax.Array]]
IMAGES = ("NHWC", "HWIO", "NHWC")


def layers(activation: Callable) -> Callable:
    """x → activation(x wᵀ + b) … → x wᵀ + b"""

    def forward(params: Params, x: jax.Array) -> jax.Array:
        for w, b in zip(params[:-2:2], params[1:-2:2]):
            x = activation(x @ w.T + b)
        return x @ params[-2].T + params[-1]

    return forward


def channels_last(problem: Problem, flat: Sequence[int] = ()) -> Problem:
    """Images and convolutions with the channels last; `flat` is the (C, H, W) that the first linear layer sees in a row."""

    def turned(weights: Sequence[np.ndarray]) -> list[np.ndarray]:
        found = [w.transpose(2, 3, 1, 0) if w.ndim == 4 else w for w in weights]
        if flat:
            first = next(n for n, w in enumerate(weights) if w.ndim == 2)
            w = weights[first]
            found[first] = w.reshape(len(w), *flat).transpose(0, 2, 3, 1).reshape(w.shape)
        return found

    return Problem(problem.x.transpose(0, 2, 3, 1), problem.y, turned(problem.weights))


def batch_norm(x: jax.Array, scale: jax.Array, shift: jax.Array, running: Any) -> tuple[jax.Array, Any]:
    """Normalised over all axes but the last, and the running mean and (unbiased) variance."""
    axes = tuple(range(x.ndim - 1))
    mean, var = x.mean(axes), x.var(axes)
    count = x.size // x.shape[-1]
    seen = lax.stop_gradient((mean, var * count / (count - 1)))
    running = jax.tree.map(lambda r, s: 0.9 * r + 0.1 * s, running, seen)
    return (x - mean) * lax.rsqrt(var + 1e-5) * scale + shift, running


def first_statistics(sizes: Sequence[int]) -> Statistics:
    """Mean 0 and variance 1 for norms of these sizes."""
    return [(jnp.zeros(n), jnp.ones(n)) for n in sizes]


def window(x: jax.Array, start: float, join: Callable, size: int = 2) -> jax.Array:
    """join over windows of size × size that do not overlap."""
    sizes = (1, size, size, 1)
    return lax.reduce_window(x, start, join, sizes, sizes, "VALID")


def average_pool(x: jax.Array) -> jax.Array:
    """2 × 2."""
    return window(x, 0.0, lax.add) / 4


def max_pool(x: jax.Array) -> jax.Array:
    """2 × 2."""
    return window(x, -jnp.inf, lax.max)


def conv(x: jax.Array, w: jax.Array, padding: str) -> jax.Array:
    """Stride 1."""
    return lax.conv_general_dilated(x, w, (1, 1), padding, dimension_numbers=IMAGES)


def lenet(params: Params, x: jax.Array) -> jax.Array:
    """LeNet-5 with sigmoids and average pooling."""
    x = average_pool(jax.nn.sigmoid(conv(x, params[0], "SAME") + params[1]))
    x = average_pool(jax.nn.sigmoid(conv(x, params[2], "VALID") + params[3]))
    return layers(jax.nn.sigmoid)(params[4:], x.reshape(len(x), -1))


def normed(params: Params, x: jax.Array, running: Any) -> tuple[jax.Array, Any]:
    """A 3×3 convolution and its batch norm."""
    return batch_norm(conv(x, params[0], "SAME"), params[1], params[2], running)


def cnn(params: Params, statistics: Statistics, x: jax.Array) -> tuple[jax.Array, Statistics]:
    """Three convolutions, each with batch norm, ReLU and max pooling."""
    seen = []
    for k, running in enumerate(statistics):
        x, running = normed(params[3 * k : 3 * k + 3], x, running)
        x = max_pool(jax.nn.relu(x))
        seen.append(running)
    return x.reshape(len(x), -1) @ params[-2].T + params[-1], seen


def cnn_inference(params: Params, statistics: Statistics, x: jax.Array) -> jax.Array:
    """The same with the running statistics."""
    for k, (mean, var) in enumerate(statistics):
        w, scale, shift = params[3 * k : 3 * k + 3]
        x = (conv(x, w, "SAME") - mean) * (lax.rsqrt(var + 1e-5) * scale) + shift
        x = max_pool(jax.nn.relu(x))
    return x.reshape(len(x), -1) @ params[-2].T + params[-1]


def residual(params: Params, statistics: Statistics, x: jax.Array) -> tuple[jax.Array, Statistics]:
    """A first convolution and two residual blocks."""
    x, *_ = found = normed(params[:3], x, statistics[0])
    x, seen = jax.nn.relu(x), [found[1]]
    for k in (1, 3):
        y, first = normed(params[3 * k : 3 * k + 3], x, statistics[k])
        y, second = normed(params[3 * k + 3 : 3 * k + 6], jax.nn.relu(y), statistics[k + 1])
        x, seen = jax.nn.relu(x + y), [*seen, first, second]
    return x.mean((1, 2)) @ params[-2].T + params[-1], seen


def gru(params: Params, x: jax.Array) -> jax.Array:
    """All steps from a zero state; the inputs' part of the gates is one product before the loop."""
    w_input, w_hidden, b_input, b_hidden, w_head, b_head = params

    def step(h: jax.Array, given: jax.Array) -> tuple[jax.Array, jax.Array]:
        r, z, n = jnp.split(given, 3, -1)
        hr, hz, hn = jnp.split(h @ w_hidden.T + b_hidden, 3, -1)
        r, z = jax.nn.sigmoid(r + hr), jax.nn.sigmoid(z + hz)
        h = (1 - z) * jnp.tanh(n + r * hn) + z * h
        return h, h

    _, outputs = lax.scan(step, jnp.zeros((x.shape[1], 256)), x @ w_input.T + b_input)
    return outputs @ w_head.T + b_head


def lstm(params: Params, x: jax.Array) -> jax.Array:
    """All steps from a zero state; the inputs' part of the gates is one product before the loop."""
    w_input, w_hidden, b_input, b_hidden, w_head, b_head = params

    def step(state: tuple[jax.Array, jax.Array], given: jax.Array) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        h, c = state
        i, f, g, o = jnp.split(given + h @ w_hidden.T, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros((x.shape[1], 256))
    _, outputs = lax.scan(step, (zeros, zeros), x @ w_input.T + (b_input + b_hidden))
    return outputs @ w_head.T + b_head


def layer_norm(x: jax.Array, scale: jax.Array, shift: jax.Array) -> jax.Array:
    """Over the last axis."""
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(var + 1e-5) * scale + shift


def attend(qkv: jax.Array, heads: int, causal: bool) -> jax.Array:
    """Attention of each head: (N, T, 3 width) → (N, T, width)."""
    n, t, three = qkv.shape
    q, k, v = jnp.moveaxis(qkv.reshape(n, t, 3, heads, three // 3 // heads), 2, 0)
    return jax.nn.dot_product_attention(q, k, v, is_causal=causal).reshape(n, t, three // 3)


def encoder_layer(params: Params, x: jax.Array) -> jax.Array:
    """norm(x + attention(x)), then norm(x + perceptron(x))."""
    w_qkv, b_qkv, w_out, b_out, w_wide, b_wide, w_narrow, b_narrow, *norms = params
    x = layer_norm(x + attend(x @ w_qkv.T + b_qkv, 4, False) @ w_out.T + b_out, *norms[:2])
    return layer_norm(x + jax.nn.relu(x @ w_wide.T + b_wide) @ w_narrow.T + b_narrow, *norms[2:])


def encoder(params: Params, x: jax.Array) -> jax.Array:
    """Two encoder layers, the mean over the positions, ten classes."""
    for k in range(2):
        x = encoder_layer(params[12 * k : 12 * k + 12], x)
    return x.mean(1) @ params[-2].T + params[-1]


def block(params: Params, x: jax.Array) -> jax.Array:
    """x + attention(norm(x)), then x + perceptron(norm(x))."""
    w_qkv, b_qkv, w_out, b_out, w_wide, b_wide, w_narrow, b_narrow, *norms = params
    x = x + attend(layer_norm(x, *norms[:2]) @ w_qkv.T + b_qkv, 4, True) @ w_out.T + b_out
    return x + jax.nn.gelu(layer_norm(x, *norms[2:]) @ w_wide.T + b_wide, approximate=False) @ w_narrow.T + b_narrow


def gpt(params: Params, x: jax.Array) -> jax.Array:
    """Four causal blocks over 65 characters."""
    characters, positions, *rest = params
    x = characters[x] + positions[: x.shape[1]]
    for k in range(4):
        x = block(rest[12 * k : 12 * k + 12], x)
    return layer_norm(x, *rest[48:50]) @ rest[50].T + rest[51]


def factors(params: Params, x: jax.Array) -> jax.Array:
    """The dot product of a user's and an item's vector."""
    users, items = params
    return (users[x[:, 0]] * items[x[:, 1]]).sum(1)
