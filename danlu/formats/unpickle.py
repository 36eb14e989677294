"""L6. A reader of pickles that runs nothing: a small machine for those opcodes that build numbers, strings and containers.

A name such as `torch._utils._rebuild_tensor_v2` is data here. What may be "called" is a table of our own functions, which the reader
of the format hands in; anything else is refused with its name and place. Arguments are cut out by `pickletools.genops`, which knows
the lengths of all opcodes and imports nothing.
"""

from __future__ import annotations

import pickletools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from danlu.errors import DataError
from danlu.messages import Phrase, message

Builders = Mapping[str, Callable[..., Any]]
_MARK = object()


def is_metadata(value: Any) -> bool:
    """Whether a value is what a state_dict says of its modules: {path: {"version": number or None, ...}}.

    >>> is_metadata({"": {"version": 1}}), is_metadata({"": 1})
    (True, False)
    """
    return isinstance(value, dict) and all(
        type(path) is str and isinstance(said, dict) and isinstance(said.get("version"), int | None)
        for path, said in value.items()
    )


@dataclass(frozen=True)
class Name:
    """What a pickle would import: `module.attribute`, and the byte where it says so."""

    text: str
    place: int


class Unpickler:
    """Reads one pickle from a stream: `builders` maps names to functions, `persistent` resolves the ids of storages."""

    def __init__(self, stream: BytesIO, name: str, builders: Builders, persistent: Callable[[Any], Any]) -> None:
        self.stream, self.name, self.builders, self.persistent = stream, name, builders, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.place = self.count = 0

    def load(self) -> Any:
        """The value of the pickle; the stream stands behind it then."""
        start = self.stream.tell()
        try:
            for opcode, argument, place in pickletools.genops(self.stream):
                self.place, self.count = start + (place or 0) if start else place or 0, self.count + 1
                if opcode.name == "STOP":
                    return self._pop()
                self._do(opcode.name, argument)
        except (ValueError, IndexError, OverflowError, RecursionError) as error:
            if isinstance(error, DataError):
                raise
            raise self.damaged(error) from error
        raise self.damaged(Phrase("it ends without STOP"))

    def damaged(self, problem: Any) -> DataError:
        """What is said of a pickle that no pickler wrote."""
        return DataError("{name}: damaged at byte {place}: {problem}", name=self.name, place=self.place, problem=problem)

    def refused(self, what: str, place: int | None = None) -> DataError:
        """What is said of everything that would run code."""
        return DataError(
            "{name}: refused: {what} at byte {place}; danlu reads tensors, numbers, strings and containers, and runs no code of a "
            "file. Save a state_dict: torch.save(model.state_dict(), path)",
            name=self.name,
            what=what,
            place=self.place if place is None else place,
        )

    # ---- the machine ---------------------------------------------------------------------------------------------------------

    def _do(self, opcode: str, argument: Any) -> None:
        if opcode in _PUSHED:
            self.stack.append(argument)
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode]())
        elif opcode in _ACTIONS:
            _ACTIONS[opcode](self, argument)
        elif opcode not in ("PROTO", "FRAME"):
            raise self.refused(opcode)

    def _pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError(message("a mark where a value is expected"))
        return value

    def _to_mark(self) -> list[Any]:
        """What stands above the last mark."""
        for k in range(len(self.stack) - 1, -1, -1):
            if self.stack[k] is _MARK:
                values = self.stack[k + 1 :]
                del self.stack[k:]
                return values
        raise ValueError(message("no mark"))

    def _top(self, *kinds: type) -> Any:
        kind = kinds[0]
        if not self.stack or type(self.stack[-1]) not in kinds:
            raise ValueError(message("expected a {kind}", kind=kind.__name__))
        return self.stack[-1]

    def _memo(self, key: Any, _: Any = None) -> None:
        if not self.stack or self.stack[-1] is _MARK:
            raise ValueError(message("nothing to remember"))
        self.memo[len(self.memo) if key is None else int(key)] = self.stack[-1]

    def _recall(self, key: Any) -> None:
        if int(key) not in self.memo:
            raise ValueError(message("nothing is remembered under this number"))
        self.stack.append(self.memo[int(key)])

    def _tuple(self, count: int) -> None:
        values = [self._pop() for _ in range(count)]
        self.stack.append(tuple(values[::-1]))

    def _set_items(self, items: list[Any]) -> None:
        target = self._top(dict, OrderedDict)
        if len(items) % 2:
            raise ValueError(message("a key without a value"))
        for key, value in zip(items[::2], items[1::2]):
            if not (key is None or type(key) in (str, int, float, bool, bytes)):
                raise ValueError(message("a key that is no number or string"))  # the hash of nested tuples may take for ever
            target[key] = value

    def _dictionary(self) -> None:
        items = self._to_mark()
        self.stack.append({})
        self._set_items(items)

    def _append(self, items: list[Any]) -> None:
        self._top(list).extend(items)

    def _two(self) -> list[Any]:
        value = self._pop()
        return [self._pop(), value]

    def _global(self, argument: str) -> None:
        self.stack.append(Name(argument.replace(" ", ".", 1), self.place))

    def _stack_global(self, _: Any) -> None:
        module, attribute = self._two()
        if type(module) is not str or type(attribute) is not str:
            raise ValueError(message("a name that is no string"))
        self.stack.append(Name(f"{module}.{attribute}", self.place))

    def _reduce(self, _: Any) -> None:
        called, arguments = self._two()
        if not isinstance(called, Name) or called.text not in self.builders:
            raise self.refused(called.text if isinstance(called, Name) else type(called).__name__, getattr(called, "place", None))
        if type(arguments) is not tuple:
            raise ValueError(message("arguments that are no tuple"))
        try:
            self.stack.append(self.builders[called.text](*arguments))
        except TypeError as error:
            raise ValueError(message("{what}: other arguments than PyTorch writes", what=called.text)) from error

    def _build(self, _: Any) -> None:
        state = self._pop()
        if type(self.stack[-1]) is not OrderedDict or type(state) is not dict:
            what = self.stack[-1]
            raise self.refused(what.text if isinstance(what, Name) else type(what).__name__)
        if "_metadata" in state:  # the versions of a state_dict; other attributes of an OrderedDict are no part of its content
            setattr(self.stack[-1], "_metadata", state["_metadata"])  # noqa: B010

    def _new_object(self, _: Any) -> None:
        called, arguments = self._two()
        text = called.text if isinstance(called, Name) else type(called).__name__
        if text != "collections.OrderedDict" or arguments != ():
            raise self.refused(text, getattr(called, "place", None))
        self.stack.append(OrderedDict())

    def _persistent(self, _: Any) -> None:
        self.stack.append(self.persistent(self._pop()))


