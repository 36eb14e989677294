"""L6. Further activations, and the dropouts of whole channels; public in `danlu.nn.functional`."""

from __future__ import annotations

from typing import Any

from danlu import random
from danlu.dtype import DType
from danlu.errors import DataError, ShapeError
from danlu.functional.common import _check_probability, _result, dropout, leaky_relu, softmax
from danlu.ops.movement import normalize_axis
from danlu.tensor import Tensor, apply


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else α (exp(x / α) − 1) (Barron 2017).

    Shapes: input (*) → (*): element by element.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> round(F.celu(danlu.tensor(-1.0)).item(), 4)
        -0.6321
    """
    if alpha == 0:
        raise DataError("celu: alpha is 0; expected another number")
    positive = input > 0
    below = apply("where", positive, 0.0, input) / alpha
    return _result(input, apply("where", positive, input, below.expm1() * alpha), inplace)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a · sigmoid(b), a and b the halves of an axis (Dauphin et al. 2017).

    Shapes: input (*, 2n, *) → (*, n, *), on the axis dim.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.glu(danlu.tensor([4.0, 0.0])).tolist()
        [2.0]
    """
    axis = normalize_axis("glu", dim, input.ndim)
    n = input.shape[axis] if input.ndim else 1
    if n % 2:
        raise ShapeError(
            "glu: axis {dim} of the input of shape {shape} has size {size}; expected an even size: it is halved",
            dim=dim,
            shape=tuple(input.shape),
            size=n,
        )
    return input.narrow(axis, 0, n // 2) * input.narrow(axis, n // 2, n // 2).sigmoid()


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x where |x| > λ, else 0.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.hardshrink(danlu.tensor([-1.0, 0.25])).tolist()
        [-1.0, 0.0]
    """
    return apply("where", (input >= -lambd).logical_and(input <= lambd), 0.0, input)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x − λ where x > λ, x + λ where x < −λ, else 0.

    Shapes: input (*) → (*): element by element.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.softshrink(danlu.tensor([-1.0, 0.25, 2.0])).tolist()
        [-0.5, 0.0, 1.5]
    """
    if lambd < 0:
        raise DataError("softshrink: lambd is {lambd}; expected a number ≥ 0", lambd=lambd)
    return apply("where", input > lambd, input - lambd, apply("where", input < -lambd, input + lambd, input * 0.0))


def tanhshrink(input: Tensor) -> Tensor:
    """x − tanh(x).

    Shapes: input (*) → (*): element by element.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.tanhshrink(danlu.tensor([0.0])).tolist()
        [0.0]
    """
    return input - input.tanh()


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, else value.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.threshold(danlu.tensor([1.0, 3.0]), 2.0, -1.0).tolist()
        [-1.0, 3.0]
    """
    if not input.dtype.is_floating_point:
        value = int(value)
    return _result(input, apply("where", input <= threshold, value, input), inplace)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where x > 0, else w · x with a learned w, one or one a channel (He et al. 2015).

    Shapes: input (*), weight (1,), or (C,) for an input (N, C, *) → the shape of the input.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.prelu(danlu.tensor([-2.0, 2.0]), danlu.tensor([0.25])).tolist()
        [-0.5, 2.0]
    """
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.numel() not in (1, channels) or weight.ndim > 1:
        raise ShapeError(
            "prelu: {count} weights of shape {weights} for an input of shape {shape}; expected 1, or {channels}, one a channel, "
            "as a vector",
            count=weight.numel(),
            weights=tuple(weight.shape),
            shape=tuple(input.shape),
            channels=channels,
        )
    w = (
        weight.reshape(*[-1 if k == min(1, input.ndim - 1) else 1 for k in range(input.ndim)])
        if input.ndim
        else weight.reshape(())
    )
    return apply("where", input > 0, input, w * input)


def rrelu(input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False) -> Tensor:
    """leaky_relu with a slope drawn from lower … upper for each element while training, else with their mean (Xu et al. 2015).

    x where x ≥ 0, else s · x, s ~ U(lower, upper) while training, else s = (lower + upper) / 2

    Shapes: input (*) → (*): element by element.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.rrelu(danlu.tensor([-2.0, 2.0]), 0.25, 0.75).tolist()
        [-1.0, 2.0]
    """
    if lower > upper:
        raise DataError("rrelu: lower is {lower} and upper {upper}; expected lower ≤ upper", lower=lower, upper=upper)
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    seed, counter = random.changing_key()
    options = {"shape": tuple(input.shape), "dtype": input.dtype}
    slope = apply("uniform_between", seed, counter, float(lower), float(upper), **options)
    return _result(input, apply("where", input > 0, input, input * slope), inplace)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None) -> Tensor:
    """exp(−x) / Σ exp(−x) along an axis: softmax of −x.

    Shapes: input (*) → (*).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.softmin(danlu.zeros(2), dim=0).tolist()
        [0.5, 0.5]
    """
    return softmax(-(input if dtype is None else input.to(dtype)), dim)


