"""L7. Optimizers and learning-rate schedules, with PyTorch's names."""

from danlu.guidance import unknown
from danlu.optim import lr_scheduler
from danlu.optim.adam import Adam, AdamW
from danlu.optim.optimizer import Optimizer
from danlu.optim.sgd import SGD

__getattr__ = unknown(__name__, globals())

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]
