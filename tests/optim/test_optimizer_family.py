"""The other optimizers: the papers' formulas in NumPy, PyTorch's trajectories and states (`oracle`), rates that are tensors, L-BFGS."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

import danlu
import danlu.files
from danlu import nn, optim
from danlu.errors import DataError, DTypeError, GradientError, ShapeError
from danlu.optim.optimizer import OptimizerStateError

START = [np.random.default_rng(1).normal(size=s) for s in [(4, 3), (5,), (2, 3, 2), ()]]

MATRICES = [np.random.default_rng(1).normal(size=s) for s in [(4, 3), (2, 5), (3, 3)]]  # for Muon, which takes nothing else

# name → options, each tried against PyTorch
OPTIONS = {
    "ASGD": [{"lr": 0.05}, {"lr": 0.05, "lambd": 0.1, "t0": 3, "weight_decay": 0.1}],
    "Adadelta": [{"lr": 2.0}, {"lr": 1.0, "rho": 0.5, "weight_decay": 0.1, "maximize": True}],
    "Adafactor": [{"lr": 0.05}, {"lr": 0.1, "weight_decay": 0.1, "d": 1.5, "beta2_decay": -0.5, "eps": (1e-5, 0.1)}],
    "Adagrad": [{"lr": 0.1}, {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.5, "weight_decay": 0.1}],
    "Adam": [{"lr": 0.05, "amsgrad": True, "weight_decay": 0.1}],
    "AdamW": [{"lr": 0.05}],
    "Adamax": [{"lr": 0.05}, {"lr": 0.05, "betas": (0.5, 0.7), "weight_decay": 0.1, "maximize": True}],
    "Muon": [
        {"lr": 0.05},
        {"lr": 0.05, "nesterov": False, "ns_steps": 7, "adjust_lr_fn": "match_rms_adamw", "weight_decay": 0.0},
    ],
    "NAdam": [{"lr": 0.05}, {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}, {"lr": 0.05, "weight_decay": 0.1}],
    "RAdam": [{"lr": 0.05}, {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}, {"lr": 0.1, "betas": (0.5, 0.9)}],
    "RMSprop": [
        {"lr": 0.02},
        {"lr": 0.02, "momentum": 0.5, "centered": True, "weight_decay": 0.1},
        {"lr": 0.02, "centered": True},
    ],
    "Rprop": [{"lr": 0.02}, {"lr": 0.02, "etas": (0.4, 1.3), "step_sizes": (1e-3, 0.1), "maximize": True}],
    "SGD": [{"lr": 0.1, "momentum": 0.9, "nesterov": True}],
}
CASES = [(name, options) for name, several in OPTIONS.items() for options in several]


def gradient(p, k, step):
    return p * 0.5 + np.sin(1.3 * step + k + np.arange(p.size).reshape(p.shape))


def gradient_of(p, k, step):
    value = p.detach().numpy()
    return np.asarray(gradient(value.astype(float), k, step)).astype(value.dtype)


def run(optimizer, params, steps, make, first=0, skip=()):
    """Steps along `gradient`; parameter k has none where (step, k) is in `skip`."""
    for step in range(first, first + steps):
        for k, p in enumerate(params):
            p.grad = None if (step, k) in skip else make(gradient_of(p, k, step))
        optimizer.step()
    return [p.detach().numpy().copy() for p in params]


def start(name):
    return MATRICES if name == "Muon" else START


def ours(name, options, dtype=np.float64):
    params = [nn.Parameter(danlu.tensor(p.astype(dtype))) for p in start(name)]
    return getattr(optim, name)(params, **options), params


# ---- formulas of the papers ---------------------------------------------------------------------------------------------------


def adagrad(p, k, lr=0.1):
    s = 0
    for t in range(6):
        g = gradient(p, k, t)
        s = s + g * g
        p = p - lr * g / (np.sqrt(s) + 1e-10)
    return p


def adadelta(p, k, lr=2.0):
    v = u = 0
    for t in range(6):
        g = gradient(p, k, t)
        v = 0.9 * v + 0.1 * g * g
        change = np.sqrt(u + 1e-6) / np.sqrt(v + 1e-6) * g
        u = 0.9 * u + 0.1 * change**2
        p = p - lr * change
    return p


def rmsprop(p, k, lr=0.02):
    v = 0
    for t in range(6):
        g = gradient(p, k, t)
        v = 0.99 * v + 0.01 * g * g
        p = p - lr * g / (np.sqrt(v) + 1e-8)
    return p


def adamax(p, k, lr=0.05):
    m = u = 0
    for t in range(1, 7):
        g = gradient(p, k, t - 1)
        m, u = 0.9 * m + 0.1 * g, np.maximum(0.999 * u, np.abs(g) + 1e-8)
        p = p - lr / (1 - 0.9**t) * m / u
    return p


def nadam(p, k, lr=0.05):
    m = v = 0
    product, mu = 1.0, [0.9 * (1 - 0.5 * 0.96 ** (t * 0.004)) for t in range(1, 9)]
    for t in range(1, 7):
        g = gradient(p, k, t - 1)
        product *= mu[t - 1]
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        ahead = mu[t] * m / (1 - product * mu[t]) + (1 - mu[t - 1]) * g / (1 - product)
        p = p - lr * ahead / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return p


def radam(p, k, lr=0.05):
    m, v, top = 0, 0, 2 / (1 - 0.999) - 1
    for t in range(1, 7):
        g = gradient(p, k, t - 1)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        rho = top - 2 * t * 0.999**t / (1 - 0.999**t)
        step = lr * m / (1 - 0.9**t)
        if rho > 5:
            r = sqrt((rho - 4) * (rho - 2) * top / ((top - 4) * (top - 2) * rho))
            step = step * r * sqrt(1 - 0.999**t) / (np.sqrt(v) + 1e-8)
        p = p - step
    return p


def rprop(p, k, lr=0.02):
    before, s = np.zeros_like(p), np.full_like(p, lr)
    for t in range(6):
        g = gradient(p, k, t)
        s = np.clip(s * np.where(g * before > 0, 1.2, np.where(g * before < 0, 0.5, 1.0)), 1e-6, 50)
        g = np.where(g * before < 0, 0.0, g)
        p, before = p - np.sign(g) * s, g
    return p


def asgd(p, k, lr=0.05):
    eta = lr
    for t in range(1, 7):
        p = p * (1 - 1e-4 * eta) - eta * gradient(p, k, t - 1)
        eta = lr / (1 + 1e-4 * lr * t) ** 0.75
    return p


def adafactor(p, k, lr=0.05):
    r = c = v = 0
    for t in range(1, 7):
        g = gradient(p, k, t - 1)
        rate, alpha = t**-0.8, max(1e-3, np.sqrt((p * p).mean())) * min(lr, 1 / sqrt(t))
        if g.ndim > 1:
            r = (1 - rate) * r + rate * (g * g).mean(-1, keepdims=True)
            c = (1 - rate) * c + rate * (g * g).mean(-2, keepdims=True)
            estimate = r * c / r.mean(-2, keepdims=True)
        else:
            estimate = v = (1 - rate) * v + rate * g * g
        u = g / np.sqrt(estimate)
        p = p - alpha * u / max(1.0, np.sqrt((u * u).mean()))
    return p


FORMULAS = {
    "Adagrad": adagrad, "Adadelta": adadelta, "RMSprop": rmsprop, "Adamax": adamax, "NAdam": nadam, "RAdam": radam,
    "Rprop": rprop, "ASGD": asgd, "Adafactor": adafactor,
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_steps_follow_the_formula(name):
    optimizer, params = ours(name, OPTIONS[name][0])
    for k, value in enumerate(run(optimizer, params, 6, danlu.tensor)):
        np.testing.assert_allclose(value, FORMULAS[name](START[k], k), rtol=1e-6, atol=1e-8)  # NAdam, ASGD: state in float32


def test_the_average_of_averaged_sgd():
    optimizer, (p, *_) = ours("ASGD", {"lr": 0.1, "t0": 2})
    seen = [run(optimizer, [p], 1, danlu.tensor, first=t)[0] for t in range(5)]
    np.testing.assert_allclose(optimizer.state[p]["ax"].numpy(), np.mean(seen[3:], 0), rtol=1e-6)  # μ is 1 up to step t0 + 2


def test_unused_rows_of_a_table_rest():
    table, twin = (nn.Embedding(4, 2, _weight=danlu.ones(4, 2)) for _ in range(2))
    sparse, dense = optim.SparseAdam(table.parameters(), lr=0.1), optim.Adam(twin.parameters(), lr=0.1)
    for rows in ([0, 2], [2], [2, 2, 3]):
        for net, optimizer in ((table, sparse), (twin, dense)):
            optimizer.zero_grad()
            (net(danlu.tensor(rows)) ** 2).sum().backward()
            optimizer.step()
    moved, all_moved = table.weight.detach().numpy(), twin.weight.detach().numpy()
    assert (moved[1] == 1).all()
    np.testing.assert_allclose(moved[2], all_moved[2], rtol=1e-5)  # used in every step: as Adam moves it
    assert (moved[0] > all_moved[0]).all()  # used once: Adam's momentum goes on, this one's does not
    state = sparse.state[table.weight]
    assert (state["exp_avg"].numpy()[1] == 0).all() and state["step"] == 3


def test_muon_steps_are_orthogonal_matrices():
    rng = np.random.default_rng(3)
    for shape, ratio in (((6, 4), np.sqrt(1.5)), ((4, 6), 1.0)):
        p = nn.Parameter(danlu.zeros(*shape))
        g = rng.normal(size=shape).astype(np.float32)
        p.grad = danlu.tensor(g)
        optim.Muon([p], lr=0.5, ns_steps=10).step()
        u, _, vt = np.linalg.svd(g, full_matrices=False)
        inside = u.T @ (p.detach().numpy() / (-0.5 * ratio)) @ vt.T
        sizes = np.diag(inside)
        np.testing.assert_allclose(inside, np.diag(sizes), atol=0.03)  # the same singular vectors as g's
        assert sizes.min() > 0.6 and sizes.max() < 1.3  # the coefficients stay near 1 and do not reach it


@pytest.mark.parametrize("name", [n for n in OPTIONS if n not in ("Muon", "Rprop", "Adafactor")])
def test_without_decay_infinity_stays_infinity(name):
    p = nn.Parameter(danlu.tensor([np.inf, 1.0]))
    p.grad = danlu.ones(2)
    getattr(optim, name)([p], lr=0.1, weight_decay=0.0).step()
    first, second = p.tolist()
    assert first == np.inf and second < 1


# ---- what every optimizer does ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options"), CASES)
def test_state_goes_round_to_the_last_bit(name, options):
    optimizer, params = ours(name, options, np.float32)
    whole = run(optimizer, params, 6, danlu.tensor)
    optimizer, params = ours(name, options, np.float32)
    run(optimizer, params, 3, danlu.tensor)
    state = danlu.files.unpack(danlu.files.pack(optimizer.state_dict()))
    params = [nn.Parameter(danlu.tensor(p.detach().numpy().copy())) for p in params]
    again = getattr(optim, name)(params, lr=7.0)
    again.load_state_dict(state)
    for a, b in zip(whole, run(again, params, 3, danlu.tensor, first=3)):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_learning_rate_may_be_a_tensor(name):
    options = OPTIONS[name][-1]
    number, params = ours(name, options)
    lr = danlu.tensor(options["lr"], dtype=danlu.float64)
    tensor, others = ours(name, {**options, "lr": lr})
    for step in range(4):
        if step == 2:
            number.param_groups[0]["lr"] = 0.5 * options["lr"]
            lr.mul_(0.5)
        for a, b in zip(run(number, params, 1, danlu.tensor, step), run(tensor, others, 1, danlu.tensor, step)):
            np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize(("name", "options"), [case for case in CASES if case[0] != "Muon"])
def test_maximize_is_descent_of_the_negative(name, options):
    results = []
    for maximize in (False, True):
        plain = {} if name == "Rprop" else {"weight_decay": 0.0}
        optimizer, params = ours(name, {**options, "maximize": maximize, **plain})
        results.append(run(optimizer, params, 3, lambda g, sign=-1 if maximize else 1: danlu.tensor(g * sign)))
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("name", [n for n in OPTIONS if n not in ("Adafactor", "Muon")])
def test_the_parts_of_a_complex_parameter_are_parameters(name):
    z = np.random.default_rng(2).normal(size=(2, 3, 4))
    whole = nn.Parameter(danlu.tensor(z[0] + 1j * z[1]))
    parts = [nn.Parameter(danlu.tensor(x)) for x in z]
    options = OPTIONS[name][-1]
    one, two = getattr(optim, name)([whole], **options), getattr(optim, name)(parts, **options)
    for step in range(4):
        g = [gradient(p.detach().numpy(), k, step) for k, p in enumerate(parts)]
        whole.grad = danlu.tensor(g[0] + 1j * g[1])
        for p, x in zip(parts, g):
            p.grad = danlu.tensor(x)
        one.step()
        two.step()
        expected = parts[0].detach().numpy() + 1j * parts[1].detach().numpy()
        np.testing.assert_allclose(whole.detach().numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("name", OPTIONS)
def test_no_step_compiles_anew(name):
    optimizer, params = ours(name, OPTIONS[name][0], np.float32)
    run(optimizer, params, 2, danlu.tensor)
    before = danlu.programs.statistics()["programs"]
    run(optimizer, params, 8, danlu.tensor, first=2)
    assert danlu.programs.statistics()["programs"] == before


P, MATRIX = nn.Parameter(danlu.ones(2)), nn.Parameter(danlu.ones(2, 2))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: optim.Adamax([P], eps=-1), "Adamax: eps is -1; expected a number ≥ 0"),
        (lambda: optim.NAdam([P], betas=(1.0, 0.9)), r"NAdam: betas is \(1.0, 0.9\); expected two numbers from 0 up to"),
        (lambda: optim.NAdam([P], momentum_decay=-1), "NAdam: momentum_decay is -1"),
        (lambda: optim.RAdam([P], lr=-1), "RAdam: lr is -1"),
        (lambda: optim.SparseAdam([P], betas=(0.9, 2)), "SparseAdam: betas is"),
        (lambda: optim.Adagrad([P], lr_decay=-1), "Adagrad: lr_decay is -1"),
        (lambda: optim.Adadelta([P], rho=1.5), "Adadelta: rho is 1.5; expected a number from 0 to 1"),
        (lambda: optim.RMSprop([P], momentum=-1), "RMSprop: momentum is -1"),
        (lambda: optim.Rprop([P], etas=(1.1, 1.2)), r"Rprop: etas is \(1.1, 1.2\); expected two numbers, one below and one above 1"),
        (lambda: optim.ASGD([P], weight_decay=-1), "ASGD: weight_decay is -1"),
        (lambda: optim.Adafactor([P], d=0.5), "Adafactor: d is 0.5; expected a number ≥ 1"),
        (lambda: optim.Adafactor([P], eps=(None, -1)), r"Adafactor: eps is \(None, -1\); expected numbers ≥ 0"),
        (lambda: optim.Adafactor([P], beta2_decay=0.5), "Adafactor: beta2_decay is 0.5; expected a number ≤ 0"),
        (lambda: optim.Muon([MATRIX], ns_coefficients=(1, 2)), r"Muon: ns_coefficients is \(1, 2\); expected three numbers"),
        (lambda: optim.Muon([MATRIX], ns_steps=100), "Muon: ns_steps is 100; expected a number from 0 to 99"),
        (lambda: optim.Muon([MATRIX], adjust_lr_fn="rms"), "adjust_lr_fn is 'rms'; expected None, 'original' or 'match_rms_adamw'"),
        (lambda: optim.LBFGS([P], line_search_fn="wolfe"), "line_search_fn is 'wolfe'; expected None or 'strong_wolfe'"),
        (lambda: optim.LBFGS([{"params": [P]}, {"params": []}]), "LBFGS: got several parameter groups; expected one"),
        (lambda: optim.LBFGS([P]).step(), r"LBFGS.step: got no closure; expected a function that computes the loss anew"),
    ],
)  # fmt: skip
def test_messages(make, text):
    with pytest.raises(DataError, match=text):
        make()


def test_muon_takes_real_matrices():
    with pytest.raises(ShapeError, match=r"Muon: a parameter has shape \(2,\); expected matrices alone: give biases"):
        optim.Muon([P])
    with pytest.raises(DTypeError, match="Muon: a parameter is complex64; expected real numbers"):
        optim.Muon([nn.Parameter(danlu.zeros(2, 2, dtype=danlu.complex64))])


def test_state_of_another_shape_is_named():
    p = nn.Parameter(danlu.ones(3, 2))
    optimizer = optim.Adafactor([p])
    state = optimizer.state_dict() | {"state": {0: {"step": 1, "row_var": danlu.ones(3, 2)}}}
    with pytest.raises(OptimizerStateError, match=r"row_var of parameter 0 has shape \(3, 2\); expected \(3, 1\)"):
        optimizer.load_state_dict(state)


# ---- L-BFGS ------------------------------------------------------------------------------------------------------------------------


def rosenbrock(p):
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2


def descend(module, p, steps=4, **options):
    """The losses at the beginnings of some steps on Rosenbrock's valley, and where they end."""
    optimizer = module.LBFGS([p], **options)

    def closure():
        optimizer.zero_grad()
        loss = rosenbrock(p)
        loss.backward()
        return loss

    return [optimizer.step(closure).item() for _ in range(steps)], p.detach().numpy().copy(), optimizer


