"""L8. Where a NaN or an infinity began: the forward pass of the faulty step, once more, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import numpy as np

from danlu.nn import Module
from danlu.tensor import Tensor


def origin_of_fault(model: Module, loss: Callable[[Tensor, Tensor], Tensor], inputs: Tensor, targets: Tensor) -> str:
    """Words for the first place whose value is not finite: "in the output of layer 2 (Linear 64 -> 10)", "in the inputs", ...

    Shapes: inputs [batch, ...], targets [batch, ...], as in the training step.

    >>> import danlu
    >>> from danlu import nn
    >>> model = nn.Sequential(nn.Linear(1, 1))
    >>> origin_of_fault(model, nn.MSELoss(), danlu.tensor([[float("nan")]]), danlu.tensor([[0.0]]))
    'in the inputs of the batch (row 0 holds nan)'
    """
    for name, value in (("inputs", inputs), ("targets", targets)):
        fault = fault_in(value)
        if fault:
            return f"in the {name} of the batch (row {fault[0][0] if fault[0] else 0} holds {fault[1]})"
    for name, parameter in model.named_parameters():
        fault = fault_in(parameter)
        if fault:
            return f"in the parameter {name}, which holds {fault[1]} since the update before: its gradient overflowed"
    faults: list[str] = []
    with _watched(model, faults):
        loss(model(inputs), targets)
    return faults[0] if faults else f"in the loss ({_kind(loss)}): every layer's output was finite"


def fault_in(value: Any) -> tuple[tuple[int, ...], float] | None:
    """The index and value of the first element that is NaN or infinite; None where there is none."""
    if not isinstance(value, Tensor) or not value.dtype.is_floating_point:
        return None
    array = value.detach().numpy()
    wrong = np.argwhere(~np.isfinite(array))
    if not len(wrong):
        return None
    index = tuple(int(i) for i in wrong[0])
    return index, float(array[index])


@contextmanager
def _watched(model: Module, faults: list[str]):
    """While this holds, every layer notes a fault in its output; the first to note one is where it began."""
    modules = list(model.named_modules())
    for name, module in modules:
        module.forward = _watch(name or "the model", module, module.forward, faults)
    try:
        yield
    finally:
        for _, module in modules:
            del module.forward


def _watch(name: str, module: Module, forward: Callable[..., Any], faults: list[str]) -> Callable[..., Any]:
    def watching(*args: Any, **kwargs: Any) -> Any:
        output = forward(*args, **kwargs)
        fault = fault_in(output)
        if fault:
            faults.append(f"in the output of layer {name} ({module!r}), which holds {fault[1]}")
        return output

    return watching


def _kind(loss: Any) -> str:
    return getattr(loss, "__name__", type(loss).__name__)
