"""The public names of danlu, and what their docstrings say, taken apart: summary, formula, shapes, raises, source, example.

Names of one object share a page. The forms of a function (of danlu, as a method, in place) share one too. What elementwise
functions have in common (shapes, errors) is not typed into their docstrings: it follows from the records of their ops.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import types
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from api_errors import Raised, errors_of, errors_of_class, known_names, tree_of

import danlu
from danlu.dtype import DType
from danlu.graph import COMPOSITE, ELEMENTWISE, MOVEMENT, SOURCE, Op
from danlu.ops import TABLE

ROOT = Path(__file__).resolve().parent.parent
WHOLE = "danlu.array_api"  # one page for the whole namespace
BESIDE = ("danlu.testing", "danlu.vision.models")  # public, not imported by danlu itself
SKIPPED = {"danlu.engine"}  # in __all__ for the curious: the machine, not the API
MADE = "danlu.functions"  # its `_function` gives a method as a function

MATHEMATICS = re.compile(
    r"[=←~√ΣΠ∫‖⌊⌈≠∂²³ᵀ⁻·ᵢⱼⁿˣ≤≥∝⊗ΓΦσ¹∞]|\|x|e\^|\b(ln|log|exp|mean|max|min|sin|cos|tan|tanh|sigmoid|softmax|sinh|cosh|erf|softplus|relu6) ?[(x|\[]"
    r"|x [-−/<>+] |^-x|½|\b[01]/|[a-z]\[[a-z]"
)
HEADS = re.compile(r"^(Shapes?|Raises?|Args|Returns?|Sources?|Example|Layout):?(\s|$)")

# Plain values, which have no docstring of their own.
PLAIN = {
    "danlu.__version__": """The version of the package.\n\n>>> import danlu\n>>> danlu.__version__.count(".")\n2""",
    "danlu.Tensor.grad": """What `backward` has added up for this leaf, or None.

Shapes: that of the tensor.

>>> import danlu
>>> x = danlu.tensor([1.0, 2.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4.])""",
    "danlu.Tensor.is_cuda": """Always False: the only device is the CPU.\n\nShapes: any tensor → a Python bool.

