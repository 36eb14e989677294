"""The single computations in NumPy, where it has them as one call, and the copy that bandwidth is compared with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.kernels import ALL, checksum

VERSION = np.__version__
_threads = 0


def set_threads(count: int) -> None:
    """NumPy's BLAS reads its number of threads from the environment."""
    global _threads
    _threads = count


def threads() -> int:
    """Threads asked for."""
    return _threads


def read(result: np.ndarray) -> float:
    """A number that stands for the result."""
    return checksum([result])


def copy(name: str) -> Callable[[], np.ndarray]:
    """Into an array that is there already."""
    (x,) = ALL[name].arrays()
    y = np.zeros_like(x)

    def run() -> np.ndarray:
        np.copyto(y, x)
        return y

    return run


FUNCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "gemm": lambda a, b: a @ b,
    "sum0": lambda x: x.sum(0),
    "sum1": lambda x: x.sum(1),
    "gather": lambda rows, index: rows[index],
    "cumsum": lambda x: x.cumsum(),
    "argsort": lambda x: x.argsort(),
}


def step(name: str) -> Callable[[], np.ndarray]:
    """A call of the function on the row's arrays."""
    function, arrays = FUNCTIONS[name], ALL[name].arrays()
    return lambda: function(*arrays)


STEPS = {**dict.fromkeys(FUNCTIONS, step), "copy": copy}
