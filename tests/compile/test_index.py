"""Index arithmetic against the arithmetic of Python's integers, at every point of the loops."""

from __future__ import annotations

from itertools import product
from math import prod

import hypothesis.strategies as st
import pytest
from hypothesis import given

from danlu.compile.index import ZERO, Index, Quotient, Var, i, substitute

VARS = [Var("a", 3), Var("b", 4), Var("c", 7)]
POINTS = [dict(zip("abc", p)) for p in product(*(range(v.extent) for v in VARS))]


def value(index: Index, point: dict[str, int]) -> int:
    """The index at a point, divided as the generated code divides: without a sign."""
    total = index.const
    for atom, c in index.terms:
        if isinstance(atom, Var):
            total += c * point[atom.name]
        else:
            inner = value(atom.index, point)
            assert inner >= 0, "the hardware's division has no sign"
            total += c * (inner // atom.divisor if isinstance(atom, Quotient) else inner % atom.divisor)
    return total


# An index with the function that it stands for.
LEAVES = st.one_of(
    st.sampled_from(range(3)).map(lambda k: (i.var(VARS[k]), lambda p, n="abc"[k]: p[n])),
    st.integers(-9, 9).map(lambda n: (Index((), n), lambda p, n=n: n)),
)


def grown(parts):
    number = st.integers(1, 12)
    return st.one_of(
        st.tuples(parts, parts).map(lambda xy: (i.add(xy[0][0], xy[1][0]), lambda p: xy[0][1](p) + xy[1][1](p))),
        st.tuples(parts, st.integers(-6, 6), st.integers(-6, 6)).map(lambda x: (i.affine(x[0][0], x[1], x[2]), lambda p: x[1] * x[0][1](p) + x[2])),
        st.tuples(parts, number).map(lambda x: (i.floordiv(x[0][0], x[1]), lambda p: x[0][1](p) // x[1])),
        st.tuples(parts, number).map(lambda x: (i.mod(x[0][0], x[1]), lambda p: x[0][1](p) % x[1])),
    )  # fmt: skip


INDICES = st.recursive(LEAVES, grown, max_leaves=6)


@given(INDICES)
def test_a_simplified_index_has_the_value_of_what_it_stands_for(pair):
    index, meant = pair
    low, high = index.bounds()
    for point in POINTS:
        found = value(index, point)
        assert found == meant(point), (index, point)
        assert low <= found <= high


@given(INDICES, INDICES)
def test_a_variable_replaced_is_the_function_of_the_replacement(pair, other):
    index, meant = pair
    replacement, inner = (i.mod(other[0], 7), lambda p: other[1](p) % 7)
    replaced = substitute(index, {VARS[2]: replacement})
    for point in POINTS[:: len(POINTS) // 20]:
        assert value(replaced, point) == meant({**point, "c": inner(point)})


SHAPES = st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple)


@given(SHAPES, st.integers(0, 3))
def test_ravel_and_unravel_are_inverse_and_leave_no_division(shape, ones):
    variables = [Var(f"v{k}", n) for k, n in enumerate(shape)]
    index = tuple(map(i.var, variables))
    assert i.unravel(i.ravel(index, shape), shape) == index
    flat = Var("f", prod(shape))
    assert i.ravel(i.unravel(i.var(flat), shape), shape) == i.var(flat)


@given(SHAPES, SHAPES)
def test_a_reshape_and_back_is_nothing(shape, other):
    index = tuple(i.var(Var(f"v{k}", n)) for k, n in enumerate((*shape, *other)))
    there = (prod(shape), prod(other))
    assert i.unravel(i.ravel(i.unravel(i.ravel(index, (*shape, *other)), there), there), (*shape, *other)) == index


@pytest.mark.parametrize("n", [0, 1])
def test_axes_without_elements_have_no_index(n):
    x = i.var(Var("x", 5))
    assert i.mod(x, n) == ZERO
    assert i.floordiv(x, n) == (x if n else ZERO)
    assert i.unravel(ZERO, (3, 0, 2)) == (ZERO, ZERO, ZERO)


def test_indices_that_are_equal_are_equal_whatever_their_order():
    a, b = (i.var(v) for v in VARS[:2])
    assert i.add(a, b) == i.add(b, a) and hash(i.add(a, b)) == hash(i.add(b, a))
    assert repr(i.add(i.affine(a, 3, -1), i.floordiv(i.affine(b, 1, 2), 4))) == "3*a + (b + 2 // 4) + -1"
