"""L5. The Tensor: PyTorch's names on lazily computed values."""

from __future__ import annotations

import copy
import importlib
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.dtype import DType
from danlu.errors import DanluError, DTypeError, ExchangeError, GradientError, ShapeError, warn
from danlu.guidance import outside
from danlu.messages import Phrase
from danlu.ops.movement import normalize_axis
from danlu.tensor.arithmetic import Arithmetic, check_device
from danlu.tensor.complex_numbers import Complex
from danlu.tensor.core import (
    TensorCore,
    apply,
    apply_in_turn,
    changing,
    from_array,
    set_tensor_class,
    update_,
    wrap,
)
from danlu.tensor.device import CPU, Device, Placement
from danlu.tensor.differentiation import Differentiation
from danlu.tensor.index import Indexing
from danlu.tensor.modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from danlu.tensor.picking import Picking
from danlu.tensor.pointwise import Pointwise
from danlu.tensor.printing import text
from danlu.tensor.products import Products
from danlu.tensor.rearrange import Rearranging
from danlu.tensor.replacing import Replacing
from danlu.tensor.scan import Scanning
from danlu.tensor.shape import Shape
from danlu.tensor.sort import Sorting
from danlu.tensor.special import Special
from danlu.tensor.statistics import Statistics


class Size(tuple):
    """The shape of a tensor: a tuple that knows how many elements it stands for.

    >>> import danlu
    >>> danlu.zeros(2, 3).shape.numel()
    6
    """

    __slots__ = ()

    def numel(self) -> int:
        """The product of the sizes."""
        return int(np.prod(self, dtype=np.int64))

    def __repr__(self) -> str:
        return f"danlu.Size({list(self)})"


_DLPACK_CPU = (1, 0)  # DLPack's number of the CPU
_VERSIONED = int(np.__version__.split(".")[0]) >= 2  # whether NumPy's __dlpack__ takes max_version


