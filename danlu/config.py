"""L0. Settings. The only reader of the environment: every variable that danlu knows is named here, once.

| variable | meaning | default |
|---|---|---|
| `DANLU_OPT` | `0` runs every op through its NumPy reference, `1` through compiled code | 1 |
| `DANLU_LOG` | comma-separated stages to print: `compile`, `kernels`, `ir`, `llvm`, `asm` | nothing |
| `DANLU_NUM_THREADS` | threads of one program | the cores this process may use |
| `DANLU_CACHE_DIR` | folder of compiled programs | the platform's cache folder + `danlu` |
| `DANLU_CACHE_MB` | bound of that folder, in MiB; 0 keeps nothing on disk | 512 |
| `DANLU_LANG` | language of messages: `zh` or `en` | `zh` where the locale is Chinese, else `en` |
| `DANLU_VERIFY` | `1` checks the kernel IR after every pass (on in the tests) | 0 |
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from danlu.messages import LANGUAGES, message, use


def _cores() -> int:
    """Cores that this process may use (an affinity mask counts), at least 1."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def _cache_dir() -> Path:
    """The platform's folder for caches, as the operating system's conventions name it."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "danlu"


def _integer(name: str, default: int) -> int:
    """An integer from the environment; a word that is no integer is an error that names the variable."""
    text = os.environ.get(name, "")
    try:
        return int(text) if text else default
    except ValueError:
        raise ValueError(
            message(
                "{name}={text!r} is not an integer; write for example {name}={default}", name=name, text=text, default=default
            )
        ) from None


def _language() -> str:
    """`DANLU_LANG`, else zh where the locale is Chinese, else en."""
    chosen = os.environ.get("DANLU_LANG")
    if chosen:
        return chosen
    locale = next(
        filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), ""
    )  # the first that is set, as POSIX has it
    return "zh" if locale.startswith("zh") else "en"


def set_language(language: str | None = None) -> None:
    """The language of messages from here on: "zh", "en", or None for what the environment says (`DANLU_LANG`, else the locale).

    Raises: ValueError for another word.

    >>> import danlu
    >>> danlu.set_language("zh")
    >>> danlu.set_language("en")
    """
    code = _language() if language is None else language
    if code not in LANGUAGES:
        raise ValueError(message("language {language!r} is not there; write 'zh' or 'en'", language=code))
    use(code)


class Config:
    """The settings in force; attributes may be changed while the program runs.

    >>> import danlu
    >>> danlu.config.cache_mb >= 0
    True
    """

    def __init__(self) -> None:
        self.optimize: bool = os.environ.get("DANLU_OPT", "1") != "0"
        self.log: frozenset[str] = frozenset(filter(None, os.environ.get("DANLU_LOG", "").split(",")))
        self.num_threads: int = max(1, _integer("DANLU_NUM_THREADS", _cores()))
        self.cache_dir: Path = Path(os.environ.get("DANLU_CACHE_DIR") or _cache_dir())
        self.cache_mb: int = _integer("DANLU_CACHE_MB", 512)
        self.profile = False  # programs count the time of their kernels (danlu/profiling.py switches it)
        self.verify: bool = os.environ.get("DANLU_VERIFY", "0") == "1"


set_language()
config = Config()
