"""L5. Random tensors. A generator is a seed and a counter; every draw takes the next counter, so the same seed gives the same
numbers on any number of threads, and its whole state is two integers.
"""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.dtype import DType
from danlu.engine import Runtime, capturing
from danlu.errors import DataError, DTypeError
from danlu.tensor import CPU, Tensor, apply, from_array
from danlu.tensor.arithmetic import check_device
from danlu.tensor.results import made_as_out, with_out
from danlu.tensor.shape import sizes


class Generator:
    """A source of random numbers with its own seed.

    >>> import danlu
    >>> a, b = danlu.Generator().manual_seed(7), danlu.Generator().manual_seed(7)
    >>> danlu.equal(danlu.rand(3, generator=a), danlu.rand(3, generator=b))
    True
    """

    def __init__(self, device: Any = "cpu") -> None:
        check_device(device)
        self.device = CPU
        self._seed, self._counter = int.from_bytes(os.urandom(4), "little"), 0

    def manual_seed(self, seed: int) -> Generator:
        """Begins again with this seed."""
        self._seed, self._counter = int(seed) & (2**63 - 1), 0
        return self

    def initial_seed(self) -> int:
        """The seed."""
        return self._seed

    def next_key(self) -> tuple[int, int]:
        """(seed, counter) of the next draw."""
        self._counter += 1
        return self._seed, self._counter

    def get_state(self) -> dict[str, int]:
        """The state as plain integers."""
        return {"seed": self._seed, "counter": self._counter}

    def set_state(self, state: dict[str, int]) -> None:
        """Goes on from a state that `get_state` gave."""
        self._seed, self._counter = int(state["seed"]), int(state["counter"])


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Begins the random numbers again with this seed.

    >>> import danlu
    >>> _ = danlu.manual_seed(0); x = danlu.rand(2)
    >>> _ = danlu.manual_seed(0); danlu.equal(x, danlu.rand(2))
    True
    """
    return default_generator.manual_seed(seed)


def next_key(generator: Generator | None = None) -> tuple[int, int]:
    """(seed, counter) of the next draw of a generator, the default one unless given, for numbers that Python draws now."""
    capture = capturing()
    if capture is not None:
        capture.read()
    return (generator or default_generator).next_key()


def changing_key(generator: Generator | None = None) -> tuple[Runtime, Runtime]:
    """`next_key` as inputs of an op; a function that is recorded takes the next key each time it runs."""
    source = generator or default_generator
    seed, counter = map(Runtime, source.next_key())
    capture = capturing()
    if capture is not None:
        capture.repeat((seed, counter), source.next_key)
    return seed, counter


def initial_seed() -> int:
    """The seed of the default generator.

    >>> import danlu
    >>> _ = danlu.manual_seed(3); danlu.initial_seed()
    3
    """
    return default_generator.initial_seed()


def seed() -> int:
    """Begins the random numbers again with a seed that the system draws, and says which.

    >>> import danlu
    >>> danlu.seed() == danlu.initial_seed()
    True
    """
    return default_generator.manual_seed(int.from_bytes(os.urandom(7), "little")).initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default generator, as bytes: (16) of uint8.

    >>> import danlu
    >>> state = danlu.get_rng_state(); x = danlu.rand(2)
    >>> danlu.set_rng_state(state); danlu.equal(x, danlu.rand(2))
    True
    """
    state = default_generator.get_state()
    return from_array(np.array([state["seed"], state["counter"]], np.int64).view(np.uint8))


def set_rng_state(new_state: Tensor) -> None:
    """Goes on from a state that `get_rng_state` gave.

    Shapes: new_state (16) of uint8.

    >>> import danlu
    >>> danlu.set_rng_state(danlu.get_rng_state())
    """
    if new_state.dtype is not dt.uint8 or tuple(new_state.shape) != (16,):
        raise DataError(
            "set_rng_state: the state has shape {shape} and dtype {dtype}; expected what get_rng_state() gave, 16 of uint8",
            shape=tuple(new_state.shape),
            dtype=new_state.dtype.name,
        )
    start, counter = new_state.numpy().copy().view(np.int64).tolist()
    default_generator.set_state({"seed": start, "counter": counter})


def get_state() -> dict[str, int]:
    """The state of the default generator as plain integers."""
    return default_generator.get_state()


def set_state(state: dict[str, int]) -> None:
    """Sets the state of the default generator."""
    default_generator.set_state(state)


