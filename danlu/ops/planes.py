"""L2. What every op means for complex numbers, which a program knows only as two real planes.

A program computes with real numbers alone. Before it is compiled every complex node becomes two real ones, its real and its imaginary
part (compile/planes.py); `planes(o, *xs, **attrs)` in a record says how. There x is a `Planes` where the input is complex and a
node where it is real. What a formula serves badly, and whole-array functions, are called in NumPy (`LIBRARY`). An op without a
rule refuses complex numbers; movements, gathers and scatters need none.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from danlu import dtype as dt
from danlu.dtype import DType
from danlu.graph import OPAQUE, SOURCE, Node, Op, Spec
from danlu.ops import (  # noqa: F401  (these fill the table)
    contract,
    elementwise,
    mathematics,
    movement,
    reduce,
    scan,
    special,
    trigonometry,
    window,
)
from danlu.ops.table import TABLE, o, register


class Planes(NamedTuple):
    """A complex value as two real ones; `whole` is (re, im) side by side on a last axis of 2, where that is memory already."""

    re: Node
    im: Node
    whole: Node | None = None


LIBRARY = "library"  # in a record: call the NumPy reference on complex memory
EACH = "each"  # in a record: the op on both planes


def side_by_side(o, re: Node, im: Node) -> Node:
    """Two nodes as one with a last axis of 2."""
    shape = (*re.shape, 1)
    return o.cat(o.reshape(re, shape=shape), o.reshape(im, shape=shape), dim=len(re.shape))


def halves(o, x: Node) -> tuple[Node, Node]:
    """(*, 2) → x[…, 0] and x[…, 1]"""
    shape, ones = x.shape[:-1], (1,) * len(x.shape)
    lead = (0,) * len(shape)
    re, im = (o.slice(x, starts=(*lead, k), stops=(*shape, k + 1), steps=ones) for k in (0, 1))
    return o.reshape(re, shape=shape), o.reshape(im, shape=shape)


# ---- library calls --------------------------------------------------------------------------------------------------------------


def apart(spec: Spec) -> Spec:
    """A complex spec as memory of real numbers."""
    return Spec((*spec.shape, 2), dt.to_real(spec.dtype)) if spec.dtype.is_complex else spec


def _joined(spec: Spec, is_complex: bool) -> Spec:
    return Spec(spec.shape[:-1], dt.to_complex(spec.dtype)) if is_complex else spec


def _library_infer(*specs: Spec, name: str, attrs: tuple, complexes: tuple[bool, ...]) -> Any:
    result = TABLE[name].result(tuple(map(_joined, specs, complexes)), attrs)
    return tuple(map(apart, result)) if isinstance(result, tuple) else apart(result)


def _library_numpy(*arrays: np.ndarray, name: str, attrs: tuple, complexes: tuple[bool, ...]) -> Any:
    op = TABLE[name]
    given = [x.view(dt.to_complex(dt.from_numpy(x.dtype)).numpy)[..., 0] if c else x for x, c in zip(arrays, complexes)]
    result = op.numpy(*given, **dict(zip(op.attrs, attrs)))  # type: ignore[misc]
    return tuple(map(_parts, result)) if isinstance(result, tuple) else _parts(result)


def _parts(x: Any) -> np.ndarray:
    x = np.asarray(x)
    return np.stack([x.real, x.imag], -1) if x.dtype.kind == "c" else x


register(
    Op("library", OPAQUE, "The NumPy reference of another op on complex memory.", attrs=("name", "attrs", "complexes"), infer=_library_infer,
       numpy=_library_numpy)
)  # fmt: skip


def together(x: Planes) -> Node:
    """The planes as memory of complex numbers."""
    return x.whole or side_by_side(o, x.re, x.im)


def library_call(node: Node, xs: tuple) -> Any:
    """A node as a call of its NumPy reference: Planes, a real node, or a tuple of them."""
    complexes = tuple(isinstance(x, Planes) for x in xs)
    inputs = [together(x) if isinstance(x, Planes) else x for x in xs]
    result = o.library(*inputs, name=node.op.name, attrs=node.attrs, complexes=complexes)
    if not isinstance(result, tuple):
        return _taken_apart(result, node.spec)
    return tuple(map(_taken_apart, result, node.spec))


def _taken_apart(x: Node, spec: Spec) -> Any:
    return Planes(*halves(o, x), x) if spec.dtype.is_complex else x


def in_planes_of(node: Node, xs: tuple) -> Any:
    """What a node with complex inputs or results is in real nodes: Planes, a node, or (several results) a tuple of them."""
    if node.op.family == SOURCE:
        return _source(node)
    rule: Any = node.op.planes or EACH
    if rule == LIBRARY:
        return library_call(node, xs)
    return _each(node, xs) if rule == EACH else rule(o, *xs, **node.named_attrs)


def memory_of(node: Node) -> Planes:
    """The planes of complex memory."""
    spec = apart(node.spec)
    whole = Node(node.op, (), (node.attrs[0], spec), spec)
    return Planes(*halves(o, whole), whole)


def _each(node: Node, xs: tuple) -> Planes:
    build = getattr(o, node.op.name)
    return Planes(*(build(*(x[k] if isinstance(x, Planes) else x for x in xs), **node.named_attrs) for k in (0, 1)))


def _source(node: Node) -> Planes:
    """A constant, a number or a count in a complex dtype."""
    real, value = dt.to_real(node.dtype), node.attrs[0]
    if node.op.attrs[0] == "value":
        return Planes(o.number(value.real, real), o.number(value.imag, real))
    re = Node(node.op, (), tuple(real if a is node.dtype else a for a in node.attrs), Spec(node.shape, real))
    return Planes(re, o.like(0, re))


# ---- rules: arithmetic ------------------------------------------------------------------------------------------------------------


def _product(o, x: Planes, y: Planes) -> Planes:
    """(a + ib)(c + id) = (ac - bd) + i(ad + bc)"""
    return Planes(o.sub(o.mul(x.re, y.re), o.mul(x.im, y.im)), o.add(o.mul(x.re, y.im), o.mul(x.im, y.re)))


def _scaled(o, x: Planes, by: Any) -> Planes:
    """A complex number times a real one."""
    return Planes(o.mul(x.re, by), o.mul(x.im, by))


def _turned(o, x: Planes) -> Planes:
    """i·x"""
    return Planes(o.neg(x.im), x.re)


def _turned_back(o, x: Planes) -> Planes:
    """-i·x"""
    return Planes(x.im, o.neg(x.re))


def _quotient(o, x: Planes, y: Planes) -> Planes:
    """x / y by Smith's way (1962): the larger part of y is divided by, so that no square overflows."""
    wide = o.ge(o.abs(y.re), o.abs(y.im))
    large, small = o.where(wide, y.re, y.im), o.where(wide, y.im, y.re)
    none = o.logical_and(o.eq(large, 0), o.eq(small, 0))
    ratio = o.where(none, 0, o.div(small, large))
    by = o.where(none, 0, o.add(large, o.mul(small, ratio)))
    first, second = o.where(wide, x.re, x.im), o.where(wide, x.im, x.re)
    re = o.div(o.add(first, o.mul(second, ratio)), by)
    im = o.div(o.sub(second, o.mul(first, ratio)), by)
    return Planes(re, o.where(wide, im, o.neg(im)))


