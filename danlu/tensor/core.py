"""L5. The heart of the Tensor: a handle on a storage, how it is read, written in place and differentiated.

`Tensor → Storage → Value`. A view is a storage and a chain of movements: reading applies them, writing applies their inverses and
gives the storage a new value, which every other view of it sees. Values never change, so nothing that a derivative needs
can be overwritten.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from danlu import backward, engine
from danlu import dtype as dt
from danlu.dtype import DType
from danlu.engine import Value, realize, record
from danlu.errors import DTypeError, GradientError, ShapeError
from danlu.graph import Op, Spec
from danlu.ops import TABLE
from danlu.ops.source import BUFFER
from danlu.runtime.buffers import Buffer
from danlu.tensor.storage import Storage, adopt, share


class _Mode(threading.local):
    """For each thread: `grad`, whether operations are recorded for differentiation; `updates`, the list that is told of every `update_`,
    and `dry`, whether that is all that `update_` does."""

    grad = True
    updates: list[tuple[Op, dict, int, list]] | None = None
    dry = False


_mode = _Mode()


def is_grad_enabled() -> bool:
    """True unless inside `no_grad()`.

    >>> import danlu
    >>> danlu.is_grad_enabled()
    True
    """
    return _mode.grad


class _Switch(contextlib.ContextDecorator):
    """As a decorator: `@no_grad`, `@no_grad()`, also on generators, whose body runs in pieces."""

    def __call__(self, function: Any) -> Any:
        if not inspect.isgeneratorfunction(function):
            return super().__call__(function)

        @functools.wraps(function)
        def generator(*args: Any, **given: Any) -> Iterator[Any]:
            pieces, sent = function(*args, **given), None
            while True:
                with self._recreate_cm():  # type: ignore[attr-defined]
                    try:
                        piece = pieces.send(sent)
                    except StopIteration as end:
                        return end.value
                sent = yield piece

        return generator


class set_grad_enabled(_Switch):
    """Switches the recording for derivatives on or off: at once, as a context or as a decorator.

    >>> import danlu
    >>> with danlu.set_grad_enabled(False):
    ...     (danlu.ones(1, requires_grad=True) * 2).requires_grad
    False
    """

    def __init__(self, mode: bool) -> None:
        self.mode, self.previous = bool(mode), _mode.grad
        _mode.grad = self.mode

    def __call__(self, function: Any) -> Any:
        _mode.grad = self.previous  # a decorator switches while the function runs, not where it is written
        return super().__call__(function)

    def _recreate_cm(self) -> set_grad_enabled:
        return type(self)(self.mode)

    def __enter__(self) -> set_grad_enabled:
        _mode.grad = self.mode
        return self

    def __exit__(self, *error: object) -> None:
        _mode.grad = self.previous


class no_grad(_Switch):
    """No derivative will be asked of what is computed inside: for evaluation and for hand-written updates.

    >>> import danlu
    >>> w = danlu.ones(2, requires_grad=True)
    >>> with danlu.no_grad():
    ...     w -= 0.5
    >>> w
    tensor([0.5000, 0.5000], requires_grad=True)
    """

    mode = False

    def __new__(cls, function: Any = None) -> Any:
        self = super().__new__(cls)
        return self if function is None else self(function)

    def __enter__(self) -> None:
        self.previous = _mode.grad
        _mode.grad = self.mode

    def __exit__(self, *error: object) -> None:
        _mode.grad = self.previous

    def _recreate_cm(self) -> no_grad:
        return type(self)()


class enable_grad(no_grad):
    """The opposite of `no_grad`, inside of it.

    >>> import danlu
    >>> with danlu.no_grad(), danlu.enable_grad():
    ...     (danlu.ones(1, requires_grad=True) * 2).requires_grad
    True
    """

    mode = True


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
    return record(TABLE[name], inputs, attrs, _mode.grad)  # type: ignore[return-value]


class TensorCore:
    """State and differentiation; the operations are in the classes that `Tensor` is made of."""

    __slots__ = ("__weakref__", "_after", "_base", "_chain", "_cut", "_hooks", "_leaf", "_seen", "_storage", "grad")

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
        # Of a view: (value of the storage, value of the view). Of a detached tensor that was written: (value of the storage, a
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
            if _mode.grad and value.leaf is None:
                return self._new_leaf()
        elif self._cut:
            return self._own_value() if self._seen is not None else _stopped(value) if value.grad else value
        return value

    def _new_leaf(self) -> Value:
        """After an update in place: the tensor begins a new history. What is pending runs first, so a step is one program."""
        old = self._storage.now
        value = engine.leaf(realize(old), old.spec, grad=True)
        value.leaf = weakref.ref(self)
        if self._hooks:
            value.noted().hooks = self._hooks
        self._storage.set(value)
        return value

    def _view_value(self) -> Value:
        source = self._root()._value()
        if self._cut and source.grad:
            source = _stopped(source)
        if self._seen is not None and self._seen[0] is source:
            return self._seen[1]
        value = source
        if source.buffer is not None and not source.grad and _reader is None and any(name == "slice" for name, _ in self._chain):
            value = self._taken()
        else:
            for name, attrs in self._chain:
                value = _move(name, (value,), attrs)
        self._seen = (source, value)
        if (not _mode.grad and source.grad) or (source.buffer is not None and source.buffer.exchanged):
            self._seen = None
        return value

    def _taken(self) -> Value:
        """A part of memory as memory: x[i : i + 32] in a loop gives one program for every i, and nothing is copied."""
        array = self._array()
        if not _is_plain(array) or realize(self._storage.value).exchanged:
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
        out = type(self)._plain(None, self._storage)
        out._base = self._root()
        out._chain = (*self._chain, (name, attrs))
        out._cut = (self._cut and self._base is not None) or not _mode.grad
        TABLE[name].result((self._spec,), attrs)  # errors now, on this line
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
        self._chain, self._seen = view._chain, None
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
        if root._leaf and not self._cut and _mode.grad:
            raise GradientError(
                "a leaf tensor that requires grad is changed in place: its own gradient would be lost. "
                "Write it inside `with danlu.no_grad():`, or on a copy: x = x.clone()"
            )
        spec = self._spec
        if value.spec is not spec:
            value = _fitted(value, spec)
        elif value.grad and value.handles:  # another tensor holds it: each has its own gradient, hooks and memory
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
        spec = self._root()._spec
        for name, attrs in self._chain:
            spec = TABLE[name].result((spec,), attrs)
        return spec

    # ---- differentiation ------------------------------------------------------------------------------------------------
    @property
    def requires_grad(self) -> bool:
        """Whether a derivative may be asked with respect to this tensor, or through it."""
        if self._base is not None:
            return not self._cut and self._root().requires_grad
        return self._leaf or (self._seen is not None if self._cut else self._storage.value.grad)

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        self.requires_grad_(flag)

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Collects gradients in `.grad` from now on (floating dtypes only)."""
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
        """True where the tensor was made by the user, not by an operation that is differentiated."""
        return self._leaf or not self.requires_grad

    @property
    def grad_fn(self) -> str | None:
        """The operation that made the tensor, None for a leaf."""
        if self.is_leaf:
            return None
        return f"<{self._value().op.name.title().replace('_', '')}Backward0>"

    def retain_grad(self) -> None:
        """Collects `.grad` also in this tensor, which is not a leaf."""
        value = self._value()
        if not value.grad:
            raise GradientError(
                "retain_grad on a tensor that does not require grad; set requires_grad=True on the tensors it is computed from"
            )
        if value.leaf is None:
            value.leaf = weakref.ref(self)

    def detach(self) -> Any:
        """The same storage without history: no derivative passes through what is returned."""
        out = self._plain(None, self._storage)
        out._cut = True
        if self._base is None:
            return out
        view = self._plain(None, self._storage)  # the same view of the detached whole
        view._base, view._chain = out, self._chain
        return view

    @property
    def data(self) -> Any:
        """The same storage without history."""
        return self.detach()

    @data.setter
    def data(self, other: TensorCore) -> None:
        value = other.detach()._value()
        if self._base is not None:
            raise GradientError("x.data = … on a view; assign to the tensor it looks at")
        engine.changed()
        self._storage = Storage(value)

    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
    ) -> None:
        """Adds the gradient of this tensor with respect to every leaf to the leaf's `.grad` (reverse mode).

        gradient: ∂(what is differentiated)/∂(this tensor), of the same shape; may be left out for one element, where it is 1.

        Raises GradientError where there is nothing to differentiate or the graph was used up by an earlier call.

        >>> import danlu
        >>> x = danlu.tensor([1.0, 2.0], requires_grad=True)
        >>> (x ** 2).sum().backward()
        >>> x.grad
        tensor([2., 4.])
        """
        backward_([self], [gradient], inputs, retain_graph, create_graph)

    def register_hook(self, hook: Any) -> Any:
        """`hook(grad)` runs whenever the gradient of this tensor is known; what it returns, if not None, takes its place.

        Returns a handle: `handle.remove()` takes the hook away.

        >>> import danlu
        >>> x = danlu.ones(2, requires_grad=True)
        >>> handle = x.register_hook(lambda g: g * 10)
        >>> x.sum().backward()
        >>> x.grad
        tensor([10., 10.])
        """
        if not self.requires_grad:
            raise GradientError(
                "register_hook on a tensor that does not require grad: no gradient would come. Set requires_grad=True"
            )
        with set_grad_enabled(True):
            note = self._value().noted()
        if note.hooks is None:
            note.hooks = {}
        if self._leaf:
            self._hooks = note.hooks  # the next value of the leaf takes them over
        return Handle(note.hooks, lambda g: _call_hook(hook, g))

    def register_post_accumulate_grad_hook(self, hook: Any) -> Any:
        """`hook(tensor)` runs after a backward pass has added to this leaf's `.grad`.

        >>> import danlu
        >>> x = danlu.ones(1, requires_grad=True)
        >>> handle = x.register_post_accumulate_grad_hook(lambda x: print(x.grad))
        >>> (x * 3).backward()
        tensor([3.])
        """
        if not self._leaf:
            raise GradientError(
                "post accumulate grad hooks cannot be registered on tensors that are no leaves: only leaves collect .grad"
            )
        if self._after is None:
            self._after = {}
        return Handle(self._after, hook)


