"""L6. Kullback and Leibler's divergence between two distributions, where it has a closed form; others register theirs here.

A pair whose first distribution has draws that the second one gives no density is infinitely far apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from danlu.distributions.continuous import Exponential, Laplace, Uniform
from danlu.distributions.discrete import (
    Bernoulli,
    Binomial,
    Categorical,
    Multinomial,
    OneHotCategorical,
    Poisson,
)
from danlu.distributions.distribution import Distribution, Independent
from danlu.distributions.gamma import Beta, Dirichlet, Gamma
from danlu.distributions.normal import LOG_TWO_PI, LogNormal, MultivariateNormal, Normal
from danlu.errors import DTypeError, ShapeError
from danlu.functions import xlogy
from danlu.linalg import solve_triangular
from danlu.messages import message
from danlu.ops.table import broadcast_shapes
from danlu.tensor import Tensor, apply
from danlu.tensor.creation import where

Formula = Callable[[Any, Any], Tensor]
_FORMULAS: dict[tuple[type, type], Formula] = {}
EULER = 0.5772156649015329  # -ψ(1)


def register_kl(type_p: type, type_q: type) -> Callable[[Formula], Formula]:
    """Registers a function (p, q) → divergence for two classes of distributions (and their subclasses), as a decorator.

    Raises DTypeError for what is no class of distributions.

    >>> import danlu
    >>> from danlu.distributions import Normal, kl_divergence, register_kl
    >>> class Fixed(Normal):
    ...     pass
    >>> @register_kl(Fixed, Fixed)
    ... def fixed_fixed(p, q):
    ...     return (p.loc - q.loc) ** 2
    >>> kl_divergence(Fixed(0.0, 1.0), Fixed(3.0, 1.0))
    tensor(9.)
    """
    for given in (type_p, type_q):
        if not (isinstance(given, type) and issubclass(given, Distribution)):
            raise DTypeError("register_kl: {given!r} is no class of distributions; expected for example Normal", given=given)

    def decorate(formula: Formula) -> Formula:
        _FORMULAS[type_p, type_q] = formula
        return formula

    return decorate


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """∫ p(x) log p(x) / q(x) dx, in nats.

    Shapes: the batch shapes of p and q are broadcast.

    Raises NotImplementedError for a pair without a closed form here.

    >>> import danlu
    >>> from danlu.distributions import Normal, kl_divergence
    >>> kl_divergence(Normal(0.0, 1.0), Normal(1.0, 1.0))
    tensor(0.5000)
    """
    fitting = [pair for pair in _FORMULAS if isinstance(p, pair[0]) and isinstance(q, pair[1])]
    if not fitting:
        names = type(p).__name__, type(q).__name__
        raise NotImplementedError(
            message(
                "kl_divergence of {first} and {second} has no closed form here; register one with @register_kl({first}, "
                "{second}), or average p.log_prob(x) - q.log_prob(x) over draws x = p.sample((10000,))",
                first=names[0],
                second=names[1],
            )
        )
    ways = type(p).__mro__, type(q).__mro__
    return _FORMULAS[min(fitting, key=lambda pair: ways[0].index(pair[0]) + ways[1].index(pair[1]))](p, q)


def _infinite(p: Distribution, q: Distribution) -> Tensor:
    """∞ for every pair of the batch."""
    return (p.mean * 0 + q.mean * 0) + math.inf


# ---- two of one kind ------------------------------------------------------------------------------------------------------------


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    """p log p/q + (1 - p) log (1 - p)/(1 - q), from the logits where they are far out."""
    no, yes = 1 - p.probs, p.probs
    left = where(yes > 0, yes * (_log_yes(p) - _log_yes(q)), 0.0)
    return left + where(no > 0, no * (_log_no(p) - _log_no(q)), 0.0)


def _log_yes(d: Any) -> Tensor:
    return -apply("softplus", -d.logits)


def _log_no(d: Any) -> Tensor:
    return -apply("softplus", d.logits)


@register_kl(Binomial, Binomial)
def _binomial(p: Binomial, q: Binomial) -> Tensor:
    """n times that of one trial, ∞ where p counts further than q; no closed form where it counts less far."""
    if bool((p.total_count < q.total_count).any()):
        raise NotImplementedError(
            message(
                "kl_divergence of two Binomials has no closed form where the total_count of p is below that of q; average over draws"
            )
        )
    return where(p.total_count > q.total_count, math.inf, p.total_count * _bernoulli(p, q))  # type: ignore[arg-type]


def _choice(p: Any, q: Any) -> Tensor:
    """Σ p (log p - log q), 0 where p is 0 and ∞ where q alone is."""
    terms = p.probs * (p.logits - q.logits)
    terms = where(q.probs.eq(0), math.inf, terms)
    return where(p.probs.eq(0), 0.0, terms).sum(-1)


register_kl(Categorical, Categorical)(_choice)
register_kl(OneHotCategorical, OneHotCategorical)(_choice)


@register_kl(Multinomial, Multinomial)
def _multinomial(p: Multinomial, q: Multinomial) -> Tensor:
    if p.total_count != q.total_count:
        raise NotImplementedError(
            message(
                "kl_divergence of Multinomials of {first} and {second} trials has no closed form; give both one total_count",
                first=p.total_count,
                second=q.total_count,
            )
        )
    return p.total_count * _choice(p, q)


@register_kl(Poisson, Poisson)
def _poisson(p: Poisson, q: Poisson) -> Tensor:
    return xlogy(p.rate, p.rate) - xlogy(p.rate, q.rate) - (p.rate - q.rate)


@register_kl(Normal, Normal)
def _normal(p: Normal, q: Normal) -> Tensor:
    """(σ²/τ² + ((μ - ν)/τ)² - 1 - log σ²/τ²) / 2"""
    ratio = (p.scale / q.scale) ** 2
    return (ratio + ((p.loc - q.loc) / q.scale) ** 2 - 1 - ratio.log()) / 2


@register_kl(LogNormal, LogNormal)
def _log_normal(p: LogNormal, q: LogNormal) -> Tensor:
    """That of the logarithms: a change of variable keeps it."""
    return _normal(p.logarithm, q.logarithm)


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
    """(tr Σq⁻¹ Σp + |Lq⁻¹(μp - μq)|² - d) / 2 + log det Lq - log det Lp"""
    d = p.event_shape[0]
    if d != q.event_shape[0]:
        raise ShapeError(
            "kl_divergence: MultivariateNormals of {first} and {second} components; expected one number of them",
            first=d,
            second=q.event_shape[0],
        )
    shape = broadcast_shapes("kl_divergence", [tuple(p.batch_shape), tuple(q.batch_shape)])
    factors = [x.scale_tril.expand((*shape, d, d)) for x in (q, p)]
    trace = solve_triangular(*factors, upper=False).square().sum((-2, -1))
    return (trace + q.squared_distance(p.loc - q.loc) - d) / 2 + q.half_log_det() - p.half_log_det()


@register_kl(Uniform, Uniform)
def _uniform(p: Uniform, q: Uniform) -> Tensor:
    """log of the ratio of the widths, ∞ where p reaches out of q."""
    return where((q.low > p.low) | (q.high < p.high), math.inf, (q.width / p.width).log())


@register_kl(Exponential, Exponential)
def _exponential(p: Exponential, q: Exponential) -> Tensor:
    """r - 1 - log r, r the rate of q over that of p"""
    ratio = q.rate / p.rate
    return ratio - 1 - ratio.log()


@register_kl(Laplace, Laplace)
def _laplace(p: Laplace, q: Laplace) -> Tensor:
    """(b e^(-t/b) + t) / c - 1 + log c/b, t = |μ - ν|"""
    distance = (p.loc - q.loc).abs()
    return (p.scale * (-distance / p.scale).exp() + distance) / q.scale - 1 + (q.scale / p.scale).log()


@register_kl(Gamma, Gamma)
def _gamma(p: Gamma, q: Gamma) -> Tensor:
    """α' log β/β' + log Γ(α')/Γ(α) + (α - α') ψ(α) + α (β'/β - 1)"""
    a, b = p.concentration, q.concentration
    return b * (p.rate / q.rate).log() + b.lgamma() - a.lgamma() + (a - b) * a.digamma() + a * (q.rate / p.rate - 1)


@register_kl(Beta, Beta)
def _beta(p: Beta, q: Beta) -> Tensor:
    return _dirichlet(p.dirichlet, q.dirichlet)


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Dirichlet, q: Dirichlet) -> Tensor:
    """The difference of the log normalisers + Σ (α - α') (ψ(α) - ψ(Σα))"""
    a, b = p.concentration, q.concentration
    return q.log_normalizer() - p.log_normalizer() + ((a - b) * (a.digamma() - p.total.digamma())).sum(-1)


