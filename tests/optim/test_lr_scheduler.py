"""Schedules: formulas, the rates of PyTorch's (marked `oracle`), state that goes round, schedules that share an optimizer, messages."""

from __future__ import annotations

from math import cos, exp, pi

import pytest

import danlu
from danlu import nn, optim
from danlu.errors import DataError, DTypeError
from danlu.optim import lr_scheduler

SCHEDULES = {
    "LambdaLR": {"lr_lambda": lambda step: 0.9**step},
    "MultiplicativeLR": {"lr_lambda": lambda step: 1 - 0.01 * (step % 7)},
    "StepLR": {"step_size": 3, "gamma": 0.5},
    "MultiStepLR": {"milestones": [5, 2, 5], "gamma": 0.5},
    "ConstantLR": {"factor": 0.25, "total_iters": 7},
    "ExponentialLR": {"gamma": 0.8},
    "LinearLR": {"start_factor": 0.25, "end_factor": 0.75, "total_iters": 4},
    "PolynomialLR": {"total_iters": 60, "power": 1.5},
    "CosineAnnealingLR": {"T_max": 10, "eta_min": 0.01},
    "CosineAnnealingWarmRestarts": {"T_0": 5, "T_mult": 2, "eta_min": 0.01},
    "CyclicLR": {"base_lr": [0.1, 0.2], "max_lr": 0.7, "step_size_up": 5, "step_size_down": 9, "mode": "triangular2"},
    "OneCycleLR": {"max_lr": [0.5, 1.0], "total_steps": 101},
}
OWN = {"NaturalExponentialLR": {"decay": 0.1}, "InverseTimeLR": {"decay": 0.5}}  # PyTorch has no such


def make(name, module=optim, base=None, **options):
    """A schedule over two groups of an optimizer."""
    params = [nn.Parameter(danlu.ones(1)) for _ in range(2)] if base is None else base
    groups = [{"params": [params[0]], "lr": 0.1}, {"params": [params[1]], "lr": 0.4}]
    optimizer = module.SGD(groups, momentum=0.9) if name in ("OneCycleLR", "CyclicLR") else module.Adam(groups)
    return getattr(module.lr_scheduler, name)(optimizer, **(options or {**SCHEDULES, **OWN}[name]))


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
    for a, b in zip(rates(ours, 100), rates(theirs, 100)):
        assert a == pytest.approx(b, rel=1e-9, abs=1e-12)
    for a, b in zip(ours.optimizer.param_groups, theirs.optimizer.param_groups):
        assert a["lr"] == pytest.approx(b["lr"], rel=1e-6)
        assert a.get("momentum") == pytest.approx(b.get("momentum")) and a.get("betas") == pytest.approx(b.get("betas"))


@pytest.mark.oracle
@pytest.mark.parametrize(
    "options",
    [
        {"anneal_strategy": "linear"},
        {"pct_start": 0.6, "div_factor": 5.0},
        {"cycle_momentum": False},
        {"three_phase": True},
        {"three_phase": True, "pct_start": 0.2, "anneal_strategy": "linear"},
    ],
)
def test_one_cycle_options(options):
    torch = pytest.importorskip("torch")
    options = {"max_lr": 1.0, "epochs": 3, "steps_per_epoch": 5, **options}
    params = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    ours, theirs = make("OneCycleLR", **options), make("OneCycleLR", torch.optim, params, **options)
    for _ in range(15):
        theirs.optimizer.step()
        for schedule in (ours, theirs):
            schedule.step()
        for a, b in zip(ours.optimizer.param_groups, theirs.optimizer.param_groups):
            assert (a["lr"], a["momentum"]) == pytest.approx((b["lr"], b["momentum"]), rel=1e-6)


