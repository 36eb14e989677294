"""Epochs as one jitted `lax.scan` over the batches."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from bench import nets_jax as nets
from bench.epochs import EPOCHS
from bench.steps_jax import VERSION, Step, adam, cross_entropy, read, set_threads, start, threads


def step(name: str) -> Step:
    """A function that does the next epoch; it gives the mean of its losses."""
    row = EPOCHS[name]
    problem, lr, forward = row.case.problem(), row.case.lr, nets.layers(jax.nn.relu)
    xs, ys = (jnp.asarray(a.reshape(row.batches, -1, *a.shape[1:])) for a in (problem.x, problem.y))

    def update(carried: tuple[Any, Any], batch: tuple[jax.Array, jax.Array]) -> tuple[tuple[Any, Any], jax.Array]:
        params, state = carried
        loss, grads = jax.value_and_grad(lambda p: cross_entropy(forward(p, batch[0]), batch[1]))(params)
        return adam(params, grads, state, lr), loss

    @jax.jit
    def epoch(carried: tuple[Any, Any], xs: jax.Array, ys: jax.Array) -> tuple[tuple[Any, Any], jax.Array]:
        carried, losses = lax.scan(update, carried, (xs, ys))
        return carried, losses.mean()

    params = [jnp.asarray(w) for w in problem.weights]
    carried = (params, start(params)[adam])

    def run() -> jax.Array:
        nonlocal carried
        carried, loss = epoch(carried, xs, ys)
        return loss

    return run


STEPS = dict.fromkeys(EPOCHS, step)

__all__ = ["STEPS", "VERSION", "read", "set_threads", "threads"]
