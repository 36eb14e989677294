"""L6. Functions of neural networks with PyTorch's signatures; public as `danlu.nn.functional`.

Each is one node of the graph. Checked here is what a formula cannot know: options, and habits that rarely mean what they say.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from danlu import random
from danlu.dtype import DType, float64
from danlu.errors import DataError, ShapeError, warn
from danlu.functional.checks import (
    _check_equal_shapes,
    _check_probability,
    _check_reduction,
    _check_same_shape,
    _check_target,
    _result,
    _warn_of_probabilities,
    _warn_of_sigmoid,
    _warn_of_softmax,
)
from danlu.guidance import outside
from danlu.ops import composite
from danlu.ops.movement import normalize_axis
from danlu.tensor import Tensor, apply, update_

# ---- linear -------------------------------------------------------------------------------------------------------------------


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Applies a matrix to the last axis.

    y = x wᵀ + b

    Shapes: input (..., in), weight (out, in), bias (out,) → (..., out).

    Raises:
        ShapeError: the last axis of the input is not in.
        DTypeError: input and weight have different dtypes.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> tuple(F.linear(danlu.ones(2, 3), danlu.ones(4, 3)).shape)
        (2, 4)
    """
    return apply(composite.linear, input, weight) if bias is None else apply(composite.linear, input, weight, bias)


