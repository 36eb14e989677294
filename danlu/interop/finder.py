"""L9. The finder that answers `import torch` with danlu: a module of PyTorch's is a module object with the names of danlu's.

The names are copied when the module is first imported, so that `torch.relu` costs a look into a dictionary. A name that is not there says so
with what is known of it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from danlu.dtype import DType
from danlu.errors import DataError
from danlu.guidance import meant
from danlu.interop.table import FUNCTIONAL, SOURCES, plan, sources
from danlu.interop.toplevel import as_type
from danlu.messages import Phrase
from danlu.nn import Parameter, functional
from danlu.tensor import Size, Tensor
from danlu.tensor.shape import Extremum

ROOTS = ("torch", "torchvision")
DTYPE_WORDS = {"bool", "double", "float", "half", "int", "long", "short"}  # `from torch import *` leaves Python's own alone


def lacking(name: str, near: Any = "") -> Phrase:
    """The sentence about a dotted name of PyTorch's that danlu does not have.

    >>> print(lacking("torch.cuda.Event.time"))
    torch.cuda.Event.time is not in danlu (not planned: danlu runs on the CPU)
    """
    reason = plan(name)
    why = "" if reason is None else Phrase(" ({reason})", reason=reason)
    return Phrase("{name} is not in danlu{why}{near}", name=name, why=why, near=near)


class TorchFinder(MetaPathFinder, Loader):
    """Finds and makes the modules of PyTorch's names; every other import goes its own way."""

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The spec of a module of PyTorch's; ModuleNotFoundError that says what is known of one that is not here."""
        if fullname.partition(".")[0] not in ROOTS:
            return None
        if not exists(fullname):
            # Without `name=`: Python would put a message of its own in the place of this one.
            raise ModuleNotFoundError(str(lacking(fullname, meant(fullname.rpartition(".")[2], beside(fullname)))))
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """The default module object."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Fills a module with the names of what stands behind it."""
        values: dict[str, Any] = {}
        for source in reversed(_behind(module.__name__)):
            values |= {name: value for name, value in vars(source).items() if _is_name(name, value)}
            module.__doc__ = source.__doc__
        public = [name for name in values if not name.startswith("_") and name not in DTYPE_WORDS]
        vars(module).update(values, __all__=public, __getattr__=_missing(module))


def _is_name(name: str, value: Any) -> bool:
    return name == "__version__" or not (name.startswith("__") or name == "annotations" or isinstance(value, ModuleType))


def exists(fullname: str) -> bool:
    """Whether danlu has something behind a module of PyTorch's."""
    known = sources(fullname)
    return known is not None and (not known or bool(_behind(fullname)))


def _behind(fullname: str) -> list[Any]:
    """The modules (or the namespaces in a module, `module:name`) of danlu behind a module of PyTorch's, as far as they exist."""
    found = []
    for name in sources(fullname) or ():
        module, _, inner = name.partition(":")
        try:
            behind = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if not module.startswith(str(error.name)):
                raise
            continue
        found.append(getattr(behind, inner) if inner else behind)
    return found


def beside(fullname: str) -> list[str]:
    """The names among which a missing one was probably meant: those of its module, and that module's submodules."""
    parent = fullname.rpartition(".")[0]
    modules = [name.rpartition(".")[2] for name in SOURCES if name.rpartition(".")[0] == parent]
    return [*modules, *vars(sys.modules.get(parent, sys.modules[__name__]))]


def _missing(module: ModuleType) -> Callable[[str], Any]:
    """The `__getattr__` of a module: a submodule is imported, a name that danlu imports when it is first used, or a function of
    torch.nn.functional found, everything else refused."""

    def find(name: str) -> Any:
        whole = f"{module.__name__}.{name}"
        if exists(whole):
            return importlib.import_module(whole)
        for source in _behind(module.__name__):
            if name in getattr(source, "__all__", ()) and _is_name(name, value := getattr(source, name)):
                return value
        if module.__name__ == "torch" and name in FUNCTIONAL:
            return getattr(functional, name)
        if module.__name__ == "torch" and name.endswith("_") and not name.startswith("_") and hasattr(Tensor, name):
            return getattr(Tensor, name)  # torch.exp_(x) is x.exp_()
        near = "" if name.startswith("_") else meant(name, beside(whole))
        raise AttributeError(str(lacking(whole, near)), name=name, obj=None)

    return find


def install() -> None:
    """Makes `import torch` mean danlu in this process from now on.

    Raises: DataError where the real PyTorch has been imported already.

    >>> from danlu.interop import install  # doctest: +SKIP
    >>> install()  # doctest: +SKIP
    >>> import torch  # doctest: +SKIP
    """
    if any(type(finder) is TorchFinder for finder in sys.meta_path):
        return
    if "torch" in sys.modules:
        raise DataError(
            "PyTorch itself is imported already; start the process (in a notebook: restart the kernel) and load danlu first"
        )
    sys.meta_path.insert(0, TorchFinder())
    _speak()


def _speak() -> None:
    """What scripts print has PyTorch's words: torch.float32, torch.Size([2, 3]), torch.FloatTensor."""
    setattr(DType, "__repr__", lambda dtype: f"torch.{dtype.name}")  # noqa: B010
    setattr(Size, "__repr__", lambda size: f"torch.Size({list(size)})")  # noqa: B010
    setattr(Tensor, "type", as_type)  # noqa: B010
    setattr(Tensor, "is_sparse", False)  # noqa: B010
    setattr(Tensor, "is_inference", lambda tensor: False)  # noqa: B010
    setattr(Extremum, "library", "torch")  # noqa: B010
    Tensor.__module__, Parameter.__module__ = "torch", "torch.nn.parameter"
