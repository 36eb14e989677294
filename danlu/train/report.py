"""L8. The report of a run, as text for a terminal and as Markdown, from its config, its result and its history."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from danlu.train.display import figure
from danlu.train.plot import curves, draw
from danlu.train.run import Run

MOST_CLASSES = 25  # a confusion matrix wider than this is no longer read: the pairs most often confused are listed
Section = tuple[str, list[str]]
Rows = Sequence[Mapping[str, Any]]


def summary(run: Run, result: Mapping[str, Any]) -> str:
    """What `danlu train` ends with."""
    parts = [_data(run, result)[:1], _model(run, result), _scores(result), _end(run, result)]
    return "\n".join(line for part in parts for line in part)


def full(run: Run, state: Mapping[str, Any], rows: Rows) -> str:
    """What `danlu show` prints, for a run in any state."""
    return "\n\n".join("\n".join([title, *(f"  {line}" for line in lines)]) for title, lines in _sections(run, state, rows))


def markdown(run: Run, result: Mapping[str, Any], rows: Rows) -> str:
    """report.md."""
    sections = _sections(run, {"status": "finished", "result": result, "reason": ""}, rows)
    return f"# {run.folder.name}\n" + "".join(
        f"\n## {title}\n\n```text\n{chr(10).join(lines)}\n```\n" for title, lines in sections
    )


def _sections(run: Run, state: Mapping[str, Any], rows: Rows) -> list[Section]:
    result = state.get("result")
    if result is None:
        found = [("State", _unfinished(run, state)), ("Model", _model(run, {}))]
    else:
        found = [("Data", _data(run, result)), ("Model", _model(run, result)), ("Metrics", [*_scores(result), *_details(result)])]
    if rows:
        plots = [draw([row[name] for row in rows], name.replace("_", " ")) for name in curves(rows)]
        found.append(("Learning curves", [line for plot in plots for line in plot]))
    if result is not None and result.get("confusion"):
        found.append(
            ("Confusion matrix (rows: true class, columns: predicted)", confusion(result["confusion"], result["classes"]))
        )
    return found if result is None else [*found, ("Run", _end(run, result))]


def _data(run: Run, result: Mapping[str, Any]) -> list[str]:
    task = f"classification into {len(result['classes'])} classes" if result["classes"] else "regression"
    training, validation, test = result["parts"]
    rows = f"{result['rows']:,} rows ({training:,} training, {validation:,} validation, {test:,} test)"
    return [f"{run.config.data['name']}: {task}, {rows}", *result["notes"]]


def _model(run: Run, result: Mapping[str, Any]) -> list[str]:
    options = run.config.options
    sizes = " -> ".join(map(str, [run.config.inputs, *options.hidden, run.config.outputs]))
    parameters = f"; {result['parameters']:,} parameters" if "parameters" in result else ""
    decay = f"weight decay {options.weight_decay:g}"
    return [
        f"network {sizes}, {options.activation}, dropout {options.dropout:g}{parameters}",
        f"{options.optimizer}, learning rate {options.lr:g}, {decay}, batches of {options.batch_size}, seed {options.seed}",
    ]


def _scores(result: Mapping[str, Any]) -> list[str]:
    """The test figure, with the baselines under it, aligned."""
    metric = result["metric"]
    lines = [(f"test {metric}", figure(metric, result["test"]), "")]
    for baseline in result["baselines"]:
        score = "-" if baseline["score"] is None else figure(metric, baseline["score"])
        lines.append((f"  {baseline['name']}", score, baseline["note"]))
    best = f"epoch {result['best_epoch']}, the best of {result['epochs']}"
    lines.append((f"validation {metric}", figure(metric, result["validation"]), best))
    return [f"{name:<32} {score:>10}  {note}".rstrip() for name, score, note in lines]


def _details(result: Mapping[str, Any]) -> list[str]:
    return [f"{'test ' + name:<32} {figure(name, result[name]):>10}" for name in ("mae", "r2") if name in result]


def _end(run: Run, result: Mapping[str, Any]) -> list[str]:
    seconds = result["seconds"]
    split = ", ".join(f"{name} {seconds[name]:.2f}" for name in ("compile", "data", "train"))
    place = run.folder
    return [
        f"time  {seconds['total']:.2f} s ({split}) with {result['threads']} thread{'s' if result['threads'] > 1 else ''}",
        f"run   {place}",
        f"next  danlu show {place}   or   danlu predict {place} FILE",
    ]


def _unfinished(run: Run, state: Mapping[str, Any]) -> list[str]:
    place = f"{state['status']} in epoch {state['epoch'] + 1} of {run.config.options.epochs}, after step {state['step']}"
    reason = [state["reason"]] if state["status"] == "failed" else []
    return [place, *reason, f"go on with: danlu train --resume {run.folder}"]


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> list[str]:
    """The matrix with names at its edges, or the pairs most often confused where there are many classes.

    >>> print("\\n".join(confusion([[5, 0], [1, 4]], ["no", "yes"])))
         no yes
     no   5   .
    yes   1   4
    """
    if len(classes) > MOST_CLASSES:
        return _confused_pairs(matrix, classes)
    names = [name if len(name) <= 12 else name[:11] + "…" for name in classes]
    most = max(max(row) for row in matrix)
    width = max(3, int(math.log10(max(most, 1))) + 1)
    edge = max(map(len, names))
    head = " " * edge + "".join(f" {name[:width]:>{width}}" for name in names)
    body = [f"{name:>{edge}}" + "".join(f" {count or '.':>{width}}" for count in row) for name, row in zip(names, matrix)]
    return [head, *body]


def _confused_pairs(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> list[str]:
    pairs = [(count, i, j) for i, row in enumerate(matrix) for j, count in enumerate(row) if i != j and count]
    worst = sorted(pairs, reverse=True)[:MOST_CLASSES]
    return [f"{count:>6} x {classes[i]} taken for {classes[j]}" for count, i, j in worst] or ["no class was taken for another"]
