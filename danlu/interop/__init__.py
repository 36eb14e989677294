"""L9. PyTorch's names in a process: `danlu run script.py`, `%load_ext danlu`, and `danlu check script.py`.

`torch`, its submodules and `torchvision` become modules that hold danlu's names, through a finder at the head of `sys.meta_path`; a
process that did not ask for it never sees them.
"""

from danlu.interop.finder import install
from danlu.interop.scan import Missing, check
from danlu.interop.script import run

__all__ = ["Missing", "check", "install", "run"]
