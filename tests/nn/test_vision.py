"""Pooling, padding, resampling, embeddings, norms and further losses: values by hand, messages; layers against PyTorch (`oracle`)."""

from __future__ import annotations

import numpy as np
import pytest

import danlu
from danlu import nn
from danlu.errors import AxisError, DataError, DTypeError, ShapeError
from danlu.nn import functional as F

rng = np.random.default_rng(0)


def leaf(values, dtype=np.float64):
    """A tensor that collects a gradient."""
    return danlu.tensor(np.asarray(values, dtype), requires_grad=True)


# ---- pooling ----------------------------------------------------------------------------------------------------------------


def test_max_pool_gives_its_derivative_to_the_first_of_equals():
    x = leaf([[[3, 3, 1, 2, 2, 2]]])
    y, index = F.max_pool1d(x, 3, return_indices=True)
    y.sum().backward()
    assert y.tolist() == [[[3, 2]]] and index.tolist() == [[[0, 3]]]
    assert x.grad.tolist() == [[[1, 0, 0, 1, 0, 0]]]


def test_overlapping_windows_add_their_derivatives():
    x = leaf([[[1, 5, 2, 4]]])
    F.max_pool1d(x, 2, stride=1).sum().backward()
    assert x.grad.tolist() == [[[0, 2, 0, 1]]]


def test_padding_of_a_maximum_is_never_chosen():
    x = danlu.full((1, 1, 3, 3), -5.0)
    y, index = F.max_pool2d(x, 3, padding=1, return_indices=True)
    assert y.item() == -5.0 and index.item() == 0
    assert F.max_pool2d(danlu.tensor([[[[-(2**62)]]]]), 3, padding=1).item() == -(2**62)


def test_ceil_mode_leaves_out_windows_that_begin_outside():
    x = danlu.arange(5.0).reshape(1, 1, 5)
    assert F.max_pool1d(x, 2, ceil_mode=True).tolist() == [[[1, 3, 4]]]
    assert F.max_pool1d(x, 2, stride=3, ceil_mode=True).tolist() == [[[1, 4]]]
    assert F.avg_pool1d(x, 2, ceil_mode=True).tolist() == [[[0.5, 2.5, 4]]]


def test_averages_count_the_padding_or_not():
    x = danlu.ones(1, 1, 3)
    assert F.avg_pool1d(x, 3, stride=1, padding=1).tolist() == pytest.approx(np.array([[[2 / 3, 1, 2 / 3]]]))
    assert F.avg_pool1d(x, 3, stride=1, padding=1, count_include_pad=False).tolist() == [[[1, 1, 1]]]
    assert F.avg_pool2d(danlu.ones(1, 1, 2, 2), 2, divisor_override=8).item() == 0.5


def test_adaptive_parts_may_overlap():
    x = np.array([[[1.0, 5.0, 3.0, 9.0, 2.0]]])
    parts = [x[0, 0, :2], x[0, 0, 1:4], x[0, 0, 3:]]  # ⌊i · 5 / 3⌋ … ⌈(i + 1) · 5 / 3⌉
    np.testing.assert_allclose(F.adaptive_avg_pool1d(danlu.tensor(x), 3).numpy()[0, 0], [p.mean() for p in parts])
    y, index = F.adaptive_max_pool1d(danlu.tensor(x), 3, return_indices=True)
    assert y.tolist() == [[[5, 9, 9]]] and index.tolist() == [[[1, 3, 3]]]
    assert F.adaptive_avg_pool2d(danlu.ones(2, 3, 5, 4), (None, 2)).shape == (2, 3, 5, 2)


def test_unpooling_puts_the_chosen_back():
    x = danlu.tensor([[[1.0, 4.0, 3.0, 2.0]]])
    y, index = F.max_pool1d(x, 2, return_indices=True)
    assert F.max_unpool1d(y, index, 2, output_size=[1, 1, 5]).tolist() == [[[0, 4, 3, 0, 0]]]


# ---- padding and resampling -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "numpy"), [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap"), ("constant", "constant")]
)
def test_padding_is_numpys(mode, numpy):
    x = rng.normal(size=(2, 3, 4, 5))
    y = F.pad(danlu.tensor(x), (2, 1, 3, 0), mode)
    np.testing.assert_array_equal(y.numpy(), np.pad(x, ((0, 0), (0, 0), (3, 0), (2, 1)), numpy))
    tensor, g = leaf(x), rng.normal(size=(2, 3, 7, 8))
    (F.pad(tensor, (2, 1, 3, 0), mode) * danlu.tensor(g)).sum().backward()
    direction = rng.normal(size=x.shape)  # padding is linear: its derivative along a direction is the padded direction
    padded = np.pad(direction, ((0, 0), (0, 0), (3, 0), (2, 1)), numpy)
    np.testing.assert_allclose((tensor.grad.numpy() * direction).sum(), (padded * g).sum(), rtol=1e-10)


