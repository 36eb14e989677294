"""L0. The user's own lines: noted where an op is recorded that can find an error in the data, shown where it does."""

from __future__ import annotations

import contextlib
import linecache
import os
import sys

Line = tuple[str, int]  # file, number

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def user_line() -> Line:
    """The innermost line of the running call that is not danlu's own."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_PACKAGE) and file != contextlib.__file__:
            break
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def shown(line: Line) -> str:
    """A line as Python's own tracebacks show it, which editors make a link of."""
    code = linecache.getline(*line).strip()
    return f'  File "{line[0]}", line {line[1]}' + (f"\n    {code}" if code else "")


__all__ = ["Line", "shown", "user_line"]
