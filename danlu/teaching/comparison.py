"""L6. `compare`: one derivative by symbolic rule, numeric difference, forward and reverse accumulation, and what each costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from danlu.autodiff import gradients
from danlu.compile.simplify import simplify
from danlu.graph import Node, is_memory, toposort
from danlu.ops.table import o
from danlu.teaching.convert import expression_of
from danlu.teaching.drawing import BLUE, GREEN, ORANGE, RED, Canvas, Curve, LogPlot, page, table
from danlu.teaching.explanation import write
from danlu.teaching.expression import Expression, evaluate, size, symbol
from danlu.teaching.measure import (
    Recording,
    count_nodes,
    forward_program,
    median_seconds,
    operations_written_out,
    reverse_program,
    signs,
    stored_bytes,
    value_program,
    written_out,
)  # fmt: skip
from danlu.teaching.notation import LONGEST, latex_of, text_of
from danlu.teaching.numbers import amount, brief, memory, seconds, short
from danlu.teaching.words import chosen, say

STEPS = [10.0 ** (-k / 2) for k in range(2, 25)]  # 1e-1 … 1e-12
SOME_INPUTS, SOME_OUTPUTS, CURVE_INPUTS = 64, 16, 8  # of how many the numbers are computed
HIGHEST, MOST_NODES = 4, 4000  # orders of derivatives whose size is shown, and where it ends


class Row(NamedTuple):
    """One method: its derivative, how far it is from the reference, and what the whole derivative costs."""

    method: str
    value: np.ndarray
    error: float
    passes: int
    nodes: int
    operations: int
    seconds: float
    bytes: int


class Swell(NamedTuple):
    """How long a derivative of some order is: written out, simplified, and as a graph that shares."""

    order: int
    written: int
    simplified: int
    shared: int


class Comparison:
    """What `danlu.autograd.compare` gives: printed it is a table, in a notebook a table with a picture; `save` writes a file.

    `rows`: the methods. `curve`: (h, error of the central, of the forward difference). `best`: the step with the least error of each.
    `swell`: the length of the formula by order. `formula`, `derivative`: the expressions; `latex()` writes them.
    """

    def __init__(self, recording: Recording, lang: str) -> None:
        self.lang, self._r = lang, recording
        self.n, self.m = prod(recording.x.shape), prod(recording.y.shape)
        self.inputs, self.outputs = _some(self.n, SOME_INPUTS), _some(self.m, SOME_OUTPUTS)
        self._programs()
        self._symbols()
        self.reference = self._reverse_values()
        self.curve = self._curve()
        self.best = {
            "central": min(self.curve, key=lambda p: p[1])[0],
            "forward": min(self.curve, key=lambda p: p[2])[0],
        }
        self.swell = self._swell()
        self.rows = self._rows()

    # ---- programs and formulas --------------------------------------------------------------------------------------------
    def _programs(self) -> None:
        self.f, self.jvp, self.vjp = value_program(self._r), forward_program(self._r), reverse_program(self._r)

    def _symbols(self) -> None:
        r = self._r
        self.letters = {id(r.x): symbol("x", "x", r.x.shape)}
        self._values: dict[Expression, Any] = {self.letters[id(r.x)]: r.arrays[0]}
        inputs = {n.attrs[0]: n for n in _memories(r.y)}
        for k, node in sorted(inputs.items()):
            if k:
                letter = symbol(f"c{k}" if len(inputs) > 2 else "c", f"c_{{{k}}}" if len(inputs) > 2 else "c", node.shape)
                self.letters[id(node)] = letter
                self._values[letter] = r.arrays[k]
        self._gradient_node = self._gradient(r.y, self._seed())
        self.formula = expression_of(r.y, self.letters)
        self.derivative = expression_of(self._gradient_node, self.letters)

    def _seed(self) -> Node:
        """1 for one output, else a letter g: ∂(g·f)/∂x."""
        if self.m == 1:
            return o.like(1.0, self._r.y)
        seed = self._r.seed(self._r.y.shape)
        self.letters[id(seed)] = self._g = symbol("g", "g", self._r.y.shape)
        return seed

    def _gradient(self, y: Node, seed: Node) -> Node:
        (g,) = gradients([y], [seed], [self._r.x])
        return o.like(0, self._r.x) if g is None else g

    # ---- numbers ------------------------------------------------------------------------------------------------------------
    def _reverse_values(self) -> np.ndarray:
        """∂y/∂x at the chosen outputs and inputs: one pass per output."""
        rows = [self.vjp.run(_unit(self._r.y.shape, k))[1].ravel()[self.inputs] for k in self.outputs]
        return np.stack(rows)

    def _forward_values(self) -> np.ndarray:
        columns = [self.jvp.run(_unit(self._r.x.shape, k))[1].ravel()[self.outputs] for k in self.inputs]
        return np.stack(columns, axis=1)

    def _symbolic_values(self) -> np.ndarray:
        rows = []
        for k in self.outputs:
            values = dict(self._values) if self.m == 1 else self._values | {self._g: _unit(self._r.y.shape, k)}
            g = np.broadcast_to(evaluate(self.derivative, values), self._r.x.shape)
            rows.append(g.ravel()[self.inputs])
        return np.stack(rows)

    def _moved(self, k: int, h: float) -> np.ndarray:
        """f at x with h added to one element."""
        x = self._r.arrays[0].copy()
        x.reshape(-1)[k] += h
        return self.f.run(x=x)[0].ravel()[self.outputs].copy()

    def _differences(self, inputs: Sequence[int], h: float) -> tuple[np.ndarray, np.ndarray]:
        """Central and forward differences."""
        here = self.f.run()[0].ravel()[self.outputs].copy()
        up = np.stack([self._moved(k, h) for k in inputs], axis=1)
        down = np.stack([self._moved(k, -h) for k in inputs], axis=1)
        return (up - down) / (2 * h), (up - here[:, None]) / h

    def error(self, found: np.ndarray, reference: np.ndarray | None = None) -> float:
        """The largest difference from the reference, over its largest element."""
        reference = self.reference if reference is None else reference
        scale = float(np.abs(reference).max()) or 1.0
        return float(np.abs(found - reference).max()) / scale

    def _curve(self) -> list[tuple[float, float, float]]:
        """(h, error of the central, of the forward difference)"""
        few = _some(len(self.inputs), CURVE_INPUTS)
        reference, points = self.reference[:, few], []
        for h in STEPS:
            central, forward = self._differences([self.inputs[k] for k in few], h)
            points.append((h, self.error(central, reference), self.error(forward, reference)))
        return points

    def _swell(self) -> list[Swell]:
        """The sizes of f and of its derivatives, while the graph is not too large; higher orders of a function of one number."""
        node, found = self._r.y, []
        for order in range(HIGHEST + 1):
            (small,) = simplify([node])
            expression = expression_of(node, self.letters)
            found.append(Swell(order, written_out([node], signs), size(expression), count_nodes([small])))
            if (order == 1 and self.n * self.m > 1) or count_nodes([small]) > MOST_NODES:
                break
            node = self._gradient(node, self._seed() if order == 0 else o.like(1.0, node))
        return found

    # ---- the table ------------------------------------------------------------------------------------------------------------
    def _rows(self) -> list[Row]:
        n, m, one = self.n, self.m, self.f.seconds()
        central, forward = (self._differences(self.inputs, self.best[k])[i] for i, k in enumerate(("central", "forward")))
        symbolic = self._symbolic_values()
        g = self._gradient_node
        rows = [
            Row("symbolic", symbolic, self.error(symbolic), m, m * written_out([g]), m * operations_written_out([g]),
                m * median_seconds(self._symbolic_values) / len(self.outputs), 0),
            self._numeric("central", central, 2 * n, one),
            self._numeric("forward_difference", forward, n + 1, one),
        ]  # fmt: skip
        pushed = self._forward_values()
        rows.append(Row("forward", pushed, self.error(pushed), n, n * self.jvp.nodes, n * self.jvp.operations,
                        n * self.jvp.seconds(_unit(self._r.x.shape, 0)), 0))  # fmt: skip
        rows.append(Row("reverse", self.reference, 0.0, m, m * self.vjp.nodes, m * self.vjp.operations,
                        m * self.vjp.seconds(_unit(self._r.y.shape, 0)), stored_bytes(self._r)))  # fmt: skip
        return rows

    def _numeric(self, name: str, found: np.ndarray, passes: int, one: float) -> Row:
        return Row(name, found, self.error(found), passes, passes * self.f.nodes, passes * self.f.operations, passes * one, 0)

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        names = ("method", "value", "error", "passes", "nodes", "flops", "time", "memory")
        rows = []
        for r in self.rows:
            error = say(self.lang, "compare.reference") if r.method == "reverse" else f"{r.error:.1e}"
            value = r.value[0, 0] if r.value.size == 1 else r.value[0] if self.m == 1 else r.value
            rows.append([say(self.lang, f"compare.{r.method}"), brief(value), error, amount(r.passes), amount(r.nodes),
                         amount(r.operations), seconds(r.seconds), memory(r.bytes)])  # fmt: skip
        return [say(self.lang, f"compare.{k}") for k in names], rows

    def _swell_cells(self) -> tuple[list[str], list[list[str]]]:
        head = [say(self.lang, f"compare.{k}") for k in ("order", "written", "simplified", "shared")]
        rows = [["f" + "′" * s.order, amount(s.written), amount(s.simplified), amount(s.shared)] for s in self.swell]
        return head, rows

    def _sentences(self) -> list[str]:
        """What the numbers say."""
        by_h = {h: (c, f) for h, c, f in self.curve}
        h, k = self.best["central"], self.best["forward"]
        best = say(self.lang, "compare.best", central=f"{h:.0e}", central_error=f"{by_h[h][0]:.0e}", forward=f"{k:.0e}",
                   forward_error=f"{by_h[k][1]:.0e}")  # fmt: skip
        forward, reverse = self.rows[3].nodes, self.rows[4].nodes
        why = say(
            self.lang, "compare.why", forward=amount(forward), reverse=amount(reverse), winner=self._winner(forward, reverse)
        )
        sampled = []
        if len(self.inputs) < self.n or len(self.outputs) < self.m:
            sampled = [say(self.lang, "compare.sampled", inputs=len(self.inputs), n=self.n, outputs=len(self.outputs), m=self.m)]
        return [best, why, *sampled]

    @property
    def crossing(self) -> int:
        """From how many inputs on reverse accumulation computes fewer nodes than forward accumulation."""
        return self.m * self.vjp.nodes // max(self.jvp.nodes, 1) + 1

    def _winner(self, forward: int, reverse: int) -> str:
        if reverse < forward:
            return say(self.lang, "compare.reverse_wins", times=short(round(forward / max(reverse, 1), 1)))
        if forward < reverse:
            times = short(round(reverse / max(forward, 1), 1))
            return say(self.lang, "compare.forward_wins", times=times, crossing=self.crossing)
        return say(self.lang, "compare.equal")

    @property
    def title(self) -> str:
        """What is compared, in one line."""
        return say(self.lang, "compare.title", n=self.n, m=self.m)

    def __str__(self) -> str:
        left = "∂f/∂x" if self.m == 1 else "∂(g·f)/∂x"
        lines = [self.title, f"  f = {text_of(self.formula)}", f"  {left} = {self._written()}", ""]
        lines += _aligned(*self._cells())
        lines += ["", *self._sentences(), "", say(self.lang, "compare.swell"), *_aligned(*self._swell_cells())]
        return "\n".join(lines)

    __repr__ = __str__

    def _written(self) -> str:
        if size(self.derivative) > LONGEST:
            return say(self.lang, "compare.too_long", limit=LONGEST)
        return text_of(self.derivative)

    def latex(self) -> str:
        """f and its derivative in LaTeX."""
        top = r"\frac{\partial f}{\partial x}" if self.m == 1 else r"\frac{\partial (g \cdot f)}{\partial x}"
        lines = [f"  f &= {latex_of(self.formula)} \\\\", f"  {top} &= {latex_of(self.derivative)}"]
        return "\n".join([r"\begin{aligned}", *lines, r"\end{aligned}"])

    # ---- pictures ----------------------------------------------------------------------------------------------------------
    def svg(self) -> str:
        """Two pictures: the error of differences over h, and the cost of a gradient over the number of inputs."""
        canvas = Canvas()
        self._draw_curve(canvas)
        self._draw_cost(canvas)
        return canvas.svg(930, 440, self.title)

    def _draw_curve(self, canvas: Canvas) -> None:
        words, curves = say(self.lang, "compare.best_mark"), []
        for i, (name, best, color) in enumerate((("central", "central", BLUE), ("forward_difference", "forward", ORANGE)), 1):
            at = next(k for k, p in enumerate(self.curve) if p[0] == self.best[best])
            points = [(p[0], p[i]) for p in self.curve]
            curves.append(Curve(say(self.lang, f"compare.{name}"), points, color, at, f"{words} = {self.best[best]:.0e}"))
        box = (80.0, 50.0, 350.0, 270.0)
        plot = LogPlot(
            canvas, box, say(self.lang, "compare.curve"), say(self.lang, "compare.step"), say(self.lang, "compare.error")
        )
        plot.draw(curves, reverse=True)

    def cost(self, inputs: int) -> dict[str, int]:
        """The nodes that are computed for the derivatives with respect to so many inputs."""
        return {
            "central": 2 * inputs * self.f.nodes, "forward": inputs * self.jvp.nodes, "reverse": self.m * self.vjp.nodes
        }  # fmt: skip

    def _draw_cost(self, canvas: Canvas) -> None:
        most = max(1000, self.n)
        counts = sorted({*[int(10 ** (k / 4)) for k in range(int(4 * np.log10(most)) + 1)], self.n, most})
        here, curves = counts.index(self.n), []
        for name, color in (("central", BLUE), ("forward", GREEN), ("reverse", RED)):
            points = [(float(k), float(self.cost(k)[name])) for k in counts]
            words = f"{say(self.lang, 'compare.here')}: n = {self.n}" if name == "reverse" else ""
            curves.append(Curve(say(self.lang, f"compare.{name}"), points, color, here if words else None, words))
        box = (550.0, 50.0, 350.0, 270.0)
        plot = LogPlot(
            canvas, box, say(self.lang, "compare.cost"), say(self.lang, "compare.inputs"), say(self.lang, "compare.work")
        )
        plot.draw(curves)

    def html(self) -> str:
        """The table, the sentences, the picture and the swelling of the formula."""
        formulas = f"f = {text_of(self.formula)}", f"∂f/∂x = {self._written()}"
        text = "".join(f"<p>{line}</p>" for line in self._sentences())
        head = table([self.title], [[line] for line in formulas])
        return head + table(*self._cells()) + text + self.svg() + table(*self._swell_cells(), say(self.lang, "compare.swell"))

    _repr_html_ = html

    def save(self, path: Any) -> None:
        """Writes the comparison as the suffix says: .svg .txt .tex .html."""
        writers = {
            ".svg": self.svg, ".txt": lambda: str(self) + "\n", ".tex": self.latex,
            ".html": lambda: page(self.title, self.html(), self.lang),
        }  # fmt: skip
        write(path, writers, self.lang)

    plot = save


def _memories(root: Node) -> list[Node]:
    return [n for n in toposort([root]) if is_memory(n)]


def _some(count: int, most: int) -> list[int]:
    """Up to `most` numbers below `count`, evenly apart."""
    return sorted({int(k) for k in np.linspace(0, count - 1, min(count, most)).round()})


def _unit(shape: tuple[int, ...], k: int) -> np.ndarray:
    """Zeros, and 1 at element k."""
    out = np.zeros(shape)
    out.reshape(-1)[k] = 1.0
    return out


def _width(text: str) -> int:
    return sum(2 if ord(c) > 0x2E7F else 1 for c in text)


def _aligned(head: list[str], rows: list[list[str]]) -> list[str]:
    """A table in columns of equal width."""
    widths = [max(_width(c) for c in column) for column in zip(head, *rows)]
    lines = [head, ["─" * w for w in widths], *rows]
    return ["  ".join(c + " " * (w - _width(c)) for c, w in zip(line, widths)).rstrip() for line in lines]


def compared(f: Callable[[Any], Any], x: Any, lang: str | None) -> Comparison:
    """What `danlu.autograd.compare` does (danlu/teaching/__init__.py)."""
    lang = chosen(lang)
    return Comparison(Recording(f, x, lang), lang)


__all__ = ["Comparison", "Row", "Swell", "compared"]
