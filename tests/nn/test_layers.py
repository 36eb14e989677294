"""Layers: shapes, initial values, modes and messages; numbers are compared in test_functional.py."""

from __future__ import annotations

import numpy as np
import pytest

import danlu
from danlu import nn
from danlu.errors import DataError, DTypeError, ShapeError


def test_linear_begins_as_in_pytorch():
    layer = nn.Linear(16, 2000)
    for values in (layer.weight.detach().numpy(), layer.bias.detach().numpy()):
        assert np.abs(values).max() <= 0.25 and np.abs(values).max() > 0.24
        np.testing.assert_allclose(values.std(), 0.25 / np.sqrt(3), rtol=0.05)
        np.testing.assert_allclose(values.mean(), 0, atol=0.02)


def test_the_generator_decides_the_weights():
    def weights(seed):
        return nn.Linear(3, 3, generator=danlu.Generator().manual_seed(seed)).weight.tolist()

    assert weights(1) == weights(1) != weights(2)
    danlu.manual_seed(5)
    first = nn.Linear(3, 3).weight.tolist()
    assert first != nn.Linear(3, 3).weight.tolist()
    danlu.manual_seed(5)
    assert first == nn.Linear(3, 3).weight.tolist()


def test_linear_without_bias_and_other_dtype():
    layer = nn.Linear(3, 2, bias=False, dtype=danlu.float64)
    assert layer.bias is None and list(layer.state_dict()) == ["weight"] and layer.weight.dtype is danlu.float64
    assert repr(layer) == "Linear(in_features=3, out_features=2, bias=False)"
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(layer(danlu.tensor(x)).detach().numpy(), x @ layer.weight.detach().numpy().T)


@pytest.mark.parametrize("size", [0, -3, 2.5, True, "4"])
def test_sizes_are_checked(size):
    with pytest.raises(
        DataError if type(size) is int else DTypeError, match=r"Linear: in_features is .*; expected an integer ≥ 1"
    ):
        nn.Linear(size, 2)


def test_flatten_and_identity():
    x = danlu.zeros(2, 3, 4, 5)
    assert nn.Flatten()(x).shape == (2, 60) and nn.Flatten(1, 2)(x).shape == (2, 12, 5)
    assert nn.Identity(3, option=4)(x) is x


def test_dropout():
    danlu.manual_seed(0)
    layer, x = nn.Dropout(0.25), danlu.ones(100, 100)
    first, second = layer(x).numpy(), layer(x).numpy()
    assert set(np.unique(first)) == {0, np.float32(1 / 0.75)} and (first != second).any()
    np.testing.assert_allclose((first == 0).mean(), 0.25, atol=0.02)
    assert layer.eval()(x) is x
    assert repr(layer) == "Dropout(p=0.25, inplace=False)"
    with pytest.raises(DataError, match=r"p is 1\.5; expected a probability from 0 to 1"):
        nn.Dropout(1.5)


def test_dropout_masks_its_gradient_and_takes_p_of_0_and_1():
    x = danlu.ones(50, requires_grad=True)
    y = nn.Dropout(0.5)(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())
    assert nn.Dropout(0.0)(x).tolist() == [1] * 50
    x.grad = None
    y = nn.Dropout(1.0)(x)
    y.sum().backward()
    assert y.tolist() == x.grad.tolist() == [0] * 50


def test_batch_norm_keeps_running_statistics():
    rng = np.random.default_rng(0)
    layer = nn.BatchNorm1d(3)
    mean, var = np.zeros(3), np.ones(3)
    for _ in range(3):
        x = rng.normal(2, 3, size=(8, 3)).astype(np.float32)
        layer(danlu.tensor(x))
        mean, var = 0.9 * mean + 0.1 * x.mean(0), 0.9 * var + 0.1 * x.var(0, ddof=1)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-5)
    np.testing.assert_allclose(layer.running_var.numpy(), var, rtol=1e-5)
    assert layer.num_batches_tracked.item() == 3
    y = layer.eval()(danlu.tensor(x)).detach().numpy()
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(var + 1e-5), rtol=1e-4, atol=1e-5)
    assert layer.num_batches_tracked.item() == 3
    layer.reset_parameters()
    assert layer.running_mean.tolist() == [0, 0, 0] and layer.num_batches_tracked.item() == 0


