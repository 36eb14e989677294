"""L6. Distributions of whole numbers: of one trial, of many, of a count without a limit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.distributions import constraints
from danlu.distributions.constraints import Constraint
from danlu.distributions.distribution import Distribution, Odds, as_tensors, broadcast, exactly_one
from danlu.errors import DataError, ShapeError
from danlu.functions import xlogy
from danlu.random import bernoulli, binomial, poisson, uniform_noise
from danlu.tensor import Tensor, apply, no_grad
from danlu.tensor.creation import arange, eye, where, zeros


class Bernoulli(Odds, Distribution):
    """P(1) = p, P(0) = 1 - p; given as `probs` p or as `logits` log p / (1 - p).

    Shapes: probs or logits gives batch_shape.

    Raises DataError for a probability outside [0, 1], or where not exactly one of the two is given.

    >>> import danlu
    >>> danlu.distributions.Bernoulli(danlu.tensor([0.5, 0.25])).log_prob(danlu.ones(2))
    tensor([-0.6931, -1.3863])
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}  # noqa: RUF012
    support = constraints.boolean
    has_enumerate_support = True

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        key, x = exactly_one("Bernoulli", probs=probs, logits=logits)
        (self.__dict__[key],) = broadcast("Bernoulli", **{key: x})
        super().__init__(self.given.shape, (), validate_args)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """0 or 1 in the dtype of the parameter."""
        with no_grad():
            return bernoulli(self.probs.expand(self._extended(sample_shape)))

    def log_prob(self, value: Any) -> Tensor:
        """x log p + (1 - x) log(1 - p) = x · logits - softplus(logits)"""
        x = self._value("log_prob", value, self.given)
        return x * self.logits - apply("softplus", self.logits)

    def entropy(self) -> Tensor:
        """-p log p - (1 - p) log(1 - p)"""
        return apply("softplus", self.logits) - self.probs * self.logits

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """0 and 1 along a new first axis."""
        return _enumerated(2, self, expand)

    @property
    def mean(self) -> Tensor:
        """p"""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """The likelier value; NaN where both are equally likely."""
        return where(self.probs.eq(0.5), math.nan, (self.probs > 0.5).to(self.probs.dtype))

    @property
    def variance(self) -> Tensor:
        """p (1 - p)"""
        return self.probs * (1 - self.probs)


def _enumerated(count: int, owner: Any, expand: bool) -> Tensor:
    """0 … count - 1 along a new first axis, in the dtype of the parameter."""
    ndim = len(owner.batch_shape)
    values = arange(count, dtype=owner.given.dtype).reshape((count, *[1] * ndim))
    return values.expand((count, *owner.batch_shape)) if expand else values


# ---- one of several ---------------------------------------------------------------------------------------------------------------


class _Choice(Odds, Distribution):
    """One of k outcomes with probabilities along the last axis, kept normalised: rows of probs with the sum 1, logits = log probs."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}  # noqa: RUF012
    _is_binary = False

    def _take(self, probs: Any, logits: Any) -> Tensor:
        name = type(self).__name__
        key, x = exactly_one(name, probs=probs, logits=logits)
        (x,) = as_tensors(name, **{key: x})
        if not x.ndim:
            raise ShapeError("{name}: {key} has shape (); expected (*, k), one number for each of k outcomes", name=name, key=key)
        self.__dict__[key] = x / x.sum(-1, keepdim=True) if key == "probs" else x.log_softmax(-1)
        return x

    def _drawn(self, shape: tuple[int, ...]) -> Tensor:
        """Indices, shape (*shape, *batch): where a uniform number falls among the running sums of the probabilities."""
        with no_grad():
            sums = self.probs.detach().double().cumsum(-1)
            count = sums.shape[-1]
            rows = sums.reshape((-1, count))  # (*batch, k) → (rows, k)
            level = uniform_noise((rows.shape[0], math.prod(shape))) * rows[:, -1:]
            found = rows.searchsorted(level, right=True).clamp(0, count - 1)
            return found.T.reshape((*shape, *self._batch_shape))

    def _negative_mean_log(self) -> Tensor:
        """-Σ p log p, 0 where p is 0."""
        smallest = dt.limits(self.given.dtype).min
        return -(self.probs * self.logits.clamp(min=smallest)).sum(-1)


class Categorical(_Choice):
    """P(i) = pᵢ for i in 0 … k - 1, given as `probs` ∝ p or as `logits` = log p + any constant.

    Shapes: probs or logits (*, k): batch_shape (*), draws are int64.

    Raises DataError for rows that are no probabilities, or where not exactly one of the two is given; ShapeError without an axis.

    >>> import danlu
    >>> danlu.distributions.Categorical(danlu.tensor([1.0, 3.0])).log_prob(danlu.tensor([0, 1]))
    tensor([-1.3863, -0.2877])
    """

    has_enumerate_support = True

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        super().__init__(self._take(probs, logits).shape[:-1], (), validate_args)

    @property
    def support(self) -> Constraint:  # type: ignore[override]
        """0 … k - 1"""
        return constraints.integer_interval(0, self.given.shape[-1] - 1)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Indices, int64."""
        self._extended(sample_shape)
        return self._drawn(tuple(sample_shape))

    def log_prob(self, value: Any) -> Tensor:
        """log pᵢ"""
        index = self._value("log_prob", value, self.given).to(dt.int64).unsqueeze(-1)
        shape = np.broadcast_shapes(tuple(index.shape[:-1]), tuple(self._batch_shape))
        rows = self.logits.expand((*shape, self.logits.shape[-1]))
        return rows.gather(-1, index.expand((*shape, 1))).squeeze(-1)

    def entropy(self) -> Tensor:
        """-Σ p log p"""
        return self._negative_mean_log()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """0 … k - 1 along a new first axis, int64."""
        return _enumerated(self.given.shape[-1], self, expand).to(dt.int64)

    @property
    def mean(self) -> Tensor:
        """NaN: the outcomes are names, not numbers."""
        return self.given[..., 0] * math.nan

    @property
    def mode(self) -> Tensor:
        """The likeliest outcome."""
        return self.given.argmax(-1)

    @property
    def variance(self) -> Tensor:
        """NaN, like the mean."""
        return self.mean


