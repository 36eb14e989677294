"""L8. Where a NaN or an infinity began: the forward pass of the faulty step, once more, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import numpy as np

from danlu.messages import Phrase
from danlu.nn import Module
from danlu.tensor import Tensor, no_grad


def origin_of_fault(model: Module, loss: Callable[[Tensor, Tensor], Tensor], inputs: Tensor, targets: Tensor) -> Phrase:
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
            row = fault[0][0] if fault[0] else 0
            return Phrase("in the {name} of the batch (row {row} holds {value})", name=name, row=row, value=fault[1])
    for name, parameter in model.named_parameters():
        fault = fault_in(parameter)
        if fault:
            return Phrase(
                "in the parameter {name}, which holds {value} since the update before: its gradient overflowed",
                name=name,
                value=fault[1],
            )
    faults: list[Phrase] = []
    with no_grad(), _watched(model, faults):
        loss(model(inputs), targets)
    return faults[0] if faults else Phrase("in the loss ({loss}): every layer's output was finite", loss=_kind(loss))


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
def _watched(model: Module, faults: list[Phrase]):
    """While this holds, every layer notes a fault in its output; the first to note one is where it began."""
    handles = [module.register_forward_hook(_note(name, faults)) for name, module in model.named_modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _note(name: str, faults: list[Phrase]) -> Callable[[Module, Any, Any], None]:
    def note(module: Module, inputs: Any, output: Any) -> None:
        fault = fault_in(output)
        if fault:
            where = Phrase("of layer {name} ({module!r})", name=name, module=module) if name else Phrase("of the model")
            faults.append(Phrase("in the output {where}, which holds {value}", where=where, value=fault[1]))

    return note


def _kind(loss: Any) -> str:
    return getattr(loss, "__name__", type(loss).__name__)
