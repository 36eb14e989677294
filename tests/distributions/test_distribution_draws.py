"""Draws: distributed as they say, the same from the same seed, and differentiated along the quantile function."""

from __future__ import annotations

import math

import numpy as np
import pytest
from families import CASES, IDS, made

import danlu
from danlu import distributions
from danlu.testing import gradcheck

stats = pytest.importorskip("scipy.stats", reason="SciPy comes with scikit-learn, in the extra [test]")
N = 20_000
LEAST = 1e-3  # a p-value below is chance once in a thousand; the seeds are fixed, so these tests do not flicker


def fits(sample: danlu.Tensor, cdf) -> None:
    assert stats.kstest(sample.detach().double().numpy().ravel(), cdf).pvalue > LEAST


def counted(values: danlu.Tensor, chances: np.ndarray) -> None:
    """χ² of whole numbers 0 … k - 1."""
    counts = np.bincount(values.numpy().astype(int).ravel(), minlength=len(chances))
    assert len(counts) == len(chances)
    assert (counts[chances == 0] == 0).all()
    kept = chances > 0
    assert stats.chisquare(counts[kept], chances[kept] / chances[kept].sum() * counts.sum()).pvalue > LEAST


CONTINUOUS = [
    ("Normal", (1.0, 2.0), stats.norm(1, 2)),
    ("LogNormal", (0.5, 0.7), stats.lognorm(0.7, scale=math.exp(0.5))),
    ("Uniform", (-1.0, 3.0), stats.uniform(-1, 4)),
    ("Exponential", (2.5,), stats.expon(scale=0.4)),
    ("Laplace", (1.0, 0.5), stats.laplace(1, 0.5)),
    *(("Gamma", (a, 2.0), stats.gamma(a, scale=0.5)) for a in (0.03, 0.4, 1.0, 3.7, 250.0, 1e6)),
    *(("Beta", (a, b), stats.beta(a, b)) for a, b in ((0.3, 0.5), (2.0, 5.0), (90.0, 3.0))),
]


@pytest.mark.parametrize("name, parameters, reference", CONTINUOUS, ids=lambda x: str(x)[:24])
def test_continuous_draws(name, parameters, reference):
    parameters = [danlu.tensor(p, dtype=danlu.float64) for p in parameters]
    fits(getattr(distributions, name)(*parameters).sample((N,)), reference.cdf)


ABOVE_TINY = [case for case in CONTINUOUS if case[:2] != ("Gamma", (0.03, 2.0))]  # 7 % of those are below the smallest float32


@pytest.mark.parametrize("name, parameters, reference", ABOVE_TINY[:8], ids=lambda x: str(x)[:24])
def test_continuous_draws_in_float32(name, parameters, reference):
    x = getattr(distributions, name)(*parameters).sample((N,))
    assert x.dtype is danlu.float32
    fits(x, reference.cdf)


def test_discrete_draws():
    p = np.array([0.0, 0.1, 0.25, 0.0, 0.65, 0.0])
    counted(distributions.Categorical(danlu.tensor(p)).sample((N,)), p)
    counted(distributions.OneHotCategorical(danlu.tensor(p)).sample((N,)).argmax(-1), p)
    counted(distributions.Bernoulli(0.3).sample((N,)), np.array([0.7, 0.3]))
    counted(distributions.Binomial(6, danlu.tensor(0.3)).sample((N,)), stats.binom(6, 0.3).pmf(np.arange(7)))
    few = distributions.Poisson(1.5).sample((N,)).clamp(max=8)
    counted(few, np.append(stats.poisson(1.5).pmf(np.arange(8)), stats.poisson(1.5).sf(7)))
    many = distributions.Multinomial(4, danlu.tensor(p)).sample((N,))
    assert (many.sum(-1) == 4).all().item()
    counted(many[:, 4], stats.binom(4, 0.65).pmf(np.arange(5)))


