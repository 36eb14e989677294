"""The array API namespace against NumPy's own, which conforms to the standard from version 2 on; and what uses it."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import danlu
from danlu import DTypeError
from danlu import array_api as xp
from danlu.array_api.manipulation import Sizes

needs_numpy_2 = pytest.mark.skipif(int(np.__version__.split(".")[0]) < 2, reason="NumPy 1 does not conform to the standard")

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS, COMPLEX = ["float32", "float64"], ["complex64", "complex128"]
SHAPES = [((), ()), ((3,), ()), ((), (2, 3)), ((2, 3), (3,)), ((1, 3), (2, 1)), ((0, 3), (1, 3)), ((2, 3), (2, 3))]

UNARY = {
    "abs ceil floor round trunc square sign positive": INTEGERS + FLOATS,
    "negative": ["int8", "int64", *FLOATS, *COMPLEX],
    "acos acosh asin asinh atan atanh cos cosh exp expm1 log log1p log2 log10 reciprocal signbit sin sinh sqrt tan tanh": FLOATS,
    "isfinite isinf isnan": [*INTEGERS, *FLOATS, *COMPLEX],
    "bitwise_invert": ["bool", *INTEGERS],
    "logical_not": ["bool"],
    "conj real imag": COMPLEX,
}
BINARY = {
    "add multiply subtract": [*INTEGERS, *FLOATS, *COMPLEX],
    "equal not_equal": ["bool", *INTEGERS, *FLOATS, *COMPLEX],
    "greater greater_equal less less_equal maximum minimum": INTEGERS + FLOATS,
    "atan2 copysign divide hypot logaddexp nextafter": FLOATS,
    "bitwise_and bitwise_or bitwise_xor": ["bool", *INTEGERS],
    "logical_and logical_or logical_xor": ["bool"],
}
REDUCTIONS = {
    "sum prod max min": INTEGERS + FLOATS,
    "mean std var": FLOATS,
    "all any count_nonzero": ["bool", "int64", "float32"],
    "argmax argmin": ["int8", "uint32", "float64"],
}


def spread(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(name, dtype) for names, dtypes in table.items() for name in names.split() for dtype in dtypes]


def numbers(shape: tuple, dtype: str, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).integers(-3, 4, shape)
    if np.dtype(dtype).kind in "ub":
        values = np.abs(values)
    array = np.asarray(values, dtype=dtype)
    return array + np.asarray(0.25, dtype) if array.dtype.kind in "fc" else array


def compare(found, expected: np.ndarray, bits: bool = False) -> None:
    assert isinstance(found, danlu.Tensor)
    assert (tuple(found.shape), found.dtype.name) == (np.shape(expected), np.asarray(expected).dtype.name)
    double = np.asarray(expected).dtype.itemsize > 4 + 4 * np.iscomplexobj(expected)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12 if double else 3e-6, atol=1e-14 if double else 1e-7)


@needs_numpy_2
@pytest.mark.parametrize(("name", "dtype"), spread(UNARY))
def test_functions_of_one(name, dtype):
    array = numbers((2, 3), dtype, 1)
    with np.errstate(all="ignore"):
        compare(getattr(xp, name)(xp.asarray(array)), getattr(np, name)(array))


@needs_numpy_2
@settings(max_examples=150, deadline=None)
@given(st.sampled_from(spread(BINARY)), st.data())
def test_functions_of_two_promote_as_the_standard_says(function, data):
    name, dtype = function
    kind = np.dtype(dtype).kind
    others = {"i": "int8 int16 int32 int64 uint8 uint16 uint32", "u": "uint8 uint16 uint32 uint64", "f": "float32 float64",
              "c": "complex64 complex128", "b": "bool"}[kind]  # fmt: skip
    other = data.draw(st.sampled_from(others.split()))
    shapes = data.draw(st.sampled_from(SHAPES))
    a, b = numbers(shapes[0], dtype, 1), numbers(shapes[1], other, 2)
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(a, b)
    compare(getattr(xp, name)(xp.asarray(a), xp.asarray(b)), expected)


@needs_numpy_2
@settings(max_examples=100, deadline=None)
@given(st.sampled_from(spread(REDUCTIONS)), st.sampled_from([None, 0, -1, (0, 1), ()]), st.booleans())
def test_reductions(function, axis, keepdims):
    name, dtype = function
    array = numbers((2, 3), dtype, 3)
    if name.startswith("arg"):
        axis = None if isinstance(axis, tuple) else axis
    given = {"axis": axis, "keepdims": keepdims}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = np.asarray(getattr(np, name)(array, **given))
    compare(getattr(xp, name)(xp.asarray(array), **given), expected)


CALLS = [
    lambda xp, x: xp.permute_dims(x, (1, 0)),
    lambda xp, x: xp.concat([x, x], axis=None),
    lambda xp, x: xp.concat([x, xp.ones((1, 3), dtype=xp.float64)]),
    lambda xp, x: xp.flip(x),
    lambda xp, x: xp.roll(x, (1, 2), axis=(0, 1)),
    lambda xp, x: xp.repeat(x, xp.asarray([2, 0, 1]), axis=1),
    lambda xp, x: xp.tile(x, (2, 1, 1)),
    lambda xp, x: xp.stack([x, x], axis=-1),
    lambda xp, x: xp.unstack(x, axis=1)[2],
    lambda xp, x: xp.take(x, xp.asarray([2, -1]), axis=1),
    lambda xp, x: xp.take_along_axis(x, xp.asarray([[2], [-1]]), axis=1),
    lambda xp, x: xp.sort(x, axis=0, descending=True) if xp is danlu.array_api else xp.flip(xp.sort(x, axis=0), axis=0),
    lambda xp, x: xp.nonzero(x > 0)[1],
    lambda xp, x: xp.searchsorted(xp.sort(xp.reshape(x, (-1,))), x),
    lambda xp, x: xp.where(x > 0, x, 7),
    lambda xp, x: xp.clip(x, None, 1),
    lambda xp, x: xp.unique_all(x)[0],
    lambda xp, x: xp.unique_all(x)[2],
    lambda xp, x: xp.unique_counts(x).counts,
    lambda xp, x: xp.unique_inverse(x).inverse_indices,
    lambda xp, x: xp.cumulative_sum(x, axis=1, include_initial=True),
    lambda xp, x: xp.cumulative_prod(x, axis=0),
    lambda xp, x: xp.diff(x, axis=1, prepend=xp.zeros((2, 1), dtype=x.dtype)),
    lambda xp, x: xp.meshgrid(x[0, :], x[:, 0])[0],
    lambda xp, x: xp.tril(x, k=-1) + xp.triu(x, k=1),
    lambda xp, x: xp.astype(xp.eye(3, k=-1), x.dtype),
    lambda xp, x: xp.arange(5, 0, 2, dtype=xp.int64),
    lambda xp, x: xp.arange(5, 0, -2, dtype=xp.float64),
    lambda xp, x: xp.linspace(0, 1, 4, endpoint=False, dtype=xp.float64),
    lambda xp, x: xp.vecdot(x, x, axis=0),
    lambda xp, x: xp.tensordot(x, x, axes=((0,), (0,))),
    lambda xp, x: xp.linalg.trace(x),
]


@needs_numpy_2
@pytest.mark.parametrize("dtype", ["int64", "float64"])
@pytest.mark.parametrize("number", range(len(CALLS)))
def test_calls(number, dtype):
    array = numbers((2, 3), dtype, 4)
    compare(CALLS[number](xp, xp.asarray(array)), np.asarray(CALLS[number](np, array)))


MATRICES = [
    "cholesky", "det", "diagonal", "eigh", "eigvalsh", "inv", "matrix_norm", "matrix_rank", "pinv", "qr", "slogdet", "svd", "svdvals", "trace",
]  # fmt: skip


@needs_numpy_2
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("name", MATRICES)
def test_linear_algebra(name, dtype):
    a = numbers((2, 3, 3), dtype, 5)
    a = a @ a.mT.conj() + 5 * np.eye(3)
    found, expected = getattr(xp.linalg, name)(xp.asarray(a)), getattr(np.linalg, name)(a)
    parts = zip(found, expected) if isinstance(expected, tuple) else [(found, expected)]
    for mine, theirs in parts:
        compare(xp.abs(mine), np.abs(theirs))


@needs_numpy_2
def test_solve_with_vectors_and_batches():
    a, b = numbers((2, 3, 3), "float64", 5) + 9 * np.eye(3), numbers((3,), "float64", 6)
    compare(xp.linalg.solve(xp.asarray(a), xp.asarray(b)), np.linalg.solve(a, b))
    compare(xp.linalg.solve(xp.asarray(a[0]), xp.asarray(a)), np.linalg.solve(a[0], a))


@needs_numpy_2
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft", "fftn", "ifftn", "rfftn", "irfftn"])
def test_transforms(name):
    array = numbers((2, 4), "float64" if name in ("rfft", "ihfft", "rfftn") else "complex128", 7)
    compare(getattr(xp.fft, name)(xp.asarray(array), norm="ortho"), getattr(np.fft, name)(array, norm="ortho"))


def test_frequencies():
    compare(xp.fft.fftfreq(5, d=0.5, dtype=xp.float64), np.fft.fftfreq(5, 0.5))
    compare(xp.fft.rfftfreq(5, d=0.5, dtype=xp.float64), np.fft.rfftfreq(5, 0.5))
    compare(xp.fft.ifftshift(xp.fft.fftshift(xp.arange(5))), np.arange(5))


# ---- types, information, errors -------------------------------------------------------------------------------------------------


def test_types():
    assert (
        xp.result_type(xp.int8, xp.uint16) is xp.int32
        and xp.result_type(xp.float32, 1.0, xp.ones(1, dtype=xp.float64)) is xp.float64
    )
    assert xp.result_type(xp.int8, 1) is xp.int8 and xp.result_type(xp.float64, 1j) is xp.complex128
    assert xp.can_cast(xp.uint8, xp.int16) and not xp.can_cast(xp.int16, xp.uint8)
    assert xp.isdtype(xp.uint64, "unsigned integer") and xp.isdtype(xp.complex64, ("bool", "numeric"))
    assert xp.iinfo(xp.uint64).max == 2**64 - 1 and xp.finfo(xp.complex64).dtype is xp.float32
    for kind in ("bool", "integral", "numeric", ("real floating", "bool")):
        assert all(xp.isdtype(d, kind) for d in xp.__array_namespace_info__().dtypes(kind=kind).values())


def test_information():
    info = xp.__array_namespace_info__()
    assert info.capabilities()["boolean indexing"] and info.devices() == [info.default_device()]
    assert info.default_dtypes()["integral"] is xp.int64 and len(info.dtypes()) == 13
    x = xp.ones(2)
    assert x.__array_namespace__(api_version="2024.12") is xp and x.to_device(x.device) is x


def test_the_namespace_is_loaded_when_it_is_asked_for():
    code = "import danlu, sys; before = 'danlu.array_api' in sys.modules; danlu.ones(1).__array_namespace__(); print(before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"


def test_every_name_is_there_with_an_example():
    for name in xp.__all__:
        value = getattr(xp, name)
        if inspect.isfunction(value) and name != "__array_namespace_info__":
            assert value.__name__ == name or name in ("finfo", "iinfo")
            assert ">>> " in (value.__doc__ or ""), name


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: xp.finfo(xp.int8), DTypeError, "finfo of int8; expected a floating dtype: write iinfo for integers"),
        (lambda: xp.iinfo(xp.float32), DTypeError, "iinfo of float32; expected an integer dtype: write finfo for floating ones"),
        (
            lambda: xp.isdtype(xp.int8, "whole"),
            DTypeError,
            "isdtype: kind='whole'; expected a dtype or one of bool, signed integer",
        ),
        (lambda: xp.result_type(), DTypeError, "result_type of nothing; give arrays or dtypes"),
        (lambda: xp.nextafter(xp.asarray(1), 2), DTypeError, "nextafter of int64; expected a floating dtype"),
        (lambda: xp.imag(xp.ones(1)), DTypeError, "imag of float32; expected a complex dtype"),
        (lambda: xp.squeeze(xp.ones(2), 0), Sizes, "squeeze: axis 0 of shape (2,) has size 2; expected 1"),
        (lambda: xp.take(xp.ones((2, 2)), xp.asarray([0])), Sizes, "take of shape (2, 2) without axis=; give the axis"),
        (lambda: xp.nonzero(xp.asarray(1)), Sizes, "nonzero of a 0-d array; it has no axis"),
        (lambda: xp.cumulative_sum(xp.ones((2, 2))), Sizes, "cumulative_sum of shape (2, 2) without axis=; give the axis"),
        (lambda: xp.vecdot(xp.ones(2), xp.ones(3)), Sizes, "vecdot: axis -1 has sizes 2 and 3; expected equal ones"),
    ],
)
def test_messages(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(text)


# ---- who uses it ----------------------------------------------------------------------------------------------------------------


LIBRARIES = """
import numpy as np, sklearn, danlu
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
import scipy.special, scipy.stats
sklearn.set_config(array_api_dispatch=True)
a = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
t = a @ np.array([1, 2, 3, 4], np.float32)
x, y = danlu.tensor(a), danlu.tensor(t)
for found, expected in [
    (Ridge(solver="svd").fit(x, y).coef_, Ridge(solver="svd").fit(a, t).coef_),
    (abs(PCA(2, svd_solver="full").fit(x).transform(x)), abs(PCA(2, svd_solver="full").fit(a).transform(a))),
    (scipy.special.logsumexp(x, axis=0), scipy.special.logsumexp(a, axis=0)),
    (scipy.stats.zscore(x), scipy.stats.zscore(a)),
]:
    assert type(found) is danlu.Tensor and found.dtype is danlu.float32, found
    assert np.allclose(found.numpy(), expected, atol=1e-4), (found, expected)
assert r2_score(y, y) == 1
"""


def test_scikit_learn_and_scipy_take_tensors():
    pytest.importorskip("sklearn", minversion="1.6")
    given = {**os.environ, "SCIPY_ARRAY_API": "1"}
    done = subprocess.run([sys.executable, "-c", LIBRARIES], capture_output=True, text=True, timeout=120, check=False, env=given)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("k", [2**63, -(2**63) - 1, 2, -2, 1])
def test_a_diagonal_may_be_far_away(k):
    assert xp.eye(2, 2, k=k).tolist() == [[0, float(k == 1)], [0, 0]]


def test_the_sign_of_a_complex_number():
    z = np.array([0, complex(-0.0, -0.0), 3 - 4j, complex(np.nan, 1), complex(1, np.nan)])
    found = xp.sign(danlu.tensor(z)).numpy()
    nothing = complex(np.nan, np.nan)
    np.testing.assert_array_equal(found, [0, 0, 0.6 - 0.8j, nothing, nothing])
    assert not np.signbit(found[:2].view(float)).any()
