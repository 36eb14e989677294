"""L7. Initialisation: functions that draw or set the values of a tensor in place, outside of any derivative.

A fan is the number of inputs (fan_in) or outputs (fan_out) of one unit: for a weight (out, in, …) these are the sizes of axes 1
and 0, times those of all further axes.
"""

from __future__ import annotations

from functools import cache
from math import ceil, prod, sqrt
from statistics import NormalDist
from typing import Literal

import numpy as np

from danlu.compile.program import build
from danlu.config import config
from danlu.dtype import DType, in_memory, int64, readable
from danlu.errors import DataError, ShapeError
from danlu.graph import Node, Op, Spec, render
from danlu.guidance import unknown
from danlu.ops import composite
from danlu.ops.source import NUMBER
from danlu.ops.table import o
from danlu.random import Generator, next_key
from danlu.runtime.executable import Compiled, Interpreted, both_kinds, compiled
from danlu.tensor import Tensor, from_array, no_grad, update_
from danlu.tensor.creation import empty

# Small tensors are drawn by the NumPy references: 0.15 µs a number, less than a program takes to compile. Those of up to PROGRAM numbers are
# the first numbers of one program for all shapes (3 ms a run); larger ones become part of the program that first reads them.
REFERENCE, PROGRAM = 1 << 17, 1 << 20

_GAINS = {"linear": 1.0, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0, "identity": 1.0, "sigmoid": 1.0, "tanh": 5 / 3}
_GAINS |= {"relu": sqrt(2.0), "selu": 0.75}
FanMode = Literal["fan_in", "fan_out"]


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By what a layer's weights must grow so that a nonlinearity after it keeps the variance.

    linear, sigmoid 1 · tanh 5/3 · relu √2 · leaky_relu √(2 / (1 + slope²)) · selu 3/4

    Shapes: no tensors.

    Example:
        >>> from danlu.nn import init
        >>> round(init.calculate_gain("relu"), 4)
        1.4142
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        raise DataError(
            "calculate_gain: nonlinearity is {nonlinearity!r}; expected leaky_relu, {names}",
            nonlinearity=nonlinearity,
            names=", ".join(_GAINS),
        )
    return _GAINS[nonlinearity]


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight.

    fan_in = w.shape[1] · receptive field, fan_out = w.shape[0] · receptive field, the field being the product of the other sizes

    Shapes: tensor (out, in, *) → two Python ints.

    Example:
        >>> import danlu
        >>> from danlu.nn import init
        >>> init.fans(danlu.zeros(8, 4))
        (4, 8)
    """
    if tensor.ndim < 2:
        raise ShapeError(
            "a tensor of shape {shape} has no fan in and fan out; expected at least two axes (out, in): for a bias use "
            "init.zeros_ or init.uniform_",
            shape=tuple(tensor.shape),
        )
    receptive = prod(tensor.shape[2:])
    return tensor.shape[1] * receptive, tensor.shape[0] * receptive


def _write(tensor: Tensor, array: np.ndarray) -> Tensor:
    with no_grad():
        return tensor.copy_(from_array(in_memory(array, tensor.dtype)))


def _drawn(op: Op, tensor: Tensor, generator: Generator | None, *numbers: float) -> Tensor:
    """Random numbers of a composite (seed, counter, *numbers; shape, dtype), written into a tensor."""
    seed, counter = next_key() if generator is None else generator.next_key()
    shape, dtype, n = tuple(tensor.shape), tensor.dtype, tensor.numel()
    if n > PROGRAM:
        update_(op, [tensor], seed, counter, *numbers, shape=shape, dtype=dtype)
        return tensor
    given = [x for number in (seed, counter, *numbers) for x in both_kinds(number)]
    flat = n > REFERENCE and config.optimize
    executable = _program(op, len(numbers), dtype) if flat else Interpreted([_draw(op, len(numbers), shape, dtype)], {})
    (buffer,) = executable.run((), given)
    return _write(tensor, readable(buffer.as_numpy((n,), dtype.numpy)).reshape(shape))


def _draw(op: Op, count: int, shape: tuple[int, ...], dtype: DType) -> Node:
    """The graph of a draw: seed, counter and `count` further numbers are given when it runs."""
    kinds = (int64, int64, *[dtype] * count)
    return getattr(o, op.name)(
        *(Node(NUMBER, (), (k, kind), Spec((), kind)) for k, kind in enumerate(kinds)), shape=shape, dtype=dtype
    )


@cache
def _program(op: Op, count: int, dtype: DType) -> Compiled:
    """The program of a draw of PROGRAM numbers; a number depends on its place alone, so fewer are the first ones."""
    root = _draw(op, count, (PROGRAM,), dtype)
    return compiled(render([root]), lambda: (build([root], 0), {}))[0]


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform from a to b.

    w ~ U(a, b)

    Shapes: tensor (*) → the tensor itself.

    Example:
        >>> import danlu
        >>> from danlu.nn import init
        >>> 0.0 <= init.uniform_(danlu.zeros(3)).min().item() < 1.0
        True
    """
    return _drawn(composite.uniform_between, tensor, generator, float(a), float(b))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with this mean and standard deviation.

    w ~ N(mean, std²)

    Shapes: tensor (*) → the tensor itself.

    Example:
        >>> import danlu
        >>> from danlu.nn import init
        >>> tuple(init.normal_(danlu.zeros(3)).shape)
        (3,)
    """
    return _drawn(composite.normal_around, tensor, generator, float(mean), float(std))


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Generator | None = None
) -> Tensor:
    """Normal with this mean and standard deviation, cut off below a and above b: Φ⁻¹ of a uniform number from Φ(a) to Φ(b).

    Shapes: tensor (*) → the tensor itself.

    Example:
        >>> import danlu
        >>> from danlu.nn import init
        >>> init.trunc_normal_(danlu.zeros(100), a=-1.0, b=1.0).abs().max().item() <= 1.0
        True
    """
    if not a < b:
        raise DataError("trunc_normal_: a is {low} and b {high}; expected a < b", low=a, high=b)
    normal = NormalDist(mean, std)
    share = uniform_(tensor, generator=generator).detach().double().numpy()
    p = normal.cdf(a) + (normal.cdf(b) - normal.cdf(a)) * share
    values = np.vectorize(normal.inv_cdf, otypes=[np.float64])(np.clip(p, 1e-300, 1 - 2.0**-53))
    return _write(tensor, np.clip(values, a, b))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Every element `val`.

    w[i, j, …] ← val

    Shapes: tensor (*) → the tensor itself.

    Example:
        >>> import danlu
        >>> from danlu.nn import init
        >>> init.constant_(danlu.zeros(2), 0.5).tolist()
        [0.5, 0.5]
    """
    return _write(tensor, np.full(tuple(tensor.shape), val))


