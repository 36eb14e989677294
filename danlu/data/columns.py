"""L7. What a preparation does with one column of a table: numbers, categories and dates become features; the rest is left out.

Everything is learned from the training rows alone. The rules, in the order in which they are tried:

| a column of the training rows with | becomes |
|---|---|
| one value, or none | left out (constant) |
| whole numbers that are all different, named like an id or counting 0, 1, 2, ... | left out (id) |
| whole numbers that repeat, named like an id | a category |
| numbers (95 % of what is there; the rest counts as missing) | one feature, and an indicator if any is missing |
| dates written year first (95 %) | year, month, day, weekday and hour, as far as they vary |
| texts that are nearly all different | left out (id, free text) |
| other texts | a category: one-hot for the 100 most frequent, and a column for missing ones if there are any |
"""

from __future__ import annotations

import datetime
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from danlu.data.record import Record
from danlu.messages import Phrase, message

SCALES = ("standard", "minmax", "none")
_MOSTLY = 0.95  # share of a column that must be numbers (or dates) for it to be one
_MOST_LEVELS = 100
_FEW = 20  # up to so many different texts are always a category
_HUGE = 1e150  # squares of numbers beyond it overflow float64
_SKEWED = 1.0
_INDEX_ROWS = 10  # fewer numbers may be 1, 2, 3, ... by chance
_ID_NAME = re.compile(
    r"(?i:(^|.*[\s_.-])(id|ids|uuid|guid|index|key)|id[\s_.-].*)|.*[a-z]I[dD]|.*(编号|序号|学号|工号|身份证|流水号).*"
)
_DATE = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[T ]\s*(\d{1,2}):\d{2}(?::\d{2}(?:[.,]\d+)?)?\s*(?:Z|[+-]\d{2}:?\d{2})?)?"
)


def _each(function: Callable[[Any], Any], values: np.ndarray) -> list[Any]:
    """A function of every cell, worked out once for each different one."""
    known = {value: function(value) for value in set(values)}
    return [known[value] for value in values]


def as_numbers(values: np.ndarray) -> np.ndarray:
    """A column as float64; NaN for what is missing, no number, infinite, or beyond 1e150.

    >>> as_numbers(np.array(["1.5", "high", None, True], dtype=object)).tolist()
    [1.5, nan, nan, 1.0]
    """
    if values.dtype == object:
        values = np.array(_each(_number, values), dtype=np.float64)
    numbers = values.astype(np.float64)
    return np.where(np.abs(numbers) <= _HUGE, numbers, np.nan)


def _number(value: Any) -> float:
    """One cell as a number; NaN when it is none. Python's `1_000` is no number in a file."""
    try:
        return np.nan if value is None or (isinstance(value, str) and "_" in value) else float(value)
    except ValueError:
        return np.nan


def as_texts(values: np.ndarray) -> np.ndarray:
    """A column as texts, None where missing; whole numbers without a point, so that 1, 1.0 and "1" are one level.

    >>> as_texts(np.array([1.0, 2.5, np.nan])).tolist()
    ['1', '2.5', None]
    """
    return np.array([_text(value) for value in values.tolist()], dtype=object)


def _text(value: Any) -> str | None:
    if isinstance(value, float):
        return None if value != value else str(int(value)) if value.is_integer() else repr(value)
    return None if value is None else str(value)


def is_missing(values: np.ndarray) -> np.ndarray:
    """Which cells of a column hold nothing: bool [N].

    >>> is_missing(np.array(["a", None], dtype=object)).tolist()
    [False, True]
    """
    if values.dtype == object:
        return np.array([value is None for value in values], dtype=bool)
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), dtype=bool)


def is_whole(numbers: np.ndarray) -> bool:
    """Whether all numbers (NaN apart) are whole.

    >>> is_whole(np.array([1.0, np.nan, 3.0]))
    True
    """
    present = numbers[~np.isnan(numbers)]
    return bool(np.all(present == np.floor(present)))


