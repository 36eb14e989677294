"""Graphs as machine code, for tests: compiled afresh (no cache), run on arrays by a pool of so many threads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from danlu.compile import program
from danlu.config import config
from danlu.graph import Node
from danlu.runtime.buffers import Buffer
from danlu.runtime.executable import Compiled


def build(roots: Sequence[Node], num_inputs: int, given: Sequence[tuple[int, int]] = ()) -> Compiled:
    """The program of a graph; `given`: inputs whose memory it may overwrite, each with the root that takes its place, or -1."""
    return Compiled(program.build(roots, num_inputs, given=given))


def run(
    executable: Compiled, roots: Sequence[Node], arrays: Sequence[np.ndarray], numbers: Sequence[float] = (), threads: int = 1
) -> list[np.ndarray]:
    """The values of the roots."""
    before, config.num_threads = config.num_threads, threads
    try:
        pairs = [v for x in numbers for v in (x, int(x))]
        buffers = executable.run([Buffer.from_numpy(np.array(a, order="C")) for a in arrays], pairs)
    finally:
        config.num_threads = before
    return [b.as_numpy(r.shape, r.dtype.numpy) for b, r in zip(buffers, roots)]


def native(
    roots: Sequence[Node], arrays: Sequence[np.ndarray], numbers: Sequence[float] = (), threads: int = 1
) -> list[np.ndarray]:
    """The values of the roots, compiled."""
    return run(build(roots, len(arrays)), roots, arrays, numbers, threads)
