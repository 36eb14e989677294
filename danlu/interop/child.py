"""L9. What a spawned process of `danlu run script.py` reads in the place of `__main__`: the script again, once danlu has taken PyTorch's place.

multiprocessing imports in the new process the module that `__main__.__spec__` names, under the name `__mp_main__`. That is
`danlu.interop.child.<the script's path in hexadecimal digits>`: importing this parent of it does the rest.
"""

from __future__ import annotations

import sys

from danlu.interop.finder import install
from danlu.interop.spec import ScriptFinder

__path__: list[str] = []  # it has submodules

install()
sys.meta_path.append(ScriptFinder())
