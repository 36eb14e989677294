"""The training steps as JAX's users write them: a pure function of state and batch under `jax.jit`, the optimizer by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from bench.steps import CASES

VERSION = jax.__version__
Step = Callable[[], jax.Array]
Update = Callable[[Any, Any, Any, float], tuple[Any, Any]]
donated: tuple[int, ...] = ()  # the arguments that the jitted function may overwrite
_threads = 0


def set_threads(count: int) -> None:
    """XLA reads its number of threads from XLA_FLAGS and the cores it may use, when it is imported."""
    global _threads
    _threads = count


def threads() -> int:
    """Threads asked for."""
    return _threads


def read(loss: jax.Array) -> float:
    """The number."""
    return float(loss)


def sgd(params: Any, grads: Any, state: Any, lr: float) -> tuple[Any, Any]:
    """p ← p − η g"""
    return jax.tree.map(lambda p, g: p - lr * g, params, grads), state


def adam(params: Any, grads: Any, state: Any, lr: float) -> tuple[Any, Any]:
    """Kingma & Ba 2015, algorithm 1."""
    t, m, v = state
    t = t + 1
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
    c1, c2 = 1 - 0.9**t, 1 - 0.999**t
    params = jax.tree.map(lambda p, m, v: p - lr * (m / c1) / (jnp.sqrt(v / c2) + 1e-8), params, m, v)
    return params, (t, m, v)


def start(update: Update, params: Any) -> Any:
    """The optimizer's first state."""
    zeros = jax.tree.map(jnp.zeros_like, params)
    return (jnp.zeros((), jnp.float32), zeros, jax.tree.map(jnp.zeros_like, params)) if update is adam else ()


def cross_entropy(logits: jax.Array, y: jax.Array) -> jax.Array:
    """Mean of −log softmax(z)[y]."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1).mean()


def layers(activation: Callable) -> Callable:
    """x → activation(x wᵀ + b) … → x wᵀ + b"""

    def forward(params: list[jax.Array], x: jax.Array) -> jax.Array:
        for w, b in zip(params[:-2:2], params[1:-2:2]):
            x = activation(x @ w.T + b)
        return x @ params[-2].T + params[-1]

    return forward


def train(case: str, loss_of: Callable[..., jax.Array], update: Update) -> Step:
    """The jitted step: state in, state and loss out."""
    problem, lr = CASES[case].problem(), CASES[case].lr
    x, y = jnp.asarray(problem.x), jnp.asarray(problem.y)

    @partial(jax.jit, donate_argnums=donated)
    def jitted(params: Any, state: Any, x: jax.Array, y: jax.Array) -> tuple[Any, Any, jax.Array]:
        loss, grads = jax.value_and_grad(loss_of)(params, x, y)
        params, state = update(params, grads, state, lr)
        return params, state, loss

    params = [jnp.asarray(w) for w in problem.weights]
    state = start(update, params)

    def step() -> jax.Array:
        nonlocal params, state
        params, state, loss = jitted(params, state, x, y)
        return loss

    return step


def xor(case: str) -> Step:
    """2-8-1 with tanh, mean squared error."""
    return train(case, lambda p, x, y: ((layers(jnp.tanh)(p, x) - y) ** 2).mean(), sgd)


def line(case: str) -> Step:
    """y = x w + b."""
    return train(case, lambda p, x, y: ((x @ p[0] + p[1] - y) ** 2).mean(), sgd)


def classify(update: Update) -> Callable[[str], Step]:
    """A chain of linear layers with ReLU under cross-entropy."""
    forward = layers(jax.nn.relu)
    return lambda case: train(case, lambda p, x, y: cross_entropy(forward(p, x), y), update)


def batch_norm(x: jax.Array, scale: jax.Array, shift: jax.Array, running: Any) -> tuple[jax.Array, Any]:
    """Normalised over the batch, and the running mean and (unbiased) variance."""
    mean, var = x.mean(0), x.var(0)
    count = x.shape[0]
    seen = lax.stop_gradient((mean, var * count / (count - 1)))
    running = jax.tree.map(lambda r, s: 0.9 * r + 0.1 * s, running, seen)
    return (x - mean) * lax.rsqrt(var + 1e-5) * scale + shift, running


def norm(case: str) -> Step:
    """784-512-512-10 with batch norm; the running statistics are part of the state."""
    problem, lr = CASES[case].problem(), CASES[case].lr
    x, y = jnp.asarray(problem.x), jnp.asarray(problem.y)

    def loss_of(params: Any, statistics: Any, x: jax.Array, y: jax.Array) -> tuple[jax.Array, Any]:
        seen = []
        for k, running in enumerate(statistics):
            w, b, scale, shift = params[4 * k : 4 * k + 4]
            x, running = batch_norm(x @ w.T + b, scale, shift, running)
            x = jax.nn.relu(x)
            seen.append(running)
        return cross_entropy(x @ params[-2].T + params[-1], y), seen

    @partial(jax.jit, donate_argnums=donated)
    def jitted(params: Any, state: Any, statistics: Any, x: jax.Array, y: jax.Array) -> tuple:
        (loss, statistics), grads = jax.value_and_grad(loss_of, has_aux=True)(params, statistics, x, y)
        params, state = adam(params, grads, state, lr)
        return params, state, statistics, loss

    params = [jnp.asarray(w) for w in problem.weights]
    state = start(adam, params)
    statistics: Any = [(jnp.zeros(512), jnp.ones(512)) for _ in range(2)]

    def step() -> jax.Array:
        nonlocal params, state, statistics
        params, state, statistics, loss = jitted(params, state, statistics, x, y)
        return loss

    return step


STEPS = {
    "xor": xor,
    "line": line,
    "tiny": classify(adam),
    "softmax": classify(sgd),
    "mlp": classify(sgd),
    "mlp32": classify(adam),
    "norm": norm,
}
