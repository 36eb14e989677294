"""Initialisation: ranges, moments and messages."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

import danlu
from danlu import nn
from danlu.errors import DataError, ShapeError
from danlu.nn import init


@pytest.mark.parametrize(
    ("draw", "std"),
    [
        (lambda w: init.uniform_(w, -1, 3), 4 / sqrt(12)),
        (lambda w: init.normal_(w, 1.0, 0.5), 0.5),
        (lambda w: init.xavier_uniform_(w, gain=2.0), 2 * sqrt(2 / 500)),
        (lambda w: init.xavier_normal_(w), sqrt(2 / 500)),
        (lambda w: init.kaiming_uniform_(w, nonlinearity="relu"), sqrt(2 / 200)),
        (lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"), sqrt(2 / 300)),
        (lambda w: init.kaiming_normal_(w, a=1.0), sqrt(1 / 200)),
        (lambda w: init.trunc_normal_(w, std=0.1, a=-10.0, b=10.0), 0.1),
    ],
)
def test_spread(draw, std):
    danlu.manual_seed(0)
    w = nn.Parameter(danlu.zeros(300, 200))
    assert draw(w) is w
    values = w.detach().numpy()
    np.testing.assert_allclose(values.std(), std, rtol=0.02)
    np.testing.assert_allclose(values.mean(), values.mean().round(), atol=0.03 * std)
    assert w.requires_grad and w.is_leaf and w.grad is None


def test_uniform_stays_inside():
    values = init.uniform_(danlu.zeros(10_000), -1, 3).numpy()
    assert values.min() >= -1 and values.max() <= 3 and values.min() < -0.99 and values.max() > 2.99


def test_trunc_normal_stays_inside_and_is_normal_there():
    values = init.trunc_normal_(danlu.zeros(20_000), mean=1.0, std=2.0, a=0.0, b=2.0).numpy()
    assert values.min() >= 0 and values.max() <= 2
    np.testing.assert_allclose(values.mean(), 1, atol=0.02)
    # A unit normal cut off at ±1/2 has the variance 1 − φ(1/2) / (2Φ(1/2) − 1) = 0.2839².
    np.testing.assert_allclose(values.std(), 2 * 0.2839, rtol=0.03)


def test_constants():
    assert init.constant_(danlu.zeros(2), 3.0).tolist() == [3, 3]
    assert init.zeros_(danlu.ones(2)).tolist() == [0, 0] and init.ones_(danlu.zeros(2)).tolist() == [1, 1]
    assert init.eye_(danlu.ones(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (5, 2, 3)])
def test_orthogonal(shape):
    m = init.orthogonal_(danlu.zeros(*shape), gain=2.0).numpy().reshape(shape[0], -1)
    small = m @ m.T if m.shape[0] <= m.shape[1] else m.T @ m
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-5)


def test_gain_and_fans():
    assert init.calculate_gain("tanh") == 5 / 3 and init.calculate_gain("leaky_relu", 1.0) == 1.0
    assert init.fans(danlu.zeros(8, 4, 3, 3)) == (36, 72)


@pytest.mark.parametrize(
    ("action", "error", "text"),
    [
        (lambda: init.calculate_gain("step"), DataError, "nonlinearity is 'step'; expected leaky_relu, linear"),
        (
            lambda: init.xavier_normal_(danlu.zeros(3)),
            ShapeError,
            r"shape \(3,\) has no fan in .*for a bias use init.zeros_",
        ),
        (lambda: init.kaiming_normal_(danlu.zeros(3, 3), mode="in"), DataError, "mode is 'in'; expected 'fan_in' or 'fan_out'"),
        (lambda: init.eye_(danlu.zeros(3)), ShapeError, r"eye_: the tensor has shape \(3,\); expected two axes"),
        (lambda: init.orthogonal_(danlu.zeros(3)), ShapeError, "orthogonal_: .* expected at least two axes"),
        (lambda: init.trunc_normal_(danlu.zeros(3), a=2.0, b=2.0), DataError, "a is 2.0 and b 2.0; expected a < b"),
    ],
)
def test_messages(action, error, text):
    with pytest.raises(error, match=text):
        action()


@pytest.mark.parametrize(
    "draw", [lambda w: init.uniform_(w, -2, 3), lambda w: init.normal_(w, 1.0, 0.5)], ids=["uniform", "normal"]
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_a_number_depends_on_its_place_alone(draw, dtype, monkeypatch):
    """However many there are, by which way they are drawn, and in which shape."""

    def drawn(*shape):
        danlu.manual_seed(5)
        return draw(danlu.zeros(*shape, dtype=getattr(danlu, dtype))).double().numpy().reshape(-1)

    few = drawn(1000)
    tolerance = 1e-2 if dtype == "bfloat16" else 1e-6
    for many in (drawn(2, init.REFERENCE), drawn(init.PROGRAM + 1)):
        np.testing.assert_allclose(many[:1000], few, rtol=0, atol=tolerance)
    compiled = drawn(2, init.REFERENCE)
    monkeypatch.setattr(danlu.config, "optimize", False)
    np.testing.assert_allclose(drawn(2, init.REFERENCE), compiled, rtol=0, atol=tolerance)
