"""L7. The column that a network learns to predict: classes, or a number that is standardised."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from danlu.data.columns import as_numbers, as_texts, is_missing, is_whole
from danlu.data.record import Record
from danlu.errors import DataError
from danlu.messages import Phrase, message

TASKS = ("auto", "classification", "regression")
_FEW_NUMBERS = 20  # up to so many different whole numbers are classes
_ROWS_PER_NUMBER = 5  # and only if each is there so many times on average


class Target(ABC):
    """What is predicted; `transform` makes what the loss takes, `inverse` what the user reads."""

    task: ClassVar[str]
    name: str

    @abstractmethod
    def transform(self, values: np.ndarray) -> np.ndarray:
        """Values of the target column [N] as the loss takes them."""

    @abstractmethod
    def inverse(self, outputs: np.ndarray) -> np.ndarray:
        """Predictions as the user reads them."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """A plain object; `target_from_json` reads it."""


@dataclass(frozen=True)
class ClassTarget(Target):
    """Classes, numbered in the order of `classes`: numbers by size, texts by letter."""

    task = "classification"
    name: str
    classes: list[str]

    @classmethod
    def fit(cls, name: str, values: np.ndarray) -> ClassTarget:
        """From the values [N] of the column; none may be missing."""
        classes = set(as_texts(values))
        numbers = dict(zip(classes, as_numbers(np.array(list(classes), dtype=object)).tolist()))
        numeric = not any(np.isnan(number) for number in numbers.values())
        return cls(name, sorted(classes, key=lambda text: (numbers[text], text) if numeric else (0.0, text)))

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Class numbers int64 [N]. Raises: DataError for a value that is no class."""
        places = {name: place for place, name in enumerate(self.classes)}
        texts = as_texts(values)
        unknown = sorted({str(text) for text in texts if text not in places})
        if unknown:
            raise DataError(
                "the target {name!r} holds {value!r}, which is none of its classes ({classes})",
                name=self.name,
                value=unknown[0],
                classes=", ".join(self.classes[:10]),
            )
        return np.array([places[text] for text in texts], dtype=np.int64)

    def inverse(self, outputs: np.ndarray) -> np.ndarray:
        """Class names (object) [N] of class numbers [N]."""
        return np.array(self.classes, dtype=object)[outputs]

    def to_json(self) -> dict[str, Any]:
        return {"task": self.task, "name": self.name, "classes": self.classes}


@dataclass(frozen=True)
class NumberTarget(Target):
    """A number, standardised with the training rows' mean and standard deviation."""

    task = "regression"
    name: str
    mean: float
    deviation: float

    @classmethod
    def fit(cls, name: str, values: np.ndarray) -> NumberTarget:
        """From the training values [N] of the column. Raises: DataError when they are all the same."""
        numbers = as_numbers(values)
        if numbers.std() == 0:
            raise DataError(
                "the target {name!r} is {value:g} in every training row; there is nothing to learn",
                name=name,
                value=float(numbers[0]),
            )
        return cls(name, float(numbers.mean()), float(numbers.std()))

    def transform(self, values: np.ndarray) -> np.ndarray:
        """(value − mean) / deviation, float32 [N]."""
        return ((as_numbers(values) - self.mean) / self.deviation).astype(np.float32)

    def inverse(self, outputs: np.ndarray) -> np.ndarray:
        """output · deviation + mean, float64 [N]."""
        return outputs.astype(np.float64) * self.deviation + self.mean

    def to_json(self) -> dict[str, Any]:
        return {"task": self.task, "name": self.name, "mean": self.mean, "deviation": self.deviation}


def target_from_json(record: Record) -> Target:
    """The target of an object that a target's to_json wrote."""
    if record.choice("task", TASKS[1:]) == "regression":
        return NumberTarget(record.text("name"), record.number("mean"), record.positive("deviation"))
    classes = record.texts("classes")
    if len(classes) < 2:
        raise record.wrong("classes", Phrase("a list of two classes or more"))
    return ClassTarget(record.text("name"), classes)


def infer_task(name: str, values: np.ndarray, task: str) -> tuple[str, str]:
    """The task, given or inferred, and a sentence for the user where it was a guess.

    Texts, true/false, and up to 20 different whole numbers that occur 5 times each on average are classes; other numbers are
    regression.

    Raises: DataError for a target of one value, texts that do not repeat, or texts where numbers were asked for.
    """
    present = values[~is_missing(values)]
    different = len(set(present.tolist()))
    if different == 1:
        raise DataError(
            "the target {name!r} has one value only ({value!r} in all {count} rows); nothing to learn",
            name=name,
            value=as_texts(present)[0],
            count=len(present),
        )
    numbers = as_numbers(present)
    if task == "regression":
        _check_numbers(name, present, numbers)
        return task, ""
    if task == "classification":
        _check_classes(name, present, different)
        return task, ""
    if np.isnan(numbers).any() or values.dtype in (bool, object):
        _check_classes(name, present, different)
        return "classification", ""
    if is_whole(numbers) and different <= _FEW_NUMBERS and different * _ROWS_PER_NUMBER <= len(present):
        return (
            "classification",
            message(
                "The target {name!r} has {count} different whole numbers: read as classes (task 'regression' reads numbers).",
                name=name,
                count=different,
            ),
        )
    return "regression", ""


def _check_numbers(name: str, present: np.ndarray, numbers: np.ndarray) -> None:
    """Regression needs numbers."""
    if np.isnan(numbers).any():
        odd = as_texts(present[np.isnan(numbers)])[0]
        raise DataError(
            "the target {name!r} holds {value!r}, which is no number that regression could learn; use the task 'classification'",
            name=name,
            value=odd,
        )


def _check_classes(name: str, present: np.ndarray, different: int) -> None:
    """Classes must repeat."""
    if different > max(_FEW_NUMBERS, len(present) / 2):
        kind = Phrase("texts") if present.dtype == object else Phrase("numbers")
        raise DataError(
            "the target {name!r} has {classes} different {kind} in {count} rows; classes must repeat: choose another target, "
            "or the task 'regression' if it is a number",
            name=name,
            classes=different,
            kind=kind,
            count=len(present),
        )