def _carry(value: Value, history: Value) -> Value:
    """The numbers of one value with the derivative of another."""
    return record(TABLE["carry"], (value, history), (), True)  # type: ignore[return-value]


def _successor(old: Value, value: Value) -> Value:
    """What a value becomes that is written in place: one with a derivative keeps one. Written under no_grad it is that of before;
    written with numbers that have none it is 0."""
    if not old.grad or value.grad:
        return value
    if not _mode.grad:
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
        value = record(TABLE["cast"], (value,), (spec.dtype,), _mode.grad)  # type: ignore[assignment]
    if value.spec.shape != spec.shape:
        value = _move("expand", (value,), (spec.shape,))
    return value


class Handle:
    """Removes a hook: `handle.remove()`, or at the end of a `with` block."""

    count = 0

    def __init__(self, hooks: dict[int, Any], hook: Any) -> None:
        Handle.count += 1
        engine.changed()
        self._hooks, self.id = hooks, Handle.count
        hooks[self.id] = hook

    def remove(self) -> None:
        """Takes the hook away; a second call does nothing."""
        engine.changed()
        self._hooks.pop(self.id, None)

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def _call_hook(hook: Any, g: Value) -> Value:
    result = hook(wrap(g))
    if result is None:
        return g
    if not isinstance(result, TensorCore):
        raise GradientError(
            "a hook of a tensor returned {kind}; expected the new gradient as a tensor, or None", kind=type(result).__name__
        )
    if result._spec.shape != g.spec.shape:
        raise GradientError(
            "a hook of a tensor returned a gradient of shape {shape}; expected {expected}",
            shape=result._spec.shape,
            expected=g.spec.shape,
        )
    return result._value()


