"""L7. Data sets, their readers and preparation, and the loader that makes batches of them."""

from danlu.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from danlu.data.digits import load_digits
from danlu.data.idx import read_idx
from danlu.data.loader import DataLoader, default_collate, default_convert
from danlu.data.sampler import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from danlu.data.table import Table, read_csv
from danlu.data.workers import get_worker_info
from danlu.guidance import unknown

__getattr__ = unknown(__name__, globals())

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "DistributedSampler",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "Table",
    "TensorDataset",
    "WeightedRandomSampler",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "load_digits",
    "random_split",
    "read_csv",
    "read_idx",
]