def test_negative_padding_cuts():
    assert F.pad(danlu.arange(5.0), (-1, 2), value=7.0).tolist() == [1, 2, 3, 4, 7, 7]
    assert F.pad(danlu.arange(4.0).reshape(1, 1, 4), (-1, 1), "replicate").tolist() == [[[1, 2, 3, 3]]]


def test_linear_interpolation_is_numpys():
    x = rng.normal(size=(1, 1, 7))
    y = F.interpolate(danlu.tensor(x), size=19, mode="linear", align_corners=True).numpy()[0, 0]
    np.testing.assert_allclose(y, np.interp(np.linspace(0, 6, 19), np.arange(7), x[0, 0]), rtol=1e-12)
    y = F.interpolate(danlu.tensor(x), scale_factor=2, mode="linear").numpy()[0, 0]
    np.testing.assert_allclose(y, np.interp((np.arange(14) + 0.5) / 2 - 0.5, np.arange(7), x[0, 0]), rtol=1e-12)


def test_a_cubic_keeps_lines_and_its_own_points():
    x = np.arange(12.0).reshape(1, 1, 3, 4)
    same = F.interpolate(danlu.tensor(x), size=(3, 4), mode="bicubic")
    np.testing.assert_array_equal(same.numpy(), x)
    y = F.interpolate(danlu.tensor(np.tile(np.arange(8.0), (1, 1, 8, 1))), size=(15, 15), mode="bicubic", align_corners=True)
    np.testing.assert_allclose(y.numpy()[0, 0, 7, 4:11], np.arange(4, 11) / 2, atol=1e-12)


def test_pixels_and_channels():
    x = danlu.tensor(rng.normal(size=(2, 12, 3, 5)))
    y = F.pixel_shuffle(x, 2)
    assert y.shape == (2, 3, 6, 10) and (F.pixel_unshuffle(y, 2) == x).all()
    np.testing.assert_array_equal(y.numpy()[:, 0, 1, 0::2], x.numpy()[:, 2, 0])  # channel 2 is row 1, column 0 of each block
    np.testing.assert_array_equal(F.channel_shuffle(x, 3).numpy()[:, 1], x.numpy()[:, 4])


# ---- embeddings, norms, dropout ---------------------------------------------------------------------------------------------


def test_embedding_counts_its_gradient_and_spares_the_padding():
    w = leaf(np.arange(8.0).reshape(4, 2))
    y = F.embedding(danlu.tensor([[1, 1], [3, 0]]), w, padding_idx=0)
    assert y.tolist() == [[[2, 3], [2, 3]], [[6, 7], [0, 1]]]
    y.sum().backward()
    assert w.grad.tolist() == [[0, 0], [2, 2], [0, 0], [1, 1]]
    w.grad = None
    F.embedding(danlu.tensor([1, 1, 3]), w, scale_grad_by_freq=True).sum().backward()
    assert w.grad.tolist() == [[0, 0], [1, 1], [0, 0], [1, 1]]


def test_max_norm_shortens_the_rows_that_are_read():
    layer = nn.Embedding(3, 2, max_norm=1.0, _weight=danlu.tensor([[3.0, 4.0], [0.3, 0.4], [30.0, 40.0]]))
    np.testing.assert_allclose(layer(danlu.tensor([0, 1])).detach().numpy(), [[0.6, 0.8], [0.3, 0.4]], rtol=1e-5)
    assert layer.weight[2].tolist() == [30.0, 40.0]


def test_an_index_that_does_not_exist():
    for index in (-1, 4):
        with pytest.raises(AxisError, match="is out of range: the table has 4 rows; expected 0 … 3"):
            F.embedding(danlu.tensor([index]), danlu.ones(4, 2)).tolist()


def test_bags():
    w = leaf([[1, 10], [2, 20], [3, 30]])
    index, offsets = danlu.tensor([0, 1, 2, 2]), danlu.tensor([0, 2, 2])
    assert F.embedding_bag(index, w, offsets, mode="sum").tolist() == [[3, 30], [0, 0], [6, 60]]
    assert F.embedding_bag(index, w, offsets).tolist() == [[1.5, 15], [0, 0], [3, 30]]
    y = F.embedding_bag(index, w, offsets, mode="max")
    y.sum().backward()
    assert y.tolist() == [[2, 20], [0, 0], [3, 30]] and w.grad.tolist() == [[0, 0], [1, 1], [1, 1]]


def test_norms_have_mean_0_and_variance_1():
    x = danlu.tensor(rng.normal(3, 2, (2, 6, 5, 4)))
    for y, axes in [(F.group_norm(x, 3), (2, 3, 4)), (F.instance_norm(x), (2, 3))]:
        values = y.numpy().reshape(2, 3, 2, 5, 4) if len(axes) == 3 else y.numpy()
        np.testing.assert_allclose(values.mean(axes), 0, atol=1e-12)
        np.testing.assert_allclose(values.var(axes), 1, atol=1e-4)
    np.testing.assert_allclose((F.rms_norm(x, [4]).numpy() ** 2).mean(-1), 1, rtol=1e-10)


