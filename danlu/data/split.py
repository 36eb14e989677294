"""L7. Dividing rows into training, validation and test, 72/8/20, seeded, and stratified for classes."""

from __future__ import annotations

import numpy as np

from danlu.data.dataset import seeded
from danlu.errors import DataError

MINIMUM_ROWS = 25  # 18 to train, 2 to validate, 5 to test
_TEST, _VALIDATION = 0.20, 0.08


def split(rows: int, seed: int, labels: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row numbers for training (72 %), validation (8 %) and test (20 %), each ascending; the same for the same seed.

    With `labels` [rows] (integers) every class is spread over the parts in these shares, within about one row. At least one
    row of every class is for training, so a class with a single row is in no other part.

    Method: row j of the m rows of a class, in random order, gets the key (j + u) / m with u uniform in [0, 1) for the class;
    the smallest keys of all are the test, the next the validation (systematic sampling).

    Shapes: three int64 arrays [training], [validation], [test].

    Raises: DataError for fewer than 25 rows, or so many classes with a single row that no test is left.

    >>> [len(part) for part in split(1000, seed=0)]
    [720, 80, 200]
    """
    check_rows(rows)
    generator = seeded(seed)
    order = generator.permutation(rows)
    tests, validations = round(rows * _TEST), round(rows * _VALIDATION)
    if labels is not None:
        order = order[np.argsort(_keys(labels[order], generator), kind="stable")]
        _check_classes(labels, tests + validations)
    test, validation, training = np.split(order, [tests, tests + validations])
    return np.sort(training), np.sort(validation), np.sort(test)


def check_rows(rows: int) -> None:
    """Raises: DataError for fewer rows than the three parts need."""
    if rows < MINIMUM_ROWS:
        raise DataError(
            "{rows} rows are too few to train, validate and test; at least {minimum_rows} are needed",
            rows=rows,
            minimum_rows=MINIMUM_ROWS,
        )


def _keys(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The keys of rows in random order; the last row of each class gets a key above all others, which leaves it for training."""
    keys = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        keys[members] = (np.arange(len(members)) + generator.random()) / len(members)
        keys[members[-1]] = 1.0
    return keys


def _check_classes(labels: np.ndarray, held_out: int) -> None:
    """One row of every class stays in training; the others must fill validation and test."""
    classes = len(np.unique(labels))
    if len(labels) - classes < held_out:
        raise DataError(
            "{classes} classes in {count} rows are too many to test; there must be about two rows of a class at least",
            classes=classes,
            count=len(labels),
        )
