"""L7. The registries of a module as dicts: `module._modules[name] = layer`, as code that was written for PyTorch does."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

_REGISTERED_BY = {
    "_parameter_names": "register_parameter",
    "_buffer_names": "register_buffer",
    "_module_names": "register_module",
}


class Registry(MutableMapping[str, Any]):
    """The parameters, buffers or submodules of one module by name; what is written here is registered there."""

    __slots__ = ("_kind", "_module")

    def __init__(self, module: Any, kind: str) -> None:
        self._module, self._kind = module, kind

    def _names(self) -> Any:
        return vars(self._module).get(self._kind, ())

    def __getitem__(self, name: str) -> Any:
        return {key: vars(self._module)[key] for key in self._names()}[name]

    def __setitem__(self, name: str, value: Any) -> None:
        getattr(self._module, _REGISTERED_BY[self._kind])(name, value)

    def __delitem__(self, name: str) -> None:
        _ = self[name]  # KeyError where it is not there
        delattr(self._module, name)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._names()))

    def __len__(self) -> int:
        return len(self._names())

    def keys(self) -> Any:
        """The names."""
        return dict.fromkeys(self).keys()

    def __repr__(self) -> str:
        return repr(dict(self))


__all__ = ["Registry"]
