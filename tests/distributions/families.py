"""One or two members of every family, as arguments in NumPy, with SciPy's name for the same distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

import danlu
from danlu import distributions

_rng = np.random.default_rng(5)


def _positive(*shape: int) -> np.ndarray:
    return _rng.uniform(0.3, 3.0, shape)


def _real(*shape: int) -> np.ndarray:
    return _rng.normal(size=shape)


_P = _rng.uniform(0.1, 0.9, (2, 4))
_A = _real(2, 3, 3)
COVARIANCE = _A @ _A.transpose(0, 2, 1) + np.eye(3)
Arguments = dict[str, Any]

CASES: list[tuple[str, Arguments]] = [
    ("Normal", {"loc": _real(3), "scale": _positive(2, 3)}),
    ("LogNormal", {"loc": _real(3), "scale": _positive(3)}),
    ("Uniform", {"low": _real(3), "high": _real(3) + 5}),
    ("Exponential", {"rate": _positive(3)}),
    ("Laplace", {"loc": _real(3), "scale": _positive(2, 3)}),
    ("Gamma", {"concentration": _positive(3), "rate": _positive(3)}),
    ("Beta", {"concentration1": _positive(3), "concentration0": _positive(3) + 1}),
    ("Dirichlet", {"concentration": _positive(2, 3) + 1}),
    ("Bernoulli", {"probs": _P}),
    ("Bernoulli", {"logits": _real(4)}),
    ("Binomial", {"total_count": 5, "probs": _P}),
    ("Binomial", {"total_count": 7, "logits": _real(4)}),
    ("Poisson", {"rate": _positive(3) * 3}),
    ("Categorical", {"probs": _P}),
    ("Categorical", {"logits": _real(2, 4)}),
    ("OneHotCategorical", {"probs": _P}),
    ("OneHotCategorical", {"logits": _real(2, 4)}),
    ("Multinomial", {"total_count": 5, "probs": _P}),
    ("Multinomial", {"total_count": 3, "logits": _real(2, 4)}),
    ("MultivariateNormal", {"loc": _real(3), "covariance_matrix": COVARIANCE}),
    ("MultivariateNormal", {"loc": _real(2, 3), "precision_matrix": COVARIANCE}),
    ("MultivariateNormal", {"loc": _real(3), "scale_tril": np.linalg.cholesky(COVARIANCE)}),
]
IDS = [f"{name}-{list(given)[-1]}" for name, given in CASES]


def made(name: str, given: Arguments, module: Any = distributions, convert: Any = danlu.tensor) -> Any:
    """The distribution of danlu, or of another module with its own tensors."""
    return getattr(module, name)(**{key: convert(x) if isinstance(x, np.ndarray) else x for key, x in given.items()})


# ---- in SciPy's words -----------------------------------------------------------------------------------------------------------


def _p(given: Arguments) -> np.ndarray:
    return given["probs"] if "probs" in given else 1 / (1 + np.exp(-given["logits"]))


SCIPY = {
    "Normal": lambda s, g: s.norm(g["loc"], g["scale"]),
    "LogNormal": lambda s, g: s.lognorm(g["scale"], scale=np.exp(g["loc"])),
    "Uniform": lambda s, g: s.uniform(g["low"], g["high"] - g["low"]),
    "Exponential": lambda s, g: s.expon(scale=1 / g["rate"]),
    "Laplace": lambda s, g: s.laplace(g["loc"], g["scale"]),
    "Gamma": lambda s, g: s.gamma(g["concentration"], scale=1 / g["rate"]),
    "Beta": lambda s, g: s.beta(g["concentration1"], g["concentration0"]),
    "Bernoulli": lambda s, g: s.bernoulli(_p(g)),
    "Binomial": lambda s, g: s.binom(g["total_count"], _p(g)),
    "Poisson": lambda s, g: s.poisson(g["rate"]),
}
DISCRETE = {"Bernoulli", "Binomial", "Poisson"}
