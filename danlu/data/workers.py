"""L7. The loader's worker processes: each makes every n-th batch, so that the order never depends on which one is faster.

The n-th of W workers has a pipe of its own and answers its tasks in turn; the loader reads the pipes in turn. A batch crosses the pipe as a
pickle between two processes of ours, its arrays in memory that both share (danlu/data/shared.py); nothing is ever unpickled that another program
wrote.

Random numbers that a data set draws come from a seed of (loader, epoch, place of the batch): danlu's, Python's `random` and NumPy's global ones
are set before a batch is made and put back after it. So a batch is the same in any worker, and in the process itself.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import queue
import random
import signal
import sys
import threading
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from danlu import random as numbers
from danlu.data import shared
from danlu.errors import DataError
from danlu.runtime.pool import set_num_threads
from danlu.tensor import Tensor, from_array
from danlu.tensor.exchange import from_numpy

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_PATIENCE = 0.5  # seconds that workers have to end by themselves
BATCH, END, FAILURE = "batch", "end", "failure"  # what an answer is


# ---- random numbers


@contextlib.contextmanager
def drawing(seeds: tuple[int, ...]) -> Iterator[None]:
    """Inside, danlu's, Python's and NumPy's default random numbers follow from the seeds; afterwards they go on as before."""
    seed = int(np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0]) >> 2
    before = numbers.get_state(), random.getstate(), np.random.get_state()
    try:
        seed_all(seed)
        yield
    finally:
        numbers.set_state(before[0])
        random.setstate(before[1])
        np.random.set_state(before[2])


def seed_all(seed: int) -> None:
    """Seeds danlu's, Python's and NumPy's default random numbers."""
    numbers.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


# ---- messages between two processes of ours


class _Pickler(pickle.Pickler):
    """A pickler that takes tensors apart into their arrays."""

    def reducer_override(self, obj: Any) -> Any:
        if not isinstance(obj, Tensor):
            return NotImplemented
        kind = type(obj) if type(obj) is not Tensor else None
        return _tensor, (obj.detach().numpy(), obj.requires_grad, kind)


def _tensor(array: np.ndarray, requires_grad: bool, kind: type | None) -> Any:
    plain = from_array(array) if array.flags.c_contiguous else from_numpy(array)
    if kind is not None:
        return kind(plain, requires_grad)  # a Parameter
    return plain.requires_grad_() if requires_grad else plain


def _send(pipe: Connection, value: Any, lender: shared.Lender) -> None:
    """A value, its arrays in shared memory."""
    arrays: list[pickle.PickleBuffer] = []
    body = io.BytesIO()
    _Pickler(body, protocol=5, buffer_callback=arrays.append).dump(value)
    new: list[Any] = []
    parts = [lender.part(array.raw(), new) for array in arrays]
    pipe.send_bytes(pickle.dumps((body.getvalue(), parts)))
    lender.hand_over(pipe, new)


def _receive(pipe: Connection, borrower: shared.Borrower) -> Any:
    body, parts = pickle.loads(pipe.recv_bytes())
    return pickle.loads(body, buffers=[borrower.array(part, pipe) for part in parts])


def _packed(value: Any) -> bytes:
    body = io.BytesIO()
    _Pickler(body, protocol=5).dump(value)
    return body.getvalue()


# ---- in the worker


@dataclass(frozen=True)
class WorkerInfo:
    """What `get_worker_info` says in a worker: its number, how many there are, its seed, its copy of the data set.

    >>> WorkerInfo(0, 2, 7, range(3)).num_workers
    2
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker process of a loader, what it is; None elsewhere. An iterable data set asks it which part to give.

    >>> from danlu.data import get_worker_info
    >>> get_worker_info()
    """
    return _info


@dataclass(frozen=True)
class Plan:
    """What the workers of a loader do: `make(dataset)` gives the function from a task to a batch."""

    dataset: Any
    make: Callable[[Any], Callable[[Any], Any]]
    init: Callable[[int], Any] | None
    seed: int


class Exhausted(Exception):
    """Raised by what makes batches: there are no more of them."""


class WorkerTraceback(Exception):
    """The traceback of an exception as it was in the worker process."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def _failure(number: int, error: Exception) -> tuple[str, Any]:
    """An exception on its way to the loader, with its traceback as text."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    try:
        pickle.loads(_packed(error))
    except Exception:  # a class may refuse to be taken apart in any way it likes
        error = DataError(
            "worker {number} of the loader: {kind}: {text}", number=number, kind=type(error).__name__, text=str(error)
        )
    return FAILURE, (error, text)


def _work(number: int, count: int, pipe: Connection, plan: Any, others: list[Connection]) -> None:
    """The life of a worker: batches until the loader closes the pipe."""
    global _info
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the loader's to answer
    for other in others:
        other.close()
    tasks: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, tasks), daemon=True).start()
    set_num_threads(1)
    first: Any = None
    try:
        plan = pickle.loads(plan) if isinstance(plan, bytes) else plan
        seed_all(plan.seed + number)
        _info = WorkerInfo(number, count, plan.seed + number, plan.dataset)
        if plan.init is not None:
            plan.init(number)
    except Exception as error:  # whatever it is, the loader raises it
        first = _failure(number, error)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the loader has gone
        _answer(number, pipe, plan, tasks, first)


