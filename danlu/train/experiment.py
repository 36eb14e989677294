"""L8. What the commands do: train a network on a source of data, go on with an interrupted run, predict with a finished one."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from danlu import nn, random
from danlu.data.dataset import TensorDataset
from danlu.data.loader import DataLoader
from danlu.data.prepare import Preparation, Prepared
from danlu.data.source import Source, apply, open_source, prepare
from danlu.errors import DataError, NumericError
from danlu.files import write_atomic
from danlu.optim import SGD, Adam, AdamW, Optimizer
from danlu.programs import statistics
from danlu.runtime.pool import get_num_threads
from danlu.train.baseline import baselines, softmax
from danlu.train.callbacks import Checkpoint, EarlyStopping, Interrupt, MetricsLog
from danlu.train.evaluation import predict as outputs_of
from danlu.train.fit import fit, pair
from danlu.train.loop import INTERRUPTED, Callback, History, Loop
from danlu.train.metrics import Metric, accuracy, confusion_matrix, labels_of, mae, r2, rmse
from danlu.train.plot import draw_png
from danlu.train.report import markdown
from danlu.train.run import Config, Options, Run

LABEL_SMOOTHING = 0.1  # digits, 10 seeds: 98.2 % against 97.4 % without, as the validation loss then tells the best epoch
PATIENCE = 10  # epochs without a better validation loss
LEARNING_RATES = {"adam": 3e-3, "adamw": 3e-3, "sgd": 0.05}
DROPOUT = {"classification": 0.2, "regression": 0.1}
EPOCHS = 40
SMALL = 5_000  # training rows below which a batch has 32 rows, from there 64
_LAYERS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}


@dataclass(frozen=True)
class Request:
    """What the user wrote; None where nothing was written."""

    source: str
    target: str | None = None
    task: str = "auto"
    hidden: tuple[int, ...] = (128, 64)
    activation: str = "relu"
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    optimizer: str = "adamw"
    dropout: float | None = None
    weight_decay: float | None = None
    scale: str = "standard"
    seed: int = 0


@dataclass
class Outcome:
    """A run and what became of it: status "finished" or "interrupted"; `result` when finished."""

    run: Run
    status: str
    result: dict[str, Any] | None
    history: History
    notes: list[str]


@dataclass(frozen=True)
class Output:
    """Where a training speaks: lines of text, the callbacks that show progress, and `alert` for the moment of a Ctrl-C."""

    say: Callable[[str], None]
    callbacks: Sequence[Callback] = ()
    alert: Callable[[str], None] | None = None


class Clock:
    """Seconds spent on data, compiling and training, together with those of an interrupted run before."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._before = {"compile": 0.0, "data": 0.0, "train": 0.0, "total": 0.0}
        self._compiled = statistics()["compile_seconds"]
        self._train_began: float | None = None
        self._train = self.data = 0.0

    def add_before(self, seconds: Mapping[str, float]) -> None:
        """Count the seconds of the run before it was interrupted."""
        self._before = {name: float(seconds[name]) for name in self._before}

    def start_training(self) -> None:
        """The data is ready; the training begins."""
        self._train_began = time.perf_counter()

    def stop_training(self) -> None:
        """The last step is done; what follows counts to the total only."""
        self._train = self._training()
        self._train_began = None

    def _training(self) -> float:
        """Seconds in training without those of compiling."""
        if self._train_began is None:
            return self._train
        return max(time.perf_counter() - self._train_began - self._compiling(), 0.0)

    def _compiling(self) -> float:
        return statistics()["compile_seconds"] - self._compiled

    def seconds(self) -> dict[str, float]:
        """The split so far; total runs from the start of the command on."""
        total = time.perf_counter() - self._began
        spent = {"compile": self._compiling(), "data": self.data, "train": self._training(), "total": total}
        return {name: round(self._before[name] + value, 4) for name, value in spent.items()}


# ---- the parts of an experiment


def build_model(options: Options, inputs: int, outputs: int) -> nn.Sequential:
    """The network of a run: Linear, activation and Dropout for every hidden size, then Linear.

    Shapes: [batch, inputs] -> [batch, outputs].
    """
    layers: list[nn.Module] = []
    for size in options.hidden:
        layers += [nn.Linear(inputs, size), _LAYERS[options.activation]()]
        layers += [nn.Dropout(options.dropout)] if options.dropout > 0 else []
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def build_optimizer(options: Options, model: nn.Module) -> Optimizer:
    """The optimizer of a run; SGD with a momentum of 0.9."""
    if options.optimizer == "sgd":
        return SGD(model.parameters(), lr=options.lr, momentum=0.9, weight_decay=options.weight_decay)
    kind = Adam if options.optimizer == "adam" else AdamW
    return kind(model.parameters(), lr=options.lr, weight_decay=options.weight_decay)


