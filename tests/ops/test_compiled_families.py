"""Compiled code against the NumPy references on shapes that hypothesis makes: contractions, gathers, scatters, windows, scans, composites
along axes, and the functions of libraries. Integers, truth and what only moves elements exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st
from samples import SymmetricInput, generator, matrix, ordered
from test_compiled_shapes import DTYPES, SIZES, compare, seen, several

from danlu import dtype as dt
from danlu.errors import DTypeError, ShapeError
from danlu.graph import Node
from danlu.ops import o
from danlu.ops.window import window_counts
from danlu.testing import inputs_of

FLOATS = st.sampled_from([dt.float32, dt.float64])
EVERY = st.sampled_from(DTYPES)
PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]  # explaining a failure takes minutes
SUMMED = {2: 3e-2, 4: 5e-5, 8: 1e-10}  # sums of products, in another order


class Inputs:
    """The arrays of a program, and their nodes; `seen` as views."""

    def __init__(self, draw, name: str) -> None:
        self.draw, self.rng, self.arrays = draw, generator(name), []

    def put(self, array: np.ndarray, plain: bool = False) -> Node:
        array = np.asarray(array, order="C")
        self.arrays.append(array)
        node = inputs_of(self.arrays)[-1]
        return node if plain else seen(self.draw, node)

    def numbers(self, shape: tuple[int, ...], dtype: dt.DType) -> Node:
        scale = 1 if dtype.kind == "f" else 3
        return self.put((self.rng.uniform(0 if dtype.kind == "u" else -2, 2, shape) * scale).astype(dtype.numpy))

    def positions(self, size: int, shape: tuple[int, ...]) -> Node:
        kind = self.draw(st.sampled_from([np.int64, np.int64, np.int32, np.uint8]))
        return self.put(self.rng.integers(0 if kind is np.uint8 else -size, size, shape).astype(kind))


def contract(a: Inputs) -> Node:
    """Each label is summed, of the batch, or of one operand; in any order; what is read and what is written may be computed."""
    roles = a.draw(st.lists(st.sampled_from("sskblr"), min_size=1, max_size=5))
    labels = list(zip("abcde", roles, (a.draw(SIZES) for _ in roles)))
    word = lambda kinds: "".join(a.draw(st.permutations([x for x, role, _ in labels if role in kinds])))  # noqa: E731
    first, second, out = word("skbl"), word("skbr"), word("blr")
    sizes, dtype = {x: n for x, _, n in labels}, a.draw(EVERY)
    x, y = (a.numbers(tuple(sizes[c] for c in w), dtype) for w in (first, second))
    if dtype is not dt.bool_ and a.draw(st.booleans()):
        x = o.mul(x, x)
    y = o.contract(x, y, labels=(first, second, out))
    return o.maximum(y, 1) if a.draw(st.booleans()) and dtype is not dt.bool_ else y


def matmul(a: Inputs) -> Node:
    m, k, n = (a.draw(SIZES) for _ in range(3))
    lead = a.draw(st.sampled_from([(), (), (2,), (3, 1), (2, 3)]))
    right = a.draw(st.sampled_from([(), lead, tuple(1 for _ in lead)]))
    dtype = a.draw(EVERY)
    return o.matmul(a.numbers((*lead, m, k), dtype), a.numbers((*right, k, n), dtype))


def linear(a: Inputs) -> Node:
    (rows, k, n), dtype = (a.draw(SIZES) for _ in range(3)), a.draw(FLOATS)
    return o.linear(a.numbers((rows, k), dtype), a.numbers((n, k), dtype), a.numbers((n,), dtype))


CONTRACTED = [contract, contract, matmul, linear]


def _axes(a: Inputs, least: int = 1) -> tuple[tuple[int, ...], int]:
    shape = tuple(a.draw(st.lists(SIZES, min_size=least, max_size=3)))
    return shape, a.draw(st.integers(0, len(shape) - 1))


def _index(a: Inputs, size: int) -> Node:
    shape = tuple(a.draw(st.lists(SIZES, max_size=2)))
    return a.positions(size, shape if size else (0,))


def take(a: Inputs) -> Node:
    shape, dim = _axes(a)
    return o.take(a.numbers(shape, a.draw(EVERY)), _index(a, shape[dim]), dim=dim)


def put(a: Inputs) -> Node:
    (shape, dim), dtype = _axes(a), a.draw(EVERY)
    index = _index(a, shape[dim])
    source = a.numbers((*shape[:dim], *index.shape, *shape[dim + 1 :]), dtype)
    return a.draw(st.sampled_from([o.index_add, o.index_set]))(a.numbers(shape, dtype), index, source, dim=dim)


def _along(a: Inputs) -> tuple[tuple[int, ...], int, Node]:
    shape, dim = _axes(a)
    lengths = tuple(a.draw(SIZES) if k == dim else a.draw(st.integers(0, n)) for k, n in enumerate(shape))
    return shape, dim, a.positions(shape[dim], lengths if shape[dim] else (0,) * len(shape))


def take_along(a: Inputs) -> Node:
    shape, dim, index = _along(a)
    return o.take_along(a.numbers(shape, a.draw(EVERY)), index, dim=dim)


def scatter(a: Inputs) -> Node:
    (shape, dim, index), dtype = _along(a), a.draw(EVERY)
    if a.draw(st.integers(0, 3)) == 0 and dtype is not dt.bool_:
        reduce = a.draw(st.sampled_from(["prod", "amax", "amin"]))
        return o.scatter_reduce(a.numbers(shape, dtype), index, a.numbers(index.shape, dtype), dim=dim, reduce=reduce)
    function = a.draw(st.sampled_from([o.scatter_add, o.scatter_set]))
    return function(a.numbers(shape, dtype), index, a.numbers(index.shape, dtype), dim=dim)


PLACED = [take, put, take_along, scatter]


def _windows(a: Inputs, least: int = 1) -> dict[str, tuple[int, ...]]:
    """Sizes, kernels, strides and dilations of some axes, so that one window or more fits."""
    small, d = st.integers(1, 3), a.draw(st.integers(least, 2))
    kernel, strides, dilations = (tuple(a.draw(small) for _ in range(d)) for _ in range(3))
    sizes = tuple(e * (k - 1) + 1 + a.draw(st.integers(0, 9)) for k, e in zip(kernel, dilations))
    return {"sizes": sizes, "kernel": kernel, "strides": strides, "dilations": dilations}


def window(a: Inputs) -> Node:
    w, lead = _windows(a), a.draw(st.sampled_from([(), (2,), (2, 3)]))
    if a.draw(st.booleans()):
        x = a.numbers((*lead, *w["sizes"]), a.draw(EVERY))
        return o.window(x, kernel=w["kernel"], strides=w["strides"], dilations=w["dilations"])
    x = a.numbers((*lead, *window_counts(*w.values()), *w["kernel"]), a.draw(EVERY))
    return o.unwindow(x, sizes=w["sizes"], strides=w["strides"], dilations=w["dilations"])


def convolution(a: Inputs) -> Node:
    w, groups, dtype = _windows(a), a.draw(st.sampled_from([1, 1, 2])), a.draw(FLOATS)
    d = len(w["kernel"])
    batch, into, out = a.draw(st.sampled_from([0, 1, 3])), groups * a.draw(st.integers(1, 3)), groups * a.draw(st.integers(1, 3))
    low, high = (tuple(a.draw(st.integers(0, 2)) for _ in range(d)) for _ in range(2))
    bias = [a.numbers((out,), dtype)] if a.draw(st.booleans()) else []
    if a.draw(st.booleans()):
        weight = a.numbers((out, into // groups, *w["kernel"]), dtype)
        return o.convolution(a.numbers((batch, into, *w["sizes"]), dtype), weight, *bias, stride=w["strides"], low=low, high=high,
                             dilation=w["dilations"], groups=groups)  # fmt: skip
    weight = a.numbers((into, out // groups, *w["kernel"]), dtype)
    x = a.numbers((batch, into, *window_counts(*w.values())), dtype)
    padding = tuple(min(p, (k - 1) * e // 2) for p, k, e in zip(low, w["kernel"], w["dilations"]))
    return o.convolution_transposed(x, weight, *bias, stride=w["strides"], padding=padding, output_padding=(0,) * d,
                                    dilation=w["dilations"], groups=groups)  # fmt: skip


def pooling(a: Inputs) -> Node | tuple:
    w = _windows(a)
    low, high = (tuple(a.draw(st.integers(0, k // 2)) for k in w["kernel"]) for _ in range(2))
    given_ = {"kernel": w["kernel"], "stride": w["strides"], "low": low, "high": high}
    if a.draw(st.booleans()):
        return o.sum_pool(a.numbers((2, *w["sizes"]), a.draw(FLOATS)), **given_)
    x = a.numbers((2, *w["sizes"]), a.draw(st.sampled_from([dt.float32, dt.float16, dt.int64])))
    return o.max_pool(x, **given_, dilation=w["dilations"])


def unfold(a: Inputs) -> Node:
    w = _windows(a, 2)
    given_ = {"kernel": w["kernel"], "stride": w["strides"], "dilation": w["dilations"]}
    padding = tuple(a.draw(st.integers(0, 2)) for _ in w["kernel"])
    if a.draw(st.booleans()):
        return o.unfold(a.numbers((2, 3, *w["sizes"]), a.draw(FLOATS)), **given_, padding=padding)
    width = 3 * int(np.prod(w["kernel"]))
    x = a.numbers((2, width, int(np.prod(window_counts(*w.values())))), a.draw(FLOATS))
    return o.fold(x, **given_, padding=(0,) * len(padding), output=w["sizes"])


SLID = [window, window, convolution, pooling, unfold]


def along(a: Inputs) -> Node | tuple:
    """Composites and running functions of one axis."""
    shape, dim = _axes(a)
    shape = tuple(max(n, 1) if k == dim else n for k, n in enumerate(shape))
    name = a.draw(
        st.sampled_from(["softmax", "log_softmax", "logsumexp", "var", "std", "logcumsumexp", "mode", "unstack", "layer_norm"])
    )
    x, keep = a.numbers(shape, a.draw(FLOATS)), a.draw(st.booleans())
    options = {"logsumexp": {"dims": (dim,), "keepdim": keep}, "unstack": {}, "layer_norm": {"ndim": dim + 1, "eps": 1e-5}}
    options |= {name: {"dims": (dim,), "keepdim": keep, "correction": a.draw(st.integers(0, 1))} for name in ("var", "std")}
    with np.errstate(all="ignore"):
        return getattr(o, name)(x, **options.get(name, {"dim": dim}))


def found(a: Inputs) -> Node:
    rows, n = a.draw(st.sampled_from([(), (2,), (3,)])), a.draw(st.sampled_from([1, 4, 9, 33]))
    dtype = a.draw(FLOATS)
    line = a.put(ordered(*rows, n)(a.rng, dtype), plain=True)
    return o.searchsorted(line, a.numbers((*rows, a.draw(SIZES)), dtype), right=a.draw(st.booleans()))


RUN = [along, along, found]


def square(a: Inputs) -> Node | tuple:
    name = a.draw(st.sampled_from(["inv", "det", "slogdet", "matrix_exp", "lu_factor", "solve", "matrix_power", "cofactor"]))
    lead, n = a.draw(st.sampled_from([(), (1,), (2, 3)])), a.draw(st.integers(1, 5))
    dtype = a.draw(FLOATS)
    x = a.put(matrix(*lead, n, n)(a.rng, dtype), plain=True)  # every second row of twice the same is singular
    if name == "solve":
        return o.solve(x, a.numbers((*lead, n, a.draw(st.integers(1, 4))), dtype), left=True)
    return getattr(o, name)(x, **({"n": a.draw(st.integers(-2, 4))} if name == "matrix_power" else {}))


def symmetric(a: Inputs) -> Node | tuple:
    name, lead = a.draw(st.sampled_from(["cholesky", "eigvalsh", "logdet"])), a.draw(st.sampled_from([(), (2,)]))
    values = [0.5 + k for k in range(a.draw(st.integers(1, 5)))]
    x = a.put(SymmetricInput(*values, lead=lead)(a.rng, a.draw(FLOATS)), plain=True)
    return getattr(o, name)(x, **({"lower": True} if name == "eigvalsh" else {}))


def tall(a: Inputs) -> Node | tuple:
    name = a.draw(st.sampled_from(["qr", "svdvals", "pinv"]))
    shape = (*a.draw(st.sampled_from([(), (2,)])), a.draw(st.integers(1, 6)), a.draw(st.integers(1, 6)))
    x = a.put(matrix(*shape)(a.rng, a.draw(FLOATS)), plain=True)
    options = {"qr": {"complete": False}, "pinv": {"given": "", "hermitian": False}}
    return getattr(o, name)(x, **options.get(name, {}))


LIBRARY = [square, square, symmetric, tall]
FAMILIES = {"contract": CONTRACTED, "gather and scatter": PLACED, "window": SLID, "scan": RUN, "library": LIBRARY}


def one_program(data, family: str, count: int) -> None:
    """Several draws of a family as one program."""
    a, roots = Inputs(data.draw, family), []
    for _ in range(count):
        before = len(a.arrays)
        try:
            roots += several(data.draw(st.sampled_from(FAMILIES[family]))(a))
        except (DTypeError, ShapeError):  # what the op refuses is another test's
            del a.arrays[before:]
    if roots:
        with np.errstate(all="ignore"):
            compare(roots, a.arrays, family, SUMMED)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=8, phases=PHASES)
@seed(0)
@given(st.data())
def test_a_family(family, data):
    one_program(data, family, 4)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=100, phases=PHASES)
@given(st.data())
def test_many_of_a_family(family, data):
    one_program(data, family, 4)


@pytest.mark.parametrize("rows", [1, 2])
def test_a_row_times_a_matrix_plus_a_view(rows):
    """The sums of one row stand in scalars: what is added to them is read as scalars too."""
    arrays = [
        np.arange(k, dtype=np.float32).reshape(s) for k, s in ((16 * rows, (rows, 16)), (32, (2, 16)), (2, (2,)), (4, (4,)))
    ]
    x, w, bias, wide = inputs_of(arrays)
    views = [o.flip(bias, dims=(0,)), o.slice(wide, starts=(0,), stops=(4,), steps=(2,))]
    compare([o.linear(x, w, view) for view in views], arrays, "a row", {})