def backward_(ys: Sequence[TensorCore], gys: Sequence[Any], inputs: Any, retain_graph: bool | None, create_graph: bool) -> None:
    """Adds the gradients of Σ ys · gys to the `.grad` of all leaves, or of the tensors in `inputs`."""
    targets = None if inputs is None else list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    if targets == []:
        raise GradientError("backward: inputs= is empty; leave it out for all leaves")
    keep = create_graph if retain_graph is None else retain_graph
    leaves, grads = gradients(ys, gys, targets, keep, create_graph)
    with set_grad_enabled(create_graph):
        for tensor, g in zip(targets or [v.leaf() for v in leaves], grads):
            if tensor is not None and g is not None:
                accumulate(tensor, g)
                if tensor._after:
                    for hook in list(tensor._after.values()):
                        hook(tensor)


def _loses(given: DType, kept: DType) -> bool:
    """True where an arithmetic result may not silently become an element of a tensor: complex → float → integer, number → bool."""
    if given.is_complex and not kept.is_complex:
        return True
    return (given.is_floating_point and not kept.differentiable) or (kept is dt.bool_ and given is not dt.bool_)


def _is_plain(array: np.ndarray) -> bool:
    return array.flags.c_contiguous and array.flags.aligned


def accumulate(tensor: TensorCore, g: TensorCore) -> None:
    """tensor.grad += g"""
    if tensor.grad is None:
        tensor.grad = g
    elif g.requires_grad or tensor.grad.requires_grad:
        tensor.grad = wrap(record(TABLE["add"], (tensor.grad._value(), g._value()), (), True))  # type: ignore[arg-type]
    else:
        tensor.grad._assign(record(TABLE["add"], (tensor.grad._value(), g._value()), (), False))


