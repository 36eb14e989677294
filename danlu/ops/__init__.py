"""L2. The op table: one record an operation, one file a family. Importing this package fills the table."""

from danlu.ops import (
    composite,
    contract,
    elementwise,
    gamma,
    gather,
    mathematics,
    movement,
    opaque,
    pointwise,
    random,
    reduce,
    scan,
    scatter,
    sorting,
    source,
    special,
    trigonometry,
)
from danlu.ops.table import TABLE, o

__all__ = [
    "TABLE", "composite", "contract", "elementwise", "gamma", "gather", "mathematics", "movement", "o", "opaque", "pointwise", "random",
    "reduce", "scan", "scatter", "sorting", "source", "special", "trigonometry",
]  # fmt: skip
