"""Devices that can be named and the one that is there; where the elements of a view lie."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import danlu
from danlu.errors import DTypeError


def test_devices_have_names_and_numbers():
    several = [danlu.device("cpu"), danlu.device("cuda"), danlu.device("cuda:1"), danlu.device("cuda", 2), danlu.device("cpu", 0)]
    assert [str(d) for d in several] == ["cpu", "cuda", "cuda:1", "cuda:2", "cpu:0"]
    assert repr(several[2]) == "device(type='cuda', index=1)" and several[2].index == 1 and several[0].index is None
    assert danlu.device("cuda:1") == danlu.device("cuda", 1) != danlu.device("cuda") and len(set(several)) == 5
    assert danlu.device(danlu.device("cuda:1")) == several[2] and danlu.device(type="cpu") == danlu.ones(1).device
    assert copy.deepcopy(several[2]) == pickle.loads(pickle.dumps(several[2])) == several[2]


@pytest.mark.parametrize("wrong", ["gpu", "cuda:x", 0])
def test_what_is_no_device(wrong):
    with pytest.raises(DTypeError, match=r"device .* is not available: danlu runs on the CPU"):
        danlu.device(wrong)


def test_another_device_is_refused_where_it_is_used():
    cuda = danlu.device("cuda:1")
    for use in (
        lambda: danlu.ones(1).to(cuda),
        lambda: danlu.zeros(1, device=cuda),
        lambda: danlu.nn.Linear(1, 1).to(cuda),
        cuda.__enter__,
    ):
        with pytest.raises(DTypeError, match="device 'cuda:1' is not available: danlu runs on the CPU"):
            use()
    with danlu.device("cpu"):
        assert danlu.ones(1).device.type == "cpu"


def test_memory_of_the_cpu():
    x = danlu.ones(2)
    assert x.pin_memory() is x and not x.is_pinned() and x.get_device() == -1 and x.share_memory_() is x and not x.is_cuda
    assert danlu.Generator().device == x.device


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_strides_are_numpys(axes):
    a, x = np.zeros((2, 3, 4), np.float32).transpose(axes), danlu.zeros(2, 3, 4).permute(axes)
    views = (lambda v: v, lambda v: v[1:, :, ::2], lambda v: v[None, 1], lambda v: v[:, 0].reshape(v.shape[0], -1, 1))
    for view in views:
        array, tensor = view(a), view(x)
        axes_of_size = [k for k, n in enumerate(array.shape) if n > 1]  # an axis of one element has no stride to speak of
        assert [tensor.stride()[k] for k in axes_of_size] == [array.strides[k] // 4 for k in axes_of_size]
        assert tensor.stride(1) == tensor.stride()[1]


def test_pairs_have_the_name_of_their_function():
    x = danlu.tensor([[2, 1], [3, 4]])
    for name, pair in (
        ("max", x.max(1)),
        ("topk", x.topk(1)),
        ("mode", x.mode()),
        ("cummax", x.cummax(0)),
        ("median", x.float().median(1)),
    ):
        assert repr(pair).startswith(f"danlu.return_types.{name}(\nvalues="), name
        assert type(copy.copy(pair)) is type(pair) and copy.deepcopy(pair).indices.shape == pair.indices.shape
