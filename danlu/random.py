"""L5. Random tensors. A generator is a seed and a counter; every draw takes the next counter, so the same seed gives the same
numbers on any number of threads, and its whole state is two integers.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.dtype import DType
from danlu.errors import DataError, DTypeError
from danlu.tensor import Tensor, apply, changing, from_array
from danlu.tensor.arithmetic import check_device
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
    """(seed, counter) of the next draw of a generator, the default one unless given."""
    return (generator or default_generator).next_key()


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
        raise DataError(f"random numbers of shape {shape}: sizes must not be negative")
    if dtype.is_complex:  # two independent parts; together a normal one has variance 1
        re, im = (_draw(op, shape, dt.to_real(dtype), generator, **attrs) for _ in range(2))
        out = apply("complex", re, im) * (0.5**0.5 if op == "normal" else 1.0)
        return out.requires_grad_() if requires_grad else out
    out = apply(op, *map(changing, next_key(generator)), shape=shape, dtype=dtype, **attrs)
    return out.requires_grad_() if requires_grad else out


def rand(
    *size: Any, dtype: DType | None = None, generator: Generator | None = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """Evenly distributed in [0, 1).

    >>> import danlu
    >>> danlu.rand(2, 3).shape
    danlu.Size([2, 3])
    """
    check_device(device)
    return _draw("uniform", sizes(size), dtype or dt.float32, generator, requires_grad=requires_grad)


def randn(
    *size: Any, dtype: DType | None = None, generator: Generator | None = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """Normally distributed with mean 0 and variance 1.

    >>> import danlu
    >>> danlu.randn(2, 3).shape
    danlu.Size([2, 3])
    """
    check_device(device)
    return _draw("normal", sizes(size), dtype or dt.float32, generator, requires_grad=requires_grad)


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

    >>> import danlu
    >>> bool((danlu.randint(5, 8, (100,)) >= 5).all())
    True
    """
    check_device(device)
    if size is None:
        low, high, size = 0, low, high
    return _draw("randint", tuple(size), dtype or dt.int64, generator, low=int(low), high=int(high))


def rand_like(x: Tensor, *, dtype: DType | None = None, generator: Generator | None = None) -> Tensor:
    """`rand` with the shape and dtype of x.

    >>> import danlu
    >>> danlu.rand_like(danlu.zeros(2)).shape
    danlu.Size([2])
    """
    return _draw("uniform", tuple(x.shape), dtype or x.dtype, generator)


def randn_like(x: Tensor, *, dtype: DType | None = None, generator: Generator | None = None) -> Tensor:
    """`randn` with the shape and dtype of x.

    >>> import danlu
    >>> danlu.randn_like(danlu.zeros(2)).shape
    danlu.Size([2])
    """
    return _draw("normal", tuple(x.shape), dtype or x.dtype, generator)


def randint_like(
    x: Tensor, low: Any, high: Any = None, *, dtype: DType | None = None, generator: Generator | None = None
) -> Tensor:
    """`randint` with the shape and dtype of x.

    >>> import danlu
    >>> danlu.randint_like(danlu.zeros(2), 3).shape
    danlu.Size([2])
    """
    low, high = (0, low) if high is None else (low, high)
    return randint(int(low), int(high), tuple(x.shape), generator=generator).to(dtype or x.dtype)


def multinomial(input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None) -> Tensor:
    """Indices drawn with the weights in each row: the order of E / w with E exponential is that of drawing without replacement.

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
        raise DataError(f"multinomial takes rows of float weights, got shape {tuple(input.shape)}, dtype {input.dtype.name}")
    if num_samples < 1 or (not replacement and num_samples > input.shape[-1]):
        raise DataError(f"multinomial: {num_samples} samples of {input.shape[-1]} without replacement; write replacement=True")
    weights = input.detach().numpy()
    if not np.isfinite(weights).all() or (weights < 0).any() or (weights.sum(-1) <= 0).any():
        raise DataError("multinomial: the weights must be finite and not negative, and those of a row not all 0")


def normal(
    mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, dtype: DType | None = None, generator: Generator | None = None
) -> Tensor:
    """Normally distributed with this mean and standard deviation (numbers with a size, or tensors).

    >>> import danlu
    >>> danlu.normal(0.0, 0.01, (2, 3)).shape
    danlu.Size([2, 3])
    """
    if size is None:
        size = np.broadcast_shapes(*(tuple(x.shape) for x in (mean, std) if isinstance(x, Tensor)))
    given = [x.dtype for x in (mean, std) if isinstance(x, Tensor)]
    return _draw("normal", tuple(size), dtype or (given[0] if given else dt.float32), generator) * std + mean


def bernoulli(p: Tensor, *, generator: Generator | None = None) -> Tensor:
    """1 with probability p, else 0, with p's shape and dtype.

    >>> import danlu
    >>> danlu.bernoulli(danlu.ones(2))
    tensor([1., 1.])
    """
    return (_draw("uniform", tuple(p.shape), dt.float32, generator) < p).to(p.dtype)


def randperm(n: int, *, generator: Generator | None = None) -> Tensor:
    """The numbers 0 … n-1 in random order.

    >>> import danlu
    >>> sorted(danlu.randperm(4).tolist())
    [0, 1, 2, 3]
    """
    seed, counter = next_key(generator)
    order = np.random.Generator(np.random.Philox(key=[seed, counter])).permutation(n)
    return from_array(order.astype(np.int64))


def _filler(name: str, draw: Any, doc: str) -> Any:
    def method(self: Tensor, *args: Any, generator: Generator | None = None, **given: Any) -> Tensor:
        if not self.dtype.is_floating_point:
            raise DTypeError(f"{name} on a tensor of dtype {self.dtype.name}; expected a floating dtype")
        return self._assign(draw(self, generator, *args, **given)._value())

    method.__name__, method.__doc__ = name, doc
    return method


def _uniform(x: Tensor, generator: Generator | None, a: float = 0.0, b: float = 1.0) -> Tensor:
    if b < a:
        raise DataError(f"uniform_: from {a} to {b}; expected an interval [a, b) with a ≤ b")
    return rand_like(x, generator=generator) * (b - a) + a


def _normal(x: Tensor, generator: Generator | None, mean: float = 0.0, std: float = 1.0) -> Tensor:
    if std < 0:
        raise DataError(f"normal_: std={std}; expected 0 or more")
    return randn_like(x, generator=generator) * std + mean


def _bernoulli(x: Tensor, generator: Generator | None, p: float = 0.5) -> Tensor:
    return (_draw("uniform", tuple(x.shape), dt.float32, generator) < p).to(x.dtype)


# The fillers draw from a generator, and the generator makes tensors: so they join the Tensor here.
Tensor.uniform_ = _filler("uniform_", _uniform, "Evenly distributed in [a, b), in place.")  # type: ignore[attr-defined]
Tensor.normal_ = _filler("normal_", _normal, "Normally distributed, in place.")  # type: ignore[attr-defined]
Tensor.bernoulli_ = _filler("bernoulli_", _bernoulli, "1 with probability p, else 0, in place.")  # type: ignore[attr-defined]
Tensor.multinomial, Tensor.bernoulli = multinomial, bernoulli  # type: ignore[attr-defined]
