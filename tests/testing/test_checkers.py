"""The public checkers: they pass what is right, and what is wrong they name."""

from __future__ import annotations

import doctest
import importlib

import numpy as np
import pytest

import danlu
from danlu import dtype as dt
from danlu.errors import DTypeError, GradientError, ShapeError
from danlu.graph import Node, Op, Spec
from danlu.ops import o
from danlu.testing import evaluate, gradcheck, gradgradcheck, inputs_of


def x64(*values):
    return danlu.tensor(list(values), dtype=danlu.float64, requires_grad=True)


def test_gradcheck_passes_what_is_right():
    assert gradcheck(lambda x, y: (x * y).exp().sum(), [x64(0.5, -1.0), x64(1.5, 0.25)])
    assert gradcheck(lambda x: (x.sin(), x**3), x64(0.5, -1.0), order=3)
    assert gradcheck(lambda x: x * 3.0, x64(0.5, -1.0))
    assert gradcheck(lambda x, n: x[n], [x64(0.5, -1.0, 2.0), danlu.tensor([2, 0, 2])])


def test_gradcheck_names_the_worst_element():
    with pytest.raises(GradientError) as error:
        gradcheck(lambda x: x * danlu.where(x > 1, x.detach(), x), [x64(0.5, 2.0)])
    assert str(error.value) == (
        "gradcheck: order 1: the derivative with respect to input 0 at [1] is 1.87116; "
        "differences give 3.74231 (atol 1e-05, rtol 0.001)"
    )


def test_gradcheck_sees_a_wrong_second_derivative():
    f = lambda x: (x * x.detach() * 2 - (x * x).detach()) * x.detach() ** 0  # noqa: E731  (value x², derivative 2x, then 0)
    assert gradcheck(f, [x64(0.5, 2.0)], order=1)
    with pytest.raises(GradientError, match=r"gradcheck: order 2: the derivative with respect to input 0 at \[0\] is"):
        gradcheck(f, [x64(0.5, 2.0)], order=2)
    with pytest.raises(GradientError, match=r"with respect to input 0 at \[0\] is"):
        gradgradcheck(f, [x64(0.5, 2.0)])
    assert gradgradcheck(lambda x, y: (x * y).sin(), [x64(0.5, -1.0), x64(1.5, 0.25)], check_fwd_over_rev=True)


def test_gradcheck_gives_false_where_no_error_is_wanted():
    wrong = lambda x: x * x.detach()  # noqa: E731
    assert gradcheck(wrong, x64(0.5), raise_exception=False) is False
    assert gradgradcheck(lambda x: x * x.detach() * 2 - (x * x).detach(), x64(0.5), raise_exception=False) is False
    assert gradcheck(lambda x: x * x, x64(0.5), raise_exception=False, fast_mode=True) is True
    assert gradcheck(wrong, x64(0.5), rtol=0.6) is True  # half of the derivative is within 60 %


def test_gradcheck_checks_forward_mode():
    class Wrong(danlu.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return g * 2 * ctx.saved_tensors[0]

        @staticmethod
        def jvp(ctx, dx):
            return dx * 3

    assert gradcheck(Wrong.apply, x64(0.5, 2.0))
    with pytest.raises(GradientError, match=r"gradcheck: order 1: the forward derivative along one direction at \[\] is"):
        gradcheck(Wrong.apply, x64(0.5, 2.0), check_forward_ad=True)
    assert gradcheck(lambda x, y: x.exp() @ y, [x64(0.5, 2.0), x64(1.0, 3.0)], check_forward_ad=True)


def test_gradcheck_names_a_derivative_that_changes():
    calls = []

    class Noisy(danlu.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            calls.append(1)
            return g * (2 + 1e-7 * len(calls))

    with pytest.raises(GradientError, match=r"input 0 differs by 1\.\d+e-07 from call to call; .* \(nondet_tol 0\)"):
        gradcheck(Noisy.apply, x64(0.5))
    assert gradcheck(Noisy.apply, x64(0.5), nondet_tol=1e-6)


def test_gradcheck_refuses_what_it_cannot_check():
    with pytest.raises(
        DTypeError, match=r"gradcheck: input 0 is float32; differences need float64 or complex128: write x\.double\(\)"
    ):
        gradcheck(lambda x: x, danlu.ones(2, requires_grad=True))
    with pytest.raises(GradientError, match="gradcheck: no input requires grad; make one with"):
        gradcheck(lambda x: x, danlu.ones(2, dtype=danlu.float64))
    with pytest.raises(GradientError, match="gradcheck: order 1: the result does not depend on any input that requires grad"):
        gradcheck(lambda x: x.detach(), x64(1.0))
    with pytest.raises(
        GradientError, match="gradcheck: the function gives no tensor of floats; there is nothing to differentiate"
    ):
        gradcheck(lambda x: x > 0, x64(1.0))


def test_evaluate_checks_the_reference_against_the_shape_rule():
    arrays = [np.zeros((2, 3))]
    (x,) = inputs_of(arrays)
    op = Op("bad", "movement", "A wrong reference.", infer=lambda x: x, numpy=lambda x: x.T)
    with pytest.raises(ShapeError) as error:
        evaluate([Node(op, (x,), (), Spec((2, 3), dt.float64))], arrays)
    assert str(error.value) == "bad: the reference gives float64[3, 2], the shape rule says float64[2, 3]"


def test_evaluate_shares_what_is_shared():
    arrays = [np.asarray(1.0)]
    (x,) = inputs_of(arrays)
    for _ in range(60):
        x = o.add(x, x)
    assert evaluate([x], arrays) == [2.0**60]


@pytest.mark.parametrize("name", ["testing.evaluate", "autograd.gradcheck"])
def test_examples(name):
    result = doctest.testmod(importlib.import_module(f"danlu.{name}"))
    assert result.attempted and not result.failed
