"""Whole processes measured from outside: wall time from their start, CPU time and memory of their life."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.worker import environment

ROOT = Path(__file__).resolve().parent.parent


class ProcessError(Exception):
    """A measured process that failed; the text is the end of what it wrote to stderr."""


@dataclass
class Life:
    """A finished process: seconds of wall and CPU time, its output."""

    wall: float
    cpu: float
    output: str


def python(arguments: Sequence[str], variables: Mapping[str, str] | None = None, threads: int | None = 1) -> Life:
    """Runs this Python with these arguments until it ends. `threads` None leaves the frameworks their own choice."""
    paths = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    env = {**os.environ, **(environment(threads) if threads else {}), **(variables or {}), "PYTHONPATH": os.pathsep.join(paths)}
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        before, began = os.times(), time.perf_counter()
        process = subprocess.Popen([sys.executable, *arguments], stdout=output, stderr=errors, env=env, cwd=tempfile.gettempdir())
        code = process.wait()
        wall, after = time.perf_counter() - began, os.times()
        output.seek(0)
        errors.seek(0)
        if code:
            raise ProcessError((errors.read().decode(errors="replace").strip() or f"exit code {code}")[-400:])
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        return Life(wall, cpu, output.read().decode())
