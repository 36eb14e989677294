"""L9. A script as a module: its code, and the spec by which a spawned process finds it (child.py)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType

CHILD = "danlu.interop.child"  # the module that a spawned process imports


class ScriptSpec(ModuleSpec):
    """The spec of a script; its package is the one that the script stands in."""

    @property
    def parent(self) -> str | None:
        """The package, by the `__init__.py` above the file."""
        folder, names = Path(self.origin or "").resolve().parent, []
        while (folder / "__init__.py").is_file():
            names.append(folder.name)
            folder = folder.parent
        return ".".join(reversed(names))


class ScriptFinder(MetaPathFinder, InspectLoader):
    """Finds the script whose path a name spells."""

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The spec of the script; None for every other name."""
        parent, _, digits = fullname.rpartition(".")
        return ScriptSpec(fullname, self, origin=bytes.fromhex(digits).decode()) if parent == CHILD else None

    def get_source(self, fullname: str) -> str | None:
        """Nothing: `get_code` reads the file."""
        return None

    def get_code(self, fullname: str) -> CodeType:
        """The script, compiled."""
        return compiled(bytes.fromhex(fullname.rpartition(".")[2]).decode())


def compiled(file: str) -> CodeType:
    """A file, read and compiled as Python does it."""
    with open(file, "rb") as source:
        return compile(source.read(), file, "exec", dont_inherit=True)


def spec_of(file: str) -> ModuleSpec:
    """The spec for the `__main__` of a script, which tells a spawned process what to read."""
    return ScriptSpec(f"{CHILD}.{os.path.abspath(file).encode().hex()}", None, origin=file)
