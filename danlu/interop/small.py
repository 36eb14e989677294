"""L9. Small modules of PyTorch's, each as the few names of it that scripts use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from danlu import random as numbers
from danlu.errors import warn
from danlu.guidance import outside
from danlu.nn import Module
from danlu.nn.conv import _Conv
from danlu.nn.normalization import _BatchNorm
from danlu.nn.recurrent import _Cell, _Recurrent
from danlu.tensor import Device, Tensor


class DataParallel(Module):
    """The module itself, called as it is: on one machine without GPUs that is what PyTorch's does. Its states begin with `module.`"""

    def __init__(self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """What the module gives."""
        return self.module(*inputs, **named)


class SyncBatchNorm(_BatchNorm):
    """Batch norm of any number of axes: in one process there is nobody to agree with."""

    ranks, expected = (2, 3, 4, 5), ("(N, {C}, *)",)

    @classmethod
    def convert_sync_batchnorm(cls, module: Any, process_group: Any = None) -> Any:
        """The module itself."""
        return module


class _Loss(Module):
    """The base of PyTorch's losses, for losses of one's own."""

    def __init__(self, *_: Any, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction


_told: set[str] = set()  # what a process was warned of


def _same(function: Any = None, *_: Any, **__: Any) -> Any:
    """The function itself: every step is compiled already."""
    return function if function is not None else _same


def _not_scripted(function: Any = None, *_: Any, **__: Any) -> Any:
    """The function itself, with a warning once: it is no program of its own that could be saved."""
    if not _told:
        _told.add("jit")
        warn(
            "torch.jit.script and torch.jit.trace give back what they are given: danlu compiles every step as it is. There is no program to "
            "save; keep model.state_dict()",
            UserWarning,
            outside(),
        )
    return function if function is not None else _not_scripted


def _variable(data: Any, requires_grad: bool = False, volatile: bool = False) -> Tensor:
    """A tensor: what PyTorch called Variable until 2018."""
    return data.requires_grad_() if requires_grad else data


@contextlib.contextmanager
def _fork_rng(*_: Any, **__: Any) -> Iterator[None]:
    """Random numbers inside leave no trace outside."""
    state = numbers.get_state()
    try:
        yield
    finally:
        numbers.set_state(state)


def _assert_close(
    actual: Any, expected: Any, *, rtol: float | None = None, atol: float | None = None, equal_nan: bool = False, **_: Any
) -> None:
    """AssertionError, with the difference, where two tensors are not close; the tolerances are PyTorch's."""
    left, right = np.asarray(actual), np.asarray(expected)
    small, single = {"float64": (1e-7, 1e-7), "float16": (1e-3, 1e-5)}, (1.3e-6, 1e-5)
    relative, absolute = small.get(left.dtype.name, single if left.dtype.kind in "fc" else (0.0, 0.0))
    np.testing.assert_allclose(
        left, right, relative if rtol is None else rtol, absolute if atol is None else atol, equal_nan, strict=True
    )


def _times(count: int) -> Any:
    """One number for each axis, or as many as are given."""
    return lambda x: tuple(x) if isinstance(x, Iterable) else (x,) * count


sizes_module = SimpleNamespace(
    __doc__="torch.nn.modules.utils.", _single=_times(1), _pair=_times(2), _triple=_times(3), _quadruple=_times(4), _ntuple=_times
)
bases = SimpleNamespace(__doc__="Bases that scripts derive from.", _ConvNd=_Conv, _Loss=_Loss, _WeightedLoss=_Loss)
layers = SimpleNamespace(
    __doc__="torch.nn.parallel.",
    DataParallel=DataParallel,
    DistributedDataParallel=DataParallel,
    SyncBatchNorm=SyncBatchNorm,
    RNNBase=_Recurrent,
    RNNCellBase=_Cell,
)
jit = SimpleNamespace(
    __doc__="torch.jit: nothing is left to compile.",
    script=_not_scripted,
    trace=_not_scripted,
    ignore=_same,
    export=_same,
    unused=_same,
    freeze=_same,
    optimize_for_inference=_same,
    is_tracing=lambda: False,
    is_scripting=lambda: False,
)
autograd = SimpleNamespace(__doc__="torch.autograd.", Variable=_variable)
testing = SimpleNamespace(__doc__="torch.testing.", assert_close=_assert_close)
types_module = SimpleNamespace(__doc__="torch.types.", Number=int | float | bool, Device=Device | str | int | None)
version = SimpleNamespace(__doc__="torch.version.", __version__="2.13.0", cuda=None, hip=None, git_version="", debug=False)
random_module = SimpleNamespace(
    __doc__="torch.random.", seed=numbers.seed, initial_seed=numbers.initial_seed, fork_rng=_fork_rng,
    get_rng_state=numbers.get_rng_state, set_rng_state=numbers.set_rng_state,
)  # fmt: skip
