"""L5. Storages: what several tensors share, the current value; and memory that is shared with NumPy or another library.

An ordinary storage takes a new value for each operation in place. Where the memory is in somebody else's hands too (`numpy()`, `from_numpy`,
DLPack), it is a `Shared` one, whose memory (`home`) must hold the current elements whenever Python code runs:

- an operation in place runs at once and its result is copied home;
- reading looks at home. Up to `SMALL` bytes the value keeps a copy of its own and is compared with home, so that a program still
  takes many operations; larger memory is read where it lies, and the operation that reads it runs at once (`exchanged`).

A storage is an ordinary one again when nobody else holds the memory any more; references are counted when it is next read.
"""

from __future__ import annotations

import sys
import weakref
from ctypes import string_at
from operator import attrgetter
from typing import Any, cast

import numpy as np

from danlu import engine
from danlu.engine import Value, realize
from danlu.runtime.buffers import Buffer, Exchanged, View

SMALL = 1 << 20  # comparing 1 MiB takes 50-100 µs, about what a program of its own costs


class Storage:
    """What several tensors may share: the current value. `now` is the value too, looked up where the elements matter."""

    __slots__ = ("__weakref__", "home", "value")

    home: np.ndarray  # of a Shared storage only
    now: Value

    def __init__(self, value: Value) -> None:
        self.value = value
        value.handles += 1

    def set(self, value: Value) -> None:
        """The value from now on."""
        old = self.value
        value.handles += 1
        self.value = value
        old.handles -= 1
        if old.leaf is not None and old.inputs and value.grad:  # retain_grad follows the tensor
            value.leaf, old.leaf = old.leaf, None
        trace = value.trace
        if old.buffer is not None and trace is not None and trace.running is None:
            trace.replaced.append((weakref.ref(self), old))

    def __del__(self) -> None:
        try:
            self.value.handles -= 1
        except AttributeError:
            pass  # Ctrl-C came before it had one


Storage.now = Storage.__dict__["value"]  # the same slot under a second name: costs what reading `value` costs


class Shared(Storage):
    """A storage whose memory is in other hands too; see the module's text."""

    __slots__ = ()

    @property
    def now(self) -> Value:  # type: ignore[override]
        """The value, with what was written home since it was last read."""
        value, buffer = self.value, self.value.buffer
        at_home = buffer.owner is self.home  # type: ignore[union-attr]
        if not at_home and not _equal(buffer, self.home):  # type: ignore[arg-type]
            self._replace(_twin(value, _copy(self.home)))
        held = _held_elsewhere(self, self.value.buffer.owner is self.home)  # type: ignore[union-attr]
        if not held:
            self._release(False)
        elif at_home and self.home.nbytes <= SMALL:
            move_out(buffer)  # type: ignore[arg-type]
        return self.value

    def set(self, value: Value) -> None:
        """The value from now on, computed now and copied home."""
        result, home, at_home = realize(value), self.home, self.value.buffer.owner is self.home  # type: ignore[union-attr]
        held = _references(self, "home") - 1 > _ALONE + at_home or _base_is_held(home)  # `home` here is one reference more
        if not (held and home.flags.writeable):
            self._release(held)
            return Storage.set(self, value)
        if result.owner is not home:
            if at_home and (_references(self, "value") > _ALONE or _references(self.value, "buffer") > _ALONE):
                move_out(self.value.buffer)  # type: ignore[arg-type]  # a history reads it
            home[...] = result.as_numpy(home.shape, home.dtype)
            if home.nbytes > SMALL:
                value = value if not value.handles else _twin(value, result)
                value.buffer = Exchanged.from_numpy(home)
        self._replace(value)
        return None

    def _replace(self, value: Value) -> None:
        old = self.value
        value.handles += 1
        self.value = value
        old.handles -= 1

    def _release(self, held: bool) -> None:
        """Nobody else has the memory (or it cannot be written): an ordinary storage from now on."""
        buffer, itself = cast(Any, self.value.buffer), cast(Any, self)
        if buffer.owner is self.home and not held:
            buffer.__class__, buffer.borrowed = Buffer, not self.home.flags.writeable
        del self.home
        itself.__class__ = Storage


def share(storage: Storage) -> np.ndarray:
    """The memory of a storage for others to read and write: an array, on which the storage depends from now on."""
    if isinstance(storage, Shared):
        return storage.home
    value = storage.value
    buffer = realize(value)
    alone = not (value.held or value.handles > 1 or buffer.shared or buffer.borrowed or _references(value, "buffer") > _ALONE + 1)
    if not alone:
        buffer = _copied(value)
    _settle(storage, value, buffer.as_numpy(value.spec.shape, value.spec.dtype.numpy))
    return storage.home


