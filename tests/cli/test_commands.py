"""The commands, called in this process: train, resume, predict, show, info, and what they refuse."""

from __future__ import annotations

import csv
import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from workbench import interrupted, run, write_table

import danlu
from danlu import cli
from danlu.errors import DataError
from danlu.files import load
from danlu.train.loop import Callback

pd = pytest.importorskip("pandas")


def train(*words: str) -> int:
    """A short, silent training of the table."""
    return run("train", write_table(), "--hidden", "8", "--epochs", "2", "--quiet", *words)


def last_json(text: str) -> dict:
    return json.loads(text.splitlines()[-1])


# ---- train


def test_digits_learn_and_end_with_a_report(capsys):
    assert run("train", "digits", "--epochs", "8", "--json") == 0
    out, err = capsys.readouterr()
    result = last_json(out)
    names = [
        "task",
        "rows",
        "classes",
        "metric",
        "validation",
        "test",
        "baselines",
        "seconds",
        "epochs",
        "seed",
        "threads",
        "run",
    ]
    assert list(result) == names and err == ""
    assert (result["task"], result["rows"], result["metric"]) == ("classification", 1797, "accuracy")
    assert result["classes"] == [str(i) for i in range(10)] and result["test"] > 0.9
    assert 0.05 < result["baselines"]["majority"] < 0.15 and 0.9 < result["baselines"]["linear"] < 1
    assert list(result["seconds"]) == ["compile", "data", "train", "total"]
    assert result["seconds"]["total"] >= result["seconds"]["data"] + result["seconds"]["train"]
    assert (result["epochs"], result["seed"], result["run"]) == (8, 0, str(Path("runs/digits-001")))
    for piece in ("test accuracy", "majority class", "logistic regression", "compile", "next  danlu show runs/digits-001"):
        assert piece in out
    assert "epoch 1/8" in out and "epoch 8/8" in out


def test_a_run_folder_has_all_its_files(capsys):
    assert train("--target", "kind") == 0
    folder = Path("runs/table-001")
    expected = {
        "config.json",
        "prepare.json",
        "model.safetensors",
        "optimizer.safetensors",
        "state.json",
        "metrics.jsonl",
        "report.md",
    }
    found = {path.name for path in folder.iterdir()}
    assert found - {"curves.png"} == expected
    config = json.loads((folder / "config.json").read_text())
    assert (config["version"], config["options"]["epochs"], config["options"]["hidden"]) == (1, 2, [8])
    assert config["data"]["rows"] == 120 and config["data"]["target"] == "kind"
    assert [json.loads(line)["epoch"] for line in (folder / "metrics.jsonl").read_text().splitlines()] == [1, 2]
    state = json.loads((folder / "state.json").read_text())
    assert state["status"] == "finished" and state["result"]["metric"] == "accuracy"
    assert (folder / "report.md").read_text().startswith("# table-001\n\n## Data\n")
    assert capsys.readouterr() == ("", "")


def test_runs_count_up():
    for _ in range(2):
        assert train("--target", "kind") == 0
    Path("runs/table-007").mkdir()
    Path("runs/table-x9").mkdir()
    assert train("--target", "kind") == 0
    assert sorted(path.name for path in Path("runs").iterdir()) == [
        "table-001",
        "table-002",
        "table-007",
        "table-008",
        "table-x9",
    ]


def test_out_names_another_folder():
    assert train("--target", "kind", "--out", "a/b") == 0
    assert Path("a/b/table-001/state.json").is_file() and not Path("runs").exists()


def test_values_are_judged_in_their_unit(capsys):
    assert train("--target", "price", "--json") == 0
    result = last_json(capsys.readouterr().out)
    assert (result["task"], result["metric"], result["classes"]) == ("regression", "rmse", None)
    assert 2500 < result["baselines"]["mean"] < 4000 and result["baselines"]["linear"] < 2000 and 0 < result["test"] < 5000


