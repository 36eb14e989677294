"""L6. Formulas on paper: expressions as text (x², σ(z), δ² a¹ᵀ) and as LaTeX.

One writer for both: what differs (how a fraction, a power, a function looks) is in a `Style`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from danlu.teaching.expression import CALL, NAMED, NUMBER, ONE, PRODUCT, SUM, SYMBOL, Expression, size

LONGEST = 240  # letters and signs; a longer formula is not written out
PLUS, TIMES, POWER, ATOM = 1, 2, 3, 4  # how tightly a piece of text holds together

_RAISED = str.maketrans("0123456789-+.", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺·")
_LOWERED = str.maketrans("0123456789-+", "₀₁₂₃₄₅₆₇₈₉₋₊")

# op → its name in text and in LaTeX, where it is another one
FUNCTIONS = {
    "sigmoid": ("σ", r"\sigma"), "erf": ("erf", r"\operatorname{erf}"), "asin": ("arcsin", r"\arcsin"), "acos": ("arccos", r"\arccos"),
    "atan": ("arctan", r"\arctan"), "lgamma": ("log Γ", r"\log\Gamma"), "sum": ("Σ", r"\sum"), "prod": ("Π", r"\prod"),
}  # fmt: skip
KNOWN_TO_LATEX = {"exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "max", "min", "det"}
INFIX = {
    "eq": ("=", "="), "ne": ("≠", r"\neq"), "lt": ("<", "<"), "le": ("≤", r"\le"), "gt": (">", ">"), "ge": ("≥", r"\ge"),
    "logical_and": ("∧", r"\land"), "logical_or": ("∨", r"\lor"),
}  # fmt: skip


def raised(n: int) -> str:
    """12 → ¹²."""
    return str(n).translate(_RAISED)


def lowered(n: int | str) -> str:
    """12 → ₁₂."""
    return str(n).translate(_LOWERED)


def latex_name(name: str) -> str:
    """A variable's name as LaTeX: W1 → W_{1}, fc.weight → \\mathtt{fc.weight}."""
    match = re.fullmatch(r"([A-Za-z])_?(\d*)", name)
    if match:
        return match[1] + (f"_{{{match[2]}}}" if match[2] else "")
    return r"\mathtt{" + name.replace("_", r"\_") + "}"


