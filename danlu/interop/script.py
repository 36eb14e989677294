"""L9. `danlu run script.py [args]`: a script runs as `python script.py [args]` would run it, with danlu in PyTorch's place.

`sys.argv`, `sys.path[0]`, `__name__` and the exit code are those of the script; a traceback begins in it. Processes that the script starts
find danlu in PyTorch's place too: forked ones inherit it, spawned ones begin in danlu/interop/child.py.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from danlu.errors import MissingFileError
from danlu.files import check_exists
from danlu.interop import spec
from danlu.interop.finder import install
from danlu.interop.spec import ScriptFinder, compiled, spec_of
from danlu.messages import message

USAGE = "usage: danlu run script.py [arguments]\n       danlu run -m module [arguments]"
ROOT = str(Path(__file__).parent.parent.parent)


def main(arguments: Sequence[str]) -> int:
    """The command `danlu run`: its exit code is the script's.

    >>> main(["--help"])
    usage: danlu run script.py [arguments]
           danlu run -m module [arguments]
    0
    """
    words = list(arguments)
    if not words or words[0] in ("-h", "--help"):
        print(USAGE, file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    try:
        target = _module(words[1]) if words[0] == "-m" and len(words) > 1 else _file(words[0])
    except (MissingFileError, ModuleNotFoundError) as error:
        print(f"danlu: {error}", file=sys.stderr)
        return 2
    return run(target[0], words[2 if words[0] == "-m" else 1 :], package=target[1], folder=target[2])


def _file(path: str) -> tuple[str, None, str]:
    """A script (or the `__main__.py` of a folder), no package, and the folder that its imports look into first."""
    where = Path(path)
    check_exists(where)
    if where.is_dir():
        where = where / "__main__.py"
        check_exists(where)
    return str(where), None, str(where.resolve().parent)


def _module(name: str) -> tuple[str, str, str]:
    """The file of a module as `python -m` finds it, its package, and the folder for imports: the current one."""
    sys.path[0] = os.getcwd()
    spec = _find(name)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = _find(name + ".__main__")
    if spec is None or not spec.origin or not os.path.isfile(spec.origin):
        raise ModuleNotFoundError(message("there is no module {name!r} that could be run", name=name))
    return spec.origin, spec.parent or "", os.getcwd()


def _find(name: str) -> ModuleSpec | None:
    try:
        return find_spec(name)
    except ModuleNotFoundError:
        return None


def run(path: str | os.PathLike, arguments: Sequence[str] = (), *, package: str | None = None, folder: str | None = None) -> int:
    """Runs a script as `__main__` in this process, with danlu in PyTorch's place; gives its exit code.

    Raises: DataError where the real PyTorch has been imported already.
    """
    install()
    if not any(type(finder) is ScriptFinder for finder in sys.meta_path):
        sys.meta_path.append(ScriptFinder())  # processes that the script forks ask for it too
    file = os.fspath(path)
    sys.argv = [file, *arguments]
    sys.path[0] = folder or str(Path(file).resolve().parent)
    if ROOT not in sys.path:
        sys.path.append(ROOT)  # danlu was found in the current folder: others of our processes may start elsewhere
    module = ModuleType("__main__")
    vars(module).update(__file__=file, __package__=package, __builtins__=__builtins__, __spec__=spec_of(file))
    before, sys.modules["__main__"] = sys.modules["__main__"], module
    try:
        exec(compiled(file), vars(module))
    except SystemExit:
        raise
    except BaseException as error:
        _show(error)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    finally:
        sys.modules["__danlu_command__"] = before  # its functions may still be running
    return 0


def _show(error: BaseException) -> None:
    """The traceback as Python shows it, from the script's first line on (of a SyntaxError in it, nothing but the error)."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, spec.__file__):
        trace = trace.tb_next
    sys.excepthook(type(error), error.with_traceback(trace), trace)