def test_every_option_reaches_the_config():
    words = "--target kind --task classification --activation tanh --batch-size 7 --lr 0.02 --optimizer sgd --dropout 0.25"
    assert train(*words.split(), "--weight-decay", "0.5", "--scale", "minmax", "--seed", "4", "--threads", "1") == 0
    options = json.loads(Path("runs/table-001/config.json").read_text())["options"]
    expected = {
        "source": "table.csv", "target": "kind", "task": "classification", "hidden": [8], "activation": "tanh", "epochs": 2,
        "batch_size": 7, "lr": 0.02, "optimizer": "sgd", "dropout": 0.25, "weight_decay": 0.5, "scale": "minmax", "seed": 4,
    }  # fmt: skip
    assert options == expected


def test_no_hidden_layer_and_adam():
    assert train("--target", "kind", "--hidden", "none", "--optimizer", "adam") == 0
    assert set(load("runs/table-001/model.safetensors")) == {"0.weight", "0.bias"}


def test_notes_on_the_data_are_said(capsys):
    write_table()
    frame = pd.read_csv("table.csv")
    frame.insert(0, "id", [f"row-{i}" for i in range(len(frame))])
    frame.to_csv("table.csv", index=False)
    assert run("train", "table.csv", "--target", "kind", "--epochs", "1") == 0
    assert "'id' is left out" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_bits_whatever_the_threads():
    for threads in ("1", "2"):
        assert train("--target", "kind", "--threads", threads, "--seed", "3") == 0
    one, two = (Path(f"runs/table-00{i}/model.safetensors").read_bytes() for i in (1, 2))
    assert one == two
    assert train("--target", "kind", "--seed", "4") == 0
    assert Path("runs/table-003/model.safetensors").read_bytes() != one


def test_two_processes_at_once_get_two_folders(monkeypatch):
    """Another process takes the next two numbers between our look at the folder and our mkdir."""
    module = importlib.import_module("danlu.train.run")
    scan = module.os.scandir

    def scan_and_lose(path):
        found = list(scan(path))
        for number in (1, 2):
            (Path(path) / f"table-{number:03d}").mkdir()
        return found

    monkeypatch.setattr(module.os, "scandir", scan_and_lose)
    assert train("--target", "kind") == 0
    assert Path("runs/table-003/state.json").is_file()


# ---- interrupt and resume


@pytest.mark.parametrize("step", [1, 7, 15])
def test_resumed_runs_end_with_the_same_bits(step, monkeypatch, capsys, tmp_path):
    assert interrupted(monkeypatch, step) == 130
    err = capsys.readouterr().err
    assert err == "danlu: interrupted; everything is saved. Go on with: danlu train --resume runs/table-001\n"
    state = json.loads(Path("runs/table-001/state.json").read_text())
    assert state["status"] == "interrupted" and state["step"] == step + 1
    assert run("show", "runs/table-001") == 0
    assert f"interrupted in epoch {state['epoch'] + 1} of 6, after step {step + 1}" in capsys.readouterr().out

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run("train", "--resume", "../runs/table-001", "--quiet", "--json") == 0
    resumed = last_json(capsys.readouterr().out)
    monkeypatch.chdir(tmp_path)
    assert interrupted(monkeypatch, 10**9, "--json") == 0
    whole = last_json(capsys.readouterr().out)
    one, two = (Path(f"runs/table-00{i}/model.safetensors").read_bytes() for i in (1, 2))
    assert one == two
    assert {k: resumed[k] for k in ("validation", "test", "epochs")} == {k: whole[k] for k in ("validation", "test", "epochs")}


