"""L6. The functions that are also methods of the Tensor: `danlu.exp(x)` is `x.exp()`. What they mean stands in the op's record."""

from __future__ import annotations

import numbers
from typing import Any

from danlu.dtype import float32, float64
from danlu.errors import DTypeError
from danlu.tensor import Tensor, apply
from danlu.tensor.creation import tensor
from danlu.tensor.results import written

# Functions that take a number first, if a tensor follows.
NUMBER_FIRST = {"add", "sub", "mul", "div", "pow", "floor_divide", "remainder", "true_divide", "multiply", "divide", "subtract",
                "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift", "xlogy", "float_power"}  # fmt: skip

# Of these also two numbers make a tensor, as in PyTorch.
TWO_NUMBERS = {"add", "sub", "mul", "div", "floor_divide", "true_divide", "multiply", "divide", "subtract"}


def _first_number(name: str, x: Any, args: tuple) -> Tensor:
    """A number as the first operand: a 0-d tensor, with all its digits beside a float tensor."""
    second = (Tensor, numbers.Number) if name in TWO_NUMBERS else Tensor
    if name not in NUMBER_FIRST or not args or not isinstance(args[0], second) or not isinstance(x, numbers.Number):
        raise DTypeError(
            "danlu.{name} takes a tensor first, got {kind}; write danlu.tensor(...) around it", name=name, kind=type(x).__name__
        )
    given = args[0].dtype if isinstance(args[0], Tensor) else None
    keep = given is not None and given.differentiable and (isinstance(x, numbers.Real) or given.is_complex)
    return tensor(x, given if keep else None)


def _function(name: str, example: str, shown: str) -> Any:
    method = getattr(Tensor, name)

    def function(input: Any, *args: Any, **given: Any) -> Any:
        out = given.pop("out", None)
        if not isinstance(input, Tensor):
            input = _first_number(name, input, args)
        result = getattr(input, name)(*args, **given)
        return result if out is None else written(out, result)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{method.__doc__}\n\n>>> import danlu\n>>> danlu.{name}({example})\n{shown}\n"
    return function


