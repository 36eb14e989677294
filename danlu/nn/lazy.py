"""L7. Lazy layers: the size of the input is read off the first input, then the layer is one of the plain kind."""

from __future__ import annotations

import inspect
from typing import Any

from danlu.errors import ShapeError
from danlu.nn import conv, linear, normalization
from danlu.nn.module import Module
from danlu.nn.parameter import Parameter, UninitializedParameter, filled
from danlu.tensor import Tensor


class _Lazy(Module):
    """Until the first call the parameters are empty; it makes a layer of the size that came, takes over its values in these same
    parameters (an optimizer may already hold them), and becomes a layer of the plain class."""

    sized = "in_channels"
    axis: int | None = None  # of the input; None: that of channels, before the spatial axes

    def __init__(self, *args: Any, **named: Any) -> None:
        plain = type(self).__mro__[2]
        groups = inspect.signature(plain.__init__).bind(self, 1, *args, **named).arguments.get("groups", 1)
        super().__init__(groups, *args, **named)  # type: ignore[call-arg]
        self._positional, self._options = args, named
        object.__setattr__(self, self.sized, 0)
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor.ndim:
                tensor.data = filled((0,), 0.0, tensor.dtype)
                if isinstance(tensor, Parameter):
                    tensor.__class__ = UninitializedParameter

    @property
    def cls_to_become(self) -> Any:
        """The plain class."""
        return type(self).__mro__[2]

    def has_uninitialized_params(self) -> bool:
        """True, until the first call."""
        return True

    def forward(self, input: Tensor, *rest: Any) -> Tensor:
        """The first call: the sizes, then the plain layer's forward."""
        axis = self._axis() if self.axis is None else self.axis
        if not -input.ndim <= axis < input.ndim:
            raise ShapeError(
                "{name}: the input has shape {shape}; expected at least {least} axes to read {sized} off",
                name=type(self).__name__,
                shape=tuple(input.shape),
                least=-axis if axis < 0 else axis + 1,
                sized=self.sized,
            )
        plain = self.cls_to_become
        made = plain(input.shape[axis], *self._positional, **self._options)
        for own, new in zip((*self.parameters(), *self.buffers()), (*made.parameters(), *made.buffers())):
            own.data = new.detach().to(own.dtype)
            own.__class__ = type(new)
        object.__setattr__(self, self.sized, input.shape[axis])
        del self._positional, self._options
        self.__class__ = plain
        return self(input, *rest)

    def _axis(self) -> int:
        """The axis of channels, counted from the end."""
        return -getattr(self, "dims", 0) - 1


class LazyLinear(_Lazy, linear.Linear):
    """`Linear` whose in_features are the last axis of the first input; call it once before its weights are used.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> layer = nn.LazyLinear(3)
        >>> tuple(layer(danlu.ones(2, 5)).shape), layer
        ((2, 3), Linear(in_features=5, out_features=3, bias=True))
    """

    sized, axis = "in_features", -1


class LazyConv1d(_Lazy, conv.Conv1d):
    """`Conv1d` whose in_channels are those of the first input; call it once before its weights are used.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.LazyConv1d(4, kernel_size=2)(danlu.ones(2, 3, 8)).shape)
        (2, 4, 7)
    """


class LazyConv2d(_Lazy, conv.Conv2d):
    """`Conv2d` whose in_channels are those of the first input; call it once before its weights are used.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.LazyConv2d(4, kernel_size=2)(danlu.ones(2, 3, 8, 8)).shape)
        (2, 4, 7, 7)
    """


class LazyConv3d(_Lazy, conv.Conv3d):
    """`Conv3d` whose in_channels are those of the first input; call it once before its weights are used.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.LazyConv3d(4, kernel_size=2)(danlu.ones(2, 3, 4, 4, 4)).shape)
        (2, 4, 3, 3, 3)
    """


class LazyConvTranspose1d(_Lazy, conv.ConvTranspose1d):
    """`ConvTranspose1d` whose in_channels are those of the first input; call it once before its weights are used.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.LazyConvTranspose1d(4, kernel_size=2)(danlu.ones(2, 3, 8)).shape)
        (2, 4, 9)
    """


class LazyConvTranspose2d(_Lazy, conv.ConvTranspose2d):
    """`ConvTranspose2d` whose in_channels are those of the first input; call it once before its weights are used.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.LazyConvTranspose2d(4, kernel_size=2)(danlu.ones(2, 3, 8, 8)).shape)
        (2, 4, 9, 9)
    """


class LazyConvTranspose3d(_Lazy, conv.ConvTranspose3d):
    """`ConvTranspose3d` whose in_channels are those of the first input; call it once before its weights are used.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> tuple(nn.LazyConvTranspose3d(4, kernel_size=2)(danlu.ones(2, 3, 4, 4, 4)).shape)
        (2, 4, 5, 5, 5)
    """


class LazyBatchNorm1d(_Lazy, normalization.BatchNorm1d):
    """`BatchNorm1d` whose num_features are the channels of the first input; call it once before its parameters are used.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> layer = nn.LazyBatchNorm1d()
        >>> tuple(layer(danlu.ones(2, 3, 8)).shape), layer.num_features
        ((2, 3, 8), 3)
    """

    sized, axis = "num_features", 1


class LazyBatchNorm2d(_Lazy, normalization.BatchNorm2d):
    """`BatchNorm2d` whose num_features are the channels of the first input; call it once before its parameters are used.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> layer = nn.LazyBatchNorm2d()
        >>> tuple(layer(danlu.ones(2, 3, 8, 8)).shape), layer.num_features
        ((2, 3, 8, 8), 3)
    """

    sized, axis = "num_features", 1


class LazyBatchNorm3d(_Lazy, normalization.BatchNorm3d):
    """`BatchNorm3d` whose num_features are the channels of the first input; call it once before its parameters are used.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> layer = nn.LazyBatchNorm3d()
        >>> tuple(layer(danlu.ones(2, 3, 4, 4, 4)).shape), layer.num_features
        ((2, 3, 4, 4, 4), 3)
    """

    sized, axis = "num_features", 1


class LazyInstanceNorm1d(_Lazy, normalization.InstanceNorm1d):
    """`InstanceNorm1d` whose num_features are the channels of the first input; call it once before its parameters are used.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> layer = nn.LazyInstanceNorm1d()
        >>> tuple(layer(danlu.ones(2, 3, 8)).shape), layer.num_features
        ((2, 3, 8), 3)
    """

    sized, axis = "num_features", -2


class LazyInstanceNorm2d(_Lazy, normalization.InstanceNorm2d):
    """`InstanceNorm2d` whose num_features are the channels of the first input; call it once before its parameters are used.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> layer = nn.LazyInstanceNorm2d()
        >>> tuple(layer(danlu.ones(2, 3, 8, 8)).shape), layer.num_features
        ((2, 3, 8, 8), 3)
    """

    sized, axis = "num_features", -3


class LazyInstanceNorm3d(_Lazy, normalization.InstanceNorm3d):
    """`InstanceNorm3d` whose num_features are the channels of the first input; call it once before its parameters are used.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> layer = nn.LazyInstanceNorm3d()
        >>> tuple(layer(danlu.ones(2, 3, 4, 4, 4)).shape), layer.num_features
        ((2, 3, 4, 4, 4), 3)
    """

    sized, axis = "num_features", -4


__all__ = [
    "LazyBatchNorm1d",
    "LazyBatchNorm2d",
    "LazyBatchNorm3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
    "LazyInstanceNorm1d",
    "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
    "LazyLinear",
]