def valley():
    return nn.Parameter(danlu.tensor(np.array([-1.2, 1.0])))


def test_lbfgs_reaches_the_end_of_the_valley():
    losses, end, optimizer = descend(optim, valley(), line_search_fn="strong_wolfe", tolerance_change=1e-15)
    assert losses[0] == pytest.approx(24.2) and losses[-1] < 1e-9
    np.testing.assert_allclose(end, [1, 1], atol=1e-6)
    assert optimizer.state_dict()["state"][0]["func_evals"] > 20


def test_lbfgs_of_a_parabola_is_newtons_method():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(6, 6))
    a, b = danlu.tensor(a @ a.T + np.eye(6)), danlu.tensor(rng.normal(size=6))
    p = nn.Parameter(danlu.zeros(6, dtype=danlu.float64))
    optimizer = optim.LBFGS([p], max_iter=40, line_search_fn="strong_wolfe", tolerance_change=1e-15)

    def closure():
        optimizer.zero_grad()
        loss = 0.5 * (p @ a @ p) - b @ p
        loss.backward()
        return loss

    optimizer.step(closure)
    np.testing.assert_allclose(p.detach().numpy(), np.linalg.solve(a.numpy(), b.numpy()), rtol=1e-5)


def test_lbfgs_of_a_complex_parameter():
    z = nn.Parameter(danlu.tensor(np.array([3.0 + 2j, -1j])))
    optimizer = optim.LBFGS([z], line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = ((z - (1 + 1j)).abs() ** 2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    np.testing.assert_allclose(z.detach().numpy(), [1 + 1j, 1 + 1j], atol=1e-6)


def test_lbfgs_stops_where_it_stands_on_the_minimum():
    p = nn.Parameter(danlu.ones(2))
    losses, end, optimizer = descend(optim, p, steps=1)
    assert losses == [0.0] and optimizer.state[p]["func_evals"] == 1 and end.tolist() == [1, 1]


def test_lbfgs_goes_on_from_its_state():
    whole = descend(optim, valley(), 4, max_iter=5, lr=0.5)[1]
    p = valley()
    _, middle, optimizer = descend(optim, p, 2, max_iter=5, lr=0.5)
    q = nn.Parameter(danlu.tensor(middle))
    again = optim.LBFGS([q])
    again.load_state_dict(danlu.files.unpack(danlu.files.pack(optimizer.state_dict())))

    def closure():
        again.zero_grad()
        loss = rosenbrock(q)
        loss.backward()
        return loss

    for _ in range(2):
        again.step(closure)
    np.testing.assert_array_equal(q.detach().numpy(), whole)


def test_lbfgs_is_refused_inside_compile():
    p = valley()
    optimizer = optim.LBFGS([p])
    step = danlu.compile(lambda: optimizer.step(lambda: rosenbrock(p)))
    with pytest.raises(GradientError, match=r"LBFGS.step inside danlu.compile: its decisions are Python"):
        step()


# ---- PyTorch ------------------------------------------------------------------------------------------------------------------------


def theirs(torch, name, options, dtype=np.float64):
    params = [torch.nn.Parameter(torch.tensor(p.astype(dtype))) for p in start(name)]
    return getattr(torch.optim, name)(params, **options), params


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "options"), CASES)
def test_fifty_steps_of_pytorch(name, options):
    torch = pytest.importorskip("torch")
    skip = {(2, 1), (0, 2)}
    (own, params), (their, their_params) = ours(name, options), theirs(torch, name, options)
    for step in range(50):
        a = run(own, params, 1, danlu.tensor, step, skip)
        b = run(their, their_params, 1, torch.tensor, step, skip)
        for x, y in zip(a, b):
            np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-9, err_msg=f"step {step}")


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "options"), CASES)
def test_states_are_exchanged_with_pytorch(name, options, tmp_path):
    torch = pytest.importorskip("torch")
    their, their_params = theirs(torch, name, options)
    run(their, their_params, 5, torch.tensor)
    torch.save(their.state_dict(), tmp_path / "optimizer.pt")
    params = [nn.Parameter(danlu.tensor(p.detach().numpy().copy())) for p in their_params]
    own = getattr(optim, name)(params, lr=9.0)
    own.load_state_dict(danlu.load(tmp_path / "optimizer.pt"))
    a, b = run(own, params, 5, danlu.tensor, 5), run(their, their_params, 5, torch.tensor, 5)
    for x, y in zip(a, b):
        np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-9)
    state = own.state_dict()
    for entries in state["state"].values():
        entries.update({k: torch.tensor(v.numpy()) for k, v in entries.items() if isinstance(v, danlu.Tensor)})
    again, again_params = theirs(torch, name, options)
    with torch.no_grad():
        for p, value in zip(again_params, a):
            p.copy_(torch.tensor(value))
    again.load_state_dict(state)
    for x, y in zip(run(again, again_params, 5, torch.tensor, 10), run(their, their_params, 5, torch.tensor, 10)):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-8)


WOLFE = {"line_search_fn": "strong_wolfe"}


@pytest.mark.oracle
@pytest.mark.parametrize(
    "options", [{}, {"lr": 0.3, "max_iter": 7}, WOLFE, {**WOLFE, "history_size": 2, "max_iter": 4, "lr": 0.7}]
)
def test_lbfgs_of_pytorch(options):
    torch = pytest.importorskip("torch")
    a, end, own = descend(optim, valley(), 3, **options)
    b, their_end, their = descend(torch.optim, torch.nn.Parameter(torch.tensor([-1.2, 1.0], dtype=torch.float64)), 3, **options)
    np.testing.assert_allclose(a, b, rtol=1e-5)
    np.testing.assert_allclose(end, their_end, rtol=1e-5)
    (state,), (their_state,) = own.state_dict()["state"].values(), their.state_dict()["state"].values()
    assert (state["n_iter"], state["func_evals"]) == (their_state["n_iter"], their_state["func_evals"])
