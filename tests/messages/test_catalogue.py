"""Every message of the package stands in both languages, and every entry of the catalogue is a message of the package."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter

import messages as tool
import pytest

FOUND = tool.Collector()
PAIRS = {path.stem: pairs for path, pairs in tool.catalogue().items()}
KNOWN = {english: chinese for pairs in PAIRS.values() for english, chinese in pairs.items()}
BARE = re.compile(r"^[\W\d]*$")  # a template of holes and marks alone has nothing to translate


def test_the_search_finds_the_messages():
    assert len({use.template for use in FOUND.uses}) > 600
    assert {"ShapeError", "StateError", "LinAlgError", "CompileError"} <= FOUND.errors


def test_every_template_has_chinese():
    lacking = {f"danlu/{use.place}: {use.template!r}" for use in FOUND.uses if use.template and not KNOWN.get(use.template)}
    assert not lacking, "python tools/messages.py --write, then translate:\n" + "\n".join(sorted(lacking))


def test_every_entry_is_used():
    unused = KNOWN.keys() - {use.template for use in FOUND.uses}
    assert not unused, "python tools/messages.py --write drops them:\n" + "\n".join(sorted(unused))


def test_no_entry_stands_twice():
    def once(pairs: list[tuple[str, str]]) -> list[str]:
        return [key for key, _ in pairs]

    keys = [key for path in tool.CATALOGUE.glob("*.json") for key in json.loads(path.read_text("utf-8"), object_pairs_hook=once)]
    assert [key for key, count in Counter(keys).items() if count > 1] == []


def test_both_languages_have_the_same_holes():
    given = {use.template for use in FOUND.uses if use.given != frozenset()}
    differ = {english for english in given & KNOWN.keys() if tool.holes(english) != tool.holes(KNOWN[english])}
    assert not differ, "\n".join(sorted(differ))


def test_chinese_is_chinese():
    other = [c for c in KNOWN.values() if not re.search("[\u4e00-\u9fff]", c) and not BARE.match(re.sub(r"{[^}]*}", "", c))]
    assert not other


def test_code_and_numbers_are_the_same_in_both():
    """What is to be written stands unchanged in the Chinese: calls, options, names in quotation marks."""
    code = re.compile(r"\b\w+(?:\.\w+)*\((?:[^()]*)\)|'[\w-]+'|`[^`]+`|--\w+")
    wrong = [(e, part) for e, c in KNOWN.items() for part in code.findall(e) if part not in c and part not in LOOSE]
    assert not wrong, "\n".join(map(str, wrong))


LOOSE = {"'not'"}  # words in quotation marks that are no code


def test_every_message_goes_through_the_catalogue():
    """No f-string as a template, no builtin exception with a text of its own, no English among the values, no hole without value."""
    assert not FOUND.faults, "\n".join(f"danlu/{fault.place}: {fault.why}" for fault in FOUND.faults)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ('raise ShapeError(f"got {x}")', "the template is f'got {x}'; write a literal"),
        ('raise ShapeError("got " + x)', r"the template is 'got ' \+ x; write a literal"),
        ("raise ShapeError(describe(x))", r"the template is describe\(x\)"),
        ('raise ShapeError("got {x}", y=1)', r"holes \['x'\], values \['y'\]"),
        ('raise ShapeError("got {x}", x="a word")', r"x='a word' is English; write Phrase\('a word'\)"),
        ('raise ShapeError("got {x}", x="a word" if y else z)', "is English"),
        ('raise ValueError("no")', r"ValueError with a text of its own; write ValueError\(message\("),
        ('warnings.warn("no", UserWarning)', "write warn"),
        ('raise ShapeError("got {x}", x=x)', None),
        ('raise ShapeError("{x}" if y else "no {x}", x=x)', None),
        ("raise ShapeError(index_message(1, 2))", None),
        ('raise ValueError(message("got {x}", x=x))', None),
        ("raise StopIteration", None),
    ],
)
def test_the_search_refuses(monkeypatch, code, why):
    monkeypatch.setattr(FOUND, "faults", [])
    monkeypatch.setattr(FOUND, "uses", [])
    for node in ast.walk(ast.parse(code)):
        FOUND._visit(node, "x.py")
    assert len(FOUND.faults) == (why is not None)
    assert why is None or re.search(why, FOUND.faults[0].why)
