"""L7. Padding layers: elements around the last axes; see danlu.nn.functional.pad."""

from __future__ import annotations

from collections.abc import Sequence

from danlu.functional import vision as F
from danlu.nn.module import Module
from danlu.tensor import Tensor


class _Pad(Module):
    """Padding by one rule; subclasses say which and on how many axes."""

    dims: int
    mode = "constant"

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        self.padding = F.sizes(type(self).__name__, "padding", padding, 2 * self.dims, -(2**31))

    def forward(self, input: Tensor) -> Tensor:
        """The padded input."""
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        """(low, high) of the last axis, then of the one before it, …"""
        return f"{self.padding}"


class _ConstantPad(_Pad):
    """Padding with one value."""

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """The padded input."""
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        """The padding and the value."""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """One value around the last axis: an integer, or (low, high).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.ConstantPad1d(1, 0.5)(danlu.ones(1, 1, 2)).shape)
        (1, 1, 4)
    """

    dims = 1


class ConstantPad2d(_ConstantPad):
    """One value around the last two axes: an integer, or (low, high) of the last axis, then of the one before it.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.ConstantPad2d(1, 0.5)(danlu.ones(1, 1, 2, 2)).shape)
        (1, 1, 4, 4)
    """

    dims = 2


class ConstantPad3d(_ConstantPad):
    """One value around the last three axes: an integer, or (low, high) of the last axis, then of the one before it.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.ConstantPad3d(1, 0.5)(danlu.ones(1, 1, 2, 2, 2)).shape)
        (1, 1, 4, 4, 4)
    """

    dims = 3


class ZeroPad1d(_Pad):
    """Zeros around the last axis: an integer, or (low, high).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.ZeroPad1d(1)(danlu.ones(1, 1, 2)).shape)
        (1, 1, 4)
    """

    dims = 1


class ZeroPad2d(_Pad):
    """Zeros around the last two axes: an integer, or (low, high) of the last axis, then of the one before it.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.ZeroPad2d(1)(danlu.ones(1, 1, 2, 2)).shape)
        (1, 1, 4, 4)
    """

    dims = 2


class ZeroPad3d(_Pad):
    """Zeros around the last three axes: an integer, or (low, high) of the last axis, then of the one before it.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.ZeroPad3d(1)(danlu.ones(1, 1, 2, 2, 2)).shape)
        (1, 1, 4, 4, 4)
    """

    dims = 3


class ReflectionPad1d(_Pad):
    """A mirror image in the edge around the last axis: an integer, or (low, high).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.ReflectionPad1d(1)(danlu.ones(1, 1, 2)).shape)
        (1, 1, 4)
    """

    dims = 1
    mode = "reflect"


class ReflectionPad2d(_Pad):
    """A mirror image in the edge around the last two axes: an integer, or (low, high) of the last axis, then of the one before it.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.ReflectionPad2d(1)(danlu.ones(1, 1, 2, 2)).shape)
        (1, 1, 4, 4)
    """

    dims = 2
    mode = "reflect"


class ReflectionPad3d(_Pad):
    """A mirror image in the edge around the last three axes: an integer, or (low, high) of the last axis, then of the one before it.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.ReflectionPad3d(1)(danlu.ones(1, 1, 2, 2, 2)).shape)
        (1, 1, 4, 4, 4)
    """

    dims = 3
    mode = "reflect"


class ReplicationPad1d(_Pad):
    """Copies of the edge around the last axis: an integer, or (low, high).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.ReplicationPad1d(1)(danlu.ones(1, 1, 2)).shape)
        (1, 1, 4)
    """

    dims = 1
    mode = "replicate"


class ReplicationPad2d(_Pad):
    """Copies of the edge around the last two axes: an integer, or (low, high) of the last axis, then of the one before it.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.ReplicationPad2d(1)(danlu.ones(1, 1, 2, 2)).shape)
        (1, 1, 4, 4)
    """

    dims = 2
    mode = "replicate"


class ReplicationPad3d(_Pad):
    """Copies of the edge around the last three axes: an integer, or (low, high) of the last axis, then of the one before it.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.ReplicationPad3d(1)(danlu.ones(1, 1, 2, 2, 2)).shape)
        (1, 1, 4, 4, 4)
    """

    dims = 3
    mode = "replicate"


class CircularPad1d(_Pad):
    """The other end around the last axis: an integer, or (low, high).

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.CircularPad1d(1)(danlu.ones(1, 1, 2)).shape)
        (1, 1, 4)
    """

    dims = 1
    mode = "circular"


class CircularPad2d(_Pad):
    """The other end around the last two axes: an integer, or (low, high) of the last axis, then of the one before it.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.CircularPad2d(1)(danlu.ones(1, 1, 2, 2)).shape)
        (1, 1, 4, 4)
    """

    dims = 2
    mode = "circular"


class CircularPad3d(_Pad):
    """The other end around the last three axes: an integer, or (low, high) of the last axis, then of the one before it.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.CircularPad3d(1)(danlu.ones(1, 1, 2, 2, 2)).shape)
        (1, 1, 4, 4, 4)
    """

    dims = 3
    mode = "circular"


__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]
