"""Functions: options and warnings here; numbers and gradients against PyTorch in the tests marked `oracle`."""

from __future__ import annotations

import numpy as np
import pytest

import danlu
from danlu import nn
from danlu.errors import AxisError, DataError, DTypeError, ShapeError
from danlu.nn import functional as F

rng = np.random.default_rng(0)
X = np.concatenate([rng.normal(size=(5, 4)) * 3, [[0, -30, 30, 1e-3]]]).astype(np.float32)
Y = rng.normal(size=(6, 4)).astype(np.float32)
BINARY = (Y > 0).astype(np.float32)
CLASSES = np.array([0, 3, 2, -100, 1, 1])
WEIGHT = np.array([0.5, 1.0, 2.0, 0.25], np.float32)
IMAGE, LABELS = rng.normal(size=(2, 4, 3)).astype(np.float32), rng.integers(0, 4, (2, 3))


# ---- without PyTorch --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "error", "text"),
    [
        (lambda x: F.gelu(x, "fast"), DataError, "gelu: approximate is 'fast'; expected 'none' or 'tanh'"),
        (lambda x: F.hardtanh(x, 2.0, 1.0), DataError, "min_val is 2.0 and max_val 1.0; expected min_val ≤ max_val"),
        (lambda x: F.dropout(x, -0.1), DataError, "dropout: p is -0.1; expected a probability from 0 to 1"),
        (
            lambda x: F.mse_loss(x, x, reduction="avg"),
            DataError,
            "mse_loss: reduction is 'avg'; expected 'mean', 'sum' or 'none'",
        ),
        (lambda x: F.smooth_l1_loss(x, x, beta=-1.0), DataError, "smooth_l1_loss: beta is -1.0; expected a number ≥ 0"),
        (lambda x: F.huber_loss(x, x, delta=0.0), DataError, "huber_loss: delta is 0.0; expected a number > 0"),
        (lambda x: F.cross_entropy(x, x, label_smoothing=2.0), DataError, "label_smoothing: p is 2.0; expected a probability"),
        (
            lambda x: F.binary_cross_entropy(x, x[:, :1]),
            ShapeError,
            r"input has shape \(2, 3\) and the target \(2, 1\); expected equal",
        ),
        (lambda x: F.softmax(x, 2), AxisError, "softmax: Dimension out of range: axis 2 of a 2-d tensor"),
        (lambda x: F.batch_norm(x[0], None, None), ShapeError, r"batch_norm: the input has shape \(3,\); expected \(N, C\)"),
        (
            lambda x: F.batch_norm(x, None, None),
            ShapeError,
            "running_mean and running_var are None; without them write training=True",
        ),
        (lambda x: F.layer_norm(x, [2]), ShapeError, r"layer_norm: the input has shape \(2, 3\); expected \(\.\.\., 2\)"),
        (lambda x: F.cross_entropy(x, danlu.zeros(2)), DTypeError, r"target has dtype float32 .* write target.long\(\)"),
        (
            lambda x: F.linear(x, danlu.zeros(4, 2)),
            ShapeError,
            r"input \(2, 3\), weight \(4, 2\); expected an input of shape \(\.\.\., 2\)",
        ),
    ],
)
def test_messages(action, error, text):
    with pytest.raises(error, match=text):
        action(danlu.ones(2, 3))


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss])
def test_a_loss_that_broadcasts_warns(loss):
    with pytest.warns(
        UserWarning, match=r"input has shape \(5, 1\) and the target \(5,\); they are broadcast to \(5, 5\)"
    ) as seen:
        loss(danlu.ones(5, 1), danlu.ones(5))
    assert seen[0].filename == __file__


def test_softmax_without_an_axis_warns():
    with pytest.warns(
        UserWarning, match=r"softmax: no axis was given for an input of shape \(2, 3\); axis 1 is taken. Write dim=1"
    ):
        np.testing.assert_allclose(F.softmax(danlu.ones(2, 3)).numpy(), 1 / 3, rtol=1e-6)
    assert F.softmax(danlu.tensor(3.0), dim=0).item() == 1.0
    assert F.softmax(danlu.ones(2), dim=0, dtype=danlu.float64).dtype is danlu.float64


