"""`import danlu` loads nothing heavy: what belongs to an extra, and what belongs to somebody else's framework."""

from __future__ import annotations

import subprocess
import sys

from ladder import NOT_AT_IMPORT, ROOT


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a fresh interpreter where warnings are errors."""
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_import_is_light():
    done = python("import danlu, sys\nprint(*sorted({name.split('.')[0] for name in sys.modules}))")
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "danlu" in loaded
    heavy = sorted(loaded & set(NOT_AT_IMPORT))
    assert not heavy, f"`import danlu` loads {', '.join(heavy)}; import it inside the function that needs it"


def test_import_is_silent_and_starts_no_thread():
    done = python("import danlu, threading\nassert threading.active_count() == 1, threading.enumerate()")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_loaded_later_is_there_when_asked_for():
    done = python(
        "import danlu, sys\n"
        "homes = {m for m in danlu._LATER.values() if m not in ('danlu.func', 'danlu.teaching')}\n"  # parts of autograd
        "assert not homes & set(sys.modules), homes & set(sys.modules)\n"
        "assert set(danlu._LATER) <= set(danlu.__all__) and set(danlu.__all__) <= set(dir(danlu))\n"
        "for name, home in danlu._LATER.items():\n"
        "    found = getattr(danlu, name)\n"
        "    assert found is vars(danlu)[name] and getattr(found, '__module__', home).startswith(home), name\n"
        "from danlu import *\n"
        "assert vmap is danlu.func.vmap"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
