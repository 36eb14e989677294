"""docs/tour.md names the files and functions through which a call really goes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from ladder import PACKAGE, ROOT

TOUR = ROOT / "docs" / "tour.md"

# Runs one of the two walks of the tour in a process where nothing was seen before, and prints file → names of functions.
WALK = """
import json, sys
import danlu
seen = {}
def watch(frame, event, _):
    name = frame.f_code.co_filename
    if event == "call" and name.startswith(sys.argv[1]):
        seen.setdefault(name[len(sys.argv[1]) + 1:].replace("\\\\", "/"), set()).add(frame.f_code.co_name)
def op():
    x = danlu.tensor([0.1, 0.2, 0.3])
    sys.setprofile(watch)
    z = danlu.exp(x) + 1
    z.numpy()
def backward():
    w = danlu.tensor([0.1, 0.2, 0.3], requires_grad=True)
    loss = (danlu.exp(w) + 1).sum()
    loss.item()
    sys.setprofile(watch)
    loss.backward()
    w.grad.numpy()
globals()[sys.argv[2]]()
sys.setprofile(None)
print(json.dumps({name: sorted(functions) for name, functions in seen.items()}))
"""


def walked(walk: str) -> dict[str, list[str]]:
    """The files of danlu that a walk executes, and the functions in each."""
    environment = {**os.environ, "DANLU_CACHE_MB": "0", "DANLU_VERIFY": "0", "DANLU_OPT": "1"}
    command = [sys.executable, "-W", "error", "-c", WALK, str(PACKAGE), walk]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def described(heading: str) -> dict[str, set[str]]:
    """The files of the tables under a heading of the tour, and the functions that they name."""
    section = TOUR.read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found: dict[str, set[str]] = {}
    for name, functions in re.findall(r"^\| `([\w/]+\.py)` \| (.+?) \|", section, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r"`(\w+)`", functions))
    return found


@pytest.mark.parametrize(("walk", "heading"), [("op", "The way of an op"), ("backward", "The way of a backward")])
def test_the_tour_goes_where_the_code_goes(walk, heading):
    seen, told = walked(walk), described(heading)
    if walk == "backward":  # its end is the way of an op, which the other walk describes
        seen = {name: functions for name, functions in seen.items() if name.split("/")[0] not in ("compile", "runtime")}
    more, less = sorted(set(seen) - set(told)), sorted(set(told) - set(seen))
    assert not more, f"{heading}: the call goes through {', '.join(more)}; add a row to docs/tour.md"
    assert not less, f"{heading}: the call does not go through {', '.join(less)}; take the row out of docs/tour.md"
    lost = [f"{name}: {f}" for name, functions in told.items() for f in sorted(functions) if f not in seen[name]]
    assert not lost, f"{heading}: these functions of docs/tour.md are not called: {', '.join(lost)}"


def test_the_main_road_is_that_of_the_design():
    assert [name for name in described("The way of an op") if name in ROAD] == ROAD
    assert {"tensor/core.py", "autodiff.py", "ops/reduce.py", "graph.py"} <= set(described("The way of a backward"))


ROAD = ["tensor/core.py", "engine.py", "graph.py", "ops/table.py", "compile/program.py", "compile/schedule.py", "compile/llvm.py"]
