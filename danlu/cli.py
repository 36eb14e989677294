"""L9. The command line: `danlu train | predict | show | info | run | check`. A user's mistake is a line on stderr and exit code 2."""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import danlu
from danlu.compile.target import describe
from danlu.config import config
from danlu.errors import DanluError, DataError
from danlu.interop import scan, script
from danlu.messages import Phrase, message
from danlu.runtime.pool import get_num_threads, set_num_threads
from danlu.train.display import progress
from danlu.train.experiment import (
    EPOCHS,
    LEARNING_RATES,
    Outcome,
    Output,
    Request,
    csv_bytes,
    predict,
    resume,
    train,
    write_predictions,
)
from danlu.train.report import full, summary
from danlu.train.run import ACTIVATIONS, OPTIMIZERS, SCALES, Run

EXIT_USER, EXIT_INTERRUPTED = 2, 130
OPTIONAL = {"data": ("pandas", "pyarrow"), "plot": ("matplotlib",), "vision": ("PIL",), "ml": ("sklearn", "numba")}
PREVIEW = 5  # rows that `danlu predict` shows
_RESUMABLE = ("resume", "threads", "quiet", "json", "debug", "command", "run_command")  # what may stand beside --resume


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 2 for a mistake of the user's, 130 after Ctrl-C.

    >>> main(["--version"])
    danlu 0.1.0
    0
    """
    began = time.perf_counter()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if arguments[:1] == ["run"]:  # what follows is the script's, whatever it looks like
            return script.main(arguments[1:])
        parsed = _parser().parse_args(arguments)
        code = parsed.run_command(parsed, began)
        sys.stdout.flush()  # here, where a closed pipe can still be answered
        return code
    except _Exit as done:
        return done.code
    except DanluError as error:
        if "--debug" in arguments:
            raise
        print(f"danlu: {error}", file=sys.stderr)
        return EXIT_USER
    except KeyboardInterrupt:
        if "--debug" in arguments:
            raise
        print("danlu: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # `danlu show RUN | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


# ---- arguments


class _Exit(Exception):
    """The parser is done: help or version was printed, or a mistake."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class _Parser(argparse.ArgumentParser):
    """argparse with one line for a mistake, and no exit of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}. `{self.prog} --help` lists the options", file=sys.stderr)
        raise _Exit(EXIT_USER)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise _Exit(status)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self._refuse(unknown[0], parsed)
        return parsed

    def _refuse(self, word: str, parsed: Any) -> NoReturn:
        """An argument that no option takes, with the nearest option."""
        parser: _Parser = getattr(parsed, "parser", self)
        near = difflib.get_close_matches(word.split("=")[0], parser._option_string_actions, n=1)
        parser.error(f"unknown argument {word!r}" + (f"; did you mean {near[0]}?" if near else ""))


def _parser() -> _Parser:
    parser = _Parser(prog="danlu", description="Train a network on a table or on images, and use it.")
    parser.add_argument("--version", action="version", version=f"danlu {danlu.__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(
        title="commands", metavar="train | predict | show | info | run | check", dest="command", required=True
    )
    for add in (_add_train, _add_predict, _add_show, _add_info, _add_run, _add_check):
        added = add(commands)
        added.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error")
        added.set_defaults(parser=added)
    return parser


def _add_train(commands: Any) -> _Parser:
    rates = ", ".join(f"{rate:g} for {name}" for name, rate in LEARNING_RATES.items())
    parser = commands.add_parser(
        "train",
        help="train a network and report what it learned",
        description="Train a network on the carried digits, a CSV (--target names the column to learn), or images in IDX files.",
        epilog="The learning rate warms up for 5 % of the steps and then falls like a cosine; classes are learned with a label "
        "smoothing of 0.1; training stops after 10 epochs without a better validation loss, and the best epoch is kept.",
    )
    parser.add_argument("source", nargs="?", help="digits, a .csv file, or a folder or file of IDX images (.gz or not)")
    parser.add_argument("--target", metavar="COLUMN", help="the column of a CSV to learn")
    parser.add_argument(
        "--task", choices=("auto", "classification", "regression"), help="what to learn (default: auto, from the target)"
    )
    parser.add_argument("--hidden", type=_sizes, metavar="128,64", help="sizes of the hidden layers, or none (default: 128,64)")
    parser.add_argument("--activation", choices=ACTIVATIONS, help="between the layers (default: relu)")
    parser.add_argument("--epochs", type=_count, metavar="N", help=f"passes over the training rows (default: {EPOCHS})")
    parser.add_argument(
        "--batch-size", type=_count, metavar="N", help="rows of one step (default: 32 below 5,000 training rows, else 64)"
    )
    parser.add_argument("--lr", type=_positive, metavar="X", help=f"learning rate (default: {rates})")
    parser.add_argument("--optimizer", choices=OPTIMIZERS, help="(default: adamw; sgd has a momentum of 0.9)")
    parser.add_argument(
        "--dropout",
        type=_share,
        metavar="P",
        help="share of values dropped in training (default: 0.2 for classes, 0.1 for values)",
    )
    parser.add_argument("--weight-decay", type=_not_negative, metavar="X", help="(default: 0.01 for adamw, else 0)")
    parser.add_argument("--scale", choices=SCALES, help="how numbers are scaled (default: standard)")
    parser.add_argument("--seed", type=_seed, metavar="N", help="seed of split, weights, order and dropout (default: 0)")
    parser.add_argument(
        "--threads", type=_count, metavar="N", help="threads; the result is the same for any number (default: all cores)"
    )
    parser.add_argument("--out", metavar="DIR", help="folder that gets the run's folder (default: runs)")
    parser.add_argument("--resume", metavar="RUN", help="go on with an interrupted run; it keeps its own options")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors (and the line of --json)")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.set_defaults(run_command=_train)
    return parser


def _add_predict(commands: Any) -> _Parser:
    parser = commands.add_parser(
        "predict",
        help="apply a run's network to a file",
        description="Write the class and probabilities, or the value, for each row.",
    )
    parser.add_argument("run", metavar="RUN", help="the run's folder, for example runs/digits-001")
    parser.add_argument(
        "file", metavar="FILE", help="a file of the same kind that the run was trained on; the target may be missing"
    )
    parser.add_argument(
        "--out", metavar="FILE", default="predictions.csv", help="where to write; - for stdout (default: predictions.csv)"
    )
    parser.set_defaults(run_command=_predict)
    return parser


def _add_show(commands: Any) -> _Parser:
    parser = commands.add_parser(
        "show", help="the report of a run", description="Data, model, learning curves, metrics and confusion matrix of a run."
    )
    parser.add_argument("run", metavar="RUN", help="the run's folder, for example runs/digits-001")
    parser.set_defaults(run_command=_show)
    return parser


def _add_info(commands: Any) -> _Parser:
    parser = commands.add_parser(
        "info", help="this installation and this machine", description="Version, CPU, threads, cache and optional parts."
    )
    parser.set_defaults(run_command=_info)
    return parser


def _add_run(commands: Any) -> _Parser:
    """Stands in the list of commands; `main` hands its words over before they are parsed."""
    return commands.add_parser("run", help="run a PyTorch script, unchanged, on danlu")


def _add_check(commands: Any) -> _Parser:
    parser = commands.add_parser(
        "check",
        help="which names of PyTorch a script uses that danlu lacks",
        description="Reads a script without running it, and lists what of PyTorch it uses that is not here. Exit code 1 if there is any.",
    )
    parser.add_argument("scripts", metavar="SCRIPT", nargs="+", help="a Python file")
    parser.set_defaults(run_command=lambda arguments, began: scan.main(arguments.scripts))
    return parser


def _sizes(text: str) -> tuple[int, ...]:
    """`128,64` as sizes, `none` as no hidden layer."""
    return () if text == "none" else tuple(_count(part) for part in text.split(","))


def _number(text: str, kind: Callable[[str], Any], fits: Callable[[Any], bool], expected: Phrase) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not fits(value):
        raise argparse.ArgumentTypeError(message("{text!r} is not {expected}", text=text, expected=expected))
    return value


def _count(text: str) -> int:
    return _number(text.strip(), int, lambda value: 0 < value < 2**31, Phrase("a whole number from 1 on"))


def _seed(text: str) -> int:
    return _number(text, int, lambda value: 0 <= value < 2**63, Phrase("a whole number from 0 on"))


def _positive(text: str) -> float:
    return _number(text, float, lambda value: 0 < value < math.inf, Phrase("a number above 0"))


def _not_negative(text: str) -> float:
    return _number(text, float, lambda value: 0 <= value < math.inf, Phrase("a number from 0 on"))


def _share(text: str) -> float:
    return _number(text, float, lambda value: 0 <= value < 1, Phrase("a share from 0 to below 1"))


# ---- commands


def _train(arguments: Any, began: float) -> int:
    if arguments.threads:
        set_num_threads(arguments.threads)
    output = Output(_silent) if arguments.quiet else Output(_say, [progress()], _alert)
    if arguments.resume:
        _refuse_options(arguments)
        outcome = resume(Run.open(arguments.resume), output, began)
    elif arguments.source is None:
        raise DataError("train what? Write danlu train digits, danlu train FILE.csv --target COLUMN, or a folder of IDX files")
    else:
        outcome = train(_request(arguments), Path(arguments.out or "runs"), output, began)
    return _report(outcome, arguments, output.say)


def _request(arguments: Any) -> Request:
    """The options that were given; the others keep Request's defaults."""
    names = Request.__dataclass_fields__
    return Request(**{name: value for name, value in vars(arguments).items() if name in names and value is not None})


