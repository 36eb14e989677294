"""Gradient clipping."""

from __future__ import annotations

import numpy as np
import pytest

import danlu
from danlu import nn
from danlu.errors import DataError


def params(*grads):
    out = [nn.Parameter(danlu.zeros(len(g))) for g in grads]
    for p, g in zip(out, grads):
        p.grad = danlu.tensor(g)
    return [*out, nn.Parameter(danlu.zeros(1))]  # the last has no gradient


def test_clip_grad_norm():
    ps = params([3.0, 0.0], [4.0])
    held = ps[0].grad
    assert nn.utils.clip_grad_norm_(ps, 1.0).item() == 5.0
    np.testing.assert_allclose([*ps[0].grad.tolist(), *ps[1].grad.tolist()], [0.6, 0, 0.8], rtol=1e-5)
    assert ps[0].grad is held and ps[2].grad is None
    assert nn.utils.clip_grad_norm_(iter(ps), 100.0).item() == pytest.approx(1.0, rel=1e-5)
    np.testing.assert_allclose(ps[1].grad.tolist(), [0.8], rtol=1e-5)
    assert nn.utils.clip_grad_norm_(ps[2], 1.0).item() == 0.0


def test_clip_grad_value():
    (p, _) = params([3.0, -4.0, 0.5])
    nn.utils.clip_grad_value_(p, 1.0)
    assert p.grad.tolist() == [1, -1, 0.5]


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (lambda p: nn.utils.clip_grad_norm_(p, -1.0), "max_norm is -1.0; expected a number ≥ 0"),
        (lambda p: nn.utils.clip_grad_norm_(p, 1.0, norm_type=1.0), "norm_type is 1.0; expected 2, the Euclidean norm"),
        (lambda p: nn.utils.clip_grad_value_(p, -1.0), "clip_value is -1.0; expected a number ≥ 0"),
    ],
)
def test_messages(action, text):
    with pytest.raises(DataError, match=text):
        action(params([1.0]))
