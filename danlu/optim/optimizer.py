"""L7. Optimizer: the base of all optimizers, with PyTorch's parameter groups and state.

A step records one composite over all parameters of a group and then flushes: everything that is pending (forward, loss, backward
and the update itself) becomes one program that writes parameters and state in place.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from operator import is_
from typing import Any

import numpy as np

from danlu import engine
from danlu.dtype import default, float64, in_memory
from danlu.engine import capturing, changed, flush, settle
from danlu.errors import DanluError, DataError, DTypeError, GradientError, warn
from danlu.guidance import check_keywords, outside
from danlu.messages import Phrase, message
from danlu.nn.hooks import Hooked, HookHandle
from danlu.tensor import Tensor, enable_grad, from_array
from danlu.tensor.core import updates
from danlu.watching import repeat_updates

Group = dict[str, Any]
Numbers = Callable[[], "list[float] | None"]


class NonLeafError(GradientError, ValueError):
    """A parameter that is the result of a computation (PyTorch raises ValueError)."""


class OptimizerStateError(DanluError, ValueError):
    """A state_dict that does not fit the optimizer."""


def check_option(optimizer: str, name: str, value: Any, valid: bool, expected: Phrase) -> None:
    """DataError that names the option, its value and what it may be."""
    if not valid:
        raise DataError(
            "{optimizer}: {name} is {value!r}; expected {expected}",
            optimizer=optimizer,
            name=name,
            value=value,
            expected=expected,
        )


def check_not_negative(optimizer: str, **options: Any) -> None:
    """Numbers ≥ 0; tensors (a learning rate may be one) are taken as they are."""
    for name, value in options.items():
        if not isinstance(value, (int, float, Tensor, np.number)):
            raise DTypeError(
                "{optimizer}: {name} is {value!r}, a {kind}; expected a number ≥ 0",
                optimizer=optimizer,
                name=name,
                value=value,
                kind=type(value).__name__,
            )
        check_option(optimizer, name, value, isinstance(value, Tensor) or bool(value >= 0), Phrase("a number ≥ 0"))


def zero_state(p: Tensor) -> Tensor:
    """Zeros like a parameter that are memory from the start: as a computation they would be part of the first step's program
    only, and the second step would need a program of its own."""
    return filled_state(p, 0.0)


def filled_state(p: Tensor, value: float, shape: tuple[int, ...] | None = None) -> Tensor:
    """A number in the dtype of a parameter (in both parts of a complex one), in its shape or another, as memory from the start."""
    number = complex(value, value) if p.dtype.is_complex else value
    return from_array(in_memory(np.full(tuple(p.shape) if shape is None else shape, number), p.dtype))


def single(x: float) -> float:
    """A number of the state as PyTorch keeps it, in float32 unless float64 is the default dtype: runs agree digit for digit."""
    return float(x if default() is float64 else np.float32(x))


def check_betas(optimizer: str, betas: Any) -> None:
    """Two numbers of [0, 1)."""
    fits = isinstance(betas, (tuple, list)) and len(betas) == 2 and all(0.0 <= b < 1.0 for b in betas)
    check_option(optimizer, "betas", betas, fits, Phrase("two numbers from 0 up to but not including 1"))


_NO_OPTIONS = {"lr", "params", "param_names"}


class _Again:
    """A step that was foreseen, and what it depends on: the next one is the same if nothing of that is another thing."""

    def __init__(self, optimizer: Optimizer, update: engine.RepeatedUpdate, numbers: Numbers) -> None:
        self.update, self.numbers, self.changes = update, numbers, engine.changes
        self.groups, self.state, self.changing = optimizer.param_groups, optimizer.state, ("lr", *optimizer.cycled)
        (self.group,) = self.groups
        self.options = dict(self.group)
        self.params = list(self.group["params"])
        self.states = list(self.state.values())
        places = [(state, name) for state in self.states for name, x in state.items() if isinstance(x, Tensor)]
        self.places = [state for state, _ in places], [name for _, name in places]
        self.tensors = [state[name] for state, name in places]

    def fits(self, optimizer: Optimizer) -> bool:
        """Whether groups, options, parameters and state are those of then."""
        group, options = self.group, self.options
        if (
            engine.changes != self.changes
            or optimizer.param_groups is not self.groups
            or optimizer.state is not self.state
            or len(self.groups) != 1
            or self.groups[0] is not group
            or group["params"] is not options["params"]
        ):
            return False
        for name in self.changing:
            if type(group[name]) is not type(options[name]) or bool(group[name]) is not bool(options[name]):
                return False
            options[name] = group[name]
        return (
            group == options
            and _are(group["params"], self.params)
            and _are(self.state.values(), self.states)
            and _are(map(dict.get, *self.places), self.tensors)
        )

    def take(self, optimizer: Optimizer) -> bool:
        """One more step, if it is the same."""
        if not self.fits(optimizer):
            return False
        grads = [g for g in [p.grad for p in self.params] if g is not None]
        if True in [g._base is not None for g in grads]:
            return False
        return engine.update_again(self.update, tuple([g._storage.value for g in grads]), self.numbers)


def _are(found: Iterable[Any], known: list) -> bool:
    """Whether two rows are the same objects."""
    found = list(found)
    return len(found) == len(known) and all(map(is_, found, known))


def _again(optimizer: Optimizer, found: list[tuple]) -> _Again | None:
    """How a step whose updates are these may be taken again; None where a part of it is only known when it is asked for."""
    group = optimizer.param_groups[0]
    if len(found) != 1 or len(optimizer.param_groups) != 1 or not set(map(type, _numbers_in(group))) <= {float, int, bool}:
        return None
    *_, targets, inputs = found[0]
    written = {id(t) for t in targets}
    read = [x for x in inputs if isinstance(x, Tensor) and id(x) not in written]
    if not _are([p.grad for p in group["params"] if p.grad is not None], read):
        return None
    update = engine.last_update(inputs, targets)
    renewed = optimizer.numbers_again() if update is not None and _defines_both(type(optimizer)) else None
    return None if update is None or renewed is None else _Again(optimizer, update, renewed)


def _numbers_in(group: Group) -> list:
    """Its options that are numbers, as they are and in tuples."""
    options = [v for k, v in group.items() if k != "params" and v is not None]
    return [x for v in options for x in (v if isinstance(v, (tuple, list)) else (v,)) if not isinstance(x, str)]


def _defines_both(cls: type) -> bool:
    """Whether the update of a class and its numbers are of one hand: a subclass may have changed the first alone."""
    first = next(c for c in cls.__mro__ if {"update_group", "numbers_again", "_update"} & c.__dict__.keys())
    return {"update_group", "numbers_again"} <= first.__dict__.keys()


Row = tuple[Tensor, dict[str, Any]]  # a parameter and its state


def in_lists(rows: list[Row], *names: str) -> tuple[list[Tensor], list[Tensor]]:
    """What an update writes (all p, then each state by name) and what it reads (all p, all g, then the states). A state that is
    not there begins at zero."""
    params = [p for p, _ in rows]
    for p, state in rows:
        for name in names:
            if state.get(name) is None:
                state[name] = zero_state(p)
    states = [state[name] for name in names for _, state in rows]
    return [*params, *states], [*params, *(p.grad for p in params), *states]  # type: ignore[list-item]


class Optimizer(Hooked):
    """The base: subclasses define `update_group(group)`, which records the update of one parameter group.

    Args:
        params: an iterable of tensors, or of dicts {"params": tensors, option: value, …}, each a group with options of its own.
        defaults: the options and their values where a group says nothing.

    Shapes: parameters of any shapes; their state has the same.

    Example:
        >>> import danlu
        >>> from danlu.tensor import update_
        >>> class Descent(danlu.optim.Optimizer):
        ...     def update_group(self, group):
        ...         for p in group["params"]:
        ...             update_("sgd", [p], group["lr"], 0.0, p, p.grad, maximize=False)
        >>> p = danlu.nn.Parameter(danlu.ones(2))
        >>> p.sum().backward()
        >>> Descent([p], {"lr": 0.5}).step()
        >>> p.tolist()
        [0.5, 0.5]
    """

    numbers: tuple[str, ...] = ("step",)  # the parts of a parameter's state that are Python numbers
    _again: _Again | None = None  # the last step, where the next one may be the same
    _patience = 100  # times that the next one was not, after which no more is made of it
    cycled: tuple[str, ...] = ()  # options that reach the program as changing numbers, as the learning rate does

    def __new__(cls, *args: Any, **named: Any) -> Any:
        check_keywords(cls, named)
        return super().__new__(cls)

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[Group] = []
        for group in _as_groups(type(self).__name__, params):
            self.add_param_group(group)
        flush()  # initial values run now: the first step is then the same program as the next

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_again"}

    def check_group(self, group: Group) -> None:
        """Raises DataError for options that have no sense; subclasses define it."""

    def update_group(self, group: Group) -> None:
        """Records the update of the group's parameters; every subclass defines it."""
        raise NotImplementedError(
            message("{name} has no update_group; define `def update_group(self, group): ...`", name=type(self).__name__)
        )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient; runs all that is pending as one program.

        Args:
            closure: computes the loss anew and calls backward; its result is given back.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        if self._again is not None:
            if self._again.take(self):
                return loss
            self._patience -= 1
        if self._waits_for_backward():
            warn(
                "{name}.step: no parameter has a gradient, so nothing changes. Call loss.backward() before step(), and zero_grad() "
                "before backward()",
                UserWarning,
                outside(),
                name=type(self).__name__,
            )
        if self._chains:
            self._step_with_hooks(closure)
        elif capturing() is not None:
            repeat_updates(self._update, self._options, self.numbers_again)
        else:
            found = updates(self._update, dry=False)
            self._again = _again(self, found) if self._patience else None
        flush()
        return loss

    def _step_with_hooks(self, closure: Any) -> None:
        capture = capturing()
        if capture is not None:
            capture.cannot("an optimizer with hooks steps")
        given: tuple[Any, Any] = (closure,), {}
        for hook in self._hooks_of("step before"):
            given = hook(self, *given) or given
        self._update()
        for hook in self._hooks_of("step after"):
            hook(self, *given)

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """`hook(optimizer, args, kwargs)` before each update."""
        return self._hook("step before", hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """`hook(optimizer, args, kwargs)` after each update."""
        return self._hook("step after", hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> HookHandle:
        """`hook(optimizer)` before a state_dict is made."""
        return self._hook("save before", hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> HookHandle:
        """`hook(optimizer, state_dict)` when it is made; what it returns replaces it."""
        return self._hook("save after", hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> HookHandle:
        """`hook(optimizer, state_dict)` before it is loaded; what it returns replaces it."""
        return self._hook("load before", hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> HookHandle:
        """`hook(optimizer)` after a load."""
        return self._hook("load after", hook, prepend)

    def _hook(self, when: str, hook: Callable[..., Any], prepend: bool = False) -> HookHandle:
        self._again = None
        return super()._hook(when, hook, prepend)

    def numbers_again(self) -> Numbers | None:
        """Of the update that was just recorded: a function that takes one more step and gives its changing numbers, for a step that
        runs without `update_group`; None from that function: the next one is another update, and nothing has been done. None instead of
        a function: `update_group` is asked (which is slower)."""
        return None

    def _options(self) -> list:
        """What an update depends on, besides changing numbers and the state."""
        found: list[list[Any]] = []
        for group in self.param_groups:
            lr, cycled = group["lr"], self.cycled
            found.append([len(group["params"]), id(lr) if isinstance(lr, Tensor) else None])
            found[-1] += [bool(v) if k in cycled else v for k, v in group.items() if k not in _NO_OPTIONS]
        return found

    def stepped(self, group: Group, begin: Callable[[Tensor], dict[str, Any]] | None = None) -> dict[int, list[Row]]:
        """The parameters that have a gradient, each one step further, by the number of that step; `begin(p)` is a new state."""
        found: dict[int, list[Row]] = {}
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:
                state.update({"step": 0} | (begin(p) if begin is not None else {}))
            state["step"] += 1
            found.setdefault(state["step"], []).append((p, state))
        return found

    def _update(self) -> None:
        for group in self.param_groups:
            self.update_group(group)

    def _waits_for_backward(self) -> bool:
        """No parameter has a gradient, but some history reads one: a loss was computed and not differentiated."""
        read, asked = False, False
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    return False
                if not asked:
                    settle()
                    asked = True
                read = read or p._storage.value.held > 0
        return read

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients (or sets them to zero)."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad = p.grad.detach().zero_()

    # ---- groups and state ----------------------------------------------------------------------------------------------

    def add_param_group(self, param_group: Group) -> None:
        """Adds a group {"params": tensors, option: value, …}; options that are missing take the defaults.

        Raises:
            DTypeError: something is not a tensor.
            GradientError: a tensor is the result of a computation.
            DataError: a tensor occurs twice, or an option's value has no sense.
        """
        name = type(self).__name__
        group = {**param_group, "params": _as_list(name, param_group["params"])}
        if group["params"] and all(isinstance(p, tuple) and len(p) == 2 for p in group["params"]):  # named_parameters()
            group["param_names"] = [label for label, _ in group["params"]]
            group["params"] = [p for _, p in group["params"]]
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for p in group["params"]:
            _check_parameter(name, p)
            if id(p) in known:
                raise DataError(
                    "{name}: a parameter of shape {shape} appears more than once; expected each parameter once",
                    name=name,
                    shape=tuple(p.shape),
                )
            known.add(id(p))
        for option, value in self.defaults.items():
            group.setdefault(option, value)
        self.check_group(group)
        self.param_groups.append(group)

    def _numbers(self) -> dict[int, int]:
        """id(parameter) → its number over all groups."""
        return {id(p): k for k, p in enumerate(p for group in self.param_groups for p in group["params"])}

    def state_dict(self) -> dict[str, Any]:
        """{"state": {number: {name: value}}, "param_groups": [{option: value, "params": [number, …]}]}, as in PyTorch."""
        for hook in self._hooks_of("save before"):
            hook(self)
        number = self._numbers()
        groups = [{**group, "params": [number[id(p)] for p in group["params"]]} for group in self.param_groups]
        found = {"state": {number[id(p)]: dict(state) for p, state in self.state.items()}, "param_groups": groups}
        for hook in self._hooks_of("save after"):
            found = hook(self, found) or found
        return found

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over options and state; tensors are copied and take the dtype of their parameter.

        Raises:
            OptimizerStateError: groups, numbers of parameters or shapes differ.
        """
        for hook in self._hooks_of("load before"):
            state_dict = hook(self, state_dict) or state_dict
        name, saved = type(self).__name__, list(state_dict["param_groups"])
        sizes, own_sizes = [len(g["params"]) for g in saved], [len(g["params"]) for g in self.param_groups]
        if sizes != own_sizes:
            raise OptimizerStateError(
                "{name}.load_state_dict: the saved groups hold {sizes} parameters, those of this optimizer {own_sizes}; expected "
                "the same groups in the same order",
                name=name,
                sizes=sizes,
                own_sizes=own_sizes,
            )
        by_number = {k: p for own, g in zip(self.param_groups, saved) for k, p in zip(g["params"], own["params"])}
        state = {by_number[k]: self._restored(k, by_number[k], s) for k, s in state_dict["state"].items() if k in by_number}
        for own, given in zip(self.param_groups, saved):
            own.update({option: value for option, value in given.items() if option != "params"})
        self.state = defaultdict(dict, state)
        changed()
        flush()
        for hook in self._hooks_of("load after"):
            hook(self)

    def state_shape(self, key: str, p: Tensor) -> tuple[int, ...]:
        """The shape of a tensor of a parameter's state: the parameter's, unless a subclass says otherwise."""
        return tuple(p.shape)

    def _restored(self, number: int, p: Tensor, state: Mapping[str, Any]) -> dict[str, Any]:
        """The saved state of one parameter; counts become Python numbers, tensors a copy in the parameter's dtype."""
        restored: dict[str, Any] = {}
        for key, value in state.items():
            if key in self.numbers:
                value = value.item() if isinstance(value, Tensor) else value
                restored[key] = int(value) if key == "step" else float(value)
            elif isinstance(value, Tensor):
                expected = self.state_shape(key, p)
                if value.shape != expected:
                    raise OptimizerStateError(
                        "{name}.load_state_dict: {key} of parameter {number} has shape {shape}; expected {expected}, the parameter's",
                        name=type(self).__name__,
                        key=key,
                        number=number,
                        shape=tuple(value.shape),
                        expected=expected,
                    )
                restored[key] = value.detach().to(p.dtype).clone()
            else:
                restored[key] = value
        return restored

    def __repr__(self) -> str:
        lines = []
        for k, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {k}")
            lines += [f"    {option}: {group[option]}" for option in sorted(group) if option != "params"]
        return f"{type(self).__name__} (\n" + "\n".join(lines) + "\n)"


def _as_groups(name: str, params: Any) -> list[Group]:
    if isinstance(params, Tensor):
        raise DTypeError(
            "{name}: params is a Tensor; expected an iterable of tensors or dicts: write [tensor], or model.parameters()",
            name=name,
        )
    try:
        iter(params)
    except TypeError:
        kind = Phrase("a method") if inspect.ismethod(params) else type(params).__name__
        raise DTypeError(
            "{name}: params is {kind}; expected the tensors to train: write model.parameters()", name=name, kind=kind
        ) from None
    if isinstance(params, Mapping):
        raise DTypeError(
            "{name}: params is a dict; expected an iterable of tensors or dicts: write model.parameters(), or [group] for one group",
            name=name,
        )
    groups = list(params)
    if not groups:
        raise DataError(
            "{name}: optimizer got an empty parameter list; pass model.parameters() of a model that has parameters. A generator can be "
            "read once only, and layers in a Python list are found when it is an nn.ModuleList",
            name=name,
        )
    return groups if isinstance(groups[0], dict) else [{"params": groups}]


def _as_list(name: str, params: Any) -> list[Tensor]:
    if isinstance(params, set):
        raise DTypeError("{name}: the parameters came as a set, whose order changes from run to run; expected a list", name=name)
    return [params] if isinstance(params, Tensor) else list(params)


def _check_parameter(name: str, p: Any) -> None:
    if isinstance(p, tuple):
        raise DTypeError(
            "{name}: a parameter is a tuple; expected tensors, or pairs of a name and a tensor: write model.parameters()",
            name=name,
        )
    if hasattr(p, "parameters"):
        raise DTypeError("{name}: a parameter is {kind}, a module; write model.parameters()", name=name, kind=type(p).__name__)
    if not isinstance(p, Tensor):
        raise DTypeError("{name}: a parameter is {kind}; expected a Tensor", name=name, kind=type(p).__name__)
    if not p.is_leaf:
        raise NonLeafError(
            "{name}: can't optimize a non-leaf Tensor of shape {shape}; pass the parameters it was computed from",
            name=name,
            shape=tuple(p.shape),
        )


__all__ = [
    "Optimizer",
    "OptimizerStateError",
    "Row",
    "check_betas",
    "check_not_negative",
    "check_option",
    "filled_state",
    "in_lists",
    "single",
    "zero_state",
]