_PUSHED = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "UNICODE", "BINUNICODE", "BINUNICODE8",
    "SHORT_BINUNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
}  # fmt: skip
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "MARK": lambda: _MARK,
}
_ACTIONS: dict[str, Callable[[Unpickler, Any], Any]] = {
    "TUPLE": lambda m, _: m.stack.append(tuple(m._to_mark())),
    "TUPLE1": lambda m, _: m._tuple(1),
    "TUPLE2": lambda m, _: m._tuple(2),
    "TUPLE3": lambda m, _: m._tuple(3),
    "LIST": lambda m, _: m.stack.append(m._to_mark()),
    "DICT": lambda m, _: m._dictionary(),
    "APPEND": lambda m, _: m._append([m._pop()]),
    "APPENDS": lambda m, _: m._append(m._to_mark()),
    "SETITEM": lambda m, _: m._set_items(m._two()),
    "SETITEMS": lambda m, _: m._set_items(m._to_mark()),
    "PUT": Unpickler._memo,
    "BINPUT": Unpickler._memo,
    "LONG_BINPUT": Unpickler._memo,
    "MEMOIZE": Unpickler._memo,
    "GET": Unpickler._recall,
    "BINGET": Unpickler._recall,
    "LONG_BINGET": Unpickler._recall,
    "POP": lambda m, _: m.stack.pop(),
    "POP_MARK": lambda m, _: m._to_mark(),
    "DUP": lambda m, _: m.stack.append(m.stack[-1]),
    "GLOBAL": Unpickler._global,
    "STACK_GLOBAL": Unpickler._stack_global,
    "REDUCE": Unpickler._reduce,
    "BUILD": Unpickler._build,
    "NEWOBJ": Unpickler._new_object,
    "BINPERSID": Unpickler._persistent,
}

__all__ = ["Name", "Unpickler", "is_metadata"]
