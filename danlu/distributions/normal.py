"""L6. Normal distributions: of numbers, of their exponentials, and of vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from danlu.distributions import constraints
from danlu.distributions.distribution import Distribution, as_tensors, broadcast, exactly_one
from danlu.errors import ShapeError
from danlu.linalg import cholesky, solve_triangular
from danlu.ops.table import broadcast_shapes
from danlu.random import randn
from danlu.tensor import Tensor
from danlu.tensor.creation import eye

LOG_TWO_PI = math.log(2 * math.pi)


class Normal(Distribution):
    """p(x) = exp(-((x - μ) / σ)² / 2) / (σ √2π), μ = `loc`, σ = `scale`.

    Shapes: loc and scale are broadcast to batch_shape.

    Raises DataError for a scale ≤ 0, ShapeError where the shapes do not fit.

    >>> import danlu
    >>> danlu.distributions.Normal(0.0, 1.0).log_prob(danlu.tensor([0.0, 1.0]))
    tensor([-0.9189, -1.4189])
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast("Normal", loc=loc, scale=scale)
        super().__init__(self.loc.shape, (), validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """μ + σ ε with ε standard normal."""
        noise = randn(self._extended(sample_shape), dtype=self.loc.dtype)
        return self.loc + noise * self.scale

    def log_prob(self, value: Any) -> Tensor:
        """-((x - μ) / σ)² / 2 - log σ - log √2π"""
        x = self._value("log_prob", value, self.loc)
        return -(((x - self.loc) / self.scale) ** 2) / 2 - self.scale.log() - LOG_TWO_PI / 2

    def cdf(self, value: Any) -> Tensor:
        """erfc(-(x - μ) / σ√2) / 2, exact in the lower tail too."""
        x = self._value("cdf", value, self.loc)
        return ((self.loc - x) / (self.scale * math.sqrt(2))).erfc() / 2

    def icdf(self, value: Any) -> Tensor:
        """μ + σ √2 erfinv(2p - 1)"""
        return self.loc + self.scale * (2 * self._point(value, self.loc) - 1).erfinv() * math.sqrt(2)

    def entropy(self) -> Tensor:
        """½ + log √2π + log σ"""
        return self.scale.log() + (1 + LOG_TWO_PI) / 2

    @property
    def mean(self) -> Tensor:
        """μ"""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """μ"""
        return self.loc

    @property
    def stddev(self) -> Tensor:
        """σ"""
        return self.scale

    @property
    def variance(self) -> Tensor:
        """σ²"""
        return self.scale**2


class LogNormal(Distribution):
    """eˣ of a normal x: p(y) = exp(-((log y - μ) / σ)² / 2) / (y σ √2π).

    Shapes: loc and scale (of the logarithm) are broadcast to batch_shape.

    Raises DataError for a scale ≤ 0, ShapeError where the shapes do not fit.

    >>> import danlu
    >>> danlu.distributions.LogNormal(0.0, 1.0).mean
    tensor(1.6487)
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012
    support = constraints.positive
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast("LogNormal", loc=loc, scale=scale)
        super().__init__(self.loc.shape, (), validate_args)

    @property
    def logarithm(self) -> Normal:
        """The normal distribution of log y."""
        return Normal(self.loc, self.scale, validate_args=False)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """exp(μ + σ ε) with ε standard normal."""
        self._extended(sample_shape)
        return self.logarithm.rsample(sample_shape).exp()

    def log_prob(self, value: Any) -> Tensor:
        """The normal log density of log y, less log y."""
        log_y = self._value("log_prob", value, self.loc).log()
        return self.logarithm.log_prob(log_y) - log_y

    def cdf(self, value: Any) -> Tensor:
        """The normal cdf of log y."""
        return self.logarithm.cdf(self._value("cdf", value, self.loc).log())

    def icdf(self, value: Any) -> Tensor:
        """exp of the normal quantile."""
        return self.logarithm.icdf(self._point(value, self.loc)).exp()

    def entropy(self) -> Tensor:
        """½ + log √2π + log σ + μ"""
        return self.logarithm.entropy() + self.loc

    @property
    def mean(self) -> Tensor:
        """exp(μ + σ² / 2)"""
        return (self.loc + self.scale**2 / 2).exp()

    @property
    def mode(self) -> Tensor:
        """exp(μ - σ²)"""
        return (self.loc - self.scale**2).exp()

    @property
    def variance(self) -> Tensor:
        """(exp σ² - 1) exp(2μ + σ²)"""
        return (self.scale**2).expm1() * (2 * self.loc + self.scale**2).exp()


class MultivariateNormal(Distribution):
    """p(x) = exp(-(x - μ)ᵀ Σ⁻¹ (x - μ) / 2) / √det 2πΣ; Σ = L Lᵀ given as one of covariance, precision Σ⁻¹ and lower triangle L.

    Shapes: loc (*, d), the matrix (*, d, d), the leading axes broadcast to batch_shape; event_shape (d).

    Raises DataError for a matrix that is not symmetric positive-definite (L: not triangular with a positive diagonal), ShapeError
    where the shapes do not fit.

    >>> import danlu
    >>> normal = danlu.distributions.MultivariateNormal(danlu.zeros(2), danlu.eye(2) * 4)
    >>> normal.log_prob(danlu.zeros(2))
    tensor(-3.2242)
    >>> normal.scale_tril
    tensor([[2., 0.],
            [0., 2.]])
    """

    arg_constraints = {  # noqa: RUF012
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        matrices = {"covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix, "scale_tril": scale_tril}
        key, matrix = exactly_one("MultivariateNormal", **matrices)
        loc, matrix = as_tensors("MultivariateNormal", **{"loc": loc, key: matrix})
        if loc.ndim < 1 or matrix.ndim < 2 or not matrix.shape[-1] == matrix.shape[-2] == loc.shape[-1]:
            raise ShapeError(
                "MultivariateNormal: loc has shape {loc} and {key} {matrix}; expected (*, d) and (*, d, d)",
                loc=tuple(loc.shape),
                key=key,
                matrix=tuple(matrix.shape),
            )
        batch = broadcast_shapes(f"MultivariateNormal(loc, {key})", [tuple(loc.shape[:-1]), tuple(matrix.shape[:-2])])
        self.loc = loc.expand((*batch, loc.shape[-1]))
        self.__dict__[key] = matrix.expand((*batch, *matrix.shape[-2:]))
        super().__init__(batch, loc.shape[-1:], validate_args)

    @cached_property
    def scale_tril(self) -> Tensor:
        """L, lower triangular with L Lᵀ = Σ; of a precision by the Cholesky factor of it turned round."""
        if "covariance_matrix" in self.__dict__:
            return cholesky(self.covariance_matrix)
        turned = cholesky(self.precision_matrix.flip((-2, -1))).flip((-2, -1)).mT
        return solve_triangular(turned, self._identity(), upper=False)

    @cached_property
    def covariance_matrix(self) -> Tensor:
        """Σ"""
        return self.scale_tril @ self.scale_tril.mT

    @cached_property
    def precision_matrix(self) -> Tensor:
        """Σ⁻¹"""
        inverse = solve_triangular(self.scale_tril, self._identity(), upper=False)
        return inverse.mT @ inverse

    def _identity(self) -> Tensor:
        return eye(self.loc.shape[-1], dtype=self.loc.dtype)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """μ + L ε with ε standard normal."""
        noise = randn(self._extended(sample_shape), dtype=self.loc.dtype)
        return self.loc + (self.scale_tril @ noise.unsqueeze(-1)).squeeze(-1)

    def squared_distance(self, difference: Tensor) -> Tensor:
        """Mahalanobis' |L⁻¹ (x - μ)|², (*, d) → (*)."""
        return solve_triangular(self.scale_tril, difference.unsqueeze(-1), upper=False).squeeze(-1).square().sum(-1)

    def half_log_det(self) -> Tensor:
        """½ log det Σ"""
        return self.scale_tril.diagonal(0, -2, -1).log().sum(-1)

    def log_prob(self, value: Any) -> Tensor:
        """-|L⁻¹ (x - μ)|² / 2 - log det L - d log √2π"""
        x = self._value("log_prob", value, self.loc)
        constant = x.shape[-1] * LOG_TWO_PI / 2
        return -self.squared_distance(x - self.loc) / 2 - self.half_log_det() - constant

    def entropy(self) -> Tensor:
        """d (½ + log √2π) + log det L"""
        return self.half_log_det() + self.loc.shape[-1] * (1 + LOG_TWO_PI) / 2

    @property
    def mean(self) -> Tensor:
        """μ"""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """μ"""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The diagonal of Σ."""
        return self.scale_tril.square().sum(-1)
