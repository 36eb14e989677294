"""Graphs evaluated by their NumPy references, and numerical differences of them, in float64."""

from __future__ import annotations

import numpy as np

from danlu import dtype as dt
from danlu.autodiff import gradient, tangent
from danlu.graph import Node, Spec, toposort
from danlu.ops.source import BUFFER
from danlu.ops.table import o


def leaf(array: np.ndarray) -> Node:
    """An input of a graph."""
    return Node(BUFFER, (), (0, None), Spec(array.shape, dt.from_numpy(array.dtype)))


def evaluate(roots: list[Node], known: dict[int, np.ndarray]) -> list[np.ndarray]:
    """The values of nodes, op by op."""
    values: dict = dict(known)
    for node in toposort(roots):
        if id(node) not in values:
            with np.errstate(all="ignore"):
                result = node.op.numpy(*[values[id(x)] for x in node.inputs], **node.named_attrs)
            values[id(node)] = result if isinstance(result, tuple) else np.asarray(result)
    return [values[id(r)] for r in roots]


def directional(build, arrays: list[np.ndarray], steps: list[np.ndarray], h: float = 1e-6) -> np.ndarray:
    """(f(x + h·dx) - f(x - h·dx)) / 2h"""

    def at(sign: int) -> np.ndarray:
        moved = [a + sign * h * d for a, d in zip(arrays, steps)]
        nodes = [leaf(a) for a in moved]
        return evaluate([build(*nodes)], {id(n): a for n, a in zip(nodes, moved)})[0]

    return (at(1) - at(-1)) / (2 * h)


def check_derivatives(build, *arrays: np.ndarray, rtol: float = 1e-5, symmetric: bool = False) -> None:
    """The first derivative in both directions, and the second by reverse over reverse, along random directions."""
    rng = np.random.default_rng(0)
    steps = [_direction(rng, a, symmetric) for a in arrays]
    nodes = [leaf(a) for a in arrays]
    known = {id(n): a for n, a in zip(nodes, arrays)}
    y = build(*nodes)
    weight = leaf(rng.normal(size=y.shape))
    given = [leaf(d) for d in steps]
    known |= {id(weight): rng.normal(size=y.shape)} | {id(n): d for n, d in zip(given, steps)}
    expected = directional(build, list(arrays), steps)
    (forward,) = evaluate([tangent([y], nodes, given)[0]], known)
    np.testing.assert_allclose(forward, expected, rtol=rtol, atol=1e-6, err_msg="forward derivative")
    grads = gradient(y, weight, nodes)
    reverse = sum(np.sum(g * d) for g, d in zip(evaluate(grads, known), steps))
    np.testing.assert_allclose(reverse, np.sum(known[id(weight)] * expected), rtol=rtol, atol=1e-6, err_msg="reverse derivative")
    _check_second(build, arrays, steps, rtol)


def _direction(rng: np.random.Generator, a: np.ndarray, symmetric: bool) -> np.ndarray:
    d = rng.normal(size=a.shape)
    return d + np.swapaxes(d, -1, -2) if symmetric else d


def _check_second(build, arrays, steps, rtol: float) -> None:
    """d/dt of Σ ∇(Σ w·f)·dx along dx, against differences of the first derivative."""
    rng = np.random.default_rng(1)
    weights: dict = {}

    def slope(*nodes: Node) -> Node:
        y = build(*nodes)
        weights.setdefault("w", rng.normal(size=y.shape))
        w = constant(weights["w"])
        total = None
        for g, d in zip(gradient(y, w, nodes), steps):
            if g is not None:
                term = o.sum(o.mul(g, constant(d)), dims=tuple(range(len(g.shape))), keepdim=False)
                total = term if total is None else o.add(total, term)
        return total

    nodes = [leaf(a) for a in arrays]
    known = {id(n): a for n, a in zip(nodes, arrays)}
    s = slope(*nodes)
    second = gradient(s, o.like(1.0, s), nodes)
    values = evaluate([g for g in second if g is not None], known)
    kept = [d for g, d in zip(second, steps) if g is not None]
    expected = directional(slope, list(arrays), steps)
    np.testing.assert_allclose(
        sum(np.sum(g * d) for g, d in zip(values, kept)), expected, rtol=1e-4, atol=1e-5, err_msg="second derivative"
    )


def constant(array: np.ndarray) -> Node:
    """An array as a node of constants stacked: small arrays in tests only."""
    array = np.asarray(array)
    if not array.ndim:
        return o.const(value=float(array), dtype=dt.float64)
    parts = [o.reshape(constant(x), shape=(1, *x.shape)) for x in array]
    return parts[0] if len(parts) == 1 else o.cat(*parts, dim=0)
