"""The scripts of plain PyTorch code run under `danlu run`, and the table says what they told."""

from __future__ import annotations

import gzip

import numpy as np

from bench import port
from bench.process import Life, python


def life(figure: float, cpu: float) -> Life:
    """A process that has ended."""
    return Life(2 * cpu, cpu, f"epoch 1 loss 0.5\ntest accuracy {figure}\n")


def test_a_row_holds_means_of_figures_and_the_ratio_of_paired_times():
    runs = [{"PyTorch": life(0.98, 10), "danlu run": life(0.99, 6)}, {"PyTorch": life(0.97, 20), "danlu run": life(0.98, 8)}]
    cells = port.row("lenet", runs)
    assert cells[:4] == ["lenet_mnist.py, test accuracy", "0.9750", "0.9850", "+0.0100"]
    assert cells[4:9] == ["15.0 s", "7.00 s", "30.0 s", "14.0 s", "**0.50**"]


def test_lenet_learns_under_danlu_run(tmp_path):
    """On made images: a bright square whose place is the label."""
    labels = np.random.default_rng(0).integers(0, 10, 10_000)
    images = np.zeros((10_000, 28, 28), np.uint8)
    for k in range(10):
        images[labels == k, 4 + 14 * (k // 5) : 10 + 14 * (k // 5), 2 + 5 * (k % 5) : 6 + 5 * (k % 5)] = 255
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(16) + images.tobytes(), 1))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes(8) + labels.astype(np.uint8).tobytes(), 1))
    script = str(port.SCRIPTS / "lenet_mnist.py")
    done = python([*port.WAYS["danlu run"], script, str(tmp_path), "--epochs", "2", "--batch", "200"])
    assert port.figure(done) > 0.8  # guessing: 0.1


def test_the_gpt_learns_under_danlu_run(tmp_path):
    """On a text of four characters that repeats itself: ln 4 = 1.386 by frequencies, 0 by what stands before."""
    (tmp_path / "text.txt").write_text("abcd" * 2300, "utf-8")
    done = python([*port.WAYS["danlu run"], str(port.SCRIPTS / "char_gpt.py"), str(tmp_path / "text.txt"), "--steps", "24"])
    assert port.figure(done) < 0.7
