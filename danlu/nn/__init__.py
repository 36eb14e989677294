"""L7. Layers, containers and losses, with PyTorch's names."""

from danlu.nn import functional, init
from danlu.nn.activation import *  # noqa: F403
from danlu.nn.activation import __all__ as _activations
from danlu.nn.containers import ModuleDict, ModuleList, Sequential
from danlu.nn.dropout import Dropout
from danlu.nn.linear import Flatten, Identity, Linear
from danlu.nn.loss import *  # noqa: F403
from danlu.nn.loss import __all__ as _losses
from danlu.nn.module import Module
from danlu.nn.normalization import BatchNorm1d, LayerNorm
from danlu.nn.parameter import Parameter

__all__ = [
    "BatchNorm1d",
    "Dropout",
    "Flatten",
    "Identity",
    "LayerNorm",
    "Linear",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Parameter",
    "Sequential",
    "functional",
    "init",
    *_activations,
    *_losses,
]
