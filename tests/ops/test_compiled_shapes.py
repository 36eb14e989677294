"""Compiled code against the NumPy references on shapes, dtypes and views that hypothesis makes: integers, truth and movement exactly."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from samples import BOOKKEEPING, elementwise_inputs, generator

from danlu import dtype as dt
from danlu.errors import DTypeError, ShapeError
from danlu.graph import ELEMENTWISE, REDUCE, Node
from danlu.ops import TABLE, o
from danlu.testing import evaluate, inputs_of

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "compile"))
from native_graph import native

DTYPES = [dt.float32, dt.float64, dt.float16, dt.int64, dt.int32, dt.int16, dt.int8, dt.uint8, dt.bool_]
TOLERANCE = {2: 4e-3, 4: 2e-5, 8: 1e-11}
ELEMENTWISE_OPS = [op for op in TABLE.values() if op.family == ELEMENTWISE and op.sample and op.name not in BOOKKEEPING]
ALONG = ("argmax", "argmin", "cumsum", "cumprod", "cummax", "cummin", "sort")
REDUCED = [*(op for op in TABLE.values() if op.family == REDUCE), TABLE["mean"], *(TABLE[name] for name in ALONG)]
MOVED = ["reshape", "permute", "expand", "slice", "pad", "flip", "cat", "dilate", "slice_update"]
SIZES = st.sampled_from([0, 1, 1, 2, 3, 4, 5, 8, 9, 16, 17, 33])
names = {"ids": lambda op: op if isinstance(op, str) else op.name}


@st.composite
def shapes(draw, count: int) -> list[tuple[int, ...]]:
    """Shapes that can be broadcast to one another: some axes 1, leading axes left out."""
    full = draw(st.lists(SIZES, max_size=3).map(tuple))
    out = [full]
    for _ in range(count - 1):
        cut = full[draw(st.integers(0, len(full))) :]
        out.append(tuple(draw(st.sampled_from([n, n, 1])) for n in cut))
    return draw(st.permutations(out))


def seen(draw, x: Node) -> Node:
    """An input as a view: as it is, its axes in another order and back, flipped, every second element of a stretched axis."""
    ndim = len(x.shape)
    kind = draw(st.sampled_from(["plain", "flipped", "permuted", "stepped"])) if ndim else "plain"
    if kind == "flipped":
        return o.flip(x, dims=(draw(st.integers(0, ndim - 1)),))
    if kind == "permuted":
        order = draw(st.permutations(range(ndim)))
        apart = o.permute(x, dims=tuple(order))
        return o.permute(o.flip(apart, dims=(0,)), dims=tuple(int(k) for k in np.argsort(order)))
    if kind == "stepped":
        wide = o.cat(x, x, dim=0)
        stops = (2 * x.shape[0], *x.shape[1:])
        return o.slice(wide, starts=(0,) * ndim, stops=stops, steps=(2, *(1,) * (ndim - 1))) if x.shape[0] else x
    return x


def compare(roots: list[Node], arrays: list[np.ndarray], what: str, loose: dict[int, float] = TOLERANCE) -> None:
    for root, got, wanted in zip(roots, native(roots, arrays), evaluate(roots, arrays)):
        assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
        if got.dtype.kind != "f" or not loose:
            np.testing.assert_array_equal(got, wanted, err_msg=f"{what}: {root}")
        else:
            inputs = [x.dtype.itemsize for x in root.inputs if type(x.spec) is not tuple and x.dtype.is_floating_point] or [4]
            size = loose[min(got.dtype.itemsize, *inputs)]
            scale = np.abs(wanted[np.isfinite(wanted)]).max(initial=1e-6)
            np.testing.assert_allclose(got, wanted, rtol=size, atol=size * scale, err_msg=f"{what}: {root}")


def several(found) -> list[Node]:
    return list(found) if isinstance(found, tuple) else [found]


def elementwise(op, data, count: int) -> None:
    """One program of several draws."""
    attrs = {"dtype": data.draw(st.sampled_from(DTYPES))} if "dtype" in op.attrs else {"word": 2} if "word" in op.attrs else {}
    rng, arrays, roots = generator(op.name), [], []
    for _ in range(count):
        dtype = data.draw(st.sampled_from(DTYPES))
        made = elementwise_inputs(op, dtype, data.draw(shapes(len(op.sample))), rng)
        nodes = inputs_of([*arrays, *made])[len(arrays) :]
        try:
            roots += several(getattr(o, op.name)(*[seen(data.draw, x) for x in nodes], **attrs))
        except DTypeError:
            continue
        arrays += made
    if roots:
        compare(roots, arrays, op.name)


def reduced(op, data, count: int) -> None:
    rng, arrays, roots = generator(op.name), [], []
    for _ in range(count):
        shape = data.draw(st.lists(SIZES, min_size=1, max_size=3).map(tuple))
        dtype = data.draw(st.sampled_from([dt.bool_] if op.name in ("any", "all") else DTYPES))
        array = (rng.uniform(-2, 2, shape) * (1 if dtype.kind == "f" else 3)).astype(dtype.numpy)
        dims = tuple(k for k in range(len(shape)) if data.draw(st.booleans()))
        given_ = {
            "dims": dims,
            "dim": data.draw(st.integers(0, len(shape) - 1)),
            "keepdim": data.draw(st.booleans()),
            "descending": False,
        }
        (node,) = inputs_of([*arrays, array])[len(arrays) :]
        try:
            roots += several(getattr(o, op.name)(seen(data.draw, node), **{k: given_[k] for k in op.attrs}))
        except (ShapeError, DTypeError):  # an empty maximum, a dtype that the op does not take
            continue
        arrays.append(array)
    if roots:
        compare(roots, arrays, op.name, {2: 2e-2, 4: 2e-5, 8: 1e-11})


@pytest.mark.parametrize("op", ELEMENTWISE_OPS, **names)
@settings(max_examples=4)
@seed(0)
@given(st.data())
def test_elementwise(op, data):
    elementwise(op, data, 5)


@pytest.mark.parametrize("op", REDUCED, **names)
@settings(max_examples=4)
@seed(0)
@given(st.data())
def test_along_axes(op, data):
    reduced(op, data, 4)


@pytest.mark.slow
@pytest.mark.parametrize("op", [*ELEMENTWISE_OPS, *REDUCED], **names)
@settings(max_examples=25)
@given(st.data())
def test_many_shapes(op, data):
    (elementwise if op.family == ELEMENTWISE else reduced)(op, data, 6)


@settings(max_examples=20)
@given(st.data())
def test_movement_is_exact(data):
    rng, arrays, roots = np.random.default_rng(0), [], []
    for name in MOVED:
        shape = data.draw(st.lists(SIZES, min_size=1, max_size=3).map(tuple))
        dtype = data.draw(st.sampled_from(DTYPES))
        array = rng.integers(0, 2 if dtype is dt.bool_ else 100, shape).astype(dtype.numpy)
        (node,) = inputs_of([*arrays, array])[len(arrays) :]
        arrays.append(array)
        roots.append(moved(data.draw, name, seen(data.draw, node)))
    compare(roots, arrays, "movement", {})


def moved(draw, name: str, x: Node) -> Node:
    ndim, small = len(x.shape), st.integers(0, 2)
    each = lambda strategy: tuple(draw(strategy) for _ in x.shape)  # noqa: E731
    if name == "reshape":
        return o.reshape(x, shape=(*x.shape[::-1], 1) if draw(st.booleans()) else (int(np.prod(x.shape)),))
    if name == "permute":
        return o.permute(x, dims=tuple(draw(st.permutations(range(ndim)))))
    if name == "expand":
        return o.expand(x, shape=(draw(small), *[draw(SIZES) if n == 1 else n for n in x.shape]))
    if name == "pad":
        return o.pad(x, low=each(small), high=each(small), value=draw(st.sampled_from([0, 1])))
    if name == "flip":
        return o.flip(x, dims=tuple(k for k in range(ndim) if draw(st.booleans())))
    if name == "dilate":
        return o.dilate(x, steps=each(st.integers(1, 3)))
    if name == "cat":
        return o.cat(x, x, dim=draw(st.integers(0, ndim - 1)))
    starts = tuple(draw(st.integers(0, n)) for n in x.shape)
    part = o.slice(x, starts=starts, stops=x.shape, steps=each(st.integers(1, 3)))
    return part if name == "slice" else o.slice_update(x, o.flip(part, dims=(0,)), starts=starts, steps=part.attrs[2])


# ---- products that are rounded once ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_a_large_product_is_not_above_its_own_maximum(name):
    """The maximum is rounded, the product inside a multiply-add is not: at 10¹² they differ by more than exp can take."""
    arrays = [np.array([[-88.0, 88.0, 1e12], [3e12, 1.0, -3e12]], np.float32)]
    x = o.mul(*inputs_of(arrays), 0.1)
    y = o.logsumexp(x, dims=(1,), keepdim=False) if name == "logsumexp" else getattr(o, name)(x, dim=1)
    (got,) = native([y], arrays)
    np.testing.assert_allclose(got, *evaluate([y], arrays), rtol=1e-6)
    assert np.isfinite(got).all()
