"""L5. How a tensor is printed: as PyTorch prints it."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np

from danlu.dtype import bool_, default, int64, readable, to_complex
from danlu.errors import DataError

THRESHOLD: float = 1000
EDGE: int = 3
PRECISION: int = 4
WIDTH: int = 80
SCIENTIFIC: bool | None = None  # whether numbers are written with an exponent; None: where it helps
INDENT = len("tensor(")
_PROFILES = {"default": (1000, 3, 4, 80), "short": (1000, 2, 2, 80), "full": (inf, 3, 4, 80)}


def set_printoptions(
    precision: int | None = None, threshold: float | None = None, edgeitems: int | None = None, linewidth: int | None = None,
    profile: str | None = None, sci_mode: bool | None = None,
) -> None:  # fmt: skip
    """How tensors are printed: digits, from how many elements on they are shortened, to how many at each end, width, exponents.

    profile: "default", "short" or "full"; sci_mode: with exponents always (True) or never (False), None: where it helps.

    Raises DataError for another profile.

    >>> import danlu
    >>> danlu.set_printoptions(precision=2); danlu.tensor([1.2345])
    tensor([1.23])
    >>> danlu.set_printoptions(profile="default")
    """
    global THRESHOLD, EDGE, PRECISION, WIDTH, SCIENTIFIC
    if profile is not None and profile not in _PROFILES:
        raise DataError("set_printoptions: profile is {profile!r}; expected 'default', 'short' or 'full'", profile=profile)
    before = _PROFILES[profile] if profile is not None else (THRESHOLD, EDGE, PRECISION, WIDTH)
    given = (threshold, edgeitems, precision, linewidth)
    THRESHOLD, EDGE, PRECISION, WIDTH = (old if new is None else new for new, old in zip(given, before))  # type: ignore[assignment]
    SCIENTIFIC = sci_mode


def text(tensor: Any) -> str:
    """The repr of a tensor: `tensor([1., 2.], requires_grad=True)`."""
    body = _body(readable(tensor._array()))
    used = len(body) - body.rfind("\n") + 1 + INDENT if "\n" not in body else len(body) - body.rfind("\n")
    out = "tensor(" + body
    for remark in _remarks(tensor):
        if used + len(remark) + 2 > WIDTH:
            out, used = f"{out},\n{' ' * INDENT}{remark}", INDENT + len(remark)
        else:
            out, used = f"{out}, {remark}", used + len(remark) + 2
    return out + ")"


def _remarks(tensor: Any) -> list[str]:
    """What is said after the numbers: what they do not show by themselves."""
    spec, remarks = tensor._spec, []
    if spec.size == 0 and len(spec.shape) != 1:
        remarks.append(f"size={tuple(spec.shape)}")
    usual = default()
    plain = (usual,) if spec.size == 0 else (usual, to_complex(usual), int64, bool_)
    if spec.dtype not in plain:
        remarks.append(f"dtype={spec.dtype!r}")
    if tensor._leaf:
        remarks.append("requires_grad=True")
    elif tensor.requires_grad:
        remarks.append(f"grad_fn={tensor.grad_fn}")
    return remarks


def _body(array: np.ndarray) -> str:
    if array.size == 0:
        return "[]"
    one, width = _writer(_shown(array))
    return _nested(array, one, width, INDENT, array.size > THRESHOLD)


def _shown(array: np.ndarray) -> np.ndarray:
    """The elements that will be shown: of large tensors the first and last three along each axis."""
    if array.size <= THRESHOLD:
        return array
    for axis in range(array.ndim):
        if array.shape[axis] > 2 * EDGE:
            keep = [*range(EDGE), *range(array.shape[axis] - EDGE, array.shape[axis])]
            array = np.take(array, keep, axis)
    return array


def _writer(shown: np.ndarray) -> tuple[Callable[[Any], str], int]:
    """How one element is written, and the width that all elements get."""
    if shown.dtype.kind == "c":
        (re, re_width), (im, im_width) = _writer(np.real(shown)), _writer(np.abs(np.imag(shown)))
        return lambda v: f"{re(v.real)}{'-' if np.signbit(v.imag) else '+'}{im(abs(v.imag)).strip()}j", re_width + im_width + 2
    if shown.dtype.kind != "f":
        width = max(len(str(v)) for v in shown.ravel().tolist())
        return lambda v: str(v).rjust(width), width
    numbers = shown[np.isfinite(shown) & (shown != 0)].astype(np.float64)
    one = _float_writer(numbers)
    width = max((len(one(v)) for v in numbers.tolist()), default=1)  # zeros, NaN and ∞ do not widen the columns
    return lambda v: one(v).rjust(width), width


def _float_writer(numbers: np.ndarray) -> Callable[[float], str]:
    """Whole numbers as `1.`, others with four digits, either with an exponent where they lie far from each other or from 1."""
    if not numbers.size:
        return lambda v: f"{v:.0f}." if np.isfinite(v) else str(v)
    low, high = np.abs(numbers).min(), np.abs(numbers).max()
    whole = bool((numbers == np.ceil(numbers)).all())
    far = high / low > 1000 or high > 1e8 or (not whole and low < 1e-4)
    if far if SCIENTIFIC is None else SCIENTIFIC:
        return lambda v: f"{v:.{PRECISION}e}"
    if whole:
        return lambda v: f"{v:.0f}." if np.isfinite(v) else str(v)
    return lambda v: f"{v:.{PRECISION}f}"


def _nested(array: np.ndarray, one: Callable[[Any], str], width: int, indent: int, summarise: bool) -> str:
    if array.ndim == 0:
        return one(array.item())
    short = summarise and len(array) > 2 * EDGE
    first, last = (array[:EDGE], array[-EDGE:]) if short else (array, array[:0])
    if array.ndim == 1:
        dots = [" ..."] if short else []
        return _row([*map(one, first.tolist()), *dots, *map(one, last.tolist())], width, indent)
    inner = [_nested(p, one, width, indent + 1, summarise) for p in first]
    inner += ["..."] * short + [_nested(p, one, width, indent + 1, summarise) for p in last]
    gap = "," + "\n" * (array.ndim - 1) + " " * (indent + 1)
    return "[" + gap.join(inner) + "]"


def _row(words: list[str], width: int, indent: int) -> str:
    """One row, wrapped at the width of a terminal."""
    per_line = max(1, (WIDTH - indent) // (width + 2))
    lines = [", ".join(words[k : k + per_line]) for k in range(0, len(words), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
