"""L5. The heart of the Tensor: a handle on a storage, how it is read and written in place, and how operations are recorded.

`Tensor → Storage → Value`. A view is a storage and a chain of movements: reading applies them, writing applies their inverses and
gives the storage a new value, which every other view of it sees. Values never change, so nothing that a derivative needs
can be overwritten.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from threading import get_ident
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu import engine
from danlu.dtype import DType
from danlu.engine import Value, realize, record, record_alone, state
from danlu.errors import DTypeError, GradientError, ShapeError
from danlu.graph import Op, Spec
from danlu.ops import TABLE
from danlu.ops.source import BUFFER
from danlu.runtime.buffers import Buffer
from danlu.tensor.storage import Shared, Storage, adopt, share, values_of_nobody

_reader: Any = None  # is told of each tensor that is an input of an operation while a function is captured (danlu/replay.py)


def set_reader(reader: Any) -> None:
    """Says who is told of each tensor that becomes an input of an operation; None for nobody."""
    global _reader
    _reader = reader


# A view's movement, and how a new value of the view becomes a new value of what it looks at: write(old, new, attrs).
_INVERSE = {
    "reshape": lambda old, new, attrs: _move("reshape", (new,), (old.spec.shape,)),
    "permute": lambda old, new, attrs: _move("permute", (new,), (tuple(int(k) for k in np.argsort(attrs[0])),)),
    "slice": lambda old, new, attrs: _move("slice_update", (old, new), (attrs[0], attrs[2])),
    "real": lambda old, new, attrs: _move("complex", (new, _move("imag", (old,), ())), ()),
    "imag": lambda old, new, attrs: _move("complex", (_move("real", (old,), ()), new), ()),
    "view_as_real": lambda old, new, attrs: _move("view_as_complex", (new,), ()),
}


def _move(name: str, inputs: tuple[Value, ...], attrs: tuple) -> Value:
    return record(TABLE[name], inputs, attrs, state().grad)  # type: ignore[return-value]


class TensorCore:
    """State and differentiation; the operations are in the classes that `Tensor` is made of."""

    __slots__ = ("__weakref__", "_after", "_base", "_chain", "_cut", "_hooks", "_leaf", "_seen", "_shaped", "_storage", "grad")

    _storage: Storage
    _chain: tuple[tuple[str, tuple], ...]
    grad: Any

    def __init__(self, value: Any = (), storage: Any = None, *sizes: int) -> None:
        if type(value) is not Value and value is not None:
            value, storage = _from_user(value, () if storage is None else (storage, *sizes)), None
        self._storage = storage or Storage(value)  # type: ignore[arg-type]
        self._chain = ()
        self._base: Any = None  # the tensor that a view looks at
        self._cut = False  # detached: reading it gives no derivative
        self._leaf = False  # requires_grad was set on it: gradients are collected in .grad
        # `_shaped`, of a view only: (spec of the storage, spec of the view).
        # `_seen`, of a view: (value of the storage, value of the view). Of a detached tensor that was written: (value of the storage, a
        # storage that holds its own: one with the derivative of what was written).
        self._seen: tuple[Value, Any] | None = None
        self.grad = None
        self._hooks = self._after = None  # of a leaf: what its gradient passes, and what is called after .grad has changed

    # ---- reading and writing --------------------------------------------------------------------------------------------
    def _value(self) -> Value:
        """The current value, as an input of an operation."""
        if self._base is not None:
            return self._view_value()
        if _reader is not None:
            _reader(self)
        value = self._storage.now
        if self._leaf:
            if value.leaf is None and state().grad:
                return self._new_leaf()
        elif self._cut:
            return self._own_value() if self._seen is not None else _stopped(value) if value.grad else value
        return value

    def _new_leaf(self) -> Value:
        """After an update in place: the tensor begins a new history. What is pending runs first, so a step is one program."""
        storage = self._storage
        old = storage.now
        value = engine.leaf(old.buffer or realize(old), old.spec, True)
        value.leaf = weakref.ref(self)
        if self._hooks:
            value.noted().hooks = self._hooks
        storage.set(value)
        return value

    def _view_value(self) -> Value:
        source = self._root()._value()
        if self._cut and source.grad:
            source = _stopped(source)
        if self._seen is not None and self._seen[0] is source:
            return self._seen[1]
        value = source
        if source.buffer is not None and not source.grad and _reader is None and any(name == "slice" for name, _ in self._chain):
            value = self._taken(source)
        else:
            for name, attrs in self._chain:
                value = _move(name, (value,), attrs)
        self._seen = (source, value)
        if (not state().grad and source.grad) or (source.buffer is not None and source.buffer.exchanged):
            self._seen = None
        return value

    def _taken(self, source: Value) -> Value:
        """A part of memory as memory: x[i : i + 32] in a loop gives one program for every i, and nothing is copied."""
        buffer, spec = source.buffer, source.spec
        array = self._moved(buffer.as_numpy(spec.shape, spec.dtype.numpy))  # type: ignore[union-attr]
        if buffer.exchanged or not _is_plain(array):  # type: ignore[union-attr]
            array = array.copy()
        return engine.leaf(Buffer.from_numpy(array), self._spec)

    def _array(self) -> np.ndarray:
        """The elements as NumPy sees them, computed now; the memory is that of the storage."""
        if self._base is None:
            capture = engine.capturing()
            if capture is not None:
                capture.read()
            value = self._storage.now
            return realize(value).as_numpy(value.spec.shape, value.spec.dtype.numpy)
        return self._moved(self._root()._array())

    def _root(self) -> Any:
        """The tensor whose chain is empty: the one that this looks at, or itself."""
        base = self._base
        if base is None:
            return self
        if base._base is not None:  # it became a view in place
            base = self._base = base._base
        return base

    def _moved(self, array: np.ndarray) -> np.ndarray:
        """The elements of a view in those of its base."""
        for name, attrs in self._chain:
            array = TABLE[name].numpy(array, *attrs)  # type: ignore[misc]
        return array

    def _own_array(self) -> np.ndarray:
        """`_array`, on memory that may be written through NumPy, and that an operation in place writes. What is pending runs first."""
        capture = engine.capturing()
        if capture is not None:
            capture.read()
        engine.flush()
        root = self._root()
        return self._moved(share(root._storage)[...])

    def _view(self, name: str, attrs: tuple) -> Any:
        """A tensor that looks at this one through a movement."""
        out = _tensor(self._storage)
        root = out._base = self._root()
        out._chain = (*self._chain, (name, attrs))
        out._cut = (self._cut and self._base is not None) or not state().grad
        out._shaped = root._storage.value.spec, TABLE[name].result((self._spec,), attrs)  # errors now, on this line
        return out

    def _become(self, view: Any) -> Any:
        """This tensor looks at its memory as the view of it does, from now on."""
        if self._leaf:
            raise GradientError(
                "the shape of a leaf tensor that requires grad is changed in place; write it without the `_` and keep the result"
            )
        if self._base is None:  # what is now called the root gets an object of its own; the views of this one find it (`_root`)
            root = self._plain(None, self._storage)
            root._cut, root._seen, self._base, self._cut = self._cut, self._seen, root, False
        self._chain, self._seen, self._shaped = view._chain, None, view._shaped
        return self

    @classmethod
    def _plain(cls, value: Value | None, storage: Storage | None = None) -> Any:
        """A tensor of the plain class (never a Parameter)."""
        return _tensor_class(value, storage)

    def _assign(self, value: Value) -> Any:
        """Writes a value in place; every view of the storage sees it."""
        root = self._root()
        if _reader is not None:
            _reader(root)
        if root._leaf and not self._cut and state().grad:
            raise GradientError(
                "a leaf tensor that requires grad is changed in place: its own gradient would be lost. "
                "Write it inside `with danlu.no_grad():`, or on a copy: x = x.clone()"
            )
        spec = self._spec
        if value.spec is not spec:
            value = _fitted(value, spec)
        elif value.grad and (value.handles or not state().grad):  # another tensor has it: each has its own gradient and memory
            value = _move("reshape", (value,), (spec.shape,))
        by_view = self._cut and self._base is not None  # made under no_grad: what is written has no derivative
        if self._chain:
            value = self._write_through(root._storage.now if by_view else root._value(), value)
        if by_view:
            root._set_numbers(value)
        elif root._cut:
            root._set_detached(value)
        else:
            root._storage.set(value if root._leaf else _successor(root._storage.value, value))
        return self

    def _set_detached(self, value: Value) -> None:
        """Written through a detached tensor: it has the derivative of what was written, the others of the storage keep theirs."""
        if self._seen is not None:
            value = _successor(self._own_value(), value)
        self._set_numbers(value)
        self._seen = (self._storage.value, Storage(value)) if value.grad else None

    def _set_numbers(self, value: Value) -> None:
        """New numbers in the storage; those who read it keep the derivative that they had."""
        old = self._storage.value
        if old.grad and old.op is not BUFFER:
            value = _carry(value, old)
        elif value.grad:
            value = _stopped(value)
        self._storage.set(value)

    def _own_value(self) -> Value:
        """Of a detached tensor that was written: the derivative of that, with the numbers that the storage has now."""
        stored, own = self._seen  # type: ignore[misc]
        if stored is not self._storage.now:
            stored = self._storage.value
            own = Storage(_carry(_stopped(stored) if stored.grad else stored, own.value))
            self._seen = stored, own
        return own.value

    def _write_through(self, value: Value, new: Value) -> Value:
        if any(name not in _INVERSE for name, _ in self._chain):
            return self._write_places(value, new)
        steps = [value]
        for name, attrs in self._chain[:-1]:
            steps.append(_move(name, (steps[-1],), attrs))
        for (name, attrs), old in zip(reversed(self._chain), reversed(steps)):
            new = _INVERSE[name](old, new, attrs)
        return new

    def _write_places(self, value: Value, new: Value) -> Value:
        """Through a view that is stretched or slides: element by element, where each has a place of its own."""
        shape, size = value.spec.shape, value.spec.size
        places = np.arange(size).reshape(shape)
        for name, attrs in self._chain:
            places = TABLE[name].numpy(places, *attrs)  # type: ignore[misc]
        if np.unique(places).size != places.size:
            raise ShapeError(
                "an expanded tensor is written in place: several of its elements are one place in memory. Write x = x.clone() first"
            )
        at = from_array(np.ascontiguousarray(places.reshape(-1)))._value()
        flat = (_move("reshape", (value,), ((size,),)), at, _move("reshape", (new,), ((places.size,),)))
        return _move("reshape", (_move("index_set", flat, (0,)),), (shape,))

    @property
    def _spec(self) -> Spec:
        if self._base is None:
            return self._storage.value.spec
        before, spec = self._shaped  # of the root, and of the view of that
        root = self._root()._storage.value.spec
        if root is not before:
            spec = root
            for name, attrs in self._chain:
                spec = TABLE[name].result((spec,), attrs)
            self._shaped = root, spec
        return spec

    # ---- what has a derivative ------------------------------------------------------------------------------------------
    @property
    def requires_grad(self) -> bool:
        """Whether a derivative may be asked with respect to this tensor, or through it.

        Shapes: any tensor → a Python bool.

        >>> import danlu
        >>> danlu.ones(1).requires_grad
        False
        """
        if self._base is not None:
            return not self._cut and self._root().requires_grad
        return self._leaf or (self._seen is not None if self._cut else self._storage.value.grad)

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        self.requires_grad_(flag)

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Collects gradients in `.grad` from now on (floating dtypes only).

        Shapes: any tensor → the tensor itself.

        >>> import danlu
        >>> danlu.ones(1).requires_grad_()
        tensor([1.], requires_grad=True)
        """
        if requires_grad and self._leaf:
            return self
        engine.changed()
        value = self._value()
        if not requires_grad:
            if value.grad and not self._leaf:
                raise GradientError(
                    "requires_grad=False on a tensor that was computed from others; only leaves change it. Use x.detach()"
                )
            if self._leaf:
                self._leaf = False
                self._storage.set(engine.leaf(realize(value), value.spec))
            return self
        if not value.spec.dtype.differentiable:
            raise GradientError(
                "only floating and complex dtypes can require gradients; this tensor is {dtype}. Write x.float() first",
                dtype=value.spec.dtype.name,
            )
        if not value.grad:
            if self._base is not None or self._cut:  # a view or a detached tensor becomes a tensor of its own
                self._storage, self._base, self._chain = Storage(value), None, ()
            self._leaf, self._cut = True, False  # the leaf itself is made when it is first read
        return self

    @property
    def is_leaf(self) -> bool:
        """True where the tensor was made by the user, not by an operation that is differentiated.

        Shapes: any tensor → a Python bool.

        >>> import danlu
        >>> x = danlu.ones(1, requires_grad=True)
        >>> x.is_leaf, (x * 2).is_leaf
        (True, False)
        """
        return self._leaf or not self.requires_grad

    def detach(self) -> Any:
        """The same storage without history: no derivative passes through what is returned.

        y = x, ∂y/∂x = 0

        Shapes: (*) → (*), on the same memory.
        """
        out = self._plain(None, self._storage)
        out._cut = True
        if self._base is None:
            return out
        view = self._plain(None, self._storage)  # the same view of the detached whole
        view._base, view._chain, view._shaped = out, self._chain, self._shaped
        return view


