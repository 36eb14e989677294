"""Which errors a function raises, read from its code: its own `raise`s, those of the helpers that it calls and those of the ops
that it applies to its arguments. What other public functions raise that it happens to use is left to them.
"""

from __future__ import annotations

import ast
import inspect
import sys
import types
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import danlu
from danlu.graph import _ARITHMETIC, CONTRACT, ELEMENTWISE, MOVEMENT, Op
from danlu.ops import TABLE

DEPTH = 4
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
BROADCAST = "broadcast_shapes"  # raises only where there are two inputs
COMPLEX = "{name}: the input has dtype {dtype}, and {name} is not implemented for complex numbers; …"
SWITCHES = {"real", "fixed", "half"}  # arguments of helpers that switch a check on
OWN_ARRAYS = {"from_array", "from_numpy"}  # called with arrays that the caller has made
INTERNAL = {"AttributeError", "NotImplementedError", "StopIteration", "AssertionError"}


class Raised(NamedTuple):
    """One `raise`: the class, and the template of its message."""

    kind: str
    template: str


@cache
def _functions(filename: str) -> dict[int, ast.AST]:
    """The functions of a file by their first line (that of the first decorator)."""
    with open(filename, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    found = [node for node in ast.walk(tree) if isinstance(node, FUNCTION)]
    return {min([node.lineno, *(d.lineno for d in node.decorator_list)]): node for node in found}


def tree_of(function: Any) -> ast.AST | None:
    """The syntax tree of a function of the package; None for anything else."""
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    own = (getattr(function, "__module__", None) or "").startswith("danlu")
    if code is None or not own or not code.co_filename.endswith(".py"):  # a dataclass writes its own constructor
        return None
    return _functions(code.co_filename).get(code.co_firstlineno)


def known_names(function: Any) -> dict[str, Any]:
    """What the free names of a function stand for: its module's globals, and its closure."""
    function = inspect.unwrap(function)
    names = dict(function.__globals__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            names[name] = cell.cell_contents
        except ValueError:  # not yet filled
            continue
    return names


def _value(node: ast.expr, names: dict[str, Any]) -> Any:
    """What an expression made of names and attributes stands for, where that is known."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _value(node.value, names)
        return getattr(owner, node.attr, None) if isinstance(owner, types.ModuleType) else None
    return None


def _raised(node: ast.Raise, names: dict[str, Any]) -> Iterator[Raised]:
    """The class and the templates of one `raise`: X("…"), X(message("…")), or X(helper(…)) where the helper makes a Phrase."""
    call = node.exc
    if not isinstance(call, ast.Call) or not call.args:
        return
    kind = getattr(_value(call.func, names), "__name__", "")
    if kind and kind not in INTERNAL:
        yield from (Raised(kind, text) for text in _templates(call.args[0], names))


def _templates(text: ast.expr, names: dict[str, Any]) -> Iterator[str]:
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        yield text.value
    if not isinstance(text, ast.Call):
        return
    helper = _value(text.func, names)
    tree = tree_of(helper) if isinstance(helper, types.FunctionType) and helper.__module__ != "danlu.messages" else None
    if tree is None:
        yield from (a.value for a in text.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str))
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "Phrase":
            yield from _templates(node.value, known_names(helper))


def _plain(args: list[ast.expr], arguments: set[str]) -> bool:
    """Whether all operands are the caller's own arguments."""
    return all(isinstance(a, ast.Name) and a.id in arguments for a in args)


def _own_arguments(tree: Any) -> set[str]:
    a = tree.args
    return {x.arg for x in (*a.posonlyargs, *a.args, *a.kwonlyargs)}


def _of_op(op: Op, operands: int, depth: int) -> Iterator[Raised]:
    """What the record of an op refuses."""
    if op.planes is None and op.family in _ARITHMETIC:
        yield Raised("DTypeError", COMPLEX)
    if op.expand is not None:
        yield from _walk(op.expand, depth, operands)
    else:
        yield from _walk(op.infer, depth, operands if op.family == ELEMENTWISE else 2)


def _is_delegation(function: Any) -> bool:
    """`return other(...)` and nothing else."""
    body = [s for s in getattr(tree_of(function), "body", ()) if not isinstance(getattr(s, "value", None), ast.Constant)]
    return len(body) == 1 and isinstance(body[0], ast.Return)


def _callee(call: ast.Call, names: dict[str, Any], delegates: bool) -> Any:
    """The function of the package that is called, where its errors are the caller's too."""
    target = call.func
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
        private = target.attr.startswith("_") and not target.attr.startswith("__")
        method = inspect.getattr_static(danlu.Tensor, target.attr, None)
        return method if (private or delegates) and target.attr not in ("_assign", "_value", "_view") else None
    return _value(target, names)


def is_public(function: Any) -> bool:
    """Whether a function has a page of its own: those have examples."""
    return ">>> " in (function.__doc__ or "")


def _reached(tree: ast.AST, names: dict[str, Any]) -> Iterator[ast.AST]:
    """The nodes of a function, without the branches of an `if` on a name that is known to be False."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and _is_off(child.test, names):
            for statement in child.orelse:
                yield statement
                yield from _reached(statement, names)
            continue
        yield child
        yield from _reached(child, names)


def _is_off(test: ast.expr, names: dict[str, Any]) -> bool:
    """`switch`, or `switch and …`, where the switch is False."""
    parts = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]
    return any(isinstance(part, ast.Name) and names.get(part.id) is False for part in parts)


def _walk(function: Any, depth: int, operands: int = 2, **given: Any) -> Iterator[Raised]:
    function = inspect.unwrap(getattr(function, "fget", None) or function)
    tree = tree_of(function)
    if tree is None or depth < 0:
        return
    names, arguments, delegates = {**known_names(function), **given}, _own_arguments(tree), _is_delegation(function)
    nodes = [node for node in _reached(tree, names) if isinstance(node, (ast.Raise, ast.Call))]
    strict = False
    for node in sorted(nodes, key=lambda n: (n.lineno, n.col_offset)):
        if isinstance(node, ast.Raise):
            found = list(_raised(node, names))
        elif _is_inner(node):
            found = list(_of_inner(node, arguments, depth, operands, strict))
        else:
            found = list(_of_call(node, names, arguments, delegates, depth, operands))
        strict = strict or bool(found)
        yield from found


def _is_inner(call: ast.Call) -> bool:
    """`o.op(…)`: an op that a composite is made of."""
    return isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) and call.func.value.id == "o"


def _of_inner(call: Any, arguments: set[str], depth: int, operands: int, strict: bool) -> Iterator[Raised]:
    """What the parts of a composite refuse: shapes only where it has no checks of its own. Its movements and labels always fit."""
    record = TABLE.get(call.func.attr)
    if record is None or record.family == MOVEMENT or not _plain(call.args, arguments):
        return
    found = _of_op(record, min(operands, len(call.args)), depth - 1)
    only = record.family == CONTRACT or strict
    yield from (x for x in found if not only or (x.kind == "DTypeError" and x.template != COMPLEX))


def _of_call(call: ast.Call, names: dict, arguments: set[str], delegates: bool, depth: int, operands: int) -> Iterator[Raised]:
    if isinstance(call.func, ast.Name) and call.func.id in ("apply", "operate") and call.args:
        op = _value(call.args[0], names)
        record = TABLE.get(op) if isinstance(op, str) else op
        if isinstance(record, Op) and _plain(call.args[1:], arguments):
            yield from _of_op(record, len(call.args) - 1, depth - 1)
        return
    callee = _callee(call, names, delegates)
    if not isinstance(callee, types.FunctionType) or callee.__name__ in OWN_ARRAYS or (is_public(callee) and not delegates):
        return
    if callee.__name__ != BROADCAST or operands > 1:
        yield from _walk(callee, depth - 1, operands, **_switches(call, callee))


def _switches(call: ast.Call, callee: Any) -> dict[str, bool]:
    """The arguments that are given as True or False."""
    parameters = list(inspect.signature(callee).parameters)
    said = [*zip(parameters, call.args), *((k.arg, k.value) for k in call.keywords if k.arg)]
    return {name: v.value for name, v in said if isinstance(v, ast.Constant) and isinstance(v.value, bool) and name in SWITCHES}


@cache
def errors_of(function: Any) -> tuple[Raised, ...]:
    """Every error of a function or method, once, in the order of the code."""
    return tuple(dict.fromkeys(_walk(function, DEPTH)))


def errors_of_class(kind: type) -> tuple[Raised, ...]:
    """What the constructor and the call of a class raise, inherited helpers included."""
    found: list[Raised] = []
    for name in ("__init__", "forward", "__call__"):
        method = inspect.getattr_static(kind, name, None)
        if isinstance(method, types.FunctionType) and sys.modules[method.__module__].__name__.startswith("danlu"):
            found += errors_of(method)
    return tuple(dict.fromkeys(found))