def test_each_row_of_a_batch_has_its_own_chances():
    p = np.array([[[0.2, 0.8, 0.0], [0.5, 0.25, 0.25]]])  # batch (1, 2)
    x = distributions.Categorical(danlu.tensor(p)).sample((N // 2, 2))
    assert x.shape == (N // 2, 2, 1, 2) and x.dtype is danlu.int64
    for k in (0, 1):
        counted(x[..., k], p[0, k])
    many = distributions.Multinomial(3, danlu.tensor(p)).sample((N,))
    np.testing.assert_allclose(many.mean(0).numpy(), 3 * p, atol=0.04)


def test_dirichlet_and_multivariate_normal():
    a = np.array([0.5, 2.0, 4.0])
    x = distributions.Dirichlet(danlu.tensor(a)).sample((N,))
    for k in range(3):
        fits(x[:, k], stats.beta(a[k], a.sum() - a[k]).cdf)
    sigma = np.array([[2.0, -1.2], [-1.2, 1.0]])
    y = distributions.MultivariateNormal(danlu.tensor([1.0, 2.0]), danlu.tensor(sigma).float()).sample((N,))
    for direction in ([1.0, 0.0], [0.0, 1.0], [1.0, 1.0]):
        w = np.array(direction)
        fits((y * danlu.tensor(w)).sum(-1), stats.norm(w @ [1, 2], math.sqrt(w @ sigma @ w)).cdf)


def test_tiny_concentrations_give_shares_and_no_nan():
    x = distributions.Beta(danlu.tensor(1e-3), 1e-3).sample((N,))
    assert x.isfinite().all().item() and abs(x.mean().item() - 0.5) < 3.3 * 0.5 / math.sqrt(N)
    y = distributions.Gamma(danlu.tensor(1e-3), 1.0).sample((N,))
    assert (y > 0).all().item()
    shares = distributions.Dirichlet(danlu.full((4,), 1e-4)).sample((100,))
    assert (shares.sum(-1) - 1).abs().max().item() < 1e-6


def test_draws_from_what_is_no_parameter_are_nan():
    bad = danlu.tensor([-1.0, 0.0, math.nan, 1.0])
    assert danlu.random.log_gamma_noise(bad).isnan().tolist() == [True, True, True, False]
    assert danlu.random.poisson(danlu.tensor([-1.0, math.nan, math.inf, 0.0])).isnan().tolist() == [True, True, True, False]
    drawn = danlu.random.binomial(danlu.tensor([-1.0, 2.0, 3.0]), danlu.tensor([0.5, 2.0, 1.0]))
    assert drawn.isnan().tolist() == [True, True, False]


@pytest.mark.parametrize("name, given", CASES, ids=IDS)
def test_the_same_seed_draws_the_same(name, given):
    d = made(name, given)
    draws = []
    for seed in (1, 1, 2):
        danlu.manual_seed(seed)
        draws.append((d.sample((30,)).numpy(), d.sample((30,)).numpy()))
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0][0] != draws[2][0]).any() and (draws[0][0] != draws[0][1]).any()


def test_a_gamma_draw_needs_nothing_of_its_neighbours():
    danlu.manual_seed(4)
    alone = danlu.random.log_gamma_noise(danlu.full((5,), 0.7))
    danlu.manual_seed(4)
    among = danlu.random.log_gamma_noise(danlu.cat([danlu.full((5,), 0.7), danlu.full((500,), 30.0)]))
    assert danlu.equal(alone, among[:5])


# ---- derivatives ------------------------------------------------------------------------------------------------------------------


def few(given):
    """A member with fewer numbers: every one of them costs differences two calls."""
    return {key: x[..., 0, :2, :2] if np.ndim(x) == 3 else x[..., :2] if np.ndim(x) else x for key, x in given.items()}


MOVED = [(name, given) for name, given in CASES if made(name, given).has_rsample and name not in ("Gamma", "Beta", "Dirichlet")]


@pytest.mark.parametrize("name, given", MOVED, ids=[f"{n}-{list(g)[-1]}" for n, g in MOVED])
def test_rsample_is_differentiable_in_every_parameter(name, given):
    keys = list(given)

    def drawn(*parameters):
        danlu.manual_seed(3)
        values = dict(zip(keys, parameters))
        if "covariance_matrix" in values or "precision_matrix" in values:  # a difference must keep the matrix symmetric
            key = keys[-1]
            values[key] = (values[key] + values[key].mT) / 2
        return getattr(distributions, name)(**values, validate_args=False).rsample((2,))

    assert gradcheck(drawn, [danlu.tensor(x, requires_grad=True) for x in few(given).values()])


@pytest.mark.parametrize("concentration", [0.02, 0.3, 1.0, 2.5, 40.0, 3000.0])
def test_gamma_draws_follow_their_quantile(concentration):
    a = danlu.full((40,), concentration, dtype=danlu.float64).requires_grad_()
    x = distributions.Gamma(a, 2.0).rsample()
    x.log().sum().backward()
    values, step = 2 * x.detach().numpy(), 1e-4 * concentration
    lower = values < concentration  # differences of the nearer tail keep their digits
    quantile, level = (
        (stats.gamma.ppf, stats.gamma.isf),
        (stats.gamma.cdf(values, concentration), stats.gamma.sf(values, concentration)),
    )
    sides = [np.where(lower, *(np.log(q(u, concentration + h)) for q, u in zip(quantile, level))) for h in (step, -step)]
    wanted, kept = (sides[0] - sides[1]) / (2 * step), np.isfinite(sides[0] + sides[1]) & (values > 1e-290)
    assert kept.sum() > 10
    np.testing.assert_allclose(a.grad.numpy()[kept], wanted[kept], rtol=1e-5)


def test_gamma_draws_have_derivatives_of_the_second_order():
    def moment(a):
        danlu.manual_seed(5)
        return (distributions.Gamma(a, 1.0, validate_args=False).rsample((3000,)) ** 2).mean()

    a = danlu.tensor(3.0, dtype=danlu.float64)
    first, second = danlu.func.grad(moment), danlu.func.grad(danlu.func.grad(moment))
    assert first(a).item() == pytest.approx(2 * 3 + 1, rel=0.05)  # E x² = a² + a
    assert second(a).item() == pytest.approx(2, rel=0.1)


def test_shares_have_unbiased_derivatives():
    a, b = (danlu.tensor(x, dtype=danlu.float64, requires_grad=True) for x in (0.7, 1.8))
    distributions.Beta(a, b).rsample((N,)).mean().backward()
    total = 2.5**2
    assert a.grad.item() == pytest.approx(1.8 / total, rel=0.03)  # E x = a / (a + b)
    assert b.grad.item() == pytest.approx(-0.7 / total, rel=0.03)
    c = danlu.tensor([0.5, 2.0, 3.0], dtype=danlu.float64, requires_grad=True)
    distributions.Dirichlet(c).rsample((N,))[:, 0].mean().backward()
    np.testing.assert_allclose(c.grad.numpy(), [5 / 5.5**2, -0.5 / 5.5**2, -0.5 / 5.5**2], rtol=0.06)


@pytest.mark.parametrize("name, given", dict(reversed(CASES)).items(), ids=lambda x: x if isinstance(x, str) else "")
def test_log_prob_is_differentiable_in_every_parameter(name, given):
    given = few(given)
    x = made(name, given).sample((2,))
    keys = [key for key, v in given.items() if isinstance(v, np.ndarray)]
    others = {key: v for key, v in given.items() if key not in keys}

    def density(*parameters):
        values = dict(zip(keys, parameters))
        if "covariance_matrix" in values or "precision_matrix" in values:
            values[keys[-1]] = (values[keys[-1]] + values[keys[-1]].mT) / 2
        return getattr(distributions, name)(**values, **others, validate_args=False).log_prob(x)

    assert gradcheck(density, [danlu.tensor(given[key], requires_grad=True) for key in keys])


def test_a_policy_gradient_and_a_loop_that_trains():
    """REINFORCE: the probability of the rewarded action grows; and a reparametrised normal finds its target."""
    scores = danlu.zeros(3, requires_grad=True)
    for _ in range(30):
        d = distributions.Categorical(logits=scores)
        action = d.sample((64,))
        loss = -(d.log_prob(action) * (action == 1)).mean()
        (g,) = danlu.autograd.grad(loss, [scores])
        scores = (scores - g).detach().requires_grad_()
    assert scores.softmax(-1)[1].item() > 0.8
    loc = danlu.zeros(1, requires_grad=True)
    for _ in range(30):
        loss = ((distributions.Normal(loc, 0.1).rsample((32,)) - 2) ** 2).mean()
        (g,) = danlu.autograd.grad(loss, [loc])
        loc = (loc - 0.2 * g).detach().requires_grad_()
    assert abs(loc.item() - 2) < 0.1


def test_transforms_work_on_distributions():
    log_prob = lambda m: distributions.Normal(m, 1.0, validate_args=False).log_prob(0.5)  # noqa: E731
    m = danlu.tensor([0.0, 1.0])
    np.testing.assert_allclose(danlu.func.vmap(danlu.func.grad(log_prob))(m).numpy(), [0.5, -0.5])
