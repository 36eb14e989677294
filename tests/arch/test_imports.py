"""Imports point down one ladder, and the compiler knows no op by name (docs: CONTRIBUTING.md, "House rules")."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest
import size
from ladder import ALSO, API, FREE, LAZY, OWNERS, PACKAGE, ROOT, TESTING, group, place, within

FILES = size.modules(PACKAGE)
GRAPH = size.import_graph(PACKAGE)


def ours(found: size.Import) -> bool:
    """True for an import of danlu itself."""
    return found.name.split(".")[0] == "danlu"


def everywhere() -> list[tuple[Path, size.Import]]:
    """Every import statement of the package with its file."""
    return [(path, found) for name, path in FILES.items() for found in size.imports(path, name)]


def where(path: Path, line: int) -> str:
    """`danlu/graph.py:12`"""
    return f"{path.relative_to(ROOT).as_posix()}:{line}"


# ---- the ladder ---------------------------------------------------------------------------------------------------------


def refusal(importer: str, imported: str) -> str | None:
    """Why one entry of the ladder may not import another; None if it may."""
    if TESTING in (importer, imported):
        return None if importer == TESTING else "nothing in danlu imports testing/"
    if API in (importer, imported):
        entry = imported if importer == API else importer
        found = group(entry)
        below = found is not None and found[0] < 9
        return None if below == (importer == API) else "the API page imports what stands below L9, and only L9 imports it"
    (level, mine), (other_level, theirs) = group(importer) or (0, ()), group(imported) or (99, ())
    if other_level < level or mine == theirs or (importer, imported) in ALSO:
        return None
    blind = "; groups of one level are blind to each other" if level == other_level else ""
    return f"{importer} is L{level}, {imported} is L{other_level}{blind}"


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("tensor.py", "ops/", True),
        ("ops/", "tensor.py", False),
        ("nn/", "optim/", False),
        ("compile/", "autodiff.py", False),
        ("creation.py", "tensor.py", True),
        ("engine.py", "runtime/", True),
        ("runtime/", "engine.py", False),
        ("cli.py", API, True),
        ("train/", API, False),
        (API, "train/", True),
        (API, "cli.py", False),
        (TESTING, "tensor.py", True),
        ("nn/", TESTING, False),
    ],
)
def test_the_rule_itself(importer, imported, allowed):
    assert (refusal(importer, imported) is None) == allowed


def test_every_file_has_a_place():
    unknown = sorted({place(path) for path in FILES.values()} - {API, TESTING})
    unknown = [entry for entry in unknown if group(entry) is None]
    assert not unknown, (
        f"danlu/ has {', '.join(unknown)}, which the ladder does not know. Decide on which level it stands and add it "
        f"to LADDER in tests/arch/ladder.py, for example 6: ((..., {unknown[0]!r}),)"
    )


def test_imports_point_down():
    wrong = []
    for path, found in everywhere():
        target = size.resolve(found.name, FILES)
        if target is None:
            continue
        importer, imported = place(path), place(FILES[target])
        if importer != imported and (reason := refusal(importer, imported)):
            wrong.append(f"{where(path, found.line)} imports {found.name}: {reason}")
    assert not wrong, "\n".join(wrong)


def test_every_import_of_our_own_exists():
    lost = [(p, f) for p, f in everywhere() if ours(f) and f.name != "danlu" and size.resolve(f.name, FILES) is None]
    assert not lost, "\n".join(f"{where(p, f.line)} imports {f.name}, and there is no such module" for p, f in lost)


def test_no_cycle():
    tangled = size.cyclic(GRAPH)
    edges = [f"{a} → {b}" for a in sorted(tangled) for b in sorted(GRAPH[a] & tangled)]
    assert not edges, "import cycle:\n" + "\n".join(edges)


def test_cycles_are_found():
    assert size.cyclic({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == {"b", "c"}
    assert size.cyclic({"a": {"b"}, "b": {"c"}, "c": set()}) == set()


def test_no_import_of_our_own_inside_a_function():
    hidden = [where(p, f.line) for p, f in everywhere() if f.in_function and ours(f)]
    assert not hidden, f"move these imports to the top of their files, or the code to another level: {', '.join(hidden)}"


# ---- others' libraries --------------------------------------------------------------------------------------------------


def test_libraries_stay_with_their_owner():
    wrong = []
    for path, found in everywhere():
        library = found.name.split(".")[0]
        if library in FREE or within(path, OWNERS.get(library, ())):
            continue
        owner = " or ".join(f"danlu/{o}" for o in OWNERS[library]) if library in OWNERS else "nothing (see docs/decisions/0003)"
        wrong.append(f"{where(path, found.line)} imports {library}, which belongs to {owner}")
    assert not wrong, "\n".join(wrong)


def test_optional_libraries_are_imported_when_used():
    early = [f"{where(p, f.line)}: {f.name}" for p, f in everywhere() if f.name.split(".")[0] in LAZY and not f.in_function]
    assert not early, "import these inside the function that needs them:\n" + "\n".join(early)


def test_only_config_reads_the_environment():
    words = {"environ", "environb", "getenv", "getenvb", "putenv"}
    readers = []
    for path in FILES.values():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = node.attr if isinstance(node, ast.Attribute) else node.name if isinstance(node, ast.alias) else ""
            if name in words and place(path) != "config.py":
                readers.append(where(path, node.lineno))
    assert not readers, f"only danlu/config.py reads the environment; add a setting there: {', '.join(readers)}"


# ---- no op name in the compiler -------------------------------------------------------------------------------------------

# The emitter is the language that rules speak: its words are LLVM's instructions, many of them named like an op.
LANGUAGE = "compile/emit.py"
# (file, word) → why this word is not the op of that name there.
EXCEPTIONS: dict[tuple[str, str], str] = {}


def op_names() -> set[str]:
    """The names of all ops, families taken out: `gather` is a shape of work as well as an op."""
    importlib.import_module("danlu.ops")
    table = importlib.import_module("danlu.ops.table").TABLE
    graph = importlib.import_module("danlu.graph")
    families = {value for name, value in vars(graph).items() if name.isupper() and isinstance(value, str)}
    return set(table) - families


def innocent_attributes() -> set[str]:
    """Attribute names that are no sign of an op: fields of the graph's classes and methods of Python's own types."""
    graph = importlib.import_module("danlu.graph")
    fields = {name for cls in (graph.Op, graph.Node, graph.Spec) for name in (*cls.__slots__, *vars(cls))}
    return fields.union(*map(dir, (set, dict, list, tuple, str, bytes, int, float)))


def spoken_by(node: ast.Attribute) -> str:
    """The last word before the attribute: `b` in `b.add`, `self.b.add`."""
    owner = node.value
    return owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""


def op_words(tree: ast.AST, names: set[str], innocent: set[str]) -> list[tuple[str, int]]:
    """Where a file speaks of an op by name: a string that is the name, or an attribute of that name which is neither an
    instruction of the emitter `b`, nor a function of NumPy or math, nor a setting, nor innocent."""
    docs = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names and id(node) not in docs:
            found.append((node.value, node.lineno))
        if isinstance(node, ast.Attribute) and node.attr in names:
            speaker = spoken_by(node)
            if speaker == "o" or (speaker not in ("b", "np", "math", "config") and node.attr not in innocent):
                found.append((node.attr, node.lineno))
    return found


def test_op_words_are_found():
    lines = ["def f(o, b, x):", '"exp"', "o.add(x)", "seen.add(x)", "b.exp(x)", "table.exp(x)", 'return x.op.name == "exp"']
    source = "\n    ".join(lines)
    found = op_words(ast.parse(source), {"add", "exp"}, innocent_attributes())
    assert sorted(found) == [("add", 3), ("exp", 6), ("exp", 7)]


def test_the_compiler_knows_no_op_by_name():
    names, innocent = op_names(), innocent_attributes()
    if not names:
        pytest.skip("the op table is empty")
    wrong = []
    for path in (p for p in FILES.values() if place(p) in ("compile/", "engine.py")):
        relative = path.relative_to(PACKAGE).as_posix()
        for word, line in op_words(ast.parse(path.read_text("utf-8")), names, innocent):
            if relative != LANGUAGE and (relative, word) not in EXCEPTIONS:
                wrong.append(
                    f"{where(path, line)} names the op {word!r}; give its record a field that says what is special about it"
                )
    assert not wrong, "\n".join(wrong)
