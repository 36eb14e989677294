"""L5. Making tensors: zeros, ones, ranges, copies of arrays; and the functions that join tensors."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu import engine
from danlu.dtype import DType
from danlu.errors import DTypeError, ShapeError
from danlu.ops.movement import normalize_axis
from danlu.ops.table import promote_specs
from danlu.tensor import Tensor, apply, tensor
from danlu.tensor.arithmetic import check_device
from danlu.tensor.results import made_as_out, with_out
from danlu.tensor.shape import sizes


def get_default_dtype() -> DType:
    """What Python floats become, and whole numbers where a float comes out; the dtype of new parameters.

    >>> import danlu
    >>> danlu.get_default_dtype()
    danlu.float32
    """
    return dt.default()


def set_default_dtype(d: DType) -> None:
    """The dtype that Python floats have from now on, tensors that are made without a dtype, new parameters, and the quotients of whole numbers.

    Complex numbers get the dtype whose parts hold it (complex64 for float16 and bfloat16).

    Raises: DTypeError for a dtype that is not floating.

    >>> import danlu
    >>> danlu.set_default_dtype(danlu.float64); danlu.tensor(0.1).dtype
    danlu.float64
    >>> danlu.set_default_dtype(danlu.float32)
    """
    dt.check_dtype(d)
    if not d.is_floating_point:
        raise DTypeError(
            "set_default_dtype: {dtype} is not floating; expected float16, bfloat16, float32 or float64", dtype=d.name
        )
    engine.set_default_dtype(d)


def _made(out: Any, requires_grad: bool, device: Any = None) -> Tensor:
    check_device(device)
    return out.requires_grad_() if requires_grad else out


def _check_sizes(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    if any(n < 0 for n in shape):
        raise ShapeError("{name}: shape {shape} has a negative size; sizes are 0 or more", name=name, shape=shape)
    return shape


@made_as_out
def full(size: Any, fill_value: Any, *, dtype: DType | None = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """One number in every place.

    y[i, j, …] = fill_value

    Shapes: size (n₁, …, n_d) → (n₁, …, n_d).

    >>> import danlu
    >>> danlu.full((2, 2), 7.0)
    tensor([[7., 7.],
            [7., 7.]])
    """
    if dtype is None:
        dtype = dt.bool_ if isinstance(fill_value, bool) else dt.int64 if isinstance(fill_value, int) else dt.default()
        dtype = dt.to_complex(dtype) if isinstance(fill_value, complex) else dtype
    shape = _check_sizes("full", sizes((size,)))
    return _made(apply("full", fill_value, shape=shape, dtype=dtype), requires_grad, device)


@made_as_out
def zeros(*size: Any, dtype: DType | None = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Zeros, of the default dtype (float32) unless said otherwise: zeros(2, 3).

    y[i, j, …] = 0

    Shapes: sizes n₁, …, n_d → (n₁, …, n_d).

    >>> import danlu
    >>> danlu.zeros(3)
    tensor([0., 0., 0.])
    """
    return full(sizes(size), 0, dtype=dtype or dt.default(), requires_grad=requires_grad, device=device)


