"""Runs the Python blocks of texts under PyTorch and under `danlu run`, and says where the outputs differ.

    python tools/compare_blocks.py TEXT ... [--all] [-v]

A text is Markdown; its blocks run one after the other in one namespace, statement by statement, as in a notebook: an expression shows its value,
an error ends its statement alone. A block counts if it speaks of torch or nn (`--all`: every block). Both sides draw the same random numbers,
NumPy's, from the same seed in every block, and layers begin with such. Numbers in the outputs may differ by 1e-4; addresses and the names of
grad_fn are left out. Real PyTorch has to be installed.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import functools
import io
import json
import math
import re
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^([ \t>]*)```[ \t]*(\w*)[^\n]*\n(.*?)^[ \t>]*```", re.S | re.M)
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")
LAYERS = (
    "Linear", "Bilinear", "Embedding", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "RNN", "LSTM",
    "GRU", "RNNCell", "LSTMCell", "GRUCell", "MultiheadAttention",
)  # fmt: skip
PRELUDE = "import torch, math, random\nimport numpy as np\nfrom torch import nn, tensor\nimport torch.nn.functional as F"


def blocks(text: str, every: bool) -> list[tuple[int, str]]:
    """(line, code) of the Python blocks of a text."""
    found = []
    for match in FENCE.finditer(text):
        code = textwrap.dedent("\n".join(line.removeprefix(match[1]) for line in match[3].splitlines()))
        if match[2] in ("", "python", "py") and (every or re.search(r"\btorch|\bnn\.", code)):
            found.append((text.count("\n", 0, match.start()) + 2, code))
    return found


# ---- one side: reads blocks from stdin, writes what they printed as JSON


def same_numbers(torch: Any) -> Callable[[], None]:
    """Random numbers from NumPy in the place of the framework's own; gives a function that seeds them."""
    import numpy as np

    draws = np.random.default_rng(0)

    def seed() -> None:
        draws.bit_generator.state = type(draws.bit_generator)(0).state

    def sizes(given: tuple) -> tuple:
        return tuple(given[0]) if len(given) == 1 and not isinstance(given[0], int) else given

    def made(values: Any, requires_grad: bool = False, dtype: Any = torch.float32, **_: Any) -> Any:
        return torch.tensor(values).to(dtype).requires_grad_(requires_grad)

    torch.rand = lambda *size, **named: made(draws.random(sizes(size)), **named)
    torch.randn = lambda *size, **named: made(draws.standard_normal(sizes(size)), **named)
    torch.normal = lambda mean, std, size=None, **named: made(
        draws.normal(mean, std, tuple(size) if size is not None else tuple(getattr(mean, "shape", ()))), **named
    )
    torch.randint = lambda *given, **named: made(draws.integers(*given[:-1], tuple(given[-1])), **{"dtype": torch.int64, **named})
    torch.randperm = lambda n, **_: made(draws.permutation(n), dtype=torch.int64)

    def fill(tensor: Any, values: Any) -> Any:
        with torch.no_grad():
            return tensor.copy_(torch.tensor(values))

    torch.Tensor.uniform_ = lambda t, a=0.0, b=1.0, **_: fill(t, draws.uniform(a, b, tuple(t.shape)))
    torch.Tensor.random_ = lambda t, low=0, high=None, **_: fill(
        t, draws.integers(*((low, high) if high else (0, low or 2**24)), tuple(t.shape))
    )
    torch.Tensor.normal_ = lambda t, mean=0.0, std=1.0, **_: fill(t, draws.normal(mean, std, tuple(t.shape)))
    for name in LAYERS:
        begin_with(getattr(torch.nn, name), draws, fill)
    return seed


