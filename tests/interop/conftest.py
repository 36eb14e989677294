"""What the tests of `danlu run` share: a script in a folder of its own, run as a process."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def run(tmp_path):
    """Writes a script and runs it: `danlu run script.py arguments`, or Python with other words."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}

    def call(code: str, *arguments: str, command=("-m", "danlu.cli", "run"), name: str = "script.py"):
        script = tmp_path / name
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(textwrap.dedent(code), "utf-8")
        words = [sys.executable, "-W", "error", *command, str(script), *arguments]
        return subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False)

    return call