def _carry(value: Value, history: Value) -> Value:
    """The numbers of one value with the derivative of another."""
    return record(TABLE["carry"], (value, history), (), True)  # type: ignore[return-value]


def _successor(old: Value, value: Value) -> Value:
    """What a value becomes that is written in place: one with a derivative keeps one. Written under no_grad it is that of before;
    written with numbers that have none it is 0."""
    if not old.grad or value.grad:
        return value
    if not state().grad:
        return _carry(value, old)
    return _move("slice_update", (old, value), ((0,) * value.spec.ndim, (1,) * value.spec.ndim))


def _stopped(value: Value) -> Value:
    """The value without its history; where it is memory already, nothing is recorded."""
    if value.buffer is not None:
        return engine.leaf(value.buffer, value.spec)
    return record(TABLE["stop"], (value,), (), False)


def _fitted(value: Value, spec: Spec) -> Value:
    """A value made to fit the tensor it is written into: its dtype cast, its axes stretched."""
    if value.spec.dtype is not spec.dtype:
        if _loses(value.spec.dtype, spec.dtype):
            raise DTypeError(
                "result type {dtype} can't be cast to the desired output type {wanted}; write x = x.float() first",
                dtype=value.spec.dtype.name,
                wanted=spec.dtype.name,
            )
        value = record(TABLE["cast"], (value,), (spec.dtype,), state().grad)  # type: ignore[assignment]
    if value.spec.shape != spec.shape:
        value = _move("expand", (value,), (spec.shape,))
    return value


