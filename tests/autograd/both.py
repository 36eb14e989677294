"""The same program with danlu and with PyTorch: what comes out of both."""

from __future__ import annotations

from typing import Any

import numpy as np


def plain(x: Any) -> Any:
    """Tensors of either library in nested tuples as NumPy arrays; None stays."""
    if isinstance(x, (list, tuple)):
        return [plain(y) for y in x]
    if isinstance(x, dict):
        return {k: plain(y) for k, y in x.items()}
    if hasattr(x, "detach"):
        return np.asarray(x.detach().numpy())
    return x


def agree(a: Any, b: Any, tolerance: float = 1e-9) -> None:
    """Both results have one structure and equal numbers."""
    a, b = plain(a), plain(b)
    if isinstance(b, list):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            agree(x, y, tolerance)
    elif isinstance(b, dict):
        assert list(a) == list(b)
        for k in b:
            agree(a[k], b[k], tolerance)
    elif isinstance(b, np.ndarray):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    else:
        assert a == b
