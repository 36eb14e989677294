"""L9. Names of `torch` that danlu itself has no need of: constants, switches without effect, typed tensor constructors, save and load."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

import danlu
from danlu.dtype import DType, default
from danlu.interop.gpu import amp
from danlu.tensor import Tensor
from danlu.tensor.arithmetic import check_device

__version__ = "2.13.0"  # the release of PyTorch whose names and meanings danlu follows

dtype = DType
inf, nan, pi, e, newaxis = math.inf, math.nan, math.pi, math.e, None
strided, contiguous_format, channels_last, preserve_format = "strided", "contiguous_format", "channels_last", "preserve_format"
autocast = amp.autocast
default_generator = danlu.random.default_generator


# ---- numbers of a dtype


class finfo:
    """The limits of a floating dtype.

    >>> finfo(danlu.float32).eps
    1.1920928955078125e-07
    """

    def __init__(self, type: DType | None = None) -> None:
        type = type or default()
        found = np.finfo(type.numpy) if type is not danlu.bfloat16 else _Bfloat16
        self.bits, self.dtype = found.bits, type.name
        self.eps, self.max, self.min, self.tiny, self.resolution = map(
            builtins.float, (found.eps, found.max, found.min, found.tiny, found.resolution)
        )
        self.smallest_normal = self.tiny


class _Bfloat16:
    """What NumPy would know of bfloat16: float32's exponents with 8 bits of precision."""

    bits, eps, max, resolution = 16, 2.0**-7, (2 - 2.0**-7) * 2.0**127, 0.01
    tiny = 2.0**-126
    min = -max


class iinfo:
    """The limits of an integer dtype.

    >>> iinfo(danlu.int8).max
    127
    """

    def __init__(self, type: DType) -> None:
        found = np.iinfo(type.numpy)
        self.bits, self.max, self.min, self.dtype = found.bits, builtins.int(found.max), builtins.int(found.min), type.name


def is_floating_point(input: Tensor) -> builtins.bool:
    """Whether a tensor has a floating dtype."""
    return input.is_floating_point()


def promote_types(type1: DType, type2: DType) -> DType:
    """The dtype of what two tensors of these dtypes give.

    >>> promote_types(danlu.int32, danlu.float16)
    danlu.float16
    """
    return result_type(danlu.empty(1, dtype=type1), danlu.empty(1, dtype=type2))


def result_type(tensor1: Any, tensor2: Any) -> DType:
    """The dtype of the sum of two tensors or numbers.

    >>> result_type(danlu.ones(1, dtype=danlu.int8), 1.5)
    danlu.float32
    """
    if not isinstance(tensor1, Tensor) and not isinstance(tensor2, Tensor):
        tensor1 = danlu.tensor(tensor1)
    return danlu.add(tensor1, tensor2).dtype


def can_cast(from_: DType, to: DType) -> builtins.bool:
    """Whether a tensor may be added in place to one of another dtype: not from complex to real, real to whole numbers, anything to bool.

    >>> can_cast(danlu.float64, danlu.float16), can_cast(danlu.float32, danlu.int64)
    (True, False)
    """
    return _rank(from_) <= _rank(to)


def _rank(kind: DType) -> builtins.int:
    return "bifc".index({"u": "i"}.get(kind.kind, kind.kind))


def is_inference_mode_enabled() -> builtins.bool:
    """Whether no derivative will be asked: inference_mode is no_grad here."""
    return not danlu.is_grad_enabled()


def is_autocast_enabled(device_type: str = "cuda") -> builtins.bool:
    """False: float32 stays float32."""
    return False


def is_nonzero(input: Tensor) -> builtins.bool:
    """The truth of a tensor of one element."""
    return builtins.bool(input)


# ---- typed constructors: torch.FloatTensor([1, 2]), torch.LongTensor(2, 3)


