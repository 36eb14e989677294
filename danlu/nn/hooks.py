"""L7. Hooks: functions that a module or an optimizer calls at moments of its own, and the handles that take them away."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from itertools import count
from types import MappingProxyType
from typing import Any

_keys = count()  # over all chains: a handle that is used twice takes nobody else's hook away


class HookHandle:
    """Removes a hook: `handle.remove()`, or at the end of a `with` block."""

    def __init__(self, hooks: OrderedDict, key: int) -> None:
        self._hooks, self.id = hooks, key

    def remove(self) -> None:
        """Takes the hook away; a second call does nothing."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> HookHandle:
        return self

    def __exit__(self, *_: Any) -> None:
        self.remove()


def add(chain: OrderedDict[int, Any], entry: Any, prepend: bool = False) -> HookHandle:
    """Puts an entry behind those of a chain, or before them."""
    handle = HookHandle(chain, next(_keys))
    chain[handle.id] = entry
    if prepend:
        chain.move_to_end(handle.id, last=False)
    return handle


class Hooked:
    """What calls hooks at named moments."""

    _chains: Mapping[str, OrderedDict[int, Any]] = MappingProxyType({})

    def _hooks_of(self, when: str) -> list[Any]:
        return list(self._chains[when].values()) if when in self._chains else []

    def _hook(self, when: str, hook: Any, prepend: bool = False) -> HookHandle:
        return add(self.__dict__.setdefault("_chains", {}).setdefault(when, OrderedDict()), hook, prepend)


class Hooks(Hooked):
    """The hooks of a module's calls: "before" and "after" its forward, "before gradients" and "after gradients". Those of every module
    come first."""

    def __init__(self) -> None:
        self.flags: dict[int, tuple[bool, bool]] = {}  # of those that want named arguments, and those that run after an error too

    def add(
        self, when: str, hook: Callable[..., Any], prepend: bool = False, kwargs: bool = False, always: bool = False
    ) -> HookHandle:
        """A hook behind the others, or before them."""
        handle = self._hook(when, hook, prepend)
        if kwargs or always:
            self.flags[handle.id] = kwargs, always
        return handle

    def of(self, when: str) -> list[tuple[Callable[..., Any], bool, bool]]:
        """All that a module calls: (hook, with_kwargs, always_call)."""
        own = [(hook, *self.flags.get(key, (False, False))) for key, hook in self.chain(when).items()]
        return own if self is everywhere else everywhere.of(when) + own

    def chain(self, when: str) -> OrderedDict[int, Callable[..., Any]]:
        """Those of the module alone, by the numbers of their handles; taking one out removes it."""
        return self._chains.get(when) or OrderedDict()


everywhere = Hooks()  # of every module