def _draw(
    op: str, shape: tuple[int, ...], dtype: DType, generator: Generator | None, *, requires_grad: bool = False, **attrs: Any
) -> Tensor:
    if any(n < 0 for n in shape):
        raise DataError("random numbers of shape {shape}: sizes must not be negative", shape=shape)
    dt.check_dtype(dtype)
    if dtype.is_complex:  # two independent parts; together a normal one has variance 1
        re, im = (_draw(op, shape, dt.to_real(dtype), generator, **attrs) for _ in range(2))
        out = apply("complex", re, im) * (0.5**0.5 if op == "normal" else 1.0)
        return out.requires_grad_() if requires_grad else out
    out = apply(op, *changing_key(generator), shape=shape, dtype=dtype, **attrs)
    return out.requires_grad_() if requires_grad else out


@made_as_out
def rand(
    *size: Any, dtype: DType | None = None, generator: Generator | None = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """Evenly distributed in [0, 1).

    y ~ U[0, 1)

    Shapes: sizes n₁, …, n_d → (n₁, …, n_d).

    >>> import danlu
    >>> danlu.rand(2, 3).shape
    danlu.Size([2, 3])
    """
    check_device(device)
    return _draw("uniform", sizes(size), dtype or dt.default(), generator, requires_grad=requires_grad)


@made_as_out
def randn(
    *size: Any, dtype: DType | None = None, generator: Generator | None = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """Normally distributed with mean 0 and variance 1.

    y ~ N(0, 1)

    Shapes: sizes n₁, …, n_d → (n₁, …, n_d).

    >>> import danlu
    >>> danlu.randn(2, 3).shape
    danlu.Size([2, 3])
    """
    check_device(device)
    return _draw("normal", sizes(size), dtype or dt.default(), generator, requires_grad=requires_grad)


@made_as_out
def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    dtype: DType | None = None,
    generator: Generator | None = None,
    device: Any = None,
) -> Tensor:
    """Whole numbers from low to high - 1: randint(10, (3,)) or randint(5, 10, (3,)).

    P(y = k) = 1 / (high - low) for low ≤ k < high

    Shapes: size (n₁, …, n_d) → (n₁, …, n_d) of int64.

    >>> import danlu
    >>> bool((danlu.randint(5, 8, (100,)) >= 5).all())
    True
    """
    check_device(device)
    if size is None:
        low, high, size = 0, low, high
    if isinstance(size, int):
        raise DTypeError("randint: size is {size}; expected a tuple of sizes: write ({size},)", size=size)
    return _draw("randint", tuple(size), dtype or dt.int64, generator, low=int(low), high=int(high))


def rand_like(x: Tensor, *, dtype: DType | None = None, generator: Generator | None = None) -> Tensor:
    """`rand` with the shape and dtype of x.

    y ~ U[0, 1)

    Shapes: (*) → (*).

    >>> import danlu
    >>> danlu.rand_like(danlu.zeros(2)).shape
    danlu.Size([2])
    """
    return _draw("uniform", tuple(x.shape), dtype or x.dtype, generator)


def randn_like(x: Tensor, *, dtype: DType | None = None, generator: Generator | None = None) -> Tensor:
    """`randn` with the shape and dtype of x.

    y ~ N(0, 1)

    Shapes: (*) → (*).

    >>> import danlu
    >>> danlu.randn_like(danlu.zeros(2)).shape
    danlu.Size([2])
    """
    return _draw("normal", tuple(x.shape), dtype or x.dtype, generator)


def randint_like(
    x: Tensor, low: Any, high: Any = None, *, dtype: DType | None = None, generator: Generator | None = None
) -> Tensor:
    """`randint` with the shape and dtype of x.

    P(y = k) = 1 / (high - low) for low ≤ k < high

    Shapes: (*) → (*).

    >>> import danlu
    >>> danlu.randint_like(danlu.zeros(2), 3).shape
    danlu.Size([2])
    """
    low, high = (0, low) if high is None else (low, high)
    return randint(int(low), int(high), tuple(x.shape), generator=generator).to(dtype or x.dtype)


@with_out
def multinomial(input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None) -> Tensor:
    """Indices drawn with the weights in each row: the order of E / w with E exponential is that of drawing without replacement.

    P(y = k) = w[k] / Σ w for the first draw

    Shapes: weights (k) or (n, k) → (num_samples) or (n, num_samples) of int64.

    >>> import danlu
    >>> danlu.multinomial(danlu.tensor([0.0, 1.0]), 1)
    tensor([1])
    """
    _check_weights(input, num_samples, replacement)
    rows = input.detach()
    if not replacement:
        keys = -rand_like(rows.double(), generator=generator).log() / rows.double()
        return keys.topk(num_samples, -1, largest=False).indices
    total = rows.double().cumsum(-1)
    drawn = rand((*rows.shape[:-1], num_samples), dtype=dt.float64, generator=generator) * total[..., -1:]
    return total.searchsorted(drawn, right=True).clamp(0, rows.shape[-1] - 1)


def _check_weights(input: Tensor, num_samples: int, replacement: bool) -> None:
    if input.ndim not in (1, 2) or not input.dtype.is_floating_point:
        raise DataError(
            "multinomial takes rows of float weights, got shape {shape}, dtype {dtype}",
            shape=tuple(input.shape),
            dtype=input.dtype.name,
        )
    if num_samples < 1 or (not replacement and num_samples > input.shape[-1]):
        raise DataError(
            "multinomial: {num_samples} samples of {count} without replacement; write replacement=True",
            num_samples=num_samples,
            count=input.shape[-1],
        )
    weights = dt.readable(input.detach()._array())
    if not np.isfinite(weights).all() or (weights < 0).any() or (weights.sum(-1) <= 0).any():
        raise DataError("multinomial: the weights must be finite and not negative, and those of a row not all 0")


@with_out
def normal(
    mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, dtype: DType | None = None, generator: Generator | None = None
) -> Tensor:
    """Normally distributed with this mean and standard deviation (numbers with a size, or tensors).

    y ~ N(mean, std²)

    Shapes: mean and std numbers: size → size; tensors (*), broadcast together → (*).

    >>> import danlu
    >>> danlu.normal(0.0, 0.01, (2, 3)).shape
    danlu.Size([2, 3])
    """
    if not isinstance(std, Tensor) and std < 0:
        raise DataError("normal: std is {std}; expected 0 or more", std=std)
    if size is None:
        size = np.broadcast_shapes(*(tuple(x.shape) for x in (mean, std) if isinstance(x, Tensor)))
    given = [x.dtype for x in (mean, std) if isinstance(x, Tensor)]
    return _draw("normal", tuple(size), dtype or (given[0] if given else dt.default()), generator) * std + mean


@with_out
def bernoulli(p: Tensor, *, generator: Generator | None = None) -> Tensor:
    """1 with probability p, else 0, with p's shape and dtype.

    P(y = 1) = p, P(y = 0) = 1 - p

    Shapes: (*) → (*).

    >>> import danlu
    >>> danlu.bernoulli(danlu.ones(2))
    tensor([1., 1.])
    """
    return (_draw("uniform", tuple(p.shape), dt.float32, generator) < p).to(p.dtype)


def uniform_noise(shape: tuple[int, ...], generator: Generator | None = None) -> Tensor:
    """Evenly distributed in [0, 1) on the fine grid of float64: for logarithms of it, whose tail a coarse grid would cut."""
    return _draw("uniform", shape, dt.float64, generator)


def log_gamma_noise(concentration: Tensor, generator: Generator | None = None) -> Tensor:
    """log x in float64, x of density x^(c-1) e^(-x) / Γ(c); differentiable in the concentration c."""
    return apply("log_gamma_draw", *changing_key(generator), concentration.to(dt.float64))


def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Whole numbers k with probability rateᵏ e^(-rate) / k!, with the shape and dtype of the rates; NaN for a rate that is none.

    Shapes: (*) → (*).

    >>> import danlu
    >>> danlu.random.poisson(danlu.zeros(2))
    tensor([0., 0.])
    """
    return apply("poisson_draw", *changing_key(generator), input.detach())


def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """How many of `count` trials succeed, each with probability `prob`; broadcast, in the dtype of prob.

    P(y = k) = count! / k! (count - k)! · probᵏ (1 - prob)^(count - k)

    Shapes: count (*), prob (*), broadcast together → (*).

    >>> import danlu
    >>> danlu.random.binomial(danlu.tensor([3.0, 5.0]), danlu.ones(2))
    tensor([3., 5.])
    """
    return apply("binomial_draw", *changing_key(generator), count.detach(), prob.detach())


@with_out
def randperm(n: int, *, generator: Generator | None = None) -> Tensor:
    """The numbers 0 … n-1 in random order.

    y = a permutation of 0 … n-1, each with probability 1/n!

    Shapes: → (n) of int64.

    >>> import danlu
    >>> sorted(danlu.randperm(4).tolist())
    [0, 1, 2, 3]
    """
    seed, counter = next_key(generator)
    order = np.random.Generator(np.random.Philox(key=[seed, counter])).permutation(n)
    return from_array(order.astype(np.int64))


def _filler(name: str, draw: Any, doc: str, whole: bool = False) -> Any:
    """An in-place method; `whole`: its numbers are whole, so integer tensors take them too."""

    def method(self: Tensor, *args: Any, generator: Generator | None = None, **given: Any) -> Tensor:
        if not whole and not self.dtype.is_floating_point:
            raise DTypeError("{name} on a tensor of dtype {dtype}; expected a floating dtype", name=name, dtype=self.dtype.name)
        return self._assign(draw(self, generator, *args, **given)._value())

    method.__name__, method.__doc__ = name, doc
    return method


def _uniform(x: Tensor, generator: Generator | None, a: float = 0.0, b: float = 1.0) -> Tensor:
    if b < a:
        raise DataError("uniform_: from {low} to {high}; expected an interval [a, b) with a ≤ b", low=a, high=b)
    return rand_like(x, generator=generator) * (b - a) + a


def _normal(x: Tensor, generator: Generator | None, mean: float = 0.0, std: float = 1.0) -> Tensor:
    if std < 0:
        raise DataError("normal_: std={std}; expected 0 or more", std=std)
    return randn_like(x, generator=generator) * std + mean


def _bernoulli(x: Tensor, generator: Generator | None, p: float = 0.5) -> Tensor:
    return (_draw("uniform", tuple(x.shape), dt.float32, generator) < p).to(x.dtype)


def _exponential(x: Tensor, generator: Generator | None, lambd: float = 1.0) -> Tensor:
    if not lambd > 0:
        raise DataError("exponential_: lambd={lambd}; expected a rate above 0", lambd=lambd)
    return (uniform_noise(tuple(x.shape), generator).neg().log1p() / -lambd).to(x.dtype)


def _geometric(x: Tensor, generator: Generator | None, p: float) -> Tensor:
    if not 0 < p < 1:
        raise DataError("geometric_: p={p}; expected a probability between 0 and 1, both excluded", p=p)
    trials = uniform_noise(tuple(x.shape), generator).neg().log1p() / math.log1p(-p)
    return (trials.floor() + 1).to(x.dtype)


def _cauchy(x: Tensor, generator: Generator | None, median: float = 0.0, sigma: float = 1.0) -> Tensor:
    if not sigma > 0:
        raise DataError("cauchy_: sigma={sigma}; expected a width above 0", sigma=sigma)
    angle = (uniform_noise(tuple(x.shape), generator) - 0.5) * math.pi
    return (angle.tan() * sigma + median).to(x.dtype)


def _log_normal(x: Tensor, generator: Generator | None, mean: float = 1.0, std: float = 2.0) -> Tensor:
    if not std > 0:
        raise DataError("log_normal_: std={std}; expected a standard deviation above 0", std=std)
    return (_draw("normal", tuple(x.shape), dt.float64, generator) * std + mean).exp().to(x.dtype)


def _random(x: Tensor, generator: Generator | None, *bounds: int, to: int | None = None) -> Tensor:
    """random_(), random_(to) or random_(from, to)."""
    given = [*bounds, *([] if to is None else [to])]
    low, high = (0, _above(x.dtype)) if not given else (0, int(given[0])) if len(given) == 1 else (int(given[0]), int(given[1]))
    if len(given) > 2 or low >= high:
        raise DataError(
            "random_: from {low} to {high}; expected random_(), random_(to) or random_(from, to) with from < to",
            low=low,
            high=high,
        )
    if high - low <= 2**32:
        return _draw("randint", tuple(x.shape), dt.int64, generator, low=low, high=high).to(x.dtype)
    if (low, high) not in ((0, 2**53), (0, 2**63)):
        raise DataError(
            "random_: from {low} to {high}; expected at most 2**32 numbers, or random_() for all of the dtype", low=low, high=high
        )
    upper = _draw("randint", tuple(x.shape), dt.int64, generator, low=0, high=high >> 32)
    return (upper * 2**32 + _draw("randint", tuple(x.shape), dt.int64, generator, low=0, high=2**32)).to(x.dtype)


def _above(dtype: DType) -> int:
    """One more than the largest whole number of `random_()`: all of an integer dtype, of a float what is exact below 2^digits."""
    if dtype is dt.bool_:
        return 2
    return 2 ** (dt.limits(dtype).nmant + 1) if dtype.is_floating_point else int(np.iinfo(dtype.numpy).max) + 1


# The fillers draw from a generator, and the generator makes tensors: so they join the Tensor here.
Tensor.uniform_ = _filler(  # type: ignore[attr-defined]
    "uniform_",
    _uniform,
    "Evenly distributed in [a, b), in place.\n\n"
    "y ~ U[a, b)\n\n"
    "Shapes: (*) → (*), the tensor itself.\n\n"
    ">>> import danlu\n"
    ">>> danlu.zeros(3).uniform_(1.0, 1.0)\n"
    "tensor([1., 1., 1.])",
)
Tensor.normal_ = _filler(  # type: ignore[attr-defined]
    "normal_",
    _normal,
    "Normally distributed, in place.\n\n"
    "y ~ N(mean, std²)\n\n"
    "Shapes: (*) → (*), the tensor itself.\n\n"
    ">>> import danlu\n"
    ">>> danlu.zeros(3).normal_(2.0, 0.0)\n"
    "tensor([2., 2., 2.])",
)
Tensor.bernoulli_ = _filler(  # type: ignore[attr-defined]
    "bernoulli_",
    _bernoulli,
    "1 with probability p, else 0, written into the tensor.\n\n"
    "P(x = 1) = p, P(x = 0) = 1 - p\n\n"
    "Shapes: (*) → (*), the tensor itself; p a number or broadcast to (*).\n\n"
    ">>> import danlu\n>>> danlu.zeros(2).bernoulli_(1.0)\ntensor([1., 1.])",
)
Tensor.exponential_ = _filler(  # type: ignore[attr-defined]
    "exponential_",
    _exponential,
    "Of density λ e^(-λ x), λ = lambd, in place.\n\n"
    "y ~ λ e^(-λ x)\n\n"
    "Shapes: (*) → (*), the tensor itself.\n\n"
    ">>> import danlu\n"
    ">>> danlu.zeros(3).exponential_().ge(0).all()\n"
    "tensor(True)",
)
Tensor.cauchy_ = _filler(  # type: ignore[attr-defined]
    "cauchy_",
    _cauchy,
    "Of density σ / π(σ² + (x - median)²), in place.\n\n"
    "Shapes: (*) → (*), the tensor itself.\n\n"
    ">>> import danlu\n"
    ">>> danlu.zeros(3).cauchy_().shape\n"
    "danlu.Size([3])",
)
Tensor.log_normal_ = _filler(  # type: ignore[attr-defined]
    "log_normal_",
    _log_normal,
    "e to the power of normal numbers of this mean and std, in place.\n\n"
    "log y ~ N(mean, std²)\n\n"
    "Shapes: (*) → (*), the tensor itself.\n\n"
    ">>> import danlu\n"
    ">>> danlu.zeros(3).log_normal_().gt(0).all()\n"
    "tensor(True)",
)
_TRIALS = (
    "How many trials until one succeeds, each with probability p, in place.\n\n"
    "P(y = k) = (1 - p)ᵏ⁻¹ p for k = 1, 2 …\n\n"
    "Shapes: (*) → (*), the tensor itself.\n\n"
    ">>> import danlu\n>>> danlu.zeros(3).geometric_(0.5).ge(1).all()\ntensor(True)"
)
_WHOLE = (
    "Whole numbers from `from` to `to` - 1, in place: random_(), random_(to) or random_(from, to).\n\n"
    "P(y = k) = 1 / (to - from) for from ≤ k < to\n\n"
    "Shapes: (*) → (*), the tensor itself.\n\n"
    ">>> import danlu\n>>> danlu.zeros(3).random_(5, 6)\ntensor([5., 5., 5.])"
)
Tensor.geometric_ = _filler("geometric_", _geometric, _TRIALS, whole=True)  # type: ignore[attr-defined]
Tensor.random_ = _filler("random_", _random, _WHOLE, whole=True)  # type: ignore[attr-defined]
Tensor.multinomial, Tensor.bernoulli = multinomial, bernoulli  # type: ignore[attr-defined]
