"""One framework in a process of its own, asked over a pipe: one JSON object a line in, one out.

    python -m bench.worker danlu --threads 1 --cores 1 [--family steps]

A request {"do": NAME, ...} is answered by the function `do_NAME`; an exception becomes {"error": text}. What a framework prints
goes to stderr, so that it cannot be taken for an answer.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import sys
import threading
import time
import traceback
from typing import Any

# way → the module with its steps. A way is a framework and a manner of using it.
WAYS = {
    "danlu": "bench.steps_danlu",
    "danlu compiled": "bench.steps_danlu_compiled",
    "torch": "bench.steps_torch",
    "jax": "bench.steps_jax",
    "jax donated": "bench.steps_jax_donated",
}
# Ways of a whole epoch, and of single kernels and inference.
EPOCHS = {"danlu fit": "bench.epochs_danlu", "jax scan": "bench.epochs_jax"}
KERNELS = {
    "danlu": "bench.kernels_danlu",
    "danlu compiled": "bench.kernels_danlu_compiled",
    "torch": "bench.kernels_torch",
    "jax": "bench.kernels_jax",
    "numpy": "bench.kernels_numpy",
}
FAMILIES = {"steps": WAYS, "epochs": EPOCHS, "kernels": KERNELS}


def environment(threads: int) -> dict[str, str]:
    """The variables that hold every framework to a number of threads; they count before the framework is imported."""
    variables: dict[str, str] = dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "DANLU_NUM_THREADS"), str(threads)
    )
    if threads == 1:  # for more, XLA takes the cores that the process may use
        variables["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    variables["JAX_PLATFORMS"] = "cpu"
    return variables


def pin(cores: list[int]) -> None:
    """Keeps this process, and every thread that it will start, on these cores (where the system can)."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


class Worker:
    """The steps of one way, by the name of their case."""

    def __init__(self, way: str, threads: int, family: str = "steps") -> None:
        began = time.perf_counter()
        self.module: Any = importlib.import_module(FAMILIES[family][way])
        self.module.set_threads(threads)
        self.import_seconds = time.perf_counter() - began
        self.steps: dict[str, Any] = {}

    def do_hello(self) -> dict[str, Any]:
        """Who answers."""
        return {"version": self.module.VERSION, "threads": self.module.threads(), "import": self.import_seconds}

    def do_make(self, case: str) -> dict[str, Any]:
        """Builds a model with its first weights; {"supported": False} where the way has no such step."""
        make = self.module.STEPS.get(case.partition(":")[0])
        if make is None:
            return {"supported": False}
        self.steps[case] = make(case)
        return {"supported": True}

    def do_losses(self, case: str, count: int) -> dict[str, Any]:
        """The losses of `count` steps, each read, and the seconds of the first one (compilation is in it)."""
        began = time.perf_counter()
        losses = [self.module.read(self.steps[case]())]
        first = time.perf_counter() - began
        losses += [self.module.read(self.steps[case]()) for _ in range(count - 1)]
        return {"losses": losses, "first": first}

    def do_time(self, case: str, count: int) -> dict[str, Any]:
        """Seconds of `count` steps, of which only the last one's loss is read: CPU time of all threads, and wall time."""
        step, read = self.steps[case], self.module.read
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            loss = step()
        last = read(loss)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return {"cpu": cpu / count, "wall": wall / count, "loss": last}

    def do_drop(self, case: str) -> dict[str, Any]:
        """Forgets a model."""
        self.steps.pop(case, None)
        gc.collect()
        return {"threads_alive": threading.active_count()}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request."""
        try:
            return getattr(self, "do_" + request.pop("do"))(**request)
        except Exception as error:
            traceback.print_exc()
            return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}


def main() -> None:
    """Answers until stdin ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way")
    parser.add_argument("--family", default="steps", choices=FAMILIES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cores", default="")
    given = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    if given.cores:
        pin([int(c) for c in given.cores.split(",")])
    try:
        worker = Worker(given.way, given.threads, given.family)
    except ModuleNotFoundError as error:
        print(json.dumps({"absent": f"no module {error.name}"}), file=answers)
        return
    print(json.dumps(worker.do_hello()), file=answers)
    for line in sys.stdin:
        print(json.dumps(worker.answer(json.loads(line))), file=answers)


if __name__ == "__main__":
    main()
