"""L7. Reading a JSON object that may be damaged: every field is checked, and the message names the file and the field."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from danlu.errors import DataError
from danlu.messages import Phrase


class Record:
    """A JSON object with the place it came from; each method returns one field, checked.

    >>> Record({"mean": 2}, "prepare.json").number("mean")
    2.0
    """

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise DataError("{where}: expected an object, found {found}; the file is damaged", where=where, found=_brief(value))
        self.value, self.where = value, where

    def wrong(self, field: str, expected: str | Phrase) -> DataError:
        """The error for a field that is missing or is not what it should be."""
        found = _brief(self.value[field]) if field in self.value else Phrase("nothing")
        return DataError(
            "{where}: {field!r} should be {expected}, found {found}; the file is damaged or of another version",
            where=self.where,
            field=field,
            expected=expected,
            found=found,
        )

    def text(self, field: str) -> str:
        """A text."""
        value = self.value.get(field)
        if not isinstance(value, str):
            raise self.wrong(field, Phrase("a text"))
        return value

    def choice(self, field: str, choices: tuple[str, ...]) -> str:
        """One of some texts."""
        value = self.value.get(field)
        if not isinstance(value, str) or value not in choices:
            raise self.wrong(field, Phrase("one of {names}", names=", ".join(choices)))
        return value

    def flag(self, field: str) -> bool:
        """True or false."""
        value = self.value.get(field)
        if not isinstance(value, bool):
            raise self.wrong(field, Phrase("true or false"))
        return value

    def number(self, field: str) -> float:
        """A finite number."""
        value = self.value.get(field)
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise self.wrong(field, Phrase("a finite number"))
        return float(value)

    def positive(self, field: str) -> float:
        """A finite number above zero."""
        value = self.number(field)
        if value <= 0:
            raise self.wrong(field, Phrase("a number above 0"))
        return value

    def sizes(self, field: str) -> tuple[int, ...]:
        """A list of whole numbers above zero."""
        value = self.value.get(field)
        if not isinstance(value, list) or not value or not all(type(size) is int and 0 < size < 2**31 for size in value):
            raise self.wrong(field, Phrase("a list of whole numbers above 0"))
        return tuple(value)

    def texts(self, field: str) -> list[str]:
        """A list of texts, none of them twice."""
        value = self.value.get(field)
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value) or len(set(value)) < len(value):
            raise self.wrong(field, Phrase("a list of different texts"))
        return value

    def record(self, field: str) -> Record:
        """An object inside this one."""
        return Record(self.value.get(field), f"{self.where}: {field}")

    def records(self, field: str) -> Iterator[Record]:
        """A list of objects."""
        value = self.value.get(field)
        if not isinstance(value, list):
            raise self.wrong(field, Phrase("a list of objects"))
        return (Record(item, f"{self.where}: {field}[{place}]") for place, item in enumerate(value))


def _is_finite(value: int | float) -> bool:
    """Whether a number fits a float64 (JSON's integers have no bound)."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _brief(value: Any) -> str:
    """A value for a message, cut at 40 characters."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
