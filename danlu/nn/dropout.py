"""L7. Dropout as a layer."""

from __future__ import annotations

from danlu import functional as F
from danlu.errors import DataError
from danlu.nn.module import Module
from danlu.tensor import Tensor


class Dropout(Module):
    """Sets elements to zero with probability p while training and divides the others by 1 − p (Srivastava et al. 2014).

    Raises:
        DataError: p is not from 0 to 1.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Dropout(0.5).eval()(danlu.ones(2)).tolist()
        [1.0, 1.0]
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise DataError(f"Dropout: p is {p}; expected a probability from 0 to 1")
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        """x, with a new mask at every call while training."""
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}, inplace={self.inplace}"


__all__ = ["Dropout"]
