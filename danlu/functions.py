"""L6. The functions that are also methods of the Tensor: `danlu.exp(x)` is `x.exp()`. What they mean stands in the op's record."""

from __future__ import annotations

from typing import Any

from danlu.creation import tensor
from danlu.tensor import Tensor


def _function(name: str, example: str, shown: str) -> Any:
    method = getattr(Tensor, name)

    def function(input: Any, *args: Any, **given: Any) -> Any:
        if not isinstance(input, Tensor):
            input = tensor(input)
        return getattr(input, name)(*args, **given)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{method.__doc__}\n\n>>> import danlu\n>>> danlu.{name}({example})\n{shown}\n"
    return function


_HALF = "danlu.tensor([0.0, 0.5])"
_TWO = "danlu.tensor([1.0, 2.0]), danlu.tensor([3.0, 2.0])"
_SQUARE = "danlu.tensor([[1.0, 2.0], [3.0, 4.0]])"

abs = absolute = _function("abs", "danlu.tensor([-1.0, 2.0])", "tensor([1., 2.])")
neg = negative = _function("neg", "danlu.tensor([-1.0, 2.0])", "tensor([ 1., -2.])")
sign = _function("sign", "danlu.tensor([-3.0, 0.0, 2.0])", "tensor([-1.,  0.,  1.])")
exp = _function("exp", _HALF, "tensor([1.0000, 1.6487])")
expm1 = _function("expm1", _HALF, "tensor([0.0000, 0.6487])")
log = _function("log", "danlu.tensor([1.0, 2.0])", "tensor([0.0000, 0.6931])")
log1p = _function("log1p", _HALF, "tensor([0.0000, 0.4055])")
sqrt = _function("sqrt", "danlu.tensor([4.0, 9.0])", "tensor([2., 3.])")
rsqrt = _function("rsqrt", "danlu.tensor([4.0, 1.0])", "tensor([0.5000, 1.0000])")
reciprocal = _function("reciprocal", "danlu.tensor([4.0, 1.0])", "tensor([0.2500, 1.0000])")
sin = _function("sin", _HALF, "tensor([0.0000, 0.4794])")
cos = _function("cos", _HALF, "tensor([1.0000, 0.8776])")
tanh = _function("tanh", _HALF, "tensor([0.0000, 0.4621])")
sigmoid = _function("sigmoid", _HALF, "tensor([0.5000, 0.6225])")
relu = _function("relu", "danlu.tensor([-1.0, 2.0])", "tensor([0., 2.])")
floor = _function("floor", "danlu.tensor([-1.5, 1.5])", "tensor([-2.,  1.])")
ceil = _function("ceil", "danlu.tensor([-1.5, 1.5])", "tensor([-1.,  2.])")
trunc = _function("trunc", "danlu.tensor([-1.5, 1.5])", "tensor([-1.,  1.])")
round = _function("round", "danlu.tensor([0.5, 1.5])", "tensor([0., 2.])")
isnan = _function("isnan", "danlu.tensor([0.0, float('nan')])", "tensor([False,  True])")
square = _function("square", "danlu.tensor([2.0, 3.0])", "tensor([4., 9.])")
add = _function("add", _TWO, "tensor([4., 4.])")
sub = subtract = _function("sub", _TWO, "tensor([-2.,  0.])")
mul = multiply = _function("mul", _TWO, "tensor([3., 4.])")
div = divide = _function("div", "danlu.tensor([1.0, 2.0]), 2", "tensor([0.5000, 1.0000])")
pow = _function("pow", "danlu.tensor([2.0, 3.0]), 2", "tensor([4., 9.])")
maximum = _function("maximum", _TWO, "tensor([3., 2.])")
minimum = _function("minimum", _TWO, "tensor([1., 2.])")
floor_divide = _function("floor_divide", "danlu.tensor([7, -7]), 2", "tensor([ 3, -4])")
remainder = _function("remainder", "danlu.tensor([7, -7]), 2", "tensor([1, 1])")
eq = _function("eq", _TWO, "tensor([False,  True])")
ne = _function("ne", _TWO, "tensor([ True, False])")
lt = _function("lt", _TWO, "tensor([ True, False])")
le = _function("le", _TWO, "tensor([True, True])")
gt = _function("gt", _TWO, "tensor([False, False])")
ge = _function("ge", _TWO, "tensor([False,  True])")
logical_and = _function("logical_and", "danlu.tensor([True, False]), danlu.tensor([True, True])", "tensor([ True, False])")
logical_or = _function("logical_or", "danlu.tensor([True, False]), danlu.tensor([True, True])", "tensor([True, True])")
logical_not = _function("logical_not", "danlu.tensor([True, False])", "tensor([False,  True])")
clamp = clip = _function("clamp", "danlu.tensor([-1.0, 2.0]), 0, 1", "tensor([0., 1.])")
sum = _function("sum", _SQUARE + ", 0", "tensor([4., 6.])")
prod = _function("prod", _SQUARE, "tensor(24.)")
mean = _function("mean", _SQUARE, "tensor(2.5000)")
var = _function("var", _SQUARE, "tensor(1.6667)")
std = _function("std", _SQUARE, "tensor(1.2910)")
amax = _function("amax", _SQUARE + ", 1", "tensor([2., 4.])")
amin = _function("amin", _SQUARE + ", 1", "tensor([1., 3.])")
max = _function("max", _SQUARE, "tensor(4.)")
min = _function("min", _SQUARE, "tensor(1.)")
argmax = _function("argmax", _SQUARE + ", 1", "tensor([1, 1])")
argmin = _function("argmin", _SQUARE + ", 1", "tensor([0, 0])")
any = _function("any", "danlu.tensor([True, False])", "tensor(True)")
all = _function("all", "danlu.tensor([True, False])", "tensor(False)")
softmax = _function("softmax", "danlu.tensor([0.0, 0.0]), 0", "tensor([0.5000, 0.5000])")
log_softmax = _function("log_softmax", "danlu.tensor([0.0, 0.0]), 0", "tensor([-0.6931, -0.6931])")
norm = _function("norm", "danlu.tensor([3.0, 4.0])", "tensor(5.)")
addcmul = _function("addcmul", "danlu.ones(2), danlu.ones(2), danlu.ones(2)", "tensor([2., 2.])")
addcdiv = _function("addcdiv", "danlu.ones(2), danlu.ones(2), danlu.ones(2)", "tensor([2., 2.])")
lerp = _function("lerp", "danlu.zeros(2), danlu.ones(2), 0.5", "tensor([0.5000, 0.5000])")
isclose = _function("isclose", "danlu.ones(2), danlu.tensor([1.0, 2.0])", "tensor([ True, False])")
masked_fill = _function("masked_fill", "danlu.ones(2), danlu.tensor([True, False]), 0.0", "tensor([0., 1.])")
isinf = _function("isinf", "danlu.tensor([0.0, float('inf')])", "tensor([False,  True])")
isfinite = _function("isfinite", "danlu.tensor([0.0, float('inf')])", "tensor([ True, False])")
exp2 = _function("exp2", "danlu.tensor([1.0, 3.0])", "tensor([2., 8.])")
log2 = _function("log2", "danlu.tensor([1.0, 8.0])", "tensor([0., 3.])")
log10 = _function("log10", "danlu.tensor([1.0, 1000.0])", "tensor([0., 3.])")
tan = _function("tan", _HALF, "tensor([0.0000, 0.5463])")
asin = arcsin = _function("asin", _HALF, "tensor([0.0000, 0.5236])")
acos = arccos = _function("acos", _HALF, "tensor([1.5708, 1.0472])")
atan = arctan = _function("atan", _HALF, "tensor([0.0000, 0.4636])")
sinh = _function("sinh", _HALF, "tensor([0.0000, 0.5211])")
cosh = _function("cosh", _HALF, "tensor([1.0000, 1.1276])")
asinh = _function("asinh", _HALF, "tensor([0.0000, 0.4812])")
acosh = _function("acosh", "danlu.tensor([1.0, 2.0])", "tensor([0.0000, 1.3170])")
atanh = _function("atanh", _HALF, "tensor([0.0000, 0.5493])")
erf = _function("erf", _HALF, "tensor([0.0000, 0.5205])")
erfc = _function("erfc", _HALF, "tensor([1.0000, 0.4795])")
erfinv = _function("erfinv", _HALF, "tensor([0.0000, 0.4769])")
atan2 = _function("atan2", _TWO, "tensor([0.3218, 0.7854])")
hypot = _function("hypot", "danlu.tensor([3.0]), danlu.tensor([4.0])", "tensor([5.])")
copysign = _function("copysign", "danlu.tensor([3.0]), -1.0", "tensor([-3.])")
logaddexp = _function("logaddexp", "danlu.zeros(1), danlu.zeros(1)", "tensor([0.6931])")
xlogy = _function("xlogy", "danlu.tensor([0.0, 2.0]), danlu.tensor([0.0, 1.0])", "tensor([0., 0.])")
fmod = _function("fmod", "danlu.tensor([7, -7]), 2", "tensor([ 1, -1])")
fmax = _function("fmax", _TWO, "tensor([3., 2.])")
fmin = _function("fmin", _TWO, "tensor([1., 2.])")
logical_xor = _function("logical_xor", "danlu.tensor([True, False]), danlu.tensor([True, True])", "tensor([False,  True])")
bitwise_and = _function("bitwise_and", "danlu.tensor([6]), 3", "tensor([2])")
bitwise_or = _function("bitwise_or", "danlu.tensor([6]), 3", "tensor([7])")
bitwise_xor = _function("bitwise_xor", "danlu.tensor([6]), 3", "tensor([5])")
bitwise_not = _function("bitwise_not", "danlu.tensor([6])", "tensor([-7])")
logsumexp = _function("logsumexp", "danlu.zeros(2), 0", "tensor(0.6931)")
count_nonzero = _function("count_nonzero", "danlu.tensor([0, 5])", "tensor(1)")
roll = _function("roll", "danlu.arange(3), 1", "tensor([2, 0, 1])")
tril = _function("tril", _SQUARE, "tensor([[1., 0.],\n        [3., 4.]])")
triu = _function("triu", _SQUARE, "tensor([[1., 2.],\n        [0., 4.]])")
diagonal = _function("diagonal", _SQUARE, "tensor([1., 4.])")
trace = _function("trace", _SQUARE, "tensor(5.)")
movedim = _function("movedim", "danlu.ones(2, 1), 0, 1", "tensor([[1., 1.]])")
ravel = _function("ravel", _SQUARE, "tensor([1., 2., 3., 4.])")
broadcast_to = _function("broadcast_to", "danlu.ones(1), (2,)", "tensor([1., 1.])")
repeat_interleave = _function("repeat_interleave", "danlu.arange(2), 2", "tensor([0, 0, 1, 1])")
scatter = _function("scatter", "danlu.zeros(2), 0, danlu.tensor([1]), 1.0", "tensor([0., 1.])")
scatter_add = _function("scatter_add", "danlu.zeros(2), 0, danlu.tensor([1, 1]), danlu.ones(2)", "tensor([0., 2.])")
index_add = _function("index_add", "danlu.zeros(2), 0, danlu.tensor([1, 1]), danlu.ones(2)", "tensor([0., 2.])")
mm = _function("mm", _SQUARE + ", danlu.ones(2, 1)", "tensor([[3.],\n        [7.]])")
mv = _function("mv", _SQUARE + ", danlu.ones(2)", "tensor([3., 7.])")
bmm = _function("bmm", "danlu.ones(1, 1, 2), danlu.ones(1, 2, 1)", "tensor([[[2.]]])")
matmul = _function("matmul", _SQUARE + ", danlu.tensor([1.0, 1.0])", "tensor([3., 7.])")
dot = _function("dot", _TWO, "tensor(7.)")
reshape = _function("reshape", _SQUARE + ", (4,)", "tensor([1., 2., 3., 4.])")
permute = _function("permute", _SQUARE + ", (1, 0)", "tensor([[1., 3.],\n        [2., 4.]])")
transpose = swapaxes = _function("transpose", _SQUARE + ", 0, 1", "tensor([[1., 3.],\n        [2., 4.]])")
t = _function("t", _SQUARE, "tensor([[1., 3.],\n        [2., 4.]])")
squeeze = _function("squeeze", "danlu.ones(1, 2)", "tensor([1., 1.])")
unsqueeze = _function("unsqueeze", "danlu.ones(2), 0", "tensor([[1., 1.]])")
flatten = _function("flatten", _SQUARE, "tensor([1., 2., 3., 4.])")
flip = _function("flip", "danlu.tensor([1.0, 2.0]), (0,)", "tensor([2., 1.])")
split = _function("split", "danlu.arange(3), 2", "(tensor([0, 1]), tensor([2]))")
chunk = _function("chunk", "danlu.arange(3), 2", "(tensor([0, 1]), tensor([2]))")
unbind = _function("unbind", "danlu.arange(2)", "(tensor(0), tensor(1))")
narrow = _function("narrow", "danlu.arange(4), 0, 1, 2", "tensor([1, 2])")
tile = _function("tile", "danlu.arange(2), 2", "tensor([0, 1, 0, 1])")
gather = _function("gather", "danlu.tensor([[1, 2], [3, 4]]), 1, danlu.tensor([[1], [0]])", "tensor([[2],\n        [3]])")
index_select = _function("index_select", "danlu.tensor([1, 2, 3]), 0, danlu.tensor([2, 0])", "tensor([3, 1])")
masked_select = _function("masked_select", "danlu.tensor([1, 2]), danlu.tensor([False, True])", "tensor([2])")
nonzero = _function("nonzero", "danlu.tensor([0, 5])", "tensor([[1]])")
clone = _function("clone", "danlu.ones(1)", "tensor([1.])")
detach = _function("detach", "danlu.ones(1)", "tensor([1.])")
numel = _function("numel", "danlu.ones(2, 3)", "6")


def outer(input: Tensor, other: Tensor) -> Tensor:
    """xᵢ · yⱼ of two vectors.

    >>> import danlu
    >>> danlu.outer(danlu.tensor([1, 2]), danlu.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    return input.unsqueeze(1) * other


def equal(input: Tensor, other: Tensor) -> bool:
    """True where shapes and all elements are equal.

    >>> import danlu
    >>> danlu.equal(danlu.ones(2), danlu.ones(2))
    True
    """
    return input.shape == other.shape and input.eq(other).all().item()


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """True where |x - y| ≤ atol + rtol · |y| for all elements.

    >>> import danlu
    >>> danlu.allclose(danlu.ones(2), danlu.ones(2) + 1e-6)
    True
    """
    return bool(input.isclose(other, rtol, atol, equal_nan).all())


def is_tensor(x: Any) -> bool:
    """True for danlu's tensors.

    >>> import danlu
    >>> danlu.is_tensor(1)
    False
    """
    return isinstance(x, Tensor)
