"""L8. The folder of a run: what was asked for, how the data is prepared, the weights, the state to go on from, the figures.

| file | what | written |
|---|---|---|
| `config.json` | version, data source, options, size of the network | once |
| `prepare.json` | the preparation of the data | once |
| `model.safetensors` | the weights of the best epoch so far: what `danlu predict` uses | at checkpoints |
| `optimizer.safetensors` | all that `--resume` needs: last and best weights, optimizer, position, random state | at checkpoints |
| `state.json` | status, position and random state for people to read; the result when finished | at checkpoints |
| `metrics.jsonl` | one line an epoch | after every epoch |
| `report.md`, `curves.png` | the report; the curves where matplotlib is installed | at the end |

`optimizer.safetensors` is one file so that a crash between two files can never pair one epoch's weights with another's position.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from danlu.data.prepare import Preparation
from danlu.data.record import Record
from danlu.data.table import nearest
from danlu.errors import DataError
from danlu.files import load, parse_json, read_bytes, read_json, save, write_atomic, write_json
from danlu.messages import Phrase, message
from danlu.nn import Module
from danlu.train.loop import Loop

FORMAT, VERSION = "danlu.run", 1
TASKS = ("classification", "regression")
ACTIVATIONS = ("relu", "sigmoid", "tanh")
OPTIMIZERS = ("adam", "adamw", "sgd")
SCALES = ("standard", "minmax", "none")
STATUSES = ("training", "interrupted", "failed", "finished")


@dataclass(frozen=True)
class Options:
    """What the user asked of a training, with the defaults filled in."""

    source: str
    target: str | None
    task: str
    hidden: tuple[int, ...]
    activation: str
    epochs: int
    batch_size: int
    lr: float
    optimizer: str
    dropout: float
    weight_decay: float
    scale: str
    seed: int

    @classmethod
    def from_record(cls, record: Record) -> Options:
        """The options in a run's config.json, checked."""
        hidden = record.value.get("hidden")
        return cls(
            source=record.text("source"),
            target=None if record.value.get("target") is None else record.text("target"),
            task=record.choice("task", TASKS),
            hidden=() if hidden == [] else record.sizes("hidden"),
            activation=record.choice("activation", ACTIVATIONS),
            epochs=_whole(record, "epochs", 1),
            batch_size=_whole(record, "batch_size", 1),
            lr=record.positive("lr"),
            optimizer=record.choice("optimizer", OPTIMIZERS),
            dropout=record.number("dropout"),
            weight_decay=record.number("weight_decay"),
            scale=record.choice("scale", SCALES),
            seed=_whole(record, "seed", 0),
        )


@dataclass(frozen=True)
class Config:
    """config.json: the options, the data's description, and the network's number of inputs and outputs."""

    options: Options
    data: dict[str, Any]
    inputs: int
    outputs: int

    def to_json(self) -> dict[str, Any]:
        """A plain object; `from_json` reads it."""
        model = {"inputs": self.inputs, "outputs": self.outputs}
        return {"format": FORMAT, "version": VERSION, "options": asdict(self.options), "data": self.data, "model": model}

    @classmethod
    def from_json(cls, value: dict[str, Any], where: str) -> Config:
        """The config of a run, checked field by field; DataError names the field."""
        record = checked(value, where)
        data, model = record.record("data"), record.record("model")
        data.text("name")
        if data.value.get("path") is not None:
            data.text("path")
        _whole(data, "rows", 1)
        options = Options.from_record(record.record("options"))
        return cls(options, data.value, _whole(model, "inputs", 1), _whole(model, "outputs", 1))


def checked(value: dict[str, Any], where: str) -> Record:
    """A run's JSON document of this version; DataError for another kind or version."""
    record = Record(value, where)
    if value.get("format") != FORMAT:
        raise record.wrong("format", repr(FORMAT))
    if value.get("version") != VERSION:
        raise DataError(
            "{where} is of version {version!r}, this danlu reads version {readable}; train again",
            where=where,
            version=value.get("version"),
            readable=VERSION,
        )
    return record


def _whole(record: Record, field: str, least: int) -> int:
    value = record.value.get(field)
    if type(value) is not int or value < least:
        raise record.wrong(field, Phrase("a whole number from {least} on", least=least))
    return value