@dataclass(frozen=True)
class Scaling:
    """`(f(x) − shift) / divisor` with `f(x) = x`, or `f(x) = log(1 + max(x, 0) / unit)` for numbers with a long upper tail.

    | scale | shift | divisor |
    |---|---|---|
    | standard | training mean | training standard deviation |
    | minmax | training minimum | training maximum − minimum |
    | none | 0 | 1 |

    The logarithm is taken under `standard` alone, when no training value is negative, their skewness is above 1 and the
    logarithm at least halves it; `unit` is the training median of the values above 0, so that the features do not depend on
    the unit of measure.
    On California housing it lowers a small MLP's test error by 1 % (mean of 5 splits: 51,982 → 51,440 after 40 epochs).
    """

    shift: float
    divisor: float
    unit: float | None = None

    @classmethod
    def fit(cls, numbers: np.ndarray, scale: str) -> Scaling:
        """The scaling of training values without NaN."""
        if scale == "none":
            return cls(0.0, 1.0)
        if scale == "minmax":
            low, high = float(numbers.min()), float(numbers.max())
            return cls(low, high - low or 1.0)
        unit = _log_unit(numbers)
        bent = cls(0.0, 1.0, unit)(numbers)
        return cls(float(bent.mean()), float(bent.std()) or 1.0, unit)

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):  # float32's range is kept where the features are put together
            bent = numbers if self.unit is None else np.log1p(np.maximum(numbers, 0.0) / self.unit)
            return (bent - self.shift) / self.divisor

    def to_json(self) -> dict[str, Any]:
        """A plain object; from_json reads it."""
        return {"shift": self.shift, "divisor": self.divisor, "log_unit": self.unit}

    @classmethod
    def from_json(cls, record: Record) -> Scaling:
        """The scaling of an object that to_json wrote."""
        unit = None if record.value.get("log_unit", 0) is None else record.positive("log_unit")
        return cls(record.number("shift"), record.positive("divisor"), unit)


def _log_unit(numbers: np.ndarray) -> float | None:
    """The unit of the logarithm, or None where numbers are better left as they are."""
    above = numbers[numbers > 0]
    if not len(above) or numbers.min() < 0:
        return None
    skewness, unit = _skewness(numbers), float(np.median(above))
    with np.errstate(over="ignore"):
        bent = np.log1p(numbers / unit)
    return unit if skewness > _SKEWED and np.isfinite(bent).all() and abs(_skewness(bent)) < skewness / 2 else None


def _skewness(numbers: np.ndarray) -> float:
    """Third standardised moment; 0 for constant numbers."""
    deviation = numbers - numbers.mean()
    spread = deviation.std()
    return float(((deviation / spread) ** 3).mean()) if spread > 0 else 0.0


