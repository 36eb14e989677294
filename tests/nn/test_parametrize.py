"""Weights that are computed from others: the norms, orthogonal matrices, and parametrizations of one's own."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import danlu
from danlu import nn
from danlu.errors import AxisError, DataError, ShapeError
from danlu.nn.utils import parametrizations, parametrize


class Exponential(nn.Module):
    def forward(self, x):
        return x.exp()

    def right_inverse(self, w):
        return w.log()


class Twice(nn.Module):
    def forward(self, x):
        return x * 2


def positive():
    layer = nn.Linear(2, 1)
    nn.init.constant_(layer.weight, 3.0)
    return parametrize.register_parametrization(layer, "weight", Exponential())


def test_a_parametrized_weight():
    layer = positive()
    original = layer.parametrizations.weight.original
    np.testing.assert_allclose(original.detach().numpy(), np.log(3), rtol=1e-6)
    assert sorted(layer.state_dict()) == ["bias", "parametrizations.weight.original"]
    layer(danlu.ones(1, 2)).sum().backward()
    np.testing.assert_allclose(original.grad.numpy(), 3, rtol=1e-6)  # d exp(v)/dv = exp(v)
    layer.weight = danlu.full((1, 2), 5.0)
    np.testing.assert_allclose(original.detach().numpy(), np.log(5), rtol=1e-6)
    assert type(layer).__name__ == "ParametrizedLinear" and isinstance(layer, nn.Linear)


def test_one_parametrization_after_another_and_back():
    layer = positive()
    held = layer.parametrizations.weight.original
    parametrize.register_parametrization(layer, "weight", Twice())
    np.testing.assert_allclose(layer.weight.detach().numpy(), 6, rtol=1e-6)
    assert [type(m) for m in layer.parametrizations.weight] == [Exponential, Twice]
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear and layer.weight is held and sorted(layer.state_dict()) == ["bias", "weight"]
    np.testing.assert_allclose(held.detach().numpy(), 6, rtol=1e-6)
    left = positive()
    parametrize.remove_parametrizations(left, "weight", leave_parametrized=False)
    np.testing.assert_allclose(left.weight.detach().numpy(), np.log(3), rtol=1e-6)


def test_a_buffer_and_a_second_tensor():
    norm = nn.BatchNorm1d(2)
    parametrize.register_parametrization(norm, "running_mean", Twice())
    parametrize.register_parametrization(norm, "weight", Exponential(), unsafe=True)
    assert "parametrizations.running_mean.original" in norm.state_dict() and parametrize.is_parametrized(norm, "weight")
    assert not isinstance(norm.parametrizations.running_mean.original, nn.Parameter)
    parametrize.remove_parametrizations(norm, "running_mean")
    assert parametrize.is_parametrized(norm, "weight") and not parametrize.is_parametrized(norm, "running_mean")
    assert "running_mean" in dict(norm.named_buffers())


def test_copies_are_apart():
    layer = positive()
    twin = copy.deepcopy(layer)
    layer.weight = danlu.full((1, 2), 7.0)
    np.testing.assert_allclose(twin.weight.detach().numpy(), 3, rtol=1e-6)
    parametrize.remove_parametrizations(layer, "weight")
    assert parametrize.is_parametrized(twin)


def test_a_cached_value_is_computed_once():
    calls = []

    class Counting(nn.Module):
        def forward(self, x):
            calls.append(1)
            return x + 0

    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Counting())
    calls.clear()
    with parametrize.cached():
        layer(layer(danlu.ones(1, 2)))
    assert len(calls) == 1
    layer(layer(danlu.ones(1, 2)))
    assert len(calls) == 3


def test_a_compiled_step_trains_the_original():
    layer = positive()
    optimizer = danlu.optim.SGD(layer.parameters(), lr=0.1)

    def step(x):
        loss = layer(x).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    twin = copy.deepcopy(layer)
    fast, x = danlu.compile(step), danlu.ones(1, 2)
    losses = [fast(x).item() for _ in range(4)]
    v, b = np.full((1, 2), np.log(3)), twin.bias.detach().numpy().astype(float)
    for loss in losses:
        assert loss == pytest.approx(np.exp(v).sum() + b[0], rel=1e-5)
        v, b = v - 0.1 * np.exp(v), b - 0.1


# ---- the parametrizations that come with the library --------------------------------------------------------------------------


@pytest.mark.parametrize("make", [parametrizations.weight_norm, nn.utils.weight_norm])
@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm(make, dim):
    layer = nn.Linear(3, 2)
    before = layer.weight.detach().numpy().copy()
    layer = make(layer, dim=dim)
    g, v = (p for name, p in layer.named_parameters() if "bias" not in name)
    assert tuple(g.shape) == {0: (2, 1), 1: (1, 3), None: ()}[dim]
    layer(danlu.ones(1, 3))
    np.testing.assert_allclose(layer.weight.detach().numpy(), before, rtol=1e-6)
    with danlu.no_grad():
        g.mul_(2)
        v.mul_(5)  # only the direction counts
    layer(danlu.ones(1, 3))
    np.testing.assert_allclose(layer.weight.detach().numpy(), 2 * before, rtol=1e-6)


def test_weight_norm_is_taken_away():
    layer = nn.utils.weight_norm(nn.Linear(3, 2))
    y = layer(danlu.ones(1, 3)).detach().numpy()
    nn.utils.remove_weight_norm(layer)
    np.testing.assert_allclose(layer(danlu.ones(1, 3)).detach().numpy(), y, rtol=1e-6)
    assert sorted(layer.state_dict()) == ["bias", "weight"] and isinstance(layer.weight, nn.Parameter)


@pytest.mark.parametrize("make", [parametrizations.spectral_norm, nn.utils.spectral_norm])
@pytest.mark.parametrize("layer", [nn.Linear(5, 4), nn.Conv2d(2, 3, 2), nn.ConvTranspose1d(3, 2, 2)])
def test_spectral_norm(make, layer):
    layer = make(copy.deepcopy(layer), n_power_iterations=2)
    x = danlu.ones(*((2, 5) if isinstance(layer, nn.Linear) else (1, 2, 4, 4) if isinstance(layer, nn.Conv2d) else (1, 3, 4)))
    for _ in range(60):
        layer(x).detach().numpy()
    layer.eval()
    axis = 1 if isinstance(layer, nn.ConvTranspose1d) else 0
    w = np.moveaxis(layer.weight.detach().numpy(), axis, 0)
    assert np.linalg.svd(w.reshape(w.shape[0], -1), compute_uv=False)[0] == pytest.approx(1, abs=1e-3)
    before = layer.state_dict()
    before = {name: value.numpy().copy() for name, value in before.items()}
    layer(x)  # in evaluation the vectors stay
    assert all((value.numpy() == before[name]).all() for name, value in layer.state_dict().items())


def test_spectral_norm_learns_and_is_taken_away():
    layer = nn.utils.spectral_norm(nn.Linear(4, 3), n_power_iterations=2)
    layer(danlu.ones(1, 4)).sum().backward()
    assert layer.weight_orig.grad is not None
    w = layer.weight.detach().numpy()
    nn.utils.remove_spectral_norm(layer)
    np.testing.assert_allclose(layer.weight.detach().numpy(), w, rtol=1e-5)


@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 5)])
@pytest.mark.parametrize("way", [None, "cayley"])
def test_orthogonal(shape, way):
    rows, columns = shape
    layer = parametrizations.orthogonal(nn.Linear(columns, rows), orthogonal_map=way)
    optimizer = danlu.optim.SGD(layer.parameters(), lr=0.3)
    for _ in range(3):
        w = layer.weight.detach().numpy()
        product = w.T @ w if rows >= columns else w @ w.T
        np.testing.assert_allclose(product, np.eye(min(shape)), atol=1e-5)
        optimizer.zero_grad()
        (layer(danlu.ones(1, columns)) ** 2).sum().backward()
        optimizer.step()
    assert abs(layer.weight.detach().numpy() - w).max() > 1e-3  # it moved


def test_an_orthogonal_matrix_stays_what_it_is():
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0].astype(np.float32)
    layer = nn.Linear(4, 4)
    layer.weight.data = danlu.tensor(q)
    layer = parametrizations.orthogonal(layer)
    np.testing.assert_allclose(layer.weight.detach().numpy(), q, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: parametrize.register_parametrization(nn.Linear(1, 1), "w", Twice()), DataError, "Linear has no parameter or buffer 'w'"),
        (lambda: parametrize.register_parametrization(nn.Linear(2, 1), "weight", nn.Linear(2, 3)), ShapeError,
         r"the parametrization of 'weight' gives danlu.float32 \(1, 3\); expected danlu.float32 \(1, 2\), as the tensor was"),
        (lambda: parametrize.remove_parametrizations(nn.Linear(1, 1), "weight"), DataError, "'weight' of Linear is not parametrized"),
        (lambda: parametrize.remove_parametrizations(parametrizations.weight_norm(nn.Linear(1, 1)), "weight", False), DataError,
         "'weight' is computed from 2 tensors; leave_parametrized=False needs one"),
        (lambda: parametrizations.spectral_norm(nn.Linear(1, 1), n_power_iterations=0), DataError, "n_power_iterations is 0; expected an integer"),
        (lambda: parametrizations.spectral_norm(nn.Linear(1, 1), dim=2), AxisError, r"the weight has shape \(1, 1\) and no axis 2"),
        (lambda: parametrizations.spectral_norm(nn.ReLU()), DataError, "spectral_norm: ReLU has no tensor 'weight'"),
        (lambda: parametrizations.orthogonal(nn.Linear(1, 1), orthogonal_map="householder"), DataError,
         "orthogonal: got orthogonal_map='householder', use_trivialization=True; expected None, 'matrix_exp' or 'cayley'"),
        (lambda: parametrizations.orthogonal(nn.Linear(1, 2), "bias"), ShapeError, r"'bias' has shape \(2,\); expected a matrix"),
        (lambda: nn.utils.weight_norm(nn.ReLU()), DataError, "weight_norm: ReLU has no parameter 'weight'"),
        (lambda: nn.utils.remove_weight_norm(nn.utils.spectral_norm(nn.Linear(1, 1))), DataError, "'weight' of Linear has no such norm"),
    ],
)  # fmt: skip
def test_messages(make, error, text):
    with pytest.raises(error, match=text):
        make()
