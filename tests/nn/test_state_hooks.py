"""What PyTorch's code overrides and hooks when a module is saved and loaded, and the containers' operators."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import danlu
from danlu import nn
from danlu.nn import module
from danlu.nn.module import StateError


class Counting(nn.Module):
    """Keeps a number beside its tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.count = nn.Linear(1, 1), 3

    def get_extra_state(self):
        return {"count": self.count}

    def set_extra_state(self, state):
        self.count = state["count"]


def test_extra_state():
    first, second = nn.Sequential(Counting()), nn.Sequential(Counting())
    second[0].count = 0
    state = first.state_dict()
    assert list(state) == ["0._extra_state", "0.linear.weight", "0.linear.bias"]
    second.load_state_dict(state)
    assert second[0].count == 3
    del state["0._extra_state"]
    with pytest.raises(StateError, match=r"missing keys: '0\._extra_state'"):
        second.load_state_dict(state)
    with pytest.raises(NotImplementedError):
        nn.Linear(1, 1).get_extra_state()
    with pytest.raises(NotImplementedError):
        nn.Linear(1, 1).set_extra_state({})


class Renamed(nn.Linear):
    """Reads states in which its weight had another name, and writes one number more."""

    def _load_from_state_dict(self, state_dict, prefix, *more):
        if f"{prefix}old" in state_dict:
            state_dict[f"{prefix}weight"] = state_dict.pop(f"{prefix}old")
        super()._load_from_state_dict(state_dict, prefix, *more)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}more"] = danlu.ones(1)


def test_methods_that_code_overrides():
    model = nn.Sequential(Renamed(1, 1))
    state = model.state_dict()
    assert list(state) == ["0.weight", "0.bias", "0.more"]
    with pytest.raises(StateError, match=r"unexpected keys: '0\.more'"):
        model.load_state_dict(state)
    given = {"0.old": danlu.full((1, 1), 7.0), "0.bias": danlu.zeros(1)}
    model.load_state_dict(given)
    assert model[0].weight.item() == 7 and list(given) == ["0.old", "0.bias"]


def test_hooks_of_saving_and_loading():
    seen = []
    model = nn.Sequential(nn.Linear(1, 1))
    inner = model[0]
    inner.register_state_dict_pre_hook(lambda module, prefix, keep: seen.append(("save", type(module), prefix, keep)))
    handle = inner.register_state_dict_post_hook(
        lambda module, state, prefix, said: seen.append(("saved", [*state], said["version"]))
    )
    state = model.state_dict()
    assert seen == [("save", nn.Linear, "0.", False), ("saved", ["0.weight", "0.bias"], 1)]
    handle.remove()
    seen.clear()
    inner.register_load_state_dict_pre_hook(lambda module, state, prefix, said, strict, *lists: seen.append((prefix, strict)))
    inner._register_load_state_dict_pre_hook(lambda state, prefix, *more: state.update({"0.bias": danlu.full((1,), 5.0)}))
    model.register_load_state_dict_post_hook(lambda module, keys: seen.append((model[0].bias.item(), keys.missing_keys)))
    model.load_state_dict(state)
    assert seen == [("0.", True), (5.0, [])] and state["0.bias"].item() == 5.0  # the state shares the module's memory
    model.register_load_state_dict_post_hook(lambda module, keys: keys.missing_keys.clear())
    assert repr(model.load_state_dict({"0.bias": danlu.zeros(1)})) == "<All keys matched successfully>"


def test_the_destination_of_a_state():
    found: dict = {}
    nn.Linear(1, 1).state_dict(found, "a.")
    assert list(found) == ["a.weight", "a.bias"]
    assert nn.Linear(1, 1).state_dict(prefix="b.", keep_vars=True)["b.weight"].requires_grad