def _refuse_options(arguments: Any) -> None:
    """A resumed run keeps its own options: others beside --resume would be ignored."""
    given = [name for name, value in vars(arguments).items() if name not in (*_RESUMABLE, "parser") and value is not None]
    if given:
        word = Phrase("the source") if given[0] == "source" else f"--{given[0].replace('_', '-')}"
        raise DataError("--resume goes on with the run's own data and options; leave out {word}", word=word)


def _report(outcome: Outcome, arguments: Any, say: Callable[[str], None]) -> int:
    """What training ends with: the summary and the JSON line, or how to go on."""
    folder = outcome.run.folder
    if outcome.result is None:
        print(f"danlu: interrupted; everything is saved. Go on with: danlu train --resume {folder}", file=sys.stderr)
        return EXIT_INTERRUPTED
    say(summary(outcome.run, outcome.result))
    if arguments.json:
        print(json.dumps(_json(outcome.result, folder), ensure_ascii=False))
    return 0


def _json(result: dict[str, Any], folder: Path) -> dict[str, Any]:
    names = ("task", "rows", "classes", "metric", "validation", "test", "baselines", "seconds", "epochs", "seed", "threads")
    chosen = {name: result[name] for name in names}
    return chosen | {"baselines": {baseline["key"]: baseline["score"] for baseline in result["baselines"]}, "run": str(folder)}


