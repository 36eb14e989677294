"""L9. `danlu check script.py`: the names of PyTorch that a script uses and danlu lacks, found without running it.

Python's own parser reads the script. A name counts as PyTorch's where an import made it (`import torch.nn as nn`, `from torch import optim`)
and nothing else in the script gives it another meaning. Names that are put together while running, and methods of tensors and modules, are not seen.
"""

from __future__ import annotations

import ast
import importlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

from danlu.errors import DataError
from danlu.files import read_bytes
from danlu.guidance import meant
from danlu.interop.finder import ROOTS, beside, exists, install, lacking
from danlu.messages import message


@dataclass(frozen=True)
class Missing:
    """A name of PyTorch's that danlu lacks: where it stands, and what is known of it."""

    file: str
    line: int
    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


def check(path: str | os.PathLike) -> list[Missing]:
    """The names of PyTorch that a script uses and danlu lacks, in the order of the lines.

    Raises: DataError for a file that cannot be read or is no Python.
    """
    install()
    file = os.fspath(path)
    try:
        tree = ast.parse(read_bytes(file), file)
    except SyntaxError as error:
        raise DataError("{file}:{line}: not Python: {problem}", file=file, line=error.lineno or 0, problem=error.msg) from None
    found: dict[tuple[int, str], Missing] = {}
    for line, name in _used(tree):
        absent = _first_lacking(name)
        if absent is not None:
            found.setdefault((line, absent[0]), Missing(file, line, *absent))
    return [found[key] for key in sorted(found)]


def _used(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything in a script that begins at an import of PyTorch."""
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for word, name in _imported(node):
                yield node.lineno, name
                bound[word] = name
    for word in _assigned(tree):
        bound.pop(word, None)
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner and isinstance(node.ctx, ast.Load):
            words = _dotted(node)
            if words and words[0] in bound:
                yield node.lineno, ".".join([bound[words[0]], *words[1:]])


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """(word in the script, dotted name) of one import statement, as far as it imports PyTorch."""
    if isinstance(node, ast.ImportFrom):
        if node.level == 0 and node.module and node.module.partition(".")[0] in ROOTS:
            for alias in node.names:
                name = node.module if alias.name == "*" else f"{node.module}.{alias.name}"
                yield ("*" if alias.name == "*" else alias.asname or alias.name), name
        return
    for alias in node.names:
        root = alias.name.partition(".")[0]
        if root in ROOTS:
            yield (alias.asname, alias.name) if alias.asname else (root, root)
            if alias.asname is None and alias.name != root:
                yield "", alias.name


def _assigned(tree: ast.Module) -> set[str]:
    """The words that a script gives a meaning of its own: variables, arguments, functions, classes."""
    words = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    words |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return words | {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}


def _dotted(node: ast.expr) -> list[str]:
    """`torch.nn.ReLU` as its words; nothing where it begins with a call or an index."""
    words: list[str] = []
    while isinstance(node, ast.Attribute):
        words.append(node.attr)
        node = node.value
    return [node.id, *reversed(words)] if isinstance(node, ast.Name) else []


def _first_lacking(name: str) -> tuple[str, str] | None:
    """The part of a dotted name that danlu lacks, and the sentence about it; None where all of it is there."""
    words = name.split(".")
    value: Any = importlib.import_module(words[0]) if exists(words[0]) else _ABSENT
    for place in range(1, len(words) + 1):
        whole = ".".join(words[:place])
        if value is _ABSENT:
            return whole, str(lacking(whole, meant(words[place - 1], beside(whole))))
        if place == len(words):
            return None
        word, of = words[place], value
        value = _inside(of, f"{whole}.{word}", word) if isinstance(of, ModuleType) else getattr(of, word, _ABSENT)
        if value is _ABSENT and not isinstance(of, ModuleType | type | SimpleNamespace):
            return None  # an attribute of something that only a run would show
    return None


_ABSENT = object()


def _inside(module: ModuleType, whole: str, word: str) -> Any:
    """An attribute or a submodule of a module; _ABSENT where it has neither."""
    found = getattr(module, word, _ABSENT)
    return importlib.import_module(whole) if found is _ABSENT and exists(whole) else found


def main(arguments: Sequence[str]) -> int:
    """The command `danlu check`: prints what is missing; exit code 1 if something is."""
    found = [missing for path in arguments for missing in check(path)]
    for missing in found:
        print(missing)
    if not found:
        print(message("every name of PyTorch that is used is there"))
    return 1 if found else 0
