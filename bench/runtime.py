"""What the runtime costs: a parallel region, a recycled buffer, a cached object. Run: python bench/runtime.py

Each figure is the median (best) of repeated runs. "beside a busy process" keeps one core busy with another process.
"""

from __future__ import annotations

import ctypes
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from danlu.compile import llvm, target
from danlu.config import config
from danlu.runtime import cache, parallel, platform, pool
from danlu.runtime.buffers import Buffer

KERNELS = """
define void @nothing(ptr %args, i64 %begin, i64 %end) nounwind {
  ret void
}

; a chain of args[0] additions for each chunk: work that no core does faster than another
define void @additions(ptr %args, i64 %begin, i64 %end) nounwind {
entry:
  %each = load i64, ptr %args
  %chunks = sub i64 %end, %begin
  %count = mul i64 %chunks, %each
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
  %x = phi double [0.0, %entry], [%y, %loop]
  %y = fadd double %x, 1.0
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %loop, label %done
done:
  %negative = fcmp olt double %y, 0.0
  br i1 %negative, label %keep, label %return
keep:
  store double %y, ptr %args
  br label %return
return:
  ret void
}

define void @regions(ptr %pool, ptr %kernel, ptr %args, i64 %chunks, i64 %times) nounwind {
entry:
  %parallel = load ptr, ptr %pool
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
  call void %parallel(ptr %pool, ptr %kernel, ptr %args, i64 %chunks)
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %times
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""


def times(work: Callable[..., object], *args, repeats: int, pause: float = 0.0) -> list[float]:
    """Seconds of each of so many calls work(*args), with a pause before each."""
    found = []
    for _ in range(repeats):
        if pause:
            time.sleep(pause)
        start = time.perf_counter()
        work(*args)
        found.append(time.perf_counter() - start)
    return found


def row(name: str, seconds: list[float], count: int = 1) -> None:
    """One line: median, best and 90th percentile in µs."""
    best, middle, high = (1e6 * q / count for q in (min(seconds), statistics.median(seconds), np.quantile(seconds, 0.9)))
    print(f"{name:58} {middle:10.2f} µs  (best {best:.2f}, 90 % {high:.2f})")


def bench_regions(module: llvm.Module) -> None:
    """Regions without work while workers spin; 400 µs of work at once and after pauses in which workers fall asleep."""
    many = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64, ctypes.c_int64)(module.address("regions"))
    cost = np.array([50_000_000], np.int64)
    seconds = min(times(pool.Pool(1).run, module.address("additions"), cost.ctypes.data, 1, repeats=3))
    cost[0] = int(50e-6 / seconds * cost[0])  # 50 µs a chunk
    for number in (1, 2, 4):
        pool.set_num_threads(number)
        used = pool.current_pool()
        if number > 1:
            for chunks in (2, 16):
                measured = times(many, used.address, module.address("nothing"), 0, chunks, 5000, repeats=20)
                row(f"{number} threads: region of {chunks} empty chunks", measured, 5000)
        for pause, state in ((0.0, "at once"), (0.0005, "after 0.5 ms"), (0.005, "after 5 ms")):
            measured = times(used.run, module.address("additions"), cost.ctypes.data, 8, repeats=100, pause=pause)
            row(f"{number} threads: 8 chunks of 50 µs, {state}", measured)
    pool.set_num_threads(1)


def buffers_of(nbytes: int) -> None:
    """A hundred buffers that live at once, as the results of a step do."""
    living = [Buffer(nbytes) for _ in range(100)]
    del living


def bench_buffers() -> None:
    """A buffer's whole life when its memory is recycled, and its borders to NumPy."""
    for nbytes in (4096, 1 << 20):
        buffers_of(nbytes)
        row(f"recycled buffer of {nbytes} bytes", times(buffers_of, nbytes, repeats=300), 100)
    living, array = Buffer(4096), np.zeros(1024, np.float32)
    row("NumPy view of a buffer", times(lambda: [living.as_numpy((32, 32), np.float32) for _ in range(100)], repeats=300), 100)
    row("buffer of a NumPy array", times(lambda: [Buffer.from_numpy(array) for _ in range(100)], repeats=300), 100)


def bench_code() -> None:
    """The pool's own code: compiled, kept on disk, read, loaded."""
    text = platform.processor_text(target.host().arch) + platform.parkings()[0].text + parallel.TEXT
    code = llvm.compile_text(text, level=2)
    row("compile 250 lines of IR, level 1", times(lambda: llvm.compile_text(text, 1), repeats=10))
    row("compile 250 lines of IR, level 2", times(lambda: llvm.compile_text(text, 2), repeats=10))
    row("load the object and find a symbol", times(lambda: llvm.load(code).address("parallel"), repeats=100))
    with tempfile.TemporaryDirectory() as folder:
        config.cache_dir, config.cache_mb = Path(folder), 64
        row("write the object to the cache", times(lambda: cache.put("bench", code), repeats=50))
        row("read the object from the cache", times(lambda: cache.get("bench"), repeats=50))


def main() -> None:
    """All figures, those of regions also beside a busy process."""
    module = llvm.load(llvm.compile_text(KERNELS))
    print(target.describe(), f"; {platform.cores()} cores; {platform.parkings()[0].name}\n")
    bench_buffers()
    bench_code()
    bench_regions(module)
    print("\nbeside a busy process")
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.3)
        bench_regions(module)
    finally:
        busy.kill()
        busy.wait()


if __name__ == "__main__":
    main()
