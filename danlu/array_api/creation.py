"""L6. Creation functions of the array API namespace."""

from __future__ import annotations

from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.array_api.types import result_type, scalar_dtype
from danlu.dtype import DType
from danlu.tensor import Tensor, exchange, joining, tensor
from danlu.tensor import creation as made


def asarray(obj: Any, /, *, dtype: DType | None = None, device: Any = None, copy: bool | None = None) -> Tensor:
    """Numbers, nested lists, arrays and whatever speaks DLPack or NumPy's protocol, as an array; memory is shared where it can be.

    >>> from danlu import array_api as xp
    >>> xp.asarray([1, 2], dtype=xp.float32)
    tensor([1., 2.])
    """
    return exchange.asarray(obj, dtype=dtype, device=device, copy=copy)


def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """start, start + step, … before stop; empty where the step leads away from it.

    >>> from danlu import array_api as xp
    >>> xp.arange(3)
    tensor([0, 1, 2])
    """
    if stop is None:
        start, stop = 0, start
    if (stop - start) * step <= 0:
        return zeros(0, dtype=dtype or result_type(start, stop, step), device=device)
    return made.arange(start, stop, step, dtype=dtype, device=device)


def linspace(
    start: Any, stop: Any, /, num: int, *, dtype: DType | None = None, device: Any = None, endpoint: bool = True
) -> Tensor:
    """num numbers at equal distances from start to stop, with stop or without.

    >>> from danlu import array_api as xp
    >>> xp.linspace(0, 1, 3)
    tensor([0.0000, 0.5000, 1.0000])
    """
    kind = dtype or result_type(start, stop, dt.default())
    return tensor(np.linspace(start, stop, num, endpoint=endpoint), kind, device=device)


def full(shape: Any, fill_value: Any, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """One number in every place.

    >>> from danlu import array_api as xp
    >>> xp.full(2, 7)
    tensor([7, 7])
    """
    return made.full(shape, fill_value, dtype=dtype or scalar_dtype(fill_value, None), device=device)


def zeros(shape: Any, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Zeros, of the default dtype (float32) unless said otherwise.

    >>> from danlu import array_api as xp
    >>> xp.zeros(2)
    tensor([0., 0.])
    """
    return made.zeros(shape, dtype=dtype, device=device)


def ones(shape: Any, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Ones, of the default dtype (float32) unless said otherwise.

    >>> from danlu import array_api as xp
    >>> xp.ones(2)
    tensor([1., 1.])
    """
    return made.ones(shape, dtype=dtype, device=device)


def empty(shape: Any, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Zeros: memory without values is not a value that a program could have.

    >>> from danlu import array_api as xp
    >>> xp.empty((2, 1)).shape
    danlu.Size([2, 1])
    """
    return made.zeros(shape, dtype=dtype, device=device)


def full_like(x: Tensor, /, fill_value: Any, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """One number in the shape and dtype of x.

    >>> from danlu import array_api as xp
    >>> xp.full_like(xp.ones(2), 3)
    tensor([3., 3.])
    """
    return full(x.shape, fill_value, dtype=dtype or x.dtype, device=device)


def zeros_like(x: Tensor, /, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Zeros in the shape and dtype of x.

    >>> from danlu import array_api as xp
    >>> xp.zeros_like(xp.ones(2))
    tensor([0., 0.])
    """
    return zeros(x.shape, dtype=dtype or x.dtype, device=device)


def ones_like(x: Tensor, /, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Ones in the shape and dtype of x.

    >>> from danlu import array_api as xp
    >>> xp.ones_like(xp.zeros(2))
    tensor([1., 1.])
    """
    return ones(x.shape, dtype=dtype or x.dtype, device=device)


def empty_like(x: Tensor, /, *, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Zeros in the shape and dtype of x: see `empty`.

    >>> from danlu import array_api as xp
    >>> xp.empty_like(xp.ones(2)).shape
    danlu.Size([2])
    """
    return zeros(x.shape, dtype=dtype or x.dtype, device=device)


def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Ones on the k-th diagonal, zeros elsewhere.

    >>> from danlu import array_api as xp
    >>> xp.eye(2, k=1)
    tensor([[0., 1.],
            [0., 0.]])
    """
    columns = n_rows if n_cols is None else n_cols
    row = arange(n_rows, device=device).reshape(n_rows, 1)
    k = max(-n_rows, min(k, columns))  # further away every diagonal is empty; int64 has an end
    return (row + k == arange(columns)).to(dtype or dt.default())


def meshgrid(*arrays: Tensor, indexing: str = "xy") -> list[Tensor]:
    """The coordinates of a grid, one array for each axis; "xy" exchanges the first two axes.

    >>> from danlu import array_api as xp
    >>> xp.meshgrid(xp.asarray([1, 2]), xp.asarray([3]))[0]
    tensor([[1, 2]])
    """
    if len(arrays) < 2:
        return [x.clone() for x in arrays]
    if any(x.ndim == 0 for x in arrays):
        arrays = tuple(x.reshape(1) if x.ndim == 0 else x for x in arrays)
    return list(joining.meshgrid(*arrays, indexing=indexing))


def tril(x: Tensor, /, *, k: int = 0) -> Tensor:
    """Zeros above the k-th diagonal.

    >>> from danlu import array_api as xp
    >>> xp.tril(xp.ones((2, 2)))
    tensor([[1., 0.],
            [1., 1.]])
    """
    return x.tril(k)


def triu(x: Tensor, /, *, k: int = 0) -> Tensor:
    """Zeros below the k-th diagonal.

    >>> from danlu import array_api as xp
    >>> xp.triu(xp.ones((2, 2)))
    tensor([[1., 1.],
            [0., 1.]])
    """
    return x.triu(k)


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """An array on the memory of another library's array.

    >>> import numpy
    >>> from danlu import array_api as xp
    >>> xp.from_dlpack(numpy.ones(2))
    tensor([1., 1.], dtype=danlu.float64)
    """
    return exchange.from_dlpack(x, device=device, copy=copy)


def astype(x: Tensor, dtype: DType, /, *, copy: bool = True, device: Any = None) -> Tensor:
    """The array with another dtype.

    >>> from danlu import array_api as xp
    >>> xp.astype(xp.asarray([1.5]), xp.int32)
    tensor([1], dtype=danlu.int32)
    """
    return x.to(dtype, device=device, copy=copy)
