"""Against real PyTorch: every method that both have, and every divergence."""

from __future__ import annotations

import numpy as np
import pytest
from families import CASES, IDS, made

import danlu
from danlu import distributions
from danlu.tensor import apply

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch", reason="real PyTorch comes with the extra [oracle]")

# The Multinomial entropy of PyTorch has log n! in float32 even for float64 probabilities.
LOOSE = {("Multinomial", "entropy"): 1e-6, ("Multinomial", "perplexity"): 1e-6}


def pair(name, given):
    return made(name, given), made(name, given, torch.distributions, torch.tensor)


def asked(function):
    """What a method returns as an array; None where it has no answer."""
    try:
        return function().detach().numpy()
    except NotImplementedError:
        return None


def agree(found, wanted, what, tolerance=1e-9):
    assert found.shape == wanted.shape, what
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance, err_msg=what)


@pytest.mark.parametrize("name, given", CASES, ids=IDS)
def test_methods(name, given):
    ours, theirs = pair(name, given)
    x = theirs.sample((5,))
    levels = torch.rand(5, *theirs.batch_shape, dtype=torch.float64)
    calls = {"log_prob": (x,), "cdf": (x,), "icdf": (levels,), "entropy": (), "perplexity": (), "enumerate_support": ()}
    compared = 0
    for method, arguments in calls.items():
        wanted = asked(lambda: getattr(theirs, method)(*arguments))  # noqa: B023
        if wanted is not None:
            found = asked(lambda: getattr(ours, method)(*(danlu.tensor(a.numpy()) for a in arguments)))  # noqa: B023
            agree(found, wanted, method, LOOSE.get((name, method), 1e-9))
            compared += 1
    for attribute in ("mean", "mode", "variance", "stddev"):
        wanted = asked(lambda: getattr(theirs, attribute))  # noqa: B023
        if wanted is not None:
            agree(asked(lambda: getattr(ours, attribute)), wanted, attribute)  # noqa: B023
            compared += 1
    assert compared >= 3
    assert (ours.has_rsample, ours.has_enumerate_support) == (theirs.has_rsample, name in (
        "Bernoulli", "Binomial", "Categorical", "OneHotCategorical"))  # fmt: skip


FIRST = dict(reversed(CASES))


def single(name):
    given = FIRST[name]
    if name in ("Categorical", "OneHotCategorical", "Multinomial"):
        return {key: x[0] if isinstance(x, np.ndarray) else x for key, x in given.items()}
    if name == "MultivariateNormal":
        return {"loc": given["loc"], "covariance_matrix": given["covariance_matrix"][0]}
    if name == "Dirichlet":
        return {"concentration": given["concentration"][0]}
    return {key: np.asarray(x.flat[0]) if isinstance(x, np.ndarray) else x for key, x in given.items()}


@pytest.mark.parametrize("p", FIRST)
def test_divergences(p):
    compared = 0
    for q in FIRST:
        (ours_p, theirs_p), (ours_q, theirs_q) = pair(p, single(p)), pair(q, single(q))
        wanted = asked(lambda: torch.distributions.kl_divergence(theirs_p, theirs_q))  # noqa: B023
        if wanted is not None:
            agree(asked(lambda: distributions.kl_divergence(ours_p, ours_q)), wanted, f"{p} {q}")  # noqa: B023
            compared += 1
    assert compared or p == "Multinomial"  # PyTorch has none for it


@pytest.mark.parametrize("reach", [(-1.0, 0.5), (0.2, 0.7), (0.0, 1.0), (0.5, 2.0)])
@pytest.mark.parametrize("other", ["Beta", "Gamma", "Exponential", "Uniform", "Normal"])
def test_divergences_of_intervals(reach, other):
    given = {"low": np.array(reach[0]), "high": np.array(reach[1])}
    (ours, theirs), (ours_q, theirs_q) = pair("Uniform", given), pair(other, single(other))
    wanted = torch.distributions.kl_divergence(theirs, theirs_q).numpy()
    agree(distributions.kl_divergence(ours, ours_q).numpy(), np.where(np.isnan(wanted), np.inf, wanted), str(reach))


@pytest.mark.parametrize("concentration", [0.05, 0.7, 3.0, 40.0, 900.0])
def test_the_derivative_of_gamma_draws(concentration):
    a = torch.full((200,), concentration, dtype=torch.float64, requires_grad=True)
    x = torch._standard_gamma(a)
    wanted = torch._standard_gamma_grad(a, x)
    keep = x > 1e-280
    ours = danlu.tensor(a.detach().numpy()[keep.numpy()])
    log_x = danlu.tensor(x.detach().numpy()[keep.numpy()]).log()
    tails = apply("gamma_tail", ours, log_x, k=0)
    side = danlu.where(log_x.exp() > ours, 1.0, -1.0)
    slope = (side * (log_x - ours.digamma()) * tails[0] + tails[1]) * log_x.exp()
    np.testing.assert_allclose(
        slope.numpy(), wanted[keep].detach().numpy(), rtol=2e-3
    )  # PyTorch's series is of float32 precision
