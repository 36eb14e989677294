"""L7. Dropout as layers."""

from __future__ import annotations

from danlu.errors import DataError
from danlu.functional import activation
from danlu.functional import common as F
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
            raise DataError("{name}: p is {p}; expected a probability from 0 to 1", name=type(self).__name__, p=p)
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        """x, with a new mask at every call while training."""
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout1d(Dropout):
    """Sets whole channels of (N, C, L) to zero with probability p while training.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Dropout1d(0.5).eval()(danlu.ones(1, 1, 2)).tolist()
        [[[1.0, 1.0]]]
    """

    def forward(self, input: Tensor) -> Tensor:
        """x, with a new mask at every call while training."""
        return activation.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(Dropout):
    """Sets whole channels of (N, C, H, W) to zero with probability p while training (Tompson et al. 2015).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Dropout2d(0.5).eval()(danlu.ones(1, 1, 1, 2)).tolist()
        [[[[1.0, 1.0]]]]
    """

    def forward(self, input: Tensor) -> Tensor:
        """x, with a new mask at every call while training."""
        return activation.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(Dropout):
    """Sets whole channels of (N, C, D, H, W) to zero with probability p while training.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.Dropout3d(0.5).eval()(danlu.ones(1, 1, 1, 1, 2)).tolist()
        [[[[[1.0, 1.0]]]]]
    """

    def forward(self, input: Tensor) -> Tensor:
        """x, with a new mask at every call while training."""
        return activation.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(Dropout):
    """Dropout for networks of selu: mean 0 and variance 1 are kept (Klambauer et al. 2017).

    Shapes: input (*) → (*).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.AlphaDropout(0.5).eval()(danlu.ones(2)).tolist()
        [1.0, 1.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """x, with a new mask at every call while training."""
        return activation.alpha_dropout(input, self.p, self.training, self.inplace)


class FeatureAlphaDropout(Dropout):
    """AlphaDropout of whole channels.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> nn.FeatureAlphaDropout(0.5).eval()(danlu.ones(1, 2)).tolist()
        [[1.0, 1.0]]
    """

    def forward(self, input: Tensor) -> Tensor:
        """x, with a new mask at every call while training."""
        return activation.feature_alpha_dropout(input, self.p, self.training, self.inplace)


__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]
