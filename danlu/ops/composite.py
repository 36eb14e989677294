"""L2. Composites of neural networks: named functions of other ops. Each is one node while recording and is written out when a
program is compiled; shapes and derivatives follow from the parts.

Formulas are written so that no exponential overflows and no branch that is not taken gives 0 · ∞ in the derivative: a `where`
chooses the *argument* of a function, not only its result. The maximum that steadies a softmax is a `stop`: shifting by a
constant changes neither value nor derivative, so none flows through it.
"""

from __future__ import annotations

from math import pi, prod, sqrt

from danlu import dtype as dt
from danlu.errors import DataError, DTypeError, ShapeError
from danlu.graph import ELEMENTWISE, Node, Op
from danlu.messages import Phrase
from danlu.ops.table import composite, register


def check_floating(name: str, x: Node) -> None:
    """DTypeError for integers and bools, which have no such function."""
    if not x.dtype.is_floating_point:
        raise DTypeError(
            "{name}: the input has dtype {dtype}; expected a floating-point dtype: write x.float()", name=name, dtype=x.dtype.name
        )


def channel_shape(ndim: int, axis: int, size: int) -> tuple[int, ...]:
    """The shape under which one value per channel broadcasts: `size` on `axis`, 1 elsewhere."""
    return tuple(size if k == axis else 1 for k in range(ndim))


# ---- statistics -----------------------------------------------------------------------------------------------------------


@composite(attrs=("dims", "keepdim"))
def mean(o, x: Node, dims: tuple[int, ...], keepdim: bool) -> Node:
    """Σ x / n over axes."""
    if not x.dtype.is_complex:
        check_floating("mean", x)
    return o.div(o.sum(x, dims=dims, keepdim=keepdim), float(prod(x.shape[d] for d in dims)))


@composite(attrs=("dims", "keepdim", "correction"))
def var(o, x: Node, dims: tuple[int, ...], keepdim: bool, correction: float) -> Node:
    """Σ (x − mean)² / max(0, n − correction) over axes."""
    if x.dtype.is_complex:  # the mean square distance: both parts vary by themselves
        return o.add(*(o.var(part, dims=dims, keepdim=keepdim, correction=correction) for part in (o.real(x), o.imag(x))))
    check_floating("var", x)
    d = o.sub(x, o.mean(x, dims=dims, keepdim=True))
    count = prod(x.shape[axis] for axis in dims)
    return o.div(o.sum(o.mul(d, d), dims=dims, keepdim=keepdim), float(max(0, count - correction)))


@composite(attrs=("dims", "keepdim", "correction"))
def std(o, x: Node, dims: tuple[int, ...], keepdim: bool, correction: float) -> Node:
    """√var over axes."""
    if not x.dtype.is_complex:
        check_floating("std", x)
    return o.sqrt(o.var(x, dims=dims, keepdim=keepdim, correction=correction))


# ---- linear ---------------------------------------------------------------------------------------------------------------


@composite
def linear(o, x: Node, w: Node, b: Node | None = None) -> Node:
    """y = x wᵀ + b."""
    if len(w.shape) != 2 or not x.shape or x.shape[-1] != w.shape[1]:
        raise ShapeError(_linear_message(x.shape, w.shape))
    if x.dtype is not w.dtype:
        check_floating("linear", x)
        raise DTypeError(
            "linear: the input has dtype {input_dtype}, the weight {weight_dtype}; expected one dtype for both: write "
            "x.to(danlu.{weight_dtype}), or layer.to(danlu.{input_dtype})",
            input_dtype=x.dtype.name,
            weight_dtype=w.dtype.name,
        )
    if b is not None and b.shape != w.shape[:1]:
        raise ShapeError(
            "linear: the bias has shape {shape}; expected {expected}, one value per row of the weight {weight_shape}",
            shape=b.shape,
            expected=w.shape[:1],
            weight_shape=w.shape,
        )
    y = o.matmul(x, o.permute(w, dims=(1, 0)))  # (..., in) @ (in, out) → (..., out)
    return y if b is None else o.add(y, b)


