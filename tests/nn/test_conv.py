"""Convolutions: values against plain loops, gradients by finite differences, kernels, layers and messages."""

from __future__ import annotations

import re

import numpy as np
import pytest

import danlu
from danlu import nn, optim
from danlu.config import config
from danlu.errors import DataError, DTypeError, ShapeError
from danlu.nn import functional as F

rng = np.random.default_rng(0)


def convolve(x, w, b, stride, padding, dilation, groups):
    """conv2d as its definition says it, one output at a time."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    n, features, k = x.shape[0], w.shape[0], w.shape[2]
    reach = dilation * (k - 1) + 1
    size = [(m - reach) // stride + 1 for m in x.shape[2:]]
    y = np.empty((n, features, *size))
    per_group, channels = features // groups, w.shape[1]
    for f in range(features):
        part = x[:, f // per_group * channels :][:, :channels]
        for i, j in np.ndindex(*size):
            window = part[:, :, i * stride : i * stride + reach : dilation, j * stride : j * stride + reach : dilation]
            y[:, f, i, j] = (window * w[f]).sum((1, 2, 3)) + b[f]
    return y


OPTIONS = [(1, 0, 1, 1), (2, 1, 1, 1), (1, 2, 2, 2), (3, 1, 1, 4), (3, 0, 1, 1)]


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), OPTIONS)
def test_conv2d_is_its_definition(stride, padding, dilation, groups):
    x, w, b = rng.normal(size=(2, 4, 7, 8)), rng.normal(size=(8, 4 // groups, 3, 3)), rng.normal(size=8)
    y = F.conv2d(danlu.tensor(x), danlu.tensor(w), danlu.tensor(b), stride, padding, dilation, groups)
    np.testing.assert_allclose(y.numpy(), convolve(x, w, b, stride, padding, dilation, groups), rtol=1e-10, atol=1e-12)


def difference(function, arrays, which, direction, h=1e-6):
    """The derivative along a direction, by central differences."""

    def value(step):
        moved = [a + step * direction if k == which else a for k, a in enumerate(arrays)]
        return function(*map(danlu.tensor, moved)).sum().item()

    return (value(h) - value(-h)) / (2 * h)


@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"])
def test_gradients_agree_with_finite_differences(name):
    d = int(name[-2])
    w = (4, 3, 3, 2)[: 2 + d]
    arrays = [rng.normal(size=(2, 4, 6, 5)[: 2 + d]), rng.normal(size=w), rng.normal(size=3)]
    if "transpose" not in name:
        arrays[1] = np.swapaxes(arrays[1], 0, 1).copy()

    def function(x, w, b):
        y = getattr(F, name)(x, w, b, stride=2, padding=1)
        return y * y

    tensors = [danlu.tensor(a, requires_grad=True) for a in arrays]
    function(*tensors).sum().backward()
    for k, tensor in enumerate(tensors):
        direction = rng.normal(size=arrays[k].shape)
        expected = difference(function, arrays, k, direction)
        np.testing.assert_allclose((tensor.grad.numpy() * direction).sum(), expected, rtol=1e-6)


def test_a_transposed_convolution_is_the_adjoint():
    x, y, w = rng.normal(size=(2, 4, 9)), rng.normal(size=(2, 6, 4)), rng.normal(size=(6, 4, 3))
    options = {"stride": 2, "padding": 1, "dilation": 2}
    forward = F.conv1d(danlu.tensor(x), danlu.tensor(w), **options).numpy()
    assert forward.shape == y.shape
    back = F.conv_transpose1d(danlu.tensor(y), danlu.tensor(w), output_padding=0, **options).numpy()
    assert back.shape == x.shape
    np.testing.assert_allclose((forward * y).sum(), (x * back).sum(), rtol=1e-10)


def test_same_padding_keeps_the_size():
    for kernel in (2, 3, 4):
        x = danlu.tensor(rng.normal(size=(1, 2, 6, 7)).astype(np.float32))
        assert F.conv2d(x, danlu.ones(3, 2, kernel, kernel), padding="same").shape == (1, 3, 6, 7)
        assert F.conv2d(x, danlu.ones(3, 2, kernel, kernel), padding="valid").shape == (1, 3, 7 - kernel, 8 - kernel)


def test_an_image_without_a_batch():
    x, w = danlu.tensor(rng.normal(size=(2, 5, 5))), danlu.tensor(rng.normal(size=(3, 2, 3, 3)))
    np.testing.assert_array_equal(F.conv2d(x, w).numpy(), F.conv2d(x.unsqueeze(0), w).numpy()[0])


@pytest.mark.parametrize("groups", [1, 2])
def test_forward_and_both_gradients_are_planned_products(groups, capsys, monkeypatch):
    monkeypatch.setattr(config, "log", frozenset({"kernels"}))
    x = danlu.tensor(rng.normal(size=(5, 6, 13, 11)).astype(np.float32), requires_grad=True)
    w = danlu.tensor(rng.normal(size=(10, 6 // groups, 3, 3)).astype(np.float32), requires_grad=True)
    F.conv2d(x, w, padding=1, groups=groups).square().sum().backward()
    assert x.grad.numpy().any() and w.grad.numpy().any()
    kernels = capsys.readouterr().err
    assert len(re.findall(r"= contract .* by \w+, tile", kernels)) == 3 == len(re.findall("= contract ", kernels))
    assert not re.search(r"<- mul\(b(\d+)\[[^]]*\], b(?!\1\[)", kernels)  # no sum of products of two arrays in plain loops


# ---- layers -----------------------------------------------------------------------------------------------------------------


def test_layers_begin_as_in_pytorch():
    layer = nn.Conv2d(4, 500, 3, groups=2)
    bound = 1 / np.sqrt(2 * 9)
    assert list(layer.state_dict()) == ["weight", "bias"] and layer.weight.shape == (500, 2, 3, 3)
    for values in (layer.weight.detach().numpy(), layer.bias.detach().numpy()):
        assert 0.98 * bound < np.abs(values).max() <= bound
    layer = nn.ConvTranspose2d(4, 6, 3, bias=False)
    assert layer.weight.shape == (4, 6, 3, 3) and list(layer.state_dict()) == ["weight"]


def test_reprs():
    assert repr(nn.Conv2d(3, 8, 3, padding=1)) == "Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))"
    text = "Conv1d(4, 8, kernel_size=(3,), stride=(2,), padding=same, dilation=(2,), groups=2, bias=False, padding_mode=circular)"
    assert repr(nn.Conv1d(4, 8, 3, 2, "same", 2, 2, False, "circular")) == text


def test_padding_modes_of_a_layer():
    layer = nn.Conv1d(1, 1, 3, padding=1, bias=False, padding_mode="circular")
    with danlu.no_grad():
        layer.weight.fill_(1.0)
    assert layer(danlu.tensor([[[1.0, 2.0, 4.0, 8.0]]])).tolist() == [[[11.0, 7.0, 14.0, 13.0]]]


def test_output_size_of_a_transposed_layer():
    layer, x = nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1), danlu.ones(1, 1, 4, 4)
    assert layer(x).shape == (1, 1, 7, 7) and layer(x, output_size=(8, 7)).shape == (1, 1, 8, 7)
    with pytest.raises(DataError, match=r"output_size is \(9, 9\); expected sizes from \[7, 7\] to \[8, 8\]"):
        layer(x, output_size=(9, 9))


class LeNet(nn.Module):
    """LeNet-5 in the form of today's courses, for images of 16 × 16."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, x):
        """Logits of two classes."""
        return self.classifier(self.features(x))


