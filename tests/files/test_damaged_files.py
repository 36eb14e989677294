"""A sample of the damaged files of tests/slow: an error of ours or data, never a crash, a hang, much memory or code."""

from __future__ import annotations

import mutations
import pytest


@pytest.mark.parametrize("kind", mutations.SEEDS)
def test_damaged_files_are_refused_or_read(kind, tmp_path):
    read, refused = mutations.play(kind, 150, tmp_path)
    assert read + refused == 150 and (refused or kind == "csv")
