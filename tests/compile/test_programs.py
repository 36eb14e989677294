"""Programs that were wrong once, each by itself: what the scheduler, the lowering and the code generator must not do."""

from __future__ import annotations

import numpy as np
import pytest
from native_graph import native

from danlu import dtype as dt
from danlu.compile import program
from danlu.compile.body import FIRST
from danlu.errors import AxisError
from danlu.graph import Node, Spec
from danlu.ops import o
from danlu.ops.source import NUMBER
from danlu.testing import evaluate, inputs_of


def array(*shape, dtype="float64"):
    return np.random.default_rng(0).uniform(-4, 4, shape).astype(dtype)


def check(make, *arrays, numbers=()):
    made = make(*inputs_of(arrays))
    roots = list(made) if isinstance(made, tuple) else [made]
    for got, wanted in zip(native(roots, arrays, numbers), evaluate(roots, arrays, numbers)):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)


def test_an_operand_in_memory_that_earlier_work_reads_is_stored_before_it():
    def make(a, w):
        padded = o.pad(a, low=(1, 0), high=(0, 1), value=0)
        return o.sum(o.exp(padded), dims=(1,), keepdim=False), o.contract(padded, w, labels=("ij", "jk", "ik"))

    check(make, array(3, 4), array(5, 2))


def test_a_contraction_of_a_python_number_stretched():
    def make(b):
        number = Node(NUMBER, (), (0, dt.float64), Spec((), dt.float64))
        return o.contract(o.expand(number, shape=(3, 4)), b, labels=("ij", "jk", "ik"))

    check(make, array(4, 2), numbers=(3.5,))


@pytest.mark.parametrize(
    "a, b, labels", [((0,), (0,), ("a", "a", "")), ((0, 2), (0, 3), ("ab", "ac", "bc")), ((2, 0), (0,), ("ab", "b", "a"))]
)
def test_a_sum_over_an_empty_axis_is_zero(a, b, labels):
    check(lambda x, y: o.contract(x, y, labels=labels), array(*a), array(*b))


def test_a_sum_over_an_axis_along_which_both_operands_are_stretched():
    check(lambda x: o.contract(o.expand(x, shape=(3, 4)), o.expand(x, shape=(3, 4)), labels=("ab", "ab", "b")), array(1, 4))


def test_a_sum_over_an_empty_axis_along_which_both_operands_are_stretched():
    check(lambda x: o.contract(o.expand(x, shape=(0, 4)), o.expand(x, shape=(0, 4)), labels=("ab", "ab", "b")), array(1, 4))


@pytest.mark.parametrize("shape, to", [((5, 0), (5, 0, 1)), ((2, 3, 0), (0, 7)), ((0,), (3, 0, 2))])
def test_an_empty_reshape(shape, to):
    check(lambda x: o.neg(o.reshape(x, shape=to)), array(*shape))


def test_a_step_counted_from_the_end_of_an_axis():
    """-d + 15 is split by 3 for the dilated part; the rest of it, -d, must not be divided as a number without a sign."""

    def make(x):
        part = o.neg(o.slice(x, starts=(1,), stops=(14,), steps=(3,)))
        return o.flip(o.slice_update(x, part, starts=(1,), steps=(3,)), dims=(0,))

    check(make, array(17))


def test_the_parts_of_a_cat_are_read_only_where_they_are():
    check(lambda x, i: o.cat(o.take(x, o.sub(i, 2), dim=0), o.take(x, i, dim=0), dim=0), array(5), np.asarray([0, 1, 4]))


def test_a_part_of_what_was_put_together_reads_nothing_else():
    """The second row of three that lie one after another: where an element comes from is known before it runs."""

    def make(a, b, c):
        return o.exp(o.slice(o.cat(a, b, c, dim=0), starts=(1, 0), stops=(2, 40), steps=(1, 1)))

    arrays = [array(1, 40) for _ in range(3)]
    check(make, *arrays)
    (step,) = program.build([make(*inputs_of(arrays))], 3).steps
    assert [p.entry for p in step.places if p.entry >= FIRST] == [FIRST + 1, FIRST + 3]


def test_an_element_before_padding_is_the_value():
    def make(a):
        return o.exp(o.slice(o.pad(a, low=(1, 0), high=(0, 0), value=3), starts=(0, 0), stops=(1, 40), steps=(1, 1)))

    check(make, array(1, 40))


def test_nothing_put_together_has_a_sum():
    check(lambda a, b: o.sum(o.cat(a, b, dim=0), dims=(0,), keepdim=False), array(0, 5), array(0, 5))


def test_lanes_that_do_not_exist_have_no_positions():
    check(lambda x, i: o.take(x, o.add(i, -7), dim=0), array(6), np.asarray([5, 6, 7]))


def test_negative_zero_is_another_constant_than_zero():
    check(lambda x: (o.copysign(1.0, o.mul(x, 0.0)), o.copysign(1.0, o.mul(x, -0.0))), np.ones(3))


@pytest.mark.parametrize("index, size, message", [
    ([0, 7], 5, "index 7 is out of range for an axis of size 5; expected -5 … 4"),
    ([-6], 5, "index -6 is out of range for an axis of size 5; expected -5 … 4"),
    ([0], 0, "index 0 is out of range: the axis has no elements"),
])  # fmt: skip
@pytest.mark.parametrize("what", ["memory", "constant", "added"])
def test_a_position_that_does_not_exist_is_an_error(index, size, message, what):
    arrays = [array(size), np.asarray(index)]
    x, i = inputs_of(arrays)
    x = {"memory": x, "constant": o.like(1.0, x), "added": o.index_add(x, i, o.like(1.0, o.cast(i, dtype=dt.float64)), dim=0)}[
        what
    ]
    root = o.take(x, i, dim=0)
    for run in (native, evaluate):
        with pytest.raises(AxisError) as error:
            run([root], arrays)
        assert str(error.value) == message


@pytest.mark.parametrize("name", ["index_add", "index_set"])
def test_a_scatter_into_a_single_element(name):
    check(lambda x, i, s: getattr(o, name)(x, i, s, dim=0), array(1), np.asarray([0, -1, 0]), array(3))