class Run:
    """A run's folder; every file in it is written whole or not at all and checked when it is read."""

    def __init__(self, folder: Path, config: Config, preparation: Preparation) -> None:
        self.folder, self.config, self.preparation = folder, config, preparation

    # -- making and opening

    @classmethod
    def create(cls, out: str | os.PathLike, config: Config, preparation: Preparation) -> Run:
        """A new folder OUT/NAME-001, or the next free number; two processes at once get two folders.

        Raises:
            DataError: OUT cannot be made or written.
        """
        run = cls(_new_folder(Path(out), config.data["name"]), config, preparation)
        write_json(run.folder / "config.json", config.to_json())
        write_json(run.folder / "prepare.json", preparation.to_json())
        return run

    @classmethod
    def open(cls, path: str | os.PathLike) -> Run:
        """The run in a folder.

        Raises:
            DataError: no such folder (with the nearest), not a run, of another version, or damaged: which file, what is wrong.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise DataError("there is no run {path}{hint}", path=path, hint=_nearest_run(folder))
        if not (folder / "config.json").is_file():
            raise DataError(
                "{path} is no run: it has no config.json; expected a folder that `danlu train` made, for example runs/digits-001",
                path=path,
            )
        config = Config.from_json(read_json(folder / "config.json"), str(folder / "config.json"))
        prepare = folder / "prepare.json"
        preparation = Preparation.from_json(read_json(prepare), str(prepare))
        run = cls(folder, config, preparation)
        run._check_sizes()
        return run

    def _check_sizes(self) -> None:
        features, classes = len(self.preparation.feature_names), self.preparation.classes
        outputs = len(classes) if classes else 1
        if (features, outputs) != (self.config.inputs, self.config.outputs):
            raise DataError(
                "{path} gives {features} features and {outputs} outputs, but config.json says {own_features} and {own_outputs}; "
                "the two files are of different runs",
                path=self.folder / "prepare.json",
                features=features,
                outputs=outputs,
                own_features=self.config.inputs,
                own_outputs=self.config.outputs,
            )

    # -- weights

    def save_weights(self, weights: Mapping[str, Any]) -> None:
        """Write model.safetensors."""
        save(dict(weights), self.folder / "model.safetensors")

    def load_weights(self, model: Module) -> None:
        """Give `model` the weights of the best epoch; DataError where they do not fit it."""
        path = self.folder / "model.safetensors"
        weights = load(path)
        check_weights(weights, model, str(path))
        model.load_state_dict(weights)

    # -- state

    def save_checkpoint(self, loop: Loop, weights: Mapping[str, Any], status: str, seconds: Mapping[str, float]) -> None:
        """Write the state to go on from, the best weights, and state.json for people."""
        state = loop.state_dict() | {"seconds": dict(seconds)}
        self.save_weights(weights)
        save(state, self.folder / "optimizer.safetensors")
        shown = {name: state[name] for name in ("epoch", "step", "position", "loader", "random")}
        self.save_state(status, loop.stop, shown | {"seconds": dict(seconds)})

    def save_state(self, status: str, reason: str, fields: Mapping[str, Any]) -> None:
        """Write state.json."""
        write_json(
            self.folder / "state.json", {"format": FORMAT, "version": VERSION, "status": status, "reason": reason, **fields}
        )

    def read_state(self) -> dict[str, Any]:
        """state.json, checked."""
        path = self.folder / "state.json"
        record = checked(read_json(path), str(path))
        record.choice("status", STATUSES)
        record.text("reason")
        _whole(record, "epoch", 0)
        _whole(record, "step", 0)
        if record.value["status"] == "finished":
            _check_result(record.record("result"))
        return record.value

    def load_checkpoint(self, model: Module) -> dict[str, Any]:
        """The state in optimizer.safetensors; DataError where it is none or is of another network."""
        path = self.folder / "optimizer.safetensors"
        state = load(path)
        expected = {"epoch", "step", "position", "loader", "random", "model", "optimizer", "history", "callbacks", "seconds"}
        if not isinstance(state, dict) or not expected <= state.keys():
            raise DataError("{path} holds no state of a training; the file is damaged or of another kind", path=path)
        check_weights(state["model"], model, str(path))
        return state

    def read_history(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl, checked."""
        path = self.folder / "metrics.jsonl"
        lines = read_bytes(path).splitlines()
        places = [message("{path} (line {number})", path=path, number=number) for number in range(1, len(lines) + 1)]
        values = [parse_json(line, place) for line, place in zip(lines, places)]
        rows = [Record(value, message("{path}: line {number}", path=path, number=k)) for k, value in enumerate(values, 1)]
        for row in rows:
            for name in row.value:
                row.number(name)
            row.number("epoch")
            row.number("loss")
        return [row.value for row in rows]

    def write_text(self, name: str, text: str) -> None:
        """Write a text file of the run."""
        write_atomic(self.folder / name, text.encode())


def _check_result(result: Record) -> None:
    result.choice("task", TASKS)
    result.text("metric")
    for name in ("best_epoch", "epochs", "rows", "parameters"):
        _whole(result, name, 0)
    for name in ("validation", "test"):
        result.number(name)
    for baseline in result.records("baselines"):
        for name in ("key", "name", "note"):
            baseline.text(name)
    seconds = result.record("seconds")
    for name in ("compile", "data", "train", "total"):
        seconds.number(name)


def check_weights(weights: Any, model: Module, where: str) -> None:
    """Names and shapes of saved weights must be the model's."""
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(getattr(value, "shape", ())) for name, value in weights.items()} if isinstance(weights, dict) else {}
    for name in expected.keys() | found.keys():
        if expected.get(name) != found.get(name):
            raise DataError(
                "{where}: {name!r} has the shape {shape}, the run's network expects {expected}; the file is of another run",
                where=where,
                name=name,
                shape=found.get(name, Phrase("of nothing: it is missing")),
                expected=expected.get(name, Phrase("no such weight")),
            )


def _new_folder(out: Path, name: str) -> Path:
    """Make OUT/NAME-NNN with the first number above all that are taken; mkdir itself decides who gets it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        number = max((_number(entry.name, name) for entry in os.scandir(out)), default=0) + 1
        while True:
            folder = out / f"{name}-{number:03d}"
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
                continue
            return folder
    except OSError as error:
        raise DataError(
            "cannot make a run in {out}: {problem}; choose another folder with --out DIR",
            out=out,
            problem=error.strerror or error,
        ) from error


def _number(entry: str, name: str) -> int:
    """The number in NAME-NNN, 0 for other names."""
    head, _, tail = entry.rpartition("-")
    return int(tail) if head == name and tail.isascii() and tail.isdigit() and len(tail) < 10 else 0


def _nearest_run(folder: Path) -> Phrase:
    """A hint at a run of a like name, in the folder named or in ./runs."""
    if (Path("runs") / folder).is_dir():
        return Phrase("; did you mean {run}?", run=Path("runs") / folder)
    if not folder.parent.is_dir():
        return Phrase(": there is no folder {parent}", parent=folder.parent)
    near = nearest(folder.name, [entry.name for entry in os.scandir(folder.parent) if entry.is_dir()])
    return Phrase("; did you mean {run}?", run=folder.parent / near) if near else Phrase("; `danlu train` makes one")
