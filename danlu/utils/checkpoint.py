"""L6. Checkpoints: activations that are computed again in the backward pass instead of being kept.

What was recorded is a recipe, so nothing has to be run again in Python: values inside a checkpoint are marked, a program does not leave
them behind, and the backward pass computes them from the inputs of the checkpoint, with the same random numbers, to the same bits.
At the result of a checkpoint the backward pass is cut: the part behind it runs before the activations inside come back, so that at no
time those of two checkpoints are there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from danlu.engine import Value, realize, watch
from danlu.errors import GradientError
from danlu.programs import read_later
from danlu.tensor import is_grad_enabled
from danlu.tensor.core import tensors_in


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    determinism_check: str = "default",
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, whose inner values are computed again in the backward pass instead of being kept.

    y = function(*args, **kwargs)

    Memory for time: about one more forward pass. The other arguments are PyTorch's and change nothing: the random numbers are
    always the same.

    Shapes: those of the function.

    >>> import danlu
    >>> from danlu.utils.checkpoint import checkpoint
    >>> x = danlu.ones(3, requires_grad=True)
    >>> checkpoint(lambda x: (x * 2).exp().sin(), x).sum().backward()
    >>> x.grad
    tensor([6.6259, 6.6259, 6.6259])

    Source: T. Chen et al., Training Deep Nets with Sublinear Memory Cost (2016).
    """
    if not is_grad_enabled():
        return function(*args, **kwargs)
    with watch(_mark):
        result = function(*args, **kwargs)
        values = [y._value() for y in tensors_in(result)]
    for value in values:
        note = value.noted()
        note.recompute = False
        if value.grad and not note.traced:
            note.hooks = {**(note.hooks or {}), -1: _run}
    return result


def _mark(inputs: Sequence[Any], result: Any) -> None:
    for value in result if type(result) is tuple else (result,):
        value.noted().recompute = True
        if not value.grad:
            read_later(inputs)


def _run(g: Value) -> Value:
    """What is pending runs up to here, before the values inside the checkpoint are computed again."""
    if g.note is None or not g.note.traced:
        g.handles += 1
        try:
            realize(g)
        finally:
            g.handles -= 1
    return g


def checkpoint_sequential(functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any) -> Any:
    """Functions one after another, in `segments` checkpoints of about equal length; the last part is kept as usual.

    y = fₙ(… f₂(f₁(input)))

    Shapes: those of the functions.

    >>> import danlu
    >>> from danlu.utils.checkpoint import checkpoint_sequential
    >>> checkpoint_sequential([danlu.exp, danlu.sin, danlu.tanh], 2, danlu.zeros(1))
    tensor([0.6866])
    """
    steps = list(functions.children()) if hasattr(functions, "children") else list(functions)
    if not 1 <= segments <= len(steps):
        raise GradientError(
            "checkpoint_sequential: {segments} segments for {count} functions; expected 1 … {count}",
            segments=segments,
            count=len(steps),
        )
    length = len(steps) // segments
    for start in range(0, length * (segments - 1), length):
        input = checkpoint(_in_turn(steps[start : start + length]), input, **kwargs)
    return _in_turn(steps[length * (segments - 1) :])(input)


def _in_turn(steps: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def run(x: Any) -> Any:
        for step in steps:
            x = step(x)
        return x

    return run


__all__ = ["checkpoint", "checkpoint_sequential"]
