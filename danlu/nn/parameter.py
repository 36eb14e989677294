"""L7. Parameter: a tensor that a module trains."""

from __future__ import annotations

from danlu.creation import empty
from danlu.tensor import Tensor


class Parameter(Tensor):
    """A tensor that becomes part of a module's parameters when it is assigned to an attribute.

    It shares the storage of `data`.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Parameter(danlu.zeros(3)).requires_grad
        True
    """

    __slots__ = ()

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        data = empty(0) if data is None else data.clone() if data._base is not None else data
        super().__init__(data._storage.value, data._storage)
        self._cut = not requires_grad
        if requires_grad:
            self.requires_grad_()

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