@register_kl(Independent, Independent)
def _independent(p: Independent, q: Independent) -> Tensor:
    """Σ over the axes of the event."""
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise ShapeError(
            "kl_divergence: Independent over {first} and over {second} axes; expected the same",
            first=p.reinterpreted_batch_ndims,
            second=q.reinterpreted_batch_ndims,
        )
    return p.summed(kl_divergence(p.base_dist, q.base_dist))


# ---- two kinds: -entropy of p, less the expectation of log q under p -----------------------------------------------------------------


def _squared_distance(p: Distribution, centre: Tensor) -> Tensor:
    """E (x - centre)²"""
    return p.variance + (p.mean - centre) ** 2


@register_kl(Beta, Normal)
@register_kl(Exponential, Normal)
@register_kl(Gamma, Normal)
@register_kl(Laplace, Normal)
@register_kl(Uniform, Normal)
@register_kl(LogNormal, Normal)
def _any_normal(p: Distribution, q: Normal) -> Tensor:
    """log q is a parabola: mean and variance of p are enough."""
    return -p.entropy() + _squared_distance(p, q.loc) / (2 * q.variance) + q.scale.log() + LOG_TWO_PI / 2


@register_kl(Beta, Exponential)
@register_kl(Gamma, Exponential)
@register_kl(LogNormal, Exponential)
def _positive_exponential(p: Distribution, q: Exponential) -> Tensor:
    """log q is a line: the mean of p is enough."""
    return -p.entropy() - q.rate.log() + q.rate * p.mean


