"""What people write: `fragments.md` under PyTorch and under `danlu run`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.oracle
def test_fragments_of_scripts_give_what_they_give_under_pytorch():
    pytest.importorskip("torch")
    words = [sys.executable, str(ROOT / "tools" / "compare_blocks.py"), str(ROOT / "tests" / "interop" / "fragments.md"), "--all"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    total, ran = map(int, re.match(r"(\d+) blocks, (\d+) run", done.stdout.splitlines()[-1]).groups())
    assert ran >= total - 2  # two speak of torchvision, which need not be installed
