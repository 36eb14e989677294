"""Every example runs in its short form and reaches its figure; its head names the result of the long one; the table of the folder is whole."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "examples"
EXAMPLES = sorted(path.stem for path in FOLDER.glob("*.py"))
MOST_LINES = 150
ALLOWED = {"argparse", "danlu", "math", "pathlib", "random", "time"}  # what a learner has with a core install

# What the figures of a short run must satisfy. Guessing among ten digits is right in 0.1 of the cases.
CHECKS = {
    "autoencoder": lambda f: f["autoencoder"] < 0.9 * f["axes"] < 0.6 * f["mean"],
    "bandit": lambda f: f["expected"] > f["mean"] + 0.8 * (f["best"] - f["mean"]) and f["quieter"] > 1.5,
    "char_gpt": lambda f: f["loss"] < 0.75 * f["frequencies"],
    "domain_adversarial": lambda f: f["adversarial"] > f["source alone"] + 0.05 and f["adversarial"] > 0.75,
    "gan": lambda f: f["share"] > 2.5 * f["untrained"] and f["heaps"] >= 5,
    "gru_language_model": lambda f: f["perplexity"] < 0.17 * f["characters"],  # 0.23 by frequencies alone
    "lenet": lambda f: f["accuracy"] > 0.8,
    "linear_regression": lambda f: f["error"] < 0.01,
    "linear_regression_scratch": lambda f: f["difference"] < 0.01 and f["error"] < 0.02,
    "mlp": lambda f: f["mlp"] > 0.93 and f["line"] > 0.85,
    "recommender": lambda f: 0.3 < f["vectors"] < 0.8 * f["biases"] < 0.8 * f["mean"],
    "resnet": lambda f: f["residual"]["accuracy"] > 0.9 and f["residual"]["loss"] < 0.5,
    "softmax_regression": lambda f: f["accuracy"] > 0.9 and f["gradient_error"] < 1e-8,
    "translate_numbers": lambda f: f["accuracy"] > 0.4,
    "vit": lambda f: f["accuracy"] > 0.7,
}

# The lines that differ under PyTorch; the digits and `open_source` stay danlu's.
PYTORCH = {
    "import danlu as torch": "import torch",
    "import danlu.nn": "import torch.nn",
    "from danlu import": "from torch import",
    "from danlu.distributions": "from torch.distributions",
    "from danlu.data import DataLoader": "from torch.utils.data import DataLoader",
}


def source(name: str) -> str:
    """The text of an example."""
    return (FOLDER / f"{name}.py").read_text("utf-8")


def loaded(name: str, path: Path):
    """A file as a module, without `__main__`'s last line."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_has_a_check():
    assert list(CHECKS) == EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_short_form_reaches_its_figure(name, capsys):
    figures = loaded(name, FOLDER / f"{name}.py").main(["--short"])
    assert CHECKS[name](figures), figures
    assert re.search(r"[\d.]+ s of CPU time\n$", capsys.readouterr().out)


def test_an_example_runs_as_a_script(tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    command = [sys.executable, "-W", "error", str(FOLDER / "linear_regression.py"), "--short"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert float(re.findall(r"off by at most ([\d.]+),", done.stdout)[0]) < 0.01


@pytest.mark.oracle
@pytest.mark.parametrize("name", [name for name in EXAMPLES if "nn.GradientReversal" not in source(name)])
def test_the_same_lines_run_under_pytorch(name, tmp_path):
    pytest.importorskip("torch")
    text = source(name)
    for danlu, torch in PYTORCH.items():
        text = text.replace(danlu, torch)
    ported = tmp_path / f"{name}.py"
    ported.write_text(text, "utf-8")
    figures = loaded(name, ported).main(["--short"])
    assert CHECKS[name](figures), figures


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_file_is_short_and_its_head_names_the_result(name):
    text = source(name)
    head = ast.get_docstring(ast.parse(text)) or ""
    assert len(text.splitlines()) <= MOST_LINES
    assert f"\n    python examples/{name}.py [--short]" in head
    _, _, result = head.partition("\n\nResult: ")
    assert re.search(r"\d.*\bs\b.*(Zen|Apple|Intel|Xeon|EPYC).*\d{4}-\d\d-\d\d", result, re.DOTALL), "figure, time, machine, date"


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_needs_the_core_install_alone(name):
    nodes = list(ast.walk(ast.parse(source(name))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    assert {name.partition(".")[0] for name in names} <= ALLOWED


def test_the_table_lists_every_example():
    rows = re.findall(r"^\| \[(\w+)\]\((\w+)\.py\) \|", (FOLDER / "README.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(target for _, target in rows) == EXAMPLES
    assert [name for name, target in rows if name != target] == []
