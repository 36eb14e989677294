"""Optimizers: the papers' formulas in NumPy, state that goes round, messages; trajectories of PyTorch's (marked `oracle`)."""

from __future__ import annotations

import numpy as np
import pytest

import danlu
from danlu import nn, optim
from danlu.errors import DataError, DTypeError, GradientError
from danlu.optim.optimizer import OptimizerStateError

START = [np.random.default_rng(0).normal(size=s).astype(np.float32) for s in [(2, 3), (3,), ()]]


def gradient(p, k, step):
    """A gradient that depends on parameter, index and step."""
    return (p * 0.5 + np.sin(step + k)).astype(p.dtype)


def trajectory(make, steps=6, dtype=np.float32, skip=()):
    """The parameters after some steps; `skip` holds (step, k) where parameter k has no gradient."""
    params = [nn.Parameter(danlu.tensor(p.astype(dtype))) for p in START]
    optimizer = make(params)
    for step in range(steps):
        for k, p in enumerate(params):
            p.grad = None if (step, k) in skip else danlu.tensor(gradient(p.detach().numpy(), k, step))
        optimizer.step()
    return [p.detach().numpy() for p in params], optimizer


def formula_sgd(p, k, steps, lr, momentum=0.0, decay=0.0, dampening=0.0, nesterov=False):
    v = None
    for step in range(steps):
        g = gradient(p, k, step) + decay * p
        v = g if v is None else momentum * v + (1 - dampening) * g
        p = p - lr * ((g + momentum * v) if nesterov else v if momentum else g)
    return p


def formula_adam(p, k, steps, lr, beta1=0.9, beta2=0.999, eps=1e-8, decay=0.0, decoupled=False):
    m, v = np.zeros_like(p), np.zeros_like(p)
    for t in range(1, steps + 1):
        g = gradient(p, k, t - 1)
        if decoupled:
            p = p * (1 - lr * decay)
        else:
            g = g + decay * p
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        p = p - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)
    return p


@pytest.mark.parametrize(
    ("make", "formula"),
    [
        (lambda p: optim.SGD(p, lr=0.1), lambda *a: formula_sgd(*a, 0.1)),
        (lambda p: optim.SGD(p, lr=0.1, weight_decay=0.3), lambda *a: formula_sgd(*a, 0.1, decay=0.3)),
        (lambda p: optim.SGD(p, 0.1, momentum=0.9), lambda *a: formula_sgd(*a, 0.1, 0.9)),
        (lambda p: optim.SGD(p, 0.1, 0.9, 0.3, 0.2), lambda *a: formula_sgd(*a, 0.1, 0.9, 0.2, 0.3)),
        (lambda p: optim.SGD(p, 0.1, 0.9, nesterov=True), lambda *a: formula_sgd(*a, 0.1, 0.9, nesterov=True)),
        (lambda p: optim.Adam(p, lr=0.1), lambda *a: formula_adam(*a, 0.1)),
        (lambda p: optim.Adam(p, 0.1, (0.8, 0.9), 1e-3, 0.2), lambda *a: formula_adam(*a, 0.1, 0.8, 0.9, 1e-3, 0.2)),
        (lambda p: optim.AdamW(p, lr=0.1, weight_decay=0.3), lambda *a: formula_adam(*a, 0.1, decay=0.3, decoupled=True)),
    ],
)
def test_steps_follow_the_formula(make, formula):
    got, _ = trajectory(make, dtype=np.float64)
    for k, (value, start) in enumerate(zip(got, START)):
        np.testing.assert_allclose(value, formula(start.astype(np.float64), k, 6), rtol=1e-9)
    got, _ = trajectory(make)
    for k, (value, start) in enumerate(zip(got, START)):
        np.testing.assert_allclose(value, formula(start.astype(np.float64), k, 6), rtol=2e-5, atol=1e-6)


def test_maximize_climbs():
    for make in (optim.SGD, optim.Adam):
        p = nn.Parameter(danlu.zeros(1))
        p.grad = danlu.ones(1)
        make([p], lr=0.5, maximize=True).step()
        np.testing.assert_allclose(p.detach().numpy(), 0.5, rtol=1e-6)


def test_a_parameter_without_gradient_stays_and_counts_no_step():
    def make(params):
        return optim.Adam(params, lr=0.1)

    (first, *_), optimizer = trajectory(make, skip={(0, 0), (2, 0)}, dtype=np.float64)
    steps = [s["step"] for s in optimizer.state.values()]
    assert sorted(steps) == [4, 6, 6]
    untouched, _ = trajectory(make, steps=1, skip={(0, 0)})
    np.testing.assert_array_equal(untouched[0], START[0])
    assert not np.allclose(first, START[0])


def test_groups_have_options_of_their_own():
    a, b = nn.Parameter(danlu.ones(1)), nn.Parameter(danlu.ones(1))
    optimizer = optim.SGD([{"params": a, "lr": 0.25}, {"params": [b]}], lr=0.5)
    optimizer.add_param_group({"params": [nn.Parameter(danlu.ones(1))], "lr": 3.0})
    a.grad, b.grad = danlu.ones(1), danlu.ones(1)
    optimizer.step()
    assert (a.item(), b.item()) == (0.75, 0.5)
    assert [g["lr"] for g in optimizer.param_groups] == [0.25, 0.5, 3.0]


