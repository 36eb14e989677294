"""The whole product in one file, in a few seconds: run it before every commit (`pytest tests/tiny.py`)."""

from __future__ import annotations

import numpy as np
import pytest

import danlu
from danlu import nn, optim
from danlu.config import config


def test_numbers():
    x = danlu.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert (x.shape, x.dtype) == ((2, 2), danlu.float32)
    np.testing.assert_allclose(((x @ x).exp().log() - x.mean()).numpy(), np.array([[4.5, 7.5], [12.5, 19.5]]), rtol=1e-6)
    assert repr(x) == "tensor([[1., 2.],\n        [3., 4.]])"


def test_views_and_writes():
    x = danlu.zeros(2, 3)
    x.T[1] += 4
    x[0, danlu.tensor([0, 2])] = 7.0
    assert x.tolist() == [[7.0, 4.0, 7.0], [0.0, 4.0, 0.0]]


def test_backward():
    x = danlu.tensor([1.0, 2.0, 3.0], requires_grad=True)
    (x.sigmoid() * x).sum().backward()
    s = 1 / (1 + np.exp(-np.array([1.0, 2.0, 3.0])))
    np.testing.assert_allclose(x.grad.numpy(), s + np.array([1.0, 2.0, 3.0]) * s * (1 - s), rtol=1e-6)


def test_a_program_is_made_once():
    def work():
        return (danlu.arange(7.0) * 3 + 1).sqrt().sum().item()

    first = work()
    before = danlu.programs.statistics()["programs"]
    assert work() == first
    assert danlu.programs.statistics()["programs"] == before


def test_compiled_code_and_references_agree(monkeypatch):
    x = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)

    def work():
        t = danlu.tensor(x)
        return (t.softmax(1) @ t.T).tanh().max(0).values.numpy().copy()

    compiled = work()
    monkeypatch.setattr(config, "optimize", False)
    np.testing.assert_allclose(compiled, work(), rtol=1e-5, atol=1e-6)


def test_random_numbers():
    danlu.manual_seed(5)
    first = danlu.randn(1000)
    danlu.manual_seed(5)
    assert danlu.equal(first, danlu.randn(1000))
    assert abs(first.mean().item()) < 0.15 and abs(first.std().item() - 1) < 0.1


def trained_xor():
    x = danlu.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = danlu.tensor([0, 1, 1, 0])
    danlu.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    return model, x, y, loss.item()


def test_a_network_learns_xor_and_is_kept(tmp_path):
    model, x, y, loss = trained_xor()
    assert loss < 0.05
    assert model(x).argmax(1).tolist() == y.tolist()
    danlu.save(model.state_dict(), tmp_path / "xor.safetensors")
    twin = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
    twin.load_state_dict(danlu.load(tmp_path / "xor.safetensors"))
    assert danlu.equal(twin(x), model(x))


def test_from_a_table_to_a_metric():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"size": rng.normal(size=200), "color": rng.choice(["red", "blue"], 200)})
    price = 3 * table["size"] + (table["color"] == "red") + 0.01 * rng.normal(size=200)
    x = np.column_stack([table["size"], table["color"] == "red"]).astype(np.float32)
    y = price.to_numpy(np.float32)[:, None]
    danlu.manual_seed(0)
    model = nn.Linear(2, 1)
    train, test = (x[:150], y[:150]), (x[150:], y[150:])
    danlu.train.fit(model, train, loss=nn.MSELoss(), optimizer=optim.Adam(model.parameters(), lr=0.1), epochs=30)
    error = (model(danlu.from_numpy(test[0])) - danlu.from_numpy(test[1])).square().mean().sqrt().item()
    assert error < 0.1
