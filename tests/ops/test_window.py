"""Windows: their values against NumPy's views, their adjoints by the defining equation, compiled and interpreted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import danlu
from danlu.config import config
from danlu.ops.window import window_counts
from danlu.tensor import apply


def windows_by_hand(x: np.ndarray, kernel, strides, dilations) -> np.ndarray:
    """The windows of the last axes, with plain loops over positions."""
    d = len(kernel)
    counts = window_counts(x.shape[-d:], kernel, strides, dilations)
    out = np.empty((*x.shape[:-d], *counts, *kernel), x.dtype)
    for at in np.ndindex(*counts):
        for inside in np.ndindex(*kernel):
            source = tuple(p * s + k * e for p, k, s, e in zip(at, inside, strides, dilations))
            out[(..., *at, *inside)] = x[(..., *source)]
    return out


@st.composite
def cases(draw):
    """(sizes, kernel, strides, dilations) of one or two axes where at least one window fits."""
    d = draw(st.integers(1, 2))
    kernel, strides, dilations = (tuple(draw(st.integers(1, 3)) for _ in range(d)) for _ in range(3))
    sizes = tuple(e * (k - 1) + 1 + draw(st.integers(0, 5)) for k, e in zip(kernel, dilations))
    return sizes, kernel, strides, dilations


@pytest.mark.parametrize("optimize", [True, False])
@given(case=cases())
@settings(max_examples=15, deadline=None)
def test_a_window_and_its_adjoint(optimize, case):
    sizes, kernel, strides, dilations = case
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 9, (2, *sizes)).astype(np.float64)
    previous, config.optimize = config.optimize, optimize
    try:
        tensor = danlu.tensor(x, requires_grad=True)
        y = apply("window", tensor, kernel=kernel, strides=strides, dilations=dilations)
        expected = windows_by_hand(x, kernel, strides, dilations)
        np.testing.assert_array_equal(y.detach().numpy(), expected)
        g = rng.integers(-9, 9, expected.shape).astype(np.float64)
        back = apply("unwindow", danlu.tensor(g), sizes=sizes, strides=strides, dilations=dilations).numpy()
        assert (back * x).sum() == (g * expected).sum()  # ⟨Wᵀg, x⟩ = ⟨g, W x⟩; small integers: exact
        (y * danlu.tensor(g)).sum().backward()
        np.testing.assert_array_equal(tensor.grad.numpy(), back)
    finally:
        config.optimize = previous


def test_the_derivative_of_the_adjoint_is_the_window():
    g = np.arange(2 * 3 * 2, dtype=np.float64).reshape(2, 3, 2)
    tensor = danlu.tensor(g, requires_grad=True)
    y = apply("unwindow", tensor, sizes=(7,), strides=(2,), dilations=(2,))
    weight = np.arange(14.0).reshape(2, 7)
    (y * danlu.tensor(weight)).sum().backward()
    np.testing.assert_array_equal(tensor.grad.numpy(), windows_by_hand(weight, (2,), (2,), (2,)))
