"""L8. Learning curves: drawn with letters in a terminal, and as a picture where matplotlib is installed (its one importer)."""

from __future__ import annotations

import importlib.util
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from danlu.files import write_atomic

WIDTH, HEIGHT = 64, 10  # characters of the plot's inside
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # bits of a braille character: 4 rows of 2 dots
Rows = Sequence[Mapping[str, Any]]


def curves(rows: Rows) -> list[str]:
    """The columns worth drawing, in order: the losses, then the validation metric."""
    return [name for name in (rows[-1] if rows else {}) if name == "loss" or name.startswith("validation")]


def draw(values: Sequence[float], title: str, width: int = WIDTH, height: int = HEIGHT) -> list[str]:
    """One curve over the epochs as lines of text, its range on the left.

    >>> print("\\n".join(draw([1.0, 0.5, 0.0], "loss", width=6, height=2)))
    loss
         1 ⠑⠢⣀
         0 ⠀⠀⠀⠉⠢⢄
           epoch 1 to 3
    """
    low, high = min(values), max(values)
    scale = (4 * height - 1) / (high - low) if high > low else 0.0
    dots = [round((high - value) * scale) for value in _resample(values, 2 * width)]  # 0 is the top
    canvas = [[0] * width for _ in range(height)]
    for x, (y, before) in enumerate(zip(dots, dots[:1] + dots)):
        step = 1 if y >= before else -1
        for filled in range(before + step, y, step) if y != before else ():  # a steep piece leaves no gap
            canvas[filled // 4][x // 2] |= _DOTS[filled % 4][x % 2]
        canvas[y // 4][x // 2] |= _DOTS[y % 4][x % 2]
    lines = ["".join(chr(0x2800 + bits) for bits in line).rstrip("\u2800") for line in canvas]
    labels = [f"{high:.4g}", *[""] * (height - 2), f"{low:.4g}"]
    return [title, *(f"{label:>10} {line}".rstrip() for label, line in zip(labels, lines)), f"{'':10} epoch 1 to {len(values)}"]


def _resample(values: Sequence[float], count: int) -> list[float]:
    """`count` values along the straight lines between the given ones."""
    last = len(values) - 1
    places = [last * i / (count - 1) for i in range(count)]
    return [values[int(p)] + (p - int(p)) * (values[min(math.ceil(p), last)] - values[int(p)]) for p in places]


def draw_png(rows: Rows, best_epoch: int, path: Path) -> bool:
    """Write the curves as a picture; False, and nothing written, where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        return False
    from matplotlib.figure import Figure

    names = curves(rows)
    metrics = [name for name in names if not name.endswith("loss")]
    figure = Figure(figsize=(4.5 * (1 + len(metrics)), 3.2))
    figure.subplots_adjust(left=0.15 / (1 + len(metrics)), right=0.98, bottom=0.15, top=0.96)
    losses = [name for name in names if name.endswith("loss")]
    for place, group in enumerate([losses, *([name] for name in metrics)], 1):
        axes = figure.add_subplot(1, 1 + len(metrics), place)
        for name in group:
            axes.plot([row["epoch"] for row in rows], [row[name] for row in rows], label=name.replace("_", " "))
        axes.axvline(best_epoch, color="grey", linewidth=0.8, linestyle=":", label="best epoch")
        axes.set_xlabel("epoch")
        axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    write_atomic(path, picture.getvalue())
    return True