def gradients(
    ys: Sequence[TensorCore], gys: Sequence[Any], xs: Sequence[TensorCore] | None, keep: bool, create_graph: bool
) -> tuple[list[Value], list[Any]]:
    """The values to differentiate with respect to (all leaves, if `xs` is None) and the gradient of Σ ys · gys for each."""
    previous, _mode.grad = _mode.grad, True
    try:
        values = [y._value() for y in ys]
        targets = None if xs is None else [x._value() for x in xs]
        _mode.grad = create_graph
        seeds = [_seed(y, value, gy) for y, value, gy in zip(ys, values, gys)]
        for check in checks:
            check(values, seeds)
        return backward.gradients(values, seeds, targets, keep, create_graph, wrap)
    finally:
        _mode.grad = previous


checks: list[Any] = []  # functions (roots, seeds) that look at a backward pass before it runs (detect_anomaly)


def _seed(y: TensorCore, value: Value, gy: Any) -> Value:
    """The gradient that comes from above."""
    if gy is None:
        if value.spec.size != 1:
            raise GradientError(
                "backward of a tensor of shape {shape} without a gradient: only one element can be differentiated by itself. "
                "Write loss.sum().backward() or loss.mean().backward(), or pass gradient= of that shape",
                shape=value.spec.shape,
            )
        if value.spec.dtype.is_complex:
            raise GradientError(
                "backward of a {dtype} without a gradient: only a real number can be differentiated by itself. Write "
                "y.abs().sum().backward() or another real loss, or pass gradient=",
                dtype=value.spec.dtype.name,
            )
        return record(FULL, (1,), (value.spec.shape, value.spec.dtype), False)  # type: ignore[return-value]
    given = gy._value()
    if given.spec.shape != value.spec.shape:
        raise GradientError(
            "gradient= has shape {given}; expected that of the tensor, {shape}", given=given.spec.shape, shape=value.spec.shape
        )
    return given


# ---- making tensors -----------------------------------------------------------------------------------------------------------

_tensor_class: Any = TensorCore


def set_tensor_class(cls: type) -> type:
    """Says which class results have (called once, by tensor.py)."""
    global _tensor_class
    _tensor_class = cls
    return cls


def wrap(value: Value) -> Any:
    """A new tensor of a value."""
    return _tensor_class(value)


def apply(op: Op | str, *inputs: Any, **attrs: Any) -> Any:
    """Records one op (or composite) of the table on tensors and Python numbers: one tensor, or a tuple for several results."""
    if type(op) is str:
        op = TABLE[op]
    values = [x._value() if isinstance(x, TensorCore) else _number(x) for x in inputs]
    result = record(op, values, tuple([attrs[a] for a in op.attrs]) if op.attrs else (), _mode.grad)  # type: ignore[union-attr]
    if type(result) is tuple:
        return tuple(_tensor_class(v) for v in result)
    return _tensor_class(result)


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
    previous, _mode.grad = _mode.grad, False
    try:
        if type(op) is str:
            op = TABLE[op]
        if _mode.updates is not None:
            _mode.updates.append((op, attrs, len(inputs), [x for x in inputs if type(x) in _NUMBERS]))  # type: ignore[arg-type]
            if _mode.dry:
                return
        values = [x._value() if isinstance(x, TensorCore) else _number(x) for x in inputs]
        results = record(op, values, tuple([attrs[a] for a in op.attrs]), False)  # type: ignore[union-attr]
        for target, value in zip(targets, results if type(results) is tuple else (results,)):
            if target._base is None and value.spec is target._storage.value.spec:
                target._storage.set(value)
            else:
                target._assign(value)
    finally:
        _mode.grad = previous


def updates(function: Callable[[], None], dry: bool) -> list[tuple[Op, dict, int, list]]:
    """What a function hands to `update_`: (op, options, number of inputs, those that are numbers). `dry`: nothing is recorded."""
    found: list[tuple[Op, dict, int, list]] = []
    _mode.updates, _mode.dry = found, dry
    try:
        function()
    finally:
        _mode.updates, _mode.dry = None, False
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
    """What `Tensor(2, 3)` and `Tensor(data)` hold: zeros of these sizes, or the data, in float32."""
    if isinstance(first, (int, np.integer)):
        first, more = (int(first), *more), ()
        return record(FULL, (0,), (tuple(int(n) for n in first), dt.float32), False)  # type: ignore[return-value]
    if more:
        raise DTypeError(
            "Tensor({kind}, …): give sizes, or data alone; danlu.tensor(data, dtype=...) takes a dtype", kind=type(first).__name__
        )
    if isinstance(first, TensorCore):
        return _fitted(first._value(), Spec(first._spec.shape, dt.float32))
    if type(first).__name__ == "Size":
        return record(FULL, (0,), (tuple(first), dt.float32), False)  # type: ignore[return-value]
    try:
        return from_array(np.array(first, np.float32, order="C"))._value()
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
    "changing",
    "enable_grad",
    "from_array",
    "full",
    "gradients",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
    "update_",
    "wrap",
]
