"""What the tests of tensors share: running one expression in two libraries, and comparing what comes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def leaves(result: Any) -> list:
    """The results of an expression, out of their lists and tuples."""
    return [z for x in result for z in leaves(x)] if isinstance(result, (list, tuple)) else [result]


def described(x: Any) -> tuple[str, tuple[int, ...], np.ndarray]:
    """dtype, shape and elements of a tensor or a number."""
    kind = str(getattr(x, "dtype", type(x).__name__)).rpartition(".")[2]
    values = x.detach().tolist() if hasattr(x, "detach") else x
    return kind, tuple(getattr(x, "shape", ())), np.asarray(values, np.float64)


def outcome(function: Callable[[], Any]) -> Any:
    """The results of a function, or the sign that it refused."""
    try:
        return [described(x) for x in leaves(function())]
    except Exception as error:
        return f"refused: {type(error).__name__}: {error}"


def assert_same(ours: Any, theirs: Any, rtol: float = 2e-3) -> None:
    """Both refuse, or both give equal dtypes, shapes and (nearly) numbers."""
    if isinstance(ours, str) or isinstance(theirs, str):
        assert isinstance(ours, str) and isinstance(theirs, str), f"danlu: {ours}\nthe other: {theirs}"
        return
    assert [x[:2] for x in ours] == [x[:2] for x in theirs]
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a[2], b[2], rtol=2.0**-7 if a[0] == "bfloat16" else rtol, atol=1e-5)
