"""L8. What a model has to beat: the majority class or the mean, and a linear model, in closed or nearly closed form (NumPy)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from danlu.train.metrics import Metric

MAX_FEATURES = 2048  # a Gram matrix of 2048^2 float64 is 32 MiB and its factor takes 0.1 s
MAX_ROWS = 20_000  # more rows change a linear model's score in the third digit only
MAX_WORK = 20_000_000_000  # multiplications for X'X: 0.2 s on one core
RIDGE = 1e-3  # per row, relative to features of variance 1: steadies collinear one-hot columns, moves no score
ITERATIONS = 30  # of logistic_regression: accuracy on digits and MNIST then stands within 0.3 % of its limit


@dataclass(frozen=True)
class Baseline:
    """One simple model's name and its score on the test part (None where it was left out; `note` says why)."""

    key: str
    name: str
    score: float | None
    note: str = ""


Part = tuple[np.ndarray, np.ndarray]  # X [rows, features], y [rows]


def baselines(task: str, train: Part, test: Part, num_classes: int, metric: Metric) -> list[Baseline]:
    """The two baselines of a task, fitted on `train` and scored by `metric` on `test`.

    Shapes: X [rows, features] float32; y [rows], classes 0 … num_classes-1 or values.
    """
    return [_constant(task, train, test, num_classes, metric), _linear(task, train, test, num_classes, metric)]


def _constant(task: str, train: Part, test: Part, num_classes: int, metric: Metric) -> Baseline:
    rows = len(test[1])
    if task == "classification":
        majority = int(np.bincount(train[1], minlength=num_classes).argmax())
        return Baseline("majority", "majority class", metric(np.full(rows, majority), test[1]))
    return Baseline("mean", "mean of the training targets", metric(np.full(rows, train[1].mean(dtype=np.float64)), test[1]))


def _linear(task: str, train: Part, test: Part, num_classes: int, metric: Metric) -> Baseline:
    classes = task == "classification"
    name = "logistic regression" if classes else "least squares"
    features = train[0].shape[1]
    if features > MAX_FEATURES:
        return Baseline("linear", name, None, f"left out: {features} features, more than {MAX_FEATURES}")
    train, note = _sample(train)
    x = _with_ones(train[0])
    weights = logistic_regression(x, train[1], num_classes) if classes else least_squares(x, train[1])
    return Baseline("linear", name, metric(_with_ones(test[0]) @ weights, test[1]), note)


def _sample(train: Part) -> tuple[Part, str]:
    """As many rows, evenly spaced, as MAX_WORK allows, and a note where that left some out."""
    rows, features = train[0].shape
    most = min(MAX_ROWS, MAX_WORK // (features + 1) ** 2)
    if rows <= most:
        return train, ""
    chosen = np.linspace(0, rows - 1, most).astype(np.int64)
    return (train[0][chosen], train[1][chosen]), f"fitted on {most} of {rows} rows"


def _with_ones(x: np.ndarray) -> np.ndarray:
    return np.hstack([x, np.ones((len(x), 1), x.dtype)])  # [rows, features + 1]


def _penalty(x: np.ndarray) -> np.ndarray:
    """λ of every weight: RIDGE · rows, and for the intercept only a trace that keeps the matrix invertible."""
    penalty = np.full(x.shape[1], RIDGE * len(x))
    penalty[-1] = 1e-9 * len(x)
    return penalty


def least_squares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Ridge-steadied least squares: w = (X'X + λI)^-1 X'y.

    Shapes: x [rows, features + 1] with a last column of ones, y [rows]; w [features + 1].

    >>> x = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    >>> least_squares(x, np.array([1.0, 3.0, 5.0])).round(1).tolist()
    [2.0, 1.0]
    """
    gram = (x.T @ x).astype(np.float64)
    return np.linalg.solve(gram + np.diag(_penalty(x)), x.T @ y.astype(np.float64))


def logistic_regression(x: np.ndarray, y: np.ndarray, num_classes: int) -> np.ndarray:
    """Multinomial logistic regression by the fixed bound of its Hessian, with Nesterov's extrapolation.

    The loss's Hessian is nowhere larger than ½ X'X for each class, so, with P = softmax(XV),
    W ← V - (½ X'X + λI)^-1 (X'(P - Y) + λV) never overshoots and needs one inverse for all steps; V = W + t/(t+3) (W - W_before).

    Shapes: x [rows, features + 1] with a last column of ones, y [rows]; W [features + 1, num_classes].

    Source: D. Böhning, "Multinomial logistic regression algorithm", 1992 (the bound, section 3). We add the extrapolation
    (Y. Nesterov, 1983) and stop after a fixed number of steps.
    """
    penalty = _penalty(x)
    inverse = np.linalg.inv(0.5 * (x.T @ x).astype(np.float64) + np.diag(penalty)).astype(x.dtype)
    penalty = penalty[:, None].astype(x.dtype)
    expected = np.eye(num_classes, dtype=x.dtype)[y]  # [rows, classes]
    weights = before = np.zeros((x.shape[1], num_classes), x.dtype)
    for step in range(ITERATIONS):
        ahead = weights + (weights - before) * x.dtype.type(step / (step + 3))
        slope = x.T @ (softmax(x @ ahead) - expected) + penalty * ahead
        before, weights = weights, ahead - inverse @ slope
    return weights


def softmax(scores: np.ndarray) -> np.ndarray:
    """exp(s) / sum(exp(s)) along the last axis, shifted by the maximum so that nothing overflows.

    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)