def test_dropout_of_channels_drops_whole_channels():
    danlu.manual_seed(0)
    for layer, shape in [
        (nn.Dropout1d(0.5), (20, 30, 4)),
        (nn.Dropout2d(0.5), (20, 30, 2, 2)),
        (nn.Dropout3d(0.5), (20, 30, 1, 2, 2)),
    ]:
        y = layer(danlu.ones(*shape)).numpy().reshape(20, 30, -1)
        assert set(np.unique(y)) == {0.0, 2.0} and (y.min(-1) == y.max(-1)).all()
        np.testing.assert_allclose((y == 0).mean(), 0.5, atol=0.1)


def test_alpha_dropout_keeps_mean_and_variance():
    danlu.manual_seed(0)
    for layer in (nn.AlphaDropout(0.2), nn.FeatureAlphaDropout(0.2)):
        y = layer(danlu.randn(300, 300)).numpy()
        assert abs(y.mean()) < 0.02 and abs(y.std() - 1) < 0.02
    slopes = -nn.RReLU(0.2, 0.4)(danlu.full((1000,), -1.0)).numpy()
    assert 0.2 <= slopes.min() < 0.21 and 0.39 < slopes.max() <= 0.4


def test_one_variance_for_all_samples():
    x, y, v = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), np.array([[0.5, 1.0, 2.0]])
    expected = (np.log(v) + (x - y) ** 2 / v).mean() / 2
    np.testing.assert_allclose(F.gaussian_nll_loss(*map(danlu.tensor, (x, y, v))).item(), expected, rtol=1e-10)


def test_attention_looks_only_where_it_may():
    q, k, v = (danlu.tensor(rng.normal(size=(2, 3, 4))) for _ in range(3))
    causal = F.scaled_dot_product_attention(q, k, v, is_causal=True).numpy()
    np.testing.assert_allclose(causal[:, 0], v.numpy()[:, 0], rtol=1e-12)
    mask = np.tri(3, dtype=bool)
    np.testing.assert_allclose(F.scaled_dot_product_attention(q, k, v, danlu.tensor(mask)).numpy(), causal, rtol=1e-12)
    mask[1] = False
    assert not F.scaled_dot_product_attention(q, k, v, danlu.tensor(mask)).numpy()[:, 1].any()


def test_gumbel_softmax_is_one_hot_and_has_a_derivative():
    danlu.manual_seed(0)
    x = leaf(np.zeros((50, 4)))
    y = F.gumbel_softmax(x, hard=True)
    (y * danlu.tensor(rng.normal(size=(50, 4)))).sum().backward()
    assert set(np.unique(y.detach().numpy())) == {0.0, 1.0} and (y.detach().numpy().sum(1) == 1).all() and x.grad.numpy().all()


# ---- messages ---------------------------------------------------------------------------------------------------------------

IMAGE = danlu.ones(1, 2, 4, 4)


