"""L2. Elementwise records: arithmetic, comparison, logic, bits, rounding, casting and choice.

Derivatives are those of PyTorch at kinks: |x|' = 0 and relu' = 0 at 0, a tie of maximum or minimum gives half to each side.
Integer division by zero does not trap: floor_divide, remainder and fmod give 0 there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.dtype import DType
from danlu.errors import DTypeError
from danlu.graph import Spec
from danlu.messages import Phrase, both
from danlu.ops.table import broadcast_shapes, elementwise, elementwise_infer, promote_specs

REAL, ANY, INTEGER, BOOL = (-4.0, 4.0, "real"), (-4.0, 4.0, "any"), (-9, 9, "integer"), (0, 1, "bool")
SHIFT = [INTEGER, (0, 6, "integer")]


def _zero(b, x):
    return b.const(0, x.dtype)


def _one(b, x):
    return b.const(1, x.dtype)


def quiet(function):
    """The NumPy function without warnings: infinities and NaN are values like any other here."""

    def silent(*arrays: Any, **attrs: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*arrays, **attrs)

    return silent


def no_bool(name: str, result: str, instead: Phrase):
    """The shape rule of an arithmetic op that means nothing on bool."""
    general = elementwise_infer(name, result)

    def infer(*specs: Spec, **attrs: Any) -> Spec:
        if promote_specs(list(specs)) is dt.bool_:
            raise DTypeError("{name}: the inputs are bool; expected numbers. {instead}", name=name, instead=instead)
        return general(*specs, **attrs)

    return infer


# ---- one input ----------------------------------------------------------------------------------------------------------


def _sign_emit(b, x):
    zero = _zero(b, x)
    if not x.dtype.is_signed:
        return b.select(b.ne(x, zero), _one(b, x), zero)
    below = b.select(b.lt(x, zero), b.const(-1, x.dtype), b.select(b.eq(x, zero), zero, x))  # NaN stays NaN
    return b.select(b.gt(x, zero), _one(b, x), below)


elementwise(
    "neg", "-x", numpy=np.negative, emit=lambda b, x: b.neg(x), vjp=lambda o, g, y, x: (o.neg(g),),
    jvp=lambda o, y, xs, dxs: o.neg(dxs[0]), sample=[REAL],
    infer=no_bool("neg", "same", Phrase("Write logical_not(x) or ~x to turn truth values round")),
)  # fmt: skip


def _abs_infer(x: Spec) -> Spec:
    return Spec(x.shape, dt.to_real(x.dtype), x.weak)


def _abs_vjp(o, g, y, x):
    """g · x / |x|"""
    return (o.mul(g, o.sgn(x)),)


def _abs_jvp(o, y, xs, dxs):
    """The real part of conj(x / |x|) · dx"""
    return o.real(o.mul(o.conj(o.sgn(xs[0])), dxs[0])) if xs[0].dtype.is_complex else o.mul(dxs[0], o.sign(xs[0]))


elementwise("abs", "|x|", numpy=np.abs, emit=lambda b, x: b.abs(x), infer=_abs_infer, operands=lambda specs, out: (None,), vjp=_abs_vjp,
            jvp=_abs_jvp, wirtinger=True, sample=[REAL])  # fmt: skip
elementwise("sign", "-1, 0 or 1 as x is negative, zero or positive; NaN stays NaN.",
            numpy=lambda x: x if x.dtype == bool else np.sign(x), emit=_sign_emit, partials=(None,), sample=[REAL])  # fmt: skip
elementwise(
    "relu", "x where x > 0, else 0; NaN stays NaN. The derivative at 0 is 0.",
    numpy=lambda x: np.where(x < 0, x.dtype.type(0), x),
    emit=lambda b, x: b.select(b.lt(x, _zero(b, x)), _zero(b, x), x),  # one instruction; a zero keeps its sign
    vjp=lambda o, g, y, x: (o.where(o.gt(y, 0), g, 0),), jvp=lambda o, y, xs, dxs: o.where(o.gt(y, 0), dxs[0], 0), sample=[REAL],
)  # fmt: skip


# Integers are their own floor; no instruction is needed.
def _rounding(name: str, doc: str, numpy: Any, emit: Any) -> None:
    elementwise(
        name, doc, numpy=lambda x: numpy(x) if x.dtype.kind == "f" else x,
        emit=lambda b, x: emit(b)(x) if x.dtype.kind == "f" else x, partials=(None,), sample=[REAL],
    )  # fmt: skip


_rounding("floor", "The largest integer value ≤ x.", np.floor, lambda b: b.floor)
_rounding("ceil", "The smallest integer value ≥ x.", np.ceil, lambda b: b.ceil)
_rounding("trunc", "x without its fraction.", np.trunc, lambda b: b.trunc)
_rounding("round", "The nearest integer value; halves go to the even neighbour.", np.rint, lambda b: b.rint)


def _test(name: str, doc: str, numpy: Any, emit: Any, of_integer: bool) -> None:
    """A question that only floats answer with yes and no."""

    def constant(b, x):
        return b.eq(x, x) if of_integer else b.ne(x, x)

    elementwise(name, doc, numpy=numpy, emit=lambda b, x: (emit if x.dtype.kind == "f" else constant)(b, x), partials=(None,),
                result="bool", sample=[REAL])  # fmt: skip


def _infinity(b, x):
    return b.const(float("inf"), x.dtype)


_test("isnan", "True where x is NaN.", np.isnan, lambda b, x: b.is_nan(x), False)
_test("isinf", "True where x is +∞ or -∞.", np.isinf, lambda b, x: b.eq(b.abs(x), _infinity(b, x)), False)
_test("isfinite", "True where x is neither NaN nor infinite.", np.isfinite, lambda b, x: b.lt(b.abs(x), _infinity(b, x)), True)

# ---- arithmetic -----------------------------------------------------------------------------------------------------------


def _linear_jvp(second: int):
    """The tangent of x ± y."""

    def jvp(o, y, xs, dxs):
        dx, dy = dxs
        if dy is None:
            return dx
        if dx is None:
            return dy if second > 0 else o.neg(dy)
        return o.add(dx, dy) if second > 0 else o.sub(dx, dy)

    return jvp


elementwise("add", "x + y; `or` of truth values.", numpy=np.add,
            emit=lambda b, x, y: (b.or_ if x.dtype is dt.bool_ else b.add)(x, y),
            vjp=lambda o, g, z, x, y: (g, g), jvp=_linear_jvp(1), sample=[REAL, REAL])  # fmt: skip
elementwise("sub", "x - y", numpy=np.subtract, emit=lambda b, x, y: b.sub(x, y), vjp=lambda o, g, z, x, y: (g, o.neg(g)),
            jvp=_linear_jvp(-1), sample=[REAL, REAL],
            infer=no_bool("sub", "same", Phrase("Write logical_xor(x, y) or x ^ y for truth values")))  # fmt: skip
elementwise("mul", "x · y; `and` of truth values.", numpy=np.multiply,
            emit=lambda b, x, y: (b.and_ if x.dtype is dt.bool_ else b.mul)(x, y),
            partials=(lambda o, z, x, y: y, lambda o, z, x, y: x), sample=[REAL, REAL])  # fmt: skip


def _div_vjp(o, g, z, x, y):
    gx = o.div(g, y)
    return gx, o.neg(o.mul(gx, z))


def _div_jvp(o, z, xs, dxs):
    (dx, dy), (_, y) = dxs, xs
    if dy is None:
        return o.div(dx, y)
    change = o.mul(z, dy)
    return o.div(o.neg(change) if dx is None else o.sub(dx, change), y)


elementwise("div", "x / y, true division: integers become the default dtype.", numpy=quiet(np.true_divide),
            emit=lambda b, x, y: b.div(x, y), vjp=_div_vjp, jvp=_div_jvp, result="float",
            sample=[REAL, (0.5, 4.0, "positive")])  # fmt: skip
elementwise("reciprocal", "1 / x", numpy=quiet(lambda x: x.dtype.type(1) / x), emit=lambda b, x: b.div(_one(b, x), x),
            partials=(lambda o, y, x: o.neg(o.mul(y, y)),), result="float", sample=[(0.5, 4.0, "positive")])  # fmt: skip


def _safe_divisor(b, y):
    """1 where y is 0: the result is selected away, and the hardware does not trap."""
    return b.select(b.eq(y, _zero(b, y)), _one(b, y), y)


def _integer_parts(b, x, y):
    """Quotient and remainder towards zero, both 0 where y is 0; the smallest integer by -1 wraps instead of trapping."""
    divisor, overflow = _safe_divisor(b, y), None
    if x.dtype.kind == "i":
        overflow = b.eq(y, b.const(-1, y.dtype))
        divisor = b.select(overflow, _one(b, y), divisor)
    q, r = b.div(x, divisor), b.rem(x, divisor)
    if overflow is not None:
        q = b.select(overflow, b.neg(x), q)
    none = b.eq(y, _zero(b, y))
    return b.select(none, _zero(b, x), q), b.select(none, _zero(b, x), r)


def _turned(b, r, y):
    """Where the remainder is not 0 and has another sign than the divisor: rounding down differs from rounding to zero."""
    return b.and_(b.ne(r, _zero(b, r)), b.xor(b.lt(r, _zero(b, r)), b.lt(y, _zero(b, y))))


def _fmod_emit(b, x, y):
    return b.rem(x, y) if x.dtype.kind == "f" else _integer_parts(b, x, y)[1]


def _remainder_emit(b, x, y):
    r = _fmod_emit(b, x, y)
    down = b.select(_turned(b, r, y), b.add(r, y), r)
    return b.select(b.eq(r, _zero(b, r)), b.copysign(r, y), down) if x.dtype.kind == "f" else down


def _floor_divide_emit(b, x, y):
    if x.dtype.kind != "f":
        q, r = _integer_parts(b, x, y)
        return b.select(_turned(b, r, y), b.sub(q, _one(b, q)), q)
    r = b.rem(x, y)
    q = b.div(b.sub(x, r), y)
    q = b.select(_turned(b, r, y), b.sub(q, _one(b, q)), q)
    down = b.floor(q)
    down = b.select(b.gt(b.sub(q, down), b.const(0.5, q.dtype)), b.add(down, _one(b, q)), down)
    plain = b.div(x, y)
    down = b.select(b.eq(down, _zero(b, q)), b.copysign(_zero(b, q), plain), down)
    return b.select(b.eq(y, _zero(b, y)), plain, down)


def _remainder_partial(rounded: str):
    """∂(x - y·round(x / y))/∂y, the rounded quotient held fixed."""
    if rounded == "floor":
        return lambda o, r, x, y: o.neg(o.floor_divide(x, y))
    return lambda o, r, x, y: o.neg(o.trunc(o.div(x, y)))


DIVIDE = [REAL, (0.5, 4.0, "positive")]
elementwise("floor_divide", "⌊x / y⌋; integers by 0 give 0.", numpy=quiet(np.floor_divide), emit=_floor_divide_emit,
            partials=(None, None), sample=DIVIDE,
            infer=no_bool("floor_divide", "same", Phrase("Convert first: x.to(danlu.int64)")))  # fmt: skip
elementwise("remainder", "x - y·⌊x / y⌋, with the sign of y (Python's %); integers by 0 give 0.", numpy=quiet(np.remainder),
            emit=_remainder_emit, partials=(lambda o, r, x, y: 1, _remainder_partial("floor")), sample=DIVIDE,
            infer=no_bool("remainder", "same", Phrase("Convert first: x.to(danlu.int64)")))  # fmt: skip
elementwise("fmod", "x - y·trunc(x / y), with the sign of x (C's fmod); integers by 0 give 0.", numpy=quiet(np.fmod),
            emit=_fmod_emit, partials=(lambda o, r, x, y: 1, _remainder_partial("trunc")), sample=DIVIDE,
            infer=no_bool("fmod", "same", Phrase("Convert first: x.to(danlu.int64)")))  # fmt: skip

# ---- the larger and the smaller -------------------------------------------------------------------------------------------


def _extreme(name: str, doc: str, numpy: Any, emit: Any, beats: str) -> None:
    """`beats(x, y)` is true where x is the result; where x = y, each side takes half of the gradient."""

    def share(o, d, x, y):
        lost = o.where(getattr(o, beats)(y, x), 0, d)
        return o.where(o.eq(x, y), o.mul(d, 0.5), lost)

    def vjp(o, g, z, x, y):
        return share(o, g, x, y), share(o, g, y, x)

    def jvp(o, z, xs, dxs):
        (x, y), (dx, dy) = xs, dxs
        left = None if dx is None else share(o, dx, x, y)
        right = None if dy is None else share(o, dy, y, x)
        return right if left is None else left if right is None else o.add(left, right)

    elementwise(name, doc, numpy=numpy, emit=emit, vjp=vjp, jvp=jvp, sample=[REAL, REAL])


def _number_of(b, x, y, chosen):
    """The other one where one is NaN."""
    if x.dtype.kind != "f":
        return chosen
    return b.select(b.is_nan(x), y, b.select(b.is_nan(y), x, chosen))


_extreme("maximum", "The larger; NaN where either is NaN.", np.maximum, lambda b, x, y: b.maximum(x, y), "gt")
_extreme("minimum", "The smaller; NaN where either is NaN.", np.minimum, lambda b, x, y: b.minimum(x, y), "lt")


def _extreme_number(name: str, doc: str, numpy: Any, emit: Any, wins: str) -> None:
    """`wins(x, y)` is true where x is the result; of equals the first one is, and takes the whole gradient, as in PyTorch."""

    def first(o, x, y):
        return o.logical_or(getattr(o, wins)(x, y), o.ne(y, y))

    def vjp(o, g, z, x, y):
        won = first(o, x, y)
        return o.where(won, g, 0), o.where(won, 0, g)

    def jvp(o, z, xs, dxs):
        return o.where(first(o, *xs), *(0 if d is None else d for d in dxs))

    elementwise(
        name, doc, numpy=numpy, emit=lambda b, x, y: _number_of(b, x, y, emit(b, x, y)), vjp=vjp, jvp=jvp, sample=[REAL, REAL]
    )


_extreme_number("fmax", "The larger; a NaN loses against a number.", np.fmax, lambda b, x, y: b.maximum(x, y), "ge")
_extreme_number("fmin", "The smaller; a NaN loses against a number.", np.fmin, lambda b, x, y: b.minimum(x, y), "le")

# ---- comparison, logic, bits ----------------------------------------------------------------------------------------------


def _comparison(name: str, doc: str, numpy: Any) -> None:
    elementwise(name, doc, numpy=numpy, emit=lambda b, x, y: b.compare(name, x, y), partials=(None, None), result="bool",
                sample=[INTEGER, INTEGER])  # fmt: skip


_comparison("eq", "x == y", np.equal)
_comparison("ne", "x != y", np.not_equal)
_comparison("lt", "x < y", np.less)
_comparison("le", "x <= y", np.less_equal)
_comparison("gt", "x > y", np.greater)
_comparison("ge", "x >= y", np.greater_equal)


def _all_bool(specs: tuple[Spec, ...], out: Spec) -> tuple[DType, ...]:
    return (dt.bool_,) * len(specs)


def _logical(name: str, doc: str, numpy: Any, emit: Any, count: int = 2) -> None:
    elementwise(
        name, doc, numpy=numpy, emit=emit, partials=(None,) * count, result="bool", operands=_all_bool, sample=[BOOL] * count
    )


_logical("logical_and", "True where both are not 0.", np.logical_and, lambda b, x, y: b.and_(x, y))
_logical("logical_or", "True where one is not 0.", np.logical_or, lambda b, x, y: b.or_(x, y))
_logical("logical_xor", "True where exactly one is not 0.", np.logical_xor, lambda b, x, y: b.xor(x, y))
_logical("logical_not", "True where x is 0.", np.logical_not, lambda b, x: b.not_(x), 1)


def _whole(name: str, of_bool: bool = True):
    """The shape rule of an op on bits: no floats, and no bool for a shift."""
    general = elementwise_infer(name, "same")

    def infer(*specs: Spec) -> Spec:
        out = general(*specs)
        if out.dtype.differentiable or (out.dtype.kind == "b" and not of_bool):
            given, wanted = both(s.dtype.name for s in specs), Phrase("integers or bool") if of_bool else Phrase("integers")
            raise DTypeError(
                "{name}: the inputs are {given}; expected {wanted}. Convert first: x.to(danlu.int64)",
                name=name,
                given=given,
                wanted=wanted,
            )
        return out

    return infer


def _bitwise(name: str, doc: str, numpy: Any, emit: Any, samples: list, of_bool: bool = True) -> None:
    elementwise(name, doc, numpy=numpy, emit=emit, infer=_whole(name, of_bool), partials=(None,) * len(samples), sample=samples)


def _shift(b, x, y, shifted, beyond):
    """`beyond` where the shift is not within the width of the type: hardware leaves that open."""
    width = b.const(x.dtype.itemsize * 8, x.dtype)
    inside = b.lt(y, width) if x.dtype.kind == "u" else b.and_(b.ge(y, _zero(b, y)), b.lt(y, width))
    return b.select(inside, shifted(x, b.select(inside, y, _zero(b, y))), beyond)


def _shr_emit(b, x, y):
    last = b.const(x.dtype.itemsize * 8 - 1, x.dtype)
    return _shift(b, x, y, b.shr, b.shr(x, last) if x.dtype.kind == "i" else _zero(b, x))


_bitwise("bitwise_and", "x & y", np.bitwise_and, lambda b, x, y: b.and_(x, y), [INTEGER] * 2)
_bitwise("bitwise_or", "x | y", np.bitwise_or, lambda b, x, y: b.or_(x, y), [INTEGER] * 2)
_bitwise("bitwise_xor", "x ^ y", np.bitwise_xor, lambda b, x, y: b.xor(x, y), [INTEGER] * 2)
_bitwise("bitwise_not", "~x; logical for bool.", np.invert, lambda b, x: b.not_(x), [INTEGER])
_bitwise(
    "shl",
    "x << y; 0 where y is not in 0 … width - 1.",
    np.left_shift,
    lambda b, x, y: _shift(b, x, y, b.shl, _zero(b, x)),
    SHIFT,
    False,
)
_bitwise("shr", "x >> y, with the sign of x; 0 or -1 where y is not in 0 … width - 1.", np.right_shift, _shr_emit, SHIFT, False)

# ---- choice and conversion --------------------------------------------------------------------------------------------------


def _where_infer(c: Spec, x: Spec, y: Spec) -> Spec:
    if c.dtype is not dt.bool_:
        raise DTypeError("where: the condition is {dtype}; expected bool. Write where(c != 0, x, y)", dtype=c.dtype.name)
    return Spec(broadcast_shapes("where", [c.shape, x.shape, y.shape]), promote_specs([x, y]), c.weak and x.weak and y.weak)


def _where_jvp(o, z, xs, dxs):
    _, dx, dy = dxs
    if dx is None and dy is None:
        return None
    return o.where(xs[0], 0 if dx is None else dx, 0 if dy is None else dy)


elementwise(
    "where", "x where c, else y.", infer=_where_infer, operands=lambda specs, out: (dt.bool_, out.dtype, out.dtype),
    numpy=np.where, emit=lambda b, c, x, y: b.select(c, x, y),
    vjp=lambda o, g, z, c, x, y: (None, o.where(c, g, 0), o.where(c, 0, g)), jvp=_where_jvp, sample=[BOOL, REAL, REAL],
)  # fmt: skip


def _cast_numpy(x, dtype: DType):
    """To integers towards zero, held within their range, NaN as 0; as the machine code does it."""
    if x.dtype.kind == "c" and not (dtype.is_complex or dtype is dt.bool_):
        x = x.real
    if x.dtype.kind != "f" or dtype.kind not in "iu":
        with np.errstate(all="ignore"):
            return x.astype(dtype.numpy)
    bounds = np.iinfo(dtype.numpy)
    wide = np.trunc(np.where(np.isnan(x), 0, x).astype(np.float64))
    low, high = wide <= float(bounds.min), wide >= float(bounds.max)
    inner = np.where(low | high, 0, wide).astype(dtype.numpy)
    return np.where(low, dtype.numpy.type(bounds.min), np.where(high, dtype.numpy.type(bounds.max), inner))


def _cast_emit(b, x, dtype: DType):
    if dtype is not dt.float16:
        return b.cast(x, dtype)
    narrow = _to_odd(b, x) if x.dtype is dt.float64 else b.cast(x, dt.float32)
    return b.cast(b.cast(narrow, dt.float16), dt.float32)


def _to_odd(b, x):
    """float64 as float32, an inexact result with its last bit set: rounding that once more to float16 is right."""
    y = b.cast(x, dt.float32)
    back, pattern = b.cast(y, dt.float64), b.bits(y)
    one, zero = b.const(1, dt.int32), b.const(0, dt.int32)
    step = b.select(b.gt(b.abs(back), b.abs(x)), b.const(-1, dt.int32), one)
    even = b.eq(b.and_(pattern, one), zero)
    finite = b.lt(b.abs(y), b.const(float("inf"), dt.float32))
    moved = b.and_(b.and_(b.ne(back, x), even), finite)
    return b.from_bits(b.add(pattern, b.select(moved, step, zero)))


def _cast_back(o, g, x):
    return o.cast(g, dtype=x.dtype) if x.dtype.differentiable else None


elementwise(
    "cast", "x as another dtype: to bool by x != 0, to integers towards zero and held within their range, NaN as 0.",
    attrs=("dtype",), infer=lambda x, dtype: Spec(x.shape, dtype), operands=lambda specs, out: (None,),
    numpy=_cast_numpy, emit=_cast_emit,
    vjp=lambda o, g, y, x, dtype: (_cast_back(o, g, x) if dtype.differentiable else None,),
    jvp=lambda o, y, xs, dxs, dtype: o.cast(dxs[0], dtype=dtype) if dtype.differentiable else None, sample=[REAL],
)  # fmt: skip
