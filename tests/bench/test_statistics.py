"""The arithmetic of the benchmarks. Nothing here is timed."""

from __future__ import annotations

import doctest
import importlib
import math
import statistics
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.ratios import geometric_mean, largest_difference, median_ratio, moved, paired_ratios, quartiles, rotated

POSITIVE = st.floats(1e-6, 1e6)
PAIRS = st.lists(st.tuples(POSITIVE, POSITIVE), min_size=1, max_size=20)


@pytest.mark.parametrize("name", ["bench.ratios", "bench.table", "bench.steps", "bench.kernels"])
def test_the_examples_run(name):
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried
    assert not failed


@given(PAIRS, POSITIVE)
def test_a_slow_spell_that_meets_both_sides_of_a_round_does_not_count(pairs, slower):
    ours, theirs = map(list, zip(*pairs))
    before = median_ratio(ours, theirs)
    ours[0] *= slower
    theirs[0] *= slower
    assert median_ratio(ours, theirs) == pytest.approx(before)


def test_the_median_of_ratios_is_not_the_ratio_of_medians():
    ours, theirs = [1.0, 4.0, 50.0], [4.0, 2.0, 5.0]
    assert median_ratio(ours, theirs) == 2.0
    assert statistics.median(ours) / statistics.median(theirs) == 1.0


def test_rounds_that_do_not_pair_are_refused():
    with pytest.raises(ValueError, match="two equally long lists that are not empty, got 2 and 1"):
        paired_ratios([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="got 0 and 0"):
        paired_ratios([], [])


@given(PAIRS)
def test_the_geometric_mean_turns_round_with_its_ratios(pairs):
    ratios = [a / b for a, b in pairs]
    assert geometric_mean(ratios) * geometric_mean([1 / r for r in ratios]) == pytest.approx(1)
    assert min(ratios) * (1 - 1e-9) <= geometric_mean(ratios) <= max(ratios) * (1 + 1e-9)


def test_a_geometric_mean_needs_positive_numbers():
    with pytest.raises(ValueError, match="needs positive numbers"):
        geometric_mean([1.0, 0.0])


def test_quartiles_of_one_round_are_that_round():
    assert quartiles([3.0]) == (3.0, 3.0)


@pytest.mark.parametrize("names", ["ab", "abc", "abcd"])
def test_over_a_turn_each_is_first_equally_often_and_nobody_is_lost(names):
    orders = [rotated(names, turn) for turn in range(2 * len(names))]
    assert all(sorted(order) == list(names) for order in orders)
    assert {name: sum(order[0] == name for order in orders) for name in names} == dict.fromkeys(names, 2)


def test_over_a_turn_each_of_three_follows_each():
    orders = [rotated("abc", turn) for turn in range(6)]
    followed = {pair for order in orders for pair in pairwise(order)}
    assert followed == {(a, b) for a in "abc" for b in "abc" if a != b}


def test_losses_that_are_not_finite_or_end_early_never_agree():
    assert largest_difference({"a": [1.0, math.nan], "b": [1.0, math.nan]}) == math.inf
    assert largest_difference({"a": [1.0, 2.0], "b": [1.0]}) == math.inf
    assert largest_difference({"a": [1.0, 2.0], "b": [1.0, 2.0]}) == 0.0


def test_one_framework_that_strays_among_three_is_seen():
    assert largest_difference({"a": [1.0], "b": [1.0], "c": [0.9]}) == pytest.approx(0.1)


def test_a_loss_that_stands_still_is_seen():
    assert not moved([0.5, 0.5, 0.5])
    assert moved([0.5, 0.5, 0.499])
