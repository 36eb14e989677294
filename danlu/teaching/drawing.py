"""L6. SVG and HTML by hand: a canvas that knows how wide text is, curves on logarithmic axes, tables, a page."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10

FONT = "'DejaVu Sans','Segoe UI','Noto Sans CJK SC','Microsoft YaHei','PingFang SC',sans-serif"
INK, PALE, RED, BLUE, GREEN, ORANGE = "#1f2933", "#cbd2d9", "#c0392b", "#1f6fb2", "#2e8540", "#d9822b"


def text_width(text: str, size: float) -> float:
    """About how wide a text is, in the units of its font size."""
    return size * sum(_advance(c) for c in text)


def _advance(c: str) -> float:
    if unicodedata.east_asian_width(c) in "WF":
        return 1.0
    if unicodedata.combining(c):
        return 0.0
    if c in "⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵀ₀₁₂₃₄₅₆₇₈₉":
        return 0.42
    if c in "il.,:;|'′! ()[]·":
        return 0.36
    return 0.84 if c in "mwMW⊙Σ…≤≥+−=" else 0.64


class Canvas:
    """Elements of a picture, then the picture."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def add(self, tag: str, content: str = "", **attributes: object) -> None:
        """One element; `_` in a name stands for `-`."""
        words = "".join(f' {k.rstrip("_").replace("_", "-")}="{escape(_plain(v))}"' for k, v in attributes.items())
        self.parts.append(f"<{tag}{words}>{content}</{tag}>" if content else f"<{tag}{words}/>")

    def text(
        self, x: float, y: float, text: str, size: float = 12, anchor: str = "middle", fill: str = INK, **more: object
    ) -> None:
        """A line of text with its baseline at y."""
        self.add("text", escape(text), x=x, y=y, font_size=size, text_anchor=anchor, fill=fill, **more)

    def svg(self, width: float, height: float, title: str = "") -> str:
        """The whole."""
        head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{ceil(width)}" height="{ceil(height)}" '
        head += f'viewBox="0 0 {ceil(width)} {ceil(height)}" font-family="{escape(FONT)}" role="img">'
        name = f"<title>{escape(title)}</title>" if title else ""
        back = '<rect width="100%" height="100%" fill="#ffffff"/>'
        return head + name + back + "".join(self.parts) + "</svg>"


def _plain(value: object) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


# ---- curves -----------------------------------------------------------------------------------------------------------------


class Curve:
    """Points that belong together; `marked`: one of them that gets a ring and words."""

    def __init__(
        self, name: str, points: Sequence[tuple[float, float]], color: str, marked: int | None = None, words: str = ""
    ) -> None:
        self.name, self.points, self.color, self.marked, self.words = name, list(points), color, marked, words


