"""L4. The thread pool: Python threads that live inside native code and never hold the GIL there.

A compiled program is given the address of the pool's control block, or 0 where one thread is enough. The block's first
word is the address of `parallel(pool, kernel, args, chunks)`, see `parallel.py`. Results never depend on who ran a chunk.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import threading
import time

import numpy as np

from danlu.compile import llvm, target
from danlu.config import config
from danlu.errors import DanluError
from danlu.runtime import cache, parallel, platform
from danlu.runtime.buffers import Buffer

# How long a worker spins before it sleeps. A worker that must be woken begins 60 µs late (8 chunks of 50 µs on 2 cores: 199 µs
# at once, 229 µs after a pause), on a loaded machine later: who spins about as long as waking takes loses at most twice that.
SPIN_SECONDS = 100e-6
SPIN_SECONDS_CROWDED = 2e-6  # with more threads than cores a spinning worker stands in another one's way
_WORKER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
_PARALLEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
_SPIN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)

MAX_THREADS = 1024

_lock = threading.RLock()
_pools: dict[int, Pool] = {}  # one for each number of threads, kept: a running program may still know its address


@functools.cache
def _native(parking: platform.Parking) -> llvm.Module:
    """The pool's machine code, from the disk cache where it is there (40 ms to compile)."""
    text = platform.processor_text(target.host().arch) + parking.text + parallel.TEXT
    code = cache.get(text)
    if code is None:
        code = llvm.compile_text(text, level=2)
        cache.put(text, code)
    return llvm.load(code)


@functools.cache
def _turn_seconds(parking: platform.Parking) -> float:
    """Seconds that one turn of a worker's waiting loop takes here, the fastest of five tries."""
    spin, memory, turns = _SPIN(_native(parking).address("spin")), Buffer(parallel.THREADS), 200
    times = []
    for _ in range(5):
        start = time.perf_counter()
        spin(memory.address, turns)
        times.append(time.perf_counter() - start)
    return max(min(times) / turns, 1e-10)


class Pool:
    """num_threads - 1 workers and the caller. `address` is what a compiled program gets; 0 for a pool of one."""

    def __init__(self, num_threads: int, parking: platform.Parking | None = None) -> None:
        self.num_threads = num_threads
        self.address = 0
        self._threads: list[threading.Thread] = []
        if num_threads > 1:
            self._parking = parking or platform.parkings()[0]
            self._native = _native(self._parking)
            self._memory = Buffer(parallel.THREADS + 8 * num_threads)
            self._semaphore = self._parking.open()
            self._words = self._memory.as_numpy((self._memory.nbytes // 8,), np.int64)
            self._fill()
            self._parallel = _PARALLEL(self._native.address("parallel"))
            self.address = self._memory.address
            self.start()

    def _fill(self) -> None:
        """Writes the control block of a pool without workers."""
        crowded = self.num_threads > platform.cores()
        seconds = SPIN_SECONDS_CROWDED if crowded else SPIN_SECONDS
        words = self._words
        words[:] = 0
        words[parallel.PARALLEL // 8] = self._native.address("parallel")
        words[parallel.GRAIN_SHIFT // 8] = (4 * self.num_threads - 1).bit_length()
        words[parallel.SPINS // 8] = int(seconds / _turn_seconds(self._parking))
        words[parallel.SEMAPHORE // 8 :].view(np.int32)[:2] = self._semaphore

    @property
    def resting(self) -> bool:
        """True where there should be workers and are none: after `stop`."""
        return bool(self.address) and not self._threads

    def start(self) -> None:
        """Starts the workers, unless they run."""
        if self.address and not self._threads:
            self._words[parallel.STOPPED // 8] = 0
            work = _WORKER(self._native.address("worker"))
            for number in range(1, self.num_threads):
                thread = threading.Thread(target=work, args=(self.address,), name=f"danlu-worker-{number}", daemon=True)
                thread.start()
                self._threads.append(thread)
            numbers = [thread.native_id or 0 for thread in self._threads]
            self._words[parallel.THREADS // 8 :].view(np.int32)[: len(numbers)] = numbers
            self._words[parallel.CORE // 8] = -1
            self._words[parallel.WORKERS // 8] = len(numbers)

    def stop(self, timeout: float | None = None) -> None:
        """Ends the workers, each after the chunk that it is at. Regions that run or begin later go on without them."""
        if self._threads:
            self._words[parallel.WORKERS // 8] = 0  # their numbers may soon be another thread's
            _WORKER(self._native.address("stop"))(self.address)
            end = None if timeout is None else time.monotonic() + timeout
            for thread in self._threads:
                thread.join(None if end is None else max(0.0, end - time.monotonic()))
            self._threads = [thread for thread in self._threads if thread.is_alive()]

    def forget(self) -> None:
        """In a forked child: the workers are the parent's."""
        if self.address:
            self._threads.clear()
            self._parking.close(self._semaphore)

    def run(self, kernel: int, args: int, chunks: int) -> None:
        """One region from Python: kernel(args, begin, end) over range(chunks); `kernel` and `args` are addresses."""
        if self.address:
            self._parallel(self.address, kernel, args, chunks)
        elif chunks > 0:
            _KERNEL(kernel)(args, 0, chunks)


_current = Pool(1)
_finished = False


def current_pool() -> Pool:
    """The pool of `config.num_threads` threads; its workers are started when it is first asked for."""
    return _current if _current.num_threads == config.num_threads and not _current.resting else _switch(config.num_threads)


def _switch(num_threads: int) -> Pool:
    """Makes the pool of num_threads the current one; the workers of the last one end."""
    global _current
    with _lock:
        last, found = _current, _pools.get(num_threads)
        if last.num_threads != num_threads:
            last.stop()
        if found is None:
            found = _pools[num_threads] = Pool(num_threads)
        if not _finished:
            found.start()
        _current = found
    return found


def get_num_threads() -> int:
    """How many threads one program uses, the caller among them.

    >>> import danlu
    >>> danlu.get_num_threads() >= 1
    True
    """
    return config.num_threads


def set_num_threads(num_threads: int) -> None:
    """Sets how many threads one program uses, the caller among them; programs that run now may end with fewer.

    Raises DanluError where it is no positive integer.

    >>> import danlu
    >>> danlu.set_num_threads(1)
    >>> danlu.get_num_threads()
    1
    """
    if not isinstance(num_threads, int) or isinstance(num_threads, bool) or not 1 <= num_threads <= MAX_THREADS:
        raise DanluError(
            "the number of threads is an integer from 1 to {max_threads}; it was given {num_threads!r}. Write for example "
            "set_num_threads({cores})",
            max_threads=MAX_THREADS,
            num_threads=num_threads,
            cores=platform.cores(),
        )
    config.num_threads = num_threads
    _switch(num_threads)


def _finish() -> None:
    """At exit: no worker may run when its code and its memory go."""
    global _finished
    with _lock:
        _finished = True
        for pool in _pools.values():
            pool.stop(timeout=1.0)
            if pool._threads:  # in a chunk that takes long: its control block must outlive the interpreter
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(pool))


def _after_fork() -> None:
    """In a forked child: it has no workers, so it makes pools of its own when it first needs one."""
    global _current, _lock
    _lock = threading.RLock()
    for pool in _pools.values():
        pool.forget()
    _pools.clear()
    _current = Pool(1)


atexit.register(_finish)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