@pytest.mark.parametrize("bad", [4, -1])
def test_a_class_that_does_not_exist_is_reported(bad):
    with pytest.raises(AxisError, match="out of range"):
        F.cross_entropy(danlu.tensor(X[:3]), danlu.tensor([0, bad, 1])).item()


def test_targets_of_other_dtypes():
    x = danlu.tensor(X)
    want = F.cross_entropy(x, danlu.tensor(np.abs(CLASSES % 4))).item()
    for dtype in (np.int32, np.uint8, np.int8):
        assert F.cross_entropy(x, danlu.tensor(np.abs(CLASSES % 4).astype(dtype))).item() == want
    assert F.mse_loss(x, danlu.tensor(Y.astype(np.float64))).dtype is danlu.float64
    np.testing.assert_allclose(F.mse_loss(danlu.ones(2), danlu.tensor([3, 1])).item(), 2.0)


def test_all_targets_ignored_is_nan_in_the_mean():
    x, t = danlu.ones(2, 3), danlu.tensor([-100, -100])
    assert np.isnan(F.cross_entropy(x, t).item()) and F.cross_entropy(x, t, reduction="sum").item() == 0


def test_half_precision_stays_half():
    x = danlu.tensor(X.astype(np.float16), requires_grad=True)
    loss = F.cross_entropy(x, danlu.tensor(CLASSES))
    loss.backward()
    assert loss.dtype is danlu.float16 and x.grad.dtype is danlu.float16
    assert F.dropout(x).dtype is danlu.float16 and F.layer_norm(x, [4]).dtype is danlu.float16


# ---- against PyTorch ----------------------------------------------------------------------------------------------------------

SINGLE = {
    "relu": {}, "relu6": {}, "sigmoid": {}, "tanh": {}, "logsigmoid": {}, "gelu": {}, "silu": {}, "mish": {}, "leaky_relu": {},
    "elu": {"alpha": 0.7}, "selu": {}, "softplus": {"beta": 2.0}, "hardtanh": {"min_val": -2.0}, "hardsigmoid": {},
    "hardswish": {}, "softsign": {}, "softmax": {"dim": 1}, "log_softmax": {"dim": 0}, "layer_norm": {"normalized_shape": (4,)},
}  # fmt: skip


