"""L7. Parameters that are computed from others: `register_parametrization(layer, "weight", module)`, after which layer.weight is module(original).

The layer gets a class of its own, in which the name is a property: every place that reads `layer.weight` sees the computed value.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from danlu.errors import DataError, ShapeError
from danlu.nn.containers import ModuleDict, ModuleList
from danlu.nn.module import Module
from danlu.nn.parameter import Parameter
from danlu.tensor import Tensor, no_grad

_cache: dict[tuple[int, str], Any] | None = None  # inside `cached()`: (id of the layer, name) → value


@contextmanager
def cached() -> Iterator[None]:
    """Inside, each parametrized tensor is computed once: for a layer that is called several times.

    Example:
        >>> from danlu import nn
        >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
        >>> with nn.utils.parametrize.cached():
        ...     layer.weight is layer.weight
        True
    """
    global _cache
    before, _cache = _cache, {} if _cache is None else _cache
    try:
        yield
    finally:
        _cache = before


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, and what it is computed from: `original`, or `original0`, `original1`, … where the first
    parametrization takes several.

    y = fₙ(… f₁(original))

    Shapes: those of the parametrizations.

    Example:
        >>> from danlu import nn
        >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
        >>> tuple(layer.parametrizations.weight.original0.shape)
        (2, 1)
    """

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        super().__init__(modules)
        self.unsafe, self.count = unsafe, 0
        parts = self._inverse(original)
        self.count = 0 if isinstance(parts, Tensor) else len(parts)
        for name, part in zip(self._names(), [parts] if isinstance(parts, Tensor) else parts):
            self._keep(name, part, original)

    def _keep(self, name: str, part: Tensor, original: Tensor) -> None:
        """A parameter (the layer's own, where there is one) or a buffer, as the original was."""
        if not isinstance(original, Parameter):
            self.register_buffer(name, part.detach())
        elif self.count:
            self.register_parameter(name, Parameter(part, original.requires_grad))
        else:
            if part is not original:
                original.data = part.detach()
            self.register_parameter(name, original)

    def _names(self) -> list[str]:
        return [f"original{k}" for k in range(self.count)] or ["original"]

    def _inverse(self, value: Tensor) -> Any:
        parts: Any = value
        with no_grad():
            for module in reversed(list[Any](self)):
                if hasattr(module, "right_inverse"):
                    parts = module.right_inverse(parts)
        return parts

    def right_inverse(self, value: Tensor) -> None:
        """Sets the originals so that the computed value is `value`."""
        parts = self._inverse(value)
        with no_grad():
            for name, part in zip(self._names(), [parts] if isinstance(parts, Tensor) else parts):
                getattr(self, name).data = part.detach()

    def forward(self) -> Any:
        """The computed value."""
        first, *others = self
        value = first(*(getattr(self, name) for name in self._names()))
        for module in others:
            value = module(value)
        return value


# ---- the class of a layer -------------------------------------------------------------------------------------------------------


def _getter(name: str) -> Any:
    def get(layer: Any) -> Any:
        if _cache is None:
            return layer.parametrizations[name]()
        key = (id(layer), name)
        if key not in _cache:
            _cache[key] = layer.parametrizations[name]()
        return _cache[key]

    return get


@functools.cache
def _parametrized(plain: type[Module], names: tuple[str, ...]) -> type[Module]:
    """The class of layers of a plain class in which some tensors are computed."""

    def assign(layer: Any, name: str, value: Any) -> None:
        if name in names:
            layer.parametrizations[name].right_inverse(value)
        else:
            plain.__setattr__(layer, name, value)

    values = {name: property(_getter(name)) for name in names}
    more = {"__module__": plain.__module__, "__doc__": plain.__doc__, "__setattr__": assign, "_plain": plain}
    return type(f"Parametrized{plain.__name__}", (plain,), {**values, **more})


def _set_class(layer: Module, names: Sequence[str]) -> None:
    plain = type_before_parametrizations(layer)
    layer.__class__ = _parametrized(plain, tuple(names)) if names else plain