def fill_in(request: Request, prepared: Prepared) -> Options:
    """The request with the defaults of its task and size."""
    rows = len(prepared.train[0])
    decay = 0.01 if request.optimizer == "adamw" else 0.0
    return Options(
        source=request.source,
        target=request.target,
        task=prepared.task,
        hidden=request.hidden,
        activation=request.activation,
        epochs=request.epochs or EPOCHS,
        batch_size=request.batch_size or (32 if rows < SMALL else 64),
        lr=request.lr or LEARNING_RATES[request.optimizer],
        optimizer=request.optimizer,
        dropout=DROPOUT[prepared.task] if request.dropout is None else request.dropout,
        weight_decay=decay if request.weight_decay is None else request.weight_decay,
        scale=request.scale,
        seed=request.seed,
    )


def metrics_of(preparation: Preparation) -> dict[str, Metric]:
    """The metric of the task: accuracy, or the RMSE in the unit of the target."""
    if preparation.classes:
        return {"accuracy": accuracy}
    return {"rmse": lambda predictions, targets: rmse(*_in_unit(preparation, predictions, targets))}


def _in_unit(preparation: Preparation, *values: np.ndarray) -> list[np.ndarray]:
    return [preparation.inverse_target(np.asarray(value).reshape(-1)) for value in values]


# ---- train and resume


def train(request: Request, out: Path, output: Output, began: float) -> Outcome:
    """Open, prepare, train, judge and report; the run stands in a new folder of `out`.

    Raises:
        DataError: data or options that cannot be used; nothing has been written then.
        NumericError: the loss became NaN; the run's folder says so.
    """
    clock = Clock(began)
    source, prepared = _read(request, clock)
    options = fill_in(request, prepared)
    outputs = len(prepared.classes) if prepared.classes else 1
    config = Config(options, source.describe(), prepared.train[0].shape[1], outputs)
    run = Run.create(out, config, prepared.preparation)
    for note in prepared.notes:
        output.say(note)
    return _Experiment(run, prepared, clock, output).train(resume=False)


def resume(run: Run, output: Output, began: float) -> Outcome:
    """Go on with an interrupted run; one that has finished is returned as it is.

    Raises:
        DataError: the data is not there or has changed since, or the run is damaged.
    """
    state = run.read_state()
    if state["status"] == "finished":
        return Outcome(run, "finished", state["result"], History(run.read_history(), state["reason"]), [])
    clock = Clock(began)
    options = run.config.options
    place = run.config.data.get("path") or options.source  # absolute: the command may be given from another folder
    source, prepared = _read(replace(options, source=place), clock)
    if source.describe()["files"] != run.config.data.get("files") or prepared.preparation.to_json() != run.preparation.to_json():
        raise DataError(
            "{source} has changed since {folder} began; train again on the new data", source=options.source, folder=run.folder
        )
    return _Experiment(run, prepared, clock, output).train(resume=True)


def _read(options: Request | Options, clock: Clock) -> tuple[Source, Prepared]:
    began = time.perf_counter()
    source = open_source(options.source, options.target)
    prepared = prepare(source, options.task, options.scale, options.seed)
    clock.data = time.perf_counter() - began
    return source, prepared