def test_a_failed_load_changes_nothing():
    model = nn.Linear(2, 1)
    before = model.weight.tolist()
    with pytest.raises(StateError, match="size mismatch for bias"):
        model.load_state_dict({"weight": danlu.zeros(1, 2), "bias": danlu.zeros(3)})
    assert model.weight.tolist() == before


def test_a_forward_hook_that_always_runs():
    seen = []
    layer = nn.Linear(2, 1)
    layer.register_forward_hook(lambda module, inputs, output: seen.append(output), always_call=True)
    layer.register_forward_hook(lambda module, inputs, named, output: seen.append(named), with_kwargs=True, always_call=True)
    layer.register_forward_hook(lambda *given: seen.append("only after success"))
    with pytest.raises(danlu.ShapeError):
        layer(danlu.ones(1, 3))
    assert seen == [None, {}]


def test_buffers_as_attributes_and_paths():
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kept, self.left = nn.Buffer(danlu.ones(1)), nn.Buffer(danlu.ones(2), persistent=False)

    model = nn.Sequential(Scale())
    assert list(model.state_dict()) == ["0.kept"] and [name for name, _ in model.named_buffers()] == ["0.kept", "0.left"]
    assert model.get_buffer("0.left").shape == (2,)
    with pytest.raises(AttributeError, match=r"Scale has no buffer 'x' \(of path '0\.x'\); it has 'kept', 'left'"):
        model.get_buffer("0.x")
    model.set_submodule("0", nn.ReLU())
    assert isinstance(model[0], nn.ReLU)
    with pytest.raises(AttributeError, match="no submodule '3'"):
        model.set_submodule("3", nn.ReLU(), strict=True)
    layer = nn.Conv2d(1, 1, 1)
    assert layer.to(danlu.float64, memory_format=None).share_memory() is layer and layer.to_empty(device="cpu") is layer


def test_operators_of_containers():
    layers = nn.ModuleList([nn.ReLU()])
    layers += [nn.Tanh()]
    more = nn.ModuleList([nn.Sigmoid()])
    assert [type(m) for m in layers + more] == [nn.ReLU, nn.Tanh, nn.Sigmoid] and len(layers) == 2
    assert isinstance(layers.pop(), nn.Tanh) and len(layers) == 1
    model = nn.Sequential(nn.ReLU()) + nn.Sequential(nn.Tanh())
    assert [type(m) for m in model * 2] == [nn.ReLU, nn.Tanh] * 2 and len(2 * model) == 4
    model *= 2
    assert len(model) == 4 and isinstance(model.pop(0), nn.ReLU) and len(model) == 3
    assert nn.ParameterDict({"a": danlu.ones(1)}).get("b") is None


@pytest.mark.parametrize("d", [1, 2, 3])
def test_max_unpooling(d):
    x = danlu.tensor(np.random.default_rng(0).normal(size=(2, 3, *(7, 6, 5)[:d])), dtype=danlu.float32).requires_grad_()
    pool, back = getattr(nn, f"MaxPool{d}d")(2, return_indices=True), getattr(nn, f"MaxUnpool{d}d")(2)
    y, places = pool(x)
    whole = back(y, places, output_size=x.shape)
    largest = np.where(whole.detach().numpy() != 0, x.detach().numpy(), 0)
    assert whole.shape == x.shape and np.array_equal(whole.detach().numpy(), largest) and (whole != 0).sum().item() == y.numel()
    whole.sum().backward()
    assert np.array_equal(x.grad.numpy(), (largest != 0).astype("f"))
    with pytest.raises(
        danlu.ShapeError, match=rf"max_unpool{d}d: output_size is .*; expected .*, each less than a stride away from it"
    ):
        back(y, places, output_size=(20,) * d)
    with pytest.raises(danlu.ShapeError, match=rf"expected both from max_pool{d}d\(\.\.\., return_indices=True\)"):
        back(y, places[:1])


