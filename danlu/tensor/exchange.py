"""L5. Tensors from what others hold: NumPy arrays, DLPack, pandas, images; on the same memory where that is possible."""

from __future__ import annotations

from typing import Any

import numpy as np

from danlu.dtype import DType
from danlu.errors import DTypeError, ExchangeError
from danlu.messages import Phrase
from danlu.tensor import Tensor, from_array, tensor
from danlu.tensor.arithmetic import check_device


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor on the memory of a NumPy array: what is written into either, both have. Arrays with gaps are copied.

    Shapes: (*) → (*), on the same memory.

    >>> import danlu, numpy
    >>> a = numpy.array([1.0, 2.0], numpy.float32)
    >>> x = danlu.from_numpy(a)
    >>> a[0] = 5
    >>> x.mul_(2)
    tensor([10.,  4.])
    >>> a
    array([10.,  4.], dtype=float32)
    """
    if not isinstance(array, np.ndarray):
        raise DTypeError(
            "from_numpy expected a NumPy array, got {kind}; danlu.tensor takes lists and numbers", kind=type(array).__name__
        )
    if array.ndim > 1 and array.flags.f_contiguous and not array.flags.c_contiguous:
        return from_array(array.T, borrowed=True).permute(*reversed(range(array.ndim)))
    return from_array(array, borrowed=True)


def _is_array(x: Any) -> bool:
    """Whether NumPy sees memory in it: an array, a pandas Series or DataFrame, an image, a tensor of another library."""
    return isinstance(x, np.ndarray) or any(hasattr(x, p) for p in ("__array__", "__array_interface__", "__dlpack__"))


def as_tensor(data: Any, dtype: DType | None = None, device: Any = None) -> Tensor:
    """The data as a tensor; tensors and arrays are not copied unless the dtype changes.

    Shapes: a tensor, array or nested lists of shape (*) → (*); a number → ().

    >>> import danlu
    >>> danlu.as_tensor([1, 2])
    tensor([1, 2])
    """
    return asarray(data, dtype=dtype, device=device)


def asarray(
    obj: Any, *, dtype: DType | None = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False
) -> Tensor:
    """Numbers, nested lists, arrays and what speaks DLPack or NumPy's protocols as a tensor, on the same memory where that is possible.

    copy: True always copies, False never (ExchangeError where it is needed), None where it is needed.

    Shapes: a tensor, array or nested lists of shape (*) → (*); a number → ().

    >>> import danlu, numpy
    >>> danlu.asarray(numpy.array([1, 2]), dtype=danlu.float32)
    tensor([1., 2.])
    """
    check_device(device)
    if isinstance(obj, Tensor):
        out = obj if dtype is None or dtype is obj.dtype else _converted(obj, dtype, copy)
        out = out.clone() if copy and out is obj else out
    elif _is_array(obj) and not isinstance(obj, np.generic):
        found = _on_memory_of(obj, copy)
        out = found if dtype is None or dtype is found.dtype else _converted(found, dtype, copy)
    else:
        _refuse(copy is False, Phrase("a {kind}", kind=type(obj).__name__))
        out = tensor(obj, dtype)
    return out.requires_grad_() if requires_grad else out


def _refuse(needed: bool, what: Phrase) -> None:
    if needed:
        raise CopyNeeded("asarray with copy=False of {what} needs a copy; leave copy=False out", what=what)


class CopyNeeded(ExchangeError, ValueError):
    """A copy is needed and was forbidden."""


def _converted(x: Tensor, dtype: DType, copy: bool | None) -> Tensor:
    _refuse(copy is False, Phrase("{given} as {dtype}", given=x.dtype.name, dtype=dtype.name))
    return x.to(dtype)


def _on_memory_of(obj: Any, copy: bool | None) -> Tensor:
    array = obj if isinstance(obj, np.ndarray) else _seen_by_numpy(obj)
    if array.dtype.kind not in "biufc":
        raise DTypeError(
            "{kind} holds NumPy's dtype {dtype}; expected numbers: select columns, or convert them",
            kind=type(obj).__name__,
            dtype=array.dtype,
        )
    if copy:
        return tensor(array)
    plain = array.flags.aligned and array.dtype.isnative and (array.flags.c_contiguous or array.flags.f_contiguous)
    _refuse(copy is False and not plain, Phrase("an array with gaps"))
    return from_numpy(array)


def _seen_by_numpy(obj: Any) -> np.ndarray:
    if hasattr(obj, "__array__") or hasattr(obj, "__array_interface__"):
        return np.asarray(obj)
    return np.from_dlpack(obj)


def from_dlpack(x: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor on the memory of another library's array (anything with `__dlpack__`).

    Shapes: (*) → (*), on the same memory.

    >>> import danlu, numpy
    >>> danlu.from_dlpack(numpy.arange(3))
    tensor([0, 1, 2])
    """
    check_device(device)
    if not hasattr(x, "__dlpack__"):
        raise ExchangeError(
            "from_dlpack of {kind}, which has no __dlpack__; write danlu.tensor(...) or danlu.asarray(...)", kind=type(x).__name__
        )
    if x.__dlpack_device__()[0] != 1:
        raise ExchangeError("from_dlpack: the array is not in the memory of the CPU; move it there first")
    array = np.from_dlpack(x)
    return tensor(array) if copy else from_numpy(array)