def test_a_run_killed_in_the_middle_goes_on_from_its_checkpoint(monkeypatch):
    class Killed(Callback):
        def on_step(self, loop):
            if loop.step == 9:
                raise ZeroDivisionError  # as sudden as a kill: no hook of ours runs

    with monkeypatch.context() as patched:
        patched.setattr(cli, "progress", Killed)
        with pytest.raises(ZeroDivisionError):
            run("train", write_table(), "--target", "kind", "--hidden", "8", "--epochs", "6", "--batch-size", "16")
    assert run("train", "--resume", "runs/table-001", "--quiet") == 0
    assert run("train", "table.csv", "--target", "kind", "--hidden", "8", "--epochs", "6", "--batch-size", "16", "--quiet") == 0
    one, two = (Path(f"runs/table-00{i}/model.safetensors").read_bytes() for i in (1, 2))
    assert one == two


def test_a_second_interrupt_saves_nothing_more(monkeypatch, capsys):
    assert interrupted(monkeypatch, 5, times=2) == 130
    assert capsys.readouterr().err == "danlu: interrupted\n"
    assert json.loads(Path("runs/table-001/state.json").read_text())["status"] == "training"
    assert run("train", "--resume", "runs/table-001", "--quiet") == 0


def test_a_finished_run_is_reported_again(capsys):
    assert train("--target", "kind") == 0
    before = Path("runs/table-001/model.safetensors").stat().st_mtime_ns
    assert run("train", "--resume", "runs/table-001", "--json") == 0
    assert last_json(capsys.readouterr().out)["run"] == str(Path("runs/table-001"))
    assert Path("runs/table-001/model.safetensors").stat().st_mtime_ns == before


def test_changed_data_is_not_gone_on_with(monkeypatch, capsys):
    interrupted(monkeypatch, 5)
    write_table(seed=1)
    capsys.readouterr()
    assert run("train", "--resume", "runs/table-001") == 2
    assert "table.csv has changed since runs/table-001 began; train again on the new data" in capsys.readouterr().err


# ---- predict


def read_predictions(path="predictions.csv") -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_predict_classes(capsys):
    assert run("train", write_table(rows=300), "--target", "kind", "--epochs", "20", "--quiet") == 0
    frame = pd.read_csv("table.csv")
    frame.drop(columns="kind").assign(colour="violet").to_csv("new.csv", index=False)
    assert run("predict", "runs/table-001", "new.csv") == 0
    assert "300 predictions are in predictions.csv" in capsys.readouterr().out
    assert run("predict", "runs/table-001", "table.csv", "--out", "known.csv") == 0
    rows = read_predictions("known.csv")
    assert list(rows[0]) == ["prediction", "probability no", "probability yes"] and len(read_predictions()) == 300
    for row in rows[:50]:
        no, yes = float(row["probability no"]), float(row["probability yes"])
        assert abs(no + yes - 1) < 1e-5 and row["prediction"] == ("yes" if yes > no else "no")
    assert np.mean([row["prediction"] == kind for row, kind in zip(rows, frame["kind"])]) > 0.85


def test_predict_values_to_stdout(capsys):
    assert run("train", write_table(rows=300), "--target", "price", "--epochs", "20", "--quiet") == 0
    assert run("predict", "runs/table-001", "table.csv", "--out", "-") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "prediction" and len(lines) == 301 and not Path("predictions.csv").exists()
    predicted, true = np.array([float(line) for line in lines[1:]]), pd.read_csv("table.csv")["price"].to_numpy()
    assert np.corrcoef(predicted, true)[0, 1] > 0.9


def test_predict_images():
    assert run("train", "digits", "--epochs", "8", "--quiet") == 0
    assert run("predict", "runs/digits-001", "digits") == 0
    labels = importlib.import_module("danlu.data.digits").load_digits()[1]
    assert np.mean([int(row["prediction"]) == label for row, label in zip(read_predictions(), labels)]) > 0.9


# ---- show and info