_HALF = "danlu.tensor([0.0, 0.5])"
_TWO = "danlu.tensor([1.0, 2.0]), danlu.tensor([3.0, 2.0])"
_SQUARE = "danlu.tensor([[1.0, 2.0], [3.0, 4.0]])"
_DIAGONAL = "danlu.tensor([[2.0, 0.0], [0.0, 4.0]])"

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
matmul = _function("matmul", _SQUARE + ", danlu.tensor([1.0, 1.0])", "tensor([3., 7.])")
mm = _function("mm", f"{_SQUARE}, danlu.ones(2, 1)", "tensor([[3.],\n        [7.]])")
bmm = _function("bmm", "danlu.ones(1, 2, 2), danlu.ones(1, 2, 1)", "tensor([[[2.],\n         [2.]]])")
mv = _function("mv", f"{_SQUARE}, danlu.ones(2)", "tensor([3., 7.])")
dot = _function("dot", _TWO, "tensor(7.)")
vdot = _function("vdot", _TWO, "tensor(7.)")
inner = _function("inner", _TWO, "tensor(7.)")
outer = ger = _function("outer", _TWO, "tensor([[3., 2.],\n        [6., 4.]])")
kron = _function("kron", "danlu.tensor([1, 2]), danlu.tensor([1, 3])", "tensor([1, 3, 2, 6])")
cross = _function("cross", "danlu.tensor([1, 0, 0]), danlu.tensor([0, 1, 0])", "tensor([0, 0, 1])")
addmm = _function("addmm", "danlu.ones(1, 1), danlu.ones(1, 2), danlu.ones(2, 1)", "tensor([[3.]])")
addmv = _function("addmv", "danlu.ones(1), danlu.ones(1, 2), danlu.ones(2)", "tensor([3.])")
addr = _function("addr", "danlu.ones(1, 2), danlu.ones(1), danlu.ones(2)", "tensor([[2., 2.]])")
addbmm = _function("addbmm", "danlu.ones(1, 1), danlu.ones(2, 1, 2), danlu.ones(2, 2, 1)", "tensor([[5.]])")
baddbmm = _function("baddbmm", "danlu.ones(1, 1, 1), danlu.ones(1, 1, 2), danlu.ones(1, 2, 1)", "tensor([[[3.]]])")
trace = _function("trace", _SQUARE, "tensor(5.)")
dist = _function("dist", "danlu.tensor([3.0, 4.0]), danlu.zeros(2)", "tensor(5.)")
inverse = _function("inverse", "danlu.eye(1) * 2", "tensor([[0.5000]])")
det = _function("det", _DIAGONAL, "tensor(8.)")
logdet = _function("logdet", _DIAGONAL, "tensor(2.0794)")
slogdet = _function("slogdet", "danlu.eye(2)", "SlogDet(sign=tensor(1.), logabsdet=tensor(0.))")
matrix_power = _function("matrix_power", _DIAGONAL + ", 2", "tensor([[ 4.,  0.],\n        [ 0., 16.]])")
matrix_exp = _function("matrix_exp", "danlu.zeros(1, 1)", "tensor([[1.]])")
cholesky = _function("cholesky", "danlu.eye(1) * 4", "tensor([[2.]])")
cholesky_solve = _function("cholesky_solve", "danlu.ones(1, 1), danlu.eye(1) * 2", "tensor([[0.2500]])")
cholesky_inverse = _function("cholesky_inverse", "danlu.eye(1) * 2", "tensor([[0.2500]])")
triangular_solve = _function(
    "triangular_solve",
    "danlu.ones(1, 1), danlu.eye(1) * 2",
    "TriangularSolution(solution=tensor([[0.5000]]), cloned_coefficient=tensor([[2.]]))",
)
qr = _function("qr", "danlu.eye(1)", "QR(Q=tensor([[1.]]), R=tensor([[1.]]))")
svd = _function("svd", "danlu.eye(1)", "SVD(U=tensor([[1.]]), S=tensor([1.]), V=tensor([[1.]]))")
pinverse = _function("pinverse", "danlu.eye(1) * 2", "tensor([[0.5000]])")
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
movedim = _function("movedim", "danlu.ones(2, 1), 0, 1", "tensor([[1., 1.]])")
ravel = _function("ravel", _SQUARE, "tensor([1., 2., 3., 4.])")
broadcast_to = _function("broadcast_to", "danlu.ones(1), (2,)", "tensor([1., 1.])")
repeat_interleave = _function("repeat_interleave", "danlu.arange(2), 2", "tensor([0, 0, 1, 1])")
scatter = _function("scatter", "danlu.zeros(2), 0, danlu.tensor([1]), 1.0", "tensor([0., 1.])")
scatter_add = _function("scatter_add", "danlu.zeros(2), 0, danlu.tensor([1, 1]), danlu.ones(2)", "tensor([0., 2.])")
index_add = _function("index_add", "danlu.zeros(2), 0, danlu.tensor([1, 1]), danlu.ones(2)", "tensor([0., 2.])")
reshape = _function("reshape", _SQUARE + ", (4,)", "tensor([1., 2., 3., 4.])")
permute = _function("permute", _SQUARE + ", (1, 0)", "tensor([[1., 3.],\n        [2., 4.]])")
transpose = swapaxes = swapdims = _function("transpose", _SQUARE + ", 0, 1", "tensor([[1., 3.],\n        [2., 4.]])")
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
arccosh = _function("acosh", "danlu.tensor([1.0, 2.0])", "tensor([0.0000, 1.3170])")
aminmax = _function("aminmax", "danlu.tensor([3, 1, 2])", "(tensor(1), tensor(3))")
argsort = _function("argsort", "danlu.tensor([3, 1, 2])", "tensor([1, 2, 0])")
argwhere = _function("argwhere", "danlu.tensor([0, 5])", "tensor([[1]])")
arcsinh = _function("asinh", _HALF, "tensor([0.0000, 0.4812])")
arctan2 = _function("atan2", "danlu.tensor([1.0, 0.0]), danlu.tensor([1.0, 1.0])", "tensor([0.7854, 0.0000])")
arctanh = _function("atanh", _HALF, "tensor([0.0000, 0.5493])")
bincount = _function("bincount", "danlu.tensor([0, 2, 2])", "tensor([1, 0, 2])")
bitwise_left_shift = _function("bitwise_left_shift", "danlu.tensor([1, 2]), 2", "tensor([4, 8])")
bitwise_right_shift = _function("bitwise_right_shift", "danlu.tensor([8, 5]), 1", "tensor([4, 2])")
bucketize = _function("bucketize", "danlu.tensor([1, 4]), danlu.tensor([2, 3])", "tensor([0, 2])")
clamp_max = _function("clamp_max", "danlu.tensor([1.0, 3.0]), 2", "tensor([1., 2.])")
clamp_min = _function("clamp_min", "danlu.tensor([1.0, 3.0]), 2", "tensor([2., 3.])")
cummax = _function(
    "cummax", "danlu.tensor([1, 3, 2]), 0", "danlu.return_types.cummax(\nvalues=tensor([1, 3, 3]),\nindices=tensor([0, 1, 1]))"
)
cummin = _function(
    "cummin", "danlu.tensor([2, 3, 1]), 0", "danlu.return_types.cummin(\nvalues=tensor([2, 2, 1]),\nindices=tensor([0, 0, 2]))"
)
cumprod = _function("cumprod", "danlu.tensor([1, 2, 3]), 0", "tensor([1, 2, 6])")
cumsum = _function("cumsum", "danlu.tensor([1, 2, 3]), 0", "tensor([1, 3, 6])")
deg2rad = _function("deg2rad", "danlu.tensor([180.0])", "tensor([3.1416])")
diag = _function("diag", "danlu.tensor([1, 2])", "tensor([[1, 0],\n        [0, 2]])")
diag_embed = _function("diag_embed", "danlu.tensor([1, 2])", "tensor([[1, 0],\n        [0, 2]])")
diagflat = _function("diagflat", "danlu.tensor([[1], [2]])", "tensor([[1, 0],\n        [0, 2]])")
diff = _function("diff", "danlu.tensor([1, 3, 6])", "tensor([2, 3])")
digamma = _function("digamma", "danlu.tensor([1.0, 2.0])", "tensor([-0.5772,  0.4228])")
dsplit = _function("dsplit", "danlu.ones(1, 1, 2), 2", "(tensor([[[1.]]]), tensor([[[1.]]]))")
fix = _function("fix", "danlu.tensor([-1.5, 1.5])", "tensor([-1.,  1.])")
fliplr = _function("fliplr", _SQUARE, "tensor([[2., 1.],\n        [4., 3.]])")
flipud = _function("flipud", _SQUARE, "tensor([[3., 4.],\n        [1., 2.]])")
float_power = _function("float_power", "danlu.tensor([2, 3]), 2", "tensor([4., 9.], dtype=danlu.float64)")
frac = _function("frac", "danlu.tensor([-1.5, 1.25])", "tensor([-0.5000,  0.2500])")
greater = _function("greater", _TWO, "tensor([False, False])")
greater_equal = _function("greater_equal", _TWO, "tensor([False,  True])")
histc = _function("histc", "danlu.tensor([1.0, 2.0, 2.5]), 2, 1, 3", "tensor([1., 2.])")
hsplit = _function("hsplit", "danlu.arange(4), 2", "(tensor([0, 1]), tensor([2, 3]))")
index_copy = _function("index_copy", "danlu.zeros(2), 0, danlu.tensor([1]), danlu.ones(1)", "tensor([0., 1.])")
index_fill = _function("index_fill", "danlu.zeros(2), 0, danlu.tensor([1]), 5", "tensor([0., 5.])")
index_put = _function("index_put", "danlu.zeros(2), (danlu.tensor([1]),), danlu.ones(1)", "tensor([0., 1.])")
isin = _function("isin", "danlu.tensor([1, 2]), danlu.tensor([2, 3])", "tensor([False,  True])")
isneginf = _function("isneginf", "danlu.tensor([1.0, float('-inf')])", "tensor([False,  True])")
isposinf = _function("isposinf", "danlu.tensor([1.0, float('inf')])", "tensor([False,  True])")
isreal = _function("isreal", "danlu.tensor([1.0])", "tensor([True])")
kthvalue = _function(
    "kthvalue", "danlu.tensor([3, 1, 2]), 2", "danlu.return_types.kthvalue(\nvalues=tensor(2),\nindices=tensor(2))"
)
ldexp = _function("ldexp", "danlu.tensor([1.0, 3.0]), danlu.tensor([2, 1])", "tensor([4., 6.])")
less = _function("less", _TWO, "tensor([ True, False])")
less_equal = _function("less_equal", _TWO, "tensor([True, True])")
lgamma = _function("lgamma", "danlu.tensor([1.0, 4.0])", "tensor([0.0000, 1.7918])")
logcumsumexp = _function("logcumsumexp", "danlu.tensor([0.0, 0.0]), 0", "tensor([0.0000, 0.6931])")
logit = _function("logit", "danlu.tensor([0.5, 0.75])", "tensor([0.0000, 1.0986])")
masked_scatter = _function(
    "masked_scatter", "danlu.tensor([1, 2]), danlu.tensor([False, True]), danlu.tensor([7])", "tensor([1, 7])"
)
median = _function("median", "danlu.tensor([3.0, 1.0, 2.0])", "tensor(2.)")
mode = _function("mode", "danlu.tensor([3, 1, 3])", "danlu.return_types.mode(\nvalues=tensor(3),\nindices=tensor(2))")
moveaxis = _function("movedim", "danlu.ones(2, 3), 0, 1", "tensor([[1., 1.],\n        [1., 1.],\n        [1., 1.]])")
msort = _function("msort", "danlu.tensor([3, 1, 2])", "tensor([1, 2, 3])")
nan_to_num = _function("nan_to_num", "danlu.tensor([1.0, float('nan')])", "tensor([1., 0.])")
nanmean = _function("nanmean", "danlu.tensor([1.0, float('nan')])", "tensor(1.)")
nanmedian = _function("nanmedian", "danlu.tensor([1.0, float('nan')])", "tensor(1.)")
nanquantile = _function("nanquantile", "danlu.tensor([1.0, 3.0, float('nan')]), 0.5", "tensor(2.)")
nansum = _function("nansum", "danlu.tensor([1.0, float('nan')])", "tensor(1.)")
not_equal = _function("not_equal", _TWO, "tensor([ True, False])")
positive = _function("positive", "danlu.tensor([1, -2])", "tensor([ 1, -2])")
quantile = _function("quantile", "danlu.tensor([1.0, 2.0, 4.0]), 0.75", "tensor(3.)")
rad2deg = _function("rad2deg", "danlu.tensor([0.5])", "tensor([28.6479])")
rot90 = _function("rot90", _SQUARE, "tensor([[2., 4.],\n        [1., 3.]])")
rsub = _function("rsub", _TWO, "tensor([2., 0.])")
scatter_reduce = _function(
    "scatter_reduce", "danlu.ones(2), 0, danlu.tensor([1]), danlu.tensor([5.0]), 'amax'", "tensor([1., 5.])"
)
searchsorted = _function("searchsorted", "danlu.tensor([1, 3, 5]), danlu.tensor([4])", "tensor([2])")
select = _function("select", _SQUARE + ", 0, 1", "tensor([3., 4.])")
signbit = _function("signbit", "danlu.tensor([-1.0, 2.0])", "tensor([ True, False])")
sinc = _function("sinc", _HALF, "tensor([1.0000, 0.6366])")
sort = _function(
    "sort", "danlu.tensor([3, 1, 2])", "danlu.return_types.sort(\nvalues=tensor([1, 2, 3]),\nindices=tensor([1, 2, 0]))"
)
split_with_sizes = _function("split_with_sizes", "danlu.arange(3), [1, 2]", "(tensor([0]), tensor([1, 2]))")
std_mean = _function("std_mean", "danlu.tensor([1.0, 3.0])", "(tensor(1.4142), tensor(2.))")
take = _function("take", _SQUARE + ", danlu.tensor([3, 0])", "tensor([4., 1.])")
take_along_dim = _function(
    "take_along_dim", "danlu.tensor([[1, 2], [3, 4]]), danlu.tensor([[1], [0]]), 1", "tensor([[2],\n        [3]])"
)
tensor_split = _function("tensor_split", "danlu.arange(3), 2", "(tensor([0, 1]), tensor([2]))")
topk = _function(
    "topk", "danlu.tensor([3, 1, 2]), 2", "danlu.return_types.topk(\nvalues=tensor([3, 2]),\nindices=tensor([0, 2]))"
)
true_divide = _function("true_divide", "danlu.tensor([1, 2]), 2", "tensor([0.5000, 1.0000])")
unflatten = _function("unflatten", "danlu.arange(4), 0, (2, 2)", "tensor([[0, 1],\n        [2, 3]])")
unfold = _function("unfold", "danlu.arange(3), 0, 2, 1", "tensor([[0, 1],\n        [1, 2]])")
unique = _function("unique", "danlu.tensor([3, 1, 3])", "tensor([1, 3])")
unique_consecutive = _function("unique_consecutive", "danlu.tensor([3, 3, 1, 3])", "tensor([3, 1, 3])")
var_mean = _function("var_mean", "danlu.tensor([1.0, 3.0])", "(tensor(2.), tensor(2.))")
view_as = _function("view_as", "danlu.ones(2), danlu.ones(2, 1)", "tensor([[1.],\n        [1.]])")
vsplit = _function("vsplit", _SQUARE + ", 2", "(tensor([[1., 2.]]), tensor([[3., 4.]]))")
clone = _function("clone", "danlu.ones(1)", "tensor([1.])")
detach = _function("detach", "danlu.ones(1)", "tensor([1.])")
_COMPLEX = "danlu.tensor([1 + 2j])"
conj = _function("conj", _COMPLEX, "tensor([1.-2.j])")
conj_physical = _function("conj_physical", _COMPLEX, "tensor([1.-2.j])")
resolve_conj = _function("resolve_conj", _COMPLEX, "tensor([1.+2.j])")
angle = _function("angle", "danlu.tensor([2j, -1.0])", "tensor([1.5708, 3.1416])")
sgn = _function("sgn", "danlu.tensor([2j, -4.0])", "tensor([ 0.+1.j, -1.+0.j])")
adjoint = _function("adjoint", "danlu.tensor([[1, 2j]])", "tensor([[1.-0.j],\n        [0.-2.j]])")
is_complex = _function("is_complex", _COMPLEX, "True")
view_as_real = _function("view_as_real", _COMPLEX, "tensor([[1., 2.]])")
view_as_complex = _function("view_as_complex", "danlu.tensor([[1.0, 2.0]])", "tensor([1.+2.j])")
numel = _function("numel", "danlu.ones(2, 3)", "6")
gcd = _function("gcd", "danlu.tensor([12, 7]), danlu.tensor([18, 3])", "tensor([6, 1])")
lcm = _function("lcm", "danlu.tensor([4]), danlu.tensor([6])", "tensor([12])")
i0 = _function("i0", "danlu.tensor([0.0, 1.0])", "tensor([1.0000, 1.2661])")
igamma = _function("igamma", "danlu.tensor([1.0]), danlu.tensor([1.0])", "tensor([0.6321])")
igammac = _function("igammac", "danlu.tensor([1.0]), danlu.tensor([1.0])", "tensor([0.3679])")
heaviside = _function("heaviside", "danlu.tensor([-1.0, 0.0, 2.0]), danlu.tensor(0.5)", "tensor([0.0000, 0.5000, 1.0000])")
logaddexp2 = _function("logaddexp2", "danlu.zeros(1), danlu.zeros(1)", "tensor([1.])")
nextafter = _function("nextafter", "danlu.zeros(1), danlu.zeros(1)", "tensor([0.])")
frexp = _function("frexp", "danlu.tensor([6.0])", "Frexp(mantissa=tensor([0.7500]), exponent=tensor([3], dtype=danlu.int32))")
mvlgamma = _function("mvlgamma", "danlu.tensor([2.0]), 2", "tensor([0.4516])")
diagonal_scatter = _function("diagonal_scatter", "danlu.zeros(2, 2), danlu.ones(2)", "tensor([[1., 0.],\n        [0., 1.]])")
select_scatter = _function("select_scatter", "danlu.zeros(2), danlu.tensor(1.0), 0, 1", "tensor([0., 1.])")
slice_scatter = _function("slice_scatter", "danlu.zeros(3), danlu.ones(2), 0, 1", "tensor([0., 1., 1.])")
index_reduce = _function("index_reduce", "danlu.ones(2), 0, danlu.tensor([1]), danlu.tensor([5.0]), 'amax'", "tensor([1., 5.])")
put = _function("put", "danlu.zeros(2), danlu.tensor([1]), danlu.ones(1)", "tensor([0., 1.])")
renorm = _function("renorm", "danlu.tensor([[3.0, 4.0]]), 2, 0, 1", "tensor([[0.6000, 0.8000]])")
lu_solve = _function("lu_solve", "danlu.ones(1, 1), *danlu.linalg.lu_factor(danlu.eye(1) * 2)", "tensor([[0.5000]])")
lu = _function("lu", "danlu.eye(1)", "(tensor([[1.]]), tensor([1], dtype=danlu.int32))")


