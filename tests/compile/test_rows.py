"""Kernels that walk the same rows become one: the structure of the result, the same values, and the same bits on any number of threads."""

from __future__ import annotations

import random

import hypothesis.strategies as st
import native_graph
import numpy as np
import pytest
from hypothesis import given, settings

import danlu
from danlu.autodiff import gradient
from danlu.compile import program
from danlu.compile.alike import Alike
from danlu.compile.kernel import Load, Loop, Store, expressions, statements
from danlu.compile.schedule import schedule
from danlu.compile.simplify import simplify
from danlu.compile.target import TARGETS
from danlu.graph import render
from danlu.ops import composite, o  # noqa: F401  (the composites fill the table)
from danlu.runtime.buffers import Buffer
from danlu.testing import evaluate, inputs_of

F = np.float32
TARGET = TARGETS[0]


def kernels(make, *shapes, target=TARGET):
    """The kernels of a graph of float32 inputs of these shapes."""
    made = make(*inputs_of([np.zeros(shape, F) for shape in shapes]))
    _, computed = program._outputs(simplify(list(made) if isinstance(made, tuple) else [made]))
    groups = schedule(computed)
    slots = program._slots(groups, program._inputs(groups), computed, len(shapes))
    return program._kernels(groups, slots, {slots[id(n)] for n in computed}, target, Alike())


def layer_norm_and_gradient(x, w, b, g):
    y = o.layer_norm(x, w, b, ndim=1, eps=1e-5)
    return y, *gradient(y, g, [x])


def layer_norm_and_all_gradients(x, w, b, g):
    y = o.layer_norm(x, w, b, ndim=1, eps=1e-5)
    return y, *gradient(y, g, [x, w, b])


def products_around_a_norm(x, w, b, m, g):
    """Products have a workspace, too: the numbers of all slots differ."""
    y = o.matmul(o.layer_norm(o.matmul(x, m), w, b, ndim=1, eps=1e-5), m)
    return y, *gradient(y, g, [x, w, b, m])


def forgetful(x):
    """The second sum needs the first of every row."""
    return o.sub(x, o.sum(o.max(x, dims=(1,), keepdim=True), dims=(0,), keepdim=True))


def in_columns(x):
    return o.softmax(x, dim=0)


def next_row(x):
    """Each row reads the sum of another one."""
    return o.add(x, o.flip(o.sum(x, dims=(1,), keepdim=True), dims=(0,)))


STRUCTURE = {  # graph, shapes, how many kernels
    "softmax": (lambda x: o.softmax(x, dim=1), [(100, 1000)], 1),
    "log_softmax": (lambda x: o.log_softmax(x, dim=1), [(100, 1000)], 1),
    "layer norm and its gradient": (layer_norm_and_gradient, [(128, 256), (256,), (256,), (128, 256)], 1),
    "sums over columns": (layer_norm_and_all_gradients, [(1024, 128), (128,), (128,), (1024, 128)], 2),
    "products around": (products_around_a_norm, [(1024, 128), (128,), (128,), (128, 128), (1024, 128)], 9),
    "rows of two axes": (lambda x: o.softmax(x, dim=2), [(8, 25, 100)], 1),
    "group norm": (lambda x: o.group_norm(x, groups=4, eps=1e-5), [(8, 16, 5, 5)], 1),
    "a mask for each of several heads": (
        lambda x, m: o.softmax(o.where(o.gt(m, 0.0), x, -9.0), dim=3),
        [(2, 3, 20, 20), (20, 20)],
        1,
    ),
    "a row of another kernel": (forgetful, [(100, 1000)], 3),
    "another row": (next_row, [(100, 1000)], 2),
    "rows that no cache holds": (lambda x: o.softmax(x, dim=1), [(16, 140_000)], 3),
    "few long rows, many threads": (lambda x: o.softmax(x, dim=1), [(4, 20_000)], 3),
}


@pytest.mark.parametrize("name", STRUCTURE)
def test_how_many_kernels(name):
    make, shapes, count = STRUCTURE[name]
    assert len(kernels(make, *shapes)) == count


def test_a_row_that_only_its_kernel_reads_is_one_row_of_memory():
    (kernel,) = kernels(lambda x: o.softmax(x, dim=1), (100, 1000))
    (slot, nbytes), *more = kernel.local.items()
    assert (nbytes, more) == (4032, [])
    (loop,) = kernel.body
    accesses = [s.index for s in statements(kernel.body) if isinstance(s, Store) and s.slot == slot]
    accesses += [e.index for e in expressions(kernel.body) if isinstance(e, Load) and e.slot == slot]
    assert len(accesses) == 2 and all(ix.coefficient(loop.var) == 0 for ix in accesses)


def test_scalars_of_a_row_are_no_memory():
    (kernel,) = kernels(lambda x: o.softmax(x, dim=1), (100, 1000))
    assert all(any(s is x for loop in kernel.body[0].body if isinstance(loop, Loop) for x in loop.body)
               for s in statements(kernel.body) if isinstance(s, Store))  # fmt: skip