def _inverse(o, x: Planes) -> Planes:
    return _quotient(o, Planes(o.like(1, x.re), o.like(0, x.re)), x)


def _constant(x: Planes) -> Any:
    """The real number that is in every place, or None."""
    values = []
    for node in (x.re, x.im):
        while node.inputs and node.op is TABLE["expand"]:
            node = node.inputs[0]
        values.append(node.attrs[0] if node.op is TABLE["const"] else None)
    return values[0] if values[1] == 0 else None


def _power(o, x: Planes, y: Planes) -> Planes:
    """Squares, roots and inverses as such; other powers are left to NumPy."""
    exponent = _constant(y)
    if exponent in (1, 2):
        return x if exponent == 1 else _product(o, x, x)
    if exponent in (-1, 0.5):
        return _inverse(o, x) if exponent == -1 else _root(o, x)
    dtype = dt.to_complex(x.re.dtype)
    return library_call(Node(TABLE["pow"], (), (), Spec(x.re.shape, dtype)), (x, y))


def _cast(o, x: Any, dtype: DType) -> Any:
    if not isinstance(x, Planes):
        re = o.cast(x, dtype=dt.to_real(dtype))
        return Planes(re, o.like(0, re))
    if dtype is dt.bool_:
        return o.logical_or(o.ne(x.re, 0), o.ne(x.im, 0))
    return Planes(*(o.cast(part, dtype=dt.to_real(dtype)) for part in x[:2])) if dtype.is_complex else o.cast(x.re, dtype=dtype)


