"""Gradient clipping, and parameters as a vector."""

from __future__ import annotations

import numpy as np
import pytest

import danlu
from danlu import nn
from danlu.errors import DataError, NumericError, ShapeError


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


@pytest.mark.parametrize(("p", "norm"), [(1, 7.0), (3, 91 ** (1 / 3)), (float("inf"), 4.0)])
def test_other_norms(p, norm):
    ps = params([3.0, 0.0], [-4.0])
    assert nn.utils.get_total_norm([q.grad for q in ps[:2]], p).item() == pytest.approx(norm)
    assert nn.utils.clip_grad_norm_(ps, 0.5, p).item() == pytest.approx(norm)
    assert nn.utils.get_total_norm([q.grad for q in ps[:2]], p).item() == pytest.approx(0.5, rel=1e-4)


def test_norms_that_are_no_numbers():
    ps = params([float("inf")])
    with pytest.raises(NumericError, match="the norm of the gradients is inf; look for what became infinite"):
        nn.utils.clip_grad_norm_(ps, 1.0, error_if_nonfinite=True)
    assert nn.utils.get_total_norm([]).item() == 0.0


def test_parameters_as_a_vector():
    net = nn.Linear(3, 2)
    line = nn.utils.parameters_to_vector(net.parameters())
    assert line.tolist() == [*net.weight.flatten().tolist(), *net.bias.tolist()]
    nn.utils.vector_to_parameters(line * 2, net.parameters())
    np.testing.assert_allclose(nn.utils.parameters_to_vector(net.parameters()).tolist(), (line * 2).tolist())
    (line**2).sum().backward()
    assert net.bias.grad is not None
    with pytest.raises(ShapeError, match=r"the vector has shape \(7,\); expected \(8,\), one element for each"):
        nn.utils.vector_to_parameters(danlu.ones(7), net.parameters())


def test_clip_grad_value():
    (p, _) = params([3.0, -4.0, 0.5])
    nn.utils.clip_grad_value_(p, 1.0)
    assert p.grad.tolist() == [1, -1, 0.5]


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (lambda p: nn.utils.clip_grad_norm_(p, -1.0), "max_norm is -1.0; expected a number ≥ 0"),
        (lambda p: nn.utils.clip_grad_norm_(p, 1.0, norm_type=0.0), "norm_type is 0.0; expected a number > 0"),
        (lambda p: nn.utils.clip_grad_value_(p, -1.0), "clip_value is -1.0; expected a number ≥ 0"),
    ],
)
def test_messages(action, text):
    with pytest.raises(DataError, match=text):
        action(params([1.0]))
