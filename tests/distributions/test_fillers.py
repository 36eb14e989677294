"""Tensors filled in place with random numbers: distributed as they say, refused where they cannot be."""

from __future__ import annotations

import math

import numpy as np
import pytest

import danlu

stats = pytest.importorskip("scipy.stats", reason="SciPy comes with scikit-learn, in the extra [test]")
N = 20_000
LEAST = 1e-3

FILLED = [
    ("exponential_", (), stats.expon()),
    ("exponential_", (2.5,), stats.expon(scale=0.4)),
    ("cauchy_", (), stats.cauchy()),
    ("cauchy_", (1.0, 3.0), stats.cauchy(1, 3)),
    ("log_normal_", (), stats.lognorm(2, scale=math.e)),
    ("log_normal_", (0.5, 0.3), stats.lognorm(0.3, scale=math.exp(0.5))),
]


@pytest.mark.parametrize("name, arguments, reference", FILLED, ids=lambda x: str(x)[:16])
@pytest.mark.parametrize("dtype", [danlu.float32, danlu.float64], ids=lambda t: t.name)
def test_continuous(name, arguments, reference, dtype):
    x = danlu.empty(N, dtype=dtype)
    assert getattr(x, name)(*arguments) is x and x.dtype is dtype
    assert stats.kstest(x.double().numpy(), reference.cdf).pvalue > LEAST


@pytest.mark.parametrize("dtype", [danlu.float32, danlu.int64], ids=lambda t: t.name)
def test_geometric(dtype):
    x = danlu.empty(N, dtype=dtype).geometric_(0.3).clamp(max=12).numpy().astype(int)
    chances = np.append(stats.geom(0.3).pmf(np.arange(1, 12)), stats.geom(0.3).sf(11))
    assert stats.chisquare(np.bincount(x, minlength=13)[1:], chances * N).pvalue > LEAST


@pytest.mark.parametrize("arguments, low, high", [((7,), 0, 7), ((-3, 4), -3, 4)], ids=str)
@pytest.mark.parametrize("dtype", [danlu.float32, danlu.int8, danlu.int64], ids=lambda t: t.name)
def test_random(arguments, low, high, dtype):
    x = danlu.empty(N, dtype=dtype).random_(*arguments).numpy().astype(int)
    counts = np.bincount(x - low, minlength=high - low)
    assert len(counts) == high - low and stats.chisquare(counts).pvalue > LEAST
    assert danlu.equal(danlu.empty(4).random_(2, to=3), danlu.full((4,), 2.0))


@pytest.mark.parametrize("name, top", [("bool", 2), ("uint8", 2**8), ("int8", 2**7), ("int32", 2**31), ("int64", 2**63),
                                       ("float16", 2**11), ("float32", 2**24), ("float64", 2**53)])  # fmt: skip
def test_random_over_all_of_a_dtype(name, top):
    x = danlu.empty(N, dtype=getattr(danlu, name)).random_().numpy().astype(np.float64)
    assert x.min() >= 0 and x.max() < top and (x == np.floor(x)).all()
    assert stats.chisquare(np.histogram(x / top, min(top, 16), (0, 1))[0]).pvalue > LEAST


def test_fillers_draw_from_their_generator_and_fill_views():
    a, b = (danlu.empty(5).exponential_(generator=danlu.Generator().manual_seed(3)) for _ in range(2))
    assert danlu.equal(a, b)
    x = danlu.zeros(3, 2)
    x[1].log_normal_()
    assert (x[1] > 0).all().item() and x[::2].abs().sum().item() == 0


REFUSED = [
    (lambda x: x.exponential_(0.0), "exponential_: lambd=0.0; expected a rate above 0"),
    (lambda x: x.geometric_(1.0), "geometric_: p=1.0; expected a probability between 0 and 1, both excluded"),
    (lambda x: x.cauchy_(0.0, -1.0), "cauchy_: sigma=-1.0; expected a width above 0"),
    (lambda x: x.log_normal_(0.0, 0.0), "log_normal_: std=0.0; expected a standard deviation above 0"),
    (lambda x: x.random_(3, 3), "random_: from 3 to 3; expected random_(), random_(to) or random_(from, to) with from < to"),
    (lambda x: x.random_(0, 1, 2), "random_: from 0 to 1; expected random_(), random_(to) or random_(from, to) with from < to"),
    (
        lambda x: x.random_(2**40),
        f"random_: from 0 to {2**40}; expected at most 2**32 numbers, or random_() for all of the dtype",
    ),
]


@pytest.mark.parametrize("call, message", REFUSED, ids=[m.partition(";")[0] for _, m in REFUSED])
def test_refusals(call, message):
    with pytest.raises(danlu.DataError) as error:
        call(danlu.empty(2))
    assert str(error.value) == message


@pytest.mark.parametrize("name", ["exponential_", "cauchy_", "log_normal_"])
def test_integers_take_whole_numbers_alone(name):
    with pytest.raises(danlu.DTypeError, match=rf"^{name} on a tensor of dtype int64; expected a floating dtype"):
        getattr(danlu.zeros(2, dtype=danlu.int64), name)()