def test_lenet_learns_stripes():
    danlu.manual_seed(0)
    labels = rng.integers(0, 2, 64)
    stripes = np.broadcast_to(np.sin(np.arange(16) * 1.5), (16, 16))
    images = np.stack([stripes if label else stripes.T for label in labels])[:, None] + rng.normal(size=(64, 1, 16, 16)) * 0.5
    x, y = danlu.tensor(images.astype(np.float32)), danlu.tensor(labels)
    model = LeNet()
    optimizer, losses = optim.Adam(model.parameters(), lr=0.01), []
    for _ in range(15):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.5 and losses[-1] < 0.1  # two classes: log 2 = 0.69 by guessing
    assert (model(x).argmax(1) == y).all()


# ---- messages ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "error", "text"),
    [
        (
            lambda: nn.Conv2d(3, 8, 3)(danlu.ones(2, 8, 8, 3)),
            ShapeError,
            r"conv2d: the input has shape \(2, 8, 8, 3\) and 8 channels; the weight \(8, 3, 3, 3\) expects 3 channels. Its last axis "
            r"has 3: the layout here is \(N, C, H, W\); write x\.permute\(0, 3, 1, 2\)",
        ),
        (
            lambda: nn.Conv2d(3, 8, 3)(danlu.ones(2, 1, 8, 8)),
            ShapeError,
            r"and 1 channels; the weight .* expects 3 channels in an input of shape \(N, C, H, W\)",
        ),
        (lambda: nn.Conv2d(3, 8, 3)(danlu.ones(8, 8)), ShapeError, r"shape \(8, 8\); expected 4 axes .*, or 3 without the batch"),
        (lambda: F.conv1d(danlu.ones(1, 1, 4), danlu.ones(1, 1)), ShapeError, r"the weight has shape \(1, 1\); expected 3 axes"),
        (
            lambda: F.conv1d(danlu.ones(1, 3, 4), danlu.ones(4, 1, 2), groups=3),
            ShapeError,
            "4 output channels cannot be cut into 3 groups; expected groups ≥ 1 that divides 4",
        ),
        (
            lambda: F.conv_transpose1d(danlu.ones(1, 3, 4), danlu.ones(3, 1, 2), groups=2),
            ShapeError,
            "3 input channels cannot be cut into 2 groups",
        ),
        (
            lambda: F.conv1d(danlu.ones(1, 1, 4), danlu.ones(2, 1, 2), danlu.ones(3)),
            ShapeError,
            r"the bias has shape \(3,\); expected \(2,\), one value per output channel",
        ),
        (
            lambda: F.conv1d(danlu.ones(1, 1, 4), danlu.ones(1, 1, 2, dtype=danlu.float64)),
            DTypeError,
            r"the input has dtype float32, the weight float64; expected one dtype for both: write x\.to\(danlu\.float64\)",
        ),
        (
            lambda: F.conv2d(danlu.ones(1, 1, 3, 3), danlu.ones(1, 1, 5, 5)),
            ShapeError,
            r"the padded input has size \(3, 3\), and the window reaches over \(5, 5\); .* write a larger padding or a smaller kernel",
        ),
        (
            lambda: F.conv2d(danlu.ones(1, 1, 3, 3), danlu.ones(1, 1, 2, 2), padding="full"),
            DataError,
            "padding is 'full'; expected 'valid', 'same', an integer or 2 of them",
        ),
        (
            lambda: F.conv2d(danlu.ones(1, 1, 3, 3), danlu.ones(1, 1, 2, 2), stride=2, padding="same"),
            DataError,
            r"padding='same' with stride \(2, 2\); expected stride 1: write the padding as numbers",
        ),
        (
            lambda: F.conv2d(danlu.ones(1, 1, 3, 3), danlu.ones(1, 1, 2, 2), stride=0),
            DataError,
            "conv2d: stride is 0; expected an integer ≥ 1, or 2 of them",
        ),
        (
            lambda: F.conv_transpose1d(danlu.ones(1, 1, 3), danlu.ones(1, 1, 2), output_padding=1),
            DataError,
            r"output_padding is \(1,\); expected less than the stride \(1,\) or the dilation \(1,\)",
        ),
        (
            lambda: F.conv_transpose1d(danlu.ones(1, 1, 1), danlu.ones(1, 1, 2), padding=1),
            ShapeError,
            r"padding \(1,\) leaves nothing of the output, whose full size is \(2,\); write a smaller padding",
        ),
        (
            lambda: nn.Conv2d(3, 8, 3, groups=2),
            DataError,
            "in_channels is 3 and groups 2; expected groups that divides in_channels",
        ),
        (lambda: nn.Conv2d(3, 8, 3, padding="half"), DataError, "Conv2d: padding is 'half'; expected 'valid', 'same'"),
        (lambda: nn.Conv2d(3, 8, 3, padding_mode="zero"), DataError, "padding_mode is 'zero'; expected one of zeros, reflect"),
        (lambda: nn.ConvTranspose1d(1, 1, 1, padding_mode="reflect"), DataError, "padding_mode is 'reflect'; expected 'zeros'"),
        (lambda: F.unfold(danlu.ones(1, 1, 2, 2), 3), ShapeError, r"unfold: the padded input has size \(2, 2\)"),
        (
            lambda: F.fold(danlu.ones(1, 4, 5), (3, 3), 2),
            ShapeError,
            r"fold: the input has shape \(1, 4, 5\); expected \(N, C · 4, 4\) for an output of \(3, 3\)",
        ),
    ],
)
def test_messages(action, error, text):
    with pytest.raises(error, match=text):
        action()
