"""L5. Methods of the Tensor that work element by element, and their operators and in-place forms."""

from __future__ import annotations

from typing import Any

from danlu import dtype as dt
from danlu.dtype import DType
from danlu.errors import DTypeError, ShapeError, warn
from danlu.guidance import outside
from danlu.ops import TABLE
from danlu.tensor.core import TensorCore, apply, operate


def _unary(name: str, doc: str) -> Any:
    op = TABLE[name]

    def method(self: TensorCore) -> Any:
        return apply(op, self)

    method.__name__, method.__doc__ = name, doc
    return method


def _binary(name: str, doc: str) -> Any:
    op = TABLE[name]

    def method(self: TensorCore, other: Any) -> Any:
        return operate(op, self, other)

    method.__name__, method.__doc__ = name, doc
    return method


_NUMBERS = {float, int, bool, complex}


def _operator(name: str, swapped: bool = False) -> Any:
    """A Python operator: what it cannot take it leaves to the other operand."""
    op = TABLE[name]

    def method(self: TensorCore, other: Any) -> Any:
        kind = type(other)
        if kind is not type(self) and kind not in _NUMBERS and not isinstance(other, TensorCore) and not hasattr(other, "dtype"):
            return NotImplemented
        return operate(op, other, self) if swapped else operate(op, self, other)

    return method


def _equality(op: str) -> Any:
    """== and !=, which no NaN ever equals."""
    compare = _operator(op)

    def method(self: TensorCore, other: Any) -> Any:
        if type(other) is float and other != other:
            warn("a comparison with nan: nothing equals nan, not even nan itself. Write x.isnan()", UserWarning, outside())
        return compare(self, other)

    return method


def _in_place(op: str) -> Any:
    """The form with `_`: the result is written into the tensor itself."""

    def method(self: Any, *args: Any, **given: Any) -> Any:
        return self._assign(getattr(self, op)(*args, **given)._value())

    method.__name__, method.__doc__ = f"{op}_", f"`{op}` in place."
    return method


def _assigning(name: str) -> Any:
    """`x += y`: like the method with `_`."""
    op = TABLE[name]

    def method(self: Any, other: Any) -> Any:
        return self._assign(operate(op, self, other)._value())

    return method


