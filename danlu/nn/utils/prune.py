"""L7. Pruning: part of a parameter is kept at 0 by a mask. The parameter goes on as `weight_orig`, the mask is the buffer `weight_mask`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from danlu.errors import DataError, ShapeError
from danlu.nn.module import Module
from danlu.nn.parameter import Parameter
from danlu.random import rand
from danlu.tensor import Tensor, from_array, no_grad
from danlu.tensor.creation import cat

_PRUNED = "_pruned"  # attribute of a module: name of the parameter → (hook, its handle)


class _Masking:
    """Computes the parameter before each forward."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, module: Module, inputs: Any = ()) -> None:
        module.__dict__[self.name] = getattr(module, self.name + "_orig") * getattr(module, self.name + "_mask")


def _original(module: Module, name: str) -> Parameter:
    found = module._parameters.get(name + "_orig" if name in module.__dict__.get(_PRUNED, ()) else name)
    if found is None:
        raise DataError("prune: {layer} has no parameter {name!r}", layer=module._get_name(), name=name)
    return found


def _mask_of(module: Module, name: str) -> Tensor:
    """The mask so far: 1 where an element is kept."""
    weight = _original(module, name)
    if name in module.__dict__.get(_PRUNED, ()):
        return module.get_buffer(name + "_mask")
    return from_array(np.ones(tuple(weight.shape), weight.dtype.numpy))


def _hang(module: Module, name: str, mask: Tensor) -> Module:
    weight = _original(module, name)
    if tuple(mask.shape) != tuple(weight.shape):
        raise ShapeError(
            "prune: a mask of shape {shape} for {name!r} of {layer}; expected {expected}",
            shape=tuple(mask.shape),
            name=name,
            layer=module._get_name(),
            expected=tuple(weight.shape),
        )
    module.register_buffer(name + "_mask", mask.detach().to(weight.dtype))
    if name not in module.__dict__.get(_PRUNED, ()):
        delattr(module, name)
        module.register_parameter(name + "_orig", weight)
        hook = _Masking(name)
        module.__dict__.setdefault(_PRUNED, {})[name] = (hook, module.register_forward_pre_hook(hook))
    module.__dict__[_PRUNED][name][0](module)
    return module


