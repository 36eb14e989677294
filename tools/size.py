"""How large and how tangled the code is: lines, tokens a line, function lengths and import cycles, folder by folder.

    python tools/size.py [FOLDER ...]      # danlu, tests, tools and bench where nothing is named

It informs and never fails: a number out of the usual is a question, not an error. Only the standard library is used; the
functions that read imports serve `tests/arch` too.
"""

from __future__ import annotations

import ast
import statistics
import sys
import token
import tokenize
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
QUIET = {token.NEWLINE, token.NL, token.INDENT, token.DEDENT, token.COMMENT, token.ENCODING, token.ENDMARKER}
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
USUAL = {"tokens a line": 10.0, "median function": 8, "95 % of functions": 30, "longest file": 600}


# ---- imports ------------------------------------------------------------------------------------------------------------


class Import(NamedTuple):
    """One imported name: the dotted name as written (relative ones made absolute), its line, and whether a function holds it."""

    name: str
    line: int
    in_function: bool


def module_name(path: Path, root: Path) -> str:
    """`root/danlu/ops/table.py` → `danlu.ops.table`; a package goes by its folder."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(package: Path) -> dict[str, Path]:
    """Every module of a package: dotted name → file."""
    return {module_name(path, package.parent): path for path in sorted(package.rglob("*.py"))}


def _written(node: ast.AST, package: str) -> list[str]:
    """The dotted names of one import statement: `from a.b import c, d` → a.b.c, a.b.d."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join(above + ([base] if base else []))
    return [f"{base}.{alias.name}" for alias in node.names]


def imports(path: Path, name: str) -> list[Import]:
    """All imports of one file, wherever they stand."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = []
    stack: list[tuple[ast.AST, bool]] = [(ast.parse(path.read_text("utf-8"), str(path)), False)]
    while stack:
        node, inside = stack.pop()
        found += [Import(written, node.lineno, inside) for written in _written(node, package)]  # type: ignore[attr-defined]
        inside = inside or isinstance(node, (*FUNCTION, ast.Lambda))
        stack += [(child, inside) for child in ast.iter_child_nodes(node)]
    return sorted(found, key=lambda i: (i.line, i.name))


def resolve(written: str, known: Iterable[str]) -> str | None:
    """The module that an imported name belongs to: itself, or what it is an attribute of; None for someone else's."""
    if written in known:
        return written
    parent = written.rpartition(".")[0]
    return parent if parent in known else None


def import_graph(package: Path) -> dict[str, set[str]]:
    """Module → the modules of the same package that it imports."""
    files = modules(package)
    graph = {}
    for name, path in files.items():
        found = {resolve(i.name, files) for i in imports(path, name)}
        graph[name] = {target for target in found if target is not None and target != name}
    return graph


def cyclic(graph: dict[str, set[str]]) -> set[str]:
    """The nodes that lie on a cycle or on a path between two cycles; empty for a graph without cycles."""
    left = set(graph)
    while left:
        used = set().union(*(graph[name] & left for name in left))
        keep = {name for name in left if graph[name] & left and name in used}
        if keep == left:
            break
        left = keep
    return left


# ---- size ---------------------------------------------------------------------------------------------------------------


class Size(NamedTuple):
    """One file: lines that hold code (no blank, comment or docstring line), its tokens, the length of each function."""

    path: Path
    total: int
    lines: int
    tokens: int
    functions: list[tuple[int, str]]


def _docstring_lines(tree: ast.AST) -> set[int]:
    expressions = [n for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)]
    texts = [n for n in expressions if isinstance(n.value.value, str)]  # type: ignore[attr-defined]
    return {line for n in texts for line in range(n.lineno, (n.end_lineno or n.lineno) + 1)}


def measure(path: Path) -> Size:
    """Counts one file."""
    tree = ast.parse(path.read_text("utf-8"), str(path))
    documentation = _docstring_lines(tree)
    with path.open("rb") as stream:
        tokens = [t for t in tokenize.tokenize(stream.readline) if t.type not in QUIET and t.start[0] not in documentation]
    lines = {line for t in tokens for line in range(t.start[0], t.end[0] + 1)}
    functions = [(_body_length(n, lines), f"{path.name}:{n.lineno} {n.name}") for n in ast.walk(tree) if isinstance(n, FUNCTION)]
    return Size(path, len(path.read_text("utf-8").splitlines()), len(lines), len(tokens), functions)


def _body_length(node: ast.FunctionDef | ast.AsyncFunctionDef, code: set[int]) -> int:
    """Lines of code of a function, its header counted, its docstring not."""
    return sum(line in code for line in range(node.lineno, (node.end_lineno or node.lineno) + 1))


def _percentile(values: list[int], share: float) -> int:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0


def row(label: str, sizes: list[Size], tangled: int) -> str:
    """One line of the table."""
    lines, tokens = sum(s.lines for s in sizes), sum(s.tokens for s in sizes)
    lengths = [length for s in sizes for length, _ in s.functions]
    longest = max((s.total for s in sizes), default=0)
    median = statistics.median(lengths) if lengths else 0
    return (
        f"{label:28} {len(sizes):5} {lines:7} {tokens / max(lines, 1):8.1f} {len(lengths):6} {median:7.1f} "
        f"{_percentile(lengths, 0.95):5} {max(lengths, default=0):5} {longest:8} {tangled:7}"
    )


def _folders(sizes: list[Size]) -> dict[str, list[Size]]:
    groups: dict[str, list[Size]] = {}
    for size in sizes:
        groups.setdefault(str(size.path.parent.relative_to(ROOT)), []).append(size)
    return groups


def report(package: Path) -> list[str]:
    """The table of one top folder, one row a sub-folder and a sum, then what is longer than usual."""
    sizes = [measure(path) for path in sorted(package.rglob("*.py"))]
    tangled = {modules(package)[name].parent for name in cyclic(import_graph(package))}
    out = [row(name, group, (ROOT / name) in tangled) for name, group in _folders(sizes).items()]
    out.append(row(f"= {package.name}", sizes, len(cyclic(import_graph(package)))))
    for size in sizes:
        if size.total > USUAL["longest file"]:
            out.append(f"  long file      {size.path.relative_to(ROOT)}: {size.total} lines")
    slow = sorted((f for s in sizes for f in s.functions if f[0] > USUAL["95 % of functions"]), reverse=True)
    return out + [f"  long function  {name}: {length} lines" for length, name in slow[:10]]


def main(arguments: list[str]) -> None:
    """Prints the report of the folders named, or of all that there are."""
    folders = [Path(a).resolve() for a in arguments] or [ROOT / name for name in ("danlu", "tests", "tools", "bench")]
    titles = [
        ("files", 5),
        ("lines", 7),
        ("tok/line", 8),
        ("funcs", 6),
        ("median", 7),
        ("95 %", 5),
        ("max", 5),
        ("longest", 8),
        ("cycles", 7),
    ]
    print(" ".join([f"{'folder':28}", *(title.rjust(width) for title, width in titles)]))
    for folder in folders:
        if folder.is_dir():
            print("\n".join(report(folder)))
    print("usual: " + ", ".join(f"{name} ≤ {value:g}" for name, value in USUAL.items()) + ", no cycles")


if __name__ == "__main__":
    main(sys.argv[1:])
