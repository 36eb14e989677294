"""10,000 damaged files: 2,000 of each of .pt, .npz, safetensors, IDX and CSV (tests/files/mutations.py)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "files"))
import mutations

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", mutations.SEEDS)
def test_two_thousand_damaged_files(kind, tmp_path):
    read, refused = mutations.play(kind, 2000, tmp_path, seed=1)
    assert read + refused == 2000
    assert (tmp_path / f"breaks.{kind}").exists() is False
