"""Elementwise records: their machine code against their NumPy references, on special values and in every dtype."""

from __future__ import annotations

import numpy as np
import pytest
from native import native, reference

from danlu import dtype as dt
from danlu.errors import DTypeError
from danlu.graph import ELEMENTWISE
from danlu.ops import TABLE

SPECIAL = [0.0, -0.0, 1, -1, 2, -2, 0.5, -0.5, 1.5, 2.5, 3, -3, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 1e30, -1e30, 100, -100]
RECORDS = [op for op in TABLE.values() if op.family == ELEMENTWISE and op.sample]
EITHER_ZERO = {"maximum", "minimum", "fmax", "fmin"}  # of +0 and -0 NumPy takes the first, IEEE 754-2019 the larger or smaller


def grid(dtype: dt.DType) -> np.ndarray:
    """Values that have been trouble, in this dtype."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return np.asarray(SPECIAL).astype(dtype.numpy)
    if dtype.kind == "b":
        return np.asarray([True, False])
    bounds = np.iinfo(dtype.numpy)
    return np.asarray(
        [0, 1, 2, 3, 5, 7, 100, bounds.max, bounds.min, *([-1, -2, -3, -7] if dtype.kind == "i" else [])], dtype.numpy
    )


def inputs(op, dtype: dt.DType) -> list[np.ndarray]:
    """Every combination of the grid's values, repeated to at least 37 elements: two vectors and a tail."""
    columns = [x.ravel() for x in np.meshgrid(*[grid(dtype)] * len(op.sample), indexing="ij")]
    columns = [np.resize(x, max(37, x.size)) for x in columns]
    return [columns[0] != 0, *columns[1:]] if op.name == "where" else columns


@pytest.mark.parametrize("op", RECORDS, ids=lambda op: op.name)
def test_machine_code_equals_reference(op):
    if "dtype" in op.attrs:
        pytest.skip("cast has its own test")
    dtypes = 0
    for dtype in dt.ALL:
        xs = inputs(op, dtype)
        try:
            got = native(op, *xs)
        except DTypeError:
            continue
        dtypes += 1
        wanted = reference(op, *xs)
        if got.dtype.kind != "f":
            np.testing.assert_array_equal(got, wanted, err_msg=f"{op.name} {dtype.name}")
            continue
        tolerance = {2: 2e-3, 4: 4e-7, 8: 4e-15}[got.dtype.itemsize]
        np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=1e-7 if got.dtype.itemsize == 2 else 1e-44)
        signed = ~np.isnan(wanted) & ((wanted != 0) | (op.name not in EITHER_ZERO))
        np.testing.assert_array_equal(
            np.signbit(got)[signed], np.signbit(wanted)[signed], err_msg=f"sign of {op.name} {dtype.name}"
        )
    assert dtypes >= 3
