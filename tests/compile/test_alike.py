"""Groups that do the same are lowered once: the program is the same, step by step, as if each had been lowered by itself."""

from __future__ import annotations

import random

import numpy as np
import pytest
from native_graph import native
from random_graphs import random_graph

from danlu import dtype as dt
from danlu.autodiff import gradient
from danlu.compile import alike, program
from danlu.compile.index import Var, i
from danlu.compile.kernel import Apply, Kernel, Load, Loop, Store, render
from danlu.graph import Node, Spec
from danlu.ops import TABLE, o
from danlu.ops.source import CONST, NUMBER
from danlu.testing import evaluate, inputs_of


def both(roots, inputs, monkeypatch):
    """The program of a graph, and that in which no group is taken for another one."""
    found = program.build(roots, inputs)

    class Alone(alike._Described):
        def __init__(self, kernel):
            super().__init__(kernel)
            self.key = object()

    with monkeypatch.context() as patch:
        patch.setattr(alike, "_Described", Alone)
        return found, program.build(roots, inputs)


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs(seed, monkeypatch):
    draw = random.Random(seed)
    graph, roots = random_graph(draw.choice, draw.choice([8, 20, 40]))
    found, wanted = both(roots, len(graph.arrays), monkeypatch)
    assert found.steps == wanted.steps and found.texts == wanted.texts


def test_a_deep_network_is_planned_once(monkeypatch):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in ((16, 32), *[(32, 32)] * 8)]
    x, *weights = inputs_of(arrays)
    y = x
    for w in weights:
        y = o.gelu(o.matmul(y, w), approximate="none")
    roots = [y, *gradient(y, o.like(1.0, y), weights)]
    planned = []
    optimize = program.optimize
    monkeypatch.setattr(program, "optimize", lambda kernel, *rest: planned.append(kernel) or optimize(kernel, *rest))
    found = program.build(roots, len(arrays))
    assert len(planned) < len(found.steps) // 2
    found, wanted = both(roots, len(arrays), monkeypatch)
    assert found.steps == wanted.steps and found.texts == wanted.texts


def test_a_weight_that_many_products_read_is_packed_once():
    """Nine steps of a recurrence: one of them packs the panels, all read them; the ninth product reads another weight."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(np.float32) / 16 for shape in ((32, 256), (1024, 256), (256, 1024), (1024, 256))]
    h, w, back, other = inputs_of(arrays)
    states = [h]
    for _ in range(8):
        gates = o.tanh(o.contract(w, states[-1], labels=("gk", "nk", "ng")))
        states.append(o.contract(back, gates, labels=("kg", "ng", "nk")))
    roots = [states[-1], o.contract(other, h, labels=("gk", "nk", "ng"))]
    found = program.build(roots, len(arrays))
    products = [s for s in found.steps if s.kind == "run"]
    assert len(products) <= 2 * 8 + 3
    for y, wanted in zip(native(roots, arrays), evaluate(roots, arrays), strict=True):
        np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-4)


def test_steps_that_read_their_part_of_one_memory_are_alike():
    """A recurrence whose inputs, and whose states' gradients, are parts of one piece of memory each."""
    rng = np.random.default_rng(0)
    counts = []
    for steps in (6, 12):
        arrays = [
            rng.standard_normal(shape).astype(np.float32) / 8 for shape in ((steps, 4, 96), (32, 32), (4, 32), (steps, 4, 32))
        ]
        x, w, h, target = inputs_of(arrays)
        states, first = [], h
        for k in range(steps):
            a, b, c = (o.slice(x, starts=(k, 0, 32 * g), stops=(k + 1, 4, 32 * g + 32), steps=(1, 1, 1)) for g in range(3))
            a, b, c = (o.reshape(v, shape=(4, 32)) for v in (a, b, c))
            h = o.add(o.mul(o.sigmoid(a), o.matmul(h, w)), o.mul(o.tanh(b), o.add(c, h)))
            states.append(o.reshape(h, shape=(1, 4, 32)))
        apart = o.sub(o.cat(*states, dim=0), target)
        loss = o.sum(o.mul(apart, apart), dims=(0, 1, 2), keepdim=False)
        roots = [loss, *gradient(loss, o.like(1.0, loss), [x, w, first])]
        counts.append(len(program.build(roots, len(arrays)).texts))
        for y, wanted in zip(native(roots, arrays), evaluate(roots, arrays), strict=True):
            np.testing.assert_allclose(y, wanted, rtol=1e-3, atol=1e-3)
    assert counts[0] == counts[1]


def copying(first, second, guard=()):
    d = Var("d", 8)
    parts = [Load(4, i.affine(i.var(d), 1, k), dt.float32, guard) for k in (first, second)]
    return Kernel("k0", [Loop(d, [Store(9, i.var(d), Apply(TABLE["add"], tuple(parts), (), dt.float32), dt.float32)])])


def test_where_a_slot_begins_is_told_by_its_place():
    found = alike.based(copying(24, 40), {})
    assert found.begins == {4: 96}
    assert render(found).splitlines() == [
        "kernel k0 chunks=1 from b4+96",
        "  serial d < 8",
        "    b9[d] = add(b4[d], b4[d + 16])",
    ]


@pytest.mark.parametrize(
    "kernel, local",
    [
        (copying(0, 8), {}),
        (copying(24, 40), {4: 256}),
        (copying(24, 40, (("within", i.affine(i.var(Var("d", 8)), 1, -4), 4),)), {}),
    ],
    ids=["at its beginning", "a piece for each call", "an element that may not exist"],
)
def test_where_a_slot_begins_as_before(kernel, local):
    assert alike.based(kernel, local) is kernel


def numbered(x, position):
    return o.mul(x, Node(NUMBER, (), (position, dt.float64), Spec((), dt.float32, True)))


def test_each_copy_has_its_own_numbers():
    arrays = [np.full(100, k + 1, np.float32) for k in range(3)]
    roots = [numbered(x, k) for k, x in enumerate(inputs_of(arrays))]
    for got, wanted in zip(native(roots, arrays, (2.0, 5.0, -3.0)), evaluate(roots, arrays, (2.0, 5.0, -3.0))):
        np.testing.assert_array_equal(got, wanted)


def test_numbers_that_are_equal_and_not_the_same():
    arrays = [np.array([-1.0, 1.0], np.float32)] * 2
    zeros = [Node(CONST, (), (value, dt.float32), Spec((), dt.float32)) for value in (0.0, -0.0)]
    for got, sign in zip(native([o.mul(o.abs(x), z) for x, z in zip(inputs_of(arrays), zeros)], arrays), (False, True)):
        assert np.signbit(got).tolist() == [sign, sign]


def test_an_input_that_is_read_twice_is_not_two_inputs():
    arrays = [np.arange(5, dtype=np.float32), np.ones(5, np.float32)]
    x, y = inputs_of(arrays)
    square, product = native([o.mul(x, x), o.mul(x, y)], arrays)
    assert square.tolist() == [0, 1, 4, 9, 16] and product.tolist() == [0, 1, 2, 3, 4]
