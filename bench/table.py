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


def ratio(result: Result, peer: str, clock: str) -> str:
    """The median of the paired ratios and its quartiles."""
    value, spread = result.ratio(peer, clock), result.spread(peer, clock)
    if value is None or spread is None:
        return "–"
    return f"**{value:.2f}** ({spread[0]:.2f}–{spread[1]:.2f})"


def _micros(result: Result, way: str, clock: str) -> str:
    micros = result.micros(way, clock)
    return duration(None if micros is None else micros * 1e-6)


def steps(results: Sequence[Result], clock: str = "cpu") -> list[str]:
    """One row a case: a step's median time by framework, the ratios and their targets."""
    head = ["training step", "danlu", "PyTorch eager", "JAX jit", "JAX jit, donated", "danlu / PyTorch", "target", "danlu / JAX"]
    ways = ("danlu", "torch", "jax", "jax donated")
    rows = []
    for r in results:
        times = [_micros(r, way, clock) for way in ways]
        rows.append([r.case.title, *times, ratio(r, "torch", clock), f"≤ {r.case.plain:g}", ratio(r, "jax", clock)])
    means = {peer: [x for r in results if (x := r.ratio(peer, clock)) is not None] for peer in ("torch", "jax")}
    ends = [f"**{geometric_mean(v):.2f}** of {len(v)}" if v else "–" for v in means.values()]
    return table(head, [*rows, ["geometric mean", *[""] * len(ways), ends[0], "", ends[1]]])


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
