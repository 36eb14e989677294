"""L0. What helps a message to teach: the user's own line, and the name that was probably meant."""

from __future__ import annotations

import contextlib
import inspect
import linecache
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from danlu.messages import Phrase, message

_PACKAGE = str(Path(__file__).parent)
Line = tuple[str, int]


_ours: dict[str, bool] = {}  # file → is it danlu's own; asked for at every op that may fail on its data


def _is_ours(frame: FrameType) -> bool:
    name = frame.f_code.co_filename
    found = _ours.get(name)
    if found is None:
        found = _ours[name] = name.startswith(_PACKAGE) or name == contextlib.__file__
    return found


def user_line() -> Line:
    """(file, line) of the innermost call that is not danlu's own."""
    frame: Any = sys._getframe(1)
    while _ours.get(frame.f_code.co_filename) or _is_ours(frame):
        if frame.f_back is None:
            break
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def outside() -> int:
    """The stacklevel at which the caller's warning names the user's line."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and _is_ours(frame):
        frame, level = frame.f_back, level + 1
    return level


def quoted(line: Line) -> str:
    """A line of the user's as a traceback shows it."""
    code = linecache.getline(*line).strip()
    return f'\n  File "{line[0]}", line {line[1]}' + (f"\n    {code}" if code else "")


def closest(name: str, names: Iterable[str]) -> str | None:
    """The public name that was probably meant; letters' case and underscores count little."""
    from difflib import get_close_matches  # 8 ms, and needed after a mistake only

    public = sorted((n for n in names if not n.startswith("_")), key=len, reverse=True)
    plain = {n.lower().replace("_", ""): n for n in public}  # of `sigmoid` and `sigmoid_` the shorter
    found = get_close_matches(name.lower().replace("_", ""), plain, 1, 0.7)
    return plain[found[0]] if found else None


def meant(name: str, names: Iterable[str]) -> Any:
    """The end of a message about a name that is not there: the name that was probably meant, or nothing."""
    near = closest(name, names)
    return Phrase("; did you mean {near!r}?", near=near) if near else ""


@cache
def _keywords(cls: type) -> frozenset[str] | None:
    """The names that a class's constructor takes; None where it takes any."""
    parameters = inspect.signature(cls.__init__).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return frozenset(p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY) - {"self"}


def check_keywords(cls: type, given: Iterable[str]) -> None:
    """TypeError for a keyword that the constructor of a class does not take, with the one that was probably meant."""
    known = _keywords(cls)
    if known is None or known.issuperset(given):
        return
    name = next(n for n in given if n not in known)
    near = ALIASES.get(name) if ALIASES.get(name) in known else closest(name, known)
    hint = Phrase("; did you mean {near!r}?", near=near) if near else Phrase("; it takes {names}", names=", ".join(sorted(known)))
    raise TypeError(
        message("{kind}.__init__() got an unexpected keyword argument {name!r}{hint}", kind=cls.__name__, name=name, hint=hint)
    )


ALIASES = {  # what other libraries call it
    "learning_rate": "lr", "units": "out_features", "filters": "out_channels", "rate": "p", "activation": "nonlinearity", "epsilon": "eps",
    "input_dim": "in_features", "output_dim": "out_features", "strides": "stride", "pool_size": "kernel_size", "alpha": "negative_slope",
}  # fmt: skip


def unknown(module: str, names: dict[str, Any]) -> Callable[[str], Any]:
    """The `__getattr__` of a module: called for a name that is not there, it says which one was probably meant.

    >>> from danlu.guidance import unknown
    >>> unknown("danlu.nn", {"Linear": 0})("Liner")
    Traceback (most recent call last):
        ...
    AttributeError: module 'danlu.nn' has no attribute 'Liner'; did you mean 'Linear'?
    """

    def missing(name: str) -> Any:
        hint = "" if name.startswith("_") else meant(name, names)
        raise AttributeError(
            message("module {module!r} has no attribute {name!r}{hint}", module=module, name=name, hint=hint),
            name=name,
            obj=None,  # with the module here Python would append a suggestion of its own
        )

    return missing


__all__ = ["Line", "check_keywords", "closest", "meant", "outside", "quoted", "unknown", "user_line"]