class Arithmetic(TensorCore):
    """Elementwise methods."""

    __slots__ = ()

    neg = _unary("neg", "-x")
    abs = _unary("abs", "|x|")
    sign = _unary("sign", "y = x / |x|, and 0 at 0.")
    exp = _unary("exp", "eˣ")
    expm1 = _unary("expm1", "eˣ - 1, exact near 0")
    log = _unary("log", "y = ln x, the natural logarithm.")
    log1p = _unary("log1p", "ln(1 + x), exact near 0")
    sqrt = _unary("sqrt", "√x")
    rsqrt = _unary("rsqrt", "1/√x")
    reciprocal = _unary("reciprocal", "1/x")
    sin = _unary("sin", "sin x, x in radians")
    cos = _unary("cos", "cos x, x in radians")
    tanh = _unary("tanh", "y = (eˣ - e⁻ˣ) / (eˣ + e⁻ˣ), the hyperbolic tangent.")
    sigmoid = _unary("sigmoid", "1/(1 + e⁻ˣ)")
    relu = _unary("relu", "max(x, 0)")
    floor = _unary("floor", "y = ⌊x⌋, the largest integer ≤ x.")
    ceil = _unary("ceil", "y = ⌈x⌉, the smallest integer ≥ x.")
    trunc = _unary("trunc", "y = sign(x) · ⌊|x|⌋, x without its fraction.")
    isnan = _unary("isnan", "y = [x ≠ x]: True where x is NaN.")
    logical_not = _unary("logical_not", "y = [x = 0]: True where x is 0.")
    mul = _binary("mul", "x · y")
    pow = _binary("pow", "y = xʸ: x to the power of the other operand.")
    eq = _binary("eq", "x == y")
    ne = _binary("ne", "x ≠ y")
    lt = _binary("lt", "x < y")
    le = _binary("le", "x ≤ y")
    gt = _binary("gt", "x > y")
    ge = _binary("ge", "x ≥ y")
    floor_divide = _binary("floor_divide", "⌊x / y⌋")
    remainder = _binary("remainder", "x - y⌊x / y⌋, with the sign of y")
    fmod = _binary("fmod", "x - y·trunc(x / y), with the sign of x")
    copysign = _binary("copysign", "|x| with the sign of y")
    xlogy = _binary("xlogy", "x · ln y; 0 where x is 0")
    isinf = _unary("isinf", "True where x is ∞ or -∞.")
    isfinite = _unary("isfinite", "y = [|x| < ∞]: True where x is neither NaN nor infinite.")
    exp2 = _unary("exp2", "2ˣ")
    log2 = _unary("log2", "y = log₂ x = ln x / ln 2.")
    log10 = _unary("log10", "y = log₁₀ x = ln x / ln 10.")
    tan = _unary("tan", "tan x, x in radians")
    asin = arcsin = _unary("asin", "y with sin y = x: the angle in [-π/2, π/2] whose sine is x.")
    acos = arccos = _unary("acos", "y with cos y = x: the angle in [0, π] whose cosine is x.")
    atan = arctan = _unary("atan", "y with tan y = x: the angle in (-π/2, π/2) whose tangent is x.")
    sinh = _unary("sinh", "(eˣ - e⁻ˣ) / 2")
    cosh = _unary("cosh", "(eˣ + e⁻ˣ) / 2")
    asinh = _unary("asinh", "y = ln(x + √(x² + 1)), the inverse of sinh.")
    acosh = _unary("acosh", "y = ln(x + √(x² - 1)), the inverse of cosh on [0, ∞).")
    atanh = _unary("atanh", "y = ½ ln((1 + x) / (1 - x)), the inverse of tanh.")
    erf = _unary("erf", "2/√π ∫₀ˣ e^(-t²) dt")
    erfc = _unary("erfc", "1 - erf x")
    erfinv = _unary("erfinv", "y with erf y = x: the inverse of erf.")

    multiply, absolute, negative = mul, abs, neg
    greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne

    def clamp(self, min: Any = None, max: Any = None) -> Any:
        """min(max(x, `min`), `max`); a bound may be left out. The derivative is 1 also on the bounds.

        Shapes: (*) → (*); bounds that are tensors are broadcast.
        """
        if min is None and max is None:
            raise DTypeError("clamp without bounds; give min, max or both")
        out: Any = self
        if min is not None:
            out = apply("clamp_min", out, min)
        return out if max is None else apply("clamp_max", out, max)

    def clamp_min(self, min: Any) -> Any:
        """max(x, `min`)

        Shapes: (*) → (*); a bound that is a tensor is broadcast.
        """
        return self.clamp(min)

    def clamp_max(self, max: Any) -> Any:
        """min(x, `max`)

        Shapes: (*) → (*); a bound that is a tensor is broadcast.
        """
        return self.clamp(None, max)

    clip = clamp

    def where(self, condition: Any, other: Any) -> Any:
        """self where the condition holds, else other."""
        return apply("where", condition, self, other)

    def masked_fill(self, mask: Any, value: Any) -> Any:
        """`value` where the mask is True.

        y = value where mask, else x

        Shapes: input (*), mask (*) of bool, broadcast together, value a number or () → (*).
        """
        if isinstance(value, TensorCore) and value._spec.shape:
            raise ShapeError(
                "masked_fill: value has shape {shape}; expected a number or a 0-d tensor. Write x.where(~mask, value)",
                shape=value._spec.shape,
            )
        return apply("where", mask, value, self).to(self.dtype)  # type: ignore[attr-defined]

    def lerp(self, end: Any, weight: Any) -> Any:
        """self + weight · (end - self)

        Shapes: input (*), end (*), weight a number or (*), broadcast together → (*).
        """
        return apply("lerp", self, end, weight)

    def addcmul(self, first: Any, second: Any, value: float = 1) -> Any:
        """self + value · first · second

        Shapes: input (*), first (*), second (*), broadcast together → (*).
        """
        return apply("addcmul", self, first, second, value)

    def addcdiv(self, first: Any, second: Any, value: float = 1) -> Any:
        """self + value · first / second

        Shapes: input (*), first (*), second (*), broadcast together → (*).
        """
        return apply("addcdiv", self, first, second, value)

    # ---- dtype ----------------------------------------------------------------------------------------------------------
    def type(self, dtype: DType | None = None) -> Any:
        """The dtype's name, or the tensor with another dtype.

        Shapes: (*) → (*), or a Python string.

        >>> import danlu
        >>> danlu.ones(1).type()
        'danlu.float32'
        """
        return repr(self._spec.dtype) if dtype is None else self.to(dtype)

    def type_as(self, other: TensorCore) -> Any:
        """This tensor with the dtype of another.

        Shapes: (*) → (*).

        >>> import danlu
        >>> danlu.tensor([1]).type_as(danlu.ones(1))
        tensor([1.])
        """
        return self.to(other._spec.dtype)

    def to(
        self, *args: Any, dtype: DType | None = None, device: Any = None, copy: bool = False, non_blocking: bool = False
    ) -> Any:
        """The tensor with another dtype: to(danlu.float64), to(other), to("cpu").

        y = x in another dtype

        Shapes: (*) → (*).

        Raises DTypeError for a device that does not exist here.

        >>> import danlu
        >>> danlu.tensor([1, 2]).to(danlu.float64)
        tensor([1., 2.], dtype=danlu.float64)
        """
        flags = [a for a in args[1:] if type(a) is bool]  # non_blocking, copy
        copy = copy or flags[1:] == [True]
        for a in args[: len(args) - len(flags)]:
            if isinstance(a, DType):
                dtype = a
            elif isinstance(a, TensorCore):
                dtype = a._spec.dtype
            elif isinstance(a, (str, int)) or hasattr(a, "type"):
                device = a
            elif a is not None:
                dtype = a
        check_device(device)
        if dtype is not None:
            dt.check_dtype(dtype)
        if dtype is None or dtype is self._spec.dtype:
            return self.clone() if copy else self  # type: ignore[attr-defined]
        return apply("cast", self, dtype=dtype)

    # ---- operators ------------------------------------------------------------------------------------------------------
    __add__, __radd__ = _operator("add"), _operator("add", True)
    __sub__, __rsub__ = _operator("sub"), _operator("sub", True)
    __mul__, __rmul__ = _operator("mul"), _operator("mul", True)
    __truediv__, __rtruediv__ = _operator("div"), _operator("div", True)
    __floordiv__, __rfloordiv__ = _operator("floor_divide"), _operator("floor_divide", True)
    __mod__, __rmod__ = _operator("remainder"), _operator("remainder", True)
    __pow__, __rpow__ = _operator("pow"), _operator("pow", True)
    __matmul__, __rmatmul__ = _operator("matmul"), _operator("matmul", True)
    __lt__, __le__, __gt__, __ge__ = _operator("lt"), _operator("le"), _operator("gt"), _operator("ge")
    __eq__, __ne__ = _equality("eq"), _equality("ne")
    __and__, __or__, __xor__ = _operator("bitwise_and"), _operator("bitwise_or"), _operator("bitwise_xor")
    __rand__, __ror__, __rxor__ = _operator("bitwise_and", True), _operator("bitwise_or", True), _operator("bitwise_xor", True)
    __iadd__, __isub__, __imul__ = _assigning("add"), _assigning("sub"), _assigning("mul")
    __itruediv__, __ipow__ = _assigning("div"), _assigning("pow")
    __ifloordiv__, __imod__ = _assigning("floor_divide"), _assigning("remainder")
    __iand__, __ior__, __ixor__ = _assigning("bitwise_and"), _assigning("bitwise_or"), _assigning("bitwise_xor")
    __lshift__, __rshift__, __rlshift__, __rrshift__ = (
        _operator("shl"),
        _operator("shr"),
        _operator("shl", True),
        _operator("shr", True),
    )
    __ilshift__, __irshift__ = _assigning("shl"), _assigning("shr")

    def __neg__(self) -> Any:
        return apply("neg", self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return apply("abs", self)

    def __invert__(self) -> Any:
        return apply("bitwise_not", self)

    def __hash__(self) -> int:
        return id(self)

    # ---- in place -------------------------------------------------------------------------------------------------------
    add_, sub_, mul_, div_, pow_ = (_in_place(x) for x in ("add", "sub", "mul", "div", "pow"))
    neg_, abs_, exp_, log_, sqrt_, rsqrt_, reciprocal_ = (
        _in_place(x) for x in ("neg", "abs", "exp", "log", "sqrt", "rsqrt", "reciprocal")
    )
    sin_, cos_, tanh_, sigmoid_, relu_ = (_in_place(x) for x in ("sin", "cos", "tanh", "sigmoid", "relu"))
    floor_, ceil_, round_, clamp_, masked_fill_, lerp_ = (
        _in_place(x) for x in ("floor", "ceil", "round", "clamp", "masked_fill", "lerp")
    )
    addcmul_, addcdiv_, square_, trunc_, sign_ = (_in_place(x) for x in ("addcmul", "addcdiv", "square", "trunc", "sign"))
    clip_, clamp_min_, clamp_max_ = clamp_, _in_place("clamp_min"), _in_place("clamp_max")
    expm1_, log1p_, erf_, tan_ = (_in_place(x) for x in ("expm1", "log1p", "erf", "tan"))
    remainder_, fmod_, floor_divide_ = _in_place("remainder"), _in_place("fmod"), _in_place("floor_divide")
    logical_and_, logical_or_, logical_not_ = _in_place("logical_and"), _in_place("logical_or"), _in_place("logical_not")
    multiply_ = mul_

    def fill_(self, value: Any) -> Any:
        """Every element becomes `value`.

        x[i, j, …] ← value

        Shapes: (*) → (*), the tensor itself; value a number or ().

        >>> import danlu
        >>> danlu.zeros(2).fill_(3)
        tensor([3., 3.])
        """
        spec = self._spec
        if isinstance(value, TensorCore) and value._spec.shape:
            raise ShapeError(
                "fill_: value has shape {shape}; expected a number or a 0-d tensor. Write x.copy_(value)", shape=value._spec.shape
            )
        return self._assign(apply("full", value, shape=spec.shape, dtype=spec.dtype)._value())

    def zero_(self) -> Any:
        """Every element becomes 0.

        x[i, j, …] ← 0

        Shapes: (*) → (*), the tensor itself.

        >>> import danlu
        >>> danlu.ones(2).zero_()
        tensor([0., 0.])
        """
        return self.fill_(0)

    def copy_(self, other: Any, non_blocking: bool = False) -> Any:
        """The elements of another tensor, broadcast and converted.

        x ← other

        Shapes: other (*) is broadcast to the shape of the tensor.

        >>> import danlu
        >>> x = danlu.zeros(2)
        >>> x.copy_(danlu.tensor([1, 2]))
        tensor([1., 2.])
        """
        return self._assign(other.to(self._spec.dtype)._value())


def _conversion(dtype: str) -> Any:
    def method(self: Any) -> Any:
        return self.to(_DTYPES[dtype])

    name = _DTYPES[dtype].name
    method.__name__ = dtype
    method.__doc__ = (
        f"The tensor as {name}.\n\ny = x in {name}\n\nShapes: (*) → (*).\n\n"
        f">>> import danlu\n>>> danlu.tensor([1, 0]).{dtype}().dtype\ndanlu.{name}"
    )
    return method


_DTYPES = {"float": dt.float32, "double": dt.float64, "half": dt.float16, "bfloat16": dt.bfloat16, "int": dt.int32,
           "long": dt.int64, "short": dt.int16,
           "char": dt.int8, "byte": dt.uint8, "bool": dt.bool_}  # fmt: skip
for _name in _DTYPES:
    setattr(Arithmetic, _name, _conversion(_name))


def check_device(device: Any) -> None:
    """Refuses every device but the CPU, which is the only one there is."""
    kind = getattr(device, "type", device)
    if kind is not None and not str(kind).startswith("cpu"):
        if isinstance(device, str) and device in dt.NAMES:
            dt.check_dtype(device)
        raise DTypeError(
            "device {device!r} is not available: danlu runs on the CPU. Leave device out, or write device='cpu'",
            device=str(device),
        )