def _linear_message(x: tuple[int, ...], w: tuple[int, ...]) -> Phrase:
    if len(w) != 2:
        return Phrase("linear: the weight has shape {shape}; expected two axes (out_features, in_features)", shape=w)
    hint = Phrase("the last axis of the input must have in_features = {features}", features=w[1])
    if prod(x[1:]) == w[1] and x:
        hint = Phrase("flatten it first: x.flatten(1) has shape {shape}", shape=(x[0], w[1]))
    return Phrase(
        "linear: mat1 and mat2 shapes cannot be multiplied: input {input}, weight {weight}; "
        "expected an input of shape (..., {features}); {hint}",
        input=x,
        weight=w,
        features=w[1],
        hint=hint,
    )


def _as_given(position: int, size: int) -> int:
    """The number that the user wrote: negative ones were moved below −size, as nothing counts from the end here."""
    return position + size if position < 0 else position


def _no_such_row(position: int, size: int) -> Phrase:
    """Of the rows of an embedding."""
    return Phrase(
        "embedding: index {number} is out of range: the table has {size} rows; expected 0 … {last}, or a larger num_embeddings",
        number=_as_given(position, size),
        size=size,
        last=size - 1,
    )


@composite(attrs=("name",), explain=_no_such_row)
def named_rows(o, w: Node, index: Node, name: str) -> Node:
    """y[…, :] = w[x[…], :]; nothing counts from the end: a negative index becomes one that does not exist."""
    if len(w.shape) != 2:
        raise ShapeError(
            "{name}: the weight has shape {shape}; expected (num_embeddings, embedding_dim)", name=name, shape=w.shape
        )
    if index.dtype.kind not in "iu":
        raise DTypeError(
            "{name}: the input has dtype {dtype}; expected indices of an integer dtype: write input.long()",
            name=name,
            dtype=index.dtype.name,
        )
    index = o.cast(index, dtype=dt.int64)
    return o.take(w, o.where(o.lt(index, 0), o.sub(index, w.shape[0]), index), dim=0)


# ---- softmax and its logarithm ------------------------------------------------------------------------------------------


def _shifted(o, x: Node, dim: int) -> Node:
    """x − max x along an axis."""
    return o.sub(o.rounded(x), o.stop(o.max(x, dims=(dim,), keepdim=True)))


def _among_shares(o, y: Node, d: Node, dim: int) -> Node:
    """y (d − Σ d y): a softmax's derivative times d, from either side. `dim` counts from the last axis: a batch may come in front."""
    return o.mul(y, o.sub(d, o.sum(o.mul(d, y), dims=(len(y.shape) + dim,), keepdim=True)))


# Of the parts the derivative would need the exponentials and their sum as well, as large as the result itself: attention of a GPT stored
# both (3.03 → 2.87 ms forward and backward for 128 heads of 64²).
register(
    Op("shares", ELEMENTWISE, "The value of the first input, known to be the softmax of the second: its derivative needs nothing else.",
       attrs=("dim",), infer=lambda v, x, dim: x, numpy=lambda v, x, dim: v, emit=lambda b, v, x, dim: v, rewrite=lambda v, x, dim: v,
       vjp=lambda o, g, y, v, x, dim: (None, _among_shares(o, y, g, dim)),
       jvp=lambda o, y, xs, dxs, dim: _among_shares(o, y, dxs[1], dim), folds=lambda specs, out: (None, None))
)  # fmt: skip


@composite(attrs=("dim",))
def softmax(o, x: Node, dim: int) -> Node:
    """exp(x) / Σ exp(x) along an axis; one division a row (one an element took a third of the time)."""
    check_floating("softmax", x)
    e = o.exp(_shifted(o, x, dim))
    return o.shares(o.mul(e, o.reciprocal(o.sum(e, dims=(dim,), keepdim=True))), x, dim=dim - len(x.shape))


