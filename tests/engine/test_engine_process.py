"""The engine across processes: a fork in the middle of a loop, the disk cache, damaged files of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import danlu

ROOT = Path(__file__).resolve().parents[2]
TRAIN = """
import json, danlu
from danlu import programs
danlu.manual_seed(0)
x, w = danlu.rand(16, 4), danlu.rand(4, 3).requires_grad_()
for _ in range(4):
    loss = ((x @ w).tanh() ** 2 * 1.25).mean()
    loss.backward()
    with danlu.no_grad():
        w -= 0.1 * w.grad
    w.grad = None
bits = w.detach().numpy().tobytes().hex()
print(json.dumps([bits, loss.item(), programs.statistics()]))
"""


def train(folder: Path) -> tuple[str, float, dict]:
    """The weights' bits, the loss and the engine's figures of a fresh process with its own cache folder."""
    env = {**os.environ, "DANLU_CACHE_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-W", "error", "-c", TRAIN], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return tuple(json.loads(done.stdout))


def test_a_second_process_reads_its_programs_from_disk_and_has_the_same_bits(tmp_path):
    bits, loss, first = train(tmp_path)
    again, same, second = train(tmp_path)
    assert (again, same) == (bits, loss)
    assert first["from_disk"] == 0
    assert second["from_disk"] == second["programs"] == first["programs"] > 0


@pytest.mark.parametrize("damage", [b"", b"danlu", b"\0" * 5000, None])
def test_a_damaged_file_is_made_anew(tmp_path, damage):
    bits, *_ = train(tmp_path)
    files = sorted(tmp_path.glob("*.bin"))
    for path in files:
        content = path.read_bytes()
        path.write_bytes(content[:-7] + b"damaged" if damage is None else damage)
    again, _, figures = train(tmp_path)
    assert again == bits
    assert figures["from_disk"] == 0
    assert sorted(tmp_path.glob("*.bin")) == files


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_in_the_middle_of_a_loop(tmp_path):
    """Pending work is the child's as well, and both go on recording."""
    x = danlu.ones(200_000)
    (x * 3.5).sum().item()
    pending = x * 2.5
    child = os.fork()
    if child == 0:
        try:
            total = pending.sum().item() + (x * 1.5).sum().item()
            (tmp_path / "child").write_text(str(total))
        finally:
            os._exit(0)
    here = pending.sum().item() + (x * 1.5).sum().item()
    os.waitpid(child, 0)
    assert here == 800_000
    assert (tmp_path / "child").read_text() == "800000.0"