def begin_with(layer: Any, draws: Any, fill: Callable[[Any, Any], Any]) -> None:
    """The layers of a class begin with these numbers."""
    init = layer.__init__

    @functools.wraps(init)
    def begin(self: Any, *args: Any, **named: Any) -> None:
        state = draws.bit_generator.state
        init(self, *args, **named)
        draws.bit_generator.state = state
        for p in self.parameters(recurse=False):
            if type(p).__name__ == "Parameter":
                fill(p, draws.uniform(-0.5, 0.5, tuple(p.shape)))

    layer.__init__ = begin


def side() -> None:
    """Runs the blocks that stdin holds."""
    import torch

    seed = same_numbers(torch)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(PRELUDE, names)
    print(json.dumps([[run(code, names, seed) for _, code in text] for text in json.load(sys.stdin)]))


def run(code: str, names: dict[str, Any], seed: Callable[[], None]) -> list[list[str]]:
    """(output, error) of each statement of a block; one error for a block that is no Python."""
    seed()
    try:
        statements = ast.parse(code).body
    except SyntaxError as error:
        return [["", f"SyntaxError: {error.msg} (line {error.lineno})"]]
    return [statement(one, names) for one in statements]


def statement(node: ast.stmt, names: dict[str, Any]) -> list[str]:
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            if isinstance(node, ast.Expr):
                value = eval(compile(ast.Expression(node.value), "block", "eval"), names)
                print(*([repr(value)] if value is not None else []))
            else:
                exec(compile(ast.Module([node], []), "block", "exec"), names)
    except Exception as error:  # a block may raise anything
        return [out.getvalue(), f"{type(error).__name__}: {error}"]
    return [out.getvalue(), ""]


# ---- both sides


def outputs(command: list[str], texts: list[list[tuple[int, str]]]) -> list[Any]:
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def equal(one: str, two: str) -> bool:
    """The same text, numbers within 1e-4, addresses (ten digits and more) apart."""
    one, two = (re.sub("grad_fn=<[^>]*>", "grad_fn", text) for text in (one, two))
    left, right = (NUMBER.findall(text) for text in (one, two))
    if NUMBER.sub("#", one) != NUMBER.sub("#", two) or len(left) != len(right):
        return False
    return all(
        a == b or (len(a) > 9 and a.isdigit()) or math.isclose(float(a), float(b), rel_tol=1e-4, abs_tol=1e-4)
        for a, b in zip(left, right)
    )


def main() -> int:
    """Prints the report; exit code 1 where a block that runs under PyTorch gives something else under danlu."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="+", type=Path)
    parser.add_argument("--all", action="store_true", help="every block, not only those that speak of torch or nn")
    parser.add_argument("-v", action="store_true", help="show what does not run under PyTorch either")
    given = parser.parse_args()
    found = [blocks(path.read_text("utf-8"), given.all) for path in given.texts]
    theirs = outputs([sys.executable, __file__, "--side"], found)
    ours = outputs([sys.executable, "-m", "danlu.run", __file__, "--side"], found)
    runs = same = total = 0
    lacking: Counter[str] = Counter()
    for path, text, expected, got in zip(given.texts, found, theirs, ours):
        for (line, _), left, right in zip(text, expected, got):
            total += 1
            if any(error for _out, error in left):
                if given.v:
                    print(f"{path.name}:{line}: does not run under PyTorch: {next(e for _, e in left if e)}")
                parts = [(a, b) for a, b in zip(left, right) if not a[1]]  # what does run of it is compared all the same
            else:
                runs += 1
                parts = list(zip(left, right))
            wrong = [(a, b) for a, b in parts if b[1] or not equal(a[0], b[0])]
            same += not wrong and not any(error for _, error in left)
            for a, b in wrong:
                lacking[b[1] or "another output"] += 1
                print(f"{path.name}:{line}: PyTorch {a[0]!r}, danlu {b[1] or b[0]!r}")
    print(f"{total} blocks, {runs} run under PyTorch, {same} of them equally under danlu")
    for reason, count in lacking.most_common():
        print(f"{count:4} {reason}")
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(side() if sys.argv[1:] == ["--side"] else main())