def gumbel_softmax(logits: Tensor, tau: float = 1.0, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """softmax((x + g) / τ) with Gumbel noise g; hard: its one-hot maximum with the soft one's derivative (Jang et al. 2017).

    Shapes: logits (*) → (*).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.gumbel_softmax(danlu.zeros(4), hard=True).sum().item()
        1.0
    """
    seed, counter = random.changing_key()
    noise = apply("uniform_between", seed, counter, 1e-20, 1.0, shape=tuple(logits.shape), dtype=logits.dtype)
    soft = softmax((logits - (-noise.log()).log()) / tau, dim)
    if not hard:
        return soft
    best = soft.argmax(dim, keepdim=True)
    one_hot = soft.new_zeros(*soft.shape).scatter(dim, best, 1.0)
    return apply("carry", one_hot, soft)


# ---- dropout of channels --------------------------------------------------------------------------------------------------------


def _channel_mask(name: str, x: Tensor, d: int | None, p: float) -> Tensor:
    """0 or 1 / (1 − p) for each channel of (N, C, …) (or of (C, …), if the rank says so)."""
    _check_probability(name, p)
    if d is not None and x.ndim not in (d + 1, d + 2):
        raise ShapeError(
            "{name}: the input has shape {shape}; expected {ndim} axes (N, C, …), or {ndim_without_batch} without N",
            name=name,
            shape=tuple(x.shape),
            ndim=d + 2,
            ndim_without_batch=d + 1,
        )
    kept = 1 if d is not None and x.ndim == d + 1 else 2
    return dropout(x.new_ones(*[n if k < kept else 1 for k, n in enumerate(x.shape)]), p)


def _feature_dropout(name: str, d: int, x: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    mask = _channel_mask(name, x, d, p)
    return _result(x, x * mask, inplace) if training and p else x


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Sets whole channels of (N, C, L) to zero with probability p and divides the others by 1 − p.

    y = x · m / (1 − p), P(m = 0) = p for each channel

    Shapes: input (N, C, L) or (C, L) → the same.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.dropout1d(danlu.ones(1, 1, 2), 0.5, training=False).tolist()
        [[[1.0, 1.0]]]
    """
    return _feature_dropout("dropout1d", 1, input, p, training, inplace)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Sets whole channels of (N, C, H, W) to zero with probability p and divides the others by 1 − p (Tompson et al. 2015).

    y = x · m / (1 − p), P(m = 0) = p for each channel

    Shapes: input (N, C, H, W) or (C, H, W) → the same.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> sorted(set(F.dropout2d(danlu.ones(1, 64, 2, 2), 0.5).sum((2, 3)).flatten().tolist()))
        [0.0, 8.0]
    """
    return _feature_dropout("dropout2d", 2, input, p, training, inplace)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Sets whole channels of (N, C, D, H, W) to zero with probability p and divides the others by 1 − p.

    y = x · m / (1 − p), P(m = 0) = p for each channel

    Shapes: input (N, C, D, H, W) or (C, D, H, W) → the same.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> tuple(F.dropout3d(danlu.ones(1, 2, 2, 2, 2)).shape)
        (1, 2, 2, 2, 2)
    """
    return _feature_dropout("dropout3d", 3, input, p, training, inplace)


_SATURATED = -1.7580993408473766  # −λα of selu: where it goes for x → −∞


def _alpha_masked(x: Tensor, mask: Tensor, p: float) -> Tensor:
    """Dropped elements become selu's limit; then scaled and shifted to keep mean 0 and variance 1 (Klambauer et al. 2017)."""
    if p == 1.0:
        return x * 0.0
    scale = ((1 - p) * (1 + p * _SATURATED**2)) ** -0.5
    kept: Any = mask > 0
    return apply("where", kept, x, _SATURATED) * scale - scale * _SATURATED * p


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout for networks of selu: mean 0 and variance 1 are kept.

    y = a (x or α′ with probability p) + b, α′ = −λα, a and b such that mean 0 and variance 1 are kept

    Shapes: input (*) → (*).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.alpha_dropout(danlu.ones(2), training=False).tolist()
        [1.0, 1.0]
    """
    _check_probability("alpha_dropout", p)
    if not training or p == 0.0:
        return input
    return _result(input, _alpha_masked(input, dropout(input.new_ones(*input.shape), p), p), inplace)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """alpha_dropout of whole channels of (N, C, …).

    y = a (x or α′ for a whole channel with probability p) + b, as in alpha_dropout

    Shapes: input (N, C, *) → (N, C, *).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.feature_alpha_dropout(danlu.ones(1, 2), training=False).tolist()
        [[1.0, 1.0]]
    """
    _check_probability("feature_alpha_dropout", p)
    if not training or p == 0.0:
        return input
    return _result(input, _alpha_masked(input, _channel_mask("feature_alpha_dropout", input, None, p), p), inplace)


__all__ = [
    "alpha_dropout",
    "celu",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "feature_alpha_dropout",
    "glu",
    "gumbel_softmax",
    "hardshrink",
    "prelu",
    "rrelu",
    "softmin",
    "softshrink",
    "tanhshrink",
    "threshold",
]