class Tensor(
    Products, Pointwise, Special, Rearranging, Picking, Replacing, Scanning, Sorting, Statistics, Complex, Arithmetic, Shape, Indexing,
    Differentiation, Placement,
):  # fmt: skip
    """Numbers of one dtype on axes, computed when they are read, and what they were computed from.

    Shapes: any: (n₁, …, n_d), see `shape`.

    >>> import danlu
    >>> x = danlu.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> (x @ x).sum().backward()
    >>> x.grad
    tensor([[ 7., 11.],
            [ 9., 13.]])
    """

    __slots__ = ()
    __array_priority__ = 1000

    # ---- what it is -----------------------------------------------------------------------------------------------------
    @property
    def shape(self) -> Size:
        """The sizes of the axes.

        Shapes: (n₁, …, n_d) → Size of n₁, …, n_d.

        >>> import danlu
        >>> danlu.zeros(2, 3).shape
        danlu.Size([2, 3])
        """
        return Size(self._spec.shape)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one axis.

        Shapes: (n₁, …, n_d) → Size of n₁, …, n_d; with dim one of them, a Python int.

        >>> import danlu
        >>> danlu.zeros(2, 3).size(1)
        3
        """
        return self.shape if dim is None else self._spec.shape[normalize_axis("size", dim, self._spec.ndim)]

    @property
    def dtype(self) -> DType:
        """The element type.

        Shapes: any tensor → DType.

        >>> import danlu
        >>> danlu.tensor([1, 2]).dtype
        danlu.int64
        """
        return self._spec.dtype

    @property
    def ndim(self) -> int:
        """The number of axes.

        Shapes: (n₁, …, n_d) → d, a Python int.

        >>> import danlu
        >>> danlu.zeros(2, 3).ndim
        2
        """
        return self._spec.ndim

    def dim(self) -> int:
        """The number of axes.

        Shapes: (n₁, …, n_d) → d, a Python int.

        >>> import danlu
        >>> danlu.zeros(2, 3).dim()
        2
        """
        return self._spec.ndim

    ndimension = dim

    def numel(self) -> int:
        """The number of elements.

        n = Π sizes

        Shapes: (*) → one Python int.
        """
        return self._spec.size

    nelement = numel

    def element_size(self) -> int:
        """The bytes of one element.

        Shapes: any tensor → a Python int.

        >>> import danlu
        >>> danlu.zeros(2).element_size()
        4
        """
        return self._spec.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """The bytes of all elements.

        n = element_size · numel

        Shapes: any tensor → a Python int.

        >>> import danlu
        >>> danlu.zeros(2, 3).nbytes
        24
        """
        return self._spec.size * self._spec.dtype.itemsize

    def is_floating_point(self) -> bool:
        """True for float16, bfloat16, float32 and float64.

        Shapes: any tensor → a Python bool.

        >>> import danlu
        >>> danlu.ones(1).is_floating_point()
        True
        """
        return self._spec.dtype.is_floating_point

    # ---- reading --------------------------------------------------------------------------------------------------------
    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The elements as a NumPy array on the same memory: what is written into the array the tensor has, and the other way round.

        Shapes: (*) → an array (*) on the same memory.

        Raises GradientError for a tensor that requires grad: write x.detach().numpy(); DTypeError for bfloat16: write x.float().numpy().

        >>> import danlu
        >>> danlu.tensor([1, 2]).numpy()
        array([1, 2])
        """
        if self.requires_grad and not force:
            raise GradientError("numpy() on a tensor that requires grad would lose its history; write x.detach().numpy()")
        if self.dtype is dt.bfloat16:
            raise DTypeError("numpy() of a bfloat16 tensor: NumPy has no such dtype; write x.float().numpy()")
        return self._own_array()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise DTypeError(
                    "a view of a {dtype} tensor as NumPy's {wanted} needs a copy; leave copy=False out",
                    dtype=self.dtype.name,
                    wanted=np.dtype(dtype),
                )
            return array.astype(dtype)
        return array.copy() if copy else array

    def __array_wrap__(self, array: np.ndarray, context: Any = None, return_scalar: bool = False) -> Tensor:
        """What NumPy's own functions give of a tensor: `numpy.sin(x)` is a tensor too."""
        return from_array(np.asarray(array), True)

    def __dlpack__(self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: bool | None = None) -> Any:
        if self.requires_grad:
            raise ExchangeError("a tensor that requires grad is not handed to another library; write x.detach()")
        if stream is not None or (dl_device is not None and (int(dl_device[0]), dl_device[1]) != _DLPACK_CPU):
            raise ExchangeError(
                "__dlpack__ with stream={stream}, dl_device={dl_device}: the memory is the CPU's; leave both out",
                stream=stream,
                dl_device=dl_device,
            )
        if self.dtype is dt.bfloat16:
            raise ExchangeError(
                "__dlpack__ of a bfloat16 tensor: it goes through NumPy, which has no such dtype; write x.float()"
            )
        array = self.numpy()
        if copy or (copy is None and not array.flags.writeable):
            array = array.copy()
        return array.__dlpack__(max_version=max_version) if max_version is not None and _VERSIONED else array.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return _DLPACK_CPU

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        if api_version not in (None, "2021.12", "2022.12", "2023.12", "2024.12"):
            raise ExchangeError(
                "api_version={api_version!r} of the array API standard; danlu has 2024.12", api_version=api_version
            )
        return importlib.import_module(
            "danlu.array_api"
        )  # by name: it stands above the Tensor, and is loaded when it is asked for

    def item(self) -> Any:
        """The one element as a Python number.

        Shapes: one element → a Python number.

        Raises ShapeError where there is not exactly one.

        >>> import danlu
        >>> danlu.tensor([1.5]).item()
        1.5
        """
        if self._spec.size != 1:
            raise ShapeError(
                "item() of a tensor of shape {shape}: only one element becomes a Python number. Write x.tolist(), or reduce it first",
                shape=self._spec.shape,
            )
        return dt.readable(self._array()).item()

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers.

        Shapes: (n₁, …, n_d) → lists nested d deep; () → a Python number.

        >>> import danlu
        >>> danlu.tensor([[1, 2]]).tolist()
        [[1, 2]]
        """
        return dt.readable(self._array()).tolist()

    def __complex__(self) -> complex:
        return complex(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.is_floating_point:
            raise DTypeError(
                "a tensor of dtype {dtype} is used as an index; only integers can be: write int(x)", dtype=self.dtype.name
            )
        return int(self.item())

    def __bool__(self) -> bool:
        if self._spec.size != 1:
            raise ShapeError(
                "the truth of a tensor of shape {shape} is ambiguous; write x.any() or x.all()", shape=self._spec.shape
            )
        return bool(self.item())

    def __len__(self) -> int:
        if not self._spec.shape:
            raise DTypeError("len() of a 0-d tensor; it has no axis")
        return self._spec.shape[0]

    def __iter__(self) -> Any:
        if not self._spec.shape:
            raise DTypeError("iteration over a 0-d tensor; it has no axis")
        return iter(self.unbind(0))

    def __contains__(self, x: Any) -> bool:
        return bool((self == x).any())

    def __repr__(self) -> str:
        return text(self)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if not self._spec.shape else object.__format__(self, spec)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise DanluError(
            "a tensor is not pickled: reading a pickle can run any code. Write danlu.save(x, 'x.safetensors') and danlu.load(...)"
        )

    def __copy__(self) -> Tensor:
        return self.detach().requires_grad_() if self._leaf else self.view(self.shape)

    def __deepcopy__(self, memo: dict) -> Tensor:
        if self.requires_grad and not self._leaf:
            raise GradientError(
                "only leaves are deep-copied: a copy of this tensor would lose its history. Write x.detach().clone()"
            )
        out = object.__new__(type(self))
        TensorCore.__init__(out, self.detach().clone()._value())
        out._leaf, out.grad = self._leaf, copy.deepcopy(self.grad, memo)
        memo[id(self)] = out
        return out

    # ---- new tensors like this one ----------------------------------------------------------------------------------------
    def new_zeros(self, *size: Any, dtype: DType | None = None) -> Tensor:
        """Zeros of the given shape, of this dtype.

        y[i, j, …] = 0

        Shapes: size → size.

        >>> import danlu
        >>> danlu.tensor([1]).new_zeros(2)
        tensor([0, 0])
        """
        return self.new_full(size[0] if len(size) == 1 and isinstance(size[0], (tuple, list)) else size, 0, dtype)

    def new_ones(self, *size: Any, dtype: DType | None = None) -> Tensor:
        """Ones of the given shape, of this dtype.

        y[i, j, …] = 1

        Shapes: size → size.

        >>> import danlu
        >>> danlu.tensor([1]).new_ones(2)
        tensor([1, 1])
        """
        return self.new_full(size[0] if len(size) == 1 and isinstance(size[0], (tuple, list)) else size, 1, dtype)

    def new_empty(self, *size: Any, dtype: DType | None = None) -> Tensor:
        """Zeros of the given shape, of this dtype.

        y[i, j, …] = 0

        Shapes: size → size.

        >>> import danlu
        >>> danlu.tensor([1]).new_empty(2).shape
        danlu.Size([2])
        """
        return self.new_zeros(*size, dtype=dtype)

    def new_full(self, size: Any, value: Any, dtype: DType | None = None) -> Tensor:
        """One number in the given shape, of this dtype.

        y[i, j, …] = value

        Shapes: size → size.

        >>> import danlu
        >>> danlu.tensor([1]).new_full((2,), 7)
        tensor([7, 7])
        """
        return apply("full", value, shape=tuple(size), dtype=dtype or self.dtype)

    def new_tensor(self, data: Any, dtype: DType | None = None) -> Tensor:
        """`danlu.tensor(data)` of this dtype.

        Shapes: nested lists or an array of shape (*) → (*).

        >>> import danlu
        >>> danlu.tensor([1.0]).new_tensor([1, 2])
        tensor([1., 2.])
        """
        return tensor(data, dtype or self.dtype)


set_tensor_class(Tensor)


def tensor(data: Any, dtype: DType | None = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """A tensor of a copy of the data: numbers, nested lists, NumPy arrays, tensors.

    Python floats become the default dtype (float32), integers int64; arrays keep their dtype.

    Shapes: nested lists or an array of shape (*) → (*); a number → ().

    Raises ShapeError for ragged lists, DTypeError for what is no number.

    >>> import danlu
    >>> danlu.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    check_device(device)
    if isinstance(data, Tensor):
        if data.requires_grad and is_grad_enabled():
            warn(
                "danlu.tensor(x) of a tensor that requires grad: the copy has no history, and no gradient reaches x. "
                "Write x.clone(), or x.detach().clone() if that is meant",
                UserWarning,
                outside(),
            )
        out = data.detach().clone().to(dtype or data.dtype)
    else:
        out = from_array(_array_of(data, dtype))
    return out.requires_grad_() if requires_grad else out


