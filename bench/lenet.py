"""One training step of LeNet-5 on made 28 × 28 images, danlu against eager PyTorch, one thread each, in turns.

    python -m bench.lenet [--batch 256] [--repeats 30]

Times of both alternate step by step, so that a busy machine slows both; quoted are the best and the median.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("DANLU_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import danlu


def network(nn):
    """LeNet-5 with ReLU and max pooling."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def stepper(library, images, labels, state):
    """A function that makes one step and waits for it."""
    model = network(library.nn)
    model.load_state_dict({name: library.tensor(value) for name, value in state.items()})
    x, y = library.tensor(images), library.tensor(labels)
    optimizer = library.optim.SGD(model.parameters(), lr=0.01)

    def step() -> float:
        optimizer.zero_grad()
        loss = library.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def main() -> None:
    """Prints best and median of both, and the last losses, which must agree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(options.batch, 1, 28, 28)).astype(np.float32), rng.integers(0, 10, options.batch)
    state = {name: value.detach().numpy().copy() for name, value in network(danlu.nn).state_dict().items()}
    steps = {"danlu": stepper(danlu, images, labels, state)}
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed: danlu alone")
    else:
        torch.set_num_threads(1)
        steps["torch"] = stepper(torch, images, labels, state)
    for step in steps.values():
        for _ in range(3):
            step()
    times: dict[str, list[float]] = {name: [] for name in steps}
    losses = {}
    for _ in range(options.repeats):
        for name, step in steps.items():
            began = time.perf_counter()
            losses[name] = step()
            times[name].append(1e3 * (time.perf_counter() - began))
    for name, values in times.items():
        print(f"{name}: best {min(values):.2f} ms, median {np.median(values):.2f} ms, loss {losses[name]:.5f}")


if __name__ == "__main__":
    main()
