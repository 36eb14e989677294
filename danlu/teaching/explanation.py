"""L6. `explain`: the computation graph behind a loss and the chain rule written out, node by node and as textbooks write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from danlu.errors import DanluError, GradientError
from danlu.teaching.drawing import page, table
from danlu.teaching.expression import ONE, Expression, named, plus, size, times
from danlu.teaching.graph_picture import graph_svg, mermaid
from danlu.teaching.notation import FUNCTIONS, KNOWN_TO_LATEX, latex_of, text_of
from danlu.teaching.numbers import brief, in_full, matrix, shape_text
from danlu.teaching.steps import LEAF, Step, contributions, formula, primitive, steps_of
from danlu.teaching.words import chosen, say
from danlu.tensor import Tensor
from danlu.tensor.modes import set_grad_enabled

BRIEF = 30  # signs: a gradient up to this length is put into the next formula, a longer one by its letter
MANY_AT_ONCE = {"softmax", "log_softmax"}  # activations of which an element depends on many


class Line:
    """One line of a derivation: `letter` = `expression`, where the numbers are those of `step`."""

    def __init__(self, letter: Expression, expression: Expression, step: Step, source: Step | None = None) -> None:
        self.letter, self.expression, self.step, self.source = letter, expression, step, source

    @property
    def text(self) -> str:
        """As text."""
        return f"{text_of(self.letter)} = {text_of(self.expression)}"

    @property
    def with_number(self) -> str:
        """As text, with its value."""
        value = in_full(self.step.gradient)
        return self.text if self.text.endswith(f" = {value}") else f"{self.text} = {value}"

    @property
    def latex(self) -> str:
        """As LaTeX, aligned at the sign of equality."""
        return f"{latex_of(self.letter)} &= {latex_of(self.expression)}"


class Explanation:
    """What `danlu.explain` gives: printed it is text, in a notebook a picture with tables; `save` writes a file by its suffix.

    `steps`: the nodes, inputs first. `rules`: the chain rule node by node. `textbook`: the same in the letters of textbooks.
    """

    def __init__(self, steps: list[Step], lang: str) -> None:
        self.steps, self.lang = steps, lang
        self.rules = _rules(steps)
        self.textbook, self.functions = _textbook(steps)

    def values(self) -> dict[Expression, np.ndarray]:
        """The number of every letter, of the values and of the gradients."""
        found = {s.letter: s.array for s in self.steps}
        return found | {s.gradient_letter: s.gradient for s in self.steps if s.gradient is not None}

    @property
    def title(self) -> str:
        """What is explained, in one line."""
        leaves = [s for s in self.steps if s.kind == LEAF]
        count = sum(s.array.size for s in leaves)
        root = self.steps[-1]
        return say(self.lang, "explain.title", letter=text_of(root.letter), value=brief(root.array), nodes=len(self.steps),
                   parameters=count, leaves=len(leaves))  # fmt: skip

    def text(self) -> str:
        """Plain text: values forward, the chain rule backward, and the textbook's lines with their numbers."""
        lines = [self.title, "", say(self.lang, "explain.forward")]
        lines += [f"  {label(s)}  {shape_text(s.shape)}  {in_full(s.array)}" for s in self.steps]
        lines += ["", say(self.lang, "explain.backward")]
        root = self.steps[-1]
        lines += [f"  {text_of(root.gradient_letter)} = 1"]
        lines += [f"  {line.with_number}" for line in self.rules]
        lines += ["", say(self.lang, "explain.textbook")]
        lines += [f"  {line.with_number}" for line in self.textbook]
        lines += [f"  {say(self.lang, 'explain.where')} {line.text}" for line in self.functions]
        return "\n".join([*lines, "", say(self.lang, "explain.axes")])

    def latex(self) -> str:
        """LaTeX: three aligned blocks: forward, backward node by node, the textbook's lines with their numbers."""
        forward = [
            f"{latex_of(s.letter)} &= {latex_of(s.formula)} = {matrix(s.array)}" for s in self.steps if s.formula is not None
        ]
        backward = [line.latex for line in self.rules]
        textbook = [f"{line.latex} = {matrix(line.step.gradient)}" for line in self.textbook] + [f.latex for f in self.functions]
        parts = [("explain.forward", forward), ("explain.backward", backward), ("explain.textbook", textbook)]
        return "\n".join(f"% {say(self.lang, key)}\n" + _aligned(lines) for key, lines in parts)

    def mermaid(self) -> str:
        """The graph in Mermaid's language, which many Markdown viewers draw."""
        return mermaid(self.steps, self.lang)

    def svg(self) -> str:
        """The graph as a picture: shapes, values and, in red, gradients."""
        return graph_svg(self.steps, say(self.lang, "explain.caption"))

    def html(self) -> str:
        """The picture and two tables."""
        words = ("explain.node", "explain.shape", "explain.value", "explain.gradient")
        head = [say(self.lang, w) for w in words]
        rows = [
            [label(s), shape_text(s.shape), brief(s.array), "" if s.gradient is None else brief(s.gradient)] for s in self.steps
        ]
        formulas = [[line.text, brief(line.step.gradient)] for line in self.textbook] + [[f.text, ""] for f in self.functions]
        chain = [[line.text, brief(line.step.gradient)] for line in self.rules]
        small = [say(self.lang, "explain.formula"), say(self.lang, "explain.value")]
        return "".join([
            self.svg(), table(head, rows, self.title), table(small, formulas, say(self.lang, "explain.textbook")),
            table(small, chain, say(self.lang, "explain.backward")), f"<p>{say(self.lang, 'explain.axes')}</p>",
        ])  # fmt: skip

    def markdown(self) -> str:
        """Markdown with the graph in Mermaid."""
        return f"## {self.title}\n\n```mermaid\n{self.mermaid()}\n```\n\n```text\n{self.text()}\n```\n"

    def save(self, path: Any) -> None:
        """Writes the explanation as the suffix says: .txt .tex .md .svg .html."""
        writers = {
            ".txt": self.text, ".tex": self.latex, ".md": self.markdown, ".svg": self.svg,
            ".html": lambda: page(self.title, self.html(), self.lang),
        }  # fmt: skip
        write(path, writers, self.lang)

    _repr_html_ = html

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__


