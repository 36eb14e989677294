"""Residual blocks, squeeze and excitation, position encodings, patches, and the perceptron with its rule."""

from __future__ import annotations

import numpy as np
import pytest

import danlu
from danlu import nn
from danlu.errors import DataError, ShapeError
from danlu.nn import functional as F

rng = np.random.default_rng(0)


def close(got, wanted, tolerance=1e-5):
    np.testing.assert_allclose(got.detach().numpy(), wanted, rtol=tolerance, atol=tolerance)


def test_a_residual_adds_its_input_and_passes_the_gradient():
    body = nn.Linear(3, 3)
    x = danlu.tensor(rng.normal(size=(2, 3)).astype("f"), requires_grad=True)
    y = nn.Residual(body)(x)
    close(y, body(x).detach().numpy() + x.detach().numpy())
    y.sum().backward()
    close(x.grad, np.tile(1 + body.weight.detach().numpy().sum(0), (2, 1)))


def test_a_residual_block_is_its_parts():
    block = nn.ResidualBlock(2, 4, stride=2).eval()
    x = danlu.randn(3, 2, 6, 6)
    (first, _, _, second, _), (projection, _) = block.sum.body, block.sum.shortcut
    scale = 1 / np.sqrt(1 + 1e-5)
    inner = F.relu(F.conv2d(x, first.weight, stride=2, padding=1) * scale)
    wanted = F.relu(F.conv2d(inner, second.weight, padding=1) * scale + F.conv2d(x, projection.weight, stride=2) * scale)
    close(block(x), wanted.detach().numpy(), 1e-4)
    assert isinstance(nn.ResidualBlock(4, 4).sum.shortcut, nn.Identity)


def test_squeeze_and_excitation_is_its_formula():
    layer, x = nn.SqueezeExcitation(8, reduction=4), rng.normal(size=(2, 8, 3, 5)).astype("f")
    w1, b1, w2, b2 = (p.detach().numpy() for p in layer.parameters())
    s = 1 / (1 + np.exp(-(np.maximum(x.mean((2, 3)) @ w1.T + b1, 0) @ w2.T + b2)))
    close(layer(danlu.tensor(x)), x * s[:, :, None, None])
    assert w1.shape == (2, 8) and layer(danlu.ones(2, 8, 7)).shape == (2, 8, 7)


def test_positions_as_sines_and_cosines():
    table = nn.SinusoidalEncoding(6, max_len=50)(danlu.zeros(1, 50, 6)).numpy()[0]
    for p in (0, 1, 49):
        for i in range(3):
            angle = p / 10000 ** (2 * i / 6)
            np.testing.assert_allclose(table[p, 2 * i : 2 * i + 2], [np.sin(angle), np.cos(angle)], atol=1e-6)
    assert nn.SinusoidalEncoding(5)(danlu.zeros(3, 5)).shape == (3, 5)
    assert not nn.SinusoidalEncoding(5).state_dict()


def test_frequencies_of_coordinates():
    p = rng.uniform(-1, 1, size=(4, 2))
    wanted = [[f(2.0**k * np.pi * v) for v in row for k in range(3) for f in (np.sin, np.cos)] for row in p]
    close(nn.FrequencyEncoding(3)(danlu.tensor(p)), wanted, 1e-12)
    close(nn.FrequencyEncoding(3, include_input=True)(danlu.tensor(p)), np.concatenate([p, wanted], -1), 1e-12)
    assert repr(nn.FrequencyEncoding(3)) == "FrequencyEncoding(num_frequencies=3, include_input=False)"


def test_a_position_embedding_learns_the_places_that_occur():
    layer = nn.PositionEmbedding(5, 4)
    layer(danlu.zeros(2, 3, 4)).sum().backward()
    np.testing.assert_array_equal(layer.weight.grad.numpy(), np.repeat([2.0, 2, 2, 0, 0], 4).reshape(5, 4))
    assert 0.005 < layer.weight.detach().numpy().std() < 0.04