@pytest.mark.parametrize(
    ("action", "error", "text"),
    [
        (lambda: F.max_pool2d(IMAGE, 2, padding=2), DataError, r"padding is \(2, 2\); expected at most half of the kernel size \(2, 2\)"),
        (lambda: F.max_pool2d(IMAGE, 5), ShapeError, r"max_pool2d: the padded input has size \(4, 4\), and the window reaches over"),
        (lambda: F.avg_pool2d(IMAGE, 2, divisor_override=0), DataError, "divisor_override is 0; expected another number, or None"),
        (lambda: F.adaptive_avg_pool1d(danlu.ones(1, 1, 0), 2), ShapeError, "expected axes with at least one element"),
        (lambda: F.max_unpool1d(danlu.ones(1, 2), danlu.ones(1, 3), 2), ShapeError, r"shape \(1, 2\), the indices \(1, 3\); expected both from"),
        (lambda: F.pad(IMAGE, (1, 2, 3)), ShapeError, r"pad is \(1, 2, 3\) .* expected pairs \(low, high\), the last axis first"),
        (lambda: F.pad(IMAGE, (1, 1), "mirror"), DataError, "mode is 'mirror'; expected 'constant', 'reflect', 'replicate'"),
        (lambda: F.pad(IMAGE, (1, 1), "reflect", 2.0), DataError, "value 2.0 with mode 'reflect'; expected a value with mode='constant'"),
        (lambda: F.pad(IMAGE, (4, 0), "reflect"), ShapeError, r"padding \(4, 0\) of axis 3 \(size 4\) with mode 'reflect'; expected at most 3"),
        (lambda: F.pad(IMAGE, (-3, -2)), ShapeError, "3 and 2 elements are cut from axis 3, which has 4; expected at most 4 together"),
        (lambda: F.pixel_shuffle(IMAGE, 2), ShapeError, "the input has 2 channels .* expected a multiple of 2² = 4"),
        (lambda: F.pixel_unshuffle(IMAGE, 3), ShapeError, "expected a height and width that 3 divides"),
        (lambda: F.pixel_shuffle(danlu.ones(2), 1), ShapeError, r"the input has shape \(2,\); expected \(…, C, H, W\)"),
        (lambda: F.channel_shuffle(IMAGE, 3), ShapeError, "with C a multiple of 3"),
        (lambda: F.interpolate(IMAGE), DataError, "size is None and scale_factor None; expected exactly one of the two"),
        (lambda: F.interpolate(IMAGE.long(), 2, mode="bilinear"), DTypeError, "the input is int64; mode 'bilinear' expects floats, or uint8"),
        (lambda: F.interpolate(IMAGE, 2, mode="cubic"), DataError, "mode is 'cubic'; expected nearest, nearest-exact, area, linear"),
        (lambda: F.interpolate(IMAGE, 2, mode="linear"), ShapeError, r"mode 'linear' expects 3 axes \(N, C, …\)"),
        (lambda: F.interpolate(IMAGE, 2, align_corners=True), DataError, "align_corners=True with mode 'nearest'; expected it with"),
        (lambda: F.interpolate(IMAGE, 2, mode="area", antialias=True), DataError, "antialias=True with mode 'area'; expected it with bi"),
        (lambda: F.interpolate(IMAGE, scale_factor=(1, 2, 3)), DataError, "expected a number, or 2 for an input of shape"),
        (lambda: F.interpolate(IMAGE, scale_factor=0.1), DataError, r"makes \(4, 4\) to \(0, 0\); expected sizes ≥ 1"),
        (lambda: F.embedding(danlu.ones(2), danlu.ones(4, 2)), DTypeError, r"has dtype float32; expected indices .* write input\.long\(\)"),
        (lambda: F.embedding(danlu.tensor([1]), danlu.ones(4)), ShapeError, r"expected \(num_embeddings, embedding_dim\)"),
        (lambda: nn.Embedding(4, 2, padding_idx=4), DataError, "padding_idx is 4; expected one of -4 … 3 for 4 embeddings"),
        (lambda: F.embedding(danlu.tensor([1]), danlu.ones(4, 2), 4), DataError, "padding_idx is 4; expected one of -4 … 3"),
        (lambda: nn.Embedding(4, 2, _weight=danlu.ones(2, 2)), ShapeError, r"given weight has shape \(2, 2\); expected \(4, 2\)"),
        (lambda: nn.Embedding.from_pretrained(danlu.ones(2)), ShapeError, r"the vectors have shape \(2,\); expected \(V, D\)"),
        (lambda: F.embedding_bag(danlu.tensor([1]), danlu.ones(4, 2)), ShapeError, "or one axis of indices and offsets"),
        (lambda: F.embedding_bag(danlu.tensor([[1]]), danlu.ones(4, 2), danlu.tensor([0])), DataError, "expected offsets with one axis"),
        (lambda: F.embedding_bag(danlu.tensor([[1]]), danlu.ones(4, 2), mode="min"), DataError, "mode is 'min'; expected 'sum', 'mean'"),
        (
            lambda: F.embedding_bag(danlu.tensor([[1]]), danlu.ones(4, 2), per_sample_weights=danlu.ones(1, 1)),
            DataError,
            "per_sample_weights with mode 'mean'; expected mode='sum'",
        ),
        (
            lambda: F.embedding_bag(danlu.tensor([[1]]), danlu.ones(4, 2), mode="sum", per_sample_weights=danlu.ones(2)),
            ShapeError,
            r"per_sample_weights have shape \(2,\); expected \(1, 1\)",
        ),
        (lambda: F.one_hot(danlu.ones(2)), DTypeError, r"one_hot: the input has dtype float32; expected int64: write input\.long\(\)"),
        (lambda: F.one_hot(danlu.tensor([-1])), DataError, "class -1 is negative; expected classes from 0"),
        (lambda: F.one_hot(danlu.tensor([3]), 3), DataError, "class 3 with num_classes=3; expected num_classes ≥ 4, or -1"),
        (lambda: F.one_hot(danlu.zeros(0).long()), DataError, "an empty input has no largest class; write num_classes"),
        (lambda: F.group_norm(IMAGE, 3), ShapeError, "with a number of channels that 3 divides"),
        (lambda: F.group_norm(IMAGE, 1, danlu.ones(3)), ShapeError, r"the weight has shape \(3,\); expected \(2,\), one value per channel"),
        (lambda: nn.GroupNorm(2, 3), DataError, "num_channels is 3 and num_groups 2; expected groups that divide the channels"),
        (lambda: F.instance_norm(danlu.ones(2)), ShapeError, r"instance_norm: the input has shape \(2,\); expected \(N, C, …\)"),
        (lambda: F.instance_norm(danlu.ones(1, 2, 1)), ShapeError, "Expected more than 1 spatial element when training"),
        (lambda: nn.InstanceNorm1d(3)(IMAGE), ShapeError, r"expected \(N, 3, L\) or \(3, L\)"),
        (lambda: nn.BatchNorm2d(3)(IMAGE), ShapeError, r"BatchNorm2d: the input has shape \(1, 2, 4, 4\); expected \(N, 3, H, W\)"),
        (lambda: F.rms_norm(IMAGE, [3]), ShapeError, r"rms_norm: the input has shape .*; expected \(\.\.\., 3\)"),
        (lambda: F.rms_norm(IMAGE, [4], danlu.ones(3)), ShapeError, r"the weight has shape \(3,\); expected \(4,\)"),
        (lambda: F.local_response_norm(danlu.ones(2, 2), 2), ShapeError, "with at least 3 axes"),
        (lambda: F.local_response_norm(IMAGE, 0), DataError, "size is 0; expected an integer ≥ 1"),
        (lambda: F.celu(IMAGE, 0.0), DataError, "celu: alpha is 0; expected another number"),
        (lambda: F.glu(danlu.ones(3)), ShapeError, r"axis -1 of the input of shape \(3,\) has size 3; expected an even size"),
        (lambda: F.softshrink(IMAGE, -1.0), DataError, "softshrink: lambd is -1.0; expected a number ≥ 0"),
        (lambda: F.prelu(IMAGE, danlu.ones(3)), ShapeError, "3 weights of shape .* for an input .*; expected 1, or 2, one a channel"),
        (lambda: F.prelu(IMAGE, danlu.ones(1, 2)), ShapeError, r"2 weights of shape \(1, 2\) for an input"),
        (lambda: F.max_pool1d(danlu.ones(0, 10), 1), ShapeError, r"the input has shape \(0, 10\), and no channels"),
        (lambda: F.triplet_margin_loss(IMAGE, IMAGE, IMAGE, margin=-1.0), DataError, "margin=-1.0; expected more than 0"),
        (lambda: F.rrelu(IMAGE, 1.0, 0.5), DataError, "lower is 1.0 and upper 0.5; expected lower ≤ upper"),
        (lambda: F.dropout2d(danlu.ones(2, 2)), ShapeError, r"dropout2d: the input has shape \(2, 2\); expected 4 axes \(N, C, …\), or 3"),
        (lambda: F.normalize(danlu.tensor([1])), DTypeError, r"normalize: the input has dtype int64; .* write x\.float\(\)"),
        (lambda: F.pdist(IMAGE), ShapeError, r"pdist: the input has shape .*; expected \(N, D\)"),
        (lambda: F.gaussian_nll_loss(danlu.ones(2, 3), danlu.ones(2, 3), danlu.ones(4)), ShapeError, "the variance has shape"),
        (lambda: F.margin_ranking_loss(danlu.ones(2), danlu.ones(2), danlu.ones(1, 2)), ShapeError, "expected equal numbers of axes"),
        (lambda: F.cosine_embedding_loss(danlu.ones(2), danlu.ones(2), danlu.ones(2)), ShapeError, r"inputs \(N, D\) and a target \(N,\)"),
        (lambda: F.multi_margin_loss(danlu.ones(2, 3), danlu.tensor([0]), 3), DataError, "multi_margin_loss: p is 3; expected 1 or 2"),
        (lambda: F.multi_margin_loss(danlu.ones(2, 3), danlu.tensor([0])), ShapeError, r"the target \(1,\); expected \(2,\)"),
        (lambda: F.multi_margin_loss(IMAGE, danlu.tensor([0])), ShapeError, r"expected \(N, C\), \(C,\) or \(\)"),
        (lambda: F.scaled_dot_product_attention(*[danlu.ones(2)] * 3), ShapeError, r"expected \(..., L, D\), \(..., S, D\)"),
        (
            lambda: F.scaled_dot_product_attention(*[danlu.ones(2, 2)] * 3, attn_mask=danlu.ones(2, 2), is_causal=True),
            DataError,
            "attn_mask together with is_causal=True; expected one of the two",
        ),
        (lambda: F.bilinear(danlu.ones(2), danlu.ones(3), danlu.ones(1, 2, 2)), ShapeError, r"expected \(\.\.\., I\), \(\.\.\., J\) and \(O, I, J\)"),
        (lambda: nn.Dropout2d(2.0), DataError, "Dropout2d: p is 2.0; expected a probability from 0 to 1"),
    ],
)  # fmt: skip
def test_messages(action, error, text):
    with pytest.raises(error, match=text):
        action()