class OneHotCategorical(_Choice):
    """As Categorical, a draw as a row of zeros with a single 1.

    P(eᵢ) = pᵢ, eᵢ the row with 1 at i

    Shapes: probs or logits (*, k): batch_shape (*), event_shape (k).

    Raises DataError for rows that are no probabilities, or where not exactly one of the two is given; ShapeError without an axis.

    >>> import danlu
    >>> danlu.distributions.OneHotCategorical(danlu.tensor([0.0, 1.0])).sample()
    tensor([0., 1.])
    """

    support = constraints.one_hot
    has_enumerate_support = True

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        shape = self._take(probs, logits).shape
        super().__init__(shape[:-1], shape[-1:], validate_args)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Rows with a single 1, in the dtype of the parameter."""
        self._extended(sample_shape)
        return self._rows()[self._drawn(tuple(sample_shape))]

    def _rows(self) -> Tensor:
        return eye(self.given.shape[-1], dtype=self.given.dtype)

    def log_prob(self, value: Any) -> Tensor:
        """log p at the 1"""
        x = self._value("log_prob", value, self.given)
        return where(x.eq(0), 0.0, self.logits * x).sum(-1)

    def entropy(self) -> Tensor:
        """-Σ p log p"""
        return self._negative_mean_log()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """The rows of the identity along a new first axis."""
        count, batch = self.given.shape[-1], tuple(self._batch_shape)
        rows = self._rows().reshape((count, *[1] * len(batch), count))
        return rows.expand((count, *batch, count)) if expand else rows

    @property
    def mean(self) -> Tensor:
        """p"""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """The row of the likeliest outcome."""
        return self._rows()[self.given.argmax(-1)]

    @property
    def variance(self) -> Tensor:
        """p (1 - p)"""
        return self.probs * (1 - self.probs)


# ---- counts ---------------------------------------------------------------------------------------------------------------------


class Multinomial(_Choice):
    """How often each of k outcomes comes in n trials: P(x) = n! Π pₖ^xₖ / xₖ!, n = `total_count`.

    Shapes: probs or logits (*, k): batch_shape (*), event_shape (k).

    Raises DataError for a total_count that is no whole number ≥ 0, and as Categorical does.

    >>> import danlu
    >>> danlu.distributions.Multinomial(3, danlu.tensor([0.5, 0.5])).log_prob(danlu.tensor([1.0, 2.0]))
    tensor(-0.9808)
    """

    def __init__(self, total_count: int = 1, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        if not isinstance(total_count, int) or total_count < 0:
            raise DataError(
                "Multinomial: total_count is {total_count!r}; expected one whole number ≥ 0 for the whole batch",
                total_count=total_count,
            )
        self.total_count = total_count
        shape = self._take(probs, logits).shape
        super().__init__(shape[:-1], shape[-1:], validate_args)

    @property
    def support(self) -> Constraint:  # type: ignore[override]
        """Rows of whole numbers with the sum n."""
        return constraints.multinomial(self.total_count)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Rows of counts, in the dtype of the parameter."""
        shape = self._extended(sample_shape)
        drawn = self._drawn((*sample_shape, self.total_count))  # (*S, n, *B)
        drawn = drawn.movedim(len(sample_shape), -1)  # (*S, *B, n)
        counts = zeros(shape, dtype=self.given.dtype)
        return counts.scatter_add(-1, drawn, zeros(tuple(drawn.shape), dtype=counts.dtype) + 1)

    def log_prob(self, value: Any) -> Tensor:
        """log n! - Σ log xₖ! + Σ xₖ log pₖ"""
        x = self._value("log_prob", value, self.given)
        chances = where(x.eq(0), 0.0, x * self.logits)
        return (chances - (x + 1).lgamma()).sum(-1) + (x.sum(-1) + 1).lgamma()

    def entropy(self) -> Tensor:
        """n H(p) - log n! + Σₖ E log xₖ!, each count xₖ binomial."""
        n = self.total_count
        counts = Binomial(n, self.probs, validate_args=False)
        values = counts.enumerate_support(expand=False)[1:]  # 0! has the logarithm 0
        expected = (counts.log_prob(values).exp() * (values + 1).lgamma()).sum(0).sum(-1)
        return n * self._negative_mean_log() - math.lgamma(n + 1) + expected

    @property
    def mean(self) -> Tensor:
        """n p"""
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        """n p (1 - p)"""
        return self.total_count * self.probs * (1 - self.probs)

    def __repr__(self) -> str:
        return super().__repr__().replace("(", f"(total_count: {self.total_count}, ", 1)


