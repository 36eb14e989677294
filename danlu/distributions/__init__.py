"""L6. Probability distributions under PyTorch's names: densities, draws that can be differentiated, entropies, divergences."""

from danlu.distributions import constraints
from danlu.distributions.continuous import Exponential, Laplace, Uniform
from danlu.distributions.discrete import Bernoulli, Binomial, Categorical, Multinomial, OneHotCategorical, Poisson
from danlu.distributions.distribution import Distribution, Independent
from danlu.distributions.divergence import kl_divergence, register_kl
from danlu.distributions.gamma import Beta, Dirichlet, Gamma
from danlu.distributions.normal import LogNormal, MultivariateNormal, Normal

__all__ = [
    "Bernoulli",
    "Beta",
    "Binomial",
    "Categorical",
    "Dirichlet",
    "Distribution",
    "Exponential",
    "Gamma",
    "Independent",
    "Laplace",
    "LogNormal",
    "Multinomial",
    "MultivariateNormal",
    "Normal",
    "OneHotCategorical",
    "Poisson",
    "Uniform",
    "constraints",
    "kl_divergence",
    "register_kl",
]
