"""What distributions refuse: the error names the parameter, what came, what was expected and what to write instead."""

from __future__ import annotations

import math

import pytest

import danlu
from danlu import distributions as d
from danlu.distributions import kl_divergence, register_kl

ONES, MINUS = danlu.ones(3), danlu.tensor([1.0, -2.0, 0.0])
UNCHECKED = " (validate_args=False leaves values unchecked)"
POSITIVE = "; expected numbers > 0. Make it positive: softplus(x) or x.exp()" + UNCHECKED
SIMPLEX = (
    "; expected rows of numbers ≥ 0 with the sum 1. Write x.softmax(-1), or give the scores themselves as logits=x" + UNCHECKED
)
CHANCE = "; expected numbers from 0 to 1. Write x.sigmoid(), or give the scores themselves as logits=x" + UNCHECKED

VALUES = [
    (lambda: d.Normal(0, -1), "Normal: scale is -1." + POSITIVE),
    (lambda: d.Normal(0, MINUS), "Normal: scale is -2. at index 1" + POSITIVE),
    (lambda: d.Normal(danlu.zeros(2, 3), MINUS), "Normal: scale is -2. at index 0, 1" + POSITIVE),
    (lambda: d.Normal(math.nan, 1), "Normal: loc is nan; expected numbers, not NaN" + UNCHECKED),
    (lambda: d.LogNormal(0, 0), "LogNormal: scale is 0." + POSITIVE),
    (lambda: d.Uniform(1, 1), "Uniform: high is 1.; expected numbers above low" + UNCHECKED),
    (lambda: d.Exponential(MINUS), "Exponential: rate is -2. at index 1" + POSITIVE),
    (lambda: d.Laplace(0, MINUS), "Laplace: scale is -2. at index 1" + POSITIVE),
    (lambda: d.Gamma(MINUS, 1), "Gamma: concentration is -2. at index 1" + POSITIVE),
    (lambda: d.Beta(1, MINUS), "Beta: concentration0 is -2. at index 1" + POSITIVE),
    (lambda: d.Dirichlet(MINUS),
     "Dirichlet: concentration is [ 1., -2.,  0.]; expected rows of numbers > 0. Make it positive: softplus(x) or x.exp()" + UNCHECKED),
    (lambda: d.Bernoulli(MINUS), "Bernoulli: probs is -2. at index 1" + CHANCE),
    (lambda: d.Bernoulli(logits=danlu.tensor(math.nan)), "Bernoulli: logits is nan; expected numbers, not NaN" + UNCHECKED),
    (lambda: d.Binomial(1.5, ONES), "Binomial: total_count is 1.5 at index 0; expected whole numbers ≥ 0" + UNCHECKED),
    (lambda: d.Binomial(2, MINUS), "Binomial: probs is -2. at index 1" + CHANCE),
    (lambda: d.Poisson(MINUS),
     "Poisson: rate is -2. at index 1; expected numbers ≥ 0. Make it so: relu(x) or softplus(x)" + UNCHECKED),
    (lambda: d.Categorical(danlu.tensor([[1.0, 1.0], [-1.0, 2.0]])), "Categorical: probs is [-1.,  2.] at index 1" + SIMPLEX),
    (lambda: d.OneHotCategorical(danlu.zeros(2)), "OneHotCategorical: probs is [nan, nan]" + SIMPLEX),
    (lambda: d.MultivariateNormal(danlu.zeros(2), -danlu.eye(2)),
     "MultivariateNormal: covariance_matrix is [[-1., -0.], [-0., -1.]]; expected symmetric positive-definite matrices. "
     "Write A @ A.mT + 1e-3 * danlu.eye(n) for an A of your own" + UNCHECKED),
    (lambda: d.MultivariateNormal(danlu.zeros(2), scale_tril=danlu.ones(2, 2)),
     "MultivariateNormal: scale_tril is [[1., 1.], [1., 1.]]; expected lower triangular matrices with a positive diagonal. "
     "Write danlu.linalg.cholesky(covariance)" + UNCHECKED),
    (lambda: d.Exponential(1.0).log_prob(danlu.tensor([1.0, -1.0])),
     "Exponential.log_prob: value is -1. at index 1; expected numbers ≥ 0" + UNCHECKED),
    (lambda: d.Normal(0, 1).cdf(math.nan), "Normal.cdf: value is nan; expected numbers, not NaN" + UNCHECKED),
    (lambda: d.Normal(0, 1).icdf(1.5), "Normal.icdf: value is 1.5; expected numbers from 0 to 1" + UNCHECKED),
    (lambda: d.Uniform(0, 2).log_prob(3), "Uniform.log_prob: value is 3.; expected numbers from 0 to 2" + UNCHECKED),
    (lambda: d.Bernoulli(0.5).log_prob(2), "Bernoulli.log_prob: value is 2.; expected 0 or 1" + UNCHECKED),
    (lambda: d.Categorical(ONES).log_prob(danlu.tensor([0, 3])),
     "Categorical.log_prob: value is 3 at index 1; expected whole numbers from 0 to 2" + UNCHECKED),
    (lambda: d.OneHotCategorical(ONES).log_prob(ONES),
     "OneHotCategorical.log_prob: value is [1., 1., 1.]; expected rows with a single 1 and else 0" + UNCHECKED),
    (lambda: d.Multinomial(2, ONES).log_prob(ONES),
     "Multinomial.log_prob: value is [1., 1., 1.]; expected rows of whole numbers ≥ 0 with the sum 2" + UNCHECKED),
    (lambda: d.Multinomial(2.5, ONES), "Multinomial: total_count is 2.5; expected one whole number ≥ 0 for the whole batch"),
    (lambda: d.Binomial(danlu.tensor([1, 2]), danlu.ones(2)).entropy(),
     "Binomial: enumerate_support and entropy need one total_count in the whole batch; ask each distribution by itself"),
    (d.Bernoulli, "Bernoulli: none of them given; expected exactly one of probs, logits: write Bernoulli(probs=...)"),
    (lambda: d.Categorical(ONES, ONES),
     "Categorical: probs and logits given; expected exactly one of probs, logits: write Categorical(probs=...)"),
    (lambda: d.MultivariateNormal(ONES),
     "MultivariateNormal: none of them given; expected exactly one of covariance_matrix, precision_matrix, scale_tril"),
]  # fmt: skip

