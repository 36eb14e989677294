"""L7. Module: the base of every layer and model, with PyTorch's names and semantics.

What is assigned as an attribute stands in the instance's own `__dict__`, where Python finds it without help: `self.weight` costs
no more than any attribute. Three registries hold the *names* of parameters, buffers and submodules, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, TypeVar

from danlu.dtype import DType, bfloat16, float16, float32, float64
from danlu.engine import capturing, changed
from danlu.errors import DanluError, DataError, DTypeError, ShapeError
from danlu.graph import Op
from danlu.guidance import check_keywords
from danlu.messages import Phrase, message
from danlu.nn.backward_hooks import BackwardHooks
from danlu.nn.hooks import HookHandle, Hooks, everywhere
from danlu.nn.parameter import Buffer, Parameter
from danlu.nn.registry import Registry
from danlu.nn.state import IncompatibleKeys, StateError, Stateful, listing
from danlu.nn.teaching import name_layer, name_meant, refuse_data, warn_of_hidden
from danlu.tensor import Tensor

M = TypeVar("M", bound="Module")


_NONE = Hooks()
_KINDS = ("_parameter_names", "_buffer_names", "_module_names")
_ops: dict[type, tuple[Op, Callable[[Any], tuple], Callable[..., Any]]] = {}  # see `as_one_op`


def as_one_op(op: Op, tensors: Callable[[Any], tuple] = lambda module: ()) -> Callable[[type[M]], type[M]]:
    """Says of a class of modules that its forward is one op, of the input and of `tensors(module)`; with an attribute `inplace` which is
    False. Such modules in a row are recorded without a tensor between them."""

    def told(cls: type[M]) -> type[M]:
        _ops[cls] = op, tensors, cls.forward
        return cls

    return told


def one_op(module: Module) -> tuple[Op, tuple] | None:
    """The op that calling a module is, and its tensors; None where it is more: a forward of another class or its own, hooks."""
    cls, values = type(module), module.__dict__
    found = _ops.get(cls)
    if found is None or cls.forward is not found[2] or module._hooks is not None or "forward" in values or values.get("inplace"):
        return None
    return found[0], found[1](module)


class Module(Stateful):
    """The base of layers and models: parameters, buffers and submodules are found in its attributes.

    y = forward(x)

    Subclasses call `super().__init__()` first and define `forward`. Calling the module runs its hooks and `forward`; an error of
    danlu's that passes through tells in which layer it arose.

    Shapes: those of `forward`.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.hidden = nn.Linear(4, 8)
        ...         self.out = nn.Linear(8, 3)
        ...     def forward(self, x):
        ...         return self.out(self.hidden(x).relu())
        >>> sum(p.numel() for p in Net().parameters())
        67
    """

    training: bool = True
    _hooks: Hooks | None = None
    _parameter_names: dict[str, None]
    _buffer_names: dict[str, bool]  # name → is it part of the state_dict
    _module_names: dict[str, None]

    def __new__(cls, *args: Any, **named: Any) -> Any:
        if named:
            check_keywords(cls, named)
        if args and cls.__module__.startswith("danlu.nn."):
            refuse_data(cls, args)
        return super().__new__(cls)

    def __init__(self) -> None:
        values = self.__dict__
        values["_parameter_names"], values["_buffer_names"], values["_module_names"] = {}, {}, {}

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """The computation; every subclass defines it."""
        raise NotImplementedError(
            message("{layer} has no forward; define `def forward(self, x): ...` in the class", layer=type(self).__name__)
        )

    # ---- calling -----------------------------------------------------------------------------------------------------

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        try:
            if self._hooks is None:
                return self.forward(*inputs, **named)
            return self._call_with_hooks(self._hooks, inputs, named)
        except DanluError as error:
            name_layer(error, self)
            raise
        except AttributeError as error:
            name_meant(error)
            raise

    def _call_with_hooks(self, hooks: Hooks, inputs: tuple, named: dict[str, Any]) -> Any:
        for hook, with_kwargs, _ in hooks.of("before"):
            given = hook(self, inputs, named) if with_kwargs else hook(self, inputs)
            if given is not None and with_kwargs:
                inputs, named = given
            elif given is not None:
                inputs = given if isinstance(given, tuple) else (given,)
        watched = None
        before, after = ([entry[0] for entry in hooks.of(when)] for when in ("before gradients", "after gradients"))
        if before or after:
            watched = BackwardHooks(self, before, after)
            inputs = watched.enter(inputs)
        after = hooks.of("after")
        try:
            result = self.forward(*inputs, **named)
        except BaseException:
            for hook, with_kwargs, always in after:
                if always:
                    hook(self, inputs, named, None) if with_kwargs else hook(self, inputs, None)
            raise
        for hook, with_kwargs, _ in after:
            given = hook(self, inputs, named, result) if with_kwargs else hook(self, inputs, result)
            result = result if given is None else given
        return result if watched is None else watched.leave(result)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> HookHandle:
        """`hook(module, inputs)` before forward; what it returns replaces the inputs."""
        return self._own_hooks().add("before", hook, prepend, with_kwargs)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> HookHandle:
        """`hook(module, inputs, output)` after forward; what it returns replaces the output. `always_call`: after an error too, with None."""
        return self._own_hooks().add("after", hook, prepend, with_kwargs, always_call)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> HookHandle:
        """`hook(module, grad_output)` when the gradients of the outputs are known; what it returns replaces them."""
        return self._own_hooks().add("before gradients", hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> HookHandle:
        """`hook(module, grad_input, grad_output)` when the gradients of the inputs are known; what it returns replaces grad_input."""
        return self._own_hooks().add("after gradients", hook, prepend)

    def _own_hooks(self) -> Hooks:
        return self.__dict__.setdefault("_hooks", Hooks())

    @property
    def _forward_pre_hooks(self) -> Mapping[int, Callable[..., Any]]:
        return self.__dict__.get("_hooks", _NONE).chain("before")

    @property
    def _forward_hooks(self) -> Mapping[int, Callable[..., Any]]:
        return self.__dict__.get("_hooks", _NONE).chain("after")

    @property
    def _backward_hooks(self) -> Mapping[int, Callable[..., Any]]:
        return self.__dict__.get("_hooks", _NONE).chain("after gradients")

    # ---- registration ------------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            self._clear("_parameter_names", name)
            self.register_parameter(name, value)
        elif not isinstance(value, (Module, Buffer)) or name in self.__dict__.get("_parameter_names", ()):
            self._set_plain(name, value)
        elif isinstance(value, Module):
            self._clear("_module_names", name)
            self.register_module(name, value)
        else:
            self._clear("_buffer_names", name)
            self.register_buffer(name, value, value.persistent)

    def _clear(self, kind: str, name: str) -> None:
        """Takes away what has a name and is of another kind."""
        values = self.__dict__
        if name in values and name not in values.get(kind, ()):
            for other in _KINDS:
                values.get(other, {}).pop(name, None)
            del values[name]

    def _set_plain(self, name: str, value: Any) -> None:
        """An attribute that is neither Parameter nor Module: it may set a registered name to None, or a buffer to a tensor."""
        values = self.__dict__
        if "_module_names" in values and value is not None:
            if name in values["_parameter_names"]:
                raise DTypeError(
                    "cannot assign {given} as parameter {name!r} of {layer}; expected nn.Parameter or None: write "
                    "nn.Parameter(value), or `with danlu.no_grad(): module.{name}.copy_(value)`",
                    given=type(value).__name__,
                    name=name,
                    layer=type(self).__name__,
                )
            if name in values["_module_names"] or (name in values["_buffer_names"] and not isinstance(value, Tensor)):
                kind = "nn.Module" if name in values["_module_names"] else "Tensor"
                raise DTypeError(
                    "cannot assign {given} as {name!r} of {layer}; expected {expected} or None: `del module.{name}` first if it shall "
                    "be something else",
                    given=type(value).__name__,
                    name=name,
                    layer=type(self).__name__,
                    expected=kind,
                )
        known = (*values.get("_buffer_names", ()), *values.get("_parameter_names", ()))
        if name in known or (name == "training" and values.get(name) is not value):
            changed()
        capture = capturing()
        if capture is not None:
            capture.cannot(f"the attribute {name} of {type(self).__name__} is set inside")
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        changed()
        for kind in _KINDS:
            self.__dict__[kind].pop(name, None)
        object.__delattr__(self, name)

    def _register(self, kind: str, name: str, value: Any, mark: Any = None) -> None:
        values = self.__dict__
        if "_module_names" not in values:
            raise AttributeError(
                message(
                    "cannot assign {name!r} before Module.__init__() call; write super().__init__() as the first line of {layer}.__init__",
                    name=name,
                    layer=type(self).__name__,
                )
            )
        _check_name(self, kind, name)
        changed()
        values[kind][name] = mark
        values[name] = value

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """A parameter under a name; None keeps the name without a value."""
        if param is not None and not isinstance(param, Parameter):
            raise DTypeError(
                "cannot register {kind} as parameter {name!r}; expected nn.Parameter or None: write nn.Parameter(value)",
                kind=type(param).__name__,
                name=name,
            )
        self._register("_parameter_names", name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """A tensor that is state but not trained (running statistics); `persistent=False` leaves it out of the state_dict."""
        if tensor is not None and not isinstance(tensor, Tensor):
            raise DTypeError(
                "cannot register {kind} as buffer {name!r}; expected a Tensor or None: write danlu.tensor(value)",
                kind=type(tensor).__name__,
                name=name,
            )
        self._register("_buffer_names", name, tensor, persistent)

    def register_module(self, name: str, module: Module | None) -> None:
        """A submodule under a name."""
        if module is not None and not isinstance(module, Module):
            raise DTypeError(
                "cannot register {kind} as submodule {name!r}; expected an nn.Module or None",
                kind=type(module).__name__,
                name=name,
            )
        self._register("_module_names", name, module)

    add_module = register_module

    @property
    def _parameters(self) -> MutableMapping[str, Parameter | None]:
        return Registry(self, "_parameter_names")

    @property
    def _buffers(self) -> MutableMapping[str, Tensor | None]:
        return Registry(self, "_buffer_names")

    @property
    def _modules(self) -> MutableMapping[str, Module | None]:
        return Registry(self, "_module_names")

    # ---- walking -------------------------------------------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The direct submodules with their names; each once."""
        seen: set[int] = set()
        for name, child in self._children():
            if id(child) not in seen:
                seen.add(id(child))
                yield name, child

    def children(self) -> Iterator[Module]:
        """The direct submodules."""
        return (child for _, child in self.named_children())

    def named_modules(
        self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, with dotted paths; parents before children."""
        memo = set() if memo is None else memo
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            path, module = stack.pop()
            if module in memo:
                continue
            if remove_duplicate:
                memo.add(module)
            yield path, module
            stack.extend([(f"{path}.{name}" if path else name, child) for name, child in module._children()][::-1])

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        return (module for _, module in self.named_modules())

    def _named_members(self, kind: str, prefix: str, recurse: bool, unique: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for path, module in self.named_modules(prefix=prefix, remove_duplicate=unique) if recurse else [(prefix, self)]:
            for name, value in module._named(kind).items():
                if value is None or (unique and id(value) in seen):
                    continue
                seen.add(id(value))
                yield (f"{path}.{name}" if path else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with dotted names; shared ones once."""
        return self._named_members("_parameter_names", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters; shared ones once. Warns of layers in plain lists and dicts, which are not among them."""
        found = [p for _, p in self.named_parameters(recurse=recurse)]
        if recurse:
            warn_of_hidden(self, found)
        return iter(found)

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers with dotted names."""
        return self._named_members("_buffer_names", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module under a dotted path ("" is this one)."""
        module = self
        for name in filter(None, target.split(".")):
            module = module._own("_module_names", Phrase("submodule"), name, target)
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter under a dotted path."""
        path, _, name = target.rpartition(".")
        return self.get_submodule(path)._own("_parameter_names", Phrase("parameter"), name, target)

    def get_buffer(self, target: str) -> Tensor:
        """The buffer under a dotted path."""
        path, _, name = target.rpartition(".")
        return self.get_submodule(path)._own("_buffer_names", Phrase("buffer"), name, target)

    def _own(self, kind: str, word: Phrase, name: str, target: str) -> Any:
        own = self._named(kind)
        if own.get(name) is None:
            raise AttributeError(
                message(
                    "{layer} has no {kind} {name!r} (of path {target!r}); it has {listing}",
                    layer=type(self).__name__,
                    kind=word,
                    name=name,
                    target=target,
                    listing=listing(own),
                )
            )
        return own[name]

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Puts a module under a dotted path, in the place of what stands there; `strict`: only where something stands."""
        path, _, name = target.rpartition(".")
        if strict:
            self.get_submodule(target)
        self.get_submodule(path).register_module(name, module)

    # ---- modes and conversions -----------------------------------------------------------------------------------------

    def train(self: M, mode: bool = True) -> M:
        """Training mode (dropout drops, batch norm uses the batch) for this module and all below it."""
        if not isinstance(mode, bool):
            raise DataError("train: mode is {mode!r}; expected True or False", mode=mode)
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """Evaluation mode: `train(False)`."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Whether the parameters take part in differentiation (False freezes them)."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients (or sets them to zero)."""
        for _, p in self.named_parameters():
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                p.grad = p.grad.detach().zero_()

    def apply(self: M, fn: Callable[[Module], Any]) -> M:
        """`fn(module)` for every module below and then for this one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def to(self: M, *args: Any, **kwargs: Any) -> M:
        """Parameters and buffers of floating point as another dtype: `to(danlu.float64)`; `to("cpu")` changes nothing, nor does
        `memory_format`: layers choose the order in memory themselves."""
        kwargs.pop("memory_format", None)
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor.dtype.is_floating_point:
                tensor.data = tensor.detach().to(*args, **kwargs)
                if tensor.grad is not None:
                    tensor.grad = tensor.grad.detach().to(*args, **kwargs)
        return self

    def type(self: M, dst_type: DType) -> M:
        """`to(dtype)`."""
        return self.to(dst_type)

    def to_empty(self: M, *, device: Any, recurse: bool = True) -> M:
        """`to(device)`; the numbers stay what they are."""
        return self.to(device)

    def float(self: M) -> M:
        """Parameters and buffers as float32."""
        return self.to(float32)

    def double(self: M) -> M:
        """Parameters and buffers as float64."""
        return self.to(float64)

    def half(self: M) -> M:
        """Parameters and buffers as float16."""
        return self.to(float16)

    def bfloat16(self: M) -> M:
        """Parameters and buffers as bfloat16."""
        return self.to(bfloat16)

    def cpu(self: M) -> M:
        """Nothing: danlu computes on the CPU."""
        return self

    def share_memory(self: M) -> M:
        """Nothing: processes of danlu share the memory of batches, not of parameters."""
        return self

    def cuda(self: M, device: Any = None) -> M:
        """Raises DTypeError: there is no GPU. Write `to(device)` with a device that was asked for."""
        return self.to("cuda")

    # ---- text ------------------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What stands between the parentheses of the printed layer."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra, children = self.extra_repr(), self._named("_module_names")
        if not children:
            return f"{self._get_name()}({extra})"
        lines = ([extra] if extra else []) + self._lines({name: repr(m) for name, m in children.items()})
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"

    def _lines(self, children: Mapping[str, str]) -> list[str]:
        """What is printed of the submodules."""
        return [f"({name}): " + text.replace("\n", "\n  ") for name, text in children.items()]


def _add_everywhere(when: str, hook: Callable[..., Any], kwargs: bool = False, always: bool = False) -> HookHandle:
    Module._hooks = everywhere  # what a module without hooks of its own finds
    changed()
    return everywhere.add(when, hook, False, kwargs, always)


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> HookHandle:
    """`hook(module, inputs)` before the forward of every module; see `Module.register_forward_pre_hook`."""
    return _add_everywhere("before", hook)


def register_module_forward_hook(hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False) -> HookHandle:
    """`hook(module, inputs, output)` after the forward of every module; see `Module.register_forward_hook`."""
    return _add_everywhere("after", hook, with_kwargs, always_call)


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> HookHandle:
    """`hook(module, grad_output)` for every module; see `Module.register_full_backward_pre_hook`."""
    return _add_everywhere("before gradients", hook)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> HookHandle:
    """`hook(module, grad_input, grad_output)` for every module; see `Module.register_full_backward_hook`."""
    return _add_everywhere("after gradients", hook)


def _check_name(module: Module, kind: str, name: str) -> None:
    """A name that can be registered: a word without dots that is no method or other attribute of the module."""
    if not isinstance(name, str):
        raise DTypeError("the name of a parameter, buffer or submodule must be a string, got {kind}", kind=type(name).__name__)
    if "." in name or not name:
        raise KeyError(
            message(
                "{name!r} cannot name a parameter, buffer or submodule: expected a name without dots that is not empty", name=name
            )
        )
    values = module.__dict__
    taken = name in values and name not in values[kind]
    if callable(getattr(type(module), name, None)) or (taken and values[name] is not None):
        raise KeyError(
            message("{layer} already has an attribute {name!r}; choose another name", layer=type(module).__name__, name=name)
        )


__all__ = ["HookHandle", "IncompatibleKeys", "Module", "ShapeError", "StateError"]