def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of the digamma function Γ'/Γ.

    ψ⁽ⁿ⁾(x) = dⁿ⁺¹/dxⁿ⁺¹ log Γ(x)

    Shapes: (*) → (*): element by element.

    >>> import danlu
    >>> danlu.polygamma(1, danlu.tensor([1.0]))
    tensor([1.6449])
    """
    return input.polygamma(n)


def real(input: Tensor) -> Tensor:
    """The real part of a complex tensor, on the same memory; a real tensor itself.

    y = Re x

    Shapes: (*) → (*). A view.

    >>> import danlu
    >>> danlu.real(danlu.tensor([1 + 2j]))
    tensor([1.])
    """
    return input.real


def imag(input: Tensor) -> Tensor:
    """The imaginary part of a complex tensor, on the same memory.

    y = Im x

    Shapes: (*) → (*). A view.

    >>> import danlu
    >>> danlu.imag(danlu.tensor([1 + 2j]))
    tensor([2.])
    """
    return input.imag


def complex(real: Tensor, imag: Tensor) -> Tensor:
    """real + i · imag, of two tensors of one floating dtype.

    Shapes: real (*), imag (*), broadcast together → (*).

    Raises DTypeError where the dtypes differ or are no floats.

    >>> import danlu
    >>> danlu.complex(danlu.tensor([1.0]), danlu.tensor([2.0]))
    tensor([1.+2.j])
    """
    _check_parts("complex", real, imag)
    return apply("complex", real, imag)


def polar(abs: Tensor, angle: Tensor) -> Tensor:
    """abs · e^(i·angle), of two tensors of one floating dtype.

    Shapes: abs (*), angle (*), broadcast together → (*).

    Raises DTypeError where the dtypes differ or are no floats.

    >>> import danlu
    >>> danlu.polar(danlu.tensor([2.0]), danlu.tensor([0.0]))
    tensor([2.+0.j])
    """
    _check_parts("polar", abs, angle)
    return apply("polar", abs, angle)


def _check_parts(name: str, first: Tensor, second: Tensor) -> None:
    if first.dtype is not second.dtype or first.dtype not in (float32, float64):
        raise DTypeError(
            "{name}: the parts are {first_dtype} and {second_dtype}; expected two of float32 or two of float64: write x.float()",
            name=name,
            first_dtype=first.dtype.name,
            second_dtype=second.dtype.name,
        )


def equal(input: Tensor, other: Tensor) -> bool:
    """True where shapes and all elements are equal.

    y = [x.shape = other.shape] · Π [x = other]

    Shapes: input (*), other (*) → one Python bool.

    >>> import danlu
    >>> danlu.equal(danlu.ones(2), danlu.ones(2))
    True
    """
    return input.shape == other.shape and input.eq(other).all().item()


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """True where |x - y| ≤ atol + rtol · |y| for all elements.

    Shapes: input (*), other (*), broadcast together → one Python bool.

    >>> import danlu
    >>> danlu.allclose(danlu.ones(2), danlu.ones(2) + 1e-6)
    True
    """
    return bool(input.isclose(other, rtol, atol, equal_nan).all())


def is_tensor(x: Any) -> bool:
    """True for danlu's tensors.

    Shapes: no tensors: any object → one Python bool.

    >>> import danlu
    >>> danlu.is_tensor(1)
    False
    """
    return isinstance(x, Tensor)