class BasePruningMethod:
    """A way of choosing: a subclass defines `compute_mask(t, default_mask)`, the new mask (1: kept) of values or their importance.

    w = w_orig · mask

    What is 0 already stays so: a method of PRUNING_TYPE "unstructured" is asked about the other elements alone, one that is
    "structured" about the other channels along `dim`; one that is "global" sees all.

    Shapes: t and default_mask as the parameter; a vector of what is left where an unstructured method comes second.

    Example:
        >>> from danlu import nn
        >>> class Positive(nn.utils.prune.BasePruningMethod):
        ...     def compute_mask(self, t, default_mask):
        ...         return default_mask * (t > 0)
        >>> layer = nn.Linear(3, 2)
        >>> Positive.apply(layer, "weight")
        >>> bool((layer.weight >= 0).all())
        True
    """

    PRUNING_TYPE = "unstructured"
    dim = -1

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The new mask."""
        raise NotImplementedError

    @classmethod
    def apply(cls, module: Module, name: str, *args: Any, importance_scores: Tensor | None = None, **kwargs: Any) -> None:
        """Prunes a parameter of a module by the method that the arguments make."""
        mask, method = _mask_of(module, name), cls(*args, **kwargs)
        scores = getattr(module, name) if importance_scores is None else importance_scores
        _hang(module, name, method.next_mask(scores.detach(), mask))

    def next_mask(self, scores: Tensor, mask: Tensor) -> Tensor:
        """The mask that follows on another one."""
        left = mask.numpy() != 0
        if self.PRUNING_TYPE == "global" or left.all():
            return self.compute_mask(scores, mask)
        kept: Any = left
        if self.PRUNING_TYPE == "structured":
            dim = self.dim % left.ndim
            kept = (slice(None),) * dim + (left.any(tuple(d for d in range(left.ndim) if d != dim)),)
        found = mask.numpy().copy()
        found[kept] = self.compute_mask(from_array(scores.numpy()[kept]), from_array(mask.numpy()[kept])).numpy()
        return from_array(found)


class _Lowest(BasePruningMethod):
    """The elements or channels of the lowest scores."""

    def __init__(self, amount: float, dim: int = -1) -> None:
        self.amount, self.dim = amount, dim

    def scores(self, t: np.ndarray) -> np.ndarray:
        """Of each element, or of the rows of a matrix of channels."""
        return rand(len(t)).numpy()

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        values, mask, by_channel = t.numpy(), default_mask.numpy().copy(), self.PRUNING_TYPE == "structured"
        if by_channel and not (values.ndim > 1 and -values.ndim <= self.dim < values.ndim):
            raise ShapeError(
                "prune: a tensor of shape {shape} and dim {dim}; expected two axes or more, and dim one of them",
                shape=values.shape,
                dim=self.dim,
            )
        rows = np.moveaxis(values, self.dim, 0) if by_channel else values.reshape(-1)
        lowest = np.argsort(self.scores(rows.reshape(len(rows), -1)), kind="stable")[: self._count(len(rows))]
        (np.moveaxis(mask, self.dim, 0) if by_channel else mask.reshape(-1))[lowest] = 0
        return from_array(mask)

    def _count(self, size: int) -> int:
        amount = self.amount
        whole = isinstance(amount, (int, np.integer))
        if not isinstance(amount, (int, float, np.number)) or not 0 <= amount <= (size if whole else 1):
            raise DataError(
                "prune: amount is {amount!r}; expected a share from 0.0 to 1.0, or a number from 0 to {size}",
                amount=amount,
                size=size,
            )
        return int(amount) if whole else round(amount * size)


class RandomUnstructured(_Lowest):
    """Any elements: see `random_unstructured`.

    Example:
        >>> from danlu import nn
        >>> layer = nn.Linear(3, 2)
        >>> nn.utils.prune.RandomUnstructured.apply(layer, "weight", amount=2)
        >>> layer.weight_mask.sum().item()
        4.0
    """


class L1Unstructured(_Lowest):
    """The smallest elements: see `l1_unstructured`.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> layer = nn.Linear(3, 1)
        >>> scores = danlu.tensor([[3.0, -1.0, 2.0]])
        >>> nn.utils.prune.L1Unstructured.apply(layer, "weight", amount=1, importance_scores=scores)
        >>> layer.weight_mask.tolist()
        [[1.0, 0.0, 1.0]]
    """

    def scores(self, t: np.ndarray) -> np.ndarray:
        return np.abs(t[:, 0])


class _RandomChannels(_Lowest):
    PRUNING_TYPE = "structured"


class _SmallestChannels(_RandomChannels):
    def __init__(self, amount: float, n: Any, dim: int = -1) -> None:
        super().__init__(amount, dim)
        self.n = n

    def scores(self, t: np.ndarray) -> np.ndarray:
        return np.linalg.norm(t, 2 if self.n == "fro" else float(self.n), 1)


def identity(module: Module, name: str) -> Module:
    """A mask of ones: nothing is pruned yet.

    Example:
        >>> from danlu import nn
        >>> sorted(nn.utils.prune.identity(nn.Linear(3, 2), "weight").state_dict())
        ['bias', 'weight_mask', 'weight_orig']
    """
    return _hang(module, name, _mask_of(module, name))


def random_unstructured(module: Module, name: str, amount: float) -> Module:
    """Sets a share (or number) of the elements that are left to 0, any of them.

    Example:
        >>> from danlu import nn
        >>> layer = nn.utils.prune.random_unstructured(nn.Linear(4, 2), "weight", amount=0.5)
        >>> (layer.weight == 0).sum().item()
        4
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: Module, name: str, amount: float, importance_scores: Tensor | None = None) -> Module:
    """Sets a share (or number) of the elements that are left to 0: those of the smallest |w|, or |score|.

    Raises:
        DataError: an amount that is no share and no number of elements, or no such parameter.

    Example:
        >>> from danlu import nn
        >>> layer = nn.utils.prune.l1_unstructured(nn.Linear(4, 2), "weight", amount=3)
        >>> (layer.weight == 0).sum().item()
        3
    """
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: float, dim: int) -> Module:
    """Sets a share (or number) of the channels along `dim` that are left to 0, any of them.

    Example:
        >>> from danlu import nn
        >>> layer = nn.utils.prune.random_structured(nn.Linear(4, 2), "weight", amount=1, dim=0)
        >>> (layer.weight == 0).sum().item()
        4
    """
    _RandomChannels.apply(module, name, amount, dim)
    return module