def _pad(o, x: Planes, low: tuple, high: tuple, value: Any) -> Planes:
    return Planes(o.pad(x.re, low=low, high=high, value=value.real), o.pad(x.im, low=low, high=high, value=value.imag))


def _contract(o, x: Planes, y: Planes, labels: tuple) -> Planes:
    def real(a: Node, b: Node) -> Node:
        return o.contract(a, b, labels=labels)

    return Planes(o.sub(real(x.re, y.re), real(x.im, y.im)), o.add(real(x.re, y.im), real(x.im, y.re)))


# ---- rules: functions ---------------------------------------------------------------------------------------------------------------


def _size(o, x: Planes) -> Node:
    return o.hypot(x.re, x.im)


def _blind(o, x: Planes, *sizes: float) -> Node:
    """Where re is ± one of `sizes` and the angle im is infinite or NaN: what Annex G of C99 says of it is no product."""
    found = functools.reduce(o.logical_or, [o.eq(o.abs(x.re), size) for size in sizes])
    return o.logical_and(found, o.logical_not(o.isfinite(x.im)))


def _real_stays(o, x: Planes, im: Node) -> Node:
    """The imaginary part of f(x) for a real f: 0 for a real x, also where re is infinite or NaN."""
    return o.where(o.eq(x.im, 0), x.im, im)


def _exponential(o, x: Planes, less_one: bool = False) -> Planes:
    """e^re (cos im + i sin im). Less one, the real part is (e^re - 1) cos im - 2 sin²(im / 2): no difference of numbers near 1."""
    blind, size, cos = _blind(o, x, math.inf), o.exp(x.re), o.cos(x.im)
    im = o.where(blind, o.sub(size, size), o.mul(size, o.sin(x.im)))  # 0 from 0, NaN from infinity
    if less_one:
        size, half = o.expm1(x.re), o.sin(o.mul(x.im, 0.5))
        re = o.sub(o.mul(size, cos), o.mul(o.mul(half, half), 2.0))
    else:
        re = o.mul(size, cos)
    return Planes(o.where(blind, size, re), _real_stays(o, x, im))


def _logarithm(o, x: Planes) -> Planes:
    """ln |x| + i·angle; near |x| = 1 by log1p of |x|² - 1 = (a - 1)(a + 1) + b², a the larger part."""
    size = _size(o, x)
    a, b = o.maximum(o.abs(x.re), o.abs(x.im)), o.minimum(o.abs(x.re), o.abs(x.im))
    near = o.logical_and(o.gt(size, 0.5), o.lt(size, 2.0))
    excess = o.add(o.mul(o.sub(a, 1.0), o.add(a, 1.0)), o.mul(b, b))
    return Planes(o.where(near, o.mul(0.5, o.log1p(excess)), o.log(size)), o.atan2(x.im, x.re))


def _root(o, x: Planes) -> Planes:
    """t = √((|x| + |re|) / 2) is one part of the root, im / 2t the other; both are infinite where im is."""
    t = o.sqrt(o.add(o.mul(_size(o, x), 0.5), o.mul(o.abs(x.re), 0.5)))
    other = o.div(o.abs(x.im), o.mul(o.where(o.eq(t, 0), 1.0, t), 2.0))
    t, other = (o.where(o.isinf(x.im), math.inf, part) for part in (t, other))
    right = o.ge(x.re, 0)
    return Planes(o.where(right, t, other), o.copysign(o.where(right, other, t), x.im))


def _hyperbolic_sine(o, x: Planes) -> Planes:
    """sinh re cos im + i cosh re sin im"""
    re = o.where(_blind(o, x, 0.0, math.inf), o.mul(x.re, x.re), o.mul(o.sinh(x.re), o.cos(x.im)))
    return Planes(re, _real_stays(o, x, o.mul(o.cosh(x.re), o.sin(x.im))))


