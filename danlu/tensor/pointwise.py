"""L5. Further elementwise methods: the rest of PyTorch's arithmetic, logic and special functions, and the forms with `_`."""

from __future__ import annotations

from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.errors import DTypeError, ShapeError
from danlu.tensor.arithmetic import _binary, _in_place, _operator, _unary
from danlu.tensor.core import TensorCore, apply

_NAMED = {None: "div", "trunc": "div_trunc", "floor": "floor_divide"}


def number_or_tensor(name: str, x: Any) -> Any:
    """x where it is a number or a tensor; else DTypeError."""
    if isinstance(x, (TensorCore, int, float, bool, complex, np.generic)):
        return x
    raise DTypeError(
        "{name} takes tensors and numbers, got {kind}; write danlu.tensor(...) around it", name=name, kind=type(x).__name__
    )


def check_whole(name: str, *xs: Any) -> None:
    """DTypeError where a float comes to an operation on bits."""
    for x in xs:
        if isinstance(x, float) or (isinstance(x, TensorCore) and x._spec.dtype.differentiable):
            found = x._spec.dtype.name if isinstance(x, TensorCore) else "float"
            raise DTypeError(
                "{name} works on bits and takes integers and bools, got {found}; write x.long()", name=name, found=found
            )


def _bits(op: str, doc: str) -> Any:
    def method(self: TensorCore, other: Any) -> Any:
        check_whole(op, self, other)
        return apply(op, self, number_or_tensor(op, other))

    method.__name__, method.__doc__ = op, doc
    return method


def _of_tensors(op: str, doc: str) -> Any:
    """A method whose other operand must be a tensor, as in PyTorch."""

    def method(self: TensorCore, other: Any) -> Any:
        if not isinstance(other, TensorCore):
            raise DTypeError(
                "{op}: the other operand is {kind}; expected a tensor: write danlu.tensor(...)", op=op, kind=type(other).__name__
            )
        return apply(op, self, other)

    method.__name__, method.__doc__ = op, doc
    return method


def _scaled(name: str, op: str, doc: str) -> Any:
    """x ± alpha · y"""

    def method(self: TensorCore, other: Any, *, alpha: Any = 1) -> Any:
        other = number_or_tensor(name, other)
        _check_alpha(name, self, other, alpha)
        return apply(op, self, other if alpha == 1 else apply("mul", other, alpha))

    method.__name__, method.__doc__ = name, doc
    return method


def _check_alpha(name: str, x: TensorCore, y: Any, alpha: Any) -> None:
    floats = x._spec.dtype.differentiable or (isinstance(y, TensorCore) and y._spec.dtype.differentiable)
    if isinstance(alpha, float) and not floats:
        raise DTypeError(
            "{name}: alpha={alpha} is a float and the tensors hold {dtype}; write an integer alpha",
            name=name,
            alpha=alpha,
            dtype=x._spec.dtype.name,
        )
    if isinstance(alpha, bool) and x._spec.dtype is not dt.bool_:
        raise DTypeError(
            "{name}: alpha is a bool and the tensor holds {dtype}; write a number", name=name, dtype=x._spec.dtype.name
        )


