"""L7. Parametrizations of weights: size and direction apart (weight_norm), divided by the largest singular value (spectral_norm), orthogonal."""

from __future__ import annotations

from typing import Any

import numpy as np

from danlu.errors import AxisError, DataError, ShapeError
from danlu.functional.loss import normalize
from danlu.linalg import matrix_exp, qr, solve
from danlu.nn.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from danlu.nn.module import Module
from danlu.nn.utils.parametrize import register_parametrization
from danlu.random import randn
from danlu.tensor import Tensor, from_array, no_grad
from danlu.tensor.creation import cat, eye, zeros


def norm_except(v: Tensor, dim: int | None) -> Tensor:
    """The Euclidean norm over all axes but one, which all are kept; None: over all, a number."""
    if dim is None or dim == -1:
        return (v * v).sum().sqrt()
    return (v * v).sum([k for k in range(v.ndim) if k != dim % v.ndim], keepdim=True).sqrt()


def of_norm(g: Tensor, v: Tensor, dim: int | None) -> Tensor:
    """g · v / ‖v‖"""
    return v * (g / norm_except(v, dim))


class _WeightNorm(Module):
    def __init__(self, dim: int | None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, g: Tensor, v: Tensor) -> Tensor:
        return of_norm(g, v, self.dim)

    def right_inverse(self, w: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except(w, self.dim), w


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Trains the size and the direction of a weight apart: w = g v / ‖v‖, with one g for each index of the axis `dim` (None: one for all).

    w = g · v / ‖v‖

    g is parametrizations.weight.original0, v original1. Source: Salimans & Kingma 2016, "Weight normalization", equation 2.

    Shapes: v as the weight, g with size 1 on all axes but `dim`.

    Example:
        >>> from danlu import nn
        >>> sorted(nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)).state_dict())
        ['bias', 'parametrizations.weight.original0', 'parametrizations.weight.original1']
    """
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


def as_matrix(w: Tensor, dim: int) -> Tensor:
    """The axis `dim` first, all others as one."""
    axes = [dim, *(k for k in range(w.ndim) if k != dim)]
    return w.permute(*axes).flatten(1)


def power_steps(w: Tensor, u: Tensor, v: Tensor, count: int, eps: float) -> None:
    """u and v nearer to the first singular vectors of w, in place: v ← wᵀ u, u ← w v, each with norm 1."""
    with no_grad():
        for _ in range(count):
            u.copy_(normalize(w.mv(v), dim=0, eps=eps))
            v.copy_(normalize(w.T.mv(u), dim=0, eps=eps))


def vectors(w: Tensor, count: int, eps: float) -> tuple[Tensor, Tensor]:
    """Random vectors after some power steps; they are memory from the start, and no part of the first program."""
    matrix, (u, v) = w.numpy(), (normalize(randn(size, dtype=w.dtype), dim=0, eps=eps).numpy() for size in w.shape)
    for _ in range(count):
        u = matrix @ v
        u = u / max(float(np.linalg.norm(u)), eps)
        v = matrix.T @ u
        v = v / max(float(np.linalg.norm(v)), eps)
    return from_array(u), from_array(v)


def over_largest(weight: Tensor, matrix: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """The weight by its largest singular value uᵀ W v; u and v as they are now, as later steps change them in place."""
    return weight / u.detach().clone().dot(matrix.mv(v.detach().clone()))


class _SpectralNorm(Module):
    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, steps: int, dim: int, eps: float) -> None:
        super().__init__()
        self.dim, self.steps, self.eps = dim % weight.ndim, steps, eps
        if weight.ndim > 1:
            u, v = vectors(as_matrix(weight.detach(), self.dim), 15, eps)
            self.register_buffer("_u", u)
            self.register_buffer("_v", v)

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            power_steps(matrix.detach(), self._u, self._v, self.steps, self.eps)
        return over_largest(weight, matrix, self._u, self._v)

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def output_axis(module: Module) -> int:
    """The axis of a weight that counts outputs."""
    return 1 if isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else 0


def check_steps(name: str, steps: int) -> None:
    """At least one step."""
    if steps < 1:
        raise DataError("{name}: n_power_iterations is {steps}; expected an integer ≥ 1", name=name, steps=steps)


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divides a weight by its largest singular value, which power iterations estimate whenever the weight is read in training mode.

    w = v / σ(v);   σ ≈ uᵀ v w′ with u, w′ the estimated singular vectors

    Source: Miyato et al. 2018, "Spectral normalization for generative adversarial networks", algorithm 1.

    Shapes: a weight of any rank, seen as a matrix with the axis `dim` first (None: that of the outputs).

    Raises:
        DataError: n_power_iterations is not positive, or there is no such weight.
        AxisError: the weight has no axis `dim`.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> layer = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3), n_power_iterations=3)
        >>> for _ in range(20):
        ...     y = layer(danlu.ones(1, 4)).detach().numpy()
        >>> round(danlu.linalg.matrix_norm(layer.weight.detach(), 2).item(), 3)
        1.0
    """
    check_steps("spectral_norm", n_power_iterations)
    weight = _weight("spectral_norm", module, name)
    dim = output_axis(module) if dim is None else dim
    if not -weight.ndim <= dim < weight.ndim:
        raise AxisError("spectral_norm: the weight has shape {shape} and no axis {dim}", shape=tuple(weight.shape), dim=dim)
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))


