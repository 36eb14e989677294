"""The training steps as a plain danlu loop writes them, without any decorator."""

from __future__ import annotations

from collections.abc import Callable

import danlu
from bench.steps import CASES, Arrays
from danlu import nn, optim

VERSION = danlu.__version__
Step = Callable[[], danlu.Tensor]


def set_threads(count: int) -> None:
    """Threads of one program."""
    danlu.set_num_threads(count)


def threads() -> int:
    """Threads in force."""
    return danlu.get_num_threads()


def read(loss: danlu.Tensor) -> float:
    """The number."""
    return loss.item()


def fill(net: nn.Module, weights: Arrays) -> None:
    """The first weights."""
    with danlu.no_grad():
        for p, w in zip(net.parameters(), weights, strict=True):
            p.copy_(danlu.from_numpy(w))


def train(case: str, net: nn.Module, optimizer: type, loss_of: nn.Module) -> Step:
    """A step of the loop that everybody writes."""
    problem = CASES[case].problem()
    fill(net, problem.weights)
    x, y = danlu.from_numpy(problem.x), danlu.from_numpy(problem.y)
    opt = optimizer(net.parameters(), lr=CASES[case].lr)

    def step() -> danlu.Tensor:
        opt.zero_grad()
        loss = loss_of(net(x), y)
        loss.backward()
        opt.step()
        return loss

    return step


def xor(case: str) -> Step:
    """2-8-1 with tanh, mean squared error."""
    return train(case, nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)), optim.SGD, nn.MSELoss())


def line(case: str) -> Step:
    """y = x w + b, updated by hand."""
    problem, lr = CASES[case].problem(), CASES[case].lr
    x, y = danlu.from_numpy(problem.x), danlu.from_numpy(problem.y)
    w, b = (danlu.from_numpy(a.copy()).requires_grad_() for a in problem.weights)

    def step() -> danlu.Tensor:
        nonlocal w, b
        loss = ((x @ w + b - y) ** 2).mean()
        loss.backward()
        with danlu.no_grad():
            w -= lr * w.grad
            b -= lr * b.grad
        w.grad = b.grad = None
        return loss

    return step


def tiny(case: str) -> Step:
    """4-16-3."""
    return train(case, nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)), optim.Adam, nn.CrossEntropyLoss())


def softmax(case: str) -> Step:
    """784-10."""
    return train(case, nn.Linear(784, 10), optim.SGD, nn.CrossEntropyLoss())


def mlp(case: str) -> Step:
    """784-256-10, SGD."""
    return train(case, nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10)), optim.SGD, nn.CrossEntropyLoss())


def mlp32(case: str) -> Step:
    """784-256-10, Adam."""
    return train(case, nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10)), optim.Adam, nn.CrossEntropyLoss())


def norm(case: str) -> Step:
    """784-512-512-10 with batch norm."""
    layers = []
    for i, o in ((784, 512), (512, 512)):
        layers += [nn.Linear(i, o), nn.BatchNorm1d(o), nn.ReLU()]
    return train(case, nn.Sequential(*layers, nn.Linear(512, 10)), optim.Adam, nn.CrossEntropyLoss())


STEPS = {f.__name__: f for f in (xor, line, tiny, softmax, mlp, mlp32, norm)}