>>> import danlu
>>> danlu.ones(1).is_cuda
False""",
}
# Bases that leave it to their subclasses what they compute.
ABSTRACT = {"Module", "LRScheduler", "Distribution", "Dataset", "Callback", "DanluError", "Tensor"}
# Makers of methods whose operands are taken element by element, and how many they have.
MAKERS = {"_unary": 1, "_of_tensors": 2, "_bits": 2, "_scaled": 2, "_whole_pair": 2}


@dataclass
class Entry:
    """One page: the object, the names under which it is public (the first is the page's), and its forms as method and in place."""

    value: Any
    names: list[str]
    method: str = ""
    in_place: str = ""
    methods: list[str] = field(default_factory=list)  # other names of the method

    @property
    def module(self) -> str:
        """The namespace of the page: danlu, danlu.nn, danlu.Tensor."""
        return self.names[0].rpartition(".")[0]

    @property
    def name(self) -> str:
        """The last part of the first name."""
        return self.names[0].rpartition(".")[2]

    @property
    def function(self) -> Any:
        """What holds the code and the signature: the method that a function of danlu stands for, the getter of a property."""
        found = inspect.getattr_static(danlu.Tensor, self.method) if self.method else self.value
        if isinstance(found, property):
            found = found.fget
        return inspect.unwrap(found) if callable(found) else found

    @cached_property
    def doc(self) -> Doc:
        """The docstring, taken apart."""
        return parsed(PLAIN.get(self.names[0]) or documentation(self.value))


@dataclass
class Doc:
    """A docstring: paragraphs by what they are."""

    summary: str = ""
    formula: list[str] = field(default_factory=list)
    prose: list[str] = field(default_factory=list)
    shapes: list[str] = field(default_factory=list)
    raises: list[str] = field(default_factory=list)
    source: list[str] = field(default_factory=list)
    example: str = ""


def documentation(value: Any) -> str:
    """The docstring without its indentation; also where an example was put behind a method's indented text."""
    text = value.__doc__ or ""
    head, mark, tail = text.partition("\n\n>>> ")
    return f"{inspect.cleandoc(head)}{mark}{tail}".strip() if mark else inspect.cleandoc(text)


def parsed(text: str) -> Doc:
    """The parts of a docstring."""
    body, example = _split_example(text)
    paragraphs = [p for p in re.split(r"\n\s*\n", body) if p.strip()]
    doc = Doc(summary=" ".join(paragraphs[0].split()) if paragraphs else "", example=example)
    for paragraph in paragraphs[1:]:
        _place(doc, paragraph)
    if not doc.formula and MATHEMATICS.search(doc.summary):
        doc.formula = [doc.summary]
    return doc


def _split_example(text: str) -> tuple[str, str]:
    found = re.search(r"^(Example:\s*\n)?([ \t]*)>>> ", text, re.MULTILINE)
    if not found:
        return text, ""
    example = text[found.start() :].removeprefix("Example:").strip("\n")
    return text[: found.start()], inspect.cleandoc("\n" + example)


def _place(doc: Doc, paragraph: str) -> None:
    head = HEADS.match(paragraph)
    kind = head[1].rstrip("s") if head else ""
    if kind == "Shape":
        doc.shapes.append(paragraph.partition(":")[2].strip())
    elif kind == "Raise":
        doc.raises += _raises(paragraph)
    elif kind == "Source":
        doc.source.append(paragraph.partition(":")[2].strip())
    elif not doc.formula and not head and _is_formula(paragraph):
        doc.formula.append(paragraph)
    else:
        doc.prose.append(paragraph)


def _is_formula(paragraph: str) -> bool:
    """A paragraph of mathematics: "y = x wᵀ + b", "−log softmax(x)[t], averaged …". It opens with it, or is no sentence."""
    opening = re.match(r"^[^\s:.]{1,24}( [^\s=←:.]{1,12}){0,3} ?[=←∝≈] ", paragraph)
    return bool(opening) or paragraph.startswith("−log ") or (not paragraph.endswith(".") and bool(MATHEMATICS.search(paragraph)))


def _raises(paragraph: str) -> list[str]:
    """ "Raises:\\n    A: when", "Raises: A for …", "Raises A where …, B where …" as items."""
    head, _, rest = paragraph.partition("\n")
    if head.strip() == "Raises:":
        items = re.split(r"\n(?=\S)", inspect.cleandoc("\n" + rest))
        return [" ".join(item.split()) for item in items]
    text = " ".join(paragraph.split())
    return [re.sub(r"^Raises:? ", "", text)]


# What computes nothing that a formula could say: classes that hold, modes that switch, what reads and writes, what tells about a tensor.
NO_FORMULA = (
    r"danlu\.load_ipython_extension",
    r"danlu\.(\w*Error|DType|Generator|Size|Tensor|device|config|__version__|compile|load|save|tensor|as_tensor|asarray|from_\w+"
    r"|manual_seed|(initial_)?seed|(get|set)_rng_state|(get|set)_num_threads|(get|set)_default_dtype|set_language|set_printoptions|(no|enable|set|is)_grad\w*|set_grad_enabled|is_grad_enabled|inference_mode"
    r"|is_tensor|is_complex|memory_summary|atleast_\dd|broadcast_(shapes|tensors))",
    r"danlu\.(data\.\w+|vision\.models\.(get_model|list_models))",
    r"danlu\.train\.(Callback|Checkpoint|EarlyStopping|History|Interrupt|Loop|MetricsLog|fit|predict|progress)",
    r"danlu\.testing\.(evaluate|inputs_of)",
    r"danlu\.autograd\.(Function|FunctionCtx|compare|detect_anomaly|is_anomaly_enabled|once_differentiable|set_detect_anomaly)",
    r"danlu\.(func\.functional_call|optim\.Optimizer|nn\.(ModuleDict|ModuleList|(Uninitialized)?Parameter(Dict|List)?))",
    r"danlu\.nn\.utils\.(remove_\w+|skip_init|fuse_\w+|prune\.\w+|parametrize\.(cached|is_parametrized|remove_parametrizations|type_before_parametrizations))",
    r"danlu\.distributions\.(Distribution|register_kl|constraints\.(Constraint|independent))",
    r"danlu\.linalg\.(SVD|Eigh?|LeastSquares|LinAlgError)",
    r"danlu\.Tensor\.(cpu|cuda|data|device|dim|ndim|dtype|shape|size|element_size|expand_as|grad|grad_fn|is_\w+|item|tolist|numpy"
    r"|get_device|new_tensor|pin_memory|register_\w+|requires_grad_?|retains?_grad|share_memory_|to_device|type|type_as|cfloat|cdouble)",
)
# What neither takes nor gives tensors.
NO_TENSORS = (
    r"danlu\.(\w*Error|DType|Generator|Size|device|config|__version__|load|save|manual_seed|(initial_)?seed|(get|set)_rng_state|(get|set)_num_threads|(get|set)_default_dtype"
    r"|set_language|set_printoptions|no_grad|enable_grad|set_grad_enabled|is_grad_enabled|inference_mode|compile|profile|memory_summary|load_ipython_extension)",
    r"danlu\.autograd\.(FunctionCtx|detect_anomaly|is_anomaly_enabled|set_detect_anomaly)",
    r"danlu\.vision\.models\.(get_model|list_models)",
    r"danlu\.data\.(Table|read_csv|\w*Sampler|(Chain|Concat|Iterable|Stack)Dataset|default_convert|get_worker_info)",
    r"danlu\.(distributions\.register_kl|linalg\.LinAlgError|optim\.lr_scheduler\.\w+|optim\.swa_utils\.SWALR)",
    r"danlu\.train\.(Callback|Checkpoint|EarlyStopping|History|Interrupt|Loop|MetricsLog|progress)",
    r"danlu\.nn\.utils\.(remove_\w+|skip_init|fuse_\w+|prune\.\w+|parametrize\.(cached|is_parametrized|remove_parametrizations|type_before_parametrizations))",
)


def has_no_formula(name: str) -> bool:
    """Whether a formula would say nothing of this name."""
    return any(re.fullmatch(pattern, name) for pattern in NO_FORMULA)


def has_no_tensors(name: str) -> bool:
    """Whether a name has nothing to do with tensors."""
    return any(re.fullmatch(pattern, name) for pattern in NO_TENSORS)


# ---- the names ------------------------------------------------------------------------------------------------------------


def modules() -> dict[str, types.ModuleType]:
    """The public namespaces, in the order of the index."""
    found: dict[str, types.ModuleType] = {}
    waiting = ["danlu", *BESIDE]
    while waiting:
        name = waiting.pop(0)
        found[name] = importlib.import_module(name)
        inside = [getattr(found[name], n) for n in getattr(found[name], "__all__", ())]
        inner = [m.__name__ for m in inside if isinstance(m, types.ModuleType)]
        waiting += [m for m in inner if m not in found and m not in waiting and m not in SKIPPED]
    return found


def public_names(module: types.ModuleType) -> list[str]:
    """`__all__`, or the functions and classes with an example that a module without one defines."""
    if hasattr(module, "__all__"):
        return [n for n in module.__all__ if not isinstance(getattr(module, n), types.ModuleType)]
    own = {n: v for n, v in vars(module).items() if not n.startswith("_") and getattr(v, "__module__", "") == module.__name__}
    return sorted(n for n, v in own.items() if (inspect.isroutine(v) or inspect.isclass(v)) and ">>> " in (v.__doc__ or ""))


def _method_of(value: Any) -> str:
    """The method that a function of danlu stands for, "" where it has code of its own."""
    made = getattr(value, "__module__", "") == MADE and "method" in getattr(getattr(value, "__code__", None), "co_varnames", ())
    free = getattr(getattr(value, "__code__", None), "co_freevars", ())
    return value.__name__ if made or (getattr(value, "__module__", "") == MADE and "name" in free) else ""


@cache
def entries() -> list[Entry]:
    """Every page, in the order of the namespaces."""
    found: dict[Any, Entry] = {}
    for module_name, module in modules().items():
        for name in public_names(module):
            value = getattr(module, name)
            if isinstance(value, DType):
                value = DType
            elif not (inspect.isclass(value) or inspect.isroutine(value)):
                value = type(value) if type(value).__module__.startswith("danlu") else value
            method = _method_of(value)
            key = id(inspect.getattr_static(danlu.Tensor, method)) if method else id(value)
            entry = found.setdefault(key, Entry(value, [], method))
            entry.names.append(f"{module_name}.{name}")
    _add_methods(found)
    for entry in found.values():
        own = getattr(entry.value, "__name__", "")
        entry.names.sort(key=lambda n, own=own: n.rpartition(".")[2] != own)
    return list(found.values())


def _add_methods(found: dict[Any, Entry]) -> None:
    """The methods of the Tensor: on the page of the function of this name, or on one of their own."""
    by_name = {e.names[0].removeprefix("danlu."): e for e in found.values() if e.names[0].count(".") == 1}
    aliases = {n.removeprefix("danlu."): e for e in found.values() for n in e.names if n.count(".") == 1}
    names = [n for n in dir(danlu.Tensor) if not n.startswith("_")]
    for name in names:
        value = inspect.getattr_static(danlu.Tensor, name)
        entry = found.get(id(value)) or by_name.get(name) or aliases.get(name)
        if entry is not None and not isinstance(entry.value, type):
            entry.methods.append(name)
        elif not is_in_place(name):
            found.setdefault(id(value), Entry(value, [])).names.append(f"danlu.Tensor.{name}")
    for name in filter(is_in_place, names):
        value = inspect.getattr_static(danlu.Tensor, name)
        base = next(e for e in found.values() if name[:-1] in e.methods or f"danlu.Tensor.{name[:-1]}" in e.names)
        first = not base.in_place
        base.in_place = name if first or getattr(value, "__name__", "") == name == f"{base.name}_" else base.in_place
        base.methods.append(name)


def is_in_place(name: str) -> bool:
    """A form with `_` of a method without."""
    value = inspect.getattr_static(danlu.Tensor, name)
    return name.endswith("_") and hasattr(danlu.Tensor, name[:-1]) and (value.__doc__ or "").endswith(" in place.")


# ---- what follows from code --------------------------------------------------------------------------------------------------


def op_of(function: Any) -> tuple[Op, int] | None:
    """The one op that a function applies, and to how many operands."""
    tree = tree_of(function)
    if tree is None:
        return None
    names = known_names(function)
    calls = [
        n
        for n in ast.walk(tree)
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id in ("apply", "operate")
    ]
    if len(calls) != 1 or not calls[0].args:
        return None
    first = calls[0].args[0]
    op: Any = first.value if isinstance(first, ast.Constant) else names.get(getattr(first, "id", ""))
    if isinstance(first, ast.Attribute) and isinstance(first.value, ast.Name):
        op = getattr(names.get(first.value.id), first.attr, None)
    op = TABLE.get(op) if isinstance(op, str) else op
    return (op, len(calls[0].args) - 1) if isinstance(op, Op) else None


@cache
def is_elementwise(op: Op) -> bool:
    """Elementwise, or made of nothing else."""
    if op.family != COMPOSITE or op.expand is None:
        return op.family == ELEMENTWISE
    tree = tree_of(op.expand)
    used = (
        {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and getattr(n.value, "id", "") == "o"} if tree else set()
    )
    used -= {"number", "like"}
    inner = [TABLE[name] for name in used if name in TABLE]
    return bool(inner) and len(inner) == len(used) and all(x.family == SOURCE or is_elementwise(x) for x in inner if x is not op)


def operands_of(function: Any) -> list[str]:
    """The operands of a function that works element by element; none where it does not."""
    maker = function.__qualname__.partition(".<locals>")[0]
    names = ["input" if p == "self" else p for p in inspect.signature(function).parameters]
    if maker in MAKERS:
        return names[: MAKERS[maker]]
    found = op_of(function)
    if found is None or not is_elementwise(found[0]) or found[0].family == MOVEMENT:
        return []
    return names[: found[1]]


def elementwise_shapes(operands: list[str]) -> str:
    """The Shapes of a function that works element by element."""
    if len(operands) < 2:
        return f"{operands[0]} (*) → (*): element by element, any shape." if operands else ""
    return ", ".join(f"{name} (*)" for name in operands) + ", broadcast together → (*)."


def raised_by(entry: Entry) -> tuple[Raised, ...]:
    """The errors in the code behind a page."""
    if inspect.isclass(entry.value):
        other = referred(entry)
        behind = raised_by(other) if other is not None and not inspect.isclass(other.value) else ()
        return tuple(dict.fromkeys((*errors_of_class(entry.value), *behind)))
    return errors_of(entry.function) if isinstance(entry.function, types.FunctionType) else ()


@cache
def by_qualified_name() -> dict[str, Entry]:
    """Every public name → its page."""
    return {name: entry for entry in entries() for name in entry.names}


def referred(entry: Entry) -> Entry | None:
    """The page that holds what this one leaves out: named by "see danlu.nn.functional.x", or what a layer's forward calls."""
    free = getattr(getattr(entry.value, "__code__", None), "co_freevars", ())
    if "method" in free and "name" in free:  # special.logit is x.logit
        method = known_names(entry.value)["method"]
        other = by_qualified_name().get(f"danlu.{method}") or by_qualified_name().get(f"danlu.Tensor.{method}")
        if other is not None and other is not entry:
            return other
    found = re.search(r"[Ss]ee (danlu\.[\w.]*\w|[a-z]+\.\w+|\w+)", " ".join([entry.doc.summary, *entry.doc.prose]))
    if found:
        for prefix in ("", "danlu.", f"{entry.module}."):
            other = by_qualified_name().get(prefix + found[1])
            if other is not None and other is not entry:
                return other
    if not inspect.isclass(entry.value):
        return None
    forward = inspect.getattr_static(entry.value, "forward", None)
    called = _called(forward) if isinstance(forward, types.FunctionType) else None
    return called or _base(entry.value)


def _base(kind: type) -> Entry | None:
    """The nearest public base of a class that says what its subclasses compute: LazyLinear is a Linear."""
    bases = [e for c in kind.__mro__[1:] for e in entries() if e.value is c and c.__name__ not in ABSTRACT]
    return bases[0] if bases and kind is not danlu.Tensor else None


def _called(forward: Any) -> Entry | None:
    """The public function whose result a forward returns."""
    tree = tree_of(forward)
    names = known_names(forward)
    for node in ast.walk(tree) if tree else ():
        call = node.value if isinstance(node, ast.Return) else None
        if not isinstance(call, ast.Call):
            continue
        target = call.func
        owner = names.get(getattr(target.value, "id", "")) if isinstance(target, ast.Attribute) else None
        function = getattr(owner, target.attr, None) if owner else names.get(getattr(target, "id", ""))  # type: ignore[attr-defined]
        return next((e for e in entries() if e.value is function and function is not None), None)
    return None


def sections(entry: Entry) -> dict[str, list[str]]:
    """formula, shapes and raises of a page: typed, following from the record, or those of the function behind a layer."""
    other = referred(entry)
    behind = (
        sections(other) if other is not None and referred(other) is not entry else {"formula": [], "shapes": [], "raises": []}
    )
    shapes = entry.doc.shapes or ([s] if (s := _derived_shapes(entry)) else []) or behind["shapes"]
    formula = entry.doc.formula
    if formula == [entry.doc.summary] and (has_no_formula(entry.names[0]) or (behind["formula"] and "→" in formula[0])):
        formula = []  # the words only look like one
    return {
        "formula": formula or behind["formula"],
        "shapes": shapes,
        "raises": entry.doc.raises or behind["raises"],
    }


def _derived_shapes(entry: Entry) -> str:
    if (
        entry.module == "danlu.special"
        and "op" in getattr(entry.function, "__code__", types.SimpleNamespace(co_freevars=())).co_freevars
    ):
        return elementwise_shapes(["input", "other"][: _arguments_of(entry.doc.example)])
    return elementwise_shapes(operands_of(entry.function)) if isinstance(entry.function, types.FunctionType) else ""


def _arguments_of(example: str) -> int:
    """With how many arguments the first call of an example is made."""
    call = ast.parse(re.findall(r"^>>> (danlu\..*)$", example, re.MULTILINE)[0], mode="eval").body
    return len(call.args) if isinstance(call, ast.Call) else 0
