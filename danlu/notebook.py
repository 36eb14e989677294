"""L0. What `%load_ext danlu` calls. It is named by a string, as nothing below the commands imports them."""

from __future__ import annotations

import importlib
from typing import Any


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext danlu` in a notebook: from then on `import torch` means danlu there.

    Raises: DataError where the real PyTorch has been imported already.

    >>> import danlu
    >>> danlu.load_ipython_extension(None)  # doctest: +SKIP
    """
    importlib.import_module("danlu.interop").install()


__all__ = ["load_ipython_extension"]
