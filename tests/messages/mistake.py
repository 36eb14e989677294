"""A mistake that learners make, and what danlu or PyTorch says of it when the code runs."""

from __future__ import annotations

import contextlib
import io
import linecache
import os
import textwrap
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What the snippets begin with, for danlu and for PyTorch.
OPENING = {
    "danlu": """
        import numpy as np
        from pathlib import Path
        import danlu
        from danlu import nn
        from danlu.data import DataLoader, Dataset, TensorDataset, random_split
        from danlu.nn import functional as F
    """,
    "torch": """
        import numpy as np
        from pathlib import Path
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, Dataset, TensorDataset, random_split
        from torch.nn import functional as F
    """,
}


@dataclass(frozen=True)
class Mistake:
    """One row of the table.

    `line`: the line of the code that is to blame. `kind`: the class of danlu's exception or warning, or "result": it runs, and the
    parts `both` are in what it prints. `both`: parts that the message has in both languages, `en` and `zh` a part of each.
    `torch`: the class of PyTorch's exception or warning and the beginning of its text; "" where it says nothing, None where
    it has no counterpart.
    """

    name: str
    line: int
    kind: str
    both: tuple[str, ...]
    en: str
    zh: str
    torch: str | None
    snippet: str

    @property
    def code(self) -> str:
        """The snippet as a learner writes it."""
        return textwrap.dedent(self.snippet).strip("\n") + "\n"

    @property
    def file(self) -> str:
        """The name of the file that it stands in."""
        return f"{self.name}.py"


@dataclass(frozen=True)
class Outcome:
    """What came of a snippet: the exception, the first warning of a user's concern, what was printed, and the line that was blamed."""

    error: BaseException | None
    warning: str | None
    printed: str
    line: int | None
    folder: str

    @property
    def text(self) -> str:
        """The message, the same on every machine: the snippet's folder is `…`."""
        return (self.warning or str(self.error or "")).replace(self.folder, "…")

    @property
    def kind(self) -> str:
        """The class of the warning or of the exception; "result" where there was none."""
        return "UserWarning" if self.warning else type(self.error).__name__ if self.error else "result"


def run(mistake: Mistake, library: str, folder: Path) -> Outcome:
    """Runs a snippet in an empty folder. A warning counts where no error follows."""
    code = mistake.code.replace("danlu", library)
    linecache.cache[mistake.file] = (len(code), None, code.splitlines(keepends=True), mistake.file)
    scope: dict[str, Any] = {"__name__": "lesson"}
    exec(textwrap.dedent(OPENING[library]), scope)
    error, before, printed = None, Path.cwd(), io.StringIO()
    os.chdir(folder)
    try:
        with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
            warnings.simplefilter("always")
            exec(compile(code, mistake.file, "exec"), scope)
    except Exception as raised:
        error = raised
    finally:
        os.chdir(before)
        del linecache.cache[mistake.file]
    own = [w for w in caught if w.category is UserWarning]
    if own and error is None:
        return Outcome(error, str(own[0].message), printed.getvalue(), own[0].lineno, str(folder))
    lines = (
        [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == mistake.file] if error else []
    )
    return Outcome(error, None, printed.getvalue(), lines[-1] if lines else None, str(folder))
