"""Elementwise functions: errors in units of the last place, derivatives against differences, and PyTorch's choices at kinks."""

from __future__ import annotations

import numpy as np
import pytest
from native import compiled
from precise import MPMATH, SLOW, WIDE, points32, points64, worst

from danlu import dtype as dt
from danlu.autodiff import gradient, tangent
from danlu.compile.target import host
from danlu.graph import ELEMENTWISE, Node, Spec, toposort
from danlu.ops import TABLE, o
from danlu.ops.source import BUFFER

# docs/accuracy.md has the figures of a finer grid.
LIMIT32, LIMIT64 = 2.0, 4.0


@pytest.mark.parametrize("name", [*WIDE, *SLOW])
def test_error_in_float32(name):
    error, where = worst(name, points32(name, 4_000_037 if name in MPMATH else 400_009 if name in SLOW else 40_009))
    assert error <= LIMIT32, f"{name}{where}: {error} ulp"


@pytest.mark.parametrize("name", [n for n in [*WIDE, *SLOW] if n not in MPMATH])
def test_error_in_float64(name):
    error, where = worst(name, points64(name, 60 if name in SLOW else 10_000))
    assert error <= LIMIT64, f"{name}{where}: {error} ulp"


@pytest.mark.skipif(host().name != "AVX-512", reason="elsewhere powers of two are always two products")
@pytest.mark.parametrize("name", ["exp", "exp2", "sinh"])
def test_powers_of_two_in_one_instruction_have_the_same_bits(name):
    """Subnormal results, infinities and NaN among them; vectors and single elements."""
    x = np.concatenate([points32(name, 400_009)[0], np.linspace(-105, -85, 20_001, dtype=np.float32)])
    results = []
    for scales in (False, True):
        results.append(np.empty_like(x))
        compiled(TABLE[name], (dt.float32,), dt.float32, (), scales)(results[-1].ctypes.data, x.ctypes.data, x.size)
    assert (results[0].view(np.int32) == results[1].view(np.int32)).all()


@pytest.mark.parametrize("name", sorted(MPMATH))
def test_error_in_float32_beside_the_roots(name):
    """The numbers on both sides of each root, where terms of its size cancel; the poles too."""
    roots = {
        "lgamma": (1, 2, -2.4570247, -2.7476826, -3.1435809, -3.9552943, -4.0391614),
        "digamma": (1.4616321, -0.5040830, -1.5734985, -2.6107209, -9.7026725),
    }
    near = [
        np.float32(r) + np.float32(np.spacing(np.float32(r))) * np.arange(-20, 21, dtype=np.float32)
        for r in (*roots[name], -1, -7)
    ]
    error, where = worst(name, [np.concatenate([*near, np.asarray([-1e30, 1e30, 1e-30, -1e-30], np.float32)])])
    assert error <= LIMIT32, f"{name}{where}: {error} ulp"


def test_lgamma_is_infinite_at_every_pole():
    x = np.asarray([0.0, -1.0, -3.0, -1e20, -2.2e307, -np.inf, np.inf])
    assert np.isposinf(TABLE["lgamma"].numpy(x)).all()


def test_large_angles():
    """Against mpmath: angles so close to a multiple of π/2 that 60 bits cancel, and the largest floats."""
    from mpmath import mp
    from native import native, ulps

    x = np.asarray([6381956970095103.0 * 2.0**797, 1.7976931348623157e308, 1e22, 2.0**100, 1e9 + 0.5, -1e15, 5.1e15])
    with mp.workdps(700):
        for name, exact in (("sin", mp.sin), ("cos", mp.cos), ("tan", mp.tan)):
            wanted = np.asarray([float(exact(mp.mpf(float(v)))) for v in x])
            assert ulps(native(TABLE[name], x), wanted).max() <= LIMIT64


# ---- derivatives ----------------------------------------------------------------------------------------------------------


def leaf(x: np.ndarray, slot: int) -> Node:
    """An input of the graph."""
    spec = Spec(x.shape, dt.from_numpy(x.dtype))
    return Node(BUFFER, (), (slot, spec), spec)


def evaluate(roots: list[Node], known: dict[int, np.ndarray]) -> list[np.ndarray]:
    """The values of nodes by the NumPy references."""
    values = dict(known)
    for node in toposort(roots):
        if id(node) not in values:
            with np.errstate(all="ignore"):
                values[id(node)] = np.asarray(node.op.numpy(*[values[id(x)] for x in node.inputs], **node.named_attrs))
            assert values[id(node)].shape == node.shape, node
            assert values[id(node)].dtype == node.dtype.numpy, node
    return [values[id(r)] for r in roots]


def draw(op, count: int = 12) -> list[np.ndarray]:
    """Inputs from the domain of the record, away from its kinks."""
    rng = np.random.default_rng(7)
    out = []
    for low, high, kind in op.sample:
        if kind == "bool":
            out.append(rng.random(count) < 0.5)
        else:
            x = rng.uniform(low, high, count)
            out.append(np.where(np.abs(x - np.rint(x)) < 0.05, x + 0.1, x))
    return out


def build(op, arrays: list[np.ndarray]) -> tuple[Node, list[Node], dict[int, np.ndarray]]:
    leaves = [leaf(x, k) for k, x in enumerate(arrays)]
    y = getattr(o, op.name)(*leaves, **dict.fromkeys(op.attrs, dt.float64))
    return y, leaves, {id(n): x for n, x in zip(leaves, arrays)}


