"""L5. Indexing: reading and writing x[...] with integers, slices, `...`, None, integer tensors and bool masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.errors import AxisError, DTypeError
from danlu.messages import Phrase
from danlu.ops.gather import index_message
from danlu.tensor.core import TensorCore, apply, from_array


def _items(index: Any, ndim: int) -> list:
    """The index as a list with `...` written out; one entry for each axis and each None."""
    items = list(index) if isinstance(index, tuple) else [index]
    if _PLAIN.issuperset(map(type, items)):
        used = len(items) - items.count(None) - items.count(Ellipsis)
    else:
        items = [_as_index(x) for x in items]
        if sum(isinstance(x, TensorCore) for x in items) > 1:  # beside others a 0-d index is a number: it must not be broadcast
            items = [int(x) if isinstance(x, TensorCore) and not x._spec.shape else x for x in items]  # type: ignore[arg-type]
        used = sum(_axes_used(x) for x in items)
    if used > ndim:
        raise AxisError(
            "too many indices: {used} for a tensor with {ndim} {axes}",
            used=used,
            ndim=ndim,
            axes=Phrase("axis") if ndim == 1 else Phrase("axes"),
        )
    dots = [k for k, x in enumerate(items) if x is Ellipsis]
    if len(dots) > 1:
        raise AxisError("an index may hold one `...` only")
    at = dots[0] if dots else len(items)
    items[at : at + 1] = [slice(None)] * (ndim - used)
    return items


_PLAIN = {int, slice, type(None), type(Ellipsis)}


def _as_index(x: Any) -> Any:
    x = list(x) if isinstance(x, range) else x
    if isinstance(x, (list, np.ndarray)):
        x = from_array(np.array(x, dtype=np.int64 if isinstance(x, list) and not x else None, order="C"))
    if isinstance(x, (np.integer, np.bool_)):
        return x.item()
    if isinstance(x, TensorCore) and x._spec.dtype.differentiable:
        raise AxisError(
            "an index tensor has dtype {dtype}; indices are integers or bools: write index.long()", dtype=x._spec.dtype.name
        )
    if isinstance(x, TensorCore) and x._spec.dtype is dt.uint8:
        raise DTypeError(
            "an index tensor has dtype uint8, which is a mask to some and a position to others: write x.bool() or x.long()"
        )
    if isinstance(x, TensorCore) and not x._spec.shape and x._spec.dtype is dt.bool_:
        return bool(x)
    if not (x is None or x is Ellipsis or isinstance(x, (int, slice, TensorCore))):
        raise AxisError("an index may be an integer, a slice, `...`, None or a tensor; got {kind}", kind=type(x).__name__)
    return x


def _axes_used(x: Any) -> int:
    if x is None or x is Ellipsis or isinstance(x, bool):
        return 0
    if isinstance(x, TensorCore) and x._spec.dtype is dt.bool_:
        return x._spec.ndim
    return 1


def _same_part(value: TensorCore, view: TensorCore) -> bool:
    """Whether two views are of the same place of the same memory, with the same history."""
    root = view._base
    same = root is not None and value._base is root and not root._leaf
    return same and value._cut == view._cut and value._chain == view._chain


class Indexing(TensorCore):
    """x[...] and its relatives."""

    __slots__ = ()

    def __getitem__(self, index: Any) -> Any:
        view, advanced = self._basic(index)
        return view if not advanced else _Advanced(view, advanced).read()

    def __setitem__(self, index: Any, value: Any) -> None:
        view, advanced = self._basic(index)
        if advanced:
            _Advanced(view, advanced).write(value)
        elif isinstance(value, TensorCore):
            if not _same_part(value, view):  # the second half of x[i] += y, which has written it
                view.copy_(_unlead(value, view._spec.ndim))
        elif isinstance(value, np.ndarray):
            view.copy_(_unlead(from_array(value, borrowed=True), view._spec.ndim))
        elif isinstance(value, (list, tuple)):
            view.copy_(from_array(np.array(value)))
        else:
            view.fill_(value)

    def _basic(self, index: Any) -> tuple[Any, dict[int, TensorCore]]:
        """The view by integers and slices; and, by axis of the view, the index tensors that are left."""
        own = self._spec.shape
        spans: list[tuple[int, int, int]] = []  # start, stop, step of each axis of the memory
        shape: list[int] = []
        advanced: dict[int, TensorCore] = {}
        axis = 0
        for x in _items(index, len(own)):
            if x is None:
                shape.append(1)
                continue
            if type(x) is slice:
                n = own[axis]
                start, stop, step = x.indices(n)
                if step < 0:
                    raise AxisError("a slice with a negative step is not supported, as in PyTorch; write x.flip(dim)")
                stop = max(start, stop)
                shape.append(-(-(stop - start) // step))
                spans.append((start, stop, step))
                axis += 1
                continue
            if isinstance(x, bool):  # one more axis, of size 1 or 0
                advanced[len(shape)] = from_array(np.zeros(int(x), np.int64))
                shape.append(1)
                continue
            if isinstance(x, TensorCore) and x._spec.dtype is dt.bool_:
                for mask_axis, position in enumerate(_positions(x, own[axis : axis + x._spec.ndim], axis)):
                    n = own[axis + mask_axis]
                    advanced[len(shape)] = position
                    shape.append(n)
                    spans.append((0, n, 1))
                axis += x._spec.ndim
                continue
            n = own[axis]
            if isinstance(x, TensorCore):
                advanced[len(shape)] = x
                start, stop, step = 0, n, 1
                shape.append(n)
            else:
                if not -n <= x < n:
                    raise AxisError(
                        "{problem} (axis {axis} of shape {shape})", problem=index_message(int(x), n), axis=axis, shape=own
                    )
                start = int(x) % n
                stop, step = start + 1, 1
            spans.append((start, stop, step))
            axis += 1
        view: Any = self
        if spans != [(0, n, 1) for n in own]:
            view = view._view("slice", tuple(zip(*spans)))
        if view._spec.shape != tuple(shape):
            view = view._view("reshape", (tuple(shape),))
        return (view if view is not self else self._view("reshape", (own,))), advanced


def _positions(mask: TensorCore, shape: tuple[int, ...], axis: int) -> list[TensorCore]:
    """Where a mask is True: one vector of integers for each of its axes. The number of results depends on the data, so it is read."""
    if mask._spec.shape != shape:
        raise AxisError(
            "the mask has shape {mask}; the axes it indexes, from axis {axis} on, have {shape}. They must be equal",
            mask=mask._spec.shape,
            axis=axis,
            shape=shape,
        )
    return [from_array(np.ascontiguousarray(p)) for p in np.nonzero(mask._array())]


def _unlead(value: Any, ndim: int) -> Any:
    """Leading axes of size 1 beyond ndim left out: they may be assigned, as in NumPy."""
    while value._spec.ndim > ndim and value._spec.shape[0] == 1:
        value = value.squeeze(0)
    return value


class _Advanced:
    """Index tensors on some axes of a view: the axes become one, the positions one number, and `take` does the rest."""

    def __init__(self, view: Any, indices: dict[int, TensorCore]) -> None:
        self.view, self.axes = view, sorted(indices)
        shape = np.broadcast_shapes(*(x._spec.shape for x in indices.values()))
        self.shape = tuple(int(n) for n in shape)
        self.position = self._linear(indices)
        self.together = self.axes == list(range(self.axes[0], self.axes[-1] + 1))

    def _linear(self, indices: dict[int, TensorCore]) -> Any:
        """The row-major number, over the indexed axes, of each position; checked axis by axis."""
        if len(self.axes) == 1:
            return indices[self.axes[0]].to(dt.int64)  # type: ignore[attr-defined]
        total: Any = 0
        for axis in self.axes:
            n = self.view._spec.shape[axis]
            numbers = apply("iota", shape=(n,), dtype=dt.int64)
            total = total * n + apply("take", numbers, indices[axis].to(dt.int64), dim=0)  # type: ignore[attr-defined]
        return total.expand(self.shape)

    def _front(self) -> tuple[Any, int, tuple[int, ...]]:
        """The view with its indexed axes as one, the place of that axis, and the order of axes that brought it there."""
        ndim = self.view._spec.ndim
        at = self.axes[0] if self.together else 0
        rest = [k for k in range(ndim) if k not in self.axes]
        order = (*rest[:at], *self.axes, *rest[at:])
        moved = self.view.permute(*order)
        shape = moved._spec.shape
        count = len(self.axes)
        size = int(np.prod(shape[at : at + count], dtype=np.int64))
        return moved.view(*shape[:at], size, *shape[at + count :]), at, order

    def read(self) -> Any:
        """x[...]"""
        flat, at, _ = self._front()
        return apply("take", flat, self.position, dim=at)

    def write(self, value: Any) -> None:
        """x[...] = value"""
        flat, at, _ = self._front()
        shape = flat._spec.shape
        target = (*shape[:at], *self.shape, *shape[at + 1 :])
        dtype = flat._spec.dtype
        if isinstance(value, np.ndarray):
            value = from_array(value, borrowed=True)
        if not isinstance(value, TensorCore):
            value = apply("full", value, shape=target, dtype=dtype)
        value = _unlead(value, len(target)).to(dtype).expand(target)
        flat._assign(apply("index_set", flat, self.position, value, dim=at)._value())
