"""The command as a real process: exit codes, a real Ctrl-C, a pipe that closes, quick starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
COMMAND = [sys.executable, "-W", "error", "-m", "danlu.cli"]
posix = pytest.mark.skipif(os.name == "nt", reason="sends signals")


@pytest.fixture(autouse=True)
def _package(monkeypatch):
    """The package under test on the path of every process."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])))


def danlu(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=120, check=False)


@posix
def test_ctrl_c_in_the_middle_then_resume_ends_with_the_same_bits():
    options = ["train", "digits", "--epochs", "30", "--seed", "2"]
    process = subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("epoch 1/30")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130 and "test accuracy" not in out
    assert err == "danlu: interrupted; everything is saved. Go on with: danlu train --resume runs/digits-001\n"
    assert "stopping after this step; Ctrl-C again ends at once, without saving" in out
    state = json.loads(Path("runs/digits-001/state.json").read_text())
    assert state["status"] == "interrupted" and 0 < state["step"] < 30 * 40

    resumed, whole = danlu("train", "--resume", "runs/digits-001", "--json"), danlu(*options, "--json")
    assert (resumed.returncode, whole.returncode) == (0, 0)
    one, two = (Path(f"runs/digits-00{i}/model.safetensors").read_bytes() for i in (1, 2))
    assert one == two
    keys = ("validation", "test", "epochs")
    one, two = (json.loads(done.stdout.splitlines()[-1]) for done in (resumed, whole))
    assert [one[key] for key in keys] == [two[key] for key in keys]
    logs = [Path(f"runs/digits-00{i}/metrics.jsonl").read_text().splitlines() for i in (1, 2)]
    assert [json.loads(line)["loss"] for line in logs[0]] == [json.loads(line)["loss"] for line in logs[1]]


def test_a_mistake_is_exit_code_2_without_a_traceback():
    done = danlu("train", "nowhere.csv")
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith("danlu: nowhere.csv does not exist")
    debugged = danlu("train", "nowhere.csv", "--debug")
    assert debugged.returncode != 0 and "Traceback" in debugged.stderr and "DataError" in debugged.stderr


@posix
def test_a_pipe_that_closes_early_is_no_error():
    assert danlu("train", "digits", "--epochs", "1", "--hidden", "8", "--quiet").returncode == 0
    command = [*COMMAND, "predict", "runs/digits-001", "digits", "--out", "-"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline().startswith("prediction,")
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait(timeout=60) == 0
    process.stderr.close()


def test_info_and_help_load_nothing_heavy():
    heavy = {"pandas", "pyarrow", "matplotlib", "sklearn", "rich", "safetensors"}
    code = (
        "import sys\nfrom danlu.cli import main\nassert main(['info']) == 0 and main(['--help']) == 0\n"
        f"print(sorted({{name.split('.')[0] for name in sys.modules}} & {heavy}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
