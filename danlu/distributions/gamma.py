"""L6. The gamma distribution and what is made of it: Beta and Dirichlet. Draws are differentiable in the concentrations.

A Dirichlet draw is the softmax of the logarithms of gamma draws: where concentrations are so small that the draws themselves would all
be 0, the shares are still right. Its derivative is that of the gamma draws along their quantile functions; it is as unbiased as, but
not draw by draw the same as, one along the quantile function of a Beta.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from danlu.distributions import constraints
from danlu.distributions.distribution import Distribution, as_tensors, broadcast
from danlu.dtype import limits
from danlu.errors import ShapeError
from danlu.functions import xlogy
from danlu.random import log_gamma_noise
from danlu.tensor import Tensor, apply
from danlu.tensor.creation import stack, where, zeros_like


class Gamma(Distribution):
    """p(x) = βᵅ x^(α-1) e^(-βx) / Γ(α) for x ≥ 0, α = `concentration`, β = `rate`.

    Shapes: concentration and rate are broadcast to batch_shape.

    Raises DataError for a parameter ≤ 0, ShapeError where the shapes do not fit.

    Sources: Marsaglia & Tsang 2000 (draws); Figurnov, Mohamed & Mnih 2018, equation 5 (their derivative).

    >>> import danlu
    >>> danlu.distributions.Gamma(2.0, 4.0).mean
    tensor(0.5000)
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}  # noqa: RUF012
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = broadcast("Gamma", concentration=concentration, rate=rate)
        super().__init__(self.concentration.shape, (), validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """A draw for rate 1 divided by the rate; never below the smallest float."""
        dtype = self.concentration.dtype
        log_x = log_gamma_noise(self.concentration.expand(self._extended(sample_shape)))
        return log_x.clamp(min=math.log(limits(dtype).tiny)).exp().to(dtype) / self.rate

    def log_prob(self, value: Any) -> Tensor:
        """α log β + (α - 1) log x - βx - log Γ(α)"""
        x, a = self._value("log_prob", value, self.rate), self.concentration
        return a * self.rate.log() + xlogy(a - 1, x) - self.rate * x - a.lgamma()

    def cdf(self, value: Any) -> Tensor:
        """P(α, βx), the regularised incomplete gamma function; differentiable in all three."""
        return apply("igamma", self.concentration, self.rate * self._value("cdf", value, self.rate))

    def entropy(self) -> Tensor:
        """α - log β + log Γ(α) + (1 - α) ψ(α)"""
        a = self.concentration
        return a - self.rate.log() + a.lgamma() + (1 - a) * a.digamma()

    @property
    def mean(self) -> Tensor:
        """α / β"""
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        """(α - 1) / β, and 0 for α < 1"""
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Tensor:
        """α / β²"""
        return self.concentration / self.rate**2


class Beta(Distribution):
    """p(x) = x^(α-1) (1 - x)^(β-1) Γ(α + β) / Γ(α) Γ(β) for 0 ≤ x ≤ 1, α = `concentration1`, β = `concentration0`.

    Shapes: the two concentrations are broadcast to batch_shape.

    Raises DataError for a concentration ≤ 0, ShapeError where the shapes do not fit.

    >>> import danlu
    >>> danlu.distributions.Beta(1.0, 3.0).mean
    tensor(0.2500)
    """

    arg_constraints = {"concentration1": constraints.positive, "concentration0": constraints.positive}  # noqa: RUF012
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None) -> None:
        made = broadcast("Beta", concentration1=concentration1, concentration0=concentration0)
        self.concentration1, self.concentration0 = made
        super().__init__(self.concentration1.shape, (), validate_args)

    @property
    def total(self) -> Tensor:
        """α + β"""
        return self.concentration1 + self.concentration0

    @property
    def dirichlet(self) -> Dirichlet:
        """The distribution of (x, 1 - x)."""
        return Dirichlet(stack([self.concentration1, self.concentration0], -1), validate_args=False)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """The first share of two gamma draws."""
        self._extended(sample_shape)
        return self.dirichlet.rsample(sample_shape)[..., 0]

    def log_prob(self, value: Any) -> Tensor:
        """(α - 1) log x + (β - 1) log(1 - x) - log B(α, β)"""
        x = self._value("log_prob", value, self.concentration1)
        return xlogy(self.concentration1 - 1, x) + xlogy(self.concentration0 - 1, 1 - x) - self.log_normalizer()

    def log_normalizer(self) -> Tensor:
        """log B(α, β) = log Γ(α) + log Γ(β) - log Γ(α + β)"""
        return self.concentration1.lgamma() + self.concentration0.lgamma() - self.total.lgamma()

    def entropy(self) -> Tensor:
        """log B(α, β) - (α - 1) ψ(α) - (β - 1) ψ(β) + (α + β - 2) ψ(α + β)"""
        a, b, total = self.concentration1, self.concentration0, self.total
        inner = (a - 1) * a.digamma() + (b - 1) * b.digamma()
        return self.log_normalizer() - inner + (total - 2) * total.digamma()

    @property
    def mean(self) -> Tensor:
        """α / (α + β)"""
        return self.concentration1 / self.total

    @property
    def mode(self) -> Tensor:
        """(α - 1) / (α + β - 2) where both exceed 1; else the end of the larger concentration."""
        return self.dirichlet.mode[..., 0]

    @property
    def variance(self) -> Tensor:
        """αβ / (α + β)² (α + β + 1)"""
        return self.concentration1 * self.concentration0 / (self.total**2 * (self.total + 1))


