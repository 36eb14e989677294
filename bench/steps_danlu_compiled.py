"""danlu's steps through `danlu.compile`."""

from __future__ import annotations

from collections.abc import Callable

import danlu
from bench import steps_danlu
from bench.steps_danlu import VERSION, Step, read, set_threads, threads


def compiled(make: Callable[[str], Step]) -> Callable[[str], Step]:
    """The same step, compiled."""
    return lambda name: danlu.compile(make(name))


STEPS = {name: compiled(make) for name, make in steps_danlu.STEPS.items()}

__all__ = ["STEPS", "VERSION", "Step", "read", "set_threads", "threads"]