def _weight(title: str, module: Module, name: str) -> Tensor:
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise DataError("{title}: {layer} has no tensor {name!r}", title=title, layer=module._get_name(), name=name)
    return weight


class _Orthogonal(Module):
    """x → base · R(x − xᵀ of the lower triangle), where R is the exponential or Cayley's map."""

    base: Any

    def __init__(self, cayley: bool) -> None:
        super().__init__()
        self.cayley = cayley
        self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-2] < x.shape[-1]:
            return self._tall(x.mT).mT
        return self._tall(x)

    def _tall(self, x: Tensor) -> Tensor:
        n, k = x.shape[-2:]
        lower = x.tril()
        if n != k:
            lower = cat([lower, zeros(*x.shape[:-1], n - k, dtype=x.dtype)], -1)
        skew = lower - lower.mH
        if self.cayley:
            one = eye(n, dtype=x.dtype)
            rotation = solve(one - skew / 2, one + skew / 2)
        else:
            rotation = matrix_exp(skew)
        return (self.base @ rotation)[..., :k]

    def right_inverse(self, q: Tensor) -> Tensor:
        """Zeros: the base becomes the orthogonal matrix nearest in the sense of QR."""
        tall = q.mT if q.shape[-2] < q.shape[-1] else q
        whole, triangle = qr(tall, mode="complete")
        signs = triangle.diagonal(dim1=-2, dim2=-1).sgn()
        signs = cat([signs, zeros(*signs.shape[:-1], whole.shape[-1] - signs.shape[-1], dtype=q.dtype) + 1], -1)
        self.register_buffer("base", whole * signs.unsqueeze(-2))
        return zeros(*q.shape, dtype=q.dtype)


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Module:
    """Keeps a weight orthogonal: its columns (of a wide matrix its rows) have norm 1 and stand at right angles.

    w = B exp(A), or B (1 − A/2)⁻¹ (1 + A/2) for orthogonal_map "cayley", with A = x − xᵀ of the lower triangle of the trained x

    B is the orthogonal matrix of the weight's QR decomposition, x begins at 0. Source: Lezcano-Casado 2019, "Trivializations for
    gradient-based optimization on manifolds".

    Shapes: matrices (*, n, m).

    Raises:
        DataError: another map, use_trivialization=False, or no such weight.
        ShapeError: the weight has fewer than two axes.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> q = nn.utils.parametrizations.orthogonal(nn.Linear(3, 3)).weight.detach()
        >>> bool((q @ q.T - danlu.eye(3)).abs().max() < 1e-5)
        True
    """
    if orthogonal_map not in (None, "matrix_exp", "cayley") or not use_trivialization:
        raise DataError(
            "orthogonal: got orthogonal_map={map!r}, use_trivialization={trivial}; expected None, 'matrix_exp' or 'cayley', and True",
            map=orthogonal_map,
            trivial=use_trivialization,
        )
    weight = _weight("orthogonal", module, name)
    if weight.ndim < 2:
        raise ShapeError("orthogonal: {name!r} has shape {shape}; expected a matrix", name=name, shape=tuple(weight.shape))
    return register_parametrization(module, name, _Orthogonal(orthogonal_map == "cayley"))


__all__: list[Any] = ["orthogonal", "spectral_norm", "weight_norm"]
