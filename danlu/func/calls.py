"""L6. One call of a function that is transformed: nested structures of tensors, values of their own, what was recorded for a whole batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from danlu import engine
from danlu.backward import gradients, history, is_station, sources, tangents
from danlu.batching import BATCH
from danlu.engine import Value
from danlu.errors import GradientError
from danlu.graph import Spec
from danlu.messages import Phrase
from danlu.ops import TABLE
from danlu.programs import read_later
from danlu.tensor import Tensor, enable_grad, is_grad_enabled
from danlu.tensor.core import HOLD, wrap

# ---- nested structures of tensors ---------------------------------------------------------------------------------------------


def flatten(tree: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """The leaves of nested lists, tuples and dicts, and a function that puts others in their places.

    >>> leaves, rebuild = flatten({"a": 1, "b": (2, 3)})
    >>> leaves, rebuild([x * 10 for x in leaves])
    ([1, 2, 3], {'a': 10, 'b': (20, 30)})
    """
    if isinstance(tree, dict):
        values, rebuild = flatten(list(tree.values()))
        return values, lambda new: type(tree)(zip(tree, rebuild(new)))
    if not isinstance(tree, (list, tuple)):
        return [tree], lambda new: new[0]
    parts = [flatten(branch) for branch in tree]

    def rebuild_all(new: Sequence[Any]) -> Any:
        built, at = [], 0
        for leaves, rebuild in parts:
            built.append(rebuild(new[at : at + len(leaves)]))
            at += len(leaves)
        return type(tree)(*built) if hasattr(tree, "_fields") else type(tree)(built)

    return [x for leaves, _ in parts for x in leaves], rebuild_all


def tensors_of(tree: Any, what: Phrase) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    leaves, rebuild = flatten(tree)
    for x in leaves:
        if not isinstance(x, Tensor):
            raise GradientError(
                "{what} has {kind} where a tensor was expected; write danlu.tensor(...) around it",
                what=what,
                kind=type(x).__name__,
            )
    return leaves, rebuild


# ---- one call of the function -------------------------------------------------------------------------------------------------


class Run:
    """A function called on tensors that have a value of their own, so that derivatives can be asked with respect to it."""

    def __init__(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: dict, argnums: Sequence[int], has_aux: bool
    ) -> None:
        given, self.rebuild = tensors_of([args[k] for k in argnums], Phrase("an argument that is differentiated"))
        self.xs = [_own_value(x) for x in given]
        placed = list(args)
        for k, new in zip(argnums, self.rebuild([wrap(v) for v in self.xs])):
            placed[k] = new
        with enable_grad():
            result = function(*placed, **kwargs)
            if has_aux and not (isinstance(result, tuple) and len(result) == 2):
                raise GradientError("has_aux=True: the function must return a pair (output, auxiliary)")
            output, self.aux = result if has_aux else (result, None)
            self.outputs, self.rebuild_outputs = tensors_of(output, Phrase("what the function returned"))
            self.ys = [y._value() for y in self.outputs]
        self.outer = is_grad_enabled() and _depends_on_more(self.ys, self.xs)
        self.aux = self._plain_tree(self.aux)

    def _plain_tree(self, tree: Any) -> Any:
        leaves, rebuild = flatten(tree)
        return rebuild([self._plain(x) if isinstance(x, Tensor) else x for x in leaves])

    def _plain(self, y: Any) -> Any:
        return y if self.outer or not y.requires_grad else wrap(y.detach()._value())

    @property
    def output(self) -> Any:
        """What the function returned, without the derivative that belongs to this transform alone."""
        return self.rebuild_outputs([self._plain(y) for y in self.outputs])

    def pulled(self, seeds: Sequence[Value], create_graph: bool) -> list[Value]:
        """The gradients of Σ ys · seeds with respect to each x."""
        pairs = [(y, g) for y, g in zip(self.ys, seeds) if y.grad]
        if not pairs:
            return [zeros(x.spec) for x in self.xs]
        _, found = gradients([y for y, _ in pairs], [g for _, g in pairs], self.xs, True, create_graph, HOLD)
        return [zeros(x.spec) if g is None else g._value() for x, g in zip(self.xs, found)]

    def pushed(self, dxs: Sequence[Value], create_graph: bool) -> list[Value]:
        """The tangents of each y for tangents of each x."""
        found = tangents(self.ys, self.xs, dxs, create_graph)
        return [zeros(y.spec) if d is None else d for y, d in zip(self.ys, found)]

    def has_stations(self) -> bool:
        """True where Python has a word in the derivative."""
        return any(is_station(v) for v in history([y for y in self.ys if y.grad]))


def _own_value(x: Tensor) -> Value:
    if not x.dtype.differentiable:
        raise GradientError(
            "only floating and complex dtypes have derivatives; an argument is {dtype}. Write x.float(), or leave it out by argnums",
            dtype=x.dtype.name,
        )
    value = x._value()
    own = engine.record(TABLE["carry"], (value, value), (), True)
    return own.track()


def zeros(spec: Spec) -> Value:
    return engine.record(TABLE["full"], (0,), (spec.shape, spec.dtype), False)


def _depends_on_more(ys: Sequence[Value], xs: Sequence[Value]) -> bool:
    """True where something outside the transform can ask for a derivative too."""
    own = {id(x) for x in xs}
    return any(
        id(v) not in own and not any(type(x) is Value and x.grad for x in sources(v)) for v in history([y for y in ys if y.grad])
    )


def numbers_of(argnums: Any, count: int) -> tuple[tuple[int, ...], bool]:
    single = isinstance(argnums, int)
    numbers = (argnums,) if single else tuple(argnums)
    for k in numbers:
        if not -count <= k < count:
            raise GradientError(
                "argnums {number}: the function was given {count} arguments; expected {lowest} … {highest}",
                number=k,
                count=count,
                lowest=-count,
                highest=count - 1,
            )
    return tuple(k % count for k in numbers), single


def as_given(run: Run, found: Sequence[Value], single: bool) -> Any:
    trees = run.rebuild([wrap(v) for v in found])
    return trees[0] if single else tuple(trees)


# ---- what was recorded, for a whole batch -----------------------------------------------------------------------------------------


def mark_traced(inputs: Sequence[Any], result: Any) -> None:
    if any(type(x) is Value and x.note is not None and x.note.traced for x in inputs):
        for value in result if type(result) is tuple else (result,):
            value.noted().traced = True
            if not value.grad:
                read_later(inputs)


def batch_of(ys: Sequence[Value], xs: Sequence[Value], fulls: Sequence[Value], differentiable: bool) -> tuple[Value, ...]:
    return engine.record(BATCH, (*ys, *xs, *fulls), (len(ys), fulls[0].spec.shape[0]), differentiable)
