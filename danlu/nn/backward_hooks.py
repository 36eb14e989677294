"""L7. The backward hooks of a module: what its gradients pass between its outputs and its inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from danlu.autograd import Function
from danlu.errors import GradientError
from danlu.tensor import Tensor

Grads = tuple[Any, ...]


class _Watched(Function):
    """The identity on some tensors; `seen(grads)` is told of their gradients and gives those that go on."""

    @staticmethod
    def forward(ctx: Any, seen: Callable[[Grads], Grads], *tensors: Tensor) -> Grads:
        ctx.seen = seen
        ctx.set_materialize_grads(False)
        return tensors

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Grads:
        return (None, *ctx.seen(grads))


class BackwardHooks:
    """One call of a module that has backward hooks."""

    def __init__(self, module: Any, before: Iterable[Callable[..., Any]], after: Iterable[Callable[..., Any]]) -> None:
        self.module, self.before, self.after = module, list(before), list(after)
        self.grad_output: Grads = ()
        self.num_inputs = 0
        self.places: list[int] = []

    def enter(self, inputs: tuple) -> tuple:
        """The inputs, watched."""
        self.num_inputs = len(inputs)
        self.places = [k for k, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
        return _replaced(inputs, self.places, self._at_inputs)

    def leave(self, result: Any) -> Any:
        """The outputs, watched."""
        outputs = result if isinstance(result, (tuple, list)) else (result,)
        places = [k for k, y in enumerate(outputs) if isinstance(y, Tensor)]
        watched = _replaced(tuple(outputs), places, self._at_outputs)
        return type(result)(watched) if isinstance(result, (tuple, list)) else watched[0]

    def _at_outputs(self, grads: Grads) -> Grads:
        for hook in self.before:
            grads = _changed(hook(self.module, grads), grads, "register_full_backward_pre_hook")
        self.grad_output = grads
        if not self.places:
            self._call((None,) * self.num_inputs)
        return grads

    def _at_inputs(self, grads: Grads) -> Grads:
        given: list[Any] = [None] * self.num_inputs
        for k, g in zip(self.places, grads):
            given[k] = g
        found = self._call(tuple(given))
        return tuple(found[k] for k in self.places)

    def _call(self, grads: Grads) -> Grads:
        for hook in self.after:
            grads = _changed(hook(self.module, grads, self.grad_output), grads, "register_full_backward_hook")
        return grads


def _replaced(tensors: tuple, places: list[int], seen: Callable[[Grads], Grads]) -> tuple:
    if not places:
        return tensors
    out = list(tensors)
    for k, watched in zip(places, _Watched.apply(seen, *[tensors[k] for k in places])):
        out[k] = watched
    return tuple(out)


def _changed(result: Any, grads: Grads, name: str) -> Grads:
    if result is None:
        return grads
    result = result if isinstance(result, tuple) else (result,)
    if len(result) != len(grads):
        raise GradientError(
            "a hook of {name} returned {result_count} gradients; expected {grad_count}, or None to change nothing",
            name=name,
            result_count=len(result),
            grad_count=len(grads),
        )
    return result
