"""The names of PyTorch's that one well-known course uses: at least 97 % are there (what they do: tests/interop/fragments.md)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = ROOT.parent / "shared" / "tools" / "course_surface.txt"

# Not PyTorch's: words of pandas, lists and the course's own variables, and slips of the list's maker.
OTHERS = {"data.iloc", "data.s3", "data.append", "torch.zip", "nn.GRU以张量作为隐状态", "nn.LSTM以元组作为隐状态"}
SHORT = {
    "nn": "torch.nn",
    "F": "torch.nn.functional",
    "transforms": "torchvision.transforms",
    "torch": "torch",
    "torchvision": "torchvision",
}

SCRIPT = """
import importlib, json, sys
import torch
missing = []
for name in json.load(sys.stdin):
    words = name.split(".")
    value, k = importlib.import_module(words[0]), 1
    try:
        for k, word in enumerate(words[1:], 2):
            try:
                value = getattr(value, word)
            except AttributeError:
                value = importlib.import_module(".".join(words[:k]))
    except (AttributeError, ImportError):
        missing.append(name)
print(json.dumps(missing))
"""


def full(name: str) -> str:
    """The dotted name that a script's abbreviation stands for; of `data.` the loaders' or a tensor's."""
    head, _, rest = name.partition(".")
    if head == "data":
        return f"torch.utils.data.{rest}" if rest[0].isupper() else f"torch.Tensor.{rest}"
    return f"{SHORT[head]}.{rest}" if rest else SHORT[head]


@pytest.mark.skipif(not NAMES.exists(), reason="there is no list of the course's names beside the repository")
def test_names_of_a_course(tmp_path):
    listed = [
        line.split("\t")[0] for line in NAMES.read_text("utf-8").split("--- methods")[0].splitlines() if re.search(r"\t\d", line)
    ]
    names = [full(name) for name in listed if name not in OTHERS]
    assert len(names) > 150
    script = tmp_path / "names.py"
    script.write_text(SCRIPT, "utf-8")
    words = [sys.executable, "-m", "danlu.cli", "run", str(script)]
    done = subprocess.run(words, cwd=ROOT, input=json.dumps(names), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    missing = json.loads(done.stdout)
    print(f"{len(names) - len(missing)} of {len(names)} names; missing: {missing}")
    assert len(missing) <= 0.03 * len(names), missing