OTHERS = [
    (danlu.ShapeError, lambda: d.Normal(danlu.zeros(2), ONES),
     "Normal(loc, scale): shapes (2,) and (3,) cannot be broadcast together"),
    (danlu.ShapeError, lambda: d.Normal(ONES, 1).log_prob(danlu.zeros(2)),
     "Normal.log_prob(value, batch): shapes (2,) and (3,) cannot be"),
    (danlu.ShapeError, lambda: d.Normal(0, 1).sample(3), "Normal: sample_shape is 3; expected a tuple: write sample((3,))"),
    (danlu.ShapeError, lambda: d.Categorical(ONES).sample(3),
     "Categorical: sample_shape is 3; expected a tuple: write sample((3,))"),
    (danlu.ShapeError, lambda: d.Dirichlet(ONES).log_prob(danlu.zeros(2)),
     "Dirichlet.log_prob: value has shape (2,); expected the last axes to be the event shape (3,)"),
    (danlu.ShapeError, lambda: d.Dirichlet(2.0),
     "Dirichlet: concentration has shape (); expected (*, k), one number for each of k shares"),
    (danlu.ShapeError, lambda: d.Categorical(2.0),
     "Categorical: probs has shape (); expected (*, k), one number for each of k outcomes"),
    (danlu.ShapeError, lambda: d.Independent(d.Normal(ONES, 1), 2),
     "Independent: reinterpreted_batch_ndims is 2; expected 0 to 1, the number of batch axes of (3,)"),
    (danlu.ShapeError, lambda: d.MultivariateNormal(ONES, danlu.eye(2)),
     "MultivariateNormal: loc has shape (3,) and covariance_matrix (2, 2); expected (*, d) and (*, d, d)"),
    (danlu.ShapeError, lambda: d.MultivariateNormal(danlu.zeros(2, 3), danlu.eye(3).expand(4, 3, 3)),
     "MultivariateNormal(loc, covariance_matrix): shapes (2,) and (4,) cannot be broadcast together"),
    (danlu.DTypeError, lambda: d.Normal(danlu.tensor([1]), 1),
     "Normal: loc has dtype int64; expected a floating dtype: write loc.float()"),
    (danlu.DTypeError, lambda: d.Normal("a", 1), "Normal: loc is str; expected a tensor or a number: write danlu.tensor(loc)"),
    (danlu.DTypeError, lambda: d.Normal(0, 1).log_prob([1.0]),
     "Normal.log_prob: value is list; expected a tensor or a number: write danlu.tensor(value)"),
    (danlu.DTypeError, lambda: register_kl(int, d.Normal),
     "register_kl: <class 'int'> is no class of distributions; expected for example Normal"),
    (danlu.ShapeError, lambda: kl_divergence(*(d.MultivariateNormal(danlu.zeros(n), danlu.eye(n)) for n in (2, 3))),
     "kl_divergence: MultivariateNormals of 2 and 3 components; expected one number of them"),
    (danlu.ShapeError, lambda: kl_divergence(*(d.Independent(d.Normal(danlu.zeros(2, 2), 1), n) for n in (1, 2))),
     "kl_divergence: Independent over 1 and over 2 axes; expected the same"),
]  # fmt: skip

