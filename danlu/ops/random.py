"""L2. Random numbers: Philox 4x32-10, a function of (element number, seed, counter), and what is drawn from it.

The same seed and counter give the same numbers on any number of threads. One block of four words is computed for each element,
which takes one to four of them: an element needs nothing of its neighbours, so draws fuse with what uses them, and nodes that
differ in `word` alone share one block after common subexpressions are found. Four elements a block would save work only where
four results are stored at once. The rounds run in 64-bit lanes, one multiplication a product: 1.5 ns an element (AVX-512).
Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.dtype import DType
from danlu.errors import DataError, DTypeError
from danlu.graph import Node, Spec
from danlu.ops.table import broadcast_shapes, composite, elementwise

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
LOW = 0xFFFFFFFF
ROUNDS = 10


def _philox_infer(index: Spec, seed: Spec, counter: Spec, word: int) -> Spec:
    for name, x in (("index", index), ("seed", seed), ("counter", counter)):
        if x.dtype.kind not in "iu":
            raise DTypeError("philox: {name} is {dtype}; expected an integer", name=name, dtype=x.dtype.name)
    return Spec(broadcast_shapes("philox", [index.shape, seed.shape, counter.shape]), dt.uint32)


def _philox_rounds(inputs: Iterable[Any], number: Any, multiply: Any) -> list[Any]:
    """The four words in the low halves of 64-bit lanes; the high halves are left full of what the products carry."""
    (index, seed, counter), half = inputs, number(32)
    words, keys = [index, index >> half, counter, counter >> half], [seed, seed >> half]
    for _ in range(ROUNDS):
        first, second = multiply(words[0], MULTIPLIERS[0]), multiply(words[2], MULTIPLIERS[1])
        words = [(second >> half) ^ words[1] ^ keys[0], second, (first >> half) ^ words[3] ^ keys[1], first]
        keys = [key + number(step) for key, step in zip(keys, KEY_STEPS)]
    return words


class _Lanes:
    """Arithmetic on emitted values, written with operators."""

    def __init__(self, b: Any, value: Any) -> None:
        self.b, self.value = b, value

    def __rshift__(self, other: _Lanes) -> _Lanes:
        return _Lanes(self.b, self.b.shr(self.value, other.value))

    def __xor__(self, other: _Lanes) -> _Lanes:
        return _Lanes(self.b, self.b.xor(self.value, other.value))

    def __add__(self, other: _Lanes) -> _Lanes:
        return _Lanes(self.b, self.b.add(self.value, other.value))


def _philox_emit(b, index, seed, counter, word: int):
    def number(value: int) -> _Lanes:
        return _Lanes(b, b.const(value, dt.uint64))

    def multiply(x: _Lanes, factor: int) -> _Lanes:  # 32 bits × 32 bits → 64 bits: one instruction a vector
        return _Lanes(b, b.mul(b.and_(x.value, b.const(LOW, dt.uint64)), b.const(factor, dt.uint64)))

    words = _philox_rounds((_Lanes(b, x) for x in (index, seed, counter)), number, multiply)
    return b.cast(words[word].value, dt.uint32)


def _philox_numpy(index, seed, counter, word: int):
    seed, counter = (x.flat[0] if x.size and not any(x.strides) else x for x in (seed, counter))  # one number is not many
    with np.errstate(over="ignore"):
        words = _philox_rounds((index, seed, counter), np.uint64, lambda x, factor: (x & np.uint64(LOW)) * np.uint64(factor))
    return (words[word] & np.uint64(LOW)).astype(np.uint32)


def open_uniforms(index: np.ndarray, seed: Any, counter: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two numbers in (0, 1) of the block of each index, in float64: for opaque ops that draw until they accept."""
    with np.errstate(over="ignore"):
        inputs = (np.asarray(x).astype(np.uint64) for x in (index, seed, counter))
        words = _philox_rounds(inputs, np.uint64, lambda x, factor: (x & np.uint64(LOW)) * np.uint64(factor))
    a, b, c, d = (w & np.uint64(LOW) for w in words)
    high, low = (
        (a >> np.uint64(6), c >> np.uint64(6)),
        (b >> np.uint64(6), d >> np.uint64(6)),
    )  # 26 bits each: the ½ below is exact
    return tuple(((h.astype(np.float64) * 2.0**26 + w) + 0.5) * 2.0**-52 for h, w in zip(high, low))  # type: ignore[return-value]