def test_a_changed_rate_compiles_nothing():
    p = nn.Parameter(danlu.ones(4))
    for make, rates in ((optim.SGD, (0.5, 0.3, 1.0, 2.0, 0.0)), (optim.Adam, (0.1, 0.3, 0.05, 1.0, 0.0))):
        optimizer, made = make([p]), []
        for lr in rates:
            optimizer.param_groups[0]["lr"] = lr
            optimizer.zero_grad()
            (p * p).sum().backward()
            optimizer.step()
            made.append(danlu.programs.statistics()["programs"])
        assert made[1:] == made[:-1]


def test_a_step_is_one_program_from_the_first():
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    net.scale = nn.Parameter(danlu.ones(2) * 3)
    optimizer, x = optim.SGD(net.parameters(), lr=0.1, momentum=0.9, dampening=0.1), danlu.tensor(np.ones((5, 3), np.float32))
    before = danlu.programs.statistics()
    for _ in range(3):
        optimizer.zero_grad()
        (net(x) * net.scale).sum().backward()
        optimizer.step()
    after = danlu.programs.statistics()
    assert after["programs"] - before["programs"] <= 2  # the first step has a dampening of its own
    assert after["runs"] - before["runs"] == 3


def test_zero_grad_forgets_or_zeroes():
    p = nn.Parameter(danlu.ones(2))
    optimizer = optim.SGD([p], lr=0.1)
    p.grad = danlu.ones(2)
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0, 0]
    optimizer.zero_grad()
    assert p.grad is None
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is None


def test_closure_is_called_with_gradients_on():
    p = nn.Parameter(danlu.ones(1))
    optimizer = optim.SGD([p], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with danlu.no_grad():
        loss = optimizer.step(closure)
    assert loss.item() == 1.0 and p.item() == 0.0


@pytest.mark.parametrize(
    "make",
    [
        lambda p: optim.SGD(p, 0.1, 0.9, 0.2),
        lambda p: optim.Adam(p, 0.1, amsgrad=True),
        lambda p: optim.AdamW(p, 0.1),
    ],
)
def test_state_goes_round_to_the_last_bit(make):
    whole, _ = trajectory(make, steps=6)
    params = [nn.Parameter(danlu.tensor(p)) for p in START]
    optimizer = make(params)
    for step in range(6):
        if step == 3:
            saved = [p.detach().numpy().copy() for p in params], optimizer.state_dict()
            params = [nn.Parameter(danlu.tensor(p)) for p in saved[0]]
            old, optimizer = optimizer, make(params)
            optimizer.param_groups[0]["lr"] = 7.0
            optimizer.load_state_dict(saved[1])
        for k, p in enumerate(params):
            p.grad = danlu.tensor(gradient(p.detach().numpy(), k, step))
        optimizer.step()
    for a, b in zip(whole, params):
        np.testing.assert_array_equal(a, b.detach().numpy())
    for states in zip(old.state.values(), optimizer.state.values()):
        for key in states[0]:
            assert key == "step" or not np.array_equal(states[0][key].numpy(), states[1][key].numpy())  # copies, not shared


def test_state_dict_has_the_layout_of_pytorch():
    _, optimizer = trajectory(lambda p: optim.Adam(p, lr=0.1), steps=2)
    state = optimizer.state_dict()
    assert set(state) == {"state", "param_groups"} and set(state["state"]) == {0, 1, 2}
    assert set(state["state"][0]) == {"step", "exp_avg", "exp_avg_sq"} and state["state"][0]["step"] == 2
    assert state["param_groups"][0]["params"] == [0, 1, 2] and state["param_groups"][0]["lr"] == 0.1


def test_state_that_does_not_fit():
    p = nn.Parameter(danlu.ones(2))
    optimizer = optim.Adam([p])
    with pytest.raises(OptimizerStateError, match=r"the saved groups hold \[2\] parameters, those of this optimizer \[1\]"):
        optimizer.load_state_dict(optim.Adam([nn.Parameter(danlu.ones(2)) for _ in range(2)]).state_dict())
    state = optimizer.state_dict()
    state["state"] = {0: {"step": danlu.tensor(3.0), "exp_avg": danlu.ones(3), "exp_avg_sq": danlu.ones(2)}}
    with pytest.raises(OptimizerStateError, match=r"exp_avg of parameter 0 has shape \(3,\); expected \(2,\)"):
        optimizer.load_state_dict(state)
    state["state"][0]["exp_avg"] = danlu.ones(2, dtype=danlu.float64)
    optimizer.load_state_dict(state)
    assert optimizer.state[p]["step"] == 3 and optimizer.state[p]["exp_avg"].dtype is danlu.float32


P = nn.Parameter(danlu.ones(2))


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: optim.SGD(P), None, ""),
        (lambda: optim.SGD([P], lr=-1.0), DataError, "SGD: lr is -1.0; expected a number ≥ 0"),
        (lambda: optim.SGD([P], momentum=-0.1), DataError, "SGD: momentum is -0.1; expected a number ≥ 0"),
        (
            lambda: optim.SGD([P], nesterov=True),
            DataError,
            "SGD: nesterov is True; expected False, or momentum > 0 and dampening = 0",
        ),
        (lambda: optim.Adam([P], eps=-1), DataError, "Adam: eps is -1; expected a number ≥ 0"),
        (lambda: optim.AdamW([P], weight_decay=-1), DataError, "AdamW: weight_decay is -1; expected a number ≥ 0"),
        (lambda: optim.Adam([P], betas=(0.9, 1.0)), DataError, r"Adam: betas is \(0.9, 1.0\); expected two numbers from 0 up to"),
        (lambda: optim.Adam([P], betas=0.9), DataError, "Adam: betas is 0.9; expected two numbers"),
        (lambda: optim.Adam([{"params": [P], "lr": -1.0}]), DataError, "Adam: lr is -1.0"),
        (lambda: optim.SGD([]), DataError, "SGD: optimizer got an empty parameter list; pass model.parameters()"),
        (lambda: optim.SGD([P, P]), DataError, r"SGD: a parameter of shape \(2,\) appears more than once"),
        (lambda: optim.SGD([3.0]), DTypeError, "SGD: a parameter is float; expected a Tensor"),
        (lambda: optim.SGD([("w", 3.0)]), DTypeError, "SGD: a parameter is"),
        (lambda: optim.SGD([{"params": {P}}]), DTypeError, "came as a set, whose order changes from run to run; expected a list"),
        (lambda: optim.SGD([P * 2]), GradientError, r"can't optimize a non-leaf Tensor of shape \(2,\)"),
    ],
)
def test_messages(make, error, text):
    with pytest.raises(error or DTypeError, match=text or "params is a Tensor; expected an iterable of tensors or dicts: write"):
        make()