@composite(attrs=("dim",))
def log_softmax(o, x: Node, dim: int) -> Node:
    """x − log Σ exp(x) along an axis."""
    check_floating("log_softmax", x)
    z = _shifted(o, x, dim)
    return o.sub(z, o.log(o.sum(o.exp(z), dims=(dim,), keepdim=True)))


@composite(attrs=("dims", "keepdim"))
def logsumexp(o, x: Node, dims: tuple[int, ...], keepdim: bool) -> Node:
    """log Σ exp(x) over axes."""
    check_floating("logsumexp", x)
    top = o.max(x, dims=dims, keepdim=True)
    top = o.stop(o.where(o.isinf(top), 0.0, top))  # ∞ − ∞ would be NaN
    y = o.add(o.log(o.sum(o.exp(o.sub(o.rounded(x), top)), dims=dims, keepdim=True)), top)
    return y if keepdim else o.reshape(y, shape=tuple(n for k, n in enumerate(x.shape) if k not in dims))


# ---- activations ----------------------------------------------------------------------------------------------------------


@composite
def softplus(o, z: Node) -> Node:
    """log(1 + exp(z)) = max(z, 0) + log(1 + exp(−|z|))."""
    check_floating("softplus", z)
    positive = o.ge(z, 0.0)
    return o.add(o.where(positive, z, 0.0), o.log1p(o.exp(o.where(positive, o.neg(z), z))))


@composite
def log_sigmoid(o, z: Node) -> Node:
    """log σ(z) = −softplus(−z)."""
    return o.neg(o.softplus(o.neg(z)))


@composite(attrs=("approximate",))
def gelu(o, x: Node, approximate: str) -> Node:
    """x Φ(x), Φ the normal distribution function; "tanh": x σ(2 √(2/π) (x + 0.044715 x³)) (Hendrycks & Gimpel 2016, §2)."""
    check_floating("gelu", x)
    if approximate == "tanh":
        inner = o.mul(o.add(x, o.mul(o.mul(o.mul(x, x), x), 0.044715)), sqrt(2.0 / pi))
        return o.mul(o.mul(x, 0.5), o.add(o.tanh(inner), 1.0))
    return o.mul(o.mul(x, 0.5), o.add(o.erf(o.mul(x, sqrt(0.5))), 1.0))


@composite
def silu(o, x: Node) -> Node:
    """x σ(x)."""
    return o.mul(x, o.sigmoid(x))


@composite
def mish(o, x: Node) -> Node:
    """x tanh(softplus(x))."""
    return o.mul(x, o.tanh(o.softplus(x)))


@composite(attrs=("negative_slope",))
def leaky_relu(o, x: Node, negative_slope: float) -> Node:
    """x where x > 0, else slope · x."""
    return o.where(o.gt(x, 0.0), x, o.mul(x, negative_slope))


@composite(attrs=("alpha", "scale"))
def elu(o, x: Node, alpha: float, scale: float) -> Node:
    """scale · (x where x > 0, else α (exp(x) − 1))."""
    check_floating("elu", x)
    positive = o.gt(x, 0.0)
    y = o.where(positive, x, o.mul(o.expm1(o.where(positive, 0.0, x)), alpha))
    return y if scale == 1.0 else o.mul(y, scale)


@composite(attrs=("low", "high"))
def hardtanh(o, x: Node, low: float, high: float) -> Node:
    """x kept between two numbers; no derivative at and beyond them."""
    return o.where(o.le(x, low), low, o.where(o.ge(x, high), high, x))


@composite
def softsign(o, x: Node) -> Node:
    """x / (1 + |x|)."""
    return o.div(x, o.add(o.abs(x), 1.0))