def test_show_reports_data_model_curves_metrics_and_confusion(capsys):
    assert train("--target", "kind") == 0
    assert run("show", "runs/table-001") == 0
    out = capsys.readouterr().out
    for piece in ("Data\n", "classification into 2 classes, 120 rows", "network 7 -> 8 -> 2", "Metrics\n", "validation accuracy"):
        assert piece in out
    assert "Learning curves\n" in out and "epoch 1 to 2" in out and "Confusion matrix" in out and "table-001" in out


def test_show_of_values_has_mae_and_r2(capsys):
    assert train("--target", "price") == 0
    assert run("show", "runs/table-001") == 0
    out = capsys.readouterr().out
    assert "test rmse" in out and "test mae" in out and "test r2" in out and "Confusion" not in out


def test_info(capsys):
    assert run("info") == 0
    out = capsys.readouterr().out
    for piece in ("danlu ", "python ", "cpu ", "threads ", "cache ", "MiB", "[data] pandas yes"):
        assert piece in out


def test_version_and_help(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out == f"danlu {danlu.__version__}\n"
    for words in (["--help"], ["train", "--help"], ["predict", "--help"], ["show", "--help"], ["info", "--help"]):
        assert run(*words) == 0
    assert "--weight-decay" in capsys.readouterr().out


# ---- a NaN


def test_a_loss_that_becomes_nan(capsys):
    assert run("train", "digits", "--lr", "1e30", "--optimizer", "sgd", "--epochs", "3") == 2
    err = capsys.readouterr().err
    assert err.startswith("danlu: the loss became ") and "at step " in err and "it began in the output of layer" in err
    assert "Try a smaller learning rate (1e+29 instead of 1e+30)" in err and len(err.splitlines()) == 1
    assert json.loads(Path("runs/digits-001/state.json").read_text())["status"] == "failed"
    assert run("show", "runs/digits-001") == 0
    assert "the loss became" in capsys.readouterr().out


# ---- bad words


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "danlu: the following arguments are required"),
        ("trian digits", "invalid choice: 'trian' (choose from"),
        ("train", "train what? Write danlu train digits"),
        ("train digist", "digist does not exist"),
        ("train digits --epochs 0", "argument --epochs: '0' is not a whole number from 1 on"),
        ("train digits --epochs -3", "argument --epochs: '-3' is not a whole number from 1 on"),
        ("train digits --epochs 2.5", "'2.5' is not a whole number from 1 on"),
        ("train digits --batch-size 0", "argument --batch-size: '0' is not a whole number"),
        ("train digits --threads 0", "argument --threads: '0' is not a whole number"),
        ("train digits --seed -1", "argument --seed: '-1' is not a whole number from 0 on"),
        ("train digits --hidden 128,0", "argument --hidden: '0' is not a whole number from 1 on"),
        ("train digits --hidden 128,,64", "argument --hidden: '' is not a whole number from 1 on"),
        ("train digits --lr 0", "argument --lr: '0' is not a number above 0"),
        ("train digits --lr nan", "argument --lr: 'nan' is not a number above 0"),
        ("train digits --lr inf", "argument --lr: 'inf' is not a number above 0"),
        ("train digits --lr fast", "argument --lr: 'fast' is not a number above 0"),
        ("train digits --dropout 1", "argument --dropout: '1' is not a share from 0 to below 1"),
        ("train digits --weight-decay -1", "argument --weight-decay: '-1' is not a number from 0 on"),
        ("train digits --activation gelu", "argument --activation: invalid choice: 'gelu' (choose from relu, sigmoid, tanh)"),
        ("train digits --optimizer rmsprop", "argument --optimizer: invalid choice: 'rmsprop' (choose from adam, adamw, sgd)"),
        ("train digits --scale log", "argument --scale: invalid choice: 'log' (choose from standard, minmax, none)"),
        (
            "train digits --task ranking",
            "argument --task: invalid choice: 'ranking' (choose from auto, classification, regression)",
        ),
        ("train digits --epoch 3", "unknown argument '--epoch'; did you mean --epochs?"),
        ("train digits --what", "unknown argument '--what'."),
        ("train digits extra", "unknown argument 'extra'"),
        ("train digits --target digit", "digits has labels of its own"),
        ("train --resume runs/none-001", "there is no run runs/none-001: there is no folder runs"),
        ("train digits --resume runs/none-001", "leave out the source"),
        ("train --resume runs/none-001 --lr 0.1", "--resume goes on with the run's own data and options; leave out --lr"),
        ("predict runs/none-001", "the following arguments are required: FILE"),
        ("predict runs/none-001 x.csv", "there is no run runs/none-001"),
        ("show .", ". is no run: it has no config.json; expected a folder that `danlu train` made"),
    ],
)
def test_bad_words_are_a_line_and_nothing_is_written(words, message, capsys, tmp_path):
    assert run(*words.split()) == 2
    out, err = capsys.readouterr()
    assert message.replace("'", "") in err.replace("'", "") and 1 <= len(err.splitlines()) <= 2 and out == ""
    assert err.startswith("danlu") and "Traceback" not in err and not list(tmp_path.iterdir())


