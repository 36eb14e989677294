"""Runs that are damaged or of another version: the message says which file and what is wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from workbench import interrupted, run

import danlu
from danlu.files import pack, save


@pytest.fixture(scope="module")
def good_run(tmp_path_factory):
    """An interrupted run (it has something to resume and to predict with)."""
    folder = tmp_path_factory.mktemp("good")
    patch = pytest.MonkeyPatch()
    with patch.context() as patched:
        patched.chdir(folder)
        assert interrupted(patched, 8) == 130
    return folder


def edit(name: str, change):
    """A change of one field of a JSON file of the run."""

    def damage(folder: Path) -> None:
        value = json.loads((folder / name).read_text())
        change(value)
        (folder / name).write_text(json.dumps(value))

    return damage


def cut(name: str, keep: float = 0.5):
    def damage(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * keep)])

    return damage


def flip(name: str):
    def damage(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[-3] ^= 4
        (folder / name).write_bytes(data)

    return damage


def remove(name: str):
    return lambda folder: (folder / name).unlink()


def other_weights(folder: Path) -> None:
    save({"0.weight": danlu.tensor([1.0])}, folder / "model.safetensors")


def other_state(folder: Path) -> None:
    (folder / "optimizer.safetensors").write_bytes(pack({"epoch": 1}))


def append(name: str, text: str):
    def damage(folder: Path) -> None:
        with open(folder / name, "a", encoding="utf-8") as file:
            file.write(text)

    return damage


PREDICT, RESUME, SHOW = ["predict", "RUN", "table.csv"], ["train", "--resume", "RUN"], ["show", "RUN"]


@pytest.mark.parametrize(
    ("words", "damage", "message"),
    [
        (SHOW, remove("config.json"), "is no run: it has no config.json"),
        (SHOW, cut("config.json"), "config.json: not JSON"),
        (
            SHOW,
            edit("config.json", lambda v: v.update(version=2)),
            "config.json is of version 2, this danlu reads version 1; train again",
        ),
        (SHOW, edit("config.json", lambda v: v.update(format="x")), "'format' should be 'danlu.run', found 'x'"),
        (
            SHOW,
            edit("config.json", lambda v: v["options"].update(epochs=-1)),
            "'epochs' should be a whole number from 1 on, found -1",
        ),
        (SHOW, edit("config.json", lambda v: v["options"].update(hidden="8")), "'hidden' should be"),
        (SHOW, edit("config.json", lambda v: v["options"].pop("lr")), "'lr' should be"),
        (
            SHOW,
            edit("config.json", lambda v: v["model"].update(inputs=99)),
            "prepare.json gives 7 features and 2 outputs, but config.json says 99",
        ),
        (SHOW, remove("prepare.json"), "cannot read RUN/prepare.json"),
        (SHOW, cut("prepare.json"), "prepare.json: not JSON"),
        (SHOW, edit("prepare.json", lambda v: v.update(version=9)), "prepare.json is of version 9"),
        (SHOW, remove("state.json"), "cannot read RUN/state.json"),
        (
            SHOW,
            edit("state.json", lambda v: v.update(status="odd")),
            "state.json: 'status' should be one of training, interrupted",
        ),
        (SHOW, edit("state.json", lambda v: v.update(status="finished")), "state.json: result: expected an object"),
        (SHOW, edit("state.json", lambda v: v.update(epoch="1")), "'epoch' should be a whole number"),
        (SHOW, append("metrics.jsonl", '{"epoch": 3, "lo'), "metrics.jsonl (line "),
        (SHOW, append("metrics.jsonl", '{"epoch": 3, "loss": "x"}\n'), "'loss' should be a finite number, found 'x'"),
        (PREDICT, remove("model.safetensors"), "cannot read RUN/model.safetensors"),
        (PREDICT, cut("model.safetensors"), "model.safetensors:"),
        (PREDICT, flip("model.safetensors"), "model.safetensors: the checksum does not fit the content"),
        (PREDICT, other_weights, "has the shape"),
        (RESUME, cut("optimizer.safetensors"), "optimizer.safetensors:"),
        (RESUME, flip("optimizer.safetensors"), "optimizer.safetensors: the checksum does not fit"),
        (RESUME, other_state, "optimizer.safetensors holds no state of a training"),
    ],
)
def test_a_damaged_run_says_which_file_and_what(words, damage, message, good_run, tmp_path, capsys):
    shutil.copytree(good_run, tmp_path, dirs_exist_ok=True)
    config = tmp_path / "runs/table-001/config.json"
    config.write_text(config.read_text().replace(str(good_run), str(tmp_path)))
    folder = Path("runs/table-001")
    damage(folder)
    capsys.readouterr()
    assert run(*[str(folder) if word == "RUN" else word for word in words]) == 2
    err = capsys.readouterr().err
    assert message.replace("RUN", str(folder)) in err and len(err.splitlines()) == 1