@composite
def dropout(o, x: Node, seed: Node, counter: Node, p: Node, scale: Node) -> Node:
    """x · scale with probability 1 − p, else 0; scale = 1 / (1 − p). The mask follows from (seed, counter): none is stored."""
    check_floating("dropout", x)
    keep = o.ge(o.uniform(seed, counter, shape=x.shape, dtype=dt.float32), p)
    return o.where(keep, o.mul(x, scale), 0.0)


# ---- random numbers in place --------------------------------------------------------------------------------------------


@composite(attrs=("shape", "dtype"))
def uniform_between(o, seed: Node, counter: Node, low: Node, high: Node, *, shape: tuple[int, ...], dtype: dt.DType) -> Node:
    """low + (high − low) u with u uniform in [0, 1)."""
    return o.add(o.mul(o.uniform(seed, counter, shape=shape, dtype=dtype), o.sub(high, low)), low)


@composite(attrs=("shape", "dtype"))
def normal_around(o, seed: Node, counter: Node, mean: Node, std: Node, *, shape: tuple[int, ...], dtype: dt.DType) -> Node:
    """mean + std y with y normal, of mean 0 and variance 1."""
    return o.add(o.mul(o.normal(seed, counter, shape=shape, dtype=dtype), std), mean)


# ---- losses: first the loss of each element, then what becomes of them ---------------------------------------------------


def _reduced(o, loss: Node, reduction: str) -> Node:
    """The losses themselves ("none"), their sum, or their mean."""
    if reduction == "none":
        return loss
    dims = tuple(range(len(loss.shape)))
    if reduction == "sum":
        return o.sum(loss, dims=dims, keepdim=False)
    return o.mean(loss, dims=dims, keepdim=False)


@composite(attrs=("reduction",))
def mse_loss(o, x: Node, y: Node, reduction: str) -> Node:
    """(x − y)²."""
    d = o.sub(x, y)
    return _reduced(o, o.mul(d, d), reduction)


@composite(attrs=("reduction",))
def l1_loss(o, x: Node, y: Node, reduction: str) -> Node:
    """|x − y|."""
    return _reduced(o, o.abs(o.sub(x, y)), reduction)


@composite(attrs=("delta", "scale", "reduction"))
def huber_loss(o, x: Node, y: Node, delta: float, scale: float, reduction: str) -> Node:
    """scale · (d²/2 where d = |x − y| < δ, else δ (d − δ/2)) (Huber 1964); scale 1/δ is the smooth L1 loss."""
    d = o.abs(o.sub(x, y))
    loss = o.where(o.lt(d, delta), o.mul(o.mul(d, d), 0.5), o.mul(o.sub(d, 0.5 * delta), delta))
    return _reduced(o, loss if scale == 1.0 else o.mul(loss, scale), reduction)


def _floored_log(o, p: Node) -> Node:
    """max(log p, −100), with the derivative 1 / max(p, 10⁻¹²), as in PyTorch: finite, and not 0 where a wrong answer is certain."""
    positive, least = o.gt(p, 0.0), 1e-4 if p.dtype.name == "float16" else 1e-12
    value = o.where(positive, o.maximum(o.log(o.where(positive, p, 1.0)), -100.0), -100.0)
    small = o.le(p, least)
    return o.carry(value, o.where(small, o.mul(p, 1 / least), o.log(o.where(small, 1.0, p))))


def _not_probabilities(position: int, size: int) -> DataError:
    return DataError(
        "binary_cross_entropy: the input has elements outside 0 … 1; expected probabilities: write danlu.sigmoid(x) first, or "
        "binary_cross_entropy_with_logits(x, target)"
    )


