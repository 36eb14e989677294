"""docs/api: one page for every public name, made of its docstring, its signature, the record of its op and the errors in its code.

    python tools/api_pages.py            # says whether the pages agree with the code, and what a name lacks
    python tools/api_pages.py --write    # writes them

Pages hold no line numbers and no values that depend on the machine, so that they change only where the code or a docstring does.
"""

from __future__ import annotations

import inspect
import re
import sys
import types
from functools import cache
from pathlib import Path
from typing import Any

import api_surface as surface
from api_surface import ROOT, Entry

import danlu
from danlu.graph import ELEMENTWISE

API = ROOT / "docs" / "api"
NOTHING = "Nothing of its own; what the operations refuse that it is made of, they refuse here too."
HOLES = "Messages, `{holes}` filled with what came:"
DTYPES = {
    "bool": "The result is bool.",
    "float": "Integers and bools become float32; floating dtypes stay.",
    "same": "The dtype is that to which the operands are promoted together.",
}
INDEX = """\
# The API

{pages} pages for {names} public names. Each says what the name computes (formula), on which shapes, what it refuses, and shows an example;
the examples run as tests. The pages are made by `python tools/api_pages.py --write` from the docstrings and the records of the ops; a test
compares them.

In shapes `(*)` is any number of axes, `n`, `m`, `N`, `C` … are sizes; `[condition]` in a formula is 1 where it holds and 0 where not.
"""


# ---- names and places ----------------------------------------------------------------------------------------------------------


def folder(entry: Entry) -> str:
    """danlu.nn.functional.pad → nn.functional; danlu.pad → danlu."""
    return entry.module.removeprefix("danlu.")


