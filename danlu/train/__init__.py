"""L8. Training: `fit`, what it calls on the way, and the figures of merit."""

from danlu.train.callbacks import Checkpoint, EarlyStopping, Interrupt, MetricsLog
from danlu.train.display import progress
from danlu.train.evaluation import predict
from danlu.train.fit import fit
from danlu.train.loop import Callback, History, Loop
from danlu.train.metrics import accuracy, confusion_matrix, mae, mse, r2, rmse

__all__ = [
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "History",
    "Interrupt",
    "Loop",
    "MetricsLog",
    "accuracy",
    "confusion_matrix",
    "fit",
    "mae",
    "mse",
    "predict",
    "progress",
    "r2",
    "rmse",
]
