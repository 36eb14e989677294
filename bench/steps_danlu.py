"""The training steps as a plain danlu loop writes them, without any decorator."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import danlu
from bench import nets_danlu as nets
from bench.steps import DEPTHS, Arrays, case
from danlu import nn, optim
from danlu.nn import functional as F

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


def train(name: str, net: nn.Module, optimizer: Callable, loss_of: Callable, clip: float | None = None) -> Step:
    """A step of the loop that everybody writes."""
    problem = case(name).problem()
    fill(net, problem.weights)
    x, y = danlu.from_numpy(problem.x), danlu.from_numpy(problem.y)
    opt = optimizer(net.parameters(), lr=case(name).lr)

    def step() -> danlu.Tensor:
        opt.zero_grad()
        loss = loss_of(net(x), y)
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(net.parameters(), clip)
        opt.step()
        return loss

    return step


def xor(name: str) -> Step:
    """2-8-1 with tanh, mean squared error."""
    return train(name, nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)), optim.SGD, nn.MSELoss())


def line(name: str) -> Step:
    """y = x w + b, updated by hand."""
    problem, lr = case(name).problem(), case(name).lr
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


def tiny(name: str) -> Step:
    """4-16-3."""
    return train(name, nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)), optim.Adam, nn.CrossEntropyLoss())


def softmax(name: str) -> Step:
    """784-10."""
    return train(name, nn.Linear(784, 10), optim.SGD, nn.CrossEntropyLoss())


def mlp(name: str) -> Step:
    """784-256-10, SGD."""
    return train(name, nets.mlp(), optim.SGD, nn.CrossEntropyLoss())


def mlp32(name: str) -> Step:
    """784-256-10, Adam."""
    return train(name, nets.mlp(), optim.Adam, nn.CrossEntropyLoss())


def norm(name: str) -> Step:
    """784-512-512-10 with batch norm."""
    layers = []
    for i, o in ((784, 512), (512, 512)):
        layers += [nn.Linear(i, o), nn.BatchNorm1d(o), nn.ReLU()]
    return train(name, nn.Sequential(*layers, nn.Linear(512, 10)), optim.Adam, nn.CrossEntropyLoss())


def deep(name: str) -> Step:
    """Layers of width 8, as many as the name says."""
    layers = len(case(name).problem().weights) // 2
    return train(name, nets.deep(layers), optim.SGD, nn.MSELoss())


def lenet(name: str) -> Step:
    """LeNet."""
    return train(name, nets.lenet(), optim.SGD, nn.CrossEntropyLoss())


def cnn(name: str) -> Step:
    """Three convolutions with batch norm."""
    return train(name, nets.cnn(), optim.Adam, nn.CrossEntropyLoss())


def residual(name: str) -> Step:
    """Two residual blocks."""
    return train(name, nets.residual(), partial(optim.SGD, momentum=0.9), nn.CrossEntropyLoss())


def next_character(logits: danlu.Tensor, y: danlu.Tensor) -> danlu.Tensor:
    """Cross-entropy over all positions."""
    return F.cross_entropy(logits.flatten(0, 1), y.flatten())


def gru(name: str) -> Step:
    """GRU over characters."""
    return train(name, nets.Characters(nn.GRU), optim.Adam, next_character, clip=1.0)


def lstm(name: str) -> Step:
    """LSTM over characters."""
    return train(name, nets.Characters(nn.LSTM), optim.Adam, next_character, clip=1.0)


def encoder(name: str) -> Step:
    """Transformer encoder."""
    return train(name, nets.Encoder(), optim.AdamW, nn.CrossEntropyLoss())


def gpt(name: str) -> Step:
    """Character GPT."""
    return train(name, nets.GPT(), optim.AdamW, next_character)


def factors(name: str) -> Step:
    """Matrix factorisation."""
    return train(name, nets.Factors(), optim.SGD, nn.MSELoss())


WRITTEN = (xor, line, tiny, softmax, mlp, mlp32, norm, lenet, cnn, residual, gru, lstm, encoder, gpt, factors)
STEPS = {**{f.__name__: f for f in WRITTEN}, **dict.fromkeys(DEPTHS, deep)}
