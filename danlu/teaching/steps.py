"""L6. What was recorded, step by step: the values behind a loss, each with a letter, its formula, its number and its gradient.

The letters are those of textbooks: in layer l, z^l = W^l a^(l−1) + b^l, a^l = σ(z^l), and δ^l = ∂L/∂z^l.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from danlu import backward, engine
from danlu.autodiff import gradients
from danlu.dtype import readable
from danlu.engine import Runtime, Value
from danlu.graph import COMPOSITE, ELEMENTWISE, PICK, Node, Spec, toposort
from danlu.ops.source import CONST, STOP
from danlu.ops.table import PLACEHOLDER, TABLE, number_spec, o
from danlu.teaching.convert import expression_of
from danlu.teaching.expression import ONE, Expression, call, compute, named, number, size, symbol
from danlu.teaching.notation import latex_name, lowered, raised
from danlu.teaching.textbook import TEXTBOOK
from danlu.tensor.core import from_array
from danlu.tensor.modes import set_grad_enabled

LEAF, DATA, OPERATION = "leaf", "data", "operation"
# Composites that are clearer as the formula behind their name than by their name.
WRITTEN_OUT = {
    "linear",
    "matmul",
    "mm",
    "mv",
    "bmm",
    "dot",
    "outer",
    "inner",
    "mean",
    "mse_loss",
    "l1_loss",
    "addmm",
    "addmv",
    "silu",
}
ACTIVATIONS = {
    "sigmoid", "tanh", "relu", "softmax", "softplus", "gelu", "silu", "mish", "leaky_relu", "elu", "hardtanh", "softsign", "log_softmax",
    "exp", "sin",
}  # fmt: skip
PRODUCTS = {"linear", "matmul", "mm", "mv", "contract", "convolution"}
READABLE = 70  # signs: a longer derivative of one step is named, not written; `expand` shows it in steps
MOVED = {"permute", "expand", "reshape"}


class Step:
    """One value: what made it, from which steps, its letter and formula, its numbers, its gradient and what it is called by the user."""

    def __init__(self, value: Value, inputs: list[Step]) -> None:
        self.value, self.inputs, self.users = value, inputs, []
        self.kind = OPERATION if inputs else LEAF if value.grad else DATA
        self.letter: Expression = ONE
        self.formula: Expression | None = None  # of its inputs' letters
        self.constant: Expression | None = None  # a number that the program has, not a step to be shown
        self.name, self.layer = "", 0
        self.is_activation = self.is_input = self.is_bias = False
        self.array: np.ndarray = np.zeros(())
        self.gradient: np.ndarray | None = None
        for x in inputs:
            x.users.append(self)

    @property
    def op(self) -> str:
        """The name of the operation."""
        gate = gate_of(self.value)
        return self.value.op.name if gate is None else gate.name

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return self.value.spec.shape

    @property
    def gradient_letter(self) -> Expression:
        """δ^l for the z of a layer, ∂L/∂v for others."""
        if self.is_delta:
            return symbol("δ" + raised(self.layer), rf"\delta^{{{self.layer}}}", self.shape)
        text, latex = self.letter.data
        return symbol(f"∂L/∂{text}", rf"\frac{{\partial L}}{{\partial {latex}}}", self.shape)

    @property
    def is_delta(self) -> bool:
        """True for the weighted sum of a layer."""
        return self.kind == OPERATION and self.layer > 0 and not self.is_activation


def gate_of(value: Value) -> Any:
    """The step whose derivative is written in Python, where there is one."""
    return value.note.gate[0] if value.note is not None and value.note.gate is not None else None


# ---- from recorded values to steps --------------------------------------------------------------------------------------------


def _inputs(value: Value) -> list[Value]:
    """The values that a step is shown to come from: of what no derivative passes, only conditions on such values."""
    if value.grad or (not value.spec.dtype.is_floating_point and any(type(x) is Value and x.grad for x in value.inputs)):
        return [x for x in backward.sources(value) if type(x) is Value]
    return []


def ordered(root: Value) -> list[Value]:
    """Every value that is shown, inputs first."""
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
            stack.extend((x, False) for x in reversed(_inputs(v)) if id(x) not in done)
    return order


def steps_of(root: Value, names: Sequence[tuple[str, Any]], by_hand: bool) -> list[Step]:
    """The steps up to a value, with letters, formulas, numbers and gradients. `names`: (name, tensor) as the user calls them; `by_hand`:
    the names are to be the letters."""
    found: dict[int, Step] = {}
    for v in ordered(root):
        found[id(v)] = Step(v, [found[id(x)] for x in _inputs(v)])
    steps = list(found.values())
    for step in steps:
        step.constant = _constant(step)
    _numbers(steps)
    _name(steps, names)
    _layers(steps)
    _letters([s for s in steps if s.constant is None], by_hand)
    for step in steps:
        if step.constant is not None:
            step.letter = step.constant
        elif step.inputs:
            step.formula = _formula(step)
    return [s for s in steps if s.constant is None]


def _constant(step: Step) -> Expression | None:
    """A number of the program, also where it was stretched or cast."""
    given: Any = step.value.inputs
    if step.op == "full" and not step.inputs and given and type(given[0]) is not Value:
        return number(float(_plain(given[0])))
    return None


def _name(steps: list[Step], names: Sequence[tuple[str, Any]]) -> None:
    by_tensor = {id(t): name for name, t in names}
    by_value = {id(t._value()): name for name, t in names}
    for step in steps:
        tensor = step.value.leaf() if step.value.leaf is not None else None
        step.name = by_tensor.get(id(tensor), "") if tensor is not None else ""
        step.name = step.name or by_value.get(id(step.value), "")


def _layers(steps: list[Step]) -> None:
    """Numbers the weighted sums z^l, and what an activation makes of each."""
    count = 0
    for step in steps:
        if not _is_product(step) or step.layer:
            continue
        last = _summed(step)
        if not last.layer:
            count += 1
            last.layer = count
            for user in last.users:
                if user.op in ACTIVATIONS and not user.layer:
                    user.layer, user.is_activation = count, True
        for k, x in enumerate(step.inputs):
            _mark(_source(x), last.layer, is_bias=step.op == "linear" and k == 2)
        for x in last.inputs:
            if last is not step and _is_parameter(x):
                _mark(_source(x), last.layer, is_bias=True)


def _source(step: Step) -> Step:
    """The step behind transposes and stretches."""
    while step.op in MOVED and len(step.inputs) == 1:
        step = step.inputs[0]
    return step


def _is_parameter(step: Step) -> bool:
    return _source(step).kind == LEAF


def _is_product(step: Step) -> bool:
    """Whether a step multiplies by a parameter, as a layer does."""
    return step.op in PRODUCTS and step.value.grad and any(map(_is_parameter, step.inputs))


def _summed(step: Step) -> Step:
    """The last of the additions of biases and of other products (U h + W x + b) that follow a product, or the product itself."""
    while len(step.users) == 1 and step.users[0].op == "add" and step.op != "linear":
        (user,) = step.users
        if not all(x is step or _is_parameter(x) or _is_product(x) for x in user.inputs):
            break
        step = user
    return step


def _mark(source: Step, layer: int, is_bias: bool) -> None:
    """A leaf belongs to the first layer that uses it; data that a layer uses is an input."""
    if source.kind == LEAF and not source.layer:
        source.layer, source.is_bias = layer, is_bias
    source.is_input = source.is_input or source.kind == DATA


def _letters(steps: list[Step], by_hand: bool) -> None:
    counts: dict[str, int] = {}
    other = "y" if sum(s.kind == DATA and not s.is_input for s in steps) == 1 else "c"
    for step in steps:
        text, latex = _letter(step, counts, by_hand, step is steps[-1], other)
        step.letter = symbol(text, latex, step.shape)


def _letter(step: Step, counts: dict[str, int], by_hand: bool, is_root: bool, other: str) -> tuple[str, str]:
    if is_root:
        return "L", "L"
    if step.name and (by_hand or not step.layer):
        return step.name, latex_name(step.name)
    if step.layer:
        base = "a" if step.is_activation else "z" if step.kind == OPERATION else "b" if step.is_bias else "W"
        key = f"{base}{step.layer}"
        counts[key] = counts.get(key, 0) + 1
        if counts[key] == 1:
            return base + raised(step.layer), f"{base}^{{{step.layer}}}"
    base = "v" if step.kind == OPERATION else "θ" if step.kind == LEAF else "x" if step.is_input else other
    counts[base] = counts.get(base, 0) + 1
    alone = step.kind == DATA and counts[base] == 1
    return (base, base) if alone else (base + lowered(counts[base]), f"{_GREEK.get(base, base)}_{{{counts[base]}}}")


_GREEK = {"θ": r"\theta"}


# ---- formulas and derivatives of one step --------------------------------------------------------------------------------------


def dry_run(value: Value) -> tuple[list[Node], Node]:
    """The op of a value on nodes that stand for its inputs: these, and its result."""
    nodes = [_stand_in(x) for x in value.inputs]
    result = getattr(o, value.op.name)(*nodes, **dict(zip(value.op.attrs, value.attrs)))
    return nodes, result[value.index] if isinstance(result, tuple) else result


def _stand_in(x: Any) -> Node:
    if type(x) is Value:
        return Node(PLACEHOLDER, (), (), x.spec)
    x = x.value if type(x) is Runtime else x
    spec = number_spec(x)
    return Node(CONST, (), (x, spec.dtype), Spec((), spec.dtype, True))


def arguments(step: Step, letter: Callable[[Step], Expression]) -> list[Expression]:
    """What a step is computed from, numbers included."""
    steps = {id(s.value): s for s in step.inputs}
    return [letter(steps[id(x)]) if type(x) is Value else number(float(_plain(x))) for x in step.value.inputs]


def _plain(x: Any) -> Any:
    return x.value if type(x) is Runtime else x


def own_letter(step: Step) -> Expression:
    """The letter of a step."""
    return step.letter


def _formula(step: Step, letter: Callable[[Step], Expression] = own_letter) -> Expression:
    """The value of a step from those of its inputs."""
    value = step.value
    gate = gate_of(value)
    if gate is not None:
        return named(gate.name, rf"\operatorname{{{gate.name}}}", [letter(x) for x in step.inputs], own_letter(step))
    args = arguments(step, letter)
    if value.op.family == COMPOSITE and value.op.name not in WRITTEN_OUT:
        return call(value.op, args, value.attrs, step.shape)
    nodes, result = dry_run(value)
    return expression_of(result, {id(n): e for n, e in zip(nodes, args) if n.op is PLACEHOLDER})


formula = _formula


def contributions(step: Step, g: Expression, letter: Callable[[Step], Expression] = own_letter) -> list[tuple[Step, Expression]]:
    """What a step passes on to each input when its own gradient is g: the chain rule at one node."""
    value, gate = step.value, gate_of(step.value)
    if not step.inputs:
        return []
    if gate is not None:
        name, latex = f"{gate.name}.backward", rf"\operatorname{{{gate.name}.backward}}"
        return [(x, named(name, latex, [g], x.gradient_letter)) for x in step.inputs if x.value.grad]
    by_value = {id(s.value): s for s in step.inputs}
    inputs = [by_value.get(id(x)) for x in value.inputs]
    rule = TEXTBOOK.get(value.op.name)
    if rule is not None:
        found = rule(g, letter(step), arguments(step, letter), value.inputs, dict(zip(value.op.attrs, value.attrs)), array_of)
        if found is not None:
            return [(s, e) for s, e in zip(inputs, found) if s is not None and e is not None and s.value.grad]
    nodes, result = dry_run(value)
    seed = Node(PLACEHOLDER, (), (), result.spec)
    known = {id(n): e for n, e in zip(nodes, arguments(step, letter)) if n.op is PLACEHOLDER} | {id(seed): g}
    known.setdefault(id(result), letter(step))
    grads = gradients([result], [seed], nodes)
    found = [(s, expression_of(e, known)) for s, e in zip(inputs, grads) if s is not None and e is not None and s.value.grad]
    return [(s, _shortened(step, g, e, k)) for k, (s, e) in enumerate(found)]


def _shortened(step: Step, g: Expression, e: Expression, k: int) -> Expression:
    """A derivative that is too long to be read, by its name: the k-th result of the op's vjp."""
    if size(e) <= READABLE:
        return e
    name = f"{step.op}.vjp{k + 1}"
    return named(name, rf"\operatorname{{{name}}}".replace("_", r"\_"), [g], e)


