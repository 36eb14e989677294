"""What the tests of the data share: small files of every format."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from idx_writer import idx_bytes


@pytest.fixture
def write_pair(tmp_path: Path) -> Callable[..., Path]:
    """Writes `X-images-idx3-ubyte` and `X-labels-idx1-ubyte` of random images; returns the folder."""

    def write(stem: str = "train", rows: int = 60, size: int = 4, packed: bool = False, seed: int = 0) -> Path:
        generator = np.random.default_rng(seed)
        images = generator.integers(0, 256, (rows, size, size)).astype(np.uint8)
        labels = (np.arange(rows) % 3).astype(np.uint8)
        for name, array in ((f"{stem}-images-idx3-ubyte", images), (f"{stem}-labels-idx1-ubyte", labels)):
            data = idx_bytes(array)
            (tmp_path / (name + ".gz" * packed)).write_bytes(gzip.compress(data) if packed else data)
        return tmp_path

    return write


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., Path]:
    """Writes a text (or bytes) as a CSV and returns its path."""

    def write(content: str | bytes, name: str = "train.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