def write(path: Any, writers: dict[str, Any], lang: str) -> None:
    """A text into a file, made by the writer of the file's suffix."""
    target = Path(path)
    writer = writers.get(target.suffix.lower())
    if writer is None:
        raise DanluError(say(lang, "error.suffix", path=str(path), suffix=target.suffix, known=", ".join(writers)))
    target.write_text(writer(), "utf-8")


def label(step: Step) -> str:
    """A node in one line: its letter, its formula or its name."""
    text = text_of(step.letter)
    if step.formula is not None:
        text += f" = {text_of(step.formula)}"
    return text + (f" · {step.name}" if step.name and step.name != text_of(step.letter) else "")


def _aligned(lines: list[str]) -> str:
    return "\\begin{aligned}\n" + " \\\\\n".join(f"  {line}" for line in lines) + "\n\\end{aligned}"


# ---- the chain rule ---------------------------------------------------------------------------------------------------------


def _rules(steps: list[Step]) -> list[Line]:
    """For each node, from the loss to the leaves: its gradient as the sum of what its users pass on."""
    parts: dict[Step, list[Expression]] = {}
    lines = []
    for step in reversed(steps):
        if step.gradient is None or (step is not steps[-1] and step not in parts):
            continue
        if step in parts:
            lines.append(Line(step.gradient_letter, plus(*parts[step]), step))
        g = ONE if step is steps[-1] else step.gradient_letter
        for x, part in contributions(step, g):
            parts.setdefault(x, []).append(part)
    return lines


def _textbook(steps: list[Step]) -> tuple[list[Line], list[Line]]:
    """δ of each layer and the gradients of the leaves, other steps put in where they are short; and what σ′ and its like mean."""
    parts: dict[Step, list[Expression]] = {steps[-1]: [ONE]}
    known = _letters(steps)
    lines: list[Line] = []
    functions: dict[str, Line] = {}
    for step in reversed(steps):
        if step.gradient is None or step not in parts:
            continue
        g = plus(*parts[step])
        shown = step.kind == LEAF or step.is_delta
        if (shown or size(g) > BRIEF) and step is not steps[-1]:
            lines.append(Line(step.gradient_letter, g, step))
            g = step.gradient_letter
        if step.is_activation and step.op not in MANY_AT_ONCE and len(step.inputs) == 1:
            slope = _slope(step, functions)
            found = [(step.inputs[0], times(g, slope))]
        else:
            found = contributions(step, g, lambda x: known.get(x, x.letter))
        for x, part in found:
            parts.setdefault(x, []).append(part)
    return lines, list(functions.values())


def _letters(steps: list[Step]) -> dict[Step, Expression]:
    """Steps that a textbook has a letter for by it, others by their formula where that is short."""
    known: dict[Step, Expression] = {}
    for step in steps:
        known[step] = step.letter
        if step.formula is not None and not step.layer:
            found = formula(step, lambda x: known.get(x, x.letter))
            known[step] = found if size(found) <= BRIEF else step.letter
    return known


def _slope(step: Step, functions: dict[str, Line]) -> Expression:
    """σ′(z), and once what it means."""
    ((_, meaning),) = contributions(step, ONE)
    default = f"\\{step.op}" if step.op in KNOWN_TO_LATEX else rf"\operatorname{{{step.op}}}".replace("_", r"\_")
    text, latex = FUNCTIONS.get(step.op, (step.op, default))
    slope = named(f"{text}′", f"{latex}'", [step.inputs[0].letter], meaning)
    functions.setdefault(step.op, Line(slope, meaning, step))
    return slope


# ---- the way in ----------------------------------------------------------------------------------------------------


def explained(loss: Any, names: Any, expand: bool, lang: str | None) -> Explanation:
    """What `danlu.explain` does (danlu/teaching/__init__.py)."""
    lang = chosen(lang)
    if not isinstance(loss, Tensor):
        raise DanluError(say(lang, "error.tensor", tool="explain", kind=type(loss).__name__, instead="danlu.explain(loss)"))
    if loss.numel() != 1:
        raise DanluError(say(lang, "error.scalar", shape=tuple(loss.shape)))
    if not loss.requires_grad:
        raise GradientError(say(lang, "error.no_grad"))
    if loss.is_leaf:
        raise GradientError(say(lang, "error.leaf"))
    pairs, by_hand = _named(names, lang)
    with set_grad_enabled(True):
        value = loss._value()
        if value.freed:
            raise GradientError(say(lang, "error.freed"))
        return Explanation(steps_of(primitive(value) if expand else value, pairs, by_hand), lang)


def _named(names: Any, lang: str) -> tuple[list[tuple[str, Any]], bool]:
    """(name, tensor) pairs, and whether the user chose the names as letters."""
    if names is None:
        return [], False
    if isinstance(names, dict):
        return [(str(k), v) for k, v in names.items()], True
    if hasattr(names, "named_parameters"):
        return list(names.named_parameters()), False
    raise DanluError(say(lang, "error.names", kind=type(names).__name__))


__all__ = ["Explanation", "Line", "explained"]
