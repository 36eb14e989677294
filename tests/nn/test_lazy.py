"""Lazy layers become plain ones at the first call, in the same parameters."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import danlu
from danlu import nn
from danlu.errors import ShapeError

KINDS = {
    "Linear": ((3,), (2, 5)),
    **{f"{kind}{d}d": ((4, 2), (2, 3, 5, 5, 5)[: d + 2]) for kind in ("Conv", "ConvTranspose") for d in (1, 2, 3)},
    **{f"{kind}{d}d": ((), (2, 3, 5, 5, 5)[: d + 2]) for kind in ("BatchNorm", "InstanceNorm") for d in (1, 2, 3)},
}


@pytest.mark.parametrize("name", KINDS)
def test_the_first_call_makes_a_plain_layer(name):
    args, shape = KINDS[name]
    options = {"dtype": danlu.float64} | ({"affine": True} if name.startswith("Instance") else {})
    lazy, plain = getattr(nn, "Lazy" + name)(*args, **options), getattr(nn, name)
    assert (isinstance(lazy, plain) and "(0, " in repr(lazy)) or "=0, " in repr(lazy)
    kept, x = dict(lazy.named_parameters()), danlu.tensor(np.random.default_rng(0).normal(size=shape))
    y = lazy(x)
    assert type(lazy) is plain and dict(lazy.named_parameters()).keys() == kept.keys()
    assert all(p is kept[n] and p.dtype is danlu.float64 and p.requires_grad for n, p in lazy.named_parameters())
    wanted = plain(shape[-1] if name == "Linear" else shape[1], *args, **options)
    assert repr(lazy) == repr(wanted) and vars(lazy).keys() == vars(wanted).keys()
    wanted.load_state_dict(lazy.state_dict())
    np.testing.assert_allclose(y.detach().numpy(), wanted(x).detach().numpy(), rtol=1e-9)


@pytest.mark.parametrize("make", [lambda p: danlu.optim.SGD(p, lr=0.1, momentum=0.9), lambda p: danlu.optim.Adam(p, lr=0.1)])
def test_an_optimizer_may_be_made_before_the_first_call(make):
    model = nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(1))
    optimizer, x = make(model.parameters()), danlu.randn(8, 3)
    losses = []
    for _ in range(30):
        loss = ((model(x) - x.sum(1, keepdim=True)) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_groups_and_copies():
    layer = nn.LazyConv2d(4, 3, groups=2)
    twin = copy.deepcopy(layer)
    assert layer(danlu.ones(1, 6, 5, 5)).shape == (1, 4, 3, 3) and layer.weight.shape == (4, 3, 3, 3)
    assert twin(danlu.ones(6, 5, 5)).shape == (4, 3, 3) and type(twin) is nn.Conv2d


def test_messages():
    with pytest.raises(
        ShapeError, match=r"LazyConv2d: the input has shape \(5, 5\); expected at least 3 axes to read in_channels off"
    ):
        nn.LazyConv2d(4, 3)(danlu.ones(5, 5))
