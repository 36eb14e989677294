"""A multilayer perceptron: one bend makes straight lines into shapes.

    h = relu(xW₁ᵀ + b₁),   z = hW₂ᵀ + b₂

Without the relu two layers are one: xW₁ᵀW₂ᵀ is again a matrix. The example trains three networks for the same time, on the same digits:
a line, two lines after one another (no better), and two layers with the bend between them. Dropout sets half of h to zero
while training, so that no unit may rely on another one.

    python examples/mlp.py [--short] [--data digits|FOLDER]

Result: test accuracy of a line 96.1 %, of two lines 96.9 %, with the bend 98.6 %; 2.2 s of CPU time on one thread of
an AMD EPYC (Zen 4), compilation and all, 2026-11-21.
"""

import argparse
import time

import danlu as torch
from danlu import nn, optim
from danlu.data import DataLoader, TensorDataset
from danlu.data.source import open_source

parser = argparse.ArgumentParser(description="A multilayer perceptron on digits")
parser.add_argument("--short", action="store_true", help="8 epochs instead of 40")
parser.add_argument("--data", default="digits", help="'digits', or a folder with MNIST's files")


def load(name):
    """Training and test set: rows of pixels from 0 to 1, and labels."""
    source = open_source(name)
    x = torch.tensor(source.data).flatten(1).float() / int(source.data.max())
    order = torch.randperm(len(x))
    cut = len(x) * 4 // 5
    x, y = x[order], torch.tensor(source.values)[order]
    return TensorDataset(x[:cut], y[:cut]), TensorDataset(x[cut:], y[cut:])


def accuracy_of(model, data):
    """The share of right answers, with dropout off."""
    model.eval()
    x, y = data.tensors
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def train(model, data, epochs):
    """Adam, 64 rows at a time."""
    loader = DataLoader(data, batch_size=64, shuffle=True, drop_last=True)
    loss_function = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=0.003)
    model.train()
    for _ in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            loss = loss_function(model(x), y)
            loss.backward()
            optimizer.step()
    return loss.item()


def main(arguments=None):
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    training, test = load(options.data)
    pixels = training.tensors[0].shape[1]
    models = {
        "line": nn.Linear(pixels, 10),
        "two lines": nn.Sequential(nn.Linear(pixels, 128), nn.Linear(128, 10)),
        "mlp": nn.Sequential(nn.Linear(pixels, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)),
    }
    accuracies = {}
    for name, model in models.items():
        loss = train(model, training, 8 if options.short else 40)
        accuracies[name] = accuracy_of(model, test)
        print(f"{name:9}  last loss {loss:.4f}  test accuracy {accuracies[name]:.3f}")
    print(f"{time.process_time():.1f} s of CPU time")
    return accuracies


if __name__ == "__main__":
    main()