def _begins_with_numpy(data: Any) -> bool:
    """Whether the first number is NumPy's: then the dtype is."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.ndarray, np.generic))


def _array_of(data: Any, dtype: DType | None) -> np.ndarray:
    if dtype is not None:
        dt.check_dtype(dtype)
    arrays = _begins_with_numpy(data)
    if isinstance(data, (list, tuple)):
        data = _plain(data)
    try:
        array = np.array(data)
    except ValueError:
        raise ShapeError(
            "the nested lists are ragged: lists on one level have different lengths. Pad them to one length first"
        ) from None
    if array.dtype.kind not in "biufc":
        raise DTypeError(
            "danlu.tensor of {kind} gives NumPy dtype {dtype}; expected numbers{hint}",
            kind=type(data).__name__,
            dtype=array.dtype,
            hint=_not_numbers(array),
        )
    if dtype is None and not arrays and array.dtype in (np.float64, np.complex128):
        dtype = dt.default() if array.dtype == np.float64 else dt.to_complex(dt.default())
    return dt.in_memory(array, dtype) if dtype else np.array(array, order="C")


def _not_numbers(array: np.ndarray) -> Any:
    """How to make numbers of what an array holds."""
    if array.dtype.kind in "US":
        return Phrase(": number the classes first, for example [names.index(text) for text in texts]")
    if any(x is None for x in array.flat):
        return Phrase(": None is no number, write float('nan') or leave it out")
    return ""


def _plain(data: Any) -> Any:
    """Nested lists with tensors in them as nested lists of numbers."""
    if isinstance(data, Tensor):
        return data.tolist()
    return [_plain(x) for x in data] if isinstance(data, (list, tuple)) else data


__all__ = [
    "CPU", "Device", "Size", "Tensor", "apply", "apply_in_turn", "changing", "enable_grad", "from_array", "is_grad_enabled", "no_grad",
    "set_grad_enabled", "tensor", "update_", "wrap",
]  # fmt: skip
