"""L8. Where a NaN or an infinity began: the forward pass of the faulty step, once more, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import numpy as np

from danlu.nn import Module
from danlu.tensor import Tensor, no_grad


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
    with no_grad(), _watched(model, faults):
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
    handles = [module.register_forward_hook(_note(name, faults)) for name, module in model.named_modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _note(name: str, faults: list[str]) -> Callable[[Module, Any, Any], None]:
    def note(module: Module, inputs: Any, output: Any) -> None:
        fault = fault_in(output)
        if fault:
            where = f"of layer {name} ({module!r})" if name else "of the model"
            faults.append(f"in the output {where}, which holds {fault[1]}")

    return note


def _kind(loss: Any) -> str:
    return getattr(loss, "__name__", type(loss).__name__)