def _predict(arguments: Any, began: float) -> int:
    header, rows = predict(Run.open(arguments.run), arguments.file)
    if arguments.out == "-":
        sys.stdout.write(csv_bytes(header, rows).decode())
        return 0
    write_predictions(Path(arguments.out), header, rows)
    for row in rows[:PREVIEW]:
        print("  ".join(_preview(header, row)))
    print(f"{len(rows):,} predictions are in {arguments.out}")
    return 0


def _preview(header: list[str], row: list[Any]) -> list[str]:
    """The prediction of a row and, for classes, the largest probability."""
    value = f"{row[0]:g}" if isinstance(row[0], float) else str(row[0])
    return [value, f"({max(row[1:]):.1%})"] if len(header) > 1 else [value]


def _show(arguments: Any, began: float) -> int:
    run = Run.open(arguments.run)
    print(full(run, run.read_state(), run.read_history()))
    return 0


def _info(arguments: Any, began: float) -> int:
    size, files = _folder_size(config.cache_dir)
    parts = [
        f"[{extra}] {name} {'yes' if importlib.util.find_spec(name) else 'no'}"
        for extra, names in OPTIONAL.items()
        for name in names
    ]
    lines = {
        "danlu": danlu.__version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "cpu": describe(),
        "threads": str(get_num_threads()),
        "cache": f"{config.cache_dir} ({size / 2**20:.1f} MiB in {files} files, at most {config.cache_mb} MiB)",
        "optional": ", ".join(parts),
    }
    print("\n".join(f"{name:<9} {value}" for name, value in lines.items()))
    return 0


def _folder_size(folder: Path) -> tuple[int, int]:
    """Bytes and number of the files in a folder that other processes may change meanwhile."""
    sizes = []
    for path in folder.rglob("*"):
        try:
            sizes += [path.stat().st_size] if path.is_file() else []
        except FileNotFoundError:  # another process has just removed it
            continue
    return sum(sizes), len(sizes)


def _say(text: str) -> None:
    print(text, flush=True)


def _alert(text: str) -> None:
    """Say something from a signal handler: straight to the terminal, as a stream may be in the middle of a write."""
    os.write(1, f"\n{text}\n".encode())


def _silent(text: str) -> None:
    """--quiet."""


if __name__ == "__main__":
    sys.exit(main())
