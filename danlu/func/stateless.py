"""L6. `functional_call`: a module with other tensors in the place of its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from danlu.errors import GradientError


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: dict | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`module(*args, **kwargs)` with other tensors in the place of its parameters and buffers, by dotted name.

    strict: every parameter and buffer must be given. A tensor that the module has under two names is replaced under both (tie_weights).

    Shapes: whatever the module takes and gives.

    >>> import danlu
    >>> layer = danlu.nn.Linear(2, 1, bias=False)
    >>> danlu.func.functional_call(layer, {"weight": danlu.ones(1, 2)}, (danlu.tensor([[3.0, 4.0]]),))
    tensor([[7.]])
    """
    given = parameter_and_buffer_dicts if isinstance(parameter_and_buffer_dicts, dict) else _merged(parameter_and_buffer_dicts)
    arguments = () if args is None else args if isinstance(args, tuple) else (args,)
    places = _places(module)
    _check_names(given, places, strict)
    replaced: list[tuple[dict, str, Any]] = []
    try:
        for name, new in given.items():
            home, key = places[name]
            old = home[key]
            same = [(h, k) for h, k in places.values() if h[k] is old] if tie_weights else [(home, key)]
            for h, k in same:
                replaced.append((h, k, old))
                h[k] = new
        return module(*arguments, **(kwargs or {}))
    finally:
        for home, key, old in reversed(replaced):
            home[key] = old


def _merged(dicts: Sequence[dict]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for d in dicts:
        if twice := merged.keys() & d.keys():
            raise GradientError("functional_call: {twice} are in more than one of the dicts", twice=sorted(twice))
        merged.update(d)
    return merged


def _places(module: Any) -> dict[str, tuple[dict, str]]:
    """Dotted name → the dictionary and key where a module finds the tensor."""
    found = {}
    for path, part in module.named_modules(remove_duplicate=False):
        for name in (*part._parameters, *part._buffers):
            found[f"{path}.{name}" if path else name] = part.__dict__, name
    return found


def _check_names(given: dict, places: dict, strict: bool) -> None:
    unknown, missing = sorted(given.keys() - places.keys()), sorted(places.keys() - given.keys())
    if unknown:
        raise GradientError(
            "functional_call: the module has no parameter or buffer {name}; it has {names}", name=unknown, names=sorted(places)
        )
    if strict and missing:
        raise GradientError("functional_call: strict=True and {missing} are not given", missing=missing)
