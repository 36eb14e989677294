"""One training step of a tiny MLP (4-16-3, batch 16, Adam), a plain loop without any decorator: danlu, PyTorch eager, JAX jit.

    python -m bench.tiny_step [--rounds 25]

The figure of danlu is ≤ 150 µs of CPU time a step, warm.
"""

from __future__ import annotations

import argparse

from bench import training

TARGET_MICROS = 150


def report(rounds: int) -> list[str]:
    """Markdown."""
    described, (result,) = training.measure(["tiny"], rounds)
    lines = [*described, "", *training.table.steps([result])[:-1], ""]
    micros = result.micros("danlu")
    if micros is None:
        return [*lines, f"danlu was not timed: {result.failed}"]
    best = min(result.cpu["danlu"]) * 1e6
    verdict = "met" if micros <= TARGET_MICROS else "NOT met"
    return [*lines, f"danlu: median {micros:.0f} µs, best round {best:.0f} µs; target ≤ {TARGET_MICROS} µs: {verdict}."]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    print("\n".join(report(parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
