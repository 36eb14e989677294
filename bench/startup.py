"""What starting costs: import, modules, memory, and the time from the start of a process to its first finished training step.

    python -m bench.startup [--processes 7]

Every figure is the median of fresh processes, the frameworks in turn. The bytecode is compiled and the files are in the page cache (one
run before is not counted). "Cold" empties the cache of compiled programs: danlu's own, JAX's compilation cache; PyTorch
eager has none.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bench.process import python
from bench.ratios import rotated
from bench.steps import CASES
from bench.table import duration, table
from bench.worker import WAYS

NAMES = {"danlu": "danlu", "torch": "PyTorch", "jax": "JAX"}
FIRST_STEPS = {"tiny": 0.75, "mlp": 0.75, "cnn": 2.0, "encoder": 3.0}  # case → seconds allowed with an empty cache
WARM_SECONDS = 0.5  # with a warm one
UNWANTED = ("pandas", "matplotlib", "sklearn", "sympy", "starlette")  # never loaded by `import danlu`

# {0} is the statement that is measured.
IMPORT = """
import json, pathlib, sys, time
before = len(sys.modules)
wall, cpu = time.perf_counter(), time.process_time()
{0}
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
status = pathlib.Path("/proc/self/status")  # not getrusage: after exec its peak is still that of the parent
lines = status.read_text().splitlines() if status.exists() else []
memory = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
print(json.dumps(dict(wall=wall, cpu=cpu, modules=len(sys.modules) - before, memory=memory, names=sorted(sys.modules))))
"""
FIRST = """
import importlib, time
steps = importlib.import_module({0!r})
steps.set_threads(1)
steps.read(steps.STEPS[{1!r}]({1!r})())
"""


def _rounds(ways: list[str], processes: int, once: Callable[[str], Any]) -> dict[str, list[Any]]:
    """once(way) for every way in turn, `processes` times; a first time is not kept."""
    for way in ways:
        once(way)
    found: dict[str, list[Any]] = {way: [] for way in ways}
    for turn in range(processes):
        for way in rotated(ways, turn):
            found[way].append(once(way))
    return found


def imports(ways: list[str], processes: int) -> list[str]:
    """The table of imports."""
    statements = {"bare Python": "pass", **{way: f"import {way}" for way in ways}}
    found = _rounds(list(statements), processes, lambda way: json.loads(python(["-c", IMPORT.format(statements[way])]).output))
    bare = statistics.median(run["memory"] for run in found.pop("bare Python"))
    rows = []
    for way, runs in found.items():
        middle = {key: statistics.median(run[key] for run in runs) for key in ("wall", "cpu", "modules", "memory")}
        memory = f"{(middle['memory'] - bare) / 2**20:.0f} MiB" if bare else "unknown"
        rows.append([f"import {way}", duration(middle["wall"]), duration(middle["cpu"]), f"{middle['modules']:.0f}", memory])
    lines = table(["import", "wall", "CPU", "modules loaded", "memory above bare Python"], rows)
    loaded = [name for name in UNWANTED if name in found["danlu"][0]["names"]] if "danlu" in found else []
    return [
        *lines,
        "",
        f"Loaded by `import danlu` though it should not be: {', '.join(loaded) or 'nothing'} of {', '.join(UNWANTED)}.",
    ]


def caches(folder: str) -> Mapping[str, str]:
    """The caches of compiled programs in a folder, with no bound that would leave a small program out."""
    least = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
    return {"DANLU_CACHE_DIR": str(Path(folder) / "danlu"), "JAX_COMPILATION_CACHE_DIR": str(Path(folder) / "jax"), **least}


def _first_step(case: str, folder: str, way: str) -> float:
    """Seconds of wall time of a process that does one step."""
    return python(["-c", FIRST.format(WAYS[way], case)], caches(folder)).wall


def first_steps(ways: list[str], processes: int, names: tuple[str, ...] = tuple(FIRST_STEPS)) -> list[str]:
    """The table of first steps, with an empty and with a full cache."""
    rows = []
    for name in names:
        with tempfile.TemporaryDirectory() as warm:
            full = _rounds(ways, processes, partial(_first_step, name, warm))
        empty = _rounds(ways, processes, partial(_cold, name))
        for kind, found in (("empty cache", empty), ("warm cache", full)):
            middle = [duration(statistics.median(found[way])) for way in ways]
            least = WARM_SECONDS if kind == "warm cache" else FIRST_STEPS[name]
            rows.append([f"{CASES[name].title}, {kind}", *middle, f"≤ {least:g} s"])
    head = ["start of the process to the end of its first step, and exit", *(NAMES[way] for way in ways), "target"]
    return table(head, rows)


def _cold(case: str, way: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return _first_step(case, folder, way)


def report(processes: int) -> list[str]:
    """Markdown."""
    ways = [way for way in NAMES if importlib.util.find_spec(way)]
    absent = [f"- {NAMES[way]} is absent" for way in NAMES if way not in ways]
    print("  imports and first steps ...", file=sys.stderr, flush=True)
    said = f"Medians of {processes} fresh processes, one thread; target of `import danlu`: ≤ 0.25 s and ≤ 60 MiB."
    return [said, *absent, "", *imports(ways, processes), "", *first_steps(ways, processes)]


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=7)
    print("\n".join(report(parser.parse_args().processes)))


if __name__ == "__main__":
    main()