class _Typed(type):
    """A class whose instances are the tensors of one dtype."""

    element: DType

    def __instancecheck__(cls, instance: Any) -> builtins.bool:
        return isinstance(instance, Tensor) and instance.dtype is cls.element

    def __call__(cls, *given: Any) -> Any:
        if not given:
            return danlu.empty(0, dtype=cls.element)
        if builtins.all(isinstance(size, builtins.int) for size in given):
            return danlu.zeros(*given, dtype=cls.element)
        return danlu.tensor(*given).to(cls.element)


def _typed(name: str, element: DType) -> Any:
    return _Typed(name, (), {"element": element, "dtype": element, "__module__": "torch"})


FloatTensor, DoubleTensor, HalfTensor = (
    _typed("FloatTensor", danlu.float32),
    _typed("DoubleTensor", danlu.float64),
    _typed("HalfTensor", danlu.float16),
)
LongTensor, IntTensor, ShortTensor = (
    _typed("LongTensor", danlu.int64),
    _typed("IntTensor", danlu.int32),
    _typed("ShortTensor", danlu.int16),
)
CharTensor, ByteTensor, BoolTensor = (
    _typed("CharTensor", danlu.int8),
    _typed("ByteTensor", danlu.uint8),
    _typed("BoolTensor", danlu.bool),
)


# ---- defaults and switches


def set_default_tensor_type(t: Any) -> None:
    """`set_default_dtype` with a typed constructor or its name."""
    danlu.set_default_dtype(_element(t))


def _element(kind: Any) -> DType:
    """The dtype that a typed constructor, its name, or a dtype means."""
    if isinstance(kind, str):
        kind = globals().get(kind.removeprefix("torch."), kind)
    return getattr(kind, "element", kind)


def get_default_device() -> Any:
    """The CPU."""
    return danlu.device("cpu")


def set_default_device(device: Any) -> None:
    """Takes the CPU alone."""
    check_device(device)


def use_deterministic_algorithms(mode: builtins.bool, *, warn_only: builtins.bool = False) -> None:
    """Nothing: danlu's results are the same to the bit in every run, on any number of threads."""


def are_deterministic_algorithms_enabled() -> builtins.bool:
    """True, always."""
    return True


def set_float32_matmul_precision(precision: str) -> None:
    """Nothing: products of float32 are exact to float32's rounding."""


def get_float32_matmul_precision() -> str:
    """'highest'."""
    return "highest"


def set_num_interop_threads(num: builtins.int) -> None:
    """Nothing: one program runs at a time, on all its threads."""


def get_num_interop_threads() -> builtins.int:
    """1."""
    return 1


def set_warn_always(b: builtins.bool) -> None:
    """Nothing."""


def typename(obj: Any) -> str:
    """The name of the type of an object, of a tensor PyTorch's own: `torch.FloatTensor`."""
    if isinstance(obj, Tensor):
        return tensor_type(obj)
    return f"{type(obj).__module__}.{type(obj).__qualname__}"


def tensor_type(tensor: Tensor) -> str:
    """What `x.type()` says in PyTorch.

    >>> tensor_type(danlu.zeros(1))
    'torch.FloatTensor'
    """
    found = [name for name, value in globals().items() if isinstance(value, _Typed) and value.element is tensor.dtype]
    return f"torch.{found[0]}" if found else f"torch.{tensor.dtype.name}"


def as_type(tensor: Tensor, dtype: Any = None, non_blocking: builtins.bool = False) -> Any:
    """`x.type()`: the name of the tensor's type; `x.type(torch.LongTensor)`, `x.type("torch.LongTensor")`: the tensor with that dtype."""
    return tensor_type(tensor) if dtype is None else tensor.to(_element(dtype))


# ---- files


def save(obj: Any, f: Any, *_: Any, **__: Any) -> None:
    """`danlu.save` to a path or an open file; PyTorch's arguments about pickles change nothing."""
    danlu.save(obj, f)


def load(f: Any, map_location: Any = None, *_: Any, **__: Any) -> Any:
    """`danlu.load` of a path or an open file; PyTorch's arguments about pickles change nothing. Everything comes to the CPU."""
    return danlu.load(f, map_location)
