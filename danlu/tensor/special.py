"""L5. Special functions as methods: Bessel, incomplete gamma, common divisors, the parts of a float."""

from __future__ import annotations

from typing import Any, NamedTuple

from danlu import dtype as dt
from danlu.errors import DTypeError, ShapeError
from danlu.tensor.arithmetic import _in_place, _unary
from danlu.tensor.core import TensorCore, apply
from danlu.tensor.pointwise import _of_tensors


class Frexp(NamedTuple):
    """m and n with x = m · 2ⁿ."""

    mantissa: Any
    exponent: Any


def _whole_pair(op: str, doc: str) -> Any:
    """A method of two integer tensors."""

    def method(self: TensorCore, other: Any) -> Any:
        for x in (self, other):
            if not isinstance(x, TensorCore) or x._spec.dtype.kind not in "iu":
                found = x._spec.dtype.name if isinstance(x, TensorCore) else type(x).__name__
                raise DTypeError(
                    "{op} takes tensors of integers, got {found}; write x.long(), or danlu.tensor(...) around a number",
                    op=op,
                    found=found,
                )
        return apply(op, self, other)

    method.__name__, method.__doc__ = op, doc
    return method


class Special(TensorCore):
    """Special functions."""

    __slots__ = ()

    i0 = _unary("i0", "I₀(x) = Σ (x/2)²ᵏ / (k!)², the modified Bessel function of the first kind of order 0.")
    logaddexp2 = _of_tensors("logaddexp2", "log₂(2ˣ + 2ʸ)")
    nextafter = _of_tensors(
        "nextafter",
        "y = min {v: v > x} toward a larger other, max {v: v < x} toward a smaller one: the float that follows x on the way.",
    )
    gcd = _whole_pair("gcd", "y = max {d: d divides x and other}, the greatest common divisor.")
    lcm = _whole_pair("lcm", "y = |x · other| / gcd(x, other), the least common multiple.")
    igamma = _of_tensors("igamma", "1/Γ(a) ∫₀ˣ tᵃ⁻¹ e⁻ᵗ dt, a this tensor and x the other.")
    igammac = _of_tensors("igammac", "y = 1 - igamma(a, x), without cancellation.")

    def heaviside(self, values: Any) -> Any:
        """0 where x < 0, 1 where x > 0, `values` where x is 0."""
        if not isinstance(values, TensorCore) or values._spec.dtype is not self._spec.dtype:
            found = values._spec.dtype.name if isinstance(values, TensorCore) else type(values).__name__
            raise DTypeError(
                "heaviside: values is {found} and the tensor {dtype}; write values.to(x.dtype)",
                found=found,
                dtype=self._spec.dtype.name,
            )
        return apply("heaviside", self, values)

    def frexp(self) -> Frexp:
        """(mantissa, exponent): x = mantissa · 2 ** exponent with ½ ≤ |mantissa| < 1.

        Shapes: (*) → mantissa (*), exponent (*) of int32.
        """
        if not self._spec.dtype.is_floating_point:
            raise DTypeError("frexp of {dtype}; expected a floating dtype: write x.float()", dtype=self._spec.dtype.name)
        return Frexp(*apply("frexp", self))

    def mvlgamma(self, p: int) -> Any:
        """log Γₚ(x), the logarithm of the multivariate gamma function.

        log Γₚ(x) = p (p - 1) / 4 · log π + Σ_{j<p} log Γ(x - j / 2)

        Shapes: (*) → (*): element by element.
        """
        if self._spec.dtype is dt.bool_:
            raise DTypeError("mvlgamma of a bool tensor; expected numbers: write x.float()")
        if p < 1:
            raise ShapeError("mvlgamma: p={p}; expected a dimension of 1 or more", p=p)
        return apply("mvlgamma", self, p=int(p))


for _name in ("i0", "gcd", "lcm", "igamma", "igammac", "heaviside", "mvlgamma", "nextafter"):
    setattr(Special, f"{_name}_", _in_place(_name))
