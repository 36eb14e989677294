"""L7. The handwritten digits that the package carries: source and licence in `files/SOURCE.txt`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from danlu.data.idx import read_idx

_FILES = Path(__file__).parent / "files"


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """The 1,797 handwritten digits of UCI (Alpaydin and Kaynak 1998, CC BY 4.0), in scikit-learn's order.

    Shapes: images uint8 [N=1797, height=8, width=8] with values 0..16; labels int64 [N] with values 0..9.

    >>> from danlu.data import load_digits
    >>> images, labels = load_digits()
    >>> images.shape, int(images.max()), labels[:5].tolist()
    ((1797, 8, 8), 16, [0, 1, 2, 3, 4])
    """
    images = read_idx(_FILES / "digits-images-idx3-ubyte.gz")
    labels = read_idx(_FILES / "digits-labels-idx1-ubyte.gz")
    return images, labels.astype(np.int64)
