"""LeNet-5 (with ReLU and max pooling) on the 10,000 test images of MNIST: 8,000 to learn from, 2,000 to test on.

    python lenet_mnist.py FOLDER          # PyTorch
    danlu run lenet_mnist.py FOLDER       # the same lines under danlu

FOLDER holds t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz, with or without a prefix of their names.
"""

import argparse
import gzip
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, optim

TRAIN = 8000


def read(folder: str, kind: str, head: int) -> np.ndarray:
    """The bytes of one IDX file after its head."""
    (file,) = Path(folder).glob(f"*t10k-{kind}-ubyte.gz")
    return np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8, offset=head)


def load(folder: str):
    """Images [10000, 1, 28, 28] from 0 to 1 and labels, in an order that does not depend on the framework."""
    order = np.random.default_rng(0).permutation(10_000)
    images = read(folder, "images-idx3", 16).reshape(-1, 1, 28, 28)[order].astype(np.float32) / 255
    labels = read(folder, "labels-idx1", 8)[order].astype(np.int64)
    return torch.from_numpy(images), torch.from_numpy(labels)


def shifted(images, most: int = 2):
    """Each image moved by up to `most` pixels in both directions."""
    padded = F.pad(images, (most,) * 4)[:, 0]  # [N, 32, 32]
    dy, dx = torch.randint(0, 2 * most + 1, (2, len(images), 1, 1))
    rows, columns = dy + torch.arange(28)[:, None], dx + torch.arange(28)
    return padded[torch.arange(len(images))[:, None, None], rows, columns][:, None]


def lenet():
    """1 × 28 × 28 → 6 × 14 × 14 → 16 × 5 × 5 → 120 → 84 → 10."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    images, labels = load(options.folder)
    model = lenet()
    optimizer = optim.AdamW(model.parameters(), lr=0.004, weight_decay=0.01)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.004, total_steps=options.epochs * (TRAIN // options.batch))
    for epoch in range(options.epochs):
        total = 0.0
        for batch in torch.randperm(TRAIN).split(options.batch):
            loss = F.cross_entropy(model(shifted(images[batch])), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.detach() * len(batch) / TRAIN
        print(f"epoch {epoch + 1} loss {total.item():.4f}")
    with torch.no_grad():
        right = model(images[TRAIN:]).argmax(1) == labels[TRAIN:]
    print(f"test accuracy {right.float().mean().item():.4f}")


if __name__ == "__main__":
    main()
