"""What every test shares: verifier on, a cache of their own, fixed seeds, golden files and the folder of shared data."""

from __future__ import annotations

import difflib
import gc
import os
import random
import shutil
import tempfile
from pathlib import Path

# Settings are read when danlu is imported: these lines stand before anything that imports it.
CACHE = tempfile.mkdtemp(prefix="danlu-tests-")
os.environ["DANLU_CACHE_DIR"] = CACHE
os.environ["DANLU_VERIFY"] = "1"
os.environ["DANLU_LANG"] = "en"

import hypothesis  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

import danlu  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"

hypothesis.settings.register_profile(
    "danlu",
    deadline=None,
    max_examples=30,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[hypothesis.HealthCheck.too_slow],  # the first example of a shape compiles a program
)
hypothesis.settings.load_profile("danlu")


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="write tests/golden/*.txt anew instead of comparing with them")


def pytest_collection_finish(session):
    """What is there by now stays there: a test that collects garbage need not look at twelve thousand other tests."""
    gc.collect()
    gc.freeze()


def pytest_deselected(items):
    config = items[0].config
    config.stash[LEFT_OUT] = config.stash.get(LEFT_OUT, 0) + sum(item.get_closest_marker("oracle") is not None for item in items)


LEFT_OUT = pytest.StashKey[int]()


def pytest_sessionfinish(session):
    """A worker of `pytest -n` tells the process that prints."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left out"] = session.config.stash.get(LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left out", 0)


def pytest_terminal_summary(terminalreporter, config):
    count = config.stash.get(LEFT_OUT, 0)
    if count:
        how = "pip install -e '.[oracle]' && pytest -n auto -m oracle"
        terminalreporter.write_line(f"{count} tests compare with real PyTorch and were left out; to run them: {how}")


def pytest_unconfigure():
    shutil.rmtree(CACHE, ignore_errors=True)


@pytest.fixture(autouse=True)
def _seeded():
    """Every test begins with the same random numbers, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)
    if hasattr(danlu, "manual_seed"):
        danlu.manual_seed(0)


@pytest.fixture
def golden(request):
    """`golden(name, text)` compares text with tests/golden/NAME.txt; with `--update-golden` it writes the file."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / f"{name}.txt"
        text = text.rstrip("\n") + "\n"
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            return
        again = f"if this is meant: pytest --update-golden {request.node.nodeid.partition('::')[0]}, and read the difference"
        if not path.exists():
            pytest.fail(f"tests/golden/{name}.txt does not exist; {again}", pytrace=False)
        expected = path.read_text("utf-8")
        if expected != text:
            names = (f"tests/golden/{name}.txt", "this run")
            lines = difflib.unified_diff(expected.splitlines(), text.splitlines(), *names, lineterm="")
            pytest.fail("\n".join([*lines, again]), pytrace=False)

    return compare


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the repository, with data too large for it; tests that ask for it are skipped without it."""
    path = ROOT.parent / "shared"
    if not (path / "data").is_dir():
        pytest.skip("needs the folder ../shared/data beside the repository")
    return path