def digits(value: float) -> str:
    """A number as short as it can be told apart: 2, 0.5, 1/3, 1.234."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    if float(f"{value:.4g}") == value or value != value:
        return f"{value:.4g}"
    near = Fraction(value).limit_denominator(9999)
    if abs(near.numerator) < 10000 and abs(float(near) - value) <= 1e-14 * abs(value):
        return f"{near.numerator}/{near.denominator}"
    return f"{value:.4g}"


class Style:
    """How the pieces of a formula look. Text; `Latex` says what differs."""

    latex = False
    dot, circle, minus = "·", " ⊙ ", "−"

    def bracket(self, text: str) -> str:
        """( … )"""
        return f"({text})"

    def name(self, pair: tuple[str, str]) -> str:
        """A symbol."""
        return pair[0]

    def number(self, value: float) -> str:
        """A constant that is not negative."""
        return digits(value)

    def fraction(self, top: str, bottom: str, top_level: int, bottom_level: int) -> str:
        """top / bottom"""
        top = top if top_level >= TIMES else self.bracket(top)
        return f"{top} / {bottom if bottom_level >= POWER else self.bracket(bottom)}"

    def power(self, base: str, exponent: str) -> str:
        """base ^ exponent"""
        if re.fullmatch(r"-?\d+", exponent):
            return base + exponent.translate(_RAISED)
        return base + "^" + (exponent if re.fullmatch(r"[\w.]+", exponent) else self.bracket(exponent))

    def root(self, text: str) -> str:
        """√( … )"""
        return f"√{text}" if re.fullmatch(r"\w+", text) else f"√({text})"

    def transposed(self, text: str) -> str:
        """ᵀ"""
        return f"{text}ᵀ"

    def function(self, op: str, args: Sequence[str]) -> str:
        """f(x, y)"""
        return f"{FUNCTIONS.get(op, (op,))[0]}({', '.join(args)})"

    def sum_over(self, op: str, axes: Sequence[int] | None, text: str) -> str:
        """Σ over some axes (None: all of them)."""
        low = "" if axes is None else "".join(lowered(a) for a in axes)
        return f"{FUNCTIONS.get(op, (op,))[0]}{low} {text}" if op in ("sum", "prod") else f"{op}{low}({text})"

    def iverson(self, condition: str) -> str:
        """1 where a condition holds, else 0."""
        return f"[{condition}]"

    def infix(self, op: str) -> str:
        """The sign of a comparison."""
        return INFIX[op][0]

    def ones(self, shape: Sequence[int]) -> str:
        """A tensor of ones."""
        return f"ones({'×'.join(map(str, shape))})"


class Latex(Style):
    """LaTeX."""

    latex = True
    dot, circle, minus = r" \, ", r" \odot ", "-"

    def bracket(self, text: str) -> str:
        return rf"\left({text}\right)"

    def name(self, pair: tuple[str, str]) -> str:
        return pair[1]

    def number(self, value: float) -> str:
        text = digits(value)
        if "/" in text:
            top, bottom = text.split("/")
            return rf"\frac{{{top}}}{{{bottom}}}"
        head, _, exponent = text.partition("e")
        return head + (rf" \cdot 10^{{{int(exponent)}}}" if exponent else "")

    def fraction(self, top: str, bottom: str, top_level: int, bottom_level: int) -> str:
        return rf"\frac{{{top}}}{{{bottom}}}"

    def power(self, base: str, exponent: str) -> str:
        return f"{{{base}}}^{{{exponent}}}"

    def root(self, text: str) -> str:
        return rf"\sqrt{{{text}}}"

    def transposed(self, text: str) -> str:
        return rf"{{{text}}}^{{\top}}"

    def function(self, op: str, args: Sequence[str]) -> str:
        return _latex_function(op) + self.bracket(", ".join(args))

    def sum_over(self, op: str, axes: Sequence[int] | None, text: str) -> str:
        low = "" if axes is None else "_{" + ",".join(map(str, axes)) + "}"
        return f"{_latex_function(op)}{low} {text if op in ('sum', 'prod') else self.bracket(text)}"

    def iverson(self, condition: str) -> str:
        return rf"\left[{condition}\right]"

    def infix(self, op: str) -> str:
        return INFIX[op][1]

    def ones(self, shape: Sequence[int]) -> str:
        return r"\mathbf{1}"


def _latex_function(op: str) -> str:
    if op in FUNCTIONS:
        return FUNCTIONS[op][1]
    return f"\\{op}" if op in KNOWN_TO_LATEX else r"\operatorname{" + op.replace("_", r"\_") + "}"


TEXT, LATEX = Style(), Latex()


def text_of(e: Expression) -> str:
    """A formula as text."""
    return written(e, TEXT)


def latex_of(e: Expression) -> str:
    """A formula as LaTeX."""
    return written(e, LATEX)


def written(e: Expression, style: Style) -> str:
    """A formula in a style; one that would be longer than a page is only measured."""
    count = size(e)
    if count > LONGEST:
        return rf"\ldots\;({count})" if style.latex else f"… ({count})"
    return _write(e, style)[0]


def _write(e: Expression, style: Style) -> tuple[str, int]:
    """A formula and how tightly it holds together."""
    return _WRITERS[e.kind](e, style)


def _tight(e: Expression, style: Style, level: int) -> str:
    text, own = _write(e, style)
    return text if own >= level else style.bracket(text)


def _number(e: Expression, style: Style) -> tuple[str, int]:
    if e.data < 0:
        return style.minus + style.number(-e.data), PLUS
    text = style.number(e.data)
    return text, TIMES if "/" in text else ATOM


def _sum(e: Expression, style: Style) -> tuple[str, int]:
    terms = sorted(zip(e.data, e.args), key=lambda t: t[0] < 0)  # a term without minus comes first
    text = ""
    for c, arg in terms:
        sign = (style.minus if c < 0 else "") if not text else f" {style.minus if c < 0 else '+'} "
        text += sign + _term(abs(c), arg, style)
    return text, PLUS if len(terms) > 1 or terms[0][0] < 0 else TIMES


def _term(c: float, e: Expression, style: Style) -> str:
    if e is ONE:
        return style.number(c)
    if c == 1:
        return _tight(e, style, TIMES)
    amount = digits(c) if 1 / c != round(1 / c) or c == 1 else f"1/{round(1 / c)}"
    if "/" in amount:
        top, bottom = amount.split("/")
        upper = _tight(e, style, PLUS if style.latex else TIMES) if top == "1" else top + style.dot + _tight(e, style, TIMES)
        return style.fraction(upper, bottom, TIMES, ATOM)
    if e.kind == PRODUCT and any(p < 0 for p in e.data):
        return _quotient(e, style, [amount if not style.latex else style.number(c)])[0]
    return style.number(c) + style.dot + _tight(e, style, TIMES)


def _product(e: Expression, style: Style) -> tuple[str, int]:
    return _quotient(e, style, [])


def _quotient(e: Expression, style: Style, front: list[str]) -> tuple[str, int]:
    """front · Π e^p: what has a negative exponent stands under the line."""
    pairs = sorted(zip(e.args, e.data), key=lambda t: t[0].shape != ())  # numbers before tensors
    top, top_level = _factors([(b, p) for b, p in pairs if p > 0], style, front)
    below = [(b, -p) for b, p in pairs if p < 0]
    if not below:
        return top, top_level
    return style.fraction(top or "1", *_swap(_factors(below, style, []), top_level)), TIMES


def _swap(bottom: tuple[str, int], top_level: int) -> tuple[str, int, int]:
    return bottom[0], top_level, bottom[1]


def _factors(pairs: list[tuple[Expression, float]], style: Style, front: list[str]) -> tuple[str, int]:
    text, seen_tensor, count = "".join(front), False, len(front)
    if len(pairs) == 1 and not front:
        base, p = pairs[0]
        return _write(base, style) if p == 1 else (_powered(base, p, style), POWER)
    for base, p in pairs:
        piece = _powered(base, p, style)
        joint = "" if not count else style.circle if seen_tensor and base.shape else style.dot
        text, seen_tensor, count = text + joint + piece, seen_tensor or bool(base.shape), count + 1
    return text, TIMES if count > 1 else ATOM


def _powered(base: Expression, p: float, style: Style) -> str:
    if p == 1:
        return _tight(base, style, POWER)
    if p == 0.5:
        return style.root(_write(base, style)[0])
    text, own = _write(base, style)
    marked = base.kind == SYMBOL and (text.translate(_RAISED) == text or "^" in text) and not text.isascii()
    return style.power(style.bracket(text) if own < ATOM or marked or "^" in text else text, digits(p))


def _symbol(e: Expression, style: Style) -> tuple[str, int]:
    return style.name(e.data), ATOM


def _named(e: Expression, style: Style) -> tuple[str, int]:
    return style.name(e.data) + style.bracket(", ".join(_write(a, style)[0] for a in e.args[:-1])), ATOM


def _call(e: Expression, style: Style) -> tuple[str, int]:
    writer = _CALLS.get(e.data[0].name)
    if writer is not None:
        return writer(e, style)
    op, attrs = e.data
    if op.name in INFIX and len(e.args) == 2:
        left, right = (_tight(a, style, PLUS) for a in e.args)
        return f"{left} {style.infix(op.name)} {right}", 0
    args = [_write(a, style)[0] for a in e.args]
    return style.function(op.name, args + _settings(op.name, op.attrs, attrs, style)), ATOM


_UNSAID = {
    "keepdim",
    "dtype",
    "dim",
    "dims",
    "reduction",
    "ignore_index",
    "label_smoothing",
    "weighted",
    "positive",
    "values",
    "low",
    "high",
}


def _settings(name: str, names: Sequence[str], attrs: Sequence[Any], style: Style) -> list[str]:
    """The attributes of an op that matter to a reader."""
    shown = [(k, v) for k, v in zip(names, attrs) if k not in _UNSAID and v not in (None, False)]
    words = ["×".join(map(str, v)) if isinstance(v, tuple) else str(v) for _, v in shown]
    return [rf"\text{{{w}}}".replace("_", r"\_") if style.latex else w for w in words]


def _reduced(e: Expression, style: Style) -> tuple[str, int]:
    op, (dims, _) = e.data
    arg = e.args[0]
    axes = None if len(dims) == len(arg.shape) else dims
    wide = op.name in ("sum", "prod")
    return style.sum_over(
        op.name, axes, _tight(arg, style, POWER if wide and arg.kind != CALL else TIMES if wide else PLUS)
    ), TIMES if wide else ATOM


def _chosen(e: Expression, style: Style) -> tuple[str, int]:
    condition, x, y = e.args
    test = style.iverson(_write(condition, style)[0])
    if y.kind == NUMBER and y.data == 0:
        return (test, ATOM) if x is ONE else (test + style.circle + _tight(x, style, POWER), TIMES)
    return style.function("where", [_write(a, style)[0] for a in e.args]), ATOM


def _stretched(e: Expression, style: Style) -> tuple[str, int]:
    if e.args[0] is ONE:
        return style.ones(e.shape), ATOM
    return style.function("expand", [_write(e.args[0], style)[0]]), ATOM


def _permuted(e: Expression, style: Style) -> tuple[str, int]:
    if len(e.shape) == 2:
        return style.transposed(_tight(e.args[0], style, ATOM)), ATOM
    return style.function("permute", [_write(e.args[0], style)[0], "×".join(map(str, e.data[1][0]))]), ATOM


def _contracted(e: Expression, style: Style) -> tuple[str, int]:
    """A product of matrices and vectors where it is one, else an einsum."""
    (first, second, out), (a, b) = e.data[1][0], e.args
    if len(out) < 2 or (len(out) == 2 and not (set(out) <= set(first) or set(out) <= set(second))):
        found = _matrices(first, second, out, a, b, style)
        if found:
            return found, TIMES
    equation = f"{first},{second}->{out}"
    args = [rf"\text{{{equation}}}" if style.latex else f'"{equation}"', _write(a, style)[0], _write(b, style)[0]]
    return style.function("einsum", args), ATOM


def _matrices(first: str, second: str, out: str, a: Expression, b: Expression, style: Style) -> str | None:
    if len(first) > 2 or len(second) > 2 or max(len(first), len(second)) == 0:
        return None
    if (out and out[0] not in first) or (not out and len(first) < len(second)) or (len(out) == 1 and len(first) < len(second)):
        first, second, a, b = second, first, b, a
    if set(first) & set(second) != (set(first) | set(second)) - set(out):
        return None
    left, right = (_tight(e, style, TIMES if e.kind == CALL and e.data[0].name == "contract" else POWER) for e in (a, b))
    if len(first) == 1:
        turn_left, turn_right = not out, len(out) == 2
    elif len(first) == 2 and len(out):
        turn_left, turn_right = first[0] != out[0], len(second) == 2 and second[0] == out[-1]
    else:
        return None
    left = style.transposed(_tight(a, style, ATOM)) if turn_left else left
    right = style.transposed(_tight(b, style, ATOM)) if turn_right else right
    return f"{left} {right}"


_WRITERS = {NUMBER: _number, SYMBOL: _symbol, SUM: _sum, PRODUCT: _product, CALL: _call, NAMED: _named}
_CALLS = {
    "sum": _reduced, "prod": _reduced, "max": _reduced, "min": _reduced, "where": _chosen, "expand": _stretched,
    "permute": _permuted, "contract": _contracted, "abs": lambda e, style: (f"|{_write(e.args[0], style)[0]}|", ATOM),
}  # fmt: skip
