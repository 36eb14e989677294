"""What the elementwise functions should give: float32 is compared with float64, float64 with 64-bit mantissas or mpmath."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from mpmath import mp
from native import native, ulps

from danlu.ops import TABLE

Array = np.ndarray


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def _by_mpmath(function: Callable) -> Callable[..., Array]:
    """The function at 40 digits; slow, so for few points."""

    def compute(*arrays: Array) -> Array:
        with mp.workdps(40):
            exact = [mp.nan if np.isnan(p).any() else function(*(mp.mpf(float(v)) for v in p)) for p in zip(*arrays)]
            return np.asarray([_long(v) for v in exact], np.longdouble)

    return compute


def _long(value) -> np.longdouble:
    """An mpmath number as a long double, in two parts."""
    if not mp.isfinite(value):
        return np.longdouble(float(value))
    exponent = 0 if value == 0 else int(mp.floor(mp.log(abs(value), 2)))
    scaled = value / mp.mpf(2) ** exponent
    high = float(scaled)
    return np.ldexp(np.longdouble(high) + np.longdouble(float(scaled - high)), exponent)


def _mp_lgamma(x):
    """log |Γ(x)|"""
    if not mp.isfinite(x):
        return mp.nan if mp.isnan(x) else mp.inf
    return mp.inf if x <= 0 and x == mp.floor(x) else mp.loggamma(x).real


def _mp_digamma(x):
    """Γ'(x) / Γ(x)"""
    if x == 0 or not mp.isfinite(x):
        return mp.nan if x < 0 or mp.isnan(x) else mp.inf
    return mp.nan if x < 0 and x == mp.floor(x) else mp.digamma(x)


def _each(function: Callable) -> Callable[[Array], Array]:
    return np.vectorize(function, otypes=[np.float64])


def _erf(x: Array) -> Array:
    """erf in float64; where a series or 1 is exact the slow function is spared."""
    out = np.where(np.abs(x) < 6, 2 / math.sqrt(math.pi) * x * (1 - x * x / 3), np.where(np.isnan(x), x, np.sign(x)))
    slow = (np.abs(x) > 1e-5) & (np.abs(x) < 6)
    out[slow] = [math.erf(v) for v in x[slow].tolist()]
    return out


# function → (reference for arrays of a wider type, or one of float64 and one by mpmath)
WIDE: dict[str, Callable] = {
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "sigmoid": _sigmoid, "tanh": np.tanh, "log": np.log, "log1p": np.log1p,
    "log2": np.log2, "log10": np.log10, "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x), "sin": np.sin, "cos": np.cos,
    "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "sinh": np.sinh, "cosh": np.cosh, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "pow": np.power, "atan2": np.arctan2, "hypot": np.hypot, "logaddexp": np.logaddexp,
}  # fmt: skip
SLOW: dict[str, tuple[Callable, Callable]] = {
    "erf": (_erf, _by_mpmath(mp.erf)),
    "erfc": (_each(math.erfc), _by_mpmath(lambda x: mp.erfc(min(x, 40)))),  # mpmath fails on erfc(1e200); both are 0
    "erfinv": (lambda x: TABLE["erfinv"].numpy(x), _by_mpmath(mp.erfinv)),
    "lgamma": (_by_mpmath(_mp_lgamma),) * 2,
    "digamma": (_by_mpmath(_mp_digamma),) * 2,
}
MPMATH = {"lgamma", "digamma"}  # opaque ops: NumPy functions in float64
OPS = {"digamma": "polygamma"}  # the op of a function where it is called otherwise
INSIDE = {"asin": 1, "acos": 1, "atanh": 1, "erfinv": 1}  # |x| ≤ this


def points32(name: str, step: int, first: int | None = None) -> list[Array]:
    """Every step-th float32, NaN and infinities included, and some of everyday sizes; pairs for a function of two."""
    with np.errstate(all="ignore"):
        x = np.arange(step // 2 if first is None else first, 2**32, step, dtype=np.uint64).astype(np.uint32).view(np.float32)
    if first is not None:  # one of the slices that make all numbers
        return _arguments(name, x)
    near = np.random.default_rng(0).normal(0, 3, x.size // 8).astype(np.float32)
    x = np.concatenate([x, near, near * 30])
    return _arguments(name, x)


def points64(name: str, count: int) -> list[Array]:
    """Random bit patterns, and random numbers of everyday sizes."""
    rng = np.random.default_rng(1)
    patterns = rng.integers(0, 2**64, count, dtype=np.uint64).view(np.float64)
    x = np.concatenate([patterns, rng.normal(0, 1, count), rng.uniform(-40, 40, count), rng.uniform(-760, 760, count)])
    if name in ("sin", "cos", "tan"):  # the long double functions reduce angles with 66 bits of π
        x = x[np.abs(x) < 2000]
    return _arguments(name, x)


def _arguments(name: str, x: Array) -> list[Array]:
    if name in INSIDE:
        with np.errstate(all="ignore"):
            small = np.where(np.abs(x) < INSIDE[name], x, np.modf(x)[0])
        x = np.concatenate([small, np.nextafter(small.dtype.type(1), small.dtype.type(0)) - np.abs(small[::5]) ** 8])
    if name in MPMATH or len(TABLE[name].sample) == 1:
        return [x[x != 0] if name in MPMATH else x]  # mpmath has no -0
    y = np.random.default_rng(2).permutation(x)
    if name == "logaddexp":  # of negative numbers the result may be 0 by cancellation: no relative error is promised there
        x, y = np.abs(x), np.abs(y)
    if name == "pow":  # results in range
        with np.errstate(all="ignore"):
            close = (x * np.random.default_rng(3).uniform(-200, 200, x.size) / np.log2(np.abs(x))).astype(x.dtype) / x
        y = np.where(np.arange(x.size) % 4 == 0, y, close)
        return [np.abs(x), y]
    return [x, y]


def worst(name: str, arguments: list[Array]) -> tuple[float, tuple[float, ...]]:
    """The greatest error in ulp, and where."""
    got = computed(name, arguments)
    with np.errstate(all="ignore"):
        wanted = _wanted(name, arguments)
        errors = ulps(got, wanted)
    at = int(errors.argmax())
    return float(errors[at]), tuple(float(a[at]) for a in arguments)


def computed(name: str, arguments: list[Array]) -> Array:
    """What danlu gives."""
    if name in MPMATH:
        return TABLE[OPS.get(name, name)].numpy(*arguments, **({"n": 0} if name in OPS else {}))
    return native(TABLE[name], *arguments)


def _wanted(name: str, arguments: list[Array]) -> Array:
    single = arguments[0].dtype == np.float32
    if name in SLOW:
        quick, exact = SLOW[name]
        return quick(*(a.astype(np.float64) for a in arguments)) if single else exact(*arguments)
    return WIDE[name](*(a.astype(np.float64 if single else np.longdouble) for a in arguments))
