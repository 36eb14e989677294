"""L6. `vmap`: a function of one element becomes one of a whole batch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from danlu import engine
from danlu.backward import history, is_station
from danlu.errors import GradientError
from danlu.func.calls import batch_of, flatten, mark_traced, tensors_of
from danlu.graph import Spec
from danlu.messages import Phrase
from danlu.random import get_state
from danlu.tensor import Tensor, is_grad_enabled
from danlu.tensor.core import wrap
from danlu.tensor.creation import cat, stack


def vmap(
    func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *, chunk_size: int | None = None
) -> Callable[..., Any]:
    """A function that maps `func` over an axis of its arguments, all at once; the results are stacked along an axis.

    y[i] = func(x[i]) for every i of the mapped axis

    `func` is called once, on tensors that stand for every element; reading one of them (item(), `if x > 0:`) is an error. in_dims: the
    axis of each argument, None for what is the same for all. randomness: "same" draws once for all, "different" calls `func` once for
    each element, "error" refuses random numbers. chunk_size: so many elements at once, chunk after chunk, for less memory.

    Shapes: arguments with an axis of size n each (in_dims) → results with an axis of size n (out_dims).

    Raises GradientError where func reads a value, ShapeError where the mapped axes differ in size.

    >>> import danlu
    >>> danlu.func.vmap(danlu.dot)(danlu.ones(3, 2), danlu.ones(3, 2))
    tensor([2., 2., 2.])
    """
    if randomness not in ("error", "same", "different"):
        raise GradientError("vmap: randomness={randomness!r}; expected 'error', 'same' or 'different'", randomness=randomness)
    if chunk_size is not None and chunk_size < 1:
        raise GradientError("vmap: chunk_size={size}; expected 1 or more, or None for all at once", size=chunk_size)

    @functools.wraps(func)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        leaves, rebuild, dims = _arguments(args, kwargs, in_dims)
        if chunk_size is not None:
            return _in_chunks(mapped_whole, leaves, rebuild, dims, out_dims, chunk_size)
        if randomness == "different":
            return _each(func, leaves, rebuild, dims, out_dims)
        return _together(func, leaves, rebuild, dims, out_dims, randomness)

    mapped_whole = vmap(func, in_dims, out_dims, randomness) if chunk_size is not None else mapped
    return mapped


def _in_chunks(
    mapped: Callable[..., Any], leaves: list[Any], rebuild: Any, dims: list[int | None], out_dims: Any, chunk_size: int
) -> Any:
    """The mapped function on pieces of the batch, its results joined along the axis on which each of them is stacked."""
    size = next(x.shape[d] for x, d in zip(leaves, dims) if d is not None)
    pieces = []
    for start in range(0, max(size, 1), chunk_size):
        count = min(chunk_size, size - start)
        args, kwargs = rebuild([x if d is None else x.narrow(d, start, count) for x, d in zip(leaves, dims)])
        pieces.append(mapped(*args, **kwargs))
    tables, rebuild_outputs = [flatten(piece)[0] for piece in pieces], flatten(pieces[0])[1]
    axes = _spread(out_dims, pieces[0], "out_dims")
    joined = [column[0] if axis is None else cat(column, axis) for column, axis in zip(map(list, zip(*tables)), axes)]
    return rebuild_outputs(joined)


def _arguments(args: tuple, kwargs: dict, in_dims: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any], list[int | None]]:
    """The leaves of all arguments and the axis of each."""
    leaves, rebuild = flatten([list(args), kwargs])
    dims = _spread(in_dims, list(args), "in_dims")
    dims += [0 if isinstance(x, Tensor) else None for x in flatten(kwargs)[0]]
    dims = [_axis(x, d) for x, d in zip(leaves, dims)]
    sizes = {x.shape[d] for x, d in zip(leaves, dims) if d is not None}
    if len(sizes) != 1:
        if not sizes:
            raise GradientError("vmap: no argument has an axis to map over; in_dims must not be None for all")
        raise GradientError("vmap: the mapped axes have sizes {sizes}; expected one size", sizes=sorted(sizes))
    return leaves, rebuild, dims


def _axis(x: Any, dim: Any) -> int | None:
    if dim is None:
        return None
    if not isinstance(x, Tensor):
        raise GradientError(
            "vmap: in_dims={dim} for an argument of type {kind}; expected a tensor, or in_dims=None for it",
            dim=dim,
            kind=type(x).__name__,
        )
    if not -x.ndim <= dim < x.ndim:
        raise GradientError(
            "vmap: in_dims={dim} for a tensor of shape {shape}; it has {ndim} axes", dim=dim, shape=tuple(x.shape), ndim=x.ndim
        )
    return dim % x.ndim


def _spread(dims: Any, tree: Any, name: str) -> list[Any]:
    """One entry of dims for each leaf: a number or None holds for everything below it."""
    if dims is None or isinstance(dims, int):
        return [dims] * len(flatten(tree)[0])
    branches = list(tree.values()) if isinstance(tree, dict) else tree
    chosen = list(dims.values()) if isinstance(dims, dict) else dims
    if not isinstance(branches, (list, tuple)) or len(chosen) != len(branches):
        raise GradientError(
            "vmap: {name} {dims!r} does not fit what it stands for; give a number, None, or one entry for each",
            name=name,
            dims=dims,
        )
    return [d for below, branch in zip(chosen, branches) for d in _spread(below, branch, name)]


def _together(func: Any, leaves: list[Any], rebuild: Any, dims: list[int | None], out_dims: Any, randomness: str) -> Any:
    fulls = [x.movedim(d, 0)._value() for x, d in zip(leaves, dims) if d is not None]
    stand_ins = [engine.placeholder(Spec(f.spec.shape[1:], f.spec.dtype), f.grad) for f in fulls]
    waiting = iter(stand_ins)
    args, kwargs = rebuild([x if d is None else wrap(next(waiting)) for x, d in zip(leaves, dims)])
    before = get_state()
    with engine.watch(mark_traced):
        outputs, rebuild_outputs = tensors_of(func(*args, **kwargs), Phrase("what the mapped function returned"))
        ys = [y._value() for y in outputs]
    if randomness == "error" and get_state() != before:
        raise GradientError(
            "vmap: the function draws random numbers; say randomness='different' (for each element) or 'same' (for all)"
        )
    differentiable = is_grad_enabled()
    if differentiable and any(is_station(v) for v in history([y for y in ys if y.grad])):
        raise GradientError(
            "vmap: the function contains an autograd.Function or a hook, and its result requires grad: such derivatives are not carried "
            "through vmap. Differentiate inside: vmap(grad(f)), or stack the results of a loop"
        )
    found = [wrap(v) for v in batch_of(ys, stand_ins, fulls, differentiable)]
    return rebuild_outputs(_placed(found, rebuild_outputs, out_dims))


def _placed(found: list[Any], rebuild_outputs: Any, out_dims: Any) -> list[Any]:
    tree = rebuild_outputs(found)
    dims = _spread(
        out_dims, tree if isinstance(tree, (list, tuple, dict)) and not isinstance(out_dims, int) else found, "out_dims"
    )
    return [y[0] if d is None else y.movedim(0, d) for y, d in zip(found, dims)]


def _each(func: Any, leaves: list[Any], rebuild: Any, dims: list[int | None], out_dims: Any) -> Any:
    size = next(x.shape[d] for x, d in zip(leaves, dims) if d is not None)
    rows, rebuild_outputs = [], None
    for k in range(size):
        args, kwargs = rebuild([x if d is None else x.movedim(d, 0)[k] for x, d in zip(leaves, dims)])
        outputs, rebuild_outputs = tensors_of(func(*args, **kwargs), Phrase("what the mapped function returned"))
        rows.append(outputs)
    if rebuild_outputs is None:
        raise GradientError("vmap: randomness='different' over an axis of size 0; there is no element to call the function for")
    return rebuild_outputs(_placed([stack(column) for column in zip(*rows)], rebuild_outputs, out_dims))
