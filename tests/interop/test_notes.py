"""The code blocks of course notes under PyTorch and under `danlu run`: what runs there runs here, with equal output."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
NOTES = sorted((ROOT.parent / "shared" / "notes").glob("*.txt"))

# Typing errors of the notes: as it stands there → what was meant. Everything else is run as it stands.
MENDED = (
    ("x.torch.arrange(4.0)", "x = torch.arange(4.0)"),
    ("lr=<required parameter>", "lr=0.01"),  # a signature, copied
    ("reduction: str = 'mean'", "reduction='mean'"),  # a signature, copied
    ("CLASS torch.nn.", "torch.nn."),  # a heading, copied
    ("%matplotlib inline\n", "\n"),  # a command of notebooks
    ("torch.norm(torch.ones((4, 9))\n\ntensor(6.)", "torch.norm(torch.ones((4, 9)))"),  # a parenthesis; the output, copied
    (">>>id(Z): 140316199714544\n>>>id(Z): 140316199714544\n\n或者类似于X+=Y", ""),  # the output and a remark inside the block
)


@pytest.mark.oracle
@pytest.mark.skipif(not NOTES, reason="there are no notes beside the repository")
def test_blocks_of_notes_give_what_they_give_under_pytorch(tmp_path):
    pytest.importorskip("torch")
    texts, used = [], set()
    for path in NOTES:
        text = path.read_text("utf-8")
        for wrong, meant in MENDED:
            used |= {wrong} if wrong in text else set()
            text = text.replace(wrong, meant)
        texts.append(tmp_path / path.name)
        texts[-1].write_text(text, "utf-8")
    assert used == {wrong for wrong, _ in MENDED}
    words = [sys.executable, str(ROOT / "tools" / "compare_blocks.py"), *map(str, texts), "-v"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    blocks, ran, same = map(int, re.match(r"(\d+) blocks, (\d+) run under PyTorch, (\d+)", done.stdout.splitlines()[-1]).groups())
    assert ran == same >= 19 and blocks == 28, done.stdout  # the others speak of names that the notes do not define