# ---- numbers ------------------------------------------------------------------------------------------------------------------


def array_of(value: Value) -> np.ndarray:
    """The elements of a recorded value, computed now if they were not."""
    with backward.kept([value]):
        return readable(engine.realize(value).as_numpy(value.spec.shape, value.spec.dtype.numpy))


def _numbers(steps: Sequence[Step]) -> None:
    """Every value, then every gradient: the chain rule itself, node by node from the loss to the leaves, by the NumPy references."""
    for step in steps:
        if step.inputs and gate_of(step.value) is None and step.value.buffer is None:
            nodes, result = dry_run(step.value)
            step.array = _computed([result], nodes, step)[0]
        else:
            step.array = array_of(step.value).copy()
    steps[-1].gradient = np.ones_like(steps[-1].array)
    for step in reversed(steps):
        if step.gradient is not None:
            for x, part in _passed_on(step):
                x.gradient = part if x.gradient is None else x.gradient + part


def _passed_on(step: Step) -> list[tuple[Step, np.ndarray]]:
    """What the gradient of a step adds to those of its inputs."""
    gate, by_value = gate_of(step.value), {id(s.value): s for s in step.inputs}
    if gate is not None:
        given: list[Any] = [None] * gate.num_results
        given[step.value.note.gate[1]] = from_array(np.ascontiguousarray(step.gradient))._value()  # type: ignore[union-attr]
        found = gate.pull(gate, given, False)
        return [(by_value[id(x)], array_of(g)) for x, g in zip(gate.inputs, found) if g is not None and x.grad]
    if not step.inputs:
        return []
    nodes, result = dry_run(step.value)
    seed = Node(PLACEHOLDER, (), (), result.spec)
    grads = [
        (by_value[id(x)], g)
        for x, g in zip(step.value.inputs, gradients([result], [seed], nodes))
        if type(x) is Value and g is not None and x.grad
    ]
    return list(zip([s for s, _ in grads], _computed([g for _, g in grads], [*nodes, seed], step)))


