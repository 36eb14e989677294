"""L6. The base of all distributions: shapes, checks of parameters and values, and what follows from the rest; Independent."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from danlu import dtype as dt
from danlu.distributions import constraints
from danlu.distributions.constraints import Constraint
from danlu.errors import DataError, DTypeError, ShapeError
from danlu.messages import Phrase, both, message
from danlu.ops.table import broadcast_shapes
from danlu.tensor import Size, Tensor, no_grad, tensor

# ---- parameters -----------------------------------------------------------------------------------------------------------------


def as_tensors(name: str, **given: Any) -> list[Tensor]:
    """The parameters as tensors of a floating dtype; Python numbers take that of the tensors beside them."""
    dtype = next((x.dtype for x in given.values() if isinstance(x, Tensor)), dt.default())
    made = [x if isinstance(x, Tensor) else _number(name, key, x, dtype) for key, x in given.items()]
    for key, x in zip(given, made):
        if not x.dtype.is_floating_point:
            raise DTypeError(
                "{name}: {key} has dtype {dtype}; expected a floating dtype: write {key}.float()",
                name=name,
                key=key,
                dtype=x.dtype.name,
            )
    return made


def _number(name: str, key: str, x: Any, dtype: Any) -> Tensor:
    if isinstance(x, (bool, int, float, np.number)):
        return tensor(float(x), dt.as_float(dtype))
    raise DTypeError(
        "{name}: {key} is {kind}; expected a tensor or a number: write danlu.tensor({key})",
        name=name,
        key=key,
        kind=type(x).__name__,
    )


def broadcast(name: str, **given: Any) -> list[Tensor]:
    """The parameters as tensors of one shape."""
    made = as_tensors(name, **given)
    shape = broadcast_shapes(f"{name}({', '.join(given)})", [tuple(x.shape) for x in made])
    return [x if tuple(x.shape) == shape else x.expand(shape) for x in made]


def exactly_one(name: str, **given: Any) -> tuple[str, Any]:
    """The one parameter of several ways to say the same that is given."""
    found = [(key, x) for key, x in given.items() if x is not None]
    if len(found) != 1:
        came = both(key for key, _ in found) if found else Phrase("none of them")
        key = next(iter(given))
        raise DataError(
            "{name}: {came} given; expected exactly one of {given}: write {name}({key}=...)",
            name=name,
            came=came,
            given=", ".join(given),
            key=key,
        )
    return found[0]


def scores_to_probs(scores: Tensor, is_binary: bool) -> Tensor:
    """Probabilities of logits."""
    return scores.sigmoid() if is_binary else scores.softmax(-1)


def probs_to_scores(probs: Tensor, is_binary: bool) -> Tensor:
    """Logits of probabilities, which are kept away from 0 and 1 by the distance of two floats."""
    eps = dt.limits(probs.dtype).eps
    probs = probs.clamp(eps, 1 - eps)
    return probs.log() - (-probs).log1p() if is_binary else probs.log()


class Odds:
    """Where one of `probs` and `logits` is given, the other is computed when it is asked for."""

    _is_binary = True

    @cached_property
    def probs(self) -> Tensor:
        """The probabilities."""
        return scores_to_probs(self.logits, self._is_binary)

    @cached_property
    def logits(self) -> Tensor:
        """Their logarithms; for two outcomes log p / (1 - p)."""
        return probs_to_scores(self.probs, self._is_binary)

    @property
    def given(self) -> Tensor:
        """The one that the user gave (or whichever is known)."""
        return self.__dict__["probs"] if "probs" in self.__dict__ else self.__dict__["logits"]


# ---- the base -------------------------------------------------------------------------------------------------------------------


class Distribution:
    """The base class: `batch_shape` is the shape of the parameters, one distribution an element; `event_shape` that of one draw.

    A subclass names its parameters in `arg_constraints`, sets them, and calls `super().__init__(batch_shape, event_shape)`, which
    checks them. It defines `rsample` (draws that are differentiable in the parameters) or `sample`, and `log_prob`.

    Shapes: sample(S) and rsample(S): (*S, *batch_shape, *event_shape); log_prob: the shape of the value without the event axes.

    Checks read values, so what was recorded is computed at that point. `validate_args=False` leaves a training step one program,
    and is needed inside `func.vmap`, where no value can be read.

    Raises DataError (a ValueError) for a parameter or a value outside its range.

    >>> import danlu
    >>> normal = danlu.distributions.Normal(danlu.zeros(3), 1.0)
    >>> normal.batch_shape, normal.event_shape, normal.sample((2,)).shape
    (danlu.Size([3]), danlu.Size([]), danlu.Size([2, 3]))
    """

    has_rsample = False
    has_enumerate_support = False
    arg_constraints: ClassVar[dict[str, Constraint]] = {}
    support: Any = constraints.real
    _validate_args = True

    def __init__(
        self, batch_shape: Sequence[int] = (), event_shape: Sequence[int] = (), validate_args: bool | None = None
    ) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = bool(validate_args)
        if self._validate_args:
            given = [(key, self.__dict__[key], c) for key, c in self.arg_constraints.items() if key in self.__dict__]
            check(type(self).__name__, given, advise=True)

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions check their parameters and values, where `validate_args` does not say it."""
        Distribution._validate_args = bool(value)

    @property
    def batch_shape(self) -> Size:
        """The shape of the parameters: one distribution an element."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one draw."""
        return self._event_shape

    def expand(self, batch_shape: Sequence[int]) -> Any:
        """The same distribution with its parameters stretched to this batch shape."""
        new, shape = copy.copy(self), tuple(batch_shape)
        new._batch_shape = Size(shape)
        for key, constraint in self.arg_constraints.items():
            if key in self.__dict__:
                x = self.__dict__[key]
                setattr(new, key, x.expand((*shape, *x.shape[x.ndim - constraint.event_dim :])))
        return new

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws without a derivative."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws that are differentiable in the parameters."""
        raise self._lacks(Phrase("rsample: its draws are not differentiable in the parameters"), "sample()")

    def log_prob(self, value: Any) -> Tensor:
        """The logarithm of the density (or probability) at a value."""
        raise self._lacks("log_prob", Phrase("a subclass that defines it"))

    def cdf(self, value: Any) -> Tensor:
        """The probability of a draw ≤ value."""
        raise self._lacks(Phrase("cdf in closed form"), Phrase("draws: (d.sample((10000,)) <= value).float().mean(0)"))

    def icdf(self, value: Any) -> Tensor:
        """The quantile: the inverse of `cdf`."""
        raise self._lacks(Phrase("icdf in closed form"), Phrase("draws: d.sample((10000,)).quantile(value, 0)"))

    def entropy(self) -> Tensor:
        """-∫ p log p."""
        raise self._lacks(Phrase("entropy in closed form"), Phrase("draws: -d.log_prob(d.sample((10000,))).mean(0)"))

    def perplexity(self) -> Tensor:
        """exp(entropy): the number of equally likely outcomes that would be as uncertain."""
        return self.entropy().exp()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values of a discrete distribution along a new first axis."""
        raise self._lacks(Phrase("enumerate_support: its values are not finitely many"), "sample()")

    @property
    def mean(self) -> Tensor:
        """The expected draw."""
        raise self._lacks(Phrase("mean in closed form"), Phrase("draws: d.sample((10000,)).mean(0)"))

    @property
    def mode(self) -> Tensor:
        """Where the density is largest."""
        raise self._lacks(Phrase("mode in closed form"), Phrase("the draw of the largest log_prob"))

    @property
    def variance(self) -> Tensor:
        """The expected squared distance of a draw from the mean."""
        raise self._lacks(Phrase("variance in closed form"), Phrase("draws: d.sample((10000,)).var(0)"))

    @property
    def stddev(self) -> Tensor:
        """√variance"""
        return self.variance.sqrt()

    def _lacks(self, what: str | Phrase, instead: str | Phrase) -> NotImplementedError:
        return NotImplementedError(
            message("{name} has no {what}; use {instead}", name=type(self).__name__, what=what, instead=instead)
        )

    def _extended(self, sample_shape: Sequence[int]) -> tuple[int, ...]:
        """(*sample_shape, *batch_shape, *event_shape)"""
        if isinstance(sample_shape, int):
            raise ShapeError(
                "{name}: sample_shape is {sample_shape}; expected a tuple: write sample(({sample_shape},))",
                name=type(self).__name__,
                sample_shape=sample_shape,
            )
        return (*sample_shape, *self._batch_shape, *self._event_shape)

    def _value(self, what: str, value: Any, parameter: Tensor) -> Tensor:
        """What log_prob, cdf … are asked about, as a tensor; checked."""
        x = value if isinstance(value, Tensor) else _number(f"{type(self).__name__}.{what}", "value", value, parameter.dtype)
        if self._validate_args:
            self._check_shape(what, tuple(x.shape))
            check(f"{type(self).__name__}.{what}", [("value", x, self.support)])
        return x

    def _check_shape(self, what: str, shape: tuple[int, ...]) -> None:
        name, event = f"{type(self).__name__}.{what}", tuple(self._event_shape)
        if shape[len(shape) - len(event) :] != event or len(shape) < len(event):
            raise ShapeError(
                "{name}: value has shape {shape}; expected the last axes to be the event shape {event}",
                name=name,
                shape=shape,
                event=event,
            )
        broadcast_shapes(f"{name}(value, batch)", [shape[: len(shape) - len(event)], tuple(self._batch_shape)])

    def _point(self, p: Any, parameter: Tensor) -> Tensor:
        """The probability that icdf is asked about."""
        x = p if isinstance(p, Tensor) else _number(f"{type(self).__name__}.icdf", "value", p, parameter.dtype)
        if self._validate_args:
            check(f"{type(self).__name__}.icdf", [("value", x, constraints.unit_interval)])
        return x

    def __repr__(self) -> str:
        given = [(key, self.__dict__[key]) for key in self.arg_constraints if key in self.__dict__]
        return f"{type(self).__name__}({', '.join(f'{key}: {_shown(x)}' for key, x in given)})"


def _shown(x: Tensor) -> str:
    return f"{x.item()}" if x.numel() == 1 else repr(x.shape)


def check(name: str, given: list[tuple[str, Tensor, Constraint]], advise: bool = False) -> None:
    """DataError for the first of these values that breaks its constraint; all are judged in one program."""
    with no_grad():
        held = [constraint.check(x.detach()) for _, x, constraint in given]
        everything: Any = True
        for ok in held:
            everything = ok.all() & everything
    if everything is True or everything.item():
        return
    for (key, x, constraint), ok in zip(given, held):
        if not ok.all().item():
            problem = _broken(name, key, x, constraint, np.argwhere(~ok.numpy())[0])
            advice = Phrase(". {advice}", advice=constraint.advice) if advise and constraint.advice else ""
            raise DataError("{problem}{advice} (validate_args=False leaves values unchecked)", problem=problem, advice=advice)


def _broken(name: str, key: str, x: Tensor, constraint: Constraint, place: np.ndarray) -> Phrase:
    at = tuple(map(int, place))
    value = np.array2string(x.detach().numpy()[at], precision=4, threshold=8, separator=", ").replace("\n", "")
    where = Phrase(" at index {index}", index=", ".join(map(str, at))) if at else ""
    return Phrase(
        "{name}: {key} is {value}{where}; expected {expected}",
        name=name,
        key=key,
        value=value,
        where=where,
        expected=constraint.expected,
    )


# ---- axes of a batch as axes of an event ------------------------------------------------------------------------------------------


class Independent(Distribution):
    """The last axes of a batch of distributions as axes of one event: log_prob sums over them.

    log p(x) = Σᵢ log pᵢ(xᵢ)

    Shapes: batch_shape (*B, *R) of the base with R of `reinterpreted_batch_ndims` axes becomes batch (*B), event (*R, *E).

    Raises ShapeError where the base has not as many batch axes.

    >>> import danlu
    >>> normal = danlu.distributions.Normal(danlu.zeros(2, 3), 1.0)
    >>> danlu.distributions.Independent(normal, 1).log_prob(danlu.zeros(2, 3)).shape
    danlu.Size([2])
    """

    def __init__(
        self, base_distribution: Distribution, reinterpreted_batch_ndims: int, validate_args: bool | None = None
    ) -> None:
        batch, count = tuple(base_distribution.batch_shape), reinterpreted_batch_ndims
        if not 0 <= count <= len(batch):
            raise ShapeError(
                "Independent: reinterpreted_batch_ndims is {count}; expected 0 to {highest}, the number of batch axes of {batch}",
                count=count,
                highest=len(batch),
                batch=batch,
            )
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, count
        cut = len(batch) - count
        super().__init__(batch[:cut], (*batch[cut:], *base_distribution.event_shape), validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether the base has differentiable draws."""
        return self.base_dist.has_rsample

    @property
    def support(self) -> Constraint:  # type: ignore[override]
        """The support of the base, judged for a whole event."""
        return constraints.independent(self.base_dist.support, self.reinterpreted_batch_ndims)

    def expand(self, batch_shape: Sequence[int]) -> Independent:
        """The same distribution with its parameters stretched to this batch shape."""
        inner = self._event_shape[: self.reinterpreted_batch_ndims]
        return Independent(self.base_dist.expand((*batch_shape, *inner)), self.reinterpreted_batch_ndims, self._validate_args)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws without a derivative."""
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws that are differentiable in the parameters."""
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Any) -> Tensor:
        """Σ log p over the axes of the event."""
        return self.summed(self.base_dist.log_prob(value))

    def entropy(self) -> Tensor:
        """Σ entropy over the axes of the event."""
        return self.summed(self.base_dist.entropy())

    def summed(self, x: Tensor) -> Tensor:
        """Σ over the axes that belong to the event."""
        return x.flatten(x.ndim - self.reinterpreted_batch_ndims).sum(-1) if self.reinterpreted_batch_ndims else x

    @property
    def mean(self) -> Tensor:
        """The mean of the base."""
        return self.base_dist.mean

    @property
    def mode(self) -> Tensor:
        """The mode of the base."""
        return self.base_dist.mode

    @property
    def variance(self) -> Tensor:
        """The variance of the base."""
        return self.base_dist.variance

    def __repr__(self) -> str:
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"