class LogPlot:
    """Curves on two logarithmic axes, in a box of a canvas."""

    def __init__(self, canvas: Canvas, box: tuple[float, float, float, float], title: str, across: str, up: str) -> None:
        self.canvas, self.box = canvas, box
        x, y, width, height = box
        canvas.text(x + width / 2, y - 14, title, 13, font_weight="bold")
        canvas.text(x + width / 2, y + height + 36, across, 11)
        canvas.text(x - 44, y + height / 2, up, 11, transform=f"rotate(-90 {_plain(x - 44)} {_plain(y + height / 2)})")

    def draw(self, curves: Sequence[Curve], reverse: bool = False) -> None:
        """Axes that hold all points, then the curves; `reverse`: the larger numbers on the left."""
        points = [p for c in curves for p in c.points if p[0] > 0 and p[1] > 0]
        self.across, self.up = _decades([p[0] for p in points]), _decades([p[1] for p in points])
        self.up = (self.up[0] - 1, self.up[1])  # room for the words below a mark
        self.reverse = reverse
        self._axes()
        for k, curve in enumerate(curves):
            self._curve(curve, k, len(curves))

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a point stands on the canvas."""
        left, top, width, height = self.box
        u = (log10(x) - self.across[0]) / (self.across[1] - self.across[0])
        v = (log10(y) - self.up[0]) / (self.up[1] - self.up[0])
        return left + width * (1 - u if self.reverse else u), top + height * (1 - v)

    def _axes(self) -> None:
        left, top, width, height = self.box
        self.canvas.add("rect", x=left, y=top, width=width, height=height, fill="none", stroke=PALE)
        for k in _ticks(*self.across):
            x, _ = self.place(10.0**k, 10.0 ** self.up[0])
            self.canvas.add("line", x1=x, y1=top, x2=x, y2=top + height, stroke=PALE, stroke_width=0.5)
            self._tick(x, top + height + 16, k, "middle")
        for k in _ticks(*self.up):
            _, y = self.place(10.0 ** self.across[0], 10.0**k)
            self.canvas.add("line", x1=left, y1=y, x2=left + width, y2=y, stroke=PALE, stroke_width=0.5)
            self._tick(left - 6, y + 4, k, "end")

    def _tick(self, x: float, y: float, k: int, anchor: str) -> None:
        """10^k, the exponent as a smaller text: not every font has raised digits."""
        if k == 0:
            self.canvas.text(x, y, "1", 10, anchor)
            return
        exponent = str(k).replace("-", "−")
        wide, narrow = text_width("10", 10), text_width(exponent, 8)
        x -= narrow if anchor == "end" else (narrow - wide) / 2
        self.canvas.text(x, y, "10", 10, "end")
        self.canvas.text(x + 1, y - 4, exponent, 8, "start")

    def _curve(self, curve: Curve, k: int, count: int) -> None:
        left, top, width, height = self.box
        places = [self.place(x, y) for x, y in curve.points if x > 0 and y > 0]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        self.canvas.add("polyline", points=line, fill="none", stroke=curve.color, stroke_width=2)
        y = top + height + 58 + 16 * k
        self.canvas.add("line", x1=left, y1=y - 4, x2=left + 22, y2=y - 4, stroke=curve.color, stroke_width=2)
        self.canvas.text(left + 28, y, curve.name, 11, "start")
        if curve.marked is not None and curve.points[curve.marked][1] > 0:
            x, y = self.place(*curve.points[curve.marked])
            self.canvas.add("circle", cx=x, cy=y, r=4.5, fill="#ffffff", stroke=curve.color, stroke_width=2)
            half = text_width(curve.words, 10) / 2
            x = min(max(x, left + half + 4), left + width - half - 4)
            self.canvas.text(
                x, y + 20, curve.words, 10, fill="#ffffff", stroke="#ffffff", stroke_width=4
            )  # a halo over other curves
            self.canvas.text(x, y + 20, curve.words, 10, fill=curve.color)


def _decades(values: Sequence[float]) -> tuple[int, int]:
    if not values:
        return 0, 1
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return low, max(high, low + 1)


def _ticks(low: int, high: int) -> range:
    return range(low, high + 1, max(1, ceil((high - low) / 7)))


# ---- tables and pages -----------------------------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """An HTML table."""
    title = f'<caption style="text-align:left;font-weight:bold">{escape(caption)}</caption>' if caption else ""
    top = "".join(f"<th>{escape(h)}</th>" for h in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table>{title}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def page(title: str, body: str, lang: str) -> str:
    """A whole HTML page that needs nothing from outside."""
    style = f"body{{font-family:{FONT};margin:2em}}table{{border-collapse:collapse;margin:1em 0}}td,th{{padding:.2em .8em;text-align:left}}"
    style += "tr{border-bottom:1px solid #cbd2d9}svg{max-width:100%}"
    head = f'<meta charset="utf-8"/><title>{escape(title)}</title><style>{style}</style>'
    return f'<!DOCTYPE html>\n<html lang="{lang}"><head>{head}</head><body>{body}</body></html>\n'
