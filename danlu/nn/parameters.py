"""L7. ParameterList and ParameterDict: parameters in order or by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import index as as_index
from typing import Any

from danlu.errors import AxisError
from danlu.messages import Phrase, message
from danlu.nn.module import Module
from danlu.nn.parameter import Parameter
from danlu.tensor import Tensor


def _parameter(value: Any) -> Any:
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


class _Parameters(Module):
    """What both share: values under names, in order; a tensor becomes a Parameter, anything else stays what it is."""

    _order: dict[str, None]

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["_order"] = {}

    def _set(self, name: str, value: Any) -> None:
        self._order[name] = None
        setattr(self, name, _parameter(value))

    def _values(self) -> list[Any]:
        return [self.__dict__[name] for name in self._order]

    def __len__(self) -> int:
        return len(self._order)

    def _line(self, name: str, value: Any) -> str:
        if not isinstance(value, Tensor):
            return f"({name}): Object of type: {type(value).__name__}"
        return f"({name}): Parameter containing: [{self._kind(value)} of size {'x'.join(map(str, value.shape))}]"

    def _kind(self, value: Tensor) -> str:
        return repr(value.dtype)

    def __repr__(self) -> str:
        lines = [f"  {self._line(name, value)}" for name, value in zip(self._order, self._values())]
        text = "".join(f"\n  {line}" for line in lines) + "\n" if len(lines) > 1 else "".join(lines)
        return f"{self._get_name()}({text})"


class ParameterList(_Parameters):
    """A list of parameters that belong to the model. Tensors become parameters.

    Shapes: no tensors of its own.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> weights = nn.ParameterList([danlu.zeros(2), nn.Parameter(danlu.ones(3))])
        >>> [tuple(w.shape) for w in weights], list(weights.state_dict())
        ([(2,), (3,)], ['0', '1'])
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self.extend(values or ())

    def _position(self, index: int) -> str:
        count, k = len(self), as_index(index)
        if not -count <= k < count:
            raise AxisError("index {index} is out of range: this ParameterList holds {count} parameters", index=k, count=count)
        return str(k % count)

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(self._values()[index])
        return self.__dict__[self._position(index)]

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, self._position(index), _parameter(value))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values())

    def __iadd__(self, values: Iterable[Any]) -> ParameterList:
        return self.extend(values)

    def append(self, value: Any) -> ParameterList:
        """Adds a parameter at the end."""
        self._set(str(len(self)), value)
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Adds several parameters at the end."""
        for value in list(values):
            self.append(value)
        return self


class ParameterDict(_Parameters):
    """Parameters by name that belong to the model. Tensors become parameters.

    Shapes: no tensors of its own.

    Example:
        >>> import danlu
        >>> from danlu import nn
        >>> scales = nn.ParameterDict({"left": danlu.zeros(2), "right": danlu.ones(2)})
        >>> scales["right"].requires_grad, list(scales)
        (True, ['left', 'right'])
    """

    def __init__(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None) -> None:
        super().__init__()
        self.update(parameters or {})

    def __getitem__(self, key: str) -> Any:
        if key not in self._order:
            names = ", ".join(self._order) or Phrase("nothing")
            raise KeyError(message("{key!r}; this ParameterDict holds {names}", key=key, names=names))
        return self.__dict__[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._set(key, value)

    def _kind(self, value: Tensor) -> str:
        return str(value.type())

    def __delitem__(self, key: str) -> None:
        delattr(self, key)
        del self._order[key]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._order))

    def __contains__(self, key: str) -> bool:
        return key in self._order

    def get(self, key: str, default: Any = None) -> Any:
        """The parameter of a name, or the default."""
        return self.__dict__[key] if key in self._order else default

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._order.keys()

    def values(self) -> Iterable[Any]:
        """The parameters."""
        return self._values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """Names and parameters."""
        return [*zip(self._order, self._values())]

    def update(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Adds parameters, or replaces those of the same name."""
        for name, value in dict(parameters).items():
            self[name] = value

    def pop(self, key: str) -> Any:
        """Takes a parameter out and gives it back."""
        value = self[key]
        del self[key]
        return value


__all__ = ["ParameterDict", "ParameterList"]