def test_batch_norm_without_momentum_averages_all_batches():
    rng = np.random.default_rng(0)
    layer, batches = nn.BatchNorm1d(2, momentum=None), rng.normal(size=(4, 8, 2)).astype(np.float32)
    for x in batches:
        layer(danlu.tensor(x))
    np.testing.assert_allclose(layer.running_mean.numpy(), batches.mean((0, 1)), rtol=1e-4, atol=1e-6)


def test_batch_norm_options_and_messages():
    plain = nn.BatchNorm1d(2, affine=False, track_running_stats=False)
    assert list(plain.state_dict()) == []
    x = danlu.tensor([[1.0, 2.0], [3.0, 6.0]])
    np.testing.assert_allclose(plain.eval()(x).numpy(), [[-1, -1], [1, 1]], atol=1e-4)
    with pytest.raises(ShapeError, match=r"BatchNorm1d: the input has shape \(2, 3\); expected \(N, 2\) or \(N, 2, L\)"):
        nn.BatchNorm1d(2)(danlu.zeros(2, 3))
    with pytest.raises(ShapeError, match=r"Expected more than 1 value per channel when training, got input of shape \(1, 2\)"):
        nn.BatchNorm1d(2)(danlu.zeros(1, 2))


def test_layer_norm():
    layer = nn.LayerNorm((2, 3))
    assert layer.weight.shape == (2, 3) and repr(layer) == "LayerNorm((2, 3), eps=1e-05, elementwise_affine=True, bias=True)"
    assert nn.LayerNorm(3, bias=False).bias is None and nn.LayerNorm(3, elementwise_affine=False).weight is None
    y = layer(danlu.arange(12.0).reshape(2, 2, 3)).detach().numpy()
    np.testing.assert_allclose(y.mean((1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(y.std((1, 2)), 1, rtol=1e-4)
    with pytest.raises(ShapeError, match=r"layer_norm: the input has shape \(4, 2\); expected \(\.\.\., 2, 3\)"):
        layer(danlu.zeros(4, 2))


@pytest.mark.parametrize("loss", [nn.MSELoss, nn.CrossEntropyLoss, nn.HuberLoss])
def test_a_reduction_is_checked(loss):
    with pytest.raises(DataError, match=f"{loss.__name__}: reduction is 'max'; expected 'mean', 'sum' or 'none'"):
        loss(reduction="max")


def test_weights_of_losses_are_buffers():
    loss = nn.CrossEntropyLoss(weight=danlu.ones(3))
    assert list(loss.state_dict()) == ["weight"] and list(nn.CrossEntropyLoss().state_dict()) == []


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (nn.ReLU(inplace=True), "ReLU(inplace=True)"),
        (nn.GELU("tanh"), "GELU(approximate='tanh')"),
        (nn.LeakyReLU(0.2), "LeakyReLU(negative_slope=0.2)"),
        (nn.ELU(0.5, inplace=True), "ELU(alpha=0.5, inplace=True)"),
        (nn.Hardtanh(), "Hardtanh(min_val=-1.0, max_val=1.0)"),
        (nn.Softplus(2.0), "Softplus(beta=2.0, threshold=20.0)"),
        (nn.Softmax(1), "Softmax(dim=1)"),
        (nn.LogSoftmax(-1), "LogSoftmax(dim=-1)"),
        (nn.Flatten(), "Flatten(start_dim=1, end_dim=-1)"),
        (nn.BatchNorm1d(4), "BatchNorm1d(4, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)"),
    ],
)
def test_repr(layer, text):
    assert repr(layer) == text


def test_activations_write_in_place_when_asked():
    x = danlu.tensor([-1.0, 2.0])
    y = nn.ReLU(inplace=True)(x)
    assert y is x and x.tolist() == [0, 2]


@pytest.mark.parametrize("make", [nn.LayerNorm, nn.BatchNorm1d, lambda n, **options: nn.Linear(n, n, **options)])
def test_only_the_cpu_is_a_device(make):
    assert make(3, device="cpu", dtype=danlu.float64).weight.dtype is danlu.float64
    with pytest.raises(DTypeError, match="device 'cuda' is not available: danlu runs on the CPU"):
        make(3, device="cuda")
