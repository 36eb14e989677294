"""Random graphs for tests: every family of ops, shared nodes, several results, sizes 0 and 1, and inputs to run them on.

What is drawn is decided by `choose(list)`, so that hypothesis can shrink a graph and a plain random generator can hunt for long.
Values are kept small and comparisons are made of integers alone: rounding may differ in the last place, nothing else may.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from math import prod
from typing import Any

import numpy as np

from danlu import dtype as dt
from danlu.graph import Node, Spec
from danlu.ops import o
from danlu.ops.source import NUMBER
from danlu.testing import inputs_of

SIZES = [0, 1, 1, 2, 3, 5, 16, 17]
LARGEST = 3000
UNARY = ["neg", "abs", "relu", "tanh", "sigmoid", "sin", "isnan"]
BINARY = ["add", "sub", "mul", "maximum", "minimum", "hypot"]
WHOLE = ["add", "sub", "mul", "maximum", "bitwise_xor", "eq", "lt"]
FAMILIES = "unary binary binary number where cast move move move cat "
FAMILIES += "update reduce reduce product product take along put source"
NUMBERS = (0.75, 3)  # the Python numbers that a graph is run with


class Nothing(Exception):
    """There is no value of the kind that was asked for."""


class Graph:
    """A graph that grows node by node. `arrays` are its inputs, `pool` every value so far, with a bound of its size."""

    def __init__(
        self, choose: Callable[[Any], Any], sizes: list[int] = SIZES, largest: int = LARGEST, floats: tuple = (dt.float64,)
    ) -> None:
        self.choose, self.sizes, self.largest, self.floats = choose, sizes, largest, floats
        self.shapes = [self.shape() for _ in range(2)]
        specs = [(shape, dtype) for shape in self.shapes for dtype in (floats[0], dt.int64)]
        specs += [(self.shape(), choose([*floats, dt.int64, dt.bool_])) for _ in range(2)]
        rng = np.random.default_rng(choose(list(range(4))))
        self.arrays = [_array(rng, shape, dtype) for shape, dtype in specs]
        self.pool = [(x, 4.0) for x in inputs_of(self.arrays)]
        self.pool += [(Node(NUMBER, (), (0, dt.float64), Spec((), dt.float64)), 1.0)]
        self.made: list[Node] = []

    # ---- drawing ------------------------------------------------------------------------------------------------------
    def shape(self) -> tuple[int, ...]:
        """A small shape of 0 to 3 axes."""
        shape = tuple(self.choose(self.sizes) for _ in range(self.choose([0, 1, 2, 2, 3])))
        return shape if prod(shape) <= self.largest else shape[:1]

    def value(self, accept: Callable[[Node], bool] = lambda x: True) -> tuple[Node, float]:
        """A value so far, later ones as likely as the inputs. Raises Nothing where there is none of the kind."""
        found = [p for p in self.pool if accept(p[0])]
        if not found:
            raise Nothing
        return self.choose(found[-6:]) if self.choose([True, True, False]) else self.choose(found)

    def add(self, node: Node, bound: float) -> None:
        """A new value, made smaller where it may have become large."""
        if node.spec.size > self.largest:
            return
        if bound > 1e3 and node.dtype.kind == "f":
            node, bound = o.tanh(node), 1.0
        elif bound > 1e6 and node.dtype.kind == "i":
            node, bound = o.remainder(node, o.like(97, node)), 97.0
        self.pool.append((node, bound))
        self.made.append(node)

    def grow(self) -> None:
        """One more node, if there are values for it."""
        with suppress(Nothing):
            getattr(self, "_" + self.choose(FAMILIES.split()))()

    # ---- the families ---------------------------------------------------------------------------------------------------
    def _unary(self) -> None:
        x, bound = self.value()
        if x.dtype.kind == "f":
            name = self.choose(UNARY)
            self.add(getattr(o, name)(x), bound)
        elif x.dtype.kind == "i":
            self.add(self.choose([o.neg, o.abs, o.bitwise_not])(x), bound + 1)
        else:
            self.add(o.logical_not(x), 1)

    def _binary(self) -> None:
        x, bound = self.value()
        y, other = self._partner(x)
        if x.dtype.kind == "f":
            name = self.choose(BINARY)
        else:
            name = self.choose(WHOLE if x.dtype.kind == "i" else ["logical_and", "logical_or", "bitwise_xor"])
        self.add(getattr(o, name)(x, y), bound * other if name == "mul" else 2 * (bound + other))

    def _partner(self, x: Node) -> tuple[Node, float]:
        """A value of x's dtype that broadcasts with x."""
        return self.value(lambda y: y.dtype is x.dtype and _broadcast(x.shape, y.shape) is not None)

    def _number(self) -> None:
        x, bound = self.value(lambda y: y.dtype.kind in "if")
        number = Node(NUMBER, (), (1, x.dtype), Spec((), x.dtype))
        self.add(o.mul(x, self.choose([number, 2, -1, 1, 0])), bound * 3)

    def _where(self) -> None:
        x, bound = self.value()
        y, other = self._partner(x)
        shape = _broadcast(x.shape, y.shape)
        condition, _ = self.value(lambda c: c.dtype is dt.bool_ and _broadcast(c.shape, shape) is not None)
        self.add(o.where(condition, x, y), max(bound, other))

    def _cast(self) -> None:
        x, bound = self.value(lambda y: y.dtype.kind in "ib")
        to = self.choose([*self.floats, dt.int64, dt.bool_] if x.dtype.kind == "i" else [*self.floats, dt.int64])
        self.add(o.cast(x, dtype=to), bound)

    def _source(self) -> None:
        self.add(o.iota(shape=self.shape(), dtype=self.choose([dt.int64, self.floats[0]])), self.largest)

    def _move(self) -> None:
        x, bound = self.value()
        name = self.choose(["reshape", "permute", "expand", "slice", "dilate", "pad", "flip"])
        self.add(getattr(self, "_" + name)(x), bound)

    def _reshape(self, x: Node) -> Node:
        parts = [n for n in x.shape if n != 1]
        if self.choose([True, False]) and len(parts) > 1 and 0 not in parts:
            at = self.choose(list(range(len(parts) - 1)))
            parts[at : at + 2] = [parts[at] * parts[at + 1]]
        elif parts and parts[0] % 2 == 0 and parts[0]:
            parts[0:1] = self.choose([[2, parts[0] // 2], [parts[0] // 2, 2]])
        if self.choose([True, False]):
            parts.insert(self.choose(list(range(len(parts) + 1))), 1)
        return o.reshape(x, shape=tuple(parts))

    def _permute(self, x: Node) -> Node:
        rest, dims = list(range(len(x.shape))), []
        while rest:
            dims.append(rest.pop(self.choose(list(range(len(rest))))))
        return o.permute(x, dims=tuple(dims))

    def _expand(self, x: Node) -> Node:
        shape = tuple(self.choose([0, 1, 3, 4]) if n == 1 else n for n in x.shape)
        return o.expand(x, shape=(self.choose([1, 2, 3]), *shape) if self.choose([True, False]) and len(shape) < 4 else shape)

    def _slice(self, x: Node) -> Node:
        starts = tuple(self.choose(list(range(min(n, 3) + 1))) for n in x.shape)
        stops = tuple(self.choose(list(range(a, n + 1))[-4:]) for a, n in zip(starts, x.shape))
        return o.slice(x, starts=starts, stops=stops, steps=tuple(self.choose([1, 1, 2, 3]) for _ in x.shape))

    def _dilate(self, x: Node) -> Node:
        return o.dilate(x, steps=tuple(self.choose([1, 1, 2, 3]) for _ in x.shape))

    def _pad(self, x: Node) -> Node:
        value = 0 if x.dtype is dt.bool_ else self.choose([0, 1])
        low, high = (tuple(self.choose([0, 0, 1, 2]) for _ in x.shape) for _ in range(2))
        return o.pad(x, low=low, high=high, value=value)

    def _flip(self, x: Node) -> Node:
        return o.flip(x, dims=tuple(k for k in range(len(x.shape)) if self.choose([True, False])))

    def _cat(self) -> None:
        x, bound = self.value(lambda y: y.shape != ())
        dim = self.choose(list(range(len(x.shape))))
        rest = x.shape[:dim] + x.shape[dim + 1 :]
        y, other = self.value(
            lambda y: y.dtype is x.dtype and len(y.shape) == len(x.shape) and y.shape[:dim] + y.shape[dim + 1 :] == rest
        )
        self.add(o.cat(*self.choose([[x, y], [y, x, y], [x]]), dim=dim), max(bound, other))

    def _update(self) -> None:
        x, bound = self.value(lambda y: y.shape != ())
        part = self._slice(x)
        starts, _, steps = part.attrs
        v = self.choose([o.neg(part) if x.dtype.kind in "if" else part, o.expand(o.number(1, x.dtype), shape=part.shape)])
        self.add(o.slice_update(x, v, starts=starts, steps=steps), bound + 1)

    def _reduce(self) -> None:
        x, bound = self.value()
        dims = tuple(k for k in range(len(x.shape)) if self.choose([True, False]))
        count = prod(x.shape[d] for d in dims)
        names = ["any", "all"] if x.dtype is dt.bool_ else ["sum", "sum", "max", "min"] if count else ["sum", "prod"]
        self.add(getattr(o, self.choose(names))(x, dims=dims, keepdim=self.choose([True, False])), bound * max(count, 1))

    def _product(self) -> None:
        a, bound = self.value(lambda y: 1 <= len(y.shape) <= 3 and y.dtype.kind in "if")
        word = "abc"[: len(a.shape)]
        shared = self.choose(list(range(len(a.shape))))
        b, other = self.value(lambda y: y.dtype is a.dtype and 1 <= len(y.shape) <= 3 and a.shape[shared] in y.shape)
        second = list("xyz"[: len(b.shape)])
        second[self.choose([k for k, n in enumerate(b.shape) if n == a.shape[shared]])] = word[shared]
        keep = self.choose([True, False, False])  # a batch axis rather than a sum
        out = [c for c in dict.fromkeys([*word, *second]) if keep or c != word[shared]]
        out = self.choose([out, out[::-1]])
        self.add(o.contract(a, b, labels=(word, "".join(second), "".join(out))), bound * other * max(a.shape[shared], 1))

    def _positions(self, size: int, accept: Callable[[Node], bool]) -> Node:
        """Whole numbers that name elements of an axis, some from its end."""
        x, _ = self.value(lambda y: y.dtype is dt.int64 and accept(y) and size > 0)
        index = o.remainder(x, o.like(2 * size, x))
        return o.sub(index, o.like(size, index))

    def _take(self) -> None:
        x, bound = self.value(lambda y: y.shape != ())
        dim = self.choose(list(range(len(x.shape))))
        index = self._positions(x.shape[dim], lambda y: len(y.shape) <= 2)
        self.add(o.take(x, index, dim=dim), bound)

    def _along(self) -> None:
        x, bound = self.value(lambda y: y.shape != ())
        dim = self.choose(list(range(len(x.shape))))
        index = self._positions(x.shape[dim], lambda y: _fits_along(x.shape, y.shape, dim))
        self.add(o.take_along(x, index, dim=dim), bound)

    def _put(self) -> None:
        x, bound = self.value(lambda y: y.shape != () and y.dtype.kind in "if")
        dim = self.choose(list(range(len(x.shape))))
        along = self.choose([True, False])
        index = self._positions(x.shape[dim], lambda y: _fits_along(x.shape, y.shape, dim) if along else len(y.shape) <= 1)
        shape = index.shape if along else (*x.shape[:dim], *index.shape, *x.shape[dim + 1 :])
        source, other = self.value(
            lambda y: y.dtype is x.dtype and _broadcast(y.shape, shape) == shape and prod(shape) <= self.largest
        )
        name = self.choose(["scatter_add", "scatter_set"] if along else ["index_add", "index_set"])
        node = getattr(o, name)(x, index, o.expand(source, shape=shape), dim=dim)
        self.add(node, bound + other * prod(shape))


def _array(rng, shape: tuple[int, ...], dtype: dt.DType) -> np.ndarray:
    if dtype.kind == "f":
        return rng.uniform(-4, 4, shape).astype(dtype.numpy)
    return np.asarray(rng.integers(-9, 10, shape) if dtype.kind == "i" else rng.integers(0, 2, shape) > 0)


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        return None


def _fits_along(shape: tuple[int, ...], index: tuple[int, ...], dim: int) -> bool:
    return len(shape) == len(index) and all(m <= n for k, (n, m) in enumerate(zip(shape, index)) if k != dim)


def random_graph(choose: Callable[[Any], Any], count: int, **options: Any) -> tuple[Graph, list[Node]]:
    """A graph of about `count` nodes, and one to four of them as its results."""
    graph = Graph(choose, **options)
    for _ in range(count):
        graph.grow()
    if not graph.made:
        graph.add(o.add(graph.pool[0][0], graph.pool[0][0]), 8)
    return graph, [graph.made[-1], *(choose(graph.made) for _ in range(choose([0, 0, 1, 2, 3])))]


def differences(roots: list[Node], wanted: list[np.ndarray], got: list[np.ndarray], tolerance: float) -> list[str]:
    """What differs, in words."""
    found = []
    for root, w, g in zip(roots, wanted, got):
        if w.dtype.kind == "f":
            scale = max(1.0, float(np.abs(w[np.isfinite(w)]).max(initial=0)))
            same = np.isclose(g, w, rtol=tolerance, atol=tolerance * scale, equal_nan=True)
        else:
            same = g == w
        if not np.all(same):
            found.append(
                f"{root}: {np.count_nonzero(~same)} of {w.size} elements differ; wanted {w[~same][:4]}, got {g[~same][:4]}"
            )
    return found
