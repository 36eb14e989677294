"""L8. Figures of merit on NumPy arrays: accuracy and confusion matrix for classes, mse, rmse, mae and r2 for values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from danlu.errors import DataError, ShapeError

Metric = Callable[[np.ndarray, np.ndarray], float]


def labels_of(predictions: np.ndarray) -> np.ndarray:
    """The class of every row: the largest of `[rows, classes]` scores, or integers `[rows]` as they are."""
    predictions = np.asarray(predictions)
    return predictions.argmax(axis=1) if predictions.ndim == 2 else predictions


def accuracy(predictions: np.ndarray, targets: np.ndarray) -> float:
    """The share of rows whose class is right.

    accuracy = mean(argmax_c predictions[i, c] == targets[i])

    Shapes: predictions [rows, classes] scores or [rows] classes; targets [rows].

    Raises:
        ShapeError: another number of rows in the two, or none at all.

    >>> import numpy as np
    >>> from danlu.train import accuracy
    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    0.5
    """
    labels, targets = _rows(labels_of(predictions), targets)
    return float(np.mean(labels == targets))


def confusion_matrix(predictions: np.ndarray, targets: np.ndarray, num_classes: int) -> np.ndarray:
    """How often class i (row) was taken for class j (column).

    M[i, j] = #{rows: target = i, prediction = j}

    Shapes: predictions [rows, classes] or [rows]; targets [rows]; the matrix [num_classes, num_classes], int64.

    Raises:
        ShapeError: another number of rows in the two, or none at all.
        DataError: a class below 0 or not below num_classes.

    >>> import numpy as np
    >>> from danlu.train import confusion_matrix
    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 1, 0]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    labels, targets = _rows(labels_of(predictions), targets)
    highest, lowest = max(labels.max(), targets.max()), min(labels.min(), targets.min())
    if lowest < 0 or highest >= num_classes:
        raise DataError(
            "classes from {lowest} to {highest} do not fit a matrix of {num_classes}; classes are 0 to {last}",
            lowest=lowest,
            highest=highest,
            num_classes=num_classes,
            last=num_classes - 1,
        )
    flat = targets.astype(np.int64) * num_classes + labels.astype(np.int64)
    return np.bincount(flat, minlength=num_classes * num_classes).reshape(num_classes, num_classes)


def mse(predictions: np.ndarray, targets: np.ndarray) -> float:
    """The mean squared error, mean((prediction - target)^2), in float64.

    Shapes: predictions [rows] or [rows, 1], targets likewise.

    Raises:
        ShapeError: another number of rows in the two, or none at all.

    >>> import numpy as np
    >>> from danlu.train import mse
    >>> mse(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    2.0
    """
    difference = _difference(predictions, targets)
    return float(np.mean(difference * difference))


def rmse(predictions: np.ndarray, targets: np.ndarray) -> float:
    """The root of the mean squared error, in the unit of the target; shapes and errors as in `mse`.

    √mean((prediction - target)²)

    Shapes: predictions [rows] or [rows, 1], targets likewise → a Python float.

    >>> import numpy as np
    >>> from danlu.train import rmse
    >>> rmse(np.array([1.0, 5.0]), np.array([1.0, 1.0])) == 8.0**0.5
    True
    """
    return mse(predictions, targets) ** 0.5


def mae(predictions: np.ndarray, targets: np.ndarray) -> float:
    """The mean absolute error, mean(|prediction - target|); shapes and errors as in `mse`.

    mean(|prediction - target|)

    Shapes: predictions [rows] or [rows, 1], targets likewise → a Python float.

    >>> import numpy as np
    >>> from danlu.train import mae
    >>> mae(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    1.0
    """
    return float(np.mean(np.abs(_difference(predictions, targets))))


def r2(predictions: np.ndarray, targets: np.ndarray) -> float:
    """The share of the variance that is explained: 1 - sum((t - p)^2) / sum((t - mean(t))^2); shapes and errors as in `mse`.

    r² = 1 - Σ (t - p)² / Σ (t - mean t)²

    Where the target does not vary: 1 for a perfect prediction, else 0.

    Shapes: predictions [rows] or [rows, 1], targets likewise → a Python float.

    >>> import numpy as np
    >>> from danlu.train import r2
    >>> r2(np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    1.0
    """
    difference = _difference(predictions, targets)
    centred = np.asarray(targets, np.float64).reshape(-1)
    centred = centred - centred.mean()
    residual, total = float(difference @ difference), float(centred @ centred)
    if total == 0.0:
        return float(residual == 0.0)
    return 1.0 - residual / total


def _difference(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    predictions, targets = _rows(_column(predictions), _column(targets))
    return predictions.astype(np.float64) - targets.astype(np.float64)


def _column(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _rows(predictions: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as [rows]; they must agree and hold something."""
    predictions, targets = np.asarray(predictions), np.asarray(targets)
    if predictions.ndim != 1 or predictions.shape != targets.shape or len(targets) == 0:
        raise ShapeError(
            "predictions of shape {predictions} and targets of shape {targets} do not fit: expected one prediction for each "
            "of at least one target",
            predictions=predictions.shape,
            targets=targets.shape,
        )
    return predictions, targets


METRICS: dict[str, Metric] = {"accuracy": accuracy, "mse": mse, "rmse": rmse, "mae": mae, "r2": r2}


def metric_named(name: str) -> Metric:
    """The metric of that name; DataError that lists the names otherwise."""
    if name not in METRICS:
        raise DataError(
            "unknown metric {name!r}; choose from {metrics}, or pass a function of (predictions, targets)",
            name=name,
            metrics=", ".join(METRICS),
        )
    return METRICS[name]