def zeros_(tensor: Tensor) -> Tensor:
    """Every element 0.

    w[i, j, …] ← 0

    Shapes: tensor (*) → the tensor itself.

    Example:
        >>> import danlu
        >>> from danlu.nn import init
        >>> init.zeros_(danlu.ones(2)).tolist()
        [0.0, 0.0]
    """
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Every element 1.

    w[i, j, …] ← 1

    Shapes: tensor (*) → the tensor itself.

    Example:
        >>> import danlu
        >>> from danlu.nn import init
        >>> init.ones_(danlu.zeros(2)).tolist()
        [1.0, 1.0]
    """
    return constant_(tensor, 1.0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix.

    w[i, j] ← [i = j]

    Shapes: tensor (n, m) → the tensor itself.

    Example:
        >>> import danlu
        >>> from danlu.nn import init
        >>> init.eye_(danlu.zeros(2, 2)).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    if tensor.ndim != 2:
        raise ShapeError("eye_: the tensor has shape {shape}; expected two axes", shape=tuple(tensor.shape))
    return _write(tensor, np.eye(*tensor.shape))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform in ±gain · √(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16).

    Shapes: tensor (out, in, *) → the tensor itself.

    Example:
        >>> import danlu
        >>> from danlu.nn import init
        >>> init.xavier_uniform_(danlu.zeros(3, 3)).abs().max().item() <= 1.0  # √(6 / 6)
        True
    """
    bound = gain * sqrt(6.0 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with std gain · √(2 / (fan_in + fan_out)) (Glorot & Bengio 2010).

    Shapes: tensor (out, in, *) → the tensor itself.

    Example:
        >>> import danlu
        >>> from danlu.nn import init
        >>> tuple(init.xavier_normal_(danlu.zeros(3, 3)).shape)
        (3, 3)
    """
    return normal_(tensor, 0.0, gain * sqrt(2.0 / sum(fans(tensor))), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise DataError("kaiming: mode is {mode!r}; expected 'fan_in' or 'fan_out'", mode=mode)
    return calculate_gain(nonlinearity, a) / sqrt(fans(tensor)[mode == "fan_out"])


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: FanMode = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator | None = None
) -> Tensor:
    """Uniform in ±gain · √(3 / fan); a is the slope of leaky_relu (He et al. 2015, eq. 10).

    Shapes: tensor (out, in, *) → the tensor itself.

    Example:
        >>> import danlu
        >>> from danlu.nn import init
        >>> init.kaiming_uniform_(danlu.zeros(3, 6)).abs().max().item() <= 1.0  # √2 · √(3 / 6)
        True
    """
    bound = sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: FanMode = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator | None = None
) -> Tensor:
    """Normal with std gain / √fan (He et al. 2015, eq. 10).

    Shapes: tensor (out, in, *) → the tensor itself.

    Example:
        >>> import danlu
        >>> from danlu.nn import init
        >>> tuple(init.kaiming_normal_(danlu.zeros(3, 6)).shape)
        (3, 6)
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """gain times a matrix with orthonormal rows or columns (Saxe et al. 2014); axes from 1 on count as one.

    W Wᵀ = gain² I for n ≤ m, Wᵀ W = gain² I for n ≥ m, W the tensor as an (n, m) matrix

    The matrix is the Q of a QR decomposition of normal numbers, with signs that make it uniform over such matrices.

    Shapes: tensor (n, *) of 2 axes or more → the tensor itself.

    Example:
        >>> import danlu
        >>> from danlu.nn import init
        >>> w = init.orthogonal_(danlu.zeros(3, 3))
        >>> (w @ w.T).numpy().round(3).diagonal().tolist()
        [1.0, 1.0, 1.0]
    """
    if tensor.ndim < 2:
        raise ShapeError("orthogonal_: the tensor has shape {shape}; expected at least two axes", shape=tuple(tensor.shape))
    numbers = normal_(tensor, generator=generator).detach().double().numpy()
    matrix = numbers.reshape(tensor.shape[0], -1)
    wide = matrix.shape[0] < matrix.shape[1]
    q, r = np.linalg.qr(matrix.T if wide else matrix)
    q = q * np.sign(np.diag(r))
    return _write(tensor, gain * (q.T if wide else q).reshape(tuple(tensor.shape)))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Normal with mean 0 and this standard deviation, but in each column a drawn share of the rows is 0 (Martens 2010).

    ⌈sparsity · n⌉ zeros in each column of w

    Shapes: tensor (n, m) → the tensor itself.

    Example:
        >>> import danlu
        >>> from danlu.nn import init
        >>> (init.sparse_(danlu.zeros(10, 3), 0.25) == 0).sum(0).tolist()
        [3, 3, 3]
    """
    if tensor.ndim != 2:
        raise ShapeError("sparse_: the tensor has shape {shape}; expected two axes", shape=tuple(tensor.shape))
    rows, columns = tensor.shape
    order = uniform_(empty(rows, columns), generator=generator).numpy().argsort(0)
    values = normal_(tensor, 0.0, std, generator).detach().numpy().copy()
    np.put_along_axis(values, order[: ceil(rows * sparsity)], 0, 0)
    return _write(tensor, values)


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """The weight of a convolution that gives back its input: in each group, output channel k is input channel k.

    w[k, k, middle] = 1, every other element 0

    Shapes: tensor (out, in, *) of 3 to 5 axes → the tensor itself.

    Example:
        >>> import danlu
        >>> from danlu.nn import init
        >>> init.dirac_(danlu.zeros(2, 2, 3))[1].tolist()
        [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    out = tensor.shape[0] // groups if groups > 0 else 0
    if not 3 <= tensor.ndim <= 5 or groups < 1 or out * groups != tensor.shape[0]:
        raise ShapeError(
            "dirac_: the tensor has shape {shape}, groups is {groups}; expected 3, 4 or 5 axes, the first divisible by groups",
            shape=tuple(tensor.shape),
            groups=groups,
        )
    values, middle = np.zeros(tuple(tensor.shape)), tuple(n // 2 for n in tensor.shape[2:])
    for k in range(min(out, tensor.shape[1])):
        for group in range(groups):
            values[(group * out + k, k, *middle)] = 1
    return _write(tensor, values)


_calculate_fan_in_and_fan_out = fans  # what scripts call
__getattr__ = unknown(__name__, globals())

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "fans",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]