@register_kl(Uniform, Exponential)
def _uniform_exponential(p: Uniform, q: Exponential) -> Tensor:
    return where(p.low < 0, math.inf, _positive_exponential(p, q))


def _against_gamma(p: Distribution, q: Gamma, mean_log: Tensor) -> Tensor:
    """log q is α log β - log Γ(α) + (α - 1) log x - βx."""
    a = q.concentration
    return -p.entropy() - a * q.rate.log() + a.lgamma() - (a - 1) * mean_log + q.rate * p.mean


@register_kl(Exponential, Gamma)
def _exponential_gamma(p: Exponential, q: Gamma) -> Tensor:
    return _against_gamma(p, q, -EULER - p.rate.log())


@register_kl(Beta, Gamma)
def _beta_gamma(p: Beta, q: Gamma) -> Tensor:
    return _against_gamma(p, q, p.concentration1.digamma() - p.total.digamma())


@register_kl(LogNormal, Gamma)
def _log_normal_gamma(p: LogNormal, q: Gamma) -> Tensor:
    return _against_gamma(p, q, p.loc)


def _mean_log(low: Tensor, high: Tensor) -> Tensor:
    """E log x of x uniform between low ≥ 0 and high"""
    return (xlogy(high, high) - xlogy(low, low)) / (high - low) - 1


@register_kl(Uniform, Gamma)
def _uniform_gamma(p: Uniform, q: Gamma) -> Tensor:
    low, high = _inside(p, 0.0, math.inf)
    return where(p.low < 0, math.inf, _against_gamma(p, q, _mean_log(low, high)))


@register_kl(Uniform, Beta)
def _uniform_beta(p: Uniform, q: Beta) -> Tensor:
    low, high = _inside(p, 0.0, 1.0)
    powers = (q.concentration1 - 1) * _mean_log(low, high) + (q.concentration0 - 1) * _mean_log(1 - high, 1 - low)
    return where((p.low < 0) | (p.high > 1), math.inf, -p.entropy() - powers + q.log_normalizer())


def _inside(p: Uniform, least: float, most: float) -> tuple[Tensor, Tensor]:
    """The ends where both lie between these bounds, else 0 and 1: a logarithm of what is not taken would be NaN."""
    fits = (p.low >= least) & (p.high <= most)
    return where(fits, p.low, 0.0), where(fits, p.high, 1.0)


@register_kl(Normal, Laplace)
def _normal_laplace(p: Normal, q: Laplace) -> Tensor:
    """E |x - ν| = σ √(2/π) e^(-z²/2) + (μ - ν) erf(z/√2), z = (μ - ν)/σ"""
    z = (p.loc - q.loc) / p.scale
    distance = p.scale * (math.sqrt(2 / math.pi) * (-z * z / 2).exp() + z * (z / math.sqrt(2)).erf())
    return -p.entropy() + distance / q.scale + (2 * q.scale).log()


@register_kl(Beta, Uniform)
def _beta_uniform(p: Beta, q: Uniform) -> Tensor:
    """0 … 1 must lie inside."""
    return where((q.low > 0) | (q.high < 1), math.inf, -p.entropy() + q.width.log())


@register_kl(Bernoulli, Poisson)
def _bernoulli_poisson(p: Bernoulli, q: Poisson) -> Tensor:
    """log q is x log λ - λ for x = 0 and 1."""
    return -p.entropy() - xlogy(p.probs, q.rate) + q.rate


# (p, q): q gives no density to some draws of p.
for _first, _second in (
    *((real, positive) for real in (Normal, Laplace) for positive in (Exponential, Gamma, LogNormal)),
    *((unbounded, bounded) for unbounded in (Normal, Laplace, Exponential, Gamma, LogNormal) for bounded in (Uniform, Beta)),
    (Poisson, Bernoulli),
    (Poisson, Binomial),
):
    register_kl(_first, _second)(_infinite)