@composite(attrs=("reduction",), explain=_not_probabilities)
def binary_cross_entropy(o, p: Node, y: Node, weight: Node | None = None, *, reduction: str) -> Node:
    """−(y log p + (1 − y) log(1 − p)), each logarithm at least −100."""
    inside = o.logical_and(o.ge(p, 0.0), o.le(p, 1.0))  # an index that does not exist reports what is outside, NaN too
    zero = o.take(o.expand(o.number(0.0, p.dtype), shape=(1,)), o.where(inside, 0, 1), dim=0)
    p = o.carry(o.add(p, zero), p)
    loss = o.neg(o.add(o.mul(y, _floored_log(o, p)), o.mul(o.sub(1.0, y), _floored_log(o, o.sub(1.0, p)))))
    return _reduced(o, loss if weight is None else o.mul(loss, weight), reduction)


@composite(attrs=("weighted", "positive", "reduction"))
def bce_with_logits(o, z: Node, y: Node, *weights: Node, weighted: bool, positive: bool, reduction: str) -> Node:
    """−(c y log σ(z) + (1 − y) log(1 − σ(z))) = (1 − y) z + (1 + (c − 1) y) softplus(−z); c weighs the positive class."""
    negative = o.lt(z, 0.0)
    ramp = o.where(negative, o.neg(z), 0.0)  # softplus(−z) = ramp + tail
    tail = o.log1p(o.exp(o.where(negative, z, o.neg(z))))
    linear_part = o.mul(o.sub(1.0, y), z)
    if positive:
        factor = o.add(o.mul(o.sub(weights[-1], 1.0), y), 1.0)
        loss = o.add(linear_part, o.mul(factor, o.add(ramp, tail)))
    else:
        loss = o.add(o.add(linear_part, ramp), tail)  # −|z| + |z| is exactly 0, so that the small tail keeps its digits
    return _reduced(o, o.mul(loss, weights[0]) if weighted else loss, reduction)


# ---- losses of classes ------------------------------------------------------------------------------------------------------


def _class_axis(x: Node) -> int:
    return 1 if len(x.shape) > 1 else 0


def check_class_target(name: str, x: Node, target: Node) -> None:
    """The target of a loss over classes: integers, of the input's shape without the axis of classes."""
    axis = _class_axis(x)
    expected = x.shape[:axis] + x.shape[axis + 1 :]
    if not x.shape or target.shape != expected:
        raise ShapeError(_target_message(name, x.shape, target.shape, expected))
    if target.dtype.kind not in "iu":
        hint = Phrase("; probabilities of the classes need the shape of the input") if target.dtype.kind == "f" else ""
        raise DTypeError(
            "{name}: the target has dtype {dtype} and shape {shape}; expected class indices of an integer dtype: write "
            "target.long(){hint}",
            name=name,
            dtype=target.dtype.name,
            shape=target.shape,
            hint=hint,
        )


def _target_message(name: str, x: tuple, target: tuple, expected: tuple) -> Phrase:
    if not x:
        return Phrase("{name}: the input is a scalar; expected logits of shape (C,), (N, C) or (N, C, d1, …)", name=name)
    if len(target) == len(expected) and len(x) > 1 and x[0] != target[0] and target != x:
        return Phrase(
            "{name}: the batch sizes {input_size} (input {input}) and {target_size} (target {target}) differ; expected equal ones",
            name=name,
            input_size=x[0],
            input=x,
            target_size=target[0],
            target=target,
        )
    hint = Phrase(": write target.squeeze(-1)") if target == (*expected, 1) else ""
    if target == x:
        hint = Phrase("; one-hot targets: write target.argmax(1), or give probabilities as floats")
    return Phrase(
        "{name}: the input has shape {input} and the target {target}; expected class indices of shape {expected}{hint}",
        name=name,
        input=x,
        target=target,
        expected=expected,
        hint=hint,
    )


