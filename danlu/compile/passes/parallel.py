"""L3. Pass: the outermost loop is cut into chunks that may run on any thread.

before: vector d0 < 1000000 lanes=16 { … }       after: vector d0 < 1000000 lanes=16 chunk=32768 { … }, chunks = 31

How a loop is cut depends on shapes alone, so results have the same bits on any number of threads. Loops that accumulate into an
outer total or write to computed positions stay whole. Needs: vectorised loops. Guarantees: chunks > 1 only around
independent work.
"""

from __future__ import annotations

from dataclasses import replace

from danlu.compile.index import Position, atoms_of
from danlu.compile.kernel import Kernel, Loop, Store, expressions, statements
from danlu.compile.target import Target

# Element steps that one chunk should have at least: about 10 µs of work, ten times what handing out a chunk costs.
GRAIN = 32768
PIECES = 64  # chunks at most where each has memory of its own


def parallel(kernel: Kernel, target: Target) -> Kernel:
    """The kernel with its outermost loop cut, where it has enough work."""
    if len(kernel.body) != 1 or not isinstance(kernel.body[0], Loop):
        return kernel
    loop = kernel.body[0]
    if any(isinstance(s, Store) and any(isinstance(a, Position) for a in atoms_of(s.index)) for s in statements(kernel.body)):
        return kernel
    chunk = kernel.chunk or -(-GRAIN // max(1, _work(loop.body, set())))
    if kernel.local:
        chunk = max(chunk, -(-loop.var.extent // PIECES))
    if loop.kind == "vector":
        chunk = -(-chunk // loop.lanes) * loop.lanes
    return replace(kernel, body=[replace(loop, chunk=chunk)], chunks=max(1, -(-loop.var.extent // chunk)))


def _work(body: list, seen: set[int]) -> int:
    """Element steps of one iteration, weighted by the expressions in it, each counted once."""
    total = 0
    for s in body:
        weight = s.var.extent * _work(s.body, seen) if isinstance(s, Loop) else len(expressions([s], seen)) // 4
        total += max(1, weight)
    return total
