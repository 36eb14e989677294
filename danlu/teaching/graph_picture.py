"""L6. The graph of an explanation as SVG and as Mermaid."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from danlu.teaching.drawing import INK, RED, Canvas, text_width
from danlu.teaching.layout import Layout
from danlu.teaching.notation import text_of
from danlu.teaching.numbers import brief, shape_text
from danlu.teaching.steps import DATA, LEAF, OPERATION, Step
from danlu.teaching.words import say

FILL = {LEAF: ("#e8f3e8", "#2e8540"), DATA: ("#f2f4f6", "#7b8794"), OPERATION: ("#eaf2fa", "#1f6fb2")}
SIZE, LINE = 12, 17
LONGEST = 44  # signs of a formula in a box


def box_lines(step: Step) -> list[tuple[str, str]]:
    """(text, colour) of the lines in a node's box: formula; shape and value; gradient."""
    formula = "" if step.formula is None else text_of(step.formula)
    if len(formula) > LONGEST or formula.startswith("…"):
        formula = f"{step.op}(…)"
    name = f" · {step.name}" if step.name and step.name != text_of(step.letter) else ""
    lines = [(text_of(step.letter) + (f" = {formula}" if formula else "") + name, INK)]
    lines.append((f"{shape_text(step.shape)} {brief(step.array)}" if step.shape else brief(step.array), INK))
    if step.gradient is not None:
        lines.append((f"{text_of(step.gradient_letter)}: {brief(step.gradient)}", RED))
    return lines


def edges_of(steps: Sequence[Step]) -> list[tuple[int, int]]:
    """(from, to) by number, each once."""
    numbers = {id(s): k for k, s in enumerate(steps)}
    found = [(numbers[id(x)], k) for k, s in enumerate(steps) for x in s.inputs if id(x) in numbers]
    return list(dict.fromkeys(found))


def graph_svg(steps: Sequence[Step], caption: str) -> str:
    """Boxes in layers, inputs at the top, the loss at the bottom."""
    lines = [box_lines(s) for s in steps]
    sizes = [(max(text_width(t, SIZE) for t, _ in box) + 20, LINE * len(box) + 12) for box in lines]
    layout = Layout(sizes, edges_of(steps))
    canvas = Canvas()
    for path, (a, b) in zip(layout.paths, layout.edges):
        _edge(canvas, path, sizes[a][1], sizes[b][1])
    for step, place, size, box in zip(steps, layout.places, sizes, lines):
        _box(canvas, step, place, size, box)
    width = max(layout.width, text_width(caption, SIZE) + 32)
    canvas.text(16, layout.height + 14, caption, SIZE, "start", "#52606d")
    return canvas.svg(width, layout.height + 28, caption)


def _box(canvas: Canvas, step: Step, place: tuple[float, float], size: tuple[float, float], lines: list[tuple[str, str]]) -> None:
    (x, y), (width, height) = place, size
    fill, stroke = FILL[step.kind]
    canvas.add("rect", x=x - width / 2, y=y - height / 2, width=width, height=height, rx=6, fill=fill, stroke=stroke)
    for k, (text, color) in enumerate(lines):
        weight = "bold" if k == 0 else "normal"
        canvas.text(x, y - height / 2 + 6 + LINE * (k + 0.75), text, SIZE, fill=color, font_weight=weight)


def _edge(canvas: Canvas, path: list[tuple[float, float]], height_from: float, height_to: float) -> None:
    """A smooth line from the bottom of one box to the top of another, with a head."""
    points = list(path)
    points[0] = (points[0][0], points[0][1] + height_from / 2)
    tip = (points[-1][0], points[-1][1] - height_to / 2)
    points[-1] = (tip[0], tip[1] - 6)
    text = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        text += f" C{x0:.1f},{middle:.1f} {x1:.1f},{middle:.1f} {x1:.1f},{y1:.1f}"
    canvas.add("path", d=text, fill="none", stroke="#7b8794", stroke_width=1.3)
    x, y = tip
    canvas.add("path", d=f"M{x:.1f},{y:.1f} l-4,-8 l8,0 z", fill="#7b8794")


# ---- Mermaid ------------------------------------------------------------------------------------------------------------------


def mermaid(steps: Sequence[Step], lang: str) -> str:
    """A flowchart in Mermaid's language."""
    lines = ["flowchart TD"]
    for k, step in enumerate(steps):
        text = "<br/>".join(_quoted(t) for t, _ in box_lines(step))
        lines.append(f'  n{k}["{text}"]:::{step.kind}')
    lines += [f"  n{a} --> n{b}" for a, b in edges_of(steps)]
    for kind, (fill, stroke) in FILL.items():
        lines.append(f"  classDef {kind} fill:{fill},stroke:{stroke}")
    return "\n".join([*lines, f"  %% {say(lang, 'explain.caption')}"])


def _quoted(text: str) -> str:
    for sign, word in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(sign, word)
    return text