elementwise(
    "philox", "32 random bits: one word (0 … 3) of the Philox block of (index, counter) under the key `seed`.",
    attrs=("word",), infer=_philox_infer, operands=lambda specs, out: (dt.uint64,) * 3,
    numpy=_philox_numpy, emit=_philox_emit, partials=(None, None, None), sample=[(0, 1000, "integer")] * 3,
)  # fmt: skip


def random_words(o, seed: Node, counter: Node, shape: tuple[int, ...], count: int) -> list[Node]:
    """`count` words of the block of each element."""
    index = o.iota(shape=shape, dtype=dt.int64)
    return [o.philox(index, seed, counter, word=k) for k in range(count)]


@composite(attrs=("shape", "dtype"))
def uniform(o, seed: Node, counter: Node, *, shape: tuple[int, ...], dtype: DType) -> Node:
    """Evenly distributed in [0, 1): multiples of 2⁻²⁴ (float16: 2⁻¹¹, bfloat16: 2⁻⁸, float64: 2⁻⁵³)."""
    if not dtype.is_floating_point:
        raise DTypeError(
            "uniform: the dtype is {dtype}; expected a float. For integers write randint(low, high, shape)", dtype=dtype.name
        )
    if dtype is dt.float64:
        high, low = (o.cast(w, dtype=dtype) for w in _shifted(o, random_words(o, seed, counter, shape, 2), (5, 6)))
        return o.mul(o.add(o.mul(high, 2.0**26), low), 2.0**-53)
    digits = {dt.float16: 11, dt.bfloat16: 8}.get(dtype, 24)
    (bits,) = _shifted(o, random_words(o, seed, counter, shape, 1), (32 - digits,))
    return o.cast(o.mul(o.cast(bits, dtype=dt.float32), 2.0**-digits), dtype=dtype)


def _shifted(o, words: list[Node], places: tuple[int, ...]) -> list[Node]:
    return [o.shr(w, o.number(k, dt.uint32)) for w, k in zip(words, places)]


@composite(attrs=("shape", "dtype"))
def normal(o, seed: Node, counter: Node, *, shape: tuple[int, ...], dtype: DType) -> Node:
    """Normally distributed with mean 0 and variance 1, by Box and Muller: √(-2 log u)·cos 2πv. |y| ≤ 6.77."""
    if not dtype.is_floating_point:
        raise DTypeError("normal: the dtype is {dtype}; expected a float", dtype=dtype.name)
    wide = dt.float64 if dtype is dt.float64 else dt.float32
    words = [o.cast(w, dtype=wide) for w in random_words(o, seed, counter, shape, 2)]
    if wide is dt.float64:
        more = random_words(o, seed, counter, shape, 4)[2:]
        words = [o.add(w, o.mul(o.cast(m, dtype=wide), 2.0**-32)) for w, m in zip(words, more)]
    radius = o.sqrt(o.mul(o.log(o.mul(o.add(words[0], 0.5), 2.0**-32)), -2.0))
    return o.cast(o.mul(radius, o.cos(o.mul(words[1], 2.0**-31 * math.pi))), dtype=dtype)


@composite(attrs=("shape",))
def bernoulli_mask(o, seed: Node, counter: Node, p: Node, *, shape: tuple[int, ...]) -> Node:
    """True with probability p."""
    return o.lt(o.uniform(seed, counter, shape=shape, dtype=dt.float32), p)


@composite(attrs=("low", "high", "shape", "dtype"))
def randint(o, seed: Node, counter: Node, *, low: int, high: int, shape: tuple[int, ...], dtype: DType) -> Node:
    """Whole numbers from low to high - 1, evenly: ⌊(high - low)·w / 2⁶⁴⌋ of 64 random bits w; the unevenness is below 2⁻³²."""
    if not low < high <= low + 2**32:
        raise DataError(
            "randint: low is {low} and high is {high}; expected low < high, and at most 2**32 numbers between them",
            low=low,
            high=high,
        )
    upper, lower = (o.cast(w, dtype=dt.uint64) for w in random_words(o, seed, counter, shape, 2))
    count, half = o.number(high - low, dt.uint64), o.number(32, dt.uint64)
    scaled = o.shr(o.add(o.mul(upper, count), o.shr(o.mul(lower, count), half)), half)
    return o.cast(o.add(o.cast(scaled, dtype=dt.int64), low), dtype=dtype)
