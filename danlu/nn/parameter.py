"""L7. Parameter: a tensor that a module trains; and memory for tensors that are state."""

from __future__ import annotations

from typing import Any

import numpy as np

from danlu.dtype import DType, default, in_memory
from danlu.tensor import Tensor, from_array
from danlu.tensor.arithmetic import check_device
from danlu.tensor.exchange import as_tensor
from danlu.tensor.storage import copied


class Parameter(Tensor):
    """A tensor that becomes one of a module's parameters when it is assigned to an attribute.

    It begins with the values of `data` and shares no memory with it. requires_grad=False makes one that is not trained.

    Shapes: data (*) → (*).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Parameter(danlu.zeros(3)).requires_grad
        True
    """

    __slots__ = ()

    def __init__(self, data: Any = (), requires_grad: bool = True) -> None:
        value = as_tensor(data).detach()._value()
        super().__init__(copied(value) if value.buffer is not None and value.buffer.exchanged else value)
        if requires_grad:
            self.requires_grad_()

    def __deepcopy__(self, memo: dict) -> Parameter:
        memo[id(self)] = twin = type(self)(self.detach(), self.requires_grad)
        return twin

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A tensor that becomes one of a module's buffers when it is assigned to an attribute: state that is not trained.

    module.b = Buffer(x) is module.register_buffer("b", x, persistent)

    persistent=False leaves it out of the state_dict.

    Shapes: data (*) → (*).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> class Scale(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.scale = nn.Buffer(danlu.ones(1))
        >>> list(Scale().state_dict())
        ['scale']
    """

    __slots__ = ("persistent",)

    def __init__(self, data: Any = (), *, persistent: bool = True) -> None:
        super().__init__(as_tensor(data).detach()._value())
        self.persistent = persistent


class UninitializedParameter(Parameter):
    """A parameter of a lazy layer before its first input: its size is not known yet.

    Shapes: (0,) until the layer's first call.

    Example:
        >>> from danlu import nn
        >>> nn.LazyLinear(3).weight
        <UninitializedParameter>
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "<UninitializedParameter>"


def filled(shape: tuple[int, ...], value: float, dtype: DType | None = None, device: Any = None) -> Tensor:
    """A tensor of one number that is memory from the start: state that were a computation would be part of the first program
    only, and the second step would need a program of its own."""
    check_device(device)
    kind = dtype or default()
    # np.zeros is given memory when it is first touched: a large weight that is drawn later costs nothing here.
    return from_array(np.zeros(shape, kind.numpy) if value == 0 else in_memory(np.full(shape, value), kind))


__all__ = ["Buffer", "Parameter", "UninitializedParameter", "filled"]
