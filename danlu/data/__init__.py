"""L7. Data sets, their readers and preparation, and the loader that makes batches of them."""

from danlu.data.dataset import Dataset, Subset, TensorDataset, random_split
from danlu.data.digits import load_digits
from danlu.data.idx import read_idx
from danlu.data.loader import DataLoader, default_collate
from danlu.data.table import Table, read_csv
from danlu.guidance import unknown

__getattr__ = unknown(__name__, globals())

__all__ = [
    "DataLoader",
    "Dataset",
    "Subset",
    "Table",
    "TensorDataset",
    "default_collate",
    "load_digits",
    "random_split",
    "read_csv",
    "read_idx",
]
