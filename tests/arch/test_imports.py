"""Imports point down one ladder, and the compiler knows no op by name (docs: CONTRIBUTING.md, "House rules")."""

from __future__ import annotations

import ast
import functools
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


@functools.cache
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
        ("tensor/", "ops/", True),
        ("ops/", "tensor/", False),
        ("nn/", "optim/", False),
        ("compile/", "autodiff.py", False),
        ("random.py", "tensor/", True),
        ("engine.py", "runtime/", True),
        ("runtime/", "engine.py", False),
        ("cli.py", API, True),
        ("train/", API, False),
        (API, "train/", True),
        (API, "cli.py", False),
        (TESTING, "tensor/", True),
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

# (file, word) → what the word means there, where it is no op of that name.
WORDS = {
    ("compile/codegen.py", "add"): "a store that adds to what is there",
    ("compile/kernel.py", "add"): "a store that adds to what is there",
    ("compile/passes/vectorize.py", "add"): "a store that adds to what is there",
    ("compile/index.py", "remainder"): "the kind of an atom of index arithmetic",
}
# The emitter is the language that rules speak: its words are LLVM's instructions, many of them called like an op.
LANGUAGE = PACKAGE / "compile" / "emit.py"
COMPILER = [path for path in FILES.values() if place(path) in ("compile/", "engine.py", "rehearsal.py", "trace.py")]


def op_names() -> set[str]:
    """The names of all ops, families taken out: `gather` is a shape of work as well as an op."""
    importlib.import_module("danlu.ops")
    table = importlib.import_module("danlu.ops.table").TABLE
    graph = importlib.import_module("danlu.graph")
    families = {value for name, value in vars(graph).items() if name.isupper() and isinstance(value, str)}
    return set(table) - families


def defined(tree: ast.AST) -> set[str]:
    """The attributes that the classes of a file define: methods, fields, slots, and what is assigned to `self`."""
    found = set()
    for cls in (n for n in ast.walk(tree) if isinstance(n, ast.ClassDef)):
        for node in ast.walk(cls):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found.add(node.name)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                found.add(node.attr)
    return found


def innocent_attributes() -> set[str]:
    """Attribute names that are no sign of an op: what compiler, graph and settings define, and the methods of Python's types."""
    own = [*COMPILER, PACKAGE / "graph.py", PACKAGE / "config.py"]
    methods = map(dir, (set, dict, list, tuple, str, bytes, int, float))
    return set().union(*methods, *(defined(ast.parse(path.read_text("utf-8"))) for path in own))


def last_word(node: ast.AST) -> str:
    """`b` of `b` and of `self.b`; nothing for anything else."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def named_attributes(tree: ast.AST, names: set[str], innocent: set[str]) -> list[tuple[str, int]]:
    """Attributes called like an op: of the op table `o` all of them, else those that are not innocent or a function of NumPy."""
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr in names]
    language = vars(importlib.import_module("danlu.ops.table").OpTable)  # number, like: words of `o` itself
    return [
        (n.attr, n.lineno)
        for n in found
        if (
            n.attr not in language
            if last_word(n.value) == "o"
            else n.attr not in innocent and last_word(n.value) not in ("np", "math")
        )
    ]


def named_strings(tree: ast.AST, names: set[str]) -> list[tuple[str, int]]:
    """Strings that are the name of an op; docstrings, pieces of f-strings and `__slots__` are something else."""
    skipped = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    skipped |= {id(piece) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for piece in n.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and last_word(node.targets[0]) == "__slots__":
            skipped |= {id(n) for n in ast.walk(node.value)}
    texts = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in skipped]
    return [(n.value, n.lineno) for n in texts if n.value in names]  # type: ignore[misc]


def compared_names(tree: ast.AST) -> list[int]:
    """Lines that compare the name of an op with anything: `node.op.name == ...`."""
    found = []
    for node in (n for n in ast.walk(tree) if isinstance(n, (ast.Compare, ast.Match))):
        sides = [node.subject] if isinstance(node, ast.Match) else [node.left, *node.comparators]
        if any(isinstance(s, ast.Attribute) and s.attr == "name" and last_word(s.value) == "op" for s in sides):
            found.append(node.lineno)
    return found


def test_names_of_ops_are_found():
    names = {"add", "exp", "const"}
    lines = ["def f(o, b, x):", '"exp"', "o.add(x)", "seen.add(x)", "b.exp(x)", "o.number(x, 1)", "np.exp(x)", 'g("exp")']
    tree = ast.parse("\n    ".join(lines))
    assert named_attributes(tree, names, innocent={"add"}) == [("add", 3), ("exp", 5)]
    assert named_strings(tree, names) == [("exp", 8)]
    assert named_strings(ast.parse('class A:\n    __slots__ = ("const",)'), names) == []
    assert compared_names(ast.parse('x.op.name == "add"\nx.name == "add"\nop.name in ("a", "b")')) == [1, 3]
    assert defined(ast.parse("class A:\n    x: int\n    def f(self):\n        self.y = 1")) == {"x", "f", "y"}


def test_the_compiler_knows_no_op_by_name():
    names, innocent, wrong = op_names(), innocent_attributes(), []
    assert len(names) > 50
    for path in (p for p in COMPILER if p != LANGUAGE):
        tree, relative = ast.parse(path.read_text("utf-8")), path.relative_to(PACKAGE).as_posix()
        words = [(w, line) for w, line in named_strings(tree, names) if (relative, w) not in WORDS]
        words += named_attributes(tree, names, innocent)
        wrong += [f"{where(path, line)} names the op {word!r}" for word, line in sorted(words, key=lambda w: w[1])]
        wrong += [f"{where(path, line)} compares the name of an op" for line in compared_names(tree)]
    assert not wrong, "\n".join(wrong) + "\ngive the op's record a field that says what is special about it"


def test_every_exception_is_needed():
    used = {
        (p.relative_to(PACKAGE).as_posix(), w)
        for p in COMPILER
        for w, _ in named_strings(ast.parse(p.read_text("utf-8")), op_names())
    }
    assert set(WORDS) - used == set()