# ---- against PyTorch ----------------------------------------------------------------------------------------------------------

LAYERS = [
    ("Conv1d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2)", (2, 4, 11)),
    ("Conv2d(3, 5, (3, 5), padding='same', bias=False)", (2, 3, 7, 6)),
    ("Conv2d(3, 4, 3, padding=1, padding_mode='reflect')", (2, 3, 5, 6)),
    ("Conv3d(2, 3, 2, stride=(1, 2, 1))", (1, 2, 4, 5, 4)),
    ("ConvTranspose1d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2)", (2, 4, 5)),
    ("ConvTranspose2d(3, 2, 3, 2, dilation=2)", (1, 3, 4, 4)),
    ("ConvTranspose3d(2, 2, 2)", (1, 2, 3, 3, 3)),
    ("MaxPool1d(3, 2, 1)", (2, 3, 9)), ("MaxPool2d(3, 2, 1, ceil_mode=True)", (2, 3, 8, 7)), ("MaxPool3d(2)", (1, 2, 4, 4, 4)),
    ("AvgPool1d(3, 2)", (2, 3, 9)), ("AvgPool2d(3, 2, 1, True, False)", (2, 3, 8, 8)), ("AvgPool3d(2, 1)", (1, 2, 4, 4, 4)),
    ("LPPool1d(2, 3)", (1, 2, 9)), ("LPPool2d(3.0, 2, stride=1)", (1, 2, 4, 4)), ("LPPool3d(3.0, 2, stride=1)", (1, 2, 4, 4, 4)),
    ("AdaptiveAvgPool1d(3)", (2, 3, 8)), ("AdaptiveAvgPool2d((3, None))", (2, 3, 8, 7)), ("AdaptiveAvgPool3d(2)", (1, 2, 5, 4, 3)),
    ("AdaptiveMaxPool1d(3)", (2, 3, 8)), ("AdaptiveMaxPool2d((3, 5))", (2, 3, 8, 7)), ("AdaptiveMaxPool3d(2)", (1, 2, 5, 4, 3)),
    ("ConstantPad1d((1, 2), 3.5)", (1, 2, 4)), ("ConstantPad2d(1, 2.0)", (1, 2, 3, 3)), ("ConstantPad3d(1, 2.0)", (1, 1, 2, 2, 2)),
    ("ZeroPad1d(1)", (1, 2, 4)), ("ZeroPad2d((1, 0, 2, 1))", (1, 2, 3, 3)), ("ZeroPad3d(1)", (1, 1, 2, 2, 2)),
    ("ReflectionPad1d(2)", (1, 2, 4)), ("ReflectionPad2d((1, 0, 2, 1))", (1, 2, 3, 3)), ("ReflectionPad3d(1)", (1, 1, 2, 2, 2)),
    ("ReplicationPad1d(2)", (1, 2, 4)), ("ReplicationPad2d((1, 0, 2, 1))", (1, 2, 3, 3)), ("ReplicationPad3d(1)", (1, 1, 2, 2, 2)),
    ("CircularPad1d(2)", (1, 2, 4)), ("CircularPad2d((1, 0, 2, 1))", (1, 2, 3, 3)), ("CircularPad3d(1)", (1, 1, 2, 2, 2)),
    ("BatchNorm2d(3)", (2, 3, 4, 4)), ("BatchNorm3d(3, momentum=None)", (2, 3, 2, 2, 2)),
    ("InstanceNorm1d(3)", (2, 3, 5)),
    ("InstanceNorm2d(3, affine=True, track_running_stats=True)", (2, 3, 4, 4)), ("InstanceNorm3d(2)", (2, 2, 2, 3, 2)),
    ("GroupNorm(2, 4)", (2, 4, 5)), ("RMSNorm((3, 4))", (2, 3, 4)), ("RMSNorm(4, eps=1e-3, elementwise_affine=False)", (2, 4)),
    ("LocalResponseNorm(3, alpha=0.1)", (2, 5, 3)),
    ("Unfold((2, 3), dilation=2, padding=1, stride=2)", (2, 3, 7, 8)), ("Fold((4, 5), (2, 2))", (1, 8, 12)),
    ("Upsample(scale_factor=2)", (1, 2, 3, 4)), ("Upsample(size=(5, 7), mode='bilinear')", (1, 2, 3, 4)),
    ("Upsample(scale_factor=1.7, mode='bicubic', align_corners=True)", (1, 2, 5, 4)), ("Upsample(size=7, mode='linear')", (1, 2, 3)),
    ("Upsample(scale_factor=(2, 1, 2), mode='trilinear')", (1, 1, 2, 3, 2)), ("UpsamplingBilinear2d(scale_factor=2)", (1, 1, 3, 3)),
    ("UpsamplingNearest2d(size=(5, 3))", (1, 1, 3, 4)),
    ("PixelShuffle(2)", (1, 8, 2, 3)), ("PixelUnshuffle(2)", (1, 2, 4, 6)), ("ChannelShuffle(2)", (1, 4, 2, 2)),
    ("CELU(0.5)", (3, 4)), ("GLU(1)", (3, 4)), ("Hardshrink()", (3, 4)), ("Softshrink(0.3)", (3, 4)), ("Tanhshrink()", (3, 4)),
    ("Threshold(0.1, 2.0)", (3, 4)), ("PReLU(4)", (3, 4, 2)), ("Softmin(1)", (3, 4)), ("Softmax2d()", (2, 3, 2, 2)),
    ("RReLU().eval()", (3, 4)), ("Unflatten(1, (2, 3))", (2, 6)),
]  # fmt: skip


