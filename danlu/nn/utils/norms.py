"""L7. weight_norm and spectral_norm in their older form: hooks that set the weight before each forward, with names of their own in the state."""

from __future__ import annotations

from typing import Any

from danlu.errors import DataError
from danlu.nn.hooks import HookHandle
from danlu.nn.module import Module
from danlu.nn.parameter import Parameter
from danlu.nn.utils.parametrizations import (
    as_matrix,
    check_steps,
    norm_except,
    of_norm,
    output_axis,
    over_largest,
    power_steps,
    vectors,
)
from danlu.tensor import Tensor, no_grad

_HOOKS = "_norms"  # attribute of a module: name of the weight → (hook, its handle)


class _Hook:
    """Computes a weight from parameters of other names before each forward."""

    suffixes: tuple[str, ...] = ()  # of the parameters and buffers it has made

    def __init__(self, name: str) -> None:
        self.name = name

    def compute(self, module: Module, training: bool) -> Tensor:
        """The weight."""
        raise NotImplementedError

    def __call__(self, module: Module, inputs: Any = ()) -> None:
        module.__dict__[self.name] = self.compute(module, module.training)


class _WeightHook(_Hook):
    suffixes = ("_g", "_v")

    def __init__(self, name: str, dim: int | None) -> None:
        super().__init__(name)
        self.dim = dim

    def compute(self, module: Module, training: bool) -> Tensor:
        return of_norm(getattr(module, self.name + "_g"), getattr(module, self.name + "_v"), self.dim)


class _SpectralHook(_Hook):
    suffixes = ("_orig", "_u", "_v")

    def __init__(self, name: str, steps: int, dim: int, eps: float) -> None:
        super().__init__(name)
        self.steps, self.dim, self.eps = steps, dim, eps

    def compute(self, module: Module, training: bool) -> Tensor:
        weight, u, v = (getattr(module, self.name + suffix) for suffix in self.suffixes)
        matrix = as_matrix(weight, self.dim)
        if training:
            power_steps(matrix.detach().T, v, u, self.steps, self.eps)  # v first, as PyTorch's older form has it
        return over_largest(weight, matrix, u, v)


def _own(title: str, module: Module, name: str) -> Parameter:
    weight = module._parameters.get(name)
    if weight is None:
        raise DataError("{title}: {layer} has no parameter {name!r}", title=title, layer=module._get_name(), name=name)
    return weight


def _hang(module: Module, hook: _Hook) -> Module:
    handle = module.register_forward_pre_hook(hook)
    module.__dict__.setdefault(_HOOKS, {})[hook.name] = (hook, handle)
    with no_grad():
        module.__dict__[hook.name] = hook.compute(module, False)
    return module


def _remove(title: str, kind: type[_Hook], module: Module, name: str) -> Module:
    hook, handle = module.__dict__.get(_HOOKS, {}).get(name, (None, None))
    if not isinstance(hook, kind) or not isinstance(handle, HookHandle):
        raise DataError("{title}: {name!r} of {layer} has no such norm", title=title, layer=module._get_name(), name=name)
    with no_grad():
        weight = hook.compute(module, False).detach()
    handle.remove()
    del module.__dict__[_HOOKS][name], module.__dict__[name]
    for suffix in hook.suffixes:
        delattr(module, name + suffix)
    module.register_parameter(name, Parameter(weight))
    return module


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """The older form of `parametrizations.weight_norm`: the size is weight_g, the direction weight_v.

    w = g · v / ‖v‖

    Source: Salimans & Kingma 2016, "Weight normalization", equation 2.

    Shapes: weight_v as the weight, weight_g with size 1 on all axes but `dim`.

    Raises:
        DataError: the layer has no parameter of this name.

    Example:
        >>> from danlu import nn
        >>> sorted(nn.utils.weight_norm(nn.Linear(3, 2)).state_dict())
        ['bias', 'weight_g', 'weight_v']
    """
    weight = _own("weight_norm", module, name)
    delattr(module, name)
    module.register_parameter(name + "_g", Parameter(norm_except(weight.detach(), dim)))
    module.register_parameter(name + "_v", Parameter(weight.detach()))
    return _hang(module, _WeightHook(name, dim))


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Takes `weight_norm` away again; the weight stays what it is.

    Raises:
        DataError: there is none.

    Example:
        >>> from danlu import nn
        >>> sorted(nn.utils.remove_weight_norm(nn.utils.weight_norm(nn.Linear(3, 2))).state_dict())
        ['bias', 'weight']
    """
    return _remove("remove_weight_norm", _WeightHook, module, name)


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """The older form of `parametrizations.spectral_norm`: the trained weight is weight_orig, the vectors weight_u and weight_v.

    w = v / σ(v)

    Source: Miyato et al. 2018, "Spectral normalization for generative adversarial networks", algorithm 1.

    Shapes: a weight of any rank, seen as a matrix with the axis `dim` first (None: that of the outputs).

    Raises:
        DataError: n_power_iterations is not positive, or the layer has no parameter of this name.

    Example:
        >>> from danlu import nn
        >>> sorted(nn.utils.spectral_norm(nn.Linear(3, 2)).state_dict())
        ['bias', 'weight_orig', 'weight_u', 'weight_v']
    """
    check_steps("spectral_norm", n_power_iterations)
    weight = _own("spectral_norm", module, name)
    dim = output_axis(module) if dim is None else dim % weight.ndim
    matrix = as_matrix(weight.detach(), dim)
    delattr(module, name)
    module.register_parameter(name + "_orig", weight)
    for suffix, vector in zip(("_u", "_v"), vectors(matrix, 0, eps)):
        module.register_buffer(name + suffix, vector)
    return _hang(module, _SpectralHook(name, n_power_iterations, dim, eps))


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Takes `spectral_norm` away again; the weight stays what it is.

    Raises:
        DataError: there is none.

    Example:
        >>> from danlu import nn
        >>> sorted(nn.utils.remove_spectral_norm(nn.utils.spectral_norm(nn.Linear(3, 2))).state_dict())
        ['bias', 'weight']
    """
    return _remove("remove_spectral_norm", _SpectralHook, module, name)


__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]