def type_before_parametrizations(module: Module) -> type[Module]:
    """The class that a layer had before anything of it was parametrized.

    Example:
        >>> from danlu import nn
        >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
        >>> nn.utils.parametrize.type_before_parametrizations(layer) is nn.Linear
        True
    """
    return getattr(type(module), "_plain", type(module))


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a tensor of a layer (None: any) is computed from others.

    Example:
        >>> from danlu import nn
        >>> nn.utils.parametrize.is_parametrized(nn.Linear(3, 2))
        False
    """
    found = getattr(module, "parametrizations", None) if hasattr(type(module), "_plain") else None
    return found is not None and (tensor_name is None or tensor_name in found)


def register_parametrization(module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False) -> Module:
    """Makes a tensor of a layer the result of a module: layer.weight is parametrization(original).

    W = f(V); the optimizer trains V, which is layer.parametrizations.weight.original. Where f has a method `right_inverse`, V begins as
    right_inverse(W) and an assignment to layer.weight goes through it; else V begins as W.

    Args:
        unsafe: the shape and dtype of the result may differ from the tensor's.

    Shapes: f gives the shape that it is given.

    Raises:
        DataError: the layer has no parameter or buffer of this name.
        ShapeError: the result has another shape or dtype.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> class Positive(nn.Module):
        ...     def forward(self, x):
        ...         return x.exp()
        ...     def right_inverse(self, w):
        ...         return w.log()
        >>> layer = nn.Linear(1, 1)
        >>> _ = nn.init.constant_(layer.weight, 2.0)
        >>> layer = nn.utils.parametrize.register_parametrization(layer, "weight", Positive())
        >>> round(layer.weight.item(), 4), round(layer.parametrizations.weight.original.item(), 4)
        (2.0, 0.6931)
    """
    layer: Any = module
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            _check(tensor_name, getattr(module, tensor_name), parametrization)
        layer.parametrizations[tensor_name].append(parametrization)
        return module
    original = {**module._parameters, **module._buffers}.get(tensor_name)
    if original is None:
        raise DataError(
            "register_parametrization: {layer} has no parameter or buffer {name!r}", layer=type(module).__name__, name=tensor_name
        )
    found = ParametrizationList([parametrization], original=original, unsafe=unsafe)
    if not unsafe:
        _check_same(tensor_name, original, found())
    delattr(module, tensor_name)
    if not is_parametrized(module):
        module.register_module("parametrizations", ModuleDict())
    layer.parametrizations[tensor_name] = found
    _set_class(module, list(layer.parametrizations))
    return module


def _check(name: str, value: Tensor, parametrization: Module) -> None:
    with no_grad():
        _check_same(name, value, parametrization(value))


def _check_same(name: str, value: Tensor, result: Any) -> None:
    if not isinstance(result, Tensor) or result.shape != value.shape or result.dtype is not value.dtype:
        what = f"{result.dtype!r} {tuple(result.shape)}" if isinstance(result, Tensor) else type(result).__name__
        raise ShapeError(
            "the parametrization of {name!r} gives {what}; expected {dtype!r} {shape}, as the tensor was. Write unsafe=True to allow it",
            name=name,
            what=what,
            dtype=value.dtype,
            shape=tuple(value.shape),
        )


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Makes a parametrized tensor a plain one again, with the value it has now (leave_parametrized=False: with its original).

    Raises:
        DataError: the tensor is not parametrized, or leave_parametrized=False where it has several originals.

    Example:
        >>> from danlu import nn
        >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
        >>> nn.utils.parametrize.remove_parametrizations(layer, "weight")
        Linear(in_features=3, out_features=2, bias=True)
    """
    if not is_parametrized(module, tensor_name):
        raise DataError(
            "remove_parametrizations: {name!r} of {layer} is not parametrized", name=tensor_name, layer=module._get_name()
        )
    layer: Any = module
    found = layer.parametrizations[tensor_name]
    if found.count and not leave_parametrized:
        raise DataError(
            "remove_parametrizations: {name!r} is computed from {count} tensors; leave_parametrized=False needs one",
            name=tensor_name,
            count=found.count,
        )
    with no_grad():
        value = getattr(module, tensor_name).detach() if leave_parametrized else found.original.detach()
    kept = found.original if not found.count else found.original0
    if not found.count:
        kept.data = value  # the same tensor: an optimizer may hold it
    elif isinstance(kept, Parameter):
        kept = Parameter(value, kept.requires_grad)
    else:
        kept = value
    del layer.parametrizations[tensor_name]
    _set_class(module, list(layer.parametrizations))
    if not len(layer.parametrizations):
        del layer.parametrizations
    register = module.register_parameter if isinstance(kept, Parameter) else module.register_buffer
    register(tensor_name, kept)
    return module


__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "type_before_parametrizations",
]
