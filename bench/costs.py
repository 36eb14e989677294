"""What a step costs beside its arithmetic: by depth, in memory, for a second batch size; and whether its bits depend on the threads.

python -m bench.costs [--rounds 15] [--processes 5]
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence

from bench.harness import Harness, Result
from bench.process import ProcessError, python
from bench.startup import NAMES, caches
from bench.steps import CASES, DEPTHS, case
from bench.table import duration, table
from bench.worker import WAYS

LAYER_MICROS = {"danlu": "≤ 8", "danlu compiled": "≤ 2", "torch": "", "jax": ""}
TITLES = {"danlu": "danlu, plain loop", "danlu compiled": "danlu.compile", "torch": "PyTorch eager", "jax": "JAX jit"}
THREADS = (1, 2, 4, 8)

# {0} is the framework, {1} the module of its steps, {2} the case.
MEMORY = """
import importlib, json, pathlib
def memory(name):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
importlib.import_module({0!r})
before = memory("VmRSS")
steps = importlib.import_module({1!r})
steps.set_threads(1)
step = steps.STEPS[{2!r}]({2!r})
for _ in range(5):
    steps.read(step())
print(json.dumps(memory("VmHWM") - before))
"""
# Seconds of the first step with another batch size beyond those of a later one; the kernels of the first size are there.
SECOND = """
import importlib, json, time
steps = importlib.import_module({1!r})
steps.set_threads(1)
def timed(step):
    began = time.perf_counter()
    steps.read(step())
    return time.perf_counter() - began
first, second = (steps.STEPS[{2!r}](name) for name in ({2!r}, {3!r}))
for _ in range(5):
    timed(first)
took = timed(second)
print(json.dumps(took - min(timed(second) for _ in range(5))))
"""
BITS = """
import hashlib, importlib, struct
from bench import steps_danlu as steps
steps.set_threads({0})
net = []
fill = steps.fill
steps.fill = lambda made, weights: (net.append(made), fill(made, weights))
step = steps.STEPS[{1!r}]({1!r})
found = hashlib.sha256()
for _ in range(20):
    found.update(struct.pack("<d", steps.read(step())))
for p in net[0].parameters():
    found.update(p.detach().numpy().tobytes())
print(found.hexdigest())
"""


def depth(rounds: int, names: Sequence[str] = ()) -> list[str]:
    """Markdown: µs of a layer and step, for chains of layers of width 8."""
    results: list[Result] = []
    with Harness(LAYER_MICROS) as harness:
        for name in names or DEPTHS:
            print(f"  {DEPTHS[name].title} ...", file=sys.stderr, flush=True)
            results.append(harness.measure(DEPTHS[name], rounds))
    rows = []
    for r in results:
        layers = int(r.case.name.removeprefix("depth"))
        micros = [r.micros(way) for way in LAYER_MICROS]
        rows.append([r.case.title, *(f"{m / layers:.2f}" if m else "–" for m in micros), duration(r.first.get("danlu"))])
    rows.append(["target", *LAYER_MICROS.values(), ""])
    lines = table(["µs of CPU time a layer and step", *TITLES.values(), "danlu's first step"], rows)
    return [*lines, *(f"- {r.case.title}, {way}: {why}" for r in results for way, why in r.failed.items())]


def _number(script: str, *values: str) -> float:
    """What a process prints that starts with an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        return json.loads(python(["-c", script.format(*values)], caches(folder)).output)


def _middle(script: str, processes: int, *values: str) -> float | None:
    try:
        return statistics.median(_number(script, *values) for _ in range(processes))
    except ProcessError as error:
        print(f"    {values}: {str(error).splitlines()[-1]}", file=sys.stderr)
        return None


def _ways() -> list[str]:
    return [way for way in NAMES if importlib.util.find_spec(way)]


def memory(processes: int, names: Sequence[str] = ("cnn", "gpt")) -> list[str]:
    """Markdown: the peak of five training steps above the memory after the import."""
    rows = []
    for name in names:
        print(f"  memory of {CASES[name].title} ...", file=sys.stderr, flush=True)
        found = [_middle(MEMORY, processes, way, WAYS[way], name) for way in _ways()]
        rows.append([CASES[name].title, *("–" if m is None else f"{m / 2**20:.0f} MiB" for m in found), "≤ PyTorch"])
    return table(["peak memory above import, 5 steps", *(NAMES[way] for way in _ways()), "target"], rows)


def second_batch(processes: int, names: Sequence[str] = ("mlp", "cnn", "encoder")) -> list[str]:
    """Markdown: how much longer the first step takes when the batch size is new."""
    rows = []
    for name in names:
        print(f"  second batch size of {CASES[name].title} ...", file=sys.stderr, flush=True)
        shorter = f"{name}:{len(case(name).problem().x) // 2 + 1}"
        found = [_middle(SECOND, processes, way, WAYS[way], name, shorter) for way in _ways()]
        rows.append([CASES[name].title, *map(duration, found), "≤ 100 ms"])
    return table(["second batch size: first step less a warm one", *(NAMES[way] for way in _ways()), "target"], rows)


def bits(names: Sequence[str] = ("mlp", "cnn", "encoder"), threads: Sequence[int] = THREADS) -> list[str]:
    """Markdown: a hash of 20 losses and the parameters after them, with several numbers of threads, twice."""
    rows = []
    for name in names:
        print(f"  bits of {CASES[name].title} ...", file=sys.stderr, flush=True)
        found = [python(["-c", BITS.format(n, name)], threads=n).output.strip() for n in threads for _ in range(2)]
        same = "identical" if len(set(found)) == 1 else f"{len(set(found))} different"
        rows.append([CASES[name].title, same, hashlib.sha256("".join(sorted(set(found))).encode()).hexdigest()[:12]])
    said = ", ".join(map(str, threads))
    return table([f"bits after 20 steps with {said} threads, twice", "found", "hash"], rows)


def report(rounds: int, processes: int) -> list[str]:
    """Markdown."""
    few = max(1, processes // 2)
    lines = ["One thread, but for the bits; memory and second batch size are medians of fresh processes with an empty cache.", ""]
    return [*lines, *depth(rounds), "", *memory(few), "", *second_batch(few), "", *bits()]


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--processes", type=int, default=5)
    given = parser.parse_args()
    print("\n".join(report(given.rounds, given.processes)))


if __name__ == "__main__":
    main()
