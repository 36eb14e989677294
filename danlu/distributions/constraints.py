"""L6. Constraints: what a parameter or a value of a distribution must fulfil, in words and as a check."""

from __future__ import annotations

from collections.abc import Callable

from danlu.linalg import eigvalsh
from danlu.messages import Phrase
from danlu.tensor import Tensor


class Constraint:
    """A condition on the values of a tensor.

    `check(x)` is a bool tensor: of the shape of x, without the last `event_dim` axes, which are judged together.
    `expected` says in words what must hold, `advice` what to write where it does not.

    Shapes: check(x): x (*, event) → (*) of bool.

    >>> import danlu
    >>> danlu.distributions.constraints.positive.check(danlu.tensor([-1.0, 2.0]))
    tensor([False,  True])
    """

    def __init__(
        self,
        expected: str | Phrase,
        check: Callable[[Tensor], Tensor],
        *,
        advice: str | Phrase = "",
        event_dim: int = 0,
        is_discrete: bool = False,
    ) -> None:
        self.expected, self.check, self.advice = expected, check, advice
        self.event_dim, self.is_discrete = event_dim, is_discrete

    def __repr__(self) -> str:
        return f"Constraint({self.expected})"


def _whole(x: Tensor) -> Tensor:
    return x.eq(x.floor())


