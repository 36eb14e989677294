"""L5. How a tensor is printed: as PyTorch prints it."""

from __future__ import annotations

from typing import Any

import numpy as np

THRESHOLD, EDGE, PRECISION, WIDTH = 1000, 3, 4, 80


def text(tensor: Any) -> str:
    """The repr of a tensor: `tensor([1., 2.], requires_grad=True)`."""
    array = tensor.detach()._array()
    spec = tensor._spec
    tail = ""
    if spec.size == 0 and spec.shape != (0,):
        tail += f", size={tuple(spec.shape)}"
    if spec.dtype.name not in ("float32", "int64", "bool") or (spec.size == 0 and spec.dtype.name != "float32"):
        tail += f", dtype={spec.dtype!r}"
    if tensor._leaf:
        tail += ", requires_grad=True"
    elif tensor.requires_grad:
        tail += f", grad_fn={tensor.grad_fn}"
    return f"tensor({_body(array, 7)}{tail})"


def _body(array: np.ndarray, indent: int) -> str:
    if array.size == 0:
        return "[]"
    shown = _summarised(array)
    formatter = _formatter(shown)
    return _nested(array, formatter, indent, array.size > THRESHOLD)


def _summarised(array: np.ndarray) -> np.ndarray:
    """The elements that will be shown: of large tensors the first and last three along each axis."""
    if array.size <= THRESHOLD:
        return array
    for axis in range(array.ndim):
        if array.shape[axis] > 2 * EDGE:
            keep = [*range(EDGE), *range(array.shape[axis] - EDGE, array.shape[axis])]
            array = np.take(array, keep, axis)
    return array


def _formatter(shown: np.ndarray) -> Any:
    """How one element is written, all with one width."""
    if shown.dtype.kind == "b":
        words = ["True", "False"]
        return lambda v: str(bool(v)).rjust(max(map(len, words)) if shown.size > 1 or shown.ndim else 0)
    if shown.dtype.kind in "iu":
        width = max(len(str(v)) for v in shown.ravel().tolist())
        return lambda v: str(int(v)).rjust(width)
    one = _float_writer(shown)
    width = max(len(one(v)) for v in shown.ravel().tolist())
    return lambda v: one(float(v)).rjust(width)


def _float_writer(shown: np.ndarray) -> Any:
    finite = np.abs(shown[np.isfinite(shown) & (shown != 0)].astype(np.float64))
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    whole = all(float(v).is_integer() for v in shown[np.isfinite(shown)].ravel().tolist())
    if finite.size and ((high / low > 1000 and not whole) or high > 1e8 or (not whole and low < 1e-4)):
        return lambda v: f"{v:.{PRECISION}e}" if np.isfinite(v) else str(v)
    if whole:
        return lambda v: f"{v:.0f}." if np.isfinite(v) else str(v)
    return lambda v: f"{v:.{PRECISION}f}" if np.isfinite(v) else str(v)


def _nested(array: np.ndarray, one: Any, indent: int, summarise: bool) -> str:
    if array.ndim == 0:
        return one(array.item()).strip()
    pieces = list(array)
    short = summarise and len(pieces) > 2 * EDGE
    if array.ndim == 1:
        words = [one(v) for v in (pieces[:EDGE] if short else pieces)]
        if short:
            words += [" ..."[1:], *(one(v) for v in pieces[-EDGE:])]
        return _row(words, indent)
    inner = [_nested(p, one, indent + 1, summarise) for p in (pieces[:EDGE] if short else pieces)]
    if short:
        inner += ["...", *(_nested(p, one, indent + 1, summarise) for p in pieces[-EDGE:])]
    gap = "," + "\n" * (array.ndim - 1) + " " * (indent + 1)
    return "[" + gap.join(inner) + "]"


def _row(words: list[str], indent: int) -> str:
    """One row, wrapped at the width of a terminal."""
    per_line = max(1, (WIDTH - indent) // (max(map(len, words)) + 2))
    lines = [", ".join(words[k : k + per_line]) for k in range(0, len(words), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