def gradients_of(layer, x):
    """The gradients of Σ y² with respect to the input and to the parameters."""
    y = layer(x)
    (y * y).sum().backward()
    return [y.detach().numpy(), x.grad.numpy(), *[p.grad.numpy() for p in layer.parameters()]]


@pytest.mark.oracle
@pytest.mark.parametrize(("text", "shape"), LAYERS, ids=[text for text, _ in LAYERS])
def test_layers_against_pytorch(text, shape):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs, ours = (eval(f"nn.{text}", {"nn": module}) for module in (torch.nn, nn))
    assert repr(ours) == repr(theirs)
    state = {name: value.numpy() for name, value in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(state)
    ours.load_state_dict({name: danlu.tensor(value) for name, value in state.items()})
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    expected = gradients_of(theirs, torch.tensor(x, requires_grad=True))
    for got, wanted in zip(gradients_of(ours, danlu.tensor(x, requires_grad=True)), expected):
        np.testing.assert_allclose(got, wanted, rtol=2e-4, atol=2e-5)
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[name].numpy(), value.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.oracle
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(3, 5), (20, 4), (1, 1), (11, 9), (0.4, 0.7), (1.7, 0.5)])
def test_antialias_is_pytorchs(mode, align_corners, size):
    torch = pytest.importorskip("torch")
    where = {"scale_factor" if isinstance(size[0], float) else "size": size}
    options = where | {"mode": mode, "align_corners": align_corners, "antialias": True}
    x = np.random.default_rng(3).standard_normal((2, 3, 11, 9))
    a, b = danlu.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = F.interpolate(a, **options), torch.nn.functional.interpolate(b, **options)
    y.square().sum().backward(), z.square().sum().backward()
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.oracle
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [False, True])
def test_bytes_of_another_size_are_pytorchs_to_the_last_one(mode, antialias):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(3).integers(0, 256, (2, 3, 30, 41)).astype(np.uint8)
    for size in ((13, 50), (50, 13), (30, 7)):
        expected = torch.nn.functional.interpolate(torch.tensor(x), size, mode=mode, antialias=antialias)
        assert np.array_equal(F.interpolate(danlu.tensor(x), size, mode=mode, antialias=antialias), expected)


