"""L7. Containers: modules that hold other modules in order or by name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import index as as_index
from typing import Any

from danlu.errors import AxisError, DanluError, DTypeError
from danlu.graph import Op
from danlu.messages import Phrase, message
from danlu.nn.module import Module, one_op
from danlu.nn.teaching import name_layer
from danlu.tensor import apply_in_turn


class _List(Module):
    """What Sequential and ModuleList share: modules under the names "0", "1", …"""

    def _list(self) -> list[Module]:
        values = self.__dict__
        return [values[name] for name in self._module_names]

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.isdigit()]

    def _replace(self, modules: Iterable[Module]) -> None:
        """Forgets all submodules and registers these in order."""
        for name in list(self._module_names):
            delattr(self, name)
        for k, module in enumerate(modules):
            self.register_module(str(k), module)

    def _position(self, index: int, end: int | None = None) -> int:
        count = len(self._module_names)
        k = as_index(index)
        if not -count <= k < count:
            raise AxisError(
                "index {index} is out of range: this {name} holds {count} modules", index=k, name=type(self).__name__, count=count
            )
        return k % count

    def __len__(self) -> int:
        return len(self._module_names)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._list())

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._like(list(self._named("_module_names").items())[index])
        return self._list()[self._position(index)]

    def _like(self, named: list[tuple[str, Module]]) -> Module:
        return type(self)(*[module for _, module in named])

    def __setitem__(self, index: int, module: Module) -> None:
        self.register_module(list(self._module_names)[self._position(index)], module)

    def __delitem__(self, index: int | slice) -> None:
        modules = self._list()
        del modules[index if isinstance(index, slice) else self._position(index)]
        self._replace(modules)

    def append(self, module: Module):
        """Adds a module at the end."""
        self.register_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]):
        """Adds several modules at the end."""
        for module in list(modules):
            self.append(module)
        return self

    def __iadd__(self, modules: Iterable[Module]):
        return self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> Any:
        empty: Any = self._like([])
        return empty.extend([*self, *other])

    def pop(self, index: int = -1) -> Module:
        """Takes a module out and gives it back."""
        module = self[index]
        del self[index]
        return module

    def insert(self, index: int, module: Module):
        """Adds a module before position `index`."""
        modules = self._list()
        modules.insert(index, module)
        self._replace(modules)
        return self


class Sequential(_List):
    """Modules one after another: each gets the result of the one before.

    y = fₙ(… f₂(f₁(x)))

    Args: the modules, or one OrderedDict of names to modules.

    Shapes: the input of the first module → the result of the last.

    Example:
        >>> from danlu import nn
        >>> nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        Sequential(
          (0): Linear(in_features=4, out_features=8, bias=True)
          (1): ReLU()
          (2): Linear(in_features=8, out_features=3, bias=True)
        )
    """

    def __init__(self, *modules: Any) -> None:
        super().__init__()
        named = modules[0].items() if len(modules) == 1 and isinstance(modules[0], Mapping) else enumerate(modules)
        for name, module in named:
            if not isinstance(module, Module):
                raise DTypeError(
                    "Sequential: item {name} is {kind}; expected an nn.Module: for a function write a class with forward, and for a "
                    "list write Sequential(*layers)",
                    name=name,
                    kind=type(module).__name__,
                )
            self.register_module(str(name), module)

    def _like(self, named: list[tuple[str, Module]]) -> Sequential:
        return type(self)(OrderedDict(named))

    def __mul__(self, count: int) -> Sequential:
        return Sequential(*(list(self) * count))

    __rmul__ = __mul__

    def __imul__(self, count: int) -> Sequential:
        return self.extend(list(self) * (count - 1))

    def forward(self, input: Any) -> Any:
        """Each module in turn."""
        values = self.__dict__
        calls, modules = [], []  # what can be recorded in turn, and waits for that
        for name in self._module_names:
            module = values[name]
            call = one_op(module)
            if call is not None:
                calls.append(call)
                modules.append(module)
                continue
            if calls:
                input, calls, modules = _in_turn(input, calls, modules), [], []
            input = module(input)
        return _in_turn(input, calls, modules) if calls else input


def _in_turn(input: Any, calls: list[tuple[Op, tuple]], modules: list[Module]) -> Any:
    """The modules one after another; each is one op."""
    if len(calls) == 1:
        return modules[0](input)
    try:
        return apply_in_turn(input, calls)
    except DanluError as error:
        name_layer(error, modules[getattr(error, "turn", 0)])
        raise


class ModuleList(_List):
    """A list of modules whose parameters belong to the model; it has no forward of its own.

    Shapes: no tensors of its own.

    Example:
        >>> from danlu import nn
        >>> layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        >>> len(layers), sum(p.numel() for p in layers.parameters())
        (3, 60)
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(modules)

    def _like(self, named: list[tuple[str, Module]]) -> ModuleList:
        return type(self)(module for _, module in named)

    def _lines(self, children: Mapping[str, str]) -> list[str]:
        """Equal modules in a row as one: `(0-2): 3 x Linear(...)`."""
        runs, names = [(text, len(list(run))) for text, run in groupby(children.values())], iter(children)
        lines = []
        for text, count in runs:
            first, *others = [next(names) for _ in range(count)]
            head = f"({first}-{others[-1]}): {count} x " if others else f"({first}): "
            lines.append(head + text.replace("\n", "\n  "))
        return lines


class ModuleDict(Module):
    """Modules by name whose parameters belong to the model; it has no forward of its own.

    Shapes: no tensors of its own.

    Example:
        >>> from danlu import nn
        >>> heads = nn.ModuleDict({"mean": nn.Linear(4, 1), "scale": nn.Linear(4, 1)})
        >>> list(heads), tuple(heads["mean"].weight.shape)
        (['mean', 'scale'], (1, 4))
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()) -> None:
        super().__init__()
        self.update(modules)

    def __getitem__(self, key: str) -> Module:
        if key not in self._module_names:
            raise KeyError(
                message(
                    "{key!r}; this ModuleDict holds {names}", key=key, names=", ".join(self._module_names) or Phrase("nothing")
                )
            )
        return self.__dict__[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.register_module(key, module)

    def __delitem__(self, key: str) -> None:
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._module_names)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._module_names))

    def __contains__(self, key: str) -> bool:
        return key in self._module_names

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._module_names.keys()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return self._named("_module_names").values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Names and modules."""
        return self._named("_module_names").items()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Adds modules, or replaces those of the same name."""
        for name, module in dict(modules).items():
            self.register_module(name, module)

    def pop(self, key: str) -> Module:
        """Takes a module out and gives it back."""
        module = self[key]
        del self[key]
        return module


__all__ = ["ModuleDict", "ModuleList", "Sequential"]