class Binomial(Odds, Distribution):
    """How many of n trials succeed, each with probability p: P(x) = n! / x! (n - x)! · pˣ (1 - p)ⁿ⁻ˣ, n = `total_count`.

    Shapes: total_count (a number or a tensor) and probs or logits are broadcast to batch_shape.

    Raises DataError for a probability outside [0, 1] or a count that is no whole number ≥ 0, or where not exactly one of probs and
    logits is given.

    >>> import danlu
    >>> danlu.distributions.Binomial(3, danlu.tensor(0.5)).log_prob(danlu.tensor([0.0, 1.0]))
    tensor([-2.0794, -0.9808])
    """

    arg_constraints = {  # noqa: RUF012
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True

    def __init__(self, total_count: Any = 1, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        key, x = exactly_one("Binomial", probs=probs, logits=logits)
        if isinstance(total_count, Tensor) and isinstance(x, Tensor):
            total_count = total_count.to(x.dtype)
        self.total_count, self.__dict__[key] = broadcast("Binomial", **{"total_count": total_count, key: x})
        super().__init__(self.total_count.shape, (), validate_args)

    @property
    def support(self) -> Constraint:  # type: ignore[override]
        """0 … n"""
        return constraints.integer_interval(0, self.total_count)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Whole numbers in the dtype of the parameter."""
        shape = self._extended(sample_shape)
        with no_grad():
            return binomial(self.total_count.expand(shape), self.probs.expand(shape))

    def log_prob(self, value: Any) -> Tensor:
        """log n! - log x! - log (n - x)! + x · logits - n softplus(logits)"""
        x, n = self._value("log_prob", value, self.given), self.total_count
        ways = (n + 1).lgamma() - (x + 1).lgamma() - (n - x + 1).lgamma()
        return ways + x * self.logits - n * apply("softplus", self.logits)

    def entropy(self) -> Tensor:
        """-Σ p log p over 0 … n."""
        log_p = self.log_prob(self.enumerate_support(expand=False))
        return -(log_p.exp() * log_p).sum(0)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """0 … n along a new first axis, for one n in the whole batch."""
        n = int(self.total_count.max().item())
        if int(self.total_count.min().item()) != n:
            raise DataError(
                "Binomial: enumerate_support and entropy need one total_count in the whole batch; ask each distribution by itself"
            )
        return _enumerated(n + 1, self, expand)

    @property
    def mean(self) -> Tensor:
        """n p"""
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        """⌊(n + 1) p⌋, at most n"""
        return ((self.total_count + 1) * self.probs).floor().minimum(self.total_count)

    @property
    def variance(self) -> Tensor:
        """n p (1 - p)"""
        return self.total_count * self.probs * (1 - self.probs)


class Poisson(Distribution):
    """P(x) = λˣ e^(-λ) / x! for x = 0, 1, 2 …, λ = `rate`.

    Shapes: rate gives batch_shape.

    Raises DataError for a rate below 0.

    >>> import danlu
    >>> danlu.distributions.Poisson(2.0).log_prob(danlu.tensor([0.0, 1.0]))
    tensor([-2.0000, -1.3069])
    """

    arg_constraints = {"rate": constraints.nonnegative}  # noqa: RUF012
    support = constraints.nonnegative_integer

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast("Poisson", rate=rate)
        super().__init__(self.rate.shape, (), validate_args)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Whole numbers in the dtype of the rate."""
        with no_grad():
            return poisson(self.rate.expand(self._extended(sample_shape)))

    def log_prob(self, value: Any) -> Tensor:
        """x log λ - λ - log x!"""
        x = self._value("log_prob", value, self.rate)
        return xlogy(x, self.rate) - self.rate - (x + 1).lgamma()

    @property
    def mean(self) -> Tensor:
        """λ"""
        return self.rate

    @property
    def mode(self) -> Tensor:
        """⌊λ⌋"""
        return self.rate.floor()

    @property
    def variance(self) -> Tensor:
        """λ"""
        return self.rate
