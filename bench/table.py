"""Results as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from bench.harness import Result
from bench.ratios import geometric_mean


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table; the first column to the left, the others to the right.

    >>> table(["a", "b"], [["x", "1"]])
    ['| a | b |', '|---|---:|', '| x | 1 |']
    """
    rule = "|---|" + "---:|" * (len(head) - 1)
    return ["| " + " | ".join(head) + " |", rule, *("| " + " | ".join(row) + " |" for row in rows)]


def duration(seconds: float | None) -> str:
    """Three digits with a unit.

    >>> duration(0.0000123), duration(0.00123), duration(1.23), duration(None)
    ('12.3 µs', '1.23 ms', '1.23 s', '–')
    """
    if seconds is None:
        return "–"
    for scale, unit in ((1e6, "µs"), (1e3, "ms")):
        if seconds * scale < 999.5:
            return f"{seconds * scale:#.3g}".rstrip(".") + f" {unit}"
    return f"{seconds:#.3g}".rstrip(".") + " s"


def ratio(result: Result, peer: str, clock: str, ours: str = "danlu") -> str:
    """The median of the paired ratios and its quartiles."""
    value, spread = result.ratio(peer, clock, ours), result.spread(peer, clock, ours)
    if value is None or spread is None:
        return "–"
    return f"**{value:.2f}** ({spread[0]:.2f}–{spread[1]:.2f})"


def _micros(result: Result, way: str, clock: str) -> str:
    micros = result.micros(way, clock)
    return duration(None if micros is None else micros * 1e-6)


# Like with like: (danlu's way, the peer, the heading of their ratio).
PAIRS = (("danlu", "torch", "plain / PyTorch"), ("danlu compiled", "jax", "compiled / JAX"))


def steps(results: Sequence[Result], clock: str = "cpu") -> list[str]:
    """One row a case: a step's median time by framework, the ratios and their targets."""
    ways = ("danlu", "danlu compiled", "torch", "jax", "jax donated")
    head = ["training step", "danlu, plain loop", "danlu.compile", "PyTorch eager", "JAX jit", "JAX jit, donated"]
    head += [name for *_, title in PAIRS for name in (title, "target")]
    rows = []
    for r in results:
        targets = (r.case.plain, r.case.compiled)
        ratios = [x for (ours, peer, _), target in zip(PAIRS, targets) for x in (ratio(r, peer, clock, ours), f"≤ {target:g}")]
        rows.append([r.case.title, *[_micros(r, way, clock) for way in ways], *ratios])
    means = [[x for r in results if (x := r.ratio(peer, clock, ours)) is not None] for ours, peer, _ in PAIRS]
    ends = [x for v, target in zip(means, (0.5, 0.7)) for x in (_mean(v), f"≤ {target:g}")]
    return table(head, [*rows, ["geometric mean", *[""] * len(ways), *ends]])


def _mean(ratios: Sequence[float]) -> str:
    return f"**{geometric_mean(ratios):.2f}** of {len(ratios)}" if ratios else "–"


def checks(results: Sequence[Result]) -> list[str]:
    """The part that is not timed: how far the losses agree, what the first step took, who failed; and whether the machine was busy."""
    head = ["training step", "losses agree to", "danlu's first step", "PyTorch's", "JAX's", "wall / CPU of danlu"]
    rows = []
    for r in results:
        first = [duration(r.first.get(way)) for way in ("danlu", "torch", "jax")]
        cpu, wall = r.micros("danlu"), r.micros("danlu", "wall")
        rows.append([r.case.title, f"{r.difference:.0e}", *first, f"{wall / cpu:.2f}" if cpu and wall else "–"])
    lines = table(head, rows)
    failures = [f"- {r.case.title}, {way}: not timed, {why}" for r in results for way, why in r.failed.items()]
    return [*lines, "", *failures] if failures else lines