@cache
def places() -> dict[str, str]:
    """First name of a page → its file below docs/api, one that no file system confuses with another."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for entry in sorted(surface.entries(), key=lambda e: inspect.isclass(e.value)):
        stem = f"{folder(entry)}/{entry.name}"
        if stem.casefold() in taken:
            stem += "-class" if inspect.isclass(entry.value) else "-value"
        taken.add(stem.casefold())
        found[entry.names[0]] = f"{stem}.md"
    return found


def source_file(entry: Entry) -> str:
    """The file in which the code of a name stands."""
    value = entry.function
    if entry.method:
        name = entry.method
        owner = next(c for c in danlu.Tensor.__mro__ if name in c.__dict__)
        return _file(owner)
    if isinstance(value, types.FunctionType) or inspect.isclass(value):
        return _file(value)
    return _file(danlu.Tensor) if entry.module.endswith("Tensor") else "danlu/version.py"


def _file(value: Any) -> str:
    return Path(sys.modules[value.__module__].__file__ or "").resolve().relative_to(ROOT).as_posix()


# ---- signatures ---------------------------------------------------------------------------------------------------------------


def _annotation(given: Any) -> str:
    text = given if isinstance(given, str) else getattr(given, "__forward_arg__", getattr(given, "__name__", str(given)))
    return text.replace("TensorCore", "Tensor").replace("typing.", "").replace("np.ndarray", "numpy.ndarray")


def _parameter(p: inspect.Parameter) -> str:
    star = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
    text = star + ("input: Tensor" if p.name == "self" and p.annotation is p.empty else "input" if p.name == "self" else p.name)
    if p.annotation is not p.empty:
        text += f": {_annotation(p.annotation)}"
    if p.default is not p.empty:
        default = repr(p.default) if " at 0x" not in repr(p.default) else getattr(p.default, "__name__", "…")
        text += f" = {default}" if p.annotation is not p.empty else f"={default}"
    return text


def arguments(function: Any, bound: bool = False) -> str:
    """The parameters with their types, as they are written in a call."""
    found, star, slash = [], False, False
    parameters = list(inspect.signature(function).parameters.values())
    for p in parameters[1:] if bound and parameters and parameters[0].name == "self" else parameters:
        if slash and p.kind is not p.POSITIONAL_ONLY:
            found.append("/")
        slash = p.kind is p.POSITIONAL_ONLY
        star = star or p.kind is p.VAR_POSITIONAL
        if p.kind is p.KEYWORD_ONLY and not star:
            found.append("*")
            star = True
        found.append(_parameter(p))
    return ", ".join(found + (["/"] if slash else []))


def signature(entry: Entry) -> str:
    """The call, with types."""
    if isinstance(inspect.getattr_static(danlu.Tensor, entry.name, None), property) and entry.module.endswith("Tensor"):
        return f"x.{entry.name}"
    if inspect.isclass(entry.value):
        return _class_signature(entry)
    if not isinstance(entry.function, types.FunctionType):
        return f"x.{entry.name}" if entry.module.endswith("Tensor") else entry.names[0]
    bound = entry.module.endswith("Tensor")
    owner = "x" if bound else entry.module
    given = inspect.signature(entry.function).return_annotation
    result = "" if given is inspect.Signature.empty else f" -> {_annotation(given)}"
    return f"{owner}.{entry.name}({arguments(entry.function, bound)}){result}"


def _class_signature(entry: Entry) -> str:
    try:
        return f"{entry.names[0]}({arguments(entry.value)})"
    except ValueError:  # a class of C without a signature
        return f"{entry.names[0]}(…)"


# ---- one page -----------------------------------------------------------------------------------------------------------------


def prose(text: str) -> str:
    """Text of a docstring as Markdown: what is no code is protected, what is indented stays a block."""
    if re.search(r"\n(    |- |\|)", text):
        return f"```text\n{text}\n```"
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(p if p.startswith("`") else re.sub(r"([*<\[\]_|~])", r"\\\1", p) for p in parts)


def block(lines: list[str], kind: str = "text") -> str:
    """A fenced block."""
    return f"```{kind}\n" + "\n".join(lines) + "\n```"


def forms(entry: Entry) -> str:
    """The other ways to write the same."""
    said = []
    own = [m for m in dict.fromkeys(entry.methods) if not surface.is_in_place(m)]
    if entry.module == "danlu" and own:
        said.append("Also a method: " + ", ".join(f"`x.{m}`" for m in own) + ".")
    changed = [m for m in dict.fromkeys(entry.methods) if surface.is_in_place(m)]
    if changed:
        said.append(
            "In place: " + ", ".join(f"`x.{m}`" for m in changed) + " writes the result into x, in x's dtype, and gives x."
        )
    if len(entry.names) > 1:
        said.append("Also public as " + ", ".join(f"`{n}`" for n in entry.names[1:]) + ".")
    if entry.method:
        said.append("`out=` takes a tensor that the result is written into.")
    return " ".join(said)


def result_dtype(entry: Entry) -> str:
    """The dtype rule of a function that applies one elementwise op."""
    found = surface.op_of(entry.function) if isinstance(entry.function, types.FunctionType) else None
    if found is None or found[0].family != ELEMENTWISE or not isinstance(found[0].folds, str):
        return ""
    return DTYPES.get(found[0].folds, "")


def raises(entry: Entry, typed: list[str]) -> str:
    """What is refused: in words where the docstring has them, then the messages in the code."""
    messages = surface.raised_by(entry)
    said = [f"- {_error(item)}" for item in typed]
    if messages:
        said += ["", HOLES, "", block([f"{m.kind}: {m.template}" for m in messages])]
    return "\n".join(said).strip() or NOTHING


def _error(item: str) -> str:
    return re.sub(r"^((?:\w+Error(?:, )?)+)", r"`\1`", prose(item))


def methods(kind: type) -> list[str]:
    """The public methods of a class that stand in itself or in a private base of it."""
    found: dict[str, Any] = {}
    for c in kind.__mro__:
        if c is kind or (c.__name__.startswith("_") and c.__module__.startswith("danlu")):
            found = {**{n: v for n, v in vars(c).items() if not n.startswith("_")}, **found}
    lines = []
    for name, value in sorted(found.items()):
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        text = surface.parsed(surface.documentation(value)).summary if isinstance(function, types.FunctionType) else ""
        call = name if isinstance(value, property) else f"{name}({arguments(function, True)})" if text else ""
        lines += [f"- `{call}`: {prose(text)}"] if text else []
    return lines


def tensor_methods() -> list[str]:
    """Every method of the Tensor with the page on which it is."""
    lines = []
    for entry in surface.entries():
        own = entry.methods if entry.module == "danlu" else [entry.name] if entry.module.endswith("Tensor") else []
        link = f"../{places()[entry.names[0]]}"
        lines += [f"- [`{name}`]({link}) {prose(entry.doc.summary)}" for name in own if not surface.is_in_place(name)]
    return sorted(lines, key=str.casefold)


def members(entry: Entry) -> list[str]:
    """The methods of a class; for a class whose values are public, those values."""
    if entry.value is danlu.Tensor:
        return ["## Methods", "", *tensor_methods()]
    if not inspect.isclass(entry.value):
        return []
    parts = methods(entry.value)
    values = [n for n in entry.names if isinstance(_named(n), entry.value)]
    shown = [f"- `{n}`: {prose(repr(_named(n)))}" for n in values if " at 0x" not in repr(_named(n))]
    return [*(["## Values", "", *shown, ""] if shown else []), *(["## Methods", "", *parts] if parts else [])]


def _named(name: str) -> Any:
    module, _, last = name.rpartition(".")
    return getattr(sys.modules.get(module), last, None)


def page(entry: Entry) -> str:
    """The text of one page."""
    doc, parts = entry.doc, surface.sections(entry)
    summary = doc.summary if doc.summary not in parts["formula"] else ""
    above = "../" * (places()[entry.names[0]].count("/") + 2)
    lines = [
        f"# {prose(entry.names[0])}",
        "",
        *([prose(summary), ""] if summary else []),
        block([signature(entry)], "python"),
        "",
    ]
    lines += [f"{forms(entry)}\n"] if forms(entry) else []
    lines += ["## Formula", "", block(parts["formula"]), ""] if parts["formula"] else []
    lines += [f"{prose(p)}\n" for p in doc.prose]
    lines += ["## Shapes", "", block(parts["shapes"]) if parts["shapes"] else "No tensors.", ""]
    lines += [f"{result_dtype(entry)}\n"] if result_dtype(entry) else []
    lines += ["## Raises", "", raises(entry, parts["raises"]), ""]
    lines += ["## Example", "", block([doc.example], "pycon"), ""] if doc.example else []
    lines += [*members(entry), ""] if members(entry) else []
    lines += ["## Source", "", *[f"{prose(s)}\n" for s in doc.source], f"[{source_file(entry)}]({above}{source_file(entry)})"]
    return "\n".join(lines) + "\n"


# ---- the index, and the array API --------------------------------------------------------------------------------------------


def array_api() -> str:
    """The one page of danlu.array_api: the standard says what its names mean."""
    module = __import__("danlu.array_api", fromlist=["array_api"])
    doc = surface.parsed(re.sub(r"^L\d\. ", "", inspect.getdoc(module) or ""))
    lines = [
        f"# {prose(surface.WHOLE)}",
        "",
        prose(doc.summary),
        "",
        *[f"{prose(p)}\n" for p in doc.prose],
        block([doc.example], "pycon"),
        "",
    ]
    lines += ["What the names mean stands in the [standard](https://data-apis.org/array-api/2024.12/).", ""]
    for name in module.__all__:
        value = getattr(module, name)
        plain = isinstance(value, (types.FunctionType, type))
        text = surface.parsed(surface.documentation(value)).summary if plain else ""
        call = f"{name}({arguments(value)})" if isinstance(value, types.FunctionType) else name
        lines.append(f"- `{call}`" + (f": {prose(text)}" if text else ""))
    return "\n".join(lines) + "\n"


def index() -> str:
    """docs/api/README.md: every name by its namespace, with one line."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for entry in surface.entries():
        for name in entry.names:
            module, _, last = name.rpartition(".")
            rest = prose(entry.doc.summary) if name == entry.names[0] else f"see `{entry.name}`"
            groups.setdefault(module, []).append((last, f"- [`{last}`]({places()[entry.names[0]]}) {rest}"))
    named = sum(map(len, groups.values())) + sum(len(set(e.methods)) for e in surface.entries())
    lines = [INDEX.format(pages=len(surface.entries()) + 1, names=named)]
    for module in sorted(groups):
        lines += [f"## {prose(module)}", "", *[line for _, line in sorted(groups[module], key=lambda x: x[0].casefold())], ""]
    return "\n".join([*lines, f"## {prose(surface.WHOLE)}", "", "[One page](array_api.md) for the whole namespace.", ""])


