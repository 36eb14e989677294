"""Running sums and products as machine code, and stable orders of keys: against NumPy, along every axis, with work before and after."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native_graph import build, native, run

from danlu.ops import composite, o  # noqa: F401  (the composites fill the table)
from danlu.ops.opaque import _sort_numpy
from danlu.testing import inputs_of

SHAPES = st.lists(st.sampled_from((0, 1, 2, 5, 16, 33, 70)), min_size=1, max_size=3)


@given(shape=SHAPES, data=st.data())
@settings(max_examples=25, deadline=None)
def test_running_sums_with_work_before_and_after(shape, data):
    dim = data.draw(st.integers(0, len(shape) - 1))
    dtype = data.draw(st.sampled_from((np.float32, np.float64, np.int32, np.bool_)))
    x = np.random.default_rng(0).integers(-3, 4, shape).astype(dtype)
    (node,) = inputs_of([x])
    y = o.cumsum(o.add(node, node) if dtype != np.bool_ else node, dim=dim)
    doubled = (x + x).astype(dtype) if dtype != np.bool_ else x
    expected = np.cumsum(doubled, dim, dtype=y.dtype.numpy)
    found, after = native([y, o.mul(y, y)], [x])
    np.testing.assert_array_equal(found, expected)  # small integers: exact in any order
    np.testing.assert_array_equal(after, expected * expected)


@pytest.mark.parametrize("dim", [0, 1])
def test_running_products(dim):
    x = np.random.default_rng(0).choice([0.5, 1.0, 2.0, -1.0], (40, 50))
    (node,) = inputs_of([x])
    np.testing.assert_array_equal(native([o.cumprod(node, dim=dim)], [x])[0], np.cumprod(x, dim))


def test_a_running_sum_is_a_kernel_and_no_library_call():
    (node,) = inputs_of([np.zeros((9, 70), np.float32)])
    assert build([o.relu(o.cumsum(o.neg(node), dim=1))], 1).program.calls == []


def test_a_running_sum_keeps_what_stands_before_an_infinity():
    x = np.ones(50, np.float32)
    x[20] = np.inf
    (node,) = inputs_of([x])
    np.testing.assert_array_equal(native([o.cumsum(node, dim=0)], [x])[0], np.cumsum(x))


def test_a_running_sum_has_the_same_bits_on_any_number_of_threads():
    x = np.random.default_rng(0).standard_normal((300, 700)).astype(np.float32)
    (node,) = inputs_of([x])
    roots = [o.cumsum(node, dim=0), o.cumsum(node, dim=1)]
    compiled = build(roots, 1)
    first, *others = ([a.tobytes() for a in run(compiled, roots, [x], threads=threads)] for threads in (1, 2, 3))
    assert others == [first, first]


SPECIAL = [np.nan, 1.0, -np.inf, -0.0, 0.0, np.inf, -np.nan, 2.0, 1.0, -3.0]


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, np.int8, np.uint8, np.int32, np.int64, np.uint32, np.bool_]
)
@pytest.mark.parametrize("descending", [False, True])
def test_stable_orders(dtype, descending):
    floating = np.issubdtype(dtype, np.floating)
    rows = np.array([SPECIAL] * 3 if floating else np.arange(30).reshape(3, 10) * 7 % 10).astype(dtype)
    rows[1] = rows[1, ::-1]
    limits = np.finfo(dtype) if floating else None if dtype == np.bool_ else np.iinfo(dtype)
    if limits is not None:
        rows[2, :2] = limits.max, limits.min
    for dim, x in ((1, rows), (0, rows.T.copy())):
        values, order = _sort_numpy(x, dim, descending)
        for line, found, where in zip(*(np.moveaxis(a, dim, -1) for a in (x, values, order)), strict=True):
            key = [(not np.isnan(float(v)), -float(v)) if descending else (np.isnan(float(v)), float(v)) for v in line]
            key = [(nan, 0.0 if np.isnan(v) else v) for nan, v in key]
            np.testing.assert_array_equal(where, sorted(range(len(line)), key=key.__getitem__))
            np.testing.assert_array_equal(found, line[where])
