"""Docstrings are contracts: each file says its level, each public name has an example, and every example runs."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import tempfile
import types
from pathlib import Path

import pytest
import size
from ladder import API, PACKAGE, TESTING, group, place

FILES = size.modules(PACKAGE)
WRITTEN = {name: path for name, path in FILES.items() if path.read_text("utf-8").strip()}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def first_line(path: Path) -> str:
    """The first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]


@pytest.mark.parametrize("name", WRITTEN)
def test_a_module_says_what_it_is_and_where_it_stands(name):
    line = first_line(WRITTEN[name])
    entry = place(WRITTEN[name])
    found = group(entry)
    if entry in (API, TESTING) or found is None:
        assert len(line) > 20, f"{name} needs a docstring that says what it is"
    else:
        assert line.startswith(f"L{found[0]}. ") and len(line) > 20, (
            f"the docstring of {name} begins {line[:40]!r}; begin it with its level on the ladder, then what the file is: "
            f'"""L{found[0]}. ..."""'
        )


def public_names() -> dict[str, object]:
    """Qualified name → object for all of `danlu.__all__`, and for `__all__` of the modules that it lists."""
    found: dict[str, object] = {}
    waiting = [importlib.import_module("danlu")]
    while waiting:
        module = waiting.pop()
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if isinstance(value, types.ModuleType):
                waiting.append(value)
            else:
                found[f"{module.__name__}.{name}"] = value
    return found


PUBLIC = {name: value for name, value in public_names().items() if inspect.isclass(value) or inspect.isroutine(value)}


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_a_docstring_with_an_example(name):
    text = inspect.getdoc(PUBLIC[name]) or ""
    assert text, f"{name} has no docstring"
    assert ">>> " in text, f"the docstring of {name} has no example; add a short one that runs: >>> ..."


PROGRAMS = ("__main__", "interop.child")  # importing them does something: the second takes PyTorch's place


@pytest.mark.parametrize("name", [n for n in FILES if not n.endswith(PROGRAMS)])
def test_examples_run(name, tmp_path, monkeypatch):
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)
