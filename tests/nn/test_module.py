"""Module: registration, walking, state, hooks, text, and errors that name the layer."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import danlu
from danlu import nn
from danlu.errors import AxisError, DataError, DTypeError, ShapeError
from danlu.nn.module import StateError


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 8)
        self.out = nn.Sequential(nn.ReLU(), nn.Linear(8, 3))
        self.scale = nn.Parameter(danlu.ones(3))
        self.register_buffer("shift", danlu.zeros(3))
        self.register_buffer("scratch", danlu.zeros(2), persistent=False)

    def forward(self, x):
        return self.out(self.hidden(x)) * self.scale + self.shift


NAMES = ["scale", "hidden.weight", "hidden.bias", "out.1.weight", "out.1.bias"]


def test_attributes_are_registered_by_kind():
    net = Net()
    assert [n for n, _ in net.named_parameters()] == NAMES
    assert [n for n, _ in net.named_buffers()] == ["shift", "scratch"]
    assert [n for n, _ in net.named_modules()] == ["", "hidden", "out", "out.0", "out.1"]
    assert [n for n, _ in net.named_children()] == ["hidden", "out"]
    assert list(net._parameters) == ["scale"] and net._parameters["scale"] is net.scale
    assert [n for n, _ in net.named_parameters(recurse=False)] == ["scale"]
    assert [n for n, _ in net.named_parameters(prefix="a")][1] == "a.hidden.weight"
    assert sum(p.numel() for p in net.parameters()) == 4 * 8 + 8 + 8 * 3 + 3 + 3


def test_an_attribute_can_change_its_kind():
    net = Net()
    net.hidden = None
    assert [n for n, _ in net.named_parameters()] == ["scale", "out.1.weight", "out.1.bias"]
    net.hidden = nn.Identity()
    assert isinstance(net.hidden, nn.Identity)
    del net.scale
    assert not hasattr(net, "scale") and list(net._parameters) == []
    net.scale = nn.ReLU()
    assert "scale" in net._modules
    net.number = 3
    assert net.number == 3 and "number" not in dict(net.named_buffers())


def test_shared_parameters_and_modules_are_named_once():
    layer = nn.Linear(2, 2)
    net = nn.Sequential(layer, layer)
    assert [n for n, _ in net.named_parameters()] == ["0.weight", "0.bias"]
    assert len(list(net.named_parameters(remove_duplicate=False))) == 4
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert len(list(net.modules())) == 2


def test_super_init_is_asked_for():
    class Forgetful(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 2)

    with pytest.raises(AttributeError, match=r"before Module.__init__\(\) call; write super\(\).__init__\(\) as .* of Forgetful"):
        Forgetful()


@pytest.mark.parametrize(
    ("action", "error", "text"),
    [
        (lambda n: setattr(n, "scale", danlu.ones(3)), DTypeError, "as parameter 'scale' of Net; expected nn.Parameter or None"),
        (lambda n: setattr(n, "shift", 3.0), DTypeError, "cannot assign float as 'shift' of Net; expected Tensor or None"),
        (lambda n: setattr(n, "hidden", 3.0), DTypeError, "cannot assign float as 'hidden' of Net; expected nn.Module or None"),
        (lambda n: n.register_parameter("x", danlu.ones(3)), DTypeError, "expected nn.Parameter or None: write nn.Parameter"),
        (lambda n: n.register_buffer("x", 1.0), DTypeError, r"expected a Tensor or None: write danlu.tensor\(value\)"),
        (lambda n: n.register_module("x", danlu.ones(3)), DTypeError, "expected an nn.Module or None"),
        (lambda n: n.register_module("a.b", nn.ReLU()), KeyError, "expected a name without dots"),
        (lambda n: n.register_module("", nn.ReLU()), KeyError, "expected a name without dots that is not empty"),
        (lambda n: n.register_module(3, nn.ReLU()), DTypeError, "must be a string, got int"),
        (lambda n: setattr(n, "forward", nn.ReLU()), KeyError, "already has an attribute 'forward'"),
        (
            lambda n: n.get_submodule("out.7"),
            AttributeError,
            r"has no submodule '7' \(of path 'out.7'\); it has '0', '1'",
        ),
        (lambda n: n.get_parameter("hidden.w"), AttributeError, "Linear has no parameter 'w'.*it has 'weight', 'bias'"),
        (lambda n: n.train("yes"), DataError, "mode is 'yes'; expected True or False"),
        (lambda n: n.load_state_dict([1]), DTypeError, "expects a dict of names to tensors, got list"),
    ],
)
def test_what_cannot_be_assigned_or_found(action, error, text):
    with pytest.raises(error, match=text):
        action(Net())


def test_a_taken_name_is_no_buffer():
    net = Net()
    net.number = 3
    with pytest.raises(KeyError, match="already has an attribute 'number'"):
        net.register_buffer("number", danlu.ones(1))


def test_forward_must_be_defined():
    with pytest.raises(NotImplementedError, match=r"Module has no forward; define `def forward\(self, x\)"):
        nn.Module()(1)


def test_get_submodule_and_parameter():
    net = Net()
    assert net.get_submodule("") is net and net.get_submodule("out.1") is net.out[1]
    assert net.get_parameter("out.1.weight") is net.out[1].weight


# ---- modes, conversions, state ----------------------------------------------------------------------------------------------


def test_train_and_eval_reach_every_module():
    net = Net()
    assert all(m.training for m in net.modules())
    assert net.eval() is net and not any(m.training for m in net.modules())
    assert all(m.training for m in net.train().modules())


def test_apply_visits_children_first():
    seen = []
    Net().apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Linear", "ReLU", "Linear", "Sequential", "Net"]


def test_conversion_of_dtype():
    net = Net()
    weight = net.hidden.weight
    before = weight.detach().numpy().copy()
    net.register_buffer("count", danlu.tensor([1, 2]))
    assert net.double() is net
    assert net.hidden.weight is weight and weight.dtype is danlu.float64 and weight.requires_grad
    assert net.shift.dtype is danlu.float64 and net.count.dtype is danlu.int64
    np.testing.assert_array_equal(net.float().hidden.weight.detach().numpy(), before)
    assert net.half().scale.dtype is danlu.float16
    assert net.cpu() is net and net.type(danlu.float32).scale.dtype is danlu.float32


def test_freezing_and_forgetting_gradients():
    net = Net()
    net.hidden.requires_grad_(False)
    net(danlu.ones(2, 4)).sum().backward()
    assert net.hidden.weight.grad is None and net.scale.grad is not None
    net.zero_grad(set_to_none=False)
    assert net.scale.grad.tolist() == [0, 0, 0]
    net.zero_grad()
    assert net.scale.grad is None


def test_state_dict_goes_round():
    a, b, x = Net(), Net(), danlu.ones(2, 4)
    state = a.state_dict()
    assert list(state) == ["scale", "shift", "hidden.weight", "hidden.bias", "out.1.weight", "out.1.bias"]
    assert not any(t.requires_grad for t in state.values())
    assert next(iter(a.state_dict(prefix="m."))) == "m.scale"
    assert a.state_dict(keep_vars=True)["scale"] is a.scale
    result = b.load_state_dict({k: v.numpy() if k == "scale" else v for k, v in state.items()})
    assert result.missing_keys == [] and result.unexpected_keys == []
    assert b.hidden.weight.requires_grad
    np.testing.assert_array_equal(a(x).detach().numpy(), b(x).detach().numpy())


def test_loaded_values_are_copies():
    a, b = Net(), Net()
    b.load_state_dict(a.state_dict())
    with danlu.no_grad():
        a.scale.fill_(7.0)
    assert b.scale.tolist() == [1, 1, 1]


def test_load_state_dict_names_what_does_not_fit():
    net, state = Net(), Net().state_dict()
    state["hidden.weight"] = danlu.zeros(8, 5)
    state["extra"] = danlu.zeros(1)
    del state["scale"]
    before = net.hidden.bias.detach().numpy().copy()
    with pytest.raises(StateError) as caught:
        net.load_state_dict(state)
    text = str(caught.value)
    assert "does not fit Net" in text and "missing keys: 'scale'" in text and "unexpected keys: 'extra'; strict=False" in text
    assert "size mismatch for hidden.weight: the given tensor has shape (8, 5), the module's (8, 4)" in text
    assert isinstance(caught.value, RuntimeError)
    np.testing.assert_array_equal(net.hidden.bias.detach().numpy(), before)  # nothing was loaded
    with pytest.raises(StateError, match=r"scale: got str; expected a tensor of shape \(3,\)"):
        net.load_state_dict({"scale": "x"}, strict=False)
    state["hidden.weight"] = danlu.zeros(8, 4)
    result = net.load_state_dict(state, strict=False)
    assert (result.missing_keys, result.unexpected_keys) == (["scale"], ["extra"])


def test_load_casts_and_assign_does_not():
    net = nn.Linear(2, 1)
    state = {"weight": danlu.tensor([[1.0, 2.0]], dtype=danlu.float64), "bias": danlu.tensor([3.0], dtype=danlu.float64)}
    net.load_state_dict(state)
    assert net.weight.dtype is danlu.float32 and net.weight.tolist() == [[1, 2]]
    net.load_state_dict(state, assign=True)
    assert net.weight.dtype is danlu.float64 and net.weight.requires_grad


def test_a_copy_is_independent():
    net = Net()
    twin = copy.deepcopy(net)
    with danlu.no_grad():
        twin.scale.fill_(7.0)
    assert net.scale.tolist() == [1, 1, 1] and twin.scale.tolist() == [7, 7, 7]
    assert [n for n, _ in twin.named_parameters()] == NAMES and twin.hidden.weight is not net.hidden.weight


# ---- hooks --------------------------------------------------------------------------------------------------------------------


def test_forward_hooks_run_in_order_and_replace():
    layer, log = nn.Identity(), []
    handles = [
        layer.register_forward_pre_hook(lambda m, args: log.append("before") or (args[0] + 1,)),
        layer.register_forward_hook(lambda m, args, out: log.append("after") or out * 10),
        layer.register_forward_hook(lambda m, args, out: log.append("first"), prepend=True),
        layer.register_forward_pre_hook(lambda m, args: args[0] * 2),
    ]
    assert layer(danlu.tensor([1.0])).tolist() == [40]
    assert log == ["before", "first", "after"]
    for handle in handles:
        handle.remove()
        handle.remove()
    assert layer(danlu.tensor([1.0])).tolist() == [1]


def test_hooks_with_keywords_and_as_context():
    class Scale(nn.Module):
        def forward(self, x, *, by):
            return x * by

    layer = Scale()
    with layer.register_forward_pre_hook(lambda m, args, named: (args, {"by": named["by"] + 1}), with_kwargs=True):
        assert layer(3.0, by=1.0) == 6.0
    seen = []
    with layer.register_forward_hook(lambda m, args, named, out: seen.append((args, named, out)), with_kwargs=True):
        layer(3.0, by=1.0)
    assert seen == [((3.0,), {"by": 1.0}, 3.0)]
    assert layer(3.0, by=1.0) == 3.0


# ---- text and errors --------------------------------------------------------------------------------------------------


def test_repr_nests():
    assert repr(Net()) == (
        "Net(\n  (hidden): Linear(in_features=4, out_features=8, bias=True)\n  (out): Sequential(\n    (0): ReLU()\n"
        "    (1): Linear(in_features=8, out_features=3, bias=True)\n  )\n)"
    )


def test_an_error_names_the_layer():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList([Net(), Net()])

        def forward(self, x):
            return self.blocks[1](x)

    with pytest.raises(ShapeError) as caught:
        Outer()(danlu.ones(2, 5))
    assert str(caught.value).endswith("\n  in layer blocks.1.hidden (Linear(in_features=4, out_features=8, bias=True)) of Outer")
    assert str(caught.value).count("in layer") == 1
    with pytest.raises(ShapeError, match=r"\n  in Linear\(in_features=4, out_features=8, bias=True\)$"):
        nn.Linear(4, 8)(danlu.ones(2, 5))


# ---- containers -------------------------------------------------------------------------------------------------------


def test_sequential_is_a_list():
    a, b, c = nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)
    net = nn.Sequential(a, b)
    assert net.append(c) is net and len(net) == 3 and list(net) == [a, b, c] and net[-1] is c
    assert list(net[1:]) == [b, c] and [n for n, _ in net[1:].named_children()] == ["1", "2"]
    net.insert(1, nn.Tanh())
    assert [type(m).__name__ for m in net] == ["Linear", "Tanh", "ReLU", "Linear"]
    del net[1]
    net[1] = nn.Sigmoid()
    assert [n for n, _ in net.named_children()] == ["0", "1", "2"] and isinstance(net[1], nn.Sigmoid)
    with pytest.raises(AxisError, match="index 3 is out of range: this Sequential holds 3 modules"):
        net[3]
    with pytest.raises(DTypeError, match=r"item 1 is function; expected an nn\.Module"):
        nn.Sequential(a, lambda x: x)


def test_sequential_takes_names():
    net = nn.Sequential({"first": nn.Linear(2, 3), "act": nn.ReLU()})
    assert [n for n, _ in net.named_children()] == ["first", "act"] and isinstance(net.act, nn.ReLU)
    assert net(danlu.ones(1, 2)).shape == (1, 3)


def test_module_list_and_dict():
    layers = nn.ModuleList([nn.Linear(2, 2)]).extend([nn.ReLU(), nn.Linear(2, 1)])
    assert len(layers) == 3 and isinstance(layers[:2], nn.ModuleList) and len(layers[:2]) == 2
    assert [n for n, _ in layers.named_parameters()] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    heads = nn.ModuleDict({"a": nn.Linear(2, 1)})
    heads["b"] = nn.Linear(2, 3)
    assert list(heads) == ["a", "b"] and "a" in heads and len(heads) == 2
    assert [k for k, _ in heads.items()] == list(heads.keys()) and list(heads.values())[1] is heads["b"]
    assert isinstance(heads.pop("a"), nn.Linear) and list(heads) == ["b"]
    with pytest.raises(KeyError, match="this ModuleDict holds b"):
        heads["a"]


def test_the_registries_are_dicts_that_may_be_written():
    net = nn.Module()
    net._modules["0"] = nn.Linear(2, 3)
    net._parameters["w"] = nn.Parameter(danlu.ones(1))
    net._buffers["b"] = danlu.zeros(1)
    assert list(net.state_dict()) == ["w", "b", "0.weight", "0.bias"] and getattr(net, "0") is net._modules["0"]
    assert "w" in net._parameters and len(net._modules) == 1 and repr(net._buffers) == "{'b': tensor([0.])}"
    del net._parameters["w"]
    assert not hasattr(net, "w") and dict(net._parameters) == {}
    for wrong in (lambda: net._modules["w"], lambda: net._modules.pop("w"), lambda: net._buffers.__delitem__("w")):
        with pytest.raises(KeyError, match="'w'"):
            wrong()


def test_equal_modules_of_a_list_are_printed_once():
    layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU(), nn.Sequential(nn.Tanh()), nn.Sequential(nn.Tanh())])
    assert repr(layers).splitlines() == [
        "ModuleList(",
        "  (0-1): 2 x Linear(in_features=2, out_features=2, bias=True)",
        "  (2): ReLU()",
        "  (3-4): 2 x Sequential(",
        "    (0): Tanh()",
        "  )",
        ")",
    ]


def test_parameter_list():
    weights = nn.ParameterList([danlu.zeros(2), "name"])
    weights.append(nn.Parameter(danlu.ones(1), requires_grad=False))
    weights += [danlu.ones(2, 2)]
    assert isinstance(weights[0], nn.Parameter) and weights[1] == "name" and len(weights) == 4 and weights[-1].shape == (2, 2)
    weights[0] = danlu.ones(3)
    assert [tuple(w.shape) for w in weights if w != "name"] == [(3,), (1,), (2, 2)] and len(weights[1:3]) == 2
    assert list(weights.state_dict()) == ["0", "2", "3"] and not weights[2].requires_grad
    lines = ["    (0): Parameter containing: [danlu.float32 of size 3]", "    (1): Object of type: str"]
    assert repr(weights).splitlines()[:3] == ["ParameterList(", *lines]
    with pytest.raises(AxisError, match="index 4 is out of range: this ParameterList holds 4 parameters"):
        weights[4]


def test_parameter_dict():
    named = nn.ParameterDict({"a": danlu.zeros(2)})
    named["b"] = nn.Parameter(danlu.ones(1))
    named.update({"c": 3})
    assert list(named) == list(named.keys()) == ["a", "b", "c"] and "b" in named and named["c"] == 3 and len(named) == 3
    assert [n for n, _ in named.named_parameters()] == ["a", "b"] and [k for k, _ in named.items()] == ["a", "b", "c"]
    assert named.pop("a").shape == (2,) and next(iter(named.values())) is named["b"]
    with pytest.raises(KeyError, match="'a'; this ParameterDict holds b, c"):
        named["a"]


def test_a_class_in_a_list_is_no_hidden_layer():
    net = Net()
    net.kinds, net.made = [nn.Linear, nn.ReLU], {"a": (nn.Linear, 3)}
    assert len(list(net.parameters())) == len(NAMES)  # a warning would be an error


def test_no_gpu_for_modules():
    with pytest.raises(DTypeError, match="device 'cuda' is not available: danlu runs on the CPU"):
        Net().cuda()
    assert repr(Net().load_state_dict(Net().state_dict())) == "<All keys matched successfully>"
    state = {"more": danlu.zeros(1)}
    assert repr(nn.Linear(1, 1, bias=False).load_state_dict(state, strict=False)) == (
        "_IncompatibleKeys(missing_keys=['weight'], unexpected_keys=['more'])"
    )


def test_a_state_from_before_batches_were_counted_fits():
    """PyTorch's rule: a state without a version, or of version 1, may lack batch norm's count; one of version 2 may not."""
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    net(danlu.ones(4, 2)), net(danlu.ones(4, 2))
    state = net.state_dict()
    assert state._metadata == {"": {"version": 1}, "0": {"version": 1}, "1": {"version": 2}}
    old = {name: value for name, value in state.items() if "num_batches" not in name}
    other = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    found = other.load_state_dict(old)
    assert not found.missing_keys and other[1].num_batches_tracked.item() == 0
    assert net.load_state_dict(old) == found and net[1].num_batches_tracked.item() == 2
    state.pop("1.num_batches_tracked")
    with pytest.raises(StateError, match=r"missing keys: '1\.num_batches_tracked'"):
        other.load_state_dict(state)
    with pytest.raises(StateError, match=r"missing keys: '1\.running_mean'$"):
        other.load_state_dict({name: value for name, value in old.items() if name != "1.running_mean"})
    assert other.state_dict(prefix="a.")._metadata.keys() == {"a", "a.0", "a.1"}
