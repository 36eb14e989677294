"""State dicts between PyTorch and danlu, as `.pt` and as safetensors, both ways: a loaded model gives the same outputs (marked `oracle`)."""

from __future__ import annotations

import numpy as np
import pytest

import danlu
from danlu.vision import models

pytestmark = pytest.mark.oracle


def recurrent(nn):
    return nn.LSTM(5, 16, num_layers=2, bidirectional=True, batch_first=True)


def encoder(nn):
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2, enable_nested_tensor=False)


def residual(nn):
    """ResNet-18: danlu's own, and the reference network written in PyTorch."""
    if nn is danlu.nn:
        return models.resnet18(num_classes=10)
    reference = pytest.importorskip("reference_models")
    return reference.make("resnet18", 10)


INPUTS = {residual: (2, 3, 48, 48), recurrent: (3, 7, 5), encoder: (2, 6, 16)}


@pytest.fixture(autouse=True)
def _references(monkeypatch, request):
    pytest.importorskip("torch").manual_seed(0)
    monkeypatch.syspath_prepend(request.config.rootpath / "tests" / "vision")


def output(framework, model, x):
    """What a model says in evaluation; of the LSTM the outputs and both states."""
    found = model.eval()(framework.tensor(x))
    parts = (found[0], *found[1]) if isinstance(found, tuple) else (found,)
    return [part.detach().numpy() for part in parts]


def save(framework, state, path):
    """As the framework's users do."""
    if framework is danlu:
        danlu.save(state, path)
    elif path.suffix == ".pt":
        framework.save(state, path)
    else:
        from safetensors.torch import save_file

        save_file(state, path)


def load(framework, path):
    if framework is danlu or path.suffix == ".pt":
        return framework.load(path)
    from safetensors.torch import load_file

    return load_file(path)


def with_statistics(framework, model):
    """Running means and variances that a fresh model does not have."""
    rng = np.random.default_rng(1)
    state = model.state_dict()
    for key in state:
        if "running" in key:
            state[key] = framework.tensor(rng.uniform(0.5, 1.5, tuple(state[key].shape)).astype("f"))
    model.load_state_dict(state)
    return model


@pytest.mark.parametrize("make", INPUTS)
@pytest.mark.parametrize("way", ["pt to danlu", "safetensors to danlu", "safetensors to pytorch"])
def test_a_model_says_the_same_on_both_sides(make, way, tmp_path):
    import torch

    source, target = (danlu, torch) if way.endswith("pytorch") else (torch, danlu)
    first, second = with_statistics(source, make(source.nn)), make(target.nn)
    path = tmp_path / f"model.{way.partition(' ')[0]}"
    save(source, first.state_dict(), path)
    second.load_state_dict(load(target, path))
    x = np.random.default_rng(0).normal(size=INPUTS[make]).astype("f")
    for got, wanted in zip(output(target, second, x), output(source, first, x), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
@pytest.mark.parametrize("make", INPUTS)
def test_a_model_comes_back_to_pytorch_bit_by_bit(make, name, tmp_path):
    """PyTorch's file → danlu's model → danlu's file → PyTorch's model: the same numbers under the same names in the same dtypes."""
    import torch

    theirs, ours = with_statistics(torch, make(torch.nn)), make(danlu.nn)
    save(torch, theirs.state_dict(), tmp_path / name)
    ours.load_state_dict(danlu.load(tmp_path / name))
    danlu.save(ours.state_dict(), tmp_path / "back.safetensors")
    if name.endswith("pt"):
        said = {path: said["version"] for path, said in theirs.state_dict()._metadata.items()}
        for file in (name, "back.safetensors"):  # danlu's ResNet has modules for ReLU, the reference has none
            found = {path: said["version"] for path, said in danlu.load(tmp_path / file)._metadata.items()}
            assert found.items() >= said.items()
    back = load(torch, tmp_path / "back.safetensors")
    assert {key: value.dtype for key, value in back.items()} == {key: value.dtype for key, value in theirs.state_dict().items()}
    assert all(torch.equal(back[key], value) for key, value in theirs.state_dict().items())
