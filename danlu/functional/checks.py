"""L6. What functions of networks check before they record: options, targets, and habits that rarely mean what they say."""

from __future__ import annotations

from danlu.errors import DataError, DTypeError, ShapeError, warn
from danlu.graph import Op
from danlu.guidance import outside
from danlu.ops import composite
from danlu.ops.table import TABLE, broadcast_shapes
from danlu.tensor import Tensor

SIGMOID = TABLE["sigmoid"]


def _check_reduction(name: str, reduction: str) -> None:
    if reduction not in ("mean", "sum", "none"):
        raise DataError("{name}: reduction is {reduction!r}; expected 'mean', 'sum' or 'none'", name=name, reduction=reduction)


def _check_probability(name: str, p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise DataError("{name}: p is {p}; expected a probability from 0 to 1", name=name, p=p)


def _result(x: Tensor, y: Tensor, inplace: bool) -> Tensor:
    """y, or x with y's values."""
    return x.copy_(y) if inplace else y


def _check_target(name: str, target: object) -> None:
    if not isinstance(target, Tensor):
        kind = type(target).__name__
        raise DTypeError("{name}: the target is {kind}; expected a tensor: write danlu.tensor(target)", name=name, kind=kind)


def _made_by(op: Op, attrs: tuple, x: Tensor) -> bool:
    """Whether a tensor is the result of this very op: seen in the graph, so never a guess."""
    value = x._storage.value
    if value.op is not op or value.attrs != attrs:
        return False
    return value.spec is x._spec and all(name == "reshape" for name, _ in x._chain)


def _check_same_shape(name: str, x: Tensor, y: Tensor) -> None:
    """A warning where a loss would broadcast its inputs: (N,) against (N, 1) gives N² differences."""
    _check_target(name, y)
    if x.shape == y.shape:
        return
    shape = broadcast_shapes(name, [tuple(x.shape), tuple(y.shape)])
    warn(
        "{name}: the input has shape {input} and the target {target}; they are broadcast to {shape}, "
        "which is rarely meant. Give both one shape, for example target.reshape({input})",
        UserWarning,
        outside(),
        name=name,
        input=tuple(x.shape),
        target=tuple(y.shape),
        shape=shape,
    )


def _check_equal_shapes(name: str, x: Tensor, y: Tensor) -> None:
    _check_target(name, y)
    if x.shape != y.shape:
        raise ShapeError(
            "{name}: the input has shape {input_shape} and the target {target_shape}; expected equal shapes: write "
            "target.reshape({input_shape}) if they mean the same elements",
            name=name,
            input_shape=tuple(x.shape),
            target_shape=tuple(y.shape),
        )


def _warn_of_softmax(input: Tensor) -> None:
    if input._storage.value.op is composite.softmax and _made_by(composite.softmax, (1 if input.ndim > 1 else 0,), input):
        warn(
            "cross_entropy: the input is the result of softmax, which this loss applies itself: twice, it makes gradients small and "
            "training slow. Leave softmax out of the model",
            UserWarning,
            outside(),
        )


def _warn_of_probabilities(input: Tensor) -> None:
    if _made_by(composite.softmax, (1 if input.ndim > 1 else 0,), input):
        warn(
            "nll_loss: the input is the result of softmax; expected logarithms of probabilities: write log_softmax, or cross_entropy of "
            "the logits",
            UserWarning,
            outside(),
        )


def _warn_of_sigmoid(input: Tensor) -> None:
    if _made_by(SIGMOID, (), input):
        warn(
            "binary_cross_entropy_with_logits: the input is the result of sigmoid, which this loss applies itself. Leave sigmoid out of the "
            "model, or write binary_cross_entropy",
            UserWarning,
            outside(),
        )
