"""L2. The op table: one record an operation, one file a family. Importing this package fills the table."""

from danlu.ops import (
    composite,
    contract,
    elementwise,
    gather,
    linear_algebra,
    mathematics,
    movement,
    opaque,
    products,
    random,
    reduce,
    source,
    special,
    spectral,
    trigonometry,
)
from danlu.ops.table import TABLE, o

__all__ = [
    "TABLE", "composite", "contract", "elementwise", "gather", "linear_algebra", "mathematics", "movement", "o", "opaque", "products", "random",
    "reduce", "source", "special", "spectral", "trigonometry",
]  # fmt: skip
