"""Numbers beyond an unsigned dtype wrap, as PyTorch's do: -1 beside a uint8 tensor is 255."""

from __future__ import annotations

import pytest

import danlu
from danlu.config import config

CASES = [
    (lambda x: x * -1, [0, 255, 254, 253]),
    (lambda x: x + 300, [44, 45, 46, 47]),
    (lambda x: x.masked_fill(x > 1, -1), [0, 1, 255, 255]),
    (lambda x: danlu.where(x > 1, x, -1), [255, 255, 2, 3]),
    (lambda x: x.index_add(0, danlu.tensor([0]), danlu.ones(1, dtype=danlu.uint8), alpha=-1), [255, 1, 2, 3]),
    (lambda x: danlu.full_like(x, -1), [255] * 4),
    (lambda x: x == -1, [False] * 4),
]


@pytest.mark.parametrize("optimize", [True, False], ids=["compiled", "references"])
@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_number_wraps(number, optimize, monkeypatch):
    monkeypatch.setattr(config, "optimize", optimize)
    function, wanted = CASES[number]
    assert function(danlu.arange(4, dtype=danlu.uint8)).tolist() == wanted