@pytest.mark.parametrize("name", [*SCHEDULES, *OWN])
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
        ("LambdaLR", {"lr_lambda": [abs]}, "got 1 values of lr_lambda for 2 parameter groups; expected one for each"),
        ("LambdaLR", {"lr_lambda": 0.5}, "lr_lambda is float; expected a function of the number of the step"),
        ("ConstantLR", {"factor": 1.5}, "ConstantLR: factor is 1.5; expected a number from 0 to 1"),
        ("PolynomialLR", {"total_iters": 0}, "total_iters is 0; expected an integer ≥ 1"),
        ("InverseTimeLR", {"decay": -1}, "InverseTimeLR: decay is -1; expected a number ≥ 0"),
        ("CosineAnnealingWarmRestarts", {"T_0": 0}, "CosineAnnealingWarmRestarts: T_0 is 0; expected an integer ≥ 1"),
        ("CyclicLR", {"base_lr": 0, "max_lr": 1, "mode": "round"}, "CyclicLR: mode is 'round'; expected one of .'triangular', "),
        ("CyclicLR", {"base_lr": 0, "max_lr": 1, "step_size_up": 0}, "CyclicLR: step_size_up is 0; expected an integer ≥ 1"),
        ("ReduceLROnPlateau", {"factor": 1.0}, "ReduceLROnPlateau: factor is 1.0; expected a number below 1"),
        ("ReduceLROnPlateau", {"mode": "top"}, "mode is 'top'; expected 'min' or 'max'"),
        ("ReduceLROnPlateau", {"threshold_mode": "top"}, "threshold_mode is 'top'; expected 'rel' or 'abs'"),
        ("ReduceLROnPlateau", {"min_lr": [1]}, "got 1 values of min_lr for 2 parameter groups"),
        (
            "StepLR",
            {"step_size": 3, "last_epoch": 4},
            "last_epoch is 4, but the groups of the optimizer have no initial_lr; load",
        ),
        ("OneCycleLR", {"max_lr": 1.0}, "total_steps is 0; expected total_steps ≥ 1, or epochs and steps_per_epoch"),
        ("OneCycleLR", {"max_lr": [1.0], "total_steps": 5}, "got 1 values of max_lr for 2 parameter groups"),
        ("OneCycleLR", {"max_lr": 1.0, "total_steps": 5, "pct_start": 2.0}, "pct_start is 2.0; expected a share from 0 to 1"),
        ("OneCycleLR", {"max_lr": 1.0, "total_steps": 5, "anneal_strategy": "exp"}, "'exp'; expected 'cos' or 'linear'"),
    ],
)
def test_messages(name, options, text):
    with pytest.raises((DataError, DTypeError), match=text):
        make(name, **options)


def test_other_misuse_is_named():
    with pytest.raises(DTypeError, match="StepLR: the optimizer is list; expected an Optimizer"):
        lr_scheduler.StepLR([], 3)
    schedule = make("OneCycleLR", max_lr=1.0, total_steps=11)
    for _ in range(11):
        schedule.step()
    with pytest.raises(DataError, match="step 12 lies past the end of the cycle; total_steps is 11"):
        schedule.step()
    with pytest.raises(NotImplementedError, match=r"LRScheduler has no factor; define `def factor\(self, step\)"):
        lr_scheduler.LRScheduler(optim.SGD([nn.Parameter(danlu.ones(1))]))


def sgd(lr=1.0, **options):
    return optim.SGD([nn.Parameter(danlu.ones(1))], lr=lr, **options)


def test_messages_of_schedules_of_schedules():
    optimizer = sgd()
    parts = [lr_scheduler.ConstantLR(optimizer), lr_scheduler.ExponentialLR(optimizer, 0.5)]
    with pytest.raises(DataError, match="SequentialLR: got 2 milestones for 2 schedules; expected one less"):
        lr_scheduler.SequentialLR(optimizer, parts, [1, 2])
    with pytest.raises(DataError, match="SequentialLR: ConstantLR belongs to another optimizer"):
        lr_scheduler.SequentialLR(sgd(), parts, [1])
    with pytest.raises(DTypeError, match="one of the schedules is ReduceLROnPlateau; expected schedules that need no metric"):
        lr_scheduler.ChainedScheduler([parts[0], lr_scheduler.ReduceLROnPlateau(optimizer)])
    with pytest.raises(DataError, match="ChainedScheduler: got no schedules; expected at least one"):
        lr_scheduler.ChainedScheduler([])
    with pytest.raises(DataError, match="WarmUpLR: steps is 0; expected an integer ≥ 1"):
        lr_scheduler.WarmUpLR(parts[0], 0)
    with pytest.raises(DTypeError, match="WarmUpLR: after is SGD; expected a schedule"):
        lr_scheduler.WarmUpLR(optimizer, 3)
    with pytest.raises(DTypeError, match="ReduceLROnPlateau: the optimizer is int; expected an Optimizer"):
        lr_scheduler.ReduceLROnPlateau(3)
    with pytest.raises(
        DataError, match="CyclicLR: cycle_momentum is True, but Rprop has neither momentum nor betas; write cycle_m"
    ):
        lr_scheduler.CyclicLR(optim.Rprop([nn.Parameter(danlu.ones(1))]), 0.1, 1.0)
    with pytest.raises(DataError, match="scale_lr: base_batch_size is 0; expected an integer ≥ 1"):
        lr_scheduler.scale_lr(0.1, 32, 0)


