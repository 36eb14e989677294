"""L5. PyTorch's `out=`: a result written into a tensor that the caller has."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from danlu.errors import DTypeError, ShapeError
from danlu.tensor.core import TensorCore
from danlu.tensor.storage import Storage

# Kinds from the lower to the higher: an `out=` of a lower kind than the result would lose it.
_KINDS = "buifc"


def written(out: Any, result: Any) -> Any:
    """The result written into the tensor, or the tensors, given as `out=`; a tensor without elements takes any shape."""
    if not isinstance(out, TensorCore):
        return type(result)(*map(written, out, result)) if hasattr(result, "_fields") else type(result)(map(written, out, result))
    if _KINDS.find(result._spec.dtype.kind.replace("u", "i")) > _KINDS.find(out._spec.dtype.kind.replace("u", "i")):
        raise DTypeError(
            "out= is a tensor of {out_dtype}, and the result is {result_dtype}; give one of danlu.{result_dtype}",
            out_dtype=out._spec.dtype.name,
            result_dtype=result._spec.dtype.name,
        )
    if out._spec.shape == result._spec.shape:
        return out._assign(result._value())
    if out._spec.size:
        raise ShapeError(
            "out= has shape {out_shape}, and the result {shape}; give one of that shape, or danlu.empty(0), which takes any",
            out_shape=out._spec.shape,
            shape=result._spec.shape,
        )
    out._storage, out._base, out._chain = Storage(result.to(out._spec.dtype)._value()), None, ()
    return out


def with_out(function: Callable[..., Any]) -> Any:
    """The function, with `out=` added."""

    @wraps(function)
    def extended(*args: Any, out: Any = None, **given: Any) -> Any:
        result = function(*args, **given)
        return result if out is None else written(out, result)

    return extended


def made_as_out(function: Callable[..., Any]) -> Any:
    """A function that makes a tensor, with `out=` added, which says the dtype too."""

    @wraps(function)
    def extended(*args: Any, out: Any = None, **given: Any) -> Any:
        if out is None:
            return function(*args, **given)
        return written(out, function(*args, **{"dtype": out._spec.dtype, **given}))

    return extended


__all__ = ["made_as_out", "with_out", "written"]