class Column(ABC):
    """What happens to one column of the table: `transform` makes its features [N, len(feature_names)]."""

    kind: ClassVar[str]
    name: str

    @property
    @abstractmethod
    def feature_names(self) -> list[str]:
        """One name for each feature that the column becomes."""

    @abstractmethod
    def transform(self, values: np.ndarray) -> np.ndarray:
        """Features float64 [N, len(feature_names)] of a column [N]."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """A plain object; `column_from_json` reads it."""


@dataclass(frozen=True)
class NumberColumn(Column):
    """A number: scaled, missing ones replaced by the training mean, and an indicator if any is missing in the training rows.

    The mean is that of the scaled values. What is missing at prediction only is replaced too; there is no indicator for it, as
    nothing could have been learned of one.
    """

    kind = "number"
    name: str
    scaling: Scaling
    fill: float
    indicator: bool

    @classmethod
    def fit(cls, name: str, numbers: np.ndarray, scale: str) -> NumberColumn:
        """From training values [N], NaN where missing; at least one is there."""
        missing = np.isnan(numbers)
        scaling = Scaling.fit(numbers[~missing], scale)
        return cls(name, scaling, float(scaling(numbers[~missing]).mean()), bool(missing.any()))

    @property
    def feature_names(self) -> list[str]:
        return [self.name, f"{self.name} is missing"] if self.indicator else [self.name]

    def transform(self, values: np.ndarray) -> np.ndarray:
        numbers = as_numbers(values)
        missing = np.isnan(numbers)
        scaled = np.where(missing, self.fill, self.scaling(numbers))
        return np.column_stack([scaled, missing] if self.indicator else [scaled])

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "fill": self.fill, "indicator": self.indicator, **self.scaling.to_json()}

    @classmethod
    def from_json(cls, record: Record) -> NumberColumn:
        """The column of an object that to_json wrote."""
        return cls(record.text("name"), Scaling.from_json(record), record.number("fill"), record.flag("indicator"))


@dataclass(frozen=True)
class CategoryColumn(Column):
    """A category: one 0/1 feature for each level, and one for missing ones if training had any.

    A level that training did not show, or that is not among the 100 most frequent, is all zeros.
    """

    kind = "category"
    name: str
    levels: list[str]
    missing: bool

    @classmethod
    def fit(cls, name: str, texts: np.ndarray) -> CategoryColumn:
        """From training texts [N], None where missing."""
        counts = Counter(texts)
        missing = counts.pop(None, 0) > 0
        frequent = sorted(counts, key=lambda level: (-counts[level], level))[:_MOST_LEVELS]
        return cls(name, sorted(frequent), missing)

    @property
    def feature_names(self) -> list[str]:
        return [f"{self.name}={level}" for level in self.levels] + [f"{self.name} is missing"] * self.missing

    def transform(self, values: np.ndarray) -> np.ndarray:
        places: dict[str | None, int] = {level: place for place, level in enumerate(self.levels)}
        if self.missing:
            places[None] = len(self.levels)
        chosen = np.array([places.get(text, -1) for text in as_texts(values)])
        return chosen[:, None] == np.arange(len(places))  # [N, levels]

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "levels": self.levels, "missing": self.missing}

    @classmethod
    def from_json(cls, record: Record) -> CategoryColumn:
        """The column of an object that to_json wrote."""
        return cls(record.text("name"), record.texts("levels"), record.flag("missing"))


@dataclass(frozen=True)
class DateColumn(Column):
    """A date written year first (2024-03-05, 2024/3/5 17:30, 2024年3月5日): the parts of it that vary, each as a number."""

    kind = "date"
    name: str
    parts: dict[str, NumberColumn]

    @classmethod
    def fit(cls, name: str, texts: np.ndarray, scale: str) -> DateColumn:
        """From training texts [N]; only the first part tells whether the date is missing."""
        parts: dict[str, NumberColumn] = {}
        for part, numbers in date_parts(texts).items():
            if np.nanmin(numbers) < np.nanmax(numbers):
                numbers = numbers[~np.isnan(numbers)] if parts else numbers
                parts[part] = NumberColumn.fit(f"{name} {part}", numbers, scale)
        return cls(name, parts)

    @property
    def feature_names(self) -> list[str]:
        return [feature for part in self.parts.values() for feature in part.feature_names]

    def transform(self, values: np.ndarray) -> np.ndarray:
        numbers = date_parts(as_texts(values))
        return np.column_stack([column.transform(numbers[part]) for part, column in self.parts.items()])

    def to_json(self) -> dict[str, Any]:
        parts = {part: column.to_json() for part, column in self.parts.items()}
        return {"kind": self.kind, "name": self.name, "parts": parts}

    @classmethod
    def from_json(cls, record: Record) -> DateColumn:
        """The column of an object that to_json wrote."""
        parts = record.record("parts")
        if not parts.value or not set(parts.value) <= set(_DATE_PARTS):
            raise record.wrong("parts", Phrase("an object with some of {names}", names=", ".join(_DATE_PARTS)))
        return cls(record.text("name"), {part: NumberColumn.from_json(parts.record(part)) for part in parts.value})


_DATE_PARTS = ("year", "month", "day", "weekday", "hour")


def date_parts(texts: np.ndarray) -> dict[str, np.ndarray]:
    """Year, month, day, weekday (Monday = 0) and hour of dates written year first, float64 [N] each; NaN for anything else.

    >>> {part: numbers.tolist() for part, numbers in date_parts(np.array(["2024-03-05 17:30"], dtype=object)).items()}
    {'year': [2024.0], 'month': [3.0], 'day': [5.0], 'weekday': [1.0], 'hour': [17.0]}
    """
    rows = np.array(_each(_date, texts), dtype=np.float64).reshape(-1, len(_DATE_PARTS))
    return dict(zip(_DATE_PARTS, rows.T))


def _date(text: str | None) -> tuple[float, ...]:
    """The parts of one date; NaN five times when it is none."""
    match = _DATE.fullmatch(text) if text else None
    try:
        if match:
            year, month, day, hour = (int(part or 0) for part in match.groups())
            moment = datetime.datetime(year, month, day, hour)
            return year, month, day, moment.weekday(), hour
    except ValueError:  # a 13th month, a 25th hour
        pass
    return (np.nan,) * len(_DATE_PARTS)


def column_from_json(record: Record) -> Column:
    """The column of an object that a column's to_json wrote."""
    kind = record.choice("kind", tuple(_KINDS))
    return _KINDS[kind].from_json(record)


