"""Formulas of graphs: what is printed, and that what is printed is the derivative (against NumPy differences)."""

from __future__ import annotations

import numpy as np
import pytest

from danlu import dtype as dt
from danlu.autodiff import gradients
from danlu.graph import Node, Spec
from danlu.ops.table import PLACEHOLDER, o
from danlu.teaching.convert import expression_of
from danlu.teaching.expression import ZERO, compute, evaluate, inputs_like, number, plus, product, size, symbol, times, total
from danlu.teaching.notation import digits, latex_name, latex_of, text_of

X, Y = symbol("x", "x", ()), symbol("y", "y", (3,))


@pytest.mark.parametrize(
    ("expression", "text", "latex"),
    [
        (times(X, X, X), "x³", "{x}^{3}"),
        (total((2.0, X), (-2.0, X)), "0", "0"),
        (plus(X, X), "2·x", r"2 \, x"),
        (total((1.0, number(1)), (-1.0, X)), "1 − x", "1 - x"),
        (product((X, 2), (X, -1)), "x", "x"),
        (product((X, -1)), "1 / x", r"\frac{1}{x}"),
        (product((plus(X, number(1)), -2)), "1 / (x + 1)²", r"\frac{1}{{\left(x + 1\right)}^{2}}"),
        (product((X, 0.5)), "√x", r"\sqrt{x}"),
        (times(number(0.5), X), "x / 2", r"\frac{x}{2}"),
        (times(number(2), plus(X, number(3))), "2·(x + 3)", r"2 \, \left(x + 3\right)"),
        (times(Y, plus(number(1), Y), X), "x·y ⊙ (1 + y)", r"x \, y \odot \left(1 + y\right)"),
        (times(number(0), X), "0", "0"),
        (total((-1.0, X)), "−x", "-x"),
        (plus(times(X, Y), times(Y, X)), "2·x·y", r"2 \, x \, y"),
        (product((plus(X, Y), 1), (plus(Y, X), 1)), "(x + y)²", r"{\left(x + y\right)}^{2}"),
    ],
)
def test_sums_and_products_are_simplified(expression, text, latex):
    assert (text_of(expression), latex_of(expression)) == (text, latex)


def test_equal_expressions_are_one_object():
    assert plus(X, Y) is plus(X, Y)
    assert plus(X, number(0)) is X
    assert times(X, number(0)) is ZERO
    assert size(times(X, X)) < size(plus(times(X, X), product((Y, 3))))


def test_numbers_are_short():
    assert [digits(v) for v in (2.0, 0.5, 1 / 3, 2 / 7, 1.23456789)] == ["2", "0.5", "1/3", "2/7", "1.235"]


def test_names_become_latex():
    assert [latex_name(n) for n in ("w", "W1", "W_2", "fc.weight", "learning_rate")] == [
        "w", "W_{1}", "W_{2}", r"\mathtt{fc.weight}", r"\mathtt{learning\_rate}"
    ]  # fmt: skip


CASES = {
    "cube": (lambda x: o.pow(x, 3.0), {"x": ()}, {"x": "3·x²"}),
    "chain": (lambda x: o.sin(o.mul(x, x)), {"x": ()}, {"x": "2·cos(x²)·x"}),
    "sigmoid": (lambda x: o.sum(o.sigmoid(x), dims=(0,), keepdim=False), {"x": (3,)}, {"x": "σ(x) ⊙ (1 − σ(x))"}),
    "vector": (lambda x, w, b: o.linear(x, w, b), {"x": (3,), "w": (2, 3), "b": (2,)}, {"x": "wᵀ ones(2)", "w": "ones(2) xᵀ", "b": "1"}),
    "batch": (lambda x, w, b: o.linear(x, w, b), {"x": (5, 3), "w": (2, 3), "b": (2,)}, {"w": "ones(5×2)ᵀ x", "b": "5"}),
    "dot": (lambda x, y: o.matmul(x, y), {"x": (3,), "y": (3,)}, {"x": "y", "y": "x"}),
    "squares": (lambda x, y: o.mse_loss(x, y, reduction="mean"), {"x": (4,), "y": (4,)}, {"x": "(x − y) / 2"}),
    "relu": (lambda x: o.relu(x), {"x": (3,)}, {"x": "[relu(x) > 0]"}),
    "quotient": (lambda x, y: o.div(x, y), {"x": (), "y": ()}, {"x": "1 / y", "y": "−x / y²"}),
    "softmax": (lambda x: o.softmax(x, dim=0), {"x": (3,)}, {}),
    "variance": (lambda x: o.var(x, dims=(0,), keepdim=False, correction=1), {"x": (3,)}, {}),
    "broadcast": (lambda x, y: o.sum(o.mul(x, y), dims=(1,), keepdim=True), {"x": (4, 3), "y": (3,)}, {}),
    "middle axis": (lambda x: o.sum(o.exp(o.sum(x, dims=(1,), keepdim=False)), dims=(0,), keepdim=False), {"x": (2, 3, 4)}, {}),
    "batched": (lambda x, y: o.matmul(x, y), {"x": (2, 3, 4), "y": (2, 4, 5)}, {}),
    "pieces": (lambda x: o.cat(x, o.mul(x, 2.0), dim=0), {"x": (4,)}, {}),
    "choice": (lambda x, y: o.where(o.gt(x, 1.0), o.mul(x, y), o.rsqrt(y)), {"x": (3,), "y": (3,)}, {"x": "[x > 1] ⊙ y"}),
    "powers": (lambda x, y: o.sum(o.pow(x, y), dims=(0,), keepdim=False), {"x": (3,), "y": (3,)}, {}),
}  # fmt: skip


def differences(f, arrays, k, step=1e-6):
    """∂ Σ f / ∂ arrays[k], by central differences."""
    out = np.zeros_like(arrays[k])
    for at in np.ndindex(out.shape):
        ends = []
        for h in (step, -step):
            moved = [a.copy() for a in arrays]
            moved[k][at] += h
            ends.append(compute([f(*inputs_like(moved))], moved)[0].sum())
        out[at] = (ends[0] - ends[1]) / (2 * step)
    return out


@pytest.mark.parametrize("name", CASES)
def test_formulas_are_the_derivatives(name):
    f, shapes, expected = CASES[name]
    xs = {k: Node(PLACEHOLDER, (), (), Spec(s, dt.float64)) for k, s in shapes.items()}
    letters = {id(x): symbol(k, k, x.shape) for k, x in xs.items()}
    rng = np.random.default_rng(0)
    arrays = [np.asarray(rng.uniform(0.5, 1.5, x.shape)) for x in xs.values()]
    values = {letters[id(x)]: a for x, a in zip(xs.values(), arrays)}
    y = f(*xs.values())
    reference = compute([f(*inputs_like(arrays))], arrays)[0]
    np.testing.assert_allclose(np.broadcast_to(evaluate(expression_of(y, letters), values), y.shape), reference, rtol=1e-12)
    for k, (letter, g) in enumerate(zip(xs, gradients([y], [o.like(1.0, y)], list(xs.values())))):
        expression = expression_of(g, letters)
        assert text_of(expression) == expected.get(letter, text_of(expression))
        found = np.broadcast_to(evaluate(expression, values), arrays[k].shape)
        np.testing.assert_allclose(found, differences(f, arrays, k), rtol=1e-5, atol=1e-7)