# ---- activations ------------------------------------------------------------------------------------------------------


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0); the derivative at 0 is 0.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.relu(danlu.tensor([-1.0, 0.0, 2.0])).tolist()
        [0.0, 0.0, 2.0]
    """
    return _result(input, apply("relu", input), inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6).

    Shapes: input (*) → (*): element by element.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.relu6(danlu.tensor([-1.0, 3.0, 8.0])).tolist()
        [0.0, 3.0, 6.0]
    """
    return hardtanh(input, 0.0, 6.0, inplace)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(−x)).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.sigmoid(danlu.tensor([0.0])).tolist()
        [0.5]
    """
    return apply("sigmoid", input)


def tanh(input: Tensor) -> Tensor:
    """(exp(x) − exp(−x)) / (exp(x) + exp(−x)).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.tanh(danlu.tensor([0.0])).tolist()
        [0.0]
    """
    return apply("tanh", input)


def logsigmoid(input: Tensor) -> Tensor:
    """log(1 / (1 + exp(−x))), without overflow.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> round(F.logsigmoid(danlu.tensor(0.0)).item(), 4)  # −log 2
        -0.6931
    """
    return apply(composite.log_sigmoid, input)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x Φ(x); "tanh" takes the approximation of Hendrycks & Gimpel (2016).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> round(F.gelu(danlu.tensor(1.0)).item(), 4)
        0.8413
    """
    if approximate not in ("none", "tanh"):
        raise DataError("gelu: approximate is {approximate!r}; expected 'none' or 'tanh'", approximate=approximate)
    return apply(composite.gelu, input, approximate=approximate)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x · sigmoid(x), also called swish.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> round(F.silu(danlu.tensor(1.0)).item(), 4)
        0.7311
    """
    return _result(input, apply(composite.silu, input), inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x · tanh(softplus(x)).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> round(F.mish(danlu.tensor(1.0)).item(), 4)
        0.8651
    """
    return _result(input, apply(composite.mish, input), inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope · x.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.leaky_relu(danlu.tensor([-2.0, 2.0]), 0.5).tolist()
        [-1.0, 2.0]
    """
    return _result(input, apply(composite.leaky_relu, input, negative_slope=float(negative_slope)), inplace)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else α (exp(x) − 1) (Clevert et al. 2016).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> round(F.elu(danlu.tensor(-1.0)).item(), 4)  # 1/e − 1
        -0.6321
    """
    return _result(input, apply(composite.elu, input, alpha=float(alpha), scale=1.0), inplace)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """λ · elu(x, α) with the constants that keep mean 0 and variance 1 (Klambauer et al. 2017).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> round(F.selu(danlu.tensor(1.0)).item(), 4)
        1.0507
    """
    y = apply(composite.elu, input, alpha=1.6732632423543772, scale=1.0507009873554805)
    return _result(input, y, inplace)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(β x)) / β, and x itself where β x > threshold (at 20 they are one float32).

    Shapes: input (*) → (*): element by element.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> round(F.softplus(danlu.tensor(0.0)).item(), 4)  # log 2
        0.6931
    """
    y = apply(composite.softplus, input if beta == 1.0 else input * beta)
    y = y if beta == 1.0 else y / beta
    return y if threshold == 20.0 and input.dtype is not float64 else apply("where", input * beta > threshold, input, y)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """min(max(x, min_val), max_val).

    Shapes: input (*) → (*): element by element.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.hardtanh(danlu.tensor([-3.0, 0.5, 3.0])).tolist()
        [-1.0, 0.5, 1.0]
    """
    if min_val > max_val:
        raise DataError(
            "hardtanh: min_val is {min_val} and max_val {max_val}; expected min_val ≤ max_val", min_val=min_val, max_val=max_val
        )
    number = float if input.dtype.is_floating_point else int
    return _result(input, apply(composite.hardtanh, input, low=number(min_val), high=number(max_val)), inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """relu6(x + 3) / 6.

    Shapes: input (*) → (*): element by element.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.hardsigmoid(danlu.tensor([-3.0, 0.0, 3.0])).tolist()
        [0.0, 0.5, 1.0]
    """
    return _result(input, relu6(input + 3.0) / 6.0, inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x · relu6(x + 3) / 6 (Howard et al. 2019).

    Shapes: input (*) → (*): element by element.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.hardswish(danlu.tensor([0.0, 3.0])).tolist()
        [0.0, 3.0]
    """
    return _result(input, input * relu6(input + 3.0) / 6.0, inplace)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.softsign(danlu.tensor([-1.0, 3.0])).tolist()
        [-0.5, 0.75]
    """
    return apply(composite.softsign, input)


def _along(name: str, input: Tensor, dim: int | None, dtype: DType | None) -> Tensor:
    if dim is None:
        dim = 0 if input.ndim in (0, 1, 3) else 1
        warn(
            "{name}: no axis was given for an input of shape {shape}; axis {dim} is taken. Write dim={dim}",
            UserWarning,
            outside(),
            name=name,
            shape=tuple(input.shape),
            dim=dim,
        )
    input = input if dtype is None else input.to(dtype)
    if not input.numel():
        normalize_axis(name, dim, input.ndim)
        return input.clone()
    if not input.ndim:
        return apply(name, input.reshape(1), dim=normalize_axis(name, dim, 0)).reshape(())
    return apply(name, input, dim=normalize_axis(name, dim, input.ndim))


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None) -> Tensor:
    """Positive numbers with sum 1 along an axis.

    y = exp(x) / Σ exp(x)

    Shapes: input (*) → (*).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.softmax(danlu.zeros(4), dim=0).tolist()
        [0.25, 0.25, 0.25, 0.25]
    """
    return _along("softmax", input, dim, dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None) -> Tensor:
    """x − log Σ exp(x) along an axis: the logarithm of softmax, without its rounding.

    Shapes: input (*) → (*).

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> round(F.log_softmax(danlu.zeros(2), dim=0)[0].item(), 4)  # −log 2
        -0.6931
    """
    return _along("log_softmax", input, dim, dtype)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Sets elements to zero with probability p and divides the others by 1 − p; does nothing when not training.

    y = x · m / (1 − p), P(m = 0) = p, P(m = 1) = 1 − p

    Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting".

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> sorted(set(F.dropout(danlu.ones(100), 0.5).tolist()))
        [0.0, 2.0]
    """
    _check_probability("dropout", p)
    if not training or p == 0.0:
        return input
    return _result(input, apply(composite.dropout, input, *dropped(p)), inplace)


def dropped(p: float) -> tuple[Any, ...]:
    """What the op `dropout` is given beside its input: the next key of the random numbers, p, and by what the rest is multiplied."""
    _check_probability("dropout", p)
    return *random.changing_key(), float(p), 0.0 if p == 1.0 else 1.0 / (1.0 - p)


# ---- losses -----------------------------------------------------------------------------------------------------------


def mse_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """The mean of (x − y)².

    Shapes: input and target (*) → (), or (*) for reduction="none".

    Raises:
        ShapeError: the shapes cannot be broadcast. Shapes that differ give a UserWarning.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.mse_loss(danlu.tensor([1.0, 2.0]), danlu.tensor([0.0, 0.0])).item()
        2.5
    """
    _check_reduction("mse_loss", reduction)
    _check_same_shape("mse_loss", input, target)
    return apply(composite.mse_loss, input, target, reduction=reduction)