def _computed(roots: list[Node], nodes: list[Node], step: Step) -> list[np.ndarray]:
    """Nodes of a dry run as numbers."""
    steps = {id(s.value): s for s in step.inputs}
    arrays = [steps[id(x)].array for x in step.value.inputs if type(x) is Value]
    holes = [n for n in nodes if n.op is PLACEHOLDER]
    if len(holes) > len(arrays):
        arrays.append(step.gradient)  # type: ignore[arg-type]
    return compute(roots, arrays, holes)


# ---- composites written out ------------------------------------------------------------------------------------------------------


def primitive(root: Value) -> Value:
    """The same value, every composite recorded again as the primitive ops that it stands for."""
    known: dict[int, Any] = {}
    with set_grad_enabled(True):
        for v in ordered(root):
            inputs = _inputs(v)
            if inputs and gate_of(v) is None:
                given = [known.get(id(x), x) if type(x) is Value else x for x in v.inputs]
                known[id(v)] = _again(v, given)
            else:
                known[id(v)] = v
    return known[id(root)]


def _again(v: Value, inputs: list[Any]) -> Value:
    if v.op.family != COMPOSITE:
        result = engine.record(v.op, tuple(inputs), v.attrs, v.grad)
        return result[v.index] if type(result) is tuple else result
    nodes, root = dry_run(v)
    found: dict[int, Any] = {id(n): x for n, x in zip(nodes, inputs)}
    for node in toposort([root]):
        if id(node) not in found:
            found[id(node)] = _recorded(node, [found[id(x)] for x in node.inputs])
    return found[id(root)]


def _recorded(node: Node, args: list[Any]) -> Any:
    """A primitive op on recorded values; a constant, also a stretched one, stays a number as long as it can."""
    if node.op is CONST:
        return node.attrs[0]
    if node.op.family == PICK:
        return args[0][node.attrs[0]]
    plain = [type(x) in (int, float, bool) for x in args]
    if node.op.name == "expand" and plain[0]:
        return args[0]
    if node.op.family != ELEMENTWISE or all(plain):
        args = [
            engine.record(TABLE["full"], (x,), (n.shape, n.dtype), False) if number_like else x
            for x, n, number_like in zip(args, node.inputs, plain)
        ]
    return engine.record(node.op, tuple(args), node.attrs, node.op is not STOP)


__all__ = ["Step", "contributions", "formula", "primitive", "steps_of"]
