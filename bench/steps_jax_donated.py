"""JAX's steps with the state donated to the jitted function, so that XLA may update it in place."""

from __future__ import annotations

from bench import steps_jax
from bench.steps_jax import STEPS, VERSION, Step, read, set_threads, threads

steps_jax.donated = (0, 1)  # parameters and optimizer

__all__ = ["STEPS", "VERSION", "Step", "read", "set_threads", "threads"]
