"""L6. What a derivative costs: a function recorded once, in float64, and its value, tangent and gradient as compiled programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.autodiff import gradients, tangent
from danlu.compile import program
from danlu.compile.simplify import simplify
from danlu.config import config
from danlu.engine import Runtime, Value, realize
from danlu.errors import DanluError, GradientError
from danlu.graph import CONTRACT, MOVEMENT, REDUCE, SOURCE, Node, Spec, is_memory, render, toposort
from danlu.ops.source import BUFFER, CONST, aliased, stopped
from danlu.ops.table import number_spec, o
from danlu.runtime.buffers import Buffer
from danlu.runtime.executable import Interpreted, compiled
from danlu.teaching.words import say
from danlu.tensor import Tensor, tensor
from danlu.tensor.modes import set_grad_enabled

REPEATS, ENOUGH = 30, 0.05  # runs of one pass, and seconds after which fewer do


class Recording:
    """f, recorded at x and rebuilt in float64: `x` and `y` are nodes, `arrays` the inputs of the graph, x the first of them."""

    def __init__(self, f: Callable[[Any], Any], x: Any, lang: str) -> None:
        own, exact = _input(x, lang)
        with set_grad_enabled(True):
            own.requires_grad_()
            result = f(own)
            if not isinstance(result, Tensor):
                raise DanluError(
                    say(lang, "error.tensor", tool="compare: f", kind=type(result).__name__, instead="lambda x: x.sin()")
                )
            value, leaf = result._value(), own._value()
        if not value.grad:
            raise GradientError(say(lang, "error.independent"))
        self.arrays, self._constants = [exact], {}
        self.x, self.y = self._graph(value, leaf, lang)

    def _graph(self, root: Value, leaf: Value, lang: str) -> tuple[Node, Node]:
        spec = Spec(leaf.spec.shape, dt.float64)
        found: dict[int, Any] = {id(leaf): Node(BUFFER, (), (0, spec), spec)}
        for v in _history(root, leaf):
            if v.note is not None and v.note.gate is not None:
                raise GradientError(say(lang, "error.gate", name=v.note.gate[0].name))
            inputs = [x for x in v.inputs if type(x) is Value]
            if id(v) in found or not any(id(x) in found for x in inputs):
                continue  # x itself, or what does not depend on it
            constants = [x for x in inputs if id(x) not in found]
            memory = {id(x): self._memory(x) for x in {id(x): x for x in constants}.values()}
            found[id(v)] = _rebuilt(v, {**found, **memory})
        if id(root) not in found:
            raise GradientError(say(lang, "error.independent"))
        return found[id(leaf)], found[id(root)]

    def _memory(self, v: Value) -> Node:
        """A value that does not depend on x, as an input of the graph; single numbers become part of it."""
        if id(v) not in self._constants:
            self._constants[id(v)] = self._constant(v), v
        return self._constants[id(v)][0]

    def _constant(self, v: Value) -> Node:
        array = dt.readable(realize(v).as_numpy(v.spec.shape, v.spec.dtype.numpy))
        exact = array.astype(np.float64) if v.spec.dtype.is_floating_point else array.copy()
        spec = Spec(v.spec.shape, dt.from_numpy(exact.dtype))
        if exact.ndim == 0:
            return Node(CONST, (), (exact.item(), spec.dtype), spec)
        self.arrays.append(exact)
        return Node(BUFFER, (), (len(self.arrays) - 1, spec), spec)

    def seed(self, shape: tuple[int, ...]) -> Node:
        """One more input: the seed of a pass."""
        spec = Spec(shape, dt.float64)
        return Node(BUFFER, (), (len(self.arrays), spec), spec)


def _input(x: Any, lang: str) -> tuple[Tensor, np.ndarray]:
    """x as a tensor of its own, and its exact numbers."""
    own = x.detach().clone() if isinstance(x, Tensor) else tensor(x)
    if not own.dtype.is_floating_point:
        raise GradientError(say(lang, "error.float", dtype=own.dtype.name))
    exact = own.detach().numpy() if isinstance(x, Tensor) else np.asarray(x)
    return own, exact.astype(np.float64)


def _is_known(v: Value) -> bool:
    return v.buffer is not None and not (v.grad and v.inputs)


def _history(root: Value, leaf: Value) -> list[Value]:
    """Every value from x to the result, inputs first, also those that no derivative passes, as long as they are not memory."""
    order: list[Value] = []
    done: set[int] = set()
    stack = [(root, False)]
    while stack:
        v, expanded = stack.pop()
        if expanded:
            order.append(v)
        elif id(v) not in done:
            done.add(id(v))
            stack.append((v, True))
            if v is not leaf and not _is_known(v):
                stack.extend((x, False) for x in reversed(v.inputs) if type(x) is Value)
    return order


def _rebuilt(v: Value, found: dict[int, Any]) -> Node:
    """A recorded call on nodes of float64."""
    inputs = [found[id(x)] if type(x) is Value else _number(x) for x in v.inputs]
    attrs = [dt.float64 if v.op.name == "cast" and a in (dt.float32, dt.float16) else a for a in v.attrs]
    result = getattr(o, v.op.name)(*inputs, **dict(zip(v.op.attrs, attrs)))
    node = result[v.index] if isinstance(result, tuple) else result
    cut = not v.grad and any(type(x) is Value and x.grad for x in v.inputs) and v.spec.dtype.is_floating_point
    return stopped(node) if cut else node


def _number(x: Any) -> Node:
    x = x.value if type(x) is Runtime else x
    spec = number_spec(x)
    return Node(CONST, (), (x, spec.dtype), Spec((), spec.dtype, True))


# ---- programs -----------------------------------------------------------------------------------------------------------------


class Program:
    """Roots of a recording as one compiled program, with what it costs."""

    def __init__(self, recording: Recording, roots: Sequence[Node], num_inputs: int) -> None:
        self.roots = simplify(roots)
        self.nodes, self.operations = count_nodes(self.roots), count_operations(self.roots)
        self._buffers = [Buffer.from_numpy(a, True) for a in recording.arrays]
        own = [aliased(r) if is_memory(r) else r for r in roots]
        self._specs = [r.spec for r in roots]
        if config.optimize:
            self._executable: Any = compiled(
                f"teaching {num_inputs}\n{render(own)}\n{[id_of(r, own) for r in own]}",
                lambda: (program.build(own, num_inputs), {}),
            )[0]
        else:
            self._executable = Interpreted(own, {})

    def run(self, *given: np.ndarray, x: np.ndarray | None = None) -> list[np.ndarray]:
        """The roots; `given`: what is put behind the inputs (a seed); `x`: another place."""
        results = self._executable.run(self._inputs(given, x), ())
        return [b.as_numpy(s.shape, s.dtype.numpy) for b, s in zip(results, self._specs)]

    def _inputs(self, given: Sequence[np.ndarray], x: np.ndarray | None) -> list[Buffer]:
        first = self._buffers[:1] if x is None else [Buffer.from_numpy(x, True)]
        return [*first, *self._buffers[1:], *[Buffer.from_numpy(g, True) for g in given]]

    def seconds(self, *given: np.ndarray) -> float:
        """The median time of one run."""
        inputs = self._inputs(given, None)
        return median_seconds(lambda: self._executable.run(inputs, ()))


def id_of(node: Node, nodes: Sequence[Node]) -> int:
    """The first place at which a node stands."""
    return next(k for k, n in enumerate(nodes) if n is node)


def median_seconds(run: Callable[[], Any]) -> float:
    """The median time of a call, after one that warms up."""
    run()
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < REPEATS and (len(times) < 3 or time.perf_counter() - began < ENOUGH):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def value_program(r: Recording) -> Program:
    """x → f(x)"""
    return Program(r, [r.y], len(r.arrays))


def reverse_program(r: Recording) -> Program:
    """x, ȳ → f(x), x̄ = ȳ · ∂f/∂x (vjp)"""
    seed = r.seed(r.y.shape)
    (gx,) = gradients([r.y], [seed], [r.x])
    return Program(r, [r.y, o.like(0, r.x) if gx is None else gx], len(r.arrays) + 1)


def forward_program(r: Recording) -> Program:
    """x, ẋ → f(x), ẏ = ∂f/∂x · ẋ (jvp)"""
    seed = r.seed(r.x.shape)
    (dy,) = tangent([r.y], [r.x], [seed])
    return Program(r, [r.y, o.like(0, r.y) if dy is None else dy], len(r.arrays) + 1)


# ---- counting -------------------------------------------------------------------------------------------------------------------


def _works(node: Node) -> bool:
    """Whether a node computes something; movements only say where to read."""
    return node.op.family not in (SOURCE, MOVEMENT, "pick") and node.op.name not in ("stop", "carry", "rounded", "shares", "cast")


def count_nodes(roots: Sequence[Node]) -> int:
    """The nodes of a graph that compute, each once."""
    return sum(map(_works, toposort(roots)))


def _operations(node: Node) -> int:
    """Floating operations of one node: one per element of an elementwise op or a sum, two per product of a contraction."""
    if not _works(node):
        return 0
    if node.op.family == CONTRACT:
        first, second, _ = node.attrs[0]
        sizes = dict(zip(first + second, node.inputs[0].shape + node.inputs[1].shape))
        return 2 * prod(sizes.values())
    if node.op.family == REDUCE:
        return node.inputs[0].spec.size
    specs = node.spec if isinstance(node.spec, tuple) else (node.spec,)
    return sum(s.size for s in specs)


def count_operations(roots: Sequence[Node]) -> int:
    """Floating operations of a graph."""
    return sum(map(_operations, toposort(roots)))


def written_out(roots: Sequence[Node], measure: Callable[[Node], int] = _works) -> int:
    """The size of a graph as a tree: what is shared counts each time that it is used."""
    sizes: dict[int, int] = {}
    for node in toposort(roots):
        sizes[id(node)] = measure(node) + sum(sizes[id(x)] for x in node.inputs)
    return sum(sizes[id(r)] for r in roots)


def signs(node: Node) -> int:
    """What a node adds to the length of the formula: letters, numbers and operations, but no movement."""
    return int(node.op.family == SOURCE or _works(node))


def operations_written_out(roots: Sequence[Node]) -> int:
    """Floating operations where nothing is shared."""
    return written_out(roots, _operations)


def stored_bytes(r: Recording) -> int:
    """The memory of the values of the forward pass that the way back reads: x and constants are there anyway."""
    (y,), seed = simplify([r.y]), r.seed(r.y.shape)
    forward = {id(n): n for n in toposort([y])}
    grads = [
        g for g in gradients([y], [seed], [n for n in forward.values() if is_memory(n) and n.attrs[0] == 0]) if g is not None
    ]
    reached = toposort(grads, stop=lambda n: id(n) in forward)
    kept = [n for n in reached if id(n) in forward and _works(n) and not isinstance(n.spec, tuple)]
    return sum(n.spec.size * n.dtype.itemsize for n in kept)


__all__ = [
    "Program", "Recording", "count_nodes", "count_operations", "forward_program", "median_seconds", "operations_written_out",
    "reverse_program", "signs", "stored_bytes", "value_program", "written_out",
]  # fmt: skip
