"""The pictures of docs/teaching.md, drawn anew: `python tools/teaching_pictures.py`. tests/teaching compares their words with docs/images."""

from __future__ import annotations

import sys
from pathlib import Path

import danlu

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images"


def network() -> tuple[danlu.Tensor, dict[str, danlu.Tensor]]:
    """½ Σ (a² − y)² of a two-layer sigmoid network with two inputs, two hidden units and one output."""
    names = {
        "W1": danlu.tensor([[0.5, -0.5], [1.0, 0.25]], requires_grad=True),
        "b1": danlu.tensor([0.0, -0.5], requires_grad=True),
        "W2": danlu.tensor([[1.0, -1.0]], requires_grad=True),
        "b2": danlu.tensor([0.25], requires_grad=True),
    }
    x, y = danlu.tensor([1.0, 2.0]), danlu.tensor([1.0])
    hidden = danlu.sigmoid(names["W1"] @ x + names["b1"])
    output = danlu.sigmoid(names["W2"] @ hidden + names["b2"])
    return ((output - y) ** 2).sum() / 2, names


def regression(w: danlu.Tensor) -> danlu.Tensor:
    """The mean squared error of a logistic model with as many parameters as w has."""
    n = w.numel()
    x = danlu.linspace(-1, 1, 50 * n).reshape(50, n).sin()
    return ((danlu.sigmoid(x @ w) - 0.5) ** 2).mean()


def main(folder: Path = FOLDER) -> None:
    """Writes explain.svg, explain.zh.svg, compare.svg and compare.zh.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    for lang, suffix in (("en", ".svg"), ("zh", ".zh.svg")):
        danlu.explain(network()[0], lang=lang).save(folder / f"explain{suffix}")
        danlu.autograd.compare(regression, danlu.linspace(-1, 1, 100), lang=lang).save(folder / f"compare{suffix}")


if __name__ == "__main__":
    sys.exit(main())