def adopt(storage: Storage, home: np.ndarray) -> None:
    """A storage made on the memory of an array that others may hold becomes a shared one."""
    _settle(storage, storage.value, home)


def _settle(storage: Storage, value: Value, home: np.ndarray) -> None:
    buffer = Exchanged.from_numpy(home)
    storage.home = home
    if (value.held or value.grad) and value.handles == 1:  # histories know it, or will, as this object
        engine.changed()  # a recorded function knows it by its memory
        value.buffer = buffer
        if home.nbytes <= SMALL:
            move_out(buffer)
    else:
        value.handles -= 1
        storage.value = _twin(value, buffer)
        storage.value.handles += 1
    storage.__class__ = Shared


def _twin(value: Value, buffer: Buffer) -> Value:
    """The same value with the same history, on other memory: whoever has the old one keeps it as it is."""
    twin = Value(value.op, value.inputs, value.attrs, value.spec, value.grad, value.index)
    twin.buffer, twin.leaf, twin.freed, twin.note = buffer, value.leaf, value.freed, value.note
    return twin


def move_out(buffer: Buffer) -> None:
    """Gives a buffer memory of its own, with the same elements: all values that have it keep what they are."""
    private: Any = Buffer(buffer.nbytes)
    private.as_numpy((buffer.nbytes,), np.uint8)[...] = buffer.as_numpy((buffer.nbytes,), np.uint8)
    buffer.owner, buffer.address, private.owner = private.owner, private.address, None
    buffer.__class__, buffer.borrowed = Buffer, False


def _copied(value: Value) -> Buffer:
    """A copy of a realized value's memory."""
    return _copy(value.buffer.as_numpy(value.spec.shape, value.spec.dtype.numpy))  # type: ignore[union-attr]


def _copy(array: np.ndarray) -> Buffer:
    buffer = Buffer(array.nbytes)
    buffer.as_numpy(array.shape, array.dtype)[...] = array
    return buffer


def copied(value: Value) -> Value:
    """A realized value without history, on memory of its own."""
    return engine.leaf(_copied(value), value.spec)


def _equal(buffer: Buffer, home: np.ndarray) -> bool:
    """Whether two memories hold the same bytes (so NaN equals itself)."""
    if home.nbytes <= 1 << 16:  # 1 µs for 256 bytes, where array_equal takes 9; it is faster from 64 KiB on
        address, size = home.__array_interface__["data"][0], home.nbytes
        return string_at(buffer.address, size) == string_at(address, size)
    word = np.uint64 if home.nbytes % 8 == 0 else np.uint8
    flat = home.reshape(-1).view(word)
    return bool(np.array_equal(buffer.as_numpy(flat.shape, flat.dtype), flat))


# ---- who else has the memory ------------------------------------------------------------------------------------------------


def _references(owner: Any, name: str) -> int:
    """How many references an attribute's object has."""
    found = getattr(owner, name)
    return sys.getrefcount(found)


class _Probe:
    __slots__ = ("home",)


_probe = _Probe()
_probe.home = np.empty(0)  # type: ignore[attr-defined]
_ALONE = _references(_probe, "home")  # what is counted where only the attribute refers to it


def _held_elsewhere(storage: Storage, at_home: bool) -> bool:
    """Whether anybody but the storage (and the buffer of its value) can write the memory."""
    return _references(storage, "home") > _ALONE + at_home or _base_is_held(storage.home)


def _base_is_held(home: np.ndarray) -> bool:
    if home.base is None or isinstance(home.base, View):
        return False
    plain = isinstance(home.base, np.ndarray) and home.base.base is None
    return not plain or _references(home, "base") > _ALONE


def values_of_nobody(tensors: list[Any]) -> list[Value] | None:
    """The values of plain tensors, if this list alone has these and nobody looks at what they hold."""
    if set(map(sys.getrefcount, tensors)) != _IN_A_LIST:
        return None
    storages = [t._storage for t in tensors]
    values = [s.value for s in storages]
    if (
        set(map(type, storages)) == {Storage}
        and {*map(sys.getrefcount, storages), *map(sys.getrefcount, values)} == _IN_TWO
        and set(map(sys.getrefcount, [v.buffer for v in values])) == _IN_TWO
        and not any(map(_grad, values))
        and list(map(_state, tensors)) == [_AS_MADE] * len(tensors)
    ):
        return values
    return None


_grad = attrgetter("grad")
_state = attrgetter("_base", "_cut", "_leaf", "_seen", "grad", "_hooks", "_after")
_AS_MADE = None, False, False, None, None, None, None
_IN_A_LIST = set(map(sys.getrefcount, [object()]))  # what is counted of things that a list alone has
_IN_TWO = {count + 1 for count in _IN_A_LIST}
