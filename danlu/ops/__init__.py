"""L2. The op table: one record an operation, one file a family. Importing this package fills the table."""

from danlu.ops import contract, elementwise, gather, mathematics, movement, random, reduce, source, special, trigonometry
from danlu.ops.table import TABLE, o

__all__ = [
    "TABLE",
    "contract",
    "elementwise",
    "gather",
    "mathematics",
    "movement",
    "o",
    "random",
    "reduce",
    "source",
    "special",
    "trigonometry",
]
