"""L7. What a module says of mistakes: the layer in which an error arose, the attribute that was meant, layers that nobody finds."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from danlu.errors import DanluError, DTypeError, warn
from danlu.guidance import meant, outside
from danlu.messages import Phrase, message
from danlu.tensor import Tensor


def name_layer(error: DanluError, module: Any) -> None:
    """Writes into the message where in the model it arose; each module on the way out makes the path longer."""
    trail: list[Any] | None = getattr(error, "layers", None)
    if trail is None:
        trail = error.layers = []  # type: ignore[attr-defined]
        error.plain_message = str(error)  # type: ignore[attr-defined]
    trail.append(module)
    error.args = (error.plain_message + str(_location(trail)),)  # type: ignore[attr-defined]


def warn_of_hidden(root: Any, found: Sequence[Tensor]) -> None:
    """Layers that only a plain list, tuple or dict of a module holds: nobody trains, saves or moves their parameters."""
    known = {id(p) for p in found}
    for module in root.modules():
        for name, value in vars(module).items():
            if type(value) not in (list, tuple, dict) or not value or name in _REGISTRIES:
                continue
            held = value.values() if type(value) is dict else value
            inside = [m for m in held if hasattr(m, "named_modules") and not isinstance(m, type)]  # a class is no layer yet
            if any(p.requires_grad and id(p) not in known for m in inside for _, p in m.named_parameters()):
                warn(
                    "{kind}.{name} is a {container} of layers: their parameters are not among {kind}.parameters() and are neither trained "
                    "nor saved. Write self.{name} = nn.{right}(...)",
                    UserWarning,
                    outside(),
                    kind=type(module).__name__,
                    name=name,
                    container=type(value).__name__,
                    right="ModuleDict" if type(value) is dict else "ModuleList",
                )


_REGISTRIES = frozenset(("_parameter_names", "_buffer_names", "_module_names"))


def refuse_data(cls: type, args: tuple) -> None:
    """Data where a layer's options are expected: `nn.ReLU(x)`."""
    for name, value in zip([*inspect.signature(cls.__init__).parameters][1:], args):
        if type(value) is Tensor and "weight" not in name:
            raise DTypeError(
                "{kind}: {name} is a tensor; a layer is made first and then called with data: write nn.{kind}(...)(x)",
                kind=cls.__name__,
                name=name,
            )
    if len(args) > 1 and all(type(value) is Tensor for value in args):
        raise DTypeError(
            "{kind} was given tensors; a loss is made first and then called with data: write nn.{kind}()(input, target)",
            kind=cls.__name__,
        )


def name_meant(error: AttributeError) -> None:
    """Writes into the message about an attribute that a module or tensor lacks which one was probably meant. Here and not in a
    `__getattr__`, which would make every attribute slower; outside a forward Python's own traceback suggests the name."""
    owner, name = error.obj, error.name
    if not (isinstance(owner, Tensor) or hasattr(owner, "named_modules")) or not name or name.startswith("__"):
        return
    hint = meant(name, [*vars(owner), *dir(type(owner))] if not isinstance(owner, Tensor) else dir(type(owner)))
    error.obj = None  # or Python would append a suggestion of its own
    error.args = (message("{kind!r} object has no attribute {name!r}{hint}", kind=type(owner).__name__, name=name, hint=hint),)


def _location(trail: list[Any]) -> Phrase:
    """`trail`: the innermost module first."""
    inner, root = trail[0], trail[-1]
    layer = f"{inner._get_name()}({inner.extra_repr()})"
    if inner is root:
        return Phrase("\n  in {layer}", layer=layer)
    steps = [_path(parent, child) for parent, child in zip(reversed(trail), list(reversed(trail))[1:])]
    path = ".".join(filter(None, steps))
    return Phrase("\n  in layer {path} ({layer}) of {model}", path=path, layer=layer, model=root._get_name())


def _path(parent: Any, child: Any) -> str:
    return next((path for path, module in parent.named_modules() if module is child), child._get_name())


__all__ = ["name_layer", "name_meant", "refuse_data", "warn_of_hidden"]