def ln_structured(module: Module, name: str, amount: float, n: Any, dim: int, importance_scores: Tensor | None = None) -> Module:
    """Sets a share (or number) of the channels along `dim` that are left to 0: those of the smallest norm (Σ |w|ⁿ)^(1/n).

    Raises:
        DataError: an amount that is no share and no number of channels, or no such parameter.
        ShapeError: a parameter with one axis, or without the axis `dim`.

    Example:
        >>> from danlu import nn
        >>> layer = nn.utils.prune.ln_structured(nn.Linear(4, 2), "weight", amount=0.5, n=2, dim=1)
        >>> (layer.weight == 0).sum().item()
        4
    """
    _SmallestChannels.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: Module, name: str, mask: Tensor) -> Module:
    """Sets to 0 what a mask of the parameter's shape says, beside what is 0 already.

    Raises:
        ShapeError: a mask of another shape.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> layer = nn.utils.prune.custom_from_mask(nn.Linear(2, 1), "weight", danlu.tensor([[0, 1]]))
        >>> (layer.weight == 0).tolist()
        [[True, False]]
    """
    return _hang(module, name, _mask_of(module, name) * mask)


def global_unstructured(
    parameters: Iterable[tuple[Module, str]], pruning_method: type[BasePruningMethod],
    importance_scores: Mapping[tuple[Module, str], Tensor] | None = None, **kwargs: Any,
) -> None:  # fmt: skip
    """Prunes several parameters as if they were one: the share of each follows from what all hold.

    Example:
        >>> from danlu import nn
        >>> from danlu.nn.utils import prune
        >>> first, second = nn.Linear(4, 2), nn.Linear(2, 1)
        >>> prune.global_unstructured([(first, "weight"), (second, "weight")], prune.L1Unstructured, amount=0.5)
        >>> (first.weight == 0).sum().item() + (second.weight == 0).sum().item()
        5
    """
    places, given = list(parameters), importance_scores or {}
    masks = [_mask_of(*place) for place in places]
    scores = [(given[place] if place in given else getattr(*place)).detach().reshape(-1) for place in places]
    mask = pruning_method(**kwargs).next_mask(cat(scores), cat([m.reshape(-1) for m in masks]))
    start = 0
    for (module, name), old in zip(places, masks):
        _hang(module, name, mask[start : start + old.numel()].reshape(old.shape))
        start += old.numel()


def remove(module: Module, name: str) -> Module:
    """Ends the pruning: the parameter has its name again, and keeps its zeros for now.

    Raises:
        DataError: the parameter is not pruned.

    Example:
        >>> from danlu import nn
        >>> prune = nn.utils.prune
        >>> sorted(prune.remove(prune.l1_unstructured(nn.Linear(3, 2), "weight", 1), "weight").state_dict())
        ['bias', 'weight']
    """
    if name not in module.__dict__.get(_PRUNED, ()):
        raise DataError("prune.remove: {name!r} of {layer} is not pruned", name=name, layer=module._get_name())
    _, handle = module.__dict__[_PRUNED].pop(name)
    handle.remove()
    weight = getattr(module, name + "_orig")
    with no_grad():
        weight.data = weight * getattr(module, name + "_mask")
    for suffix in ("_orig", "_mask"):
        delattr(module, name + suffix)
    del module.__dict__[name]
    module.register_parameter(name, weight)
    return module


def is_pruned(module: Module) -> bool:
    """Whether a parameter of the module, or of one below it, is pruned.

    Example:
        >>> from danlu import nn
        >>> nn.utils.prune.is_pruned(nn.Linear(3, 2))
        False
    """
    return any(below.__dict__.get(_PRUNED) for below in module.modules())


__all__ = [
    "BasePruningMethod",
    "L1Unstructured",
    "RandomUnstructured",
    "custom_from_mask",
    "global_unstructured",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "random_structured",
    "random_unstructured",
    "remove",
]