def _loses(given: DType, kept: DType) -> bool:
    """True where an arithmetic result may not silently become an element of a tensor: complex → float → integer, number → bool."""
    if given.is_complex and not kept.is_complex:
        return True
    return (given.is_floating_point and not kept.differentiable) or (kept is dt.bool_ and given is not dt.bool_)


def _is_plain(array: np.ndarray) -> bool:
    return array.flags.c_contiguous and array.flags.aligned


# ---- making tensors -----------------------------------------------------------------------------------------------------------

_tensor_class: Any = TensorCore


def set_tensor_class(cls: type) -> type:
    """Says which class results have (called once, by tensor.py)."""
    global _tensor_class
    _tensor_class = cls
    return cls


_blank = object.__new__


def wrap(value: Value) -> Any:
    """A new tensor of a value: what `_tensor_class(value)` makes, in half the time."""
    storage = _blank(Storage)
    storage.value = value
    value.handles += 1
    out: Any = _blank(_tensor_class)
    out._storage = storage
    out._chain = ()
    out._cut = out._leaf = False
    out._base = out._seen = out.grad = out._hooks = out._after = None
    return out


HOLD = wrap, values_of_nobody  # what a backward pass makes tensors of, see `engine.backward`


def _tensor(storage: Storage) -> Any:
    """A new tensor of a storage."""
    out: Any = _blank(_tensor_class)
    out._storage = storage
    out._chain = ()
    out._cut = out._leaf = False
    out._base = out._seen = out.grad = out._hooks = out._after = None
    return out


