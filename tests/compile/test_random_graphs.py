"""Random graphs, compiled, against the same graphs worked out by NumPy; and the same bits on any number of threads."""

from __future__ import annotations

import random

import hypothesis.strategies as st
import native_graph
import pytest
from hypothesis import given, settings
from random_graphs import NUMBERS, differences, random_graph

from danlu import dtype as dt
from danlu.autodiff import gradient
from danlu.graph import render
from danlu.ops import o
from danlu.testing import evaluate


def compare(graph, roots, tolerance: float = 1e-9):
    wanted = evaluate(roots, graph.arrays, NUMBERS)
    executable = native_graph.build(roots, len(graph.arrays))
    got = native_graph.run(executable, roots, graph.arrays, NUMBERS)
    assert not (found := differences(roots, wanted, got, tolerance)), "\n".join([*found, render(roots)])
    return executable, got


@given(st.data(), st.integers(1, 25))
@settings(max_examples=40)
def test_a_random_graph_has_the_values_of_its_references(data, count):
    graph, roots = random_graph(lambda options: data.draw(st.sampled_from(options)), count)
    compare(graph, roots)


@pytest.mark.parametrize("seed", range(150))
def test_a_graph_of_a_fixed_seed_has_the_values_of_its_references(seed):
    draw = random.Random(seed)
    compare(*random_graph(draw.choice, draw.choice([3, 8, 20, 40])))


@pytest.mark.parametrize("seed", range(40))
def test_float32_graphs_have_the_values_of_their_references(seed):
    draw = random.Random(seed)
    compare(*random_graph(draw.choice, draw.choice([2, 5, 9]), floats=(dt.float32,)), tolerance=3e-4)


@pytest.mark.parametrize("seed", range(40))
def test_gradients_of_random_graphs_have_the_values_of_their_references(seed):
    """The derivative is a graph of its own kind: sums of stretched values, gathers that became scatters."""
    draw = random.Random(seed)
    graph, _ = random_graph(draw.choice, draw.choice([3, 6, 12]))
    found = next((r for r in reversed(graph.made) if r.dtype is dt.float64), None)
    if found is None:
        return
    leaves = [x for x, _ in graph.pool[: len(graph.arrays)] if x.dtype is dt.float64]
    grads = [g for g in gradient(found, o.like(1.0, found), leaves) if g is not None]
    compare(graph, [found, *grads])


@pytest.mark.parametrize("seed", range(12))
def test_large_graphs_have_the_same_bits_on_any_number_of_threads(seed):
    draw = random.Random(seed)
    graph, roots = random_graph(draw.choice, draw.choice([2, 4, 8]), sizes=[1, 2, 7, 64, 300, 400], largest=200_000)
    executable, got = compare(graph, roots)
    for threads in (2, 4, 8):
        again = native_graph.run(executable, roots, graph.arrays, NUMBERS, threads)
        assert [x.tobytes() for x in again] == [x.tobytes() for x in got], render(roots)


@pytest.mark.parametrize("seed", range(60))
def test_results_written_into_the_memory_of_inputs_are_the_same(seed):
    draw = random.Random(seed)
    graph, roots = random_graph(draw.choice, draw.choice([2, 5, 12]))
    given = [(k, draw.choice(range(-1, len(roots)))) for k in range(len(graph.arrays)) if k != seed % 7]
    got = native_graph.run(native_graph.build(roots, len(graph.arrays), given), roots, graph.arrays, NUMBERS)
    found = differences(roots, evaluate(roots, graph.arrays, NUMBERS), got, 1e-9)
    assert not found, "\n".join([*found, render(roots)])
