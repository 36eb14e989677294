"""The DataLoader with worker processes beside none: an augmenting image pipeline, in images a second.

    python -m bench.loader [--rounds 7] [--images 512] [--workers 4]

A sample is a JPEG file (in memory) of 256 × 256 pixels that is decoded, cropped, resized, flipped, jittered and normalized, as an ImageFolder has
it. In every round each loader goes once over the data, in turn; workers live over all rounds, and the first epoch is not counted. A ratio is the
median over rounds of the time without workers over the time with them, in the same round: it means something on an idle machine with two cores or
more only. Before anything is timed both must give the same batches in the same order.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import statistics
import time
from typing import Any

import numpy as np
from PIL import Image

import danlu
from bench import machine
from bench.ratios import quartiles, rotated
from bench.table import table
from danlu.data import DataLoader, Dataset
from danlu.vision import transforms

BATCH = 32
TARGET = 1.6  # × on two cores


class Photographs(Dataset):
    """Files of noise with some structure, as photographs have it, and the pipeline of a training set."""

    def __init__(self, count: int) -> None:
        rng = np.random.default_rng(0)
        coarse = [rng.integers(0, 256, (32, 32, 3), np.uint8) for _ in range(16)]
        self.files = [jpeg(Image.fromarray(image).resize((256, 256))) for image in coarse]
        self.count = count
        self.transform = transforms.Compose(
            [
                transforms.RandomResizedCrop(224),
                transforms.RandomHorizontalFlip(),
                transforms.ColorJitter(0.4, 0.4, 0.4),
                transforms.ToTensor(),
                transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Any, int]:
        file = io.BytesIO(self.files[index % len(self.files)])
        return self.transform(Image.open(file).convert("RGB")), index


def jpeg(image: Image.Image) -> bytes:
    """The file of an image."""
    file = io.BytesIO()
    image.save(file, "jpeg", quality=90)
    return file.getvalue()


def loaders(images: int, workers: int) -> dict[str, DataLoader]:
    """Without workers and with them, from the same seed."""
    data = Photographs(images)
    options: dict[str, Any] = {"batch_size": BATCH, "shuffle": True, "seed": 1}
    return {
        "0": DataLoader(data, **options),
        str(workers): DataLoader(data, num_workers=workers, persistent_workers=True, **options),
    }


def digest(loader: DataLoader) -> str:
    """A name for all batches of an epoch in their order."""
    found = hashlib.sha256()
    for x, y in loader:
        found.update(x.numpy().tobytes() + y.numpy().tobytes())
    return found.hexdigest()


def epoch(loader: DataLoader) -> float:
    """Seconds for one epoch of which every batch is read."""
    start = time.perf_counter()
    for x, _ in loader:
        x.numpy()
    return time.perf_counter() - start


def report(rounds: int = 7, images: int = 512, workers: int = 4) -> list[str]:
    """The table, as lines."""
    danlu.set_num_threads(1)  # the pipeline is the work, and each process has one thread
    found = loaders(images, workers)
    if len({digest(loader) for loader in found.values()}) != 1:
        return ["The loaders give other batches: nothing is timed."]
    times: dict[str, list[float]] = {name: [] for name in found}
    for turn in range(rounds):
        for name in rotated(list(found), turn):
            times[name].append(epoch(found[name]))
    ratios = [a / b for a, b in zip(times["0"], times[str(workers)])]
    low, high = quartiles(ratios)
    rows = [[name, f"{images / statistics.median(seconds):,.0f}"] for name, seconds in times.items()]
    verdict = "met" if statistics.median(ratios) >= TARGET else "missed"
    return [
        *table(["workers", "images a second"], rows),
        "",
        f"{workers} workers: {statistics.median(ratios):.2f} × ({low:.2f} to {high:.2f}) on {len(machine.cores())} cores; "
        f"target {TARGET}: {verdict}. The batches are the same, bit for bit.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--workers", type=int, default=4)
    given = parser.parse_args()
    print("\n".join(report(given.rounds, given.images, given.workers)))


if __name__ == "__main__":
    main()
