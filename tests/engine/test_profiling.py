"""`danlu.profile`: kernels with their work, their lines and their time."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

import danlu
from danlu import nn, optim
from danlu.config import config


@pytest.fixture(scope="module")
def measured():
    danlu.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 8))
    optimizer = optim.Adam(net.parameters(), lr=1e-3)
    rng = np.random.default_rng(0)
    x, y = danlu.from_numpy(rng.standard_normal((128, 64)).astype(np.float32)), danlu.from_numpy(rng.integers(0, 8, 128))

    def step():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return danlu.profile(step, repeat=5), step


def test_work_is_counted(measured):
    profile, _ = measured
    products = sorted(r.label.flops for r in profile.rows if "contract" in r.label.ops)
    sizes = [2 * 128 * 64 * 32, 2 * 128 * 64 * 32, *[2 * 128 * 32 * 8] * 3]  # forward, weight gradients, and one input gradient
    assert len(products) == 5
    for found, least in zip(products, sorted(sizes)):
        assert least <= found < least + 20 * 128 * 32  # and what is done with the result of each element
    assert all(r.label.nbytes > 0 and r.seconds > 0 for r in profile.rows)


def test_lines_are_the_users(measured):
    profile, _ = measured
    told = str(profile)
    assert "loss = nn.functional.cross_entropy(net(x), y)" in told
    assert "optimizer.step()" in told
    assert {line[0] for r in profile.rows for line in r.label.lines} == {__file__}


def test_times_add_up(measured):
    profile, _ = measured
    assert sum(r.seconds for r in profile.rows) + profile.python == pytest.approx(profile.seconds, rel=0.2)
    assert [r.seconds for r in profile.rows] == sorted((r.seconds for r in profile.rows), reverse=True)
    assert profile.peak > 0 and profile.bandwidth > 0


def test_a_trace_for_the_browser(measured, tmp_path):
    profile, _ = measured
    profile.save(tmp_path / "step.json")
    events = json.loads((tmp_path / "step.json").read_text())["traceEvents"]
    assert len(events) == len(profile.rows)
    assert all(b["ts"] >= a["ts"] + a["dur"] - 1e-6 for a, b in pairwise(events))
    with pytest.raises(danlu.DataError, match=r"does not end in \.json; write profile\.save\('step\.json'\)"):
        profile.save(tmp_path / "step.txt")


def test_results_are_the_same_and_nothing_stays(measured):
    f = danlu.compile(lambda: (danlu.arange(6.0).reshape(2, 3) @ danlu.ones(3, 2)).sum(0))
    danlu.profile(f, repeat=1)
    assert f().tolist() == [15.0, 15.0]
    assert not config.profile
    assert not danlu.programs.profiled()


def test_refusals():
    with pytest.raises(danlu.DataError, match=r"profile: repeat=0, DANLU_OPT=1; expected 1 or more, and compiled code"):
        danlu.profile(lambda: None, repeat=0)


def test_a_transposed_product_is_one_kernel():
    x, y = danlu.ones(64, 16), danlu.ones(16, 32)
    profile = danlu.profile(lambda: (x @ y).T.contiguous(), repeat=1)
    assert [r.label.ops for r in profile.rows] == [("contract",)]
    z = x @ y
    both = danlu.profile(lambda: ((x @ y), (x @ y).T.contiguous()), repeat=1)
    assert sum("contract" in r.label.ops for r in both.rows) == 1  # read twice: computed once
    np.testing.assert_array_equal((x @ y).T.contiguous().numpy(), z.numpy().T)


def test_memory_by_kind_and_line():
    net = nn.Linear(512, 512)
    optimizer = optim.Adam(net.parameters())
    x = danlu.ones(1024, 512)

    def step():
        optimizer.zero_grad()
        hidden = net(x)
        loss = hidden.square().mean()
        loss.backward()
        optimizer.step()
        return hidden

    before = danlu.memory_summary().kinds
    found = danlu.memory_summary(step)
    one = 4 * (512 * 512 + 512)
    assert found.kinds["parameters"] >= one and found.kinds["gradients"] >= one
    assert found.kinds["optimizer"] - before["optimizer"] == 2 * one
    largest, size = found.lines[0]
    assert "optimizer.step()" in str(found) and "hidden = net(x)" in str(found)
    assert largest[0] == __file__ and size >= 3 * one
    history = net(x).square().sum()
    history.item()
    kept = danlu.memory_summary().kinds["activations"] - found.kinds["activations"]
    assert kept >= 4 * 1024 * 512  # what the square needs for its derivative
    del history
