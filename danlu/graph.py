"""L1. The immutable graph: `Op` (what can be computed), `Spec` (shape and dtype) and `Node` (one value). No op is known here by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from danlu.dtype import DType, check_dtype
from danlu.errors import DTypeError

# The families: the shapes of work that the compiler knows.
ELEMENTWISE, MOVEMENT, REDUCE, CONTRACT = "elementwise", "movement", "reduce", "contract"
GATHER, SCATTER, SCAN, OPAQUE, SOURCE, COMPOSITE = "gather", "scatter", "scan", "opaque", "source", "composite"
PICK = "pick"  # one result of an op that has several
_ARITHMETIC = frozenset({ELEMENTWISE, REDUCE, CONTRACT, SCAN, OPAQUE})  # where it matters whether a number is complex


class Spec:
    """What is known of a value before it is computed: shape, dtype, and whether it is `weak`: a Python number,
    which takes the dtype of what it meets. Interned: equal specs are one object, so identity is equality."""

    __slots__ = ("dtype", "shape", "size", "weak")
    _known: ClassVar[dict[tuple, Spec]] = {}

    shape: tuple[int, ...]
    dtype: DType
    weak: bool
    size: int

    def __new__(cls, shape: tuple[int, ...], dtype: DType, weak: bool = False) -> Spec:
        key = (shape, dtype, weak)
        found = cls._known.get(key)
        if found is None:
            check_dtype(dtype)
            found = object.__new__(cls)
            found.shape, found.dtype, found.weak = shape, dtype, weak
            found.size = 1
            for n in shape:
                found.size *= n
            cls._known[key] = found
        return found

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __repr__(self) -> str:
        return f"{self.dtype.name}{list(self.shape)}"


class Op:
    """One record: all that danlu knows about one operation, in one place.

    | field | meaning |
    |---|---|
    | `name`, `family`, `doc` | its name, its shape of work, one line |
    | `attrs` | the names of its attributes, in order |
    | `infer(*specs, **attrs)` | the Spec of the result (a tuple of Specs for several results); raises on bad input |
    | `numpy(*arrays, **attrs)` | the reference, in NumPy |
    | `vjp(o, g, y, *xs, **attrs)` | reverse derivative: for each input its gradient or None (several results: g and y are tuples) |
    | `jvp(o, y, xs, dxs, **attrs)` | forward derivative: the tangent of y (a `None` in dxs is zero) |
    | `emit(b, *xs, **attrs)` | elementwise: the code of one element; reduce: how two elements become one |
    | `expand(o, *xs, **attrs)` | composite: the same value built from other ops |
    | `identity(dtype)` | reduce: the value that changes nothing |
    | `sample` | the domain of test inputs, a list of (low, high, kind) with one entry an input; see `testing` |
    | `neutral` | elementwise, two inputs: the constants (left, right) that leave the other input as it is |
    | `rewrite(*xs, **attrs)` | an equal value that already exists, or None |
    | `explain(position, size)` | what an index that does not exist means to the user, where the op says more than "out of range" |
    | `folds` | more for the family: documented where the family is |
    | `absorb(x, **attrs)` | where nobody else reads x: this node and x as one node, or None |
    | `planes` | the same op on complex numbers taken apart into two real nodes (ops/planes.py); None: it refuses them |
    | `wirtinger` | `vjp` speaks of complex numbers itself; if not, it is the rule of a holomorphic function (autodiff.py) |
    """

    __slots__ = (
        "absorb", "attrs", "blamed", "cache", "doc", "emit", "expand", "explain", "family", "folds", "identity", "infer", "jvp", "name",
        "neutral", "numpy", "planes", "rewrite", "sample", "vjp", "wirtinger",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        family: str,
        doc: str,
        *,
        infer: Callable[..., Any],
        attrs: tuple[str, ...] = (),
        numpy: Callable[..., Any] | None = None,
        vjp: Callable[..., Any] | None = None,
        jvp: Callable[..., Any] | None = None,
        emit: Callable[..., Any] | None = None,
        expand: Callable[..., Any] | None = None,
        identity: Callable[[DType], Any] | None = None,
        sample: Any = None,
        neutral: tuple[Any, Any] | None = None,
        rewrite: Callable[..., Any] | None = None,
        explain: Callable[[int, int], Any] | None = None,
        folds: Any = None,
        absorb: Callable[..., Any] | None = None,
        planes: Any = None,
        wirtinger: bool = False,
    ) -> None:
        self.name, self.family, self.doc, self.attrs, self.infer = name, family, doc, attrs, infer
        self.numpy, self.vjp, self.jvp, self.emit, self.expand = numpy, vjp, jvp, emit, expand
        self.identity, self.sample, self.folds = identity, sample, folds
        self.neutral, self.rewrite, self.explain = neutral, rewrite, explain
        self.planes, self.wirtinger, self.absorb = planes, wirtinger, absorb
        self.blamed = explain is not None or family in (GATHER, SCATTER)  # may fail on its data: the user's line is kept
        self.cache: dict[tuple, Any] = {}  # (attrs, specs) → Spec: shapes are checked once

    def result(self, specs: tuple[Spec, ...], attrs: tuple) -> Any:
        """The Spec (or tuple of Specs) of this op on such inputs; checked on first sight, remembered after."""
        key = (specs, attrs)
        found = self.cache.get(key)
        if found is None:
            if self.planes is None and self.family in _ARITHMETIC:
                self._refuse_complex(specs)
            found = self.cache[key] = self.infer(*specs, **dict(zip(self.attrs, attrs)))
        return found

    def _refuse_complex(self, specs: tuple[Spec, ...]) -> None:
        for s in specs:
            if s.dtype.is_complex:
                raise DTypeError(
                    "{name}: the input has dtype {dtype}, and {name} is not implemented for complex numbers; take x.real, x.imag, "
                    "x.abs() or x.angle() first",
                    name=self.name,
                    dtype=s.dtype.name,
                )

    def __repr__(self) -> str:
        return f"<op {self.name}>"


class Node:
    """One value: an op, its inputs, its attributes and its spec. Never changes.

    `spec` is a tuple of Specs where the op has several results; `pick` nodes take them apart. `origin` is the user's line that it stands
    for, where somebody asked for that (`from_line`).
    """

    __slots__ = ("attrs", "inputs", "op", "origin", "spec")
    line: ClassVar[Any] = None  # the origin of new nodes

    def __init__(self, op: Op, inputs: tuple[Node, ...], attrs: tuple, spec: Any) -> None:
        self.op, self.inputs, self.attrs, self.spec, self.origin = op, inputs, attrs, spec, Node.line

    def on(self, inputs: tuple[Node, ...]) -> Node:
        """The same op on other inputs; this node itself, where they are its own."""
        if inputs == self.inputs:  # nodes are equal to themselves alone
            return self
        made = Node(self.op, inputs, self.attrs, self.spec)
        made.origin = self.origin
        return made

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return self.spec.shape

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self.spec.dtype

    @property
    def named_attrs(self) -> dict[str, Any]:
        """The attributes by name."""
        return dict(zip(self.op.attrs, self.attrs))

    def __repr__(self) -> str:
        return f"{self.op.name}{list(self.attrs) if self.attrs else ''}: {self.spec}"


def from_line(line: Any) -> None:
    """New nodes come from this line of the user's (None: nobody asks)."""
    Node.line = line