def _vectors(check: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: check(x).all(-1)


def greater_than(bound: float | Tensor) -> Constraint:
    """x > bound.

    Shapes: values (*) → (*) of bool.

    >>> import danlu
    >>> danlu.distributions.constraints.greater_than(1).check(danlu.tensor([1.0, 2.0]))
    tensor([False,  True])
    """
    return Constraint(Phrase("numbers > {bound}", bound=_shown(bound)), lambda x: x > bound)


def greater_than_eq(bound: float | Tensor) -> Constraint:
    """x ≥ bound.

    Shapes: values (*) → (*) of bool.

    >>> import danlu
    >>> danlu.distributions.constraints.greater_than_eq(1).check(danlu.tensor([1.0, 0.0]))
    tensor([ True, False])
    """
    return Constraint(Phrase("numbers ≥ {bound}", bound=_shown(bound)), lambda x: x >= bound)


def less_than(bound: float | Tensor) -> Constraint:
    """x < bound.

    Shapes: values (*) → (*) of bool.

    >>> import danlu
    >>> danlu.distributions.constraints.less_than(1).check(danlu.tensor([1.0, 0.0]))
    tensor([False,  True])
    """
    return Constraint(Phrase("numbers < {bound}", bound=_shown(bound)), lambda x: x < bound)


def interval(low: float | Tensor, high: float | Tensor) -> Constraint:
    """low ≤ x ≤ high.

    Shapes: values (*) → (*) of bool.

    >>> import danlu
    >>> danlu.distributions.constraints.interval(0, 1).check(danlu.tensor([1.0, 2.0]))
    tensor([ True, False])
    """
    return Constraint(
        Phrase("numbers from {low} to {high}", low=_shown(low), high=_shown(high)), lambda x: (x >= low) & (x <= high)
    )


def integer_interval(low: float | Tensor, high: float | Tensor) -> Constraint:
    """Whole numbers, low ≤ x ≤ high.

    Shapes: values (*) → (*) of bool.

    >>> import danlu
    >>> danlu.distributions.constraints.integer_interval(0, 3).check(danlu.tensor([1.5, 2.0]))
    tensor([False,  True])
    """
    words = Phrase("whole numbers from {low} to {high}", low=_shown(low), high=_shown(high))
    return Constraint(words, lambda x: _whole(x) & (x >= low) & (x <= high), is_discrete=True)


def multinomial(total: int) -> Constraint:
    """Rows of whole numbers ≥ 0 whose sum is `total`.

    Shapes: values (*, k) → (*) of bool.

    >>> import danlu
    >>> danlu.distributions.constraints.multinomial(3).check(danlu.tensor([[1.0, 2.0], [1.0, 1.0]]))
    tensor([ True, False])
    """
    words = Phrase("rows of whole numbers ≥ 0 with the sum {total}", total=total)
    return Constraint(words, lambda x: (_whole(x) & (x >= 0)).all(-1) & x.sum(-1).eq(total), event_dim=1, is_discrete=True)


def independent(base: Constraint, count: int) -> Constraint:
    """`base`, with the `count` axes before its own judged together.

    Shapes: values (*, n₁, …) → (*) of bool, `count` axes judged together.

    >>> import danlu
    >>> constraints = danlu.distributions.constraints
    >>> constraints.independent(constraints.positive, 1).check(danlu.tensor([-1.0, 2.0]))
    tensor(False)
    """

    def check(x: Tensor) -> Tensor:
        held = base.check(x)
        return held.flatten(held.ndim - count).all(-1) if count else held

    return Constraint(base.expected, check, advice=base.advice, event_dim=base.event_dim + count, is_discrete=base.is_discrete)


def _shown(bound: float | Tensor) -> str | Phrase:
    """A bound in words; of a tensor with several values only that it is one."""
    if not isinstance(bound, Tensor):
        return f"{bound:g}"
    return f"{bound.item():g}" if bound.numel() == 1 else Phrase("the bound at their place")


def _is_simplex(x: Tensor) -> Tensor:
    return (x >= 0).all(-1) & ((x.sum(-1) - 1).abs() < 1e-5)


def _is_one_hot(x: Tensor) -> Tensor:
    return (x.eq(0) | x.eq(1)).all(-1) & x.sum(-1).eq(1)


def _is_lower_cholesky(x: Tensor) -> Tensor:
    return x.eq(x.tril()).flatten(-2).all(-1) & (x.diagonal(0, -2, -1) > 0).all(-1)


def _is_positive_definite(x: Tensor) -> Tensor:
    symmetric = ((x - x.mT).abs() <= 1e-5 * (1 + x.abs())).flatten(-2).all(-1)
    return symmetric & (eigvalsh(x.nan_to_num(0.0, 0.0, 0.0)) > 0).all(-1) & x.isfinite().flatten(-2).all(-1)


_POSITIVE = Phrase("Make it positive: softplus(x) or x.exp()")
real = Constraint(Phrase("numbers, not NaN"), lambda x: x.eq(x))
real_vector = Constraint(Phrase("rows of numbers, not NaN"), _vectors(lambda x: x.eq(x)), event_dim=1)
positive = Constraint(Phrase("numbers > 0"), lambda x: x > 0, advice=_POSITIVE)
nonnegative = Constraint(Phrase("numbers ≥ 0"), lambda x: x >= 0, advice=Phrase("Make it so: relu(x) or softplus(x)"))
positive_vector = Constraint(Phrase("rows of numbers > 0"), _vectors(lambda x: x > 0), advice=_POSITIVE, event_dim=1)
unit_interval = Constraint(
    Phrase("numbers from 0 to 1"),
    lambda x: (x >= 0) & (x <= 1),
    advice=Phrase("Write x.sigmoid(), or give the scores themselves as logits=x"),
)
boolean = Constraint(Phrase("0 or 1"), lambda x: x.eq(0) | x.eq(1), is_discrete=True)
nonnegative_integer = Constraint(Phrase("whole numbers ≥ 0"), lambda x: _whole(x) & (x >= 0), is_discrete=True)
simplex = Constraint(
    Phrase("rows of numbers ≥ 0 with the sum 1"), _is_simplex, advice=Phrase("Write x.softmax(-1), or give the scores themselves as logits=x"),
    event_dim=1,
)  # fmt: skip
one_hot = Constraint(Phrase("rows with a single 1 and else 0"), _is_one_hot, event_dim=1, is_discrete=True)
lower_cholesky = Constraint(
    Phrase("lower triangular matrices with a positive diagonal"), _is_lower_cholesky, event_dim=2,
    advice=Phrase("Write danlu.linalg.cholesky(covariance)"),
)  # fmt: skip
positive_definite = Constraint(
    Phrase("symmetric positive-definite matrices"), _is_positive_definite, event_dim=2,
    advice=Phrase("Write A @ A.mT + 1e-3 * danlu.eye(n) for an A of your own"),
)  # fmt: skip

__all__ = [
    "Constraint",
    "boolean",
    "greater_than",
    "greater_than_eq",
    "independent",
    "integer_interval",
    "interval",
    "less_than",
    "lower_cholesky",
    "multinomial",
    "nonnegative",
    "nonnegative_integer",
    "one_hot",
    "positive",
    "positive_definite",
    "positive_vector",
    "real",
    "real_vector",
    "simplex",
    "unit_interval",
]