def l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """The mean of |x − y|.

    Shapes: input and target (*) → (), or (*) for reduction="none".

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.l1_loss(danlu.tensor([1.0, 2.0]), danlu.tensor([0.0, 0.0])).item()
        1.5
    """
    _check_reduction("l1_loss", reduction)
    _check_same_shape("l1_loss", input, target)
    return apply(composite.l1_loss, input, target, reduction=reduction)


def smooth_l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """The mean of d² / 2β where d = |x − y| < β, else d − β/2.

    Shapes: input and target (*) → (), or (*) for reduction="none".

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.smooth_l1_loss(danlu.tensor([0.5, 3.0]), danlu.tensor([0.0, 0.0]), reduction="none").tolist()
        [0.125, 2.5]
    """
    _check_reduction("smooth_l1_loss", reduction)
    if beta < 0:
        raise DataError("smooth_l1_loss: beta is {beta}; expected a number ≥ 0", beta=beta)
    _check_same_shape("smooth_l1_loss", input, target)
    if beta == 0:
        return apply(composite.l1_loss, input, target, reduction=reduction)
    return apply(composite.huber_loss, input, target, delta=float(beta), scale=1.0 / beta, reduction=reduction)


def huber_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """The mean of d²/2 where d = |x − y| < δ, else δ (d − δ/2) (Huber 1964).

    Shapes: input and target (*) → (), or (*) for reduction="none".

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.huber_loss(danlu.tensor([0.5, 3.0]), danlu.tensor([0.0, 0.0]), reduction="none").tolist()
        [0.125, 2.5]
    """
    _check_reduction("huber_loss", reduction)
    if delta <= 0:
        raise DataError("huber_loss: delta is {delta}; expected a number > 0", delta=delta)
    _check_same_shape("huber_loss", input, target)
    return apply(composite.huber_loss, input, target, delta=float(delta), scale=1.0, reduction=reduction)