_KINDS: dict[str, type[NumberColumn] | type[CategoryColumn] | type[DateColumn]] = {
    "number": NumberColumn,
    "category": CategoryColumn,
    "date": DateColumn,
}


@dataclass(frozen=True)
class Finding:
    """What `infer` found: a column that becomes features, or None with the reason, and perhaps a sentence for the user."""

    column: Column | None
    reason: str = ""
    note: str = ""


def infer(name: str, values: np.ndarray, scale: str) -> Finding:
    """What to do with a column, from its training values [N]; the rules are in this file's docstring."""
    present = values[~is_missing(values)]
    different = len(set(present.tolist()))
    if different == 0:
        return Finding(None, message("it holds no value in the training rows"))
    if different == 1:
        return _infer_constant(name, values, present)
    numbers = as_numbers(values)
    found = int((~np.isnan(numbers)).sum())
    if found >= _MOSTLY * len(present):
        return _infer_numbers(name, values, numbers, len(present) - found, scale)
    return _infer_texts(name, as_texts(values), different, scale)


def _infer_constant(name: str, values: np.ndarray, present: np.ndarray) -> Finding:
    """One value everywhere says nothing; one value or none says something."""
    if len(present) == len(values):
        return Finding(None, message("it is {value!r} in every training row", value=_text(present.tolist()[0])))
    return Finding(CategoryColumn.fit(name, as_texts(values)))


def _infer_numbers(name: str, values: np.ndarray, numbers: np.ndarray, words: int, scale: str) -> Finding:
    """A column of numbers: an id, a category of numbered things, or a number."""
    present = numbers[~np.isnan(numbers)]
    if present.std() == 0:
        return Finding(None, message("its numbers are all the same in the training rows"))
    if is_whole(present) and values.dtype != bool:
        different = len(np.unique(present))
        if _ID_NAME.fullmatch(name):
            return _infer_id(name, values, different, len(present))
        if different == len(values) >= _INDEX_ROWS and np.abs(present).max() <= 2 * different:
            return Finding(None, message("it counts the rows, like an index"))
    note = (
        message(
            "Column {name!r} holds numbers and {count} words in the training rows: the words count as missing.",
            name=name,
            count=words,
        )
        if words
        else ""
    )
    return Finding(NumberColumn.fit(name, numbers, scale), note=note)


def _infer_id(name: str, values: np.ndarray, different: int, rows: int) -> Finding:
    """Whole numbers named like an id: of no use where nearly every row has its own, else the number of a thing."""
    if different == rows or different > max(_FEW, rows / 2):
        return Finding(None, message("it is an id ({count} different numbers in {rows} rows)", count=different, rows=rows))
    note = message("Column {name!r} is named like an id and its numbers repeat: read as a category.", name=name)
    return Finding(CategoryColumn.fit(name, as_texts(values)), note=note)


def _infer_texts(name: str, texts: np.ndarray, different: int, scale: str) -> Finding:
    """A column of texts: dates, an id, free text, or a category."""
    present = [text for text in texts if text is not None]
    years = date_parts(texts)["year"]
    if (~np.isnan(years)).sum() >= _MOSTLY * len(present):
        column = DateColumn.fit(name, texts, scale)
        return Finding(column) if column.parts else Finding(None, message("it is one date in every training row"))
    if different == len(present) or different > max(_FEW, len(present) / 2):
        what = Phrase("free text") if np.mean([len(text.split()) for text in present]) > 2 else Phrase("an id or a name")
        return Finding(
            None,
            message(
                "it looks like {what} ({count} different texts in {rows} rows)", what=what, count=different, rows=len(present)
            ),
        )
    rest = different - _MOST_LEVELS
    note = (
        message(
            "Column {name!r} has {count} different texts: the {most} most frequent have a feature each.",
            name=name,
            count=different,
            most=_MOST_LEVELS,
        )
        if rest > 0
        else ""
    )
    return Finding(CategoryColumn.fit(name, texts), note=note)
