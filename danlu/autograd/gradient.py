"""L6. `grad` and `backward`: gradients of several tensors with respect to several others."""

from __future__ import annotations

from typing import Any

from danlu.errors import GradientError
from danlu.tensor import is_grad_enabled, no_grad
from danlu.tensor.creation import stack
from danlu.tensor.differentiation import backward_, gradients


class inference_mode(no_grad):
    """`no_grad` under the name that PyTorch has for evaluation: danlu keeps no version counters that it could save.

    >>> import danlu
    >>> with danlu.autograd.inference_mode():
    ...     (danlu.ones(1, requires_grad=True) * 2).requires_grad
    False
    """

    def __new__(cls, mode: Any = True) -> Any:
        return super().__new__(cls, mode if callable(mode) else None)

    def __init__(self, mode: Any = True) -> None:
        self.mode = not mode and is_grad_enabled()

    def _recreate_cm(self) -> inference_mode:
        return type(self)(not self.mode)


def _listed(x: Any) -> list[Any]:
    return list(x) if isinstance(x, (list, tuple)) else [x]


def _seeds(outputs: list[Any], given: Any, name: str) -> list[Any]:
    seeds = [None] * len(outputs) if given is None else _listed(given)
    if len(seeds) != len(outputs):
        raise GradientError(
            "{name} has {seed_count} gradients for {output_count} tensors; give one for each, None where it is 1",
            name=name,
            seed_count=len(seeds),
            output_count=len(outputs),
        )
    return seeds


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of Σ outputs · grad_outputs with respect to the inputs, as a tuple; no `.grad` changes.

    gᵢ = ∂(Σ outputs · grad_outputs)/∂inputsᵢ

    allow_unused: None for an input on which no output depends, instead of an error. materialize_grads: zeros for it.
    create_graph: the result can be differentiated again. is_grads_batched: grad_outputs has one axis more in front, and the result too.
    only_inputs: a word of old scripts; other leaves never get anything.

    Shapes: outputs, and grad_outputs of equal shapes → gradients of the shapes of the inputs.

    Raises GradientError where an input does not require grad or is not used.

    >>> import danlu
    >>> x = danlu.tensor(2.0, requires_grad=True)
    >>> (g,) = danlu.autograd.grad(x ** 3, x, create_graph=True)
    >>> danlu.autograd.grad(g, x)
    (tensor(12.),)
    """
    ys, xs = _listed(outputs), _listed(inputs)
    if allow_unused is False and materialize_grads:
        raise GradientError(
            "grad: materialize_grads=True gives zeros for unused inputs; allow_unused=False forbids them. Leave one out"
        )
    for x in xs:
        if not x.requires_grad:
            raise GradientError("grad: one of the inputs does not require grad; write x.requires_grad_() before it is used")
    keep = create_graph if retain_graph is None else retain_graph
    if is_grads_batched:
        rows = zip(*[g.unbind(0) for g in _seeds(ys, grad_outputs, "grad_outputs")])
        every = [grad(ys, xs, row, True, create_graph, True, allow_unused, False, materialize_grads) for row in rows]
        return tuple(None if column[0] is None else stack(column) for column in zip(*every))
    _, found = gradients(ys, _seeds(ys, grad_outputs, "grad_outputs"), xs, keep, create_graph)
    if not (allow_unused or materialize_grads) and any(g is None for g in found):
        at = next(k for k, g in enumerate(found) if g is None)
        raise GradientError(
            "grad: input {at} was not used in the graph of the outputs; allow_unused=True gives None for it", at=at
        )
    zeros = [x.detach() * 0 if g is None and materialize_grads else None for x, g in zip(xs, found)]
    return tuple(zero if g is None else g for g, zero in zip(found, zeros))


def backward(
    tensors: Any, grad_tensors: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
) -> None:
    """Adds the gradient of Σ tensors · grad_tensors to the `.grad` of the leaves.

    x.grad ← x.grad + ∂(Σ tensors · grad_tensors)/∂x for every leaf x

    Shapes: tensors, and grad_tensors of equal shapes (one element: may be left out).

    >>> import danlu
    >>> x = danlu.ones(2, requires_grad=True)
    >>> danlu.autograd.backward([x.sum(), (x * 3).sum()])
    >>> x.grad
    tensor([4., 4.])
    """
    ys = _listed(tensors)
    backward_(ys, _seeds(ys, grad_tensors, "grad_tensors"), inputs, retain_graph, create_graph)


__all__ = ["backward", "grad", "inference_mode"]
