"""L7. Optimizers and learning-rate schedules, with PyTorch's names."""

from danlu.guidance import unknown
from danlu.optim import lr_scheduler, swa_utils
from danlu.optim.adam import Adam, AdamW
from danlu.optim.adaptive import Adadelta, Adafactor, Adagrad, RMSprop, Rprop
from danlu.optim.lbfgs import LBFGS
from danlu.optim.muon import Muon
from danlu.optim.optimizer import Optimizer
from danlu.optim.relatives import Adamax, NAdam, RAdam, SparseAdam
from danlu.optim.sgd import ASGD, SGD

__getattr__ = unknown(__name__, globals())

__all__ = [
    "ASGD",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SparseAdam",
    "lr_scheduler",
    "swa_utils",
]
