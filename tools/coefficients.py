"""Makes danlu/ops/coefficients.py: minimax polynomials for the elementwise functions, by Remez's exchange in 120 digits.

`python tools/coefficients.py > danlu/ops/coefficients.py`; every entry below says what is approximated, where, and how well.
Wanted is the relative error of the whole function, so each polynomial P carries a weight: |weight(x)·(P(x) − g(x))| is minimised.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from mpmath import mp, mpf

mp.dps = 120
Function = Callable[[mpf], mpf]


def remez(g: Function, low: float, high: float, degree: int, weight: Function) -> tuple[list[mpf], mpf]:
    """The coefficients c₀ … c_degree of the minimax polynomial of g on [low, high], and the greatest weighted error."""
    low, high = mpf(low), mpf(high)
    count = degree + 2
    grid_size = 24 * count + 1  # odd: no grid point in the middle, where weights vanish
    grid = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / grid_size) for i in range(grid_size + 1)]
    values, weights = [g(x) for x in grid], [abs(weight(x)) for x in grid]
    reference = [round(i * grid_size / (count - 1)) for i in range(count)]
    for _ in range(40):
        coefficients = _level(grid, values, weights, reference, degree)
        errors = [w * (mp.polyval(coefficients[::-1], x) - v) for x, v, w in zip(grid, values, weights)]
        moved = _extremes(errors, count)
        if moved is None:
            raise ArithmeticError("the error does not alternate often enough")
        if moved == reference:
            break
        reference = moved
    return coefficients, max(map(abs, errors))


def _level(grid, values, weights, reference, degree) -> list[mpf]:
    """The polynomial whose weighted errors on the reference points are equal and alternate in sign."""
    rows = mp.matrix(degree + 2, degree + 2)
    right = mp.matrix(degree + 2, 1)
    for i, k in enumerate(reference):
        for power in range(degree + 1):
            rows[i, power] = grid[k] ** power
        rows[i, degree + 1] = (-1) ** i / weights[k]
        right[i] = values[k]
    return list(mp.lu_solve(rows, right))[: degree + 1]


def _extremes(errors: list[mpf], count: int) -> list[int] | None:
    """One index per run of equal sign, the greatest error of each, the `count` neighbours with the greatest errors."""
    runs: list[int] = []
    for i, e in enumerate(errors):
        if runs and (e > 0) == (errors[runs[-1]] > 0):
            if abs(e) > abs(errors[runs[-1]]):
                runs[-1] = i
        else:
            runs.append(i)
    while len(runs) > count:
        runs.pop(0 if abs(errors[runs[0]]) < abs(errors[runs[-1]]) else -1)
    return runs if len(runs) == count else None


def split(value: mpf, *bits: int) -> list[float]:
    """value as a sum of floats: each keeps so many bits, the last what a double holds."""
    parts = []
    for n in bits:
        exponent = mp.floor(mp.log(abs(value), 2)) + 1
        scale = mpf(2) ** (n - exponent)
        part = mp.nint(value * scale) / scale
        parts.append(float(part))
        value -= part
    return parts


LN2, HALF_PI = mp.log(2), mp.pi / 2
SQRT2 = mp.sqrt(2)


def near(x: mpf) -> mpf:
    """x away from 0, where the quotients below would be 0/0; the functions are smooth, so a point close by serves."""
    return x if abs(x) > mpf(10) ** -25 else mpf(10) ** -25


def over(f: Function) -> Function:
    """f at a point that is not 0."""
    return lambda x: f(near(x))


# name → (what P approximates, low, high, degree, weight that makes the error relative to the function); (32 and 64 bits)
def _log_tail(f: mpf) -> mpf:
    return (mp.log1p(f) - f + f * f / 2) / f**3


def _log_atanh(s2: mpf) -> mpf:
    s = mp.sqrt(s2)
    return (2 * mp.atanh(s) - 2 * s) / s**3


def _root(f: Function) -> Function:
    return lambda t: f(mp.sqrt(t))


POLYNOMIALS: dict[str, tuple[Function, float, float, int, Function]] = {}


def entry(name: str, low, high, degree: int, g: Function, weight: Function) -> None:
    POLYNOMIALS[name] = (over(g), low, high, degree, over(weight))


EXP_TAIL = lambda r: (mp.exp(r) - 1 - r) / r**2  # noqa: E731
for bits, degree in ((32, 4), (64, 9)):
    entry(f"EXP_{bits}", -LN2 / 2, LN2 / 2, degree, EXP_TAIL, lambda r: r * r / (mp.exp(r) - 1))
for bits, degree in ((32, 5), (64, 10)):
    entry(f"EXP2_{bits}", -0.5, 0.5, degree, lambda r: (mp.mpf(2) ** r - 1) / r, lambda r: r)
entry("LOG_32", 1 / SQRT2 - 1, SQRT2 - 1, 8, _log_tail, lambda f: f**3 / mp.log1p(f))
entry("LOG_64", 0, (3 - 2 * SQRT2) ** 2, 6, _log_atanh, lambda t: t / 2)
entry("LOG_64_REST", 0, (3 - 2 * SQRT2) ** 2, 6, lambda t: (_log_atanh(t) - mpf(2) / 3) / t, lambda t: t * t / 2)
for bits, degree in ((32, 3), (64, 6)):
    quarter = (mp.pi / 4) ** 2 * mpf("1.001")
    entry(f"SIN_{bits}", 0, quarter, degree - 1, _root(lambda r: (mp.sin(r) - r) / r**3), _root(lambda r: r**3 / mp.sin(r)))
    entry(
        f"COS_{bits}",
        0,
        quarter,
        degree - 1,
        _root(lambda r: (mp.cos(r) - 1 + r * r / 2) / r**4),
        _root(lambda r: r**4 / mp.cos(r)),
    )
for bits, degree in ((32, 4), (64, 9)):
    entry(f"TANH_{bits}", 0, mpf("0.3026"), degree, _root(lambda r: (mp.tanh(r) - r) / r**3), _root(lambda r: r**3 / mp.tanh(r)))
for bits, degree in ((32, 6), (64, 11)):
    entry(f"ERF_{bits}", 0, 1, degree, _root(lambda x: mp.erf(x) / x - 1), _root(lambda x: x / mp.erf(x)))
entry("ERF_TAIL_32", 1, 4, 6, lambda x: mp.log(mp.erfc(x)), lambda x: mp.erfc(x) / mp.erf(x))
entry("ASIN_64", 0, 0.25, 11, _root(lambda x: (mp.asin(x) - x) / x**3), _root(lambda x: x**3 / mp.asin(x)))
entry("ATAN_64", 0, (SQRT2 - 1) ** 2, 10, _root(lambda x: (mp.atan(x) - x) / x**3), _root(lambda x: x**3 / mp.atan(x)))


def _erfc_scaled(t: mpf) -> mpf:
    """(1 + 2x)·exp(x²)·erfc(x) with t = (x - 4) / (x + 4)."""
    x = 4 * (1 + t) / (1 - t)
    return (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x)


entry("ERFC_64", mpf(-3.55) / 4.45, mpf(24) / 32, 20, _erfc_scaled, lambda t: 1 / _erfc_scaled(t))


def _erfinv_of(w: mpf) -> mpf:
    """erfinv(x) / x with w = -log(1 - x²)."""
    x = mp.sqrt(-mp.expm1(-w))
    return mp.erfinv(x) / x


entry("ERFINV_64", 0, 5, 11, _erfinv_of, lambda w: 1 / _erfinv_of(w))
entry("ERFINV_TAIL_64", mp.sqrt(5), 6.1, 11, lambda s: _erfinv_of(s * s), lambda s: 1 / _erfinv_of(s * s))


def main() -> None:
    out = sys.stdout.write
    out('"""L2. Coefficients of the elementwise functions, written by tools/coefficients.py: constant term first."""\n\n')
    constants = {
        "LN2_32": split(LN2, 24, 24), "LN2_64": split(LN2, 53, 53),
        "LOG2E_32": split(1 / LN2, 24, 24), "LOG2E_64": split(1 / LN2, 53, 53),
        "LOG10E_32": split(1 / mp.log(10), 24, 24), "LOG10E_64": split(1 / mp.log(10), 53, 53),
        "LOG10_2_32": split(mp.log10(2), 24, 24), "LOG10_2_64": split(mp.log10(2), 53, 53),
        "LOG_64_FIRST": split(mpf(2) / 3, 53, 53),
        "HALF_PI_32": split(HALF_PI, 24, 24, 24), "HALF_PI_64": split(HALF_PI, 53, 53, 53),
    }  # fmt: skip
    for name, parts in constants.items():
        out(f"{name} = ({', '.join(map(repr, parts))})\n")
    with mp.workdps(500):
        bits = int(mp.floor(2 / mp.pi * mpf(2) ** 1280))
    words = ",\n    ".join(hex(bits >> (64 * (19 - k)) & (2**64 - 1)) for k in range(20))
    out(f"\n# the first 1280 bits of 2/π\nTWO_OVER_PI = (\n    {words},\n)\n")
    for name, (g, low, high, degree, weight) in POLYNOMIALS.items():
        coefficients, error = remez(g, low, high, degree, weight)
        kind = np.float32 if name.endswith("32") else float
        numbers = ",\n    ".join(repr(float(kind(c))) for c in coefficients)
        out(f"\n# on [{float(low):.4g}, {float(high):.4g}]: 2^{float(mp.log(error, 2)):.1f}\n{name} = (\n    {numbers},\n)\n")
        sys.stderr.write(f"{name}: 2^{float(mp.log(error, 2)):.1f}\n")


if __name__ == "__main__":
    main()