ABSENT = [
    (lambda: kl_divergence(d.Beta(1, 1), d.Poisson(1.0)),
     "kl_divergence of Beta and Poisson has no closed form here; register one with @register_kl(Beta, Poisson), or average "
     "p.log_prob(x) - q.log_prob(x) over draws x = p.sample((10000,))"),
    (lambda: kl_divergence(*(d.Multinomial(n, ONES) for n in (2, 3))),
     "kl_divergence of Multinomials of 2 and 3 trials has no closed form; give both one total_count"),
    (lambda: kl_divergence(*(d.Binomial(n, ONES / 2) for n in (2, 3))),
     "kl_divergence of two Binomials has no closed form where the total_count of p is below that of q; average over draws"),
    (lambda: d.Poisson(1.0).rsample(),
     "Poisson has no rsample: its draws are not differentiable in the parameters; use sample()"),
    (lambda: d.Poisson(1.0).entropy(),
     "Poisson has no entropy in closed form; use draws: -d.log_prob(d.sample((10000,))).mean(0)"),
    (lambda: d.Poisson(1.0).cdf(1),
     "Poisson has no cdf in closed form; use draws: (d.sample((10000,)) <= value).float().mean(0)"),
    (lambda: d.Gamma(1, 1).icdf(0.5), "Gamma has no icdf in closed form; use draws: d.sample((10000,)).quantile(value, 0)"),
    (lambda: d.Normal(0, 1).enumerate_support(),
     "Normal has no enumerate_support: its values are not finitely many; use sample()"),
    (lambda: d.Multinomial(2, ONES).mode, "Multinomial has no mode in closed form; use the draw of the largest log_prob"),
    (lambda: d.Distribution().log_prob(0), "Distribution has no log_prob; use a subclass that defines it"),
    (lambda: d.Distribution().mean, "Distribution has no mean in closed form; use draws: d.sample((10000,)).mean(0)"),
    (lambda: d.Distribution().stddev, "Distribution has no variance in closed form; use draws: d.sample((10000,)).var(0)"),
]  # fmt: skip


@pytest.mark.parametrize("call, message", VALUES, ids=[m.partition(";")[0] for _, m in VALUES])
def test_values(call, message):
    with pytest.raises(danlu.DataError) as error:
        call()
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("kind, call, message", OTHERS, ids=[m.partition(";")[0] for _, _, m in OTHERS])
def test_shapes_and_dtypes(kind, call, message):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("call, message", ABSENT, ids=[m.partition(";")[0] for _, m in ABSENT])
def test_what_has_no_closed_form(call, message):
    with pytest.raises(NotImplementedError) as error:
        call()
    assert str(error.value) == message


def test_checks_can_be_left_out():
    unchecked = d.Normal(0.0, -1.0, validate_args=False)
    assert unchecked.log_prob(danlu.tensor(math.nan)).isnan().item()
    assert unchecked.expand((2,)).log_prob(danlu.tensor(math.nan)).isnan().all().item()
    d.Distribution.set_default_validate_args(False)
    try:
        assert d.Normal(0.0, -1.0).scale.item() == -1.0
        with pytest.raises(danlu.DataError, match="scale is -1"):
            d.Normal(0.0, -1.0, validate_args=True)
    finally:
        d.Distribution.set_default_validate_args(True)


def test_a_distribution_of_ones_own_is_checked_like_the_others():
    class Point(d.Distribution):
        arg_constraints = {"place": d.constraints.positive}  # noqa: RUF012

        def __init__(self, place):
            self.place = place
            super().__init__(place.shape)

        def rsample(self, sample_shape=()):
            return self.place.expand(self._extended(sample_shape))

    assert Point(ONES).sample((2,)).shape == (2, 3) and tuple(Point(ONES).expand((4, 3)).batch_shape) == (4, 3)
    with pytest.raises(danlu.DataError, match=r"^Point: place is -2\. at index 1; expected numbers > 0"):
        Point(MINUS)