def _listen(pipe: Connection, tasks: queue.SimpleQueue) -> None:
    """Takes tasks from the pipe as they come, so that the loader never waits to give one."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            tasks.put(pickle.loads(pipe.recv_bytes()))
    tasks.put(None)


def _answer(number: int, pipe: Connection, plan: Any, tasks: queue.SimpleQueue, first: tuple[str, Any] | None) -> None:
    lender = shared.begin_lending()
    run, fetch = None, None
    while (task := tasks.get()) is not None:
        freed, now, seeds, places = task
        lender.take_back(freed)
        answer = first
        try:
            if answer is None:
                with drawing(seeds):
                    if run != now or fetch is None:
                        run, fetch = now, plan.make(plan.dataset)  # a new pass: iterators begin again
                    answer = BATCH, fetch(places)
        except Exhausted:
            answer = END, None
        except Exception as error:  # whatever it is, the loader raises it
            answer = _failure(number, error)
        _reply(number, pipe, now, answer, lender)
        del answer  # its memory is free for the next batch but one


def _reply(number: int, pipe: Connection, run: int, answer: Any, lender: shared.Lender) -> None:
    try:
        _send(pipe, (run, *answer), lender)
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:  # a batch that cannot be pickled
        _send(pipe, (run, *_failure(number, error)), lender)


# ---- in the loader


class Workers:
    """Worker processes of one loader. `batches` gives what they make, in the order of the tasks; `close` ends them."""

    def __init__(self, plan: Plan, count: int, context: Any, timeout: float, ahead: int) -> None:
        import multiprocessing  # 10 ms with what it imports, and needed by workers only

        self.count, self.timeout, self.ahead, self.run = count, timeout, ahead, 0
        self.pipes: list[Connection] = []
        self.processes: list[Any] = []
        self.borrowers = [shared.Borrower() for _ in range(count)]
        context = context if hasattr(context, "Process") else multiprocessing.get_context(context or default_method())
        forks = context.get_start_method() == "fork"
        given: Any = plan if forks else _packed(plan)
        try:
            for number in range(count):
                self._start(context, number, given, forks)
        except BaseException:
            self.close()
            raise

    def _start(self, context: Any, number: int, plan: Any, forks: bool) -> None:
        mine, theirs = context.Pipe()
        others = [*self.pipes, mine] if forks else []  # what a fork inherits and has no use for
        process = context.Process(target=_work, args=(number, self.count, theirs, plan, others), daemon=True)
        with warnings.catch_warnings():  # a fork beside danlu's own threads is safe: the child starts threads of its own
            warnings.filterwarnings("ignore", ".*multi-threaded, use of fork", DeprecationWarning)
            process.start()
        theirs.close()
        self.pipes.append(mine)
        self.processes.append(process)

    def batches(self, tasks: Iterable[tuple[tuple[int, ...], Any]]) -> Iterator[Any]:
        """What the workers make of tasks (seeds, places), in their order."""
        self.run += 1
        waiting: deque[int] = deque()  # the workers whose answers are due, in order
        live, turn, todo = list(range(self.count)), 0, iter(tasks)
        while True:
            while live and len(waiting) < self.ahead * len(live) and (task := next(todo, None)) is not None:
                number = live[turn % len(live)]
                self._give(number, task)
                waiting.append(number)
                turn += 1
            if not waiting:
                return
            number = waiting.popleft()
            kind, answer = self._take(number)
            if kind == FAILURE:
                error, text = answer
                raise error from WorkerTraceback(text)
            if kind == END:
                turn, live = _without(live, number, turn)
            else:
                yield answer

    def _give(self, number: int, task: tuple[tuple[int, ...], Any]) -> None:
        try:
            self.pipes[number].send_bytes(_packed((self.borrowers[number].freed(), self.run, *task)))
        except (BrokenPipeError, ConnectionResetError):
            raise self._died(number) from None

    def _take(self, number: int) -> tuple[str, Any]:
        """The next answer of a worker in this pass; what an earlier one left is passed over."""
        while True:
            if self.timeout and not self.pipes[number].poll(self.timeout):
                raise DataError(
                    "worker {number} of the loader gave no batch in {timeout:g} seconds; give a larger timeout, or look what it waits for",
                    number=number,
                    timeout=self.timeout,
                )
            try:
                run, *answer = _receive(self.pipes[number], self.borrowers[number])
            except (EOFError, ConnectionResetError):
                raise self._died(number) from None
            if run == self.run:
                return answer[0], answer[1]

    def _died(self, number: int) -> DataError:
        self.processes[number].join(_PATIENCE)
        return DataError(
            "worker {number} of the loader died (exit code {code}): out of memory, or killed; fewer num_workers need less",
            number=number,
            code=self.processes[number].exitcode,
        )

    def close(self) -> None:
        """Ends the workers: those that are idle at once, the others after half a second."""
        for pipe in self.pipes:
            pipe.close()
        end = time.monotonic() + _PATIENCE
        for process in self.processes:
            process.join(max(0.0, end - time.monotonic()))
        for process in self.processes:
            if process.is_alive():
                process.terminate()
            process.join()
        self.pipes, self.processes = [], []


def _without(live: list[int], number: int, turn: int) -> tuple[int, list[int]]:
    """The workers that go on when one has no more, and whose turn it is then."""
    if number not in live:
        return turn, live
    place, at = live.index(number), turn % len(live)
    rest = [other for other in live if other != number]
    return (at - (place < at)) % max(len(rest), 1), rest


def default_method() -> str:
    """How workers are started: forked on Linux, where the data set need not be sent; spawned elsewhere."""
    return "fork" if sys.platform == "linux" else "spawn"


__all__ = ["Plan", "WorkerInfo", "Workers", "drawing", "get_worker_info"]