class _Experiment:
    """One training with its run's folder: what `train` and `resume` share."""

    def __init__(self, run: Run, prepared: Prepared, clock: Clock, output: Output) -> None:
        self.run, self.prepared, self.clock = run, prepared, clock
        self.options = run.config.options
        self.best = EarlyStopping(PATIENCE)
        self.output = output
        self.status = "training"

    def train(self, resume: bool) -> Outcome:
        """Train to the end or to Ctrl-C; then judge the best weights and write the report."""
        random.manual_seed(self.options.seed)
        self.model = build_model(self.options, self.run.config.inputs, self.run.config.outputs)
        optimizer = build_optimizer(self.options, self.model)
        self.clock.start_training()
        history = self._fit(optimizer, resume)
        self.clock.stop_training()
        if history.stop == INTERRUPTED:
            return Outcome(self.run, "interrupted", None, history, self.prepared.notes)
        result = self._judge(history)
        self._finish(history, result)
        return Outcome(self.run, "finished", result, history, self.prepared.notes)

    def _fit(self, optimizer: Optimizer, resume: bool) -> History:
        checkpoint = Checkpoint(self._save, self._restore if resume else None)
        callbacks = [
            self.best,
            checkpoint,
            MetricsLog(self.run.folder / "metrics.jsonl"),
            Interrupt(self.output.alert),
            *self.output.callbacks,
        ]
        try:
            return fit(
                self.model,
                self._loader(),
                self.prepared.validation,
                loss=nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING) if self.prepared.classes else nn.MSELoss(),
                optimizer=optimizer,
                epochs=self.options.epochs,
                metrics=metrics_of(self.prepared.preparation),
                callbacks=callbacks,
                schedule="cosine",
            )
        except NumericError as error:
            self.run.save_state(
                "failed", str(error), {"epoch": self.loop.epoch, "step": self.loop.step, "seconds": self.clock.seconds()}
            )
            raise

    def _loader(self) -> DataLoader:
        """Shuffled batches; a short last one is left out, so that one program serves all steps."""
        x, y = pair(self.prepared.train, "train_data")
        size = min(self.options.batch_size, len(x))
        return DataLoader(TensorDataset(x, y), batch_size=size, shuffle=True, drop_last=True, seed=self.options.seed)

    # -- checkpoints

    def _save(self, loop: Loop) -> None:
        self.loop = loop
        status = "interrupted" if loop.stop == INTERRUPTED else "training"
        weights = self.best.best_weights or loop.model.state_dict()
        self.run.save_checkpoint(loop, weights, status, self.clock.seconds())

    def _restore(self, loop: Loop) -> None:
        self.loop = loop
        state = self.run.load_checkpoint(loop.model)
        self.clock.add_before(state["seconds"])
        loop.load_state_dict(state)

    # -- the end

    def _judge(self, history: History) -> dict[str, Any]:
        """The figures of the best weights on the test part, beside the baselines."""
        ((name, metric),) = metrics_of(self.prepared.preparation).items()
        test_x, test_y = pair(self.prepared.test, "the test part")
        outputs = outputs_of(self.model, test_x)
        best = history.rows[self.best.best_epoch - 1]
        classes = self.prepared.classes
        compared = baselines(self.prepared.task, self.prepared.train, self.prepared.test, len(classes or []), metric)
        return {
            "task": self.prepared.task,
            "rows": self.run.config.data["rows"],
            "parts": [len(part[0]) for part in (self.prepared.train, self.prepared.validation, self.prepared.test)],
            "classes": classes,
            "metric": name,
            "validation": best[f"validation_{name}"],
            "test": metric(outputs, test_y),
            "baselines": [asdict(baseline) for baseline in compared],
            "epochs": len(history),
            "best_epoch": self.best.best_epoch,
            "seed": self.options.seed,
            "threads": get_num_threads(),
            "parameters": sum(int(np.prod(value.shape)) for value in self.model.state_dict().values()),
            "notes": self.prepared.notes,
        } | self._details(outputs, test_y)

    def _details(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
        """Beside the metric: the confusion matrix of classes, MAE and R² of values."""
        if self.prepared.classes:
            return {"confusion": confusion_matrix(outputs, targets, len(self.prepared.classes)).tolist()}
        predicted, true = _in_unit(self.prepared.preparation, outputs, targets)
        return {"mae": mae(predicted, true), "r2": r2(predicted, true)}

    def _finish(self, history: History, result: dict[str, Any]) -> None:
        """Write the curves, then the report, then the state that says "finished"."""
        draw_png(history.rows, self.best.best_epoch, self.run.folder / "curves.png")
        result["seconds"] = self.clock.seconds()
        self.run.write_text("report.md", markdown(self.run, result, history.rows))
        fields = {"epoch": len(history), "step": history.rows[-1]["step"], "result": result}
        self.run.save_state("finished", history.stop, fields)


# ---- predict


def predict(run: Run, file: str) -> tuple[list[str], list[list[Any]]]:
    """Header and rows of the predictions for a file: class and probabilities, or the value, one row for each of the file's.

    Raises:
        DataError: the file does not fit the run's preparation, or the run is damaged.
    """
    model = build_model(run.config.options, run.config.inputs, run.config.outputs)
    run.load_weights(model)
    outputs = outputs_of(model, apply(run.preparation, file))
    classes = run.preparation.classes
    if not classes:
        return ["prediction"], [[float(value)] for value in run.preparation.inverse_target(outputs[:, 0])]
    names = run.preparation.inverse_target(labels_of(outputs))
    probabilities = softmax(outputs.astype(np.float64))
    header = ["prediction", *(f"probability {name}" for name in classes)]
    return header, [[name, *(round(float(p), 6) for p in row)] for name, row in zip(names, probabilities)]


def csv_bytes(header: list[str], rows: list[list[Any]]) -> bytes:
    """A table as CSV in UTF-8."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def write_predictions(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    """Write predictions as CSV, whole or not at all."""
    write_atomic(path, csv_bytes(header, rows))