def test_an_optimizer_must_define_its_update():
    with pytest.raises(NotImplementedError, match=r"Optimizer has no update_group; define `def update_group\(self, group\)"):
        optim.Optimizer([nn.Parameter(danlu.ones(1))], {}).step()


def test_repr_lists_the_options():
    assert repr(optim.SGD([P], lr=0.5)).splitlines() == [
        "SGD (", "Parameter Group 0", "    dampening: 0.0", "    lr: 0.5", "    maximize: False", "    momentum: 0.0",
        "    nesterov: False", "    weight_decay: 0.0", ")",
    ]  # fmt: skip


def test_training_lowers_a_loss():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype(np.float32)
    t = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    danlu.manual_seed(0)
    net, loss = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2)), nn.CrossEntropyLoss()
    optimizer, data, target = optim.AdamW(net.parameters(), lr=0.02), danlu.tensor(x), danlu.tensor(t)
    losses = []
    for _ in range(150):
        optimizer.zero_grad()
        value = loss(net(data), target)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert losses[0] > 0.6 and losses[-1] < 0.05


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"lr": 0.1}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
        ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
        ("Adam", {"lr": 0.1, "weight_decay": 0.1}),
        ("Adam", {"lr": 0.1, "amsgrad": True, "betas": (0.5, 0.6)}),
        ("AdamW", {"lr": 0.1, "weight_decay": 0.2}),
        ("AdamW", {"lr": 0.1, "amsgrad": True, "maximize": True}),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_trajectories_of_pytorch(name, options, dtype):
    torch = pytest.importorskip("torch")
    skip = {(2, 1)}
    ours, optimizer = trajectory(lambda p: getattr(optim, name)(p, **options), dtype=dtype, skip=skip)
    params = [torch.nn.Parameter(torch.tensor(p.astype(dtype))) for p in START]
    theirs = getattr(torch.optim, name)(params, **options)
    for step in range(6):
        for k, p in enumerate(params):
            p.grad = None if (step, k) in skip else torch.tensor(gradient(p.detach().numpy(), k, step))
        theirs.step()
    for a, b in zip(ours, params):
        np.testing.assert_allclose(a, b.detach().numpy(), rtol=2e-5 if dtype == np.float32 else 1e-10, atol=1e-6)
    for k, state in theirs.state_dict()["state"].items():
        for key, value in state.items():
            own = optimizer.state_dict()["state"][k][key]
            if value is not None:
                np.testing.assert_allclose(own if key == "step" else own.numpy(), value.numpy(), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, lr=0.5, momentum=0.9), lambda p: optim.Adam(p, lr=0.5)])
def test_parameters_whose_memory_numpy_holds_too(make):
    params = [danlu.nn.Parameter(danlu.ones(2)), danlu.nn.Parameter(danlu.ones(3))]
    twins = [danlu.nn.Parameter(danlu.ones(2)), danlu.nn.Parameter(danlu.ones(3))]
    arrays = [p.detach().numpy() for p in params]
    for group in (params, twins):
        optimizer = make(group)
        for _ in range(3):
            optimizer.zero_grad()
            sum((p**2).sum() for p in group).backward()
            optimizer.step()
    for p, q, array in zip(params, twins, arrays):
        np.testing.assert_array_equal(array, q.detach().numpy())
        np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())
