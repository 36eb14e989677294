"""L0. The two languages of messages: English stands at the raise, Chinese in zh/*.json beside this file, keyed by the English.

A template has named holes, as `str.format` has them: "index {index} is out of range for size {size}". A template that is
used without values is text as it stands, braces and all. The Chinese is read when the first Chinese message is made, never by
`import danlu` (docs/decisions/0009-messages.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache, reduce
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "zh")
_FOLDER = Path(__file__).parent / "zh"
_current = ["en"]


def language() -> str:
    """The language that messages are made in: "en" or "zh"."""
    return _current[0]


def use(code: str) -> None:
    """Switches the language; config.py calls it with what the environment says."""
    _current[0] = code


def message(template: str, /, **values: Any) -> str:
    """The text of a template, its holes filled, in the language of this moment.

    >>> from danlu.messages import message
    >>> message("shape {shape} has no axis {axis}", shape=(2, 3), axis=2)
    'shape (2, 3) has no axis 2'
    """
    text = chinese().get(template) or template if language() == "zh" else template
    return text.format(**values) if values else text


@cache
def chinese() -> dict[str, str]:
    """English template → Chinese template, of all files in zh/."""
    pairs: dict[str, str] = {}
    for path in sorted(_FOLDER.glob("*.json")):
        pairs |= json.loads(path.read_text("utf-8"))
    return pairs


class Phrase:
    """A part of a message with a template of its own; it becomes text where it fills a hole, in the language of that moment.

    >>> from danlu.messages import Phrase, message
    >>> message("the input has {ndim} axes{hint}", ndim=1, hint=Phrase("; write {code}", code="x.unsqueeze(0)"))
    'the input has 1 axes; write x.unsqueeze(0)'
    """

    def __init__(self, template: str, /, **values: Any) -> None:
        self.template, self.values = template, values

    def __str__(self) -> str:
        return message(self.template, **self.values)

    def __repr__(self) -> str:
        return repr(str(self))


def both(items: Iterable[Any]) -> Any:
    """`a and b and c`"""
    return reduce(lambda first, second: Phrase("{first} and {second}", first=first, second=second), items)


def either(items: Iterable[Any]) -> Any:
    """`a or b or c`"""
    return reduce(lambda first, second: Phrase("{first} or {second}", first=first, second=second), items)


__all__ = ["LANGUAGES", "Phrase", "both", "chinese", "either", "language", "message", "use"]