CLASSES = np.array([1, 0, 2])
SIGNS = np.array([1.0, -1.0, 1.0], np.float32)
LOSSES = [
    ("KLDivLoss(reduction='batchmean')", "unit"), ("KLDivLoss(reduction='sum', log_target=True)", "same"), ("GaussianNLLLoss(full=True)", "variance"),
    ("PoissonNLLLoss(full=True)", "unit"), ("SoftMarginLoss()", "signs"), ("HingeEmbeddingLoss(0.5)", "signs"), ("MarginRankingLoss(0.2)", "pair"),
    ("CosineEmbeddingLoss(0.1)", "rows"), ("MultiLabelSoftMarginLoss()", "unit"), ("MultiLabelMarginLoss()", "labels"),
    ("MultiMarginLoss(2, 0.5)", "classes"), ("TripletMarginLoss(swap=True)", "triplet"), ("TripletMarginWithDistanceLoss()", "triplet"),
    ("CosineSimilarity()", "same"), ("PairwiseDistance(3.0)", "same"), ("Bilinear(4, 4, 2)", "same"),
]  # fmt: skip


def operands(kind):
    """The arrays that a loss takes."""
    generator = np.random.default_rng(2)
    x, y, z = (generator.normal(size=(3, 4)).astype(np.float32) for _ in range(3))
    return {
        "same": [x, y], "unit": [x, 1 / (1 + np.exp(-y)) * 3], "variance": [x, y, np.exp(z)], "signs": [x[:, 0], SIGNS],
        "pair": [x[:, 0], y[:, 0], SIGNS], "rows": [x, y, SIGNS], "triplet": [x, y, z], "classes": [x, CLASSES],
        "labels": [x, np.array([[1, 3, -1, 0], [2, -1, 1, 1], [-1, 0, 0, 0]])],
    }[kind]  # fmt: skip


@pytest.mark.oracle
@pytest.mark.parametrize(("text", "kind"), LOSSES, ids=[text for text, _ in LOSSES])
def test_losses_against_pytorch(text, kind):
    torch = pytest.importorskip("torch")
    theirs, ours = (eval(f"nn.{text}", {"nn": module}) for module in (torch.nn, nn))
    ours.load_state_dict({name: danlu.tensor(value.numpy()) for name, value in theirs.state_dict().items()})
    results = []
    for layer, tensor in ((ours, danlu.tensor), (theirs, torch.tensor)):
        inputs = [tensor(a) for a in operands(kind)]
        inputs[0].requires_grad_()
        loss = layer(*inputs)
        loss.sum().backward()
        results.append([loss.detach().numpy(), inputs[0].grad.numpy()])
    for got, wanted in zip(*results):
        np.testing.assert_allclose(got, wanted, rtol=2e-4, atol=1e-5)