def apply(op: Op | str, *inputs: Any, **attrs: Any) -> Any:
    """Records one op (or composite) of the table on tensors and Python numbers: one tensor, or a tuple for several results."""
    if type(op) is str:
        op = TABLE[op]
    options = tuple(map(attrs.__getitem__, op.attrs)) if attrs else ()  # type: ignore[union-attr]
    result = record(op, tuple(map(_input, inputs)), options, state().grad)  # type: ignore[arg-type]
    return wrap(result) if type(result) is Value else tuple(map(wrap, result))


def operate(op: Op, x: Any, y: Any) -> Any:
    """`apply` of an op without options on two tensors or numbers, in two thirds of the time: what operators call."""
    here = engine.only
    if here is None or here.thread != get_ident():
        return apply(op, x, y)
    a = x._storage.now if type(x) is _tensor_class and x._base is None and not (x._cut or x._leaf) else _input(x)
    b = y._storage.now if type(y) is _tensor_class and y._base is None and not (y._cut or y._leaf) else _input(y)
    return wrap(record_alone(here, op, (a, b), (), here.grad))


def apply_in_turn(x: Any, calls: Sequence[tuple[Op, tuple]]) -> Any:
    """`apply` of several ops, each on the result of the one before and tensors of its own; only the last result becomes a tensor."""
    given = [(op, tuple(map(_input, tensors))) for op, tensors in calls]
    return wrap(engine.record_in_turn(_input(x), given, state().grad))