class _Classes:
    """Integer targets: the one of each class that is meant, and whether it counts.

    The value is gathered, which checks every index (a negative one is moved out of range: nothing counts from the end here); its
    derivative is that of a comparison with all classes, which fuses with the softmax where a scatter would not."""

    def __init__(self, o, like: Node, target: Node, ignore_index: int) -> None:
        self.axis, self.count = _class_axis(like), like.shape[_class_axis(like)]
        self.shape = like.shape
        target = o.cast(target, dtype=dt.int64)
        self.kept = o.ne(target, ignore_index)
        index = o.where(o.lt(target, 0), o.sub(target, self.count), target)
        self.index = o.where(self.kept, index, 0)

    def take(self, o, x: Node) -> Node:
        """x[n, target[n], …], the axis of classes kept with size 1."""
        column = o.reshape(self.index, shape=tuple(1 if k == self.axis else n for k, n in enumerate(self.shape)))
        one_hot = o.eq(
            o.reshape(o.iota(shape=(self.count,), dtype=dt.int64), shape=channel_shape(len(self.shape), self.axis, self.count)),
            column,
        )
        return o.carry(
            o.take_along(x, column, dim=self.axis),
            o.sum(o.where(one_hot, x, 0.0), dims=(self.axis,), keepdim=True),
        )

    def keep(self, o, loss: Node) -> Node:
        """One loss per target, the axis of classes gone; 0 where the target is ignored."""
        return o.where(self.kept, o.reshape(loss, shape=self.index.shape), 0.0)

    def weigh(self, o, weight: Node | None, dtype) -> Node:
        """The weight of each target: its class's weight, or 1; 0 where it is ignored."""
        if weight is None:
            return o.cast(self.kept, dtype=dtype)
        return o.where(self.kept, o.take(weight, self.index, dim=0), 0.0)


def check_class_weight(name: str, x: Node, weight: Node | None) -> None:
    """One weight per class."""
    count = x.shape[_class_axis(x)]
    if weight is not None and weight.shape != (count,):
        raise ShapeError(
            "{name}: the class weights have shape {weight_shape}; expected ({count},), one per class of the input {input_shape}",
            name=name,
            weight_shape=weight.shape,
            count=count,
            input_shape=x.shape,
        )


def _weighted_mean(o, loss: Node, weights: Node, reduction: str) -> Node:
    """Losses reduced; their mean is Σ loss / Σ weight."""
    if reduction != "mean":
        return _reduced(o, loss, reduction)
    return o.div(_reduced(o, loss, "sum"), _reduced(o, weights, "sum"))


def _no_such_class(position: int, size: int) -> Phrase:
    """Of a gather by class."""
    return Phrase(
        "class {number} of the target is out of range: the input has {size} classes; expected class indices 0 … {last}",
        number=_as_given(position, size),
        size=size,
        last=size - 1,
    )


@composite(attrs=("ignore_index", "reduction"), explain=_no_such_class)
def nll_loss(o, log_p: Node, target: Node, weight: Node | None = None, *, ignore_index: int, reduction: str) -> Node:
    """−w[t] log p[t] for the class t of each target."""
    check_class_target("nll_loss", log_p, target)
    check_class_weight("nll_loss", log_p, weight)
    classes = _Classes(o, log_p, target, ignore_index)
    w = classes.weigh(o, weight, log_p.dtype)
    loss = classes.keep(o, o.neg(classes.take(o, log_p)))
    return _weighted_mean(o, loss if weight is None else o.mul(loss, w), w, reduction)


