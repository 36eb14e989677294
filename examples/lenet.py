"""LeNet-5: the same small detector everywhere in the image, and what it finds summed up coarser and coarser.

    y[o, i, j] = b[o] + Σ_{c, u, v} w[o, c, u, v] · x[c, i + u, j + v]

A fully connected layer would learn a stroke anew for each place where it may stand; a convolution has one set of weights for all
places. The network is that of LeCun et al. (1998) with relu instead of a sigmoid and the largest instead of the mean of four
neighbours, as one would write it today. The 8 × 8 digits of the package are enlarged to MNIST's 28 × 28.

    python examples/lenet.py [--short] [--data digits|FOLDER]

Result: test accuracy 97.8 % after 15 epochs; 4.5 s of CPU time on one thread of
an AMD EPYC (Zen 4), compilation and all, 2026-11-21.
"""

import argparse
import time

import danlu as torch
import danlu.nn.functional as F
from danlu import nn, optim
from danlu.data import DataLoader, TensorDataset
from danlu.data.source import open_source

parser = argparse.ArgumentParser(description="LeNet-5 on digits")
parser.add_argument("--short", action="store_true", help="3 epochs instead of 15")
parser.add_argument("--data", default="digits", help="'digits', or a folder with MNIST's files")


def load(name):
    """Training and test set: images [N, 1, 28, 28] from 0 to 1, and labels."""
    source = open_source(name)
    x = torch.tensor(source.data)[:, None].float() / int(source.data.max())
    if x.shape[-1] != 28:
        x = F.interpolate(x, size=(28, 28), mode="bilinear")
    order = torch.randperm(len(x))
    cut = len(x) * 4 // 5
    x, y = x[order], torch.tensor(source.values)[order]
    return TensorDataset(x[:cut], y[:cut]), TensorDataset(x[cut:], y[cut:])


def lenet():
    """Comments: channels × height × width after each line."""
    return nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5, padding=2), nn.ReLU(),  # 6 × 28 × 28
        nn.MaxPool2d(2),  # 6 × 14 × 14
        nn.Conv2d(6, 16, kernel_size=5), nn.ReLU(),  # 16 × 10 × 10
        nn.MaxPool2d(2),  # 16 × 5 × 5
        nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(),
        nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, 10),
    )  # fmt: skip


def evaluate(model, data):
    """The share of right answers."""
    with torch.no_grad():
        right = sum((model(x).argmax(1) == y).sum().item() for x, y in DataLoader(data, batch_size=500))
    return right / len(data)


def main(arguments=None):
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    training, test = load(options.data)
    loader = DataLoader(training, batch_size=64, shuffle=True, drop_last=True)
    model = lenet()
    print(f"{sum(p.numel() for p in model.parameters()):,} weights")
    loss_function = nn.CrossEntropyLoss()
    epochs = 3 if options.short else 15
    optimizer = optim.AdamW(model.parameters(), lr=0.004)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.004, epochs=epochs, steps_per_epoch=len(loader))
    for epoch in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            loss = loss_function(model(x), y)
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1:2}  last loss {loss.item():.4f}  test accuracy {evaluate(model, test):.3f}")
    accuracy = evaluate(model, test)
    print(f"test accuracy {accuracy:.3f}, {time.process_time():.1f} s of CPU time")
    return {"accuracy": accuracy}


if __name__ == "__main__":
    main()
