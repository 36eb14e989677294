"""L6. Continuous distributions with a quantile function in closed form: uniform, exponential, Laplace."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from danlu.distributions import constraints
from danlu.distributions.constraints import Constraint
from danlu.distributions.distribution import Distribution, broadcast, check
from danlu.messages import Phrase
from danlu.random import rand, uniform_noise
from danlu.tensor import Tensor
from danlu.tensor.creation import where


class Uniform(Distribution):
    """p(x) = 1 / (b - a) for a ≤ x < b, a = `low`, b = `high`.

    Shapes: low and high are broadcast to batch_shape.

    Raises DataError where low is not below high, ShapeError where the shapes do not fit.

    >>> import danlu
    >>> danlu.distributions.Uniform(0.0, 4.0).log_prob(danlu.tensor([1.0]))
    tensor([-1.3863])
    """

    arg_constraints = {"low": constraints.real, "high": constraints.real}  # noqa: RUF012
    has_rsample = True

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None) -> None:
        self.low, self.high = broadcast("Uniform", low=low, high=high)
        super().__init__(self.low.shape, (), validate_args)
        if self._validate_args:
            check("Uniform", [("high", self.high, Constraint(Phrase("numbers above low"), lambda high: high > self.low))])

    @property
    def support(self) -> Constraint:  # type: ignore[override]
        """From low to high."""
        return constraints.interval(self.low, self.high)

    @property
    def width(self) -> Tensor:
        """b - a"""
        return self.high - self.low

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """a + (b - a) u with u uniform in [0, 1)."""
        return self.low + rand(self._extended(sample_shape), dtype=self.low.dtype) * self.width

    def log_prob(self, value: Any) -> Tensor:
        """-log(b - a); -∞ outside, where values are not checked."""
        x = self._value("log_prob", value, self.low)
        inside = (x >= self.low) & (x < self.high)
        return where(inside, -self.width.log(), -math.inf)

    def cdf(self, value: Any) -> Tensor:
        """(x - a) / (b - a), kept in [0, 1]."""
        return ((self._value("cdf", value, self.low) - self.low) / self.width).clamp(0, 1)

    def icdf(self, value: Any) -> Tensor:
        """a + (b - a) p"""
        return self.low + self._point(value, self.low) * self.width

    def entropy(self) -> Tensor:
        """log(b - a)"""
        return self.width.log()

    @property
    def mean(self) -> Tensor:
        """(a + b) / 2"""
        return (self.low + self.high) / 2

    @property
    def mode(self) -> Tensor:
        """NaN: all values are equally likely."""
        return self.low * math.nan

    @property
    def variance(self) -> Tensor:
        """(b - a)² / 12"""
        return self.width**2 / 12


class Exponential(Distribution):
    """p(x) = λ e^(-λ x) for x ≥ 0, λ = `rate`.

    Shapes: rate gives batch_shape.

    Raises DataError for a rate ≤ 0.

    >>> import danlu
    >>> danlu.distributions.Exponential(2.0).mean
    tensor(0.5000)
    """

    arg_constraints = {"rate": constraints.positive}  # noqa: RUF012
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast("Exponential", rate=rate)
        super().__init__(self.rate.shape, (), validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """-log(1 - u) / λ with u uniform in [0, 1)."""
        noise = -(-uniform_noise(self._extended(sample_shape))).log1p()
        return noise.to(self.rate.dtype) / self.rate

    def log_prob(self, value: Any) -> Tensor:
        """log λ - λ x"""
        return self.rate.log() - self.rate * self._value("log_prob", value, self.rate)

    def cdf(self, value: Any) -> Tensor:
        """1 - e^(-λ x)"""
        return -(-self.rate * self._value("cdf", value, self.rate)).expm1()

    def icdf(self, value: Any) -> Tensor:
        """-log(1 - p) / λ"""
        return -(-self._point(value, self.rate)).log1p() / self.rate

    def entropy(self) -> Tensor:
        """1 - log λ"""
        return 1 - self.rate.log()

    @property
    def mean(self) -> Tensor:
        """1 / λ"""
        return 1 / self.rate

    @property
    def mode(self) -> Tensor:
        """0"""
        return self.rate * 0

    @property
    def stddev(self) -> Tensor:
        """1 / λ"""
        return 1 / self.rate

    @property
    def variance(self) -> Tensor:
        """1 / λ²"""
        return self.rate**-2


class Laplace(Distribution):
    """p(x) = exp(-|x - μ| / b) / 2b, μ = `loc`, b = `scale`.

    Shapes: loc and scale are broadcast to batch_shape.

    Raises DataError for a scale ≤ 0, ShapeError where the shapes do not fit.

    >>> import danlu
    >>> danlu.distributions.Laplace(0.0, 1.0).log_prob(danlu.tensor([0.0, -1.0]))
    tensor([-0.6931, -1.6931])
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast("Laplace", loc=loc, scale=scale)
        super().__init__(self.loc.shape, (), validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """The quantile of a uniform number, which stays off 0, where it is -∞."""
        centred = (uniform_noise(self._extended(sample_shape)) - 0.5).clamp(min=2.0**-54 - 0.5)
        return self.loc + self.scale * self._standard_quantile(centred).to(self.loc.dtype)

    @staticmethod
    def _standard_quantile(centred: Tensor) -> Tensor:
        """-sign(p - ½) log(1 - 2|p - ½|) of p - ½."""
        return -centred.sign() * (-2 * centred.abs()).log1p()

    def log_prob(self, value: Any) -> Tensor:
        """-|x - μ| / b - log 2b"""
        x = self._value("log_prob", value, self.loc)
        return -(x - self.loc).abs() / self.scale - (2 * self.scale).log()

    def cdf(self, value: Any) -> Tensor:
        """½ e^z for z = (x - μ) / b < 0, 1 - ½ e^(-z) above."""
        z = (self._value("cdf", value, self.loc) - self.loc) / self.scale
        tail = (-z.abs()).exp() / 2
        return where(z < 0, tail, 1 - tail)

    def icdf(self, value: Any) -> Tensor:
        """μ - b sign(p - ½) log(1 - 2|p - ½|)"""
        return self.loc + self.scale * self._standard_quantile(self._point(value, self.loc) - 0.5)

    def entropy(self) -> Tensor:
        """1 + log 2b"""
        return 1 + (2 * self.scale).log()

    @property
    def mean(self) -> Tensor:
        """μ"""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """μ"""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """2b²"""
        return 2 * self.scale**2