@pytest.mark.oracle
def test_max_unpooling_is_pytorchs():
    torch = pytest.importorskip("torch")
    for n, options in ((8, (2, 2, 0)), (7, (3, 2, 1))):
        x, found = np.random.default_rng(0).normal(size=(2, 3, n, n)).astype("f"), []
        for framework, tensor in ((danlu, danlu.tensor(x)), (torch, torch.tensor(x))):
            y, places = framework.nn.MaxPool2d(*options, return_indices=True)(tensor)
            found += [framework.nn.MaxUnpool2d(*options)(y, places).numpy()]
        np.testing.assert_array_equal(*found)


def test_a_handle_removes_its_own_hook_alone():
    """Also where others came after it, and when it is asked twice."""
    layer, seen = nn.Linear(1, 1), []
    for register in (layer.register_state_dict_pre_hook, layer.register_forward_pre_hook):
        first = register(lambda *_: seen.append("first"))
        first.remove()
        register(lambda *_: seen.append("second"))
        first.remove()
    layer.state_dict()
    layer(danlu.ones(1, 1))
    assert seen == ["second", "second"]


def test_a_hook_that_was_removed_after_an_error_is_gone():
    """`always_call` belongs to one registration of a hook, not to the function."""
    layer, seen = nn.Linear(1, 1), []
    layer.register_forward_hook(lambda *_: seen.append("always"), always_call=True)

    def seldom(*_):
        seen.append("seldom")

    layer.register_forward_hook(seldom, always_call=True).remove()
    layer.register_forward_hook(seldom)
    with pytest.raises(danlu.errors.ShapeError):
        layer(danlu.ones(1, 2))
    assert seen == ["always"]


@pytest.fixture
def no_hooks_of_all():
    yield
    nn.Module._hooks = None


def calls_of_every_module(framework, tensor):
    """What hooks of every module and of one are told, in order."""
    lib, log = framework.nn, []
    where = importlib.import_module("torch.nn.modules.module" if framework.__name__ == "torch" else "danlu.nn.module")
    net = lib.Sequential(lib.Linear(2, 2), lib.Sequential(lib.ReLU(), lib.Linear(2, 1)))
    with framework.no_grad():
        for p in net.parameters():
            p.fill_(0.5)
    net[0].register_forward_hook(lambda m, i, o: log.append("own"))
    net[0].register_forward_pre_hook(lambda m, i: log.append("own before"))
    handles = [
        where.register_module_forward_pre_hook(lambda m, i: log.append(("before", type(m).__name__))),
        where.register_module_forward_hook(lambda m, i, k, o: log.append((type(m).__name__, k, o.tolist())), with_kwargs=True),
        where.register_module_full_backward_pre_hook(lambda m, go: log.append(("gradients", type(m).__name__))),
        where.register_module_full_backward_hook(
            lambda m, gi, go: log.append((type(m).__name__, gi[0].tolist(), go[0].tolist()))
        ),
    ]
    x = tensor([[1.0, 1.0]], requires_grad=True)
    net(x).sum().backward()
    for handle in handles:
        handle.remove()
    net(x).sum().backward()
    return log


@pytest.mark.oracle
@pytest.mark.usefixtures("no_hooks_of_all")
def test_hooks_of_every_module_are_called_as_in_pytorch():
    torch = pytest.importorskip("torch")
    assert calls_of_every_module(danlu, danlu.tensor) == calls_of_every_module(torch, torch.tensor)


@pytest.mark.usefixtures("no_hooks_of_all")
def test_hooks_of_every_module_reach_compiled_functions():
    net, x, seen = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), danlu.ones(1, 2), []
    compiled = danlu.compile(net)
    for _ in range(4):
        compiled(x)
    handle = module.register_module_forward_hook(lambda m, i, o: o * 2 if isinstance(m, nn.ReLU) else seen.append(1))
    expected = 2 * net[0](x).clamp(min=0)
    for _ in range(4):
        assert danlu.allclose(compiled(x), expected)
    handle.remove()
    assert danlu.allclose(compiled(x), expected / 2) and len(seen) == 9
