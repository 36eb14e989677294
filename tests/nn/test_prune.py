"""Pruning, and batch norm folded into the layer before it, beside PyTorch's."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import danlu
from danlu import nn
from danlu.errors import DataError, ShapeError
from danlu.nn.utils import prune

RNG = np.random.default_rng(5)


def steps_of(lib, tensor, model, scores):
    """What several prunings, one on the other, leave."""
    p = importlib.import_module(f"{lib.__name__}.nn.utils.prune")
    p.l1_unstructured(model[0], "weight", amount=0.3)
    p.l1_unstructured(model[0], "weight", amount=3)
    p.ln_structured(model[0], "weight", amount=0.4, n=2, dim=0)
    p.ln_structured(model[0], "weight", 1, float("inf"), -1, importance_scores=tensor(scores))
    p.identity(model[0], "bias")
    p.custom_from_mask(model[0], "bias", tensor(np.array([1, 0, 1, 1, 1, 0.0], np.float32)))
    p.ln_structured(model[1], "weight", 0.5, 1, 1)
    pairs = [(model[0], "weight"), (model[1], "weight"), (model[1], "bias")]
    p.global_unstructured(pairs, p.L1Unstructured, {pairs[2]: tensor(np.float32([9, 0.0]))}, amount=0.2)
    p.remove(model[1], "bias")

    class Large(p.BasePruningMethod):
        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t, default_mask):
            return default_mask * (t.abs() < 0.4)

    Large.apply(model[1], "weight")
    return model


@pytest.mark.oracle
@pytest.mark.parametrize("seed", [3, 39, 44])  # with channels of which part is pruned, and whose norm decides
def test_prunings_are_those_of_pytorch(seed):
    torch = pytest.importorskip("torch")
    torch.manual_seed(seed)
    scores = RNG.random((6, 5)).astype(np.float32)
    theirs = torch.nn.Sequential(torch.nn.Linear(5, 6), torch.nn.Linear(6, 2))
    ours = nn.Sequential(nn.Linear(5, 6), nn.Linear(6, 2))
    ours.load_state_dict({k: danlu.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    models = steps_of(danlu, danlu.tensor, ours, scores), steps_of(torch, torch.tensor, theirs, scores)
    state, expected = (model.state_dict() for model in models)
    assert sorted(state) == sorted(expected) and [n for n, _ in ours.named_parameters()] == [
        n for n, _ in theirs.named_parameters()
    ]
    for name, value in expected.items():
        assert np.array_equal(state[name].numpy(), value.numpy()), name
    x = RNG.standard_normal((3, 5)).astype(np.float32)
    for (model, optim), tensor in zip(((ours, danlu.optim), (theirs, torch.optim)), (danlu.tensor, torch.tensor)):
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            model(tensor(x)).square().sum().backward()
            optimizer.step()
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[name].numpy(), value.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours(danlu.tensor(x)).detach().numpy(), theirs(torch.tensor(x)).detach().numpy(), rtol=1e-5)


def test_the_smallest_go_and_stay_away():
    layer = nn.Linear(4, 2)
    weights = layer.weight.detach().numpy().copy()
    prune.l1_unstructured(layer, "weight", amount=0.5)
    smallest = np.argsort(np.abs(weights).reshape(-1))
    assert np.array_equal(np.flatnonzero(layer.weight_mask.numpy() == 0), np.sort(smallest[:4]))
    prune.l1_unstructured(layer, "weight", amount=0.25)  # of the four that are left
    assert np.array_equal(np.flatnonzero(layer.weight_mask.numpy() == 0), np.sort(smallest[:5]))
    layer(danlu.ones(1, 4)).sum().backward()
    assert np.array_equal(layer.weight_orig.grad.numpy() != 0, layer.weight_mask.numpy() != 0)
    assert prune.is_pruned(nn.Sequential(layer)) and isinstance(layer.weight_orig, nn.Parameter)
    prune.remove(layer, "weight")
    assert not prune.is_pruned(layer) and isinstance(layer.weight, nn.Parameter) and (layer.weight == 0).sum().item() == 5
    assert list(dict(layer.named_parameters())) == ["bias", "weight"]


def test_random_ones_choose_as_many_as_they_are_told():
    danlu.manual_seed(0)
    layer = nn.Conv2d(4, 6, 3)
    prune.random_structured(layer, "weight", amount=0.5, dim=1)
    channels = layer.weight_mask.numpy().transpose(1, 0, 2, 3).reshape(4, -1)
    assert sorted(channels.mean(1)) == [0.0, 0.0, 1.0, 1.0]
    prune.random_structured(layer, "weight", amount=1, dim=1)
    assert layer.weight_mask.sum().item() == 54
    prune.random_unstructured(layer, "weight", amount=0.5)
    assert layer.weight_mask.sum().item() == 27
    found = {tuple(prune.random_unstructured(nn.Linear(9, 1), "weight", 4).weight_mask.tolist()[0]) for _ in range(5)}
    assert len(found) > 1


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda m: prune.l1_unstructured(m, "weight", 1.5), DataError, "amount is 1.5; expected a share from 0.0 to 1.0, or a number"),
        (lambda m: prune.l1_unstructured(m, "weight", 9), DataError, "amount is 9; expected a share from 0.0 to 1.0, or a number from 0 to 8"),
        (lambda m: prune.l1_unstructured(m, "weight", "all"), DataError, "amount is 'all'; expected a share"),
        (lambda m: prune.l1_unstructured(m, "kernel", 1), DataError, "prune: Linear has no parameter 'kernel'"),
        (lambda m: prune.ln_structured(m, "bias", 1, 2, 0), ShapeError, r"a tensor of shape \(2,\) and dim 0; expected two axes or more"),
        (lambda m: prune.random_structured(m, "weight", 1, 2), ShapeError, r"a tensor of shape \(2, 4\) and dim 2; expected"),
        (lambda m: prune.custom_from_mask(m, "weight", danlu.ones(3, 2, 4)), ShapeError, r"a mask of shape \(3, 2, 4\) for 'weight' of Linear"),
        (lambda m: prune.remove(m, "weight"), DataError, "prune.remove: 'weight' of Linear is not pruned"),
    ],
)  # fmt: skip
def test_messages(call, error, text):
    with pytest.raises(error, match=text):
        call(nn.Linear(4, 2))


def test_a_method_defines_its_mask():
    with pytest.raises(NotImplementedError):
        prune.BasePruningMethod.apply(nn.Linear(4, 2), "weight")


FOLDED = [
    "Linear(5, 4)",
    "Linear(5, 4, bias=False)",
    "Conv2d(5, 4, 3, groups=1)",
    "Conv1d(5, 4, 2, bias=False)",
    "ConvTranspose2d(5, 4, 3)",
]


@pytest.mark.oracle
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("text", FOLDED)
def test_batch_norm_is_folded_as_pytorch_does(text, affine):
    torch = pytest.importorskip("torch")
    if "Linear" in text and not affine:
        pytest.skip("PyTorch has no such case")
    norm = "BatchNorm2d(4" if "2d" in text else "BatchNorm1d(4"
    results = []
    theirs = [eval(f"nn.{t}", {"nn": torch.nn}) for t in (text, f"{norm}, affine={affine})")]
    for module in (torch, danlu):
        layer, bn = (eval(f"nn.{t}", {"nn": module.nn}) for t in (text, f"{norm}, affine={affine})"))
        for own, their in zip((layer, bn), theirs):
            own.load_state_dict({k: module.tensor(v.numpy()) for k, v in their.state_dict().items()})
        bn.running_mean.copy_(module.tensor(np.float32([0.1, 2, -1, 0.3])))
        bn.running_var.copy_(module.tensor(np.float32([0.1, 2, 1, 0.3])))
        more = {"transpose": True} if "Transpose" in text else {}
        fold = getattr(module.nn.utils, "fuse_linear_bn_eval" if "Linear" in text else "fuse_conv_bn_eval")
        fused = fold(layer.eval(), bn.eval(), **more)
        assert type(fused) is type(layer) and fused is not layer
        results.append((fused.weight.detach().numpy(), fused.bias.detach().numpy(), fused.bias.requires_grad))
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_folding_is_for_evaluation():
    with pytest.raises(
        DataError, match=r"fuse_conv_bn_eval: expected layers at evaluation, with running statistics: write layer.eval\(\)"
    ):
        nn.utils.fuse_conv_bn_eval(nn.Conv1d(1, 1, 1), nn.BatchNorm1d(1))
    with pytest.raises(DataError, match="fuse_linear_bn_eval: expected layers at evaluation, with running statistics"):
        nn.utils.fuse_linear_bn_eval(nn.Linear(1, 1).eval(), nn.BatchNorm1d(1, track_running_stats=False).eval())


def test_layers_that_are_not_drawn_use_no_random_numbers():
    danlu.manual_seed(3)
    expected = danlu.rand(3).tolist()
    danlu.manual_seed(3)
    layer = nn.utils.skip_init(nn.GRU, 3, 4, num_layers=2)
    assert danlu.rand(3).tolist() == expected and not any(p.any() for p in layer.parameters())
