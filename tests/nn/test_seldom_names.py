"""Names of PyTorch's that are seldom used: the adaptive softmax, sparse and Dirac initialisation, vectors that are given; BCE at the edges."""

from __future__ import annotations

import numpy as np
import pytest

import danlu
from danlu import nn
from danlu.errors import DataError, ShapeError
from danlu.nn import functional as F
from danlu.nn import init
from danlu.nn.utils.rnn import pack_sequence, unpack_sequence


def test_the_adaptive_softmax_is_a_distribution():
    danlu.manual_seed(0)
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 12, [3, 7], div_value=2.0, head_bias=True)
    x, target = danlu.randn(20, 8), danlu.tensor(np.arange(20) % 12)
    whole = layer.log_prob(x)
    np.testing.assert_allclose(whole.exp().sum(1).detach().numpy(), 1, rtol=1e-5)
    output, loss = layer(x, target)
    np.testing.assert_allclose(output.detach().numpy(), whole.detach().numpy()[np.arange(20), np.arange(20) % 12])
    assert loss.item() == pytest.approx(-output.mean().item()) and layer.predict(x).tolist() == whole.argmax(1).tolist()
    assert layer(x[0], target[0]).output.shape == ()
    before = layer.head.weight.tolist()
    layer.reset_parameters()
    assert layer.head.weight.tolist() != before


def test_the_adaptive_softmax_refuses():
    for cutoffs in ([], [3, 3], [0, 2], [2, 12]):
        with pytest.raises(DataError, match="expected numbers that grow, from 1 to n_classes − 1 = 11"):
            nn.AdaptiveLogSoftmaxWithLoss(8, 12, cutoffs)
    layer = nn.AdaptiveLogSoftmaxWithLoss(8, 12, [3])
    with pytest.raises(ShapeError, match=r"the input has shape \(2, 8\), the target \(3,\); expected \(N, 8\) and \(N\)"):
        layer(danlu.ones(2, 8), danlu.zeros(3, dtype=danlu.int64))


@pytest.mark.oracle
def test_the_adaptive_softmax_is_pytorchs():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [4, 9], head_bias=True)
    ours = nn.AdaptiveLogSoftmaxWithLoss(16, 20, [4, 9], head_bias=True)
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    x, target = np.random.default_rng(0).normal(size=(30, 16)).astype("f"), np.arange(30) % 20
    found, wanted = ours(danlu.tensor(x), danlu.tensor(target)), theirs(torch.tensor(x), torch.tensor(target))
    found.loss.backward(), wanted.loss.backward()
    np.testing.assert_allclose(found.output.detach().numpy(), wanted.output.detach().numpy(), rtol=1e-5, atol=1e-6)
    for (name, p), (_, q) in zip(ours.named_parameters(), theirs.named_parameters()):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-4, atol=1e-6, err_msg=name)


def test_sparse_initialisation():
    w = init.sparse_(danlu.zeros(20, 5), 0.33, std=2.0).numpy()
    assert ((w == 0).sum(0) == 7).all() and 0.5 < w[w != 0].std() < 4
    with pytest.raises(ShapeError, match=r"sparse_: the tensor has shape \(3,\); expected two axes"):
        init.sparse_(danlu.zeros(3), 0.5)


@pytest.mark.parametrize(("d", "groups"), [(1, 1), (2, 2), (3, 1)])
def test_a_dirac_convolution_gives_back_its_input(d, groups):
    layer = getattr(nn, f"Conv{d}d")(4, 4, 3, padding=1, groups=groups, bias=False)
    init.dirac_(layer.weight, groups)
    x = danlu.randn(2, 4, *(5,) * d)
    assert (layer(x) == x).all()
    with pytest.raises(ShapeError, match=r"dirac_: the tensor has shape \(3, 1, 1\), groups is 2; expected 3, 4 or 5 axes"):
        init.dirac_(danlu.zeros(3, 1, 1), 2)


def test_bags_of_given_vectors():
    vectors = danlu.arange(6.0).reshape(3, 2)
    layer = nn.EmbeddingBag.from_pretrained(vectors, mode="sum")
    assert not layer.weight.requires_grad and layer(danlu.tensor([[0, 2]])).tolist() == [[4.0, 6.0]]
    assert nn.EmbeddingBag.from_pretrained(vectors, freeze=False).weight.requires_grad
    with pytest.raises(ShapeError, match=r"EmbeddingBag.from_pretrained: the vectors have shape \(3,\); expected \(V, D\)"):
        nn.EmbeddingBag.from_pretrained(danlu.ones(3))


def test_sequences_come_back():
    given = [danlu.arange(2.0), danlu.arange(3.0), danlu.arange(1.0)]
    packed = pack_sequence(given, enforce_sorted=False)
    assert [x.tolist() for x in unpack_sequence(packed)] == [x.tolist() for x in given]
    assert "sorted_indices=tensor([1, 0, 2])" in repr(packed)


def test_a_lazy_layer_says_what_it_is():
    layer = nn.LazyLinear(3)
    assert layer.has_uninitialized_params() and layer.cls_to_become is nn.Linear


@pytest.mark.parametrize("dtype", [danlu.float32, danlu.float64, danlu.float16])
def test_binary_cross_entropy_learns_from_what_is_certainly_wrong(dtype):
    p = danlu.tensor([0.0, 1.0, 1e-45, 0.5, 0.0, 1.0], dtype=dtype).requires_grad_()
    y = danlu.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 1.0], dtype=dtype)
    loss = F.binary_cross_entropy(p, y, reduction="none")
    loss.sum().backward()
    most = 1e4 if dtype is danlu.float16 else 1e12
    assert loss.tolist() == pytest.approx([100, 100, 100, np.log(2), 0, 0], rel=1e-3)
    assert p.grad.tolist() == pytest.approx([-most, most, -most, -2, 1, -1], rel=1e-2)
