"""danlu's single computations through `danlu.compile`."""

from __future__ import annotations

from functools import partial

from bench import kernels_danlu
from bench.kernels_danlu import VERSION, read, set_threads, threads

STEPS = {name: partial(make, compiled=True) for name, make in kernels_danlu.STEPS.items()}

__all__ = ["STEPS", "VERSION", "read", "set_threads", "threads"]
