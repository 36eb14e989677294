"""docs/api: every public name has a page that says what its docstring and its code say, and every example and every form runs."""

from __future__ import annotations

import ast
import doctest
import re

import api_errors
import api_pages
import api_surface as surface
import pytest

import danlu

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
ENTRIES = surface.entries()


def identity(entry: surface.Entry) -> str:
    return entry.names[0].removeprefix("danlu.")


def test_the_pages_agree_with_the_docstrings():
    old = api_pages.stale()
    assert not old, f"{len(old)} files of docs/api are old, {old[0]} for example; write them: python tools/api_pages.py --write"


def test_every_public_name_says_everything():
    missing = {entry.names[0]: api_pages.lacking(entry) for entry in ENTRIES}
    assert {name: parts for name, parts in missing.items() if parts} == {}, "see `python tools/api_pages.py`"


def test_every_public_name_has_a_page():
    paged = {name for entry in ENTRIES for name in entry.names}
    public = {f"{m}.{n}" for m, module in surface.modules().items() for n in surface.public_names(module)}
    methods = {name for entry in ENTRIES for name in entry.methods} | {n.rpartition(".")[2] for n in paged if ".Tensor." in n}
    assert public <= paged
    assert {n for n in dir(danlu.Tensor) if not n.startswith("_")} <= methods
    assert len({place.casefold() for place in api_pages.places().values()}) == len(ENTRIES)


def test_exceptions_to_the_rules_are_needed():
    """A pattern that matches no name, or a name that has the part all the same, is out of date."""
    names = {name for entry in ENTRIES for name in entry.names}
    for pattern in (*surface.NO_FORMULA, *surface.NO_TENSORS):
        assert any(re.fullmatch(pattern, name) for name in names), pattern
    assert set(surface.PLAIN) <= names


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e.doc.example], ids=identity)
def test_an_example_runs_as_it_stands_on_its_page(entry, tmp_path, monkeypatch):
    """Alone, without the names of the module in which it is written."""
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(entry.doc.example, {}, entry.names[0], None, None)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(test, out=report.append)
    assert runner.tries and not runner.failures, "".join(report)


def called(entry: surface.Entry) -> ast.Call:
    """The call of `danlu.name` in the example of a page."""
    lines = re.findall(r"^(?:>>>|\.\.\.) (.*)$", entry.doc.example, re.MULTILINE)
    calls = [n for n in ast.walk(ast.parse("\n".join(lines))) if isinstance(n, ast.Call)]
    name = f"danlu.{entry.name}"
    return next(
        c
        for c in calls
        if ast.unparse(c.func) in (name, f"danlu.{entry.method}") or ast.unparse(c.func).endswith(f".{entry.name}")
    )


IN_PLACE = [(e, m) for e in ENTRIES for m in dict.fromkeys(e.methods) if surface.is_in_place(m)]
RESHAPING = {"t_", "transpose_", "swapaxes_", "swapdims_", "squeeze_", "unsqueeze_"}


@pytest.mark.parametrize(("entry", "form"), IN_PLACE, ids=lambda x: x if isinstance(x, str) else "")
def test_the_form_in_place_writes_what_the_function_gives(entry, form):
    """On the arguments of the example."""
    call = called(entry)
    scope = {"danlu": danlu}
    given_arguments = [eval(ast.unparse(a), scope) for a in call.args]
    first = next(a for a in given_arguments if isinstance(a, danlu.Tensor))
    rest = [a for a in given_arguments if a is not first]
    wanted = getattr(first, form[:-1])(*rest)
    x = first.to(wanted.dtype) if wanted.is_floating_point() else first
    x = x.clone()
    given = getattr(x, form)(*rest)
    assert given is x
    assert x.shape == wanted.shape if form in RESHAPING else x.shape == first.shape
    assert danlu.allclose(x.to(wanted.dtype) if wanted.dtype is not danlu.bool else x.bool(), wanted, equal_nan=True)


# ---- the reader of errors --------------------------------------------------------------------------------------------------------


def kinds(function) -> list[str]:
    return [found.kind for found in api_errors.errors_of(function)]


def test_errors_are_found_in_the_function_its_helpers_and_its_op():
    texts = {found.template for found in api_errors.errors_of(danlu.Tensor.roll)}
    assert any(text.startswith("roll: {count} shifts and no axes") for text in texts)
    assert any("Dimension out of range" in text for text in texts)  # normalize_axis
    assert any("cannot be broadcast" in found.template for found in api_errors.errors_of(danlu.Tensor.maximum))


def test_an_op_of_one_input_is_not_said_to_broadcast():
    assert kinds(danlu.Tensor.exp) == []


def test_a_branch_that_is_switched_off_raises_nothing():
    def gradient(function):
        return [f for f in api_errors.errors_of(function) if f.kind == "GradientError"]

    assert gradient(danlu.special.zeta) and not gradient(danlu.special.xlogy)


@pytest.mark.parametrize(
    ("text", "part", "said"),
    [
        ("One.\n\ny = x + 1\n\nShapes: (*) → (*).", "formula", ["y = x + 1"]),
        ("One.\n\nShapes: (*) → (*).", "shapes", ["(*) → (*)."]),
        ("Σ x over axes.", "formula", ["Σ x over axes."]),
        (
            "One.\n\nRaises:\n    ShapeError: no.\n        Never.\n    DataError: yes.",
            "raises",
            ["ShapeError: no. Never.", "DataError: yes."],
        ),
        ("One.\n\nRaises ShapeError where it is so.", "raises", ["ShapeError where it is so."]),
        ("One.\n\nExample:\n    >>> 1\n    1", "example", ">>> 1\n1"),
        ("One.\n\nSome words about it.", "prose", ["Some words about it."]),
    ],
)
def test_a_docstring_is_taken_apart(text, part, said):
    assert getattr(surface.parsed(text), part) == said
