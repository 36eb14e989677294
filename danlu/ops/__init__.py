"""L2. The op table: one record an operation, one file a family. Importing this package fills the table."""

from danlu.ops import (
    composite,
    contract,
    convolution,
    elementwise,
    gather,
    mathematics,
    movement,
    normalization,
    opaque,
    pooling,
    random,
    reduce,
    source,
    special,
    trigonometry,
    window,
)
from danlu.ops.table import TABLE, o

__all__ = [
    "TABLE", "composite", "contract", "convolution", "elementwise", "gather", "mathematics", "movement", "normalization", "o", "opaque",
    "pooling", "random", "reduce", "source", "special", "trigonometry", "window",
]  # fmt: skip
