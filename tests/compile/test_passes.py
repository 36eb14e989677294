"""Simplification, and the places of what lives between kernels."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from danlu import dtype as dt
from danlu.compile.index import Var, i
from danlu.compile.kernel import Accumulate, Begin, Kernel, Load, Loop, Store, Total, statements
from danlu.compile.passes.memory import ALIGNMENT, plan_memory
from danlu.compile.passes.vectorize import vectorize
from danlu.compile.simplify import constant_of, simplify
from danlu.compile.target import TARGETS
from danlu.graph import toposort
from danlu.ops import TABLE, o
from danlu.testing import evaluate, inputs_of

ARRAYS = [np.arange(12.0).reshape(3, 4), np.ones((3, 4))]


def simple(make):
    nodes = inputs_of(ARRAYS)
    (root,) = simplify([make(*nodes)])
    np.testing.assert_array_equal(evaluate([root], ARRAYS), evaluate([make(*nodes)], ARRAYS))
    return root, nodes


VANISHES = {
    "reshape to the same shape": lambda x, y: o.reshape(x, shape=(3, 4)),
    "permute in order": lambda x, y: o.permute(x, dims=(0, 1)),
    "expand to the same shape": lambda x, y: o.expand(x, shape=(3, 4)),
    "stop": lambda x, y: o.stop(x),
    "rounded": lambda x, y: o.rounded(x),
    "carry": lambda x, y: o.carry(x, y),
    "one after the other": lambda x, y: o.stop(o.reshape(o.carry(x, y), shape=(3, 4))),
}


@pytest.mark.parametrize("name", VANISHES)
def test_what_moves_nothing_vanishes(name):
    root, (x, _) = simple(VANISHES[name])
    assert root is x


def test_equal_nodes_become_one():
    root, _ = simple(lambda x, y: o.add(o.exp(o.mul(x, y)), o.exp(o.mul(x, y))))
    assert root.inputs[0] is root.inputs[1]


def test_nodes_that_differ_in_an_attribute_stay_two():
    root, _ = simple(lambda x, y: o.add(o.sum(x, dims=(0,), keepdim=True), o.sum(x, dims=(1,), keepdim=True)))
    assert len([n for n in toposort([root]) if n.op.name == "sum"]) == 2


def test_constants_are_computed_once():
    root, _ = simple(
        lambda x, y: o.mul(o.expand(o.exp(o.add(o.number(1.0, dt.float64), o.number(0.5, dt.float64))), shape=(3, 4)), x)
    )
    assert "exp" not in {n.op.name for n in toposort([root])}
    assert any(constant_of(n) == np.exp(1.5) for n in toposort([root]))


@pytest.mark.parametrize("number", [-0.0, 0.0, np.inf, 1e-320])
def test_a_folded_constant_keeps_its_bits(number):
    constant = simplify([o.neg(o.number(number, dt.float64))])[0]
    assert np.asarray(constant_of(constant)).tobytes() == np.negative(np.float64(number)).tobytes()


def test_a_node_that_is_known_is_not_computed():
    x, y = inputs_of(ARRAYS)
    known = o.exp(x)
    (root,) = simplify([o.add(known, x)], {id(known): y})
    assert {n.op.name for n in toposort([root])} == {"add", "buffer"}
    np.testing.assert_array_equal(evaluate([root], ARRAYS)[0], ARRAYS[0] + ARRAYS[1])


# ---- memory ---------------------------------------------------------------------------------------------------------------


def kernel(reads: list[int], writes: int) -> Kernel:
    d = Var("d0", 4)
    return Kernel("k", [Loop(d, [Store(writes, i.var(d), Load(r, i.var(d), dt.float32), dt.float32) for r in reads])])


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 6), min_size=1, max_size=3), st.integers(0, 6)), min_size=1, max_size=9), st.data()
)
def test_what_lives_at_one_time_lies_in_different_places(uses, data):
    kernels = [kernel([10 + r for r in reads], 10 + w) for reads, w in uses]
    slots = sorted({10 + s for reads, w in uses for s in (*reads, w)})
    sizes = {s: data.draw(st.integers(0, 300)) for s in slots}
    found, total = plan_memory(kernels, sizes)
    offsets = {slot: offset for slot, (_, offset) in found.items()}
    life = {s: [k for k, (reads, w) in enumerate(uses) if s - 10 in (*reads, w)] for s in slots}
    for a in slots:
        assert offsets[a] % ALIGNMENT == 0 and offsets[a] + sizes[a] <= total
        for b in slots:
            together = life[a][0] <= life[b][-1] and life[b][0] <= life[a][-1]
            apart = offsets[a] + sizes[a] <= offsets[b] or offsets[b] + sizes[b] <= offsets[a]
            assert a == b or not together or apart


def test_places_are_used_again():
    chain = [kernel([k], k + 1) for k in range(20)]
    _, total = plan_memory(chain, dict.fromkeys(range(1, 20), 1000))
    assert total <= 3 * 1024


def test_a_sum_goes_along_neighbours_whatever_is_stored_after_it():
    channel, row, column = Var("d0", 16), Var("r0", 8), Var("r1", 64)
    total = Total("t0", TABLE["sum"], dt.float32)
    x = Load(0, i.ravel([i.var(v) for v in (row, channel, column)], (8, 16, 64)), dt.float32)
    inner = Loop(row, [Loop(column, [Accumulate(total, x)])])
    stores = [Store(slot, i.var(channel), total, dt.float32) for slot in range(1, 6)]
    made = vectorize(Kernel("k0", [Loop(channel, [Begin(total), inner, *stores])]), TARGETS[0])
    assert [s.var for s in statements(made.body) if isinstance(s, Loop) and s.kind == "vector"] == [column]


def test_a_loop_of_few_turns_fills_its_vectors():
    turn = Var("d0", 4)
    store = Store(1, i.var(turn), Load(0, i.var(turn), dt.float32), dt.float32)
    assert vectorize(Kernel("k0", [Loop(turn, [store])]), TARGETS[0]).body[0].lanes == 4