def several(module, optimizer, kind):
    """Schedules that share an optimizer: by hand, chained, one after another, nested."""
    find = module.lr_scheduler
    parts = [find.LinearLR(optimizer, 0.1, 1.0, 7), find.CosineAnnealingLR(optimizer, 70, 0.01), find.StepLR(optimizer, 4, 0.7)]
    if kind == "chained":
        return [find.ChainedScheduler(parts)]
    if kind == "sequence":
        return [find.SequentialLR(optimizer, parts, [5, 20])]
    if kind == "nested":
        return [find.SequentialLR(optimizer, [parts[0], find.ChainedScheduler(parts[1:])], [100])]
    return parts


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["by hand", "chained", "sequence", "nested"])
def test_schedules_that_share_an_optimizer_are_those_of_pytorch(kind):
    torch = pytest.importorskip("torch")
    their = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.5)
    ours, theirs = (optimizer := sgd(0.5)), their
    schedules, their_schedules = several(optim, optimizer, kind), several(torch.optim, their, kind)
    for step in range(60):
        assert ours.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-9), step
        theirs.step()
        for s in (*schedules, *their_schedules):
            s.step()
        if step == 33:
            ours.param_groups[0]["lr"] *= 0.5
            theirs.param_groups[0]["lr"] *= 0.5


def test_what_others_do_to_a_rate_is_kept():
    optimizer = sgd(1.0)
    halves, steps = lr_scheduler.ExponentialLR(optimizer, 0.5), lr_scheduler.StepLR(optimizer, 2, 0.1)
    found = []
    for _ in range(4):
        halves.step()
        steps.step()
        found.append(optimizer.param_groups[0]["lr"])
    assert found == pytest.approx([0.5, 0.025, 0.0125, 0.000625])
    optimizer.param_groups[0]["lr"] = 8.0
    halves.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(4.0)


@pytest.mark.parametrize("kind", ["chained", "sequence", "nested"])
def test_state_of_several_goes_round(kind):
    first, second = sgd(0.5), sgd(0.5)
    (schedule,), (fresh,) = several(optim, first, kind), several(optim, second, kind)
    for _ in range(9):
        schedule.step()
    fresh.load_state_dict(schedule.state_dict())
    for _ in range(20):
        assert first.param_groups[0]["lr"] == pytest.approx(second.param_groups[0]["lr"], rel=1e-12)
        schedule.step()
        fresh.step()


@pytest.mark.oracle
@pytest.mark.parametrize(
    "name", ["StepLR", "MultiStepLR", "CosineAnnealingLR", "MultiplicativeLR", "CosineAnnealingWarmRestarts"]
)
def test_a_state_of_pytorch_is_taken_over(name):
    torch = pytest.importorskip("torch")
    theirs = make(name, torch.optim, [torch.nn.Parameter(torch.ones(1)) for _ in range(2)])
    rates(theirs, 4)
    ours = make(name)
    ours.load_state_dict(theirs.state_dict())
    for own, their in zip(ours.optimizer.param_groups, theirs.optimizer.param_groups):
        own["lr"] = their["lr"]
    for a, b in zip(rates(ours, 9)[1:], rates(theirs, 9)[1:]):
        assert a == pytest.approx(b, rel=1e-9)


def test_warm_up_and_scaling():
    optimizer = sgd(lr_scheduler.scale_lr(0.1, 512, 128))
    schedule = lr_scheduler.WarmUpLR(lr_scheduler.StepLR(optimizer, 2, 0.5), steps=4)
    found = []
    for _ in range(8):
        found += schedule.get_last_lr()
        schedule.step()
    assert found == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.2, 0.2])
    assert lr_scheduler.WarmUpLR(lr_scheduler.StepLR(sgd(0.4), 2), steps=1).get_last_lr() == [0.4]


def test_decays_follow_their_formulas():
    for name, formula in (("InverseTimeLR", lambda t: 1 / (1 + 0.5 * t)), ("NaturalExponentialLR", lambda t: exp(-0.1 * t))):
        for step, (low, high) in enumerate(rates(make(name), 20)):
            assert (low, high) == pytest.approx((0.1 * formula(step), 0.4 * formula(step)))


def test_plateau_waits_cools_down_and_stops_at_the_least():
    schedule = lr_scheduler.ReduceLROnPlateau(sgd(), "max", 0.5, patience=0, cooldown=1, min_lr=0.2, threshold=0.0)
    found = []
    for metric in (1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0):
        schedule.step(danlu.tensor(metric))
        found += schedule.get_last_lr()
    assert found == [1.0, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2]
    fresh = lr_scheduler.ReduceLROnPlateau(sgd())
    fresh.load_state_dict(schedule.state_dict())
    assert (fresh.best, fresh.last_epoch, fresh.patience) == (2.0, 9, 0)
    nan = lr_scheduler.ReduceLROnPlateau(sgd(), patience=0)
    nan.step(float("nan"))
    assert nan.get_last_lr() == [0.1]


