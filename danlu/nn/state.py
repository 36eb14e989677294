"""L7. What a module keeps: `state_dict` and `load_state_dict`, module by module, with the hooks and methods that PyTorch's code overrides."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from danlu.errors import DanluError, DTypeError
from danlu.messages import Phrase
from danlu.nn.hooks import Hooked, HookHandle
from danlu.tensor import Tensor, no_grad
from danlu.tensor.exchange import as_tensor

EXTRA = "_extra_state"


class StateError(DanluError, RuntimeError):
    """A state_dict that does not fit the module: keys are missing, unexpected or of another shape."""


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict(strict=False)` left out on either side."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not any(self):
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys!r}, unexpected_keys={self.unexpected_keys!r})"


class Problems(list):
    """The problems of a load; beside them the names that the modules know, and what is copied where there are none."""

    def __init__(self) -> None:
        super().__init__()
        self.known: set[str] = set()
        self.pending: list[Callable[[], Any]] = []


class Stateful(Hooked):
    """The part of Module that saves and loads."""

    _version = 1  # of its state, as PyTorch counts; `_since`: from which version on it has a name
    _since: Mapping[str, int] = MappingProxyType({})

    def _named(self, kind: str) -> dict[str, Any]:
        """Name → value of one of the registries of names."""
        values = self.__dict__
        return {name: values[name] for name in values.get(kind, ())}

    def _children(self) -> list[tuple[str, Any]]:
        return [(name, child) for name, child in self._named("_module_names").items() if child is not None]

    def _own_state(self) -> dict[str, Tensor]:
        """Name → parameter or persistent buffer of this module alone."""
        kept = self.__dict__.get("_buffer_names", {})
        values = self._named("_parameter_names") | {name: x for name, x in self._named("_buffer_names").items() if kept[name]}
        return {name: value for name, value in values.items() if value is not None}

    # ---- saving ----------------------------------------------------------------------------------------------------------

    def state_dict(self, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> OrderedDict[str, Any]:
        """Name → tensor of all parameters and persistent buffers; the tensors share memory with the module's."""
        if destination is None:
            destination = OrderedDict()
            setattr(destination, "_metadata", OrderedDict())  # noqa: B010 (PyTorch's name; what reads states asks for it)
        said = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = said
        for hook in self._hooks_of("save"):
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, child in self._children():
            child.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._hooks_of("saved"):
            given = hook(self, destination, prefix, said)
            destination = destination if given is None else given
        return destination

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, value in self._own_state().items():
            destination[prefix + name] = value if keep_vars else value.detach()
        if type(self).get_extra_state is not Stateful.get_extra_state:
            destination[prefix + EXTRA] = self.get_extra_state()

    def get_extra_state(self) -> Any:
        """What a subclass keeps beside tensors: it becomes part of the state_dict, and `set_extra_state` gets it back."""
        raise NotImplementedError

    def set_extra_state(self, state: Any) -> None:
        """Takes what `get_extra_state` gave."""
        raise NotImplementedError

    # ---- loading ---------------------------------------------------------------------------------------------------------

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> IncompatibleKeys:
        """Copies tensors into parameters and buffers of the same names; all or nothing.

        Args:
            strict: every name must occur on both sides (but for batch norm's count of batches, which files from before 2018 lack).
            assign: takes the given tensors' values with their dtype instead of casting them to the module's.

        Raises:
            StateError: names every key that is missing, unexpected or of another shape.
        """
        if not isinstance(state_dict, Mapping):
            raise DTypeError("load_state_dict expects a dict of names to tensors, got {kind}", kind=type(state_dict).__name__)
        state, versions, problems = OrderedDict(state_dict), getattr(state_dict, "_metadata", {}), Problems()
        missing: list[str] = []
        unexpected: list[str] = []
        loaded = list(self._load_below(state, "", versions, strict, assign, missing, unexpected, problems))
        unexpected += [key for key in state if key not in problems.known]
        hooks = [(hook, module) for module in loaded for hook in module._hooks_of("loaded")]
        if hooks or not (problems or (strict and (missing or unexpected))):
            for copy in problems.pending:
                copy()
        found = IncompatibleKeys(missing, unexpected)
        for hook, module in hooks:
            hook(module, found)
        faults = (_key_problems(missing, unexpected) if strict else []) + problems
        if faults:
            problem = "\n  ".join(map(str, faults))
            raise StateError(
                "load_state_dict: the state does not fit {layer}:\n  {problem}", layer=type(self).__name__, problem=problem
            )
        return found

    def _load_below(
        self, state: OrderedDict[str, Any], prefix: str, versions: Mapping[str, Any], strict: bool, assign: bool, *found: Any
    ) -> Iterator[Stateful]:
        """Loads this module and those below it; the modules, children first."""
        said = {**versions.get(prefix[:-1], {}), "assign_to_params_buffers": assign}
        for hook in self._hooks_of("load"):
            hook(self, state, prefix, said, strict, *found)
        self._load_from_state_dict(state, prefix, said, strict, *found)
        for name, child in self._children():
            yield from child._load_below(state, f"{prefix}{name}.", versions, strict, assign, *found)
        yield self

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: Problems,
    ) -> None:
        """This module's own part: what is missing and does not fit is added to the lists, the rest is copied when all is known."""
        version, assign = local_metadata.get("version") or 0, bool(local_metadata.get("assign_to_params_buffers"))
        for name, own in self._own_state().items():
            key = prefix + name
            error_msgs.known.add(key)
            if key not in state_dict:
                missing_keys += [key] if version >= self._since.get(name, 0) else []
            elif _fits(own, state_dict[key]):
                error_msgs.pending.append(lambda own=own, given=state_dict[key]: _load(own, given, assign))
            else:
                error_msgs.append(_shape_problem(key, own, state_dict[key]))
        if type(self).set_extra_state is not Stateful.set_extra_state:
            key = prefix + EXTRA
            error_msgs.known.add(key)
            if key in state_dict:
                error_msgs.pending.append(lambda given=state_dict[key]: self.set_extra_state(given))
            else:
                missing_keys.append(key)

    # ---- hooks -----------------------------------------------------------------------------------------------------------

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """`hook(module, prefix, keep_vars)` before the module's part of a state_dict is made."""
        return self._hook("save", hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """`hook(module, state_dict, prefix, local_metadata)` when it is made; what it returns replaces the state_dict."""
        return self._hook("saved", hook)

    _register_state_dict_hook = register_state_dict_post_hook

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """`hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)` before a load; it may
        change the state_dict."""
        return self._hook("load", hook)

    def _register_load_state_dict_pre_hook(self, hook: Callable[..., Any], with_module: bool = False) -> HookHandle:
        return self._hook("load", hook if with_module else lambda _, *given: hook(*given))

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """`hook(module, incompatible_keys)` after a load; it may take names out of the lists before they are an error."""
        return self._hook("loaded", hook)


def _key_problems(missing: list[str], unexpected: list[str]) -> list[Phrase]:
    problems = []
    if missing:
        problems.append(Phrase("missing keys: {keys}", keys=listing(dict.fromkeys(missing))))
    if unexpected:
        keys = listing(dict.fromkeys(unexpected))
        problems.append(Phrase("unexpected keys: {keys}; strict=False leaves them out", keys=keys))
    return problems


def listing(names: Mapping[str, Any]) -> str | Phrase:
    """Names in a message."""
    return ", ".join(map(repr, names)) or Phrase("none")


def _fits(own: Tensor, given: Any) -> bool:
    return hasattr(given, "shape") and tuple(given.shape) == tuple(own.shape)


def _shape_problem(name: str, own: Tensor, given: Any) -> Phrase:
    expected = tuple(own.shape)
    if not hasattr(given, "shape"):
        return Phrase(
            "{name}: got {kind}; expected a tensor of shape {expected}", name=name, kind=type(given).__name__, expected=expected
        )
    return Phrase(
        "size mismatch for {name}: the given tensor has shape {shape}, the module's {expected}",
        name=name,
        shape=tuple(given.shape),
        expected=expected,
    )


def _load(own: Tensor, given: Any, assign: bool) -> None:
    value = as_tensor(given).detach()
    with no_grad():
        if assign:
            own.data = value
        else:
            own.copy_(value)


__all__ = ["IncompatibleKeys", "StateError", "Stateful"]
