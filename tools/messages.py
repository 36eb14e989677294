"""The catalogue of messages beside the source: what lacks Chinese, what is no longer used, what is written wrongly.

    python tools/messages.py            # prints it
    python tools/messages.py --write    # puts every template into the file of its area, Chinese empty where there is none yet

A template is the first argument of an exception of danlu, of `message`, `Phrase` or `warn`; it is written as one literal, so that this
script and the reader find it.
"""

from __future__ import annotations

import ast
import json
import string
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "danlu"
CATALOGUE = PACKAGE / "messages" / "zh"
MAKERS = {"message", "Phrase", "warn"}
BILINGUAL = {"say"}  # danlu/teaching/words.py: tools that take lang= have both languages of a text side by side
PLUMBING = ("errors.py", "messages/__init__.py")  # pass templates on
INTERNAL = {"_Exit", "MalformedKernel", "Stale", "StopIteration"}  # never seen by a user


@dataclass(frozen=True)
class Use:
    """One template where it stands: file and line, and the names of the values that are given for its holes (None: unknown)."""

    template: str
    place: str
    given: frozenset[str] | None


@dataclass(frozen=True)
class Fault:
    """A message that does not go through the catalogue."""

    place: str
    why: str


def trees() -> dict[Path, ast.Module]:
    """Every file of the package, parsed."""
    return {path: ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def families(files: dict[Path, ast.Module]) -> set[str]:
    """The names of DanluError and of all classes that derive from it."""
    bases = {
        node.name: {name_of(base) for base in node.bases}
        for tree in files.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    known = {"DanluError"}
    while more := {name for name, own in bases.items() if own & known} - known:
        known |= more
    return known


def name_of(node: ast.expr) -> str:
    """`ShapeError` and `errors.ShapeError` → ShapeError."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def holes(template: str) -> frozenset[str]:
    """The names of the holes: "{left} and {right!r}" → left, right."""
    fields = (field for _, field, _, _ in string.Formatter().parse(template) if field is not None)
    return frozenset(field.partition(".")[0].partition("[")[0] for field in fields)


class Collector:
    """Walks the package once; afterwards `uses` and `faults` are complete."""

    def __init__(self) -> None:
        self.files = trees()
        self.errors = families(self.files)
        self.phrases = {
            node.name
            for tree in self.files.values()
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and node.returns is not None and "Phrase" in ast.unparse(node.returns)
        }
        self.uses: list[Use] = []
        self.faults: list[Fault] = []
        for path, tree in self.files.items():
            relative = path.relative_to(PACKAGE).as_posix()
            for node in ast.walk(tree):
                self._visit(node, relative)
        self.faults = [fault for fault in self.faults if not fault.place.startswith(PLUMBING)]

    def _visit(self, node: ast.AST, file: str) -> None:
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "warnings.warn":
            self.faults.append(Fault(f"{file}:{node.lineno}", "warnings.warn; write warn(template, category, stacklevel, ...)"))
        elif isinstance(node, ast.Call) and name_of(node.func) in self.errors | MAKERS and node.args:
            self._template(node.args[0], node, f"{file}:{node.lineno}")
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            self._builtin(node.exc, f"{file}:{node.lineno}")

    def _template(self, first: ast.expr, call: ast.Call, place: str) -> None:
        if isinstance(first, ast.IfExp):
            self._template(first.body, call, place)
            self._template(first.orelse, call, place)
        elif isinstance(first, ast.Constant) and isinstance(first.value, str):
            self._use(first.value, call, place)
        elif isinstance(first, ast.Name) and first.id.isupper():
            pass  # a constant: itself a Phrase
        elif not (isinstance(first, ast.Call) and name_of(first.func) in self.phrases | MAKERS | BILINGUAL):
            self.faults.append(
                Fault(place, f"the template is {ast.unparse(first)[:60]}; write a literal with holes, or a Phrase")
            )

    def _use(self, template: str, call: ast.Call, place: str) -> None:
        given = None if any(k.arg is None for k in call.keywords) else frozenset(k.arg for k in call.keywords if k.arg)
        self.uses.append(Use(template, place, given))
        if given and given != holes(template):
            self.faults.append(Fault(place, f"holes {sorted(holes(template))}, values {sorted(given)}"))
        for keyword in call.keywords:
            for words in _english(keyword.value):
                self.faults.append(Fault(place, f"{keyword.arg}={words!r} is English; write Phrase({words!r})"))

    def _builtin(self, call: ast.Call, place: str) -> None:
        name = name_of(call.func)
        if name[:1].isupper() and name not in self.errors | INTERNAL and call.args:
            first = call.args[0]
            if not (isinstance(first, ast.Call) and name_of(first.func) in self.phrases | MAKERS | {"str"}):
                self.faults.append(Fault(place, f"{name} with a text of its own; write {name}(message(template, ...))"))


def _english(value: ast.expr) -> Iterator[str]:
    """Texts of several words among the values: they stay English in a Chinese message."""
    if isinstance(value, ast.IfExp):
        yield from _english(value.body)
        yield from _english(value.orelse)
    elif isinstance(value, ast.Constant) and isinstance(value.value, str) and " " in value.value.strip(" ,;:."):
        yield value.value


def catalogue() -> dict[Path, dict[str, str]]:
    """File → its pairs."""
    return {path: json.loads(path.read_text("utf-8")) for path in sorted(CATALOGUE.glob("*.json"))}


def area(place: str) -> str:
    """`tensor/core.py:12` → tensor, `engine.py:3` → engine: the file of the catalogue that a template belongs to."""
    return place.partition(":")[0].partition("/")[0].removesuffix(".py")


def write(uses: list[Use]) -> None:
    """The catalogue anew: templates in the order of the source, Chinese kept where it is known."""
    known = {english: chinese for pairs in catalogue().values() for english, chinese in pairs.items()}
    files: dict[str, dict[str, str]] = {}
    seen: set[str] = set()
    for use in sorted(uses, key=lambda use: (use.place.partition(":")[0], int(use.place.partition(":")[2]))):
        if use.template not in seen and use.template:
            seen.add(use.template)
            files.setdefault(area(use.place), {})[use.template] = known.get(use.template, "")
    CATALOGUE.mkdir(exist_ok=True)
    for path in CATALOGUE.glob("*.json"):
        path.unlink()
    for name, pairs in files.items():
        (CATALOGUE / f"{name}.json").write_text(json.dumps(pairs, ensure_ascii=False, indent=1) + "\n", "utf-8")


def main() -> int:
    """Prints what is wrong; the exit status is 1 if anything is."""
    found = Collector()
    if "--write" in sys.argv[1:]:
        write(found.uses)
    known = {english: chinese for pairs in catalogue().values() for english, chinese in pairs.items()}
    for fault in found.faults:
        print(f"danlu/{fault.place}: {fault.why}")
    lacking = {use.template: use.place for use in found.uses if use.template and not known.get(use.template)}
    for template, place in lacking.items():
        print(f"danlu/{place}: no Chinese for {template!r}")
    unused = known.keys() - {use.template for use in found.uses}
    for template in sorted(unused):
        print(f"not used: {template!r}")
    print(
        f"{len(known)} entries, {len(found.uses)} uses, {len(lacking)} lack Chinese, {len(unused)} unused, {len(found.faults)} faults"
    )
    return 1 if lacking or unused or found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