def pages() -> dict[str, str]:
    """File below docs/api → its text."""
    found = {places()[entry.names[0]]: page(entry) for entry in surface.entries()}
    return {**found, "array_api.md": array_api(), "README.md": index()}


# ---- what a name lacks --------------------------------------------------------------------------------------------------------


def lacking(entry: Entry) -> list[str]:
    """What the docstring of a name does not say."""
    parts, name = surface.sections(entry), entry.names[0]
    missing = [] if entry.doc.summary else ["summary"]
    missing += [] if parts["formula"] or surface.has_no_formula(name) else ["formula"]
    missing += [] if parts["shapes"] or surface.has_no_tensors(name) else ["shapes"]
    return missing + ([] if entry.doc.example else ["example"])


def stale() -> list[str]:
    """The files below docs/api that are not what the code says, or that belong to no name."""
    wanted = pages()
    there = {path.relative_to(API).as_posix(): path.read_text("utf-8") for path in API.rglob("*.md")}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def write() -> None:
    """Writes every page, and takes away those of names that are gone."""
    wanted = pages()
    for path in API.rglob("*.md"):
        if path.relative_to(API).as_posix() not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (API / name).parent.mkdir(parents=True, exist_ok=True)
        (API / name).write_text(text, "utf-8")


def main() -> int:
    """Writes the pages, or says what is not as it should be."""
    if "--write" in sys.argv[1:]:
        write()
    old = stale()
    wanting = {e.names[0]: lacking(e) for e in surface.entries() if lacking(e)}
    for name, missing in wanting.items():
        print(f"{name} lacks {', '.join(missing)}")
    print(f"{len(surface.entries()) + 1} pages, {len(wanting)} names lack something, {len(old)} files are old")
    if old:
        print("python tools/api_pages.py --write")
    return 1 if old or wanting else 0


if __name__ == "__main__":
    sys.exit(main())
