"""Schedules: the rates of PyTorch's (marked `oracle`), state that goes round, and messages; formulas are in the doctests."""

from __future__ import annotations

from math import cos, pi

import pytest

import danlu
from danlu import nn, optim
from danlu.errors import DataError, DTypeError
from danlu.optim import lr_scheduler

SCHEDULES = {
    "LambdaLR": {"lr_lambda": lambda step: 0.9**step},
    "StepLR": {"step_size": 3, "gamma": 0.5},
    "MultiStepLR": {"milestones": [5, 2, 5], "gamma": 0.5},
    "ExponentialLR": {"gamma": 0.8},
    "LinearLR": {"start_factor": 0.25, "end_factor": 0.75, "total_iters": 4},
    "CosineAnnealingLR": {"T_max": 10, "eta_min": 0.01},
    "OneCycleLR": {"max_lr": [0.5, 1.0], "total_steps": 11},
}


def make(name, module=optim, base=None, **options):
    """A schedule over two groups of an optimizer."""
    params = [nn.Parameter(danlu.ones(1)) for _ in range(2)] if base is None else base
    groups = [{"params": [params[0]], "lr": 0.1}, {"params": [params[1]], "lr": 0.4}]
    optimizer = module.SGD(groups, momentum=0.9) if name == "OneCycleLR" else module.Adam(groups)
    return getattr(module.lr_scheduler, name)(optimizer, **(options or SCHEDULES[name]))


def rates(schedule, steps=10):
    """The rates before each step."""
    out = []
    for _ in range(steps):
        out.append(schedule.get_last_lr())
        schedule.optimizer.step()
        schedule.step()
    return out


@pytest.mark.oracle
@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_those_of_pytorch(name):
    torch = pytest.importorskip("torch")
    params = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    ours, theirs = make(name), make(name, torch.optim, params)
    for a, b in zip(rates(ours), rates(theirs)):
        assert a == pytest.approx(b, rel=1e-6)
    for a, b in zip(ours.optimizer.param_groups, theirs.optimizer.param_groups):
        assert a["lr"] == pytest.approx(b["lr"], rel=1e-6)
        assert a.get("momentum") == pytest.approx(b.get("momentum")) and a.get("betas") == pytest.approx(b.get("betas"))


@pytest.mark.oracle
@pytest.mark.parametrize(
    "options", [{"anneal_strategy": "linear"}, {"pct_start": 0.6, "div_factor": 5.0}, {"cycle_momentum": False}]
)
def test_one_cycle_options(options):
    torch = pytest.importorskip("torch")
    options = {"max_lr": 1.0, "epochs": 3, "steps_per_epoch": 5, **options}
    params = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    ours, theirs = make("OneCycleLR", **options), make("OneCycleLR", torch.optim, params, **options)
    for _ in range(14):
        theirs.optimizer.step()
        for schedule in (ours, theirs):
            schedule.step()
        for a, b in zip(ours.optimizer.param_groups, theirs.optimizer.param_groups):
            assert (a["lr"], a["momentum"]) == pytest.approx((b["lr"], b["momentum"]), rel=1e-6)


@pytest.mark.parametrize("name", SCHEDULES)
def test_state_goes_round(name):
    schedule, fresh = make(name), make(name)
    for _ in range(4):
        schedule.step()
    fresh.load_state_dict(schedule.state_dict())
    assert fresh.get_last_lr() == schedule.get_last_lr() and rates(fresh, 5) == rates(schedule, 5)
    assert "optimizer" not in schedule.state_dict()


def test_cosine_follows_its_formula():
    schedule = make("CosineAnnealingLR")
    for step, (low, high) in enumerate(rates(schedule, 11)):
        assert high == pytest.approx(0.01 + 0.39 * (1 + cos(pi * step / 10)) / 2)
        assert low == pytest.approx(0.01 + 0.09 * (1 + cos(pi * step / 10)) / 2)


def test_one_cycle_moves_the_first_beta():
    optimizer = optim.Adam([nn.Parameter(danlu.ones(1))])
    schedule = lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10, pct_start=0.5)
    assert optimizer.param_groups[0]["betas"] == (0.95, 0.999)
    for _ in range(4):
        schedule.step()
    assert optimizer.param_groups[0]["betas"] == (0.85, 0.999) and schedule.get_last_lr() == [1.0]


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("StepLR", {"step_size": 0}, "StepLR: step_size is 0; expected an integer ≥ 1"),
        ("LinearLR", {"start_factor": 0.0}, "LinearLR: the factors are 0.0 and 1.0; expected 0 < start ≤ 1"),
        ("CosineAnnealingLR", {"T_max": 0}, "T_max is 0; expected an integer ≥ 1"),
        ("LambdaLR", {"lr_lambda": [abs]}, "got 1 functions for 2 parameter groups; expected one for each"),
        ("OneCycleLR", {"max_lr": 1.0}, "total_steps is 0; expected total_steps ≥ 1, or epochs and steps_per_epoch"),
        ("OneCycleLR", {"max_lr": [1.0], "total_steps": 5}, "got 1 rates max_lr for 2 parameter groups"),
        ("OneCycleLR", {"max_lr": 1.0, "total_steps": 5, "pct_start": 2.0}, "pct_start is 2.0; expected a share from 0 to 1"),
        ("OneCycleLR", {"max_lr": 1.0, "total_steps": 5, "anneal_strategy": "exp"}, "'exp'; expected 'cos' or 'linear'"),
    ],
)
def test_messages(name, options, text):
    with pytest.raises(DataError, match=text):
        make(name, **options)


def test_other_misuse_is_named():
    with pytest.raises(DTypeError, match="StepLR: the optimizer is list; expected an Optimizer"):
        lr_scheduler.StepLR([], 3)
    schedule = make("OneCycleLR")
    for _ in range(10):
        schedule.step()
    with pytest.raises(DataError, match="step 11 lies past the end of the cycle; total_steps is 11"):
        schedule.step()
    with pytest.raises(NotImplementedError, match=r"LRScheduler has no factor; define `def factor\(self, step\)"):
        lr_scheduler.LRScheduler(optim.SGD([nn.Parameter(danlu.ones(1))]))