def _hyperbolic_cosine(o, x: Planes) -> Planes:
    """cosh re cos im + i sinh re sin im"""
    re = o.where(_blind(o, x, math.inf), o.abs(x.re), o.mul(o.cosh(x.re), o.cos(x.im)))
    im = o.where(_blind(o, x, 0.0), x.re, o.mul(o.sinh(x.re), o.sin(x.im)))
    return Planes(re, o.where(o.eq(x.im, 0), o.mul(o.copysign(1.0, x.re), x.im), im))


def _hyperbolic_tangent(o, x: Planes) -> Planes:
    """Kahan 1987: with t = tan im, s = sinh re, β = 1 + t²: (β s √(1 + s²) + i t) / (1 + β s²). Far from 0 it is ±1."""
    far = 20.0 if x.re.dtype is dt.float32 else 40.0
    near = o.where(o.gt(x.re, far), far, o.where(o.lt(x.re, -far), -far, x.re))
    t, s = o.tan(x.im), o.sinh(near)
    beta = o.add(o.mul(t, t), 1.0)
    by = o.add(o.mul(beta, o.mul(s, s)), 1.0)
    re = o.div(o.mul(beta, o.mul(s, o.cosh(near))), by)
    re = o.where(_blind(o, x, 0.0, math.inf), o.div(near, far), re)  # 0 or ±1
    return Planes(re, _real_stays(o, x, o.where(o.isinf(x.re), o.copysign(0.0, t), o.div(t, by))))


def _of_turned(rule: Any, back: Any = lambda o, y: y) -> Any:
    """cos x = cosh(-ix), sin x = i sinh(-ix), tan x = i tanh(-ix)"""
    return lambda o, x: back(o, rule(o, _turned_back(o, x)))


def _sigmoid(o, x: Planes) -> Planes:
    """1 / (1 + e⁻ˣ)"""
    e = _exponential(o, Planes(o.neg(x.re), o.neg(x.im)))
    return _inverse(o, Planes(o.add(e.re, 1.0), e.im))


def _both(word: str, test: str) -> Any:
    """A question asked of both planes of one number, or of the planes of two."""

    def rule(o, *xs: Planes) -> Node:
        return getattr(o, word)(*(getattr(o, test)(*(x[k] for x in xs)) for k in (0, 1)))

    return rule


_LN2, _LN10 = 0.6931471805599453, 2.302585092994046
RULES: dict[str, Any] = {
    "mul": _product, "div": _quotient, "reciprocal": _inverse, "pow": _power, "abs": _size, "cast": _cast, "pad": _pad, "contract": _contract,
    "exp": _exponential, "expm1": lambda o, x: _exponential(o, x, less_one=True), "log": _logarithm, "sqrt": _root,
    "sinh": _hyperbolic_sine, "cosh": _hyperbolic_cosine, "tanh": _hyperbolic_tangent, "sigmoid": _sigmoid,
    "sin": _of_turned(_hyperbolic_sine, _turned), "cos": _of_turned(_hyperbolic_cosine), "tan": _of_turned(_hyperbolic_tangent, _turned),
    "rsqrt": lambda o, x: _inverse(o, _root(o, x)),
    "exp2": lambda o, x: _exponential(o, _scaled(o, x, _LN2)),
    "log2": lambda o, x: _scaled(o, _logarithm(o, x), 1 / _LN2), "log10": lambda o, x: _scaled(o, _logarithm(o, x), 1 / _LN10),
    "eq": _both("logical_and", "eq"), "ne": _both("logical_or", "ne"), "isnan": _both("logical_or", "isnan"),
    "isinf": _both("logical_or", "isinf"), "isfinite": _both("logical_and", "isfinite"),
    **dict.fromkeys(("add", "sub", "neg", "where", "contiguous", "stop", "carry", "rounded", "sum", "cumsum"), EACH),
    **dict.fromkeys(("prod", "cumprod", "log1p", "asin", "acos", "atan", "asinh", "acosh", "atanh"), LIBRARY),
}  # fmt: skip
for _name, _rule in RULES.items():
    TABLE[_name].planes = _rule
# Logic asks whether numbers are 0, and sees truth values alone: its inputs are cast before.
for _name in ("logical_and", "logical_or", "logical_xor", "logical_not"):
    TABLE[_name].planes = EACH
