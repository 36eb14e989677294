"""Random numbers: Philox against its published answers, and what is drawn from it against its distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest
from native import native, reference

from danlu import dtype as dt
from danlu.errors import DanluError, DTypeError
from danlu.graph import Spec, toposort
from danlu.ops import TABLE, o

PHILOX = TABLE["philox"]
# counter, key → block: the test vectors published with the reference implementation (Random123, kat_vectors, philox4x32-10)
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def joined(low: int, high: int) -> np.ndarray:
    """Two words as one 64-bit number, in 20 elements: a vector and a tail."""
    return np.full(20, low | high << 32, np.uint64)


@pytest.mark.parametrize(("counter", "key", "block"), KNOWN)
def test_known_answers(counter, key, block):
    arguments = joined(*counter[:2]), joined(*key), joined(*counter[2:])
    for word in range(4):
        assert set(reference(PHILOX, *arguments, word=word)) == {block[word]}
        assert set(native(PHILOX, *arguments, word=word)) == {block[word]}


def test_machine_code_is_exact():
    rng = np.random.default_rng(0)
    arguments = [rng.integers(-(2**63), 2**63, 1000) for _ in range(3)]
    for word in range(4):
        np.testing.assert_array_equal(native(PHILOX, *arguments, word=word), reference(PHILOX, *arguments, word=word))


def draw(name: str, shape: tuple[int, ...], seed: int = 1, counter: int = 2, more: tuple = (), **attrs) -> np.ndarray:
    """The composite's value, op by op through the NumPy references."""
    inputs = [o.number(v, d) for v, d in ((seed, dt.int64), (counter, dt.int64), *more)]
    values: dict[int, np.ndarray] = {}
    root = getattr(o, name)(*inputs, shape=shape, **attrs)
    for node in toposort([root]):
        with np.errstate(all="ignore"):
            values[id(node)] = np.asarray(node.op.numpy(*[values[id(x)] for x in node.inputs], **node.named_attrs))
        assert (values[id(node)].shape, values[id(node)].dtype) == (node.shape, node.dtype.numpy)
    return values[id(root)]


SHAPE = (200, 500)


@pytest.mark.parametrize(("dtype", "digits"), [(dt.float16, 11), (dt.float32, 24), (dt.float64, 53)])
def test_uniform(dtype, digits):
    x = draw("uniform", SHAPE, dtype=dtype)
    assert x.dtype == dtype.numpy
    x = x.astype(np.float64)
    assert x.min() >= 0
    assert x.max() < 1
    assert np.all(x * 2.0**digits == np.floor(x * 2.0**digits))
    assert np.any(x * 2.0 ** (digits - 1) != np.floor(x * 2.0 ** (digits - 1)))
    assert abs(x.mean() - 0.5) < 4 * math.sqrt(1 / 12 / x.size)
    counts = np.histogram(x, 64, (0, 1))[0]
    assert ((counts - x.size / 64) ** 2 / (x.size / 64)).sum() < 120  # χ² of 63 degrees; beyond 120 with probability 2e-5


@pytest.mark.parametrize("dtype", [dt.float16, dt.float32, dt.float64], ids=lambda d: d.name)
def test_normal(dtype):
    x = draw("normal", SHAPE, dtype=dtype)
    assert x.dtype == dtype.numpy
    x = np.sort(x.astype(np.float64).ravel())
    assert abs(x.mean()) < 4 / math.sqrt(x.size)
    assert abs(x.var() - 1) < 4 * math.sqrt(2 / x.size)
    theory = np.asarray([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x])
    distance = np.abs(theory - np.arange(1, x.size + 1) / x.size).max()  # Kolmogorov and Smirnov
    assert distance * math.sqrt(x.size) < 2.2  # with probability 1 - 1e-4
    assert 3.8 < np.abs(x).max() < 6.8


def test_numbers_depend_on_seed_counter_and_place_alone():
    x = draw("uniform", (100,), dtype=dt.float32)
    np.testing.assert_array_equal(draw("uniform", (10, 10), dtype=dt.float32).ravel(), x)
    np.testing.assert_array_equal(draw("uniform", (300,), dtype=dt.float32)[:100], x)
    assert np.all(draw("uniform", (100,), seed=2, dtype=dt.float32) != x)
    assert np.all(draw("uniform", (100,), counter=3, dtype=dt.float32) != x)
    assert abs(np.corrcoef(x, draw("uniform", (100,), counter=3, dtype=dt.float32))[0, 1]) < 0.4


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_bernoulli_mask(p):
    mask = draw("bernoulli_mask", SHAPE, more=((p, dt.float32),))
    assert mask.dtype == bool
    assert abs(mask.mean() - p) <= 4 * math.sqrt(p * (1 - p) / mask.size)


@pytest.mark.parametrize(("low", "high"), [(0, 10), (-3, 4), (5, 6), (-(2**31), 2**31)])
def test_randint(low, high):
    x = draw("randint", SHAPE, low=low, high=high, dtype=dt.int64)
    assert x.dtype == np.int64
    assert low <= x.min()
    assert x.max() < high
    assert abs(x.mean() - (low + high - 1) / 2) <= 4 * (high - low) / math.sqrt(12 * x.size)
    if high - low < 20:
        assert len(np.unique(x)) == high - low


def test_messages():
    seed, counter = o.number(1, dt.int64), o.number(2, dt.int64)
    with pytest.raises(DTypeError, match=r"uniform: the dtype is int64; expected a float. For integers write randint"):
        o.uniform(seed, counter, shape=(2,), dtype=dt.int64)
    with pytest.raises(DTypeError, match=r"normal: the dtype is int32; expected a float"):
        o.normal(seed, counter, shape=(2,), dtype=dt.int32)
    with pytest.raises(DanluError, match=r"randint: low is 3 and high is 3; expected low < high, and at most 2\*\*32 numbers"):
        o.randint(seed, counter, low=3, high=3, shape=(2,), dtype=dt.int64)
    with pytest.raises(DTypeError, match=r"philox: seed is float32; expected an integer"):
        PHILOX.infer(Spec((2,), dt.int64), Spec((), dt.float32), Spec((), dt.int64), word=0)