def compare(name, arrays, *, wrt=(0,), rtol=1e-5, **options):
    """Value and gradients of one function in danlu and in PyTorch."""
    torch = pytest.importorskip("torch")
    results = []
    for module, make in ((F, danlu.tensor), (torch.nn.functional, torch.tensor)):
        tensors = [make(a) for a in arrays]
        for k in wrt:
            tensors[k].requires_grad_()
        named = {k: make(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
        y = getattr(module, name)(*tensors, **named)
        (y * y).sum().backward()
        results.append([y.detach().numpy(), *(tensors[k].grad.numpy() for k in wrt)])
    for ours, theirs in zip(*results):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=2e-6 * max(1.0, np.abs(theirs).max()))


@pytest.mark.oracle
@pytest.mark.parametrize("name", SINGLE)
def test_functions_of_one_tensor(name):
    compare(name, [X], **SINGLE[name])
    compare(name, [X.astype(np.float64)], **SINGLE[name], rtol=1e-6)


@pytest.mark.oracle
def test_gelu_with_tanh():
    compare("gelu", [X], approximate="tanh")


@pytest.mark.oracle
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses(reduction):
    for name, options in [("mse_loss", {}), ("l1_loss", {}), ("huber_loss", {"delta": 0.5}), ("smooth_l1_loss", {"beta": 0.5})]:
        compare(name, [X, Y], wrt=(0, 1), reduction=reduction, **options)
    compare("smooth_l1_loss", [X, Y], reduction=reduction, beta=0.0)
    p = (1 / (1 + np.exp(-X[:5]))).astype(np.float32)
    compare("binary_cross_entropy", [p, BINARY[:5]], reduction=reduction)
    compare("binary_cross_entropy", [p, BINARY[:5], WEIGHT], reduction=reduction)
    name = "binary_cross_entropy_with_logits"
    for options in ({}, {"weight": WEIGHT}, {"pos_weight": WEIGHT}, {"weight": WEIGHT, "pos_weight": WEIGHT}):
        compare(name, [X, BINARY], reduction=reduction, **options)


@pytest.mark.oracle
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_cross_entropy(reduction, label_smoothing):
    options = {"reduction": reduction, "label_smoothing": label_smoothing}
    compare("cross_entropy", [X, CLASSES], **options)
    compare("cross_entropy", [X, CLASSES, WEIGHT], **options)
    compare("cross_entropy", [IMAGE, LABELS], **options)
    compare("cross_entropy", [X[0], np.array(2)], **options)
    compare("cross_entropy", [X, np.abs(Y)], wrt=(0, 1), **options)
    compare("cross_entropy", [X, np.abs(Y), WEIGHT], **options)


@pytest.mark.oracle
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_nll_loss(reduction):
    compare("nll_loss", [X, CLASSES], reduction=reduction)
    compare("nll_loss", [IMAGE, LABELS, WEIGHT], reduction=reduction)
    compare("nll_loss", [X, np.abs(CLASSES % 4)], reduction=reduction, ignore_index=1)


@pytest.mark.oracle
def test_linear_and_normalisation():
    w, b = rng.normal(size=(3, 4)).astype(np.float32), rng.normal(size=3).astype(np.float32)
    x = X / 5
    compare("linear", [x, w, b], wrt=(0, 1, 2))
    compare("linear", [IMAGE.transpose(0, 2, 1).copy(), w], wrt=(0, 1))
    compare("layer_norm", [x], normalized_shape=(4,), weight=WEIGHT, bias=WEIGHT)
    compare("layer_norm", [IMAGE], normalized_shape=(4, 3))
    compare("layer_norm", [x], normalized_shape=(4,), bias=WEIGHT)
    compare("layer_norm", [x], normalized_shape=(4,), weight=WEIGHT)
    mean, var = np.zeros(4, np.float32), np.ones(4, np.float32)
    compare("batch_norm", [x, mean, var, WEIGHT, WEIGHT], wrt=(0, 3, 4), rtol=1e-4, training=True)
    compare("batch_norm", [IMAGE, mean, var], rtol=1e-4, training=True)
    compare("batch_norm", [x, mean, var], rtol=1e-4, training=True, bias=WEIGHT)
    compare("batch_norm", [x, mean + 1, var * 2, WEIGHT, WEIGHT], wrt=(0, 3, 4))


@pytest.mark.oracle
@pytest.mark.parametrize("momentum", [0.1, None])
def test_batch_norm_layer_follows_pytorch(momentum):
    torch = pytest.importorskip("torch")
    ours, theirs = nn.BatchNorm1d(4, momentum=momentum), torch.nn.BatchNorm1d(4, momentum=momentum)
    for _ in range(3):
        x = rng.normal(1, 2, size=(8, 4)).astype(np.float32)
        y, z = ours(danlu.tensor(x)), theirs(torch.tensor(x))
        np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-4, atol=1e-5)
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key].numpy(), value.numpy(), rtol=1e-5, atol=1e-6)
    y, z = ours.eval()(danlu.tensor(x)), theirs.eval()(torch.tensor(x))
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.oracle
def test_state_dicts_have_the_names_of_pytorch():
    torch = pytest.importorskip("torch")

    def build(n):
        return n.Sequential(
            n.Linear(4, 8), n.BatchNorm1d(8), n.ReLU(), n.LayerNorm(8), n.Dropout(0.1), n.Linear(8, 3, bias=False)
        )

    ours, theirs = build(nn), build(torch.nn)
    assert {k: tuple(v.shape) for k, v in ours.state_dict().items()} == {
        k: tuple(v.shape) for k, v in theirs.state_dict().items()
    }
    assert repr(ours) == repr(theirs)
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    x = rng.normal(size=(5, 4)).astype(np.float32)
    y, z = ours.eval()(danlu.tensor(x)), theirs.eval()(torch.tensor(x))
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-5, atol=1e-6)
