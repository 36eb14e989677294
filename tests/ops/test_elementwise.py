"""Elementwise records: their machine code against their NumPy references, on special values and in every dtype."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from native import native, reference

from danlu import dtype as dt
from danlu.errors import DTypeError
from danlu.graph import ELEMENTWISE, Spec
from danlu.ops import TABLE

REAL_TYPES = [d for d in dt.ALL if not d.is_complex and d is not dt.bfloat16]  # what machine code knows: compile/bfloat16.py
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
    attrs = dict.fromkeys(op.attrs, 1)
    dtypes = 0
    for dtype in REAL_TYPES:
        xs = inputs(op, dtype)
        try:
            got = native(op, *xs, **attrs)
        except DTypeError:
            continue
        dtypes += 1
        compare(op.name, dtype, got, reference(op, *xs, **attrs))
    assert dtypes >= 3


def compare(name: str, dtype: dt.DType, got: np.ndarray, wanted: np.ndarray) -> None:
    """Equal values (floats to 4 ulp and more where two roundings are at work) and equal signs, those of zeros too."""
    if got.dtype.kind != "f":
        np.testing.assert_array_equal(got, wanted, err_msg=f"{name} {dtype.name}")
        return
    tolerance = {2: 2e-3, 4: 4e-7, 8: 4e-15}[got.dtype.itemsize]
    np.testing.assert_allclose(
        got, wanted, rtol=tolerance, atol=1e-7 if got.dtype.itemsize == 2 else 1e-44, err_msg=f"{name} {dtype.name}"
    )
    signed = ~np.isnan(wanted) & ((wanted != 0) | (name not in EITHER_ZERO))
    np.testing.assert_array_equal(np.signbit(got)[signed], np.signbit(wanted)[signed], err_msg=f"sign of {name} {dtype.name}")


@pytest.mark.parametrize("source", REAL_TYPES, ids=lambda d: d.name)
def test_cast_to_every_dtype(source):
    x = grid(source)
    if source.kind == "f":
        with np.errstate(over="ignore"):
            x = np.concatenate(
                [
                    x,
                    np.asarray(
                        [127.5, 128, 255.9, 256, -0.9, -128.9, -129, 2**31, 2**63, 2**64, -(2.0**63), 65519, 65520]
                    ).astype(source.numpy),
                ]
            )
    x = np.resize(x, max(37, x.size))
    for target in REAL_TYPES:
        np.testing.assert_array_equal(
            native(TABLE["cast"], x, dtype=target), reference(TABLE["cast"], x, dtype=target), err_msg=target.name
        )


def test_cast_to_integers_holds_them_within_their_range():
    x = np.asarray([np.nan, np.inf, -np.inf, 300.7, -300.7, 3.99, -3.99])
    np.testing.assert_array_equal(native(TABLE["cast"], x, dtype=dt.int8), [0, 127, -128, 127, -128, 3, -3])
    np.testing.assert_array_equal(native(TABLE["cast"], x, dtype=dt.uint8), [0, 255, 0, 255, 0, 3, 0])


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1).filter(bool))
def test_integer_division_is_pythons(x, y):
    a, b = np.full(3, x, np.int64), np.full(3, y, np.int64)
    if (x, y) == (-(2**63), -1):
        x = 2**63  # the quotient wraps round
        assert native(TABLE["floor_divide"], a, b)[0] == -(2**63)
    else:
        assert native(TABLE["floor_divide"], a, b)[0] == x // y
    assert native(TABLE["remainder"], a, b)[0] == x % y
    assert native(TABLE["fmod"], a, b)[0] == abs(x) % abs(y) * (1 if x > 0 else -1)


def test_integers_divided_by_zero_give_zero():
    x, zero = np.asarray([5, -5, 0, 2**31 - 1], np.int32), np.zeros(4, np.int32)
    for name in ("floor_divide", "remainder", "fmod"):
        np.testing.assert_array_equal(native(TABLE[name], x, zero), [0, 0, 0, 0])


@given(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.floats(width=32, allow_nan=False, allow_infinity=False).filter(bool),
)
def test_float_remainder_has_the_sign_of_the_divisor(x, y):
    a, b = np.full(3, x, np.float32), np.full(3, y, np.float32)
    r = float(native(TABLE["remainder"], a, b)[0])
    assert r == float(np.remainder(np.float32(x), np.float32(y)))
    assert r == 0 or (r < 0) == (y < 0)


# ---- what is refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "dtypes", "text"),
    [
        ("neg", ["bool"], r"neg: the inputs are bool; expected numbers. Write logical_not\(x\) or ~x to turn truth values round"),
        (
            "sub",
            ["bool", "bool"],
            r"sub: the inputs are bool; expected numbers. Write logical_xor\(x, y\) or x \^ y for truth values",
        ),
        (
            "floor_divide",
            ["bool", "bool"],
            r"floor_divide: the inputs are bool; expected numbers. Convert first: x.to\(danlu.int64\)",
        ),
        ("pow", ["bool", "bool"], r"pow: the inputs are bool; expected numbers. Convert first: x.to\(danlu.int64\)"),
        (
            "bitwise_and",
            ["float32", "int32"],
            r"bitwise_and: the inputs are float32 and int32; expected integers or bool. Convert first: x.to",
        ),
        ("shl", ["bool", "bool"], r"shl: the inputs are bool and bool; expected integers. Convert first: x.to\(danlu.int64\)"),
        ("where", ["float32", "int32", "int32"], r"where: the condition is float32; expected bool. Write where\(c != 0, x, y\)"),
    ],
)
def test_messages(name, dtypes, text):
    specs = [Spec((2,), dt.from_numpy(d)) for d in dtypes]
    with pytest.raises(DTypeError, match=text):
        TABLE[name].infer(*specs)


# ---- dtypes of results --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "dtypes", "expected"),
    [
        ("div", ["int64", "int64"], "float32"),
        ("div", ["float64", "int64"], "float64"),
        ("add", ["bool", "bool"], "bool"),
        ("add", ["uint8", "int8"], "int16"),
        ("exp", ["int32"], "float32"),
        ("exp", ["float16"], "float16"),
        ("eq", ["float32", "int64"], "bool"),
        ("where", ["bool", "int32", "float32"], "float32"),
        ("isnan", ["float64"], "bool"),
        ("relu", ["int32"], "int32"),
    ],
)
def test_dtype_of_the_result(name, dtypes, expected):
    assert TABLE[name].infer(*[Spec((2,), dt.from_numpy(d)) for d in dtypes]).dtype.name == expected