def test_bad_data_is_a_line_and_nothing_is_written(capsys, tmp_path):
    write_table()
    Path("empty.csv").write_text("")
    Path("ragged.csv").write_text("a,b\n1,2\n3\n")
    Path("same.csv").write_text("a,b\n" + "1,x\n2,x\n" * 30)
    Path("few.csv").write_text("a,b\n1,x\n2,y\n")
    Path("x-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + b"\0\0\0\x09" * 3)
    Path("broken.gz").write_bytes(b"no gzip")
    before = sorted(path.name for path in tmp_path.iterdir())
    cases = {
        "tabel.csv --target kind": "did you mean 'table.csv'",
        "table.csv": "needs a column to learn: --target COLUMN",
        "table.csv --target knid": "did you mean 'kind'",
        "empty.csv --target a": "empty.csv is empty",
        "ragged.csv --target a": "ragged.csv, line 3: 1 fields, expected 2",
        "same.csv --target b": "the target 'b' has one value only",
        "few.csv --target b": "2 rows are too few",
        "x-images-idx3-ubyte": "images without labels",
        "nothing.gz": "nothing.gz does not exist",
    }
    for words, message in cases.items():
        assert run("train", *words.split()) == 2, words
        out, err = capsys.readouterr()
        assert message in err and len(err.splitlines()) <= 2 and "Traceback" not in err and out == "", (words, err)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_folder_that_cannot_be_written(capsys):
    Path("file").write_text("")
    assert run("train", "digits", "--out", "file/runs") == 2
    assert "cannot make a run in file/runs: Not a directory; choose another folder with --out DIR" in capsys.readouterr().err
    assert train("--target", "kind") == 0
    assert run("predict", "runs/table-001", "table.csv", "--out", "none/x.csv") == 2
    assert "cannot write none/x.csv: No such file or directory" in capsys.readouterr().err


def test_predict_with_missing_columns(capsys):
    assert train("--target", "kind") == 0
    pd.read_csv("table.csv").drop(columns="colour").to_csv("less.csv", index=False)
    assert run("predict", "runs/table-001", "less.csv") == 2
    err = capsys.readouterr().err
    assert "lacks the column 'colour'" in err and not Path("predictions.csv").exists()


def test_near_names_of_runs(capsys):
    assert train("--target", "kind") == 0
    assert run("show", "runs/tabel-001") == 2
    assert "there is no run runs/tabel-001; did you mean runs/table-001?" in capsys.readouterr().err
    assert run("show", "table-001") == 2
    assert "there is no run table-001; did you mean runs/table-001?" in capsys.readouterr().err


def test_debug_shows_the_traceback():
    with pytest.raises(DataError, match="no run"):
        run("show", "none", "--debug")
    with pytest.raises(DataError, match="no run"):
        run("--debug", "show", "none")
