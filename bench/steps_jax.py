"""The training steps as JAX's users write them: a pure function of state and batch under `jax.jit`, the optimizer by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from bench import nets_jax as nets
from bench.steps import DEPTHS, Problem, case

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


def adamw(params: Any, grads: Any, state: Any, lr: float) -> tuple[Any, Any]:
    """Adam with p ← p − η λ p before it (Loshchilov & Hutter 2019), λ = 0.01."""
    return adam(jax.tree.map(lambda p: p - lr * 0.01 * p, params), grads, state, lr)


def momentum(params: Any, grads: Any, state: Any, lr: float) -> tuple[Any, Any]:
    """v ← 0.9 v + g, p ← p − η v"""
    state = jax.tree.map(lambda v, g: 0.9 * v + g, state, grads)
    return jax.tree.map(lambda p, v: p - lr * v, params, state), state


def clipped(update: Update, most: float) -> Update:
    """The update with gradients whose common norm is at most `most`."""

    def clip(params: Any, grads: Any, state: Any, lr: float) -> tuple[Any, Any]:
        norm = jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(grads)))
        factor = jnp.minimum(1.0, most / (norm + 1e-6))
        return update(params, jax.tree.map(lambda g: g * factor, grads), state, lr)

    return clip


def start(params: Any) -> dict[Update, Any]:
    """The first state of each optimizer."""
    zeros, more = (jax.tree.map(jnp.zeros_like, params) for _ in range(2))
    return {sgd: (), momentum: zeros, adam: (jnp.zeros((), jnp.float32), zeros, more)}


def cross_entropy(logits: jax.Array, y: jax.Array) -> jax.Array:
    """Mean of −log softmax(z)[y]."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[..., None], -1).mean()


def squared_error(guess: jax.Array, y: jax.Array) -> jax.Array:
    """Mean of the squares."""
    return ((guess - y) ** 2).mean()


def train(
    name: str,
    loss_of: Callable[..., tuple[jax.Array, Any]],
    update: Update,
    kind: Update | None = None,
    statistics: Any = (),
    turned: Callable[[Problem], Problem] = lambda problem: problem,
) -> Step:
    """The jitted step: state in, state and loss out. `kind` is the optimizer whose state `update` keeps."""
    problem, lr = turned(case(name).problem()), case(name).lr
    x, y = jnp.asarray(problem.x), jnp.asarray(problem.y)

    @partial(jax.jit, donate_argnums=donated)
    def jitted(params: Any, state: Any, statistics: Any, x: jax.Array, y: jax.Array) -> tuple:
        (loss, statistics), grads = jax.value_and_grad(loss_of, has_aux=True)(params, statistics, x, y)
        params, state = update(params, grads, state, lr)
        return params, state, statistics, loss

    params = [jnp.asarray(w) for w in problem.weights]
    state = start(params)[kind or update]

    def step() -> jax.Array:
        nonlocal params, state, statistics
        params, state, statistics, loss = jitted(params, state, statistics, x, y)
        return loss

    return step


def plain(forward: Callable, loss: Callable, update: Update, kind: Update | None = None) -> Callable[[str], Step]:
    """A step of a network without statistics."""
    return lambda name: train(name, lambda p, s, x, y: (loss(forward(p, x), y), s), update, kind)


def _normed(forward: Callable) -> Callable[..., tuple[jax.Array, Any]]:
    """Cross-entropy of a network that also gives new statistics."""

    def loss_of(params: Any, statistics: Any, x: jax.Array, y: jax.Array) -> tuple[jax.Array, Any]:
        logits, statistics = forward(params, statistics, x)
        return cross_entropy(logits, y), statistics

    return loss_of


def norm(name: str) -> Step:
    """784-512-512-10 with batch norm; the running statistics are part of the state."""

    def forward(params: Any, statistics: Any, x: jax.Array) -> tuple[jax.Array, Any]:
        seen = []
        for k, running in enumerate(statistics):
            w, b, scale, shift = params[4 * k : 4 * k + 4]
            x, running = nets.batch_norm(x @ w.T + b, scale, shift, running)
            x = jax.nn.relu(x)
            seen.append(running)
        return x @ params[-2].T + params[-1], seen

    return train(name, _normed(forward), adam, statistics=nets.first_statistics((512, 512)))


def lenet(name: str) -> Step:
    """LeNet."""
    turned = partial(nets.channels_last, flat=(16, 5, 5))
    return train(name, lambda p, s, x, y: (cross_entropy(nets.lenet(p, x), y), s), sgd, turned=turned)


def cnn(name: str) -> Step:
    """Three convolutions with batch norm."""
    turned = partial(nets.channels_last, flat=(128, 4, 4))
    return train(name, _normed(nets.cnn), adam, statistics=nets.first_statistics((32, 64, 128)), turned=turned)


def residual(name: str) -> Step:
    """Two residual blocks."""
    statistics = nets.first_statistics((64,) * 5)
    return train(name, _normed(nets.residual), momentum, statistics=statistics, turned=nets.channels_last)


relu_layers, tanh_layers = nets.layers(jax.nn.relu), nets.layers(jnp.tanh)
STEPS: dict[str, Callable[[str], Step]] = {
    "xor": plain(tanh_layers, squared_error, sgd),
    "line": plain(lambda p, x: x @ p[0] + p[1], squared_error, sgd),
    "tiny": plain(relu_layers, cross_entropy, adam),
    "softmax": plain(relu_layers, cross_entropy, sgd),
    "mlp": plain(relu_layers, cross_entropy, sgd),
    "mlp32": plain(relu_layers, cross_entropy, adam),
    "norm": norm,
    "lenet": lenet,
    "cnn": cnn,
    "residual": residual,
    "gru": plain(nets.gru, cross_entropy, clipped(adam, 1.0), adam),
    "lstm": plain(nets.lstm, cross_entropy, clipped(adam, 1.0), adam),
    "encoder": plain(nets.encoder, cross_entropy, adamw, adam),
    "gpt": plain(nets.gpt, cross_entropy, adamw, adam),
    "factors": plain(nets.factors, squared_error, sgd),
    **dict.fromkeys(DEPTHS, plain(tanh_layers, squared_error, sgd)),
}
