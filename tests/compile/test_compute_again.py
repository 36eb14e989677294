"""What is computed again instead of stored: the values stay those of the references, and less lies in memory."""

from __future__ import annotations

import random

import numpy as np
import pytest
from native_graph import native
from random_graphs import NUMBERS, differences, random_graph

from danlu import dtype as dt
from danlu.autodiff import gradient
from danlu.compile import schedule
from danlu.compile.simplify import simplify
from danlu.graph import render
from danlu.ops import o
from danlu.testing import evaluate, inputs_of


@pytest.mark.parametrize("seed", range(60))
def test_gradients_of_random_graphs_have_the_values_of_their_references(seed, monkeypatch):
    monkeypatch.setattr(schedule, "FAR", 0)
    draw = random.Random(seed)
    graph, roots = random_graph(draw.choice, draw.choice([6, 12, 25]))
    found = next((r for r in reversed(graph.made) if r.dtype is dt.float64), None)
    if found is not None:
        leaves = [x for x, _ in graph.pool[: len(graph.arrays)] if x.dtype is dt.float64]
        roots = [found, *(g for g in gradient(found, o.like(1.0, found), leaves) if g is not None)]
    wrong = differences(roots, evaluate(roots, graph.arrays, NUMBERS), native(roots, graph.arrays, NUMBERS), 1e-9)
    assert not wrong, "\n".join([*wrong, render(roots)])


def layers(rows):
    """Two linear layers with a GELU between them, and its gradients."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in ((rows, 64), (64, 256), (256, 64))]
    x, w, v = inputs_of(arrays)
    y = o.matmul(o.gelu(o.matmul(x, w), approximate="none"), v)
    return arrays, [y, *gradient(y, o.like(1.0, y), [x, w, v])]


def stored(roots):
    return [n for g in schedule.schedule(simplify(roots)) for n in g.stored]


def test_a_gelu_keeps_its_input_and_its_result():
    _, few = layers(16)
    _, many = layers(2048)
    wide = [n for n in stored(many) if n.shape == (2048, 256)]
    assert sorted(n.op.name for n in wide) == ["add", "contract", "mul"]  # behind it its gradient, before it, behind it
    assert len([n for n in stored(few) if n.shape == (16, 256)]) > 3  # small values are stored: reading them costs less


def test_the_gradients_of_a_gelu_are_right():
    arrays, roots = layers(512)
    for got, wanted in zip(native(roots, arrays), evaluate(roots, arrays)):
        np.testing.assert_allclose(got, wanted, rtol=2e-3, atol=2e-3)


def test_no_more_lies_in_memory_because_of_what_is_computed_again():
    """The mean is small; x is read no later than the value that follows from both: nothing lives longer. A sum in between ends that."""
    (x,) = inputs_of([np.zeros((1024, 256), np.float32)])
    y = o.exp(x)
    centred = o.sub(y, o.mean(y, dims=(1,), keepdim=True))
    first = o.sum(o.mul(centred, centred), dims=(1,), keepdim=True)
    roots = simplify([o.mul(centred, first), o.sum(y, dims=(0,), keepdim=False)])
    assert sum(n.shape == (1024, 256) for n in stored(roots)) <= 2
