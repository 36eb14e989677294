"""Densities, distribution functions, moments and entropies against SciPy, and shapes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from families import CASES, COVARIANCE, DISCRETE, IDS, SCIPY, made

import danlu
from danlu import distributions

stats = pytest.importorskip("scipy.stats", reason="SciPy comes with scikit-learn, in the extra [test]")
NUMBERS = [(name, given) for name, given in CASES if name in SCIPY]
of_numbers = pytest.mark.parametrize("name, given", NUMBERS, ids=[i for i, (n, _) in zip(IDS, CASES) if n in SCIPY])
LEVELS = np.array([0.02, 0.3, 0.5, 0.9, 0.999])


def close(found: danlu.Tensor, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-9, atol=1e-12)


def inside(name: str, reference) -> np.ndarray:
    """Values of the distribution, a new axis first."""
    levels = LEVELS.reshape(-1, *[1] * len(np.shape(reference.mean())))
    return reference.ppf(levels)


@of_numbers
def test_log_prob_and_cdf(name, given):
    d, reference = made(name, given), SCIPY[name](stats, given)
    x = inside(name, reference)
    close(d.log_prob(danlu.tensor(x)), (reference.logpmf if name in DISCRETE else reference.logpdf)(x))
    if name not in DISCRETE | {"Beta"}:
        close(d.cdf(danlu.tensor(x)), reference.cdf(x))


@of_numbers
def test_moments_and_entropy(name, given):
    d, reference = made(name, given), SCIPY[name](stats, given)
    close(d.mean, reference.mean())
    close(d.variance, reference.var())
    close(d.stddev, reference.std())
    if name != "Poisson":
        close(d.entropy(), reference.entropy())
        close(d.perplexity(), np.exp(reference.entropy()))


@of_numbers
def test_the_mode_has_the_largest_density(name, given):
    if name == "Uniform":
        assert made(name, given).mode.isnan().all()
        return
    d, reference = made(name, given), SCIPY[name](stats, given)
    density = reference.pmf if name in DISCRETE else reference.pdf
    step = 1.0 if name in DISCRETE else 1e-3
    mode = d.mode.numpy()
    for other in (mode - step, mode + step):
        assert (np.nan_to_num(density(other)) <= density(mode) * (1 + 1e-12)).all()


@pytest.mark.parametrize("name", ["Normal", "LogNormal", "Uniform", "Exponential", "Laplace"])
def test_icdf(name):
    given = dict(CASES)[name]
    d, reference = made(name, given), SCIPY[name](stats, given)
    levels = LEVELS.reshape(-1, *[1] * len(d.batch_shape))
    np.testing.assert_allclose(d.icdf(danlu.tensor(levels)).numpy(), reference.ppf(levels), rtol=1e-8)
    np.testing.assert_allclose(d.cdf(d.icdf(danlu.tensor(levels))).numpy(), np.broadcast_to(levels, (5, *d.batch_shape)))
    assert made(name, given).icdf(0.5).shape == d.batch_shape


def test_dirichlet():
    a = np.array([[1.5, 2.0, 3.0], [0.2, 4.0, 1.0]])
    d = distributions.Dirichlet(danlu.tensor(a))
    x = np.array([0.2, 0.5, 0.3])
    references = [stats.dirichlet(row) for row in a]
    close(d.log_prob(danlu.tensor(x)), np.array([r.logpdf(x) for r in references]))
    close(d.mean, np.array([r.mean() for r in references]))
    close(d.variance, np.array([r.var() for r in references]))
    close(d.entropy(), np.array([r.entropy() for r in references]))
    close(d.mode, np.array([[0.5 / 3.5, 1 / 3.5, 2 / 3.5], [0.0, 1.0, 0.0]]))


def test_modes_of_beta_and_dirichlet_at_the_ends():
    beta = distributions.Beta(danlu.tensor([0.2, 0.5, 3.0, 1.0]), danlu.tensor([0.5, 0.2, 2.0, 4.0]))
    assert beta.mode.tolist() == pytest.approx([0.0, 1.0, 2 / 3, 0.0])
    assert distributions.Dirichlet(danlu.tensor([0.1, 0.3, 0.2])).mode.tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("key", ["covariance_matrix", "precision_matrix", "scale_tril"])
def test_multivariate_normal(key):
    matrix = np.linalg.cholesky(COVARIANCE) if key == "scale_tril" else COVARIANCE
    sigma = np.linalg.inv(COVARIANCE) if key == "precision_matrix" else COVARIANCE
    loc, x = np.array([0.5, -1.0, 2.0]), np.array([[[0.0, 1.0, 2.0]], [[1.0, -1.0, 0.5]]])  # x: (2, 1, 3) against a batch of 2
    d = distributions.MultivariateNormal(danlu.tensor(loc), **{key: danlu.tensor(matrix)})
    references = [stats.multivariate_normal(loc, s) for s in sigma]
    close(d.log_prob(danlu.tensor(x)), np.stack([r.logpdf(x[:, 0]) for r in references], -1))
    close(d.entropy(), np.array([r.entropy() for r in references]))
    close(d.covariance_matrix, sigma)
    close(d.precision_matrix, np.linalg.inv(sigma))
    close(d.scale_tril, np.linalg.cholesky(sigma))
    close(d.variance, np.diagonal(sigma, 0, 1, 2))
    assert d.mean.tolist() == d.mode.tolist() == [loc.tolist()] * 2


def test_choices():
    p = np.array([[0.1, 0.2, 0.7], [0.5, 0.0, 0.5]])
    for d in (
        distributions.Categorical(danlu.tensor(p * 3)),
        distributions.Categorical(logits=danlu.tensor(np.log(p + 1e-300)) + 5),
    ):
        np.testing.assert_allclose(d.log_prob(danlu.tensor([2, 0])).exp().numpy(), [0.7, 0.5])
        np.testing.assert_allclose(d.log_prob(danlu.tensor([[1], [2]])).exp().numpy(), [[0.2, 0], [0.7, 0.5]], atol=1e-15)
        np.testing.assert_allclose(d.entropy().numpy(), [stats.entropy(row) for row in p], rtol=1e-9)
        assert d.mode.tolist() == [2, 0] and d.mean.isnan().all() and d.variance.isnan().all()
        assert d.enumerate_support().tolist() == [[0, 0], [1, 1], [2, 2]]
        assert d.enumerate_support(expand=False).tolist() == [[0], [1], [2]]
    one = distributions.OneHotCategorical(danlu.tensor(p))
    np.testing.assert_allclose(one.log_prob(danlu.tensor([[0.0, 1, 0], [1, 0, 0]])).exp().numpy(), [0.2, 0.5])
    np.testing.assert_allclose(one.entropy().numpy(), [stats.entropy(row) for row in p])
    assert one.mode.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert one.enumerate_support().shape == (3, 2, 3) and one.enumerate_support(False).shape == (3, 1, 3)
    np.testing.assert_allclose(one.variance.numpy(), p * (1 - p))


def test_multinomial():
    p = np.array([0.2, 0.3, 0.5])
    reference = stats.multinomial(6, p)
    for d in (distributions.Multinomial(6, danlu.tensor(p)), distributions.Multinomial(6, logits=danlu.tensor(np.log(p)))):
        x = np.array([[1.0, 2, 3], [0, 0, 6], [6, 0, 0]])
        close(d.log_prob(danlu.tensor(x)), reference.logpmf(x))
        close(d.entropy(), reference.entropy())
        close(d.mean, 6 * p)
        close(d.variance, np.diag(reference.cov()))
    empty = distributions.Multinomial(0, danlu.ones(3))
    assert (empty.entropy().item(), empty.log_prob(danlu.zeros(3)).item()) == pytest.approx((0.0, 0.0), abs=1e-6)


def test_impossible_outcomes_have_no_probability_and_certain_ones_all():
    sure = distributions.Bernoulli(danlu.tensor([0.0, 1.0], dtype=danlu.float64))
    assert sure.log_prob(danlu.tensor([0.0, 1.0])).abs().max().item() < 1e-15
    assert sure.log_prob(danlu.tensor([1.0, 0.0])).max().item() < -36
    assert distributions.Poisson(0.0).log_prob(danlu.tensor([0.0, 1.0])).tolist() == [pytest.approx(0, abs=1e-6), -math.inf]
    assert distributions.OneHotCategorical(danlu.tensor([1.0, 0.0])).log_prob(danlu.tensor([1.0, 0.0])).item() == pytest.approx(
        0, abs=1e-6
    )
    assert distributions.Uniform(0.0, 1.0, validate_args=False).log_prob(danlu.tensor([-1.0, 0.5, 1.0])).tolist() == [
        -math.inf,
        0,
        -math.inf,
    ]


@pytest.mark.parametrize("name, given", CASES, ids=IDS)
def test_shapes_expand_and_enumerate(name, given):
    d = made(name, given)
    batch, event = tuple(d.batch_shape), tuple(d.event_shape)
    x = d.sample((5, 2))
    assert x.shape == (5, 2, *batch, *event) and not x.requires_grad
    assert d.log_prob(x).shape == (5, 2, *batch)
    wide = d.expand((7, *batch))
    assert (tuple(wide.batch_shape), tuple(wide.event_shape)) == ((7, *batch), event)
    assert wide.sample((2,)).shape == (2, 7, *batch, *event)
    np.testing.assert_allclose(wide.log_prob(x[0, 0]).numpy(), np.broadcast_to(d.log_prob(x[0, 0]).numpy(), (7, *batch)))
    if d.has_enumerate_support:
        total = d.log_prob(d.enumerate_support()).exp().sum(0)
        np.testing.assert_allclose(total.numpy(), np.ones(batch), rtol=1e-9)


@pytest.mark.parametrize("name, given", CASES, ids=IDS)
def test_support_holds_what_is_drawn(name, given):
    d = made(name, given)
    x = d.sample((50,))
    assert d.support.check(x).all().item()
    assert d.support.is_discrete == (name in DISCRETE | {"Categorical", "OneHotCategorical", "Multinomial"})
    assert d.support.event_dim == len(d.event_shape)


def test_independent():
    base = distributions.Normal(danlu.zeros(2, 3), danlu.ones(3))
    d = distributions.Independent(base, 1)
    assert (tuple(d.batch_shape), tuple(d.event_shape), d.has_rsample) == ((2,), (3,), True)
    x = d.rsample((4,))
    np.testing.assert_allclose(d.log_prob(x).numpy(), base.log_prob(x).sum(-1).numpy(), rtol=1e-6)
    np.testing.assert_allclose(d.entropy().numpy(), base.entropy().sum(-1).numpy(), rtol=1e-6)
    assert d.mean.shape == d.mode.shape == d.variance.shape == d.sample().shape == (2, 3)
    assert tuple(d.expand((5, 2)).batch_shape) == (5, 2) and d.support.check(x).shape == (4, 2)
    whole = distributions.Independent(base, 2)
    assert whole.log_prob(x).shape == (4,) and distributions.Independent(base, 0).log_prob(x).shape == (4, 2, 3)
    assert repr(d) == "Independent(Normal(loc: danlu.Size([2, 3]), scale: danlu.Size([2, 3])), 1)"
    assert not distributions.Independent(distributions.Poisson(danlu.ones(2)), 1).has_rsample


def test_numbers_make_a_distribution_of_one_number():
    d = distributions.Normal(0, 2)
    assert (d.batch_shape, d.loc.dtype, repr(d)) == ((), danlu.float32, "Normal(loc: 0.0, scale: 2.0)")
    assert distributions.Normal(danlu.zeros(2, dtype=danlu.float64), 1.0).scale.dtype is danlu.float64
    assert d.log_prob(0).item() == pytest.approx(-math.log(2 * math.sqrt(2 * math.pi)), rel=1e-6)


def test_one_of_probs_and_logits_gives_the_other():
    p = danlu.tensor([0.2, 0.5], dtype=danlu.float64)
    d = distributions.Bernoulli(p)
    np.testing.assert_allclose(distributions.Bernoulli(logits=d.logits).probs.numpy(), p.numpy())
    assert repr(distributions.Multinomial(3, p)) == "Multinomial(total_count: 3, probs: danlu.Size([2]))"
    rows = distributions.Categorical(logits=danlu.tensor([0.0, math.log(3.0)]))
    np.testing.assert_allclose(rows.probs.numpy(), [0.25, 0.75], rtol=1e-6)
    np.testing.assert_allclose(rows.logits.exp().numpy(), [0.25, 0.75], rtol=1e-6)


def test_constraints_judge():
    c, x = distributions.constraints, danlu.tensor
    assert c.greater_than(1).check(x([1.0, 2.0])).tolist() == [False, True]
    assert c.greater_than_eq(1).check(x([1.0, 0.0])).tolist() == [True, False]
    assert c.less_than(1).check(x([1.0, 0.0])).tolist() == [False, True]
    assert c.simplex.check(x([[0.5, 0.5], [0.5, 0.6], [1.5, -0.5]])).tolist() == [True, False, False]
    assert c.lower_cholesky.check(x([[[1.0, 0], [1, 1]], [[1, 1], [0, 1]], [[1, 0], [1, -1]]])).tolist() == [True, False, False]
    matrices = x([[[2.0, 1], [1, 2]], [[1, 2], [2, 1]], [[2, 1], [0, 2]], [[math.nan, 0], [0, 1]]])
    assert c.positive_definite.check(matrices).tolist() == [True, False, False, False]
    assert c.one_hot.check(x([[0.0, 1], [1, 1], [0.5, 0.5]])).tolist() == [True, False, False]
    assert repr(c.interval(0, x(2.0))) == "Constraint(numbers from 0 to 2)"
    assert repr(c.greater_than_eq(x([1.0, 2.0]))) == "Constraint(numbers ≥ the bound at their place)"
