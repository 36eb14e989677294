"""The ladder of imports as data: which file or folder stands on which level, and who owns which third-party library.

A new file of `danlu/` gets its place here, in the commit that adds it; a new library gets an owner here and a line in
docs/decisions/0003-dependencies.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "danlu"

# Level → groups. A file may import from lower levels and from its own group; groups of one level are blind to each other.
LADDER: dict[int, tuple[tuple[str, ...], ...]] = {
    0: (("messages/", "errors.py", "guidance.py", "dtype.py", "config.py", "notebook.py", "version.py"),),
    1: (("graph.py",),),
    2: (("ops/",),),
    3: (("autodiff.py", "batching.py"), ("compile/",)),
    4: (("runtime/",), ("engine.py", "entries.py", "programs.py", "rehearsal.py", "repeated_update.py", "trace.py")),
    5: (("backward.py", "tensor/", "random.py"),),
    6: (
        (
            "array_api/",
            "autograd/",
            "distributions/",
            "fft.py",
            "files.py",
            "formats/",
            "func/",
            "functional/",
            "functions.py",
            "linalg/",
            "replay.py",
            "signal/",
            "special.py",
            "teaching/",
            "utils/",
            "watching.py",
        ),
    ),
    7: (("nn/",), ("optim/",), ("data/",)),
    8: (("train/",), ("classic/",), ("profiling.py",), ("vision/",)),
    9: (("cli.py", "run.py", "__main__.py", "studio/", "interop/"),),
}
# Pairs of one level where the first may import the second all the same.
ALSO = {
    ("engine.py", "runtime/"): "the engine hands its programs to the runtime",
    ("repeated_update.py", "runtime/"): "numbers enter a program as it takes them",
    ("programs.py", "runtime/"): "programs are made to run",
    ("rehearsal.py", "runtime/"): "memory is of a kind, and numbers enter a program as it takes them",
    ("trace.py", "runtime/"): "values hold memory",
    ("entries.py", "runtime/"): "the references do the work of a failed program again, to find the line",
    ("optim/", "nn/"): "an averaged model is a module",
}

# Beside the ladder: the public API on one page (imported by level 9 alone, imports what stands below 9), and the public checkers
# (they import what they like; nothing imports them).
API, TESTING = "__init__.py", "testing/"

# Library → the places in danlu/ that may import it. NumPy and the standard library are free.
OWNERS: dict[str, tuple[str, ...]] = {
    "llvmlite": ("compile/llvm.py",),
    "safetensors": ("files.py",),
    "rich": ("train/", "cli.py"),
    "pandas": ("data/",),
    "pyarrow": ("data/",),
    "matplotlib": ("train/plot.py",),
    "PIL": ("vision/",),
    "sklearn": ("classic/",),
    "numba": ("classic/",),
    "starlette": ("studio/",),
    "uvicorn": ("studio/",),
}
FREE = {"numpy", "danlu"} | set(sys.stdlib_module_names)
# Parts of an extra: not always installed, so imported inside the function that needs them.
LAZY = {"pandas", "pyarrow", "matplotlib", "PIL", "sklearn", "numba", "starlette", "uvicorn"}

# Nothing of this may be loaded by a bare `import danlu`.
NOT_AT_IMPORT = (
    "pandas",
    "pyarrow",
    "matplotlib",
    "PIL",
    "sklearn",
    "scipy",
    "sympy",
    "numba",
    "starlette",
    "uvicorn",
    "torch",
    "jax",
)


def place(path: Path) -> str:
    """`danlu/ops/table.py` → `ops/`, `danlu/graph.py` → `graph.py`: the entry of the ladder that a file belongs to."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) == 1 else parts[0] + "/"


def group(entry: str) -> tuple[int, tuple[str, ...]] | None:
    """The level and the group of an entry; None if the ladder does not know it."""
    for level, groups in LADDER.items():
        for members in groups:
            if entry in members:
                return level, members
    return None


def within(path: Path, owners: tuple[str, ...]) -> bool:
    """True if a file is one of `owners` or lies in a folder of them."""
    relative = path.relative_to(PACKAGE).as_posix()
    return any(relative == o or (o.endswith("/") and relative.startswith(o)) for o in owners)