def binary_cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean") -> Tensor:
    """The mean of −(y log p + (1 − y) log(1 − p)) for probabilities p; each logarithm is at least −100.

    Shapes: input and target (*), weight broadcast to it → (), or (*) for reduction="none".

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> round(F.binary_cross_entropy(danlu.tensor([0.5]), danlu.tensor([1.0])).item(), 4)  # log 2
        0.6931
    """
    _check_reduction("binary_cross_entropy", reduction)
    _check_equal_shapes("binary_cross_entropy", input, target)
    weights = () if weight is None else (weight,)
    return apply(composite.binary_cross_entropy, input, target, *weights, reduction=reduction)


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean", pos_weight: Tensor | None = None
) -> Tensor:
    """binary_cross_entropy of sigmoid(z), computed from z without overflow or rounding to 0 and 1.

    the mean of −(y log σ(z) + (1 − y) log(1 − σ(z))), y log σ(z) times pos_weight where it is given

    Shapes: input and target (*), weight and pos_weight broadcast to it → (), or (*) for reduction="none".

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> round(F.binary_cross_entropy_with_logits(danlu.tensor([0.0]), danlu.tensor([1.0])).item(), 4)
        0.6931
    """
    _check_reduction("binary_cross_entropy_with_logits", reduction)
    _warn_of_sigmoid(input)
    _check_equal_shapes("binary_cross_entropy_with_logits", input, target)
    weights = [w for w in (weight, pos_weight) if w is not None]
    options = {"weighted": weight is not None, "positive": pos_weight is not None, "reduction": reduction}
    return apply(composite.bce_with_logits, input, target, *weights, **options)


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """−log p of the target class, from logarithms of probabilities; see cross_entropy for the shapes.

    Shapes: input (C,), (N, C) or (N, C, d1, …) of logarithms, target the same without C; weight (C,) → (), or the shape of
    the target.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.nll_loss(danlu.tensor([[-1.0, -2.0]]), danlu.tensor([1])).item()
        2.0
    """
    _check_target("nll_loss", target)
    _check_reduction("nll_loss", reduction)
    _warn_of_probabilities(input)
    weights = () if weight is None else (weight,)
    return apply(composite.nll_loss, input, target, *weights, ignore_index=ignore_index, reduction=reduction)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The loss of a classifier, from logits.

    −log softmax(x)[t], averaged over the targets that are not ignore_index, each weighted by its class's weight.

    Shapes: input (C,), (N, C) or (N, C, d1, …); target the same without C (class indices), or the same (probabilities);
    weight (C,); the result is a scalar, or has the shape of class indices for reduction="none".

    Raises:
        ShapeError: the target's shape does not fit.
        DTypeError: class indices are not integers.
        AxisError: a class index is below 0 or not below C; reported when the value is computed.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> round(F.cross_entropy(danlu.zeros(2, 4), danlu.tensor([3, 0])).item(), 4)  # log 4
        1.3863
    """
    _check_target("cross_entropy", target)
    _check_reduction("cross_entropy", reduction)
    _warn_of_softmax(input)
    _check_probability("cross_entropy label_smoothing", label_smoothing)
    weights = () if weight is None else (weight,)
    options = {"label_smoothing": float(label_smoothing), "reduction": reduction}
    if target.dtype.is_floating_point and target.shape == input.shape:
        return apply(composite.cross_entropy_soft, input, target, *weights, **options)
    return apply(composite.cross_entropy, input, target, *weights, ignore_index=ignore_index, **options)


# ---- normalisation ----------------------------------------------------------------------------------------------------


def _affine(weight: Tensor | None, bias: Tensor | None) -> tuple[Tensor, ...]:
    """Scale and shift as the inputs of a composite; a shift alone gets a scale of ones."""
    if weight is None and bias is not None:
        weight = apply("full", 1, shape=tuple(bias.shape), dtype=bias.dtype)
    return tuple(x for x in (weight, bias) if x is not None)


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x − mean) / √(var + ε) · w + b, with statistics over the last axes, those of `normalized_shape` (Ba et al. 2016, eq. 3).

    Shapes: input (*, *normalized_shape), weight and bias of normalized_shape → the shape of the input.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.layer_norm(danlu.tensor([1.0, 3.0]), [2], eps=0.0).tolist()
        [-1.0, 1.0]
    """
    shape = tuple(normalized_shape)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        raise ShapeError(
            "layer_norm: the input has shape {input_shape}; expected (..., {axes})",
            input_shape=tuple(input.shape),
            axes=", ".join(map(str, shape)),
        )
    return apply(composite.layer_norm, input, *_affine(weight, bias), ndim=len(shape), eps=float(eps))


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x − mean) / √(var + ε) · w + b for each channel (axis 1) (Ioffe & Szegedy 2015).

    Training takes the batch's statistics and moves the running ones towards them: r ← (1 − momentum) r + momentum s.
    Otherwise the running statistics are taken.

    Shapes: input (N, C) or (N, C, *); the statistics, weight and bias (C,) → the shape of the input.

    Example:
        >>> import danlu
        >>> from danlu.nn import functional as F
        >>> F.batch_norm(danlu.tensor([[1.0], [3.0]]), None, None, training=True, eps=0.0).tolist()
        [[-1.0], [1.0]]
    """
    shape, affine = tuple(input.shape), _affine(weight, bias)
    if not prod(shape):
        return input.clone()
    if len(shape) < 2:
        raise ShapeError("batch_norm: the input has shape {shape}; expected (N, C) or (N, C, …)", shape=shape)
    if not training:
        if running_mean is None or running_var is None:
            raise ShapeError("batch_norm: running_mean and running_var are None; without them write training=True")
        return apply(composite.batch_norm_inference, input, running_mean, running_var, *affine, eps=float(eps))
    count = prod(shape) // max(shape[1], 1)
    if count < 2:
        raise ShapeError(
            "batch_norm: Expected more than 1 value per channel when training, got input of shape {shape}; take a larger "
            "batch (DataLoader(drop_last=True) leaves out a last batch of 1), or call model.eval()",
            shape=shape,
        )
    y, *statistics = apply(composite.batch_norm, input, *affine, eps=float(eps))
    if running_mean is not None and running_var is not None:
        running = [running_mean, running_var]
        update_(composite.running_statistics, running, *running, *statistics, momentum, count=count)
    return y