def value(op, arrays: list[np.ndarray]) -> np.ndarray:
    y, _, known = build(op, arrays)
    return evaluate([y], known)[0]


def differences(function, arrays: list[np.ndarray], k: int, h: float = 1e-5) -> np.ndarray:
    """∂(function)/∂ arrays[k], element by element, by a central difference of fourth order."""

    def at(step: float) -> np.ndarray:
        return function([x + step if i == k else x for i, x in enumerate(arrays)])

    return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)


SMOOTH = [op for op in TABLE.values() if op.family == ELEMENTWISE and op.sample and op.vjp and op.sample[0][2] != "integer"]


def floats(arrays: list[np.ndarray]) -> list[int]:
    return [k for k, x in enumerate(arrays) if x.dtype.kind == "f"]


def first(op, arrays: list[np.ndarray], k: int) -> np.ndarray | None:
    """∂y/∂xₖ by the reverse rule; None is zero."""
    y, leaves, known = build(op, arrays)
    if y.dtype.kind != "f":
        return None
    (g,) = gradient(y, o.like(1.0, y), [leaves[k]])
    return None if g is None else evaluate([g], known)[0]


@pytest.mark.parametrize("op", SMOOTH, ids=lambda op: op.name)
def test_first_derivative(op):
    arrays = draw(op)
    for k in floats(arrays):
        wanted = differences(lambda xs: value(op, xs).astype(np.float64), arrays, k)
        got = first(op, arrays, k)
        np.testing.assert_allclose(0 if got is None else got, wanted, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("op", SMOOTH, ids=lambda op: op.name)
def test_second_derivative(op):
    arrays = draw(op)
    for k in floats(arrays):
        if first(op, arrays, k) is None:
            continue
        y, leaves, known = build(op, arrays)
        (g,) = gradient(y, o.like(1.0, y), [leaves[k]])
        for j in floats(arrays):
            (second,) = gradient(g, o.like(1.0, g), [leaves[j]])
            got = 0 if second is None else evaluate([second], known)[0]
            wanted = differences(lambda xs, k=k: first(op, xs, k), arrays, j)
            np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("op", SMOOTH, ids=lambda op: op.name)
def test_forward_derivative_agrees_with_reverse(op):
    arrays = draw(op)
    y, leaves, known = build(op, arrays)
    which = floats(arrays)
    if y.dtype.kind != "f":
        return
    rng = np.random.default_rng(3)
    directions = [rng.normal(size=arrays[k].shape) for k in which]
    tangents = [leaf(d, 10 + k) for k, d in enumerate(directions)]
    known.update({id(n): d for n, d in zip(tangents, directions)})
    (dy,) = tangent([y], [leaves[k] for k in which], tangents)
    parts = [first(op, arrays, k) for k in which]
    wanted = sum(d * (0 if p is None else p) for d, p in zip(directions, parts))
    got = 0 if dy is None else evaluate([dy], known)[0]
    np.testing.assert_allclose(got, wanted + np.zeros(arrays[0].shape), rtol=1e-12, atol=1e-12)


KINKS = [
    ("abs", [0.0], [0.0]),
    ("relu", [0.0], [0.0]),
    ("sign", [0.0], [0.0]),
    ("sqrt", [0.0], [np.inf]),
    ("maximum", [1.0, 1.0], [0.5, 0.5]),
    ("minimum", [1.0, 1.0], [0.5, 0.5]),
    ("fmax", [2.0, 1.0], [1.0, 0.0]),
    ("pow", [0.0, 0.0], [0.0, 0.0]),
    ("pow", [0.0, 2.0], [0.0, 0.0]),
    ("pow", [0.0, 1.0], [1.0, 0.0]),
    ("copysign", [0.0, 1.0], [0.0, 0.0]),
    ("xlogy", [0.0, 0.0], [0.0, np.nan]),
    ("round", [0.5], [0.0]),
]


@pytest.mark.parametrize(("name", "point", "wanted"), KINKS)
def test_derivatives_at_kinks(name, point, wanted):
    arrays = [np.asarray([v]) for v in point]
    got = [first(TABLE[name], arrays, k) for k in range(len(arrays))]
    np.testing.assert_array_equal([0.0 if g is None else g[0] for g in got], wanted)


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "point", "wanted"), KINKS)
def test_kinks_are_pytorchs(name, point, wanted):
    torch = pytest.importorskip("torch")
    xs = [torch.tensor([v], dtype=torch.float64, requires_grad=True) for v in point]
    function = torch.relu if name == "relu" else getattr(torch, name)
    function(*xs).sum().backward()
    np.testing.assert_array_equal([float(x.grad) if x.grad is not None else 0.0 for x in xs], wanted)


@pytest.mark.parametrize("power", [2.0, 3.0, 1.0, 0.0])
def test_second_derivative_of_a_power_at_zero(power):
    """0² has the second derivative 2, and no order of derivative of x⁰ or x¹ is NaN."""
    arrays = [np.asarray([0.0]), np.asarray([power])]
    y, leaves, known = build(TABLE["pow"], arrays)
    (g,) = gradient(y, o.like(1.0, y), leaves[:1])
    (second,) = gradient(g, o.like(1.0, g), leaves[:1])
    assert evaluate([second], known)[0] == (2.0 if power == 2.0 else 0.0)