def is_memory(node: Node) -> bool:
    """Whether a node is an input of a program: a source that is read from memory, by its slot."""
    return node.op.family == SOURCE and node.op.attrs == ("slot", "spec")


def is_plain_movement(node: Node) -> bool:
    """Whether every element of a node is an element of its one input."""
    return node.op.family == MOVEMENT and len(node.inputs) == 1 and node.op.folds is None


def known_as(node: Node, replace: dict[int, Node]) -> Node:
    """The node whose value this one is known to have: `replace` holds (by id) what is known as another."""
    while id(node) in replace:
        node = replace[id(node)]
    return node


def toposort(roots: Iterable[Node], stop: Callable[[Node], bool] | None = None) -> list[Node]:
    """Every node under `roots`, inputs before users, without recursion; does not look below nodes where `stop` is true."""
    order: list[Node] = []
    seen: set[int] = set()
    stack: list = [*roots][::-1]
    while stack:
        node = stack.pop()
        if type(node) is tuple:  # its inputs have their places
            order += node
        elif id(node) not in seen:
            seen.add(id(node))
            if node.inputs and (stop is None or not stop(node)):
                stack.append((node,))
                stack += node.inputs[::-1]
            else:
                order.append(node)
    return order


def render(roots: Iterable[Node]) -> str:
    """The graph as text, one node a line: `%3 = add(%1, %2) : float32[4, 4]`."""
    names: dict[int, str] = {}
    lines = []
    for node in toposort(roots):
        names[id(node)] = f"%{len(names)}"
        inputs = ", ".join(names[id(x)] for x in node.inputs)
        attrs = "".join(f", {k}={v}" for k, v in node.named_attrs.items())
        lines.append(f"{names[id(node)]} = {node.op.name}({inputs}{attrs}) : {node.spec}")
    return "\n".join(lines)