class Dirichlet(Distribution):
    """p(x) = Γ(Σα) Π xₖ^(αₖ-1) / Γ(αₖ) for shares x ≥ 0 with the sum 1, α = `concentration`.

    Shapes: concentration (*, k): batch_shape (*), event_shape (k).

    Raises DataError for a concentration ≤ 0, ShapeError for one without an axis.

    >>> import danlu
    >>> danlu.distributions.Dirichlet(danlu.tensor([1.0, 3.0])).mean
    tensor([0.2500, 0.7500])
    """

    arg_constraints = {"concentration": constraints.positive_vector}  # noqa: RUF012
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration: Tensor, validate_args: bool | None = None) -> None:
        (self.concentration,) = as_tensors("Dirichlet", concentration=concentration)
        if not self.concentration.ndim:
            raise ShapeError("Dirichlet: concentration has shape (); expected (*, k), one number for each of k shares")
        super().__init__(self.concentration.shape[:-1], self.concentration.shape[-1:], validate_args)

    @property
    def total(self) -> Tensor:
        """Σα, the axis kept."""
        return self.concentration.sum(-1, keepdim=True)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """The shares of gamma draws."""
        log_x = log_gamma_noise(self.concentration.expand(self._extended(sample_shape)))
        return log_x.softmax(-1).to(self.concentration.dtype)

    def log_prob(self, value: Any) -> Tensor:
        """Σ (α - 1) log x + log Γ(Σα) - Σ log Γ(α)"""
        x = self._value("log_prob", value, self.concentration)
        return xlogy(self.concentration - 1, x).sum(-1) - self.log_normalizer()

    def log_normalizer(self) -> Tensor:
        """Σ log Γ(α) - log Γ(Σα)"""
        return self.concentration.lgamma().sum(-1) - self.concentration.sum(-1).lgamma()

    def entropy(self) -> Tensor:
        """log normaliser + (Σα - k) ψ(Σα) - Σ (α - 1) ψ(α)"""
        a, total = self.concentration, self.concentration.sum(-1)
        return self.log_normalizer() + (total - a.shape[-1]) * total.digamma() - ((a - 1) * a.digamma()).sum(-1)

    @property
    def mean(self) -> Tensor:
        """α / Σα"""
        return self.concentration / self.total

    @property
    def mode(self) -> Tensor:
        """(α - 1) / Σ(α - 1), what is below 0 taken as 0; where all are, all of it at the largest concentration."""
        over = (self.concentration - 1).clamp(min=0)
        total = over.sum(-1, keepdim=True)
        largest = self.concentration.argmax(-1, keepdim=True)
        corner = zeros_like(over).scatter(-1, largest, 1.0)
        return where(total > 0, over / where(total > 0, total, 1.0), corner)

    @property
    def variance(self) -> Tensor:
        """α (Σα - α) / (Σα)² (Σα + 1)"""
        return self.concentration * (self.total - self.concentration) / (self.total**2 * (self.total + 1))
