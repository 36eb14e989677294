"""L6. Teaching: what danlu does when it differentiates, in words, formulas and pictures.

Only this page is loaded by `import danlu`; the rest of the folder when one of the two is first called.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def _page(name: str) -> Any:
    """A module of this folder, loaded now: together they would add 5 % to the time of `import danlu`."""
    return import_module(f"danlu.teaching.{name}")


def explain(loss: Any, names: Any = None, *, expand: bool = False, lang: str | None = None) -> Any:
    """The computation graph of a loss with its values, and the chain rule written out from the loss to every leaf.

    ∂L/∂u = Σ ∂L/∂v · ∂v/∂u over every v that was computed from u

    For u in the graph: ∂L/∂u = Σ ∂L/∂v · ∂v/∂u over every v that was computed from u. Layers get the letters of textbooks:
    zˡ = Wˡ aˡ⁻¹ + bˡ, aˡ = σ(zˡ), δˡ = ∂L/∂zˡ.

    names: a module, whose parameters' names are shown, or a dict of names and tensors, used as letters. expand: composites such as
    cross_entropy are written out as the primitive ops they stand for. lang: "en" or "zh"; by itself the language of messages.

    Shapes: loss of one element.

    Raises:
        GradientError: the loss does not require grad, is a leaf, or its graph was let go by backward().
        DanluError: the loss has more than one element, or names is neither a module nor a dict.

    Example:
        >>> import danlu
        >>> w = danlu.tensor([1.0, 2.0], requires_grad=True)
        >>> print(danlu.explain((w ** 2).sum(), {"w": w}, lang="en").textbook[0].text)
        ∂L/∂w = 2·w
    """
    return _page("explanation").explained(loss, names, expand, lang)


def compare(f: Callable[[Any], Any], x: Any, lang: str | None = None) -> Any:
    """The derivative of f at x by symbolic rule, numeric difference, forward accumulation and reverse accumulation, with what each costs.

    Symbolic: danlu's rules, written out as a formula. Numeric: (f(x + h) − f(x − h)) / 2h and (f(x + h) − f(x)) / h, 1e-1 ≥ h ≥ 1e-12.
    Forward: ∂f/∂x · ẋ, one pass per input. Reverse: ȳ · ∂f/∂x, one pass per output. f is recorded once, at x; everything is computed
    in float64 by compiled programs; the error is the largest one over the largest element of the derivative by reverse accumulation.

    Shapes: x and f(x) of any shape.

    Raises:
        GradientError: x is not of a floating dtype, f(x) does not depend on x, or f calls an autograd.Function.
        DanluError: f does not return a tensor.

    Example:
        >>> import danlu
        >>> result = danlu.autograd.compare(lambda x: x.sin() * x, danlu.tensor(2.0), lang="en")
        >>> print(result.latex())
        \\begin{aligned}
          f &= \\sin\\left(x\\right) \\, x \\\\
          \\frac{\\partial f}{\\partial x} &= \\sin\\left(x\\right) + x \\, \\cos\\left(x\\right)
        \\end{aligned}
    """
    return _page("comparison").compared(f, x, lang)


__all__ = ["compare", "explain"]
