"""Random tensors: reproducible on any number of threads, and distributed as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest

import danlu

N = 20_000


def kolmogorov(sample: np.ndarray, cdf) -> float:
    """√n · sup |F_n - F|; above 1.95 with probability 0.001 (Kolmogorov's distribution)."""
    x = np.sort(sample.astype(np.float64))
    n = len(x)
    f = cdf(x)
    return math.sqrt(n) * max(np.max(np.arange(1, n + 1) / n - f), np.max(f - np.arange(n) / n))


def normal_cdf(x):
    return np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x])


def everything():
    danlu.manual_seed(11)
    p = danlu.full((500,), 0.3)
    draws = [danlu.rand(3, 50_000), danlu.randn(70_001), danlu.randint(0, 10, (999,)), danlu.randperm(100), danlu.bernoulli(p)]
    draws += [danlu.empty(64).uniform_(-1, 1), danlu.empty(64).normal_(2, 3), danlu.normal(1.0, 2.0, (5,))]
    return [x.numpy().copy() for x in draws]


def test_the_same_numbers_on_any_number_of_threads():
    before = danlu.get_num_threads()
    try:
        danlu.set_num_threads(1)
        one = everything()
        danlu.set_num_threads(4)
        four = everything()
    finally:
        danlu.set_num_threads(before)
    for a, b in zip(one, four):
        np.testing.assert_array_equal(a, b)


def test_uniform():
    x = danlu.rand(N).numpy()
    assert x.min() >= 0 and x.max() < 1
    assert kolmogorov(x, lambda v: v) < 1.95


def test_normal():
    x = danlu.randn(N).numpy()
    assert kolmogorov(x, normal_cdf) < 1.95
    assert abs((x**4).mean() - 3) < 0.3  # the kurtosis; its standard deviation is √(96/n) = 0.07
    y = danlu.normal(5.0, 0.5, (N,)).numpy()
    assert kolmogorov((y - 5) / 0.5, normal_cdf) < 1.95


def test_integers():
    x = danlu.randint(-2, 5, (N,)).numpy()
    counts = np.bincount(x + 2, minlength=7)
    assert (x.dtype, len(counts)) == (np.int64, 7)
    assert ((counts - N / 7) ** 2 / (N / 7)).sum() < 22.5  # χ² with 6 degrees of freedom: 0.001
    assert danlu.randint(3, (2, 2), dtype=danlu.int32).dtype is danlu.int32


def test_permutations():
    x = danlu.randperm(200)
    assert sorted(x.tolist()) == list(range(200))
    firsts = np.bincount([danlu.randperm(4)[0].item() for _ in range(400)], minlength=4)
    assert ((firsts - 100) ** 2 / 100).sum() < 16.3  # χ² with 3 degrees of freedom: 0.001


def test_bernoulli():
    x = danlu.bernoulli(danlu.full((N,), 0.2)).numpy()
    assert set(np.unique(x)) == {0.0, 1.0}
    assert abs(x.mean() - 0.2) < 3.3 * math.sqrt(0.16 / N)
    y = danlu.zeros(N).bernoulli_(0.7)
    assert abs(y.mean().item() - 0.7) < 3.3 * math.sqrt(0.21 / N)


def test_successive_draws_are_unrelated():
    x, y = danlu.randn(N).numpy(), danlu.randn(N).numpy()
    assert abs(np.corrcoef(x, y)[0, 1]) < 3.3 / math.sqrt(N)
    assert abs(np.corrcoef(x[1:], x[:-1])[0, 1]) < 3.3 / math.sqrt(N)


def test_a_generator_is_independent_of_the_default_one():
    first, second = danlu.Generator().manual_seed(3), danlu.Generator().manual_seed(3)
    a = danlu.rand(4, generator=first)
    danlu.rand(100)
    assert danlu.equal(a, danlu.rand(4, generator=second))
    assert not danlu.equal(danlu.rand(4, generator=first), a)
    assert first.initial_seed() == 3


def test_the_state_can_be_saved_and_set():
    danlu.rand(3)
    state = danlu.random.get_state()
    first = [danlu.randn(5), danlu.randperm(10), danlu.rand(2)]
    danlu.random.set_state(state)
    again = [danlu.randn(5), danlu.randperm(10), danlu.rand(2)]
    assert all(danlu.equal(a, b) for a, b in zip(first, again))
    assert all(type(v) is int for v in state.values())


def test_like_another_tensor():
    x = danlu.zeros(2, 3, dtype=danlu.float64)
    assert [(t.shape, t.dtype) for t in (danlu.rand_like(x), danlu.randn_like(x))] == [((2, 3), danlu.float64)] * 2


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 1000])
def test_every_size_begins_with_the_same_numbers(size):
    danlu.manual_seed(1)
    long = danlu.rand(1000).tolist()
    danlu.manual_seed(1)
    assert danlu.rand(size).tolist() == long[:size]
