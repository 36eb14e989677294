"""detect_anomaly names the operation and the line."""

from __future__ import annotations

import inspect

import pytest

import danlu
from danlu.autograd import detect_anomaly, is_anomaly_enabled, set_detect_anomaly


def here() -> int:
    return inspect.currentframe().f_back.f_lineno


def test_the_line_is_named():
    x = danlu.tensor([4.0, 0.0], requires_grad=True)
    with detect_anomaly():
        y = x * 2
        z, line = y.sqrt(), here()
        loss = (z * danlu.tensor([1.0, 0.0])).sum()
        with pytest.raises(danlu.NumericError) as caught:
            loss.backward()
    assert "the derivative of sqrt gave nan for its input 0" in str(caught.value)
    assert f'test_anomaly.py", line {line}\n    z, line = y.sqrt(), here()' in str(caught.value)
    assert "In the forward pass" not in str(caught.value)


def test_the_forward_pass_is_named_too():
    x = danlu.tensor([-1.0, 1.0], requires_grad=True)
    with detect_anomaly():
        y, line = x.log(), here()
        with pytest.raises(danlu.NumericError, match=f"(?s)derivative of mul.*the first whose result has nan.*line {line}"):
            (y * y).sum().backward()


def test_good_numbers_pass():
    x = danlu.tensor([2.0], requires_grad=True)
    with detect_anomaly():
        assert is_anomaly_enabled()
        x.log().sum().backward()
    assert x.grad.tolist() == [0.5] and not is_anomaly_enabled()


def test_recorded_outside():
    x = danlu.tensor([0.0], requires_grad=True)
    loss = (x.sqrt() * 0).sum()
    with detect_anomaly(), pytest.raises(danlu.NumericError, match="recorded outside detect_anomaly"):
        loss.backward()


def test_the_switch():
    x = danlu.tensor([0.0], requires_grad=True)
    set_detect_anomaly(True)
    try:
        with pytest.raises(danlu.NumericError, match="sqrt"):
            (x.sqrt() * 0).sum().backward()
        with set_detect_anomaly(False):
            assert not is_anomaly_enabled()
        assert is_anomaly_enabled()
    finally:
        set_detect_anomaly(False)
    (x.sqrt() * 0).sum().backward()
    assert not is_anomaly_enabled()


def test_the_line_inside_a_module_is_named_also_where_values_were_read():
    class Net(danlu.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = danlu.nn.Parameter(danlu.ones(2))
            self.first_line = 0

        def forward(self, x):
            h = self.scale * x
            h, self.first_line = h.sqrt(), here()
            return h * 0

    net = Net()
    with detect_anomaly():
        y = net(danlu.zeros(2))
        assert y.tolist() == [0.0, 0.0]  # a program runs between the passes
        with pytest.raises(danlu.NumericError, match="the derivative of sqrt gave nan") as caught:
            y.sum().backward()
    assert f'test_anomaly.py", line {net.first_line}\n' in str(caught.value)