@pytest.mark.oracle
@pytest.mark.parametrize(
    "text", ["Embedding(5, 3, padding_idx=-1)", "EmbeddingBag(5, 3, mode='sum')", "EmbeddingBag(5, 3, mode='max', padding_idx=1)"]
)
def test_tables_against_pytorch(text):
    torch = pytest.importorskip("torch")
    theirs, ours = (eval(f"nn.{text}", {"nn": module}) for module in (torch.nn, nn))
    assert repr(ours) == repr(theirs)
    ours.load_state_dict({"weight": danlu.tensor(theirs.weight.detach().numpy())})
    index = np.array([[1, 4, 1], [0, 2, 2]])
    results = []
    for layer, tensor in ((ours, danlu.tensor), (theirs, torch.tensor)):
        y = layer(tensor(index))
        (y * y).sum().backward()
        results.append([y.detach().numpy(), layer.weight.grad.numpy()])
    for got, wanted in zip(*results):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


# ---- fractional pooling -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("d", "size", "out"), [(2, (9, 8), (5, 3)), (3, (6, 5, 7), (3, 1, 4))])
def test_fractional_max_pool_by_loops(d, size, out):
    """Where the windows begin, and their largest elements, by loops over the definition of Graham's intervals."""
    rng = np.random.default_rng(0)
    x, u, kernel = rng.normal(size=(2, 3, *size)).astype(np.float32), rng.random((2, 3, d)).astype(np.float32), 2
    found, places = getattr(F, f"fractional_max_pool{d}d")(danlu.tensor(x), kernel, out, None, True, danlu.tensor(u))
    for n, c in np.ndindex(2, 3):
        draws = u[n, c][::-1] if d == 2 else u[n, c]
        begins = []
        for draw, whole, parts in zip(draws, size, out):
            alpha = np.float32(whole - kernel) / np.float32(max(1, parts - 1))
            begins.append([int((k + draw) * alpha) - int(draw * alpha) for k in range(parts - 1)] + [whole - kernel])
        for at in np.ndindex(*out):
            window = tuple(slice(b[k], b[k] + kernel) for b, k in zip(begins, at))
            assert found.numpy()[(n, c, *at)] == x[n, c][window].max() == x[n, c].ravel()[places.numpy()[(n, c, *at)]]


@pytest.mark.oracle
@pytest.mark.parametrize("d", [2, 3])
def test_fractional_max_pool_against_pytorch(d):
    torch = pytest.importorskip("torch")
    x, u = np.random.default_rng(1).normal(size=(2, 3, 9, 8, 7)[: d + 2]), np.random.default_rng(2).random((2, 3, d))
    results = []
    for lib in (danlu, torch):
        a = lib.tensor(x).requires_grad_()
        pool = getattr(lib.nn, f"FractionalMaxPool{d}d")(2, output_ratio=0.6, return_indices=True, _random_samples=lib.tensor(u))
        y, places = pool(a)
        (y * y).sum().backward()
        results.append([y.detach().numpy(), places.numpy(), a.grad.numpy()])
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours, theirs)


def test_fractional_max_pool_draws_its_windows():
    danlu.manual_seed(0)
    x = danlu.arange(400.0).reshape(20, 20).expand(1, 40, 20, 20)
    y = nn.FractionalMaxPool2d(2, output_size=13)(x)
    assert y.shape == (1, 40, 13, 13) and len({tuple(row) for row in y[0, :, :, 0].tolist()}) > 1
    assert F.fractional_max_pool2d(x[0], (2, 3), output_ratio=(0.5, 0.25)).shape == (40, 10, 5)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: F.fractional_max_pool2d(danlu.ones(1, 1, 4, 4), 2), DataError, "fractional_max_pool2d: expected either output_size or output_ratio"),
        (lambda: nn.FractionalMaxPool2d(2, 3, 0.5), DataError, "FractionalMaxPool2d: expected either output_size or output_ratio"),
        (lambda: F.fractional_max_pool2d(danlu.ones(1, 1, 4, 4), 2, None, 1.5), DataError, "output_ratio is 1.5; expected numbers between 0 and 1"),
        (lambda: F.fractional_max_pool2d(danlu.ones(1, 1, 4, 4), 3, 3), ShapeError, r"\(3, 3\) windows of \(3, 3\) do not fit into \(4, 4\)"),
    ],
)  # fmt: skip
def test_fractional_max_pool_refusals(call, kind, text):
    with pytest.raises(kind, match=text):
        call()
