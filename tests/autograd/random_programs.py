"""Random programs of tensors: views of views, writes in place, several leaves and results, detached parts, values read in between.

A program is a seed. It is played in a world, which says what a view, a computation and a write are: `Eager` are the tensors of a library
(danlu or PyTorch), `Functional` is PyTorch without anything in place: a storage is a flat tensor that is replaced, a tensor the
positions of its elements in it. What is drawn depends on shapes alone, so that every world plays the same program.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np


class Eager:
    """The tensors of danlu or of PyTorch, used as everybody does."""

    def __init__(self, lib: Any) -> None:
        self.lib = lib

    def leaf(self, array: np.ndarray) -> Any:
        return self.lib.tensor(array, requires_grad=True)

    def constant(self, array: np.ndarray) -> Any:
        return self.lib.tensor(array)

    def compute(self, function: Callable, *xs: Any) -> Any:
        return function(self.lib, *xs).contiguous()  # which layout a result has is not promised: reshape shall be a view of it

    def view(self, function: Callable, x: Any) -> Any:
        return function(x)

    def write(self, function: Callable, x: Any, *values: Any) -> None:
        function(self.lib, x, x, *values)

    def detach(self, x: Any) -> Any:
        return x.detach()

    def no_grad(self) -> Any:
        return self.lib.no_grad()

    def read(self, x: Any) -> Any:
        return x

    def shape(self, x: Any) -> tuple[int, ...]:
        return tuple(x.shape)


class Family:
    """Tensors that are views of one another: the memory, which a detached family shares, and the flat tensor with their history."""

    def __init__(self, lib: Any, memory: list, flat: Any) -> None:
        self.lib, self.memory, self.flat = lib, memory, flat

    def now(self) -> Any:
        """The flat tensor; what was written without a derivative, or by another family, changes numbers and not the derivative."""
        if (self.flat.detach() != self.memory[0]).any():
            with self.lib.enable_grad():
                self.flat = self.memory[0] + (
                    self.flat - self.flat.detach()
                )  # + 0: the numbers to the bit, so that ties stay ties
        return self.flat


class Place:
    """A tensor of the functional world: positions in a family. `cut`: a view made without derivatives."""

    def __init__(self, family: Family, positions: Any, cut: bool = False) -> None:
        self.family, self.positions, self.cut = family, positions, cut


class Functional(Eager):
    """PyTorch without writes in place; what it differentiates cannot have been modified."""

    grad = True

    def _new(self, value: Any) -> Place:
        return Place(
            Family(self.lib, [value.detach().reshape(-1)], value.reshape(-1)), self.lib.arange(value.numel()).reshape(value.shape)
        )

    def leaf(self, array: np.ndarray) -> Any:
        value = self.lib.tensor(array, requires_grad=True)
        place = self._new(value)
        place.leaf = value
        return place

    def constant(self, array: np.ndarray) -> Any:
        return self._new(self.lib.tensor(array))

    def read(self, x: Place) -> Any:
        flat = x.family.memory[0] if x.cut else x.family.now()
        return flat[x.positions]

    def compute(self, function: Callable, *xs: Any) -> Any:
        return self._new(function(self.lib, *[self.read(x) if isinstance(x, Place) else x for x in xs]))

    def view(self, function: Callable, x: Place) -> Place:
        positions = function(x.positions)
        if positions.untyped_storage().data_ptr() != x.positions.untyped_storage().data_ptr():  # a reshape that had to copy
            return self._new(self.read(x).reshape(positions.shape))
        return Place(x.family, positions, x.cut or not self.grad)

    def write(self, function: Callable, x: Place, *values: Any) -> None:
        now = self.read(x)
        new = now.clone()
        function(self.lib, new, now, *[self.read(v) if isinstance(v, Place) else v for v in values])
        at = (x.positions.reshape(-1),)
        if not x.cut and self.grad:
            x.family.flat = x.family.now().index_put(at, new.reshape(-1))
        x.family.memory[0] = x.family.memory[0].index_put(at, new.detach().reshape(-1))

    def detach(self, x: Place) -> Place:
        return Place(Family(self.lib, x.family.memory, x.family.memory[0]), x.positions)

    def no_grad(self) -> Any:
        return _Without(self)

    def shape(self, x: Place) -> tuple[int, ...]:
        return tuple(x.positions.shape)


class _Without:
    def __init__(self, world: Functional) -> None:
        self.world = world

    def __enter__(self) -> None:
        self.world.grad = False
        self.inner = self.world.lib.no_grad()
        self.inner.__enter__()

    def __exit__(self, *error: object) -> None:
        self.inner.__exit__(*error)
        self.world.grad = True


UNARY = [
    lambda lib, x: x.sin(), lambda lib, x: x.tanh(), lambda lib, x: x.sigmoid() * 2, lambda lib, x: (x * x + 1).sqrt(),
    lambda lib, x: (x * 0.5).exp().tanh(), lambda lib, x: x.clone(), lambda lib, x: 1.5 - x, lambda lib, x: (x**3).tanh(),
    lambda lib, x: lib.where(x > 0.3, x, x * 0.5).cos(),
]  # fmt: skip
BINARY = [
    lambda lib, x, y: x + y, lambda lib, x, y: x - 0.5 * y, lambda lib, x, y: (x * y).tanh(), lambda lib, x, y: x / (y * y + 1),
    lambda lib, x, y: x.sin() * y.sigmoid(), lambda lib, x, y: lib.logaddexp(x, y), lambda lib, x, y: lib.atan2(x, y * y + 1),
]  # fmt: skip
REDUCE = [
    lambda lib, x: x.sum(), lambda lib, x: x.mean(0), lambda lib, x: x.logsumexp(-1), lambda lib, x: x.cumsum(0).tanh(),
    lambda lib, x: x.softmax(-1), lambda lib, x: (x * x).sum(-1, keepdim=True).sqrt(), lambda lib, x: x.flip(0),
    lambda lib, x: x.tanh().prod(-1), lambda lib, x: lib.cat([x, x * 2], 0).roll(1, 0), lambda lib, x: x.amax(0),
]  # fmt: skip
# A write into x; `now` is x as a value: in the functional world it is not the same tensor.
WRITE_ALONE = [
    lambda lib, x, now: x.mul_(0.7), lambda lib, x, now: x.tanh_(), lambda lib, x, now: x.neg_(), lambda lib, x, now: x.sin_(),
    lambda lib, x, now: x.fill_(0.25),
    lambda lib, x, now: x.clamp_(-0.8, 0.8), lambda lib, x, now: x.zero_(), lambda lib, x, now: x.sigmoid_(),
    lambda lib, x, now: x.sub_(now.detach().mean()),
]  # fmt: skip
WRITE_WITH = [
    lambda lib, x, now, v: x.add_(v), lambda lib, x, now, v: x.mul_(v.tanh()), lambda lib, x, now, v: x.copy_(v),
    lambda lib, x, now, v: x.sub_(v, alpha=0.5),
    lambda lib, x, now, v: x.addcmul_(v, v.tanh(), value=0.3), lambda lib, x, now, v: x.__setitem__(Ellipsis, v),
    lambda lib, x, now, v: x.__iadd__(v),
    lambda lib, x, now, v: x.div_(v * v + 1), lambda lib, x, now, v: x.lerp_(v, 0.25),
]  # fmt: skip


class Player:
    """Plays the program of a seed in a world. `smooth`: nothing that differences cannot follow (detached parts, extrema)."""

    def __init__(self, world: Eager, seed: int, smooth: bool) -> None:
        self.world, self.draw, self.smooth = world, random.Random(seed), smooth
        self.numbers = np.random.default_rng(seed)
        self.tensors: list[Any] = []
        self.fixed: set[int] = set()  # tensors that are not written: leaves, and those with overlapping elements

    def shape_of(self, x: Any) -> tuple[int, ...]:
        return self.world.shape(x)

    def add(self, x: Any, fixed: bool = False) -> Any:
        if fixed:
            self.fixed.add(len(self.tensors))
        self.tensors.append(x)
        return x

    def pick(self, accept: Callable[[tuple[int, ...]], bool] = lambda shape: True) -> Any:
        """A tensor, rather a new one."""
        found = [x for x in self.tensors if accept(self.shape_of(x))]
        return self.draw.choice([*found, *found[-3:], *found[-3:]])

    def written(self) -> Any:
        found = [x for k, x in enumerate(self.tensors) if k not in self.fixed]
        return self.draw.choice([*found, *found[-3:], *found[-3:]])

    def run(self, arrays: list[np.ndarray], steps: int) -> None:
        leaves = [self.add(self.world.leaf(a), fixed=True) for a in arrays]
        self.leaves = [getattr(x, "leaf", x) for x in leaves]
        for x in leaves:
            self.add(self.world.compute(lambda lib, x: x * 1.0, x))
        kinds = (
            ["view"] * 5
            + ["write"] * 4
            + ["write_with"] * 4
            + ["put"] * 4
            + ["unary", "binary", "binary", "reduce", "matmul", "look"]
        )
        kinds += [] if self.smooth else ["detach", "without", "maximum"]
        for _ in range(steps):
            getattr(self, "_" + self.draw.choice(kinds))()

    # ---- views ----------------------------------------------------------------------------------------------------------
    def _view(self) -> None:
        k = self.draw.randrange(len(self.tensors))
        k = self.draw.choice([k, len(self.tensors) - 1])
        x = self.tensors[k]
        function, overlapping = self.movement(self.shape_of(x))
        self.add(self.world.view(function, x), fixed=overlapping or k in self.fixed)

    def movement(self, shape: tuple[int, ...]) -> tuple[Callable, bool]:
        """A function that makes a view, and whether elements of it lie on one another."""
        draw, ndim, size = self.draw, len(shape), int(np.prod(shape))
        if ndim == 0 or size == 0:
            return lambda x: x.unsqueeze(0), False
        axis = draw.randrange(ndim)
        n = shape[axis]
        before = (slice(None),) * axis
        kind = draw.choice(
            [
                "cut",
                "step",
                "select",
                "transpose",
                "reshape",
                "flat",
                "expand",
                "diagonal",
                "unfold",
                "unsqueeze",
                "split",
                "narrow",
            ]
        )
        if kind == "cut":
            a, b = sorted((draw.randrange(n), draw.randrange(1, n + 1)))
            return lambda x: x[(*before, slice(a, max(b, a + 1)))], False
        if kind == "step":
            a, s = draw.randrange(n), draw.choice([1, 2, 3])
            return lambda x: x[(*before, slice(a, None, s))], False
        if kind == "select":
            k = draw.randrange(-n, n)
            return lambda x: x[(*before, k)], False
        if kind == "transpose":
            other = draw.randrange(ndim)
            return lambda x: x.transpose(axis, other), False
        if kind == "reshape":
            m = draw.choice([m for m in (1, 2, 3, size) if size % m == 0])
            return lambda x: x.reshape(m, -1), False
        if kind == "flat":
            return lambda x: x.flatten(), False
        if kind == "expand":
            m = draw.choice([1, 2, 3])
            return lambda x: x.unsqueeze(0).expand(m, *shape), m > 1
        if kind == "diagonal" and ndim >= 2:
            offset = draw.choice([0, 0, 1])
            if shape[0] and shape[1] > offset:
                return lambda x: x.diagonal(offset, 0, 1), False
        if kind == "unfold":
            m, s = draw.randrange(1, n + 1), draw.choice([1, 2])
            return lambda x: x.unfold(axis, m, s), s < m
        if kind == "split":
            m = draw.randrange(1, n + 1)
            return lambda x: x.split(m, axis)[0], False
        if kind == "narrow":
            a = draw.randrange(n)
            return lambda x: x.narrow(axis, a, n - a), False
        return lambda x: x.unsqueeze(axis), False

    # ---- computations ---------------------------------------------------------------------------------------------------
    def _unary(self) -> None:
        self.add(self.world.compute(self.draw.choice(UNARY), self.pick()))

    def _pair(self) -> tuple[Any, Any]:
        x = self.pick()
        shape = self.shape_of(x)
        return x, self.pick(lambda other: _fits(other, shape))

    def _binary(self) -> None:
        self.add(self.world.compute(self.draw.choice(BINARY), *self._pair()))

    def _maximum(self) -> None:
        self.add(self.world.compute(lambda lib, x, y: lib.maximum(x, y), *self._pair()))

    def _reduce(self) -> None:
        found = [x for x in self.tensors if 0 not in self.shape_of(x) and self.shape_of(x)]
        if found:
            functions = REDUCE[:-1] if self.smooth else REDUCE
            self.add(self.world.compute(self.draw.choice(functions), self.draw.choice(found)))

    def _matmul(self) -> None:
        found = [x for x in self.tensors if len(self.shape_of(x)) == 2]
        if found:
            x, y = self.draw.choice(found), self.draw.choice(found)
            right = self.shape_of(x)[1] == self.shape_of(y)[0]
            self.add(self.world.compute(lambda lib, x, y: (x @ (y if right else x.T)).tanh(), x, y))

    def _detach(self) -> None:
        k = self.draw.randrange(len(self.tensors))
        self.add(self.world.detach(self.tensors[k]), fixed=k in self.fixed)

    def _without(self) -> None:
        """A part without derivatives: a view or a write or a computation."""
        with self.world.no_grad():
            getattr(self, self.draw.choice(["_unary", "_view", "_write", "_write_with", "_binary"]))()

    def _look(self) -> None:
        """A value is read: what waits is computed."""
        self.world.read(self.draw.choice(self.tensors)).detach().numpy()

    # ---- writes ---------------------------------------------------------------------------------------------------------
    def _write(self) -> None:
        self.world.write(self.draw.choice(WRITE_ALONE), self.written())

    def _write_with(self) -> None:
        x = self.written()
        shape = self.shape_of(x)
        value = self.pick(lambda other: _stretches(other, shape))
        self.world.write(self.draw.choice(WRITE_WITH), x, value)

    def _put(self) -> None:
        x = self.written()
        shape = self.shape_of(x)
        if not shape or 0 in shape:
            return self._write()
        n, kind = (
            shape[0],
            self.draw.choice(["mask", "where", "rows", "shift", "swap", "index_add", "column", "scatter", "fill", "double"]),
        )
        mask = self.world.constant(self.numbers.random(shape) > 0.5)
        rows = self.numbers.permutation(n)[: self.draw.randrange(1, n + 1)]
        at, value = self.world.constant(rows), self.pick()
        number = self.world.compute(lambda lib, v: v.sum().tanh(), value)
        writes = {
            "mask": lambda lib, x, now, mask, at, v: x.masked_fill_(mask, -0.3),
            "where": lambda lib, x, now, mask, at, v: x.__setitem__(mask, v),
            "double": lambda lib, x, now, mask, at, v: x.__setitem__(mask, now[mask] * 2 + v),
            "rows": lambda lib, x, now, mask, at, v: x.__setitem__(at, v * 0.5),
            "shift": lambda lib, x, now, mask, at, v: x.__setitem__(slice(1, None), (now[:-1] * v).sin()),
            "swap": lambda lib, x, now, mask, at, v: x.__setitem__(at, now[at.flip(0)]),
            "index_add": lambda lib, x, now, mask, at, v: x.index_add_(0, at, now[at].sin() + v),
            "column": lambda lib, x, now, mask, at, v: x.__setitem__((..., 0), now[..., -1] * v),
            "scatter": lambda lib, x, now, mask, at, v: x.scatter_(
                0, at.reshape(-1, *[1] * (now.ndim - 1)).expand(-1, *now.shape[1:]), (now[:1] + v).tanh().expand(at.shape[0], *now.shape[1:])),
            "fill": lambda lib, x, now, mask, at, v: x.index_fill_(0, at, 0.1),
        }  # fmt: skip
        self.world.write(writes[kind], x, mask, at, number)

    # ---- results --------------------------------------------------------------------------------------------------------
    def results(self) -> list[Any]:
        """What is differentiated: the last tensors."""
        return [self.world.read(x) for x in self.tensors[-3:]]


def _fits(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        return int(np.prod(np.broadcast_shapes(a, b))) <= 200
    except ValueError:
        return False


def _stretches(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return _fits(a, b) and np.broadcast_shapes(a, b) == b


def starts(seed: int) -> list[np.ndarray]:
    """The leaves of a program."""
    rng, draw = np.random.default_rng(seed), random.Random(seed)
    shapes = [(4,), (2, 3), (3, 3), (2, 3, 2), (1, 4), (3, 1)]
    return [rng.uniform(-1, 1, draw.choice(shapes)) for _ in range(draw.choice([1, 2, 2, 3]))]


def weighted(lib: Any, ys: list[Any]) -> Any:
    """Σ w · y with weights that differ."""
    total = 0.0
    for k, y in enumerate(ys):
        if y.requires_grad and y.numel():
            weights = 1 + 0.5 * np.cos(np.arange(y.numel()) * 1.7 + k).reshape(tuple(y.shape))
            total = total + (y * lib.tensor(weights)).sum()
    return total


def play(world: Eager, seed: int, arrays: list[np.ndarray], smooth: bool = False, steps: int = 14) -> list[Any]:
    """The values of all tensors, the first and the second derivatives of the last ones; zeros for None."""
    lib, player = world.lib, Player(world, seed, smooth)
    player.run(arrays, steps)
    values = [world.read(x).detach().numpy() for x in player.tensors]
    first = gradient_of(lib, weighted(lib, player.results()), player.leaves, True)
    second = gradient_of(lib, weighted(lib, [g.sin() for g in first]), player.leaves, False)
    return [values, [g.detach().numpy() for g in first], [g.detach().numpy() for g in second]]


def gradient_of(lib: Any, y: Any, xs: list[Any], again: bool) -> list[Any]:
    """The gradients, zeros where there is none."""
    if not getattr(y, "requires_grad", False):
        return [lib.zeros_like(x) for x in xs]
    found = lib.autograd.grad(y, xs, create_graph=again, allow_unused=True)
    return [lib.zeros_like(x) if g is None else g for g, x in zip(found, xs)]
