"""L8. A model's outputs for many rows, in chunks of one size, so that one compiled program serves every data set."""

from __future__ import annotations

import numpy as np

from danlu.errors import ShapeError
from danlu.nn import Module
from danlu.tensor import no_grad
from danlu.tensor.exchange import from_numpy

CHUNK = 256  # rows of one forward pass


def predict(model: Module, x: np.ndarray) -> np.ndarray:
    """The model's outputs for all rows, in evaluation mode (no dropout) and without gradients.

    The last chunk is filled up with copies of its last row, whose outputs are dropped: one shape, one program.

    Shapes: x [rows, ...] -> [rows, ...], one output row for each input row.

    Raises:
        ShapeError: no rows.

    >>> import numpy as np
    >>> from danlu.train import predict
    >>> from danlu import nn
    >>> predict(nn.Linear(3, 2), np.zeros((5, 3), np.float32)).shape
    (5, 2)
    """
    if len(x) == 0:
        raise ShapeError("nothing to predict: the inputs have the shape {shape}; give at least one row", shape=x.shape)
    training = model.training
    model.eval()
    with no_grad():
        outputs = [model(from_numpy(chunk)).numpy()[:rows] for chunk, rows in _chunks(x)]
    model.train(training)
    return np.concatenate(outputs)


def _chunks(x: np.ndarray):
    """(chunk of CHUNK rows, how many of them are real)."""
    for start in range(0, len(x), CHUNK):
        chunk = x[start : start + CHUNK]
        rows = len(chunk)
        if rows < CHUNK:
            chunk = np.concatenate([chunk, np.repeat(chunk[-1:], CHUNK - rows, axis=0)])
        yield np.ascontiguousarray(chunk), rows
