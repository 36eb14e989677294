"""What is put together of products is written by them: how many kernels there are, the same values, and where it is not done."""

from __future__ import annotations

import native_graph
import numpy as np
import pytest

from danlu.autodiff import gradient
from danlu.compile import program
from danlu.compile.alike import Alike
from danlu.compile.kernel import Contract
from danlu.compile.schedule import schedule
from danlu.compile.simplify import simplify
from danlu.compile.target import TARGETS
from danlu.graph import toposort
from danlu.ops import composite, o  # noqa: F401  (the composites fill the table)
from danlu.testing import evaluate, inputs_of

F = np.float32


def heads(x, y):
    """Products of 2 × 3 heads, side by side as (2, 16, 3 · 32)."""
    return o.reshape(o.permute(o.matmul(x, y), dims=(0, 2, 1, 3)), shape=(2, 16, 96))


def attention_gradient(x, w, g):
    """Of the input of a product that makes queries, keys and values."""
    p = o.permute(o.reshape(o.matmul(x, w), shape=(4, 16, 3, 2, 16)), dims=(2, 0, 3, 1, 4))
    pieces = [
        o.reshape(o.slice(p, starts=(k, 0, 0, 0, 0), stops=(k + 1, 4, 2, 16, 16), steps=(1,) * 5), shape=(4, 2, 16, 16))
        for k in range(3)
    ]
    y = o.attention(*pieces, scale=0.25, causal=True)
    return gradient(y, g, [x])[0]


def split_gradient(x, w, g):
    """Pieces of different sizes along the last axis, the last one unused."""
    y = o.matmul(x, w)
    a = o.slice(y, starts=(0, 0), stops=(32, 20), steps=(1, 1))
    b = o.slice(y, starts=(0, 20), stops=(32, 52), steps=(1, 1))
    return gradient(o.matmul(b, o.matmul(o.permute(b, dims=(1, 0)), a)), g, [y])[0]


def slice_of_both(x, y):
    return o.slice(o.cat(o.matmul(x, y), o.matmul(o.exp(x), y), dim=0), starts=(9, 0), stops=(120, 48), steps=(1, 1))


X, Y = (64, 32), (32, 48)
GRAPHS = {  # graph, shapes, kernels, of them products
    "side by side": (lambda x, y: o.cat(o.matmul(x, y), o.matmul(o.exp(x), y), dim=1), [X, Y], 3, 2),
    "one below the other": (lambda x, y: o.cat(o.matmul(x, y), o.matmul(o.exp(x), y), dim=0), [X, Y], 3, 2),
    "one of two is no product": (lambda x, y: o.cat(o.matmul(x, y), o.matmul(x, o.abs(y)), o.sum(x, dims=(1,), keepdim=True), dim=1), [X, Y], 5, 2),
    "heads": (heads, [(2, 3, 16, 8), (2, 3, 8, 32)], 1, 1),
    "attention": (attention_gradient, [(4, 16, 32), (32, 96), (4, 2, 16, 16)], 9, 7),
    "a product that is read twice": (lambda x, y: o.add(o.cat(z := o.matmul(x, y), z, dim=0), 1.0), [X, Y], 2, 1),
    "no neighbours": (lambda x, y: o.flip(o.cat(o.matmul(x, y), o.matmul(o.exp(x), y), dim=1), dims=(1,)), [X, Y], 4, 2),
    "a slice of both": (slice_of_both, [X, Y], 0, 0),
    "a split, part of it unused": (split_gradient, [(32, 16), (16, 60), (32, 20)], 0, 0),
}  # fmt: skip


def kernels(root, count):
    _, computed = program._outputs(simplify([root]))
    groups = schedule(computed)
    slots = program._slots(groups, program._inputs(groups), computed, count)
    return program._kernels(groups, slots, {slots[id(n)] for n in computed}, TARGETS[0], Alike())


@pytest.mark.parametrize("name", GRAPHS)
def test_the_values_are_those_of_the_references(name):
    make, shapes, *_ = GRAPHS[name]
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(-1, 1, s).astype(F) for s in shapes]
    root = make(*inputs_of(arrays))
    (wanted,) = evaluate([root], arrays)
    runs = [native_graph.native([root], arrays, threads=n)[0] for n in (1, 3)]
    np.testing.assert_allclose(runs[0], wanted, rtol=1e-4, atol=1e-4)
    assert np.array_equal(runs[0].view(np.uint32), runs[1].view(np.uint32))


@pytest.mark.parametrize("name", [n for n in GRAPHS if GRAPHS[n][2]])
def test_how_many_kernels(name):
    make, shapes, count, products = GRAPHS[name]
    made = kernels(make(*inputs_of([np.zeros(s, F) for s in shapes])), len(shapes))
    assert (len(made), sum(isinstance(k.body[0], Contract) for k in made)) == (count, products)


def test_pieces_that_lie_side_by_side_are_joined_and_others_stay():
    x = inputs_of([np.zeros((4, 12), F)])[0]

    def piece(start, stop):
        return o.slice(x, starts=(0, start), stops=(4, stop), steps=(1, 1))

    def gradient_of(*bounds):
        y = o.cat(*(o.exp(piece(*b)) for b in bounds), dim=1)
        (g,) = gradient(y, y, [x])
        assert g is not None and g.shape == (4, 12)
        return [n.op.name for n in toposort([g])].count("pad")

    assert gradient_of((8, 12), (0, 5), (5, 8)) == 0  # any order
    assert gradient_of((0, 4), (4, 6)) == 1  # a pad around both
    assert gradient_of((0, 4), (8, 12)) == 2  # a gap
    assert gradient_of((0, 6), (4, 12)) == 2  # read twice


def test_a_result_in_the_memory_of_an_input_is_not_written_in_parts():
    """The second product still reads what the first part of the result would overwrite."""
    rng = np.random.default_rng(1)
    arrays = [rng.uniform(-1, 1, (32, 32)).astype(F), rng.uniform(-1, 1, (32, 16)).astype(F)]
    x, y = inputs_of(arrays)
    root = o.cat(o.matmul(x, y), o.add(o.matmul(o.exp(x), y), o.slice(x, starts=(0, 16), stops=(32, 32), steps=(1, 1))), dim=1)
    (wanted,) = evaluate([root], arrays)
    executable = native_graph.build([root], 2, [(0, 0)])
    (got,) = native_graph.run(executable, [root], arrays)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
