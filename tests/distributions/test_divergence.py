"""Divergences: against the mean of log p/q over draws, against integrals, and as a register."""

from __future__ import annotations

import math

import numpy as np
import pytest

import danlu
from danlu import distributions as d
from danlu.distributions import kl_divergence, register_kl

F = danlu.float64


def t(*values: float) -> danlu.Tensor:
    return danlu.tensor(values, dtype=F)


MATRIX = danlu.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=F)
PAIRS = [
    (d.Normal(t(0.3), t(0.8)), d.Normal(t(-0.5), t(1.5))),
    (d.LogNormal(t(0.3), t(0.5)), d.LogNormal(t(0.0), t(1.0))),
    (d.MultivariateNormal(t(0.3, 1.0), MATRIX), d.MultivariateNormal(t(0.0, 0.5), precision_matrix=MATRIX)),
    (d.Uniform(t(0.0), t(1.0)), d.Uniform(t(-1.0), t(2.0))),
    (d.Exponential(t(1.5)), d.Exponential(t(0.7))),
    (d.Laplace(t(0.3), t(0.8)), d.Laplace(t(-0.5), t(1.5))),
    (d.Gamma(t(2.5), t(1.5)), d.Gamma(t(1.2), t(0.8))),
    (d.Beta(t(2.5), t(1.5)), d.Beta(t(1.2), t(0.8))),
    (d.Dirichlet(t(2.5, 1.0, 0.8)), d.Dirichlet(t(1.0, 1.5, 1.2))),
    (d.Bernoulli(t(0.3)), d.Bernoulli(t(0.6))),
    (d.Binomial(4, t(0.3)), d.Binomial(4, t(0.6))),
    (d.Poisson(t(2.0)), d.Poisson(t(3.5))),
    (d.Categorical(t(0.2, 0.3, 0.5)), d.Categorical(t(0.4, 0.4, 0.2))),
    (d.OneHotCategorical(t(0.2, 0.3, 0.5)), d.OneHotCategorical(t(0.4, 0.4, 0.2))),
    (d.Multinomial(3, t(0.2, 0.3, 0.5)), d.Multinomial(3, t(0.4, 0.4, 0.2))),
    (d.Independent(d.Normal(t(0.3, 1.0), 1.0), 1), d.Independent(d.Normal(t(0.0, 0.5), 2.0), 1)),
    *((p, d.Normal(t(0.4), t(1.3))) for p in (d.Beta(t(2.5), t(1.5)), d.Exponential(t(1.5)), d.Gamma(t(2.5), t(1.5)),
                                              d.Laplace(t(0.3), t(0.8)), d.Uniform(t(-0.5), t(1.0)), d.LogNormal(t(0.3), t(0.4)))),
    *((p, d.Exponential(t(1.3))) for p in (d.Beta(t(2.5), t(1.5)), d.Gamma(t(2.5), t(1.5)), d.Uniform(t(0.5), t(1.0)),
                                           d.LogNormal(t(0.3), t(0.4)))),
    *((p, d.Gamma(t(1.7), t(1.3))) for p in (d.Beta(t(2.5), t(1.5)), d.Exponential(t(1.5)), d.Uniform(t(0.5), t(1.0)),
                                             d.LogNormal(t(0.3), t(0.4)))),
    (d.Uniform(t(0.2), t(0.7)), d.Beta(t(1.7), t(1.3))),
    (d.Normal(t(0.3), t(0.8)), d.Laplace(t(-0.5), t(1.5))),
    (d.Beta(t(2.5), t(1.5)), d.Uniform(t(-1.0), t(2.0))),
    (d.Bernoulli(t(0.3)), d.Poisson(t(0.6))),
]  # fmt: skip
NAMES = [f"{type(p).__name__}-{type(q).__name__}" for p, q in PAIRS]


@pytest.mark.parametrize("p, q", PAIRS, ids=NAMES)
def test_it_is_the_mean_of_the_log_ratio(p, q):
    x = p.sample((20_000,))
    ratio = (p.log_prob(x) - q.log_prob(x)).double().numpy()
    error = 3.9 * ratio.std(0) / math.sqrt(len(ratio)) + 1e-6  # 3.9 standard errors: once in 10,000
    assert (np.abs(kl_divergence(p, q).numpy() - ratio.mean(0)) < error).all()


@pytest.mark.parametrize(
    "p, q", [(p, q) for p, q in PAIRS if type(p) is type(q)], ids=[n for n in NAMES if len(set(n.split("-"))) == 1]
)
def test_nothing_is_far_from_itself(p, q):
    assert kl_divergence(p, p).abs().max().item() < 1e-12
    assert (kl_divergence(p, q) > 0).all().item()


def test_what_the_second_gives_no_density_is_infinitely_far():
    normal, uniform, gamma, beta = d.Normal(danlu.zeros(2), 1.0), d.Uniform(0.0, 1.0), d.Gamma(1.0, 1.0), d.Beta(2.0, 2.0)
    for p, q in ((normal, uniform), (normal, gamma), (normal, beta), (gamma, uniform), (d.Poisson(1.0), d.Bernoulli(0.5)),
                 (d.Laplace(0.0, 1.0), d.Exponential(1.0)), (d.Uniform(-1.0, 1.0), d.Exponential(1.0)), (d.Uniform(-1.0, 1.0), gamma),
                 (d.Uniform(0.0, 2.0), beta), (d.Uniform(0.0, 2.0), uniform), (beta, d.Uniform(0.1, 1.0)),
                 (d.Binomial(4, danlu.tensor(0.3)), d.Binomial(3, danlu.tensor(0.3))), (d.LogNormal(0.0, 1.0), beta)):  # fmt: skip
        assert kl_divergence(p, q).isposinf().all().item(), (p, q)
    assert kl_divergence(normal, uniform).shape == (2,)
    assert kl_divergence(d.Categorical(t(0.5, 0.5)), d.Categorical(t(1.0, 0.0))).item() == math.inf
    assert kl_divergence(d.Categorical(t(1.0, 0.0)), d.Categorical(t(0.5, 0.5))).item() == pytest.approx(math.log(2))
    assert kl_divergence(d.Bernoulli(t(0.0, 1.0)), d.Bernoulli(t(0.5, 0.5))).tolist() == pytest.approx([math.log(2)] * 2)


def test_batches_are_broadcast():
    p, q = d.Normal(danlu.zeros(3, 1), 1.0), d.Normal(danlu.ones(2), 1.0)
    assert kl_divergence(p, q).shape == (3, 2)
    many = d.MultivariateNormal(danlu.zeros(3, 1, 2), danlu.eye(2)), d.MultivariateNormal(danlu.ones(4, 2), danlu.eye(2))
    np.testing.assert_allclose(kl_divergence(*many).numpy(), np.ones((3, 4)), rtol=1e-6)


def test_it_is_differentiable():
    loc = danlu.tensor([0.5], dtype=F, requires_grad=True)
    kl_divergence(d.Normal(loc, 1.0), d.Normal(0.0, 2.0)).sum().backward()
    np.testing.assert_allclose(loc.grad.numpy(), [0.5 / 4])


def test_the_nearest_registered_pair_is_taken():
    class Narrow(d.Normal):
        pass

    @register_kl(Narrow, d.Normal)
    def narrow(p, q):
        return p.loc * 0 + 7.0

    one, other = Narrow(0.0, 1.0), d.Normal(1.0, 1.0)
    assert kl_divergence(one, other).item() == kl_divergence(one, one).item() == 7.0
    assert kl_divergence(other, one).item() == 0.5
