"""The split: sizes, seeds, classes in their shares, and what cannot be split."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from danlu.data.split import split
from danlu.errors import DataError


@given(rows=st.integers(25, 3000), seed=st.integers(0, 2**40), classes=st.integers(1, 9))
def test_every_row_is_in_one_part_and_the_sizes_are_72_8_20(rows: int, seed: int, classes: int) -> None:
    labels = np.arange(rows) % classes
    for given_labels in (None, labels):
        parts = split(rows, seed, given_labels)
        assert [len(part) for part in parts] == [
            rows - round(rows * 0.2) - round(rows * 0.08),
            round(rows * 0.08),
            round(rows * 0.2),
        ]
        np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(rows))


def test_the_seed_alone_decides() -> None:
    labels = np.arange(100) % 3
    first, again, other = split(100, 7, labels), split(100, 7, labels), split(100, 8, labels)
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert not np.array_equal(first[2], other[2])


@given(
    counts=st.lists(st.integers(1, 200), min_size=2, max_size=8).filter(lambda counts: sum(counts) >= 60), seed=st.integers(0, 99)
)
def test_classes_keep_their_shares(counts: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    training, validation, test = split(len(labels), seed, labels)
    for label, count in enumerate(counts):
        assert (labels[training] == label).sum() >= 1
        for part, share in ((test, 0.2), (validation, 0.08)):
            assert abs((labels[part] == label).sum() - share * count) <= 2 + 0.02 * count


def test_a_class_with_one_row_is_for_training() -> None:
    labels = np.array([0] * 50 + [1])
    for seed in range(20):
        assert 50 in split(51, seed, labels)[0]


def test_what_cannot_be_split() -> None:
    with pytest.raises(DataError, match="24 rows are too few to train, validate and test; at least 25 are needed"):
        split(24, 0)
    with pytest.raises(DataError, match="30 classes in 40 rows are too many to test"):
        split(40, 0, np.minimum(np.arange(40), 29))
    with pytest.raises(DataError, match=re.escape("a seed should be an integer of 0 or more, got -1")):
        split(40, -1)