def _input(x: Any) -> Any:
    """A tensor or a number as an input of an operation."""
    if not isinstance(x, TensorCore):
        return _number(x)
    if x._base is None and not x._cut and _reader is None:
        value = x._storage.now
        if not x._leaf or value.leaf is not None:
            return value
    return x._value()


def _number(x: Any) -> Any:
    """A Python or NumPy number as it enters a program; an array becomes a value."""
    if type(x) in (float, int, bool, engine.Runtime):
        return x
    if isinstance(x, np.generic):
        x = x.item()
    if type(x) is complex:
        return record(TABLE["complex_number"], (x.real, x.imag), (), False)
    if type(x) in (float, int, bool):
        return x
    if isinstance(x, np.ndarray):
        return from_array(x, borrowed=True)._value()
    raise DTypeError("expected a tensor or a number, got {kind}; write danlu.tensor(...) around it", kind=type(x).__name__)


def changing(x: Any) -> Any:
    """A number that changes from call to call, as an input of `apply`: it never becomes part of a program (0, 1, 2, -1 and 0.5 would)."""
    return engine.Runtime(x) if type(x) in (int, float) else x


_NUMBERS = {float, int, bool, engine.Runtime}


def update_(op: Op | str, targets: Sequence[TensorCore], *inputs: Any, **attrs: Any) -> None:
    """Records one composite whose results become the new values of `targets`, in place and without a derivative."""
    here = state()
    previous, here.grad = here.grad, False
    try:
        if type(op) is str:
            op = TABLE[op]
        if here.updates is not None:
            numbers = [x for x in inputs if type(x) in _NUMBERS]
            here.updates.append((op, attrs, len(inputs), numbers, targets, inputs))  # type: ignore[arg-type]
            if here.dry:
                return
        values = tuple(map(_input, inputs))
        options = tuple(map(attrs.__getitem__, op.attrs))  # type: ignore[union-attr]
        if engine.update(op, values, options, targets, Storage):  # type: ignore[arg-type]
            return
        results = record(op, values, options, False)  # type: ignore[arg-type]
        results = results if type(results) is tuple else (results,)
        # Writing into shared memory runs the program at once: the results that still wait for their storage must be among its results.
        waiting = [Storage(v) for v in results] if any(type(t._storage) is Shared for t in targets) else []
        for target, value in zip(targets, results):
            if target._base is None and value.spec is target._storage.value.spec:
                target._storage.set(value)
            else:
                target._assign(value)
        del waiting
    finally:
        here.grad = previous


