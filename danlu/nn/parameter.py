"""L7. Parameter: a tensor that a module trains."""

from __future__ import annotations

from danlu.tensor import Tensor


class Parameter(Tensor):
    """A tensor that becomes part of a module's parameters when it is assigned to an attribute.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Parameter(danlu.zeros(3)).requires_grad
        True
    """