@composite(attrs=("ignore_index", "label_smoothing", "reduction"), explain=_no_such_class)
def cross_entropy(
    o, x: Node, target: Node, weight: Node | None = None, *, ignore_index: int, label_smoothing: float, reduction: str
) -> Node:
    """−(1 − ε) w[t] log p[t] − ε/C Σ_c w[c] log p[c], log p = log_softmax(x), ε the label smoothing (Szegedy et al. 2016, §7)."""
    check_class_target("cross_entropy", x, target)
    check_class_weight("cross_entropy", x, weight)
    check_floating("cross_entropy", x)
    axis = _class_axis(x)
    top = o.stop(o.max(x, dims=(axis,), keepdim=True))
    z = o.sub(x, top)
    log_sum = o.log(o.sum(o.exp(z), dims=(axis,), keepdim=True))
    classes = _Classes(o, x, target, ignore_index)
    w = classes.weigh(o, weight, x.dtype)
    loss = classes.keep(o, o.sub(log_sum, o.sub(classes.take(o, x), top)))  # gathers from x: no table of log p is stored
    loss = loss if weight is None else o.mul(loss, w)
    if label_smoothing:
        smooth = o.sum(_per_class(o, o.sub(log_sum, z), weight, axis), dims=(axis,), keepdim=True)
        smooth = classes.keep(o, smooth)
        loss = o.add(o.mul(loss, 1.0 - label_smoothing), o.mul(smooth, label_smoothing / classes.count))
    return _weighted_mean(o, loss, w, reduction)


def _per_class(o, x: Node, weight: Node | None, axis: int) -> Node:
    """x, each class by its weight."""
    if weight is None:
        return x
    return o.mul(x, o.reshape(weight, shape=channel_shape(len(x.shape), axis, weight.shape[0])))


@composite(attrs=("label_smoothing", "reduction"))
def cross_entropy_soft(o, x: Node, y: Node, weight: Node | None = None, *, label_smoothing: float, reduction: str) -> Node:
    """−Σ_c w[c] y[c] log p[c] for targets that are probabilities, smoothed to (1 − ε) y + ε/C; "mean" divides by their number."""
    check_class_weight("cross_entropy", x, weight)
    axis = _class_axis(x)
    if label_smoothing:
        y = o.add(o.mul(y, 1.0 - label_smoothing), label_smoothing / x.shape[axis])
    log_p = _per_class(o, o.log_softmax(x, dim=axis), weight, axis)
    return _reduced(o, o.neg(o.sum(o.mul(y, log_p), dims=(axis,), keepdim=False)), reduction)


# ---- normalisation ----------------------------------------------------------------------------------------------------------


def _among_standards(o, y: Node, d: Node, apart: Node, scale: Node, dims: tuple[int, ...]) -> Node:
    """s (d − mean d − y s mean d (x − mean x)): the derivative of standard scores times d, from either side. Axes count from the last one: a
    batch may come in front. The sums are divided late, so that they are made together."""
    dims = tuple(len(y.shape) + k for k in dims)
    ones = tuple(1 if k in dims else n for k, n in enumerate(y.shape))
    total, along = (o.reshape(o.sum(z, dims=dims, keepdim=False), shape=ones) for z in (d, o.mul(d, apart)))
    part = o.div(scale, float(prod(y.shape[k] for k in dims)))
    return o.sub(o.mul(scale, d), o.mul(part, o.add(total, o.mul(y, o.mul(scale, along)))))


# Of the parts the derivative would sum over the axes once more, for what the deviations sum to, and only after the other sums.
register(
    Op("standard", ELEMENTWISE, "The value of the first input, known to be the second less its mean, which is the third, times the fourth.",
       attrs=("dims",), infer=lambda v, x, apart, scale, dims: x, numpy=lambda v, x, apart, scale, dims: v,
       emit=lambda b, v, x, apart, scale, dims: v, rewrite=lambda v, x, apart, scale, dims: v,
       vjp=lambda o, g, y, v, x, apart, scale, dims: (None, _among_standards(o, y, g, apart, scale, dims), None, None),
       jvp=lambda o, y, xs, dxs, dims: _among_standards(o, y, dxs[1], xs[2], xs[3], dims), folds=lambda specs, out: (None,) * 4)
)  # fmt: skip


def standardized(o, x: Node, dims: tuple[int, ...], eps: float) -> tuple[Node, Node, Node]:
    """(x − mean) / √(var + ε) over axes, the mean and the variance."""
    average, variance = o.mean(x, dims=dims, keepdim=True), o.var(x, dims=dims, keepdim=True, correction=0)
    apart, scale = o.sub(x, average), o.expand(o.rsqrt(o.add(variance, eps)), shape=x.shape)
    y = o.standard(o.mul(apart, scale), x, apart, scale, dims=tuple(k - len(x.shape) for k in dims))
    return y, average, variance