def updates(function: Callable[[], None], dry: bool) -> list[tuple]:
    """What a function hands to `update_`: (op, options, number of inputs, those that are numbers, targets, inputs). `dry`: nothing is
    recorded."""
    found: list[tuple] = []
    here = state()
    here.updates, here.dry = found, dry
    try:
        function()
    finally:
        here.updates, here.dry = None, False
    return found


def from_array(array: np.ndarray, borrowed: bool = False) -> Any:
    """A tensor on the memory of a NumPy array, where that is possible; else on a copy. `borrowed`: the caller keeps the array."""
    spec = Spec(array.shape, dt.from_numpy(array.dtype))
    if not (array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative):
        array, borrowed = np.array(array, array.dtype.newbyteorder("="), order="C"), False
    out = wrap(engine.leaf(Buffer.from_numpy(array, borrowed), spec))
    if borrowed and array.size:
        adopt(out._storage, array)
    return out


def _from_user(first: Any, more: tuple) -> Value:
    """What `Tensor(2, 3)` and `Tensor(data)` hold: zeros of these sizes, or the data, in the default dtype."""
    if isinstance(first, (int, np.integer)):
        first, more = (int(first), *more), ()
        return record(FULL, (0,), (tuple(int(n) for n in first), dt.default()), False)  # type: ignore[return-value]
    if more:
        raise DTypeError(
            "Tensor({kind}, …): give sizes, or data alone; danlu.tensor(data, dtype=...) takes a dtype", kind=type(first).__name__
        )
    if isinstance(first, TensorCore):
        return _fitted(first._value(), Spec(first._spec.shape, dt.default()))
    if type(first).__name__ == "Size":
        return record(FULL, (0,), (tuple(first), dt.default()), False)  # type: ignore[return-value]
    try:
        return from_array(dt.in_memory(first, dt.default()))._value()
    except (TypeError, ValueError):
        raise DTypeError(
            "Tensor({kind}): expected sizes or numbers; write danlu.tensor(data)", kind=type(first).__name__
        ) from None


def full(shape: tuple[int, ...], value: Any, dtype: DType) -> Any:
    """A tensor of one number."""
    return wrap(record(FULL, (value,), (shape, dtype), False))  # type: ignore[arg-type]


def tensors_in(args: Any) -> Iterator[TensorCore]:
    """The tensors in nested lists, tuples and dicts."""
    if isinstance(args, TensorCore):
        yield args
    elif isinstance(args, (list, tuple)):
        for a in args:
            yield from tensors_in(a)
    elif isinstance(args, dict):
        for a in args.values():
            yield from tensors_in(a)


FULL = TABLE["full"]

__all__ = [
    "TensorCore",
    "apply",
    "apply_in_turn",
    "changing",
    "from_array",
    "full",
    "operate",
    "update_",
    "wrap",
]