class Pointwise(TensorCore):
    """Elementwise methods beside those of `Arithmetic`."""

    __slots__ = ()

    lgamma = _unary("lgamma", "log |Γ(x)|")
    frac, sinc = _unary("frac", "y = x - trunc(x), with the sign of x."), _unary("sinc", "sin(πx) / (πx), and 1 at 0.")
    deg2rad, rad2deg = (
        _unary("deg2rad", "y = x · π / 180: degrees as radians."),
        _unary("rad2deg", "y = x · 180 / π: radians as degrees."),
    )
    signbit = _unary("signbit", "y = [x < 0], True also of -0.")
    fix = _unary("trunc", "y = sign(x) · ⌊|x|⌋, x without its fraction.")

    atan2 = arctan2 = _of_tensors(
        "atan2", "The angle y of the point (other, input) in the plane, in (-π, π].\n\nother = r cos y, input = r sin y"
    )
    hypot = _of_tensors("hypot", "√(x² + y²) without overflow")
    logaddexp = _of_tensors("logaddexp", "ln(eˣ + eʸ)")
    maximum, minimum = (
        _of_tensors("maximum", "y = max(x, other); NaN if either is."),
        _of_tensors("minimum", "y = min(x, other); NaN if either is."),
    )
    fmax = _of_tensors("fmax", "y = max(x, other); a number wins over NaN.")
    fmin = _of_tensors("fmin", "y = min(x, other); a number wins over NaN.")
    logical_and = _of_tensors("logical_and", "y = [x ≠ 0 and other ≠ 0]")
    logical_or = _of_tensors("logical_or", "y = [x ≠ 0 or other ≠ 0]")
    logical_xor = _of_tensors("logical_xor", "y = [(x ≠ 0) ≠ (other ≠ 0)]: True where exactly one is not 0.")
    __rdiv__ = _operator("div", True)
    arcsinh, arccosh, arctanh = _unary("asinh", "See asinh."), _unary("acosh", "See acosh."), _unary("atanh", "See atanh.")
    ldexp = _binary("ldexp", "x · 2ⁿ")
    bitwise_and, bitwise_or = (
        _bits("bitwise_and", "The bits that both have.\n\ny = Σ xₖ zₖ 2ᵏ over the bits xₖ and zₖ"),
        _bits("bitwise_or", "The bits that either has.\n\ny = Σ max(xₖ, zₖ) 2ᵏ over the bits xₖ and zₖ"),
    )
    bitwise_xor = _bits("bitwise_xor", "The bits that exactly one has.\n\ny = Σ |xₖ - zₖ| 2ᵏ over the bits xₖ and zₖ")
    bitwise_left_shift, bitwise_right_shift = _bits("shl", "x · 2ⁿ on bits."), _bits("shr", "⌊x / 2ⁿ⌋ on bits.")
    add = _scaled("add", "add", "x + alpha · y")

    def sub(self, other: Any, *, alpha: Any = 1) -> Any:
        """x - alpha · y

        Shapes: input (*), other a number or (*), broadcast together → (*).
        """
        _check_no_bool("sub", self, other)
        _check_alpha("sub", self, number_or_tensor("sub", other), alpha)
        return apply("sub", self, other if alpha == 1 else apply("mul", other, alpha))

    subtract = sub

    def rsub(self, other: Any, *, alpha: Any = 1) -> Any:
        """y - alpha · x

        Shapes: input (*), other a number or (*), broadcast together → (*).
        """
        _check_no_bool("rsub", self, other)
        _check_alpha("rsub", self, number_or_tensor("rsub", other), alpha)
        return apply("sub", other, self if alpha == 1 else apply("mul", self, alpha))

    def div(self, other: Any, *, rounding_mode: str | None = None) -> Any:
        """x / y: a float, or rounded: "trunc" toward zero, "floor" down.

        Shapes: input (*), other a number or (*), broadcast together → (*).
        """
        if rounding_mode not in _NAMED:
            raise DTypeError(
                "div: rounding_mode={rounding_mode!r}; expected None, 'trunc' or 'floor'", rounding_mode=rounding_mode
            )
        return apply(_NAMED[rounding_mode], self, number_or_tensor("div", other))

    divide = true_divide = div

    def round(self, *, decimals: int = 0) -> Any:
        """The nearest number with so many decimals, halves to even.

        y = k / 10^decimals, k the integer nearest to x · 10^decimals

        Shapes: (*) → (*): element by element.
        """
        return apply("round_decimals", self, decimals=int(decimals)) if decimals else apply("round", self)

    def square(self) -> Any:
        """x²; of bools an int64.

        Shapes: (*) → (*): element by element.
        """
        x = self if self._spec.dtype is not dt.bool_ else apply("cast", self, dtype=dt.int64)
        return apply("mul", x, x)

    def positive(self) -> Any:
        """x itself.

        y = x

        Shapes: (*) → (*).
        """
        if self._spec.dtype is dt.bool_:
            raise DTypeError("positive of a bool tensor; write x.int()")
        return self

    def bitwise_not(self) -> Any:
        """Every bit turned; of bools the opposite.

        y = -x - 1 for signed integers
        """
        check_whole("bitwise_not", self)
        return apply("bitwise_not", self)

    def logit(self, eps: float | None = None) -> Any:
        """log(x / (1 - x)); x is first kept inside [eps, 1 - eps] where eps is given."""
        return apply("logit", self, eps=eps)

    def polygamma(self, n: int) -> Any:
        """The n-th derivative of the digamma function."""
        if n < 0:
            raise DTypeError("polygamma of order {order}; expected 0 or more", order=n)
        return apply("polygamma", self, n=int(n))

    def digamma(self) -> Any:
        """Γ'(x) / Γ(x)

        Shapes: (*) → (*): element by element.
        """
        return apply("polygamma", self, n=0)

    def nan_to_num(self, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Any:
        """NaN and the infinities replaced: by 0 and the largest numbers of the dtype, if nothing else is said.

        y = nan (0) where x ≠ x, posinf (the largest number) where x = ∞, neginf (the smallest) where x = -∞, else x
        """
        return apply("nan_to_num", self, nan=nan, posinf=posinf, neginf=neginf)

    def isposinf(self) -> Any:
        """True where x is ∞."""
        return apply("eq", self, float("inf"))

    def isneginf(self) -> Any:
        """True where x is -∞."""
        return apply("eq", self, float("-inf"))

    def equal(self, other: TensorCore) -> bool:
        """True where shapes and all elements are equal."""
        return self._spec.shape == other._spec.shape and bool(apply("eq", self, other).all())

    def allclose(self, other: TensorCore, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
        """True where |x - y| ≤ atol + rtol |y| for all elements."""
        return bool(self.isclose(other, rtol, atol, equal_nan).all())

    def isclose(self, other: TensorCore, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
        """|x - y| ≤ atol + rtol |y|, or x = y, element by element."""
        if rtol < 0 or atol < 0:
            raise ShapeError("isclose: rtol={rtol} and atol={atol} must not be negative", rtol=rtol, atol=atol)
        if not isinstance(other, TensorCore):
            raise DTypeError(
                "isclose: the other operand is {kind}; expected a tensor: write danlu.tensor(...)", kind=type(other).__name__
            )
        if other._spec.dtype is not self._spec.dtype:
            raise DTypeError(
                "isclose: dtypes {dtype} and {other_dtype}; write y.to(x.dtype)",
                dtype=self._spec.dtype.name,
                other_dtype=other._spec.dtype.name,
            )
        return apply("isclose", self, other, rtol=float(rtol), atol=float(atol), equal_nan=bool(equal_nan))

    def float_power(self, exponent: Any) -> Any:
        """xʸ in float64 or complex128.

        y = x^exponent

        Shapes: input (*), exponent a number or (*), broadcast together → (*).
        """
        given = exponent if isinstance(exponent, TensorCore) else None
        is_complex = self._spec.dtype.is_complex or (
            isinstance(exponent, complex) if given is None else given._spec.dtype.is_complex
        )
        dtype = dt.complex128 if is_complex else dt.float64
        return apply("pow", self.to(dtype), exponent if given is None else given.to(dtype))  # type: ignore[attr-defined]

    def fill(self, value: Any) -> Any:
        """A tensor of this shape and dtype with one number in every place.

        y[i, j, …] = value

        Shapes: (*) → (*); value a number or ().

        >>> import danlu
        >>> danlu.zeros(2).fill(3)
        tensor([3., 3.])
        """
        spec = self._spec
        if isinstance(value, TensorCore):
            if value._spec.ndim:
                raise ShapeError("fill takes a number or a 0-d tensor, got a tensor of shape {shape}", shape=value._spec.shape)
            return value.to(spec.dtype).expand(spec.shape).clone()  # type: ignore[attr-defined]
        out = apply("full", value, shape=spec.shape, dtype=spec.dtype)
        return apply("carry", out, apply("mul", self, 0)) if self.requires_grad else out


def _check_no_bool(name: str, *xs: Any) -> None:
    for x in xs:
        if isinstance(x, bool) or (isinstance(x, TensorCore) and x._spec.dtype is dt.bool_):
            raise DTypeError(
                "{name} with a bool tensor or a bool: write x ^ y for 'exactly one of both', ~x for 'not', or x.int()", name=name
            )


# Everything that has a form in place beside those of `Arithmetic`.
IN_PLACE = (
    "absolute", "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "asin",
    "asinh", "atan", "atan2", "atanh", "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or",
    "bitwise_right_shift", "bitwise_xor", "copysign", "cosh", "cumprod", "cumsum", "deg2rad", "digamma", "divide", "eq",
    "erfc", "erfinv", "exp2", "fix", "float_power", "frac", "ge", "greater", "greater_equal", "gt", "hypot", "index_add",
    "index_copy", "index_fill", "index_put", "ldexp", "le", "less", "less_equal", "lgamma", "log10", "log2",
    "logical_xor", "logit", "lt", "masked_scatter", "nan_to_num", "ne", "negative", "not_equal", "polygamma", "rad2deg",
    "scatter", "scatter_add", "scatter_reduce", "sinc", "sinh", "subtract", "tril", "triu", "true_divide", "xlogy",
)  # fmt: skip
for _name in IN_PLACE:
    setattr(Pointwise, f"{_name}_", _in_place(_name))