def test_patches_are_rows_of_pixels_through_a_matrix():
    layer, x = nn.PatchEmbedding(2, in_channels=3, embed_dim=5), rng.normal(size=(2, 3, 4, 6)).astype("f")
    pixels = x.reshape(2, 3, 2, 2, 3, 2).transpose(0, 2, 4, 1, 3, 5).reshape(2, 6, 12)
    w, b = (p.detach().numpy() for p in layer.parameters())
    close(layer(danlu.tensor(x)), pixels @ w.reshape(5, 12).T + b, 1e-4)


# ---- the perceptron ---------------------------------------------------------------------------------------------------------

POINTS = danlu.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
GATES = {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1], "NAND": [1, 1, 1, 0]}


def learned(name):
    gate = nn.Perceptron(2)
    mistakes = gate.fit(POINTS, danlu.tensor(GATES[name]))
    assert mistakes[-1] == 0 < mistakes[0]
    return gate


@pytest.mark.parametrize("name", GATES)
def test_a_perceptron_learns_a_gate(name):
    assert learned(name)(POINTS).tolist() == GATES[name]


def test_xor_takes_two_layers():
    xor = danlu.tensor([0, 1, 1, 0])
    single = nn.Perceptron(2)
    assert min(single.fit(POINTS, xor, epochs=200)) > 0 and single(POINTS).tolist() != xor.tolist()
    hidden = danlu.stack([learned("NAND")(POINTS), learned("OR")(POINTS)], 1)
    assert learned("AND")(hidden).tolist() == xor.tolist()


def test_a_step_has_no_derivative():
    x = danlu.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    y = nn.Step()(x)
    assert y.tolist() == [0, 0, 1]
    assert not y.requires_grad or danlu.autograd.grad(y.sum(), x)[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("error", "text", "call"),
    [
        (ShapeError, r"Residual: the body gives shape \(2, 4\) and the shortcut \(2, 3\)",
         lambda: nn.Residual(nn.Linear(3, 4))(danlu.ones(2, 3))),
        (ShapeError, r"SqueezeExcitation: the input has shape \(2, 4, 3\); expected \(N, 8, …\)",
         lambda: nn.SqueezeExcitation(8)(danlu.ones(2, 4, 3))),
        (ShapeError, r"SinusoidalEncoding: the input has shape \(2, 9, 4\); expected \(..., L, 4\) with L ≤ 8",
         lambda: nn.SinusoidalEncoding(4, max_len=8)(danlu.ones(2, 9, 4))),
        (ShapeError, r"PositionEmbedding: the input has shape \(2, 3\); expected \(..., L, 4\) with L ≤ 8",
         lambda: nn.PositionEmbedding(8, 4)(danlu.ones(2, 3))),
        (ShapeError, r"FrequencyEncoding: the input is a scalar", lambda: nn.FrequencyEncoding(2)(danlu.tensor(1.0))),
        (ShapeError, r"PatchEmbedding: the input has shape \(1, 3, 5, 4\); .* that patch_size = 2 divides",
         lambda: nn.PatchEmbedding(2)(danlu.ones(1, 3, 5, 4))),
        (ShapeError, r"Perceptron: the input has shape \(3,\); expected \(..., 2\)", lambda: nn.Perceptron(2)(danlu.ones(3))),
        (ShapeError, r"Perceptron: x has shape \(4, 2\) and y \(3,\); expected \(N, 2\) and \(N,\)",
         lambda: nn.Perceptron(2).fit(POINTS, danlu.ones(3))),
        (DataError, r"y holds other numbers than 0 and 1; write \(y > 0\).float\(\)",
         lambda: nn.Perceptron(2).fit(POINTS, danlu.tensor([-1, 1, 1, 1]))),
    ],
)  # fmt: skip
def test_messages(error, text, call):
    with pytest.raises(error, match=text):
        call()