def test_a_rate_that_is_a_tensor_keeps_its_memory():
    lr = danlu.tensor(1.0)
    optimizer = sgd(lr)
    schedule = lr_scheduler.StepLR(optimizer, 1, 0.5)
    for _ in range(3):
        schedule.step()
    assert optimizer.param_groups[0]["lr"] is lr and lr.item() == 0.125 and schedule.get_last_lr() == [0.125]


def test_steps_to_a_given_epoch():
    schedule = lr_scheduler.CosineAnnealingWarmRestarts(sgd(), T_0=4)
    for epoch in (0.5, 4.0, 6.0, 7.5):
        schedule.step(epoch)
        assert schedule.get_last_lr()[0] == pytest.approx((1 + cos(pi * (epoch % 4) / 4)) / 2)
    schedule = lr_scheduler.ExponentialLR(sgd(), 0.5)
    schedule.step(3)
    assert schedule.get_last_lr() == [0.125]


def test_a_subclass_in_the_manner_of_pytorch():
    class Doubling(lr_scheduler.LRScheduler):
        def get_lr(self):
            return [base * 2**self.last_epoch for base in self.base_lrs]

    schedule = Doubling(sgd())
    schedule.step()
    assert schedule.get_last_lr() == [2.0]


def test_a_resumed_schedule_goes_on():
    whole = lr_scheduler.ExponentialLR(sgd(), 0.5)
    for _ in range(3):
        whole.step()
    optimizer = sgd()
    optimizer.load_state_dict(whole.optimizer.state_dict())
    again = lr_scheduler.ExponentialLR(optimizer, 0.5, last_epoch=whole.last_epoch - 1)
    assert again.get_last_lr() == whole.get_last_lr() == [0.125] and again.last_epoch == whole.last_epoch
    whole.step(), again.step()
    assert again.get_last_lr() == whole.get_last_lr() == [0.0625]


def test_a_scale_of_ones_own():
    schedule = lr_scheduler.CyclicLR(sgd(momentum=0.5), 0.0, 1.0, 1, scale_fn=lambda cycle: 1 / cycle)
    found = []
    for _ in range(6):
        found += schedule.get_last_lr()
        schedule.step()
    assert found == [0.0, 1.0, 0.0, 0.5, 0.0, pytest.approx(1 / 3)]
    assert "scale_fn" not in schedule.state_dict()


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["CyclicLR", "OneCycleLR"])
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_cycles_that_are_resumed_are_those_of_pytorch(name, kind):
    """Also what they write into the groups, which a state of the optimizer carries on."""
    torch = pytest.importorskip("torch")
    found = []
    for module, parameter in (
        (optim, lambda: nn.Parameter(danlu.ones(1))),
        (torch.optim, lambda: torch.nn.Parameter(torch.ones(1))),
    ):
        more = {"momentum": 0.5} if kind == "SGD" else {}
        options = SCHEDULES[name] | {key: 0.7 for key in ("base_lr", "max_lr") if key in SCHEDULES[name]}
        first, second = (getattr(module, kind)([parameter()], lr=0.3, **more) for _ in range(2))
        whole = getattr(module.lr_scheduler, name)(first, **options | {"max_lr": 0.9})
        run = rates(whole, 9)
        second.load_state_dict(first.state_dict())
        again = getattr(module.lr_scheduler, name)(second, **options, last_epoch=whole.last_epoch)
        run += rates(again, 30)
        group = {
            k: v for k, v in second.state_dict()["param_groups"][0].items() if k.split("_")[-1] in ("lr", "momentum", "betas")
        }
        found.append((run, group))
    (ours, group), (theirs, their_group) = found
    for a, b in zip(ours, theirs):
        assert a == pytest.approx(b, rel=1e-9)
    assert group == {k: pytest.approx(v, rel=1e-9) for k, v in their_group.items()}


def test_a_cycle_cannot_go_on_without_what_it_wrote():
    optimizer = sgd(momentum=0.9)
    with pytest.raises(KeyError, match="OneCycleLR: last_epoch is 3, but the groups of the optimizer have no initial_lr; load"):
        lr_scheduler.OneCycleLR(optimizer, 1.0, 10, last_epoch=3)
    optimizer.param_groups[0]["initial_lr"] = 0.1
    with pytest.raises(DataError, match="OneCycleLR: last_epoch is 3, but the groups of the optimizer have no max_lr; load"):
        lr_scheduler.OneCycleLR(optimizer, 1.0, 10, last_epoch=3)
