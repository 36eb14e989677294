"""L6. Numbers in few signs: scalars, small arrays in full, large ones by their range."""

from __future__ import annotations

from typing import Any

import numpy as np

FEW, SOME = 4, 12  # elements: all of them in a box, all of them on a line


def short(value: Any) -> str:
    """One number with four digits."""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    return f"{float(value):.4g}".replace("-", "−")


def brief(array: Any) -> str:
    """An array in a box of a picture: up to four elements, else its range."""
    return _listed(np.asarray(array), FEW)


def in_full(array: Any) -> str:
    """An array on a line: up to twelve elements, else its range."""
    return _listed(np.asarray(array), SOME)


def _listed(array: np.ndarray, most: int) -> str:
    if array.ndim == 0:
        return short(array[()])
    if array.size == 0:
        return "[]"
    if array.size > most and array.min() == array.max():
        return f"{short(array.min())} …"
    if array.size > most:
        return f"{short(array.min())} … {short(array.max())}"
    return "[" + ", ".join(_listed(x, most) for x in array) + "]"


def matrix(array: Any) -> str:
    """LaTeX: a number, a column for a vector, a matrix; a large array by its range."""
    array = np.asarray(array)
    if array.ndim == 0:
        return _latex(array[()])
    if array.size > SOME or array.ndim > 2 or array.size == 0:
        return rf"\left[{_latex(array.min())}, {_latex(array.max())}\right]" if array.size else "[\\,]"
    rows = array.reshape(array.shape[0], -1)
    return r"\begin{pmatrix}" + r" \\ ".join(" & ".join(map(_latex, row)) for row in rows) + r"\end{pmatrix}"


def _latex(value: Any) -> str:
    head, _, exponent = short(value).replace("−", "-").partition("e")
    return head + (rf" \cdot 10^{{{int(exponent)}}}" if exponent else "")


def shape_text(shape: tuple[int, ...]) -> str:
    """(3×2), or nothing for a scalar."""
    return f"({'×'.join(map(str, shape))})" if shape else "()"


def amount(value: float) -> str:
    """A count with a unit: 950, 12.3 k, 4.5 M."""
    for bound, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= bound:
            return f"{value / (1e3 if unit == 'k' else bound):.3g} {unit}"
    return f"{value:.0f}"


def seconds(value: float) -> str:
    """A time with a unit."""
    for bound, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= bound:
            return f"{value / bound:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def memory(value: float) -> str:
    """Bytes with a unit."""
    for bound, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if value >= bound:
            return f"{value / bound:.3g} {unit}"
    return f"{value:.0f} B"
