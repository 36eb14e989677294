"""Epochs of `danlu.train.fit`: the training runs in a thread of its own and halts after each epoch until it is asked for the next."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bench import nets_danlu as nets
from bench.epochs import EPOCHS
from bench.steps_danlu import VERSION, fill, set_threads, threads
from danlu import nn, optim
from danlu.data import DataLoader, TensorDataset
from danlu.train import Callback, Loop, fit

NETS: dict[str, Callable[[], nn.Module]] = {
    "tiny": lambda: nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)),
    "mlp32": nets.mlp,
}


def read(loss: float) -> float:
    """The mean loss of an epoch, which the history holds as a number."""
    return loss


class Turnstile(Callback):
    """Lets one epoch through for each call."""

    def __init__(self) -> None:
        self.may, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self.loss, self.error = 0.0, ""

    def on_start(self, loop: Loop) -> None:
        """Wait for the first call."""
        self.may.acquire()

    def on_epoch_end(self, loop: Loop) -> None:
        """Give the loss and wait for the next call."""
        self.loss = loop.history["loss"][-1]
        self.done.release()
        self.may.acquire()

    def close(self) -> None:
        """The training ended; it never should."""
        self.error = "fit ended"
        self.done.release()

    def __call__(self) -> float:
        """One epoch."""
        self.may.release()
        self.done.acquire()
        if self.error:
            raise RuntimeError(self.error)
        return self.loss


def step(name: str) -> Turnstile:
    """A function that does the next epoch of one endless `fit`."""
    row = EPOCHS[name]
    problem = row.case.problem()
    net, turnstile = NETS[name](), Turnstile()
    fill(net, problem.weights)
    loader = DataLoader(TensorDataset(problem.x, problem.y), batch_size=len(problem.x) // row.batches)
    optimizer = optim.Adam(net.parameters(), lr=row.case.lr)

    def train() -> None:
        fit(net, loader, loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=10**9, callbacks=[turnstile])

    threading.Thread(target=train, daemon=True).start()
    return turnstile


STEPS = dict.fromkeys(EPOCHS, step)

__all__ = ["STEPS", "VERSION", "read", "set_threads", "threads"]
