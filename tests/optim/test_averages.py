"""Averaged models: the mean and the moving average by hand, buffers, running statistics, SWALR; PyTorch's (marked `oracle`)."""

from __future__ import annotations

import numpy as np
import pytest

import danlu
from danlu import nn, optim
from danlu.errors import DataError
from danlu.optim import swa_utils

VALUES = [1.0, 3.0, -2.0, 6.0]


def averaged(values=VALUES, **options):
    """The averaged weight after a model had each value."""
    model = nn.Linear(2, 1, bias=False)
    average = swa_utils.AveragedModel(model, **options)
    for value in values:
        with danlu.no_grad():
            model.weight.fill_(value)
        average.update_parameters(model)
    assert int(average.n_averaged) == len(values)
    return average.module.weight.detach().numpy().ravel()[0]


def ema(decay):
    value = VALUES[0]
    for x in VALUES[1:]:
        value = decay * value + (1 - decay) * x
    return value


def test_the_mean_and_the_moving_average():
    assert averaged() == pytest.approx(np.mean(VALUES))
    assert averaged(avg_fn=swa_utils.get_swa_avg_fn()) == pytest.approx(np.mean(VALUES))
    assert averaged(multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.7)) == pytest.approx(ema(0.7))
    assert averaged(avg_fn=swa_utils.get_ema_avg_fn(0.7)) == pytest.approx(ema(0.7))


@pytest.mark.parametrize("use_buffers", [False, True])
def test_buffers_are_copied_or_averaged(use_buffers):
    model = nn.BatchNorm1d(1)
    average = swa_utils.AveragedModel(model, use_buffers=use_buffers)
    for value in (2.0, 4.0):
        model.running_mean.fill_(value)
        model.num_batches_tracked.fill_(int(value))
        average.update_parameters(model)
    assert average.module.running_mean.item() == (3.0 if use_buffers else 4.0)
    assert average.module.num_batches_tracked.item() == 4


def test_the_model_and_its_average_are_apart():
    model = nn.Linear(2, 2)
    average = swa_utils.AveragedModel(model)
    assert set(average.state_dict()) == {"n_averaged", "module.weight", "module.bias"}
    with danlu.no_grad():
        model.weight.fill_(7.0)
    assert not (average.module.weight == 7).any().item()


def test_running_statistics_anew():
    batches = [np.random.default_rng(k).normal(k, 2, size=(16, 3)).astype(np.float32) for k in range(4)]
    model = nn.Sequential(nn.BatchNorm1d(3, momentum=0.3), nn.Linear(3, 1)).eval()
    swa_utils.update_bn([(danlu.tensor(b), None) for b in batches], model)
    np.testing.assert_allclose(model[0].running_mean.numpy(), np.mean([b.mean(0) for b in batches], 0), rtol=1e-5)
    np.testing.assert_allclose(model[0].running_var.numpy(), np.mean([b.var(0, ddof=1) for b in batches], 0), rtol=1e-5)
    assert model[0].momentum == 0.3 and not model.training
    swa_utils.update_bn([], nn.Linear(1, 1))  # nothing to do


def test_messages():
    with pytest.raises(DataError, match="AveragedModel: got avg_fn and multi_avg_fn; expected one of the two"):
        averaged(avg_fn=swa_utils.get_swa_avg_fn(), multi_avg_fn=swa_utils.get_swa_multi_avg_fn())
    with pytest.raises(DataError, match="EMA: decay is 2; expected a number from 0 to 1"):
        swa_utils.get_ema_multi_avg_fn(2)
    optimizer = optim.SGD([nn.Parameter(danlu.ones(1))], lr=1.0)
    with pytest.raises(DataError, match="SWALR: anneal_strategy is 'exp'; expected 'cos' or 'linear'"):
        swa_utils.SWALR(optimizer, 0.1, anneal_strategy="exp")
    with pytest.raises(DataError, match="SWALR: anneal_epochs is -1; expected an integer ≥ 0"):
        swa_utils.SWALR(optimizer, 0.1, anneal_epochs=-1)


def play(module, parameter, swa, options):
    """A schedule first, then SWALR: the usual script."""
    optimizer = module.SGD([parameter], lr=1.0)
    first, second = module.lr_scheduler.ExponentialLR(optimizer, 0.9), swa.SWALR(optimizer, 0.05, **options)
    found = []
    for step in range(20):
        optimizer.step()
        (first if step < 6 else second).step()
        found.append(optimizer.param_groups[0]["lr"])
    return found


def test_swalr_begins_where_the_other_schedule_ended():
    found = play(optim, nn.Parameter(danlu.ones(1)), swa_utils, {"anneal_epochs": 4, "anneal_strategy": "linear"})
    start = 0.9**6
    assert found[5] == pytest.approx(start) and found[-1] == pytest.approx(0.05)
    assert found[6:10] == pytest.approx([start + (0.05 - start) * t / 4 for t in range(1, 5)])


@pytest.mark.oracle
@pytest.mark.parametrize("options", [{}, {"anneal_epochs": 5, "anneal_strategy": "linear"}, {"anneal_epochs": 0}])
def test_swalr_of_pytorch(options):
    torch = pytest.importorskip("torch")
    theirs = play(torch.optim, torch.nn.Parameter(torch.ones(1)), torch.optim.swa_utils, options)
    assert play(optim, nn.Parameter(danlu.ones(1)), swa_utils, options) == pytest.approx(theirs, rel=1e-9)
