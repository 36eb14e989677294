"""Hooks, names and options of optimizers that PyTorch's scripts use, and schedules that begin at a later step."""

from __future__ import annotations

import pytest

import danlu
from danlu import nn, optim


def test_hooks_of_an_optimizer():
    p, seen = nn.Parameter(danlu.ones(1)), []
    optimizer = optim.SGD([p], lr=1.0)
    handle = optimizer.register_step_pre_hook(lambda o, args, named: seen.append("before"))
    optimizer.register_step_post_hook(lambda o, args, named: seen.append(p.item()))
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("save"))
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "more": 1})
    optimizer.register_load_state_dict_pre_hook(lambda o, state: seen.append(state["more"]))
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append("loaded"))
    p.sum().backward()
    optimizer.step()
    handle.remove()
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
    assert seen == ["before", 0.0, -1.0, "save", 1, "loaded"]


def test_a_handle_removes_its_own_hook_alone():
    optimizer, seen = optim.SGD([nn.Parameter(danlu.ones(1))], lr=1.0), []
    first = optimizer.register_state_dict_pre_hook(lambda o: seen.append("first"))
    first.remove()
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("second"))
    first.remove()
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("before"), prepend=True)
    optimizer.state_dict()
    assert seen == ["before", "second"]


def test_hooks_that_come_in_the_middle_are_called():
    """Steps that are alike are taken again without looking at more than they depend on."""
    x, w = danlu.ones(4, 3), nn.Parameter(danlu.ones(3))
    optimizer, seen = optim.Adam([w]), []

    def step():
        optimizer.zero_grad()
        (x @ w).sum().backward()
        optimizer.step()

    for _ in range(5):
        step()
    handle = optimizer.register_step_post_hook(lambda o, args, named: seen.append(o.state[w]["step"]))
    step()
    handle.remove()
    step()
    assert [int(n) for n in seen] == [6]


def test_parameters_with_their_names():
    model = nn.Linear(2, 1)
    optimizer = optim.AdamW(model.named_parameters(), lr=0.1)
    assert (
        optimizer.param_groups[0]["param_names"] == ["weight", "bias"] == optimizer.state_dict()["param_groups"][0]["param_names"]
    )
    model(danlu.ones(1, 2)).sum().backward()
    optimizer.step()
    assert optimizer.param_groups[0]["params"][0] is model.weight and len(optimizer.state) == 2


def test_what_pytorch_says_of_its_kernels_is_taken():
    p = nn.Parameter(danlu.ones(1))
    optim.SGD([p], lr=1.0, foreach=True, fused=True, differentiable=False)
    for kind in (optim.Adam, optim.AdamW):
        kind([p], foreach=False, fused=None, capturable=True, differentiable=False)
    with pytest.raises(ValueError, match="can't optimize a non-leaf Tensor"):
        optim.SGD([p * 1], lr=1.0)


@pytest.mark.parametrize(
    ("make", "rates"),
    [
        (lambda o: optim.lr_scheduler.ExponentialLR(o, 0.9, last_epoch=3), [0.5, 0.45, 0.405]),
        (lambda o: optim.lr_scheduler.CosineAnnealingLR(o, 10, last_epoch=3), [0.5, 0.381966, 0.263932]),
        (lambda o: optim.lr_scheduler.LinearLR(o, last_epoch=3), [0.5, 0.576923, 0.576923]),
        (lambda o: optim.lr_scheduler.MultiplicativeLR(o, lambda step: 0.9, last_epoch=3), [0.5, 0.45, 0.405]),
        (lambda o: optim.lr_scheduler.PolynomialLR(o, last_epoch=3), [0.5, 0.0, 0.0]),
    ],
)
def test_a_schedule_that_begins_later_leaves_the_rate_that_it_finds(make, rates):
    """The numbers are those of PyTorch 2.13."""
    optimizer = optim.SGD([{"params": [nn.Parameter(danlu.ones(1))], "lr": 0.5, "initial_lr": 1.0}], lr=0.5)
    schedule = make(optimizer)
    found = schedule.get_last_lr()
    for _ in range(2):
        schedule.step()
        found += schedule.get_last_lr()
    assert found == pytest.approx(rates, abs=1e-6) and schedule._step_count == 3 and schedule.last_epoch == 6


def test_the_old_name_of_the_base():
    class Half(optim.lr_scheduler._LRScheduler):
        def get_lr(self):
            return [rate / (1 + self.last_epoch) for rate in self.base_lrs]

    schedule = Half(optim.SGD([nn.Parameter(danlu.ones(1))], lr=1.0))
    schedule.step()
    assert schedule.get_last_lr() == [0.5]
