"""The further tensor methods against NumPy, and their derivatives against differences and known values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import danlu

rng = np.random.default_rng(0)
X = rng.normal(size=(3, 4))


def same(got, want, tolerance=1e-12):
    got, want = got.detach().numpy(), np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def derivative(function, array, tolerance=1e-6):
    """The gradient of Σ w · f(x) against central differences."""
    array = np.asarray(array, np.float64)
    x = danlu.tensor(array, requires_grad=True)
    out = function(x)
    weights = rng.uniform(0.5, 1.5, tuple(out.shape))
    (out * danlu.tensor(weights)).sum().backward()
    want = np.zeros_like(array)
    for at in np.ndindex(array.shape):
        for sign in (1, -1):
            moved = array.copy()
            moved[at] += sign * 1e-6
            want[at] += sign * (function(danlu.tensor(moved)).detach().numpy() * weights).sum() / 2e-6
    np.testing.assert_allclose(x.grad.numpy(), want, rtol=tolerance, atol=tolerance)


# ---- scans ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [0, 1])
def test_scans_equal_numpys(dim):
    x = danlu.tensor(X)
    same(x.cumsum(dim), np.cumsum(X, dim))
    same(x.cumprod(dim), np.cumprod(X, dim))
    same(x.cummax(dim).values, np.maximum.accumulate(X, dim))
    same(x.cummin(dim).values, np.minimum.accumulate(X, dim))
    same(x.logcumsumexp(dim), np.log(np.cumsum(np.exp(X), dim)))
    same(x.diff(2, dim), np.diff(X, 2, dim))


def test_a_running_extremum_names_the_last_place_and_keeps_nan():
    values, places = danlu.tensor([1.0, 3.0, 3.0, math.nan, 5.0]).cummax(0)
    np.testing.assert_array_equal(values.numpy(), [1, 3, 3, math.nan, math.nan])
    assert places.tolist() == [0, 1, 2, 3, 3]


@pytest.mark.parametrize("row", [[1.5, -2.0, 3.0, 0.5], [1.5, 0.0, 3.0, 0.5], [1.5, 0.0, 3.0, 0.0], [0.0, 2.0, 0.0, 1.0]])
def test_cumprod_is_differentiated_where_elements_are_zero(row):
    derivative(lambda x: x.cumprod(0), row, 1e-5)


@pytest.mark.parametrize("name", ["cumsum", "logcumsumexp"])
def test_scans_are_differentiated(name):
    derivative(lambda x: getattr(x, name)(1), X)


def test_logcumsumexp_does_not_overflow():
    x = danlu.tensor([1000.0, 1000.0], requires_grad=True)
    y = x.logcumsumexp(0)
    y[1].backward()
    same(y, [1000, 1000 + math.log(2)], 1e-6)
    same(x.grad, [0.5, 0.5], 1e-4)  # e^x of float32 numbers near 1000: their spacing is 6e-5


# ---- sorting and counting ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=12), st.data())
def test_order_of_integers(row, data):
    x, array = danlu.tensor(row), np.array(row)
    assert x.sort().values.tolist() == sorted(row)
    assert array[x.argsort(descending=True).numpy()].tolist() == sorted(row, reverse=True)
    k = data.draw(st.integers(1, len(row)))
    assert x.topk(k).values.tolist() == sorted(row, reverse=True)[:k]
    assert x.kthvalue(k).values.item() == sorted(row)[k - 1]
    assert x.median().item() == sorted(row)[(len(row) - 1) // 2]


@given(st.lists(st.integers(-3, 3), max_size=12))
def test_distinct_integers(row):
    x = danlu.tensor(np.array(row, np.int64))
    values, inverse, counts = x.unique(return_inverse=True, return_counts=True)
    assert values.tolist() == sorted(set(row))
    assert [values.tolist()[k] for k in inverse.tolist()] == row
    assert counts.tolist() == [row.count(v) for v in values.tolist()]
    values, inverse, counts = x.unique_consecutive(return_inverse=True, return_counts=True)
    assert np.repeat(values.numpy(), counts.numpy()).tolist() == row
    assert [values.tolist()[k] for k in inverse.tolist()] == row


@given(
    st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=9), st.lists(st.floats(-9, 9, width=32), max_size=9), st.booleans()
)
def test_searching_equals_numpys(row, values, right):
    row, values = np.sort(np.array(row, np.float32)), np.array(values, np.float32)
    want = np.searchsorted(row, values, "right" if right else "left")
    assert danlu.tensor(row).searchsorted(danlu.tensor(values), right=right).tolist() == want.tolist()
    assert danlu.bucketize(danlu.tensor(values), danlu.tensor(row), right=right).tolist() == want.tolist()
    assert danlu.isin(danlu.tensor(values), danlu.tensor(row)).tolist() == np.isin(values, row).tolist()


def test_searching_in_the_row_of_its_own_line():
    rows, values = np.sort(X, 1), rng.normal(size=(3, 2))
    want = [np.searchsorted(r, v) for r, v in zip(rows, values)]
    assert danlu.tensor(rows).searchsorted(danlu.tensor(values)).tolist() == np.array(want).tolist()


def test_counting_equals_numpys():
    numbers, weights = rng.integers(0, 5, 20), rng.normal(size=20)
    assert danlu.tensor(numbers).bincount(minlength=7).tolist() == np.bincount(numbers, minlength=7).tolist()
    same(danlu.tensor(numbers).bincount(danlu.tensor(weights)), np.bincount(numbers, weights))
    same(danlu.tensor(X).histc(5, -1, 1), np.histogram(X[(X >= -1) & (X <= 1)], 5, (-1, 1))[0])
    assert danlu.tensor(numbers).count_nonzero().item() == np.count_nonzero(numbers)


def test_the_mode_is_the_smallest_of_the_most_frequent():
    values, places = danlu.tensor([[2, 1, 2, 1], [3, 3, 1, 0]]).mode()
    assert (values.tolist(), places.tolist()) == ([1, 3], [3, 1])


def test_sorted_results_are_differentiated():
    derivative(lambda x: x.sort(0, descending=True).values, X)
    derivative(lambda x: x.topk(2).values, X)
    derivative(lambda x: x.median(1).values, X)
    derivative(lambda x: x.mode(0).values, X)
    derivative(lambda x: x.cummax(1).values, X)


# ---- statistics ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interpolation", ["linear", "lower", "higher", "midpoint", "nearest"])
@pytest.mark.parametrize("q", [0.0, 0.3, 0.5, 1.0])
def test_quantiles_equal_numpys(q, interpolation):
    same(danlu.tensor(X).quantile(q, 1, interpolation=interpolation), np.quantile(X, q, 1, method=interpolation))
    derivative(lambda x: x.quantile(q, 0, interpolation=interpolation), X)


def test_reductions_that_look_away_from_nan():
    holed = X.copy()
    holed[0, 1] = holed[2, 2] = math.nan
    x = danlu.tensor(holed)
    same(x.nansum(1), np.nansum(holed, 1))
    same(x.nanmean(0), np.nanmean(holed, 0))
    same(x.nanquantile(0.3, 1), np.nanquantile(holed, 0.3, 1))
    assert math.isnan(x.median().item())
    assert x.median(1).values.isnan().tolist() == [True, False, True]
    assert x.nanmedian(0).values.tolist() == [sorted(c[~np.isnan(c)])[(np.sum(~np.isnan(c)) - 1) // 2] for c in holed.T]


def test_pairs_of_moments():
    x = danlu.tensor(X)
    for name, function in (("var", np.var), ("std", np.std)):
        moment, mean = getattr(x, f"{name}_mean")(1)
        same(moment, function(X, 1, ddof=1))
        same(mean, X.mean(1))
    low, high = x.aminmax(dim=0)
    same(low, X.min(0))
    same(high, X.max(0))


# ---- movement -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "reference"),
    [
        (lambda x: x.roll((1, -2), (0, 1)), lambda a: np.roll(a, (1, -2), (0, 1))),
        (lambda x: x.roll(5), lambda a: np.roll(a, 5)),
        (lambda x: x.rot90(3), lambda a: np.rot90(a, 3)),
        (lambda x: x.rot90(1, (1, 0)), lambda a: np.rot90(a, 1, (1, 0))),
        (lambda x: x.fliplr(), np.fliplr),
        (lambda x: x.tril(1), lambda a: np.tril(a, 1)),
        (lambda x: x.triu(-1), lambda a: np.triu(a, -1)),
        (lambda x: x.diagonal(1), lambda a: np.diagonal(a, 1)),
        (lambda x: x.diagonal(-1), lambda a: np.diagonal(a, -1)),
        (lambda x: x.diagonal(9), lambda a: np.zeros(0)),
        (lambda x: x[0].diag(-1), lambda a: np.diag(a[0], -1)),
        (lambda x: x.diagflat(1), lambda a: np.diagflat(a, 1)),
        (lambda x: x.trace(), np.trace),
        (lambda x: x.tile(2, 1, 2), lambda a: np.tile(a, (2, 1, 2))),
        (lambda x: x.repeat_interleave(2), lambda a: np.repeat(a, 2)),
        (lambda x: x.repeat_interleave(danlu.tensor([1, 0, 2]), 0), lambda a: np.repeat(a, [1, 0, 2], 0)),
        (lambda x: x.unfold(1, 3, 1), lambda a: np.lib.stride_tricks.sliding_window_view(a, 3, 1)),
        (lambda x: x.movedim((0, 1), (1, 0)), lambda a: a.T),
        (lambda x: x.take(danlu.tensor([[5, 0], [-1, 2]])), lambda a: np.take(a, [[5, 0], [-1, 2]])),
        (lambda x: x.take_along_dim(danlu.tensor([[1], [0], [3]]), 1), lambda a: np.take_along_axis(a, np.array([[1], [0], [3]]), 1)),
        (lambda x: x.tensor_split(3, 1)[0], lambda a: np.array_split(a, 3, 1)[0]),
        (lambda x: x.hsplit((1, 3))[1], lambda a: np.hsplit(a, (1, 3))[1]),
        (lambda x: x.masked_select(x > 0), lambda a: a[a > 0]),
        (lambda x: danlu.vander(x[0]), lambda a: np.vander(a[0])),
        (lambda x: danlu.column_stack([x[0], x[1]]), lambda a: np.column_stack([a[0], a[1]])),
        (lambda x: danlu.dstack([x, x]), lambda a: np.dstack([a, a])),
        (lambda x: danlu.meshgrid(x[0], x[1], indexing="xy")[0], lambda a: np.meshgrid(a[0], a[1])[0]),
        (lambda x: danlu.meshgrid(x[0], x[1], indexing="ij")[1], lambda a: np.meshgrid(a[0], a[1], indexing="ij")[1]),
        (lambda x: danlu.block_diag(x, x[:1]), lambda a: np.block([[a, np.zeros((3, 4))], [np.zeros((1, 4)), a[:1]]])),
    ],
)  # fmt: skip
def test_movement_equals_numpys(function, reference):
    same(function(danlu.tensor(X)), reference(X))
    derivative(function, X)


def test_a_diagonal_is_a_view():
    x = danlu.zeros(3, 4)
    x.diagonal(1).fill_(2)
    assert x.tolist() == np.eye(3, 4, 1).__mul__(2).tolist()


def test_writing_at_positions():
    x, at, rows = danlu.tensor(X), danlu.tensor([2, 0]), danlu.tensor(X[:2])
    want = X.copy()
    want[[2, 0]] = X[:2]
    same(x.index_copy(0, at, rows), want)
    want[[2, 0]] = X[[2, 0]] + 2 * X[:2]
    same(x.index_add(0, at, rows, alpha=2), want)
    want[[2, 0]] = 7
    same(x.index_fill(0, at, 7), want)
    twice = x.index_put((danlu.tensor([0, 0]), danlu.tensor([1, 1])), danlu.tensor([1.0, 2.0], danlu.float64), accumulate=True)
    assert twice[0, 1].item() == X[0, 1] + 3
    mask = X > 0
    want = X.copy()
    want[mask] = np.arange(mask.sum())
    same(x.masked_scatter(danlu.tensor(mask), danlu.arange(12).double()), want)


@pytest.mark.parametrize("reduce", ["sum", "prod", "mean", "amax", "amin"])
@pytest.mark.parametrize("include_self", [True, False])
def test_scattered_reductions(reduce, include_self):
    index, source = np.array([0, 2, 0]), np.array([3.0, -4.0, 0.5])
    by = {"sum": np.sum, "prod": np.prod, "mean": np.mean, "amax": np.max, "amin": np.min}[reduce]
    row = X[0]
    want = [by(([row[k]] if include_self or k not in index else []) + list(source[index == k])) for k in range(4)]

    def reduced(x, src):
        return x.scatter_reduce(0, danlu.tensor(index), src, reduce, include_self=include_self)

    same(reduced(danlu.tensor(row), danlu.tensor(source)), want)
    derivative(lambda x: reduced(x, danlu.tensor(source)), row)
    derivative(lambda s: reduced(danlu.tensor(row), s), source)


def test_a_scattered_product_is_differentiated_where_elements_are_zero():
    index = danlu.tensor([0, 0, 1, 1])
    start = danlu.tensor([2.0, 0.0], danlu.float64)
    derivative(lambda s: start.scatter_reduce(0, index, s, "prod"), [3.0, 0.0, 5.0, 7.0])


# ---- elementwise --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [-3.5, -0.25, 0.1, 0.5, 1.0, 2.0, 7.3, 55.0, 1e5])
def test_the_gamma_function_and_its_derivatives(x):
    mpmath = pytest.importorskip("mpmath")
    one = danlu.tensor([x], danlu.float64)
    same(one.lgamma(), [float(mpmath.log(abs(mpmath.gamma(x))))], 1e-13)
    same(one.digamma(), [float(mpmath.digamma(x))], 1e-12)
    same(one.polygamma(1), [float(mpmath.polygamma(1, x))], 1e-11)
    same(one.polygamma(3) if x > 0 else one * 0, [float(mpmath.polygamma(3, x)) if x > 0 else 0.0], 1e-11)
    derivative(lambda v: v.lgamma() / max(1.0, abs(x)), [x])


@pytest.mark.parametrize(
    ("function", "want"),
    [
        (lambda: danlu.tensor([-7, 7, 5]).div(danlu.tensor([2, -2, 2]), rounding_mode="trunc"), [-3, -3, 2]),
        (lambda: danlu.tensor([-7.0, 7.0]).div(2, rounding_mode="floor"), [-4, 3]),
        (lambda: danlu.tensor([1.2345, -1.5]).double().round(decimals=2), [1.23, -1.5]),
        (lambda: danlu.tensor([1550.0, 1450.0]).round(decimals=-2), [1600, 1400]),
        (lambda: danlu.tensor([math.nan, math.inf, -math.inf]).double().nan_to_num(1, 2, 3), [1, 2, 3]),
        (lambda: danlu.tensor([0.5, 0.0]).logit(0.25), [0, math.log(1 / 3)]),
        (lambda: danlu.tensor([0.0, 0.5, 1.0]).double().sinc(), np.sinc([0, 0.5, 1])),
        (lambda: danlu.tensor([-1.5, 2.25]).frac(), [-0.5, 0.25]),
        (lambda: danlu.tensor([-0.0, 0.0, -1.0]).signbit(), [1, 0, 1]),
        (lambda: danlu.tensor([1.0, 2.0]).rsub(5, alpha=2), [3, 1]),
        (lambda: danlu.tensor([3, 5]).ldexp(danlu.tensor([2, 0])), [12, 5]),
        (lambda: danlu.tensor([4, 9]).float_power(0.5), [2, 3]),
        (lambda: danlu.tensor([180.0, 90.0]).deg2rad(), [math.pi, math.pi / 2]),
    ],
)
def test_elementwise(function, want):
    same(function().double(), want, 1e-6)


def test_sinc_has_both_derivatives_at_zero():
    x = danlu.tensor([0.0], danlu.float64, requires_grad=True)
    derivative(lambda v: v.sinc(), [0.0, 0.3, -2.5])
    x.sinc().backward()
    assert x.grad.item() == 0


def test_forms_in_place_and_out():
    x = danlu.tensor([3.0, 1.0])
    kept = x
    x.cumsum_(0).logit_(0.1).fill_(0.5).asin_()
    assert kept is x
    same(x, [math.asin(0.5)] * 2, 1e-6)
    out = danlu.zeros(2)
    assert danlu.exp(danlu.zeros(2), out=out) is out
    assert out.tolist() == [1, 1]
    values, places = danlu.zeros(2), danlu.zeros(2, dtype=danlu.int64)
    danlu.sort(danlu.tensor([3.0, 1.0]), out=(values, places))
    assert (values.tolist(), places.tolist()) == ([1, 3], [1, 0])


# ---- random ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("replacement", [True, False])
def test_weights_are_drawn_by_their_share(replacement):
    danlu.manual_seed(0)
    weights = danlu.tensor([[1.0, 0.0, 3.0]] * 4000)
    drawn = danlu.multinomial(weights, 2 if not replacement else 1, replacement)
    shares = drawn[:, 0].bincount(minlength=3).numpy() / 4000
    np.testing.assert_allclose(shares, [0.25, 0, 0.75], atol=0.03)  # four standard deviations: 0.027
    if not replacement:
        assert (drawn.sort(1).values == danlu.tensor([0, 2])).all().item()