@composite(attrs=("ndim", "eps"))
def layer_norm(o, x: Node, w: Node | None = None, b: Node | None = None, *, ndim: int, eps: float) -> Node:
    """(x − mean) / √(var + ε) · w + b over the last `ndim` axes (Ba et al. 2016, eq. 3)."""
    check_floating("layer_norm", x)
    dims = tuple(range(len(x.shape) - ndim, len(x.shape)))
    y, _, _ = standardized(o, x, dims, eps)
    y = y if w is None else o.mul(y, w)
    return y if b is None else o.add(y, b)


def _channel_affine(o, y: Node, w: Node | None, b: Node | None) -> Node:
    shape = channel_shape(len(y.shape), 1, y.shape[1])
    y = y if w is None else o.mul(y, o.reshape(w, shape=shape))
    return y if b is None else o.add(y, o.reshape(b, shape=shape))


@composite(attrs=("eps",))
def batch_norm(o, x: Node, w: Node | None = None, b: Node | None = None, *, eps: float) -> tuple[Node, Node, Node]:
    """(x − mean) / √(var + ε) · w + b per channel (axis 1), then the batch's mean and var (Ioffe & Szegedy 2015, algorithm 1)."""
    check_floating("batch_norm", x)
    dims = tuple(k for k in range(len(x.shape)) if k != 1)
    y, average, variance = standardized(o, x, dims, eps)
    y = _channel_affine(o, y, w, b)
    channels = (x.shape[1],)
    return y, o.stop(o.reshape(average, shape=channels)), o.stop(o.reshape(variance, shape=channels))


@composite(attrs=("eps",))
def batch_norm_inference(
    o, x: Node, average: Node, variance: Node, w: Node | None = None, b: Node | None = None, *, eps: float
) -> Node:
    """(x − mean) / √(var + ε) · w + b with given statistics of each channel."""
    check_floating("batch_norm", x)
    shape = channel_shape(len(x.shape), 1, x.shape[1])
    scale = o.rsqrt(o.add(o.reshape(variance, shape=shape), eps))
    return _channel_affine(o, o.mul(o.sub(x, o.reshape(average, shape=shape)), scale), w, b)


@composite(attrs=("count",))
def running_statistics(
    o, running_mean: Node, running_var: Node, average: Node, variance: Node, momentum: Node, count: int
) -> tuple[Node, Node]:
    """r ← r + m (s − r) for the mean and for the unbiased variance of `count` values."""
    unbiased = o.div(o.mul(variance, count), max(count - 1, 1))
    return toward(o, running_mean, average, momentum), toward(o, running_var, unbiased, momentum)


# ---- towards a value, and all gradients together ------------------------------------------------------------------------------


def toward(o, a: Node, b: Node, rate: Node) -> Node:
    """a + rate (b − a) = (1 − rate) a + rate b."""
    return o.add(a, o.mul(o.sub(b, a), rate))


@composite
def clip_norm(o, max_norm: Node, *grads: Node) -> tuple[Node, ...]:
    """g ← g · min(1, max_norm / (‖all g‖₂ + 10⁻⁶)); the first result is the norm."""
    sizes = [o.abs(g) if g.dtype.is_complex else g for g in grads]
    squares = [o.sum(o.mul(g, g), dims=tuple(range(len(g.shape))), keepdim=False) for g in sizes]
    total = squares[0]
    for s in squares[1:]:
        total = o.add(total, s)
    norm = o.sqrt(total)
    factor = o.minimum(o.div(max_norm, o.add(norm, 1e-6)), 1.0)
    return norm, *[o.mul(g, factor) for g in grads]
