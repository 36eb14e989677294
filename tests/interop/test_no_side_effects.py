"""danlu's commands do not take PyTorch's place in a process that did not ask for it."""

import subprocess
import sys


def test_importing_the_commands_changes_nothing():
    code = "import sys; before = list(sys.meta_path); import danlu.cli, danlu.interop; print(sys.meta_path == before, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