@made_as_out
def ones(*size: Any, dtype: DType | None = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Ones, of the default dtype (float32) unless said otherwise: ones(2, 3).

    y[i, j, …] = 1

    Shapes: sizes n₁, …, n_d → (n₁, …, n_d).

    >>> import danlu
    >>> danlu.ones(3)
    tensor([1., 1., 1.])
    """
    return full(sizes(size), 1, dtype=dtype or dt.default(), requires_grad=requires_grad, device=device)


@made_as_out
def empty(*size: Any, dtype: DType | None = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Zeros: memory without values is not a value that a program could have.

    y[i, j, …] = 0

    Shapes: sizes n₁, …, n_d → (n₁, …, n_d).

    >>> import danlu
    >>> danlu.empty(2).shape
    danlu.Size([2])
    """
    return zeros(*size, dtype=dtype, requires_grad=requires_grad, device=device)


def zeros_like(x: Tensor, *, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """Zeros with the shape and dtype of x.

    y[i, j, …] = 0

    Shapes: (*) → (*).

    >>> import danlu
    >>> danlu.zeros_like(danlu.ones(2))
    tensor([0., 0.])
    """
    return full(x.shape, 0, dtype=dtype or x.dtype, requires_grad=requires_grad)


def empty_like(x: Tensor, *, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """Zeros with the shape and dtype of x: see `empty`.

    y[i, j, …] = 0

    Shapes: (*) → (*).

    >>> import danlu
    >>> danlu.empty_like(danlu.ones(2)).shape
    danlu.Size([2])
    """
    return zeros_like(x, dtype=dtype, requires_grad=requires_grad)


def ones_like(x: Tensor, *, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """Ones with the shape and dtype of x.

    y[i, j, …] = 1

    Shapes: (*) → (*).

    >>> import danlu
    >>> danlu.ones_like(danlu.zeros(2))
    tensor([1., 1.])
    """
    return full(x.shape, 1, dtype=dtype or x.dtype, requires_grad=requires_grad)


def full_like(x: Tensor, fill_value: Any, *, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """One number with the shape and dtype of x.

    y[i, j, …] = fill_value

    Shapes: (*) → (*).

    >>> import danlu
    >>> danlu.full_like(danlu.zeros(2), 3)
    tensor([3., 3.])
    """
    return full(x.shape, fill_value, dtype=dtype or x.dtype, requires_grad=requires_grad)


@made_as_out
def arange(
    start: Any, end: Any = None, step: Any = 1, *, dtype: DType | None = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """start, start + step, … below end.

    y[i] = start + i · step

    Shapes: → (⌈(end - start) / step⌉); int64 of integers, else the default dtype.

    >>> import danlu
    >>> danlu.arange(3)
    tensor([0, 1, 2])
    """
    if end is None:
        start, end = 0, start
    if dtype is not None:
        dt.check_dtype(dtype)
    if dtype is not None and not dtype.differentiable:
        start, end, step = int(start), int(end), int(step)
    if step == 0 or (end - start) * step < 0:
        raise ShapeError(
            "arange: from {start} to {end} in steps of {step} is not possible; the step must lead from the start to the end",
            start=start,
            end=end,
            step=step,
        )
    if dtype is None:
        dtype = dt.int64 if all(isinstance(v, int) for v in (start, end, step)) else dt.default()
    count = ceil((end - start) / step)
    exact = dt.float64 if dtype.differentiable else dt.int64
    numbers = apply("iota", shape=(count,), dtype=exact)
    numbers = numbers if step == 1 else numbers * step
    return _made((numbers if start == 0 else numbers + start).to(dtype), requires_grad, device)


@made_as_out
def linspace(
    start: Any, end: Any, steps: int, *, dtype: DType | None = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """`steps` numbers from start to end, both included, at equal distances.

    y[i] = start + i · (end - start) / (steps - 1)

    Shapes: → (steps).

    >>> import danlu
    >>> danlu.linspace(0, 1, 3)
    tensor([0.0000, 0.5000, 1.0000])
    """
    if not isinstance(steps, int) or steps < 0:
        raise ShapeError("linspace: steps={steps}; expected a whole number, 0 or more", steps=steps)
    if isinstance(start, complex) or isinstance(end, complex) or (dtype is not None and dtype.is_complex):
        return tensor(np.linspace(complex(start), complex(end), steps), dtype or dt.to_complex(dt.default()), requires_grad)
    if dtype is not None and not dtype.is_floating_point:
        return tensor(_whole_steps(int(start), int(end), int(steps)), dtype)
    return tensor(np.linspace(float(start), float(end), int(steps)), dtype or dt.default(), requires_grad)


def _whole_steps(start: int, end: int, steps: int) -> np.ndarray:
    """Equal distances cut to whole numbers, from both ends to the middle, so that the row is the same read backwards."""
    k, step = np.arange(steps), (end - start) / max(1, steps - 1)
    return np.trunc(np.where(k < steps // 2 + (steps == 1), start + step * k, end - step * (steps - 1 - k)))


@made_as_out
def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: DType | None = None, requires_grad: bool = False
) -> Tensor:
    """base to the power of `steps` numbers from start to end at equal distances.

    y[i] = base^(start + i · (end - start) / (steps - 1))

    Shapes: → (steps).

    >>> import danlu
    >>> danlu.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    powers = float(base) ** np.linspace(float(start), float(end), int(steps))
    return tensor(powers, dtype or dt.default(), requires_grad)


@made_as_out
def eye(n: int, m: int | None = None, *, dtype: DType | None = None, requires_grad: bool = False) -> Tensor:
    """Ones on the diagonal, zeros elsewhere.

    y[i, j] = [i = j]

    Shapes: → (n, m), m = n unless given.

    >>> import danlu
    >>> danlu.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    columns = n if m is None else m
    row = arange(n).reshape(n, 1)
    return _made((row == arange(columns)).to(dtype or dt.default()), requires_grad)


def _check_list(name: str, tensors: Any) -> None:
    if isinstance(tensors, Tensor):
        raise DTypeError(
            "{name}: the first argument is one tensor; expected a list of tensors: write danlu.{name}([a, b])", name=name
        )


@with_out
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors one after another along an existing axis; all other sizes must be equal.

    y[…, n₀ + … + nₖ₋₁ + i, …] = tensors[k][…, i, …]

    Shapes: tensors (*, nₖ, *) → (*, Σ nₖ, *), on the axis dim.

    >>> import danlu
    >>> danlu.cat([danlu.ones(1), danlu.zeros(2)])
    tensor([1., 0., 0.])
    """
    _check_list("cat", tensors)
    if not tensors:
        raise ShapeError("cat of an empty list of tensors; expected at least one")
    tensors = [t for t in tensors if t._spec.shape != (0,)] or list(tensors[:1])
    if not tensors[0].ndim:
        raise ShapeError("cat: a 0-d tensor has no axis to be joined along; use danlu.stack")
    axis = normalize_axis("cat", dim, tensors[0].ndim)
    dtype = promote_specs([t._spec for t in tensors])
    return apply("cat", *[t.to(dtype) for t in tensors], dim=axis)


@with_out
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape along a new axis.

    y[…, k, …] = tensors[k]

    Shapes: k tensors (*) → (*, k, *), the new axis at dim.

    >>> import danlu
    >>> danlu.stack([danlu.ones(2), danlu.zeros(2)])
    tensor([[1., 1.],
            [0., 0.]])
    """
    _check_list("stack", tensors)
    if not tensors:
        raise ShapeError("stack of an empty list of tensors; expected at least one")
    for k, t in enumerate(tensors):
        if t.shape != tensors[0].shape:
            raise ShapeError(
                "stack: tensor {number} has shape {shape}, tensor 0 has {first}; all shapes must be equal",
                number=k,
                shape=tuple(t.shape),
                first=tuple(tensors[0].shape),
            )
    return cat([t.unsqueeze(dim) for t in tensors], dim)


@with_out
def concatenate(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The same as `cat`.

    y[…, n₀ + … + nₖ₋₁ + i, …] = tensors[k][…, i, …]

    Shapes: tensors (*, nₖ, *) → (*, Σ nₖ, *), on the axis dim.

    >>> import danlu
    >>> danlu.concatenate([danlu.ones(1), danlu.zeros(1)])
    tensor([1., 0.])
    """
    return cat(tensors, dim)


concat = concatenate


@with_out
def where(condition: Tensor, x: Any = None, y: Any = None) -> Any:
    """x where the condition holds, else y; without x and y the positions where it holds, one vector for each axis.

    y = x where condition, else z

    Shapes: condition (*) of bool, x and y numbers or (*), broadcast together → (*); condition alone: one vector (m) for each
    axis.

    >>> import danlu
    >>> danlu.where(danlu.tensor([True, False]), 1.0, 2.0)
    tensor([1., 2.])
    """
    if x is None and y is None:
        return condition.nonzero(as_tuple=True)
    if x is None or y is None:
        raise DTypeError("where was given one of two choices; write where(condition, x, y), or where(condition) for positions")
    if condition.dtype not in (dt.bool_, dt.uint8):
        raise DTypeError(
            "where: the condition has dtype {dtype}; expected bool: write condition.bool()", dtype=condition.dtype.name
        )
    return apply("where", condition, x, y)


def _triangle(name: str, row: int, col: int, offset: int, dtype: DType | None, keep: Any) -> Tensor:
    if row < 0 or col < 0:
        raise ShapeError("{name}: {row} rows and {col} columns; sizes are 0 or more", name=name, row=row, col=col)
    found = np.stack(np.nonzero(keep(np.ones((row, col), bool), offset)))
    return tensor(found, dtype or dt.int64)


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Where the elements on and below a diagonal of a matrix are: the rows, then the columns.

    y[1, k] - y[0, k] ≤ offset

    Shapes: → (2, m) of int64, m positions.

    >>> import danlu
    >>> danlu.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    check_device(device)
    return _triangle("tril_indices", row, col, offset, dtype, np.tril)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Where the elements on and above a diagonal of a matrix are: the rows, then the columns.

    y[1, k] - y[0, k] ≥ offset

    Shapes: → (2, m) of int64, m positions.

    >>> import danlu
    >>> danlu.triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    check_device(device)
    return _triangle("triu_indices", row, col, offset, dtype, np.triu)


def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of a vector as columns: xⁿ⁻¹ … x, 1 (increasing: 1, x …).

    y[i, j] = x[i]^(N - 1 - j) (increasing: ^j)

    Shapes: (n) → (n, N), N = n unless given.

    >>> import danlu
    >>> danlu.vander(danlu.tensor([2, 3]))
    tensor([[2, 1],
            [3, 1]])
    """
    count = x.numel() if N is None else N
    if x.ndim != 1 or count < 0:
        raise ShapeError("vander takes a vector and N ≥ 0, got shape {shape} and N={count}", shape=tuple(x.shape), count=N)
    powers = x.unsqueeze(1) ** arange(count)
    return powers if increasing else powers.flip(1)
