"""Special functions against mpmath, and what stands beside them on the tensor surface against NumPy."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pytest
from mpmath import mp

import danlu
from danlu import special
from danlu.testing import gradcheck

rng = np.random.default_rng(3)


def close(got, want, tolerance=1e-12):
    np.testing.assert_allclose(np.asarray(got.detach().numpy()), np.asarray(want, np.float64), rtol=tolerance, atol=tolerance)


def exact(function, points):
    with mp.workdps(30):
        return [float(function(*(mp.mpf(float(v)) for v in np.atleast_1d(p)))) for p in points]


WIDE = [-40.0, -25.5, -7.0, -1.0, -0.1, 0.0, 0.3, 1.0, 3.0, 12.0, 24.9, 25.1, 60.0]
ONE = {
    "i0": (lambda x: mp.besseli(0, x), WIDE),
    "i0e": (lambda x: mp.besseli(0, x) * mp.exp(-abs(x)), WIDE),
    "i1": (lambda x: mp.besseli(1, x), WIDE),
    "i1e": (lambda x: mp.besseli(1, x) * mp.exp(-abs(x)), WIDE),
    "bessel_j0": (lambda x: mp.besselj(0, x), WIDE),
    "bessel_j1": (lambda x: mp.besselj(1, x), WIDE),
    "erfcx": (lambda x: mp.exp(x * x) * mp.erfc(x), [-26.0, -5.0, -0.5, 0.0, 0.49, 0.5, 3.0, 25.9, 26.1, 100.0, 1e6]),
    "ndtr": (mp.ncdf, [-8.0, -1.0, 0.0, 0.5, 3.0]),
    "log_ndtr": (lambda x: mp.log(mp.ncdf(x)), [-40.0, -8.0, -1.0, -0.71, -0.7, 0.0, 0.5, 3.0]),
    "entr": (lambda x: -x * mp.log(x) if x else x, [0.0, 0.1, 1.0, 3.0]),
}


@pytest.mark.parametrize("name", ONE)
def test_a_function_of_one_equals_mpmaths(name):
    function, points = ONE[name]
    got = getattr(special, name)(danlu.tensor(np.array(points))).numpy()
    want = np.array(exact(function, points))
    np.testing.assert_allclose(got, want, rtol=2e-13, atol=1e-15)


@pytest.mark.parametrize("lower", [True, False])
def test_incomplete_gamma_functions_equal_mpmaths(lower):
    pairs = list(itertools.product((0.1, 0.9, 1.0, 5.0, 40.0, 300.0), (1e-5, 0.8, 3.0, 39.0, 41.0, 290.0, 310.0)))
    a, x = (danlu.tensor(np.array(v)) for v in zip(*pairs))
    limits = (lambda v: (0, v)) if lower else (lambda v: (v, mp.inf))
    want = exact(lambda s, v: mp.gammainc(s, *limits(v), regularized=True), pairs)
    got = (special.gammainc if lower else special.gammaincc)(a, x)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-12, atol=1e-290)


def test_incomplete_gamma_functions_at_their_edges():
    a, x = danlu.tensor([0.0, 1.0, 1.0, 0.0, -1.0, math.inf]), danlu.tensor([1.0, 0.0, math.inf, 0.0, 1.0, 1.0])
    np.testing.assert_array_equal(a.igamma(x).numpy(), [1, 0, 1, math.nan, math.nan, 0])
    np.testing.assert_array_equal(a.igammac(x).numpy(), [0, 1, 0, math.nan, math.nan, 1])


def test_zeta_equals_mpmaths_and_knows_its_poles():
    pairs = [(1.5, 0.1), (2.0, 1.0), (3.3, 12.0), (10.0, 2.5), (2.0, -0.5)]
    s, q = (danlu.tensor(np.array(v)) for v in zip(*pairs))
    close(special.zeta(s, q), exact(mp.zeta, pairs))
    edges = special.zeta(danlu.tensor([1.0, 0.5, 2.0, 2.5]), danlu.tensor([1.0, 1.0, -3.0, -0.5]))
    np.testing.assert_array_equal(edges.numpy(), [math.inf, math.nan, math.inf, math.nan])


def test_ndtri_is_the_inverse_of_ndtr_far_into_the_tails():
    y = np.array([-30.0, -8.0, -1.0, 0.0, 0.5, 2.0, 5.0])
    close(special.ndtri(special.ndtr(danlu.tensor(y))), y, 1e-9)
    np.testing.assert_array_equal(special.ndtri(danlu.tensor([0.0, 1.0, 1.5])).numpy(), [-math.inf, math.inf, math.nan])


def test_zeros_times_infinite_logarithms_are_zero():
    np.testing.assert_array_equal(
        special.xlog1py(danlu.tensor([0.0, 0.0, 2.0]), danlu.tensor([-1.0, 5.0, 0.0])).numpy(), [0, 0, 0]
    )
    assert special.entr(danlu.tensor([0.0, -1.0])).tolist() == [0.0, -math.inf]


def test_a_number_beside_a_tensor_keeps_its_digits():
    assert special.xlogy(0.1, danlu.tensor(math.e, dtype=danlu.float64)).item() == pytest.approx(0.1, abs=1e-16)


def test_special_refuses_what_has_no_meaning():
    with pytest.raises(danlu.DTypeError, match=r"special.i0 takes a tensor, got float; write danlu.tensor"):
        special.i0(1.0)
    with pytest.raises(danlu.DTypeError, match=r"special.softmax takes a tensor first, got int"):
        special.softmax(1, 0)
    with pytest.raises(danlu.GradientError, match=r"no derivative with respect to its first argument; write x.detach"):
        special.zeta(danlu.tensor(2.0, requires_grad=True), danlu.tensor(1.0))


def test_near_zero_the_derivative_of_sinc_does_not_cancel():
    x = np.array([1e-6, 2e-4, 3e-3, 6e-3, 7e-3])
    t = danlu.tensor(x.astype(np.float32), requires_grad=True)
    t.sinc().sum().backward()
    np.testing.assert_allclose(t.grad.numpy(), [float(mp.diff(mp.sincpi, v)) for v in x.astype(np.float32)], rtol=1e-4)


# ---- integers and floats taken apart ----------------------------------------------------------------------------------------------


def test_whole_and_bitwise_exact_functions_equal_numpys():
    a, b = rng.integers(-50, 50, (3, 4)), rng.integers(-50, 50, (4,))
    for name in ("gcd", "lcm"):
        np.testing.assert_array_equal(getattr(danlu, name)(danlu.tensor(a), danlu.tensor(b)).numpy(), getattr(np, name)(a, b))
    x = rng.normal(size=7).astype(np.float32)
    np.testing.assert_array_equal(danlu.nextafter(danlu.tensor(x), danlu.tensor(x * 2)).numpy(), np.nextafter(x, x * 2))
    mantissa, exponent = danlu.frexp(danlu.tensor(x))
    assert (mantissa * danlu.exp2(exponent.float()) == danlu.tensor(x)).all() and exponent.dtype is danlu.int32
    assert danlu.heaviside(danlu.tensor([-1.0, 0.0, 2.0]), danlu.tensor(0.5)).tolist() == [0.0, 0.5, 1.0]
    close(danlu.logaddexp2(danlu.tensor(x), danlu.tensor(-x)), np.logaddexp2(x, -x), 1e-6)
    assert danlu.mvlgamma(danlu.tensor(3.0), 1).item() == pytest.approx(math.log(2))


# ---- functions of samples -----------------------------------------------------------------------------------------------------------

Y = rng.normal(size=(4, 6))
PLACES = np.cumsum(rng.uniform(0.2, 1, 6))


def test_areas_equal_numpys():
    area = getattr(np, "trapezoid", None) or np.trapz  # NumPy 2 has a new name
    close(danlu.trapezoid(danlu.tensor(Y), dim=0), area(Y, axis=0))
    close(danlu.trapezoid(danlu.tensor(Y), danlu.tensor(PLACES)), area(Y, PLACES))
    running = danlu.cumulative_trapezoid(danlu.tensor(Y), dx=0.5)
    close(running, [[area(row[: k + 2], dx=0.5) for k in range(5)] for row in Y])


@pytest.mark.parametrize("order", [1, 2])
def test_slopes_equal_numpys(order):
    for got, want in zip(danlu.gradient(danlu.tensor(Y), edge_order=order), np.gradient(Y, edge_order=order)):
        close(got, want)
    (got,) = danlu.gradient(danlu.tensor(Y), spacing=[danlu.tensor(PLACES)], dim=1, edge_order=order)
    close(got, np.gradient(Y, PLACES, axis=1, edge_order=order))


def test_covariances_equal_numpys():
    x, counts, weights = danlu.tensor(Y), rng.integers(1, 4, 6), rng.uniform(0.1, 1, 6)
    close(danlu.cov(x), np.cov(Y))
    close(danlu.cov(x[0]), np.cov(Y[0]))
    given = {"fweights": counts, "aweights": weights}
    close(danlu.cov(x, **{k: danlu.tensor(v) for k, v in given.items()}), np.cov(Y, **given))
    close(danlu.cov(x, correction=0, aweights=danlu.tensor(weights)), np.cov(Y, ddof=0, aweights=weights))
    close(x.corrcoef(), np.corrcoef(Y))


def test_histograms_equal_numpys():
    x, weight = rng.normal(size=200), rng.uniform(size=200)
    counts, edges = danlu.histogram(danlu.tensor(x), 7, range=(-1.0, 2.0))
    wanted, places = np.histogram(x, 7, (-1, 2))
    close(counts, wanted)
    close(edges, places)
    got = danlu.histogram(
        danlu.tensor(x), danlu.tensor([-1.0, 0.0, 0.5, 3.0], dtype=danlu.float64), weight=danlu.tensor(weight), density=True
    )
    close(got.hist, np.histogram(x, [-1, 0, 0.5, 3], weights=weight, density=True)[0])


def test_positions_in_a_shape_equal_numpys():
    flat = rng.integers(0, 24, (2, 5))
    for got, want in zip(danlu.unravel_index(danlu.tensor(flat), (2, 3, 4)), np.unravel_index(flat, (2, 3, 4))):
        np.testing.assert_array_equal(got.numpy(), want)
    assert danlu.scalar_tensor(2).dtype is danlu.float32


# ---- parts replaced -----------------------------------------------------------------------------------------------------------------


def test_parts_are_replaced_in_a_copy_and_differentiated():
    x, row = danlu.zeros(3, 4, requires_grad=True), danlu.ones(3, requires_grad=True)
    parts = [
        (x.diagonal_scatter(row), lambda a: a[np.arange(3), np.arange(3)]),
        (x.select_scatter(row, 1, 2), lambda a: a[:, 2]),
        (x.slice_scatter(row.unsqueeze(1), 1, 3), lambda a: a[:, 3]),
    ]
    for y, place in parts:
        assert x.sum().item() == 0 and y.sum().item() == 3
        np.testing.assert_array_equal(place(y.detach().numpy()), np.ones(3))
        from_x, from_row = danlu.autograd.grad(y.sum(), [x, row])
        assert from_row.tolist() == [1.0] * 3 and from_x.sum().item() == 9


def test_put_index_reduce_renorm_and_fill_diagonal():
    x = danlu.arange(6.0).reshape(2, 3)
    at, new = danlu.tensor([5, 0]), danlu.tensor([9.0, 8.0])
    assert x.put(at, new).tolist() == [[8, 1, 2], [3, 4, 9]]
    assert x.put(at, new, accumulate=True).tolist() == [[8, 1, 2], [3, 4, 14]]
    source = danlu.tensor([[2.0, 2.0, 2.0], [4.0, 4.0, 4.0]])
    twice = danlu.tensor([1, 1])
    assert x.index_reduce(0, twice, source, "prod")[1].tolist() == [24, 32, 40]
    assert x.index_reduce(0, twice, source, "mean", include_self=False)[1].tolist() == [3, 3, 3]
    assert x.index_reduce(0, twice, source, "amax")[1].tolist() == [4, 4, 5]
    lengths = danlu.tensor([[3.0, 4.0], [0.3, 0.4]]).renorm(2, 0, 1.0).norm(2, 1)
    np.testing.assert_allclose(lengths.numpy(), [1.0, 0.5], rtol=1e-6)
    for shape, wrap in (((7, 3), True), ((7, 3), False), ((2, 4), False)):
        want = np.zeros(shape)
        np.fill_diagonal(want, 5, wrap)
        np.testing.assert_array_equal(danlu.zeros(shape).fill_diagonal_(5, wrap).numpy(), want)
    assert danlu.zeros(2, 2, 2).fill_diagonal_(1).nonzero().tolist() == [[0, 0, 0], [1, 1, 1]]


# ---- factorisations -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 5), (2, 3, 3), (0, 0), (3, 0)])
def test_the_factors_multiply_to_the_matrix(shape):
    a = rng.normal(size=shape)
    p, low, up = danlu.linalg.lu(danlu.tensor(a))
    close(p @ low @ up, a)
    np.testing.assert_array_equal(np.tril(up.numpy(), -1), np.zeros(up.shape))
    assert (low.abs() <= 1 + 1e-12).all()  # what partial pivoting is for


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("adjoint", [True, False])
def test_equations_are_solved_from_the_factors(left, adjoint):
    a, b = rng.normal(size=(2, 3, 3)), rng.normal(size=(2, 3, 3))
    x = danlu.linalg.lu_solve(*danlu.linalg.lu_factor(danlu.tensor(a)), danlu.tensor(b), left=left, adjoint=adjoint).numpy()
    system = np.swapaxes(a, 1, 2) if adjoint else a
    np.testing.assert_allclose(system @ x if left else x @ system, b, atol=1e-12)


def test_failures_are_reported_for_each_matrix():
    eye, flat = np.eye(2), np.ones((2, 2))
    both = danlu.tensor(np.stack([eye * 2, flat]))
    inverse, info = danlu.linalg.inv_ex(both)
    assert info.tolist() == [0, 2] and info.dtype is danlu.int32
    close(inverse[0], eye / 2)
    assert danlu.linalg.solve_ex(both, danlu.ones(2, 2, 1, dtype=danlu.float64)).info.tolist() == [0, 2]
    factor, info = danlu.linalg.cholesky_ex(danlu.tensor(np.stack([eye * 4, -eye, flat - 2 * eye])))
    assert info.tolist() == [0, 1, 1]
    close(factor[0], eye * 2)
    assert danlu.linalg.lu_factor_ex(both).info.tolist() == [0, 2]


def test_factors_have_derivatives():
    a = danlu.tensor(rng.normal(size=(3, 3)), requires_grad=True)
    assert gradcheck(lambda x: danlu.linalg.lu(x)[1:], [a])
    assert gradcheck(lambda x: danlu.linalg.lu_solve(*danlu.linalg.lu_factor(x), danlu.ones(3, 1, dtype=danlu.float64)), [a])


# ---- windows ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8])
def test_windows_equal_numpys(count):
    w, double = danlu.signal.windows, {"dtype": danlu.float64}
    for got, want in (
        (w.hann(count, **double), np.hanning(count)),
        (w.hamming(count, **double), np.hamming(count)),
        (w.blackman(count, **double), np.blackman(count)),
        (w.bartlett(count, **double), np.bartlett(count)),
        (w.kaiser(count, beta=5.0, **double), np.kaiser(count, 5.0)),
    ):
        close(got, want, 1e-14)
        assert got.shape == (count,)


def test_a_periodic_window_is_the_start_of_a_longer_one():
    for old, new in (
        ("hann_window", "hann"),
        ("blackman_window", "blackman"),
        ("bartlett_window", "bartlett"),
        ("kaiser_window", "kaiser"),
    ):
        close(getattr(danlu, old)(6), getattr(danlu.signal.windows, new)(7)[:6].numpy(), 1e-6)
    close(danlu.hamming_window(6, alpha=0.6, beta=0.4), danlu.signal.windows.general_hamming(7, alpha=0.6)[:6].numpy(), 1e-6)
    close(danlu.signal.windows.gaussian(3, std=2.0), np.exp([-0.125, 0, -0.125]), 1e-6)


def test_windows_equal_their_formulas():
    w, away = danlu.signal.windows, np.array([1.0, 0, 1, 2])
    close(w.exponential(4, center=1.0, tau=2.0, sym=False), np.exp(-away / 2), 1e-6)
    close(w.exponential(3, tau=0.5), np.exp([-2.0, 0, -2]), 1e-6)
    close(w.exponential(2, sym=False), np.exp([-1.0, 0]), 1e-6)
    close(w.cosine(4), np.sin(np.pi / 8 * np.array([1, 3, 5, 7])), 1e-6)
    close(w.cosine(3, sym=False), np.sin(np.pi / 8 * np.array([1, 3, 5])), 1e-6)
    close(w.cosine(1, sym=False), [1.0], 1e-6)
    assert [w.cosine(0).shape, w.exponential(0).shape, w.nuttall(0).shape] == [(0,)] * 3
    close(w.nuttall(5), [0.0003628, 0.2269824, 1.0, 0.2269824, 0.0003628], 1e-6)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda w: w.hann(-1), danlu.ShapeError, "hann: M=-1; expected a whole number of points, 0 or more"),
        (lambda w: w.hann(3, dtype=danlu.int64), danlu.DTypeError, "hann: dtype=int64; expected a floating dtype"),
        (lambda w: w.kaiser(3, beta=-1.0), danlu.ShapeError, "kaiser: beta=-1.0; expected 0 or more"),
        (lambda w: w.gaussian(3, std=0.0), danlu.ShapeError, "gaussian: std=0.0; expected more than 0"),
        (lambda w: w.exponential(3, tau=0.0), danlu.ShapeError, "exponential: tau=0.0, center=None; expected tau above 0"),
        (
            lambda w: w.exponential(3, center=1.0),
            danlu.ShapeError,
            "center=1.0; expected tau above 0, and a center with sym=False alone",
        ),
        (lambda w: w.general_cosine(3, a=[]), danlu.ShapeError, "general_cosine: a is empty; expected the weights"),
    ],
)
def test_windows_refuse_what_is_none(call, kind, message):
    with pytest.raises(kind, match=message):
        call(danlu.signal.windows)


# ---- forms ----------------------------------------------------------------------------------------------------------------------------


def test_out_takes_a_higher_kind_and_refuses_a_lower_one():
    target = danlu.zeros(2, dtype=danlu.float64)
    assert danlu.add(danlu.tensor([1, 2]), 1, out=target) is target and target.tolist() == [2.0, 3.0]


def test_two_numbers_make_a_tensor_as_in_pytorch():
    assert danlu.div(7.0, 2.0).item() == 3.5 and danlu.floor_divide(7, 2).dtype is danlu.int64
    x, m, v = danlu.tensor([10, 20]), danlu.tensor([[1, 2], [3, 4]]), danlu.tensor([1, 1])
    assert danlu.addmv(x, m, v, beta=2, alpha=-1.9).tolist() == [17, 33]  # PyTorch cuts the fraction off


def test_clamp_with_a_bound_that_is_nan_gives_nan():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert danlu.tensor([1.0, math.inf]).clamp_max(math.nan).isnan().all()
        assert danlu.tensor([1.0, 2.0]).clamp(danlu.tensor([math.nan, 1.0]), None).isnan().tolist() == [True, False]


def test_of_equals_and_of_a_number_beside_nan_one_side_takes_the_gradient():
    x, y = (
        danlu.tensor([1.0, math.nan, 2.0, 3.0], requires_grad=True),
        danlu.tensor([1.0, 5.0, math.nan, 4.0], requires_grad=True),
    )
    for function, winners in ((danlu.fmax, [1, 0, 1, 0]), (danlu.fmin, [1, 0, 1, 1])):
        first, second = danlu.autograd.grad(function(x, y).sum(), [x, y])
        assert first.tolist() == winners and second.tolist() == [1 - w for w in winners]


def test_the_angle_of_the_origin_has_no_derivative_and_spoils_no_gradient():
    x = danlu.zeros(1, requires_grad=True)
    danlu.atan2(x, x).sum().backward()
    assert x.grad.tolist() == [0.0]


def test_outside_its_domain_logit_is_nan_and_so_is_its_derivative():
    x = danlu.tensor([-1.0, 0.5, 2.0], requires_grad=True)
    y = x.logit()
    y.sum().backward()
    np.testing.assert_array_equal(y.detach().numpy(), [math.nan, 0, math.nan])
    np.testing.assert_array_equal(x.grad.numpy(), [math.nan, 4, math.nan])
