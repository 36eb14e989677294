"""The gradient of a weight that many contractions share is one contraction over their stacked operands."""

from __future__ import annotations

import numpy as np
import pytest

import danlu
from danlu.autodiff import SEVERAL, gradients
from danlu.graph import CONTRACT, toposort
from danlu.ops import composite, o  # noqa: F401  (the composites fill the table)
from danlu.testing import inputs_of


def gradient_of_shared(count: int, rows: int = 2):
    """The gradient of w in Σ xₖ w, and how many contractions it has."""
    xs = [np.zeros((rows, 8), np.float32)] * count
    w, *inputs = inputs_of([np.zeros((8, 8), np.float32), *xs])
    ys = [o.contract(x, w, labels=("mk", "kn", "mn")) for x in inputs]
    (found,) = gradients(ys, [o.like(1, y) for y in ys], [w])
    return found, sum(n.op.family == CONTRACT for n in toposort([found]))


@pytest.mark.parametrize(
    ("count", "rows", "contractions"),
    [
        (SEVERAL, 2, 1),
        (SEVERAL + 3, 2, 1),
        (SEVERAL - 1, 2, SEVERAL - 1),
        (SEVERAL, 8, SEVERAL),
    ],  # few, or operands that are large
)
def test_how_many_contractions_a_shared_weight_gets(count, rows, contractions):
    assert gradient_of_shared(count, rows)[1] == contractions


def test_the_sum_is_that_of_all_steps_and_of_what_is_no_contraction():
    rng = np.random.default_rng(0)
    w = danlu.tensor(rng.integers(-3, 4, (6, 6)).astype(np.float32), requires_grad=True)
    xs = [rng.integers(-3, 4, (2, 6)).astype(np.float32) for _ in range(6)]
    gs = [rng.integers(-3, 4, (2, 6)).astype(np.float32) for _ in range(6)]
    loss = (w * w).sum()
    for x, g in zip(xs, gs):
        loss = loss + ((danlu.tensor(x) @ w) * danlu.tensor(g)).sum()
    loss.backward()
    expected = 2 * w.detach().numpy() + sum(x.T @ g for x, g in zip(xs, gs))
    np.testing.assert_array_equal(w.grad.numpy(), expected)  # small integers: exact in any order


@pytest.mark.parametrize("dim", [0, 1])
def test_many_parts_one_after_another(dim):
    parts = [np.arange(n * 6, dtype=np.float32).reshape((n, 6) if dim == 0 else (6, n)) for n in (3, 1, 0, 4, 2, 40)]
    made = danlu.cat([danlu.tensor(p) * 2 for p in parts], dim)
    np.testing.assert_array_equal(made.numpy(), np.concatenate([p * 2 for p in parts], dim))