# ---- the same numbers -------------------------------------------------------------------------------------------------------


def random_rows(choose, shape, count):
    """A graph whose values are rows, or scalars of rows: sums and maxima along the last axes, elementwise work, columns in between."""
    rows = tuple(-1 if k < len(shape) - choose([1, 1, 2]) else k for k in range(len(shape)))
    dims = tuple(k for k in rows if k >= 0) or (len(shape) - 1,)
    rng = np.random.default_rng(choose(list(range(5))))
    arrays = [
        rng.uniform(-2, 2, s).astype(F)
        for s in (shape, shape, shape[-1:], tuple(1 if k in dims else n for k, n in enumerate(shape)))
    ]
    pool = [o.expand(o.reshape(x, shape=(1,) * (len(shape) - len(x.shape)) + x.shape), shape=shape) for x in inputs_of(arrays)]
    for _ in range(count):
        x, y = choose(pool[-4:]), choose(pool)
        kind = choose(["sum", "max", "sum", "tanh", "exp", "mul", "sub", "sub", "flip", "column"])
        if kind in ("sum", "max"):
            made = o.expand(o.mul(getattr(o, kind)(x, dims=dims, keepdim=True), 0.01), shape=shape)
        elif kind == "column":
            made = o.expand(o.mul(o.sum(x, dims=(0,), keepdim=True), 0.01), shape=shape)
        elif kind == "flip":
            made = o.flip(x, dims=(choose(list(range(len(shape)))),))
        else:
            made = getattr(o, kind)(*((o.tanh(x),) if kind in ("tanh", "exp") else (x, y)))
        pool.append(made)
    return arrays, [pool[-1], *(choose(pool[4:]) for _ in range(choose([0, 1, 2])))]


def compare(arrays, roots, given=(), tolerance=1e-3):
    """The values of the references, and the same bits on any number of threads."""
    fused = native_graph.build(roots, len(arrays), given)
    got = native_graph.run(fused, roots, arrays)
    for a, b in zip(got, evaluate(roots, arrays)):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1, np.abs(b).max(initial=0)), err_msg=render(roots))
    for threads in (2, 8):
        again = native_graph.run(fused, roots, arrays, threads=threads)
        assert [x.tobytes() for x in again] == [x.tobytes() for x in got], render(roots)


SHAPES = [(3, 5), (40, 10), (64, 64), (33, 130), (17, 1), (1, 40), (4, 6, 70), (5, 3, 8, 9), (600, 200)]


@given(st.data(), st.sampled_from(SHAPES), st.integers(2, 14))
@settings(max_examples=25)
def test_rows_have_the_values_of_the_references(data, shape, count):
    compare(*random_rows(lambda options: data.draw(st.sampled_from(options)), shape, count))


@pytest.mark.parametrize("seed", range(24))
def test_rows_of_a_fixed_seed(seed):
    draw = random.Random(seed)
    arrays, roots = random_rows(draw.choice, draw.choice(SHAPES), draw.choice([4, 8, 16]))
    compare(arrays, roots, [(k, draw.choice(range(-1, len(roots)))) for k in range(len(arrays))] if seed % 2 else ())


@pytest.mark.parametrize("name", STRUCTURE)
def test_the_structures_have_the_values_of_the_references(name):
    make, shapes, _ = STRUCTURE[name]
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s).astype(F) for s in shapes]
    made = make(*inputs_of(arrays))
    compare(arrays, list(made) if isinstance(made, tuple) else [made], tolerance=1e-5)


def test_a_sum_of_a_row_that_lies_in_memory_is_read_after_it_is_stored():
    """Its place is the same for all rows, so that it looks like a value of before the loop; what lay in the workspace was read."""
    x = np.random.default_rng(0).normal(size=(3, 4)) + 1j * np.random.default_rng(1).normal(size=(3, 4))
    centred = x - x.mean(1, keepdims=True)
    expected = centred / (3 * np.sqrt((abs(centred) ** 2).sum(1, keepdims=True) / 3))
    z = danlu.tensor(x, requires_grad=True)
    y = z.std(1)
    y.detach().numpy()
    for nbytes in range(64, 8192, 64):  # what a workspace finds
        Buffer(nbytes).as_numpy((nbytes // 8,), np.float64)[:] = 1e3
    y.sum().backward()
    np.testing.assert_allclose(z.grad.numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "dims"), [((64, 128, 64), (0, 1)), ((8192, 40), (0,)), ((4096, 100), (0,)), ((4000, 96), (0,))]
)
def test_long_narrow_columns_are_summed_in_parts(shape, dims):
    """Two sums of the same columns at once; equal parts and others, whole vectors and others."""
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    (a,) = inputs_of([x])
    compare([x], [o.sum(a, dims=dims, keepdim=False), o.sum(o.mul(a, a), dims=dims, keepdim=False)], tolerance=1e-2)
    found = kernels(lambda x: o.sum(x, dims=dims, keepdim=False), shape)
    assert len(found) == (1 if shape[0] == 4000 else 2)
