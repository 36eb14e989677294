"""danlu (丹炉): PyTorch's code, JAX's speed, and a codebase that one person can read. This page is the API; it holds no logic."""

from danlu import data, engine, nn, optim, random, train
from danlu.config import config
from danlu.creation import (
    arange, as_tensor, cat, empty, eye, from_numpy, full, full_like, linspace, ones, ones_like, stack, where, zeros, zeros_like,
)  # fmt: skip
from danlu.dtype import DType, float16, float32, float64, int8, int16, int32, int64, uint8
from danlu.dtype import bool_ as bool
from danlu.errors import AxisError, DanluError, DataError, DTypeError, GradientError, NumericError, ShapeError
from danlu.files import load, save
from danlu.functions import (
    abs, absolute, add, all, allclose, amax, amin, any, argmax, argmin, bmm, ceil, chunk, clamp, clip, clone, cos, detach, div, divide, dot,
    eq, equal, erf, exp, expm1, flatten, flip, floor, floor_divide, gather, ge, gt, index_select, is_tensor, isnan, le, log, log1p,
    log_softmax, logical_and, logical_not, logical_or, lt, masked_select, matmul, max, maximum, mean, min, minimum, mm, mul, multiply,
    narrow, ne, neg, negative, nonzero, norm, numel, outer, permute, pow, prod, reciprocal, relu, remainder, reshape, round, rsqrt, sigmoid,
    sign, sin, softmax, split, sqrt, square, squeeze, std, sub, subtract, sum, swapaxes, t, tanh, tile, transpose, trunc, unbind, unsqueeze,
    var,
)  # fmt: skip
from danlu.random import Generator, bernoulli, manual_seed, normal, rand, rand_like, randint, randn, randn_like, randperm
from danlu.runtime.pool import get_num_threads, set_num_threads
from danlu.tensor import Device as device
from danlu.tensor import Size, Tensor, enable_grad, is_grad_enabled, no_grad, set_grad_enabled, tensor
from danlu.version import __version__

float, double, half, int, long, short = float32, float64, float16, int32, int64, int16

__all__ = [
    "AxisError", "DType", "DTypeError", "DanluError", "DataError", "Generator", "GradientError", "NumericError", "ShapeError", "Size", "Tensor",
    "__version__", "abs", "absolute", "add", "all", "allclose", "amax", "amin", "any", "arange", "argmax", "argmin", "as_tensor", "bernoulli",
    "bmm", "bool", "cat", "ceil", "chunk", "clamp", "clip", "clone", "config", "cos", "data", "detach", "device", "div", "divide", "dot",
    "double", "empty", "enable_grad", "engine", "eq", "equal", "erf", "exp", "expm1", "eye", "flatten", "flip", "float", "float16",
    "float32", "float64", "floor", "floor_divide", "from_numpy", "full", "full_like", "gather", "ge", "get_num_threads", "gt", "half",
    "index_select", "int", "int16", "int32", "int64", "int8", "is_grad_enabled", "is_tensor", "isnan", "le", "linspace", "load", "log",
    "log1p", "log_softmax", "logical_and", "logical_not", "logical_or", "long", "lt", "manual_seed", "masked_select", "matmul", "max",
    "maximum", "mean", "min", "minimum", "mm", "mul", "multiply", "narrow", "ne", "neg", "negative", "nn", "no_grad", "nonzero", "norm",
    "normal", "numel", "ones", "ones_like", "optim", "outer", "permute", "pow", "prod", "rand", "rand_like", "randint", "randn",
    "randn_like", "random", "randperm", "reciprocal", "relu", "remainder", "reshape", "round", "rsqrt", "save", "set_grad_enabled",
    "set_num_threads", "short", "sigmoid", "sign", "sin", "softmax", "split", "sqrt", "square", "squeeze", "stack", "std", "sub",
    "subtract", "sum", "swapaxes", "t", "tanh", "tensor", "tile", "train", "transpose", "trunc", "uint8", "unbind", "unsqueeze", "var",
    "where", "zeros", "zeros_like",
]  # fmt: skip
